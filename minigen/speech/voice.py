"""The digit voices: conditioning and network put together, and those that ship.

A teacher is an upsampler and a WaveNet, a student the same upsampler and inverse autoregressive flows. A
file of weights remembers the recipe that made it: `load` reads it back. `synthesis` speaks with a voice, `training` makes one. A voice that says any sentence is another thing:
`voice_file`.
"""

from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from .. import weights
from ..conditioning import DIGITS, Upsampler, VoiceSpec
from ..distributions import DiscretizedLogisticMixture, GaussianHead, Head
from ..parallel_wavenet import Student
from ..wavenet import WaveNet
from .recipe import Recipe

RATE = 8_000  # Hz, of every voice that ships


class TeacherVoice(nn.Module):
    """Upsampler and WaveNet: log p(waveform | phones, times, F0, speaker)."""

    @weights.takes_networks
    def __init__(self, wavenet: WaveNet, hidden: int = 48, spec: VoiceSpec = DIGITS) -> None:
        super().__init__()
        self.spec = spec
        self.upsampler = _upsampler(wavenet.cond_channels, hidden, spec)
        self.wavenet = wavenet

    @classmethod
    def build(
        cls, spec: VoiceSpec, hidden: int, min_log_scale: float, mixture: int = 0, **wavenet: float
    ) -> Self:
        """From a recipe's table [model]. The head is a Gaussian, or a mixture of logistics at 16 bits."""
        head: Head = GaussianHead(min_log_scale)
        if mixture:
            head = DiscretizedLogisticMixture(mixture, min_log_scale=min_log_scale)
        return cls(WaveNet(head, **wavenet), hidden, spec)

    def conditioning(self, batch: dict[str, Tensor]) -> Tensor:
        """-> (B, C, T)."""
        return self.upsampler(batch["frames"], batch["speaker"], batch["phase"])

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """-> params (B, P, T)."""
        return self.wavenet(batch["audio"], self.conditioning(batch))


class StudentVoice(nn.Module):
    """The teacher's upsampler, frozen, and a student: noise to waveform in one pass."""

    @weights.takes_networks
    def __init__(self, upsampler: Upsampler, student: Student, spec: VoiceSpec = DIGITS) -> None:
        super().__init__()
        self.spec = spec
        self.upsampler = upsampler.requires_grad_(False)
        self.student = student

    @classmethod
    def build(
        cls, spec: VoiceSpec, hidden: int, cond_channels: int, **student: float | str
    ) -> Self:
        """From a recipe's table [model]."""
        upsampler = _upsampler(cond_channels, hidden, spec)
        return cls(upsampler, Student(cond_channels=cond_channels, **student), spec)

    def conditioning(self, batch: dict[str, Tensor]) -> Tensor:
        """-> (B, C, T), without a gradient."""
        with torch.no_grad():
            return self.upsampler(batch["frames"], batch["speaker"], batch["phase"])


def _upsampler(channels: int, hidden: int, spec: VoiceSpec) -> Upsampler:
    return Upsampler(channels, len(spec.speakers), hidden, spec.frame_features, spec.hop)


KINDS = {"teacher": TeacherVoice, "student": StudentVoice}


# ---------------------------------------------------------------- weights
def load(kind: str = "student", path: Path | str | None = None) -> TeacherVoice | StudentVoice:
    """A trained voice, from the package or from `path` (a checkpoint or an exported file).

    >>> student = load("student")
    >>> sum(weight.numel() for weight in student.parameters()) < 500_000
    True
    """
    file = _file(kind, path)
    tensors, notes = weights.load(file)
    model = KINDS[kind].build(DIGITS, **_recipe(notes, kind, file).model)
    fill(model, part(tensors, "ema."), file)
    return model.eval().requires_grad_(False)


def shared(kind: str = "student", path: Path | str | None = None) -> TeacherVoice | StudentVoice:
    """As `load`, but the same object at every call, until the file changes: it is to be left as it is."""
    return _shared(_file(kind, path), kind)


@weights.until_changed
def _shared(file: Path, kind: str) -> TeacherVoice | StudentVoice:
    return load(kind, file)


def recipe_of(kind: str, path: Path | str | None = None) -> Recipe:
    """The recipe that made a shipped voice, or a file of weights."""
    file = _file(kind, path)
    return _recipe(weights.notes(file), kind, file)


def card(kind: str = "student") -> dict:
    """How a shipped voice came about: {"stages": [{recipe, step, minutes, curve}, …]}.

    >>> [stage["step"] for stage in card("student")["stages"]]
    [6000]
    """
    return weights.card(_file(kind, None).stem)


def _file(kind: str, path: Path | str | None) -> Path:
    if not isinstance(kind, str):
        raise TypeError(f"a model is a name, not {type(kind).__name__}")
    if kind not in KINDS:
        raise ValueError(f"no model {kind!r:.80}: choose one of {', '.join(KINDS)}")
    return Path(path) if path is not None else weights.path(f"digits_{kind}")


def _recipe(notes: dict, kind: str, file: Path) -> Recipe:
    held = (notes.get("recipe") or {}).get("kind", "model of another chapter")
    if held != kind:
        raise ValueError(f"{file} does not hold a {kind} but a {held}: give a file of a {kind}")
    return Recipe.from_dict(notes["recipe"], f"the recipe in {file}")


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Of a checkpoint's tensors those under a prefix, without it; an exported file has no prefixes."""
    if not any(name.startswith(prefix) for name in tensors):
        return tensors
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


@weights.takes_networks
def fill(model: nn.Module, tensors: dict[str, Tensor], path: Path | str) -> None:
    """load_state_dict, with an error that names the file."""
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(
            f"the weights in {path} are not those of this model, but of another recipe or version"
        ) from error


def check_speaker(spec, speaker: str) -> None:  # spec: a VoiceSpec, or a model with .speakers
    """An error unless the voice has that speaker."""
    if speaker not in spec.speakers:
        raise ValueError(f"no speaker {speaker!r}: choose one of {', '.join(spec.speakers)}")
