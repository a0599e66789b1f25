"""The checks of chapter 12: solutions pass, blanks fail, typical mistakes are named."""

import math

import torch
from exercise_checks import ExerciseChecks

from minigen.checks import flows as checks


def planar(x, u, w, b, along=0, h=torch.tanh, shift=1.0, det=lambda v: v):
    a = x @ w + shift * b
    push = (u, w)[along] * h(a)[:, None]
    return x + push, torch.log(det(1 + (1 - torch.tanh(x @ w + b) ** 2) * (w @ u)))


def forward(x, net):
    m, s = net(x[:, :2])
    return torch.cat([x[:, :2], (x[:, 2:] - m) * torch.exp(-s)], -1), -s.sum(-1)


def inverse(z, net):
    m, s = net(z[:, :2])
    return torch.cat([z[:, :2], z[:, 2:] * torch.exp(s) + m], -1), s.sum(-1)


def piece(xi, h, s, d0, d1):
    both = xi * (1 - xi)
    e = s + (d0 + d1 - 2 * s) * both
    slope = s**2 * (d1 * xi**2 + 2 * s * both + d0 * (1 - xi) ** 2) / e**2
    return h * (s * xi**2 + d0 * both) / e, slope


def estimate(flow, energy, log_z, n, generator, u=1.0, q=1.0, z_sign=1.0):
    z, log_q = flow.sample_and_log_prob((n,), generator=generator)
    return (q * log_q + u * energy(z)).mean().item() + z_sign * log_z


def bits(nats, dims, factor):
    return -(nats - dims * math.log(factor)) / dims / math.log(2)


SOLUTIONS = {
    "planar": (planar,),
    "coupling": (forward, inverse),
    "rational_quadratic": (piece,),
    "kl_to_energy": (estimate,),
    "bits_per_dimension": (bits,),
}


def wrong_planar(**changes):
    return (lambda x, u, w, b: planar(x, u, w, b, **changes),)


def planar_det(change):
    """The right z with a wrong log-determinant: change(slope, h, u, w)."""

    def layer(x, u, w, b):
        h = torch.tanh(x @ w + b)
        return x + u * h[:, None], change(1 - h**2, h, u, w)

    return (layer,)


def coupled(change):
    """A wrong forward: change(kept, moved, m, s, net) -> z, log_det."""

    def wrong(x, net):
        kept, moved = x[:, :2], x[:, 2:]
        return change(kept, moved, *net(kept), net)

    return (wrong, inverse)


def join(kept, moved):
    return torch.cat([kept, moved], -1)


def wrong_inverse(change):
    def back(z, net):
        kept, moved = z[:, :2], z[:, 2:]
        return change(kept, moved, *net(kept))

    return (forward, back)


def wrong_estimate(**changes):
    return (lambda *arguments: estimate(*arguments, **changes),)


EXP = torch.exp
MISTAKES = [
    ("planar", wrong_planar(along=1), "along u"),
    ("planar", wrong_planar(h=lambda a: a), "h is missing"),
    ("planar", wrong_planar(shift=0.0), "b is missing"),
    ("planar", wrong_planar(det=EXP), "return its logarithm"),
    ("planar", planar_det(lambda d, h, u, w: torch.log(1 + h * (w @ u))), "1 - tanh²"),
    ("planar", planar_det(lambda d, h, u, w: torch.log(1 + d * (u @ u))), "in place of"),
    ("planar", planar_det(lambda d, h, u, w: 3 * torch.log(1 + d * (w @ u))), "counted D times"),
    ("planar", planar_det(lambda d, h, u, w: -torch.log(1 + d * (w @ u))), "turned round"),
    ("planar", (lambda x, u, w, b: planar(x, u, w, b)[0],), "expected shape"),
    ("coupling", coupled(lambda k, x, m, s, n: (join(k, x * EXP(s) + m), s.sum(-1))), "way back"),
    ("coupling", coupled(lambda k, x, m, s, n: (join(k, x * EXP(-s) - m), -s.sum(-1))), "before"),
    ("coupling", coupled(lambda k, x, m, s, n: (join(k, (x - m) * EXP(s)), s.sum(-1))), "divides"),
    (
        "coupling",
        coupled(lambda k, x, m, s, n: (join(k, (x - n(x)[0]) * EXP(-n(x)[1])), -s.sum(-1))),
        "second half",
    ),
    (
        "coupling",
        coupled(lambda k, x, m, s, n: (join((x - m) * EXP(-s), k), -s.sum(-1))),
        "changed places",
    ),
    ("coupling", coupled(lambda k, x, m, s, n: (join(k, (x - m) * EXP(-s)), s.sum(-1))), "sign"),
    (
        "coupling",
        coupled(lambda k, x, m, s, n: (join(k, (x - m) * EXP(-s)), -s.mean(-1))),
        "summed",
    ),
    ("coupling", coupled(lambda k, x, m, s, n: (join(k, (x - m) * EXP(-s)), -s.sum())), "each row"),
    ("coupling", wrong_inverse(lambda k, z, m, s: (join(k, (z + m) * EXP(s)), s.sum(-1))), "undo"),
    (
        "coupling",
        wrong_inverse(lambda k, z, m, s: (join(k, z * EXP(s) + m), -s.sum(-1))),
        "opposite",
    ),
    ("rational_quadratic", (lambda xi, h, *r: (piece(xi, 1.0, *r)[0], xi),), "height"),
    ("rational_quadratic", (lambda xi, h, *r: (h * xi, xi),), "straight line"),
    (
        "rational_quadratic",
        (lambda xi, h, s, d0, d1: (piece(xi, h, s, d0, d1)[0], piece(xi, h, s, d1, d0)[1]),),
        "changed places",
    ),
    (
        "rational_quadratic",
        (lambda xi, h, s, *d: (piece(xi, h, s, *d)[0], piece(xi, h, s, *d)[1] / s),),
        "in place of s²",
    ),
    (
        "rational_quadratic",
        (lambda *a: (piece(*a)[0], piece(*a)[1].log()),),
        "return the slope",
    ),
    ("kl_to_energy", wrong_estimate(z_sign=0.0), "log Z is missing"),
    ("kl_to_energy", wrong_estimate(z_sign=-1.0), "log Z has the wrong sign"),
    ("kl_to_energy", wrong_estimate(q=0.0), "log q is missing"),
    ("kl_to_energy", wrong_estimate(q=-1.0), "log q has the wrong sign"),
    ("kl_to_energy", wrong_estimate(u=-1.0), "U has the wrong sign"),
    ("bits_per_dimension", (lambda n, d, f: -n / d / math.log(2),), "scale is missing"),
    ("bits_per_dimension", (lambda n, d, f: bits(n, d, 1 / f),), "spread out"),
    ("bits_per_dimension", (lambda n, d, f: bits(n, d, f) * math.log(2),), "these are nats"),
    ("bits_per_dimension", (lambda n, d, f: bits(n, d, f) * d,), "divide by their number"),
    ("bits_per_dimension", (lambda n, d, f: bits(n, d, f ** (1 / d)),), "counted once"),
    ("bits_per_dimension", (lambda n, d, f: -bits(n, d, f),), "fewer bits"),
]


class TestChapter12(ExerciseChecks):
    chapter = 12
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
