"""The networks of chapter 7: three output heads on one unconditional WaveNet, and a teacher on its way.

`training/wavenet.py` trained them by the recipe `training/wavenet-cpu.toml`.
"""

from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
import torch
from scipy.signal import lfilter

from .. import weights
from ..conditioning import DIGITS
from ..data import Utterance
from ..distributions import Categorical, DiscretizedLogisticMixture, GaussianHead, Head
from ..wavenet import WaveNet
from . import corpus
from .voice import TeacherVoice

DITHER = 0.0005  # standard deviation of the white noise on every clip: silence has no density
HEADS: dict[str, Head] = {
    "mu_law": Categorical(256),
    "mixture": DiscretizedLogisticMixture(4, 65_536, min_log_scale=-9.0),
    "gaussian": GaussianHead(min_log_scale=-7.8),
}
UNHEARD = {"awb": "nine", "rms": "five", "slt": "seven"}  # one word of each speaker


def split() -> tuple[list[Utterance], list[Utterance], list[Utterance]]:
    """The digits -> (297 clips to train on, 36 of unheard words, 27 new clips of known words).

    All twelve clips of a speaker's unheard word are held out. The 27 clips have siblings in training:
    the same word by the same speaker at other tempos and pitches.
    """
    rest, clips = corpus.held_out()
    unheard = lambda clip: UNHEARD[clip.speaker] == clip.text
    return (
        [clip for clip in rest if not unheard(clip)],
        [clip for clip in rest + clips if unheard(clip)],
        [clip for clip in clips if not unheard(clip)],
    )


@torch.no_grad()
@weights.takes_networks
def nats(
    net: WaveNet | TeacherVoice,
    clips: list[Utterance],
    dither: float = DITHER,
    follow_audio: bool = True,
) -> float:
    """Mean log-density of a sample of dithered clips, in nats for a unit of amplitude.

    A TeacherVoice is given each recording's own phase with `follow_audio`, without it the sum of F0, as in speaking.
    """
    total, count = 0.0, 0
    for clip in clips:
        batch = corpus.as_batch(clip, dither, follow_audio=follow_audio)
        params = net(batch) if isinstance(net, TeacherVoice) else net(batch["audio"])
        head = net.wavenet.head if isinstance(net, TeacherVoice) else net.head
        total += head.log_density(params, batch["audio"]).sum().item()
        count += len(clip.audio)
    return total / count


def ar_nats(order: int, train: list[Utterance], test: list[Utterance]) -> float:
    """The same of a linear predictor, fitted to `train` by least squares, whose errors have one Gaussian scale.

    What lies before a clip counts as zero, as it does for the networks.
    """
    known, new = ([dithered(clip) for clip in clips] for clips in (train, test))
    w = least_squares(known, order)
    power = np.mean(np.concatenate([x - lagged(x, order) @ w for x in known]) ** 2)
    e = np.concatenate([x - lagged(x, order) @ w for x in new])
    return float(np.mean(-0.5 * e**2 / power - 0.5 * np.log(2 * np.pi * power)))


