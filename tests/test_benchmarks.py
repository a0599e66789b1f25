"""What the benchmarks compute and write: their own functions on cases whose answer is known."""

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from minigen import data, metrics, results
from minigen.conditioning import mel_bands
from minigen.speech import conversion_measures
from minigen.speech.scoreboard import ROWS

ROOT = Path(__file__).parents[1]


def load(name: str):
    spec = importlib.util.spec_from_file_location(
        f"benchmark_{name}", ROOT / f"benchmarks/{name}.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


benchmark = load("vocoder")


def test_vocoder_measures_know_right_answers():
    clips = [data.spoken_digits()[i] for i in (40, 200)]
    same = benchmark.measure(lambda clip: clip.audio, clips)
    assert same["log_mel"] == same["mcd"] == same["f0"] == same["voicing"] == 0
    assert same["std_ratio"] == 1 and np.isnan(same["stoi"])  # too short
    half = benchmark.measure(lambda clip: 0.5 * clip.audio, clips)
    assert np.isclose(half["std_ratio"], 0.5) and 3 < half["log_mel"] < 6.1 and half["mcd"] < 0.1
    late = benchmark.measure(lambda clip: np.pad(clip.audio, (400, 0)), clips)
    assert late["log_mel"] > 5 and late["mcd"] < 1  # which is warped
    rng = np.random.default_rng(0)
    noise = benchmark.measure(lambda clip: 0.1 * rng.normal(size=len(clip.audio)), clips)
    searched = benchmark.measure(benchmark.from_mel_alone, clips)
    assert searched["log_mel"] < 0.25 * noise["log_mel"] and searched["mcd"] < 0.5 * noise["mcd"]


def test_what_takes_bands_apart_lies_where_the_recording_lay():
    """Griffin-Lim's frames are around (n + ½) · 10 ms, too: shifted by a frame, it would be further off."""
    clip = data.spoken_digits()[40]
    made = benchmark.from_mel_alone(clip)
    off = lambda by: np.mean(
        np.abs(mel_bands(np.roll(made, by)[: len(clip.audio)], 8000, 32) - want)
    )
    made, want = np.pad(made, (0, 80)), mel_bands(clip.audio, 8000, 32)
    assert off(0) < off(40) and off(0) < off(-40)


def test_the_vocoder_table_covers_every_corpus_and_one_that_no_recipe_has(monkeypatch):
    asked = []

    def read(name, rate):
        asked.append(name)
        return [c for c in data.spoken_digits("rms") if "_p1.0" in c.name]

    monkeypatch.setattr(benchmark, "CORPORA", ("spoken_digits",))
    monkeypatch.setattr(benchmark.corpus, "read", read)
    monkeypatch.setattr(benchmark.corpus, "held_out", lambda clips, name: ([], clips[:2]))
    monkeypatch.setattr(benchmark, "measure", lambda make, clips: {"log_mel": float(len(clips))})
    rows = benchmark.table(limit=1)
    assert asked == list(rows) == ["spoken_digits", "ljspeech"]
    for methods in rows.values():
        plain = ["Griffin-Lim", "source and filter"]
        assert list(methods) == [*plain, *(f"{m}, corrected" for m in plain), "teacher", "student"]
        assert all(row == {"log_mel": 1} for row in methods.values())


def test_the_scoreboard_prints_rows_and_writes_only_whole_tables(capsys, monkeypatch):
    board, written = load("scoreboard"), {}
    row = {name: 1.0 for name in board.UNITS}
    monkeypatch.setattr(board, "measure_row", lambda name: row)
    monkeypatch.setattr(board, "costs", dict)
    monkeypatch.setattr(board.results, "write", lambda *what: written.update([what]))
    board.main(["µ-law"])
    assert "µ-law" in capsys.readouterr().out and not written
    board.main([])
    card = written["scoreboard"]
    assert list(card["rows"]) == [row.name for row in ROWS]
    assert {key: set(value) for key, value in card.items() if key == "what"} == {
        "what": {row.name for row in ROWS}
    }


def test_minutes_and_megabytes_of_the_table_are_those_of_the_weights_that_ship():
    board, table = load("scoreboard"), results.read("scoreboard")["costs"]
    for name, files in board.FILES.items():
        assert table[name]["minutes"] == pytest.approx(sum(map(board.minutes, files)), abs=0.06), (
            name
        )
        size = board.weights.path(files[-1]).stat().st_size / 1e6
        assert table[name]["mb"] == pytest.approx(size, abs=1e-3), name
    for name in board.CHECKPOINTS:
        assert table[name]["minutes"] == board.checkpoint(name)["cpu_minutes"]


def test_stored_tables_name_a_command_that_is_there():
    for name in ("scoreboard", "vocoder", "speed"):
        command = results.read(name)["command"]
        assert (ROOT / command.split()[1]).is_file(), command


def test_every_classifier_that_judges_has_its_noise_curve():
    """A new one is measured by `benchmarks/judges.py` before anything is judged by it."""
    judges = load("judges")
    classifiers = {
        name
        for module in (metrics, conversion_measures, judges)
        for name in vars(module)
        if name.endswith(("Classifier", "Recogniser", "Recognizer", "Judge"))
    }
    table = results.read("judges")["rows"]
    assert classifiers == set(table) and len(classifiers) >= 3
    for name, row in table.items():
        assert set(row) == {"clean", "chance"} | {f"{snr} dB" for snr in judges.SNR}, name
        assert row["clean"] > 2 * row["chance"], name
        assert row["clean"] >= row["20 dB"] >= row["0 dB"], name
    assert table["DigitRecogniser"]["20 dB"] > 95  # so it may judge voices that hiss


def test_noise_is_as_far_below_the_clip_as_it_says():
    judges, clip = load("judges"), data.spoken_digits()[40]
    noise = judges.noisy(clip, 20) - clip.audio
    assert np.isclose(20 * np.log10(clip.audio.std() / noise.std()), 20, atol=0.3)
    row = judges.curve(lambda clip, x: float(np.array_equal(x, clip.audio)), [clip])
    assert row["clean"] == 100 and row["0 dB"] == 0


def test_words_and_opinions_are_counted_seed_by_seed():
    outside = load("intelligibility")
    heard = {1.0: ("Dial 500, now!", 3.0), 2.0: ("dial four hundred now", 2.0)}
    sounds = [[np.array([first])] for first in heard]
    row = outside.judge(["Dial five hundred now."], sounds, lambda x: heard[float(x[0])])
    assert row == {"wer": 12.5, "wer_low": 0.0, "wer_high": 25.0, "p808": 2.5}


def test_a_quicker_formulation_is_so_many_times_the_plain_one(capsys, monkeypatch):
    speed = load("training_speed")
    monkeypatch.setattr(speed, "step", lambda name, net, x: 0.03 if name == "plain" else 0.01)
    monkeypatch.setattr(sys, "argv", ["", "--seconds", "0.05", "--rounds", "1", "--no-compile"])
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    speed.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[-5:] for row in rows if row[0] in ("plain", "last")] == 2 * [
        ["30", "ms", "1.00", "×", "plain"],
        ["10", "ms", "3.00", "×", "plain"],
    ]


