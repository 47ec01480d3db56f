"""Instants: one reading of both clocks, taken once per request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

STEP_SECONDS = 60.0
"""Clocks that disagree by more than this are anchored to each other anew."""


class Instant(msgspec.Struct, frozen=True, gc=False):
    """One moment: ``steady`` never jumps and measures time, ``wall`` is shown and stored."""

    wall: float
    steady: float


class Timeline:
    """Reads a wall clock and a monotonic timer as one.

    ``steady`` starts as wall-clock seconds and advances with the timer alone, so a stepped wall
    clock decays nothing. ``wall`` is ``steady`` plus an offset that changes only when the two
    disagree by more than ``STEP_SECONDS``.
    """

    def __init__(self, clock: Callable[[], float], timer: Callable[[], float]) -> None:
        """Anchor both clocks to each other."""
        self._clock, self._timer = clock, timer
        self._origin = clock() - timer()
        self._offset = 0.0

    def now(self) -> Instant:
        """Return the present."""
        steady = self._origin + self._timer()
        drift = self._clock() - steady - self._offset
        if drift > STEP_SECONDS or drift < -STEP_SECONDS:
            self._offset += drift
        return Instant(steady + self._offset, steady)
