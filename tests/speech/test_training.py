"""From a recipe to a file that speaks: training, resuming, exporting, and what each refuses."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
import toy
from torch.utils.tensorboard import SummaryWriter

from minigen import weights
from minigen.speech import corpus, evaluation, synthesis, training, unconditional, voice
from minigen.speech.recipe import Recipe


@pytest.fixture(autouse=True)
def few_clips(monkeypatch):
    """Eleven, by all speakers: features of all 330 take longer than the training."""
    monkeypatch.setattr(training, "held_out", lambda: (corpus.held_out()[0][::31], []))


PAIRS = [
    pytest.param(0, "gaussian", {}, id="gaussian"),
    pytest.param(0, "logistic", {"contrastive": 0.3}, id="logistic-from-gaussian"),
    pytest.param(3, "logistic", {"samples": 4}, id="mixture"),
    pytest.param(2, "gaussian", {"perceptual": 0.5, "kl": 0.5}, id="gaussian-from-mixture"),
]


@pytest.mark.parametrize("k, base, parts", PAIRS)
def test_every_pair_trains_from_a_file_resumes_exactly_and_speaks(tmp_path, k, base, parts):
    training.train(toy.recipe("teacher", model={"mixture": k}), tmp_path / "teacher")
    teacher = str(tmp_path / "teacher" / "checkpoint.safetensors")
    tables = toy.raw("student", model={"base": base}, objective=parts, teacher=teacher)
    (tmp_path / "student.toml").write_text(toy.as_toml(tables))
    read = Recipe.read(tmp_path / "student.toml", "student")
    metrics = training.train(read, tmp_path / "whole")
    training.train(read, tmp_path / "parts", until=2)
    training.train(read, tmp_path / "parts", resume=True)
    files = [tmp_path / name / "checkpoint.safetensors" for name in ("whole", "parts")]
    whole, again = (weights.load(file)[0] for file in files)
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
    assert all(np.isfinite(value) for value in metrics.values())
    extra = {"contrastive": "wrong_kl", "perceptual": "perceptual"}
    assert all((extra[name] in metrics) == (name in parts) for name in extra)
    student, of = voice.load("student", files[0]), voice.load("teacher", teacher)
    assert student.student.base == base and of.wavenet.head.n_params == (3 * k or 2)
    pieces = list(synthesis.stream("one", "awb", model=str(files[0]), voice="digits"))
    spoken = synthesis.speak("one", "awb", model=str(files[0]), voice="digits").audio
    assert np.abs(np.concatenate(pieces) - spoken).max() < 1e-5


@pytest.mark.parametrize("kind", ["teacher", "student"])
def test_what_is_exported_is_the_average_and_not_the_last_weights(tmp_path, kind):
    """Exported == loaded == averaged != raw; a student's frozen part is its teacher's average."""
    run = {"steps": 40, "every": 40, "warmup": 1, "average": 0.25, "rate": 1e-2}
    recipe = toy.recipe("teacher", run=run)
    training.train(recipe, tmp_path / "teacher")
    if kind == "student":
        teacher = str(tmp_path / "teacher" / "checkpoint.safetensors")
        recipe = toy.recipe("student", run=run, teacher=teacher)
        training.train(recipe, tmp_path / kind)
    checkpoint = tmp_path / kind / "checkpoint.safetensors"
    file = tmp_path / "new" / "out.safetensors"
    training.export(checkpoint, file)
    kept = {"recipe", "step", "minutes", "device", "torch"}
    assert weights.notes(file).keys() == kept
    held = weights.load(checkpoint)[0]
    part = lambda prefix: {
        k.removeprefix(prefix): v for k, v in held.items() if k.startswith(prefix)
    }
    averaged, raw = part("ema."), part("model.")
    for found in (weights.load(file)[0], voice.load(kind, file).state_dict()):
        assert found.keys() == averaged.keys()
        assert all(torch.equal(value, averaged[name]) for name, value in found.items())
    assert any(not torch.allclose(raw[name], averaged[name], atol=1e-4) for name in averaged)
    assert voice.recipe_of(kind, file) == recipe
    if kind == "student":
        of = weights.load(teacher)[0]
        for name in averaged:
            if name.startswith("upsampler."):
                assert torch.allclose(averaged[name], of[f"ema.{name}"], atol=1e-6), name
    (stage,) = json.loads(file.with_suffix(".json").read_text())["stages"]
    assert stage.keys() == kept | {"curve"}
    assert Recipe.from_dict(stage["recipe"]) == recipe and stage["step"] == 40
    assert stage["minutes"] >= 0 and stage["curve"]["step"][-1] == 40
    other = "student" if kind == "teacher" else "teacher"
    with pytest.raises(ValueError, match=f"does not hold a {other}"):
        voice.load(other, file)


def test_a_mixture_starts_at_a_gaussian_and_its_card_shows_both_stages(tmp_path):
    """`start_from` takes the body over; each component has the Gaussian's mean, and scales spread around its scale."""
    model = {"mixture": 3, "min_log_scale": -99.0, "layers": 7, "residual": 32}
    start, run = str(weights.path("digits_teacher")), {"steps": 1, "rate": 1e-12}
    recipe = toy.recipe("teacher", model=model, start_from=start, run=run)
    training.train(recipe, tmp_path)
    mixture = voice.load("teacher", tmp_path / "checkpoint.safetensors")
    batch = {"audio": 0.1 * torch.randn(1, 1, 400), "frames": torch.randn(1, 68, 5)}
    batch |= {"speaker": torch.tensor([1]), "phase": torch.randn(1, 6, 400)}
    with torch.no_grad():
        p, q = voice.load("teacher")(batch), mixture(batch)
    means, log_scales, logits = q.chunk(3, dim=1)
    assert torch.allclose(means, p[:, :1].expand_as(means), atol=1e-6)
    middle = log_scales[:, 1:2] + np.log(np.pi / np.sqrt(3))  # a standard deviation
    assert torch.allclose(middle, p[:, 1:], atol=1e-4)
    assert torch.allclose(log_scales[:, ::2] - log_scales[:, 1:2], torch.tensor([[-1.0], [1.0]]))
    assert logits.abs().max() < 1e-6
    training.export(tmp_path / "checkpoint.safetensors", tmp_path / "mixture.safetensors")
    stages = json.loads((tmp_path / "mixture.json").read_text())["stages"]
    assert stages[:-1] == voice.card("teacher")["stages"] and stages[-1]["step"] == 1
    other = toy.recipe("teacher", model=model | {"mixture": 2}, run=run)
    checkpoint = str(tmp_path / "checkpoint.safetensors")
    with pytest.raises(ValueError, match="not those of this model"):  # three components into two
        training.train(dataclasses.replace(other, start_from=checkpoint), tmp_path / "two")


