"""Chapter 10: a hidden cause z for each example x, and the variational autoencoder that learns it.

    z ~ N(0, I),   x given z ~ p(x | z),   log p(x) = log ∫ p(x | z) p(z) dz

In general the integral has no formula. A second network, the encoder, guesses z from x with a density q(z | x), and

    ELBO(x) = E_q[log p(x | z)] - KL(q(z | x) ‖ p(z)) <= log p(x)

Everything is in nats and summed over dimensions, never averaged: an average over the latent dimensions
would be a smaller weight on the KL in disguise.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from . import weights
from .distributions import Random, VectorLikelihood

LOG_2PI = math.log(2 * math.pi)


def reparameterise(mean: Tensor, log_scale: Tensor, noise: Tensor) -> Tensor:
    """z = µ + σ ε: a sample of N(µ, σ²) as a smooth function of µ and σ, so that it has a gradient.

    References: Kingma and Welling, Auto-Encoding Variational Bayes, 2013 (arXiv:1312.6114).

    >>> reparameterise(torch.tensor(1.0), torch.tensor(2.0).log(), torch.tensor(0.5)).item()
    2.0
    """
    return mean + log_scale.exp() * noise


def normal_log_prob(
    z: Tensor, mean: Tensor | float = 0.0, log_scale: Tensor | float = 0.0
) -> Tensor:
    """log N(z_j; µ_j, σ_j²) of every entry, in nats; nothing is summed.

    >>> round(normal_log_prob(torch.zeros(1)).item(), 4)
    -0.9189
    """
    log_scale = torch.as_tensor(log_scale, dtype=z.dtype, device=z.device)
    return -0.5 * ((z - mean) * torch.exp(-log_scale)).square() - log_scale - 0.5 * LOG_2PI


def kl_to_standard_normal(mean: Tensor, log_scale: Tensor) -> Tensor:
    """KL(N(µ_j, σ_j²) ‖ N(0, 1)), (µ² + σ² - 1) / 2 - log σ, (..., L) -> (..., L).

    Sum over the last axis for the KL of the whole density.

    >>> kl_to_standard_normal(torch.tensor([2.0, 0.0]), torch.zeros(2))
    tensor([2., 0.])
    """
    return 0.5 * (mean.square() + torch.expm1(2 * log_scale)) - log_scale


# ---------------------------------------------------------------- models
class LatentModel(nn.Module):
    """What the bounds below need of a model: an encoder, a decoder, a likelihood.

    A subclass has `input_dim` (D), `latent_dim` (L), `checked(x)`, `encode(x)` -> mean and log-scale of
    q(z | x), and `log_likelihood(x, z)`, as `VAE` has them.
    """

    input_dim: int
    latent_dim: int
    #: Whether q(z | x) is a diagonal Gaussian, so that the KL has a formula.
    diagonal = True

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z) = log N(z; 0, I), (..., L) -> (...)."""
        return normal_log_prob(z).sum(-1)

    def posterior_sample(
        self, x: Tensor, samples: int = 1, generator: Random = None
    ) -> tuple[Tensor, Tensor]:
        """z ~ q(z | x) with its gradient, and log q(z | x): (K, B, L) and (K, B)."""
        return self._draw(x, *self.encode(self.checked(x)), samples, generator)

    def _draw(
        self, x: Tensor, mean: Tensor, log_scale: Tensor, samples: int, generator: Random
    ) -> tuple[Tensor, Tensor]:
        z = reparameterise(mean, log_scale, _noise((samples, *mean.shape), mean, generator))
        return z, normal_log_prob(z, mean, log_scale).sum(-1)

    def log_posterior(self, z: Tensor, x: Tensor) -> Tensor:
        """log q(z | x): z (..., B, L), x (B, D) -> (..., B)."""
        return normal_log_prob(z, *self.encode(self.checked(x))).sum(-1)

    @torch.no_grad()
    def log_prob(self, x: Tensor, samples: int = 1000, generator: Random = None) -> Tensor:
        """An estimate of log p(x) in nats, (B,): `importance_estimate`, which says how sure it is."""
        return importance_estimate(self, x, samples, generator).log_prob


