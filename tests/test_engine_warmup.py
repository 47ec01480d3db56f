"""The first days: what a guard that knows no key and no template yet may say and do."""

from __future__ import annotations

from random import Random

import pytest

from gateway_guard.actions import Action
from gateway_guard.assessment import best_score
from gateway_guard.principal import SubjectKind
from tests.driving import DAY, Caller, Driver, play, subjects_of
from tests.traffic import HARVESTS, chat, prose, self_instruct, tutor


def warming(warmup: str = "7d") -> Driver:
    """Return a driver whose guard was mounted a moment ago."""
    return Driver(warmup=warmup)


def campaign(driver: Driver, count: int = 400, keys: int = 100) -> list[Action]:
    """Let a campaign of fresh keys run under one template; return what its requests suffer."""
    plays, actions = HARVESTS["evol"](Random(1)), []
    for number in range(count):
        name = f"key-{number % keys}"
        actions.append(driver.ask(Caller(name, name), next(plays), seconds=5).decision.action)
        driver.wait(5)
    return actions


def test_templates_impose_nothing_before_the_warm_up_ends() -> None:
    """A famous system text may be a thousand customers' or one harvester's; nobody knows yet."""
    actions = campaign(warming(), keys=100)
    assert max(actions) == Action.WATCH


def test_templates_impose_when_it_has_ended() -> None:
    """The same campaign a week later."""
    driver = warming()
    driver.wait(7 * DAY)
    assert campaign(driver).count(Action.THROTTLE) > 300


def test_what_was_learned_in_the_warm_up_counts_after_it() -> None:
    """The campaign is refused from the first request on that comes under a young key."""
    driver = warming()
    driver.wait(7 * DAY - 4500)
    assert max(campaign(driver)) == Action.WATCH
    driver.wait(1000)
    decision = driver.ask(Caller("late", "late"), next(HARVESTS["evol"](Random(9)))).decision
    assert decision.subject_kind == "template"
    assert decision.action >= Action.THROTTLE


def test_a_throttle_is_the_most_severe_action() -> None:
    """One key that harvests is slowed from the first day, and blocked on the second."""
    driver, plays, actions = warming("1d"), self_instruct(Random(1)), []
    while driver.now.wall < driver.engine.rules.warm_at - 120:
        actions.append(driver.ask(Caller("alice"), next(plays), seconds=5).decision.action)
        driver.wait(61 if len(actions) < 60 else 3600)
    assert max(actions) == Action.THROTTLE
    for _ in range(20):
        actions.append(driver.ask(Caller("alice"), next(plays), seconds=5).decision.action)
        driver.wait(61)
    assert actions[-1] == Action.BLOCK


def test_what_depends_on_age_is_silent() -> None:
    """Its sign would be a throw of the dice."""
    driver, plays = warming(), tutor(Random(1))
    tickets = [
        driver.ask(Caller(f"key-{number}", f"n{number}"), next(plays), seconds=5)
        for number in range(60)
    ]
    driver.flush()
    template = subjects_of(tickets[-1], SubjectKind.TEMPLATE)[0]
    reading = driver.reading(template)
    cold, warm = (
        best_score(template, reading, minimum=8, aged=aged).logit for aged in (False, True)
    )
    assert cold <= warm
    assert not any(ticket.young for ticket in tickets)


def test_two_thousand_organisations_on_one_agent_pass_on_the_first_day() -> None:
    """One famous system text, tools, conversations that grow; all keys are new to the guard."""
    driver, rng = warming(), Random(2)
    system = prose(Random(0), 2500)
    for number in range(300):
        name = f"organisation-{number}"
        plays = chat(rng, turns=3, system=system)
        for _ in range(3):
            asked = next(plays)
            decision = driver.ask(Caller(name, name, "agent 1"), asked, seconds=4).decision
            assert not decision.refused
            driver.wait(rng.uniform(3, 8))


@pytest.mark.parametrize("warmup", ["0", "7d"])
def test_the_first_request_of_all_passes(warmup: str) -> None:
    """Whoever it is."""
    assert warming(warmup).ask(Caller("first"), play("Hello?")).decision.action == Action.PASS


def test_whoever_came_during_the_warm_up_grows_old_like_everybody() -> None:
    """Ages are kept from the first request on; after a week nobody of the first day is young."""
    driver = warming()
    early, late = Caller("early"), Caller("late")
    driver.meet(early)
    driver.wait(6 * DAY)
    driver.meet(late)
    driver.wait(1.5 * DAY)
    young = [driver.ask(caller, play("Hello?")).young for caller in (early, late, Caller("new"))]
    assert young == [False, True, True]


@pytest.mark.parametrize(("warmup", "action"), [("7d", Action.WATCH), ("0", Action.THROTTLE)])
def test_before_the_warm_up_ends_a_throttle_needs_two_families(warmup: str, action: Action) -> None:
    """A product that writes all day long looks like a harvest to a guard that knows nobody."""
    driver, rng = warming(warmup), Random(5)
    system = prose(rng, 300)
    for _ in range(60):
        asked = play(f"{prose(rng, 40)} again?", prose(rng, 1500), system=system)
        driver.ask(Caller("writer"), asked, seconds=4)
    driver.flush()
    assert driver.action(Caller("writer")) == action
