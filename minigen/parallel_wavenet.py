"""Chapter 14: Parallel WaveNet, a student that makes every sample at once, taught by a WaveNet.

The student is a chain of inverse autoregressive flows from white noise z to a waveform x. Flow k is a
WaveNet that reads its *input*, which is known everywhere at once, and so needs one pass:

    z_k[t] = z_{k-1}[t] · exp(s_k[t]) + m_k[t],   (m_k, s_k)[t] = WaveNet_k(z_{k-1}[<t], c)

Composed, x[t] = z[t] · exp(log_scale[t]) + mean[t], where mean and log_scale depend on z[<t] only:
given the past noise, x[t] has the density of z[t], shifted and scaled. Where that and the teacher's
prediction are Gaussian, their KL has a closed form; for a mixture it is estimated by sampling.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .distributions import (
    HALF_LOG_2PI,
    LOGISTIC_STD,
    DiscretizedLogisticMixture,
    GaussianHead,
    Head,
    Random,
)
from .wavenet import WaveNet

NO_FLOOR = GaussianHead(min_log_scale=-float("inf"))


@dataclass(frozen=True)
class Base:
    """The density of a student's white noise, at mean 0 and scale 1.

    Args:
        entropy: in nats. log_std: of its standard deviation.
        quantile: u in (0, 1) -> z with P(noise < z) = u.
        from_normal: standard normal noise -> noise of this density, z = quantile(Φ(ε)).
        log_density: z -> nats.
    """

    entropy: float
    log_std: float
    quantile: Callable[[Tensor], Tensor]
    from_normal: Callable[[Tensor], Tensor]
    log_density: Callable[[Tensor], Tensor]


BASES = {
    "gaussian": Base(
        entropy=0.5 + HALF_LOG_2PI,
        log_std=0.0,
        quantile=torch.special.ndtri,
        from_normal=lambda noise: noise,
        log_density=lambda z: -0.5 * z.square() - HALF_LOG_2PI,
    ),
    # u = F(z) = 1 / (1 + e^-z); H = -E log F(z) F(-z) = -E log u - E log (1 - u) = 2
    "logistic": Base(
        entropy=2.0,
        log_std=math.log(LOGISTIC_STD),
        quantile=torch.logit,
        from_normal=lambda e: torch.special.log_ndtr(e) - torch.special.log_ndtr(-e),
        log_density=lambda z: F.logsigmoid(z) + F.logsigmoid(-z),
    ),
}


def gaussian_kl(mean_q: Tensor, log_scale_q: Tensor, mean_p: Tensor, log_scale_p: Tensor) -> Tensor:
    """KL(q ‖ p) of two Gaussians, elementwise, in nats.

        log σ_p - log σ_q + (σ_q² + (μ_q - μ_p)²) / (2 σ_p²) - ½

    References: Ping, Peng and Chen, ClariNet, 2018 (arXiv:1807.07281).

    >>> zero = torch.zeros(1)
    >>> gaussian_kl(zero, zero, zero, zero).item()
    0.0
    >>> gaussian_kl(zero + 1, zero, zero, zero).item()  # half the squared distance of the means
    0.5
    """
    error = (mean_q - mean_p) * torch.exp(-log_scale_p)
    ratio = torch.exp(2 * (log_scale_q - log_scale_p))
    return log_scale_p - log_scale_q + 0.5 * (ratio + error.square()) - 0.5


def _uniforms(samples: int, like: Tensor, generator: Random, stratified: bool) -> Tensor:
    """`samples` numbers in (0, 1) for each element: (samples, *like.shape).

    Stratified: the i-th lies in the i-th of `samples` equal parts. Each part is hit as often as it
    should be, so the mean of any function stays unbiased, and only what varies within a part is noise.
    """
    shape = (samples, *like.shape)
    u = torch.rand(shape, generator=generator, device=like.device, dtype=like.dtype)
    if stratified:
        part = torch.arange(samples, device=like.device, dtype=like.dtype)
        u = (part.view(-1, *(1,) * like.ndim) + u) / samples
    tiny = 2.0**-24  # float32 has no number between 1 - 2^-24 and 1
    return u.clamp(tiny, 1 - tiny)


def mol_kl(
    mean_q: Tensor,
    log_scale_q: Tensor,
    params_p: Tensor,
    head: DiscretizedLogisticMixture,
    samples: int = 8,
    generator: Random = None,
    base: str = "logistic",
    stratified: bool = True,
    sampled_entropy: bool = False,
) -> Tensor:
    """KL(q ‖ p) of one sample, q a shifted and scaled base, p a mixture of logistics: an estimate, (B, 1, T).

        KL = H(q, p) - H(q),   H(q) = log scale_q + H(base)
        H(q, p) ≈ -1/n Σ_i log p(mean_q + scale_q · z_i),   z_i fresh noise of the base

    p is the mixture before it is cut into levels (`smooth_log_density`): a student's samples are real
    numbers, and beyond ±1 the levels have no density. The z_i have nothing to do with the noise that made
    the student's waveform: the teacher saw that waveform once, its parameters are fixed, and any number
    of values of x[t] can be tried against them at the cost of a logarithm each. Unbiased for every n, and so
    is its gradient with respect to mean_q, log_scale_q and params_p.

    `stratified` shares the z_i out evenly. `sampled_entropy` puts 1/n Σ_i log f(z_i), f the base's density,
    in the place of -H(base). That has no gradient, so that learning is the same, but what is noise in both
    terms then cancels: near q = p the value scatters less, and at q = p it is zero in every draw.

    Args:
        mean_q, log_scale_q: of the student, (B, 1, T). params_p: of the teacher's mixture, (B, 3k, T).
        samples: n.

    References: van den Oord et al., Parallel WaveNet, 2017 (arXiv:1711.10433), section 4.

    >>> head = DiscretizedLogisticMixture(k=1)
    >>> mean, log_scale = torch.zeros(2, 1, 1, 100)
    >>> params = torch.cat([mean, log_scale, mean], dim=1)  # mean 0, log-scale 0, logit 0
    >>> mol_kl(mean, log_scale, params, head, sampled_entropy=True).abs().max().item() < 1e-5
    True
    """
    if samples < 1:
        raise ValueError(f"mol_kl needs at least one sample, not {samples}")
    noise = BASES[base]
    z = noise.quantile(_uniforms(samples, mean_q, generator, stratified))  # (n, B, 1, T)
    x = mean_q + torch.exp(log_scale_q) * z
    log_p = head.smooth_log_density(params_p, x)  # (n, B, T)
    entropy = -noise.log_density(z).mean(0) if sampled_entropy else noise.entropy
    return -log_p.mean(0).unsqueeze(1) - log_scale_q - entropy


def kl_spread(
    mean_q: Tensor,
    log_scale_q: Tensor,
    params_p: Tensor,
    head: DiscretizedLogisticMixture,
    samples: Sequence[int] = (1, 2, 4, 8, 16, 32),
    repeats: int = 200,
    generator: Random = None,
    base: str = "logistic",
) -> dict[str, dict[int, float]]:
    """How much `mol_kl` scatters: {way: {n: standard deviation in nats}}.

    Of `repeats` estimates of each element's KL; the root of the mean variance over elements. The ways are
    plain samples, stratified ones, and stratified ones with the sampled entropy.

    >>> head = DiscretizedLogisticMixture(k=1)
    >>> mean, log_scale = torch.zeros(2, 1, 1, 5)
    >>> params = torch.cat([mean + 1, log_scale, mean], dim=1)
    >>> spread = kl_spread(mean, log_scale, params, head, (1, 16), 500, torch.Generator().manual_seed(0))
    >>> bool(3.5 < spread["plain"][1] / spread["plain"][16] < 4.5)  # √16 = 4
    True
    >>> bool(spread["stratified"][16] < 0.5 * spread["plain"][16])
    True
    """
    ways = {"plain": {"stratified": False}, "stratified": {}}
    ways["stratified, sampled entropy"] = {"sampled_entropy": True}
    found: dict[str, dict[int, float]] = {name: {} for name in ways}
    with torch.no_grad():
        for name, way in ways.items():
            for n in samples:
                of = (mean_q, log_scale_q, params_p, head, n, generator, base)
                kl = torch.stack([mol_kl(*of, **way) for _ in range(repeats)]).double()
                found[name][n] = kl.var(0).mean().sqrt().item()
    return found


def conditional_kl(
    mean_q: Tensor,
    log_scale_q: Tensor,
    params_p: Tensor,
    head: Head,
    base: str = "gaussian",
    samples: int = 8,
    generator: Random = None,
) -> Tensor:
    """KL of a student's prediction to its teacher's, elementwise, (B, 1, T): closed where it can be.

    For a Gaussian teacher any base has a closed cross-entropy, since only two moments of q enter it:

        H(q, p) = log σ_p + ½ log 2π + (std_q² + (μ_q - μ_p)²) / (2 σ_p²)

    For a teacher with a logistic mixture it is `mol_kl`.
    """
    if isinstance(head, GaussianHead):
        mean_p, log_scale_p = head.split(params_p)
        shift = BASES[base].log_std
        kl = gaussian_kl(mean_q, log_scale_q + shift if shift else log_scale_q, mean_p, log_scale_p)
        lost = BASES["gaussian"].entropy + shift - BASES[base].entropy  # H(normal) - H(q), same std
        return kl + lost if lost else kl
    if isinstance(head, DiscretizedLogisticMixture):
        return mol_kl(mean_q, log_scale_q, params_p, head, samples, generator, base)
    raise TypeError(
        f"a student cannot learn from {type(head).__name__}: its log-density has no gradient in x; "
        "give the teacher a GaussianHead or a DiscretizedLogisticMixture"
    )


class Student(nn.Module):
    """Inverse autoregressive flows from noise to waveform, all samples at once.

    Args:
        flows: number of flows.
        layers, residual, kernel, cond_channels, lpc_order: of each flow's WaveNet (one cycle).
        log_scale: the composed log-scale at the start. Begin near the teacher's mean log-scale: far
            above it the KL explodes at step 0, far below it the student begins silent.
        base: density of the noise, "gaussian" or "logistic": that of the teacher's head, so that
            with one flow and one component the two can agree exactly.

    References: van den Oord et al., Parallel WaveNet, 2017 (arXiv:1711.10433), section 3; Kingma et al.,
    Improving Variational Inference with Inverse Autoregressive Flow, 2016 (arXiv:1606.04934); Ping et al.,
    ClariNet, 2018 (arXiv:1807.07281).

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
        lpc_order: int = 0,
        log_scale: float = -4.0,
        base: str = "gaussian",
    ) -> None:
        super().__init__()
        if flows < 1:
            raise ValueError(f"a Student needs at least one flow, not {flows}")
        if base not in BASES:
            raise ValueError(f"base is the noise's density, {' or '.join(BASES)}, not {base!r}")
        self.base = base
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
                input_scale=min(10.0, float(torch.exp(torch.tensor(-k * share)))),
                lpc_order=lpc_order,
            )
            for k in range(flows)
        )
        with torch.no_grad():
            for flow in self.flows:
                flow.output_projection.bias[1] = share

    @property
    def receptive_field(self) -> int:
        """How many past values of the noise x[t] can depend on: the flows' fields add up."""
        return sum(flow.receptive_field for flow in self.flows)

    def noise(self, normal: Tensor) -> Tensor:
        """Standard normal noise -> noise of this student's base, what `forward` takes."""
        return BASES[self.base].from_normal(normal)

    def forward(self, z: Tensor, cond: Tensor | None = None) -> tuple[Tensor, ...]:
        """z (B, 1, T), cond (B, C, T) -> x, mean, log_scale, each (B, 1, T)."""
        mean, log_scale = torch.zeros_like(z), torch.zeros_like(z)
        x = z
        for flow in self.flows:
            m, s = flow(x, cond).chunk(2, dim=1)  # (B, 1, T) each, of z[<t]
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
        return x, BASES[self.base].log_density(x).sum((1, 2)) + log_det
