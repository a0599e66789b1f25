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


def lasting(seconds, level=0.1, **fields):
    """A tone of that level in its middle, 40 dB above the hiss around it; the text has 10 phones a second."""
    t = np.arange(round(8000 * seconds))
    hiss = 1e-3 * level * np.random.default_rng(0).standard_normal(len(t))
    tone = level * 2**0.5 * np.sin(2 * np.pi * 200 / 8000 * t) * (np.abs(t / len(t) - 0.5) < 0.4)
    text = " ".join(["seven"] * max(1, round(2 * seconds)))
    return changed(hiss + tone, **{"text": text} | fields)


@pytest.mark.parametrize(
    "good, bad, message",
    [
        (lasting(0.41), lasting(0.39), "0.4 s are too short: at least 0.4 s"),
        (lasting(19.9), lasting(20.4), "20 s are too long: cut it at a pause, below 20 s"),
        (lasting(1, 0.0032), lasting(1, 0.0028), "too quiet: -51 dB"),
        (lasting(1, rate=8001), lasting(1, rate=7999), "at 7,999 Hz it lacks .* at 8,000 Hz"),
        (lasting(2, text="seven seven"), lasting(2, text="seven"), "5 phones in 2.0 s"),
        (lasting(1, text="seven " * 5), lasting(1, text="seven " * 6), "30 phones in 1.0 s"),
    ],
)
def test_each_limit_lies_where_its_message_says(good, bad, message):
    assert faults([good], Reader(), 8000) == {}
    (wrong,) = faults([bad], Reader(), 8000)[CLIP.name]
    assert re.search(message, wrong)


def test_a_share_of_the_samples_may_lie_at_the_limit_and_the_hiss_fifteen_decibels_below():
    x = lasting(1).audio
    for share, wrong in ((0.0015, False), (0.0025, True)):
        loud = np.where(np.arange(8000) < 8000 * share, 1.0, x)
        assert bool(faults([changed(loud, text="seven seven")], Reader(), 8000)) == wrong
    for db in (40, 17, 13):
        hiss = 0.1 * 10 ** (-db / 20) * np.random.default_rng(1).standard_normal(8000)
        clip = changed(lasting(1, 0.1).audio + hiss, text="seven seven")
        assert noise_distance(clip.audio, 8000) == pytest.approx(db, abs=1)
        assert ("noisy" in str(faults([clip], Reader(), 8000))) == (db < 15)
