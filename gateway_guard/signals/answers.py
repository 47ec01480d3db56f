"""What answers say for a subject: copied from the request, or one of a few labels.

Nothing speaks for a subject in this product, as weights are never negative: it makes those signals
quieter that stand on how much was asked for and how new it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.profile import LABEL_PLACES, Slot
from gateway_guard.signals.view import ramp

if TYPE_CHECKING:
    from gateway_guard.signals.view import View

_FEWEST_COMPARED = 0.5  # of the smallest sample
_FEWEST_LABELLED = 3.0  # times the smallest sample: a few answers share a place by chance
_PLACES = float(len(LABEL_PLACES))


def damped(view: View, value: float) -> float:
    """Return a value that stands on what was asked for, by what the answers say to it."""
    return value * original(view) * varied(view) if value > 0 else 0.0


def original(view: View) -> float:
    """Return 0 where answers are copied from what was asked, 1 where they are written for it."""
    compared = view.sums[Slot.COMPARED]
    if compared < view.minimum * _FEWEST_COMPARED:
        return 1.0
    return 1.0 - ramp(view.sums[Slot.CONTAINED] / compared, 0.35, 0.75)


def varied(view: View) -> float:
    """Return 0 where answers are one of about five labels, 1 where they are another each time."""
    return 1.0 - ramp(agreement(view), 0.08, 0.2)


def agreement(view: View) -> float:
    """Estimate how likely two answers of a subject are the same, 0 below the smallest sample.

    Different answers share one of the eight places by chance, which is taken off, as is each
    answer's agreement with itself.
    """
    places = [view.sums[place] for place in LABEL_PLACES]
    total = sum(places)
    if total < view.minimum * _FEWEST_LABELLED:
        return 0.0
    pairs = sum(count * count for count in places) - total
    same = pairs / (total * (total - 1.0))
    return max(0.0, (same - 1.0 / _PLACES) / (1.0 - 1.0 / _PLACES))
