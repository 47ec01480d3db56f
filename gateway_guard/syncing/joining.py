"""Rows that go on from others: what was counted since, joined to what was kept before."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gateway_guard import profile

if TYPE_CHECKING:
    from gateway_guard.profile import RowArray

DATA = ("linear", "shingles", "registers", "counts", "panes", "shingled", "first_seen_at")
"""What of a row is counted."""

_MOST_EVICTED = 4096


class Evicted(NamedTuple):
    """A row that gave way, and whether it is all that its writer knows."""

    row: RowArray
    based: bool


class Leftovers(dict[bytes, Evicted]):
    """Rows that gave way and are not pushed yet, by subject; where they are many, the first go."""

    def __init__(self) -> None:
        super().__init__()
        self._dropped = 0

    def keep(self, subject: bytes, gone: Evicted) -> None:
        """Keep a row, joined to what is kept of its subject."""
        before = self.pop(subject, None)
        if before is not None:
            gone = Evicted(joined(before.row, gone.row), before.based or gone.based)
        self[subject] = gone
        if len(self) > _MOST_EVICTED:
            self.pop(next(iter(self)))
            self._dropped += 1

    def take_dropped(self) -> int:
        """Return how many went since the last time."""
        dropped, self._dropped = self._dropped, 0
        return dropped


def clear(row: RowArray, reset_epoch: int) -> None:
    """Let a row begin anew, as of a pardon."""
    for name in DATA:
        row[name] = 0
    row["reset_epoch"] = reset_epoch
    row["sequence"] += 1


def joined(base: RowArray, row: RowArray) -> RowArray:
    """Return a writer's part that goes on from its base, newer than both."""
    if base["reset_epoch"][0] < row["reset_epoch"][0]:
        joined = row.copy()
    else:
        # What was counted since the base was left is as new as its last pardon.
        delta = row.copy()
        delta["reset_epoch"] = base["reset_epoch"]
        joined = profile.combine(base, delta)
    joined["sequence"] = base["sequence"] + row["sequence"] + np.uint64(1)
    joined["subject"], joined["version"] = row["subject"], profile.LAYOUT_VERSION
    return joined
