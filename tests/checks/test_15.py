"""The checks of chapter 15."""

from itertools import combinations

import numpy as np
from exercise_checks import ExerciseChecks
from scipy.stats import binom, norm

from minigen.checks import evaluation
from minigen.metrics import cepstral_distortion
from minigen.metrics import wilson_interval as library_interval

DB = 10 / np.log(10)
WINDOW = np.lib.stride_tricks.sliding_window_view


def loud(x, depth):
    return x[0] > x[0].max() - depth


def mcd(a, b, depth, first=1, factor=2, scale=DB, frames=lambda a, b, depth: loud(b, depth)):
    squares = np.sum((a - b)[first:, frames(a, b, depth)] ** 2, axis=0)
    return scale * np.mean(np.sqrt(factor * squares))


def of_speech(change):
    """change(differences of the loud frames, (D, N))."""
    return lambda a, b, depth: change((a - b)[1:, loud(b, depth)])


def chosen(frames):
    return lambda a, b, depth: mcd(a, b, depth, frames=frames)


def log_mixture(log_p, weights):
    return np.logaddexp.reduce(np.log(weights)[:, None] + log_p)


def parts(k, n, z=1.96):
    p = k / n
    return p, z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n), z**2 / (4 * n**2), 1 + z**2 / n


def wald(k, n):
    p, _, half, _, _ = parts(k, n)
    return p - half, p + half


def wilson_interval(k, n):
    p, add, _, more, scale = parts(k, n)
    half = 1.96 * np.sqrt(p * (1 - p) / n + more)
    return (p + add - half) / scale, (p + add + half) / scale


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


def splits(a, b, far, gap=lambda one, two: one.mean() - two.mean()):
    both = np.concatenate([a, b])
    gaps = []
    for places in combinations(range(len(both)), len(a)):
        mine = np.isin(np.arange(len(both)), places)
        gaps.append(gap(both[mine], both[~mine]))
    return np.mean(far(np.array(gaps), gap(a, b)))


def at_least(gaps, seen):
    return np.abs(gaps) >= abs(seen) - 1e-12


def p_value(a, b):
    return splits(a, b, at_least)


def distance_reader(moved=True, level=True, slow=3, rough=None):
    """A reader's test, which may leave out a part."""

    def is_right(distance, dim):
        rng = np.random.default_rng(1)
        a = rng.normal(0, 5, (dim + 1, 10))
        shift = rng.normal(0, 0.05, (dim + 1, 10 if moved else 1)) * np.ones(10)
        shift *= np.linspace(0.3, 2, 10) if moved else 1
        shift[0] = 2 * level
        each = DB * np.sqrt(2 * np.sum(shift[1:] ** 2, axis=0))
        times = np.repeat([1, slow], 5)
        got = distance(np.repeat(a, times, 1), np.repeat(a + shift, times[::-1], 1))
        return np.isclose(got, each.mean(), rtol=rough or 1e-5) and distance(a, a[:, ::-1]) > 10

    return is_right


