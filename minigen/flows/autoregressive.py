"""Chapter 13: autoregressive maps, each dimension transformed by those before it. MAF; read backwards, IAF.

    z_i = g(x_i; params_i(x_1, …, x_{i-1}, context))

From x everything is known at once: one pass. From z the x_i come one after the other: D steps. The Jacobian
is triangular, so its log-determinant is a sum of D log-slopes.
"""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..made import MaskedMLP, describe_order
from .transform import Transform
from .univariate import AffineMap, SplineMap, checked_context


class MaskedAutoregressive(Transform):
    """Any one-dimensional map for each dimension, with parameters from those before it.

        forward:  z_i = g(x_i; net_i(x_{<i}, context)), all at once
        log|det dz/dx| = Σ_i log g'(x_i)
        inverse:  x_i = g⁻¹(z_i; net_i(x_{<i}, context)), one after the other
        log|det dx/dz| = Σ_i log (g⁻¹)'(z_i)

    Step i of the inverse transforms column i only, and of the network it computes only the hidden units that
    x_{i-1} completes: the D steps together multiply no more often than one pass.

    Args:
        dim: D. univariate: the map, `AffineMap` or `SplineMap`. order: the inputs' indices
            from first to last, 0, 1, … by default. hidden, context_dim: see `made.MaskedMLP`.
    """

    def __init__(
        self,
        dim: int,
        univariate: AffineMap | SplineMap,
        hidden: Sequence[int] = (64, 64),
        context_dim: int = 0,
        order: Iterable[int] | None = None,
    ) -> None:
        super().__init__(dim)
        self.univariate, self.context_dim = univariate, context_dim
        self.order = list(range(dim)) if order is None else list(order)
        self.net = MaskedMLP(dim, univariate.count, hidden, context_dim, [self.order])

    def _seen(self, value: Tensor, context: Tensor | None) -> Tensor | None:
        return checked_context(self, value, context) if self.context_dim > 0 else None

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        params = self.net(x, self._seen(x, context))  # (..., D, P)
        z, log_slope = self.univariate.forward(x, params)
        return z, log_slope.sum(-1)

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        rows = z.reshape(-1, self.dim)  # (M, D)
        seen = self._seen(z, context)
        seen = None if seen is None else seen.reshape(len(rows), seen.shape[-1])
        step = self.net.steps(len(rows), seen)
        columns: list[Tensor] = [rows] * self.dim
        total = rows.new_zeros(len(rows))
        x = None
        for i in self.order:
            params = step(x).unsqueeze(-2)  # (M, 1, P)
            x, log_slope = self.univariate.inverse(rows[:, i : i + 1], params)
            columns[i] = x
            total = total + log_slope.squeeze(-1)
        return torch.cat(columns, -1).reshape(z.shape), total.reshape(z.shape[:-1])

    def extra_repr(self) -> str:
        hidden, order = self.net.hidden, describe_order(self.order)
        return f"{self.dim}, {self.univariate}, {hidden=}, order={order}"


class MaskedAffineAutoregressive(MaskedAutoregressive):
    """A Gaussian autoregressive model as a map to noise: z_i = (x_i - m_i(x_{<i})) exp(-s_i(x_{<i})).

    With standard normal noise, x_i given the past is N(m_i, exp(2 s_i)).

    Args: see `MaskedAutoregressive`; bound: of |s|.

    References: Papamakarios, Pavlakou and Murray, Masked Autoregressive Flow for Density Estimation, 2017
    (arXiv:1705.07057); Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016
    (arXiv:1606.04934).

    >>> layer = MaskedAffineAutoregressive(3, hidden=(8,))
    >>> x, log_det = layer.inverse(torch.ones(5, 3))
    >>> x.shape, log_det.shape
    (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(
        self,
        dim: int,
        hidden: Sequence[int] = (64, 64),
        context_dim: int = 0,
        order: Iterable[int] | None = None,
        bound: float = 5.0,
    ) -> None:
        super().__init__(dim, AffineMap(bound), hidden, context_dim, order)


class MaskedSplineAutoregressive(MaskedAutoregressive):
    """Each dimension through a rational-quadratic spline whose knots come from those before it.

    Args: see `MaskedAutoregressive` and `SplineMap`.

    References: Durkan et al., Neural Spline Flows, 2019 (arXiv:1906.04032).

    >>> MaskedSplineAutoregressive(2, hidden=(8,), bins=4)(torch.zeros(1, 2))[0].shape
    torch.Size([1, 2])
    """

    def __init__(
        self,
        dim: int,
        hidden: Sequence[int] = (64, 64),
        context_dim: int = 0,
        order: Iterable[int] | None = None,
        bins: int = 8,
        bound: float = 5.0,
    ) -> None:
        super().__init__(dim, SplineMap(bins, bound), hidden, context_dim, order)


class CausalFilter(Transform):
    """Linear prediction as a map to noise: what is left of x_t after the last p samples are used.

        forward:  z_t = (x_t - Σ_{k=1}^{p} a_k x_{t-k}) / σ,  σ = exp(log_scale),  x_t = 0 before the start
        log|det dz/dx| = -D log σ
        inverse:  x_t = σ z_t + Σ_k a_k x_{t-k}, sample by sample
        log|det dx/dz| = D log σ

    Forward is a convolution, one pass. With white noise z, x is the autoregressive model of chapter 5.

    Args: dim: D, samples. taps: a_1 … a_p, with 1 <= p <= D - 1. log_scale: log σ.

    >>> filter_ = CausalFilter(4, [0.5])
    >>> filter_.inverse(torch.tensor([1.0, 0.0, 0.0, 0.0]))[0].tolist()
    [1.0, 0.5, 0.25, 0.125]
    """

    def __init__(self, dim: int, taps: Sequence[float] | Tensor, log_scale: float = 0.0) -> None:
        taps = torch.as_tensor(taps)
        if taps.ndim != 1 or not 1 <= len(taps) < dim or not torch.isfinite(taps).all():
            raise ValueError(f"taps are 1 to {dim - 1} finite numbers, not {tuple(taps.shape)}")
        super().__init__(dim)
        if not taps.is_floating_point():
            taps = taps.to(torch.get_default_dtype())
        self.taps = nn.Parameter(taps.clone())
        self.log_scale = nn.Parameter(torch.tensor(float(log_scale), dtype=taps.dtype))

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        past = F.pad(x.reshape(-1, 1, self.dim), (len(self.taps), -1))  # x_{t-p} … x_{t-1}
        predicted = F.conv1d(past, self.taps.flip(0).reshape(1, 1, -1)).reshape(x.shape)
        z = (x - predicted) * torch.exp(-self.log_scale)
        return z, (-self.dim * self.log_scale).expand(x.shape[:-1])

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        driven = z * self.log_scale.exp()
        x: list[Tensor] = []
        for t in range(self.dim):
            value = driven[..., t]
            recent = x[: -len(self.taps) - 1 : -1]  # x_{t-1}, x_{t-2}, …
            if recent:
                value = value + torch.stack(recent, -1) @ self.taps[: len(recent)]
            x.append(value)
        return torch.stack(x, -1), (self.dim * self.log_scale).expand(z.shape[:-1])

    def extra_repr(self) -> str:
        return f"{self.dim}, order {len(self.taps)}"
