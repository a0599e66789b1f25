"""Every transform of the registry: inverse, log-determinant against autograd, normalisation, batches, gradients."""

import math

import pytest
import torch
from flow_families import (
    CONDITIONAL,
    LEARNED,
    REGISTRY,
    SIZES,
    C,
    check_log_det,
    check_normalised,
    check_round_trip,
    gentle,
    jacobian_of,
    make,
    points,
)
from torch import nn

from minigen.flows import (
    MAF,
    NSF,
    Affine,
    AffineCoupling,
    AffineMap,
    CausalFilter,
    Compose,
    ConvCoupling,
    Flow,
    Inverse,
    MaskedAffineAutoregressive,
    MuLaw,
    MultiScale,
    Permutation,
    SplineMap,
    StandardNormal,
    Transform,
)


@pytest.mark.parametrize(("name", "dim"), SIZES)
def test_round_trip(name, dim):
    check_round_trip(make(name, dim))


@pytest.mark.parametrize(("name", "dim"), SIZES)
def test_log_det(name, dim):
    check_log_det(make(name, dim), volume=REGISTRY[name].volume)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_round_trip_and_log_det_given_a_context(name):
    transform = make(name, context=True)
    check_round_trip(transform, points(7, C, seed=3))
    check_log_det(transform, points(C, seed=4))


NORMALISED = [
    (name, dim)
    for name, family in REGISTRY.items()
    for dim in (1, 2)
    if name != "mu-law" and family.dims[0] <= dim
]


@pytest.mark.parametrize(("name", "dim"), NORMALISED)
def test_normalised(name, dim):
    check_normalised(gentle(make(name, dim, seed=2)))


@pytest.mark.parametrize("name", ["coupling", "masked-spline", "planar"])
def test_normalised_given_a_context(name):
    check_normalised(gentle(make(name, 2, context=True)), points(C, seed=5))


