"""The results as JSON: one row a caller, and the sums that the bars are set on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from gateway_guard.actions import Action

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway_guard.demo.tally import Results, Tally

INNOCENT: Final = frozenset({"human", "app", "victim"})
REASONS_SHOWN: Final = 4
MICROSECONDS: Final = 1e6
Json = dict[str, Any]


def scene_report(results: Results, overhead_seconds: Iterable[float]) -> Json:
    """Return every caller's row and the sums over the innocent."""
    return {
        "callers": [caller_row(tally) for tally in results.tallies],
        **innocent_sums(results.tallies),
        "reseller_innocent_refused": sum(
            tally.innocent_refused for tally in results.tallies if tally.caller.kind == "reseller"
        ),
        "overhead_us": overhead(overhead_seconds),
    }


def cold_report(results: Results) -> Json:
    """Return what became of honest traffic before a guard that knows nobody."""
    refused = [tally.caller.name for tally in results.tallies if tally.refused]
    blocked = sum(tally.blocked for tally in results.tallies)
    return {**innocent_sums(results.tallies), "programs_refused": refused, "blocked": blocked}


def caller_row(tally: Tally) -> Json:
    """Return one caller's row."""
    caller, judged = tally.caller, tally.judgement
    return {
        "name": caller.name,
        "class": caller.kind,
        "keys": caller.keys,
        "requests": tally.requests,
        "refused": tally.refused,
        "first_refused_at": tally.first_refused_at,
        "harvest_requests": tally.harvest_requests,
        "harvest_refused": tally.harvest_refused,
        "verdict": judged.action.label if judged else Action.PASS.label,
        "score": round(judged.score, 3) if judged else None,
        "reasons": list(judged.reasons[:REASONS_SHOWN]) if judged else [],
    }


def innocent_sums(tallies: Iterable[Tally]) -> Json:
    """Count the requests of people, programs and the victim, and how many of them were refused."""
    innocent = [tally for tally in tallies if tally.caller.kind in INNOCENT]
    return {
        "innocent_requests": sum(tally.requests for tally in innocent),
        "innocent_refused": sum(tally.refused for tally in innocent),
    }


def overhead(seconds: Iterable[float]) -> Json:
    """Return median and 99th percentile of the real time that the guard added, in microseconds."""
    samples = np.fromiter(seconds, dtype=np.float64) * MICROSECONDS
    if not samples.size:
        return {"p50": None, "p99": None}
    p50, p99 = np.percentile(samples, (50, 99))
    return {"p50": round(float(p50), 1), "p99": round(float(p99), 1)}


def encode(report: Json) -> str:
    """Return a report as one line of JSON."""
    return msgspec.json.encode(report).decode()
