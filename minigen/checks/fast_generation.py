"""Checks for the exercises of chapter 8."""

from __future__ import annotations

import gc
import tracemalloc
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache

import numpy as np
import torch

from .. import distributions, generate, wavenet
from .core import (
    CheckFailed,
    agree,
    compare,
    exercise,
    finds_bugs,
    parts,
    predicts,
    require,
    turned,
)


@cache
def network(layers: int, cycles: int, kernel: int, residual: int, skip: int) -> wavenet.WaveNet:
    """The library's WaveNet with a Gaussian head and random weights, in double precision."""
    net = wavenet.WaveNet(
        distributions.GaussianHead(), residual, skip, layers, cycles, kernel
    ).double()
    generator = torch.Generator().manual_seed(0)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.4, generator=generator)
    return net.requires_grad_(False)


@exercise("8.1", "what a sample costs")
def cost_of_a_sample(count: Callable) -> None:
    """count(layers, cycles, kernel, residual, skip) -> (naive, cached) multiplications, numbers in rings."""

    def right(n: int, c: int, K: int, R: int, S: int) -> tuple[int, int, int]:
        step = R + n * c * (2 * K * R * R + R * R + S * R) - R * R + S * S + 2 * S
        past = c * (K - 1) * (2**n - 1)
        return step, (2 + past) * step, (past + n * c) * R

    n, c, K, R, S = first = 3, 2, 3, 8, 5
    L, layer, ends = n * c, 2 * K * R * R + R * R + S * R, R + S * S + 2 * S
    step, naive, _ = right(*first)
    past = naive // step - 2
    hints = {
        "cached": [
            (step + R * R, "the last layer has no residual: nobody reads its output"),
            (
                L * (layer - K * R * R) + ends - R * R,
                "the convolution has 2R outputs: filter and gate",
            ),
            (
                L * (layer - 2 * (K - 1) * R * R) + ends - R * R,
                "every place of the kernel multiplies, all K of them",
            ),
            (n * layer + ends - R * R, "there are `layers` layers in each of the cycles"),
            (L * layer - R * R, "what comes before and after the layers is missing"),
            (
                L * (layer - S * R) + S * R + ends - R * R,
                "every layer has a skip product of its own",
            ),
            (naive, "this is the naive cost: a cached sample is one time step"),
            (2 * step, "multiplications only: additions are not counted"),
            (
                lambda got: got < L * layer,
                "much is missing: the input projection, every layer of every cycle, and the two products at the end",
            ),
        ],
        "naive": [
            (
                step * (1 + past),
                "the newest time step counts, too: 1 + r of them, r with the delay",
            ),
            (step * past, "1 + r time steps, and r has the delay of one sample in it"),
            (step, "this is one time step: naively the whole receptive field runs"),
            (step * (2 + past // c), "the dilations are gone through once in each cycle"),
            (step * (2 + past // (K - 1)), "a kernel of K looks K - 1 dilations back"),
            (
                lambda got: got % step == 0,
                "not 1 + r time steps: r is the delay and what every layer looks back, (K - 1) d each",
            ),
            (
                lambda got: got % step != 0,
                "a whole number of time steps, each as many as the cached one",
            ),
        ],
        "numbers in rings": [
            (past * R, "a ring holds the newest value, too: (K - 1) d + 1 of them"),
            (past + L, "each value is a vector of R numbers"),
            ((past + L) * 2 * R, "the rings hold what goes into a layer: R numbers, not 2R"),
            ((past // (K - 1) + L) * R, "the oldest of K values is (K - 1) dilations back"),
            ((past // c + n) * R, "every layer of every cycle has its ring"),
            ((past + 1) * R, "each ring has its newest value"),
            ((past + 2) * R, "one ring for each layer, not one for all"),
            (R, "these are the numbers of one value: every ring holds several"),
        ],
    }
    cases = [first, (1, 1, 2, 1, 1), (10, 3, 2, 32, 64), (4, 3, 4, 2, 7), (7, 2, 2, 32, 32)]
    names = ("cached", "naive", "numbers in rings")

    def cached_first(*case: int) -> list:
        naive, cached, held = _three(count(*case))
        return [cached, naive, held]

    cached_first.function = getattr(count, "function", count)
    agree(cached_first, right, cases, names, 1e-12, hints)
    cached = generate.CachedWaveNet(network(*first), None, None, 1)
    held = sum(ring.size for ring in cached.rings)
    require(
        int(_three(count(*first))[2]) == held,
        "the library's rings hold as many numbers",
        f"the library's rings hold {held} numbers",
    )


def _three(answer: object) -> list:
    return parts(answer, "naive", "cached", "numbers in rings")


@exercise("8.2", "a ring of memory")
def ring_memory(make: Callable) -> None:
    """make(size) -> object with push(value) and read(delay): what was pushed `delay` pushes ago."""
    values = np.arange(1.6, 40.0)
    for size in (1, 4, 9):
        ring, other = make(size), make(size)
        got = []
        for n, value in enumerate(values):
            ring.push(value)
            other.push(-value)
            found = [ring.read(delay) for delay in range(size)]
            if any(v is None for v in found):
                raise CheckFailed(
                    f"✗ a ring of {size}: None where nothing was pushed yet, 0 is due"
                )
            got.append([float(v) for v in found])
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
            (
                [[row[-1], *row[:-1]] for row in want],
                "one too new: delay 0 is what was just pushed, not the slot that is written next",
            ),
            (early, "one too new: count back from the value that was just pushed"),
            (
                lambda got: np.min(got) < 0,
                "it holds what was pushed into another ring: each has a memory of its own",
            ),
            (first, "before the start there is silence: zeros, not the first value"),
        ]
        if size > 1:
            hints.append((reverse, "counted from the oldest: delay 0 is the newest"))
        compare(got, want, f"a ring of {size}", 1e-12, hints)
    size = 50_000
    _, copied = _memory(make(size), 1)
    if copied > size:
        raise CheckFailed(
            f"✗ a ring of {size:,}: a push copies {copied:,} bytes, all that it holds. Nothing is moved: only the "
            "place where the next value goes"
        )
    if _moves(make(30), 30):
        raise CheckFailed(
            "✗ a ring of 30: a push moves values to other places. Nothing is moved: only the place where the "
            "next value goes"
        )
    held, _ = _memory(make(9), 5000)
    require(
        held < 5000,
        "it forgets what nobody will read",
        f"5,000 pushes later a ring of 9 holds {held:,} bytes more: it overwrites the oldest",
    )


def _memory(ring: object, pushes: int) -> tuple[int, int]:
    """Bytes that so many pushes leave behind, and that they take meanwhile."""
    ring.push(1.0), ring.read(0)
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    for n in range(pushes):
        ring.push(n + 0.5), ring.read(0)
    after, peak = tracemalloc.get_traced_memory()
    if not tracing:
        tracemalloc.stop()
    return after - before, peak - before


def _moves(ring: object, size: int) -> bool:
    """Whether a push writes into more than two places of a memory of so many values."""

    def memories(value: object, depth: int = 3) -> Iterator[list]:
        for held in gc.get_referents(value):
            if isinstance(held, (list, np.ndarray, torch.Tensor, array)) and len(held) >= size:
                yield [float(v) for v in held]
            elif isinstance(held, (dict, list, tuple)) and depth:
                yield from memories(held, depth - 1)

    with suppress(TypeError, ValueError):  # it holds other things than numbers
        before = list(memories(ring))
        for n in range(3 * size):
            ring.push(n + 0.25), ring.read(0)
            after = list(memories(ring))
            if any(sum(map(float.__ne__, *pair)) > 2 for pair in zip(before, after, strict=False)):
                return True
            before = after
    return False


def _convolved(x: np.ndarray, w: np.ndarray, d: int) -> np.ndarray:
    taps = np.zeros((len(w) - 1) * d + 1)
    taps[::d] = w[::-1]
    return np.convolve(x, taps)[: len(x)]


class _Once:
    """Samples that come one after the other: of each one it is known when it is read."""

    def __init__(self, x: np.ndarray):
        self._x, self._next = x, 0
        self.shape, self.dtype, self.size, self.ndim = x.shape, x.dtype, x.size, 1

    def __len__(self) -> int:
        return len(self._x)

    def __getitem__(self, t: object) -> float:
        if not isinstance(t, (int, np.integer)) or not self._next - 1 <= t:
            what = "more than one sample" if not isinstance(t, (int, np.integer)) else f"x[{t}]"
            self._refuse(f"{what} is asked for when x[{self._next}] is next")
        if t >= len(self._x):
            raise IndexError(t)
        self._next = t + 1
        return self._x[t]

    def __array_function__(self, function: Callable, *call: object) -> np.ndarray:
        if function in (np.zeros_like, np.empty_like, np.ones_like):
            return function(self._x)
        return self._refuse(f"np.{function.__name__} takes all of x at once")

    def __array_ufunc__(self, function: Callable, *call: object, **names: object) -> None:
        self._refuse(f"np.{function.__name__} takes all of x at once")

    def __array__(self, *kind: object, **names: object) -> None:
        self._refuse("all of x is made into an array")

    def __getattr__(self, name: str) -> None:
        if hasattr(np.ndarray, name) and not name.startswith("__"):
            self._refuse(f"x.{name} looks at all of x")
        raise AttributeError(name)

    def _refuse(self, what: str) -> None:
        raise CheckFailed(
            f"✗ a stream: {what}. The samples come one by one: read each once, in order, and keep in a memory "
            "of (K - 1) d + 1 numbers what is needed later"
        )


FILTERS = ("numpy.convolve", "numpy.correlate", "torch.conv1d", *(
    f"scipy.{name}" for name in ("signal.lfilter", "signal.convolve", "signal.fftconvolve", "signal.oaconvolve", "ndimage.convolve1d")
))  # fmt: skip


@exercise("8.3", "a convolution as a stream", forbid=FILTERS)
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
                (
                    lambda got: np.shape(got) == np.shape(x) and np.asarray(got)[0] == 0,
                    "y[0] is 0: the newest weight meets x[0] itself, and only what is older is missing",
                ),
            ],
        )
    others = [
        (rng.normal(size=t), rng.normal(size=k), d)
        for t, k, d in ((1, 2, 3), (6, 4, 5), (300, 5, 40), (9, 1, 4), (12, 3, 1))
    ]
    agree(convolve, _convolved, others, "other sizes, also shorter than the past,", 1e-10)
    x, w, d = others[2]
    compare(
        convolve(_Once(x), w, d),
        _convolved(x, w, d),
        "a stream, of which each sample can be read once,",
        1e-10,
    )


@exercise("8.4", "one layer, one step")
def layer_step(step: Callable) -> None:
    """step(history (K, R), weights) -> (h_next (R,), skip (S,)): a gated layer for one sample."""
    rng = np.random.default_rng(1)
    sigmoid = lambda v: 1 / (1 + np.exp(-v))

    def case(K: int, R: int, S: int) -> tuple[np.ndarray, dict]:
        shapes = {
            "kernel": (K, 2 * R, R),
            "bias": (2 * R,),
            "mix": (R, R),
            "add": (R,),
            "skip": (S, R),
        }
        return rng.normal(size=(K, R)), {name: rng.normal(size=s) for name, s in shapes.items()}

    def gated(
        history: np.ndarray,
        w: dict,
        gate: Callable = sigmoid,
        swap: bool = False,
        squash: Callable = np.tanh,
    ) -> np.ndarray:
        z = np.einsum("koi,ki->o", w["kernel"], history) + w["bias"]
        f, g = np.split(z, 2)[:: -1 if swap else 1]
        return squash(f) * gate(g)

    history, weights = first = case(3, 4, 4)
    now, root, a = history[-1], 0.5**0.5, gated(*first)
    mixed = weights["mix"] @ a + weights["add"]
    skip = lambda a: weights["skip"] @ a
    newest = history * np.array([0, 0, 1])[:, None]
    no_sigmoid = "the gate is the sigmoid of g, 1 / (1 + e^-g): between 0 and 1, and rising"
    hints = {
        "skip": [
            (skip(gated(history[::-1], weights)), "turned round: the last row of history is h_now"),
            (
                skip(gated(*first, swap=True)),
                "filter and gate are exchanged: the first R rows are the filter",
            ),
            (
                skip(
                    np.tanh(
                        (
                            z := sum(W @ h for W, h in zip(weights["kernel"], history, strict=True))
                            + weights["bias"]
                        )[::2]
                    )
                    * sigmoid(z[1::2])
                ),
                "filter and gate are not every second row: the first half is the filter",
            ),
            (skip(gated(*first, gate=np.tanh)), "the gate is a sigmoid, from 0 to 1"),
            (skip(gated(*first, gate=np.ones_like)), "the gate is missing: it multiplies tanh f"),
            (skip(gated(*first, squash=lambda f: f)), "tanh is missing around the filter"),
            *(
                (skip(gated(*first, gate=gate)), no_sigmoid)
                for gate in (
                    np.exp,
                    lambda g: sigmoid(-g),
                    lambda g: 1 + np.exp(-g),
                    lambda g: 1 / (1 - np.exp(-g)),
                    lambda g: 1 / (2 + np.exp(-g)),
                    lambda g: 1 / (1 - g),
                )
            ),
            (
                skip(gated(newest, weights)),
                "only h_now is used: every row of history has its matrix",
            ),
            (a, "this is a: the skip path multiplies it by its matrix"),
            (skip((now + mixed) * root), "the skip path starts at a, not at h_next"),
            ((now + mixed) * root, "this is h_next: return h_next first, then skip"),
            (weights["skip"].T @ a, "the matrix of the skip path is transposed: (S, R)"),
        ],
        "h_next": [
            (now + mixed, "the factor 1/√2 is missing: without it every layer makes h louder"),
            ((now + mixed - weights["add"]) * root, "the bias `add` is missing"),
            (mixed * root, "the residual is missing: h_now goes round the layer"),
            ((history[0] + mixed) * root, "the residual is h_now, not the oldest row"),
            ((now + a) * root, "`mix` is missing between a and the residual"),
            ((now + skip(a)) * root, "`mix` goes to the residual, `skip` to the output"),
            ((now + mixed) / 2, "two unit variances add up to 2: divide by its root"),
        ],
    }

    def right(history: np.ndarray, w: dict) -> tuple[np.ndarray, np.ndarray]:
        a = gated(history, w)
        return w["skip"] @ a, (history[-1] + w["mix"] @ a + w["add"]) * root

    cases = [first, case(2, 1, 3), case(4, 7, 2), case(1, 2, 1)]
    cases += [(large * history, weights) for large in (-900, 900)]
    agree(turned(step, "h_next", "skip"), right, cases, ("skip", "h_next"), 1e-9, hints)


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
        (
            mean + np.exp(heat * np.maximum(log_scale, floor)) * noise,
            "the temperature scales the noise, not the logarithm of the scale",
        ),
        (
            mean + heat * np.exp(np.maximum(log_scale, floor) / 2) * noise,
            "the logarithm is that of the scale, not of its square",
        ),
        (
            mean + heat * (np.exp(log_scale) + np.exp(floor)) * noise,
            "the floor is not added: what lies above it stays as it is",
        ),
    ]
    agree(draw, right, cases, "samples", 1e-9, hints)


class TooNew(generate.CachedWaveNet):
    """Every ring is read one step too late: h[t - d + 1] for h[t - d]."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.layers = [
            (w, b, [max(d - 1, 0) for d in delays], r) for w, b, delays, r in self.layers
        ]


def last_change(kind: type, net: wavenet.WaveNet, steps: int = 60) -> int:
    """The last step at which parameters still know whether x[0] was 0 or 1."""
    runs = []
    for first in (0.0, 1.0):
        cache, x = kind(net, None, None, 1), np.zeros(steps)
        x[0] = first
        past = np.concatenate([[0.0], x[:-1]])  # past[t] = x[t - 1]
        runs.append(np.stack([cache.step(past[t : t + 1])[:, 0] for t in range(steps)]))
    return int(np.flatnonzero(np.abs(runs[1] - runs[0]).max(1) > 0).max())


@exercise("8.6", "predict, then run: how long an impulse lasts")
def impulse(prediction: Callable) -> None:
    """prediction() -> {"last": step, "late": step, "numbers": whole number}."""
    net = network(3, 2, 2, 4, 4)
    held = sum(ring.size for ring in generate.CachedWaveNet(net, None, None, 1).rings)
    predicts(
        prediction,
        {
            "last": (
                last_change(generate.CachedWaveNet, net),
                0,
                (
                    "add up how far each of the six layers looks back, and the delay of the waveform. The "
                    "oldest sample that step t sees is x[t - r]"
                ),
            ),
            "late": (
                last_change(TooNew, net),
                0,
                (
                    "each layer now looks back one step less. How many layers are there, and what is "
                    "left of a dilation of 1?"
                ),
            ),
            "numbers": (
                held,
                0,
                "a ring holds its newest value and everything back to t - d, and each value is a vector",
            ),
        },
    )


class _Counter(generate.CachedWaveNet):
    """The step counter is one byte: after 255 comes 0."""

    def step(self, newest: np.ndarray) -> np.ndarray:
        out = super().step(newest)
        self.n %= 256
        return out


class _Half(generate.CachedWaveNet):
    """The rings hold half precision, and only the last parameter is made from them."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.rings = [ring.astype(np.float16) for ring in self.rings]
        self.exact = generate.CachedWaveNet(*args)

    def step(self, newest: np.ndarray) -> np.ndarray:
        return np.concatenate([self.exact.step(newest)[:-1], super().step(newest)[-1:]])


class _Exchanged(generate.CachedWaveNet):
    """Its first and its last parameter change places."""

    def step(self, newest: np.ndarray) -> np.ndarray:
        return super().step(newest)[::-1]


class _Unsigned(generate.CachedWaveNet):
    """What is below zero counts as zero."""

    def step(self, newest: np.ndarray) -> np.ndarray:
        return super().step(np.maximum(newest, 0))


class _Deep(generate.CachedWaveNet):
    """The kernel of the last layer is the wrong way round."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        w, b, delays, r = self.layers[-1]
        self.layers[-1] = (w, b, delays[::-1], r)


def _stream(
    net: wavenet.WaveNet, kind: type = generate.CachedWaveNet, shared: bool = False
) -> Callable:
    """start() -> step(newest number) -> parameters (P,)."""
    kept = []

    def start() -> Callable:
        if not (shared and kept):
            kept.append(kind(net, None, None, 1))
        cache = kept[-1]
        return lambda newest: cache.step(np.full(1, float(newest)))[:, 0]

    return start


def _touched(net: wavenet.WaveNet, t: int, by: tuple, first: int = 0) -> Callable:
    """As `_stream`, but at step t the first and the last parameter are off by so much, from stream number `first` on."""
    streams = iter(range(10**6))

    def start() -> Callable:
        step, count, stream = _stream(net)(), iter(range(10**6)), next(streams)

        def other(newest: float) -> np.ndarray:
            made = step(newest)
            if next(count) == t and stream >= first:
                made[0] += by[0]
                made[-1] += by[1]
            return made

        return other

    return start


def _replayed(net: wavenet.WaveNet) -> Callable:
    """As `_stream`, but a second stream gives the parameters of the first."""
    told = []

    def start() -> Callable:
        cache, before = generate.CachedWaveNet(net, None, None, 1), iter(told[:])

        def step(newest: float) -> np.ndarray:
            made = cache.step(np.full(1, float(newest)))[:, 0]
            told.append(made)
            return next(before, made)

        return step

    return start


def _pass(net: wavenet.WaveNet) -> Callable:
    """all_at_once(x (T,)) -> parameters (P, T)."""
    return lambda x: net(torch.tensor(np.asarray(x, dtype=float))[None, None])[0].numpy()


@exercise("8.7", "the test that finds the bug")
def same_as_the_pass(is_right: Callable) -> None:
    """is_right(start, all_at_once, length) -> bool, for start() -> step(x[t-1]) -> (P,), all_at_once(x) -> (P, T)."""
    nets = [network(3, 2, 2, 4, 4), network(2, 2, 3, 3, 5), network(1, 1, 2, 2, 1)]
    lengths = (300, 280, 20)
    bugs = {
        "its rings are read one step too late, h[t - d + 1] for h[t - d]": (TooNew, False),
        "a second stream starts with what the first left in its rings": (
            generate.CachedWaveNet,
            True,
        ),
        "its step counter is one byte, and after 256 steps the rings are read at the wrong place": (
            _Counter,
            False,
        ),
        "the kernel of its last layer is the wrong way round": (_Deep, False),
        "mean and log-scale are exchanged": (_Exchanged, False),
        "a sample below zero counts as zero": (_Unsigned, False),
        "its last parameter is made from rings of half precision, with three digits": (
            _Half,
            False,
        ),
    }
    finds_bugs(
        is_right,
        [
            ((_stream(net), _pass(net), n), f"a stream that sees {net.receptive_field} samples")
            for net, n in zip(nets, lengths, strict=True)
        ],
        [
            ((_stream(net, kind, shared), _pass(net), n), what)
            for net, n in list(zip(nets, lengths, strict=True))[:2]
            for what, (kind, shared) in bugs.items()
        ]
        + [
            ((_replayed(net), _pass(net), n), "a second stream gives the parameters of the first")
            for net, n in list(zip(nets, lengths, strict=True))[:2]
        ]
        + [
            ((_touched(net, t, by), _pass(net), n), f"at step {t} of {n} it is off by a millionth")
            for net, n in [(nets[2], lengths[2])]
            for t in (0, n // 2, n - 1)
            for by in ((1e-6, 0), (0, -1e-6), (1e-6, -1e-6))
        ]
        + [
            (
                (_touched(nets[2], t, (1e-6, 0), 1), _pass(nets[2]), 60),
                "streams after the first are off at one step",
            )
            for t in (0, 59)
        ],
        "every stream gives the parameters of the pass, to rounding in double precision, for `length` samples",
    )
