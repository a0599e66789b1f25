"""MADE: one masked network that gives every conditional of the chain rule in one pass.

    p(x) = Π_d p(x_d | x_{<d}),   the parameters of factor d are output d of a network

Output d must not see x_d, x_{d+1}, …: masks take away every path from those inputs to that output. To
evaluate p(x) is then one pass; to sample takes D passes, one for each coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["MADE", "MaskedLinear", "hidden_degrees", "mask_between"]

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def hidden_degrees(units: int, dim: int) -> Tensor:
    """Degrees 1 … D-1 dealt out in turn: a unit of degree m may see the first m coordinates.

    >>> hidden_degrees(5, dim=4)
    tensor([1, 2, 3, 1, 2])
    """
    return 1 + torch.arange(units) % max(1, dim - 1)


def mask_between(below: Tensor, above: Tensor, strict: bool = False) -> Tensor:
    """1 where a unit `above` may be fed by a unit `below`: degree above >= degree below.

    Into the output layer the comparison is strict: output d has degree d and must not see x_d.

    >>> mask_between(torch.tensor([1, 2, 3]), torch.tensor([1, 2, 3]), strict=True)
    tensor([[0., 0., 0.],
            [1., 0., 0.],
            [1., 1., 0.]])
    """
    above, below = above[:, None], below[None, :]
    return (above > below if strict else above >= below).float()  # (above, below)


class MaskedLinear(nn.Linear):
    """y = (W ⊙ M) x + b, with a mask M of zeros and ones that the caller gives.

    >>> layer = MaskedLinear(2, 1)
    >>> layer(torch.ones(2), torch.zeros(1, 2)).item() == layer.bias.item()
    True
    """

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (..., below), mask (above, below) -> (..., above)."""
        return functional.linear(x, self.weight * mask, self.bias)


