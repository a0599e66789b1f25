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


def rank(u, data, weights, order=None, along=True, side="right", norm=True):
    order = np.argsort(data) if order is None else order(data)
    ends = np.cumsum(weights[order] if along else weights)
    return data[order][np.searchsorted(ends / (ends[-1] if norm else 1), u, side=side)]


def triple(a, b, c):
    return (np.cross(a, b) * c).sum(1)


def corners(J):
    return [torch.diagonal(J[:, i::2, j::2], dim1=-2, dim2=-1) for i in (0, 1) for j in (0, 1)]


def blocks(J, sign=-1):
    a, b, c, d = corners(J)
    return a * d + sign * b * c


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


def predicted(**change):
    """The right prediction with some answers replaced."""
    right = {"softer": 8000 * math.log(2), "sides": -math.log(2), "louder": 0.4092}
    return lambda: right | change


def transform_trial(batch=4, parts=("back", "there", "home"), at=None):
    """The right test, or one that looks at less."""

    def is_right(transform, dim):
        x = torch.randn(batch, dim, generator=torch.Generator().manual_seed(1)).double()
        x = x if at is None else x * 0 + at
        z, there = transform(x)
        back, home = transform.inverse(z)
        J = [torch.autograd.functional.jacobian(lambda v: transform(v[None])[0][0], v) for v in x]
        right = torch.stack([torch.linalg.slogdet(j)[1] for j in J])
        wrong = {
            "back": back - x,
            "there": there - right,
            "home": home + right,
            "sum": there + home,
        }
        return all(wrong[part].abs().max() < 1e-6 for part in parts)

    return is_right


SOLUTIONS = {
    "falling_map": lambda x: log_z(x) - np.log(2 * x),
    "same_histogram": rank,
    "signed_volume": triple,
    "triangular_log_det": lambda J: blocks(J).abs().log().sum(-1),
    "chain": compose,
    "banana": banana(),
    "units_of_likelihood": predicted(),
    "transform_test": transform_trial(),
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
    ("same_histogram", lambda u, d, w: rank(u, d, w * 0 + 1), "weights are not used"),
    ("same_histogram", lambda u, d, w: rank(u, d, w, lambda d: np.arange(len(d))), "not sorted:"),
    ("same_histogram", lambda u, d, w: rank(u, d, w, along=False), "not sorted with them"),
    ("same_histogram", lambda u, d, w: rank(u, d, w, lambda d: np.argsort(-d)), "largest down"),
    ("same_histogram", lambda u, d, w: rank(u, d, w, side="left"), "the later one"),
    ("same_histogram", lambda u, d, w: rank(u, d, w, norm=False), "by its last value"),
    ("same_histogram", lambda u, d, w: d.min() + u * np.ptp(d), "uniform between"),
    ("same_histogram", lambda u, d, w: np.quantile(d, u), "knows no weights"),
    (
        "same_histogram",
        lambda u, d, w: (w * (d <= u[:, None])).sum(1) / w.sum(),
        "F itself",
    ),
    ("signed_volume", lambda *s: np.abs(triple(*s)), "sign is lost"),
    ("signed_volume", lambda a, b, c: triple(b, a, c), "turned round"),
    ("signed_volume", lambda *s: triple(*s) / 6, "tetrahedron"),
    ("signed_volume", lambda *s: np.prod([np.linalg.norm(v, axis=1) for v in s], 0), "lengths"),
    ("signed_volume", lambda a, b, c: np.cross(a, b).sum(1), "c is not used"),
    ("signed_volume", lambda a, b, c: np.linalg.norm(np.cross(a, b), axis=1), "area of the base"),
    ("signed_volume", lambda *s: np.linalg.det(np.stack(s, axis=1)), "asks you to do without"),
    ("triangular_log_det", lambda J: blocks(J).abs().log().sum(), "one value for each"),
    (
        "triangular_log_det",
        lambda J: torch.diagonal(J, dim1=-2, dim2=-1).abs().log().sum(-1),
        "only the diagonal",
    ),
    ("triangular_log_det", lambda J: blocks(J, 1).abs().log().sum(-1), "ad \\+ bc"),
    ("triangular_log_det", lambda J: blocks(J)[:, 0].abs().log(), "only the first block"),
    ("triangular_log_det", lambda J: blocks(J).prod(-1), "return its logarithm"),
    ("triangular_log_det", lambda J: blocks(J).sum(-1), "take logarithms first"),
    ("triangular_log_det", lambda J: blocks(J).abs().log().mean(-1), "summed"),
    ("triangular_log_det", lambda J: blocks(J).abs().prod(-1).log(), "underflows"),
    ("triangular_log_det", lambda J: torch.linalg.slogdet(J)[1], "asks you to do without"),
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
    ("units_of_likelihood", predicted(softer=-8000 * math.log(2)), "its density doubles"),
    ("units_of_likelihood", predicted(softer=math.log(2)), "for each sample of the second"),
    ("units_of_likelihood", predicted(softer=8000), "that is a logarithm"),
    ("units_of_likelihood", predicted(sides=math.log(2)), "higher or lower"),
    ("units_of_likelihood", predicted(sides=0), "higher or lower"),
    ("units_of_likelihood", predicted(louder=0.5908), "what lies beyond"),
    ("units_of_likelihood", predicted(louder=0.9), "Where does 0.1 lie"),
    ("transform_test", lambda *a: True, "they cancel"),
    ("transform_test", lambda *a: False, "refuses µ-law of one number"),
    ("transform_test", transform_trial(parts=("back", "sum")), "they cancel"),
    ("transform_test", transform_trial(parts=("there", "home")), "undo the last step first"),
    ("transform_test", transform_trial(parts=("back", "there")), "of the way there"),
    ("transform_test", transform_trial(parts=("back", "home")), "the way there reports"),
    ("transform_test", transform_trial(batch=1), "all examples of a batch"),
    ("transform_test", transform_trial(at=0.3), "all examples of a batch"),
]


class TestChapter4(ExerciseChecks):
    chapter = 4
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
