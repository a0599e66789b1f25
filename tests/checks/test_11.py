"""The checks of chapter 11: solutions pass, blanks fail, typical mistakes are named."""

import math

import numpy as np
import torch
from exercise_checks import ExerciseChecks

from minigen.checks import vqvae as checks


def distances(z, codebook):
    """(B, D, N), (K, D) -> (B, N, K)."""
    return (z.movedim(1, -1)[:, :, None] - codebook).square().sum(-1)


def nearest(z, codebook):
    return distances(z, codebook).argmin(-1)


def by_product(z, codebook):
    return (z.movedim(1, -1) @ codebook.T).argmax(-1)


def expanded(z, codebook):
    z = z.movedim(1, -1)
    return (
        z.square().sum(-1, keepdim=True) - 2 * z @ codebook.T + codebook.square().sum(1)
    ).argmin(-1)


def reshaped(z, codebook):
    B, D, N = z.shape
    return nearest(z.reshape(B * N, D)[..., None], codebook).reshape(B, N)


def straight(z, e, share):
    mixed = share * z + (1 - share) * e
    return mixed + (e - mixed).detach()


def reader_test(to_codes=True, exact=False, losses=True, pulls=True):
    """A reader's test, which may leave out a part."""

    def is_right(quantize, n, dim, size):
        draw = torch.Generator().manual_seed(1)
        z, book, weight = (
            torch.randn(k, dim, generator=draw, dtype=torch.float64) for k in (n, size, n)
        )
        z.requires_grad_(), book.requires_grad_()
        squares = (z[:, None] - book).square().sum(-1)
        q, codes, *both = quantize(z, book)
        good = torch.equal(codes, squares.argmin(1))
        close = torch.equal if exact else torch.allclose
        good &= close(q, book[codes])
        loss = squares.min(1).values.mean()
        good &= all(torch.allclose(one, loss) for one in both)

        def slopes(value):
            found = torch.autograd.grad(value, (z, book), retain_graph=True, allow_unused=True)
            return [0 * v if g is None else g for g, v in zip(found, (z, book), strict=True)]

        want = slopes(loss)
        pairs = [((weight * q).sum(), (weight, 0 * book))]
        pairs += [(both[0], (0 * z, want[1])), (both[1], (want[0], 0 * book))] * losses
        for value, wanted in pairs:
            to_vectors = pulls or value is not both[0]
            checks = zip(slopes(value), wanted, (to_vectors, to_codes), strict=True)
            good &= all(torch.allclose(a, b) for a, b, looked in checks if looked)
        return good

    return is_right


def gather(z, codes, k):
    counts = torch.bincount(codes, minlength=k).to(z.dtype)
    return counts, torch.zeros(k, z.shape[1]).to(z).index_add_(0, codes, z)


def averages(count, total, z, codes, decay, smoothing):
    """The right one; `twisted` makes the wrong ones."""
    return twisted()(count, total, z, codes, decay, smoothing)


def twisted(
    old=lambda decay: decay,
    new=lambda decay: 1 - decay,
    skip=False,
    mean=False,
    divisor=lambda n, s: n.sum() * (n + s) / (n.sum() + len(n) * s),
):
    def update(count, total, z, codes, decay, smoothing):
        counts, sums = gather(z, codes, len(count))
        if mean:
            sums = sums / counts.clamp(min=1)[:, None]
        n = old(decay) * count + new(decay) * counts
        m = old(decay) * total + new(decay) * sums
        if skip:
            n, m = torch.where(counts > 0, n, count), torch.where(counts[:, None] > 0, m, total)
        return n, m, m / divisor(n, smoothing)[:, None]

    return update


def late(count, total, z, codes, decay, smoothing):
    n, m, _ = averages(count, total, z, codes, decay, smoothing)
    return n, m, m


def skipping_sums(count, total, z, codes, decay, smoothing):
    n, _, _ = averages(count, total, z, codes, decay, smoothing)
    return n, *twisted(skip=True)(count, total, z, codes, decay, smoothing)[1:]


def entropy(counts):
    p = np.asarray(counts)[np.asarray(counts) > 0] / np.sum(counts)
    return -(p * np.log(p)).sum()


