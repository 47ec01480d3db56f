"""Count-min rows over shingles: how often was this window of words seen?

Cormode and Muthukrishnan, "An improved data stream summary: the count-min sketch and its
applications" (2005). Two rows of 256 counters: an estimate is never below the true count, and
exceeds it by more than 2/256 of everything counted with a probability of at most 1/4. Counters are
halved on a schedule, so that the sketch stays recent and a counter never overflows in practice;
adding saturates all the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

CountArray = npt.NDArray[np.uint16]
HashArray = npt.NDArray[np.uint64]
CellArray = npt.NDArray[np.intp]

DEPTH = 2
WIDTH = 256
HALVE_AT = 512
"""A sketch is halved once this many exchanges have been counted in it."""

_SATURATED = np.iinfo(np.uint16).max
_ROW_STARTS = np.arange(DEPTH, dtype=np.intp)[:, None] * WIDTH
_ONE = np.uint16(1)
_LITTLE_ENDIAN = np.dtype("<u8")


def cells(hashes: HashArray) -> CellArray:
    """Return the places, shape (2, n), of n hashes in a sketch laid out flat.

    The column of row ``i`` is byte ``i`` of the hash.
    """
    columns = np.ascontiguousarray(hashes, _LITTLE_ENDIAN).view(np.uint8).reshape(-1, 8)
    places = columns[:, :DEPTH].T.astype(np.intp, order="C")
    places += _ROW_STARTS
    return places


def count(counters: CountArray, places: CellArray) -> CountArray:
    """Count every place of a flat array in place, saturating; return the counters they have now.

    Fewer than 65,536 of the places may be the same.
    """
    flat = places.ravel()
    before = counters.take(flat)
    np.add.at(counters, flat, _ONE)
    after = counters.take(flat)
    wrapped = after < before
    if wrapped.any():
        counters[flat[wrapped]] = _SATURATED
        after[wrapped] = _SATURATED
    counted: CountArray = after.reshape(places.shape)
    return counted


def estimate(counted: CountArray) -> CountArray:
    """Estimate how often n hashes were counted from their counters, shape (2, n)."""
    estimated: CountArray = np.minimum(counted[0], counted[1])
    return estimated


def combine(left: CountArray, right: CountArray) -> CountArray:
    """Combine two writers' sketches: a saturating sum."""
    total: npt.NDArray[np.uint32] = np.minimum(left.astype(np.uint32) + right, _SATURATED)
    return total.astype(np.uint16)
