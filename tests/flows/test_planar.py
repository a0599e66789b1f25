"""Planar maps: always invertible, an exact root, and right where w·u is all but -1."""

import math

import pytest
import torch
from flow_families import jacobian_of, make, points
from torch import nn

from minigen.flows import Planar


def test_planar_direction_is_constrained_and_the_root_is_exact():
    planar = Planar(3).double()
    nn.init.constant_(planar.bend, 1.0)
    with torch.no_grad():
        planar.bend[:3] = -3.0  # wᵀu = -9: far from invertible without the constraint
    u, w, _, r = planar.constrained(points(3))
    assert r > 0 and torch.allclose((u * w).sum(), r - 1)
    z = 5 * points(200, 3)
    x, _ = planar.inverse(z)
    assert torch.allclose(planar(x)[0], z, atol=1e-8)
    torch.manual_seed(0)
    assert Planar(400).bend.std().item() == pytest.approx(1 / 20, rel=0.1), (
        "wᵀx of size 1 in any dimension"
    )
    nn.init.zeros_(planar.bend)
    assert torch.equal(planar(z)[0], z), "u = 0 is the identity"


def test_planar_inverse_has_the_gradient_of_the_root():
    planar = make("planar", 3)
    z = points(3)
    there = jacobian_of(lambda x: planar(x)[0], planar.inverse(z)[0].detach())
    back = jacobian_of(lambda z: planar.inverse(z)[0], z)
    assert torch.allclose(there @ back, torch.eye(3).double(), atol=1e-8)
    loss = planar.inverse(z)[0].square().sum()
    (slope,) = torch.autograd.grad(loss, planar.bend)
    step = 1e-6
    for i in range(7):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                planar.bend[i] += sign * step
                values.append(planar.inverse(z)[0].square().sum().item())
                planar.bend[i] -= sign * step
        assert math.isclose(slope[i], (values[0] - values[1]) / (2 * step), abs_tol=1e-6)


@pytest.mark.parametrize("along", [-20.0, -50.0, -80.0, -1e4, 30.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_determinant_stays_positive_where_rounding_would_eat_it(along, dtype):
    """wᵀu = -20 in float32 and -50 in float64 gave -inf and NaN as log(1 + h' wᵀû)."""
    planar = Planar(2).to(dtype)
    with torch.no_grad():
        planar.bend.copy_(torch.tensor([along, 0.3, 1.0, 0.0, 0.0]))  # u, w, b
    x = torch.tensor([[0.0, 0.0], [0.5, -1.0], [3.0, 1.0], [-20.0, 4.0]], dtype=dtype)
    x.requires_grad_()
    z, log_det = planar(x)
    h = torch.tanh(x[:, 0].detach().double())
    r = torch.nn.functional.softplus(torch.tensor(along).double() + math.log(math.e - 1))
    want = torch.log(h**2 + (1 - h**2) * r.clamp(min=torch.finfo(dtype).tiny))
    assert torch.allclose(log_det.double(), want, rtol=1e-5 if dtype == torch.float32 else 1e-12)
    back, home = planar.inverse(z.detach())
    (z.sum() + log_det.sum()).backward()
    for value in (z, back, home, x.grad, planar.bend.grad):
        assert torch.isfinite(value).all()
    away = slice(1, None)  # at the plane itself a flat map takes all digits away
    assert torch.allclose(back[away], x[away], atol=1e-2 if dtype == torch.float32 else 1e-6)
    assert torch.allclose(home[away], -log_det[away], atol=2e-2 if dtype == torch.float32 else 1e-5)
