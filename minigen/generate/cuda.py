"""Chapter 8: the cached step of `generate` on a GPU, recorded once as a CUDA graph, replayed for every sample.

One sample of a batch is hundreds of small kernels. Launching each from Python takes longer than running it;
a graph launches all of them at once. Everything that changes from sample to sample therefore lives on
the device, at addresses that do not change: the time step n, the rings, the waveform, the noise.

The step is ordinary PyTorch and runs on a CPU, too, unrecorded: that is how it is tested without a GPU.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..wavenet import WaveNet
from ..weights import takes_networks

WARM_UP = 3  # steps before recording: libraries choose their kernels then


class DeviceWaveNet:
    """A WaveNet that writes x[n] from x[n-1] and its rings in one `step`, without leaving the device.

    Args:
        model: on any device; its weights are used in place, a parametrisation is folded.
        x: (B, 1, T), is filled. cond: (B, C, T) or None. speaker: (B,) or None.
        noise: (B, Q, T), as the head wants it. temperature: of the noise.
    """

    @takes_networks
    def __init__(
        self,
        model: WaveNet,
        x: Tensor,
        cond: Tensor | None,
        speaker: Tensor | None,
        noise: Tensor,
        temperature: float,
    ) -> None:
        self.model, self.temperature = model, temperature
        self.wave = x.new_zeros(x.shape[-1] + 1, x.shape[0])  # row n + 1: x[n]; row 0: silence
        self.noise = noise.permute(2, 0, 1).contiguous()  # (T, B, Q)
        self.n = torch.zeros(1, dtype=torch.long, device=x.device)
        embedded = 0 if model.speaker_embedding is None else model.speaker_embedding(speaker)
        self.offset, self.cond = embedded if cond is None else 0, None
        if cond is not None:
            self.cond = cond.permute(2, 0, 1).contiguous() + embedded  # (T, B, C)
            self.project = torch.cat([layer.cond.weight[..., 0] for layer in model.layers])
        self.rings, self.folded = [], []
        for layer in model.layers:
            weight = layer.conv.weight  # (2R, R, K)
            shape = (layer.past + 1, x.shape[0], weight.shape[1])
            self.rings.append(x.new_zeros(shape))
            back = torch.arange(weight.shape[2] - 1, -1, -1, device=x.device)
            taps = weight.permute(0, 2, 1).flatten(1)  # (2R, K·R)
            self.folded.append((taps, back * layer.conv.dilation[0]))
        self.history = torch.arange(model.lpc_order, device=x.device)  # rows back from the newest

    def step(self) -> None:
        """x[n] from what came before; then n grows by one."""
        model, n = self.model, self.n
        newest = self.wave.index_select(0, n)[0]  # x[n-1], (B,)
        scaled = model.input_scale * model.head.compand(newest)
        h = model.input_projection(scaled[:, None]) + self.offset  # (B, R)
        if self.cond is not None:
            extra = F.linear(self.cond.index_select(0, n)[0], self.project)  # (B, L·2R)
            extra = extra.view(len(h), len(self.rings), -1)
        activations = []
        for index, layer in enumerate(model.layers):
            ring, (weight, delays) = self.rings[index], self.folded[index]
            ring.index_copy_(0, n % len(ring), h[None])
            taps = ring.index_select(0, (n - delays) % len(ring))  # (K, B, R)
            z = F.linear(taps.transpose(0, 1).flatten(1), weight, layer.conv.bias)
            if self.cond is not None:
                z = z + extra[:, index]
            f, g = z.chunk(2, dim=-1)
            a = torch.tanh(f) * torch.sigmoid(g)  # (B, R)
            activations.append(a)
            if layer.residual is not None:
                h = (h + layer.residual(a[..., None])[..., 0]) * 0.5**0.5
        skip = F.relu(model.skip(torch.cat(activations, dim=1)[..., None]))  # (B, S, 1)
        params = model.output_projection(F.relu(model.hidden(skip)))  # (B, P, 1)
        if model.linear is not None:
            rows = (n - self.history).clamp(min=0)  # before the start: row 0, silence
            prediction = model.linear @ self.wave.index_select(0, rows)  # (B,)
            means = params[:, : model.head.means] + prediction[:, None, None]
            params = torch.cat([means, params[:, model.head.means :]], dim=1)
        noise = self.noise.index_select(0, n)[0][..., None]  # (B, Q, 1)
        sample = model.head.draw(params, noise, self.temperature)  # (B, 1, 1)
        self.wave.index_copy_(0, n + 1, sample[:, 0].T)
        n += 1

    def rewind(self) -> None:
        """Back to n = 0 and to silence."""
        for tensor in (self.n, self.wave, *self.rings):
            tensor.zero_()


@torch.no_grad()
@takes_networks
def replay(model: WaveNet, x: Tensor, *given) -> None:
    """Fill x (B, 1, T) on a GPU; what else is given is `DeviceWaveNet`'s.

    Raises ValueError: the model is not on a GPU.
    """
    if x.device.type != "cuda":
        raise ValueError(f"cuda_graph needs a model on a GPU, this one is on {x.device}: use numba")
    net = DeviceWaveNet(model, x, *given)
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(min(WARM_UP, x.shape[-1])):
            net.step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    net.rewind()
    with torch.cuda.graph(graph):
        net.step()
    for _ in range(x.shape[-1]):
        graph.replay()
    x.copy_(net.wave[1:].T[:, None])
