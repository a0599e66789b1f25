"""Metrics on cases whose answer is known."""

import numpy as np
import pytest

from minigen import data
from minigen.audio import mel_spectrogram
from minigen.metrics import (
    DigitRecogniser,
    cepstral_distortion,
    dtw,
    log_mel_distance,
    mel_cepstra,
    mel_cepstral_distortion,
    std_ratio,
    warping_path,
)
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


def test_the_path_is_the_cheapest_of_all():
    """All paths of a small case."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 4)), rng.normal(size=(2, 5))
    cost = np.linalg.norm(a.T[:, None] - b.T[None], axis=-1)

    def paths(i, j):
        if i == j == 0:
            return [[(0, 0)]]
        before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        return [p + [(i, j)] for s in before if min(s) >= 0 for p in paths(*s)]

    best = min(paths(3, 4), key=lambda path: sum(cost[step] for step in path))
    assert [tuple(map(int, step)) for step in zip(*warping_path(a, b), strict=True)] == best
    with pytest.raises(ValueError, match=r"\(F, N\)"):
        warping_path(a, b[:1])
    with pytest.raises(ValueError, match="NaN"):
        warping_path(a, b * np.nan)


def test_distortion_of_a_known_shift_is_exact():
    """Cepstra moved by one vector, read at another tempo: 10/ln 10 · √(2 Σ δ²), whatever the path."""
    rng = np.random.default_rng(0)
    c = 5 * rng.normal(size=(24, 30))
    shift = 0.05 * rng.normal(size=(24, 1))
    want = 10 / np.log(10) * np.sqrt(2 * np.sum(shift**2))
    assert np.isclose(cepstral_distortion(c, c + shift), want, rtol=1e-12)
    slow = np.repeat(c, 3, axis=1) + shift
    assert np.isclose(cepstral_distortion(c, slow), want, rtol=1e-12)
    assert np.isclose(cepstral_distortion(slow, c), want, rtol=1e-12)


def test_distortion_is_the_rms_difference_of_log_mel_spectra():
    """With all the cosines and one frame: the RMS in dB over the bands, the mean difference removed."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 0.1, (2, 8000))
    mel = [20 / np.log(10) * mel_spectrogram(x, 8000, 256, 40, n_mels=32)[:, 70] for x in (a, b)]
    difference = mel[0] - mel[1]
    c, d = (mel_cepstra(x, 8000, order=31)[:, 70:71] for x in (a, b))
    assert np.isclose(cepstral_distortion(c, d), difference.std(), rtol=1e-9)


def test_mel_cepstral_distortion_of_words():
    seven, other = (data.spoken_digits("slt", word)[0].audio for word in ("seven", "two"))
    assert mel_cepstral_distortion(seven, seven, 8000) == 0
    assert mel_cepstral_distortion(seven, 0.3 * seven.astype(float), 8000) < 1e-4  # float32
    same_word = data.spoken_digits("slt", "seven")[4].audio
    assert len(same_word) != len(seven)
    near, far = (mel_cepstral_distortion(seven, x, 8000) for x in (same_word, other))
    assert 0 < near < 0.6 * far
    assert np.isclose(far, mel_cepstral_distortion(other, seven, 8000))
    with pytest.raises(ValueError, match="order"):
        mel_cepstral_distortion(seven, other, 8000, order=32)
    with pytest.raises(ValueError, match="waveform"):
        mel_cepstral_distortion(seven[None], other, 8000)


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
