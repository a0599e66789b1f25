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
DATA = {
    "heads": "spoken_digits by unconditional.split: 297 clips to train on; held_out: the 36 clips of one "
    "word of each speaker; known_words: 27 more clips, whose words are in training",
    "checkpoints": "spoken_digits without one tempo and pitch of every word; held_out: those 30 clips",
}


def train_head(recipe: dict, name: str, seed: int, out: Path, folder: Path) -> dict:
    """One head with one seed -> what it came to; the first seed's weights ship."""
    clips, unheard, known = unconditional.split()
    batches = Crops(clips, **recipe["data"], seed=seed)
    torch.manual_seed(seed)
    net = unconditional.build(recipe, name)
    net.init_from_data(torch.cat([batches(step)["audio"] for step in range(32)]))
    start = unconditional.nats(net, unheard)
    config = TrainConfig(**recipe["heads_run"])
    trainer = Trainer(Likelihood(net), batches, config, out / f"{name}_{seed}", recipe)
    begin = time.process_time()
    trainer.run()
    minutes = (time.process_time() - begin) / 60
    net.load_state_dict(trainer.ema.shadow)
    net.eval()
    if seed == recipe["heads_seeds"][0]:
        weights.save(folder / f"wavenet_{name}.safetensors", net.state_dict(), {"recipe": recipe})
    row = {"head": name, "seed": seed, "cpu_minutes": round(minutes, 1)}
    row["parameters"] = sum(weight.numel() for weight in net.parameters())
    row |= {"start": round(start, 4), "held_out": round(unconditional.nats(net, unheard), 4)}
    return row | {"known_words": round(unconditional.nats(net, known), 4)}


def train_heads(recipe: dict, out: Path, folder: Path = WEIGHTS) -> None:
    """Each head with each seed, for the same steps on the same batches; one card."""
    rows = []
    for seed in recipe["heads_seeds"]:
        for name in unconditional.HEADS:
            rows.append(train_head(recipe, name, seed, out, folder))
            print(rows[-1], flush=True)
    write_card(folder, "heads", recipe, rows)


def train_checkpoints(recipe: dict, out: Path, folder: Path = WEIGHTS) -> None:
    """One conditioned network, whose weights are kept on the way, at half precision."""
    clips, kept = held_out()
    batches, rows, seconds = Crops(clips, **recipe["data"], seed=3), [], 0.0
    torch.manual_seed(0)
    voice = unconditional.build(recipe)
    voice.wavenet.init_from_data(torch.cat([batches(step)["audio"] for step in range(32)]))
    objective = Likelihood(voice, recipe["conditional"]["beta"])
    config = TrainConfig(**recipe["conditional_run"])
    trainer = Trainer(objective, batches, config, out, recipe)
    for step in recipe["conditional"]["checkpoints"]:
        start = time.process_time()
        if step:  # a new folder: what an old one holds may be later than this step
            trainer.run(resume=trainer.step > 0, until=step)
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
        "data": DATA[name],
        "command": f"python training/wavenet.py {name} --out runs/{name}",
        "unit": "nats per sample and unit of amplitude: mean log-density, higher is better",
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
