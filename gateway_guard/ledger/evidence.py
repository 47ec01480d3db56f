"""Evidence: how many samples match a key, an organisation or a template that no other one matches.

Only fingerprints count that one unit alone has: what others have had as well does not tell whose a
sample was. A sample counts for a unit with two of them at least. Each fingerprint counts in the
first sample alone that has it, and for the first answer alone, and a unit has no more matches than
answers that were matched: a passage that a data set repeats a thousand times was taken once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gateway_guard.ledger.chance import LEAST
from gateway_guard.ledger.duck import NOBODY

if TYPE_CHECKING:
    from gateway_guard.ledger.chance import Floats
    from gateway_guard.ledger.duck import Hits, Sampled
    from gateway_guard.ledger.fingerprints import Integers

_OWN_AND_ANOTHER: Final = 2


class Samples(NamedTuple):
    """The fingerprints of samples: those of sample ``i`` at ``bounds[i]`` to ``bounds[i + 1]``."""

    fingerprints: Integers
    bounds: Integers

    @property
    def size(self) -> int:
        """Return the number of samples."""
        return len(self.bounds) - 1

    def owners(self) -> Integers:
        """Return which sample each fingerprint is of."""
        return np.repeat(np.arange(self.size), np.diff(self.bounds))


class Holders(NamedTuple):
    """Which units have a fingerprint, by fingerprint: how many, and the sum of their numbers.

    ``pairs`` and ``pair_units`` are all pairs of a fingerprint and a unit that has it, ascending,
    ``first_answers`` the first row that has it under that unit.
    """

    fingerprints: Integers
    counts: Integers
    sums: Integers
    pairs: Integers
    pair_units: Integers
    first_answers: Integers

    def find(self, fingerprints: Integers) -> Integers:
        """Return the place of each fingerprint, -1 where no unit has it."""
        if not len(self.fingerprints):
            return np.full(len(fingerprints), NOBODY)
        places = self.fingerprints.searchsorted(fingerprints)
        places[places == len(self.fingerprints)] = 0
        return np.where(self.fingerprints[places] == fingerprints, places, NOBODY)


class Matches(NamedTuple):
    """What was found: one entry for each fingerprint that tells a unit, where it counts.

    ``units`` ascend. ``answers`` are rows of what was hit. ``shares`` say how much of the sample
    tells that unit, boilerplate left out.
    """

    units: Integers
    samples: Integers
    answers: Integers
    fingerprints: Integers
    shares: Floats

    def counts(self, units: int, share: float = 0.0) -> Integers:
        """Return the number of matches of each unit with at least a share of what could tell."""
        enough = self.shares >= share
        whose = self.units[enough]
        samples = _distinct(whose, self.samples[enough], units)
        return np.minimum(samples, _distinct(whose, self.answers[enough], units))


def holders(hits: Hits, unit: str) -> Holders:
    """Return which units of a kind have which of the fingerprints that were found."""
    codes = hits.units[unit].take(hits.rows)
    order = _by_unit(hits.fingerprints, codes)
    prints, codes, answers = hits.fingerprints[order], codes[order], hits.rows[order]
    new = np.ones(len(prints), np.bool_)
    new[1:] = (prints[1:] != prints[:-1]) | (codes[1:] != codes[:-1])
    pairs, owners, firsts = prints[new], codes[new], answers[new]
    starts = np.flatnonzero(np.append(True, pairs[1:] != pairs[:-1])) if len(pairs) else pairs
    return Holders(
        fingerprints=pairs[starts],
        counts=np.diff(np.append(starts, len(pairs))),
        sums=np.add.reduceat(owners, starts) if len(pairs) else owners,
        pairs=pairs,
        pair_units=owners,
        first_answers=firsts,
    )


def _by_unit(prints: Integers, codes: Integers) -> Integers:
    """Return the order by fingerprint and unit of what is ordered by fingerprint already."""
    if not len(prints):
        return prints
    ranks = np.cumsum(np.append(False, prints[1:] != prints[:-1]))
    least, most = int(codes.min()), int(codes.max())
    order: Integers = np.argsort(ranks * (most - least + 1) + (codes - least), kind="stable")
    return order


def telling(samples: Samples, common: Integers) -> Integers:
    """Return how many fingerprints each sample has that are no boilerplate."""
    kept = ~np.isin(samples.fingerprints, common)
    return np.bincount(samples.owners()[kept], minlength=samples.size).astype(np.int64)


def matches(samples: Samples, found: Holders, could: Integers) -> Matches:
    """Return what tells a unit in samples, of which ``could`` fingerprints could tell one."""
    places = found.find(samples.fingerprints)
    met = np.flatnonzero(places != NOBODY)
    met = met[found.counts[places[met]] == 1]
    return _counting(
        found, found.sums[places[met]], samples.owners()[met], samples.fingerprints[met], could
    )


def null_matches(drawn: Sampled, unit: str, found: Holders, could: Integers) -> Matches:
    """Return what tells another unit in answers of which it is known whose they were."""
    samples = Samples(drawn.fingerprints, drawn.bounds)
    places, owners = found.find(samples.fingerprints), samples.owners()
    own = drawn.units[unit][owners]
    met = places != NOBODY
    places, owners, own = places[met], owners[met], own[met]
    prints = samples.fingerprints[met]
    alone = found.counts[places] == _OWN_AND_ANOTHER
    rest = found.sums[places] - own
    return _counting(found, rest[alone], owners[alone], prints[alone], could)


def _counting(
    found: Holders, units: Integers, samples: Integers, prints: Integers, could: Integers
) -> Matches:
    """Leave what counts: each fingerprint once, and samples with enough of them."""
    counted = units >= 0
    units, samples, prints = units[counted], samples[counted], prints[counted]
    order = np.lexsort((samples, prints, units))
    units, samples, prints = units[order], samples[order], prints[order]
    first = np.ones(len(units), np.bool_)
    first[1:] = (units[1:] != units[:-1]) | (prints[1:] != prints[:-1])
    units, samples, prints = units[first], samples[first], prints[first]
    order = np.lexsort((samples, units))
    units, samples, prints = units[order], samples[order], prints[order]
    _, group, sizes = _groups(units, samples)
    sizes = sizes[group]
    enough = sizes >= LEAST
    units, samples, prints = units[enough], samples[enough], prints[enough]
    shares = sizes[enough] / np.maximum(1, could[samples])
    return Matches(units, samples, _first_answers(found, units, prints), prints, shares)


def _first_answers(found: Holders, units: Integers, prints: Integers) -> Integers:
    """Return for each fingerprint the first answer of the unit that has it."""
    if not len(prints):
        return prints
    begins = found.pairs.searchsorted(prints)
    places = begins.copy()
    # Of these fingerprints a unit and at most the null sample's own have any.
    wrong = found.pair_units[places] != units
    places[wrong] += 1
    return found.first_answers[places]


def _distinct(units: Integers, values: Integers, count: int) -> Integers:
    """Return how many distinct values each unit has."""
    order = np.lexsort((values, units))
    distinct, _, _ = _groups(units[order], values[order])
    return np.bincount(distinct, minlength=count).astype(np.int64)


def _groups(units: Integers, values: Integers) -> tuple[Integers, Integers, Integers]:
    """Return the unit of each group of equal pairs, each entry's group, and the groups' sizes."""
    new = np.ones(len(units), np.bool_)
    new[1:] = (units[1:] != units[:-1]) | (values[1:] != values[:-1])
    group = np.cumsum(new) - 1
    return units[new], group, np.bincount(group).astype(np.int64)
