"""What a verdict can ask for, from nothing to refusal."""

from __future__ import annotations

from enum import IntEnum


class Action(IntEnum):
    """The ladder of actions; a larger value is more severe.

    ``PENALTY`` is a throttle without an invitation to come back: it counts as ``THROTTLE`` in every
    table of what a subject may impose.
    """

    PASS = 0
    WATCH = 1
    THROTTLE = 2
    PENALTY = 3
    BLOCK = 4

    @property
    def label(self) -> str:
        """Return the lower-case name used in logs, metrics and JSON."""
        return self.name.lower()

    @property
    def refuses(self) -> bool:
        """Tell whether requests can be refused under this action."""
        return self >= Action.THROTTLE
