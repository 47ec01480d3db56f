"""Cardinality: as many different values as there were, by an exact set and by another library."""

from __future__ import annotations

import math

import numpy as np
import pytest
from datasketches import hll_sketch
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.sketches import cardinality
from gateway_guard.sketches.cardinality import REGISTERS, RegisterArray

STANDARD_ERROR = 1.04 / math.sqrt(REGISTERS)
LARGEST_RANK = 54
HASHES = st.lists(st.integers(0, 2**64 - 1), max_size=60)


def random_hashes(count: int, seed: int) -> cardinality.HashArray:
    """Return ``count`` random hashes, all different in all likelihood."""
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def sketch(hashes: cardinality.HashArray | list[int]) -> RegisterArray:
    """Return the registers that hashes leave."""
    registers = np.zeros(REGISTERS, dtype=np.uint8)
    places, ranks = cardinality.places(np.array(hashes, dtype=np.uint64))
    np.maximum.at(registers, places, ranks)
    return registers


def size(registers: RegisterArray) -> float:
    """Return the estimate of one sketch."""
    [estimated] = cardinality.estimate(registers[None, :])
    return estimated


@pytest.mark.parametrize("count", [1, 2, 5, 10, 30, 100, 300, 1000, 10_000, 100_000, 1_000_000])
def test_an_estimate_is_within_four_standard_errors_of_the_exact_number(count: int) -> None:
    """One value, a million values, and the range where other estimators switch over."""
    for seed in range(3 if count < 1_000_000 else 1):
        hashes = random_hashes(count, seed)
        exact = len(np.unique(hashes))
        assert abs(size(sketch(hashes)) - exact) <= 4 * STANDARD_ERROR * exact


@pytest.mark.parametrize("count", [1, 100, 10_000, 1_000_000])
def test_an_estimate_agrees_with_apache_datasketches(count: int) -> None:
    """The same values give the same number there, within both sketches' errors."""
    log_registers = 12
    oracle = hll_sketch(log_registers)
    hashes = random_hashes(count, seed=7)
    for hash_ in hashes.tolist():
        oracle.update(hash_ - 2**63)
    errors = math.hypot(STANDARD_ERROR, 1.04 / math.sqrt(2**log_registers))
    assert abs(size(sketch(hashes)) - oracle.get_estimate()) <= 4 * errors * count


def test_estimates_are_not_biased() -> None:
    """Over many streams the errors cancel out, at sizes that profiles have."""
    for count in (10, 200, 2000):
        sizes = [size(sketch(random_hashes(count, seed))) for seed in range(200)]
        mean_error = sum(sizes) / len(sizes) / count - 1.0
        assert abs(mean_error) <= 4 * STANDARD_ERROR / math.sqrt(len(sizes))


def test_an_empty_sketch_counts_nothing_and_a_full_one_everything() -> None:
    """Neither end divides by zero, whatever bytes a store may bring back."""
    assert size(np.zeros(REGISTERS, dtype=np.uint8)) == 0.0
    assert size(np.full(REGISTERS, LARGEST_RANK, dtype=np.uint8)) == math.inf
    assert size(np.full(REGISTERS, 255, dtype=np.uint8)) == math.inf
    nearly = np.full(REGISTERS, LARGEST_RANK, dtype=np.uint8)
    nearly[:64] = LARGEST_RANK - 1
    assert 1e15 < size(nearly) < math.inf


def test_sketches_are_read_together_as_each_alone() -> None:
    """A profile's four sets are estimated in one go."""
    sketches = [sketch(random_hashes(count, seed=3)) for count in (0, 7, 900, 40_000)]
    assert cardinality.estimate(np.stack(sketches)) == [size(one) for one in sketches]


def test_every_hash_has_a_place_and_a_rank() -> None:
    """The extremes too: rounding never takes a rank below one."""
    places, ranks = cardinality.places(np.array([0, 2**64 - 1, 127, 2**63], dtype=np.uint64))
    assert places.tolist() == [0, 127, 127, 0]
    assert ranks.tolist() == [LARGEST_RANK, 1, LARGEST_RANK, 1]


@given(HASHES)
def test_order_and_repetition_do_not_matter(hashes: list[int]) -> None:
    """A value counts once, whenever it comes."""
    again = sketch([*reversed(hashes), *hashes])
    assert again.tolist() == sketch(hashes).tolist()


@given(HASHES, HASHES)
def test_joining_is_sketching_the_union(left: list[int], right: list[int]) -> None:
    """What two writers saw is what one would have seen."""
    joined = cardinality.join(sketch(left), sketch(right))
    assert joined.tolist() == sketch([*left, *right]).tolist()


@given(HASHES, HASHES, HASHES)
def test_join_is_idempotent_commutative_and_associative(
    one: list[int], two: list[int], three: list[int]
) -> None:
    """Copies may arrive twice and in any order."""
    join = cardinality.join
    first, second, third = sketch(one), sketch(two), sketch(three)
    assert join(first, first).tolist() == first.tolist()
    assert join(first, second).tolist() == join(second, first).tolist()
    assert join(first, join(second, third)).tolist() == join(join(first, second), third).tolist()
