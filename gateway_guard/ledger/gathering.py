"""Gathering: everything a ledger holds of some samples, whatever schemes it was written under."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gateway_guard.ledger.duck import UNITS, Hits, Limits, Sampled, joined
from gateway_guard.ledger.evidence import Samples
from gateway_guard.ledger.fingerprints import Winnower, scheme_name
from gateway_guard.ledger.heads import LedgerError
from gateway_guard.ledger.pseudonyms import read_identities
from gateway_guard.ledger.segments import segments_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from gateway_guard.ledger.duck import Join
    from gateway_guard.ledger.fingerprints import Integers
    from gateway_guard.ledger.pseudonyms import Identity
    from gateway_guard.ledger.segments import Segment

    Tell = Callable[[str, float], None]

NULL_ANSWERS = 20_000
"""Answers of the ledger itself that are looked for as if they were samples."""
LOOKING = "looking into the ledger"
_LAST_DAY = "9999"
_WORDS_A_GRAM = 3
_MOST = (1 << 63) - 1
_PORTION = 256
_MOST_DIGITS = 6


class Part(NamedTuple):
    """What one scheme has: its segments, and what makes its fingerprints."""

    winnower: Winnower
    segments: list[Segment]


class Opened(NamedTuple):
    """A ledger that can be looked into, and how many segments of it cannot."""

    directory: Path
    parts: list[Part]
    unknown: int


class Gathered(NamedTuple):
    """What was found of samples in a ledger.

    ``names`` are keys, organisations and templates by their numbers, ``served`` how many answers
    each was served; ``answers`` and ``fingerprints`` count those of the whole ledger.
    """

    ledger: Opened
    samples: Samples
    drawn: Sampled
    hits: Hits
    names: dict[str, list[str]]
    served: dict[str, Integers]
    answers: int
    fingerprints: int


def opened(
    directory: Path, keys: Sequence[bytes], first_day: str = "", last_day: str = _LAST_DAY
) -> Opened:
    """Open the schemes of a ledger that one of the keys makes fingerprints of.

    Days are written ``2026-11-24``; other days are not looked at.

    Raises:
        LedgerError: there is nothing that could be looked into.

    """
    by_scheme: dict[str, list[Segment]] = {}
    limited = (first_day, last_day) != ("", _LAST_DAY)
    for segment in segments_of(directory):
        if not first_day <= segment.day <= last_day:
            continue
        by_scheme.setdefault(segment.scheme, []).append(segment)
    parts, unknown = [], 0
    for scheme, found in by_scheme.items():
        winnower = _winnower_for(scheme, keys)
        if winnower is None:
            unknown += len(found)
        else:
            parts.append(Part(winnower, found))
    if not parts and not unknown:
        message = f"there is nothing in {directory}" + (" in these days" if limited else "")
        raise LedgerError(message, hint="name the directory of GATEWAY_GUARD_LEDGER")
    if not parts:
        message = f"there is nothing in {directory} that was written under this secret"
        hint = "set GATEWAY_GUARD_SECRET or GATEWAY_GUARD_STATE_DIR to what the guard has"
        raise LedgerError(message, hint=hint)
    return Opened(directory, parts, unknown)


def gather(ledger: Opened, texts: Sequence[str], limits: Limits, tell: Tell) -> Gathered:
    """Look for texts, and for answers drawn from the ledger itself, in all parts of it."""
    register = _Register(read_identities(ledger.directory))
    found, before, prints = [], 0, 0
    count = len(ledger.parts)
    for at, part in enumerate(ledger.parts):

        def done(share: float, at: int = at) -> None:
            tell(LOOKING, (at + share) / count)

        samples = fingerprinted(part.winnower, texts, tell)
        with joined(ledger.directory, part.segments, limits) as join:
            register.enter(join)
            drawn = join.draw(NULL_ANSWERS // count, int(samples.fingerprints[:1].sum()))
            below = _below(drawn.fingerprints, limits.part)
            samples = _thinned(samples, below)
            left = _thinned(Samples(drawn.fingerprints, drawn.bounds), below)
            drawn = drawn._replace(fingerprints=left.fingerprints, bounds=left.bounds)
            wanted = np.unique(np.concatenate([samples.fingerprints, drawn.fingerprints]))
            done(0.0)
            hits = join.find(wanted, below, done)
            found.append((samples, drawn, hits._replace(answers=hits.answers + before)))
            before += int(join.sizes.sum())
            prints += join.fingerprints
    return Gathered(
        ledger=ledger,
        samples=_merged_samples([one for one, _, _ in found]),
        drawn=_merged_drawn([one for _, one, _ in found]),
        hits=_merged_hits([one for _, _, one in found]),
        names=register.names(),
        served=register.served(),
        answers=before,
        fingerprints=prints,
    )


def _below(prints: Integers, part: float) -> int:
    """Return what a part of the fingerprints is below; all of them are below 2^63."""
    if part >= 1 or not len(prints):
        return _MOST
    return int(np.quantile(prints, part))


def _thinned(samples: Samples, below: int) -> Samples:
    """Leave the fingerprints below a value."""
    kept = samples.fingerprints < below
    counts = np.append(0, np.cumsum(kept))
    return Samples(samples.fingerprints[kept], counts[samples.bounds])


class _Register:
    """Numbers keys, organisations and templates: one for each, in all months and schemes."""

    def __init__(self, identities: Mapping[str, Identity]) -> None:
        self._identities = identities
        self._numbers: dict[str, dict[str, int]] = {unit: {} for unit in UNITS}
        self._served: dict[str, Counter[int]] = {unit: Counter() for unit in UNITS}

    def enter(self, join: Join) -> None:
        """Number all that a part of a ledger holds answers of, and count these."""
        for unit in UNITS:
            codes, numbers = {}, self._numbers[unit]
            for name, count in sorted(join.census(unit).items()):
                identity = self._identities.get(name)
                who = name if identity is None else identity.id
                codes[name] = numbers.setdefault(who, len(numbers))
                self._served[unit][codes[name]] += count
            join.name(unit, codes)

    def names(self) -> dict[str, list[str]]:
        """Return who has which number."""
        return {unit: list(self._numbers[unit]) for unit in UNITS}

    def served(self) -> dict[str, Integers]:
        """Return how many answers each was served."""
        return {
            unit: np.array([self._served[unit][at] for at in range(len(numbers))], np.int64)
            for unit, numbers in self._numbers.items()
        }


def fingerprinted(winnower: Winnower, texts: Sequence[str], tell: Tell) -> Samples:
    """Return the fingerprints of samples."""
    hashes, bounds = [np.zeros(0, np.int64)], [np.zeros(1, np.int64)]
    for at in range(0, len(texts), _PORTION):
        found = winnower.fingerprint(texts[at : at + _PORTION])
        hashes.append(found.hashes)
        bounds.append(found.bounds[1:] + bounds[-1][-1])
        tell("reading the samples", min(1.0, (at + _PORTION) / len(texts)))
    return Samples(np.concatenate(hashes), np.concatenate(bounds))


def _winnower_for(scheme: str, keys: Sequence[bytes]) -> Winnower | None:
    """Return what makes a scheme's fingerprints, if one of the keys does."""
    _, _, rest = scheme.partition("-k")
    gram = rest.partition("-")[0]
    for key in keys:
        if gram.isdecimal() and len(gram) <= _MOST_DIGITS and scheme_name(key, int(gram)) == scheme:
            return Winnower(key, _WORDS_A_GRAM * int(gram))
    return None


