"""The networks of chapter 7: three output heads on one unconditional WaveNet, and a teacher on its way.

`training/wavenet.py` trained them by the recipe `training/wavenet-cpu.toml`.
"""

from __future__ import annotations

import numpy as np
import torch

from .. import weights
from ..conditioning import DIGITS
from ..data import Utterance
from ..distributions import Categorical, DiscretizedLogisticMixture, GaussianHead, Head
from ..wavenet import WaveNet
from .corpus import as_batch
from .voice import TeacherVoice

__all__ = ["DITHER", "HEADS", "ar_nats", "build", "card", "load_checkpoint", "load_head", "nats"]

DITHER = 0.0005  # standard deviation of the white noise on every clip: silence has no density
HEADS: dict[str, Head] = {
    "mu_law": Categorical(256),
    "mixture": DiscretizedLogisticMixture(4, 65_536, min_log_scale=-9.0),
    "gaussian": GaussianHead(min_log_scale=-7.8),
}


@torch.no_grad()
def nats(net: WaveNet | TeacherVoice, clips: list[Utterance], dither: float = DITHER) -> float:
    """Mean log-density of a sample of dithered clips, in nats for a unit of amplitude."""
    total, count = 0.0, 0
    for clip in clips:
        batch = as_batch(clip, dither)
        params = net(batch) if isinstance(net, TeacherVoice) else net(batch["audio"])
        head = net.wavenet.head if isinstance(net, TeacherVoice) else net.head
        total += head.log_density(params, batch["audio"]).sum().item()
        count += len(clip.audio)
    return total / count


def ar_nats(order: int, train: list[Utterance], test: list[Utterance]) -> float:
    """The same of a linear predictor with one fixed scale, fitted to `train` by least squares.

    What lies before a clip counts as zero, as it does for the networks.
    """
    lags = [_lagged(clip, order) for clip in train]
    past = np.concatenate([columns for columns, _ in lags])
    w = np.linalg.lstsq(past, np.concatenate([x for _, x in lags]), rcond=None)[0]
    scale = np.sqrt(np.mean(np.concatenate([(x - columns @ w) ** 2 for columns, x in lags])))
    z = np.concatenate(
        [(x - columns @ w) / scale for columns, x in (_lagged(c, order) for c in test)]
    )
    return float(np.mean(-0.5 * z**2) - np.log(scale) - 0.5 * np.log(2 * np.pi))


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
    net = build(notes["recipe"], name)
    net.load_state_dict(tensors)
    return net.eval().requires_grad_(False)


def load_checkpoint(step: int) -> TeacherVoice:
    """The conditional network after so many steps: those of `card("checkpoints")["checkpoints"]`."""
    steps = [row["step"] for row in card("checkpoints")["checkpoints"]]
    if step not in steps:
        raise ValueError(f"no checkpoint {step}: there are {', '.join(map(str, steps))}")
    tensors, notes = weights.load(f"wavenet_step_{step}")
    voice = build(notes["recipe"])
    voice.load_state_dict(tensors)
    return voice.eval().requires_grad_(False)
