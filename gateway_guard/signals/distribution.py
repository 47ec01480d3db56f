"""Family distribution: what is asked, compared with public pools of questions."""

from __future__ import annotations

import math

from gateway_guard.principal import SubjectKind
from gateway_guard.profile import Slot
from gateway_guard.signals.view import Evidence, View, ramp

_FAMILY = "distribution"


def corpus_overlap(view: View) -> Evidence | None:
    """Speak when items of public train splits are asked, each about once, and no evaluation.

    A corpus itself shows nothing else, so of it this says that many of its items are asked by young
    keys. Of what a single key asks of it, which is chosen for being from it, it says nothing.
    """
    if view.exchanges < view.minimum or view.kind is SubjectKind.TEMPLATE_IN_KEY:
        return None
    distinct, counted = view.reading.bodies
    single, young = view.share(Slot.SINGLE), view.share(Slot.YOUNG)
    train, test = view.share(Slot.TRAIN), view.share(Slot.TEST)
    if view.kind is SubjectKind.CORPUS:
        asked = ramp(math.log2(1.0 + distinct), 5.0, 7.0) * ramp(young, 0.3, 0.8)
        value = asked * single if view.aged else 0.0
        detail = f"{distinct:.0f} items of a train split, {young:.0%} by young keys"
        return Evidence("corpus_overlap", _FAMILY, value, detail)
    value = ramp(train - test, 0.1, 0.6) * ramp(distinct / max(1, counted), 0.3, 0.7) * single
    detail = f"items of train splits in {train:.0%} of exchanges, of test splits in {test:.0%}"
    return Evidence("corpus_overlap", _FAMILY, value, detail)
