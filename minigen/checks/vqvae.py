"""Checks for the exercises of chapter 11."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .. import vq
from .core import (
    CheckFailed,
    agree,
    compare,
    exercise,
    finds_bugs,
    nudges,
    ok,
    predicts,
    require,
)


def _finite(value, why: str) -> None:
    if not np.isfinite(np.asarray(value, dtype=float)).all():
        raise CheckFailed(f"✗ NaN or infinite values: {why}")


NO_USE = "0 · log 0 is NaN. A code that is never used adds 0 to the entropy: leave it out"


def _nearest(z: Tensor, codebook: Tensor) -> Tensor:
    """z (B, D, N) -> codes (B, N)."""
    return (z.movedim(1, -1)[:, :, None] - codebook).square().sum(-1).argmin(-1)


@exercise("11.1", "the nearest code")
def nearest(find: Callable) -> None:
    """find(z (B, D, N), codebook (K, D)) -> (B, N): the index of the nearest code of each vector."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, 3, 40, generator=generator, dtype=torch.float64)
    codebook = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    codebook *= torch.tensor([1.0, 0.3, 2.0, 1.0, 0.6]).double()[:, None]  # lengths differ
    flat = z.movedim(1, -1)  # (B, N, D)
    apart = flat[:, :, None] - codebook  # (B, N, K, D)
    squared = apart.square().sum(-1)
    dot = flat @ codebook.T
    answer = find(z, codebook)
    if np.shape(answer) in ((2, 3, 40), (2, 40, 3), (80, 3)):
        raise CheckFailed(
            "✗ each code: these are vectors; return their indices, whole numbers (B, N)"
        )
    others = [
        (
            torch.randn(b, d, n, generator=generator).double(),
            torch.randn(k, d, generator=generator).double(),
        )
        for b, n, k, d in ((1, 1, 1, 2), (3, 7, 9, 1), (5, 5, 5, 5), (2, 15, 3, 8), (2, 500, 64, 3))
    ]
    close = 1e-9 * torch.tensor([[[1.0, -1.0, 2.0, -3.0]]]).double()  # between two codes
    others.append((close, torch.tensor([[-1.0], [1.0]]).double()))
    agree(
        find,
        _nearest,
        [(z, codebook), *others],
        "each code",
        1e-9,
        [
            (squared.argmax(-1), "this is the farthest code: take the smallest distance"),
            (
                dot.argmax(-1),
                "the largest product with z is not the nearest: a long code wins it too",
            ),
            (
                (dot / codebook.norm(dim=1)).argmax(-1),
                "this is the code with the most similar direction; length counts, too",
            ),
            (
                apart.sum(-1).abs().argmin(-1),
                "square the differences before you sum them, or they cancel",
            ),
            (
                apart.abs().sum(-1).argmin(-1),
                "nearest by the sum of the absolute differences: a distance squares them",
            ),
            (
                apart.abs().amax(-1).argmin(-1),
                "nearest by the largest difference alone: all D count, squared",
            ),
            *(
                (
                    apart[..., :d].square().sum(-1).argmin(-1),
                    "nearest by the first numbers of each vector: all D count",
                )
                for d in (1, 2)
            ),
            (
                lambda got: np.allclose(got, squared.min(-1).values),
                "these are the squared distances of the nearest; return the indices",
            ),
            (
                _nearest(z.reshape(80, 3)[..., None], codebook).reshape(2, 40),
                (
                    "the numbers of one vector stand in dimension 1, a step of N apart: `reshape` mixes "
                    "different vectors. Move the dimension to the end first"
                ),
            ),
        ],
    )
    far = 1000 + 0.01 * torch.randn(2, 8, 100, generator=generator)  # float32, far from 0
    book = 1000 + 0.01 * torch.randn(16, 8, generator=generator)
    exact = _nearest(far.double(), book.double())
    same = float((torch.as_tensor(np.asarray(find(far, book))) == exact).double().mean())
    require(
        same == 1,
        "far from the origin it still finds the nearest in float32",
        f"near 1000, in float32, only {100 * same:.0f} % of your codes are the nearest: "
        "|z|² - 2 z·e + |e|² loses all digits there. Subtract first, then square",
    )


