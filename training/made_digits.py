"""Train MADE on scikit-learn's digits and write down how well it does: the bar is 18.4 nats.

    python training/made_digits.py          three seeds, a minute or two on one core

Binary pictures (x >= 8), the split of `data.digits`: 1,297 to learn from, 200 to choose the step, 300
to test once. Writes the card minigen/results/made_digits.json. Weights are not kept: chapter 6 trains a small one itself. Run
from the repository's root.
"""

import copy
import json
import math
import statistics
import time

import torch

from minigen import data, results
from minigen.made import MADE

CARD = results.path("made_digits")
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
    average = copy.deepcopy(made).eval()
    optimizer = torch.optim.AdamW(made.parameters(), lr=RUN["rate"])
    best = {"validation": math.inf}
    for step in range(RUN["steps"]):
        for group in optimizer.param_groups:
            group["lr"] = RUN["rate"] * 0.5 * (1 + math.cos(math.pi * step / RUN["steps"]))
        batch = train[torch.randint(len(train), (RUN["batch"],), generator=generator)]
        loss = -made.log_prob(batch, order=step % RUN["orders"]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for mean, weight in zip(average.parameters(), made.parameters(), strict=True):
                mean.mul_(0.995).add_(weight, alpha=0.005)
            if (step + 1) % EVERY == 0:
                nats = -average.log_prob(validation).mean().item()
                if nats < best["validation"]:
                    best = {"validation": nats, "step": step + 1}
                    weights = copy.deepcopy(average.state_dict())
    average.load_state_dict(weights)
    with torch.no_grad():
        best["test"] = -average.log_prob(test).mean().item()
        best["one order"] = -average.log_prob(test, order=0).mean().item()
    return {name: round(value, 3) for name, value in best.items()}


def main() -> None:
    """Three seeds, their median, the card."""
    begin = time.process_time()
    results = []
    for seed in range(3):
        results.append(train(seed))
        print(f"seed {seed}: {results[-1]}", flush=True)
    card = {
        "data": "scikit-learn digits, x >= 8, seed-0 permutation, 1297/200/300",
        "command": "python training/made_digits.py",
        "run": RUN,
        "seeds": results,
        "test nats, median": statistics.median(row["test"] for row in results),
        "one order, median": statistics.median(row["one order"] for row in results),
        "processor minutes on one core": round((time.process_time() - begin) / 60, 1),
    }
    CARD.write_text(json.dumps(card, indent=1) + "\n")
    print(json.dumps(card, indent=1))


if __name__ == "__main__":
    main()
