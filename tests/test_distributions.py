"""Heads: right against torch.distributions, normalised, finite at the extremes."""

import pytest
import torch

from minigen.distributions import GaussianHead


def test_log_prob_equals_torch():
    torch.manual_seed(0)
    head, params, x = (
        GaussianHead(-20.0),
        torch.randn(3, 2, 7).double(),
        torch.randn(3, 1, 7).double(),
    )
    want = torch.distributions.Normal(params[:, :1], params[:, 1:].exp()).log_prob(x)[:, 0]
    assert torch.allclose(head.log_prob(params, x), want)


@pytest.mark.parametrize("log_scale", [-9.0, -3.0, 0.5])
def test_integrates_to_one_on_both_sides_of_the_floor(log_scale):
    head = GaussianHead(floor=-5.0)
    width = max(log_scale, head.floor)
    grid = 0.2 + torch.linspace(-12, 12, 20_001).double() * torch.tensor(width).exp()
    params = torch.tensor([[0.2], [log_scale]]).double().expand(1, 2, len(grid))
    density = head.log_prob(params, grid[None, None]).exp()[0]
    assert abs(torch.trapezoid(density, grid).item() - 1) < 1e-6


def test_gradients_are_finite_at_extremes_and_zero_below_the_floor():
    head = GaussianHead(floor=-7.0)
    params = torch.tensor([[[0.0, 1.0, -1.0], [-1e4, -7.5, 80.0]]], requires_grad=True)
    head.log_prob(params, torch.tensor([[[1.0, -1.0, 0.0]]])).sum().backward()
    assert torch.isfinite(params.grad).all()
    assert params.grad[0, 1, 0] == 0 and params.grad[0, 1, 1] == 0


def test_samples_and_entropy():
    head = GaussianHead()
    params = torch.tensor([[0.3], [-1.0]]).expand(1, 2, 200_000)
    x = head.sample(params, torch.Generator().manual_seed(0))
    assert abs(x.mean() - 0.3) < 0.005 and abs(x.std().log() + 1) < 0.01
    monte_carlo = -head.log_prob(params, x).mean()
    assert abs(monte_carlo - head.entropy(params).mean()) < 0.01
    assert torch.equal(head.sample(params, temperature=0.0), params[:, :1])


def test_wrong_shapes():
    with pytest.raises(ValueError, match="the WaveNet's output unchanged"):
        GaussianHead().log_prob(torch.zeros(1, 3, 5), torch.zeros(1, 1, 5))
    with pytest.raises(ValueError, match=r"audio is \(B, 1, T\)"):
        GaussianHead().log_prob(torch.zeros(1, 2, 5), torch.zeros(1, 5))
