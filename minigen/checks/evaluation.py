"""Checks for the exercises of chapter 15."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import beta, binom, norm

from .. import metrics
from ..data import example
from .core import (
    CheckFailed,
    agree,
    compare,
    exercise,
    finds_bugs,
    ok,
    parts,
    predicts,
    require,
)

DB = 10 / np.log(10)


def _speech_mcd(a: np.ndarray, b: np.ndarray, depth: float) -> float:
    speech = b[0] > b[0].max() - depth
    return np.mean(DB * np.sqrt(2 * ((a - b)[1:, speech] ** 2).sum(0)))


@exercise("15.1", "mel-cepstral distortion of speech")
def distortion(mcd: Callable) -> None:
    """mcd(a (D + 1, N), b (D + 1, N), depth) -> dB; row 0 is c_0, b the recording, the frames are aligned."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 13, 20))
    a[0] += 5  # a louder sound: c_0 must not count
    depth = 1.9
    here = b[0] > b[0].max() - depth
    squares = (a - b)[1:, here] ** 2
    want = _speech_mcd(a, b, depth)
    sizes = ((2, 1, 1.0), (25, 7, 2.0), (5, 5, 0.5), (13, 40, 9.0))
    loudest = (a - b)[1:, [b[0].argmax()]]
    agree(
        mcd,
        _speech_mcd,
        [(a, b, depth), *((*rng.normal(size=(2, d, n)), deep) for d, n, deep in sizes)],
        "MCD",
        1e-9,
        [
            (_speech_mcd(a, b, 99), "all frames count: leave out those in which the recording is quiet"),
            (
                np.mean(DB * np.sqrt(2 * ((a - b)[1:, a[0] > a[0].max() - depth] ** 2).sum(0))),
                "the pauses are those of the recording b, not of a",
            ),
            (np.mean(DB * np.sqrt(2 * ((a - b)[1:, ~here] ** 2).sum(0))), "these are the pauses: the loud frames are to count"),
            (np.sum(DB * np.sqrt(2 * squares.sum(0))) / 20, "divide by the number of frames that count"),
            (np.mean(DB * np.sqrt(2 * (loudest**2).sum(0))), "only the loudest frame counts: depth is how far below it speech begins"),
            (np.mean(DB * np.sqrt(2 * ((a - b)[:, here] ** 2).sum(0))), "c_0, the level, counts as well"),
            *(
                (np.mean(DB * np.sqrt(2 * ((a - b)[some, here] ** 2).sum(0))), "a coefficient is left out: c_0 alone does not count")
                for some in (slice(1, -1), slice(2, None))
            ),
            (
                np.mean(
                    DB
                    * np.sqrt(2 * ((a - b - (a - b).mean(1, keepdims=True))[1:, here] ** 2).sum(0))
                ),
                "each coefficient's mean is taken away: a voice of another timbre would cost nothing",
            ),
            (want / np.sqrt(2), "the factor 2 under the root is missing"),
            (DB * np.mean(2 * squares.sum(0)), "the root is missing, frame by frame"),
            (want / DB, "in nepers: the factor 10 / ln 10 is missing"),
            (2 * want, "20 / ln 10 belongs to the form with ½ under the root: 10 / ln 10 here"),
            (DB * np.sqrt(2 * squares.sum(0).mean()), "the root of the mean over frames; it is the mean of the roots"),
            (np.mean(DB * np.sqrt(2 * squares.mean(0))), "averaged over the coefficients: they are summed"),
            (np.sum(DB * np.sqrt(2 * squares.sum(0))), "summed over the frames: take their mean"),
            (np.mean(DB * np.sqrt(2) * np.abs(a - b)[1:, here].sum(0)), "absolute values, not squares"),
        ],
    )  # fmt: skip
    same = mcd(a, a + 3 * np.eye(13)[:, :1], 5.0)
    require(abs(same) < 1e-9, "a change of level alone is 0 dB", f"a change of level is {same:.3g}")


