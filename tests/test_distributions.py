"""Heads: right against trusted densities, sum or integrate to one, finite at the extremes."""

import math

import numpy as np
import pytest
import torch

from minigen import audio
from minigen.distributions import (
    LOGISTIC_STD,
    Categorical,
    DiscretizedLogisticMixture,
    GaussianHead,
    VectorLikelihood,
)

HEADS = [
    pytest.param(GaussianHead(-9.0), id="gaussian"),
    pytest.param(Categorical(256), id="mu-law"),
    pytest.param(Categorical(64, mu_law=False), id="even-levels"),
    pytest.param(DiscretizedLogisticMixture(3, 65_536), id="mixture16"),
    pytest.param(DiscretizedLogisticMixture(4, 256), id="mixture8"),
]
SEED = torch.Generator().manual_seed(0)


def column(*values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)[None, :, None]  # (1, P, 1)


# ---------------------------------------------------------------- Gaussian


def test_log_prob_equals_torch():
    params = torch.randn(3, 2, 7, generator=SEED).double()
    x = torch.randn(3, 1, 7, generator=SEED).double()
    want = torch.distributions.Normal(params[:, :1], params[:, 1:].exp()).log_prob(x)[:, 0]
    assert torch.allclose(GaussianHead(-20.0).log_prob(params, x), want)


@pytest.mark.parametrize("log_scale", [-9.0, -3.0, 0.5])
def test_integrates_to_one_on_both_sides_of_the_floor(log_scale):
    head = GaussianHead(min_log_scale=-5.0)
    width = max(log_scale, head.min_log_scale)
    grid = 0.2 + torch.linspace(-12, 12, 20_001).double() * torch.tensor(width).exp()
    params = column(0.2, log_scale).expand(1, 2, len(grid))
    density = head.log_prob(params, grid[None, None]).exp()[0]
    assert abs(torch.trapezoid(density, grid).item() - 1) < 1e-6


def test_gradient_is_zero_below_the_floor():
    head = GaussianHead(min_log_scale=-7.0)
    params = torch.tensor([[[0.0, 1.0, -1.0], [-1e4, -7.5, 80.0]]], requires_grad=True)
    head.log_prob(params, torch.tensor([[[1.0, -1.0, 0.0]]])).sum().backward()
    assert torch.isfinite(params.grad).all()
    assert params.grad[0, 1, 0] == 0 and params.grad[0, 1, 1] == 0


def test_gaussian_samples():
    head = GaussianHead()
    params = torch.tensor([[0.3], [-1.0]]).expand(1, 2, 200_000)
    x = head.sample(params, torch.Generator().manual_seed(0))
    assert abs(x.mean() - 0.3) < 0.005 and abs(x.std().log() + 1) < 0.01


# ---------------------------------------------------------------- the logistic mixture


def levels_of(head, dtype):
    return (torch.arange(head.levels, dtype=torch.float64) * head.step - 1).to(dtype)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-11), (torch.float32, 3e-5)])
@pytest.mark.parametrize("log_scale", [-7.0, -30.0, -2.0, 3.0])
@pytest.mark.parametrize("mean", [-0.9995, 0.9995, -1.0, 1.0, 0.1, 1.7, -40.0])
@pytest.mark.parametrize("levels", [256, 65_536])
def test_mixture_sums_to_one_over_all_levels(levels, mean, log_scale, dtype, tolerance):
    head = DiscretizedLogisticMixture(1, levels)
    x = levels_of(head, dtype)
    params = column(mean, log_scale, 0.3, dtype=dtype).expand(1, 3, levels)
    total = head.log_prob(params, x[None, None]).double().exp().sum().item()
    assert abs(total - 1) < tolerance


