"""Who makes a fleet's requests: a balancer that chooses a process at random for each of them."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gateway_guard.bench.contestants import check
from gateway_guard.bench.errors import MeasurementError
from gateway_guard.bench.fleet_traffic import SCENE
from gateway_guard.bench.fleet_worker import ACTION, CONTROL
from gateway_guard.bench.load import HOST
from gateway_guard.bench.strangers import Answered, Connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from gateway_guard.bench.fleet_traffic import Ask, Person
    from gateway_guard.bench.traffic import Caller

HARVEST_RATE: Final = 20.0
"""Requests a second of each harvester and of each campaign."""

MOST_REQUESTS: Final = 400
_SEVERE: Final = (b"throttle", b"penalty", b"block")
_KEY_BLOCKED: Final = (b"block", b"key")
_REFUSED: Final = frozenset({403, 429})
_BLOCKED: Final = 403
_OK: Final = 200
_PROBE_SECONDS: Final = 0.01
_PROBES: Final = 1000
_LONGEST_THOUGHT: Final = 3.2
_SHORTEST_THOUGHT: Final = 2.2


class Harvested(NamedTuple):
    """After how many requests something first came of a harvest, 0 for never.

    ``throttled`` is the first verdict of a throttle or worse, ``refused`` the first refusal,
    ``blocked`` the first one for a block. ``refused_at`` is when processes first refused to be
    asked, monotonic seconds.
    """

    requests: int
    seconds: float
    throttled: int = 0
    refused: int = 0
    blocked: int = 0
    refused_at: tuple[float, ...] = ()


class Chatted(NamedTuple):
    """How many turns were answered, and how many of them went on from an answer."""

    turns: int
    later: int


class Process:
    """One process of a fleet, and connections to it."""

    def __init__(self, port: int) -> None:
        """Connect to nothing yet."""
        self._port, self._idle = port, list[Connection]()

    async def answer_to(self, head: bytes, body: bytes = b"") -> Answered:
        """Send a request; an idle connection may have been closed in the meantime."""
        while self._idle:
            connection = self._idle.pop()
            try:
                return await self._answer(connection, head, body)
            except (ConnectionError, EOFError):
                connection.close()
        return await self._answer(await Connection.open(self._port), head, body)

    async def _answer(self, connection: Connection, head: bytes, body: bytes) -> Answered:
        answer = await connection.answer_to(head, body)
        self._idle.append(connection)
        return answer

    async def control(self, what: str, **said: object) -> dict[str, Any]:
        """Have something done with a scene."""
        body = json.dumps(said).encode()
        head = f"POST {CONTROL}{what} HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: {len(body)}\r\n"
        answer = await self.answer_to(f"{head}\r\n".encode(), body)
        if answer.status != _OK:
            message = f"a process of the fleet could not {what} a scene"
            raise MeasurementError(message)
        told: dict[str, Any] = json.loads(answer.body)
        return told

    def close(self) -> None:
        """Let go of the connections."""
        for connection in self._idle:
            connection.close()
        self._idle = []


class Scene:
    """A scene on some processes, with a namespace of its own, and a balancer before them."""

    def __init__(self, name: str, processes: Sequence[Process], seed: int) -> None:
        """Choose at random from now on, by the seed."""
        self.name, self.processes = name, processes
        self._random = Random(f"{name}:{seed}")

    async def balanced(self, ask: Ask) -> tuple[int, Answered]:
        """Send a request to any process; return which it was, and its answer."""
        at = self._random.randrange(len(self.processes))
        return at, await self.processes[at].answer_to(ask.head(self.name), ask.body)

    async def tell(self) -> list[dict[str, Any]]:
        """Return what each process knows.

        Raises:
            MeasurementError: a guard has failed.

        """
        told = [await process.control("tell", name=self.name) for process in self.processes]
        check([error for one in told for error in one["errors"]])
        return told


@asynccontextmanager
async def opened(
    name: str,
    processes: Sequence[Process],
    store: str,
    *,
    seed: int = 0,
    watched: Sequence[Caller] = (),
    **settings: object,
) -> AsyncIterator[Scene]:
    """Open a scene on processes; yield it once all of them have read what the store keeps."""
    scene = Scene(name, processes, seed)
    said = {"store": store, "namespace": name.replace("/", "-"), **settings}
    credentials = [credential_of(caller).decode() for caller in watched]
    told = {"name": name, "settings": said, "watched": credentials}
    await asyncio.gather(*(process.control("open", **told) for process in processes))
    try:
        await _ready(scene)
        yield scene
    finally:
        await asyncio.gather(*(process.control("close", name=name) for process in processes))


async def _ready(scene: Scene) -> None:
    """Wait until every guard has read what the store keeps.

    Raises:
        MeasurementError: that takes longer than anybody has patience for.

    """
    for _ in range(_PROBES):
        if all(one["ready"] for one in await scene.tell()):
            return
        await asyncio.sleep(_PROBE_SECONDS)
    message = f"guards of {scene.name} do not get to know what the store keeps"
    raise MeasurementError(message)


async def harvest(
    scene: Scene, asks: Iterator[Ask], *, until: str, rate: float = HARVEST_RATE
) -> Harvested:
    """Harvest at a steady rate until something comes of it, for ``MOST_REQUESTS`` at most."""
    begun = monotonic()
    throttled = refused = 0
    for number in range(1, MOST_REQUESTS + 1):
        ask = next(asks)
        at, answer = await scene.balanced(ask)
        seconds = monotonic() - begun
        severe = refused or _decided(answer)[0] in _SEVERE
        throttled = throttled or number * bool(severe)
        refused = refused or number * (answer.status in _REFUSED)
        if answer.status == _BLOCKED and until == "blocked":
            of_key = _decided(answer) == _KEY_BLOCKED
            refused_at = await _everywhere(scene, ask.caller, but=at) if of_key else ()
            return Harvested(number, seconds, throttled, refused, number, refused_at)
        if refused and until == "refused":
            return Harvested(number, seconds, throttled, refused)
        await asyncio.sleep(begun + number / rate - monotonic())
    return Harvested(MOST_REQUESTS, monotonic() - begun, throttled, refused)


def _decided(answer: Answered) -> tuple[bytes, bytes]:
    """Return what was decided, and against which kind of subject."""
    for line in answer.head.split(b"\r\n"):
        if line.lower().startswith(ACTION + b": "):
            action, _, kind = line[len(ACTION) + 2 :].partition(b" ")
            return action, kind
    return b"", b""


async def _everywhere(scene: Scene, caller: Caller, *, but: int) -> tuple[float, ...]:
    """Return when each other process first refuses a caller, asking what teaches it nothing."""
    others = [process for at, process in enumerate(scene.processes) if at != but]
    return tuple(await asyncio.gather(*(_refusal(scene, caller, other) for other in others)))


async def _refusal(scene: Scene, caller: Caller, process: Process) -> float:
    """Return when a process first refuses a caller.

    Raises:
        MeasurementError: it goes on to let him pass.

    """
    fields = (*caller.fields, (b"host", HOST.encode()), (SCENE, scene.name.encode()))
    lines = b"".join(b"%b: %b\r\n" % field for field in fields)
    asking = b"GET /v1/models HTTP/1.1\r\n%b\r\n" % lines
    for _ in range(_PROBES):
        if (await process.answer_to(asking)).status == _BLOCKED:
            return monotonic()
        await asyncio.sleep(_PROBE_SECONDS)
    message = f"a block did not come to hold everywhere in {scene.name}"
    raise MeasurementError(message)


async def chat(scene: Scene, person: Person, seed: int, over: asyncio.Event) -> Chatted:
    """Chat until it is over."""
    random, turns, later = Random(f"thoughts:{seed}"), 0, 0
    while not over.is_set():
        goes_on, ask = person.later, person.ask()
        _, answer = await scene.balanced(ask)
        if answer.status != _OK:
            message = f"a person of the fleet's was answered with {answer.status}"
            raise MeasurementError(message)
        turns, later = turns + 1, later + goes_on
        person.hear(json.loads(answer.body)["choices"][0]["message"]["content"])
        with suppress(TimeoutError):
            thought = random.uniform(_SHORTEST_THOUGHT, _LONGEST_THOUGHT)
            await asyncio.wait_for(over.wait(), thought)
    return Chatted(turns, later)


def credential_of(caller: Caller) -> bytes:
    """Return the credential that a caller shows."""
    return dict(caller.fields)[b"authorization"]
