"""Chapter 8: drawing from a WaveNet, one sample after the other.

- `naive`: the whole receptive field through the whole network for every sample. What the formula
  says, and what makes WaveNet slow.
- `numpy`: every layer remembers what it has computed. A sample then costs a few matrix-vector
  products a layer, whatever the dilations. (Paine et al., Fast Wavenet Generation, 2016,
  arXiv:1611.09482.) The readable reference of the fast ones.
- `numba`: the same loop compiled, for one stream on one core (see `generate.numba`).
- `cuda_graph`: the same step on a GPU, recorded once and replayed, for a batch (see `generate.cuda`).

All draw the same samples from the same generator, up to rounding.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..distributions import Random
from ..wavenet import WaveNet
from ..weights import takes_networks


class CachedWaveNet:
    """The arithmetic of `WaveNet.forward` for one sample at a time, in numpy.

    Layer l keeps the last `past` + 1 of its inputs in a ring: position n % (past + 1) holds h[n].

    Args: model: its weights are copied. cond: (B, C, T) or None. speaker: (B,) or None. batch: B.
    """

    @takes_networks
    def __init__(
        self, model: WaveNet, cond: Tensor | None, speaker: Tensor | None, batch: int
    ) -> None:
        array = lambda value: value.detach().cpu().numpy().copy()
        self.head, self.input_scale, self.n = model.head, model.input_scale, 0
        matrix = lambda layer: array(layer.weight).reshape(len(layer.weight), -1)
        pair = lambda layer: (matrix(layer), array(layer.bias)[:, None])
        self.input_projection = pair(model.input_projection)  # (R, 1) each
        dtype = self.input_projection[0].dtype
        embedded = 0
        if model.speaker_embedding is not None:
            embedded = array(model.speaker_embedding(speaker)).T  # (C or R, B)
        self.offset, self.cond = embedded if cond is None else 0, None
        if cond is not None:
            self.cond = array(cond).transpose(2, 1, 0).astype(dtype) + embedded  # (T, C, B)
            self.project = np.concatenate([matrix(layer.cond) for layer in model.layers])
        self.layers, self.rings = [], []
        for layer in model.layers:
            weight = array(layer.conv.weight)  # (2R, R, K), tap K-1 is the newest
            taps = weight.shape[2]
            flat = np.concatenate([weight[:, :, k] for k in range(taps)], axis=1)  # (2R, K·R)
            delays = [(taps - 1 - k) * layer.conv.dilation[0] for k in range(taps)]
            residual = None if layer.residual is None else pair(layer.residual)
            self.layers.append((flat, array(layer.conv.bias)[:, None], delays, residual))
            self.rings.append(np.zeros((layer.past + 1, weight.shape[1], batch), dtype))
        self.skip, self.hidden = pair(model.skip), pair(model.hidden)
        self.output_projection = pair(model.output_projection)
        self.linear = None if model.linear is None else array(model.linear)  # (K,), newest first
        self.past = np.zeros((max(1, model.lpc_order), batch), dtype)  # newest first

    def step(self, newest: np.ndarray) -> np.ndarray:
        """x[n-1] (B,) -> params[n] (P, B)."""
        self.past = np.concatenate([newest[None], self.past[:-1]])
        x = self.input_scale * self.head.compand(torch.from_numpy(newest)).numpy()
        weight, bias = self.input_projection
        h = weight * x + bias + self.offset  # (R, B)
        if self.cond is not None:
            given = self.project @ self.cond[self.n]
            given = given.reshape(len(self.layers), -1, h.shape[1])
        activations = []
        for index, (weight, bias, delays, residual) in enumerate(self.layers):
            ring = self.rings[index]
            ring[self.n % len(ring)] = h
            taps = np.concatenate([ring[(self.n - d) % len(ring)] for d in delays])
            z = weight @ taps + bias  # (2R, B)
            if self.cond is not None:
                z += given[index]
            f, g = z[: len(z) // 2], z[len(z) // 2 :]
            a = np.tanh(f) * (0.5 + 0.5 * np.tanh(0.5 * g))  # sigmoid, no overflow
            activations.append(a)
            if residual is not None:
                h = (h + residual[0] @ a + residual[1]) * h.dtype.type(0.5**0.5)
        x = np.concatenate(activations)
        for weight, bias in (self.skip, self.hidden):
            x = np.maximum(weight @ x + bias, 0)
        weight, bias = self.output_projection
        params = weight @ x + bias  # (P, B)
        if self.linear is not None:
            params[: self.head.means] += self.linear @ self.past
        self.n += 1
        return params


@takes_networks
def draw_noise(model: WaveNet, batch: int, n_samples: int, generator: Random = None) -> Tensor:
    """All the chance that `generate` uses, drawn ahead, one time step after the other: (B, Q, T)."""
    weight = model.output_projection.weight
    like = weight.new_empty(batch, model.head.n_params, 1)
    lengths = [min(4096, n_samples - first) for first in range(0, n_samples, 4096)]
    draw = lambda n: torch.cat([model.head.noise(like, generator) for _ in range(n)], dim=-1)
    return torch.cat([draw(n) for n in lengths], dim=-1)  # thousands of tensors at a time, not more


# Each backend fills x (B, 1, T) from (model, x, cond, speaker, noise (B, Q, T), temperature).


def _naive(model, x, cond, speaker, noise, temperature) -> None:
    for t in range(x.shape[-1]):
        first = max(0, t - model.receptive_field)
        part = None if cond is None else cond[..., first : t + 1]
        params = model(x[..., first : t + 1], part, speaker)[..., -1:]  # (B, P, 1)
        x[..., t : t + 1] = model.head.draw(params, noise[..., t : t + 1], temperature)


def _numpy(model, x, cond, speaker, noise, temperature) -> None:
    net = CachedWaveNet(model, cond, speaker, x.shape[0])
    newest = np.zeros(x.shape[0], net.past.dtype)
    for t in range(x.shape[-1]):
        params = torch.from_numpy(net.step(newest).T[..., None].copy()).to(x)  # (B, P, 1)
        x[..., t : t + 1] = model.head.draw(params, noise[..., t : t + 1], temperature)
        newest = x[:, 0, t].numpy(force=True).astype(newest.dtype)


def _numba(model, x, cond, speaker, noise, temperature) -> None:
    from .numba import CompiledWaveNet  # numba takes half a second to import

    for item in range(x.shape[0]):
        one = slice(item, item + 1)
        own = (None if given is None else given[one] for given in (cond, speaker))
        net = CompiledWaveNet(model, *own)
        drawn = net.draw(noise[item].numpy(force=True), temperature)
        x[item, 0] = torch.from_numpy(drawn).to(x)


def _cuda_graph(*given) -> None:
    from .cuda import replay

    replay(*given)


BACKENDS = {"naive": _naive, "numpy": _numpy, "numba": _numba, "cuda_graph": _cuda_graph}


@torch.no_grad()
@takes_networks
def generate(
    model: WaveNet,
    cond: Tensor | None = None,
    speaker: Tensor | None = None,
    n_samples: int | None = None,
    backend: str = "numpy",
    generator: Random = None,
    temperature: float = 1.0,
) -> Tensor:
    """Draw waveforms from a WaveNet -> (B, 1, T).

    Args:
        model: its weights are not changed.
        cond: (B, C, T), or None for an unconditional model.
        speaker: (B,), or None.
        n_samples: T; by default as many as `cond` has.
        backend: "naive", "numpy", "numba" (one stream after the other, compiled at first use) or
            "cuda_graph" (the model must be on a GPU).
        generator: of the noise; the same generator gives the same samples with every backend.
        temperature: 1 samples the model's density; less draws nearer to its most likely value.

    >>> from minigen.distributions import GaussianHead
    >>> net = WaveNet(GaussianHead(), residual=4, skip=4, layers=2, cycles=1)
    >>> a = generate(net, n_samples=20, backend="naive", generator=torch.Generator().manual_seed(0))
    >>> b = generate(net, n_samples=20, backend="numpy", generator=torch.Generator().manual_seed(0))
    >>> bool(torch.allclose(a, b, atol=1e-5)), a.shape
    (True, torch.Size([1, 1, 20]))
    """
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature is a number, 0 or more, not {temperature}")
    if backend not in BACKENDS:
        raise ValueError(f"no backend {backend!r}: choose one of {', '.join(BACKENDS)}")
    if n_samples is None:
        if cond is None:
            raise ValueError("generate needs n_samples where there is no cond to tell the length")
        n_samples = cond.shape[-1]
    if n_samples < 1:
        raise ValueError(f"generate needs n_samples of at least 1, not {n_samples}")
    if cond is not None and n_samples > cond.shape[-1]:
        raise ValueError(f"{n_samples} samples asked for, but cond covers {cond.shape[-1]} only")
    batch = cond.shape[0] if cond is not None else len(speaker) if speaker is not None else 1
    weight = model.output_projection.weight
    x = torch.zeros(batch, 1, n_samples, dtype=weight.dtype, device=weight.device)
    if cond is not None:
        cond = cond[..., :n_samples]
    model.validate(x, cond, speaker)
    noise = draw_noise(model, batch, n_samples, generator)
    BACKENDS[backend](model, x, cond, speaker, noise, temperature)
    return x
