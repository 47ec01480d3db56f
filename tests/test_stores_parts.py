"""Parts: rows as stores keep them, and readings that no accident of synchronising changes."""

from __future__ import annotations

import zlib
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard import profile
from gateway_guard.contribution import Share, apply
from gateway_guard.stores.base import Keeping
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.stores.parts import LAYOUT, decode, encode, from_part, to_part
from tests.contributions import NOON, add, contribution, features, random_hash
from tests.driving import Caller, Driver
from tests.traffic import HARVESTS, INNOCENTS

if TYPE_CHECKING:
    from gateway_guard.profile import RowArray

DAY = 86400.0
SUBJECT = np.frombuffer(b"\x01" + bytes(range(15)), np.uint8)
PLAYS = {**INNOCENTS, **HARVESTS}


@st.composite
def rows(draw: st.DrawFn) -> RowArray:
    """Return a row that some writer may have left: from hardly anything in it to all of it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = draw(st.sampled_from([0.0, 0.01, 0.2, 0.9, 1.0]))
    row = profile.empty()
    row["linear"][:, :, : profile.USED] = rng.random((2, profile.USED)) * 100
    row["shingles"] = rng.choice(
        draw(st.sampled_from([[1], [1, 200], [255, 256, 65535]])), (2, 256)
    )
    row["registers"] = rng.choice(draw(st.sampled_from([[1], [1, 20, 54]])), row["registers"].shape)
    row["counts"] = rng.integers(0, draw(st.sampled_from([2, 256, 2**32])), row["counts"].shape)
    for name in ("linear", "shingles", "registers", "counts"):
        row[name] *= rng.random(row[name].shape) < share
    row["panes"] = rng.integers(20_000, 20_009, 2)
    row["shingled"], row["sequence"] = rng.random(), rng.integers(0, 2**60)
    row["epoch"], row["reset_epoch"] = rng.integers(0, 2**32, 2)
    for name in ("first_seen_at", "last_seen_at", "updated_at"):
        row[name] = NOON - rng.integers(0, 2)
    if draw(st.booleans()):
        row["action"], row["offences"], row["until_at"], row["paced_at"] = 4, 65535, NOON, NOON - 1
    row["subject"] = SUBJECT
    return row


def through(row: RowArray) -> RowArray:
    """Return a row after it was a part."""
    read = from_part(to_part(row, 0, float(row["updated_at"][0])))
    assert read is not None
    return read


@given(rows())
def test_a_row_is_the_same_after_it_was_a_part(row: RowArray) -> None:
    """To the last bit."""
    assert profile.serialize(through(row)) == profile.serialize(row)


@given(st.binary(max_size=300))
def test_what_is_no_part_is_nobodys(data: bytes) -> None:
    """A store may hold anything."""
    row = decode(data)
    assert row is None or encode(row, float(row["updated_at"][0])) != b""
    assert decode(b"\x63" + data) is None


@given(rows(), st.data())
def test_a_part_that_was_cut_changed_or_continued_is_none_or_another(
    row: RowArray, draw: st.DataObject
) -> None:
    """It raises nothing, whatever bit was lost."""
    part = encode(row, NOON)
    cut = draw.draw(st.integers(0, len(part) - 1))
    assert decode(part[:cut]) is None
    assert decode(part + b"\0") is None
    changed = bytearray(part)
    changed[cut] ^= 1 << draw.draw(st.integers(0, 7))
    decode(bytes(changed))


def test_a_part_that_would_grow_beyond_a_row_is_none() -> None:
    """A few bytes can stand for many."""
    deflated = zlib.compressobj(wbits=-15)
    data = deflated.compress(bytes(10_000_000)) + deflated.flush()
    assert len(data) < 20_000
    assert decode(bytes((LAYOUT,)) + data) is None


@pytest.mark.parametrize("name", PLAYS)
def test_a_part_of_one_exchange_takes_256_bytes_at_most(name: str) -> None:
    """For each of the subjects that it speaks for, whatever was asked."""
    driver, plays = Driver(), PLAYS[name](Random(1))
    for number in range(6):
        ticket = driver.ask(Caller(f"key-{number}", f"network-{number}"), next(plays))
        driver.flush()
        for _, held in ticket.shares:
            row = profile.empty()
            apply(row, [Share(0, *held)], elapsed_seconds=np.zeros(1), wall_at=driver.now.wall)
            assert 80 < len(encode(row, driver.now.wall)) <= 256


@pytest.mark.parametrize("name", PLAYS)
def test_a_part_of_a_busy_subject_takes_two_kilobytes_at_most(name: str) -> None:
    """Every pane, counter and sum of its own in use."""
    driver, plays, caller = Driver(), PLAYS[name](Random(1)), Caller("busy")
    for _ in range(300):
        driver.ask(caller, next(plays), seconds=2)
        driver.wait(600)
    driver.flush()
    subject = driver.subject(caller)
    assert subject is not None
    row = driver.memory.subjects.slab.rows[subject.row : subject.row + 1]
    assert len(encode(row, 0.0)) <= 2048


def test_the_fullest_part_is_smaller_than_its_row() -> None:
    """Nothing grows by being kept."""
    row = profile.empty()
    row["linear"][:, :, : profile.USED] = np.random.default_rng(1).random((2, profile.USED))
    row["shingles"], row["registers"], row["counts"] = 65535, 54, 2**32 - 1
    row["first_seen_at"], row["action"] = NOON, 4
    row["shingles"] = np.random.default_rng(1).integers(0, 65535, row["shingles"].shape)
    assert 0.3 < len(encode(row, NOON)) / profile.ROW.itemsize < 0.8


# --- many writers, one store ---------------------------------------------------------------------


def written(writer: int, counts: list[int]) -> list[RowArray]:
    """Return one writer's row after each of a few pushes, with so many exchanges before each."""
    row, pushed = profile.empty(), []
    row["subject"], row["epoch"], row["first_seen_at"] = SUBJECT, 1, NOON + writer
    for at, count in enumerate(counts):
        items = [
            contribution(features([number, 7], body=random_hash(1000 * writer + 100 * at + number)))
            for number in range(count)
        ]
        if items:
            add(row, items, at=NOON + 60 * at, elapsed_seconds=60.0)
        row["updated_at"] = row["last_seen_at"] = NOON + 60 * at
        row["sequence"] += 1
        pushed.append(row.copy())
    return pushed


