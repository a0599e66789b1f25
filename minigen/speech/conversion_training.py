"""Training of `conversion_model.SpeechVQVAE`: which crops a step sees, and the loss. `training/vq_speech.py` runs it."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..conditioning import HOP, pitch_rows
from ..distributed import mean_over_processes
from ..vq import jitter, jitter_shifts
from ..weights import takes_networks
from .conversion_features import FRAMES_A_CODE, Features, warped_mfcc
from .conversion_model import SpeechVQVAE, upsample
from .corpus import Batches, CropSampler
from .objectives import weighted_mean

WARPS = 9  # factors from 1/vtlp to vtlp; the middle one is 1


class ConversionCrops(Batches):
    """Which crops each training step sees, cut as `corpus.Crops` cuts them.

    Args:
        features: of the clips. speakers: the index of each clip's.
        batch: crops a step. frames: of 10 ms in a crop, even.
        jitter: the chance of each code to be replaced by a neighbour.
        dither: standard deviation of the white noise added to the audio.
        dim: D of the code vectors, for the latent noise of `ConversionLoss`.
        vtlp: the encoder sees each crop as from a vocal tract that is shorter or longer by up to this
            factor (`conversion_features.warped_mfcc`), one of nine for a crop; nothing else changes. What
            the length of the tract says about the speaker is thus of less use to the codes. 1 turns it off.
        seed: of the choice.
    """

    def __init__(
        self,
        features: Sequence[Features],
        speakers: Sequence[int],
        batch: int,
        frames: int,
        jitter: float = 0.12,
        dither: float = 0.0005,
        dim: int = 16,
        vtlp: float = 1.0,
        seed: int = 0,
    ) -> None:
        if batch < 1 or frames < FRAMES_A_CODE or frames % FRAMES_A_CODE:
            raise ValueError(f"batch is at least 1 and frames even, not {batch=}, {frames=}")
        self.batch, self.frames, self.seed, self.warped = batch, frames, seed, vtlp != 1
        self.jitter, self.dither, self.dim = jitter, dither, dim
        pools: list[list[dict]] = [[] for _ in range(max(speakers) + 1)]
        for clip, who in zip(features, speakers, strict=True):
            rows = clip._asdict()
            if self.warped:
                factors = vtlp ** np.linspace(-1, 1, WARPS)
                rows["warped"] = np.stack([warped_mfcc(clip, factor) for factor in factors])
            pools[who].append(rows)
        self.sampler = CropSampler(pools, frames, grid=FRAMES_A_CODE)

    def item(self, step: int, index: int) -> dict[str, np.ndarray]:
        """One crop: audio (1, 80 N), mfcc, spectrum, pitch (2, N), phase (6, 80 N), speaker, shifts, noise."""
        rng = np.random.default_rng([self.seed, step, index])
        speaker, crop = self.sampler(rng)
        codes = self.frames // FRAMES_A_CODE
        audio = crop["audio"] + rng.normal(0, self.dither, self.frames * HOP)
        got = {
            "audio": audio[None].astype(np.float32),
            "mfcc": crop["mfcc"],
            "spectrum": crop["spectrum"],
            "pitch": pitch_rows(crop["f0"]),
            "phase": crop["phase"],
            "speaker": np.int64(speaker),
            "shifts": jitter_shifts((codes,), self.jitter, rng),
            "noise": rng.standard_normal((self.dim, codes)).astype(np.float32),
        }
        if self.warped:  # drawn last, so that nothing else depends on it
            got["mfcc"] = crop["warped"][int(rng.integers(WARPS))]
        return got


class GradientReversal(torch.autograd.Function):
    """Forwards nothing happens; backwards the gradient is multiplied by -weight."""

    @staticmethod
    def forward(ctx, z: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return z.view_as(z)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradient, None


class ConversionLoss(nn.Module):
    """Objective: what the codes must do, as a weighted sum.

        waveform · NLL of a sample, weighted by its scale as in `Likelihood`
        + spectrum · mean squared error of the predicted mel-cepstra, in units of their deviation
        + commitment · |z - sg[e]|² / D
        + cross-entropy of a classifier that guesses the speaker from the codes; on the way to the encoder
          its gradient is multiplied by -speaker, so that the encoder learns to give it less to go by
        + the error of `f0_predictor`, whose gradient does not reach the codes

    Args:
        model: with `frozen`, encoder and codes stay as they are, and only the decoder learns.
        waveform, spectrum, commitment, speaker: weights. beta: of the NLL's weighting by scale.
        latent_noise: length of the noise added to code vectors on their way to the decoder, in units of the median
            distance from a code to the next. A sound is often given one code by one speaker and the next
            code by another; so blurred, the decoder says both alike.

    References: Ganin et al., Domain-Adversarial Training of Neural Networks, 2016 (arXiv:1505.07818), for
    the reversed gradient.
    """

    @takes_networks
    def __init__(
        self,
        model: SpeechVQVAE,
        waveform: float = 1.0,
        spectrum: float = 1.0,
        commitment: float = 0.25,
        speaker: float = 0.3,
        beta: float = 0.5,
        latent_noise: float = 0.0,
    ) -> None:
        super().__init__()
        weights = {"waveform": waveform, "spectrum": spectrum, "commitment": commitment}
        for name, value in (weights | {"speaker": speaker, "latent_noise": latent_noise}).items():
            if not value >= 0:
                raise ValueError(f"{name} must be 0 or more, not {value}")
        self.model, self.waveform, self.spectrum = model, waveform, spectrum
        self.commitment, self.speaker, self.beta = commitment, speaker, beta
        self.latent_noise = latent_noise

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        model = self.model
        out = model.quantize(batch["mfcc"])
        z = jitter(out.z, batch["shifts"])  # (B, D, N/2)
        if self.latent_noise:
            step = self.latent_noise * _distance_to_next(model.quantizer.codebook)
            z = z + step * batch["noise"] / z.shape[1] ** 0.5
        if model.frozen:
            z = z.detach()
        spectrum, frames = model.conditioner(z, batch["pitch"], batch["speaker"])
        target = (batch["spectrum"] - model.spectrum_mean) / model.spectrum_scale
        error = (spectrum - target).square().mean()
        loss = self.spectrum * error
        metrics = {"spectrum": error.item(), "commitment": out.commitment_loss.item()}
        if not model.frozen:
            who = batch["speaker"][:, None].expand(-1, z.shape[2])
            guess = model.adversary(GradientReversal.apply(out.z, self.speaker))
            adversary = F.cross_entropy(guess, who)
            f0_predictor = _f0_error(model.f0_predictor(out.z.detach()), batch["pitch"])
            loss = loss + self.commitment * out.commitment_loss / model.quantizer.embedding_dim
            loss = loss + adversary + f0_predictor
            metrics |= {"adversary": adversary.item(), "f0_predictor": f0_predictor.item()}
        if self.waveform:
            net = model.wavenet
            params = net(batch["audio"], upsample(frames, batch["phase"]))
            known = net.receptive_field
            nll = -net.head.log_prob(params, batch["audio"])[:, known:]
            log_scale = net.head.split(params)[1][:, 0, known:]
            loss = loss + self.waveform * weighted_mean(nll, log_scale, self.beta)
            metrics["nll"] = nll.mean().item()
        return loss, metrics


def _distance_to_next(codebook: Tensor) -> Tensor:
    """The median distance from a code to the one nearest to it."""
    between = torch.cdist(codebook, codebook)
    return between.fill_diagonal_(torch.inf).min(dim=1).values.median()


def _f0_error(guess: Tensor, pitch: Tensor) -> Tensor:
    """(B, 4, N/2) against pitch rows (B, 2, N): log-loss of voicing, squared error of standard log F0."""
    guess = guess.float().unflatten(1, (2, FRAMES_A_CODE)).transpose(2, 3).flatten(2)  # (B, 2, N)
    voiced, log_f0 = pitch[:, 0], pitch[:, 1]
    count = voiced.sum(1, keepdim=True).clamp(min=1)
    mean = (voiced * log_f0).sum(1, keepdim=True) / count
    deviation = ((voiced * (log_f0 - mean).square()).sum(1, keepdim=True) / count).sqrt()
    shape = (log_f0 - mean) / deviation.clamp(min=0.02)
    error = (voiced * (guess[:, 1] - shape).square()).mean()
    error = error / mean_over_processes(voiced.mean()).clamp(min=1e-6)
    return F.binary_cross_entropy_with_logits(guess[:, 0], voiced) + 0.1 * error
