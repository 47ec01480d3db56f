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
    ``counts_lost`` are exchanges of single keys that no worker remembers, ``counts_lost_most`` those
    of one key by one kill, of ``counts_allowed``; ``counted_twice`` are more than there were
    requests.
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
