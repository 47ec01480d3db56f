"""Family distribution: what is asked, compared with what people ask and with public pools."""

from __future__ import annotations

from gateway_guard.model.words import WIDTH
from gateway_guard.profile import Slot
from gateway_guard.signals.view import Evidence, View, ramp

_FAMILY = "distribution"
_NEAR, _FAR = 0.03, 0.15
_NOISE = 0.5  # of the statistic, times the sample: people with one subject of their own


def population_shift(view: View) -> Evidence | None:
    """Speak when the caller's own words stand apart from what people ask."""
    sums = view.sums
    count, squares = sums[Slot.DIRECTED], sums[Slot.DIRECTED_SQUARES]
    effective = count * count / squares if squares > 0.0 else 0.0
    if effective < view.minimum:
        return None
    total = sums[Slot.DIRECTION : Slot.DIRECTION + WIDTH]
    shift = view.population.shift(total, count, squares)
    value = ramp(shift - _NOISE / effective, _NEAR, _FAR)
    detail = f"{shift:.3f} away from what people ask, over {count:.0f} texts"
    return Evidence("population_shift", _FAMILY, value, detail)
