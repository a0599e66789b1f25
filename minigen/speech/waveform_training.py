"""Training of the waveform model: the trainer that a recipe asks for, and the averaged weights that it leaves."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.distributions import Normal

from .. import weights
from ..data import Utterance
from ..distillation import DistillationLoss
from ..train import TrainConfig, Trainer
from .corpus import Crops, as_batch
from .voice import part
from .waveform_model import KINDS, ExcitationLikelihood, ExcitationTeacher, build


def trainer(recipe: dict, clips: Sequence[Utterance] | Crops, out: Path | str) -> Trainer:
    """For a teacher, or for a student of the teacher that the recipe names.

    Args:
        recipe: kind, seed, tables model, data, objective and run; of a student `teacher`, and, if it is to
            begin with the weights of another one, `init_from`: files, or names of weights that ship.
        clips: at one level, with F0, by ANYBODY; or crops of such. out: folder of the run.
    """
    kind = recipe["kind"].split()[1]
    torch.manual_seed(recipe["seed"])
    model = KINDS[kind](**recipe["model"])
    batches = clips
    if not isinstance(clips, Crops):
        batches = Crops(list(clips), **recipe["data"], spec=model.spec)
    if kind == "teacher":
        model.calibrate(batches(step) for step in range(12))
        objective = ExcitationLikelihood(model)
    else:
        teacher = trained(recipe["teacher"])
        if "init_from" in recipe:
            model.load_state_dict(averaged(recipe["init_from"])[0])
        model.upsampler.load_state_dict(teacher.upsampler.state_dict())
        model.scale.copy_(teacher.scale)
        objective = DistillationLoss(model, teacher.wavenet, **recipe["objective"])
    return Trainer(objective, batches, TrainConfig(**recipe["run"]), out, recipe)


def averaged(path: Path | str) -> tuple[dict, dict]:
    """The averaged weights of a checkpoint, or all of an exported file, and its notes."""
    tensors, notes = weights.load(path)
    return part(tensors, "ema."), notes


def trained(path: Path | str):  # -> ExcitationTeacher | ExcitationStudent
    """The model of a checkpoint or of an exported file."""
    tensors, notes = averaged(path)
    recipe = notes["recipe"]
    return build(recipe["kind"].split()[1], tensors, recipe["model"])


@torch.no_grad()
@weights.takes_networks
def nll(
    teacher: ExcitationTeacher, clips: Sequence[Utterance], dither: float
) -> tuple[float, float]:
    """Nats per sample of x under the teacher, and with N(0, 1) in the place of its network.

    The phase is the sum of F0, which is what speaking has.
    """
    total = plain = count = 0.0
    for clip in clips:
        batch = as_batch(clip, dither, teacher.spec)
        e, log_det = teacher.excitation(batch)
        total -= teacher.log_prob(batch).item()
        plain -= (Normal(0, 1).log_prob(e).sum() + log_det).item()
        count += e.numel()
    return total / count, plain / count
