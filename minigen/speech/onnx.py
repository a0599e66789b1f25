"""A student as an ONNX file: one graph that other programs run without PyTorch and without this package.

The all-pole filter of a waveform model is a loop over samples. In the graph it is a loop over frames of 10 ms: a
short frame of linear prediction is a linear map of its own input and of the last K samples before it, and
these maps are made for all short frames at once.
"""

import inspect
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..audio import write_whole
from ..flows.linear_prediction import SUBFRAMES
from ..wavenet import WaveNet
from ..weights import takes_networks
from .band_correction import REACH, correct
from .stream import CONTEXT
from .waveform_model import ExcitationStudent

RINGING = 20  # frames in which an all-pole filter forgets what it began with
INPUTS = ("noise", "frames", "speaker", "phase")


class Graph(nn.Module):
    """What the file computes: white noise of the student's base and the features of what is said -> audio.

    noise (B, 1, T), frames (B, F, N), speaker (B,), phase (B, P, T) -> audio (B, 1, T), T = N · hop.
    """

    @takes_networks
    def __init__(self, voice: nn.Module) -> None:
        super().__init__()
        self.voice = voice

    def forward(self, noise: Tensor, frames: Tensor, speaker: Tensor, phase: Tensor) -> Tensor:
        cond = self.voice.upsampler(frames, speaker, phase)
        made, _, _ = self.voice.student(noise, cond)
        if isinstance(self.voice, ExcitationStudent):
            spec = self.voice.spec
            made = _all_pole(made, *self.voice.predictor({"frames": frames}), spec.hop)
            made = correct(made, self.voice.bands(frames), spec.rate)
        return made.clamp(-1, 1)


def _all_pole(e: Tensor, a: Tensor, g: Tensor, hop: int) -> Tensor:
    """`LinearPrediction.inverse` of e (B, 1, T): x (B, 1, T), `hop` samples in a frame of SUBFRAMES predictors."""
    hop, order, batch = hop // SUBFRAMES, a.shape[1], e.shape[0]
    a = a.transpose(1, 2).reshape(batch, -1, SUBFRAMES, order)
    u = e.reshape(batch, -1, SUBFRAMES, hop) * g.reshape(batch, -1, SUBFRAMES, 1)
    response = [torch.ones_like(a[..., 0])]  # to an impulse
    for n in range(1, hop):
        terms = [a[..., k - 1] * response[n - k] for k in range(1, min(n, order) + 1)]
        response.append(torch.stack(terms).sum(0))
    h = torch.stack(response, -1)
    own = torch.stack([F.pad(h[..., : hop - j], (j, 0)) for j in range(hop)], -1)
    # what the last K samples, oldest first, add to the input at n: Σ_{k>n} a_k x[n-k]
    ringing = [F.pad(a[..., n:].flip(-1), (min(n, order), 0)) for n in range(hop)]
    driven = (own @ u.unsqueeze(-1)).squeeze(-1)
    recursion = torch.jit.script(_recursion)  # keeps its loop, whatever the length
    return recursion(driven, own @ torch.stack(ringing, -2)).reshape(batch, 1, -1)


def _recursion(driven: Tensor, ringing: Tensor) -> Tensor:
    """x_s = driven_s + ringing_s · (the last K samples before), short frame by short frame, (B, N, S, hop)."""
    frames: list[Tensor] = []
    past = torch.zeros_like(ringing[:, 0, 0, 0])  # (B, K)
    for n in range(driven.shape[1]):
        parts: list[Tensor] = []
        for s in range(driven.shape[2]):
            x = driven[:, n, s] + torch.matmul(ringing[:, n, s], past.unsqueeze(-1)).squeeze(-1)
            past = torch.cat([past, x], -1)[:, -ringing.shape[4] :]
            parts.append(x)
        frames.append(torch.stack(parts, 1))
    return torch.stack(frames, 1)


@contextmanager
def _as_convolutions(model: nn.Module) -> Iterator[None]:
    """Let each WaveNet predict by a convolution: the same sums, and `unfold` needs a loop in ONNX."""
    nets = [net for net in model.modules() if isinstance(net, WaveNet) and net.lpc_order]

    def predictor(net: WaveNet):
        weight = net.linear.detach().flip(0)[None, None]  # (1, 1, K)
        return lambda past: F.conv1d(F.pad(past, (net.lpc_order - 1, 0)), weight)

    for net in nets:
        net._predict = predictor(net)
    try:
        yield
    finally:
        for net in nets:
            del net._predict


@takes_networks
def export(voice: nn.Module, path: Path | str, opset: int = 17) -> None:
    """Write a StudentVoice or an ExcitationStudent as one ONNX file with weights, for any batch and any length.

    The inputs are those of `Graph`; `minigen.conditioning.planned_features` makes frames and phase. The file's
    metadata hold rate, hop, speakers and phones, and the density of the noise, base.

    Memory grows with the length: long sound is made some frames at a time. A piece is given `context` frames more
    on either side (that is in the metadata, too), whose sound is cut off.

    It goes through the exporter that traces (`dynamo=False`), which works from PyTorch 2.4 on.

    Raises ModuleNotFoundError: the package onnx is not there. ValueError: not a student's voice, or a path that
    does not end in .onnx.
    """
    path = Path(path)
    if path.suffix != ".onnx" or not path.parent.is_dir():
        raise ValueError(f"{path} must be a file in an existing folder, and its name end in .onnx")
    if not hasattr(voice, "student"):
        raise ValueError(f"a student can be written as ONNX, not a {type(voice).__name__}")
    try:
        import onnx
    except ImportError as error:
        raise ModuleNotFoundError(
            'to write ONNX, install the package onnx: pip install "onnx>=1.16"'
        ) from error
    spec = voice.spec
    n, generator = 20, torch.Generator().manual_seed(0)
    example = (
        torch.randn(2, 1, n * spec.hop, generator=generator),
        torch.randn(2, spec.frame_features, n, generator=generator),
        torch.zeros(2, dtype=torch.long),
        torch.randn(2, spec.phase_features, n * spec.hop, generator=generator),
    )
    axes = {name: {0: "batch", 2: "samples"} for name in ("noise", "phase", "audio")}
    axes |= {"frames": {0: "batch", 2: "frames"}, "speaker": {0: "batch"}}
    options = {"input_names": list(INPUTS), "output_names": ["audio"], "dynamic_axes": axes}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:  # from 2.5 on
        options["dynamo"] = False
    graph = Graph(voice).eval()
    traced = io.BytesIO()
    with _as_convolutions(graph), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this exporter is the older one; sizes are traced
        torch.onnx.export(graph, example, traced, opset_version=opset, **options)
    model = onnx.load_from_string(traced.getvalue())
    facts = {"rate": spec.rate, "hop": spec.hop, "base": voice.student.base}
    facts["context"] = CONTEXT + -(-voice.student.receptive_field // spec.hop)
    facts["context"] += (RINGING + REACH) * isinstance(voice, ExcitationStudent)
    facts |= {"speakers": " ".join(spec.speakers), "phones": " ".join(spec.phones)}
    onnx.helper.set_model_props(model, {name: str(value) for name, value in facts.items()})
    onnx.checker.check_model(model)
    with write_whole(path) as place:
        place.write_bytes(model.SerializeToString())
