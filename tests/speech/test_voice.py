"""The voices that ship, their cards and recipes."""

import os

import pytest
import torch

from minigen import conditioning, weights
from minigen.speech import voice
from minigen.speech.recipe import Recipe


@pytest.mark.parametrize("kind", voice.KINDS)
def test_shipped_weights_are_small_and_say_how_they_came_about(kind):
    path = weights.path(f"digits_{kind}")
    assert path.stat().st_size <= 2e6
    recipe, notes = voice.recipe_of(kind), weights.notes(path)
    assert recipe.kind == kind and notes["step"] == recipe.run.steps
    model = voice.load(kind)
    assert model.spec == conditioning.DIGITS and not model.training
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert not any(weight.requires_grad for weight in model.parameters())
    *_, last = voice.card(kind)["stages"]
    assert Recipe.from_dict(last["recipe"]) == recipe and last["step"] == notes["step"]
    assert last["minutes"] > 1 and last["curve"]["step"][-1] == last["step"]


def test_a_student_has_its_teachers_upsampler():
    student, teacher = (voice.load(kind) for kind in ("student", "teacher"))
    assert student.spec == teacher.spec
    pairs = zip(student.upsampler.parameters(), teacher.upsampler.parameters(), strict=True)
    assert all(torch.allclose(mine, theirs, atol=1e-5) for mine, theirs in pairs)


@pytest.mark.parametrize("mixture", [0, 2])
def test_a_teacher_is_built_of_the_sizes_and_the_head_that_its_recipe_names(mixture):
    sizes = {"residual": 4, "skip": 5, "layers": 3, "cycles": 2, "kernel": 3, "cond_channels": 9}
    made = voice.TeacherVoice.build(conditioning.DIGITS, 6, -3.5, mixture, **sizes)
    net = made.wavenet
    assert net.head.min_log_scale == -3.5 and net.head.n_params == (3 * mixture or 2)
    assert (net.receptive_field, net.cond_channels) == (1 + 2 * (2 + 4 + 8), 9)
    assert (net.hidden.in_channels, made.upsampler.channels) == (5, 9)


def test_a_loaded_voice_is_fresh_and_a_shared_one_the_same_until_its_file_changes(tmp_path):
    assert voice.load() is not voice.load() and voice.shared() is voice.shared()
    file = tmp_path / "mine.safetensors"
    tensors, notes = weights.load("digits_student")
    weights.save(file, tensors, notes)
    first = voice.shared("student", file)
    assert voice.shared("student", file) is first
    tensors["student.flows.0.output_projection.bias"] += 1.0
    weights.save(file, tensors, notes)
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    other = voice.shared("student", file).student.flows[0].output_projection.bias
    assert torch.allclose(other, first.student.flows[0].output_projection.bias + 1)


def test_a_bad_recipe_in_a_file_of_weights_is_one_line(tmp_path):
    tensors, notes = weights.load("digits_student")
    file = tmp_path / "bad.safetensors"
    recipe = notes["recipe"]
    for bad, message in (
        ({}, "does not hold a student"),
        ({"model": {}}, r"\[model\] lacks"),
        (recipe | {"model": recipe["model"] | {"flows": 10**6}}, "flows must be from 1 to 64"),
        (recipe | {"model": recipe["model"] | {"layers": 5}}, "not those of this model"),
        (recipe | {"objective": {"stft": -1.0}}, "stft must be at least 0"),
        (recipe | {"run": 3}, r"\[run\] is a table, not 3"),
    ):
        bad = bad if bad == {} or "kind" in bad else recipe | bad
        weights.save(file, tensors, notes | {"recipe": bad})
        with pytest.raises((ValueError, TypeError), match=message) as caught:
            voice.load("student", file)
        assert "\n" not in str(caught.value)


def test_wrong_names_are_refused():
    for call, message in (
        (lambda: voice.load("teecher"), "no model 'teecher'"),
        (lambda: voice.card("bob"), "no model 'bob'"),
        (lambda: voice.check_speaker(conditioning.DIGITS, "bob"), "choose one of slt"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_teacher_sees_conditioning_and_the_past():
    """Params at t depend on conditioning up to t and audio before t."""
    teacher, draw = voice.load("teacher"), torch.Generator().manual_seed(0)
    sizes = {"audio": (1, 800), "frames": (68, 10), "phase": (6, 800)}
    batch = {k: torch.randn(1, *n, generator=draw).requires_grad_() for k, n in sizes.items()}
    teacher(batch | {"speaker": torch.tensor([1])})[0, :, 400].sum().backward()
    seen = {k: batch[k].grad.abs().sum((0, 1)).nonzero().flatten().tolist() for k in sizes}
    first = 400 - teacher.wavenet.receptive_field
    assert (seen["audio"][-1], seen["phase"][-1]) == (399, 400) and seen["audio"][0] >= first
    assert {4, 5} <= set(seen["frames"])  # either side of 5 ms past the middle of frame 4
