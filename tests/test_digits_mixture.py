"""The teacher with a mixture and its student: what is measured of them, and that the card is about the recipes."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from minigen import conditioning
from minigen.parallel_wavenet import Student
from minigen.speech import corpus, voice
from minigen.speech.recipe import Recipe

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location(
    "digits_mixture", ROOT / "training" / "digits_mixture.py"
)
mixture = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(mixture)


@pytest.fixture
def teacher(monkeypatch):
    """An untrained teacher with three components; only a few clips are held out."""
    kept = corpus.held_out()[1][:2]
    monkeypatch.setattr(corpus, "held_out", lambda: ([], kept))
    torch.manual_seed(0)
    size = {"residual": 4, "skip": 4, "layers": 3, "cond_channels": 24, "lpc_order": 2}
    made = voice.TeacherVoice.build(
        conditioning.DIGITS, **size, min_log_scale=-8.4, mixture=3, hidden=8
    )
    return made.eval().requires_grad_(False)


@pytest.mark.parametrize("logits, count, alone", [([0.0, 0, -99], 2.0, 0), ([9, 0, 0], 1.0, 100)])
def test_components_of_known_weights(teacher, logits, count, alone):
    teacher.wavenet.output_projection.bias[6:] = torch.tensor(logits)
    found = mixture.components(teacher, 0.001)
    assert found["of"] == 3 and found["that count, on average"] == pytest.approx(count, abs=0.01)
    assert found["one weighs over 0.9, % of samples"] == alone


def test_scatter_falls_as_a_mean_does(teacher):
    student = voice.StudentVoice(
        teacher.upsampler, Student(1, 2, 4, cond_channels=24, base="logistic", log_scale=-1.0)
    )
    found = mixture.scatter(student, teacher)
    assert list(found) == ["plain", "stratified", "stratified, sampled entropy"]
    assert 3 < found["plain"]["1"] / found["plain"]["16"] < 5  # √16
    assert found["stratified"]["16"] < 0.6 * found["plain"]["16"]


def test_the_card_is_about_the_recipes_that_are_here():
    card = json.loads(mixture.CARD.read_text())
    for kind in ("teacher", "student"):
        there = ROOT / f"training/digits-mixture-cpu-{kind}.toml"
        assert Recipe.from_dict(card[kind]["recipe"]) == Recipe.read(there, kind)
    assert card["teacher"]["NLL nats"] < 0 and card["teacher"]["components"]["of"] == 4
    spread = card["student"]["kl_spread"]["plain"]
    assert all(2.2 < spread[a] / spread[b] < 3.6 for a, b in (("1", "8"), ("4", "32")))  # √8


def test_the_chapter_says_what_the_card_says():
    """The figures in the prose of chapter 14."""
    card = json.loads(mixture.CARD.read_text())
    teacher, student = card["teacher"], card["student"]
    gain = teacher["NLL nats of the Gaussian teacher"] - teacher["NLL nats"]
    assert round(gain, 2) == 0.02 and teacher["recipe"]["run"]["steps"] == 3200
    assert student["as in ablations.json"]["recognised"] == 26
    assert round(student["kl_spread"]["stratified"]["8"], 1) == 0.2
    assert round(student["kl_spread"]["plain"]["8"], 1) == 0.5
    data = student["recipe"]["data"]
    known = voice.load("teacher").wavenet.receptive_field  # the mixture's teacher has the same body
    terms = data["batch"] * (data["frames"] * conditioning.DIGITS.hop - known)
    assert 11_500 < terms < 12_000 and round(0.2 / terms**0.5, 3) == 0.002
