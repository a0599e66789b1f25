"""The conventional voice: states with Gaussians, a smooth trajectory through them, a vocoder.

    words -> phones -> states, each for so many frames -> means and variances of the features and of
    their differences -> the most likely trajectory -> an excitation through a filter -> waveform

Features are mel-cepstra (the shape of the spectrum) and log F0, one row each 5 ms. Nothing here is
neural, and nothing imports torch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import idct
from scipy.linalg import solveh_banded

from ..audio import FLOOR, frame_length, hz_to_mel, istft, mel_cepstrum, mel_filterbank, stft
from ..data import Utterance
from ..data.utterance import F0_FRAME

__all__ = [
    "FRAME",
    "WINDOWS",
    "Plan",
    "StatisticalVoice",
    "continuous_log_f0",
    "copy_synthesis",
    "dynamics",
    "envelope",
    "excitation",
    "minimum_phase",
    "mlpg",
    "trajectory_log_prob",
    "vocode",
    "window_matrix",
]

FRAME = 0.005  # seconds from one frame to the next
ORDER = 24  # mel-cepstral coefficients after the first, which is the level
N_MELS = 32

#: The row itself, its slope, and its curvature: weights of the rows before, at, and after.
WINDOWS = ((0.0, 1.0, 0.0), (-0.5, 0.0, 0.5), (1.0, -2.0, 1.0))

# ---------------------------------------------------------------- analysis


def _frames(rate: int) -> tuple[int, int]:
    """-> (n_fft, hop) in samples: 32 ms and 5 ms."""
    hop = round(FRAME * rate)
    if hop < 1 or abs(hop / rate - FRAME) > 1e-9:
        raise ValueError(f"frames of 5 ms do not fit {rate} Hz: resample to 8000 or 16000 Hz")
    return frame_length(rate), hop


def envelope(cepstrum: ArrayLike, rate: int, n_mels: int = N_MELS) -> np.ndarray:
    """Mel-cepstra (N, K) -> log magnitude at each bin of the STFT, (N, F): `mel_cepstrum` undone.

    The cosine transform back gives log M; a filter's output is about the magnitude at its centre times
    the sum of its weights, so that sum is divided out; between centres, straight lines over mel.
    """
    cepstrum = np.asarray(cepstrum, dtype=float)
    if cepstrum.ndim != 2 or cepstrum.shape[1] > n_mels:
        raise ValueError(f"cepstrum has shape (N, K) with K <= {n_mels}, not {cepstrum.shape}")
    n_fft, _ = _frames(rate)
    full = np.pad(cepstrum, ((0, 0), (0, n_mels - cepstrum.shape[1])))
    mel = idct(full, type=2, axis=1, norm="ortho")  # log M, (N, n_mels)
    mel = mel - np.log(mel_filterbank(rate, n_fft, n_mels).sum(axis=1))
    centres = np.linspace(0, hz_to_mel(rate / 2), n_mels + 2)[1:-1]
    bins = hz_to_mel(np.arange(n_fft // 2 + 1) * rate / n_fft)
    return np.stack([np.interp(bins, centres, row) for row in mel])


def continuous_log_f0(f0: ArrayLike, n: int) -> tuple[np.ndarray, np.ndarray]:
    """F0 in Hz each 10 ms, 0 where unvoiced -> log F0 without gaps (n,), voicing in [0, 1] (n,).

    Gaps are bridged by straight lines, so that slopes exist everywhere; voicing says where F0 is real.
    """
    f0 = np.asarray(f0, dtype=float)
    if f0.ndim != 1 or len(f0) == 0 or not np.isfinite(f0).all() or (f0 < 0).any():
        raise ValueError("f0 holds one value in Hz each 10 ms, 0 where unvoiced: shape (N,), N > 0")
    voiced = f0 > 0
    if not voiced.any():
        raise ValueError("f0 is 0 everywhere: without a voiced frame there is no log F0")
    times = (np.arange(len(f0)) + 0.5) * F0_FRAME
    wanted = np.arange(n) * FRAME
    log_f0 = np.interp(wanted, times[voiced], np.log(f0[voiced]))
    return log_f0, np.interp(wanted, times, voiced.astype(float))


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


def dynamics(c: ArrayLike, windows: Sequence[Sequence[float]] = WINDOWS) -> np.ndarray:
    """Static features c (N, D) -> each window applied, (N, len(windows), D).

    >>> dynamics([[0.0], [1.0], [3.0]])[1, :, 0]  # 1, (3 - 0) / 2, 0 - 2 + 3
    array([1. , 1.5, 1. ])
    """
    c = np.asarray(c, dtype=float)
    if c.ndim != 2 or 0 in c.shape:
        raise ValueError(f"features have shape (N, D), not {c.shape}")
    padded = np.concatenate([c[:1], c, c[-1:]])
    return np.stack([w[0] * padded[:-2] + w[1] * c + w[2] * padded[2:] for w in windows], axis=1)


def _check_moments(mean: ArrayLike, variance: ArrayLike, windows: Sequence) -> tuple:
    mean, variance = np.asarray(mean, dtype=float), np.asarray(variance, dtype=float)
    if mean.ndim != 3 or mean.shape != variance.shape or mean.shape[1] != len(windows):
        raise ValueError(
            f"mean and variance have shape (N, {len(windows)}, D), not {mean.shape} and "
            f"{variance.shape}: one row a window"
        )
    if not np.isfinite(mean).all() or not (variance > 0).all():
        raise ValueError("means must be finite and variances positive (they may be infinite)")
    return mean, variance


def mlpg(
    mean: ArrayLike, variance: ArrayLike, windows: Sequence[Sequence[float]] = WINDOWS
) -> np.ndarray:
    """Maximum-likelihood parameter generation: the likeliest c (N, D) under N(W c; µ, Σ).

    Features and their differences are both given a Gaussian, but the differences are functions of the
    features: only c is free. For each of the D dimensions, with W the windows' matrices stacked,

        log N(W c; µ, Σ) = -½ (W c - µ)ᵀ Σ⁻¹ (W c - µ) + const
        gradient zero:  (Wᵀ Σ⁻¹ W) c = Wᵀ Σ⁻¹ µ

    a weighted least-squares problem. Each row of W touches three frames in a row, so Wᵀ Σ⁻¹ W has two
    diagonals above the main one: a banded Cholesky solver takes O(N) operations, not O(N³).

    Args:
        mean: µ (N, windows, D). variance: the diagonal of Σ, same shape; infinite leaves a row out.

    References:
        Tokuda et al., Speech Parameter Generation Algorithms for HMM-Based Speech Synthesis, 2000.

    >>> mean = np.zeros((4, 3, 1))
    >>> mean[2:, 0] = 1.0  # two states: 0, then 1
    >>> mlpg(mean, np.ones_like(mean)).ravel().round(2)  # a step becomes a slope
    array([0.18, 0.35, 0.65, 0.82])
    """
    mean, variance = _check_moments(mean, variance, windows)
    n, _, d = mean.shape
    precision = 1 / variance
    weighted = precision * mean
    band = np.zeros((3, n, d))  # band[k, t] = (Wᵀ Σ⁻¹ W)[t, t + k]
    right = np.zeros((n, d))  # Wᵀ Σ⁻¹ µ
    for index, window in enumerate(windows):
        rows = _rows(n, window)  # what row t puts on c[t-1], c[t], c[t+1]
        for i, a in enumerate(rows):
            first, last = max(0, 1 - i), min(n, n + 1 - i)  # rows t with 0 <= t + i - 1 < n
            here = slice(first + i - 1, last + i - 1)
            right[here] += a[first:last, None] * weighted[first:last, index]
            for j in range(i, 3):
                stop = min(n, n + 1 - j)
                here = slice(first + i - 1, stop + i - 1)
                product = (a * rows[j])[first:stop, None]
                band[j - i, here] += product * precision[first:stop, index]
    out = np.empty((n, d))
    for k in range(d):
        upper = np.zeros((3, n))  # the layout of solveh_banded: diagonal k starts at column k
        for offset in range(min(3, n)):
            upper[2 - offset, offset:] = band[offset, : n - offset, k]
        out[:, k] = solveh_banded(upper, right[:, k])
    return out


def _rows(n: int, window: Sequence[float]) -> np.ndarray:
    """The non-zero entries of `window_matrix`, (3, n): on c[t-1], c[t], c[t+1]."""
    rows = np.repeat(np.asarray(window, dtype=float)[:, None], n, axis=1)
    rows[1, 0] += rows[0, 0]
    rows[1, -1] += rows[2, -1]
    rows[0, 0] = rows[2, -1] = 0
    return rows


def trajectory_log_prob(
    c: ArrayLike,
    mean: ArrayLike,
    variance: ArrayLike,
    windows: Sequence[Sequence[float]] = WINDOWS,
) -> float:
    """log N(W c; µ, Σ) of static features c (N, D), in nats: what `mlpg` makes as large as it can."""
    mean, variance = _check_moments(mean, variance, windows)
    known = np.isfinite(variance)
    distance = (dynamics(c, windows) - mean) ** 2
    return float(-0.5 * (distance / variance + np.log(2 * np.pi * variance))[known].sum())


# ---------------------------------------------------------------- the vocoder


def minimum_phase(log_magnitude: ArrayLike) -> np.ndarray:
    """The causal, stable filter of these log magnitudes whose energy comes soonest: (N, F) complex.

    Its log spectrum's time function (the cepstrum) is zero before time 0. The log magnitude has the
    even cepstrum v; so v[0], 2 v[1], 2 v[2], …, v[half] is the causal one with the same even part.

    References: Oppenheim and Schafer, Discrete-Time Signal Processing, 1989, chapter 12.
    """
    log_magnitude = np.asarray(log_magnitude, dtype=float)
    cepstrum = np.fft.irfft(log_magnitude, axis=-1)
    half = cepstrum.shape[-1] // 2
    fold = np.zeros(cepstrum.shape[-1])
    fold[0] = fold[half] = 1
    fold[1:half] = 2
    return np.exp(np.fft.rfft(cepstrum * fold, axis=-1))


def excitation(
    f0: ArrayLike, rate: int, seed: int | np.random.Generator = 0, buzz: float = 1.0
) -> np.ndarray:
    """What goes into the filter: pulses F0 times a second where voiced, else white noise.

    A train of pulses has every harmonic with the same strength, and is made as that sum:

        e[t] = 2 √(F0 / rate) Σ_{k F0 < rate/2} cos(k φ[t]),   φ[t] = 2π Σ_{u<=t} F0[u] / rate

    so pulses need not fall on samples. Both kinds have a mean square of 1; between a voiced and an
    unvoiced frame one fades into the other.

    Args:
        f0: Hz a frame of 5 ms, 0 where unvoiced, (N,) -> ((N - 1) · hop,).
        buzz: share of pulses in the power of voiced frames; the rest is noise.
    """
    f0 = np.asarray(f0, dtype=float)
    if f0.ndim != 1 or len(f0) < 2 or not np.isfinite(f0).all() or (f0 < 0).any():
        raise ValueError("f0 has one value in Hz a frame, 0 where unvoiced: shape (N,), N >= 2")
    if not 0 <= buzz <= 1:
        raise ValueError(f"buzz is a share of the power, 0 … 1, not {buzz}")
    hop = _frames(rate)[1]
    frames = np.arange((len(f0) - 1) * hop) / hop
    noise = np.random.default_rng(seed).standard_normal(len(frames))
    voiced = f0 > 0
    if not voiced.any():
        return noise
    pitch = np.interp(frames, np.flatnonzero(voiced), f0[voiced])  # Hz at each sample
    share = buzz * np.interp(frames, np.arange(len(f0)), voiced.astype(float))
    phi = 2 * np.pi * np.cumsum(pitch) / rate
    pulses = np.zeros(len(frames))
    for k in range(1, int(rate / 2 / pitch.min()) + 1):
        below = np.clip((rate / 2 - k * pitch) / pitch, 0, 1)  # the last harmonic fades, no step
        pulses += np.sqrt(below) * np.cos(k * phi)
    return np.sqrt(share) * 2 * np.sqrt(pitch / rate) * pulses + np.sqrt(1 - share) * noise


def vocode(
    cepstrum: ArrayLike,
    f0: ArrayLike,
    rate: int,
    seed: int | np.random.Generator = 0,
    buzz: float = 1.0,
    n_mels: int = N_MELS,
) -> np.ndarray:
    """Source and filter: mel-cepstra (N, K) and F0 (N,) -> waveform ((N - 1) · hop,) float32.

    The excitation's STFT is multiplied, frame by frame, by the minimum-phase filter of the envelope.
    The STFT of white noise of mean square 1 has mean square Σ w², which is divided out.
    """
    f0 = np.asarray(f0, dtype=float)
    log_magnitude = envelope(cepstrum, rate, n_mels)  # (N, F)
    if len(f0) != len(log_magnitude):
        raise ValueError(f"{len(log_magnitude)} frames of cepstra, but {len(f0)} of F0")
    n_fft, hop = _frames(rate)
    source = stft(excitation(f0, rate, seed, buzz), n_fft, hop)  # (F, N)
    power = np.sum(np.hanning(n_fft + 1)[:-1] ** 2)  # Σ w² of a Hann window
    silent = log_magnitude <= np.log(FLOOR) + 1  # under the analysis's own floor
    gain = minimum_phase(np.where(silent, np.log(FLOOR), log_magnitude)) / np.sqrt(power)
    return istft(source * gain.T, hop).astype(np.float32)


def copy_synthesis(clip: Utterance, buzz: float = 1.0) -> np.ndarray:
    """A recording with F0, taken apart to cepstra and F0 and made again by `vocode`: (T,) float64.

    >>> from minigen import data
    >>> clip = data.spoken_digits()[0]
    >>> copy_synthesis(clip).shape == clip.audio.shape
    True
    """
    cepstrum = mel_cepstrum(clip.audio, clip.rate).T
    log_f0, voicing = continuous_log_f0(clip.f0, len(cepstrum))
    f0 = np.where(voicing > 0.5, np.exp(log_f0), 0)
    return vocode(cepstrum, f0, clip.rate, buzz=buzz)[: len(clip.audio)].astype(float)


# ---------------------------------------------------------------- the voice


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


class StatisticalVoice:
    """A hidden Markov model for each phone in context, and speech along its likeliest trajectory.

    Each (speaker, phone between its two neighbours) has `n_states` states from left to right. A state
    keeps the mean number of frames it lasts, how often it is voiced, and a Gaussian with diagonal
    covariance over the features and their first and second differences.

    Args:
        rate: Hz of the recordings. units, lexicon, spread: what `fit` found.

    References:
        Zen, Tokuda and Black, Statistical Parametric Speech Synthesis, 2009.
        Tokuda et al., Speech Synthesis Based on Hidden Markov Models, 2013.

    >>> from minigen import data
    >>> voice = StatisticalVoice.fit(data.spoken_digits(speaker="slt", word="seven"))
    >>> x = voice.speak("seven", "slt")
    >>> x.dtype, bool(0.1 < np.abs(x).max() < 1)
    (dtype('float32'), True)
    """

    def __init__(self, rate: int, units: dict, lexicon: dict, spread: dict) -> None:
        self.rate, self.units, self.lexicon, self.spread = rate, units, lexicon, spread

    @property
    def speakers(self) -> list[str]:
        return sorted(self.spread)

    @classmethod
    def fit(
        cls,
        clips: Sequence[Utterance],
        n_states: int = 5,
        order: int = ORDER,
        passes: int = 2,
    ) -> StatisticalVoice:
        """Statistics of clips of one word each, with `phones` and `f0`.

        A phone's frames are first divided equally among its states; then, `passes` times, each phone's
        frames are given to its states by Viterbi's algorithm, and the statistics are taken again.

        Raises:
            ValueError: no clips, several rates, or a clip without phone times or F0.
        """
        clips = list(clips)
        if not clips:
            raise ValueError("a voice needs clips to learn from")
        if n_states < 1 or passes < 0:
            raise ValueError(f"need n_states >= 1 and passes >= 0, not {n_states}, {passes}")
        if len(rates := {clip.rate for clip in clips}) > 1:
            raise ValueError(f"clips at several rates, {sorted(rates)} Hz: resample to one")
        segments, lexicon, variances = defaultdict(list), {}, defaultdict(list)
        for clip in clips:
            if clip.phones is None or clip.f0 is None:
                raise ValueError(f"{clip!r} has no phone times or no F0: align and track it first")
            cepstrum = mel_cepstrum(clip.audio, clip.rate, order).T
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
            raise ValueError(f"nothing to say: give words of {', '.join(self.lexicon)}")
        phones, mean, variance, voiced = [], [], [], []
        now = 0.0
        for word in words:
            if word not in self.lexicon:
                raise ValueError(
                    f"this voice has never heard {word!r}: it knows {', '.join(self.lexicon)}"
                )
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
    for HMM-Based Speech Synthesis, 2007 (the starting point of their iteration, equation 40).
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
        state = np.concatenate(
            [np.repeat(np.arange(n_states), np.diff(e, prepend=0)) for e in ends]
        )
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
    """Viterbi from left to right: where each state's frames end, for the likeliest division, (S,).

    best[t, s] = log p(x[t] | s) + max(best[t-1, s], best[t-1, s-1]); every state gets a frame.
    """
    n, states = len(x), len(mean)
    log_p = -0.5 * ((x[:, None] - mean) ** 2 / variance + np.log(variance)).sum(axis=(2, 3))
    best = np.full(states, -np.inf)
    best[0] = log_p[0, 0]
    came = np.zeros((n, states), dtype=bool)  # from the state before?
    for t in range(1, n):
        before = np.concatenate([[-np.inf], best[:-1]])
        came[t] = before > best
        best = np.maximum(before, best) + log_p[t]
    ends = np.full(states, n)
    s = states - 1
    for t in range(n - 1, 0, -1):
        if came[t, s]:
            s -= 1
            ends[s] = t
    return ends
