"""Syncing: evidence adds up over workers, and outlives them."""

from __future__ import annotations

from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import pytest

from gateway_guard.actions import Action
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.subjects import IMITABLE
from gateway_guard.syncing.rows import Rows
from tests.driving import DAY, START_AT, Caller, play
from tests.syncing import KEEPING, Fleet, Worker
from tests.traffic import HARVESTS, INNOCENTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.driving import Play

ALICE, MALLORY = Caller("alice"), Caller("mallory", "203.0.113.0")


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """A place for a file, and nobody there yet."""
    return Fleet(tmp_path)


def harvest(count: int, seed: int = 1) -> list[Play]:
    """Return what a harvester asks."""
    return list(islice(HARVESTS["self_instruct"](Random(seed)), count))


def test_what_two_workers_counted_adds_up(fleet: Fleet) -> None:
    """Each sees half of a caller's exchanges; the scores of both see all of them."""
    one, two = fleet.start(2)
    plays = INNOCENTS["chat"](Random(1))
    fleet.ask(ALICE, islice(plays, 41))
    fleet.wait(40)
    fleet.sync()
    fleet.ask(ALICE, islice(plays, 2))
    assert one.counted(ALICE) == pytest.approx(43, abs=1.1)
    assert two.counted(ALICE) == pytest.approx(43, abs=1.1)


def test_a_harvester_over_two_workers_is_refused_no_later_than_by_one(
    fleet: Fleet, tmp_path: Path
) -> None:
    """To go from one to the other gains nothing."""
    alone = Fleet(tmp_path / "alone")
    alone.start()
    fleet.start(4)
    asked = harvest(120)
    assert fleet.ask(MALLORY, asked) >= 0.85 * alone.ask(MALLORY, asked) > 50


def test_a_block_on_one_worker_holds_on_all(fleet: Fleet) -> None:
    """After one round of each, whoever has never seen the key refuses it."""
    one, two = fleet.start(2)
    block(fleet, one, MALLORY)
    assert not two.ask(MALLORY, play("Hello?")).decision.refused
    fleet.sync(1)
    assert two.action(MALLORY) == Action.BLOCK
    assert two.ask(MALLORY, play("Hello again?")).decision.refused


def block(fleet: Fleet, worker: Worker, caller: Caller) -> None:
    """Have a caller harvest at one worker until it is blocked there."""
    plays = HARVESTS["self_instruct"](Random(1))
    for item in islice(plays, 2000):
        worker.ask(caller, item)
        fleet.wait(20)
        if worker.action(caller) == Action.BLOCK:
            return
    message = "it was never blocked"
    raise AssertionError(message)


def test_the_rate_of_a_throttle_is_that_of_all_workers_together(fleet: Fleet) -> None:
    """Whoever is sent to another worker each time is answered no more often."""
    fleet.start(4, throttle_rates="10,3,1", step_exchanges=1000)
    plays = HARVESTS["self_instruct"](Random(1))
    fleet.ask(MALLORY, islice(plays, 30), seconds=1)
    answered = 0
    for number in range(150):
        worker = fleet.workers[number % 4]
        answered += not worker.ask(MALLORY, next(plays)).decision.refused
        fleet.sync(2)
        fleet.wait(1.8)
    assert 0 < answered <= 1.2 * 10 * 5


def test_a_pardon_on_one_worker_holds_on_all_for_good(fleet: Fleet) -> None:
    """Neither what they know nor what they had not said yet brings the block back."""
    one, two, three = fleet.start(3)
    block(fleet, one, MALLORY)
    fleet.sync()
    assert {worker.action(MALLORY) for worker in fleet.workers} == {Action.BLOCK}
    two.syncer.pardon(MALLORY.principal.key)
    fleet.sync()
    for worker in fleet.workers:
        assert worker.action(MALLORY) == Action.PASS
        assert not worker.ask(MALLORY, play("May I?")).decision.refused
        assert worker.counted(MALLORY) < 5
    fleet.sync()
    fleet.end(three)
    [four] = fleet.start()
    fleet.sync()
    assert four.action(MALLORY) == Action.PASS
    del one


