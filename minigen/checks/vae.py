"""Checks for the exercises of chapter 10."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from .. import linear_vae, vae
from .core import CheckFailed, agree, exercise, finds_bugs, number, predicts, require, turned


def _kl(m: torch.Tensor, s: torch.Tensor, n: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
    """KL(N(m, e^2s) ‖ N(n, e^2r)) of each dimension."""
    return r - s + 0.5 * (torch.exp(2 * s) + (m - n) ** 2) * torch.exp(-2 * r) - 0.5


@exercise("10.1", "the divergence of two Gaussians")
def divergence(kl: Callable) -> None:
    """kl(mean (B, L), log_scale (B, L), prior_mean (L,), prior_log_scale (L,)) -> (B,), summed over L."""
    generator = torch.Generator().manual_seed(0)

    def case(B: int, L: int) -> tuple:
        shapes = ((B, L), (B, L), (L,), (L,))
        return tuple(0.8 * torch.randn(s, generator=generator).double() for s in shapes)

    m, s, n, r = first = case(3, 4)
    each = _kl(*first)
    if tuple(np.shape(kl(*first))) == (3, 4):
        raise CheckFailed(
            "✗ KL: one value for each dimension; sum over the last axis, (B, L) -> (B,)"
        )
    scaled = torch.exp(2 * s - 2 * r)
    agree(
        kl,
        lambda *case: _kl(*case).sum(-1),
        [
            first,
            *(case(*sizes) for sizes in ((1, 1), (5, 2), (2, 7), (3, 3))),
            tuple(12 * v for v in case(4, 3)),  # scales from e^-25 to e^25
        ],
        "KL",
        1e-9,
        [
            (each.mean(-1), "averaged over the latent dimensions: it must be summed"),
            (-each.sum(-1), "the sign: a divergence is never negative"),
            (_kl(m, s, 0 * n, 0 * r).sum(-1), "this is the KL from N(0, 1): the prior is given"),
            (_kl(m, s, 0 * n, r).sum(-1), "the prior's mean is not used"),
            (_kl(m, s, n, 0 * r).sum(-1), "the prior's scale is not used"),
            (
                (r - s + 0.5 * (scaled + (m - n) ** 2) - 0.5).sum(-1),
                "the distance of the means is measured in scales of the prior: divide it, too",
            ),
            (_kl(m, 0.5 * s, n, 0.5 * r).sum(-1), "you read log_scale as log σ²; here it is log σ"),
            (
                (r - s + 0.5 * (torch.exp(s) + (m - n) ** 2) * torch.exp(-r) - 0.5).sum(-1),
                "σ² is exp(2 log σ), not exp(log σ)",
            ),
            ((each + 2 * (s - r)).sum(-1), "the sign of the logarithms: a narrow guess costs more"),
            (
                (n.new_zeros(1) + _kl(n, r, m, s)).sum(-1),
                "this is KL(prior ‖ q): the order is turned round",
            ),
            ((each + 0.5).sum(-1), "the -½ is missing in each dimension"),
            ((each + s - r).sum(-1), "the logarithms of the scales are missing"),
        ],
    )
    zero = torch.zeros(2, 5, dtype=torch.float64)
    got = float(kl(zero + 0.7, zero - 0.3, zero[0] + 0.7, zero[0] - 0.3)[0])
    require(
        abs(got) < 1e-12,
        "the prior itself costs nothing",
        f"for q equal to the prior you give {got:.4g}; the divergence of a density from itself is 0",
    )


@exercise("10.2", "the bound")
def bound(elbo: Callable) -> None:
    """elbo(x (B, D), logits (K, B, D), cost (B,)) -> (B,), Bernoulli likelihood, K draws of z."""
    generator = torch.Generator().manual_seed(1)

    def case(K: int, B: int, D: int) -> tuple:
        x = (torch.rand(B, D, generator=generator) > 0.4).double()
        logits = 2 * torch.randn(K, B, D, generator=generator).double()
        return x, logits, 3 * torch.rand(B, generator=generator).double()

    x, logits, cost = first = case(3, 4, 6)
    log_p = torch.distributions.Bernoulli(logits=logits).log_prob(x)  # (K, B, D)
    if np.ndim(elbo(*first)) == 0:
        raise CheckFailed("✗ ELBO: a single number; there must be one for each example, (B,)")

    def right(x: torch.Tensor, logits: torch.Tensor, cost: torch.Tensor) -> torch.Tensor:
        log_p = torch.distributions.Bernoulli(logits=logits).log_prob(x)
        return log_p.sum(-1).mean(0) - cost

    each = log_p.sum(-1)
    agree(
        elbo,
        right,
        [first, *(case(*sizes) for sizes in ((1, 1, 1), (2, 4, 2), (5, 2, 9), (3, 3, 3)))],
        "ELBO",
        1e-9,
        [
            (
                log_p.mean(-1).mean(0) - cost,
                "log p(x | z) is averaged over the pixels: sum it, or the KL weighs D times too much",
            ),
            (each.sum(0) - cost, "the draws are summed: the first term is a mean over z"),
            (each.sum(0) - 3 * cost, "the draws are summed: the first term is a mean over z"),
            (each[0] - cost, "only the first draw is used: take the mean of all K"),
            (
                each.logsumexp(0) - math.log(3) - cost,
                "the mean is of log p, not of p: that is no ELBO",
            ),
            (each.mean(0) + cost, "the KL is a cost: subtract it"),
            (cost - each.mean(0), "this is the loss, -ELBO; return the bound itself"),
            (
                (x * logits).sum(-1).mean(0) - cost,
                "x · logit is not yet log p(x | z): the normaliser log(1 + exp(logit)) is missing",
            ),
            (
                right(1 - x, logits, cost),
                "turned round: the logit is that of a 1",
            ),
            (
                right(x, logits.mean(0, keepdim=True), cost),
                "the logits are averaged: take log p of each draw first, then the mean",
            ),
            (each.mean(0), "the KL is missing"),
        ],
        steady=[0, 1],
    )
    far = elbo(
        torch.zeros(1, 1).double(), torch.full((2, 1, 1), 200.0).double(), torch.zeros(1).double()
    )
    require(
        abs(float(far[0]) + 200) < 1e-6,
        "a sure and wrong pixel costs its 200 nats",
        f"for x = 0 and logit 200 you give {float(far[0]):.4g}, not -200: the probability rounds to 1. "
        "Use logsigmoid",
    )


@exercise("10.3", "importance weights")
def importance(estimate: Callable) -> None:
    """estimate(log_w (K, B)) -> log of the mean weight (B,), effective number of draws (B,)."""
    generator = torch.Generator().manual_seed(2)
    log_w = 2 * torch.randn(5, 3, generator=generator, dtype=torch.float64) - 4
    w, k = log_w.exp(), len(log_w)

    def right(log_w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        top = log_w.logsumexp(0)
        return top - math.log(len(log_w)), torch.exp(2 * top - (2 * log_w).logsumexp(0))

    mean, effective = right(log_w)
    p = w / w.sum(0)
    others = [
        (3 * torch.randn(s, generator=generator).double(),)
        for s in ((1, 2), (7, 1), (3, 3), (2, 6))
    ]
    mixed = torch.tensor([[-2000.0, 0.0], [5.0, -900.0], [4.0, 1.0]], dtype=torch.float64)
    low = torch.cat([log_w - 2000, log_w], 1)
    agree(
        turned(estimate, "log of the mean weight", "effective number"),
        lambda w: right(w)[::-1],
        [(log_w,), *others, (mixed,)],
        ("effective number", "log of the mean weight"),
        1e-9,
        {
            "log of the mean weight": [
                (log_w.logsumexp(0), "the sum, not the mean: subtract log K"),
                (log_w.logsumexp(0) / k, "divided by K after the logarithm: subtract log K"),
                (
                    log_w.mean(0),
                    "the mean of the logarithms is the ELBO: average the weights first",
                ),
                (log_w.max(0)[0], "this is the largest weight only"),
                (mean.exp(), "this is the estimate of p(x); return its logarithm"),
            ],
            "effective number": [
                (effective / k, "a share: the number of draws is K times as much"),
                (effective.log(), "this is its logarithm"),
                (1 / effective, "turned round: it lies between 1 and K"),
                (w.sum(0) ** 2, "divide by the sum of the squares"),
                ((w**2).sum(0), "this is the sum of the squares: it stands below"),
                (w.sum(0) / (w**2).sum(0), "the sum is squared above: it has no unit"),
                (
                    (w * w.max(0)[0]).sum(0) / (w**2).sum(0),
                    "the sum is squared above, as the weights are below",
                ),
                (torch.exp(-(p * p.log()).sum(0)), "this is a perplexity: here (Σ w)² / Σ w²"),
                (1 / p.max(0)[0], "not the largest weight alone: (Σ w)² / Σ w²"),
                (mean, "this is the estimate: return it first, then the effective number"),
            ],
        },
    )
    got, number = (np.asarray(part, dtype=float) for part in estimate(low))
    require(
        np.allclose(got, torch.cat([mean - 2000, mean]))
        and np.allclose(number, torch.cat([effective] * 2)),
        "weights of exp(-2000) do not underflow",
        f"for weights of about exp(-2000) you give {got[0]:.4g} and {number[0]:.4g}: exp underflows to 0, "
        "use logsumexp, or take away each example's own largest logarithm first",
    )


@exercise("10.4", "a gradient without a derivative")
def score_gradient(estimate: Callable) -> None:
    """estimate(f (N,), z (N,), mean, scale, baseline) -> (N,): single-draw gradients by µ."""
    z = np.random.default_rng(0).normal(1.0, 2.0, 400_000)
    few = z[:6]
    f = few**2
    right = (f - 3.0) * (few - 1.0) / 4.0
    rng = np.random.default_rng(1)
    others = [
        (*rng.normal(size=(2, n)), m, s, b)
        for n, m, s, b in ((1, -0.7, 0.5, 0.3), (9, 2.5, 3.0, -4.0))
    ]
    agree(
        estimate,
        lambda f, z, mean, scale, baseline: (f - baseline) * (z - mean) / scale**2,
        [(f, few, 1.0, 2.0, 3.0), *others],
        "score-function gradients",
        1e-9,
        [
            (f * (few - 1.0) / 4.0, "the baseline is not used: subtract it from f"),
            ((f - 3.0) * (few - 1.0) / 2.0, "divided by σ: the score is (z - µ)/σ²"),
            ((f - 3.0) * (few - 1.0), "the score is (z - µ)/σ²: σ² is missing"),
            (-right, "the sign: log q rises with µ where z is above it"),
            (
                -0.5 * (f - 3.0) * ((few - 1.0) / 2.0) ** 2,
                "this has log q where its slope by µ is due, (z - µ)/σ²",
            ),
            (2 * few, "this is the reparameterised gradient f'(z): use only values of f"),
            (f * (few - 1.0) / 4.0 - 3.0, "subtract the baseline from f, before multiplying"),
        ],
    )
    plain = np.asarray(estimate(z**2, z, 1.0, 2.0, 0.0))
    better = np.asarray(estimate(z**2, z, 1.0, 2.0, 5.0))
    require(
        abs(plain.mean() - 2) < 0.1 and abs(better.mean() - 2) < 0.1,
        "with and without a baseline the mean is 2µ",
        f"the mean is {plain.mean():.2f} without and {better.mean():.2f} with a baseline, not 2µ = 2",
    )
    require(
        better.std() < 0.9 * plain.std(),
        f"the baseline E[f] = 5 cuts the scatter from {plain.std():.1f} to {better.std():.1f}",
        "the baseline does not cut the scatter",
    )


@exercise("10.5", "active units")
def active(count: Callable) -> None:
    """count(mean (N, L), threshold) -> number of units whose mean varies over the data."""
    generator = torch.Generator().manual_seed(3)
    mean = torch.randn(500, 4, generator=generator, dtype=torch.float64)
    mean = mean * torch.tensor([1.0, 0.001, 0.3, 0.05]) + torch.tensor([0.0, 3.0, 0.0, 0.0])
    units = lambda *case: number(count(*case), "active units")
    got = units(mean, 0.01)
    if got == 4:
        raise CheckFailed(
            "✗ active units: 4, but the right count is 2. Have you used the threshold?"
        )
    if got == (mean.var(1) > 0.01).sum():
        raise CheckFailed(
            "✗ active units: you look at how one example's means vary over the units: it is each unit "
            "that varies, over the examples"
        )
    if got == 0.5:
        raise CheckFailed("✗ active units: 0.5 is their share; how many are they?")
    if got == 3:
        raise CheckFailed(
            "✗ active units: 3, but the right count is 2: a mean that is large but the same for every "
            "x says nothing about x, and a standard deviation is not yet a variance"
        )
    require(
        got == 2,
        "two of the four units are active",
        f"you count {got:g}, the right count is 2: compare the threshold with each unit's variance over all "
        "500 examples",
    )
    require(
        units(mean, 0.5) == 1 and units(mean, 1e-9) == 4,
        "the threshold moves the count",
        "another threshold must change the count: 0.5 leaves one unit, 1e-9 leaves four",
    )
    others = [(torch.randn(n, k, generator=generator).double().cumsum(1), t) for n, k, t in (
        (50, 1, 0.5), (40, 9, 4.0), (60, 6, 2.5),
    )] + [(torch.ones(5, 3).double(), 0.0)]  # fmt: skip
    agree(
        units,
        lambda m, t: int((m.var(0) > t).sum()),
        others,
        "other counts",
    )


@exercise("10.6", "free nats")
def free_nats(cost: Callable) -> None:
    """cost(kl (B, L), free) -> a number: Σ_j max(free, mean over the batch of KL_j)."""
    kl = torch.tensor([[0.1, 2.0, 0.0, 0.8], [0.5, 1.0, 0.1, 0.0]], dtype=torch.float64)
    free = 0.35
    mean = kl.mean(0)
    answer = cost(kl, free)
    if np.ndim(answer) > 0:
        raise CheckFailed("✗ cost: return one number, summed over the dimensions")
    generator = torch.Generator().manual_seed(4)
    others = [
        (torch.rand(s, generator=generator).double(), lam)
        for s, lam in (((1, 1), 0.9), ((5, 3), 0.5), ((2, 8), 0.1), ((3, 3), 0.0))
    ]
    agree(
        cost,
        lambda kl, free: kl.mean(0).clamp(min=free).sum(),
        [(kl, free), *others],
        "cost",
        1e-9,
        [
            (
                kl.clamp(min=free).mean(0).sum(),
                "each example has its own free nats: average over the batch first, then compare",
            ),
            (
                mean.sum(),
                "the free nats must act on each dimension: max(λ, KL_j) for each j, then the sum",
            ),
            (mean.clamp(min=free).mean(), "averaged over the dimensions: sum them"),
            (
                kl.mean(1).clamp(min=free).sum(),
                "averaged over the dimensions: the mean is over the batch, axis 0",
            ),
            ((mean * (mean > free)).sum(), "λ itself is paid where the mean is below it"),
            (mean.clamp(max=free).sum(), "min for max: nats above λ are paid for in full"),
            (
                (mean - free).clamp(min=0).sum(),
                "right gradient, but λ L too low: the cost is max(λ, KL)",
            ),
        ],
    )
    kl = kl.clone().requires_grad_(True)
    paid = cost(kl, free)
    if not getattr(paid, "requires_grad", False):
        raise CheckFailed(
            "✗ cost: the right number, but no gradient comes back through it, and it is to be trained with: "
            "compute it in torch, without item(), detach() or NumPy"
        )
    (slope,) = torch.autograd.grad(paid, kl)
    require(
        bool((slope[:, [0, 2]] == 0).all() and (slope[:, [1, 3]] > 0).all()),
        "only dimensions above λ have a gradient",
        "a dimension below λ must have no gradient, one above must have one",
    )


@exercise("10.7", "predict, then run: an exact posterior")
def exact_posterior(prediction: Callable) -> None:
    """prediction() -> {"cost": nats, "gap": nats, "many": word}."""
    weight = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    model = linear_vae.LinearGaussianVAE(weight).requires_grad_(False).fit_posterior()
    generator = torch.Generator().manual_seed(0)
    x = model.sample((20_000,), generator)
    cost = vae.kl_to_standard_normal(*model.encode(x)).sum(-1).mean().item()
    gap = lambda k: (model.exact_log_prob(x) - vae.iwae_bound(model, x, k, generator)).mean().item()
    exact = gap(10) - gap(1)
    model.posterior_log_scale += math.log(2)
    wide = (model.exact_log_prob(x) - vae.elbo(model, x, 32, generator=generator)).mean().item()
    predicts(
        prediction,
        {
            "cost": (
                cost,
                0.03,
                (
                    "with the exact posterior the mean KL is what x says about z. How uncertain is z before x "
                    "is known, and how uncertain after? Compare the two entropies"
                ),
            ),
            "gap": (
                wide,
                0.03,
                (
                    "the gap is the KL of the guess from the true posterior, two Gaussians with the same mean. "
                    "Put the ratio of their scales into the formula of 10.1"
                ),
            ),
            "many": (
                "same" if abs(exact) < 1e-6 else "closer" if exact < 0 else "further",
                0,
                (
                    "Jensen's inequality is an equality when the weights do not vary. By Bayes' rule, what "
                    "is p(x | z) p(z) / q(z | x) for the exact posterior?"
                ),
            ),
        },
    )


def _elbo(
    model: linear_vae.LinearGaussianVAE, x: torch.Tensor, generator: torch.Generator, bug: str = ""
) -> torch.Tensor:
    """The bound of one draw of z, or with a planted bug, (B,)."""
    mean, log_scale = model.encode(x)
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
    scale = torch.exp((0.5 if bug == "variance" else 1) * log_scale)
    z = mean + (0 if bug == "no noise" else scale) * noise
    centre = z @ model.weight.T + (0 if bug == "bias" else model.bias)
    explained = vae.normal_log_prob(x, centre, (0 if bug == "unit" else 1) * model.log_scale)
    cost = vae.kl_to_standard_normal(mean, log_scale)
    if bug in ("coordinate", "latent"):  # the last one is left out
        part = explained if bug == "coordinate" else cost
        part[..., -1] = 0
    explained = explained.mean(-1) if bug == "pixels" else explained.sum(-1)
    cost = cost.mean(-1) if bug == "latents" else cost.sum(-1)
    low = x[:, 0] < x[:, 0].mean()
    value = explained - cost + {"above": 0.15, "low": 0.35 * low, "high": 0.35 * ~low}.get(bug, 0)
    if bug == "batch":
        return value.mean().expand_as(value)
    return value.roll(1) if bug == "neighbour" else value


BUGS = {
    "latents": "the KL is averaged over the latent dimensions, not summed",
    "pixels": "log p(x | z) is averaged over the coordinates of x, not summed",
    "no noise": "z is the mean of q: nothing is drawn",
    "variance": "z is drawn with log σ read as log σ²",
    "batch": "each example gets the mean of the whole batch",
    "neighbour": "each example gets the bound of the one before it in the batch",
    "coordinate": "log p(x | z) lacks the last coordinate of x",
    "latent": "the KL lacks the last latent dimension",
    "above": "it is a seventh of a nat too high, for every example",
    "low": "it is too high for examples whose first number is below the mean of the batch",
    "high": "it is too high for examples whose first number is above the mean of the batch",
    "bias": "log p(x | z) leaves out the bias b of the model",
    "unit": "log p(x | z) takes σ for one, whatever the model's is",
}


@exercise("10.8", "the test that finds the bug")
def below_the_truth(is_right: Callable) -> None:
    """is_right(bound, D, L) -> bool, for bound(model, x (B, D), generator) -> (B,) of a LinearGaussianVAE."""
    drawn = lambda model, x, generator: vae.elbo(model, x, kl="monte_carlo", generator=generator)
    many = lambda model, x, generator: vae.elbo(model, x, 4, generator=generator)
    right = [(_elbo, 3, 2, "a bound of one draw, KL by its formula")]
    right += [
        (drawn, 4, 2, "a bound whose KL is drawn, too"),
        (many, 5, 3, "a bound of four draws"),
    ]
    right += [(_elbo, 2, 1, "a bound of one latent variable")]
    spoiled = lambda bug: lambda model, x, generator: _elbo(model, x, generator, bug)
    after = lambda f, draws: (
        lambda model, x, generator: (
            torch.rand(draws, generator=generator),
            f(model, x, generator),
        )[1]
    )
    finds_bugs(
        is_right,
        [((after(f, draws), D, L), what) for f, D, L, what in right for draws in (0, 7, 1001)],
        [((spoiled(bug), D, L), what) for D, L in ((3, 2), (5, 3)) for bug, what in BUGS.items()],
        "its mean over draws is log p(x) less the KL of q from the true posterior, for each example",
    )
