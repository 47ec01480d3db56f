"""What a signal sees, and what it says."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway_guard.model import SHIPPED, Population
from gateway_guard.principal import SubjectKind
from gateway_guard.profile import Reading, Slot


class View(msgspec.Struct, frozen=True, gc=False):
    """One subject at the time of scoring, seen through one of its linear slices.

    ``sums`` is the slice in the order of ``Slot``. ``aged`` is false while the guard is too young
    to know which keys are; signals that stand on age or popularity are silent then. ``minimum`` is
    the smallest sample that may speak, ``population`` what people ask.
    """

    kind: SubjectKind
    sums: list[float]
    reading: Reading
    aged: bool
    minimum: float
    population: Population = SHIPPED.population

    @property
    def exchanges(self) -> float:
        """Return the decayed number of exchanges."""
        return self.sums[Slot.EXCHANGES]

    def share(self, slot: Slot) -> float:
        """Return a slot's mean over the exchanges, as if two more had come without it."""
        return self.sums[slot] / (self.sums[Slot.EXCHANGES] + 2.0)


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """What one signal says: a value in [0, 1] and a detail that an operator can read."""

    signal: str
    family: str
    value: float
    detail: str


_LONGEST_LOG = 64.0


def length(view: View) -> float:
    """Return the geometric mean of the answers' lengths, in Latin-letter equivalents."""
    answered = view.sums[Slot.ANSWERED]
    return (
        float(2.0 ** min(_LONGEST_LOG, view.sums[Slot.ANSWER_LOG] / answered)) if answered else 0.0
    )


Signal = Callable[[View], Evidence | None]


def ramp(value: float, low: float, high: float) -> float:
    """Return 0 up to ``low``, 1 from ``high`` on, and the straight line between."""
    return min(1.0, max(0.0, (value - low) / (high - low)))