class MADE(nn.Module):
    """Masked autoencoder for distribution estimation: D conditionals by one network.

        h_1 = relu((W_1 ⊙ M_1) x + b_1), …,   out = (V ⊙ M_V) h_L + (A ⊙ M_A) x + c
        log p(x) = Σ_d log p(x_d | out_d)

    Coordinate number i of the ordering has degree i, hidden units have degrees 1 … D-1, and

        M[k, j] = 1 if m(k) >= m(j) (into a hidden layer),   1 if m(k) > m(j) (into the output)

    so that the product of all masks is strictly triangular in the ordering. With several orderings the
    model is their mixture: p(x) = (1/M) Σ_m p_m(x), averaged as probabilities, which sums to one.

    Args:
        dim: D, the number of coordinates.
        hidden: units of each hidden layer.
        output: "bernoulli" (x 0 or 1), "categorical" (x 0 … levels - 1) or "gaussian" (x real).
        levels: K of a categorical output.
        orders: how many orderings, or the orderings themselves, (M, D): orders[m, i] is the
            coordinate that comes at place i. The first of a number is 0, 1, …, D-1, the others are random.
        dropout: share of hidden units that are left out in training.
        min_log_scale: smallest log-scale of a Gaussian output, in nats.
        generator: for initial weights and random orderings.

    References:
        Germain, Gregor, Murray and Larochelle, MADE: Masked Autoencoder for Distribution Estimation,
        2015 (arXiv:1502.03509).

    >>> made = MADE(3, hidden=(8,))
    >>> every = torch.cartesian_prod(*[torch.arange(2)] * 3)  # (8, 3)
    >>> round(made.log_prob(every).exp().sum().item(), 4)
    1.0
    """

    def __init__(
        self,
        dim: int,
        hidden: Sequence[int] = (256,),
        output: str = "bernoulli",
        levels: int = 2,
        orders: int | Tensor = 1,
        dropout: float = 0.0,
        min_log_scale: float = -7.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if dim < 1 or not hidden or min(hidden) < 1:
            raise ValueError(f"MADE needs dim >= 1 and hidden sizes >= 1, not {dim} and {hidden}")
        sizes = {"bernoulli": (1, 1), "categorical": (levels, levels), "gaussian": (1, 2)}
        if output not in sizes:
            raise ValueError(f"no output {output!r}: choose one of {', '.join(sizes)}")
        if output == "categorical" and levels < 2:
            raise ValueError(f"a categorical output needs levels >= 2, not {levels}")
        self.dim, self.output, self.levels, self.min_log_scale = dim, output, levels, min_log_scale
        self.n_inputs, self.n_params = sizes[output]
        self.register_buffer("orders", _orderings(orders, dim, generator))  # (M, D)
        for number, units in enumerate(hidden):
            self.register_buffer(f"degrees_{number}", hidden_degrees(units, dim), persistent=False)
        widths = [dim * self.n_inputs, *hidden]
        self.layers = nn.ModuleList(MaskedLinear(below, above) for below, above in pairwise(widths))
        self.last = MaskedLinear(widths[-1], dim * self.n_params)
        self.direct = MaskedLinear(widths[0], dim * self.n_params, bias=False)
        self.dropout = nn.Dropout(dropout)
        for layer in (*self.layers, self.last):
            bound = 1 / math.sqrt(layer.in_features)
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.direct.weight)

    # ------------------------------------------------------------ masks

    def masks(self, order: int = 0) -> list[Tensor]:
        """Of the hidden layers, of the output layer, and of the direct connections, in this order."""
        if not 0 <= order < len(self.orders):
            raise ValueError(f"this MADE has orders 0 … {len(self.orders) - 1}, not {order}")
        place = torch.empty_like(self.orders[order])
        place[self.orders[order]] = torch.arange(1, self.dim + 1, device=place.device)
        inputs = place.repeat_interleave(self.n_inputs)  # degrees of the inputs
        outputs = place.repeat_interleave(self.n_params)
        hidden = [getattr(self, f"degrees_{number}") for number in range(len(self.layers))]
        chain = [inputs, *hidden]
        made = [mask_between(a, b) for a, b in pairwise(chain)]
        made += [
            mask_between(hidden[-1], outputs, strict=True),
            mask_between(inputs, outputs, strict=True),
        ]
        return [mask.to(self.last.weight) for mask in made]

    def connections(self, order: int = 0) -> Tensor:
        """How many paths lead from each input to each output: the product of the masks, (D, D)."""
        *hidden, last, direct = self.masks(order)
        paths = hidden[0]
        for mask in (*hidden[1:], last):
            paths = mask @ paths
        blocks = (paths + direct).reshape(self.dim, self.n_params, self.dim, self.n_inputs)
        return blocks.sum((1, 3))

    # ------------------------------------------------------------ one pass

    def forward(self, x: Tensor, order: int = 0) -> Tensor:
        """x (B, D) -> parameters (B, D, P); those of coordinate d see only what comes before it.

        P is 1 (the logit of a 1), K (logits) or 2 (mean, log-scale).
        """
        return self._network(self._code(self._checked(x)), order)

    def _network(self, code: Tensor, order: int) -> Tensor:
        *masks, last, direct = self.masks(order)
        h = code
        for layer, mask in zip(self.layers, masks, strict=True):
            h = self.dropout(torch.relu(layer(h, mask)))  # (B, H)
        out = self.last(h, last) + self.direct(code, direct)  # (B, D P)
        return out.unflatten(-1, (self.dim, self.n_params))

    def _code(self, x: Tensor) -> Tensor:
        """What the network is fed: ±1 for a bit, so that 0 differs from unseen; a one-hot; x itself."""
        dtype = self.last.weight.dtype
        if self.output == "bernoulli":
            return 2 * x.to(dtype) - 1
        if self.output == "categorical":
            return functional.one_hot(x.long(), self.levels).to(dtype).flatten(-2)
        return x.to(dtype)

    def conditionals(self, x: Tensor, order: int = 0) -> Tensor:
        """log p(x_d | x_{<d}) of every coordinate, in nats, (B, D), by one pass."""
        return self._score(self(x, order), x)

    def _score(self, params: Tensor, x: Tensor) -> Tensor:
        if self.output == "bernoulli":
            logit = params[..., 0]
            return functional.logsigmoid(torch.where(x > 0.5, logit, -logit))
        if self.output == "categorical":
            return params.log_softmax(-1).gather(-1, x.long()[..., None])[..., 0]
        mean, log_scale = params[..., 0], params[..., 1].clamp(min=self.min_log_scale)
        z = (x - mean) * torch.exp(-log_scale)
        return -0.5 * z**2 - log_scale - HALF_LOG_2PI

    def log_prob(self, x: Tensor, order: int | None = None) -> Tensor:
        """log p(x) in nats: x (B, D) -> (B,).

        Args:
            order: of one ordering; by default of the mixture of all, log (1/M) Σ_m p_m(x).
        """
        if order is not None:
            return self.conditionals(x, order).sum(-1)
        each = torch.stack([self.log_prob(x, m) for m in range(len(self.orders))])  # (M, B)
        return each.logsumexp(0) - math.log(len(self.orders))

    # ------------------------------------------------------------ D passes

    def _draw(self, params: Tensor, generator: torch.Generator | None) -> Tensor:
        """One coordinate from its parameters (B, P), by the inverse of the cumulative distribution."""
        if self.output == "gaussian":
            mean, log_scale = params[:, 0], params[:, 1].clamp(min=self.min_log_scale)
            noise = torch.randn(
                mean.shape, generator=generator, dtype=mean.dtype, device=mean.device
            )
            return mean + log_scale.exp() * noise
        u = torch.rand(
            params.shape[0], 1, generator=generator, dtype=torch.float64, device=params.device
        )
        if self.output == "bernoulli":
            return (u[:, 0] < params[:, 0].double().sigmoid()).to(params.dtype)
        cdf = params.double().softmax(-1).cumsum(-1)
        return (cdf <= u * cdf[:, -1:]).sum(-1).clamp(max=self.levels - 1).to(params.dtype)

    def _generate(
        self, shape: Sequence[int], order: int | None, generator: torch.Generator | None
    ) -> Tensor:
        shape = tuple(shape)
        count, device = math.prod(shape), self.orders.device
        if order is None:  # a mixture: first choose the component, then sample from it
            which = torch.randint(len(self.orders), (count,), generator=generator, device=device)
        else:
            which = torch.full((count,), order, device=device)
        made = torch.zeros(count, self.dim, dtype=self.last.weight.dtype, device=device)
        for m in which.unique().tolist():
            mine = which == m
            x = made[mine]
            for d in self.orders[m].tolist():  # D passes, each for one coordinate
                drawn = self._draw(self._network(self._code(x), m)[:, d], generator)
                chosen = torch.arange(self.dim, device=device) == d
                x = torch.where(chosen, drawn[:, None], x)
            made = made.masked_scatter(mine[:, None], x)
        made = made.reshape(*shape, self.dim)
        return made if self.output == "gaussian" else made.long()

    @torch.no_grad()
    def sample(
        self,
        shape: Sequence[int] = (),
        order: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Samples (*shape, D), by D passes. `order` as in `log_prob`."""
        return self._generate(shape, order, generator)

    def rsample(
        self,
        shape: Sequence[int] = (),
        order: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Samples (*shape, D) of Gaussian outputs, with a gradient to the weights."""
        if self.output != "gaussian":
            raise TypeError(
                f"a {self.output} sample jumps, so it has no gradient: use sample, or a Gaussian output"
            )
        return self._generate(shape, order, generator)

    # ------------------------------------------------------------ input

    def _checked(self, x: Tensor) -> Tensor:
        if x.ndim != 2 or x.shape[1] != self.dim or x.shape[0] == 0:
            raise ValueError(f"x has shape (B, {self.dim}) with B > 0, not {tuple(x.shape)}")
        if self.output == "gaussian":
            if not x.is_floating_point():
                raise TypeError(f"x is {x.dtype}: a Gaussian output needs floating-point values")
            if not torch.isfinite(x).all():
                raise ValueError("x has NaN or infinite values: remove those rows first")
            return x
        top = self.levels if self.output == "categorical" else 2
        if not ((x == x.round()) & (x >= 0) & (x < top)).all():
            raise ValueError(
                f"a {self.output} MADE describes whole numbers 0 … {top - 1}; x has others: "
                "round or threshold it first"
            )
        return x


def _orderings(orders: int | Tensor, dim: int, generator: torch.Generator | None) -> Tensor:
    if isinstance(orders, int):
        if orders < 1:
            raise ValueError(f"MADE needs at least one ordering, not {orders}")
        others = [torch.randperm(dim, generator=generator) for _ in range(orders - 1)]
        return torch.stack([torch.arange(dim), *others])
    orders = torch.as_tensor(orders)
    wanted = torch.arange(dim)
    if orders.ndim != 2 or orders.shape[1] != dim or not (orders.sort(-1)[0] == wanted).all():
        raise ValueError(f"orders has shape (M, {dim}), each row a permutation of 0 … {dim - 1}")
    return orders.clone()