def test_a_crop_that_is_too_short_is_refused_before_the_first_step(tmp_path):
    training.train(toy.recipe("teacher"), tmp_path / "teacher")
    teacher = str(tmp_path / "teacher" / "checkpoint.safetensors")

    def student(frames: int, **objective) -> dict:
        return toy.recipe("student", teacher=teacher, data={"frames": frames}, objective=objective)

    for frames, objective, message in (
        (6, {}, "crop of 6 frames is 480 samples, fewer than the 512 .*raise frames"),
        (3, {"stft": 0.0}, "crop of 3 frames is 240 samples, fewer than the 256 "),
    ):
        with pytest.raises(ValueError, match=message):
            training.train(student(frames, **objective), tmp_path / "refused")
        assert not (tmp_path / "refused").exists()
    looks_back = lambda n: toy.recipe("teacher", model={"lpc_order": n}, data={"frames": 1})
    with pytest.raises(ValueError, match="is 80 samples, fewer than the 81 that each prediction"):
        training.train(looks_back(80), tmp_path / "refused")
    assert np.isfinite(training.train(looks_back(79), tmp_path / "one")["loss"])
    off = {"stft": 0.0, "power": 0.0}  # nothing needs a frame, so nothing is refused, or measured
    assert "stft" not in training.train(student(3, **off), tmp_path / "short")


def test_every_number_of_a_recipe_changes_the_weights(tmp_path):
    """One step each, from the same start: no entry of [data], [objective], [run] or [model] is for nothing."""
    run = {"steps": 2, "every": 2, "warmup": 0, "final": 0.1}
    training.train(toy.recipe("teacher"), tmp_path / "teacher")
    teacher = str(tmp_path / "teacher" / "checkpoint.safetensors")
    changes = {
        "data": {"batch": 2, "frames": 13, "dither": 0.01, "seed": 1, "by_length": True},
        "objective": {"penalty": 1.0, "stft": 0.3, "power": 3.0, "beta": 0.0, "kl": 0.3}
        | {"perceptual": 0.5, "contrastive": 0.3, "window": False},
        "run": {"rate": 1e-4, "warmup": 2, "final": 1.0, "clip": 1e-3, "bf16": True},
        "model": {"log_scale": -5.0, "lpc_order": 4, "layers": 3, "kernel": 3, "base": "logistic"},
        "seed": 1,
    }
    found = {}

    def last(name: str, **change) -> None:
        change = {"run": run} | change
        change["run"] = run | change["run"]
        recipe = toy.recipe("student", teacher=teacher, **change)
        training.train(recipe, tmp_path / name)
        tensors = weights.load(tmp_path / name / "checkpoint.safetensors")[0]
        flat = [v.flatten() for k, v in sorted(tensors.items()) if k.startswith("model.student")]
        found[name] = torch.cat(flat)

    last("usual")
    for table, entries in changes.items():
        for name, value in entries.items() if isinstance(entries, dict) else ((table, entries),):
            last(f"{table}.{name}", **{table: {name: value} if table != "seed" else value})
    usual = found.pop("usual")
    alike = [n for n, w in found.items() if w.shape == usual.shape and torch.equal(w, usual)]
    assert alike == []
    moved = {n: float((w - usual).abs().max()) for n, w in found.items() if w.shape == usual.shape}
    assert all(size > 1e-7 for size in moved.values()), moved


