"""Text, phones, durations, F0, phase: each part against what is known of the corpus."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from minigen import conditioning, data
from minigen.conditioning import HOP, PHONES, frame_features, phase, phase_features, plan, words_of


def test_words():
    assert words_of("3 one, FOUR! 15") == ["three", "one", "four", "one", "five"]
    for bad in ("hello", "one two tree", "½", "+3", "eins"):
        with pytest.raises(ValueError, match="cannot say"):
            words_of(bad)
    for empty in ("", "  ", "..."):
        with pytest.raises(ValueError, match="nothing to say"):
            words_of(empty)


def test_every_phone_of_the_corpus_is_known():
    assert {name for clip in data.spoken_digits() for name, _, _ in clip.phones} == set(PHONES)


def test_frame_features_say_what_the_labels_say():
    clip = data.example()
    out = frame_features(clip.phones, clip.f0)
    assert out.shape == (conditioning.FRAME_FEATURES, len(clip.f0)) and np.isfinite(out).all()
    blocks = out[: 3 * len(PHONES)].reshape(3, len(PHONES), -1)
    assert (blocks.sum(1) == 1).all()
    names = ["pau", *(name for name, _, _ in clip.phones), "pau"]
    for frame in range(len(clip.f0)):
        centre = (frame + 0.5) * 0.01
        index = next(i for i, (_, _, end) in enumerate(clip.phones) if centre <= end)
        for block, offset in enumerate((1, 0, 2)):
            assert PHONES[blocks[block, :, frame].argmax()] == names[index + offset]
    assert np.array_equal(out[-2] > 0, clip.f0 > 0)
    voiced = clip.f0 > 0
    assert np.allclose(130 * np.exp(out[-1][voiced]), clip.f0[voiced], rtol=1e-5)
    assert (out[-5] >= 0).all() and np.allclose(out[-5] + out[-4], 1)


def test_unknown_phone():
    with pytest.raises(ValueError, match="unknown phones"):
        frame_features([("q", 0.0, 0.1)], np.zeros(10))


def test_phase_advances_by_f0():
    phi = phase(np.full(50, 100.0), 8000)
    assert np.allclose(np.diff(phi), 2 * np.pi * 100 / 8000)
    assert (phase(np.zeros(5), 8000) == 0).all()


@pytest.mark.parametrize("offset", [0.0, 2.0])
def test_phase_follows_a_recording(offset):
    """A tone that starts at any phase and drifts by 2 % from the F0 given is followed."""
    t = np.arange(50 * HOP) / 8000
    true = 2 * np.pi * 153 * t + offset
    phi = phase(np.full(50, 150.0), 8000, 0.2 * np.cos(true))
    error = np.angle(np.exp(1j * (phi - true)))[800:-800]
    assert np.abs(error).max() < 0.15


@pytest.mark.parametrize("with_pulses", [False, True])
def test_phase_features_are_harmonics_that_fade_where_unvoiced(with_pulses):
    """cos φ, cos 2φ, cos 4φ, their sines, pulses at the multiples of 2π; voicing between frames' middles."""
    f0 = np.r_[np.zeros(10), np.full(20, 120.0)]
    phi = phase(f0, 8000)
    out = phase_features(phi, f0, with_pulses)
    voicing = np.interp((np.arange(30 * HOP) + 0.5) / HOP - 0.5, np.arange(30), f0 / 120)
    assert (out[:, : 9 * HOP] == 0).all()
    want = [f(n * phi) for f in (np.cos, np.sin) for n in (1, 2, 4)]
    want += [conditioning.pulses(phi, 8000)] if with_pulses else []
    assert np.allclose(out, np.array(want) * voicing, atol=1e-5)


def test_phase_is_the_integral_of_f0_between_the_middles_of_frames():
    """Of a rising F0: by n + ½ where it is centred, half a frame early where it is not."""
    f0 = 100.0 + 2 * np.arange(40)
    for centred in (False, True):
        hz = np.diff(phase(f0, 8000, centred=centred)) * 8000 / (2 * np.pi)
        t = np.arange(1, 40 * HOP)
        frame = (t + 0.5) / HOP - 0.5 if centred else t / HOP
        inside = (frame > 0) & (frame < 39)
        assert np.allclose(hz[inside], (100 + 2 * frame)[inside], rtol=1e-9)
    gap = phase(np.r_[100.0, 0, 0, 100.0], 8000)  # goes on where unvoiced
    assert np.allclose(np.diff(gap), 2 * np.pi * 100 / 8000)


