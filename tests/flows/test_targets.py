"""The densities to try flows on: normalised, in step with their samples, right by hand."""

import math
import sys
from pathlib import Path

import pytest
import torch

from minigen.flows.targets import ENERGIES, log_normaliser, two_moons

sys.path.insert(0, str(Path(__file__).parents[2] / "training"))
from flows_quality import PLANES


@pytest.mark.parametrize("plane", PLANES.values(), ids=PLANES)
def test_densities_integrate_to_one_and_agree_with_their_samples(plane):
    axis = torch.linspace(-plane.extent, plane.extent, 161).double()
    axis = 0.5 * (axis[1:] + axis[:-1])
    log_p = plane.log_prob(torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1))
    p = log_p.exp() * (axis[1] - axis[0]) ** 2
    assert abs(p.sum().item() - 1) < 2e-3
    x = plane.sample(10_000, torch.Generator().manual_seed(0))
    for k in range(2):  # mean and second moment of each coordinate
        others = p.sum(1 - k)
        for power in (1, 2):
            want = (others * axis**power).sum().item()
            spread = x[:, k].pow(power).std().item() / math.sqrt(len(x))
            assert abs(x[:, k].pow(power).mean().item() - want) < 5 * spread + 0.01
    seen = -plane.log_prob(x)
    assert (
        abs(seen.mean().item() - plane.entropy(160))
        < 5 * seen.std().item() / math.sqrt(len(x)) + 0.01
    )


def test_two_moons_are_those_of_scikit_learn():
    """Its samples have the cross-entropy that only the same density gives: our entropy."""
    datasets = pytest.importorskip("sklearn.datasets")
    x = torch.tensor(datasets.make_moons(10_000, noise=0.1, random_state=0)[0])
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
    far = torch.tensor([[5.0, -1.0]])  # half a wall: ½ (1 / 0.4)²
    assert math.isclose(ENERGIES["U2"](far).item(), 0.5 * (2 / 0.4) ** 2 + 3.125, rel_tol=1e-5)
    # a normal across the wave; along it 8, and half a normal at each wall
    u2 = 0.4 * math.sqrt(2 * math.pi)
    assert math.isclose(log_normaliser(ENERGIES["U2"]), math.log(u2 * (8 + u2)), rel_tol=1e-6)
