"""Groups: the sum of many parts reads as they do, and is never read for what it no longer is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard import foreign, profile
from gateway_guard.stores.base import GROUPS, STANDING, Part
from gateway_guard.stores.groups import chosen, contents, is_group, records_of, summed
from gateway_guard.stores.parts import from_part, to_part
from tests.contributions import NOON
from tests.test_profile import random_row

if TYPE_CHECKING:
    from gateway_guard.profile import RowArray

SUBJECT = b"\x01" + bytes(15)
STANDS = Part(SUBJECT, STANDING, (0, 0, 1), b"blocked", NOON)


def parts_of(*slots: int, reset: int = 0, sequence: int = 5) -> list[Part]:
    """Return what writers of some slots have pushed."""
    parts = []
    for slot in slots:
        row = random_row(slot)
        row["subject"] = np.frombuffer(SUBJECT, np.uint8)
        row["reset_epoch"], row["epoch"], row["sequence"] = reset, 1, sequence
        parts.append(to_part(row, slot, NOON - slot))
    return parts


def rows_of(parts: list[Part]) -> list[RowArray]:
    """Return the rows that parts and records hold."""
    rows = [summed(part) if is_group(part.slot) else from_part(part) for part in parts]
    return [row for row in rows if row is not None]


@given(st.sets(st.integers(8, 60), min_size=1, max_size=30))
def test_records_read_as_the_parts_that_they_stand_for(slots: set[int]) -> None:
    """For a writer of the first group, which has none."""
    parts = parts_of(*slots)
    records = records_of(parts, 3, NOON)
    read = chosen([*parts, *records, STANDS], 3, NOON + 3600.0)
    assert STANDS in read
    assert {part.slot // 8 for part in read if part.slot < GROUPS}.isdisjoint(
        record.slot - GROUPS for record in records
    )
    of_parts = foreign.gather(rows_of(parts), 0)
    of_records = foreign.gather(rows_of([part for part in read if part.slot != STANDING]), 0)
    for name in ("registers", "counts", "panes", "first_seen_at", "updated_at"):
        assert np.array_equal(of_parts[name], of_records[name])
    assert np.allclose(of_parts["linear"], of_records["linear"], rtol=1e-4)


def test_a_record_names_what_it_contains() -> None:
    """Each slot with its version."""
    [record] = records_of(parts_of(8, 9, 15), 0, NOON)
    assert record.slot == GROUPS + 1
    assert contents(record) == dict.fromkeys((8, 9, 15), (0, 1, 5))


def test_one_part_alone_and_the_readers_own_group_are_not_summed_up() -> None:
    """There is nothing to save, and nobody reads himself in a sum."""
    assert records_of([*parts_of(0, 1, 2, 3, 9, 17), STANDS], 2, NOON) == []


def test_a_record_is_passed_over_once_a_part_is_newer() -> None:
    """After a second, in which it is good enough for everybody."""
    parts = parts_of(8, 9)
    [record] = records_of(parts, 0, NOON)
    newer = [parts[0], *parts_of(9, sequence=6)]
    assert chosen([*newer, record], 0, NOON + 0.5) == [record]
    assert chosen([*newer, record], 0, NOON + 1.5) == newer
    assert chosen([*parts, *parts_of(10), record], 0, NOON + 1.5) == [*parts, *parts_of(10)]
    assert chosen([*parts, record], 9, NOON + 1.5) == parts


def test_a_record_of_before_a_pardon_is_never_read() -> None:
    """Not even a young one."""
    parts = parts_of(8, 9)
    [record] = records_of(parts, 0, NOON)
    pardoned = [parts[0], *parts_of(9, reset=3)]
    assert chosen([*pardoned, record], 0, NOON + 0.1) == pardoned
    [after] = records_of(pardoned, 0, NOON)
    assert after.version[0] == 3
    [row] = rows_of([after])
    [alone] = rows_of(pardoned[1:])
    used = (slice(None), slice(None), slice(profile.USED))
    assert np.allclose(row["linear"][used], alone["linear"][used])


@pytest.mark.parametrize("data", [b"", b"\x02", b"\x02" + bytes(36), b"\xff" * 40])
def test_a_record_that_is_none_is_passed_over(data: bytes) -> None:
    """A store may hold anything."""
    parts = parts_of(8, 9)
    broken = Part(SUBJECT, GROUPS + 1, (0, 0, 1), data)
    assert chosen([*parts, broken], 0, NOON) == parts
    assert summed(broken) is None
    assert records_of([parts[0], Part(SUBJECT, 9, (0, 1, 5), data)], 0, NOON) == []
