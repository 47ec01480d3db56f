"""Pending records: what was admitted is seen by scores until it is settled, within bounds."""

from __future__ import annotations

from random import Random

import pytest

from gateway_guard import pending as room
from gateway_guard.exchange import Sampling
from gateway_guard.pending import PendingRecords, Ticket
from gateway_guard.principal import SubjectKind
from gateway_guard.profile import Slot
from tests.driving import Caller, Driver, play
from tests.traffic import INNOCENTS, prose

ALICE = Caller("alice")


def question(number: int = 0) -> str:
    """Return a question that is another one for each number."""
    return prose(Random(number), 90)


def opened(driver: Driver, count: int) -> list[Ticket]:
    """Open requests of Alice's."""
    return [driver.admit(ALICE, play(question(number))) for number in range(count)]


def test_what_is_pending_is_read_as_if_it_were_counted() -> None:
    """From the moment of admission on, whatever the answer."""
    driver = Driver()
    tickets = opened(driver, 5)
    subject = tickets[0].key
    assert [dict(ticket.shares)[subject].inflight for ticket in tickets] == [1, 2, 3, 4, 5]
    assert driver.reading(subject).slow[Slot.EXCHANGES] == pytest.approx(5)
    assert driver.reading(subject).slow[Slot.ANSWERED] == 0


def test_what_is_settled_is_read_before_it_is_written() -> None:
    """Settled exchanges are counted in batches; scores read them meanwhile."""
    driver = Driver()
    key = [driver.ask(ALICE, play(question(number))) for number in range(7)][-1].key
    assert driver.engine.unflushed == 7
    for _ in range(2):
        assert driver.reading(key).slow[Slot.EXCHANGES] == pytest.approx(7)
        assert driver.reading(key).slow[Slot.ANSWERED] == pytest.approx(7)
        driver.flush()


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


def test_what_starts_as_another_one_ends_is_told_from_chance() -> None:
    """A closed loop refills at once; arrivals that know nothing of it do not."""
    driver = Driver()
    first, second = opened(driver, 2)
    driver.wait(10)
    driver.start(first)
    driver.end(first)
    driver.wait(0.5)
    assert all(held.refilled for _, held in opened(driver, 1)[0].shares)
    driver.wait(30)
    assert not any(held.refilled for _, held in opened(driver, 1)[0].shares)
    assert second.open


def test_a_dropped_request_is_no_end_that_another_one_follows() -> None:
    """Retries after an error are not a closed loop."""
    driver = Driver()
    opened(driver, 1)
    driver.wait(10)
    driver.end(opened(driver, 1)[0], status=500)
    driver.wait(0.5)
    assert not any(held.refilled for _, held in opened(driver, 1)[0].shares)


def test_several_answers_are_due_sooner() -> None:
    """A score is read anew after so many exchanges, and n answers are n of them."""
    driver = Driver()
    ticket = driver.admit(ALICE, play(question(), sampling=Sampling(answers=5)))
    assert ticket.key.fresh == 5
    assert {held.answers for _, held in ticket.shares} == {5}


def test_records_are_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there are too many whose answer has not started, the oldest is dropped."""
    monkeypatch.setattr(room, "_KEPT_IN_ALL", 50)
    driver = Driver(throttle_logit=90, block_logit=99)
    tickets = opened(driver, 80)
    assert [ticket.open for ticket in tickets] == [False] * 29 + [True] * 51
    assert tickets[0].key.inflight == 51


def test_records_whose_answer_runs_are_not_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that has started is never dropped for want of room."""
    monkeypatch.setattr(room, "_KEPT_IN_ALL", 5)
    driver = Driver(throttle_logit=90, block_logit=99)
    running = opened(driver, 1)[0]
    driver.start(running)
    opened(driver, 40)
    assert running.open


def test_overdue_records_come_oldest_first_and_only_when_due() -> None:
    """The caller drops each one before it asks for the next."""
    driver = Driver()
    first, second = opened(driver, 1)[0], opened(driver, 1)[0]
    records = PendingRecords(timeout_seconds=900)
    subject = driver.memory.subjects.find(SubjectKind.NETWORK, b"net", b"own")
    for ticket in (first, second):
        records.hold(ticket, [subject], driver.now)
    assert list(records.overdue(driver.now)) == []
    driver.wait(900)
    dropped = []
    for ticket in records.overdue(driver.now):
        records.end(ticket, None)
        dropped.append(ticket)
    assert dropped == [first, second]
