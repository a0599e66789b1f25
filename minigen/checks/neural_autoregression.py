"""Checks for the exercises of chapter 6."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import torch

from .core import CheckFailed, agree, compare, exercise, require, turned

__all__ = ["bits_per_character", "draw", "lstm_step", "masks", "mixture", "nucleus"]


@exercise("6.1", "bits a character")
def bits_per_character(rate: Callable) -> None:
    """rate(log_p (T,)) -> bits a character."""
    log_p = np.log([0.5, 0.25, 0.1, 0.9, 0.02])
    want = -log_p.mean() / math.log(2)
    rng = np.random.default_rng(0)
    agree(
        rate,
        lambda log_p: -log_p.mean() / math.log(2),
        [(log_p,), (np.log([0.3]),), (-rng.exponential(3, 50),), (np.zeros(4),)],
        "bits a character",
        1e-9,
        [
            (-want, "the sign: log p is negative, a code's length is positive"),
            (-log_p.mean(), "this is in nats: divide by log 2 ≈ 0.693"),
            (-log_p.mean() * math.log(2), "multiplied by log 2: a bit is fewer than a nat, divide"),
            (want * len(log_p), "the whole text's bits: divide by the number of characters"),
            (
                -np.log2(np.exp(log_p).mean()),
                (
                    "the probabilities were averaged before the logarithm: the chain rule multiplies "
                    "them, so average the logarithms"
                ),
            ),
        ],
    )
    got = float(rate(np.full(5000, math.log(1 / 64))))
    require(
        abs(got - 6) < 1e-9,
        "64 equally probable symbols take 6 bits, in a text of 5,000",
        f"64 equally probable symbols take 6 bits each, you give {got:.4g}",
    )


@exercise("6.2", "one step of an LSTM")
def lstm_step(step: Callable) -> None:
    """step(a (B, 4 H), c (B, H)) -> (h, c)."""
    generator = torch.Generator().manual_seed(0)
    a = 1.5 * torch.randn(3, 8, generator=generator, dtype=torch.float64)
    c = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    i, f, g, o = a.chunk(4, -1)
    sigm, tanh = torch.sigmoid, torch.tanh
    want = sigm(f) * c + sigm(i) * tanh(g)
    hints = {
        "h": [
            (sigm(o) * want, "tanh is missing: h = o ⊙ tanh(c)"),
            (sigm(o) * tanh(c), "the old cell state is shown: use the new one"),
            (tanh(want), "the output gate is missing"),
            (tanh(o) * tanh(want), "the output gate goes through the sigmoid"),
            (want, "this is c: return h first, then c"),
        ],
        "c": [
            (sigm(i) * c + sigm(f) * tanh(g), "the input and the forget gate are swapped"),
            (sigm(f) * c + sigm(i) * sigm(g), "the candidate goes through tanh, not the sigmoid"),
            (sigm(f) * c + sigm(i) * g, "the candidate is not squashed: tanh(g)"),
            (
                sigm(f) * c + sigm(i) * tanh(o),
                "blocks 3 and 4 are swapped: the order is i, f, g, o",
            ),
            (sigm(i) * tanh(g), "the old cell state is lost: f ⊙ c is added"),
            (sigm(o) * tanh(want), "this is h: return h first, then c"),
            (
                c + sigm(i) * tanh(g),
                "nothing is forgotten: the old cell state is multiplied by f",
            ),
        ],
    }

    def right(a: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        i, f, g, o = a.chunk(4, -1)
        new = sigm(f) * c + sigm(i) * tanh(g)
        return new, sigm(o) * tanh(new)

    others = [
        torch.randn(2, b, 4 * n, generator=generator, dtype=torch.float64)
        for b, n in ((1, 1), (5, 3))
    ]
    cases = [(a, c), *((2 * v[0], v[1, :, : v.shape[-1] // 4]) for v in others)]
    agree(turned(step, "h", "c"), right, cases, ("c", "h"), 1e-9, hints)
    closed = torch.cat([torch.full((1, 1), v, dtype=a.dtype) for v in (-40.0, 40.0, 3.0, 0.0)], 1)
    kept = step(closed, torch.full((1, 1), 0.7, dtype=a.dtype))[1].item()
    require(
        abs(kept - 0.7) < 1e-9,
        "with f = 1 and i = 0 the cell state stays as it is",
        f"with f = 1 and i = 0 the cell state must stay 0.7, it becomes {kept:.4f}",
    )


@exercise("6.3", "top-p")
def nucleus(cut: Callable) -> None:
    """cut(p (V,), top_p) -> (V,)."""
    p = np.array([0.05, 0.4, 0.1, 0.3, 0.15])

    def keep(*which: int) -> np.ndarray:
        q = np.zeros(5)
        q[list(which)] = p[list(which)]
        return q

    kept = keep(1, 3)

    def right(p: np.ndarray, top_p: float) -> np.ndarray:
        order = np.argsort(-p)
        stay = order[np.cumsum(p[order]) - p[order] < top_p]
        q = np.zeros(len(p))
        q[stay] = p[stay]
        return q / q.sum()

    rng = np.random.default_rng(0)
    exact = np.array(
        [0.125, 0.5, 0.125, 0.25]
    )  # exact in floating point, so that a sum may equal top_p
    agree(
        cut,
        right,
        [(p, 0.5), (exact, 0.5), (exact, 0.75), (np.ones(1), 0.3)]
        + [
            (rng.dirichlet(np.full(n, 0.5)), t)
            for n, t in ((3, 0.9), (20, 0.6), (50, 0.97), (9, 0.01))
        ],
        "two of five symbols hold 0.5",
        1e-9,
        [
            (kept, "not renormalised: what is kept sums to 0.7"),
            (
                keep(1) / 0.4,
                "the symbol that crosses the line is cut off as well: 0.4 is too little",
            ),
            (
                np.sort(kept)[::-1] / kept.sum(),
                "returned in sorted order: each symbol must stay at its place",
            ),
            (p, "nothing is cut off"),
            (keep(0, 2, 4, 3) / keep(0, 2, 4, 3).sum(), "sorted from the least probable up"),
            (keep(0, 1, 2) / keep(0, 1, 2).sum(), "not sorted: take the most probable first"),
        ],
    )
    compare(cut(p.copy(), 0.39), keep(1) / 0.4, "the most probable one alone, at 0.39", 1e-9)
    compare(cut(p.copy(), 1.0), p, "everything, at 1", 1e-9)


@exercise("6.4", "masks")
def masks(make: Callable) -> None:
    """make(inputs (D,), hidden (H,), outputs (D,)) -> M (H, D), M_out (D, H)."""
    inputs = outputs = np.array([1, 2, 3, 4])
    hidden = np.array([1, 3, 2, 1, 2, 3])
    hints = {
        "the mask into the hidden layer": [
            (
                hidden[:, None] > inputs,
                (
                    "strict where it need not be: a unit of degree m may see input m. Then no output "
                    "sees the coordinate just before it"
                ),
            ),
            (hidden[:, None] <= inputs, "the comparison is turned round"),
            (hidden[:, None] < inputs, "the comparison is turned round"),
        ],
        "the mask into the output": [
            (
                outputs[:, None] >= hidden,
                "it leaks the diagonal: with >= output d sees x_d itself. It must be strict",
            ),
            (outputs[:, None] < hidden, "the comparison is turned round"),
            (outputs[:, None] <= hidden, "the comparison is turned round"),
        ],
    }
    order, two = np.array([3, 1, 4, 2]), np.array([2, 1])
    agree(
        make,
        lambda i, h, o: (h[:, None] >= i, o[:, None] > h),
        [
            (inputs, hidden, outputs),
            (order, hidden, order),
            (two, np.array([1]), two),
            (np.arange(7, 0, -1), np.arange(1, 7), np.arange(7, 0, -1)),
        ],
        tuple(hints),
        1e-9,
        hints,
    )
    first, last = (np.asarray(mask, dtype=float) for mask in make(inputs, hidden, outputs))
    paths = last @ first
    require(
        np.array_equal(paths, np.tril(paths, -1)),
        "the product of the masks is strictly triangular",
        "an output is reached from its own or a later input",
    )
    first, last = (np.asarray(mask, dtype=float) for mask in make(order, hidden, order))
    paths = (last @ first)[np.argsort(order)][:, np.argsort(order)]
    require(
        np.array_equal(paths, np.tril(paths, -1)) and (paths[np.tril_indices(4, -1)] > 0).all(),
        "another ordering works as well",
        "for another ordering of the coordinates the product is not strictly triangular: compare the "
        "degrees you are given, not positions",
    )


def _network(x: np.ndarray) -> np.ndarray:
    """Three bits whose conditionals are far from one half: x_2 mostly equals x_1, x_3 mostly x_1 ≠ x_2."""
    x = np.asarray(x, dtype=float)
    first = np.full(len(x), 0.3)
    second = np.where(x[:, 0] > 0.5, 0.9, 0.2)
    third = np.where(x[:, 0] != x[:, 1], 0.95, 0.1)
    return np.stack([first, second, third], 1)


@exercise("6.5", "draw from a MADE", own_chance=True)
def draw(sample: Callable) -> None:
    """sample(network, n, D, rng) -> (n, D)."""
    calls = []

    def network(x: np.ndarray) -> np.ndarray:
        calls.append(1)
        return _network(x)

    n = 40_000
    x = np.asarray(sample(network, n, 3, np.random.default_rng(0)), dtype=float)
    if x.shape != (n, 3) or not np.isin(x, (0, 1)).all():
        raise CheckFailed(f"✗ samples: expected zeros and ones of shape ({n}, 3), got {x.shape}")
    cells = np.array(list(product((0, 1), repeat=3)), dtype=float)
    p = _network(cells)
    want = np.where(cells > 0.5, p, 1 - p).prod(1)

    def shares(values: np.ndarray) -> np.ndarray:
        return np.bincount((values @ [4, 2, 1]).astype(int), minlength=8) / n

    got = shares(x)
    blank = _network(np.zeros((1, 3)))[0]  # all three at once, from zeros
    at_once = np.where(cells > 0.5, blank, 1 - blank).prod(1)
    if np.abs(got - want).max() < 0.015:
        require(True, "all eight vectors come as often as the chain rule says", "")
    elif (got > 0).sum() == 1:
        raise CheckFailed(
            "✗ samples: always the same vector. Compare the probability with a random number, not "
            "with ½: argmax is not a sample"
        )
    elif np.abs(got - at_once).max() < 0.015 and len(calls) > 1:
        raise CheckFailed(
            "✗ samples: each coordinate was drawn as if those before it were 0. Go from the first to "
            "the last, and write each one down before the next pass"
        )
    elif np.abs(got - at_once).max() < 0.015:
        raise CheckFailed(
            "✗ samples: all coordinates were drawn from one pass over zeros. Coordinate d needs the "
            "drawn values of those before it: D passes"
        )
    elif np.abs(x.mean(0)[0] - 0.7) < 0.02:
        raise CheckFailed("✗ samples: x is 1 where the random number is *below* p, not above it")
    else:
        raise CheckFailed(
            f"✗ samples: the eight vectors come as often as {np.round(got, 3)}, the chain rule says "
            f"{np.round(want, 3)}. Is each bit written down before the next pass?"
        )
    require(
        len(calls) <= 3,
        "with one pass a coordinate",
        f"{len(calls)} passes for 3 coordinates: one pass serves all n samples together",
    )
    again = np.asarray(sample(_network, 50, 3, np.random.default_rng(1)))
    same = np.asarray(sample(_network, 50, 3, np.random.default_rng(1)))
    require(
        np.array_equal(again, same),
        "the same seed gives the same samples",
        "the same seed gives other samples: draw from the rng that you are given",
    )
    other = np.asarray(sample(_network, 50, 3, np.random.default_rng(2)))
    require(
        not np.array_equal(again, other),
        "another seed gives others",
        "another seed gives the same samples: draw from the rng that you are given",
    )
    steps = lambda x: np.tile(np.linspace(0.9, 0.1, x.shape[1]), (len(x), 1))
    wide = np.asarray(sample(steps, 4000, 5, np.random.default_rng(3)), dtype=float)
    require(
        wide.shape == (4000, 5) and np.abs(wide.mean(0) - steps(wide[:1])[0]).max() < 0.05,
        "five coordinates work as well",
        "five independent coordinates with probabilities 0.9, 0.7, … 0.1 come out otherwise",
    )


@exercise("6.6", "an ensemble")
def mixture(combine: Callable) -> None:
    """combine(log_p (M, B)) -> (B,)."""
    log_p = np.log(np.array([[0.2, 0.5, 0.01], [0.4, 0.1, 0.3]]))
    want = np.log(np.exp(log_p).mean(0))
    rng = np.random.default_rng(0)
    agree(
        combine,
        lambda log_p: np.logaddexp.reduce(log_p, 0) - math.log(len(log_p)),
        [(log_p,), *((rng.normal(0, 5, s),) for s in ((1, 4), (5, 1), (3, 3), (7, 2)))]
        + [(np.array([[-5000.0, 3.0], [0.0, -9000.0], [-1.0, 2.0]]),)],
        "log of the mean",
        1e-9,
        [
            (
                log_p.mean(0),
                (
                    "the mean of the logarithms: a geometric mean, which does not sum to one. Average "
                    "probabilities"
                ),
            ),
            (np.log(np.exp(log_p).sum(0)), "the sum, not the mean: -log M is missing"),
            (np.exp(want), "this is the probability; return its logarithm"),
            (log_p.max(0), "only the best model counts: take the mean of all"),
        ],
    )
    tiny = np.asarray(combine(np.array([[-2000.0, -1990.0], [-2001.0, -2500.0]])))
    right = np.array([-2000 + math.log((1 + math.exp(-1)) / 2), -1990 - math.log(2)])
    require(
        np.allclose(tiny, right),
        "probabilities of exp(-2000) do not underflow",
        f"for log p near -2000 you give {tiny}: exp underflows to 0. Take the largest out first",
    )
    total = np.exp(np.asarray(combine(np.log([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])))).sum()
    require(abs(total - 1) < 1e-9, "it sums to one", f"it sums to {total:.4f}")
