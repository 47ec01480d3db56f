"""How often did windows of words come by lately, over all subjects together?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FEWEST_REPEATS = 4
"""A window of words recurs once it has come so often."""

_DEPTH = 4
_WIDTH = 1 << 16
_HALVE_AT = _WIDTH * 4
_STARTS = np.arange(_DEPTH, dtype=np.intp) * _WIDTH
_ONE = np.uint32(1)
_RANK_SHIFT = np.uint64(40)
_RANKS = float(1 << 24) + 1.0
_RANKS_KEPT = 8192
# The windows of a text are those with the smallest hashes, so their upper bits say little: an odd
# multiplier brings the lower ones there (multiply-shift hashing, Dietzfelbinger et al., 1997).
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class Popularity:
    """A count-min sketch of 4 x 65,536 counters, halved after every four windows a column.

    An estimate is never below what was counted since then plus half of what was counted before.
    """

    def __init__(self) -> None:
        """Begin with nothing counted; takes 1 MiB, and as much again for what recurs."""
        self._counters = np.zeros(_DEPTH * _WIDTH, dtype=np.uint32)
        self._counted = 0
        self._ranks: dict[int, float] = {}
        self._older_ranks: dict[int, float] = {}

    def estimate(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
        """Return estimated counts of hashes of shape (n,)."""
        counted: npt.NDArray[np.uint32] = self._counters.take(_cells(hashes)).min(axis=1)
        return counted

    def update(self, hashes: npt.NDArray[np.uint64]) -> None:
        """Count hashes of shape (n,), each as often as it comes."""
        cells = _cells(hashes)
        np.add.at(self._counters, cells.ravel(), _ONE)
        self._rank(hashes, self._counters.take(cells).min(axis=1))
        self._counted += len(hashes)
        if self._counted >= _HALVE_AT:
            self._counters >>= _ONE
            self._counted //= 2

    def rarest(self, hashes: npt.NDArray[np.uint64]) -> int | None:
        """Return the least popular of the windows that recur, ``None`` where none does.

        Weighted min-hash: a window's rank is exponentially distributed, with the number of binary
        digits of its count as the mean. So boilerplate is rarely chosen, and of the windows of one
        template the same one is chosen in every request that has it.
        """
        windows = frozenset(hashes.tolist())
        for ranks in (self._ranks, self._older_ranks):
            recurring = windows & ranks.keys()
            if recurring:
                chosen: int = min(recurring, key=ranks.__getitem__)
                return chosen
        return None

    def _rank(self, hashes: npt.NDArray[np.uint64], counts: npt.NDArray[np.uint32]) -> None:
        """Keep the ranks of the windows that have recurred, the latest ones."""
        recurring = counts >= FEWEST_REPEATS
        uniform = ((hashes[recurring] * _SPREAD) >> _RANK_SHIFT).astype(np.float64)
        digits = np.frexp(counts[recurring].astype(np.float64))[1]
        ranks = -np.log((uniform + 1.0) / _RANKS) * digits
        self._ranks.update(zip(hashes[recurring].tolist(), ranks.tolist(), strict=True))
        if len(self._ranks) > _RANKS_KEPT:
            self._older_ranks, self._ranks = self._ranks, {}


def _cells(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    """Return the places of n hashes, shape (n, 4)."""
    columns = (hashes * _SPREAD).astype("<u8", copy=False).view("<u2").reshape(-1, _DEPTH)
    return columns.astype(np.intp) + _STARTS
