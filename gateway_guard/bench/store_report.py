"""What was measured of stores, as a value and as rows of the table."""

from __future__ import annotations

from typing import Final

import msgspec

_MIB: Final = 1 << 20


class Ratio(msgspec.Struct, frozen=True):
    """A ratio over paired runs: the mean, and the ends of its 95% interval."""

    mean: float
    low: float
    high: float


class Latency(msgspec.Struct, frozen=True):
    """How long requests took with one store, and that in proportion to ``memory://``.

    ``p50_us`` and ``p99_us`` are medians over the runs.
    """

    store: str
    p50_us: float
    p99_us: float
    p50_ratio: Ratio
    p99_ratio: Ratio


class Kills(msgspec.Struct, frozen=True):
    """What became of a store whose workers were killed.

    ``broken`` counts faults of the file and what nobody can read of it. ``verdicts`` is how often a
    blocked key asked a new worker at its start, ``verdicts_lost`` how often it was let pass.
    ``counts_lost`` are all exchanges of single keys that nobody remembers, ``counts_lost_most``
    those that one kill took of one key though they were older than 0.2 seconds, of
    ``counts_allowed``. ``counted_twice`` are those that were counted and never asked.
    """

    kills: int
    requests: int
    broken: int
    verdicts: int
    verdicts_lost: int
    counts_lost: int
    counts_lost_most: int
    counts_allowed: int
    counted_twice: int


class Restart(msgspec.Struct, frozen=True):
    """A new process over a store with very many subjects, ``standings`` of them blocked.

    ``first_decision_seconds`` is the time from its start to its answer to the first request, whose
    key is blocked: ``refused`` says that it was refused. ``rss`` is what it had in memory after
    requests of others, ``rss_bound`` what a process of this package has without a guard, and
    ``memory``.
    """

    subjects: int
    standings: int
    store_bytes: int
    written_seconds: float
    first_decision_seconds: float
    refused: bool
    memory: int
    rss_bound: int
    rss: int


class StoreKills(msgspec.Struct, frozen=True):
    """What became of each kind of store whose workers were killed."""

    sqlite: Kills
    valkey: Kills


class Stores(msgspec.Struct, frozen=True):
    """Everything that was measured of stores."""

    runs: int
    requests: int
    latency: list[Latency]
    kills: StoreKills
    restart: Restart


def rows_of(part: Stores) -> list[tuple[str, str, str]]:
    """Return the rows of the table."""
    kills = (("a file", part.kills.sqlite), ("Valkey", part.kills.valkey))
    lost = [row for name, each in kills for row in _killed(name, each)]
    return [*_latencies(part), *lost, *_restarted(part.restart)]


def _latencies(part: Stores) -> list[tuple[str, str, str]]:
    memory, *others = part.latency
    what = f"store: {part.runs} runs of {part.requests:,} requests over memory, p50 and p99"
    found = f"{memory.p50_us:.0f} us, {memory.p99_us / 1000:.1f} ms"
    rows = [
        (f"  {each.store}: p50, p99 in proportion", _ratios(each), "< 1.05, < 1.25")
        for each in others
    ]
    return [(what, found, ""), *rows]


def _ratios(part: Latency) -> str:
    ratios = (part.p50_ratio, part.p99_ratio)
    return ", ".join(f"{each.mean:.2f} ({each.low:.2f} to {each.high:.2f})" for each in ratios)


def _killed(name: str, part: Kills) -> list[tuple[str, str, str]]:
    return [
        (f"  {part.kills} workers over {name} killed: faults", str(part.broken), "0"),
        (f"    of {part.verdicts} blocks forgotten", str(part.verdicts_lost), "0"),
        (
            "    most exchanges of a key lost by a kill",
            str(part.counts_lost_most),
            str(part.counts_allowed),
        ),
        (f"    of {part.requests:,} counted twice", str(part.counted_twice), "0"),
    ]


def _restarted(part: Restart) -> list[tuple[str, str, str]]:
    size = f"{part.store_bytes / _MIB:.0f} MiB, {part.written_seconds:.0f} s to write"
    return [
        (f"  {part.subjects:,} subjects in a file", size, ""),
        ("    first decision of a new process", f"{part.first_decision_seconds:.1f} s", "5 s"),
        ("    it refuses who was blocked", "yes" if part.refused else "NO", "yes"),
        (
            "    resident",
            f"{part.rss / _MIB:.0f} MiB",
            f"{part.rss_bound / _MIB:.0f} MiB",
        ),
    ]