def test_bands_of_a_frame_are_those_around_its_middle():
    """A click in the middle of frame 7 is loudest there; silence is -1, and RAISED nepers above the middle 1."""
    audio = np.zeros(20 * HOP)
    audio[7 * HOP + HOP // 2] = 1.0
    bands = conditioning.mel_bands(audio, 8000, 32)
    assert bands.shape == (32, 20) and (bands.argmax(axis=1) == 7).all()
    assert np.allclose(bands[:, 6], bands[:, 8], atol=1e-6)  # as far before as behind
    mel = np.array([[-60.0, -6.0, -3.0, 0.0]])
    f0 = np.array([0.0, 130.0, 260.0, 65.0])
    rows = np.array([[-1, -1, 0, 1], [0, 1, 1, 1], [0, 0, np.log(2), -np.log(2)]])
    assert np.allclose(conditioning.mel_features(mel, f0), rows, atol=1e-6)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: conditioning.VoiceSpec(("a",), 8000, ("x",), mels=8), "phones or mel bands"),
        (lambda: conditioning.VoiceSpec((), 8000, ("x",), mels=-1), "phones or mel bands"),
        (lambda: conditioning.VoiceSpec(("a",), 8000, ("x",), lpc_order=2), "needs mel bands"),
        (lambda: conditioning.VoiceSpec((), 8000, ("x",), 8, lpc_order=-1), "needs mel bands"),
        (lambda: frame_features([], np.zeros(3)), "no phones to describe"),
        (lambda: conditioning.mel_features(np.zeros((4, 3)), np.zeros(2)), r"\(4, 3\) with \(2,\)"),
        (lambda: conditioning.mel_features(np.zeros((4, 0)), np.zeros(0)), r"go with"),
        (
            lambda: conditioning.inputs(
                np.zeros((4, 3)), np.zeros(3), conditioning.VoiceSpec((), 8000, ("x",), mels=8)
            ),
            r"\(8, N\), not \(4, 3\)",
        ),
        (lambda: phase(np.zeros(3), 99), "100 or more, not 99"),
        (lambda: phase_features(np.zeros(3), np.zeros(4)), "4 frames not 3"),
        (lambda: phase_features(np.zeros(3), np.zeros(0)), "0 frames not 3"),
        (lambda: words_of(3), "of type int"),
        (lambda: conditioning.Upsampler(6, 1), "channels > 6, not 6"),
    ],
)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def moves(spec=conditioning.DIGITS, **options) -> tuple[bool, bool]:
    """Do frames and phase change when the waveform does, with its phones and F0 as they were?"""
    clip = data.example()
    if spec.mels:
        clip = replace(clip, speaker=spec.speakers[0])
    noise = 0.5 * clip.audio.std() * np.random.default_rng(0).normal(size=len(clip.audio))
    other = replace(clip, audio=(np.roll(clip.audio, 20) + noise).astype(np.float32))
    one, two = (conditioning.features(c, spec=spec, **options) for c in (clip, other))
    return tuple(not np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_what_each_conditioning_knows_of_the_waveform():
    """A likelihood given c is no better than one given nothing, if c moves with x: who prints it must say so."""
    assert moves(follow_audio=False) == (False, False)  # phones, times, F0: what a listener has
    assert moves() == (False, True)  # the phase is the recording's own
    vocoder = conditioning.VoiceSpec((), 8000, ("anybody",), mels=32)
    # the mel spectrum is of the recording
    assert moves(vocoder, follow_audio=False) == (
        True,
        False,
    )
    assert moves(vocoder) == (True, True)


@pytest.mark.parametrize("speaker", data.SPEAKERS)
def test_plan_is_the_mean_of_the_corpus(speaker):
    for word in ("three", "six"):
        phones, f0 = plan(word, speaker)
        clips = data.spoken_digits(speaker, word)
        assert [name for name, _, _ in phones] == [name for name, _, _ in clips[0].phones]
        mean = np.mean([clip.phones[-1][2] for clip in clips])
        assert np.isclose(phones[-1][2], mean) and len(f0) == round(mean / 0.01)
        median = np.median([np.median(clip.f0[clip.f0 > 0]) for clip in clips])
        assert np.isclose(np.median(f0[f0 > 0]), median, rtol=0.05)
        share = np.mean([np.mean(clip.f0 > 0) for clip in clips])
        assert abs(np.mean(f0 > 0) - share) < 0.06


def test_pace_and_pitch():
    slow, fast = plan("nine", "rms", pace=1.0), plan("nine", "rms", pace=2.0, pitch=1.2)
    assert np.isclose(fast[0][-1][2], slow[0][-1][2] / 2)
    assert np.isclose(
        np.median(fast[1][fast[1] > 0]) / np.median(slow[1][slow[1] > 0]), 1.2, atol=0.02
    )
    for bad in ({"pace": 0.1}, {"pitch": 3.0}):
        with pytest.raises(ValueError, match=r"0\.5 to 2"):
            plan("nine", "rms", **bad)


def test_upsampler_is_aligned_and_hears_the_speaker():
    torch.manual_seed(0)
    up = conditioning.Upsampler(10, speakers=3).double()
    frames = torch.zeros(1, conditioning.FRAME_FEATURES, 21).double()
    silent = torch.zeros(1, 6, 21 * HOP).double()
    base = up(frames, torch.tensor([0]), silent)
    assert base.shape == (1, 10, 21 * HOP)
    assert not torch.allclose(base, up(frames, torch.tensor([1]), silent))
    frames[0, 3, 10] = 1  # a change of frame 10 is centred on frame 10 and reaches 2 frames away
    change = (up(frames, torch.tensor([0]), silent) - base).abs().sum((0, 1))
    touched = torch.nonzero(change).flatten()
    assert touched.min() >= 7 * HOP and touched.max() < 14 * HOP
    assert abs((touched.min() + touched.max()).item() / 2 - 10.5 * HOP) < HOP
    given = torch.randn(frames.shape, generator=torch.Generator().manual_seed(0)).double()
    wave = torch.randn(silent.shape, generator=torch.Generator().manual_seed(1)).double()
    h = up.input_projection(given) + up.speaker_embedding.weight[2, :, None]
    h = torch.tanh(up.output_projection(torch.tanh(h)))[0].detach().numpy()
    at = (np.arange(21 * HOP) + 0.5) / HOP - 0.5  # linear between the middles of frames
    want = [np.interp(at, np.arange(21), row) for row in h]
    got = up(given, torch.tensor([2]), wave)[0].detach().numpy()
    assert np.allclose(got[:4], want, atol=1e-5) and np.array_equal(got[4:], wave[0].numpy())


def test_every_rate_and_inventory_has_its_own_features():
    """Another rate and another order of phones: the same frames, the same phase at the same times."""
    clip = data.example()
    other = ("zh", *reversed(PHONES))
    spec = conditioning.VoiceSpec(other, 16_000, ("x",))
    assert spec.hop == 160 and spec.frame_features == 3 * len(other) + 5
    mine, theirs = frame_features(clip.phones, clip.f0), frame_features(clip.phones, clip.f0, other)
    assert theirs.shape[0] == spec.frame_features and np.array_equal(mine[-5:], theirs[-5:])
    for block in range(3):
        a = mine[block * len(PHONES) :][: len(PHONES)]
        b = theirs[block * len(other) :][: len(other)]
        assert np.array_equal(a, b[1:][::-1]) and not b[0].any()
    slow, fast = phase(clip.f0, 8000), phase(clip.f0, 16_000)
    assert fast.shape == (160 * len(clip.f0),)
    assert np.abs(fast[1::2] - slow).max() < 0.1  # the second of two samples ends where theirs does
    up = conditioning.Upsampler(8, 1, 4, spec.frame_features, spec.hop)
    out = up(
        torch.from_numpy(theirs)[None],
        torch.tensor([0]),
        torch.from_numpy(phase_features(fast, clip.f0))[None],
    )
    assert out.shape == (1, 8, 160 * len(clip.f0))
    for bad in (
        {"rate": 8050},
        {"rate": 10},
        {"phones": ()},
        {"phones": ("a", "a")},
        {"speakers": ()},
    ):
        with pytest.raises(ValueError):
            conditioning.VoiceSpec(**({"phones": ("a",), "rate": 8000, "speakers": ("x",)} | bad))


def test_features_need_labels():
    clip = data.Utterance(np.zeros(80, np.float32), 8000, "one", "slt", None, None)
    with pytest.raises(ValueError, match="no phone times"):
        conditioning.features(clip)


@pytest.mark.parametrize("off, mended", [(0.85, 0), (0.95, 1), (1.04, 1), (1.15, 0)])
def test_f0_is_sharpened_where_it_is_off_by_less_than_8_percent_either_way(off, mended):
    tone = 0.3 * np.sin(2 * np.pi * 120 / 8000 * np.arange(16_000)).astype(np.float32)
    f0 = np.full(200, 120.0 * off)
    found = conditioning.sharpened(f0, 8000, tone)[10:-10]
    assert np.allclose(found, 120.0 if mended else f0[10:-10], rtol=1e-3)


def test_a_words_f0_is_read_where_its_frames_lie(monkeypatch):
    """Of one clip whose F0 rises by 1 Hz a frame, which is centred on (n + ½) · 10 ms."""
    clip = data.example()
    f0 = 100.0 + np.arange(len(clip.f0))
    monkeypatch.setattr(conditioning, "spoken_digits", lambda *_: [replace(clip, f0=f0)])
    _, durations, log_f0, voicing = conditioning.mean_word.__wrapped__("slt", "seven")
    starts = np.r_[0, np.cumsum(durations)[:-1]]
    at = starts[:, None] + durations[:, None] * np.linspace(0.1, 0.9, 5)
    inside = (at > 0.005) & (at < 0.01 * len(f0) - 0.005)
    assert np.allclose(np.exp(log_f0)[inside], (100 + at / 0.01 - 0.5)[inside], atol=0.01)
    assert (voicing == 1).all() and np.allclose(durations.sum(), clip.phones[-1][2])


def test_rows_say_how_far_into_a_phone_and_how_long_it_is():
    """Up from 0 to 1 and down again; the logarithm of tenths of a second."""
    out = frame_features([("s", 0.0, 0.1), ("ih", 0.1, 0.3)], np.zeros(30))
    assert np.allclose(out[-5, :10], (np.arange(10) + 0.5) / 10, atol=1e-6)
    assert np.allclose(out[-4, 10:], 1 - (np.arange(20) + 0.5) / 20, atol=1e-6)
    assert np.allclose(out[-3], np.log(np.repeat([1.0, 2.0], [10, 20])), atol=1e-6)
    longer = frame_features([("s", 0.0, 0.1), ("ih", 0.1, 0.3)], np.zeros(33))
    assert (longer[-5, 30:] == 1).all() and np.array_equal(longer[:-5, 30:], longer[:-5, 27:30])


@pytest.mark.parametrize("hz", [70.0, 125.0, 240.0])
def test_pulses_have_the_power_of_white_noise(hz):
    assert np.mean(conditioning.pulses(phase(np.full(200, hz), 8000), 8000) ** 2) == pytest.approx(
        1, abs=0.03
    )


@pytest.mark.parametrize("order", [0, 16])
def test_a_plans_phase_is_centred_where_the_network_learned_it_so(order):
    spec = conditioning.VoiceSpec((), 8000, ("x",), mels=32, lpc_order=order)
    f0 = np.linspace(100, 200, 40)
    got = conditioning.planned_features(np.zeros((32, 40)), f0, spec)[1]
    want = [phase_features(phase(f0, 8000, centred=c), f0, order > 0) for c in (False, True)]
    assert np.array_equal(got, want[order > 0]) and not np.allclose(*want)
