"""How close flows come: densities in the plane, energies, digits. Medians of three seeds.

    python training/flows_quality.py                     everything, about 15 minutes on one core
    python training/flows_quality.py --only energies     plane, energies or digits
    python training/flows_quality.py --ship              also write the weights that the book loads

Writes minigen/results/flows_quality.json: each run, and the table that the book shows.
"""

import argparse
import json
import math
import time
from statistics import median

import torch
from common import fit, half, rows

from minigen import data, results, weights
from minigen.flows import Flow, initialise
from minigen.flows.shipped import BUILD
from minigen.flows.targets import ENERGIES, Plane, log_normaliser, on_curve, two_moons
from minigen.train import TrainConfig

BARS = {  # what the median must not exceed
    "two moons, plane_affine": 0.045,
    "two moons, plane_spline": 0.02,
    "U1, planar_32": 0.03,
    "U2, planar_32": 0.04,
    "digits, digits_maf": 2.17,
    "digits, digits_nsf": 2.10,
}


def rings(sigma: float = 0.1) -> Plane:
    """Circles of radius 1 and 2 around the origin, one as likely as the other, blurred by N(0, σ² I)."""

    def sampler(n: int, generator: torch.Generator | None) -> torch.Tensor:
        r = torch.tensor([1.0, 2.0], dtype=torch.float64)
        r = r[torch.randint(2, (n,), generator=generator)]
        t = 2 * math.pi * torch.rand(n, generator=generator, dtype=torch.float64)
        noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
        return r[:, None] * torch.stack([t.cos(), t.sin()], -1) + sigma * noise

    t = torch.arange(600, dtype=torch.float64) * 2 * math.pi / 600
    circle = torch.stack([t.cos(), t.sin()], -1)
    return Plane("rings", sampler, on_curve(torch.cat([circle, 2 * circle]), sigma), 4.0)


def checkerboard() -> Plane:
    """Uniform on the eight dark squares of a 4 × 4 board [-2, 2]²: the entropy is log 8."""

    def sampler(n: int, generator: torch.Generator | None) -> torch.Tensor:
        column = torch.randint(4, (n,), generator=generator)
        row = 2 * torch.randint(2, (n,), generator=generator) + column % 2
        corner = torch.stack([column, row], -1).double() - 2
        return corner + torch.rand(n, 2, generator=generator, dtype=torch.float64)

    def log_prob(x: torch.Tensor) -> torch.Tensor:
        cell = torch.floor(x + 2)
        dark = (x.abs() < 2).all(-1) & ((cell.sum(-1) % 2) == 0)
        return torch.where(dark, -math.log(8), -math.inf)

    return Plane("checkerboard", sampler, log_prob, 2.5)


PLANES = {plane.name: plane for plane in (two_moons(), rings(), checkerboard())}


def minimise(flow: Flow, loss, batches, steps: int, rate: float, seed: int, **options) -> dict:
    """`common.fit` with a cosine to 0 and the last weights, unless told otherwise."""
    options = {"warmup": 0, "final": 0.0, "clip": 5.0, "average": 0.0, "every": steps} | options
    validate = options.pop("validate", None)
    return fit(flow, loss, batches, TrainConfig(steps, rate=rate, **options), validate, seed)


def plane(target: str, build: str, seed: int) -> tuple[float, Flow]:
    """Maximum likelihood on fresh samples -> KL(p ‖ flow), nats, on 50,000 other ones."""
    density, flow = PLANES[target], BUILD[build]()
    loss = lambda flow, batch: -flow.log_prob(batch["x"]).mean()
    minimise(flow, loss, lambda step, g: {"x": density.sample(512, g).float()}, 2500, 2e-3, seed)
    x = density.sample(50_000, torch.Generator().manual_seed(1000 + seed))
    with torch.no_grad():
        return (density.log_prob(x) - flow.log_prob(x.float())).mean().item(), flow


def energy(target: str, build: str, seed: int) -> tuple[float, Flow]:
    """Reverse KL by samples of the flow -> KL(flow ‖ p), nats, on 50,000 samples, with log Z by quadrature.

    The energy is switched on slowly, as in the paper: at first the flow spreads, then it settles.
    """
    u, flow = ENERGIES[target], BUILD[build]()
    steps = 6000 if build == "planar_32" else 3000

    def batches(step: int, generator: torch.Generator) -> dict:
        noise = flow.base.sample((256,), generator)
        return {"noise": noise, "part": torch.tensor(min(1.0, 0.05 + step / (0.3 * steps)))}

    def loss(flow: Flow, batch: dict) -> torch.Tensor:
        z, log_det = flow.transform.inverse(batch["noise"])
        log_q = flow.base.log_prob(batch["noise"]) - log_det
        return (log_q + batch["part"] * u(z)).mean()

    minimise(flow, loss, batches, steps, 5e-3, seed)
    with torch.no_grad():
        z, log_q = flow.sample_and_log_prob(
            (50_000,), generator=torch.Generator().manual_seed(1000 + seed)
        )
        return (log_q + u(z)).mean().item() + log_normaliser(u), flow


