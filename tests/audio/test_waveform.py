"""minigen.audio.waveform: autocorrelation, µ-law, rates, and the level of speech."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from minigen import audio, data


def noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, length)


def tone(hz: float, rate: int, seconds: float = 1.0, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


# ---------------------------------------------------------------- autocorrelation


def test_autocorrelation_equals_numpy():
    x = noise(500) + 0.3
    centred = x - x.mean()
    full = np.correlate(centred, centred, "full")[499:]
    assert np.allclose(audio.autocorrelation(x, 499), full / full[0], atol=1e-12)


def test_autocorrelation_of_a_process_whose_own_is_known():
    """x_t = a x_{t-1} + noise has r_k = a^k."""
    x = signal.lfilter([1], [1, -0.8], np.random.default_rng(0).normal(size=200_000))
    assert np.allclose(audio.autocorrelation(x, 6), 0.8 ** np.arange(7), atol=0.02)


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1.0, 1e6])
def test_autocorrelation_does_not_depend_on_units(scale):
    x = noise(60)
    assert np.allclose(audio.autocorrelation(scale * x, 9), audio.autocorrelation(x, 9), rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, -1 / 3, 1e-9, 12345.6789])
@pytest.mark.parametrize("n", [5, 10, 100, 12_345])
def test_a_constant_has_no_autocorrelation_whatever_rounding_makes_of_its_mean(value, n):
    with pytest.raises(ValueError, match="constant"):
        audio.autocorrelation(np.full(n, value), 3)


def test_autocorrelation_finds_the_period():
    r = audio.autocorrelation(tone(100, 8000), 200)
    assert 40 + np.argmax(r[40:120]) == 80


# ---------------------------------------------------------------- µ-law


@pytest.mark.parametrize("levels", [2, 3, 4, 5, 16, 100, 255, 256, 257, 1024, 65_536, 2**20])
def test_every_code_survives_the_round_trip(levels):
    codes = np.arange(levels)
    x = audio.mu_law_decode(codes, levels)
    assert np.array_equal(audio.mu_law_encode(x, levels), codes)
    assert np.allclose([x[0], x[-1]], [-1, 1], rtol=1e-12) and (np.diff(x) > 0).all()
    assert np.abs(x).max() <= 1  # not even by rounding: `listen` would refuse it


@pytest.mark.parametrize("levels", [2, 16, 255, 256, 65_536])
def test_mu_law_is_the_formula_and_takes_the_nearest_code(levels):
    x = np.concatenate([noise(500), noise(500, 1) / 100, [-1.0, 1.0]])
    mu = levels - 1
    y = np.sign(x) * np.log(1 + mu * np.abs(x)) / np.log(1 + mu)  # (T,), the definition
    codes = audio.mu_law_encode(x, levels)
    assert np.abs(codes - (y + 1) * mu / 2).max() <= 0.5 + 1e-9
    assert codes.dtype == np.int64 and codes.min() == 0 and codes.max() == mu


def test_mu_law_known_values():
    """By hand for µ = 255: y(1/255) = log 2 / log 256 = 1/8, so code 127.5 + 127.5 / 8 = 143.4."""
    assert audio.mu_law_encode([1 / 255, -1 / 255, 0.0]).tolist() == [143, 112, 128]
    assert np.isclose(audio.mu_law_decode([255 // 2 + 1])[0], np.expm1(np.log(256) / 255) / 255)


def test_mu_law_silence_of_an_odd_number_of_levels_is_exact():
    assert audio.mu_law_decode(audio.mu_law_encode([0.0], 255), 255)[0] == 0


def test_mu_law_clips_and_keeps_shape():
    assert audio.mu_law_encode([-7.0, 7.0]).tolist() == [0, 255]
    assert audio.mu_law_encode(noise(12).reshape(2, 1, 6)).shape == (2, 1, 6)
    assert audio.mu_law_encode(np.zeros(3, dtype=np.float32)).tolist() == [128] * 3


# ---------------------------------------------------------------- rates


@pytest.mark.parametrize("length", [1, 7, 2000, 50_001])
@pytest.mark.parametrize(
    "rate, new",
    [(16_000, 8_000), (22_050, 8_000), (8_000, 44_100), (3, 2), (1, 9), (31, 1), (8000, 8001)],
)
def test_resample_equals_scipy(rate, new, length):
    x = noise(length)
    common = np.gcd(rate, new)
    want = signal.resample_poly(x, new // common, rate // common)
    got = audio.resample(x, rate, new)
    assert got.shape == want.shape == (-(-length * new // rate),)
    assert np.allclose(got, want, atol=1e-12)
    low = audio.resample(x.astype(np.float32), rate, new)
    assert low.dtype == np.float32 and np.allclose(low, want, atol=1e-5)


@pytest.mark.parametrize("rate, new", [(16_000, 8_000), (8_000, 22_050), (44_100, 8_000)])
def test_resample_keeps_a_tone(rate, new):
    got, want = audio.resample(tone(440, rate), rate, new), tone(440, new)
    assert np.abs(got - want)[200:-200].max() < 2e-3


def test_resample_silences_what_the_new_rate_cannot_hold():
    y = audio.resample(tone(3000, 16_000), 16_000, 4_000)
    assert np.abs(y[100:-100]).max() < 2e-3  # folded it would be a tone of 1000 Hz


def test_resample_keeps_dtype_and_never_hands_back_its_argument():
    x = noise(100).astype(np.float32)
    same = audio.resample(x, 8000, 8000)
    assert same is not x and np.array_equal(same, x) and not np.shares_memory(same, x)
    assert audio.resample(x, 8000, 4000).dtype == np.float32


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: audio.autocorrelation(noise(5), 5), ValueError, "5 samples have lags 0 … 4"),
        (lambda: audio.autocorrelation(np.ones(5), 2), ValueError, "constant"),
        (lambda: audio.mu_law_encode([0.0], 1), ValueError, "at least 2 levels"),
        (lambda: audio.mu_law_encode([0.0], 2.5), TypeError, "whole number"),
        (lambda: audio.mu_law_encode([np.nan]), ValueError, "NaN"),
        (lambda: audio.mu_law_encode(np.array([3000], np.int16)), TypeError, "x / 32768"),
        (lambda: audio.mu_law_decode([0.5]), TypeError, "integers, not float64"),
        (lambda: audio.mu_law_decode([256]), ValueError, "0 … 255"),
        (lambda: audio.mu_law_decode([-1]), ValueError, "0 … 255"),
        (lambda: audio.resample(noise(9), 8000, 0), ValueError, "new_rate must be positive"),
        (lambda: audio.resample(noise(9), 8000.5, 4000), TypeError, "rate must be a whole number"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ---------------------------------------------------------------- level


def speech(which: int = 40) -> np.ndarray:
    return data.spoken_digits()[which].audio.astype(float)


@pytest.mark.parametrize("which", [3, 40, 111, 250])
@pytest.mark.parametrize("seconds", [0, 0.05, 5, 8, 12])
def test_a_pause_does_not_change_the_gain(which, seconds):
    x = speech(which)
    silence = np.zeros(int(8000 * seconds))
    alone = audio.to_level(x, 8000)
    for padded, place in (
        (np.r_[x, silence], slice(0, len(x))),
        (np.r_[silence, x], slice(-len(x), None)),
    ):
        got = audio.to_level(padded, 8000)[place]
        assert np.abs(got - alone)[200:-200].max() < 0.02 * np.abs(alone).max()
        assert (
            abs(20 * np.log10(audio.speech_level(padded, 8000) / audio.speech_level(x, 8000))) < 0.1
        )


@pytest.mark.parametrize("offset", [0.3, -0.05])
def test_an_offset_and_rumble_change_nothing_and_a_low_voice_counts(offset):
    x = speech()
    assert np.allclose(audio.to_level(x + offset, 8000), audio.to_level(x, 8000), atol=1e-9)
    own = audio.speech_level(x, 8000)
    rumble, voice = (tone(hz, 8000, len(x) / 8000, 2 * own) for hz in (8, 80))
    assert audio.speech_level(x + rumble, 8000) == pytest.approx(own, rel=0.05)
    assert audio.speech_level(x + voice, 8000) > 1.5 * own


def test_length_and_scale_change_nothing():
    x = np.r_[np.zeros(800), speech()[:4000], np.zeros(800)]
    level = audio.speech_level(x, 8000)
    assert np.isclose(audio.speech_level(np.tile(x, 30), 8000), level, rtol=0.01)
    assert np.isclose(audio.speech_level(x / 50, 8000), level / 50)
    faint = np.r_[x, 0.002 * noise(80_000)]  # a pause with hiss, 40 dB down
    assert np.isclose(audio.speech_level(faint, 8000), level, rtol=0.01)
    click = np.r_[x, np.zeros(400), 0.99, np.zeros(400)]
    assert np.isclose(audio.speech_level(click, 8000), level, rtol=0.05)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100])
def test_to_level_brings_to_the_level_at_any_rate(rate):
    x = tone(200, rate, 0.5, 0.01) + 0.2
    y = audio.to_level(x.astype(np.float32), rate, 0.1)
    assert y.dtype == np.float32 and y.shape == x.shape
    assert np.isclose(audio.speech_level(y, rate), 0.1, rtol=5e-3)
    assert np.isclose(y.std(), 0.1, rtol=0.02)


def test_level_of_ordinary_speech_is_that_of_all_frames():
    """Of clips without pauses: the RMS that a tenth of all frames surpass, within a decibel or two."""
    for clip in data.spoken_digits()[::30]:
        frames = clip.audio[: len(clip.audio) // 80 * 80].reshape(-1, 80)
        plain = np.quantile(np.sqrt(np.mean(frames**2, axis=1)), 0.9)
        assert 0.95 < audio.speech_level(clip.audio, 8000) / plain < 1.6


@pytest.mark.parametrize(
    "x", [np.zeros(96_000), np.full(8000, 0.3), np.ones(100) * 0.1, 1e-6 * noise(8000)]
)
def test_what_is_silent_has_no_level(x):
    with pytest.raises(ValueError, match="as good as silent"):
        audio.to_level(x, 8000)
    for level in (0, -0.15, np.nan, np.inf):
        with pytest.raises(ValueError, match=f"above 0, not {level}"):
            audio.to_level(speech(), 8000, level)


@pytest.mark.parametrize("rate", [8000, 22_050])
def test_fifty_milliseconds_are_enough_for_a_level_and_less_are_not(rate):
    x = 0.1 * noise(rate // 20)
    assert audio.to_level(x, rate, 0.2).std() == pytest.approx(0.2, rel=0.3)
    with pytest.raises(ValueError, match="no speech"):
        audio.to_level(x[1:], rate)
