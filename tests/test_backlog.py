"""Backlog: what happened is worked off later, many exchanges at a time, as if it were at once."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway_guard.actions import Action
from gateway_guard.backlog import MOST_BYTES, MOST_EVENTS
from gateway_guard.exchange import Answer, Outcome, Turn
from gateway_guard.features import reader
from gateway_guard.features.reading import Reading, read_texts
from gateway_guard.pending import Ticket
from gateway_guard.principal import SubjectKind
from gateway_guard.profile import Slot
from gateway_guard.standing import Standing
from tests.driving import (
    Caller,
    Driver,
    Play,
    PromptDriver,
    answer_of,
    contribution_of,
    ids_of,
    of_turns,
    play,
    subjects_of,
)
from tests.traffic import HARVESTS, prose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway_guard.exchange import Hear
    from gateway_guard.features.survey import Text
    from gateway_guard.features.windows import WindowHasher

ALICE, BOB = Caller("alice"), Caller("bob", "198.51.100.0", "curl 8")
FIRST = play("Where does the old road along the river lead?", "To the mill, and then to the sea.")
SECOND = play("And who lives there?", history=[(FIRST.exchange.turns[0].text, FIRST.answer)])
POISON = "mandrake"


def strangers(count: int) -> list[Caller]:
    """Return callers that have nothing in common, so that none of them makes a score due."""
    return [Caller(f"k{n}", f"n{n}", f"c{n}") for n in range(count)]


def counted(driver: Driver, caller: Caller) -> int:
    """Return how many exchanges of a key scores see."""
    subject = driver.subject(caller)
    return round(driver.reading(subject).slow[Slot.EXCHANGES]) if subject is not None else 0


def sized(asked: Play, body_bytes: int) -> Play:
    """Return the same exchange from a body of another size."""
    return Play(msgspec.structs.replace(asked.exchange, body_bytes=body_bytes), asked.answer)


# --- when it is worked off ------------------------------------------------------------------------


def test_a_request_is_decided_before_its_texts_are_read() -> None:
    """Who asks and which template it is of is known; what it adds comes later."""
    driver = Driver()
    ticket = driver.admit(ALICE, FIRST)
    assert driver.engine.unflushed == 1
    assert (ticket.contribution, ticket.shares) == (None, [])
    assert ticket.ids[0] == (SubjectKind.KEY, ALICE.principal.key)
    assert driver.memory.subjects.waiting == 0
    driver.flush()
    assert driver.engine.unflushed == 0
    assert [(subject.kind, subject.id) for subject, _ in ticket.shares] == ticket.ids
    assert contribution_of(ticket).features.body_chars == len(FIRST.exchange.turns[0].text)


def test_it_is_worked_off_when_there_is_enough_to_do() -> None:
    """Events are counted: an admission is one, its answer another."""
    driver, left = Driver(), []
    for caller in strangers(MOST_EVENTS):
        driver.ask(caller, play("Why?"))
        left.append(driver.engine.unflushed)
    assert max(left) <= MOST_EVENTS
    assert left[: MOST_EVENTS // 2] == [*range(2, MOST_EVENTS + 2, 2)]
    assert left[MOST_EVENTS // 2] == 1


@pytest.mark.parametrize(("sizes", "read"), [([MOST_BYTES], 1), ([MOST_BYTES - 1, 1], 2)])
def test_what_is_large_is_read_at_once(sizes: list[int], read: int) -> None:
    """Texts that wait take room: those of large bodies do not wait, nor many of small ones."""
    driver = Driver()
    callers = strangers(len(sizes))
    asked = [sized(play("Why?"), size) for size in sizes]
    tickets = [driver.admit(*each) for each in zip(callers, asked, strict=True)]
    assert driver.engine.unflushed == 0
    assert sum(ticket.contribution is not None for ticket in tickets) == read
    assert driver.engine.unflushed == 0
    driver.admit(BOB, sized(play("Why?"), 1))
    assert driver.engine.unflushed == 1


@pytest.mark.parametrize("name", HARVESTS)
def test_a_harvester_is_found_no_later_than_if_each_request_were_read_at_once(name: str) -> None:
    """Scores that are due do not wait for the backlog to fill."""
    found = []
    for kind in (PromptDriver, Driver):
        driver, plays, number = kind(), HARVESTS[name](Random(1)), 0
        while not driver.ask(ALICE, next(plays), seconds=5).decision.refused:
            number += 1
        found.append(number)
    assert 0 < found[1] <= 1.5 * found[0]


# --- in order -------------------------------------------------------------------------------------


def talk(driver: Driver, *, answered_first: bool) -> Ticket:
    """Ask a question and another one that goes on from its answer; return the second."""
    first = driver.admit(ALICE, FIRST)
    driver.start(first)
    if answered_first:
        driver.end(first, FIRST)
    driver.wait(20)
    second = driver.admit(ALICE, SECOND)
    if not answered_first:
        driver.end(first, FIRST)
    driver.flush()
    return second


@pytest.mark.parametrize("kind", [Driver, PromptDriver])
@pytest.mark.parametrize("answered_first", [True, False])
def test_events_are_worked_off_in_their_order(kind: type[Driver], *, answered_first: bool) -> None:
    """A history counts if it was served before it was shown, whenever either is looked at."""
    item = contribution_of(talk(kind(), answered_first=answered_first))
    assert item.claimed
    assert item.single is not answered_first
    shown = sum(len(turn.text) for turn in SECOND.exchange.turns)
    known = len(FIRST.exchange.turns[0].text) if answered_first else 0
    assert item.features.new_chars == shown - known


def random_course(driver: Driver, rng: Random) -> list[Ticket]:
    """Let conversations of a few keys go on at random, answered late, rejected or never."""
    open_, tickets = list[tuple[Ticket, Play]](), list[Ticket]()
    texts = [prose(rng, 90) for _ in range(12)]
    for _ in range(150):
        system = prose(Random(rng.randrange(3)), 90)
        history = [(rng.choice(texts), "Yes.")] * rng.randrange(2)
        asked = play(rng.choice(texts), system=system, history=history)
        tickets.append(driver.admit(Caller(f"k{rng.randrange(5)}"), asked))
        open_.append((tickets[-1], asked))
        while len(open_) > rng.randrange(9):
            ticket, asked = open_.pop(rng.randrange(len(open_)))
            status = rng.choice([200, 200, 200, 500, None])
            if ticket.open and status:
                driver.start(ticket, status)
            driver.end(ticket, asked, status)
        driver.wait(rng.random())
    driver.flush()
    return tickets


@pytest.mark.parametrize("seed", range(4))
def test_reading_later_makes_no_difference_to_what_is_read(seed: int) -> None:
    """Texts known, histories observed, exchanges under way: all as they were at admission."""
    found = []
    for kind in (PromptDriver, Driver):
        driver = kind(throttle_logit=90, block_logit=99)
        tickets = random_course(driver, Random(seed))
        found.append(
            [
                (
                    contribution_of(ticket).single,
                    contribution_of(ticket).features.new_chars,
                    contribution_of(ticket).features.constant_chars,
                    dict(ticket.shares)[ticket.key].inflight,
                    dict(ticket.shares)[ticket.key].refilled,
                )
                for ticket in tickets
            ]
        )
    assert found[0] == found[1]


# --- what is read, and what is not ----------------------------------------------------------------


def test_the_text_of_an_exchange_is_let_go_once_it_is_read() -> None:
    """Nothing but numbers and hashes waits for the answer."""
    driver = Driver()
    ticket = driver.admit(ALICE, FIRST)
    before = ticket.exchange
    driver.flush()
    assert before is FIRST.exchange
    assert ticket.exchange is None
    assert ticket.surveyed is None
    assert ticket.open


def test_a_refused_request_is_not_read() -> None:
    """It costs no more than its refusal, and nothing of it is held."""
    driver = Driver()
    driver.meet(ALICE)
    driver.flush()
    blocked = Standing(action=Action.BLOCK, until_at=driver.now.wall + 9e9)
    driver.memory.standings.keep(ALICE.principal.key, blocked)
    waiting = driver.memory.subjects.waiting
    ticket = driver.admit(ALICE, play(prose(Random(1), 200), system=prose(Random(2), 90)))
    assert ticket.decision.refused
    driver.flush()
    assert (ticket.contribution, ticket.shares) == (None, [])
    assert driver.memory.subjects.waiting == waiting
    assert ticket.key.inflight == 0


def test_an_answer_is_read_with_the_rest() -> None:
    """Once, and counted with its exchange."""
    driver, reads = Driver(), []

    def read(hear: Hear | None) -> Answer | None:
        del hear
        reads.append(driver.engine.unflushed)
        return answer_of(FIRST)

    ticket = driver.admit(ALICE, FIRST)
    driver.start(ticket)
    driver.engine.settle(ticket, Outcome(200, completed=True, unread=read), driver.now)
    assert reads == []
    driver.flush()
    driver.flush()
    assert len(reads) == 1
    assert contribution_of(ticket).answer == answer_of(FIRST)


def test_a_verdict_on_what_only_shows_in_the_texts_has_them_read_before_it() -> None:
    """A wrapper with a nonce at both ends is refused as soon as it stands convicted."""
    driver, rng = Driver(), Random(1)
    wrapper = "Answer the following question in the manner of a patient and thorough teacher"

    def wrapped() -> Play:
        return play(f"{prose(rng, 90)} {wrapper} {prose(rng, 90)}")

    for caller in strangers(12):
        driver.ask(caller, wrapped())
        driver.flush()
    known = driver.ask(BOB, wrapped())
    driver.flush()
    content = ids_of(known, SubjectKind.TEMPLATE)[-1]
    standing = Standing(action=Action.BLOCK, until_at=driver.now.wall + 9e9)
    standing.watched_at = driver.now.wall
    driver.memory.standings.keep(content, standing)
    ticket = driver.admit(Caller("young", "n", "c"), wrapped())
    assert content in ids_of(ticket, SubjectKind.TEMPLATE)
    assert ticket.decision.refused
    assert not driver.admit(BOB, play(prose(rng, 200))).decision.refused


# --- failures -------------------------------------------------------------------------------------


def unreadable(hear: Hear | None) -> Answer | None:
    """Fail, as a reader of answers with a mistake in it would."""
    del hear
    raise ZeroDivisionError


def poisoned(texts: Sequence[Text], hasher: WindowHasher, *, budget: int, seed: int) -> Reading:
    """Fail on one text, as a reader of texts with a mistake in it would."""
    if any(POISON in text.content for text in texts):
        raise ZeroDivisionError
    return read_texts(texts, hasher, budget=budget, seed=seed)


class Broken(str):
    """A text that cannot be looked at."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Fail, whatever is asked for."""
        raise ZeroDivisionError(encoding, errors)


