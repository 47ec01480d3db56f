"""What was measured of a fleet, as a value and as rows of the table."""

from __future__ import annotations

from math import ceil
from statistics import median
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK_BARS: Final = {"sqlite": 1.15, "valkey": 1.3}
_OBSERVED_BAR: Final = 0.98
_HYDRA_BAR: Final = 1.5
_VERDICT_BAR_MS: Final = 2000
_SHARE: Final = 0.95


class Delay(msgspec.Struct, frozen=True):
    """After how many requests something came: medians, and the ratio of each pair of runs.

    ``low`` and ``high`` hold 95% of the ratios. ``missed`` are runs of the fleet in which it never
    came; they count as if it had come with the last request.
    """

    runs: int
    missed: int
    one: float
    fleet: float
    ratio: float
    low: float
    high: float


class Propagated(msgspec.Struct, frozen=True):
    """How long after a process has decided on a block each other one refuses, milliseconds."""

    samples: int
    p50_ms: float
    p99_ms: float


class Observed(msgspec.Struct, frozen=True):
    """Share of people's later turns that were recognised to go on from an answer."""

    turns: int
    one: float
    fleet: float
    ratio: float


class Stall(msgspec.Struct, frozen=True):
    """How late a timer of ten milliseconds came in any process, milliseconds.

    ``held_ms`` is the most of an event loop's processor time that a round with the store took at
    once; what a busy machine adds to it is in the others.
    """

    p99_ms: float
    longest_ms: float
    held_ms: float


class Setup(msgspec.Struct, frozen=True):
    """One fleet against one process of the same kind, on the same requests.

    ``store_failures`` are rounds that the store did not do in time: a busy machine has some.
    """

    store: str
    processes: int
    seeds: list[int]
    shapes: list[str]
    requests_per_second: float
    rounds_per_second: float
    store_failures: int
    throttled: Delay
    refused: Delay
    blocked: Delay
    hydra: Delay
    verdicts: Propagated
    observed: Observed
    one_stall: Stall
    fleet_stall: Stall


class Cost(msgspec.Struct, frozen=True):
    """What a store does for a request at some load, and the bytes that it adds to the news."""

    writers: int
    keys: int
    requests: int
    seconds: float
    commands: float
    bytes: float
    cpu_us: float
    pushed: float
    read: float
    news_bytes: float


class Line(msgspec.Struct, frozen=True):
    """A straight line: ``fixed``, and so much for each writer."""

    fixed: float
    a_writer: float


class Slope(msgspec.Struct, frozen=True):
    """How a Valkey's work grows: of a writer and second idle, of a request by writers.

    Lines go through the two largest fleets of many keys, without what they cost idle: the curve
    flattens, so beyond them they are bounds. ``a_part_bytes`` is what its memory takes for a part
    of a subject. ``one_core`` is how many requests a second one core of the server does for so many
    writers, by these lines.
    """

    idle_commands: float
    idle_bytes: float
    idle_cpu_us: float
    costs: list[Cost]
    commands: Line
    bytes: Line
    cpu_us: Line
    a_part_bytes: float
    parts_a_subject: float
    subjects_a_key: float
    one_core: dict[str, float]


class Fleet(msgspec.Struct, frozen=True):
    """Everything that was measured of fleets."""

    sqlite: Setup
    valkey: Setup
    slope: Slope


def delay(pairs: Sequence[tuple[int, int]], most: int) -> Delay:
    """Summarise pairs of requests, one process's and the fleet's; 0 stands for never."""
    known = [(one, fleet or most) for one, fleet in pairs if one]
    ratios = sorted(fleet / one for one, fleet in known)
    return Delay(
        runs=len(known),
        missed=sum(one > 0 and not fleet for one, fleet in pairs),
        one=median(one for one, _ in known),
        fleet=median(fleet for _, fleet in known),
        ratio=median(ratios),
        low=quantile(ratios, (1 - _SHARE) / 2),
        high=quantile(ratios, (1 + _SHARE) / 2),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest of the values that a share of them does not exceed, 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else 0.0


def line(points: Sequence[tuple[float, float]]) -> Line:
    """Return the line of least squares through points; a flat one through a single place."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((each - x) ** 2 for each in xs)
    if not spread:
        return Line(y, 0.0)
    slope = sum((a - x) * (b - y) for a, b in points) / spread
    return Line(y - slope * x, slope)


def rows_of(part: Fleet) -> list[tuple[str, str, str]]:
    """Return the rows of the table."""
    return [*_setup(part.sqlite), *_setup(part.valkey), *_slope(part.slope)]


def _setup(part: Setup) -> list[tuple[str, str, str]]:
    bar = BLOCK_BARS[part.store]
    verdicts, observed = part.verdicts, part.observed
    hydra = f"{_HYDRA_BAR:.2f}" if part.store == "valkey" else ""
    return [
        (f"fleet: {part.processes} processes over {part.store}, blocked after", *_of(part.blocked)),
        ("  as a ratio to one process", _ratio(part.blocked), f"{bar:.2f}"),
        ("  throttled after", *_of(part.throttled)),
        ("  as a ratio", _ratio(part.throttled), ""),
        ("  first refused after", *_of(part.refused)),
        ("  as a ratio", _ratio(part.refused), ""),
        ("  campaign of many keys first refused after", *_of(part.hydra)),
        ("  as a ratio", _ratio(part.hydra), hydra),
        (
            "  people's later turns observed, to one process",
            f"{observed.ratio:.3f}",
            f"{_OBSERVED_BAR:.3f}",
        ),
        (
            "  a block holds everywhere after, p50 and p99",
            f"{verdicts.p50_ms:.0f}, {verdicts.p99_ms:.0f} ms",
            f"{_VERDICT_BAR_MS} ms",
        ),
        ("  event loops stalled by a round at most", f"{part.fleet_stall.held_ms:.1f} ms", ""),
        ("  by anything at most", f"{part.fleet_stall.longest_ms:.1f} ms", ""),
    ]


def _of(part: Delay) -> tuple[str, str]:
    return f"{part.fleet:.0f} requests", f"{part.one:.0f}"


def _ratio(part: Delay) -> str:
    return f"{part.ratio:.2f} ({part.low:.2f} to {part.high:.2f})"


def _slope(part: Slope) -> list[tuple[str, str, str]]:
    return [
        ("store: commands a request, and for each writer", _line(part.commands), ""),
        ("  bytes", _line(part.bytes), ""),
        ("  processor, us", _line(part.cpu_us), ""),
        ("  an idle writer, commands a second", f"{part.idle_commands:.0f}", ""),
        ("  memory of a part", f"{part.a_part_bytes:.0f} bytes", ""),
        *(
            (f"  one core does for {writers} writers", f"{rate:,.0f} req/s", "")
            for writers, rate in part.one_core.items()
        ),
    ]


def _line(part: Line) -> str:
    return f"{part.fixed:.1f} + {part.a_writer:.2f}"
