"""One stream of samples, sample by sample: naive, numpy, numba, and the cached loop in plain C.

    python benchmarks/single_stream.py [--layers 8 --cycles 3 --channels 64]

One after the other in one process on one core, medians of rounds; times are CPU time, so that other
work on the machine counts less. The C loop is compiled on the spot (`gcc -O3`), once as it stands and once
with `-march=native -ffast-math`. Every row is checked against the parallel pass first.
"""

import argparse
import ctypes
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numba import njit

from minigen.distributions import GaussianHead
from minigen.generate import generate
from minigen.generate.numba import CompiledWaveNet
from minigen.wavenet import WaveNet

RATE = 16_000

C = """
#include <math.h>
#include <string.h>

/* out[o] = bias[o] + sum_i W[o][i] v[i] */
static void product(float *out, const float *W, const float *bias, const float *v, int O, int I) {
    for (int o = 0; o < O; o++) {
        float s = bias[o];
        for (int i = 0; i < I; i++) s += W[o * I + i] * v[i];
        out[o] = s;
    }
}

/* A kernel of 2, a Gaussian. Weights as PyTorch keeps them: (out, in); conv (L, 2R, 2R), past tap first.
   rings: (L, longest, R), zeros. T samples into x, their parameters into out (T, 2). */
void run(float *x, float *out, const float *noise, int T, int L, int R, int S, const int *dilation,
         int longest, float *rings, const float *enter, const float *start, const float *conv,
         const float *bias, const float *res, const float *res_bias, const float *skip,
         const float *skip_bias, const float *hidden, const float *hidden_bias, const float *leave,
         const float *leave_bias, float floor_) {
    float h[R], taps[2 * R], z[2 * R], a[L * R], r[R], s[S], u[S];
    for (int n = 0; n < T; n++) {
        float newest = n ? x[n - 1] : 0;
        for (int i = 0; i < R; i++) h[i] = start[i] + enter[i] * newest;
        for (int l = 0; l < L; l++) {
            float *ring = rings + (long)l * longest * R;
            int length = dilation[l] + 1;
            memcpy(ring + (n % length) * R, h, R * sizeof(float));
            memcpy(taps, ring + ((n + 1) % length) * R, R * sizeof(float));
            memcpy(taps + R, h, R * sizeof(float));
            product(z, conv + (long)l * 4 * R * R, bias + l * 2 * R, taps, 2 * R, 2 * R);
            float *al = a + l * R;
            for (int i = 0; i < R; i++) al[i] = tanhf(z[i]) / (1 + expf(-z[R + i]));
            product(r, res + (long)l * R * R, res_bias + l * R, al, R, R);
            for (int i = 0; i < R; i++) h[i] = (h[i] + r[i]) * 0.70710678f;
        }
        product(s, skip, skip_bias, a, S, L * R);
        for (int i = 0; i < S; i++) s[i] = s[i] > 0 ? s[i] : 0;
        product(u, hidden, hidden_bias, s, S, S);
        for (int i = 0; i < S; i++) u[i] = u[i] > 0 ? u[i] : 0;
        product(out + 2 * n, leave, leave_bias, u, 2, S);
        float scale = out[2 * n + 1] > floor_ ? out[2 * n + 1] : floor_;
        x[n] = out[2 * n] + expf(scale) * noise[n];
    }
}
"""


def c_loop(net: WaveNet, flags: list[str], folder: Path):
    """Compile the C loop with these flags -> function noise (T,) -> x (T,)."""
    name = folder / ("loop" + "".join(flags).replace("-", "").replace("=", "") + ".so")
    source = folder / "loop.c"
    source.write_text(C, encoding="utf-8")
    subprocess.run(["gcc", *flags, "-shared", "-fPIC", source, "-o", name, "-lm"], check=True)
    library = ctypes.CDLL(str(name))
    numbers = lambda value: np.ascontiguousarray(value.detach().numpy(), dtype=np.float32)
    layers = list(net.layers)
    dilations = np.array([layer.past for layer in layers], dtype=np.int32)
    channels, skip = len(net.input_projection.bias), len(net.skip.bias)
    zero = torch.zeros(channels, channels), torch.zeros(channels)
    matrix = lambda layer: (
        zero if layer.residual is None else (layer.residual.weight[..., 0], layer.residual.bias)
    )
    arrays = [
        numbers(net.input_projection.weight[:, 0]),
        numbers(net.input_projection.bias),
        numbers(torch.stack([layer.conv.weight.permute(0, 2, 1).flatten(1) for layer in layers])),
        numbers(torch.stack([layer.conv.bias for layer in layers])),
        numbers(torch.stack([matrix(layer)[0] for layer in layers])),
        numbers(torch.stack([matrix(layer)[1] for layer in layers])),
        *(
            numbers(value)
            for layer in (net.skip, net.hidden, net.output_projection)
            for value in (layer.weight[..., 0], layer.bias)
        ),
    ]
    pointer = lambda array: array.ctypes.data_as(ctypes.c_void_p)

    def run(noise: np.ndarray) -> np.ndarray:
        longest = int(dilations.max()) + 1
        x, out = np.zeros(len(noise), np.float32), np.zeros((len(noise), 2), np.float32)
        rings = np.zeros((len(layers), longest, channels), np.float32)
        library.run(
            pointer(x), pointer(out), pointer(noise), len(noise), len(layers), channels, skip,
            pointer(dilations), longest, pointer(rings), *map(pointer, arrays),
            ctypes.c_float(net.head.min_log_scale),
        )  # fmt: skip
        return x

    return run


