"""Checks for the exercises of chapter 5."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .. import data
from ..timeseries import (
    AR,
    StateSpace,
    fractional_weights,
    impulse_response,
    levinson_durbin,
    lpc_analysis,
    lpc_synthesis,
)
from .core import CheckFailed, agree, compare, exercise, require

__all__ = [
    "forecast_spread",
    "fractional",
    "levinson",
    "local_level",
    "log_likelihood",
    "stable",
    "synthesis",
]

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
        for n, p, s in ((9, 1, 1.5), (5, 4, 0.1), (30, 2, 40.0), (12, 5, 1.0))
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


SOLVERS = (
    *(f"numpy.linalg.{name}" for name in ("solve", "inv", "lstsq", "pinv")),
    *(f"scipy.linalg.{name}" for name in ("solve", "inv", "lstsq", "pinv", "solve_toeplitz")),
    *(
        f"scipy.linalg.{name}"
        for name in ("cho_solve", "solve_triangular", "lu_solve", "solveh_banded")
    ),
    *(f"torch.linalg.{name}" for name in ("solve", "inv", "lstsq", "pinv")),
    "minigen.timeseries.levinson_durbin",
)


@exercise("5.3", "Levinson and Durbin", forbid=SOLVERS)
def levinson(function: Callable) -> None:
    """function(gamma (p + 1,)) -> (phi (p,), error variance)."""
    gamma = AR.from_parameters([1.2, -0.8, 0.3], sigma=0.5).autocovariance(4) + np.array(
        [0.1, 0, 0, 0, 0]
    )

    def wrong(reverse: bool = True, shrink: bool = True, sign: float = -1.0, flip: bool = True):
        phi, v = np.zeros(0), gamma[0]
        for m in range(4):
            past = gamma[m:0:-1] if flip else gamma[1 : m + 1]
            r = (gamma[m + 1] - phi @ past) / v
            phi = np.append(phi + sign * r * (phi[::-1] if reverse else phi), r)
            v = v * (1 - r**2) if shrink else v
        return phi, v

    want = levinson_durbin(gamma)

    def right(gamma: np.ndarray) -> tuple[np.ndarray, float]:
        found = levinson_durbin(gamma)
        return found.coefficients, found.variances[-1]

    rng = np.random.default_rng(0)
    others = [AR.from_parameters([0.6]).autocovariance(1), np.array([3.0, -1.5, 1.2])] + [
        np.correlate(v, v, "full")[len(v) - 1 :][: p + 1]
        for p in (2, 7)
        for v in [rng.normal(size=20)]
    ]
    agree(
        function,
        right,
        [(gamma,), *((other,) for other in others)],
        ("phi", "error variance"),
        1e-9,
        {
            "phi": [
                (
                    wrong(reverse=False)[0],
                    "the old predictor must be reversed before it is taken away",
                ),
                (
                    wrong(shrink=False)[0],
                    "v must shrink by 1 - r² at every order: r is divided by it",
                ),
                (wrong(sign=1.0)[0], "r times the reversed predictor is subtracted, not added"),
                (
                    wrong(flip=False)[0],
                    "φ_k goes with γ_{m+1-k}: the autocovariances are not reversed",
                ),
                (
                    want.partial,
                    "these are the partial autocorrelations, the last coefficient of each order",
                ),
                (want.coefficients[::-1], "phi is in reverse order: φ_1 first"),
            ],
            "error variance": [
                (gamma[0], "this is γ_0, the variance of x: multiply by 1 - r² at every order"),
                (math.sqrt(want.variances[-1]), "this is the standard deviation"),
                (want.variances[-2], "the last step's 1 - r² is missing"),
            ],
        },
    )
    large = AR.from_parameters([1.6, -0.81]).autocovariance(100)
    require(
        np.allclose(function(large)[0], levinson_durbin(large).coefficients, atol=1e-8),
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
            if kind != "reversed":
                window = window[::-1]
            sign = -1 if kind == "sign" else 1
            y[p + t] = drive[t] + sign * (coefficients[t // hop] @ window)
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
        ],
        "noise through other filters",
        1e-9,
    )


@exercise("5.5", "a level seen through noise")
def local_level(function: Callable) -> None:
    """function(x (n,), H, Q) -> log p(x_2 … x_n | x_1), NaN where a value is missing."""
    x, H, Q = data.nile().values, 15000.0, 1500.0
    gaps = x.copy()
    gaps[[10, 11, 12, 40]] = np.nan

    def library(y: np.ndarray, h: float = H, q: float = Q) -> float:
        return StateSpace([[1.0]], [1.0], [[q]], h, [0.0], [[0.0]], [1.0]).log_prob(y)

    def wrong(kind: str) -> float:
        a, P, total = x[0], H + Q, 0.0
        for value in x[1:]:
            v, F = value - a, (P if kind == "no noise" else P + H)
            K = P / F
            total += -0.5 * (LOG_2PI + math.log(F) + v**2 / F)
            a = a + K * v
            P = (P if kind == "no update" else P - K * P) + (0.0 if kind == "no step" else Q)
        return total

    def constants(log: float) -> float:
        """The right value with the variance (log = 1) or its root (½) in place of log F."""
        a, P, total = x[0], H + Q, 0.0
        for value in x[1:]:
            v, F = value - a, P + H
            total += -0.5 * (log * LOG_2PI + math.log(F) + v**2 / F)
            a, P = a + P / F * v, P - P * P / F + Q
        return total

    def right(y: np.ndarray, H: float, Q: float) -> float:
        a, P, total = y[0], H + Q, 0.0
        for value in y[1:]:
            if not np.isnan(value):
                v, F = value - a, P + H
                total += -0.5 * (LOG_2PI + math.log(F) + v**2 / F)
                a, P = a + P / F * v, P - P * P / F
            P += Q
        return total

    first = -0.5 * (LOG_2PI + math.log(1e7 + H) + x[0] ** 2 / (1e7 + H))
    rng = np.random.default_rng(0)
    agree(
        function,
        right,
        [(x, H, Q), (rng.normal(size=2), 0.5, 2.0), (rng.normal(3, 1, 20).cumsum(), 2.0, 0.01)],
        "log-likelihood of the Nile",
        1e-5,
        [
            (constants(0.0), "½ log 2π is missing for each value"),
            (wrong("no noise"), "F is the variance of x: P + H, the measurement's noise included"),
            (wrong("no step"), "the level walks: add Q to P at every step"),
            (wrong("no update"), "after x has come the level is known better: P - K P"),
            (
                lambda value: abs(value - library(x) - first) < 0.3,
                "the first value is counted: nothing is known before it, it only starts the level",
            ),
            (-library(x), "the sign: this is minus the log-likelihood"),
        ],
    )
    holes = function(gaps, H, Q)
    if not np.isfinite(holes):
        raise CheckFailed(
            "✗ missing values: NaN. Skip the update where x is missing, but let the level walk: P + Q"
        )
    compare(
        holes,
        library(gaps),
        "log-likelihood with missing values",
        1e-5,
        [
            (
                library(gaps[~np.isnan(gaps)]),
                "the gap is closed up: in a missing year the level walks on, P + Q, without an update",
            )
        ],
    )
    ends = np.array([1.0, np.nan, np.nan, 2.5, 2.0, np.nan])
    agree(function, right, [(ends, 1.0, 0.3), (ends[[3, 1, 0, 4]], 0.2, 3.0)], "other gaps", 1e-5)


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
