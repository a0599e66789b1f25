"""Train the networks of chapter 7: three heads at equal budget, and a conditional network step by step.

    python training/wavenet.py heads --out runs/heads
    python training/wavenet.py checkpoints --out runs/checkpoints

The recipe is `training/wavenet-cpu.toml`; the weights go to `minigen/weights`, with a card: the data, the command,
the minutes, the nats.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from minigen import weights
from minigen.speech import unconditional
from minigen.speech.corpus import Crops, held_out
from minigen.speech.objectives import Likelihood
from minigen.speech.recipe import read_toml
from minigen.train import TrainConfig, Trainer

WEIGHTS = weights.path("wavenet_mu_law").parent


def train_heads(recipe: dict, out: Path, folder: Path = WEIGHTS) -> None:
    """Each head for the same steps on the same batches; then the weights and one card."""
    clips, kept = held_out()
    batches, rows = Crops(clips, **recipe["data"]), []
    for name in unconditional.HEADS:
        torch.manual_seed(recipe["seed"])
        net = unconditional.build(recipe, name)
        net.init_from_data(torch.cat([batches(step)["audio"] for step in range(32)]))
        before = unconditional.nats(net, kept)
        config = TrainConfig(**recipe["heads_run"])
        trainer = Trainer(Likelihood(net), batches, config, out / name, recipe)
        metrics = trainer.run(resume=True)
        net.load_state_dict(trainer.ema.shadow)
        net.eval()
        weights.save(folder / f"wavenet_{name}.safetensors", net.state_dict(), {"recipe": recipe})
        row = {"head": name, "parameters": sum(weight.numel() for weight in net.parameters())}
        row |= {
            "cpu_minutes": round(trainer.seconds / 60, 1),
            "last_loss": round(metrics["loss"], 3),
        }
        row |= {"start": round(before, 4), "held_out": round(unconditional.nats(net, kept), 4)}
        rows.append(row)
        print(row, flush=True)
    write_card(folder, "heads", recipe, rows)


def train_checkpoints(recipe: dict, out: Path, folder: Path = WEIGHTS) -> None:
    """One conditioned network, whose weights are kept on the way, at half precision."""
    clips, kept = held_out()
    batches, rows, seconds = Crops(clips, **recipe["data"]), [], 0.0
    torch.manual_seed(recipe["seed"])
    voice = unconditional.build(recipe)
    voice.wavenet.init_from_data(torch.cat([batches(step)["audio"] for step in range(32)]))
    objective = Likelihood(voice, recipe["conditional"]["beta"])
    config = TrainConfig(**recipe["conditional_run"])
    trainer = Trainer(objective, batches, config, out, recipe)
    for step in recipe["conditional"]["checkpoints"]:
        start = time.process_time()
        if step:
            trainer.run(resume=True, until=step)
        seconds += time.process_time() - start
        half = {name: value.half() for name, value in voice.state_dict().items()}
        weights.save(folder / f"wavenet_step_{step}.safetensors", half, {"recipe": recipe})
        voice.eval()
        nats = round(unconditional.nats(voice, kept), 4)
        rows.append({"step": step, "cpu_minutes": round(seconds / 60, 1), "held_out": nats})
        print(rows[-1], flush=True)
    write_card(folder, "checkpoints", recipe, rows)


def write_card(folder: Path, name: str, recipe: dict, rows: list[dict]) -> None:
    card = {
        "data": "spoken_digits without one tempo and pitch of every word; held_out: those 30 clips",
        "command": f"python training/wavenet.py {name} --out runs/{name}",
        "unit": "nats a sample for a unit of amplitude: mean log-density, higher is better",
        "device": "one core of a CPU",
        "torch": torch.__version__,
        name: rows,
        "recipe": recipe,
    }
    text = json.dumps(card, indent=1) + "\n"
    (folder / f"wavenet_{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("heads", "checkpoints"))
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, curves")
    parser.add_argument("--recipe", type=Path, default=Path("training/wavenet-cpu.toml"))
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="where the weights go")
    given = parser.parse_args()
    given.weights.mkdir(parents=True, exist_ok=True)
    train = {"heads": train_heads, "checkpoints": train_checkpoints}[given.what]
    train(read_toml(given.recipe), given.out, given.weights)
