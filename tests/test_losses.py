"""Spectral losses: zero at equality, blind to nothing they should see, finite gradients."""

import math

import pytest
import torch

from minigen.losses import MultiResolutionSTFTLoss, PowerLoss, STFTLoss, power_spectrogram

LOSSES = [PowerLoss(), STFTLoss(128, 32), MultiResolutionSTFTLoss()]


def noise(seed=0, length=4000):
    return torch.randn(2, 1, length, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_zero_only_at_equal_spectra(loss):
    x = 0.1 * noise()
    assert loss(x, x) < 1e-6
    assert loss(0.7 * x, x) > 0.05  # half the power is not the same
    assert abs(loss(-x, x)) < 1e-6  # the sign cannot be heard


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0])
def test_gradient_is_finite_down_to_silence(loss, scale):
    x = (scale * noise(1)).requires_grad_()
    loss(x, 0.1 * noise(2)).backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_silence_against_silence(loss):
    x = torch.zeros(1, 1, 2000, requires_grad=True)
    value = loss(x, torch.zeros(1, 1, 2000))
    value.backward()
    assert value < 1e-4 and torch.isfinite(x.grad).all()


def test_power_spectrogram_measures_power():
    """White noise of variance v has power v in every band; and a tone does not leak (a window)."""
    power = power_spectrogram(0.3 * noise(length=200_000), 256, 64).mean((0, 2))
    assert torch.allclose(power[1:-1], torch.tensor(0.09), rtol=0.15)
    t = torch.arange(8000) / 8000
    tone = torch.sin(2 * math.pi * 1003.0 * t)[None, None]  # between two bins
    spectrum = power_spectrogram(tone, 256, 64).mean((0, 2))
    assert spectrum[64:].max() < 1e-6 * spectrum.max()  # 60 dB down an octave above


def test_power_loss_hears_half_the_power_which_stft_hears_less():
    """KL is content with a whisper; the power loss is not: its value for x/√2 is (1 - ½)² = ¼."""
    x = 0.1 * noise()
    assert abs(PowerLoss()(x * 0.5**0.5, x) - 0.25) < 1e-4


def test_errors():
    with pytest.raises(ValueError, match=r"\(B, 1, T\)"):
        power_spectrogram(torch.zeros(1, 100), 64, 16)
    with pytest.raises(ValueError, match="fewer than one frame"):
        power_spectrogram(torch.zeros(1, 1, 50), 64, 16)
    with pytest.raises(ValueError, match="cut them alike"):
        PowerLoss()(torch.zeros(1, 1, 500), torch.zeros(1, 1, 501))
