"""Checks for the exercises of chapter 11."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .core import CheckFailed, agree, compare, exercise, require

__all__ = ["bigrams", "moving_averages", "nearest", "perplexity", "rate", "straight_through"]


def _finite(value, why: str) -> None:
    if not np.isfinite(np.asarray(value, dtype=float)).all():
        raise CheckFailed(f"✗ NaN or infinite values: {why}")


NO_USE = "0 · log 0 is NaN. A code that is never used adds 0 to the entropy: leave it out"


@exercise("11.1", "the nearest code")
def nearest(find: Callable) -> None:
    """find(z (N, D), codebook (K, D)) -> (N,): the index of the nearest code of each vector."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(12, 3, generator=generator, dtype=torch.float64)
    codebook = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    codebook *= torch.tensor([1.0, 0.3, 2.0, 1.0, 0.6]).double()[:, None]  # lengths differ
    squared = (z[:, None] - codebook).square().sum(-1)  # (N, K)
    dot = z @ codebook.T
    answer = find(z, codebook)
    if np.shape(answer) == (12, 3):
        raise CheckFailed(
            "✗ each code: these are vectors; return their indices, whole numbers (N,)"
        )
    others = [
        (
            torch.randn(n, d, generator=generator).double(),
            torch.randn(k, d, generator=generator).double(),
        )
        for n, k, d in ((1, 1, 2), (7, 9, 1), (5, 5, 5), (30, 3, 8))
    ]
    agree(
        find,
        lambda z, book: (z[:, None] - book).square().sum(-1).argmin(1),
        [(z, codebook), *others],
        "each code",
        1e-9,
        [
            (squared.argmax(1), "this is the farthest code: take the smallest distance"),
            (
                dot.argmax(1),
                "the largest product with z is not the nearest: a long code wins it too",
            ),
            (
                (dot / codebook.norm(dim=1)).argmax(1),
                "this is the code with the most similar direction; length counts, too",
            ),
            (
                (z[:, None] - codebook).sum(-1).abs().argmin(1),
                "square the differences before you sum them, or they cancel",
            ),
            (
                lambda got: got.shape == (12,) and np.allclose(got, squared.min(1).values),
                "these are the squared distances of the nearest; return the indices",
            ),
        ],
    )
    far = 1000 + 0.01 * torch.randn(200, 8, generator=generator)  # float32, far from 0
    book = 1000 + 0.01 * torch.randn(16, 8, generator=generator)
    exact = (far.double()[:, None] - book.double()).square().sum(-1).argmin(1)
    same = float((torch.as_tensor(np.asarray(find(far, book))) == exact).double().mean())
    require(
        same == 1,
        "far from the origin it still finds the nearest in float32",
        f"near 1000, in float32, only {100 * same:.0f} % of your codes are the nearest: "
        "|z|² - 2 z·e + |e|² loses all digits there. Subtract first, then square",
    )


