"""Voices converted, words drawn: the bars, measured afresh, and what is refused."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from conversion_toy import KEPT, LEARN, small, some

from minigen import audio, cli, code_prior, data, weights
from minigen.metrics import DigitRecogniser, mel_cepstral_distortion
from minigen.speech import conversion
from minigen.speech import conversion_features as features
from minigen.speech import conversion_measures as measures
from minigen.speech import conversion_training as training

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "training"))
import vq_speech


def test_the_shipped_prior_beats_unigram_and_bigram():
    model, _ = conversion.load()
    prior, card = conversion.load_prior()
    codes = {c.name: model.codes_of(features.extract(c.audio, c.f0)) for c in LEARN + KEPT}
    learn, kept = ([codes[c.name] for c in part] for part in (LEARN, KEPT))
    words = torch.tensor([conversion.DIGIT_WORDS.index(c.text) for c in KEPT])
    nats = {order: code_prior.ngram_nats(order, learn, kept, 128) for order in (1, 2)}
    alone, told = prior.nats(kept).item(), prior.nats(kept, words).item()
    assert told < alone < nats[2] - 0.2 < nats[1] - 0.4
    written = card["nats a symbol, held out"]
    assert alone == pytest.approx(written["prior"], abs=0.01)
    assert nats[2] == pytest.approx(written["bigram"], abs=0.01)


def test_converted_words_are_nearer_sound_like_the_target_and_stay_words():
    """A third of the held-out pairs, afresh. The card has all of them with five seeds of the noise."""
    model, card = conversion.load()
    rows = vq_speech.table(model, LEARN, measures.pairs(KEPT)[::3], LEARN)
    bars = {"mcd lower by %": 25, "target %": 90, "recognised %": 85}
    for column, bar in bars.items():
        assert card["conversion, held out"]["converted"][column] >= bar, column
        assert rows["converted"][column] >= bar - 5 * (column != "mcd lower by %"), column
    assert rows["source"]["target %"] <= 5 and rows["recording"]["recognised %"] >= 95
    assert card["speaker judge's accuracy on held-out recordings %"] >= 95
    assert len(card["converted, with each noise seed"]) == 5


def test_a_word_is_carried_over_and_the_voice_is_not():
    """One conversion through the public function, with F0 tracked from the sound."""
    clip = next(c for c in KEPT if c.text == "seven" and c.speaker == "slt")
    target = next(c for c in KEPT if c.text == "seven" and c.speaker == "rms")
    made = conversion.convert(clip.audio, "rms")
    assert len(made.audio) == len(clip.audio) and np.abs(made.audio).max() <= 1
    before = mel_cepstral_distortion(clip.audio, target.audio, 8000)
    assert mel_cepstral_distortion(made.audio, target.audio, 8000) < 0.8 * before
    assert measures.SpeakerClassifier(LEARN)(made.audio) == "rms"
    assert DigitRecogniser(LEARN)(made.audio) == "seven"
    mean, _ = features.log_f0_moments(made.f0)
    assert mean == pytest.approx(conversion.load()[0].log_f0[1, 0].item(), abs=1e-5)
    kept = conversion.convert(clip.audio, "rms", keep_pitch=True)
    assert features.log_f0_moments(kept.f0)[0] > mean + 0.3  # hers


def test_new_utterances_are_words_of_the_speaker():
    recognise, judge = DigitRecogniser(LEARN[::2]), measures.SpeakerClassifier(LEARN)
    made = [(w, conversion.sample_word("rms", w, seed=1)) for w in conversion.DIGIT_WORDS]
    assert np.mean([recognise(m.audio) == word for word, m in made]) >= 0.7
    assert np.mean([judge(m.audio) == "rms" for _, m in made]) >= 0.8
    a, b = (conversion.sample_word("slt", seed=seed) for seed in (0, 1))
    assert not torch.equal(a.codes, b.codes) and 5 <= len(a.codes) <= 100


def test_the_command_converts_any_wav(tmp_path, monkeypatch, capsys):
    clip = data.example()
    x = audio.resample(clip.audio, 8000, 44100)
    soundfile.write(tmp_path / "in.wav", np.stack([x, 0.5 * x], axis=1), 44100)  # stereo
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    line = ["minigen", "convert", "in.wav", "--to", "rms", "--out", "out.wav"]
    monkeypatch.setattr(sys, "argv", line)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0 and "in the voice of rms" in capsys.readouterr().out
    made, rate = audio.load(tmp_path / "out.wav")
    assert rate == 8000 and abs(len(made) - len(clip.audio)) <= 1
    assert measures.SpeakerClassifier(LEARN)(made) == "rms"


def test_errors_say_what_is_wrong():
    model = small().eval()
    for call, message in (
        (lambda: features.extract(np.zeros(100)), "no speech"),
        (lambda: features.extract(np.zeros(8000)), "no speech"),
        (lambda: features.extract(np.zeros((2, 8000))), "(T,)"),
        (lambda: features.extract(np.full(8000, np.nan)), "finite"),
        (lambda: model.quantize(torch.zeros(1, 13, 5)), "N even"),
        (lambda: features.warp_frequencies(np.ones((129, 2)), 0.0), "a factor of 2"),
        (lambda: model.decode(torch.arange(4), np.zeros(7), "slt"), "F0 is"),
        (lambda: model.decode(torch.arange(4), np.zeros(8), "hal"), "slt, rms, awb"),
        (lambda: conversion.load("x"), "spoken_digits, fsdd or a file"),
        (lambda: conversion.load(str(weights.path("vq_prior"))), "is no model of conversion"),
        (lambda: conversion.sample_word("slt", "eleven"), "choose one of zero"),
        (lambda: training.ConversionCrops(*some(), batch=1, frames=3), "even"),
        (lambda: training.ConversionCrops(some()[0], [0] * 17 + [2], 1, 4), "every speaker"),
        (lambda: measures.SpeakerClassifier(LEARN[:2]), "at least two"),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert message in str(caught.value), caught.value


def test_every_argument_changes_the_sound():
    clip = KEPT[0]
    own = conversion.convert(clip.audio, "rms")
    for change in ({"to": "awb"}, {"keep_pitch": True}, {"seed": 1}, {"temperature": 0.5}):
        made = conversion.convert(clip.audio, **{"to": "rms"} | change)
        assert np.abs(made.audio - own.audio).max() > 0.01, change
    apart = lambda temperature: np.std(
        np.subtract(
            *(
                conversion.convert(clip.audio, "rms", seed=seed, temperature=temperature).audio
                for seed in (0, 1)
            )
        )
    )
    assert apart(0.2) < 0.9 * apart(1.0)
    calm = conversion.convert(clip.audio, "rms", temperature=0.2)
    assert torch.equal(calm.codes, own.codes)
    assert np.array_equal(
        conversion.convert(clip.audio, "rms", keep_pitch=True).f0[:5],
        features.extract(clip.audio).f0[:5],
    )
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="temperature scales the noise"):
            conversion.convert(clip.audio, "rms", temperature=wrong)


def test_a_replaced_file_of_weights_is_noticed(tmp_path):
    file = tmp_path / "mine.safetensors"
    for name in ("spoken_digits", "fsdd"):
        file.write_bytes(weights.path(f"vq_{name}").read_bytes())
        assert conversion.load(file)[0].speakers == conversion.load(name)[0].speakers
    assert conversion.load(file)[0] is conversion.load(file)[0]
    with pytest.raises(FileNotFoundError, match="there is no file none.safetensors"):
        conversion.load("none.safetensors")
    assert conversion.load(file)[1] == {}  # there is no card beside it


def test_the_seed_of_a_new_word_is_that_of_its_sound_too(monkeypatch):
    """Of codes that are long enough to be a word: shorter ones are drawn again."""
    codes, asked = conversion.load()[0].codes_of(KEPT[0].audio)[:10], []

    def sample(count, condition, max_length, generator):
        asked.append((count, condition, max_length, generator.initial_seed()))
        return (codes[: 4 if len(asked) % 2 else 5],)

    monkeypatch.setattr(conversion, "load_prior", lambda: (SimpleNamespace(sample=sample), {}))
    one, same, other = (conversion.sample_word("rms", "two", seed) for seed in (7, 7, 1))
    assert np.array_equal(one.audio, same.audio) and np.abs(one.audio - other.audio).max() > 1e-3
    assert len(one.codes) == 5 and asked == [(1, 2, 100, seed) for seed in (7, 7, 7, 7, 1, 1)]
