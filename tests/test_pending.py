"""Pending records: what was admitted is seen by scores until it is settled, within bounds."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from gateway_guard import pending as room
from gateway_guard.actions import Action
from gateway_guard.backlog import MOST_EVENTS
from gateway_guard.exchange import Sampling
from gateway_guard.pending import PendingRecords, Ticket
from gateway_guard.principal import SubjectKind
from gateway_guard.profile import Slot
from tests.driving import Caller, Driver, Play, PromptDriver, play, subjects_of
from tests.traffic import HARVESTS, INNOCENTS, prose

ALICE = Caller("alice")


def question(number: int = 0) -> str:
    """Return a question that is another one for each number."""
    return prose(Random(number), 90)


def opened(driver: Driver, count: int) -> list[Ticket]:
    """Open requests of Alice's."""
    return [driver.admit(ALICE, play(question(number))) for number in range(count)]


def test_what_is_pending_is_read_as_if_it_were_counted() -> None:
    """Whatever the answer, as soon as its text has been read."""
    driver = Driver()
    tickets = opened(driver, 5)
    driver.flush()
    subject = tickets[0].key
    assert [dict(ticket.shares)[subject].inflight for ticket in tickets] == [1, 2, 3, 4, 5]
    assert driver.reading(subject).slow[Slot.EXCHANGES] == pytest.approx(5)
    assert driver.reading(subject).slow[Slot.ANSWERED] == 0


def test_all_that_has_happened_is_counted_before_anything_is_scored() -> None:
    """Admissions and answers are read in batches; a request that makes a score due ends one."""
    driver = Driver()
    key = [driver.ask(ALICE, play(question(number))) for number in range(3)][-1].key
    assert driver.engine.unflushed == 6
    assert driver.reading(key).slow[Slot.EXCHANGES] == 0
    several = driver.admit(ALICE, play(question(3), sampling=Sampling(answers=6)))
    assert several.due
    assert driver.engine.unflushed == 0
    assert driver.reading(key).slow[Slot.EXCHANGES] == pytest.approx(9)
    assert driver.reading(key).slow[Slot.ANSWERED] == pytest.approx(3)
    assert key.fresh == 0


def test_an_exchange_is_pending_until_its_end_has_been_counted() -> None:
    """Then it is counted once, and shown no more."""
    driver = Driver()
    (ticket,) = opened(driver, 1)
    driver.flush()
    driver.start(ticket)
    driver.end(ticket, play(question()))
    assert (ticket.key.inflight, len(ticket.key.pending)) == (1, 1)
    driver.flush()
    assert (ticket.key.inflight, len(ticket.key.pending)) == (0, 0)
    assert driver.reading(ticket.key).slow[Slot.EXCHANGES] == pytest.approx(1)


@pytest.mark.parametrize("name", INNOCENTS)
def test_nothing_is_left_once_everything_is_settled(name: str) -> None:
    """Whatever the order and the outcome of two hundred exchanges at once."""
    driver, rng = Driver(), Random(1)
    plays = INNOCENTS[name](rng)
    tickets = []
    for number in range(200):
        asked = next(plays)
        tickets.append((driver.admit(Caller(f"k{number % 7}"), asked), asked))
    rng.shuffle(tickets)
    for ticket, asked in tickets:
        status = rng.choice([200, 200, 200, 401, 403, 500, None])
        if status is not None:
            driver.start(ticket, status)
        driver.end(ticket, asked, status)
    driver.flush()
    for ticket, _ in tickets:
        assert not ticket.open
        for subject, _ in ticket.shares:
            assert (subject.inflight, subject.pending) == (0, {})
    assert driver.engine.unflushed == 0


def test_what_was_dropped_before_it_was_read_is_not_shown() -> None:
    """A large body has what is put off read before the counting."""
    driver, caller = Driver(), Caller("alice")
    driver.meet(caller)
    driver.flush()
    driver.ask(caller, play(question()), status=500)
    large = play(question(1))
    exchange = msgspec.structs.replace(large.exchange, body_bytes=2**17)
    ticket = driver.admit(caller, Play(exchange, large.answer))
    driver.end(ticket, large)
    driver.flush()
    subject = driver.subject(caller)
    assert subject is not None
    assert subject.pending == {}


def refilled(ticket: Ticket) -> set[bool]:
    """Return what was noted in the subjects of an exchange that was read."""
    return {held.refilled for _, held in ticket.shares}


@pytest.mark.parametrize("kind", [Driver, PromptDriver])
def test_what_starts_as_another_one_ends_is_told_from_chance(kind: type[Driver]) -> None:
    """A closed loop refills at once, arrivals that know nothing of it do not; read when it may."""
    driver = kind()
    first, second = opened(driver, 2)
    driver.wait(10)
    driver.start(first)
    driver.end(first)
    driver.wait(0.5)
    (soon,) = opened(driver, 1)
    driver.wait(30)
    (late,) = opened(driver, 1)
    driver.wait(30)
    driver.flush()
    assert (refilled(soon), refilled(late)) == ({True}, {False})
    assert second.open


