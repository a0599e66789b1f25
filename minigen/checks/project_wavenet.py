"""Checks for project B: a WaveNet from a blank file, equal to the library's, trained, and sampled with a cache."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ..distributions import GaussianHead
from ..wavenet import WaveNet
from .core import CheckFailed, compare, exercise, ok, require

WITHOUT = (
    "minigen.wavenet.WaveNet",
    "minigen.wavenet.GatedLayer",
    "minigen.generate.generate",
    "minigen.generate.CachedWaveNet",
)
SLACK = 0.02  # nats per sample above the entropy
COST = 8  # times the numbers that one pass over the whole waveform computes


def _network(residual: int, skip: int, layers: int, cycles: int, seed: int) -> WaveNet:
    """Of random weights, in double precision."""
    net = WaveNet(GaussianHead(), residual, skip, layers, cycles).double()
    generator = torch.Generator().manual_seed(seed)
    for weight in net.parameters():
        weight.data.copy_(0.4 * torch.randn(weight.shape, generator=generator).double())
    return net


def _dilations(net: WaveNet) -> tuple[int, ...]:
    return tuple(layer.conv.dilation[0] for layer in net.layers)


def _variant(
    net: WaveNet, x: Tensor, late: int = 1, root: float = 0.5**0.5, **change: Callable
) -> Tensor:
    """The network with one mistake, for hints."""
    act, merge, rectify = (
        change.get("act", lambda f, g: torch.tanh(f) * torch.sigmoid(g)),
        change.get("merge", lambda h, a: h + a),
        change.get("rectify", torch.relu),
    )
    F = torch.nn.functional
    h = net.input_projection(F.pad(x, (late, 0))[..., : x.shape[-1]].mT).mT
    activations = []
    for layer in net.layers:
        ahead = change.get("ahead", lambda d: 0)(layer.past)
        z = layer.conv(F.pad(h, (layer.past - ahead, ahead)))
        a = act(*z.chunk(2, dim=1))
        activations.append(a)
        h = h if layer.residual is None else merge(h, layer.residual(a)) * root
    s = rectify(net.skip(torch.cat(activations, dim=1)))
    return net.output_projection(change.get("last", torch.relu)(net.hidden(s)))


@exercise("B.1", "the same network", forbid=WITHOUT)
def same_network(forward: Callable) -> None:
    """forward(weights {name: tensor}, x (B, 1, T), dilations) -> params (B, 2, T)."""
    same = lambda v: v
    for number, (sizes, batch, length) in enumerate(
        [((5, 7, 3, 2), 2, 30), ((1, 1, 1, 1), 1, 1), ((3, 4, 5, 1), 3, 12), ((2, 3, 2, 3), 1, 41)]
    ):
        net = _network(*sizes, seed=number)
        if number > 1:
            net.output_projection.bias.data[1] -= 9  # quiet, and no floor under it
        x = torch.randn(batch, 1, length, generator=torch.Generator().manual_seed(9)).double()
        weights = dict(net.state_dict())
        with torch.no_grad():
            hints = [
                (_variant(net, x, late=0), "params at t see x[t] itself: delay x by one sample first"),
                (_variant(net, x, late=2), "x is delayed twice: layers add no delay of their own"),
                (_variant(net, x, root=1.0), "the sum h + R a is not divided by √2"),
                (_variant(net, x, ahead=lambda p: p), "the zeros stand on the right: the layers see the future"),
                (
                    _variant(net, x, act=lambda f, g: torch.tanh(g) * torch.sigmoid(f)),
                    "filter and gate are exchanged: the filter is the first half of the channels",
                ),
                (_variant(net, x, merge=lambda h, a: a * 2**0.5), "a layer's input has no path around it"),
                (_variant(net, x, rectify=same), "the first ReLU is missing, after the skip matrix"),
                (_variant(net, x, last=same), "the second ReLU is missing, after the hidden layer"),
            ]  # fmt: skip
            want = net(x)
        what = f"{sizes[2] * sizes[3]} layers of {sizes[0]} channels: the output"
        compare(forward(weights, x, _dilations(net)), want, what, 1e-9, hints if length > 1 else ())
    grown = {name: w.detach().clone().requires_grad_() for name, w in weights.items()}
    params = forward(grown, x, _dilations(net))
    slopes = torch.autograd.grad(params.sum(), list(grown.values()), allow_unused=True)
    wanted = torch.autograd.grad(net(x).sum(), [net.get_parameter(name) for name in grown])
    pairs = zip(grown, slopes, wanted, strict=True)
    dead = [n for n, s, w in pairs if s is None or not torch.allclose(s, w)]
    why = f"no gradient reaches {', '.join(dead)}, or not all of it: is something detached?"
    require(not dead, "a gradient reaches every weight", why)


def process(batch: int, length: int, sigma: float, seed: int) -> Tensor:
    """x[t] = 1.6 x[t-1] - 0.8 x[t-2] + N(0, σ²) from its stationary state: (B, 1, T)."""
    generator = torch.Generator().manual_seed(seed)
    x = sigma * torch.randn(batch, length + 100, generator=generator)
    for t in range(2, length + 100):
        x[:, t] += 1.6 * x[:, t - 1] - 0.8 * x[:, t - 2]
    return x[:, None, 100:]


def entropy(sigma: float) -> float:
    """½ log 2πe σ², nats per sample."""
    return 0.5 * math.log(2 * math.pi * math.e * sigma**2)


def _loaded(weights: dict[str, Tensor], dilations: Sequence[int]) -> WaveNet:
    """The library's network with these weights."""
    if not isinstance(weights, dict) or "layers.0.conv.weight" not in weights:
        raise CheckFailed(
            "✗ the result: return the weights, {name: tensor}, under the library's names"
        )
    layers = len(set(dilations))
    residual, skip = len(weights["input_projection.bias"]), len(weights["skip.bias"])
    net = WaveNet(GaussianHead(), residual, skip, layers, len(dilations) // layers)
    try:
        net.load_state_dict({name: w.detach().float() for name, w in weights.items()})
    except RuntimeError as error:
        raise CheckFailed(f"✗ the weights do not fit the library's WaveNet: {error}") from None
    return net


@exercise("B.2", "to the entropy", forbid=WITHOUT)
def to_the_entropy(train: Callable) -> None:
    """train(series (64, 1, 800), dilations) -> weights {name: tensor}."""
    sigma, dilations = 0.1, (1, 2, 4)
    net = _loaded(train(process(64, 800, sigma, 1), dilations), dilations)
    fresh, floor = process(64, 800, sigma, 2), entropy(sigma)
    with torch.no_grad():
        params = net(fresh)
        lost = -net.head.log_prob(params, fresh)[:, net.receptive_field :].mean().item() - floor
        error = (fresh - params[:, :1])[..., net.receptive_field :]
        scale = params[:, 1:][..., net.receptive_field :].exp().mean().item()
    std = error.std().item()
    if not math.isfinite(lost):
        raise CheckFailed(f"✗ new series: {lost} nats: the training diverged; try a lower rate")
    why = "more steps, or a rate that falls to 0 at the end"
    if lost > 1:
        why = "hardly trained: is the loss the mean of -log p, of parameters and the same x?"
    elif std > 1.1 * sigma:
        why = f"its errors have a standard deviation of {std:.3f}, and {sigma} is possible: {why}"
    elif not 0.9 < scale / std < 1.1:
        why = f"its means are good, but it claims a scale of {scale:.3f} for errors of {std:.3f}"
    require(
        lost <= SLACK,
        f"new series cost {floor + lost:.3f} nats per sample, {lost:+.3f} from the entropy",
        f"new series cost {lost:.3f} nats per sample more than the entropy, allowed are {SLACK}: {why}",
    )


@torch.no_grad()
def _sampled(net: WaveNet, noise: Tensor) -> Tensor:
    """x[t] = mean + e^(log-scale) · noise[t], with a whole pass for every sample."""
    x = torch.zeros_like(noise)
    for t in range(noise.shape[-1]):
        mean, log_scale = net(x[..., : t + 1])[..., t].chunk(2, dim=1)
        x[..., t] = mean + log_scale.exp() * noise[..., t]
    return x


def _since(want: Tensor, got: np.ndarray) -> str | None:
    """Where a waveform starts to be wrong, and what that means."""
    if got.shape != want.shape:
        return None
    wrong = ~np.isclose(got, want.numpy(), rtol=1e-8, atol=1e-8)
    if wrong[..., 0].any():
        return "already the first sample is wrong: before the start x, and every cache, is zero"
    first = int(np.argwhere(wrong)[:, -1].min())
    return (
        f"right up to sample {first - 1}, wrong from {first} on: does each layer find its input of d steps "
        "ago, and is the newest written only after that was read?"
    )


class _Count(TorchDispatchMode):
    """How many numbers are computed, views apart."""

    total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        alias = [r.alias_info for r in function._schema.returns]
        if not any(a is not None and not a.is_write for a in alias):
            for value in out if isinstance(out, (tuple, list)) else (out,):
                self.total += value.numel() if isinstance(value, Tensor) else 0
        return out


def _computed(function: Callable) -> tuple[Tensor, int]:
    with _Count() as count, torch.no_grad():
        result = function()
    return result, count.total


@exercise("B.3", "generation with a cache", forbid=WITHOUT)
def cached(sample: Callable) -> None:
    """sample(weights, dilations, noise (B, 1, T)) -> x (B, 1, T)."""
    for number, (sizes, batch, length) in enumerate(
        [((4, 6, 5, 1), 2, 70), ((3, 2, 3, 2), 1, 33), ((2, 3, 1, 1), 3, 5)]
    ):
        net = _network(*sizes, seed=10 + number)
        with torch.no_grad():
            net.output_projection.weight *= 0.3
            net.output_projection.bias[1] += (0, -9, 3)[number]
        noise = torch.randn(
            batch, 1, length, generator=torch.Generator().manual_seed(number)
        ).double()
        weights, dilations = dict(net.state_dict()), _dilations(net)
        want = _sampled(net, noise)
        got, cost = _computed(lambda w=weights, d=dilations, n=noise: sample(w, d, n))
        with torch.no_grad():
            params = net(want)
        hints = [
            (params[:, :1], "these are the means: add the scale times the noise"),
            (noise, "this is the noise itself"),
        ]  # fmt: skip
        compare(
            got,
            want,
            f"{len(dilations)} layers: the waveform",
            1e-8,
            hints,
            as_if=partial(_since, want),
        )
        if number == 0:
            _, once = _computed(lambda n=net, x=want: n(x))
            first = cost / once
    require(
        first <= COST,
        f"it computes {first:.1f} times as many numbers as one pass over the whole waveform",
        f"the waveform is right, but {first:.0f} times as many numbers are computed as in one pass over it, "
        f"allowed are {COST}: what the layers found in earlier steps is computed again",
    )
    ok("so the cost of a sample does not grow with the past")
