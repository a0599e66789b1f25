"""The checks of chapter 10: solutions pass, blanks fail, typical mistakes are named."""

import math

import torch
from exercise_checks import ExerciseChecks, changed
from torch.nn.functional import logsigmoid

from minigen.checks import vae as checks
from minigen.checks.exercises import reference


def each(m, s, n, r):
    return r - s + 0.5 * (torch.exp(2 * s) + (m - n) ** 2) * torch.exp(-2 * r) - 0.5


def kl(*case):
    return each(*case).sum(-1)


def explained(x, logits):
    return logsigmoid((2 * x - 1) * logits)


def elbo(x, logits, cost):
    return explained(x, logits).sum(-1).mean(0) - cost


def weights(log=True, number=lambda w: w.sum(0) ** 2 / (w**2).sum(0)):
    """The right estimate, and this as the effective number."""

    def answer(w):
        scaled = (w - w.max(0)[0]).exp()
        mean = w.logsumexp(0) - math.log(len(w))
        return mean if log else mean.exp(), number(scaled)

    return answer


def mean_weight(of):
    return lambda w: (of(w), weights()(w)[1])


def score(f, z, mean, scale, baseline):
    return (f - baseline) * (z - mean) / scale**2


SOLUTIONS = {
    "divergence": kl,
    "bound": elbo,
    "importance": weights(),
    "score_gradient": score,
    "active": lambda mean, threshold: int((mean.var(0) > threshold).sum()),
    "free_nats": lambda c, free: c.mean(0).clamp(min=free).sum(),
    "exact_posterior": lambda: foresees()(),
    "below_the_truth": reference("10.8")[0],
}


def naive(x, logits, cost):
    p = torch.sigmoid(logits)
    p = p.clamp(1e-12, 1 - 1e-12)
    return (x * p.log() + (1 - x) * (1 - p).log()).sum(-1).mean(0) - cost


COST, GAP = 0.5 * math.log(6), 1.5 - math.log(2)


def foresees(cost=COST, gap=GAP, many="same"):
    return lambda: {"cost": cost, "gap": gap, "many": many}


MISTAKES = [
    ("divergence", each, "one value for each dimension"),
    ("divergence", lambda *a: each(*a).mean(-1), "averaged"),
    ("divergence", lambda *a: -kl(*a), "never negative"),
    ("divergence", lambda m, s, n, r: kl(m, s, 0 * n, 0 * r), "the prior is given"),
    ("divergence", lambda m, s, n, r: kl(m, s, 0 * n, r), "prior's mean is not"),
    ("divergence", lambda m, s, n, r: kl(m, s, n, 0 * r), "prior's scale is not"),
    ("divergence", lambda m, s, n, r: kl(m, s / 2, n, r / 2), "log σ²"),
    ("divergence", lambda m, s, n, r: (each(m, s, n, r) + 2 * (s - r)).sum(-1), "narrow guess"),
    ("divergence", lambda *a: (each(*a) + 0.5).sum(-1), "-½ is missing"),
    ("divergence", lambda m, s, n, r: each(n, r, m, s).sum(-1), "turned round"),
    (
        "divergence",
        lambda m, s, n, r: (each(m, s, n, r) + 0.5 * (m - n) ** 2 * (1 - torch.exp(-2 * r))).sum(
            -1
        ),
        "scales of the prior",
    ),
    ("bound", lambda x, a, c: explained(x, a).mean((0, 2)) - c, "D times too much"),
    ("bound", lambda x, a, c: explained(x, a).sum((0, 2)) - c, "draws are summed"),
    ("bound", lambda x, a, c: explained(x, a)[0].sum(-1) - c, "only the first draw"),
    (
        "bound",
        lambda x, a, c: explained(x, a).sum(-1).logsumexp(0) - math.log(len(a)) - c,
        "no ELBO",
    ),
    ("bound", lambda x, a, c: elbo(x, a, -c), "subtract it"),
    ("bound", lambda *args: -elbo(*args), "this is the loss"),
    ("bound", lambda *args: elbo(*args).mean(), "a single number"),
    ("bound", lambda x, a, c: (x * a).sum(-1).mean(0) - c, "normaliser"),
    ("bound", lambda x, a, c: elbo(1 - x, a, c), "logit is that of a 1"),
    ("bound", lambda x, a, c: elbo(x, a.mean(0, keepdim=True), c), "logits are averaged"),
    ("bound", lambda x, a, c: elbo(x, a, 0), "KL is missing"),
    ("bound", naive, "Use logsigmoid"),
    ("importance", mean_weight(lambda w: w.logsumexp(0)), "subtract log K"),
    ("importance", mean_weight(lambda w: w.logsumexp(0) / len(w)), "after the logarithm"),
    ("importance", mean_weight(lambda w: w.mean(0)), "is the ELBO"),
    ("importance", mean_weight(lambda w: w.max(0)[0]), "largest weight"),
    ("importance", weights(log=False), "return its logarithm"),
    ("importance", mean_weight(lambda w: w.exp().mean(0).log()), "underflow"),
    ("importance", weights(number=lambda w: w.sum(0) ** 2 / (w**2).sum(0) / len(w)), "a share"),
    ("importance", weights(number=lambda w: (w**2).sum(0) / w.sum(0) ** 2), "turned round"),
    ("importance", weights(number=lambda w: w.sum(0) / w.max(0)[0]), "not the largest weight"),
    ("importance", lambda w: weights()(w)[::-1], "return it first"),
    ("importance", lambda w: weights()(w)[0], "return two things"),
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
    ("exact_posterior", foresees(cost=math.log(6)), "Compare the two entropies"),
    ("exact_posterior", foresees(cost=0.5 * math.log(5)), "Compare the two entropies"),
    ("exact_posterior", foresees(gap=math.log(2)), "true posterior"),
    ("exact_posterior", foresees(gap=0.318), "ratio of their scales"),
    ("exact_posterior", foresees(many="closer"), "do not vary"),
    ("exact_posterior", foresees(many=0), "expected a word"),
    ("below_the_truth", lambda *a: True, "averaged over the latent"),
    ("below_the_truth", lambda *a: False, "refuses a bound of one draw"),
    ("below_the_truth", changed("10.8", (".abs()", "")), "passes one with a bug"),
    (
        "below_the_truth",
        changed(
            "10.8",
            (
                "(off < 5 * error + 1e-6).all()",
                "(draws.mean(0) - model.exact_log_prob(x)).mean().abs() < 0.05",
            ),
        ),
        "the mean of the whole batch",
    ),
    ("below_the_truth", changed("10.8", ("1.5 * torch.linalg.qr(weight).Q", "weight")), "refuses"),
    (
        "below_the_truth",
        changed("10.8", ("(off < 5 * error + 1e-6)", "(off < 5 * error + 1e-6)[0]")),
        "mean of the batch",
    ),
    ("below_the_truth", changed("10.8", (", bias=bias", "")), "leaves out the bias"),
    ("below_the_truth", changed("10.8", ("log_scale=-0.5, ", "")), "σ for one"),
    (
        "below_the_truth",
        changed("10.8", ("torch.randn(D, L,", "torch.randn(D, 1,")),
        "averaged over the latent",
    ),
]


class TestChapter10(ExerciseChecks):
    chapter = 10
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