def bits(flow: Flow, pixels: torch.Tensor, generator: torch.Generator, rounds: int = 1) -> float:
    """-log2 p of whole numbers 0 … 16 for each pixel, at most: uniform noise makes them real."""
    total = 0.0
    with torch.no_grad():
        for _ in range(rounds):
            noisy = pixels + torch.rand(pixels.shape, generator=generator)
            total -= flow.log_prob(noisy).mean().item() / pixels.shape[1] / math.log(2)
    return total / rounds


def digits(target: str, build: str, seed: int) -> tuple[float, Flow]:
    """Maximum likelihood, stopped by the validation part -> bits a pixel on the test part."""
    images, _, split = data.digits()
    train, validation, test = (torch.tensor(images[split[part]]).float() for part in split)
    flow = BUILD[build]()
    noise = lambda x, generator: x + torch.rand(x.shape, generator=generator)
    initialise(flow, noise(train, torch.Generator().manual_seed(seed)))
    epochs, rate = (120, 4e-3) if build == "digits_maf" else (60, 2e-3)
    best = minimise(
        flow,
        lambda flow, batch: -flow.log_prob(batch["x"]).mean() / 64,
        lambda step, g: {"x": noise(rows(train, 128, g), g)},
        10 * epochs,
        rate,
        seed,
        clip=1.0,
        average=0.08,
        every=10,
        validate=lambda flow: bits(flow, validation, torch.Generator().manual_seed(0), rounds=2),
    )
    print(best)
    return bits(flow, test, torch.Generator().manual_seed(1), rounds=10), flow


RUNS = {
    "plane": (plane, [(name, b) for name in PLANES for b in ("plane_affine", "plane_spline")]),
    "energies": (
        energy,
        [(name, f"planar_{k}") for name in ENERGIES for k in (2, 8, 32)],
    ),
    "digits": (digits, [("digits", "digits_maf"), ("digits", "digits_nsf")]),
}
UNITS = {
    "plane": "KL(p ‖ flow), nats",
    "energies": "KL(flow ‖ p), nats",
    "digits": "bits a pixel",
}
SHIPPED = ("planar_2", "planar_8", "planar_32", "digits_maf")


def ship(target: str, build: str, flow: Flow, result: float, seconds: float) -> None:
    """Write weights as float16, with a card."""
    name = build if target == "digits" else f"{target}_{build}"
    card = {
        "build": build,
        "data": "scikit-learn digits, 1,297 of 1,797" if target == "digits" else f"energy {target}",
        "command": "python training/flows_quality.py --ship",
        "seed": 0,
        "seconds": round(seconds),
        "result": round(result, 4),
    }
    weights.save(f"flows_{name}", half(flow), card)


def table(found: dict) -> str:
    """The medians, the runs, the bars."""
    lines = []
    for part, (_, cases) in RUNS.items():
        rows = [(t, b) for t, b in cases if f"{t}, {b}" in found]
        if not rows:
            continue
        lines.append(f"{UNITS[part]:<32}{'median':>8}{'bar':>8}   seeds")
        for target, build in rows:
            key = f"{target}, {build}"
            runs = [run["result"] for run in found[key]]
            bar = f"{BARS[key]:.3f}" if key in BARS else "–"
            each = "  ".join(f"{value:.4f}" for value in runs)
            lines.append(f"{key:<32}{median(runs):>8.4f}{bar:>8}   {each}")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=RUNS, nargs="*", default=list(RUNS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ship", action="store_true")
    options = parser.parse_args()
    path = results.path("flows_quality")
    found = results.read("flows_quality")["runs"]
    for part in options.only:
        function, cases = RUNS[part]
        for target, build in cases:
            runs = []
            for seed in range(options.seeds):
                torch.manual_seed(seed)  # the weights' starting values
                start = time.perf_counter()
                result, flow = function(target, build, seed)
                seconds = time.perf_counter() - start
                runs.append({"seed": seed, "result": round(result, 5), "seconds": round(seconds)})
                print(
                    f"{target}, {build}, seed {seed}: {result:.4f} in {seconds:.0f} s", flush=True
                )
                if options.ship and seed == 0 and build in SHIPPED:
                    ship(target, build, flow, result, seconds)
            found[f"{target}, {build}"] = runs
            written = {"runs": found, "table": table(found).rstrip()}
            text = json.dumps(written, indent=1, ensure_ascii=False)
            path.write_text(text + "\n", encoding="utf-8")
    print("\n" + table(found))


if __name__ == "__main__":
    main()
