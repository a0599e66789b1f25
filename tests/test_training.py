"""The training scripts at toy size: they run, by the one loop, and keep the best of the averages."""

import importlib.util
import json
import shutil
import sys
import tomllib
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace

import jupytext
import nbformat
import numpy as np
import pytest
import torch
from torch import nn

from minigen import audio, data, results, vae, vq, weights
from minigen.made import MADE
from minigen.speech import corpus, evaluation
from minigen.speech.acoustic_training import AcousticCrops
from minigen.speech.sentence_evaluation import Synthesized
from minigen.train import TrainConfig

FOLDER = Path(__file__).parents[1] / "training"
sys.path.insert(0, str(FOLDER))
import common


def test_fit_learns_and_keeps_the_best_average():
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 50)[:, None]
    model, seen = nn.Linear(1, 1), []

    def error(model):
        seen.append(nn.functional.mse_loss(model(x), 3 * x).item())
        return seen[-1] if len(seen) < 4 else 1.0  # the last look is the worst

    best = common.fit(
        model,
        lambda model, batch: nn.functional.mse_loss(model(batch["x"]), 3 * batch["x"]),
        lambda step, generator: {"x": common.rows(x, 8, generator)},
        TrainConfig(40, rate=0.1, warmup=1, every=10),
        error,
    )
    assert best == {
        "validation": round(min(seen[:3]), 5),
        "step": 10 * (1 + seen.index(min(seen[:3]))),
    }
    assert nn.functional.mse_loss(model(x), 3 * x).item() == pytest.approx(min(seen[:3]))
    assert not model.training and seen[2] < 0.5 * seen[0]


def test_the_notebook_for_a_gpu_is_its_source_and_asks_for_one():
    """It is not run here; its cells compile, and a change of the source is carried over: see its last line."""
    source = jupytext.read(FOLDER / "train_on_a_gpu.md")
    notebook = nbformat.read(FOLDER / "train_on_a_gpu.ipynb", as_version=4)
    cells = lambda nb: [(cell.cell_type, cell.source) for cell in nb.cells]
    assert cells(notebook) == cells(source), "jupytext --to ipynb training/train_on_a_gpu.md"
    assert notebook.metadata["accelerator"] == "GPU"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            compile(cell.source, "cell", "exec")
            assert not cell.outputs


# ---------------------------------------------------------------- each script, from its command line


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Weights and tables that ship, as a copy that a script may write into."""
    for package in (weights, results):
        folder = Path(package.__file__).parent
        copy = tmp_path / folder.name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        monkeypatch.setattr(package, "__file__", str(copy / "__init__.py"))
    return tmp_path


def load(name):
    """A script as a module of its own, which finds weights and tables where they lie now."""
    spec = importlib.util.spec_from_file_location(f"toy_{name}", FOLDER / f"{name}.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def recipe_of(name, **changes):
    """A recipe of training/, with some of its tables' entries changed."""
    recipe = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    return recipe | {table: recipe[table] | entries for table, entries in changes.items()}


def run(name, *arguments, monkeypatch, **constants):
    """A script's `main`, after these of its constants have been made small."""
    script = load(name)
    for constant, value in constants.items():
        before = getattr(script, constant)
        monkeypatch.setattr(script, constant, before | value if type(before) is dict else value)
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    script.main()


def few(monkeypatch, count=2):
    """Every corpus is a few clips of each speaker of spoken_digits."""
    learn, kept = corpus.held_out()
    kept = sorted(kept, key=lambda clip: clip.text != "seven")
    learn, kept = (
        [c for who in ("slt", "rms", "awb") for c in [c for c in part if c.speaker == who][:count]]
        for part in (learn, kept)
    )
    monkeypatch.setattr(corpus, "held_out", lambda *_: (learn, kept))
    return learn, kept


def form(value, path=""):
    """{path of names: kind of value} of a card; recipes and curves have their own tests."""
    if isinstance(value, dict) and not path.endswith(("/recipe", "/curve")):
        return {k: v for name in value for k, v in form(value[name], f"{path}/{name}").items()}
    if isinstance(value, list) and value and isinstance(value[0], dict | list):
        return form(value[0], f"{path}[]")
    kind = "number" if isinstance(value, int | float) else type(value).__name__
    return {path: kind}


def card(folder, name, ships=None):
    """A card that a run wrote: it says what the one that ships says, of as many cases or fewer."""
    read = lambda path: json.loads(path.read_text(encoding="utf-8"))
    found, package = read(folder / f"{name}.json"), Path(data.__file__).parents[1]
    for room in ("weights", "results"):
        if (path := package / room / f"{ships or name}.json").exists():
            assert found.keys() == read(path).keys()
            assert form(found).items() <= form(read(path)).items()
    return found


