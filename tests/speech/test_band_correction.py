"""Sound is brought to the bands that were asked for, at once or piece by piece."""

import dataclasses

import numpy as np
import pytest
import torch

from minigen import audio, conditioning, data
from minigen.speech.band_correction import LIMIT, REACH, as_recorded, correct, correct_pieces


@pytest.fixture(scope="module", params=[8000, 16000])
def asked(request):
    """(rate, a recording with random phases, its bands as they were)"""
    clip, hop = data.example(), request.param // 100
    x = audio.resample(clip.audio, clip.rate, request.param)
    x = x[: len(x) // hop * hop]
    spectrum, rng = audio.stft(x, 4 * hop, hop), np.random.default_rng(0)
    turned = spectrum * np.exp(2j * np.pi * rng.random(spectrum.shape))
    made = audio.istft(turned, hop, len(x)) + rng.normal(0, 1e-3, len(x))
    made[: hop // 2] = 0  # which the first frame does not see
    mel = conditioning.mel_bands(x, request.param, 32)
    return request.param, *(torch.from_numpy(v).double()[None] for v in (made[None], mel))


def bands(x, rate):
    return torch.from_numpy(conditioning.mel_bands(x[0, 0].numpy(), rate, 32))[None]


def test_a_sound_that_has_the_bands_stays(asked):
    rate, x, _ = asked
    assert (correct(x, bands(x, rate), rate) - x).abs().max() < 1e-4 * x.std()


def test_what_is_missing_is_put_back(asked):
    """And again, nearer: the distance falls to a part of it, and no band moves by more than the limit."""
    rate, x, mel = asked
    heard = mel.clamp(min=conditioning.QUIET)
    off = lambda y: (bands(y, rate).clamp(min=conditioning.QUIET) - heard).square().mean().sqrt()
    once = correct(x, mel, rate)
    assert off(once) < 0.7 * off(x) and off(correct(once, mel, rate)) < 0.9 * off(once)
    far = correct(x, mel * 0 + 99, rate)
    torch.testing.assert_close(far, x * np.exp(LIMIT))


def test_one_band_moves_where_it_lies(asked):
    """A band asked for 6 dB louder in one frame is louder there, and nothing is three bands or frames away."""
    rate, x, _ = asked
    mel = bands(x, rate)
    mel[0, 12, 30] += np.log(2)
    change = bands(correct(x, mel, rate), rate) - bands(x, rate)
    assert change[0].abs().argmax() == 12 * change.shape[2] + 30 and change[0, 12, 30] > 0.25
    change[0, 9:16, 27:34] = 0
    assert change.abs().max() < 0.05


@pytest.mark.parametrize("size", [1, 3, 7, 50, 10_000])
def test_pieces_are_the_whole(asked, size):
    rate, x, mel = asked
    hop = rate // 100
    cut = (
        (x[..., hop * n : hop * (n + size)], mel[..., n : n + size])
        for n in range(0, mel.shape[-1], size)
    )
    pieces = list(correct_pieces(cut, rate))
    torch.testing.assert_close(torch.cat(pieces, -1), correct(x, mel, rate))
    assert pieces[0].shape[-1] % hop == 0 and list(correct_pieces([], rate)) == []
    assert len(pieces) < 2 or pieces[-1].shape[-1] <= REACH * hop


def test_gradients_reach_the_sound_and_the_bands(asked):
    rate, x, mel = asked
    x, mel = x[..., : rate // 5].clone().requires_grad_(), mel[..., :20].clone().requires_grad_()
    correct(x, mel, rate).square().sum().backward()
    assert x.grad.abs().sum() > 0 and mel.grad.abs().sum() > 0
    silent = torch.zeros(1, 1, rate // 5, requires_grad=True)
    correct(silent, mel.detach().float(), rate).sum().backward()
    assert torch.isfinite(silent.grad).all()


@pytest.mark.parametrize("n", [-1, 0, 1])
def test_any_sound_is_brought_to_the_bands_of_a_recording(n):
    clip = data.example()
    x = clip.audio[: len(clip.audio) // 80 * 80 + n].astype(float) * 0.5
    clip = dataclasses.replace(clip, audio=clip.audio[: len(x)])
    y = as_recorded(x, clip, 32)
    assert y.shape == x.shape and np.abs(y - 2 * x).max() < 0.05 * x.std()
