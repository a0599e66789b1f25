"""The acoustic model: harmonics by arithmetic, an envelope by a network that sees both sides, and what ships."""

import numpy as np
import pytest
import torch

from minigen import data
from minigen.conditioning import mel_bands
from minigen.speech import acoustic_model
from minigen.speech.acoustic_model import AcousticModel, dissimilarity, harmonic_bands

TIMES = [("pau", 0.0, 0.1), ("a", 0.1, 0.3), ("b", 0.3, 0.5)]
F0 = np.where(np.arange(50) < 10, 0.0, 150.0)


def small() -> AcousticModel:
    torch.manual_seed(0)
    return AcousticModel(("pau", "a", "b"), hidden=8, dilations=(1, 2)).eval()


@pytest.mark.parametrize("hz", [90.0, 210.0])
def test_harmonic_bands_are_those_of_a_pulse_train(hz):
    t = np.arange(8000)
    x = sum(np.cos(2 * np.pi * k * hz / 8000 * t) for k in range(1, int(4000 / hz)))
    measured = mel_bands(x, 8000, 32)[:, 50]
    found = harmonic_bands(np.array([hz]), 8000, 32)[:, 0]
    measured = measured - np.log(np.exp(measured).mean())
    low = slice(0, 12)  # bands narrower than the distance of two harmonics of 210 Hz
    assert np.corrcoef(found[low], (measured - measured.mean())[low])[0, 1] > (
        0.7 if hz > 100 else 0.3
    )


def test_unvoiced_frames_have_no_harmonics():
    assert not harmonic_bands(np.zeros(3), 8000, 32).any()
    model = small()
    assert model.features(TIMES, F0).shape == (3 * 3 + 5 + 32, 50)


def test_it_sees_both_sides_and_no_further():
    """But for GroupNorm, which looks at the whole sentence."""
    model = small()
    for block in model.blocks:
        block[0] = torch.nn.Identity()
    x = torch.zeros(1, model.input_projection.in_channels, 80).requires_grad_()
    model(x)[0, :, 40].square().sum().backward()
    reach = 1 + 2 * (1 + 2)
    touched = x.grad.abs().sum((0, 1)).nonzero().flatten().tolist()
    assert touched == list(range(40 - reach, 40 + reach + 1))


def test_similar_pictures_score_better_than_smooth_ones():
    y = torch.randn(2, 32, 60, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(y[:, None], (3, 5), 1, (1, 2))[:, 0]
    assert dissimilarity(y, y) < 1e-6
    assert dissimilarity(smooth, y) > 0.3


def test_an_unknown_phone_is_named():
    with pytest.raises(ValueError, match="unknown phones"):
        small().predict([("zz", 0.0, 0.5)], F0)


def test_pictures_are_compared_in_windows_of_5_bands_by_7_frames():
    """The mean over all windows of the similarity of their numbers."""
    x, y = torch.randn(2, 2, 7, 9, generator=torch.Generator().manual_seed(0))
    windows = [v.unfold(1, 5, 1).unfold(2, 7, 1).flatten(3) for v in (x, y)]  # (B, 3, 3, 35)
    centred = [v - v.mean(-1, keepdim=True) for v in windows]
    covariance = (centred[0] * centred[1]).mean(-1)
    spread = sum(v.square().mean(-1) for v in centred)
    want = 1 - ((2 * covariance + 0.05) / (spread + 0.05)).mean()
    assert torch.allclose(dissimilarity(x, y), want, atol=1e-6)


def test_what_ships_is_of_the_usual_sizes_and_predicts_what_it_always_did():
    """Its weights go with every constant of the features, of the harmonics and of the network."""
    model, clip = acoustic_model.load(), data.example()
    assert AcousticModel(model.phones).sizes == model.sizes
    bands = model.predict(clip.phones, clip.f0)[[0, 1, 5, 12, 20, 31], [5, 22, 26, 31, 38, 48]]
    assert np.allclose(bands, [-5.281, -2.241, -0.229, 0.206, -3.384, -3.077], atol=0.01)


def test_dropout_is_as_strong_as_asked_and_only_in_training():
    x = torch.randn(1, 3 * 2 + 5 + 32, 30, generator=torch.Generator().manual_seed(0))
    for dropout, training, alike in ((0.0, True, True), (0.5, True, False), (0.5, False, True)):
        model = AcousticModel(("pau", "a"), hidden=8, dilations=(1,), dropout=dropout)
        model.train(training)
        assert torch.equal(model(x), model(x)) == alike