@dataclass(frozen=True)
class AdaptiveAR:
    """A linear predictor; its errors e have heavy tails and a scale that follows them.

        x_t = Σ_k w_k x_{t-k} + e_t,   e_t / σ_t ~ Student's t with 3 degrees of freedom
        σ_t² = a + b Σ_k (1 - ρ) ρ^k e²_{t-1-k},   k = 0, 1, …

    Args: weights: w (order,). scale: ρ, a, b.
    """

    weights: np.ndarray
    scale: tuple[float, float, float]

    @classmethod
    def fit(cls, sounds: list[np.ndarray], order: int, rounds: int = 4) -> Self:
        """Alternate: (ρ, a, b) from a grid on a fifth of the sounds, w by least squares with the weights

            4 / (3 + u²) / σ_t²,   u = e_t / σ_t

        that, with σ_t held, make the slope of the likelihood zero when they have settled.
        """
        grid = list(product((0.6, 0.7, 0.8, 0.9), (1e-8, 3e-8, 1e-7, 3e-7), (0.5, 0.7, 1.0, 1.4)))
        found = cls(least_squares(sounds, order), grid[0])
        for _ in range(rounds):
            errors = [x - lagged(x, order) @ found.weights for x in sounds]
            log_p = [sum(_log_t(e, _sigma(e, s)).sum() for e in errors[::5]) for s in grid]
            scale = grid[int(np.argmax(log_p))]
            sigmas = [_sigma(e, scale) for e in errors]
            pairs = zip(errors, sigmas, strict=True)
            each = [4 / (3 + (e / sigma) ** 2) / sigma**2 for e, sigma in pairs]
            found = cls(least_squares(sounds, order, each), scale)
        return found

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and scale of every sample, given those before it: x (T,) -> (T,), (T,)."""
        mean = lagged(x, len(self.weights)) @ self.weights
        return mean, _sigma(x - mean, self.scale)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """log p(x_t | x_<t) in nats: x (T,) -> (T,)."""
        mean, sigma = self.predict(x)
        return _log_t(x - mean, sigma)


def _sigma(e: np.ndarray, scale: tuple[float, float, float]) -> np.ndarray:
    """The scale of every error, given those before it: (T,) -> (T,)."""
    rho, a, b = scale
    return np.sqrt(a + b * lfilter([1 - rho], [1, -rho], np.r_[0, e[:-1] ** 2]))


def _log_t(e: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Log-density of Student's t with 3 degrees of freedom and that scale: (T,) -> (T,)."""
    u = e / sigma
    return np.log(2 / (np.pi * np.sqrt(3))) - 2 * np.log1p(u**2 / 3) - np.log(sigma)


def lagged(x: np.ndarray, order: int) -> np.ndarray:
    """x (T,) -> (T, order), whose column k - 1 is x[t - k]; 0 before the start."""
    return np.lib.stride_tricks.sliding_window_view(np.r_[np.zeros(order), x[:-1]], order)[:, ::-1]


def least_squares(
    sounds: list[np.ndarray], order: int, each: list[np.ndarray] | None = None
) -> np.ndarray:
    """The weights w that predict best, every square counted as often as `each` says."""
    square, cross = np.zeros((order, order)), np.zeros(order)
    for n, x in enumerate(sounds):
        past = lagged(x, order)
        weighted = past if each is None else past * each[n][:, None]
        square += weighted.T @ past
        cross += weighted.T @ x
    return np.linalg.solve(square, cross)


def dithered(clip: Utterance) -> np.ndarray:
    """The samples of a clip with the white noise that the networks get, (T,)."""
    return corpus.dithered(clip, DITHER).astype(float)


def card(name: str) -> dict:
    """How "heads" or "checkpoints" came about: recipe, command, steps, minutes, nats a sample."""
    return weights.card(f"wavenet_{name}")


def build(recipe: dict, head: str | None = None) -> WaveNet | TeacherVoice:
    """Untrained, from the recipe: with one of HEADS, or without, the conditional network."""
    if head:
        return WaveNet(HEADS[head], **recipe["model"], **recipe["heads"][head])
    own = {k: v for k, v in recipe["conditional"].items() if k not in ("beta", "checkpoints")}
    return TeacherVoice.build(DIGITS, **recipe["model"], **own)


def load_head(name: str) -> WaveNet:
    """The network of chapter 7 with the head "mu_law", "mixture" or "gaussian".

    >>> load_head("mu_law").head
    Categorical(levels=256, mu_law=True)
    """
    if name not in HEADS:
        raise ValueError(f"no head {name!r}: choose one of {', '.join(HEADS)}")
    tensors, notes = weights.load(f"wavenet_{name}")
    return weights.frozen(build(notes["recipe"], name), tensors)


def load_checkpoint(step: int) -> TeacherVoice:
    """The conditional network after so many steps: those of `card("checkpoints")["checkpoints"]`."""
    steps = [row["step"] for row in card("checkpoints")["checkpoints"]]
    if step not in steps:
        raise ValueError(f"no checkpoint {step}: there are {', '.join(map(str, steps))}")
    tensors, notes = weights.load(f"wavenet_step_{step}")
    return weights.frozen(build(notes["recipe"]), tensors)
