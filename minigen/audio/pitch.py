"""Chapter 1: the pitch of a voice, frame by frame: YIN, from scratch.

A voiced sound repeats itself after a period. For every lag τ, compare a window of the sound with the
same window τ later:

    d(τ) = Σ_t (x[t] - x[t + τ])²,   d'(τ) = τ d(τ) / Σ_{1 <= j <= τ} d(j),   d'(0) = 1

d' is below 1 where τ suits better than shorter lags do on average, and near 0 at the period and its
multiples. The first clear dip is the period; how deep it is says whether there is a period at all.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import binary_propagation, median_filter
from scipy.signal import butter, sosfiltfilt

from .waveform import check_waveform

LOWEST, HIGHEST = 60.0, 450.0  # Hz, the range to look in
THRESHOLD = 0.15  # the first dip of d' below it is the period; without one, the deepest
VOICED = 0.25  # a frame whose dip is deeper has a pitch
FADING = 1.5  # so have its neighbours in a row, as long as their dips are deeper than this
QUIET = 28.0  # a frame so many dB below the loudest has none either
LOW_PASS = 1500.0  # Hz
BLOCK = 2_000  # frames at a time


def normalised_difference(frames: np.ndarray, window: int, max_lag: int) -> np.ndarray:
    """d'(τ) of each frame for τ = 0 … max_lag: (N, window + max_lag) -> (N, max_lag + 1).

    Expanded, d(τ) = energy at the start + energy τ later - 2 · correlation, and the correlation of all
    lags is one product of Fourier transforms.

    >>> x = np.sin(2 * np.pi * np.arange(120) / 20)[None]  # a period of 20 samples
    >>> d = normalised_difference(x, 60, 40)[0]
    >>> int(d[5:30].argmin()) + 5, bool(d[20] < 1e-6)
    (20, True)
    """
    size = 2 ** int(np.ceil(np.log2(frames.shape[1] + window)))
    spectrum = np.fft.rfft(frames, size)
    start = np.fft.rfft(frames[:, :window], size)
    correlation = np.fft.irfft(spectrum * start.conj(), size)[:, : max_lag + 1]
    squares = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    lags = np.arange(max_lag + 1)
    energy = squares[:, lags + window] - squares[:, lags]  # of the window, τ later
    d = np.maximum(energy[:, :1] + energy - 2 * correlation, 0)
    mean = np.cumsum(d[:, 1:], axis=1) / lags[1:]  # (1/τ) Σ d(j)
    out = np.ones_like(d)
    np.divide(d[:, 1:], mean, out=out[:, 1:], where=mean > 1e-12 * (energy[:, :1] + 1e-12))
    return out


def f0(x: ArrayLike, rate: int, hop: float = 0.010) -> np.ndarray:
    """Fundamental frequency in Hz, one value each `hop` seconds, 0 where there is none: (N,).

    Frame n is centred on (n + ½) · hop, as `Utterance.f0` is.

    Args: x: (T,) waveform. rate: Hz, four times `HIGHEST` or more.

    References: De Cheveigné and Kawahara, YIN, a Fundamental Frequency Estimator for Speech and Music, 2002
    (doi:10.1121/1.1458024).

    >>> t = np.arange(8000) / 8000
    >>> hz = f0(np.sin(2 * np.pi * 150 * t) + 0.5 * np.sin(2 * np.pi * 300 * t), 8000)
    >>> len(hz), round(float(np.median(hz)), 1)
    (100, 150.0)
    """
    x = check_waveform(x)
    if rate < 4 * HIGHEST:
        raise ValueError(f"{HIGHEST:.0f} Hz of pitch needs a rate of {4 * HIGHEST:.0f}, not {rate}")
    if not 0 < hop < np.inf:
        raise ValueError(f"hop is the seconds from frame to frame, above 0, not {hop}")
    min_lag, max_lag = int(rate / HIGHEST), int(np.ceil(rate / LOWEST))
    window = max_lag  # as long as the longest period
    n = max(1, round(len(x) / rate / hop))
    period, depth, power = np.zeros(n), np.ones(n), np.zeros(n)
    # A window and the same window a period later are centred between them, so a frame starts half a
    # window and half a middling period before its centre.
    half = (window + int(np.sqrt(min_lag * max_lag))) // 2
    # Below 1.5 kHz: the periods are there, and most of the breath is not.
    low_pass, reach = butter(4, LOW_PASS, fs=rate, output="sos"), half + window + rate // 20
    offset = x.mean(dtype=float)
    for first in range(0, n, BLOCK):  # an hour of sound in little memory
        centre = np.round((np.arange(first, min(n, first + BLOCK)) + 0.5) * hop * rate).astype(int)
        start, stop = centre[0] - reach, centre[-1] + reach
        part = x[max(0, start) : stop].astype(float) - offset
        part = np.pad(part, (max(0, -start), max(0, stop - len(x))))  # silence beyond the ends
        frames = np.lib.stride_tricks.sliding_window_view(
            sosfiltfilt(low_pass, part), window + max_lag + 1
        )[centre - half - start]  # (B, window + max_lag + 1)
        d = normalised_difference(frames, window, max_lag + 1)  # one lag more, for the parabola
        here = slice(first, first + len(centre))
        period[here], depth[here] = zip(*(_dip(row, min_lag, max_lag) for row in d), strict=True)
        power[here] = np.mean(frames**2, axis=1)
    loud = power > power.max() * 10 ** (-QUIET / 10)
    may_be = (depth < FADING) & loud & (power > 0)
    has_pitch = binary_propagation((depth < VOICED) & may_be, mask=may_be)  # from the sure ones on
    has_pitch = median_filter(has_pitch.astype(int), 5, mode="nearest") > 0  # no lone frames
    hz = np.where(period > 0, rate / np.maximum(period, 1e-9), 0)
    return np.where(has_pitch & (period > 0), _without_jumps(hz, has_pitch), 0)


def _dip(row: np.ndarray, min_lag: int, max_lag: int) -> tuple[float, float]:
    """The period in samples, between samples by a parabola, and how deep the dip is."""
    inside = row[min_lag : max_lag + 1]
    below = np.flatnonzero(inside < THRESHOLD)
    if len(below):
        lag = min_lag + below[0]
        while lag < max_lag and row[lag + 1] < row[lag]:  # down to the bottom of this dip
            lag += 1
    else:
        lag = min_lag + int(inside.argmin())
    left, middle, right = row[lag - 1], row[lag], row[lag + 1]
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend > 0 else 0.0
    return lag + float(np.clip(shift, -0.5, 0.5)), float(middle)


def _without_jumps(hz: np.ndarray, voiced: np.ndarray) -> np.ndarray:
    """Octave errors last a frame or two: where the median of five neighbours disagrees, it counts."""
    out = hz.copy()
    places = np.flatnonzero(voiced)
    for index in places:
        near = places[np.abs(places - index) <= 2]
        middle = np.median(hz[near])
        if abs(np.log2(hz[index] / middle)) > 0.3:
            out[index] = middle
    return out
