"""Parallel WaveNet: a student that makes every sample at once, taught by a WaveNet.

The student is a chain of inverse autoregressive flows from white noise z to a waveform x. Flow k is a
WaveNet that reads its *input*, which is known everywhere at once, and so needs one pass:

    z_k[t] = z_{k-1}[t] · exp(s_k[t]) + m_k[t],   (m_k, s_k)[t] = WaveNet_k(z_{k-1}[<t], c)

Composed, x[t] = z[t] · exp(log_scale[t]) + mean[t], where mean and log_scale depend on z[<t] only:
given the past noise, x[t] is Gaussian, and so is the teacher's prediction. Their KL has a closed form.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .distributions import HALF_LOG_2PI, GaussianHead
from .losses import MultiResolutionSTFTLoss, PowerLoss
from .wavenet import WaveNet

__all__ = ["DistillationLoss", "Student", "gaussian_kl"]

NO_FLOOR = GaussianHead(floor=-float("inf"))


def gaussian_kl(mean_q: Tensor, log_scale_q: Tensor, mean_p: Tensor, log_scale_p: Tensor) -> Tensor:
    """KL(q ‖ p) of two Gaussians, elementwise, in nats.

        log σ_p - log σ_q + (σ_q² + (μ_q - μ_p)²) / (2 σ_p²) - ½

    References:
        Ping, Peng and Chen, ClariNet, 2018 (arXiv:1807.07281), equation 7.

    >>> zero = torch.zeros(1)
    >>> gaussian_kl(zero, zero, zero, zero).item()
    0.0
    >>> gaussian_kl(zero + 1, zero, zero, zero).item()  # half the squared distance of the means
    0.5
    """
    error = (mean_q - mean_p) * torch.exp(-log_scale_p)
    ratio = torch.exp(2 * (log_scale_q - log_scale_p))
    return log_scale_p - log_scale_q + 0.5 * (ratio + error.square()) - 0.5


class Student(nn.Module):
    """Inverse autoregressive flows from noise to waveform, all samples at once.

    Args:
        flows: number of flows.
        layers, residual, kernel, cond_channels, taps: of each flow's WaveNet (one cycle).
        log_scale: the composed log-scale at the start. Begin near the teacher's mean log-scale: far
            above it the KL explodes at step 0, far below it the student begins silent.

    References:
        van den Oord et al., Parallel WaveNet, 2017 (arXiv:1711.10433), section 3;
        Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016
        (arXiv:1606.04934); Ping et al., ClariNet, 2018 (arXiv:1807.07281), section 3.3.

    >>> student = Student(flows=2, layers=3, residual=4, log_scale=-2.0)
    >>> z = torch.randn(1, 1, 40, generator=torch.Generator().manual_seed(0))
    >>> x, mean, log_scale = student(z)
    >>> bool(torch.allclose(x, mean + log_scale.exp() * z))
    True
    >>> round(log_scale[0, 0, 0].item(), 4)  # at the start every flow is a fixed scaling
    -2.0
    """

    def __init__(
        self,
        flows: int = 4,
        layers: int = 7,
        residual: int = 32,
        kernel: int = 2,
        cond_channels: int = 0,
        taps: int = 0,
        log_scale: float = -4.0,
    ) -> None:
        super().__init__()
        if flows < 1:
            raise ValueError(f"a Student needs at least one flow, not {flows}")
        share = log_scale / flows  # of the scaling, for each flow
        self.flows = nn.ModuleList(
            WaveNet(
                NO_FLOOR,
                residual=residual,
                skip=residual,
                layers=layers,
                cycles=1,
                kernel=kernel,
                cond_channels=cond_channels,
                gain=min(10.0, float(torch.exp(torch.tensor(-k * share)))),
                taps=taps,
            )
            for k in range(flows)
        )
        with torch.no_grad():
            for flow in self.flows:
                flow.leave.bias[1] = share

    def forward(self, z: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """z (B, 1, T), cond (B, C, T) -> x, mean, log_scale, each (B, 1, T)."""
        mean, log_scale = torch.zeros_like(z), torch.zeros_like(z)
        x = z
        for flow in self.flows:
            m, s = flow(x, cond).chunk(2, dim=1)  # each (B, 1, T), functions of z[<t]
            x = x * torch.exp(s) + m
            mean = mean * torch.exp(s) + m
            log_scale = log_scale + s
        return x, mean, log_scale

    @torch.no_grad()
    def inverse(self, x: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x (B, 1, T) -> z (B, 1, T), log q(x) (B,). Slow: one sample after the other.

        z_{k-1}[t] = (z_k[t] - m_k[t]) exp(-s_k[t]), where m_k and s_k need z_{k-1}[<t].
        """
        log_det = x.new_zeros(x.shape[0])
        for flow in reversed(self.flows):
            z = torch.zeros_like(x)
            for t in range(x.shape[-1]):
                first = max(0, t - flow.receptive_field)
                part = None if cond is None else cond[..., first : t + 1]
                m, s = flow(z[..., first : t + 1], part)[..., -1:].chunk(2, dim=1)
                z[..., t : t + 1] = (x[..., t : t + 1] - m) * torch.exp(-s)
                log_det -= s[:, 0, 0]
            x = z
        return x, (-0.5 * x.square() - HALF_LOG_2PI).sum((1, 2)) + log_det


