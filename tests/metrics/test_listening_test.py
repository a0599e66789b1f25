"""What listeners' answers say: intervals, numbers of listeners, permutations."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, binomtest
from statsmodels.stats.proportion import proportion_confint

from minigen.metrics import listeners_needed, permutation_test, wilson_interval


@pytest.mark.parametrize("wins, trials", [(0, 1), (0, 10), (1, 3), (8, 10), (10, 10), (517, 1000)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_interval_equals_scipy_and_statsmodels(wins, trials, confidence):
    low, high = wilson_interval(wins, trials, confidence)
    ours = binomtest(wins, trials).proportion_ci(confidence, method="wilson")
    assert np.allclose((low, high), (ours.low, ours.high), atol=1e-12)
    theirs = proportion_confint(wins, trials, 1 - confidence, method="wilson")
    assert np.allclose((low, high), theirs, atol=1e-12)


def test_wilson_interval_solves_its_inequality():
    for p in wilson_interval(7, 12):
        assert np.isclose((7 / 12 - p) ** 2, 1.959964**2 * p * (1 - p) / 12, rtol=1e-5)
    assert wilson_interval(0, 5)[0] == 0 and wilson_interval(5, 5)[1] == 1
    assert wilson_interval(0, 5)[1] > 0.4  # five answers cannot prove much


def test_wilson_interval_covers():
    """The share of experiments whose interval holds the truth, by the exact distribution, near 95 %."""
    for p, n in product((0.1, 0.5, 0.8), (20, 50)):
        inside = [low <= p <= high for low, high in (wilson_interval(k, n) for k in range(n + 1))]
        assert 0.92 < binom.pmf(np.flatnonzero(inside), n, p).sum() < 0.98


@pytest.mark.parametrize(
    "wins, trials", [(-1, 3), (4, 3), (0, 0), (1.5, 3), (np.nan, 3), (1, np.inf)]
)
def test_wilson_interval_refuses(wins, trials):
    with pytest.raises(ValueError, match="whole numbers"):
        wilson_interval(wins, trials)
    with pytest.raises(ValueError, match="confidence"):
        wilson_interval(1, 2, 95)


def power_by_enumeration(n: int, share: float, level: float) -> float:
    """The fair coin's p-value is as large for n - k wins as for k."""
    rejected = [k for k in range(n // 2 + 1) if binomtest(k, n).pvalue <= level]
    return float(binom.pmf([*rejected, *(n - k for k in rejected)], n, share).sum())


@pytest.mark.parametrize("share, power", [(0.9, 0.8), (0.75, 0.8), (0.75, 0.9)])
def test_listeners_needed_against_scipys_test(share, power):
    n = listeners_needed(share, power)
    assert power_by_enumeration(n - 1, share, 0.05) < power
    assert all(power_by_enumeration(m, share, 0.05) >= power for m in range(n, n + 12))


def test_listeners_needed_follows_the_square_root():
    """(z_{0.975} + z_{0.8})² / (4 (share - ½)²), to within a few per cent."""
    for share in (0.55, 0.6):
        assert np.isclose(listeners_needed(share), 7.849 / (4 * (share - 0.5) ** 2), rtol=0.1)
    assert listeners_needed(0.6) > 3.5 * listeners_needed(0.7)  # half as far from ½: four times
    assert power_by_enumeration(listeners_needed(0.9, level=0.2), 0.9, 0.2) >= 0.8
    assert (
        listeners_needed(0.9, level=0.2) < listeners_needed(0.9) == listeners_needed(0.9, 0.8, 0.05)
    )
    for wrong in (
        {"share": 0.5},
        {"share": 1.1},
        {"share": 0.7, "power": 1},
        {"share": 0.7, "level": 0},
    ):
        with pytest.raises(ValueError, match="½ < share"):
            listeners_needed(**wrong)
    with pytest.raises(ValueError, match="more than 100"):
        listeners_needed(0.51, max_answers=100)


def test_permutation_test_by_enumeration():
    d = np.array([0.3, -0.1, 0.7, 0.2, 0.4])
    hits = [abs(np.dot(s, d)) >= abs(d.sum()) - 1e-12 for s in product((-1, 1), repeat=5)]
    assert permutation_test(d) == np.mean(hits)
    assert permutation_test(-d) == permutation_test(d)
    assert permutation_test([0.0, 0.0]) == 1


def test_permutation_test_by_chance():
    """Random patterns agree with all of them; under the null the p-value is uniform."""
    d = np.random.default_rng(0).normal(0.4, 1, 12)
    assert np.isclose(permutation_test(d), permutation_test(d, 4000, seed=1), atol=0.03)
    assert permutation_test(np.ones(50), 999) == 1 / 1000  # never 0
    rng = np.random.default_rng(1)
    small = [permutation_test(rng.normal(size=20), 199, seed=rng) <= 0.1 for _ in range(400)]
    assert 0.06 < np.mean(small) < 0.14
    with pytest.raises(ValueError, match="differences"):
        permutation_test([])
    with pytest.raises(ValueError, match="permutations"):
        permutation_test([1.0], 0)


def test_random_patterns_follow_the_seed():
    differences = np.random.default_rng(0).normal(0.3, 1, 40)
    p = lambda *seed: permutation_test(differences, 300, *seed)
    assert p() == p(0) == p(0) and len({p(seed) for seed in range(6)}) > 1


def test_all_patterns_are_tried_while_they_are_no_more_than_asked_for():
    d = np.random.default_rng(3).normal(0.2, 1, 14)
    many = lambda n, **options: {permutation_test(d[:n], seed=seed, **options) for seed in range(3)}
    assert len(many(13)) == 1 == len(many(5, permutations=32))  # 8192 of 10,000
    assert len(many(14)) == 3 and len(many(9, permutations=511)) > 1
