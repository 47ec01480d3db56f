"""Checking a bundle, offline: its own consistency, and what published heads and segments add."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Final

import numpy as np

from gateway_guard.ledger.bundle import DOES_NOT_PROVE, PROVES, VERSION, read_bundle, unpacked
from gateway_guard.ledger.chance import (
    CORRECTION,
    LEAST,
    LEVELS,
    NAMED_BELOW,
    Chance,
    holm,
    log10_odds,
)
from gateway_guard.ledger.files import digest_of
from gateway_guard.ledger.heads import LedgerError, read_heads
from gateway_guard.ledger.merkle import climb
from gateway_guard.ledger.pseudonyms import read_identities

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gateway_guard.ledger.bundle import Bundle, Claim, Entry
    from gateway_guard.ledger.fingerprints import Integers

_LN10: Final = log(10.0)
_ROUNDED: Final = 0.01


def verify(
    path: Path, *, published: Sequence[Path] = (), ledger: Path | None = None
) -> tuple[Bundle, list[str]]:
    """Return a bundle and everything that is wrong with it.

    ``published`` are copies of heads, ``ledger`` is a directory with the segments that are named.

    Raises:
        LedgerError: it is no whole bundle, or a published copy is no chain.

    """
    bundle = read_bundle(path)
    complaints = [*_method(bundle), *_answers(bundle), *_claims(bundle), *_chances(bundle)]
    if published:
        complaints += _published(bundle, published)
    if ledger is not None:
        complaints += [*_segments(bundle, ledger), *_identities(bundle, ledger)]
    return bundle, complaints


def said_of(bundle: Bundle, complaints: Sequence[str], *, published: bool) -> str:
    """Return what is to be said of a bundle that was verified."""
    method = bundle.method
    made = (
        f"made {bundle.made_at} by {method.program} of {method.samples:,} samples and "
        f"{method.ledger_answers:,} answers to {method.keys:,} keys"
    )
    lines = [made]
    lines += [
        f"{claim.key}: {len(claim.samples):,} samples, {len(claim.answers):,} answers, "
        f"p = 1e{claim.log10_p:.0f}, log10 odds {claim.log10_odds:+.1f}"
        for claim in bundle.claims
    ]
    lines += [f"DOES NOT HOLD: {complaint}" for complaint in complaints]
    if not complaints:
        lines += [] if bundle.claims else ["It names nobody."]
        lines += ["It holds. What that shows:", *(f"- {each}" for each in PROVES)]
        if not published:
            lines.append("- No published heads were given, so when it was written is not shown.")
        lines += ["What it does not show:", *(f"- {each}" for each in DOES_NOT_PROVE)]
    return "\n".join(map(_printable, lines))


def _printable(line: str) -> str:
    """Return a line without what terminals obey: who made a bundle may have meant to."""
    return "".join([each if each.isprintable() else "?" for each in line])


def _method(bundle: Bundle) -> Iterator[str]:
    """Complain of another method than the one that is described, and of laxer measures."""
    method = bundle.method
    if bundle.version != VERSION:
        yield f"it has version {bundle.version}, and not {VERSION}"
    if method.least_fingerprints < LEAST:
        yield f"a sample tells a key by fewer than {LEAST} fingerprints"
    if not 0 < method.threshold <= NAMED_BELOW:
        yield f"the threshold is not {NAMED_BELOW:g}"
    if (method.correction, tuple(method.levels)) != (CORRECTION, LEVELS):
        yield "the p-values were corrected in another way"
    if method.samples != sum(suspect.samples for suspect in bundle.suspects):
        yield "the samples are not those of the files"
    if (tuple(bundle.proves), tuple(bundle.does_not_prove)) != (PROVES, DOES_NOT_PROVE):
        yield "what it says it shows is not what bundles show"
    numbers = [sample.number for sample in bundle.samples]
    if len(set(numbers)) < len(numbers) or not all(0 <= at < method.samples for at in numbers):
        yield "samples are in it twice, or of no file"


def _answers(bundle: Bundle) -> Iterator[str]:
    """Complain of answers that their heads do not commit to."""
    seen = set()
    for number, entry in enumerate(bundle.answers):
        row = entry.row
        place = (row.writer, row.batch, row.position)
        if place in seen:
            yield f"answer {number} is in it twice"
        seen.add(place)
        if not 0 <= entry.head < len(bundle.heads):
            yield f"answer {number} has no head: its writer came to an end before it wrote one"
            continue
        head = bundle.heads[entry.head]
        if (head.writer, head.batch) != (row.writer, row.batch):
            yield f"answer {number} is under the head of another batch"
        elif row.position >= head.answers or _root(entry) != head.root:
            yield f"answer {number} does not lead to the root of its head"
        if not 0 <= entry.segment < len(bundle.segments):
            yield f"answer {number} is of no segment"


def _root(entry: Entry) -> str:
    """Return where an answer leads to; nowhere if it cannot be read."""
    try:
        leaf = entry.row.leaf(unpacked(entry.fingerprints).astype("<i8").tobytes())
        return climb(leaf, entry.path).hex()
    except ValueError:
        return ""


def _claims(bundle: Bundle) -> Iterator[str]:
    """Complain of claims that their samples and answers do not bear out."""
    had: dict[str, Integers] = {}
    for claim in bundle.claims:
        if not _within(claim, bundle):
            yield f"the claim on {claim.key} names what is not there, or names it twice"
            return
        entries = [bundle.answers[at] for at in claim.answers]
        if {entry.row.key for entry in entries} != set(claim.pseudonyms):
            yield f"the claim on {claim.key} rests on answers to others"
        had[claim.key] = _all(entry.fingerprints for entry in entries)
    if len(had) < len(bundle.claims):
        yield "there are two claims on one key"
    for claim in bundle.claims:
        others = _joint([prints for key, prints in had.items() if key != claim.key])
        own = np.setdiff1d(had[claim.key], others)
        least = bundle.method.least_fingerprints
        for at in claim.samples:
            shared = np.isin(_all([bundle.samples[at].fingerprints]), own)
            if np.count_nonzero(shared) < least:
                yield f"sample {bundle.samples[at].number} does not tell {claim.key}"
        if claim.matches > min(len(claim.samples), len(claim.answers)):
            yield f"the claim on {claim.key} counts more than there is"


def _chances(bundle: Bundle) -> Iterator[str]:
    """Complain of p-values and odds that do not follow from the counts."""
    try:
        yield from _wrong_chances(bundle)
    except (ArithmeticError, ValueError):
        yield "p-values cannot be made of such counts"


def _wrong_chances(bundle: Bundle) -> Iterator[str]:
    method = bundle.method
    tests = max(1, len(method.levels))
    raw = [min(0.0, _log_p(claim) + log(tests)) for claim in bundle.claims]
    for claim, log_p in zip(bundle.claims, holm(raw, method.keys), strict=True):
        if abs(log_p / _LN10 - claim.log10_p) > _ROUNDED:
            yield f"the p-value of {claim.key} does not follow from its counts"
        if claim.level not in method.levels:
            yield f"the level of {claim.key} was not tested"
        if log_p >= log(min(method.threshold, NAMED_BELOW)):
            yield f"{claim.key} is not below the threshold"
        expected = _chance(claim).expected(0, claim.exposure)
        odds = log10_odds(method.samples, claim.matches, expected, method.keys * tests)
        if abs(odds - claim.log10_odds) > _ROUNDED:
            yield f"the odds of {claim.key} do not follow from its counts"


def _published(bundle: Bundle, published: Sequence[Path]) -> Iterator[str]:
    """Complain of heads that were not published."""
    known = {head.line() for path in published for head in read_heads(path)}
    for head in bundle.heads:
        if head.line() not in known:
            yield f"the head of batch {head.batch} of {head.writer} is in no published copy"


def _segments(bundle: Bundle, ledger: Path) -> Iterator[str]:
    """Complain of segments that are not what they were when the bundle was made."""
    for files in bundle.segments:
        for table, digest in (
            ("answers", files.answers_sha256),
            ("fingerprints", files.fingerprints_sha256),
        ):
            path = ledger / table / f"{files.segment}.parquet"
            if not path.is_file():
                yield f"{table}/{files.segment} is gone, by retention or compaction perhaps"
            elif digest_of(path) != digest:
                yield f"{table}/{files.segment} is not what it was"


def _identities(bundle: Bundle, ledger: Path) -> Iterator[str]:
    """Complain of pseudonyms that stand for others; of those that were erased nothing is known."""
    known = read_identities(ledger)
    for claim in bundle.claims:
        whose = {known[one].id for one in claim.pseudonyms if one in known}
        if whose - {claim.key}:
            yield f"the pseudonyms of {claim.key} stand for another key"


def _within(claim: Claim, bundle: Bundle) -> bool:
    """Tell whether the places that a claim names are there, each of them once."""
    return all(
        len(set(places)) == len(places) and all(0 <= at < len(there) for at in places)
        for places, there in ((claim.samples, bundle.samples), (claim.answers, bundle.answers))
    )


def _chance(claim: Claim) -> Chance:
    counts, exposures = np.array([claim.null_matches]), np.array([claim.null_exposure])
    return Chance(claim.shape, claim.rate, counts, exposures)


def _log_p(claim: Claim) -> float:
    return _chance(claim).log_tail(0, claim.exposure, claim.matches)


def _all(packed: Iterator[str] | Sequence[str]) -> Integers:
    """Return all of several packed fingerprints.

    Raises:
        LedgerError: they are none.

    """
    try:
        return _joint([unpacked(text) for text in packed])
    except ValueError:
        message = "there are fingerprints in it that cannot be read"
        raise LedgerError(message) from None


def _joint(found: Sequence[Integers]) -> Integers:
    return np.unique(np.concatenate([np.zeros(0, np.int64), *found]))
