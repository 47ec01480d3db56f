"""The pulse: a guarded application talks to a store beside its requests, on real loops."""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import httpx
import pytest

from gateway_guard.actions import Action
from gateway_guard.enforcement import Decision
from gateway_guard.proxy.options import ProxyOptions
from gateway_guard.proxy.server import guarded_proxy
from gateway_guard.stores import open_store
from tests import valkeys
from tests.callers import Time, ask, asking, counted, guarded, scope_of, sentence
from tests.driving import Caller, play
from tests.syncing import KEEPING, Fleet, Worker
from tests.test_syncing import block
from tests.traffic import INNOCENTS
from tests.upstreams import model

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from gateway_guard import GuardMiddleware
    from gateway_guard.stores import Entry
    from gateway_guard.syncing.rounds import Batch, Heard

ALICE = Caller("alice")
MALLORY = Caller("mallory", "203.0.113.0")


@pytest.fixture(autouse=True)
def _quick_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold rounds without waiting long."""
    monkeypatch.setattr("gateway_guard.syncing.pulse.ROUND_SECONDS", 0.001)
    monkeypatch.setattr("gateway_guard.stores.valkey.TIMEOUT_SECONDS", 5.0)


def rounds_of(
    guard: GuardMiddleware, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], Awaitable[None]]:
    """Return a function that waits for the end of so many rounds."""
    syncer, ended = guard.guard.syncer, asyncio.Queue[None]()
    apply = syncer.apply

    def applied(batch: Batch, heard: Heard | None) -> None:
        apply(batch, heard)
        ended.put_nowait(None)

    async def wait(count: int) -> None:
        for _ in range(count):
            await ended.get()

    monkeypatch.setattr(syncer, "apply", applied)
    return wait


async def test_a_guard_that_is_started_anew_refuses_whom_it_blocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, though the first one was told nothing of its end."""
    first = guarded(model, state_dir=tmp_path)
    wait = rounds_of(first, monkeypatch)
    assert (await ask(first, scope_of(), asking("Hello?"))).status == 200
    sentence(first, Action.BLOCK)
    await wait(6)
    second = guarded(model, state_dir=tmp_path)
    assert (await ask(second, scope_of(), asking("Hello?"))).status == 403
    for guard in (first, second):
        guard.guard.background.stop()


async def test_a_block_reaches_a_guard_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both serve; one of them finds out."""
    one, two = (guarded(model, state_dir=tmp_path) for _ in range(2))
    waits = [rounds_of(guard, monkeypatch) for guard in (one, two)]
    for guard in (one, two):
        assert (await ask(guard, scope_of(), asking("Hello?"))).status == 200
    await waits[0](3)
    sentence(one, Action.BLOCK)
    await waits[0](4)
    await waits[1](12)
    assert (await ask(two, scope_of(), asking("Hello?"))).status == 403
    for guard in (one, two):
        guard.guard.background.stop()


async def test_requests_are_answered_while_a_store_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its own thread, and nobody waits for that."""
    guard = guarded(model, state_dir=tmp_path)
    asked, answered = threading.Event(), threading.Event()
    store = guard.guard.syncer.link.store
    entries = store.entries

    def hang(log: str, after: str, most: int) -> list[Entry]:
        asked.set()
        answered.wait(60)
        return entries(log, after, most)

    monkeypatch.setattr(store, "entries", hang)
    assert (await ask(guard, scope_of(), asking("Is anybody there?"))).status == 200
    await asyncio.to_thread(asked.wait, 60)
    for number in range(20):
        assert (await ask(guard, scope_of(), asking(f"Question {number}?"))).status == 200
    assert not answered.is_set()
    answered.set()
    guard.guard.background.stop()
    assert counted(guard, "errors") == {}


async def test_what_is_left_is_said_at_the_end(tmp_path: Path) -> None:
    """A guard that is told to stop has its slot free and its counts kept."""
    clock = Time()
    guard = guarded(model, clock, state_dir=tmp_path)
    for number in range(3):
        await ask(guard, scope_of(), asking(f"Question {number}?"))
    guard.guard.background.stop()
    keeping = KEEPING._replace(namespace="default")
    store = open_store(f"sqlite:///{tmp_path}/state.sqlite3", clock, keeping)
    store.connect()
    assert store.writers() == 0
    page = store.instants("ages", "", 10)
    assert len(page.hashes) == 1
    store.close()