@exercise("15.2", "a mixture of many models")
def mostly_noise(log_mixture: Callable) -> None:
    """log_mixture(log_p (K, n), weights (K,)) -> log Σ_k w_k p_k, (n,)."""
    log_p = np.array([[-3.0, -1.0, -4.0, 0.5], [-2.0, -5.0, -4.0, -0.5], [0.0, -2.5, -1.0, 1.5]])
    weights = np.array([0.05, 0.75, 0.2])
    want = np.log(weights @ np.exp(log_p))
    rng = np.random.default_rng(0)
    others = [
        (rng.normal(0, 3, (k, n)), rng.dirichlet(np.ones(k)))
        for k, n in ((1, 3), (2, 6), (5, 5), (7, 1))
    ]

    def right(log_p: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return np.logaddexp.reduce(np.log(weights)[:, None] + log_p)

    agree(
        log_mixture,
        right,
        [(log_p, weights), *others, (log_p, np.array([0.5, 0.0, 0.5]))],
        "log density",
        1e-9,
        [
            (weights @ log_p, "this averages logarithms; a mixture averages densities"),
            (
                np.log(weights[::-1] @ np.exp(log_p)),
                "each model has its own weight: order reversed",
            ),
            (np.logaddexp.reduce(log_p), "the weights are missing: this integrates to K"),
            (np.log(np.mean(np.exp(log_p), 0)), "all weigh the same: use the weights"),
            (np.exp(want), "this is the density; return its logarithm"),
            (
                (np.log(weights)[:, None] + log_p).max(0),
                "this is the largest part alone: a lower bound of the sum",
            ),
            (
                np.logaddexp.reduce(weights[:, None] + log_p),
                "a weight multiplies a density: its logarithm is added to that of the density",
            ),
            (
                np.logaddexp.reduce(weights[:, None] * log_p),
                "a weight multiplies a density, not the logarithm of it",
            ),
        ],
        steady=[1],
    )
    far = np.array([[20_000.0, -30_000.0], [-9_000.0, -31_000.0], [20_100.0, -29_000.0]])
    got = np.asarray(log_mixture(far, np.array([0.01, 0.99, 0.0])))
    require(
        np.isfinite(got).all() and np.allclose(got, far[0] + np.log(0.01)),
        "recordings of thousands of samples are no trouble, and lose log 100 nats each",
        f"for log-densities of 20000 and -30000 you give {got}: exp leaves the range of a float. "
        "Add the logarithms of the weights first and use np.logaddexp",
    )


@exercise("15.3", "Wilson's interval", forbid=("minigen.metrics.wilson_interval",))
def interval(wilson: Callable) -> None:
    """wilson(k, n) -> (low, high) at 95 %."""
    z = norm.ppf(0.975)
    cases = [(8, 10), (0, 12), (12, 12), (30, 50), (1, 1), (3, 400), (77, 100)]
    got = np.array([parts(wilson(k, n), "low", "high") for k, n in cases], dtype=float)
    want = np.array([metrics.wilson_interval(k, n) for k, n in cases])
    k, n = (np.array(v, dtype=float) for v in zip(*cases, strict=True))
    p = k / n
    wald = z * np.sqrt(p * (1 - p) / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    both = lambda middle, width: np.stack([middle - width, middle + width], -1)
    compare(
        got,
        want,
        "interval",
        2e-4,  # z = 1.96 will do
        [
            (both(p, wald), "this is the textbook's p̂ ± z √(p̂ (1 - p̂)/n), a point for 12 of 12"),
            (both(p + z**2 / (2 * n), half), "the division by 1 + z²/n is missing"),
            (both(p, half) / (1 + z**2 / n)[:, None], "the middle p̂ + z²/2n lacks its second term"),
            (
                both(p + z**2 / (2 * n), wald) / (1 + z**2 / n)[:, None],
                "z²/4n² under the root is missing",
            ),
            (
                np.stack(
                    [
                        np.nan_to_num(beta.ppf(0.025, k, n - k + 1)),
                        np.nan_to_num(beta.ppf(0.975, k + 1, n - k), nan=1),
                    ],
                    -1,
                ),
                "this is Clopper and Pearson's interval, which is wider: Wilson's solves (p̂ - p)² = z² p (1 - p)/n",
            ),
            (want[:, ::-1], "the lower end comes first"),
            (100 * want, "in per cent; give shares between 0 and 1"),
        ],
    )
    inside = [wilson(k, 20) for k in range(21)]
    covered = binom.pmf([k for k, (a, b) in enumerate(inside) if a <= 0.9 <= b], 20, 0.9).sum()
    require(
        covered > 0.9,
        f"20 answers at a true share of 90 %: the interval holds it in {covered:.0%}",
        f"20 answers at a true share of 90 %: the interval holds it in only {covered:.0%}",
    )


def _reject(n: int, level: float, two_sided: bool = True) -> np.ndarray:
    """Which numbers of wins reject "a fair coin"."""
    k = np.arange(n + 1)
    tail = level / 2 if two_sided else level
    upper = binom.sf(k - 1, n, 0.5) <= tail
    return upper | (binom.cdf(k, n, 0.5) <= tail) if two_sided else upper


@exercise("15.4", "how many answers?")
def power(detects: Callable) -> None:
    """detects(n, share) -> probability that the two-sided sign test at 5 % rejects."""
    cases = [(10, 0.9), (20, 0.75), (37, 0.75), (100, 0.5), (4, 0.9), (15, 0.2), (400, 0.45)]
    answers = [detects(n, share) for n, share in cases]
    if any(np.asarray(answer).size != 1 for answer in answers):
        raise CheckFailed(
            "✗ power: one probability for each experiment; sum over the numbers of wins"
        )
    got = np.array([float(answer) for answer in answers])

    def by(rejects: Callable) -> np.ndarray:
        return np.array([binom.pmf(np.flatnonzero(rejects(n)), n, s).sum() for n, s in cases])

    want = by(lambda n: _reject(n, 0.05))
    n, share = (np.array(v) for v in zip(*cases, strict=True))
    edge = 0.5 + norm.ppf(0.975) * 0.5 / np.sqrt(n)
    spread, k = np.sqrt(share * (1 - share) / n), np.arange
    compare(
        got,
        want,
        "power",
        1e-6,
        [
            (by(lambda n: _reject(n, 0.05, False)), "one tail of 5 %: two-sided has 2.5 % in each"),
            (by(lambda n: _reject(n, 0.10)), "5 % in each tail are 10 % in all"),
            (1 - want, "this is the probability to miss it"),
            (by(lambda n: _reject(n, 0.025, False)), "many wins alone: few reject, too"),
            (by(lambda n: _reject(n, 0.025, False)[::-1]), "few wins alone: many reject, too"),
            (
                by(lambda n: _reject(n, 0.05, False) | _reject(n, 0.025, False)[::-1]),
                "the upper tail has 5 %: each has 2.5 %",
            ),
            (
                by(lambda n: _reject(n, 0.025, False) | _reject(n, 0.05, False)[::-1]),
                "the lower tail has 5 %: each has 2.5 %",
            ),
            (
                by(lambda n: _reject(n, 0.025, False) | _reject(n, 0.0125, False)[::-1]),
                "the two tails are not alike: each has 2.5 %",
            ),
            (
                np.array([_reject(m, 0.05).mean() for m in n]),
                "the outcomes are counted, not weighted by their probability at this share",
            ),
            (np.array([binom.pmf(np.flatnonzero(_reject(m, 0.05)), m, 0.5).sum() for m in n]),
             "taken at a share of ½: that is the level, not the power"),
            *((approximate, "the normal approximation; the exact distribution is scipy.stats.binom")
              for approximate in (norm.sf((edge - share) / spread),
                                  norm.sf((edge - share) / spread) + norm.cdf((1 - edge - share) / spread))),
            (by(lambda n: (binom.sf(k(n + 1), n, 0.5) <= 0.025) | (binom.cdf(k(n + 1), n, 0.5) <= 0.025)),
             "k wins belong to their own tail: P(K >= k) is binom.sf(k - 1, n, 0.5)"),
            (by(lambda n: binom.pmf(k(n + 1), n, 0.5) <= 0.025),
             "k wins are rare enough by themselves, but the whole tail from k on must be"),
        ],
    )  # fmt: skip
    least = next(m for m in range(5, 200) if all(detects(q, 0.75) >= 0.8 for q in range(m, m + 20)))
    ok(f"a preference of 75 % needs {least} answers to be found in 80 % of experiments")


def _splits(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float]:
    """mean(A) - mean(B) for every way to choose which are called A, and the observed one."""
    both = np.concatenate([a, b])
    chosen = np.array(list(combinations(range(len(both)), len(a))))
    sums = both[chosen].sum(1)
    return sums / len(a) - (both.sum() - sums) / len(b), a.mean() - b.mean()


@exercise("15.5", "a permutation test of two groups")
def permutation(p_value: Callable) -> None:
    """p_value(a (n,), b (m,)) -> float, by all ways to choose n of the n + m as those of A."""
    a, b = np.array([0.5, 1.2, 0.9, 1.4]), np.array([0.3, 0.1, 0.6, 0.45, 0.95])
    gaps, seen = _splits(a, b)
    small = 1e-12

    def right(a: np.ndarray, b: np.ndarray) -> float:
        gaps, seen = _splits(a, b)
        return np.mean(np.abs(gaps) >= abs(seen) - small)

    want = right(a, b)
    both = np.concatenate([a, b])
    sums = np.array([both[list(c)].sum() for c in combinations(range(9), 4)])
    rng = np.random.default_rng(0)
    others = [
        (rng.normal(m, 1, k), rng.normal(0, 1, n))
        for k, n, m in ((1, 4, 1.0), (5, 5, -0.6), (7, 2, 0.3))
    ]
    agree(
        p_value,
        right,
        [
            (a, b),
            (np.array([0.4]), np.array([0.4])),
            *others,
            (1e-4 * rng.normal(size=4), 1e-4 * rng.normal(size=5)),
        ],
        "p-value",
        1e-9,
        [
            (np.mean(gaps >= seen - small), "one side only: a difference the other way counts too"),
            (
                np.mean(np.abs(gaps) > abs(seen) + small),
                "the observed choice itself is left out: ≥",
            ),
            (
                (np.sum(np.abs(gaps) >= abs(seen) - small) - 1) / (len(gaps) - 1),
                "the observed choice itself is left out",
            ),
            (
                np.mean(np.abs(2 * sums - both.sum()) >= abs(a.sum() - b.sum()) - small),
                "sums of unequal groups are compared: compare their means",
            ),
            (1.0, "always 1: to shuffle within a group changes no mean; choose who belongs to A"),
            (1 - want, "this is the share of choices that are nearer to zero"),
            (
                2 * np.mean(gaps >= seen - small),
                "twice one side: groups of unequal sizes have sides that are not alike. Count both",
            ),
            (
                (np.sum(np.abs(gaps) >= abs(seen) - small) + 1) / (len(gaps) + 1),
                "all choices are counted, the observed one among them: nothing is to be added",
            ),
            (np.sum(np.abs(gaps) >= abs(seen) - small), "a count: their share is asked for"),
        ],
        steady=[0, 1],
    )
    lost = (
        "ties are lost: choices that are just as far differ from the observed one in the last digit, by the "
        "order in which numbers are added. Leave a little room, or compare whole numbers"
    )
    taken = "equal numbers are not one and the same: choose places of the joint list, not values"
    all_of_them = "all choices count where A's mean is the lower one: how far it is has no sign"
    for one, two in (
        (np.array([0.3, 0.3]), np.array([0.3, 0.1, 0.3])),
        (np.array([0.7, 0.1, 0.4]), np.array([0.2, 0.9, 0.4, 0.6])),
        (np.array([1.1, 2.2, 3.3]), np.array([3.3, 1.1, 0.1, 2.2])),
    ):
        due = right(one, two)
        hints = [
            (lambda got, due=due: got < due, lost),
            (1.0, all_of_them),
            (lambda got: True, taken),
        ]
        compare(p_value(one, two), due, "p-value with ties", 1e-6, hints, quiet=True)
    ok("choices that are just as far count, too")
    require(
        np.isclose(p_value(b, a), want),
        "the same when A and B are swapped",
        f"when A and B are swapped the p-value is {p_value(b, a):.4g}, not {want:.4g}",
    )
    apart = p_value(np.array([5.0, 6.0, 7.0]), np.array([0.0, 1.0, 2.0]))
    require(
        np.isclose(apart, 2 / 20),
        "three against three, far apart: 2 of 20 choices",
        f"three against three, far apart: 2 of 20 choices are as far, and you give {apart:.4g}",
    )


@exercise("15.6", "correlated envelopes")
def envelopes(score: Callable) -> None:
    """score(x (B, N), y (B, N), M) -> mean correlation over bands and segments of M frames."""
    rng = np.random.default_rng(0)
    M, y = 10, 2 + rng.random((3, 40)) * np.array([[1.0], [3.0], [0.2]])
    x = y + 0.5 * rng.normal(size=y.shape) + np.linspace(0, 3, 40)

    def mean(a: np.ndarray, b: np.ndarray, axis: int = -1, centred: bool = True) -> float:
        if centred:
            a, b = (v - v.mean(axis, keepdims=True) for v in (a, b))
        norms = np.linalg.norm(a, axis=axis) * np.linalg.norm(b, axis=axis)
        return float(np.mean((a * b).sum(axis) / norms))

    cut = lambda v, step=1: np.lib.stride_tricks.sliding_window_view(v, M, axis=1)[:, ::step]
    agree(
        score,
        lambda x, y, M: mean(
            *(np.lib.stride_tricks.sliding_window_view(v, M, axis=1) for v in (x, y))
        ),
        [(x, y, M)] + [
            (*rng.normal(3, 1, (2, B, N)), m) for B, N, m in ((1, 5, 5), (4, 12, 3), (2, 30, 29), (2, 90, 60))
        ],
        "score",
        1e-9,
        [
            (mean(cut(x), cut(y), centred=False), "the means are not removed: that is a cosine"),
            (mean(x, y), "over the whole sound at once: a slow drift then hides everything"),
            (mean(x.T, y.T), "over bands, frame by frame: correlate over time in each band"),
            (mean(cut(x, M), cut(y, M)), "segments that do not overlap: one starts at each frame"),
            (
                mean(cut(x)[:, :-1], cut(y)[:, :-1]),
                "the last segment is missing: N - M + 1 of them fit",
            ),
            (
                np.mean([(a * b).mean() for a, b in zip(
                    (cut(x) - cut(x).mean(-1, keepdims=True)).reshape(-1, M),
                    (cut(y) - cut(y).mean(-1, keepdims=True)).reshape(-1, M), strict=True)]),
                "this is a covariance: divide by both norms",
            ),
        ],
    )  # fmt: skip
    quiet = score(0.1 * y, y, M)
    require(
        np.isclose(quiet, 1),
        "a tenth of the level scores 1: it is deaf to loudness",
        f"a tenth of the level scores {quiet:.3g}, not 1: each correlation forgets the level",
    )


@exercise("15.7", "fool the long-term spectrum")
def fool(make: Callable) -> None:
    """make(x (T,)) -> y (T,) with x's |FFT| and no word in it."""
    clip = example()
    x = clip.audio[: len(clip.audio) // 2 * 2].astype(float)
    y = np.asarray(make(x.copy()))
    if np.iscomplexobj(y):
        raise CheckFailed(
            "✗ the sound: complex numbers. A real sound has X[-f] = X[f]*: use np.fft.rfft and irfft"
        )
    require(
        y.shape == x.shape,
        "as long as the word",
        f"shape {y.shape}, not {x.shape}: as many samples as the word",
    )
    spectra = [np.abs(np.fft.rfft(v)) for v in (x, y)]
    off = np.abs(spectra[0] - spectra[1]).max() / spectra[0].max()
    require(
        off < 1e-6,
        "the same long-term spectrum: whoever looks only at |FFT| is fooled",
        f"its magnitudes |FFT| differ from the word's by up to {off:.1%} of the largest: change phases "
        "only",
    )
    noise = 0.5 + np.random.default_rng(0).normal(size=64)
    noise += np.where(np.arange(64) % 2, -0.5, 0.5)
    edges = np.abs(np.fft.rfft(noise)) - np.abs(np.fft.rfft(np.asarray(make(noise))))
    require(
        np.abs(edges).max() < 1e-6,
        "of a sound with an offset, too",
        f"of 64 numbers with an offset bin {int(np.abs(edges).argmax())} of |FFT| changes: the first and "
        "the last bin of rfft must stay real",
    )
    lsd = metrics.log_spectral_distance(y, x, clip.rate)
    if lsd < 1:
        raise CheckFailed(
            "✗ the frames: they have the spectra of the word's frames, so one hears the word. A sign or a "
            "shift changes nothing that is heard: change phases, or the order of samples"
        )
    require(
        lsd > 8 and _correlation(x, y) < 0.9,
        f"frame by frame it is {lsd:.1f} dB away",
        f"frame by frame it is only {lsd:.1f} dB away: the word can still be heard",
    )


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    """The largest over all circular shifts."""
    product = np.fft.irfft(np.fft.rfft(x) * np.conj(np.fft.rfft(y)), len(x))
    return float(np.abs(product).max() / (np.linalg.norm(x) * np.linalg.norm(y)))


def _hum(hz: float) -> np.ndarray:
    """Half a second of ten harmonics, 8,000 samples a second."""
    phase = 2 * np.pi * hz * np.arange(4000) / 8000
    return 0.1 * sum(np.cos(k * phase) / k for k in range(1, 11))


@exercise("15.8", "predict, then run: how sure, how far")
def certainty_prediction(prediction: Callable) -> None:
    """prediction() -> {"five words", "ten of ten", "cents"}: before the run."""
    cents, _, _ = metrics.pitch_errors(_hum(126), _hum(120), 8000)
    predicts(
        prediction,
        {
            "five words": (
                metrics.permutation_test([0.3, 0.5, 0.2, 0.9, 0.4]),
                0.02,
                (
                    "how many patterns of signs are there, and how many of them are as far from zero as all "
                    "plus? One cannot do better with five words, however large the differences are"
                ),
            ),
            "ten of ten": (
                metrics.wilson_interval(10, 10)[0],
                0.015,
                (
                    "which true share is so low that ten of ten lie 1.96 of its own standard deviations above "
                    "it? Put an observed share of 1 into the inequality: a factor cancels"
                ),
            ),
            "cents": (
                cents,
                0.04,
                (
                    "an octave, a factor of two, has 1200 cents, and equal factors have equally many. How many "
                    "does a factor of 1.05 have?"
                ),
            ),
        },
    )


def _along_path(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances of frames (D, N), (D, M) along the cheapest path, by dynamic programming written out."""
    cost = cdist(a.T, b.T)
    total = np.full((cost.shape[0] + 1, cost.shape[1] + 1), np.inf)
    total[0, 0] = 0
    for i, row in enumerate(cost):
        for j, here in enumerate(row):
            total[i + 1, j + 1] = here + min(total[i, j], total[i, j + 1], total[i + 1, j])
    i, j, steps = len(cost), len(cost[0]), []
    while (i, j) != (0, 0):
        steps.append(cost[i - 1, j - 1])
        i, j = min(((i - 1, j - 1), (i - 1, j), (i, j - 1)), key=lambda at: total[at])
    return np.array(steps)


def _distance(bug: str = "") -> Callable:
    """distance(a (D + 1, N), b (D + 1, M)) -> MCD in dB, or with a planted bug."""

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        if bug != "level":
            a, b = a[1:], b[1:]
        if bug in ("first", "last"):
            a, b = (v[1:] if bug == "first" else v[:-1] for v in (a, b))
        if bug == "cut":
            n = min(a.shape[1], b.shape[1])
            steps = np.linalg.norm(a[:, :n] - b[:, :n], axis=0)
        elif bug == "greedy":
            steps = cdist(a.T, b.T).min(1)
        else:
            steps = _along_path(a, b)
        scale = DB * (1 if bug == "root" else np.sqrt(2))
        lengths = {"longer": max(a.shape[1], b.shape[1]), "shorter": min(a.shape[1], b.shape[1])}
        mean = np.sqrt(np.mean(steps**2)) if bug == "squares" else np.mean(steps)
        return float(scale * mean * len(steps) / lengths.get(bug, len(steps)))

    return distance


BUGS = {
    "level": "c_0, the level, counts as well",
    "cut": "nothing is warped: the longer of the two is cut",
    "root": "the 2 under the root is missing",
    "squares": "the root of the mean of squares along the path, not the mean of the roots",
    "greedy": "each frame takes its nearest one, in whatever order: a word said backwards is as near",
    "longer": "the sum along the path is divided by the frames of the longer one, not by the steps of the path",
    "shorter": "the sum along the path is divided by the frames of the shorter one, not by the steps of the path",
    "first": "the first coefficient is left out with the level",
    "last": "the last coefficient is left out",
}


@exercise("15.9", "the test that finds the bug")
def distance_test(is_right: Callable) -> None:
    """is_right(distance, dim): distance(a (dim + 1, N), b (dim + 1, M)) -> dB."""
    library = lambda a, b: metrics.cepstral_distortion(a[1:], b[1:])
    finds_bugs(
        is_right,
        [
            ((library, 24), "the library's distance of 24 coefficients"),
            ((_distance(), 12), "another program, 12 coefficients"),
            ((library, 4), "the library's, with 4 coefficients"),
            ((lambda a, b: library(b, a), 12), "the library's with its arguments exchanged"),
        ],
        [((_distance(bug), dim), what) for dim in (12, 24) for bug, what in BUGS.items()],
        "the mean along the cheapest path of 10 / ln 10 · √(2 Σ (c - c')²), without c_0",
    )
