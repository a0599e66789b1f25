"""Every transform: inverse, log-determinant against autograd, normalisation, oracles.

A new family joins by one line in REGISTRY.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from scipy.signal import lfilter
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from minigen.flows import (
    IAF,
    MAF,
    NSF,
    ActNorm,
    Affine,
    AffineCoupling,
    AffineMap,
    CausalFilter,
    Compose,
    ConvCoupling,
    Elementwise,
    Flow,
    ImageFlow,
    Inverse,
    LULinear,
    MaskedAffineAutoregressive,
    MaskedMLP,
    MaskedSplineAutoregressive,
    MuLaw,
    MultiScale,
    Permutation,
    Planar,
    Radial,
    RealNVP,
    SplineCoupling,
    SplineMap,
    StandardNormal,
    Transform,
    WaveformFlow,
    as_torch_transform,
    initialise,
    rational_quadratic,
)
from minigen.flows.multiscale import squeeze, unsqueeze


@dataclass
class Family:
    """A constructor `make(dim, context_dim)`, and what is known of its transforms."""

    make: Callable[[int, int], Transform]
    dims: tuple[int, ...] = (1, 3, 4)
    triangular: str = ""  # "lower" or "upper" Jacobian
    conditional: bool = False
    volume: bool = True  # changes volume

    @property
    def dim(self) -> int:
        return self.dims[-2] if len(self.dims) > 1 else self.dims[0]


def backwards(dim: int) -> range:
    return range(dim - 1, -1, -1)


H = (12, 12)
REGISTRY = {
    "affine": Family(lambda d, c: Affine(d), triangular="lower"),
    "affine-diagonal": Family(lambda d, c: Affine(d, diagonal=True), triangular="lower"),
    "mu-law": Family(lambda d, c: MuLaw(d), triangular="lower"),
    "inverse": Family(lambda d, c: Inverse(Affine(d)), triangular="lower"),
    "compose": Family(
        lambda d, c: Compose([Affine(d), MuLaw(d, mu=2.0), Inverse(Affine(d))]), triangular="lower"
    ),
    "planar": Family(Planar, conditional=True),
    "planar-inverse": Family(lambda d, c: Inverse(Planar(d, c)), conditional=True),
    "radial": Family(Radial, conditional=True),
    "permutation": Family(lambda d, c: Permutation.random(d), dims=(2, 3, 4), volume=False),
    "lu": Family(lambda d, c: LULinear(d, torch.Generator().manual_seed(d))),
    "actnorm": Family(lambda d, c: ActNorm(d), triangular="lower"),
    "elementwise": Family(lambda d, c: Elementwise(d, SplineMap(5, 3.0)), triangular="lower"),
    "coupling": Family(
        lambda d, c: AffineCoupling(d, H, c), (2, 3, 4), triangular="lower", conditional=True
    ),
    "coupling-swap": Family(
        lambda d, c: AffineCoupling(d, H, c, swap=True), (2, 3, 4), "upper", conditional=True
    ),
    "spline-coupling": Family(
        lambda d, c: SplineCoupling(d, H, c, bins=4, bound=3.0), (2, 3, 4), "lower", True
    ),
    "spline-coupling-swap": Family(
        lambda d, c: SplineCoupling(d, H, c, True, 4, 3.0), (2, 3, 4), "upper", True
    ),
    "masked-affine": Family(
        lambda d, c: MaskedAffineAutoregressive(d, H, c), triangular="lower", conditional=True
    ),
    "masked-affine-backwards": Family(
        lambda d, c: MaskedAffineAutoregressive(d, H, c, backwards(d)),
        triangular="upper",
        conditional=True,
    ),
    "masked-spline": Family(
        lambda d, c: MaskedSplineAutoregressive(d, H, c, bins=4, bound=3.0),
        triangular="lower",
        conditional=True,
    ),
    "masked-spline-backwards": Family(
        lambda d, c: MaskedSplineAutoregressive(d, (9,), c, backwards(d), 4, 3.0),
        triangular="upper",
        conditional=True,
    ),
    "iaf-layer": Family(
        lambda d, c: Inverse(MaskedAffineAutoregressive(d, H, c)),
        triangular="lower",
        conditional=True,
    ),
    "causal-filter": Family(
        lambda d, c: CausalFilter(d, torch.zeros(min(2, d - 1))), (2, 3, 4), triangular="lower"
    ),
    "conv-coupling-1d": Family(lambda d, c: ConvCoupling((2, d // 2), 6, c), (4, 8), "", True),
    "conv-coupling-2d": Family(lambda d, c: ConvCoupling((3, 2, 2), 6, c), (12,), "", True),
    "multi-scale-1d": Family(lambda d, c: MultiScale((1, d), 2, 1, 6, c), (4, 8), "", True),
    "multi-scale-2d": Family(lambda d, c: MultiScale((1, 4, 4), 2, 1, 6, c), (16,), "", True),
    "real-nvp": Family(lambda d, c: RealNVP(d, 2, H, c).transform, (2, 3, 4), "", True),
    "maf": Family(lambda d, c: MAF(d, 2, H, c).transform, conditional=True),
    "iaf": Family(lambda d, c: IAF(d, 2, H, c).transform, conditional=True),
    "nsf-coupling": Family(lambda d, c: NSF(d, 2, H, c, 4, 3.0).transform, (2, 3, 4), "", True),
    "nsf-autoregressive": Family(
        lambda d, c: NSF(d, 2, H, c, 4, 3.0, "autoregressive").transform, conditional=True
    ),
}
CONDITIONAL = [name for name, family in REGISTRY.items() if family.conditional]
LEARNED = sorted(set(REGISTRY) - {"mu-law", "permutation"})
SIZES = [(name, dim) for name, family in REGISTRY.items() for dim in family.dims]
C = 2  # context_dim of the conditional ones


def make(
    name: str, dim: int | None = None, dtype=torch.float64, seed: int = 0, context: bool = False
) -> Transform:
    """A transform of the registry with random parameters, far from the identity it starts at."""
    family = REGISTRY[name]
    transform = family.make(dim or family.dim, C if context else 0).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    for weight in transform.parameters():
        fan = math.prod(weight.shape[1:]) if weight.ndim > 1 else 4
        nn.init.normal_(weight, std=max(0.3, 1 / math.sqrt(fan)), generator=generator)
    return transform


def points(*shape: int, dtype=torch.float64, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def check_round_trip(transform: Transform, context: torch.Tensor | None = None) -> None:
    """Both ways round, from the data's side and from the noise's."""
    x = points(7, transform.dim)
    z, forward = transform(x, context)
    back, inverse = transform.inverse(z, context)
    assert torch.allclose(back, x, rtol=0, atol=1e-8)
    assert torch.allclose(forward, -inverse, rtol=0, atol=1e-8)
    data, _ = transform.inverse(x, context)
    assert torch.allclose(transform(data, context)[0], x, rtol=0, atol=1e-8)


def check_log_det(
    transform: Transform, context: torch.Tensor | None = None, volume: bool = True
) -> None:
    """Both directions against the autograd Jacobian; a round trip cannot see a wrong sign."""
    for function in (transform.forward, transform.inverse):
        for x in points(3, transform.dim):
            _, got = function(x, context)
            jacobian = torch.autograd.functional.jacobian(lambda x: function(x, context)[0], x)  # noqa: B023
            want = torch.linalg.slogdet(jacobian)[1]
            assert not volume or want.abs() > 1e-3, "a log-determinant of zero proves nothing"
            assert torch.allclose(got, want, atol=1e-8)


@torch.no_grad()
def check_normalised(transform: Transform, reach: float = 40.0, points_a_side: int = 2401) -> None:
    """The flow's density integrates to one (one or two dimensions)."""
    flow = Flow(StandardNormal(transform.dim).to(torch.float64), transform)
    axis = torch.linspace(-reach, reach, 40_001 if transform.dim == 1 else points_a_side).double()
    grid = torch.stack(torch.meshgrid(*[axis] * transform.dim, indexing="ij"), dim=-1)
    rows = grid.reshape(-1, transform.dim).split(200_000)
    density = torch.cat([flow.log_prob(part).exp() for part in rows]).reshape(grid.shape[:-1])
    for _ in range(transform.dim):
        density = torch.trapezoid(density, axis, dim=-1)
    assert abs(density.item() - 1) < 2e-3


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
COARSE = ("affine", "affine-diagonal", "inverse", "compose", "lu", "actnorm")


