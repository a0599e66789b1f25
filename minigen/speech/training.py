"""Training from a recipe: read the data, build the voice, give it its first weights, run; then export."""

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from .. import weights
from ..audio import write_whole
from ..conditioning import DIGITS
from ..distillation import DistillationLoss
from ..train import Trainer
from .corpus import Crops, held_out
from .objectives import Likelihood
from .recipe import Recipe
from .start import initialise, teacher_for
from .voice import KINDS, part

KEPT = ("recipe", "step", "minutes", "device", "torch")  # of the notes of a checkpoint


def train(
    recipe: Recipe, out: Path | str, resume: bool = False, until: int | None = None
) -> dict[str, float]:
    """Follow a recipe -> the metrics of the last step. Checkpoints go to `out`."""
    own = Path(out) / "checkpoint.safetensors"
    for path in (recipe.start_from, recipe.teacher):
        if path and Path(path).resolve() == own.resolve():
            raise ValueError(f"the recipe begins with {path}, which it would write: choose another")
    crops = Crops(held_out()[0], **recipe.data)
    torch.manual_seed(recipe.seed)
    teacher = teacher_for(recipe) if recipe.teacher else None
    voice = KINDS[recipe.kind].build(DIGITS, **recipe.model)
    initialise(voice, recipe, crops, teacher)
    if teacher:
        objective = DistillationLoss(voice, teacher.wavenet, **recipe.objective)
        net, longest = teacher.wavenet, objective.min_length
    else:
        objective, net, longest = Likelihood(voice, **recipe.objective), voice.wavenet, 1
    samples = crops.frames * DIGITS.hop
    for least, why in (
        (net.receptive_field + 1, "that each prediction looks back"),
        (longest, "of the spectral losses' longest frame"),
    ):
        if samples < least:
            raise ValueError(
                f"a crop of {crops.frames} frames is {samples} samples, fewer than the {least} {why}: "
                "raise frames in [data]"
            )
    return Trainer(objective, crops, recipe.run, out, recipe.as_dict()).run(resume, until)


def export(checkpoint: Path | str, path: Path | str) -> None:
    """Keep of a checkpoint what speaking needs, the averaged weights and the recipe, and its card.

    The card, `path` with the ending `.json`, says how the weights came about: for each stage its
    recipe, the minutes it took and its learning curve.
    """
    checkpoint, path = Path(checkpoint), Path(path)
    card = path.with_suffix(".json")
    if path.suffix != ".safetensors" or path.is_dir():
        raise ValueError(f"{path} must be a file whose name ends in .safetensors")
    if path.resolve() == checkpoint.resolve() or (path.exists() and path.samefile(checkpoint)):
        raise ValueError(f"{path} is the checkpoint itself: export it to another file")
    if card.exists() and "stages" not in card.read_text(encoding="utf-8"):
        raise ValueError(f"the card would replace {card}, which is no card: choose another name")
    tensors, notes = weights.load(checkpoint)
    Recipe.from_dict(notes.get("recipe"), f"{checkpoint}: what it holds")
    text = json.dumps({"stages": _stages(checkpoint, set())}, indent=1)
    kept = {name: notes[name] for name in KEPT if name in notes}
    path.parent.mkdir(parents=True, exist_ok=True)
    weights.save(path, part(tensors, "ema."), kept)
    text = re.sub(r",\n\s+(?=[-\d])", ", ", text) + "\n"
    with write_whole(card) as place:
        place.write_text(text, encoding="utf-8")


def _stages(checkpoint: Path, seen: set[Path], points: int = 40) -> list[dict]:
    """How a checkpoint came about, the run that it started from first."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if checkpoint.resolve() in seen:
        raise ValueError(f"{checkpoint} started from itself, as its recipe has it")
    notes, shipped = weights.notes(checkpoint), checkpoint.with_suffix(".json")
    if shipped.is_file():  # an exported file has its card beside it
        return json.loads(shipped.read_text(encoding="utf-8"))["stages"]
    start = notes["recipe"].get("start_from")
    before = _stages(Path(start), seen | {checkpoint.resolve()}, points) if start else []
    events = EventAccumulator(str(checkpoint.parent), size_guidance={"scalars": 0}).Reload()
    logged = {name: events.Scalars(name) for name in events.Tags()["scalars"]}
    if not logged:
        raise ValueError(
            f"{checkpoint.parent} holds no TensorBoard events: export from the folder of the run"
        )
    steps = [event.step for event in logged["loss"]]
    edges = np.unique(np.linspace(0, len(steps), points + 1).astype(int))
    curve: dict[str, list] = {"step": [steps[k - 1] for k in edges[1:]]}
    for name, values in logged.items():
        mean = [np.mean([v.value for v in values[a:b]]) for a, b in pairwise(edges)]
        curve[name] = [float(f"{value:.4g}") for value in mean]
    stage = {name: notes[name] for name in KEPT if name in notes}
    return [*before, stage | {"minutes": round(stage["minutes"], 1), "curve": curve}]
