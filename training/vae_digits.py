"""Train VAEs on scikit-learn's digits and write down how well they do: the bars are 18.5 and 17.8 nats.

    python training/vae_digits.py          three posteriors, three seeds each

Binary pictures (x >= 8), the split of `data.digits`: 1,297 to learn from, 200 to choose the step, 300
to test once. The weight of the KL rises from 0 to 1 over the first steps, and stays there. The diagonal posterior, the planar one and the inverse autoregressive one share everything else.
Writes the card minigen/weights/vae_digits.json and, of the diagonal posterior's first seed, the weights
minigen/weights/vae_digits.safetensors. Run from the repository's root.
"""

import copy
import json
import math
import statistics
import time

import torch

from minigen import data, vae, weights

MODEL = {"dim": 64, "latent": 8, "hidden": [300, 200]}
RUN = {"steps": 4000, "batch": 64, "rate": 2e-3, "dropout": 0.2, "warm-up": 1500}
POSTERIORS = {
    "diagonal": {},
    "planar": {"flow": "planar", "flows": 4},
    "iaf": {"flow": "iaf", "flows": 4},
}
EVERY = 500  # steps between looks at the validation part


def build(posterior: str, generator: torch.Generator | None = None) -> vae.VAE:
    """An untrained model."""
    kind = vae.FlowVAE if POSTERIORS[posterior] else vae.VAE
    return kind(**MODEL, **POSTERIORS[posterior], dropout=RUN["dropout"], generator=generator)


@torch.no_grad()
def measure(model: vae.VAE, x: torch.Tensor) -> dict[str, float]:
    """Nats a picture: -ELBO, with 200 samples each, and -IWAE-1000."""
    generator = torch.Generator().manual_seed(2)
    bound = -vae.elbo(model, x, samples=200, generator=generator).mean().item()
    estimate = -vae.importance_estimate(model, x, 1000, generator).log_prob.mean().item()
    return {"elbo": round(bound, 3), "iwae-1000": round(estimate, 3)}


def train(posterior: str, seed: int) -> tuple[vae.VAE, dict[str, float]]:
    """-> the averaged model at its best step, and nats a test picture."""
    digits = data.digits()
    bits = torch.tensor(digits.images >= 8).float()
    train, validation, test = (bits[digits.split[k]] for k in ("train", "validation", "test"))
    torch.manual_seed(seed)  # dropout
    generator = torch.Generator().manual_seed(seed)
    model = build(posterior, generator)
    average = copy.deepcopy(model).eval()
    optimizer = torch.optim.Adam(model.parameters(), lr=RUN["rate"])
    best, weights = {"validation": math.inf}, None
    for step in range(RUN["steps"]):
        for group in optimizer.param_groups:
            group["lr"] = RUN["rate"] * 0.5 * (1 + math.cos(math.pi * step / RUN["steps"]))
        batch = train[torch.randint(len(train), (RUN["batch"],), generator=generator)]
        beta = min(1.0, (step + 1) / RUN["warm-up"])  # for training only: what is reported has 1
        loss = -vae.elbo(model, batch, beta=beta, generator=generator).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
                mean.mul_(0.995).add_(weight, alpha=0.005)
            if (step + 1) % EVERY == 0:
                same = torch.Generator().manual_seed(1)
                nats = -vae.elbo(average, validation, samples=20, generator=same).mean().item()
                if nats < best["validation"]:
                    best = {"validation": round(nats, 3), "step": step + 1}
                    weights = copy.deepcopy(average.state_dict())
    average.load_state_dict(weights)
    return average, {**best, **measure(average, test)}


def main() -> None:
    """Three posteriors, three seeds, medians, the card, the weights of one."""
    begin = time.process_time()
    card = {
        "data": "scikit-learn digits, x >= 8, seed-0 permutation, 1297/200/300",
        "command": "python training/vae_digits.py",
        "model": MODEL,
        "run": RUN,
        "posteriors": {},
    }
    for posterior, options in POSTERIORS.items():
        rows = []
        for seed in range(3):
            model, row = train(posterior, seed)
            rows.append(row)
            print(f"{posterior} seed {seed}: {row}", flush=True)
            if posterior == "diagonal" and seed == 0:
                shipped = {name: value.half() for name, value in model.state_dict().items()}
        medians = {k: statistics.median(row[k] for row in rows) for k in ("elbo", "iwae-1000")}
        card["posteriors"][posterior] = {
            **options,
            "seeds": rows,
            "test nats, median": medians,
        }
    diagonal = card["posteriors"]["diagonal"]["test nats, median"]["elbo"]
    for posterior in ("planar", "iaf"):
        part = card["posteriors"][posterior]
        part["gain over diagonal"] = round(diagonal - part["test nats, median"]["elbo"], 3)
    card["processor minutes on one core"] = round((time.process_time() - begin) / 60, 1)
    weights.save("vae_digits", shipped, {"model": MODEL, "run": RUN})
    weights.path("vae_digits").with_suffix(".json").write_text(
        json.dumps(card, indent=1) + "\n", encoding="utf-8"
    )
    print(json.dumps(card, indent=1))


if __name__ == "__main__":
    main()
