"""Family access: asking for more of the model's distribution than its words."""

from __future__ import annotations

from gateway_guard.profile import Slot
from gateway_guard.signals.view import Evidence, View, ramp

_FAMILY = "access"


def logit_access(view: View) -> Evidence | None:
    """Speak when log-probabilities or sweeps of logit bias are asked for again and again."""
    if view.exchanges < view.minimum:
        return None
    share = view.share(Slot.LOGITS)
    detail = f"log-probabilities or logit bias at {share:.2f} of what the API gives"
    return Evidence("logit_access", _FAMILY, ramp(share, 0.05, 0.8), detail)
