"""Foreign: what other writers know is added to a row as if it had been combined with theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard import foreign, profile
from tests.contributions import NOON
from tests.test_profile import random_row

if TYPE_CHECKING:
    from gateway_guard.profile import RowArray

SEEDS = st.integers(0, 2**32 - 1)


def part(seed: int) -> RowArray:
    """Return a part that was never pardoned."""
    row = random_row(seed)
    row["reset_epoch"] = 0
    row["updated_at"] = NOON - seed % 7200
    return row


@given(SEEDS, st.lists(SEEDS, min_size=1, max_size=4), st.floats(0, 7200))
def test_a_row_with_others_reads_as_if_all_were_combined(
    own: int, others: list[int], later: float
) -> None:
    """Sums, different values and their numbers."""
    row, parts, now = part(own), [part(seed) for seed in others], NOON + later
    combined = row
    for each in parts:
        combined = profile.combine(combined, each)
    elapsed = now - float(row["updated_at"][0])
    total = foreign.added(row, elapsed, foreign.gather(parts, 0)[0], now)
    found = profile.read(total, 0.0, now)
    expected = profile.read(combined, now - float(combined["updated_at"][0]), now)
    assert found.fast == pytest.approx(expected.fast, rel=1e-3, abs=1e-3)
    assert found.slow == pytest.approx(expected.slow, rel=1e-3, abs=1e-3)
    for name in ("bodies", "keys", "young_keys", "places"):
        assert getattr(found, name) == getattr(expected, name)


@given(SEEDS, SEEDS)
def test_parts_of_before_a_pardon_count_as_zero(one: int, two: int) -> None:
    """Whoever has not heard of it yet is no witness."""
    old, new = part(one), part(two)
    new["reset_epoch"] = 3
    assert foreign.gather([old, new], 3).tobytes() == foreign.gather([new], 3).tobytes()
    assert not foreign.gather([old], 3)["linear"].any()


@given(SEEDS)
def test_nobody_else_changes_nothing(seed: int) -> None:
    """Windows of words stay the row's own whatever others say."""
    row = part(seed)
    nobody = foreign.gather([], 0)
    total = foreign.added(row, 0.0, nobody[0], NOON)
    assert total.tobytes() == row.tobytes()
    others = foreign.gather([part(seed + 1)], 0)
    total = foreign.added(row, 0.0, others[0], NOON)
    assert np.array_equal(total["shingles"], row["shingles"])
