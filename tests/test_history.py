"""Observed history: only what a key was really served makes a conversation of several turns."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from gateway_guard.exchange import Answer, Outcome, Sampling, Turn, text_digest
from gateway_guard.history import History
from gateway_guard.profile import Slot
from tests.driving import (
    DAY,
    Caller,
    Driver,
    Play,
    PromptDriver,
    contribution_of,
    digest,
    name_of,
    of_turns,
    play,
)
from tests.traffic import HARVESTS, prose, sentence

if TYPE_CHECKING:
    from gateway_guard.exchange import Role

ALICE, BOB = Caller("alice"), Caller("bob", network="198.51.100.0")
FIRST = play("Where does the old road along the river lead?", "To the mill, and then to the sea.")
PAIR = (FIRST.exchange.turns[0].text, FIRST.answer)


def talked() -> Driver:
    """Return a driver after Alice's first question, a while ago."""
    driver = PromptDriver()
    driver.ask(ALICE, FIRST, seconds=2)
    driver.wait(20)
    return driver


def goes_on(*history: tuple[str, str], tools: int = 0) -> Play:
    """Ask a second question with a history before it."""
    asked = "And who lives in the mill?"
    return play(asked, "The miller.", history=history, tool_definitions=tools)


def counts_as_single(driver: Driver, asked: Play, caller: Caller = ALICE) -> bool:
    """Tell whether an exchange counts as one without history."""
    ticket = driver.admit(caller, asked)
    driver.end(ticket, status=None)
    return contribution_of(ticket).single


def spoken(*turns: tuple[Role, str]) -> Play:
    """Return an exchange of turns given as (role, text); answers without text called a tool."""
    made = (Turn(role, text, call_ids=() if text else ("call-7",)) for role, text in turns)
    return of_turns(*made)


# --- what is observed -----------------------------------------------------------------------------


def test_a_first_question_has_no_history() -> None:
    """It is single, and claims nothing."""
    driver = talked()
    ticket = driver.admit(ALICE, play("What is beyond the sea?"))
    assert contribution_of(ticket).single
    assert not contribution_of(ticket).claimed


def test_a_pair_that_was_served_makes_a_conversation() -> None:
    """The question and the answer to it come back, under the same key."""
    driver = talked()
    ticket = driver.admit(ALICE, goes_on(PAIR))
    assert contribution_of(ticket).claimed
    assert not contribution_of(ticket).single


@pytest.mark.parametrize(
    "history",
    [
        pytest.param((("Hello.", "Hello!"),), id="both invented"),
        pytest.param(((PAIR[0], "It leads nowhere."),), id="the answer invented"),
        pytest.param((("Where am I?", PAIR[1]),), id="the question invented"),
        pytest.param(((PAIR[1], PAIR[0]),), id="the two exchanged"),
        pytest.param(((PAIR[0], PAIR[1].upper()),), id="the answer in capitals"),
    ],
)
def test_history_that_is_merely_claimed_counts_as_none(
    history: tuple[tuple[str, str], ...],
) -> None:
    """One invented exchange would hide every harvester otherwise."""
    driver = talked()
    ticket = driver.admit(ALICE, goes_on(*history))
    assert contribution_of(ticket).claimed
    assert contribution_of(ticket).single


def test_an_answer_to_somebody_else_counts_as_none() -> None:
    """What one key was served does not make another key's question a conversation."""
    driver = talked()
    driver.meet(BOB)
    assert counts_as_single(driver, goes_on(PAIR), BOB)
    assert not counts_as_single(driver, goes_on(PAIR), ALICE)


def test_white_space_makes_no_difference() -> None:
    """Clients trim answers and wrap lines anew."""
    driver = talked()
    spaced = (f"  {PAIR[0].replace(' ', chr(10))}\n\n", PAIR[1].replace(" ", "\t  "))
    assert not counts_as_single(driver, goes_on(spaced))


def test_trimmed_and_compacted_history_still_matches_pair_by_pair() -> None:
    """Older turns may be gone or replaced by a summary: the newest served pair is enough."""
    driver = talked()
    driver.ask(ALICE, goes_on(PAIR), seconds=2)
    driver.wait(20)
    second = ("And who lives in the mill?", "The miller.")
    for history in [(second,), (("Summary of what was said", "Understood."), second)]:
        asked = play("Is he at home?", history=history)
        assert not counts_as_single(driver, asked)


