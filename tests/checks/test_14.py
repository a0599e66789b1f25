"""The checks of chapter 14: solutions pass, blanks fail, typical mistakes are named."""

import itertools

import torch
from exercise_checks import ExerciseChecks

from minigen.checks import parallel_wavenet as checks
from minigen.parallel_wavenet import gaussian_kl as library_kl


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


def ratios(g, r, edges, rate, at=lambda g, r: (g.sum() / r.sum()).sqrt(), upper=torch.lt):
    hz = torch.fft.rfftfreq(len(r), 1 / rate)
    g, r = (torch.fft.rfft(x).abs().square() for x in (g, r))
    bands = [(hz >= low) & upper(hz, torch.tensor(high)) for low, high in itertools.pairwise(edges)]
    return torch.stack([at(g[band], r[band]) for band in bands])


def changed_ratios(**changes):
    return lambda *a: ratios(*a, **changes)


def gaussian_kl(m, s, n, t):
    return t - s + (torch.exp(2 * s) + (m - n) ** 2) / (2 * torch.exp(2 * t)) - 0.5


def batch_kl(a, v, c, w, lengths, each=lambda a, v, c, w: gaussian_kl(a, v / 2, c, w / 2)):
    real = torch.arange(a.shape[1]) < lengths[:, None]
    return each(a, v, c, w)[real].mean()


def changed_kl(term):
    """term(a, v, c, w) is added to each sample's divergence."""
    each = lambda *four: gaussian_kl(four[0], four[1] / 2, four[2], four[3] / 2) + term(*four)
    return lambda *a: batch_kl(*a, each=each)


def weighed(a, v, c, w, lengths, over):
    real = torch.arange(a.shape[1]) < lengths[:, None]
    return over(gaussian_kl(a, v / 2, c, w / 2) * real, lengths)


def way_back(m1, s1, m2, s2):
    return -(m1 * s2.exp() + m2) * (-s1 - s2).exp(), -s1 - s2


def shift(change):
    return lambda *a: (change(*a), way_back(*a)[1])


def log_scale(change):
    return lambda *a: (way_back(*a)[0], change(*a))


def divergence_reader(value=True, slope=True, quiet=-9.0, moving=True, rtol=1e-9, each=True):
    """A reader's test, which may leave out a part, or try loud teachers only, or steady ones."""

    def is_right(divergence, batch, length):
        z = torch.randn(batch, length, generator=torch.Generator().manual_seed(1)).double()
        gain = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
        before = lambda v: torch.nn.functional.pad(v, (1, 0))[:, :-1]
        scales = torch.linspace(quiet, 1 if moving else quiet, length).double()

        def student(z):
            mean, s = gain * (before(z) if moving else 1 + 0 * z), 0 * z + gain - 1.6
            return z * s.exp() + mean, mean, s

        def teacher(x):
            seen = before(x) if moving else x.mean(1, keepdim=True) + 0 * x
            return 0.4 * seen, scales + 0.1 * torch.tanh(seen)

        x, m, s = student(z)
        want = gaussian_kl(m, s, *teacher(x)).sum(1)
        got = divergence(z, student, teacher)
        slopes = [torch.autograd.grad(v.sum(), gain)[0] for v in (got, want)]
        if not each:
            got, want = got.sum(), want.sum()
        same = not value or torch.allclose(got, want, rtol=rtol)
        return same and (not slope or torch.allclose(*slopes))

    return is_right


def predicted(**changes):
    said = {"too loud": 198, "too quiet": 2.5, "std ratio": 0.324}
    return lambda: said | {name.replace("_", " "): value for name, value in changes.items()}


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
    "divergence": batch_kl,
    "inverse_flow": both(right),
    "compose_flows": way_back,
    "loudness": ratios,
    "whisper": lambda a, sigma: sigma / (1 + a.square().sum()).sqrt(),
    "windowed_power": power,
    "loudness_prediction": predicted(),
    "divergence_test": divergence_reader(),
}


