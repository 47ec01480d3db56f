"""Linear slices: the past fades by half-lives, whoever keeps it and in whatever order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.sketches import linear

if TYPE_CHECKING:
    from gateway_guard.sketches.linear import FloatArray

WIDTH = 3
HOUR, FORTNIGHT = 3600.0, 14 * 86400.0
INSTANTS = st.floats(0.0, 30 * 86400.0)
SLICES = st.lists(st.floats(0.0, 1000.0, width=32), min_size=2 * WIDTH, max_size=2 * WIDTH).map(
    lambda values: np.array(values, dtype=np.float32).reshape(2, WIDTH)
)

Part = tuple["FloatArray", float]
PARTS = st.tuples(SLICES, INSTANTS)


def decayed(slices: FloatArray, elapsed_seconds: float) -> FloatArray:
    """Return slices that nothing was added to for a while."""
    nothing = np.zeros((1, WIDTH), dtype=np.float32)
    updated: FloatArray = linear.update(slices[None], np.array([elapsed_seconds]), nothing)[0]
    return updated


def close(left: FloatArray, right: FloatArray) -> bool:
    """Tell whether two slices differ by float32 rounding at most."""
    return np.allclose(left, right, rtol=1e-4, atol=1e-6)


def test_each_slice_halves_in_its_half_life() -> None:
    """An hour for the fast one, fourteen days for the slow one."""
    factors = linear.decay_factors(np.array([0.0, HOUR, 2 * HOUR, FORTNIGHT]))
    assert factors.shape == (4, 2)
    assert factors[:3, 0].tolist() == pytest.approx([1.0, 0.5, 0.25])
    assert factors[0, 1] == 1.0
    assert factors[3, 1] == pytest.approx(0.5)


def test_a_time_that_runs_backwards_decays_nothing_and_inflates_nothing() -> None:
    """Elapsed time below zero counts as none."""
    assert linear.decay_factors(np.array([-HOUR])).tolist() == [[1.0, 1.0]]


def test_each_row_decays_by_its_own_time_before_its_vector_is_added() -> None:
    """What is added is not decayed."""
    slices = np.ones((2, 2, WIDTH), dtype=np.float32)
    added = np.array([[0.0, 1.0, 2.0], [10.0, 10.0, 10.0]], dtype=np.float32)
    updated = linear.update(slices, np.array([0.0, HOUR]), added)
    assert updated[0, 0].tolist() == [1.0, 2.0, 3.0]
    assert updated[1, 0].tolist() == pytest.approx([10.5] * WIDTH)
    assert updated[1, 1].tolist() == pytest.approx([11.0] * WIDTH, rel=1e-2)


@given(SLICES, INSTANTS, INSTANTS)
def test_decaying_twice_is_decaying_for_the_whole_time(
    slices: FloatArray, first: float, second: float
) -> None:
    """A slice may be written often or seldom."""
    assert close(decayed(decayed(slices, first), second), decayed(slices, first + second))


@given(SLICES, INSTANTS, SLICES, INSTANTS, INSTANTS)
def test_decay_commutes_with_combine(
    left: FloatArray, left_at: float, right: FloatArray, right_at: float, elapsed: float
) -> None:
    """Combining first or decaying first is the same."""
    combined, at = linear.combine(left, left_at, right, right_at)
    later = at + elapsed
    apart, apart_at = linear.combine(
        decayed(left, later - left_at), later, decayed(right, later - right_at), later
    )
    assert apart_at == later
    assert close(decayed(combined, elapsed), apart)


@given(PARTS, PARTS, PARTS)
def test_combine_is_associative_and_commutative(one: Part, two: Part, three: Part) -> None:
    """Parts of three writers come in any order."""
    combine = linear.combine
    there, back = combine(*one, *two), combine(*two, *one)
    assert there[1] == back[1] == max(one[1], two[1])
    assert np.array_equal(there[0], back[0])
    left, right = combine(*combine(*one, *two), *three), combine(*one, *combine(*two, *three))
    assert left[1] == right[1]
    assert close(left[0], right[0])