@exercise("11.2", "straight through, in part")
def straight_through(pass_on: Callable) -> None:
    """pass_on(z, e, share) -> the value of e, with gradient share to z and 1 - share to e."""
    generator = torch.Generator().manual_seed(0)
    for shape, share in (((4,), 0.75), ((2, 3), 1.0), ((3, 1, 2), 0.0), ((5,), 0.3)):
        z, e, weight = (torch.randn(shape, generator=generator).double() for _ in range(3))
        z.requires_grad_()
        e = (e + 3).requires_grad_()
        out = pass_on(z, e, share)
        mixed = share * z + (1 - share) * e
        compare(
            out,
            e,
            f"the value, share {share}",
            1e-12,
            [
                (mixed.detach(), "this is the mixture of z and e: the decoder must see e"),
                (z.detach(), "this is z: the decoder must see the code e"),
                ((z + e).detach(), "z must be added and, without gradient, taken away again"),
                ((2 * e - z).detach(), "e - z is added to e: one of the two must cancel"),
            ],
            quiet=True,
        )
        if not getattr(out, "requires_grad", False):
            raise CheckFailed(
                "✗ the gradient: nothing flows back, everything is detached. Nothing will ever learn"
            )
        got = torch.autograd.grad((weight * out).sum(), (z, e), allow_unused=True)
        got = [torch.zeros(shape) if slope is None else slope for slope in got]
        to_z, to_e = (float((slope * weight).sum() / weight.square().sum()) for slope in got)
        say = f"✗ the gradient, share {share}: z gets {to_z:.3g} of it and e {to_e:.3g}"
        if (round(to_z, 9), round(to_e, 9)) == (round(1 - share, 9), round(share, 9)):
            raise CheckFailed(f"{say}: `share` is what z gets, the two are exchanged")
        if not got[0].any() and share:
            raise CheckFailed(
                f"{say}: z gets none, so the encoder will never learn. Detach the difference as a whole"
            )
        if not got[1].any() and share < 1:
            raise CheckFailed(f"{say}: e gets none, but 1 - share of it is for e")
        if not (torch.allclose(got[0], share * weight) and np.isclose(to_z, share)):
            raise CheckFailed(f"{say}: z gets the decoder's gradient times share, {share}")
        if not torch.allclose(got[1].double(), (1 - share) * weight):
            raise CheckFailed(f"{say}: e gets what is left, {1 - share:.3g}, and no more")
    ok("the value is that of e")
    ok("z gets its share of the gradient")
    ok("e gets the rest")


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
                (new_count + smoothing) * whole / (whole + 5 * smoothing),
                "this is the smoothed count, which only divides: N itself is returned",
            ),
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
            (
                new_total / (whole * (new_count + smoothing) / (whole + 2 * smoothing))[:, None],
                "K codes got ε each: in N + K ε stands how many codes there are, not how many numbers each",
            ),
            (
                new_total / new_count.clamp(min=smoothing)[:, None],
                "a count that may not fall below ε is no Laplace smoothing: ε is added to every count",
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
        old[0] = 0
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
    """measure(batches, K) -> e^H of all codes (integer tensors of any shape, -1 where there is none)."""
    batches = [
        torch.tensor([[0, 1, 0], [0, -1, -1]]),
        torch.tensor([2, 2, 3, 2, 2, 3]),
        torch.tensor([4, 6, -1]),
    ]

    def counted(batches: list, K: int) -> np.ndarray:
        codes = torch.cat([batch.flatten() for batch in batches])
        return np.bincount(codes[codes >= 0].numpy(), minlength=K)

    one, padding = counted(batches, 7), 3
    used, whole = one[one > 0], one.sum() + padding
    each = [_perplexity(counted([batch], 7)) for batch in batches]
    right = _perplexity(one)
    smooth = (one + 1) / (one + 1).sum()
    answer = measure(batches, 7)
    _finite(answer, NO_USE)
    rng = torch.Generator().manual_seed(0)
    others = [
        ([torch.randint(-1, k, shape, generator=rng) for shape in shapes], k + 2)
        for k, shapes in ((2, [(3,), (1,)]), (9, [(4, 5), (2,), (1, 1)]), (5, [(40,)]))
    ]
    agree(
        measure,
        lambda batches, K: _perplexity(counted(batches, K)),
        [(batches, 7), *others],
        "perplexity",
        1e-6,
        [
            (_perplexity(np.append(one, padding)), "-1 is no code: what is padded does not count"),
            (
                _perplexity(one + padding * np.eye(7)[6]),
                "-1 was taken for the last code, as Python's indices are: leave it out first",
            ),
            (
                _perplexity(one + padding * np.eye(7)[0]),
                "-1 was taken for code 0: leave it out",
            ),
            (np.mean(each), "the mean over batches: count all codes first, then take one entropy"),
            (each[-1], "this is the last batch's: count all of them"),
            (
                _perplexity(sum(counted([b], 7) / counted([b], 7).sum() for b in batches)),
                "the mean of the batches' shares: a code of a small batch then weighs more. Add up counts",
            ),
            (
                _perplexity(counted([batches[0][0], *batches[1:]], 7)),
                "only the first row of a batch is counted",
            ),
            (
                math.exp(-(used / whole * np.log(used / whole)).sum()),
                "divided by all places, those without a code as well: the shares do not add up to 1",
            ),
            (1 / ((one / one.sum()) ** 2).sum(), "this is 1 / Σ p²: here e^H, with H = -Σ p log p"),
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
            (
                lambda got: 1e-6 < abs(got / right - 1) < 0.02 and abs(got / right - 1.01) > 1e-6,
                "nearly right: is a small number added to the shares, or under the logarithm?",
            ),
        ],
    )
    flat = [torch.arange(64).reshape(8, 8)[i : i + 2] for i in range(0, 8, 2)]
    got = float(measure(flat, 64))
    require(
        abs(got - 64) < 1e-4,
        "64 codes, used alike, have perplexity 64, whatever the batches",
        f"64 codes, used alike, in batches of 16: you give {got:.7g}, not 64",
    )
    got = float(measure([torch.zeros(5, dtype=torch.long)], 64))
    require(
        abs(got - 1) < 1e-5,
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
            (50 * 3.0, "rounded up to whole bits: many codes packed together need log2 K each"),
            (math.log2(6), "a code's bits; a second has 50 of them"),
            (math.log2(6) / 50, "multiply by codes a second, do not divide"),
            (50 * 7.0, "as if K were 128: it is the number of counts"),
            (50 * 6.0, "a choice among K costs log2 K bits, not K"),
        ],
        "bits with lengths that fit the counts": [
            (lambda got: not np.isfinite(got).all(), f"NaN or infinite values: {NO_USE}"),
            (50 * entropy * math.log(2), "nats, not bits: use the logarithm to base 2"),
            (entropy, "a code's bits; a second has 50 of them"),
            (50 * entropy / 5, "an entropy is a sum over codes, weighted by p; this is a mean"),
            (-50 * entropy, "the sign: H = -Σ p log2 p"),
            (
                50 * math.log2(100 / 60),
                "this is what the most frequent code costs: take the mean over all, weighted by p",
            ),
            (
                -50 * math.log2(((counts / 100) ** 2).sum()),
                "the logarithm of the mean of p: an entropy is the mean of -log2 p",
            ),
            (
                50 * (math.log2(6) - entropy),
                "this is what is saved: what is left to pay is the entropy itself",
            ),
            (50 * _perplexity(counts), "this is the perplexity; its log2 is the entropy in bits"),
        ],
    }
    agree(
        bits,
        lambda counts, n: (n * math.log2(len(counts)), n * math.log2(_perplexity(counts))),
        [
            (counts, 50),
            (np.array([3, 0, 1]), 25),
            (np.array([3, 1]), 8),
            (np.array([7, 0, 0, 0]), 100),
            (300 * np.arange(9), 12.5),
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

    pairs, every = table(sequences), np.bincount(np.concatenate(sequences))
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
            (conditional(pairs + 1), "counts start at 0, not at 1: only pairs that occur count"),
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
            (
                conditional(table([s[k::2] for s in sequences for k in (0, 1)])),
                "these are pairs of a symbol and the one after the next",
            ),
            (
                -np.sum((g := used / used.sum(1, keepdims=True))[g > 0] * np.log(g[g > 0])),
                "each pair is weighed by p(next | this): weigh it by how often it occurs",
            ),
            (-right, "the sign: H = -Σ p log p"),
            *(
                (conditional(wrong), why)
                for wrong, why in (
                    ((pairs > 0) * 1.0, "each pair counts once: weigh it by how often it occurs"),
                    (
                        pairs + pairs.T,
                        "pairs are counted both ways: first this symbol, then the next",
                    ),
                    (
                        table([s[:-1] for s in sequences]),
                        "the last pair of each sequence is missing",
                    ),
                    (
                        table([s[1:] for s in sequences]),
                        "the first pair of each sequence is missing",
                    ),
                )
            ),
            (
                math.log(_perplexity(pairs.sum(0))) - right,
                "this is what a symbol says of the next one; what it leaves open is asked for",
            ),
            (
                -(pairs / pairs.sum() * np.log(np.maximum(pairs, 1) / every[:, None])).sum(),
                "divided by how often a symbol occurs at all: the last of a sequence has no next, so count pairs",
            ),
            (
                lambda got: 0 < abs(got - right) < 0.2 * right and got > right,
                "near, but too high: is something added to the counts, or does p(next | this) not sum to one?",
            ),
        ],
    )
    circle = float(entropy([np.arange(40) % 4], 4))
    require(
        abs(circle) < 1e-12,
        "where the next symbol is certain it is 0",
        f"0, 1, 2, 3, 0, 1, … leaves nothing open, and you give {circle:.4g} nats",
    )


