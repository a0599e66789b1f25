"""The checks of chapter 6: solutions pass, blanks fail, typical mistakes are named."""

import math

import numpy as np
import torch
from exercise_checks import ExerciseChecks

from minigen.checks import neural_autoregression as checks


def lstm(a, c, order=(0, 1, 2, 3), candidate=torch.tanh, shown=torch.tanh, keep=True, new=True):
    """The right step, or with its parts changed a wrong one."""
    blocks = a.chunk(4, -1)
    i, f, g, o = (blocks[k] for k in order)
    now = torch.sigmoid(f) * c * keep + torch.sigmoid(i) * candidate(g)
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


def masks(inputs, hidden, outputs):
    return hidden[:, None] >= inputs[None], outputs[:, None] > hidden[None]


def by_position(inputs, hidden, outputs):
    place = np.arange(1, len(inputs) + 1)
    return masks(place, hidden, place)


def numbers(function):
    return lambda *a: tuple(np.asarray(mask, float) for mask in function(*a))


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
    "bits_per_character": lambda log_p: -np.mean(log_p) / math.log(2),
    "lstm_step": lstm,
    "nucleus": cut,
    "masks": numbers(masks),
    "draw": draw,
    "mixture": mixture,
}


MISTAKES = [
    ("bits_per_character", lambda p: np.mean(p) / math.log(2), "the sign"),
    ("bits_per_character", lambda p: -np.mean(p), "in nats"),
    ("bits_per_character", lambda p: -np.mean(p) * math.log(2), "multiplied by log 2"),
    ("bits_per_character", lambda p: -np.sum(p) / math.log(2), "whole text"),
    ("bits_per_character", lambda p: -np.log2(np.mean(np.exp(p))), "averaged before"),
    ("lstm_step", lambda a, c: lstm(a, c, order=(1, 0, 2, 3)), "swapped"),
    ("lstm_step", lambda a, c: lstm(a, c, order=(0, 1, 3, 2)), "blocks 3 and 4"),
    ("lstm_step", lambda a, c: lstm(a, c, candidate=torch.sigmoid), "goes through tanh"),
    ("lstm_step", lambda a, c: lstm(a, c, candidate=lambda g: g), "not squashed"),
    ("lstm_step", lambda a, c: lstm(a, c, keep=False), "old cell state is lost"),
    ("lstm_step", lambda a, c: lstm(a, c, shown=lambda v: v), "tanh is missing"),
    ("lstm_step", lambda a, c: lstm(a, c, new=False), "use the new one"),
    ("lstm_step", lambda a, c: lstm(a, c)[::-1], "return h first"),
    ("lstm_step", lambda a, c: lstm(a, c)[0], "two things"),
    ("nucleus", lambda p, q: cut(p, q, renormalise=False), "not renormalised"),
    ("nucleus", lambda p, q: cut(p, q, crossing=False), "crosses the line"),
    ("nucleus", lambda p, q: cut(p, q, sign=1), "least probable up"),
    ("nucleus", lambda p, q: np.sort(cut(p, q))[::-1], "stay at its place"),
    ("nucleus", lambda p, q: p, "nothing is cut off"),
    ("nucleus", lambda p, q: np.where(np.cumsum(p) - p < q, p, 0) / 0.55, "not sorted"),
    ("nucleus", in_place, "changes its input"),
    ("masks", numbers(lambda i, h, o: (masks(i, h, o)[0], o[:, None] >= h[None])), "leaks the dia"),
    ("masks", numbers(lambda i, h, o: (h[:, None] > i[None], masks(i, h, o)[1])), "just before it"),
    ("masks", numbers(lambda i, h, o: (h[:, None] <= i[None], masks(i, h, o)[1])), "turned round"),
    ("masks", numbers(lambda i, h, o: tuple(m.T for m in masks(i, h, o))), "expected shape"),
    ("masks", numbers(by_position), "not positions|right for the inputs before"),
    ("masks", lambda i, h, o: masks(i, h, o)[0], "return two things"),
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
]


class TestChapter6(ExerciseChecks):
    chapter = 6
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
