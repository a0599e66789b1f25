"""Checks for the exercises of chapter 10."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from .core import CheckFailed, agree, exercise, require

__all__ = ["active", "bound", "divergence", "free_nats", "importance", "score_gradient"]


@exercise("10.1", "the divergence")
def divergence(kl: Callable) -> None:
    """kl(mean (B, L), log_scale (B, L)) -> (B,): KL(N(µ, σ²) ‖ N(0, I)), summed over L."""
    generator = torch.Generator().manual_seed(0)
    mean, log_scale = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    each = 0.5 * (mean**2 + torch.exp(2 * log_scale) - 1) - log_scale
    answer = kl(mean, log_scale)
    if tuple(np.shape(answer)) == (3, 4):
        raise CheckFailed(
            "✗ KL: one value for each dimension; sum over the last axis, (B, L) -> (B,)"
        )

    def right(mean: torch.Tensor, log_scale: torch.Tensor) -> torch.Tensor:
        return (0.5 * (mean**2 + torch.exp(2 * log_scale) - 1) - log_scale).sum(-1)

    shapes = ((1, 1), (5, 2), (2, 7), (3, 3))
    others = [
        tuple(2 * torch.randn(2, *s, generator=generator, dtype=torch.float64)) for s in shapes
    ]
    agree(
        kl,
        right,
        [(mean, log_scale), *others],
        "KL",
        1e-9,
        [
            (each.mean(-1), "averaged over the latent dimensions: it must be summed"),
            (-each.sum(-1), "the sign: a divergence is never negative"),
            (
                (0.5 * (mean**2 + torch.exp(log_scale) - 1) - log_scale).sum(-1),
                "σ² is exp(2 log σ), not exp(log σ)",
            ),
            (
                (0.5 * (mean**2 + torch.exp(log_scale) - 1 - log_scale)).sum(-1),
                "you read log_scale as log σ²; here it is log σ",
            ),
            (
                (0.5 * (mean**2 + torch.exp(2 * log_scale) - 1) + log_scale).sum(-1),
                "the sign of log σ: a narrow guess costs more",
            ),
            (
                (
                    0.5 * (mean**2 * torch.exp(-2 * log_scale) + torch.exp(-2 * log_scale) - 1)
                    + log_scale
                ).sum(-1),
                "this is KL(prior ‖ q): the order is turned round",
            ),
            ((each + 0.5).sum(-1), "the -1 is missing: off by ½ for each dimension"),
        ],
    )
    zero = torch.zeros(1, 5, dtype=torch.float64)
    got = float(kl(zero, zero)[0])
    require(
        abs(got) < 1e-12,
        "the prior itself costs nothing",
        f"for µ = 0, σ = 1 you give {got:.4g}; the divergence of a density from itself is 0",
    )


@exercise("10.2", "the bound")
def bound(elbo: Callable) -> None:
    """elbo(x (B, D), logits (B, D), mean (B, L), log_scale (B, L)) -> (B,), Bernoulli likelihood."""
    generator = torch.Generator().manual_seed(1)
    x = (torch.rand(3, 6, generator=generator) > 0.5).double()
    logits = 2 * torch.randn(3, 6, generator=generator).double()
    mean, log_scale = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    explained = torch.distributions.Bernoulli(logits=logits).log_prob(x)
    cost = 0.5 * (mean**2 + torch.exp(2 * log_scale) - 1) - log_scale
    answer = elbo(x, logits, mean, log_scale)
    if np.ndim(answer) == 0:
        raise CheckFailed("✗ ELBO: a single number; there must be one for each example, (B,)")
    right = explained.sum(-1) - cost.sum(-1)

    def of(x: torch.Tensor, logits: torch.Tensor, m: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        explained = torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(-1)
        return explained - (0.5 * (m**2 + torch.exp(2 * s) - 1) - s).sum(-1)

    others = []
    for B, D, L in ((1, 1, 1), (4, 2, 5), (2, 9, 2), (3, 3, 3)):
        bits = (torch.rand(B, D, generator=generator) > 0.3).double()
        numbers = [torch.randn(B, k, generator=generator).double() for k in (D, L, L)]
        others.append((bits, *numbers))
    agree(
        elbo,
        of,
        [(x, logits, mean, log_scale), *others],
        "ELBO",
        1e-9,
        [
            (
                explained.sum(-1) - cost.mean(-1),
                "the KL is averaged over the latent dimensions: sum it, or its weight is 1/L",
            ),
            (
                explained.mean(-1) - cost.sum(-1),
                "log p(x | z) is averaged over the pixels: sum it, or the KL weighs D times too much",
            ),
            (explained.mean(-1) - cost.mean(-1), "both terms are averaged: sum both"),
            (explained.sum(-1) + cost.sum(-1), "the KL is a cost: subtract it"),
            (-right, "this is the loss, -ELBO; return the bound itself"),
            (
                (x * logits).sum(-1) - cost.sum(-1),
                "x · logit is not yet log p(x | z): the normaliser log(1 + exp(logit)) is missing",
            ),
            (explained.sum(-1), "the KL is missing"),
        ],
    )
    far = elbo(
        torch.zeros(1, 1).double(),
        torch.full((1, 1), 200.0).double(),
        *torch.zeros(2, 1, 1).double(),
    )
    require(
        abs(float(far[0]) + 200) < 1e-6,
        "a sure and wrong pixel costs its 200 nats",
        f"for x = 0 and logit 200 you give {float(far[0]):.4g}, not -200: the probability rounds to 1. "
        "Use logsigmoid",
    )


@exercise("10.3", "importance weights")
def importance(estimate: Callable) -> None:
    """estimate(log_w (K, B)) -> (B,): log of the mean weight."""
    generator = torch.Generator().manual_seed(2)
    log_w = 2 * torch.randn(5, 3, generator=generator, dtype=torch.float64) - 4
    k = len(log_w)
    right = log_w.logsumexp(0) - math.log(k)
    others = [
        (3 * torch.randn(s, generator=generator).double(),)
        for s in ((1, 2), (7, 1), (3, 3), (2, 6))
    ]
    mixed = torch.tensor([[-2000.0, 0.0], [5.0, -900.0], [4.0, 1.0]], dtype=torch.float64)
    agree(
        estimate,
        lambda w: w.logsumexp(0) - math.log(len(w)),
        [(log_w,), *others, (mixed,)],
        "log of the mean weight",
        1e-9,
        [
            (log_w.logsumexp(0), "the sum, not the mean: subtract log K"),
            (log_w.logsumexp(0) / k, "divided by K after the logarithm: subtract log K"),
            (log_w.mean(0), "the mean of the logarithms is the ELBO: average the weights first"),
            (log_w.max(0)[0], "this is the largest weight only"),
            (right.exp(), "this is the estimate of p(x); return its logarithm"),
        ],
    )
    low = log_w[:, :1] - 2000
    got = float(estimate(low)[0])
    require(
        abs(got - (float(right[0]) - 2000)) < 1e-6,
        "weights of exp(-2000) do not underflow",
        f"for weights of about exp(-2000) you give {got:.4g}: exp underflows to 0, use logsumexp",
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
    got = int(count(mean, 0.01))
    if got == 4:
        raise CheckFailed(
            "✗ active units: 4, but the right count is 2. Have you used the threshold?"
        )
    if got == 3:
        raise CheckFailed(
            "✗ active units: 3, but the right count is 2: a mean that is large but the same for every "
            "x says nothing about x, and a standard deviation is not yet a variance"
        )
    require(got == 2, "two of the four units are active", f"you count {got}, the right count is 2")
    require(
        int(count(mean, 0.5)) == 1 and int(count(mean, 1e-9)) == 4,
        "the threshold moves the count",
        "another threshold must change the count: 0.5 leaves one unit, 1e-9 leaves four",
    )
    others = [(torch.randn(n, k, generator=generator).double().cumsum(1), t) for n, k, t in (
        (50, 1, 0.5), (40, 9, 4.0), (60, 6, 2.5),
    )] + [(torch.ones(5, 3).double(), 0.0)]  # fmt: skip
    agree(
        lambda m, t: int(count(m, t)),
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
            (mean.clamp(max=free).sum(), "min for max: nats above λ are paid for in full"),
            (
                (mean - free).clamp(min=0).sum(),
                "right gradient, but λ L too low: the cost is max(λ, KL)",
            ),
        ],
    )
    kl = kl.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(cost(kl, free), kl)
    require(
        bool((slope[:, [0, 2]] == 0).all() and (slope[:, [1, 3]] > 0).all()),
        "only dimensions above λ have a gradient",
        "a dimension below λ must have no gradient, one above must have one",
    )