def with_answer(read: Callable[[Hear | None], Answer | None]) -> Outcome:
    """Return an outcome whose answer is still to be read."""
    return Outcome(200, completed=True, unread=read)


def test_an_answer_that_cannot_be_read_harms_no_other() -> None:
    """The exchange is counted without it."""
    driver, callers = Driver(), strangers(3)
    tickets = [driver.admit(caller, FIRST) for caller in callers]
    for ticket in tickets:
        driver.start(ticket)
        read = unreadable if ticket is tickets[1] else lambda _: answer_of(FIRST)
        driver.engine.settle(ticket, with_answer(read), driver.now)
    driver.flush()
    assert driver.instruments.counters["errors", "ZeroDivisionError"]
    assert [counted(driver, caller) for caller in callers] == [1, 1, 1]
    answers = [contribution_of(ticket).answer for ticket in tickets]
    assert answers == [answer_of(FIRST), None, answer_of(FIRST)]
    assert [(ticket.key.inflight, ticket.key.pending) for ticket in tickets] == [(0, {})] * 3


@pytest.mark.parametrize("broken", ["looked at", "read"])
def test_a_text_that_cannot_be_read_harms_no_other(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Its exchange is not counted; those before and after it in the same batch are."""
    monkeypatch.setattr(reader, "read_texts", poisoned)
    driver, callers = Driver(), strangers(3)
    fetched = Broken("42") if broken == "looked at" else POISON
    bad = of_turns(Turn("user", "Look it up."), Turn("tool", fetched))
    plays = [FIRST, bad, FIRST]
    tickets = [driver.admit(*each) for each in zip(callers, plays, strict=True)]
    for ticket in tickets:
        driver.start(ticket)
        driver.end(ticket, FIRST)
    driver.flush()
    assert [counted(driver, caller) for caller in callers] == [1, 0, 1]
    assert driver.instruments.counters["errors", "ZeroDivisionError"]
    assert [(ticket.key.inflight, ticket.key.pending) for ticket in tickets] == [(0, {})] * 3


def test_after_a_failure_the_backlog_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes next is read and counted like anything else."""
    monkeypatch.setattr(reader, "read_texts", poisoned)
    driver = Driver()
    driver.ask(ALICE, of_turns(Turn("user", "Look it up."), Turn("tool", POISON)))
    driver.flush()
    assert driver.engine.unflushed == 0
    ticket = driver.ask(BOB, FIRST)
    driver.flush()
    assert counted(driver, BOB) == 1
    assert subjects_of(ticket, SubjectKind.NETWORK)[0].inflight == 0
