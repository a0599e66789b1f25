"""Train voice conversion by discrete codes and a prior over these codes, and write down how well they do.

    python training/vq_speech.py train training/vq_digits_voice.toml --out runs/vq_digits_voice --resume
    python training/vq_speech.py train training/vq_digits_voice_2.toml --out runs/vq_digits_voice_2 --resume --ship
    python training/vq_speech.py prior
    python training/vq_speech.py measure
    python training/vq_speech.py words --out runs/vq_words

`train` runs the stages of a recipe, the codes from spectra and then the WaveNet with these codes, each with checkpoints in a
folder of its own below --out; called again with --resume, it goes on from the last one. At the end it writes
vq_<corpus>.safetensors into --out, or with --ship into minigen/weights. `prior` trains the prior over the codes of spoken_digits (a
minute). `measure` prints the figures of a corpus, by the shipped weights or by --weights, and writes them to the card, the
file that ends in .json beside them. `words` trains the codes alone, by both recipes, without two words of each
speaker at all tempi and pitches, and writes what codes of those words say of phones and speakers, beside k-means, into
minigen/results/code_probe.json. Run from the repository's root.
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

from minigen import audio, code_prior, data, results, vq, weights
from minigen.data import Utterance
from minigen.data.spoken_digits import DIGIT_WORDS
from minigen.metrics import DigitRecogniser
from minigen.speech import conversion, corpus
from minigen.speech import conversion_features as features
from minigen.speech import conversion_measures as measures
from minigen.speech.conversion_features import Features
from minigen.speech.conversion_model import SpeechVQVAE
from minigen.speech.conversion_training import ConversionCrops, ConversionLoss
from minigen.speech.voice import fill, part
from minigen.train import TrainConfig, Trainer

RECIPES = {  # in the order in which they are followed; the last one's result ships
    "spoken_digits": ("vq_digits_voice", "vq_digits_voice_2"),
    "fsdd": ("vq_fsdd_voice",),
}
SEEDS = {"spoken_digits": (0, 1, 2, 3, 4), "fsdd": (0,)}  # of the sound's noise
PRIOR = {"codebook_size": 128, "conditions": 10, "hidden": 128, "embed": 32, "dropout": 0.5}
RUN = {"steps": 1500, "batch": 32, "rate": 3e-3, "seed": 0}

STAGES = ("codes", "voice")
LEARNED_FIRST = ("encoder.", "quantizer.", "f0_predictor.", "adversary.")


def clips_of(name: str) -> tuple[list[Utterance], list[Utterance]]:
    """Clips of "spoken_digits" or "fsdd" to learn from, and clips held out, as `corpus.held_out` cuts them."""
    if name not in ("spoken_digits", "fsdd"):
        raise ValueError(f"no corpus {name!r}: choose spoken_digits or fsdd")
    return corpus.held_out(data.fsdd() if name == "fsdd" else None, name)


def prepare(recipe: dict) -> tuple[SpeechVQVAE, list[Features], list[int]]:
    """The untrained model, the features of the training clips, and the index of each clip's speaker.

    A recipe with a `fold` holds out by speaker and word (`corpus.held_out_speaker_words`).
    """
    if "fold" in recipe:
        learn, _ = corpus.held_out_speaker_words(data.spoken_digits(), recipe["fold"])
    else:
        learn, _ = clips_of(recipe["corpus"])
    speakers = [recipe["speakers"].index(clip.speaker) for clip in learn]
    seen = [features.extract(clip.audio, clip.f0) for clip in learn]
    torch.manual_seed(recipe["seed"])
    return SpeechVQVAE.build(recipe).standardise(seen, speakers), seen, speakers


def train(
    recipe: dict, out: Path | str, resume: bool = False, until: str | None = None
) -> SpeechVQVAE:
    """Follow a recipe, stage by stage (`STAGES`), each with its checkpoints in a folder of its own.

    A stage with `freeze` keeps encoder and codes as they are. `init_from` is a file whose WaveNet the
    decoder starts at; without it, it starts at the least-squares linear predictor. A recipe with `model_from`
    goes on from the whole model in that file. After `until` the work stops. Returns the averaged model.
    """
    out = Path(out)
    model, seen, speakers = prepare(recipe)
    begun = "model_from" in recipe or any("init_from" in recipe.get(name, {}) for name in STAGES)
    if "model_from" in recipe:
        own = model.state_dict()
        # was not kept
        adversary = {name: own[name] for name in own if name.startswith("adversary.")}
        model.load_state_dict(adversary | conversion.weights_of(recipe["model_from"])[0])
    for stage in (name for name in STAGES if name in recipe):
        table = recipe[stage]
        batches = ConversionCrops(
            seen, speakers, dim=recipe["model"]["embedding_dim"], **table["data"]
        )
        model.frozen = table.get("freeze", False)
        silent = table["objective"].get("waveform") == 0
        if "init_from" in table:
            tensors = part(weights.load(table["init_from"])[0], "ema.")
            fill(model.wavenet, part(tensors, "wavenet."), table["init_from"])
        elif not silent and not begun:
            model.wavenet.init_from_data(torch.cat([batches(step)["audio"] for step in range(16)]))
        for name, weight in model.named_parameters():
            kept = model.frozen and name.startswith(LEARNED_FIRST)
            weight.requires_grad_(not (kept or silent and name.startswith("wavenet.")))
        objective = ConversionLoss(model, **table["objective"])
        trainer = Trainer(objective, batches, TrainConfig(**table["run"]), out / stage, recipe)
        metrics = trainer.run(resume)
        print(f"{stage}: {metrics}, {minutes_of(out)[stage]:.1f} minutes", flush=True)
        model.load_state_dict(trainer.ema.shadow)  # the next stage goes on from the average
        if stage == until:
            break
    return model.eval()


def minutes_of(out: Path | str) -> dict[str, float]:
    """Minutes of each stage of a run."""
    paths = sorted(Path(out).glob("*/checkpoint.safetensors"))
    return {path.parent.name: round(weights.notes(path)["minutes"], 1) for path in paths}


def export(
    model: SpeechVQVAE, recipe: dict, path: Path | str, minutes: dict[str, float] | None = None
) -> None:
    """Write the weights in half precision, without the adversary's, with the recipe."""
    tensors = {
        name: value.half() if value.is_floating_point() else value
        for name, value in model.state_dict().items()
        if not name.startswith("adversary.")
    }
    weights.save(path, tensors, {"recipe": recipe, "minutes": minutes or {}})


