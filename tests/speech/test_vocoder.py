"""The vocoder: what it hears, and that what it makes has the recording's time, level and length."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from minigen import audio, conditioning, data, metrics, results, weights
from minigen.conditioning import VoiceSpec, mel_bands, mel_features
from minigen.data.spoken_digits import DIGIT_WORDS
from minigen.speech import (
    corpus,
    synthesis,
    vocoder,
    waveform_model,
)

ROOT = Path(__file__).parents[2]
SPEC = VoiceSpec((), 8000, (corpus.ANYBODY,), mels=32, lpc_order=16)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_000])
def test_bands_see_when_and_how_high(rate):
    hop = rate // 100
    x = np.zeros(60 * hop)
    x[30 * hop + hop // 2] = 0.5  # the middle of frame 30
    mel = mel_bands(x, rate, 32)
    assert mel.shape == (32, 60)
    loudness = np.exp(mel).sum(0)
    assert loudness.argmax() == 30 and np.isclose(loudness[29], loudness[31], rtol=0.02)
    tones = [300, 900, 2000, 3500]
    t = np.arange(60 * hop) / rate
    peaks = [mel_bands(0.3 * np.sin(2 * np.pi * f * t), rate, 32)[:, 30].argmax() for f in tones]
    centres = np.linspace(0, audio.hz_to_mel(rate / 2), 34)[1:-1]
    assert np.array_equal(peaks, [np.abs(centres - audio.hz_to_mel(f)).argmin() for f in tones])


def test_features_hold_bands_voicing_and_pitch():
    f0 = np.array([0.0, 130.0, 260.0])
    mel = np.array([[-20.0, -6.0, 0.0], [3.0, 0.0, -3.0]])
    rows = mel_features(mel, f0)
    assert rows.dtype == np.float32 and SPEC.frame_features == 34
    assert np.allclose(rows[:2], [[-1, -1, 1], [2, 1, 0]])
    assert np.allclose(rows[2:], [[0, 1, 1], [0, 0, np.log(2)]])
    with pytest.raises(ValueError, match="go with"):
        mel_features(mel, f0[:2])
    with pytest.raises(ValueError, match="phones or mel bands"):
        VoiceSpec(("pau",), 8000, ("x",), mels=32)


def test_every_clip_is_brought_to_one_level():
    bare = data.spoken_digits()[0]
    clip = dataclasses.replace(bare, audio=np.float32(0.1) * bare.audio)
    made = corpus.read("spoken_digits", 8000, minutes=0.02)
    for one in (corpus.at_one_level(clip), *made):
        assert np.isclose(audio.speech_level(one.audio, 8000), corpus.LOUD, rtol=1e-2)
    silent = dataclasses.replace(clip, audio=np.zeros(8000, np.float32), phones=None, f0=None)
    with pytest.raises(ValueError, match=f"{clip.name}: .* as good as silent"):
        corpus.at_one_level(silent)


def test_several_corpora_have_one_speaker_and_holds_out_what_each_part_does(monkeypatch):
    words = [c for c in data.spoken_digits("rms") if "_p1.0" in c.name]
    said = [
        dataclasses.replace(c, name=f"{i % 10}_rms_{i // 10}", f0=None, phones=None)
        for i, c in enumerate(words * 2)
    ]
    monkeypatch.setattr(data, "fsdd", lambda: said)
    monkeypatch.setattr(corpus, "at_one_level", lambda clip: clip)
    monkeypatch.setattr(corpus, "ready", lambda clip, rate: clip)
    parts = [corpus.read_all(name, 8000) for name in ("spoken_digits", "fsdd")]
    train, kept = (one + other for one, other in zip(*parts, strict=True))
    assert {c.speaker for c in train + kept} == {corpus.ANYBODY}
    assert sum(c.name.endswith(corpus.HELD_OUT) for c in kept) == 30
    assert sum(int(c.name[-1]) < 5 for c in kept if "_p" not in c.name) == len(kept) - 30 > 0
    assert not {c.name for c in train} & {c.name for c in kept}
    whole = sum(c.duration for c in data.spoken_digits()) / 60
    one, _ = corpus.read_all("spoken_digits", 8000, minutes=1)
    assert abs(len(one) - 330 / whole) < 12  # a minute's share, from all over
    assert {c.name.split("_")[0] for c in one} == set(DIGIT_WORDS)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A teacher and a student as they begin -> their files."""
    torch.manual_seed(0)
    folder, files = tmp_path_factory.mktemp("vocoder"), {}
    for kind, sizes in (
        ("teacher", {"layers": 4, "residual": 8, "skip": 8, "cycles": 1}),
        ("student", {"layers": 4, "residual": 8, "flows": 2}),
    ):
        model = waveform_model.KINDS[kind](**sizes)
        files[kind] = folder / f"{kind}.safetensors"
        notes = {"recipe": {"kind": f"waveform {kind}", "model": sizes}}
        weights.save(files[kind], model.state_dict(), notes)
    return files


