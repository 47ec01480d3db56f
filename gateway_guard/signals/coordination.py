"""Family coordination: many who act as one, or one who acts as many."""

from __future__ import annotations

import math

from gateway_guard.principal import SubjectKind
from gateway_guard.profile import Slot
from gateway_guard.signals.view import Evidence, View, ramp

_FAMILY = "coordination"
_FEW_PLACES = 15.0


def key_sharing(view: View) -> Evidence | None:
    """Speak when one key comes from many networks and clients, with single questions only.

    So does an organisation whose people carry its key home, but they talk.
    """
    places, counted = view.reading.places
    if view.kind != SubjectKind.KEY or places < _FEW_PLACES:
        return None
    if view.exchanges < view.minimum or counted < view.minimum:
        return None
    value = ramp(math.log2(places / _FEW_PLACES), 0.0, 4.0) * ramp(
        view.share(Slot.SINGLE), 0.7, 0.95
    )
    detail = f"one key from {places:.0f} networks and clients"
    return Evidence("key_sharing", _FAMILY, value, detail)
