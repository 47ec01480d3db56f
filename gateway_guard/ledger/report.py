"""The report: whose answers samples were taken from, how sure that is, and when that was."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from gateway_guard.instrumentation import utc
from gateway_guard.ledger.attribution import score
from gateway_guard.ledger.chance import CORRECTION, NAMED_BELOW, log10_odds, power_of_ten
from gateway_guard.ledger.evidence import telling
from gateway_guard.ledger.fingerprints import ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.ledger.attribution import Scored
    from gateway_guard.ledger.fingerprints import Integers
    from gateway_guard.ledger.gathering import Gathered

MOST_LISTED: Final = 100
"""Units that are listed of each kind, and all that are named."""
_LN10: Final = log(10.0)
_DAY_MS: Final = 86_400_000
_HASHES: Final = 2.0**63


class Party(msgspec.Struct, frozen=True):
    """A key, an organisation or a template, and what was found of it.

    ``answers`` of it were matched by ``samples``, of which it has had the share ``coverage``, what
    is boilerplate left out. ``p_value`` is corrected for the number of units and levels;
    ``expected`` is how many ``matches`` there would be by chance, by at least the share ``level``
    of a sample. ``days`` counts the matched answers by day.
    """

    key: str | None = None
    organisation: str | None = None
    template: str | None = None
    answers: int = 0
    samples: int = 0
    coverage: float = 0.0
    first: str | None = None
    last: str | None = None
    p_value: float = 1.0
    log10_p: float = 0.0
    log10_odds: float = 0.0
    level: float = 0.0
    matches: int = 0
    expected: float = 0.0
    named: bool = False
    days: dict[str, int] = {}


class NullLevel(msgspec.Struct, frozen=True):
    """How many of the null answers matched others by a share, and the gamma prior of the rates."""

    share: float
    matches: int
    shape: float
    rate: float


class Null(msgspec.Struct, frozen=True):
    """What the ledger's own answers show by chance."""

    answers: int
    keys: int
    levels: list[NullLevel]
    boilerplate: int
    collisions: float
    correction: str
    threshold: float


class Report(msgspec.Struct, frozen=True):
    """What is reported of samples; ``null`` is that of the keys."""

    samples: int
    matched_samples: int
    keys: list[Party]
    organisations: list[Party]
    templates: list[Party]
    null: Null
    ledger_answers: int
    unreadable_segments: int


def report(gathered: Gathered, scored: Sequence[Scored]) -> Report:
    """Return what is to be said of samples; ``scored`` are the kinds of units in their order."""
    keys, organisations, templates = scored
    return Report(
        samples=gathered.samples.size,
        matched_samples=len(np.unique(keys.matches.samples)),
        keys=parties(gathered, keys),
        organisations=parties(gathered, organisations),
        templates=parties(gathered, templates),
        null=_null(gathered, keys),
        ledger_answers=gathered.answers,
        unreadable_segments=gathered.ledger.unknown,
    )


def score_all(gathered: Gathered) -> list[Scored]:
    """Score keys, organisations and templates."""
    return [score(gathered, unit) for unit in gathered.names]


def parties(gathered: Gathered, scored: Scored) -> list[Party]:
    """Return the units that were matched, the most certain first."""
    held = telling(gathered.samples, gathered.hits.common)
    return [
        _party(gathered, scored, rank, held)
        for rank, log_p in enumerate(scored.log_ps)
        if rank < MOST_LISTED or log_p < log(NAMED_BELOW)
    ]


def _party(gathered: Gathered, scored: Scored, rank: int, held: Integers) -> Party:
    at, log_p, best = scored.order[rank], scored.log_ps[rank], scored.best[rank]
    samples, answers = scored.evidence(at)
    exposure = float(scored.exposures[at])
    times = gathered.hits.at_ms[answers]
    days, numbers = np.unique(times // _DAY_MS * _DAY_MS, return_counts=True)
    names: dict[str, str | None] = {scored.unit: gathered.names[scored.unit][at]}
    if scored.unit == "key":
        names["organisation"] = _organisation_of(gathered, answers)
    return Party(
        **names,
        answers=len(answers),
        samples=len(samples),
        coverage=round(_share(gathered, scored, at, samples, held), 4),
        first=utc(times.min() / 1000),
        last=utc(times.max() / 1000),
        p_value=power_of_ten(log_p),
        log10_p=round(log_p / _LN10, 3),
        log10_odds=_odds(gathered, scored, rank),
        level=best.share,
        matches=int(best.counts[at]),
        expected=round(best.chance.expected(at, exposure), 6),
        named=log_p < log(NAMED_BELOW),
        days={(utc(day / 1000) or "")[:10]: int(n) for day, n in zip(days, numbers, strict=True)},
    )


def _odds(gathered: Gathered, scored: Scored, rank: int) -> float:
    """Return the odds at the level that tells most; each of the levels was as likely to."""
    at, best = scored.order[rank], scored.best[rank]
    expected = best.chance.expected(at, float(scored.exposures[at]))
    units = len(scored.exposures) * len(scored.levels)
    return round(log10_odds(gathered.samples.size, int(best.counts[at]), expected, units), 3)


def _organisation_of(gathered: Gathered, answers: Integers) -> str | None:
    """Return the organisation that most of these answers were served to."""
    codes = gathered.hits.units["organisation"][answers]
    known = codes[codes >= 0]
    if 2 * len(known) <= len(codes):
        return None
    return gathered.names["organisation"][int(np.bincount(known).argmax())]


def _share(gathered: Gathered, scored: Scored, at: int, samples: Integers, held: Integers) -> float:
    """Return which share of the samples' fingerprints a unit has had, boilerplate left out."""
    bounds = gathered.samples.bounds
    sizes = bounds[samples + 1] - bounds[samples]
    prints = gathered.samples.fingerprints[ranges(bounds[samples], sizes)]
    had = np.isin(prints, scored.found.pairs[scored.found.pair_units == at])
    whose = np.repeat(np.arange(len(samples)), sizes)
    matched = np.bincount(whose[had], minlength=len(samples))
    shares = matched * len(gathered.ledger.parts) / np.maximum(1, held[samples])
    return float(np.minimum(1.0, shares).mean())


def _null(gathered: Gathered, keys: Scored) -> Null:
    samples, served = gathered.samples, gathered.served["key"]
    window = max(part.winnower.window for part in gathered.ledger.parts)
    pairs = float(len(samples.fingerprints)) * gathered.fingerprints
    return Null(
        answers=len(gathered.drawn.bounds) - 1,
        keys=len(served),
        levels=[
            NullLevel(one.share, int(one.chance.counts.sum()), one.chance.shape, one.chance.rate)
            for one in keys.levels
        ],
        boilerplate=len(gathered.hits.common),
        collisions=pairs * window / 2 / _HASHES,
        correction=CORRECTION,
        threshold=NAMED_BELOW,
    )
