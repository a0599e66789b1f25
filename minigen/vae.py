"""Latent variables: a hidden cause z for each example x, and the variational autoencoder that learns it.

    z ~ N(0, I),   x given z ~ p(x | z),   log p(x) = log ∫ p(x | z) p(z) dz

The integral has no formula. A second network, the encoder, guesses z from x with a density q(z | x), and

    ELBO(x) = E_q[log p(x | z)] - KL(q(z | x) ‖ p(z)) <= log p(x)

Everything is in nats and summed over dimensions, never averaged: an average over the latent dimensions
would be a smaller weight on the KL in disguise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import weights
from .flows import Compose, Inverse, MaskedAffineAutoregressive, Planar, Transform

__all__ = [
    "VAE",
    "Estimate",
    "FlowVAE",
    "LinearGaussianVAE",
    "active_units",
    "elbo",
    "importance_estimate",
    "iwae_bound",
    "kl_per_dimension",
    "kl_to_standard_normal",
    "load",
    "normal_log_prob",
    "reparameterise",
]

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
    """KL(N(µ_j, σ_j²) ‖ N(0, 1)) of every dimension: (µ² + σ² - 1) / 2 - log σ, (..., L) -> (..., L).

    Sum over the last axis for the KL of the whole density.

    >>> kl_to_standard_normal(torch.tensor([2.0, 0.0]), torch.zeros(2))
    tensor([2., 0.])
    """
    return 0.5 * (mean.square() + torch.expm1(2 * log_scale)) - log_scale


# ---------------------------------------------------------------- models


class _Latent(nn.Module):
    """What the bounds below need of a model: an encoder, a decoder, a likelihood.

    A subclass has `dim` (D), `latent` (L), `encode(x)` -> mean, log-scale, `log_likelihood(x, z)`.
    """

    dim: int
    latent: int
    #: Whether q(z | x) is a diagonal Gaussian, so that the KL has a formula.
    diagonal = True

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, D) -> mean (B, L) and log-scale (B, L) of q(z | x)."""
        raise TypeError(f"{type(self).__name__} has no encoder")

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z), summed over D: x (B, D), z (..., B, L) -> (..., B)."""
        raise TypeError(f"{type(self).__name__} has no likelihood")

    def checked(self, x: Tensor) -> Tensor:
        """x, or an error that says what is wrong with it."""
        if x.ndim != 2 or x.shape[1] != self.dim or x.shape[0] == 0:
            raise ValueError(f"x has shape (B, {self.dim}) with B > 0, not {tuple(x.shape)}")
        if not torch.isfinite(x).all():
            raise ValueError("x has NaN or infinite values: remove those rows first")
        return x

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z) = log N(z; 0, I), (..., L) -> (...)."""
        return normal_log_prob(z).sum(-1)

    def posterior_sample(
        self, x: Tensor, samples: int = 1, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """z ~ q(z | x) with its gradient, and log q(z | x): (K, B, L) and (K, B)."""
        mean, log_scale = self.encode(self.checked(x))
        return self._draw(x, mean, log_scale, samples, generator)

    def _draw(
        self,
        x: Tensor,
        mean: Tensor,
        log_scale: Tensor,
        samples: int,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        noise = _noise((samples, *mean.shape), mean, generator)  # ε, (K, B, L)
        z = reparameterise(mean, log_scale, noise)
        return z, normal_log_prob(z, mean, log_scale).sum(-1)

    def log_posterior(self, z: Tensor, x: Tensor) -> Tensor:
        """log q(z | x): z (..., B, L), x (B, D) -> (..., B)."""
        return normal_log_prob(z, *self.encode(self.checked(x))).sum(-1)

    @torch.no_grad()
    def log_prob(
        self, x: Tensor, samples: int = 1000, generator: torch.Generator | None = None
    ) -> Tensor:
        """An estimate of log p(x) in nats, (B,): `importance_estimate`, which says how sure it is."""
        return importance_estimate(self, x, samples, generator).log_prob


class VAE(_Latent):
    """A variational autoencoder: two networks of ReLU layers, a decoder p(x | z) and an encoder q(z | x).

        p(z) = N(0, I),   p(x | z) = Π_d p(x_d | decoder(z)_d),   q(z | x) = N(µ(x), diag σ(x)²)

    Args:
        dim: D, numbers in x. latent: L, numbers in z.
        hidden: widths from the side of x; the decoder takes them from last to first.
        likelihood: "bernoulli" (x is 0 or 1), "categorical" (x is 0 … levels - 1), or "gaussian" (x is
            real; one learned log-scale for each coordinate, at least `min_log_scale`).
        levels: of a categorical likelihood.
        dropout: share of hidden units left out in training.
        min_log_scale: smallest log-scale of a Gaussian likelihood: without it a perfect guess has infinite density.
        generator: for initial weights.

    References:
        Kingma and Welling, Auto-Encoding Variational Bayes, 2013 (arXiv:1312.6114); Rezende, Mohamed
        and Wierstra, Stochastic Backpropagation, 2014 (arXiv:1401.4082).

    >>> vae = VAE(4, latent=2, hidden=(8,))
    >>> x = torch.tensor([[0.0, 1.0, 1.0, 0.0]])
    >>> elbo(vae, x).shape, vae.sample((3,)).shape
    (torch.Size([1]), torch.Size([3, 4]))
    """

    def __init__(
        self,
        dim: int,
        latent: int,
        hidden: Sequence[int] = (200, 200),
        likelihood: str = "bernoulli",
        levels: int = 2,
        dropout: float = 0.0,
        min_log_scale: float = -5.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        sizes = {"bernoulli": (1, 1), "categorical": (levels, levels), "gaussian": (1, 1)}
        if likelihood not in sizes:
            raise ValueError(f"no likelihood {likelihood!r}: choose one of {', '.join(sizes)}")
        if dim < 1 or latent < 1 or not hidden or min(hidden) < 1:
            raise ValueError(
                f"a VAE needs dim, latent and hidden sizes >= 1, not {dim}, {latent}, {tuple(hidden)}"
            )
        if likelihood == "categorical" and levels < 2:
            raise ValueError(f"a categorical likelihood needs levels >= 2, not {levels}")
        self.dim, self.latent, self.likelihood, self.levels = dim, latent, likelihood, levels
        self.min_log_scale = min_log_scale
        self.n_inputs, self.n_params = sizes[likelihood]
        self.encoder = _network([dim * self.n_inputs, *hidden, 2 * latent], dropout, generator)
        self.decoder = _network([latent, *hidden[::-1], dim * self.n_params], dropout, generator)
        if likelihood == "gaussian":
            self.log_scale = nn.Parameter(torch.zeros(dim))

    def checked(self, x: Tensor) -> Tensor:
        x = super().checked(x)
        if self.likelihood != "gaussian":
            top = self.levels if self.likelihood == "categorical" else 2
            if not ((x == x.round()) & (x >= 0) & (x < top)).all():
                raise ValueError(
                    f"a {self.likelihood} likelihood describes whole numbers 0 … {top - 1}; x has "
                    "others: round or threshold it first"
                )
        elif not x.is_floating_point():
            raise TypeError(f"x is {x.dtype}: a Gaussian likelihood needs floating-point values")
        return x

    def _code(self, x: Tensor) -> Tensor:
        """What the encoder is fed: ±1 for a bit, a one-hot for a level, x itself."""
        dtype = self.encoder[-1].weight.dtype
        if self.likelihood == "bernoulli":
            return 2 * x.to(dtype) - 1
        if self.likelihood == "categorical":
            return F.one_hot(x.long(), self.levels).to(dtype).flatten(-2)
        return x

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, D) -> mean (B, L) and log-scale (B, L) of q(z | x)."""
        mean, log_scale = self.encoder(self._code(self.checked(x))).chunk(2, -1)
        return mean, log_scale

    def decode(self, z: Tensor) -> Tensor:
        """z (..., L) -> parameters (..., D, P): a logit, a logit for each level, or a mean."""
        if z.ndim == 0 or z.shape[-1] != self.latent:
            raise ValueError(f"z has shape (..., {self.latent}), not {tuple(z.shape)}")
        return self.decoder(z).unflatten(-1, (self.dim, self.n_params))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z), summed over D: x (B, D), z (..., B, L) -> (..., B)."""
        params = self.decode(z)  # (..., B, D, P)
        if self.likelihood == "bernoulli":
            logit = params[..., 0]
            return F.logsigmoid(torch.where(x > 0.5, logit, -logit)).sum(-1)
        if self.likelihood == "categorical":
            index = x.long().expand(params.shape[:-1]).unsqueeze(-1)
            return params.log_softmax(-1).gather(-1, index).squeeze(-1).sum(-1)
        return normal_log_prob(x, params[..., 0], self.log_scale.clamp(min=self.min_log_scale)).sum(
            -1
        )

    def mean(self, z: Tensor) -> Tensor:
        """E[x | z], (..., L) -> (..., D)."""
        params = self.decode(z)
        if self.likelihood == "bernoulli":
            return params[..., 0].sigmoid()
        if self.likelihood == "categorical":
            values = torch.arange(self.levels, dtype=params.dtype, device=params.device)
            return (params.softmax(-1) * values).sum(-1)
        return params[..., 0]

    @torch.no_grad()
    def sample(
        self,
        shape: Sequence[int] = (),
        z: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """z ~ N(0, I) (or the given z, (..., L)), then x ~ p(x | z): (*shape, D)."""
        weight = self.decoder[-1].weight
        if z is None:
            z = _noise((*shape, self.latent), weight, generator)
        params = self.decode(z)
        if self.likelihood == "gaussian":
            mean, scale = params[..., 0], self.log_scale.clamp(min=self.min_log_scale)
            return reparameterise(mean, scale, _noise(mean.shape, mean, generator))
        u = torch.rand(
            params.shape[:-1], generator=generator, dtype=torch.float64, device=params.device
        )
        if self.likelihood == "bernoulli":
            return (u < params[..., 0].double().sigmoid()).long()
        cdf = params.double().softmax(-1).cumsum(-1)  # (..., D, K)
        return (cdf <= (u * cdf[..., -1])[..., None]).sum(-1).clamp(max=self.levels - 1)


class FlowVAE(VAE):
    """A VAE whose posterior is a diagonal Gaussian bent by flows that see x.

        z_0 ~ N(µ(x), diag σ(x)²),   z_k = f_k(z_{k-1}; h(x)),   z = z_K
        log q(z | x) = log N(z_0; µ, σ²) - Σ_k log|det ∂f_k/∂z_{k-1}|

    Only the direction noise -> z is needed to learn, so planar maps and inverse autoregressive flows, fast
    in this direction, both serve. The KL has no formula: it is the mean of log q - log p.

    Args:
        flow: "planar" or "iaf". flows: K, how many. context: C, numbers of h(x), which the encoder gives.
        flow_hidden: widths of each autoregressive network.
        The rest: see `VAE`.

    References:
        Rezende and Mohamed, Variational Inference with Normalizing Flows, 2015 (arXiv:1505.05770);
        Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016
        (arXiv:1606.04934).

    >>> vae = FlowVAE(4, latent=3, flow="iaf", flows=2, hidden=(8,))
    >>> z, log_q = vae.posterior_sample(torch.zeros(5, 4), samples=2)
    >>> z.shape, log_q.shape
    (torch.Size([2, 5, 3]), torch.Size([2, 5]))
    """

    diagonal = False

    def __init__(
        self,
        dim: int,
        latent: int,
        flow: str = "iaf",
        flows: int = 4,
        context: int = 32,
        flow_hidden: Sequence[int] = (64,),
        hidden: Sequence[int] = (200, 200),
        generator: torch.Generator | None = None,
        **options,
    ) -> None:
        super().__init__(dim, latent, hidden, generator=generator, **options)
        if flow not in ("planar", "iaf"):
            raise ValueError(f'flow is "planar" or "iaf", not {flow!r}')
        if flows < 1 or context < 1:
            raise ValueError(f"a FlowVAE needs flows and context >= 1, not {flows} and {context}")
        widths = [layer.in_features for layer in self.encoder if isinstance(layer, nn.Linear)]
        self.context = nn.Linear(widths[-1], context)  # h(x), from the encoder's last hidden layer
        maps: list[Transform] = []
        for k in range(flows):
            if flow == "planar":
                bend = Planar(latent, context_dim=context)
            else:
                order = range(latent) if k % 2 == 0 else range(latent - 1, -1, -1)
                bend = MaskedAffineAutoregressive(latent, flow_hidden, context, order, bound=2.0)
            maps.append(Inverse(bend))  # forwards is z -> noise, inverse is noise -> z: one pass
        self.flow = Compose(maps[::-1])  # as z_0 is sent through maps[0] first
        for module in (self.context, self.flow):
            _initialise(module, generator)

    def _context(self, x: Tensor) -> Tensor:
        return self.context(self.encoder[:-1](self._code(x)))

    def _draw(
        self,
        x: Tensor,
        mean: Tensor,
        log_scale: Tensor,
        samples: int,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        z_0, log_q = super()._draw(x, mean, log_scale, samples, generator)
        context = self._context(x)
        z, log_det = self.flow.inverse(z_0, context.expand(samples, *context.shape))
        return z, log_q - log_det

    def log_posterior(self, z: Tensor, x: Tensor) -> Tensor:
        """log q(z | x) of any z (..., B, L): the slow direction of the flows."""
        context = self._context(self.checked(x))
        z_0, log_det = self.flow(z, context.expand(*z.shape[:-1], context.shape[-1]))
        return super().log_posterior(z_0, x) + log_det


class LinearGaussianVAE(_Latent):
    """The one VAE whose log p(x) is known exactly: everything in it is linear.

        z ~ N(0, I),   x = W z + b + σ ε     =>   log p(x) = log N(x; b, W Wᵀ + σ² I)
        z given x ~ N(M⁻¹ Wᵀ (x - b), σ² M⁻¹),   M = Wᵀ W + σ² I
        q(z | x) = N(V (x - b), diag s²)

    With σ learned and the exact posterior this is probabilistic principal component analysis. The best
    diagonal posterior has V = M⁻¹ Wᵀ and s_j² = σ² / M_jj. The ELBO is then log p(x) exactly if the columns
    of W are orthogonal, and below it if they are not.

    Args:
        weight: W (D, L). log_scale: log σ. bias: b (D,), zero by default.

    References:
        Tipping and Bishop, Probabilistic Principal Component Analysis, 1999.

    >>> model = LinearGaussianVAE(torch.eye(2))
    >>> x = torch.zeros(1, 2)
    >>> bound = iwae_bound(model.fit_posterior(), x, k=3)  # q is exact here: so is the bound
    >>> round(model.exact_log_prob(x).item(), 4), round(bound.item(), 4)
    (-2.531, -2.531)
    """

    def __init__(self, weight: Tensor, log_scale: float = 0.0, bias: Tensor | None = None) -> None:
        super().__init__()
        if weight.ndim != 2 or 0 in weight.shape or not torch.isfinite(weight).all():
            raise ValueError(f"weight has shape (D, L) and is finite, not {tuple(weight.shape)}")
        self.dim, self.latent = weight.shape
        self.weight = nn.Parameter(weight.clone())  # W
        self.bias = nn.Parameter(weight.new_zeros(self.dim) if bias is None else bias.clone())
        self.log_scale = nn.Parameter(weight.new_tensor(float(log_scale)))  # log σ
        self.encoder = nn.Parameter(weight.new_zeros(self.latent, self.dim))  # V
        self.posterior_log_scale = nn.Parameter(weight.new_zeros(self.latent))  # log s

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, D) -> mean (B, L) and log-scale (B, L) of q(z | x)."""
        mean = (self.checked(x) - self.bias) @ self.encoder.T
        return mean, self.posterior_log_scale.expand_as(mean)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log N(x; W z + b, σ² I): x (B, D), z (..., B, L) -> (..., B)."""
        return normal_log_prob(x, z @ self.weight.T + self.bias, self.log_scale).sum(-1)

    def precision(self) -> Tensor:
        """M / σ² (L, L): the inverse covariance of the exact posterior."""
        eye = torch.eye(self.latent, dtype=self.weight.dtype, device=self.weight.device)
        return eye + self.weight.T @ self.weight * torch.exp(-2 * self.log_scale)

    @torch.no_grad()
    def fit_posterior(self) -> LinearGaussianVAE:
        """Set V and s to the best diagonal posterior for these W, b, σ; returns the model."""
        precision = self.precision()
        weight = self.weight.T * torch.exp(-2 * self.log_scale)  # Wᵀ / σ²
        self.encoder.copy_(torch.linalg.solve(precision, weight))
        self.posterior_log_scale.copy_(-0.5 * precision.diagonal().log())
        return self

    def exact_log_prob(self, x: Tensor) -> Tensor:
        """log N(x; b, W Wᵀ + σ² I) in nats, (B, D) -> (B,)."""
        eye = torch.eye(self.dim, dtype=self.weight.dtype, device=self.weight.device)
        cov = self.weight @ self.weight.T + torch.exp(2 * self.log_scale) * eye
        return torch.distributions.MultivariateNormal(self.bias, cov).log_prob(self.checked(x))

    @torch.no_grad()
    def sample(self, shape: Sequence[int] = (), generator: torch.Generator | None = None) -> Tensor:
        """Samples (*shape, D)."""
        z = _noise((*shape, self.latent), self.weight, generator)
        noise = _noise((*shape, self.dim), self.weight, generator)
        return reparameterise(z @ self.weight.T + self.bias, self.log_scale, noise)


def _network(
    widths: Sequence[int], dropout: float, generator: torch.Generator | None
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for below, above in pairwise(widths):
        layers += [nn.Linear(below, above), nn.ReLU(), nn.Dropout(dropout)]
    network = nn.Sequential(*layers[:-2])  # after the last layer neither
    _initialise(network, generator)
    return network


def _initialise(module: nn.Module, generator: torch.Generator | None) -> None:
    """PyTorch's own initial weights, but from this generator; what is zero stays zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear) and layer.weight.abs().sum() > 0:
            bound = 1 / math.sqrt(layer.in_features)
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


def _noise(shape: Sequence[int], like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=like.dtype, device=like.device)


# ---------------------------------------------------------------- bounds


def elbo(
    model: _Latent,
    x: Tensor,
    samples: int = 1,
    beta: float = 1.0,
    free_bits: float = 0.0,
    kl: str | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The evidence lower bound in nats, one value for each example: x (B, D) -> (B,).

        ELBO = mean_k log p(x | z_k) - β KL(q(z | x) ‖ p(z)),   z_k ~ q(z | x)

    With β = 1 and no free bits, the defaults, its expectation is at most log p(x). With other values it is a
    training objective and no bound that may be reported.

    Args:
        samples: K, how many z for each x.
        beta: weight of the KL.
        free_bits: λ, nats that each latent dimension may use at no cost: KL_j, averaged over the batch,
            counts as max(λ, KL_j). A dimension below λ gets no gradient from the KL, so it is not emptied.
        kl: "analytic" (a diagonal posterior's formula, the default where there is one) or
            "monte_carlo": the mean of log q(z_k | x) - log p(z_k).

    References:
        Higgins et al., beta-VAE, 2017, for β; Kingma et al., Improving Variational Inference with Inverse
        Autoregressive Flow, 2016 (arXiv:1606.04934), appendix C.8, for free bits.
    """
    if samples < 1:
        raise ValueError(f"samples is at least 1, not {samples}")
    if beta < 0 or free_bits < 0:
        raise ValueError(f"beta and free_bits are not negative, not {beta} and {free_bits}")
    kl = kl or ("analytic" if model.diagonal else "monte_carlo")
    if kl not in ("analytic", "monte_carlo"):
        raise ValueError(f'kl is "analytic" or "monte_carlo", not {kl!r}')
    if not model.diagonal and (kl == "analytic" or free_bits > 0):
        raise ValueError(
            f"the posterior of {type(model).__name__} is no diagonal Gaussian: its KL has no formula, nor one "
            'value for each dimension. Use kl="monte_carlo" without free bits'
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
    return reconstruction - beta * total


def _log_weights(model: _Latent, x: Tensor, k: int, generator: torch.Generator | None) -> Tensor:
    """log w_k = log p(x, z_k) - log q(z_k | x), z_k ~ q: (K, B)."""
    z, log_q = model.posterior_sample(x, k, generator)
    return model.log_likelihood(x, z) + model.log_prior(z) - log_q


def iwae_bound(
    model: _Latent, x: Tensor, k: int, generator: torch.Generator | None = None
) -> Tensor:
    """The importance-weighted bound with k samples in nats, x (B, D) -> (B,).

        IWAE_k(x) = log (1/k) Σ_i p(x, z_i) / q(z_i | x),   z_i ~ q(z | x)

    In expectation ELBO = IWAE_1 <= IWAE_k <= IWAE_{k+1} <= log p(x). It has a gradient.

    References:
        Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2015 (arXiv:1509.00519).
    """
    if k < 1:
        raise ValueError(f"k is at least 1, not {k}")
    return _log_weights(model, x, k, generator).logsumexp(0) - math.log(k)


class Estimate(NamedTuple):
    """`log_prob` (B,), its `standard_error` in nats (B,), and the `effective_samples` (B,)."""

    log_prob: Tensor
    standard_error: Tensor
    effective_samples: Tensor


@torch.no_grad()
def importance_estimate(
    model: _Latent,
    x: Tensor,
    samples: int = 1000,
    generator: torch.Generator | None = None,
    chunk: int = 100,
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
    return Estimate(one - math.log(samples), error, effective)


# ---------------------------------------------------------------- what the latent is used for


@torch.no_grad()
def kl_per_dimension(model: _Latent, x: Tensor) -> Tensor:
    """KL of each latent dimension in nats, averaged over the examples: x (B, D) -> (L,)."""
    if not model.diagonal:
        raise ValueError(
            f"the posterior of {type(model).__name__} is no diagonal Gaussian: it has no KL for each dimension"
        )
    return kl_to_standard_normal(*model.encode(model.checked(x))).mean(0)


@torch.no_grad()
def active_units(model: _Latent, x: Tensor, threshold: float = 0.01) -> Tensor:
    """Which latent dimensions carry something of x: Var_x(E_q[z_j | x]) > threshold, (L,) of bool.

    References:
        Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2015 (arXiv:1509.00519),
        section 5.2.
    """
    x = model.checked(x)
    if len(x) < 2:
        raise ValueError("a variance over examples needs at least two")
    if not model.diagonal:
        raise ValueError(
            f"the mean of q(z | x) of {type(model).__name__} has no formula: count its units by sampling"
        )
    return model.encode(x)[0].var(0, correction=0) > threshold


def load() -> tuple[VAE, dict]:
    """A VAE of scikit-learn's digits (x >= 8), trained, and its card (data, command, results).

    `python training/vae_digits.py` made both. The card holds three posteriors; the weights are of the diagonal one.

    >>> model, card = load()
    >>> model.dim, model.latent, sorted(card["posteriors"])
    (64, 8, ['diagonal', 'iaf', 'planar'])
    """
    tensors, notes = weights.load("vae_digits")
    model = VAE(**notes["model"]).eval()
    model.load_state_dict(tensors)
    return model.requires_grad_(False), weights.card("vae_digits")
