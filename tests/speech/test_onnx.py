"""The student as an ONNX file: the same sound through another runtime, at every length and batch."""

import sys

import numpy as np
import pytest
import torch

from minigen import conditioning, data
from minigen.parallel_wavenet import Student
from minigen.speech import onnx as to_onnx
from minigen.speech import synthesis, voice, waveform_model
from minigen.speech.voice import StudentVoice

pytest.importorskip("onnx", reason='ONNX is optional: pip install "onnx>=1.16"')
ort = pytest.importorskip("onnxruntime", reason="the file is run by onnxruntime, which is not here")


def features(batch: int, n: int, hop: int = 80, size: int = conditioning.FRAME_FEATURES, seed=0):
    dice = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=dice)
    speaker = torch.arange(batch) % 3
    return draw(batch, 1, n * hop), draw(batch, size, n), speaker, draw(batch, 6, n * hop)


def both(model, session, given):
    with torch.no_grad():  # by the voice itself, and never louder than a file can be
        noise, *features = given
        want = model.student(noise, model.upsampler(*features))[0].clamp(-1, 1).numpy()
    named = dict(zip(to_onnx.INPUTS, (value.numpy() for value in given), strict=True))
    return session.run(None, named)[0], want


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    path, model = tmp_path_factory.mktemp("onnx") / "student.onnx", voice.load("student")
    to_onnx.export(model, path)
    return model, path, ort.InferenceSession(str(path))


@pytest.fixture(scope="module")
def waveform(tmp_path_factory):
    path, model = tmp_path_factory.mktemp("onnx") / "waveform.onnx", waveform_model.load()
    to_onnx.export(model, path)
    return model, path, ort.InferenceSession(str(path))


@pytest.mark.parametrize("batch, n, loud", [(1, 2, 1), (1, 20, 1), (1, 77, 50), (3, 41, 1)])
def test_equal_to_pytorch_at_every_length_and_level(shipped, batch, n, loud):
    model, _, session = shipped
    noise, *others = features(batch, n, seed=n)
    got, want = both(model, session, (loud * noise, *others))
    assert (np.abs(want).max() == 1) == (loud > 1)
    assert got.shape == want.shape == (batch, 1, 80 * n)
    assert np.abs(want).max() > 0.05 and np.abs(got - want).max() < 1e-4


def test_says_a_word_like_speak(shipped):
    """From a plan of text to sound without PyTorch but for the noise: what `speak` makes."""
    _, path, session = shipped
    part = conditioning.plan("seven", "slt")
    frames, phase = conditioning.planned_features(*part, conditioning.DIGITS)
    noise = torch.randn(1, 1, phase.shape[1], generator=torch.Generator().manual_seed(0)).numpy()
    given = (noise, frames[None], np.zeros(1, dtype=np.int64), phase[None])
    got = session.run(None, dict(zip(to_onnx.INPUTS, given, strict=True)))[0][0, 0]
    assert np.abs(got - synthesis.speak("seven", voice="digits").audio).max() < 1e-4
    facts = session.get_modelmeta().custom_metadata_map
    assert facts["rate"] == "8000" and facts["hop"] == "80" and facts["base"] == "gaussian"
    assert facts["speakers"] == "slt rms awb" and facts["phones"].startswith("pau ")
    assert path.stat().st_size < 1.5e6


def test_the_waveform_model_makes_the_same_sound(waveform):
    (model, _, session), clip = waveform, data.example()
    mel = conditioning.mel_bands(clip.audio, 8000, 32)
    frames, phase = conditioning.planned_features(mel, clip.f0, model.spec)
    noise = torch.randn(1, 1, phase.shape[1], generator=torch.Generator().manual_seed(0)).numpy()
    given = {"noise": noise, "frames": frames[None], "phase": phase[None]}
    got = session.run(None, given | {"speaker": np.zeros(1, dtype=np.int64)})[0][0, 0]
    want = model.synthesize(mel, clip.f0)
    assert got.shape == want.shape and np.abs(got - want).max() < 1e-4 < want.std()


@pytest.mark.parametrize("kind", ["shipped", "waveform"])
def test_pieces_with_their_context_are_the_whole(request, kind):
    """Which bounds the memory: a piece of 30 frames is given those that its metadata ask for, and no others."""
    model, _, session = request.getfixturevalue(kind)
    if kind == "waveform":
        clip = data.spoken_digits("rms", "seven")[0]
        mel, f0 = np.tile(conditioning.mel_bands(clip.audio, 8000, 32), 3), np.tile(clip.f0, 3)
        part = mel, f0[: mel.shape[1]]
        frames, phase = conditioning.planned_features(*part, model.spec)
    else:
        frames, phase = conditioning.planned_features(
            *conditioning.plan("seven", "slt", 0.5), conditioning.DIGITS
        )
    n = frames.shape[1]
    noise = np.random.default_rng(0).standard_normal((1, phase.shape[1])).astype(np.float32)

    def made(a: int, b: int) -> np.ndarray:
        cut = {"noise": noise[None, :, 80 * a : 80 * b], "phase": phase[None, :, 80 * a : 80 * b]}
        cut |= {"frames": frames[None, :, a:b], "speaker": np.zeros(1, dtype=np.int64)}
        return session.run(None, cut)[0][0, 0]

    context = int(session.get_modelmeta().custom_metadata_map["context"])
    parts = []
    for first in range(0, n, 30):
        a, b = max(0, first - context), min(n, first + 30 + context)
        parts.append(made(a, b)[80 * (first - a) : 80 * (min(n, first + 30) - a)])
    whole = made(0, n)
    assert n > 2 * context and np.abs(np.concatenate(parts) - whole).max() < 1e-3 < whole.std()


@pytest.mark.parametrize("base, taps", [("gaussian", 0), ("logistic", 5)])
def test_other_students(tmp_path, base, taps):
    torch.manual_seed(0)
    upsampler = voice.load("student").upsampler
    student = Student(2, 3, 4, cond_channels=24, lpc_order=taps, log_scale=-2.0, base=base)
    for weight in student.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    model = StudentVoice(upsampler, student).eval().requires_grad_(False)
    to_onnx.export(model, tmp_path / "a.onnx")
    session = ort.InferenceSession(str(tmp_path / "a.onnx"))
    got, want = both(model, session, features(1, 33))
    assert np.abs(got - want).max() < 1e-4
    assert "_predict" not in vars(model.student.flows[0])  # the model is as it was


def test_errors(tmp_path, monkeypatch):
    model = voice.load("student")
    with pytest.raises(ValueError, match=r"end in \.onnx"):
        to_onnx.export(model, tmp_path / "a.bin")
    with pytest.raises(ValueError, match="must be a file in an existing folder"):
        to_onnx.export(model, tmp_path / "none" / "a.onnx")
    with pytest.raises(ValueError, match="not a TeacherVoice"):
        to_onnx.export(voice.load("teacher"), tmp_path / "a.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match='pip install "onnx'):
        to_onnx.export(model, tmp_path / "a.onnx")


def test_the_file_is_of_the_opset_asked_for(tmp_path):
    import onnx

    student = StudentVoice(voice.load("student").upsampler, Student(1, 2, 4, cond_channels=24))
    for asked in ((16,), ()):
        to_onnx.export(student.eval(), tmp_path / "a.onnx", *asked)
        assert onnx.load(tmp_path / "a.onnx").opset_import[0].version == (*asked, 17)[0]