class VAE(LatentModel):
    """A variational autoencoder: two networks of ReLU layers, a decoder p(x | z) and an encoder q(z | x).

        p(z) = N(0, I),   p(x | z) = Π_d p(x_d | decoder(z)_d),   q(z | x) = N(µ(x), diag σ(x)²)

    Args:
        input_dim: D, numbers in x. latent_dim: L, numbers in z.
        hidden: widths from the side of x; the decoder takes them from last to first.
        likelihood: "bernoulli" (x is 0 or 1), "categorical" (x is 0 … levels - 1), or "gaussian" (x is real;
            one learned log-scale for each coordinate, at least `min_log_scale`).
        levels: of a categorical likelihood. dropout: share of hidden units left out in training.
        min_log_scale: of a Gaussian likelihood: without it a perfect guess has infinite density.
        generator: for initial weights.

    References: Kingma and Welling, Auto-Encoding Variational Bayes, 2013 (arXiv:1312.6114); Rezende, Mohamed
    and Wierstra, Stochastic Backpropagation, 2014 (arXiv:1401.4082).

    >>> vae = VAE(4, latent_dim=2, hidden=(8,))
    >>> vae
    VAE(4, latent_dim=2, hidden=(8,), bernoulli)
    >>> x = torch.tensor([[0.0, 1.0, 1.0, 0.0]])
    >>> elbo(vae, x).shape, vae.sample((3,)).shape
    (torch.Size([1]), torch.Size([3, 4]))
    """

    def __init__(
        self,
        input_dim: int,
        latent_dim: int,
        hidden: Sequence[int] = (200, 200),
        likelihood: str = "bernoulli",
        levels: int = 2,
        dropout: float = 0.0,
        min_log_scale: float = -5.0,
        generator: Random = None,
    ) -> None:
        super().__init__()
        if input_dim < 1 or latent_dim < 1 or not hidden or min(hidden) < 1:
            raise ValueError(f"sizes are at least 1: {input_dim}, {latent_dim}, {tuple(hidden)}")
        self.input_dim, self.latent_dim, self.hidden = input_dim, latent_dim, tuple(hidden)
        self.likelihood = VectorLikelihood(likelihood, input_dim, levels, min_log_scale)
        real = likelihood == "gaussian"  # the scale is not the decoder's, but learned for all x
        n_params = 1 if real else self.likelihood.n_params
        widths = [input_dim * self.likelihood.n_inputs, *hidden, 2 * latent_dim]
        self.encoder = _network(widths, dropout, generator)
        widths = [latent_dim, *hidden[::-1], input_dim * n_params]
        self.decoder = _network(widths, dropout, generator)
        self.log_scale = nn.Parameter(torch.zeros(input_dim)) if real else None

    def checked(self, x: Tensor) -> Tensor:
        """x (B, D), or an error that says what is wrong with it."""
        return self.likelihood.checked(x)

    def code(self, x: Tensor) -> Tensor:
        """What the encoder is fed of x: ±1 for a bit, a one-hot for a level, x itself."""
        return self.likelihood.code(x, self.encoder[-1].weight.dtype)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, D) -> mean (B, L) and log-scale (B, L) of q(z | x)."""
        mean, log_scale = self.encoder(self.code(self.checked(x))).chunk(2, -1)
        return mean, log_scale

    def decode(self, z: Tensor) -> Tensor:
        """z (..., L) -> parameters (..., D, P): a logit, a logit for each level, or a mean."""
        if z.ndim == 0 or z.shape[-1] != self.latent_dim:
            raise ValueError(f"z has shape (..., {self.latent_dim}), not {tuple(z.shape)}")
        return self.decoder(z).unflatten(-1, (self.input_dim, -1))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z), summed over D: x (B, D), z (..., B, L) -> (..., B)."""
        return self.likelihood.log_prob(self.decode(z), x, self.log_scale).sum(-1)

    def mean(self, z: Tensor) -> Tensor:
        """E[x | z], (..., L) -> (..., D)."""
        return self.likelihood.mean(self.decode(z))

    @torch.no_grad()
    def sample(
        self, shape: Sequence[int] = (), z: Tensor | None = None, generator: Random = None
    ) -> Tensor:
        """z ~ N(0, I) (or the given z, (..., L)), then x ~ p(x | z): (*shape, D)."""
        if z is None:
            z = _noise((*shape, self.latent_dim), self.decoder[-1].weight, generator)
        return self.likelihood.sample(self.decode(z), generator, self.log_scale)

    def extra_repr(self) -> str:
        hidden, latent_dim = self.hidden, self.latent_dim
        return f"{self.input_dim}, {latent_dim=}, {hidden=}, {self.likelihood}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"


