"""Chapter 4: the change of variables, and what every flow is made of.

A *transform* is an invertible map between data x and noise z, both (..., D). The direction data ->
noise is called forward, because maximum likelihood needs that one:

    log p_x(x) = log p_z(f(x)) + log|det df/dx|

Every method returns the log-determinant of the map that it applied, summed over the event dimension
D: one value for each element of the batch (...).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..distributions import Random
from ..weights import takes_networks


class Transform(nn.Module):
    """An invertible map f: data -> noise of `dim` = D dimensions.

    A subclass writes `_forward(x, context)` and `_inverse(z, context)`; each returns the result and
    the log-determinant of the map that it applied. `extra_repr` says what is special about it.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        if dim < 1:
            raise ValueError(f"a transform needs dim >= 1, not {dim}")
        self.dim = dim

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x (..., D) -> z = f(x) (..., D), log|det df/dx| (...)."""
        return self._forward(self._checked(x, "x"), context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z (..., D) -> x = f⁻¹(z) (..., D), log|det df⁻¹/dz| (...)."""
        return self._inverse(self._checked(z, "z"), context)

    def _checked(self, value: Tensor, name: str) -> Tensor:
        if value.ndim == 0 or value.shape[-1] != self.dim:
            raise ValueError(
                f"{type(self).__name__}: {name} has shape (..., {self.dim}), not {tuple(value.shape)}"
            )
        if not value.is_floating_point():
            raise TypeError(f"{name} is {value.dtype}: a density needs floating-point values")
        return value

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        raise TypeError(f"{type(self).__name__} does not define the direction data -> noise")

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        raise TypeError(f"{type(self).__name__} does not define the direction noise -> data")

    def extra_repr(self) -> str:
        return str(self.dim)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"


class Affine(Transform):
    """A linear map with a lower-triangular matrix, and a shift.

        x = L z + b,   z = L⁻¹ (x - b)
        log|det dz/dx| = -Σ_i log L_ii,   log|det dx/dz| = Σ_i log L_ii

    L has the positive diagonal exp(log_scale) and, unless `diagonal`, free entries below it. With
    standard normal noise, x is N(b, L Lᵀ): the Gaussian of chapter 2, as a flow.

    >>> affine = Affine(1)
    >>> _ = nn.init.constant_(affine.log_scale, math.log(2.0))
    >>> x, log_det = affine.inverse(torch.ones(1))
    >>> x.item(), round(log_det.item(), 4)  # 2 · 1 + 0, log 2
    (2.0, 0.6931)
    """

    def __init__(self, dim: int, diagonal: bool = False) -> None:
        super().__init__(dim)
        self.shift = nn.Parameter(torch.zeros(dim))  # b
        self.log_scale = nn.Parameter(torch.zeros(dim))  # log L_ii
        self.below = None if diagonal else nn.Parameter(torch.zeros(dim, dim))

    @property
    def matrix(self) -> Tensor:
        """L (D, D)."""
        diagonal = torch.diag(self.log_scale.exp())
        return diagonal if self.below is None else self.below.tril(-1) + diagonal

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        if self.below is None:
            z = (x - self.shift) * torch.exp(-self.log_scale)
        else:
            columns = (x - self.shift).reshape(-1, self.dim).T  # (D, M)
            z = torch.linalg.solve_triangular(self.matrix, columns, upper=False).T.reshape(x.shape)
        return z, -self.log_scale.sum().expand(x.shape[:-1])

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        x = z * self.log_scale.exp() if self.below is None else z @ self.matrix.T
        return x + self.shift, self.log_scale.sum().expand(z.shape[:-1])

    def extra_repr(self) -> str:
        return f"{self.dim}, diagonal={self.below is None}"


class MuLaw(Transform):
    """µ-law companding of every coordinate: a fixed bend that spreads out small amplitudes.

        z = sign(x) log(1 + µ|x|) / log(1 + µ),   x = sign(z) ((1 + µ)^|z| - 1) / µ
        log|det dz/dx| = Σ_i log(µ / log(1 + µ)) - log(1 + µ|x_i|)
        log|det dx/dz| = Σ_i log(log(1 + µ) / µ) + |z_i| log(1 + µ)

    References: ITU-T Recommendation G.711, 1988; chapter 1.

    >>> z, log_det = MuLaw(1)(torch.tensor([0.0]))
    >>> z.item(), round(log_det.item(), 3)  # at 0 the slope is 255 / log 256
    (0.0, 3.828)
    """

    def __init__(self, dim: int, mu: float = 255.0) -> None:
        super().__init__(dim)
        if mu <= 0:
            raise ValueError(f"µ must be positive, not {mu}")
        self.mu = mu

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        log_1_mu = math.log1p(self.mu)
        bent = torch.log1p(self.mu * x.abs())  # log(1 + µ|x|)
        log_det = (math.log(self.mu / log_1_mu) - bent).sum(-1)
        # Each half on its own side of zero: sign(x) |…| would have the gradient 0 at exactly 0.
        up = torch.log1p(self.mu * x.clamp(min=0))
        down = -torch.log1p(-self.mu * x.clamp(max=0))
        return torch.where(x >= 0, up, down) / log_1_mu, log_det

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        log_1_mu = math.log1p(self.mu)
        log_det = (math.log(log_1_mu / self.mu) + z.abs() * log_1_mu).sum(-1)
        up = torch.expm1(z.clamp(min=0) * log_1_mu)
        down = -torch.expm1(-z.clamp(max=0) * log_1_mu)
        return torch.where(z >= 0, up, down) / self.mu, log_det

    def extra_repr(self) -> str:
        return f"{self.dim}, mu={self.mu:g}"


