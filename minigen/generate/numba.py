"""Chapter 8: the cached loop of `generate`, compiled: one stream, one core.

What a sample costs is reading the weights. So they are packed in the order in which they are read, and
a product of matrix and vector goes along the rows of W (inputs, outputs), which begin with a line of the
cache, while the sums stay in registers (see `product`). Two things save reading:

- A layer of dilation d needs h[n - d], which is known d samples ahead. So the past taps of min(d, AHEAD)
  samples are done at once, while their weights are in the nearest cache.
- What does not depend on the samples is done beforehand: the conditioning's part of every layer in one
  large product, and the noise.

Weight norm, or any other parametrisation, is folded in: what is packed is the weight that results.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from torch import Tensor

from ..compiled import compiled
from ..distributions import SMALLEST_U, Categorical, DiscretizedLogisticMixture, GaussianHead
from ..wavenet import WaveNet
from ..weights import takes_networks
from .product import add_product, packed

AHEAD = 16  # samples whose past taps are done at once, at most
CHUNK = 16 * AHEAD  # samples whose conditioning is projected at once
# Sums may be reordered and multiply-adds fused; NaN and infinity keep their meaning.
fast = partial(compiled, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})

GAUSSIAN, MIXTURE, CATEGORICAL = range(3)
F32 = np.float32
P1, P2, P3 = F32(17325), F32(378), F32(1)
Q0, Q1, Q2, Q3 = F32(135135), F32(62370), F32(3150), F32(28)
LIMIT, QUARTER, HALF, TWO = F32(9.2), F32(0.25), F32(0.5), F32(2.0)


@fast
def _tanh32(x):
    """tanh in arithmetic that the compiler can do many at a time; right to 4e-7 in float32.

    Lambert's continued fraction u / (1 + u² / (3 + u² / (5 + …))), cut after seven terms, for u = x/4,
    is p / q. Twice tanh 2u = 2 tanh u / (1 + tanh² u) leads back to x, with one division in all.
    Beyond 9.2 tanh is 1 in float32.
    """
    u = QUARTER * min(max(x, -LIMIT), LIMIT)
    s = u * u
    p = u * (Q0 + s * (P1 + s * (P2 + s * P3)))
    q = Q0 + s * (Q1 + s * (Q2 + s * Q3))
    p, q = TWO * p * q, q * q + p * p
    return TWO * p * q / (q * q + p * p)


@fast
def _gate(z, a, exact):
    """a = tanh(z[:R]) · sigmoid(z[R:])."""
    channels = len(a)
    if exact:
        for i in range(channels):
            a[i] = math.tanh(z[i]) * (0.5 + 0.5 * math.tanh(0.5 * z[channels + i]))
    else:
        for i in range(channels):
            a[i] = _tanh32(z[i]) * (HALF + HALF * _tanh32(HALF * z[channels + i]))


@fast
def _choose(logits, u, temperature):
    """Index with probability softmax(logits / temperature), by where u falls."""
    best = 0
    for i in range(len(logits)):
        if logits[i] > logits[best]:
            best = i
    if temperature == 0:
        return best
    total = 0.0
    for i in range(len(logits)):
        total += math.exp((logits[i] - logits[best]) / temperature)
    cumulated = 0.0
    for i in range(len(logits) - 1):
        cumulated += math.exp((logits[i] - logits[best]) / temperature) / total
        if u < cumulated:
            return i
    return len(logits) - 1


@fast
def _compand(x, kind, mu):
    """What the network reads of a sample."""
    if kind != CATEGORICAL:
        return x
    x = min(max(x, -1.0), 1.0)
    return math.copysign(math.log1p(mu * abs(x)) / math.log1p(mu), x) if mu > 0 else x


@fast
def _sample(params, noise, kind, k, levels, min_log_scale, mu, temperature):
    """One sample from the density of `params`, given its noise: as `draw` of the head does it."""
    if kind == GAUSSIAN:
        return params[0] + temperature * math.exp(max(params[1], min_log_scale)) * noise[0]
    if kind == MIXTURE:
        j = _choose(params[2 * k :], noise[0], temperature)
        u = min(max(noise[1], SMALLEST_U), 1 - SMALLEST_U)
        spread = temperature * math.exp(max(params[k + j], min_log_scale))
        x = params[j] + spread * (math.log(u) - math.log1p(-u))
        step = 2 / (levels - 1)
        return math.floor((min(max(x, -1.0), 1.0) + 1) / step + 0.5) * step - 1
    y = _choose(params, noise[0], temperature) * (2 / (levels - 1)) - 1
    return math.copysign(math.expm1(abs(y) * math.log1p(mu)) / mu, y) if mu > 0 else y


@fast
def _run(first, x, forced, noise, cond, out, weights, rings, ahead, place, delays, head, exact):
    """Samples first … first + len(cond) - 1: write x, or where `forced` only read it.

    rings is every layer's ring in one buffer; place[l] is (start, length) of layer l's; delays is (L, K),
    the newest tap last; ahead (L, AHEAD, 2R) holds what the past taps give the next samples. Of what
    `add_product` adds to, the last axis is as wide as `packed` makes the weights.
    Where `out` (P, T) is not empty the parameters are kept there.
    """
    input_weight, start, conv, bias, mix, residual, skip_bias = weights[:7]
    hidden, hidden_bias, output_weight, output_bias, linear, constants = weights[7:]
    kind, k, means, levels, min_log_scale, mu, temperature = head
    scale, half = constants[0], constants[1]
    layers, channels = residual.shape
    taps = delays.shape[1]
    a = np.empty(channels, x.dtype)
    mixed = np.zeros(mix.shape[2], x.dtype)  # [layer's output; sum of the skip paths]
    second, filled = np.zeros(hidden.shape[1], x.dtype), np.zeros(output_weight.shape[1], x.dtype)
    params = filled[: len(output_bias)]
    for n in range(first, first + len(cond)):
        newest = x[n - 1] if n > 0 else x.dtype.type(0)
        scaled = x.dtype.type(scale * _compand(newest, kind, mu))
        for i in range(channels):
            mixed[i] = start[i] + input_weight[i] * scaled
        mixed[channels : channels + len(skip_bias)] = skip_bias
        for layer in range(layers):
            offset, length = place[layer]
            ring = rings[offset : offset + length]
            h = ring[n % length]
            for i in range(channels):
                h[i] = mixed[i]
            block = min(delays[layer, taps - 2], AHEAD)
            if n % block == 0:
                for m in range(block):  # h[n + m - delay] is known: delay > m
                    ahead[layer, m] = bias[layer]
                    for tap in range(taps - 1):
                        past = ring[(n + m - delays[layer, tap]) % length]
                        add_product(ahead[layer, m], conv[layer, tap], past)
            z = ahead[layer, n % block]
            if cond.shape[1]:
                for i in range(2 * channels):
                    z[i] += cond[n - first, layer, i]
            add_product(z, conv[layer, taps - 1], h)
            _gate(z, a, exact)
            for i in range(channels):
                mixed[i] += residual[layer, i]
            add_product(mixed, mix[layer], a)
            for i in range(channels):
                mixed[i] *= half
        second[: len(hidden_bias)] = hidden_bias
        add_product(second, hidden, np.maximum(mixed[channels:], x.dtype.type(0)))
        params[:] = output_bias
        add_product(filled, output_weight, np.maximum(second, x.dtype.type(0)))
        prediction = x.dtype.type(0)
        for tap in range(min(len(linear), n)):
            prediction += linear[tap] * x[n - 1 - tap]
        params[:means] += prediction
        if out.shape[1]:
            out[:, n] = params
        if not forced:
            x[n] = _sample(params, noise[:, n], kind, k, levels, min_log_scale, mu, temperature)


class CompiledWaveNet:
    """A WaveNet with its weights packed for `draw` (one stream of samples) and `parameters`.

    Args:
        model: its weights are copied. speaker: (1,) or None.
        cond: (1, C, T) or None; or a function of the first sample and the one after the last -> (1, C, last - first),
            for conditioning that is not to be held as a whole.

    Raises ValueError: for a head that this loop does not know.
    """

    @takes_networks
    def __init__(
        self,
        model: WaveNet,
        cond: Tensor | Callable[[int, int], Tensor] | None,
        speaker: Tensor | None,
    ) -> None:
        array = lambda value: value.detach().cpu().numpy().copy(order="C")
        dtype = array(model.output_projection.bias).dtype
        self.dtype, self.exact = dtype, dtype != np.float32
        start = array(model.input_projection.bias)
        voices = model.speaker_embedding
        embedded = None if voices is None else array(voices(speaker))[0]  # (C or R,)
        if embedded is not None and cond is None:
            start = start + embedded
        self.cond, channels = None, len(start)
        if cond is not None:
            part = cond if callable(cond) else lambda first, last: cond[..., first:last]
            more = 0 if embedded is None else embedded
            self.cond = lambda *ends: array(part(*ends)[0]).T.astype(dtype) + more  # (n, C)
            each = [array(layer.cond.weight)[..., 0].T for layer in model.layers]
            self.project = np.concatenate(each, axis=1)  # (C, L·2R)
        layers, skip = list(model.layers), array(model.skip.weight)[..., 0].T  # (L·R, S)
        taps_first = [array(layer.conv.weight.permute(2, 1, 0)) for layer in layers]  # (K, R, 2R)
        mix = np.zeros((len(layers), channels, channels + skip.shape[1]), dtype)
        residual = np.zeros((len(layers), channels), dtype)
        for index, layer in enumerate(layers):
            mix[index, :, channels:] = skip[index * channels : (index + 1) * channels]
            if layer.residual is not None:
                mix[index, :, :channels] = array(layer.residual.weight)[..., 0].T
                residual[index] = array(layer.residual.bias)
        linear = np.zeros(0, dtype) if model.linear is None else array(model.linear)
        matrix = lambda layer: packed(array(layer.weight)[..., 0].T)
        self.weights = (
            array(model.input_projection.weight)[:, 0],
            start,
            packed(np.stack(taps_first)),
            packed(np.stack([array(layer.conv.bias) for layer in layers])),
            packed(mix),
            residual,
            array(model.skip.bias),
            matrix(model.hidden),
            array(model.hidden.bias),
            matrix(model.output_projection),
            array(model.output_projection.bias),
            linear,
            np.array([model.input_scale, 0.5**0.5], dtype),
        )
        lengths = np.array([layer.past + 1 for layer in layers])
        self.place = np.stack([np.cumsum(lengths) - lengths, lengths], axis=1)  # (L, 2)
        taps = model.layers[0].conv.kernel_size[0]
        back = np.arange(taps - 1, -1, -1)
        self.delays = np.array([back * layer.conv.dilation[0] for layer in layers])  # (L, K)
        self.head = _describe(model.head)

    @property
    def bytes_per_sample(self) -> int:
        """Of weights that are read for a sample: all of them once, the past taps once a block."""
        conv, taps = self.weights[2], self.delays.shape[1]
        past = conv.nbytes / len(conv) * (taps - 1) / taps  # of one layer
        blocks = np.minimum(self.delays[:, -2], AHEAD)
        spared = sum(past * (1 - 1 / block) for block in blocks)
        return round(sum(weight.nbytes for weight in self.weights) - spared)

    def draw(self, noise: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """Noise (Q, T) -> samples (T,)."""
        x = np.zeros(noise.shape[1], self.dtype)
        self._run(x, False, noise.astype(self.dtype), np.empty((0, 0), self.dtype), temperature)
        return x

    def parameters(self, x: np.ndarray) -> np.ndarray:
        """Samples (T,) -> params (P, T) that the loop computes on the way: for tests."""
        out = np.empty((len(self.weights[10]), len(x)), self.dtype)
        self._run(x.astype(self.dtype), True, np.empty((0, len(x)), self.dtype), out, 1.0)
        return out

    def _run(self, x, forced, noise, out, temperature) -> None:
        conv = self.weights[2]
        rings = np.zeros((self.place[:, 1].sum(), conv.shape[2]), self.dtype)
        ahead = packed(np.empty((len(conv), AHEAD, conv.shape[3]), self.dtype))
        head = (*self.head, float(temperature))
        for first in range(0, len(x), CHUNK):
            n = min(CHUNK, len(x) - first)
            cond = np.empty((n, 0, 0), self.dtype)
            if self.cond is not None:  # its part of every layer, for a whole chunk in one product
                cond = (self.cond(first, first + n) @ self.project).reshape(n, len(conv), -1)
            _run(
                first, x, forced, noise, cond, out,
                self.weights, rings, ahead, self.place, self.delays, head, self.exact,
            )  # fmt: skip


def _describe(head) -> tuple:
    """kind, components, means, levels, min_log_scale, µ: what `_sample` needs to know of a head."""
    if isinstance(head, GaussianHead):
        return GAUSSIAN, 1, 1, 0, float(head.min_log_scale), 0.0
    if isinstance(head, DiscretizedLogisticMixture):
        return MIXTURE, head.k, head.means, head.levels, float(head.min_log_scale), 0.0
    if isinstance(head, Categorical):
        return CATEGORICAL, 0, 0, head.levels, 0.0, float(head.levels - 1) * head.mu_law
    raise ValueError(f"the backend numba does not know {type(head).__name__}: use numpy")
