"""Where a training run starts: the weights that a voice has before its first step."""

from pathlib import Path

import torch
from torch import Tensor

from .. import weights
from ..distributions import DiscretizedLogisticMixture, Head
from .corpus import Crops
from .recipe import Recipe
from .voice import StudentVoice, TeacherVoice, fill, load, part, recipe_of


@weights.takes_networks
def initialise(
    voice: TeacherVoice | StudentVoice, recipe: Recipe, crops: Crops, teacher: TeacherVoice | None
) -> None:
    """Give a voice the weights that its recipe names, or else, if it is a teacher, those of a linear predictor.

    A student takes over its teacher's upsampler.
    """
    if teacher:
        voice.upsampler.load_state_dict(teacher.upsampler.state_dict())
    if recipe.start_from:
        _must_exist("start_from", recipe.start_from)
        tensors = part(weights.load(recipe.start_from)[0], "model.")
        if not teacher:
            tensors = _widened(tensors, voice.wavenet.head)
        fill(voice, tensors, recipe.start_from)
    elif not teacher:
        voice.wavenet.init_from_data(torch.cat([crops(step)["audio"] for step in range(16)]))


def teacher_for(recipe: Recipe) -> TeacherVoice:
    """The teacher that a student's recipe names, if the two fit together."""
    _must_exist("teacher", recipe.teacher)
    teacher = load("teacher", recipe.teacher)
    theirs = recipe_of("teacher", recipe.teacher).model
    for name in ("hidden", "cond_channels"):
        if recipe.model[name] != theirs[name]:
            raise ValueError(
                f"{name} is {recipe.model[name]} and must be the teacher's, {theirs[name]}"
            )
    return teacher


def _must_exist(name: str, path: str) -> None:
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}, the recipe's {name}: train that first")


def _widened(tensors: dict[str, Tensor], head: Head) -> dict[str, Tensor]:
    """A Gaussian's last layer for a mixture: every component has its mean, and scales spread around its."""
    weight, bias = (tensors.get(f"wavenet.output_projection.{name}") for name in ("weight", "bias"))
    if not isinstance(head, DiscretizedLogisticMixture) or bias is None or len(bias) != 2:
        return tensors
    spread = torch.zeros(3 * head.k, 2)  # (mean, log-scale) -> means, log-scales, logits 0
    spread[: head.k, 0] = spread[head.k : 2 * head.k, 1] = 1
    return tensors | {
        "wavenet.output_projection.weight": (spread @ weight.squeeze(-1)).unsqueeze(-1),
        "wavenet.output_projection.bias": spread @ bias + head.initial(),
    }
