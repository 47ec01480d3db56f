"""Observed history: which texts a key has shown before, and which answers it was really served.

History that a request merely claims proves nothing; one that repeats an earlier user text and the
answer that was served to it under the same key does. Nothing is kept but keyed hashes, and those
for a week or two.
"""

from __future__ import annotations

from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from cachetools import LRUCache

from gateway_guard.exchange import name_digest, text_digest
from gateway_guard.sketches.compact import TwoPaneMap, TwoPaneSet
from gateway_guard.subjects import LOWER_HALF, half_of, under_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, MutableMapping

    from gateway_guard.exchange import Exchange, Turn
    from gateway_guard.features import CueHit

REMEMBERED_SECONDS = 7 * 86400.0
READING_SECONDS = 2.0
"""Nobody reads an answer faster."""

_BYTES_AN_ELEMENT = 72
_BYTES_OF_HITS = 1024
_PAIRS_LOOKED_UP = 8
_LATEST_KEPT = 16384
_VOUCHES = 4
_MASK = (1 << 64) - 1
_PLACE = b"\1" * 16
_NOTHING = bytes(16)
"""Stands for the question where an answer is known by its id alone."""


class Learned(NamedTuple):
    """What is new of the history: places of texts and pairs, and the cue hits of texts."""

    texts: list[int]
    pairs: list[int]
    hits: dict[int, tuple[CueHit, ...]]