@torch.no_grad()
def gentle(transform: Transform) -> Transform:
    """Smaller parameters: a density that a grid can resolve and does not reach beyond it."""
    for weight in transform.parameters():
        weight.mul_(0.6)
    return transform


@pytest.mark.parametrize(("name", "dim"), NORMALISED)
def test_normalised(name, dim):
    grid = (40.0, 2401) if name in COARSE else (14.0, 1401)
    check_normalised(gentle(make(name, dim, seed=2)), *grid)


@pytest.mark.parametrize("name", ["coupling", "masked-spline", "planar", "radial"])
def test_normalised_given_a_context(name):
    transform, context = gentle(make(name, 2, context=True)), points(C, seed=5)
    flow = Flow(StandardNormal(2).double(), transform)
    axis = torch.linspace(-14, 14, 1401).double()
    with torch.no_grad():
        grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
        density = flow.log_prob(grid, context).exp()
    assert abs(torch.trapezoid(torch.trapezoid(density, axis), axis).item() - 1) < 2e-3


@pytest.mark.parametrize(
    "transform",
    [ConvCoupling((2, 1), 6), ConvCoupling((2, 1, 1), 6), MultiScale((1, 2), 1, 2, 6)],
    ids=["conv-1d", "conv-2d", "multi-scale"],
)
def test_convolutional_flows_are_normalised(transform):
    generator = torch.Generator().manual_seed(0)
    for weight in transform.double().parameters():
        nn.init.normal_(weight, std=0.4, generator=generator)
    check_normalised(transform, 13.0, 1001)


