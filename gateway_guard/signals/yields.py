"""Family yield: long answers for short questions, budgets at the ceiling."""

from __future__ import annotations

from gateway_guard.profile import Slot
from gateway_guard.signals.answers import damped
from gateway_guard.signals.view import Evidence, View, length, ramp

_FAMILY = "yield"
_SERVED = 0.3  # reasoning that comes with fewer answers comes by the way


def teacher_yield(view: View) -> Evidence | None:
    """Speak when exchanges without observed history draw long answers for short questions.

    A conversation begins with such an exchange too, so the mean is weighed by how few have history.
    """
    answered = view.sums[Slot.ANSWERED]
    if answered < view.minimum:
        return None
    mean = view.sums[Slot.YIELD] / (answered + 2.0)
    value = damped(view, yielded(view))
    detail = f"answers of about {length(view):.0f} letters, yield {mean:.2f} a question"
    return Evidence("teacher_yield", _FAMILY, value, detail)


def yielded(view: View) -> float:
    """Return how much answer each question drew, if nobody replied to it."""
    mean = view.sums[Slot.YIELD] / (view.sums[Slot.ANSWERED] + 2.0)
    return ramp(mean * view.share(Slot.SINGLE), 0.03, 0.3)


def budget_saturation(view: View) -> Evidence | None:
    """Speak when budgets stand near the ceiling in exchanges without observed history.

    A default that nobody has lowered saturates nothing: answers of a word or two do not count.
    """
    if view.exchanges < view.minimum:
        return None
    ceiling, thinking = view.share(Slot.CEILING), view.share(Slot.THINKING)
    value = ramp(max(ceiling, thinking), 0.1, 0.8)
    if view.sums[Slot.ANSWERED] >= view.minimum:
        value = damped(view, value * ramp(length(view), 20.0, 80.0))
    detail = f"output budget at the ceiling in {ceiling:.0%}, thinking budget in {thinking:.0%}"
    return Evidence("budget_saturation", _FAMILY, value, detail)


def reasoning_served(view: View) -> Evidence | None:
    """Speak when the reasoning is served along with long answers that nobody replies to."""
    answered = view.sums[Slot.ANSWERED]
    if answered < view.minimum:
        return None
    served, single = view.sums[Slot.REASONED] / (answered + 2.0), view.share(Slot.SINGLE)
    if served < _SERVED:
        return None
    value = ramp(served, _SERVED, 0.8) * ramp(length(view), 500.0, 4000.0) * single
    value = damped(view, value)
    detail = f"reasoning served with {served:.0%} of answers of about {length(view):.0f} letters"
    return Evidence("reasoning_served", _FAMILY, value, detail)
