"""Chapter 1: short-time spectra and back: STFT, mel spectrum, cepstrum, and Griffin and Lim's phases."""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import dct

from .waveform import check_positive, check_waveform

FLOOR = 1e-5  # of magnitude, under every logarithm: -100 dB


def _hann(n_fft: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)


def _check_frames(n_fft: int, hop: int) -> None:
    check_positive(n_fft=n_fft, hop=hop)
    if n_fft % 2 or hop > n_fft // 2:
        raise ValueError(f"n_fft must be even and hop at most n_fft / 2, not {n_fft=}, {hop=}")


def stft(x: ArrayLike, n_fft: int = 512, hop: int = 128) -> np.ndarray:
    """Short-time Fourier transform with a Hann window, frames centred on 0, hop, 2·hop, …

        S[f, n] = Σ_k w[k] x[n·hop + k - n_fft/2] e^{-2πi f k / n_fft}

    Args:
        x: (T,) waveform; beyond its ends it is taken to be zero.
        n_fft: length of a frame, even. hop: samples from one frame to the next, <= n_fft / 2.

    Returns complex (n_fft // 2 + 1, N) with N = 1 + ceil(T / hop).

    >>> stft(np.zeros(1000)).shape
    (257, 9)
    """
    return np.fft.rfft(_frames(x, n_fft, hop) * _hann(n_fft), axis=1).T


