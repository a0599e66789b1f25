"""The checks of chapter 10: solutions pass, blanks fail, typical mistakes are named."""

import math

import torch
from exercise_checks import ExerciseChecks
from torch.nn.functional import logsigmoid

from minigen.checks import vae as checks


def each(mean, log_scale):
    return 0.5 * (mean**2 + torch.exp(2 * log_scale) - 1) - log_scale


def kl(mean, log_scale):
    return each(mean, log_scale).sum(-1)


def explained(x, logits):
    return logsigmoid((2 * x - 1) * logits)


def elbo(x, logits, mean, log_scale):
    return explained(x, logits).sum(-1) - kl(mean, log_scale)


def score(f, z, mean, scale, baseline):
    return (f - baseline) * (z - mean) / scale**2


SOLUTIONS = {
    "divergence": kl,
    "bound": elbo,
    "importance": lambda w: w.logsumexp(0) - math.log(len(w)),
    "score_gradient": score,
    "active": lambda mean, threshold: int((mean.var(0) > threshold).sum()),
    "free_nats": lambda c, free: c.mean(0).clamp(min=free).sum(),
}


def naive(x, logits, mean, log_scale):
    p = torch.sigmoid(logits)
    p = p.clamp(1e-12, 1 - 1e-12)
    return (x * p.log() + (1 - x) * (1 - p).log()).sum(-1) - kl(mean, log_scale)


MISTAKES = [
    ("divergence", each, "one value for each dimension"),
    ("divergence", lambda m, s: each(m, s).mean(-1), "averaged"),
    ("divergence", lambda m, s: -kl(m, s), "never negative"),
    ("divergence", lambda m, s: (0.5 * (m**2 + s.exp() - 1) - s).sum(-1), r"exp\(2 log σ\)"),
    ("divergence", lambda m, s: (0.5 * (m**2 + s.exp() - 1 - s)).sum(-1), "log σ²"),
    ("divergence", lambda m, s: (each(m, s) + 2 * s).sum(-1), "narrow guess"),
    ("divergence", lambda m, s: (each(m, s) + 0.5).sum(-1), "-1 is missing"),
    (
        "divergence",
        lambda m, s: (0.5 * ((m**2 + 1) * torch.exp(-2 * s) - 1) + s).sum(-1),
        "turned round",
    ),
    ("bound", lambda x, a, m, s: explained(x, a).sum(-1) - each(m, s).mean(-1), "weight is 1/L"),
    ("bound", lambda x, a, m, s: explained(x, a).mean(-1) - kl(m, s), "D times too much"),
    ("bound", lambda x, a, m, s: explained(x, a).mean(-1) - each(m, s).mean(-1), "sum both"),
    ("bound", lambda x, a, m, s: explained(x, a).sum(-1) + kl(m, s), "subtract it"),
    ("bound", lambda *args: -elbo(*args), "this is the loss"),
    ("bound", lambda *args: elbo(*args).mean(), "a single number"),
    ("bound", lambda x, a, m, s: (x * a).sum(-1) - kl(m, s), "normaliser"),
    ("bound", lambda x, a, m, s: explained(x, a).sum(-1), "KL is missing"),
    ("bound", naive, "Use logsigmoid"),
    ("importance", lambda w: w.logsumexp(0), "subtract log K"),
    ("importance", lambda w: w.logsumexp(0) / len(w), "after the logarithm"),
    ("importance", lambda w: w.mean(0), "is the ELBO"),
    ("importance", lambda w: w.max(0)[0], "largest weight"),
    ("importance", lambda w: w.exp().mean(0), "return its logarithm"),
    ("importance", lambda w: w.exp().mean(0).log(), "underflows"),
    ("score_gradient", lambda f, z, m, s, b: score(f, z, m, s, 0), "baseline is not used"),
    ("score_gradient", lambda f, z, m, s, b: (f - b) * (z - m) / s, "divided by σ"),
    ("score_gradient", lambda f, z, m, s, b: (f - b) * (z - m), "σ² is missing"),
    ("score_gradient", lambda *args: -score(*args), "the sign"),
    ("score_gradient", lambda f, z, m, s, b: 2 * z, "reparameterised"),
    ("score_gradient", lambda f, z, m, s, b: score(f, z, m, s, 0) - b, "before multiplying"),
    ("active", lambda mean, threshold: mean.shape[1], "used the threshold"),
    ("active", lambda mean, threshold: int((mean.std(0) > threshold).sum()), "not yet a variance"),
    ("active", lambda mean, threshold: int(((mean**2).mean(0) > threshold).sum()), "the same for"),
    ("active", lambda mean, threshold: int((mean.var(0) > 0.01).sum()), "threshold must change"),
    ("active", lambda mean, threshold: int((mean.var(0) < 10).sum() - 3), "the right count is 2"),
    ("free_nats", lambda c, free: c.clamp(min=free).mean(0).sum(), "over the batch first"),
    ("free_nats", lambda c, free: c.mean(0).sum().clamp(min=free), "act on each dimension"),
    ("free_nats", lambda c, free: c.mean(0).clamp(min=free).mean(), "sum them"),
    ("free_nats", lambda c, free: c.mean(0).clamp(max=free).sum(), "min for max"),
    ("free_nats", lambda c, free: (c.mean(0) - free).clamp(min=0).sum(), "λ L too low"),
    ("free_nats", lambda c, free: c.mean(0).sum(), "act on each dimension"),
    ("free_nats", lambda c, free: c.mean(0).clamp(min=free), "return one number"),
]


class TestChapter10(ExerciseChecks):
    chapter = 10
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
