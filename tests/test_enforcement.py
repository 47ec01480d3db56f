"""Enforcement: what verdicts of a request lead to, and how a throttle treats those who obey it."""

from __future__ import annotations

from heapq import heapify, heapreplace

import msgspec
import pytest

from gateway_guard.actions import Action
from gateway_guard.enforcement import Case, Decision, Pacing, Verdict, decide, described
from gateway_guard.policy import BUILT_IN_TERMS, Terms
from gateway_guard.principal import SubjectKind
from gateway_guard.standing import Standing
from gateway_guard.timeline import Instant

START = Instant(wall=2_000_000.0, steady=1_000.0)
CASE = Case("key-id", Action.BLOCK, BUILT_IN_TERMS, START)
PACING = Pacing((10.0, 3.0, 1.0), step_exchanges=10, penalty_seconds=900.0, jitter=0.0, secret=b"s")


def verdict(
    action: Action, kind: SubjectKind = SubjectKind.KEY, most: Action = Action.BLOCK
) -> Verdict:
    """Return what a subject has coming."""
    standing = Standing(action=action, score=1.5, reasons=("because",), until_at=START.wall + 600)
    return Verdict(kind, bytes((kind,)) + b"subject" * 2, standing, most)


def at(seconds: float, case: Case = CASE) -> Case:
    """Return a case so many seconds after the start."""
    now = Instant(START.wall + seconds, START.steady + seconds)
    return msgspec.structs.replace(case, now=now)


def decided(*verdicts: Verdict, case: Case = CASE, shadow: bool = False) -> Decision:
    """Decide about a request."""
    return decide(verdicts, case, PACING, shadow=shadow)


# --- which verdict counts -------------------------------------------------------------------------


def test_nothing_is_held_against_a_request_without_verdicts() -> None:
    """Neither where all of them let it pass."""
    for decision in (decided(), decided(verdict(Action.PASS))):
        assert decision == Decision(key_id="key-id")


def test_a_watched_request_passes() -> None:
    """The decision says who watches and why."""
    decision = decided(verdict(Action.WATCH, SubjectKind.CLIENT))
    assert (decision.action, decision.refused, decision.would_refuse) == (
        Action.WATCH,
        False,
        False,
    )
    assert (decision.subject_kind, decision.score, decision.reasons) == (
        "client",
        1.5,
        ("because",),
    )


def test_the_worst_verdict_counts() -> None:
    """Whatever the order of the subjects."""
    worst = verdict(Action.BLOCK, SubjectKind.TEMPLATE)
    others = verdict(Action.WATCH), verdict(Action.THROTTLE, SubjectKind.END_USER)
    for order in [(worst, *others), (*others, worst), (others[0], worst, others[1])]:
        decision = decided(*order)
        assert (decision.action, decision.subject_kind) == (Action.BLOCK, "template")
        assert decision.subject_id == worst.subject.hex()


@pytest.mark.parametrize("most", [Action.PASS, Action.WATCH, Action.THROTTLE])
def test_no_subject_imposes_more_than_it_may(most: Action) -> None:
    """A template that deserves a block is watched where the key does not answer for it."""
    assert decided(verdict(Action.BLOCK, SubjectKind.TEMPLATE, most)).action == most


def test_a_block_says_until_when_and_on_what_grounds() -> None:
    """It comes without an invitation to return."""
    decision = decided(verdict(Action.BLOCK))
    assert decision.refused
    assert decision.until_at == START.wall + 600
    assert decision.retry_after_seconds is None
    assert decision.terms == BUILT_IN_TERMS


# --- ceilings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ceiling", "action"), [(Action.PASS, 0), (Action.WATCH, 1)])
def test_entitled_callers_are_neither_refused_nor_slowed(ceiling: Action, action: int) -> None:
    """They keep their score and their reasons all the same."""
    for found in (Action.THROTTLE, Action.BLOCK):
        held = verdict(found)
        for second in range(5):
            case = msgspec.structs.replace(CASE, ceiling=ceiling)
            decision = decided(held, case=at(second, case))
            assert (decision.action, decision.refused) == (action, False)
            assert decision.score == 1.5
        assert held.standing.paced_at == 0


def test_where_no_terms_apply_a_request_is_at_most_watched() -> None:
    """A refusal must be able to say what it stands on."""
    decision = decided(verdict(Action.BLOCK), case=msgspec.structs.replace(CASE, terms=None))
    assert (decision.action, decision.refused, decision.terms) == (Action.WATCH, False, None)


# --- the throttle ---------------------------------------------------------------------------------


def test_the_first_throttled_request_passes_and_the_next_is_told_when_to_come() -> None:
    """Ten a minute are one every six seconds."""
    held = verdict(Action.THROTTLE)
    first, second = decided(held), decided(held, case=at(1.5))
    assert (first.action, first.refused) == (Action.THROTTLE, False)
    assert (second.action, second.refused) == (Action.THROTTLE, True)
    assert second.retry_after_seconds == pytest.approx(4.5)
    assert second.until_at is None
    assert second.rate_per_minute == 10


def test_whoever_comes_when_told_passes_every_time() -> None:
    """Obedience leads to steady passes at the pace, in three steps of ten exchanges."""
    held, now, gaps = verdict(Action.THROTTLE), 0.0, []
    for _ in range(40):
        assert not decided(held, case=at(now)).refused
        told = decided(held, case=at(now)).retry_after_seconds
        assert told is not None
        gaps.append(round(told))
        now += told
    assert gaps == [6] * 9 + [20] * 10 + [60] * 21


