"""The checks of chapter 4: solutions pass, blanks fail, typical mistakes are named."""

import math

import numpy as np
import torch
from exercise_checks import ExerciseChecks

from minigen.checks import change_of_variables as checks
from minigen.flows import Transform

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def log_z(x):
    return -0.5 * (np.log(x) / 2) ** 2 - HALF_LOG_2PI


def rank(u, data):
    return np.sort(data)[np.floor(u * len(data)).astype(int)]


def cross(a, b):
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def diagonal(L):
    return torch.diagonal(L, dim1=-2, dim2=-1)


def compose(transforms, x):
    total = torch.zeros(len(x), dtype=x.dtype)
    for transform in transforms:
        x, part = transform(x)
        total = total + part
    return x, total


def banana(bend=1.0, scale=1.0, there=1.0, home=1.0, scale_the_bend=False):
    """The right transform, or with the numbers changed a wrong one."""

    class Banana(Transform):
        def __init__(self, b, s):
            super().__init__(2)
            self.b, self.s = b, s

        def _forward(self, x, context):
            z = (x[..., 1] - bend * self.b * x[..., 0] ** 2) * math.exp(-scale * self.s)
            return torch.stack([x[..., 0], z], -1), torch.full_like(z, -there * self.s)

        def _inverse(self, z, context):
            add = self.b * z[..., 0] ** 2 * (math.exp(self.s) if scale_the_bend else 1.0)
            x = z[..., 1] * math.exp(self.s) + add
            return torch.stack([z[..., 0], x], -1), torch.full_like(x, home * self.s)

    return Banana


SOLUTIONS = {
    "falling_map": lambda x: log_z(x) - np.log(2 * x),
    "same_histogram": rank,
    "signed_area": cross,
    "triangular_log_det": lambda L: diagonal(L).abs().log().sum(-1),
    "chain": compose,
    "banana": banana(),
}


def at_one_place(which):
    """A chain whose log-determinants are all taken at its start (0) or at its end (1)."""

    def wrong(transforms, x):
        z = compose(transforms, x)[0]
        return z, sum(t((x, z)[which])[1] for t in transforms)

    return wrong


MISTAKES = [
    ("falling_map", log_z, "is missing"),
    ("falling_map", lambda x: log_z(x) + np.log(2 * x), "wrong sign"),
    ("falling_map", lambda x: log_z(x) + np.log(-1 / (2 * x)), "take the logarithm of"),
    ("falling_map", lambda x: log_z(x) - np.log(x), "the ½"),
    ("falling_map", lambda x: np.exp(log_z(x)) / (2 * x), "return its logarithm"),
    (
        "falling_map",
        lambda x: log_z(x) - np.log(2 * x) + HALF_LOG_2PI,
        "0.9189",
    ),
    ("same_histogram", lambda u, d: d[np.floor(u * len(d)).astype(int)], "not sorted"),
    ("same_histogram", lambda u, d: rank(u, d) * 0 + d.min() + u * np.ptp(d), "uniform between"),
    ("same_histogram", lambda u, d: np.sort(d)[::-1][(u * len(d)).astype(int)], "largest down"),
    (
        "same_histogram",
        lambda u, d: np.searchsorted(np.sort(d), u, side="right") / len(d),
        "F itself",
    ),
    ("same_histogram", lambda u, d: np.sort(d)[np.round(u * (len(d) - 1)).astype(int)], "nearest"),
    ("signed_area", lambda a, b: np.abs(cross(a, b)), "sign is lost"),
    ("signed_area", lambda a, b: cross(b, a), "turned round"),
    ("signed_area", lambda a, b: (a * b).sum(1), "scalar product"),
    ("signed_area", lambda a, b: np.hypot(*a.T) * np.hypot(*b.T), "lengths"),
    ("signed_area", lambda a, b: a[:, 0] * b[:, 1] + a[:, 1] * b[:, 0], "subtracted"),
    ("signed_area", lambda a, b: cross(a, b) / 2, "triangle"),
    ("triangular_log_det", lambda L: diagonal(L).abs().log().sum(), "one value for each"),
    ("triangular_log_det", lambda L: diagonal(L).prod(-1), "return its logarithm"),
    ("triangular_log_det", lambda L: diagonal(L).sum(-1).log(), "trace"),
    ("triangular_log_det", lambda L: diagonal(L).sum(-1), "take logarithms first"),
    ("triangular_log_det", lambda L: diagonal(L).abs().log().mean(-1), "summed"),
    ("triangular_log_det", lambda L: diagonal(L).log().sum(-1), "negative diagonal"),
    ("triangular_log_det", lambda L: diagonal(L).prod(-1).abs().log(), "underflows"),
    ("chain", lambda ts, x: compose(ts[::-1], x), "reverse order"),
    ("chain", at_one_place(0), "taken at x"),
    ("chain", at_one_place(1), "taken at the end"),
    ("chain", lambda ts, x: (compose(ts, x)[0], -compose(ts, x)[1]), "the sign"),
    ("chain", lambda ts, x: (compose(ts, x)[0], ts[-1](compose(ts[:-1], x)[0])[1]), "only that"),
    ("chain", lambda ts, x: compose(ts, x)[0], "two things"),
    ("banana", banana(bend=-1.0), "takes the bend away"),
    ("banana", banana(scale=-1.0), "divides by the scale"),
    ("banana", banana(there=-1.0), "shrinks area"),
    ("banana", banana(there=0.0), "bend keeps area"),
    ("banana", banana(home=-1.0), "opposite sign"),
    ("banana", banana(scale_the_bend=True), "undo the last step first"),
]


class TestChapter4(ExerciseChecks):
    chapter = 4
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
