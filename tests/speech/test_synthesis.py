"""Typed text to sound: arguments that do what they say, sentence by sentence, refused in one line."""

import dataclasses
import inspect
import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minigen import audio, data, timeseries, weights
from minigen.audio import pitch, source_filter
from minigen.gaussian import Gaussian
from minigen.hmm import GaussianHMM
from minigen.mixture import GaussianMixture
from minigen.speech import (
    conversion,
    prosody,
    synthesis,
    vocoder,
    voice,
    voice_file,
    waveform_model,
    word_vae,
)
from minigen.speech.evaluation import recognised, synthesize_digits


def test_student_speaks_intelligibly_and_at_the_right_level():
    """A few digits, recognised by a recogniser that is not the model: most of them."""
    right, count, _ = recognised(synthesize_digits(voice.load("student"), per_word=2))
    assert right >= 0.8 * count
    spoken = synthesis.speak("seven", "slt", voice="digits")
    recorded = [clip.audio for clip in data.spoken_digits("slt", "seven")]
    level = np.mean([x.std() for x in recorded])
    assert 0.7 < spoken.audio.std() / level < 1.3


def test_speak_is_reproducible_and_follows_its_arguments():
    a, b = synthesis.speak("3 1", voice="digits"), synthesis.speak("three one", voice="digits")
    assert np.array_equal(a.audio, b.audio) and a.rate == 8000 and a.audio.dtype == np.float32
    assert not np.array_equal(a.audio, synthesis.speak("3 1", seed=1, voice="digits").audio)
    assert len(synthesis.speak("3 1", pace=2.0, voice="digits").audio) < 0.6 * len(a.audio)
    assert len(synthesis.speak("3 1", speaker="awb", voice="digits").audio) != len(a.audio)
    for call, message in (
        (lambda: synthesis.speak("hello", voice="digits"), "cannot say 'hello'"),
        (
            lambda: synthesis.speak("one", speaker="bob", voice="digits"),
            "no speaker 'bob'.*slt, rms, awb",
        ),
        (lambda: voice.load("teecher"), "no model 'teecher'"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_speak_takes_a_file_of_weights(tmp_path):
    path = str(weights.path("digits_student"))
    assert np.array_equal(
        synthesis.speak("one", model=path, voice="digits").audio,
        synthesis.speak("one", voice="digits").audio,
    )
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(Path(path).read_bytes()[:20_000])
    for model, message in (
        (
            str(weights.path("digits_teacher")),
            "does not hold a student but a teacher",
        ),
        (str(weights.path("rnn_characters")), "a model of another chapter"),
        (str(cut), "cut off, damaged"),
        ("teecher", "no model 'teecher': choose student or teacher, or give a file"),
    ):
        with pytest.raises(ValueError, match=message):
            synthesis.speak("one", model=model, voice="digits")
    for temperature in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="from 0 to 100"):
            synthesis.speak("one", temperature=temperature, voice="digits")


@pytest.mark.parametrize("model", ["student", "teacher"])
def test_the_recorded_voice_says_any_sentence(model):
    spoken = synthesis.speak("Your password has been changed.", voice="allison", model=model)
    assert spoken.rate == 8000 and 1.5 < len(spoken.audio) / 8000 < 3.5
    assert 0.03 < spoken.audio.std() < 0.3 and np.abs(spoken.audio).max() <= 1
    # the sound has the pitch of the plan, and is silent where the plan is
    voice = voice_file.find("allison")
    (phones,) = voice.sentences("Your password has been changed.")
    times, f0 = voice.prosody.plan(phones=phones)
    heard = pitch.f0(spoken.audio, 8000)[: len(f0)]
    both = (heard > 0) & (f0 > 0)
    assert np.mean((heard > 0) == (f0 > 0)) > 0.85
    assert np.median(np.abs(np.log(heard[both] / f0[both]))) < 0.05
    start = round(8000 * times[0][2])
    assert spoken.audio[: start // 2].std() < 0.1 * spoken.audio[start:].std()
    assert len(spoken.audio) > 1.5 * len(synthesis.speak("no", voice="allison", model=model).audio)


def test_the_recorded_teacher_speaks_by_any_loop():
    quick = {"voice": "allison", "pace": 2.0, "model": "teacher"}
    fast = synthesis.speak("No!", **quick)
    slow = synthesis.speak("no", **quick, backend="numpy")  # the same samples by the readable loop
    assert np.allclose(fast.audio[:1500], slow.audio[:1500], atol=1e-3)
    assert len(fast.audio) < 0.6 * len(synthesis.speak("no", voice="allison").audio)


def test_sentences_of_the_recorded_voice_come_piece_by_piece():
    text = "Thank you. Goodbye!"
    pieces = list(synthesis.stream(text, voice="allison", seed=2, pace=1.2, pitch=0.9))
    whole = synthesis.speak(text, voice="allison", seed=2, pace=1.2, pitch=0.9).audio
    together = np.concatenate(pieces)
    assert len(pieces) > 2 and together.shape == whole.shape
    assert np.abs(together - whole).max() < 1e-4 and whole.std() > 0.02
    alone = [
        synthesis.speak(part, voice="allison", pace=1.2) for part in ("Thank you.", "Goodbye!")
    ]
    waited = (len(whole) - sum(len(part.audio) for part in alone)) / 8000
    assert 0.1 < waited < 0.4  # two more silences between the sentences


def test_a_text_is_planned_sentence_by_sentence_and_refused_at_the_call(monkeypatch):
    planned, plan = [], prosody.Prosody.plan
    spy = lambda self, **options: planned.append(options["phones"]) or plan(self, **options)
    monkeypatch.setattr(prosody.Prosody, "plan", spy)
    text = "No. " * 3 + "Thank you for calling. " * 50
    sound = synthesis.stream(text, voice="allison")
    next(sound)
    assert 1 < len(planned) < 6
    for wrong, message in (("No. Yes. 5 中", "no reading for '中'"), ("?!", "nothing to read")):
        with pytest.raises(ValueError, match=message):
            synthesis.stream(wrong, voice="allison")
    with pytest.raises(ValueError, match="pace is a factor"):
        synthesis.stream("No.", voice="allison", pace=9)
    found = voice_file.find("allison")
    inventory = tuple(p for p in found.prosody.inventory if p != "z")
    poor = dataclasses.replace(found.prosody, inventory=inventory)
    monkeypatch.setattr(voice_file, "find", lambda name: dataclasses.replace(found, prosody=poor))
    with pytest.raises(ValueError, match="has no phone 'z'"):
        synthesis.stream("No. A zoo.", voice="allison")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"text": "one", "voice": "alison"}, "no voice 'alison' speaks: choose digits or allison"),
        ({"text": "one", "voice": "allison", "speaker": "slt"}, "no speaker 'slt'.*allison"),
        ({"text": "5 中", "voice": "allison"}, "no reading for '中'"),
        ({"text": "...", "voice": "allison"}, "nothing to read"),
        ({"text": "hi", "voice": "allison", "pace": 9}, "pace is a factor"),
        ({"text": "hi", "voice": "allison", "temperature": -1}, "from 0 to 100"),
        ({"text": "hi", "voice": "allison", "model": "none"}, "or give a file"),
        ({"text": "one", "voice": "digits", "lexicon": {"a": [("ax",)]}}, "any text"),
        ({"text": "one", "voice": "digits", "skip_unknown": True}, "any text"),
    ],
)
def test_what_the_recorded_voice_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        synthesis.speak(**arguments)


