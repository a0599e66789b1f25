"""A VAE of spoken words: latent directions that change tempo, pitch and voice, and back to sound.

A word becomes one vector x of D = 417 numbers, with its tempo and its pitch free:

    log-mel spectrum on 16 equally spaced moments of the word (24 bands each), log F0 and voicing at these
    moments, and the logarithm of the duration in seconds

`VAE` learns p(x) with a Gaussian likelihood. `synthesize` turns x back to sound, with the vocoder of chapter 3 or with
the student of `waveform_model`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.fft import dct
from torch import Tensor

from .. import weights
from ..audio import FLOOR, mel_cepstrum, mel_filterbank, mel_spectrogram, pitch
from ..audio.source_filter import FRAME, continuous_log_f0, vocode
from ..data import Utterance
from ..vae import VAE
from . import waveform_model
from .corpus import LOUD
from .vocoder import synthesise

RATE = 8000  # Hz
BANDS, MOMENTS = 24, 16
DIM = MOMENTS * (BANDS + 2) + 1
FFT, HOP = 256, 40  # 32 ms, 5 ms


def vector(clip: Utterance) -> np.ndarray:
    """A word as numbers (417,): log-mel (16 · 24), log F0 (16), voicing (16), log duration (1)."""
    if clip.rate != RATE or clip.f0 is None or clip.phones is None:
        raise ValueError(f"need a clip at {RATE} Hz with phones and F0, as `spoken_digits` has")
    spoken = [phone for phone in clip.phones if phone[0] != "pau"]
    begin, end = spoken[0][1], spoken[-1][2]  # seconds
    mel = mel_spectrogram(clip.audio, RATE, FFT, HOP, BANDS)  # (24, N)
    log_f0, voiced = continuous_log_f0(clip.f0, mel.shape[1])
    at = np.linspace(begin, end, MOMENTS) / FRAME  # in frames
    frames = np.arange(mel.shape[1])
    rows = [np.interp(at, frames, row) for row in (*mel, log_f0, voiced)]
    return np.concatenate([np.stack(rows[:BANDS], 1).ravel(), *rows[BANDS:], [np.log(end - begin)]])


def _frames(x: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """A word's numbers -> log-mel bands (24, N) and F0 (N,) for frames so far apart, 40 ms to 2 s of them."""
    mel = x[: MOMENTS * BANDS].reshape(MOMENTS, BANDS)
    log_f0, voiced = x[MOMENTS * BANDS : -1].reshape(2, MOMENTS)
    n = round(np.clip(np.exp(x[-1]), 0.04, 2) / seconds)
    at = np.linspace(0, MOMENTS - 1, n)
    columns = [np.interp(at, np.arange(MOMENTS), c) for c in (*mel.T, log_f0, voiced)]
    f0 = np.where(columns[-1] > 0.5, np.exp(np.clip(columns[-2], np.log(50), np.log(500))), 0.0)
    return np.stack(columns[:BANDS]), f0


def synthesize(x: np.ndarray, seed: int = 0, by: str = "pulses") -> np.ndarray:
    """A word's numbers (417,) -> sound at 8,000 Hz; 50 ms of silence around it.

    The spectra are interpolated to as many frames as the duration asks for.

    Args:
        by: "pulses": source and filter, pulses where voicing is above ½ and noise elsewhere. "student": the
            student of `waveform_model`, conditioned on the same spectra and F0.
    """
    x = np.asarray(x, dtype=float)
    if x.shape != (DIM,) or not np.isfinite(x).all():
        raise ValueError(f"a word is {DIM} finite numbers, not {x.shape}")
    if by == "student":
        return _by_student(*_frames(x, 0.01), seed)
    if by != "pulses":
        raise ValueError(f'by is "pulses" or "student", not {by!r}')
    mel, f0 = _frames(x, FRAME)
    cepstrum = dct(mel.T, type=2, axis=1, norm="ortho")  # (n, 24)
    return np.pad(vocode(cepstrum, f0, RATE, seed, n_mels=BANDS), 400)


