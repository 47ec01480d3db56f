"""The slab: one preallocated array of rows, so that memory is exactly bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt


class Slab:
    """Rows of one fixed layout, handed out until there are no more.

    Then a second-chance hand (the CLOCK algorithm) takes back one that was not touched since the
    hand last passed, and tells its owner through ``evicted``. Pages that were never touched cost no
    resident memory.
    """

    def __init__(
        self, layout: np.dtype[np.void], capacity: int, evicted: Callable[[int], None]
    ) -> None:
        """Reserve ``capacity`` rows, at least 1, of a structured layout."""
        self.rows: npt.NDArray[Any] = np.zeros(capacity, dtype=layout)
        self.touched = np.zeros(capacity, dtype=np.bool_)
        self.capacity = capacity
        self._evicted = evicted
        self._used = 0
        self._hand = 0

    def __len__(self) -> int:
        """Return the number of rows handed out."""
        return self._used

    def acquire(self) -> int:
        """Hand out a zeroed row and return its number."""
        if self._used < self.capacity:
            row, self._used = self._used, self._used + 1
        else:
            row = self._reclaim()
        self.rows[row] = 0
        return row

    def _reclaim(self) -> int:
        """Take back the next row that was not touched, clearing the marks that the hand passes."""
        touched, hand = self.touched, self._hand
        for begin, end in ((hand, self.capacity), (0, hand), (hand, self.capacity)):
            passed = touched[begin:end]
            place = int(passed.argmin()) if len(passed) else 0
            if len(passed) and not passed[place]:
                passed[:place] = False
                return self._take(begin + place)
            passed[:] = False
        return self._take(0)

    def _take(self, row: int) -> int:
        self._hand = (row + 1) % self.capacity
        self._evicted(row)
        return row
