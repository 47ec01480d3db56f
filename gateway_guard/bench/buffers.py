"""Whether large bodies of strangers stay within their memory, and how long others wait meanwhile.

The same flood meets the application alone and behind the guard; both read and parse all that they
are given. Those who wait are customers with small questions.
"""

from __future__ import annotations

import asyncio
from statistics import quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from gateway_guard.bench.children import child
from gateway_guard.bench.contestants import check, guard_settings
from gateway_guard.bench.errors import MeasurementError
from gateway_guard.bench.flood import resident_bytes
from gateway_guard.bench.load import load, on_the_wire
from gateway_guard.bench.report import Buffers
from gateway_guard.bench.server import GUARDED_PARSING, PARSING, serve
from gateway_guard.bench.strangers import Connection, Seen, Wave, say_flooded
from gateway_guard.bench.traffic import Prompts, full_caller

if TYPE_CHECKING:
    from gateway_guard.bench.children import Child

CUSTOMERS: Final = 8
_KNOWN: Final = 8
_PAUSE_SECONDS: Final = 0.01
_OK: Final = 200
_PERCENT: Final = 100


class Weathered(NamedTuple):
    """One flood: resident bytes before and at most, what strangers saw, how long others waited."""

    rss_before: int
    rss_peak: int
    seen: Seen
    latencies_seconds: list[float]


async def measure_buffers(wave: Wave, *, rounds: int) -> Buffers:
    """Return what a flood of large bodies makes of memory and of others' waiting."""
    bare: list[Weathered] = []
    guarded: list[Weathered] = []
    for _ in range(rounds):
        bare.append(await weathered(PARSING, wave))
        guarded.append(await weathered(GUARDED_PARSING, wave))
    return Buffers(
        budget=guard_settings().buffer_memory,
        rss_before=max(one.rss_before for one in guarded),
        rss_peak=max(one.rss_peak for one in guarded),
        refused=sum(one.seen.refused for one in guarded),
        others_p99_ms=_p99_ms(guarded),
        bare_p99_ms=_p99_ms(bare),
    )


async def weathered(name: str, wave: Wave) -> Weathered:
    """Serve under a name, flood it, and return what came of it."""
    with child(serve, name, "") as server:
        port = cast("int", server.heard())
        prompts = Prompts([full_caller(number) for number in range(CUSTOMERS)], seed=11)
        await load(port, prompts.block(_KNOWN * CUSTOMERS).calls, connections=CUSTOMERS)
        before = resident_bytes(server.pid)
        with child(say_flooded, port, wave) as strangers:
            strangers.heard()
            customers = Customers(port, prompts, server.pid)
            seen = await customers.ask_until_over(strangers)
        server.stop()
        check(cast("list[str]", server.heard()))
    return Weathered(before, customers.rss_peak, seen, customers.latencies_seconds)


class Customers:
    """Well-known callers who ask small questions, one at a time each, and watch the server."""

    def __init__(self, port: int, prompts: Prompts, pid: int | None) -> None:
        """Ask at a port of a process."""
        self._port = port
        self._prompts = prompts
        self._pid = pid
        self.latencies_seconds: list[float] = []
        self.rss_peak = 0

    async def ask_until_over(self, strangers: Child) -> Seen:
        """Ask until the strangers have said what they saw, and return that."""
        over = asyncio.create_task(asyncio.to_thread(strangers.heard))
        asking = [asyncio.create_task(self._ask(over)) for _ in range(CUSTOMERS)]
        while not over.done():
            self.rss_peak = max(self.rss_peak, resident_bytes(self._pid))
            await asyncio.sleep(_PAUSE_SECONDS)
        await asyncio.gather(*asking)
        return cast("Seen", over.result())

    async def _ask(self, over: asyncio.Task[object]) -> None:
        connection = await Connection.open(self._port)
        while not over.done():
            [call] = self._prompts.block(1).calls
            begun = perf_counter()
            answer = await connection.answer_to(on_the_wire(call))
            self.latencies_seconds.append(perf_counter() - begun)
            if answer.status != _OK:
                message = f"a customer was answered with {answer.status}"
                raise MeasurementError(message)
            await asyncio.sleep(_PAUSE_SECONDS)
        connection.close()


def _p99_ms(floods: list[Weathered]) -> float:
    latencies = [seconds for one in floods for seconds in one.latencies_seconds]
    return 1e3 * quantiles(latencies, n=_PERCENT)[-1]
