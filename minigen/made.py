"""Chapter 6: MADE, one masked network that gives every conditional of the chain rule in one pass.

    p(x) = Π_d p(x_d | x_{<d}),   the parameters of factor d are output d of a network

Output d must not see x_d, x_{d+1}, …: masks take away every path from those inputs to that output. To
evaluate p(x) is then one pass; to sample takes D passes, one for each coordinate.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .distributions import Random, VectorLikelihood


def hidden_degrees(units: int, dim: int) -> Tensor:
    """Degrees 1 … D-1 dealt out in turn: a unit of degree m may see the first m coordinates.

    >>> hidden_degrees(5, dim=4)
    tensor([1, 2, 3, 1, 2])
    """
    return 1 + torch.arange(units) % max(1, dim - 1)


def mask_between(below: Tensor, above: Tensor, strict: bool = False) -> Tensor:
    """1 where `above` may be fed by a unit `below`: degree above >= degree below.

    Into the output layer it is strict: output d has degree d and must not see x_d.

    >>> mask_between(torch.tensor([1, 2, 3]), torch.tensor([1, 2, 3]), strict=True)
    tensor([[0., 0., 0.],
            [1., 0., 0.],
            [1., 1., 0.]])
    """
    above, below = above[:, None], below[None, :]
    return (above > below if strict else above >= below).float()  # (above, below)


def describe_order(order: Sequence[int]) -> str:
    """An order in a few characters: its ends where it counts up or down.

    >>> describe_order(range(64)), describe_order([1, 0]), describe_order([2, 0, 1])
    ('0 … 63', '1 0', '2 0 1')
    """
    order = list(order)
    straight = order in (sorted(order), sorted(order, reverse=True))
    return f"{order[0]} … {order[-1]}" if straight and len(order) > 4 else " ".join(map(str, order))


class MaskedMLP(nn.Module):
    """A network with D groups of P outputs, where group i sees only the inputs that come before input i.

    Input j has as its degree its place in the order, 1 … D. Every hidden unit has a degree, too, and

        hidden k sees input or hidden j   if degree[k] >= degree[j]
        group i  sees input or hidden k   if degree[i] >  degree[k]

    so that each path from input j to group i climbs to a degree below i's: j comes before i. Hidden
    layers are ReLUs; the last layer starts at zero.

    Args:
        dim: D. outputs: P. hidden: widths. context_dim: C; every unit sees the context.
        orders: (M, D), each row the inputs from first to last; one network, one set of masks for each.
        inputs: numbers of one input (a one-hot, say). dropout: share of hidden units left out in training.
        direct: connect inputs to outputs directly, too, by weights that start at zero.
        in_turn: deal out hidden degrees in turn; otherwise they rise from unit to unit, as `steps` needs.

    References: Germain et al., MADE, 2015 (arXiv:1502.03509).

    >>> MaskedMLP(3, 2, hidden=(8,))(torch.zeros(5, 3)).shape
    torch.Size([5, 3, 2])
    """

    def __init__(
        self,
        dim: int,
        outputs: int,
        hidden: Sequence[int] = (64, 64),
        context_dim: int = 0,
        orders: Tensor | Sequence[Sequence[int]] | None = None,
        inputs: int = 1,
        dropout: float = 0.0,
        direct: bool = False,
        in_turn: bool = False,
    ) -> None:
        super().__init__()
        if dim < 1 or not hidden or min(hidden) < 1:
            raise ValueError(f"need dim >= 1 and hidden sizes >= 1, not {dim} and {tuple(hidden)}")
        orders = torch.as_tensor([list(range(dim))] if orders is None else orders)
        table = orders.ndim == 2 and len(orders) > 0 and orders.shape[1] == dim
        if not table or (orders.sort(-1)[0] != torch.arange(dim)).any():
            raise ValueError(f"orders (M, {dim}) has permutations as rows, not {orders.tolist()}")
        self.dim, self.inputs, self.outputs, self.dropout = dim, inputs, outputs, dropout
        self.hidden = tuple(hidden)
        self.register_buffer("orders", orders.clone(), persistent=False)
        widths = [dim * inputs, *hidden, dim * outputs]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)
        self.context = nn.Linear(context_dim, hidden[0], bias=False) if context_dim > 0 else None
        self.direct = nn.Linear(widths[0], widths[-1], bias=False) if direct else None
        if direct:
            nn.init.zeros_(self.direct.weight)
        # Degree 0, which sees no input, is of use only where there is a context to see.
        lowest = 0 if context_dim > 0 or dim == 1 else 1
        spread = lambda width: lowest + torch.arange(width) * (dim - lowest) // width  # they rise
        self.degrees = [hidden_degrees(w, dim) if in_turn else spread(w) for w in hidden]
        self.counts = [  # of each hidden layer: how many units have a degree of at most 0, 1, …, D - 1
            [int((degree <= m).sum()) for m in range(dim)] for degree in self.degrees
        ]
        self.build_masks()

    def build_masks(self) -> None:
        """Make the masks from `orders`: (above, below) each, or where orders differ (M, above, below)."""
        place = self.orders.cpu().argsort(-1) + 1  # (M, D), degrees of the inputs
        below = place.repeat_interleave(self.inputs, 1)
        above = place.repeat_interleave(self.outputs, 1)
        first, last = self.degrees[0], self.degrees[-1]
        masks = [torch.stack([mask_between(b, first) for b in below])]
        masks += [mask_between(a, b) for a, b in pairwise(self.degrees)]
        masks += [torch.stack([mask_between(last, a, strict=True) for a in above])]
        if self.direct is not None:
            pairs = zip(below, above, strict=True)
            masks += [torch.stack([mask_between(b, a, strict=True) for b, a in pairs])]
        self.mask_names = [f"mask_{k}" for k in range(len(masks))]
        for name, mask in zip(self.mask_names, masks, strict=True):
            mask = mask.squeeze(0) if len(self.orders) == 1 and mask.ndim == 3 else mask
            self.register_buffer(name, mask.to(self.layers[0].weight), persistent=False)

    def masks(self, order: int = 0) -> list[Tensor]:
        """Of the hidden layers, of the output layer and, if there are any, of the direct connections."""
        if not 0 <= order < len(self.orders):
            raise ValueError(f"this network has orders 0 … {len(self.orders) - 1}, not {order}")
        masks = [getattr(self, name) for name in self.mask_names]
        return [mask if mask.ndim == 2 else mask[order] for mask in masks]

    def connections(self, order: int = 0) -> Tensor:
        """How many paths lead from each input to each group: the product of the masks, (D, D)."""
        masks = self.masks(order)
        paths = masks[0]
        for mask in masks[1 : len(self.layers)]:
            paths = mask @ paths
        if self.direct is not None:
            paths = paths + masks[-1]
        return paths.reshape(self.dim, self.outputs, self.dim, self.inputs).sum((1, 3))

    def network(self, x: Tensor, context: Tensor | None = None, order: int = 0) -> Tensor:
        """x (..., D · inputs), context (..., C) -> (..., D, P)."""
        masks, h = self.masks(order), x
        for k, layer in enumerate(self.layers[:-1]):
            h = F.linear(h, layer.weight * masks[k], layer.bias)
            if k == 0 and self.context is not None:
                h = h + self.context(context)
            h = F.relu(h, inplace=True)
            if self.dropout > 0:
                h = F.dropout(h, self.dropout, self.training)
        last = self.layers[-1]
        out = F.linear(h, last.weight * masks[len(self.layers) - 1], last.bias)
        if self.direct is not None:
            out = out + F.linear(x, self.direct.weight * masks[-1])
        return out.unflatten(-1, (self.dim, self.outputs))

    forward = network

    def steps(self, batch: int, context: Tensor | None = None) -> Callable[[Tensor | None], Tensor]:
        """A function that takes one more input at each call, and gives the next group of outputs.

        Called first with None, then with the inputs (B, 1) in the first order; returns (B, P) for the next
        one. A unit of degree m is final as soon as m inputs are known, so each is computed once: D steps
        together multiply no more often than one pass.
        """
        order = self.orders[0].tolist()
        pairs = zip(self.layers, self.masks(), strict=True)
        weights = [layer.weight * mask for layer, mask in pairs]
        weights[0] = weights[0][:, order]  # columns in the order in which they become known
        biases = [layer.bias for layer in self.layers]
        seen = None if self.context is None else self.context(context)  # (B, H), from the start
        known = [weights[0].new_empty(batch, 0) for _ in weights]  # inputs, then each hidden layer
        m = 0  # inputs known so far

        def step(value: Tensor | None) -> Tensor:
            nonlocal m
            if value is not None:
                known[0] = torch.cat([known[0], value], -1)
                m += 1
            for k, count in enumerate(self.counts):
                low, high = count[m - 1] if m > 0 else 0, count[m]
                if high > low:  # the units of degree m
                    inputs = known[k]
                    weight = weights[k][low:high, : inputs.shape[-1]]
                    new = F.linear(inputs, weight, biases[k][low:high])
                    if k == 0 and seen is not None:
                        new = new + seen[:, low:high]
                    known[k + 1] = torch.cat([known[k + 1], F.relu(new)], -1)
            rows = slice(order[m] * self.outputs, (order[m] + 1) * self.outputs)
            inputs = known[-1]
            return F.linear(inputs, weights[-1][rows, : inputs.shape[-1]], biases[-1][rows])

        return step

    def extra_repr(self) -> str:
        orders = "; ".join(map(describe_order, self.orders[:3].tolist()))
        more = f"; … {len(self.orders)} in all" if len(self.orders) > 3 else ""
        return f"{self.dim}, {self.outputs}, hidden={self.hidden}, order={orders}{more}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"


class MADE(MaskedMLP):
    """Masked autoencoder for distribution estimation: D conditionals by one network.

        h_1 = relu((W_1 ⊙ M_1) x + b_1), …,   out = (V ⊙ M_V) h_L + (A ⊙ M_A) x + c
        log p(x) = Σ_d log p(x_d | out_d)

    The masks are those of `MaskedMLP`: their product is strictly triangular in the ordering. With several
    orderings the model is their mixture: p(x) = (1/M) Σ_m p_m(x), averaged as probabilities, which sums to one.

    Args:
        dim: D, the number of coordinates. hidden: units of each hidden layer.
        output: "bernoulli" (x 0 or 1), "categorical" (x 0 … levels - 1) or "gaussian" (x real).
        levels: K of a categorical output.
        orders: how many orderings, or the orderings themselves, (M, D): orders[m, i] is the coordinate that
            comes at place i. The first of a number is 0, 1, …, D-1, the others are random.
        dropout: share of hidden units that are left out in training.
        min_log_scale: smallest log-scale of a Gaussian output, in nats.
        generator: for initial weights and random orderings.

    References: Germain, Gregor, Murray and Larochelle, MADE: Masked Autoencoder for Distribution Estimation,
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
        generator: Random = None,
    ) -> None:
        likelihood = VectorLikelihood(output, dim, levels, min_log_scale)
        if isinstance(orders, int):
            if orders < 1:
                raise ValueError(f"MADE needs at least one ordering, not {orders}")
            others = [torch.randperm(dim, generator=generator) for _ in range(orders - 1)]
            orders = torch.stack([torch.arange(dim), *others])
        super().__init__(
            dim, likelihood.n_params, hidden, 0, orders, likelihood.n_inputs, dropout, True, True
        )
        self.likelihood = likelihood
        self.register_buffer("orders", self.orders)  # part of what is saved
        self.register_load_state_dict_post_hook(lambda made, _: made.build_masks())
        for layer in self.layers:
            bound = 1 / math.sqrt(layer.in_features)
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            nn.init.zeros_(layer.bias)

    def code(self, x: Tensor) -> Tensor:
        """What the network is fed of x (B, D): ±1 for a bit, a one-hot for a level, x itself."""
        return self.likelihood.code(x, self.layers[0].weight.dtype)

    def forward(self, x: Tensor, order: int = 0) -> Tensor:
        """x (B, D) -> parameters (B, D, P); those of coordinate d see only what comes before it.

        P is 1 (the logit of a 1), K (logits) or 2 (mean, log-scale).
        """
        return self.network(self.code(self.likelihood.checked(x)), order=order)

    def conditionals(self, x: Tensor, order: int = 0) -> Tensor:
        """log p(x_d | x_{<d}) of every coordinate, in nats, (B, D), by one pass."""
        return self.likelihood.log_prob(self(x, order), x)

    def log_prob(self, x: Tensor, order: int | None = None) -> Tensor:
        """log p(x) in nats: x (B, D) -> (B,).

        Args: order: of one ordering; by default of the mixture of all, log (1/M) Σ_m p_m(x).
        """
        if order is not None:
            return self.conditionals(x, order).sum(-1)
        each = torch.stack([self.log_prob(x, m) for m in range(len(self.orders))])  # (M, B)
        return each.logsumexp(0) - math.log(len(self.orders))

    @torch.no_grad()
    def sample(
        self, shape: Sequence[int] = (), order: int | None = None, generator: Random = None
    ) -> Tensor:
        """Samples (*shape, D), by D passes. `order` as in `log_prob`."""
        shape, device = tuple(shape), self.orders.device
        count = math.prod(shape)
        if order is None:  # a mixture: first choose the component, then sample from it
            which = torch.randint(len(self.orders), (count,), generator=generator, device=device)
        else:
            which = torch.full((count,), order, device=device)
        made = torch.zeros(count, self.dim, dtype=self.layers[0].weight.dtype, device=device)
        for m in which.unique().tolist():
            mine = which == m
            x = made[mine]
            for d in self.orders[m].tolist():  # D passes, each for one coordinate
                params = self.network(self.code(x), order=m)[:, d]
                x[:, d] = self.likelihood.sample(params, generator).to(x)
            made[mine] = x
        made = made.reshape(*shape, self.dim)
        return made if self.likelihood.kind == "gaussian" else made.long()

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {self.likelihood}"
