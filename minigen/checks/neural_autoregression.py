"""Checks for the exercises of chapter 6."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise, product

import numpy as np
import torch

from .. import audio, data, rnn
from .core import CheckFailed, agree, compare, exercise, finds_bugs, predicts, require, turned


@exercise("6.1", "bits per character")
def bits_per_character(rate: Callable) -> None:
    """rate(log_p (B, T), lengths (B,)) -> bits per character of all texts together."""
    rng = np.random.default_rng(0)

    def right(log_p: np.ndarray, lengths: np.ndarray) -> float:
        real = np.arange(log_p.shape[1]) < lengths[:, None]
        return -log_p[real].sum() / lengths.sum() / math.log(2)

    log_p, lengths = np.log(rng.uniform(0.02, 0.9, (3, 5))), np.array([5, 1, 3])
    real = np.arange(5) < lengths[:, None]
    nats = -(log_p * real).sum()
    want = right(log_p, lengths)
    each = -(log_p * real).sum(1) / lengths
    others = [
        (-rng.exponential(3, (b, t)), rng.integers(1, t + 1, b))
        for b, t in ((1, 4), (7, 9), (4, 1))
    ]
    agree(
        rate,
        right,
        [(log_p, lengths), *others, (np.zeros((2, 3)), np.array([3, 2])), (50 * log_p, lengths)],
        "bits per character",
        1e-9,
        [
            (-want, "the sign: log p is negative, a code's length is positive"),
            (nats / lengths.sum(), "this is in nats: divide by log 2 ≈ 0.693"),
            (
                nats / lengths.sum() * math.log(2),
                "multiplied by log 2: a bit is less than a nat, divide",
            ),
            (nats / math.log(2), "all texts' bits: divide by the number of characters"),
            (
                each.mean() / math.log(2),
                "a mean of means: a character of a short text counts for more. Add all up, divide once",
            ),
            (each / math.log(2), "one number for all texts together, not one for each"),
            (-log_p.mean() / math.log(2), "what comes after the end of a text counts as well"),
            (
                -log_p.sum() / lengths.sum() / math.log(2),
                "what comes after the end of a text is added",
            ),
            (nats / log_p.size / math.log(2), "divided by the padded size: count real characters"),
            (
                -np.log2(np.exp(log_p[real]).mean()),
                (
                    "the probabilities were averaged before the logarithm: the chain rule multiplies "
                    "them, so average the logarithms"
                ),
            ),
        ],
    )
    got = float(rate(np.full((2, 5000), math.log(1 / 64)), np.array([5000, 10])))
    require(
        abs(got - 6) < 1e-9,
        "64 equally probable symbols take 6 bits, in texts of 5,000 and of 10",
        f"64 equally probable symbols take 6 bits each, you give {got:.4g}",
    )


@exercise("6.2", "one gate for two")
def coupled_step(step: Callable) -> None:
    """step(a (B, 3 H), c (B, H)) -> (h, c); blocks f, g, o, and i = 1 - f."""
    generator = torch.Generator().manual_seed(0)
    a = 1.5 * torch.randn(3, 6, generator=generator, dtype=torch.float64)
    c = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    f, g, o = a.chunk(3, -1)
    sigm, tanh = torch.sigmoid, torch.tanh
    want = sigm(f) * c + (1 - sigm(f)) * tanh(g)
    hints = {
        "h": [
            (sigm(o) * want, "tanh is missing: h = o ⊙ tanh(c)"),
            (sigm(o) * tanh(c), "the old cell state is shown: use the new one"),
            (tanh(want), "the output gate is missing"),
            (tanh(o) * tanh(want), "the output gate goes through the sigmoid"),
            (o * tanh(want), "the output gate goes through the sigmoid"),
            (sigm(o) * sigm(want), "the new state is shown through tanh"),
            (sigm(o) / tanh(want), "the output gate multiplies"),
            (want, "this is c: return h first, then c"),
        ],
        "c": [
            (f * c + (1 - f) * tanh(g), "a gate lies between 0 and 1: the sigmoid of f"),
            (tanh(f) * c + (1 - tanh(f)) * tanh(g), "a gate lies between 0 and 1: the sigmoid"),
            (
                sigm(f + 1) * c + (1 - sigm(f + 1)) * tanh(g),
                "1 is added to f: a forget gate that starts open is a matter of b, which is in a",
            ),
            ((1 - sigm(f)) * c + sigm(f) * tanh(g), "turned round: f holds on to the old state"),
            (
                sigm(f) * c + (1 - sigm(f)) * sigm(g),
                "the candidate goes through tanh, not the sigmoid",
            ),
            (sigm(f) * c + (1 - sigm(f)) * g, "the candidate is not squashed: tanh(g)"),
            (sigm(f) * c + sigm(f) * tanh(g), "what is let in is 1 - f, not f again"),
            (sigm(f) * c + sigm(1 - f) * tanh(g), "1 - f of the gate itself, after the sigmoid"),
            (sigm(f) * c + tanh(g), "nothing holds the candidate back: it is let in by 1 - f"),
            (
                sigm(f) * c + (1 - sigm(f)) * tanh(o),
                "blocks 2 and 3 are swapped: the order is f, g, o",
            ),
            (
                sigm(g) * c + (1 - sigm(g)) * tanh(f),
                "blocks 1 and 2 are swapped: the order is f, g, o",
            ),
            ((1 - sigm(f)) * tanh(g), "the old cell state is lost: f ⊙ c is added"),
            (sigm(o) * tanh(want), "this is h: return h first, then c"),
            (c + (1 - sigm(f)) * tanh(g), "nothing is forgotten: the old state is multiplied by f"),
        ],
    }

    def right(a: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        f, g, o = a.chunk(3, -1)
        new = sigm(f) * c + (1 - sigm(f)) * tanh(g)
        return new, sigm(o) * tanh(new)

    others = [
        torch.randn(2, b, 3 * n, generator=generator, dtype=torch.float64)
        for b, n in ((1, 1), (5, 3))
    ]
    cases = [(a, c), *((2 * v[0], v[1, :, : v.shape[-1] // 3]) for v in others)]
    agree(turned(step, "h", "c"), right, cases, ("c", "h"), 1e-9, hints)
    for gate, new in ((40.0, 0.7), (-40.0, math.tanh(3.0))):
        row = torch.tensor([[gate, 3.0, 0.0]], dtype=a.dtype)
        got = step(row, torch.full((1, 1), 0.7, dtype=a.dtype))[1].item()
        rule = "f = 1 the state stays as it is" if gate > 0 else "f = 0 it is the candidate"
        require(
            abs(got - new) < 1e-9, f"with {rule}", f"with {rule}, {new:.4f}; you give {got:.4f}"
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
    # exact in floating point, so that a sum may equal top_p
    exact = np.array([0.125, 0.5, 0.125, 0.25])
    agree(
        cut,
        right,
        [(p, 0.5), (exact, 0.5), (exact, 0.5001), (exact, 0.75), (np.ones(1), 0.3)]
        + [
            (rng.dirichlet(np.full(n, 0.5)), t)
            for n, t in ((3, 0.9), (20, 0.6), (50, 0.97), (9, 0.01), (40, 0.9999))
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
        steady=[0],
    )
    compare(cut(p.copy(), 0.39), keep(1) / 0.4, "the most probable one alone, at 0.39", 1e-9)
    compare(cut(p.copy(), 1.0), p, "everything, at 1", 1e-9)


@exercise("6.4", "masks")
def masks(make: Callable) -> None:
    """make(inputs (D,), [hidden (H_1,), …], P) -> [M_1 (H_1, D), …, M_out (D P, H_last)]."""
    numbers = np.array([1, 2, 3, 4])
    first = (numbers, [np.array([1, 3, 2, 1, 2, 3]), np.array([2, 1, 3])], 2)
    order, two = np.array([3, 1, 4, 2]), np.array([2, 1])
    cases = [
        first,
        (order, [np.array([1, 3, 2, 1, 2, 3])], 1),
        (two, [np.array([1])], 3),
        (np.arange(7, 0, -1), [np.arange(1, 7), np.arange(6, 0, -1), np.array([3, 4])], 2),
    ]

    def between(below: np.ndarray, above: np.ndarray, where: str) -> list:
        at_least, more = above[:, None] >= below, above[:, None] > below
        turned = [
            (~more, "the comparison is turned round"),
            (~at_least, "the comparison is turned round"),
        ]
        if where == "hidden":
            return [
                (
                    more,
                    (
                        "strict where it need not be: a unit of degree m may see degree m. Then no output "
                        "sees the coordinate just before it"
                    ),
                ),
                *turned,
            ]
        return [
            (
                at_least,
                "it leaks the diagonal: with >= output d sees x_d itself. It must be strict",
            ),
            *turned,
        ]

    for inputs, hidden, P in cases:
        outputs, layers = np.repeat(inputs, P), [inputs, *hidden]
        names = [f"the mask into hidden layer {k}" for k in range(1, len(layers))]
        hints = {
            name: between(below, above, "hidden")
            for name, (below, above) in zip(names, pairwise(layers), strict=True)
        }
        wrong = np.tile(inputs, P)[:, None] > hidden[-1]
        hints["the mask into the output"] = [
            (
                wrong,
                "the P numbers of a coordinate stand side by side: d is repeated, not the whole row",
            ),
            (
                inputs[:, None] > hidden[-1],
                f"{P} numbers for each coordinate: {P} rows, one below the other",
            ),
            *between(hidden[-1], outputs, "output"),
        ]

        def right(inputs: np.ndarray, hidden: list, P: int) -> list:
            layers = [inputs, *hidden]
            last = np.repeat(inputs, P)[:, None] > hidden[-1]
            return [*(above[:, None] >= below for below, above in pairwise(layers)), last]

        agree(make, right, [(inputs, hidden, P)], tuple(hints), 1e-9, hints)
        paths = np.eye(len(inputs))
        for mask in make(inputs, hidden, P):
            paths = np.asarray(mask, dtype=float) @ paths
        places = np.argsort(inputs)
        rows = paths.reshape(len(inputs), P, -1).sum(1)[places][:, places]
        require(
            np.array_equal(rows, np.tril(rows, -1)),
            f"degrees {inputs.tolist()}: the product of the masks is strictly triangular in their order",
            "an output is reached from its own or a later input",
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
    elif (got > 0).sum() == 1 and any(
        (np.asarray(sample(_network, n, 3, np.random.default_rng(seed)))[0] != x[0]).any()
        for seed in range(1, 9)
    ):
        raise CheckFailed(
            "✗ samples: all n are alike. Each needs a random number of its own, n of them for a coordinate"
        )
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
    again = np.asarray(sample(_network, n, 3, np.random.default_rng(1)))
    same = np.asarray(sample(_network, n, 3, np.random.default_rng(1)))
    require(
        np.array_equal(again, same),
        "the same seed gives the same samples",
        "the same seed gives other samples: draw from the rng that you are given",
    )
    other = np.asarray(sample(_network, n, 3, np.random.default_rng(2)))
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
        [(log_p,), *((rng.normal(0, 5, s),) for s in ((1, 4), (5, 1), (3, 3), (7, 2), (3, 9)))]
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
    tiny = np.asarray(combine(np.array([[-2000.0, -1990.0, -1.0], [-2001.0, -2500.0, -1.0]])))
    right = np.array([-2000 + math.log((1 + math.exp(-1)) / 2), -1990 - math.log(2), -1.0])
    require(
        np.allclose(tiny, right),
        "probabilities of exp(-2000) do not underflow",
        f"for log p near -2000 you give {tiny}: exp underflows to 0. Take the largest out first, "
        "of each example its own",
    )
    total = np.exp(np.asarray(combine(np.log([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])))).sum()
    require(abs(total - 1) < 1e-5, "it sums to one", f"it sums to {total:.4f}")


def _run(temperature: float, top_p: float = 1.0) -> torch.Tensor:
    """What a coin of 0.8 and 0.2 gives after `sharpen`, 400,000 draws."""
    log_p = rnn.sharpen(torch.tensor([0.8, 0.2], dtype=torch.float64).log(), temperature, top_p)
    return rnn.draw(log_p.expand(400_000, 2), torch.Generator().manual_seed(0))


@cache
def _loudness() -> tuple[float, float]:
    """RMS of "seven" before it is left alone, and 0.2 to 0.3 s later: the median of 16 draws, temperature ½."""
    word = next(c for c in data.spoken_digits("slt", "seven") if c.name == "seven_slt_t1.2_p1.0")
    codes = torch.tensor(audio.mu_law_encode(word.audio[:2400])).expand(16, -1)
    after = rnn.load("seven").sample(
        (16,), 2400, 0.5, prefix=codes, generator=torch.Generator().manual_seed(0)
    )
    levels = audio.mu_law_decode(after[:, 1600:].numpy()).std(1)
    return float(word.audio[1600:2400].std()), float(np.median(levels))


@exercise("6.7", "predict, then run: half the temperature")
def sharper(prediction: Callable) -> None:
    """prediction() -> {"share": …, "bits": …, "cut": …, "sound": word}."""
    common = 1 - _run(0.5).double().mean().item()
    bits = -(common * math.log2(0.8) + (1 - common) * math.log2(0.2))
    before, after = _loudness()
    predicts(
        prediction,
        {
            "share": (
                common,
                0.005,
                (
                    "to which power does this temperature raise the two probabilities? And what must "
                    "they do in the end?"
                ),
            ),
            "bits": (
                bits,
                0.02,
                (
                    "two coins have a part in a mean cost: which of them says how often heads comes, and "
                    "which how many bits it takes?"
                ),
            ),
            "cut": (
                1 - _run(1.0, 0.7).double().mean().item(),
                0.001,
                "how many symbols, from the most probable down, are needed to hold 0.7 of the mass?",
            ),
            "sound": (
                "louder" if after > 2 * before else "quieter" if after < before / 2 else "as loud",
                0,
                (
                    "the most probable next sample is near the last one. What becomes of a voice whose "
                    "every step is a little more probable than it should be?"
                ),
            ),
        },
    )


def _chain(D: int, bug: str = "", seed: int = 0) -> tuple[Callable, Callable]:
    """log_prob and sample of D bits, each with a logit that is linear in those before it, or with a planted bug."""
    rng = np.random.default_rng([D, seed])
    W = np.tril(rng.choice([-1.5, 1.5], (D, D)), 0 if bug == "leak" else -1)
    b = rng.uniform(0.6, 1.2, D)
    logits = lambda x: (2 * np.asarray(x, dtype=float) - 1) @ W.T + b

    def log_prob(x: np.ndarray) -> np.ndarray:
        sign = 2 * np.asarray(x, dtype=float) - 1
        return -np.logaddexp(0, -sign * logits(x)).sum(1) + {"more": 0.02, "less": -0.02}.get(
            bug, 0
        )

    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        x = np.zeros((n, D))
        once = logits(x)
        if bug == "alone":
            every = np.array(list(itertools.product((0, 1), repeat=D)))
            return rng.random((n, D)) < np.exp(log_prob(every)) @ every
        for d in range(D):
            logit = (once if bug == "at once" else logits(x))[:, d]
            cooled = 2 * logit if bug == "cold" else logit  # a temperature of one half
            x[:, d] = rng.random(n) < 1 / (1 + np.exp(-cooled))
        return x[:, ::-1] if bug == "backwards" else x

    return log_prob, sample


def _two_orders(D: int, bug: str = "") -> tuple[Callable, Callable]:
    """The mean of two chains, one of which goes from the last bit to the first."""
    (one, draw_one), (two, draw_two) = _chain(D), _chain(D, seed=1)

    def log_prob(x: np.ndarray) -> np.ndarray:
        a, b = one(x), two(np.asarray(x)[:, ::-1])
        if bug == "logs":
            return (a + b) / 2
        return np.logaddexp(a, b) - (0 if bug == "sum" else math.log(2))

    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        first, x, y = rng.random(n) < 0.5, draw_one(n, rng), draw_two(n, rng)
        return np.where(first[:, None], x, y[:, ::-1])

    return log_prob, sample


def _coins(D: int, bug: str = "") -> tuple[Callable, Callable]:
    """D fair coins; or the last one says more often than not whether the others are even."""

    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        x = rng.integers(0, 2, (n, D))
        even = 1 - x[:, :-1].sum(1) % 2
        return np.c_[x[:, :-1], np.where(rng.random(n) < 0.5, even, x[:, -1])] if bug else x

    return lambda x: np.full(len(x), -D * math.log(2)), sample


def _exchanged(D: int, one: int, other: int) -> tuple[Callable, Callable]:
    """A chain of which two vectors, in the order of their probabilities, have each other's probability."""
    log_prob, sample = _chain(D)
    all_of_them = log_prob(np.array(list(itertools.product((0, 1), repeat=D))))
    pair = np.argsort(all_of_them)[[one, other]]
    all_of_them[pair] = all_of_them[pair[::-1]]
    place = lambda x: (np.asarray(x) @ 2 ** np.arange(D)[::-1]).astype(int)
    return lambda x: all_of_them[place(x)], sample


