"""Train VAEs on scikit-learn's digits and write down how well they do: the bars are 18.5 and 17.8 nats.

    python training/vae_digits.py          three posteriors, three seeds each

Binary pictures (x >= 8), the split of `data.digits`: 1,297 to learn from, 200 to choose the step, 300
to test once. The weight of the KL rises from 0 to 1 over the first steps, and stays there. The diagonal posterior, the planar one and the inverse autoregressive one share everything else.
Writes the card minigen/weights/vae_digits.json and, of the diagonal posterior's first seed, the weights
minigen/weights/vae_digits.safetensors. Run from the repository's root.
"""

import statistics
import time

import torch
from common import fit, half, rows, write_card

from minigen import data, flow_vae, vae, weights
from minigen.train import TrainConfig

MODEL = {"input_dim": 64, "latent_dim": 8, "hidden": [300, 200]}
RUN = {"steps": 4000, "batch": 64, "rate": 2e-3, "dropout": 0.2, "warm-up": 1500}
POSTERIORS = {
    "diagonal": {},
    "planar": {"flow": "planar", "flows": 4},
    "iaf": {"flow": "iaf", "flows": 4},
}
EVERY = 500  # steps between looks at the validation part


def build(posterior: str, generator: torch.Generator | None = None) -> vae.VAE:
    """An untrained model."""
    kind = flow_vae.FlowVAE if POSTERIORS[posterior] else vae.VAE
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
    torch.manual_seed(seed)  # dropout, and the noise of z
    model = build(posterior, torch.Generator().manual_seed(seed))

    def batches(step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        beta = min(1.0, (step + 1) / RUN["warm-up"])  # for training: what is reported has 1
        return {"x": rows(train, RUN["batch"], generator), "beta": torch.tensor(beta)}

    def loss(model: vae.VAE, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return -vae.elbo(model, batch["x"], beta=float(batch["beta"])).mean()

    @torch.no_grad()
    def nats(model: vae.VAE) -> float:
        same = torch.Generator().manual_seed(1)
        return -vae.elbo(model, validation, samples=20, generator=same).mean().item()

    config = TrainConfig(RUN["steps"], rate=RUN["rate"], clip=100.0, every=EVERY)
    best = fit(model, loss, batches, config, nats, seed)
    return model, {**best, **measure(model, test)}


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
        found = []
        for seed in range(3):
            model, row = train(posterior, seed)
            found.append(row)
            print(f"{posterior} seed {seed}: {row}", flush=True)
            if posterior == "diagonal" and seed == 0:
                shipped = half(model)
        medians = {k: statistics.median(row[k] for row in found) for k in ("elbo", "iwae-1000")}
        card["posteriors"][posterior] = {
            **options,
            "seeds": found,
            "test nats, median": medians,
        }
    diagonal = card["posteriors"]["diagonal"]["test nats, median"]["elbo"]
    for posterior in ("planar", "iaf"):
        part = card["posteriors"][posterior]
        part["gain over diagonal"] = round(diagonal - part["test nats, median"]["elbo"], 3)
    card["processor minutes on one core"] = round((time.process_time() - begin) / 60, 1)
    weights.save("vae_digits", shipped, {"model": MODEL, "run": RUN})
    write_card("vae_digits", card)


if __name__ == "__main__":
    main()