def test_mu_law_is_normalised_on_its_own_range():
    """Its noise reaches far only where x grows exponentially, so integrate over z instead."""
    z = torch.linspace(-9, 9, 20_001).double()[:, None]
    x, log_det = MuLaw(1).inverse(z)
    density = Flow(StandardNormal(1), MuLaw(1)).log_prob(x).exp()
    assert abs(torch.trapezoid(density * log_det.exp(), z[:, 0]).item() - 1) < 1e-6


def jacobian_of(function: Callable, x: torch.Tensor) -> torch.Tensor:
    return torch.autograd.functional.jacobian(function, x)


@pytest.mark.parametrize("name", [n for n, family in REGISTRY.items() if family.triangular])
def test_triangular(name):
    transform = make(name, 4)
    for function in (transform.forward, transform.inverse):
        jacobian = jacobian_of(lambda x: function(x)[0], points(4))  # noqa: B023
        wanted = jacobian.tril() if REGISTRY[name].triangular == "lower" else jacobian.triu()
        assert torch.equal(jacobian, wanted)
        assert (jacobian.diagonal() > 0).all()


def masked_net(order=None, hidden=(16, 16), context_dim=0) -> MaskedMLP:
    net = MaskedMLP(5, 2, hidden, context_dim, order).double()
    generator = torch.Generator().manual_seed(0)
    for weight in net.parameters():
        nn.init.normal_(weight, generator=generator)
    return net