def codes_of(model: SpeechVQVAE, clips: list) -> dict[str, torch.Tensor]:
    """{name of the clip: its codes}."""
    return {c.name: model.codes_of(features.extract(c.audio, c.f0)) for c in clips}


def words(out: Path, fold: int = 0) -> None:
    """Codes of words that their speaker never said in training, against phones: by both recipes, and by k-means."""
    everything = data.spoken_digits()
    learn, kept = corpus.held_out_speaker_words(everything, fold)
    path = None
    for index, name in enumerate(RECIPES["spoken_digits"]):
        recipe = tomllib.loads(Path(f"training/{name}.toml").read_text(encoding="utf-8"))
        recipe |= {"fold": fold} | ({"model_from": str(path)} if path else {})
        recipe["codes"]["run"]["bf16"] = False
        model = train(recipe, out / name, resume=True, until="codes")
        path = out / f"codes_{index}.safetensors"
        export(model, recipe, path)
    k = model.quantizer.codebook_size
    seen = {clip.name: features.extract(clip.audio, clip.f0) for clip in everything}
    mels = {
        clip.name: audio.mel_spectrogram(clip.audio, clip.rate, 256, 80, 24) for clip in everything
    }
    whole = {name: clip.spectrum[: features.N_MFCC] for name, clip in seen.items()}
    mfcc = {name: clip.mfcc for name, clip in seen.items()}
    rows = {
        "k-means, log-mel": measures.kmeans_codes(mels, learn, k),
        "k-means, MFCC": measures.kmeans_codes(whole, learn, k),
        "k-means, MFCC - mean": measures.kmeans_codes(mfcc, learn, k),
        "VQ-VAE": {name: model.codes_of(clip) for name, clip in seen.items()},
    }
    table = {
        "command": "python training/vq_speech.py words --out runs/vq_words",
        "data": f"{len(learn)} clips to learn from, {len(kept)} held out: corpus.held_out_speaker_words, fold {fold}",
        "rows": {name: measures.probe(codes, learn, kept) for name, codes in rows.items()},
    }
    results.write("code_probe", table)
    print(json.dumps(table, indent=1))


