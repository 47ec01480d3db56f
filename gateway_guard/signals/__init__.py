"""Signals: each reads a View and says Evidence, or nothing below its minimum sample."""

from __future__ import annotations

from gateway_guard.signals.access import logit_access, multi_sampling
from gateway_guard.signals.breadth import breadth
from gateway_guard.signals.coordination import key_sharing
from gateway_guard.signals.distribution import corpus_overlap, population_shift
from gateway_guard.signals.elicitation import (
    bypass_search,
    extraction_phrase,
    reasoning_elicitation,
    rubric_judging,
    synthesis_elicitation,
)
from gateway_guard.signals.pacing import closed_loop, instant_maximum
from gateway_guard.signals.template import skeleton_novelty, template_concentration
from gateway_guard.signals.view import Evidence, Signal, View
from gateway_guard.signals.yields import budget_saturation, reasoning_served, teacher_yield

__all__ = ["SIGNALS", "Evidence", "Signal", "View"]

SIGNALS: tuple[Signal, ...] = (
    skeleton_novelty,
    template_concentration,
    teacher_yield,
    budget_saturation,
    reasoning_served,
    reasoning_elicitation,
    synthesis_elicitation,
    rubric_judging,
    extraction_phrase,
    bypass_search,
    breadth,
    logit_access,
    multi_sampling,
    key_sharing,
    closed_loop,
    instant_maximum,
    population_shift,
    corpus_overlap,
)
