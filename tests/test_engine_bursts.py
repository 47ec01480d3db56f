"""Bursts: what comes at once is bounded by what is pending, before a single answer is known."""

from __future__ import annotations

from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway_guard.actions import Action
from gateway_guard.exchange import Sampling
from gateway_guard.principal import SubjectKind
from gateway_guard.profile import Slot
from tests.driving import Caller, Driver, Play, of_turns, play, subjects_of
from tests.traffic import HARVESTS, INNOCENTS, prose

if TYPE_CHECKING:
    from gateway_guard.pending import Ticket
    from gateway_guard.subjects import Subject


def caller(number: int) -> Caller:
    """Return one of many keys, each from a network of its own."""
    return Caller(f"key-{number}", f"network-{number}")


def one_by_one(name: str, count: int, keys: int) -> int:
    """Return how many of ``count`` requests pass when each waits for the answer before it."""
    driver, plays = Driver(), HARVESTS[name](Random(1))
    passed = 0
    for number in range(count):
        ticket = driver.ask(caller(number % keys), next(plays), seconds=0.01)
        passed += not ticket.decision.refused
    return passed


def at_once(name: str, count: int, keys: int) -> tuple[int, Driver, list[tuple[Ticket, Play]]]:
    """Return how many pass when all of them come before the first answer, and those."""
    driver, plays = Driver(), HARVESTS[name](Random(1))
    passed = []
    for number in range(count):
        asked = next(plays)
        ticket = driver.admit(caller(number % keys), asked)
        if not ticket.decision.refused:
            passed.append((ticket, asked))
        driver.wait(0.0005)
    return len(passed), driver, passed


@pytest.mark.parametrize("name", HARVESTS)
def test_500_first_requests_of_one_harvester_at_once_are_bounded(name: str) -> None:
    """Under twice as many pass as when they come one by one."""
    passed, _, _ = at_once(name, 500, keys=1)
    assert 0 < passed < 2 * one_by_one(name, 500, keys=1)


@pytest.mark.parametrize(
    ("name", "count"), [("self_instruct", 1500), ("evol", 1500), ("tutor", 4000)]
)
def test_4000_fresh_keys_at_once_with_one_template_are_bounded(name: str, count: int) -> None:
    """Under twice as many pass as when they come one by one."""
    passed, _, _ = at_once(name, count, keys=count)
    assert 0 < passed < 2 * one_by_one(name, 400, keys=400)


@pytest.mark.parametrize("name", ["evol", "reasoning"])
def test_nothing_leaks_once_the_burst_is_over(name: str) -> None:
    """No request under way, none pending, none unsettled."""
    _, driver, passed = at_once(name, 500, keys=50)
    for ticket, asked in passed:
        driver.start(ticket)
        driver.end(ticket, asked)
    driver.flush()
    for ticket, _ in passed:
        assert all((subject.inflight, subject.pending) == (0, {}) for subject, _ in ticket.shares)
    table = driver.memory.subjects
    held = [table.get(caller(number).principal.key) for number in range(50)]
    assert all(subject.inflight == 0 for subject in held if subject is not None)
    assert driver.engine.unflushed == 0


# --- what is expected of answers that nobody has seen ---------------------------------------------


def answered(driver: Driver, subject: Subject) -> int:
    """Return how many answers a score of the subject would see."""
    return round(driver.reading(subject).slow[Slot.ANSWERED])


def pending(asked: Play, count: int = 10) -> tuple[Driver, Subject]:
    """Open a request several times."""
    driver = Driver()
    tickets = [driver.admit(Caller("alice"), asked) for _ in range(count)]
    driver.flush()
    return driver, tickets[-1].key


BOLD = Sampling(max_tokens=16_000)


def test_a_budget_at_the_ceiling_is_taken_at_its_word() -> None:
    """So is wording that asks for training material, with any budget."""
    assert answered(*pending(play("How many are left?", sampling=BOLD))) == 10
    thinking = Sampling(thinking_tokens=20_000)
    assert answered(*pending(play("How many are left?", sampling=thinking))) == 10
    wording = play("Write twenty new math problems.", sampling=Sampling(max_tokens=900))
    assert answered(*pending(wording)) == 10


