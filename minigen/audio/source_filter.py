"""Chapter 1: the source-filter vocoder, from mel-cepstra and F0 to a waveform; chapter 3 speaks with it.

Features are mel-cepstra (the shape of the spectrum) and F0, one row each 5 ms. The source is pulses at
F0 or noise, the filter the minimum-phase one with the envelope of the cepstra.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import idct

from ..data import Utterance
from ..data.utterance import F0_FRAME
from .spectrum import FLOOR, frame_length, hz_to_mel, istft, mel_cepstrum, mel_filterbank, stft

FRAME = 0.005  # seconds from one frame to the next
N_MELS = 32


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
    """The source: pulses F0 times a second where voiced, else white noise.

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


def resynthesise(clip: Utterance, cepstrum: ArrayLike, buzz: float = 1.0) -> np.ndarray:
    """Mel-cepstra (N, K) with a clip's F0 and length, by `vocode`: (T,) float64."""
    log_f0, voicing = continuous_log_f0(clip.f0, len(cepstrum))
    f0 = np.where(voicing > 0.5, np.exp(log_f0), 0)
    return vocode(cepstrum, f0, clip.rate, buzz=buzz)[: len(clip.audio)].astype(float)


def copy_synthesis(clip: Utterance, buzz: float = 1.0) -> np.ndarray:
    """A recording with F0, taken apart to cepstra and F0 and made again by `vocode`: (T,) float64.

    >>> from minigen import data
    >>> clip = data.spoken_digits()[0]
    >>> copy_synthesis(clip).shape == clip.audio.shape
    True
    """
    return resynthesise(clip, mel_cepstrum(clip.audio, clip.rate).T, buzz)
