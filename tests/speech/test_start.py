"""Where a run starts: at a linear predictor, or at what its recipe names."""

import pytest
import torch
import toy

from minigen import weights
from minigen.conditioning import DIGITS
from minigen.speech import corpus, start, voice

LEARN = corpus.held_out()[0][::31]  # eleven clips, by all speakers


def begun(name, **changes):
    recipe = toy.recipe(name, **changes)
    torch.manual_seed(recipe.seed)
    model = voice.KINDS[recipe.kind].build(DIGITS, **recipe.model)
    crops = corpus.Crops(LEARN, **recipe.data)
    teacher = start.teacher_for(recipe) if recipe.teacher else None
    start.initialise(model, recipe, crops, teacher)
    return model


def test_a_teacher_starts_at_the_linear_predictor_of_its_crops():
    model = begun("teacher")
    crops = corpus.Crops(LEARN, **toy.raw("teacher")["data"])
    x = torch.cat([crops(step)["audio"] for step in range(100, 110)])
    with torch.no_grad():
        mean = model.wavenet.head.split(model.wavenet(x, torch.zeros(*x.shape[:1], 24, 960)))[0]
    assert (x - mean)[..., 20:].var() < 0.3 * x.var()


def test_a_student_takes_its_teachers_upsampler():
    made = begun("student", teacher=str(weights.path("digits_teacher")))
    for name, value in voice.load("teacher").upsampler.state_dict().items():
        assert torch.equal(made.upsampler.state_dict()[name], value), name


def test_what_does_not_fit_is_refused():
    teacher = str(weights.path("digits_teacher"))
    with pytest.raises(ValueError, match="not those of this model"):
        begun("student", teacher=teacher, start_from=teacher)
    with pytest.raises(ValueError, match="cond_channels is 16"):
        begun("student", teacher=teacher, model={"cond_channels": 16})
    with pytest.raises(ValueError, match="does not hold a teacher"):
        begun("student", teacher=str(weights.path("digits_student")))


def test_the_linear_predictor_is_that_of_sixteen_batches(monkeypatch):
    seen = []
    ask = corpus.Crops.__call__
    monkeypatch.setattr(
        corpus.Crops, "__call__", lambda self, step: seen.append(step) or ask(self, step)
    )
    begun("teacher")
    assert seen == list(range(16))
