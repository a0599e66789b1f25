"""Chapter 14: the objective of a student, and the monitor that stops a distillation gone wrong."""

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Self

import torch
from torch import Tensor, nn

from .distributed import all_items, mean_over_processes
from .distributions import GaussianHead
from .parallel_wavenet import BASES, conditional_kl
from .perceptual import PerceptualLoss
from .spectral_losses import MelLoss, MultiResolutionSTFTLoss, PowerLoss
from .weights import takes_networks


class DistillationLoss(nn.Module):
    """Objective: a student that sounds likely to its teacher, and as loud and bright as recordings.

        L = w_kl mean_t KL(q_t ‖ p_t) + λ mean_t (log std_q - log std_p)² - γ mean_t min(KL(q_t ‖ p'_t), margin)
            + w_stft L_STFT + w_power L_power + w_mel L_mel + w_perceptual L_perceptual

    q_t is the student's prediction given the noise so far, p_t the teacher's given the student's
    samples so far, p'_t the teacher's under another item's conditioning. The teacher is frozen, but
    gradients pass *through* it: x[t] changes what the teacher expects later.

    The first three terms are weighted, sample by sample, by std_p^{2β} over its mean, as the likelihood in the
    teacher's own training; β = 0 leaves them plain. Whatever β is, the metric `kl` is the plain one.

    Without `margin` the contrast has no bottom: where a wrong prediction is narrower than √γ times the
    right one, going ever further away lowers the difference for ever. `margin` = inf is the paper's.

    A weight of 0 switches a part off. The fresh noise of `mol_kl` is a function of each item's own noise: a
    resumed run draws the same, and so do two processes that share a batch.

    Args:
        model: has `.student` (a Student), `.conditioning(batch)` -> (B, C, T), and where it has `.spec`, the
            frames of the spectral losses follow `.spec.rate`; else the sound is at 8,000 Hz. With `.sound(x,
            batch)` student and teacher make the excitation of a sound, and the spectral losses compare what
            that makes of it.
        teacher: a WaveNet with a GaussianHead or a DiscretizedLogisticMixture, `p(x[t] | x[<t], cond)`.
        penalty: λ (ClariNet's 4). stft, power, mel: weights of the spectral losses. beta: see above.
        kl: w_kl. perceptual: w_perceptual, for sound at 8 kHz. contrastive: γ (the paper's 0.3).
        margin: nats a sample at which a wrong conditioning is far enough away.
        samples: of `mol_kl`, for each sample of sound.
        window: False leaves the STFT loss without a window, to hear what that does.

    References: van den Oord et al., Parallel WaveNet, 2017 (arXiv:1711.10433), section 4; Ping et al.,
    ClariNet, 2018 (arXiv:1807.07281).
    """

    @takes_networks
    def __init__(
        self,
        model: nn.Module,
        teacher: nn.Module,
        penalty: float = 4.0,
        stft: float = 1.0,
        power: float = 1.0,
        mel: float = 0.0,
        beta: float = 0.0,
        kl: float = 1.0,
        perceptual: float = 0.0,
        contrastive: float = 0.0,
        margin: float = 10.0,
        samples: int = 8,
        window: bool = True,
    ) -> None:
        super().__init__()
        weights = {"penalty": penalty, "stft": stft, "power": power, "mel": mel, "beta": beta}
        more = {"kl": kl, "perceptual": perceptual, "contrastive": contrastive, "margin": margin}
        for name, value in (weights | more).items():
            if not value >= 0:
                raise ValueError(f"{name} must be 0 or more, not {value}")
        self.model = model
        self.teacher = teacher.eval().requires_grad_(False)
        self.penalty, self.beta, self.kl, self.samples = penalty, beta, kl, samples
        self.contrastive, self.margin = contrastive, margin
        self.weights = {"stft": stft, "power": power}
        rate = model.spec.rate if hasattr(model, "spec") else 8_000
        self.spectral = nn.ModuleDict(
            {"stft": MultiResolutionSTFTLoss(rate, window=window), "power": PowerLoss(rate)}
        )
        if mel:
            self.weights["mel"] = mel
            self.spectral["mel"] = MelLoss(rate)
        if perceptual:
            self.weights["perceptual"] = perceptual
            self.spectral["perceptual"] = PerceptualLoss(rate=rate)
        # samples that a crop needs at least: the longest frame of the spectral losses that count
        frames = [loss.min_length for name, loss in self.spectral.items() if self.weights[name]]
        self.min_length = max([1, *frames])
        self.monitor = DivergenceMonitor()

    def train(self, mode: bool = True) -> Self:
        """Only the student trains: the teacher stays in evaluation mode, without dropout."""
        super().train(mode)
        self.teacher.eval()
        self.spectral.eval()
        return self

    @property
    def bodies(self) -> list[nn.Module]:
        """The networks, for a trainer that compiles them."""
        return [*self.model.student.flows, self.teacher]

    def _kl(self, mean: Tensor, log_scale: Tensor, params: Tensor, noise: Tensor) -> Tensor:
        """KL(q_t ‖ p_t), (B, 1, T - R): before R samples, the teacher lacks its past."""
        base, head, known = self.model.student.base, self.teacher.head, self.teacher.receptive_field
        if isinstance(head, GaussianHead):
            return conditional_kl(mean, log_scale, params, head, base)[..., known:]
        items = [
            conditional_kl(*item[:3], head, base, self.samples, _generator(item[3]))
            for item in zip(*(x.split(1) for x in (mean, log_scale, params, noise)), strict=True)
        ]
        return torch.cat(items)[..., known:]

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        student, known = self.model.student, self.teacher.receptive_field
        cond, recorded, noise = self.model.conditioning(batch), batch["audio"], batch["noise"]
        x, mean_q, log_scale_q = student(student.noise(noise), cond)
        with torch.set_grad_enabled(torch.is_grad_enabled() and bool(self.kl or self.penalty)):
            params = self.teacher(x, cond)
        log_std_p = self.teacher.head.moments(params)[1][..., known:]
        kl = self._kl(mean_q, log_scale_q, params, noise)
        log_std_q = log_scale_q[..., known:] + BASES[student.base].log_std
        gap = log_std_q - log_std_p
        weight = torch.exp(2 * self.beta * log_std_p).detach()
        weight = weight / mean_over_processes(weight.mean())
        loss = (weight * (self.kl * kl + self.penalty * gap.square())).mean()
        entropy = (log_scale_q[..., known:].mean() + BASES[student.base].entropy).detach()
        metrics = {
            "kl": kl.mean(),
            "cross_entropy": kl.mean() + entropy,
            "entropy": entropy,
            "gap": gap.mean(),
            "log_std": log_std_q.mean(),
            "teacher_log_std": log_std_p.mean(),
            "at_floor": (log_std_q <= self.teacher.head.min_log_scale).float().mean(),
        }
        if self.contrastive:
            wrong = self._kl(mean_q, log_scale_q, self.teacher(x, _next_item(cond)), noise)
            loss = loss - self.contrastive * (weight * wrong.clamp(max=self.margin)).mean()
            metrics["wrong_kl"] = wrong.mean()
        if hasattr(self.model, "sound"):
            x = self.model.sound(x, batch)
        for name, module in self.spectral.items():
            if not self.weights[name] and x.shape[-1] < module.min_length:
                continue  # the crop is too short for its frame
            with torch.set_grad_enabled(torch.is_grad_enabled() and bool(self.weights[name])):
                value = module(x, recorded)
            if self.weights[name]:
                loss = loss + self.weights[name] * value
            metrics[name] = value
        metrics["std_ratio"] = x.std() / recorded.std()
        numbers = torch.stack([value.detach() for value in metrics.values()]).tolist()
        return loss, dict(zip(metrics, numbers, strict=True))  # one wait for the device, not ten


