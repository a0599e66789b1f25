"""minigen.audio.spectrum: STFT and back, mel spectra and cepstra, Griffin and Lim."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import signal
from scipy.fft import idct

from minigen import audio, data


def noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, length)


def tone(hz: float, rate: int, seconds: float = 1.0, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


# ---------------------------------------------------------------- STFT and back

FRAMES = [(512, 128), (256, 64), (256, 128), (64, 17), (16, 1), (2, 1)]


@pytest.mark.parametrize("n_fft, hop", FRAMES)
@pytest.mark.parametrize("length", [1, 2, 63, 1000, 1024])
def test_stft_and_back_is_exact(n_fft, hop, length):
    x = noise(length)
    spectrum = audio.stft(x, n_fft, hop)
    assert spectrum.shape == (n_fft // 2 + 1, 1 + -(-length // hop))
    assert np.abs(audio.istft(spectrum, hop, length) - x).max() < 1e-12


def test_stft_equals_its_sum():
    n_fft, hop = 16, 5
    x = noise(60)
    spectrum = audio.stft(x, n_fft, hop)
    window = np.sin(np.pi * np.arange(n_fft) / n_fft) ** 2  # Hann
    for n in range(spectrum.shape[1]):
        for f in range(spectrum.shape[0]):
            total = 0
            for k in range(n_fft):
                t = n * hop + k - n_fft // 2
                if 0 <= t < len(x):
                    total += window[k] * x[t] * np.exp(-2j * np.pi * f * k / n_fft)
            assert abs(total - spectrum[f, n]) < 1e-12


def test_stft_equals_scipy():
    x = noise(1000)
    _, _, want = signal.stft(x, window="hann", nperseg=256, noverlap=192, boundary="zeros")
    want = want * signal.get_window("hann", 256).sum()  # scipy divides by it
    assert np.allclose(audio.stft(x, 256, 64), want, atol=1e-12)


def test_istft_is_the_nearest_waveform():
    """Any other waveform has an STFT that lies farther from the one wanted."""
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=(9, 11)) + 1j * rng.normal(size=(9, 11))
    wanted[[0, -1]] = wanted[[0, -1]].real  # as for every real waveform
    twice = np.array([1] + [2] * 7 + [1])[:, None]  # bins that stand for two of the full transform

    def distance(x):
        return np.sum(twice * np.abs(audio.stft(x, 16, 4) - wanted) ** 2)

    best = audio.istft(wanted, 4)
    for _ in range(20):
        assert distance(best + 0.01 * rng.normal(size=best.shape)) > distance(best)


# ---------------------------------------------------------------- mel


def test_mel_scale_there_and_back():
    hz = np.linspace(0, 12_000, 50)
    assert np.allclose(audio.mel_to_hz(audio.hz_to_mel(hz)), hz)
    assert np.isclose(audio.hz_to_mel(700), 2595 * np.log10(2))


def test_mel_filterbank_by_hand():
    """Triangle m has its corners at points m, m + 1, m + 2, equally spaced in mel."""
    rate, n_fft, n_mels = 8000, 512, 20
    high = 2595 * np.log10(1 + rate / 2 / 700)
    corner = [700 * (10 ** (high * i / (n_mels + 1) / 2595) - 1) for i in range(n_mels + 2)]
    bank = audio.mel_filterbank(rate, n_fft, n_mels)
    assert bank.shape == (n_mels, 257)
    for m in range(n_mels):
        a, b, c = corner[m : m + 3]
        for f in range(257):
            hz = f * rate / n_fft
            want = (hz - a) / (b - a) if a < hz <= b else (c - hz) / (c - b) if b < hz < c else 0
            assert abs(bank[m, f] - want) < 1e-12
    assert (bank.sum(1) > 0).all()


def test_mel_spectrogram_and_mfcc():
    x = tone(1000, 8000)
    mel = audio.mel_spectrogram(x, 8000, n_fft=256, hop=80, n_mels=24)
    plain = audio.mel_spectrogram(x, 8000, n_fft=256, hop=80, n_mels=24, log=False)
    assert mel.shape == (24, 101) and np.allclose(mel, np.log(np.maximum(plain, 1e-5)))
    centres = audio.mel_to_hz(np.linspace(0, audio.hz_to_mel(4000), 26))[1:-1]
    assert mel[:, 50].argmax() == np.abs(centres - 1000).argmin()
    coefficients = audio.mfcc(x, 8000)
    basis = np.cos(np.pi * np.outer(np.arange(13), np.arange(24) + 0.5) / 24) * np.sqrt(2 / 24)
    basis[0] /= np.sqrt(2)
    assert np.allclose(coefficients, basis @ mel)
    assert np.isfinite(audio.mel_spectrogram(np.zeros(900), 8000)).all()


# ---------------------------------------------------------------- Griffin–Lim


def test_the_slope_of_features_is_what_they_rise_by_in_a_frame():
    """Each frame is the one before times a factor: the level rises by its logarithm · √24, and nothing is curved."""
    t, rise = np.arange(4000), 0.05
    x = 0.02 * np.exp(rise * t / 80) * np.tile(np.random.default_rng(0).normal(size=80), 50)
    c, slope, bend = np.split(audio.speech_features(x, 8000, 0.01)[8:-8], 3, axis=1)
    want = rise * np.sqrt(24) * np.eye(13)[0]
    assert np.allclose(np.diff(c, axis=0), want) and np.allclose(slope, want)
    assert np.allclose(bend, 0)


def test_griffin_lim_comes_nearer_with_every_iteration():
    x = data.example().audio.astype(float)
    magnitude = np.abs(audio.stft(x, 256, 64))
    length = (magnitude.shape[1] - 1) * 64
    twice = np.r_[1, np.full(127, 2), 1][:, None]

    def error(iterations):
        y = audio.griffin_lim(magnitude, 64, iterations, length=length)
        off = np.abs(audio.stft(y, 256, 64)) - magnitude
        return np.sqrt(np.sum(twice * off**2) / np.sum(twice * magnitude**2))

    errors = [error(n) for n in (0, 1, 2, 3, 5, 10, 20, 40)]
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(errors))
    assert errors[-1] < 0.3 * errors[0]


def test_griffin_lim_repeats_with_its_seed():
    magnitude = np.abs(audio.stft(noise(400), 64, 16))
    one, same, other = (audio.griffin_lim(magnitude, 16, 2, seed=s) for s in (1, 1, 2))
    assert np.array_equal(one, same) and not np.allclose(one, other)
    assert len(audio.griffin_lim(magnitude, 16, 2, length=400)) == 400


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: audio.stft(noise(90), 15, 4), ValueError, "n_fft must be even"),
        (lambda: audio.stft(noise(90), 16, 9), ValueError, "hop at most"),
        (lambda: audio.stft(noise(90), 16.0, 4), TypeError, "n_fft must be a whole number"),
        (lambda: audio.stft(np.zeros((1, 90))), ValueError, r"x\[0\]"),
        (lambda: audio.stft([]), ValueError, "T > 0"),
        (lambda: audio.istft(np.zeros(9)), ValueError, r"\(F, N\)"),
        (lambda: audio.istft(np.full((9, 5), np.nan), 4), ValueError, "NaN"),
        (lambda: audio.istft(np.zeros((9, 5)), 4, 17), ValueError, "1 … 16 samples, not 17"),
        (lambda: audio.mel_filterbank(8000, 64, 40), ValueError, "hold no bin"),
        (lambda: audio.mfcc(noise(900), 8000, n_mfcc=30), ValueError, "1 … n_mels = 24"),
        (lambda: audio.griffin_lim(-np.ones((9, 5)), 4), ValueError, "not negative"),
        (lambda: audio.griffin_lim(np.ones((9, 5)), 4, -1), ValueError, "iterations is -1"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("depth", [20, 50])
def test_bands_are_raised_to_so_many_decibels_below_the_loudest(depth):
    x = np.r_[np.random.default_rng(0).normal(0, 0.3, 4000), np.zeros(4000)]
    c = audio.mfcc(x, 8000, n_mfcc=24, depth=depth)  # all of them: nothing is lost
    mel = 20 / np.log(10) * idct(c, axis=0, norm="ortho")
    assert mel.max() - mel.min() == pytest.approx(depth)
    ours = audio.mel_cepstrum(x, 8000, 23, 24, depth)
    assert np.allclose(ours, audio.mfcc(x, 8000, 24, 256, 40, 24, depth))
