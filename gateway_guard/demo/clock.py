"""Time that moves only when the stage says so: ten days of event time pass in half a minute."""

from __future__ import annotations

from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0
# A Monday, 2026-09-07 00:00 UTC: fixed, so that a seed tells the same story every time.
EPOCH: Final = 1_788_739_200.0
BOOT: Final = 1000.0


class VirtualClock:
    """A wall clock and a monotonic timer that agree and stand still between two events."""

    def __init__(self) -> None:
        self.elapsed_seconds = 0.0

    def time(self) -> float:
        """Return the instant of the current event in seconds since 1970."""
        return EPOCH + self.elapsed_seconds

    def monotonic(self) -> float:
        """Return seconds since an arbitrary start."""
        return BOOT + self.elapsed_seconds

    def advance(self, elapsed_seconds: float) -> None:
        """Move to an instant, counted from the beginning of the story; never backwards."""
        self.elapsed_seconds = max(self.elapsed_seconds, elapsed_seconds)
