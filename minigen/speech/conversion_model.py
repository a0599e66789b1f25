"""A VQ-VAE of speech: a waveform as 50 codes a second and back, by an encoder of MFCC and a WaveNet."""

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn

from .. import conditioning
from ..conditioning import HOP, PHASE_FEATURES, pitch_rows
from ..distributions import GaussianHead
from ..generate import draw_noise
from ..generate.numba import CompiledWaveNet
from ..vq import VQVAE, Quantized, VectorQuantizer
from ..wavenet import WaveNet
from ..weights import takes_networks
from .conversion_features import (
    FRAMES_A_CODE,
    N_MFCC,
    RATE,
    SPECTRUM,
    Features,
    convert_f0,
    extract,
    log_f0_moments,
)
from .recipe import arguments, check_table
from .voice import check_speaker


class _Encoder(nn.Sequential):
    """(B, 13, N) -> (B, D, N / 2); code n sees the frames 2n - 4 … 2n + 5, 100 ms."""

    def __init__(self, hidden: int, dim: int) -> None:
        super().__init__(
            nn.Conv1d(N_MFCC, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(hidden, hidden, 4, stride=FRAMES_A_CODE, padding=1),
            nn.ReLU(),
            nn.Conv1d(hidden, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(hidden, dim, 1),
        )


class _Conditioner(nn.Module):
    """Code vectors (B, D, N/2), pitch (B, 2, N), speaker (B,) -> hidden (B, H, N), conditioning (B, C, N)."""

    def __init__(self, dim: int, channels: int, speakers: int, hidden: int) -> None:
        super().__init__()
        self.input_projection = nn.Conv1d(dim + 2, hidden, 5, padding=2)
        self.speaker_embedding = nn.Embedding(speakers, hidden)
        self.middle = nn.Conv1d(hidden, hidden, 3, padding=1)
        self.output_projection = nn.Conv1d(hidden, channels, 3, padding=1)
        self.spectrum = nn.Conv1d(hidden, SPECTRUM, 1)

    def forward(self, z: Tensor, pitch: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        frames = z.repeat_interleave(FRAMES_A_CODE, dim=2)  # (B, D, N)
        voice = self.speaker_embedding(speaker).unsqueeze(-1)
        h = torch.tanh(self.input_projection(torch.cat([frames, pitch], dim=1)) + voice)
        h = torch.tanh(self.middle(h) + voice)
        return self.spectrum(h), torch.tanh(self.output_projection(h))


class _SpeakerClassifier(nn.Module):
    """Guesses the speaker from code vectors: (B, D, n) -> logits (B, S, n). See `ConversionLoss`."""

    def __init__(self, dim: int, speakers: int, layers: int) -> None:
        super().__init__()
        net: list[nn.Module] = []
        for index in range(layers):
            kernel = 5 if index == layers - 1 else 9
            net += [nn.Conv1d(64 if index else dim, 64, kernel, padding=kernel // 2), nn.ReLU()]
        self.net = nn.Sequential(*net, nn.Conv1d(64, speakers, 1))

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)


class SpeechVQVAE(VQVAE):
    """Encoder, quantiser, conditioner, WaveNet: a waveform as 50 codes a second and back.

        codes = quantise(encoder(MFCC))
        conditioning = upsample(conditioner(codes, voicing and F0, speaker)), phase of F0
        x ~ WaveNet(x | conditioning)

    Beside the conditioning, the conditioner predicts the mel-cepstrum of each frame, from which the
    encoder learns within a minute. `f0_predictor` guesses voicing and
    the shape of F0 from the codes, for utterances that are drawn from `CodePrior` and have no F0.

    Args:
        speakers: their names. wavenet: with cond_channels > 6.
        codebook_size: K. embedding_dim: D, numbers of a code vector.
        encoder, hidden: channels of the encoder and of the conditioner.
        decay: of the codebook's moving averages.
        adversary: hidden layers of the network that guesses the speaker in training.

    References: van den Oord, Vinyals and Kavukcuoglu, Neural Discrete Representation Learning, 2017
    (arXiv:1711.00937), section 4.3; Chorowski et al., Unsupervised Speech Representation Learning Using WaveNet
    Autoencoders, 2019 (arXiv:1901.08810).
    """

    @takes_networks
    def __init__(
        self,
        speakers: Sequence[str],
        wavenet: WaveNet,
        codebook_size: int = 128,
        embedding_dim: int = 16,
        encoder: int = 64,
        hidden: int = 64,
        decay: float = 0.99,
        adversary: int = 2,
    ) -> None:
        quantizer = VectorQuantizer(codebook_size, embedding_dim, decay=decay)
        super().__init__(_Encoder(encoder, embedding_dim), quantizer, None)  # it decodes itself
        self.speakers, self.frozen = tuple(speakers), False
        channels = wavenet.cond_channels - PHASE_FEATURES
        self.conditioner = _Conditioner(embedding_dim, channels, len(self.speakers), hidden)
        self.f0_predictor = nn.Sequential(
            nn.Conv1d(embedding_dim, 32, 5, padding=2),
            nn.Tanh(),
            nn.Conv1d(32, 32, 5, padding=2),
            nn.Tanh(),
            nn.Conv1d(32, 2 * FRAMES_A_CODE, 1),
        )
        self.adversary = _SpeakerClassifier(embedding_dim, len(self.speakers), adversary)
        self.wavenet = wavenet
        self.register_buffer("mfcc_scale", torch.ones(N_MFCC, 1))
        self.register_buffer("spectrum_mean", torch.zeros(SPECTRUM, 1))
        self.register_buffer("spectrum_scale", torch.ones(SPECTRUM, 1))
        self.register_buffer("log_f0", torch.zeros(len(self.speakers), 2))  # mean, deviation

    @classmethod
    def build(cls, recipe: dict) -> Self:
        """Untrained, from a recipe's tables `model` and `wavenet` and its `speakers`."""
        fields = arguments(WaveNet) | {"min_log_scale": (float, True)}
        net = check_table(recipe.get("wavenet"), fields, "[wavenet]")
        model = check_table(recipe.get("model"), arguments(cls), "[model]")
        head = GaussianHead(net.pop("min_log_scale"))
        return cls(recipe["speakers"], WaveNet(head, **net), **model)

    @torch.no_grad()
    def standardise(self, features: Sequence[Features], speakers: Sequence[int]) -> Self:
        """Take the scales of what is seen, and each speaker's pitch, from training clips."""
        mfcc = np.concatenate([f.mfcc for f in features], axis=1)
        spectrum = np.concatenate([f.spectrum for f in features], axis=1)
        scale = spectrum.std(axis=1)
        scale[1:] = np.sqrt(np.mean(scale[1:] ** 2))  # one for the shape, one for the level
        self.mfcc_scale.copy_(torch.from_numpy(mfcc.std(axis=1, keepdims=True)))
        self.spectrum_mean.copy_(torch.from_numpy(spectrum.mean(axis=1, keepdims=True)))
        self.spectrum_scale.copy_(torch.from_numpy(scale[:, None]))
        for index in range(len(self.speakers)):
            own = [f.f0 for f, who in zip(features, speakers, strict=True) if who == index]
            moments = [m for m in map(log_f0_moments, own) if m is not None]
            self.log_f0[index] = torch.tensor(np.mean(moments, axis=0))
        return self

    def _latents(self, mfcc: Tensor) -> Tensor:
        if mfcc.ndim != 3 or mfcc.shape[1] != N_MFCC or mfcc.shape[2] % FRAMES_A_CODE:
            raise ValueError(f"mfcc has shape (B, {N_MFCC}, N), N even, not {tuple(mfcc.shape)}")
        with torch.autocast(mfcc.device.type, enabled=False):
            return self.encoder(mfcc / self.mfcc_scale)

    def quantize(self, mfcc: Tensor) -> Quantized:
        """mfcc (B, 13, N) -> codes (B, N/2), their vectors (B, D, N/2), losses. In full precision."""
        self.quantizer.train(self.training and not self.frozen)
        return self.quantizer(self._latents(mfcc))

    @torch.no_grad()
    def encode(self, mfcc: Tensor) -> Tensor:
        """mfcc (B, 13, N) -> codes (B, N/2)."""
        return self.quantizer.nearest(self._latents(mfcc))

    def codes_of(self, x: ArrayLike | Features) -> Tensor:
        """The codes of a waveform at 8,000 Hz, or of its `Features`: (n,), 50 a second.

        >>> from minigen import data
        >>> from minigen.speech.conversion import load
        >>> model, _ = load()
        >>> codes = model.codes_of(data.example().audio)
        >>> codes.shape, codes.dtype
        (torch.Size([28]), torch.int64)
        """
        features = x if isinstance(x, Features) else extract(x)
        return self.encode(torch.from_numpy(features.mfcc)[None])[0]

    def index(self, speaker: str) -> int:
        """The number of a speaker, or an error that lists them."""
        check_speaker(self, speaker)
        return self.speakers.index(speaker)

    def pitched(self, f0: np.ndarray, speaker: str) -> np.ndarray:
        """F0 (N,) in Hz with the mean and the deviation of a speaker, by `convert_f0`."""
        return convert_f0(f0, *self.log_f0[self.index(speaker)].tolist())

    def condition(self, codes: Tensor, f0: np.ndarray, speaker: str) -> Tensor:
        """Codes (n,), F0 in Hz for each of 2n frames, a speaker -> what the WaveNet hears, (1, C, 160 n)."""
        return self._conditioning_of(codes, f0, speaker)(0, HOP * FRAMES_A_CODE * len(codes))

    @torch.no_grad()
    def _conditioning_of(self, codes: Tensor, f0: np.ndarray, speaker: str) -> Callable:
        """A function of the first sample and the one after the last -> the conditioning between, (1, C, last - first)."""
        f0 = np.asarray(f0, dtype=float)
        if codes.ndim != 1 or f0.shape != (FRAMES_A_CODE * len(codes),):
            raise ValueError(f"F0 is (2n,) for codes (n,), not {f0.shape} and {tuple(codes.shape)}")
        pitch = torch.from_numpy(pitch_rows(f0))[None]
        phi = conditioning.phase(f0, RATE)
        z = self.quantizer.embed(codes[None])
        frames = self.frames(z, pitch, torch.tensor([self.index(speaker)]))[1]

        def between(first: int, last: int) -> Tensor:
            a, b = max(0, first // HOP - 1), -(-last // HOP) + 1  # a frame more on either side
            own = conditioning.phase_features(phi[a * HOP : b * HOP], f0[a:b])
            part = upsample(frames[..., a:b], torch.from_numpy(own)[None])
            return part[..., first - a * HOP : last - a * HOP]

        return between

    def decode(
        self,
        codes: Tensor,
        f0: np.ndarray,
        speaker: str,
        seed: int = 0,
        temperature: float = 1.0,
    ) -> np.ndarray:
        """Codes (n,), F0 in Hz for each of 2n frames, a speaker's name -> a waveform (160 n,) float32."""
        net = CompiledWaveNet(self.wavenet, self._conditioning_of(codes, f0, speaker), None)
        samples = HOP * FRAMES_A_CODE * len(codes)
        noise = draw_noise(self.wavenet, 1, samples, torch.Generator().manual_seed(seed))
        return net.draw(noise[0].numpy(), temperature).clip(-1, 1)

    @torch.no_grad()
    def predict_f0(self, codes: Tensor, speaker: str) -> np.ndarray:
        """A guess at F0 (2n,) in Hz from codes (n,), at a speaker's pitch: 0 where unvoiced."""
        out = self.f0_predictor(self.quantizer.embed(codes[None]))[0]
        out = out.unflatten(0, (2, FRAMES_A_CODE)).transpose(1, 2)
        voiced, shape = out.flatten(1).numpy()  # (2n,) each
        mean, deviation = self.log_f0[self.index(speaker)].tolist()
        return np.where(voiced > 0, np.exp(mean + deviation * np.clip(shape, -2.5, 2.5)), 0.0)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, Quantized]:
        """A batch of `conversion_training.ConversionCrops` -> the WaveNet's params (B, 2, T), codes."""
        quantized = self.quantize(batch["mfcc"])
        cond = self.conditioning(quantized.z, batch["pitch"], batch["speaker"], batch["phase"])
        return self.wavenet(batch["audio"], cond), quantized

    def frames(self, z: Tensor, pitch: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """Code vectors (B, D, N/2), pitch rows (B, 2, N), speaker (B,) -> mel-cepstra (B, 25, N),
        conditioning (B, C - 6, N)."""
        spectrum, frames = self.conditioner(z, pitch, speaker)
        return spectrum * self.spectrum_scale + self.spectrum_mean, frames

    def conditioning(self, z: Tensor, pitch: Tensor, speaker: Tensor, phase: Tensor) -> Tensor:
        """The same and phase (B, 6, 80 N) -> what the WaveNet hears, (B, C, 80 N)."""
        return upsample(self.frames(z, pitch, speaker)[1], phase)


def upsample(frames: Tensor, phase: Tensor) -> Tensor:
    """Frames (B, C, N) by straight lines to samples, and phase (B, 6, 80 N) below: (B, C + 6, 80 N)."""
    up = F.interpolate(frames.float(), scale_factor=HOP, mode="linear")
    return torch.cat([up, phase], dim=1)
