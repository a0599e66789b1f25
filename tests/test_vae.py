"""The VAE held to a linear-Gaussian model whose log p is exact, to enumeration, and to torch."""

import math

import pytest
import torch
from nets import scramble, seeded
from torch import nn

from minigen import data, vae
from minigen.flow_vae import FlowVAE
from minigen.linear_vae import LinearGaussianVAE

KINDS = {
    "bernoulli": {},
    "categorical": {"likelihood": "categorical", "levels": 3},
    "gaussian": {"likelihood": "gaussian"},
}
FLOWS = ("planar", "iaf")


def make(kind: str = "bernoulli", dim: int = 4, latent_dim: int = 2, seed: int = 1) -> vae.VAE:
    return scramble(vae.VAE(dim, latent_dim, hidden=(6,), **KINDS[kind]), seed=seed)


def make_flow(flow: str, dim: int = 4, latent_dim: int = 2, flows: int = 3) -> FlowVAE:
    model = FlowVAE(dim, latent_dim, flow, flows, context_dim=5, flow_hidden=(8,), hidden=(6,))
    return scramble(model)


def every(dim: int, levels: int = 2) -> torch.Tensor:
    return torch.cartesian_prod(*[torch.arange(levels)] * dim).reshape(-1, dim)


# ---------------------------------------------------------------- the oracle: log p is exact


def test_log_prob_is_the_bound_of_as_many_samples():
    model = make()
    x = every(4)[:5]
    want = vae.iwae_bound(model, x, 80, seeded(3))
    assert torch.allclose(model.log_prob(x, 80, seeded(3)), want)
    assert torch.equal(model.log_prob(x, generator=seeded()), model.log_prob(x, 1000, seeded()))


def test_an_estimate_and_its_error_are_their_formulas():
    """From the weights of chunks of 30, 30 and 20: (Σ w)² / Σ w² samples count."""
    model, x, generator = make(), every(4)[:5], seeded(3)
    log_w = []
    for n in (30, 30, 20):
        z, log_q = model.posterior_sample(x, n, generator)
        log_w.append(model.log_likelihood(x, z) + vae.normal_log_prob(z).sum(-1) - log_q)
    w = torch.cat(log_w).exp()
    got = vae.importance_estimate(model, x, 80, seeded(3), chunk=30)
    assert torch.allclose(got.log_prob, w.mean(0).log())
    assert torch.allclose(got.effective_samples, w.sum(0) ** 2 / w.square().sum(0))
    relative = w.std(0, correction=0) / w.mean(0) / 80**0.5  # that of the mean of w
    assert torch.allclose(got.standard_error, relative)


# ---------------------------------------------------------------- the KL


def test_kl_is_torchs_and_zero_against_itself():
    mean, log_scale = torch.randn(2, 3, 4, generator=seeded(0)).double()
    q = torch.distributions.Normal(mean, log_scale.exp())
    p = torch.distributions.Normal(torch.zeros(3, 4).double(), 1.0)
    got = vae.kl_to_standard_normal(mean, log_scale)
    assert torch.allclose(got, torch.distributions.kl_divergence(q, p))
    zero = torch.zeros(3)
    assert (vae.kl_to_standard_normal(zero, zero) == 0).all()


def test_kl_is_summed_over_latent_dimensions():
    """Twice the same latent code costs twice the nats: an average would not notice."""
    model = make(latent_dim=2)
    x = every(4)
    mean, log_scale = model.encode(x)
    reconstruction = vae.elbo(model, x, 3, beta=0.0, generator=seeded(0))
    whole = vae.elbo(model, x, 3, generator=seeded(0))
    q = torch.distributions.Normal(mean, log_scale.exp())
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(-1)
    assert torch.allclose(reconstruction - whole, kl)
    assert torch.allclose(vae.kl_per_dimension(model, x).sum(), kl.mean())


@pytest.mark.parametrize("kind", KINDS)
def test_analytic_and_monte_carlo_kl_agree(kind):
    model = make(kind)
    x = every(4, 2).double()[:6]
    one = vae.elbo(model, x, 20_000, kl="analytic", generator=seeded(0))
    other = vae.elbo(model, x, 20_000, kl="monte_carlo", generator=seeded(0))
    assert torch.allclose(one, other, atol=0.06) and not torch.equal(one, other)


def test_beta_and_free_bits_are_off_unless_asked():
    model = make(latent_dim=3)
    x = every(4)

    def bound(**options):
        return vae.elbo(model, x, generator=seeded(0), **options)

    kl = vae.kl_per_dimension(model, x)  # (L,)
    reconstruction = bound(beta=0.0)
    assert torch.allclose(bound(), bound(beta=1.0, free_bits=0.0))
    assert torch.allclose((reconstruction - bound(beta=4.0)).mean(), 4 * kl.sum())
    level = kl.sort()[0][1].item() + 1e-3  # above two of the three
    spent = (reconstruction - bound(free_bits=level)).mean()
    assert torch.allclose(spent, 2 * level + kl.max())