@njit(fastmath=True)
def total(x, rounds):
    """Sum an array again and again, four parts side by side: what a core can read from where it fits."""
    a = b = c = d = np.float32(0)
    part = len(x) // 4
    for _ in range(rounds):
        for i in range(part):
            a += x[i]
            b += x[part + i]
            c += x[2 * part + i]
            d += x[3 * part + i]
        x[0] = (a + b + c + d) * np.float32(0)
    return a + b + c + d


def bandwidth(n_bytes: int) -> float:
    """Bytes a second that one core reads of an array of this size: the best of five."""
    x = np.zeros(n_bytes // 4, np.float32)
    rounds = max(1, 200_000_000 // n_bytes)
    total(x, 1)
    times = []
    for _ in range(5):
        start = time.process_time()
        total(x, rounds)
        times.append(time.process_time() - start)
    return x.nbytes * rounds / min(times)


def main() -> None:
    """Print samples a second of every row, as multiples, and the roofline."""
    parser = argparse.ArgumentParser()
    for name, value in (("layers", 8), ("cycles", 3), ("channels", 64), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = WaveNet(GaussianHead(), given.channels, given.channels, given.layers, given.cycles)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.5 / given.channels**0.5)
    net.output_projection.bias.data[1] = -3.0
    n = 8_000
    noise = torch.randn(n, generator=torch.Generator().manual_seed(0)).numpy()
    with tempfile.TemporaryDirectory() as folder:
        loops = {
            "plain C, gcc -O3": c_loop(net, ["-O3"], Path(folder)),
            "C, -march=native -ffast-math": c_loop(
                net, ["-O3", "-march=native", "-ffast-math"], Path(folder)
            ),
        }
        compiled = CompiledWaveNet(net, None, None)
        numba = lambda noise: compiled.draw(noise[None])
        want = noise[:500].copy()
        for name, run in {"numba": numba, **loops}.items():
            x = run(want)
            with torch.no_grad():
                mean, log_scale = net.head.split(net(torch.from_numpy(x)[None, None]))
            parallel = (mean + log_scale.exp() * torch.from_numpy(want))[0, 0].numpy()
            error = np.abs(x - parallel).max()
            assert error < 1e-4, (name, error)
        rows = {
            "naive": (lambda: naive(net, 40), 40),
            "numpy": (lambda: generate(net, n_samples=1500, backend="numpy"), 1500),
            **{name: (lambda run=run: run(noise), n) for name, run in loops.items()},
            "numba": (lambda: numba(noise), n),
        }
        speeds: dict[str, list[float]] = {name: [] for name in rows}
        for _ in range(given.rounds):
            for name, (run, samples) in rows.items():
                start = time.process_time()
                run()
                speeds[name].append(samples / (time.process_time() - start))
    medians = {name: median(values) for name, values in speeds.items()}
    print(
        f"{given.cycles} × {given.layers} layers, {given.channels} channels, receptive field "
        f"{net.receptive_field}, {sum(w.numel() for w in net.parameters()):,} weights"
    )
    print(f"{'':30}{'samples/s':>11}{'× 16 kHz':>10}{'× naive':>9}{'× plain C':>11}")
    for name, speed in medians.items():
        print(
            f"{name:30}{speed:>11,.0f}{speed / RATE:>10.2f}{speed / medians['naive']:>9.0f}"
            f"{speed / medians['plain C, gcc -O3']:>11.2f}"
        )
    fastest = "C, -march=native -ffast-math"
    ratios = sorted(a / b for a, b in zip(speeds["numba"], speeds[fastest], strict=True))
    print(
        f"\nnumba against {fastest}, round by round: median {median(ratios):.2f}, "
        f"least {ratios[0]:.2f}, most {ratios[-1]:.2f}"
    )
    read = compiled.bytes_per_sample
    packed = sum(weight.nbytes for weight in compiled.weights)
    possible = bandwidth(packed)
    print(
        f"\nroofline: {packed / 1e6:.2f} MB of weights, {read / 1e6:.2f} MB read for a sample; "
        f"numba reads {read * medians['numba'] / 1e9:.0f} GB/s, and one core can read "
        f"{possible / 1e9:.0f} GB/s of an array of that size: "
        f"{read * medians['numba'] / possible:.0%} of the roof"
    )


@torch.no_grad()
def naive(net: WaveNet, samples: int) -> None:
    """Draw samples naively, the receptive field being full already."""
    field = net.receptive_field
    x = torch.zeros(1, 1, field + samples)
    for t in range(field, field + samples):
        params = net(x[..., t - field : t + 1])[..., -1:]
        x[..., t : t + 1] = net.head.sample(params)


if __name__ == "__main__":
    main()
