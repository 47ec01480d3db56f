"""Ratios of paired runs, with the interval that holds the true one in 95 of 100 measurements."""

from __future__ import annotations

from math import exp, fsum, log, sqrt
from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING, Final

from gateway_guard.bench.store_report import Ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

_TAIL: Final = 0.975
_FEWEST: Final = 2


def ratio_of(measured: Sequence[float], compared: Sequence[float]) -> Ratio:
    """Return the geometric mean of what is measured in proportion to its pair, and its interval.

    The interval is Student's, of the logarithms: a busy moment makes a run twice as slow as often
    as its pair.

    Raises:
        ValueError: there are fewer than two pairs.

    """
    logs = [log(one / other) for one, other in zip(measured, compared, strict=True)]
    if len(logs) < _FEWEST:
        raise ValueError(len(logs))
    mean = fmean(logs)
    spread = student(len(logs) - 1) * stdev(logs, mean) / sqrt(len(logs))
    return Ratio(exp(mean), exp(mean - spread), exp(mean + spread))


def student(freedom: int) -> float:
    """Return the 97.5% quantile of Student's t, from the normal one.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5; within 0.1% from four degrees
    of freedom on.
    """
    z = NormalDist().inv_cdf(_TAIL)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + fsum(term / freedom**power for power, term in enumerate(terms, 1))
