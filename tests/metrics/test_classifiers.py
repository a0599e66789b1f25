"""Classifiers on what they should know, on noise, and on what is wrong."""

from itertools import pairwise

import numpy as np
import pytest

from minigen import data
from minigen.metrics import DigitRecogniser, PhoneClassifier, classifiers
from minigen.speech.corpus import held_out


def test_recogniser_names_held_out_recordings_and_not_noise():
    train, kept = held_out()
    recogniser = DigitRecogniser(train[::4])
    assert np.mean([recogniser(clip.audio) == clip.text for clip in kept]) >= 0.95
    rng = np.random.default_rng(0)
    noise = [recogniser(0.05 * rng.normal(size=len(clip.audio))) == clip.text for clip in kept]
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
    assert DigitRecogniser(data.spoken_digits("slt", "one"))(data.example().audio) == "one"


@pytest.fixture(scope="module")
def sentences():
    return data.spoken_digits("rms")


def test_the_phone_classifier_names_phones_of_recordings_and_not_of_a_wrong_plan(sentences):
    classifier = PhoneClassifier(sentences)
    right, wrong, noise = [], [], []
    for clip, other in pairwise(sentences[::9]):
        right.append(classifier(clip.audio, clip.rate, clip.phones))
        wrong.append(classifier(clip.audio, clip.rate, other.phones))
        hiss = 0.1 * np.random.default_rng(0).standard_normal(len(clip.audio))
        noise.append(classifier(hiss, clip.rate, clip.phones))
    assert np.mean(right) > 0.6
    assert np.mean(wrong) < 0.4 * np.mean(right) and np.mean(noise) < 0.3 * np.mean(right)


def test_a_phone_that_is_nearly_sure_beforehand_is_what_is_named(sentences):
    classifier, clip = PhoneClassifier(sentences), sentences[0]
    name = next(name for name, _, _ in clip.phones if name in classifier.names and name != "pau")
    classifier.prior = np.where(np.array(classifier.names) == name, 0.0, -1e9)
    spoken = [(phone, end - begin) for phone, begin, end in clip.phones if phone != "pau"]
    share = sum(d for phone, d in spoken if phone == name) / sum(d for _, d in spoken)
    assert classifier(clip.audio, clip.rate, clip.phones) == pytest.approx(share, abs=0.05)
