"""Signals: each reads a View and says Evidence, or nothing below its minimum sample."""

from __future__ import annotations

from gateway_guard.signals.access import logit_access, multi_sampling
from gateway_guard.signals.distribution import corpus_overlap, population_shift
from gateway_guard.signals.elicitation import (
    extraction_phrase,
    reasoning_elicitation,
    synthesis_elicitation,
)
from gateway_guard.signals.pacing import closed_loop
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
    extraction_phrase,
    logit_access,
    multi_sampling,
    closed_loop,
    population_shift,
    corpus_overlap,
)
