"""A student as an ONNX file: one graph that other programs run without PyTorch and without this package."""

from __future__ import annotations

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
from ..conditioning import PHASE_FEATURES
from ..wavenet import WaveNet

__all__ = ["INPUTS", "Graph", "export"]

INPUTS = ("noise", "frames", "speaker", "phase")


class Graph(nn.Module):
    """What the file computes: white noise of the student's base and the features of text -> audio.

    noise (B, 1, T), frames (B, F, N), speaker (B,), phase (B, 6, T) -> audio (B, 1, T), T = N · hop.
    """

    def __init__(self, voice: nn.Module) -> None:
        super().__init__()
        self.upsampler, self.student = voice.upsampler, voice.student

    def forward(self, noise: Tensor, frames: Tensor, speaker: Tensor, phase: Tensor) -> Tensor:
        cond = self.upsampler(frames, speaker, phase)
        audio, _, _ = self.student(noise, cond)
        return audio.clamp(-1, 1)


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


def export(voice: nn.Module, path: Path | str, opset: int = 17) -> None:
    """Write a StudentVoice as one ONNX file with weights, for any batch and any length.

    The inputs are those of `Graph`; `minigen.speech.stream.features` makes frames and phase of a plan. The file's
    metadata hold rate, hop, speakers and phones, and the density of the noise, base.

    It goes through the exporter that traces (`dynamo=False`), which works from PyTorch 2.4 on. The other one
    needs a minute and more for the same graph.

    Raises:
        ModuleNotFoundError: the package onnx is not there.
        ValueError: not a student's voice, or a path that does not end in .onnx.
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
        torch.randn(2, PHASE_FEATURES, n * spec.hop, generator=generator),
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
    facts |= {"speakers": " ".join(spec.speakers), "phones": " ".join(spec.phones)}
    onnx.helper.set_model_props(model, {name: str(value) for name, value in facts.items()})
    onnx.checker.check_model(model)
    with write_whole(path) as place:
        place.write_bytes(model.SerializeToString())
