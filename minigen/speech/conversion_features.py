"""What voice conversion sees of a waveform: MFCC without the clip's mean level and spectrum; F0; phase."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import dct

from .. import conditioning
from ..audio import FLOOR, check_waveform, mel_filterbank, stft
from ..audio.pitch import f0 as track_pitch
from ..conditioning import HOP

RATE = 8_000  # Hz
FRAMES_A_CODE = 2  # frames of 10 ms: 50 codes a second
N_MFCC = 13  # MFCC that the encoder sees
SPECTRUM = 25  # mel-cepstral coefficients that the frame decoder predicts
FFT, MELS = 256, 32
KNEE = 3_000  # Hz up to which `warp_frequencies` multiplies, at most
RANGE = 50 / (20 / math.log(10))  # nepers below the loudest band that count as silence: 50 dB


class Features(NamedTuple):
    """A waveform as the model sees it, N frames of 10 ms (N even), frame n centred on (n + ½) · 10 ms.

    `audio` (160 · N/2,), `mfcc` (13, N) for the encoder, `spectrum` (25, N) for the frame decoder,
    `f0` (N,) in Hz, 0 where unvoiced, `phase` (6, 80 N).
    """

    audio: np.ndarray
    mfcc: np.ndarray
    spectrum: np.ndarray
    f0: np.ndarray
    phase: np.ndarray


def _cepstrum(x: np.ndarray, vtlp: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """x (T,) -> mel-cepstra (32, N + 1), whether each frame is loud (N + 1,)."""
    magnitude = np.abs(stft(x[HOP // 2 :], FFT, HOP))  # frames centred on (n + ½) · HOP
    mel = mel_filterbank(RATE, FFT, MELS) @ warp_frequencies(magnitude, vtlp)
    mel = np.log(np.maximum(mel, FLOOR))
    mel = np.maximum(mel, mel.max() - RANGE)
    level = mel.max(axis=0)
    return dct(mel, type=2, axis=0, norm="ortho"), level > mel.max() - 0.7 * RANGE


def warp_frequencies(magnitude: np.ndarray, vtlp: float) -> np.ndarray:
    """Spectra whose every peak at f Hz lies at vtlp · f: as from a vocal tract 1/vtlp as long.

    Up to a knee the frequency is multiplied; from there a straight line leads to half the sampling rate,
    which stays where it is. Before and after, the knee lies at 3,000 Hz at most. Between the
    frequencies of the transform, magnitudes are read off straight lines.

    Args: magnitude: (F, N), of frequencies from 0 to half of 8,000 Hz. vtlp: positive; 1 changes nothing.

    References: Jaitly and Hinton, Vocal Tract Length Perturbation (VTLP) Improves Speech Recognition, 2013.
    """
    if vtlp == 1:
        return magnitude
    if not 0.5 <= vtlp <= 2:
        raise ValueError(f"vocal tracts differ by less than a factor of 2, not {vtlp=}")
    knee = KNEE * min(1, 1 / vtlp)  # Hz, before the warp
    hz = np.linspace(0, RATE / 2, len(magnitude))
    where = np.interp(hz, [0, vtlp * knee, RATE / 2], [0, knee, RATE / 2]) / hz[1]
    low = np.minimum(where.astype(int), len(hz) - 2)
    part = (where - low)[:, None]
    return (1 - part) * magnitude[low] + part * magnitude[low + 1]


def _without_mean(cepstrum: np.ndarray, loud: np.ndarray) -> np.ndarray:
    """(32, N), (N,) -> what the encoder sees, (13, N) float32."""
    mfcc = cepstrum[:N_MFCC] - cepstrum[:N_MFCC, loud].mean(axis=1, keepdims=True)
    return mfcc.astype(np.float32)


def warped_mfcc(features: Features, vtlp: float) -> np.ndarray:
    """`mfcc` (13, N) as it would be from a speaker with a vocal tract 1/vtlp as long.

    >>> from minigen import data
    >>> features = extract(data.example().audio)
    >>> bool((warped_mfcc(features, 1.0) == features.mfcc).all())
    True
    """
    cepstrum, loud = _cepstrum(features.audio, vtlp)
    frames = features.mfcc.shape[1]
    return _without_mean(cepstrum[:, :frames], loud[:frames])


def extract(x: ArrayLike, f0: np.ndarray | None = None, with_phase: bool = True) -> Features:
    """A waveform at 8,000 Hz -> `Features`. F0 (N,) each 10 ms is tracked by YIN unless it is given.

    Without `with_phase` there are no samples of `phase`, which only training needs.

    The mel spectrum is cut off 50 dB below its loudest band, so that silences look
    alike. `mfcc` is the cepstrum without the mean over the clip's loud frames.
    """
    x = check_waveform(x)
    frames = FRAMES_A_CODE * -(-len(x) // (FRAMES_A_CODE * HOP))  # whole codes
    if len(x) < 5 * HOP or np.abs(x).max() < 1e-4:
        raise ValueError(f"{len(x) / RATE:.2f} s, peak {np.abs(x).max():.5f}: no speech in it")
    if f0 is None:
        f0 = track_pitch(x, RATE)
    audio = np.zeros(frames * HOP, dtype=np.float32)
    audio[: len(x)] = x
    f0 = np.pad(np.asarray(f0, dtype=float)[:frames], (0, max(0, frames - len(f0))))
    cepstrum, loud = _cepstrum(audio)
    cepstrum, loud = cepstrum[:, :frames], loud[:frames]
    phase = np.zeros((conditioning.PHASE_FEATURES, 0), np.float32)
    if with_phase:
        phase = conditioning.phase_features(conditioning.phase(f0, RATE, audio), f0)
    spectrum = cepstrum[:SPECTRUM].astype(np.float32)
    return Features(audio, _without_mean(cepstrum, loud), spectrum, f0, phase)


def log_f0_moments(f0: ArrayLike) -> tuple[float, float] | None:
    """Mean and standard deviation of log F0 where voiced; None where nothing is."""
    f0 = np.asarray(f0)
    logs = np.log(f0[f0 > 0])
    return (float(logs.mean()), float(logs.std())) if len(logs) else None


def convert_f0(f0: ArrayLike, mean: float, deviation: float) -> np.ndarray:
    """Move and stretch log F0 to a mean and a deviation; unvoiced stays unvoiced.

        log f' = mean + deviation · (log f - mean of log f) / deviation of log f

    The ratio is kept between ½ and 2: a word of a few voiced frames has no reliable deviation.

    >>> convert_f0([100.0, 0.0, 121.0], np.log(220), 0.0953102).round(1)
    array([200.,   0., 242.])
    """
    f0 = np.asarray(f0, dtype=float)
    own = log_f0_moments(f0)
    if own is None:
        return f0.copy()
    ratio = np.clip(deviation / max(own[1], 1e-3), 0.5, 2.0)
    logs = mean + ratio * (np.log(np.where(f0 > 0, f0, 1.0)) - own[0])
    return np.where(f0 > 0, np.exp(logs), 0.0)
