"""Every transform: inverse, log-determinant against autograd, normalisation, torch as oracle.

A new family joins by one line in REGISTRY.
"""

import math

import pytest
import torch
from torch import nn

from minigen.flows import (
    Affine,
    Compose,
    Flow,
    Inverse,
    MuLaw,
    StandardNormal,
    Transform,
    as_torch_transform,
)

REGISTRY = {
    "affine": Affine,
    "affine-diagonal": lambda dim: Affine(dim, diagonal=True),
    "mu-law": MuLaw,
    "inverse": lambda dim: Inverse(Affine(dim)),
    "compose": lambda dim: Compose([Affine(dim), MuLaw(dim, mu=2.0), Inverse(Affine(dim))]),
}
TRIANGULAR = {"affine", "affine-diagonal", "mu-law", "inverse", "compose"}


def make(name: str, dim: int = 3, dtype=torch.float64, seed: int = 0) -> Transform:
    generator = torch.Generator().manual_seed(seed)
    transform = REGISTRY[name](dim).to(dtype)
    for weight in transform.parameters():
        nn.init.normal_(weight, std=0.5, generator=generator)
    return transform


def points(*shape: int, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(1))


def check_round_trip(transform: Transform) -> None:
    x = points(7, transform.dim)
    z, forward = transform(x)
    back, inverse = transform.inverse(z)
    assert torch.allclose(back, x, atol=1e-8)
    assert torch.allclose(forward, -inverse, atol=1e-8)


def check_log_det(transform: Transform) -> None:
    """Both directions against the autograd Jacobian; a round trip cannot see a wrong sign."""
    for function in (transform.forward, transform.inverse):
        for x in points(3, transform.dim):
            _, got = function(x)
            jacobian = torch.autograd.functional.jacobian(lambda x: function(x)[0], x)  # noqa: B023
            want = torch.linalg.slogdet(jacobian)[1]
            assert want.abs() > 1e-3, "a log-determinant of zero proves nothing"
            assert torch.allclose(got, want, atol=1e-8)


def check_normalised(transform: Transform) -> None:
    """The flow's density integrates to one (one or two dimensions)."""
    flow = Flow(StandardNormal(transform.dim).to(torch.float64), transform)
    axis = torch.linspace(-40, 40, 40_001 if transform.dim == 1 else 2401).double()
    grid = torch.stack(torch.meshgrid(*[axis] * transform.dim, indexing="ij"), dim=-1)
    density = flow.log_prob(grid).exp()
    for _ in range(transform.dim):
        density = torch.trapezoid(density, axis, dim=-1)
    assert abs(density.item() - 1) < 2e-3


@pytest.mark.parametrize("name", REGISTRY)
def test_round_trip(name):
    check_round_trip(make(name))


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("dim", [1, 4])
def test_log_det(name, dim):
    check_log_det(make(name, dim))


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("name", sorted(set(REGISTRY) - {"mu-law"}))
def test_normalised(name, dim):
    check_normalised(make(name, dim, seed=2))


def test_mu_law_is_normalised_on_its_own_range():
    """Its noise reaches far only where x grows exponentially, so integrate over z instead."""
    z = torch.linspace(-9, 9, 20_001).double()[:, None]
    x, log_det = MuLaw(1).inverse(z)
    density = Flow(StandardNormal(1), MuLaw(1)).log_prob(x).exp()
    assert abs(torch.trapezoid(density * log_det.exp(), z[:, 0]).item() - 1) < 1e-6


