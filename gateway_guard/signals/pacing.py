"""Family pacing: how exchanges follow each other. It never convicts alone."""

from __future__ import annotations

import math

from gateway_guard.principal import SubjectKind
from gateway_guard.profile import Slot
from gateway_guard.signals.view import Evidence, View, ramp

_FAMILY = "pacing"
_OF_AN_HOUR = 0.11  # ten minutes' share of the fast slice at an even rate: ln 2 / 6
_ALONE = 0.6  # what a single worker that never pauses says


def instant_maximum(view: View) -> Evidence | None:
    """Speak when a young key has asked from its first minutes on as fast as it ever did.

    People and products begin with a few tries, and their use grows.
    """
    early, hour = view.reading.slow[Slot.EARLY], view.reading.fast[Slot.EXCHANGES]
    if view.kind != SubjectKind.KEY or not view.aged or early < view.minimum:
        return None
    unchanged = ramp(early / max(early, hour), _OF_AN_HOUR / 3.0, _OF_AN_HOUR)
    value = ramp(math.log2(early), 4.0, 7.0) * unchanged * view.share(Slot.SINGLE)
    detail = f"{early:.0f} exchanges in the first ten minutes of the key, {hour:.0f} of late"
    return Evidence("instant_maximum", _FAMILY, value, detail)


def closed_loop(view: View) -> Evidence | None:
    """Speak when exchanges under way stand at a ceiling, or each starts as another ends.

    Arrivals that do not wait for answers find a Poisson number under way, whose variance equals its
    mean; workers that each wait for their answer keep it at their own number.
    """
    count = view.exchanges
    if count < view.minimum:
        return None
    mean = view.sums[Slot.INFLIGHT] / count
    variance = max(0.0, view.sums[Slot.INFLIGHT_SQUARED] / count - mean * mean)
    refilled, single = view.share(Slot.REFILL), view.share(Slot.SINGLE)
    steady = ramp(mean, 2.0, 8.0) * (1.0 - ramp(variance / max(1.0, mean), 0.25, 0.7))
    refilling = ramp(refilled, 0.3, 0.75) * (_ALONE + (1.0 - _ALONE) * ramp(mean, 1.5, 5.0))
    value = max(steady, refilling) * single
    detail = f"{mean:.1f} exchanges under way, {refilled:.0%} start as another ends"
    return Evidence("closed_loop", _FAMILY, value, detail)
