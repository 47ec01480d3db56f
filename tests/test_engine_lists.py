"""Lists: every prompt of a request is an exchange, and all of them share its fate."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from gateway_guard.actions import Action
from gateway_guard.exchange import Answer, Exchange, Outcome, Sampling
from gateway_guard.profile import Slot
from tests.driving import Caller, Driver, Play, digest, play
from tests.traffic import HARVESTS, INNOCENTS, prose

ALICE = Caller("alice")


def together(*plays: Play) -> Play:
    """Ask several things in one request."""
    first, *rest = (each.exchange for each in plays)
    exchange = msgspec.structs.replace(first, others=tuple(rest))
    return Play(exchange, "".join(each.answer for each in plays))


def questions(count: int, begin: int = 0) -> list[Play]:
    """Return questions that are others for each number."""
    return [play(prose(Random(begin + number), 300), "Yes, at nine.") for number in range(count)]


def acquainted() -> Driver:
    """Return a driver that knows Alice."""
    driver = Driver()
    driver.meet(ALICE)
    driver.meet(ALICE)
    driver.flush()
    return driver


def exchanges(driver: Driver) -> float:
    """Return how many exchanges a score of Alice's key would see."""
    subject = driver.subject(ALICE)
    assert subject is not None
    return round(driver.reading(subject).slow[Slot.EXCHANGES])


def test_every_prompt_of_a_list_is_pending_and_counted() -> None:
    """Together, when the request ends."""
    driver, asked = acquainted(), together(*questions(20))
    before = exchanges(driver)
    ticket = driver.admit(ALICE, asked)
    driver.flush()
    assert exchanges(driver) == before + 20
    driver.start(ticket)
    driver.end(ticket, asked)
    driver.flush()
    assert exchanges(driver) == before + 20
    assert driver.instruments.counters["exchanges", "committed"] == 2 + 20
    assert ticket.key.inflight == 0


@pytest.mark.parametrize("status", [None, 400, 401, 500])
def test_a_list_that_comes_to_nothing_leaves_nothing(status: int | None) -> None:
    """None of its exchanges stays under way."""
    driver = acquainted()
    before = exchanges(driver)
    ticket = driver.admit(ALICE, together(*questions(20)))
    driver.end(ticket, None, status=status)
    driver.flush()
    assert exchanges(driver) == before
    assert (ticket.key.inflight, ticket.key.pending) == (0, {})
    assert not any(other.open for other in ticket.others)


def test_the_answer_is_shared_out() -> None:
    """By how many answers each exchange asked for."""
    driver = acquainted()
    one, two = questions(2)
    two = Play(msgspec.structs.replace(two.exchange, sampling=Sampling(answers=3)), two.answer)
    ticket = driver.admit(ALICE, together(one, two))
    driver.start(ticket)
    whole = Answer(output_chars=400, reasoning_chars=40, digests=(digest("a"), digest("b")))
    driver.engine.settle(ticket, Outcome(200, completed=True, answer=whole), driver.now)
    driver.flush()
    answers = [part.contribution.answer for part in (ticket, *ticket.others) if part.contribution]
    assert [each.output_chars for each in answers if each] == [100, 300]
    assert [each.reasoning_chars for each in answers if each] == [10, 30]
    assert {each.digests for each in answers if each} == {whole.digests}


@pytest.mark.parametrize("name", HARVESTS)
def test_a_harvest_in_lists_is_found_as_soon_as_one_by_one(name: str) -> None:
    """But for the list in which it is found."""

    def passed(size: int) -> int:
        driver, plays = Driver(), HARVESTS[name](Random(1))
        for number in range(400 // size):
            asked = together(*(next(plays) for _ in range(size)))
            if driver.ask(ALICE, asked, seconds=2).decision.refused:
                return number * size
        return 400

    assert passed(10) <= passed(1) + 20


@pytest.mark.parametrize("size", [10, 64])
@pytest.mark.parametrize("name", INNOCENTS)
def test_an_innocent_may_ask_in_lists(name: str, size: int) -> None:
    """A nightly batch, one list every minute."""
    driver, plays = Driver(), INNOCENTS[name](Random(2))
    for _ in range(12):
        asked = together(*(next(plays) for _ in range(size)))
        assert driver.ask(ALICE, asked, seconds=20).decision.action <= Action.WATCH
        driver.wait(40)


def test_texts_to_embed_are_no_offence() -> None:
    """An index is built from thousands of different pages, without a word of answer."""
    driver, rng = Driver(), Random(5)
    for _ in range(40):
        pages = [
            Play(Exchange("openai_embeddings", "embed-1", play(prose(rng, 900)).exchange.turns), "")
            for _ in range(64)
        ]
        many = Sampling(answers=1900)
        pages[-1] = Play(msgspec.structs.replace(pages[-1].exchange, sampling=many), "")
        ticket = driver.ask(ALICE, together(*pages), seconds=1)
        assert ticket.decision.action <= Action.WATCH


def test_the_worst_verdict_on_any_exchange_of_a_list_counts() -> None:
    """A template cannot hide between harmless questions."""
    driver, plays = Driver(), HARVESTS["self_instruct"](Random(1))
    for number in range(60):
        driver.ask(Caller(f"key-{number}", f"network-{number}"), next(plays), seconds=2)
    hidden = together(*questions(3), next(plays))
    stranger = Caller("stranger", "elsewhere")
    assert driver.ask(stranger, hidden).decision.refused
    assert not driver.ask(stranger, together(*questions(3, begin=50))).decision.refused
