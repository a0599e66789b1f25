"""Checks for project D: one masked network, read as MAF and as IAF, trained, sampled both ways, its passes counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import flows
from ..made import MaskedMLP
from .core import CheckFailed, compare, exercise, ok, parts, require

WITHOUT = tuple(
    f"minigen.{name}"
    for name in (
        "made.MaskedMLP",
        "made.MADE",
        "made.mask_between",
        "flows.MaskedAffineAutoregressive",
        "flows.MAF",
        "flows.IAF",
        "flows.Inverse",
    )
)
SLACK = 0.06  # nats per sample above the entropy of the process
DIM = 32
Weights = Sequence[tuple[Tensor, Tensor]]


# ---------------------------------------------------------------- D.1


def _weights(dim: int, hidden: Sequence[int], seed: int) -> list[tuple[Tensor, Tensor]]:
    """Random ones in double precision: (rows, columns) and (rows,) for each layer."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: 0.7 * torch.randn(shape, generator=generator).double()
    return [(draw(b, a), draw(b)) for a, b in pairwise([dim, *hidden, 2 * dim])]


def _network(weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
    """The library's masked network with these weights, (m, s), both (B, D)."""
    dim = x.shape[-1]
    net = MaskedMLP(dim, 2, [len(bias) for _, bias in weights[:-1]]).to(x.dtype)
    rows = torch.arange(2 * dim).reshape(2, dim).T.flatten()  # theirs are m_1, s_1, m_2, s_2, …
    names, values = [], []
    for n, (weight, bias) in enumerate(weights):
        last = n == len(weights) - 1
        names += [f"layers.{n}.weight", f"layers.{n}.bias"]
        values += [weight[rows], bias[rows]] if last else [weight, bias]
    out = torch.func.functional_call(net, dict(zip(names, values, strict=True)), (x,))
    return out[..., 0], out[..., 1]


def _variant(weights: Weights, x: Tensor, **change: Callable) -> tuple[Tensor, Tensor]:
    """The network with one mistake, for hints."""
    dim, h = x.shape[-1], x
    of_inputs = torch.arange(1, dim + 1)
    degrees = change.get("degrees", lambda units: 1 + torch.arange(units) * (dim - 1) // units)
    first = change.get("first", lambda above, below: above >= below)
    last = change.get("last", lambda above, below: above > below)
    relu = change.get("relu", torch.relu)
    below = of_inputs
    for n, (weight, bias) in enumerate(weights):
        final = n == len(weights) - 1
        above = of_inputs.repeat(2) if final else degrees(len(bias))
        if final and "rows" in change:
            above = of_inputs.repeat_interleave(2)
        mask = (last if final else first)(above[:, None], below)
        h, below = F.linear(h, weight * mask, bias), above
        h = h if final else relu(h)
    return h.chunk(2, -1)


@exercise("D.1", "one masked network", forbid=WITHOUT)
def masked_network(network: Callable) -> None:
    """network(weights [(W, b), …], x (B, D)) -> m (B, D), s (B, D), each from x before it."""
    generator = torch.Generator().manual_seed(0)
    for number, (dim, hidden, batch) in enumerate(
        [(5, (11,), 3), (3, (4, 6), 1), (8, (5, 9, 7), 4), (2, (3,), 2), (12, (4,), 2)]
    ):
        weights = _weights(dim, hidden, number)
        x = torch.randn(batch, dim, generator=generator).double()
        want = _network(weights, x)
        both = torch.cat(list(want), -1)
        seen = lambda a, b: (a >= b) | (a < b)
        hints = [
            (_variant(weights, x, last=seen, first=seen), "no mask is applied: every output sees every input"),
            (_variant(weights, x, first=seen), "the hidden layers have no mask: a unit may see degrees up to its own"),
            (_variant(weights, x, relu=torch.tanh), "tanh after the hidden layers, where the text says ReLU"),
            (_variant(weights, x, degrees=lambda n, d=dim: 1 + torch.arange(n) * d // n), "hidden degrees go up to D - 1: multiply by D - 1, not by D"),
            ((both[..., ::2], both[..., 1::2]), "the last layer gives all m first, then all s, not in turn"),
            (_variant(weights, x, last=seen), "the last layer has no mask: every output sees every input"),
            (_variant(weights, x, last=lambda a, b: a < b), "the last mask is turned round: an output sees units of lower degrees"),
            (_variant(weights, x, last=lambda a, b: a >= b), "`>=` in the last mask: output t sees x_t itself"),
            (_variant(weights, x, first=lambda a, b: a > b), "`>` in a hidden layer: a unit of degree d may see degree d"),
            (_variant(weights, x, last=lambda a, b: a < b, first=lambda a, b: a <= b), "the masks are turned round: output t sees what comes after it"),
            (_variant(weights, x, relu=lambda h: h), "the ReLU is missing after the hidden layers"),
            (_variant(weights, x, degrees=lambda n, d=dim: 1 + torch.arange(n) % (d - 1)), "hidden degrees are dealt out in turn; here they rise from unit to unit"),
            (_variant(weights, x, rows=True), "the rows of the last layer are all m first, then all s, so their degrees are 1 … D twice over"),
        ]  # fmt: skip
        answer = parts(network(weights, x), "m", "s")
        what = f"D = {dim}, hidden layers of {', '.join(map(str, hidden))}: "
        for k, name in enumerate("ms"):
            told = [(wrong[k], why) for wrong, why in hints] if number == 0 else []
            told += [(want[1 - k], "m and s are exchanged")]
            compare(answer[k], want[k], what + name, 1e-9, told, quiet=True)
    ok("m and s are right, for 5 networks of 1 to 3 hidden layers")
    one = torch.randn(1, 8, generator=generator).double()
    weights = [(a.requires_grad_(), b.requires_grad_()) for a, b in _weights(8, (14, 14), 3)]
    J = torch.stack(torch.autograd.functional.jacobian(lambda v: tuple(network(weights, v)), one))
    J = J.reshape(2, 8, 8).abs()
    require(
        not J.triu().any() and (J[..., 1:, :].amax(-1) > 0).all(),
        "by its gradient, m and s at t depend on what comes before t and on nothing else",
        "by its gradient, an output depends on its own input or on a later one, or on none at all",
    )
    flat = [v for pair in weights for v in pair]
    slopes = torch.autograd.grad(
        sum(p.sum() for p in network(weights, one)), flat, allow_unused=True
    )
    require(
        all(s is not None and s.any() for s in slopes),
        "a gradient reaches every layer",
        "no gradient reaches some layer: it cannot be trained",
    )


# ---------------------------------------------------------------- D.2


class _Counted:
    """A network that counts its passes."""

    def __init__(self, net: Callable) -> None:
        self.net, self.passes, self.__name__ = net, 0, "net"

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.passes += 1
        return self.net(x)


def _layer(dim: int, seed: int, spread: float = 0.5) -> flows.MaskedAffineAutoregressive:
    """One of random weights in double precision."""
    layer = flows.MaskedAffineAutoregressive(dim, (9,)).double().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for weight in layer.parameters():
        weight.copy_(spread * torch.randn(weight.shape, generator=generator).double())
    return layer


def _reading(layer: flows.MaskedAffineAutoregressive, kind: str) -> flows.Flow:
    """The library's density: the layer leads from data to noise (MAF) or from noise to data (IAF)."""
    base = flows.StandardNormal(layer.dim).double()
    return flows.Flow(base, layer if kind == "maf" else flows.Inverse(layer))


def _net(layer: flows.MaskedAffineAutoregressive) -> _Counted:
    def net(x: Tensor) -> tuple[Tensor, Tensor]:
        params = layer.net(x)
        return params[..., 0], 5 * torch.tanh(params[..., 1] / 5)

    return _Counted(net)


def _passes(count: int, most: int, what: str) -> None:
    if count > most:
        kind = "one pass is enough: all that the network is fed is known" if most == 1 else (
            "one for each column is enough"
        )  # fmt: skip
        raise CheckFailed(f"✗ {what} takes {count} passes: {kind}")


@exercise("D.2", "read both ways", forbid=WITHOUT)
def both_ways(one_pass: Callable, in_steps: Callable, log_prob: Callable, sample: Callable) -> None:
    """one_pass(net, v), in_steps(net, u) -> (B, D), log-det (B,); log_prob(net, x, kind) -> (B,);
    sample(net, noise, kind) -> x, log-density (B,)."""
    half = 0.5 * math.log(2 * math.pi)
    generator = torch.Generator().manual_seed(1)
    names = ("the result", "the log-determinant")
    for number, (dim, batch) in enumerate([(4, 3), (7, 2), (2, 5), (1, 2)]):
        layer, v = _layer(dim, number), torch.randn(batch, dim, generator=generator).double()
        net = _net(layer)
        m, s = net.net(v)
        want = layer.forward(v)
        net.passes = 0
        got = parts(one_pass(net, v), *names)
        _passes(net.passes, 1, "`one_pass`")
        hints = [
            (v * s.exp() + m, "this is the other direction: take m away, then divide by the scale"),
            ((v - m) * s.exp(), "multiplied by e^s: from here one divides"),
            (v * (-s).exp() - m, "m is taken away after the scaling: first m, then the scale"),
            (v - m, "m is taken away, but nothing divided by e^s"),
            (v * (-s).exp(), "divided by e^s, but m is not taken away before"),
            ((v + m) * (-s).exp(), "m is added: take it away"),
            ((-s).exp(), "this is e^-s alone, without v"),
        ]
        last = ["u is (v - m) divided by e^s, of the m and s of v itself"]
        compare(got[0], want[0], "`one_pass`: u", 1e-9, hints, otherwise=last.pop, quiet=number > 0)
        hints = [
            (-want[1], "the sign: u shrinks by e^s, so it is - Σ s"),
            (-s, "one for each column: sum over t"),
            (-s.mean(-1), "averaged over t: it is a sum"),
            (-s.sum(), "summed over the batch as well"),
            (-s.sum(0), "summed over the batch: one number is wanted for each row, a sum over t"),
        ]
        compare(got[1], want[1], "its log-determinant", 1e-9, hints, quiet=number > 0)
        want = layer.inverse(v)
        zero = net.net(torch.zeros_like(v))
        net.passes = 0
        got = parts(in_steps(net, v), *names)
        used = net.passes
        hints = [
            (m + s.exp() * v, "the network is fed u: feed it the columns of v that are found"),
            (zero[0] + zero[1].exp() * v, "one pass from zeros: only the first column is right"),
            *((_undone(net.net, v, rule), why) for rule, why in SLIPS),
        ]
        last = ["column t of v is m_t + e^(s_t) u_t, of the m and s of the columns before it"]
        compare(
            got[0],
            want[0],
            "`in_steps`: v",
            1e-8,
            hints if dim > 1 else (),
            otherwise=last.pop,
            quiet=number > 0,
        )
        found = net.net(want[0])[1]
        hints = [
            (-want[1], "the sign: this way it is + Σ s"),
            (found, "one for each column: sum over t"),
            (
                found.sum(0),
                "summed over the batch: one number is wanted for each row, a sum over t",
            ),
        ]
        compare(got[1], want[1], "its log-determinant", 1e-8, hints, quiet=number > 0)
        _passes(used, dim + 1, "`in_steps`")
    there = parts(in_steps(net, v), *names)
    back = parts(one_pass(net, there[0]), *names)
    require(
        torch.allclose(back[0], v) and torch.allclose(back[1] + there[1], 0 * there[1]),
        "there and back is where it began, and the two log-determinants cancel",
        "there and back is not where it began",
    )
    net, v = _net(_layer(5, 8)), torch.randn(1, 5, generator=generator).double()
    J = torch.autograd.functional.jacobian(lambda v: parts(one_pass(net, v), *names)[0], v)
    own = torch.linalg.slogdet(J[0, :, 0])[1]
    compare(one_pass(net, v)[1], own[None], "and by autograd's Jacobian: the log-determinant", 1e-9)
    for kind in ("maf", "iaf"):
        _density(log_prob, sample, kind, half, generator)
    ok("so each reading has one fast direction, and it is not the same")


SLIPS = (
    (lambda m, s, u: m - s.exp() * u, "the noise is taken away: add it"),
    (lambda m, s, u: m + 0 * u, "these are the means: add e^s times u"),
    (lambda m, s, u: s.exp() * u, "m is missing"),
    (lambda m, s, u: m + u, "u is not scaled by e^s"),
    (lambda m, s, u: m + s.exp(), "e^s is added, without u"),
    (lambda m, s, u: m + s * u, "u is scaled by s, its logarithm, in place of e^s"),
    (
        lambda m, s, u: (u - m) * (-s).exp(),
        "this is the other map: from u to v it multiplies, then adds",
    ),
)


def _undone(net: Callable, u: Tensor, rule: Callable) -> Tensor:
    """Column after column of v by a rule of m, s and u, for hints."""
    v = torch.zeros_like(u)
    for t in range(u.shape[1]):
        m, s = net(v)
        v[:, t] = rule(m[:, t], s[:, t], u[:, t])
    return v


NOISE = "of the noise -½ z_t² - ½ log 2π is summed over t"


def _of_noise(z: Tensor) -> list[tuple[Tensor, str]]:
    """Wrong log-densities of white noise (B, D), for hints; the log-determinant is to be added."""
    half = 0.5 * math.log(2 * math.pi)
    return [
        ((-0.5 * z**2 - half).mean(-1), f"the noise's is averaged over t: {NOISE}"),
        ((-0.5 * z - half).sum(-1), f"z is not squared: {NOISE}"),
        ((-0.5 * z**2 - 2 * half).sum(-1), f"log 2π without the ½: {NOISE}"),
        ((-(z**2) - half).sum(-1), f"z² without the ½: {NOISE}"),
        ((0.5 * z**2 - half).sum(-1), f"the sign of z²: {NOISE}"),
        ((-0.5 * z**2 + half).sum(-1), f"the sign of ½ log 2π: {NOISE}"),
        (0 * z.sum(-1), f"this is the log-determinant alone: {NOISE}"),
    ]


def _density(
    log_prob: Callable, sample: Callable, kind: str, half: float, generator: torch.Generator
) -> None:
    """Density and samples of one reading, against the library's, and their costs."""
    for number, (dim, batch) in enumerate([(4, 3), (6, 2)]):
        layer, x = _layer(dim, 20 + number), torch.randn(batch, dim, generator=generator).double()
        flow, net = _reading(layer, kind), _net(layer)
        other = _reading(layer, "iaf" if kind == "maf" else "maf")
        want = flow.log_prob(x)
        got = log_prob(net, x, kind)
        used = net.passes
        noise = layer.forward(x) if kind == "maf" else layer.inverse(x)
        bare = (-0.5 * noise[0] ** 2 - half).sum(-1)
        hints = [
            (
                other.log_prob(x),
                "this is the other reading's: MAF leads from data to noise in one pass",
            ),
            (bare, "the log-determinant is missing"),
            (bare - noise[1], "the log-determinant has the wrong sign"),
            (want + dim * half, "½ log 2π is missing, once for each column"),
            (want / dim, "divided by D: it is a sum"),
            *((wrong + noise[1], why) for wrong, why in _of_noise(noise[0])),
        ]
        last = [f"{NOISE}; to this comes the log-determinant of the map from data to noise"] * 2
        name = kind.upper()
        compare(got, want, f"{name}: log p(x)", 1e-8, hints, otherwise=last.pop, quiet=number > 0)
        net.passes = 0
        answer = parts(sample(net, x, kind), "x", "log p(x)")
        drawn = net.passes
        back = layer.inverse(x) if kind == "maf" else layer.forward(x)
        wrong = layer.forward(x) if kind == "maf" else layer.inverse(x)
        hints = [(wrong[0], "this is a sample of the other reading")]
        compare(answer[0], back[0], f"{name}: x of noise", 1e-8, hints, quiet=number > 0)
        hints = [
            (flow.log_prob(x), "this is the density at the noise: it is asked for at x"),
            ((-0.5 * x**2 - half).sum(-1), "this is the density of the noise: take the log-determinant away"),
            ((-0.5 * x**2 - half).sum(-1) + back[1], "the sign of the log-determinant"),
            (-back[1], "this is the log-determinant alone"),
            (back[1], "this is the log-determinant alone"),
            *((bad - back[1], why) for bad, why in _of_noise(x)),
        ]  # fmt: skip
        compare(
            answer[1],
            flow.log_prob(back[0]),
            f"{name}: log p of it",
            1e-7,
            hints,
            otherwise=last.pop,
            quiet=number > 0,
        )
        _passes(used, 1 if kind == "maf" else dim + 1, f"{name}: log p(x)")
        _passes(drawn, dim + 1 if kind == "maf" else 1, f"{name}: a sample with its density")
    ok(
        f"{name}, D = {dim}: log p(x) takes {used} pass{'es' * (used > 1)}, a sample with its density {drawn}"
    )
    grid = torch.linspace(-14, 14, 561).double()
    cells = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
    density = log_prob(_net(_layer(2, 31, 0.25)), cells, kind).exp().reshape(561, 561)
    mass = torch.trapezoid(torch.trapezoid(density, grid), grid).item()
    require(abs(mass - 1) < 5e-3, f"in two dimensions it integrates to {mass:.3f}", f"in two dimensions it integrates to {mass:.3f}")  # fmt: skip


# ---------------------------------------------------------------- D.3


def _law(one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log-scale of x_t, of x_{t-1} and x_{t-2}."""
    return 1.6 * torch.sin(one) - 0.8 * two, -1.5 + 0.5 * torch.tanh(one)


def process(batch: int, seed: int, noise: Tensor | None = None) -> Tensor:
    """Frames of D samples, from rest: x_t = 1.6 sin x_{t-1} - 0.8 x_{t-2} + e^(0.5 tanh x_{t-1} - 1.5) z_t."""
    if noise is None:
        noise = torch.randn(batch, DIM, generator=torch.Generator().manual_seed(seed))
    x = [noise.new_zeros(len(noise))] * 2
    for t in range(DIM):
        mean, log_scale = _law(x[-1], x[-2])
        x.append(mean + log_scale.exp() * noise[:, t])
    return torch.stack(x[2:], -1)


def true_log_prob(x: Tensor) -> Tensor:
    """log p of frames (B, D) under the process, nats, (B,)."""
    past = F.pad(x, (2, 0))
    mean, log_scale = _law(past[:, 1:-1], past[:, :-2])
    return (-0.5 * ((x - mean) / log_scale.exp()) ** 2 - log_scale).sum(-1) - (
        0.5 * x.shape[-1] * math.log(2 * math.pi)
    )


def _right_shapes(weights: Weights) -> None:
    wide = [DIM]
    pairs = isinstance(weights, (list, tuple)) and all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in weights
    )
    if not pairs or len(weights) < 2:
        raise CheckFailed(
            "✗ the result: return a list of (W, b), of at least one hidden layer and the last"
        )
    for n, (weight, bias) in enumerate(weights):
        if weight.shape != (len(bias), wide[-1]):
            raise CheckFailed(f"✗ layer {n}: W has shape {tuple(weight.shape)}, b {tuple(bias.shape)}, after {wide[-1]} units")  # fmt: skip
        wide.append(len(bias))
    if wide[-1] != 2 * DIM:
        raise CheckFailed(
            f"✗ the last layer has {wide[-1]} rows, m and s of {DIM} samples need {2 * DIM}"
        )


def _drawn(
    weights: Weights, noise: Tensor, x: Tensor, seen: Tensor, dense: Tensor, kind: str
) -> None:
    """An error unless x is what this reading makes of this noise, with its density; the network sees `seen`."""
    m, s = _network(weights, seen)
    there = (seen - m) * (-s).exp()  # of MAF the noise again, of IAF the data
    z = torch.distributions.Normal(0, 1).log_prob(noise).sum(-1)
    got, want = (there, noise) if kind == "MAF" else (x, there)
    if not torch.allclose(got, want, 1e-2, 1e-2):
        raise CheckFailed(
            f"✗ a sample as {kind} is not what this noise, each number once and as it is, is made into: of MAF each x_t "
            "is made of those before it, of IAF the network sees the noise, all at once"
        )
    dets = -s.sum(-1) if kind == "MAF" else s.sum(-1)
    compare(dense, z + dets, f"as {kind}, log p of what is drawn", 1e-3, quiet=True)


@exercise("D.3", "to the entropy, and both ways", forbid=WITHOUT)
def learned(train: Callable, network: Callable, log_prob: Callable, sample: Callable) -> None:
    """train(frames (N, 32)) -> weights; and the functions of D.1 and D.2."""
    weights = train(process(16_384, 1))
    _right_shapes(weights)
    weights = [(weight.detach(), bias.detach()) for weight, bias in weights]
    fresh = process(4096, 2)
    with torch.no_grad():
        mean, log_scale = _network(weights, fresh)
        cost = 0.5 * ((fresh - mean) / log_scale.exp()) ** 2 + log_scale
        own = cost.mean().item() + 0.5 * math.log(2 * math.pi)
    floor = -true_log_prob(fresh).mean().item() / DIM
    lost = own - floor
    if not math.isfinite(lost):
        raise CheckFailed(f"✗ new frames: {lost} nats: the training diverged; try a lower rate")
    rms = (((fresh - mean) / log_scale.exp()) ** 2).mean().sqrt().item()
    why = "more steps, a rate that falls to 0, or more hidden units"
    if lost > 0.6:
        why = (
            "hardly trained: is the loss the mean of -log p, and does the step follow its gradient?"
        )
    elif not 0.9 < rms < 1.1:
        why = f"the noise that it finds has an RMS of {rms:.2f} in place of 1: its scales are wrong"
    elif lost > 0.1:
        why = "that is what a linear model with one covariance loses, too: is there a hidden layer that learns, and does s depend on the past?"
    require(
        lost <= SLACK,
        f"new frames cost {own:.3f} nats per sample, the process itself {floor:.3f}",
        f"new frames cost {lost:.3f} nats per sample more than under the process itself, allowed are {SLACK}: {why}",
    )
    net = _Counted(lambda x: network(weights, x))
    with torch.no_grad():
        compare(
            log_prob(net, fresh, "maf").mean(), -own * DIM, "your own log p of them, as MAF,", 1e-4
        )
        evaluated, net.passes = net.passes, 0
        noise = torch.randn(2048, DIM, generator=torch.Generator().manual_seed(3))
        slow, dense = parts(sample(net, noise, "maf"), "x", "log p(x)")
        steps, net.passes = net.passes, 0
        _drawn(weights, noise, slow, slow, dense, "MAF")
        kl = float((dense - true_log_prob(slow)).median()) / DIM
        require(
            abs(kl) <= 2 * SLACK,
            f"frames drawn in {steps} passes: log p is {kl:.3f} nats per sample (the median) above the process's own",
            f"of frames that are drawn, log p is {kl:.3f} nats per sample (the median) from the process's own "
            f"log-density, allowed are {2 * SLACK}",
        )
        fast, dense = parts(sample(net, noise, "iaf"), "x", "log p(x)")
        at_once, net.passes = net.passes, 0
        _drawn(weights, noise, fast, noise, dense, "IAF")
    ok(
        f"passes: log p of {len(fresh)} frames {evaluated}, {len(noise)} frames sampled {steps} as MAF, {at_once} as IAF"
    )