def test_a_pair_that_is_followed_by_a_few_lost_ones_still_counts() -> None:
    """Some answers never reach the guard; of the last eight pairs one must be known."""
    driver = talked()
    lost = [(f"Question {number}?", f"Answer {number}.") for number in range(8)]
    assert not counts_as_single(driver, goes_on(PAIR, *lost[:7]))
    assert counts_as_single(driver, goes_on(PAIR, *lost))


@pytest.mark.parametrize("chosen", ["Left.", "Right.", "Straight on."])
def test_any_of_several_answers_may_be_continued(chosen: str) -> None:
    """Whoever asked for three chooses one of them."""
    driver = PromptDriver()
    which = play("Which way?", sampling=Sampling(answers=3))
    ticket = driver.admit(ALICE, which)
    driver.start(ticket)
    served = Answer(digests=tuple(digest(text) for text in ("Left.", "Right.", "Straight on.")))
    driver.engine.settle(ticket, Outcome(200, completed=True, answer=served), driver.now)
    driver.wait(20)
    assert not counts_as_single(driver, goes_on(("Which way?", chosen)))
    assert counts_as_single(driver, goes_on(("Which way?", "Back.")))


def test_the_result_of_a_tool_asks_for_the_answer_that_follows() -> None:
    """An agent's loop is a conversation even where its only question is the first turn."""
    driver = PromptDriver()
    turns: list[tuple[Role, str]] = [("user", "Look it up."), ("assistant", ""), ("tool", "42")]
    driver.ask(ALICE, spoken(*turns))
    driver.wait(20)
    assert not counts_as_single(driver, spoken(*turns, ("assistant", "Yes."), ("tool", "43")))


def test_an_answer_without_text_is_known_by_its_tool_calls() -> None:
    """Ids of tool calls come back as they were given."""
    history = History(1 << 20, b"key")
    called = spoken(("user", "Look."), ("assistant", "")).exchange
    asked = history.question(called)
    assert asked is not None
    history.remember_answers(5, asked, [text_digest("", b"key", ("call-7",))], 0.0)
    assert history.observed(5, called, 10.0) == 10.0
    history = History(1 << 20, b"key")
    history.remember_answers(5, asked, [text_digest("", b"key", ("call-8",))], 0.0)
    assert history.observed(5, called, 10.0) is None


def test_a_conversation_that_begins_with_an_answer_has_no_pair() -> None:
    """A prefilled answer, or one whose question was trimmed away, proves nothing."""
    driver = talked()
    end: tuple[tuple[Role, str], ...] = ("assistant", PAIR[1]), ("user", "Go on.")
    assert counts_as_single(driver, spoken(*end))
    assert counts_as_single(driver, spoken(("system", PAIR[0]), *end))


def test_a_request_without_a_question_is_settled_all_the_same() -> None:
    """A body of system text alone, or of nothing at all."""
    driver = PromptDriver()
    for asked in (spoken(("system", "You are kind.")), spoken()):
        ticket = driver.ask(ALICE, asked)
        assert ticket.asked is None
    driver.flush()
    assert driver.known_since(ALICE) is not None


def test_a_served_pair_vouches_for_a_few_exchanges() -> None:
    """People try again and go back, but nobody goes on from the same answer for ever."""
    driver = talked()
    singles = [counts_as_single(driver, goes_on(PAIR)) for _ in range(20)]
    assert not any(singles[:3])
    assert all(singles[8:])


def test_every_new_answer_vouches_anew() -> None:
    """A long conversation goes on from another one each time."""
    driver, history = talked(), [PAIR]
    for number in range(30):
        asked = play(f"And what comes after number {number}?", f"{number + 1}.", history=history)
        ticket = driver.ask(ALICE, asked, seconds=2)
        assert not contribution_of(ticket).single
        history.append((f"And what comes after number {number}?", f"{number + 1}."))
        driver.wait(20)


def test_one_true_exchange_does_not_hide_a_harvest() -> None:
    """A greeting that was really answered stands before every question."""
    driver = PromptDriver()
    driver.ask(ALICE, play("Hello, are you there?", "Yes, I am here."), seconds=2)
    driver.wait(60)
    greeting, plays = [("Hello, are you there?", "Yes, I am here.")], HARVESTS["tutor"](Random(1))
    refused = 0
    for _ in range(150):
        harvest = next(plays)
        system, question = (turn.text for turn in harvest.exchange.turns)
        sampling = harvest.exchange.sampling
        asked = play(question, harvest.answer, system=system, history=greeting, sampling=sampling)
        refused += driver.ask(ALICE, asked, seconds=5).decision.refused
    assert refused > 80