def test_spoken_is_a_record():
    spoken = synthesis.Spoken(np.zeros(8000, np.float32), 8000, 0.5)
    assert spoken.real_time_factor == 0.5
    assert dataclasses.is_dataclass(spoken)


CHANGES = {
    "text": "three two",
    "speaker": "awb",
    "model": "teacher",
    "pace": 1.3,
    "pitch": 1.3,
    "seed": 1,
    "temperature": 0.5,
    "voice": "the other",
}


@pytest.mark.parametrize(
    "who", [{"speaker": "slt", "voice": "digits"}, {"voice": "allison"}], ids=str
)
def test_every_argument_changes_the_sound_and_no_two_are_swapped(who):
    """Pace changes the length alone, pitch the F0 alone, temperature the noise's size, seed only the draw."""
    usual = {"text": "three one", **who}
    own = synthesis.speak(**usual).audio
    assert set(CHANGES) | {"backend", "lexicon", "skip_unknown"} == set(
        inspect.signature(synthesis.speak).parameters
    )
    found = {}
    for name, value in CHANGES.items():
        changed = usual | {name: value}
        if name in ("speaker", "voice"):  # a voice has speakers of its own
            speaker = {"speaker": value, "voice": "digits"}
            other = {"voice": {"digits": "allison", "allison": "digits"}[who["voice"]]}
            changed = {"text": usual["text"], **(speaker if name == "speaker" else other)}
        found[name] = synthesis.speak(**changed).audio
        assert found[name].shape != own.shape or np.abs(found[name] - own).max() > 0.01, name
    hz = lambda x: np.median((f := pitch.f0(x, 8000))[f > 0])
    assert len(found["pace"]) == pytest.approx(len(own) / 1.3, rel=0.03)
    assert hz(found["pace"]) == pytest.approx(hz(own), rel=0.08)
    assert len(found["pitch"]) == len(own) and hz(found["pitch"]) > 1.2 * hz(own)
    apart = lambda tau: np.std(
        np.subtract(*(synthesis.speak("one", **who, seed=s, temperature=tau).audio for s in (0, 1)))
    )
    assert apart(0.2) < 0.7 * apart(1.0) and hz(found["seed"]) == pytest.approx(hz(own), rel=0.03)


