"""The densities to try flows on, the shipped flows, and the tables of the benchmarks."""

import json
import math

import pytest
import torch

from minigen import data, flows, weights
from minigen.flows.shipped import BUILD, MEASURED
from minigen.flows.targets import ENERGIES, checkerboard, log_normaliser, rings, two_moons

PLANES = [two_moons(0.1), rings(0.1), checkerboard()]
IDS = [plane.name for plane in PLANES]


@pytest.mark.parametrize("plane", PLANES, ids=IDS)
def test_densities_integrate_to_one_and_agree_with_their_samples(plane):
    axis = torch.linspace(-plane.reach, plane.reach, 501).double()
    axis = 0.5 * (axis[1:] + axis[:-1])
    log_p = plane.log_prob(torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1))
    p = log_p.exp() * (axis[1] - axis[0]) ** 2
    assert abs(p.sum().item() - 1) < 2e-3
    x = plane.sample(100_000, torch.Generator().manual_seed(0))
    for k in range(2):  # mean and second moment of each coordinate
        others = p.sum(1 - k)
        for power in (1, 2):
            want = (others * axis**power).sum().item()
            spread = x[:, k].pow(power).std().item() / math.sqrt(len(x))
            assert abs(x[:, k].pow(power).mean().item() - want) < 5 * spread + 0.01
    seen = -plane.log_prob(x)
    assert abs(seen.mean().item() - plane.entropy()) < 5 * seen.std().item() / 300 + 0.01


def test_two_moons_are_those_of_scikit_learn():
    """Its samples have the cross-entropy that only the same density gives: our entropy."""
    datasets = pytest.importorskip("sklearn.datasets")
    x = torch.tensor(datasets.make_moons(100_000, noise=0.1, random_state=0)[0])
    values = -two_moons(0.1).log_prob(x)
    assert abs(values.mean().item() - 1.0076) < 4 * values.std().item() / math.sqrt(len(x))


def test_energies_at_points_by_hand():
    u = {name: energy(torch.tensor([[2.0, 0.0]])).item() for name, energy in ENERGIES.items()}
    assert math.isclose(u["U1"], -math.log(1 + math.exp(-0.5 * (4 / 0.6) ** 2)), abs_tol=1e-6)
    assert abs(u["U2"]) < 1e-6  # sin π = 0
    dip = 3 * math.exp(-0.5 * (1 / 0.6) ** 2)
    assert math.isclose(u["U3"], -math.log(1 + math.exp(-0.5 * (dip / 0.35) ** 2)), abs_tol=1e-5)
    step = 3 / (1 + math.exp(-1 / 0.3))
    assert math.isclose(u["U4"], -math.log(1 + math.exp(-0.5 * (step / 0.35) ** 2)), abs_tol=1e-5)
    far = torch.tensor([[5.0, -1.0]])
    assert math.isclose(ENERGIES["U2"](far).item(), 0.5 * (2 / 0.4) ** 2 + 3.125, rel_tol=1e-5)


@pytest.mark.parametrize("name", ["U1", "U2", "U3", "U4"])
def test_shipped_planar_flows_reach_what_their_cards_say(name):
    """KL(flow ‖ p) from new samples, and by quadrature over the flow's density."""
    gaps = []
    for layers in (2, 8, 32):
        flow, card = flows.load(f"{name}_planar_{layers}")
        z, log_q = flow.sample_and_log_prob((20_000,), generator=torch.Generator().manual_seed(5))
        terms = log_q + ENERGIES[name](z)
        gap = terms.mean().item() + log_normaliser(ENERGIES[name])
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
    x = torch.rand(3, 64) * 17
    for name in ("digits_maf", "digits_nsf"):
        flow = BUILD[name]()
        flows.initialise(flow, torch.rand(50, 64) * 17)
        z, log_det = flow.transform(x)
        back, home = flow.transform.inverse(z)
        assert torch.allclose(back, x, atol=1e-2) and torch.allclose(home, -log_det, atol=1e-2)


def test_tables_meet_the_bars():
    """What the benchmark wrote: every median under its bar, and the table from those runs."""
    runs = json.loads((MEASURED / "quality.json").read_text())
    table = flows.measured("quality")
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
    speed = flows.measured("speed")
    assert "zuko" in speed and "NSF autoregressive" in speed
    with pytest.raises(ValueError, match="benchmarks/flows_nothing"):
        flows.measured("nothing")
