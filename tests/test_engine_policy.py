"""The operator's word in the engine: shadow mode, entitlements, terms."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from gateway_guard.actions import Action
from gateway_guard.policy import BUILT_IN_TERMS, Entitlement, Policy, Terms, TermsRule
from tests.driving import DAY, START_AT, Caller, Driver, play
from tests.traffic import self_instruct

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_guard.enforcement import Decision
    from tests.driving import Play

ALICE = Caller("alice")
TERMS = Terms("Usage policy, section 3", "Output may not be used to train competing models.")


def with_end_user(asked: Play, end_user: str) -> Play:
    """Return the same exchange for an end user."""
    return play(asked.exchange.turns[-1].text, asked.answer, end_user=end_user)


def same(asked: Play) -> Play:
    """Return the same exchange."""
    return asked


def harvest(
    driver: Driver,
    count: int = 90,
    caller: Caller = ALICE,
    how: Callable[[Play], Play] = same,
) -> list[Decision]:
    """Let a caller harvest at a pace that every throttle lets pass."""
    plays, decisions = self_instruct(Random(1)), []
    for _ in range(count):
        decisions.append(driver.ask(caller, how(next(plays)), seconds=5).decision)
        driver.wait(61)
    return decisions


def entitled(most: Action, *, days: float = 365, **holder: str | bytes) -> Policy:
    """Return a policy with one entitlement."""
    entry = Entitlement(most, "licensed", START_AT + days * DAY, **holder)  # type: ignore[arg-type]
    return Policy([entry])


# --- shadow mode ----------------------------------------------------------------------------------


def test_shadow_mode_refuses_nothing() -> None:
    """And records what would have happened, with a counter of its own."""
    driver = Driver(mode="shadow")
    decisions = harvest(driver)
    assert not any(decision.refused for decision in decisions)
    assert decisions[-1].action == Action.BLOCK
    assert decisions[-1].would_refuse
    counters = driver.instruments.counters
    assert counters["shadow_refusals", "block"] == sum(each.would_refuse for each in decisions) > 0
    assert not any(name == "refusals" for name, _ in counters)


def test_in_shadow_mode_nobody_comes_too_early() -> None:
    """Nobody was told to wait, so hammering brings no penalty."""
    driver = Driver(mode="shadow", block_logit=90)
    decisions = harvest(driver, 200)
    assert {decision.action for decision in decisions} >= {Action.THROTTLE}
    assert Action.PENALTY not in {decision.action for decision in decisions}


def test_shadow_mode_logs_what_would_have_been_refused() -> None:
    """The first refusal of each subject and action, with its grounds."""
    driver = Driver(mode="shadow")
    harvest(driver)
    told = [each for each in driver.instruments.events if each["event"] == "shadow_refusal"]
    assert len({(each["subject_id"], each["action"]) for each in told}) == len(told) > 0
    assert all(each["reasons"] and each["refused_so_far"] for each in told)


def test_shadow_mode_refuses_nothing_early() -> None:
    """A blocked key's request is read and answered like any other."""
    driver = Driver(mode="shadow")
    harvest(driver)
    assert driver.action(ALICE) == Action.BLOCK
    assert driver.engine.refuse_early(ALICE.principal, "/v1/x", driver.now) is None


def test_shadow_mode_goes_on_counting_what_is_answered() -> None:
    """Nothing was refused, so everything was harvested."""
    driver = Driver(mode="shadow")
    harvest(driver, 90)
    driver.flush()
    subject = driver.subject(ALICE)
    assert subject is not None
    assert subject.exchanges == 90


# --- entitlements ---------------------------------------------------------------------------------


def test_an_exempt_key_passes_and_keeps_its_score() -> None:
    """Licensed distillation is looked at all the same."""
    driver = Driver(policy=entitled(Action.PASS, key=ALICE.principal.key))
    decisions = harvest(driver)
    assert {decision.action for decision in decisions} == {Action.PASS}
    standing = driver.standing(ALICE)
    assert standing is not None
    assert standing.action == Action.BLOCK or standing.score > driver.settings.throttle_logit
    assert driver.engine.refuse_early(ALICE.principal, "/v1/x", driver.now) is None


def test_a_key_that_may_be_watched_is_watched_and_never_slowed() -> None:
    """Its decisions say why."""
    decisions = harvest(Driver(policy=entitled(Action.WATCH, key=ALICE.principal.key)))
    assert {decision.action for decision in decisions} == {Action.PASS, Action.WATCH}
    assert decisions[-1].reasons


def test_an_entitlement_that_has_expired_counts_no_more() -> None:
    """From the very second on."""
    policy = entitled(Action.PASS, days=0.05, key=ALICE.principal.key)
    decisions = harvest(Driver(policy=policy), 200)
    within = int(0.05 * DAY / 66)
    assert {decision.action for decision in decisions[:within]} == {Action.PASS}
    assert decisions[within + 1].action >= Action.THROTTLE
    assert decisions[-1].action == Action.BLOCK


