"""LPC: against the normal equations, the sample-by-sample formula, and the filters that made a sound."""

import numpy as np
import pytest
from scipy.linalg import solve, toeplitz
from scipy.signal import freqz
from series_oracles import NILE, noise

from minigen import data
from minigen import timeseries as ts
from minigen.timeseries import AR

WORD = data.example()
X = WORD.audio.astype(float)


def test_lpc_solves_the_normal_equations_of_the_faded_frame():
    frame = X[1500:1740]
    w = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(240) + 0.5) / 240)
    gamma = np.correlate(frame * w, frame * w, "full")[239:]
    a, gain = ts.lpc(frame, 10)
    want = solve(toeplitz(gamma[:10]), gamma[1:11])
    assert np.allclose(a, want, rtol=1e-4)
    assert np.isclose(gain**2, (gamma[0] - want @ gamma[1:11]) / (w @ w), rtol=1e-4)


def test_lpc_finds_the_filter_that_made_the_sound():
    x = AR.from_parameters([1.6, -0.81], sigma=0.1).simulate(20_000, seed=0)
    a, gain = ts.lpc(x, 2)
    assert np.allclose(a, [1.6, -0.81], atol=0.02) and abs(gain / 0.1 - 1) < 0.02


def test_synthesis_from_the_residual_is_the_sound_itself():
    for order, hop, width in ((1, 80, 240), (10, 80, 240), (16, 57, 200)):
        found = ts.lpc_analysis(X, order, hop, width)
        assert len(found.coefficients) == -(-len(X) // hop) and found.residual.shape == X.shape
        again = ts.lpc_synthesis(found.coefficients, found.residual, hop)
        assert np.abs(again - X).max() < 1e-9
        around = np.pad(X, ((width - hop) // 2, width))  # each frame in the middle of its width
        for i in (0, 7, len(found.gain) - 1):
            a, gain = ts.lpc(around[i * hop : i * hop + width], order)
            assert np.array_equal(found.coefficients[i], a) and found.gain[i] == gain
    usual, same = ts.lpc_analysis(X), ts.lpc_analysis(X, 10, 80, 240)
    assert np.array_equal(usual.residual, same.residual) and usual.hop == 80
    assert repr(usual) == f"LPC(order 10, {len(usual.gain)} frames of 80 samples)"


def test_analysis_and_synthesis_equal_the_sample_by_sample_formula():
    found = ts.lpc_analysis(X[:800], 4, 50, 120)
    e, y = np.zeros(800), np.zeros(800)
    for t in range(800):
        a = found.coefficients[t // 50]
        e[t] = X[t] - sum(a[k] * X[t - 1 - k] for k in range(4) if t - 1 - k >= 0)
    noise_ = noise(800)
    for t in range(800):
        a = found.coefficients[t // 50]
        y[t] = noise_[t] + sum(a[k] * y[t - 1 - k] for k in range(4) if t - 1 - k >= 0)
    assert np.allclose(e, found.residual)
    assert np.allclose(y, ts.lpc_synthesis(found.coefficients, noise_, 50))


def test_every_frame_of_the_corpus_is_stable_and_the_residual_is_smaller():
    for u in data.spoken_digits()[::40]:
        x = u.audio.astype(float)
        found = ts.lpc_analysis(x, 10)
        assert all((np.abs(ts.step_down(a)[1]) < 1).all() for a in found.coefficients)
        assert found.residual.std() < 0.5 * x.std()


def test_silence_and_tones_are_no_trouble():
    a, gain = ts.lpc(np.zeros(240), 10)
    assert gain == 0 and not a.any()
    tone = 0.5 * np.sin(np.arange(800) / 5)
    found = ts.lpc_analysis(tone, 10)
    assert np.isfinite(found.coefficients).all()
    assert np.allclose(ts.lpc_synthesis(found.coefficients, found.residual, 80), tone)


def test_excitation_has_the_power_and_the_pitch_that_were_asked_for():
    f0 = np.repeat([125.0, 0.0], 50)
    e = ts.lpc_excitation(np.full(100, 0.2), f0, 8000, 80)
    rms = np.sqrt(np.mean(e.reshape(2, 4000) ** 2, axis=1))
    assert np.isclose(rms[0], 0.2, rtol=0.01) and np.isclose(rms[1], 0.2, rtol=0.05)
    assert (np.diff(np.flatnonzero(e[:4000])) == 64).all()
    glide = ts.lpc_excitation(np.ones(100), np.linspace(101, 201, 100), 8000, 80)
    assert np.count_nonzero(glide) == 151  # periods in a second: the mean F0
    hiss = [ts.lpc_excitation([1.0, 2.0], [0.0, 0.0], 8000, 4, seed) for seed in (0, 0, 1)]
    assert np.array_equal(hiss[0], hiss[1]) and not np.array_equal(hiss[0], hiss[2])
    assert np.allclose(hiss[0], noise(8) * np.repeat([1.0, 2.0], 4))


def test_lpc_spectrum_is_the_frames_envelope():
    found = ts.lpc_analysis(X, 6)
    f = np.linspace(0, 0.5, 50)
    for a, gain, level in zip(found.coefficients, found.gain, found.spectrum(f).T, strict=True):
        filtered = freqz([gain], np.r_[1, -a], 2 * np.pi * f)[1]
        assert np.allclose(level, np.abs(filtered))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ts.lpc(np.zeros(8), 8), "8 observed .* at least 9 for order 8"),
        (lambda: ts.lpc(np.zeros(8), 0), "order is a whole number"),
        (lambda: ts.lpc([np.nan] * 9, 2), "frame has 9 missing"),
        (lambda: ts.lpc_analysis(NILE, width=10), "order 10"),
        (lambda: ts.lpc_synthesis([[np.nan]], noise(9), 9), "finite"),
        (lambda: ts.lpc_synthesis(np.zeros((3, 2)), noise(241), 80), "161 … 240 samples, not 241"),
        (lambda: ts.lpc_excitation([1.0], [np.inf], 8000, 80), "finite"),
        (lambda: ts.lpc_excitation([1.0], [-1.0], 8000, 80), "not negative"),
        (lambda: ts.lpc_excitation([1.0], [1.0], 0, 80), "rate"),
        (lambda: ts.lpc_analysis(NILE, hop=0), "hop"),
        (lambda: ts.lpc_analysis(NILE, hop=80, width=40), "must hold"),
        (lambda: ts.lpc_synthesis(np.zeros((3, 2)), noise(100), 80), "161 … 240"),
        (lambda: ts.lpc_synthesis(np.zeros(3), noise(100), 80), r"\(N, p\)"),
        (lambda: ts.lpc_excitation([1.0], [0.0, 1.0], 8000, 80), "one value a frame"),
        (lambda: ts.lpc_excitation([-1.0], [0.0], 8000, 80), "not negative"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
