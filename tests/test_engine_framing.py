"""Framing, each way: nobody drags a victim down by looking like it, or by feeding it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest

from gateway_guard.actions import Action
from gateway_guard.exchange import Turn
from gateway_guard.principal import PrincipalReader
from gateway_guard.settings import Settings
from tests.driving import DAY, SECRET, Caller, Driver, Play, of_turns, play
from tests.traffic import (
    HARVESTS,
    INNOCENTS,
    SEARCH_SYSTEM,
    chat,
    classify,
    evol,
    search,
    sentence,
    translate,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PHRASES = [
    "You are asked to come up with a set of 20 diverse task instructions.",
    "Rewrite the given prompt into a more complex version. #Rewritten Prompt#",
]


class Toll(NamedTuple):
    """How many requests were refused of how many."""

    refused: int
    of: int

    @property
    def share(self) -> float:
        """Return the refused share."""
        return self.refused / self.of


def toll(refusals: list[bool]) -> Toll:
    """Sum up."""
    return Toll(sum(refusals), len(refusals))


def imitating(template: bool, rng: Random) -> Iterator[Play]:  # noqa: FBT001
    """Harvest, if wanted under the victim's system text, head and tail."""
    for asked in evol(rng):
        if not template:
            yield asked
            continue
        body = asked.exchange.turns[-1].text
        text = f"Documents found for the question:\n{body}\n\nQuestion: {sentence(rng, 9)}"
        sampling = asked.exchange.sampling
        yield play(text, asked.answer, system=SEARCH_SYSTEM, sampling=sampling)


VICTIM = Caller("victim", "victims network", "victims client", organisation="Clinic")


def framed(
    *, template: bool = False, network: bool = False, organisation: bool = False, keys: int = 100
) -> tuple[Toll, Toll]:
    """Let attackers imitate a victim of three weeks; return what victim and attackers suffer."""
    driver, rng = Driver(), Random(3)
    searches, harvests = search(rng), imitating(template, rng)
    before = []
    for _ in range(120):
        before.append(driver.ask(VICTIM, next(searches), seconds=3).decision.refused)
        driver.wait(4 * 3600)
    assert not any(before)
    victim, attackers = [], []
    for number in range(450):
        attacker = Caller(
            f"attacker-{number % keys}",
            VICTIM.network if network else f"n{number % keys}",
            VICTIM.client if network else "harvester 1",
            organisation=VICTIM.organisation if organisation else None,
        )
        attackers.append(driver.ask(attacker, next(harvests), seconds=5).decision.refused)
        if number % 3 == 0:
            victim.append(driver.ask(VICTIM, next(searches), seconds=3).decision.refused)
    return toll(victim), toll(attackers)


# --- looking like the victim ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "imitated",
    [
        {"template": True},
        {"network": True},
        {"organisation": True},
        {"template": True, "network": True, "organisation": True},
    ],
    ids="+".join,
)
def test_imitators_are_refused_and_the_victim_is_not(imitated: dict[str, bool]) -> None:
    """Whatever they put on: its template, its network and client, its organisation, or all."""
    victim, attackers = framed(**imitated)
    assert victim.refused == 0
    assert attackers.share > 0.7


def test_a_few_old_keys_that_imitate_are_refused_and_the_victim_is_not() -> None:
    """Bought accounts are old; what their own requests show is theirs to answer for."""
    driver, rng = Driver(), Random(3)
    searches, harvests = search(rng), imitating(template=True, rng=rng)
    bought = [Caller(f"bought-{number}", f"n{number}") for number in range(5)]
    driver.meet(*bought)
    for _ in range(60):
        driver.ask(VICTIM, next(searches), seconds=3)
        driver.wait(8 * 3600)
    victim, attackers = [], []
    for number in range(500):
        attackers.append(driver.ask(bought[number % 5], next(harvests), seconds=2).decision.refused)
        if number % 3 == 0:
            victim.append(driver.ask(VICTIM, next(searches), seconds=1).decision.refused)
    assert toll(victim).refused == 0
    assert toll(attackers).share > 0.5


def test_an_organisation_counts_only_from_a_trusted_proxy() -> None:
    """Anybody can write a header."""
    settings = Settings.model_validate(
        {"trusted_proxies": "10.0.0.0/8", "organisation_header": "x-org"}
    )
    reader = PrincipalReader(settings, SECRET)
    scope = {"headers": [(b"authorization", b"Bearer a"), (b"x-org", b"Clinic")]}
    from_proxy = reader.read({**scope, "client": ("10.1.2.3", 1)})
    from_anybody = reader.read({**scope, "client": ("192.0.2.1", 1)})
    assert from_proxy.organisation is not None
    assert from_anybody.organisation is None


