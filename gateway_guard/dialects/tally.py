"""Add up what is seen of one answer, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.exchange import (
    MOST_ID_CHARS,
    Answer,
    AnswerText,
    Usage,
    name_digest,
    text_digest,
)

if TYPE_CHECKING:
    from gateway_guard.exchange import Hear

MOST_CHOICES = 8
MOST_CHOICE_CHARS = 2**20
MOST_CHARS = 2**22
MOST_CALLS = 256
MOST_PARTS = 128

_LARGEST_COUNT = 2**53
_MOST_FINISH_CHARS = 64


class Tally:
    """What was seen of one answer so far; texts are kept only until it is complete.

    Choices beyond the eighth and texts beyond the bounds are counted and not kept.
    """

    __slots__ = (
        "_choices",
        "_kept",
        "_most_chars",
        "_parts",
        "_reasoning",
        "_references",
        "_spill",
        "_usage",
        "awaited",
        "failed",
        "finish",
        "id",
        "output_chars",
        "reasoning_chars",
    )

    def __init__(self, most_chars: int = MOST_CHARS) -> None:
        self._most_chars = most_chars
        self.output_chars = 0
        self.reasoning_chars = 0
        self.finish: str | None = None
        self.failed = False
        self.awaited: str | None = None
        self.id: str | None = None
        self._parts: list[Tally] = []
        self._choices: dict[int, _Choice] = {}
        self._spill: _Choice | None = None
        self._reasoning = _Choice(whole=True)
        self._kept = 0
        self._usage: dict[str, int] = {}
        self._references: dict[str, str] = {}

    def say(self, index: int, text: str) -> None:
        """Take the next piece of the visible text of a choice."""
        self.output_chars += len(text)
        choice = self._choices.get(index) or self._open(index)
        choice.pieces.append(text)

    def say_all(self, index: int, text: str) -> None:
        """Take the whole visible text of a choice so far, of which a part may be known already."""
        choice = self._choices.get(index) or self._open(index)
        self.say(index, text[choice.length() :])

    def think(self, text: str) -> None:
        """Take a piece of served reasoning."""
        self.reasoning_chars += len(text)
        self._reasoning.pieces.append(text)

    def call(self, index: int, slot: int, call_id: str | None) -> None:
        """Take a tool call, or a piece of one: its id comes with the first piece only."""
        choice = self._choices.get(index) or self._open(index)
        choice.call(slot, call_id)

    def name(self, given: object) -> None:
        """Take what may be the id that the upstream gave the answer: the first string counts."""
        if given and self.id is None:
            name = _string(given) if isinstance(given, msgspec.Raw) else given
            if isinstance(name, str) and name:
                self.id = name[:MOST_ID_CHARS]

    def refer(self, kind: str, reference: str) -> None:
        """Take an id by which clients may refer to the answer; of each kind the last one counts."""
        self._references[kind] = reference

    def part(self) -> Tally:
        """Return the tally of the next answer in a list."""
        part = Tally()
        if len(self._parts) < MOST_PARTS:
            self._parts.append(part)
        return part

    def count(
        self,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        reasoning_tokens: int | None = None,
    ) -> None:
        """Take what the upstream reports; a later report replaces an earlier one."""
        usage = self._usage
        if input_tokens is not None:
            usage["input_tokens"] = max(0, min(input_tokens, _LARGEST_COUNT))
        if output_tokens is not None:
            usage["output_tokens"] = max(0, min(output_tokens, _LARGEST_COUNT))
        if reasoning_tokens is not None:
            usage["reasoning_tokens"] = max(0, min(reasoning_tokens, _LARGEST_COUNT))

    def settle(self) -> None:
        """Join the pieces taken since the last call: small strings take ten times the space."""
        for choice in (*self._choices.values(), self._reasoning):
            self._kept += choice.settle(self._most_chars - self._kept)
        if self._spill is not None:
            self._spill.settle(0)

    def answer(self, digest_key: bytes, hear: Hear | None = None) -> Answer:
        """Return what was seen in all, and tell ``hear`` what it says."""
        self.settle()
        choices = list(self._choices.values())
        names = tuple([name_digest(name, digest_key) for name in self._references.values()])
        awaited = name_digest(self.awaited, digest_key) if self.awaited else None
        if hear is not None:
            self._tell(hear, choices, names if awaited is None else (*names, awaited))
        digests = [choice.digest(digest_key) for choice in choices]
        if self._spill is not None:
            choices.append(self._spill)
        return Answer(
            output_chars=self.output_chars,
            reasoning_chars=self.reasoning_chars,
            tool_calls=sum([choice.call_count() for choice in choices]),
            finish=None if self.finish is None else self.finish[:_MOST_FINISH_CHARS],
            usage=Usage(**self._usage) if self._usage else None,
            digests=tuple([digest for digest in digests if digest is not None]),
            failed=self.failed,
            names=names,
            awaited=awaited,
            parts=tuple([part.answer(digest_key, hear) for part in self._parts]),
        )

    def _tell(self, hear: Hear, choices: list[_Choice], names: tuple[bytes, ...]) -> None:
        visible = tuple([text for choice in choices if (text := choice.text())])
        reasoning = self._reasoning.text()
        if visible or reasoning:
            hear(AnswerText(visible, reasoning, self.id, names))

    def _open(self, index: int) -> _Choice:
        if len(self._choices) < MOST_CHOICES:
            return self._choices.setdefault(index, _Choice(whole=True))
        if self._spill is None:
            self._spill = _Choice(whole=False)
        return self._spill


_STRING = decoder_of(str, strict=True)


def _string(raw: msgspec.Raw) -> str | None:
    """Return the string that a piece of JSON is, ``None`` where it is anything else."""
    try:
        return _STRING.decode(raw)
    except (msgspec.MsgspecError, ValueError):
        return None


class _Calls:
    """The tool calls of one choice: ids, and slots of those that came with or without one."""

    __slots__ = ("ids", "named", "nameless")

    def __init__(self) -> None:
        self.ids: dict[str, None] = {}
        self.named: set[int] = set()
        self.nameless: set[int] = set()

    def take(self, slot: int, call_id: str | None) -> None:
        if len(self.ids) + len(self.nameless) >= MOST_CALLS:
            return
        if call_id:
            self.ids[call_id] = None
            self.named.add(slot)
        elif slot not in self.named:
            self.nameless.add(slot)

    def count(self) -> int:
        return len(self.ids) + len(self.nameless - self.named)


class _Choice:
    """One of the answers drawn for a request, or the reasoning for all of them."""

    __slots__ = ("_ahead", "_calls", "_chars", "_measured", "_texts", "_whole", "pieces")

    def __init__(self, *, whole: bool) -> None:
        self.pieces: list[str] = []
        self._measured = 0
        self._ahead = 0
        self._texts: list[str] = []
        self._chars = 0
        self._whole = whole
        self._calls: _Calls | None = None

    def length(self) -> int:
        # Asked after each piece, so none of them is measured twice.
        self._ahead += sum(map(len, self.pieces[self._measured :]))
        self._measured = len(self.pieces)
        return self._chars + self._ahead

    def call(self, slot: int, call_id: str | None) -> None:
        if self._calls is None:
            self._calls = _Calls()
        self._calls.take(slot, call_id)

    def call_count(self) -> int:
        return 0 if self._calls is None else self._calls.count()

    def settle(self, room: int) -> int:
        """Keep the new pieces where there is room for them; return how many characters they are."""
        if not self.pieces:
            return 0
        text = "".join(self.pieces)
        self.pieces.clear()
        self._measured = self._ahead = 0
        self._chars += len(text)
        self._whole = self._whole and len(text) <= room and self._chars <= MOST_CHOICE_CHARS
        if not self._whole:
            kept = -sum(map(len, self._texts))
            self._texts.clear()
            return kept
        self._texts.append(text)
        return len(text)

    def digest(self, key: bytes) -> bytes | None:
        ids = () if self._calls is None else tuple(self._calls.ids)
        if not self._whole or not (self._chars or ids):
            return None
        return text_digest(self.text(), key, ids)

    def text(self) -> str:
        """Return what was said, or nothing where that was too long to be kept."""
        if len(self._texts) > 1:
            self._texts = ["".join(self._texts)]
        return self._texts[0] if self._texts else ""
