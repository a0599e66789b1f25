"""Chapter 10: a VAE whose log p(x) is known exactly, to hold bounds and estimates against."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from .distributions import Random, VectorLikelihood
from .vae import LatentModel, normal_log_prob, reparameterise


class LinearGaussianVAE(LatentModel):
    """A VAE whose log p(x) is known exactly: everything in it is linear.

        z ~ N(0, I),   x = W z + b + σ ε     =>   log p(x) = log N(x; b, W Wᵀ + σ² I)
        z given x ~ N(M⁻¹ Wᵀ (x - b), σ² M⁻¹),   M = Wᵀ W + σ² I
        q(z | x) = N(V (x - b), diag s²)

    With σ learned and the exact posterior this is probabilistic principal component analysis. The best
    diagonal posterior has V = M⁻¹ Wᵀ and s_j² = σ² / M_jj. The ELBO is then log p(x) exactly if the columns
    of W are orthogonal, and below it if they are not.

    Args: weight: W (D, L). log_scale: log σ. bias: b (D,), zero by default.

    References: Tipping and Bishop, Probabilistic Principal Component Analysis, 1999.

    >>> from minigen.vae import elbo
    >>> model = LinearGaussianVAE(torch.eye(2))
    >>> x = torch.zeros(1, 2)
    >>> bound = elbo(model.fit_posterior(), x, kl="monte_carlo")  # q is exact here: so is the bound
    >>> round(model.exact_log_prob(x).item(), 4), round(bound.item(), 4)
    (-2.531, -2.531)
    """

    def __init__(self, weight: Tensor, log_scale: float = 0.0, bias: Tensor | None = None) -> None:
        super().__init__()
        if weight.ndim != 2 or 0 in weight.shape or not torch.isfinite(weight).all():
            raise ValueError(f"weight has shape (D, L) and is finite, not {tuple(weight.shape)}")
        self.input_dim, self.latent_dim = weight.shape
        self.weight = nn.Parameter(weight.clone())  # W
        self.bias = nn.Parameter(weight.new_zeros(self.input_dim) if bias is None else bias.clone())
        self.log_scale = nn.Parameter(weight.new_tensor(float(log_scale)))  # log σ
        self.encoder = nn.Parameter(weight.new_zeros(self.latent_dim, self.input_dim))  # V
        self.posterior_log_scale = nn.Parameter(weight.new_zeros(self.latent_dim))  # log s

    def checked(self, x: Tensor) -> Tensor:
        """x (B, D), or an error that says what is wrong with it."""
        return VectorLikelihood("gaussian", self.input_dim).checked(x)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, D) -> mean (B, L) and log-scale (B, L) of q(z | x)."""
        mean = (self.checked(x) - self.bias) @ self.encoder.T
        return mean, self.posterior_log_scale.expand_as(mean)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log N(x; W z + b, σ² I): x (B, D), z (..., B, L) -> (..., B)."""
        return normal_log_prob(x, z @ self.weight.T + self.bias, self.log_scale).sum(-1)

    def precision(self) -> Tensor:
        """M / σ² (L, L): the inverse covariance of the exact posterior."""
        eye = torch.eye(self.latent_dim, dtype=self.weight.dtype, device=self.weight.device)
        return eye + self.weight.T @ self.weight * torch.exp(-2 * self.log_scale)

    @torch.no_grad()
    def fit_posterior(self) -> Self:
        """Set V and s to the best diagonal posterior for these W, b, σ; returns the model."""
        precision = self.precision()
        weight = self.weight.T * torch.exp(-2 * self.log_scale)  # Wᵀ / σ²
        self.encoder.copy_(torch.linalg.solve(precision, weight))
        self.posterior_log_scale.copy_(-0.5 * precision.diagonal().log())
        return self

    def exact_log_prob(self, x: Tensor) -> Tensor:
        """log N(x; b, W Wᵀ + σ² I) in nats, (B, D) -> (B,)."""
        eye = torch.eye(self.input_dim, dtype=self.weight.dtype, device=self.weight.device)
        cov = self.weight @ self.weight.T + torch.exp(2 * self.log_scale) * eye
        return torch.distributions.MultivariateNormal(self.bias, cov).log_prob(self.checked(x))

    @torch.no_grad()
    def sample(self, shape: Sequence[int] = (), generator: Random = None) -> Tensor:
        """Samples (*shape, D)."""
        weight = self.weight
        like = {"generator": generator, "dtype": weight.dtype, "device": weight.device}
        z = torch.randn(*shape, self.latent_dim, **like)
        noise = torch.randn(*shape, self.input_dim, **like)
        return reparameterise(z @ self.weight.T + self.bias, self.log_scale, noise)

    def __repr__(self) -> str:
        return f"LinearGaussianVAE({self.input_dim}, latent_dim={self.latent_dim})"
