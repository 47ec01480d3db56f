"""Throughput behind uvicorn: of middlewares, and of our proxy beside a plain one."""

from __future__ import annotations

from statistics import median, quantiles
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway_guard.bench.contestants import BARE, GUARD
from gateway_guard.bench.load import Load, load
from gateway_guard.bench.report import Kept, Proxy
from gateway_guard.bench.server import GUARDED_PROXY, HOST, PLAIN_PROXY, UPSTREAM, serving
from gateway_guard.bench.traffic import CALLERS, Prompts, full_caller

if TYPE_CHECKING:
    from collections.abc import Mapping

Loads = dict[str, list[Load]]

MOUNTED: Final = (BARE, "slowapi", "limits", GUARD)
SLOWER: Final = 4
_PERCENT: Final = 100


class Amount(NamedTuple):
    """How many requests are made of one server: at first, uncounted, and then in each round."""

    first: int
    counted: int


async def measure_kept(*, rounds: int, requests: int, known: int) -> tuple[Kept, float]:
    """Return what each middleware keeps of the bare application's throughput, and that one."""
    amounts = {name: Amount(requests, requests) for name in MOUNTED}
    amounts[GUARD] = Amount(known * CALLERS, requests)
    with serving(*MOUNTED) as ports:
        loads = await take_turns(ports, amounts, rounds=rounds)
    shares = {name: kept(loads, name) for name in MOUNTED if name != BARE}
    return Kept(**shares), median_rate(loads[BARE])


async def measure_proxy(*, rounds: int, requests: int, known: int) -> Proxy:
    """Return what both proxies forward to the same upstream, and how long our slowest take."""
    few = max(1, requests // SLOWER)
    amounts = {PLAIN_PROXY: Amount(few, few), GUARDED_PROXY: Amount(known * CALLERS, requests)}
    with serving(UPSTREAM) as behind:
        upstream = f"http://{HOST}:{behind[UPSTREAM]}"
        with serving(PLAIN_PROXY, GUARDED_PROXY, upstream=upstream) as ports:
            loads = await take_turns(ports, amounts, rounds=rounds)
    latencies = [seconds for one in loads[GUARDED_PROXY] for seconds in one.latencies_seconds]
    return Proxy(
        plain_httpx=median_rate(loads[PLAIN_PROXY]),
        ours=median_rate(loads[GUARDED_PROXY]),
        p99_ms=1e3 * quantiles(latencies, n=_PERCENT)[-1],
    )


async def take_turns(
    ports: Mapping[str, int], amounts: Mapping[str, Amount], *, rounds: int
) -> Loads:
    """Put load on servers in turn."""
    callers = [full_caller(number) for number in range(CALLERS)]
    prompts = Prompts(callers, seed=7)
    for name, port in ports.items():
        await load(port, prompts.block(amounts[name].first).calls)
    loads: Loads = {name: [] for name in ports}
    for _ in range(rounds):
        for name, port in ports.items():
            calls = prompts.block(amounts[name].counted).calls
            loads[name].append(await load(port, calls))
    return loads


def kept(loads: Loads, name: str) -> float:
    """Return the median over the rounds of what is kept of the bare application's rate."""
    pairs = zip(loads[name], loads[BARE], strict=True)
    return median(with_it.rate / without.rate for with_it, without in pairs)


def median_rate(loads: list[Load]) -> float:
    """Return the median rate of some rounds."""
    return median(one.rate for one in loads)
