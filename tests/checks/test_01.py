"""The checks of chapter 1: solutions pass, blanks fail, typical mistakes are named."""

import math

import numpy as np
import pytest
from exercise_checks import ExerciseChecks

from minigen import audio
from minigen.checks import sound as checks
from minigen.checks.core import CheckFailed

LOG2 = math.log10(2)


def count(seconds, rate, bits):
    n = seconds * rate
    return n, n * bits / 8, n * bits * LOG2


def counted(**change):
    """`count` with one of its three answers replaced."""

    def wrong(seconds, rate, bits):
        answer = dict(zip(("samples", "bytes", "digits"), count(seconds, rate, bits), strict=True))
        return tuple((answer | {k: f(seconds * rate, bits) for k, f in change.items()}).values())

    return wrong


def encode(
    x, levels, mu=None, half=0.5, log=True, sign=True, norm=True, shift=True, clip=True, whole=True
):
    mu = levels - 1 if mu is None else mu
    x = np.clip(x, -1, 1) if clip else x
    size = np.abs(x)
    y = np.log1p(mu * size) / (np.log1p(mu) if norm else 1) if log else size
    y = np.sign(x) * y if sign else y
    codes = np.floor(((y + 1) / 2 if shift else y) * (levels - 1) + half)
    return codes.astype(int) if whole else codes


def decode(codes, levels, mu=None, one=1, start=-1, sign=True, middle=False):
    mu = levels - 1 if mu is None else mu
    y = 2 * (codes + 0.5) / levels - 1 if middle else (1 - start) * codes / (levels - 1) + start
    x = ((1 + mu) ** np.abs(y) - one) / mu
    return np.sign(y) * x if sign else x


def coder(**changes):
    return (lambda x, levels: encode(x, levels, **changes), decode)


def decoder(**changes):
    return (encode, lambda codes, levels: decode(codes, levels, **changes))


def lag(x, rate, low, high, start=None, last=None, add=True):
    """The lag of the largest r; `start` replaces rate / high, `add` is the start added to it."""
    first = math.ceil(rate / high) if start is None else start
    last = math.floor(rate / low) if last is None else last
    r = audio.autocorrelation(x, last)
    return (first if add else 0) + int(np.argmax(r[first : last + 1]))


def pitch(x, rate, low, high, **changes):
    return rate / lag(x, rate, low, high, **changes)


def with_offset(x, rate, low, high):
    """The pitch without the mean taken away."""
    r = np.array([x[k:] @ x[: len(x) - k] for k in range(int(rate / low) + 1)])
    first = math.ceil(rate / high)
    return rate / (first + np.argmax(r[first:]))


def frame_db(x, centre, n_fft, start=None, window=None, floor=1e-5, fft=np.fft.rfft, scale=20):
    begin = centre - n_fft // 2 if start is None else centre + start
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    frame = x[begin : begin + n_fft] * (hann if window is None else window(n_fft))
    return scale * np.log10(np.maximum(np.abs(fft(frame)), floor))


def framed(**changes):
    return lambda x, centre, n_fft: frame_db(x, centre, n_fft, **changes)


def fold(hz, rate):
    return np.minimum(hz % rate, rate - hz % rate)


DB = 20 * math.log10(2)


def sums(**change):
    """The right prediction with some answers replaced."""
    return lambda: {"twice": DB, "noise": DB / 2, "average": -2 * DB} | change


def halving_trial(
    low=range(0, 1601, 100), high=range(2400, 4000, 100), n=2001, by=None, where=slice(200, -200)
):
    """The right test, or one that looks at less."""

    def is_right(halve):
        t = np.arange(n) / 8000
        for hz in (*low, *high):
            tone = np.cos(2 * np.pi * hz * t + 1)
            half, want = halve(tone), tone[::2] if hz < 2000 else 0 * tone[::2]
            if len(half) != len(want):
                return False
            wrong = by(half) - by(want) if by else (half - want)[where]
            if np.abs(wrong).max() > 0.02:
                return False
        return True

    return is_right


