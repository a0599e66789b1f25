"""The student: an inverse autoregressive flow, composed exactly, and its KL to a teacher."""

import math

import pytest
import torch
from torch import nn

from minigen.distributions import Categorical, DiscretizedLogisticMixture, GaussianHead
from minigen.parallel_wavenet import (
    BASES,
    Student,
    conditional_kl,
    gaussian_kl,
    kl_spread,
    mol_kl,
)


def make_student(seed=0, std=0.25, **kwargs) -> Student:
    torch.manual_seed(seed)
    student = Student(flows=3, layers=2, residual=4, **kwargs).double()
    for weight in student.parameters():
        nn.init.normal_(weight, std=std)
    return student


@pytest.mark.parametrize("kernel", [2, 3])
def test_mean_and_scale_do_not_see_the_present(kernel):
    """d mean[t] / d z[t] = d scale[t] / d z[t] = 0, and nothing of the future."""
    student = make_student(kernel=kernel, lpc_order=3)
    z, t = torch.randn(1, 1, 50).double().requires_grad_(), 45
    _, mean, log_scale = student(z)
    for output in (mean, log_scale):
        (gradient,) = torch.autograd.grad(output[0, 0, t], z, retain_graph=True)
        assert (gradient[0, 0, t:] == 0).all()
        seen = torch.nonzero(gradient[0, 0]).flatten()
        assert seen.min() == t - student.receptive_field and seen.max() == t - 1


def test_composition_and_jacobian():
    """x = mean + scale·z, dx/dz is triangular, and Σ log_scale is its log-determinant."""
    student = make_student()
    z = torch.randn(1, 1, 12).double()
    x, mean, log_scale = student(z)
    assert torch.allclose(x, mean + log_scale.exp() * z, atol=1e-12)
    jacobian = torch.autograd.functional.jacobian(lambda z: student(z)[0].flatten(), z)[:, 0, 0]
    assert torch.equal(jacobian, jacobian.tril())
    log_det = torch.linalg.slogdet(jacobian)[1]
    assert log_det.abs() > 0.1
    assert torch.allclose(log_det, log_scale.sum(), atol=1e-10)


@pytest.mark.parametrize("base", ["gaussian", "logistic"])
def test_inverse_and_its_density(base):
    student = make_student(cond_channels=2, lpc_order=2, base=base)
    z, cond = student.noise(torch.randn(2, 1, 25).double()), torch.randn(2, 2, 25).double()
    with torch.no_grad():
        x, mean, log_scale = student(z, cond)
    back, log_q = student.inverse(x, cond)
    assert torch.allclose(back, z, atol=1e-8)
    if base == "gaussian":
        assert torch.equal(z, student.noise(z))
        q = torch.distributions.Normal(mean, log_scale.exp())
    else:  # torch has no logistic density: that of a uniform number, transformed
        uniform = torch.distributions.Uniform(*torch.tensor([0.0, 1.0]).double())
        standard = [torch.distributions.SigmoidTransform().inv]
        affine = torch.distributions.AffineTransform(mean, log_scale.exp())
        q = torch.distributions.TransformedDistribution(uniform, [*standard, affine])
    assert torch.allclose(log_q, q.log_prob(x).sum((1, 2)), atol=1e-8)


def test_flow_that_sees_the_present_is_caught(monkeypatch):
    """DESIGN's first mistake: an "IAF" whose mean and scale at t see z[t]."""
    monkeypatch.setattr("minigen.wavenet.shift_right", lambda x, by=1: x)
    with pytest.raises(AssertionError):
        test_mean_and_scale_do_not_see_the_present(2)
    with pytest.raises(AssertionError):
        test_composition_and_jacobian()


def test_starts_at_the_scale_asked_for():
    _x, mean, log_scale = Student(flows=4, layers=2, residual=4, log_scale=-5.0)(
        torch.randn(1, 1, 50)
    )
    assert torch.allclose(log_scale, torch.tensor(-5.0)) and (mean == 0).all()
    usual = Student(layers=1, residual=2)  # four flows that scale a Gaussian by e^-4
    assert len(usual.flows) == 4 and usual.base == "gaussian"
    assert torch.allclose(usual(torch.ones(1, 1, 3))[0], torch.tensor(-4.0).exp())


