"""Bounds on what is looked at in one body: a small one can hold millions of small things."""

from __future__ import annotations

import msgspec

MOST_TURNS = 10_000
MOST_PARTS = 10_000
MOST_NODES = 50_000
MOST_DEPTH = 32
MOST_STRING_DEPTH = 256
MOST_TOKEN_NUMBERS = 2**18
OBJECT_COST = 3
"""To look what an object is takes as long as several values do."""


class TooLargeError(msgspec.ValidationError):
    """There is more in a body than is looked at; its bytes are read as text then."""


class Budget:
    """How many things may still be looked at."""

    __slots__ = ("_left",)

    def __init__(self, most: int = MOST_NODES) -> None:
        self._left = most

    def spend(self, count: int = 1) -> None:
        """Take note that so many things are looked at; raise ``TooLargeError`` once it is spent."""
        self._left -= count
        check_bound(-self._left, 0)


def check_bound(count: int, most: int) -> None:
    """Raise ``TooLargeError`` where there are more of something than are looked at."""
    if count > most:
        message = "more than is looked at"
        raise TooLargeError(message)