def _error(codebook_size: int, dim: int) -> float:
    """Mean squared error of a codebook for 4,000 points that fill a line, a square, …"""
    points = torch.rand(4000, dim, generator=torch.Generator().manual_seed(0))
    book = vq.VectorQuantizer(codebook_size, dim).initialise(points).eval()
    return (book(points).z - points).square().sum(1).mean().item()


def _steps_to_half(decay: float) -> int:
    """Batches until a code that nobody chooses any more has half of its count."""
    ends = torch.tensor([[-1.0], [1.0]])
    book = vq.VectorQuantizer(2, 1, restart=False, decay=decay).initialise(ends).train()
    for _ in range(int(10 / (1 - decay))):
        book(ends.repeat(4, 1))
    lonely = int(book.nearest(ends)[1])
    start, steps = book.counts[lonely].item(), 0
    while book.counts[lonely] > start / 2:
        book(ends[:1].repeat(8, 1))
        steps += 1
    return steps


@exercise("11.7", "predict, then run: a larger codebook")
def codebook_prediction(prediction: Callable) -> None:
    """prediction() -> {"line", "square", "steps"}: before the run."""
    predicts(
        prediction,
        {
            "line": (
                _error(4, 1) / _error(16, 1),
                0.06,
                (
                    "K codes cut the line into K pieces. How does the length of a piece, and so the "
                    "largest and the typical distance to its middle, change? The error is a distance squared"
                ),
            ),
            "square": (
                _error(4, 2) / _error(16, 2),
                0.06,
                (
                    "K codes share an area now. How does the side of a cell of that area change, which is "
                    "what a distance goes with?"
                ),
            ),
            "steps": (
                _steps_to_half(0.99),
                0.03,
                (
                    "each batch multiplies the count of a code that nobody chooses by γ; nothing is added. "
                    "A loss of 1 % a step, compounded, is not 50 steps of 1 %"
                ),
            ),
        },
    )


