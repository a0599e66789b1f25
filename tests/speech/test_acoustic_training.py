"""Training of the acoustic model: it starts from another's weights, sees every frame as often, and learns."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from minigen import data
from minigen.speech.acoustic_model import AcousticModel
from minigen.speech.acoustic_training import (
    AcousticCrops,
    AcousticLoss,
    bands_and_features,
    calibrate,
    with_phones,
)
from minigen.train import TrainConfig, Trainer

sys.path.insert(0, str(Path(__file__).parents[2] / "training"))
from acoustic_model import band_errors

CLIPS = data.spoken_digits("rms", "two")[:3] + data.spoken_digits("rms", "six")[:3]
NAMES = ["pau", *sorted({n for clip in CLIPS for n, _, _ in clip.phones} - {"pau"})]


def small(names=NAMES):
    torch.manual_seed(0)
    return AcousticModel(names, hidden=8, dilations=(1,))


def test_a_model_with_more_phones_predicts_as_before_what_both_know():
    source = small().eval()
    wider = with_phones(source, ["zz", *NAMES[::-1], "yy"]).eval()
    clip = CLIPS[0]
    assert np.allclose(
        source.predict(clip.phones, clip.f0), wider.predict(clip.phones, clip.f0), atol=1e-5
    )
    assert all(weight.requires_grad for weight in wider.parameters())


def test_a_calibrated_envelope_has_the_mean_and_deviation_of_the_data():
    model = small()
    pairs = [bands_and_features(model, clip) for clip in CLIPS]
    calibrate(model, pairs)
    envelope = np.concatenate([p["mel"] - p["features"][-model.mels :] for p in pairs], 1)
    assert np.allclose(model.mean[:, 0], envelope.mean(1), atol=1e-4)
    assert np.allclose(model.spread[:, 0], envelope.std(1), atol=1e-4)


def test_it_learns(tmp_path):
    model = small()
    pairs = [bands_and_features(model, clip) for clip in CLIPS]
    calibrate(model, pairs)
    before = band_errors(model, pairs)["absolute error, nepers"]
    crops = AcousticCrops(pairs, batch=2, frames=40)
    assert torch.equal(crops(3)["mel"], crops(3)["mel"]) and crops(0)["mel"].shape == (2, 32, 40)
    assert not torch.equal(crops(3)["mel"], crops(4)["mel"])
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


def test_the_loss_is_the_chapter_s():
    model = small()
    pairs = [bands_and_features(model, clip) for clip in CLIPS]
    calibrate(model, pairs)
    loss, parts = AcousticLoss(model)(AcousticCrops(pairs, batch=2, frames=40)(0))
    told, own = 0.3 * parts["told"], parts["discriminator"]
    assert loss.item() == pytest.approx(parts["error"] + 0.5 * parts["dissimilarity"] + told + own)