def _merged_samples(found: Sequence[Samples]) -> Samples:
    """Join the fingerprints that a sample has under several schemes."""
    owners = np.concatenate([one.owners() for one in found])
    prints = np.concatenate([one.fingerprints for one in found])
    order = np.lexsort((prints, owners))
    bounds = owners[order].searchsorted(np.arange(found[0].size + 1))
    return Samples(prints[order], bounds)


def _merged_drawn(found: Sequence[Sampled]) -> Sampled:
    ends = np.cumsum([0, *(one.bounds[-1] for one in found)])
    bounds = [one.bounds[1:] + end for one, end in zip(found, ends, strict=False)]
    return Sampled(
        {unit: np.concatenate([one.units[unit] for one in found]) for unit in UNITS},
        np.concatenate([one.fingerprints for one in found]),
        np.concatenate([[0], *bounds]),
    )


def _merged_hits(found: Sequence[Hits]) -> Hits:
    befores = np.cumsum([0, *(len(one.answers) for one in found)])
    rows = [one.rows + before for one, before in zip(found, befores, strict=False)]
    prints = np.concatenate([one.fingerprints for one in found])
    order = np.argsort(prints, kind="stable")
    return Hits(
        prints[order],
        np.concatenate(rows)[order],
        np.concatenate([one.answers for one in found]),
        {unit: np.concatenate([one.units[unit] for one in found]) for unit in UNITS},
        np.concatenate([one.at_ms for one in found]),
        np.unique(np.concatenate([one.common for one in found])),
    )
