"""Other wordings of a template: its constant part said otherwise, its slots left as they are.

Mechanical, so that every template can be reworded: words give way to others that mean the same,
sentences of the constant part stand in another order, punctuation changes, and a sentence that says
nothing stands before and after.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.lab.scenarios.sources import sampled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from gateway_guard.corpora import Row
    from gateway_guard.lab.scenarios.setup import Setup

_WINDOW: Final = 3
_CONSTANT_SHARE: Final = 0.5
_FEWEST_SENTENCES: Final = 3
_READ_CHARS: Final = 12_000
_TOKEN: Final = re.compile(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+")
_SENTENCE: Final = re.compile(r"(?<=[.!?。！？])\s+|\n+")
_SYNONYMS: Final = """
make create produce compose craft; write put-down set-down pen; generate come-up-with devise invent
please kindly; must have-to need-to; should ought-to shall had-better
give provide hand-over supply; following below next subsequent; task job assignment piece-of-work
tasks jobs assignments pieces-of-work; instruction directive order request
instructions directives orders requests; question query inquiry; questions queries inquiries
problem exercise challenge; problems exercises challenges; answer reply response
example sample instance; examples samples instances; list series row run; set group batch bundle
diverse varied mixed manifold; different distinct various unlike; new fresh further extra
complex involved intricate elaborate; difficult hard tough demanding; simple plain easy basic
use employ apply work-with; using employing applying; ensure make-sure see-to-it take-care
try attempt aim seek; avoid do-without steer-clear-of keep-from; each every any-given
also as-well in-addition too; only solely nothing-but merely; about regarding concerning on
good sound decent fine; best finest top; detailed thorough full in-depth; explain lay-out clarify
describe depict portray set-forth; include contain hold carry; add append put-in insert
change alter modify vary; between from-among amid; want wish would-like desire; help assist aid
language tongue idiom; model system engine; human person people; words terms expressions
short brief concise; long lengthy extended; high great elevated; quality grade standard
code program source; text passage wording; input given-data entry; output result outcome
requirements conditions demands rules; understand grasp follow comprehend; reasonable sensible fair
imagine picture suppose; complete finish carry-out fulfil; act serve behave; specific exact precise
生成 产生 写出 给出; 任务 作业 工作; 问题 疑问 提问; 要求 条件 规定; 请 请你 麻烦你; 回答 答复 解答
"""
_GROUPS: Final = tuple(
    tuple(word.replace("-", " ") for word in group.split())
    for line in _SYNONYMS.strip().splitlines()
    for group in line.split(";")
)
_GROUP_OF: Final = {word: group for group in _GROUPS for word in group}
_CHINESE: Final = [word for word in _GROUP_OF if "\u4e00" <= word[0] <= "\u9fff"]
_WORD: Final = re.compile("|".join(["[A-Za-z]+", *sorted(_CHINESE, key=len, reverse=True)]))
_OPENINGS: Final = (
    ("Hello.", "Good day.", "Right.", "Next one.", "Here we go.", "Hi there.", "Onward.", ""),
    ("I have something for you.", "This is for my notes.", "Read all of it first.", "Take care."),
    ("It goes like this.", "The details stand below.", "What I have in mind is this.", ""),
)
_CLOSINGS: Final = (
    ("Thank you.", "Many thanks.", "That is all.", "Over to you.", "Much obliged.", "Cheers.", ""),
    ("Take your time.", "I can wait.", "No hurry at all.", "Whenever you are ready.", ""),
    ("Begin now.", "Go ahead.", "You may start.", "Let us see.", "Off you go.", "Proceed."),
)
_PUNCTUATION: Final[tuple[dict[str, str], ...]] = (
    {},
    {":": " -", ";": ","},
    {"!": ".", " - ": ": "},
    {";": ".", "(": "[", ")": "]"},
    {",": " ,", "...": "."},
)


class Wrapper:
    """The constant part of a source's texts: windows of words that most of them have."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Find it in texts of one template."""
        counts: Counter[tuple[str, ...]] = Counter()
        for text in texts:
            counts.update({window for window, _, _ in _windows(text)})
        fewest = max(2.0, _CONSTANT_SHARE * len(texts))
        self._constant = {window for window, count in counts.items() if count >= fewest}

    def spans(self, text: str) -> Iterator[tuple[bool, str]]:
        """Yield the parts of a text in order, each with whether it is constant."""
        reached = 0
        for begin, end in self._stretches(text):
            yield False, text[reached:begin]
            yield True, text[begin:end]
            reached = end
        yield False, text[reached:]

    def _stretches(self, text: str) -> list[tuple[int, int]]:
        """Return where the constant stretches of a text begin and end."""
        found: list[tuple[int, int]] = []
        for window, begin, end in _windows(text):
            if window not in self._constant:
                continue
            overlaps = bool(found) and begin <= found[-1][1]
            found.append((found.pop()[0] if overlaps else begin, end))
        return found