def _quantize(bug: str = "") -> Callable:
    """quantize(z, codebook) as chapter 11 has it, or with a planted bug."""

    def quantize(z: Tensor, codebook: Tensor) -> tuple[Tensor, ...]:
        score = -(z[:, None] - codebook).square().sum(-1)  # (N, K)
        codes = (z @ codebook.T if bug == "product" else score).argmax(1)
        e = codebook[codes]
        q = (e if bug == "leak" else e.detach()) + (z - z.detach())
        if bug == "rounding":  # no bug: the same in another order
            q = z + (e - z).detach()
        elif bug == "open":
            q = z + 0 * e.detach()
        elif bug == "blurred":
            q = e.detach() + (z - z.detach()).mean(1, keepdim=True)
        mean = (lambda v: v.mean()) if bug == "mean" else (lambda v: v.sum(1).mean())
        codebook_loss = mean(((z if bug == "pulled" else z.detach()) - e).square())
        commitment = mean((z - (e if bug == "whole" else e.detach())).square())
        losses = (commitment, codebook_loss) if bug == "swap" else (codebook_loss, commitment)
        if bug == "value":
            losses = codebook_loss + commitment.detach(), commitment - commitment.detach()
        if bug in ("codes", "a code"):  # all of them, or the last
            off = torch.arange(len(codes)) >= (len(codes) - 1 if bug == "a code" else 0)
            codes = (codes + off) % len(codebook)
        return q, codes, *losses

    return quantize