def test_free_bits_leave_a_small_dimension_alone():
    mean = nn.Parameter(torch.tensor([[0.1, 2.0]]).double())

    class Fixed(vae.VAE):
        def encode(self, x):
            return mean.expand(len(x), 2), torch.zeros(len(x), 2).double()

    model = Fixed(4, 2, hidden=(3,)).double()
    x = every(4)
    for free_bits, dead in ((0.0, False), (0.5, True)):
        loss = vae.elbo(model, x, beta=0.0, generator=seeded(0)) - vae.elbo(
            model, x, free_bits=free_bits, generator=seeded(0)
        )
        (slope,) = torch.autograd.grad(loss.mean(), mean)
        assert (slope[0, 0].abs() < 1e-12) == dead  # below λ: nothing pulls it to zero
        assert abs(slope[0, 1] - 2.0) < 1e-9  # d/dµ µ²/2 = µ


# ---------------------------------------------------------------- reparameterisation


def test_reparameterised_gradient_is_that_of_the_expectation():
    """E[z²] = µ² + σ²: its slopes are 2µ and, in log σ, 2σ²."""
    mean = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    log_scale = torch.tensor(-0.4, dtype=torch.float64, requires_grad=True)
    noise = torch.randn(400_000, generator=seeded(0)).double()
    value = vae.reparameterise(mean, log_scale, noise).square().mean()
    got = torch.autograd.grad(value, (mean, log_scale))
    assert abs(got[0] - 1.4) < 0.01 and abs(got[1] - 2 * math.exp(-0.8)) < 0.01
    assert abs(value - (0.49 + math.exp(-0.8))) < 0.01


@pytest.mark.parametrize(
    "make_model", [make, lambda: make_flow("planar"), lambda: make_flow("iaf")]
)
def test_every_parameter_has_a_gradient(make_model):
    model = make_model().requires_grad_(True)
    (-vae.elbo(model, every(4), generator=seeded(0))).mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
        assert torch.isfinite(parameter.grad).all(), name


# ---------------------------------------------------------------- likelihoods


@pytest.mark.parametrize("kind", ["bernoulli", "categorical"])
def test_a_discrete_likelihood_sums_to_one(kind):
    model = make(kind)
    x = every(4, model.likelihood.levels)
    z = torch.randn(3, 1, 2, generator=seeded(0)).double().expand(3, len(x), 2)
    assert torch.allclose(model.log_likelihood(x, z).exp().sum(-1), torch.ones(3).double())


def test_the_gaussian_likelihood_integrates_to_one():
    model = make("gaussian", dim=2)
    axis = torch.linspace(-25, 25, 601).double()
    x = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    z = torch.randn(1, 2, generator=seeded(0)).double().expand(len(x), 2)
    density = model.log_likelihood(x, z).exp().reshape(601, 601)
    total = torch.trapezoid(torch.trapezoid(density, axis), axis)
    assert abs(total - 1) < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_likelihood_is_torchs(kind):
    model = make(kind)
    x = every(4)[:7].double()
    z = torch.randn(2, 7, 2, generator=seeded(0)).double()
    params = model.decode(z)
    if kind == "bernoulli":
        density = torch.distributions.Bernoulli(logits=params[..., 0])
    elif kind == "categorical":
        density = torch.distributions.Categorical(logits=params)
    else:
        density = torch.distributions.Normal(params[..., 0], model.log_scale.exp())
    assert torch.allclose(model.log_likelihood(x, z), density.log_prob(x).sum(-1))
    assert torch.allclose(model.mean(z), density.mean if kind != "categorical" else model.mean(z))


