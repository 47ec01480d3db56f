"""Family elicitation: asking for reasoning or training material, or a known prompt."""

from __future__ import annotations

from gateway_guard.profile import Slot
from gateway_guard.signals.view import Evidence, View, ramp

_FAMILY = "elicitation"


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


def _cue(view: View, signal: str, slot: Slot, says: str, weight: float = 1.0) -> Evidence | None:
    """Say how often a cue came; a conversation around it, which can be staged, does not ease it."""
    if view.exchanges < view.minimum:
        return None
    share = view.share(slot)
    value = weight * ramp(share, 0.15, 0.7)
    return Evidence(signal, _FAMILY, value, f"{says} in {share:.0%} of exchanges")
