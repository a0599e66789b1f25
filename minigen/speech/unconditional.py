"""The networks of chapter 7: three output heads on one unconditional WaveNet, and a teacher on its way.

`training/wavenet.py` trained them by the recipe `training/wavenet-cpu.toml`.
"""

from collections.abc import Callable

import numpy as np
import torch
from scipy.signal import lfilter

from .. import weights
from ..conditioning import DIGITS
from ..data import Utterance
from ..distributions import Categorical, DiscretizedLogisticMixture, GaussianHead, Head
from ..wavenet import WaveNet
from .corpus import as_batch, held_out
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
    rest, clips = held_out()
    unheard = lambda clip: UNHEARD[clip.speaker] == clip.text
    return (
        [clip for clip in rest if not unheard(clip)],
        [clip for clip in rest + clips if unheard(clip)],
        [clip for clip in clips if not unheard(clip)],
    )


@torch.no_grad()
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
        batch = as_batch(clip, dither, follow_audio=follow_audio)
        params = net(batch) if isinstance(net, TeacherVoice) else net(batch["audio"])
        head = net.wavenet.head if isinstance(net, TeacherVoice) else net.head
        total += head.log_density(params, batch["audio"]).sum().item()
        count += len(clip.audio)
    return total / count


def ar_nats(
    order: int, train: list[Utterance], test: list[Utterance], adaptive: bool = False
) -> float:
    """The same of a linear predictor, fitted to `train` by least squares. Its errors e have one fixed scale, or

        σ_t² = a + b Σ_k (1 - ρ) ρ^k e²_{t-1-k},   k = 0, 1, …

    if `adaptive`, with the best (ρ, a, b) of a grid on a fifth of `train`. What lies before a clip counts as
    zero, as it does for the networks.
    """
    lags = [_lagged(clip, order) for clip in train]
    w = np.linalg.solve(sum(past.T @ past for past, _ in lags), sum(past.T @ x for past, x in lags))
    known = [x - past @ w for past, x in lags]
    errors = [x - past @ w for past, x in (_lagged(clip, order) for clip in test)]
    if not adaptive:
        power = np.mean(np.concatenate(known) ** 2)
        return _gaussian_nats(errors, lambda e: np.full(len(e), power))
    variances = [
        lambda e, rho=rho, a=a, b=b: a + b * lfilter([1 - rho], [1, -rho], np.r_[0, e[:-1] ** 2])
        for rho in (0.5, 0.6, 0.7, 0.8, 0.9)
        for a in (3e-8, 1e-7, 3e-7)
        for b in (0.7, 1.0, 1.4, 2.0)
    ]
    best = max(variances, key=lambda variance: _gaussian_nats(known[::5], variance))
    return _gaussian_nats(errors, best)


def _gaussian_nats(errors: list[np.ndarray], variance: Callable) -> float:
    """Mean log-density of errors, each clip's with `variance` of it."""
    e, v = np.concatenate(errors), np.concatenate([variance(clip) for clip in errors])
    return float(np.mean(-0.5 * e**2 / v - 0.5 * np.log(2 * np.pi * v)))


def _lagged(clip: Utterance, order: int) -> tuple[np.ndarray, np.ndarray]:
    """(T, order) whose column k - 1 is x[t - k], and x (T,)."""
    x = as_batch(clip, DITHER)["audio"][0, 0].double().numpy()
    padded = np.concatenate([np.zeros(order), x])
    columns = [padded[order - k : len(padded) - k] for k in range(1, order + 1)]
    return np.stack(columns, axis=1), x


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