def loudest(y):
    """Size and place of the largest of the frequencies: deaf to a shift in time."""
    size = np.abs(np.fft.rfft(y[200:-200] * np.hanning(len(y) - 400)))
    return np.array([4 * size.max() / len(y), size.argmax() if size.max() > 5 else 0])


SOLUTIONS = {
    "counting": (count,),
    "mu_law": (encode, decode),
    "pitch": (pitch,),
    "frame_spectrum": (frame_db,),
    "aliasing": (fold,),
    "sums_of_sounds": (sums(),),
    "halving_test": (halving_trial(),),
}


def test_the_library_passes_its_own_exercise():
    checks.mu_law(audio.mu_law_encode, audio.mu_law_decode)


def test_half_a_blank_fails():
    def blank(codes, levels):
        raise NotImplementedError

    with pytest.raises(CheckFailed, match="1.2 .* still blank"):
        checks.mu_law(encode, blank)


def too_large(seconds, rate, bits):
    return seconds * rate, seconds * rate * bits / 8, math.log10((2.0**bits) ** (seconds * rate))


MISTAKES = [
    ("counting", lambda s, rate, bits: (rate / s, 1, 1), "samples for each second"),
    ("counting", counted(samples=lambda n, bits: n * bits), "number of bits"),
    ("counting", counted(bytes=lambda n, bits: n * bits), "a byte has eight"),
    ("counting", counted(bytes=lambda n, bits: n * math.ceil(bits / 8)), "rounded up"),
    ("counting", counted(digits=lambda n, bits: math.log10(n * 2**bits)), "choices multiply"),
    ("counting", counted(digits=lambda n, bits: 2**bits * math.log10(n)), "turned round"),
    ("counting", counted(digits=lambda n, bits: n * math.log10(bits)), "not 12"),
    ("counting", counted(digits=lambda n, bits: n * bits), "base 2"),
    ("counting", counted(digits=lambda n, bits: n * bits * math.log(2)), "natural logarithm"),
    ("counting", counted(digits=lambda n, bits: np.inf), "take the logarithm first"),
    ("counting", too_large, "take the logarithm first"),
    ("counting", lambda s, rate, bits: s * rate, "three things"),
    ("mu_law", (lambda x, levels: encode(x, levels, mu=levels), decode), "µ is levels − 1"),
    ("mu_law", (lambda x, levels: encode(x, levels + 1), decode), "µ is levels − 1"),
    ("mu_law", (lambda x, levels: encode(x, levels, mu=255), decode), "must follow `levels`"),
    ("mu_law", coder(half=0), "round to the nearest"),
    ("mu_law", coder(log=False), "the logarithm is missing"),
    ("mu_law", coder(sign=False), "the sign is lost"),
    ("mu_law", coder(norm=False), "so that 1 stays 1"),
    ("mu_law", coder(shift=False), r"use \(y \+ 1\) / 2"),
    ("mu_law", coder(whole=False), "make them int"),
    ("mu_law", coder(clip=False), "clip x first"),
    ("mu_law", (encode, lambda c, levels: decode(c, levels, mu=levels)), "µ is levels − 1"),
    ("mu_law", decoder(mu=255), "must follow `levels`"),
    ("mu_law", decoder(start=0), "must start at −1"),
    ("mu_law", decoder(middle=True), "middle of steps"),
    ("mu_law", decoder(sign=False), "the sign is lost"),
    ("mu_law", decoder(one=0), "is not subtracted"),
    ("mu_law", (encode, lambda codes, levels: 2 * codes / (levels - 1) - 1), "must be undone"),
    ("pitch", lag, "the lag in samples"),
    ("pitch", lambda x, rate, *limits: lag(x, rate, *limits) / rate, "period in seconds"),
    ("pitch", lambda *a: pitch(*a, start=0), "Lag 0 was found"),
    ("pitch", lambda *a: np.float64(a[1]) / lag(*a, start=0), "Lag 0 was found"),
    ("pitch", lambda *a: pitch(*a, start=1), "lag 1 was found"),
    ("pitch", lambda *a: pitch(*a, add=False), "add that lag"),
    ("pitch", lambda *a: pitch(*a) / 2, "two periods"),
    ("pitch", with_offset, "subtract the mean"),
    ("pitch", lambda x, rate, low, high: pitch(x, rate, 60, 400), "you give 250"),
    ("frame_spectrum", framed(window=np.ones), "not windowed"),
    ("frame_spectrum", framed(window=np.hanning), "np.hanning"),
    (
        "frame_spectrum",
        framed(window=lambda n: 0.5 + 0.5 * np.cos(2 * np.pi * np.arange(n) / n)),
        "0 in the middle",
    ),
    ("frame_spectrum", framed(start=0), "starts at `centre`"),
    ("frame_spectrum", framed(start=-256), "ends at `centre`"),
    ("frame_spectrum", framed(scale=10), "20 log10"),
    ("frame_spectrum", framed(scale=1), "factor 20"),
    ("frame_spectrum", framed(scale=20 * math.log(10)), "decibels use log10"),
    ("frame_spectrum", framed(scale=math.log(10)), "not decibels"),
    ("frame_spectrum", framed(fft=np.fft.fft), "second half mirrors"),
    ("frame_spectrum", framed(floor=0), "put a floor"),
    ("frame_spectrum", lambda *a: 10 ** (frame_db(*a) / 20), "these are magnitudes"),
    ("frame_spectrum", lambda *a: 10 ** (frame_db(*a) / 10), "these are powers"),
    ("frame_spectrum", lambda *a: frame_db(*a) + 0j, "complex"),
    ("aliasing", lambda hz, rate: hz, "nothing is folded"),
    ("aliasing", lambda hz, rate: hz % rate, "rate minus it"),
    ("aliasing", lambda hz, rate: np.minimum(hz, rate / 2), "not held at"),
    ("aliasing", lambda hz, rate: hz % (rate / 2), "turn round"),
    ("aliasing", lambda hz, rate: np.where(hz > rate / 2, rate - hz, hz), "become negative"),
    ("aliasing", lambda hz, rate: np.where(hz > rate / 2, abs(rate - hz), hz), "folded again"),
    ("aliasing", lambda hz, rate: fold(hz, 2000), "right for the inputs before"),
    ("sums_of_sounds", sums(twice=DB / 2), "every sample changes by the same factor"),
    ("sums_of_sounds", sums(noise=DB), "powers add, not amplitudes"),
    ("sums_of_sounds", sums(noise=0), "powers add, not amplitudes"),
    ("sums_of_sounds", sums(average=2 * DB), "so the number is negative"),
    ("sums_of_sounds", sums(average=-4 * DB), "divides the power by the square"),
    ("sums_of_sounds", sums(average="softer"), "expected a number, got 'softer'"),
    ("sums_of_sounds", lambda: {"twice": DB}, "one answer for each of twice, noise, average"),
    ("halving_test", lambda halve: True, "nothing filtered out"),
    ("halving_test", lambda halve: False, "refuses a filter of 61 taps"),
    ("halving_test", halving_trial(high=()), "nothing filtered out"),
    ("halving_test", halving_trial(low=(0, 100, 500), high=(2400, 3900)), "it cuts at 1,400"),
    ("halving_test", halving_trial(low=range(0, 1101, 100)), "it cuts at 1,400"),
    ("halving_test", halving_trial(high=range(3200, 4000, 100)), "it cuts at 2,800"),
    ("halving_test", halving_trial(n=2000), "the last one is lost"),
    ("halving_test", halving_trial(low=(), high=(2400, 2500)), "it filters after"),
    ("halving_test", halving_trial(by=loudest), "one sample late"),
    ("halving_test", halving_trial(where=slice(400, -200)), "rise from silence"),
    ("halving_test", halving_trial(where=slice(200, -400)), "fade away"),
    ("halving_test", halving_trial(where=slice(None)), "refuses a filter"),
    ("halving_test", halving_trial(low=range(0, 2001, 100)), "refuses a filter of 61 taps"),
    ("halving_test", lambda halve: len(halve(np.zeros(9))) == 4, "refuses a filter"),
    ("halving_test", lambda halve: len(halve(np.zeros(9))) == 5, "nothing filtered out"),
]


class TestChapter1(ExerciseChecks):
    chapter = 1
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
