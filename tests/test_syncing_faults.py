"""Syncing with a store that fails: decisions go on, and nothing is lost or counted twice."""

from __future__ import annotations

from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.actions import Action
from gateway_guard.stores.groups import is_group
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.stores.parts import from_part, to_part
from tests.driving import DAY, Caller
from tests.syncing import KEEPING, Faulty, Fleet, Worker
from tests.traffic import HARVESTS, INNOCENTS

if TYPE_CHECKING:
    from pathlib import Path

ALICE, MALLORY = Caller("alice"), Caller("mallory", "203.0.113.0")
CALLS = ("lease", "renew", "write", "append", "entries", "versions", "read", "keep_instants")


class Shared(MemoryStore):
    """A store in memory that several workers of a test share as if it were a server."""

    shared = durable = True


def away(fleet: Fleet) -> tuple[Worker, Faulty]:
    """Return a worker whose store has just gone away."""
    store = Faulty(fleet.store())
    worker = Worker(store, fleet.at)
    fleet.workers.append(worker)
    fleet.sync(2)
    store.away = True
    return worker, store


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """A place for a file, and nobody there yet."""
    return Fleet(tmp_path)


def test_decisions_go_on_without_a_store(fleet: Fleet) -> None:
    """It was never there; a harvester is refused as ever, and the log says so once."""
    store = Faulty(fleet.store())
    store.away = True
    worker = Worker(store)
    fleet.workers.append(worker)
    refused = fleet.ask(MALLORY, islice(HARVESTS["self_instruct"](Random(1)), 60))
    assert refused > 30
    assert worker.instruments.gauges["store_up"] == 0.0


def test_what_was_counted_while_a_store_was_away_is_said_when_it_is_back(fleet: Fleet) -> None:
    """Exchanges, ages, verdicts and the answers that were served."""
    worker, store = away(fleet)
    plays = INNOCENTS["chat"](Random(1))
    worker.meet(Caller("newcomer"))
    fleet.ask(ALICE, islice(plays, 30), seconds=40)
    [harvested] = [fleet.ask(MALLORY, islice(HARVESTS["self_instruct"](Random(1)), 30), seconds=1)]
    asked = len(store.calls)
    assert harvested
    assert worker.action(MALLORY) == Action.THROTTLE
    assert asked < 250
    store.away = False
    fleet.wait(60)
    fleet.sync(3)
    [other] = fleet.start()
    assert other.action(MALLORY) == Action.THROTTLE
    assert other.known_since(Caller("newcomer")) == worker.known_since(Caller("newcomer"))
    fleet.ask(ALICE, islice(plays, 4), seconds=40)
    assert other.counted(ALICE) == pytest.approx(34, abs=1.5)
    assert worker.counted(ALICE) == pytest.approx(34, abs=2.1)


@pytest.mark.parametrize("call", CALLS)
def test_what_was_done_though_it_seemed_to_fail_counts_once(fleet: Fleet, call: str) -> None:
    """A time-out does not say whether the store has heard."""
    worker, store = away(fleet)
    store.away = False
    [other] = fleet.start()
    plays = INNOCENTS["chat"](Random(1))
    for number in range(6):
        store.fails_after = {call} if number % 2 == 0 else set()
        for item in islice(plays, 4):
            worker.ask(ALICE, item)
            fleet.wait(10)
            fleet.sync(1)
    fleet.wait(60)
    fleet.sync(4)
    worker.ask(ALICE, next(plays))
    fleet.wait(31)
    fleet.sync(2)
    for _ in range(2):
        other.ask(ALICE, next(plays))
        fleet.sync(2)
    assert other.counted(ALICE) == pytest.approx(27, abs=0.3)
    assert worker.counted(ALICE) == pytest.approx(25, abs=0.3)


def test_steps_of_a_throttle_are_added_up_once(fleet: Fleet) -> None:
    """Though the entry that tells of them is written twice."""
    store = Faulty(fleet.store())
    worker = Worker(store)
    fleet.workers.append(worker)
    [other] = fleet.start()
    fleet.sync(2)
    for item in islice(HARVESTS["self_instruct"](Random(1)), 60):
        store.fails_after = {"append"} if len(store.calls) % 2 else set()
        worker.ask(MALLORY, item)
        fleet.wait(7)
        fleet.sync(1)
    store.fails_after = set()
    fleet.wait(60)
    fleet.sync(4)
    mine, theirs = worker.standing(MALLORY), other.standing(MALLORY)
    assert mine is not None
    assert theirs is not None
    assert 0 < mine.above == theirs.above


