"""Chapter 15: listening tests: an interval for a share of answers, how many to ask, luck or not."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom, norm

from ..gaussian import Seed


def wilson_interval(wins: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Which shares p are compatible with `wins` out of `trials`: Wilson's score interval.

    All p whose distance from the observed share p̂ is at most z of *their own* standard errors:

        (p̂ - p)² <= z² p (1 - p) / n

    a quadratic inequality in p, so the interval is

        (p̂ + z²/2n ± z √(p̂ (1 - p̂)/n + z²/4n²)) / (1 + z²/n)

    Unlike p̂ ± z √(p̂ (1 - p̂)/n) it stays in [0, 1] and does not shrink to a point at 0 or n wins.

    References: Wilson, Probable Inference, the Law of Succession, and Statistical Inference, 1927.

    >>> [round(p, 3) for p in wilson_interval(8, 10)]
    [0.49, 0.943]
    """
    whole = float(wins).is_integer() and float(trials).is_integer()
    if not (whole and 0 <= wins <= trials and trials >= 1):
        raise ValueError(f"need whole numbers 0 <= wins <= trials >= 1, not {wins}, {trials}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence lies between 0 and 1, not {confidence}")
    z = norm.ppf(0.5 + confidence / 2)
    share = wins / trials
    middle = share + z**2 / (2 * trials)
    half = z * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    low, high = (float((middle + sign * half) / (1 + z**2 / trials)) for sign in (-1, 1))
    return (0.0 if wins == 0 else low), (1.0 if wins == trials else high)


def listeners_needed(
    share: float, power: float = 0.8, level: float = 0.05, max_answers: int = 100_000
) -> int:
    """The least number of answers n that finds a preference of `share` against ½ with this `power`.

    The test is the exact two-sided sign test at `level`: it rejects "no preference" when the number of
    wins is so far from n/2 that a fair coin gets there with probability at most `level`. Power is the
    probability of that when each answer is a win with probability `share`. (It saws a little as n
    grows: n is the first from which on it stays above `power`.)

    Args: share: between ½ and 1. power, level: between 0 and 1. max_answers: where to give up.

    >>> listeners_needed(0.75), listeners_needed(0.6)
    (35, 210)
    """
    if not 0.5 < share <= 1 or not 0 < level < power < 1:
        raise ValueError(
            f"need ½ < share <= 1, 0 < level < power < 1: {share=}, {power=}, {level=}"
        )
    first, n = None, 0
    while n < max_answers:
        n += 1
        lose = binom.ppf(level / 2, n, 0.5)  # smallest k with P(K <= k) >= level/2
        if binom.cdf(lose, n, 0.5) > level / 2:
            lose -= 1  # now the largest k with P(K <= k) <= level/2: reject at K <= k, K >= n - k
        found = binom.cdf(lose, n, share) + binom.sf(n - lose - 1, n, share)
        if found < power:
            first = None
        elif first is None:
            first = n
        if first is not None and n > 1.3 * first + 20:  # the teeth are far shorter than that
            return first
    raise ValueError(f"more than {max_answers} answers are needed for a share of {share}")


def permutation_test(differences: ArrayLike, permutations: int = 10_000, seed: Seed = 0) -> float:
    """How probable is a mean difference this large, in size, if A and B were exchangeable in each pair?

    If it made no difference which of a pair is called A, the sign of each difference would be a coin.
    So toss the coins: the p-value is the share of all sign patterns whose |mean| is at least the
    observed one. All 2^n patterns when there are no more than `permutations`, else random ones, with the
    observed pattern counted among them, so that the result is never 0.

    Args: differences: (n,), one a pair, e.g. MCD of the teacher minus that of the student on one word.

    References: Fisher, The Design of Experiments, 1935, section 21.

    >>> permutation_test([1.0, 1.0, 1.0])  # +++ and --- of 8
    0.25
    """
    d = np.asarray(differences, dtype=float)
    if d.ndim != 1 or len(d) == 0 or not np.isfinite(d).all():
        raise ValueError(f"differences are finite numbers, one a pair, (n,), not {d.shape}")
    if permutations < 1:
        raise ValueError(f"permutations is {permutations}; it must be at least 1")
    observed = abs(d.mean()) * (1 - 1e-12)  # ties by rounding count as ties
    if len(d) < 60 and 2 ** len(d) <= permutations:
        patterns = (np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1
        means = (1 - 2 * patterns) @ d / len(d)
        return float(np.mean(np.abs(means) >= observed))
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(permutations, len(d)))
    hits = np.sum(np.abs(signs @ d / len(d)) >= observed)
    return float((hits + 1) / (permutations + 1))
