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


def masks(first, hidden, inner=torch.ge, last=torch.gt):
    layers = [first, *hidden]
    pairs = zip(layers, hidden, strict=False)
    return [
        *(inner(into[:, None], source).float() for source, into in pairs),
        last(first[:, None], layers[-1]).float(),
    ]


def responses(a, weights=lambda a, t, s: a[t], sign=1.0):
    """weights(a, t, s): those with which the echo of the noise at s goes on at t."""
    T, p = a.shape
    H = np.eye(T)
    for s in range(T):
        for t in range(s + 1, T):
            w = weights(a, t, s)
            H[t, s] = sign * sum(w[k] * H[t - 1 - k, s] for k in range(min(p, t - s)))
    return H


def without_echo(a):
    T, p = a.shape
    H = np.eye(T)
    for t in range(T):
        for k in range(min(p, t)):
            H[t, t - 1 - k] = a[t, k]
    return H


def find(net, x, upper=lambda J: J.triu()):
    J = torch.autograd.functional.jacobian(net, x)
    return [tuple(pair) for pair in upper(J).nonzero().tolist()]


def entropy(flow, n, generator, scale=-1.0, error=lambda std, n: std / n**0.5):
    log_q = flow.sample_and_log_prob((n,), generator=generator)[1]
    return scale * log_q.mean().item(), error(log_q.std().item(), n)


def of_the_noise(flow, n, generator):
    z = flow.base.sample((n,), generator)
    return -flow.base.log_prob(z).mean().item(), 0.1


def sign_of_log_det(flow, n, generator):
    z = flow.base.sample((n,), generator)
    _, log_det = flow.transform.inverse(z)
    return -(flow.base.log_prob(z) + log_det).mean().item(), 0.1


def the_slow_way(flow, n, generator):
    log_q = flow.log_prob(flow.sample((n,), generator=generator))
    return -log_q.mean().item(), log_q.std().item() / n**0.5


def flow_reader(others=True, det=True, order=True):
    """A reader's test, which may leave out a part."""

    def is_right(flow, length):
        z = torch.randn(3, length, generator=torch.Generator().manual_seed(1)).double()
        log_det = flow(z)[1]
        J = torch.autograd.functional.jacobian(lambda v: flow(v)[0], z)
        good = True
        for b in range(3):
            for c in range(3):
                good &= b == c or not others or not J[b, :, c].any()
            own = J[b, :, b]
            good &= not order or not own.triu(1).any()
            found = own.slogdet()[1] if not order else own.diagonal().log().sum()
            good &= not det or torch.allclose(found, log_det[b])
        return bool(good)

    return is_right


def predicted(**changes):
    return lambda: {"right": 10, "sweeps": 11, "taps": 22} | changes


SOLUTIONS = {
    "log_density": log_density,
    "sample": sample,
    "masks": masks,
    "impulse_responses": responses,
    "leaks": find,
    "entropy": entropy,
    "sweeps_prediction": predicted(),
    "flow_test": flow_reader(),
}


MISTAKES = [
    ("log_density", lambda x, net: log_density(x, net, det=0.0), "is missing: - Σ s"),
    ("log_density", lambda x, net: log_density(x, net, det=1.0), "wrong sign"),
    ("log_density", lambda x, net: log_density(x, net, half=0.0), "once for each sample"),
    ("log_density", lambda x, net: log_density(x, lambda x: (0, net(x)[1])), "not taken away"),
    ("log_density", lambda x, net: log_density(x, net) / 3, "averaged over time"),
    ("log_density", lambda x, net: log_density(x, net).sum(), "one value for each row"),
    ("sample", lambda z, net: in_one_pass(z, net, torch.zeros_like(z)), "from zeros"),
    ("sample", lambda z, net: in_one_pass(z, net, z), "sample of the IAF"),
    ("sample", lambda z, net: parts(z, net)[0], "direction data -> noise"),
    ("sample", never_updated, "the x made so far"),
    ("masks", lambda f, h: masks(f, h, inner=torch.gt), "may see what has degree k"),
    ("masks", lambda f, h: masks(f, h, last=torch.ge), "sees x_t itself"),
    ("masks", lambda f, h: masks(f, h, inner=torch.le), "turned round"),
    ("masks", lambda f, h: masks(f, h, last=torch.lt), "lower degree"),
    ("masks", lambda f, h: masks(f, h)[0], "an axis is lost"),
    ("masks", lambda f, h: [m.T for m in masks(f, h)], "the first mask"),
    ("masks", lambda f, h: masks(f, h[:1]), "return three things|return 3 things"),
    ("impulse_responses", lambda a: responses(-a), "signs of the weights"),
    ("impulse_responses", without_echo, "echo of an echo"),
    ("impulse_responses", lambda a: responses(a) - np.eye(len(a)), "diagonal is missing"),
    ("impulse_responses", lambda a: responses(a[:, ::-1]), "reversed"),
    ("impulse_responses", lambda a: responses(a).T, "turned round"),
    ("impulse_responses", lambda a: responses(a, lambda a, t, s: a[0]), "they move"),
    ("impulse_responses", lambda a: responses(a, lambda a, t, s: a[s]), "not of its start"),
    ("impulse_responses", lambda a: responses(a, lambda a, t, s: a[t - 1]), "moment before"),
    ("leaks", lambda net, x: find(net, x, lambda J: J.triu(1)), "must not see its own"),
    ("leaks", lambda net, x: [p[::-1] for p in find(net, x)], "exchanged"),
    ("leaks", lambda net, x: find(net, x, lambda J: J), "the past is no leak"),
    ("leaks", lambda net, x: [(1, 1), (2, 3)], "a clean network is accused"),
    ("leaks", lambda net, x: [], "expected"),
    ("entropy", lambda *a: entropy(*a, scale=1.0), "the sign"),
    ("entropy", of_the_noise, "entropy of the noise"),
    ("entropy", sign_of_log_det, "log-determinant has the wrong sign"),
    ("entropy", lambda *a: entropy(*a, scale=-1 / 3), "is a sum"),
    ("entropy", the_slow_way, "takes D steps"),
    ("entropy", lambda *a: entropy(*a)[0], "return two things"),
    ("entropy", lambda *a: entropy(*a)[::-1], "this is the standard error"),
    ("entropy", lambda *a: entropy(*a, error=lambda s, n: s), "spread of one sample"),
    ("entropy", lambda *a: entropy(*a, error=lambda s, n: s**2 / n), "a variance: take"),
    ("entropy", lambda *a: entropy(*a, error=lambda s, n: s / n), "divided by n"),
    ("entropy", lambda *a: entropy(*a, error=lambda s, n: s**2 / n**0.5), "the variance in place"),
    ("entropy", lambda *a: entropy(*a, error=lambda s, n: s * n**0.5), "make it surer"),
    ("sweeps_prediction", predicted(right=200), "needs no other"),
    ("sweeps_prediction", predicted(right=11), "no sample is right by luck"),
    ("sweeps_prediction", predicted(sweeps=200), "must it be halved"),
    ("sweeps_prediction", predicted(taps=44), "energies are squares"),
    ("flow_test", lambda flow, length: True, "mean at t sees z_t itself"),
    ("flow_test", lambda flow, length: False, "refuses 2 layers"),
    ("flow_test", flow_reader(det=False), "still triangular"),
    ("flow_test", flow_reader(order=False), "sees later noise"),
    ("flow_test", flow_reader(others=False), "another one in the batch"),
]


class TestChapter13(ExerciseChecks):
    chapter = 13
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
