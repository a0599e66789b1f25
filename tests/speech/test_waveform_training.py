"""Training of the waveform model from a recipe: a student takes over what it shares with its teacher."""

import dataclasses

import pytest
import torch

from minigen import data, weights
from minigen.speech import waveform_training
from minigen.speech.corpus import ANYBODY, as_batch

CLIPS = [dataclasses.replace(c, speaker=ANYBODY) for c in data.spoken_digits("rms", "two")[:2]]


def recipe(kind: str, **more) -> dict:
    """The recipe that ships, for two steps."""
    made = dict(weights.notes(f"waveform_{kind}")["recipe"])
    made["data"] = made["data"] | {"batch": 1, "frames": 30}
    made["run"] = {"steps": 2, "warmup": 1, "every": 1}
    return made | more


def test_a_student_begins_with_what_its_recipe_names(tmp_path):
    made = recipe("student", teacher="waveform_teacher", init_from="waveform_student")
    run = waveform_training.trainer(made, CLIPS, tmp_path)
    shipped, _ = waveform_training.averaged("waveform_student")
    teacher = waveform_training.trained("waveform_teacher")
    state = {name: value.clone() for name, value in run.model.state_dict().items()}
    assert all(torch.equal(state[k], v) for k, v in shipped.items() if k.startswith("student."))
    assert torch.equal(run.model.scale, teacher.scale)
    assert all(
        torch.equal(v, state[f"upsampler.{k}"]) for k, v in teacher.upsampler.state_dict().items()
    )
    run.run()
    after = waveform_training.trained(tmp_path / "checkpoint.safetensors").state_dict()
    moved = [k for k, v in after.items() if not torch.allclose(v, state[k], atol=1e-6)]
    assert moved and all(name.startswith("student.") for name in moved)


def test_a_student_from_nothing_has_its_teachers_scale(tmp_path):
    made = recipe("student", teacher="waveform_teacher")
    made.pop("init_from", None)
    run, teacher = (
        waveform_training.trainer(made, CLIPS, tmp_path),
        waveform_training.trained("waveform_teacher"),
    )
    assert torch.equal(run.model.scale, teacher.scale) and teacher.scale != 1


def test_of_a_checkpoint_the_average_is_taken(tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    weights.save(file, {"model.a": torch.zeros(1), "ema.a": torch.ones(1)}, {"step": 3})
    assert waveform_training.averaged(file) == ({"a": torch.ones(1)}, {"step": 3})


def test_the_nats_of_a_teacher_are_those_of_every_sample_with_its_dither():
    teacher, dither = waveform_training.trained("waveform_teacher"), 0.003
    clips = [
        dataclasses.replace(c, audio=c.audio[:n], f0=c.f0[: n // 80], phones=None)
        for c, n in zip(CLIPS, (1600, 800), strict=True)
    ]
    batches = [as_batch(clip, dither, teacher.spec) for clip in clips]
    parts = [(teacher.log_prob(b).sum(), *teacher.excitation(b)) for b in batches]
    count = sum(e.numel() for _, e, _ in parts)
    plain = sum(torch.distributions.Normal(0, 1).log_prob(e).sum() + d for _, e, d in parts)
    want = -sum(value for value, _, _ in parts) / count, -plain / count
    found = waveform_training.nll(teacher, clips, dither)
    assert torch.allclose(torch.tensor(found), torch.stack([w.squeeze() for w in want]))


def test_a_teacher_begins_calibrated(tmp_path):
    small = {"residual": 4, "skip": 4, "layers": 2, "cycles": 1}
    made = recipe("teacher")
    run = waveform_training.trainer(made | {"model": made["model"] | small}, CLIPS, tmp_path)
    scale = run.model.scale.item()
    again = run.model.calibrate(run.batches(step) for step in range(12))
    assert scale == pytest.approx(again) and scale != 1


def test_first_weights_are_the_seeds_and_the_objective_the_recipes(tmp_path):
    made = recipe("student", teacher="waveform_teacher", objective={"kl": 0.25, "mel": 3.0})
    made.pop("init_from", None)
    runs = [waveform_training.trainer(made | {"seed": s}, CLIPS, tmp_path) for s in (0, 0, 1)]
    first, same, other = (
        run.model.student.flows[0].input_projection.weight.detach() for run in runs
    )
    assert torch.equal(first, same) and not torch.equal(first, other)
    objective = runs[0].objective
    assert (objective.kl, objective.weights["mel"]) == (0.25, 3.0)