def test_mixture_equals_differences_of_the_cumulative_distribution():
    """Against scipy, where nothing cancels; the two edges take everything beyond them."""
    from scipy.stats import logistic

    head, rng = DiscretizedLogisticMixture(3, 256), np.random.default_rng(0)
    mean, log_scale, logits = rng.normal(0, 0.5, 3), rng.uniform(-4, 0, 3), rng.normal(size=3)
    edges = np.concatenate([[-np.inf], -1 + head.step * (np.arange(255) + 0.5), [np.inf]])
    cdf = logistic.cdf(edges[:, None], mean, np.exp(log_scale))  # (257, 3)
    want = np.diff(cdf, axis=0) @ (np.exp(logits) / np.exp(logits).sum())
    params = column(*mean, *log_scale, *logits).expand(1, 9, 256)
    got = head.log_prob(params, levels_of(head, torch.float64)[None, None]).exp()[0]
    assert np.allclose(got.numpy(), want, rtol=1e-10, atol=1e-14)


def test_mixture_below_the_resolution_of_differences():
    """d = δ/s is 2e-8 in float32: the naive difference is exactly 0, the truth is density · δ."""
    head = DiscretizedLogisticMixture(1, 65_536)
    params = column(0.0, math.log(1500.0), 0.0, dtype=torch.float32)
    got = head.log_prob(params, torch.zeros(1, 1, 1)).item()
    assert abs(got - math.log(0.25 / 1500 * head.step)) < 1e-4  # logistic density at its mean: 1/4s


def test_mixture_gradient_by_finite_differences():
    head = DiscretizedLogisticMixture(2, 256)
    params = column(0.1, -0.3, -3.0, -6.5, 0.2, -0.4).requires_grad_()
    for value in (-1.0, 0.1, 0.7, 1.0):
        x = torch.full((1, 1, 1), value).double().requires_grad_()
        assert torch.autograd.gradcheck(lambda p, x=x: head.log_prob(p, x.detach()), params)
    inside = torch.full((1, 1, 1), 0.1).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: head.log_prob(params.detach(), x), inside)


@pytest.mark.parametrize("value", [-1.0, 0.3, 1.0])
@pytest.mark.parametrize("log_scale", [-1e4, -7.0, 0.0, 50.0, 1e4])
@pytest.mark.parametrize("mean", [-1e4, -1.0, 0.0, 1e4])
def test_gradients_are_finite_at_extremes(mean, log_scale, value):
    x = torch.full((1, 1, 1), value, requires_grad=True)
    for head, params in (
        (GaussianHead(), (mean, log_scale)),
        (DiscretizedLogisticMixture(2), (mean, 0.5, log_scale, -3.0, 1e4, -1e4)),
        (Categorical(4), (mean, log_scale, 0.0, 1e4)),
    ):
        params = column(*params, dtype=torch.float32).requires_grad_()
        log_prob = head.log_prob(params, x)
        log_prob.sum().backward()
        assert torch.isfinite(log_prob).all() and torch.isfinite(params.grad).all()
        assert x.grad is None or torch.isfinite(x.grad).all()


def test_mixture_samples_have_its_probabilities():
    """Frequencies of all 16 levels, edges included, within five standard errors."""
    head = DiscretizedLogisticMixture(2, 16)
    params = column(-0.8, 0.5, -1.5, -0.7, 0.4, 0.0).float()
    n = 400_000
    x = head.sample(params.expand(1, 6, n), torch.Generator().manual_seed(0))
    code = ((x + 1) / head.step).round().long().flatten()
    assert torch.allclose(x.flatten(), levels_of(head, torch.float32)[code], atol=1e-6)
    grid = levels_of(head, torch.float32)[None, None]
    p = head.log_prob(params.expand(1, 6, 16), grid).exp()[0]
    share = torch.bincount(code, minlength=16) / n
    assert ((share - p).abs() < 5 * (p / n).sqrt() + 1e-5).all()


def test_mixture_of_equal_components_can_come_apart():
    """At the start the components differ, or their gradients would be equal for ever."""
    start = DiscretizedLogisticMixture(5).initial().reshape(3, 5)
    assert len(start[1].unique()) == 5


