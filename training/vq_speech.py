"""Train voice conversion by discrete codes and a prior over these codes, and write down how well they do.

    python training/vq_speech.py train training/vq_digits_voice.toml --out runs/vq_digits_voice --resume
    python training/vq_speech.py train training/vq_digits_voice_2.toml --out runs/vq_digits_voice_2 --resume --ship
    python training/vq_speech.py prior
    python training/vq_speech.py measure

`train` runs the stages of a recipe, the codes from spectra and then the WaveNet with these codes, each with checkpoints in a
folder of its own below --out; called again with --resume, it goes on from the last one. At the end it writes
vq_<corpus>.safetensors into --out, or with --ship into minigen/weights. `prior` trains the prior over the codes of spoken_digits (a
minute). `measure` prints the figures of a corpus, by the shipped weights or by --weights, and writes them to the card, the
file that ends in .json beside them. Run from the repository's root.
"""

import argparse
import json
import math
import time
import tomllib
from pathlib import Path

import numpy as np
import torch
from common import fit, half

from minigen import code_prior, vq, weights
from minigen.data.spoken_digits import DIGIT_WORDS
from minigen.metrics import DigitRecogniser
from minigen.speech import conversion, conversion_training
from minigen.speech import conversion_measures as measures
from minigen.train import TrainConfig

RECIPES = {  # in the order in which they are followed; the last one's result ships
    "spoken_digits": ("vq_digits_voice", "vq_digits_voice_2"),
    "fsdd": ("vq_fsdd_voice",),
}
SEEDS = {"spoken_digits": (0, 1, 2, 3, 4), "fsdd": (0,)}  # of the sound's noise
PRIOR = {"codebook_size": 128, "conditions": 10, "hidden": 128, "embed": 32, "dropout": 0.5}
RUN = {"steps": 1500, "batch": 32, "rate": 3e-3, "seed": 0}


def codes_of(model: conversion.SpeechVQVAE, clips: list) -> dict[str, torch.Tensor]:
    """{name of the clip: its codes}."""
    return {c.name: model.codes_of(conversion.hear(c.audio, c.f0)) for c in clips}


