"""The whole way, at toy size: a teacher with a mixture of logistics, a student that learns from it, a file, a voice."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from minigen import conditioning, weights
from minigen.parallel_wavenet import Student
from minigen.speech import evaluation, voice

ROOT = Path(__file__).parents[1]
TOY = {
    "data": {"batch": 4, "frames": 12, "dither": 0.001, "seed": 0},
    "run": {"steps": 4, "every": 2, "warmup": 1},
}
PAIRS = [
    pytest.param(0, "gaussian", {}, id="gaussian"),
    pytest.param(0, "logistic", {"contrastive": 0.3}, id="logistic-from-gaussian"),
    pytest.param(3, "logistic", {"samples": 4}, id="mixture"),
    pytest.param(2, "gaussian", {"perceptual": 0.5, "kl": 0.5}, id="gaussian-from-mixture"),
]


def recipe(kind: str, **model) -> dict:
    name = "teacher-1" if kind == "teacher" else kind
    made = voice.read_recipe(ROOT / f"training/digits-cpu-{name}.toml", kind)
    return {**made, **TOY, "model": dict(made["model"], layers=2, residual=4, **model)}


def toml(made: dict) -> str:
    """A recipe as the text of a file."""
    write = lambda v: f'"{v}"' if isinstance(v, str) else str(v).lower()
    lines = [f"{k} = {write(v)}" for k, v in made.items() if not isinstance(v, dict)]
    for name, table in made.items():
        if isinstance(table, dict):
            lines += [f"[{name}]", *(f"{k} = {write(v)}" for k, v in table.items())]
    return "\n".join(lines)


@pytest.mark.parametrize("k, base, parts", PAIRS)
def test_every_pair_trains_from_a_file_resumes_exactly_and_speaks(tmp_path, k, base, parts):
    made = recipe("teacher", mixture=k)
    voice.train(made, tmp_path / "teacher")
    pupil = recipe("student", flows=2, base=base)
    pupil["teacher"] = str(tmp_path / "teacher" / "checkpoint.safetensors")
    pupil["objective"] = pupil["objective"] | parts
    (tmp_path / "student.toml").write_text(toml(pupil))
    read = voice.read_recipe(tmp_path / "student.toml", "student")
    assert read == pupil
    watched = voice.train(read, tmp_path / "whole")
    voice.train(read, tmp_path / "parts", until=2)
    voice.train(read, tmp_path / "parts", resume=True)
    files = [tmp_path / name / "checkpoint.safetensors" for name in ("whole", "parts")]
    whole, again = (weights.load(file)[0] for file in files)
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
    assert all(np.isfinite(value) for value in watched.values())
    extra = {"contrastive": "wrong_kl", "perceptual": "perceptual"}
    assert all((extra[name] in watched) == (name in parts) for name in extra)
    student = voice.load("student", files[0])
    teacher = voice.load("teacher", pupil["teacher"])
    assert student.student.base == base and teacher.wavenet.head.n_params == (3 * k or 2)
    cond = voice.conditioning_for(student, [conditioning.plan("one", "awb")], "awb")
    assert np.isfinite(voice.say(student, cond[..., :400])).all()
    pieces = list(voice.stream("one", "awb", model=str(files[0])))
    spoken = voice.speak("one", "awb", model=str(files[0])).audio
    assert np.abs(np.concatenate(pieces) - spoken).max() < 1e-5


def test_a_mixture_starts_at_a_gaussian_and_its_card_tells(tmp_path):
    """`start_from` takes the body over; each component has the Gaussian's mean, and scales spread around its scale."""
    made = recipe("teacher", mixture=3, min_log_scale=-99.0)
    made["model"] = dict(made["model"], layers=7, residual=32)
    made["start_from"] = str(weights.path("digits_teacher"))
    made["run"] = {"steps": 1, "rate": 1e-12}
    voice.train(made, tmp_path)
    mixture = voice.load("teacher", tmp_path / "checkpoint.safetensors")
    gaussian = voice.load("teacher")
    batch = voice.as_batch(voice.held_out()[1][0], dither=0.001)
    with torch.no_grad():
        p, q = gaussian(batch), mixture(batch)
    means, log_scales, logits = q.chunk(3, dim=1)
    assert torch.allclose(means, p[:, :1].expand_as(means), atol=1e-6)
    middle = log_scales[:, 1:2] + math.log(math.pi / math.sqrt(3))  # a standard deviation
    assert torch.allclose(middle, p[:, 1:], atol=1e-4)
    assert torch.allclose(log_scales[:, ::2] - log_scales[:, 1:2], torch.tensor([[-1.0], [1.0]]))
    assert logits.abs().max() < 1e-6
    voice.export(tmp_path / "checkpoint.safetensors", tmp_path / "mixture.safetensors")
    stages = json.loads((tmp_path / "mixture.json").read_text())["stages"]
    assert stages[:-1] == voice.card("teacher")["stages"] and stages[-1]["step"] == 1
    other = voice.TeacherVoice.build(made["model"] | {"mixture": 2})
    with pytest.raises(ValueError, match="not those of this model"):  # three components into two
        voice._start_from(other, str(tmp_path / "checkpoint.safetensors"))


def test_measures_know_mixtures(tmp_path, monkeypatch):
    """KL, entropy and held-out nats of a logistic pair: KL = cross-entropy - entropy, on a density's scale."""
    voice.train(recipe("teacher", mixture=2), tmp_path / "teacher")
    teacher = voice.load("teacher", tmp_path / "teacher" / "checkpoint.safetensors")
    student = voice.StudentVoice(
        teacher.upsampler, Student(1, 2, 4, cond_channels=24, base="logistic", log_scale=-4.0)
    )
    kept = voice.held_out()[1][:2]
    monkeypatch.setattr(voice, "held_out", lambda: ([], kept))
    kl, entropy = evaluation.student_kl(student, teacher)
    assert entropy == pytest.approx(2 - 4.0, abs=1e-4) and kl > 0.1
    assert -8 < evaluation.held_out_nll(teacher, 0.0005) < 3


def command(*arguments, cwd) -> subprocess.CompletedProcess:
    code = "import sys; sys.argv[0] = 'minigen'; from minigen.cli import main; main()"
    call = [sys.executable, "-c", code, *arguments]
    return subprocess.run(call, cwd=cwd, capture_output=True, text=True, check=False)


def test_command_streams_and_exports(tmp_path):
    done = command("speak", "one two", "--stream", "--out", "a.wav", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "first piece after" in done.stdout.replace("\n", " ")
    x, rate = soundfile.read(tmp_path / "a.wav")
    want = voice.speak("one two").audio
    assert rate == 8000 and x.shape == want.shape and np.abs(x - want).max() < 1e-4
    pytest.importorskip("onnx", reason='ONNX is optional: pip install "onnx>=1.16"')
    file = str(weights.path("digits_student"))
    done = command("export", file, "student.onnx", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "student.onnx").stat().st_size > 100_000
    file = str(weights.path("digits_teacher"))
    done = command("export", file, "teacher.onnx", cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
