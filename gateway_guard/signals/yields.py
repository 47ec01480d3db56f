"""Family yield: long answers for short questions, budgets at the ceiling."""

from __future__ import annotations

from gateway_guard.profile import Slot
from gateway_guard.signals.view import Evidence, View, ramp

_FAMILY = "yield"


def teacher_yield(view: View) -> Evidence | None:
    """Speak when exchanges without observed history draw long answers for short questions.

    A conversation begins with such an exchange too, so the mean is weighed by how few have history.
    """
    answered = view.sums[Slot.ANSWERED]
    if answered < view.minimum:
        return None
    mean = view.sums[Slot.YIELD] / (answered + 2.0)
    value = ramp(mean * view.share(Slot.SINGLE), 0.03, 0.3)
    detail = f"answers of about {_length(view):.0f} letters, yield {mean:.2f} a question"
    return Evidence("teacher_yield", _FAMILY, value, detail)


def budget_saturation(view: View) -> Evidence | None:
    """Speak when budgets stand near the ceiling in exchanges without observed history.

    A default that nobody has lowered saturates nothing: answers of a word or two do not count.
    """
    if view.exchanges < view.minimum:
        return None
    ceiling, thinking = view.share(Slot.CEILING), view.share(Slot.THINKING)
    value = ramp(max(ceiling, thinking), 0.1, 0.8)
    if view.sums[Slot.ANSWERED] >= view.minimum:
        value *= ramp(_length(view), 20.0, 80.0)
    detail = f"output budget at the ceiling in {ceiling:.0%}, thinking budget in {thinking:.0%}"
    return Evidence("budget_saturation", _FAMILY, value, detail)


def _length(view: View) -> float:
    """Return the geometric mean of the answers' lengths, in Latin-letter equivalents."""
    return float(2.0 ** (view.sums[Slot.ANSWER_LOG] / view.sums[Slot.ANSWERED]))
