"""Sound piece by piece: a student is heard while it speaks, in memory that does not grow.

`generate.ParallelStream` keeps what a piece needs of those before it. The conditioning of a frame depends on a few
frames either side, so a piece waits until those are planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from .. import conditioning
from ..conditioning import VoiceSpec
from ..generate import ParallelStream

__all__ = ["conditioning_pieces", "features", "pieces"]

Part = tuple[list | np.ndarray, np.ndarray]  # phones with their times, or mel bands; F0 a frame
CONTEXT = 3  # frames either side that a frame's conditioning depends on


def features(part: Part, spec: VoiceSpec) -> tuple[np.ndarray, np.ndarray]:
    """A planned part of speech -> frame features (F, N) and phase features (6, N · hop)."""
    given, f0 = part
    phase = conditioning.phase_features(conditioning.phase(f0, spec.rate), f0)
    return conditioning.inputs(given, f0, spec), phase


@torch.no_grad()
def conditioning_pieces(
    voice: nn.Module, parts: Iterable[Part], speaker: str, chunk: int
) -> Iterator[Tensor]:
    """Planned parts -> their conditioning, `chunk` frames at a time, (1, C, chunk · hop).

    Together the pieces are what the upsampler makes of all parts at once, but for the rounding of its
    interpolation, which knows the place of a frame to 7 digits. `parts` is read as it is needed.
    """
    spec, who = voice.spec, torch.tensor([voice.spec.speakers.index(speaker)])
    frames = np.zeros((spec.frame_features, 0), dtype=np.float32)
    phase = np.zeros((conditioning.PHASE_FEATURES, 0), dtype=np.float32)
    done, source, more = 0, iter(parts), True  # how many of `frames` were given out already
    while True:
        while more and frames.shape[1] < done + chunk + CONTEXT:
            part = next(source, None)
            if more := part is not None:
                f, p = features(part, spec)
                gone = max(0, done - CONTEXT)
                frames = np.concatenate([frames[:, gone:], f], 1)
                phase = np.concatenate([phase[:, gone * spec.hop :], p], 1)
                done -= gone
        now = min(chunk, frames.shape[1] - done)
        if now <= 0:
            return
        first, last = max(0, done - CONTEXT), min(done + now + CONTEXT, frames.shape[1])
        cond = voice.upsampler(
            torch.from_numpy(frames[None, :, first:last].copy()),
            who,
            torch.from_numpy(phase[None, :, first * spec.hop : last * spec.hop].copy()),
        )
        yield cond[..., (done - first) * spec.hop : (done - first + now) * spec.hop]
        done += now


def pieces(
    voice: nn.Module,
    parts: Iterable[Part],
    speaker: str,
    generator: torch.Generator,
    temperature: float = 1.0,
    chunk: int = 48,
) -> Iterator[np.ndarray]:
    """Planned parts -> audio of a StudentVoice, `chunk` frames at a time, (T_i,) float32.

    Noise drawn in multiples of 16 values is, at 8 and 16 kHz, the noise that one draw of all would be.
    """
    if chunk < 16 or chunk % 16:
        raise ValueError(f"chunk is a number of frames, a multiple of 16, not {chunk}")
    return _pieces(voice, conditioning_pieces(voice, parts, speaker, chunk), generator, temperature)


def _pieces(
    voice: nn.Module, conds: Iterable[Tensor], generator: torch.Generator, temperature: float
) -> Iterator[np.ndarray]:
    flows = ParallelStream(voice.student)
    for cond in conds:
        noise = voice.student.noise(torch.randn(1, 1, cond.shape[-1], generator=generator))
        yield flows(temperature * noise, cond)[0, 0].clamp(-1, 1).numpy()