MISTAKES = [
    ("divergence", lambda a, v, c, w, n: batch_kl(c, w, a, v, n), "roles are swapped"),
    (
        "divergence",
        lambda a, v, c, w, n: library_kl(a, v / 2, c, w / 2).mean(),
        "asks you to do without",
    ),
    ("divergence", changed_kl(lambda a, v, c, w: 0.5 + 0 * a), "the ½"),
    ("divergence", changed_kl(lambda a, v, c, w: v - w), "wrong sign"),
    ("divergence", changed_kl(lambda a, v, c, w: (v - w) / 2), "is missing"),
    ("divergence", changed_kl(lambda a, v, c, w: (w - v) / 2), "half of the difference"),
    ("divergence", lambda a, v, c, w, n: batch_kl(a, v, a, w, n), "distance of the means"),
    (
        "divergence",
        changed_kl(lambda a, v, c, w: ((v - w) / 2).exp() / 2 - (v - w).exp() / 2),
        "must be squared",
    ),
    ("divergence", lambda *a: batch_kl(*a, each=gaussian_kl), "logarithms of variances"),
    ("divergence", lambda *a: batch_kl(*a[:4], 0 * a[4] + a[0].shape[1]), "the padding counts"),
    ("divergence", lambda *a: weighed(*a, lambda k, n: (k.sum(1) / n).mean()), "rows' means"),
    ("divergence", lambda *a: weighed(*a, lambda k, n: k.sum()), "their mean is asked for"),
    ("divergence", lambda *a: weighed(*a, lambda k, n: k.mean()), "divided by B"),
    ("inverse_flow", teacher_like, "has to wait"),
    ("inverse_flow", both(lambda z, m, s: (z - m) * (-s).exp()), "inverse map"),
    ("inverse_flow", both(lambda z, m, s: z * s + m), "gives the logarithm"),
    ("inverse_flow", both(lambda z, m, s: z * (-s).exp() + m), "one multiplies"),
    ("inverse_flow", both(lambda z, m, s: (z + m) * s.exp()), "must not be scaled"),
    ("inverse_flow", both(right, one_pass), "in one pass"),
    ("inverse_flow", both(right, lambda net, x: x), "undo the scale"),
    ("inverse_flow", cheat, "from x alone"),
    ("inverse_flow", lambda net, z: right(z, *net(z)), "two things"),
    ("compose_flows", shift(lambda a, s, b, t: a * t.exp() + b), "mean of the way there"),
    ("compose_flows", shift(lambda a, s, b, t: -(a * t.exp() + b)), "it is scaled, too"),
    ("compose_flows", shift(lambda *a: -way_back(*a)[0]), "taken away"),
    (
        "compose_flows",
        shift(lambda a, s, b, t: -a * (-s).exp() - b * (-t).exp()),
        "both scales divide it",
    ),
    ("compose_flows", shift(lambda a, s, b, t: -(a + b) * (-s - t).exp()), "first mean, too"),
    (
        "compose_flows",
        shift(lambda a, s, b, t: -(a * t.exp() + b) * (s + t).exp()),
        "the way back divides",
    ),
    ("compose_flows", log_scale(lambda a, s, b, t: s + t), "log-scale of the way there"),
    ("compose_flows", log_scale(lambda a, s, b, t: -s * t), "logarithms add"),
    ("compose_flows", log_scale(lambda a, s, b, t: -t), "first flow's log-scale is lost"),
    ("compose_flows", log_scale(lambda a, s, b, t: (-s - t).exp()), "return its logarithm"),
    ("compose_flows", log_scale(lambda a, s, b, t: 1 / (s + t)), "minus its logarithm"),
    ("loudness", lambda *a: ratios(*a) ** 2, "square root"),
    ("loudness", lambda g, r, *a: ratios(r, g, *a), "turned round"),
    ("loudness", lambda *a: 20 * ratios(*a).log10(), "decibels"),
    (
        "loudness",
        lambda g, r, edges, rate: (g.std() / r.std()).expand(len(edges) - 1),
        "whole sounds",
    ),
    ("loudness", changed_ratios(at=lambda g, r: g.sqrt().sum() / r.sqrt().sum()), "magnitudes"),
    ("loudness", changed_ratios(at=lambda g, r: (g / r).mean().sqrt()), "a mean of ratios"),
    ("loudness", changed_ratios(upper=torch.le), "belongs to the next band"),
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
    ("loudness_prediction", predicted(too_loud=6.5), "logarithms of the variances differ"),
    ("loudness_prediction", predicted(too_quiet=198), "nearly nothing now"),
    ("loudness_prediction", predicted(std_ratio=1.0), "sum of two independent"),
    ("loudness_prediction", predicted(std_ratio=0.743), "larger than its error"),
    ("divergence_test", lambda *a: True, "without its gradient|the values are right"),
    ("divergence_test", lambda *a: False, "refuses the closed form"),
    ("divergence_test", divergence_reader(slope=False), "the values are right"),
    ("divergence_test", divergence_reader(value=False), "the constant -½ is missing"),
    ("divergence_test", divergence_reader(rtol=1e-4), "the constant -½ is missing"),
    ("divergence_test", divergence_reader(each=False), "the mean over the batch"),
    ("divergence_test", divergence_reader(quiet=-2.0), "a floor at -7"),
    ("divergence_test", divergence_reader(moving=False), "expected of the one before"),
]


class TestChapter14(ExerciseChecks):
    chapter = 14
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
