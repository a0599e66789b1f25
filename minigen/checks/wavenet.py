"""Checks for the exercises of chapter 7."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from .. import data, distributions, wavenet
from ..speech import unconditional
from .core import (
    CheckFailed,
    agree,
    compare,
    exercise,
    finds_bugs,
    number,
    parts,
    predicts,
    require,
    responds,
)


@exercise("7.1", "layers for a past")
def receptive_field(layers_for: Callable) -> None:
    """layers_for(ms, rate, cycles, kernel) -> layers in each cycle, as few as see that far."""
    cases = [(16, 8000, 1, 2), (80, 8000, 2, 2), (12.125, 8000, 3, 3), (1, 8000, 5, 2)]
    cases += [(0.1, 8000, 1, 2), (100, 16_000, 2, 4), (38.375, 8000, 3, 2), (25, 44_100, 4, 2)]
    cases += [
        (23, 1000, 2, 2),
        (46.375, 8000, 1, 7),
        (16.125, 8000, 1, 2),
        (16.01, 8000, 1, 2),
        (15.9375, 8000, 1, 2),
        (60, 44_100, 1, 2),
    ]

    def fewest(
        sees: Callable = lambda n, c, k: 1 + c * (k - 1) * (2**n - 1),
        enough: Callable = lambda sees, wanted: sees >= wanted,
        thousand: float = 1000,
        wanted: Callable = lambda ms, rate: ms * rate,
    ) -> list[int]:
        return [
            next(n for n in range(1, 3000) if enough(sees(n, c, k), wanted(ms, rate) / thousand))
            for ms, rate, c, k in cases
        ]

    right = fewest()
    compare(
        [number(layers_for(*case), "the number of layers") for case in cases],
        right,
        "the number of layers",
        1e-9,
        [
            (fewest(lambda n, c, k: c * (k - 1) * (2**n - 1)), "the delay counts, too"),
            (
                fewest(lambda n, c, k: 2 + c * (k - 1) * (2**n - 1)),
                "x[t] itself is not seen: only x[t - r] … x[t - 1]",
            ),
            (
                fewest(lambda n, c, k: 1 + c * k * (2**n - 1)),
                "a kernel of K looks K - 1 dilations back, not K",
            ),
            (
                fewest(lambda n, c, k: 1 + c * (k - 1) * 2**n),
                "1 + 2 + … + 2^(layers - 1) is 2^layers - 1",
            ),
            (
                fewest(lambda n, c, k: 1 + (k - 1) * (2**n - 1)),
                "the dilations are gone through `cycles` times",
            ),
            (
                fewest(lambda n, c, k: 1 + (k - 1) * (2 ** (n * c) - 1)),
                "dilations start again at 1 in each cycle",
            ),
            (
                fewest(lambda n, c, k: 1 + c * (k - 1) * n),
                "each layer of a cycle has twice the dilation of the one before",
            ),
            (fewest(enough=lambda a, b: a > b), "exactly as far is far enough: at least"),
            (fewest(thousand=1), "ms are thousandths of a second"),
            (fewest(lambda n, c, k: 1 + c * (2**n - 1)), "the kernel is not used, or always 2"),
            (
                fewest(wanted=lambda ms, rate: 8000 * ms),
                "the rate is fixed at 8,000: it is an argument",
            ),
            (
                fewest(wanted=lambda ms, rate: 1000 * int(ms * rate / 1000)),
                "a part of a sample is cut off: 16.01 ms are more than 128 samples",
            ),
            (
                fewest(wanted=lambda ms, rate: 1000 * round(ms * rate / 1000)),
                "a part of a sample is rounded off: 16.01 ms are more than 128 samples",
            ),
            (fewest(thousand=1e-3), "ms are thousandths of a second: divide by 1,000"),
            ([n - 1 for n in right], "one layer too few: the past must be covered"),
            ([n + 1 for n in right], "one layer too many: as few as will do"),
            (
                [n * case[2] for n, case in zip(right, cases, strict=True)],
                "of one cycle, not of all",
            ),
            (lambda got: (got < 1).any(), "a cycle has at least one layer"),
        ],
    )


CONVOLUTIONS = ("torch.convolution", *(
    f"torch.{name}{d}d" for d in (1, 2, 3) for name in ("conv", "conv_transpose", "nn.Conv", "nn.ConvTranspose")
))  # fmt: skip


@exercise(
    "7.2",
    "a causal convolution",
    forbid=CONVOLUTIONS,
)
def causal_convolution(convolve: Callable) -> None:
    """convolve(h (B, C, T), weight (O, C, K), dilation) -> (B, O, T), newest tap last."""
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(2, 3, 20, generator=generator).double()
    for K, d in ((2, 1), (3, 4)):
        w = torch.randn(4, 3, K, generator=generator).double()
        past = (K - 1) * d

        def conv(left, right=0, w=w, d=d):
            return F.conv1d(F.pad(h, (left, right)), w, dilation=d)

        hints = [
            (conv(past, w=w.flip(-1)), "the taps are turned round: the last one meets the newest"),
            (conv(0, past), "the zeros are on the right: this looks into the future"),
            (conv(past + 1)[..., :-1], "one sample late: z[t] may see h[t]"),
            (
                torch.einsum("ock,bct->bot", w, h),
                "nothing is delayed: place k of the kernel looks (K - 1 - k)·d samples back",
            ),
            (
                conv(past, w=torch.cat([w[..., :-1], 0 * w[..., -1:]], -1)),
                "the newest place of the kernel is left out",
            ),
            (
                lambda got: np.shape(got) == (2, 4, 20) and not np.any(got[..., 0]),
                "the first output is zero: the newest place of the kernel sees h[t] itself",
            ),
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
    other = torch.cat([h[..., :11], 1 - h[..., 11:]], -1)
    one, two = (np.asarray(convolve(v, w, 4))[..., :11] for v in (h, other))
    require(
        np.array_equal(one, two),
        "another future leaves the outputs before it exactly as they are",
        "output 10 depends on inputs after 10",
    )

    def right(h: torch.Tensor, w: torch.Tensor, d: int) -> torch.Tensor:
        padded = F.pad(h, ((w.shape[-1] - 1) * d, 0))
        return F.conv1d(padded, w, dilation=d)

    shapes = [(1, 1, 5, 1, 1, 3), (3, 2, 6, 2, 2, 8), (1, 4, 40, 3, 5, 2), (2, 3, 3, 1, 4, 1)]
    shapes += [(1, 2, 9, 2, 2, 3), (2, 1, 80, 1, 3, 11)]
    others = [
        (
            torch.randn(B, C, T, generator=generator).double(),
            torch.randn(O, C, K, generator=generator).double(),
            d,
        )
        for B, C, T, O, K, d in shapes
    ]
    agree(convolve, right, others, "other sizes, also shorter than the past,", 1e-9)


class _ByHand(TorchDispatchMode):
    """Inside, nothing is differentiated by machine: neither backwards nor by a complex step."""

    def __torch_dispatch__(
        self, operation: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        made = operation(*args, **(kwargs or {}))
        turned = torch.is_tensor(made) and made.is_complex()
        if turned or "backward" in operation.name():
            how = "a step into complex numbers" if turned else f"`{operation.name()}`"
            raise CheckFailed(
                f"✗ a slope is found by machine, by {how}: the exercise asks you to do without"
            )
        return made


@exercise("7.3", "the slopes of a gate")
def gate_slopes(function: Callable) -> None:
    """function(f (B, R, T), g (B, R, T)) -> ∂a/∂f, ∂a/∂g of a = tanh f · sigmoid g, each (B, R, T)."""

    def slopes(f: torch.Tensor, g: torch.Tensor) -> object:
        with _ByHand():
            return function(f, g)

    slopes.function = getattr(function, "function", function)
    generator = torch.Generator().manual_seed(1)
    f, g = 1.5 * torch.randn(2, 2, 3, 5, generator=generator, dtype=torch.float64)
    t, s = torch.tanh(f), torch.sigmoid(g)
    hints = {
        "∂a/∂f": [
            (1 - t**2, "the gate is missing: it multiplies the slope of the filter, too"),
            (t * s, "this is a itself, not a slope"),
            ((1 - torch.tanh(g) ** 2) * torch.sigmoid(f), "filter and gate are exchanged"),
            (s, "the slope of tanh is missing: 1 - tanh²"),
            ((1 - t) * s, "the slope of tanh is 1 - tanh², with the square"),
            ((1 - f**2) * s, "1 - tanh², not 1 - f²: tanh f comes first"),
            ((1 - t**2) / s, "divided by the gate: it multiplies"),
            ((1 - t**2) * g, "the gate passes through the sigmoid before it multiplies"),
        ],
        "∂a/∂g": [
            (s * (1 - s), "the filter is missing: tanh f multiplies the slope of the gate"),
            (t * s, "this is a itself, not a slope"),
            (t * (1 - s**2), "that is the slope of a tanh: the gate is a sigmoid, σ(1 - σ)"),
            (t * (1 - s), "half of the slope of the sigmoid: σ(1 - σ)"),
            (f * s * (1 - s), "tanh is missing around the filter"),
            (t * g * (1 - g), "σ(1 - σ) is made of σ = sigmoid g, not of g"),
        ],
    }

    def right(f: torch.Tensor, g: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        t, s = torch.tanh(f), torch.sigmoid(g)
        return (1 - t**2) * s, t * s * (1 - s)

    others = [
        tuple(2 * torch.randn(2, *shape, generator=generator, dtype=torch.float64))
        for shape in ((1, 1, 1), (3, 4, 2), (1, 2, 7))
    ]
    agree(slopes, right, [(f, g), *others], tuple(hints), 1e-9, hints)
    far = torch.tensor([[9.0, 10, -11], [-20, -30, -25]]).double()[:, None, None]
    got = [np.asarray(v) for v in parts(slopes(*far), *hints)]
    lost = [not np.allclose(a, b, 5e-7, 0) for a, b in zip(got, right(*far), strict=True)]
    if any(lost) and got[0].dtype != np.float32:
        raise CheckFailed(
            "✗ far out, where tanh is flat and the gate shut, the slopes have lost their digits: they are not "
            "differences of a, divided by a small step, but have a formula of their own"
        )
    f.requires_grad_(), g.requires_grad_()
    by_torch = torch.autograd.grad((torch.tanh(f) * torch.sigmoid(g)).sum(), (f, g))
    mine = slopes(f.detach(), g.detach())
    require(
        all(np.allclose(a, b, 1e-5, 1e-6) for a, b in zip(mine, by_torch, strict=True)),
        "automatic differentiation finds the same",
        "automatic differentiation finds other slopes",
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
        between = (
            lambda step, up, down, s=s, mean=mean: (  # of levels that are no edges
                cdf(((code[1:-1] + up) * step - 1 - mean) / s)
                - cdf(((code[1:-1] + down) * step - 1 - mean) / s)
            )
        )
        like = lambda wrong: (
            lambda got: np.shape(got) == (64,) and np.allclose(got[1:-1], wrong, 1e-7)
        )
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
                (
                    like(between(half, 0.5, -0.5)),
                    "levels lie 2 / (levels - 1) apart: from -1 to 1 the range is 2",
                ),
                (np.log(right), "this is the logarithm of the logarithm: check the last line"),
                (np.exp(right), "return the logarithm of the probability"),
                (narrow / narrow.sum(), "normalising by force hides that the edges are missing"),
                (
                    like(between(2 / levels, 0.5, -0.5)),
                    "levels lie 2 / (levels - 1) apart: both ends are levels",
                ),
                (
                    like(between(2 * half, 0, -1)),
                    "the edges are the level and the one before: they lie half a step to both sides",
                ),
            ],
            otherwise=responds(log_prob, _log_level, code, mean, log_scale, levels),
        )
        total = np.exp(log_prob(code, mean, log_scale, levels)).sum()
        require(
            abs(total - 1) < 1e-9,
            "all levels add up to one",
            f"they add up to {total:.12g}, not to one: is something added, or an edge not taken whole?",
        )
    agree(
        log_prob,
        _log_level,
        [
            (np.arange(256)[::-1], -0.4, -4.0, 256),
            (np.array([3, 0, 3, 7]), 5.0, 0.5, 8),
            (np.array([1, 0]), 0.1, -1.0, 2),
            (np.array([0, 65_535, 30_000, 42_598, 42_700, 42_597]), 0.3, -7.0, 65_536),
            (np.arange(0, 65_536, 999), 0.3, -7.0, 65_536),
            (np.arange(0, 65_536, 999), -0.1, -9.0, 65_536),
        ],
        "log-probabilities",
        1e-6,
        [
            (
                lambda got: not np.isfinite(got).all(),
                (
                    "infinite: far from the mean both cumulative values round to 0 or 1, and their "
                    "difference is 0. It can be written as a product, in which nothing is lost, and the "
                    "logarithm of a product is a sum"
                ),
            )
        ],
    )


def _network(field: int, bug: str = "") -> Callable:
    """A network whose two parameters at t see the last `field` samples before t, or one with a planted bug."""
    sees = field + {"short": -1, "long": 1}.get(bug, 0)
    weights = torch.linspace(0.2, 0.4, sees, dtype=torch.float64)

    def net(x: torch.Tensor) -> torch.Tensor:
        first = 0 if bug == "now" else 1
        late = [F.pad(x, (first + k, 0))[:, : x.shape[1]] for k in range(len(weights))]
        past = sum(w * v for w, v in zip(weights, late, strict=True))
        scale = past
        if bug == "future":  # padded on both sides: the next sample as well
            past = past + 0.1 * F.pad(x, (0, 1))[:, 1:] * late[0]
        if bug == "batch":
            past = past + 0.1 * past.roll(1, 0)
        if bug == "end" and len(x) > 1:  # in the last example alone
            past = torch.cat([past[:-1], past[-1:] + 0.1 * x[-1:]])
        if bug == "mean":  # in the second parameter alone
            scale = past - 0.1 * x.mean(1, keepdim=True)
        if bug == "half":
            scale = past - weights[-1] * late[-1]
        return torch.stack([torch.tanh(past), torch.sin(0.3 * scale)], 1)

    return net


BUGS = {
    "now": "it sees x[t] itself: the delay of one sample is missing",
    "future": "it sees x[t + 1], as when half of the zeros are put on the right",
    "short": "it sees one sample fewer than the receptive field that it claims",
    "batch": "an example sees the past of another one in the batch",
    "mean": "the second parameter has the mean of the whole waveform taken away, future included",
    "long": "it sees one sample more than the receptive field that it claims",
    "end": "in the last example of a batch, and there alone, it sees x[t] itself",
    "half": "its second parameter does not see the oldest sample, the first one does",
}


LEAKS = (  # shares of the way: parameter, t; the sample that it sees
    (0, 1, 1, "the very sample that it describes"),
    (1, 0, 1, "the last sample already at the start"),
    (1, 0.5, 0.8, "what comes later, in the middle"),
    (0, 1, 0, "the first sample at the end, when that is long past"),
)


def _leaky(field: int, parameter: int, t: float, seen: float, blind: bool = False) -> Callable:
    """A network of which one parameter, at one time alone, sees one sample that it must not, or does not see one that
    it must."""
    net = _network(field)

    def spoilt(x: torch.Tensor) -> torch.Tensor:
        times = torch.arange(x.shape[1])
        here, u = round(t * (len(times) - 1)), round(seen * (len(times) - 1))
        there = torch.zeros(len(x), 2, len(times), dtype=torch.bool)
        there[:, parameter, here] = True
        if not blind:
            return net(x) + there * 0.05 * x[:, u, None, None]
        hidden = x * (times != max(0, here - (field if seen else 1)))
        return torch.where(there, net(hidden), net(x))

    return spoilt


@exercise("7.5", "the test that finds the bug")
def causality_test(is_right: Callable) -> None:
    """is_right(net, field, length) -> bool, for net(x (B, length)) -> parameters (B, P, length)."""
    sizes = ((4, 9), (7, 12), (1, 5))
    finds_bugs(
        is_right,
        [((_network(f), f, n), f"a network with a receptive field of {f}") for f, n in sizes],
        [((_network(f, bug), f, n), what) for f, n in sizes[:2] for bug, what in BUGS.items()]
        + [
            ((_leaky(f, *place), f, n), f"at one time one parameter sees {what}")
            for f, n in sizes[:2]
            for *place, what in LEAKS
        ]
        + [
            (
                (_leaky(f, *place, blind=True), f, n),
                "at one time one parameter does not see one of its samples",
            )
            for f, n in sizes[:2]
            for place in ((0, 1, 0), (1, 1, 1), (1, 0.5, 0), (0, 0.5, 1))
        ],
        "params[t] sees x[t - field] … x[t - 1], as many of them as there are",
    )


@exercise("7.6", "what is left of each layer")
def residual_shares(shares: Callable) -> None:
    """shares(variances (L + 1,)) -> shares (L + 1,) of the variance of h after L layers."""
    rng = np.random.default_rng(0)

    def right(
        v: np.ndarray, halved: Callable = lambda L: np.r_[L, np.arange(L, 0, -1)]
    ) -> np.ndarray:
        left = v / 2.0 ** halved(len(v) - 1)
        return left / left.sum()

    v = np.array([1.0, 0.4, 2.0, 0.7, 1.5])
    L = len(v) - 1
    left = v / 2.0 ** np.r_[L, np.arange(L, 0, -1)]
    root = v / np.sqrt(2.0) ** np.r_[L, np.arange(L, 0, -1)]
    twice = v / 4.0 ** np.r_[L, np.arange(L, 0, -1)]
    sharp = v**2 / 2.0 ** np.r_[L, np.arange(L, 0, -1)]
    agree(
        shares,
        right,
        [
            (v,),
            *((rng.exponential(1, n + 1),) for n in (1, 2, 9, 30)),
            (np.ones(15),),
            (np.ones(1),),
        ],
        "each share",
        1e-9,
        [
            (left, "these are variances: divide by their sum"),
            (v / v.sum(), "every layer divides by √2 all that came before it"),
            (
                right(v, lambda L: np.arange(L, -1, -1)),
                "the input is divided as often as the first result, the last result once: (h + r) / √2",
            ),
            (
                right(v, lambda L: np.r_[np.arange(1, L + 1), L]),
                "the wrong way round: early results are halved most",
            ),
            (
                right(v, lambda L: np.arange(L + 1)),
                "the wrong way round: early results are halved most",
            ),
            (
                right(v, lambda L: np.r_[L, np.arange(1, L + 1)]),
                "the wrong way round: early results are halved most",
            ),
            (
                right(v, lambda L: -np.r_[L, np.arange(L, 0, -1)]),
                "each layer halves, it does not double",
            ),
            (
                v * np.r_[L, np.arange(L, 0, -1)] / (v @ np.r_[L, np.arange(L, 0, -1)]),
                "halved again in every layer: a power of ½, not a multiple",
            ),
            (root / root.sum(), "a factor of 1/√2 in h is a factor of ½ in its variance"),
            (twice / twice.sum(), "a factor of 1/√2 in h is a factor of ½ in its variance, not ¼"),
            (sharp / sharp.sum(), "these are variances already: do not square them"),
            (
                (left / left.sum()) ** 0.5 / ((left / left.sum()) ** 0.5).sum(),
                "shares of standard deviations: those of variances add up",
            ),
        ],
    )


@exercise("7.7", "a one-hot input")
def one_hot_input(project: Callable, table: Callable) -> None:
    """project(codes (B, T), W (R, levels), b (R,)) -> h (B, R, T);   table(w (R,), levels) -> W (R, levels)."""
    generator = torch.Generator().manual_seed(3)

    def case(B: int, T: int, R: int, levels: int) -> tuple:
        codes = torch.randint(levels, (B, T), generator=generator)
        return codes, *(torch.randn(*s, generator=generator).double() for s in ((R, levels), (R,)))

    def right(codes: torch.Tensor, W: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        columns = W[:, codes].permute(1, 0, 2)  # (B, R, T)
        return F.pad(columns, (1, 0))[..., :-1] + b[:, None]

    codes, W, b = first = case(2, 6, 2, 6)
    now, start = W[:, codes].permute(1, 0, 2), W[:, :1]  # (B, R, T), (R, 1)
    silence = torch.cat([start.expand(2, -1, -1), now[..., :-1]], -1) + b[:, None]
    agree(
        project,
        right,
        [first, case(1, 1, 1, 2), case(3, 9, 5, 16), case(4, 2, 3, 256)],
        "h",
        1e-9,
        [
            (now + b[:, None], "the delay is missing: h[t] is made of the level at t - 1"),
            (
                silence,
                "before the start there is no level: the vector is zero, not the one-hot of 0",
            ),
            (F.pad(now, (1, 0))[..., :-1], "the bias is missing"),
            (F.pad(now + b[:, None], (1, 0))[..., :-1], "the bias is there before the start, too"),
            (
                F.pad(now[..., 1:], (0, 1)) + b[:, None],
                "delayed the wrong way: h[t] is made of the level at t - 1, not at t + 1",
            ),
            (
                now.roll(1, -1) + b[:, None],
                "the last level comes round to the start: put zeros there",
            ),
        ],
    )

    def columns(w: torch.Tensor, levels: int) -> torch.Tensor:
        return w[:, None] * (2 * torch.arange(levels, dtype=w.dtype) / (levels - 1) - 1)

    w, code = torch.tensor([0.7, -1.2, 0.3]).double(), torch.arange(5).double()
    agree(
        table,
        columns,
        [(w, 5), (w[:1], 2), (torch.randn(4, generator=generator).double(), 256)],
        "the table",
        1e-9,
        [
            (w[:, None] * code, "code is a whole number: y goes from -1 to 1"),
            (w[:, None] * (2 * code / 5 - 1), "y = 1 at the last code, which is levels - 1"),
            (w[:, None] * code / 4, "y goes from -1 to 1, not from 0 to 1"),
            (columns(w, 5).T, "turned round: a row for each channel, a column for each level"),
            (
                w[:, None] + (2 * code / 4 - 1),
                "the number is multiplied by w, not added to it",
            ),
        ],
    )
    head = distributions.Categorical(16)
    codes, _, b = case(2, 30, 3, 16)
    w = torch.randn(3, generator=generator).double()
    y = wavenet.shift_right(head.compand(head.decode(codes, torch.float64)))[:, None]  # (B, 1, T)
    same = torch.as_tensor(project(codes, torch.as_tensor(table(w, 16)), b))[..., 1:]
    require(
        torch.allclose(same, (w[:, None] * y + b[:, None])[..., 1:]),
        "with this table a one-hot input is the library's µ-law number",
        "with this table a one-hot input is not the library's µ-law number times w",
    )


def _logistic_mixture(
    means: np.ndarray, log_scales: np.ndarray, logits: np.ndarray, u: np.ndarray
) -> np.ndarray:
    """The check's own draw, (n,)."""
    p = np.exp(logits - logits.max(1, keepdims=True))
    below = p.cumsum(1) / p.sum(1, keepdims=True)
    j = (u[:, :1] >= below).sum(1)[:, None]
    mean, log_scale = (np.take_along_axis(v, j, 1)[:, 0] for v in (means, log_scales))
    return np.clip(mean + np.exp(log_scale) * np.log(u[:, 1] / (1 - u[:, 1])), -1, 1)


