"""The checks of chapter 12: solutions pass, blanks fail, typical mistakes are named."""

import math

import torch
from exercise_checks import ExerciseChecks

from minigen.checks import flows as checks


def planar(x, u, w, b, along=0, h=torch.atan, shift=1.0, det=lambda v: v):
    a = x @ w + shift * b
    push = (u, w)[along] * h(a)[:, None]
    return x + push, torch.log(det(1 + (w @ u) / (1 + (x @ w + b) ** 2)))


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


def estimate(flow, energy, n, generator, u=1.0, q=1.0, change=lambda log_w, log_z, kl: (log_z, kl)):
    z, log_q = flow.sample_and_log_prob((n,), generator=generator)
    log_w = -u * energy(z) - q * log_q
    log_z = torch.logsumexp(log_w, 0) - math.log(n)
    return change(log_w, log_z, log_z - log_w.mean())


def plainly(flow, energy, n, generator):
    z, log_q = flow.sample_and_log_prob((n,), generator=generator)
    log_z = torch.log(torch.exp(-energy(z) - log_q).mean())
    return log_z, log_z + (log_q + energy(z)).mean()


def without(log_q_in_z=1.0, log_q_in_kl=1.0, u_in_kl=1.0):
    def wrong(flow, energy, n, generator):
        z, log_q = flow.sample_and_log_prob((n,), generator=generator)
        log_z = torch.logsumexp(-energy(z) - log_q_in_z * log_q, 0) - math.log(n)
        return log_z, (log_q_in_kl * log_q + u_in_kl * energy(z)).mean() + log_z

    return (wrong,)


def transform_reader(det=(True, True), scale=4.0, total=False, alone=False):
    """A reader's test, which may leave out a part."""

    def is_right(transform, dim):
        x = scale * torch.randn(10, dim, generator=torch.Generator().manual_seed(2)).double()
        z, there = transform.forward(x)
        home, back = transform.inverse(z)
        good = torch.allclose(home, x, atol=1e-6)
        if total:
            return good and torch.allclose(there + back, torch.zeros(10).double(), atol=1e-6)
        for f, v, said, looked in (
            (transform.forward, x, there, det[0]),
            (transform.inverse, z, back, det[1]),
        ):
            for one, value in zip(v, said, strict=True) if looked else ():
                value = f(one[None])[1][0] if alone else value
                J = torch.autograd.functional.jacobian(lambda p, f=f: f(p[None])[0][0], one)
                good &= torch.allclose(torch.linalg.slogdet(J)[1], value, atol=1e-6)
        return good

    return (is_right,)


def bits(nats, dims, factor):
    return -(nats - dims * math.log(factor)) / dims / math.log(2)


RIGHT = {"below": 50, "wider": 100 * math.log(2), "push": math.log(4)}
SOLUTIONS = {
    "planar": (planar,),
    "coupling": (forward, inverse),
    "rational_quadratic": (piece,),
    "normaliser": (estimate,),
    "bits_per_dimension": (bits,),
    "dimensions_prediction": (lambda: RIGHT,),
    "transform_test": transform_reader(),
}


def wrong_planar(**changes):
    return (lambda x, u, w, b: planar(x, u, w, b, **changes),)


def planar_det(change):
    """The right z with a wrong log-determinant: change(slope, h, u, w)."""

    def layer(x, u, w, b):
        a = x @ w + b
        return x + u * torch.atan(a)[:, None], change(1 / (1 + a**2), torch.atan(a), u, w)

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
    ("planar", wrong_planar(h=lambda a: a), "bend is missing"),
    ("planar", wrong_planar(shift=0.0), "b is missing"),
    ("planar", wrong_planar(det=EXP), "return its logarithm"),
    ("planar", wrong_planar(h=torch.tanh), "the chapter's bend"),
    ("planar", planar_det(lambda d, h, u, w: torch.log(1 + h * (w @ u))), "derivative of arctan"),
    (
        "planar",
        planar_det(lambda d, h, u, w: torch.log(1 + (1 - h**2) * (w @ u))),
        "slope of tanh",
    ),
    ("planar", planar_det(lambda d, h, u, w: torch.log(1 + (w @ u) / (1 + h**2))), "itself"),
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
    ("normaliser", wrong_estimate(change=lambda w, z, k: (w.mean(), k)), "lower bound"),
    ("normaliser", wrong_estimate(change=lambda w, z, k: (w.logsumexp(0), k)), "mean is asked for"),
    ("normaliser", wrong_estimate(change=lambda w, z, k: (z.exp(), k)), "return its logarithm"),
    ("normaliser", wrong_estimate(change=lambda w, z, k: (-z, k)), "the sign"),
    ("normaliser", wrong_estimate(change=lambda w, z, k: (z, -w.mean())), "log Z is missing"),
    ("normaliser", wrong_estimate(change=lambda w, z, k: (z, k - 2 * z)), "log Z has the wrong"),
    ("normaliser", wrong_estimate(change=lambda w, z, k: (z, -k)), "is not negative"),
    ("normaliser", wrong_estimate(change=lambda w, z, k: z), "return two things"),
    ("normaliser", wrong_estimate(q=-1.0), "multiplied by q"),
    ("normaliser", wrong_estimate(u=-1.0), "U has the wrong sign"),
    ("normaliser", without(log_q_in_z=0.0), "weigh each by 1/q"),
    ("normaliser", without(log_q_in_kl=0.0), "log q is missing"),
    ("normaliser", without(log_q_in_kl=-1.0), "log q has the wrong sign"),
    ("normaliser", (plainly,), "leave the range of a float"),
    ("bits_per_dimension", (lambda n, d, f: -n / d / math.log(2),), "scale is missing"),
    ("bits_per_dimension", (lambda n, d, f: bits(n, d, 1 / f),), "spread out"),
    ("bits_per_dimension", (lambda n, d, f: bits(n, d, f) * math.log(2),), "these are nats"),
    ("bits_per_dimension", (lambda n, d, f: bits(n, d, f) * d,), "divide by their number"),
    ("bits_per_dimension", (lambda n, d, f: bits(n, d, f ** (1 / d)),), "counted once"),
    ("bits_per_dimension", (lambda n, d, f: -bits(n, d, f),), "fewer bits"),
    ("dimensions_prediction", (lambda: RIGHT | {"below": 100},), "half of the squared distance"),
    ("dimensions_prediction", (lambda: RIGHT | {"wider": math.log(2)},), "once for each entry"),
    ("dimensions_prediction", (lambda: RIGHT | {"push": 100 * math.log(4)},), "one direction only"),
    ("transform_test", (lambda transform, dim: True,), "round trip is perfect"),
    ("transform_test", (lambda transform, dim: False,), "refuses a linear map"),
    ("transform_test", transform_reader(det=(False, False)), "round trip is perfect"),
    ("transform_test", transform_reader(total=True), "round trip is perfect"),
    ("transform_test", transform_reader(det=(True, False)), "at z in place of x"),
    ("transform_test", transform_reader(alone=True), "all examples of a batch"),
    ("transform_test", transform_reader(scale=0.5), "beyond ±3"),
]


class TestChapter12(ExerciseChecks):
    chapter = 12
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
