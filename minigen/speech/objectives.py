"""The objective of a teacher: the likelihood of recordings, each sample weighted by its scale."""

import torch
from torch import Tensor, nn

from ..conditioning import PHASE_FEATURES
from ..distributed import mean_over_processes
from ..weights import takes_networks


def weighted_mean(values: Tensor, log_std: Tensor, beta: float) -> Tensor:
    """Σ_t w[t] v[t] / Σ_t w[t] over all processes, w[t] = std[t]^{2β} without a gradient."""
    weight = torch.exp(2 * beta * log_std.detach())
    return (weight * values).mean() / mean_over_processes(weight.mean())


class Likelihood(nn.Module):
    """Objective: the mean negative log-likelihood of a sample, in nats, weighted by its scale.

        L = Σ_t w[t] nll[t] / Σ_t w[t],   w[t] = std[t]^{2β}, without a gradient

    β = 0 is the plain mean. There silence, whose scale is tiny, has by far the steepest gradient. β = ½ gives each sample's mean a gradient that does not depend
    on its unit. The best (mean, scale) of each context is the same for every β: weights that do not
    depend on x[t] do not move the optimum.

    The first `receptive_field` samples of a crop are context only: their past was cut off.

    Args: model: a TeacherVoice, or a WaveNet without conditioning.

    References: Seitzer et al., On the Pitfalls of Heteroscedastic Uncertainty Estimation, 2022
    (arXiv:2203.09168).
    """

    @takes_networks
    def __init__(self, model: nn.Module, beta: float = 0.0) -> None:
        super().__init__()
        if not beta >= 0:
            raise ValueError(f"beta must be 0 or more, not {beta}")
        self.model, self.beta = model, beta

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        net = getattr(self.model, "wavenet", None)
        if net is None:
            net, params = self.model, self.model(batch["audio"])
        else:
            params = self.model(batch)
        nll = -net.head.log_density(params, batch["audio"])[:, net.receptive_field :]  # (B, T)
        metrics = {"nll": nll.mean().item()}
        if self.beta == 0:
            return nll.mean(), metrics
        log_std = net.head.moments(params)[1][:, 0, net.receptive_field :]
        voiced = batch["phase"][:, :PHASE_FEATURES, net.receptive_field :].square().sum(1) > 1.5
        metrics |= {"voiced": nll[voiced].mean().item(), "log_scale": log_std.mean().item()}
        return weighted_mean(nll, log_std, self.beta), metrics