def predicted(**changes):
    said = {"five words": 1 / 16, "ten of ten": 0.722, "cents": 84.5}
    return lambda: said | {name.replace("_", " "): value for name, value in changes.items()}


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
    "permutation": p_value,
    "envelopes": score,
    "fool": scrambled,
    "certainty_prediction": predicted(),
    "distance_test": distance_reader(),
}
MISTAKES = [
    ("distortion", lambda *v: mcd(*v, first=0), "c_0, the level, counts"),
    ("distortion", lambda *v: mcd(*v, factor=1), "factor 2"),
    ("distortion", lambda *v: mcd(*v, scale=1), "nepers"),
    ("distortion", of_speech(lambda d: DB * 2 * np.sum(d**2, axis=0).mean()), "root is missing"),
    ("distortion", lambda *v: mcd(*v, scale=2 * DB), "10 / ln 10 here"),
    (
        "distortion",
        of_speech(lambda d: DB * np.sqrt(2 * np.sum(d**2, axis=0).mean())),
        "mean of the roots",
    ),
    (
        "distortion",
        of_speech(lambda d: DB * np.sqrt(2 * np.sum(d**2, axis=0)).sum()),
        "summed over the frames",
    ),
    ("distortion", lambda *v: mcd(*v) / np.sqrt(12), "averaged over the coefficients"),
    (
        "distortion",
        of_speech(lambda d: DB * np.sqrt(2) * np.abs(d).sum(0).mean()),
        "absolute values",
    ),
    ("distortion", chosen(lambda a, b, depth: loud(b, 99)), "all frames count"),
    ("distortion", chosen(lambda a, b, depth: loud(a, depth)), "not of a"),
    ("distortion", chosen(lambda a, b, depth: ~loud(b, depth)), "these are the pauses"),
    ("distortion", chosen(lambda a, b, depth: b[0] == b[0].max()), "only the loudest frame"),
    (
        "distortion",
        lambda a, b, depth: mcd(a, b, depth) * loud(b, depth).mean(),
        "frames that count",
    ),
    ("mostly_noise", lambda p, w: w @ p, "averages logarithms"),
    ("mostly_noise", lambda p, w: log_mixture(p, w[::-1]), "its own weight"),
    ("mostly_noise", lambda p, w: np.logaddexp.reduce(p), "weights are missing"),
    ("mostly_noise", lambda p, w: log_mixture(p, 0 * w + 1 / len(w)), "all weigh the same"),
    ("mostly_noise", lambda p, w: np.exp(log_mixture(p, w)), "return its logarithm"),
    ("mostly_noise", lambda p, w: (np.log(w)[:, None] + p).max(0), "largest part alone"),
    ("mostly_noise", lambda p, w: np.logaddexp.reduce(w[:, None] + p), "its logarithm is added"),
    ("mostly_noise", lambda p, w: np.logaddexp.reduce(w[:, None] * p), "not the logarithm"),
    ("mostly_noise", lambda p, w: np.log(w @ np.exp(p)), "leaves the range"),
    ("interval", wald, "textbook"),
    ("interval", lambda k, n: library_interval(k, n), "asks you to do without"),
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
    ("permutation", lambda a, b: splits(a, b, lambda g, o: g >= o - 1e-12), "one side"),
    ("permutation", lambda a, b: splits(a, b, lambda g, o: abs(g) > abs(o) + 1e-12), "left out"),
    ("permutation", lambda a, b: 1.0, "choose who belongs"),
    ("permutation", lambda a, b: splits(a, b, lambda g, o: abs(g) >= abs(o)), "ties are lost"),
    ("permutation", lambda a, b: 1 - p_value(a, b), "nearer to zero"),
    (
        "permutation",
        lambda a, b: splits(a, b, at_least, lambda one, two: one.sum() - two.sum()),
        "compare their means",
    ),
    (
        "permutation",
        lambda a, b: splits(a, b, lambda g, o: abs(g) >= o - 1e-12),
        "how far it is has no sign",
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
    ("certainty_prediction", predicted(five_words=0.03125), "how many patterns of signs"),
    ("certainty_prediction", predicted(ten_of_ten=1.0), "a factor cancels"),
    ("certainty_prediction", predicted(cents=60), "factor of two, has 1200"),
    ("certainty_prediction", predicted(cents="84"), "expected a number"),
    ("distance_test", lambda distance, dim: True, "c_0, the level"),
    ("distance_test", lambda distance, dim: False, "refuses the library's distance of 24"),
    ("distance_test", distance_reader(level=False), "c_0, the level"),
    ("distance_test", distance_reader(slow=1), "nothing is warped"),
    ("distance_test", distance_reader(rough=0.35), "2 under the root"),
    ("distance_test", distance_reader(moved=False), "not the mean of the roots"),
]


class TestChapter15(ExerciseChecks):
    chapter = 15
    checks = evaluation
    solutions = SOLUTIONS
    mistakes = MISTAKES


def test_planted_distances_are_the_librarys_without_a_bug():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 9))
    want = cepstral_distortion(a[1:], b[1:, :6])
    assert np.isclose(evaluation._distance()(a, b[:, :6]), want)


def test_reversed_sound_fools_as_well():
    evaluation.fool(lambda x: x[::-1])
