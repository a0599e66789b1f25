"""Analysis and synthesis: any recording to mel spectrum and F0, and by a student back to sound.

    waveform -> level, log-mel bands and F0 each 10 ms -> conditioning -> student -> waveform

What lies between is 34 numbers a frame, less than half of the 80 samples that the frame has, and nothing of
the waveform's phase: what comes out is another waveform that sounds like the first. The network is a voice like
the others (`voice`), but it is told how the recording sounds instead of what is said and by whom.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike

from .. import conditioning, weights
from ..audio import pitch, resample
from ..conditioning import VoiceSpec
from . import stream as streaming
from . import voice

__all__ = ["analyse", "network", "synthesise", "vocode"]


def analyse(x: np.ndarray, spec: VoiceSpec) -> tuple[np.ndarray, np.ndarray, float]:
    """A waveform (T,) at `spec.rate` -> log-mel bands (M, N), F0 in Hz (N,) a frame of 10 ms, its level.

    The waveform is brought to the level `voice.LOUD` first. N = T / hop, rounded up.

    Raises:
        ValueError: there is nothing to hear in x.

    >>> from minigen import data
    >>> spec = VoiceSpec((), 8000, ("anybody",), mels=32)
    >>> mel, f0, level = analyse(data.example().audio, spec)
    >>> mel.shape == (32, len(f0)), 0 < level < 1
    (True, True)
    """
    level = voice.level(x, spec.rate)
    if len(x) < 5 * spec.hop or level < 1e-4:
        raise ValueError(f"{len(x) / spec.rate:.2f} s, as good as silent: nothing to vocode")
    x = np.pad(x, (0, -len(x) % spec.hop)) * (voice.LOUD / level)
    n = len(x) // spec.hop
    f0 = pitch.f0(x, spec.rate)[:n]
    mel = conditioning.mel_bands(x, spec.rate, spec.mels)
    return mel, np.pad(f0, (0, n - len(f0))), level


def vocode(
    x: ArrayLike,
    rate: int,
    model: str = "student",
    seed: int = 0,
    temperature: float = 1.0,
) -> voice.Spoken:
    """A recording, taken apart and made again.

    Args:
        x: (T,) mono, in -1 … 1. rate: of it; it is resampled to the vocoder's, 8,000 Hz of the shipped one.
        model: "student", which goes through x in pieces of about a second; "teacher", sample by sample; or a
            file of weights of a vocoder of either kind.
        seed, temperature: of the noise.

    Raises:
        ValueError: there is nothing to hear in x, or `model` is no vocoder.

    References:
        Shen et al., Natural TTS Synthesis by Conditioning WaveNet on Mel Spectrogram Predictions, 2018
        (arXiv:1712.05884), for a WaveNet that is told mel spectra; Ping, Peng and Chen, ClariNet, 2018
        (arXiv:1807.07281), for a parallel one.

    >>> from minigen import data
    >>> clip = data.example()
    >>> made = vocode(clip.audio, clip.rate)
    >>> made.rate, len(made.audio) == len(clip.audio)
    (8000, True)
    """
    x = np.asarray(x)
    if x.ndim != 1 or not np.issubdtype(x.dtype, np.floating) or not np.isfinite(x).all():
        raise ValueError(f"a waveform is (T,) finite floats, not {x.dtype} {x.shape}")
    voice.check_temperature(temperature)
    spec = network(model).spec
    x = resample(x, rate, spec.rate)
    mel, f0, level = analyse(x, spec)
    start = time.perf_counter()
    made = synthesise(mel, f0, model, seed, temperature)[: len(x)]
    seconds = time.perf_counter() - start
    made = np.clip(made * (level / voice.LOUD), -1, 1).astype(np.float32)
    return voice.Spoken(made, spec.rate, seconds)


def synthesise(
    mel: np.ndarray, f0: np.ndarray, model: str = "student", seed: int = 0, temperature: float = 1.0
) -> np.ndarray:
    """The second half of `vocode`: bands (M, N) and F0 (N,), wherever from -> a waveform (N · hop,) float32."""
    net = network(model)
    if isinstance(net, voice.StudentVoice):
        generator = torch.Generator().manual_seed(seed)
        pieces = streaming.pieces(net, [(mel, f0)], voice.ANYBODY, generator, temperature, chunk=96)
        return np.concatenate(list(pieces))
    cond = voice.conditioning_for(net, [(mel, f0)], voice.ANYBODY)
    return voice.say(net, cond, seed, temperature, "numba")[0]


@cache
def network(model: str = "student") -> voice.TeacherVoice | voice.StudentVoice:
    """The vocoder that `model` names: see `vocode`."""
    if model in voice.VOICES:
        return voice.load(model, voice="vocoder")
    if not Path(model).is_file():
        raise ValueError(
            f"no model {model!r}: choose student or teacher, or give a file of weights"
        )
    held = weights.notes(model).get("recipe", {}).get("kind")
    net = voice.load("teacher" if held == "teacher" else "student", model)
    if not net.spec.mels:
        raise ValueError(f"{model} is told phones, not mel bands: it speaks, and cannot vocode")
    return net