def test_an_organisation_may_be_entitled() -> None:
    """Where somebody trusted names it."""
    driver = Driver(policy=entitled(Action.PASS, organisation="Quarry Street"))
    member = Caller("alice", organisation="Quarry Street")
    assert {each.action for each in harvest(driver, caller=member)} == {Action.PASS}
    assert harvest(driver, 1, caller=ALICE)[0].action >= Action.THROTTLE


def test_an_end_user_may_be_entitled_within_its_key() -> None:
    """Also when the key itself is blocked; its other users are refused."""
    policy = entitled(Action.PASS, key=ALICE.principal.key, end_user="team-7")
    driver = Driver(policy=policy)
    harvest(driver, how=lambda asked: with_end_user(asked, "somebody"))
    assert driver.action(ALICE) == Action.BLOCK
    assert driver.engine.refuse_early(ALICE.principal, "/v1/x", driver.now) is None
    allowed = driver.ask(ALICE, play("Hello?", end_user="team-7")).decision
    assert (allowed.action, allowed.refused) == (Action.PASS, False)
    assert driver.ask(ALICE, play("Hello?", end_user="somebody")).decision.action == Action.BLOCK


def test_an_entitlement_that_expired_opens_no_door_for_its_key() -> None:
    """Then a blocked key is refused early again."""
    policy = entitled(Action.PASS, days=0.01, key=ALICE.principal.key, end_user="team-7")
    driver = Driver(policy=policy)
    harvest(driver)
    early = driver.engine.refuse_early(ALICE.principal, "/v1/x", driver.now)
    assert early is not None
    assert early.action == Action.BLOCK


@pytest.mark.parametrize("second", ["other", "exempt"])
def test_of_two_credentials_the_less_privileged_decides(second: str) -> None:
    """Nobody borrows an entitlement by adding its key."""
    exempt = Caller("exempt").principal.key
    driver = Driver(policy=entitled(Action.PASS, key=exempt))
    caller = Caller("exempt" if second == "other" else "alice", second=second)
    assert harvest(driver, caller=caller)[-1].action == Action.BLOCK


def test_a_new_policy_counts_from_the_next_request_on() -> None:
    """It is asked for on each."""
    driver = Driver()
    harvest(driver)
    assert driver.ask(ALICE, play("Hello?")).decision.refused
    driver.policy = entitled(Action.PASS, key=ALICE.principal.key)
    assert not driver.ask(ALICE, play("Hello?")).decision.refused


# --- terms ----------------------------------------------------------------------------------------


def test_without_terms_of_his_own_the_built_in_clause_is_cited() -> None:
    """It covers every model."""
    assert harvest(Driver())[-1].terms == BUILT_IN_TERMS


def test_the_operators_terms_are_cited_for_the_models_they_name() -> None:
    """In the decision and in the log."""
    driver = Driver(policy=Policy(rules=[TermsRule(TERMS, ["large-*"], ["*"])]))
    assert harvest(driver)[-1].terms == TERMS
    assert {event["clause"] for event in driver.instruments.events} == {TERMS.clause}


def test_a_model_that_the_terms_leave_out_is_at_most_watched() -> None:
    """There is nothing that a refusal could stand on."""
    driver = Driver(policy=Policy(rules=[TermsRule(TERMS, ["small-*"], ["*"])]))
    decisions = harvest(driver)
    assert max(decision.action for decision in decisions) == Action.WATCH
    assert {decision.terms for decision in decisions} == {None}
    assert driver.engine.refuse_early(ALICE.principal, "/v1/chat/completions", driver.now) is None


def test_a_key_blocked_for_one_model_is_refused_where_its_terms_apply() -> None:
    """What it did with the one says who it is; what it asks of the other is not covered."""
    driver = Driver(policy=Policy(rules=[TermsRule(TERMS, ["large-*"], ["*"])]))
    harvest(driver)
    assert driver.action(ALICE) == Action.BLOCK
    assert driver.ask(ALICE, play("Hello?")).decision.refused
    assert not driver.ask(ALICE, play("Hello?", model="small-1")).decision.refused


def test_terms_of_a_route_refuse_a_blocked_key_early() -> None:
    """Before its request is read, because whatever it holds is covered."""
    driver = Driver(policy=Policy(rules=[TermsRule(TERMS, ["*"], ["/v1/*"])]))
    harvest(driver)
    early = driver.engine.refuse_early(ALICE.principal, "/v1/models", driver.now)
    assert early is not None
    assert early.terms == TERMS
    assert driver.engine.refuse_early(ALICE.principal, "/health", driver.now) is None
