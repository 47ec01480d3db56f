"""Family distribution: vocabulary that grows with every question, as in a sweep over all topics."""

from __future__ import annotations

import math

from gateway_guard.signals.answers import damped
from gateway_guard.signals.view import Evidence, View, ramp
from gateway_guard.signals.yields import yielded

_FAMILY = "distribution"
_FEWEST_TERMS = 20.0  # times the smallest sample
_OF_ONE_SUBJECT, _OF_ALL = 0.86, 0.97
"""Of n words about n to the power of these differ (Heaps, 1978)."""

_SWEEP = (6.0, 9.0)
"""In powers of two: a curious person asks about fifty things, a sweep goes on and on."""


def breadth(view: View) -> Evidence | None:
    """Speak when nearly every question is about something that no earlier one was about.

    A person comes back to what he works on, and programs that look through documents of all kinds
    take home little of each. Up to two long words of each question are compared.
    """
    distinct, counted = view.reading.terms
    if view.exchanges < view.minimum or counted < view.minimum * _FEWEST_TERMS:
        return None
    growth = math.log(max(1.0, distinct)) / math.log(counted)
    swept = ramp(math.log2(max(1.0, distinct)), *_SWEEP)
    value = ramp(growth, _OF_ONE_SUBJECT, _OF_ALL) * swept * yielded(view)
    detail = f"{distinct:.0f} different ones among {counted} words that tell topics"
    return Evidence("breadth", _FAMILY, damped(view, value), detail)
