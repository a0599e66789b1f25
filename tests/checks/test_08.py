"""The checks of chapter 8: solutions pass, blanks fail, typical mistakes are named."""

import numpy as np
from exercise_checks import ExerciseChecks

from minigen.checks import fast_generation as checks


def count(last=True, double=True, places=None, rest=True, delay=1, times=1, held=1, wide=1, deep=1,
          order=(0, 1, 2)):  # fmt: skip
    """The right count, or with something changed a wrong one."""

    def answer(layers, cycles, kernel, residual, skip):
        n = layers * (cycles if deep else 1)
        conv = (2 if double else 1) * residual * (places or kernel) * residual
        step = n * (conv + residual**2 + skip * residual) - (residual**2 if last else 0)
        step += (residual + skip**2 + 2 * skip) if rest else 0
        past = cycles * (kernel - 1) * (2**layers - 1)
        rings = (past + held * layers * cycles) * (residual * wide if wide else 1)
        found = (1 + delay + past) * step * times, step * times, rings
        return tuple(found[k] for k in order)

    return answer


class Ring:
    def __init__(self, size, late=0, fill=0.0):
        self.values, self.n, self.late = [fill] * size, -1, late

    def push(self, value):
        self.n += 1
        self.values[self.n % len(self.values)] = value

    def read(self, delay):
        return self.values[(self.n - delay - self.late) % len(self.values)]


class Hoard:
    """Keeps everything, and reads with a shift."""

    def __init__(self, size, shift=0, silent=True):
        self.values, self.size, self.shift, self.silent = [], size, shift, silent

    def push(self, value):
        self.values.append(value)

    def read(self, delay):
        place = len(self.values) - 1 - delay - self.shift
        if place < 0:
            return 0.0 if self.silent else self.values[0]
        return self.values[place]


class Backwards(Hoard):
    def read(self, delay):
        return super().read(self.size - 1 - delay)


def convolve(reverse=False, dilated=True, shift=0, warm=False):
    def answer(x, w, d):
        w, d = (w[::-1] if reverse else w), (d if dilated else 1)
        past = (len(w) - 1) * d
        padded = np.concatenate([np.zeros(past + shift), x])
        y = sum(w[k] * padded[k * d : k * d + len(x)] for k in range(len(w)))
        if warm:
            y[:past] = 0
        return y

    return answer


def step(order=1, swap=False, gate=lambda g: 1 / (1 + np.exp(-g)), root=0.5**0.5, add=1, keep=1,
         out=lambda w, a, h: w["skip"] @ a, newest=False):  # fmt: skip
    def answer(history, w):
        rows = history[::order] * (np.arange(len(history)) == len(history) - 1)[:, None] ** newest
        f, g = np.split(np.einsum("koi,ki->o", w["kernel"], rows) + w["bias"], 2)
        f, g = (g, f) if swap else (f, g)
        a = np.tanh(f) * gate(g)
        h = (keep * history[-1] + w["mix"] @ a + add * w["add"]) * root
        return h, out(w, a, h)

    return answer


def draw(mean, log_scale, noise, temperature, floor):
    return mean + temperature * np.exp(np.maximum(log_scale, floor)) * noise


def foresees(last=15, late=9, numbers=80):
    return lambda: {"last": last, "late": late, "numbers": numbers}


def compares(
    streams=2, wave=lambda rng, n: rng.normal(size=n), steps=None, near=1e-9, first=slice(None)
):
    """The right test, or one that looks at less."""

    def is_right(start, all_at_once, length):
        rng = np.random.default_rng(0)
        for _ in range(streams):
            x = wave(rng, length)
            want, stream = all_at_once(x)[:, :steps], start()
            past = np.concatenate([[0.0], x[:-1]])[:steps]
            got = np.stack([stream(newest) for newest in past], axis=1)
            if np.abs(got - want)[:, first].max() > near:
                return False
        return True

    return is_right


def undelayed(start, all_at_once, length):
    x = np.random.default_rng(0).normal(size=length)
    step = start()
    return np.allclose(np.stack([step(now) for now in x], axis=1), all_at_once(x))


SOLUTIONS = {
    "cost_of_a_sample": count(),
    "ring_memory": Ring,
    "stream": convolve(),
    "layer_step": step(),
    "same_noise": draw,
    "impulse": foresees(),
    "same_as_the_pass": compares(),
}


