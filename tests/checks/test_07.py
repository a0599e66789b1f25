"""The checks of chapter 7: solutions pass, blanks fail, typical mistakes are named."""

import numpy as np
import torch
import torch.nn.functional as F
from exercise_checks import ExerciseChecks

from minigen.checks import wavenet as checks


def convolve(h, w, d, right=0.0, late=0, flip=False, cut=False):
    past = (w.shape[-1] - 1) * d
    w = w.flip(-1) if flip else w
    ahead = int(past * right)
    z = F.conv1d(h if cut else F.pad(h, (past - ahead + late, ahead)), w, dilation=d)
    return z[..., : z.shape[-1] - late]


def edges(low=True, high=True, scale=1.0, log=True):
    def answer(level, mean, log_scale, levels):
        step = 2 / (levels - 1)
        x = level * step - 1
        cdf = lambda v: 1 / (1 + np.exp(-(v - mean) / np.exp(log_scale)))
        upper, lower = cdf(x + scale * step / 2), cdf(x - scale * step / 2)
        upper = np.where((level == levels - 1) & high, 1.0, upper)
        p = upper - np.where((level == 0) & low, 0.0, lower)
        return np.log(p) if log else p

    return answer


def stable_edges(level, mean, log_scale, levels):
    """log σ(a) + log σ(-b) + log(1 - e^(b - a))."""
    width = 2 / (levels - 1) * np.exp(-log_scale)
    b = ((2 * level - 1) / (levels - 1) - 1 - mean) * np.exp(-log_scale)
    below = np.where(level == levels - 1, 0, -np.logaddexp(0, -b - width))
    above = np.where(level == 0, 0, -np.logaddexp(0, b))
    inner = (level > 0) & (level < levels - 1)
    return below + above + np.where(inner, np.log(-np.expm1(-width)), 0)


def density(level, mean, log_scale, levels):
    z = (2 * level / (levels - 1) - 1 - mean) / np.exp(log_scale)
    return -z - log_scale - 2 * np.log1p(np.exp(-z)) + np.log(2 / (levels - 1))


def gate(z):
    f, g = z.chunk(2, dim=1)
    return torch.tanh(f) * torch.sigmoid(g)


def tests_causality(
    batch=2, sees=lambda t, f: (max(0, t - f), t), times=lambda n: range(n), part=None
):
    """The right test, or one that looks at less."""

    def is_right(net, field, length):
        x = torch.randn(batch, length, generator=torch.Generator().manual_seed(0)).double()
        x.requires_grad_()
        for t in times(length):
            out = net(x)[0, slice(part), t].sum()
            (slope,) = torch.autograd.grad(out, x)
            want = torch.zeros(x.shape, dtype=torch.bool)
            want[0, slice(*sees(t, field))] = True
            if not torch.equal(slope != 0, want):
                return False
        return True

    return is_right


def only_the_future(net, field, length):
    x = torch.randn(2, length, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    (slope,) = torch.autograd.grad(net(x)[0, :, 3].sum(), x)
    return not slope[:, 4:].any()


SOLUTIONS = {
    "receptive_field": lambda n, c, k: 1 + c * (k - 1) * (2**n - 1),
    "causal_convolution": convolve,
    "gated_unit": gate,
    "level_probabilities": stable_edges,
    "causality_test": tests_causality(),
}


MISTAKES = [
    ("receptive_field", lambda n, c, k: c * (k - 1) * (2**n - 1), "the delay"),
    ("receptive_field", lambda n, c, k: 2 + c * (k - 1) * (2**n - 1), "itself is not seen"),
    ("receptive_field", lambda n, c, k: 1 + c * k * (2**n - 1), "not K"),
    ("receptive_field", lambda n, c, k: 1 + c * (k - 1) * 2**n, "2\\^layers - 1"),
    ("receptive_field", lambda n, c, k: 1 + (k - 1) * (2**n - 1), "`cycles` times"),
    ("causal_convolution", lambda h, w, d: convolve(h, w, d, flip=True), "turned round"),
    ("causal_convolution", lambda h, w, d: convolve(h, w, d, right=1.0), "into the future"),
    ("causal_convolution", lambda h, w, d: convolve(h, w, d, late=1), "one sample late"),
    ("causal_convolution", lambda h, w, d: convolve(h, w, d, cut=True), "keep the length"),
    ("gated_unit", lambda z: gate(z.roll(z.shape[1] // 2, 1)), "exchanged"),
    (
        "gated_unit",
        lambda z: torch.tanh(z).chunk(2, 1)[0] * torch.tanh(z).chunk(2, 1)[1],
        "sigmoid",
    ),
    (
        "gated_unit",
        lambda z: torch.tanh(z.chunk(2, 1)[0]) + z.chunk(2, 1)[1].sigmoid(),
        "not added",
    ),
    ("gated_unit", lambda z: z.chunk(2, 1)[0] * z.chunk(2, 1)[1].sigmoid(), "tanh is missing"),
    ("level_probabilities", edges(), "infinite: far from the mean"),
    ("level_probabilities", edges(low=False, high=False), "lack what lies beyond"),
    ("level_probabilities", edges(high=False), "highest level"),
    ("level_probabilities", edges(low=False), "lowest level"),
    ("level_probabilities", density, "density times the width"),
    ("level_probabilities", edges(log=False), "return the logarithm"),
    ("causality_test", lambda net, field, length: True, "sees x.t. itself"),
    ("causality_test", lambda net, field, length: False, "refuses a network"),
    ("causality_test", only_the_future, "sees x.t. itself"),
    ("causality_test", tests_causality(batch=1), "another one in the batch"),
    ("causality_test", tests_causality(part=1), "mean of the whole waveform"),
    (
        "causality_test",
        tests_causality(sees=lambda t, f: (max(0, t - f), t + 1)),
        "refuses a network",
    ),
    ("causality_test", tests_causality(times=lambda n: range(2)), "one sample fewer"),
]


class TestChapter7(ExerciseChecks):
    chapter = 7
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
