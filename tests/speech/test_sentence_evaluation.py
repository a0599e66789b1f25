"""The figures of a voice of recorded sentences: each judge against a case whose answer is known."""

import dataclasses
import math

import numpy as np
import pytest
import toy
from scipy.signal import lfilter

from minigen import conditioning, data
from minigen.metrics import PhoneClassifier
from minigen.speech import corpus, training, voice
from minigen.speech import sentence_evaluation as evaluation
from minigen.speech.prosody import Prosody


def sentence(words: tuple[str, ...], tempo: str) -> data.Utterance:
    """Digits of one voice, one recording after the other."""
    find = lambda word: next(
        c for c in data.spoken_digits("rms", word) if c.name.endswith(f"_{tempo}_p1.0")
    )
    parts, phones, at = [find(word) for word in words], [], 0.0
    for part in parts:
        phones += [(name, at + start, at + end) for name, start, end in part.phones]
        at += part.duration
    merged = [phones[0]]  # of two pauses in a row, one
    for name, start, end in phones[1:]:
        if name == merged[-1][0] == "pau":
            merged[-1] = ("pau", merged[-1][1], end)
        else:
            merged.append((name, start, end))
    audio, f0 = (np.concatenate([getattr(p, part) for p in parts]) for part in ("audio", "f0"))
    text = " ".join(words)
    return data.Utterance(audio, 8000, text, "rms", merged, f0, f"{text}_{tempo}")


@pytest.fixture(scope="module")
def sentences():
    rng = np.random.default_rng(0)
    words = sorted({clip.text for clip in data.spoken_digits("rms")})
    return [
        sentence(tuple(rng.choice(words, 4)), tempo)
        for _ in range(20)
        for tempo in ("t1.0", "t1.2")
    ]


def test_linear_prediction_reaches_the_floor_of_an_ar_process(sentences):
    rng = np.random.default_rng(0)
    made = []
    for k in range(3):
        x = lfilter([1.0], [1, -1.6, 0.8], 0.02 * rng.standard_normal(20_000)).astype(np.float32)
        made.append(data.Utterance(x, 8000, "", "x", None, None, str(k)))
    floor = 0.5 * math.log(2 * math.pi * math.e * 0.02**2)
    assert abs(evaluation.linear_nll(made[:2], made[2:], 2, 0.0) - floor) < 0.01
    assert evaluation.linear_nll(made[:2], made[2:], 1, 0.0) > floor + 0.2
    assert evaluation.linear_nll(made[:2], made[2:], 2, 0.02) > floor + 0.1  # the dither counts


def test_the_pitch_of_a_sound_is_held_to_its_plan():
    f0 = np.r_[np.zeros(30), np.linspace(120, 180, 100), np.zeros(30)]
    phi = conditioning.phase(f0, 8000)
    buzz = conditioning.phase_features(phi, f0)[:3].mean(0) * 0.5  # three harmonics
    agreement, error = evaluation._pitch_of(buzz, 8000, f0)
    assert agreement > 0.95 and error < 1
    agreement, error = evaluation._pitch_of(buzz, 8000, 1.2 * f0)
    assert agreement > 0.95 and abs(error - 100 * math.log(1.2)) < 1
    agreement, _ = evaluation._pitch_of(buzz, 8000, np.roll(f0, 40))
    assert agreement < 0.6


def test_each_condition_is_given_what_it_says(sentences):
    clip, prosody = sentences[1], Prosody.fit(sentences)
    model = voice.load("teacher")
    full, times, nothing = (
        evaluation.synthesize_sentence(model, prosody, clip, condition)
        for condition in evaluation.CONDITIONS
    )
    plans = [tuple(made.times) for made in (full, times, nothing)]
    assert plans[0] == plans[1] == clip.phones != plans[2]
    assert np.array_equal(full.f0, clip.f0) and not np.array_equal(times.f0, clip.f0)
    assert len(full.audio) == len(times.audio) == len(clip.audio)
    assert len(nothing.audio) == 80 * len(nothing.f0)
    with pytest.raises(ValueError, match="no condition 'guess'"):
        evaluation.synthesize_sentence(model, prosody, clip, "guess")