def prior() -> None:
    """Train the prior on the codes of the training clips; its card is inside the file."""
    begin = time.process_time()
    model, _ = conversion.load()
    learn, kept = conversion_training.corpus("spoken_digits")
    codes = codes_of(model, learn + kept)
    words = lambda clips: torch.tensor([DIGIT_WORDS.index(c.text) for c in clips])
    sequences = [codes[c.name] for c in learn]
    test = [codes[c.name] for c in kept]
    torch.manual_seed(RUN["seed"])
    generator = torch.Generator().manual_seed(RUN["seed"])
    net = code_prior.CodePrior(**PRIOR, generator=generator)
    labels = words(learn)

    def loss(net: code_prior.CodePrior, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        part = [sequences[i] for i in batch["rows"]]
        return net.loss(part, labels[batch["rows"]])

    fit(
        net,
        loss,
        lambda step, g: {"rows": torch.randint(len(sequences), (RUN["batch"],), generator=g)},
        TrainConfig(RUN["steps"], rate=RUN["rate"]),
        seed=RUN["seed"],
    )
    net.requires_grad_(False)
    k = model.quantizer.codebook_size
    card = {
        "data": "codes of the 330 training clips of spoken_digits; held out: those of the other 30",
        "command": "python training/vq_speech.py prior",
        "model": PRIOR,
        "run": RUN,
        "nats a symbol, held out": {
            "uniform": round(math.log(k + 1), 3),
            "unigram": round(code_prior.ngram_nats(1, sequences, test, k), 3),
            "bigram": round(code_prior.ngram_nats(2, sequences, test, k), 3),
            "prior": round(net.nats(test).item(), 3),
            "prior, word known": round(net.nats(test, words(kept)).item(), 3),
        },
        "nats a symbol, training": round(net.nats(sequences).item(), 3),
        "processor seconds on one core": round(time.process_time() - begin),
    }
    weights.save("vq_prior", half(net), card)
    print(json.dumps(card, indent=1))


def utterances(model: conversion.SpeechVQVAE, per_word: int = 6) -> dict[str, float]:
    """New words drawn from the prior, said by all speakers in turn: recognised, taken for the speaker."""
    learn, _ = conversion_training.corpus("spoken_digits")
    net, _ = conversion.load_prior()
    generator = torch.Generator().manual_seed(0)
    conds, wanted = [], []
    for index, word in enumerate(DIGIT_WORDS):
        drawn = net.sample(per_word, index, max_length=100, generator=generator)
        for number, codes in enumerate(drawn):
            who = model.speakers[number % len(model.speakers)]
            conds.append(model.hear_codes(codes, model.melody_of(codes, who), who))
            wanted.append((word, who))
    waves = list(measures.together(model, conds))
    recognise, judge = DigitRecogniser(learn), measures.SpeakerJudge(learn)
    both = zip(waves, wanted, strict=True)
    right = np.array([(recognise(w) == word, judge(w) == who) for w, (word, who) in both])
    return {
        "recognised %": round(100 * right[:, 0].mean(), 1),
        "the speaker's %": round(100 * right[:, 1].mean(), 1),
        "utterances": len(wanted),
    }


def measure(corpus: str, path: Path) -> None:
    """Figures of a model -> printed, and into the card beside its weights."""
    begin = time.process_time()
    model, _ = conversion.load(str(path))
    notes = weights.notes(path)
    learn, kept = conversion_training.corpus(corpus)
    recipe = notes["recipe"]
    wanted, templates = None, learn
    if corpus == "fsdd":  # of 1,500 pairs those of first recordings, of 2,700 templates 600
        wanted = [p for p in measures.pairs(kept) if p.source.name.endswith("_0")]
        templates = [c for c in learn if int(c.name.rsplit("_", 1)[1]) < 15]
    codes = codes_of(model, learn + kept)
    k = model.quantizer.codebook_size
    used = vq.usage([codes[c.name] for c in learn], k)
    tables = [measures.table(model, learn, kept, wanted, templates, seed) for seed in SEEDS[corpus]]
    rows = {
        row: {column: float(np.median([t[row][column] for t in tables])) for column in columns}
        for row, columns in tables[0].items()
    }
    each = [{c: round(v, 2) for c, v in t["converted"].items() if c != "clips"} for t in tables]
    shipped = path.parent == weights.path("vq_prior").parent
    train = "python training/vq_speech.py train training/{0}.toml --out runs/{0}"
    command = " && ".join(train.format(name) for name in RECIPES[corpus]) + " --ship"
    card = {
        "data": f"{corpus}: {len(learn)} clips to learn from, {len(kept)} held out",
        "command": command if shipped else "training/vq_speech.py with the recipe below",
        "starts from": recipe.get("model_from", recipe["voice"].get("init_from", "nothing")),
        "processor minutes of each stage on one core": notes["minutes"],
        "weights": sum(w.numel() for w in model.parameters()),
        "codes a second": 50,
        "perplexity of codes": round(used.perplexity, 1),
        "codes used": f"{used.used} of {k}",
        "speaker judge's accuracy on held-out recordings %": round(
            100 * measures.SpeakerJudge(learn).accuracy(kept), 1
        ),
        "conversion is the median over noise seeds": list(SEEDS[corpus]),
        "conversion, held out": {
            row: {column: round(value, 2) for column, value in columns.items()}
            for row, columns in rows.items()
        },
        "converted, with each noise seed": each,
    }
    if corpus == "spoken_digits":
        found = measures.probe(codes, learn, kept)
        card["codes against phones"] = {key: round(value, 3) for key, value in found.items()}
        if shipped:  # the prior is of these codes
            card["drawn from the prior"] = utterances(model)
    card["recipe"] = recipe
    card["seconds to measure"] = round(time.process_time() - begin)
    path.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in card.items() if key != "recipe"}, indent=1))


def main() -> None:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="what", required=True)
    command = commands.add_parser("train")
    command.add_argument("recipe", type=Path)
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--resume", action="store_true")
    command.add_argument("--ship", action="store_true", help="write into minigen/weights")
    command.add_argument("--until", choices=conversion_training.STAGES)
    commands.add_parser("prior")
    command = commands.add_parser("measure")
    command.add_argument("corpus", choices=tuple(RECIPES), nargs="?", default="spoken_digits")
    command.add_argument("--weights", type=Path, help="by default those that ship")
    given = parser.parse_args()
    if given.what == "prior":
        prior()
    elif given.what == "measure":
        measure(given.corpus, given.weights or weights.path(f"vq_{given.corpus}"))
    else:
        recipe = tomllib.loads(given.recipe.read_text(encoding="utf-8"))
        model = conversion_training.train(recipe, given.out, given.resume, given.until)
        if given.until is None:
            path = weights.path(f"vq_{recipe['corpus']}")
            path = path if given.ship else given.out / path.name
            minutes = conversion_training.minutes_of(given.out)
            if "model_from" in recipe:  # what went before counts, too
                before = weights.notes(recipe["model_from"])["minutes"]
                minutes = before | {f"{stage}, second run": m for stage, m in minutes.items()}
            conversion_training.export(model, recipe, path, minutes)
            print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
