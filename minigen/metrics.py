"""Measuring speech: how far two sounds are apart, and whether a recogniser understands them.

A distance that falls is a reason to listen, not a proof that it sounds better.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numba import njit
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from .audio import mel_spectrogram, mfcc
from .data import Utterance

__all__ = ["DigitRecogniser", "dtw", "log_mel_distance", "std_ratio"]

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