def prior() -> None:
    """Train the prior on the codes of the training clips; its card is inside the file."""
    begin = time.process_time()
    model, _ = conversion.load()
    learn, kept = clips_of("spoken_digits")
    codes = codes_of(model, learn + kept)
    spoken = lambda clips: torch.tensor([DIGIT_WORDS.index(c.text) for c in clips])
    sequences = [codes[c.name] for c in learn]
    test = [codes[c.name] for c in kept]
    torch.manual_seed(RUN["seed"])
    generator = torch.Generator().manual_seed(RUN["seed"])
    net = code_prior.CodePrior(**PRIOR, generator=generator)
    labels = spoken(learn)

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
            "prior, word known": round(net.nats(test, spoken(kept)).item(), 3),
        },
        "nats a symbol, training": round(net.nats(sequences).item(), 3),
        "processor seconds on one core": round(time.process_time() - begin),
    }
    weights.save("vq_prior", half(net), card)
    print(json.dumps(card, indent=1))


def utterances(model: SpeechVQVAE, per_word: int = 6) -> dict[str, float]:
    """New words drawn from the prior, said by all speakers in turn: recognised, taken for the speaker."""
    learn, _ = clips_of("spoken_digits")
    net, _ = conversion.load_prior()
    generator = torch.Generator().manual_seed(0)
    conds, wanted = [], []
    for index, word in enumerate(DIGIT_WORDS):
        drawn = net.sample(per_word, index, max_length=100, generator=generator)
        for number, codes in enumerate(drawn):
            who = model.speakers[number % len(model.speakers)]
            conds.append(model.condition(codes, model.predict_f0(codes, who), who))
            wanted.append((word, who))
    waves = list(measures.sample_batches(model, conds))
    recognise, judge = DigitRecogniser(learn), measures.SpeakerClassifier(learn)
    both = zip(waves, wanted, strict=True)
    right = np.array([(recognise(w) == word, judge(w) == who) for w, (word, who) in both])
    return {
        "recognised %": round(100 * right[:, 0].mean(), 1),
        "the speaker's %": round(100 * right[:, 1].mean(), 1),
        "utterances": len(wanted),
    }


