"""Checking a bundle, offline: its own consistency, and what published heads and segments add."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Final

import numpy as np

from gateway_guard.ledger.bundle import read_bundle, unpacked
from gateway_guard.ledger.chance import Chance, holm, log10_odds
from gateway_guard.ledger.files import digest_of
from gateway_guard.ledger.heads import LedgerError, read_heads
from gateway_guard.ledger.merkle import climb

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
    complaints = [*_answers(bundle), *_claims(bundle), *_chances(bundle)]
    if published:
        complaints += _published(bundle, published)
    if ledger is not None:
        complaints += _segments(bundle, ledger)
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
        lines += ["It holds. What that shows:", *(f"- {each}" for each in bundle.proves)]
        if not published:
            lines.append("- No published heads were given, so when it was written is not shown.")
        lines += ["What it does not show:", *(f"- {each}" for each in bundle.does_not_prove)]
    return "\n".join(lines)


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
            yield f"the claim on {claim.key} names what is not there"
            return
        entries = [bundle.answers[at] for at in claim.answers]
        if {entry.row.key for entry in entries} != set(claim.pseudonyms):
            yield f"the claim on {claim.key} rests on answers to others"
        had[claim.key] = _all(entry.fingerprints for entry in entries)
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
    method = bundle.method
    tests = max(1, len(method.levels))
    raw = [min(0.0, _log_p(claim) + log(tests)) for claim in bundle.claims]
    for claim, log_p in zip(bundle.claims, holm(raw, method.keys), strict=True):
        if abs(log_p / _LN10 - claim.log10_p) > _ROUNDED:
            yield f"the p-value of {claim.key} does not follow from its counts"
        if log_p >= log(method.threshold):
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


def _within(claim: Claim, bundle: Bundle) -> bool:
    return all(0 <= at < len(bundle.samples) for at in claim.samples) and all(
        0 <= at < len(bundle.answers) for at in claim.answers
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
