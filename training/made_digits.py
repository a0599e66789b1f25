"""Train MADE on scikit-learn's digits and write down how well it does: the bar is 18.4 nats.

    python training/made_digits.py          three seeds, a minute or two on one core

Binary pictures (x >= 8), the split of `data.digits`: 1,297 to learn from, 200 to choose the step, 300
to test once. Writes the card minigen/results/made_digits.json. Weights are not kept: chapter 6 trains a small one itself. Run
from the repository's root.
"""

import statistics
import time

import torch
from common import fit, rows, write_card

from minigen import data, results
from minigen.made import MADE
from minigen.train import TrainConfig

RUN = {"hidden": [500], "orders": 16, "dropout": 0.2, "steps": 6000, "batch": 64, "rate": 2e-3}
EVERY = 500  # steps between looks at the validation part


def train(seed: int) -> dict[str, float]:
    """-> nats a test picture of the ensemble and of its first ordering alone, and the step chosen."""
    digits = data.digits()
    bits = torch.tensor(digits.images >= 8).float()
    train, validation, test = (bits[digits.split[k]] for k in ("train", "validation", "test"))
    torch.manual_seed(seed)  # dropout
    generator = torch.Generator().manual_seed(seed)
    made = MADE(
        64, RUN["hidden"], orders=RUN["orders"], dropout=RUN["dropout"], generator=generator
    )

    def batches(step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        order = torch.tensor(step % RUN["orders"])
        return {"x": rows(train, RUN["batch"], generator), "order": order}

    loss = lambda model, batch: -model.log_prob(batch["x"], order=int(batch["order"])).mean()
    nats = lambda model, **options: -model.log_prob(validation, **options).mean().item()
    config = TrainConfig(RUN["steps"], rate=RUN["rate"], clip=100.0, every=EVERY)
    best = fit(made, loss, batches, config, torch.no_grad()(nats), seed)
    with torch.no_grad():
        best["test"] = -made.log_prob(test).mean().item()
        best["one order"] = -made.log_prob(test, order=0).mean().item()
    return {name: round(value, 3) for name, value in best.items()}


def main() -> None:
    """Three seeds, their median, the card."""
    begin = time.process_time()
    found = []
    for seed in range(3):
        found.append(train(seed))
        print(f"seed {seed}: {found[-1]}", flush=True)
    card = {
        "data": "scikit-learn digits, x >= 8, seed-0 permutation, 1297/200/300",
        "command": "python training/made_digits.py",
        "run": RUN,
        "seeds": found,
        "test nats, median": statistics.median(row["test"] for row in found),
        "one order, median": statistics.median(row["one order"] for row in found),
        "processor minutes on one core": round((time.process_time() - begin) / 60, 1),
    }
    write_card(results.path("made_digits"), card)


if __name__ == "__main__":
    main()
