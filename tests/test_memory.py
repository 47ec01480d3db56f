"""Memory: one setting, shared out among tables that are all bounded."""

from __future__ import annotations

import tracemalloc
from random import Random

import pytest

from gateway_guard.memory import Memory, derived
from gateway_guard.profile import ROW
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