def test_whoever_lost_his_slot_begins_anew_and_counts_nothing_twice(fleet: Fleet) -> None:
    """A worker was cut off for so long that another one took its slot over."""
    worker, store = away(fleet)
    store.away = False
    plays = INNOCENTS["chat"](Random(1))
    for item in islice(plays, 16):
        worker.ask(ALICE, item)
        fleet.wait(40)
        fleet.sync(1)
    store.away = True
    fleet.wait(120)
    [successor] = fleet.start()
    for item in islice(plays, 4):
        successor.ask(ALICE, item)
        fleet.wait(40)
        fleet.sync(1)
    store.away = False
    fleet.wait(60)
    fleet.sync(3)
    for item in islice(plays, 4):
        worker.ask(ALICE, item)
        fleet.wait(40)
        fleet.sync(2)
    assert worker.counted(ALICE) == pytest.approx(24, rel=0.02)


def test_a_writer_from_the_future_takes_nothing_from_others(fleet: Fleet) -> None:
    """Its clock was a year ahead when it wrote; the sums of others have not decayed since."""
    [one] = fleet.start()
    plays = INNOCENTS["chat"](Random(1))
    fleet.ask(ALICE, islice(plays, 12), seconds=31)
    store = fleet.store()
    store.connect()
    [parts] = store.read([ALICE.principal.key])
    ahead = next(part for part in parts if part.slot == 0)
    row = from_part(ahead)
    assert row is not None
    store.write([to_part(row, 5, fleet.at + 365 * DAY)])
    store.close()
    fleet.ask(ALICE, islice(plays, 2), seconds=31)
    assert one.counted(ALICE) == pytest.approx(26, abs=1.1)


def test_what_twenty_workers_counted_is_read_in_sums() -> None:
    """Each reads a few records instead of nineteen parts, and they say the same."""
    fleet = Fleet(None)
    shared = Shared(2**24, lambda: fleet.at, KEEPING)
    fleet.workers = [Worker(shared, memory="64KiB") for _ in range(20)]
    fleet.sync(2)
    plays = INNOCENTS["chat"](Random(1))
    for item in islice(plays, 100):
        worker = fleet.workers[int(fleet.at) % 20]
        worker.ask(ALICE, item)
        fleet.wait(1)
        fleet.sync(1)
    fleet.wait(31)
    fleet.sync(2)
    asked = [worker.ask(ALICE, next(plays)) for worker in fleet.workers]
    fleet.wait(31)
    fleet.sync(3)
    read = shared.read([ALICE.principal.key], 0)[0]
    assert len(read) < 20
    assert any(is_group(part.slot) for part in read)
    counted = [worker.counted(ALICE) for worker in fleet.workers]
    assert counted == pytest.approx([100 + len(asked)] * 20, abs=20)
    for _ in range(2):
        fleet.wait(2)
        fleet.workers[0].ask(ALICE, next(plays))
        fleet.sync(1)
    assert fleet.workers[0].counted(ALICE) == pytest.approx(122, abs=0.5)


# --- any interleaving ----------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["ask", "ask", "ask", "sync", "sync", "lose", "gone", "evict", "restart"]),
    ),
    min_size=5,
    max_size=40,
)


def crowd_out(worker: Worker) -> None:
    """Have every row of a worker give way."""
    worker.flush()
    slab = worker.memory.subjects.slab
    for _ in range(2 * slab.capacity):
        slab.acquire()


@given(STEPS)
@settings(max_examples=60)
def test_no_interleaving_changes_what_is_read_in_the_end(steps: list[tuple[int, str]]) -> None:
    """Workers ask, sync, evict, fail before or after the store has heard, and are started anew."""
    with pytest.MonkeyPatch.context() as patch:
        # These workers are quiet for longer than any that lives.
        patch.setattr("gateway_guard.syncing.rounds.LEASE_SECONDS", 86400.0)
        play_through(steps)


def play_through(steps: list[tuple[int, str]]) -> None:
    """Do some steps, then see whether the last worker reads all that was asked."""
    fleet = Fleet(None)
    shared = Shared(2**24, lambda: fleet.at, KEEPING)
    plays, asked = INNOCENTS["chat"](Random(1)), 0
    stores = [Faulty(shared) for _ in range(3)]
    fleet.workers = [Worker(store, memory="64KiB") for store in stores]
    fleet.sync(2)
    for at, step in steps:
        worker, store = fleet.workers[at], stores[at]
        fleet.wait(31)
        store.away = step == "gone"
        store.fails_after = {"read"} if step == "lose" else set()
        if step == "ask":
            worker.ask(ALICE, next(plays))
            asked += 1
        elif step == "evict":
            crowd_out(worker)
        elif step == "restart":
            worker.leave()
            left = worker.subject(ALICE)
            asked -= len(left.waiting) if left is not None else 0  # had no row to go on from
            fleet.workers[at] = Worker(store, fleet.at, memory="64KiB")
            fleet.workers[at].sync(2)
        else:
            worker.sync()
        store.away, store.fails_after = False, set()
    fleet.wait(60)
    fleet.sync(4)
    for worker in [*fleet.workers, *fleet.workers]:
        worker.ask(ALICE, next(plays))
        fleet.wait(31)
        fleet.sync(2)
    # The last worker hears all that the others have pushed before it.
    assert fleet.workers[-1].counted(ALICE) == pytest.approx(asked + 6, abs=0.3)
