"""Training of the acoustic model: it starts from another's weights, sees every frame as often, and learns."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from minigen import conditioning, data
from minigen.speech import acoustic_training
from minigen.speech.acoustic_model import AcousticModel, dissimilarity
from minigen.speech.acoustic_training import (
    AcousticCrops,
    AcousticLoss,
    bands_and_features,
    calibrate,
    with_phones,
)
from minigen.speech.adversarial import Discriminator, adversarial_losses
from minigen.train import TrainConfig, Trainer

sys.path.insert(0, str(Path(__file__).parents[2] / "training"))
from acoustic_model import band_errors

CLIPS = data.spoken_digits("rms", "two")[:3] + data.spoken_digits("rms", "six")[:3]
NAMES = ["pau", *sorted({n for clip in CLIPS for n, _, _ in clip.phones} - {"pau"})]


def small(names=NAMES):
    torch.manual_seed(0)
    return AcousticModel(names, hidden=8, dilations=(1,))


def test_a_model_with_more_phones_predicts_as_before_what_both_know():
    source, clip = small().eval(), CLIPS[0]
    wider = with_phones(source, ["zz", *NAMES[::-1], "yy"])
    x = torch.from_numpy(wider.features(clip.phones, clip.f0))[None]
    assert wider.training and not torch.equal(wider(x), wider(x))  # some is dropped
    wider.eval()
    assert np.allclose(
        source.predict(clip.phones, clip.f0), wider.predict(clip.phones, clip.f0), atol=1e-5
    )
    assert all(weight.requires_grad for weight in wider.parameters())


def test_it_is_given_sharpened_f0_and_predicts_bands_that_are_no_quieter_than_silence():
    model, clip = small(), CLIPS[0]
    pair = bands_and_features(model, clip)
    f0 = conditioning.sharpened(clip.f0, clip.rate, clip.audio)
    assert np.array_equal(pair["features"], model.features(clip.phones, f0))
    assert not np.array_equal(f0, clip.f0)
    mel = conditioning.mel_bands(clip.audio, 8000, 32)
    assert (
        np.allclose(pair["mel"], mel.clip(conditioning.QUIET)) and pair["mel"].dtype == np.float32
    )


def test_a_calibrated_envelope_has_the_mean_and_deviation_of_the_data():
    model = small()
    pairs = [bands_and_features(model, clip) for clip in CLIPS]
    calibrate(model, pairs)
    envelope = np.concatenate([p["mel"] - p["features"][-model.mels :] for p in pairs], 1)
    assert np.allclose(model.mean[:, 0], envelope.mean(1), atol=1e-4)
    assert np.allclose(model.spread[:, 0], envelope.std(1), atol=1e-4)


def test_it_learns(tmp_path, monkeypatch):
    monkeypatch.setattr(acoustic_training, "Discriminator", partial(Discriminator, 4))
    model = small()
    pairs = [bands_and_features(model, clip) for clip in CLIPS]
    calibrate(model, pairs)
    before = band_errors(model, pairs)["absolute error, nepers"]
    crops = AcousticCrops(pairs, batch=2, frames=40)
    assert torch.equal(crops(3)["mel"], crops(3)["mel"]) and crops(0)["mel"].shape == (2, 32, 40)
    assert not torch.equal(crops(3)["mel"], crops(4)["mel"])
    assert not torch.equal(crops(3)["mel"], AcousticCrops(pairs, 2, 40, seed=1)(3)["mel"])
    config = TrainConfig(30, rate=5e-3, warmup=2, average=0.1)
    trainer = Trainer(AcousticLoss(model), crops, config, tmp_path)
    trainer.run()
    assert model.training and band_errors(model, pairs)["absolute error, nepers"] < 0.9 * before


def test_every_frame_is_seen_as_often():
    clip = lambda value, n: {
        name: np.full((1, n), value, np.float32) for name in ("features", "mel")
    }
    crops = AcousticCrops([clip(0, 50), clip(1, 450)], batch=400, frames=10)
    assert abs(crops(0)["mel"].mean() - 0.9) < 0.05


def test_the_loss_is_the_weighted_sum_of_errors_and_of_what_the_discriminator_says():
    model = small()
    pairs = [bands_and_features(model, clip) for clip in CLIPS]
    calibrate(model, pairs)
    objective, batch = AcousticLoss(model), AcousticCrops(pairs, batch=2, frames=40)(0)
    loss, parts = objective(batch)
    x, y = model(batch["features"]), batch["mel"]
    standard = [(v - model.mean) / model.spread for v in (x, y)]
    told, own = adversarial_losses(objective.discriminator, *standard)
    error, contrast = (x - y).abs().mean(), dissimilarity(x, y)
    assert loss.item() == pytest.approx((error + 0.5 * contrast + 0.3 * told + own).item())
    want = {"error": error, "dissimilarity": contrast, "told": told, "discriminator": own}
    assert parts == pytest.approx({name: value.item() for name, value in want.items()})
