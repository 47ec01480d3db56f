"""Texts that are too many or too long are read in part, where nobody can foresee it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.features.sampling import MOST_TEXTS, chosen, places, shares

SEED = 0x1234_5678_9ABC_DEF0


def test_texts_within_the_budget_are_read_whole() -> None:
    """Nothing is cut as long as everything fits."""
    assert shares([10, 20, 70], 100) == [10, 20, 70]


def test_the_newest_text_may_take_half_and_what_the_others_leave() -> None:
    """A long text does not hide a short one, old or new."""
    assert shares([1000, 1000], 100) == [50, 50]
    assert shares([1000, 10], 100) == [90, 10]
    assert shares([10, 1000, 20, 1000], 100) == [10, 35, 20, 35]


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=150), st.integers(1, 1 << 16))
def test_shares_keep_to_the_budget(sizes: list[int], budget: int) -> None:
    """No text gets more than its size, all of them no more than there is."""
    given_ = shares(sizes, budget)

    assert len(given_) == len(sizes)
    assert all(0 <= share <= size for share, size in zip(given_, sizes, strict=True))
    assert sum(given_) <= budget


@given(st.integers(1, 10**7), st.integers(0, 1 << 16), st.integers(0, (1 << 64) - 1))
def test_places_lie_in_order_and_inside_the_text(size: int, share: int, seed: int) -> None:
    """Ranges do not overlap, do not leave the text and add up to the share at most."""
    ranges = places(size, share, seed)

    assert all(0 <= begin <= end <= size for begin, end in ranges)
    assert all(first[1] < second[0] for first, second in pairwise(ranges))
    assert sum(end - begin for begin, end in ranges) <= share


def test_head_and_tail_are_always_read() -> None:
    """A quarter of the share goes to each end."""
    ranges = places(10**6, 4096, SEED)

    assert ranges[0][0] == 0
    assert ranges[0][1] >= 1024
    assert ranges[-1][0] <= 10**6 - 1024
    assert ranges[-1][1] == 10**6


def test_other_seeds_read_other_places() -> None:
    """What lies between the ends is read at places that depend on the seed alone."""
    assert places(10**6, 65536, SEED) == places(10**6, 65536, SEED)
    between = [set(places(10**6, 65536, seed)[1:-1]) for seed in (SEED, SEED + 999)]
    assert not set.intersection(*between)


def test_every_byte_is_equally_likely_to_be_read() -> None:
    """No place of a text is safer than another, not even where head and tail end."""
    size, share, seeds = 20_000, 4096, 1500
    reads = np.zeros(size)
    for seed in range(seeds):
        for begin, end in places(size, share, seed * SEED):
            reads[begin:end] += 1

    expected = seeds * 2048 / (size - 2048)
    assert np.all(reads[:1024] == seeds)
    assert np.all(reads[-1024:] == seeds)
    assert np.all(np.abs(reads[1024:-1024] - expected) < 6 * expected**0.5)


def test_of_many_texts_the_newest_and_some_others_are_read() -> None:
    """The number of texts read is bounded; nobody can foresee which old ones are read."""
    one, other = chosen(10_000, SEED), chosen(10_000, SEED + 1)

    assert len(one) == len(set(one)) == MOST_TEXTS
    assert one[: MOST_TEXTS // 2] == list(range(MOST_TEXTS // 2))
    assert one != other
    assert max(one) < 10_000
    assert chosen(3, SEED) == [0, 1, 2]
