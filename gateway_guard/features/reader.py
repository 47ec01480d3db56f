"""Read a request: from its texts to numbers and hashes, within a budget."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gateway_guard.features.anchors import AnchorReader, digest
from gateway_guard.features.cues import cue_book
from gateway_guard.features.hits import cue_hits
from gateway_guard.features.normalise import prepare
from gateway_guard.features.reading import Reading, longest_buffer, read_texts
from gateway_guard.features.replies import contained, declines, read_reply
from gateway_guard.features.sampling import MOST_TEXTS, chosen
from gateway_guard.features.seeded import Seeded, SeededReader
from gateway_guard.features.seeds import Seeds
from gateway_guard.features.survey import survey
from gateway_guard.features.types import Features, Reply
from gateway_guard.features.windows import MOST_SHINGLES, WindowHasher
from gateway_guard.model import SHIPPED, Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.exchange import Exchange
    from gateway_guard.features.survey import Known, Survey, Text
    from gateway_guard.features.types import Anchors, Cue, CueHit
    from gateway_guard.features.windows import Hashes

MOST_HITS = 16
_NONE = np.zeros(0, np.uint64)
_UNSPACED_SHARE = 0.3
"""From here on a text is taken for one whose words are not parted by spaces."""
_LISTED = 1 << 14
"""List entries are looked for in so many bytes; looking at every line costs more than reading."""
_ENTRY = re.compile(
    rb"\n[ \t]*(?:[-*+][ \t]|(?:\(|q|question |problem |task |item |#)?\d{1,3}[.):,][^\d])",
    re.IGNORECASE,
)


class Draft:
    """An exchange between the look at its texts and its features."""

    __slots__ = (
        "anchors",
        "body_hash",
        "found",
        "hits",
        "items",
        "reading",
        "seeded",
        "shingles",
        "terms",
        "text_hashes",
        "texts",
    )

    reading: Reading
    shingles: Hashes
    hits: dict[int, tuple[CueHit, ...]]
    body_hash: int
    items: int
    terms: tuple[int, ...]
    seeded: Seeded

    def __init__(
        self, found: Survey, texts: list[Text], anchors: Anchors, text_hashes: tuple[int, ...]
    ) -> None:
        """Begin with what the survey has found; ``text_hashes`` are those of its ``Features``."""
        self.found = found
        self.texts = texts
        self.anchors = anchors
        self.text_hashes = text_hashes


class FeatureReader:
    """Reads requests under one secret; hashes of two secrets have nothing in common."""

    def __init__(self, secret: bytes, *, budget: int = 65536, model: Model = SHIPPED) -> None:
        """Derive every seed from ``secret``; read at most ``budget`` bytes of text per request.

        What is compared with ``model`` is read with the model's own seed.
        """
        self._seeds = Seeds.derive(secret)
        self._budget = budget
        self._hasher = WindowHasher(self._seeds.numbers, longest=longest_buffer(budget))
        self._book = cue_book()
        self._seeded = SeededReader(model)
        self._anchors = AnchorReader(self._seeds, self._read, budget)
        prepare()

    def anchors(self, exchange: Exchange) -> Anchors:
        """Return under which hashes an exchange meets others, without reading all of it."""
        return self._anchors.find(exchange.turns)

    def read(self, exchange: Exchange, known: Known) -> Features:
        """Return the features of one exchange.

        ``known`` is given the hash of a text and returns the cue hits remembered with it, ``None``
        where the key has not shown that text before. Known texts are not read again, save the
        newest user text.
        """
        draft = self.survey(exchange, known, self.anchors(exchange))
        self.read_drafts([draft])
        return self.features(draft, known)

    def survey(self, exchange: Exchange, known: Known, anchors: Anchors) -> Draft:
        """Tell which texts of an exchange are to be read; ``anchors`` are its own."""
        found = survey(exchange.turns, self._seeds.text, known)
        texts = self._select(found)
        return Draft(found, texts, anchors, _text_hashes(found, texts))

    def read_drafts(self, drafts: Sequence[Draft]) -> None:
        """Read the texts of many exchanges, step by step.

        A step that is done for all of them before the next finds its code and tables in the
        processor's caches, which is worth half of the time.
        """
        for draft in drafts:
            draft.reading = self._read(draft.texts, self._budget)
        for draft in drafts:
            draft.shingles = draft.reading.shingles()
        book, seeds = self._book, self._seeds.cues
        for draft in drafts:
            draft.hits = cue_hits(draft.reading, draft.texts, book, seeds)
        for draft in drafts:
            body = draft.found.body
            draft.body_hash = self._body_hash(draft.found, draft.reading)
            draft.items = 1 if body is None else _items(draft.reading)
            draft.terms = () if body is None else self._terms(draft.reading, draft.body_hash)
        seeded = self._seeded.read([(draft.texts, draft.reading) for draft in drafts])
        for draft, of_draft in zip(drafts, seeded, strict=True):
            draft.seeded = of_draft

    def features(self, draft: Draft, known: Known) -> Features:
        """Return the features of an exchange whose texts were read; ``known`` as for ``read``."""
        found, hits = draft.found, draft.hits
        system_hits = [hit for text in found.systems for hit in known(text) or ()]
        return Features(
            chars=found.chars,
            new_chars=found.new_chars,
            system_chars=found.system_chars,
            constant_chars=found.constant_chars,
            body_chars=0 if found.body is None else len(found.body.content),
            turns=found.turns,
            tool_turns=found.tool_turns,
            images=found.images,
            items=draft.items,
            unspaced=draft.reading.unspaced,
            anchors=draft.anchors,
            body_hash=draft.body_hash,
            shingles=draft.shingles,
            hits=_joint_hits(hits, system_hits) if hits or system_hits else (),
            text_hashes=draft.text_hashes,
            new_hits=_new_hits(hits, draft.texts),
            terms=draft.terms,
            direction=draft.seeded.direction,
            train=draft.seeded.train,
            test=draft.seeded.test,
        )

    def read_reply(self, said: str) -> Reply:
        """Return an answer in numbers."""
        return read_reply(said, self._hasher)

    def pass_over(self, said: str, *, longer: bool) -> Reply:
        """Return an answer that need not be compared with what was asked, in numbers."""
        return Reply(_NONE, declines(said), longer)

    def contained(self, features: Features, reply: Reply) -> tuple[int, int]:
        """Return how many windows of an answer stand in what was asked, and of how many.

        That is what the request brings along, or its system text, even if that was known.
        """
        if reply.longer:
            return 0, MOST_SHINGLES
        system = self._anchors.windows_of(features.anchors.system)
        sources = [features.shingles] if system is None else [features.shingles, system]
        return contained(reply.shingles, sources)

    def _select(self, found: Survey) -> list[Text]:
        """Return the texts to read, the newest user text first."""
        texts = found.others if found.body is None else [found.body, *found.others]
        if len(texts) <= MOST_TEXTS:
            return texts
        return [texts[at] for at in chosen(len(texts), self._seeds.place ^ texts[0].hash)]

    def _read(self, texts: Sequence[Text], budget: int) -> Reading:
        return read_texts(texts, self._hasher, budget=budget, seed=self._seeds.place)

    def _terms(self, reading: Reading, lot: int) -> tuple[int, ...]:
        pairs = not reading.spaced and reading.unspaced >= _UNSPACED_SHARE
        return self._hasher.terms(reading.words, reading.span(0), lot, pairs=pairs)

    def _body_hash(self, found: Survey, reading: Reading) -> int:
        """Return what identifies what is asked; a text that is too long counts as it was spelled.

        That is the newest user text, and where it has been asked before what else is new: "go on"
        may stand under anything.
        """
        body = found.body
        if body is None:
            return digest((), self._seeds.body)
        if found.others and not body.is_new:
            return digest([text.hash for text in found.others], self._seeds.body)
        if reading.is_whole(0):
            return reading.words.stretch(reading.span(0), self._seeds.body)
        return digest((body.hash,), self._seeds.body)


def _items(reading: Reading) -> int:
    """Return how many questions or list entries the first text packs together."""
    pieces, buffer = reading.pieces[0], reading.buffer
    begin, end = pieces[0].begin, pieces[-1].end
    questions = buffer.count(b"?", begin, end) or 1
    if buffer.find(b"\n", begin, end) < 0:
        return questions
    return max(questions, len(_ENTRY.findall(buffer, begin - 1, min(end, begin + _LISTED))))


def _new_hits(
    hits: dict[int, tuple[CueHit, ...]], texts: Sequence[Text]
) -> tuple[tuple[int, tuple[CueHit, ...]], ...]:
    """Return the hits of each text that was read for the first time."""
    found = [(text.hash, hits.get(at, ())) for at, text in enumerate(texts) if text.is_new]
    return tuple(found)


def _text_hashes(found: Survey, texts: Sequence[Text]) -> tuple[int, ...]:
    """Return the hashes of all texts that are known or were read now, the newest last."""
    if len(texts) >= MOST_TEXTS:
        passed_over = {text.hash for text in found.others} - {text.hash for text in texts}
        return tuple([text for text in reversed(found.hashes) if text not in passed_over])
    return tuple(found.hashes[::-1])


def _joint_hits(
    hits: dict[int, tuple[CueHit, ...]], system_hits: Sequence[CueHit]
) -> tuple[CueHit, ...]:
    """Return the hits of a request: the first text's, known system texts', then the others'.

    The same words count once: as constant where a known system text has them, and as the caller's
    own rather than a tool's.
    """
    system = [msgspec.structs.replace(hit, from_tool=False, constant=True) for hit in system_hits]
    later = [hit for at, of_text in hits.items() if at for hit in of_text]
    joint: dict[tuple[Cue, int], CueHit] = {}
    for hit in (*hits.get(0, ()), *system, *later):
        seen = joint.setdefault((hit.family, hit.shingle), hit)
        if hit.constant > seen.constant or hit.from_tool < seen.from_tool:
            joint[hit.family, hit.shingle] = hit
    return tuple(joint.values())[:MOST_HITS]
