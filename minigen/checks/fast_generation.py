"""Checks for the exercises of chapter 8."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .core import agree, compare, exercise, require, turned

__all__ = ["cost_of_a_sample", "layer_step", "ring_memory", "same_noise", "stream"]


@exercise("8.1", "the cost of a sample")
def cost_of_a_sample(count: Callable) -> None:
    """count(layers, kernel, residual, skip, params, field) -> (naive, cached) multiplications."""
    L, K, R, S, P, r = 6, 3, 8, 5, 2, 126
    layer, rest = 2 * K * R * R + R * R + S * R, R + S * S + P * S
    step = L * layer + rest - R * R

    def right(L: int, K: int, R: int, S: int, P: int, r: int) -> tuple[int, int]:
        one = R + L * (2 * K * R * R + R * R + S * R) - R * R + S * S + P * S
        return one, (1 + r) * one

    hints = {
        "cached": [
            (step + R * R, "the last layer has no residual: nobody reads its output"),
            (
                L * (layer - K * R * R) + rest - R * R,
                "the convolution has 2R outputs: filter and gate",
            ),
            (
                L * (layer - 2 * (K - 1) * R * R) + rest - R * R,
                "every tap multiplies, all K of them",
            ),
            (L * layer - R * R, "what comes before and after the layers is missing"),
            (step * (1 + r), "this is the naive cost: a cached sample is one time step"),
            (2 * step, "multiplications only: additions are not counted"),
        ],
        "naive": [
            (step * r, "the newest time step counts, too: 1 + r of them"),
            (step, "this is one time step: naively the whole receptive field runs"),
            (step * 2**L, "the receptive field is given: it is r, not 2^layers"),
        ],
    }
    cases = [(L, K, R, S, P, r), (1, 1, 1, 1, 1, 0), (10, 2, 32, 64, 30, 1023), (3, 4, 2, 7, 1, 11)]
    agree(turned(count, "naive", "cached"), right, cases, ("cached", "naive"), 1e-12, hints)


@exercise("8.2", "a ring of memory")
def ring_memory(make: Callable) -> None:
    """make(size) -> object with push(value) and read(delay): what was pushed `delay` pushes ago."""
    values = np.arange(1.0, 40.0)
    for size in (1, 4, 9):
        ring = make(size)
        got = []
        for n, value in enumerate(values):
            ring.push(value)
            got.append([float(ring.read(delay)) for delay in range(size)])
            if n > 3 * size:
                break
        want = [[values[n - d] if n >= d else 0.0 for d in range(size)] for n in range(len(got))]
        late = [
            [0.0 if n < d + 1 else values[n - d - 1] for d in range(size)] for n in range(len(got))
        ]
        early = [[values[max(0, n - d + 1)] for d in range(size)] for n in range(len(got))]
        first = [[values[max(0, n - d)] for d in range(size)] for n in range(len(got))]
        reverse = [row[::-1] for row in want]
        hints = [
            (late, "one too old: delay 0 is the newest, which was just pushed"),
            (early, "one too new: count back from the value that was just pushed"),
            (first, "before the start there is silence: zeros, not the first value"),
        ]
        if size > 1:
            hints.append((reverse, "counted from the oldest: delay 0 is the newest"))
        compare(got, want, f"a ring of {size}", 1e-12, hints)
    memory = vars(ring) if hasattr(ring, "__dict__") else {}
    longest = max((len(v) for v in memory.values() if hasattr(v, "__len__")), default=0)
    require(
        longest <= 9,
        "it forgets what nobody will read",
        f"it still holds {longest} values: a ring of 9 overwrites the oldest",
    )


def _convolved(x: np.ndarray, w: np.ndarray, d: int) -> np.ndarray:
    taps = np.zeros((len(w) - 1) * d + 1)
    taps[::d] = w[::-1]
    return np.convolve(x, taps)[: len(x)]


@exercise("8.3", "a convolution as a stream", forbid=("numpy.convolve", "scipy.signal.lfilter"))
def stream(convolve: Callable) -> None:
    """convolve(x (T,), weights (K,), dilation) -> y (T,): y[t] = Σ_k w[k] x[t - (K-1-k)·d]."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=50)
    for K, d in ((2, 1), (2, 8), (3, 4)):
        w = rng.normal(size=K)

        def conv(w, shift=0, K=K, d=d):
            y = np.zeros(len(x))
            for k in range(K):
                delay = (K - 1 - k) * d + shift
                lo = max(0, delay)
                y[lo:] += w[k] * x[: len(x) - lo]
            return y

        compare(
            convolve(x.copy(), w, d),
            conv(w),
            f"kernel {K}, dilation {d}",
            1e-10,
            [
                (
                    conv(w[::-1]),
                    "the taps are turned round: the last weight meets the newest sample",
                ),
                (conv(w, 1), "one sample late: y[t] sees x[t]"),
                (
                    sum(
                        w[k] * np.concatenate([np.zeros(K - 1 - k), x])[: len(x)] for k in range(K)
                    ),
                    "the dilation is missing: taps lie d samples apart",
                ),
                (
                    np.concatenate([np.zeros((K - 1) * d), conv(w)[(K - 1) * d :]]),
                    "the first outputs are zero: they too see what there is, and zeros before it",
                ),
            ],
        )
    others = [
        (rng.normal(size=t), rng.normal(size=k), d)
        for t, k, d in ((1, 2, 3), (6, 4, 5), (30, 5, 2), (9, 1, 4), (12, 3, 1))
    ]
    agree(convolve, _convolved, others, "other sizes, also shorter than the past,", 1e-10)


