"""Figures that keys' lives add up to, and how sure they are."""

from __future__ import annotations

from math import ceil, inf
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.stats import beta

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Array = npt.NDArray[np.float64]

_CONFIDENCE: Final = 0.95


def auc(positives: Sequence[float], negatives: Sequence[float]) -> float | None:
    """Return the probability that a positive scores above a negative, ties counting half."""
    if not positives or not negatives:
        return None
    ordered = np.sort(np.array(negatives))
    below = np.searchsorted(ordered, positives, side="left")
    up_to = np.searchsorted(ordered, positives, side="right")
    return float((below + up_to).mean() / 2.0 / len(ordered))


def interval(count: int, total: int) -> list[float] | None:
    """Return the 95% interval of a share (Clopper and Pearson, 1934), ``None`` of nothing."""
    if not total:
        return None
    tail = (1.0 - _CONFIDENCE) / 2.0
    low = beta.ppf(tail, count, total - count + 1) if count else 0.0
    high = beta.ppf(1.0 - tail, count + 1, total - count) if count < total else 1.0
    return [round(float(low), 4), round(float(high), 4)]


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that so many of the values do not exceed, ``None`` if infinite."""
    if not values:
        return None
    found = sorted(values)[max(0, ceil(share * len(values)) - 1)]
    return None if found == inf else round(found, 2)


def roc(positives: Sequence[float], negatives: Sequence[float]) -> list[tuple[float, float]]:
    """Return (false, true) positive rates over all thresholds, the strictest first."""
    if not positives or not negatives:
        return []
    thresholds = sorted({*positives, *negatives}, reverse=True)
    above, below = np.sort(np.array(positives)), np.sort(np.array(negatives))
    points = [(0.0, 0.0)]
    for threshold in thresholds:
        true = 1.0 - np.searchsorted(above, threshold, side="left") / len(above)
        false = 1.0 - np.searchsorted(below, threshold, side="left") / len(below)
        points.append((round(float(false), 4), round(float(true), 4)))
    return points


def minimum_at(loss: Callable[[Array], tuple[float, Array]], start: Array, floors: Array) -> Array:
    """Return where a loss is least, no coordinate below its floor (L-BFGS-B; Byrd et al., 1995).

    ``loss`` returns its value and its gradient; ``floors`` has the shape of ``start``.
    """
    bounds = [(floor, None) for floor in floors]
    at: Array = minimize(loss, start, method="L-BFGS-B", jac=True, bounds=bounds).x
    return at
