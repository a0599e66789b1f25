"""The model of codes: what a code sees, what decoding depends on."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from conversion_toy import KEPT, small, some

from minigen.speech import conversion
from minigen.speech import conversion_features as features
from minigen.speech import conversion_training as training
from minigen.speech.conversion_model import SpeechVQVAE
from minigen.speech.synthesis import sample

ROOT = Path(__file__).parents[2]


def test_a_code_sees_ten_frames_around_its_own_two():
    model = small()
    for n in (0, 7, 14):
        mfcc = torch.randn(1, 13, 30, generator=torch.Generator().manual_seed(0))
        mfcc.requires_grad_()
        (gradient,) = torch.autograd.grad(model.encoder(mfcc)[0, :, n].sum(), mfcc)
        seen = gradient.abs().sum((0, 1)).nonzero().flatten().tolist()
        assert seen[0] >= max(0, 2 * n - 4) and seen[-1] <= min(29, 2 * n + 5)
        if n == 7:
            assert seen[-1] - seen[0] + 1 >= 8  # ReLUs may shut a path at the rim


def test_decoding_repeats_and_depends_on_speaker_codes_and_pitch():
    model = small().eval()
    codes, f0 = torch.arange(8), np.full(16, 120.0)
    one = model.decode(codes, f0, "slt", seed=1)
    assert one.shape == (8 * 160,) and one.dtype == np.float32
    assert np.array_equal(one, model.decode(codes, f0, "slt", seed=1))
    for other in (
        model.decode(codes, f0, "rms", seed=1),
        model.decode(codes.flip(0), f0, "slt", seed=1),
        model.decode(codes, 1.3 * f0, "slt", seed=1),
        model.decode(codes, f0, "slt", seed=2),
    ):
        assert not np.array_equal(one, other)
    slow = sample(model, model.condition(codes, f0, "slt"), 1, backend="naive")[0]
    assert np.allclose(one, slow, atol=1e-4)
    assert np.abs(model.decode(codes, f0, "slt", temperature=1e4)).max() == 1


def test_a_model_is_built_of_what_its_recipe_says():
    net = {"residual": 4, "skip": 5, "layers": 2, "cycles": 1, "cond_channels": 9}
    sizes = {"codebook_size": 8, "embedding_dim": 3, "encoder": 6, "hidden": 7, "decay": 0.5}
    recipe = {"speakers": ["a", "b"], "wavenet": net | {"min_log_scale": -4.0}}
    model = SpeechVQVAE.build(recipe | {"model": sizes | {"adversary": 3}})
    assert model.speakers == ("a", "b") and model.wavenet.head.min_log_scale == -4.0
    assert model.quantizer.codebook.shape == (8, 3) and model.quantizer.decay == 0.5
    assert (model.encoder[0].out_channels, model.conditioner.middle.out_channels) == (6, 7)
    z = torch.zeros(1, 3, 41).requires_grad_()
    model.adversary(z)[0, :, 20].sum().backward()  # two layers of 9, one of 5
    assert model.adversary(z).shape == (1, 2, 41)
    assert len(z.grad.abs().sum((0, 1)).nonzero()) == 1 + 8 + 8 + 4
    for table, wrong in (("wavenet", net), ("model", sizes | {"size": 1}), ("wavenet", None)):
        with pytest.raises((ValueError, TypeError), match=rf"\[{table}\]"):
            SpeechVQVAE.build(recipe | {"model": sizes} | {table: wrong})


def test_codes_of_a_waveform_are_those_of_its_features():
    model, clip = small().eval(), KEPT[0]
    seen = features.extract(clip.audio)
    codes = model.codes_of(clip.audio)
    assert torch.equal(codes, model.codes_of(seen))
    quantized = model.quantize(torch.from_numpy(seen.mfcc)[None])
    assert torch.equal(codes, quantized.codes[0])
    params, _ = model(training.ConversionCrops(*some(), batch=2, frames=20)(0))
    assert params.shape == (2, 2, 1600)


def test_a_melody_is_at_the_speakers_pitch():
    model = small().eval()
    with torch.no_grad():
        model.f0_predictor[-1].bias.copy_(torch.tensor([5.0, 5.0, 0.0, 0.0]))  # voiced; no shape
        model.f0_predictor[-1].weight.zero_()
    assert np.allclose(model.predict_f0(torch.arange(4), "rms"), np.exp(4.4), rtol=1e-5)
    with torch.no_grad():
        model.f0_predictor[-1].bias.copy_(torch.tensor([5.0, -5.0, 1.0, 0.0]))  # every second frame
    got = model.predict_f0(torch.arange(4), "awb")
    assert np.allclose(got[::2], np.exp(4.7 + 0.2), rtol=1e-5) and (got[1::2] == 0).all()


def test_what_is_heard_a_part_at_a_time_is_what_is_heard_at_once():
    """At the edges of frames and between them; and by the compiled loop, which asks for parts, the same sound."""
    model, rng = conversion.load()[0], np.random.default_rng(0)
    codes = torch.from_numpy(rng.integers(0, 128, 8))
    f0 = np.r_[np.zeros(3), np.linspace(90, 140, 10), np.zeros(3)]
    whole, part = model.condition(codes, f0, "rms"), model._conditioning_of(codes, f0, "rms")
    edges = [0, 1, 79, 80, 161, 600, 640, 1279, 1280]
    parts = torch.cat([part(*ends) for ends in pairwise(edges)], -1)
    assert whole.shape == parts.shape and (whole - parts).abs().max() < 1e-5
    fast, slow = model.decode(codes, f0, "rms", 3, 0.7), sample(model, whole, 3, 0.7)[0]
    assert fast.shape == (1280,) and np.abs(fast - slow).max() < 1e-3 < slow.std()


def test_what_is_standardised_has_mean_0_and_scale_1_and_each_speaker_a_pitch_of_his_own():
    seen, who = some()
    model = small().standardise(seen, who)
    mfcc = np.concatenate([f.mfcc for f in seen], axis=1) / model.mfcc_scale.numpy()
    spectrum = np.concatenate([f.spectrum for f in seen], axis=1)
    spectrum = (spectrum - model.spectrum_mean.numpy()) / model.spectrum_scale.numpy()
    assert np.allclose(mfcc.std(1), 1, atol=1e-3) and np.allclose(spectrum.mean(1), 0, atol=1e-3)
    assert np.allclose([spectrum[0].std(), np.sqrt(np.mean(spectrum[1:] ** 2))], 1, atol=1e-3)
    for index, speaker in enumerate(model.speakers):
        own = [f for f, one in zip(seen, who, strict=True) if one == index]
        moments = np.mean([features.log_f0_moments(f.f0) for f in own], axis=0)
        assert np.allclose(model.log_f0[index], moments, atol=1e-4), speaker


def test_a_guess_at_f0_stays_within_two_and_a_half_deviations_of_the_speaker():
    model = small().eval()
    model.f0_predictor[-1].bias.data[:] = torch.tensor([9.0, 9.0, 1e3, -1e3])  # voiced; shapes
    f0 = model.predict_f0(torch.arange(4), "awb")
    assert np.allclose(np.log(f0), 4.7 + 2.5 * 0.2 * np.tile([1, -1], 4), atol=1e-3)


def test_the_speaker_is_heard_in_the_second_layer_of_the_conditioner_too():
    model = small()
    model.conditioner.middle.weight.data.zero_()
    z, pitch = torch.randn(1, 4, 5).expand(2, -1, -1), torch.zeros(2, 2, 10)
    first, second = model.conditioner(z, pitch, torch.tensor([0, 1]))[1]
    assert not torch.equal(first, second)
