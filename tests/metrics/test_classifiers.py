"""Classifiers on what they should know, on noise, and on what is wrong."""

from dataclasses import replace

import numpy as np
import pytest

from minigen import data
from minigen.metrics import DigitRecogniser, classifiers
from minigen.speech.corpus import held_out


def test_recogniser_names_held_out_recordings_and_not_noise():
    train, kept = held_out()
    recogniser = DigitRecogniser(train[::4])
    assert np.mean([recogniser(clip.audio) == clip.text for clip in kept[::2]]) >= 0.95
    rng = np.random.default_rng(0)
    noise = [recogniser(0.05 * rng.normal(size=len(c.audio))) == c.text for c in kept[::4]]
    assert np.mean(noise) < 0.4  # ten words: chance is 0.1


@pytest.mark.parametrize("k, word", [(1, "one"), (3, "two"), (2, "one")])
def test_k_neighbours_vote_and_the_nearest_decides_a_tie(k, word, monkeypatch):
    clips = [data.spoken_digits("slt", name)[0] for name in ("two", "one", "two", "three")]
    distances = iter([2.0, 1.0, 3.0, 9.0])
    monkeypatch.setattr(classifiers, "dtw", lambda *_: next(distances))
    assert DigitRecogniser(clips, k)(data.example().audio) == word


def test_recogniser_needs_templates():
    with pytest.raises(ValueError, match="templates"):
        DigitRecogniser([])
    recogniser = DigitRecogniser(data.spoken_digits("slt", "one"))
    n = len(recogniser.templates)
    assert recogniser(data.example().audio) == "one"
    assert repr(recogniser) == f"DigitRecogniser({n} templates at 8000 Hz, k=3)"


def test_frames_last_as_long_at_every_rate():
    clip = replace(data.example(), rate=16_000, phones=None, f0=None)
    assert DigitRecogniser([clip])._features(clip.audio).shape[1] == 1 + len(clip.audio) // 160


def test_a_clips_own_mean_is_removed_from_each_coefficient():
    clip = data.example()
    features = DigitRecogniser([clip])._features(clip.audio)
    assert features.shape == (12, 1 + len(clip.audio) // 80)  # each 10 ms
    assert np.abs(features.mean(axis=1)).max() < 1e-9
