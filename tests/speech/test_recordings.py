"""Faults of recordings: each is found, and good recordings have none."""

import dataclasses
import re

import numpy as np
import pytest

from minigen import data
from minigen.speech.reader import Reader
from minigen.speech.recordings import faults, noise_distance

CLIP = data.spoken_digits("rms", "seven")[0]
PLAIN = dataclasses.replace(CLIP, phones=None, f0=None)


def changed(x, **fields):
    x = np.clip(x, -1, 1).astype(np.float32)
    return dataclasses.replace(PLAIN, audio=x, **fields)


def test_a_good_recording_has_no_fault():
    assert faults([PLAIN, changed(0.05 * CLIP.audio, name="quieter")], Reader(), 8000) == {}


@pytest.mark.parametrize(
    "x, fields, message",
    [
        (0.002 * CLIP.audio, {}, "too quiet"),
        (100 * CLIP.audio, {}, "overdriven"),
        (np.where(CLIP.audio < -0.1, -1, CLIP.audio), {}, "overdriven"),
        (np.where(CLIP.audio > 0.1, 1, CLIP.audio), {}, "overdriven"),
        (CLIP.audio[:1600], {}, "0.2 s are too short"),
        (np.tile(CLIP.audio, 60), {}, "s are too long: cut it"),
        (CLIP.audio, {"rate": 4000}, "at 4,000 Hz it lacks"),
        (CLIP.audio, {"text": "中"}, "cannot be read: there is no reading"),
        (CLIP.audio, {"text": "seven " * 40}, "the text is not what is spoken"),
        (np.tile(CLIP.audio, 9), {"text": "a"}, "1 phones in .* the text is not what is spoken"),
    ],
)
def test_each_fault_is_named(x, fields, message):
    found = faults([changed(x, **fields)], Reader(), 8000)
    assert re.search(message, "; ".join(found[CLIP.name]))


def test_noise_is_measured_against_speech():
    noise = np.random.default_rng(0).standard_normal(len(CLIP.audio))
    level = noise_distance(CLIP.audio, 8000)
    for db in (10, 20):
        size = CLIP.audio.std() * 10 ** (-db / 20)
        assert abs(noise_distance(CLIP.audio + size * noise, 8000) - db) < 6 < level
    loud = changed(CLIP.audio + CLIP.audio.std() * 0.4 * noise)
    assert "above the background" in faults([loud], Reader(), 8000)[CLIP.name][0]
