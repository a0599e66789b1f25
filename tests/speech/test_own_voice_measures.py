"""What a voice is worth: word errors by hand, a recogniser only where there is one."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from minigen.speech.own_voice_measures import recogniser, word_errors


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

        start_utt = end_utt = lambda self: None

        def process_raw(self, content, full_utt):
            heard.append(np.frombuffer(content, np.int16))

        def hyp(self):
            return SimpleNamespace(hypstr="hello")

    module = ModuleType("pocketsphinx")
    module.Decoder = Decoder
    monkeypatch.setitem(sys.modules, "pocketsphinx", module)
    assert recogniser()(0.5 * np.ones(8000), 8000) == "hello"
    assert len(heard[0]) == 16_000 and abs(np.median(heard[0]) - 16_384) < 20