@exercise("11.2", "straight through")
def straight_through(pass_on: Callable) -> None:
    """pass_on(z, e) -> the value of e, with gradient 1 to z and 0 to e."""
    z = torch.tensor([0.3, -1.0, 2.0, 0.1], dtype=torch.float64, requires_grad=True)
    e = torch.tensor([0.5, -0.5, 2.5, 0.7], dtype=torch.float64, requires_grad=True)
    out = pass_on(z, e)
    compare(
        out,
        e,
        "the value",
        1e-12,
        [
            (z.detach(), "this is z: the decoder must see the code e"),
            ((z + e).detach(), "z + e: z must be added and, without gradient, taken away again"),
            ((2 * e - z).detach(), "e - z is added to e: one of the two must cancel"),
        ],
    )
    if not out.requires_grad:
        raise CheckFailed(
            "✗ the gradient: nothing flows back, everything is detached. The encoder will never learn"
        )
    weight = torch.tensor([1.0, 2.0, -3.0, 0.5], dtype=torch.float64)
    to_z, to_e = torch.autograd.grad((weight * out).sum(), (z, e), allow_unused=True)
    to_z = torch.zeros(4) if to_z is None else to_z
    to_e = torch.zeros(4) if to_e is None else to_e
    if torch.equal(to_z.double(), torch.zeros(4).double()):
        raise CheckFailed(
            "✗ the gradient: z gets none, so the encoder will never learn. "
            "Detach the difference as a whole"
        )
    require(
        torch.allclose(to_z.double(), weight),
        "z gets the decoder's gradient, unchanged",
        f"the decoder's gradient is {weight.tolist()}, and z gets {to_z.tolist()}",
    )
    require(
        not to_e.any(),
        "e gets none of it",
        f"e gets {to_e.tolist()}: codes must move by their own loss only, so detach e",
    )
    z = torch.randn(2, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    e = (torch.randn(2, 3, generator=torch.Generator().manual_seed(1)) + 3).requires_grad_()
    out = pass_on(z, e)
    compare(out, e, "the value of other vectors", 1e-5)
    (slope,) = torch.autograd.grad((out * torch.arange(6.0).reshape(2, 3)).sum(), z)
    compare(slope, torch.arange(6.0).reshape(2, 3), "and their gradient", 1e-6)


@exercise("11.3", "moving averages")
def moving_averages(update: Callable) -> None:
    """update(N (K,), m (K, D), z (B, D), codes (B,), decay, smoothing) -> N, m, e."""
    generator = torch.Generator().manual_seed(1)
    count = torch.tensor([3.0, 0.5, 2.0, 4.0, 0.0], dtype=torch.float64)
    total = count[:, None] * torch.randn(5, 2, generator=generator, dtype=torch.float64)
    z = torch.randn(6, 2, generator=generator, dtype=torch.float64)
    codes = torch.tensor([0, 2, 0, 0, 2, 1])
    decay, smoothing = 0.9, 0.01
    counts = torch.bincount(codes, minlength=5).double()
    sums = torch.zeros(5, 2).double().index_add_(0, codes, z)
    new_count = decay * count + (1 - decay) * counts
    new_total = decay * total + (1 - decay) * sums
    means = sums / counts.clamp(min=1)[:, None]
    seen = counts > 0
    whole = new_count.sum()
    swapped = "the decay is swapped: γ belongs to the old value, 1 - γ to the new one"
    hints = {
        "N": [
            ((1 - decay) * count + decay * counts, swapped),
            (count + (1 - decay) * counts, "the old count must fade: multiply it by γ"),
            (decay * count + counts, "the new count weighs 1 - γ"),
            (
                torch.where(seen, new_count, count),
                "a code that nobody chose fades, too: or it never shows that it is dead",
            ),
        ],
        "m": [
            ((1 - decay) * total + decay * sums, swapped),
            (
                decay * total + (1 - decay) * means,
                (
                    "the mean of a code's vectors is averaged: add up their sum. The count is what "
                    "divides"
                ),
            ),
            (
                torch.where(seen[:, None], new_total, total),
                "a code that nobody chose fades, too, in m as in N",
            ),
        ],
        "e": [
            (
                lambda got: not np.isfinite(got).all(),
                "NaN or infinite values: a count of 0 is divided by. That is what the smoothing is for",
            ),
            (
                new_total / (new_count + smoothing)[:, None],
                "the smoothed counts must add up to the same as before: multiply by N / (N + K ε)",
            ),
            (
                new_total / (whole * (new_count + smoothing) / (whole + smoothing))[:, None],
                "K codes got ε each: divide by N + K ε, not by N + ε",
            ),
            (new_total, "these are the sums m; divide by the smoothed counts"),
        ],
    }

    def right(
        n: Tensor, m: Tensor, z: Tensor, codes: Tensor, decay: float, smoothing: float
    ) -> tuple:
        chosen = torch.nn.functional.one_hot(codes, len(n)).to(z.dtype)
        n = decay * n + (1 - decay) * chosen.sum(0)
        m = decay * m + (1 - decay) * chosen.T @ z
        return n, m, m / (n.sum() * (n + smoothing) / (n.sum() + len(n) * smoothing))[:, None]

    cases = [(count, total, z, codes, decay, smoothing)]
    for K, D, B, g, s in ((2, 1, 1, 0.5, 0.1), (4, 4, 4, 0.99, 1e-3), (3, 5, 20, 0.0, 0.5)):
        old = 5 * torch.rand(K, generator=generator).double()
        numbers = [torch.randn(k, D, generator=generator).double() for k in (K, B)]
        cases.append((old, *numbers, torch.randint(K, (B,), generator=generator), g, s))
    agree(update, right, cases, ("N", "m", "e"), 1e-9, hints)
    zero = torch.zeros(2, dtype=torch.float64)
    start = torch.tensor([[0.0], [3.0]], dtype=torch.float64)
    points = torch.tensor([[0.0], [1.0], [3.0], [5.0]], dtype=torch.float64)
    _, _, centres = update(zero, start, points, torch.tensor([0, 0, 1, 1]), 0.0, 1e-9)
    require(
        np.allclose(np.asarray(centres), [[0.5], [4.0]], atol=1e-6),
        "with γ = 0 it is one round of k-means",
        f"with γ = 0 the codes must be the means of their vectors, 0.5 and 4, not "
        f"{np.asarray(centres).ravel().round(3).tolist()}",
    )


def _perplexity(counts: np.ndarray) -> float:
    p = counts[counts > 0] / counts.sum()
    return math.exp(-(p * np.log(p)).sum())


@exercise("11.4", "perplexity of a whole set")
def perplexity(measure: Callable) -> None:
    """measure(batches, K) -> e^H of the codes in all batches (integer tensors of any shape) together."""
    batches = [torch.tensor([0, 1, 0, 0]), torch.tensor([2, 2, 3, 2, 2, 3]), torch.tensor([4, 5])]
    one = np.bincount(torch.cat(batches).numpy(), minlength=8)
    each = [_perplexity(np.bincount(batch.numpy(), minlength=8)) for batch in batches]
    right = _perplexity(one)
    smooth = (one + 1) / (one + 1).sum()
    answer = measure(batches, 8)
    _finite(answer, NO_USE)
    rng = torch.Generator().manual_seed(0)
    others = [
        ([torch.randint(k, shape, generator=rng) for shape in shapes], k + 2)
        for k, shapes in ((2, [(3,), (1,)]), (9, [(4, 5), (2,), (1, 1)]), (5, [(40,)]))
    ]
    agree(
        measure,
        lambda batches, K: _perplexity(
            np.bincount(torch.cat([batch.flatten() for batch in batches]).numpy(), minlength=K)
        ),
        [(batches, 8), *others],
        "perplexity",
        1e-6,
        [
            (np.mean(each), "the mean over batches: count all codes first, then take one entropy"),
            (each[-1], "this is the last batch's: count all of them"),
            (math.log(right), "this is the entropy H in nats; take e^H"),
            (math.log2(right), "this is the entropy in bits; perplexity is 2 to the power of it"),
            (math.exp(math.log2(right)), "bits in the exponent of e: use one logarithm throughout"),
            (2 ** math.log(right), "nats in the exponent of 2: use one logarithm throughout"),
            (6.0, "this is the number of codes that are used; perplexity weighs them"),
            (1 / right, "the sign: H = -Σ p log p"),
            (
                math.exp(-(smooth * np.log(smooth)).sum()),
                "a code that is never used counts 0, not 1",
            ),
        ],
    )
    flat = [torch.arange(64).reshape(8, 8)[i : i + 2] for i in range(0, 8, 2)]
    got = float(measure(flat, 64))
    require(
        abs(got - 64) < 1e-6,
        "64 codes, used alike, have perplexity 64, whatever the batches",
        f"64 codes, used alike, in batches of 16: you give {got:.4g}, not 64",
    )
    got = float(measure([torch.zeros(5, dtype=torch.long)], 64))
    require(
        abs(got - 1) < 1e-9,
        "one code has perplexity 1",
        f"a set that uses one code: you give {got:.4g}, not 1",
    )


@exercise("11.5", "bits a second")
def rate(bits: Callable) -> None:
    """bits(counts (K,), codes_a_second) -> (fixed, variable): bits a second of two ways to store codes."""
    counts = np.array([60, 20, 10, 5, 5, 0])
    entropy = math.log2(_perplexity(counts))
    hints = {
        "bits with equal lengths": [
            (50 * math.log(6), "nats, not bits: use the logarithm to base 2"),
            (
                50 * math.log2(5),
                "a code that was not used in this set is still in the book: K = 6",
            ),
            (math.log2(6), "a code's bits; a second has 50 of them"),
            (math.log2(6) / 50, "multiply by codes a second, do not divide"),
            (50 * 6.0, "a choice among K costs log2 K bits, not K"),
        ],
        "bits with lengths that fit the counts": [
            (lambda got: not np.isfinite(got).all(), f"NaN or infinite values: {NO_USE}"),
            (50 * entropy * math.log(2), "nats, not bits: use the logarithm to base 2"),
            (entropy, "a code's bits; a second has 50 of them"),
            (-50 * entropy, "the sign: H = -Σ p log2 p"),
            (50 * _perplexity(counts), "this is the perplexity; its log2 is the entropy in bits"),
        ],
    }
    agree(
        bits,
        lambda counts, n: (n * math.log2(len(counts)), n * math.log2(_perplexity(counts))),
        [
            (counts, 50),
            (np.array([3, 0, 1]), 25),
            (np.array([7, 0, 0, 0]), 100),
            (np.arange(9), 12.5),
        ],
        tuple(hints),
        1e-9,
        hints,
    )
    even = bits(np.ones(128), 50)
    require(
        np.allclose([float(value) for value in even], 350),
        "128 codes used alike, 50 a second: 350 bits either way",
        f"128 codes used alike, 50 a second, cost 350 bits either way, not {even}",
    )


@exercise("11.6", "what one symbol says of the next")
def bigrams(entropy: Callable) -> None:
    """entropy(sequences, K) -> nats a symbol: H(next | this) from the pairs within each sequence."""
    sequences = [[0, 1, 1, 2, 0], [2, 1, 1, 0], [3, 3, 1, 2, 1]]
    sequences = [np.array(s) for s in sequences]

    def table(rows: list, K: int = 4) -> np.ndarray:
        pairs = np.zeros((K, K))
        for row in rows:
            np.add.at(pairs, (row[:-1], row[1:]), 1)
        return pairs

    def conditional(pairs) -> float:
        joint, first = pairs / pairs.sum(), pairs.sum(1) / pairs.sum()
        return math.log(_perplexity(joint.ravel())) - math.log(_perplexity(first))

    pairs = table(sequences)
    right = conditional(pairs)
    used = pairs[pairs.sum(1) > 0]
    each = [math.log(_perplexity(row)) for row in used]
    answer = entropy(sequences, 4)
    _finite(answer, NO_USE.replace("code", "pair"))
    rng = np.random.default_rng(0)
    others = [
        ([rng.integers(k, size=n) for n in lengths], k + 1)
        for k, lengths in ((2, (6, 3)), (5, (30,)), (3, (2, 9, 1, 12)))
    ]
    agree(
        entropy,
        lambda sequences, K: conditional(table(sequences, K)),
        [(sequences, 4), *others],
        "bigram entropy",
        1e-9,
        [
            (
                conditional(table([np.concatenate(sequences)])),
                "the last symbol of a sequence is paired with the first of the next: count within each",
            ),
            (
                math.log(_perplexity(pairs.ravel())),
                "this is the entropy of a pair; subtract that of its first symbol",
            ),
            (right / math.log(2), "bits: use the natural logarithm"),
            (
                np.mean(each),
                "all rows weigh the same: weigh each by how often its symbol comes first",
            ),
            (
                conditional(pairs.T),
                "the table is turned round: this is the entropy of a symbol given the next one",
            ),
            (
                math.log(_perplexity(pairs.sum(0))),
                "this is the entropy of single symbols: condition on the one before",
            ),
            (
                math.log(_perplexity(np.bincount(np.concatenate(sequences)))),
                "this is the entropy of single symbols: condition on the one before",
            ),
            (-right, "the sign: H = -Σ p log p"),
        ],
    )
    circle = float(entropy([np.arange(40) % 4], 4))
    require(
        abs(circle) < 1e-12,
        "where the next symbol is certain it is 0",
        f"0, 1, 2, 3, 0, 1, … leaves nothing open, and you give {circle:.4g} nats",
    )