@exercise("8.4", "one layer, one step")
def layer_step(step: Callable) -> None:
    """step(h_now, h_past, weights) -> (h_next, a): a gated layer for one sample."""
    rng = np.random.default_rng(1)
    R = 4
    names = {"past": (2 * R, R), "now": (2 * R, R), "bias": (2 * R,), "mix": (R, R), "add": (R,)}
    weights = {name: rng.normal(size=shape) for name, shape in names.items()}
    now, past = rng.normal(size=(2, R))
    sigmoid = lambda v: 1 / (1 + np.exp(-v))

    def truth(now_=now, past_=past, gate=sigmoid, swap=False):
        z = weights["past"] @ past_ + weights["now"] @ now_ + weights["bias"]
        f, g = (z[R:], z[:R]) if swap else (z[:R], z[R:])
        return np.tanh(f) * gate(g)

    def out(a):
        return weights["mix"] @ a + weights["add"]

    a, root = truth(), 0.5**0.5
    hints = {
        "a": [
            (truth(past, now), "past and now are exchanged"),
            (truth(swap=True), "filter and gate are exchanged: the first R rows are the filter"),
            (truth(gate=np.tanh), "the gate is a sigmoid, from 0 to 1"),
            (truth(past_=0 * past), "h_past is not used"),
            ((now + out(a)) * root, "this is h_next: return h_next first, then a"),
        ],
        "h_next": [
            (now + out(a), "the factor 1/√2 is missing: without it every layer makes h louder"),
            ((now + weights["mix"] @ a) * root, "the bias `add` is missing"),
            (out(a) * root, "the residual is missing: h_now goes round the layer"),
            ((past + out(a)) * root, "the residual is h_now, not h_past"),
            ((now + a) * root, "`mix` is missing between a and the residual"),
        ],
    }

    def right(now: np.ndarray, past: np.ndarray, w: dict) -> tuple[np.ndarray, np.ndarray]:
        f, g = np.split(w["past"] @ past + w["now"] @ now + w["bias"], 2)
        a = np.tanh(f) * sigmoid(g)
        return a, (now + w["mix"] @ a + w["add"]) * root

    others = []
    for R in (1, 7):
        names = {
            "past": (2 * R, R),
            "now": (2 * R, R),
            "bias": (2 * R,),
            "mix": (R, R),
            "add": (R,),
        }
        others.append(
            (
                *rng.normal(size=(2, R)),
                {name: rng.normal(size=shape) for name, shape in names.items()},
            )
        )
    agree(
        turned(step, "h_next", "a"),
        right,
        [(now, past, weights), *others],
        ("a", "h_next"),
        1e-9,
        hints,
    )


@exercise("8.5", "the same noise", own_chance=True)
def same_noise(draw: Callable) -> None:
    """draw(mean, log_scale, noise, temperature, floor) -> x: from a Gaussian with a floor."""
    mean, log_scale = np.array([0.1, -0.2, 0.3]), np.array([-1.0, -9.0, -3.0])
    noise, floor = np.array([1.5, -0.5, 2.0]), -7.0
    scale = np.exp(np.maximum(log_scale, floor))
    right = lambda m, s, z, heat, floor: m + heat * np.exp(np.maximum(s, floor)) * z
    heat, rng = 0.5, np.random.default_rng(0)
    cases = [(mean, log_scale, noise, heat, floor), (mean, log_scale, noise, 1.0, floor)]
    cases += [(*rng.normal(0, 2, (3, n)), t, low) for n, t, low in ((1, 0.0, -1.0), (9, 1.3, 0.5))]
    hints = [
        (mean + heat * np.exp(log_scale) * noise, "the floor is missing under the log-scale"),
        (mean + heat * np.maximum(log_scale, floor) * noise, "the scale is exp(log_scale)"),
        (heat * (mean + scale * noise), "temperature scales the noise, not the mean"),
        (
            mean + heat * np.exp(np.minimum(log_scale, floor)) * noise,
            "the floor is a smallest value: take the larger of the two",
        ),
        (mean + scale**2 * heat * noise, "the scale is a standard deviation, not a variance"),
        (mean + scale * noise, "the temperature is not used"),
    ]
    agree(draw, right, cases, "samples", 1e-9, hints)
