"""The stage keeps event time: who is in flight when, and who is refused, is exact."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from gateway_guard.demo.agent import task
from gateway_guard.demo.client import Client, identity, with_sdk
from gateway_guard.demo.connection import Connection, ConnectionPool
from gateway_guard.demo.guard import NoGuard
from gateway_guard.demo.harvesters import loop
from gateway_guard.demo.people import Turn, chat, shortened
from gateway_guard.demo.pipelines import SELF_CHAT
from gateway_guard.demo.prose import Prose
from gateway_guard.demo.script import (
    Act,
    Answer,
    Caller,
    Cast,
    Parameters,
    ToolCall,
    Wait,
)
from gateway_guard.demo.script import (
    Message as Said,
)
from gateway_guard.demo.stage import run
from gateway_guard.demo.texts_harvest import Question
from gateway_guard.demo.upstream import Upstream
from gateway_guard.demo.wire import HttpWire, InProcessWire, StageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway_guard.demo.script import Behaviour, DialectName, Kind
    from gateway_guard.demo.tally import Results

WIRES: list[type[HttpWire | InProcessWire]] = [HttpWire, InProcessWire]
PROSE = Prose(0)


class Ceiling(NoGuard):
    """A guard that refuses whatever exceeds a number of requests in flight."""

    def __init__(self, most: int, status: int = 429, headers: dict[str, str] | None = None) -> None:
        super().__init__()
        self.most = most
        self.status = status
        self.headers = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        self.in_flight = 0
        self.seen: list[tuple[float, int]] = []

    def mount(self, app: ASGIApp) -> ASGIApp:
        """Return the application behind the ceiling."""

        async def limited(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            self.seen.append((self.clock.elapsed_seconds, self.in_flight))
            if self.in_flight >= self.most:
                start = {"type": "http.response.start", "status": self.status}
                await send({**start, "headers": self.headers})
                await send({"type": "http.response.body", "body": b"{}"})
                return
            self.in_flight += 1
            await app(scope, receive, send)
            self.in_flight -= 1

        return limited


def client(dialect: DialectName = "openai", *, stream: bool = False) -> Client:
    """Return a client."""
    agent = "openai-python" if dialect == "openai" else "anthropic-python"
    who = identity("sk-1", agent, "198.18.0.1")
    parameters = Parameters(max_tokens=1000)
    return Client(who, dialect, Random(1), PROSE, parameters=parameters, stream=stream)


def asks(times: int, who: Client, pause: float = 0.0, *, harvest: bool = False) -> Behaviour:
    """Ask some times, one after the other."""
    for _ in range(times):
        answer = Answer("word " * 20, "because " * 5, (ToolCall("c1", "look_up", '{"q":"x"}'),))
        yield from with_sdk(who.request((Said("user", "hello"),), answer, harvest=harvest))
        yield Wait(pause)


def cast(*behaviours: Behaviour, kind: Kind = "app") -> Cast:
    """Return a cast of one caller whose behaviours begin a second after each other."""
    acts = tuple(Act(float(at), behaviour) for at, behaviour in enumerate(behaviours))
    return Cast(0, (Caller("caller", kind, 1, acts),))


async def play(wire: type[HttpWire | InProcessWire], guard: NoGuard, scene: Cast) -> Results:
    """Play a scene."""
    async with wire(guard) as opened:
        return await run(scene, wire=opened)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [False, True])
async def test_requests_are_answered_in_every_dialect(
    wire: type[HttpWire | InProcessWire], dialect: DialectName, *, stream: bool
) -> None:
    """Nobody is refused where nobody guards, and event time passes."""
    results = await play(wire, NoGuard(), cast(asks(3, client(dialect, stream=stream), 60.0)))
    [tally] = results.tallies
    assert (tally.requests, tally.refused, tally.judgement) == (3, 0, None)
    assert 181.5 < results.event_seconds < 300


@pytest.mark.parametrize("wire", WIRES)
async def test_what_is_in_flight_is_exact_in_event_time(
    wire: type[HttpWire | InProcessWire],
) -> None:
    """Three callers overlap as their instants say, however fast the machine is."""
    guard = Ceiling(most=2, headers={"retry-after": "30"})
    results = await play(wire, guard, cast(*(asks(1, client(), harvest=True) for _ in range(3))))
    [tally] = results.tallies
    assert [at for at, _ in guard.seen[:3]] == [0.0, 1.0, 2.0]
    seconds = client().request((), Answer("word " * 20, "because " * 5)).seconds
    assert [busy for _, busy in guard.seen[:3]] == [0, int(seconds > 1), int(seconds > 1)]
    assert tally.requests == len(guard.seen)


@pytest.mark.parametrize("wire", WIRES)
async def test_refusals_are_counted_where_the_harvest_counts_them(
    wire: type[HttpWire | InProcessWire],
) -> None:
    """Every attempt of an SDK is a request, the first refusal is numbered from 1."""
    guard = Ceiling(most=0, headers={"retry-after": "5"})
    results = await play(wire, guard, cast(asks(2, client(), harvest=True), kind="harvest"))
    [tally] = results.tallies
    assert (tally.requests, tally.refused, tally.blocked) == (6, 6, 0)
    assert (tally.harvest_requests, tally.harvest_refused, tally.first_refused_at) == (6, 6, 1)
    assert results.event_seconds == 20.0


async def test_a_block_is_final_for_the_request() -> None:
    """The next one is tried all the same."""
    results = await play(InProcessWire, Ceiling(most=0, status=403), cast(asks(3, client())))
    [tally] = results.tallies
    assert (tally.requests, tally.refused, tally.blocked) == (3, 3, 3)
    assert (tally.innocent_requests, tally.innocent_refused) == (3, 3)


@pytest.mark.parametrize("wire", WIRES)
async def test_a_broken_stage_is_no_refusal(wire: type[HttpWire | InProcessWire]) -> None:
    """A status that neither answers nor refuses ends the story."""
    with pytest.raises(StageError, match="500"):
        await play(wire, Ceiling(most=0, status=500), cast(asks(1, client())))


async def test_http_and_in_process_tell_the_same_story() -> None:
    """Instants, counts and refusals agree between the two wires."""
    told = []
    for wire in WIRES:
        guard = Ceiling(most=2, headers={"retry-after": "3"})
        scene = cast(*(asks(8, client(stream=worker == 1), 0.5) for worker in range(5)))
        results = await play(wire, guard, scene)
        [tally] = results.tallies
        told.append((guard.seen, tally.requests, tally.refused, results.event_seconds))
    assert told[0] == told[1]


@pytest.mark.parametrize("wire", WIRES)
async def test_who_is_refused_leaves_the_conversation(
    wire: type[HttpWire | InProcessWire],
) -> None:
    """A person does not go on, and neither does a coding agent."""
    talk = [Turn(f"question {turn}", 50) for turn in range(4)]
    for behaviour in (chat(client(), talk), task(client("anthropic"), 5)):
        results = await play(wire, Ceiling(most=0, status=403), cast(behaviour, kind="human"))
        assert results.tallies[0].requests == 1


def test_a_long_history_loses_its_oldest_exchanges() -> None:
    """Two messages go at a time, and the newest one always stays."""
    history = tuple(Said(role, role[0] * 30_000) for role in ("user", "assistant", "user"))
    assert shortened(history) == history[2:]
    assert shortened(history[:2]) == history[:2]
    huge = (Said("user", "x" * 70_000),)
    assert shortened(huge) == huge


async def test_a_pipeline_may_rest_between_requests() -> None:
    """Its workers share the questions and pause after each."""
    pipeline = replace(SELF_CHAT, concurrency=2, pause_seconds=100.0)
    questions = (Question(f"{number}", 40) for number in range(6))
    acts = tuple(loop(client(), questions, pipeline, 0.0))
    guard = NoGuard()
    async with InProcessWire(guard) as wire:
        results = await run(Cast(0, (Caller("h", "harvest", 1, acts),)), wire=wire)
    assert results.tallies[0].harvest_requests == 6
    assert 300 < results.event_seconds < 320


async def test_a_connection_that_breaks_fails_its_request() -> None:
    """Whoever waits is told; a free connection that breaks is only forgotten."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        pool = ConnectionPool(server.sockets[0].getsockname()[1])
        waiter = await pool.send(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionError):
            await waiter


async def test_a_connection_carries_one_request_at_a_time() -> None:
    """It refuses a second one, and any before it is open."""
    connection = Connection(ConnectionPool(1))
    with pytest.raises(ConnectionError, match="not free"):
        connection.send(b"")
    connection.close()


async def test_the_upstream_answers_only_whom_it_expects() -> None:
    """A request without a ticket is not found."""
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await Upstream()({"type": "http", "headers": [(b"host", b"x")]}, receive, send)
    assert sent[0]["status"] == 404
