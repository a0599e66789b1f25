"""The registry of transforms, and the checks that hold for each: a new family joins by one line in REGISTRY."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from minigen.flows import (
    IAF,
    MAF,
    NSF,
    ActNorm,
    Affine,
    AffineCoupling,
    CausalFilter,
    Compose,
    ConvCoupling,
    Elementwise,
    Flow,
    Inverse,
    LULinear,
    MaskedAffineAutoregressive,
    MaskedSplineAutoregressive,
    MuLaw,
    MultiScale,
    Permutation,
    Planar,
    RealNVP,
    SplineCoupling,
    SplineMap,
    StandardNormal,
    Transform,
)


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
    "permutation": Family(
        lambda d, c: Permutation(torch.randperm(d)), dims=(2, 3, 4), volume=False
    ),
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
    "conv-coupling": Family(lambda d, c: ConvCoupling(2, d // 2, 6), (4, 8)),
    "multi-scale": Family(lambda d, c: MultiScale(d, 2, 1, 6), (4, 8)),
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
def check_normalised(transform: Transform, context: torch.Tensor | None = None) -> None:
    """The flow's density integrates to one (one or two dimensions)."""
    flow = Flow(StandardNormal(transform.dim).to(torch.float64), transform)
    axis = torch.linspace(-14, 14, 2801 if transform.dim == 1 else 281).double()
    grid = torch.stack(torch.meshgrid(*[axis] * transform.dim, indexing="ij"), dim=-1)
    density = flow.log_prob(grid, context).exp()
    for _ in range(transform.dim):
        density = torch.trapezoid(density, axis, dim=-1)
    assert abs(density.item() - 1) < 2e-3


@torch.no_grad()
def gentle(transform: Transform) -> Transform:
    """Smaller parameters: a density that a grid can resolve and does not reach beyond it."""
    for weight in transform.parameters():
        weight.mul_(0.6)
    return transform


def jacobian_of(function: Callable, x: torch.Tensor) -> torch.Tensor:
    return torch.autograd.functional.jacobian(function, x)