@exercise("7.8", "draw from a mixture", own_chance=True)
def mixture_draw(draw: Callable) -> None:
    """draw(means, log_scales, logits, each (n, k), u (n, 2)) -> x (n,)."""
    rng = np.random.default_rng(5)

    def case(n: int, k: int, spread: float = 0.3) -> tuple:
        means = rng.normal(0, spread, (n, k))
        return means, rng.normal(-3, 1, (n, k)), rng.normal(0, 2, (n, k)), rng.uniform(0, 1, (n, 2))

    means, log_scales, logits, u = first = case(200, 3)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    swapped, ends = u[:, ::-1], lambda values: np.clip(values, -1, 1)
    logistic = np.log(u[:, 1] / (1 - u[:, 1]))
    heaviest = np.where(p == p.max(1, keepdims=True), 50.0, 0.0)
    blended = ends((p * means).sum(1) + (p * np.exp(log_scales)).sum(1) * logistic)
    turned, like = u * [1, -1] + [0, 1], _logistic_mixture
    agree(
        draw,
        like,
        [first, case(1, 1), case(50, 10), case(40, 2, 2.0), (means, log_scales, 3000 * logits, u)]
        + [
            (
                0.1 * means,
                0 * means - 5 - 9 * (u[:, :1] > 0.5),
                logits,
                np.c_[u[:, 0], u[:, 1] ** 30],
            )
        ],
        "samples",
        1e-9,
        [
            (
                like(means, log_scales, logits, swapped),
                "the first number chooses, the second draws",
            ),
            (
                like(means, log_scales, heaviest, u),
                "always the heaviest component: the first number chooses among all of them",
            ),
            (
                like(means, log_scales, 0 * logits, u),
                "the components do not come equally often: their weights are softmax(logits)",
            ),
            (
                blended,
                "a mean of the components is no draw from their mixture: choose one of them",
            ),
            (
                like(means, log_scales, logits, turned),
                "turned round: the quantile rises with u, log(u / (1 - u))",
            ),
            (
                like(means, 2 * log_scales, logits, u),
                "s is a scale, not its square: exp(log_scale)",
            ),
            (like(means, 0 * log_scales, logits, u), "the scale is not used"),
            (
                like(means, log_scales, logits - logits.max(0), u),
                "the weights of a place are its own: logits are compared along axis 1",
            ),
            (
                like(means, np.log(np.abs(log_scales)), logits, u),
                "the scale is exp(log_scale), and never negative",
            ),
            (
                like(means, log_scales, logits, np.stack([u[:, 0], u[:, 0]], 1)),
                "one number both chooses and draws: then each component is drawn from in part only",
            ),
        ],
        steady=[3],
    )
    n, k, head = 40_000, 2, distributions.DiscretizedLogisticMixture(k=2, levels=9)
    row = np.array([0.8, -0.3, -1.5, -1.0, 0.4, -0.2])  # means, log-scales, logits
    u = np.random.default_rng(6).uniform(0, 1, (n, 2))
    x = np.asarray(draw(*(np.tile(part, (n, 1)) for part in row.reshape(3, k)), u))
    levels = np.bincount(np.rint((x + 1) * 4).astype(int), minlength=9) / n
    params = torch.tensor(row)[None, :, None].expand(-1, -1, 9)
    want = head.log_prob(params, torch.linspace(-1, 1, 9).double()[None, None])[0].exp().numpy()
    require(
        np.abs(levels - want).max() < 0.01,
        "40,000 draws fall on nine levels as often as the library's log_prob says",
        f"on nine levels the draws come as often as {np.round(levels, 3)}, log_prob says {np.round(want, 3)}",
    )


