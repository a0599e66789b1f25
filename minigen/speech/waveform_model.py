"""The waveform model: mel bands and F0 of each frame of 10 ms -> sound, whoever speaks.

    mel, F0 -> upsampler -> conditioning c
    mel -> power spectrum -> Levinson -> predictor a, g            (chapter 5)
    noise z -> inverse autoregressive flows, given c -> e          (chapter 13)
    e -> all-pole filter with a and g -> x                         (`flows.linear_prediction`)
    x -> what its own bands lack of mel, put back -> sound         (`band_correction`)

The teacher is a WaveNet of the excitation e: log p(x) = log p(e) - Σ_t log g. Given the past, e[t] and x[t] differ
by a shift and a scale that teacher and student share, so the KL of the one to the other is the same in e as in x,
and stays closed. The spectral losses are about x, and their gradient goes through the filter.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .. import conditioning, weights
from ..conditioning import PHASE_FEATURES, QUIET, RAISED, Upsampler, VoiceSpec
from ..distributions import GaussianHead
from ..flows.linear_prediction import SUBFRAMES, LinearPrediction, Predictor, predictor_from_mel
from ..generate import ParallelStream, generate
from ..parallel_wavenet import Student
from ..wavenet import WaveNet
from .band_correction import correct, correct_pieces
from .stream import Part, windows

ANYBODY = "anybody"  # the one speaker of a model that is conditioned on sounds


class _WaveformModel(nn.Module):
    """What teacher and student share: conditioning, predictor and filter.

    Args:
        rate, mels, lpc_order: see `VoiceSpec`.
        noise: deviation of the white noise in the recordings that it learns from, in their units.
        hidden, cond_channels: of the upsampler.
    """

    def __init__(
        self,
        rate: int = 8_000,
        mels: int = 32,
        lpc_order: int = 16,
        noise: float = 5e-4,
        hidden: int = 64,
        cond_channels: int = 33,
    ) -> None:
        super().__init__()
        self.spec = VoiceSpec((), rate, (ANYBODY,), mels, lpc_order)
        self.noise, self.flow = noise, LinearPrediction()
        shape = self.spec.frame_features, self.spec.hop, self.spec.phase_features
        self.upsampler = Upsampler(cond_channels, 1, hidden, *shape)
        self.register_buffer("scale", torch.ones(()))  # of the gain: see `calibrate`

    def conditioning(self, batch: dict[str, Tensor]) -> Tensor:
        """-> (B, C, T)."""
        return self.upsampler(batch["frames"], batch["speaker"], batch["phase"])

    def predictor(self, batch: dict[str, Tensor]) -> Predictor:
        """-> coefficients (B, K, S), gain (B, S), S = N · SUBFRAMES."""
        spec, mel = self.spec, self.bands(batch["frames"])
        return predictor_from_mel(mel, spec.rate, spec.lpc_order, self.noise, self.scale)

    def bands(self, frames: Tensor) -> Tensor:
        """Frame features (B, F, N) -> the log-mel bands among them (B, M, N)."""
        return (frames[:, : self.spec.mels] + 1) * RAISED + QUIET

    def excitation(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The recording without what its mel bands predict: e (B, 1, T), log|det de/dx| (B,)."""
        return self.flow(batch["audio"], self.predictor(batch))

    def sound(self, e: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """e (B, 1, T) -> x (B, 1, T)."""
        return self.flow.inverse(e, self.predictor(batch))[0]

    @torch.no_grad()
    def calibrate(self, batches: Iterable[dict[str, Tensor]]) -> float:
        """Set the scale with which the median of |e| is that of a standard normal, 0.6745."""
        self.scale.fill_(1.0)
        e = torch.cat([self.excitation(batch)[0].flatten() for batch in batches])
        return float(self.scale.fill_(e.abs().median() / 0.6745))

    def _batch(self, frames: Tensor, phase: Tensor) -> dict[str, Tensor]:
        return {"frames": frames, "phase": phase, "speaker": torch.zeros(1, dtype=torch.long)}


class ExcitationTeacher(_WaveformModel):
    """log p(x | mel, F0), by a WaveNet of the excitation.

    Args:
        min_log_scale: of the Gaussian head, in units of e.
        residual, skip, layers, cycles, kernel: of the `WaveNet`. shared: of the conditioning, see above.

    >>> ExcitationTeacher(residual=4, skip=4, layers=2, cycles=1).wavenet.receptive_field
    4
    """

    def __init__(
        self,
        residual: int = 40,
        skip: int = 40,
        layers: int = 8,
        cycles: int = 2,
        kernel: int = 2,
        min_log_scale: float = -5.0,
        **shared: float,
    ) -> None:
        super().__init__(**shared)
        head, channels = GaussianHead(min_log_scale), self.upsampler.channels
        sizes = {"layers": layers, "cycles": cycles, "kernel": kernel, "cond_channels": channels}
        self.wavenet = WaveNet(head, residual=residual, skip=skip, **sizes)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """-> params (B, 2, T), e (B, 1, T), log|det de/dx| (B,)."""
        with torch.no_grad():  # nothing to learn in it
            e, log_det = self.excitation(batch)
        return self.wavenet(e, self.conditioning(batch)), e, log_det

    def log_prob(self, batch: dict[str, Tensor]) -> Tensor:
        """log p(x | mel, F0) in nats, summed over time: (B,)."""
        params, e, log_det = self(batch)
        return self.wavenet.head.log_prob(params, e).sum(1) + log_det

    @torch.no_grad()
    def synthesize(
        self,
        mel: np.ndarray,
        f0: np.ndarray,
        seed: int = 0,
        temperature: float = 1.0,
        backend: str = "numba",
    ) -> np.ndarray:
        """Bands (M, N), F0 (N,) -> a waveform (N · hop,) float32, sample by sample, by a `backend` of `generate`."""
        features = conditioning.planned_features(mel, f0, self.spec)
        batch = self._batch(*(torch.from_numpy(rows)[None] for rows in features))
        generator = torch.Generator().manual_seed(seed)
        e = generate(
            self.wavenet,
            self.conditioning(batch),
            backend=backend,
            generator=generator,
            temperature=temperature,
        )
        x = correct(self.sound(e, batch), self.bands(batch["frames"]), self.spec.rate)
        return x[0, 0].clamp(-1, 1).numpy()


class ExcitationStudent(_WaveformModel):
    """The teacher's upsampler, frozen, and a student: noise -> excitation in one pass -> sound.

    Args: flows, layers, residual, kernel: of the `Student`. shared: of the conditioning, see above.

    >>> student = ExcitationStudent(flows=1, layers=2, residual=4)
    >>> student.synthesize(np.zeros((32, 20)), np.full(20, 120.0)).shape
    (1600,)
    """

    def __init__(
        self, flows: int = 4, layers: int = 8, residual: int = 32, kernel: int = 2, **shared: float
    ) -> None:
        super().__init__(**shared)
        self.upsampler.requires_grad_(False)
        sizes = {"kernel": kernel, "cond_channels": self.upsampler.channels}
        self.student = Student(flows, layers, residual, log_scale=0.0, **sizes)

    def synthesize(
        self, mel: np.ndarray, f0: np.ndarray, seed: int = 0, temperature: float = 1.0
    ) -> np.ndarray:
        """Bands (M, N), F0 (N,) -> a waveform (N · hop,) float32."""
        generator = torch.Generator().manual_seed(seed)
        return np.concatenate(list(self.pieces([(mel, f0)], generator, temperature, chunk=96)))

    @torch.no_grad()
    def pieces(
        self,
        parts: Iterable[Part],
        generator: torch.Generator,
        temperature: float = 1.0,
        chunk: int = 48,
    ) -> Iterator[np.ndarray]:
        """Parts of speech, read as they are needed -> audio, `chunk` frames at a time, (T_i,) float32.

        Together the pieces are the one pass over all parts. What is carried from piece to piece: what the flows
        look back on, the last samples of x for the filter, and REACH frames for the correction. Noise drawn in
        multiples of 16 values is the noise that one draw of all would be.
        """
        made = self._uncorrected(parts, generator, temperature, chunk)
        for x in correct_pieces(made, self.spec.rate):
            yield x[0, 0].clamp(-1, 1).numpy()

    def _uncorrected(
        self, parts: Iterable[Part], generator: torch.Generator, temperature: float, chunk: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Parts of speech -> what the filter makes, (1, 1, n · hop), and the bands that it should have, (1, M, n)."""
        hop, order, flows = self.spec.hop, self.spec.lpc_order, ParallelStream(self.student)
        past = torch.zeros(1, order)
        for new, frames, phase in windows(parts, self.spec, chunk):
            batch = self._batch(frames, phase)
            cond = self.conditioning(batch)[..., new.start * hop : new.stop * hop]
            own = slice(new.start * SUBFRAMES, new.stop * SUBFRAMES)
            a, g = (value[..., own] for value in self.predictor(batch))
            noise = torch.randn(1, 1, cond.shape[-1], generator=generator)
            e = flows(temperature * self.student.noise(noise), cond)
            x = self.flow.inverse(e, Predictor(a, g), past)[0]
            past = x[:, 0, -order:]
            yield x, self.bands(frames)[..., new]


class ExcitationLikelihood(nn.Module):
    """Objective: the mean negative log-likelihood of e, in nats per sample. No weights: e has one scale everywhere.

    The first `receptive_field` samples of a crop are context only. `nll` among the metrics is that of x.
    """

    @weights.takes_networks
    def __init__(self, model: ExcitationTeacher) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        net = self.model.wavenet
        params, e, log_det = self.model(batch)
        nll = -net.head.log_prob(params, e)[:, net.receptive_field :]
        voiced = batch["phase"][:, :PHASE_FEATURES].square().sum(1) > 1.5
        metrics = {
            "nll": nll.mean() - log_det.mean() / e.shape[-1],
            "voiced": nll[voiced[:, net.receptive_field :]].mean(),
            "log_scale": params[:, 1].mean(),
        }
        return nll.mean(), {name: value.item() for name, value in metrics.items()}


KINDS = {"teacher": ExcitationTeacher, "student": ExcitationStudent}


def build(kind: str, tensors: dict[str, Tensor], sizes: dict) -> _WaveformModel:
    """A trained model from its weights and its recipe's table [model]."""
    return weights.frozen(KINDS[kind](**sizes), tensors)


def load(model: str | Path = "student") -> ExcitationStudent | ExcitationTeacher:
    """The model that ships, "student" or "teacher", or one from a file: the same object until the file changes.

    >>> load("student").spec.mels
    32
    """
    if not isinstance(model, str | Path):
        raise TypeError(f"model is a name or a file of weights, not {type(model).__name__}")
    file = weights.path(f"waveform_{model}") if model in KINDS else Path(model)
    if not file.is_file():
        raise ValueError(f"no model {str(model)!r:.80}: choose student or teacher, or give a file")
    return _shared(file)


@weights.until_changed
def _shared(file: Path) -> ExcitationStudent | ExcitationTeacher:
    tensors, notes = weights.load(file)
    recipe = notes.get("recipe") or {}
    held = str(recipe.get("kind", "model of another chapter"))
    kind = held.removeprefix("waveform ")
    if held == kind or kind not in KINDS:
        raise ValueError(f"{file} holds no waveform model but a {held}")
    return build(kind, tensors, recipe["model"])
