"""Chapter 15: classifiers that measure speech: which word, which phone. None has a part in training."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..audio import mfcc, speech_features
from ..data import Utterance
from ..gaussian import Gaussian
from .warping import dtw

__all__ = ["DigitRecogniser", "PhoneClassifier"]


def _with_floor(x: ArrayLike) -> np.ndarray:
    """x with a faint noise, so that silences are alike."""
    return np.asarray(x, dtype=float) + np.random.default_rng(0).normal(0, 1e-3, len(x))


class DigitRecogniser:
    """Which word is it? The vote of the nearest templates by DTW on MFCC.

    Each clip becomes 12 MFCC (level left out) a 10 ms frame, with its own mean removed. The word of the
    majority among the `k` nearest templates wins; the nearest decides a tie.

    Args:
        templates: clips with a known word, all at one rate.
        k: how many neighbours vote.
    """

    def __init__(self, templates: Sequence[Utterance], k: int = 3) -> None:
        if not templates:
            raise ValueError("a recogniser needs templates")
        self.rate, self.k = templates[0].rate, k
        self.templates = [(clip.text, self._features(clip.audio)) for clip in templates]

    def __repr__(self) -> str:
        return f"DigitRecogniser({len(self.templates)} templates at {self.rate} Hz, k={self.k})"

    def _features(self, x: ArrayLike) -> np.ndarray:
        c = mfcc(_with_floor(x), self.rate, hop=self.rate // 100)[1:]  # (12, N)
        return c - c.mean(axis=1, keepdims=True)

    def __call__(self, x: ArrayLike) -> str:
        features = self._features(x)
        distances = [(dtw(features, template), word) for word, template in self.templates]
        nearest = [word for _, word in sorted(distances)[: self.k]]
        votes = Counter(nearest)
        return max(nearest, key=lambda word: votes[word])  # the nearest of those with most votes


class PhoneClassifier:
    """Which phone is it? A Gaussian for the features of each phone's frames, fitted on recordings.

    A frame goes to the phone with the largest log prior + log density. Noise costs it more than an ear:
    a recording with white noise 30 dB below it loses a quarter of its frames.

    Args:
        clips: with phone times, all at one rate. Phones of fewer than 200 frames are left out.
    """

    def __init__(self, clips: Sequence[Utterance]) -> None:
        found = defaultdict(list)
        for clip in clips:
            features, names = self._frames(clip.audio, clip.rate, clip.phones)
            for name in set(names):
                found[name].append(features[names == name])
        self.names = sorted(name for name, parts in found.items() if sum(map(len, parts)) >= 200)
        rows = [np.concatenate(found[name]) for name in self.names]
        self.gaussians = [Gaussian.fit(x, shrinkage=0.02) for x in rows]
        share = np.array([len(x) for x in rows], float)
        self.prior = np.log(share / share.sum())

    def __repr__(self) -> str:
        return f"PhoneClassifier({len(self.names)} phones: {' '.join(self.names)})"

    @staticmethod
    def _frames(x: ArrayLike, rate: int, times: Sequence) -> tuple[np.ndarray, np.ndarray]:
        features = speech_features(_with_floor(x), rate, 0.01)  # (N, 39)
        features = features - np.median(features[:, :1])  # a level for the whole clip
        ends = np.array([end for _, _, end in times])
        at = np.minimum(np.searchsorted(ends, np.arange(len(features)) * 0.01), len(times) - 1)
        return features, np.array([name for name, _, _ in times])[at]

    def __call__(self, x: ArrayLike, rate: int, times: Sequence) -> float:
        """The share of the frames of speech, pauses left out, that get the phone that the plan has."""
        features, names = self._frames(x, rate, times)
        scores = [g.log_prob(features) + p for g, p in zip(self.gaussians, self.prior, strict=True)]
        best = np.array(self.names)[np.argmax(scores, axis=0)]
        speech = names != "pau"
        return float(np.mean(best[speech] == names[speech]))