def _frames(x: ArrayLike, n_fft: int, hop: int) -> np.ndarray:
    """A view of x, padded by zeros: (N, n_fft)."""
    x = check_waveform(x)
    _check_frames(n_fft, hop)
    n = 1 + -(-len(x) // hop)
    padded = np.zeros((n - 1) * hop + n_fft)
    padded[n_fft // 2 : n_fft // 2 + len(x)] = x
    return np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]


def istft(spectrum: ArrayLike, hop: int = 128, length: int | None = None) -> np.ndarray:
    """The waveform whose STFT is nearest to `spectrum` in squared error; exact for a true STFT.

        x[t] = Σ_n w[t - n·hop] y_n[t - n·hop] / Σ_n w²[t - n·hop],   y_n the inverse FFT of frame n

    Args: spectrum: complex (F, N) from `stft`. hop: as there. length: T.

    References: Griffin and Lim, Signal Estimation from Modified Short-Time Fourier Transform, 1984.
    """
    spectrum = np.asarray(spectrum)
    if spectrum.ndim != 2:
        raise ValueError(f"spectrum has shape (F, N), not {spectrum.shape}")
    if not np.isfinite(spectrum).all():
        raise ValueError("spectrum has NaN or infinite values")
    n_fft, n = 2 * (spectrum.shape[0] - 1), spectrum.shape[1]
    _check_frames(n_fft, hop)
    whole = (n - 1) * hop
    length = whole if length is None else length
    if not 0 < length <= whole:
        raise ValueError(f"{n} frames of hop {hop} hold 1 … {whole} samples, not {length}")
    window = _hann(n_fft)
    frames = np.fft.irfft(spectrum.T, n_fft, axis=1) * window  # (N, n_fft)
    x, weight = np.zeros((2, whole + n_fft))
    for index, frame in enumerate(frames):
        x[index * hop : index * hop + n_fft] += frame
        weight[index * hop : index * hop + n_fft] += window**2
    middle = slice(n_fft // 2, n_fft // 2 + length)
    return x[middle] / np.maximum(weight[middle], 1e-10)


def hz_to_mel(hz: ArrayLike) -> np.ndarray:
    """Frequency on the mel scale, 2595 log10(1 + hz / 700): equal steps sound about equal.

    >>> round(float(hz_to_mel(1000.0)))
    1000
    """
    return 2595 * np.log10(1 + np.asarray(hz, dtype=float) / 700)


def mel_to_hz(mel: ArrayLike) -> np.ndarray:
    """The inverse of `hz_to_mel`."""
    return 700 * (10 ** (np.asarray(mel, dtype=float) / 2595) - 1)


@cache
def mel_filterbank(rate: int, n_fft: int, n_mels: int) -> np.ndarray:
    """Triangles that rise and fall between equally spaced points of the mel scale, 0 … rate / 2.

    Filter m rises linearly from 0 at the m-th point to 1 at the next and falls to 0 at the one after.

    Args: rate: Hz. n_fft: of the STFT. n_mels: filters.

    Returns (n_mels, n_fft // 2 + 1), every row with a positive weight.

    References: Davis and Mermelstein, 1980 (see `mfcc`).
    """
    check_positive(rate=rate, n_fft=n_fft, n_mels=n_mels)
    points = mel_to_hz(np.linspace(0, hz_to_mel(rate / 2), n_mels + 2))
    hz = np.arange(n_fft // 2 + 1) * rate / n_fft
    rise = (hz - points[:-2, None]) / (points[1:-1] - points[:-2])[:, None]
    fall = (points[2:, None] - hz) / (points[2:] - points[1:-1])[:, None]
    bank = np.maximum(0, np.minimum(rise, fall))
    empty = np.flatnonzero(bank.sum(1) == 0)
    if len(empty):
        raise ValueError(f"{len(empty)} mel filters hold no bin: use fewer, or a larger n_fft")
    bank.setflags(write=False)
    return bank


def mel_spectrogram(
    x: ArrayLike, rate: int, n_fft: int = 512, hop: int = 128, n_mels: int = 80, log: bool = True
) -> np.ndarray:
    """Magnitudes of the STFT summed by mel filter, as natural logarithms -> (n_mels, N)."""
    bank = mel_filterbank(rate, n_fft, n_mels)
    frames, window = _frames(x, n_fft, hop), _hann(n_fft)
    mel = np.empty((n_mels, len(frames)))
    for n in range(0, len(frames), 32):  # a few at a time stay in the processor's cache
        part = np.fft.rfft(frames[n : n + 32] * window, axis=1)
        mel[:, n : n + 32] = bank @ np.abs(part).T
    return np.log(np.maximum(mel, FLOOR)) if log else mel


def frame_length(rate: int, seconds: float = 0.032) -> int:
    """Samples of a frame, the nearest number of fours, so that a quarter of it is a whole hop.

    >>> [frame_length(rate) for rate in (8000, 16000, 22000)]
    [256, 512, 704]
    """
    if not (seconds > 0 and 4 <= seconds * rate < np.inf):
        raise ValueError(f"a frame has at least 4 samples, not {seconds} s at {rate} Hz")
    return 4 * round(seconds * rate / 4)


def mfcc(
    x: ArrayLike,
    rate: int,
    n_mfcc: int = 13,
    n_fft: int = 256,
    hop: int = 80,
    n_mels: int = 24,
    depth: float | None = None,
) -> np.ndarray:
    """Mel-frequency cepstral coefficients: the cosine transform of the log-mel spectrum.

        c[k] = s_k Σ_m log M[m] cos(πk (m + ½) / n_mels),   k = 0 … n_mfcc - 1

    (s_k makes the transform orthonormal). Few coefficients, a smooth spectrum; c[0] is its level.

    Args: depth: bands so many dB below the loudest are raised to that; by default none is.

    Returns (n_mfcc, N), frame n centred on n · hop.

    References: Davis and Mermelstein, Comparison of Parametric Representations for Monosyllabic Word
    Recognition in Continuously Spoken Sentences, 1980.
    """
    if not 1 <= n_mfcc <= n_mels:
        raise ValueError(f"n_mfcc lies in 1 … n_mels = {n_mels}, not {n_mfcc}")
    mel = mel_spectrogram(x, rate, n_fft, hop, n_mels)
    if depth is not None:
        mel = np.maximum(mel, mel.max() - depth * np.log(10) / 20)
    return dct(mel, type=2, axis=0, norm="ortho")[:n_mfcc]


def mel_cepstrum(
    x: ArrayLike, rate: int, order: int = 24, n_mels: int = 32, depth: float | None = None
) -> np.ndarray:
    """`mfcc` c[0] … c[order] of frames of 32 ms every 5 ms -> (order + 1, N)."""
    if not 1 <= order < n_mels:
        raise ValueError(f"order lies in 1 … n_mels - 1 = {n_mels - 1}, not {order}")
    return mfcc(x, rate, order + 1, frame_length(rate), rate // 200, n_mels, depth)


def speech_features(x: ArrayLike, rate: int, frame: float = 0.005, n_mfcc: int = 13) -> np.ndarray:
    """MFCC and their first and second differences, one row a frame -> (N, 3 · n_mfcc).

    Windows of 24 ms; row n is centred on n · frame seconds. A difference is the slope of the straight
    line through five rows: Δ[n] = Σ_k k c[n + k] / Σ_k k², k = -2 … 2; beyond the ends c stays as it is.

    References: Young et al., The HTK Book, 2006, section 5.6 (mel cepstra) and 5.9 (differences).
    """
    hop = round(frame * rate)
    if hop < 1 or abs(hop - frame * rate) > 1e-6:
        raise ValueError(f"frames of {frame} s are not a whole number of samples at {rate} Hz")
    c = mfcc(x, rate, n_mfcc, frame_length(rate, 0.024), hop).T  # (N, n_mfcc)
    slope = _slope(c)
    return np.concatenate([c, slope, _slope(slope)], axis=1)


def _slope(c: np.ndarray) -> np.ndarray:
    padded = np.pad(c, ((2, 2), (0, 0)), mode="edge")
    return (padded[3:-1] - padded[1:-3] + 2 * (padded[4:] - padded[:-4])) / 10


def griffin_lim(
    magnitude: ArrayLike,
    hop: int = 128,
    iterations: int = 60,
    seed: int | np.random.Generator = 0,
    length: int | None = None,
) -> np.ndarray:
    """A waveform whose STFT has about these magnitudes; the phases are found by iteration.

    Alternate: waveform from magnitude and phase; new phase from that waveform. The distance between
    the wanted and the real magnitudes never grows.

    Args: magnitude: (F, N), not negative. hop: of its STFT. seed: of the first phases.

    References: Griffin and Lim, 1984.
    """
    magnitude = np.asarray(magnitude, dtype=float)
    if magnitude.ndim != 2 or (magnitude < 0).any() or not np.isfinite(magnitude).all():
        raise ValueError("magnitude is (F, N), finite and not negative: take np.abs(stft(x))")
    if iterations < 0:
        raise ValueError(f"iterations is {iterations}; it must be 0 or more")
    n_fft = 2 * (magnitude.shape[0] - 1)
    rng = np.random.default_rng(seed)
    phase = np.exp(2j * np.pi * rng.random(magnitude.shape))
    whole = (magnitude.shape[1] - 1) * hop
    for _ in range(iterations):
        spectrum = stft(istft(magnitude * phase, hop, whole), n_fft, hop)
        phase = spectrum / np.maximum(np.abs(spectrum), 1e-12)
    return istft(magnitude * phase, hop, length)
