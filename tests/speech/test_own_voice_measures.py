"""What a voice is worth: word errors by hand, a recogniser only where there is one."""

import dataclasses
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from minigen import data
from minigen.speech import corpus, own_voice_measures, voice_file
from minigen.speech.own_voice_measures import recogniser, table, word_errors
from minigen.speech.prosody import Prosody
from minigen.speech.voice_file import TextVoice
from minigen.speech.waveform_model import ExcitationStudent


@pytest.mark.parametrize(
    "text, found, errors",
    [
        ("One two.", "one two", 0),
        ("One two.", "", 1),
        ("one two three four", "one three four", 0.25),
        ("one two", "one too two", 0.5),
        ("one two", "won two", 0.5),
        ("2", "two", 0),
    ],
)
def test_word_errors(text, found, errors):
    assert word_errors([text], [found]) == errors


def test_words_count_over_all_texts():
    assert word_errors(["one two three", "four"], ["one two three", "for"]) == 0.25


def test_without_a_recogniser_there_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    assert recogniser() is None


def test_a_recogniser_gets_16_bits_at_16_khz(monkeypatch):
    heard = []

    class Decoder:
        def __init__(self, **options):
            assert options["samprate"] == 16_000

        def start_utt(self):
            self.done = []

        def process_raw(self, content, full_utt):
            heard.append(np.frombuffer(content, np.int16))
            self.done.append(full_utt)

        def end_utt(self):
            self.done.append("end")

        def hyp(self):
            assert self.done == [True, "end"]
            return SimpleNamespace(hypstr="hello") if heard[-1].any() else None

    module = ModuleType("pocketsphinx")
    module.Decoder = Decoder
    monkeypatch.setitem(sys.modules, "pocketsphinx", module)
    recognise = recogniser()
    assert recognise(0.5 * np.ones(8000), 8000) == "hello"
    assert recognise(np.zeros(800), 8000) == "" and len(heard.pop()) == 1600
    assert len(heard[0]) == 16_000 and abs(np.median(heard[0]) - 16_384) < 20


def test_each_figure_stands_beside_its_baseline(monkeypatch):
    """Of a voice that copies exactly, and one that was silent before it learned."""
    train, held = corpus.held_out(data.spoken_digits("rms"))
    held = held[:3]
    student, silent = (ExcitationStudent(flows=1, layers=1, residual=2) for _ in range(2))
    silent.synthesize = lambda mel, f0: np.zeros(80 * len(f0), np.float32)
    waves = iter(wave for clip in held for wave in (clip.audio, 0.5 * clip.audio))  # copy, text
    monkeypatch.setattr(TextVoice, "synthesize", lambda self, text: np.zeros(800))
    texts = iter([*(clip.text for clip in held[1:]), "no"])  # each recording is taken for the next
    hears = lambda x, rate: next(texts) if x.any() else "no no"
    student.synthesize = lambda mel, f0: next(waves)
    voice = dataclasses.replace(
        voice_file.find("allison"), prosody=Prosody.fit(train), student=student
    )
    monkeypatch.setattr(own_voice_measures, "recogniser", lambda: hears)
    rows = table(voice, silent, train, held)
    lengths = lambda clips: np.array([b - a for clip in clips for _, a, b in clip.phones])
    off = np.abs(lengths(held) - np.median(lengths(train)))
    durations = rows["durations, median error in ms"]
    assert durations["baseline"] == pytest.approx(1000 * np.median(off))
    assert durations["this voice"] < durations["baseline"]
    copies = rows["log-mel distance of the copy, dB"]
    assert copies["this voice"] == 0 and copies["baseline"] > 10
    (text,) = rows["log-mel distance of the text, recorded times and F0, dB"].values()
    assert 2 < text <= 6.03  # half as loud
    missed = rows["words that a recogniser misses, %"]
    assert missed == {"this voice": 200, "baseline": 100}
    pitch = rows["F0, error in %"]
    assert 0 < pitch["this voice"] < pitch["baseline"]
