"""Planar and radial maps: one bend along a direction, or around a point.

Both have a log-determinant in closed form at the cost of D operations. Put in `Inverse` when samples are to
be cheap, as in variational inference, where only the direction noise -> data is needed.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .transform import Transform
from .univariate import checked_context

__all__ = ["Planar", "Radial"]

ONE = math.log(math.e - 1)  # softplus(ONE) = 1


class _Bend(Transform):
    """Parameters (P,) of its own, or (..., P) as a linear function of the context."""

    def __init__(self, dim: int, count: int, context_dim: int) -> None:
        super().__init__(dim)
        self.context_dim = context_dim
        if context_dim > 0:
            self.hyper = nn.Linear(context_dim, count)
        else:
            self.bend = nn.Parameter(torch.randn(count) / math.sqrt(dim))

    def _parameters_at(self, x: Tensor, context: Tensor | None) -> Tensor:
        if self.context_dim == 0:
            return self.bend
        return self.hyper(checked_context(self, x, context))


class Planar(_Bend):
    r"""A push along one direction, strongest across a plane.

        forward:  z = x + û h(wᵀx + b),  h = tanh
        log|det dz/dx| = log(1 + h'(wᵀx + b) wᵀû)
        inverse:  x = z - û h(α + b), where α = wᵀx is the one root of α + wᵀû h(α + b) = wᵀz
        log|det dx/dz| = -log(1 + h'(α + b) wᵀû)

    The map is invertible when wᵀû > -1. Free parameters u become û by moving them along w:

        û = u + (m(wᵀu) - wᵀu) w / ‖w‖²,  m(a) = softplus(a + log(e - 1)) - 1 > -1,  m(0) = 0

    The inverse has no formula. Its root lies within |wᵀû| of wᵀz, and bisection halves this bracket until
    the numbers end: about 55 evaluations of tanh for each example in float64, 26 in float32,
    whatever D is.

    Args:
        dim: D. context_dim: C; above 0, (u, w, b) are a linear function of a context (..., C).

    References:
        Rezende and Mohamed, Variational Inference with Normalizing Flows, 2015 (arXiv:1505.05770),
        section 4.1 and appendix A.1.

    >>> planar = Planar(2)
    >>> _ = nn.init.constant_(planar.bend, 1.0)  # u = (1, 1), w = (1, 1), b = 1
    >>> z, log_det = planar(torch.zeros(2))
    >>> x, _ = planar.inverse(z)
    >>> round(log_det.item(), 4), bool(torch.allclose(x, torch.zeros(2), atol=1e-6))
    (0.5183, True)
    """

    def __init__(self, dim: int, context_dim: int = 0) -> None:
        super().__init__(dim, 2 * dim + 1, context_dim)

    def constrained(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, ...]:
        """û (..., D), w (..., D), b (...) and wᵀû (...)."""
        bend = self._parameters_at(x, context)
        u, w, b = bend.split([self.dim, self.dim, 1], dim=-1)
        along = (w * u).sum(-1, keepdim=True)  # wᵀu
        wanted = F.softplus(along + ONE) - 1  # m(wᵀu)
        u = u + (wanted - along) * w / (w.square().sum(-1, keepdim=True) + 1e-12)
        return u, w, b.squeeze(-1), (w * u).sum(-1)

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        u, w, b, wu = self.constrained(x, context)
        h = torch.tanh((x * w).sum(-1) + b)  # (...)
        return x + u * h.unsqueeze(-1), torch.log1p((1 - h.square()) * wu)

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        u, w, b, wu = self.constrained(z, context)
        wz = (z * w).sum(-1)
        with torch.no_grad():
            low, high = wz - wu.abs(), wz + wu.abs()
            steps = 56 if z.dtype == torch.float64 else 27
            for _ in range(steps):
                middle = 0.5 * (low + high)
                above = middle + wu * torch.tanh(middle + b) > wz
                low, high = torch.where(above, low, middle), torch.where(above, middle, high)
            alpha = 0.5 * (low + high)
            slope = 1 + wu * (1 - torch.tanh(alpha + b).square())
        # One Newton step with a frozen slope: by the implicit function theorem it has the root's gradient.
        alpha = alpha - (alpha + wu * torch.tanh(alpha + b) - wz) / slope
        h = torch.tanh(alpha + b)
        return z - u * h.unsqueeze(-1), -torch.log1p((1 - h.square()) * wu)


class Radial(_Bend):
    r"""A push away from a point, or towards it, strongest near it.

        forward:  z = x + β (x - c) / (α + r),  r = ‖x - c‖
        log|det dz/dx| = (D - 1) log(1 + β / (α + r)) + log(1 + α β / (α + r)²)
        inverse:  x = c + (z - c) / (1 + β / (α + r)), where r is the positive root of
                  r² + (α + β - ρ) r - α ρ = 0,  ρ = ‖z - c‖
        log|det dx/dz| is the opposite of the above at this r

    α = exp(log_alpha) > 0 and β = α m(·) > -α, with m as in `Planar`, which makes it invertible: z's
    distance from c then grows with x's. Unlike `Planar`, it has a closed inverse: a quadratic equation.

    Args:
        dim: D. context_dim: C; above 0, (c, log_alpha, β) are a linear function of a context (..., C).

    References:
        Rezende and Mohamed, Variational Inference with Normalizing Flows, 2015 (arXiv:1505.05770),
        section 4.1 and appendix A.2.

    >>> radial = Radial(2)
    >>> x = torch.tensor([0.3, -0.2])
    >>> bool(torch.allclose(radial.inverse(radial(x)[0])[0], x, atol=1e-5))
    True
    """

    def __init__(self, dim: int, context_dim: int = 0) -> None:
        super().__init__(dim, dim + 2, context_dim)

    def _constrained(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        bend = self._parameters_at(x, context)
        centre, log_alpha, beta = bend.split([self.dim, 1, 1], dim=-1)
        alpha = log_alpha.exp().squeeze(-1)
        return centre, alpha, alpha * (F.softplus(beta.squeeze(-1) + ONE) - 1)

    def _log_det(self, r: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        around = torch.log1p(beta / (alpha + r))  # D - 1 directions keep their distance from c
        outward = torch.log1p(alpha * beta / (alpha + r).square())  # dρ/dr
        return (self.dim - 1) * around + outward

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        centre, alpha, beta = self._constrained(x, context)
        r = torch.linalg.vector_norm(x - centre, dim=-1)
        z = x + (beta / (alpha + r)).unsqueeze(-1) * (x - centre)
        return z, self._log_det(r, alpha, beta)

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        centre, alpha, beta = self._constrained(z, context)
        rho = torch.linalg.vector_norm(z - centre, dim=-1)
        p = alpha + beta - rho
        root = torch.sqrt(p.square() + 4 * alpha * rho)
        # The same root in two forms: each is free of cancellation on its own side of p = 0.
        r = torch.where(p > 0, 2 * alpha * rho / (p.clamp(min=0) + root), 0.5 * (root - p))
        x = centre + (z - centre) / (1 + beta / (alpha + r)).unsqueeze(-1)
        return x, -self._log_det(r, alpha, beta)
