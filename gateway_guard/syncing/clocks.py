"""Instants between a process and a store, whose clocks need not agree."""

from __future__ import annotations

from typing import NamedTuple


class Shift(NamedTuple):
    """What a store's clock is ahead of this process's wall clock, and of its monotonic time.

    An instant of 0 is none, and stays so.
    """

    wall_seconds: float
    steady_seconds: float

    def wall_out(self, at: float) -> float:
        """Return a wall-clock instant as the store has it."""
        return at + self.wall_seconds if at else 0.0

    def wall_in(self, at: float) -> float:
        """Return an instant of the store's as a wall-clock one."""
        return at - self.wall_seconds if at else 0.0

    def steady_out(self, at: float) -> float:
        """Return a monotonic instant as the store has it."""
        return at + self.steady_seconds if at else 0.0

    def steady_in(self, at: float) -> float:
        """Return an instant of the store's as a monotonic one."""
        return at - self.steady_seconds if at else 0.0