def _windows(text: str) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """Yield every window of words, with where it begins and ends."""
    tokens = [(found[0].lower(), found.start(), found.end()) for found in _found(text)]
    for at in range(len(tokens) - _WINDOW + 1):
        window = tokens[at : at + _WINDOW]
        yield tuple(word for word, _, _ in window), window[0][1], window[-1][2]


def _found(text: str) -> Iterator[re.Match[str]]:
    return _TOKEN.finditer(text[:_READ_CHARS])


class Wording:
    """One way to say the constant part of a template."""

    def __init__(self, rng: Random, wrapper: Wrapper) -> None:
        """Draw one; the same words are always replaced by the same others."""
        self._wrapper = wrapper
        self._other = {group: rng.choice(group) for group in _GROUPS}
        self._turned = rng.randrange(8)
        self._marks = rng.choice(_PUNCTUATION)
        self._opening = _sentences(rng, _OPENINGS)
        self._closing = _sentences(rng, _CLOSINGS)

    def __call__(self, text: str) -> str:
        """Return a text in this wording."""
        parts = self._wrapper.spans(text)
        said = "".join(self._said(part) if constant else part for constant, part in parts)
        return f"{self._opening}\n{said}\n{self._closing}"

    def _said(self, part: str) -> str:
        sentences = _SENTENCE.split(part)
        if len(sentences) >= _FEWEST_SENTENCES:  # the first and the last lead to what is around
            inner = sentences[1:-1]
            turn = self._turned % len(inner)
            part = "\n".join([sentences[0], *inner[turn:], *inner[:turn], sentences[-1]])
        part = _WORD.sub(self._synonym, part)
        for mark, other in self._marks.items():
            part = part.replace(mark, other)
        return part

    def _synonym(self, found: re.Match[str]) -> str:
        word = found[0]
        group = _GROUP_OF.get(word.lower())
        if group is None:
            return word
        other = self._other[group]
        return other.capitalize() if word[0].isupper() else other


def _sentences(rng: Random, choices: Sequence[Sequence[str]]) -> str:
    return " ".join(filter(None, map(rng.choice, choices)))


def wordings_of(rows: Sequence[Row], rng: Random, count: int) -> list[Wording]:
    """Return so many wordings of the template that rows share."""
    wrapper = Wrapper([row.prompt for row in sampled(rows)])
    return [Wording(rng, wrapper) for _ in range(count)]


def reworded(setup: Setup, rows: Sequence[Row], count: int) -> list[list[Row]]:
    """Deal rows out to so many wordings of their template, the first of which is its own."""
    said = wordings_of(rows, setup.rng("wordings"), count - 1)
    return [
        list(rows[::count]),
        *(
            [msgspec.structs.replace(row, prompt=wording(row.prompt)) for row in rows[at::count]]
            for at, wording in enumerate(said, start=1)
        ),
    ]