def test_a_stream_changes_with_its_arguments_as_speak_does():
    for change in ({}, {"pace": 1.3}, {"pitch": 1.3}, {"seed": 1}, {"temperature": 0.5}):
        change |= {"voice": "digits"}
        whole = synthesis.speak("two", **change).audio
        for chunk in (16, 48):
            pieces = list(synthesis.stream("two", **change, chunk=chunk))
            assert len(pieces[0]) == min(80 * chunk, len(whole))
            assert np.abs(np.concatenate(pieces) - whole).max() < 1e-4


def test_a_replaced_file_of_weights_is_noticed(tmp_path):
    file = tmp_path / "mine.safetensors"
    for of, name in (("digits", "digits_student"), ("allison", "waveform_student")):
        file.write_bytes(weights.path(name).read_bytes())
        spoken = synthesis.speak("one", voice=of, model=str(file)).audio
        assert np.array_equal(spoken, synthesis.speak("one", voice=of).audio)


@pytest.mark.parametrize("seed", [2**64, -(2**64)])
def test_a_seed_has_64_bits(seed):
    with pytest.raises(ValueError, match="at most 64 bits"):
        synthesis.speak("one", seed=seed, voice="digits")


def test_a_call_works_with_one_thread_and_gives_the_others_back(monkeypatch):
    seen, made = [], synthesis.voice_file.find("allison").student.pieces
    monkeypatch.setattr(
        synthesis.ExcitationStudent,
        "pieces",
        lambda net, *args: seen.append(torch.get_num_threads()) or made(*args),
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        synthesis.speak("No.")
        assert seen == [1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


WORD = data.example().audio[:1600]
DRAWS = {
    "digits, student": lambda **noise: synthesis.speak("one", voice="digits", **noise).audio,
    "digits, teacher": lambda **noise: (
        synthesis.speak("one", voice="digits", model="teacher", backend="numba", **noise).audio
    ),
    "allison, student": lambda **noise: synthesis.speak("No.", **noise).audio,
    "allison, teacher": lambda **noise: synthesis.speak("No.", model="teacher", **noise).audio,
    "copy by the student": lambda **noise: vocoder.vocode(WORD, 8000, **noise).audio,
    "copy by the teacher": lambda **noise: vocoder.vocode(WORD, 8000, "teacher", **noise).audio,
    "converted": lambda **noise: conversion.convert(WORD, "rms", **noise).audio,
    "prosody": lambda **noise: voice_file.find("allison").prosody.plan("no", **noise)[1],
}


@pytest.mark.parametrize("name", DRAWS)
def test_without_temperature_seeds_are_alike_and_with_it_each_has_its_own(name):
    made = lambda seed, temperature: DRAWS[name](seed=seed, temperature=temperature)
    assert np.array_equal(made(0, 0.0), made(1, 0.0))
    usual, again, other = made(0, 1.0), made(0, 1.0), made(1, 1.0)
    assert np.array_equal(usual, again)
    assert usual.shape != other.shape or np.abs(usual - other).max() > 0.01


VECTOR, CEPSTRUM = word_vae.vector(data.example()), np.zeros((40, 25))
F0 = np.r_[np.zeros(20), np.full(20, 120.0)]
MIXTURE = GaussianMixture.from_parameters([0.5, 0.5], np.eye(2), np.ones((2, 2)), "diag")
CHAIN = GaussianHMM.from_parameters([0.5, 0.5], np.full((2, 2), 0.5), np.eye(2), [np.eye(2)] * 2)
SEEDED = {
    "a word, by pulses": lambda seed: word_vae.synthesize(VECTOR, seed),
    "a word, by the student": lambda seed: word_vae.synthesize(VECTOR, seed, "student"),
    "codes": lambda seed: conversion.sample_word("slt", "two", seed).audio,
    "bands": lambda seed: vocoder.synthesise(np.zeros((32, 40)), F0, seed=seed),
    "source and filter": lambda seed: source_filter.vocode(CEPSTRUM, F0, 8000, seed),
    "linear prediction": lambda seed: timeseries.lpc_excitation(np.ones(40), F0, 8000, 80, seed),
    "phases": lambda seed: audio.griffin_lim(np.ones((129, 9)), 64, 3, seed),
    "a Gaussian": lambda seed: Gaussian([0.0], [[1.0]]).sample(9, seed),
    "a mixture": lambda seed: MIXTURE.sample(9, seed),
    "a chain": lambda seed: CHAIN.sample(9, seed)[0],
    "a series": lambda seed: timeseries.AR.from_parameters([0.5]).simulate(9, seed),
}


@pytest.mark.parametrize("name", SEEDED)
def test_a_seed_repeats_its_draw_and_another_has_another(name):
    usual, again, other = (SEEDED[name](seed) for seed in (0, 0, 1))
    assert np.array_equal(usual, again) and np.isfinite(usual).all()
    assert usual.shape != other.shape or np.abs(usual - other).max() > 1e-3 * np.abs(usual).max()


@pytest.mark.parametrize("model, seconds", [("student", 2.0), ("teacher", 9.0)])
def test_speed_is_the_median_of_three_runs_after_a_first_one(monkeypatch, model, seconds):
    ticks, made = itertools.accumulate([0, 9, 0, 1, 0, 4, 0, 2]), []
    clock = SimpleNamespace(perf_counter=lambda: next(ticks))
    monkeypatch.setattr(synthesis, "time", clock)
    monkeypatch.setattr(
        synthesis, "sample", lambda net, cond, backend: made.append((cond, backend))
    )
    speed = synthesis.samples_per_second(model, "numba")
    assert speed == made[0][0].shape[-1] / seconds and {backend for _, backend in made} == {"numba"}
    assert len(made) == (1 if model == "teacher" else 4)


@pytest.mark.parametrize("voice, usual", [("digits", "numpy"), ("allison", "numba")])
def test_a_teachers_loop_is_the_one_asked_for(monkeypatch, voice, usual):
    seen = []

    def silence(net, cond, *_, backend, **options):
        seen.append(backend)
        return torch.zeros(1, 1, cond.shape[-1])

    for module in (synthesis, waveform_model):
        monkeypatch.setattr(module, "generate", silence)
    for given in ({}, {"backend": "naive"}, {"backend": "numba"}):
        synthesis.speak("one", voice=voice, model="teacher", **given)
    assert seen == [usual, "naive", "numba"]


def test_speed_is_that_of_a_second_or_of_two_receptive_fields(monkeypatch):
    """On a clock where a call takes 1 s, then 2, 3 and 4: the first of a student's is not counted."""
    seen, ticks = [], itertools.accumulate(itertools.chain(*((0, k) for k in range(1, 99))))
    monkeypatch.setattr(synthesis, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    catch = lambda net, cond, backend: seen.append((cond.shape[-1], backend))
    monkeypatch.setattr(synthesis, "sample", catch)
    assert synthesis.samples_per_second("student") == 8000 / 3
    known = 2 * voice.shared("teacher").wavenet.receptive_field
    assert synthesis.samples_per_second("teacher", "numpy") == known / 5
    assert seen == [(8000, "naive")] * 4 + [(known, "numpy")]
