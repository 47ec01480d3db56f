"""The ladder in place: watch, throttle, penalty, block, and the way back by probation."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from gateway_guard.actions import Action
from gateway_guard.enforcement import Decision
from gateway_guard.instrumentation import utc
from gateway_guard.policy import Policy
from tests.driving import DAY, HOUR, Caller, Driver, play
from tests.peopled import PEOPLE
from tests.traffic import HARVESTS, INNOCENTS, chat, self_instruct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.standing import Standing
    from tests.driving import Play

ALICE = Caller("alice")


def standing_of(driver: Driver, caller: Caller = ALICE) -> Standing:
    """Return the standing of a key that has one."""
    standing = driver.standing(caller)
    assert standing is not None
    return standing


def harvest_until(driver: Driver, action: Action, gap: float = 61.0) -> Iterator[Play]:
    """Let Alice harvest until her key has an action coming; return what she would ask next."""
    plays = self_instruct(Random(1))
    for _ in range(500):
        driver.ask(ALICE, next(plays), seconds=10)
        if driver.action(ALICE) >= action:
            return plays
        driver.wait(gap)
    raise AssertionError(driver.action(ALICE))


def block_seconds(driver: Driver) -> float:
    """Return how long the block of Alice's key still runs."""
    return standing_of(driver).until_at - driver.now.wall


# --- up the ladder --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HARVESTS)
def test_a_harvester_climbs_the_ladder_step_by_step(name: str) -> None:
    """It is watched, or throttled, before it is blocked, and never comes down by itself."""
    driver, plays, seen = Driver(), HARVESTS[name](Random(1)), [Action.PASS]
    for _ in range(150):
        driver.ask(ALICE, next(plays), seconds=8)
        seen.append(driver.action(ALICE))
    assert Action.THROTTLE in seen
    assert seen == sorted(seen)


def test_nobody_is_refused_before_the_smallest_sample_of_a_throttle() -> None:
    """Whatever the first eleven requests look like."""
    driver, plays = Driver(), self_instruct(Random(1))
    for _ in range(11):
        assert not driver.ask(ALICE, next(plays)).decision.refused
    assert driver.action(ALICE) <= Action.WATCH


def test_a_throttle_slows_to_ten_then_three_then_one_a_minute() -> None:
    """Every ten exchanges above the threshold are a step; whoever obeys passes every time."""
    driver = Driver(block_logit=90)
    plays = harvest_until(driver, Action.THROTTLE)
    pace = []
    for _ in range(40):
        assert not driver.ask(ALICE, next(plays)).decision.refused
        refused = driver.ask(ALICE, next(plays)).decision
        assert refused.retry_after_seconds is not None
        pace.append(round(60 / refused.retry_after_seconds))
        driver.wait(refused.retry_after_seconds)
    assert sorted(set(pace), reverse=True) == [10, 3, 1]
    assert pace == sorted(pace, reverse=True)


def test_a_block_comes_after_the_first_step_of_the_throttle_and_two_families() -> None:
    """The reasons of both are recorded."""
    driver = Driver()
    harvest_until(driver, Action.BLOCK)
    standing = standing_of(driver)
    assert standing.above >= driver.settings.step_exchanges
    assert len(standing.families) >= 2
    assert standing.until_at == pytest.approx(driver.now.wall + HOUR, abs=120)


def test_one_family_alone_never_blocks() -> None:
    """Raw questions with long answers are slowed, whatever their score."""
    driver = Driver(model=PEOPLE, throttle_logit=-1.2, block_logit=-1.0)
    plays = HARVESTS["reasoning"](Random(1))
    for _ in range(120):
        driver.ask(ALICE, next(plays), seconds=10)
        driver.wait(61)
    standing = standing_of(driver)
    assert standing.score > driver.settings.block_logit
    assert (len(standing.families), standing.action) == (1, Action.THROTTLE)


