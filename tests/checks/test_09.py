"""The checks of chapter 9: solutions pass, blanks fail, typical mistakes are named."""

import numpy as np
from exercise_checks import ExerciseChecks, changed

from minigen.checks import conditioning as checks
from minigen.checks.exercises import reference


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def speaker_bias(V, b, table, shares):
    return b + shares @ table @ V.T


def gated(swap=False, gate=sigmoid, to_filter=1, to_gate=1, bias=1, join=np.multiply):
    def answer(u, c, V, b):
        f, g = np.split(u + bias * b[..., None], 2, axis=1)
        to_f, to_g = np.split(V @ c, 2, axis=1)
        f, g = f + to_filter * to_f, g + to_gate * to_g
        f, g = (g, f) if swap else (f, g)
        return join(np.tanh(f), gate(g))

    return answer


def speaker(bias=speaker_bias, layer=None):
    return bias, layer or gated()


def half(V, b, table, shares):
    out = speaker_bias(V, b, table, shares)
    out[:, len(b) // 2 :] = b[len(b) // 2 :]
    return out


def loudest(V, b, table, shares):
    return b + table[shares.argmax(1)] @ V.T


def frames(shift=0.5, step=None, first=0, last=True, place=None):
    def answer(ends, n, hop, rate):
        time = (np.arange(n) + shift) * (step or hop / rate)
        which = np.searchsorted(ends, time, side="right")
        inside = np.minimum(which, len(ends) - 1)
        start, end = np.r_[0.0, ends[:-1]][inside], ends[inside]
        places = (place or usual)((np.arange(n) + 0.5) * hop / rate, start, end)
        return first + (inside if last else which), places

    return answer


def usual(time, start, end):
    return np.minimum((time - start) / (end - start), 1)


def nearest(ends, n, hop, rate):
    near = np.abs((np.arange(n)[:, None] + 0.5) * hop / rate - ends).argmin(1)
    return near, frames()(ends, n, hop, rate)[1]


def lines(at=0.5, centre=0.5, stretch=False):
    def answer(values, hop):
        n = values.shape[1]
        places = np.linspace(0, n * hop - 1, n) if stretch else (np.arange(n) + centre) * hop
        return np.stack([np.interp(np.arange(n * hop) + at, places, row) for row in values])

    return answer


def phase(f0, rate):
    return 2 * np.pi * np.cumsum(f0) / rate


def duration(log=np.log, std=lambda v: v.std(), order=1, enough=lambda n, least: n >= least):
    def answer(seen, keys, least):
        key = next(k for k in keys[::order] if k in seen and enough(len(seen[k]), least))
        values = log(np.array(seen[key]))
        return values.mean(), std(values)

    return answer


def mean_first(seen, keys, least):
    key = next(k for k in keys if len(seen.get(k, [])) >= least)
    return np.log(np.mean(seen[key])), np.log(seen[key]).std()


def pooled(seen, keys, least):
    values = np.log(np.concatenate([seen[k] for k in keys if k in seen]))
    return values.mean(), values.std()


def contour(out=lambda m, r: np.exp(m + r), order=1, scale=lambda s: s, past=1):
    def answer(mean, phi, sigma, z):
        r, phi = np.zeros(len(mean)), phi[::order]
        for n in range(len(mean)):
            before = r[max(0, n - len(phi)) : n][::-1]
            r[n] = past * phi[: len(before)] @ before + scale(sigma) * z[n]
        return out(mean, r)

    return answer


def in_log_f0(mean, phi, sigma, z):
    y = np.zeros(len(mean))
    for n in range(len(mean)):
        before = y[max(0, n - len(phi)) : n][::-1]
        y[n] = mean[n] + phi[: len(before)] @ before + sigma * z[n]
    return np.exp(y)


def foresees(periods=150, end=300, drift=0.5 / 1.2):
    return lambda: {"periods": periods, "end": end, "drift": drift}


def ramp(up, F, N, hop):
    """Asks for straight lines, which not every right one draws."""
    out = up(np.tile(np.arange(N) * 1.0, (F, 1)), hop)
    return np.allclose(np.diff(out[:, hop:-hop], n=2), 0)


SOLUTIONS = {
    "speakers_are_a_bias": speaker(),
    "frames_of_phones": frames(),
    "linear_upsampling": lines(),
    "phase_from_f0": phase,
    "duration": duration(),
    "contour": contour(),
    "glide": foresees(),
    "upsampling_test": reference("9.8")[0],
}


LEAK, FLAT = (
    " or np.delete(bump, f, 0).any()",
    "np.allclose(flat, np.repeat(level, N * hop, axis=1))",
)
MISTAKES = [
    ("speakers_are_a_bias", speaker(lambda V, b, s, w: b + w @ s), "through V"),
    ("speakers_are_a_bias", speaker(lambda V, b, s, w: w @ s @ V.T), "bias b of the layer"),
    ("speakers_are_a_bias", speaker(lambda V, b, s, w: b + w @ s @ V), "transposed"),
    ("speakers_are_a_bias", speaker(half), "all 2R rows"),
    ("speakers_are_a_bias", speaker(lambda V, b, s, w: b + np.zeros((len(w), 1))), "not used"),
    ("speakers_are_a_bias", speaker(loudest), "the largest share"),
    (
        "speakers_are_a_bias",
        speaker(lambda V, b, s, w: speaker_bias(V, b, s, 0 * w + 1 / len(s))),
        "shares are not",
    ),
    ("speakers_are_a_bias", speaker(layer=gated(swap=True)), "first R rows"),
    ("speakers_are_a_bias", speaker(layer=gated(gate=np.tanh)), "a sigmoid"),
    ("speakers_are_a_bias", speaker(layer=gated(to_filter=0, to_gate=0)), "c is not used"),
    ("speakers_are_a_bias", speaker(layer=gated(to_gate=0)), "reach the gate"),
    ("speakers_are_a_bias", speaker(layer=gated(to_filter=0)), "reach the filter"),
    ("speakers_are_a_bias", speaker(layer=gated(bias=0)), "bias is not used"),
    ("speakers_are_a_bias", speaker(layer=gated(join=np.add)), "multiplied, not added"),
    ("frames_of_phones", frames(shift=0), "start of the frame"),
    ("frames_of_phones", frames(shift=1), "end of the frame"),
    ("frames_of_phones", frames(shift=-0.5), "one frame late"),
    ("frames_of_phones", frames(shift=1.5), "one frame early"),
    ("frames_of_phones", frames(step=0.01), "not always 10 ms"),
    ("frames_of_phones", frames(first=1), "counted from 0"),
    ("frames_of_phones", frames(last=False), "its number is P - 1"),
    ("frames_of_phones", nearest, "first that ends later"),
    ("frames_of_phones", frames(place=lambda t, s, e: (t - s) / (e - s)), "the place stays 1"),
    ("frames_of_phones", frames(place=lambda t, s, e: 1 - usual(t, s, e)), "1 at its end"),
    ("frames_of_phones", frames(place=lambda t, s, e: np.minimum(t / e, 1)), "not of the clip"),
    ("frames_of_phones", frames(place=lambda t, s, e: t - s), "these are seconds"),
    ("frames_of_phones", lambda *a: frames()(*a)[::-1], "the numbers first"),
    ("frames_of_phones", lambda *a: frames()(*a)[0], "return two things"),
    ("linear_upsampling", lambda v, hop: np.repeat(v, hop, axis=1), "steps"),
    ("linear_upsampling", lambda v, hop: np.tile(v, hop), "whole row"),
    ("linear_upsampling", lines(at=0, centre=0), "half a frame early"),
    ("linear_upsampling", lines(at=0), "half a sample late"),
    ("linear_upsampling", lines(at=0, stretch=True), "stretched"),
    ("linear_upsampling", lines(centre=1), "half a frame late"),
    ("phase_from_f0", lambda f, r: phase(f, r) / (2 * np.pi), "these are periods"),
    ("phase_from_f0", lambda f, r: np.degrees(phase(f, r)), "these are degrees"),
    ("phase_from_f0", lambda f, r: phase(f, 1), "for a second"),
    ("phase_from_f0", lambda f, r: phase(f, r / 80), "not by frames a second"),
    ("phase_from_f0", lambda f, r: phase(f, r) - phase(f, r)[0], "starts with the first"),
    ("phase_from_f0", lambda f, r: np.r_[0, phase(f, r)[:-1]], "this sample included"),
    ("phase_from_f0", lambda f, r: 2 * np.pi * f * np.arange(len(f)) / r, "constant"),
    ("phase_from_f0", lambda f, r: 2 * np.pi * f * np.arange(1, len(f) + 1) / r, "constant"),
    ("phase_from_f0", lambda f, r: 2 * np.pi * f / r, "step of each sample"),
    ("phase_from_f0", lambda f, r: np.mod(phase(f, r), 2 * np.pi), "whole turns"),
    ("duration", duration(log=np.asarray), "logarithm of the seconds first"),
    ("duration", mean_first, "not the reverse"),
    ("duration", duration(std=lambda v: v.var()), "square root"),
    ("duration", duration(std=lambda v: v.std(ddof=1)), "divides by n, not"),
    ("duration", duration(enough=lambda n, least: True), "fewer than 5 times"),
    ("duration", duration(order=-1), "exact descriptions come first"),
    ("duration", duration(enough=lambda n, least: n > least), "at least, not more"),
    ("duration", pooled, "not pooled"),
    ("duration", lambda *a: duration()(*a)[0], "return two things"),
    ("contour", contour(out=lambda m, r: m + r), "exponential is missing"),
    ("contour", in_log_f0, "in r, what is left"),
    ("contour", contour(out=lambda m, r: np.exp(m) + r), "before the exponential"),
    ("contour", contour(out=lambda m, r: np.exp(r)), "mean is missing"),
    ("contour", contour(past=0), "past is not used"),
    ("contour", contour(scale=lambda s: 1), "multiplied by sigma"),
    ("contour", contour(scale=lambda s: s**2), "not a variance"),
    ("contour", contour(order=-1), "turned round"),
    ("contour", lambda m, p, s, z: np.exp(m + np.cumsum(s * z)), "random walk"),
    ("glide", foresees(periods=200), "under a straight line"),
    ("glide", foresees(periods=100), "under a straight line"),
    ("glide", foresees(end=200), "not the only factor"),
    ("glide", foresees(end=400), "not the only factor"),
    ("glide", foresees(drift=0.5), "lose in a second"),
    ("glide", foresees(drift=1 / 1.2), "half of one"),
    ("glide", foresees(end="300"), "expected a number"),
    ("upsampling_test", lambda *a: True, "one frame late"),
    ("upsampling_test", lambda *a: False, "refuses straight lines"),
    ("upsampling_test", changed("9.8", (LEAK, ""), ("if not even", "if False")), "one frame late"),
    (
        "upsampling_test",
        changed("9.8", (LEAK, ""), ("3.0 * np.arange(F)[:, None] - 2", "np.ones((F, 1))")),
        "passes one with a bug",
    ),
    (
        "upsampling_test",
        changed(
            "9.8", (FLAT, "np.allclose(flat[:, hop:-hop], np.repeat(level, (N - 2) * hop, axis=1))")
        ),
        "it is zero",
    ),
    (
        "upsampling_test",
        changed("9.8", ("np.ndindex(F, N)", "[(f, (N - 1) // 2) for f in range(F)]")),
        "at the very ends",
    ),
    (
        "upsampling_test",
        changed("9.8", ("np.ndindex(F, N)", "[(f, 1) for f in range(F)]")),
        "takes a tenth|moves the last",
    ),
    ("upsampling_test", changed("9.8", (" - 2  #", " + 1  #")), "below zero"),
    ("upsampling_test", ramp, "refuses repeated frames"),
]


class TestChapter9(ExerciseChecks):
    chapter = 9
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