def table(
    model: SpeechVQVAE,
    learn: list[Utterance],
    targets: list[measures.Pair],
    templates: list[Utterance],
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Figures of the conversion of held-out clips by `held_to_targets`, {row: {column: value}}.

    Rows: "source", the unconverted clip, held to its target; "moved", by `move_moments`; "converted";
    "reconstructed", a clip decoded with its own speaker and F0; "recording", the target itself.

    Args:
        learn: what the classifier learns from. templates: of the recogniser.
    """
    judges = measures.SpeakerClassifier(learn), DigitRecogniser(templates)
    own = [measures.Pair(clip, clip) for clip in {id(p.source): p.source for p in targets}.values()]
    sounds = {
        "source": (targets, [pair.source.audio for pair in targets]),
        "moved": (targets, measures.move_moments(model, learn, targets)),
        "converted": (targets, measures.convert_pairs(model, targets, seed)),
        "reconstructed": (own, measures.convert_pairs(model, own, seed)),
        "recording": (own, [pair.target.audio for pair in own]),
    }
    rows = {
        name: measures.held_to_targets(waves, which, *judges)
        for name, (which, waves) in sounds.items()
    }
    source, converted = (rows[name]["mcd dB"] for name in ("source", "converted"))
    rows["converted"]["mcd lower by %"] = 100 * (1 - converted / source)
    return rows


def measure(name: str, path: Path) -> None:
    """Figures of a model -> printed, and into the card beside its weights."""
    begin = time.process_time()
    model, _ = conversion.load(str(path))
    notes = weights.notes(path)
    learn, kept = clips_of(name)
    recipe = notes["recipe"]
    wanted, templates = measures.pairs(kept), learn
    if name == "fsdd":  # of 1,500 pairs those of first recordings, of 2,700 templates 600
        wanted = [p for p in wanted if p.source.name.endswith("_0")]
        templates = [c for c in learn if int(c.name.rsplit("_", 1)[1]) < 15]
    codes = codes_of(model, learn + kept)
    k = model.quantizer.codebook_size
    used = vq.usage([codes[c.name] for c in learn], k)
    tables = [table(model, learn, wanted, templates, seed) for seed in SEEDS[name]]
    rows = {
        row: {column: float(np.median([t[row][column] for t in tables])) for column in columns}
        for row, columns in tables[0].items()
    }
    each = [{c: round(v, 2) for c, v in t["converted"].items() if c != "clips"} for t in tables]
    shipped = path.parent == weights.path("vq_prior").parent
    line = "python training/vq_speech.py train training/{0}.toml --out runs/{0}"
    command = " && ".join(line.format(recipe) for recipe in RECIPES[name]) + " --ship"
    card = {
        "data": f"{name}: {len(learn)} clips to learn from, {len(kept)} held out",
        "command": command if shipped else "training/vq_speech.py with the recipe below",
        "starts from": recipe.get("model_from", recipe["voice"].get("init_from", "nothing")),
        "processor minutes of each stage on one core": notes["minutes"],
        "weights": sum(w.numel() for w in model.parameters()),
        "codes a second": 50,
        "perplexity of codes": round(used.perplexity, 1),
        "codes used": f"{used.used} of {k}",
        "speaker judge's accuracy on held-out recordings %": round(
            100 * measures.SpeakerClassifier(learn).accuracy(kept), 1
        ),
        "conversion is the median over noise seeds": list(SEEDS[name]),
        "conversion, held out": {
            row: {column: round(value, 2) for column, value in columns.items()}
            for row, columns in rows.items()
        },
        "converted, with each noise seed": each,
    }
    if name == "spoken_digits":
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
    command.add_argument("--until", choices=STAGES)
    commands.add_parser("prior")
    command = commands.add_parser("words")
    command.add_argument("--out", type=Path, required=True)
    command = commands.add_parser("measure")
    command.add_argument("corpus", choices=tuple(RECIPES), nargs="?", default="spoken_digits")
    command.add_argument("--weights", type=Path, help="by default those that ship")
    given = parser.parse_args()
    if given.what == "prior":
        prior()
    elif given.what == "words":
        words(given.out)
    elif given.what == "measure":
        measure(given.corpus, given.weights or weights.path(f"vq_{given.corpus}"))
    else:
        recipe = tomllib.loads(given.recipe.read_text(encoding="utf-8"))
        model = train(recipe, given.out, given.resume, given.until)
        if given.until is None:
            path = weights.path(f"vq_{recipe['corpus']}")
            path = path if given.ship else given.out / path.name
            minutes = minutes_of(given.out)
            if "model_from" in recipe:  # what went before counts, too
                before = weights.notes(recipe["model_from"])["minutes"]
                minutes = before | {f"{stage}, second run": m for stage, m in minutes.items()}
            export(model, recipe, path, minutes)
            print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