@pytest.mark.parametrize("kind", ["teacher", "student"])
def test_what_comes_out_has_the_length_level_and_time_of_what_went_in(small, kind):
    clip, model = data.spoken_digits()[40], str(small[kind])
    made = vocoder.vocode(clip.audio, 8000, model)
    assert made.rate == 8000 and made.audio.shape == clip.audio.shape
    assert made.audio.dtype == np.float32 and 0 < np.abs(made.audio).max() <= 1
    quiet = vocoder.vocode(0.1 * clip.audio, 8000, model)
    assert np.allclose(quiet.audio, 0.1 * made.audio, atol=1e-4)
    again = vocoder.vocode(clip.audio, 8000, model, seed=1)
    assert not np.array_equal(again.audio, made.audio)
    still = [vocoder.vocode(clip.audio, 8000, model, seed, 0.0).audio for seed in (0, 1)]
    assert np.array_equal(*still) and not np.array_equal(still[0], made.audio)  # no noise at all
    high = audio.resample(clip.audio, 8000, 16_000)
    assert abs(len(vocoder.vocode(high, 16_000, model).audio) - len(clip.audio)) <= 1


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_of_a_file_made_and_recorded_come_side_by_side(small, tmp_path, rate):
    """Piece by piece as long as each other, together all that `vocode` makes, and the file."""
    x = np.concatenate([c.audio for c in data.spoken_digits("slt")[:9]])
    audio.save(tmp_path / "x.flac", audio.resample(x, 8000, rate), rate)
    pieces = list(vocoder.of_file(tmp_path / "x.flac", str(small["student"]), 3, 0.5))
    assert len(pieces) > 3 and all(len(made) == len(was) for made, was in pieces)
    made, was = map(np.concatenate, zip(*pieces, strict=True))
    want, _ = audio.load(tmp_path / "x.flac", rate=8000)
    assert np.allclose(was, want, atol=1e-4) and len(was) == len(x)
    again = vocoder.vocode(want, 8000, str(small["student"]), 3, 0.5).audio
    assert np.abs(made - again).max() < 0.05 * again.std()


def analyse(x):
    """Bands, F0 and level of a recording."""
    level = audio.speech_level(x, 8000)
    return *vocoder._bands_and_f0(x, SPEC, level), level


def test_a_long_recording_is_made_in_pieces_that_make_up_the_whole(small):
    x = np.concatenate([c.audio for c in data.spoken_digits("slt")[:9]])
    made = vocoder.vocode(x, 8000, str(small["student"]))
    mel, f0, level = analyse(x)
    whole = waveform_model.load(small["student"]).synthesize(mel, f0)[: len(x)]
    other = waveform_model.load(small["student"]).synthesize(mel, f0, 5, 0.5)
    assert np.array_equal(vocoder.synthesise(mel, f0, str(small["student"]), 5, 0.5), other)
    assert len(x) > 3 * 96 * 80
    assert np.allclose(made.audio, whole * level / corpus.LOUD, atol=2e-5)


@pytest.mark.parametrize("minutes", [1 / 2, 1])
def test_what_is_taken_apart_at_once_does_not_grow_with_the_recording(monkeypatch, minutes):
    """Nor is anything taken apart again and again: time grows with the length, memory does not."""
    word, lengths, apart = data.example().audio, [], vocoder._bands_and_f0
    x = np.resize(np.concatenate([word, np.zeros(2000, np.float32)]), int(minutes * 60 * 8000))

    def counted(part, *rest):
        lengths.append(len(part))
        return apart(part, *rest)

    monkeypatch.setattr(vocoder, "_bands_and_f0", counted)
    for blocks in ([x], np.array_split(x, 7)):
        lengths.clear()
        frames = sum(len(f0) for _, f0 in vocoder._taken_apart(blocks, SPEC, 0.1))
        assert frames == len(x) // 80
        assert max(lengths) <= (vocoder.PART + 2 * vocoder.MARGIN) * 80
        assert sum(lengths) < 1.4 * len(x)


def test_training_and_vocode_condition_alike(monkeypatch):
    """But for the phase, which in training follows the recording."""
    word = data.spoken_digits()[7]
    monkeypatch.setattr(data, "spoken_digits", lambda: [word])
    (clip,) = corpus.read("spoken_digits", 8000)
    frames, phase = conditioning.features(clip, follow_audio=False, spec=SPEC)
    mel, f0, level = analyse(clip.audio)
    assert np.isclose(level, corpus.LOUD, rtol=0.01)
    assert np.mean((f0 > 0) == (clip.f0 > 0)) > 0.97
    found, turned = conditioning.planned_features(mel, f0, SPEC)
    bands = np.abs(found - frames)[:32]
    assert (
        np.median(bands) < 0.01 and np.quantile(bands, 0.95) < 0.2 and turned.shape == phase.shape
    )