def _nats(net: wavenet.WaveNet, x: torch.Tensor) -> float:
    """Nats per sample at unit amplitude."""
    with torch.no_grad():
        return net.head.log_density(net(x), x).mean().item()


def _against(change: float) -> str:
    return "same" if abs(change) < 0.01 else "higher" if change > 0 else "lower"


@exercise("7.9", "predict, then run: the same word, changed")
def backwards(prediction: Callable) -> None:
    """prediction() -> {"half": nats, "linear": word, "network": word}."""
    x = torch.tensor(unconditional.dithered(data.example()))[None, None]  # (1, 1, T)

    def linear(x: torch.Tensor) -> wavenet.WaveNet:
        one = wavenet.WaveNet(distributions.GaussianHead(-12.0), 1, 1, 1, 1, lpc_order=16)
        return one.double().init_from_data(x)

    network = unconditional.load_head("gaussian").double()
    plain = _nats(linear(x), x)
    predicts(
        prediction,
        {
            "half": (
                _nats(linear(x / 2), x / 2) - plain,
                0.02,
                (
                    "a density is a probability per unit of amplitude. When every sample is halved, and mean "
                    "and scale with it, the same probability lies on half the width: what does that do to "
                    "the density, and what to its logarithm?"
                ),
            ),
            "linear": (
                _against(_nats(linear(x.flip(-1)), x.flip(-1)) - plain),
                0,
                (
                    "least squares looks at products of samples k apart. Which of them change when "
                    "the order of time is turned round?"
                ),
            ),
            "network": (
                _against(_nats(network, x.flip(-1)) - _nats(network, x)),
                0,
                (
                    "this network was trained on words that run forwards, and it is no linear filter. A period "
                    "of a voice starts with a pulse and dies away: which is easier to foresee?"
                ),
            ),
        },
    )