class Compose(Transform):
    """Transforms one after the other, in the order data -> noise.

        f = f_K ∘ … ∘ f_1,   log|det df/dx| = Σ_k log|det df_k|, each at its own input
        f⁻¹ = f_1⁻¹ ∘ … ∘ f_K⁻¹, and the same sum of the inverses' log-determinants

    >>> Compose([Affine(3), MuLaw(3)])
    Compose([
        Affine(3, diagonal=False),
        MuLaw(3, mu=255)])
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        transforms = list(transforms)
        if not transforms:
            raise ValueError("Compose needs at least one transform")
        dims = sorted({transform.dim for transform in transforms})
        if len(dims) > 1:
            raise ValueError(f"all transforms must have the same dim, not {dims}")
        super().__init__(dims[0])
        self.transforms = nn.ModuleList(transforms)

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(x.shape[:-1])
        for transform in self.transforms:
            x, log_det = transform(x, context)
            total = total + log_det
        return x, total

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        total = z.new_zeros(z.shape[:-1])
        for transform in reversed(self.transforms):
            z, log_det = transform.inverse(z, context)
            total = total + log_det
        return z, total

    def extra_repr(self) -> str:
        lines = ",\n".join(map(repr, self.transforms)).replace("\n", "\n    ")
        return f"[\n    {lines}]"


class Inverse(Transform):
    """The same map read backwards: forward(x) = t⁻¹(x), inverse(z) = t(z).

    >>> x = torch.tensor([0.3])
    >>> same, _ = Inverse(MuLaw(1))(MuLaw(1)(x)[0])
    >>> round(same.item(), 4)
    0.3
    """

    @takes_networks
    def __init__(self, transform: Transform) -> None:
        super().__init__(transform.dim)
        self.transform = transform

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.transform.inverse(x, context)

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.transform(z, context)

    def extra_repr(self) -> str:
        return repr(self.transform)


class StandardNormal(nn.Module):
    """White noise in D dimensions: log p(z) = -½ ‖z‖² - (D/2) log 2π.

    >>> round(StandardNormal(2).log_prob(torch.zeros(2)).item(), 4)
    -1.8379
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("origin", torch.zeros(dim), persistent=False)

    def log_prob(self, z: Tensor) -> Tensor:
        """z (..., D) -> nats (...)."""
        return -0.5 * z.square().sum(-1) - 0.5 * self.dim * math.log(2 * math.pi)

    def sample(self, shape: Sequence[int] = (), generator: Random = None) -> Tensor:
        """-> (*shape, D)."""
        like = {"device": self.origin.device, "dtype": self.origin.dtype}
        return torch.randn(*shape, self.dim, generator=generator, **like)

    def extra_repr(self) -> str:
        return str(self.dim)


class Flow(nn.Module):
    """A density: noise pushed through the inverse of transforms.

        log p(x) = log p_z(f(x)) + log|det df/dx|,   x = f⁻¹(z), z ~ p_z

    Args:
        base: of the noise, with `log_prob(z)` and `sample(shape, generator)`, e.g. `StandardNormal`.
        transforms: data -> noise, one or several.

    References: Papamakarios et al., Normalizing Flows for Probabilistic Modeling and Inference, 2021
    (arXiv:1912.02762).

    >>> flow = Flow(StandardNormal(2), [Affine(2)])
    >>> flow.log_prob(torch.zeros(4, 2)).shape, flow.sample((4,)).shape
    (torch.Size([4]), torch.Size([4, 2]))
    """

    @takes_networks
    def __init__(self, base: nn.Module, transforms: Transform | Sequence[Transform]) -> None:
        super().__init__()
        self.base = base
        self.transform = transforms if isinstance(transforms, Transform) else Compose(transforms)
        if base.dim != self.transform.dim:
            raise ValueError(f"the base has dim {base.dim}, the transforms {self.transform.dim}")

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """x (..., D) -> nats (...)."""
        z, log_det = self.transform(x, context)
        return self.base.log_prob(z) + log_det

    def rsample(
        self, shape: Sequence[int] = (), context: Tensor | None = None, generator: Random = None
    ) -> Tensor:
        """Samples (*shape, D) with a gradient to the transforms' parameters."""
        return self.transform.inverse(self.base.sample(shape, generator), context)[0]

    @torch.no_grad()
    def sample(
        self, shape: Sequence[int] = (), context: Tensor | None = None, generator: Random = None
    ) -> Tensor:
        """Samples (*shape, D)."""
        return self.rsample(shape, context, generator)

    def sample_and_log_prob(
        self, shape: Sequence[int] = (), context: Tensor | None = None, generator: Random = None
    ) -> tuple[Tensor, Tensor]:
        """Samples (*shape, D) and their log-densities (*shape), in one pass, with gradients.

        log p(x) = log p_z(z) - log|det df⁻¹/dz|: the log-determinant of the direction that was used.
        """
        z = self.base.sample(shape, generator)
        x, log_det = self.transform.inverse(z, context)
        return x, self.base.log_prob(z) - log_det

    def __repr__(self) -> str:
        return f"Flow({self.base}, {self.transform})"
