"""Floods: junk keys, one-request keys and random templates flush nothing that matters."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from gateway_guard.actions import Action
from gateway_guard.principal import SubjectKind
from gateway_guard.profile import ROW
from gateway_guard.standing import Standing, Standings
from gateway_guard.subjects import hash_of
from tests.driving import HOUR, Caller, Driver, play, subjects_of
from tests.traffic import HARVESTS, prose, tutor

if TYPE_CHECKING:
    from collections.abc import Callable

    Flood = Callable[[Driver, Random, int], None]

MEMORY = "8MiB"
THROTTLED = Caller("throttled", "its network", "its client")
FLOOD = 2000


def slowed() -> Driver:
    """Return a driver under which one key has been throttled and one template is known."""
    driver, plays = Driver(memory=MEMORY, block_logit=90), HARVESTS["evol"](Random(1))
    while driver.action(THROTTLED) < Action.THROTTLE:
        driver.ask(THROTTLED, next(plays), seconds=8)
    return driver


def junk_keys(driver: Driver, rng: Random, number: int) -> None:
    """Send a request under a key that the upstream does not accept."""
    asked = play(prose(rng, 120), system=prose(rng, 60))
    driver.ask(Caller(f"junk-{number}", f"n{rng.randrange(500)}"), asked, status=401)


def one_request_keys(driver: Driver, rng: Random, number: int) -> None:
    """Send the only request of a key that is accepted."""
    driver.ask(Caller(f"once-{number}", f"n{rng.randrange(500)}"), play(prose(rng, 120), "Yes."))


def random_templates(driver: Driver, rng: Random, number: int) -> None:
    """Send a request under a system text that nobody has seen, from one of a few keys."""
    asked = play(prose(rng, 120), system=prose(rng, 60))
    driver.ask(Caller(f"writer-{number % 20}", f"n{number % 20}"), asked)


FLOODS = [junk_keys, one_request_keys, random_templates]


@pytest.mark.parametrize("flood", FLOODS)
def test_a_throttled_key_stays_throttled(flood: Flood) -> None:
    """It is refused in the middle of the flood as before it."""
    driver, rng, plays = slowed(), Random(2), HARVESTS["evol"](Random(3))
    for number in range(FLOOD):
        flood(driver, rng, number)
        driver.wait(0.2)
    driver.flush()
    decisions = [driver.ask(THROTTLED, next(plays)).decision for _ in range(3)]
    assert decisions[-1].refused
    assert driver.action(THROTTLED) >= Action.THROTTLE


@pytest.mark.parametrize("flood", FLOODS)
def test_a_template_that_is_in_use_stays_known(flood: Flood) -> None:
    """One request in thirty is enough; its next young key is refused."""
    driver, rng, plays = Driver(memory=MEMORY), Random(2), tutor(Random(3))
    for number in range(FLOOD):
        flood(driver, rng, number)
        if number % 30 == 0:
            driver.ask(Caller(f"head-{number}", f"h{number}"), next(plays), seconds=5)
        driver.wait(0.2)
    driver.flush()
    ticket = driver.admit(Caller("another", "another"), next(plays))
    driver.flush()
    template = subjects_of(ticket, SubjectKind.TEMPLATE)[0]
    assert template.row >= 0
    assert template.exchanges > 15
    standing = driver.memory.standings.get(template.id)
    assert standing is not None
    assert standing.action >= Action.THROTTLE


@pytest.mark.parametrize("flood", FLOODS)
def test_every_table_stays_within_its_bound(flood: Flood) -> None:
    """What the memory allows, and not one entry more."""
    driver, rng = Driver(memory=MEMORY), Random(2)
    for number in range(FLOOD):
        flood(driver, rng, number)
    driver.flush()
    table, size = driver.memory.subjects, 8 * 2**20
    assert len(table) <= table.slab.capacity <= size // ROW.itemsize
    assert table.waiting <= 0.7 * 0.13 * size // 1024
    assert table.unverified <= 0.7 * 0.02 * size // 640 + 1
    assert len(driver.memory.standings) <= 0.03 * size // 1024 + 64
    assert driver.engine.unflushed == 0


def test_a_key_that_was_there_before_the_flood_is_old_after_it() -> None:
    """Ages survive; those that are lost make nobody young."""
    driver, rng = Driver(memory="256KiB", young="1h"), Random(2)
    early = Caller("early")
    driver.meet(early)
    driver.wait(2 * HOUR)
    number = 0
    while not driver.memory.ages.overflowed:
        one_request_keys(driver, rng, number)
        number += 1
    for _ in range(300):
        one_request_keys(driver, rng, number)
        number += 1
    assert not driver.ask(early, play("Am I old?")).young
    ages = driver.memory.ages
    lost = next(
        caller
        for caller in (Caller(f"unseen {number}") for number in range(10_000))
        if ages.uncertain(hash_of(caller.principal.key), None)
    )
    assert not driver.ask(lost, play("Am I?"), status=500).young


# --- standings ------------------------------------------------------------------------------------


def standing(action: Action) -> Standing:
    """Return a standing."""
    return Standing(action=action, until_at=1e12)


def test_standings_are_bounded_and_the_watched_go_first() -> None:
    """Ten thousand watched subjects do not push out those that are blocked."""
    standings = Standings(100)
    for number in range(50):
        standings.keep(b"blocked-%d" % number, standing(Action.BLOCK))
    for number in range(10_000):
        standings.keep(b"watched-%d" % number, standing(Action.WATCH))
        assert len(standings) <= 100
    kept = [standings.get(b"blocked-%d" % number) for number in range(50)]
    assert sum(each is not None for each in kept) >= 45


def test_when_all_are_refused_the_oldest_goes() -> None:
    """There is nothing better to do."""
    standings = Standings(20)
    for number in range(60):
        standings.keep(b"key-%d" % number, standing(Action.THROTTLE))
    assert len(standings) == 20
    assert standings.get(b"key-59") is not None
    assert standings.get(b"key-0") is None


def test_a_standing_that_says_nothing_is_forgotten() -> None:
    """Passing subjects have none."""
    standings = Standings(10)
    standings.keep(b"a", standing(Action.WATCH))
    standings.forget(b"a")
    standings.forget(b"a")
    assert (standings.get(b"a"), len(standings)) == (None, 0)


def test_an_offence_outlives_its_profile() -> None:
    """Evicted from the slab, a key that was blocked comes back to a longer block."""
    driver, plays = Driver(memory="256KiB"), HARVESTS["self_instruct"](Random(1))
    rng, caller = Random(2), Caller("again")
    for offences in (1, 2):
        while driver.action(caller) < Action.BLOCK:
            driver.ask(caller, next(plays), seconds=62)
        found = driver.standing(caller)
        assert found is not None
        assert found.offences == offences
        for number in range(100):
            for _ in range(3):
                other = Caller(f"o{offences}-{number}", f"n{number}", f"c{number}")
                driver.ask(other, play(prose(rng, 90)))
        driver.flush()
        assert driver.subject(caller) is None
        driver.wait(found.until_at - driver.now.wall)
        driver.ask(caller, play("Hello?"))