def test_prosody_is_measured_against_constants(sentences):
    train, kept = corpus.held_out(sentences, "allison")
    row = evaluation.prosody_figures(Prosody.fit(train), train, kept)
    assert row["durations, nats a phone"] > row["without context"] + 0.3
    assert row["voicing right %"] > 85 > row["always the usual %"]
    assert row["F0 rms error %"] < row["the speaker's mean %"]
    # of a corpus that says nothing twice differently, only the wobble of 0.1 % is left
    rng = np.random.default_rng(0)
    wobble = lambda n: 100 * np.exp(0.001 * rng.standard_normal(n))
    flat = [dataclasses.replace(c, f0=wobble(len(c.f0))) for c in sentences]
    row = evaluation.prosody_figures(Prosody.fit(flat), flat, flat)
    assert row["voicing right %"] == 100 and abs(row["F0 rms error %"] - 0.1) < 0.01


def test_a_whole_table_from_a_toy_voice(sentences, tmp_path, monkeypatch):
    few = {"data": {"frames": 10, "batch": 2}, "run": {"steps": 3, "every": 3}}
    small = {"layers": 3, "residual": 4, "hidden": 4}
    model = small | {"cycles": 1, "skip": 4}
    recipe = toy.recipe("allison-cpu-teacher", model=model, **few)
    monkeypatch.setattr(corpus, "read", lambda source: sentences)
    train, kept = corpus.held_out(sentences, "allison")
    assert kept and train
    training.train(recipe, tmp_path)
    teacher = tmp_path / "checkpoint.safetensors"
    measured, said, none, _, prosody = evaluation.sentence_table(teacher, limit=2)
    assert none == [] and "student" not in measured
    assert {one.clip.name for one in said} <= {clip.name for clip in kept}
    assert len(said) == len(evaluation.CONDITIONS) * len(kept[:2]) and prosody.speaker == "rms"
    nats = measured["nats"]
    # three steps from the linear predictor: both still are where they began
    assert (
        abs(nats["step 0"] - nats["AR(16)"]) < 0.3 and abs(nats["trained"] - nats["step 0"]) < 0.3
    )
    rows = measured["sentences"]
    assert (
        rows[evaluation.CONDITIONS[0]]["seconds ratio"] == 1
        and "log-mel dB" in rows[evaluation.CONDITIONS[1]]
    )
    assert rows["recordings"]["phones %"] > rows[evaluation.CONDITIONS[0]]["phones %"]
    assert "another sentence" not in evaluation.figures(said[:3], PhoneClassifier(train))
    text = evaluation.as_text(measured)
    assert all(name in text for name in (*nats, *rows, *measured["prosody"]))
    # and a student of it
    model = small | {"flows": 1}
    pupil = toy.recipe("allison-cpu-student", model=model, teacher=str(teacher), **few)
    training.train(pupil, tmp_path / "student")
    file = tmp_path / "student" / "checkpoint.safetensors"
    both, _, by_student, _, _ = evaluation.sentence_table(teacher, limit=1, student=file)
    assert (
        len(by_student) == len(evaluation.CONDITIONS)
        and both["student nats"]["KL to the teacher"] > 0
    )
    for condition in evaluation.CONDITIONS:
        assert (
            both["student to teacher"][condition]["MCD dB"]
            > 0
            < both["student"][condition]["MCD dB"]
        )
        assert "STFT" in both["student to teacher"][condition]
    assert "KL to the teacher" in evaluation.as_text(both)
    # what is held to itself is no distance away
    same = evaluation.spectral_distances(said[0].audio, said[0].audio, 8000, True)
    assert set(same) == {"warped dB", "MCD dB", "log-mel dB", "STFT"}
    assert all(abs(value) < 1e-6 for value in same.values())
