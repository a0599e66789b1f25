"""The checks of chapter 14: solutions pass, blanks fail, typical mistakes are named."""

import math

import torch
from exercise_checks import ExerciseChecks

from minigen.checks import parallel_wavenet as checks
from minigen.parallel_wavenet import gaussian_kl


def invert(net, x):
    z = torch.zeros_like(x)
    for t in range(x.shape[1]):
        m, s = net(z)
        z[:, t] = (x[:, t] - m[:, t]) * torch.exp(-s[:, t])
    return z


def both(sample, back=invert):
    """sample(z, m, s) -> x, and a way back."""

    def sample_and_invert(net, z):
        x = sample(z, *net(z))
        return x, back(net, x)

    return sample_and_invert


def right(z, m, s):
    return z * s.exp() + m


def teacher_like(net, z):
    x = torch.zeros_like(z)
    for t in range(z.shape[1]):
        m, s = net(x)
        x[:, t] = z[:, t] * s[:, t].exp() + m[:, t]
    return x, z


def one_pass(net, x):
    m, s = net(x)
    return (x - m) * (-s).exp()


def cheat(net, z):
    m, s = net(z)
    x = z * s.exp() + m
    m, s = net(z)
    return x, (x - m) * (-s).exp()


def ratio(generated, recorded):
    return (generated.std() / recorded.std()).item()


def std_of_process(a, sigma):
    h = [sigma]
    for t in range(1, 3000):
        h.append(sum(a[k] * h[t - 1 - k] for k in range(min(len(a), t))))
    return torch.tensor(h).square().sum().sqrt()


def power(frames, window=True, total=None, squared=True, periodic=True):
    n = frames.shape[-1]
    w = torch.hann_window(n, periodic=periodic).double()
    heard = torch.fft.rfft(frames * w if window else frames).abs()
    return (heard.square() if squared else heard) / (total or w.square().sum())


SOLUTIONS = {
    "divergence": gaussian_kl,
    "inverse_flow": both(right),
    "compose_flows": lambda m1, s1, m2, s2: (m1 * s2.exp() + m2, s1 + s2),
    "loudness": ratio,
    "whisper": lambda a, sigma: sigma / (1 + a.square().sum()).sqrt(),
    "windowed_power": power,
}


def term(a, b, c, d):
    return d - b


MISTAKES = [
    ("divergence", lambda a, b, c, d: gaussian_kl(c, d, a, b), "roles are swapped"),
    ("divergence", lambda *v: gaussian_kl(*v) + 0.5, "the ½"),
    ("divergence", lambda *v: gaussian_kl(*v) - 2 * term(*v), "wrong sign"),
    ("divergence", lambda *v: gaussian_kl(*v) - term(*v), "is missing"),
    ("divergence", lambda a, b, c, d: gaussian_kl(a, b, a, d), "distance of the means"),
    (
        "divergence",
        lambda a, b, c, d: d - b + 0.5 * ((b - d).exp() + ((a - c) / d.exp()) ** 2) - 0.5,
        "must be squared",
    ),
    ("inverse_flow", teacher_like, "has to wait"),
    ("inverse_flow", both(lambda z, m, s: (z - m) * (-s).exp()), "inverse map"),
    ("inverse_flow", both(lambda z, m, s: z * s + m), "gives the logarithm"),
    ("inverse_flow", both(lambda z, m, s: (z + m) * s.exp()), "must not be scaled"),
    ("inverse_flow", both(right, one_pass), "in one pass"),
    ("inverse_flow", both(right, lambda net, x: x), "undo the scale"),
    ("inverse_flow", cheat, "from x alone"),
    ("inverse_flow", lambda net, z: right(z, *net(z)), "two things"),
    ("compose_flows", lambda m1, s1, m2, s2: (m1 + m2, s1 + s2), "the first mean too"),
    ("compose_flows", lambda m1, s1, m2, s2: (m1 + m2 * s1.exp(), s1 + s2), "other way round"),
    ("compose_flows", lambda m1, s1, m2, s2: (m1 * s2 + m2, s1 + s2), "not by s"),
    ("compose_flows", lambda m1, s1, m2, s2: (m2, s1 + s2), "mean is lost"),
    ("compose_flows", lambda m1, s1, m2, s2: (m1 * s2.exp() + m2, s1 * s2), "logarithms add"),
    ("compose_flows", lambda m1, s1, m2, s2: (m1, s2), "log-scale is lost"),
    ("loudness", lambda g, r: ratio(g, r) ** 2, "square root"),
    ("loudness", lambda g, r: ratio(r, g), "turned round"),
    ("loudness", lambda g, r: 20 * math.log10(ratio(g, r)), "decibels"),
    ("loudness", lambda g, r: (g.square().mean() / r.square().mean()).sqrt(), "subtract each mean"),
    ("whisper", lambda a, s: s**2 / (1 + a.square().sum()), "square root"),
    ("whisper", lambda a, s: s, "does not know the past"),
    ("whisper", std_of_process, "KL\\(p‖q\\) gives"),
    ("whisper", lambda a, s: s / (1 + a.abs().sum()), "variances add"),
    ("whisper", lambda a, s: s / a.norm(), "in the error, too"),
    ("whisper", lambda a, s: s / (1 + a.square().sum() / 2), "expected"),
    ("windowed_power", lambda f: power(f, window=False), "only to the scale"),
    ("windowed_power", lambda f: power(f, window=False, total=f.shape[-1]), "cut hard"),
    ("windowed_power", lambda f: power(f, total=f.shape[-1]), "not by the frame's length"),
    ("windowed_power", lambda f: power(f, total=1.0), "must not depend"),
    ("windowed_power", lambda f: power(f, squared=False), "square it"),
]


class TestChapter14(ExerciseChecks):
    chapter = 14
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