class History:
    """Texts and served pairs of all keys, bounded, in two panes of seven days."""

    def __init__(self, size_bytes: int, secret: bytes) -> None:
        """Spend at most ``size_bytes``."""
        self._texts = TwoPaneSet(size_bytes // 2 // _BYTES_AN_ELEMENT, REMEMBERED_SECONDS)
        self._pairs = TwoPaneSet(size_bytes // 4 // _BYTES_AN_ELEMENT, REMEMBERED_SECONDS)
        self._hits: TwoPaneMap[tuple[CueHit, ...]] = TwoPaneMap(size_bytes // 4 // _BYTES_OF_HITS)
        self._vouched: LRUCache[int, int] = LRUCache(_LATEST_KEPT)
        self._latest: LRUCache[int, float] = LRUCache(_LATEST_KEPT)
        self._secret = secret
        self._new_hits: dict[int, tuple[CueHit, ...]] = {}

    def share(self) -> None:
        """Begin to note what is new, for others to learn of."""
        self._texts.added, self._pairs.added = [], []

    def news(self) -> Learned:
        """Return what is new since the last time."""
        learned = Learned(self._texts.added or [], self._pairs.added or [], self._new_hits)
        self._texts.added, self._pairs.added, self._new_hits = [], [], {}
        return learned

    def learn(self, learned: Learned, at: float, served_at: float = -inf) -> None:
        """Take note of what others have seen, and served at ``served_at``; monotonic seconds.

        A text is known with its hits only: whoever knew it without them would overlook them.
        """
        told = self._texts.added, self._pairs.added
        self._texts.added = self._pairs.added = None
        for place, found in learned.hits.items():
            self._hits[place] = found
        self._texts.update(learned.texts, at)
        for pair in learned.pairs:
            self._pairs.add(pair, at)
            self._latest[pair] = max(served_at, self._latest.get(pair, -inf))
        self._texts.added, self._pairs.added = told

    def forget(self, halves: Collection[int]) -> None:
        """Forget all that keys have shown or were served, by the upper halves of their hashes."""
        for panes in (self._texts, self._pairs, self._hits):
            panes.remove_halves(halves)
        tables: tuple[MutableMapping[int, Any], ...] = self._vouched, self._latest, self._new_hits
        for table in tables:
            for place in [place for place in table if half_of(place) in halves]:
                del table[place]

    def known(self, key_hash: int) -> Callable[[int], tuple[CueHit, ...] | None]:
        """Return a function that gives the cue hits of a known text, ``None`` for a new one."""
        (newer, older), hits = self._texts.panes, self._hits

        def look_up(text_hash: int) -> tuple[CueHit, ...] | None:
            place = text_hash & LOWER_HALF ^ key_hash  # as under_key has it
            if place in newer or place in older:
                return hits.get(place) or ()
            return hits.get(place)

        return look_up

    def observed(self, key_hash: int, exchange: Exchange, at: float) -> float | None:
        """Return for how many seconds the key has had the newest pair that is repeated.

        ``None`` where it repeats none, infinity where the answer was served long ago; ``at`` is
        monotonic seconds. A pair vouches for a few exchanges only: people try again and go back,
        but nobody goes on from the same answer for ever.
        """
        for asked, answered in islice(_pairs(exchange.turns), _PAIRS_LOOKED_UP):
            pair = self._served_pair(key_hash, asked, answered)
            if pair is not None:
                vouched = self._vouched.get(pair, 0) + 1
                self._vouched[pair] = vouched
                return at - self._latest.get(pair, -inf) if vouched <= _VOUCHES else None
        return None

    def _served_pair(self, key_hash: int, asked: Turn | None, answered: Turn) -> int | None:
        """Return the hash of a pair that the key was served, ``None`` of any other.

        An answer that is nothing but its id was served whatever is said to have been asked: the
        upstream alone knows what the id stands for.
        """
        answer = self._digest(answered)
        if asked is not None:
            pair = _join(key_hash, self._digest(asked), answer)
            if pair in self._pairs:
                return pair
        pair = _join(key_hash, _NOTHING, answer)
        return pair if _is_named(answered) and pair in self._pairs else None

    def place(self, key_hash: int, name: str | bytes) -> int:
        """Return one hash of a key and of where it puts texts, given by its id or that's digest."""
        digest = name if isinstance(name, bytes) else name_digest(name, self._secret)
        return _join(key_hash, _PLACE, digest)

    def served(self, key_hash: int, name: bytes) -> bool:
        """Tell whether the key was served the answer whose id has this digest."""
        return _join(key_hash, _NOTHING, name) in self._pairs

    def remember_names(self, key_hash: int, names: Iterable[bytes], at: float) -> None:
        """Remember under which ids an answer was served; ``at`` is monotonic seconds.

        The id of a conversation stands for each of its answers in turn, and vouches for each anew.
        """
        for name in names:
            self._vouched.pop(_join(key_hash, _NOTHING, name), None)
        self.remember_answers(key_hash, _NOTHING, names, at)

    def remember_texts(self, key_hash: int, hashes: Iterable[int], at: float) -> None:
        """Remember the texts of a settled exchange; ``at`` is monotonic seconds."""
        places = [text_hash & LOWER_HALF ^ key_hash for text_hash in hashes]
        self._texts.update(places, at)

    def remember_hits(self, key_hash: int, hits: Iterable[tuple[int, tuple[CueHit, ...]]]) -> None:
        """Remember the cue hits of texts that are remembered."""
        for text_hash, found in hits:
            if found:
                place = under_key(text_hash, key_hash)
                self._hits[place] = found
                if self._texts.added is not None:
                    self._new_hits[place] = found

    def remember_answers(
        self, key_hash: int, asked: bytes, answers: Iterable[bytes], at: float
    ) -> None:
        """Remember what was served to a question; ``at`` is monotonic seconds."""
        for answer in answers:
            pair = _join(key_hash, asked, answer)
            self._pairs.add(pair, at)
            self._latest[pair] = at

    def question(self, exchange: Exchange) -> bytes | None:
        """Return the digest of what the exchange asks: its last turn from a user or a tool."""
        for turn in reversed(exchange.turns):
            if turn.role in {"user", "tool"}:
                return self._digest(turn)
        return None

    def _digest(self, turn: Turn) -> bytes:
        return text_digest(turn.text, self._secret, turn.call_ids)


def _pairs(turns: tuple[Turn, ...]) -> Iterable[tuple[Turn | None, Turn]]:
    """Yield (asked, answered), newest first; an answer that is a mere id may have no question."""
    answered: Turn | None = None
    for turn in reversed(turns):
        if turn.role == "assistant":
            if answered is not None and _is_named(answered):
                yield None, answered
            answered = turn
        elif answered is not None and turn.role != "system":
            yield turn, answered
            answered = None
    if answered is not None and _is_named(answered):
        yield None, answered


def _is_named(turn: Turn) -> bool:
    """Tell whether a turn is nothing but an id by which the upstream knows what it stands for."""
    return not turn.text and len(turn.call_ids) == 1


def _join(key_hash: int, asked: bytes, answer: bytes) -> int:
    """Return one hash of a key and two digests; asked and answered are not interchangeable."""
    pair = int.from_bytes(asked[:8]) ^ (3 * int.from_bytes(answer[:8]) & _MASK)
    return under_key(pair, key_hash)


def unattended(exchange: Exchange, had_seconds: float) -> bool:
    """Tell whether a conversation goes on by itself, faster than its answers can be read.

    Agents do that too, but they send the results of tools; a program that talks to itself sends
    text.
    """
    if had_seconds >= READING_SECONDS:
        return False
    newest = (turn.role for turn in reversed(exchange.turns) if turn.role in {"tool", "assistant"})
    return next(newest) == "assistant"