# --- answers that are named by their ids ----------------------------------------------------------


def named(*ids: str, text: str = "And who lives in the mill?") -> Play:
    """Return an exchange that goes on from an answer by its id alone."""
    system = Turn("system", "You know the country.")
    return of_turns(system, Turn("assistant", "", call_ids=ids), Turn("user", text))


def served_as(*names: str) -> Driver:
    """Return a driver after Alice's first question, whose answer had names, a while ago."""
    driver = PromptDriver()
    driver.meet(BOB)
    ticket = driver.admit(ALICE, FIRST)
    driver.start(ticket)
    answer = Answer(digests=(digest(PAIR[1]),), names=tuple(name_of(name) for name in names))
    driver.engine.settle(ticket, Outcome(200, completed=True, answer=answer), driver.now)
    driver.wait(20)
    return driver


@pytest.mark.parametrize("name", ["resp_1", "conv_1", "msg_1"])
def test_an_answer_is_observed_by_any_of_its_names(name: str) -> None:
    """Clients that have the upstream keep the conversation send nothing else of it."""
    driver = served_as("resp_1", "conv_1", "msg_1")
    ticket = driver.admit(ALICE, named(name))
    assert contribution_of(ticket).claimed
    assert not contribution_of(ticket).single


@pytest.mark.parametrize("name", ["resp_2", "resp_", "RESP_1", PAIR[1], ""])
def test_a_name_that_was_never_served_is_no_history(name: str) -> None:
    """An invented id, or the text of an answer in its place."""
    assert counts_as_single(served_as("resp_1"), named(name))


def test_a_name_that_was_served_to_somebody_else_is_no_history() -> None:
    """Keys of one project may be able to go on from each other's answers."""
    driver = served_as("resp_1")
    assert counts_as_single(driver, named("resp_1"), BOB)
    assert not counts_as_single(driver, named("resp_1"), ALICE)


def test_a_text_that_is_spelled_like_a_name_is_no_history() -> None:
    """A model can be made to say anything."""
    driver = PromptDriver()
    driver.ask(ALICE, play("Say resp_1.", "resp_1"), seconds=2)
    driver.wait(20)
    assert counts_as_single(driver, named("resp_1"))
    assert counts_as_single(driver, spoken(("assistant", "resp_1"), ("user", "Go on.")))


def test_a_name_stands_for_an_answer_whatever_was_asked_before_it() -> None:
    """Items may be repeated one by one, some of them by their ids, and others trimmed."""
    driver = served_as("msg_1")
    turns = (Turn("user", PAIR[0]), Turn("assistant", "", call_ids=("msg_1",)))
    for history in (turns, (Turn("user", "Trimmed."), *turns[1:]), (*turns[1:], *turns[1:])):
        assert not counts_as_single(driver, of_turns(*history, Turn("user", "Go on.")))
    invented = Turn("assistant", "", call_ids=("msg_2",))
    assert counts_as_single(driver, of_turns(turns[0], invented, Turn("user", "Go on.")))


def test_a_name_vouches_for_a_few_exchanges_only() -> None:
    """One genuine answer before every question makes no conversation here either."""
    driver = served_as("resp_1")
    vouched = [not counts_as_single(driver, named("resp_1")) for _ in range(6)]
    assert vouched == [True] * 4 + [False] * 2


def test_a_conversation_goes_on_under_one_name() -> None:
    """Every answer that is served in it vouches anew."""
    driver = served_as("resp_0", "conv_1")
    for number in range(1, 12):
        ticket = driver.admit(ALICE, named("conv_1", text=f"And what is number {number}?"))
        assert not contribution_of(ticket).single
        driver.start(ticket)
        answer = Answer(names=(name_of(f"resp_{number}"), name_of("conv_1")))
        driver.engine.settle(ticket, Outcome(200, completed=True, answer=answer), driver.now)
        driver.wait(20)


def test_a_program_that_goes_on_by_name_at_once_has_no_observed_history() -> None:
    """Unless it sends what its tools returned."""
    driver = served_as("resp_1")
    ticket = driver.admit(ALICE, FIRST)
    driver.start(ticket)
    answer = Answer(names=(name_of("resp_2"),))
    driver.engine.settle(ticket, Outcome(200, completed=True, answer=answer), driver.now)
    assert counts_as_single(driver, named("resp_2"))
    result = of_turns(Turn("assistant", "", call_ids=("resp_2",)), Turn("tool", "12 files"))
    assert not counts_as_single(driver, result)


