"""Checks for the exercises of chapter 7."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from .core import CheckFailed, agree, compare, exercise, finds_bugs, require, responds

__all__ = [
    "causal_convolution",
    "causality_test",
    "gated_unit",
    "level_probabilities",
    "receptive_field",
]


@exercise("7.1", "the receptive field")
def receptive_field(field: Callable) -> None:
    """field(layers, cycles, kernel) -> how many past samples params[t] can see."""
    cases = [(10, 3, 2), (4, 1, 3), (1, 1, 2), (6, 2, 4), (1, 5, 3), (7, 4, 1), (3, 10, 2)]
    want = [1 + c * (k - 1) * (2**n - 1) for n, c, k in cases]
    compare(
        [float(field(*case)) for case in cases],
        want,
        "the receptive field",
        1e-9,
        [
            ([w - 1 for w in want], "the delay of one sample counts, too"),
            ([w + 1 for w in want], "x[t] itself is not seen: only x[t - r] … x[t - 1]"),
            (
                [1 + c * k * (2**n - 1) for n, c, k in cases],
                "K taps reach K - 1 dilations back, not K",
            ),
            (
                [1 + c * (k - 1) * 2**n for n, c, k in cases],
                "1 + 2 + … + 2^(layers - 1) is 2^layers - 1",
            ),
            (
                [1 + (k - 1) * (2**n - 1) for n, _, k in cases],
                "the dilations are repeated `cycles` times",
            ),
            (
                [1 + (k - 1) * (2 ** (n * c) - 1) for n, c, k in cases],
                "dilations start again at 1 in each cycle",
            ),
        ],
    )


@exercise("7.2", "a causal convolution")
def causal_convolution(convolve: Callable) -> None:
    """convolve(h (B, C, T), weight (O, C, K), dilation) -> (B, O, T), newest tap last."""
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(2, 3, 20, generator=generator).double()
    for K, d in ((2, 1), (3, 4)):
        w = torch.randn(4, 3, K, generator=generator).double()
        past = (K - 1) * d

        def conv(left, right=0, w=w, d=d):
            return torch.nn.functional.conv1d(
                torch.nn.functional.pad(h, (left, right)), w, dilation=d
            )

        hints = [
            (conv(past, w=w.flip(-1)), "the taps are turned round: the last one meets the newest"),
            (conv(0, past), "the zeros are on the right: this looks into the future"),
            (conv(past + 1)[..., :-1], "one sample late: z[t] may see h[t]"),
        ]
        if past % 2 == 0:
            hints.append(
                (conv(past // 2, past // 2), "half of the zeros are on the right: it sees ahead")
            )
        got = convolve(h.clone(), w, d)
        shape = tuple(getattr(got, "shape", ()))
        if len(shape) == 3 and shape[-1] != 20:
            raise CheckFailed(
                f"✗ kernel {K}, dilation {d}: {shape[-1]} outputs for 20 inputs: "
                "(K - 1)·d zeros on the left keep the length"
            )
        compare(got, conv(past), f"kernel {K}, dilation {d}", 1e-9, hints)
    h.requires_grad_()
    convolve(h, w, 4)[:, :, 10].sum().backward()
    require(
        (h.grad[..., 11:] == 0).all(),
        "the gradient with respect to the future is exactly zero",
        "output 10 depends on inputs after 10",
    )

    def right(h: torch.Tensor, w: torch.Tensor, d: int) -> torch.Tensor:
        padded = torch.nn.functional.pad(h, ((w.shape[-1] - 1) * d, 0))
        return torch.nn.functional.conv1d(padded, w, dilation=d)

    shapes = [(1, 1, 5, 1, 1, 3), (3, 2, 6, 2, 2, 8), (1, 4, 40, 3, 5, 2), (2, 3, 3, 1, 4, 1)]
    others = [
        (
            torch.randn(B, C, T, generator=generator).double(),
            torch.randn(O, C, K, generator=generator).double(),
            d,
        )
        for B, C, T, O, K, d in shapes
    ]
    agree(convolve, right, others, "other sizes, also shorter than the past,", 1e-9)


@exercise("7.3", "a gated unit")
def gated_unit(gate: Callable) -> None:
    """gate(z (B, 2R, T)) -> a (B, R, T)."""
    z = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(1)).double() * 2
    f, g = z[:, :3], z[:, 3:]
    generator = torch.Generator().manual_seed(2)
    shapes = ((1, 2, 1), (3, 8, 2), (1, 4, 4))
    agree(
        gate,
        lambda z: torch.tanh(z.chunk(2, 1)[0]) * torch.sigmoid(z.chunk(2, 1)[1]),
        [(z,), *((3 * torch.randn(s, generator=generator).double(),) for s in shapes)],
        "a",
        1e-9,
        [
            (torch.tanh(g) * torch.sigmoid(f), "filter and gate are exchanged"),
            (torch.tanh(f) * torch.tanh(g), "the gate is a sigmoid: it opens and closes"),
            (torch.tanh(f) + torch.sigmoid(g), "the two are multiplied, not added"),
            (f * torch.sigmoid(g), "tanh is missing around the filter"),
            (
                torch.tanh(z[:, ::2]) * torch.sigmoid(z[:, 1::2]),
                "the filter is the first half of the channels, not every other one",
            ),
        ],
    )


def _log_level(level: np.ndarray, mean: float, log_scale: float, levels: int) -> np.ndarray:
    """σ(a) - σ(b) = σ(a) σ(-b) (1 - exp(b - a)), in logarithms."""
    step = 2 / (levels - 1)
    a, b = ((level * step - 1 + side - mean) * np.exp(-log_scale) for side in (step / 2, -step / 2))
    upper = np.where(level == levels - 1, 0, -np.logaddexp(0, -a))  # log σ(a)
    lower = np.where(level == 0, 0, -np.logaddexp(0, b))  # log σ(-b)
    inner = (level > 0) & (level < levels - 1)
    return upper + lower + np.where(inner, np.log(-np.expm1(b - a)), 0)


@exercise("7.4", "the edges of a mixture")
def level_probabilities(log_prob: Callable) -> None:
    """log_prob(level (n,), mean, log_scale, levels) -> log P of each level 0 … levels - 1."""
    levels = 64
    code = np.arange(levels)
    x, half = 2 * code / (levels - 1) - 1, 1 / (levels - 1)
    cdf = lambda v: 1 / (1 + np.exp(-v))
    for mean, log_scale in ((0.2, -2.0), (0.98, -3.0)):
        s = np.exp(log_scale)
        upper, lower = cdf((x + half - mean) / s), cdf((x - half - mean) / s)
        plain = upper - lower
        right = plain.copy()
        right[0], right[-1] = upper[0], 1 - lower[-1]
        top, bottom = plain.copy(), plain.copy()
        bottom[0], top[-1] = upper[0], 1 - lower[-1]
        density = np.exp(-(x - mean) / s) / s / (1 + np.exp(-(x - mean) / s)) ** 2
        narrow = cdf((x + half / 2 - mean) / s) - cdf((x - half / 2 - mean) / s)
        compare(
            np.exp(log_prob(code, mean, log_scale, levels)),
            right,
            f"mean {mean}: probabilities",
            1e-7,
            [
                (plain, "the edge levels lack what lies beyond them: they do not add up to one"),
                (bottom, "the highest level takes all that lies above it"),
                (top, "the lowest level takes all that lies below it"),
                (density * 2 * half, "this is the density times the width: add up over the level"),
                (np.log(right), "this is the logarithm of the logarithm: check the last line"),
                (np.exp(right), "return the logarithm of the probability"),
                (narrow / narrow.sum(), "normalising by force hides that the edges are missing"),
            ],
            otherwise=responds(log_prob, _log_level, code, mean, log_scale, levels),
        )
        total = np.exp(log_prob(code, mean, log_scale, levels)).sum()
        require(abs(total - 1) < 1e-9, "all levels add up to one", f"they add up to {total:.4f}")
    agree(
        log_prob,
        _log_level,
        [
            (np.arange(256)[::-1], -0.4, -4.0, 256),
            (np.array([3, 0, 3, 7]), 5.0, 0.5, 8),
            (np.array([1, 0]), 0.1, -1.0, 2),
            (np.array([0, 65_535, 30_000, 42_598, 42_700, 42_597]), 0.3, -7.0, 65_536),
            (np.arange(0, 65_536, 999), 0.3, -7.0, 65_536),
        ],
        "log-probabilities",
        1e-6,
        [
            (
                lambda got: not np.isfinite(got).all(),
                (
                    "infinite: far from the mean both cumulative values round to 0 or 1, and their "
                    "difference is 0. With a and b for the upper and lower edge, less m and over s, "
                    "σ(a) - σ(b) = σ(a) σ(-b) (1 - e^(b-a)): add three logarithms"
                ),
            )
        ],
    )


def _network(field: int, bug: str = "") -> Callable:
    """A network whose two parameters at t see the last `field` samples before t, or one with a planted bug."""
    weights = torch.linspace(0.2, 0.4, field - (bug == "short"), dtype=torch.float64)

    def net(x: torch.Tensor) -> torch.Tensor:
        first = 0 if bug == "now" else 1
        late = [
            torch.nn.functional.pad(x, (first + k, 0))[:, : x.shape[1]] for k in range(len(weights))
        ]
        past = sum(w * v for w, v in zip(weights, late, strict=True))
        scale = past
        if bug == "future":  # padded on both sides: the next sample as well
            past = past + 0.1 * torch.nn.functional.pad(x, (0, 1))[:, 1:]
        if bug == "batch":
            past = past + 0.1 * past.roll(1, 0)
        if bug == "mean":  # in the second parameter alone
            scale = past - 0.1 * x.mean(1, keepdim=True)
        return torch.stack([torch.tanh(past), torch.sin(0.3 * scale)], 1)

    return net


BUGS = {
    "now": "it sees x[t] itself: the delay of one sample is missing",
    "future": "it sees x[t + 1], as when half of the zeros are put on the right",
    "short": "it sees one sample fewer than the receptive field that it claims",
    "batch": "an example sees the past of another one in the batch",
    "mean": "the second parameter has the mean of the whole waveform taken away, future included",
}


@exercise("7.5", "the test that finds the bug")
def causality_test(is_right: Callable) -> None:
    """is_right(net, field, length) -> bool, for net(x (B, length)) -> parameters (B, P, length)."""
    sizes = ((4, 9), (7, 12), (1, 5))
    finds_bugs(
        is_right,
        [((_network(f), f, n), f"a network with a receptive field of {f}") for f, n in sizes],
        [((_network(f, bug), f, n), what) for f, n in sizes[:2] for bug, what in BUGS.items()],
        "params[t] sees x[t - field] … x[t - 1], as many of them as there are",
    )
