"""Train VQ-VAEs on scikit-learn's digits: the bars are an MSE of 0.018 with a perplexity of 50 of 64.

    python training/vq_digits.py          three seeds, a minute and a half on one core

Pictures of 8 × 8 pixels scaled to 0 … 1, the split of `data.digits`: 1,297 to learn from, 200 to choose the step, 300
to test once. A grid of 4 × 4 codes of 6 bits: 96 bits a picture. Writes minigen/weights/vq_digits.safetensors (the first seed)
and the card minigen/weights/vq_digits.json. Run from the repository's root.
"""

import copy
import json
import math
import statistics
import time

import torch

from minigen import data, vq, weights

MODEL = {"codes": 64, "dim": 8, "hidden": 32, "halvings": 1}
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
    used = vq.usage(codes, model.quantizer.codes)
    mse = (model.decode(codes) - x).square().mean().item()
    return {"mse": round(mse, 5), "perplexity": round(used.perplexity, 2), "used": used.used}


def train(seed: int, parts: dict[str, torch.Tensor]) -> tuple[vq.VQVAE, dict]:
    """-> the model at its best step, and its measures on the test part."""
    torch.manual_seed(seed)
    model = vq.VQVAE.for_images(**MODEL, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=RUN["rate"])
    best, weights = {"validation": math.inf}, None
    for step in range(RUN["steps"]):
        for group in optimizer.param_groups:
            group["lr"] = RUN["rate"] * 0.5 * (1 + math.cos(math.pi * step / RUN["steps"]))
        x = parts["train"][torch.randint(len(parts["train"]), (RUN["batch"],), generator=generator)]
        out = model(x)
        error = (out.x - x).square().mean()
        loss = error + RUN["commitment"] * out.quantized.commitment_loss / MODEL["dim"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % EVERY == 0:
            mse = measure(model.eval(), parts["validation"])["mse"]
            model.train()
            if mse < best["validation"]:
                best = {"validation": mse, "step": step + 1}
                weights = copy.deepcopy(model.state_dict())
    model.load_state_dict(weights)
    return model.eval(), {**best, **measure(model, parts["test"])}


def main() -> None:
    """Three seeds, medians, the card, the weights of one."""
    begin, parts, rows = time.process_time(), pictures(), []
    for seed in range(3):
        model, row = train(seed, parts)
        rows.append(row)
        print(f"seed {seed}: {row}", flush=True)
        if seed == 0:
            shipped = {
                name: value.half() if value.is_floating_point() else value
                for name, value in model.state_dict().items()
            }
    card = {
        "data": "scikit-learn digits / 16, seed-0 permutation, 1297/200/300",
        "command": "python training/vq_digits.py",
        "model": MODEL,
        "grid": [4, 4],
        "bits a picture": 96,
        "run": RUN,
        "seeds": rows,
        "test, median": {
            name: statistics.median(row[name] for row in rows)
            for name in ("mse", "perplexity", "used")
        },
        "processor seconds on one core": round(time.process_time() - begin),
    }
    weights.save("vq_digits", shipped, {"model": MODEL, "run": RUN})
    weights.path("vq_digits").with_suffix(".json").write_text(
        json.dumps(card, indent=1) + "\n", encoding="utf-8"
    )
    print(json.dumps(card, indent=1))


if __name__ == "__main__":
    main()
