"""Checks for the exercises of chapter 15."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import binom, norm

from .. import metrics
from ..data import example
from .core import CheckFailed, agree, compare, exercise, ok, parts, require

__all__ = [
    "distortion",
    "envelopes",
    "fool",
    "interval",
    "mostly_noise",
    "permutation",
    "power",
]

DB = 10 / np.log(10)


@exercise("15.1", "mel-cepstral distortion")
def distortion(mcd: Callable) -> None:
    """mcd(a (D + 1, N), b (D + 1, N)) -> dB; row 0 is c_0, the frames are aligned."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 13, 20))
    a[0] += 5  # a louder sound: c_0 must not count
    squares = (a - b)[1:] ** 2
    want = np.mean(DB * np.sqrt(2 * squares.sum(0)))
    agree(
        mcd,
        lambda a, b: np.mean(DB * np.sqrt(2 * ((a - b)[1:] ** 2).sum(0))),
        [(a, b), *((rng.normal(size=s), rng.normal(size=s)) for s in ((2, 1), (25, 7), (5, 5)))],
        "MCD",
        1e-9,
        [
            (np.mean(DB * np.sqrt(2 * ((a - b) ** 2).sum(0))), "c_0, the level, counts as well"),
            (want / np.sqrt(2), "the factor 2 under the root is missing"),
            (want / DB, "in nepers: the factor 10 / ln 10 is missing"),
            (2 * want, "20 / ln 10 belongs to the form with ½ under the root: 10 / ln 10 here"),
            (
                DB * np.sqrt(2 * squares.sum(0).mean()),
                "the root of the mean over frames; it is the mean of the roots",
            ),
            (
                np.mean(DB * np.sqrt(2 * squares.mean(0))),
                "averaged over the coefficients: they are summed",
            ),
            (np.sum(DB * np.sqrt(2 * squares.sum(0))), "summed over the frames: take their mean"),
            (np.mean(DB * np.sqrt(2) * np.abs(a - b)[1:].sum(0)), "absolute values, not squares"),
        ],
    )
    same = mcd(a, a + 3 * np.eye(13)[:, :1])
    require(abs(same) < 1e-9, "a change of level alone is 0 dB", f"a change of level is {same:.3g}")


@exercise("15.2", "mostly noise")
def mostly_noise(log_mixture: Callable) -> None:
    """log_mixture(log_p (n,), log_q (n,), share) -> log(share q + (1 - share) p), (n,)."""
    log_p, log_q = np.array([-3.0, -1.0, -4.0, 0.5]), np.array([-2.0, -5.0, -4.0, -0.5])
    share = 0.99
    want = np.log(share * np.exp(log_q) + (1 - share) * np.exp(log_p))
    rng = np.random.default_rng(0)
    agree(
        log_mixture,
        lambda p, q, share: np.logaddexp(np.log(1 - share) + p, np.log(share) + q),
        [(log_p, log_q, share)]
        + [(*rng.normal(0, 3, (2, n)), s) for n, s in ((1, 0.5), (6, 0.01), (3, 0.3))],
        "log density",
        1e-9,
        [
            (
                share * log_q + (1 - share) * log_p,
                "this averages logarithms; a mixture averages densities",
            ),
            (
                np.log(share * np.exp(log_p) + (1 - share) * np.exp(log_q)),
                "share is that of the noise q: the two are swapped",
            ),
            (np.logaddexp(log_p, log_q), "the weights are missing: this integrates to 2"),
            (np.exp(want), "this is the density; return its logarithm"),
        ],
    )
    far = np.array([20_000.0, -30_000.0])
    got = np.asarray(log_mixture(far, np.array([-9_000.0, -31_000.0]), share))
    require(
        np.isfinite(got).all() and np.allclose(got, far + np.log(0.01)),
        "recordings of thousands of samples are no trouble, and lose log 100 nats each",
        f"for log-densities of 20000 and -30000 you give {got}: exp leaves the range of a float. "
        "Add the logarithms of the weights first and use np.logaddexp",
    )


@exercise("15.3", "Wilson's interval")
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


