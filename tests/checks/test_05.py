"""The checks of chapter 5: solutions pass, blanks fail, typical mistakes are named."""

import math

import numpy as np
from exercise_checks import ExerciseChecks
from scipy.signal import lfilter

from minigen import timeseries as ts
from minigen.checks import autoregression as checks

LOG_2PI = math.log(2 * math.pi)


def residuals(x, phi):
    p = len(phi)
    return x[p:] - sum(phi[k] * x[p - 1 - k : len(x) - 1 - k] for k in range(p))


def log_likelihood(x, phi, sigma):
    e = residuals(x, phi)
    return -0.5 * np.sum(LOG_2PI + 2 * math.log(sigma) + (e / sigma) ** 2)


def stable(phi):
    return np.abs(np.roots(np.append(1.0, -phi))).max() < 1


def step_down(phi, sigma, sign=1.0, reverse=True, divide=True, variance=None):
    found = []
    while len(phi):
        r, phi = phi[-1], phi[:-1]
        found.append(r)
        phi = (phi + sign * r * (phi[::-1] if reverse else phi)) / (1 - r**2 if divide else 1.0)
    partial = np.array(found[::-1])
    if variance:
        return partial, variance(partial, sigma)
    return partial, sigma**2 / np.prod(1 - partial**2)


