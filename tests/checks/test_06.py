"""The checks of chapter 6: solutions pass, blanks fail, typical mistakes are named."""

import math
from itertools import pairwise, product

import numpy as np
import torch
from exercise_checks import ExerciseChecks

from minigen.checks import neural_autoregression as checks

LOG2 = math.log(2)


def bits(sign=-1, unit=LOG2, padded=False, of_means=False, total=False, per=np.sum):
    """The right rate, or with one of its parts changed a wrong one."""

    def answer(log_p, lengths):
        real = np.arange(log_p.shape[1]) < lengths[:, None]
        kept = log_p if padded else log_p * real
        if of_means:
            return sign * (kept.sum(1) / lengths).mean() / unit
        return sign * kept.sum() / (1 if total else per(lengths)) / unit

    return answer


def averaged_first(log_p, lengths):
    real = np.arange(log_p.shape[1]) < lengths[:, None]
    return -np.log2(np.exp(log_p[real]).mean())


def coupled(a, c, order=(0, 1, 2), candidate=torch.tanh, shown=torch.tanh, keep=True, new=True,
            let_in=lambda f: 1 - f):  # fmt: skip
    """The right step, or with its parts changed a wrong one."""
    blocks = a.chunk(3, -1)
    f, g, o = (blocks[k] for k in order)
    f = torch.sigmoid(f)
    now = f * c * keep + let_in(f) * candidate(g)
    return torch.sigmoid(o) * shown(now if new else c), now


def cut(p, top_p, crossing=True, renormalise=True, sign=-1):
    order = np.argsort(sign * p)
    before = np.cumsum(p[order]) - p[order] * crossing
    kept = np.zeros_like(p)
    kept[order[before < top_p]] = p[order[before < top_p]]
    return kept / kept.sum() if renormalise else kept


def in_place(p, top_p):
    kept = cut(p, top_p)
    p[:] = kept
    return kept


def masks(
    inputs,
    hidden,
    P,
    into=np.greater_equal,
    out=np.greater,
    repeat=np.repeat,
    positions=False,
    turned=False,
):
    """The right masks, or with a part changed wrong ones."""
    inputs = np.arange(1, len(inputs) + 1) if positions else inputs
    layers = [inputs, *hidden]
    made = [into(a[:, None], b[None]) for b, a in pairwise(layers)]
    made.append(out(repeat(inputs, P)[:, None], hidden[-1][None]))
    return [np.asarray(m.T if turned else m, float) for m in made]


def one_layer_only(inputs, hidden, P):
    return masks(inputs, hidden[:1], P)


def predicts(share=0.64 / 0.68, bits=0.4395, cut=1.0, sound="quieter"):
    return lambda: {"share": share, "bits": bits, "cut": cut, "sound": sound}


def listed(log_prob, sample, D, added=True, drawn=True, only=None, seen=None, n=50_000):
    """The right test, or one that looks at less."""
    every = np.array(list(product((0, 1), repeat=D)))
    p = np.exp(log_prob(every))
    if added and abs(p.sum() - 1) > 1e-6:
        return False
    if not drawn:
        return True
    p = p / p.sum()
    x = sample(n, np.random.default_rng(0))
    if only is not None:  # one bit alone
        return abs(x[:, only].mean() - p @ every[:, only]) < 0.012
    if seen is not None:  # every bit by itself
        return np.abs(x.mean(0) - p @ every).max() < 0.012
    share = np.bincount((x @ 2 ** np.arange(D)[::-1]).astype(int), minlength=len(p)) / n
    return np.abs(share - p).max() < 0.012


def looks(**names):
    return lambda log_prob, sample, D: listed(log_prob, sample, D, **names)


def draw(network, n, dim, rng):
    x = np.zeros((n, dim))
    for d in range(dim):
        x[:, d] = rng.random(n) < network(x)[:, d]
    return x


def one_at_a_time(network, n, dim, rng):
    first = draw(network, n, dim, rng)
    for _ in range(5):
        network(first)
    return first


def above(network, n, dim, rng):
    x = np.zeros((n, dim))
    for d in range(dim):
        x[:, d] = rng.random(n) > network(x)[:, d]
    return x


def backwards(network, n, dim, rng):
    x = np.zeros((n, dim))
    for d in reversed(range(dim)):
        x[:, d] = rng.random(n) < network(x)[:, d]
    return x


def mixture(log_p):
    return np.logaddexp.reduce(log_p, axis=0) - math.log(len(log_p))


SOLUTIONS = {
    "bits_per_character": bits(),
    "coupled_step": coupled,
    "nucleus": cut,
    "masks": masks,
    "draw": draw,
    "mixture": mixture,
    "sharper": predicts(),
    "draws_what_it_scores": listed,
}


