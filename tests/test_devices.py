"""Every training path on a device that is not there: no tensor of the CPU strays in, and nothing is float64."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
import toy
from device_check import Pretended, device, one_step
from torch import nn

from minigen import data
from minigen.conditioning import DIGITS
from minigen.distillation import DistillationLoss
from minigen.speech import corpus
from minigen.speech.acoustic_model import AcousticModel
from minigen.speech.acoustic_training import AcousticCrops, AcousticLoss, bands_and_features
from minigen.speech.objectives import Likelihood
from minigen.speech.voice import KINDS
from minigen.speech.waveform_model import (
    ExcitationLikelihood,
    ExcitationStudent,
    ExcitationTeacher,
)

SIZES = {"layers": 2, "residual": 4, "hidden": 8, "cond_channels": 12}
CLIPS = data.spoken_digits("rms", "two")[:2]


class Broken(nn.Module):
    """An objective with one of the two mistakes."""

    def __init__(self, mistake: str) -> None:
        super().__init__()
        self.model, self.mistake = nn.Linear(3, 1), mistake

    def forward(self, batch):
        y = self.model(batch["x"])
        if self.mistake == "device":
            y = y + torch.ones(3, 1)
        elif self.mistake == "float64":
            y = y.double()
        return y.square().mean(), {}


def test_the_check_finds_what_it_is_for():
    batch = {"x": torch.ones(3, 3)}
    with pytest.raises(RuntimeError, match="a tensor .* of the CPU"):
        one_step(Broken("device"), batch)
    with pytest.raises(RuntimeError, match="float64"):
        one_step(Broken("float64"), batch)
    torch.manual_seed(0)
    right = Broken("")
    want = right(batch)[0].item()
    assert one_step(right, batch) == pytest.approx(want, rel=1e-6)
    with device():
        made = torch.zeros(2, device=Pretended(torch.ones(1)).device)
    assert isinstance(made, Pretended)


def objective(path: str):
    """-> objective, batch, of a training path at toy size."""
    torch.manual_seed(0)
    if path == "acoustic model":
        names = sorted({name for clip in CLIPS for name, _, _ in clip.phones} | {"pau"})
        model = AcousticModel(names, hidden=8, dilations=(1,), dropout=0.1)
        pairs = [bands_and_features(model, clip) for clip in CLIPS]
        return AcousticLoss(model), AcousticCrops(pairs, 2, 20)(0)
    clips = [dataclasses.replace(clip, speaker=corpus.ANYBODY) for clip in CLIPS]
    teacher = ExcitationTeacher(**SIZES, skip=4, cycles=1)
    batch = corpus.Crops(clips, 2, 30, 5e-4, spec=teacher.spec)(0)
    if path == "waveform teacher":
        return ExcitationLikelihood(teacher), batch
    student = ExcitationStudent(flows=2, **SIZES)
    return DistillationLoss(student, teacher.wavenet, contrastive=0.1), batch


@pytest.mark.parametrize("path", ["acoustic model", "waveform teacher", "waveform student"])
def test_a_step_stays_on_its_device(path):
    loss, batch = objective(path)
    loss.eval()  # no dropout, so that both losses are the same
    want = loss(batch)[0].item()
    assert np.isclose(one_step(loss, batch), want, rtol=1e-4)


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_a_step_of_the_digits_stays_on_its_device(beta):
    recipe = toy.recipe("teacher")
    crops = corpus.Crops(corpus.held_out()[0], 3, 30, 1e-3)
    torch.manual_seed(0)
    teacher = KINDS["teacher"].build(DIGITS, **recipe.model)
    small = toy.recipe("student").model | {
        name: recipe.model[name] for name in ("hidden", "cond_channels")
    }
    student = KINDS["student"].build(DIGITS, **small)
    for loss in (
        Likelihood(copy.deepcopy(teacher), beta=beta),
        DistillationLoss(student, teacher.wavenet, beta=beta, perceptual=0.1),
    ):
        loss.eval()
        want = loss(crops(0))[0].item()
        assert np.isclose(one_step(loss, crops(0)), want, rtol=1e-4)
