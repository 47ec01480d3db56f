"""Texts that wait where a later request asks about them: what is kept, for whom, how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway_guard.exchange import Answer, Exchange, Outcome, Turn
from gateway_guard.features import FeatureReader
from gateway_guard.placed import Placed, joined
from gateway_guard.principal import SubjectKind
from tests.driving import (
    Caller,
    Play,
    PromptDriver,
    contribution_of,
    ids_of,
    name_of,
    of_turns,
    play,
)

if TYPE_CHECKING:
    from gateway_guard.features import Features

ALICE, BOB = Caller("alice"), Caller("bob", network="198.51.100.0")
READER = FeatureReader(b"of these tests")
QUESTION = "Think step by step: where does the old road that begins behind the chapel lead?"


def features_of(*turns: Turn) -> Features:
    """Read turns, none of which was known before."""
    return READER.read(Exchange("openai_threads", "", turns), lambda _: None)


def put(driver: PromptDriver, text: str, place: str | None = "t1", status: int = 200) -> None:
    """Have Alice put a text somewhere."""
    asked = msgspec.structs.replace(play(text).exchange, place=place, adds=True)
    ticket = driver.admit(ALICE, Play(asked, ""))
    driver.start(ticket, status)
    answer = Answer(names=(name_of("m1" if place else "t1"),))
    driver.engine.settle(ticket, Outcome(status, completed=True, answer=answer), driver.now)
    driver.flush()


def run(place: str | None = "t1") -> Play:
    """Return a run that brings nothing itself."""
    asked = of_turns(Turn("assistant", "", call_ids=(place or "t2",))).exchange
    return Play(msgspec.structs.replace(asked, place=place), "Yes.")


def chars_of(driver: PromptDriver, asked: Play, caller: Caller = ALICE) -> int:
    """Return how many new characters an exchange is counted with, which then fails."""
    ticket = driver.admit(caller, asked)
    driver.end(ticket, status=500)
    driver.flush()
    return contribution_of(ticket).features.new_chars


def test_features_of_two_requests_are_those_of_one_with_all_texts() -> None:
    """As far as one request would have shown them."""
    first, second = Turn("system", "You are a guide. " * 9), Turn("user", QUESTION)
    whole, parts = features_of(first, second), joined(features_of(first), features_of(second))
    for field in ("chars", "new_chars", "system_chars", "body_chars", "turns", "body_hash"):
        assert getattr(parts, field) == getattr(whole, field)
    assert parts.anchors == whole.anchors
    assert {hit.family for hit in parts.hits} == {hit.family for hit in whole.hits}
    assert 0 < len(parts.shingles) <= 32


def test_a_run_has_all_that_was_put_in_its_place_once() -> None:
    """The next run asks about what is new."""
    driver = PromptDriver()
    driver.meet(ALICE)
    put(driver, QUESTION)
    put(driver, "And how long is it?")
    assert chars_of(driver, run()) == len(QUESTION) + len("And how long is it?")
    ticket = driver.ask(ALICE, run())
    assert ids_of(ticket, SubjectKind.TEMPLATE)
    driver.flush()
    assert chars_of(driver, run()) == 0


def test_a_new_place_is_known_by_the_name_that_it_is_given() -> None:
    """Whoever makes a thread does not know its id yet."""
    driver = PromptDriver()
    driver.meet(ALICE)
    put(driver, QUESTION, place=None)
    assert chars_of(driver, run("t1")) == len(QUESTION)


@pytest.mark.parametrize("caller", [ALICE, BOB])
def test_what_is_put_elsewhere_or_by_somebody_else_is_not_asked_about(caller: Caller) -> None:
    """Keys and places are told apart."""
    driver = PromptDriver()
    driver.meet(ALICE, BOB)
    put(driver, QUESTION)
    place = "t1" if caller is BOB else "t9"
    assert chars_of(driver, run(place), caller) == 0


def test_what_the_upstream_did_not_take_is_not_there() -> None:
    """It refused the message."""
    driver = PromptDriver()
    driver.meet(ALICE)
    put(driver, QUESTION, status=400)
    assert chars_of(driver, run()) == 0


def test_what_is_put_somewhere_is_not_counted_by_itself() -> None:
    """Nor shown to scores any longer."""
    driver = PromptDriver()
    driver.ask(ALICE, play("Hello there?", "Hello."))
    driver.flush()
    subject = driver.subject(ALICE)
    assert subject is not None
    for number in range(5):
        put(driver, f"{QUESTION} {number}")
    assert (subject.exchanges, subject.inflight, len(subject.pending)) == (1, 0, 0)


def test_the_number_of_places_is_bounded() -> None:
    """What was used least lately makes room."""
    placed, features = Placed(), features_of(Turn("user", "Hello."))
    for place in range(5000):
        placed.add(place, features, ())
    assert placed.get(0) is None
    assert placed.get(4999) is not None