def synthesis(
    coefficients, excitation, hop, keep=True, feed="output", sign=1.0, order=1, whole=False
):
    p = coefficients.shape[1]
    memory, out = np.zeros(p), []
    for i, e in enumerate(excitation):
        a = coefficients[i // hop]
        if i % hop == 0 and not keep:
            memory = np.zeros(p)
        out.append(e + sign * (a @ memory[::order]))
        memory = np.append(out[-1] if feed == "output" else e, memory)[:p]
    n = len(coefficients) * hop
    return np.append(out, np.zeros(n - len(out))) if whole else np.array(out)


def noisy_ar(x, phi, H, Q, wrong="", constant=1.0, first=True):
    a, P, total = 0.0, Q / (1 - phi**2), 0.0
    P = {"start": Q, "certain": 0.0, "H": P + H}.get(wrong, P)
    for t, value in enumerate(x):
        if not np.isnan(value) or wrong == "nan":
            v, F = value - a, P + (0 if wrong == "no noise" else H)
            if t or first:
                total += -0.5 * (constant * LOG_2PI + math.log(F) + v**2 / F)
            a, P = a + P / F * v, P - (0 if wrong == "no update" else P * P / F)
        a = a if wrong in ("mean", "walk") else phi * a
        factor = {"walk": 1, "variance": phi, "no factor": 1}.get(wrong, phi**2)
        P = factor * P + (0 if wrong == "no step" else Q)
    return total


def forecast_spread(phi, sigma, h):
    return sigma * np.sqrt(np.cumsum(psi(phi, h) ** 2))


def psi(phi, h):
    return lfilter([1.0], np.append(1.0, -phi), np.append(1.0, np.zeros(h - 1)))


def fractional(d, n):
    k = np.arange(1, n)
    return np.cumprod(np.append(1.0, (k - 1 - d) / k))


def predicted(**change):
    """The right prediction with some answers replaced."""
    return lambda: {"ring": 229, "spread": 2.294, "backwards": "same"} | change


def simulator_trial(*parts, n=20_000, gap=0.15, mean=lambda phi, c: c / (1 - phi.sum())):
    """The right test, or one that looks at some of its parts only."""

    def is_right(simulate, phi, c, sigma):
        x, centre = simulate(n, 0), mean(phi, c)
        lags = [x[len(phi) - 1 - k : n - 1 - k] for k in range(len(phi))]
        past = np.stack([*lags, np.ones(n - len(phi))], axis=1)
        found = np.linalg.lstsq(past, x[len(phi) :], rcond=None)[0]
        first = np.array([simulate(1, seed)[0] for seed in range(1000)])
        wrong = {
            "phi": found[:-1] - phi,
            "sigma": np.std(x[len(phi) :] - past @ found) / sigma - 1,
            "mean": (x.mean() - centre) / x.std(),
            "start": [(first.mean() - x.mean()) / x.std(), first.std() / x.std() - 1],
        }
        return all(np.abs(wrong[part]).max() < gap for part in parts or wrong)

    return is_right


SOLUTIONS = {
    "log_likelihood": log_likelihood,
    "stable": stable,
    "levinson": step_down,
    "synthesis": synthesis,
    "noisy_ar": noisy_ar,
    "forecast_spread": forecast_spread,
    "fractional": fractional,
    "filtered_noise": predicted(),
    "simulator_test": simulator_trial(),
}


def counting_the_start(x, phi, sigma):
    return log_likelihood(np.append(np.zeros(len(phi)), x), phi, sigma)


def normal(e, sigma):
    return -0.5 * np.sum(LOG_2PI + 2 * math.log(sigma) + (e / sigma) ** 2)


MISTAKES = [
    ("log_likelihood", lambda x, f, s: log_likelihood(x, f, s) + 57 * LOG_2PI / 2, "½ log 2π"),
    ("log_likelihood", counting_the_start, "first 3 values are counted"),
    ("log_likelihood", lambda x, f, s: log_likelihood(x, f[::-1], s), "reversed"),
    ("log_likelihood", lambda x, f, s: log_likelihood(x, -f, s), "minus its prediction"),
    ("log_likelihood", lambda x, f, s: normal(x[3:], s), "around zero"),
    ("log_likelihood", lambda x, f, s: log_likelihood(x, f, math.sqrt(s)), "standard deviation"),
    ("log_likelihood", lambda x, f, s: log_likelihood(x, f, s) / 57, "sum it"),
    ("log_likelihood", lambda x, f, s: -log_likelihood(x, f, s), "the sign"),
    ("log_likelihood", lambda x, f, s: log_likelihood(x, f, s) + 57 * math.log(s), "log σ is"),
    ("log_likelihood", lambda x, f, s: residuals(x, f), "sum over time"),
    ("log_likelihood", lambda x, f, s: log_likelihood(x, f, 0.4), "right for the inputs before"),
    ("stable", lambda f: not stable(f), "turned round"),
    (
        "stable",
        lambda f: np.abs(np.roots(np.append(-f[::-1], 1))).max() < 1,
        "must lie outside",
    ),
    ("stable", lambda f: np.all(np.abs(f) < 1), "neither needed nor"),
    ("stable", lambda f: np.sum(f) < 1, "a tone can explode"),
    ("stable", lambda f: np.sum(np.abs(f)) < 1, "too strict"),
    ("stable", lambda f: np.abs(np.roots(np.append(1.0, f))).max() < 1, "minus signs"),
    ("stable", lambda f: np.abs(np.roots(np.append(1.0, -f)).real).max() < 1, "real part"),
    ("stable", lambda f: np.abs(np.roots(np.append(1.0, -f))) < 1, "np.all"),
    ("stable", lambda f: True, "wrong for AR.1. with -1.2"),
    ("levinson", lambda f, s: step_down(f, s, sign=-1.0), "to undo it, add it"),
    ("levinson", lambda f, s: step_down(f, s, reverse=False), "must be reversed"),
    ("levinson", lambda f, s: step_down(f, s, divide=False), "divide by 1 - r²"),
    ("levinson", lambda f, s: (f, 1.0), "of the longest: the shorter"),
    ("levinson", lambda f, s: (f[::-1], 1.0), "must be shortened first"),
    ("levinson", lambda f, s: (step_down(f, s)[0][::-1], 1.0), "lag 1 first"),
    ("levinson", lambda f, s: step_down(f, s, variance=lambda r, s: s**2), "variance of the error"),
    (
        "levinson",
        lambda f, s: step_down(f, s, variance=lambda r, s: s**2 * np.prod(1 - r**2)),
        "divide to come down",
    ),
    (
        "levinson",
        lambda f, s: step_down(f, s, variance=lambda r, s: s / np.prod(1 - r**2)),
        "square it",
    ),
    (
        "levinson",
        lambda f, s: step_down(f, s, variance=lambda r, s: 1 / np.prod(1 - r**2)),
        "σ is missing",
    ),
    (
        "levinson",
        lambda f, s: step_down(f, s, variance=lambda r, s: s**2 / np.prod(1 - r)),
        "not 1 - r",
    ),
    (
        "levinson",
        lambda f, s: (step_down(f, s)[0], math.sqrt(step_down(f, s)[1])),
        "standard deviation",
    ),
    ("levinson", lambda f, s: step_down(f, s)[0], "two things"),
    ("levinson", lambda f, s: (ts.step_down(f)[1], 1.0), "asks you to do without"),
    ("synthesis", lambda a, e, hop: synthesis(a, e, hop, keep=False), "empty memory"),
    ("synthesis", lambda a, e, hop: synthesis(a, e, hop, order=-1), "wrong order"),
    ("synthesis", lambda a, e, hop: synthesis(a, e, hop, sign=-1.0), "synthesis adds"),
    ("synthesis", lambda a, e, hop: synthesis(a, e, hop, feed="input"), "feed the output back"),
    ("synthesis", lambda a, e, hop: synthesis(a[[0] * len(a)], e, hop), "first frame's"),
    ("synthesis", lambda a, e, hop: e, "this is the excitation"),
    ("synthesis", lambda a, e, hop: synthesis(a, e, hop, whole=True), "1530 samples in"),
    ("noisy_ar", lambda *a: noisy_ar(*a, constant=0.0), "½ log 2π"),
    ("noisy_ar", lambda *a: noisy_ar(*a, "no noise"), r"P \+ H"),
    ("noisy_ar", lambda *a: noisy_ar(*a, "no step"), "is driven"),
    ("noisy_ar", lambda *a: noisy_ar(*a, "no update"), "known better"),
    ("noisy_ar", lambda *a: noisy_ar(*a, "mean"), "a becomes φ a"),
    ("noisy_ar", lambda *a: noisy_ar(*a, "variance"), "so φ² its variance"),
    ("noisy_ar", lambda *a: noisy_ar(*a, "no factor"), "shrinks, too: φ² P"),
    ("noisy_ar", lambda *a: noisy_ar(*a, "walk"), "random walk"),
    ("noisy_ar", lambda *a: noisy_ar(*a, "start"), "has variance Q"),
    ("noisy_ar", lambda *a: noisy_ar(*a, "certain"), "is certain"),
    ("noisy_ar", lambda *a: noisy_ar(*a, "H"), "H belongs to x"),
    ("noisy_ar", lambda *a: noisy_ar(*a, first=False), "is not scored"),
    ("noisy_ar", lambda *a: -noisy_ar(*a), "the sign"),
    ("noisy_ar", lambda *a: noisy_ar(*a, "nan"), "Skip the update"),
    ("noisy_ar", lambda x, *a: noisy_ar(x[~np.isnan(x)], *a), "closed up"),
    ("forecast_spread", lambda f, s, h: forecast_spread(f, s, h) ** 2, "square root"),
    ("forecast_spread", lambda f, s, h: np.full(h, s), "passed on"),
    ("forecast_spread", lambda f, s, h: s * np.sqrt(np.arange(1, h + 1)), "random walk"),
    (
        "forecast_spread",
        lambda f, s, h: s * np.sqrt(np.cumsum(psi(f, h + 1)[1:] ** 2)),
        "ψ_0 = 1 is missing",
    ),
    ("forecast_spread", lambda f, s, h: s * np.abs(np.cumsum(psi(f, h))), "square ψ"),
    ("forecast_spread", lambda f, s, h: forecast_spread(f, 1.0, h), "σ is missing"),
    ("forecast_spread", lambda f, s, h: s * forecast_spread(f, s, h), "σ² stands outside"),
    ("fractional", lambda d, n: fractional(-d, n), "undoes it"),
    ("fractional", lambda d, n: np.abs(fractional(d, n)), "the signs"),
    (
        "fractional",
        lambda d, n: np.cumprod(np.append(1.0, 1 - d / np.arange(1, n))),
        "one step off",
    ),
    (
        "fractional",
        lambda d, n: np.append(1.0, (np.arange(1, n) - 1 - d) / np.arange(1, n)),
        "multiply them up",
    ),
    (
        "fractional",
        lambda d, n: fractional(d, n) * (-1.0) ** np.arange(n),
        "binomial coefficients",
    ),
    ("fractional", lambda d, n: np.append(0.0, fractional(d, n)[1:]), "π_0 is 1"),
    ("filtered_noise", predicted(ring=10), "For which n is a tenth left"),
    ("filtered_noise", predicted(ring=458), "For which n"),
    ("filtered_noise", predicted(spread=1 / (1 - 0.81)), "a variance and what its root"),
    ("filtered_noise", predicted(spread=10), "what must the two be"),
    ("filtered_noise", predicted(backwards="larger"), "when time is turned round"),
    ("filtered_noise", predicted(backwards=1), "expected a word"),
    ("simulator_test", lambda *a: True, "begins with zeros"),
    ("simulator_test", lambda *a: False, r"refuses an AR\(2\)"),
    ("simulator_test", simulator_trial("phi", "sigma", "mean"), "begins with zeros"),
    ("simulator_test", simulator_trial("phi", "sigma", "start"), "constant c for the mean"),
    ("simulator_test", simulator_trial("sigma", "mean", "start"), "in reverse order"),
    ("simulator_test", simulator_trial("phi", "mean", "start"), "by σ², not by σ"),
    ("simulator_test", simulator_trial(mean=lambda phi, c: c), "refuses an AR"),
    ("simulator_test", simulator_trial(n=60), "refuses an AR"),
]


class TestChapter5(ExerciseChecks):
    chapter = 5
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
