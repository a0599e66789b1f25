"""The checks of chapter 13: solutions pass, blanks fail, typical mistakes are named."""

import math

import numpy as np
import torch
from exercise_checks import ExerciseChecks

from minigen.checks import iaf as checks

HALF = 0.5 * math.log(2 * math.pi)


def parts(x, net):
    m, s = net(x)
    return (x - m) * torch.exp(-s), s


def log_density(x, net, det=-1.0, half=HALF):
    z, s = parts(x, net)
    return (-0.5 * z**2 - half + det * s).sum(1)


def sample(z, net):
    x = torch.zeros_like(z)
    for t in range(z.shape[1]):
        m, s = net(x)
        x[:, t] = z[:, t] * torch.exp(s[:, t]) + m[:, t]
    return x


def in_one_pass(z, net, seen):
    m, s = net(seen)
    return z * torch.exp(s) + m


def never_updated(z, net):
    """Right at t = 0; later samples see the noise of the ones before in place of what was made."""
    x = torch.zeros_like(z)
    for t in range(z.shape[1]):
        m, s = net(0.5 * x)
        x[:, t] = z[:, t] * torch.exp(s[:, t]) + m[:, t]
    return x


def masks(first, hidden):
    return (hidden[:, None] >= first).float(), (first[:, None] > hidden).float()


def impulse_response(a, n):
    h = np.zeros(n)
    for t in range(n):
        h[t] = (t == 0) + sum(a[k] * h[t - 1 - k] for k in range(min(len(a), t)))
    return h


def find(net, x, upper=lambda J: J.triu()):
    J = torch.autograd.functional.jacobian(net, x)
    return [tuple(pair) for pair in upper(J).nonzero().tolist()]


def entropy(flow, n, generator, scale=-1.0):
    return scale * flow.sample_and_log_prob((n,), generator=generator)[1].mean().item()


def of_the_noise(flow, n, generator):
    z = flow.base.sample((n,), generator)
    return -flow.base.log_prob(z).mean().item()


def sign_of_log_det(flow, n, generator):
    z = flow.base.sample((n,), generator)
    _, log_det = flow.transform.inverse(z)
    return -(flow.base.log_prob(z) + log_det).mean().item()


def the_slow_way(flow, n, generator):
    return -flow.log_prob(flow.sample((n,), generator=generator)).mean().item()


SOLUTIONS = {
    "log_density": log_density,
    "sample": sample,
    "masks": masks,
    "impulse_response": impulse_response,
    "leaks": find,
    "entropy": entropy,
}


MISTAKES = [
    ("log_density", lambda x, net: log_density(x, net, det=0.0), "is missing: - Σ s"),
    ("log_density", lambda x, net: log_density(x, net, det=1.0), "wrong sign"),
    ("log_density", lambda x, net: log_density(x, net, half=0.0), "once for each sample"),
    ("log_density", lambda x, net: log_density(x, net) / 3, "averaged over time"),
    ("log_density", lambda x, net: log_density(x, net).sum(), "one value for each row"),
    ("sample", lambda z, net: in_one_pass(z, net, torch.zeros_like(z)), "from zeros"),
    ("sample", lambda z, net: in_one_pass(z, net, z), "sample of the IAF"),
    ("sample", lambda z, net: parts(z, net)[0], "direction data -> noise"),
    ("sample", never_updated, "the x made so far"),
    ("masks", lambda f, h: ((h[:, None] > f).float(), masks(f, h)[1]), "may see input k itself"),
    ("masks", lambda f, h: (masks(f, h)[0], (f[:, None] >= h).float()), "sees x_t itself"),
    ("masks", lambda f, h: ((h[:, None] <= f).float(), masks(f, h)[1]), "turned round"),
    ("masks", lambda f, h: (masks(f, h)[0], (f[:, None] < h).float()), "lower degree"),
    ("masks", lambda f, h: masks(f, h)[0], "return two things"),
    ("impulse_response", lambda a, n: impulse_response(-a, n), "signs of the weights"),
    ("impulse_response", lambda a, n: np.r_[1, a, np.zeros(n - 4)], "echo of an echo"),
    ("impulse_response", lambda a, n: np.r_[impulse_response(a, n)[1:], 0], "h₀ = 1 is missing"),
    ("impulse_response", lambda a, n: impulse_response(a[::-1], n), "reversed"),
    ("leaks", lambda net, x: find(net, x, lambda J: J.triu(1)), "must not see its own"),
    ("leaks", lambda net, x: [p[::-1] for p in find(net, x)], "exchanged"),
    ("leaks", lambda net, x: find(net, x, lambda J: J), "the past is no leak"),
    ("leaks", lambda net, x: [(1, 1), (2, 3)], "a clean network is accused"),
    ("leaks", lambda net, x: [], "expected"),
    ("entropy", lambda *a: entropy(*a, scale=1.0), "the sign"),
    ("entropy", of_the_noise, "entropy of the noise"),
    ("entropy", sign_of_log_det, "log-determinant has the wrong sign"),
    ("entropy", lambda *a: entropy(*a) / 3, "is a sum"),
    ("entropy", the_slow_way, "takes D steps"),
]


class TestChapter13(ExerciseChecks):
    chapter = 13
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