def _after(sample: Callable, draws: int) -> Callable:
    """The same with other luck: it takes as many random numbers before."""
    return lambda n, rng: (rng.random(draws), sample(n, rng))[1]


@exercise("6.8", "the test that finds the bug")
def draws_what_it_scores(is_right: Callable) -> None:
    """is_right(log_prob, sample, D) -> bool, for log_prob(x (B, D)) -> nats (B,), sample(n, rng) -> (n, D)."""
    right = [(_chain(D), D, f"a chain of {D} bit{'s' * (D > 1)}") for D in (3, 4, 1)]
    right += [(_two_orders(D), D, f"a mean of two orders of {D} bits") for D in (3, 5)]
    planted = {
        "leak": "the logit of bit d sees bit d itself, so the probabilities do not add up to one",
        "at once": "all bits are drawn from one pass, as if those before them were 0",
        "cold": "it draws at a temperature of one half",
        "alone": "each bit is drawn as often as it should be, but by itself, whatever the others are",
        "backwards": "the bits of its draws are in reverse order",
        "more": "its probabilities add up to 1.02",
        "less": "its probabilities add up to 0.98",
    }
    bugs = [(_chain(D, bug), D, what) for D in (3, 4) for bug, what in planted.items()]
    planted = {
        "logs": "two orders are averaged as logarithms, so the probabilities do not add up to one",
        "sum": "two orders are added up, not averaged: it draws well, and all its probabilities are doubled",
    }
    bugs += [(_two_orders(D, bug), D, what) for D in (3, 4) for bug, what in planted.items()]
    right.append((_coins(4), 4, "four fair coins"))
    what = "any two bits are as they should be, all together not: with the last one their sum is too often odd"
    bugs += [(_coins(D, "odd"), D, what) for D in (3, 4)]
    what = "two of its vectors have each other's probability"
    bugs += [
        (_exchanged(D, *pair), D, what) for D in (3, 4) for pair in ((-1, 0), (-2, 1), (-3, 2))
    ]
    bugs.append((_exchanged(3, 3, 1), 3, what))  # two rare ones
    right += [
        ((log_prob, _after(sample, draws)), D, what)
        for (log_prob, sample), D, what in right
        for draws in (7, 1001)
    ]
    finds_bugs(
        is_right,
        [((*model, D), what) for model, D, what in right],
        [((*model, D), what) for model, D, what in bugs],
        "its probabilities add up to one, and each vector is drawn as often as its probability says",
    )