def test_nothing_is_expected_of_modest_requests_agents_and_conversations() -> None:
    """Their answers are waited for."""
    modest = play("How many are left?", sampling=Sampling(max_tokens=4096))
    agent = play("How many are left?", sampling=BOLD, tool_definitions=3)
    silent = play("Write twenty new math problems.")
    evaluation = play("Solve it step by step: 2 + 2?", sampling=Sampling(max_tokens=1024))
    for asked in (modest, agent, silent, evaluation):
        assert answered(*pending(asked)) == 0
    driver = Driver()
    driver.ask(Caller("alice"), play("How many are there?", "Nine."))
    driver.wait(60)
    later = play("And now?", history=[("How many are there?", "Nine.")], sampling=BOLD)
    ticket = driver.admit(Caller("alice"), later)
    driver.flush()
    assert answered(driver, ticket.key) == 1


def test_nothing_is_expected_once_answers_are_known() -> None:
    """Eight of them tell more than any budget."""
    driver, short = Driver(), play("How many are left?", "Two.", sampling=BOLD)
    for _ in range(8):
        driver.ask(Caller("alice"), short, seconds=3)
    tickets = [driver.admit(Caller("alice"), short) for _ in range(20)]
    driver.flush()
    assert answered(driver, tickets[-1].key) == 8


def burst_of(answer: str) -> tuple[Driver, list[bool]]:
    """Send bold requests at once, answer those that pass, then one every ten seconds."""
    driver, alice = Driver(), Caller("alice")
    plays = [play(prose(Random(number), 90), answer, sampling=BOLD) for number in range(60)]
    tickets = [(driver.admit(alice, asked), asked) for asked in plays[:40]]
    assert any(ticket.decision.refused for ticket, _ in tickets)
    driver.wait(5)
    for ticket, asked in tickets:
        if ticket.open:
            driver.start(ticket)
            driver.end(ticket, asked)
    later = []
    for asked in plays[40:]:
        driver.wait(10)
        later.append(driver.ask(alice, asked, seconds=2).decision.action >= Action.THROTTLE)
    return driver, later


def test_what_was_expected_is_taken_back_when_short_answers_come() -> None:
    """A burst of an innocent with a careless budget is slowed for seconds, not for minutes."""
    driver, throttled = burst_of("Two.")
    assert not any(throttled[1:])
    assert driver.action(Caller("alice")) == Action.PASS


def test_what_was_expected_is_confirmed_when_long_answers_come() -> None:
    """Then it goes on where it was."""
    driver, throttled = burst_of(prose(Random(0), 4000))
    assert all(throttled)
    assert driver.action(Caller("alice")) >= Action.THROTTLE


def test_an_exchange_that_ends_without_an_answer_in_sight_is_counted_without_one() -> None:
    """What was expected of it is forgotten."""
    driver, subject = pending(play("How many are left?", sampling=BOLD), 3)
    tickets = [driver.admit(Caller("alice"), play("And how many now?", sampling=BOLD))]
    for ticket in tickets:
        driver.start(ticket)
        driver.end(ticket, None)
    driver.flush()
    assert answered(driver, subject) == 3


@pytest.mark.parametrize("max_tokens", [None, 1024, 4096])
@pytest.mark.parametrize("name", INNOCENTS)
def test_a_burst_of_an_innocent_passes(name: str, max_tokens: int | None) -> None:
    """A batch that begins with a hundred requests at once, under a key that nobody has seen."""
    driver, open_ = Driver(), []
    for asked in islice(INNOCENTS[name](Random(2)), 100):
        sampling = msgspec.structs.replace(asked.exchange.sampling, max_tokens=max_tokens)
        again = of_turns(*asked.exchange.turns, answer=asked.answer, sampling=sampling)
        open_.append((driver.admit(Caller("batch"), again), again))
        driver.wait(0.01)
    for ticket, asked in open_:
        assert not ticket.decision.refused
        driver.start(ticket)
        driver.end(ticket, asked)
    assert not driver.admit(Caller("batch"), play(prose(Random(1), 200))).decision.refused


def test_key_and_template_see_the_same_burst() -> None:
    """Each reads what is pending for itself."""
    _, driver, passed = at_once("tutor", 10, keys=10)
    driver.flush()
    ticket = passed[-1][0]
    template = subjects_of(ticket, SubjectKind.TEMPLATE)[0]
    for subject, count in ((ticket.key, 1), (template, 10)):
        assert round(driver.reading(subject).slow[Slot.EXCHANGES]) == count