def test_hammering_a_throttle_brings_a_penalty_that_ends() -> None:
    """Fifteen minutes without an invitation, then the pace again."""
    driver = Driver(block_logit=90)
    plays = harvest_until(driver, Action.THROTTLE)
    actions = []
    for _ in range(400):
        actions.append(driver.ask(ALICE, next(plays)).decision.action)
        driver.wait(0.1)
    assert actions[-1] == Action.PENALTY
    early = driver.engine.refuse_early(ALICE.principal, "/v1/x", driver.now)
    assert early is not None
    assert early.action == Action.PENALTY
    driver.wait(15 * 60)
    assert driver.engine.refuse_early(ALICE.principal, "/v1/x", driver.now) is None
    assert driver.ask(ALICE, next(plays)).decision.action == Action.THROTTLE


# --- a block, and the way back --------------------------------------------------------------------


def test_a_blocked_key_is_refused_before_its_request_is_read() -> None:
    """On every path, until the block has run its time."""
    driver = Driver()
    plays = harvest_until(driver, Action.BLOCK)
    until = standing_of(driver).until_at
    driver.wait(until - driver.now.wall - 1)
    early = driver.engine.refuse_early(ALICE.principal, "/v1/models", driver.now)
    assert early is not None
    assert (early.action, early.until_at) == (Action.BLOCK, until)
    assert driver.ask(ALICE, next(plays)).decision.action == Action.BLOCK
    driver.wait(1)
    assert driver.engine.refuse_early(ALICE.principal, "/v1/models", driver.now) is None


@pytest.mark.parametrize("looked_at_first", [True, False])
def test_a_block_lapses_to_probation(*, looked_at_first: bool) -> None:
    """A throttle from its first step on; one more step above the threshold, and it is back."""
    driver = Driver()
    plays = harvest_until(driver, Action.BLOCK)
    driver.wait(block_seconds(driver))
    if looked_at_first:
        driver.engine.refuse_early(ALICE.principal, "/v1/x", driver.now)
    decision = driver.ask(ALICE, next(plays)).decision
    assert (decision.action, decision.refused) == (Action.THROTTLE, False)
    assert decision.rate_per_minute == 10
    harvest_until(driver, Action.BLOCK)
    assert standing_of(driver).offences == 2


def test_each_further_block_is_longer() -> None:
    """An hour, four, sixteen."""
    driver, lengths = Driver(), []
    for _ in range(3):
        harvest_until(driver, Action.BLOCK)
        lengths.append(block_seconds(driver))
        driver.wait(lengths[-1])
    assert lengths == pytest.approx([HOUR, 4 * HOUR, 16 * HOUR], rel=0.05)


def test_blocks_grow_to_a_limit() -> None:
    """A month by default; here two hours."""
    driver = Driver(block_longest="2h")
    for _ in range(3):
        harvest_until(driver, Action.BLOCK)
        assert block_seconds(driver) <= 2 * HOUR
        driver.wait(block_seconds(driver))


def test_a_template_that_was_blocked_lapses_to_probation_too() -> None:
    """Young keys that come with it are slowed again before they are blocked again."""
    driver, plays = Driver(), HARVESTS["evol"](Random(1))
    decision = Decision()
    for number in range(400):
        caller = Caller(f"key-{number}", f"n{number}")
        decision = driver.ask(caller, next(plays), seconds=5).decision
        if decision.action == Action.BLOCK:
            break
        driver.wait(20)
    assert (decision.action, decision.subject_kind) == (Action.BLOCK, "template")
    assert decision.until_at is not None
    driver.wait(decision.until_at - driver.now.wall)
    again = driver.ask(Caller("another", "another"), next(plays)).decision
    assert (again.action, again.subject_kind) == (Action.THROTTLE, "template")


def test_whoever_behaves_on_probation_comes_back_by_and_by() -> None:
    """Weeks of ordinary conversations outweigh what was; the offence is remembered."""
    driver = Driver()
    harvest_until(driver, Action.BLOCK)
    driver.wait(block_seconds(driver))
    plays = chat(Random(2))
    for _ in range(400):
        driver.ask(ALICE, next(plays), seconds=10)
        driver.wait(2 * HOUR)
    assert standing_of(driver).action <= Action.WATCH
    assert standing_of(driver).offences >= 1


