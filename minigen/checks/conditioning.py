"""Checks for the exercises of chapter 9."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from .. import conditioning, wavenet
from ..audio.pitch import f0 as track
from .core import agree, compare, exercise, finds_bugs, nudges, parts, predicts, responds


def _sigmoid(v: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-v))


@exercise("9.1", "between speakers")
def speakers_are_a_bias(speaker_bias: Callable, gated: Callable) -> None:
    """speaker_bias(V, b, table (N, C), shares (B, N)) -> b' (B, 2R);   gated(u (B, 2R, T), c (B, C, T), V, bias (B, 2R)) -> a (B, R, T)."""
    rng = np.random.default_rng(0)
    R, C, N, B, T = 2, 4, 3, 4, 7  # 2R = C, so that a transposed V has the right shape, too

    def bias_case(R: int, C: int, N: int, B: int) -> tuple:
        shapes = ((2 * R, C), (2 * R,), (N, C))
        return *(rng.normal(size=s) for s in shapes), rng.dirichlet(np.ones(N), B)

    V, b, table, shares = first = bias_case(R, C, N, B)
    e = shares @ table  # (B, C)
    half = np.r_[np.ones(R), np.zeros(R)]
    agree(
        speaker_bias,
        lambda V, b, table, shares: b + shares @ table @ V.T,
        [first, *(bias_case(*sizes) for sizes in ((1, 1, 1, 1), (3, 2, 5, 2), (2, 9, 2, 3)))],
        "the bias",
        1e-10,
        [
            (b + e, "the speakers go through V before they meet b"),
            (e @ V.T, "the bias b of the layer is missing"),
            (b + e @ V, "V is transposed: row i of V belongs to output i"),
            (b + half * (e @ V.T), "the gate depends on the speaker, too: all 2R rows"),
            (b + 0 * (e @ V.T), "the speakers are not used"),
            (b + (table @ V.T).mean(0) + 0 * (e @ V.T), "the shares are not used: a weighted sum"),
            (
                b + table[shares.argmax(1)] @ V.T,
                "a mixture of speakers, not the one with the largest share",
            ),
            (shares @ (b + table @ V.T) + b, "b is added once"),
        ],
        steady=[3],
    )

    def layer_case(R: int, C: int, B: int, T: int) -> tuple:
        shapes = ((B, 2 * R, T), (B, C, T), (2 * R, C), (B, 2 * R))
        return tuple(rng.normal(size=s) for s in shapes)

    def right(
        u: np.ndarray,
        c: np.ndarray,
        V: np.ndarray,
        bias: np.ndarray,
        gate: Callable = _sigmoid,
        order: int = 1,
        join: Callable = np.multiply,
    ) -> np.ndarray:
        f, g = np.split(u + V @ c + bias[..., None], 2, axis=1)[::order]
        return join(np.tanh(f), gate(g))

    u, c, V, bias = one = layer_case(R, C, B, T)
    deaf = u + bias[..., None]
    f, g = np.split(u + V @ c + bias[..., None], 2, axis=1)
    deaf_f, deaf_g = np.split(deaf, 2, axis=1)
    agree(
        gated,
        right,
        [one, *(layer_case(*sizes) for sizes in ((1, 1, 1, 1), (3, 2, 2, 5), (2, 9, 3, 4)))],
        "the layer",
        1e-10,
        [
            (f * _sigmoid(g), "tanh is missing around the filter"),
            *(
                (
                    right(*one, gate=gate),
                    "the gate is the sigmoid 1 / (1 + e^-g): from 0 to 1, and rising",
                )
                for gate in (
                    np.exp,
                    lambda g: _sigmoid(-g),
                    lambda g: 1 + np.exp(-g),
                    lambda g: 1 / (1 - np.exp(-g)),
                    lambda g: 1 / (2 + np.exp(-g)),
                    lambda g: 1 / (1 - g),
                )
            ),
            (right(*one, gate=np.tanh), "the gate is a sigmoid, from 0 to 1"),
            (
                right(*one, order=-1),
                "filter and gate are exchanged: the first R rows are the filter",
            ),
            (np.tanh(deaf_f) * _sigmoid(deaf_g), "c is not used"),
            (np.tanh(f) * _sigmoid(deaf_g), "c must reach the gate, too: split after it was added"),
            (
                np.tanh(deaf_f) * _sigmoid(g),
                "c must reach the filter, too: split after it was added",
            ),
            (right(u, c, V, 0 * bias), "the bias is not used"),
            (right(u, c, V, 0 * bias + bias[:1]), "each example has a bias of its own"),
            (right(*one, join=np.add), "filter and gate are multiplied, not added"),
        ],
    )


