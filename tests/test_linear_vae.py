"""Bounds and estimates against a VAE whose log p(x) is known."""

import math
from itertools import pairwise

import pytest
import torch
from nets import seeded

from minigen import vae
from minigen.linear_vae import LinearGaussianVAE


def linear(orthogonal: bool = False) -> LinearGaussianVAE:
    weight = torch.randn(5, 3, generator=seeded(2)).double()
    if orthogonal:
        weight = torch.linalg.qr(weight)[0] * torch.tensor([2.0, 1.0, 0.5]).double()
    bias = torch.randn(5, generator=seeded(3)).double()
    return LinearGaussianVAE(weight, math.log(0.6), bias).requires_grad_(False).fit_posterior()


def exact_elbo(model: LinearGaussianVAE, x: torch.Tensor) -> torch.Tensor:
    """log p(x) - KL(q(z | x) ‖ p(z | x)), both Gaussians, by torch."""
    mean, log_scale = model.encode(x)
    cov = torch.linalg.inv(model.precision())
    true_mean = (x - model.bias) @ model.weight @ cov * torch.exp(-2 * model.log_scale)
    q = torch.distributions.MultivariateNormal(mean, torch.diag_embed(torch.exp(2 * log_scale)))
    p = torch.distributions.MultivariateNormal(true_mean, cov)
    return model.exact_log_prob(x) - torch.distributions.kl_divergence(q, p)


def test_every_parameter_has_the_precision_of_the_weight():
    for dtype in (torch.float32, torch.float64):
        model = LinearGaussianVAE(torch.ones(4, 2, dtype=dtype), -0.1)
        assert {p.dtype for p in model.parameters()} == {dtype}
        assert model.log_scale == torch.tensor(-0.1, dtype=dtype)


@pytest.mark.parametrize("kl", ["analytic", "monte_carlo"])
def test_elbo_is_log_p_less_the_posteriors_kl(kl):
    model = linear()
    model.encoder.add_(0.2)  # a posterior that is not the best one
    model.posterior_log_scale.sub_(0.3)
    x = model.sample((6,), seeded(0))
    got = torch.stack([vae.elbo(model, x, 500, kl=kl, generator=seeded(s)) for s in range(20)])
    error = got.std(0) / math.sqrt(len(got))
    assert (error < 0.1).all() and ((got.mean(0) - exact_elbo(model, x)).abs() < 4 * error).all()
    assert (exact_elbo(model, x) < model.exact_log_prob(x) - 0.1).all()


def test_elbo_iwae_and_log_p_are_in_order():
    model = linear()
    model.posterior_log_scale.add_(0.4)
    x = model.sample((4,), seeded(0))
    repeats = x.repeat(2000, 1)

    def mean(bound):
        return bound.reshape(2000, 4).mean(0)

    rungs = [mean(vae.elbo(model, repeats, generator=seeded(0)))]
    rungs += [mean(vae.iwae_bound(model, repeats, k, seeded(k))) for k in (2, 8, 64)]
    rungs.append(model.exact_log_prob(x))
    for lower, upper in pairwise(rungs):
        assert (lower < upper - 1e-4).all()
    assert torch.allclose(mean(vae.iwae_bound(model, repeats, 1, seeded(5))), rungs[0], atol=0.1)
    assert torch.allclose(rungs[-2], rungs[-1], atol=0.02)


def test_the_exact_posterior_closes_every_gap():
    model = linear(orthogonal=True)
    x = model.sample((7,), seeded(0))
    want = model.exact_log_prob(x)
    assert torch.allclose(vae.elbo(model, x, kl="monte_carlo"), want, atol=1e-10)
    assert torch.allclose(vae.iwae_bound(model, x, 5), want, atol=1e-10)
    estimate = vae.importance_estimate(model, x, 50)
    assert torch.allclose(estimate.log_prob, want, atol=1e-10)
    assert torch.allclose(estimate.effective_samples, torch.tensor(50.0).double())
    assert (estimate.standard_error < 1e-6).all()


def test_at_the_exact_posterior_the_elbo_has_the_gradient_of_log_p():
    model = linear(orthogonal=True)
    x = model.sample((100,), seeded(0))
    for parameter in (model.weight, model.bias, model.log_scale):
        parameter.requires_grad_(True)
        (want,) = torch.autograd.grad(model.exact_log_prob(x).sum(), parameter)
        bound = vae.elbo(model, x, 2000, generator=seeded(0)).sum()
        (got,) = torch.autograd.grad(bound, parameter)
        parameter.requires_grad_(False)
        assert torch.allclose(got, want, rtol=0.02, atol=0.02 * max(50.0, want.abs().max().item()))


def test_exact_log_prob_is_that_of_samples():
    model = linear()
    x = model.sample((200_000,), seeded(0))
    want = torch.cov(x.T)
    cov = model.weight @ model.weight.T + torch.exp(2 * model.log_scale) * torch.eye(5)
    assert torch.allclose(want, cov, atol=0.05) and torch.allclose(x.mean(0), model.bias, atol=0.02)


def test_importance_estimate_is_within_its_own_error():
    model = linear()
    x = model.sample((50,), seeded(0))
    estimate = vae.importance_estimate(model, x, 2000, seeded(1), chunk=300)
    z = (estimate.log_prob - model.exact_log_prob(x)) / estimate.standard_error
    assert 0.6 < z.square().mean().sqrt() < 1.4
    assert (estimate.effective_samples > 1).all() and (estimate.effective_samples <= 2000).all()


def test_no_other_diagonal_posterior_is_nearer_to_the_true_one():
    """With correlated latents, whose variances are not those that the best factorised q has."""
    weight = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).double()
    weight[:, 1] += weight[:, 0]
    model = LinearGaussianVAE(weight, log_scale=-0.5).fit_posterior()
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(1)).double()
    precision = torch.eye(3).double() + math.e * weight.T @ weight
    true = torch.distributions.MultivariateNormal(
        math.e * torch.linalg.solve(precision, weight.T @ x.T).T, precision_matrix=precision
    )
    mean, log_scale = (v.detach() for v in model.encode(x))

    def kl(change: torch.Tensor) -> float:
        scale = torch.diag_embed((log_scale + change).exp())
        q = torch.distributions.MultivariateNormal(mean, scale_tril=scale)
        return torch.distributions.kl_divergence(q, true).mean().item()

    steps = 0.02 * torch.eye(3).double()
    assert kl(0 * steps[0]) < min(kl(sign * step) for step in steps for sign in (-1, 1))
