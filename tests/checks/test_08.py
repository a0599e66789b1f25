"""The checks of chapter 8: solutions pass, blanks fail, typical mistakes are named."""

import numpy as np
from exercise_checks import ExerciseChecks

from minigen.checks import fast_generation as checks


def count(last=True, double=True, taps=None, rest=True, newest=1, times=1):
    """The right count, or with something changed a wrong one."""

    def answer(layers, kernel, residual, skip, params, field):
        wide = (2 if double else 1) * residual * (taps or kernel) * residual
        step = layers * (wide + residual**2 + skip * residual) - (residual**2 if last else 0)
        step += (residual + skip**2 + params * skip) if rest else 0
        return (newest + field) * step * times, step * times

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


def step(order=1, swap=False, gate=lambda g: 1 / (1 + np.exp(-g)), root=0.5**0.5, add=1, keep=1):
    def answer(now, past, w):
        first, second = (now, past) if order > 0 else (past, now)
        f, g = np.split(w["past"] @ second + w["now"] @ first + w["bias"], 2)
        f, g = (g, f) if swap else (f, g)
        a = np.tanh(f) * gate(g)
        return (keep * now + w["mix"] @ a + add * w["add"]) * root, a

    return answer


def draw(mean, log_scale, noise, temperature, floor):
    return mean + temperature * np.exp(np.maximum(log_scale, floor)) * noise


SOLUTIONS = {
    "cost_of_a_sample": count(),
    "ring_memory": Ring,
    "stream": convolve(),
    "layer_step": step(),
    "same_noise": draw,
}


MISTAKES = [
    ("cost_of_a_sample", count(last=False), "last layer has no residual"),
    ("cost_of_a_sample", count(double=False), "2R outputs"),
    ("cost_of_a_sample", count(taps=1), "every tap"),
    ("cost_of_a_sample", count(rest=False), "before and after the layers"),
    ("cost_of_a_sample", count(newest=0), "1 \\+ r of them"),
    ("cost_of_a_sample", count(times=2), "additions are not counted"),
    ("cost_of_a_sample", lambda *a: count()(*a)[1], "return two things"),
    ("cost_of_a_sample", lambda *a: count()(*a)[::-1], "naive cost"),
    ("ring_memory", lambda size: Hoard(size, shift=1), "one too old"),
    ("ring_memory", lambda size: Hoard(size, silent=False), "zeros, not the first value"),
    ("ring_memory", Backwards, "counted from the oldest"),
    ("ring_memory", Hoard, "overwrites the oldest"),
    ("stream", convolve(reverse=True), "turned round"),
    ("stream", convolve(dilated=False), "dilation is missing"),
    ("stream", convolve(shift=1), "one sample late"),
    ("stream", convolve(warm=True), "first outputs are zero"),
    ("layer_step", step(order=-1), "exchanged"),
    ("layer_step", step(swap=True), "first R rows"),
    ("layer_step", step(gate=np.tanh), "a sigmoid"),
    ("layer_step", step(root=1), "1/√2"),
    ("layer_step", step(add=0), "bias `add`"),
    ("layer_step", step(keep=0), "residual is missing"),
    ("layer_step", lambda *a: step()(*a)[0], "return two things"),
    ("same_noise", lambda m, s, e, t, f: m + t * np.exp(s) * e, "floor is missing"),
    ("same_noise", lambda m, s, e, t, f: t * draw(m, s, e, 1, f), "not the mean"),
    ("same_noise", lambda m, s, e, t, f: m + t * np.maximum(s, f) * e, "exp\\(log_scale\\)"),
    ("same_noise", lambda m, s, e, t, f: draw(m, s, e, 1, f), "temperature is not used"),
    ("same_noise", lambda m, s, e, t, f: draw(m, 2 * s, e, t, 2 * f), "not a variance"),
    ("same_noise", lambda m, s, e, t, f: m + t * np.exp(np.minimum(s, f)) * e, "smallest value"),
]


class TestChapter8(ExerciseChecks):
    chapter = 8
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
