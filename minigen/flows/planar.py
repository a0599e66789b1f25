"""Chapter 12: a planar map, one bend along a direction, with a log-determinant that costs D operations.

Put it in `Inverse` when samples are to be cheap, as in variational inference, where only the
direction noise -> data is needed.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .transform import Transform
from .univariate import LOG_E_MINUS_1, checked_context


class Planar(Transform):
    r"""A push along one direction, by an amount that changes across a plane.

        forward:  z = x + û h(wᵀx + b),  h = tanh,  h' = 1 - h²
        log|det dz/dx| = log(1 + h' wᵀû)
        inverse:  x = z - û h(α + b), where α = wᵀx is the one root of α + wᵀû h(α + b) = wᵀz
        log|det dx/dz| = -log(1 + h' wᵀû)

    The map is invertible when wᵀû > -1. Free parameters u become û by moving them along w:

        û = u + (r - 1 - wᵀu) w / ‖w‖²,   r = 1 + wᵀû = softplus(wᵀu + log(e - 1)) > 0

    and 1 + h' wᵀû = h² + (1 - h²) r is computed as this sum of positive terms, from r itself: it stays
    positive and right where r is smaller than a rounding of 1.

    The inverse has no formula. Its root lies within |wᵀû| of wᵀz, and bisection halves this bracket until the
    numbers end: about 55 evaluations of tanh for each example in float64, 26 in float32, whatever D is.

    Args: dim: D. context_dim: C; above 0, (u, w, b) are a linear function of a context (..., C).

    References: Rezende and Mohamed, Variational Inference with Normalizing Flows, 2015 (arXiv:1505.05770),
    section 4.1 and appendix A.1.

    >>> planar = Planar(2)
    >>> _ = nn.init.constant_(planar.bend, 1.0)  # u = (1, 1), w = (1, 1), b = 1
    >>> z, log_det = planar(torch.zeros(2))
    >>> x, _ = planar.inverse(z)
    >>> round(log_det.item(), 4), bool(torch.allclose(x, torch.zeros(2), atol=1e-6))
    (0.5183, True)
    """

    def __init__(self, dim: int, context_dim: int = 0) -> None:
        super().__init__(dim)
        self.context_dim = context_dim
        if context_dim > 0:
            self.hyper = nn.Linear(context_dim, 2 * dim + 1)
        else:
            self.bend = nn.Parameter(torch.randn(2 * dim + 1) / math.sqrt(dim))

    def constrained(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, ...]:
        """û (..., D), w (..., D), b (...) and r = 1 + wᵀû (...)."""
        bend = self.hyper(checked_context(self, x, context)) if self.context_dim else self.bend
        u, w, b = bend.split([self.dim, self.dim, 1], dim=-1)
        along = (w * u).sum(-1, keepdim=True)  # wᵀu
        r = F.softplus(along + LOG_E_MINUS_1).clamp(min=torch.finfo(x.dtype).tiny)
        u = u + (r - 1 - along) * w / w.square().sum(-1, keepdim=True).clamp(min=1e-12)
        return u, w, b.squeeze(-1), r.squeeze(-1)

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        u, w, b, r = self.constrained(x, context)
        h = torch.tanh((x * w).sum(-1) + b)  # (...)
        return x + u * h.unsqueeze(-1), torch.log(h.square() + (1 - h.square()) * r)

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        u, w, b, r = self.constrained(z, context)
        wz = (z * w).sum(-1)
        wu = r - 1
        with torch.no_grad():
            low, high = wz - wu.abs(), wz + wu.abs()
            for _ in range(56 if z.dtype == torch.float64 else 27):
                middle = 0.5 * (low + high)
                above = middle + wu * torch.tanh(middle + b) > wz
                low, high = torch.where(above, low, middle), torch.where(above, middle, high)
            alpha = 0.5 * (low + high)
            h = torch.tanh(alpha + b)
            slope = h.square() + (1 - h.square()) * r
        # One Newton step with a frozen slope: by the implicit function theorem it has the root's gradient.
        # Where the map is all but flat, rounding is all that is left of the residual: only the gradient counts.
        step = (alpha + wu * torch.tanh(alpha + b) - wz) / slope
        alpha = alpha - torch.where(step.abs() <= high - low, step, step - step.detach())
        h = torch.tanh(alpha + b)
        return z - u * h.unsqueeze(-1), -torch.log(h.square() + (1 - h.square()) * r)
