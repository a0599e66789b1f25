"""Measuring speech: how far two sounds are apart, and whether a recogniser understands them.

A distance that falls is a reason to listen, not a proof that it sounds better.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numba import njit
from numpy.typing import ArrayLike
from scipy.fft import dct
from scipy.spatial.distance import cdist

from .audio import _waveform, mel_spectrogram, mfcc
from .data import Utterance

__all__ = [
    "DigitRecogniser",
    "cepstral_distortion",
    "dtw",
    "log_mel_distance",
    "mel_cepstra",
    "mel_cepstral_distortion",
    "std_ratio",
    "warping_path",
]

DB = 20 / np.log(10)  # decibels in a neper


def std_ratio(generated: ArrayLike, recorded: ArrayLike) -> float:
    """Standard deviation of the generated sound over the recorded one's; 0.71 is half the power."""
    below = float(np.std(recorded))
    if below == 0:
        raise ValueError("the recording is constant: there is nothing to compare with")
    return float(np.std(generated)) / below


def log_mel_distance(generated: ArrayLike, recorded: ArrayLike, rate: int) -> float:
    """Root-mean-square difference of two log-mel spectrograms of the same length, in dB.

    40 bands, frames of 32 ms every 8 ms. It hears levels of bands, 60 dB deep from the recording's
    peak; it does not hear phase, and a shift by a frame costs it much more than it costs an ear.
    """
    generated, recorded = np.asarray(generated, dtype=float), np.asarray(recorded, dtype=float)
    if generated.shape != recorded.shape:
        raise ValueError(f"shapes {generated.shape} and {recorded.shape} differ: cut them alike")
    n_fft = 2 * (rate * 32 // 2000)
    mel = [
        DB * mel_spectrogram(x, rate, n_fft, n_fft // 4, n_mels=40) for x in (generated, recorded)
    ]
    floor = mel[1].max() - 60
    a, b = (np.maximum(value, floor) for value in mel)
    return float(np.sqrt(np.mean((a - b) ** 2)))


@njit(cache=True)
def _cheapest_path(cost: np.ndarray) -> float:  # pragma: no cover (compiled)
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(n):
        for j in range(m):
            best = min(total[i, j], total[i, j + 1], total[i + 1, j])
            total[i + 1, j + 1] = cost[i, j] + best
    return total[n, m] / (n + m)


def dtw(a: ArrayLike, b: ArrayLike) -> float:
    """Dynamic time warping: the mean distance of two sequences (F, N), (F, M) along the best path.

        D[i, j] = |a_i - b_j| + min(D[i-1, j-1], D[i-1, j], D[i, j-1]),   result D[N, M] / (N + M)

    References: Sakoe and Chiba, Dynamic Programming Algorithm Optimization for Spoken Word
    Recognition, 1978.

    >>> a = np.array([[0.0, 1.0, 2.0]])
    >>> dtw(a, np.repeat(a, 3, axis=1)), dtw(a, a + 1) > 0  # tempo does not count, pitch does
    (0.0, True)
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or 0 in a.shape + b.shape:
        raise ValueError(f"sequences have shapes (F, N) and (F, M), not {a.shape} and {b.shape}")
    return float(_cheapest_path(cdist(a.T, b.T)))


@njit(cache=True)
def _trace(cost: np.ndarray) -> np.ndarray:  # pragma: no cover (compiled)
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(n):
        for j in range(m):
            best = min(total[i, j], total[i, j + 1], total[i + 1, j])
            total[i + 1, j + 1] = cost[i, j] + best
    path = np.empty((n + m - 1, 2), dtype=np.int64)
    i, j, k = n - 1, m - 1, n + m - 1
    while True:
        k -= 1
        path[k] = i, j
        if i == 0 and j == 0:
            return path[k:]
        both, up, left = total[i, j], total[i, j + 1], total[i + 1, j]
        if both <= up and both <= left:
            i, j = i - 1, j - 1
        elif up <= left:
            i -= 1
        else:
            j -= 1


def warping_path(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Which frame of b belongs to which of a: the cheapest path through all |a_i - b_j|.

    Both sequences are walked from first to last, one frame of either or of both at a time.

    Args:
        a: (F, N). b: (F, M).

    Returns:
        indices into a and into b, both (K,), max(N, M) <= K < N + M.

    >>> warping_path([[0.0, 1.0, 2.0]], [[0.0, 0.0, 1.0, 2.0]])
    (array([0, 0, 1, 2]), array([0, 1, 2, 3]))
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or 0 in a.shape + b.shape:
        raise ValueError(f"sequences have shapes (F, N) and (F, M), not {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("sequences have NaN or infinite values")
    path = _trace(cdist(a.T, b.T))
    return path[:, 0], path[:, 1]


def mel_cepstra(x: ArrayLike, rate: int, order: int = 24, n_mels: int = 32) -> np.ndarray:
    """The cosine series of each frame's log-mel spectrum, without its constant -> (order, N).

        log M[m] = c_0 + Σ_d c_d cos(πd (m + ½) / n_mels),   d = 1 … order

    Frames of 32 ms every 5 ms. Levels under 60 dB below the recording's loudest band are raised to
    that, so that the faint noise of a pause does not count; c_0, the level, is left out.

    References: Davis and Mermelstein, 1980.
    """
    x = _waveform(x)
    if not 1 <= order < n_mels:
        raise ValueError(f"order lies in 1 … n_mels - 1 = {n_mels - 1}, not {order}")
    mel = mel_spectrogram(x, rate, 2 * (rate * 32 // 2000), rate // 200, n_mels)
    mel = np.maximum(mel, mel.max() - 60 / DB)
    # the orthonormal transform's coefficient is c_d √(n_mels / 2)
    return np.sqrt(2 / n_mels) * dct(mel, type=2, axis=0, norm="ortho")[1 : order + 1]


def cepstral_distortion(a: ArrayLike, b: ArrayLike) -> float:
    """Mean distance in dB of two sequences of cepstra (D, N), (D, M), c_0 left out, along their path.

        MCD = (1/K) Σ_k (10 / ln 10) √(2 Σ_d (a_d[i_k] - b_d[j_k])²)

    With the cepstra of `mel_cepstra` the term of a frame is the root-mean-square difference of two
    log spectra over the mel scale, in dB, cut to `order` cosines, since a cosine has mean square ½:
    20/ln 10 · √(½ Σ Δ²) = 10/ln 10 · √(2 Σ Δ²).

    >>> round(cepstral_distortion(np.zeros((2, 5)), np.full((2, 7), 0.1)), 4)  # 0.1 · 20 / ln 10
    0.8686
    """
    i, j = warping_path(a, b)
    difference = np.asarray(a, dtype=float)[:, i] - np.asarray(b, dtype=float)[:, j]  # (D, K)
    return float(DB / np.sqrt(2) * np.mean(np.sqrt(np.sum(difference**2, axis=0))))


def mel_cepstral_distortion(
    a: ArrayLike, b: ArrayLike, rate: int, order: int = 24, n_mels: int = 32
) -> float:
    """Mel-cepstral distortion of two recordings of the same words in dB, 0 for equal ones.

    Time is warped first (`warping_path`), so that tempo does not count; nor does the level. Compare
    only figures made by one program: the number of coefficients and of bands, the frames and the
    treatment of pauses move the result by decibels.

    What it cannot hear: pitch, and whether there is one at all (the harmonics are smoothed away: a
    whisper or a buzz with the right envelope scores well); the rhythm, which is warped away; the
    level; phase. And it takes what is smooth for better: the mean of many renditions, which sounds
    muffled, is nearer to each of them than they are to each other.

    Args:
        a, b: (T,), (T',) waveforms at `rate` Hz. order: D. n_mels: bands.

    References:
        Kubichek, Mel-Cepstral Distance Measure for Objective Speech Quality Assessment, 1993.

    >>> x = np.random.default_rng(0).normal(0, 0.1, 8000)
    >>> mel_cepstral_distortion(x, 0.5 * x, 8000) < 1e-9
    True
    """
    return cepstral_distortion(
        mel_cepstra(a, rate, order, n_mels), mel_cepstra(b, rate, order, n_mels)
    )


class DigitRecogniser:
    """Which word is it? The vote of the nearest templates by DTW on MFCC. It has no part in training.

    Each clip becomes 12 MFCC (level left out) a 10 ms frame, with its own mean removed. The word of the
    majority among the `k` nearest templates wins; the nearest decides a tie.

    Args:
        templates: clips with a known word, all at one rate.
        k: how many neighbours vote.
    """

    def __init__(self, templates: list[Utterance], k: int = 3) -> None:
        if not templates:
            raise ValueError("a recogniser needs templates")
        self.rate, self.k = templates[0].rate, k
        self.templates = [(clip.text, self._hear(clip.audio)) for clip in templates]

    def _hear(self, x: ArrayLike) -> np.ndarray:
        noise = np.random.default_rng(0).normal(0, 1e-3, len(x))  # so that silences are alike
        heard = mfcc(np.asarray(x, dtype=float) + noise, self.rate, hop=self.rate // 100)[1:]
        return heard - heard.mean(axis=1, keepdims=True)

    def __call__(self, x: ArrayLike) -> str:
        heard = self._hear(x)
        distances = [(dtw(heard, template), word) for word, template in self.templates]
        nearest = [word for _, word in sorted(distances)[: self.k]]
        votes = Counter(nearest)
        return max(nearest, key=lambda word: votes[word])  # the nearest of those with most votes
