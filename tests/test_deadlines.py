"""Deadlines: what takes too long is ended, with one timer, and nothing else is."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from gateway_guard.deadlines import Deadlines, Wait
from tests.callers import Wire, ask, asking, counted, guarded, scope_of
from tests.upstreams import model

if TYPE_CHECKING:
    from collections.abc import Callable


async def ever(deadlines: Deadlines, begun: list[Wait]) -> str:
    """Wait for ever, as far as the deadlines let one."""
    wait = deadlines.begin()
    begun.append(wait)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if not wait.is_over():
            raise
        return "over"
    finally:
        deadlines.end(wait)
    return "never"


async def begun_waits(
    deadlines: Deadlines, count: int
) -> tuple[list[asyncio.Task[str]], list[Wait]]:
    """Return tasks that wait for ever, and their waits."""
    begun: list[Wait] = []
    tasks = [asyncio.create_task(ever(deadlines, begun)) for _ in range(count)]
    for _ in range(count):
        await asyncio.wait(tasks, timeout=0)
    assert len(begun) == count
    return tasks, begun


# --- what a wait comes to -------------------------------------------------------------------------


async def test_a_wait_that_takes_too_long_is_ended() -> None:
    """Not before its time, and the task that waited goes on."""
    deadlines, begun = Deadlines(0.01), list[Wait]()
    async with asyncio.timeout(5):
        assert await ever(deadlines, begun) == "over"
    assert asyncio.get_running_loop().time() >= begun[0].due_at
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_wait_that_ended_in_time_is_left_alone() -> None:
    """Another one that began with it is ended all the same."""
    deadlines = Deadlines(0.01)
    mine = deadlines.begin()
    deadlines.end(mine)
    deadlines.end(mine)
    async with asyncio.timeout(5):
        assert await ever(deadlines, []) == "over"
    assert not mine.is_over()


async def test_a_cancellation_from_outside_is_not_swallowed() -> None:
    """Servers cancel the requests of clients that have left."""
    (task,), (wait,) = await begun_waits(Deadlines(60), 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not wait.is_over()


async def test_of_two_cancellations_the_one_from_outside_counts() -> None:
    """Whichever of them came first."""
    tasks, waits = await begun_waits(Deadlines(60), 2)
    waits[0].cancel()
    tasks[0].cancel()
    tasks[1].cancel()
    waits[1].cancel()
    for task in tasks:
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_wait_is_ended_once() -> None:
    """A task that takes a while to stop is not interrupted again at every look."""
    (task,), (wait,) = await begun_waits(Deadlines(60), 1)
    wait.cancel()
    wait.cancel()
    assert await task == "over"
    assert task.cancelling() == 0


# --- one timer for all of them --------------------------------------------------------------------


class Loop:
    """An event loop as far as deadlines see it: its clock, and what it was asked to do later."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.planned: list[tuple[float, Callable[..., None], tuple[object, ...]]] = []
        self.interrupted: list[float] = []
        self._monkeypatch = monkeypatch
        self.run()

    def run(self) -> None:
        """Be the running loop from now on."""
        running = SimpleNamespace(
            get_running_loop=lambda: self,
            current_task=lambda: SimpleNamespace(cancel=self._interrupt),
        )
        self._monkeypatch.setattr("gateway_guard.deadlines.asyncio", running)

    def _interrupt(self) -> None:
        self.interrupted.append(self.now)

    def time(self) -> float:
        """Return the seconds."""
        return self.now

    def call_later(self, seconds: float, act: Callable[..., None], *given: object) -> None:
        """Plan something."""
        self.planned.append((self.now + seconds, act, given))

    def pass_by(self, seconds: float) -> None:
        """Let time pass, and do what was planned."""
        until = self.now + seconds
        while self.planned and self.planned[0][0] <= until:
            self.now, act, given = self.planned.pop(0)
            act(*given)
        self.now = until