def _next_item(cond: Tensor | None) -> Tensor:
    """Each item's wrong conditioning: that of the item before it in the whole batch."""
    whole, own = all_items(cond) if cond is not None else ((), slice(None))
    if len(whole) < 2:
        raise ValueError("the contrastive loss needs conditioning and two items a batch")
    return whole.roll(1, 0)[own]


def _generator(noise: Tensor) -> torch.Generator:
    """A generator whose seed is a function of an item's noise."""
    seed = noise.detach().flatten()[:64].cpu().double().sum().view(torch.int64).item()
    return torch.Generator(noise.device).manual_seed(seed % 2**63)


@dataclass
class DivergenceMonitor:
    """Reads the metrics of each step; `check` names the cause once a fault has lasted.

    A loss that is not finite stops any run (see `train`). With these faults a run would go on for hours
    while its checkpoints get worse.

    - The KL explodes: above `factor` times its running median for `spike` steps on end. One step may: a
      single sample that the teacher finds impossible can cost more than all others together. Steps
      above do not enter the median.
    - The std ratio lies outside `ratio` for `patience` steps on end: a whisper, or an overload.
    - The student's scale is at or below the teacher's floor in nearly every sample for `patience` steps: it
      no longer uses its noise.

    The latter two count from step `grace` on: a student may begin silent.

    Args:
        factor, spike: of the KL. window: steps whose median counts. least: nats that the median counts as at least.
        ratio: the lowest and highest std ratio. floor: the part of samples at the floor that is too many.
        patience, grace: steps.

    >>> monitor = DivergenceMonitor(spike=2)
    >>> causes = [monitor.check(step, {"kl": 1.0}) for step in range(60)]
    >>> monitor.check(60, {"kl": 90.0}), monitor.calm
    (None, False)
    >>> monitor.check(61, {"kl": 95.0})
    'KL of 95 nats a sample, over 20 times its running median of 1, for 2 steps'
    """

    factor: float = 20.0
    spike: int = 10
    window: int = 200
    least: float = 0.5
    ratio: tuple[float, float] = (0.1, 10.0)
    floor: float = 0.95
    patience: int = 200
    grace: int = 2000
    _past: deque[float] = field(default_factory=deque, repr=False)
    _runs: dict[str, int] = field(default_factory=dict, repr=False)

    @property
    def calm(self) -> bool:
        """Whether nothing is wrong at this step: only then is a checkpoint a good one."""
        return not any(self._runs.values())

    def state(self) -> list[float]:
        """What a resumed run must know: the KL of the last steps."""
        return list(self._past)

    def restore(self, state: list[float]) -> None:
        """Go on from `state`."""
        self._past = deque(state)

    def _lasts(self, name: str, wrong: bool) -> int:
        self._runs[name] = self._runs.get(name, 0) + 1 if wrong else 0
        return self._runs[name]

    def check(self, step: int, metrics: dict[str, float]) -> str | None:
        """The cause in one line if the run should stop at this step, else None.

        Of `metrics` it reads `kl`, `std_ratio` and `at_floor`, those that are there.
        """
        if "kl" in metrics:
            usual = max(median(self._past), self.least) if len(self._past) >= 50 else float("inf")
            wrong = metrics["kl"] > self.factor * usual
            if self._lasts("kl", wrong) >= self.spike:
                return (
                    f"KL of {metrics['kl']:.3g} nats a sample, over {self.factor:g} times its "
                    f"running median of {usual:.3g}, for {self.spike} steps"
                )
            if not wrong:
                self._past.append(metrics["kl"])
                if len(self._past) > self.window:
                    self._past.popleft()
        if step < self.grace:
            return None
        ratio, (low, high) = metrics.get("std_ratio", 1.0), self.ratio
        if self._lasts("ratio", not low <= ratio <= high) >= self.patience:
            return (
                f"std ratio of {ratio:.3g}, outside {low:g} … {high:g}, for {self.patience} steps: "
                + ("the student whispers" if ratio < low else "the student is far too loud")
            )
        if self._lasts("floor", metrics.get("at_floor", 0.0) > self.floor) >= self.patience:
            return (
                f"the student's scale is at the teacher's floor in {metrics['at_floor']:.0%} of all "
                f"samples, for {self.patience} steps: it no longer uses its noise"
            )
        return None
