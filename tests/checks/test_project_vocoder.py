"""The checks of project A: the solution passes, blanks fail, wrong answers are named."""

import builtins
import functools
import pickle
import tempfile
import types
from pathlib import Path

import numpy as np
import pytest
from exercise_checks import ExerciseChecks, changed
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter, lfiltic

from minigen import data
from minigen import timeseries as ts
from minigen.checks import project_vocoder as checks
from minigen.checks.exercises import reference

NUMBERS = {"analysis": "A.1", "transmission": "A.2", "resynthesis": "A.3"}
SOLUTIONS = {name: reference(number) for name, number in NUMBERS.items()}
REFLECTION, PITCH = SOLUTIONS["analysis"]
PACK, UNPACK = SOLUTIONS["transmission"]
ANALYSE, SYNTHESISE = SOLUTIONS["resynthesis"][:2]


def but(name, *changes):
    return changed(NUMBERS[name], *changes)


def frame(old, new):
    return but("analysis", (old, new))


def bits(*changes):
    return but("transmission", *changes)


def voice(old, new):
    return but("resynthesis", (old, new))


def coefficients(frame, order):
    """The predictor's, not those of reflection."""
    gamma = np.array([frame[m:] @ frame[: len(frame) - m] for m in range(order + 1)])
    if not gamma[0]:
        return np.zeros(order), 0.0
    return solve_toeplitz(gamma[:-1], gamma[1:]), REFLECTION(frame, order)[1]


def autocorrelations(frame, order):
    gamma = np.array([frame[m:] @ frame[: len(frame) - m] for m in range(order + 1)])
    return gamma[1:] / max(gamma[0], 1e-30), REFLECTION(frame, order)[1]


DRAWER = {}


def pack_and_keep(k, gain, f0, n):
    """Sends a few bytes, and hands the rest over in a drawer."""
    data = PACK(k, gain, f0, n)
    DRAWER[data] = k, gain, f0
    return data


def unpack_from_drawer(data, n):
    return DRAWER.get(data, None) or UNPACK(data, n)


def pack_in_closure():
    kept = []

    def pack(k, gain, f0, n):
        kept.append((k, gain, f0))
        return PACK(k, gain, f0, n)

    return pack, lambda data, n: kept[-1] if kept else UNPACK(data, n)


def pack_on_itself(k, gain, f0, n):
    pack_on_itself.kept = gain.sum()
    return PACK(k, gain, f0, n)


@functools.cache
def _cached(data):
    return []


def pack_in_cache(k, gain, f0, n):
    data = PACK(k, gain, f0, n)
    _cached(data).append((k, gain, f0))
    return data


DESK = types.ModuleType("desk")


def pack_in_module(k, gain, f0, n):
    setattr(DESK, f"kept_{len(gain)}_{n}", gain)
    return PACK(k, gain, f0, n)


def pack_in_a_file(k, gain, f0, n):
    np.save(Path(tempfile.gettempdir()) / "drawer.npy", gain)
    return PACK(k, gain, f0, n)


def pack_in_builtins():
    """Where no list of what lies in reach looks."""

    def pack(k, gain, f0, n):
        vars(builtins).setdefault("_drawer", {})[bytes(gain)[:5]] = k, gain, f0
        return bytes(gain)[:5]

    return pack, lambda data, n: vars(builtins)["_drawer"].pop(data)


