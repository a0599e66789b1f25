"""The phone classifier that ships, and the distance of sounds in its layers."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from minigen import data, weights
from minigen.conditioning import PHONES
from minigen.distillation import DistillationLoss
from minigen.parallel_wavenet import Student
from minigen.perceptual import PerceptualLoss, PhoneNet, gram, load_phone_net
from minigen.speech import corpus, voice


def clip(word="seven", speaker="slt", index=0) -> torch.Tensor:
    return torch.tensor(data.spoken_digits(speaker, word)[index].audio)[None, None]


def test_shipped_classifier_is_small_and_names_held_out_phones():
    path = weights.path("phone_net")
    assert path.stat().st_size <= 300_000
    card, net = weights.card("phone_net"), load_phone_net()
    assert weights.load(path)[1] == card
    right = count = 0
    for kept in corpus.held_out()[1]:
        batch = corpus.as_batch(kept, 0.0005)
        scores = net(batch["audio"])[0].argmax(1)  # (1, N)
        truth = batch["frames"][:, : len(PHONES)].argmax(1)[:, 1 : scores.shape[1] + 1]
        right, count = right + (scores == truth).sum().item(), count + truth.numel()
    assert right / count == pytest.approx(card["accuracy"]["held out"], abs=0.005)
    assert right / count > 0.9


def test_labels_and_frames_belong_together():
    """Shifted by two frames either way the same net is right less often: the middle is the middle."""
    net, hits = load_phone_net(), dict.fromkeys((-2, 0, 2), 0)
    for kept in corpus.held_out()[1]:
        batch = corpus.as_batch(kept, 0.0005)
        scores = net(batch["audio"])[0].argmax(1)[:, 2:-2]
        truth = batch["frames"][:, : len(PHONES)].argmax(1)
        for shift in hits:
            part = truth[:, 3 + shift : 3 + shift + scores.shape[1]]
            hits[shift] += (scores == part).sum().item()
    assert hits[0] > hits[-2] and hits[0] > hits[2]


def test_zero_at_equality_and_ordered_as_an_ear_would():
    """A word is nearer to itself with a little noise, or a little louder, than to another word."""
    loss, x = PerceptualLoss(), clip()
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    other = F.pad(clip("two"), (0, 9000))[..., : x.shape[-1]]
    assert loss(x, x) == 0
    near = [loss(x + 0.001 * noise, x), loss(1.2 * x, x), loss(-x, x)]
    assert max(near) < 0.5 * loss(other, x)
    assert loss(0.05 * noise, x) > max(near)


def test_style_forgives_a_shift_and_features_do_not():
    x = F.pad(clip(), (1600, 1600))
    x = x + 0.0005 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    late = x.roll(800, -1)  # 0.1 s
    feature, style = PerceptualLoss(style=0.0), PerceptualLoss(feature=0.0)
    assert 0 < style(late, x) < 0.1 * feature(late, x)
    whole = PerceptualLoss(feature=0.3, style=2.0)(late, x)
    assert torch.allclose(whole, 0.3 * feature(late, x) + 2 * style(late, x))
    h = torch.randn(2, 3, 40, generator=torch.Generator().manual_seed(0))
    want = torch.from_numpy(np.einsum("bcn,bdn->bcd", h.numpy(), h.numpy()) / 40)
    assert torch.allclose(gram(h), want, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0])
def test_gradient_reaches_the_sound_and_not_the_net(scale):
    loss = PerceptualLoss()
    x = (
        scale * torch.randn(2, 1, 2000, generator=torch.Generator().manual_seed(1))
    ).requires_grad_()
    loss(x, clip()[..., 1000:3000].expand(2, -1, -1)).backward()
    assert torch.isfinite(x.grad).all() and (scale < 1 or x.grad.abs().sum() > 0)
    assert all(weight.grad is None for weight in loss.net.parameters())


def test_it_is_part_of_the_objective_when_asked():
    teacher = voice.load("teacher")
    student = voice.StudentVoice(
        teacher.upsampler, Student(2, 3, 4, cond_channels=24, log_scale=-6.0)
    )
    learn, _ = corpus.held_out()
    batch = corpus.Crops(learn[::5], batch=2, frames=20, dither=0.0005)(0)
    off = {"kl": 0.0, "penalty": 0.0, "stft": 0.0, "power": 0.0}
    loss, watched = DistillationLoss(student, teacher.wavenet, **off, perceptual=0.5)(batch)
    assert loss.item() == pytest.approx(0.5 * watched["perceptual"]) and loss > 0
    loss.backward()
    assert student.student.flows[0].output_projection.bias.grad.abs().sum() > 0
    assert "perceptual" not in DistillationLoss(student, teacher.wavenet)(batch)[1]


def test_full_precision_under_autocast():
    loss, x = PerceptualLoss(), clip()
    other = 1.2 * x
    want = loss(other, x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(other, x), want)


def test_errors():
    with pytest.raises(ValueError, match="cut them alike"):
        PerceptualLoss(PhoneNet(4))(torch.zeros(1, 1, 500), torch.zeros(1, 1, 501))
    with pytest.raises(ValueError, match="8000 Hz, not at 16000 Hz: set perceptual = 0"):
        PerceptualLoss(PhoneNet(4), rate=16_000)
    with pytest.raises(ValueError, match="fewer than one frame"):
        PhoneNet(4)(torch.zeros(1, 1, 100))
    assert json.loads(weights.path("phone_net").with_suffix(".json").read_text())["command"]


def test_it_is_the_mean_over_layers_of_distances_in_units_of_the_recording():
    net, x, y = load_phone_net(), clip(), 0.5 * clip()
    for got, want in ((x, y), (y, x)):
        layers = list(zip(net(got)[1], net(want)[1], strict=True))
        each = [((a - b).square().sum() / b.square().sum()).item() for a, b in layers]
        assert len(each) > 1
        assert PerceptualLoss(style=0.0)(got, want).item() == pytest.approx(np.mean(each), rel=1e-4)
