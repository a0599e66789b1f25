"""Training of `conversion.SpeechVQVAE`: which crops, which loss, which stages.

A recipe is a TOML file (`training/vq_*_voice.toml`); `train` follows it, `export` keeps the averaged weights.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import weights
from ..conditioning import HOP, pitch_rows
from ..data import Utterance, fsdd
from ..train import TrainConfig, Trainer
from ..vq import jitter, jitter_shifts
from .conversion import (
    FRAMES_A_CODE,
    Features,
    SpeechVQVAE,
    hear,
    hear_stretched,
    upsample,
    weights_of,
)
from .corpus import held_out
from .start import network_from

__all__ = ["ConversionLoss", "SpeechBatches", "corpus", "export", "train"]


STRETCHES = 9  # factors from 1/stretch to stretch; the middle one is 1


class SpeechBatches:
    """Which crops each training step sees: of several clips of one speaker in a row, as `DigitBatches`.

    Args:
        features: of the clips. speakers: the index of each clip's.
        batch: crops a step. frames: of 10 ms in a crop, even.
        jitter: the chance of each code to be replaced by a neighbour.
        dither: standard deviation of the white noise added to the audio.
        dim: D of the code vectors, for the noise of `ConversionLoss`'s `blur`.
        stretch: the encoder hears each crop as from a vocal tract that is shorter or longer by up to this
            factor (`conversion.hear_stretched`), one of nine for a crop; nothing else changes. What the
            length of the tract says about the speaker is thus no use to the codes. 1 turns it off.
        seed: of the choice. Item i of step s depends on (seed, s, i) alone.
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
        stretch: float = 1.0,
        seed: int = 0,
    ) -> None:
        if batch < 1 or frames < FRAMES_A_CODE or frames % FRAMES_A_CODE:
            raise ValueError(f"batch is at least 1 and frames even, not {batch=}, {frames=}")
        self.batch, self.frames, self.seed = batch, frames, seed
        self.jitter, self.dither, self.dim = jitter, dither, dim
        factors = stretch ** np.linspace(-1, 1, STRETCHES) if stretch != 1 else ()
        self.pools: list[list[Features]] = [[] for _ in range(max(speakers) + 1)]
        self.stretched: dict[int, list[np.ndarray]] = {}  # `heard` by each factor, by the clip's id
        for clip, who in zip(features, speakers, strict=True):
            self.pools[who].append(clip)
            self.stretched[id(clip)] = [hear_stretched(clip, factor) for factor in factors]
        if not all(self.pools):
            raise ValueError("SpeechBatches needs clips of every speaker")

    def item(self, step: int, index: int) -> dict[str, np.ndarray]:
        """One crop: audio (1, 80 N), heard, spectrum, pitch (2, N), phase (6, 80 N), speaker, shifts, noise."""
        rng = np.random.default_rng([self.seed, step, index])
        speaker = int(rng.integers(len(self.pools)))
        pool, chosen, first, have = self.pools[speaker], [], 0, 0
        while have < first + self.frames:
            chosen.append(pool[rng.integers(len(pool))])
            have += chosen[-1].heard.shape[1]
            if len(chosen) == 1:
                first = FRAMES_A_CODE * int(rng.integers(have // FRAMES_A_CODE))
        last = first + self.frames
        row = lambda name, hop: np.concatenate([getattr(c, name) for c in chosen], axis=-1)[
            ..., first * hop : last * hop
        ]
        codes = self.frames // FRAMES_A_CODE
        audio = row("audio", HOP) + rng.normal(0, self.dither, self.frames * HOP)
        got = {
            "audio": audio[None].astype(np.float32),
            "heard": row("heard", 1),
            "spectrum": row("spectrum", 1),
            "pitch": pitch_rows(row("f0", 1)),
            "phase": row("phase", HOP),
            "speaker": np.int64(speaker),
            "shifts": jitter_shifts((codes,), self.jitter, rng),
            "noise": rng.standard_normal((self.dim, codes)).astype(np.float32),
        }
        if any(self.stretched.values()):  # drawn last, so that nothing else depends on it
            which = int(rng.integers(STRETCHES))
            heard = np.concatenate([self.stretched[id(c)][which] for c in chosen], axis=1)
            got["heard"] = heard[:, first:last]
        return got

    def __call__(self, step: int, shard: int = 0, shards: int = 1) -> dict[str, Tensor]:
        if self.batch % shards:
            raise ValueError(f"a batch of {self.batch} cannot be shared by {shards} processes")
        items = [self.item(step, index) for index in range(shard, self.batch, shards)]
        return {name: torch.from_numpy(np.stack([i[name] for i in items])) for name in items[0]}


class _Reverse(torch.autograd.Function):
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

        waveform · NLL of a sample, weighted by its scale as in `objectives.Likelihood`
        + spectrum · mean squared error of the predicted mel-cepstra, in units of their deviation
        + commitment · |z - sg[e]|² / D
        + speaker · cross-entropy of a critic that guesses the speaker from the codes; its gradient
          is reversed on the way to the encoder, which so learns to give it nothing to go by
        + the error of `melody`, whose gradient does not reach the codes

    Args:
        model: with `frozen`, encoder and codes stay as they are, and only the decoder learns.
        waveform, spectrum, commitment, speaker: weights. beta: of the NLL's weighting by scale.
        blur: length of the noise added to code vectors on their way to the decoder, in units of the median
            distance from a code to the next. A sound is often given one code by one speaker and the next
            code by another; so blurred, the decoder says both alike.

    References: Ganin et al., Domain-Adversarial Training of Neural Networks, 2016 (arXiv:1505.07818), for
    the reversed gradient.
    """

    def __init__(
        self,
        model: SpeechVQVAE,
        waveform: float = 1.0,
        spectrum: float = 1.0,
        commitment: float = 0.25,
        speaker: float = 0.3,
        beta: float = 0.5,
        blur: float = 0.0,
    ) -> None:
        super().__init__()
        self.model, self.waveform, self.spectrum = model, waveform, spectrum
        self.commitment, self.speaker, self.beta = commitment, speaker, beta
        self.blur = blur

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        model = self.model
        out = model.quantize(batch["heard"])
        z = jitter(out.z, batch["shifts"])  # (B, D, N/2)
        if self.blur:
            step = self.blur * _distance_to_next(model.quantizer.codebook)
            z = z + step * batch["noise"] / z.shape[1] ** 0.5
        if model.frozen:
            z = z.detach()
        spectrum, frames = model.conditioner(z, batch["pitch"], batch["speaker"])
        target = (batch["spectrum"] - model.spectrum_mean) / model.spectrum_scale
        error = (spectrum - target).square().mean()
        loss = self.spectrum * error
        watched = {"spectrum": error.item(), "commitment": out.commitment_loss.item()}
        if not model.frozen:
            who = batch["speaker"][:, None].expand(-1, z.shape[2])
            guess = model.critic(_Reverse.apply(out.z, self.speaker))
            critic = F.cross_entropy(guess, who)
            melody = _melody_error(model.melody(out.z.detach()), batch["pitch"])
            loss = loss + self.commitment * out.commitment_loss / model.quantizer.embedding_dim
            loss = loss + critic + melody
            watched |= {"critic": critic.item(), "melody": melody.item()}
        if self.waveform:
            net = model.wavenet
            params = net(batch["audio"], upsample(frames, batch["phase"]))
            known = net.receptive_field
            nll = -net.head.log_prob(params, batch["audio"])[:, known:]
            log_scale = net.head.split(params)[1][:, 0, known:].detach()
            weight = torch.exp(2 * self.beta * log_scale)
            loss = loss + self.waveform * (weight * nll).sum() / weight.sum()
            watched["nll"] = nll.mean().item()
        return loss, watched


def _distance_to_next(codebook: Tensor) -> Tensor:
    """The median distance from a code to the one nearest to it."""
    between = torch.cdist(codebook, codebook)
    return between.fill_diagonal_(torch.inf).min(dim=1).values.median()


def _melody_error(guess: Tensor, pitch: Tensor) -> Tensor:
    """(B, 4, N/2) against pitch rows (B, 2, N): log-loss of voicing, squared error of standard log F0."""
    guess = guess.float().unflatten(1, (2, FRAMES_A_CODE)).transpose(2, 3).flatten(2)  # (B, 2, N)
    voiced, log_f0 = pitch[:, 0], pitch[:, 1]
    count = voiced.sum(1, keepdim=True).clamp(min=1)
    mean = (voiced * log_f0).sum(1, keepdim=True) / count
    deviation = ((voiced * (log_f0 - mean).square()).sum(1, keepdim=True) / count).sqrt()
    shape = (log_f0 - mean) / deviation.clamp(min=0.02)
    error = (voiced * (guess[:, 1] - shape).square()).sum() / voiced.sum().clamp(min=1)
    return F.binary_cross_entropy_with_logits(guess[:, 0], voiced) + 0.1 * error


def corpus(name: str) -> tuple[list[Utterance], list[Utterance]]:
    """Clips of "spoken_digits" or "fsdd" to learn from, and clips held out, as `corpus.held_out` cuts them."""
    if name not in ("spoken_digits", "fsdd"):
        raise ValueError(f"no corpus {name!r}: choose spoken_digits or fsdd")
    return held_out(fsdd() if name == "fsdd" else None, name)


# ---------------------------------------------------------------- stages

STAGES = ("codes", "voice")
LEARNED_FIRST = ("encoder.", "quantizer.", "melody.", "critic.")


def prepare(recipe: dict) -> tuple[SpeechVQVAE, list[Features], list[int]]:
    """The untrained model, the features of the training clips, and the index of each clip's speaker."""
    learn, _ = corpus(recipe["corpus"])
    speakers = [recipe["speakers"].index(clip.speaker) for clip in learn]
    features = [hear(clip.audio, clip.f0) for clip in learn]
    torch.manual_seed(recipe["seed"])
    return SpeechVQVAE.build(recipe).standardise(features, speakers), features, speakers


def train(
    recipe: dict, out: Path | str, resume: bool = False, until: str | None = None
) -> SpeechVQVAE:
    """Follow a recipe, stage by stage (`STAGES`), each with its checkpoints in a folder of its own.

    A stage with `freeze` keeps encoder and codes as they are. `init_from` is a file whose WaveNet the
    decoder starts at; without it, it starts at the least-squares linear predictor. A recipe with `model_from`
    goes on from the whole model in that file. After `until` the work stops. Returns the averaged model.
    """
    out = Path(out)
    model, features, speakers = prepare(recipe)
    begun = "model_from" in recipe or any("init_from" in recipe.get(name, {}) for name in STAGES)
    if "model_from" in recipe:
        own = model.state_dict()
        critic = {name: own[name] for name in own if name.startswith("critic.")}  # was not kept
        model.load_state_dict(critic | weights_of(recipe["model_from"])[0])
    for stage in (name for name in STAGES if name in recipe):
        part = recipe[stage]
        batches = SpeechBatches(
            features, speakers, dim=recipe["model"]["embedding_dim"], **part["data"]
        )
        model.frozen = part.get("freeze", False)
        silent = part["objective"].get("waveform") == 0
        if "init_from" in part:
            network_from(model.wavenet, "wavenet.", part["init_from"])
        elif not silent and not begun:
            model.wavenet.init_from_data(torch.cat([batches(step)["audio"] for step in range(16)]))
        for name, weight in model.named_parameters():
            kept = model.frozen and name.startswith(LEARNED_FIRST)
            weight.requires_grad_(not (kept or silent and name.startswith("wavenet.")))
        objective = ConversionLoss(model, **part["objective"])
        trainer = Trainer(objective, batches, TrainConfig(**part["run"]), out / stage, recipe)
        begin = time.process_time()
        watched = trainer.run(resume)
        _add_minutes(out / stage, (time.process_time() - begin) / 60)
        print(f"{stage}: {watched}, {minutes_of(out)[stage]:.1f} processor minutes", flush=True)
        model.load_state_dict(trainer.ema.shadow)  # the next stage goes on from the average
        if stage == until:
            break
    return model.eval()


def _add_minutes(folder: Path, minutes: float) -> None:
    path = folder / "minutes.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else 0.0
    path.write_text(json.dumps(before + minutes), encoding="utf-8")


def minutes_of(out: Path | str) -> dict[str, float]:
    """Processor minutes of each stage of a run, over all calls that were not killed."""
    paths = sorted(Path(out).glob("*/minutes.json"))
    return {
        path.parent.name: round(json.loads(path.read_text(encoding="utf-8")), 1) for path in paths
    }


def export(
    model: SpeechVQVAE, recipe: dict, path: Path | str, minutes: dict[str, float] | None = None
) -> None:
    """Write the weights in half precision, without the critic's, with the recipe."""
    tensors = {
        name: value.half() if value.is_floating_point() else value
        for name, value in model.state_dict().items()
        if not name.startswith("critic.")
    }
    weights.save(path, tensors, {"recipe": recipe, "minutes": minutes or {}})
