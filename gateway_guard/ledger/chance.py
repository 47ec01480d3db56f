"""How likely it is that matches are chance: what the ledger's own answers do, and corrections.

Answers that were served to others are samples of which it is certain that they were not taken from
a key's answers. How often such an answer matches that key alone is counted for each key, and is a
Poisson count with a rate of the key's own. The rates of all keys, by how much each was served, are
taken to follow a gamma distribution, which is fitted to the counts; what a key is expected to show
by chance is then negative binomial, with the uncertainty of its rate in it. (Robbins' empirical
Bayes for Poisson counts, with the conjugate prior.)
"""

from __future__ import annotations

from math import exp, inf, lgamma, log, log1p
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.ledger.fingerprints import Integers

Floats = npt.NDArray[np.float64]
LEAST: Final = 2
"""Fingerprints that a sample shares with a unit, and with no other, before it counts."""
LEVELS: Final = (0.0, 0.5, 0.8)
"""Shares of a sample that tell a unit. Each is a test of its own: few matches by most of a sample
are as good as many by a little of it."""
NAMED_BELOW: Final = 1e-6
"""Corrected p-values below this name a unit."""
CORRECTION: Final = "Holm"
_LN10: Final = log(10.0)
_FIRM: Final = 50.0
_LEAST_SHAPE: Final = 0.05
_TERMS: Final = 10_000
_ENOUGH: Final = 1e-17
_LEAST_EXPONENT: Final = -745.0


class Chance(NamedTuple):
    """What matches by chance: a gamma prior of rates, and what was counted of each key.

    ``rate`` is the prior's mean: matches for each unit of exposure, which is a key's answers times
    the samples. ``counts`` and ``exposures`` are those of the null samples.
    """

    shape: float
    rate: float
    counts: Integers
    exposures: Floats

    def expected(self, key: int, exposure: float) -> float:
        """Return how many matches a key is expected to have by chance."""
        prior = self.shape / self.rate
        count = float(self.counts[key])
        return exposure * (self.shape + count) / (prior + float(self.exposures[key]))

    def log_tail(self, key: int, exposure: float, matches: int) -> float:
        """Return the natural logarithm of how likely so many matches, or more, are by chance."""
        if matches <= 0:
            return 0.0
        shape = self.shape + float(self.counts[key])
        odds = exposure / (self.shape / self.rate + float(self.exposures[key]))
        return min(0.0, _log_tail(shape, odds, matches))


def fit(counts: Integers, exposures: Floats) -> Chance:
    """Return what the null samples say; one more match than was seen is taken for granted.

    The fewer were seen, the less alike the keys are taken to be.
    """
    total = float(exposures.sum())
    rate = (float(counts.sum()) + 1.0) / max(total, 1.0)
    means = exposures * rate
    excess = float(((counts - means) ** 2 - means).sum())
    firmest = 1.0 + float(counts.sum()) / _FIRM
    shape = float((means**2).sum()) / excess if excess > 0 else firmest
    return Chance(min(firmest, max(_LEAST_SHAPE, shape)), rate, counts, exposures)


def log10_odds(samples: int, matches: int, expected: float, keys: int) -> float:
    """Return the odds that samples were taken from a key's answers, as a power of ten.

    Before anything was seen they are one to the number of keys. If some were taken, any share of
    them is as likely as another, so that every number of matches has the probability ``1 / (n +
    1)``; if none, their number is Poisson.
    """
    by_chance = matches * log(max(expected, 1e-300)) - expected - lgamma(matches + 1)
    return (-log1p(samples) - by_chance - log(max(keys, 1))) / _LN10


def holm(log_ps: Sequence[float], tests: int) -> list[float]:
    """Return logarithms of p-values corrected for ``tests`` of them, most of which found nothing.

    Holm (1979): the smallest is multiplied by their number, the next by one less, and so on; none
    gets smaller than one before it.
    """
    corrected = [0.0] * len(log_ps)
    worst = -inf
    for rank, at in enumerate(sorted(range(len(log_ps)), key=log_ps.__getitem__)):
        worst = max(worst, min(0.0, log_ps[at] + log(max(1, tests - rank))))
        corrected[at] = worst
    return corrected


def _log_tail(shape: float, odds: float, matches: int) -> float:
    """Sum a negative binomial's terms from ``matches`` on, each from the one before."""
    share = odds / (1.0 + odds)
    first = (
        lgamma(shape + matches)
        - lgamma(shape)
        - lgamma(matches + 1)
        + matches * log(share)
        - shape * log1p(odds)
    )
    total = term = 1.0
    for number in range(matches, matches + _TERMS):
        term *= share * (shape + number) / (number + 1)
        total += term
        if term < total * _ENOUGH:
            break
    return first + log(total)


def power_of_ten(log_p: float) -> float:
    """Return a probability from its natural logarithm; 0 where it is smaller than floats are."""
    return exp(log_p) if log_p > _LEAST_EXPONENT else 0.0
