"""Lots: of well-known customers one exchange in four is read, and nothing is missed by that."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest

from gateway_guard.actions import Action
from gateway_guard.exchange import Sampling
from gateway_guard.lots import ONE_IN
from gateway_guard.profile import Slot
from tests.driving import Caller, Driver, Play, play
from tests.traffic import HARVESTS, prose

if TYPE_CHECKING:
    from gateway_guard.pending import Ticket
    from gateway_guard.subjects import Subject

ALICE = Caller("alice")
EARLIER = 200


def question(number: int, end_user: str | None = None) -> Play:
    """Return a question that is another one for each number, and a short answer."""
    return play(prose(Random(number), 300), "Yes, at nine.", end_user=end_user)


def well_known(*, requests: int = EARLIER) -> Driver:
    """Return a driver that has known Alice for days."""
    driver = Driver()
    for number in range(requests):
        driver.ask(ALICE, question(number), seconds=2)
        driver.wait(600)
    driver.flush()
    return driver


def asked(driver: Driver, count: int) -> list[Ticket]:
    """Ask some more."""
    tickets = []
    for number in range(count):
        tickets.append(driver.ask(ALICE, question(10_000 + number), seconds=2))
        driver.wait(600)
    driver.flush()
    return tickets


def key(driver: Driver) -> Subject:
    """Return Alice's subject."""
    subject = driver.subject(ALICE)
    assert subject is not None
    return subject


def test_every_exchange_of_a_key_that_is_not_well_known_is_read() -> None:
    """Its first hundred tell what it is."""
    driver = Driver()
    assert all(ticket.weight == 1 for ticket in asked(driver, 100))
    assert not key(driver).quiet


def test_one_in_four_of_a_well_known_key_is_read_and_stands_for_four() -> None:
    """All others are passed over."""
    tickets = asked(well_known(), 400)
    weights = [ticket.weight for ticket in tickets]
    assert set(weights) == {0, ONE_IN}
    assert sum(weights) == pytest.approx(400, rel=0.2)
    assert all((ticket.contribution is None) is (not ticket.weight) for ticket in tickets)


def test_what_is_counted_is_what_came() -> None:
    """The sums are what they would be, but for the luck of the draw."""
    driver = well_known()
    before = driver.reading(key(driver)).slow
    asked(driver, 400)
    after = driver.reading(key(driver)).slow
    for slot in (Slot.EXCHANGES, Slot.SINGLE, Slot.ANSWERED):
        assert after[slot] - 0.87 * before[slot] == pytest.approx(400, rel=0.25)
    assert after[Slot.ANSWER_LOG] / after[Slot.ANSWERED] == pytest.approx(
        before[Slot.ANSWER_LOG] / before[Slot.ANSWERED]
    )


def test_distinct_questions_stay_distinct() -> None:
    """A question that stands for four was asked once."""
    driver = well_known()
    asked(driver, 400)
    distinct, count = driver.reading(key(driver)).bodies
    assert distinct / count > 0.8


def test_nothing_is_left_under_way() -> None:
    """Whether an exchange was read or passed over, and however it ended."""
    driver = well_known()
    for number in range(60):
        ticket = driver.admit(ALICE, question(20_000 + number))
        if number % 3:
            driver.start(ticket)
        driver.end(ticket, None, status=(None, 200, 500)[number % 3])
    driver.flush()
    assert (key(driver).inflight, key(driver).pending) == (0, {})


def test_a_conversation_with_one_that_was_passed_over_is_observed() -> None:
    """Questions and answers are remembered of all of them."""
    driver = well_known()
    passed = next(
        number
        for number in range(50)
        if not driver.ask(ALICE, question(30_000 + number), seconds=2).weight
    )
    driver.wait(60)
    first = question(30_000 + passed)
    history = [(first.exchange.turns[-1].text, first.answer)]
    ticket = driver.ask(ALICE, play("And on Sundays?", history=history), seconds=2)
    driver.flush()
    assert ticket.weight == 1
    assert ticket.contribution is not None
    assert not ticket.contribution.single


def test_a_template_is_read_from_its_second_sighting_on() -> None:
    """What begins as another question did that nobody knows is worth a look."""
    driver = well_known()
    opening = "Please look at the following report and tell me what it says about"
    plays = [play(f"{opening} {prose(Random(number), 300)}", "It does.") for number in range(12)]
    weights = [driver.ask(ALICE, asked, seconds=2).weight for asked in plays]
    assert weights[1:] == [1] * 11


def test_a_new_end_user_of_a_well_known_key_is_read() -> None:
    """What may impose something must be quiet itself."""
    driver = well_known()
    weights = [
        driver.ask(ALICE, question(40_000 + number, end_user=f"u{number}"), seconds=2).weight
        for number in range(20)
    ]
    assert weights == [1] * 20


@pytest.mark.parametrize(
    "asked",
    [
        play("And then?", history=[("Hello?", "Hello.")]),
        play("Tell me.", sampling=Sampling(answers=2)),
        play("Tell me.", tool_definitions=2),
    ],
)
def test_conversations_several_answers_and_agents_are_read(asked: Play) -> None:
    """Only one small question may be passed over."""
    driver = well_known()
    assert {driver.ask(ALICE, asked, seconds=2).weight for _ in range(12)} == {1}


def test_who_has_only_asked_is_not_well_known() -> None:
    """Hundreds of requests whose answers are still to come tell nothing."""
    driver = Driver(throttle_logit=90, block_logit=99)
    tickets = [driver.admit(ALICE, question(number)) for number in range(300)]
    assert {ticket.weight for ticket in tickets} == {1}


@pytest.mark.parametrize("name", HARVESTS)
def test_a_well_known_key_that_begins_to_harvest_is_found(name: str) -> None:
    """Within twice as many requests as a key that nobody knows."""

    def needed(driver: Driver) -> int:
        plays = HARVESTS[name](Random(3))
        for number in range(1500):
            ticket = driver.ask(ALICE, next(plays), seconds=1)
            if ticket.decision.action >= Action.THROTTLE:
                return number
        return 1500

    fresh = needed(Driver())
    assert needed(well_known(requests=150)) < max(2 * fresh, fresh + 150)


def test_the_draw_follows_no_rhythm() -> None:
    """Every fourth would be easy to foretell."""
    weights = [ticket.weight for ticket in asked(well_known(), 64)]
    read = [number for number, weight in enumerate(weights) if weight]
    assert len({later - sooner for sooner, later in pairwise(read)}) > 2