MISTAKES = [
    ("bits_per_character", bits(sign=1), "the sign"),
    ("bits_per_character", bits(unit=1), "in nats"),
    ("bits_per_character", bits(unit=1 / math.log(2)), "multiplied by log 2"),
    ("bits_per_character", bits(total=True), "all texts' bits"),
    ("bits_per_character", bits(of_means=True), "a mean of means"),
    ("bits_per_character", bits(padded=True), "after the end of a text is added"),
    ("bits_per_character", lambda p, n: -p.mean() / math.log(2), "counts as well"),
    ("bits_per_character", averaged_first, "averaged before"),
    ("coupled_step", lambda a, c: coupled(a, c, order=(1, 0, 2)), "blocks 1 and 2"),
    ("coupled_step", lambda a, c: coupled(a, c, order=(0, 2, 1)), "blocks 2 and 3"),
    ("coupled_step", lambda a, c: coupled(a, c, candidate=torch.sigmoid), "goes through tanh"),
    ("coupled_step", lambda a, c: coupled(a, c, candidate=lambda g: g), "not squashed"),
    ("coupled_step", lambda a, c: coupled(a, c, keep=False), "old cell state is lost"),
    ("coupled_step", lambda a, c: coupled(a, c, let_in=lambda f: f), "not f again"),
    ("coupled_step", lambda a, c: coupled(a, c, let_in=lambda f: 1), "let in by 1 - f"),
    ("coupled_step", lambda a, c: coupled(a, c, shown=lambda v: v), "tanh is missing"),
    ("coupled_step", lambda a, c: coupled(a, c, new=False), "use the new one"),
    ("coupled_step", lambda a, c: coupled(a, c)[::-1], "return h first"),
    ("coupled_step", lambda a, c: coupled(a, c)[0], "two things"),
    ("nucleus", lambda p, q: cut(p, q, renormalise=False), "not renormalised"),
    ("nucleus", lambda p, q: cut(p, q, crossing=False), "crosses the line"),
    ("nucleus", lambda p, q: cut(p, q, sign=1), "least probable up"),
    ("nucleus", lambda p, q: np.sort(cut(p, q))[::-1], "stay at its place"),
    ("nucleus", lambda p, q: p, "nothing is cut off"),
    ("nucleus", lambda p, q: np.where(np.cumsum(p) - p < q, p, 0) / 0.55, "not sorted"),
    ("nucleus", in_place, "changes its input"),
    ("masks", lambda i, h, p: masks(i, h, p, out=np.greater_equal), "leaks the diagonal"),
    ("masks", lambda i, h, p: masks(i, h, p, into=np.greater), "just before it"),
    ("masks", lambda i, h, p: masks(i, h, p, into=np.less_equal), "turned round"),
    ("masks", lambda i, h, p: masks(i, h, p, repeat=np.tile), "side by side"),
    ("masks", lambda i, h, p: masks(i, h, p, repeat=lambda d, _: d), "2 rows"),
    ("masks", lambda i, h, p: masks(i, h, p, turned=True), "expected shape"),
    ("masks", lambda i, h, p: masks(i, h, p, positions=True), "mask into hidden layer 1"),
    ("masks", one_layer_only, "return three things"),
    ("draw", lambda f, n, d, rng: rng.random((n, d)) < f(np.zeros((n, d))), "D passes"),
    ("draw", lambda f, n, d, rng: draw(lambda x: f(x) > 0.5, n, d, rng), "argmax is not"),
    ("draw", above, "below"),
    ("draw", backwards, "from the first to"),
    ("draw", one_at_a_time, "8 passes"),
    ("draw", lambda f, n, d, rng: draw(f, n, d, np.random.default_rng()), "same seed"),
    ("draw", lambda f, n, d, rng: draw(f, n, d, rng)[:, :2], "of shape"),
    ("mixture", lambda p: p.mean(0), "geometric mean"),
    ("mixture", lambda p: np.logaddexp.reduce(p, axis=0), "-log M is missing"),
    ("mixture", lambda p: np.exp(mixture(p)), "return its logarithm"),
    ("mixture", lambda p: p.max(0), "only the best"),
    ("mixture", lambda p: np.log(np.exp(p).mean(0)), "underflows"),
    ("sharper", predicts(share=0.8), "to which power"),
    ("sharper", predicts(share=0.8**0.5 / (0.8**0.5 + 0.2**0.5)), "to which power"),
    ("sharper", predicts(share=0.64), "what must they do in the end"),
    ("sharper", predicts(bits=0.7219), "which how many bits it takes"),
    ("sharper", predicts(bits=0.323), "which how many bits it takes"),
    ("sharper", predicts(cut=0.8), "how many symbols"),
    ("sharper", predicts(sound="louder"), "a little more probable"),
    ("sharper", predicts(sound=0.5), "expected a word"),
    ("draws_what_it_scores", lambda log_prob, sample, D: True, "bug: the logit of bit d"),
    ("draws_what_it_scores", lambda log_prob, sample, D: False, "refuses a chain of 3 bits"),
    ("draws_what_it_scores", looks(drawn=False), "as if those before them were 0"),
    ("draws_what_it_scores", looks(added=False), "add up to 1.02"),
    ("draws_what_it_scores", looks(only=0), "as if those before them were 0"),
    ("draws_what_it_scores", looks(n=200), "refuses"),
    ("draws_what_it_scores", lambda log_prob, sample, D: np.ones(3), "one True or False"),
]


class TestChapter6(ExerciseChecks):
    chapter = 6
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