def test_a_throttle_ends_once_its_score_has_fallen() -> None:
    """Not at once: it holds for a quarter of an hour after the last time above the threshold."""
    driver = Driver(block_logit=90)
    harvest_until(driver, Action.THROTTLE, gap=1.0)
    held_until = standing_of(driver).until_at
    assert held_until <= driver.now.wall + 900
    plays = chat(Random(2))
    for _ in range(120):
        driver.ask(ALICE, next(plays), seconds=10)
        driver.wait(HOUR)
    assert driver.action(ALICE) <= Action.WATCH
    assert not driver.ask(ALICE, next(plays)).decision.refused


# --- clocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-2 * DAY, 2 * DAY])
def test_a_step_of_the_wall_clock_decays_nothing(step: float) -> None:
    """What has elapsed is the timer's to say."""
    driver, twin = Driver(block_logit=90), Driver(block_logit=90)
    for each in (driver, twin):
        harvest_until(each, Action.THROTTLE)
    driver.step_clock(step)
    plays = self_instruct(Random(9))
    asked = next(plays)
    for each in (driver, twin):
        each.ask(ALICE, asked)
    assert standing_of(driver).score == pytest.approx(standing_of(twin).score, abs=0.6)
    assert driver.action(ALICE) == Action.THROTTLE


def test_a_clock_that_is_set_back_prolongs_no_pace() -> None:
    """A client that waits as long as it was told passes."""
    driver = Driver(block_logit=90)
    plays = harvest_until(driver, Action.THROTTLE)
    driver.ask(ALICE, next(plays))
    told = driver.ask(ALICE, next(plays)).decision.retry_after_seconds
    assert told is not None
    driver.step_clock(-DAY)
    driver.wait(told)
    assert not driver.ask(ALICE, next(plays)).decision.refused


# --- innocents, logs, counters --------------------------------------------------------------------


@pytest.mark.parametrize("name", INNOCENTS)
def test_innocents_are_never_refused(name: str) -> None:
    """Three hundred requests of each kind, at an unhurried pace."""
    driver, rng = Driver(), Random(4)
    plays = INNOCENTS[name](rng)
    for _ in range(300):
        assert not driver.ask(ALICE, next(plays), seconds=rng.uniform(2, 8)).decision.refused
        driver.wait(rng.uniform(5, 60))
    assert driver.action(ALICE) == Action.PASS


def test_each_change_of_a_verdict_is_told_once_with_its_reasons() -> None:
    """With ids, numbers, instants and the clause; without a word of what was asked."""
    names = Policy(names={ALICE.principal.key_id: "search team"})
    driver = Driver(policy=names)
    harvest_until(driver, Action.BLOCK)
    told = [event for event in driver.instruments.events if event["subject"] == "key"]
    steps = [(event["action"], event["rate_per_minute"]) for event in told]
    assert steps[-1] == ("block", None)
    assert len(steps) == len(set(steps))
    assert ("throttle", driver.settings.throttle_rates[0]) in steps
    assert told[-1]["until"] == utc(standing_of(driver).until_at)
    assert all(event["watched_since"] and event["name"] == "search team" for event in told)
    assert all(event["reasons"] and event["clause"] and event["key_id"] for event in told)
    assert "diverse" not in str(told)


def test_the_end_of_a_block_and_of_a_throttle_are_told() -> None:
    """Once each, by the request that finds them over."""
    driver = Driver()
    plays = harvest_until(driver, Action.BLOCK)
    del driver.instruments.events[:]
    driver.wait(block_seconds(driver) + 1)
    assert driver.engine.refuse_early(ALICE.principal, "/v1/x", driver.now) is None
    driver.wait(HOUR)
    assert driver.engine.refuse_early(ALICE.principal, "/v1/x", driver.now) is None
    told = [event["action"] for event in driver.instruments.events if event["event"] == "verdict"]
    assert told == ["throttle", "watch"]
    driver.ask(ALICE, next(plays))