def _network(widths: Sequence[int], dropout: float, generator: Random) -> nn.Sequential:
    layers: list[nn.Module] = []
    for below, above in pairwise(widths):
        layers += [nn.Linear(below, above), nn.ReLU(), nn.Dropout(dropout)]
    network = nn.Sequential(*layers[:-2])  # after the last layer neither
    init_linear_layers(network, generator)
    return network


@weights.takes_networks
def init_linear_layers(module: nn.Module, generator: Random) -> None:
    """PyTorch's own initial weights, but from this generator; what is zero stays zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear) and layer.weight.abs().sum() > 0:
            bound = 1 / math.sqrt(layer.in_features)
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


def _noise(shape: Sequence[int], like: Tensor, generator: Random) -> Tensor:
    if min(shape) < 0:
        raise ValueError(f"no shape has negative sizes, as {tuple(shape)} has")
    return torch.randn(*shape, generator=generator, dtype=like.dtype, device=like.device)


# ---------------------------------------------------------------- bounds
@weights.takes_networks
def elbo(
    model: LatentModel,
    x: Tensor,
    samples: int = 1,
    beta: float = 1.0,
    free_bits: float = 0.0,
    kl: str | None = None,
    generator: Random = None,
) -> Tensor:
    """The evidence lower bound in nats, one value for each example: x (B, D) -> (B,).

        ELBO = mean_k log p(x | z_k) - β KL(q(z | x) ‖ p(z)),   z_k ~ q(z | x)

    With β = 1 and no free bits, the defaults, its expectation is at most log p(x). With other values it is a
    training objective: report the plain bound.

    Args:
        samples: K, how many z for each x.
        beta: weight of the KL.
        free_bits: λ, nats that each latent dimension may use at no cost: KL_j, averaged over the batch,
            counts as max(λ, KL_j). A dimension below λ gets no gradient from the KL, so it is not emptied.
        kl: "analytic" (a diagonal posterior's formula, the default where there is one) or
            "monte_carlo": the mean of log q(z_k | x) - log p(z_k).

    References: Higgins et al., beta-VAE, 2017, for β; Kingma et al., Improving Variational Inference with
    Inverse Autoregressive Flow, 2016 (arXiv:1606.04934), appendix C.8, for free bits.
    """
    if samples < 1:
        raise ValueError(f"samples is at least 1, not {samples}")
    if not (beta >= 0 and free_bits >= 0):
        raise ValueError(f"beta and free_bits are not negative, not {beta} and {free_bits}")
    kl = kl or ("analytic" if model.diagonal else "monte_carlo")
    if kl not in ("analytic", "monte_carlo"):
        raise ValueError(f'kl is "analytic" or "monte_carlo", not {kl!r}')
    if not model.diagonal and (kl == "analytic" or free_bits > 0):
        raise ValueError(
            f'{type(model).__name__} has no diagonal Gaussian: use kl="monte_carlo", no free bits'
        )
    x = model.checked(x)
    mean, log_scale = model.encode(x)  # (B, L)
    z, log_q = model._draw(x, mean, log_scale, samples, generator)  # (K, B, L), (K, B)
    reconstruction = model.log_likelihood(x, z).mean(0)  # E_q[log p(x | z)], (B,)
    if model.diagonal:
        if kl == "analytic":
            each = kl_to_standard_normal(mean, log_scale)  # (B, L)
        else:
            each = (normal_log_prob(z, mean, log_scale) - normal_log_prob(z)).mean(0)
        if free_bits > 0:
            total = each.mean(0).clamp(min=free_bits).sum().expand(len(x))
        else:
            total = each.sum(-1)  # summed over the latent dimensions, (B,)
    else:
        total = (log_q - model.log_prior(z)).mean(0)
    return _finite(reconstruction - beta * total, x)


def _finite(bound: Tensor, x: Tensor) -> Tensor:
    if not torch.isfinite(bound).all():
        raise ValueError(
            "the bound is not finite: the network has diverged, or x is not standardised (its largest "
            f"number is {x.abs().max():.3g}). Subtract the mean of the data and divide by their spread"
        )
    return bound


def _log_weights(model: LatentModel, x: Tensor, k: int, generator: Random) -> Tensor:
    """log w_k = log p(x, z_k) - log q(z_k | x), z_k ~ q: (K, B)."""
    z, log_q = model.posterior_sample(x, k, generator)
    return model.log_likelihood(x, z) + model.log_prior(z) - log_q


@weights.takes_networks
def iwae_bound(model: LatentModel, x: Tensor, k: int, generator: Random = None) -> Tensor:
    """The importance-weighted bound with k samples in nats, x (B, D) -> (B,).

        IWAE_k(x) = log (1/k) Σ_i p(x, z_i) / q(z_i | x),   z_i ~ q(z | x)

    In expectation ELBO = IWAE_1 <= IWAE_k <= IWAE_{k+1} <= log p(x). It has a gradient.

    References: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2015 (arXiv:1509.00519).
    """
    if k < 1:
        raise ValueError(f"k is at least 1, not {k}")
    return _finite(_log_weights(model, x, k, generator).logsumexp(0) - math.log(k), x)


class Estimate(NamedTuple):
    """`log_prob` (B,), its `standard_error` in nats (B,), and the `effective_samples` (B,)."""

    log_prob: Tensor
    standard_error: Tensor
    effective_samples: Tensor


@torch.no_grad()
@weights.takes_networks
def importance_estimate(
    model: LatentModel, x: Tensor, samples: int = 1000, generator: Random = None, chunk: int = 100
) -> Estimate:
    """log p(x) estimated with importance samples from q, and how sure the estimate is.

        log p̂ = log mean_k w_k,   effective samples = (Σ w)² / Σ w²
        standard error ≈ sqrt(1 / effective - 1 / K): of log p̂, by the delta method

    The value is IWAE_K: too low on average, and the less so the more effective samples there are. Only
    `chunk` samples a time are kept in memory.
    """
    if samples < 2 or chunk < 1:
        raise ValueError(f"samples is at least 2 and chunk at least 1, not {samples} and {chunk}")
    first, second = [], []  # log Σ w and log Σ w² of every chunk
    for begin in range(0, samples, chunk):
        log_w = _log_weights(model, x, min(chunk, samples - begin), generator)
        first.append(log_w.logsumexp(0))
        second.append((2 * log_w).logsumexp(0))
    one, two = torch.stack(first).logsumexp(0), torch.stack(second).logsumexp(0)
    effective = torch.exp(2 * one - two)
    error = (1 / effective - 1 / samples).clamp(min=0).sqrt()
    return Estimate(_finite(one - math.log(samples), x), error, effective)


# ---------------------------------------------------------------- what the latent is used for
@torch.no_grad()
@weights.takes_networks
def kl_per_dimension(model: LatentModel, x: Tensor) -> Tensor:
    """KL of each latent dimension in nats, averaged over the examples: x (B, D) -> (L,)."""
    if not model.diagonal:
        raise ValueError(f"{type(model).__name__} has no diagonal Gaussian, no KL per dimension")
    return kl_to_standard_normal(*model.encode(model.checked(x))).mean(0)


@torch.no_grad()
@weights.takes_networks
def active_units(model: LatentModel, x: Tensor, threshold: float = 0.01) -> Tensor:
    """Which latent dimensions carry something of x: Var_x(E_q[z_j | x]) > threshold, (L,) of bool.

    References: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2015 (arXiv:1509.00519),
    section 5.2.
    """
    x = model.checked(x)
    if len(x) < 2:
        raise ValueError("a variance over examples needs at least two")
    if not model.diagonal:
        raise ValueError(f"{type(model).__name__} has no formula for the mean of q(z | x)")
    return model.encode(x)[0].var(0, correction=0) > threshold


def load() -> tuple[VAE, dict]:
    """A VAE of scikit-learn's digits (x >= 8), trained, and its card (data, command, results).

    `python training/vae_digits.py` made both. The card holds three posteriors; the weights are of the diagonal one.

    >>> model, card = load()
    >>> model.input_dim, model.latent_dim, sorted(card["posteriors"])
    (64, 8, ['diagonal', 'iaf', 'planar'])
    """
    tensors, notes = weights.load("vae_digits")
    return weights.frozen(VAE(**notes["model"]), tensors), weights.card("vae_digits")
