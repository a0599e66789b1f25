"""Analysis and synthesis: any recording to mel spectrum and F0, and by a student back to sound.

    waveform -> level, log-mel bands and F0 each 10 ms -> conditioning -> student -> waveform

What lies between is 34 numbers a frame, less than half of the 80 samples that the frame has, and nothing of
the waveform's phase: what comes out is another waveform that sounds like the first. A recording of any length is
taken apart some seconds at a time, and made again piece by piece by `waveform_model`.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike

from .. import audio, conditioning
from ..audio import check_waveform, pitch, resample, speech_level, to_level
from ..conditioning import VoiceSpec
from . import waveform_model
from .corpus import LOUD
from .stream import Part
from .synthesis import Spoken, check_seed, check_temperature, one_thread
from .waveform_model import ExcitationStudent, ExcitationTeacher

PART = 1500  # frames that are taken apart at once: 15 s
MARGIN = 100  # frames either side that are looked at, too
# A recording at the network's rate, each time from the start.
Blocks = Callable[[], Iterable[np.ndarray]]


@one_thread()
def vocode(
    x: ArrayLike, rate: int, model: str = "student", seed: int = 0, temperature: float = 1.0
) -> Spoken:
    """A recording, taken apart and made again.

    Args:
        x: (T,) mono, in -1 … 1. rate: of it; it is resampled to the vocoder's, 8,000 Hz of the shipped one.
        model: "student", which goes through x in pieces of about a second; "teacher", sample by sample; or a
            file of weights of either kind.
        seed, temperature: of the noise.

    Raises ValueError: there is no sound in x, or `model` is no waveform model.

    References: Shen et al., Natural TTS Synthesis by Conditioning WaveNet on Mel Spectrogram Predictions, 2018
    (arXiv:1712.05884), for a WaveNet that is conditioned on mel spectra; Ping, Peng and Chen, ClariNet, 2018
    (arXiv:1807.07281), for a parallel one.

    >>> from minigen import data
    >>> clip = data.example()
    >>> made = vocode(clip.audio, clip.rate)
    >>> made.rate, len(made.audio) == len(clip.audio)
    (8000, True)
    """
    x = check_waveform(x)
    if not isinstance(rate, Integral) or not 100 <= rate <= 10**7:
        raise ValueError(
            f"rate is a whole number of Hz, 100 or more, not {rate!s:.40}".split("\n")[0]
        )
    net = waveform_model.load(model)
    x = resample(x, rate, net.spec.rate)
    start = time.perf_counter()
    made = np.concatenate(list(_made_again(lambda: [x], net, seed, temperature)))
    return Spoken(made[: len(x)], net.spec.rate, time.perf_counter() - start)


def of_file(
    path: Path | str, model: str = "student", seed: int = 0, temperature: float = 1.0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`vocode` for a file, in memory that does not grow: (made, recorded) piece by piece."""
    net = waveform_model.load(model)
    blocks = lambda: audio.blocks(path, net.spec.rate)
    recorded, held = blocks(), np.zeros(0, np.float32)
    for piece in _made_again(blocks, net, seed, temperature):
        while len(held) < len(piece) and (block := next(recorded, None)) is not None:
            held = np.concatenate([held, block])
        yield piece[: len(held)], held[: len(piece)]
        held = held[len(piece) :]


def _made_again(
    blocks: Blocks, net: ExcitationStudent | ExcitationTeacher, seed: int, temperature: float
) -> Iterator[np.ndarray]:
    """Blocks of a recording -> what the network makes of it, piece by piece, at its level."""
    check_temperature(temperature)
    check_seed(seed)
    spec, found, samples = net.spec, [], 0
    for block in blocks():
        found.append(speech_level(block, spec.rate) if len(block) >= spec.hop else 0.0)
        samples += len(block)
    active = np.array([one for one in found if one > 0.1 * max(found)])
    loud = float(np.sqrt(np.mean(active**2))) if len(active) else 0.0
    if samples < 5 * spec.hop or loud < 1e-4:
        raise ValueError(f"{samples / spec.rate:.2f} s, as good as silent: nothing to vocode")
    parts = _taken_apart(blocks(), spec, loud)
    for piece in _synthesised(parts, net, seed, temperature):
        yield np.clip(piece * (loud / LOUD), -1, 1).astype(np.float32)


def _taken_apart(
    blocks: Iterable[np.ndarray], spec: VoiceSpec, loud: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of a recording -> (bands (M, N), F0 (N,)), PART frames at a time, cut where nothing is voiced."""
    held, begin, hop = np.zeros(0, np.float32), 0, spec.hop  # of `held`, frames given out already
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= (needed := (begin + PART + MARGIN) * hop):
            mel, f0 = _bands_and_f0(held[:needed], spec, loud)
            last = begin + PART
            quiet = np.flatnonzero(f0[begin + PART // 2 : last] == 0)
            last = begin + PART // 2 + quiet[-1] if len(quiet) else last
            yield mel[:, begin:last], f0[begin:last]
            gone = max(0, last - MARGIN)
            held, begin = held[gone * hop :], last - gone
    mel, f0 = _bands_and_f0(held, spec, loud)
    yield mel[:, begin:], f0[begin:]


def _bands_and_f0(x: np.ndarray, spec: VoiceSpec, loud: float) -> tuple[np.ndarray, np.ndarray]:
    """Of a part of a recording whose level is `loud`, without its offset, at the level LOUD."""
    own = speech_level(x, spec.rate)
    heard = own >= 1e-4 and len(x) >= 5 * spec.hop
    x = to_level(x, spec.rate, LOUD * own / loud) if heard else 0 * x
    x = np.pad(x, (0, -len(x) % spec.hop))
    n = len(x) // spec.hop
    f0 = pitch.f0(x, spec.rate)[:n]
    return conditioning.mel_bands(x, spec.rate, spec.mels), np.pad(f0, (0, n - len(f0)))


def synthesise(
    mel: np.ndarray, f0: np.ndarray, model: str = "student", seed: int = 0, temperature: float = 1.0
) -> np.ndarray:
    """The second half of `vocode`: bands (M, N) and F0 (N,), wherever from -> a waveform (N · hop,) float32."""
    check_temperature(temperature)
    check_seed(seed)
    pieces = _synthesised([(mel, f0)], waveform_model.load(model), seed, temperature)
    return np.concatenate(list(pieces))


def _synthesised(
    parts: Iterable[Part], net: ExcitationStudent | ExcitationTeacher, seed: int, temperature: float
) -> Iterator[np.ndarray]:
    if isinstance(net, ExcitationStudent):
        yield from net.pieces(parts, torch.Generator().manual_seed(seed), temperature, chunk=96)
        return
    for part in parts:
        yield net.synthesize(*part, seed, temperature)