def test_there_is_one_timer_however_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is planned with the first wait, and goes on while there is one."""
    loop, deadlines = Loop(monkeypatch), Deadlines(4.0)
    assert loop.planned == []
    waits = [deadlines.begin() for _ in range(100)]
    assert len(loop.planned) == 1
    loop.pass_by(3.0)
    assert len(loop.planned) == 1
    assert loop.interrupted == []
    for wait in waits:
        deadlines.end(wait)


def test_nothing_is_left_when_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timer stops, and starts with the next wait."""
    loop, deadlines = Loop(monkeypatch), Deadlines(4.0)
    for _ in range(2):
        deadlines.end(deadlines.begin())
        deadlines.end(deadlines.begin())
        assert len(loop.planned) == 1
        loop.pass_by(1.0)
        assert loop.planned == []
    loop.pass_by(60.0)
    assert loop.interrupted == []


@pytest.mark.parametrize(("seconds", "late_seconds"), [(4.0, 0.5), (0.08, 0.01), (600.0, 1.0)])
def test_waits_end_in_their_order_and_not_much_late(
    monkeypatch: pytest.MonkeyPatch, seconds: float, late_seconds: float
) -> None:
    """By an eighth of their time, by a second at the most."""
    loop, deadlines, due = Loop(monkeypatch), Deadlines(seconds), []
    for _ in range(8):
        due.append(deadlines.begin().due_at)
        loop.pass_by(seconds / 9)
    loop.pass_by(2 * seconds)
    assert len(loop.interrupted) == len(due)
    late = [at - each for at, each in zip(loop.interrupted, due, strict=True)]
    assert all(0 <= each <= 1.001 * late_seconds for each in late)


def test_another_event_loop_starts_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers make loops as they please; what is left in an old one interrupts nobody."""
    old, deadlines = Loop(monkeypatch), Deadlines(4.0)
    left = deadlines.begin()
    new = Loop(monkeypatch)
    deadlines.begin()
    assert (len(old.planned), len(new.planned)) == (1, 1)
    old.pass_by(60.0)
    assert (old.planned, old.interrupted) == ([], [])
    deadlines.end(left)
    new.pass_by(4.5)
    assert len(new.interrupted) == 1


def test_a_guard_ends_waits_in_one_loop_after_the_other() -> None:
    """Real ones, with a body that never arrives in each."""
    guard = guarded(model, body_timeout="10ms")
    for number in range(1, 3):
        wire = Wire({"type": "http.request", "body": b"{", "more_body": True})
        asyncio.run(asyncio.wait_for(guard(scope_of(), wire.receive, wire.send), 5))
        assert wire.status == 408
        assert counted(guard, "problems") == {"timeout": number}


# --- bodies ---------------------------------------------------------------------------------------


async def test_two_bodies_that_do_not_arrive_are_given_up_at_once() -> None:
    """Each with 408, while a third one that arrives is answered."""
    guard = guarded(model, body_timeout="20ms")
    late = [Wire({"type": "http.request", "body": b"{", "more_body": True}) for _ in range(2)]
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        for wire in late:
            tasks.create_task(guard(scope_of(), wire.receive, wire.send))
        prompt = await ask(guard, scope_of(), asking("hello"))
    assert (prompt.status, [wire.status for wire in late]) == (200, [408, 408])
    assert counted(guard, "problems") == {"timeout": 2}
    assert guard.guard.budget.held_bytes == 0


async def test_a_client_that_leaves_while_its_body_arrives_is_no_time_out() -> None:
    """The cancellation reaches the server, and what was held is let go."""
    guard = guarded(model, body_timeout="10s")
    wire = Wire({"type": "http.request", "body": b"{", "more_body": True})
    task = asyncio.create_task(guard(scope_of(), wire.receive, wire.send))
    await asyncio.wait([task], timeout=0)
    assert guard.guard.budget.held_bytes > 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert counted(guard, "problems") == {}
    assert wire.sent == []
    assert guard.guard.budget.held_bytes == 0


async def test_an_application_may_take_as_long_as_it_likes() -> None:
    """Only bodies are waited for with a deadline."""
    others = asyncio.Event()

    async def slow(*_: object) -> None:
        await others.wait()

    guard = guarded(slow, body_timeout="10ms")
    task = asyncio.create_task(ask(guard, scope_of(), asking("hello")))
    late = Wire({"type": "http.request", "body": b"{", "more_body": True})
    async with asyncio.timeout(5):
        await guard(scope_of(), late.receive, late.send)
        assert (late.status, task.done()) == (408, False)
        others.set()
        await task