@pytest.mark.parametrize("flow", [None, *FLOWS])
def test_the_whole_model_sums_to_one(flow):
    model = make() if flow is None else make_flow(flow)
    with torch.no_grad():  # a wide posterior near the prior, so that few samples do
        model.encoder[-1].weight.mul_(0.1)
        model.encoder[-1].bias.copy_(torch.tensor([0.0, 0.0, 0.3, 0.3]))
        for weight in () if flow is None else model.flow.parameters():
            weight.mul_(0.3)
    total = model.log_prob(every(4), 4000, seeded(0)).exp().sum()
    assert abs(total - 1) < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_samples_follow_the_model(kind):
    model = make(kind, dim=2)
    x = model.sample((40_000,), generator=seeded(0)).double()
    z = torch.randn(40_000, 2, generator=seeded(1)).double()
    assert torch.allclose(x.mean(0), model.mean(z).mean(0), atol=0.04)
    one = torch.tensor([0.3, -0.8]).double()
    fixed = model.sample(z=one.expand(40_000, 2), generator=seeded(2)).double()
    assert torch.allclose(fixed.mean(0), model.mean(one), atol=0.04)
    if kind != "gaussian":
        states = every(2, model.likelihood.levels)
        share = torch.stack([(fixed == state).all(-1).double().mean() for state in states])
        want = model.log_likelihood(states, one.expand(len(states), 2)).exp()
        assert torch.allclose(share, want, atol=0.015)
    else:
        assert torch.allclose(fixed.std(0), model.log_scale.exp(), rtol=0.03)


def test_a_gaussian_scale_has_a_floor():
    model = make("gaussian")
    model.log_scale.fill_(-50.0)
    z = torch.zeros(1, 2).double()
    x = model.mean(z)
    assert abs(model.log_likelihood(x, z) - 4 * (5.0 - 0.5 * math.log(2 * math.pi))) < 1e-9


# ---------------------------------------------------------------- what the latent is used for


def test_units_that_ignore_x_are_not_active():
    model = make(latent_dim=3)
    last = model.encoder[-1]
    last.weight[1] = 0.0  # the mean of unit 1 is a constant
    assert vae.active_units(model, every(4)).tolist() == [True, False, True]
    last.weight[4], last.bias[4], last.bias[1] = 0.0, 0.0, 0.0  # and it is the prior
    kl = vae.kl_per_dimension(model, every(4))
    assert kl[1] == 0 and (kl[[0, 2]] > 0.01).all()


# ---------------------------------------------------------------- digits


def test_the_shipped_model_meets_the_bars():
    """-ELBO <= 18.5 and -IWAE-1000 <= 17.8 nats on the 300 test pictures, measured here and now."""
    model, card = vae.load()
    digits = data.digits()
    x = torch.tensor(digits.images[digits.split["test"]] >= 8).float()
    bound = -vae.elbo(model, x, samples=10, generator=seeded(0)).mean().item()
    estimate = -model.log_prob(x, 300, seeded(0)).mean().item()  # of 1000 a little less
    assert estimate < bound - 0.3
    seed_0 = card["posteriors"]["diagonal"]["seeds"][0]
    assert abs(bound - seed_0["elbo"]) < 0.1 and abs(estimate - seed_0["iwae-1000"]) < 0.1
    median = card["posteriors"]["diagonal"]["test nats, median"]
    assert median["elbo"] <= 18.5 and median["iwae-1000"] <= 17.8
    assert bound <= 18.5 and estimate <= 17.8


def test_the_cards_medians_and_gains_are_those_of_its_seeds():
    parts = vae.load()[1]["posteriors"]
    for part in parts.values():
        assert len(part["seeds"]) == 3
        for name, value in part["test nats, median"].items():
            assert value == sorted(seed[name] for seed in part["seeds"])[1]
    for name in FLOWS:
        medians = (parts[kind]["test nats, median"]["elbo"] for kind in ("diagonal", name))
        gain = parts[name]["gain over diagonal"]
        assert abs(gain - (next(medians) - next(medians))) < 2e-3 and gain > 0


# ---------------------------------------------------------------- behaviour


def test_randomness_comes_from_the_generator_alone():
    made = [vae.VAE(4, 2, hidden=(6,), generator=seeded(7)) for _ in range(2)]
    made += [FlowVAE(4, 2, "planar", 2, hidden=(6,), generator=seeded(7)) for _ in range(2)]
    x = every(4)
    for one, other in (made[:2], made[2:]):
        for name, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name
        draws = [vae.elbo(m.eval(), x, generator=seeded(1)) for m in (one, one)]
        assert torch.equal(*draws)
        assert torch.equal(*(one.sample((3,), generator=seeded(2)) for _ in range(2)))


@pytest.mark.parametrize("flow", [None, *FLOWS])
def test_weights_survive_the_round_trip(flow):
    model = make() if flow is None else make_flow(flow)
    other = (
        vae.VAE(4, 2, hidden=(6,))
        if flow is None
        else FlowVAE(4, 2, flow, 3, context_dim=5, flow_hidden=(8,), hidden=(6,))
    ).double()
    other.load_state_dict(model.state_dict())
    x = every(4)
    assert torch.equal(
        vae.elbo(model, x, generator=seeded(0)), vae.elbo(other, x, generator=seeded(0))
    )


