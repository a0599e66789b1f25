"""Checks for the exercises of chapter 13."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.signal import lfilter
from torch import Tensor

from ..flows import IAF, CausalFilter, MaskedAffineAutoregressive
from .core import (
    CheckFailed,
    agree,
    compare,
    exercise,
    finds_bugs,
    nudged,
    nudges,
    ok,
    parts,
    predicts,
    require,
)


@exercise("13.1", "the density of an autoregressive flow")
def log_density(function: Callable) -> None:
    """function(x (B, T), net) -> (B,): net(x) gives m, s, both (B, T), from past x."""
    x = torch.tensor([[0.5, -1.0, 0.3], [1.2, 0.1, -0.6]], dtype=torch.float64)

    def net(x: Tensor) -> tuple[Tensor, Tensor]:
        past = torch.cat([torch.zeros(len(x), 1, dtype=x.dtype), x[:, :-1]], 1)
        return 0.8 * past, 0.4 * past - 0.2

    m, s = net(x)
    z = (x - m) * torch.exp(-s)
    half = 0.5 * math.log(2 * math.pi)
    got = function(x, net)
    if np.ndim(got) == 0:
        raise CheckFailed(
            "✗ log p(x): a single number, summed over the batch as well: one value for each row"
        )

    def right(x: Tensor, net: Callable) -> Tensor:
        m, s = net(x)
        return (-0.5 * ((x - m) * torch.exp(-s)) ** 2 - half - s).sum(1)

    generator = torch.Generator().manual_seed(0)
    others = [torch.randn(n, t, generator=generator).double() for n, t in ((1, 1), (4, 6), (3, 2))]
    other_net = lambda x: (torch.sin(net(x)[0]), 0.5 + net(x)[1])
    agree(
        function,
        right,
        [(x, net), *((v, other_net) for v in others), (50 * others[1], net)],
        "log p(x)",
        1e-9,
        [
            (
                (-0.5 * (x * torch.exp(-s)) ** 2 - half - s).sum(1),
                "the mean m is not taken away before the scale is undone",
            ),
            ((-0.5 * z**2 - half).sum(1), "the log-determinant is missing: - Σ s"),
            ((-0.5 * z**2 - half - s)[:, 1:].sum(1), "the first sample is missing"),
            ((-0.5 * z**2 - half + s).sum(1), "the log-determinant has the wrong sign"),
            ((-0.5 * z**2 - s).sum(1), "½ log 2π is missing, once for each sample"),
            (
                (-0.5 * ((x - m) * torch.exp(s)) ** 2 - half - s).sum(1),
                "multiplied by exp(s): from data to noise one divides",
            ),
            ((-0.5 * z**2 - half - s).mean(1), "averaged over time: it must be summed"),
            ((-(z**2) - half - s).sum(1), "the ½ of the square is missing"),
            (
                (-0.5 * (x - m) ** 2 * torch.exp(-s) - half - s).sum(1),
                "e^s is the standard deviation, not the variance: the error is divided by all of it",
            ),
            ((-0.5 * z**2 - 2 * half - s).sum(1), "log 2π counts half"),
            (
                right(x, lambda v: net(v - m)),
                "the net reads x itself, not what is left of it after a first pass",
            ),
            (
                right(x, lambda v: net(z)),
                "the net reads x, not z: this is a flow from data to noise",
            ),
            (
                (-0.5 * (x * torch.exp(-s) - m) ** 2 - half - s).sum(1),
                "the mean is taken away first, and then the scale is undone",
            ),
            (
                (-0.5 * (x * torch.exp(s) + m) ** 2 - half - s).sum(1),
                "this is the direction noise -> data: take the mean away, and divide",
            ),
            (
                lambda got: np.allclose(got, right(x, lambda v: net(F.pad(v, (1, 0))[:, :-1]))),
                "the net is given x a sample late: it looks at the past by itself",
            ),
        ],
    )


@exercise("13.2", "sampling, step by step")
def sample(function: Callable) -> None:
    """function(z (B, T), net) -> x (B, T): net(x) gives m, s at t from x_{<t}."""
    z = torch.tensor([[0.5, -1.0, 0.3, 0.2], [1.2, 0.1, -0.6, -0.3]], dtype=torch.float64)

    def net(x: Tensor) -> tuple[Tensor, Tensor]:
        zero = torch.zeros(len(x), 1, dtype=x.dtype)
        past = torch.cat([zero, x[:, :-1]], 1).cumsum(1)
        return 0.6 * past, 0.3 * torch.sin(past) + 0.1

    want = torch.zeros_like(z)
    for t in range(z.shape[1]):
        m, s = net(want)
        want[:, t] = z[:, t] * torch.exp(s[:, t]) + m[:, t]
    m0, s0 = net(torch.zeros_like(z))
    mz, sz = net(z)

    def right(
        z: Tensor, net: Callable, step: Callable = lambda z, m, s: z * torch.exp(s) + m
    ) -> Tensor:
        x = torch.zeros_like(z)
        for t in range(z.shape[1]):
            m, s = net(x)
            x[:, t] = step(z[:, t], m[:, t], s[:, t])
        return x

    agree(
        function,
        right,
        [(z, net)],
        "x",
        1e-9,
        [
            (
                right(z, net, lambda z, m, s: (z - m) * torch.exp(-s)),
                "this divides: from noise to data one multiplies by e^s, and adds the mean",
            ),
            (
                lambda x: np.shape(x) == (2, 4) and not np.any(x[:, 0]) and np.any(x),
                "the first sample is missing: it needs no past, only its own noise",
            ),
            (
                right(z, net, lambda z, m, s: z * torch.exp(s) - m),
                "the mean is added, not taken away",
            ),
            (
                right(z, net, lambda z, m, s: (z + m) * torch.exp(s)),
                "the noise alone is scaled, then the mean is added",
            ),
            (
                right(z, lambda x: net(x[:1].expand_as(x))),
                "every row has a past of its own: the net was given the first row alone",
            ),
            (z * torch.exp(s0) + m0, "one pass from zeros: only the first sample is right"),
            (z * torch.exp(sz) + mz, "the net was given z: this is a sample of the IAF"),
            ((z - mz) * torch.exp(-sz), "this is the direction data -> noise"),
            (
                lambda x: (
                    np.allclose(x[:, :1], want[:, :1]) and not np.allclose(x[:, 1:], want[:, 1:])
                ),
                "the first sample is right, later ones are not: give the net the x made so far, take column t",
            ),
        ],
    )
    made = torch.as_tensor(function(z, net), dtype=z.dtype)
    m, s = net(made)
    require(
        torch.allclose((made - m) * torch.exp(-s), z, atol=1e-5),
        "one pass back gives the noise again",
        "one pass back does not give the noise",
    )

    generator = torch.Generator().manual_seed(0)
    others = [
        (torch.randn(n, t, generator=generator).double(), net) for n, t in ((1, 1), (3, 9), (2, 2))
    ]
    wide = lambda x: (-9 * torch.sin(net(x)[0]), 4 * torch.sin(5 * net(x)[0] + 1))
    others += [
        (5 * torch.randn(n, t, generator=generator).double(), wide) for n, t in ((2, 5), (1, 40))
    ]
    agree(function, right, others, "samples of other lengths", 1e-9)


@exercise("13.3", "the masks")
def masks(make: Callable) -> None:
    """make(first (D,), [hidden (H_1,), hidden (H_2,), …]) -> [(H_1, D), (H_2, H_1), …, (D, H_last)] of 0 and 1."""
    cases = [
        ([1, 2, 3, 4], [[1, 2, 3], [3, 1, 2, 2, 1]]),
        ([1, 2, 3, 4], [[1, 1, 2, 3, 3]]),
        ([3, 1, 4, 2], [[1, 1, 2, 3, 3], [2, 3, 1, 1]]),
        ([4, 3, 2, 1], [[3, 1, 2]]),
        ([1, 2], [[1], [1], [1]]),
        ([2, 5, 1, 4, 3, 6], [[5, 1, 3, 2], [1, 6, 2, 3], [4, 2, 5, 1]]),
    ]
    for first, hidden in cases:
        degrees = [torch.tensor(first), *(torch.tensor(layer) for layer in hidden)]
        names = [
            "the first mask",
            *(f"mask {k + 2}" for k in range(len(hidden) - 1)),
            "the last mask",
        ]
        got = parts(make(degrees[0], degrees[1:]), *names)
        for k, name in enumerate(names):
            source = degrees[k]
            last = k == len(hidden)
            into = degrees[0 if last else k + 1][:, None]
            if last:
                hints = [
                    (
                        into >= source,
                        "`>=` in the last mask: output t sees x_t itself, so the Jacobian's diagonal is wrong",
                    ),
                    (into < source, "turned round: output t sees units of a lower degree"),
                    (into <= source, "turned round: output t sees units of a lower degree"),
                ]
            else:
                hints = [
                    (
                        into > source,
                        "`>`: a hidden unit of degree k may see what has degree k itself",
                    ),
                    (into <= source, "turned round: k sees degrees up to k, not from k on"),
                    (into < source, "turned round: k sees degrees up to k, not from k on"),
                ]
            want = into > source if last else into >= source
            given = f", {len(hidden)} hidden layers"
            compare(got[k], want, name + given, 1e-9, hints, quiet=True)
        paths = torch.eye(len(first)).double()
        for mask in got:
            paths = torch.as_tensor(mask).double() @ paths
        order = torch.tensor(first)
        if (paths[order[:, None] <= order] > 0).any():
            raise CheckFailed("✗ there is a path from the present or the future to an output")
    ok(f"all masks are right, for {len(cases)} networks of one to three hidden layers")
    ok("no path leads from the present or the future to an output")


def _responses(a: np.ndarray) -> np.ndarray:
    """x = H z by solving the recursion, written as a triangular system, for every z."""
    T = len(a)
    system = np.eye(T)
    for k in range(a.shape[1]):
        for t in range(k + 1, T):
            system[t, t - 1 - k] -= a[t, k]
    return np.linalg.inv(system)


@exercise("13.4", "echoes of a filter that moves")
def impulse_responses(responses: Callable) -> None:
    """responses(a (T, p)) -> H (T, T) with x = H z where x_t = Σ_k a[t, k - 1] x_{t-k} + z_t."""
    rng = np.random.default_rng(1)
    a = rng.uniform(-0.7, 0.7, (8, 3))
    H, T = _responses(a), len(a)
    plain = np.eye(T) * 2 - np.linalg.inv(H)  # I and the weights: no echo of an echo
    source = np.stack([_responses(np.tile(row, (T, 1)))[:, t] for t, row in enumerate(a)], 1)
    moved = _responses(np.roll(a, 1, 0))
    others = [(rng.uniform(-0.6, 0.6, s),) for s in ((1, 2), (5, 1), (4, 7), (30, 2), (12, 5))]
    agree(
        responses,
        _responses,
        [(a,), *others],
        "H",
        1e-9,
        [
            (H.T, "turned round: x_t stands in row t, z_s in column s"),
            (_responses(-a), "the signs of the weights are turned round"),
            (plain, "these are the weights: the echo of an echo is missing"),
            (H - np.eye(T), "the diagonal is missing: the noise itself comes out at once"),
            (_responses(a[:, ::-1]), "the weights are reversed: a[t, 0] belongs to x_{t-1}"),
            (_responses(np.tile(a[0], (T, 1))), "the weights of the first moment for all: they move"),
            (source, "an echo goes on with the weights of the moment that it has reached, not of its start"),
            (moved, "the weights of the moment before: x_t is made with a[t]"),
        ],
    )  # fmt: skip
    fixed = np.array([1.3, -0.8, 0.1])
    noise = np.random.default_rng(0).normal(size=40)
    made = np.asarray(responses(np.tile(fixed, (40, 1)))) @ noise
    require(
        np.allclose(made, lfilter([1.0], np.concatenate([[1], -fixed]), noise)),
        "with weights that stay it makes the samples of the recursion",
        "with weights that stay it does not make the samples of the recursion",
    )


@exercise("13.5", "find the leak")
def leaks(find: Callable) -> None:
    """find(net, x (D,)) -> list of (t, t'): outputs that see an input they must not, t' >= t."""
    x = torch.tensor([0.4, -0.3, 0.8, 0.1], dtype=torch.float64)

    def leaky(x: Tensor) -> Tensor:
        past = torch.cat([x.new_zeros(1), x.cumsum(0)[:-1]])
        wrong = torch.zeros(4, dtype=x.dtype)
        wrong = wrong.index_add(0, torch.tensor([1, 2]), torch.stack([x[1] ** 2, 0.5 * x[3]]))
        return torch.tanh(past) + wrong

    def clean_of(x: Tensor) -> Tensor:
        return torch.tanh(torch.cat([x.new_zeros(1), x.cumsum(0)[:-1]]))

    clean = clean_of

    def pairs(function: Callable, x: Tensor = x) -> set[tuple[int, int]]:
        answer = find(function, x)
        try:
            return {(int(t), int(s)) for t, s in answer}
        except (TypeError, ValueError):
            raise CheckFailed(
                f"✗ the leaks: return a list of pairs (t, t'), this is {answer!r}"
            ) from None

    def at_one_place(x: Tensor) -> Tensor:
        parts = list(clean_of(x))
        parts[0] = parts[0] + torch.relu(0.01 - (x[3] - 0.095).abs())
        return torch.stack(parts)

    found = pairs(leaky)
    if found == {(2, 3)}:
        raise CheckFailed("✗ the leaks: (1, 1) is missing: an output must not see its own input")
    if found == {(1, 1), (3, 2)} or found == {(3, 2)}:
        raise CheckFailed("✗ the leaks: indices exchanged: first the output t, then the input t'")
    if {(1, 0), (2, 0)} <= found:
        raise CheckFailed("✗ the leaks: the past is no leak: only t' >= t counts")
    require(
        found == {(1, 1), (2, 3)},
        "both leaks are found",
        f"the leaks: expected (1, 1) and (2, 3), got {sorted(found)}",
    )
    require(not pairs(clean), "a clean network has none", "a clean network is accused")
    for at, leak in ((x, {(0, 3)}), (x + 1, set()), (x - 1, set()), (x - 0.1, set())):
        if pairs(at_one_place, at) != leak:
            raise CheckFailed(
                "✗ the leaks: whether a net leaks may depend on the point: look at the x that is given"
            )
    for size, planted in (
        (2, {(0, 0)}),
        (6, {(0, 4), (3, 3), (2, 5), (1, 2)}),
        (7, {(t, t) for t in range(7)}),
    ):
        point = torch.linspace(-1, 1, size, dtype=torch.float64)

        def sly(x: Tensor, planted: set = planted) -> Tensor:
            parts = list(clean_of(x))
            for t, s in planted:
                parts[t] = parts[t] + 1e-6 * torch.sin(x[s])
            return torch.stack(parts)

        got = pairs(sly, point)
        if got != planted:
            raise CheckFailed(
                f"✗ other leaks: in a net of {size} outputs expected {sorted(planted)}, got {sorted(got)}. "
                "Even a slope of 1e-6 is a leak"
            )
    ok("small ones too, in nets of other sizes")
    torch_net = MaskedAffineAutoregressive(4, (8,)).double()
    require(
        not pairs(lambda x: torch_net.net(x)[:, 0]),
        "the library's masked network has none",
        "the library's masked network is accused",
    )


@exercise("13.6", "entropy from one pass", own_chance=True)
def entropy(estimate: Callable) -> None:
    """estimate(flow, n, generator) -> -E[log q] in nats, its standard error, without the slow direction."""
    flow = IAF(3, 1, (8,)).requires_grad_(False)
    bias = flow.transform.transform.transforms[0].net.layers[-1].bias
    bias.copy_(torch.tensor([0.1, 0.3, -0.2, -0.5, 0.4, 0.8]))
    # z = (x - m) exp(-s) read backwards: x = (z - m) exp(-s), so the entropy is that of z, less Σ s
    s = sum(5 * math.tanh(value / 5) for value in (0.3, -0.5, 0.8))
    base = 1.5 * math.log(2 * math.pi * math.e)
    calls = []
    forward = flow.transform.transform.inverse
    flow.transform.transform.inverse = lambda *args: calls.append(1) or forward(*args)
    seeded = lambda seed: torch.Generator().manual_seed(seed)
    both = lambda n, seed: [
        float(value)
        for value in parts(estimate(flow, n, seeded(seed)), "entropy", "standard error")
    ]
    got, error = both(20_000, 0)
    _, log_q = flow.sample_and_log_prob((20_000,), generator=seeded(0))
    compare(
        got,
        base - s,
        "entropy",
        0.01,
        [
            (-(base - s), "the sign: entropy is -E[log q]"),
            ((base - s) / math.log(2), "these are bits: nats are asked for"),
            (base, "this is the entropy of the noise: the log-determinant is missing"),
            (base + s, "the log-determinant has the wrong sign"),
            ((base - s) / 3, "divided by D: the entropy is a sum"),
            (lambda value: 0 < value < 0.05, "this is the standard error, which comes second"),
            (-log_q.median(), "the median of -log q: an entropy is its mean"),
            (
                -log_q.exp().mean().log(),
                "the logarithm of the mean of q: an entropy is the mean of -log q",
            ),
        ],
    )
    require(
        not calls,
        "the slow direction was not used",
        "you called log_prob, which takes D steps: sample_and_log_prob has the density already",
    )
    for n in (20_000, 400):
        _, error = both(n, 0)
        _, log_q = flow.sample_and_log_prob((n,), generator=seeded(0))
        std = log_q.std().item()
        for wrong, reason in (
            (std, "this is the spread of one sample: a mean of n samples varies less, by √n"),
            (std**2 / n, "this is a variance: take its root"),
            (std**2, "this is the variance of one sample: a mean varies less, and take the root"),
            (std**2 / n**0.5, "the variance in place of the standard deviation"),
            (1.96 * std / n**0.5, "this is half of an interval of 95 %: the standard error alone"),
            (std / n, "divided by n: variances of a sum add, so a mean's spread falls with √n"),
            (std * n**0.5, "multiplied by √n: more samples make it surer"),
        ):
            if abs(error / wrong - 1) < 0.02:
                raise CheckFailed(f"✗ standard error of {n} samples: {reason}")
        if abs(error / (std / n**0.5) - 1) > 0.01:
            raise CheckFailed(
                f"✗ standard error: {error:.4g}, not {std / n**0.5:.4g}, the spread of log q over √n, of the {n} "
                "samples that this generator gives"
            )
    ok("the standard error is right, for two numbers of samples")
    few = [both(7, seed)[0] for seed in (1, 1, 2)]
    require(
        few[0] == few[1] and few[0] != few[2],
        "the generator decides, seed by seed",
        f"seeds 1, 1 and 2 give {few}: give your generator to sample_and_log_prob, and n as well",
    )
    _, log_q = flow.sample_and_log_prob((7,), generator=seeded(1))
    compare(few[0], -log_q.mean(), "the mean over 7 samples", 1e-5)


def _sweeps(a: float, T: int, sweeps: int) -> Tensor:
    """Errors |x - x'| after so many passes over x_t = a x_{t-1} + z_t, all t at once, from zeros."""
    layer = CausalFilter(T, torch.tensor([a]).double()).requires_grad_(False)
    z = torch.randn(T, generator=torch.Generator().manual_seed(0)).double()
    x = torch.zeros(T).double()
    for _ in range(sweeps):
        x = x + z - layer(x)[0]  # layer(x) is x_t - a x_{t-1}
    return (x - layer.inverse(z)[0]).abs()


@exercise("13.7", "predict, then run: all at once, again and again")
def sweeps_prediction(prediction: Callable) -> None:
    """prediction() -> {"right", "sweeps", "taps"}: before the run."""
    right = int((_sweeps(0.9, 200, 10) < 1e-9).sum())
    small = 1e-3 / (1 - 0.5**2) ** 0.5  # of the standard deviation of the process
    sweeps = next(n for n in range(1, 100) if _sweeps(0.5, 200, n).max() < small)
    echo = CausalFilter(400, torch.tensor([0.9]).double()).requires_grad_(False)
    energy = echo.inverse(torch.eye(400).double()[0])[0].square().cumsum(0)
    taps = int((energy / energy[-1] < 0.99).sum()) + 1
    predicts(
        prediction,
        {
            "right": (
                right,
                0.0,
                (
                    "the first sample needs no other. Which sample is right one sweep later, because what it "
                    "needs is right by then? And no sample is right by luck"
                ),
            ),
            "sweeps": (
                sweeps,
                0.25,
                (
                    "what is missing after a sweep is a times what was missing one sample earlier. How often "
                    "must it be halved?"
                ),
            ),
            "taps": (
                taps,
                0.05,
                (
                    "energies are squares, so they fall by a² from tap to tap. What share of a geometric series "
                    "lies beyond its first n terms?"
                ),
            ),
        },
    )


def _planted(layers: int, bug: str = "") -> Callable:
    """A chain of inverse autoregressive layers: z (B, T) -> x (B, T), log_det (B,); or with a planted bug."""

    def flow(z: Tensor) -> tuple[Tensor, Tensor]:
        T, x, total = z.shape[1], z, torch.zeros(len(z), dtype=z.dtype)
        for k in range(layers):
            if bug == "turned" and k == 1:
                x = x.flip(1)
            one, two = (torch.nn.functional.pad(x, (by, 0))[:, :T] for by in (1, 2))
            m, s = 0.6 * one - 0.3 * torch.sin(two), 0.3 * torch.tanh(one + 0.5 * two) - 0.2
            if bug == "mean":
                m = m - 0.5 * x
            elif bug == "scale":
                s = s + 0.2 * torch.tanh(x)
            elif bug == "future":  # late, and so that a sum would not show it
                m = m + 0.3 * LATE[-T:] * torch.nn.functional.pad(x, (0, 1))[:, 1:]
            elif bug == "batch":
                m = m + 0.2 * one.roll(1, 0)
            if not (bug == "last" and k < layers - 1):
                total = total + s.sum(1)
            x = x * torch.exp(s) + m
        return x, total.mean().expand(len(z)) if bug == "shared" else total

    return flow


LATE = torch.tensor([0.0, 0, 0, 0, 1, -1, 0])
BUGS = {
    "mean": "the mean at t sees z_t itself: the Jacobian is still triangular, its diagonal another",
    "scale": "the log-scale at t sees z_t itself, so e^s is not the slope",
    "future": "the mean at t sees z_(t+1)",
    "turned": "one layer turns the order round: the log-determinant is right, but x_t sees later noise",
    "batch": "an example sees the past of another one in the batch",
    "last": "the log-determinant of the last layer alone is returned",
    "shared": "each example gets the mean log-determinant of the batch",
}


def _spoilt(flow: Callable) -> list[tuple[Callable, str]]:
    """(a flow of which one number is off or sees one number that it must not, in words)."""
    found = nudges(flow, "the {} example's log_det is off by 0.001", 1, 1e-3, 1)
    for far, name in ((0.0, "first"), (1.0, "last")):
        other, own = round(far) - 1, -round(far)  # of the batch
        for t, seen in ((0, 1), (0, -1), (1, 0), (0.5, -1)):
            by = lambda z, other=other, seen=seen: 0.05 * z[other, seen] ** 2
            what = f"one x of the {name} example sees a number of the other one"
            found.append((nudged(flow, [far, t], by, 0), what))
            if t < 1:
                by = lambda z, own=own, seen=seen: 0.05 * z[own, seen] ** 2
                what = f"one x of the {name} example sees later noise"
                found.append((nudged(flow, [far, t], by, 0), what))
    return found


@exercise("13.8", "the test that finds the bug")
def flow_test(is_right: Callable) -> None:
    """is_right(flow, length): flow(z (B, length)) -> x (B, length), log_det (B,)."""
    masked = MaskedAffineAutoregressive(6, (8,)).double().requires_grad_(False)
    for k, weight in enumerate(masked.parameters()):
        draw = torch.Generator().manual_seed(k)
        weight.copy_(0.4 * torch.randn(weight.shape, generator=draw, dtype=torch.float64))
    linear = CausalFilter(9, torch.tensor([0.5, -0.3]).double(), 0.2).requires_grad_(False)
    right = [((_planted(n), T), f"{n} layers, {T} samples") for n, T in ((2, 7), (3, 5), (1, 1))]
    right += [((masked, 6), "a masked network of the library"), ((linear, 9), "a linear filter")]
    finds_bugs(
        is_right,
        right,
        [((_planted(n, bug), T), what) for n, T in ((2, 7), (3, 5)) for bug, what in BUGS.items()]
        + [((_planted(1, "future"), 6), BUGS["future"])]
        + [((flow, 7), what) for flow, what in _spoilt(_planted(2))],
        "x_t is made of z_1 … z_t of the same example, and log_det is log|det dx/dz|, one for each example",
    )
