"""How close flows come: densities in the plane, energies, digits. Medians of three seeds.

    python benchmarks/flows_quality.py                     everything, about 15 minutes on one core
    python benchmarks/flows_quality.py --only energies     plane, energies or digits
    python benchmarks/flows_quality.py --ship              also write the weights that the book loads

Writes minigen/flows/measured/quality.json (each run) and quality.txt (the table that the book shows).
"""

import argparse
import json
import math
import time
from pathlib import Path
from statistics import median

import torch
from torch import nn

from minigen import data, weights
from minigen.flows import Flow, initialise
from minigen.flows.shipped import BUILD, MEASURED
from minigen.flows.targets import ENERGIES, checkerboard, log_normaliser, rings, two_moons
from minigen.train import Ema

PLANES = {plane.name: plane for plane in (two_moons(), rings(), checkerboard())}
BARS = {  # what the median must not exceed
    "two moons, plane_affine": 0.045,
    "two moons, plane_spline": 0.02,
    "U1, planar_32": 0.03,
    "U2, planar_32": 0.04,
    "digits, digits_maf": 2.17,
    "digits, digits_nsf": 2.10,
}


def minimise(flow: Flow, loss, steps: int, rate: float, clip: float = 5.0) -> None:
    """Adam with a cosine from `rate` to 0; `loss(step)` gives what to make small."""
    optimizer = torch.optim.Adam(flow.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        value = loss(step)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(flow.parameters(), clip)
        optimizer.step()
        schedule.step()


def plane(target: str, build: str, seed: int) -> tuple[float, Flow]:
    """Maximum likelihood on fresh samples -> KL(p ‖ flow), nats, on 50,000 other ones."""
    density, flow = PLANES[target], BUILD[build]()
    generator = torch.Generator().manual_seed(seed)
    minimise(
        flow, lambda _: -flow.log_prob(density.sample(512, generator).float()).mean(), 2500, 2e-3
    )
    x = density.sample(50_000, torch.Generator().manual_seed(1000 + seed))
    with torch.no_grad():
        return (density.log_prob(x) - flow.log_prob(x.float())).mean().item(), flow


def energy(target: str, build: str, seed: int) -> tuple[float, Flow]:
    """Reverse KL by samples of the flow -> KL(flow ‖ p), nats, on 50,000 samples, with log Z by quadrature.

    The energy is switched on slowly, as in the paper: at first the flow spreads, then it settles.
    """
    u, flow = ENERGIES[target], BUILD[build]()
    generator = torch.Generator().manual_seed(seed)
    steps = 6000 if build == "planar_32" else 3000

    def loss(step: int) -> torch.Tensor:
        z, log_q = flow.sample_and_log_prob((256,), generator=generator)
        return (log_q + min(1.0, 0.05 + step / (0.3 * steps)) * u(z)).mean()

    minimise(flow, loss, steps, 5e-3)
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
    flow, generator = BUILD[build](), torch.Generator().manual_seed(seed)
    noisy = lambda x: x + torch.rand(x.shape, generator=generator)
    initialise(flow, noisy(train))
    epochs, rate, patience = (120, 4e-3, 25) if build == "digits_maf" else (60, 2e-3, 15)
    weights = [p for p in flow.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, rate, weight_decay=1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10 * epochs)
    ema, step, best, best_epoch, kept = Ema(flow, 0.0), 0, math.inf, 0, None
    averaged = BUILD[build]()
    for epoch in range(epochs):
        order = torch.randperm(len(train), generator=generator)
        for rows in order[:1280].split(128):
            loss = -flow.log_prob(noisy(train[rows])).mean() / 64
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            ema.decay = min(0.99, step / (step + 9))
            ema.update(flow)
        averaged.load_state_dict(ema.shadow)
        now = bits(averaged, validation, torch.Generator().manual_seed(0), rounds=2)
        if now < best:
            best, best_epoch = now, epoch
            kept = {name: value.clone() for name, value in ema.shadow.items()}
        elif epoch - best_epoch > patience:
            break
    averaged.load_state_dict(kept)
    return bits(averaged, test, torch.Generator().manual_seed(1), rounds=10), averaged


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
        "command": "python benchmarks/flows_quality.py --ship",
        "seed": 0,
        "seconds": round(seconds),
        "result": round(result, 4),
    }
    tensors = {
        key: value.half() if value.is_floating_point() else value
        for key, value in flow.state_dict().items()
    }
    weights.save(f"flows_{name}", tensors, card)


def table(results: dict) -> str:
    """The medians, the runs, the bars."""
    lines = []
    for part, (_, cases) in RUNS.items():
        rows = [(t, b) for t, b in cases if f"{t}, {b}" in results]
        if not rows:
            continue
        lines.append(f"{UNITS[part]:<32}{'median':>8}{'bar':>8}   seeds")
        for target, build in rows:
            key = f"{target}, {build}"
            runs = [run["result"] for run in results[key]]
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
    MEASURED.mkdir(exist_ok=True)
    path = MEASURED / "quality.json"
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
            results = json.loads(path.read_text()) if path.exists() else {}
            results[f"{target}, {build}"] = runs
            path.write_text(json.dumps(results, indent=1) + "\n")
            Path(MEASURED / "quality.txt").write_text(table(results), encoding="utf-8")
    print("\n" + table(json.loads(path.read_text())))


if __name__ == "__main__":
    main()