def test_the_decoder_takes_the_widths_of_the_encoder_from_last_to_first():
    model = vae.VAE(4, 2, hidden=(5, 3), likelihood="categorical", levels=6)
    widths = lambda network: [tuple(w.shape) for w in network.parameters() if w.ndim == 2]
    assert widths(model.encoder) == [(5, 24), (3, 5), (4, 3)]
    assert widths(model.decoder) == [(3, 2), (5, 3), (24, 5)]
    assert model.sample((2, 3)).shape == (2, 3, 4) and model.sample().shape == (4,)
    assert repr(model) == "VAE(4, latent_dim=2, hidden=(5, 3), categorical, levels=6)"


def test_bad_input_is_named():
    for options in (
        {"likelihood": "poisson"},
        {"likelihood": "categorical", "levels": 1},
        {"hidden": ()},
        {"latent_dim": 0},
    ):
        with pytest.raises(ValueError):
            vae.VAE(**{"input_dim": 4, "latent_dim": 2, **options})
    for options in ({"flow": "radial"}, {"flows": 0}, {"context_dim": 0}):
        with pytest.raises(ValueError):
            FlowVAE(4, 2, **options)
    model = make()
    with pytest.raises(ValueError, match=r"\(B, 4\)"):
        vae.elbo(model, torch.zeros(3, 5))
    with pytest.raises(ValueError, match="round or threshold"):
        vae.elbo(model, torch.full((3, 4), 0.5))
    with pytest.raises(ValueError, match="NaN"):
        vae.elbo(model, torch.full((3, 4), math.nan))
    with pytest.raises(TypeError, match="floating"):
        vae.elbo(make("gaussian"), torch.zeros(3, 4, dtype=torch.long))
    with pytest.raises(ValueError, match=r"z has shape"):
        model.decode(torch.zeros(3).double())
    x = every(4)
    for options in ({"samples": 0}, {"beta": -1.0}, {"free_bits": -0.1}, {"kl": "exact"}):
        with pytest.raises(ValueError):
            vae.elbo(model, x, **options)
    with pytest.raises(ValueError, match="k is at least 1"):
        vae.iwae_bound(model, x, 0)
    with pytest.raises(ValueError, match="at least 2"):
        vae.importance_estimate(model, x, 1)
    with pytest.raises(ValueError, match="at least two"):
        vae.active_units(model, x[:1])
    for weight in (torch.zeros(3), torch.zeros(0, 2), torch.full((2, 2), math.inf)):
        with pytest.raises(ValueError, match=r"\(D, L\) and is finite"):
            LinearGaussianVAE(weight)
    with pytest.raises(ValueError, match="negative sizes"):
        model.sample((-1,))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.long])
def test_pixels_may_be_of_any_whole_type(dtype):
    model, x = make("bernoulli"), every(4)
    bounds = [vae.elbo(model, v, generator=seeded()) for v in (x.to(dtype), x.double())]
    assert torch.equal(*bounds)


def test_data_that_were_not_standardised_are_named():
    model = vae.VAE(4, 2, hidden=(6,), likelihood="gaussian", generator=seeded())
    x = 1000 * torch.randn(50, 4, generator=seeded())
    with pytest.raises(ValueError, match="not standardised"):
        vae.elbo(model, 100 * x)
    try:  # at this scale it may still work, and then the bound is a number
        assert torch.isfinite(vae.elbo(model, x)).all()
    except ValueError as error:
        assert "not standardised" in str(error)


def test_a_unit_is_active_by_the_variance_of_its_mean():
    """Of 0 and 1, as often, times 0.14 it is 0.0049, times 0.3 it is 0.0225."""
    model, x = vae.VAE(2, 2, hidden=(3,)), torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    model.encode = lambda x: (x * torch.tensor([0.14, 0.3]), torch.zeros_like(x))
    assert vae.active_units(model, x).tolist() == [False, True]
    assert vae.active_units(model, x, threshold=0.004).tolist() == [True, True]


def test_initial_weights_are_as_wide_as_torchs_own():
    ours, own = nn.Linear(50, 400), nn.Linear(50, 400)
    vae.init_linear_layers(ours, seeded())
    for mine, theirs in zip(ours.parameters(), own.parameters(), strict=True):
        assert abs(mine.abs().max() / theirs.abs().max() - 1) < 0.02 > abs(mine.mean())


def test_dropout_leaves_out_its_share_in_training_alone():
    model = vae.VAE(4, 2, hidden=(400,), dropout=0.25)
    h = model.encoder[:-1](torch.ones(500, 4))
    rest = model.eval().encoder[:-1](torch.ones(500, 4))
    assert abs((h[:, rest[0] > 0] == 0).double().mean() - 0.25) < 0.02
    assert torch.equal(rest[0], rest[1])
