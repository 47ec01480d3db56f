"""Count-min: never too low, rarely much too high, and never around the corner of 65,535."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.sketches import countmin
from gateway_guard.sketches.countmin import DEPTH, WIDTH, CountArray

SATURATED = 65_535
HASHES = st.lists(st.integers(0, 2**64 - 1), max_size=60)
COUNTERS = st.lists(
    st.sampled_from([0, 1, 7, 300, 40_000, 65_534, SATURATED]), min_size=4, max_size=4
).map(lambda values: np.array(values, dtype=np.uint16))


def empty() -> CountArray:
    """Return a sketch of nothing."""
    return np.zeros(DEPTH * WIDTH, dtype=np.uint16)


def count(counters: CountArray, hashes: list[int]) -> list[int]:
    """Count hashes in place and return what each is estimated to have been counted."""
    places = countmin.cells(np.array(hashes, dtype=np.uint64))
    estimated: list[int] = countmin.estimate(countmin.count(counters, places)).tolist()
    return estimated


def estimates(counters: CountArray, hashes: list[int]) -> list[int]:
    """Return estimates without counting."""
    places = countmin.cells(np.array(hashes, dtype=np.uint64))
    estimated: list[int] = countmin.estimate(counters.take(places)).tolist()
    return estimated


def skewed_hashes(total: int, seed: int) -> list[int]:
    """Return a stream in which few hashes come often and many once, as windows of words do."""
    rng = np.random.default_rng(seed)
    alphabet = rng.integers(0, 2**64, 2000, dtype=np.uint64)
    drawn: list[int] = alphabet[np.minimum(rng.zipf(1.3, total), 2000) - 1].tolist()
    return drawn


@given(HASHES)
def test_an_estimate_is_never_below_the_true_count(hashes: list[int]) -> None:
    """Exact counters are the oracle."""
    counters, exact = empty(), Counter(hashes)
    count(counters, hashes)
    for hash_, estimated in zip(exact, estimates(counters, list(exact)), strict=True):
        assert estimated >= exact[hash_]


def test_an_estimate_exceeds_its_error_bound_in_at_most_a_quarter_of_cases() -> None:
    """The bound is two columns' worth of everything counted, the odds are one half per row."""
    for seed in range(5):
        counters, hashes = empty(), skewed_hashes(4000, seed)
        exact = Counter(hashes)
        count(counters, hashes)
        bound = 2 * len(hashes) / WIDTH
        excess = [
            estimated - exact[hash_]
            for hash_, estimated in zip(exact, estimates(counters, list(exact)), strict=True)
        ]
        assert sum(over > bound for over in excess) <= len(excess) / 4


@given(HASHES)
def test_counting_a_batch_is_counting_one_by_one(hashes: list[int]) -> None:
    """Repeated hashes are not lost, and each is told the count after the whole batch."""
    batch, single = empty(), empty()
    told = count(batch, hashes)
    for hash_ in hashes:
        count(single, [hash_])
    assert batch.tolist() == single.tolist()
    assert told == estimates(single, hashes)


def test_rows_are_told_apart_by_different_bytes() -> None:
    """Two hashes that share a column in one row need not share it in the other."""
    places = countmin.cells(np.array([0x0102, 0x0202, 0xFFFF], dtype=np.uint64))
    assert places.tolist() == [[2, 2, 255], [WIDTH + 1, WIDTH + 2, WIDTH + 255]]


def test_a_strided_array_of_hashes_is_read_as_it_stands() -> None:
    """Hashes may be a column of something else."""
    table = np.arange(20, dtype=np.uint64).reshape(10, 2)
    assert countmin.cells(table[:, 1])[0].tolist() == list(range(1, 20, 2))


def test_a_counter_saturates() -> None:
    """It stands at 65,535 instead of beginning at 0 again, in batches too."""
    counters = empty()
    counters[:] = SATURATED - 2
    assert count(counters, [5] * 7) == [SATURATED] * 7
    assert count(counters, [5]) == [SATURATED]
    assert counters.max() == SATURATED
    assert counters.min() == SATURATED - 2


@given(COUNTERS, COUNTERS, COUNTERS)
def test_combine_is_a_saturating_sum_in_any_order(
    one: CountArray, two: CountArray, three: CountArray
) -> None:
    """Associative and commutative, with nothing counted as its neutral element."""
    combine = countmin.combine
    assert combine(one, two).tolist() == combine(two, one).tolist()
    assert combine(one, combine(two, three)).tolist() == combine(combine(one, two), three).tolist()
    assert combine(one, np.zeros_like(one)).tolist() == one.tolist()
    exact = [min(SATURATED, a + b) for a, b in zip(one.tolist(), two.tolist(), strict=True)]
    assert combine(one, two).tolist() == exact


@given(HASHES, HASHES)
def test_combining_is_counting_both_streams(left: list[int], right: list[int]) -> None:
    """What two writers counted is what one would have counted."""
    mine, theirs, both = empty(), empty(), empty()
    count(mine, left)
    count(theirs, right)
    count(both, [*left, *right])
    assert countmin.combine(mine, theirs).tolist() == both.tolist()
