"""What voice conversion sees of a waveform: no level, no mean spectrum, F0 of the target."""

from pathlib import Path

import numpy as np
import pytest
from conversion_toy import LEARN
from scipy.fft import idct
from scipy.signal import lfilter

from minigen.speech import conversion_features as features

ROOT = Path(__file__).parents[2]


def test_the_encoder_hears_neither_level_nor_the_clips_mean():
    clip = LEARN[0]
    one, half = (features.extract(gain * clip.audio, clip.f0) for gain in (1.0, 0.5))
    assert np.allclose(one.mfcc, half.mfcc, atol=1e-3)
    assert not np.allclose(one.spectrum[0], half.spectrum[0], atol=1)  # the level is there
    # a fixed filter moves the mean spectrum; of that the encoder hears little
    filtered = np.convolve(clip.audio, [1.0, 0.5])[: len(clip.audio)] / 1.5
    other = features.extract(filtered, clip.f0)
    loud = one.spectrum[0] > np.median(one.spectrum[0])
    moved = np.abs(other.spectrum - one.spectrum)[:13, loud].mean()
    assert np.abs(other.mfcc - one.mfcc)[:, loud].mean() < 0.35 * moved


def test_frames_are_centred_where_f0_is():
    """A click at (n + ½) · 10 ms is loudest in frame n, and alike in its neighbours."""
    x = np.zeros(8000)
    for n in (20, 51, 70):
        x[n * 80 + 40] = 0.5
    level = features.extract(x, np.zeros(100)).spectrum[0]
    for n in (20, 51, 70):
        before, here, after = level[n - 1 : n + 2]
        assert here > max(before, after) + 1 and before == pytest.approx(after, abs=0.1)


def test_features_are_whole_codes_long():
    for length in (1600, 1601, 1759, 1760):
        got = features.extract(np.random.default_rng(0).normal(0, 0.1, length), np.full(21, 100.0))
        frames = 2 * -(-length // 160)
        assert got.mfcc.shape == (13, frames) and got.spectrum.shape == (25, frames)
        assert got.f0.shape == (frames,)
        assert got.audio.shape == (80 * frames,) and got.phase.shape == (6, 80 * frames)


def test_five_frames_that_are_no_silence_are_enough():
    x = np.resize([1e-4, -1e-4], 400)
    assert features.extract(x, np.zeros(5)).mfcc.shape == (13, 6)
    for wrong, why in ((x[1:], "0.05 s, peak 0.00010"), (0.99 * x, "peak 0.00010: no speech")):
        with pytest.raises(ValueError, match=why):
            features.extract(wrong, np.zeros(5))


def test_f0_gets_the_wanted_moments():
    f0 = np.array([0.0, 100, 110, 120, 0, 130])
    made = features.convert_f0(f0, np.log(200), 0.15)
    assert np.array_equal(made == 0, f0 == 0)
    assert features.log_f0_moments(made) == pytest.approx((np.log(200), 0.15))
    logs = np.log(f0[f0 > 0])
    wanted = np.log(200) + 0.15 * (logs - logs.mean()) / logs.std()
    assert np.allclose(np.log(made[made > 0]), wanted)
    silent = np.zeros(4)
    assert np.array_equal(features.convert_f0(silent, 5.0, 0.1), silent)
    for deviation, factor in ((9.0, 2), (1e-3, 0.5)):  # no wild factor, up or down
        logs = np.log(features.convert_f0(np.array([100.0, 121.0]), np.log(200), deviation))
        assert np.isclose(np.diff(logs)[0], factor * np.log(1.21))


def resonance(hz: float, width: float = 120.0) -> np.ndarray:
    """Magnitudes of 129 frequencies with one peak, (129, 1)."""
    f = np.linspace(0, 4000, 129)
    return np.exp(-0.5 * ((f - hz) / width) ** 2)[:, None]


@pytest.mark.parametrize("vtlp", [0.8, 0.9, 1.1, 1.25])
def test_a_peak_moves_by_the_factor_and_keeps_its_height(vtlp):
    f = np.linspace(0, 4000, 129)
    for hz in (400, 800, 1500, 2000):
        moved = features.warp_frequencies(resonance(hz), vtlp)[:, 0]
        assert f @ moved / moved.sum() == pytest.approx(vtlp * hz, abs=2)
        assert moved.max() == pytest.approx(1, abs=0.03)
    # the ends stay, the order stays: what rises still rises
    line = features.warp_frequencies(f[:, None], vtlp)[:, 0]
    assert line[0] == 0 and line[-1] == pytest.approx(4000) and (np.diff(line) > 0).all()
    back = features.warp_frequencies(line[:, None], 1 / vtlp)[:, 0]
    assert np.allclose(back, f, atol=5)


def vowels(*resonances: float) -> features.Features:
    """Half a second of pulses through each resonance in turn."""
    pulses, r = np.zeros(4000), np.exp(-np.pi * 150 / 8000)  # 150 Hz wide
    pulses[::80] = 1.0
    made = [
        lfilter([1], [1, -2 * r * np.cos(2 * np.pi * hz / 8000), r * r], pulses)
        for hz in resonances
    ]
    made = np.concatenate([x / x.std() for x in made])
    return features.extract(0.05 * made, np.full(len(made) // 80, 100.0))


def test_the_envelope_of_a_vowel_moves_by_the_factor():
    """Pulses through a resonance at 1,000 Hz: warped, they are mfcc as through one at 1,150 Hz."""
    one, wanted = vowels(1000), vowels(1150)
    got, _ = features._cepstrum(one.audio, 1.15)
    envelopes = [
        idct(np.pad(c[:25, 10:40], ((0, 7), (0, 0))), axis=0, norm="ortho").mean(1)
        for c in (one.spectrum, got, wanted.spectrum)
    ]
    before, after, right = (int(e.argmax()) for e in envelopes)
    assert before < after and abs(after - right) <= 1


def test_stretched_vowels_are_heard_as_those_of_a_shorter_tract():
    one, higher = vowels(800, 1600), vowels(1.15 * 800, 1.15 * 1600)
    to_higher = lambda vtlp: np.abs(features.warped_mfcc(one, vtlp)[1:] - higher.mfcc[1:]).mean()
    away, same, near = map(to_higher, (1 / 1.15, 1.0, 1.15))
    assert near < 0.6 * same < 0.6 * away


def test_no_stretch_leaves_what_is_heard():
    for clip in LEARN[::50]:
        seen = features.extract(clip.audio, clip.f0)
        assert np.array_equal(features.warped_mfcc(seen, 1.0), seen.mfcc)
        other = features.warped_mfcc(seen, 1.15)
        assert other.shape == seen.mfcc.shape and other.dtype == np.float32
        assert np.abs(other - seen.mfcc).mean() > 0.1
    x = np.random.default_rng(0).random((129, 3))
    assert features.warp_frequencies(x, 1.0) is x


def test_frames_35_db_below_the_loudest_do_not_move_the_mean():
    x = LEARN[0].audio.astype(float)
    x = x[: len(x) // 160 * 160]
    alone = features.extract(x, np.zeros(len(x) // 80))
    faint = 10 ** (-42 / 20) * x[::-1]
    both = features.extract(np.r_[x, faint], np.zeros(len(x) // 40))
    n = alone.mfcc.shape[1]
    assert np.abs(both.mfcc[:, : n - 4] - alone.mfcc[:, : n - 4]).max() < 0.05
