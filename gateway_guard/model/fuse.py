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

    _Numbers = np.uint64 | npt.NDArray[np.uint64]

Hashes = npt.NDArray[np.uint64]
Slots = npt.NDArray[np.int64]

FALSE_POSITIVES: Final = 1 / 256
_ARITY: Final = 3
_LONGEST_SEGMENT: Final = 1 << 18
_ATTEMPTS: Final = 64
_HALF, _MIDDLE, _ODD = np.uint64(32), np.uint64(18), np.uint64(33)
_GOLDEN, _MOST = 0x9E3779B97F4A7C15, (1 << 64) - 1
_MIX: Final = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))


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
    """A set of 64-bit hashes, as it is stored: ``fingerprints`` has a byte for each place."""

    seed: int
    shape: Shape
    fingerprints: npt.NDArray[np.uint8]


class FuseStack:
    """Several filters that are looked at together, because each step costs more to begin."""

    __slots__ = ("_bases", "_lengths", "_masks", "_odds", "_spans", "_table")

    def __init__(self, filters: Sequence[FuseFilter]) -> None:
        """Lay the tables of the filters side by side."""
        shapes = [each.shape for each in filters]
        sizes = np.array([0, *(shape.places for shape in shapes)], np.int64)
        self._bases = sizes[:-1].cumsum()[:, None]
        self._lengths = _column([shape.segment_length for shape in shapes])
        self._spans = _column([shape.span for shape in shapes])
        self._masks = self._lengths - np.uint64(1)
        self._odds = _column([_odd(each.seed) for each in filters])
        tables = [each.fingerprints for each in filters]
        self._table = np.concatenate(tables) if tables else np.zeros(0, np.uint8)

    def contains(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Tell of each filter, whether it holds each of n hashes; shape (filters, n)."""
        keyed = _mixed(hashes) * self._odds
        wanted = keyed.astype(np.uint8)
        keyed ^= keyed >> _HALF
        slots = _slots(keyed, self._spans, self._lengths, self._masks)
        for places in slots:
            wanted ^= self._table.take(places + self._bases)
        held: npt.NDArray[np.bool_] = wanted == 0
        return held


def build(hashes: Hashes) -> FuseFilter:
    """Make the filter of hashes, shape (n,); the same hashes make the same filter.

    Raises:
        GatewayGuardError: no seed of 64 works, which never happens by chance.

    """
    distinct = np.unique(hashes)
    shape = shape_for(distinct.size)
    mixed = _mixed(distinct)
    length, span = np.uint64(shape.segment_length), np.uint64(shape.span)
    for seed in range(_ATTEMPTS):
        keyed = mixed * np.uint64(_odd(seed))
        wanted = keyed.astype(np.uint8)
        keyed ^= keyed >> _HALF
        slots = np.stack(_slots(keyed, span, length, length - np.uint64(1)))
        order = list(_peel(slots, shape.places))
        if sum(layer.size for layer, _ in order) == distinct.size:
            return FuseFilter(seed, shape, _assigned(wanted, slots, order, shape.places))
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


def _mixed(hashes: Hashes) -> Hashes:
    """Return hashes whose bits all depend on each other's (the finaliser of MurmurHash3)."""
    mixed = hashes ^ (hashes >> _ODD)
    for factor in _MIX:
        mixed *= factor
        mixed ^= mixed >> _ODD
    return mixed


def _odd(seed: int) -> int:
    """Return the factor that one of the attempts gives hashes."""
    return (2 * seed + 1) * _GOLDEN & _MOST


def _slots(
    keyed: Hashes, span: _Numbers, length: _Numbers, mask: _Numbers
) -> tuple[Slots, Slots, Slots]:
    """Return the three places of each hash, in three neighbouring segments."""
    first = (keyed >> _HALF) * span >> _HALF
    second = (first + length) ^ ((keyed >> _MIDDLE) & mask)
    third = (first + length + length) ^ (keyed & mask)
    return first.view(np.int64), second.view(np.int64), third.view(np.int64)


def _column(numbers: Sequence[int]) -> Hashes:
    return np.array(numbers, np.uint64)[:, None]
