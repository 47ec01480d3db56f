"""Stores: what they cost a request, what they survive, and how soon a process knows them."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from gateway_guard.bench.load import HOST
from gateway_guard.bench.store_kills import measure_kills
from gateway_guard.bench.store_latency import measure_latency
from gateway_guard.bench.store_report import StoreKills, Stores
from gateway_guard.bench.store_restart import measure_restart
from gateway_guard.bench.store_servers import valkey


class StoreEffort(NamedTuple):
    """How much is done: runs of each kind of store, requests in each, kills, subjects kept.

    ``known`` is how many requests every key has made before its requests count.
    """

    runs: int
    requests: int
    known: int
    kills: int
    valkey_kills: int
    subjects: int
    starts: int


FULL: Final = StoreEffort(
    runs=20,
    requests=2_000,
    known=16,
    kills=50,
    valkey_kills=10,
    subjects=1_000_000,
    starts=3,
)
QUICK: Final = StoreEffort(
    runs=4,
    requests=1_000,
    known=8,
    kills=6,
    valkey_kills=2,
    subjects=50_000,
    starts=1,
)


def measure_store(effort: StoreEffort) -> Stores:
    """Measure everything; what is under way is shown on standard error."""
    latency = measure_latency(rounds=effort.runs, requests=effort.requests, known=effort.known)
    sys.stderr.write("  killing workers ...\n")
    with TemporaryDirectory(prefix="gateway-guard-") as place:
        on_disk = measure_kills(f"sqlite:///{Path(place) / 'state'}", effort.kills)
    with valkey() as port:
        on_server = measure_kills(f"valkey://{HOST}:{port}", effort.valkey_kills)
    sys.stderr.write(f"  keeping {effort.subjects:,} subjects ...\n")
    restart = measure_restart(
        subjects=effort.subjects, requests=effort.requests // 2, starts=effort.starts
    )
    kills = StoreKills(on_disk, on_server)
    return Stores(effort.runs, effort.requests, latency, kills, restart)
