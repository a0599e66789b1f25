"""Checks for the exercises of chapter 5."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

from .. import data
from ..gaussian import Gaussian
from ..timeseries import (
    AR,
    fractional_weights,
    impulse_response,
    lpc_analysis,
    lpc_synthesis,
)
from ..timeseries import step_down as library_step_down
from .core import CheckFailed, agree, compare, exercise, finds_bugs, predicts, require

LOG_2PI = math.log(2 * math.pi)


@exercise("5.1", "the likelihood of an AR model")
def log_likelihood(function: Callable) -> None:
    """function(x (T,), phi (p,), sigma) -> log p(x_{p+1} … x_T | x_1 … x_p), in nats."""
    phi, sigma = np.array([1.1, -0.6, 0.2]), 0.4
    x = AR.from_parameters(phi, sigma=sigma).simulate(60, seed=0)
    got = function(x, phi, sigma)
    if np.ndim(got) != 0:
        raise CheckFailed(
            f"✗ log-likelihood: expected one number, got shape {np.shape(got)}: "
            "sum over time, for independent errors the logarithms add up"
        )

    def value(errors: np.ndarray, scale: float = sigma, constant: float = 1.0) -> float:
        terms = constant * LOG_2PI + 2 * math.log(scale) + (errors / scale) ** 2
        return float(-0.5 * terms.sum())

    errors = AR.from_parameters(phi).residuals_of(x, "given")  # (57,)
    padded = AR.from_parameters(phi).residuals_of(x, "zero")  # (60,)
    backwards = AR.from_parameters(phi[::-1]).residuals_of(x, "given")
    added = AR.from_parameters(-phi).residuals_of(x, "given")

    def right(x: np.ndarray, phi: np.ndarray, sigma: float) -> float:
        p = len(phi)
        past = np.stack([x[p - 1 - k : len(x) - 1 - k] for k in range(p)])
        return value(x[p:] - phi @ past, sigma)

    rng = np.random.default_rng(0)
    others = [
        (rng.normal(0, 2, n), rng.normal(0, 0.4, p), s)
        for n, p, s in ((9, 1, 1.5), (5, 4, 0.1), (300, 2, 40.0), (12, 5, 1.0))
    ]
    agree(
        function,
        right,
        [(x, phi, sigma), *others],
        "log-likelihood",
        1e-9,
        [
            (value(errors, constant=0.0), "½ log 2π is missing for each value"),
            (
                value(padded),
                "the first 3 values are counted: they have no full past, and are given",
            ),
            (value(backwards), "phi is reversed: phi[0] belongs to the latest value, x[t-1]"),
            (value(added), "the prediction is added to x: the error is x minus its prediction"),
            (value(x[3:]), "this is the density of x itself around zero: take the prediction away"),
            (
                value(errors, math.sqrt(sigma)),
                "sigma is a standard deviation: the errors are divided by σ², the logarithm is log σ²",
            ),
            (value(errors) / len(errors), "this is the mean over time: sum it"),
            (
                value(errors, constant=0.0) - 0.5 * LOG_2PI,
                "½ log 2π is due for each value, not once",
            ),
            (
                value(errors) + len(errors) * 0.5 * math.log(sigma),
                "log σ² is 2 log σ: the 2 is missing",
            ),
            (
                value(errors) - 0.5 * (errors**2 / sigma - (errors / sigma) ** 2).sum(),
                "the squared errors are divided by σ², not by σ",
            ),
            (right(x - x.mean(), phi, sigma), "there is no constant: the mean is not taken away"),
            (
                value(errors) * len(x) / len(errors),
                "only T - p values are scored: nothing is made up for the others",
            ),
            (-value(errors), "the sign: this is the loss, minus the log-likelihood"),
            (
                float(-0.5 * (LOG_2PI + (errors / sigma) ** 2).sum()),
                "log σ is missing: the density must integrate to one for every σ",
            ),
        ],
    )


@exercise("5.2", "stable or not")
def stable(function: Callable) -> None:
    """function(phi (p,)) -> bool: is the AR model stationary?"""
    cases = {  # name: coefficients
        "AR(1) with 0.5": [0.5],
        "AR(1) with -1.2": [-1.2],
        "a slow tone, 1.9 and -0.95": [1.9, -0.95],
        "0.7 and 0.7": [0.7, 0.7],
        "-1.5 and -0.6": [-1.5, -0.6],
        "0.4, 0.3 and -1.1": [0.4, 0.3, -1.1],
        "a random walk": [1.0],
        "0.9 and -0.5": [0.9, -0.5],
        "a fast tone, 0 and -1.2": [0.0, -1.2],
        "0.5, 0.2 and 0.1": [0.5, 0.2, 0.1],
        "a slow decay, 0.9995": [0.9995],
        "a slow explosion, 1.0005": [1.0005],
        "a long tone, 1.8 and -0.9999": [1.8, -0.9999],
        "order 5, of the last value alone": [0.0, 0.0, 0.0, 0.0, 0.98],
        "order 4, a hidden explosion": [0.5, -0.5, 0.5, 0.9],
        "0.5, -0.9 and -0.9": [0.5, -0.9, -0.9],
        "-0.9, 0.5 and 0.5": [-0.9, 0.5, 0.5],
        "a slow explosion, 1.95 and -0.9": [1.95, -0.9],
        "order 20, far in the past": [0.0] * 18 + [0.5, 0.6],
    }
    truth = [AR.from_parameters(phi).is_stationary for phi in cases.values()]
    answers = [function(np.array(phi)) for phi in cases.values()]
    if any(np.ndim(answer) for answer in answers):
        raise CheckFailed(
            "✗ stable or not: return one True or False, not one for each root: np.all"
        )
    answers = [bool(answer) for answer in answers]
    rules = [
        ([not t for t in truth], "the answer is turned round: stable means every root inside"),
        (
            [np.abs(np.roots([*-np.array(phi[::-1]), 1])).max() < 1 for phi in cases.values()],
            "these roots are those in B, the reciprocals: they must lie outside the circle",
        ),
        (
            [max(abs(v) for v in phi) < 1 for phi in cases.values()],
            ("every |φ| < 1 is neither needed nor enough: look at the roots"),
        ),
        (
            [sum(phi) < 1 for phi in cases.values()],
            ("Σ φ < 1 is not enough: a tone can explode while its mean does not"),
        ),
        (
            [sum(abs(v) for v in phi) < 1 for phi in cases.values()],
            ("Σ |φ| < 1 is safe but too strict: 1.9 and -0.95 is a stable tone"),
        ),
        (
            [np.abs(np.roots([1, *phi])).max() < 1 for phi in cases.values()],
            ("the polynomial is z^p - φ_1 z^(p-1) - …: mind the minus signs"),
        ),
        (
            [np.abs(np.roots([1, *(-np.array(phi))]).real).max() < 1 for phi in cases.values()],
            ("only the real part of the roots is looked at: the modulus counts"),
        ),
    ]
    if answers != truth:
        for rule, explanation in rules:
            if answers == rule:
                raise CheckFailed(f"✗ stable or not: {explanation}")
        name, phi = next(
            item for item, a, t in zip(cases.items(), answers, truth, strict=True) if a != t
        )
        largest = np.abs(np.roots([1, *(-np.array(phi))])).max()
        raise CheckFailed(
            f"✗ stable or not: wrong for {name}. The largest root of z^p - φ_1 z^(p-1) - … has "
            f"modulus {largest:.4f}: it is{' not' if largest >= 1 else ''} stable"
        )
    require(True, f"{len(cases)} models are told apart", "")


SHORT_CUTS = tuple(
    f"minigen.timeseries.{name}" for name in ("AR", "levinson_durbin", "pacf", "step_down")
)


@exercise("5.3", "Levinson and Durbin, backwards", forbid=SHORT_CUTS)
def levinson(function: Callable) -> None:
    """function(phi (p,), sigma) -> (partial autocorrelations (p,), variance of the series)."""
    phi, sigma = np.array([1.2, -0.8, 0.3, -0.2]), 0.5

    def wrong(sign: float = 1.0, reverse: bool = True, divide: bool = True) -> np.ndarray:
        found, a = [], phi
        for _ in range(4):
            r, a = a[-1], a[:-1]
            found.append(r)
            a = (a + sign * r * (a[::-1] if reverse else a)) / (1 - r**2 if divide else 1.0)
        return np.array(found[::-1])

    def right(phi: np.ndarray, sigma: float) -> tuple[np.ndarray, float]:
        series = AR.from_parameters(phi, sigma=sigma)
        return library_step_down(phi)[1], float(series.autocovariance(0)[0])

    partial, variance = right(phi, sigma)
    left = np.prod(1 - partial**2)
    rng = np.random.default_rng(0)
    others = [(np.array([0.6]), 2.0), (np.array([0.1, 0.7]), 1.5)] + [
        (rng.uniform(-0.9 / p, 0.9 / p, p), s) for p, s in ((3, 0.1), (8, 30.0))
    ]
    agree(
        function,
        right,
        [(phi, sigma), *others],
        ("partial autocorrelations", "variance of the series"),
        1e-9,
        {
            "partial autocorrelations": [
                (wrong(sign=-1.0), "the reversed predictor was subtracted: to undo it, add it"),
                (wrong(reverse=False), "the shorter predictor must be reversed before it is added"),
                (wrong(divide=False), "divide by 1 - r²: φ_k is left over (1 - r²) times"),
                (phi, "these are the coefficients of the longest: the shorter predictors differ"),
                (partial[::-1], "they are in reverse order: lag 1 first"),
                (phi[::-1], "all are read off the longest predictor: it must be shortened first"),
            ],
            "variance of the series": [
                (sigma**2, "this is σ², the variance of the error: the series varies more"),
                (
                    sigma**2 * left,
                    "multiplied by 1 - r²: that goes up the orders, divide to come down",
                ),
                (math.sqrt(variance), "this is the standard deviation"),
                (variance / sigma, "σ is a standard deviation: square it"),
                (variance / sigma**2, "σ is missing"),
                (sigma**2 / (1 - partial[-1] ** 2), "only the last order's 1 - r² is divided by"),
                (sigma**2 / np.prod(1 - partial), "each order has the factor 1 - r², not 1 - r"),
                (sigma**2 / np.prod(1 - phi**2), "φ in place of the partial autocorrelations"),
            ],
        },
        steady=[0],
    )
    long = AR.from_parameters([1.6, -0.81]).autocovariance(0)[0]
    got = function(np.append([1.6, -0.81], np.zeros(98)), 1.0)
    require(
        math.isclose(got[1], long, rel_tol=1e-8),
        "order 100 is no trouble",
        "wrong at order 100",
    )


@exercise("5.4", "the filter that speaks")
def synthesis(function: Callable) -> None:
    """function(coefficients (N, p), excitation (T,), hop) -> x (T,)."""
    word = data.example()
    x = word.audio[:1600].astype(float)
    found, hop = lpc_analysis(x, order=8), 80
    a, e = found.coefficients, found.residual
    kept = np.random.default_rng(0).standard_normal(1600)

    def run(coefficients: np.ndarray, drive: np.ndarray, kind: str) -> np.ndarray:
        p = coefficients.shape[1]
        y = np.zeros(len(drive) + p)  # y[p + t] is x_t
        past = np.append(np.zeros(p), drive)
        for t in range(len(drive)):
            if kind == "forget" and t % hop == 0:
                memory = t
            window = y[t : t + p].copy()
            if kind == "forget":
                window[: max(0, p - (t - memory))] = 0
            if kind == "input":
                window = past[t : t + p]
            if kind == "one off":
                window = y[t + 1 : t + p + 1].copy()
            if kind != "reversed":
                window = window[::-1]
            sign = -1 if kind == "sign" else 1
            ahead = {"early": 1, "centred": hop // 2}.get(kind, 0)
            frame = min((t + ahead) // hop, len(coefficients) - 1)
            y[p + t] = drive[t] + sign * (coefficients[frame] @ window)
        return y[p:]

    answer = np.asarray(function(a, e, hop))
    hints = [
        (
            run(a, e, "forget"),
            (
                "every frame starts with an empty memory: carry the last p samples over "
                "the edge. It rattles"
            ),
        ),
        (
            run(a, e, "reversed"),
            (
                "the coefficients meet the past in the wrong order: a[0] belongs to "
                "the latest sample"
            ),
        ),
        (run(a, e, "sign"), "the prediction is subtracted: synthesis adds it to the excitation"),
        (run(a, e, "input"), "the past of the *excitation* is used: feed the output back"),
        (
            lpc_synthesis(np.repeat(a[:1], len(a), 0), e, hop),
            ("the first frame's predictor is used for all frames"),
        ),
        (e, "this is the excitation: add the prediction from the past"),
        (run(a, e, "one off"), "one off: a[0] meets the sample itself, which is 0 by then"),
        (run(a, e, "early"), "the last sample of a frame is made with the next frame's predictor"),
        (
            run(a, e, "centred"),
            "the predictor changes in the middle of a frame: sample t lies in frame t // hop",
        ),
        (
            np.append(np.zeros(8), x)[: len(x)],
            "the zeros before the start are returned with the sound: it comes p samples late",
        ),
    ]
    with np.errstate(all="ignore"):
        compare(answer, x, "the word made from its residual", 1e-6, hints)
    mild = 0.5 ** np.arange(1, 9) * a  # damped: noise cannot blow it up
    compare(
        function(mild, kept, hop), lpc_synthesis(mild, kept, hop), "noise through the filters", 1e-6
    )
    short = lpc_analysis(x[:1530], order=8)
    require(
        np.shape(function(short.coefficients, short.residual, hop)) == (1530,),
        "a last frame that is not full is kept",
        "1530 samples in, another number out: the last frame may be shorter than hop",
    )
    rng = np.random.default_rng(1)
    agree(
        function,
        lpc_synthesis,
        [
            (rng.uniform(-0.3, 0.3, (n, p)), rng.normal(size=t), hop)
            for n, p, t, hop in ((3, 2, 30, 10), (1, 1, 7, 7), (4, 3, 19, 5), (6, 2, 6, 1))
        ]
        + [(rng.uniform(-0.07, 0.07, (5, 14)), rng.normal(size=450), 100)],
        "noise through other filters",
        1e-9,
        steady=[0],
    )


@exercise("5.5", "an AR(1) seen through noise")
def noisy_ar(function: Callable) -> None:
    """function(x (n,), phi, H, Q) -> log p(x_1 … x_n), NaN where a value is missing."""
    nile = (data.nile().values - data.nile().values.mean()) / 100
    phi, H, Q = 0.8, 1.5, 0.7
    gaps = nile.copy()
    gaps[[10, 11, 12, 40]] = np.nan

    def dense(x: np.ndarray, phi: float, H: float, Q: float) -> float:
        """By the whole covariance, Q φ^|i-j| / (1 - φ²), and H on the diagonal."""
        seen = np.flatnonzero(~np.isnan(x))
        apart = np.abs(np.subtract.outer(seen, seen))
        cov = Q / (1 - phi**2) * np.power(phi, apart) + H * np.eye(len(seen))
        return float(Gaussian(np.zeros(len(seen)), cov).log_prob(x[seen]))

    def run(x: np.ndarray, wrong: str = "", log: float = 1.0, first: bool = True) -> float:
        """The filter, or one with a mistake; log is what ½ log 2π is multiplied by."""
        start = {"start": Q, "certain": 0.0, "diffuse": 1e7, "start noise": Q / (1 - phi**2) + H}
        a, P, total = 0.0, start.get(wrong, Q / (1 - phi**2)), 0.0
        for t, value in enumerate(x):
            if not np.isnan(value):
                v, F = value - a, P if wrong == "no noise" else P + H
                if first or t:
                    total += -0.5 * (log * LOG_2PI + math.log(F) + v**2 / F)
                a = a + P / F * v
                P = P if wrong == "no update" else P - P * P / F
            elif wrong == "asleep":
                continue
            a = a if wrong in ("mean", "walk") else phi * a
            factor = {"walk": 1.0, "variance": phi, "no factor": 1.0}.get(wrong, phi**2)
            P = factor * P + (0.0 if wrong == "no step" else Q)
        return total

    rng = np.random.default_rng(0)
    agree(
        function,
        dense,
        [
            (nile, phi, H, Q),
            (rng.normal(size=2), -0.5, 0.5, 2.0),
            (rng.normal(size=20), 0.99, 2.0, 0.01),
            (rng.normal(size=1), 0.3, 0.1, 4.0),
            (0.1 * rng.normal(size=9), 0.6, 0.01, 0.002),
        ],
        "log-likelihood of the Nile",
        1e-6,
        [
            (run(nile, log=0.0), "½ log 2π is missing for each value"),
            (
                run(nile, "no noise"),
                "F is the variance of x: P + H, the measurement's noise included",
            ),
            (run(nile, "no step"), "the hidden number is driven: add Q to P at every step"),
            (run(nile, "no update"), "after x has come it is known better: P - K P"),
            (run(nile, "mean"), "the mean of the belief shrinks, too: a becomes φ a at every step"),
            (run(nile, "variance"), "φ multiplies the number, so φ² its variance"),
            (run(nile, "no factor"), "the variance of the belief shrinks, too: φ² P + Q"),
            (run(nile, "walk"), "this is a random walk: the hidden number is multiplied by φ"),
            (
                run(nile, "start"),
                "the first belief has variance Q: it began long ago, Q / (1 - φ²)",
            ),
            (run(nile, "certain"), "the first belief is certain: it began long ago, Q / (1 - φ²)"),
            (
                run(nile, "diffuse"),
                "the first belief knows nothing: it began long ago, Q / (1 - φ²)",
            ),
            (run(nile, "start noise"), "H belongs to x, not to the first belief: Q / (1 - φ²)"),
            (run(nile, first=False), "the first value is not scored: here it has a density, too"),
            (-run(nile), "the sign: this is minus the log-likelihood"),
        ],
    )
    holes = function(gaps, phi, H, Q)
    if not np.isfinite(holes):
        raise CheckFailed(
            "✗ missing values: NaN. Skip the update where x is missing, but let the belief move on"
        )
    compare(
        holes,
        dense(gaps, phi, H, Q),
        "log-likelihood with missing values",
        1e-6,
        [
            (
                run(gaps, "asleep"),
                "the gap is closed up: in a missing year the belief moves on, φ a and φ² P + Q",
            ),
            (run(np.nan_to_num(gaps)), "a missing value is taken for a measured zero: skip it"),
            (
                run(np.nan_to_num(gaps, nan=np.nanmean(gaps))),
                "a missing value is taken for a measured mean: skip it",
            ),
        ],
    )
    ends = np.array([np.nan, 1.0, np.nan, np.nan, 2.5, 2.0, np.nan])
    agree(
        function, dense, [(ends, 0.9, 1.0, 0.3), (ends[::-1], -0.4, 0.2, 3.0)], "other gaps", 1e-6
    )


@exercise("5.6", "how sure is a forecast")
def forecast_spread(function: Callable) -> None:
    """function(phi (p,), sigma, h) -> standard deviations 1 … h steps ahead, (h,)."""
    phi, sigma, h = np.array([1.4, -0.7]), 2.0, 12
    psi = impulse_response(phi, [], h + 1)
    want = sigma * np.sqrt(np.cumsum(psi[:h] ** 2))
    stationary = math.sqrt(AR.from_parameters(phi, sigma=sigma).autocovariance(0)[0])

    def right(phi: np.ndarray, sigma: float, h: int) -> np.ndarray:
        return sigma * np.sqrt(np.cumsum(impulse_response(phi, [], h + 1)[:h] ** 2))

    rng = np.random.default_rng(0)
    others = [
        (rng.uniform(-0.3, 0.3, p), s, n) for p, s, n in ((1, 0.5, 6), (3, 9.0, 2), (5, 1.0, 20))
    ]
    agree(
        function,
        right,
        [(phi, sigma, h), *others, (phi, sigma, 1)],
        "the spread at every step",
        1e-9,
        [
            (want**2, "these are variances: take the square root"),
            (
                np.full(h, sigma),
                "σ at every step: noise that has come in is passed on by the filter",
            ),
            (sigma * np.sqrt(np.arange(1, h + 1)), "σ √h is a random walk's: weigh by ψ²"),
            (
                sigma * np.sqrt(np.cumsum(psi[1 : h + 1] ** 2)),
                "ψ_0 = 1 is missing: one step ahead the error is ε itself",
            ),
            (sigma * np.abs(np.cumsum(psi[:h])), "variances add up: square ψ before summing"),
            (sigma * np.cumsum(np.abs(psi[:h])), "standard deviations are added: variances add up"),
            (np.sqrt(np.cumsum(psi[:h] ** 2)), "σ is missing"),
            (
                sigma**2 * np.sqrt(np.cumsum(psi[:h] ** 2)),
                "σ² stands outside the root: there it is σ",
            ),
            (np.full(h, stationary), "this is the spread of the series itself, reached far ahead"),
        ],
    )
    far = np.asarray(function(phi, sigma, 400))[-1]
    require(
        math.isclose(far, stationary, rel_tol=1e-6),
        "far ahead it is the spread of the series itself",
        f"far ahead it is {far:.4g}, but the series has standard deviation {stationary:.4g}",
    )


@exercise("5.7", "half a difference")
def fractional(function: Callable) -> None:
    """function(d, n) -> the weights π_0 … π_{n-1} of (1 - B)^d."""
    d, n = 0.4, 8
    k = np.arange(1, n)
    agree(
        function,
        fractional_weights,
        [(d, n), (-0.3, 5), (0.75, 30), (1.4, 6), (0.2, 1), (0.4, 2)],
        "each weight for d = 0.4",
        1e-12,
        [
            (fractional_weights(-d, n), "these are the weights of (1 - B)^-d, which undoes it"),
            (
                np.abs(fractional_weights(d, n)),
                "the signs: every weight after the first is negative for 0 < d < 1",
            ),
            (
                np.cumprod(np.append(1.0, (k - d) / k)),
                "one step off: the factor is (k - 1 - d) / k, k counted from 1",
            ),
            (
                np.append(1.0, (k - 1 - d) / k),
                "these are the factors: multiply them up, π_k = π_{k-1} · factor",
            ),
            (
                np.cumprod(np.append(1.0, (d - k + 1) / k)),
                "these are binomial coefficients: (1 - B)^d has (-1)^k with them",
            ),
            (lambda got: got[0] == 0, "π_0 is 1: the value itself"),
        ],
    )
    compare(function(1.0, 4), [1.0, -1.0, 0.0, 0.0], "the ordinary difference, d = 1,", 1e-12)
    both = np.convolve(function(0.7, 50), function(0.3, 50))[:50]
    require(
        np.allclose(both, fractional_weights(1.0, 50), atol=1e-12),
        "differencing by 0.3 and then by 0.7 is one difference",
        "0.3 and then 0.7 do not make one difference",
    )


@exercise("5.8", "predict, then run: what a filter makes of noise")
def filtered_noise(prediction: Callable) -> None:
    """prediction() -> {"ring": samples, "spread": a number, "backwards": a word}."""
    coefficients = [2 * 0.99 * math.cos(2 * math.pi * 500 / 8000), -(0.99**2)]
    bell = impulse_response(coefficients, [], 1000)
    period = np.sqrt(np.convolve(bell**2, np.ones(16), "valid"))
    x = data.example().audio.astype(float)
    there, back = (
        AR(16, "yule_walker", constant=False).fit(y).sigma
        for y in (x, np.ascontiguousarray(x[::-1]))
    )
    same = math.isclose(there, back, rel_tol=1e-6)
    predicts(
        prediction,
        {
            "ring": (
                int(np.argmax(period < period[0] / 10)),
                0.05,
                (
                    "what does every sample do to a mode with this root? Has the tone a part in it? For which "
                    "n is a tenth left?"
                ),
            ),
            "spread": (
                float(AR.from_parameters([0.9]).simulate(100_000).std()),
                0.03,
                (
                    "write today's variance with yesterday's and that of the noise: what must the two be, if "
                    "the series has always run? Mind what is a variance and what its root"
                ),
            ),
            "backwards": (
                "same" if same else "larger" if back > there else "smaller",
                0.0,
                (
                    "the equations know the sound by its autocovariances alone, means of products "
                    "x_t x_(t-k). What becomes of these when time is turned round?"
                ),
            ),
        },
    )


def _simulator(phi: list[float], c: float, sigma: float, bug: str = "", luck: int = 0) -> tuple:
    """simulate(n, seed) -> (n,) and what it claims, phi, c, sigma; or with a planted bug."""
    claimed, order = c, np.array(phi[::-1] if bug == "reversed" else phi)
    if bug == "last":  # of the same mean
        order[-1] -= 0.3
        c = c * (1 - order.sum()) / (1 - sum(phi))
    if bug == "sign":
        order, c = -order, c * (1 + sum(phi)) / (1 - sum(phi))  # of the same mean
    scale = sigma**2 if bug == "variance" else sigma
    before = 0 if bug in ("cold", "still") else 600

    def simulate(n: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng([luck, 0 if bug == "seed" else seed])
        drive = scale * rng.normal(size=before + n)
        if bug == "constant":
            return c + lfilter([1.0], np.append(1.0, -order), drive)[before:]
        if bug == "still":
            return c / (1 - sum(phi)) + lfilter([1.0], np.append(1.0, -order), drive)
        if bug == "level":
            noise, level = (
                lfilter([1.0], np.append(1.0, -order), v) for v in (drive, np.full(n, c))
            )
            return noise[before:] + level
        return lfilter([1.0], np.append(1.0, -order), c + drive)[before:]

    return simulate, np.array(phi), claimed, sigma


SIMULATOR_BUGS = {
    "cold": "it begins with zeros before the first value, not long ago: its first values vary too little",
    "still": "it begins at the mean itself: its first values vary too little",
    "level": "its noise began long ago, its level did not: that rises from c to the mean",
    "constant": "it takes the constant c for the mean of the series, which is c / (1 - Σ φ)",
    "reversed": "its coefficients are in reverse order: phi[0] belongs to the latest value",
    "sign": "its coefficients have the wrong sign, and yet its mean is right",
    "variance": "it multiplies the noise by σ², not by σ",
    "seed": "it draws the same series whatever the seed",
    "last": "its last coefficient is too small, and yet its mean is right",
}


@exercise("5.9", "the test that finds the planted bug")
def simulator_test(is_right: Callable) -> None:
    """is_right(simulate, phi, c, sigma) -> bool, for simulate(n, seed) -> (n,)."""
    models = (
        ([0.6, 0.3], 2.0, 0.5),
        ([0.1, 0.2, 0.5], -3.0, 2.5),
        ([-0.7], 1.0, 1.0),
        ([1.2, -0.8, 0.1, 0.2], 0.0, 40.0),
    )
    finds_bugs(
        is_right,
        [
            (_simulator(*model, luck=luck), f"an AR({len(model[0])})")
            for luck in (0, 1)
            for model in models
        ],
        [
            (_simulator(*model, bug, luck), words)
            for model, luck in ((models[0], 0), (models[1], 0), (models[0], 1))
            for bug, words in SIMULATOR_BUGS.items()
        ],
        "a stretch of a stationary AR series, another for every seed, up to the chance of a draw",
    )
