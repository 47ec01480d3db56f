"""What the table comes down to, in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.demo.report import innocent_sums

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.demo.report import Json
    from gateway_guard.demo.tally import Results, Tally


def summary(results: Results, overhead_us: Json) -> Iterator[str]:
    """Yield the lines under the table."""
    yield ""
    for tally in results.tallies:
        if tally.harvest_requests:
            yield harvest_line(tally)
    sums = innocent_sums(results.tallies)
    yield f"innocent: {sums['innocent_refused']} of {sums['innocent_requests']} requests refused"
    yield from cost_lines(results, overhead_us)


def harvest_line(tally: Tally) -> str:
    """Say what a harvest got."""
    served = tally.harvest_requests - tally.harvest_refused
    first = tally.first_refused_at
    when = f"first refused at its request {first}" if first else "never refused"
    line = f"{tally.caller.name}: {when}, {served} of {tally.harvest_requests} answered"
    if tally.innocent_requests:
        refused, asked = tally.innocent_refused, tally.innocent_requests
        line += f"; of its innocent requests {refused} of {asked} refused"
    return line


def cost_lines(results: Results, overhead_us: Json) -> Iterator[str]:
    """Say how fast it went and what the guard cost."""
    requests = sum(tally.requests for tally in results.tallies)
    yield (
        f"{requests} requests over HTTP in {results.wall_seconds:.1f} s; the guard added "
        f"{overhead_us['p50']} us at the median, {overhead_us['p99']} us at the 99th percentile"
    )
