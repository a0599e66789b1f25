"""What the small training scripts share: `minigen.train` in a folder of its own, and the best of its averages."""

import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from minigen import weights
from minigen.train import TrainConfig, Trainer

Batch = dict[str, Tensor]


class Objective(nn.Module):
    """A model and what is made small of it: loss(model, batch) -> scalar."""

    def __init__(self, model: nn.Module, loss: Callable[[nn.Module, Batch], Tensor]) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        return self.loss(self.model, batch), {}


def fit(
    model: nn.Module,
    loss: Callable[[nn.Module, Batch], Tensor],
    batches: Callable[[int, torch.Generator], Batch],
    config: TrainConfig,
    validate: Callable[[nn.Module], float] | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Train a model; it ends with the averaged weights, in evaluation mode.

    Args:
        batches: the step, and a generator that depends on it and on the seed -> a batch.
        validate: looked at every `config.every` steps, with the averaged weights; the best ones are kept.

    Returns:
        {"validation": the smallest value, "step": when} or, without `validate`, {}.
    """

    def drawn(step: int, shard: int = 0, shards: int = 1) -> Batch:
        return batches(step, torch.Generator().manual_seed(1_000_003 * seed + step))

    best: dict[str, float] = {"validation": math.inf}
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(Objective(model, loss), drawn, config, folder)
        for until in range(config.every, config.steps + config.every, config.every):
            trainer.run(resume=True, until=until)
            if validate is None:
                continue
            live = {name: value.clone() for name, value in model.state_dict().items()}
            model.load_state_dict(trainer.ema.shadow)
            value = validate(model.eval())
            if value < best["validation"]:
                best = {"validation": round(value, 5), "step": trainer.step}
                kept = {name: value.clone() for name, value in trainer.ema.shadow.items()}
            model.load_state_dict(live)
        model.load_state_dict(trainer.ema.shadow if validate is None else kept)
    model.eval()
    return {} if validate is None else best


def rows(x: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` rows of x, drawn with replacement."""
    return x[torch.randint(len(x), (count,), generator=generator)]


def half(model: nn.Module) -> dict[str, Tensor]:
    """A model's weights at half precision; whole numbers stay."""
    return {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}


def write_card(path: Path | str, card: dict) -> None:
    """Write a card beside weights (of this name), or a table, and print it."""
    text = json.dumps(card, indent=1, ensure_ascii=False)
    weights.path(path).with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    print(text)