def test_waiting_longer_gives_no_credit() -> None:
    """An hour of silence allows one request, not six hundred at once."""
    held = verdict(Action.THROTTLE)
    decided(held)
    passed = [not decided(held, case=at(3600 + second)).refused for second in range(6)]
    assert passed == [True] + [False] * 5


def test_a_request_passes_only_when_every_subject_has_room_for_it() -> None:
    """Two subjects at different paces: the slower one decides, and a refusal costs neither."""
    key, template = verdict(Action.THROTTLE), verdict(Action.THROTTLE, SubjectKind.TEMPLATE)
    template.standing.above = 25
    assert not decided(key, template).refused
    decision = decided(key, template, case=at(10))
    assert (decision.subject_kind, decision.rate_per_minute) == ("template", 1)
    assert decision.retry_after_seconds == pytest.approx(50)
    assert key.standing.above == 1
    assert not decided(key, template, case=at(60)).refused


def test_rates_are_moved_by_a_secret_that_stays_the_same() -> None:
    """A client cannot learn the exact steps from another deployment, nor average them away."""
    held = verdict(Action.THROTTLE)
    paces = [
        Pacing((10.0, 3.0, 1.0), 10, 900.0, jitter=0.1, secret=secret).interval_seconds(held)
        for secret in (b"one", b"one", b"two")
    ]
    assert paces[0] == paces[1] != paces[2]
    assert all(5.4 <= pace <= 6.6 for pace in paces)


# --- the penalty ----------------------------------------------------------------------------------


def test_hammering_brings_a_penalty() -> None:
    """Not for what was on its way already, nor for twenty more."""
    held = verdict(Action.THROTTLE)
    actions = [decided(held, case=at(number * 0.1)).action for number in range(60)]
    assert actions == [Action.THROTTLE] * 32 + [Action.PENALTY] * 28
    decision = decided(held, case=at(6))
    assert decision.refused
    assert decision.retry_after_seconds is None
    assert decision.until_at == held.standing.penalty_until_at


def test_a_penalty_ends_and_is_no_block() -> None:
    """Fifteen minutes later the pace applies again."""
    held = verdict(Action.THROTTLE)
    for number in range(60):
        decided(held, case=at(number * 0.1))
    end = held.standing.penalty_until_at - START.wall
    assert 900 <= end < 906
    assert decided(held, case=at(end - 0.1)).action == Action.PENALTY
    assert decided(held, case=at(end)).action == Action.THROTTLE
    assert not decided(held, case=at(end + 6)).refused


def test_refusals_during_a_penalty_do_not_prolong_it() -> None:
    """A client that cannot stop is not lost for ever."""
    held = verdict(Action.THROTTLE)
    for number in range(9000):
        decided(held, case=at(number * 0.1))
    assert 900 <= held.standing.penalty_until_at - START.wall < 906


@pytest.mark.parametrize("clients", [2, 10, 100, 400])
def test_many_clients_that_each_obey_are_not_penalised(clients: int) -> None:
    """They all come back at the moment that they were told, and only one can pass."""
    held, queue, passed, penalties = verdict(Action.THROTTLE), [0.0] * clients, 0, 0
    heapify(queue)
    for _ in range(60 * clients):
        now = queue[0]
        decision = decided(held, case=at(now))
        passed += not decision.refused
        penalties += decision.action == Action.PENALTY
        heapreplace(queue, now + (decision.retry_after_seconds or 1.0))
    assert penalties == 0
    assert passed >= 30


def test_clients_that_retry_too_soon_are_penalised_however_politely_one_of_them_waits() -> None:
    """A hundred impatient requests for every patient one."""
    held, actions = verdict(Action.THROTTLE), set()
    for number in range(1000):
        actions.add(decided(held, case=at(number * 0.2)).action)
    assert Action.PENALTY in actions


def test_the_timer_paces_and_not_the_wall_clock() -> None:
    """A clock that is set does not open or close the throttle."""
    held = verdict(Action.THROTTLE)
    decided(held)
    for wall in (START.wall - 7200, START.wall + 7200):
        for steady, refused in ((START.steady + 5.9, True), (START.steady + 6.1, False)):
            held.standing.paced_at = START.steady + 6
            case = msgspec.structs.replace(CASE, now=Instant(wall, steady))
            assert decided(held, case=case).refused == refused


# --- shadow mode ----------------------------------------------------------------------------------


def test_shadow_mode_refuses_nothing_and_records_what_would_have_happened() -> None:
    """Everything else about the decision is the same."""
    decision = decided(verdict(Action.BLOCK), shadow=True)
    assert (decision.action, decision.refused, decision.would_refuse) == (Action.BLOCK, False, True)
    held = verdict(Action.THROTTLE)
    outcomes = [decided(held, case=at(second), shadow=True) for second in range(3)]
    assert [outcome.would_refuse for outcome in outcomes] == [False, True, True]
    assert not any(outcome.refused for outcome in outcomes)


def test_a_log_line_says_who_and_why_and_on_what_terms() -> None:
    """No text and no key, but ids, numbers and the clause."""
    terms = Terms("Usage policy", "No training on outputs.")
    case = msgspec.structs.replace(CASE, terms=terms)
    line = described(decided(verdict(Action.BLOCK), case=case), "search team")
    assert line["action"] == "block"
    assert line["clause"] == "No training on outputs."
    assert described(decided())["clause"] is None