@exercise("9.2", "the phone of a frame")
def frames_of_phones(phone_of_frame: Callable) -> None:
    """phone_of_frame(ends (P,), n_frames, hop, rate) -> (n_frames,) numbers of phones from 0, places from 0 to 1."""
    cases = [
        ("10 ms at 8 kHz", [0.0312, 0.058, 0.1039, 0.16], 16, 80, 8000),
        ("12.5 ms at 16 kHz", [0.0312, 0.058, 0.1039, 0.16], 12, 200, 16000),
        ("frames beyond the last phone", [0.0312, 0.058, 0.1039], 16, 80, 8000),
    ]

    def right(
        ends: np.ndarray, n: int, hop: int, rate: int, shift: float = 0.5, step: float = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        time = (np.arange(n) + shift) * (step or hop / rate)
        which = np.minimum(np.searchsorted(ends, time, side="right"), len(ends) - 1)
        starts = np.r_[0.0, ends[:-1]]
        return which, np.minimum((time - starts[which]) / (ends - starts)[which], 1)

    for what, seconds, n, hop, rate in cases:
        ends = np.array(seconds)
        time = (np.arange(n) + 0.5) * hop / rate

        def at(shift: float, step: float = 0, case: tuple = (ends, n, hop, rate)) -> np.ndarray:
            return right(*case, shift, step)[0]

        which, place = right(ends, n, hop, rate)
        starts = np.r_[0.0, ends[:-1]]
        nearest = np.abs(time[:, None] - ends).argmin(1)
        numbers, places = parts(phone_of_frame(ends.copy(), n, hop, rate), "numbers", "places")
        compare(
            numbers,
            which,
            what,
            1e-12,
            [
                (at(0.0), "you took the start of the frame: its centre is at (n + ½) · hop / rate"),
                (at(1.0), "you took the end of the frame: its centre is at (n + ½) · hop / rate"),
                (at(-0.5), "one frame late: frame n describes itself, not frame n - 1"),
                (at(1.5), "one frame early: frame n describes itself, not frame n + 1"),
                (at(0.5, 0.01), "a frame lasts hop / rate seconds, which is not always 10 ms"),
                (which + 1, "phones are counted from 0"),
                (
                    np.searchsorted(ends, time, side="right"),
                    "beyond all ends the last phone goes on: its number is P - 1",
                ),
                (nearest, "not the phone whose end is nearest: the first that ends later"),
                (place, "return the numbers first, then the places"),
                (
                    (time / ends[-1] * len(ends)).astype(int),
                    "phones are not equally long: look for the one in which the centre lies",
                ),
                (
                    right(ends, n, hop, rate, 1 - np.arange(n) % 2)[0],
                    "(n + ½) is not rounded: the centre lies between two whole numbers",
                ),
            ],
        )
        free = (time - starts[which]) / (ends - starts)[which]
        compare(
            places,
            place,
            f"{what}, places",
            1e-9,
            [
                (free, "beyond the last end the place stays 1"),
                (1 - place, "from the start of the phone: 0 there, 1 at its end"),
                (np.minimum(time / ends[which], 1), "from the start of the phone, not of the clip"),
                (np.minimum(time / ends[-1], 1), "the place in the phone, not in the whole clip"),
                (time - starts[which], "these are seconds: divide by the phone's duration"),
                (
                    (time - starts[which]) * (ends - starts)[which],
                    "divide by the phone's duration, do not multiply",
                ),
                (
                    lambda got, n=n: np.shape(got) == (n,) and not np.any(got[:2]),
                    "the first phone starts at 0, and the place grows from there with every frame",
                ),
                (
                    lambda got, n=n: np.shape(got) == (n,) and np.all(np.asarray(got)[:2] == 1),
                    "divide by the phone's duration, its end less its start",
                ),
                (
                    np.minimum((time - starts[which]) / ends[which], 1),
                    "divide by the phone's duration, its end less its start",
                ),
                (
                    np.clip(
                        (time - 0.5 * hop / rate - starts[which]) / (ends - starts)[which], 0, 1
                    ),
                    "you took the start of the frame: its centre is at (n + ½) · hop / rate",
                ),
                (
                    np.clip((time - ends[which]) / (ends - starts)[which], 0, 1),
                    "a phone starts where the one before it ends, the first at 0",
                ),
                (
                    np.minimum(
                        (time - np.r_[ends[0], ends[:-1]][which]) / (ends - starts)[which], 1
                    ),
                    "the first phone starts at 0",
                ),
            ],
        )
    exact = (np.array([1, 3, 4, 7]) + 0.5) * 64 / 8192  # a phone that ends at a frame's very centre
    many = np.random.default_rng(0).uniform(0.001, 0.05, 30).cumsum()
    names = (
        "phones that end at the centre of a frame, one phone, and many",
        "places in these",
    )
    agree(
        phone_of_frame,
        right,
        [(exact, 10, 64, 8192), (np.array([0.2]), 5, 80, 8000), (many, 60, 100, 11_025)],
        names,
    )


@exercise("9.3", "lines between frames")
def linear_upsampling(linear: Callable) -> None:
    """linear(frames (F, N), hop) -> (F, N · hop)."""
    rng = np.random.default_rng(2)
    cases = [
        ("a constant", np.full((1, 5), 3.0), 4),
        ("hop 4", rng.normal(size=(2, 6)), 4),
        ("hop 5", rng.normal(size=(3, 7)), 5),
    ]

    def right(frames: np.ndarray, hop: int) -> np.ndarray:
        n = frames.shape[1]
        at, centre = np.arange(n * hop) + 0.5, (np.arange(n) + 0.5) * hop
        return np.stack([np.interp(at, centre, row) for row in frames])

    for what, frames, hop in cases:
        n = frames.shape[1]
        samples, want = np.arange(n * hop), right(frames, hop)

        def lines(at, centre, frames=frames):
            return np.stack([np.interp(at, centre, row) for row in frames])

        compare(
            linear(frames.copy(), hop),
            want,
            what,
            1e-10,
            [
                (np.repeat(frames, hop, axis=1), "these are steps: between centres draw lines"),
                (np.tile(frames, hop), "each frame stays where it is: you repeated the whole row"),
                (
                    lines(samples, np.arange(n) * hop),
                    "half a frame early: the value belongs to the centre of the frame, not its start",
                ),
                (
                    lines(samples + 0.5, np.arange(n) * hop),
                    "half a frame early: the value of frame n is put at its start, not at its centre",
                ),
                (
                    lines(samples, (np.arange(n) + 0.5) * hop),
                    "half a sample late: sample t has its centre at t + ½",
                ),
                (
                    lines(samples, np.linspace(0, n * hop - 1, n)),
                    "stretched: the first and the last frame are not at the very ends",
                ),
                (
                    lambda got, want=want, held=hop // 2: np.allclose(
                        got[:, held:-held], want[:, held:-held]
                    ),
                    "before the first and after the last centre the nearest frame's value holds",
                ),
                (
                    lambda got, frames=frames, hop=hop: (
                        hop % 2 and np.allclose(got[:, hop // 2 :: hop], frames)
                    ),
                    "right at the centres, but no straight lines between them",
                ),
                (
                    lines(samples + 0.5, (np.arange(n) + 1.0) * hop),
                    "half a frame late: the centre is at (n + ½) · hop",
                ),
                (
                    lines(samples + 0.5, np.arange(n) * hop + hop // 2),
                    "hop // 2 is not half of an odd hop: the centre is at (n + ½) · hop",
                ),
            ],
            otherwise=responds(linear, right, frames, hop),
        )

    others = [
        (rng.normal(size=s), hop)
        for s, hop in (((1, 1), 3), ((4, 2), 1), ((2, 2), 6), ((2, 9), 7), ((3, 3), 80))
    ]
    agree(linear, right, others, "other sizes", 1e-10)


@exercise("9.4", "phase from F0")
def phase_from_f0(phase: Callable) -> None:
    """phase(f0 (T,) in Hz, rate) -> radians (T,)."""
    rng = np.random.default_rng(3)
    glide = 120 + 80 * np.linspace(0, 1, 400) ** 2
    cases = [
        ("a glide", glide, 8000),
        ("a steady voice", np.full(200, 100.0), 8000),
        ("16 kHz", glide + rng.normal(size=400), 16000),
        ("a voice with a pause", np.where(np.arange(400) // 90 % 2, 0.0, glide), 8000),
    ]
    for what, f0, rate in cases:
        turn = 2 * np.pi * np.cumsum(f0) / rate
        time = np.arange(len(f0)) / rate
        compare(
            phase(f0.copy(), rate),
            turn,
            what,
            1e-10,
            [
                (turn / (2 * np.pi), "these are periods: a period has 2π radians"),
                (np.degrees(turn), "these are degrees: a period has 2π radians"),
                (turn * rate, "divide by the rate: F0 is for a second, not for a sample"),
                (
                    2 * np.pi * np.cumsum(f0) / (rate / 80),
                    "F0 is given at every sample here: divide by the rate, not by frames a second",
                ),
                (
                    turn - turn[0],
                    "the sum starts with the first sample: φ[0] is 2π F0[0] / rate, not 0",
                ),
                (
                    2 * np.pi * np.concatenate([[0.0], np.cumsum(f0)[:-1]]) / rate,
                    "the sum goes up to u = t, this sample included",
                ),
                (
                    2 * np.pi * f0 * time,
                    "F0 times time is right only while F0 is constant: add up the steps",
                ),
                (
                    2 * np.pi * f0 * (time + 1 / rate),
                    "F0 times time is right only while F0 is constant: add up the steps",
                ),
                (2 * np.pi * f0 / rate, "this is the step of each sample: add them up"),
                (
                    2 * np.pi * np.cumsum(np.round(f0)) / rate,
                    "F0 is rounded to whole numbers: the error adds up",
                ),
                (
                    2 * np.pi * f0.mean() * (time + 1 / rate),
                    "the mean of F0 is used throughout: the phase must follow it",
                ),
                (np.mod(turn, 2 * np.pi), "leave the whole turns in: do not wrap the phase"),
            ],
            otherwise=responds(phase, lambda f0, rate: 2 * np.pi * np.cumsum(f0) / rate, f0, rate),
        )
    agree(
        phase,
        lambda f0, rate: 2 * np.pi * np.cumsum(f0) / rate,
        [(rng.uniform(20, 2000, n), rate) for n, rate in ((1, 8000), (2, 44_100), (30, 100))]
        + [(np.array([300.0, 45, 7, 0, 52]), 8000)],
        "other voices",
        1e-10,
    )


@exercise("9.5", "how long is a phone?")
def duration(duration_of: Callable) -> None:
    """duration_of(seen {key: seconds}, keys from exact to general, least) -> (µ, σ) of log seconds."""
    rng = np.random.default_rng(4)
    sizes = {"n ay pau": (3, 0.05), "n pau": (6, 0.4), "n": (20, 0.7), "": (50, 0.4)}
    seen = {key: np.exp(rng.normal(-2.5, std, n)).tolist() for key, (n, std) in sizes.items()}
    everything = {key: np.array(values) for key, values in seen.items()}
    cases = [
        ("a context that was seen enough", ["n pau", "n", ""], 5, "n pau"),
        ("a rare one", ["n ay pau", "n pau", "n", ""], 5, "n pau"),
        ("one that was never seen", ["n ow pau", "n t", "n", ""], 5, "n"),
        ("one of five", ["n ow pau", "n t", "a", "b", "n"], 12, "n"),
        ("one that was seen just often enough", ["n ay pau", "n pau", ""], 3, "n ay pau"),
    ]
    for what, keys, least, key in cases:
        got = duration_of({k: list(v) for k, v in seen.items()}, list(keys), least)
        got = parts(got, "µ", "σ")
        d = everything[key]
        log_d = np.log(d)
        known = [k for k in keys if k in everything]
        pair = lambda k: (np.log(everything[k]).mean(), np.log(everything[k]).std())
        pooled = np.concatenate([np.log(everything[k]) for k in known])
        hints = [
            ((d.mean(), d.std()), "take the logarithm of the seconds first"),
            ((np.log(d.mean()), log_d.std()), "µ is the mean of the logarithms, not the reverse"),
            ((np.log(d.mean()), np.log(d.std())), "take the logarithm of each duration, then fit"),
            ((log_d.mean(), log_d.var()), "σ is the square root of the variance"),
            (
                (log_d.mean(), log_d.std(ddof=1)),
                "maximum likelihood divides by n, not by n - 1",
            ),
            ((np.exp(log_d.mean()), log_d.std()), "µ is of the logarithm: leave it there"),
        ]
        if known[0] != key:
            hints.append((pair(known[0]), f"{known[0]!r} was seen fewer than {least} times"))
        if known[-1] != key:
            hints.append((pair(known[-1]), "the exact descriptions come first in keys"))
        enough = [k for k in known if len(everything[k]) > least]
        if enough and enough[0] != key:
            hints.append((pair(enough[0]), f"{least} times is enough: at least, not more than"))
        hints.append(
            ((pooled.mean(), pooled.std()), "one context alone counts: they are not pooled")
        )
        compare([float(np.mean(np.asarray(v))) if np.asarray(v).size == 1 else np.nan for v in got], pair(key), what, 1e-10,
                [*hints, (lambda got: not np.isfinite(got).all(), "µ and σ are one number each: mean and std"
                          )])  # fmt: skip


@exercise("9.6", "a contour, frame by frame")
def contour(draw: Callable) -> None:
    """draw(mean (N,), phi (p,), sigma, z (N,)) -> F0 in Hz (N,)."""
    rng = np.random.default_rng(5)
    n = 30
    mean, z = np.log(200) - 0.01 * np.arange(n), rng.standard_normal(n)

    def series(phi, noise, level=None):
        r = np.zeros(n)
        for i in range(n):
            past = sum(phi[k] * r[i - 1 - k] for k in range(min(i, len(phi))))
            r[i] = past + noise[i] + (0 if level is None else level[i])
        return r

    def right(mean: np.ndarray, phi: np.ndarray, sigma: float, z: np.ndarray) -> np.ndarray:
        r = np.zeros(len(z) + len(phi))  # zeros before the start
        for i in range(len(z)):
            r[len(phi) + i] = phi @ r[i : i + len(phi)][::-1] + sigma * z[i]
        return np.exp(mean + r[len(phi) :])

    cases = [
        ("no chance", np.array([0.7, 0.2]), 0.0),
        ("order 1", np.array([0.9]), 0.03),
        ("order 2", np.array([1.2, -0.4]), 0.03),
    ]
    for what, phi, sigma in cases:
        r = series(phi, sigma * z)
        compare(
            draw(mean.copy(), phi.copy(), sigma, z.copy()),
            np.exp(mean + r),
            what,
            1e-9,
            [
                (mean + r, "this is log F0: the exponential is missing"),
                (
                    np.exp(series(phi, sigma * z, mean)),
                    "the autoregression is in r, what is left beside the mean, not in log F0",
                ),
                (np.exp(mean) + r, "r is added to the logarithm, before the exponential"),
                (np.exp(r), "the mean is missing"),
                (np.exp(mean + sigma * z), "the past is not used: r[n] needs r[n-1]"),
                (np.exp(mean + series(phi, z)), "the noise must be multiplied by sigma"),
                (
                    np.exp(mean + series(phi, sigma**2 * z)),
                    "sigma is a standard deviation, not a variance",
                ),
                (
                    np.exp(mean + series(phi[::-1], sigma * z)),
                    "the coefficients are turned round: phi[0] belongs to r[n-1]",
                ),
                (
                    np.exp(mean + np.cumsum(sigma * z)),
                    "this is a random walk: the past is multiplied by phi",
                ),
            ],
            otherwise=responds(draw, right, mean, phi, sigma, z),
        )

    others = [
        (rng.normal(level, 0.1, k), rng.uniform(-0.3, 0.3, p), s, rng.normal(0, 2, k))
        for k, p, s, level in ((1, 2, 0.1, 5), (3, 5, 0.2, 7), (12, 3, 1.0, 3))
    ]
    agree(draw, right, others, "other contours, also shorter than the past,", 1e-9)


@exercise("9.7", "predict, then run: a glide")
def glide(prediction: Callable) -> None:
    """prediction() -> {"periods": number, "end": Hz, "drift": seconds}."""
    rate = 8000
    f0 = 100 + 100 * (np.arange(100) + 0.5) / 100  # 1 s in frames of 10 ms
    time = np.arange(rate) / rate
    wrong = track(0.3 * np.sin(2 * np.pi * (100 + 100 * time) * time), rate)
    steady = np.full(200, 120.0)
    behind = conditioning.phase(steady, rate) - conditioning.phase(0.99 * steady, rate)
    predicts(
        prediction,
        {
            "periods": (
                float(conditioning.phase(f0, rate, centred=True)[-1]) / (2 * np.pi),
                0.003,
                "the number of periods is F0 added up over the second: the area under a straight line",
            ),
            "end": (
                float(np.median(wrong[-4:])),
                0.03,
                (
                    "what is heard is the slope of the phase. Differentiate F0(t) · t: F0 is not the "
                    "only factor that changes"
                ),
            ),
            "drift": (
                float(np.argmax(behind >= np.pi) + 1) / rate,
                0.02,
                (
                    "how many periods does the tracked voice lose in a second? Then how long "
                    "does it take to lose half of one?"
                ),
            ),
        },
    )


def _spread(
    frames: np.ndarray, hop: int, bug: str = "", one: int = -1, where: int = 1
) -> np.ndarray:
    """Straight lines between the centres of frames, or with a planted bug, in one feature and at one frame if it is in
    one: (F, N) -> (F, N · hop)."""
    frames = np.asarray(frames, dtype=float)
    n = frames.shape[1]
    at, centre = np.arange(n * hop) + 0.5, (np.arange(n) + 0.5) * hop
    if bug == "late":
        frames = frames.copy()
        frames[one, 1:] = frames[one, :-1].copy()
    if bug == "smears":
        frames = frames.copy()
        frames[one, where] = 0.9 * frames[one, where] + 0.1 * frames[one, where + 1]
    if bug == "cut":
        frames = np.maximum(frames, 0)
    if bug == "seeps":
        around = np.pad(frames[one], 1, mode="edge")
        frames = frames.copy()
        frames[-1 - one] += 0.1 * np.diff(around, 2)
    if bug == "stretch":  # the outer frames at the very ends
        centre = np.linspace(0.5, n * hop - 0.5, n)
    ends = {"left": 0.0, "right": 0.0} if bug == "ends" else {}
    out = np.stack([np.interp(at, centre, row, **ends) for row in frames])
    if bug == "ripple":  # each sample of a frame is painted by a weight of its own
        out = out * np.tile(1 + 0.05 * np.cos(2 * np.pi * (np.arange(hop) + 0.5) / hop), n)
    if bug == "mixed":
        out = 0.9 * out + 0.1 * out.mean(0)
    if bug == "far":
        out[-1 - one, -1] += 0.1 * (frames[one, where] - frames[one, where + 1])
    return out


def _repeated(frames: np.ndarray, hop: int) -> np.ndarray:
    return np.repeat(np.asarray(frames, dtype=float), hop, axis=1)


def _smoothed(frames: np.ndarray, hop: int) -> np.ndarray:
    """By the library, in two stages of which the first doubles."""
    with torch.no_grad():
        up = wavenet.Upsample((2, hop // 2)).double()
        return up(torch.tensor(np.asarray(frames, dtype=float))[None])[0].numpy()


@exercise("9.8", "the test that finds the bug")
def upsampling_test(is_right: Callable) -> None:
    """is_right(up, F, N, hop) -> bool, for up(frames (F, N), hop) -> (F, N · hop)."""
    right = [
        (_spread, 2, 9, 8, "straight lines"),
        (_spread, 1, 7, 5, "straight lines, of one feature"),
        (_repeated, 3, 8, 4, "repeated frames"),
        (_smoothed, 2, 11, 8, "the library's learned smoothing"),
    ]
    bugs = {
        "late": "one of its features comes one frame late",
        "seeps": "where one feature bends another one moves",
        "stretch": "the first and the last frame are put at the very ends, and those between are moved",
        "ripple": "each sample of a frame has a weight of its own, which prints a pattern at the rate of frames",
        "ends": "before the first and after the last centre it is zero",
        "mixed": "a tenth of each feature is the mean of all of them",
        "cut": "what is below zero counts as zero",
    }
    spoiled = lambda *how: lambda frames, hop: _spread(frames, hop, *how)
    at_one_frame = {
        "smears": "a frame takes a tenth of the next one: that one spreads further to its left",
        "far": "what one feature does at one frame moves the last sample of another",
    }
    finds_bugs(
        is_right,
        [((up, *sizes), what) for up, *sizes, what in right],
        [
            ((spoiled(bug, one), *sizes), what)
            for sizes in ((2, 9, 8), (3, 8, 5))
            for one in (-1, 0)
            for bug, what in bugs.items()
        ]
        + [
            ((spoiled(bug, one, at), 2, 9, 8), what)
            for one in (-1, 0)
            for at in (1, 3, 6)
            for bug, what in at_one_frame.items()
        ]
        + [
            ((up, 2, 9, 8), what)
            for up, what in nudges(
                _spread, "of the {} feature the {} sample is off by 0.001", 2, 1e-3
            )
        ],
        "a constant stays what it is, a frame that is neither the first nor the last spreads evenly around its own "
        "centre, features stay apart",
    )
