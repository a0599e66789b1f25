"""The source-filter vocoder: each part against algebra, the whole against recordings."""

import numpy as np
import pytest
from scipy.signal import freqz, lfilter

from minigen import data
from minigen.audio import hz_to_mel, mel_cepstrum, mel_filterbank, mel_to_hz, stft
from minigen.audio.source_filter import (
    N_MELS,
    continuous_log_f0,
    copy_synthesis,
    envelope,
    excitation,
    minimum_phase,
    vocode,
)
from minigen.audio.spectrum import FLOOR
from minigen.metrics import log_mel_distance, std_ratio

RNG = np.random.default_rng(0)


def test_envelope_of_filtered_noise_is_the_filter():
    """A known filter, white noise through it: the envelope has the filter's shape."""
    resonance = np.poly(0.95 * np.exp(2j * np.pi * np.array([700, -700]) / 8000)).real
    x = lfilter([1.0], resonance, RNG.normal(0, 0.01, 80_000))
    log_magnitude = envelope(mel_cepstrum(x, 8000).T, 8000).mean(axis=0)  # (129,)
    _, true = freqz([1.0], resonance, worN=np.arange(129) * 8000 / 256, fs=8000)
    # the mean of log|·| of noise and the window's power make a constant: only the shape counts
    difference = (log_magnitude - np.log(np.abs(true)))[4:-4]
    assert np.std(difference) * (20 / np.log(10)) < 1.5  # dB


def test_minimum_phase_keeps_the_magnitude_and_finds_the_causal_filter():
    decay = 0.9 ** np.arange(512)  # 1 / (1 - 0.9 z⁻¹), minimum phase
    spectrum = np.fft.rfft(decay)
    late = spectrum * np.exp(-2j * np.pi * np.arange(257) * 30 / 512)  # the same, 30 samples late
    found = minimum_phase(np.log(np.abs(late)))
    assert np.allclose(np.abs(found), np.abs(spectrum), rtol=1e-10)
    assert np.allclose(np.fft.irfft(found), decay, atol=1e-9)


def test_excitation_has_power_one_and_the_pitch_asked_for():
    noise, pulses = excitation(np.zeros(401), 8000), excitation(np.full(401, 150.0), 8000)
    assert len(noise) == len(pulses) == 16_000
    assert np.isclose(np.mean(noise**2), 1, atol=0.05)
    assert np.isclose(np.mean(pulses**2), 1, atol=0.05)
    spectrum = np.abs(np.fft.rfft(pulses * np.hanning(16_000)))  # bins of ½ Hz
    assert spectrum[np.arange(300, 7900, 300)].min() > 100 * np.median(spectrum)
    mixed = excitation(np.full(401, 150.0), 8000, buzz=0.5)
    assert np.isclose(np.mean(mixed**2), 1, atol=0.1)


def test_excitation_follows_a_glide():
    """From 100 to 200 Hz in one second: the period of each tenth of a second, by autocorrelation."""
    x = excitation(np.linspace(100, 200, 201), 8000)
    for tenth in range(10):
        part = x[tenth * 800 : (tenth + 1) * 800]
        lags = np.arange(32, 100)
        similar = [part[lag:] @ part[:-lag] / (len(part) - lag) for lag in lags]
        assert np.isclose(8000 / lags[np.argmax(similar)], 105 + 10 * tenth, rtol=0.05)


def test_vocoder_gain_is_linear():
    cepstrum = mel_cepstrum(data.example().audio, 8000).T
    f0 = np.full(len(cepstrum), 120.0)
    louder = cepstrum.copy()
    louder[:, 0] += np.log(2) * np.sqrt(N_MELS)  # log M + log 2 in every band
    loud, soft = vocode(louder, f0, 8000), vocode(cepstrum, f0, 8000)
    voiced = np.abs(soft) > 0.01  # away from the floor of silence
    assert np.allclose(loud[voiced], 2 * soft[voiced], rtol=0.02)


def test_copy_synthesis_is_near_the_recording():
    """Analysis and vocoder alone, no statistics: this is what the source-filter model costs."""
    distances, ratios = [], []
    for clip in data.spoken_digits()[5::24]:
        x = copy_synthesis(clip)
        distances.append(log_mel_distance(x, clip.audio, clip.rate))
        ratios.append(std_ratio(x, clip.audio))
    assert np.mean(distances) < 4 and 0.7 < np.median(ratios) < 1.1


def test_bad_sounds_and_pitches():
    with pytest.raises(ValueError, match="8000 or 16000"):
        envelope(np.zeros((3, 25)), 11_025)
    with pytest.raises(ValueError, match="everywhere"):
        continuous_log_f0(np.zeros(10), 20)
    with pytest.raises(ValueError, match="frames of cepstra"):
        vocode(np.zeros((10, 25)), np.zeros(11), 8000)
    with pytest.raises(ValueError, match="0 where unvoiced"):
        excitation(np.array([100.0, -1.0]), 8000)
    with pytest.raises(ValueError, match="share"):
        excitation(np.full(5, 100.0), 8000, buzz=2)


@pytest.mark.parametrize("hz", [100.0, 470.0, 1100.0, 1700.0])
def test_the_last_harmonic_fades_in_power(hz):
    """Of power 1 they lack 2 F0 / rate: what the half of a harmonic at 0 and the one past the end would have."""
    power = np.mean(excitation(np.full(2000, hz), 8000) ** 2)
    assert power == pytest.approx(1 - 2 * hz / 8000, abs=0.01)


@pytest.mark.parametrize("n_mels", [24, 40])
def test_as_many_bands_as_there_were_give_the_same_envelope(n_mels):
    x, rate = data.example().audio, 8000
    all_ = mel_cepstrum(x, rate, n_mels - 1, n_mels).T
    bank = mel_filterbank(rate, 256, n_mels)
    band = np.log(np.maximum(bank @ np.abs(stft(x, 256, 40)), FLOOR)) - np.log(bank.sum(1))[:, None]
    got = envelope(all_, rate, n_mels)
    centres = mel_to_hz(np.linspace(0, hz_to_mel(rate / 2), n_mels + 2))[1:-1] * 256 / rate
    at = np.stack([np.interp(centres, np.arange(129), row) for row in got])
    assert np.abs(at - band.T).mean() < 0.1  # a line between bins is none over mel
    f0 = np.full(len(got), 120.0)
    few, many = vocode(all_, f0, rate, n_mels=n_mels), vocode(all_[:, :20], f0, rate, n_mels=n_mels)
    assert log_mel_distance(few, many, rate) < 6


def test_silence_stays_silent_and_half_voiced_frames_are_noise():
    assert (
        np.abs(vocode(mel_cepstrum(np.zeros(4000), 8000).T, np.full(101, 100.0), 8000)).max() < 1e-4
    )
    log_f0, voicing = continuous_log_f0([0, 0, 100, 200, 0, 0], 12)
    assert np.allclose(np.exp(log_f0[[0, 5, 11]]), [100, 100, 200])
    assert np.allclose(voicing, [0, 0, 0, 0, 0.5, 1, 1, 1, 0.5, 0, 0, 0])
