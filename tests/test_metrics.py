"""Metrics on cases whose answer is known."""

import numpy as np
import pytest

from minigen import data
from minigen.metrics import DigitRecogniser, dtw, log_mel_distance, std_ratio
from minigen.voice import held_out


def test_std_ratio():
    x = np.random.default_rng(0).normal(size=1000)
    assert np.isclose(std_ratio(0.5 * x, x), 0.5)
    with pytest.raises(ValueError, match="constant"):
        std_ratio(x, np.zeros(10))


def test_log_mel_distance_of_a_gain_is_that_gain():
    x = np.random.default_rng(0).normal(0, 0.1, 16000)
    assert log_mel_distance(x, x, 8000) == 0
    assert np.isclose(log_mel_distance(x / 2, x, 8000), 20 * np.log10(2), atol=1e-6)
    with pytest.raises(ValueError, match="cut them alike"):
        log_mel_distance(x, x[1:], 8000)


def test_dtw_against_enumeration():
    """All paths of a small case, by recursion."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4)), rng.normal(size=(2, 3))
    cost = np.linalg.norm(a.T[:, None] - b.T[None], axis=-1)

    def cheapest(i, j):
        if i == j == 0:
            return cost[0, 0]
        steps = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        return cost[i, j] + min(cheapest(*s) for s in steps if min(s) >= 0)

    assert np.isclose(dtw(a, b), cheapest(3, 2) / 7)
    with pytest.raises(ValueError, match=r"\(F, N\)"):
        dtw(a, b[:1])


def test_recogniser_names_held_out_recordings_and_not_noise():
    train, kept = held_out()
    recogniser = DigitRecogniser(train[::4])
    assert np.mean([recogniser(clip.audio) == clip.text for clip in kept]) >= 0.95
    rng = np.random.default_rng(0)
    noise = [recogniser(0.05 * rng.normal(size=len(clip.audio))) == clip.text for clip in kept]
    assert np.mean(noise) < 0.4  # ten words: chance is 0.1


def test_recogniser_needs_templates():
    with pytest.raises(ValueError, match="templates"):
        DigitRecogniser([])
    assert DigitRecogniser(data.spoken_digits("slt", "one"))(data.example().audio) == "one"