COUNTS = st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=4), min_size=1, max_size=4)


def reading_of(parts: list[RowArray]) -> profile.Reading:
    """Return what the parts of several writers say together an hour later."""
    combined = profile.empty()
    for part in parts:
        combined = profile.combine(combined, part)
    elapsed = NOON + 3600.0 - float(combined["updated_at"][0])
    return profile.read(combined, elapsed, NOON + 3600.0)


@given(COUNTS, st.data())
def test_no_accident_of_synchronising_changes_what_is_read(
    counts: list[list[int]], draw: st.DataObject
) -> None:
    """Pushes come in any order, twice, or not at all, as long as each writer's last one comes."""
    histories = [written(writer, pushes) for writer, pushes in enumerate(counts)]
    pushes = [(writer, at) for writer, rows in enumerate(histories) for at in range(len(rows))]
    last = [(writer, len(rows) - 1) for writer, rows in enumerate(histories)]
    lossy = [push for push in pushes if push in last or draw.draw(st.booleans())]
    twice = lossy + draw.draw(st.lists(st.sampled_from(pushes), max_size=6))
    store = MemoryStore(2**24, lambda: NOON, Keeping("tests", DAY))
    for writer, at in draw.draw(st.permutations(twice)):
        row = histories[writer][at]
        store.write([to_part(row, writer, float(row["updated_at"][0]))])
    [parts] = store.read([SUBJECT.tobytes()])
    read = [row for row in map(from_part, parts) if row is not None]
    found, expected = reading_of(read), reading_of([rows[-1] for rows in histories])
    assert found.fast == pytest.approx(expected.fast, rel=1e-4)
    assert found.slow == pytest.approx(expected.slow, rel=1e-4)
    assert (found.bodies, found.keys) == (expected.bodies, expected.keys)


@given(COUNTS, st.data())
def test_a_pardon_counts_as_zero_whatever_comes_before_or_after_it(
    counts: list[list[int]], draw: st.DataObject
) -> None:
    """Parts of writers that have not heard of it yet are of an older reset."""
    histories = [written(writer, pushes) for writer, pushes in enumerate(counts)]
    pardon = profile.empty()
    pardon["subject"], pardon["reset_epoch"] = SUBJECT, 9
    parts = [to_part(rows[-1], writer, NOON) for writer, rows in enumerate(histories)]
    parts.append(to_part(pardon, len(histories), 0.0))
    store = MemoryStore(2**24, lambda: NOON, Keeping("tests", DAY))
    for part in draw.draw(st.permutations(parts)):
        store.write([part])
    [kept] = store.read([SUBJECT.tobytes()])
    read = [row for row in map(from_part, kept) if row is not None]
    assert not any(reading_of(draw.draw(st.permutations(read))).slow)
