"""The figures of the voices of the digits."""

import math

import numpy as np
import pytest
import torch

from minigen import conditioning, metrics
from minigen.parallel_wavenet import Student
from minigen.speech import corpus, evaluation, synthesis, unconditional, voice


def test_the_table_of_the_digits(monkeypatch):
    train, kept = corpus.held_out()
    monkeypatch.setattr(corpus, "held_out", lambda: (train[:40], kept[:3]))
    monkeypatch.setattr(synthesis, "samples_per_second", lambda model: 1.0)
    rows = evaluation.digits_table(per_word=1)
    measures = {"warped dB", "MCD dB", "log-mel dB", "STFT"}
    for name in ("teacher", "student"):
        found = evaluation.against_recordings(voice.load(name))
        assert (rows[name]["log-mel dB"], rows[name]["std ratio"]) == pytest.approx(found)
        assert measures < set(rows[name]) and 0 < rows[name]["MCD dB"] < 10
    assert set(rows["student to teacher"]) == measures and rows["student"]["KL nats"] > 0
    said = [evaluation._as_recorded(voice.load(name), kept[:3]) for name in ("student", "teacher")]
    pairs = zip(*said, strict=True)
    apart = [metrics.mel_cepstral_distortion(a, b, 8000) for a, b in pairs]
    assert rows["student to teacher"]["MCD dB"] == pytest.approx(np.mean(apart))
    right, count, _ = evaluation.recognised((clip.text, clip.audio) for clip in kept[:3])
    assert rows["recordings"]["recognised %"] == pytest.approx(100 * right / count) and right > 1
    dither = voice.recipe_of("teacher").data["dither"]
    nats = unconditional.nats(voice.load("teacher"), kept[:3], dither)
    assert rows["teacher"]["NLL nats"] == pytest.approx(-nats, rel=1e-5)


def test_the_phase_is_the_recordings_or_the_sum_of_f0(monkeypatch):
    train, kept = corpus.held_out()
    monkeypatch.setattr(corpus, "held_out", lambda: (train, kept[:2]))
    teacher, student = voice.load("teacher"), voice.load("student")
    apart = [evaluation.student_kl(student, teacher, follow_audio=f)[0] for f in (True, False)]
    assert apart[0] != apart[1]
    far = [evaluation.against_recordings(student, follow) for follow in (True, False)]
    assert far[0] != far[1]


def test_the_entropy_of_a_student_is_that_of_its_density():
    torch.manual_seed(0)
    size = {"residual": 4, "skip": 4, "layers": 3, "cond_channels": 24, "lpc_order": 2, "hidden": 8}
    teacher = voice.TeacherVoice.build(conditioning.DIGITS, **size, min_log_scale=-8.4).eval()
    # untrained: N(0, 1 / e²) throughout
    student = Student(1, 2, 4, cond_channels=24, log_scale=-1.0)
    model = voice.StudentVoice(teacher.upsampler, student).eval()
    kl, entropy = evaluation.student_kl(model, teacher, corpus.held_out()[1][:1])
    assert entropy == pytest.approx(-1 + 0.5 * math.log(2 * math.pi * math.e), abs=1e-4) and kl > 0


def test_each_batch_has_noise_of_its_own_and_words_their_pace_and_pitch(monkeypatch):
    seeds, plans, said = [], [], []
    given = []
    sample = lambda cond, seed: (seeds.append(seed), np.zeros((len(cond), cond.shape[-1])))[1]
    last = lambda cond, seed: given.append(cond) or cond[:, 0].numpy()
    conds = [torch.arange(n).float().expand(1, 2, n) for n in (3, 5)]
    waves = list(evaluation.in_batches(last, conds))
    assert [wave.tolist() for wave in waves] == [[0, 1, 2], [0, 1, 2, 3, 4]] and len(given) == 1
    assert given[0][0, 1].tolist() == [0, 1, 2, 2, 2]  # what is too short goes on as it ends
    waves = list(evaluation.in_batches(sample, [torch.zeros(1, 2, n) for n in (3, 5, 4)], 7, 1))
    assert [len(wave) for wave in waves] == [3, 5, 4] and len(set(seeds)) == 3
    plan = lambda word, speaker, *change: (plans.append(change), said.append((word, speaker)))
    monkeypatch.setattr(conditioning, "plan", plan)
    monkeypatch.setattr(synthesis, "conditioning_for", lambda *_: None)
    monkeypatch.setattr(evaluation, "synthesize_all", lambda model, conds, seed: conds)
    assert len(list(evaluation.synthesize_digits(torch.nn.Identity(), 5))) == 50
    assert all(len({who for _, who in said[k : k + 10]}) == 3 for k in range(0, 50, 10))  # in turn
    assert len(set(said[:30])) == 30  # and each word by each of them
    pace, pitch = np.array(plans).T
    assert 0.85 <= pace.min() < 0.9 and 1.1 < pace.max() <= 1.2
    assert 0.9 <= pitch.min() < 0.93 and 1.07 < pitch.max() <= 1.1
    drawn, _ = plans[:50], plans.clear()
    for seed in (0, 1):  # the default, another
        list(evaluation.synthesize_digits(torch.nn.Identity(), 5, seed))
    assert plans[:50] == drawn and not set(plans[50:]) & set(drawn)


def test_a_mistake_is_filed_under_what_was_said(monkeypatch):
    monkeypatch.setattr(evaluation, "DigitRecogniser", lambda templates: lambda wave: "one")
    spoken = [("one", None), ("two", None), ("two", None)]
    assert evaluation.recognised(spoken) == (1, 3, {"two": ["one", "one"]})
