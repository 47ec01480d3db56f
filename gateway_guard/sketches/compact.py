"""Compact memories: instants that outlive rows, and sets that forget.

Both are bounded by construction. Neither stores anything but keyed hashes and instants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

T = TypeVar("T")

_WAYS = 8
_LATEST = (1 << 32) - 1
_HALF = 32


class InstantTable:
    """An instant for each of many 64-bit hashes, 12 bytes an entry, set-associative.

    The first instant given for a hash is kept. Where an entry had to make room, a missing one means
    that nothing is known, not that there was nothing, and one that came later may have been there
    before: both are ``uncertain``. The hashes 0 and 1 share an entry, because 0 marks an empty
    place. Where ``added`` is a dictionary, what is given goes in there too, for others to learn of.
    """

    def __init__(self, size_bytes: int) -> None:
        """Make a table of at most ``size_bytes``, of eight entries at least."""
        buckets = max(1, size_bytes // (12 * _WAYS))
        self._buckets = 1 << (buckets.bit_length() - 1)
        self._hashes = np.zeros(self._buckets * _WAYS, dtype=np.uint64).data
        self._instants = np.zeros(self._buckets * _WAYS, dtype=np.uint32).data
        self._lost_at = np.zeros(self._buckets, dtype=np.uint32).data
        self.overflowed = False
        self.added: dict[int, float] | None = None

    def get(self, hash_: int) -> float | None:
        """Return the instant of a hash, whole seconds, or ``None``."""
        place = self._place(hash_ or 1)
        return None if place < 0 else float(self._instants[place])

    def uncertain(self, hash_: int, at: float | None) -> bool:
        """Tell whether a hash may have had an instant before ``at``, the one it has now, if any."""
        lost_at = self._lost_at[(hash_ or 1) % self._buckets]
        return lost_at > 0 and (at is None or at >= lost_at)

    def add(self, hash_: int, at: float) -> float:
        """Keep ``at`` for a hash unless it has an instant already; return the one it has now."""
        hash_ = hash_ or 1
        place = self._place(hash_)
        if place < 0:
            instant = max(0, min(int(at), _LATEST))
            place = self._room(hash_, instant)
            self._hashes[place] = hash_
            self._instants[place] = instant
        kept = float(self._instants[place])
        if self.added is not None:
            self.added[hash_] = kept
        return kept

    def lower(self, hash_: int, at: float) -> None:
        """Keep ``at`` for a hash unless it has an earlier instant; nobody else learns of it."""
        added, self.added = self.added, None
        if self.add(hash_, at) > at:
            self._instants[self._place(hash_ or 1)] = max(0, int(at))
        self.added = added

    def remove(self, hashes: Collection[int], *, upper_halves: bool = False) -> None:
        """Forget instants; others never learn of them either.

        They are given by their hashes, or all that share the upper 32 bits with some.
        """
        bits = np.uint64(_HALF if upper_halves else 0)
        kept, unwanted = np.asarray(self._hashes), np.array([*hashes], np.uint64) >> bits
        found = np.flatnonzero(np.isin(kept >> bits, unwanted) & (kept > 0))
        kept[found] = np.asarray(self._instants)[found] = 0
        listed = set(unwanted.tolist())
        for hash_ in [hash_ for hash_ in self.added or () if hash_ >> int(bits) in listed]:
            del (self.added or {})[hash_]

    def _place(self, hash_: int) -> int:
        start = (hash_ % self._buckets) * _WAYS
        hashes = self._hashes
        for place in range(start, start + _WAYS):
            if hashes[place] == hash_:
                return place
        return -1

    def _room(self, hash_: int, instant: int) -> int:
        """Return an empty place, or that of the youngest: an old key must not come back young."""
        bucket = hash_ % self._buckets
        start = bucket * _WAYS
        for place in range(start, start + _WAYS):
            if not self._hashes[place]:
                return place
        self.overflowed = True
        self._lost_at[bucket] = self._lost_at[bucket] or max(1, instant)
        return max(range(start, start + _WAYS), key=self._instants.__getitem__)


class TwoPaneSet:
    """A set of 64-bit hashes that forgets: a new pane begins when one is full or its time is over.

    An element is remembered for at least ``pane_seconds``, unless half of ``capacity`` others came
    after it, and gone with the first addition that comes twice as late. Where ``added`` is a list,
    what is added goes in there too, for others to learn of.
    """

    def __init__(self, capacity: int, pane_seconds: float) -> None:
        """Bound the set to ``capacity`` elements in two panes, at least one each."""
        self._pane_capacity = max(1, capacity // 2)
        self._pane_seconds = pane_seconds
        self._newer: set[int] = set()
        self._older: set[int] = set()
        self._turned_at: float | None = None
        self.added: list[int] | None = None

    def __contains__(self, hash_: int) -> bool:
        """Tell whether a hash is remembered."""
        return hash_ in self._newer or hash_ in self._older

    def __len__(self) -> int:
        """Return the number of hashes kept."""
        return len(self._newer) + len(self._older)

    @property
    def panes(self) -> tuple[set[int], set[int]]:
        """Return the newer and the older pane, for many questions before the next addition."""
        return self._newer, self._older

    def update(self, hashes: Collection[int], at: float) -> None:
        """Remember hashes; ``at`` is monotonic seconds."""
        turned_at = self._turned_at
        is_young = turned_at is not None and at - turned_at < self._pane_seconds
        if is_young and len(self._newer) + len(hashes) < self._pane_capacity:
            self._newer.update(hashes)
            if self.added is not None:
                self.added += hashes
            return
        for hash_ in hashes:
            self.add(hash_, at)

    def add(self, hash_: int, at: float) -> None:
        """Remember a hash; ``at`` is monotonic seconds."""
        age = 0.0 if self._turned_at is None else at - self._turned_at
        if self._turned_at is None or age >= 2 * self._pane_seconds:
            self._older, self._newer, self._turned_at = set(), set(), at
        elif age >= self._pane_seconds:
            self._older, self._newer = self._newer, set()
            self._turned_at += self._pane_seconds
        elif self._is_full_without(hash_):
            self._older, self._newer, self._turned_at = self._newer, set(), at
        self._newer.add(hash_)
        if self.added is not None:
            self.added.append(hash_)

    def remove_halves(self, halves: Collection[int]) -> None:
        """Forget the hashes with these upper 32 bits; others never learn of them either."""
        unwanted = np.array([*halves], np.uint64)
        for pane in (self._newer, self._older):
            hashes = np.fromiter(pane, np.uint64, len(pane))
            found = np.isin(hashes >> np.uint64(_HALF), unwanted)
            pane.difference_update(hashes[found].tolist())
        if self.added is not None:
            self.added[:] = [hash_ for hash_ in self.added if hash_ >> _HALF not in halves]

    def _is_full_without(self, hash_: int) -> bool:
        return len(self._newer) >= self._pane_capacity and hash_ not in self._newer


class TwoPaneMap(Generic[T]):
    """A map of 64-bit hashes in two panes: when one is full, the older one is forgotten.

    What is asked for moves into the newer pane, so what is used stays.
    """

    def __init__(self, capacity: int) -> None:
        """Bound the map to ``capacity`` entries in two panes, at least one each."""
        self._pane_capacity = max(1, capacity // 2)
        self._newer: dict[int, T] = {}
        self._older: dict[int, T] = {}

    def __len__(self) -> int:
        """Return the number of entries kept."""
        return len(self._newer) + len(self._older)

    def __setitem__(self, hash_: int, value: T) -> None:
        """Keep a value."""
        if len(self._newer) >= self._pane_capacity and hash_ not in self._newer:
            self._older, self._newer = self._newer, {}
        self._newer[hash_] = value

    def remove(self, hash_: int) -> None:
        """Forget a hash and its value."""
        for pane in (self._newer, self._older):
            pane.pop(hash_, None)

    def remove_halves(self, halves: Collection[int]) -> None:
        """Forget the hashes with these upper 32 bits, and their values."""
        for pane in (self._newer, self._older):
            for hash_ in [hash_ for hash_ in pane if hash_ >> _HALF in halves]:
                del pane[hash_]

    def get(self, hash_: int) -> T | None:
        """Return the value of a hash, ``None`` where none is kept."""
        value = self._newer.get(hash_)
        if value is None and self._older:
            value = self._older.pop(hash_, None)
            if value is not None:
                self[hash_] = value
        return value