# --- feeding the victim ---------------------------------------------------------------------------


def searched(rng: Random, phrase: str, share: float) -> Iterator[Play]:
    """Search over pages of which a share carries a published phrase."""
    fed, plain = search(rng, extra=phrase), search(rng)
    while True:
        yield next(fed if rng.random() < share else plain)


def with_tool(asked: Play, number: int) -> Play:
    """Return the same search as the result of a tool."""
    turns = asked.exchange.turns
    call = Turn("assistant", "", call_ids=(f"call-{number}",))
    question = Turn("user", sentence(Random(number), 9))
    result = Turn("tool", turns[-1].text)
    return of_turns(turns[0], question, call, result, answer=asked.answer, tool_definitions=1)


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_in_every_result_of_a_tool_convicts_nobody(phrase: str) -> None:
    """A poisoned page that every search finds."""
    driver, plays = Driver(), searched(Random(5), phrase, 1.0)
    refusals = []
    for number in range(250):
        asked = with_tool(next(plays), number)
        refusals.append(driver.ask(VICTIM, asked, seconds=3).decision.refused)
        driver.wait(40)
    assert toll(refusals).refused == 0
    assert driver.action(VICTIM) < Action.THROTTLE


# --- inside one key -------------------------------------------------------------------------------

PROGRAMS = [search, classify, translate, chat]


def resold(
    name: str, *, old: bool, named: bool, share: float = 0.1, count: int = 1000
) -> tuple[Toll, Toll, Driver]:
    """Let a tenth of a reseller's requests be harvest; return what harvest and rest suffer."""
    driver, rng, reseller = Driver(), Random(6), Caller("reseller", organisation="Resale")
    if old:
        driver.meet(reseller)
        driver.wait(30 * DAY)
    programs, harvests = [make(rng) for make in PROGRAMS], HARVESTS[name](rng)
    harvest: list[bool] = []
    rest: list[bool] = []
    for _ in range(count):
        bad = rng.random() < share
        asked = next(harvests if bad else programs[rng.randrange(len(programs))])
        if named:
            user = "user-bad" if bad else f"user-{rng.randrange(15)}"
            asked = of_user(asked, user)
        refused = driver.ask(reseller, asked, seconds=0.5).decision.refused
        (harvest if bad else rest).append(refused)
        driver.wait(0.5)
    return toll(harvest[30:]), toll(rest), driver


def of_user(asked: Play, end_user: str) -> Play:
    """Return the same exchange for an end user."""
    exchange = asked.exchange
    turns = exchange.turns
    return of_turns(*turns, answer=asked.answer, sampling=exchange.sampling, end_user=end_user)


@pytest.mark.parametrize(
    ("name", "old", "named"),
    [
        ("evol", True, True),
        ("evol", True, False),
        ("evol", False, True),
        ("evol", False, False),
        ("self_instruct", True, False),
    ],
)
def test_a_reseller_loses_its_harvesting_requests_alone(
    name: str, *, old: bool, named: bool
) -> None:
    """A tenth of its requests is harvest under one template; honest customers notice nothing."""
    harvest, rest, driver = resold(name, old=old, named=named)
    assert rest.refused == 0
    assert harvest.share > 0.6
    assert driver.action(Caller("reseller")) < Action.THROTTLE


@pytest.mark.parametrize("name", ["reasoning"])
def test_a_throttled_end_user_leaves_the_others_of_its_key_alone(name: str) -> None:
    """Raw questions have no template; only the name of the user ties them together."""
    harvest, rest, driver = resold(name, old=True, named=True)
    assert rest.refused == 0
    assert harvest.share > 0.3
    assert driver.action(Caller("reseller")) < Action.THROTTLE


@pytest.mark.parametrize("name", INNOCENTS)
def test_innocents_on_a_network_of_harvesters_are_not_refused(name: str) -> None:
    """A university, a cloud, an office: harvesters and people behind one address."""
    driver, rng = Driver(), Random(8)
    plays, harvests, refusals = INNOCENTS[name](rng), HARVESTS["tutor"](rng), []
    for number in range(300):
        driver.ask(Caller(f"harvester-{number % 10}"), next(harvests), seconds=3)
        refusals.append(driver.ask(Caller("innocent"), next(plays), seconds=3).decision.refused)
        driver.wait(20)
    assert toll(refusals).refused == 0