def _library(z: Tensor, codebook: Tensor) -> tuple[Tensor, ...]:
    """The library's own layer, with these codes."""
    layer = vq.VectorQuantizer(*codebook.shape, ema=False, restart=False).eval()
    out = torch.func.functional_call(layer, {"codebook": codebook}, (z,))
    return out.z, out.codes, out.codebook_loss, out.commitment_loss


BUGS = {
    "leak": "the decoder's gradient reaches the codes as well: sg[e] is missing",
    "swap": "codebook loss and commitment loss are exchanged: their values are the same",
    "whole": "the commitment loss moves codes, too: sg[e] is missing in it",
    "pulled": "the codebook loss moves the vectors, too: sg[z] is missing in it",
    "product": "the code with the largest product is chosen, not the nearest",
    "mean": "squares are averaged over D, where the formula sums them",
    "value": "the codebook loss has the value of both losses, the commitment loss none: the gradients are right",
    "open": "q is z itself, with all the right gradients: nothing is quantised",
    "blurred": "all numbers of a vector get the mean of their gradients",
    "codes": "the codes that are returned are not those of q",
    "a code": "the last code that is returned is not that of q",
}


def _spoilt() -> list[tuple[Callable, str]]:
    """A layer of which one number is off, or sends some gradient to one number of z or of the book, in words."""
    found = nudges(_quantize(), "q is off in its {} row and {} column", 2, 0.01, 0)
    for part, axes, name in (
        (0, 2, "q"),
        (2, 0, "the codebook loss"),
        (3, 0, "the commitment loss"),
    ):
        found += nudges(_quantize(), f"the value of {name} is off", 0, 0.01, part) if part else []
        for (source, to), end in itertools.product(enumerate(("vectors", "codes")), (0, -1)):
            by = lambda *inputs, k=source, end=end: 0.1 * (inputs[k] - inputs[k].detach())[end, end]
            what = f"{name} sends too much gradient to one number of the {to}"
            found += nudges(_quantize(), what, axes, by, part, places=(0.0, 1.0))
    return found


@exercise("11.8", "the test that finds the bug")
def quantizer_test(is_right: Callable) -> None:
    """is_right(quantize, n, dim, size): quantize(z (n, dim), codebook (size, dim)) -> q, codes, 2 losses."""
    sizes = ((6, 2, 4), (30, 5, 7))
    right = [((_quantize(), *s), f"{s[0]} vectors of {s[1]} numbers, {s[2]} codes") for s in sizes]
    right += [
        ((_quantize("rounding"), 12, 3, 5), "z + sg[e - z], the same but for rounding"),
        ((_quantize(), 9, 1, 3), "vectors of one number"),
        ((_library, 8, 4, 6), "the library's own layer"),
    ]
    finds_bugs(
        is_right,
        right,
        [((_quantize(bug), *s), what) for s in sizes for bug, what in BUGS.items()]
        + [((layer, 9, 3, 5), what) for layer, what in _spoilt()],
        "the nearest codes, q with the values of their vectors (rounding allowed), two losses of one value, "
        "and each gradient where the equations of the chapter let it go",
    )