VALIDATION, TEST = 7, 5  # pictures; a batch has 64


@pytest.fixture
def few_digits(monkeypatch):
    """Some pictures, of whose parts each has its own number -> a function that notes how many are looked at."""
    digits = data.digits()
    parts = np.split(np.arange(40 + VALIDATION + TEST), [40, 40 + VALIDATION])
    split = dict(zip(("train", "validation", "test"), parts, strict=True))
    monkeypatch.setattr(data, "digits", lambda: digits._replace(split=split))

    def watch(owner, name):
        whole, seen = getattr(owner, name), []

        def watched(model, x, *rest, **options):
            if not torch.is_grad_enabled():
                seen.append(len(x))
            return whole(model, x, *rest, **options)

        monkeypatch.setattr(owner, name, watched)
        return seen

    return watch


def chosen_then_tested(seen):
    """A step is chosen by the validation part, what was chosen is measured on the test part: of each seed."""
    return [size for size, _ in groupby(seen)] == [VALIDATION, TEST] * 3


def test_made_digits(shipped, few_digits, monkeypatch):
    seen = few_digits(MADE, "conditionals")
    run(
        "made_digits",
        monkeypatch=monkeypatch,
        EVERY=2,
        RUN={"steps": 2, "hidden": [8], "orders": 2},
    )
    assert len(card(shipped / "results", "made_digits")["seeds"]) == 3
    assert chosen_then_tested(seen)


def test_vae_digits(shipped, few_digits, monkeypatch):
    small = {"MODEL": {"hidden": [8]}, "RUN": {"steps": 2}, "EVERY": 2}
    seen = few_digits(vae, "elbo")
    run("vae_digits", monkeypatch=monkeypatch, **small, POSTERIORS={"planar": {"flow": "planar"}})
    assert all(chosen_then_tested(seen[first : first + 6]) for first in (0, 6, 12))
    assert card(shipped / "weights", "vae_digits")["run"]["steps"] == 2
    assert weights.load("vae_digits")[1]["model"]["hidden"] == [8]


def test_vae_mnist(tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (1100, 28, 28))
    mnist = SimpleNamespace(train_images=images, test_images=images[:60])
    monkeypatch.setattr(data, "mnist", lambda: mnist)
    config = TrainConfig(steps=2, every=1)
    small = {"CONFIG": config, "MODEL": {"hidden": [8], "latent_dim": 2}, "BATCH": 4}
    run("vae_mnist", "iaf", "--out", tmp_path, "--samples", 2, monkeypatch=monkeypatch, **small)
    assert set(card(tmp_path, "result")) == {"validation", "test"}


def test_vae_words(shipped, monkeypatch):
    few(monkeypatch)
    small = {"RUN": {"steps": 2}, "MODEL": {"hidden": [8]}, "STEPS": np.linspace(-1, 1, 2)}
    run("vae_words", monkeypatch=monkeypatch, **small)
    assert set(weights.load("vae_words")[1]["spearman"]) == {"tempo", "pitch", "voice", "accent"}


def test_vq_digits(shipped, few_digits, monkeypatch):
    seen = few_digits(vq.VQVAE, "encode")
    run("vq_digits", monkeypatch=monkeypatch, EVERY=2, RUN={"steps": 2})
    assert len(card(shipped / "weights", "vq_digits")["seeds"]) == 3
    assert chosen_then_tested(seen)


def test_the_prior_of_vq_speech(shipped, monkeypatch):
    few(monkeypatch)
    run("vq_speech", "prior", monkeypatch=monkeypatch, RUN={"steps": 2}, PRIOR={"hidden": 8})
    assert weights.load("vq_prior")[1]["run"]["steps"] == 2


def test_rnn(shipped, monkeypatch):
    script = load("rnn")
    batches, sizes, run = script.RUNS["seven"]
    monkeypatch.setitem(script.RUNS, "seven", (batches, sizes | {"hidden": 8}, run | {"steps": 2}))
    script.train("seven")
    assert card(shipped / "weights", "rnn_seven")["model"]["hidden"] == 8


def test_the_recurrent_models_are_measured_on_what_they_never_saw():
    script = load("rnn")
    assert len(script.held_out("characters")[0]) == len(data.book_text()[1])
    (x,) = script.held_out("seven")
    known = script.RUNS["seven"][0]()(0, torch.Generator())["x"]
    assert len(known) == 11 and not (known[:, 300:] == x[300:512]).float().mean(1).max() > 0.9