class DistillationLoss(nn.Module):
    """Objective: a student that sounds likely to its teacher, and as loud and bright as recordings.

        L = mean_t KL(q_t ‖ p_t) + λ mean_t (log σ_q - log σ_p)² + w_stft L_STFT + w_power L_power

    q_t = N(mean[t], scale[t]²) is the student's prediction given the noise so far, p_t the teacher's
    given the student's samples so far. The teacher is frozen, but gradients pass *through* it: x[t]
    changes what the teacher expects later.

    The KL of each sample is weighted by σ_p^{2β} over its mean, as in the teacher's own training:
    β = 0 is the plain KL. Whatever β is, `kl` among the watched numbers is the plain one.

    Args:
        model: has `.student` (a Student), `.conditioning(batch)` -> (B, C, T).
        teacher: a WaveNet with a GaussianHead, `p(x[t] | x[<t], cond)`.
        penalty: λ (ClariNet's 4).
        stft, power: weights of the spectral losses.
        beta: see above.
    """

    def __init__(
        self,
        model: nn.Module,
        teacher: nn.Module,
        penalty: float = 4.0,
        stft: float = 1.0,
        power: float = 1.0,
        beta: float = 0.0,
    ) -> None:
        super().__init__()
        self.model = model
        self.teacher = teacher.eval().requires_grad_(False)
        self.penalty, self.beta = penalty, beta
        self.weights = {"stft": stft, "power": power}
        self.spectral = nn.ModuleDict({"stft": MultiResolutionSTFTLoss(), "power": PowerLoss()})

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        cond = self.model.conditioning(batch)
        x, mean_q, log_scale_q = self.model.student(batch["noise"], cond)
        mean_p, log_scale_p = self.teacher.head.split(self.teacher(x, cond))
        known = self.teacher.receptive_field
        kl = gaussian_kl(mean_q, log_scale_q, mean_p, log_scale_p)[..., known:]
        gap = (log_scale_q - log_scale_p)[..., known:]
        weight = torch.exp(2 * self.beta * log_scale_p[..., known:]).detach()
        weight = weight / weight.mean()
        loss = (weight * (kl + self.penalty * gap.square())).mean()
        watched = {"kl": kl.mean().item(), "gap": gap.mean().item()}
        recorded = batch["audio"]
        for name, module in self.spectral.items():
            if self.weights[name]:
                value = module(x, recorded)
                loss = loss + self.weights[name] * value
                watched[name] = value.item()
        watched["std_ratio"] = (x.std() / recorded.std()).item()
        return loss, watched
