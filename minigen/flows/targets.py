"""Chapter 12: densities in the plane to try flows on, one to learn from samples, four to learn from a formula.

`two_moons` has samples, an exact log-density and so an exact entropy. The energies U1 to U4
have a formula, known up to a constant, and no samples.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

LOG_2PI = math.log(2 * math.pi)
from ..distributions import Random


class Plane:
    """A density in the plane: `sample(n, generator)` (n, 2) and `log_prob(x)` (...), in float64.

    Args:
        name: for tables. sampler: (n, generator) -> (n, 2). log_prob: (..., 2) -> (...).
        extent: the density lies within [-extent, extent]², for grids.
    """

    def __init__(
        self, name: str, sampler: Callable, log_prob: Callable[[Tensor], Tensor], extent: float
    ) -> None:
        self.name, self._sampler, self._log_prob, self.extent = name, sampler, log_prob, extent

    def sample(self, n: int, generator: Random = None) -> Tensor:
        """-> (n, 2)."""
        return self._sampler(n, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """x (..., 2) -> nats (...)."""
        rows = x.double().reshape(-1, 2).split(1_000)
        return torch.cat([self._log_prob(part) for part in rows]).reshape(x.shape[:-1])

    def entropy(self, cells_a_side: int = 300) -> float:
        """-∫ p log p by the midpoint rule, in nats."""
        cell = 2 * self.extent / cells_a_side
        axis = (torch.arange(cells_a_side, dtype=torch.float64) + 0.5) * cell - self.extent
        log_p = self.log_prob(torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1))
        return -torch.where(log_p > -700, log_p.exp() * log_p, 0.0).sum().item() * cell**2


def on_curve(curve: Tensor, sigma: float) -> Callable[[Tensor], Tensor]:
    """log-density of a point drawn uniformly from `curve` (K, 2), plus N(0, σ² I)."""

    def log_prob(x: Tensor) -> Tensor:
        squares = torch.cdist(x, curve).square() / (2 * sigma**2)  # (M, K)
        return torch.logsumexp(-squares, 1) - math.log(len(curve)) - LOG_2PI - 2 * math.log(sigma)

    return log_prob


def two_moons(sigma: float = 0.1) -> Plane:
    """Two half circles that interlock, blurred by N(0, σ² I).

    The upper moon is (cos t, sin t), the lower (1 - cos t, ½ - sin t), t uniform in [0, π], each with
    probability ½. The density is that of a mixture of a normal around every point of the curve; the
    integral over t is a sum over 800 points, exact to four digits for σ >= 0.05.

    >>> round(two_moons(0.1).entropy(), 4)
    1.0076
    """

    def moons(t: Tensor, lower: Tensor) -> Tensor:
        upper = torch.stack([t.cos(), t.sin()], -1)
        other = torch.stack([1 - t.cos(), 0.5 - t.sin()], -1)
        return torch.where(lower[:, None], other, upper)

    def sampler(n: int, generator: Random) -> Tensor:
        t, which = (torch.rand(n, generator=generator, dtype=torch.float64) for _ in range(2))
        noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
        return moons(math.pi * t, which < 0.5) + sigma * noise

    t = (torch.arange(400, dtype=torch.float64) + 0.5) * math.pi / 400
    curve = torch.cat([moons(t, torch.zeros(400) > 0), moons(t, torch.ones(400) > 0)])
    return Plane("two moons", sampler, on_curve(curve, sigma), 3.0)


def _wave(z: Tensor) -> Tensor:
    return torch.sin(0.5 * math.pi * z[..., 0])  # w_1


def _wall(z: Tensor) -> Tensor:
    """½ ((|z_i| - 4) / 0.4)² outside [-4, 4]²: U2 to U4 go on for ever, and have no integral without it."""
    return 0.5 * ((z.abs() - 4).clamp(min=0) / 0.4).square().sum(-1)


def _u1(z: Tensor) -> Tensor:
    radius = torch.linalg.vector_norm(z, dim=-1)
    sides = torch.stack([z[..., 0] - 2, z[..., 0] + 2], -1)
    return 0.5 * ((radius - 2) / 0.4).square() - torch.logsumexp(-0.5 * (sides / 0.6) ** 2, -1)


def _u2(z: Tensor) -> Tensor:
    return 0.5 * ((z[..., 1] - _wave(z)) / 0.4).square() + _wall(z)


def _u3(z: Tensor) -> Tensor:
    dip = 3 * torch.exp(-0.5 * ((z[..., 0] - 1) / 0.6) ** 2)  # w_2
    rise = z[..., 1] - _wave(z)
    both = torch.stack([rise / 0.35, (rise + dip) / 0.35], -1)
    return -torch.logsumexp(-0.5 * both.square(), -1) + _wall(z)


def _u4(z: Tensor) -> Tensor:
    step = 3 * torch.sigmoid((z[..., 0] - 1) / 0.3)  # w_3
    rise = z[..., 1] - _wave(z)
    both = torch.stack([rise / 0.4, (rise + step) / 0.35], -1)
    return -torch.logsumexp(-0.5 * both.square(), -1) + _wall(z)


#: U(z), z (..., 2) -> (...), with p(z) ∝ exp(-U(z)). From table 1 of Rezende and Mohamed, 2015
#: (arXiv:1505.05770); the wall around U2 to U4 is ours.
ENERGIES = {"U1": _u1, "U2": _u2, "U3": _u3, "U4": _u4}


def log_normaliser(energy: Callable[[Tensor], Tensor], extent: float = 7.0, n: int = 1401) -> float:
    """log ∫ exp(-U(z)) dz by the trapezoid rule on [-extent, extent]².

    >>> round(log_normaliser(lambda z: 0.5 * z.square().sum(-1)), 6)  # log 2π
    1.837877
    """
    axis = torch.linspace(-extent, extent, n, dtype=torch.float64)
    density = torch.exp(-energy(torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)))
    return math.log(torch.trapezoid(torch.trapezoid(density, axis), axis).item())