@pytest.fixture(scope="module")
def sentences():
    return data.spoken_digits("rms")


def test_the_phone_classifier_names_phones_of_recordings_and_not_of_a_wrong_plan(sentences):
    classifier = load("judges").PhoneClassifier(sentences)
    right, wrong, noise = [], [], []
    for clip, other in pairwise(sentences[::9]):
        right.append(classifier(clip.audio, clip.rate, clip.phones))
        wrong.append(classifier(clip.audio, clip.rate, other.phones))
        hiss = 0.1 * np.random.default_rng(0).standard_normal(len(clip.audio))
        noise.append(classifier(hiss, clip.rate, clip.phones))
    assert np.mean(right) > 0.6
    assert np.mean(wrong) < 0.4 * np.mean(right) and np.mean(noise) < 0.3 * np.mean(right)


def test_a_phone_that_is_nearly_sure_beforehand_is_what_is_named(sentences):
    classifier, clip = load("judges").PhoneClassifier(sentences), sentences[0]
    name = next(name for name, _, _ in clip.phones if name in classifier.names and name != "pau")
    classifier.prior = np.where(np.array(classifier.names) == name, 0.0, -1e9)
    spoken = [(phone, end - begin) for phone, begin, end in clip.phones if phone != "pau"]
    share = sum(d for phone, d in spoken if phone == name) / sum(d for _, d in spoken)
    assert classifier(clip.audio, clip.rate, clip.phones) == pytest.approx(share, abs=0.05)
