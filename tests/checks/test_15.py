"""The checks of chapter 15."""

from itertools import product

import numpy as np
from exercise_checks import ExerciseChecks
from scipy.stats import binom, norm

from minigen.checks import evaluation
from minigen.metrics.listening_test import permutation_test, wilson_interval

DB = 10 / np.log(10)
WINDOW = np.lib.stride_tricks.sliding_window_view


def mcd(a, b, first=1, factor=2, scale=DB):
    return scale * np.mean(np.sqrt(factor * np.sum((a - b)[first:] ** 2, axis=0)))


def log_mixture(log_p, log_q, share):
    return np.logaddexp(np.log(1 - share) + log_p, np.log(share) + log_q)


def parts(k, n, z=1.96):
    p = k / n
    return p, z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n), z**2 / (4 * n**2), 1 + z**2 / n


def wald(k, n):
    p, _, half, _, _ = parts(k, n)
    return p - half, p + half


def undivided(k, n):
    scale = parts(k, n)[-1]
    low, high = wilson_interval(k, n)
    return low * scale, high * scale


def uncentred(k, n):
    _, add, _, _, scale = parts(k, n)
    low, high = wilson_interval(k, n)
    return low - add / scale, high - add / scale


def power(n, share, tail=0.025, sides=2):
    k = np.arange(n + 1)
    reject = binom.sf(k - 1, n, 0.5) <= tail
    if sides == 2:
        reject |= binom.cdf(k, n, 0.5) <= tail
    return binom.pmf(k[reject], n, share).sum()


def approximate(n, share):
    edge = 0.5 + norm.ppf(0.975) * 0.5 / np.sqrt(n)
    return norm.sf((edge - share) / np.sqrt(share * (1 - share) / n))


def patterns(d, far):
    sums = np.array([np.dot(s, d) for s in product((-1, 1), repeat=len(d))])
    return np.mean(far(sums, d.sum()))


def score(x, y, M, centred=True, axis=-1, cut=True):
    x, y = (WINDOW(v, M, axis=1) if cut else v for v in (x, y))
    if centred:
        x, y = (v - v.mean(axis, keepdims=True) for v in (x, y))
    norms = np.linalg.norm(x, axis=axis) * np.linalg.norm(y, axis=axis)
    return np.mean((x * y).sum(axis) / norms)


def scrambled(x):
    phases = np.exp(2j * np.pi * np.random.default_rng(0).random(len(x) // 2 + 1))
    phases[[0, -1]] = 1
    return np.fft.irfft(np.fft.rfft(x) * phases, len(x))


SOLUTIONS = {
    "distortion": mcd,
    "mostly_noise": log_mixture,
    "interval": wilson_interval,
    "power": power,
    "permutation": permutation_test,
    "envelopes": score,
    "fool": scrambled,
}
MISTAKES = [
    ("distortion", lambda a, b: mcd(a, b, first=0), "c_0, the level, counts"),
    ("distortion", lambda a, b: mcd(a, b, factor=1), "factor 2"),
    ("distortion", lambda a, b: mcd(a, b, scale=1), "nepers"),
    ("distortion", lambda a, b: mcd(a, b, scale=2 * DB), "10 / ln 10 here"),
    (
        "distortion",
        lambda a, b: DB * np.sqrt(2 * np.sum((a - b)[1:] ** 2, axis=0).mean()),
        "mean of the roots",
    ),
    ("distortion", lambda a, b: 20 * mcd(a, b), "summed over the frames"),
    ("distortion", lambda a, b: mcd(a, b) / np.sqrt(12), "averaged over the coefficients"),
    (
        "distortion",
        lambda a, b: DB * np.sqrt(2) * np.abs(a - b)[1:].sum(0).mean(),
        "absolute values",
    ),
    ("mostly_noise", lambda p, q, s: s * q + (1 - s) * p, "averages logarithms"),
    ("mostly_noise", lambda p, q, s: log_mixture(q, p, s), "swapped"),
    ("mostly_noise", lambda p, q, s: np.logaddexp(p, q), "weights are missing"),
    ("mostly_noise", lambda p, q, s: np.exp(log_mixture(p, q, s)), "return its logarithm"),
    (
        "mostly_noise",
        lambda p, q, s: np.log(s * np.exp(q) + (1 - s) * np.exp(p)),
        "leaves the range",
    ),
    ("interval", wald, "textbook"),
    ("interval", undivided, "division by"),
    ("interval", uncentred, "lacks its second term"),
    ("interval", lambda k, n: wilson_interval(k, n)[::-1], "lower end comes first"),
    (
        "interval",
        lambda k, n: tuple(100 * v for v in wilson_interval(k, n)),
        "between 0 and 1",
    ),
    ("power", lambda n, p: power(n, p, 0.05, sides=1), "one tail"),
    ("power", lambda n, p: power(n, p, 0.05), "10 % in all"),
    ("power", lambda n, p: 1 - power(n, p), "to miss it"),
    ("power", lambda n, p: power(n, 0.5), "the level, not the power"),
    ("power", approximate, "normal approximation"),
    ("permutation", lambda d: patterns(d, lambda s, o: s >= o - 1e-12), "one side"),
    ("permutation", lambda d: patterns(d, lambda s, o: abs(s) > o + 1e-12), "left out"),
    ("permutation", lambda d: 1.0, "flip signs"),
    ("permutation", lambda d: 1 - permutation_test(d), "nearer to zero"),
    (
        "permutation",
        lambda d: patterns(d, lambda s, o: abs(s) >= o - 1e-12),
        "swapped|right for the inputs before",
    ),
    ("envelopes", lambda x, y, M: score(x, y, M, centred=False), "cosine"),
    ("envelopes", lambda x, y, M: score(x, y, M, cut=False), "slow drift"),
    ("envelopes", lambda x, y, M: score(x, y, M, axis=0, cut=False), "in each band"),
    ("envelopes", lambda x, y, M: score(x[:, :-1], y[:, :-1], M), "last segment"),
    ("fool", lambda x: x, "one hears the word"),
    ("fool", lambda x: -np.roll(x, 400), "one hears the word|still be heard"),
    ("fool", lambda x: np.fft.ifft(np.abs(np.fft.fft(x)) * 1j), "rfft and irfft"),
    (
        "fool",
        lambda x: np.random.default_rng(0).normal(0, x.std(), len(x)),
        "change phases only",
    ),
    ("fool", lambda x: scrambled(x)[:-1], "as many samples"),
]


class TestChapter15(ExerciseChecks):
    chapter = 15
    checks = evaluation
    solutions = SOLUTIONS
    mistakes = MISTAKES


def test_reversed_sound_fools_as_well():
    evaluation.fool(lambda x: x[::-1])
