"""Words as vectors and back to sound; directions that do to the sound what their names say."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from minigen import audio, data, vae
from minigen.conditioning import mel_bands
from minigen.speech import corpus, word_vae

sys.path.insert(0, str(Path(__file__).parents[2] / "training"))
import vae_words

LEARN, TEST = corpus.held_out(data.spoken_digits())


def test_held_out_words_are_not_learned_from():
    assert len(LEARN) == 330 and len(TEST) == 30
    assert not {c.name for c in LEARN} & {c.name for c in TEST}
    assert {(c.text, c.speaker) for c in TEST} == {(c.text, c.speaker) for c in LEARN}


def test_a_word_keeps_its_duration_pitch_and_spectrum_on_the_way_to_sound():
    for clip in TEST:
        x = word_vae.vector(clip)
        assert x.shape == (word_vae.DIM,) and np.isfinite(x).all()
        heard = word_vae.measure(word_vae.synthesize(x))
        original = word_vae.measure(clip.audio)
        f0 = np.median(clip.f0[clip.f0 > 0])
        assert abs(np.log(heard.duration) - x[-1]) < 0.15, clip.name
        assert abs(np.log(heard.f0 / f0)) < 0.08, clip.name
        others = [c for c in TEST if c.text != clip.text and c.speaker != clip.speaker]
        away = [
            np.linalg.norm(heard.spectrum - word_vae.measure(c.audio).spectrum) for c in others[:6]
        ]
        assert np.linalg.norm(heard.spectrum - original.spectrum) < np.median(away), clip.name


def test_hear_measures_a_known_sound():
    t = np.arange(4000) / 8000
    tone = 0.1 * sum(np.cos(2 * np.pi * 125 * k * t) for k in range(1, 8))
    heard = word_vae.measure(np.pad(tone, 2000))
    assert abs(heard.duration - 0.5) < 0.04 and abs(heard.f0 - 125) < 2


def test_a_direction_is_the_slope_of_the_regression():
    generator = torch.Generator().manual_seed(0)
    attribute = torch.randn(500, generator=generator).double()
    slope = torch.tensor([0.5, -2.0, 0.0]).double()
    noise = torch.randn(500, 3, generator=generator).double()
    z = 3.0 + attribute[:, None] * slope + 0.1 * noise
    assert torch.allclose(vae_words.direction(z, attribute), slope, atol=0.02)
    with pytest.raises(ValueError, match="differ"):
        vae_words.direction(z, torch.ones(500))


@pytest.mark.parametrize("name", ["tempo", "pitch", "voice"])
def test_the_shipped_directions_move_what_they_name(name):
    """Measured afresh on sound: five places along the direction, every third held-out word."""
    model, card = word_vae.load()
    way = torch.tensor(card["directions"][name])
    scores = []
    for clip in [c for c in TEST if name != "voice" or c.speaker == "slt"][
        :: 1 if name == "voice" else 3
    ]:
        (z,) = model.latents([clip])
        places = np.linspace(0, 1, 5) if name == "voice" else np.linspace(-1, 1, 5)
        reach = {"tempo": 0.35, "pitch": 0.2, "voice": 1.0}[name]
        heard = [
            word_vae.measure(word_vae.synthesize(model.word(z + float(p) * reach * way)))
            for p in places
        ]
        if name == "voice":
            his = [c for c in LEARN if c.speaker == "rms" and c.text == clip.text]
            target = vae_words.spectral_mean(his)
            values = [-np.linalg.norm(h.spectrum - target) for h in heard]
        else:
            values = [h.duration if name == "tempo" else h.f0 for h in heard]
        scores.append(spearmanr(places, values)[0])
    assert np.mean(scores) >= 0.8
    assert card["spearman"][name]["mean"] >= 0.8
    assert card["spearman, by the student"][name]["mean"] >= 0.8


def test_the_student_says_a_word_with_its_duration_pitch_and_level(monkeypatch):
    heard_by, usual = [], word_vae.synthesise
    watch = lambda mel, f0, **seed: heard_by.append(mel) or usual(mel, f0, **seed)
    monkeypatch.setattr(word_vae, "synthesise", watch)
    for clip in TEST[::5]:
        x = word_vae.vector(clip)
        plain, made = word_vae.synthesize(x), word_vae.synthesize(x, by="student")
        assert abs(len(made) - len(plain)) <= 160
        assert 0.5 < made.std() / plain.std() < 2 and np.abs(made[:200]).max() < 0.02
        heard, was = word_vae.measure(made), word_vae.measure(plain)
        assert abs(np.log(heard.f0 / was.f0)) < 0.06
        mel = heard_by[-1]  # what the student is given: the word, at the level that it learned at
        own = mel_bands(audio.to_level(clip.audio, 8000, corpus.LOUD), 8000, 32)
        given, recorded = (np.quantile(np.exp(bands).sum(0), 0.9) for bands in (mel, own))
        assert abs(np.log(given / recorded)) < 0.35, clip.name
        quiet = x.copy()
        quiet[: word_vae.MOMENTS * word_vae.BANDS] -= 1  # neper
        ratio = word_vae.synthesize(quiet, by="student").std() / made.std()
        assert abs(ratio * np.e - 1) < 0.02


def test_the_shipped_model_describes_held_out_words():
    model, card = word_vae.load()
    x = torch.tensor(np.stack([word_vae.vector(c) for c in TEST])).float()
    nats = vae.elbo(model, model.inward(x), 20, generator=torch.Generator().manual_seed(0)).mean()
    assert abs(nats - card["elbo"]["held out"]) < 0.1 * abs(card["elbo"]["held out"])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="417"):
        word_vae.synthesize(np.zeros(10))
    with pytest.raises(ValueError, match='"pulses" or "student"'):
        word_vae.synthesize(np.zeros(word_vae.DIM), by="teacher")
    with pytest.raises(ValueError, match="8000 Hz"):
        word_vae.vector(data.Utterance(np.zeros(100, np.float32), 16000, "seven", "slt"))


def test_a_word_lasts_from_40_ms_to_2_s():
    for log_seconds, frames in ((-9, 4), (np.log(0.5), 50), (9, 200)):
        x = np.r_[np.zeros(word_vae.DIM - 1), log_seconds]
        assert len(word_vae._frames(x, 0.01)[1]) == frames


def test_silence_around_a_sound_is_not_measured():
    alone = word_vae.measure(TEST[0].audio)
    around = word_vae.measure(np.pad(TEST[0].audio, 80 * 50))
    assert around.duration == alone.duration and around.f0 == pytest.approx(alone.f0, rel=0.01)
    assert np.allclose(around.spectrum, alone.spectrum)


def test_a_word_is_as_long_as_it_is_louder_than_35_db_below_its_top():
    tone = 0.3 * np.sin(2 * np.pi * 1000 / 8000 * np.arange(4000))
    length = lambda db: word_vae.measure(np.r_[tone, 10 ** (-db / 20) * tone]).duration
    assert abs(length(28) - 1.0) < 0.05 and abs(length(42) - 0.5) < 0.05


def test_each_kind_of_number_has_one_scale_and_standardising_is_undone():
    """Spectra, log F0, voicing and the duration, whatever their units: at mean 0 and mean square 1 each."""
    x = torch.from_numpy(np.stack([word_vae.vector(c) for c in LEARN[::9]]))
    model = word_vae.WordVAE(2, (4,)).double()
    inward = model.standardise(x)
    parts = inward.split([384, 16, 16, 1], 1)
    assert [part.square().mean().item() for part in parts] == pytest.approx([1] * 4, rel=1e-4)
    assert all(len(scale.unique()) == 1 for scale in model.scale.split([384, 16, 16, 1]))
    assert inward.mean(0).abs().max() < 1e-9 and torch.allclose(model.outward(inward), x)
