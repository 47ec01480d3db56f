"""Attribution: how many samples tell each unit, and how likely that is by chance."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gateway_guard.ledger.chance import LEVELS, Chance, Floats, fit, holm
from gateway_guard.ledger.evidence import (
    Holders,
    Matches,
    Samples,
    holders,
    matches,
    null_matches,
    telling,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.ledger.fingerprints import Integers
    from gateway_guard.ledger.gathering import Gathered


class Level(NamedTuple):
    """Matches by at least a share of a sample: how many each unit has, and what chance is."""

    share: float
    counts: Integers
    chance: Chance

    def log_p(self, at: int, exposure: float) -> float:
        """Return the natural logarithm of a unit's p-value."""
        return self.chance.log_tail(at, exposure, int(self.counts[at]))


class Scored(NamedTuple):
    """Units of one kind with their matches, and what chance makes of each of them.

    ``order`` are those that were matched, the most certain first, ``log_ps`` the natural logarithms
    of their corrected p-values, ``best`` the level at which each is the least likely by chance.
    """

    unit: str
    found: Holders
    matches: Matches
    levels: list[Level]
    exposures: Floats
    log_ps: list[float]
    order: list[int]
    best: list[Level]

    def evidence(self, at: int) -> tuple[Integers, Integers]:
        """Return the samples and the answers of a unit that tell it."""
        found = self.matches
        first, last = found.units.searchsorted([at, at + 1])
        return np.unique(found.samples[first:last]), np.unique(found.answers[first:last])


def score(gathered: Gathered, unit: str) -> Scored:
    """Count the matches of the units of a kind, and say how likely they are by chance."""
    found = holders(gathered.hits, unit)
    return score_samples(gathered, unit, found, chances(gathered, unit, found))


def chances(gathered: Gathered, unit: str, found: Holders) -> list[Chance]:
    """Return how often answers of others match the units of a kind, at each level."""
    served, drawn = gathered.served[unit], gathered.drawn
    own = drawn.units[unit]
    mine = np.bincount(own[own >= 0], minlength=len(served))
    could = telling(Samples(drawn.fingerprints, drawn.bounds), gathered.hits.common)
    told = null_matches(drawn, unit, found, could)
    exposures = served.astype(np.float64) * (len(own) - mine)
    return [fit(told.counts(len(served), share), exposures) for share in LEVELS]


def score_samples(
    gathered: Gathered, unit: str, found: Holders, by_chance: Sequence[Chance]
) -> Scored:
    """Do it where it is known what is chance."""
    served = gathered.served[unit]
    could = telling(gathered.samples, gathered.hits.common)
    told = matches(gathered.samples, found, could)
    exposures = served.astype(np.float64) * gathered.samples.size * _longer(gathered)
    levels = [
        Level(share, told.counts(len(served), share), chance)
        for share, chance in zip(LEVELS, by_chance, strict=True)
    ]
    met = np.flatnonzero(levels[0].counts).tolist()
    best, raw = {}, []
    for at in met:
        log_ps = [level.log_p(at, float(exposures[at])) for level in levels]
        best[at] = levels[log_ps.index(min(log_ps))]
        raw.append(min(0.0, min(log_ps) + log(len(levels))))
    corrected = dict(zip(met, holm(raw, len(served)), strict=True))
    order = sorted(met, key=lambda at: (corrected[at], -int(levels[0].counts[at])))
    return Scored(
        unit=unit,
        found=found,
        matches=told,
        levels=levels,
        exposures=exposures,
        log_ps=[corrected[at] for at in order],
        order=order,
        best=[best[at] for at in order],
    )


def _longer(gathered: Gathered) -> float:
    """Return how many times as many fingerprints a sample has as an answer of the ledger."""
    samples = len(gathered.samples.fingerprints) / max(1, gathered.samples.size)
    drawn = len(gathered.drawn.fingerprints) / max(1, len(gathered.drawn.bounds) - 1)
    return samples / drawn if drawn else 1.0
