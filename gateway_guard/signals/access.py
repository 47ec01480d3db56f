"""Family access: asking for more of the model's distribution than its words."""

from __future__ import annotations

import math

from gateway_guard.profile import Slot
from gateway_guard.signals.view import Evidence, View, length, ramp

_FAMILY = "access"
_FEW_TIMES = 2.8


def logit_access(view: View) -> Evidence | None:
    """Speak when log-probabilities or sweeps of logit bias are asked for again and again."""
    if view.exchanges < view.minimum:
        return None
    share = view.share(Slot.LOGITS)
    detail = f"log-probabilities or logit bias at {share:.2f} of what the API gives"
    return Evidence("logit_access", _FAMILY, ramp(share, 0.05, 0.8), detail)


def multi_sampling(view: View) -> Evidence | None:
    """Speak when many questions each have several long answers drawn, at random.

    Evaluations repeat their items too, but with short answers or always the same one, and who is
    not content with an answer tries again twice or thrice.
    """
    distinct, counted = view.reading.bodies
    if view.sums[Slot.ANSWERED] < view.minimum or counted < view.minimum:
        return None
    times = counted / max(1.0, distinct)
    if times < _FEW_TIMES:
        return None
    random = 1.0 - ramp(view.share(Slot.DETERMINISTIC), 0.2, 0.8)
    value = ramp(math.log2(times / _FEW_TIMES), 0.0, 2.5) * ramp(distinct, 2.0, 8.0) * random
    value *= ramp(length(view), 300.0, 1200.0) * view.share(Slot.SINGLE)
    detail = f"{times:.1f} answers of about {length(view):.0f} letters to each question"
    return Evidence("multi_sampling", _FAMILY, value, detail)
