"""Interleaved rounds: everybody gets the same requests in turn, so that a busy moment hits all."""

from __future__ import annotations

from random import Random
from statistics import median
from typing import TYPE_CHECKING, Final

from gateway_guard.bench.calls import seconds_of
from gateway_guard.bench.contestants import BARE, CONTESTANTS
from gateway_guard.bench.traffic import Block

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway_guard.bench.contestants import Contestant
    from gateway_guard.bench.traffic import Traffic

LEAD: Final = 2


class Heat:
    """Contestants on the same traffic: in each round each of them answers the same new requests."""

    def __init__(
        self, traffic: Traffic, contestants: Mapping[str, Contestant], *, block: int
    ) -> None:
        self._traffic = traffic
        self._contestants = contestants
        self._block = block
        self._random = Random(block)
        self._seconds: dict[str, list[float]] = {name: [] for name in contestants}

    async def warm(self, name: str, rounds: int) -> list[float]:
        """Let one contestant get to know its callers; return seconds a request, round by round."""
        contestant, blocks = self._contestants[name], (self._next() for _ in range(rounds))
        return [await seconds_of(contestant, block) / self._block for block in blocks]

    async def round(self, *, counts: bool = True) -> None:
        """Let every contestant answer one block of requests, in an order drawn anew."""
        block = self._next()
        names = list(self._contestants)
        self._random.shuffle(names)
        for name in names:
            seconds = await seconds_of(self._contestants[name], block)
            if counts:
                self._seconds[name].append(seconds / self._block)

    def _next(self) -> Block:
        """Return the next requests; a few come first, since whoever was before has the caches."""
        lead, block = self._traffic.block(LEAD), self._traffic.block(self._block)
        return Block([*lead.openings, *lead.calls, *block.openings], block.calls)

    def bare_us(self) -> float:
        """Return microseconds a request of the application alone, the median of the rounds."""
        return 1e6 * median(self._seconds[BARE])

    def added_us(self, name: str) -> float:
        """Return microseconds that a contestant adds to a request, the median of the rounds."""
        pairs = zip(self._seconds[name], self._seconds[BARE], strict=True)
        return 1e6 * median(with_it - without for with_it, without in pairs)


def entered(*names: str) -> dict[str, Contestant]:
    """Return contestants of one heat, each newly made, the bare application first."""
    return {name: CONTESTANTS[name]() for name in (BARE, *names)}


async def run_heats(heats: Iterable[Heat], *, rounds: int) -> None:
    """Run heats in turn, after a round of each that does not count: applications build lazily."""
    heats = list(heats)
    for number in range(1 + rounds):
        for heat in heats:
            await heat.round(counts=number > 0)
