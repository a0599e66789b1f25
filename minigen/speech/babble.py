"""The networks of chapter 7: three heads on one body at equal budget, and one word step by step.

Trained by the recipe `training/wavenet-cpu.toml`; the weights lie in `minigen/weights`, each with its
card: the data, the command, the minutes, the losses.

    python -m minigen.speech.babble heads --out runs/heads
    python -m minigen.speech.babble ladder --out runs/ladder
"""

from __future__ import annotations

import json
import time
import tomllib
from pathlib import Path

import numpy as np
import torch

from .. import weights
from ..conditioning import DIGITS
from ..data import Utterance
from ..distributions import Categorical, DiscretizedLogisticMixture, GaussianHead, Head
from ..train import TrainConfig, Trainer
from ..wavenet import WaveNet
from .corpus import Crops, as_batch, held_out
from .objectives import Likelihood
from .voice import TeacherVoice

__all__ = ["DITHER", "HEADS", "ar_nats", "card", "load_head", "load_rung", "nats"]

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


# ---------------------------------------------------------------- weights that ship


def card(name: str) -> dict:
    """How "heads" or "ladder" came about: recipe, command, steps, minutes, nats a sample."""
    return weights.card(f"babble_{name}")


def load_head(name: str) -> WaveNet:
    """The network of chapter 7 with the head "mu_law", "mixture" or "gaussian".

    >>> load_head("mu_law").head
    Categorical(levels=256, mu_law=True)
    """
    if name not in HEADS:
        raise ValueError(f"no head {name!r}: choose one of {', '.join(HEADS)}")
    tensors, notes = weights.load(f"babble_{name}")
    net = build_head(name, notes["recipe"])
    net.load_state_dict(tensors)
    return net.eval().requires_grad_(False)


def load_rung(step: int) -> TeacherVoice:
    """The network of the ladder after so many steps: those of `card("ladder")["rungs"]`."""
    rungs = [row["step"] for row in card("ladder")["rungs"]]
    if step not in rungs:
        raise ValueError(f"no rung {step}: there are {', '.join(map(str, rungs))}")
    tensors, notes = weights.load(f"babble_{step}")
    voice = build_ladder(notes["recipe"])
    voice.load_state_dict(tensors)
    return voice.eval().requires_grad_(False)


def build_head(name: str, recipe: dict) -> WaveNet:
    """Untrained, from the recipe."""
    return WaveNet(HEADS[name], **recipe["model"], **recipe["heads"][name])


def build_ladder(recipe: dict) -> TeacherVoice:
    """Untrained, from the recipe."""
    ladder = {k: v for k, v in recipe["ladder"].items() if k not in ("beta", "rungs")}
    return TeacherVoice.build(DIGITS, **recipe["model"], **ladder)


# ---------------------------------------------------------------- training


def train_heads(recipe: dict, out: Path, folder: Path) -> None:
    """Each head for the same steps on the same batches; then the weights and one card."""
    clips, kept = held_out()
    batches = Crops(clips, **recipe["data"])
    rows = []
    for name in HEADS:
        torch.manual_seed(recipe["seed"])
        net = build_head(name, recipe)
        net.init_from_data(torch.cat([batches(step)["audio"] for step in range(32)]))
        before = nats(net, kept)
        config = TrainConfig(**recipe["heads_run"])
        trainer = Trainer(Likelihood(net), batches, config, out / name, recipe)
        start = time.process_time()
        watched = trainer.run(resume=True)
        minutes = (time.process_time() - start) / 60
        net.load_state_dict(trainer.ema.shadow)
        weights.save(folder / f"babble_{name}.safetensors", net.state_dict(), {"recipe": recipe})
        rows.append(
            {
                "head": name,
                "parameters": sum(weight.numel() for weight in net.parameters()),
                "cpu_minutes": round(minutes, 1),
                "last_loss": round(watched["loss"], 3),
                "start": round(before, 4),
                "held_out": round(nats(net, kept), 4),
            }
        )
        print(rows[-1], flush=True)
    _write_card(folder, "heads", recipe, rows={"heads": rows})


def train_ladder(recipe: dict, out: Path, folder: Path) -> None:
    """One conditioned network, whose weights are kept at the rungs, at half precision."""
    clips, kept = held_out()
    batches = Crops(clips, **recipe["data"])
    torch.manual_seed(recipe["seed"])
    voice = build_ladder(recipe)
    voice.wavenet.init_from_data(torch.cat([batches(step)["audio"] for step in range(32)]))
    objective = Likelihood(voice, recipe["ladder"]["beta"])
    trainer = Trainer(objective, batches, TrainConfig(**recipe["ladder_run"]), out, recipe)
    rows, seconds = [], 0.0
    for rung in recipe["ladder"]["rungs"]:
        start = time.process_time()
        if rung:
            trainer.run(resume=True, until=rung)
        seconds += time.process_time() - start
        half = {name: value.half() for name, value in voice.state_dict().items()}
        weights.save(folder / f"babble_{rung}.safetensors", half, {"recipe": recipe})
        voice.eval()
        rows.append(
            {
                "step": rung,
                "cpu_minutes": round(seconds / 60, 1),
                "held_out": round(nats(voice, kept), 4),
            }
        )
        print(rows[-1], flush=True)
    _write_card(folder, "ladder", recipe, rows={"rungs": rows})


def _write_card(folder: Path, name: str, recipe: dict, rows: dict) -> None:
    card = {
        "data": "spoken_digits without one tempo and pitch of every word; held_out: those 30 clips",
        "command": f"python -m minigen.speech.babble {name} --out runs/{name}",
        "unit": "nats a sample for a unit of amplitude: mean log-density, higher is better",
        "device": "one core of a CPU",
        "torch": torch.__version__,
    }
    text = json.dumps(card | rows | {"recipe": recipe}, indent=1)
    (folder / f"babble_{name}.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """`python -m minigen.speech.babble heads|ladder --out FOLDER [--recipe FILE]`."""
    import argparse

    parser = argparse.ArgumentParser(description="Train the networks of chapter 7.")
    parser.add_argument("what", choices=("heads", "ladder"))
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, curves")
    parser.add_argument("--recipe", type=Path, default=Path("training/wavenet-cpu.toml"))
    parser.add_argument(
        "--weights", type=Path, default=weights.path("babble_0").parent, help="where the weights go"
    )
    given = parser.parse_args()
    recipe = tomllib.loads(given.recipe.read_text())
    given.weights.mkdir(parents=True, exist_ok=True)
    {"heads": train_heads, "ladder": train_ladder}[given.what](recipe, given.out, given.weights)


if __name__ == "__main__":
    main()
