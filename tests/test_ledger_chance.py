"""What is called unlikely is unlikely: tails, corrections and odds, against long sums and draws."""

from __future__ import annotations

from math import exp, inf, log

import numpy as np
import pytest

from gateway_guard.ledger.chance import Chance, fit, holm, log10_odds, power_of_ten

EXPOSURES = np.array([1000.0, 4000.0, 10_000.0])


@pytest.mark.parametrize("matches", [0, 1, 3, 12])
def test_a_tail_is_the_share_of_draws_that_reach_it(matches: int) -> None:
    """Drawn as the model says: a rate from the gamma distribution, a count at that rate."""
    random = np.random.default_rng(matches)
    chance = Chance(2.0, 1e-3, np.array([1]), np.array([1000.0]))
    rates = random.gamma(3.0, 1 / (2000.0 + 1000.0), 400_000)
    share = float(np.mean(random.poisson(rates * 3000.0) >= matches))
    assert exp(chance.log_tail(0, 3000.0, matches)) == pytest.approx(share, rel=0.05)
    assert chance.expected(0, 3000.0) == pytest.approx(3.0)


def test_tails_far_below_the_smallest_float_are_told_apart() -> None:
    """As logarithms; as a probability they are 0."""
    chance = Chance(2.0, 1e-6, np.array([0]), np.array([0.0]))
    one, other = chance.log_tail(0, 1.0, 300), chance.log_tail(0, 1.0, 600)
    assert -inf < other < one < -1000
    assert power_of_ten(other) == 0.0
    assert power_of_ten(log(0.25)) == pytest.approx(0.25)


def test_a_key_s_own_count_moves_its_rate() -> None:
    """The more so, the more it was exposed."""
    counts = np.array([9, 9, 9])
    chance = Chance(1.0, 1e-4, counts, EXPOSURES)
    expected = [chance.expected(at, 1000.0) for at in range(3)]
    assert expected == sorted(expected, reverse=True)
    assert expected[0] > 10 * 1e-4 * 1000.0 / 2


def test_the_fit_follows_how_unlike_keys_are() -> None:
    """Rates that vary make a small shape; few matches are never taken for a firm rate."""
    random = np.random.default_rng(2)
    exposures = np.full(4000, 1e4)
    even = fit(random.poisson(1e-3 * exposures), exposures)
    uneven = fit(random.poisson(random.gamma(0.5, 2e-3, 4000) * exposures), exposures)
    assert even.rate == pytest.approx(1e-3, rel=0.05)
    assert uneven.shape == pytest.approx(0.5, rel=0.2)
    assert even.shape > 10
    nothing = fit(np.zeros(3, np.int64), EXPOSURES)
    assert nothing.rate == pytest.approx(1 / 15_000)
    assert nothing.shape == 1.0


def test_holm_corrects_for_all_tests_and_never_lets_a_later_one_overtake() -> None:
    """With those that found nothing counted too."""
    found = [exp(p) for p in holm([log(0.01), log(1e-9), log(1e-8)], 10)]
    assert found == pytest.approx([0.08, 1e-8, 9e-8])
    assert [exp(p) for p in holm([log(0.3), log(0.31)], 4)] == pytest.approx([1.0, 1.0])
    assert holm([], 5) == []


def test_odds_are_against_without_matches_and_for_with_many() -> None:
    """They begin at one to the number of keys."""
    assert log10_odds(1000, 0, 0.5, 100) < -2
    assert log10_odds(1000, 50, 0.5, 100) > 50
    assert log10_odds(1000, 50, 0.5, 10_000) == pytest.approx(log10_odds(1000, 50, 0.5, 100) - 2)