def test_each_step_of_a_throttle_is_told_once() -> None:
    """With the rate that holds from then on."""
    driver = Driver(block_logit=90)
    plays = harvest_until(driver, Action.THROTTLE)
    for _ in range(3 * driver.settings.step_exchanges):
        driver.ask(ALICE, next(plays))
        driver.wait(61)
    told = [event for event in driver.instruments.events if event["subject"] == "key"]
    rates = [event["rate_per_minute"] for event in told if event["action"] == "throttle"]
    assert rates == list(driver.settings.throttle_rates)


def test_the_start_and_the_end_of_a_penalty_are_told() -> None:
    """Once each, however many requests are refused in it."""
    driver = Driver(block_logit=90)
    plays = harvest_until(driver, Action.THROTTLE)
    del driver.instruments.events[:]
    for _ in range(100):
        driver.wait(0.1)
        driver.ask(ALICE, next(plays))
    until = utc(standing_of(driver).penalty_until_at)
    driver.wait(driver.settings.penalty_seconds + 61)
    standing_of(driver).until_at = driver.now.wall + HOUR
    driver.ask(ALICE, next(plays))
    told = [each for each in driver.instruments.events if each["event"] == "verdict"]
    told = [each for each in told if each["subject"] == "key"]
    assert [each["action"] for each in told] == ["penalty", "throttle"]
    assert told[0]["until"] == until


def test_a_listener_that_breaks_breaks_nothing_else() -> None:
    """It is counted, the others are heard, and the request has its decision."""

    def broken(_: Decision) -> None:
        raise ValueError(ALICE.key)

    driver, heard = Driver(), list[Decision]()
    driver.engine.listeners += [broken, heard.append]
    ticket = driver.ask(ALICE, play("Is anybody listening?"))
    assert heard == [ticket.decision]
    assert driver.instruments.counters["errors", "ValueError"] == 1


def test_decisions_and_refusals_are_counted() -> None:
    """By action; a refusal is also counted with the subject that imposed it."""
    driver = Driver()
    plays = harvest_until(driver, Action.BLOCK)
    before = driver.instruments.counters["refusals", "block"]
    for _ in range(5):
        driver.ask(ALICE, next(plays))
    counters = driver.instruments.counters
    assert counters["refusals", "block"] == counters["decisions", "block"] == before + 5
    assert counters["verdicts", "block"] >= 1
    assert standing_of(driver).refused >= 5


def test_listeners_hear_every_decision() -> None:
    """Passes, refusals and early refusals alike."""
    driver = Driver()
    heard: list[Decision] = []
    driver.engine.listeners.append(heard.append)
    plays = harvest_until(driver, Action.BLOCK)
    before = len(heard)
    driver.ask(ALICE, next(plays))
    driver.engine.refuse_early(ALICE.principal, "/v1/x", driver.now)
    assert [each.action for each in heard[before:]] == [Action.BLOCK] * 2


def test_jitter_moves_thresholds_by_a_secret() -> None:
    """Nobody can compute at which request a deployment will act."""
    first = set()
    for width in (0.0, 0.5):
        driver = Driver(jitter=width)
        ladder = driver.engine.rules.assessment.ladder
        first.add((ladder.throttle, ladder.throttle_sample, driver.engine.rules.assessment.minimum))
        harvest_until(driver, Action.THROTTLE)
    assert len(first) == 2


def test_whoever_behaves_on_probation_is_not_blocked_for_the_past_again() -> None:
    """After a block only conversations follow, one turn every two hours."""
    driver, caller, plays = Driver(), Caller("alice"), self_instruct(Random(1))
    while driver.action(caller) < Action.BLOCK:
        driver.ask(caller, next(plays), seconds=62)
    standing = driver.standing(caller)
    assert standing is not None
    driver.wait(standing.until_at - driver.now.wall)
    talks = INNOCENTS["chat"](Random(2))
    for _ in range(200):
        driver.ask(caller, next(talks), seconds=10)
        driver.wait(7200)
    assert standing.offences == 1
