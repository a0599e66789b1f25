"""Train the waveform model, mel bands and F0 -> sound, teacher first, then student; then keep what ships.

    python training/waveform_model.py train training/waveform-cpu-teacher.toml --out runs/waveform-teacher --resume
    python training/waveform_model.py export runs/waveform-teacher minigen/weights/waveform_teacher.safetensors
    python training/waveform_model.py train training/waveform-cpu-student.toml --out runs/waveform-student --resume
    python training/waveform_model.py export runs/waveform-student minigen/weights/waveform_student.safetensors
    python training/waveform_model.py nll minigen/weights/waveform_teacher.safetensors

Run from the repository's root. Minutes and machine stand at the top of each recipe that was run.
"""

import argparse
import json
import re
import tomllib
from itertools import pairwise
from pathlib import Path

import numpy as np

from minigen import weights
from minigen.speech.corpus import read_all
from minigen.speech.waveform_training import averaged, nll, trained, trainer


def clips_of(corpus: dict) -> tuple[list, list]:
    """The clips of all corpora of a recipe: (to train on, held out)."""
    train, out = [], []
    for name, minutes in corpus["minutes"].items():
        mine, other = read_all(name, corpus["rate"], minutes)
        train, out = train + mine, out + other
    return train, out


def export(run: Path, path: Path, points: int = 40) -> None:
    """Keep the averaged weights and the recipe; the card beside them has minutes, machine and curve, of each stage."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tensors, notes = averaged(run / "checkpoint.safetensors")
    kept = {k: notes[k] for k in ("recipe", "step", "minutes", "device", "torch") if k in notes}
    weights.save(path, tensors, kept)
    events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    logged = {name: events.Scalars(name) for name in events.Tags()["scalars"]}
    steps = [event.step for event in logged["loss"]]
    edges = np.unique(np.linspace(0, len(steps), points + 1).astype(int))
    curve = {"step": [steps[k - 1] for k in edges[1:]]}
    for name, values in logged.items():
        mean = [np.mean([v.value for v in values[a:b]]) for a, b in pairwise(edges)]
        curve[name] = [float(f"{value:.4g}") for value in mean]
    begun = notes["recipe"].get("init_from") == path.as_posix()
    earlier = weights.card(path.stem)["stages"] if begun else []
    text = json.dumps({"stages": [*earlier, kept | {"curve": curve}]}, indent=1)
    card = re.sub(r",\n\s+(?=[-\d])", ", ", text) + "\n"
    path.with_suffix(".json").write_text(card, encoding="utf-8")


def held_out_nll(path: Path) -> dict[str, float]:
    """Nats per sample of held-out sound in each corpus, and of N(0, 1) for e."""
    model, recipe = trained(path), weights.notes(path)["recipe"]
    found = {}
    for name, minutes in recipe["corpus"]["minutes"].items():
        clips = clips_of(recipe["corpus"] | {"minutes": {name: minutes}})[1]
        both = nll(model, clips, recipe["data"]["dither"])
        found |= {name: both[0], f"{name}, no network": both[1]}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["train", "export", "nll"])
    parser.add_argument("path", type=Path, help="a recipe, the folder of a run, or weights")
    parser.add_argument("to", type=Path, nargs="?", help="where to export to")
    parser.add_argument("--out", type=Path, help="the folder of the run")
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args()
    if args.what == "train":
        recipe = tomllib.loads(args.path.read_text(encoding="utf-8"))
        trainer(recipe, clips_of(recipe["corpus"])[0], args.out).run(args.resume)
    elif args.what == "export":
        export(args.path, args.to)
    else:
        print(json.dumps(held_out_nll(args.path), indent=1))


if __name__ == "__main__":
    main()