def test_a_restart_refuses_whom_it_blocked_at_once(fleet: Fleet) -> None:
    """Before the first round, even for a worker that was killed."""
    [first] = fleet.start()
    block(fleet, first, MALLORY)
    first.sync()
    fleet.end(first, killed=True)
    [second] = fleet.start()
    assert second.action(MALLORY) == Action.BLOCK
    assert second.ask(MALLORY, play("Hello?")).decision.refused


@pytest.mark.parametrize("killed", [False, True])
def test_a_restart_counts_on(fleet: Fleet, *, killed: bool) -> None:
    """What was said is all there; of what was not, at most what the rule for pushes allows."""
    [first] = fleet.start()
    plays = INNOCENTS["chat"](Random(1))
    fleet.ask(ALICE, islice(plays, 36))
    fleet.end(first, killed=killed)
    fleet.wait(70)
    [second] = fleet.start()
    fleet.ask(ALICE, islice(plays, 4))
    fleet.sync()
    assert second.counted(ALICE) == pytest.approx(40, abs=9 if killed else 0.2)


def test_a_restart_knows_the_ages_of_keys(fleet: Fleet) -> None:
    """And calls nobody young before it has read them."""
    [first] = fleet.start(warmup="7d")
    first.meet(ALICE)
    fleet.sync()
    fleet.end(first)
    fleet.wait(30 * DAY)
    [second] = fleet.start(rounds=0, warmup="7d")
    bob = Caller("bob")
    second.meet(bob)
    assert not second.ask(bob, play("Am I young?")).young
    fleet.sync()
    assert second.known_since(ALICE) == START_AT
    assert not second.ask(ALICE, play("Am I young?")).young
    assert second.ask(bob, play("Am I?")).young


def test_the_first_week_of_a_deployment_is_served_once(fleet: Fleet) -> None:
    """By the first of its guards, not by each new one."""
    [first] = fleet.start(warmup="7d")
    fleet.sync()
    fleet.wait(8 * DAY)
    [second] = fleet.start(warmup="7d")
    fleet.sync()
    for worker in (first, second):
        worker.meet(ALICE)
    assert second.memory.first_started_at == START_AT


def test_a_conversation_goes_on_at_another_worker(fleet: Fleet) -> None:
    """What one served, another one knows to have been served: also after a restart."""
    one, two = fleet.start(2)
    history = [("How deep is the lake?", "About forty metres, at its north end.")]
    one.ask(ALICE, play(*history[0]))
    fleet.sync()
    turn = play("And how wide?", "Two kilometres.", history=history)
    fleet.wait(30)
    assert is_observed(two, turn)
    fleet.end(one)
    fleet.end(two)
    fleet.wait(3600)
    [three] = fleet.start()
    fleet.sync()
    assert is_observed(three, turn)


def test_people_are_seen_to_go_on_wherever_their_turns_lead_them(fleet: Fleet) -> None:
    """A conversation of twenty turns over four workers, none of which saw it whole."""
    fleet.start(4)
    rng, history, observed = Random(1), list[tuple[str, str]](), 0
    for number in range(20):
        turn = play(f"And what of number {number}?", f"Number {number} it is.", history=history)
        worker = rng.choice(fleet.workers)
        observed += is_observed(worker, turn)
        history.append((f"And what of number {number}?", f"Number {number} it is."))
        fleet.sync(2)
        fleet.wait(20)
    assert observed == 19


def is_observed(worker: Worker, turn: Play) -> bool:
    """Tell whether a request is taken for one that goes on from an answer."""
    ticket = worker.ask(ALICE, turn)
    worker.flush()
    assert ticket.contribution is not None
    return not ticket.contribution.single


def test_admission_does_not_multiply_with_workers(fleet: Fleet) -> None:
    """A key gets its row with its second exchange, wherever the first one was."""
    one, two = fleet.start(2)
    for worker in (one, two):
        worker.meet(ALICE)
        fleet.sync()
    for worker in (one, two):
        subject = worker.subject(ALICE)
        assert subject is not None
        assert subject.row >= 0
    fleet.wait(30)
    fleet.ask(ALICE, [play("Once more?")] * 2)
    assert [worker.counted(ALICE) for worker in (one, two)] == pytest.approx([4, 4], abs=1.1)


