"""Spectral losses: zero at equality, blind to nothing they should see, finite gradients."""

import math

import numpy as np
import pytest
import torch

from minigen import data
from minigen.audio import frame_length, mel_filterbank, resample
from minigen.spectral_losses import (
    MelLoss,
    MultiResolutionSTFTLoss,
    PowerLoss,
    STFTLoss,
    power_spectrogram,
)

SECONDS = (0.008, 0.016, 0.032, 0.064)
LOSSES = [MelLoss(), PowerLoss(), STFTLoss(128, 32), MultiResolutionSTFTLoss()]


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


def test_at_8_khz_frames_are_of_64_to_512_samples_and_the_power_loss_256():
    x, y = 0.1 * noise(3), 0.2 * noise(4)
    for window in (True, False):
        each = [STFTLoss(n, n // 4, window)(x, y) for n in (64, 128, 256, 512)]
        assert MultiResolutionSTFTLoss(window=window)(x, y) == torch.stack(each).mean()
    p_x, p_y = (power_spectrogram(a, 256, 64).mean((0, 2)) for a in (x, y))
    want = ((p_x - p_y).square().sum() / p_y.square().sum()).item()
    assert PowerLoss()(x, y).item() == pytest.approx(want, rel=1e-5)
    assert [m().min_length for m in (MultiResolutionSTFTLoss, PowerLoss, MelLoss)] == [
        512,
        256,
        256,
    ]
    mel = lambda a: np.log(
        mel_filterbank(8000, 256, 40) @ power_spectrogram(a, 256, 64).sqrt().numpy()
    )
    assert MelLoss()(x, y).item() == pytest.approx(np.abs(mel(x) - mel(y)).mean(), rel=1e-5)


@pytest.mark.parametrize("rate", [8_000, 11_000, 16_000, 22_000, 24_000, 48_000])
def test_frames_last_as_long_at_every_rate(rate):
    stft, power = MultiResolutionSTFTLoss(rate), PowerLoss(rate)
    for loss, seconds in [*zip(stft.losses, SECONDS, strict=True), (power, 0.032)]:
        assert abs(loss.n_fft - seconds * rate) <= 2 and loss.n_fft == 4 * loss.hop
    assert stft.min_length == stft.losses[-1].n_fft


def at_both_rates(x: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(resample(x, 8_000, rate))[None, None] for rate in (8_000, 16_000)]


def test_a_resampled_sound_has_the_same_frames_and_bands():
    """At twice the rate a frame has twice the samples: same moments, same bands. Power doubles, because the same
    variance lies in the lower half of the bands."""
    narrow, wide = at_both_rates(data.example().audio.astype(float))
    pairs = zip(
        MultiResolutionSTFTLoss().losses, MultiResolutionSTFTLoss(16_000).losses, strict=True
    )
    for low, high in pairs:
        a = power_spectrogram(narrow, low.n_fft, low.hop)
        b = power_spectrogram(wide, high.n_fft, high.hop)[:, : a.shape[1], : a.shape[2]] / 2
        a, b = (p[:, : int(0.9 * p.shape[1])] for p in (a, b))  # the resampler's edge is left out
        loud = a > 1e-4 * a.max()
        assert (b / a)[loud].log().abs().mean() < 0.03


def test_a_resampled_sound_has_nearly_the_same_loss():
    """Speech against itself in other words: the loud bands decide, and a rate does not change them."""
    x = data.example().audio.astype(float)
    generated, recorded = at_both_rates(np.roll(x, 37)), at_both_rates(0.8 * x)
    power = [
        PowerLoss(rate)(a, b)
        for rate, a, b in zip((8000, 16_000), generated, recorded, strict=True)
    ]
    assert power[1].item() == pytest.approx(power[0].item(), rel=0.02)

    def beating(rate: int) -> float:
        """White noise against the same noise whose level swings 60 times a second: what is heard of a
        swing depends on how long a frame is."""
        x = torch.randn(4, 1, rate, generator=torch.Generator().manual_seed(0)).double()
        swing = 1 + 0.9 * torch.cos(2 * math.pi * 60 * torch.arange(rate) / rate)
        return MultiResolutionSTFTLoss(rate)(0.1 * swing * x, 0.1 * x).item()

    assert beating(16_000) == pytest.approx(beating(8_000), rel=0.02)
    assert beating(22_000) == pytest.approx(beating(8_000), rel=0.02)


def test_errors():
    with pytest.raises(ValueError, match="at least 4 samples"):
        frame_length(8_000, 0.0001)
    with pytest.raises(ValueError, match=r"\(B, 1, T\)"):
        power_spectrogram(torch.zeros(1, 100), 64, 16)
    with pytest.raises(ValueError, match="fewer than one frame"):
        power_spectrogram(torch.zeros(1, 1, 50), 64, 16)
    with pytest.raises(ValueError, match="cut them alike"):
        PowerLoss()(torch.zeros(1, 1, 500), torch.zeros(1, 1, 501))


@pytest.mark.parametrize("gain", [0.25, 0.5, 2.0, 4.0])
def test_a_gain_costs_its_distance_from_one_and_its_logarithm(gain):
    """‖|Y| - g |Y|‖ / ‖|Y|‖ + |log g|: the distance is in units of the recording."""
    x = 0.1 * torch.randn(1, 1, 2000, generator=torch.Generator().manual_seed(0)).double()
    want = abs(gain - 1) + abs(math.log(gain))
    assert STFTLoss(128, 32)(gain * x, x).item() == pytest.approx(want, rel=1e-3)
