"""Family pacing: how exchanges follow each other. It never convicts alone."""

from __future__ import annotations

from gateway_guard.profile import Slot
from gateway_guard.signals.view import Evidence, View, ramp

_FAMILY = "pacing"


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
    single = view.share(Slot.SINGLE)
    steady = ramp(mean, 2.0, 8.0) * (1.0 - ramp(variance / max(1.0, mean), 0.25, 0.7))
    refilled = view.share(Slot.REFILL)
    value = max(steady, 0.6 * ramp(refilled, 0.3, 0.9)) * single
    detail = f"{mean:.1f} exchanges under way, {refilled:.0%} start as another ends"
    return Evidence("closed_loop", _FAMILY, value, detail)
