"""Our own cast is valid whatever the seed, and the same for the same seed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway_guard.demo.bodies import encode_body
from gateway_guard.demo.cast import own_cast
from gateway_guard.demo.clock import DAY
from gateway_guard.demo.cold import ORGANISATIONS, cold_cast
from gateway_guard.demo.guard import Guard, NoGuard
from gateway_guard.demo.script import Reply
from gateway_guard.demo.stage import run
from gateway_guard.demo.upstream import Gate
from gateway_guard.demo.wire import Flight

if TYPE_CHECKING:
    from gateway_guard.demo.script import Cast, Request
    from gateway_guard.demo.tally import Results

FEWEST_REQUESTS = 60
YOUNG_DAYS = 7


class Rehearsal:
    """A wire without a wire: everybody is answered, and what was asked is kept."""

    def __init__(self) -> None:
        self.guard: Guard = NoGuard()
        self.asked: list[tuple[float, Request]] = []

    async def start(self, request: Request) -> Flight:
        """Note a request as one that has arrived."""
        self.asked.append((self.guard.clock.elapsed_seconds, request))
        loop = asyncio.get_running_loop()
        gate = Gate(request, loop)
        gate.arrive()
        return Flight(request, b"", gate, loop.create_future(), gate.opened)

    async def finish(self, flight: Flight) -> Reply:
        """Answer it."""
        return Reply(200 if flight.gate.arrived else 0)


async def record(cast: Cast) -> tuple[Results, Rehearsal]:
    """Play a cast where nobody guards."""
    wire = Rehearsal()
    return await run(cast, wire=wire), wire


@pytest.mark.parametrize("seed", range(5))
async def test_every_seed_gives_a_valid_cast(seed: int) -> None:
    """Ten callers and more, of every class, with enough requests; innocents are old by then."""
    results, wire = await record(own_cast(seed))
    assert len(results.tallies) >= 10
    kinds = {tally.caller.kind for tally in results.tallies}
    assert kinds == {"human", "app", "harvest", "hydra", "reseller", "victim"}
    assert all(tally.requests >= FEWEST_REQUESTS for tally in results.tallies)
    first_harvest = min(at for at, request in wire.asked if request.harvest)
    assert first_harvest >= YOUNG_DAYS * DAY
    for tally in results.tallies:
        harvests = tally.caller.kind in {"harvest", "hydra"}
        assert tally.harvest_requests == tally.requests or not harvests
    established = {"human", "victim", "reseller"}
    began = [
        min(act.begins_at for act in tally.caller.acts)
        for tally in results.tallies
        if tally.caller.kind in established
    ]
    assert first_harvest - max(began) >= YOUNG_DAYS * DAY


async def test_the_same_seed_tells_the_same_story() -> None:
    """Every request, its text and its instant is the same; another seed tells another."""
    told = []
    for seed in (3, 3, 4):
        _, wire = await record(own_cast(seed))
        told.append([(at, encode_body(request)) for at, request in wire.asked])
    assert told[0] == told[1]
    assert told[0] != told[2]


async def test_a_campaign_over_keys_uses_each_a_few_times() -> None:
    """The hydra's keys make four requests each, all of them distinct, from many networks."""
    cast = own_cast(0)
    [hydra] = [caller for caller in cast.callers if caller.name.startswith("hydra")]
    _, wire = await record(type(cast)(0, (hydra,)))
    requests = [request for _, request in wire.asked]
    keys = [request.identity.key for request in requests]
    assert len(set(keys)) == hydra.keys == 200
    assert all(keys.count(key) == 4 for key in set(keys))
    assert len({request.messages[0].text for request in requests}) == len(requests)
    minutes = (wire.asked[-1][0] - wire.asked[0][0]) / 60
    assert len(requests) / minutes >= 100


async def test_the_imitator_shares_what_its_victim_shows() -> None:
    """System text, organisation and network are the victim's; keys and questions are not."""
    cast = own_cast(1)
    pair = [caller for caller in cast.callers if "clinic" in caller.name]
    _, wire = await record(type(cast)(1, tuple(pair)))
    shown: dict[bool, set[tuple[str | None, bytes, bytes]]] = {True: set(), False: set()}
    for _, request in wire.asked:
        headers = dict(request.identity.headers)
        network = headers[b"x-forwarded-for"].rsplit(b".", 1)[0]
        shown[request.harvest].add((request.system, headers[b"x-organisation"], network))
    assert shown[True] == shown[False]
    assert len(shown[True]) == 1
    keys = {request.identity.key for _, request in wire.asked if request.harvest}
    assert len(keys) == 200


async def test_evolved_prompts_come_back_as_input() -> None:
    """An answer of the Evol-style harvester stands in its next prompt."""
    cast = own_cast(0)
    [evol] = [caller for caller in cast.callers if caller.name.startswith("Evol")]
    _, wire = await record(type(cast)(0, (evol,)))
    requests = [request for _, request in wire.asked]
    assert requests[0].answer.text in requests[1].messages[0].text


async def test_conversations_carry_the_answers_that_were_served() -> None:
    """A person's later requests repeat what was said before, word for word."""
    cast = own_cast(2)
    person = next(caller for caller in cast.callers if caller.kind == "human")
    _, wire = await record(type(cast)(2, (person,)))
    served = {request.answer.text for _, request in wire.asked}
    repeated = [
        message.text
        for _, request in wire.asked
        for message in request.messages
        if message.role == "assistant"
    ]
    assert len(repeated) > FEWEST_REQUESTS / 2
    assert set(repeated) <= served


async def test_the_cold_scene_is_one_honest_day() -> None:
    """2,000 organisations come for a short task, every program for its work."""
    results, wire = await record(cold_cast(0))
    agent, *programs = results.tallies
    keys = {request.identity.key for _, request in wire.asked if request.tools}
    assert len(keys) == agent.caller.keys == ORGANISATIONS
    assert 3 * ORGANISATIONS <= agent.requests <= 4 * ORGANISATIONS
    assert all(program.requests >= FEWEST_REQUESTS for program in programs)
    assert all(tally.caller.kind == "app" for tally in results.tallies)
    assert results.event_seconds < 1.5 * DAY
