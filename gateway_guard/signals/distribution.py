"""Family distribution: what is asked, compared with what people ask and with public pools."""

from __future__ import annotations

import math

from gateway_guard.model.words import WIDTH
from gateway_guard.principal import SubjectKind
from gateway_guard.profile import Slot
from gateway_guard.signals.view import Evidence, View, ramp

_FAMILY = "distribution"
_NEAR, _FAR = 0.03, 0.15
_NOISE = 0.5  # of the statistic, times the sample: people with one subject of their own


def population_shift(view: View) -> Evidence | None:
    """Speak when the caller's own words stand apart from what people ask."""
    sums = view.sums
    count, squares = sums[Slot.DIRECTED], sums[Slot.DIRECTED_SQUARES]
    effective = count * count / squares if squares > 0.0 else 0.0
    if effective < view.minimum:
        return None
    total = sums[Slot.DIRECTION : Slot.DIRECTION + WIDTH]
    shift = view.population.shift(total, count, squares)
    value = ramp(shift - _NOISE / effective, _NEAR, _FAR)
    detail = f"{shift:.3f} away from what people ask, over {count:.0f} texts"
    return Evidence("population_shift", _FAMILY, value, detail)


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
