"""Chapter 8: a WaveNet whose input is known, piece by piece and without gradients, as a student needs it.

The arithmetic of `WaveNet.forward`, with what makes it cheap where nobody learns: products written onto the sums they
belong to, tanh(f) = 2 σ(2f) - 1 with the factors folded into the weights, and of each layer's input the samples that
its convolution looks back on, kept for the next piece, so that nothing is computed twice.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from ..parallel_wavenet import Student
from ..wavenet import WaveNet
from ..weights import takes_networks


class _Flow:
    """Pieces x (1, T), cond (C, T) of one sequence -> params (P, T), as if all were given at once."""

    def __init__(self, net: WaveNet) -> None:
        self.net, layers = net, net.layers
        channels = layers[0].conv.in_channels
        zeros = net.skip.weight.new_zeros
        factor = torch.cat([zeros(channels, 1) + 2, zeros(channels, 1) + 1])  # of f, of g
        self.taps = [(factor[..., None] * layer.conv.weight).permute(2, 0, 1) for layer in layers]
        self.bias = [factor * layer.conv.bias[:, None] for layer in layers]
        self.cond = [layer.cond and factor * layer.cond.weight[..., 0] for layer in layers]
        # a / 2 = (σ(2f) - ½) σ(g) is what the layers below make: twice the weights of who reads it
        self.residual = [layer.residual and 2 * layer.residual.weight[..., 0] for layer in layers]
        self.skip = 2 * net.skip.weight[..., 0]
        self.past = [zeros(channels, layer.past) for layer in layers]
        self.before = zeros(1, max(1, net.lpc_order))  # x, the newest last

    def __call__(self, x: Tensor, cond: Tensor | None) -> Tensor:
        net, T = self.net, x.shape[1]
        x = torch.cat([self.before, x], 1)
        self.before = x[:, x.shape[1] - self.before.shape[1] :]
        past = x[:, -T - 1 : -1]  # (1, T), x[t - 1]
        entry = net.input_projection
        h = torch.addmm(entry.bias[:, None], entry.weight, net.input_scale * past)  # (R, T)
        history = torch.cat([self.past[0], h], 1)
        halves = h.new_empty(len(net.layers) * len(h), T)  # of the activations
        ahead = [*(layer.past for layer in net.layers), 0]
        for index, (own, following) in enumerate(pairwise(ahead)):
            z = torch.addmm(self.bias[index], self.taps[index][-1], history[:, own:])  # (2R, T)
            for tap, weight in enumerate(self.taps[index][:-1]):
                start = tap * net.layers[index].conv.dilation[0]
                z.addmm_(weight, history[:, start : start + T])
            if cond is not None:
                z.addmm_(self.cond[index], cond)
            s, gate = z.sigmoid_().chunk(2)
            a = torch.mul(s.sub_(0.5), gate, out=halves[index * len(h) : (index + 1) * len(h)])
            self.past[index] = history[:, T:].clone()
            if self.residual[index] is None:
                break
            after = h.new_empty(len(h), following + T)
            after[:, :following] = self.past[index + 1]
            h = torch.addmm(history[:, own:], self.residual[index], a, out=after[:, following:])
            h.add_(net.layers[index].residual.bias[:, None]).mul_(0.5**0.5)
            history = after
        skip = torch.addmm(net.skip.bias[:, None], self.skip, halves).relu_()
        for layer in (net.hidden, net.output_projection):
            skip = torch.addmm(layer.bias[:, None], layer.weight[..., 0], skip)
            skip = skip.relu_() if layer is net.hidden else skip
        if net.linear is not None:
            window = F.conv1d(x[None, :, :-1], net.linear.flip(0)[None, None])[0, :, -T:]
            skip[: net.head.means] += window
        return skip


class ParallelStream:
    """A student's way from noise to sound, piece by piece: together the pieces are the one pass over all of it.

    Args: student: its weights are read once.

    >>> student = Student(flows=2, layers=3, residual=4, log_scale=-1.0)
    >>> z = torch.randn(1, 1, 60, generator=torch.Generator().manual_seed(0))
    >>> stream = ParallelStream(student)
    >>> x = torch.cat([stream(z[..., :25]), stream(z[..., 25:])], -1)
    >>> torch.allclose(x, student(z)[0], atol=1e-6)
    True
    """

    @torch.no_grad()
    @takes_networks
    def __init__(self, student: Student) -> None:
        self.flows = [_Flow(flow) for flow in student.flows]

    @torch.no_grad()
    def __call__(self, z: Tensor, cond: Tensor | None = None) -> Tensor:
        """z (1, 1, T), cond (1, C, T) -> x (1, 1, T)."""
        if z.ndim != 3 or z.shape[:2] != (1, 1) or z.shape[2] == 0:
            raise ValueError(f"a piece of noise has shape (1, 1, T), T > 0, not {tuple(z.shape)}")
        x, cond = z[0], None if cond is None else cond[0].contiguous()
        for flow in self.flows:
            mean, log_scale = flow(x, cond).chunk(2)
            x = x * log_scale.exp() + mean
        return x[None]
