"""What a request's own words are under the published hashes of the model.

Only what callers wrote themselves says what they ask: system texts, results of tools and answers
are left out. Many exchanges are read at a time, because each step costs more to begin than to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gateway_guard.model.corpus import CEILING, Shelf
from gateway_guard.model.words import PADDING, WINDOW, Hashing, fetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gateway_guard.features.reading import Reading
    from gateway_guard.features.survey import Text
    from gateway_guard.features.windows import Span
    from gateway_guard.model import Corpus, Model
    from gateway_guard.model.words import Hashes, Positions, Words

MOST_WORDS: Final = 320
"""Words of one exchange that are looked at: of a longer text the first and the last ones."""
PROJECTED_WORDS: Final = 64
"""So many of them, evenly spread, say how far it is from the population."""

_WORD_BYTES: Final = 8
_SMALL: Final = 1 << 13
"""Buffers of up to so many bytes are taken as they are."""


class Seeded(NamedTuple):
    """What is known of a request's own words: its direction, and the corpora it is from.

    ``direction`` has ``WIDTH`` signed bytes, or none where nothing new was said. ``train`` holds
    the ids of train corpora, ``test`` says that it is an item of a test corpus: then it is not
    from a train corpus, whose items may stand in it as examples.
    """

    direction: bytes = b""
    train: tuple[int, ...] = ()
    test: bool = False


NOTHING: Final = Seeded()
_NO_OWNERS: Final = np.zeros(0, np.intp)


class _Gathered(NamedTuple):
    """The own words of exchanges, one after another; ``ends`` are where each stretch of them does.

    ``counts`` are how many each exchange has.
    """

    words: Words
    counts: list[int]
    ends: list[int]


class SeededReader:
    """Reads exchanges as a model does."""

    __slots__ = ("_hashing", "_shelf")

    def __init__(self, model: Model) -> None:
        """Use the hashes and the corpora of ``model``."""
        self._hashing = Hashing(model.seed)
        self._shelf = Shelf(model.corpora)

    def read(self, exchanges: Sequence[tuple[Sequence[Text], Reading]]) -> list[Seeded]:
        """Return what is known of each exchange, of its texts and how they were read."""
        found = [NOTHING] * len(exchanges)
        own = [at for at, (texts, _) in enumerate(exchanges) if any(map(_is_own, texts))]
        gathered = _gather([exchanges[at] for at in own])
        if gathered is None:
            return found
        directions = self._directions(gathered)
        for number, at in enumerate(own):
            is_new = any(text.is_new and _is_own(text) for text in exchanges[at][0])
            if is_new and gathered.counts[number]:
                found[at] = Seeded(directions[number])
        if self._shelf.corpora and len(gathered.words) >= WINDOW:
            for number, corpora in self._matched(gathered).items():
                found[own[number]] = _from_corpora(found[own[number]], corpora)
        return found

    def _directions(self, gathered: _Gathered) -> list[bytes]:
        if len(gathered.counts) == 1:
            words = gathered.words[:: -(-len(gathered.words) // PROJECTED_WORDS)]
            return [self._hashing.project(words, _NO_OWNERS, 1).tobytes()]
        chosen, owners, end = [], [], 0
        for count in gathered.counts:
            begin, end = end, end + count
            words = gathered.words[begin : end : -(-count // PROJECTED_WORDS) or 1]
            chosen.append(words)
            owners.append(len(words))
        spread = np.arange(len(owners)).repeat(owners)
        rows = self._hashing.project(np.concatenate(chosen), spread, len(owners))
        return [row.tobytes() for row in rows]

    def windows(self, exchanges: Sequence[tuple[Sequence[Text], Reading]]) -> list[Hashes]:
        """Return the hashes under ``CEILING`` of each exchange's own windows."""
        gathered = _gather(exchanges)
        if gathered is None or len(gathered.words) < WINDOW:
            return [np.zeros(0, np.uint64)] * len(exchanges)
        hashes, ends = self._windows(gathered)
        return np.split(hashes, ends[:-1])

    def _windows(self, gathered: _Gathered) -> tuple[Hashes, Positions]:
        """Return all hashes under ``CEILING``, and where those of each exchange end."""
        hashes = self._hashing.windows(gathered.words)
        low = hashes < CEILING
        for end in gathered.ends[:-1]:  # no window reaches into the next stretch
            low[max(0, end - WINDOW + 1) : end] = False
        places = low.nonzero()[0]
        if len(gathered.counts) == 1:
            return hashes.take(places), np.array([len(places)])
        return hashes.take(places), places.searchsorted(np.array(gathered.counts).cumsum())

    def _matched(self, gathered: _Gathered) -> dict[int, list[Corpus]]:
        """Return the corpora that the exchanges are from, of those that are from any."""
        found: dict[int, list[Corpus]] = {}
        for corpus, number in self._shelf.matches(*self._windows(gathered)):
            found.setdefault(number, []).append(corpus)
        return found


def _from_corpora(seeded: Seeded, corpora: Sequence[Corpus]) -> Seeded:
    """Return what is known of an exchange, with the corpora that it is from."""
    if any(corpus.pool.kind == "test" for corpus in corpora):
        return seeded._replace(test=True)
    return seeded._replace(train=tuple([corpus.id for corpus in corpora]))


def _is_own(text: Text) -> bool:
    return text.role == "user"


def _gather(exchanges: Sequence[tuple[Sequence[Text], Reading]]) -> _Gathered | None:
    """Fetch the own words of exchanges, ``None`` where there are none."""
    chunks: list[bytes] = []
    starts: list[Positions] = []
    lengths: list[Positions] = []
    shifts: list[int] = []
    sizes: list[int] = []
    counts, ends, base, total = [], [], 0, 0
    for texts, reading in exchanges:
        before = total
        words, buffer = reading.words, reading.buffer
        for first, last in _stretches(texts, reading):
            begins = words.starts[first:last]
            begin, end = 0, len(buffer)
            if end > _SMALL:
                begin = begins.item(0) + 1
                end = begins.item(-1) + 1 + _WORD_BYTES
            chunks.append(buffer[begin:end])
            starts.append(begins)
            shifts.append(base + 1 - begin)
            sizes.append(last - first)
            lengths.append(words.offsets[first + 1 : last + 1] - words.offsets[first:last])
            base += len(chunks[-1])
            total += last - first
            ends.append(total)
        counts.append(total - before)
    if not total:
        return None
    if len(starts) == 1:
        fetched = fetch(chunks[0] + PADDING, starts[0] + shifts[0], lengths[0])
    else:
        places = np.concatenate(starts)
        places += np.array(shifts).repeat(sizes)
        fetched = fetch(b"".join((*chunks, PADDING)), places, np.concatenate(lengths))
    return _Gathered(fetched, counts, ends)


def _stretches(texts: Sequence[Text], reading: Reading) -> Iterable[Span]:
    """Return where an exchange's own words stand, ``MOST_WORDS`` at most, newest text first."""
    count = reading.words.count
    if len(texts) == len(reading.pieces[0]) == 1 and 0 < count <= MOST_WORDS:
        return (reading.pieces[0][0].span,)
    return _cut(texts, reading)


def _cut(texts: Sequence[Text], reading: Reading) -> Iterator[Span]:
    left = MOST_WORDS
    for text, pieces in zip(texts, reading.pieces, strict=True):
        if not _is_own(text):
            continue
        for piece in pieces:
            first, last = piece.span
            half = left // 2
            cut = first + left - half if last - first > left else last
            for begin, end in ((first, cut), (max(cut, last - half), last)):
                if end > begin:
                    left -= end - begin
                    yield begin, end
