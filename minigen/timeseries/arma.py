"""Chapter 5: polynomials in the lag, and the ARMA as a state space."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import lfilter

from ..compiled import compiled
from .correlation import chain_rule_factor, require_stationary, series, whole
from .kalman import LinearModel


def lag_polynomial(coefficients: np.ndarray, period: int = 1) -> np.ndarray:
    """1 + c_1 B^s + c_2 B^2s + … as an array over the powers of B."""
    out = np.zeros(1 + period * len(coefficients))
    out[0] = 1.0
    out[period::period] = coefficients
    return out


def difference_polynomial(d: int, seasonal: int, period: int) -> np.ndarray:
    """(1 - B)^d (1 - B^s)^D."""
    out = np.ones(1)
    for lag in [1] * d + [period] * seasonal:
        out = np.convolve(out, lag_polynomial(-np.ones(1), lag))
    return out


def difference(x: ArrayLike, d: int = 1, seasonal: int = 0, period: int = 1) -> np.ndarray:
    """(1 - B)^d (1 - B^s)^D x with B x_t = x_{t-1}: (n,) -> (n - d - s D,).

    A missing value (NaN) makes those differences missing that look at it, and no others.

    >>> difference([1.0, 4.0, 9.0, np.nan, 25.0, 36.0])
    array([ 3.,  5., nan, nan, 11.])
    """
    x = series(x, missing=True, constant=True)
    whole("d", d, least=0), whole("seasonal", seasonal, least=0), whole("period", period)
    weights = difference_polynomial(d, seasonal, period)
    n = len(x) - len(weights) + 1
    if n < 1:
        raise ValueError(f"{len(x)} values are too short for differences over {len(weights) - 1}")
    last = len(weights) - 1
    return sum(weights[k] * x[last - k : last - k + n] for k in np.flatnonzero(weights))


def impulse_response(ar: ArrayLike, ma: ArrayLike, n: int) -> np.ndarray:
    """What one unit of noise does: ψ_0 = 1, ψ_k = θ_k + Σ_j φ_j ψ_{k-j}, (n,)."""
    ar, ma = np.asarray(ar, dtype=np.float64), np.asarray(ma, dtype=np.float64)
    unit = np.zeros(n)
    unit[:1] = 1.0
    return lfilter(np.append(1.0, ma), np.append(1.0, -ar), unit)


# ---------------------------------------------------------------- ARMA as a state space
def arma_model(ar: np.ndarray, ma: np.ndarray, differences: ArrayLike = (1.0,)) -> LinearModel:
    """u_t = Σ φ_k u_{t-k} + ε_t + Σ θ_k ε_{t-k} with Var ε = 1, and y with Δ(B) y_t = u_t.

    The first r = max(p, q + 1) coordinates of the state carry u: the first is u_t itself, the i-th what
    is known today of u_{t+i-1} without the values from t on.

        a_{t+1}[i] = a_t[i + 1] + φ_i a_t[1] + θ_{i-1} ε_{t+1},   θ_0 = 1

    With Δ(B) = 1 - δ_1 B - …, the others hold y_{t-1}, y_{t-2}, …: y_t = u_t + Σ δ_k y_{t-k}. About
    their start nothing is known: they are diffuse.

    The first r start with their stationary covariance, as a square root from the chain rule. Let
    φ(B) z = ε, so that u = θ(B) z. Each of z_{t-r+1}, …, z_t is predicted from those before it, and each
    a[i] is a weighted sum c_i of those z: c_1 = θ, c_{i+1} = c_i one step on, less φ_i c_1.

    References: Harvey, Forecasting, Structural Time Series Models and the Kalman Filter, 1989, ch. 3, 4.
    """
    delta = -np.asarray(differences, dtype=np.float64)[1:]
    past = chain_rule_factor(ar, max(len(ar), len(ma) + 1))
    T, Z, shocks, start = _arma_matrices(ar, ma, delta, past)
    return LinearModel(T, Z, 0.0, shocks, start, np.arange(len(Z) - len(delta), len(Z)))


@compiled(error_model="numpy")
def _arma_matrices(ar, ma, delta, past):  # pragma: no cover (compiled)
    """The matrices of `arma_model`; `past` comes as a number because a compiled function kept on disk
    does not notice when another file's function that it calls has changed."""
    p, r = len(ar), max(len(ar), len(ma) + 1)
    m = r + len(delta)
    T, Z, shocks, start = np.zeros((m, m)), np.zeros(m), np.zeros((1, m)), np.zeros((r, m))
    shocks[0, 0] = Z[0] = 1.0
    shocks[0, 1 : 1 + len(ma)] = ma
    T[:p, 0] = ar
    for i in range(r - 1):
        T[i, i + 1] = 1.0
    Z[r:] = delta
    if len(delta):
        T[r] = Z  # y_t moves into the memory
        for i in range(r + 1, m):
            T[i, i - 1] = 1.0
    c = np.zeros((r, r + 1))  # over z_t, z_{t-1}, …, and a zero
    c[0, :r] = shocks[0, :r]
    for i in range(r - 1):
        c[i + 1, :r] = c[i, 1:] - T[i, 0] * c[0, :r]
        c[i + 1, :p] += c[i, 0] * ar
    start[:, :r] = (np.ascontiguousarray(c[:, :r][:, ::-1]) @ past).T
    return T, Z, shocks, start


def arma_autocovariance(ar: ArrayLike, ma: ArrayLike, lags: int, sigma: float = 1.0) -> np.ndarray:
    """γ_0 … γ_lags of a stationary ARMA: γ_k = Σ φ_j γ_{k-j} beyond the reach of θ.

    >>> arma_autocovariance([0.5], [], 2)
    array([1.33333333, 0.66666667, 0.33333333])
    """
    ar, ma = require_stationary(ar, "ar"), np.asarray(ma, dtype=np.float64)
    model = arma_model(ar, ma)
    column = model.start[:, 0] @ model.start  # P[:, 0]
    p, gamma = len(ar), np.zeros(max(lags, len(column)) + 1)
    for k in range(len(column)):  # Cov(u_{t+k}, u_t) is the first entry of T^k P
        gamma[k] = column[0]
        column = model.transition @ column
    for k in range(len(column), len(gamma)):
        gamma[k] = ar @ gamma[k - p : k][::-1]
    return sigma**2 * gamma[: lags + 1]