MISTAKES = [
    ("cost_of_a_sample", count(last=False), "last layer has no residual"),
    ("cost_of_a_sample", count(double=False), "2R outputs"),
    ("cost_of_a_sample", count(places=1), "every place of the kernel"),
    ("cost_of_a_sample", count(rest=False), "before and after the layers"),
    ("cost_of_a_sample", count(delay=0), "1 \\+ r of them"),
    ("cost_of_a_sample", count(times=2), "additions are not counted"),
    ("cost_of_a_sample", lambda *a: count()(*a)[:2], "return three things"),
    ("cost_of_a_sample", count(order=(1, 0, 2)), "naive cost"),
    ("cost_of_a_sample", count(deep=0), "in each of the cycles"),
    ("cost_of_a_sample", count(held=0), "the newest value, too"),
    ("cost_of_a_sample", count(wide=0), "a vector of R numbers"),
    ("cost_of_a_sample", count(wide=2), "what goes into a layer"),
    ("ring_memory", lambda size: Hoard(size, shift=1), "one too old"),
    ("ring_memory", lambda size: Hoard(size, silent=False), "zeros, not the first value"),
    ("ring_memory", Backwards, "counted from the oldest"),
    ("ring_memory", Hoard, "overwrites the oldest"),
    ("stream", convolve(reverse=True), "turned round"),
    ("stream", convolve(dilated=False), "dilation is missing"),
    ("stream", convolve(shift=1), "one sample late"),
    ("stream", convolve(warm=True), "first outputs are zero"),
    ("layer_step", step(order=-1), "turned round"),
    ("layer_step", step(swap=True), "first R rows"),
    ("layer_step", step(gate=np.tanh), "a sigmoid"),
    ("layer_step", step(root=1), "1/√2"),
    ("layer_step", step(add=0), "bias `add`"),
    ("layer_step", step(keep=0), "residual is missing"),
    ("layer_step", step(newest=True), "only h_now is used"),
    ("layer_step", step(out=lambda w, a, h: a), "this is a"),
    ("layer_step", step(out=lambda w, a, h: w["skip"] @ h), "starts at a"),
    ("layer_step", step(root=0.5), "divide by its root"),
    ("layer_step", lambda *a: step()(*a)[0], "return two things"),
    ("same_noise", lambda m, s, e, t, f: m + t * np.exp(s) * e, "floor is missing"),
    ("same_noise", lambda m, s, e, t, f: t * draw(m, s, e, 1, f), "not the mean"),
    ("same_noise", lambda m, s, e, t, f: m + t * np.maximum(s, f) * e, "exp\\(log_scale\\)"),
    ("same_noise", lambda m, s, e, t, f: draw(m, s, e, 1, f), "temperature is not used"),
    ("same_noise", lambda m, s, e, t, f: draw(m, 2 * s, e, t, 2 * f), "not a variance"),
    ("same_noise", lambda m, s, e, t, f: m + t * np.exp(np.minimum(s, f)) * e, "smallest value"),
    ("impulse", foresees(last=14), "the delay of the waveform"),
    ("impulse", foresees(last=16), "sees is x.t - r."),
    ("impulse", foresees(late=14), "one step less"),
    ("impulse", foresees(late=8), "a dilation of 1"),
    ("impulse", foresees(numbers=56), "its newest value"),
    ("impulse", foresees(numbers=20), "is a vector"),
    ("impulse", lambda: [15, 9, 80], "one answer for each"),
    ("same_as_the_pass", lambda *a: True, "one step too late"),
    ("same_as_the_pass", lambda *a: False, "refuses a stream that sees 15"),
    ("same_as_the_pass", compares(streams=1), "a second stream"),
    ("same_as_the_pass", compares(steps=50), "one byte"),
    ("same_as_the_pass", compares(near=0.01), "half precision"),
    ("same_as_the_pass", compares(first=slice(0, 1)), "passes one with a bug"),
    ("same_as_the_pass", compares(wave=lambda rng, n: np.zeros(n)), "passes one with a bug"),
    ("same_as_the_pass", undelayed, "refuses a stream"),
]


class TestChapter8(ExerciseChecks):
    chapter = 8
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
