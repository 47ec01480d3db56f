"""Read a request: from its texts to numbers and hashes, within a budget."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from xxhash import xxh3_64_intdigest

from gateway_guard.features.cues import cue_book
from gateway_guard.features.hits import cue_hits
from gateway_guard.features.normalise import prepare
from gateway_guard.features.reading import Reading, longest_buffer, read_texts
from gateway_guard.features.sampling import MOST_TEXTS, chosen
from gateway_guard.features.seeds import Seeds
from gateway_guard.features.survey import survey
from gateway_guard.features.types import Anchors, Features
from gateway_guard.features.windows import WindowHasher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.exchange import Exchange
    from gateway_guard.features.survey import Known, Survey, Text
    from gateway_guard.features.types import Cue, CueHit

MOST_HITS = 16
_ANCHOR_WORDS = 6
_LEAST_BODY_WORDS = 2 * _ANCHOR_WORDS
_LEAST_SYSTEM_WORDS = 8
"""Shorter system texts, such as "You are a helpful assistant.", tell nothing apart."""
_MOST_SYSTEMS = 4
_SYSTEMS_REMEMBERED = 2048
_LISTED = 1 << 14
"""List entries are looked for in so many bytes; looking at every line costs more than reading."""
_ENTRY = re.compile(
    rb"\n[ \t]*(?:[-*+][ \t]|(?:\(|q|question |problem |task |item |#)?\d{1,3}[.):,][^\d])",
    re.IGNORECASE,
)


class FeatureReader:
    """Reads requests under one secret; hashes of two secrets have nothing in common."""

    def __init__(self, secret: bytes, *, budget: int = 65536) -> None:
        """Derive every seed from ``secret``; read at most ``budget`` bytes of text per request."""
        self._seeds = Seeds.derive(secret)
        self._budget = budget
        self._hasher = WindowHasher(self._seeds.numbers, longest=longest_buffer(budget))
        self._book = cue_book()
        self._systems: dict[int, int | None] = {}
        prepare()

    def read(self, exchange: Exchange, known: Known) -> Features:
        """Return the features of an exchange.

        ``known`` is given the hash of a text and returns the cue hits remembered with it, ``None``
        where the key has not shown that text before. Known texts are not read again, save the
        newest user text.
        """
        found = survey(exchange.turns, self._seeds.text, known)
        texts = self._select(found)
        reading = self._read(texts, self._budget)
        hits = cue_hits(reading, [text.role for text in texts], self._book, self._seeds.cues)
        body = found.body
        return Features(
            chars=found.chars,
            new_chars=found.new_chars,
            system_chars=found.system_chars,
            constant_chars=found.constant_chars,
            body_chars=0 if body is None else len(body.content),
            turns=found.turns,
            tool_turns=found.tool_turns,
            images=found.images,
            items=1 if body is None else _items(reading),
            unspaced=reading.unspaced,
            anchors=self._anchors(found, texts, reading),
            body_hash=self._body_hash(body, reading),
            shingles=reading.shingles(),
            hits=_joint_hits(hits, found) if hits or found.system_hits else (),
            text_hashes=_text_hashes(found, texts),
            new_hits=_new_hits(hits, texts),
        )

    def _select(self, found: Survey) -> list[Text]:
        """Return the texts to read, the newest user text first."""
        texts = found.others if found.body is None else [found.body, *found.others]
        if len(texts) <= MOST_TEXTS:
            return texts
        return [texts[at] for at in chosen(len(texts), self._seeds.place ^ texts[0].hash)]

    def _read(self, texts: Sequence[Text], budget: int) -> Reading:
        return read_texts(texts, self._hasher, budget=budget, seed=self._seeds.place)

    def _anchors(self, found: Survey, texts: Sequence[Text], reading: Reading) -> Anchors:
        """Return the anchors of a request whose newest user text, if any, was read first."""
        system = self._system(found, texts, reading) if found.leading else None
        if found.body is None:
            return Anchors(system)
        first, last = reading.span(0)
        if last - first < _LEAST_BODY_WORDS:
            return Anchors(system)
        stretch = reading.words.stretch
        head = stretch((first, first + _ANCHOR_WORDS), self._seeds.head)
        return Anchors(system, head, stretch((last - _ANCHOR_WORDS, last), self._seeds.tail))

    def _body_hash(self, body: Text | None, reading: Reading) -> int:
        """Return what identifies the newest user text; one too long counts as it was spelled."""
        if body is None:
            return _digest((), self._seeds.body)
        if reading.is_whole(0):
            return reading.words.stretch(reading.span(0), self._seeds.body)
        return _digest((body.hash,), self._seeds.body)

    def _system(self, found: Survey, texts: Sequence[Text], reading: Reading) -> int | None:
        """Return the anchor of the leading system texts, from memory where they were seen."""
        leading = found.leading[:_MOST_SYSTEMS]
        key = leading[0].hash if len(leading) == 1 else _digest([t.hash for t in leading], 0)
        if key not in self._systems:
            if len(self._systems) >= _SYSTEMS_REMEMBERED:
                del self._systems[next(iter(self._systems))]
            self._systems[key] = self._system_anchor(leading, texts, reading)
        return self._systems[key]

    def _system_anchor(
        self, leading: Sequence[Text], texts: Sequence[Text], reading: Reading
    ) -> int | None:
        """Return the anchor of system texts, each from its share of a budget of their own."""
        budget, count, hashes = self._budget // _MOST_SYSTEMS, 0, []
        for text in leading:
            if text in texts and len(text.raw) <= budget:
                source, (first, last) = reading, reading.span(texts.index(text))
            else:
                source = self._read([text], budget)
                first, last = source.span(0)
            count += last - first
            hashes.append(source.words.stretch((first, last), self._seeds.system))
        return _digest(hashes, self._seeds.system) if count >= _LEAST_SYSTEM_WORDS else None


def _digest(hashes: Sequence[int], seed: int) -> int:
    """Return one hash of several."""
    return xxh3_64_intdigest(b"".join([part.to_bytes(8) for part in hashes]), seed)


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


def _joint_hits(hits: dict[int, tuple[CueHit, ...]], found: Survey) -> tuple[CueHit, ...]:
    """Return the hits of a request: the first text's, known system texts', then the others'.

    The same words count once: as constant where a known system text has them, and as the caller's
    own rather than a tool's.
    """
    system = [
        msgspec.structs.replace(hit, from_tool=False, constant=True) for hit in found.system_hits
    ]
    later = [hit for at, of_text in hits.items() if at for hit in of_text]
    joint: dict[tuple[Cue, int], CueHit] = {}
    for hit in (*hits.get(0, ()), *system, *later):
        seen = joint.setdefault((hit.family, hit.shingle), hit)
        if hit.constant > seen.constant or hit.from_tool < seen.from_tool:
            joint[hit.family, hit.shingle] = hit
    return tuple(joint.values())[:MOST_HITS]