# ---------------------------------------------------------------- the categorical


@pytest.mark.parametrize("levels", [2, 16, 255, 256])
def test_codes_are_those_of_the_audio_module(levels):
    head = Categorical(levels)
    x = torch.cat([torch.linspace(-1.3, 1.3, 4001), torch.zeros(1)]).double()
    assert np.array_equal(head.encode(x).numpy(), audio.mu_law_encode(x.numpy(), levels))
    codes = torch.arange(levels)
    for dtype in (torch.float32, torch.float64):
        assert torch.equal(head.encode(head.decode(codes, dtype)), codes)
    assert np.allclose(
        head.decode(codes, torch.float64), audio.mu_law_decode(codes.numpy(), levels)
    )


def test_categorical_equals_torch():
    head = Categorical(256)
    params = torch.randn(2, 256, 9, generator=SEED).double()
    x = torch.rand(2, 1, 9, generator=SEED).double() * 2 - 1
    truth = torch.distributions.Categorical(logits=params.mT)
    assert torch.allclose(head.log_prob(params, x), truth.log_prob(head.encode(x)[:, 0]))


def test_categorical_samples_have_its_probabilities():
    head, n = Categorical(8), 200_000
    params = column(0.0, 1.0, -2.0, 0.5, 0.0, -9.0, 1.0, 0.2).float()
    for temperature in (1.0, 0.5):
        x = head.sample(params.expand(1, 8, n), torch.Generator().manual_seed(1), temperature)
        share = torch.bincount(head.encode(x).flatten(), minlength=8) / n
        p = (params[0, :, 0] / temperature).softmax(0)
        assert ((share - p).abs() < 5 * (p / n).sqrt() + 1e-4).all()


def test_even_levels_lose_what_mu_law_keeps():
    """A quiet sine at 8 bits: µ-law codes it at least 20 dB better than even levels."""
    x = (0.01 * torch.sin(torch.arange(4000) * 0.1)).double()
    error = [
        (head.decode(head.encode(x), torch.float64) - x).pow(2).mean().item()
        for head in (Categorical(256), Categorical(256, mu_law=False))
    ]
    assert 10 * math.log10(error[1] / error[0]) > 20


# ---------------------------------------------------------------- all


@pytest.mark.parametrize("head", HEADS)
def test_log_density_integrates_to_one(head):
    """On one scale: each is a density of amplitude, over a grid finer than any level."""
    params = 0.3 * torch.randn(1, head.n_params, 1, generator=SEED).double()
    if isinstance(head, Categorical):  # twenty points in each level, the half ones at the ends too
        edges = torch.linspace(-1, 1, 40 * (head.levels - 1) + 1).double()
        if head.mu_law:
            edges = edges.sign() * (head.levels ** edges.abs() - 1) / (head.levels - 1)
    elif isinstance(head, GaussianHead):
        params[:, 1] -= 5.0
        edges = torch.linspace(-1, 1, 100_001).double()
    else:  # off the edges the levels' own step
        params[:, head.means : 2 * head.means] -= 5.0  # within (-1, 1)
        edges = (torch.arange(head.levels + 1).double() - 0.5) * head.step - 1
    x = (edges[1:] + edges[:-1]) / 2
    density = head.log_density(params.expand(1, -1, len(x)), x[None, None]).exp()[0]
    assert abs((density * edges.diff()).sum() - 1) < 1e-3