def test_sentences_are_kept_as_they_were_made(shipped, tmp_path, monkeypatch):
    script = load("sentences")
    clip = replace(data.example(), name=script.CLIPS[0])
    made = [
        Synthesized(clip, condition, np.full(800, 0.1 * k), clip.f0)
        for k, condition in enumerate(script.CONDITIONS)
    ]
    made.append(replace(made[0], clip=data.example()))  # a sentence that the book does not play
    monkeypatch.setattr(script, "AUDIO", tmp_path)
    monkeypatch.setattr(
        script, "sentence_table", lambda *_, **__: ({"nats": {"teacher": -1.0}}, made)
    )
    monkeypatch.setattr(sys, "argv", ["sentences", "phones.tsv"])
    script.main()
    assert results.read("sentences")["nats"] == {"teacher": -1.0}
    names = [f"allison_{clip.name}_{script.SHORT[c]}.wav" for c in script.CONDITIONS]
    assert sorted(names) == sorted(path.name for path in tmp_path.glob("*.wav"))
    levels = [audio.load(tmp_path / name)[0].mean() for name in names]
    assert np.allclose(levels, [0, 0.1, 0.2, 0.3], atol=1e-3)


def test_phone_classifier(tmp_path, monkeypatch):
    few(monkeypatch, 12)
    out = tmp_path / "net.safetensors"
    run("phone_classifier", "--steps", 2, "--out", out, monkeypatch=monkeypatch, CHANNELS=4)
    assert weights.load(out)[1]["steps"] == 2 and card(tmp_path, "net")["channels"] == 4


def test_wavenet(tmp_path, monkeypatch):
    few(monkeypatch)
    monkeypatch.setattr(TrainConfig, "decay", 0.5)  # of two steps the average is not the last
    recipe = recipe_of(
        "wavenet-cpu",
        model={"residual": 4, "skip": 4, "layers": 2, "cycles": 1},
        heads_run={"steps": 2},
        conditional_run={"steps": 2, "every": 1},
        conditional={"checkpoints": [0, 2]},
    )
    recipe["heads_seeds"] = [3]
    script, seeds = load("wavenet"), []
    crops = lambda *given, seed, **more: (
        seeds.append(seed) or corpus.Crops(*given, seed=seed, **more)
    )
    monkeypatch.setattr(script, "Crops", crops)
    script.train_heads(recipe, tmp_path / "heads", tmp_path)
    assert [row["head"] for row in card(tmp_path, "wavenet_heads")["heads"]] == list(
        recipe["heads"]
    )
    assert seeds == [seed for seed in recipe["heads_seeds"] for _ in recipe["heads"]]
    first = tmp_path / "heads" / f"mu_law_{recipe['heads_seeds'][0]}" / "checkpoint.safetensors"
    kept, shipped = (weights.load(f)[0] for f in (first, tmp_path / "wavenet_mu_law.safetensors"))
    assert all(torch.equal(kept[f"ema.{name}"], value) for name, value in shipped.items())
    assert any((kept[f"model.{name}"] != value).any() for name, value in shipped.items())
    script.train_checkpoints(recipe, tmp_path / "steps", tmp_path)
    assert [row["step"] for row in card(tmp_path, "wavenet_checkpoints")["checkpoints"]] == [0, 2]


def test_waveform_model(tmp_path):
    small = {"hidden": 4, "cond_channels": 9, "residual": 4, "layers": 2}
    changes = {"run": {"steps": 2, "every": 1}, "corpus": {"minutes": {"spoken_digits": 1}}}
    script = load("waveform_model")
    learn, kept = script.clips_of({"rate": 8000, "minutes": {"spoken_digits": 1}})
    assert 30 < sum(clip.duration for clip in learn) < 90 and kept
    for kind, sizes in (("teacher", {"skip": 4, "cycles": 1}), ("student", {"flows": 1})):
        recipe = recipe_of(f"waveform-cpu-{kind}", model=small | sizes, **changes)
        if kind == "student":
            recipe["teacher"] = str(tmp_path / "teacher.safetensors")
        script.trainer(recipe, script.clips_of(recipe["corpus"])[0], tmp_path / kind).run()
        script.export(tmp_path / kind, tmp_path / f"{kind}.safetensors")
        assert weights.load(tmp_path / f"{kind}.safetensors")[1]["step"] == 2
        row = card(tmp_path, kind, ships=f"waveform_{kind}")
        assert row["stages"][0]["curve"]["step"][-1] == 2
    assert set(script.held_out_nll(tmp_path / "teacher.safetensors")) == {
        "spoken_digits",
        "spoken_digits, no network",
    }


