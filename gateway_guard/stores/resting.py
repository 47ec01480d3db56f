"""Rests of the store's thread, so that no request waits for it.

The interpreter runs one thread at a time. One that computes is asked to give way after five
milliseconds, thirty times what a request takes; one that rests gives way at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

T = TypeVar("T")

REST_SECONDS = 1e-4
"""A thread that merely gives way and does not sleep is back before anybody else has woken up."""


def rest() -> None:
    """Let whoever waits for the interpreter have it."""
    time.sleep(REST_SECONDS)


def with_rests(values: Iterable[T]) -> Iterator[T]:
    """Yield values, with a rest after each has been worked on."""
    for value in values:
        yield value
        rest()


def in_pieces(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield values, ``size`` at a time, with a rest after each piece has been worked on."""
    return with_rests(values[begin : begin + size] for begin in range(0, len(values), size))
