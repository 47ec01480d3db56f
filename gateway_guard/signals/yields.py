"""Family yield: long answers for short questions, budgets at the ceiling."""

from __future__ import annotations

from gateway_guard.profile import Slot
from gateway_guard.signals.view import Evidence, View, ramp

_FAMILY = "yield"


def teacher_yield(view: View) -> Evidence | None:
    """Speak when exchanges without observed history draw long answers for short questions."""
    answered = view.sums[Slot.ANSWERED]
    if answered < view.minimum:
        return None
    mean = view.sums[Slot.YIELD] / (answered + 2.0)
    length = 2.0 ** (view.sums[Slot.ANSWER_LOG] / answered)
    detail = f"answers of about {length:.0f} characters, yield {mean:.2f} a question"
    return Evidence("teacher_yield", _FAMILY, ramp(mean, 0.05, 0.6), detail)


def budget_saturation(view: View) -> Evidence | None:
    """Speak when budgets stand near the ceiling in exchanges without observed history."""
    if view.exchanges < view.minimum:
        return None
    ceiling, thinking = view.share(Slot.CEILING), view.share(Slot.THINKING)
    detail = f"output budget at the ceiling in {ceiling:.0%}, thinking budget in {thinking:.0%}"
    return Evidence("budget_saturation", _FAMILY, ramp(max(ceiling, thinking), 0.1, 0.7), detail)
