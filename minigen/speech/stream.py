"""Sound piece by piece: a student is heard while it speaks, in memory that does not grow.

`generate.ParallelStream` keeps what a piece needs of those before it. The conditioning of a frame depends on a few
frames either side, so a piece waits until those are planned.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from .. import conditioning
from ..conditioning import VoiceSpec
from ..generate import ParallelStream
from ..weights import takes_networks

Part = tuple[list | np.ndarray, np.ndarray]  # phones with their times, or mel bands; F0 a frame
CONTEXT = 3  # frames either side that a frame's conditioning depends on


def windows(
    parts: Iterable[Part], spec: VoiceSpec, chunk: int
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Planned parts, read as they are needed -> `chunk` frames after the other, each with those around it.

    -> which frames of the window are new, its frame features (1, F, n), its phase features (1, P, n · hop)
    """
    hop, first, source, more = spec.hop, 0, iter(parts), True
    frames = np.zeros((spec.frame_features, 0), dtype=np.float32)
    phase = np.zeros((spec.phase_features, 0), dtype=np.float32)
    while True:
        while more and frames.shape[1] < first + chunk + CONTEXT:
            part = next(source, None)
            if more := part is not None:
                new = conditioning.planned_features(*part, spec)
                frames, phase = np.hstack([frames, new[0]]), np.hstack([phase, new[1]])
        now = min(chunk, frames.shape[1] - first)
        if now <= 0:
            return
        last, gone = first + now + CONTEXT, max(0, first + now - CONTEXT)
        window = frames[None, :, :last].copy(), phase[None, :, : last * hop].copy()
        yield slice(first, first + now), *map(torch.from_numpy, window)
        frames, phase = frames[:, gone:], phase[:, gone * hop :]
        first += now - gone


@torch.no_grad()
@takes_networks
def conditioning_pieces(
    voice: nn.Module, parts: Iterable[Part], speaker: str, chunk: int
) -> Iterator[Tensor]:
    """Planned parts -> their conditioning, `chunk` frames at a time, (1, C, chunk · hop).

    Together the pieces are what the upsampler makes of all parts at once, but for the rounding of its
    interpolation, which knows the place of a frame to 7 digits.
    """
    hop, who = voice.spec.hop, torch.tensor([voice.spec.speakers.index(speaker)])
    for new, frames, phase in windows(parts, voice.spec, chunk):
        yield voice.upsampler(frames, who, phase)[..., new.start * hop : new.stop * hop]


@torch.no_grad()
@takes_networks
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
    flows = ParallelStream(voice.student)
    for cond in conditioning_pieces(voice, parts, speaker, chunk):
        noise = voice.student.noise(torch.randn(1, 1, cond.shape[-1], generator=generator))
        yield flows(temperature * noise, cond)[0, 0].clamp(-1, 1).numpy()
