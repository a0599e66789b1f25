"""Checks for the exercises of chapter 13."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

from ..flows import IAF, MaskedAffineAutoregressive
from .core import CheckFailed, agree, compare, exercise, ok, parts, require

__all__ = ["entropy", "impulse_response", "leaks", "log_density", "masks", "sample"]


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
            ((-0.5 * z**2 - half).sum(1), "the log-determinant is missing: - Σ s"),
            ((-0.5 * z**2 - half + s).sum(1), "the log-determinant has the wrong sign"),
            ((-0.5 * z**2 - s).sum(1), "½ log 2π is missing, once for each sample"),
            (
                (-0.5 * ((x - m) * torch.exp(s)) ** 2 - half - s).sum(1),
                "multiplied by exp(s): from data to noise one divides",
            ),
            ((-0.5 * z**2 - half - s).mean(1), "averaged over time: it must be summed"),
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
    got = function(z.clone(), net)
    compare(
        got,
        want,
        "x",
        1e-9,
        [
            (z * torch.exp(s0) + m0, "one pass from zeros: only the first sample is right"),
            (z * torch.exp(sz) + mz, "the net was given z: this is a sample of the IAF"),
            ((z - mz) * torch.exp(-sz), "this is the direction data -> noise"),
            (
                lambda x: (
                    np.allclose(x[:, :1], want[:, :1]) and not np.allclose(x[:, 1:], want[:, 1:])
                ),
                "the first sample is right, later ones are not: give the net the x made so far",
            ),
        ],
    )
    m, s = net(torch.as_tensor(got))
    require(
        torch.allclose((torch.as_tensor(got) - m) * torch.exp(-s), z),
        "one pass back gives the noise again",
        "one pass back does not give the noise",
    )

    def right(z: Tensor, net: Callable) -> Tensor:
        x = torch.zeros_like(z)
        for t in range(z.shape[1]):
            m, s = net(x)
            x[:, t] = z[:, t] * torch.exp(s[:, t]) + m[:, t]
        return x

    generator = torch.Generator().manual_seed(0)
    others = [
        (torch.randn(n, t, generator=generator).double(), net) for n, t in ((1, 1), (3, 9), (2, 2))
    ]
    agree(function, right, others, "samples of other lengths", 1e-9)


@exercise("13.3", "the masks")
def masks(make: Callable) -> None:
    """make(degrees_in (D,), degrees_hidden (H,)) -> (mask_in (H, D), mask_out (D, H)), zeros and ones."""
    first, hidden = torch.tensor([1, 2, 3, 4]), torch.tensor([1, 1, 2, 3, 3])
    answer = parts(make(first, hidden), "the first mask", "the last mask")
    want_in, want_out = hidden[:, None] >= first, first[:, None] > hidden
    names = ("the first mask", "the last mask")
    hints = {
        names[0]: [
            (hidden[:, None] > first, "`>`: a hidden unit of degree k may see input k itself"),
            (hidden[:, None] <= first, "turned round: k sees inputs up to k, not from k on"),
        ],
        names[1]: [
            (
                first[:, None] >= hidden,
                "`>=` in the last mask: output t sees x_t itself, so the Jacobian's diagonal is wrong",
            ),
            (first[:, None] < hidden, "turned round: output t sees units of a lower degree"),
        ],
    }
    compare(answer[0], want_in, names[0], 1e-9, hints[names[0]])
    compare(answer[1], want_out, names[1], 1e-9, hints[names[1]])
    paths = want_out.double() @ want_in.double()
    require(
        torch.equal(paths > 0, torch.ones(4, 4).tril(-1) > 0),
        "every output sees all of its past and nothing else",
        "the product of the masks is not strictly lower triangular",
    )
    others = [
        ([3, 1, 4, 2], [1, 1, 2, 3, 3]),
        ([4, 3, 2, 1], [3, 1, 2]),
        ([1, 2], [1]),
        ([2, 5, 1, 4, 3, 6], [5, 1, 3, 2, 4, 1, 5]),
    ]
    agree(
        make,
        lambda first, hidden: (hidden[:, None] >= first, first[:, None] > hidden),
        [(torch.tensor(first), torch.tensor(hidden)) for first, hidden in others],
        names,
    )


@exercise("13.4", "the impulse response")
def impulse_response(response: Callable) -> None:
    """response(a (p,), n) -> h (n,): what a single 1 becomes in x_t = Σ a_k x_{t-k} + z_t."""
    a, n = np.array([1.3, -0.8, 0.1]), 12
    start = np.eye(1, n)[0]
    want = lfilter([1.0], np.concatenate([[1], -a]), start)

    def right(a: np.ndarray, n: int) -> np.ndarray:
        return lfilter([1.0], np.concatenate([[1], -a]), np.eye(1, n)[0])

    rng = np.random.default_rng(1)
    others = [(rng.uniform(-0.6, 0.6, p), n) for p, n in ((1, 6), (5, 3), (2, 1), (7, 30))]
    agree(
        response,
        right,
        [(a, n), *others],
        "h",
        1e-9,
        [
            (
                lfilter([1.0], np.concatenate([[1], a]), start),
                "the signs of the weights are turned round",
            ),
            (
                np.concatenate([[1], a, np.zeros(n - 4)]),
                "these are the weights: the echo of an echo is missing",
            ),
            (want[1:].tolist() + [0.0], "h₀ = 1 is missing: the noise itself comes out at once"),
            (
                lfilter([1.0], np.concatenate([[1], -a[::-1]]), start),
                "the weights are reversed: a₁ belongs to the last sample",
            ),
        ],
    )
    noise = np.random.default_rng(0).normal(size=n)
    h = np.asarray(response(a, n))
    require(
        np.allclose(np.convolve(noise, h)[:n], lfilter([1.0], np.concatenate([[1], -a]), noise)),
        "convolved with noise it makes the same samples as the recursion",
        "convolved with noise it does not make the samples of the recursion",
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

    def pairs(function: Callable) -> set[tuple[int, int]]:
        return {(int(t), int(s)) for t, s in find(function, x)}

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
    for size, planted in (
        (2, {(0, 0)}),
        (6, {(0, 5), (3, 3), (4, 5)}),
        (7, {(t, t) for t in range(7)}),
    ):
        point = torch.linspace(-1, 1, size, dtype=torch.float64)

        def sly(x: Tensor, planted: set = planted) -> Tensor:
            parts = list(clean_of(x))
            for t, s in planted:
                parts[t] = parts[t] + 1e-6 * torch.sin(x[s])
            return torch.stack(parts)

        got = {(int(t), int(s)) for t, s in find(sly, point)}
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
    """estimate(flow, n, generator) -> -E[log q], nats, without the slow direction."""
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
    got = float(estimate(flow, 20_000, seeded(0)))
    compare(
        got,
        base - s,
        "entropy",
        0.01,
        [
            (-(base - s), "the sign: entropy is -E[log q]"),
            (base, "this is the entropy of the noise: the log-determinant is missing"),
            (base + s, "the log-determinant has the wrong sign"),
            ((base - s) / 3, "divided by D: the entropy is a sum"),
        ],
    )
    require(
        not calls,
        "the slow direction was not used",
        "you called log_prob, which takes D steps: sample_and_log_prob has the density already",
    )
    few = [float(estimate(flow, 7, seeded(seed))) for seed in (1, 1, 2)]
    require(
        few[0] == few[1] and few[0] != few[2],
        "the generator decides, seed by seed",
        f"seeds 1, 1 and 2 give {few}: give your generator to sample_and_log_prob, and n as well",
    )
    _, log_q = flow.sample_and_log_prob((7,), generator=seeded(1))
    compare(few[0], -log_q.mean(), "the mean over 7 samples", 1e-5)