def test_training_says_which_file_or_number_is_wrong(tmp_path):
    out, teacher = tmp_path / "a", str(weights.path("digits_teacher"))
    student = weights.path("digits_student")
    for change, error, message in (
        ({"teacher": "nowhere"}, FileNotFoundError, "no file nowhere.*the recipe's teacher"),
        ({"start_from": "nowhere"}, FileNotFoundError, "no file nowhere.*the recipe's start_from"),
        ({"model": {"hidden": 5}}, ValueError, "hidden is 5 and must be the teacher's, 48"),
        ({"start_from": str(student)}, ValueError, "not those of this model"),
        ({"start_from": str(out / "checkpoint.safetensors")}, ValueError, "which it would write"),
        ({"teacher": str(out / "checkpoint.safetensors")}, ValueError, "which it would write"),
        ({"data": {"frames": 1}}, ValueError, "crop of 1 frames.*raise frames"),
    ):
        with pytest.raises(error, match=message):
            training.train(toy.recipe("student", **{"teacher": teacher} | change), out)
        assert not out.exists()
    recipe = toy.recipe("teacher")
    with pytest.raises(ValueError, match="until is a step"):
        training.train(recipe, out, until=-1)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        training.train(recipe, tmp_path / "file")
    training.train(recipe, out, until=2)
    with pytest.raises(ValueError, match="of another model.*another --out"):
        training.train(toy.recipe("teacher", model={"residual": 8}), out, resume=True)
    with pytest.raises(ValueError, match=r"another recipe \(recipe.data.seed 0 -> 5\)"):
        training.train(toy.recipe("teacher", data={"seed": 5}), out, resume=True)


def test_a_point_of_a_curve_is_the_mean_of_what_was_logged_since_the_last(tmp_path):
    notes = {"recipe": {}, "step": 250, "minutes": 1.26}
    weights.save(tmp_path / "checkpoint.safetensors", {"x": torch.zeros(1)}, notes)
    with SummaryWriter(tmp_path) as writer:
        for step in range(1, 251):
            writer.add_scalar("loss", float(step), step)
    (stage,) = training._stages(tmp_path / "checkpoint.safetensors", set())
    ends = stage["curve"]["step"]
    assert len(ends) == 40 and ends[-1] == 250 and stage["minutes"] == 1.3
    for before, end, value in zip([0, *ends], ends, stage["curve"]["loss"], strict=False):
        assert value == pytest.approx((before + 1 + end) / 2, rel=1e-3)


def test_export_refuses_before_it_writes(tmp_path):
    copy = tmp_path / "copy.safetensors"
    shutil.copy(weights.path("digits_student"), copy)
    (tmp_path / "package.json").write_text('{"name": "mine"}')
    (tmp_path / "folder.safetensors").mkdir()
    before = copy.read_bytes()
    for checkpoint, out, message in (
        (copy, "card.json", "ends in .safetensors"),
        (copy, "folder.safetensors", "ends in .safetensors"),
        (copy, "new/out.safetensors", "no TensorBoard events"),
        (copy, "copy.safetensors", "is the checkpoint itself"),
        (copy, "./copy.safetensors", "is the checkpoint itself"),
        (copy, "package.safetensors", "would replace .*package.json, which is no card"),
        (weights.path("rnn_characters"), "out.safetensors", "is no recipe"),
    ):
        with pytest.raises(ValueError, match=message):
            training.export(checkpoint, tmp_path / out)
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == ["copy.safetensors", "folder.safetensors", "package.json"]
    assert copy.read_bytes() == before
    tensors, notes = weights.load(copy)
    notes["recipe"]["start_from"] = str(copy)
    weights.save(copy, tensors, notes)
    with pytest.raises(ValueError, match="started from itself"):
        training.export(copy, tmp_path / "out.safetensors")


def test_measures_know_mixtures(tmp_path, monkeypatch):
    """KL, entropy and held-out nats of a logistic pair: KL = cross-entropy - entropy, on a density's scale."""
    from minigen.parallel_wavenet import Student
    from minigen.speech import corpus

    training.train(toy.recipe("teacher", model={"mixture": 2}), tmp_path / "teacher")
    teacher = voice.load("teacher", tmp_path / "teacher" / "checkpoint.safetensors")
    student = voice.StudentVoice(
        teacher.upsampler, Student(1, 2, 4, cond_channels=24, base="logistic", log_scale=-4.0)
    )
    kept = corpus.held_out()[1][:2]
    monkeypatch.setattr(corpus, "held_out", lambda: ([], kept))
    kl, entropy = evaluation.student_kl(student, teacher)
    assert entropy == pytest.approx(2 - 4.0, abs=1e-4) and kl > 0.1
    assert -8 < -unconditional.nats(teacher, kept, 0.0005) < 3