@pytest.mark.parametrize(
    "x, message",
    [
        (np.zeros(8000), "as good as silent"),
        (np.sin(np.arange(399)), "0.05 s, as good as silent"),
        (np.ones(8000) * 0.1, "as good as silent"),
        (np.full(8000, np.nan), "NaN or infinite"),
        (np.ones(8000, dtype=np.int16), "int16: samples are floats"),
        (np.ones((2, 8000)), r"waveform \(T,\)"),
    ],
)
def test_what_is_no_recording_is_refused(small, x, message):
    with pytest.raises((ValueError, TypeError), match=message):
        vocoder.vocode(x, 8000, str(small["student"]))


def test_a_rate_is_from_100_hz_to_10_mhz_and_400_samples_are_enough(small):
    x, model = 0.1 * np.sin(np.arange(400)), str(small["student"])
    assert len(vocoder.vocode(x, 8000, model).audio) == 400
    for rate in (99, 10**7 + 1, 8000.0):
        with pytest.raises(ValueError, match="rate is a whole number of Hz, 100 or more"):
            vocoder.vocode(x, rate, model)
    assert len(vocoder.vocode(x, 100, model).audio) == 32_000


def test_what_is_no_vocoder_is_refused(small):
    x = data.example().audio
    with pytest.raises(ValueError, match="choose student or teacher"):
        vocoder.vocode(x, 8000, "sudent")
    with pytest.raises(ValueError, match="holds no waveform model but a student"):
        vocoder.vocode(x, 8000, str(weights.path("digits_student")))
    with pytest.raises(ValueError, match="a model of another chapter"):
        vocoder.vocode(x, 8000, str(weights.path("rnn_seven")))
    with pytest.raises(ValueError, match="temperature scales the noise"):
        vocoder.vocode(x, 8000, str(small["student"]), temperature=-1)
    with pytest.raises(ValueError, match="does not hold a student but a waveform student"):
        synthesis.speak("one", model=str(small["student"]), voice="digits")


def test_the_shipped_student_makes_held_out_words_again():
    held = corpus.held_out()[1][::6]
    real = [c.audio for c in held]
    row = metrics.compare([vocoder.vocode(x, 8000).audio for x in real], real, 8000)
    assert row["log_mel"] < 5.5 and row["mcd"] < 5 and row["voicing"] < 8
    assert 0.85 < row["std_ratio"] < 1.1
    other = metrics.compare([*real[1:], real[0]], real, 8000)  # clips that do not belong together
    assert row["log_mel"] < 0.4 * other["log_mel"] and row["mcd"] < 0.8 * other["mcd"]


def test_stored_figures_hold_the_student_to_its_bars():
    """On every corpus, and on a reader who is in none of its training data."""
    rows = results.read("vocoder")["rows"]
    assert list(rows) == ["allison", "spoken_digits", "fsdd", "ljspeech"]
    for methods in rows.values():
        student = methods["student"]
        assert student["f0"] < methods["Griffin-Lim"]["f0"]
        assert 0.85 <= student["std_ratio"] <= 1.1
    assert rows["allison"]["student"]["stoi"] > 0.85


def test_parts_of_a_recording_are_those_of_the_whole(monkeypatch):
    """But for the pitch of a frame or two, as a part's loudest frame is not that of the whole."""
    x = np.concatenate([c.audio for c in data.spoken_digits("slt")[:9]]).astype(float)
    x += np.random.default_rng(0).normal(0, 1e-3, len(x))
    mel, f0, level = analyse(x)
    monkeypatch.setattr(vocoder, "PART", 150)
    parts = list(vocoder._taken_apart([x], SPEC, level))
    found, pitches = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    assert len(parts) > 2 and np.abs(found - mel).max() < 0.01
    assert np.mean(np.abs(pitches - f0) > 1) < 0.03


def test_the_level_of_a_recording_is_that_of_its_loud_blocks_power(monkeypatch):
    """Of levels 1 : 3 it is √5; a block a tenth as loud as the loudest, or less, is a pause."""
    flat = lambda *_: iter([np.full(8, corpus.LOUD), np.full(8, 100.0), np.full(8, -100.0)])
    monkeypatch.setattr(vocoder, "_synthesised", flat)
    x = 0.1 * data.example().audio
    blocks = [x, 3 * x, 0.2 * x, 0 * x]
    piece, *clipped = vocoder._made_again(lambda: blocks, waveform_model.load(), 0, 1.0)
    assert np.allclose(piece, np.sqrt(5) * audio.speech_level(x, 8000), rtol=1e-3)
    assert np.array_equal(clipped, [np.ones(8), -np.ones(8)])