@pytest.mark.parametrize("head", HEADS)
def test_temperature_and_seeds(head):
    params = torch.randn(2, head.n_params, 50, generator=SEED)
    if head.means:
        params[:, : head.means] *= 0.3
        params[:, head.means : 2 * head.means] -= 4
    draw = lambda seed, heat: head.sample(params, torch.Generator().manual_seed(seed), heat)
    assert draw(0, 1.0).shape == (2, 1, 50)
    assert torch.equal(draw(0, 1.0), draw(0, 1.0)) and not torch.equal(draw(0, 1.0), draw(1, 1.0))
    cold = draw(0, 0.0)
    if isinstance(head, GaussianHead):  # the rest of a draw is in proportion to the temperature
        assert torch.allclose(draw(0, 0.3), cold + 0.3 * (draw(0, 1.0) - cold), atol=1e-7)
    assert torch.equal(cold, draw(1, 0.0))  # nothing is left to chance
    spread = [(draw(2, heat) - cold).abs().mean() for heat in (0.2, 1.0)]
    assert spread[0] < spread[1]
    with pytest.raises(ValueError, match="temperature"):
        draw(0, -1.0)


@pytest.mark.parametrize("head", HEADS)
def test_start_is_the_density_of_the_errors(head):
    """The constant parameters that `start` proposes beat those of an untrained network by far."""
    x = (0.05 * torch.randn(1, 1, 5000, generator=SEED)).clamp(-1, 1).double()
    nll = [
        -head.log_density(p.double()[None, :, None].expand(-1, -1, 5000), x).mean().item()
        for p in (head.initial(), head.start(x, x))
    ]
    truth = 0.5 * math.log(2 * math.pi * math.e * 0.05**2)
    assert truth - 0.05 < nll[1] < truth + 0.2 and nll[0] > nll[1] + 0.4


def test_starts_in_closed_form():
    """Counts and a half of each level; the errors' deviation, which a mixture spreads over its components."""
    x = torch.tensor([-1.0, -0.9, 0.0, 0.0, 1.0]).double()[None, None]
    counts = torch.tensor([2.5, 0.5, 2.5, 0.5, 1.5]).double()  # of five even levels
    assert torch.allclose(Categorical(5, mu_law=False).start(x, x), (counts / 7.5).log().float())
    log_std = 0.5 * x.square().mean().log()
    want = torch.stack([torch.zeros(()), log_std])
    assert torch.allclose(GaussianHead().start(7 * x, x), want)
    for k, untrained in ((3, False), (1, False), (3, True)):
        head = DiscretizedLogisticMixture(k)
        got = head.initial() if untrained else head.start(7 * x, x)
        around = torch.tensor([-1.0, 0.0, 1.0] if head.k > 1 else [0.0]).double()
        means, log_scales, logits = got.double().chunk(3)
        assert not means.any() and not logits.any()
        middle = 0 * log_std if untrained else log_std
        assert torch.allclose(log_scales + math.log(LOGISTIC_STD), middle + around, atol=1e-6)
    assert torch.equal(GaussianHead().initial(), torch.zeros(2))


def test_a_mixture_draws_by_the_logistic_quantile():
    """At the nearest level, inside ±1, finite for every u; the first number chooses the component."""
    head = DiscretizedLogisticMixture(2)
    params = column(-0.3, 0.2, -4.0, -3.0, 0.0, math.log(3.0)).expand(1, 6, 6)
    u = torch.tensor([[0.05, 0.3, 0.3, 0.3, 0.0, 0.3], [0.1, 0.1, 0.9, 0.5, 0.0, 1.0]]).double()
    quantile = lambda u: math.log(u / (1 - u))
    want = [-0.3 + 0.5 * math.exp(-4) * quantile(0.1)]
    want += [0.2 + 0.5 * math.exp(-3) * quantile(v) for v in (0.1, 0.9, 0.5)]
    got = head.draw(params, u[None], temperature=0.5)[0, 0]
    assert (got[:4] - torch.tensor(want).double()).abs().max() <= 0.51 * head.step
    assert torch.isfinite(got).all() and got[4] < -0.3 and got[5] > 0.2
    assert torch.isfinite(head.draw(params, u[None], temperature=0.0)).all()
    at = (got + 1) / head.step
    assert torch.allclose(at, at.round(), atol=1e-6)
    far = params + column(5.0, 5.0, 0.0, 0.0, 0.0, 0.0)  # means beyond the last level
    assert head.draw(far, u[None])[0, 0, 1] == 1


