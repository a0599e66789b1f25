"""Chapter 15: a classifier that measures speech: which word? It has no part in training."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..audio import frame_length, mfcc
from ..data import Utterance
from .warping import dtw


class DigitRecogniser:
    """Which word is it? The vote of the nearest templates by DTW on MFCC.

    Each clip becomes 12 MFCC (level left out) a 10 ms frame, with its own mean removed. The word of the
    majority among the `k` nearest templates wins; the nearest decides a tie.

    Args: templates: clips with a known word, all at one rate. k: how many neighbours vote.
    """

    def __init__(self, templates: Sequence[Utterance], k: int = 3) -> None:
        if not templates:
            raise ValueError("a recogniser needs templates")
        self.rate, self.k = templates[0].rate, k
        self.templates = [(clip.text, self._features(clip.audio)) for clip in templates]

    def __repr__(self) -> str:
        return f"DigitRecogniser({len(self.templates)} templates at {self.rate} Hz, k={self.k})"

    def _features(self, x: ArrayLike) -> np.ndarray:
        x = np.asarray(x, dtype=float)
        x = x + np.random.default_rng(0).normal(0, 1e-3, len(x))  # so that silences are alike
        c = mfcc(x, self.rate, n_fft=frame_length(self.rate), hop=self.rate // 100)[1:]  # (12, N)
        return c - c.mean(axis=1, keepdims=True)

    def __call__(self, x: ArrayLike) -> str:
        features = self._features(x)
        distances = [(dtw(features, template), word) for word, template in self.templates]
        nearest = [word for _, word in sorted(distances)[: self.k]]
        votes = Counter(nearest)
        return max(nearest, key=lambda word: votes[word])  # the nearest of those with most votes
