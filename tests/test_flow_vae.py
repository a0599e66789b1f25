"""Posteriors bent by flows: log q by both directions and by autograd, normalisation, bounds."""

import pytest
import torch
from nets import scramble, seeded
from torch import nn

from minigen import vae
from minigen.code_prior import CodePrior
from minigen.flow_vae import FlowVAE
from minigen.made import MADE
from minigen.rnn import RNNLM

FLOWS = ("planar", "iaf")


def make_flow(flow: str, dim: int = 4, latent_dim: int = 2, flows: int = 3) -> FlowVAE:
    model = FlowVAE(dim, latent_dim, flow, flows, context_dim=5, flow_hidden=(8,), hidden=(6,))
    return scramble(model)


def every(dim: int, levels: int = 2) -> torch.Tensor:
    return torch.cartesian_prod(*[torch.arange(levels)] * dim).reshape(-1, dim)


@pytest.mark.parametrize("flow", FLOWS)
def test_log_q_agrees_with_the_slow_direction(flow):
    model = make_flow(flow)
    x = every(4)
    z, log_q = model.posterior_sample(x, 3, seeded(0))
    assert torch.allclose(model.log_posterior(z, x), log_q, atol=1e-7)


@pytest.mark.parametrize("flow", FLOWS)
def test_log_q_has_the_jacobian_of_autograd(flow):
    model = make_flow(flow, latent_dim=3)
    x = every(4)[5:6]
    noise = torch.randn(1, 1, 3, generator=seeded(0)).double()
    mean, log_scale = model.encode(x)

    def bend(noise):
        z_0 = vae.reparameterise(mean, log_scale, noise)
        return model.flow.inverse(z_0, model._context(x).expand(1, 1, 5))[0]

    jacobian = torch.autograd.functional.jacobian(bend, noise).reshape(3, 3)
    want = vae.normal_log_prob(noise).sum() - torch.linalg.slogdet(jacobian)[1]
    z, log_q = model.posterior_sample(x, 1, seeded(0))
    assert torch.allclose(z, bend(noise)) and torch.allclose(log_q, want)
    plain = vae.normal_log_prob(noise).sum() - log_scale.sum()
    assert (want - plain).abs() > 0.01  # the flow changes volume, or this test would say nothing


@pytest.mark.parametrize("flow", FLOWS)
def test_a_bent_posterior_integrates_to_one(flow):
    model = make_flow(flow)
    for weight in model.flow.parameters():
        weight.mul_(0.6)  # so that the grid holds it all
    axis = torch.linspace(-14, 14, 281).double()
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 1, 2)
    for x in (every(4)[:1], every(4)[9:10]):
        density = model.log_posterior(grid, x).exp().reshape(281, 281)
        total = torch.trapezoid(torch.trapezoid(density, axis), axis)
        assert abs(total - 1) < 5e-3


@pytest.mark.parametrize("flow", FLOWS)
def test_the_bent_elbo_is_the_bound_of_one_sample(flow):
    model = make_flow(flow)
    x = every(4)
    bound = vae.elbo(model, x, generator=seeded(3))
    assert torch.allclose(bound, vae.iwae_bound(model, x, 1, seeded(3)))
    many = vae.elbo(model, x, 500, generator=seeded(4))
    assert (many < model.log_prob(x, 500, seeded(4))).all()


@pytest.mark.parametrize("flow", FLOWS)
def test_the_bend_depends_on_x(flow):
    model = make_flow(flow)
    noise = torch.zeros(1, 2, 2).double()
    x = every(4)[[0, 15]]
    z, _ = model.flow.inverse(noise, model._context(x)[None])
    assert (z[0, 0] - z[0, 1]).abs().max() > 1e-3


def test_an_autoregressive_bend_turns_its_order_round():
    """With one map the last coordinate moves nothing before it; with two, everything moves everything."""
    for flows, dense in ((1, False), (2, True)):
        model = make_flow("iaf", latent_dim=3, flows=flows)
        context = model._context(every(4)[:1])
        jacobian = torch.autograd.functional.jacobian(
            lambda z, m=model, c=context: m.flow.inverse(z[None], c)[0][0],
            torch.tensor([0.3, -0.2, 0.1]).double(),
        )
        assert (jacobian.triu(1).abs().sum() > 1e-6) == dense


def test_a_bent_posterior_has_no_analytic_kl():
    model = make_flow("iaf")
    x = every(4)
    for options in ({"kl": "analytic"}, {"free_bits": 0.1}):
        with pytest.raises(ValueError, match="no diagonal Gaussian"):
            vae.elbo(model, x, **options)
    for function in (vae.kl_per_dimension, vae.active_units):
        with pytest.raises(ValueError, match="FlowVAE"):
            function(model, x)


MAKERS = {
    "VAE": lambda g: vae.VAE(4, 2, (5,), generator=g),
    "FlowVAE, planar": lambda g: FlowVAE(4, 2, "planar", 2, 3, (4,), (5,), generator=g),
    "FlowVAE, iaf": lambda g: FlowVAE(4, 2, "iaf", 2, 3, (4,), (5,), generator=g),
    "MADE": lambda g: MADE(5, (6,), orders=3, generator=g),
    "RNNLM": lambda g: RNNLM(5, 6, 3, generator=g),
    "CodePrior": lambda g: CodePrior(5, 2, 4, 3, generator=g),
}


@pytest.mark.parametrize("name", MAKERS)
def test_the_generator_given_decides_every_weight(name):
    """Not the global one: the same generator makes the same model, another makes another."""
    one, same, other = (MAKERS[name](seeded(seed)).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(value, same[key]) for key, value in one.items())
    assert any(not torch.equal(value, other[key]) for key, value in one.items())


def test_an_autoregressive_bend_is_bounded_whatever_its_weights():
    """By e^±2 a map and dimension: log q of z_0 moves by no more."""
    model = FlowVAE(4, 3, "iaf", 2, 5, (8,), (6,), generator=seeded())
    plain = super(FlowVAE, model)._draw
    generator = seeded()
    for weight in model.flow.parameters():
        nn.init.normal_(weight, std=30.0, generator=generator)
    x = torch.ones(50, 4)
    _, log_q = model.posterior_sample(x, 4, seeded(1))
    _, before = plain(x, *model.encode(x), 4, seeded(1))
    assert 5 < (log_q - before).abs().max() < 2 * 3 * 2 + 1e-3
