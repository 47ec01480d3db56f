"""The stage: a discrete-event scheduler whose events are real requests.

Time stands still while a request travels and moves on to the next event when the guard has decided
or settled. So what is in flight at the guard is exact in event time, whatever the machine's speed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Final

from gateway_guard.demo.script import NOTHING, Wait
from gateway_guard.demo.tally import Results, Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_guard.demo.script import Behaviour, Caller, Cast, Reply, Request
    from gateway_guard.demo.wire import Flight, Wire

    OnEvent = Callable[[float, list[Tally]], None]

# Of a caller's requests, every so many are followed by a question about the caller.
ASK_EVERY: Final = 16


@dataclass(order=True, slots=True)
class _Event:
    at: float
    order: int
    actor: _Actor = field(compare=False)
    flight: Flight | None = field(compare=False, default=None)


@dataclass(slots=True)
class _Actor:
    tally: Tally
    behaviour: Behaviour
    began: bool = False

    def go_on(self, reply: Reply) -> Wait | Request | None:
        """Return the next step, or None at the end."""
        try:
            if self.began:
                return self.behaviour.send(reply)
            self.began = True
            return next(self.behaviour)
        except StopIteration:
            return None


class _Stage:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._guard = wire.guard
        self._clock = wire.guard.clock
        self._events: list[_Event] = []
        self._order = count()

    def enter(self, caller: Caller) -> Tally:
        """Put everything that a caller does on the programme."""
        tally = Tally(caller)
        for act in caller.acts:
            self._plan(act.begins_at, _Actor(tally, act.behaviour))
        return tally

    async def next_event(self) -> bool:
        """Let the next thing happen; False when nothing is left."""
        if not self._events:
            return False
        event = heappop(self._events)
        self._clock.advance(event.at)
        reply = NOTHING
        if event.flight is not None:
            reply = await self._wire.finish(event.flight)
            self._ask_now_and_then(event.actor.tally)
        await self._take(event.actor, event.actor.go_on(reply))
        return True

    def _ask_now_and_then(self, tally: Tally) -> None:
        """Keep the table's scores fresh, at a small part of what the requests cost."""
        if tally.requests % ASK_EVERY == 0 and len(tally.keys) == 1 and not tally.convicted:
            tally.ask(self._guard)

    async def _take(self, actor: _Actor, step: Wait | Request | None) -> None:
        now = self._clock.elapsed_seconds
        if isinstance(step, Wait):
            self._plan(now + step.seconds, actor)
        elif step is not None:
            flight = await self._wire.start(step)
            actor.tally.count(step, self._guard.take(), flight.refusal)
            self._plan(now + step.seconds if flight.refusal is None else now, actor, flight)

    def _plan(self, at: float, actor: _Actor, flight: Flight | None = None) -> None:
        heappush(self._events, _Event(at, next(self._order), actor, flight))


async def run(cast: Cast, *, wire: Wire, on_event: OnEvent | None = None) -> Results:
    """Play a cast to its end.

    Args:
        cast: who is on stage; its behaviours are used up.
        wire: how requests travel, already open; its guard's clock is the time of the story.
        on_event: called after every event with the seconds of event time passed and the tallies.

    """
    began_at = perf_counter()
    stage = _Stage(wire)
    tallies = [stage.enter(caller) for caller in cast.callers]
    while await stage.next_event():
        if on_event is not None:
            on_event(wire.guard.clock.elapsed_seconds, tallies)
    for tally in tallies:
        tally.ask(wire.guard)
    return Results(tallies, perf_counter() - began_at, wire.guard.clock.elapsed_seconds)