@pytest.mark.parametrize("kind", [Driver, PromptDriver])
def test_a_dropped_request_is_no_end_that_another_one_follows(kind: type[Driver]) -> None:
    """Retries after an error are not a closed loop."""
    driver = kind()
    opened(driver, 1)
    driver.wait(10)
    driver.end(opened(driver, 1)[0], status=500)
    driver.wait(0.5)
    (again,) = opened(driver, 1)
    driver.flush()
    assert refilled(again) == {False}


@pytest.mark.parametrize("kind", [Driver, PromptDriver])
def test_what_is_under_way_is_counted_as_it_was_at_admission(kind: type[Driver]) -> None:
    """Not as it is when the texts are read, after others have come and gone."""
    driver = kind()
    first, second = opened(driver, 2)
    driver.end(first, status=500)
    driver.end(second, status=500)
    (third,) = opened(driver, 1)
    driver.flush()
    mine = [dict(ticket.shares)[ticket.key].inflight for ticket in (first, second, third)]
    assert mine == [1, 2, 1]


@pytest.mark.parametrize(("answers", "due"), [(6, False), (7, True)])
def test_several_answers_are_due_sooner(answers: int, *, due: bool) -> None:
    """A score is read anew after so many exchanges, and n answers are n of them."""
    driver = Driver()
    driver.meet(ALICE)
    driver.flush()
    ticket = driver.admit(ALICE, play("Why?", sampling=Sampling(answers=answers)))
    assert ticket.due is due
    assert ticket.key.fresh == (0 if due else 1 + answers)
    driver.flush()
    assert {held.answers for _, held in ticket.shares} == {answers}


def test_a_subject_that_nobody_has_seen_is_looked_at_after_a_few_requests() -> None:
    """It is not held before texts are read, so what is common to strangers is counted apart."""
    driver = Driver()
    asked = play(question())
    tickets = [driver.admit(Caller(f"k{n}", f"n{n}", f"c{n}"), asked) for n in range(4)]
    assert [ticket.due for ticket in tickets] == [False, False, False, True]
    assert driver.engine.unflushed == 0
    (template, *_) = subjects_of(tickets[-1], SubjectKind.TEMPLATE)
    assert driver.reading(template).slow[Slot.EXCHANGES] == pytest.approx(4)


def test_a_score_that_is_due_waits_for_other_work_where_nothing_is_suspected() -> None:
    """Somebody quiet may be scored a little later, whoever is slowed is scored each time."""
    driver, harvest, chat = Driver(), HARVESTS["evol"](Random(1)), INNOCENTS["chat"](Random(1))
    bob = Caller("bob", "198.51.100.0", "curl 8")
    while driver.action(bob) < Action.THROTTLE:
        driver.ask(bob, next(harvest), seconds=8)
        driver.ask(ALICE, next(chat), seconds=8)
    quiet, slowed = driver.subject(ALICE), driver.subject(bob)
    assert quiet is not None
    assert slowed is not None
    assert quiet.due < quiet.urgent <= 2 * quiet.due
    assert (slowed.due, slowed.urgent) == (1, 1)


def test_records_are_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there are too many whose answer has not started, the oldest go as others are read."""
    monkeypatch.setattr(room, "_KEPT_IN_ALL", 50)
    driver, tickets = Driver(throttle_logit=90, block_logit=99), list[Ticket]()
    for number in range(200):
        tickets.append(driver.admit(ALICE, play(question(number))))
        assert sum(ticket.open for ticket in tickets) <= 50 + MOST_EVENTS
    driver.flush()
    assert [ticket.open for ticket in tickets] == [False] * 150 + [True] * 50
    assert tickets[0].key.inflight == 50


def test_records_whose_answer_runs_are_not_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that has started is never dropped for want of room."""
    monkeypatch.setattr(room, "_KEPT_IN_ALL", 5)
    driver = Driver(throttle_logit=90, block_logit=99)
    running = opened(driver, 1)[0]
    driver.start(running)
    waiting = opened(driver, 40)
    driver.flush()
    assert not waiting[0].open
    assert running.open


def test_overdue_records_come_oldest_first_and_only_when_due() -> None:
    """The caller drops each one before it asks for the next."""
    driver = Driver()
    first, second = opened(driver, 1)[0], opened(driver, 1)[0]
    records = PendingRecords(timeout_seconds=900)
    for ticket in (first, second):
        records.expect(ticket)
    assert list(records.overdue(driver.now)) == []
    driver.wait(900)
    dropped = []
    for ticket in records.overdue(driver.now):
        records.close(ticket)
        dropped.append(ticket)
    assert dropped == [first, second]
    assert not first.open