async def test_without_a_store_no_round_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as nothing gave way, a guard in memory talks to nobody."""
    guard = guarded(model)
    held: list[Batch] = []
    monkeypatch.setattr(guard.guard.syncer, "exchange", held.append)
    for number in range(3):
        await ask(guard, scope_of(), asking(f"Question {number}?"))
    guard.guard.background.stop()
    assert held == [] or all(batch.empty for batch in held)


async def test_a_proxy_tells_whether_its_store_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It serves all the same."""
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", "known")
    for url, said in ((f"sqlite:///{tmp_path}/state", "up"), (f"sqlite:///{tmp_path}", "down")):
        monkeypatch.setenv("GATEWAY_GUARD_STORE", url)
        app = guarded_proxy("http://127.0.0.1:9", ProxyOptions())
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://proxy") as client:
            health = await client.get("/healthz")
        assert (health.status_code, health.json()["store"]) == (200, said)


def test_workers_go_on_with_the_replica_that_a_sentinel_promotes(tmp_path: Path) -> None:
    """The primary dies; what was said to it is known, and what was counted meanwhile is said."""
    fleet = Fleet(tmp_path)
    plays = INNOCENTS["chat"](Random(1))
    with valkeys.replicated("guards") as (port, primary):
        url = f"valkey+sentinel://127.0.0.1:{port}/guards"
        fleet.workers = [Worker(open_store(url, time.time, KEEPING)) for _ in range(2)]
        fleet.sync(3)
        fleet.ask(ALICE, islice(plays, 10), seconds=40)
        primary.stop()
        fleet.ask(ALICE, islice(plays, 10), seconds=40)
        assert all(worker.instruments.gauges["store_up"] == 0.0 for worker in fleet.workers)
        valkeys.wait_until(lambda: back(fleet))
        fleet.wait(40)
        fleet.sync(3)
        fleet.ask(ALICE, islice(plays, 4), seconds=40)
        assert [worker.counted(ALICE) for worker in fleet.workers] == pytest.approx(
            [24] * 2, abs=1.1
        )
        for worker in fleet.workers:
            worker.link.close()


def back(fleet: Fleet) -> bool:
    """Try again; tell whether all workers were heard."""
    fleet.wait(60)
    fleet.sync(1)
    return all(worker.link.up for worker in fleet.workers)


def test_workers_over_a_server_that_loses_its_memory_go_on(tmp_path: Path) -> None:
    """A block travels over Valkey, and is known again once a server without a past is back."""
    fleet = Fleet(tmp_path)
    with valkeys.standalone() as port:
        url = f"valkey://127.0.0.1:{port}"
        fleet.workers = [Worker(open_store(url, time.time, KEEPING)) for _ in range(3)]
        fleet.sync(3)
        block(fleet, fleet.workers[0], MALLORY)
        fleet.sync(2)
        assert {worker.action(MALLORY) for worker in fleet.workers} == {Action.BLOCK}
        client = vars(fleet.workers[0].link.store)["_client"]
        client.flushall()
        for worker in fleet.workers:
            worker.link.close()
        fleet.wait(20)
        fleet.sync(3)
        late = Worker(open_store(url, time.time, KEEPING), fleet.at)
        assert late.action(MALLORY) == Action.BLOCK
        assert late.ask(MALLORY, play("Hello?")).decision.refused
        for worker in [*fleet.workers, late]:
            worker.link.close()


async def test_a_verdict_does_not_wait_for_the_next_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of each kind against a subject is told at once; others are not hurried by it."""
    guard = guarded(model, state_dir=tmp_path)
    wait = rounds_of(guard, monkeypatch)
    assert (await ask(guard, scope_of(), asking("Hello?"))).status == 200
    await wait(2)
    monkeypatch.setattr("gateway_guard.syncing.pulse.ROUND_SECONDS", 3600.0)
    await wait(1)
    pulse, begun = guard.guard.pulse, guard.guard.pulse.rounds
    for number, action in enumerate((Action.THROTTLE, Action.BLOCK), start=1):
        pulse.hear(Decision(action=Action.WATCH, subject_id="somebody"))
        pulse.hear(Decision(action=action, subject_id="somebody"))
        await wait(1)
        pulse.hear(Decision(action=action, subject_id="somebody"))
        assert pulse.rounds == begun + number
    guard.guard.background.stop()
