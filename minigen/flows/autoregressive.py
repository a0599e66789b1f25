"""Autoregressive maps: each dimension is transformed by what came before it. MAF; read backwards, IAF.

    z_i = g(x_i; params_i(x_1, …, x_{i-1}, context))

From x everything is known at once: one pass. From z the x_i come one after the other: D steps. The Jacobian
is triangular, so its log-determinant is a sum of D log-slopes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..made import mask_between
from .transform import Transform
from .univariate import AffineMap, SplineMap, checked_context

__all__ = [
    "CausalFilter",
    "MaskedAffineAutoregressive",
    "MaskedAutoregressive",
    "MaskedMLP",
    "MaskedSplineAutoregressive",
]


class MaskedMLP(nn.Module):
    """A network with D groups of P outputs, where group i sees only the inputs that come before input i.

    Input j has the degree 1 + (its place in the order). Every hidden unit has a degree m and may look at what has
    a degree of at most m; output group i may look at hidden units of a degree less than its input's. So each
    path from input j to group i climbs to a degree below i's: j comes before i.

        hidden[k] sees input j         if degree[k] >= degree[j]
        hidden[k] sees hidden[k']      if degree[k] >= degree[k']
        group i   sees hidden[k]       if degree[i] >  degree[k]

    Hidden units are sorted by degree. A unit of degree m is final as soon as m inputs are known, so step by
    step evaluation (`steps`) computes each unit once: D steps cost together what one pass costs.

    Args:
        dim: D. outputs: P. hidden: widths. context_dim: C; every unit sees the context.
        order: the inputs' indices from first to last; None for 0, 1, ….

    References:
        Germain et al., MADE, 2015 (arXiv:1502.03509).

    >>> MaskedMLP(3, 2, hidden=(8,))(torch.zeros(5, 3)).shape
    torch.Size([5, 3, 2])
    """

    def __init__(
        self,
        dim: int,
        outputs: int,
        hidden: Sequence[int] = (64, 64),
        context_dim: int = 0,
        order: Iterable[int] | None = None,
    ) -> None:
        super().__init__()
        self.order = list(range(dim)) if order is None else [int(i) for i in order]
        if sorted(self.order) != list(range(dim)):
            raise ValueError(f"an order has each of 0 … {dim - 1} once, not {self.order}")
        if not hidden or min(hidden) < 1:
            raise ValueError(f"hidden needs at least one width, each positive, not {tuple(hidden)}")
        self.dim, self.outputs, self.context_dim = dim, outputs, context_dim
        # Degree 0, which sees no input, is of use only where there is a context to see.
        lowest = 0 if context_dim > 0 or dim == 1 else 1
        place = torch.empty(dim, dtype=torch.long)
        place[self.order] = torch.arange(1, dim + 1)
        degrees = [place]
        for width in hidden:
            degrees.append(lowest + torch.arange(width) * (dim - lowest) // width)  # sorted
        self.counts = [  # of each hidden layer: how many units have a degree of at most 0, 1, …, D - 1
            [int((degree <= m).sum()) for m in range(dim)] for degree in degrees[1:]
        ]
        widths = [dim, *hidden, dim * outputs]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)
        self.context = nn.Linear(context_dim, hidden[0], bias=False) if context_dim > 0 else None
        for k in range(len(hidden)):
            mask = mask_between(degrees[k], degrees[k + 1])
            self.register_buffer(f"mask_{k}", mask, persistent=False)
        last = mask_between(degrees[-1], place, strict=True).repeat_interleave(outputs, 0)
        self.register_buffer(f"mask_{len(hidden)}", last, persistent=False)

    def weights(self) -> list[Tensor]:
        """Every layer's weight with its mask applied."""
        return [layer.weight * getattr(self, f"mask_{k}") for k, layer in enumerate(self.layers)]

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """x (..., D), context (..., C) -> (..., D, P)."""
        *inner, last = zip(self.weights(), (layer.bias for layer in self.layers), strict=True)
        for k, (weight, bias) in enumerate(inner):
            x = F.linear(x, weight, bias)
            if k == 0 and self.context is not None:
                x = x + self.context(context)
            x = F.relu(x, inplace=True)
        return F.linear(x, *last).unflatten(-1, (self.dim, self.outputs))

    def steps(self, batch: int, context: Tensor | None = None) -> Callable[[Tensor | None], Tensor]:
        """A function that takes one more input at each call, and gives the next group of outputs.

        Called first with None, then with the inputs (M, 1) in order; returns (M, P) for the next one. Each hidden
        unit is computed in the call in which its degree is reached, and never again.
        """
        first, *rest = self.weights()
        first = first[:, self.order]  # columns in the order in which they become known
        biases = [layer.bias for layer in self.layers]
        seen = (
            None if self.context is None else self.context(context)
        )  # (M, H), known from the start
        known = [first.new_empty(batch, 0) for _ in self.layers]  # inputs, then each hidden layer
        m = 0  # inputs known so far

        def step(value: Tensor | None) -> Tensor:
            nonlocal m
            if value is not None:
                known[0] = torch.cat([known[0], value], -1)
                m += 1
            for k, weight in enumerate([first, *rest[:-1]]):
                low, high = self.counts[k][m - 1] if m > 0 else 0, self.counts[k][m]
                if high > low:  # the units of degree m
                    inputs = known[k]
                    new = F.linear(
                        inputs, weight[low:high, : inputs.shape[-1]], biases[k][low:high]
                    )
                    if k == 0 and seen is not None:
                        new = new + seen[:, low:high]
                    known[k + 1] = torch.cat([known[k + 1], F.relu(new)], -1)
            rows = slice(self.order[m] * self.outputs, (self.order[m] + 1) * self.outputs)
            inputs = known[-1]
            return F.linear(inputs, rest[-1][rows, : inputs.shape[-1]], biases[-1][rows])

        return step