def test_gaussian_kl_equals_torch_and_monte_carlo():
    torch.manual_seed(0)
    mq, sq, mp, sp = torch.randn(4, 1000).double()
    q, p = (torch.distributions.Normal(m, s.exp()) for m, s in ((mq, sq), (mp, sp)))
    kl = gaussian_kl(mq, sq, mp, sp)
    assert torch.allclose(kl, torch.distributions.kl_divergence(q, p))
    assert (kl >= 0).all() and torch.allclose(gaussian_kl(mq, sq, mq, sq), torch.zeros(1).double())
    q, p = (torch.distributions.Normal(m[:1], s[:1].exp()) for m, s in ((mq, sq), (mp, sp)))
    x = q.sample((400_000,))
    monte_carlo = q.log_prob(x) - p.log_prob(x)
    assert abs(monte_carlo.mean() - kl[0]) < 5 * monte_carlo.std() / 400_000**0.5


def test_wrong_input():
    with pytest.raises(ValueError, match="at least one flow"):
        Student(flows=0)
    with pytest.raises(ValueError, match="gaussian or logistic, not 'cauchy'"):
        Student(base="cauchy")
    with pytest.raises(ValueError, match="at least one sample"):
        mol_kl(*pair(), HEAD, samples=0)


# ---------------------------------------------------------------- the KL to a mixture of logistics


@pytest.mark.parametrize("name", BASES)
def test_bases_agree_with_themselves(name):
    """Quantile, density, entropy, standard deviation and the way from normal noise: one density."""
    base, u = BASES[name], (torch.arange(200_000).double() + 0.5) / 200_000
    z = base.quantile(u)
    assert abs(-base.log_density(z).mean() - base.entropy) < 1e-4
    assert abs(z.std().log() - base.log_std) < 1e-3
    slope = (z[2:] - z[:-2]) * base.log_density(z[1:-1]).exp() * 100_000  # dz/du · f(z) = 1
    assert torch.allclose(slope[100:-100], torch.ones(()).double(), atol=1e-4)
    normal = torch.linspace(-8, 8, 33).double()
    want = base.quantile(torch.distributions.Normal(0.0, 1.0).cdf(normal))
    assert torch.allclose(base.from_normal(normal)[4:-4], want[4:-4], rtol=1e-6, atol=1e-9)
    far = base.from_normal(torch.tensor([-20.0, 20.0]))
    assert torch.isfinite(far).all() and far[0] == -far[1]


HEAD = DiscretizedLogisticMixture(k=3, min_log_scale=-9.0)


def pair(seed=0, n=4):
    """Some students' and teachers' predictions: means and scales (1, 1, n), parameters (1, 9, n)."""
    dice = torch.Generator().manual_seed(seed)
    draw = lambda channels: torch.randn(1, channels, n, generator=dice).double()
    mean, log_scale = 0.3 * draw(1), 0.5 * draw(1) - 1.5
    params = torch.cat([0.3 * draw(3), 0.5 * draw(3) - 1.0, draw(3)], dim=1)
    return mean, log_scale, params


def exact_kl(mean, log_scale, params, base, n=200_000):
    """The definition as an integral over the quantiles of q, by the midpoint rule: (1, 1, T)."""
    u = ((torch.arange(n).double() + 0.5) / n)[:, None, None, None]
    z = BASES[base].quantile(u)
    log_q = BASES[base].log_density(z) - log_scale
    log_p = HEAD.smooth_log_density(params, mean + log_scale.exp() * z)
    return (log_q - log_p.unsqueeze(2)).mean(0)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize("sampled_entropy", [False, True])
def test_mol_kl_is_unbiased(base, stratified, sampled_entropy):
    """The mean of many estimates from two samples is the integral, within its standard error."""
    mean, log_scale, params = pair()
    want = exact_kl(mean, log_scale, params, base)
    assert (want > 0.01).all()
    usual, eight = (
        mol_kl(mean, log_scale, params, HEAD, *n, generator=torch.Generator().manual_seed(0))
        for n in ((), (8,))
    )
    assert torch.equal(usual, eight)
    many = 15_000
    spread = [value.expand(many, -1, -1) for value in (mean, log_scale, params)]
    dice = torch.Generator().manual_seed(1)
    got = mol_kl(*spread, HEAD, 2, dice, base, stratified, sampled_entropy)  # (many, 1, T)
    error = got.std(0) / many**0.5
    assert ((got.mean(0) - want[0]).abs() < 5 * error + 1e-4).all()