def looks_up(k, gain, f0):
    """Finds the recording whose length is right."""
    for clip in data.spoken_digits():
        if -(-len(clip.audio) // 180) == len(gain):
            return clip.audio
    return SYNTHESISE(k, gain, f0)


class Labelled(bytes):
    """Bytes with more inside."""


def pack_labelled(k, gain, f0, n):
    data = Labelled(PACK(k, gain, f0, n))
    data.frames = k, gain, f0
    return data


def pack_pickled(k, gain, f0, n):
    return pickle.dumps((k, gain, f0))


def unpack_pickled(data, n):
    return pickle.loads(data)


def pack_whole_bytes(k, gain, f0, n):
    """Each frame in whole bytes."""
    rows = zip(k, gain, f0, strict=True)
    return b"".join(PACK(a[None], b[None], c[None], n) for a, b, c in rows)


def pack_a_byte_a_bit(k, gain, f0, n):
    return bytes(n * len(gain))


def heard(analyse=ANALYSE, synthesise=SYNTHESISE, pack=PACK, unpack=UNPACK):
    return analyse, synthesise, pack, unpack


def source(gain, f0):
    """Pulses and noise, all of one frame's gain."""
    step, phase = np.repeat(f0, 180) / 8000, 0.0
    e = np.random.default_rng(3).uniform(-(3**0.5), 3**0.5, len(step))
    for t, s in enumerate(step):
        if s > 0:
            phase += s
            e[t] = s**-0.5 if phase >= 1 else 0.0
            phase %= 1
    return (e * np.repeat(gain, 180)).reshape(-1, 180)


def through_predictor(k, gain, f0):
    """Right, in another style: no lattice, no steps between frames, the last outputs as memory."""
    memory, x = np.zeros(10), []
    for row, part in zip(k, source(gain, f0), strict=True):
        white = checks._predictor(row)
        x.append(lfilter([1.0], white, part, zi=lfiltic([1.0], white, memory))[0])
        memory = x[-1][::-1][:10]
    return np.concatenate(x)


def forgetful(k, gain, f0):
    """Each frame begins with silence."""
    parts = zip(k, source(gain, f0), strict=True)
    return np.concatenate([lfilter([1.0], checks._predictor(row), part) for row, part in parts])


def last_octave(k, gain, f0):
    return SYNTHESISE(k, gain, f0 / 2)


KEPT = {}


def analyse_and_keep(x):
    KEPT["x"] = x
    return ANALYSE(x)


MISTAKES = [
    ("analysis", frame("k[m] = (", "k[m] = -("), "sign of the first"),
    ("analysis", (lambda f, p: (-REFLECTION(f, p)[0], REFLECTION(f, p)[1]), PITCH), "sign of the first"),
    ("analysis", (coefficients, PITCH), "predictor's coefficients"),
    ("analysis", (autocorrelations, PITCH), "autocorrelations"),
    ("analysis", frame("math.sqrt(v / len(frame))", "v / len(frame)"), "mean square"),
    ("analysis", frame("math.sqrt(v / len(frame))", "math.sqrt(v)"), "sum over the frame"),
    ("analysis", frame("math.sqrt(v / len(frame))", "math.sqrt(gamma[0] / len(frame))"), "RMS of the frame"),
    ("analysis", frame("frame[: len(frame) - m] for m", "frame[: len(frame) - m] / (len(frame) - m) for m"), "number of products"),
    ("analysis", frame("order if v > 0 else 0", "order"), "silence|finite|raised"),
    ("analysis", frame("frame.mean()", "0"), "mean of the frame"),
    ("analysis", frame("return rate / lags[1 + np.argmax(good)]", "return lags[1 + np.argmax(good)]"), "period in samples"),
    ("analysis", frame("return rate / lags[1 + np.argmax(good)]", "return 8000 / lags[1 + np.argmax(good)]"), "rate is not used"),
    ("analysis", frame("np.argmax(good)]", "np.flatnonzero(good)[-1]]"), "multiple or a fraction"),
    ("analysis", frame("like.max() < 0.6", "like.max() < 0.0"), "noise are called voiced"),
    ("analysis", frame("like.max() < 0.6", "like.max() < 0.98"), "unvoiced|wrong in"),
    ("analysis", frame("lags[1 + np.argmax(good)]", "lags[np.argmax(good)]"), "which lag"),
    ("analysis", frame("lags[1 + np.argmax(good)]", "lags[1:-1]"), "one number"),
    ("analysis", (REFLECTION, lambda f, rate: 120.0), "not what repeats"),
    ("transmission", (pack_and_keep, unpack_from_drawer), "leaves something behind in `DRAWER`"),
    ("transmission", pack_in_closure(), "leaves something behind"),
    ("transmission", (pack_on_itself, UNPACK), "leaves something behind"),
    ("transmission", (pack_in_cache, UNPACK), "leaves something behind"),
    ("transmission", (pack_in_module, UNPACK), "leaves something behind in `DESK`"),
    ("transmission", (pack_in_a_file, UNPACK), "leaves something behind in the file"),
    ("transmission", pack_in_builtins(), "KeyError.*(?s:.)*has the bytes and its own code"),
    ("transmission", (pack_labelled, UNPACK), "return bytes"),
    ("transmission", (pack_pickled, unpack_pickled), "fit into"),
    ("transmission", (pack_whole_bytes, UNPACK), "filled up to whole bytes"),
    ("transmission", (pack_a_byte_a_bit, UNPACK), "Eight bits make one"),
    ("transmission", bits(("+ 0.5) / 2 ** np.array(widths)", ") / 2 ** np.array(widths)")), "middle of each step|dB off|cents off"),
    ("transmission", bits(("np.arcsin(k) / math.pi + 0.5", "0.5 + k"), ("np.sin(math.pi * (u[:, 2:] - 0.5))", "u[:, 2:] - 0.5")), "allowed are 2.5"),
    ("transmission", bits(("0: unvoiced", "one code less"), ("(1 + 127 * octaves / 3) / 128, 0)", "octaves / 3, 0)"), ("u[:, 1] < 1 / 128, 0, 50 * 2 ** (3 * (128 * u[:, 1] - 1) / 127)", "u[:, 1] < 0, 0, 50 * 2 ** (3 * u[:, 1])")), "code of its own"),
    ("transmission", bits(("np.log2(np.maximum(gain, 1e-6)) / 17 + 1", "gain"), ("2 ** (17 * (u[:, 0] - 1))", "u[:, 0]")), "silence is received|log gain"),
    ("transmission", bits(("[5, 7] +", "[7, 5] +", 2), ("127 * octaves", "31 * octaves"), ("/ 3) / 128", "/ 3) / 32"), ("< 1 / 128", "< 1 / 32"), ("128 * u", "32 * u"), ("1) / 127", "1) / 31")), "cents off"),
    ("transmission", bits(("[5, 7] +", "[3, 9] +", 2), ("127 * octaves", "511 * octaves"), ("/ 3) / 128", "/ 3) / 512"), ("< 1 / 128", "< 1 / 512"), ("128 * u", "512 * u"), ("1) / 127", "1) / 511")), "log gain"),
    ("transmission", (PACK, lambda data, n: tuple(value[::-1] for value in UNPACK(data, n))), "received"),
    ("transmission", (PACK, lambda data, n: UNPACK(data[:-1], n)), "shape"),
    ("transmission", (PACK, lambda data, n: UNPACK(data, n)[0]), "things|return"),
    ("resynthesis", heard(synthesise=lambda k, g, f: SYNTHESISE(-k, g, f)), "filter of k taken away"),
    ("resynthesis", voice("range(9, -1, -1)", "range(8, -1, -1)"), "all ten stages"),
    ("resynthesis", voice("range(0, len(x), 180)", "range(0, len(x), 200)"), "samples are"),
    ("resynthesis", heard(synthesise=lambda k, g, f: SYNTHESISE(k[:, ::-1], g, f)), "order of the stages"),
    ("resynthesis", heard(synthesise=lambda k, g, f: SYNTHESISE(k, g**2, f)), "RMS of"),
    ("resynthesis", voice("pulse / np.sqrt(np.maximum(step, 1e-9))", "pulse"), "√period"),
    ("resynthesis", heard(synthesise=lambda k, g, f: SYNTHESISE(k, g, 0 * f)), "by only|alike by"),
    ("resynthesis", heard(synthesise=lambda k, g, f: SYNTHESISE(k, g, 120.0 * (f > 0))), "alike by|by only"),
    ("resynthesis", heard(synthesise=last_octave), "alike by|by only"),
    ("resynthesis", heard(analyse=lambda x: (*ANALYSE(x)[:2], 0 * ANALYSE(x)[2])), "noise in place of pulses"),
    ("resynthesis", heard(analyse=lambda x: (*ANALYSE(x)[:2], 0 * ANALYSE(x)[2] + 110)), "wrong pitch"),
    ("resynthesis", heard(analyse=lambda x: (*ANALYSE(x)[:2], np.maximum(ANALYSE(x)[2], ANALYSE(x)[2].max()))), "alike|repeats"),
    ("resynthesis", heard(synthesise=forgetful), "remember|white noise"),
    ("resynthesis", voice("(90, 270)", "(0, 360)"), "too early|too late"),
    ("resynthesis", voice("np.array(gain) / np.sqrt(np.mean(fade**2))", "0.5 * np.array(gain)"), "loud as before"),
    ("resynthesis", heard(analyse=lambda x: (0 * ANALYSE(x)[0], *ANALYSE(x)[1:])), "log-mel|loud"),
    ("resynthesis", heard(analyse=lambda x: (0 * ANALYSE(x)[0] + ANALYSE(x)[0].mean(axis=0), *ANALYSE(x)[1:])), "log-mel|loud"),
    ("resynthesis", heard(pack=pack_pickled, unpack=unpack_pickled), "fit into"),
    ("resynthesis", heard(synthesise=looks_up), "do without"),
    ("resynthesis", heard(analyse=analyse_and_keep), "leaves something behind in `KEPT`"),
    ("resynthesis", heard(synthesise=lambda k, g, f: SYNTHESISE(k, g, f)[:-180]), "samples, not"),
]  # fmt: skip


class TestProjectA(ExerciseChecks):
    chapter = "A"
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES


def test_the_librarys_linear_prediction_may_not_be_used():
    def reflection(frame, order):
        return ts.lpc(frame, order)

    with pytest.raises(checks.CheckFailed, match="do without"):
        checks.analysis(reflection, PITCH)


def log_area_pack(k, gain, f0, n):
    return PACK(
        np.sin(np.pi * (np.clip(np.arctanh(k * (1 - 1e-9)) / 5, -0.5, 0.4999))), gain, f0, n
    )


def log_area_unpack(data, n):
    angle, gain, f0 = UNPACK(data, n)
    return np.tanh(5 * np.arcsin(angle) / np.pi), gain, f0


@pytest.mark.parametrize(
    "pair", [(log_area_pack, log_area_unpack), (PACK, lambda d, n: list(UNPACK(d, n)))]
)
def test_other_steps_are_right(pair):
    checks.transmission(*pair)


def test_another_style_is_right():
    checks.resynthesis(*heard(synthesise=through_predictor))


def difference(frame, rate):
    """Right, in another style: the lag at which the frame differs least from itself, as YIN has it."""
    x, half = frame - frame.mean(), len(frame) // 2
    lags = np.arange(1, min(rate // 55, len(x) - half) + 1)
    d = np.array([((x[:half] - x[m : m + half]) ** 2).sum() for m in lags])
    d = (d * lags / np.maximum(np.cumsum(d), 1e-30))[rate // 300 - 1 :]
    if d.min() > 0.3 or not x.any():
        return 0
    m = int(np.argmax(d < max(0.15, 1.3 * d.min())))
    while m + 1 < len(d) and d[m + 1] < d[m]:
        m += 1
    return rate / (rate // 300 + m)


def backwards(frame, order):
    """Right, in another style: a lattice of errors, forwards and backwards (Schur)."""
    gamma = np.correlate(frame, frame, "full")[len(frame) - 1 :][: order + 1]
    if not gamma[0]:
        return [0.0] * order, 0
    up, down, k = gamma.copy(), gamma.copy(), []
    for m in range(order):
        k.append(up[m + 1] / down[m])
        new, old = up[m + 1 :] - k[-1] * down[m:-1], down[m:-1] - k[-1] * up[m + 1 :]
        up[m + 1 :], down[m + 1 :] = new, old
    return k, np.sqrt(down[order] / len(frame))


def test_other_ways_of_analysis_are_right():
    checks.analysis(backwards, difference)


@pytest.mark.parametrize("seed", [1, 2])
def test_other_noise_is_right(seed):
    checks.resynthesis(*voice("default_rng(0)", f"default_rng({seed})"))


def test_held_out_words_are_not_given():
    given, out = checks.clips()
    said = lambda clips: {(clip.text, clip.speaker) for clip in clips}
    assert not said(given) & said(out) and len(out) == 18 and len(given) == 72


def test_a_predictor_of_reflection_coefficients_is_chapter_fives():
    x = np.random.default_rng(0).normal(size=300).cumsum()
    k, gain = checks._reflection(x, 6)
    gamma = np.array([x[m:] @ x[: len(x) - m] for m in range(7)])
    a, variances, _ = ts.levinson_durbin(gamma)
    assert np.allclose(checks._predictor(k), np.append(1, -a))
    assert np.isclose(gain, np.sqrt(variances[-1] / len(x)))


def test_recordings_repeat_and_noise_does_not():
    clip = checks.clips()[1][0]
    noise = np.random.default_rng(0).normal(size=len(clip.audio))
    assert checks.repeats(clip.audio.astype(float), clip)[0] > 0.8
    assert checks.repeats(noise, clip)[0] < 0.3
    found = checks.scores([(clip.audio, clip)])
    assert found["log_mel"] < 1e-6 and found["mcd"] < 1e-6 and found["std_ratio"] == 1
