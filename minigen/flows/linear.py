"""Chapter 12: linear maps, a permutation, a matrix in LU form, activation normalisation."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..distributions import Random
from ..made import describe_order
from ..weights import takes_networks
from .transform import Affine, Transform


class Permutation(Transform):
    """Another order of the dimensions; volume stays as it is.

        forward:  z_i = x_{order[i]},  log|det| = 0
        inverse:  x_{order[i]} = z_i,  log|det| = 0

    Args: order: D different numbers from 0 to D - 1.

    >>> Permutation([2, 0, 1])(torch.tensor([10.0, 20.0, 30.0]))[0]
    tensor([30., 10., 20.])
    """

    def __init__(self, order: Sequence[int] | Tensor) -> None:
        order = torch.as_tensor(order)
        if order.ndim != 1 or sorted(order.tolist()) != list(range(len(order))):
            raise ValueError(f"an order has each of 0 … D - 1 once, not {order.tolist()}")
        super().__init__(len(order))
        self.register_buffer("order", order.clone())
        self.register_buffer("back", torch.argsort(order))

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return x.index_select(-1, self.order), x.new_zeros(x.shape[:-1])

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return z.index_select(-1, self.back), z.new_zeros(z.shape[:-1])

    def extra_repr(self) -> str:
        return f"[{describe_order(self.order.tolist())}]"


class LULinear(Transform):
    """An invertible matrix, kept as a product of triangular ones.

        forward:  z = W x + b,  W = P L U
        log|det dz/dx| = Σ_i log|U_ii|
        inverse:  x = U⁻¹ L⁻¹ Pᵀ (z - b)
        log|det dx/dz| = -Σ_i log|U_ii|

    P is a fixed permutation, L has ones on its diagonal, U has ± exp(log_diagonal). The determinant costs D
    operations in place of D³; the inverse two triangular solves. Applied to the channels of every
    pixel it is the 1 × 1 convolution of Glow.

    Args: dim: D. generator: start at a random orthogonal matrix drawn from it; without one, at the identity.

    References: Kingma and Dhariwal, Glow, 2018 (arXiv:1807.03039), section 3.2.

    >>> lu = LULinear(3, generator=torch.Generator().manual_seed(0))
    >>> bool(torch.allclose(lu.matrix @ lu.matrix.T, torch.eye(3), atol=1e-5))  # orthogonal
    True
    """

    def __init__(self, dim: int, generator: Random = None) -> None:
        super().__init__(dim)
        start = torch.eye(dim)
        if generator is not None:
            start = torch.linalg.qr(torch.randn(dim, dim, generator=generator))[0]
        p, lower, upper = torch.linalg.lu(start)
        self.register_buffer("rows", p.argmax(-1))  # (P v)_i = v_{rows[i]}
        self.register_buffer("sign", torch.sign(upper.diagonal()))
        self.lower = nn.Parameter(lower.tril(-1).contiguous())
        self.upper = nn.Parameter(upper.triu(1).contiguous())
        self.log_diagonal = nn.Parameter(upper.diagonal().abs().log())
        self.bias = nn.Parameter(torch.zeros(dim))

    def _factors(self) -> tuple[Tensor, Tensor]:
        lower = self.lower.tril(-1)
        lower = lower + torch.eye(self.dim, dtype=lower.dtype, device=lower.device)
        return lower, self.upper.triu(1) + torch.diag(self.sign * self.log_diagonal.exp())

    @property
    def matrix(self) -> Tensor:
        """W (D, D)."""
        lower, upper = self._factors()
        return (lower @ upper)[self.rows]

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return x @ self.matrix.T + self.bias, self.log_diagonal.sum().expand(x.shape[:-1])

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        lower, upper = self._factors()
        columns = (z - self.bias).reshape(-1, self.dim).index_select(-1, self.rows.argsort()).T
        columns = torch.linalg.solve_triangular(lower, columns, upper=False, unitriangular=True)
        columns = torch.linalg.solve_triangular(upper, columns, upper=True)
        return columns.T.reshape(z.shape), -self.log_diagonal.sum().expand(z.shape[:-1])


class ActNorm(Affine):
    """Shift and scale of each dimension, set from data once, then learned.

        forward:  z = (x - shift) exp(-log_scale),  log|det| = -Σ_i log_scale_i
        inverse:  x = z exp(log_scale) + shift,  log|det| = Σ_i log_scale_i

    It is a diagonal `Affine`. `initialise(flow, x)` gives every ActNorm in a flow the mean and the standard
    deviation of what reaches it, so that its output has mean 0 and variance 1 on these data. Unlike
    batch normalisation it does not look at the batch after that, so a density stays a density.

    References: Kingma and Dhariwal, Glow, 2018 (arXiv:1807.03039), section 3.1.

    >>> norm = ActNorm(1)
    >>> initialise(norm, torch.tensor([[1.0], [3.0]]))
    >>> norm(torch.tensor([[1.0], [3.0]]))[0].flatten().tolist()
    [-1.0, 1.0]
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim, diagonal=True)
        self._waits = False

    def extra_repr(self) -> str:
        return str(self.dim)

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        if self._waits:
            rows = x.detach().reshape(-1, self.dim)
            spread = rows.std(0, correction=0)
            # A dimension that never changes keeps its scale.
            self.shift.data.copy_(rows.mean(0))
            self.log_scale.data.copy_(torch.where(spread > 1e-6, spread, 1.0).log())
            self._waits = False
        return super()._forward(x, context)


@torch.no_grad()
@takes_networks
def initialise(flow: nn.Module, x: Tensor, context: Tensor | None = None) -> None:
    """Set every `ActNorm` in a `Flow` or `Transform` from data x (N, D), N >= 2, in the order they are met.

    An ActNorm inside `Inverse` is met only from noise, so it stays as it is.
    """
    if x.ndim < 2 or math.prod(x.shape[:-1]) < 2:
        raise ValueError(f"a mean and a spread need at least two rows (N, D), not {tuple(x.shape)}")
    norms = [module for module in flow.modules() if isinstance(module, ActNorm)]
    for norm in norms:
        norm._waits = True
    try:
        getattr(flow, "transform", flow)(x, context)
    finally:
        for norm in norms:
            norm._waits = False
