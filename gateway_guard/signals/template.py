"""Family template: a constant skeleton with new bodies; one template under many young keys."""

from __future__ import annotations

import math

from gateway_guard.principal import SubjectKind
from gateway_guard.profile import Slot
from gateway_guard.signals.answers import damped
from gateway_guard.signals.view import Evidence, View, ramp

_FAMILY = "template"
_FEWEST_KEYS = 4.0


def skeleton_novelty(view: View) -> Evidence | None:
    """Speak when most of the text recurs, bodies do not, and no history was observed."""
    distinct, counted = view.reading.bodies
    if view.exchanges < view.minimum or counted < view.minimum:
        return None
    constant, single = view.share(Slot.CONSTANT), view.share(Slot.SINGLE)
    value = ramp(constant, 0.15, 0.6) * ramp(distinct / counted, 0.6, 0.9) * single
    value = damped(view, value)
    detail = f"{constant:.0%} of the text is constant over {distinct:.0f} different bodies"
    return Evidence("skeleton_novelty", _FAMILY, value, detail)


def template_concentration(view: View) -> Evidence | None:
    """Speak when a template comes under many keys, most of them young."""
    keys, _ = view.reading.keys
    if view.kind != SubjectKind.TEMPLATE or not view.aged or keys < _FEWEST_KEYS:
        return None
    young = min(1.0, view.reading.young_keys[0] / keys)
    single = view.share(Slot.SINGLE)
    value = ramp(math.log2(keys), 4.0, 8.0) * ramp(young, 0.5, 0.9) * single
    detail = f"one template under {keys:.0f} keys, {young:.0%} of them young"
    return Evidence("template_concentration", _FAMILY, value, detail)