@pytest.mark.parametrize("name", [n for n, family in REGISTRY.items() if family.triangular])
def test_triangular(name):
    transform = make(name, 4)
    for function in (transform.forward, transform.inverse):
        jacobian = jacobian_of(lambda x: function(x)[0], points(4))  # noqa: B023
        wanted = jacobian.tril() if REGISTRY[name].triangular == "lower" else jacobian.triu()
        assert torch.equal(jacobian, wanted)
        assert (jacobian.diagonal() > 0).all()


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("shape", [(), (5,), (2, 5), (0,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_dtypes(name, shape, dtype):
    transform = make(name, dtype=dtype)
    d = transform.dim
    x = points(*shape, d, dtype=dtype)
    for function in (transform.forward, transform.inverse):
        value, log_det = function(x)
        assert value.shape == (*shape, d) and log_det.shape == shape
        assert value.dtype == log_det.dtype == dtype
    flow = Flow(StandardNormal(d).to(dtype), transform)
    sample, log_prob = flow.sample_and_log_prob(shape)
    assert sample.shape == (*shape, d) and log_prob.shape == flow.log_prob(x).shape == shape


@pytest.mark.parametrize("name", REGISTRY)
def test_a_batch_is_its_rows(name):
    transform = make(name)
    x = points(2, 3, transform.dim)
    for function in (transform.forward, transform.inverse):
        value, log_det = function(x)
        for i in range(2):
            for j in range(3):
                one, part = function(x[i, j])
                assert torch.allclose(value[i, j], one) and torch.allclose(log_det[i, j], part)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_each_row_has_its_own_context(name):
    transform = make(name, context=True)
    x, context = points(2, 3, transform.dim), points(2, 3, C, seed=2)
    for function in (transform.forward, transform.inverse):
        value, log_det = function(x, context)
        one, part = function(x[1, 2], context[1, 2])
        assert torch.allclose(value[1, 2], one) and torch.allclose(log_det[1, 2], part)
        shared, _ = function(x, context[0, 0])  # one context for the whole batch
        assert torch.allclose(shared[0, 0], value[0, 0])
        assert not torch.allclose(shared[1, 2], value[1, 2])
    seen = context.clone().requires_grad_()
    (transform(x, seen)[0].sum() + transform(x, seen)[1].sum()).backward()
    assert (seen.grad.abs().sum(-1) > 0).all()
    with pytest.raises(ValueError, match="conditional: give it context"):
        transform(x)
    with pytest.raises(ValueError, match=r"context has shape \(\.\.\., 2\), not \((6, )?3,?\)"):
        transform(x, points(3))


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_inputs_stay_finite(name, dtype):
    transform = make(name, dtype=dtype)
    x = torch.zeros(6, transform.dim, dtype=dtype)
    x[0], x[1], x[2, 0], x[3, -1], x[4] = 1e4, -1e4, 1e4, -1e4, 3.0
    x[5, ::2] = -3.0  # rows 4 and 5: the edges of the splines
    directions = (transform.forward, transform.inverse)
    for function in directions[:1] if name in ("mu-law", "compose") else directions:
        points_ = x.clone().requires_grad_()
        value, log_det = function(points_)
        (value.sum() + log_det.sum()).backward()
        assert torch.isfinite(value).all() and torch.isfinite(log_det).all()
        assert torch.isfinite(points_.grad).all()
        for weight in transform.parameters():
            assert weight.grad is None or torch.isfinite(weight.grad).all()


@pytest.mark.parametrize(
    ("name", "context"), [(n, False) for n in REGISTRY] + [(n, True) for n in CONDITIONAL]
)
def test_every_parameter_gets_a_gradient_and_is_saved(name, context):
    transform = make(name, context=context)
    given = points(29, C, seed=7) if context else None
    flow, weights = (
        Flow(StandardNormal(transform.dim).double(), transform),
        [*transform.parameters()],
    )
    if name in LEARNED:
        density = flow.log_prob(1.5 * points(29, transform.dim), given)
        x = flow.rsample((29,), given, torch.Generator().manual_seed(0))
        for value in (density, x.square()):
            assert all(grad.abs().sum() > 0 for grad in torch.autograd.grad(value.sum(), weights))
    other = make(name, seed=5, context=context)
    other.load_state_dict(transform.state_dict())
    x = points(4, transform.dim)
    given = given[:4] if context else None
    assert torch.equal(other(x, given)[0], transform(x, given)[0])
    assert torch.equal(other.inverse(x, given)[0], transform.inverse(x, given)[0])


class TorchTransform(torch.distributions.Transform):
    """Noise -> data, as torch.distributions counts it."""

    domain = codomain = torch.distributions.constraints.real_vector
    bijective = True

    def __init__(self, transform, context=None):
        super().__init__()
        self.transform, self.context = transform, context

    def _call(self, z):
        return self.transform.inverse(z, self.context)[0]

    def _inverse(self, x):
        return self.transform(x, self.context)[0]

    def log_abs_det_jacobian(self, z, x):
        return self.transform.inverse(z, self.context)[1]


@pytest.mark.parametrize("name", REGISTRY)
def test_equals_torch_distributions(name):
    transform = make(name)
    d = transform.dim
    base = torch.distributions.Independent(
        torch.distributions.Normal(torch.zeros(d).double(), torch.ones(d).double()), 1
    )
    theirs = torch.distributions.TransformedDistribution(base, [TorchTransform(transform)])
    flow = Flow(StandardNormal(d).double(), transform)
    x = flow.sample((6,), generator=torch.Generator().manual_seed(0))
    assert torch.allclose(flow.log_prob(x), theirs.log_prob(x), atol=1e-8)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_equals_torch_distributions_given_a_context(name):
    transform, context = make(name, context=True), points(6, C, seed=8)
    d = transform.dim
    base = torch.distributions.MultivariateNormal(torch.zeros(d).double(), torch.eye(d).double())
    theirs = torch.distributions.TransformedDistribution(base, [TorchTransform(transform, context)])
    flow = Flow(StandardNormal(d).double(), transform)
    x = flow.sample((6,), context, torch.Generator().manual_seed(0))
    assert torch.allclose(flow.log_prob(x, context), theirs.log_prob(x), atol=1e-8)


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
    assert matrix[2, 0] != 0, "free below the diagonal unless told otherwise"


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


def test_mu_law_is_normalised_on_its_own_range():
    """Its noise reaches far only where x grows exponentially, so integrate over z instead."""
    z = torch.linspace(-9, 9, 20_001).double()[:, None]
    x, log_det = MuLaw(1).inverse(z)
    density = Flow(StandardNormal(1), MuLaw(1)).log_prob(x).exp()
    assert abs(torch.trapezoid(density * log_det.exp(), z[:, 0]).item() - 1) < 1e-6


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


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: Affine(0), ValueError, "dim >= 1"),
        (lambda: Affine(3)(torch.zeros(2)), ValueError, r"x has .*\(..., 3\), not \(2,\)"),
        (lambda: Affine(3).inverse(torch.zeros(3, 2)), ValueError, r"z has .*3\), not \(3, 2\)"),
        (lambda: Affine(1)(torch.tensor(0.0)), ValueError, r"1\), not \(\)"),
        (lambda: Affine(3)(torch.zeros(3).long()), TypeError, "x is torch.int64: .* floating"),
        (lambda: Affine(3).inverse(torch.zeros(3).long()), TypeError, "z is torch.int64"),
        (lambda: Compose([]), ValueError, "at least one"),
        (lambda: Compose([Affine(2), Affine(3)]), ValueError, "same dim"),
        (lambda: Flow(StandardNormal(2), [Affine(3)]), ValueError, "base has dim 2, .* 3"),
        (lambda: Flow(StandardNormal(3), [Affine(2)]), ValueError, "base has dim 3, .* 2"),
        (lambda: Flow(StandardNormal(1), Affine(2)), ValueError, "base has dim 1, .* 2"),
        (lambda: Flow(None, [Affine(2)]), TypeError, "base must be of type Module"),
        (lambda: Inverse([Affine(2)]), TypeError, "transform must be of type Transform"),
        (lambda: MuLaw(1, mu=0), ValueError, "positive"),
        (lambda: Transform(1)(torch.zeros(1)), TypeError, "not define .* data -> noise"),
        (lambda: Transform(1).inverse(torch.zeros(1)), TypeError, "not define .* noise -> data"),
        (lambda: AffineCoupling(1), ValueError, "dim >= 2"),
        (lambda: Permutation([0, 0, 1]), ValueError, "each of 0"),
        (lambda: Permutation([1, 2]), ValueError, "each of 0"),
        (lambda: Permutation([[0]]), ValueError, "each of 0"),
        (
            lambda: MaskedAffineAutoregressive(3, order=[0, 1]),
            ValueError,
            r"permutations as rows, not",
        ),
        (lambda: SplineMap(bins=1), ValueError, "bins >= 2"),
        (lambda: SplineMap(bound=0.0), ValueError, "not 8, 0.0, 0.001"),
        (lambda: SplineMap(bins=8, least=0.125), ValueError, "least < 1 / bins"),
        (lambda: SplineMap(least=0.0), ValueError, "0 < least"),
        (lambda: AffineMap(bound=0.0), ValueError, "positive, not 0.0"),
        (lambda: CausalFilter(3, [0.1, 0.1, 0.1]), ValueError, "taps are 1 to 2 finite"),
        (lambda: CausalFilter(3, [math.nan]), ValueError, "finite"),
        (lambda: MultiScale(6, levels=2), ValueError, "divisible by 2.levels, not 6"),
        (lambda: MultiScale(8, levels=0), ValueError, "levels=0, steps=4 >= 1"),
        (lambda: MultiScale(8, steps=0), ValueError, "levels=2, steps=0 >= 1"),
        (lambda: MultiScale(0), ValueError, "not 0: pad it"),
        (lambda: ConvCoupling(1, 8), ValueError, "at least 2 channels"),
        (lambda: NSF(3, kind="other"), ValueError, "not 'other'"),
        (lambda: MAF(3, layers=0), ValueError, "at least one layer"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
