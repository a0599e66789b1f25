"""HMM synthesis (statistical parametric speech synthesis): Gaussian states, a smooth trajectory, a vocoder.

    words -> phones -> states, each for so many frames -> means and variances of the features and of
    their differences -> the most likely trajectory -> `audio.source_filter.vocode` -> waveform

Features are mel-cepstra and log F0, one row each 5 ms. Nothing here is neural, and nothing imports torch.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solveh_banded

from ..audio import mel_cepstrum
from ..audio.source_filter import FRAME, continuous_log_f0, vocode
from ..data import Utterance
from ..hmm import left_to_right, viterbi
from ..mixture import log_normal

#: The row itself, its slope, and its curvature: weights of the rows before, at, and after.
WINDOWS = ((0.0, 1.0, 0.0), (-0.5, 0.0, 0.5), (1.0, -2.0, 1.0))


# ---------------------------------------------------------------- the trajectory
def window_matrix(n: int, window: Sequence[float]) -> np.ndarray:
    """W (n, n) with (W c)[t] = w₋ c[t-1] + w₀ c[t] + w₊ c[t+1]; past the ends c stays as it is.

    >>> window_matrix(3, (-0.5, 0.0, 0.5))
    array([[-0.5,  0.5,  0. ],
           [-0.5,  0. ,  0.5],
           [ 0. , -0.5,  0.5]])
    """
    if n < 1 or len(window) != 3:
        raise ValueError(f"need n >= 1 rows and a window of 3 weights, not {n} and {window}")
    before, here, after = window
    matrix = here * np.eye(n) + before * np.eye(n, k=-1) + after * np.eye(n, k=1)
    matrix[0, 0] += before
    matrix[-1, -1] += after
    return matrix


def dynamics(c: ArrayLike) -> np.ndarray:
    """Static features c (N, D) -> each of WINDOWS applied, (N, 3, D).

    >>> dynamics([[0.0], [1.0], [3.0]])[1, :, 0]  # 1, (3 - 0) / 2, 0 - 2 + 3
    array([1. , 1.5, 1. ])
    """
    c = np.asarray(c, dtype=float)
    if c.ndim != 2 or 0 in c.shape:
        raise ValueError(f"features have shape (N, D), not {c.shape}")
    padded = np.concatenate([c[:1], c, c[-1:]])
    return np.stack([w[0] * padded[:-2] + w[1] * c + w[2] * padded[2:] for w in WINDOWS], axis=1)


def _check_moments(mean: ArrayLike, variance: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    mean, variance = np.asarray(mean, dtype=float), np.asarray(variance, dtype=float)
    if mean.ndim != 3 or mean.shape != variance.shape or mean.shape[1] != len(WINDOWS):
        raise ValueError(f"mean, variance are (N, 3, D), not {mean.shape} and {variance.shape}")
    if not np.isfinite(mean).all() or not (variance > 0).all():
        raise ValueError("means must be finite and variances positive (they may be infinite)")
    return mean, variance


def mlpg(mean: ArrayLike, variance: ArrayLike) -> np.ndarray:
    """Maximum-likelihood parameter generation: the likeliest c (N, D) under N(W c; µ, Σ).

    Features and their differences are both given a Gaussian, but the differences are functions of the
    features: only c is free. For each of the D dimensions, with W the windows' matrices stacked,

        log N(W c; µ, Σ) = -½ (W c - µ)ᵀ Σ⁻¹ (W c - µ) + const
        gradient zero:  (Wᵀ Σ⁻¹ W) c = Wᵀ Σ⁻¹ µ

    a weighted least-squares problem. Each row of W touches three frames in a row, so Wᵀ Σ⁻¹ W has two
    diagonals above the main one: a banded Cholesky solver takes O(N) operations, not O(N³).

    Args: mean: µ (N, 3, D). variance: the diagonal of Σ, same shape; infinite leaves a row out.

    References: Tokuda et al., Speech Parameter Generation Algorithms for HMM-Based Speech Synthesis, 2000.

    >>> mean = np.zeros((4, 3, 1))
    >>> mean[2:, 0] = 1.0  # two states: 0, then 1
    >>> mlpg(mean, np.ones_like(mean)).ravel().round(2)  # a step becomes a slope
    array([0.18, 0.35, 0.65, 0.82])
    """
    mean, variance = _check_moments(mean, variance)
    n, _, d = mean.shape
    band = np.zeros((3, n + 2, d))  # band[k, t] = (Wᵀ Σ⁻¹ W)[t - k, t], in frames -1 … N
    right = np.zeros((n + 2, d))  # Wᵀ Σ⁻¹ µ
    for index, window in enumerate(WINDOWS):
        rows = np.repeat(np.array(window)[:, None], n, axis=1)  # of row t, on c[t-1], c[t], c[t+1]
        rows[1, 0] += rows[0, 0]
        rows[1, -1] += rows[2, -1]
        rows[0, 0] = rows[2, -1] = 0  # past the ends c stays as it is
        for i in range(3):
            weighted = rows[i][:, None] / variance[:, index]
            right[i : i + n] += weighted * mean[:, index]
            for j in range(i, 3):
                band[j - i, j : j + n] += weighted * rows[j][:, None]
    upper = band[::-1, 1 : n + 1]  # the layout of solveh_banded: the main diagonal is last
    solved = [solveh_banded(upper[-min(3, n) :, :, k], right[1:-1, k]) for k in range(d)]
    return np.stack(solved, axis=1)


def trajectory_log_prob(c: ArrayLike, mean: ArrayLike, variance: ArrayLike) -> float:
    """log N(W c; µ, Σ) of static features c (N, D), in nats: what `mlpg` maximises."""
    mean, variance = _check_moments(mean, variance)
    known = np.isfinite(variance)
    distance = (dynamics(c) - mean) ** 2
    return float(-0.5 * (distance / variance + np.log(2 * np.pi * variance))[known].sum())


# ---------------------------------------------------------------- the synthesizer
@dataclass
class _Unit:
    """One phone between two others, said by one speaker: its states, from first to last."""

    frames: np.ndarray  # mean number of frames in each state, (S,)
    mean: np.ndarray  # (S, 3, D)
    variance: np.ndarray  # (S, 3, D)
    voicing: np.ndarray  # share of voiced frames, (S,)


@dataclass(frozen=True)
class Plan:
    """What the states ask for, frame by frame, before the trajectory is found.

    Args:
        phones: (phone, start, end) in seconds. mean, variance: (N, 3, D), statics first; D counts the
            mel-cepstra and, last, log F0. voiced: (N,). spread: the variance each mel-cepstral
            coefficient has within a recording of this speaker, (D,).
    """

    phones: list[tuple[str, float, float]]
    mean: np.ndarray = field(repr=False)
    variance: np.ndarray = field(repr=False)
    voiced: np.ndarray = field(repr=False)
    spread: np.ndarray = field(repr=False)


class HMMSynthesizer:
    """A hidden Markov model for each phone in context, and speech along its likeliest trajectory.

    Each (speaker, phone between its two neighbours) has `n_states` states from left to right. A state
    keeps the mean number of frames it lasts, how often it is voiced, and a Gaussian with diagonal
    covariance over the features and their first and second differences.

    Args: rate: Hz of the recordings. units, lexicon, spread: what `fit` found.

    References: Zen, Tokuda and Black, Statistical Parametric Speech Synthesis, 2009. Tokuda et al., Speech
    Synthesis Based on Hidden Markov Models, 2013.

    >>> from minigen import data
    >>> voice = HMMSynthesizer.fit(data.spoken_digits(speaker="slt", word="seven"))
    >>> x = voice.speak("seven", "slt")
    >>> x.dtype, bool(0.1 < np.abs(x).max() < 1)
    (dtype('float32'), True)
    """

    def __init__(self, rate: int, units: dict, lexicon: dict, spread: dict) -> None:
        self.rate, self.units, self.lexicon, self.spread = rate, units, lexicon, spread
        self.speakers = sorted(spread)

    def __repr__(self) -> str:
        return (
            f"HMMSynthesizer({len(self.units)} phones in context, {len(self.lexicon)} words, "
            f"speakers {', '.join(self.speakers)}, {self.rate} Hz)"
        )

    @classmethod
    def fit(cls, clips: Sequence[Utterance], n_states: int = 5, passes: int = 2) -> Self:
        """Statistics of clips of one word each, with `phones` and `f0`.

        A phone's frames are first divided equally among its states; then, `passes` times, each phone's
        frames are given to its states by Viterbi's algorithm, and the statistics are taken again.

        Raises ValueError: no clips, several rates, or a clip without phone times or F0.
        """
        clips = list(clips)
        if not clips:
            raise ValueError("HMM synthesis needs clips to learn from")
        if n_states < 1 or passes < 0:
            raise ValueError(f"need n_states >= 1 and passes >= 0, not {n_states}, {passes}")
        if len(rates := {clip.rate for clip in clips}) > 1:
            raise ValueError(f"clips at several rates, {sorted(rates)} Hz: resample to one")
        segments, lexicon, variances = defaultdict(list), {}, defaultdict(list)
        for clip in clips:
            if clip.phones is None or clip.f0 is None:
                raise ValueError(f"{clip!r} has no phone times or no F0: align and track it first")
            cepstrum = mel_cepstrum(clip.audio, clip.rate).T
            log_f0, voicing = continuous_log_f0(clip.f0, len(cepstrum))
            static = np.concatenate([cepstrum, log_f0[:, None]], axis=1)  # (N, D)
            names = [name for name, _, _ in clip.phones]
            lexicon.setdefault(clip.text, tuple(names))
            variances[clip.speaker].append(static.var(axis=0))
            observed = dynamics(static)  # (N, 3, D)
            for key, (_, start, end) in zip(_contexts(names), clip.phones, strict=True):
                # the frames whose centres n · FRAME lie in the phone
                first, last = (int(np.ceil(t / FRAME - 1e-9)) for t in (start, end))
                last = min(max(last, first + n_states), len(static))
                first = max(0, min(first, last - n_states))
                if last - first < n_states:
                    raise ValueError(f"{clip!r} has fewer frames than a phone has states")
                segments[clip.speaker, *key].append((observed[first:last], voicing[first:last]))
        spread = {speaker: np.mean(rows, axis=0) for speaker, rows in variances.items()}
        units = {key: _fit_unit(found, n_states, passes) for key, found in segments.items()}
        return cls(clips[0].rate, units, lexicon, spread)

    def plan(self, words: str | Sequence[str], speaker: str, pace: float = 1.0) -> Plan:
        """Words -> phones -> states -> means and variances of each frame. `pace` 2 is twice as fast."""
        if speaker not in self.spread:
            raise ValueError(f"no speaker {speaker!r}: choose one of {', '.join(self.speakers)}")
        if not 0.25 <= pace <= 4:
            raise ValueError(f"pace is a factor from 0.25 to 4, not {pace}")
        words = words.lower().split() if isinstance(words, str) else list(words)
        if not words:
            raise ValueError(f"no words to synthesize: give some of {', '.join(self.lexicon)}")
        phones, mean, variance, voiced = [], [], [], []
        now = 0.0
        for word in words:
            if word not in self.lexicon:
                raise ValueError(f"no model of {word!r}: there are {', '.join(self.lexicon)}")
            for key in _contexts(self.lexicon[word]):
                unit = self.units.get((speaker, *key))
                if unit is None:
                    raise ValueError(f"{speaker} has no recording of {word!r} to learn it from")
                counts = np.maximum(1, np.round(unit.frames / pace)).astype(int)  # (S,)
                mean.append(np.repeat(unit.mean, counts, axis=0))
                variance.append(np.repeat(unit.variance, counts, axis=0))
                voiced.append(np.repeat(unit.voicing > 0.5, counts))
                end = now + counts.sum() * FRAME
                phones.append((key[1], now, end))
                now = end
        moments = (np.concatenate(part) for part in (mean, variance, voiced))
        return Plan(phones, *moments, self.spread[speaker])

    def speak(
        self,
        words: str | Sequence[str],
        speaker: str = "slt",
        pace: float = 1.0,
        pitch: float = 1.0,
        dynamic: bool = True,
        global_variance: bool = False,
        buzz: float = 1.0,
        seed: int = 0,
    ) -> np.ndarray:
        """Words that were in the clips -> waveform (T,) float32; a peak above 0.99 is scaled down.

        Args:
            words: "seven", or "three one four", or a list. pace: 2 is twice as fast. pitch: factor.
            dynamic: False leaves the differences out, so that states are steps.
            global_variance: True restores the spread that averaging took away.
            buzz: share of pulses in voiced frames. seed: of the noise.
        """
        if not 0.25 <= pitch <= 4:
            raise ValueError(f"pitch is a factor from 0.25 to 4, not {pitch}")
        cepstrum, f0 = trajectory(self.plan(words, speaker, pace), dynamic, global_variance)
        x = vocode(cepstrum, pitch * f0, self.rate, seed, buzz)
        return (x * min(1.0, 0.99 / max(float(np.abs(x).max()), 1e-9))).astype(np.float32)


def trajectory(
    plan: Plan, dynamic: bool = True, global_variance: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """A plan -> mel-cepstra (N, K) and F0 in Hz, 0 where unvoiced, (N,).

    Without `dynamic` only the statics count, and each frame is its state's mean. With
    `global_variance` each coefficient is stretched about its mean over the utterance until its
    variance is that of the speaker's recordings:

        c[t] ← m + √(spread / var c) (c[t] - m)

    References: Toda and Tokuda, A Speech Parameter Generation Algorithm Considering Global Variance
    for HMM-Based Speech Synthesis, 2007 (the starting point of their iteration).
    """
    variance = plan.variance
    if not dynamic:
        variance = variance.copy()
        variance[:, 1:] = np.inf
    c = mlpg(plan.mean, variance)  # (N, D)
    if global_variance:
        middle = c.mean(axis=0)
        stretch = np.sqrt(plan.spread / np.maximum(c.var(axis=0), 1e-12))
        c[:, :-1] = (middle + stretch * (c - middle))[:, :-1]  # F0 is left alone
    return c[:, :-1], np.where(plan.voiced, np.exp(c[:, -1]), 0)


def _contexts(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """(phone before, phone, phone after) of each phone; "" past the ends of the word.

    >>> _contexts(["pau", "ey", "t", "pau"])[1:3]
    [('pau', 'ey', 't'), ('ey', 't', 'pau')]
    """
    padded = ["", *names, ""]
    return list(zip(padded, names, padded[2:], strict=False))


def _fit_unit(segments: list[tuple[np.ndarray, np.ndarray]], n_states: int, passes: int) -> _Unit:
    """Frames of one unit, [(observed (n, 3, D), voicing (n,))] -> its states."""
    ends = [np.arange(1, n_states + 1) * len(x) // n_states for x, _ in segments]  # equal shares
    for turn in range(passes + 1):
        numbers = np.arange(n_states)
        state = np.concatenate([np.repeat(numbers, np.diff(e, prepend=0)) for e in ends])
        x = np.concatenate([x for x, _ in segments])
        mean = np.stack([x[state == s].mean(axis=0) for s in range(n_states)])  # (S, 3, D)
        variance = np.stack([x[state == s].var(axis=0) for s in range(n_states)])
        # a floor, so that few frames do not make a state certain: 1 % of the unit's own variance
        variance = np.maximum(variance, 0.01 * x.var(axis=0) + 1e-6)
        if turn < passes:
            ends = [_divide(x, mean, variance) for x, _ in segments]
    voicing = np.concatenate([v for _, v in segments])
    frames = np.mean([np.diff(e, prepend=0) for e in ends], axis=0)
    share = np.array([voicing[state == s].mean() for s in range(n_states)])
    return _Unit(frames, mean, variance, share)


def _divide(x: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Where each state's frames end on the likeliest path from left to right, (S,)."""
    rows = (v.reshape(len(v), -1) for v in (x, mean, variance))
    path, _ = viterbi(log_normal(*rows, "diag"), *left_to_right(len(mean)))
    return np.cumsum(np.bincount(path, minlength=len(mean)))