@pytest.mark.parametrize("resume", [False, True])
def test_the_waveform_models_command_line_does_what_it_is_asked(resume, tmp_path, monkeypatch):
    asked, script = [], load("waveform_model")
    run = SimpleNamespace(run=lambda resume: asked.append(resume))
    monkeypatch.setattr(script, "clips_of", lambda corpus: (["learn", corpus], ["held out"]))
    monkeypatch.setattr(script, "trainer", lambda *given: asked.append(given) or run)
    monkeypatch.setattr(script, "export", lambda *given: asked.append(given))
    path, out = FOLDER / "waveform-cpu-teacher.toml", tmp_path / "run"
    for line in (["train", path, "--out", out, *["--resume"] * resume], ["export", out, "to"]):
        monkeypatch.setattr(sys, "argv", ["", *map(str, line)])
        script.main()
    recipe = recipe_of("waveform-cpu-teacher")
    trained = (recipe, ["learn", recipe["corpus"]], out)
    assert asked == [trained, resume, (out, Path("to"))]


def test_minutes_of_a_run_are_those_of_its_stages(tmp_path):
    for stage, minutes in (("codes", 12.34), ("waveform", 90.0)):
        file = tmp_path / stage / "checkpoint.safetensors"
        file.parent.mkdir()
        weights.save(file, {"x": torch.zeros(1)}, {"minutes": minutes})
    assert load("vq_speech").minutes_of(tmp_path) == {"codes": 12.3, "waveform": 90.0}


def test_flows_quality(shipped, monkeypatch):
    script = load("flows_quality")
    whole = script.minimise
    short = lambda flow, loss, batches, steps, *rest, **options: whole(
        flow, loss, batches, 2, *rest, **options | {"every": 2}
    )
    monkeypatch.setattr(script, "minimise", short)
    for part, case in (("plane", 0), ("energies", 1), ("digits", 0)):
        function, cases = script.RUNS[part]
        monkeypatch.setitem(script.RUNS, part, (function, [cases[case]]))
    monkeypatch.setattr(sys, "argv", ["flows_quality", "--seeds", "1", "--ship"])
    script.main()
    runs = card(shipped / "results", "flows_quality")["runs"]
    assert [run["seed"] for run in runs["U1, planar_8"]] == [0]
    assert weights.load("flows_U1_planar_8")[1]["seed"] == 0


def test_each_plane_has_the_density_that_its_sampler_draws_from():
    """It integrates to one, and its mean logarithm over samples is that over the density."""
    for name, plane in load("flows_quality").PLANES.items():
        edge = torch.arange(-plane.extent - 1, plane.extent + 1, 0.05, dtype=torch.float64) + 0.025
        log_p = plane.log_prob(torch.cartesian_prod(edge, edge))
        p = log_p.exp() * 0.05**2
        assert p.sum().item() == pytest.approx(1, abs=2e-3), name
        drawn = plane.log_prob(plane.sample(20_000, torch.Generator().manual_seed(0)))
        want = (p * log_p.clamp(min=-99)).sum().item()
        assert drawn.mean().item() == pytest.approx(want, abs=0.03), name


def test_acoustic_model(shipped, tmp_path, monkeypatch):
    learn, kept = few(monkeypatch, 4)
    monkeypatch.setattr(data, "allison", lambda phones: learn + kept)
    small = {"HIDDEN": 4, "AcousticCrops": partial(AcousticCrops, batch=2, frames=20)}
    arguments = ("table.tsv", "--out", tmp_path / "run", "--minutes", 0.02)
    run("acoustic_model", *arguments, monkeypatch=monkeypatch, **small)
    assert weights.load("allison_acoustic")[1]["acoustic"]["hidden"] == 4


def test_ablations(tmp_path, monkeypatch):
    few(monkeypatch)
    small = {"MODEL": {"flows": 1, "layers": 2, "residual": 4}, "DATA": {"batch": 2}}
    table = tmp_path / "table.json"
    monkeypatch.setattr(evaluation, "recognised", lambda waves: (1, 2, None))
    monkeypatch.setattr(evaluation, "synthesize_digits", lambda *_, **__: [])
    arguments = ("--only", "full", "--steps", 2, "--runs", tmp_path / "runs", "--table", table)
    run("ablations", *arguments, monkeypatch=monkeypatch, **small, CLIPS=tmp_path / "clips")
    assert card(tmp_path, "table")["runs"]["full"]["steps"] == 2


def test_every_script_is_run_here():
    """digits_mixture only measures: test_digits_mixture."""
    text = Path(__file__).read_text(encoding="utf-8")
    measure = {"common", "digits_mixture"}
    missing = [p.stem for p in FOLDER.glob("*.py") if p.stem not in text and p.stem not in measure]
    assert not missing