def counted(batches, k):
    codes = torch.cat([b.flatten() for b in batches]).numpy()
    return np.bincount(codes[codes >= 0], minlength=k)


def padded(batches, k, place):
    """With -1 counted as a code: the last one, the first one, or one of its own."""
    codes = torch.cat([b.flatten() for b in batches]).numpy()
    return math.exp(entropy(np.bincount(np.where(codes < 0, place % (k + 1), codes))))


def perplexity(batches, k):
    return math.exp(entropy(counted(batches, k)))


def careless(counts):
    p = np.asarray(counts) / np.sum(counts)
    return -(p * np.log(p)).sum()


def bits(counts, each_second):
    return each_second * math.log2(len(counts)), each_second * entropy(counts) / math.log(2)


def table(sequences, k):
    pairs = np.zeros((k, k))
    for row in sequences:
        np.add.at(pairs, (row[:-1], row[1:]), 1)
    return pairs


def conditional(pairs):
    return entropy(pairs.ravel()) - entropy(pairs.sum(1))


def bigrams(sequences, k):
    return conditional(table(sequences, k))


SOLUTIONS = {
    "nearest": nearest,
    "straight_through": straight,
    "moving_averages": averages,
    "perplexity": perplexity,
    "rate": bits,
    "bigrams": bigrams,
    "codebook_prediction": lambda: {"line": 16, "square": 4, "steps": 69},
    "quantizer_test": reader_test(),
}


def predicted(**changes):
    return lambda: {"line": 16, "square": 4, "steps": 69} | changes


