"""How long a request takes with a store that is alive, slow or away, beside ``memory://``.

Each guard has a process of its own, behind uvicorn, and all get the same requests in turn, in an
order drawn anew for each run: one after the other, as fast as they are answered. So what is
measured is what a client waits for, and what keeps the store up to date has as much to do as one
worker can be made to do.
"""

from __future__ import annotations

import gc
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from gateway_guard.bench import loops
from gateway_guard.bench.children import child
from gateway_guard.bench.contestants import check
from gateway_guard.bench.intervals import ratio_of
from gateway_guard.bench.load import load
from gateway_guard.bench.server import HOST, WITH_STORE, serve
from gateway_guard.bench.store_report import Latency
from gateway_guard.bench.store_servers import absent, hindered, valkey
from gateway_guard.bench.traffic import CALLERS, Prompts, full_caller

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MEMORY: Final = "memory"
_PERCENT: Final = 100


class Slow(NamedTuple):
    """The median of a run, and its slowest of a hundred, seconds."""

    p50: float
    p99: float


def measure_latency(*, rounds: int, requests: int, known: int) -> list[Latency]:
    """Measure all kinds of stores; ``known`` requests of each caller come first."""
    with stores() as urls, ExitStack() as stack:
        processes = {
            name: stack.enter_context(child(serve, WITH_STORE, url)) for name, url in urls.items()
        }
        ports = {name: cast("int", process.heard()) for name, process in processes.items()}
        runs = loops.run(_take_turns(ports, rounds=rounds, requests=requests, known=known))
        for process in processes.values():
            process.stop()
            check(cast("list[str]", process.heard()))
    return [_compared(name, runs[name], runs[MEMORY]) for name in runs]


@contextmanager
def stores() -> Iterator[dict[str, str]]:
    """Yield the URL of each kind of store; the second in memory shows what is noise."""
    with (
        TemporaryDirectory(prefix="gateway-guard-") as place,
        valkey() as port,
        hindered(port) as (slow, silent),
        absent() as nobody,
    ):
        yield {
            MEMORY: "memory://",
            "memory again": "memory://",
            "sqlite": f"sqlite:///{Path(place) / 'state'}",
            "valkey": f"valkey://{HOST}:{port}",
            "slow": f"valkey://{HOST}:{slow}",
            "silent": f"valkey://{HOST}:{silent}",
            "refused": f"valkey://{HOST}:{nobody}",
        }


async def _take_turns(
    ports: Mapping[str, int], *, rounds: int, requests: int, known: int
) -> dict[str, list[Slow]]:
    prompts, random = Prompts([full_caller(each) for each in range(CALLERS)], seed=7), Random(7)
    for port in ports.values():
        await load(port, prompts.block(known * CALLERS).calls)
    runs: dict[str, list[Slow]] = {name: [] for name in ports}
    for _ in range(rounds):
        names, calls = [*ports], prompts.block(requests).calls
        random.shuffle(names)
        for name in names:
            gc.collect()
            gc.disable()
            found = await load(ports[name], calls, connections=1)
            gc.enable()
            slow = quantiles(found.latencies_seconds, n=_PERCENT)
            runs[name].append(Slow(median(found.latencies_seconds), slow[-1]))
    return runs


def _compared(name: str, runs: list[Slow], memory: list[Slow]) -> Latency:
    return Latency(
        store=name,
        p50_us=1e6 * median(run.p50 for run in runs),
        p99_us=1e6 * median(run.p99 for run in runs),
        p50_ratio=ratio_of([run.p50 for run in runs], [run.p50 for run in memory]),
        p99_ratio=ratio_of([run.p99 for run in runs], [run.p99 for run in memory]),
    )
