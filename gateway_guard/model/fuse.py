"""Binary fuse filters: sets of hashes that answer in three looks and nine bits an element.

Graf and Lemire, 2022, 8-bit fingerprints, three places each. What is in the set is always found;
of what is not, one in 256 is found as well.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from gateway_guard.exceptions import GatewayGuardError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Hashes = npt.NDArray[np.uint64]
Slots = npt.NDArray[np.int64]

FALSE_POSITIVES: Final = 1 / 256
_ARITY: Final = 3
_LONGEST_SEGMENT: Final = 1 << 18
_ATTEMPTS: Final = 64
_HALF: Final = np.uint64(32)
_GOLDEN, _MOST = 0x9E3779B97F4A7C15, (1 << 64) - 1


class Shape(NamedTuple):
    """How the places of a filter are laid out: equal segments, a power of two long each."""

    segment_length: int
    segments: int

    @property
    def span(self) -> int:
        """Return the number of places that a hash's first one may be."""
        return self.segments * self.segment_length

    @property
    def places(self) -> int:
        """Return the number of places, a byte each."""
        return (self.segments + _ARITY - 1) * self.segment_length


class FuseFilter(NamedTuple):
    """A set of 64-bit hashes whose bits are mixed already, as it is stored.

    ``fingerprints`` has a byte for each place.
    """

    seed: int
    shape: Shape
    fingerprints: npt.NDArray[np.uint8]


class FuseStack:
    """Several filters that are looked at together, because each step costs more to begin."""

    __slots__ = ("_odds", "_segments", "_table")

    def __init__(self, filters: Sequence[FuseFilter]) -> None:
        """Lay the tables of the filters side by side, each from a multiple of its segments on."""
        bases, size = [], 0
        for each in filters:
            size += -size % each.shape.segment_length
            bases.append(size)
            size += each.shape.places
        self._table = np.zeros(size, np.uint8)
        for base, each in zip(bases, filters, strict=True):
            self._table[base : base + each.shape.places] = each.fingerprints
        self._segments = _Segments([each.shape for each in filters], bases)
        odds = [_odd(each.seed) for each in filters]
        odds = odds[:1] if len(set(odds)) == 1 else odds  # nearly always: then they share a hash
        self._odds = _column(odds)

    def contains(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Tell of each filter, whether it holds each of n hashes; shape (filters, n)."""
        keyed = hashes * self._odds
        found = np.bitwise_xor.reduce(self._table.take(self._segments.slots(keyed)), axis=0)
        held: npt.NDArray[np.bool_] = found == keyed.astype(np.uint8)
        return held


class _Segments:
    """Where hashes have their places, in filters of some shapes that begin at some places."""

    __slots__ = ("_masks", "_shifts", "_spans", "_steps")

    def __init__(self, shapes: Sequence[Shape], bases: Sequence[int]) -> None:
        lengths = _column([shape.segment_length for shape in shapes])
        self._spans = _column([shape.span for shape in shapes])
        self._steps = np.stack([lengths * np.uint64(row) for row in range(_ARITY)])
        self._steps += _column(bases)
        inside = lengths - np.uint64(1)
        self._masks = np.stack([inside - inside, inside, inside])
        self._shifts = np.array([0, 26, 8], np.uint64).reshape(_ARITY, 1, 1)

    def slots(self, keyed: Hashes) -> Slots:
        """Return the places of hashes, shape (filters or 1, n), in three neighbouring segments.

        The upper bits choose the first place, others those in the next two segments; the lowest
        eight are left for the fingerprint.

        The shape of what is returned is (3, filters, n).
        """
        first = (keyed >> _HALF) * self._spans
        first >>= _HALF
        places = first + self._steps
        places ^= (keyed >> self._shifts) & self._masks
        return places.view(np.int64)


def build(hashes: Hashes) -> FuseFilter:
    """Make the filter of hashes, shape (n,); the same hashes make the same filter.

    Raises:
        GatewayGuardError: no seed of 64 works, which never happens by chance.

    """
    distinct = np.unique(hashes)
    shape = shape_for(distinct.size)
    segments = _Segments([shape], [0])
    for seed in range(_ATTEMPTS):
        keyed = distinct * _column([_odd(seed)])
        slots = segments.slots(keyed)[:, 0]
        order = list(_peel(slots, shape.places))
        if sum(layer.size for layer, _ in order) == distinct.size:
            return FuseFilter(
                seed, shape, _assigned(keyed[0].astype(np.uint8), slots, order, shape.places)
            )
    message = "no filter could be made of these hashes"
    raise GatewayGuardError(message)


def shape_for(count: int) -> Shape:
    """Return the layout for so many hashes, as the paper's authors chose it."""
    size = max(2, count)
    length = 1 << math.floor(math.log(size) / math.log(3.33) + 2.25)
    length = min(length, _LONGEST_SEGMENT)
    factor = max(1.125, 0.875 + 0.25 * math.log(1e6) / math.log(size))
    segments = max(1, math.ceil(round(size * factor) / length) - (_ARITY - 1))
    return Shape(length, segments)


def _peel(slots: Slots, places: int) -> Iterator[tuple[Slots, Slots]]:
    """Yield layers of keys that had a place to themselves, each with the row of that place.

    What is left when there is none any more cannot be peeled. Keys of one layer have no place of
    their own in common with another, so a layer is done at once.
    """
    degree = np.bincount(slots.ravel(), minlength=places)
    who = np.zeros(places, np.int64)  # the sum of the keys in a place: the key, where it is one
    keys = np.arange(slots.shape[1])
    for row in slots:
        np.add.at(who, row, keys)
    alone = np.flatnonzero(degree == 1)
    while alone.size:
        layer, first = np.unique(who[alone], return_index=True)
        place = alone[first]
        yield layer, np.argmax(slots[:, layer] == place, axis=0)
        touched = slots[:, layer].ravel()
        np.subtract.at(degree, touched, 1)
        np.subtract.at(who, touched, np.tile(layer, _ARITY))
        candidates = np.unique(touched)
        alone = candidates[degree[candidates] == 1]


def _assigned(
    wanted: npt.NDArray[np.uint8], slots: Slots, order: list[tuple[Slots, Slots]], places: int
) -> npt.NDArray[np.uint8]:
    """Return the fingerprints of all places: the last layer that was peeled is set first."""
    table = np.zeros(places, np.uint8)
    for layer, row in reversed(order):
        own = slots[row, layer]
        others = np.bitwise_xor.reduce(table[slots[:, layer]], axis=0) ^ table[own]
        table[own] = wanted[layer] ^ others
    return table


def _column(numbers: Sequence[int]) -> npt.NDArray[np.uint64]:
    return np.array(numbers, np.uint64).reshape(-1, 1)


def _odd(seed: int) -> int:
    """Return the factor that one of the attempts gives hashes."""
    return (2 * seed + 1) * _GOLDEN & _MOST