MISTAKES = [
    ("nearest", lambda z, e: distances(z, e).argmax(-1), "farthest"),
    ("nearest", by_product, "largest product"),
    ("nearest", lambda z, e: by_product(z, e / e.norm(dim=1, keepdim=True)), "direction"),
    (
        "nearest",
        lambda z, e: (z.movedim(1, -1)[:, :, None] - e).sum(-1).abs().argmin(-1),
        "cancel",
    ),
    ("nearest", lambda z, e: distances(z, e).min(-1).values, "return the indices"),
    ("nearest", lambda z, e: e[nearest(z, e)], "these are vectors"),
    ("nearest", expanded, "Subtract first"),
    ("nearest", reshaped, "mixes different vectors"),
    ("straight_through", lambda z, e, a: z, "this is z"),
    ("straight_through", lambda z, e, a: z + e, "taken away again"),
    ("straight_through", lambda z, e, a: e - (z - e), "must cancel"),
    ("straight_through", lambda z, e, a: a * z + (1 - a) * e, "this is the mixture"),
    ("straight_through", lambda z, e, a: e.detach(), "everything is detached"),
    ("straight_through", lambda z, e, a: e, "z gets none"),
    ("straight_through", lambda z, e, a: z + (e - z).detach(), "e gets none"),
    ("straight_through", lambda z, e, a: straight(z, e, 1 - a), "exchanged"),
    ("straight_through", lambda z, e, a: straight(z, e, 0.75), "times share"),
    ("straight_through", lambda z, e, a: e + a * (z - z.detach()), "what is left"),
    ("moving_averages", twisted(lambda d: 1 - d, lambda d: d), "swapped"),
    ("moving_averages", twisted(lambda d: 1), "must fade"),
    ("moving_averages", twisted(new=lambda d: 1), "weighs 1 - γ"),
    ("moving_averages", twisted(skip=True), "nobody chose"),
    ("moving_averages", skipping_sums, "nobody chose"),
    ("moving_averages", twisted(mean=True), "The count is what divides"),
    ("moving_averages", twisted(divisor=lambda n, s: n), "what the smoothing is for"),
    ("moving_averages", twisted(divisor=lambda n, s: n + s), "add up to the same"),
    (
        "moving_averages",
        twisted(divisor=lambda n, s: n.sum() * (n + s) / (n.sum() + s)),
        "K codes got ε each",
    ),
    ("moving_averages", late, "these are the sums"),
    ("moving_averages", lambda *args: averages(*args)[2], "return three things"),
    ("perplexity", lambda b, k: padded(b, k, -1), "-1 is no code"),
    ("perplexity", lambda b, k: padded(b, k, k - 1), "as Python's indices are"),
    ("perplexity", lambda b, k: padded(b, k, 0), "taken for code 0"),
    ("perplexity", lambda b, k: np.mean([perplexity([x], k) for x in b]), "mean over batches"),
    ("perplexity", lambda b, k: perplexity(b[-1:], k), "last batch"),
    ("perplexity", lambda b, k: entropy(counted(b, k)), "in nats; take"),
    ("perplexity", lambda b, k: entropy(counted(b, k)) / math.log(2), "entropy in bits"),
    ("perplexity", lambda b, k: math.exp(entropy(counted(b, k)) / math.log(2)), "exponent of e"),
    ("perplexity", lambda b, k: 2 ** entropy(counted(b, k)), "exponent of 2"),
    ("perplexity", lambda b, k: (counted(b, k) > 0).sum(), "number of codes"),
    ("perplexity", lambda b, k: 1 / perplexity(b, k), "the sign"),
    ("perplexity", lambda b, k: math.exp(entropy(counted(b, k) + 1)), "counts 0, not 1"),
    ("perplexity", lambda b, k: math.exp(careless(counted(b, k))), "0 · log 0"),
    ("rate", lambda c, r: (r * math.log(len(c)), bits(c, r)[1]), "lengths: nats"),
    ("rate", lambda c, r: (r * math.log2((c > 0).sum()), bits(c, r)[1]), "still in the book"),
    ("rate", lambda c, r: bits(c, 1), "a second has 50"),
    ("rate", lambda c, r: (math.log2(len(c)) / r, bits(c, r)[1]), "do not divide"),
    ("rate", lambda c, r: (r * len(c), bits(c, r)[1]), "log2 K bits, not K"),
    ("rate", lambda c, r: (bits(c, r)[0], r * entropy(c)), "counts: nats"),
    ("rate", lambda c, r: (bits(c, r)[0], bits(c, 1)[1]), "a second has 50"),
    ("rate", lambda c, r: (bits(c, r)[0], -bits(c, r)[1]), "the sign"),
    ("rate", lambda c, r: (bits(c, r)[0], r * math.exp(entropy(c))), "this is the perplexity"),
    ("rate", lambda c, r: (bits(c, r)[0], r * careless(c)), "0 · log 0"),
    ("rate", lambda c, r: (bits(c, r)[0], bits(c, r)[1] / (c > 0).sum()), "this is a mean"),
    ("rate", lambda c, r: bits(c, r)[0], "return two things"),
    ("bigrams", lambda s, k: conditional(table(s, k) + 1), "counts start at 0"),
    ("bigrams", lambda s, k: bigrams([np.concatenate(s)], k), "within each"),
    ("bigrams", lambda s, k: entropy(table(s, k).ravel()), "entropy of a pair"),
    ("bigrams", lambda s, k: bigrams(s, k) / math.log(2), "natural logarithm"),
    (
        "bigrams",
        lambda s, k: np.mean([entropy(row) for row in table(s, k) if row.sum()]),
        "weigh each",
    ),
    ("bigrams", lambda s, k: conditional(table(s, k).T), "turned round"),
    ("bigrams", lambda s, k: entropy(table(s, k).sum(0)), "single symbols"),
    ("bigrams", lambda s, k: entropy(np.bincount(np.concatenate(s))), "single symbols"),
    ("bigrams", lambda s, k: -bigrams(s, k), "the sign"),
    ("bigrams", lambda s, k: careless(table(s, k).ravel()), "0 · log 0"),
    ("codebook_prediction", predicted(line=4), "line: .* The error is a distance squared"),
    ("codebook_prediction", predicted(square=16), "the side of a cell"),
    ("codebook_prediction", predicted(steps=50), "compounded"),
    ("codebook_prediction", lambda: {"line": 16}, "one answer for each"),
    ("quantizer_test", lambda *a: True, "sg.e. is missing"),
    ("quantizer_test", lambda *a: False, "refuses 6 vectors"),
    ("quantizer_test", reader_test(exact=True), "refuses z . sg"),
    ("quantizer_test", reader_test(to_codes=False), "reaches the codes as well"),
    ("quantizer_test", reader_test(pulls=False), "moves the vectors, too"),
    ("quantizer_test", reader_test(losses=False), "exchanged"),
]


class TestChapter11(ExerciseChecks):
    chapter = 11
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
