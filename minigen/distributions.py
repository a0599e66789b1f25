"""What a network's output means: densities of one sample given the network's parameters.

Every head has `n_params`, the number of network outputs for one sample, and

    log_prob(params (B, P, T), x (B, 1, T)) -> (B, T) nats
    sample(params (B, P, T), generator, temperature) -> (B, 1, T)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["GaussianHead"]

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class GaussianHead:
    """A Gaussian with a floor under its log-scale.

        log p(x) = -½ ((x - mean) / scale)² - log scale - ½ log 2π,   log scale = max(s, floor)

    Without the floor a silent passage has scale -> 0 and likelihood -> ∞, and the gradient of those
    samples drowns every other. Below the floor the gradient with respect to s is zero.

    Args:
        floor: the smallest log-scale, in nats. -7 is a standard deviation of 0.0009.

    References:
        Ping, Peng and Chen, ClariNet: Parallel Wave Generation in End-to-End Text-to-Speech,
        2018 (arXiv:1807.07281), section 3.2.

    >>> head = GaussianHead(floor=-7.0)
    >>> params = torch.tensor([[[0.5], [0.0]]])  # mean ½, scale 1: (B=1, P=2, T=1)
    >>> round(head.log_prob(params, torch.tensor([[[0.5]]])).item(), 4)  # -½ log 2π
    -0.9189
    """

    floor: float = -7.0
    n_params: int = 2

    def split(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """params (B, 2, T) -> mean (B, 1, T), log_scale (B, 1, T) at or above the floor."""
        if params.ndim != 3 or params.shape[1] != self.n_params:
            raise ValueError(
                f"GaussianHead takes params of shape (B, {self.n_params}, T), "
                f"not {tuple(params.shape)}: give it the WaveNet's output unchanged"
            )
        mean, log_scale = params.chunk(2, dim=1)
        return mean, log_scale.clamp(min=self.floor)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """log p(x[t] | params[t]) in nats, (B, T)."""
        mean, log_scale = self.split(params)
        if x.shape != mean.shape:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, the parameters describe {tuple(mean.shape)}: "
                "audio is (B, 1, T)"
            )
        z = (x - mean) * torch.exp(-log_scale)
        return (-0.5 * z**2 - log_scale - HALF_LOG_2PI).squeeze(1)

    def sample(
        self,
        params: Tensor,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """mean + temperature · scale · ε with ε ~ N(0, 1), (B, 1, T). Differentiable in params."""
        mean, log_scale = self.split(params)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return mean + temperature * torch.exp(log_scale) * noise

    def entropy(self, params: Tensor) -> Tensor:
        """½ log 2πe + log scale, in nats, (B, T)."""
        _, log_scale = self.split(params)
        return (0.5 + HALF_LOG_2PI + log_scale).squeeze(1)
