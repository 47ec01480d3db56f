"""Where callers are made: one source of chance a name, so that none changes another's story."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final, TypedDict, Unpack

from gateway_guard.demo.client import DIALECTS, Client, identity, make_address, make_key
from gateway_guard.demo.clock import DAY, HOUR, MINUTE
from gateway_guard.demo.prose import Prose
from gateway_guard.demo.script import Parameters

if TYPE_CHECKING:
    from gateway_guard.demo.script import Tool

# Innocents live through the whole story; attackers come when everybody else is established.
STORY_DAYS: Final = 10
ATTACK_DAY: Final = 8
MORNING, NIGHT = 8 * HOUR, 23 * HOUR
LATEST_SHIFT: Final = 20 * HOUR
SILENT: Final = Parameters()


class Ways(TypedDict, total=False):
    """What can be told of a client when it is made."""

    key: str
    address: str
    organisation: str
    system: str | None
    tools: tuple[Tool, ...]
    parameters: Parameters
    stream: bool


class Studio:
    """Makes clients and times from a seed, for a story of so many days."""

    def __init__(self, seed: int, *, days: int = STORY_DAYS) -> None:
        self.seed = seed
        self.days = days
        self.prose = Prose(seed)

    def rng(self, name: str) -> Random:
        """Return the chance of one name."""
        return Random(f"{self.seed}:{name}")

    def client(self, rng: Random, agent: str, **ways: Unpack[Ways]) -> Client:
        """Return a client with a key and an address of its own, unless they are given."""
        key = ways.get("key") or make_key(rng)
        address = ways.get("address") or make_address(rng)
        return Client(
            identity=identity(key, agent, address, ways.get("organisation")),
            dialect=DIALECTS[agent],
            rng=rng,
            prose=self.prose,
            system=ways.get("system"),
            tools=ways.get("tools", ()),
            parameters=ways.get("parameters", SILENT),
            stream=ways.get("stream", False),
        )

    def waking_hours(self, rng: Random, count: int) -> list[float]:
        """Return when ``count`` sittings begin, spread over the days; the first is on day one."""
        step = self.days / count
        moments = [int(i * step) * DAY + rng.uniform(MORNING, NIGHT) for i in range(count)]
        return sorted(moments)

    def shifts(self, rng: Random, count: int, per_minute: float) -> list[float]:
        """Return ``count`` arrivals: a shift a day, a Poisson stream within it."""
        gap = MINUTE / per_minute
        sizes = [count // self.days + (day < count % self.days) for day in range(self.days)]
        arrivals: list[float] = []
        for day, size in enumerate(sizes):
            at = day * DAY + rng.uniform(HOUR, LATEST_SHIFT)
            for _ in range(size):
                arrivals.append(at)
                at += rng.expovariate(1 / gap)
        return arrivals