def test_eviction_is_not_forgetting(fleet: Fleet) -> None:
    """A key whose row gave way comes back with all that was counted."""
    [worker] = fleet.start(memory="128KiB")
    crowd_out(fleet, worker)
    assert worker.memory.subjects.get(ALICE.principal.key) is None
    for _ in range(3):
        worker.ask(ALICE, play("Back again?"))
        fleet.wait(60)
        fleet.sync()
    assert worker.counted(ALICE) == pytest.approx(23, rel=0.02)


def crowd_out(fleet: Fleet, worker: Worker) -> None:
    """Have one key ask twenty times, then so many others that its row gives way."""
    plays = INNOCENTS["chat"](Random(1))
    for item in islice(plays, 20):
        worker.ask(ALICE, item)
        fleet.wait(60)
    for number in range(80):
        for _ in range(3):
            worker.ask(Caller(f"key-{number}", f"network-{number}"), next(plays))
        fleet.wait(1)
        fleet.sync(1)


def test_in_memory_too_what_was_evicted_comes_back(tmp_path: Path) -> None:
    """Without a file or a server, as long as the process lives."""
    fleet = Fleet(tmp_path)
    worker = Worker(MemoryStore(2**22, lambda: fleet.at, KEEPING), memory="128KiB")
    fleet.workers.append(worker)
    crowd_out(fleet, worker)
    for _ in range(3):
        worker.ask(ALICE, play("Back again?"))
        fleet.wait(60)
        fleet.sync()
    assert worker.counted(ALICE) == pytest.approx(23, rel=0.02)
    assert not list(tmp_path.iterdir())


def test_a_clock_that_is_wrong_by_a_minute_changes_nothing(fleet: Fleet) -> None:
    """Instants travel in the store's time."""
    [one], [two] = fleet.start(), fleet.start(skew=60.0)
    block(fleet, one, MALLORY)
    fleet.sync(2)
    mine, theirs = one.standing(MALLORY), two.standing(MALLORY)
    assert mine is not None
    assert theirs is not None
    assert theirs.until_at - two.now.wall == pytest.approx(mine.until_at - one.now.wall, abs=1.0)


def test_who_is_near_a_threshold_is_heard_of_at_once(fleet: Fleet) -> None:
    """A worker that is not asked any more knows what others count, though it is one at a time."""
    one, two = fleet.start(2, throttle_logit="30", block_logit="30")
    plays = iter(harvest(40))
    fleet.ask(MALLORY, islice(plays, 20))
    for item in plays:
        one.ask(MALLORY, item)
        fleet.wait(1)
        fleet.sync(2)
    assert two.counted(MALLORY) == pytest.approx(40, abs=1.1)


def test_who_is_far_from_every_threshold_costs_no_such_news(fleet: Fleet) -> None:
    """What one worker counts of him another one reads when he comes there."""
    one, two = fleet.start(2)
    plays = INNOCENTS["chat"](Random(1))
    fleet.ask(ALICE, islice(plays, 40))
    known = two.counted(ALICE)
    for item in islice(plays, 12):
        one.ask(ALICE, item)
        fleet.wait(5)
        fleet.sync(2)
    assert two.counted(ALICE) == pytest.approx(known, abs=0.1)
    two.ask(ALICE, next(plays))
    fleet.sync(2)
    assert two.counted(ALICE) > known + 8


def test_a_template_that_waits_gets_the_row_that_it_has_elsewhere(fleet: Fleet) -> None:
    """So that a campaign's second worker reads what the first one has counted of it."""
    [one] = fleet.start(1)
    ticket = one.ask(MALLORY, harvest(1)[0])
    one.flush()
    [waiting, *_] = [id_ for kind, id_ in ticket.ids if kind in IMITABLE]
    subject = one.memory.subjects.get(waiting)
    assert subject is not None
    assert subject.row < 0
    rows = Rows(one.memory.subjects, alone=False)
    rows.tell(waiting)
    assert subject.row >= 0
    assert rows.pressing
    rows.tell(bytes(16))
    assert one.memory.subjects.get(bytes(16)) is None