@pytest.mark.parametrize("name", sorted(TRIANGULAR))
def test_triangular(name):
    transform = make(name, 4)
    jacobian = torch.autograd.functional.jacobian(lambda x: transform(x)[0], points(4))
    assert torch.equal(jacobian, jacobian.tril())


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("shape", [(), (5,), (2, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_dtypes(name, shape, dtype):
    transform = make(name, dtype=dtype)
    x = points(*shape, 3, dtype=dtype)
    for function in (transform.forward, transform.inverse):
        value, log_det = function(x)
        assert value.shape == (*shape, 3) and log_det.shape == shape
        assert value.dtype == log_det.dtype == dtype
    flow = Flow(StandardNormal(3).to(dtype), transform)
    sample, log_prob = flow.sample_and_log_prob(shape)
    assert sample.shape == (*shape, 3) and log_prob.shape == flow.log_prob(x).shape == shape


@pytest.mark.parametrize("name", REGISTRY)
def test_extreme_inputs_stay_finite(name):
    transform = make(name)
    x = torch.tensor([[1e4, -1e4, 0.0], [0.0, 0.0, 0.0]]).double().requires_grad_()
    z, log_det = transform(x)
    (z.sum() + log_det.sum()).backward()
    assert torch.isfinite(z).all() and torch.isfinite(log_det).all()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("name", sorted(set(REGISTRY) - {"mu-law"}))
def test_every_parameter_gets_a_gradient_and_is_saved(name):
    transform = make(name)
    flow = Flow(StandardNormal(3).double(), transform)
    flow.log_prob(points(9, 3)).sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in transform.parameters())
    other = make(name, seed=5)
    other.load_state_dict(transform.state_dict())
    assert torch.equal(other(points(4, 3))[0], transform(points(4, 3))[0])


@pytest.mark.parametrize("name", REGISTRY)
def test_equals_torch_distributions(name):
    transform = make(name)
    base = torch.distributions.Independent(
        torch.distributions.Normal(torch.zeros(3).double(), torch.ones(3).double()), 1
    )
    theirs = torch.distributions.TransformedDistribution(base, [as_torch_transform(transform)])
    flow = Flow(StandardNormal(3).double(), transform)
    x = flow.sample((6,), generator=torch.Generator().manual_seed(0))
    assert torch.allclose(flow.log_prob(x), theirs.log_prob(x), atol=1e-8)


def test_sample_and_log_prob_agree_and_carry_gradients():
    flow = Flow(StandardNormal(3).double(), make("compose"))
    x, log_prob = flow.sample_and_log_prob((50,), generator=torch.Generator().manual_seed(0))
    assert torch.allclose(flow.log_prob(x), log_prob, atol=1e-8)
    assert x.requires_grad and not flow.sample((2,)).requires_grad
    same = flow.rsample((50,), generator=torch.Generator().manual_seed(0))
    assert torch.equal(same, x)


def test_affine_is_the_multivariate_normal():
    affine = make("affine")
    matrix, x = affine.matrix.detach(), points(5, 3)
    want = torch.distributions.MultivariateNormal(affine.shift.detach(), scale_tril=matrix)
    assert torch.allclose(Flow(StandardNormal(3).double(), affine).log_prob(x), want.log_prob(x))


class WrongSign(Affine):
    """The planted mistake: both log-determinants negated. A round trip cannot see it."""

    def _forward(self, x, context):
        z, log_det = super()._forward(x, context)
        return z, -log_det

    def _inverse(self, z, context):
        x, log_det = super()._inverse(z, context)
        return x, -log_det


def test_a_wrong_sign_passes_the_round_trip_and_fails_the_rest():
    wrong = WrongSign(2).double()
    nn.init.constant_(wrong.log_scale, 0.4)
    check_round_trip(wrong)
    with pytest.raises(AssertionError):
        check_log_det(wrong)
    with pytest.raises(AssertionError):
        check_normalised(wrong)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: Affine(0), ValueError, "dim >= 1"),
        (lambda: Affine(3)(torch.zeros(2)), ValueError, r"\(..., 3\), not \(2,\)"),
        (lambda: Affine(3)(torch.zeros(3).long()), TypeError, "floating"),
        (lambda: Compose([]), ValueError, "at least one"),
        (lambda: Compose([Affine(2), Affine(3)]), ValueError, "same dim"),
        (lambda: Flow(StandardNormal(2), [Affine(3)]), ValueError, "base has 2"),
        (lambda: MuLaw(1, mu=0), ValueError, "positive"),
        (lambda: Transform(1)(torch.zeros(1)), TypeError, "does not define"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_mu_law_equals_the_formula():
    x = torch.linspace(-1, 1, 9).double()[:, None]
    z, _ = MuLaw(1)(x)
    assert torch.allclose(z[-1], torch.ones(1).double()) and torch.allclose(z, -z.flip(0))
    assert math.isclose(z[5].item(), math.log(1 + 255 / 4) / math.log(256))


def test_mu_law_has_its_slope_at_exactly_zero():
    """Digital silence is exactly zero: sign(x) log(1 + µ|x|) would get the gradient 0 there."""
    zero = torch.zeros(1, dtype=torch.float64)
    for function in (MuLaw(1).forward, MuLaw(1).inverse):
        slope = torch.autograd.functional.jacobian(lambda v: function(v)[0], zero)  # noqa: B023
        assert torch.allclose(slope.log().sum(), function(zero)[1])


class Shifted(Transform):
    """z = (x - context) / 2: a transform that needs its context in both directions."""

    def _forward(self, x, context):
        return (x - context) / 2, x.new_full(x.shape[:-1], -self.dim * math.log(2))

    def _inverse(self, z, context):
        return 2 * z + context, z.new_full(z.shape[:-1], self.dim * math.log(2))


def test_the_context_reaches_every_part():
    context, z = points(4, 2), points(2).expand(4, 2)
    chain = Compose([Affine(2).double(), Inverse(Inverse(Shifted(2)))])
    flow = Flow(StandardNormal(2).double(), chain)
    want = torch.distributions.Normal(context, 2.0).log_prob(z).sum(-1)
    assert torch.allclose(flow.log_prob(z, context), want)
    seeds = [torch.Generator().manual_seed(6) for _ in range(4)]
    x = flow.sample((4,), context, generator=seeds[0])
    assert torch.allclose(x, flow.rsample((4,), context, generator=seeds[1]))
    assert torch.allclose(x - context, 2 * flow.base.sample((4,), seeds[2]))
    again, log_prob = flow.sample_and_log_prob((4,), context, generator=seeds[3])
    assert torch.allclose(again, x)
    assert torch.allclose(log_prob, flow.log_prob(x, context))