def test_smooth_density_integrates_to_one_and_is_the_limit_of_fine_levels():
    head = DiscretizedLogisticMixture(3, min_log_scale=-9.0)
    params = torch.tensor([[-0.3, 0.1, 0.4], [-1.2, -0.7, -1.0], [0.5, -0.2, 0.1]]).double()
    params = params.reshape(1, 9, 1)
    grid = torch.linspace(-30, 30, 60_001).double()
    density = head.smooth_log_density(params, grid.view(-1, 1, 1, 1)).exp().flatten()
    assert abs(torch.trapezoid(density, grid) - 1) < 1e-9
    mean, log_std = (value.item() for value in head.moments(params))
    assert torch.trapezoid(density * grid, grid).item() == pytest.approx(mean, abs=1e-9)
    variance = torch.trapezoid(density * (grid - mean) ** 2, grid).item()
    assert variance == pytest.approx(math.exp(2 * log_std), rel=1e-6)
    narrow = params.clone()
    narrow[:, 3:6] -= 3.5  # scales near 0.01
    x = torch.tensor([[[0.1]]]).double()
    for levels in (256, 65_536):
        fine = DiscretizedLogisticMixture(3, levels, min_log_scale=-9.0)
        bound = (fine.step / narrow[:, 3:6].amin().exp()).square() / 24
        gap = (fine.log_density(narrow, x) - fine.smooth_log_density(narrow, x)).abs()
        assert gap.item() <= 1.2 * bound + 1e-9
    assert head.smooth_log_density(params, 30 * x).isfinite().all()


@pytest.mark.parametrize("head", [Categorical(16), Categorical(9, mu_law=False), GaussianHead()])
def test_moments_are_those_of_samples(head):
    params = torch.randn(1, head.n_params, 1, generator=torch.Generator().manual_seed(0)).double()
    x = head.sample(params.expand(1, -1, 100_000), torch.Generator().manual_seed(1))
    mean, log_std = head.moments(params)
    assert abs(x.mean() - mean) < 0.015 and abs(x.std().log() - log_std) < 0.015


# ---------------------------------------------------------------- vectors


