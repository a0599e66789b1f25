"""The figures of a voice of recorded sentences: each judge against a case whose answer is known."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.signal import lfilter

from minigen import conditioning, data
from minigen.audio import to_level
from minigen.speech import corpus, voice_file, waveform_model
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
    loud = dataclasses.replace(made[2], audio=2 * made[2].audio)  # errors twice those of training
    assert abs(evaluation.linear_nll(made[:2], [loud], 2, 0.0) - floor - (4 - 1) / 2) < 0.05


def test_the_pitch_of_a_sound_is_held_to_its_plan():
    f0 = np.r_[np.zeros(30), np.linspace(120, 180, 100), np.zeros(30)]
    phi = conditioning.phase(f0, 8000)
    buzz = conditioning.phase_features(phi, f0)[:3].mean(0) * 0.5  # three harmonics

    def figures(plan):
        """Of a sound with this plan, whatever F0 the recording has."""
        one = evaluation.Synthesized(data.example(), evaluation.CONDITIONS[3], buzz, plan)
        row = evaluation.figures([one])[one.condition]
        return row["voicing %"], row["F0 error %"]

    agreement, error = figures(f0)
    assert agreement > 95 and error < 1
    agreement, error = figures(1.2 * f0)
    assert agreement > 95 and abs(error - 100 * math.log(1.2)) < 1
    assert figures(np.roll(f0, 40))[0] < 60


@pytest.fixture(scope="module")
def voice(sentences):
    return dataclasses.replace(voice_file.find("allison"), prosody=Prosody.fit(sentences))


@pytest.fixture(scope="module")
def made(voice, sentences):
    return [
        evaluation.synthesize_sentence(voice, clip, condition)
        for clip in sentences[1:4:2]
        for condition in evaluation.CONDITIONS
    ]


def test_each_condition_is_given_what_it_says(voice, sentences, made):
    clip, (copy, full, times, nothing) = sentences[1], made[:4]
    assert np.array_equal(copy.f0, clip.f0) and np.array_equal(full.f0, clip.f0)
    assert len(times.f0) == len(clip.f0) and not np.array_equal(times.f0, clip.f0)
    assert len(copy.audio) == len(full.audio) == len(times.audio) == len(clip.audio)
    assert len(nothing.audio) == 80 * len(nothing.f0) != len(clip.audio)
    with pytest.raises(ValueError, match="no condition 'guess'"):
        evaluation.synthesize_sentence(voice, clip, "guess")


def test_the_less_is_given_the_farther_from_the_recording(made):
    rows = evaluation.figures(made)
    distances = [rows[condition]["warped dB"] for condition in evaluation.CONDITIONS]
    assert distances[0] == min(distances) and distances[0] < 0.7 * distances[1]
    assert all("log-mel dB" in rows[condition] for condition in evaluation.CONDITIONS[:3])
    last = rows[evaluation.CONDITIONS[3]]
    ratios = [len(one.audio) / len(one.clip.audio) for one in made[3::4]]
    assert "log-mel dB" not in last and last["seconds ratio"] == pytest.approx(np.mean(ratios))
    assert abs(np.mean(ratios) - 1) > 0.01
    assert rows["another sentence"]["warped dB"] > distances[0]
    pitches = [evaluation._pitch_of(one.audio, 8000, one.f0) for one in made[::4]]
    found = [rows[evaluation.CONDITIONS[0]][name] for name in ("voicing %", "F0 error %")]
    assert found == pytest.approx(np.mean(pitches, axis=0) * [100, 1]) and found[0] > 50
    same = evaluation.spectral_distances(made[0].audio, made[0].audio, 8000, True)
    assert set(same) == {"warped dB", "MCD dB", "log-mel dB", "STFT"}
    assert all(abs(value) < 1e-6 for value in same.values())


def test_likelihoods_order_what_is_known(sentences):
    level = [
        dataclasses.replace(c, audio=to_level(c.audio, 8000, corpus.LOUD), speaker=corpus.ANYBODY)
        for c in sentences[:4]
    ]
    teacher, student = (waveform_model.load(kind) for kind in ("teacher", "student"))
    found = evaluation.likelihoods(teacher, student, level[:2], level[2:], 5e-4)
    assert found["teacher"] < found["linear prediction from the bands"] - 0.3
    assert found["linear prediction from the bands"] < found["AR(16)"] - 0.5
    assert found["AR(16), its scale from the past"] < found["AR(16)"] - 0.5
    linear = evaluation.linear_nll(level[:2], level[2:], 16, 5e-4)
    assert found["AR(16)"] == pytest.approx(linear)
    assert 0 < found["KL of the student to the teacher"] < 0.5


def test_prosody_is_measured_against_constants(sentences):
    train, kept = corpus.held_out(sentences, "allison")
    row = evaluation.prosody_figures(Prosody.fit(train), train, kept)
    assert row["durations, nats per phone"] > row["without context"] + 0.3
    assert row["voicing right %"] > 85 > row["always the usual %"]
    log_f0 = lambda clips: np.concatenate([np.log(c.f0[c.f0 > 0]) for c in clips])
    flat = np.sqrt(np.mean((log_f0(kept) - log_f0(train).mean()) ** 2))
    assert row["F0 rms error %"] < row["the speaker's mean %"] == pytest.approx(100 * flat)
    # of two sentences at once each is the mean of both: nothing is fitted on what is held out
    one, two = kept[0], dataclasses.replace(train[0], f0=2 * train[0].f0)
    parts = [evaluation.prosody_figures(Prosody.fit(train), train, some) for some in ([one], [two])]
    both = evaluation.prosody_figures(Prosody.fit(train), train, [one, two])
    counts = [(len(c.phones), len(c.f0), (c.f0 > 0).sum()) for c in (one, two)]
    for name, value in both.items():
        kind, power = (1, 1) if "%" in name else (0, 1)
        kind, power = (2, 2) if "F0" in name or "speaker" in name else (kind, power)
        mean = np.average([row[name] ** power for row in parts], weights=[n[kind] for n in counts])
        assert value == pytest.approx(np.sign(mean) * abs(mean) ** (1 / power), rel=1e-6), name
    # of a corpus that says nothing twice differently, only the wobble of 0.1 % is left
    rng = np.random.default_rng(0)
    wobble = lambda n: 100 * np.exp(0.001 * rng.standard_normal(n))
    flat = [dataclasses.replace(c, f0=wobble(len(c.f0))) for c in sentences]
    row = evaluation.prosody_figures(Prosody.fit(flat), flat, flat)
    assert row["voicing right %"] == 100 and abs(row["F0 rms error %"] - 0.1) < 0.01


def test_the_table_names_all_that_was_measured(made):
    measured = {"nats": {"teacher": -4.4}, "sentences": evaluation.figures(made)}
    text = evaluation.as_text(measured)
    assert all(name in text for name in ("teacher", "nats per sample", *evaluation.CONDITIONS))


def test_the_table_is_of_as_many_sentences_as_asked_for(voice, sentences, monkeypatch):
    monkeypatch.setattr(evaluation, "find", lambda name: voice)
    monkeypatch.setattr(evaluation, "clips", lambda *_: (sentences[:9:2], sentences[1:9:2]))
    quick = lambda voice, clip, condition: evaluation.Synthesized(
        clip, condition, clip.audio, clip.f0
    )
    monkeypatch.setattr(evaluation, "synthesize_sentence", quick)
    seen = []
    monkeypatch.setattr(evaluation, "likelihoods", lambda *given: seen.append(given[2:4]) or {})
    for limit, count in ((2, 2), (None, 4)):
        table, made = evaluation.sentence_table("t.tsv", limit=limit)
        assert [one.clip for one in made[::4]] == sentences[1:9:2][:count]
        assert seen[-1] == (sentences[:9:2], sentences[1:9:2][:count])
        assert set(table) == set(evaluation.TITLES)