def _random_net(layers: int, cycles: int, kernel: int, seed: int) -> wavenet.WaveNet:
    net = wavenet.WaveNet(distributions.GaussianHead(), 4, 4, layers, cycles, kernel).double()
    generator = torch.Generator().manual_seed(seed)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.4, generator=generator)
    return net.requires_grad_(False)


def _slopes_back(net: Callable, x: torch.Tensor, t: int) -> torch.Tensor:
    """∂θ_p[t] / ∂x[t - 1], ∂θ_p[t] / ∂x[t - 2], …: (P, t)."""
    x = x.clone().requires_grad_()
    theta = net(x)[0, :, t]
    rows = [torch.autograd.grad(one, x, retain_graph=True)[0][0, 0, :t] for one in theta]
    return torch.stack(rows).flip(-1)


@exercise("7.10", "how far it really looks")
def effective_field(looks_back: Callable) -> None:
    """looks_back(net, x (1, 1, T), t, share) -> how many of the last samples hold that share of |∂θ[t]/∂x|."""

    def enough(weight: torch.Tensor, share: float) -> int:
        return int((weight.cumsum(0) < share * weight.sum()).sum()) + 1

    def right(net: Callable, x: torch.Tensor, t: int, share: float) -> int:
        return enough(_slopes_back(net, x, t).abs().sum(0), share)

    generator = torch.Generator().manual_seed(7)
    x = torch.randn(1, 1, 140, generator=generator, dtype=torch.float64)
    first = _random_net(5, 1, 3, 2), x, 100, 0.95
    slopes = _slopes_back(*first[:3])
    weight = slopes.abs().sum(0)

    def level(x: torch.Tensor) -> torch.Tensor:  # equal slopes: sums reach a share exactly
        past = sum(F.pad(x, (k, 0))[..., : x.shape[-1]] for k in range(1, 5))
        return torch.cat([past, -past], 1)

    agree(
        looks_back,
        right,
        [
            first,
            (_random_net(5, 2, 2, 1), x, 100, 0.5),
            (_random_net(4, 1, 3, 1), x, 60, 0.9),
            (_random_net(6, 1, 2, 2), x, 139, 0.95),
            (_random_net(3, 2, 2, 3), x[..., :30], 4, 0.99),
        ],
        "the number of samples",
        1e-9,
        [
            (enough(weight, 0.95) - 1, "one too few: together they must hold the share"),
            (enough(weight, 0.95) + 1, "one too many: as few as hold the share"),
            (
                first[0].receptive_field,
                "this is all that it can see: the question is where most lies",
            ),
            (
                enough(slopes.sum(0).abs(), 0.95),
                "slopes of different parameters cancel: take |·| of each",
            ),
            (
                enough(slopes.sum(0), 0.95),
                "slopes of opposite sign cancel: take the magnitude of each",
            ),
            (enough(slopes[0].abs(), 0.95), "the first parameter alone: all P of them count"),
            (enough(slopes[1].abs(), 0.95), "the second parameter alone: all P of them count"),
            (enough(weight**2, 0.95), "add up the magnitudes, not their squares"),
            (enough(weight.flip(0), 0.95), "counted from the oldest sample: begin with x[t - 1]"),
            (enough(weight, 0.05), "this is what holds the rest: the share itself is wanted"),
            (int((weight > 0.95 * weight.max()).sum()), "add them up, from the newest back"),
        ],
    )
    more = "at least that share: where the sum is the share exactly, no further sample is needed"
    compare(
        [looks_back(level, x, 50, share) for share in (0.25, 0.5, 0.75, 1.0)],
        [1, 2, 3, 4],
        "the number of samples of four equal slopes",
        1e-9,
        [(lambda got: (got[:3] == [2, 3, 4]).all(), more)],
    )
