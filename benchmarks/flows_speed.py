"""Flows side by side with zuko and nflows: a training step, its memory, and sampling.

    python benchmarks/flows_speed.py

D = 8, five layers, networks of 64 × 2, 8 bins, batch 512, float32, one thread. One after the other in one process, in
turns, medians of 21 rounds of processor time. Memory is what autograd keeps for the backward pass,
counted once for each storage, without parameters. Writes minigen/results/flows_speed.json.
"""

import json
import math
import platform
import time
from statistics import median

import torch
from torch import nn

from minigen import flows, results

D, LAYERS, HIDDEN, BINS, BOUND, BATCH, ROUNDS = 8, 5, (64, 64), 8, 5.0, 512, 21
NAMES = ("MAF", "RealNVP", "NSF coupling", "NSF autoregressive")


def ours() -> dict:
    """name -> (module, log_prob, sample)."""
    made = {
        "MAF": flows.MAF(D, LAYERS, HIDDEN),
        "RealNVP": flows.RealNVP(D, LAYERS, HIDDEN),
        "NSF coupling": flows.NSF(D, LAYERS, HIDDEN, bins=BINS, bound=BOUND),
        "NSF autoregressive": flows.NSF(
            D, LAYERS, HIDDEN, bins=BINS, bound=BOUND, kind="autoregressive"
        ),
    }
    return {k: (f, f.log_prob, lambda f=f: f.sample((BATCH,))) for k, f in made.items()}


def theirs_zuko() -> dict:
    """The same flows from zuko."""
    import zuko
    from zuko.distributions import DiagNormal
    from zuko.flows import Flow, GeneralCouplingTransform, UnconditionalDistribution

    def couplings(**univariate) -> nn.Module:
        layers = [
            GeneralCouplingTransform(
                D, mask=torch.arange(D) % 2 == k % 2, hidden_features=HIDDEN, **univariate
            )
            for k in range(LAYERS)
        ]
        return Flow(
            layers,
            UnconditionalDistribution(DiagNormal, torch.zeros(D), torch.ones(D), buffer=True),
        )

    spline = {
        "univariate": zuko.transforms.MonotonicRQSTransform,
        "shapes": [(BINS,), (BINS,), (BINS - 1,)],
    }
    made = {
        "MAF": zuko.flows.MAF(D, transforms=LAYERS, hidden_features=HIDDEN),
        "RealNVP": couplings(),
        "NSF coupling": couplings(**spline),
        "NSF autoregressive": zuko.flows.NSF(
            D, bins=BINS, transforms=LAYERS, hidden_features=HIDDEN
        ),
    }
    return {
        k: (f, lambda x, f=f: f().log_prob(x), lambda f=f: f().sample((BATCH,)))
        for k, f in made.items()
    }


def theirs_nflows() -> dict:
    """The nearest flows from nflows: its masked nets have the same layers."""
    from nflows import transforms as t
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow

    class Net(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.net = nn.Sequential(
                nn.Linear(inputs, 64),
                nn.ReLU(),
                nn.Linear(64, 64),
                nn.ReLU(),
                nn.Linear(64, outputs),
            )

        def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
            return self.net(x)

    masked = {"features": D, "hidden_features": 64, "num_blocks": 1, "use_residual_blocks": False}
    spline = {"num_bins": BINS, "tails": "linear", "tail_bound": BOUND}

    def layers(kind: str, k: int) -> list:
        mask = torch.arange(D) % 2 == k % 2
        if kind == "MAF":
            return [t.MaskedAffineAutoregressiveTransform(**masked), t.ReversePermutation(D)]
        if kind == "NSF autoregressive":
            layer = t.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(**masked, **spline)
            return [layer, t.ReversePermutation(D)]
        if kind == "RealNVP":
            return [t.AffineCouplingTransform(mask, Net)]
        return [t.PiecewiseRationalQuadraticCouplingTransform(mask, Net, **spline)]

    made = {
        kind: Flow(
            t.CompositeTransform([part for k in range(LAYERS) for part in layers(kind, k)]),
            StandardNormal([D]),
        )
        for kind in NAMES
    }
    return {k: (f, f.log_prob, lambda f=f: f.sample(BATCH)) for k, f in made.items()}


def kept_bytes(module: nn.Module, loss) -> int:
    """Bytes that autograd keeps for the backward pass of `loss()`, without the parameters themselves."""
    own = {p.untyped_storage().data_ptr() for p in [*module.parameters(), *module.buffers()]}
    seen: dict[int, int] = {}
    alive = []

    def pack(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
            alive.append(value)  # so that no address is used twice
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        loss()
    return sum(seen.values())


def measure(entries: dict[str, tuple]) -> dict[str, dict[str, float]]:
    """library -> {"step": ms, "sample": ms, "kept": MiB}, in turns."""
    x = torch.randn(BATCH, D, generator=torch.Generator().manual_seed(0))
    jobs = {}
    for library, (module, log_prob, sample) in entries.items():
        optimizer = torch.optim.Adam(module.parameters(), 1e-3)

        def step(log_prob=log_prob, optimizer=optimizer) -> None:
            loss = -log_prob(x).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        def draw(sample=sample) -> None:
            with torch.no_grad():
                sample()

        jobs[library] = {"step": step, "sample": draw}
    times = {library: {"step": [], "sample": []} for library in entries}
    for round_ in range(ROUNDS + 2):
        for library, parts in jobs.items():
            for name, job in parts.items():
                start = time.process_time()
                job()
                if round_ >= 2:
                    times[library][name].append(1e3 * (time.process_time() - start))
    result = {lib: {name: median(v) for name, v in t.items()} for lib, t in times.items()}
    for library, (module, log_prob, _) in entries.items():
        result[library]["kept"] = kept_bytes(module, lambda f=log_prob: f(x).mean()) / 2**20
    return result


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    libraries = {"minigen": ours()}
    for name, build in (("zuko", theirs_zuko), ("nflows", theirs_nflows)):
        try:
            libraries[name] = build()
        except ImportError as error:
            print(f"{name} is left out: {error}")
    versions = ", ".join(
        f"{name} {__import__('importlib.metadata').metadata.version(name)}"
        for name in ("torch", *list(libraries)[1:])
    )
    lines = [
        f"{platform.machine()}, one thread, {versions}",
        f"D = {D}, {LAYERS} layers, networks 64 x 2, batch {BATCH}; in brackets: ours as a share of theirs",
        "",
        f"{'':<20}{'library':<9}{'step, ms':>16}{'kept, MiB':>16}{'sample, ms':>16}",
    ]
    for flow in NAMES:
        measured = measure({library: made[flow] for library, made in libraries.items()})
        for library, row in measured.items():
            cells = []
            for column in ("step", "kept", "sample"):
                share = measured["minigen"][column] / row[column]
                ratio = "" if library == "minigen" else f" ({share:.2f})"
                assert math.isfinite(share)
                cells.append(f"{row[column]:.1f}{ratio}")
            name = flow if library == "minigen" else ""
            lines.append(f"{name:<20}{library:<9}" + "".join(f"{cell:>16}" for cell in cells))
    text = "\n".join(line.rstrip() for line in lines)
    print(text)
    content = json.dumps({"table": text}, indent=1, ensure_ascii=False)
    results.path("flows_speed").write_text(content + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