ORDERS = [None, [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("hidden", [(16,), (16, 16), (10, 20, 15)])
@pytest.mark.parametrize("context_dim", [0, 3])
def test_parameters_see_strictly_earlier_inputs_by_mask_product_and_by_gradient(
    order, hidden, context_dim
):
    net = masked_net(order, hidden, context_dim)
    place = torch.argsort(torch.tensor(order or range(5)))
    earlier = place[:, None] > place  # [i, j]: j comes before i
    product = torch.eye(5).double()
    for k in range(len(hidden) + 1):
        product = getattr(net, f"mask_{k}") @ product
    paths = product.reshape(5, 2, 5)
    assert torch.equal(paths > 0, earlier[:, None].expand(5, 2, 5)), "all of the past, nothing else"
    context = points(context_dim) if context_dim else None
    seen = torch.zeros(5, 2, 5)
    for seed in range(40):  # a ReLU that is off hides a path: look at several points
        seen += jacobian_of(lambda x: net(x, context), points(5, seed=seed)).abs() > 0
    assert torch.equal(seen > 0, earlier[:, None].expand(5, 2, 5))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("hidden", [(16,), (3, 2), (7, 20, 9)])
@pytest.mark.parametrize("context_dim", [0, 3])
def test_step_by_step_evaluation_equals_one_pass(order, hidden, context_dim):
    net = masked_net(order, hidden, context_dim)
    x = points(6, 5)
    context = points(6, context_dim) if context_dim else None
    step, value = net.steps(6, context), None
    for i in net.order:
        assert torch.allclose(step(value), net(x, context)[:, i], atol=1e-12)
        value = x[:, i : i + 1]


@pytest.mark.parametrize("kind", [MaskedAffineAutoregressive, MaskedSplineAutoregressive])
def test_inverting_multiplies_no_more_than_one_pass_and_maps_each_column_once(kind, monkeypatch):
    layer = kind(8, (64, 64))
    columns = []
    backward = layer.univariate.inverse
    monkeypatch.setattr(
        layer.univariate, "inverse", lambda z, p: columns.append(z.shape) or backward(z, p)
    )
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        layer(torch.randn(32, 8))
    with FlopCounterMode(display=False) as back, torch.no_grad():
        layer.inverse(torch.randn(32, 8))
    assert 0 < back.get_total_flops() <= forward.get_total_flops()
    assert columns == [(32, 1)] * 8


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


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("context", [False, True])
def test_every_parameter_gets_a_gradient_and_is_saved(name, context):
    if context and name not in CONDITIONAL:
        context = False
    transform = make(name, context=context)
    given = points(29, C, seed=7) if context else None
    flow = Flow(StandardNormal(transform.dim).double(), transform)
    flow.log_prob(1.5 * points(29, transform.dim), given).sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in transform.parameters())
    through_samples = [torch.zeros_like(weight) for weight in transform.parameters()]
    x = flow.rsample((29,), given, torch.Generator().manual_seed(0))
    grads = torch.autograd.grad(x.square().sum(), list(transform.parameters()))
    assert all((a - b).abs().sum() > 0 for a, b in zip(grads, through_samples, strict=True))
    other = make(name, seed=5, context=context)
    other.load_state_dict(transform.state_dict())
    x = points(4, transform.dim)
    given = given[:4] if context else None
    assert torch.equal(other(x, given)[0], transform(x, given)[0])
    assert torch.equal(other.inverse(x, given)[0], transform.inverse(x, given)[0])


@pytest.mark.parametrize("name", REGISTRY)
def test_equals_torch_distributions(name):
    transform = make(name)
    d = transform.dim
    base = torch.distributions.Independent(
        torch.distributions.Normal(torch.zeros(d).double(), torch.ones(d).double()), 1
    )
    theirs = torch.distributions.TransformedDistribution(base, [as_torch_transform(transform)])
    flow = Flow(StandardNormal(d).double(), transform)
    x = flow.sample((6,), generator=torch.Generator().manual_seed(0))
    assert torch.allclose(flow.log_prob(x), theirs.log_prob(x), atol=1e-8)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_equals_torch_distributions_given_a_context(name):
    transform, context = make(name, context=True), points(6, C, seed=8)
    d = transform.dim
    base = torch.distributions.MultivariateNormal(torch.zeros(d).double(), torch.eye(d).double())
    theirs = torch.distributions.TransformedDistribution(
        base, [as_torch_transform(transform, context)]
    )
    flow = Flow(StandardNormal(d).double(), transform)
    x = flow.sample((6,), context, torch.Generator().manual_seed(0))
    assert torch.allclose(flow.log_prob(x, context), theirs.log_prob(x), atol=1e-8)


def mean_and_log_scale(layer, x):
    """m and s of an affine layer: x = z exp(s) + m at z = 0."""
    return layer.univariate.inverse(torch.zeros_like(x), layer.net(x))


def test_a_masked_affine_layer_is_a_product_of_normals():
    """The Gaussian autoregressive model: x_i given the past is N(m_i, exp(2 s_i))."""
    layer = make("masked-affine", 4)
    x = points(9, 4)
    m, s = mean_and_log_scale(layer, x)
    want = torch.distributions.Normal(m, s.exp()).log_prob(x).sum(-1)
    assert torch.allclose(Flow(StandardNormal(4).double(), layer).log_prob(x), want)
    assert s.min() < -0.3 and s.max() > 0.3, "it stretches in some places and contracts in others"


def test_affine_scales_stretch_as_well_as_contract():
    a = torch.tensor([-1e6, -1.0, 0.0, 1.0, 1e6]).double()
    params = torch.stack([torch.zeros(5).double(), a], -1)
    _, s = AffineMap(bound=5.0).inverse(torch.zeros(5).double(), params)
    assert torch.allclose(s, -s.flip(0)) and (s.diff() > 0).all()
    assert s.max() == 5 and s.min() == -5


def test_iaf_is_the_inverse_of_maf():
    maf, iaf = MAF(4, 3, H, C), IAF(4, 3, H, C)
    for weight in maf.parameters():
        nn.init.normal_(weight, std=0.4)
    iaf.transform.transform.load_state_dict(maf.transform.state_dict())
    z, context = torch.randn(6, 4), torch.randn(6, C)
    assert torch.equal(iaf.transform.inverse(z, context)[0], maf.transform(z, context)[0])
    assert torch.equal(iaf.transform(z, context)[0], maf.transform.inverse(z, context)[0])
    assert isinstance(iaf.transform, Inverse)


def test_iaf_mean_and_scale_never_see_their_own_noise():
    """x_t = z_t exp(s'_t) + m'_t with s' = -s(z_<t), m' = -m(z_<t) exp(-s(z_<t))."""
    layer = make("masked-affine", 5)

    def mean_and_scale(z):
        m, s = mean_and_log_scale(layer, z)
        return torch.stack([-m * torch.exp(-s), -s])

    z = points(5)
    jacobian = jacobian_of(mean_and_scale, z)  # (2, t, t')
    assert torch.equal(jacobian, jacobian.tril(-1)) and jacobian.abs().sum() > 0
    mean, log_scale = mean_and_scale(z)
    assert torch.allclose(Inverse(layer).inverse(z)[0], z * log_scale.exp() + mean)


def test_orders_alternate_between_layers():
    for flow in (MAF(4, 3, H), NSF(4, 3, H, kind="autoregressive")):
        orders = [layer.net.order for layer in flow.transform.transforms]
        assert orders == [[0, 1, 2, 3], [3, 2, 1, 0], [0, 1, 2, 3]]
    for flow in (RealNVP(5, 3, H), NSF(5, 3, H)):
        assert [layer.swap for layer in flow.transform.transforms] == [False, True, False]
        for weight in flow.double().parameters():
            nn.init.normal_(weight, std=0.5)
        jacobian = jacobian_of(lambda x: flow.transform(x)[0], points(5))  # noqa: B023
        off = ~torch.eye(5, dtype=torch.bool)
        assert (jacobian[off] != 0).any() and not torch.equal(jacobian, jacobian.tril())


def test_builders_start_as_the_identity():
    for flow in (RealNVP(4), MAF(4), IAF(4), NSF(4), NSF(4, kind="autoregressive")):
        x = torch.randn(7, 4)
        want = StandardNormal(4).log_prob(x)
        assert torch.allclose(flow.log_prob(x), want, atol=1e-5)
        assert torch.allclose(flow.transform(x)[0], x, atol=1e-5)


def test_planar_direction_is_constrained_and_the_root_is_exact():
    planar = Planar(3).double()
    nn.init.constant_(planar.bend, 1.0)
    with torch.no_grad():
        planar.bend[:3] = -3.0  # wᵀu = -9: far from invertible without the constraint
    u, w, _, wu = planar.constrained(points(3))
    assert wu >= -1 and torch.allclose((u * w).sum(), wu)
    z = 5 * points(200, 3)
    x, _ = planar.inverse(z)
    assert torch.allclose(planar(x)[0], z, atol=1e-8)
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


def test_radial_moves_points_along_rays_and_keeps_its_centre():
    radial = make("radial", 3)
    centre, alpha, beta = radial._constrained(points(3), None)
    assert beta > -alpha
    assert torch.allclose(radial(centre)[0], centre)
    x = points(9, 3)
    before, after = x - centre, radial(x)[0] - centre
    assert torch.allclose(torch.cosine_similarity(before, after), torch.ones(9).double())


def test_lu_is_its_matrix():
    lu = make("lu", 4)
    x = points(6, 4)
    z, log_det = lu(x)
    assert torch.allclose(z, x @ lu.matrix.T + lu.bias)
    assert torch.allclose(log_det, torch.linalg.slogdet(lu.matrix)[1].expand(6))
    fresh = LULinear(5, torch.Generator().manual_seed(3)).double()
    assert torch.allclose(fresh.matrix @ fresh.matrix.T, torch.eye(5).double(), atol=1e-6)
    assert torch.equal(LULinear(5).matrix, torch.eye(5))


def test_permutation_has_both_directions_and_sound_orders():
    order = [2, 0, 3, 1]
    permutation = Permutation(order)
    x = torch.arange(4.0)
    assert permutation(x)[0].tolist() == order
    assert torch.equal(permutation.inverse(permutation(x)[0])[0], x)
    assert Permutation.reverse(3)(torch.arange(3.0))[0].tolist() == [2, 1, 0]


def test_actnorm_is_set_from_data_in_order_and_then_left_alone():
    x = 3 + 5 * points(400, 2)
    flow = Flow(StandardNormal(2), [ActNorm(2), make("masked-affine", 2), ActNorm(2)]).double()
    initialise(flow, x)
    first = flow.transform.transforms[0]
    assert torch.allclose(first.shift, x.mean(0))
    assert torch.allclose(first.log_scale.exp(), x.std(0, correction=0))
    z = flow.transform(x)[0]
    assert torch.allclose(z.mean(0), torch.zeros(2).double(), atol=1e-8)
    assert torch.allclose(z.std(0, correction=0), torch.ones(2).double())
    before = flow.log_prob(x)
    flow.log_prob(x + 100)  # other data change nothing
    assert torch.equal(flow.log_prob(x), before)
    constant = ActNorm(1)
    initialise(constant, torch.full((5, 1), 4.0))
    assert constant(torch.full((1, 1), 4.0))[0].item() == 0
    with pytest.raises(ValueError, match="at least two rows"):
        initialise(flow, x[:1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("inverse", [False, True])
def test_splines_at_their_edges_and_knots(dtype, inverse):
    """At, just inside and just outside the square; at every knot; with slopes from tiny to large."""
    params = points(200, 3 * 6 - 1, dtype=dtype) * torch.linspace(1, 8, 200, dtype=dtype)[:, None]
    bound = torch.tensor(3.0, dtype=dtype)
    edge = torch.stack([bound, -bound])
    near = torch.cat(
        [edge, torch.nextafter(edge, 0 * edge), torch.nextafter(edge, 2 * edge), 100 * edge]
    )
    value = near.repeat(200, 1)
    given = params[:, None].expand(200, len(near), -1)
    result, log_slope = rational_quadratic(value, given, 3.0, inverse=inverse)
    assert torch.isfinite(result).all() and torch.isfinite(log_slope).all()
    tame = slice(0, 30)  # steep next to flat loses half of the digits, as any root does
    room = 1e-4 if dtype == torch.float32 else 1e-10
    assert torch.allclose(result[tame], value[tame], atol=room)
    assert torch.equal(result[:, 4:], value[:, 4:]) and (log_slope[:, 4:] == 0).all()
    assert (log_slope[:, 6:] == 0).all()


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_outside_the_spline_come_from_the_branch_that_is_taken(dtype, inverse):
    """`where` multiplies the other branch's gradient by zero, and zero times NaN is NaN."""
    params = (4 * points(400, 1, 17, dtype=dtype)).requires_grad_()
    for far in (3.5, 30.0, 1e4, -3.5, -1e4):
        value = torch.full((400, 1), far, dtype=dtype, requires_grad=True)
        result, log_slope = rational_quadratic(value, params, 3.0, inverse=inverse)
        (result.sum() + log_slope.sum()).backward()
        assert torch.equal(value.grad, torch.ones_like(value))
        assert torch.equal(params.grad, torch.zeros_like(params))


def test_the_root_survives_a_discriminant_that_rounding_makes_negative():
    """A flat end next to a steep mean: b² and 4ac agree to the last digits of float32."""
    generator = torch.Generator().manual_seed(0)
    params = 8 * torch.randn(500_000, 1, 17, generator=generator)
    params[..., 12:] -= 6.0  # slopes near the least
    y, _ = rational_quadratic(torch.full((500_000, 1), 2.9999998), params, 3.0)
    x, log_slope = rational_quadratic(y, params, 3.0, inverse=True)
    assert torch.isfinite(x).all() and torch.isfinite(log_slope).all()
    assert x.abs().max() <= 3 + 1e-3


def test_splines_rise_and_are_smooth_at_their_knots():
    bins, least = 5, 1e-3
    params = points(40, 3 * bins - 1)
    x = torch.linspace(-3.5, 3.5, 5001).double().expand(40, -1)
    z, log_slope = rational_quadratic(x, params[:, None].expand(40, x.shape[1], -1), 3.0, least)
    assert (z.diff() > 0).all()
    area = torch.trapezoid(log_slope.exp(), x)  # the slope is that of the curve
    assert torch.allclose(area, z[:, -1] - z[:, 0], rtol=0.02)
    shares = least + (1 - bins * least) * params[:, :bins].softmax(-1)
    knots = 3.0 * (2 * shares.cumsum(-1) - 1)  # (40, 5): the inner four and the right edge
    given = params[:, None].expand(40, bins, -1)
    (left, slope_left), (right, slope_right) = (
        rational_quadratic(knots + side, given, 3.0, least) for side in (-1e-9, 1e-9)
    )
    assert torch.allclose(left, right, atol=1e-6)
    assert torch.allclose(slope_left, slope_right, atol=1e-4)
    inner = math.log(math.e - 1) + params[:, 2 * bins :]
    want = torch.log(least + (1 - least) * nn.functional.softplus(inner))
    assert torch.allclose(slope_right[:, :-1], want, atol=1e-4), "the slopes asked for"


def test_splines_round_trip_in_float32_without_a_negative_discriminant():
    params = 2 * points(5000, 1, 3 * 8 - 1, dtype=torch.float32)
    x = 2.9 * torch.rand(5000, 1, generator=torch.Generator().manual_seed(2))
    z, log_slope = rational_quadratic(x, params, 3.0)
    back, home = rational_quadratic(z, params, 3.0, inverse=True)
    assert torch.isfinite(back).all() and torch.isfinite(home).all()
    # An error of one rounding in z is an error of 1 / slope of it in x.
    room = 1e-4 * (1 + torch.exp(-log_slope))
    assert ((back - x).abs() < room).all()


def test_zero_parameters_are_the_identity():
    x = points(5, 3)
    for univariate in (AffineMap(), SplineMap(6, 2.0)):
        zeros = torch.zeros(5, 3, univariate.count).double()
        for function in (univariate.forward, univariate.inverse):
            value, log_slope = function(x, zeros)
            assert torch.allclose(value, x) and torch.allclose(
                log_slope, torch.zeros(5, 3).double()
            )


def test_squeeze_takes_neighbours_together_and_comes_back():
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    small = squeeze(x)
    assert small.shape == (1, 8, 2, 2)
    assert small[0, :4, 0, 0].tolist() == [0, 1, 4, 5]  # the 2 × 2 corner of channel 0
    assert torch.equal(unsqueeze(small), x)
    wave = torch.arange(16.0).reshape(1, 2, 8)
    assert squeeze(wave)[0, :2, 0].tolist() == [0, 1]
    assert torch.equal(unsqueeze(squeeze(wave)), wave)


@pytest.mark.parametrize(
    "flow", [ImageFlow((1, 8, 8), 2, 1, 8), WaveformFlow(32, 3, 1, 8)], ids=["image", "waveform"]
)
def test_multi_scale_builders_learn(flow):
    """A few steps raise the likelihood of smooth events; then coarse noise alone moves most of one."""
    data = 2 + points(64, flow.base.dim, dtype=torch.float32).cumsum(-1)
    initialise(flow, data)
    optimizer = torch.optim.Adam(flow.parameters(), 1e-2)
    curve = []
    for _ in range(30):
        loss = -flow.log_prob(data).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    assert curve[-1] < curve[0] - 1
    z = torch.zeros(2, flow.base.dim)
    z[1, -flow.base.dim // 8 :] = 2.0
    x = flow.transform.inverse(z)[0]
    assert (x[0] != x[1]).float().mean() > 0.5


def test_the_causal_filter_is_lfilter_and_its_density_is_normal():
    taps = torch.tensor([1.2, -0.7, 0.1], dtype=torch.float64)
    layer = CausalFilter(50, taps, log_scale=-0.4)
    z = points(3, 50)
    x, _ = layer.inverse(z)
    want = lfilter([math.exp(-0.4)], [1, -1.2, 0.7, -0.1], z.numpy())
    assert torch.allclose(x, torch.tensor(want))
    matrix = jacobian_of(lambda z: layer.inverse(z)[0], z[0]).detach()
    theirs = torch.distributions.MultivariateNormal(
        torch.zeros(50).double(), scale_tril=matrix
    ).log_prob(x)
    assert torch.allclose(Flow(StandardNormal(50).double(), layer).log_prob(x), theirs)


# ---------------------------------------------------------------- other libraries, the same weights


def test_masked_affine_equals_zuko_given_the_same_weights():
    zuko = pytest.importorskip("zuko", reason="zuko, an oracle for tests, is not installed")
    d, hidden = 5, (16, 16)  # 16 units over 4 degrees: both libraries give each degree 4

    def affine(shift, scale):
        """Ours is z = (x - m) exp(-s), theirs z = exp(a) x + b, with another curve to bound a."""
        s = 4.0 * torch.tanh(scale / 4.0)
        unbounded = -s / (1 - abs(s / math.log(1e-3)))
        return zuko.transforms.MonotonicAffineTransform(-shift * torch.exp(-s), unbounded)

    theirs = zuko.flows.MAF(d, transforms=2, univariate=affine, hidden_features=hidden).double()
    ours = MAF(d, 2, hidden, bound=4.0).double()
    for mine, other in zip(ours.transform.transforms, theirs.transform.transforms, strict=True):
        linear = [layer for layer in other.hyper if isinstance(layer, nn.Linear)]
        order, reach = torch.arange(d), torch.eye(d)
        for k, (target, source) in enumerate(zip(mine.net.layers, linear, strict=True)):
            nn.init.normal_(source.weight, std=0.4)
            # Sort their hidden units as ours are, by the number of inputs that reach them.
            last = k == len(linear) - 1
            reach = (source.mask.float() @ reach > 0).float()
            rows = torch.arange(len(source.bias)) if last else reach.sum(1).argsort(stable=True)
            target.weight.data.copy_(source.weight[rows][:, order])
            target.bias.data.copy_(source.bias[rows])
            order = rows
    x = points(20, d)
    assert torch.allclose(ours.log_prob(x), theirs().log_prob(x), atol=1e-10)
    z = points(20, d, seed=9)
    assert torch.allclose(ours.transform.inverse(z)[0], theirs().transform.inv(z), atol=1e-8)
    assert (ours.log_prob(x) - StandardNormal(d).log_prob(x)).abs().min() > 1e-3


def test_splines_equal_zuko_given_the_same_knots():
    zuko = pytest.importorskip("zuko", reason="zuko, an oracle for tests, is not installed")
    bins, least, bound = 6, 1e-3, 3.0
    raw = points(300, 3 * bins - 1)
    theirs = zuko.transforms.MonotonicRQSTransform(
        raw[:, :bins], raw[:, bins : 2 * bins], raw[:, 2 * bins :], bound=bound
    )
    shares = [k.diff() / (2 * bound) for k in (theirs.horizontal, theirs.vertical)]
    slopes = (theirs.derivatives[:, 1:-1] - least) / (1 - least)
    params = torch.cat(
        [
            *(torch.log((share - least) / (1 - bins * least)) for share in shares),
            torch.log(torch.expm1(slopes)) - math.log(math.e - 1),
        ],
        -1,
    )
    value = 4 * (2 * torch.rand(300, generator=torch.Generator().manual_seed(5)).double() - 1)
    z, log_slope = rational_quadratic(value, params, bound, least)
    want, want_slope = theirs.call_and_ladj(value)
    assert torch.allclose(z, want, atol=1e-10) and torch.allclose(log_slope, want_slope, atol=1e-9)
    back, _ = rational_quadratic(value, params, bound, least, inverse=True)
    assert torch.allclose(back, theirs.inv(value), atol=1e-9)


def test_splines_equal_nflows_given_the_same_weights():
    splines = pytest.importorskip(
        "nflows.transforms.splines.rational_quadratic",
        reason="nflows, an oracle for tests, is not installed",
    )
    bins, least, bound = 7, 1e-3, 3.0
    params = points(300, 3 * bins - 1)
    # Their slope is least + softplus(u); ours is scaled so that zero gives the identity.
    slopes = least + (1 - least) * nn.functional.softplus(
        params[:, 2 * bins :] + math.log(math.e - 1)
    )
    value = 4 * (2 * torch.rand(300, generator=torch.Generator().manual_seed(6)).double() - 1)
    for inverse in (False, True):
        want, want_slope = splines.unconstrained_rational_quadratic_spline(
            value,
            params[:, :bins],
            params[:, bins : 2 * bins],
            torch.log(torch.expm1(slopes - least)),
            inverse=inverse,
            tails="linear",
            tail_bound=bound,
        )
        got, log_slope = rational_quadratic(value, params, bound, least, inverse)
        assert torch.allclose(got, want, atol=1e-8)
        assert torch.allclose(log_slope, want_slope, atol=1e-7)


# ---------------------------------------------------------------- flows as a whole


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
        (lambda: AffineCoupling(1), ValueError, "dim >= 2"),
        (lambda: Permutation([0, 0, 1]), ValueError, "each of 0"),
        (lambda: MaskedMLP(3, 2, order=[0, 1]), ValueError, r"each of 0 … 2 once, not \[0, 1\]"),
        (lambda: MaskedMLP(3, 2, hidden=()), ValueError, "at least one width"),
        (lambda: SplineMap(bins=1), ValueError, "bins >= 2"),
        (lambda: SplineMap(bins=8, least=0.2), ValueError, "least < 1 / bins"),
        (lambda: AffineMap(bound=0.0), ValueError, "positive, not 0.0"),
        (lambda: CausalFilter(3, [0.1, 0.1, 0.1]), ValueError, "1 to 2 finite taps"),
        (lambda: CausalFilter(3, [math.nan]), ValueError, "finite"),
        (lambda: MultiScale((1, 6), levels=2), ValueError, "multiples of 4"),
        (lambda: MultiScale((1, 2, 2, 2)), ValueError, r"\(C, T\) or \(C, H, W\)"),
        (lambda: ConvCoupling((1, 8)), ValueError, "C >= 2"),
        (lambda: ImageFlow((1, 8)), ValueError, r"\(C, H, W\)"),
        (lambda: NSF(3, kind="other"), ValueError, "not 'other'"),
        (lambda: MAF(3, layers=0), ValueError, "at least one layer"),
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