@exercise("15.4", "how many answers")
def power(detects: Callable) -> None:
    """detects(n, share) -> probability that the two-sided sign test at 5 % rejects."""
    cases = [(10, 0.9), (20, 0.75), (37, 0.75), (100, 0.5), (4, 0.9), (15, 0.2), (60, 0.4)]
    answers = [detects(n, share) for n, share in cases]
    if any(np.size(answer) != 1 for answer in answers):
        raise CheckFailed(
            "✗ power: one probability for each experiment; sum over the numbers of wins"
        )
    got = np.array([float(answer) for answer in answers])

    def by(rejects: Callable) -> np.ndarray:
        return np.array([binom.pmf(np.flatnonzero(rejects(n)), n, s).sum() for n, s in cases])

    want = by(lambda n: _reject(n, 0.05))
    n, share = (np.array(v) for v in zip(*cases, strict=True))
    edge = 0.5 + norm.ppf(0.975) * 0.5 / np.sqrt(n)
    compare(
        got,
        want,
        "power",
        1e-6,
        [
            (by(lambda n: _reject(n, 0.05, False)), "one tail of 5 %: two-sided has 2.5 % in each"),
            (by(lambda n: _reject(n, 0.10)), "5 % in each tail are 10 % in all"),
            (1 - want, "this is the probability to miss it"),
            (
                np.array([_reject(m, 0.05).mean() for m in n]),
                "the outcomes are counted, not weighted by their probability at this share",
            ),
            (np.array([binom.pmf(np.flatnonzero(_reject(m, 0.05)), m, 0.5).sum() for m in n]),
             "taken at a share of ½: that is the level, not the power"),
            (norm.sf((edge - share) / np.sqrt(share * (1 - share) / n)),
             "the normal approximation; the exact distribution is scipy.stats.binom"),
        ],
    )  # fmt: skip
    least = next(m for m in range(5, 200) if all(detects(q, 0.75) >= 0.8 for q in range(m, m + 20)))
    ok(f"a preference of 75 % needs {least} answers to be found in 80 % of experiments")


@exercise("15.5", "a permutation test")
def permutation(p_value: Callable) -> None:
    """p_value(differences (n,)) -> float, by all 2^n patterns of signs."""
    d = np.array([0.5, -0.2, 0.9, 0.4, 0.3, 0.1, 0.6])
    signs = np.array(np.meshgrid(*[(-1, 1)] * len(d))).reshape(len(d), -1).T  # (2^n, n)
    sums, seen = signs @ d, d.sum()
    small = 1e-12
    want = np.mean(np.abs(sums) >= seen - small)
    rng = np.random.default_rng(0)

    def right(d: np.ndarray) -> float:
        signs = np.array(np.meshgrid(*[(-1, 1)] * len(d))).reshape(len(d), -1)
        return np.mean(np.abs(d @ signs) >= abs(d.sum()) - small)

    agree(
        p_value,
        right,
        [(d,), (np.array([0.4]),), (np.array([0.3, 0.3, -0.3, 0.3, 0.1]),)]
        + [(rng.normal(m, 1, n),) for n, m in ((3, 1.0), (8, -0.6), (11, 0.3))],
        "p-value",
        1e-9,
        [
            (np.mean(sums >= seen - small), "one side only: a difference the other way counts too"),
            (np.mean(np.abs(sums) > seen + small), "the observed pattern itself is left out: ≥"),
            (
                (np.sum(np.abs(sums) >= seen - small) - 1) / (len(sums) - 1),
                "the observed pattern itself is left out",
            ),
            (1.0, "always 1: to shuffle the differences does not change their mean; flip signs"),
            (1 - want, "this is the share of patterns that are nearer to zero"),
        ],
    )
    require(
        np.isclose(p_value(-d), want),
        "the same when A and B are swapped",
        f"when A and B are swapped the p-value is {p_value(-d):.4g}, not {want:.4g}",
    )
    require(
        np.isclose(p_value(np.ones(4)), 2 / 16),
        "four equal differences: 2 of 16 patterns",
        f"four equal differences give {p_value(np.ones(4)):.4g}, but 2 of 16 patterns are that far",
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
            (*rng.normal(3, 1, (2, B, N)), m) for B, N, m in ((1, 5, 5), (4, 12, 3), (2, 30, 29))
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
