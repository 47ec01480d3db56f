"""Family elicitation: asking for reasoning or training material, or a known prompt."""

from __future__ import annotations

import math

from gateway_guard.profile import Slot
from gateway_guard.signals.view import Evidence, View, length, ramp

_FAMILY = "elicitation"
_CUED = 0.15  # a cue that comes in fewer exchanges is no purpose
_FEWEST_REWORDED = 0.5  # of the smallest sample


def reasoning_elicitation(view: View) -> Evidence | None:
    """Speak when the constant part asks for reasoning to be written out, and nobody reads it."""
    single = view.share(Slot.SINGLE)
    return _cue(view, "reasoning_elicitation", Slot.REASONING_CUE, "asks for reasoning", single)


def synthesis_elicitation(view: View) -> Evidence | None:
    """Speak when the constant part asks for instructions, questions or data sets."""
    return _cue(view, "synthesis_elicitation", Slot.SYNTHESIS_CUE, "asks for tasks or data")


def extraction_phrase(view: View) -> Evidence | None:
    """Speak when a published extraction phrase stands in the constant part."""
    return _cue(view, "extraction_phrase", Slot.EXTRACTION_CUE, "carries a published phrase")


def rubric_judging(view: View) -> Evidence | None:
    """Speak when ever new texts are graded by a rubric, as for training on preferences.

    Evaluations and builds grade too, but the same few items again and again.
    """
    distinct, counted = view.reading.bodies
    cued = view.share(Slot.RUBRIC_CUE)
    if cued < _CUED or view.exchanges < view.minimum or counted < view.minimum:
        return None
    novelty = ramp(distinct / counted, 0.5, 0.9) * ramp(math.log2(1.0 + distinct), 5.0, 9.0)
    value = ramp(cued, _CUED, 0.7) * novelty * view.share(Slot.SINGLE) ** 2
    value *= 1.0 - ramp(length(view), 800.0, 3200.0)
    detail = f"grades by a rubric in {cued:.0%} of exchanges, {distinct:.0f} different bodies"
    return Evidence("rubric_judging", _FAMILY, value, detail)


def bypass_search(view: View) -> Evidence | None:
    """Speak when what was declined comes again in other words, time after time.

    Who is declined once asks something else, and what sorts texts answers in a word.
    """
    sums = view.sums
    attempts = view.exchanges + sums[Slot.REJECTED]
    if attempts < view.minimum or sums[Slot.REWORDED] < _FEWEST_REWORDED * view.minimum:
        return None
    declined = sums[Slot.DECLINED] / (attempts + 2.0)
    reworded = sums[Slot.REWORDED] / (attempts + 2.0)
    value = ramp(reworded, 0.08, 0.35) * ramp(declined, 0.08, 0.35)
    detail = f"{declined:.0%} declined, {reworded:.0%} say the same in other words"
    return Evidence("bypass_search", _FAMILY, value, detail)


def _cue(view: View, signal: str, slot: Slot, says: str, weight: float = 1.0) -> Evidence | None:
    """Say how often a cue came; a conversation around it, which can be staged, does not ease it."""
    if view.exchanges < view.minimum:
        return None
    share = view.share(slot)
    value = weight * ramp(share, _CUED, 0.7)
    return Evidence(signal, _FAMILY, value, f"{says} in {share:.0%} of exchanges")
