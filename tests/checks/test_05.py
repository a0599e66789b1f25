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


def levinson(gamma, reverse=True, shrink=True, sign=-1.0, flip=True, last=True):
    phi, v = np.zeros(0), gamma[0]
    for m in range(len(gamma) - 1):
        before = v
        r = (gamma[m + 1] - phi @ (gamma[m:0:-1] if flip else gamma[1 : m + 1])) / v
        phi = np.append(phi + sign * r * (phi[::-1] if reverse else phi), r)
        v = v * (1 - r**2) if shrink else v
    return phi, (v if last else before)


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


def local_level(x, H, Q, noise=True, step=True, update=True, constant=1.0, first=False, gap=True):
    a, P, total = 0.0, 1e12, 0.0
    if first:
        P = 1e7
    for t, value in enumerate(x):
        if not (np.isnan(value) and gap):
            v, F = value - a, P + (H if noise or t == 0 else 0)
            if t or first:
                total += -0.5 * (constant * LOG_2PI + math.log(F) + v**2 / F)
            a, P = a + P / F * v, P - (P * P / F if update or t == 0 else 0)
        P += Q if step or t == 0 else 0
    return total


def forecast_spread(phi, sigma, h):
    return sigma * np.sqrt(np.cumsum(psi(phi, h) ** 2))


def psi(phi, h):
    return lfilter([1.0], np.append(1.0, -phi), np.append(1.0, np.zeros(h - 1)))


def fractional(d, n):
    k = np.arange(1, n)
    return np.cumprod(np.append(1.0, (k - 1 - d) / k))


SOLUTIONS = {
    "log_likelihood": log_likelihood,
    "stable": stable,
    "levinson": levinson,
    "synthesis": synthesis,
    "local_level": local_level,
    "forecast_spread": forecast_spread,
    "fractional": fractional,
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
    ("levinson", lambda g: levinson(g, reverse=False), "must be reversed"),
    ("levinson", lambda g: levinson(g, shrink=False), "must shrink"),
    ("levinson", lambda g: levinson(g, sign=1.0), "not added"),
    ("levinson", lambda g: levinson(g, flip=False), "not reversed"),
    ("levinson", lambda g: (ts.levinson_durbin(g).partial, 1.0), "partial autocorrelations"),
    ("levinson", lambda g: (levinson(g)[0][::-1], 1.0), "reverse order"),
    ("levinson", lambda g: (levinson(g)[0], g[0]), "variance of x"),
    ("levinson", lambda g: (levinson(g)[0], math.sqrt(levinson(g)[1])), "standard deviation"),
    ("levinson", lambda g: levinson(g, last=False), "last step"),
    ("levinson", lambda g: levinson(g)[0], "two things"),
    ("synthesis", lambda a, e, hop: synthesis(a, e, hop, keep=False), "empty memory"),
    ("synthesis", lambda a, e, hop: synthesis(a, e, hop, order=-1), "wrong order"),
    ("synthesis", lambda a, e, hop: synthesis(a, e, hop, sign=-1.0), "synthesis adds"),
    ("synthesis", lambda a, e, hop: synthesis(a, e, hop, feed="input"), "feed the output back"),
    ("synthesis", lambda a, e, hop: synthesis(a[[0] * len(a)], e, hop), "first frame's"),
    ("synthesis", lambda a, e, hop: e, "this is the excitation"),
    ("synthesis", lambda a, e, hop: synthesis(a, e, hop, whole=True), "1530 samples in"),
    ("local_level", lambda x, H, Q: local_level(x, H, Q, constant=0.0), "½ log 2π"),
    ("local_level", lambda x, H, Q: local_level(x, H, Q, noise=False), r"P \+ H"),
    ("local_level", lambda x, H, Q: local_level(x, H, Q, step=False), "the level walks"),
    ("local_level", lambda x, H, Q: local_level(x, H, Q, update=False), "known better"),
    ("local_level", lambda x, H, Q: local_level(x, H, Q, first=True), "first value is counted"),
    ("local_level", lambda x, H, Q: -local_level(x, H, Q), "the sign"),
    ("local_level", lambda x, H, Q: local_level(x, H, Q, gap=False), "Skip the update"),
    ("local_level", lambda x, H, Q: local_level(x[~np.isnan(x)], H, Q), "closed up"),
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
]


class TestChapter5(ExerciseChecks):
    chapter = 5
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
