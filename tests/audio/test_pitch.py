"""The pitch tracker: known periods, silence, noise, and librosa's on recorded speech."""

import shutil

import numpy as np
import pytest

from minigen import data
from minigen.audio import pitch


def harmonics(hz, rate, seconds=1.0):
    """A voice-like tone whose frequency is a number or an array, one for each sample."""
    hz = np.broadcast_to(hz, round(rate * seconds))
    phi = 2 * np.pi * np.cumsum(hz) / rate
    return sum(0.3 / k * np.sin(k * phi) for k in range(1, 8))


@pytest.mark.parametrize("rate", [8_000, 16_000])
@pytest.mark.parametrize("hz", [75.0, 110.0, 197.3, 310.0, 430.0])
def test_known_periods(hz, rate):
    got = pitch.f0(harmonics(hz, rate), rate)
    assert len(got) == 100 and (got[2:-2] > 0).all()
    assert abs(np.median(got) / hz - 1) < 0.003
    assert np.abs(got[3:-3] / hz - 1).max() < 0.02  # no octave errors


def test_a_missing_fundamental_is_found():
    t = np.arange(16_000) / 16_000
    x = sum(np.sin(2 * np.pi * 120 * k * t) for k in (2, 3, 4, 5)) / 4
    assert abs(np.median(pitch.f0(x, 16_000)) / 120 - 1) < 0.005


def test_a_glide_is_followed_in_time():
    """Frame n is centred on (n + ½) · 10 ms: a delay of one frame would show as 1 Hz."""
    truth = np.linspace(120, 220, 8_000)
    got = pitch.f0(harmonics(truth, 8_000), 8_000)
    centre = truth[((np.arange(100) + 0.5) * 80).astype(int)]
    inside = slice(4, -4)
    assert (got[inside] > 0).all()
    assert abs(np.mean(got[inside] - centre[inside])) < 0.4


def test_silence_and_noise_have_no_pitch():
    assert (pitch.f0(np.zeros(8_000), 8_000) == 0).all()
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000)
    assert np.mean(pitch.f0(noise, 16_000) > 0) < 0.1


def test_voice_in_silence_is_framed():
    x = np.concatenate([np.zeros(4_000), harmonics(150.0, 8_000, 0.5), np.zeros(4_000)])
    voiced = pitch.f0(x, 8_000) > 0
    assert voiced[52:98].all() and not voiced[:46].any() and not voiced[104:].any()


def test_embedded_voices_at_their_own_pitch():
    """flite knows the F0 that it spoke with: within 2 % where both hear a voice."""
    errors, agree = [], []
    for clip in data.spoken_digits()[::15]:
        got = pitch.f0(clip.audio, clip.rate)
        n = min(len(got), len(clip.f0))
        got, truth = got[:n], clip.f0[:n]
        both = (got > 0) & (truth > 0)
        errors.append(np.abs(got[both] / truth[both] - 1))
        agree.append((got > 0) == (truth > 0))
    assert np.median(np.concatenate(errors)) < 0.02
    assert np.mean(np.concatenate(agree)) > 0.85


@pytest.mark.slow
def test_recorded_speech_against_librosa():
    """Within 2 % in the median, voiced in the same frames at least nine times in ten."""
    librosa = pytest.importorskip("librosa", reason="librosa is for this test only")
    from minigen.data.speech import _ASTERISK_SOUNDS

    if not any(_ASTERISK_SOUNDS.glob("en_US_f_Allison/*.g722")):
        pytest.skip(
            "needs the Debian package asterisk-core-sounds-en-g722: no recorded speech here"
        )
    try:
        import av  # noqa: F401
    except ImportError:
        if shutil.which("ffmpeg") is None:
            pytest.skip("no decoder of G.722 here: neither the package av nor the command ffmpeg")
    errors, agree = [], []
    clips = [clip for clip in data.allison(limit=80)[3::6] if clip.duration < 5]
    for clip in clips:
        got = pitch.f0(clip.audio, clip.rate)
        hz, voiced, _ = librosa.pyin(
            clip.audio, fmin=60, fmax=450, sr=clip.rate, frame_length=1024, hop_length=80
        )
        truth = np.where(voiced, hz, 0)[1::2]  # frames centred on (n + ½) · 10 ms
        n = min(len(got), len(truth))
        got, truth = got[:n], truth[:n]
        both = (got > 0) & (truth > 0)
        errors.append(np.abs(got[both] / truth[both] - 1))
        agree.append((got > 0) == (truth > 0))
    print(len(clips), np.median(np.concatenate(errors)), np.mean(np.concatenate(agree)))
    assert np.median(np.concatenate(errors)) < 0.02
    assert np.mean(np.concatenate(agree)) >= 0.90


def test_level_offset_and_sign_change_nothing():
    clip = data.example()
    x, rate = clip.audio.astype(float), clip.rate
    got = pitch.f0(x, rate)
    for other in (0.1 * x, x + 0.3, -x):
        assert np.allclose(pitch.f0(other, rate), got, rtol=1e-3)


def test_a_rate_that_is_too_low():
    with pytest.raises(ValueError, match="needs a rate of 1800, not 1700"):
        pitch.f0(np.zeros(800), 1_700)


def test_frames_far_below_the_loudest_have_no_pitch():
    x = harmonics(150.0, 8_000)
    for db, heard in ((20, True), (40, False)):
        level = np.repeat([1.0, 10 ** (-db / 20)], 4_000)
        assert (pitch.f0(level * x, 8_000)[60:90] > 0).all() == heard


def with_dips(monkeypatch, periods, depths):
    """F0 of a hum whose frames have these dips."""
    dips = iter(zip(periods, depths, strict=True))
    monkeypatch.setattr(pitch, "_dip", lambda *_: next(dips))
    return pitch.f0(harmonics(100.0, 8_000, 0.01 * len(periods)), 8_000)


def test_a_voice_lasts_three_frames_at_least(monkeypatch):
    runs = np.repeat([0, 1, 0, 1, 0, 1, 0], [6, 1, 6, 2, 6, 3, 6])
    got = with_dips(monkeypatch, np.full(30, 80.0), np.where(runs, 0.1, 2.0))
    assert np.flatnonzero(got).tolist() == [21, 22, 23]


@pytest.mark.parametrize("factor, mended", [(0.5, True), (2.0, True), (1.1, False)])
def test_an_octave_error_of_one_frame_is_mended(monkeypatch, factor, mended):
    periods = np.full(30, 80.0)
    periods[15] *= factor
    got = with_dips(monkeypatch, periods, np.full(30, 0.1))
    assert got[15] == pytest.approx(100.0 if mended else 100 / factor) and got[16] == 100


@pytest.mark.parametrize("hop", [0.005, 0.01, 0.02])
def test_frames_come_as_often_as_asked_and_blocks_change_nothing(monkeypatch, hop):
    truth = np.linspace(120, 220, 8_000)
    x = harmonics(truth, 8_000)
    got = pitch.f0(x, 8_000, hop)
    centre = truth[((np.arange(len(got)) + 0.5) * hop * 8_000).astype(int)]
    assert len(got) == 1 / hop and np.abs(got - centre)[4:-4].max() < 4
    monkeypatch.setattr(pitch, "BLOCK", 7)
    assert np.allclose(pitch.f0(x, 8_000, hop), got, rtol=1e-6)
    for wrong in (0, -hop, np.inf):
        with pytest.raises(ValueError, match=f"above 0, not {wrong}"):
            pitch.f0(x, 8_000, wrong)
