"""Memory: one setting, shared out among tables that are all bounded."""

from __future__ import annotations

import tracemalloc
from itertools import islice
from random import Random

import pytest

from gateway_guard.memory import Memory, derived
from gateway_guard.profile import ROW
from gateway_guard.subjects import half_of, hash_of
from tests.contributions import features
from tests.driving import DAY, Caller, Driver
from tests.traffic import INNOCENTS

MIB = 2**20


@pytest.mark.parametrize("mib", [4, 16, 64])
def test_the_slab_takes_most_of_the_memory_and_no_more_than_there_is(mib: int) -> None:
    """Rows are what the memory is for."""
    memory = Memory(mib * MIB, b"secret")
    slab = memory.subjects.slab.capacity * ROW.itemsize
    assert 0.45 * mib * MIB < slab < 0.65 * mib * MIB


def test_the_smallest_memory_still_holds_something() -> None:
    """A guard in a test has a few kilobytes and works all the same."""
    driver = Driver(memory="4KiB")
    plays = INNOCENTS["chat"](Random(1))
    for number in range(150):
        driver.ask(Caller(f"key-{number % 9}"), next(plays), seconds=5)
    driver.flush()
    assert driver.memory.subjects.slab.capacity == 64
    assert driver.verified(Caller("key-1"))


def test_a_crowd_of_strangers_stays_within_the_setting() -> None:
    """Keys, networks, templates, texts and answers of strangers, all new."""
    driver = Driver(memory="2MiB")
    plays = INNOCENTS["chat"](Random(1))
    for _ in range(50):
        driver.ask(Caller("warm"), next(plays))
    tracemalloc.start()
    for number in range(1500):
        driver.ask(Caller(f"key-{number}", f"n{number}", f"c{number % 300}"), next(plays))
        driver.wait(1)
    driver.flush()
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 2.5 * MIB


def test_when_a_key_had_its_first_answer_is_looked_up_and_remembered() -> None:
    """It never changes, however often it is asked for."""
    driver, alice = Driver(), Caller("alice")
    assert driver.memory.first_at(alice.principal.key) is None
    driver.meet(alice)
    first_at = driver.now.wall
    driver.wait(DAY)
    driver.meet(alice)
    for _ in range(2):
        assert driver.memory.first_at(alice.principal.key) == first_at


def test_what_is_remembered_of_first_answers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The faster table starts anew when it is full; the compact one knows."""
    monkeypatch.setattr("gateway_guard.memory._FIRST_KEPT", 3)
    driver = Driver()
    callers = [Caller(f"key-{number}") for number in range(9)]
    driver.meet(*callers)
    for _ in range(2):
        assert all(driver.verified(caller) for caller in callers)


def test_keys_for_different_purposes_have_nothing_in_common() -> None:
    """Knowing one tells nothing of another, nor of the secret."""
    one, other = derived(b"secret", b"history"), derived(b"secret", b"pacing")
    assert one != other
    assert len(one) == 32
    assert derived(b"secret", b"history") == one != derived(b"other", b"history")


def test_whoever_is_forgotten_was_never_there() -> None:
    """Wherever the memory had something of him; others are as they were."""
    driver, alice, bob = Driver(), Caller("alice"), Caller("bob", "network-b")
    memory, keys = driver.memory, [Caller(name).principal.key for name in ("alice", "bob")]
    memory.share()
    stranger = Caller("stranger", "network-s")
    driver.ask(stranger, next(INNOCENTS["chat"](Random(3))), status=401)
    for caller in (alice, bob):
        for item in islice(INNOCENTS["chat"](Random(1)), 6):
            driver.ask(caller, item, seconds=5)
        driver.flush()
        hash_ = hash_of(caller.principal.key)
        memory.declined.note(hash_, features([1, 2]))
        memory.placed.add(memory.history.place(hash_, "thread"), features([1, 2]), ())
        memory.revoked[caller.principal.key] = True
    assert memory.subjects.sightings
    memory.forget([keys[0], stranger.principal.key, b"\x06" + bytes(15)])
    known = [(driver.subject(each), driver.known_since(each)) for each in (alice, stranger)]
    assert known == [(None, None)] * 2
    half = half_of(hash_of(keys[0]))
    learned = memory.history.news()
    places = [*learned.texts, *learned.pairs, *(memory.first_uses.added or ())]
    assert half not in map(half_of, places)
    assert half_of(hash_of(keys[1])) in map(half_of, places)
    assert memory.placed.get(memory.history.place(hash_of(keys[0]), "thread")) is None
    assert memory.placed.get(memory.history.place(hash_of(keys[1]), "thread")) is not None
    assert len(memory.declined) == 1
    assert [*memory.revoked] == [keys[1]]
    assert {key for _, key in memory.subjects.sightings} == {keys[1][-8:]}
    assert driver.subject(bob) is not None
    assert not driver.verified(alice)
    driver.meet(alice)
    assert driver.verified(alice)