@pytest.mark.parametrize("kind", ["bernoulli", "categorical", "gaussian"])
def test_the_likelihood_of_a_vector_is_torchs(kind):
    """Density, mean, frequencies of samples, and what a network is fed of x."""
    likelihood = VectorLikelihood(kind, 4, levels=3, min_log_scale=-1.5)
    seeded = torch.Generator().manual_seed(0)
    params = torch.randn(2, 5, 4, likelihood.n_params, generator=seeded).double()
    x = torch.randint(3 if kind == "categorical" else 2, (5, 4), generator=seeded)
    given = {}
    if kind == "bernoulli":
        density, code = torch.distributions.Bernoulli(logits=params[..., 0]), 2.0 * x - 1
    elif kind == "categorical":
        density = torch.distributions.Categorical(logits=params)
        code = torch.nn.functional.one_hot(x, 3).flatten(1)
    else:
        x = code = torch.randn(5, 4, generator=seeded).double()
        scale = params[..., 1].clamp(min=-1.5).exp()
        density = torch.distributions.Normal(params[..., 0], scale)
        own = torch.tensor([0.5, -0.5, -9.0, 0.0]).double()  # one scale for each coordinate
        fixed = torch.distributions.Normal(params[..., 0], own.clamp(min=-1.5).exp())
        given = {"log_scale": own}
        assert torch.allclose(likelihood.log_prob(params[..., :1], x, own), fixed.log_prob(x))
    assert torch.allclose(likelihood.log_prob(params, x), density.log_prob(x.double()))
    got = likelihood.code(likelihood.checked(x), torch.float64)
    assert got.dtype == torch.float64 and torch.equal(got, code.double())
    assert got.shape[1] == 4 * likelihood.n_inputs
    mean = density.mean if kind != "categorical" else density.probs @ torch.arange(3.0).double()
    assert torch.allclose(likelihood.mean(params), mean)
    many = params[:, :1].expand(2, 20_000, 4, -1)
    for options in ({}, given):
        drawn = likelihood.sample(many, torch.Generator().manual_seed(1), **options).double()
        assert (drawn.mean(1) - mean[:, 0]).abs().max() < 0.06
    assert torch.equal(drawn, likelihood.sample(many, torch.Generator().manual_seed(1), **options))
    if kind == "gaussian":
        assert torch.allclose(drawn.std(1), fixed.stddev[0, 0].expand(2, 4), rtol=0.03)
    elif kind == "categorical":
        share = torch.nn.functional.one_hot(drawn.long(), 3).double().mean(1)
        assert torch.allclose(share, density.probs[:, 0], atol=0.02)
    want = "categorical, levels=3" if kind == "categorical" else kind
    assert repr(likelihood) == want and VectorLikelihood(kind, 4).min_log_scale == -7


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: GaussianHead().log_prob(torch.zeros(1, 3, 5), torch.zeros(1, 1, 5)), "takes"),
        (lambda: GaussianHead().log_prob(torch.zeros(1, 2, 5), torch.zeros(1, 5)), r"\(B, 1, T\)"),
        (
            lambda: DiscretizedLogisticMixture(2).log_prob(
                torch.zeros(1, 6, 5), torch.zeros(1, 1, 4)
            ),
            r"not \(B, 1, T\)",
        ),
        (lambda: DiscretizedLogisticMixture(0), "k >= 1"),
        (lambda: Categorical(1), "at least 2 levels"),
        (lambda: DiscretizedLogisticMixture(2, levels=1), "levels >= 2"),
        (lambda: Categorical(9).encode(torch.tensor([math.nan])), "NaN"),
        (lambda: Categorical(9).moments(torch.zeros(1, 8, 5)), r"\(B, 9, T\), not \(1, 8, 5\)"),
        (lambda: VectorLikelihood("poisson", 2), "'poisson': choose one of bernoulli, cat"),
        (lambda: VectorLikelihood("categorical", 2, 1), "levels >= 2, not 1"),
        (lambda: VectorLikelihood("gaussian", 2).checked([[0.0, 1.0]]), "a tensor, not list"),
        (lambda: VectorLikelihood("gaussian", 2).checked(torch.zeros(2)), r"\(B, 2\) with B > 0"),
        (lambda: VectorLikelihood("gaussian", 2).checked(torch.zeros(0, 2)), r"not \(0, 2\)"),
        (lambda: VectorLikelihood("gaussian", 1).checked(torch.zeros(1, 1).long()), "floating"),
        (lambda: VectorLikelihood("gaussian", 1).checked(torch.full((1, 1), math.inf)), "NaN"),
        (lambda: VectorLikelihood("bernoulli", 1).checked(torch.full((1, 1), 2)), "0 … 1"),
        (lambda: VectorLikelihood("bernoulli", 1).checked(torch.full((1, 1), 0.5)), "0 … 1"),
        (lambda: VectorLikelihood("categorical", 1, 3).checked(torch.full((1, 1), 3)), "0 … 2"),
        (lambda: VectorLikelihood("categorical", 1, 3).checked(torch.full((1, 1), -1)), "0 … 2"),
    ],
)
def test_wrong_input(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_the_last_level_is_not_drawn_by_rounding():
    """In float32 256 cumulated probabilities end below 1: u above them must not mean full scale."""
    head = Categorical(256)
    logits = torch.randn(1, 256, 4000, generator=torch.Generator().manual_seed(1))
    logits[:, 200:] = -200.0  # the upper levels have no probability
    u = torch.full((1, 1, 4000), 1 - 2.0**-24)
    assert (head.encode(head.draw(logits, u)) < 200).all()
