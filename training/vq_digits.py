"""Train VQ-VAEs on scikit-learn's digits: the bars are an MSE of 0.018 with a perplexity of 50 of 64.

    python training/vq_digits.py          three seeds, a minute and a half on one core

Pictures of 8 × 8 pixels scaled to 0 … 1, the split of `data.digits`: 1,297 to learn from, 200 to choose the step, 300
to test once. A grid of 4 × 4 codes of 6 bits: 96 bits a picture. Writes minigen/weights/vq_digits.safetensors (the first seed)
and the card minigen/weights/vq_digits.json. Run from the repository's root.
"""

import statistics
import time

import torch
from common import fit, half, rows, write_card

from minigen import data, vq, weights
from minigen.train import TrainConfig

MODEL = {"codebook_size": 64, "embedding_dim": 8, "hidden": 32, "halvings": 1}
RUN = {"steps": 2500, "batch": 64, "rate": 3e-3, "commitment": 0.25}
EVERY = 250  # steps between looks at the validation part


def pictures() -> dict[str, torch.Tensor]:
    """{part: (N, 1, 8, 8) in 0 … 1}."""
    digits = data.digits()
    x = torch.tensor(digits.images / 16).float().reshape(-1, 1, 8, 8)
    return {part: x[rows] for part, rows in digits.split.items()}


@torch.no_grad()
def measure(model: vq.VQVAE, x: torch.Tensor) -> dict[str, float]:
    """Mean squared error a pixel, and the codes' usage over all of x."""
    codes = model.encode(x)
    used = vq.usage(codes, model.quantizer.codebook_size)
    mse = (model.decode(codes) - x).square().mean().item()
    return {"mse": round(mse, 5), "perplexity": round(used.perplexity, 2), "used": used.used}


def train(seed: int, parts: dict[str, torch.Tensor]) -> tuple[vq.VQVAE, dict]:
    """-> the model at its best step, and its measures on the test part."""
    torch.manual_seed(seed)
    model = vq.VQVAE.for_images(**MODEL, seed=seed)

    def loss(model: vq.VQVAE, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        out = model(batch["x"])
        commitment = out.quantized.commitment_loss / MODEL["embedding_dim"]
        return (out.x - batch["x"]).square().mean() + RUN["commitment"] * commitment

    best = fit(
        model,
        loss,
        lambda step, generator: {"x": rows(parts["train"], RUN["batch"], generator)},
        TrainConfig(RUN["steps"], rate=RUN["rate"], clip=100.0, average=0.0, every=EVERY),
        lambda model: measure(model, parts["validation"])["mse"],
        seed,
    )
    return model, {**best, **measure(model, parts["test"])}


def main() -> None:
    """Three seeds, medians, the card, the weights of one."""
    begin, parts, found = time.process_time(), pictures(), []
    for seed in range(3):
        model, row = train(seed, parts)
        found.append(row)
        print(f"seed {seed}: {row}", flush=True)
        if seed == 0:
            shipped = half(model)
    card = {
        "data": "scikit-learn digits / 16, seed-0 permutation, 1297/200/300",
        "command": "python training/vq_digits.py",
        "model": MODEL,
        "grid": [4, 4],
        "bits a picture": 96,
        "run": RUN,
        "seeds": found,
        "test, median": {
            name: statistics.median(row[name] for row in found)
            for name in ("mse", "perplexity", "used")
        },
        "processor seconds on one core": round(time.process_time() - begin),
    }
    weights.save("vq_digits", shipped, {"model": MODEL, "run": RUN})
    write_card("vq_digits", card)


if __name__ == "__main__":
    main()
