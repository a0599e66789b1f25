"""Chapter 12: one-dimensional maps whose parameters come from outside, for couplings and autoregressions.

Each map has `count` parameters for each number that it transforms, given as params (..., D, count), and
two directions that return values (..., D) and log-slopes (..., D), not yet summed. Parameters of zero
are the identity.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .transform import Transform

LOG_E_MINUS_1 = 0.541324854612918  # softplus of it is 1


def checked_context(module: nn.Module, x: Tensor, context: Tensor | None) -> Tensor:
    """The context (..., C), expanded to the batch of x (..., D)."""
    name, size = type(module).__name__, module.context_dim
    if context is None:
        raise ValueError(f"this {name} is conditional: give it context (..., {size})")
    if context.ndim == 0 or context.shape[-1] != size:
        raise ValueError(f"{name}: context has shape (..., {size}), not {tuple(context.shape)}")
    return context.expand(*x.shape[:-1], size)


class AffineMap:
    """Shift and scale, the scale bounded on both sides.

        forward:  z = (x - m) exp(-s),  s = bound · tanh(a / bound)
        log-slope: -s
        inverse:  x = z exp(s) + m
        log-slope: s

    params (..., D, 2) are m and a. |s| <= bound keeps exp from overflowing; since s takes both signs, the map
    can stretch as well as contract.

    >>> z, log_slope = AffineMap().forward(torch.ones(1), torch.tensor([[3.0, 0.0]]))
    >>> z.item(), log_slope.item() + 0
    (-2.0, 0.0)
    """

    count = 2

    def __init__(self, bound: float = 5.0) -> None:
        if bound <= 0:
            raise ValueError(f"the bound of the log-scale must be positive, not {bound}")
        self.bound = bound

    def __repr__(self) -> str:
        return f"AffineMap(bound={self.bound:g})"

    def _unpack(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """m and -s, each (..., D)."""
        m, a = params.unbind(-1)
        return m, torch.tanh(a * (1 / self.bound)) * -self.bound

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """x (..., D), params (..., D, 2) -> z (..., D), log-slope (..., D)."""
        m, log_slope = self._unpack(params)
        return (x - m) * log_slope.exp(), log_slope

    def inverse(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """z (..., D), params (..., D, 2) -> x (..., D), log-slope (..., D)."""
        m, log_slope = self._unpack(params)
        s = -log_slope
        return torch.addcmul(m, z, s.exp()), s


class SplineMap:
    """A monotone curve of rational-quadratic pieces on [-bound, bound], the identity outside.

    params (..., D, 3 K - 1) for K bins: K widths, K heights, K - 1 slopes at the inner knots. See
    `rational_quadratic` for the formulas.

    >>> spline = SplineMap(bins=4, bound=2.0)
    >>> z, log_slope = spline.forward(torch.tensor([0.5]), torch.zeros(1, spline.count))
    >>> round(z.item(), 5), round(log_slope.item(), 5) + 0
    (0.5, 0.0)
    """

    def __init__(self, bins: int = 8, bound: float = 5.0, least: float = 1e-3) -> None:
        if bins < 2 or bound <= 0 or not 0 < least < 1 / bins:
            raise ValueError(
                f"need bins >= 2, bound > 0, 0 < least < 1 / bins, not {bins}, {bound}, {least}"
            )
        self.bins, self.bound, self.least = bins, bound, least
        self.count = 3 * bins - 1

    def __repr__(self) -> str:
        return f"SplineMap(bins={self.bins}, bound={self.bound:g})"

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """x (..., D), params (..., D, 3 K - 1) -> z (..., D), log-slope (..., D)."""
        return rational_quadratic(x, params, self.bound, self.least)

    def inverse(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """z (..., D), params (..., D, 3 K - 1) -> x (..., D), log-slope (..., D)."""
        return rational_quadratic(z, params, self.bound, self.least, inverse=True)


class Elementwise(Transform):
    """Each dimension through a curve of its own, which sees nothing of the others.

        forward:  z_i = g(x_i; params_i),  log|det| = Σ_i log g'(x_i)
        inverse:  x_i = g⁻¹(z_i; params_i),  log|det| = Σ_i log (g⁻¹)'(z_i)

    Placed next to the data it learns the shape of each marginal, such as the flat steps of dequantised levels,
    which no shift and scale makes normal.

    Args: dim: D. univariate: the map, `AffineMap` or `SplineMap`.

    >>> Elementwise(3, SplineMap(4))(torch.zeros(5, 3))[1].shape
    torch.Size([5])
    """

    def __init__(self, dim: int, univariate: AffineMap | SplineMap) -> None:
        super().__init__(dim)
        self.univariate = univariate
        self.params = nn.Parameter(torch.zeros(dim, univariate.count))

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        z, log_slope = self.univariate.forward(x, self.params.expand(*x.shape, -1))
        return z, log_slope.sum(-1)

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        x, log_slope = self.univariate.inverse(z, self.params.expand(*z.shape, -1))
        return x, log_slope.sum(-1)

    def extra_repr(self) -> str:
        return f"{self.dim}, {self.univariate}"


def rational_quadratic(
    value: Tensor, params: Tensor, bound: float, least: float = 1e-3, inverse: bool = False
) -> tuple[Tensor, Tensor]:
    r"""The monotone rational-quadratic spline, in either direction.

    In bin k, with corner (x₀, y₀), width w, height h, mean slope s = h / w and slopes d₀, d₁ at its ends:

        ξ = (x - x₀) / w,  e = s + (d₀ + d₁ - 2 s) ξ (1 - ξ)
        y = y₀ + h (s ξ² + d₀ ξ (1 - ξ)) / e
        dy/dx = s² (d₁ ξ² + 2 s ξ (1 - ξ) + d₀ (1 - ξ)²) / e²
        back: a ξ² + b ξ + c = 0 with r = y - y₀,
              a = h (s - d₀) + r (d₀ + d₁ - 2 s),  b = h d₀ - r (d₀ + d₁ - 2 s),  c = -s r
              ξ = 2 c / (-b - √(b² - 4 a c))

    Of the two roots this one lies in [0, 1], and its form does not cancel when a is near zero. For a
    monotone piece b² - 4ac = (e dy/dξ)² > 0; rounding can make it negative, so it is clamped.

    Widths and heights are `least + (1 - K least) softmax(·)` of the whole; slopes are
    `least + (1 - least) softplus(· + log(e - 1))`, and 1 at the two outer knots, where the identity begins.

    Args:
        value: x, or y when `inverse`, (..., D). params: (..., D, 3 K - 1).
        bound: B, of the square [-B, B]². least: smallest width and height (share of 2 B) and slope.

    Returns the values (..., D) and the log-slopes (..., D) of the direction that was taken.

    References: Gregory and Delbourgo, Piecewise Rational Quadratic Interpolation to Monotonic Data, 1982;
    Durkan et al., Neural Spline Flows, 2019 (arXiv:1906.04032).
    """
    bins = (params.shape[-1] + 1) // 3
    # Everything inside the square, scaled to [0, 1]²: slopes do not change. What is outside is clamped, so that
    # the branch that `where` does not take has finite gradients.
    inside = (value >= -bound) & (value <= bound)
    t = (value.clamp(-bound, bound) + bound) / (2 * bound)

    # Softmax and running sum in one: sums of exponentials by a triangular matrix of ones, divided by the last.
    sizes = params[..., : 2 * bins].unflatten(-1, (2, bins))  # (..., D, 2, K): widths, heights
    sizes = torch.exp(sizes - sizes.detach().amax(-1, keepdim=True))
    before = torch.ones(bins, bins + 1, dtype=t.dtype, device=t.device).triu(1)
    sums = sizes @ before  # (..., D, 2, K + 1): 0, first, first + second, …, all
    floor = least * torch.arange(bins + 1, dtype=t.dtype, device=t.device)
    knots = floor + (1 - bins * least) * sums / sums[..., -1:]
    slopes = F.pad(params[..., 2 * bins :], (1, 1))  # (..., D, K + 1), before softplus

    row = knots[..., 1 if inverse else 0, 1:bins]  # inner knots on the side that is known
    k = (t.unsqueeze(-1) >= row).sum(-1, keepdim=True)  # bin (..., D, 1)
    ends = torch.cat([k, k + 1], -1)  # (..., D, 2)
    corners = knots.gather(-1, ends.unsqueeze(-2).expand(*ends.shape[:-1], 2, 2))
    size = corners[..., 1] - corners[..., 0]  # (..., D, 2)
    (x0, y0), (w, h) = corners[..., 0].unbind(-1), size.unbind(-1)
    inner = least + (1 - least) * F.softplus(slopes.gather(-1, ends) + LOG_E_MINUS_1)
    # The padding's zeros became least + (1 - least) · 1 = 1: the slope of the identity.
    d0, d1 = inner.unbind(-1)

    s = h / w
    bend = d0 + d1 - 2 * s
    if inverse:
        r = t - y0
        a = torch.addcmul(h * (s - d0), r, bend)
        b = h * d0 - r * bend
        c = -s * r
        discriminant = (b.square() - 4 * a * c).clamp(min=torch.finfo(t.dtype).tiny)
        xi = 2 * c / (-b - discriminant.sqrt())
    else:
        xi = (t - x0) / w
    xi = xi.clamp(0, 1)  # rounding can leave it just outside, where the slope may turn negative
    both = xi * (1 - xi)
    e = torch.addcmul(s, bend, both)
    slope = (s / e).square() * (d1 * xi.square() + 2 * s * both + d0 * (1 - xi).square())
    if inverse:
        result, log_slope = torch.addcmul(x0, xi, w), -slope.log()
    else:
        result, log_slope = y0 + h * (s * xi.square() + d0 * both) / e, slope.log()
    result = torch.where(inside, 2 * bound * result - bound, value)
    return result, torch.where(inside, log_slope, torch.zeros_like(log_slope))