class MaskedAutoregressive(Transform):
    """Any one-dimensional map for each dimension, with parameters from those before it.

        forward:  z_i = g(x_i; net_i(x_{<i}, context)), all at once
        log|det dz/dx| = Σ_i log g'(x_i)
        inverse:  x_i = g⁻¹(z_i; net_i(x_{<i}, context)), one after the other
        log|det dx/dz| = Σ_i log (g⁻¹)'(z_i)

    Step i of the inverse transforms column i only, and of the network it computes only the hidden units that
    x_{i-1} completes: the D steps together multiply as often as one pass.

    Args:
        dim: D. univariate: the map, `AffineMap` or `SplineMap`. hidden, context_dim, order: see `MaskedMLP`.
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
        self.net = MaskedMLP(dim, univariate.count, hidden, context_dim, order)

    def _seen(self, value: Tensor, context: Tensor | None) -> Tensor | None:
        return checked_context(self, value, context) if self.context_dim > 0 else None

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        params = self.net(x, self._seen(x, context))  # (..., D, P)
        z, log_slope = self.univariate.forward(x, params)
        return z, log_slope.sum(-1)

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        rows = z.reshape(-1, self.dim)  # (M, D)
        seen = self._seen(z, context)
        step = self.net.steps(
            len(rows), None if seen is None else seen.reshape(len(rows), seen.shape[-1])
        )
        columns: list[Tensor] = [rows] * self.dim
        total = rows.new_zeros(len(rows))
        x = None
        for i in self.net.order:
            params = step(x).unsqueeze(-2)  # (M, 1, P)
            x, log_slope = self.univariate.inverse(rows[:, i : i + 1], params)
            columns[i] = x
            total = total + log_slope.squeeze(-1)
        return torch.cat(columns, -1).reshape(z.shape), total.reshape(z.shape[:-1])


class MaskedAffineAutoregressive(MaskedAutoregressive):
    """A Gaussian autoregressive model as a map to noise: z_i = (x_i - m_i(x_{<i})) exp(-s_i(x_{<i})).

    With standard normal noise, x_i given the past is N(m_i, exp(2 s_i)).

    Args: see `MaskedAutoregressive`; bound: of |s|.

    References:
        Papamakarios, Pavlakou and Murray, Masked Autoregressive Flow for Density Estimation, 2017
        (arXiv:1705.07057); Kingma et al., Improving Variational Inference with Inverse Autoregressive
        Flow, 2016 (arXiv:1606.04934).

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

    References:
        Durkan et al., Neural Spline Flows, 2019 (arXiv:1906.04032).

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
    """Linear prediction as a map to noise: what is left of x_t when the last p samples have spoken.

        forward:  z_t = (x_t - Σ_{k=1}^{p} a_k x_{t-k}) / σ,  σ = exp(log_scale),  x_t = 0 before the start
        log|det dz/dx| = -D log σ
        inverse:  x_t = σ z_t + Σ_k a_k x_{t-k}, sample by sample
        log|det dx/dz| = D log σ

    Forward is a convolution, one pass. With white noise z, x is the autoregressive model of chapter 5.

    Args:
        dim: D, samples. taps: a_1 … a_p, with 1 <= p <= D - 1. log_scale: log σ.

    >>> filter_ = CausalFilter(4, [0.5])
    >>> filter_.inverse(torch.tensor([1.0, 0.0, 0.0, 0.0]))[0].tolist()
    [1.0, 0.5, 0.25, 0.125]
    """

    def __init__(self, dim: int, taps: Sequence[float] | Tensor, log_scale: float = 0.0) -> None:
        taps = torch.as_tensor(taps)
        if taps.ndim != 1 or not 1 <= len(taps) < dim or not torch.isfinite(taps).all():
            raise ValueError(
                f"a filter of {dim} samples takes 1 to {dim - 1} finite taps (p,), "
                f"not {tuple(taps.shape)}"
            )
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
