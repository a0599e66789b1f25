"""One training step of a WaveNet on a CPU: the library's formulation against others of the same network.

    python benchmarks/training_speed.py [--seconds 1.0]

- plain: a convolution each for filter and gate, products of 1 each for residual and skip, in every layer;
- fused: the library's: filter and gate in one, all skip paths in one product over all layers;
- last: channels last, (B, T, R), each tap a matrix product;
- bf16, compile: the fused one under autocast to bfloat16, and through `torch.compile`.

Forward, backward and no optimiser; CPU time of one thread, one after the other, medians of rounds. Plain and
last have the fused one's weights and are checked against its output first.
"""

import argparse
import time
from statistics import median

import torch
import torch.nn.functional as F
from torch import nn

from minigen.distributions import GaussianHead
from minigen.wavenet import WaveNet


class Plain(nn.Module):
    """Four convolutions a layer, as the paper draws them."""

    def __init__(self, net: WaveNet) -> None:
        super().__init__()
        self.net, channels = net, net.input_projection.out_features
        make = lambda weight, bias, d: self._conv(weight, bias, d)
        self.parts = nn.ModuleList()
        for index, layer in enumerate(net.layers):
            d = layer.conv.dilation[0]
            (wf, wg), (bf, bg) = layer.conv.weight.chunk(2), layer.conv.bias.chunk(2)
            skip = net.skip.weight[:, index * channels : (index + 1) * channels]
            self.parts.append(
                nn.ModuleList([make(wf, bf, d), make(wg, bg, d), make(skip, None, 1)])
            )

    @staticmethod
    def _conv(weight, bias, d) -> nn.Conv1d:
        conv = nn.Conv1d(weight.shape[1], weight.shape[0], weight.shape[2], dilation=d)
        with torch.no_grad():
            conv.weight.copy_(weight)
            conv.bias.copy_(torch.zeros_like(conv.bias) if bias is None else bias)
        return conv

    def forward(self, x):
        net = self.net
        h = net.input_projection(F.pad(x, (1, 0))[..., :-1].transpose(1, 2)).transpose(1, 2)
        total = net.skip.bias[:, None]
        for layer, (filter_, gate, skip) in zip(net.layers, self.parts, strict=True):
            padded = F.pad(h, (layer.past, 0))
            a = torch.tanh(filter_(padded)) * torch.sigmoid(gate(padded))
            total = total + skip(a)
            if layer.residual is not None:
                h = (h + layer.residual(a)) * 0.5**0.5
        return net.output_projection(F.relu(net.hidden(F.relu(total))))


class Last(nn.Module):
    """Channels last: a tap is a matrix product over (B, T, R)."""

    def __init__(self, net: WaveNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x):
        net, activations = self.net, []
        h = net.input_projection(F.pad(x, (1, 0))[..., :-1].transpose(1, 2))  # (B, T, R)
        for layer in net.layers:
            weight, d = layer.conv.weight, layer.past
            past = F.pad(h, (0, 0, d, 0))[:, : h.shape[1]]
            z = F.linear(torch.cat([past, h], -1), weight.permute(0, 2, 1).flatten(1))
            f, g = (z + layer.conv.bias).chunk(2, -1)
            a = torch.tanh(f) * torch.sigmoid(g)
            activations.append(a)
            if layer.residual is not None:
                r = F.linear(a, layer.residual.weight[..., 0], layer.residual.bias)
                h = (h + r) * 0.5**0.5
        out = torch.cat(activations, -1)
        for layer in (net.skip, net.hidden):
            out = F.relu(F.linear(out, layer.weight[..., 0], layer.bias))
        return F.linear(
            out, net.output_projection.weight[..., 0], net.output_projection.bias
        ).transpose(1, 2)


def step(name: str, net: nn.Module, x: torch.Tensor) -> float:
    """Forward and backward: CPU seconds."""
    start = time.process_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=name == "bf16"):
        params = net(x)
    (-GaussianHead().log_prob(params.float(), x).mean()).backward()
    return time.process_time() - start


def main() -> None:
    """Print milliseconds a step and ratios to the plain formulation."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0.5, help="of 8 kHz audio, four crops")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-compile", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    x = 0.1 * torch.randn(4, 1, round(8000 * given.seconds))
    for channels in (32, 64):
        torch.manual_seed(0)
        net = WaveNet(GaussianHead(), channels, channels, layers=7, cycles=2)
        nn.init.normal_(net.output_projection.weight, std=0.1)
        nets = {"plain": Plain(net), "fused (the library)": net, "last": Last(net), "bf16": net}
        if not given.no_compile:
            nets["compile"] = torch.compile(net)
        with torch.no_grad():
            want = net(x)
            for name in ("plain", "last"):
                error = (nets[name](x) - want).abs().max().item()
                assert error < 1e-4, (name, error)
        for name, each in nets.items():
            step(name, each, x)
        times = {name: [] for name in nets}
        for _ in range(given.rounds):
            for name, each in nets.items():
                times[name].append(step(name, each, x))
        plain = median(times["plain"])
        print(f"{channels} channels, 2 × 7 layers, 4 × {given.seconds} s")
        for name, values in times.items():
            print(f"  {name:22}{1e3 * median(values):8.0f} ms{plain / median(values):8.2f} × plain")


if __name__ == "__main__":
    main()