def _by_student(mel: np.ndarray, f0: np.ndarray, seed: int) -> np.ndarray:
    """Log-mel bands (24, N) and F0 (N,) each 10 ms -> sound, by a student conditioned on other bands, at one level."""
    spread = np.linalg.pinv(mel_filterbank(RATE, FFT, BANDS))  # (129, 24)
    magnitude = np.maximum(spread @ np.exp(mel), FLOOR)
    window = np.hanning(FFT + 1)[:-1]
    rms = np.sqrt(2 * np.sum(magnitude**2, axis=0) / FFT / np.sum(window**2))  # Parseval
    gain = LOUD / np.quantile(rms, 0.9)  # about the level that the student learned at
    bands = np.log(gain * (mel_filterbank(RATE, FFT, waveform_model.load().spec.mels) @ magnitude))
    silence = ((0, 0), (5, 5))  # frames
    bands = np.pad(bands, silence, constant_values=np.log(FLOOR))
    return synthesise(bands, np.pad(f0, 5), seed=seed) / gain


class Measured(NamedTuple):
    """Measured on a sound: `duration` in s, median `f0` in Hz (0 if none), `spectrum` (24,)."""

    duration: float
    f0: float
    spectrum: np.ndarray


def measure(sound: np.ndarray) -> Measured:
    """Duration above -35 dB of the loudest frame, median F0 of voiced frames, mean mel-cepstrum.

    The mean is over the frames above that level, and leaves out the level itself, c[0].
    """
    cepstrum = mel_cepstrum(sound, RATE).T  # (N, 25)
    level = cepstrum[:, 0] * 20 / np.log(10) / np.sqrt(32)  # dB, as the transform is orthonormal
    loud = np.flatnonzero(level > level.max() - 35)
    f0 = pitch.f0(sound, RATE)
    voiced = f0[f0 > 0]
    return Measured(
        float((loud[-1] - loud[0] + 1) * FRAME),
        float(np.median(voiced)) if len(voiced) else 0.0,
        cepstrum[loud, 1:].mean(0),
    )


class WordVAE(VAE):
    """`VAE` of word vectors, with the mean and the scale of each number kept inside.

    Args: latent_dim, hidden, and the rest: see `VAE`.
    """

    def __init__(self, latent_dim: int = 16, hidden: Sequence[int] = (128,), **options) -> None:
        super().__init__(DIM, latent_dim, hidden, "gaussian", min_log_scale=-3.0, **options)
        self.register_buffer("centre", torch.zeros(DIM))
        self.register_buffer("scale", torch.ones(DIM))

    @torch.no_grad()
    def standardise(self, x: Tensor) -> Tensor:
        """Take centre and scale from training vectors (N, 417). One scale for each of the four kinds."""
        self.centre.copy_(x.mean(0))
        start = 0
        for size in (MOMENTS * BANDS, MOMENTS, MOMENTS, 1):
            part = slice(start, start + size)
            self.scale[part] = (x[:, part] - self.centre[part]).square().mean().sqrt()
            start += size
        return self.inward(x)

    def inward(self, x: Tensor) -> Tensor:
        """Word vectors -> what the networks see."""
        return (x - self.centre) / self.scale

    def outward(self, x: Tensor) -> Tensor:
        """And back."""
        return x * self.scale + self.centre

    @torch.no_grad()
    def latents(self, clips: Sequence[Utterance]) -> Tensor:
        """The mean of q(z | x) of clips, (N, L)."""
        x = torch.tensor(np.stack([vector(clip) for clip in clips]), dtype=self.centre.dtype)
        return self.encode(self.inward(x))[0]

    @torch.no_grad()
    def word(self, z: Tensor) -> np.ndarray:
        """The mean word vector of a latent (L,) -> (417,), for `synthesize`."""
        return self.outward(self.mean(z)).double().numpy()


def load() -> tuple[WordVAE, dict]:
    """The trained model and its card (data, command, seconds, results), from the package.

    >>> model, card = load()
    >>> model.latent_dim, sorted(card["spearman"])
    (16, ['accent', 'pitch', 'tempo', 'voice'])
    """
    tensors, card = weights.load("vae_words")
    return weights.frozen(WordVAE(**card["model"]), tensors), card