# --- conversations that nobody reads --------------------------------------------------------------


def test_a_program_that_talks_to_itself_has_no_observed_history() -> None:
    """Whoever goes on within two seconds has not read the answer."""
    driver = PromptDriver()
    driver.ask(ALICE, FIRST)
    driver.wait(0.5)
    assert counts_as_single(driver, goes_on(PAIR))
    driver.wait(2.0)
    assert not counts_as_single(driver, goes_on(PAIR))


def test_an_agent_with_tools_may_be_as_fast_as_it_likes() -> None:
    """Its own tools answer at once."""
    driver = PromptDriver()
    driver.ask(ALICE, FIRST)
    assert counts_as_single(driver, goes_on(PAIR, tools=3))
    result = spoken(("user", PAIR[0]), ("assistant", PAIR[1]), ("tool", "12 files"))
    assert not counts_as_single(driver, result)


def test_a_pair_vouches_for_a_few_exchanges_only() -> None:
    """One genuine answer, replayed before every request, makes no conversation."""
    driver = talked()
    vouched = [not counts_as_single(driver, goes_on(PAIR)) for _ in range(6)]
    assert vouched == [True] * 4 + [False] * 2


# --- nothing is read twice, nothing is kept for ever ----------------------------------------------


def test_a_text_that_was_shown_before_is_not_read_again() -> None:
    """Of a growing history only what is new counts as new."""
    driver, rng = PromptDriver(), Random(1)
    system, pages = prose(rng, 400), prose(rng, 900)
    first = driver.ask(ALICE, play(f"{pages} What is it about?", "Bridges.", system=system))
    history = ((f"{pages} What is it about?", "Bridges."),)
    second = driver.admit(ALICE, play("And who built them?", system=system, history=history))
    assert contribution_of(first).features.new_chars > 1300
    assert contribution_of(second).features.new_chars == len("And who built them?Bridges.")
    stranger = driver.admit(BOB, play("And who built them?", system=system, history=history))
    assert contribution_of(stranger).features.new_chars > 1300


def test_what_was_never_answered_was_never_shown() -> None:
    """A text sent with a request that failed is read when it comes again."""
    driver = PromptDriver()
    long = play(prose(Random(1), 500))
    sizes = []
    for status in (500, 200, 200):
        ticket = driver.ask(ALICE, long, status=status)
        sizes.append(contribution_of(ticket).features.new_chars)
    assert sizes[0] == sizes[1] > 0
    assert sizes[2] == 0


def test_cues_of_a_known_system_text_still_count() -> None:
    """Not reading a system text again does not make it innocent."""
    driver = PromptDriver()
    system = "Think step by step and show your full reasoning before you give the final answer."
    for number in range(12):
        driver.ask(ALICE, play(sentence(Random(number), 12), system=system))
    subject = driver.subject(ALICE)
    assert subject is not None
    assert driver.reading(subject).slow[Slot.REASONING_CUE] > 9


def test_pairs_are_remembered_for_a_week_and_forgotten_after_two() -> None:
    """A conversation may rest over a holiday."""
    driver = talked()
    driver.wait(6 * DAY)
    assert not counts_as_single(driver, goes_on(PAIR))
    for _ in range(3):
        driver.wait(7 * DAY)
        driver.ask(BOB, play("Hello?", "Hello."))
    assert counts_as_single(driver, goes_on(PAIR))


def test_the_memory_of_texts_and_pairs_is_bounded() -> None:
    """Three thousand others push out what came first, where there is room for 200 and 100."""
    history, key, other = History(72 * 400, b"key"), 2**63 + 5, 2**62 + 9
    asked = spoken(("user", "Which way?"), ("assistant", "Left.")).exchange
    question = history.question(asked)
    assert question is not None
    answers = ["Left.", *map(str, range(3000))]
    hashes = [int.from_bytes(digest(answer)[:8]) for answer in answers]
    for answer, text_hash in zip(answers, hashes, strict=True):
        history.remember_texts(key, [text_hash], 0.0)
        history.remember_answers(key, question, [text_digest(answer, b"key")], 0.0)
    assert history.known(key)(hashes[-1]) == ()
    assert history.known(other)(hashes[-1]) is None
    assert history.known(key)(hashes[0]) is None
    assert history.observed(key, asked, 0.0) is None
