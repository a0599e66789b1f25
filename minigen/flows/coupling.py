"""Chapter 12: coupling. One half of the dimensions decides how the other half is mapped, fast both ways."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .transform import Transform
from .univariate import AffineMap, SplineMap, checked_context


def _mlp(inputs: int, outputs: int, hidden: Sequence[int]) -> nn.Sequential:
    """Linear layers with ReLU between them; the last starts at zero, so that a layer starts as the identity."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), nn.ReLU(inplace=True)]
        inputs = width
    last = nn.Linear(inputs, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


class Coupling(Transform):
    """Any one-dimensional map for one half, with parameters from the other half.

        forward:  z_A = x_A,  z_B = g(x_B; net(x_A, context)) entry by entry
        log|det dz/dx| = Σ_{i in B} log g'(x_i)
        inverse:  x_A = z_A,  x_B = g⁻¹(z_B; net(z_A, context))
        log|det dx/dz| = Σ_{i in B} log (g⁻¹)'(z_i)

    The Jacobian is block-triangular with the identity in one block, whatever the network is. The network is
    never inverted: A is the same on both sides, so its output is.

    Args:
        dim: D >= 2. univariate: the map, `AffineMap` or `SplineMap`.
        hidden: widths of the network. context_dim: C, of a context (..., C).
        swap: keep the second half and map the first.
    """

    def __init__(
        self,
        dim: int,
        univariate: AffineMap | SplineMap,
        hidden: Sequence[int] = (64, 64),
        context_dim: int = 0,
        swap: bool = False,
    ) -> None:
        if dim < 2:
            raise ValueError(f"a coupling needs dim >= 2, one half for each role, not {dim}")
        super().__init__(dim)
        self.univariate, self.context_dim, self.swap = univariate, context_dim, swap
        self.first = dim // 2  # size of the first half
        changed = self.first if swap else dim - self.first
        self.net = _mlp(dim - changed + context_dim, changed * univariate.count, hidden)

    def _halves(self, value: Tensor) -> tuple[Tensor, Tensor]:
        first, second = value[..., : self.first], value[..., self.first :]
        return (second, first) if self.swap else (first, second)

    def _map(self, value, context, back) -> tuple[Tensor, Tensor]:
        kept, changed = self._halves(value)
        inputs = kept
        if self.context_dim > 0:
            inputs = torch.cat([kept, checked_context(self, value, context)], -1)
        shape = (changed.shape[-1], self.univariate.count)
        params = self.net(inputs).unflatten(-1, shape)
        g = self.univariate.inverse if back else self.univariate.forward
        changed, log_slope = g(changed, params)
        both = (changed, kept) if self.swap else (kept, changed)
        return torch.cat(both, -1), log_slope.sum(-1)

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return self._map(x, context, back=False)

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return self._map(z, context, back=True)

    def extra_repr(self) -> str:
        half = "second" if self.swap else "first"
        hidden = tuple(layer.out_features for layer in self.net[:-1:2])
        return f"{self.dim}, {self.univariate}, {hidden=}, keeps the {half} half"


class AffineCoupling(Coupling):
    """Coupling by a shift and a scale: z_B = (x_B - m(x_A)) exp(-s(x_A)).

    Args: see `Coupling`; bound: of |s|.

    References: Dinh, Krueger and Bengio, NICE, 2014 (arXiv:1410.8516); Dinh, Sohl-Dickstein and Bengio, Density
    Estimation Using Real NVP, 2016 (arXiv:1605.08803).

    >>> coupling = AffineCoupling(3, hidden=(8,))
    >>> z, log_det = coupling(torch.ones(5, 3))
    >>> z.shape, log_det.shape
    (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(
        self,
        dim: int,
        hidden: Sequence[int] = (64, 64),
        context_dim: int = 0,
        swap: bool = False,
        bound: float = 5.0,
    ) -> None:
        super().__init__(dim, AffineMap(bound), hidden, context_dim, swap)


class SplineCoupling(Coupling):
    """Coupling by a rational-quadratic spline of K bins on [-bound, bound].

    Args: see `Coupling` and `SplineMap`.

    References: Durkan et al., Neural Spline Flows, 2019 (arXiv:1906.04032).

    >>> SplineCoupling(2, hidden=(8,), bins=4)(torch.zeros(1, 2))[0].shape
    torch.Size([1, 2])
    """

    def __init__(
        self,
        dim: int,
        hidden: Sequence[int] = (64, 64),
        context_dim: int = 0,
        swap: bool = False,
        bins: int = 8,
        bound: float = 5.0,
    ) -> None:
        super().__init__(dim, SplineMap(bins, bound), hidden, context_dim, swap)
