"""Popularity: never too low, hardly ever too high, and recent."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.sketches.popularity import Popularity

WIDTH = 65_536
DEPTH = 4


def windows(
    count: int, seed: int, largest: int = 2**64
) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Return windows of which few come often and many once, with hashes below ``largest``."""
    rng = np.random.default_rng(seed)
    alphabet = rng.integers(0, largest, count // 2, dtype=np.uint64)
    places = np.minimum(rng.zipf(1.5, count), len(alphabet)) - 1
    return alphabet.take(places)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=60))
def test_an_estimate_is_never_below_the_true_count(hashes: list[int]) -> None:
    """Exact counters are the oracle; no windows at all are no trouble."""
    popularity, exact = Popularity(), Counter(hashes)
    popularity.update(np.array(hashes, dtype=np.uint64))
    estimated = popularity.estimate(np.array(list(exact), dtype=np.uint64))
    assert all(a >= b for a, b in zip(estimated.tolist(), exact.values(), strict=True))


@pytest.mark.parametrize("largest", [2**64, 2**56])
def test_an_estimate_keeps_the_error_bound(largest: int) -> None:
    """Also for the smallest hashes of long texts, whose upper bits are all alike."""
    popularity, hashes = Popularity(), windows(200_000, seed=1, largest=largest)
    popularity.update(hashes)
    values, exact = np.unique(hashes, return_counts=True)
    excess = popularity.estimate(values) - exact
    assert (excess > math.e * len(hashes) / WIDTH).mean() <= math.exp(-DEPTH)


def test_counts_are_halved_when_there_are_four_windows_a_column() -> None:
    """What is no longer used becomes unpopular; what is used stays so."""
    popularity = Popularity()
    once, often = np.array([11], dtype=np.uint64), np.array([22], dtype=np.uint64)
    popularity.update(np.repeat(once, 1000))
    popularity.update(np.repeat(often, 4 * WIDTH - 1001))
    assert popularity.estimate(once).tolist() == [1000]
    popularity.update(often)
    assert popularity.estimate(once).tolist() == [500]
    for _ in range(3):
        popularity.update(np.repeat(often, 2 * WIDTH))
    assert popularity.estimate(once).tolist() == [62]
    assert popularity.estimate(often)[0] > WIDTH


def test_no_counter_overflows_however_often_one_window_comes() -> None:
    """Halving bounds a counter far below what it can hold."""
    popularity, hash_ = Popularity(), np.array([5], dtype=np.uint64)
    for _ in range(20):
        popularity.update(np.repeat(hash_, 100_000))
        assert popularity.estimate(hash_)[0] <= 4 * WIDTH


def test_the_rarest_window_is_one_that_recurs() -> None:
    """Windows that came less than four times are chance, and no windows have no rarest one."""
    popularity, hashes = Popularity(), np.array([2**40, 2**50, 7], dtype=np.uint64)
    for _ in range(3):
        popularity.update(hashes)
        assert popularity.rarest(hashes) is None
    popularity.update(hashes[1:2])
    assert popularity.rarest(hashes) == hashes[1]
    assert popularity.rarest(hashes[:0]) is None


def test_every_request_of_a_template_has_the_same_rarest_window() -> None:
    """Whatever stands in its slot, and in whatever order its windows come."""
    popularity, rng = Popularity(), np.random.default_rng(3)
    template = rng.integers(0, 2**64, 20, dtype=np.uint64)
    requests = [
        rng.permutation(np.append(template, rng.integers(0, 2**64, 12, dtype=np.uint64)))
        for _ in range(200)
    ]
    for request in requests:
        popularity.update(request)
    [chosen] = {popularity.rarest(request) for request in requests}
    assert chosen in template.tolist()


def test_a_window_of_a_template_is_chosen_before_boilerplate() -> None:
    """In most cases: what everybody sends has a longer count, so a higher rank on average."""
    popularity, rng = Popularity(), np.random.default_rng(4)
    pairs = [
        (rng.integers(0, 2**64, 8, np.uint64), rng.integers(0, 2**64, 8, np.uint64))
        for _ in range(100)
    ]
    for boilerplate, template in pairs:
        popularity.update(np.tile(boilerplate, 1000))
        popularity.update(np.tile(template, 8))
    chosen = [popularity.rarest(np.concatenate(pair)) for pair in pairs]
    own = sum(hash_ in pair[1].tolist() for hash_, pair in zip(chosen, pairs, strict=True))
    assert own > 60


def test_only_so_many_windows_are_ranked() -> None:
    """The latest ones: what nobody sends any more is no anchor after a while."""
    popularity, rng = Popularity(), np.random.default_rng(5)
    old = rng.integers(0, 2**64, 4, dtype=np.uint64)
    popularity.update(np.tile(old, 4))
    assert popularity.rarest(old) is not None
    for _ in range(3):
        popularity.update(np.tile(rng.integers(0, 2**64, 8200, dtype=np.uint64), 4))
    assert popularity.estimate(old).min() >= 4
    assert popularity.rarest(old) is None