@pytest.mark.parametrize("base", BASES)
def test_gradient_of_mol_kl_is_unbiased(base):
    values = [value.requires_grad_() for value in pair()]
    want = torch.autograd.grad(exact_kl(*values, base).sum(), values)
    many = 40_000
    for sampled in (False, True):
        spread = [value.expand(many, -1, -1) for value in values]
        kl = mol_kl(*spread, HEAD, 1, torch.Generator().manual_seed(1), base, True, sampled)
        got = torch.autograd.grad(kl.mean(0).sum(), values)
        for a, b in zip(got, want, strict=True):
            assert torch.allclose(a, b, atol=0.03), (a, b)


def test_kl_of_a_density_to_itself_is_zero():
    mean, log_scale, _ = pair()
    head = DiscretizedLogisticMixture(k=1, min_log_scale=-9.0)
    params = torch.cat([mean, log_scale, torch.zeros_like(mean)], dim=1)
    dice = torch.Generator().manual_seed(0)
    kl = mol_kl(mean, log_scale, params, head, 3, dice, sampled_entropy=True)
    assert kl.abs().max() < 1e-12  # in every draw
    assert mol_kl(mean, log_scale, params, head, 50_000, dice).abs().max() < 1e-3  # in the mean
    # the same, as a mixture
    two = torch.cat([mean, mean, log_scale, log_scale, mean, -mean], dim=1)
    head = DiscretizedLogisticMixture(k=2, min_log_scale=-9.0)
    assert mol_kl(mean, log_scale, two, head, 3, sampled_entropy=True).abs().max() < 1e-12


def test_scatter_falls_with_samples_and_faster_when_they_are_shared_out():
    """Plain: 1/√n. Stratified: faster. Sampled entropy: less again, since q is near p here."""
    mean, log_scale, params = pair(n=60)
    params[:, :3], params[:, 3:6] = mean, log_scale + 0.1
    spread = kl_spread(
        mean, log_scale, params, HEAD, (1, 4, 16), 200, torch.Generator().manual_seed(0)
    )
    plain, shared, both = spread.values()
    for n in (4, 16):
        assert 0.85 < plain[1] / plain[n] / n**0.5 < 1.15
        assert shared[n] < 1.8 * plain[n] / n**0.5 and both[n] < 0.5 * shared[n]


@pytest.mark.parametrize("base", BASES)
def test_conditional_kl_to_a_gaussian_is_the_integral(base):
    mean, log_scale, params = pair()
    params, head = torch.cat([params[:, :1], params[:, 3:4]], dim=1), GaussianHead(-9.0)
    n = 400_000
    z = BASES[base].quantile((torch.arange(n).double() + 0.5) / n).view(-1, 1, 1, 1)
    x = (mean + log_scale.exp() * z)[:, 0]  # (n, 1, T)
    log_p = head.log_prob(params.expand(n, -1, -1), x)
    want = (BASES[base].log_density(z)[:, 0] - log_scale - log_p.unsqueeze(1)).mean(0)
    got = conditional_kl(mean, log_scale, params, head, base)
    assert torch.allclose(got[0], want, atol=1e-3)
    with pytest.raises(TypeError, match="no gradient"):
        conditional_kl(mean, log_scale, params, Categorical(2))


# ---------------------------------------------------------------- the parts of the objective


def test_every_flow_is_given_noise_of_scale_one_at_the_start():
    """What has passed k of four flows is smaller by e^-k, which is undone up to a factor of ten."""
    student, seen = Student(flows=4, layers=2, residual=4, log_scale=-4.0), []
    for flow in student.flows:
        flow.register_forward_pre_hook(lambda net, given: seen.append(given[0] * net.input_scale))
    student(torch.randn(1, 1, 20_000))
    assert [x.std().item() for x in seen] == pytest.approx([1, 1, 1, 10 * math.exp(-3)], rel=0.03)


def test_spread_is_the_root_of_the_mean_variance():
    mean, log_scale, params = pair()
    start = lambda: torch.Generator().manual_seed(3)
    spread = kl_spread(mean, log_scale, params, HEAD, (4,), 50, start())
    dice = start()
    plain = {"stratified": False}
    draws = [mol_kl(mean, log_scale, params, HEAD, 4, dice, **plain) for _ in range(50)]
    assert spread["plain"][4] == pytest.approx(torch.stack(draws).var(0).mean().sqrt().item())
