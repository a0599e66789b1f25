"""Checks for the exercises of chapter 1."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .. import audio, data
from .core import (
    CheckFailed,
    Crash,
    agree,
    compare,
    exercise,
    finds_bugs,
    nudged,
    ok,
    predicts,
    require,
)


@exercise("1.1", "counting")
def counting(count: Callable) -> None:
    """count(seconds, rate, bits) -> (samples, bytes, log10 of the number of different waveforms)."""
    seconds, rate, bits = 0.5, 8000, 12
    samples = 4000
    digits = samples * bits * math.log10(2)
    too_large = "the number itself is too large for a float: take the logarithm first, log10(a ** n) = n log10(a)"
    hints = {
        "number of samples": [
            (rate / seconds, "divided by the seconds: `rate` is samples for each second"),
            (samples * bits, "this is the number of bits"),
        ],
        "number of bytes": [
            (samples * bits, "this is in bits: a byte has eight"),
            (samples, "one byte for each sample: here a sample takes 1½"),
            (samples * 2, "each sample rounded up to whole bytes: 12 bits are 1½"),
        ],
        "log10 of the number of waveforms": [
            (lambda got: not np.isfinite(got).all(), too_large),
            (
                math.log10(samples * 2**bits),
                (
                    "levels times samples: every sample can take every level whatever the others "
                    "are, so the choices multiply, levels ** samples"
                ),
            ),
            (2**bits * math.log10(samples), "turned round: it is levels ** samples"),
            (samples * math.log10(bits), "12 bits give 2 ** 12 levels, not 12"),
            (digits / math.log10(2), "this is the logarithm to base 2"),
            (digits * math.log(10), "this is the natural logarithm"),
        ],
    }
    try:
        agree(
            count,
            lambda s, rate, bits: (s * rate, s * rate * bits / 8, s * rate * bits * math.log10(2)),
            [
                (seconds, rate, bits),
                (3, 16_000, 16),
                (2.5, 8000, 4),
                (60, 11_025, 10),
                (0.1, 44_100, 1),
            ],
            tuple(hints),
            1e-9,
            hints,
        )
    except Crash as crash:
        if isinstance(crash.error, OverflowError):
            raise CheckFailed(f"✗ log10 of the number of waveforms: {too_large}") from crash.error
        raise


def _encode(x: np.ndarray, levels: int, mu: int | None = None, half: float = 0.5) -> np.ndarray:
    mu = levels - 1 if mu is None else mu
    y = np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)
    return np.floor((y + 1) / 2 * (levels - 1) + half)


def _decode(y: np.ndarray, mu: int) -> np.ndarray:
    return np.sign(y) * ((1 + mu) ** np.abs(y) - 1) / mu


@exercise("1.2", "µ-law for any number of levels")
def mu_law(encode: Callable, decode: Callable) -> None:
    """encode(x (T,), levels) -> codes (T,), whole; decode(codes (T,), levels) -> x (T,)."""
    rng = np.random.default_rng(0)  # many: two formulas that are nearly alike differ somewhere
    x = np.concatenate([[-1.0, 1.0], rng.choice([-1, 1], 600) * 10 ** rng.uniform(-4, 0, 600)])
    for levels in (256, 15):
        mu = levels - 1
        y = np.log1p(mu * np.abs(x))  # not yet divided, without sign
        codes = np.asarray(encode(x, levels))
        compare(
            codes,
            _encode(x, levels),
            f"codes of {levels} levels",
            1e-9,
            [
                (_encode(x, levels, mu=levels), "µ is levels − 1"),
                (_encode(x, levels + 1), "µ is levels − 1"),
                (_encode(x, levels, mu=255), "µ is always 255: it must follow `levels`"),
                (_encode(x, levels, half=0), "cut off: round to the nearest code"),
                (
                    lambda got, mu=mu: (
                        np.shape(got) == x.shape and np.abs(got - (x + 1) / 2 * mu).max() <= 1
                    ),
                    "these are equal steps: the logarithm is missing",
                ),
                *(
                    (
                        lambda got, levels=levels, way=way: (
                            set((got - _encode(x, levels)) * np.sign(x) * way) == {0, 1}
                        ),
                        f"those that differ lie one code too {where}: x is scaled before it is rounded",
                    )
                    for way, where in ((1, "far out"), (-1, "near the middle"))
                ),
                (_encode(np.abs(x), levels), "the sign is lost: x and −x get the same code"),
                (
                    np.round((np.sign(x) * y + 1) / 2 * mu),
                    "log(1 + µ|x|) must be divided by log(1 + µ), so that 1 stays 1",
                ),
                (
                    np.round(np.sign(x) * y / np.log1p(mu) * mu),
                    "y runs from −1 to 1 and the codes from 0: use (y + 1) / 2",
                ),
            ],
        )
        if not np.issubdtype(codes.dtype, np.integer):
            raise CheckFailed(f"✗ codes: they are {codes.dtype}; make them int with .astype(int)")
        steps = np.arange(levels)
        y = 2 * steps / mu - 1
        # neither all nor in order
        some = np.random.default_rng(0).permutation(levels - 1)[: levels // 2]
        agree(
            decode,
            lambda codes, n: _decode(2 * codes / (n - 1) - 1, n - 1),
            [(steps, levels), (some, levels)],
            f"amplitudes of {levels} levels",
            1e-9,
            [
                (_decode(y, levels), "µ is levels − 1"),
                (_decode(y, 255), "µ is always 255: it must follow `levels`"),
                (_decode(2 * steps / 255 - 1, 255), "µ is always 255: it must follow `levels`"),
                (_decode(steps / mu, mu), "y = code / µ runs from 0 to 1: it must start at −1"),
                (
                    _decode(2 * (steps + 0.5) / levels - 1, mu),
                    "decoded to the middle of steps: the codes 0 and µ stand for −1 and 1 themselves",
                ),
                (np.abs(_decode(y, mu)), "the sign is lost"),
                (y, "y is returned: the logarithm must be undone"),
                (
                    np.sign(y) * (1 + mu) ** np.abs(y) / mu,
                    "the 1 of log(1 + µ|x|) is not subtracted: silence does not stay near 0",
                ),
            ],
        )
    inside = [(rng.uniform(-1, 1, n), levels) for n, levels in ((1, 5), (40, 1000), (60, 2))]
    agree(encode, _encode, inside, "codes of other sounds", 1e-9, steady=[0])
    for levels in (2, 3, 100, 256, 4096):
        codes = np.arange(levels)
        back = np.asarray(encode(np.asarray(decode(codes, levels)), levels))
        if not np.array_equal(back, codes):
            lost = int(np.sum(back != codes))
            raise CheckFailed(f"✗ round trip: {lost} of {levels} codes do not come back")
    ok("every code survives the round trip, for 2 to 4096 levels")
    loud = {n: np.asarray(encode(np.array([-1.7, 1.2]), n)).tolist() for n in (256, 15, 2)}
    wrong = next((n for n, codes in loud.items() if codes != [0, n - 1]), 256)
    require(
        loud[wrong] == [0, wrong - 1],
        "what is beyond ±1 is clipped",
        f"of {wrong} levels −1.7 and 1.2 become {loud[wrong]}, not 0 and {wrong - 1}: clip x first",
    )


def _voice(hz: float, rate: int, offset: float = 0.0) -> np.ndarray:
    """A tenth of a second of a sound with ten harmonics."""
    t = np.arange(rate // 10) / rate
    return offset + sum(0.2 / k * np.cos(2 * np.pi * k * hz * t + k) for k in range(1, 11))


@exercise("1.3", "pitch from the autocorrelation")
def pitch(estimate: Callable) -> None:
    """estimate(x (T,), rate, low, high) -> F0 in Hz, between low and high."""
    low, high = 60.0, 400.0
    for hz, rate in ((100, 8000), (250, 8000), (105, 11_025), (160, 16_000)):
        try:
            got = np.asarray(estimate(_voice(hz, rate), rate, low, high), dtype=float)
        except Crash as crash:
            if not isinstance(crash.error, ZeroDivisionError):
                raise
            got = np.array(np.inf)
        if not np.isfinite(got).all():
            raise CheckFailed(
                "✗ pitch: infinite. Lag 0 was found: there r is always 1, so start at rate / high"
            )
        first, lag, lags = (
            math.ceil(rate / high),
            rate // hz,
            slice(math.ceil(rate / high), int(rate / low) + 1),
        )
        r = audio.autocorrelation(_voice(hz, rate), int(rate / low))
        hints = [
            (lag, "this is the lag in samples: the pitch is rate / lag"),
            (lag / rate, "this is the period in seconds: the pitch is one over it"),
            (rate, "lag 1 was found: neighbours are always alike, so start at rate / high"),
            (
                lambda got, rate=rate, hz=hz: (
                    0.9 < got / hz < 1.1 and abs(rate / got % 1 - 0.5) < 0.49
                ),
                "near, but not the rate over a whole number of samples: the lag where r is largest",
            ),
            (rate / 2, "lag 2 was found: neighbours are always alike, so start at rate / high"),
            (8000 / lag, "the rate is fixed at 8,000: it is an argument"),
            (hz / 2, "half the pitch: two periods were taken for one"),
            (
                rate / (first + r[lags].argmin()),
                "at this lag the autocorrelation is lowest: look for the largest",
            ),
        ] + [
            (rate / (lag - start), "argmax counts from where the search starts: add that lag")
            for start in (first - 1, first, first + 1)
        ]
        compare(got, rate / lag, f"pitch of {hz} Hz", 1e-6, hints)
    odd = sum(np.cos(2 * np.pi * k * 100 * np.arange(800) / 8000 + k) for k in (1, 3, 5))
    require(
        abs(float(estimate(odd, 8000, low, high)) - 100) < 0.01,
        "a voice that half a period later is its own negative",
        "a sound of 100 Hz which half a period later is its own negative is taken for 200 Hz: the largest r, not |r|",
    )
    beats = np.zeros(800)
    beats[::40], beats[20::80], beats[60::80] = 1.0, -1.0, -0.2
    if not abs(float(estimate(beats, 8000, low, high)) - 100) < 0.01:
        raise CheckFailed(
            "✗ a sound of 100 Hz whose positive half has 200 Hz is taken for that: take x itself, not its positive half"
        )
    got = float(estimate(_voice(160, 8000, offset=5.0), 8000, low, high))
    require(
        abs(got - 160) < 0.01,
        "a constant offset changes nothing",
        f"with a constant added, {got:.0f} Hz instead of 160: subtract the mean",
    )
    for hz, low, high, found in (
        (250, 60.0, 200.0, 125),
        (100, 100.0, 160.0, 100),
        (250, 150.0, 250.0, 250),
        (100, 100.5, 160.0, 8000 / 79),
        (250, 150.0, 245.0, 8000 / 33),
    ):
        got = float(estimate(_voice(hz, 8000), 8000, low, high))
        if not abs(got - found) < 0.01:
            raise CheckFailed(
                f"✗ limits: for a voice of {hz} Hz and asked for {low:.0f} to {high:.0f} Hz, you give "
                f"{got:.1f}, not {found:.1f}: search lags from rate / high, rounded up, to rate / low, "
                "rounded down, both included"
            )
    ok("the limits are kept, and are themselves allowed")
    low, high = 60.0, 400.0
    word = data.example()
    x, f0 = word.audio[2400:2880].astype(float), float(word.f0[30:36].mean())  # in the second vowel
    got = float(estimate(x, word.rate, low, high))
    require(
        abs(got / f0 - 1) < 0.05,
        f"the vowel of “seven”: {got:.0f} Hz, and the synthesiser's own F0 is {f0:.0f} Hz",
        f"the vowel of “seven” has {f0:.0f} Hz, you find {got:.0f}",
    )


@exercise("1.4", "one column of a spectrogram")
def frame_spectrum(frame_db: Callable) -> None:
    """frame_db(x (T,), centre, n_fft) -> dB (n_fft // 2 + 1,), floor of 1e-5 under the magnitude."""
    x = np.random.default_rng(0).normal(0, 0.1, 2000)
    centre, n_fft = 900, 256
    phase = 2 * np.pi * np.arange(n_fft) / n_fft
    window = 0.5 - 0.5 * np.cos(phase)

    def db(start: int, window: np.ndarray) -> np.ndarray:
        return 20 * np.log10(np.abs(np.fft.rfft(window * x[start : start + n_fft])))

    start = centre - n_fft // 2
    want = db(start, window)
    got = np.asarray(frame_db(x, centre, n_fft))
    if got.dtype == np.float16:
        raise CheckFailed("✗ decibels: float16 holds three digits: leave them in float64")
    if got.shape == (n_fft,):
        raise CheckFailed(
            "✗ decibels: 256 values. Of a real frame the second half mirrors the first: "
            "np.fft.rfft keeps the 129 that count"
        )
    if np.iscomplexobj(got):
        raise CheckFailed("✗ decibels: complex. Take the magnitude, np.abs, before the logarithm")
    agree(
        frame_db,
        lambda x, centre, n: (
            20
            * np.log10(
                np.maximum(
                    1e-5,
                    np.abs(
                        np.fft.rfft(
                            (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n))
                            * x[centre - n // 2 :][:n]
                        )
                    ),
                )
            )
        ),
        [(x, centre, n_fft), (x, 300, 64), (1e3 * x[:900], 512, 512), (x, 1000, 10)],
        "decibels of a frame",
        1e-6,
        [
            (
                db(start, 0.54 - 0.46 * np.cos(phase)),
                "this is Hamming's window, 0.54 and 0.46: the exercise has ½ and ½",
            ),
            (db(start, np.ones(n_fft)), "the frame is not windowed: its hard edges smear"),
            (
                db(start, np.hanning(n_fft)),
                (
                    "np.hanning ends in a zero of its own: this window has period n_fft, "
                    "0.5 − 0.5 cos(2πk / n_fft)"
                ),
            ),
            (db(start, 0.5 + 0.5 * np.cos(phase)), "+ cos: the window is 0 in the middle"),
            (db(start, 1 - np.cos(phase)), "the window rises to 2: the ½ is missing"),
            (db(centre, window), "the frame starts at `centre`: it must lie around it"),
            (db(centre - n_fft, window), "the frame ends at `centre`: it must lie around it"),
            (want / 2, "10 log10 is for powers: of a magnitude it is 20 log10"),
            (want * math.log(10), "this is the natural logarithm: decibels use log10"),
            (want * math.log(10) / 20, "this is the natural logarithm, not decibels"),
            (want / 20, "the factor 20 is missing"),
            (10 ** (want / 20), "these are magnitudes: take 20 log10"),
            (10 ** (want / 10), "these are powers: take 10 log10 of them"),
        ],
    )
    hush = np.asarray(frame_db(np.zeros(2000), centre, n_fft), dtype=float)
    require(
        hush.shape == (129,) and np.allclose(hush, -100),
        "silence is −100 dB",
        f"silence gives {hush.ravel()[0]:.4g} dB, not −100: "
        "put a floor of 1e-5 under the magnitude, np.maximum(…, 1e-5)",
    )


@exercise("1.5", "aliasing")
def aliasing(alias: Callable) -> None:
    """alias(hz (n,), rate) -> (n,): where in 0 … rate / 2 a tone of hz is heard."""
    rate = 2000
    hz = np.array([0.0, 300.0, 999.0, 1000.0, 1700.0, 2000.0, 2600.0, 3100.0, 5300.0, 6900.0])
    rest = hz % rate
    rng = np.random.default_rng(1)
    agree(
        alias,
        lambda hz, rate: np.minimum(hz % rate, rate - hz % rate),
        [(hz, rate), (rng.uniform(0, 2e5, 30), 44_100.5), (rng.integers(0, 9, 20) * 1e3, 3000)],
        "frequency heard",
        1e-9,
        [
            (hz, "nothing is folded: above rate / 2 another tone has the same samples"),
            (rest, "hz % rate still runs up to rate: above rate / 2 it is heard at rate minus it"),
            (np.minimum(hz, rate / 2), "not held at rate / 2, but folded back: 1700 Hz is heard at 300 Hz"),
            (hz % (rate / 2), "hz % (rate / 2) jumps back to 0: it must turn round at rate / 2 and come down"),
            (np.where(hz > rate / 2, rate - hz, hz), "folded once only, so that frequencies above rate become negative"),
            (np.where(hz > rate / 2, np.abs(rate - hz), hz), "folded once only: above 1.5 rate it must be folded again"),
        ],
    )  # fmt: skip
    t = np.arange(50) / 8000
    hz = np.random.default_rng(0).uniform(0, 40_000, 200)
    heard = np.asarray(alias(hz, 8000))
    same = np.allclose(
        np.cos(2 * np.pi * np.outer(hz, t)), np.cos(2 * np.pi * np.outer(heard, t)), atol=1e-6
    )
    require(
        same and heard.min() >= 0 and heard.max() <= 4000,
        "200 tones and their aliases have the same samples",
        "at another rate a tone and its alias do not have the same samples",
    )


@exercise("1.6", "predict, then run: sums of sounds")
def sums_of_sounds(prediction: Callable) -> None:
    """prediction() -> {"twice": dB, "noise": dB, "average": dB}."""
    word = data.example().audio.astype(float)
    noises = np.random.default_rng(0).normal(0, word.std(), (16, len(word)))
    louder = lambda sound, one: 20 * np.log10(sound.std() / one.std())
    predicts(
        prediction,
        {
            "twice": (
                louder(word + word, word),
                0.02,
                (
                    "the two swing together, so every sample changes by the same factor; "
                    "20 log10 of it. Or by its square in power, and 10 log10"
                ),
            ),
            "noise": (
                louder(word + noises[0], word),
                0.03,
                (
                    "they do not swing together: the mean of (a + b)² is that of a², of b², and of 2ab, "
                    "and the last is nothing. So powers add, not amplitudes"
                ),
            ),
            "average": (
                louder(noises.mean(0), noises[0]),
                0.02,
                (
                    "the sum of independent noises has the sum of their powers; dividing by how many there "
                    "are divides the power by the square of that. It is softer, so the number is negative"
                ),
            ),
        },
    )


def _halver(taps: int, window: Callable = np.hanning, bug: str = "") -> Callable:
    """Low-pass and every second sample, y[n] = Σ_k h[k] x[2n - k]; or one with a planted bug."""
    k = np.arange(-taps, taps + 1)
    cut = {"dull": 0.35, "wide": 0.7}.get(bug, 0.5)  # in units of half of the old rate
    h = cut * np.sinc(cut * k) * window(2 * taps + 3)[1:-1]
    h = h / h.sum()

    def filtered(x: np.ndarray) -> np.ndarray:
        return np.convolve(x, h)[taps : taps + len(x)]

    def halve(x: np.ndarray) -> np.ndarray:
        if bug == "drop":
            return x[::2]
        if bug == "after":
            return filtered(x[::2])
        if bug == "blocks":
            pieces = [filtered(x[n : n + 512]) for n in range(0, len(x), 512)]
            return np.concatenate(pieces)[::2]
        y = filtered(x) * (0.95 if bug == "soft" else 1)
        if bug in ("rises", "fades"):
            ramp = np.clip(np.arange(len(x)) / 600, 0, 1)
            return (y * (ramp if bug == "rises" else ramp[::-1]))[::2]
        if bug == "odd":
            return y[::2][: len(x) // 2]
        return np.append(0.0, y)[::2][: -(-len(x) // 2)] if bug == "late" else y[::2]

    return halve


def _by_frequencies(x: np.ndarray, change: float = 0.0, at: float = 0.0) -> np.ndarray:
    """The same with a filter that is given in the frequencies: whole to 1,700 Hz, nothing from 2,300 on; with a
    `change` in the neighbourhood of one."""
    padded = np.pad(x, 1000)
    hz = np.fft.rfftfreq(len(padded), 1 / 8000)
    fade = 0.5 + 0.5 * np.cos(np.pi * np.clip((hz - 1700) / 600, 0, 1))
    fade = fade + change * np.exp(-(((hz - at) / 40) ** 2))
    return np.fft.irfft(fade * np.fft.rfft(padded), len(padded))[1000 : 1000 + len(x) : 2]


HALVING_BUGS = {
    "drop": "every second sample and nothing filtered out: a tone of 3,000 Hz is heard at 1,000",
    "after": "it filters after every second sample was dropped, when the folding has happened",
    "late": "it is one sample late: sample n of the result belongs to sample 2n - 1",
    "blocks": "it filters blocks of 512 samples, each as if silence lay around it: a rattle at their edges",
    "dull": "it cuts at 1,400 Hz: what the new rate could hold is lost",
    "wide": "it cuts at 2,800 Hz: a tone of 2,500 Hz is heard at 1,500",
    "soft": "every tone comes out by a twentieth too soft",
    "odd": "where the number of samples is odd, the last one is lost",
    "rises": "its first 300 samples rise from silence, and only the first 200 are free",
    "fades": "its last 300 samples fade away, and only the last 200 are free",
}
AT_ONE_PLACE = {
    "it has a gap at 500 Hz: tones near it lose half of their amplitude": lambda x: _by_frequencies(x, -0.5, 500),
    "tones near 3,100 Hz come through, folded to 900 Hz": lambda x: _by_frequencies(x, 0.5, 3100),
    "tones near 2,450 Hz come through, folded to 1,550 Hz": lambda x: _by_frequencies(x, 0.5, 2450),
    "a constant is lost: a tone of 0 Hz counts, too": lambda x: _by_frequencies(x, -1, 0),
    "the sound comes out upside down": lambda x: -_by_frequencies(x),
    "one sample in the middle is off by a tenth": nudged(_by_frequencies, [0.5], 0.1),
}  # fmt: skip


@exercise("1.7", "the test that finds the planted bug")
def halving_test(is_right: Callable) -> None:
    """is_right(halve) -> bool, for halve(x (T,) at 8,000 Hz) -> (ceil(T / 2),) at 4,000 Hz."""
    good = {
        "a filter of 61 taps": _halver(30),
        "one of 151, with another window": _halver(75, np.blackman),
        "one made of frequencies": _by_frequencies,
        "the library's": lambda x: audio.resample(x, 8000, 4000),
    }
    finds_bugs(
        is_right,
        [((halve,), words) for words, halve in good.items()],
        [((_halver(n, bug=b),), words) for n in (30, 50) for b, words in HALVING_BUGS.items()]
        + [((halve,), words) for words, halve in AT_ONE_PLACE.items()],
        "tones up to 1,600 Hz unchanged to 0.02, those from 2,400 Hz on gone to 0.02, half as many samples "
        "rounded up, the first and last 200 of the result apart",
    )
