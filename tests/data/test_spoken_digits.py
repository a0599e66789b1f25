"""The embedded corpus: what is in it, and that no cell can change it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from minigen import data


def test_embedded_sets_use_no_network_and_no_torch():
    code = """
import socket, sys
def refuse(*args, **kwargs):
    raise AssertionError("network used")
socket.socket.connect = refuse
from minigen import data
data.spoken_digits(); data.example(); data.digits(); data.airline(); data.nile(); data.sunspots()
data.book_text(); data.recorded_dependence()
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr


def test_every_word_in_every_voice_with_its_times():
    clips = data.spoken_digits()
    assert len({(c.text, c.speaker, c.name) for c in clips}) == 360
    for clip in clips:
        assert clip.rate == 8000 and clip.phones[0][0] == clip.phones[-1][0] == "pau"
        assert clip.phones[-1][2] == pytest.approx(clip.duration)
        assert len(clip.f0) == len(clip.audio) // 80 and clip.f0.dtype == np.float32
        # The word is louder than the pauses around it: times and sound belong together.
        start, end = (int(8000 * seconds) for seconds in (clip.phones[0][2], clip.phones[-1][1]))
        assert np.std(clip.audio[start:end]) > 20 * np.std(clip.audio[: start - 80])


def test_no_cell_changes_the_corpus():
    before = data.example().f0.copy()
    with pytest.raises(ValueError, match="read-only"):
        data.example().f0[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        clip = data.example()
        clip.f0 *= 2
    with pytest.raises(ValueError, match="read-only"):
        data.spoken_digits()[0].audio += 1
    data.spoken_digits().clear()
    assert len(data.spoken_digits()) == 360
    np.testing.assert_array_equal(data.example().f0, before)


def test_unknown_names_list_what_there_is():
    with pytest.raises(
        ValueError, match="no speaker in spoken_digits 'theo': choose one of slt, rms"
    ):
        data.spoken_digits(speaker="theo")
    with pytest.raises(ValueError, match="no word in spoken_digits 'ten': choose one of zero"):
        data.spoken_digits(word="ten")
