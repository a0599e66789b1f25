"""The shipped flows do what their notes say, and the tables keep the bars."""

import math

import pytest
import torch

from minigen import data, flows, results, weights
from minigen.flows.shipped import BUILD
from minigen.flows.targets import ENERGIES, log_normaliser


@pytest.mark.parametrize("name", ["U1", "U2", "U3", "U4"])
def test_shipped_planar_flows_reach_what_their_cards_say(name):
    """KL(flow ‖ p) from new samples, and by quadrature over the flow's density."""
    gaps, normaliser = [], log_normaliser(ENERGIES[name])
    for layers in (2, 8, 32):
        flow, card = flows.load(f"{name}_planar_{layers}")
        z, log_q = flow.sample_and_log_prob((20_000,), generator=torch.Generator().manual_seed(5))
        terms = log_q + ENERGIES[name](z)
        gap = terms.mean().item() + normaliser
        room = 4 * terms.std().item() / math.sqrt(len(z)) + 0.01
        assert abs(gap - card["result"]) < room and gap > -room
        gaps.append(gap)
    assert gaps[2] < gaps[1] < gaps[0] + 0.05


def test_the_shipped_digits_flow_has_its_likelihood():
    flow, card = flows.load("digits_maf")
    images, _, split = data.digits()
    x = torch.tensor(images[split["test"]]).float()
    noisy = x + torch.rand(x.shape, generator=torch.Generator().manual_seed(2))
    bits = -flow.log_prob(noisy).mean().item() / 64 / math.log(2)
    assert bits <= 2.17 and abs(bits - card["result"]) < 0.01
    assert flow.sample((2,), generator=torch.Generator().manual_seed(0)).shape == (2, 64)


def test_every_shipped_file_loads_and_is_small():
    files = sorted(weights.path("flows_digits_maf").parent.glob("flows_*.safetensors"))
    assert len(files) == 13 and sum(f.stat().st_size for f in files) < 300_000
    for file in files:
        _, card = flows.load(file.stem.removeprefix("flows_"))
        assert {"build", "command", "data", "result", "seconds", "seed"} <= set(card)
    with pytest.raises(ValueError, match="there are U1_planar_2"):
        flows.load("nothing")


def test_untrained_flows_of_the_table_are_what_they_are_called():
    layers = lambda name: [repr(layer) for layer in BUILD[name]().transform.transforms]
    for name, kind, count in (
        ("plane_affine", "AffineCoupling(2, AffineMap(bound=5)", 8),
        ("plane_spline", "SplineCoupling(2, SplineMap(bins=16, bound=4)", 4),
    ):
        halves = [
            f"{kind}, hidden=(64, 64), keeps the {half} half)" for half in ("first", "second")
        ]
        assert layers(name) == halves * (count // 2)
    for k in (1, 2, 8, 32):
        assert layers(f"planar_{k}") == ["Inverse(Planar(2))"] * k + ["Affine(2, diagonal=True)"]
    x = torch.rand(3, 64) * 17
    for name, count, knots, kind in (
        ("digits_maf", 8, 34, "MaskedAffineAutoregressive(64, AffineMap(bound=5)"),
        ("digits_nsf", 3, 17, "MaskedSplineAutoregressive(64, SplineMap(bins=8, bound=4)"),
    ):
        masked = [f"{kind}, hidden=(64,), order={order})" for order in ("0 … 63", "63 … 0")]
        first, *rest = layers(name)[1:]
        assert first == f"Elementwise(64, SplineMap(bins={knots}, bound=3))"
        assert rest == [["ActNorm(64)", masked[k // 2 % 2]][k % 2] for k in range(2 * count)]
        flow = BUILD[name]()
        scale, marginals = flow.transform.transforms[:2]
        ends = scale(torch.tensor([0.0, 17.0])[:, None].expand(2, 64))[0]
        assert torch.allclose(ends, torch.tensor([-3.0, 3.0])[:, None])  # where the splines end
        assert marginals.univariate.least == 1e-4
        assert not (scale.shift.requires_grad or scale.log_scale.requires_grad)
        flows.initialise(flow, torch.rand(50, 64) * 17)
        z, log_det = flow.transform(x)
        back, home = flow.transform.inverse(z)
        assert torch.allclose(back, x, atol=1e-2) and torch.allclose(home, -log_det, atol=1e-2)


def test_tables_meet_the_bars():
    """What the benchmark wrote: every median under its bar, and the table from those runs."""
    runs, table = results.read("flows_quality").values()
    bars = {
        "two moons, plane_affine": 0.045,
        "two moons, plane_spline": 0.02,
        "U1, planar_32": 0.03,
        "U2, planar_32": 0.04,
        "digits, digits_maf": 2.17,
        "digits, digits_nsf": 2.10,
    }
    for key, bar in bars.items():
        values = sorted(run["result"] for run in runs[key])
        assert len(values) == 3 and values[1] <= bar
        assert f"{values[1]:.4f}" in next(line for line in table.splitlines() if key in line)
