"""How a series hangs together: autocorrelation, partial autocorrelation, and whether any is left."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaincc

__all__ = [
    "LevinsonDurbin",
    "LjungBox",
    "acf",
    "autocovariance",
    "levinson_durbin",
    "ljung_box",
    "pacf",
]


def series(
    x: ArrayLike,
    name: str = "x",
    least: int = 2,
    missing: bool = False,
    constant: bool = False,
    why: str = "",
) -> np.ndarray:
    """A series as float64 (n,), or an error that says what is wrong with it and what to do.

    Args:
        least: how many observed values it needs; `why` says for what.
        missing: whether NaN is allowed. constant: whether a series without variation is.
    """
    x = np.asarray(x)
    if x.ndim != 1:
        raise ValueError(f"{name} is one series of shape (n,), not {x.shape}: take one column")
    if not (np.issubdtype(x.dtype, np.number) or x.dtype == bool) or np.iscomplexobj(x):
        raise TypeError(f"{name} has dtype {x.dtype}: a series holds real numbers")
    x = x.astype(np.float64)
    if np.isinf(x).any():
        raise ValueError(f"{name} has infinite values")
    gaps = np.isnan(x)
    if gaps.any() and not missing:
        raise ValueError(
            f"{name} has {gaps.sum()} missing values (NaN), the first at index {gaps.argmax()}: cut or "
            "fill them, or use ARIMA, whose Kalman filter takes a series with gaps"
        )
    seen = x[~gaps]
    if len(seen) < least:
        raise ValueError(
            f"{name} is too short: it has {len(seen)} observed values and needs at least {least}"
            + (f" {why}" if why else "")
        )
    if not constant and np.ptp(seen) <= 1e-13 * np.abs(seen).max(initial=0):
        raise ValueError(
            f"{name} is constant (every value is {seen[0]:g}): it has no variation to model"
        )
    return x


def _lags(lags: int, n: int) -> int:
    if isinstance(lags, bool) or not isinstance(lags, int | np.integer) or not 0 < lags < n:
        raise ValueError(f"{n} values have lags 1 … {n - 1}, not {lags!r}")
    return int(lags)


def autocovariance(x: ArrayLike, lags: int) -> np.ndarray:
    """γ_k = (1/n) Σ_t (x_t - x̄)(x_{t-k} - x̄) for k = 0 … lags.

    Dividing by n and not by n - k keeps every matrix of γ_|i-j| positive definite, which the
    Yule-Walker equations need.

    >>> autocovariance([1.0, -1.0, 1.0, -1.0], 2)
    array([ 1.  , -0.75,  0.5 ])
    """
    x = series(x)
    lags = _lags(lags, len(x))
    x = x - x.mean()
    return np.array([x[k:] @ x[: len(x) - k] for k in range(lags + 1)]) / len(x)


def acf(x: ArrayLike, lags: int = 20) -> np.ndarray:
    """Autocorrelations r_0 = 1, r_1, …, r_lags: γ_k / γ_0, (lags + 1,).

    For independent values each r_k, k > 0, is about N(0, 1/n).

    >>> acf([1.0, -1.0, 1.0, -1.0], 2)
    array([ 1.  , -0.75,  0.5 ])
    """
    gamma = autocovariance(x, lags)
    return gamma / gamma[0]


class LevinsonDurbin(NamedTuple):
    """`coefficients` (p,) of order p, `variances` (p + 1,) of orders 0 … p, `partial` (p,)."""

    coefficients: np.ndarray
    variances: np.ndarray
    partial: np.ndarray


def levinson_durbin(gamma: ArrayLike) -> LevinsonDurbin:
    """Solve the Yule-Walker equations Σ_k φ_k γ_|i-k| = γ_i, i = 1 … p, for all orders up to p at once.

    From the best predictor φ of order m, with error variance v_m, the next one follows:

        r = (γ_{m+1} - Σ_{k=1}^{m} φ_k γ_{m+1-k}) / v_m        the partial autocorrelation
        φ_k ← φ_k - r φ_{m+1-k},   φ_{m+1} = r,   v_{m+1} = v_m (1 - r²)

    That is 2p² operations, where a general solver takes p³/3 for the last order alone.

    Args:
        gamma: autocovariances γ_0 … γ_p, (p + 1,).

    References:
        Levinson, The Wiener RMS Error Criterion in Filter Design and Prediction, 1947.
        Durbin, The Fitting of Time-Series Models, 1960.

    >>> levinson_durbin([1.0, 0.5, 0.25]).coefficients  # an AR(1): the second is not needed
    array([0.5, 0. ])
    """
    gamma = np.asarray(gamma, dtype=np.float64)
    if gamma.ndim != 1 or len(gamma) < 2 or not np.isfinite(gamma).all():
        raise ValueError("gamma holds γ_0 … γ_p, at least two finite numbers")
    if gamma[0] <= 0:
        raise ValueError(f"γ_0 is a variance and must be positive, not {gamma[0]:g}")
    phi, v = np.zeros(0), gamma[0]
    variances, partial = [v], []
    for m in range(len(gamma) - 1):
        r = (gamma[m + 1] - phi @ gamma[m:0:-1]) / v
        if not abs(r) < 1:
            raise ValueError(
                f"γ is not the autocovariance of any series: partial autocorrelation {r:.4g} at lag "
                f"{m + 1}. Divide every lag by n, as `autocovariance` does, or take a lower order"
            )
        phi = np.append(phi - r * phi[::-1], r)
        v *= 1 - r**2
        partial.append(r)
        variances.append(v)
    return LevinsonDurbin(phi, np.array(variances), np.array(partial))


def pacf(x: ArrayLike, lags: int = 20) -> np.ndarray:
    """Partial autocorrelations 1, r_1, …, r_lags, (lags + 1,).

    The k-th is the correlation of x_t and x_{t-k} when the values between them are known. For an AR(p)
    it is zero beyond lag p, so it shows the order.

    >>> pacf([1.0, -1.0, 1.0, -1.0], 2).round(4)  # r_2 = (γ_2 - γ_1²) / (1 - γ_1²), γ_0 = 1
    array([ 1.    , -0.75  , -0.1429])
    """
    gamma = autocovariance(x, lags)
    return np.append(1.0, levinson_durbin(gamma).partial)


class LjungBox(NamedTuple):
    """The test's `statistic` Q, its `p_value`, and the number of `lags`."""

    statistic: float
    p_value: float
    lags: int


def ljung_box(residuals: ArrayLike, lags: int = 10, fitted: int = 0) -> LjungBox:
    """Is there correlation left in the residuals?

        Q = n (n + 2) Σ_{k=1}^{K} r_k² / (n - k), about χ² with K - fitted degrees of freedom

    when they are independent. A small p-value says: something is left that a model could predict.

    Args:
        residuals: (n,). lags: K. fitted: how many AR and MA coefficients were estimated.

    References:
        Ljung and Box, On a Measure of Lack of Fit in Time Series Models, 1978.

    >>> noise = np.random.default_rng(0).normal(size=200)
    >>> ljung_box(noise).p_value > 0.05, ljung_box(np.cumsum(noise)).p_value < 1e-6
    (True, True)
    """
    r = acf(residuals, lags)[1:]
    n, freedom = len(np.asarray(residuals)), lags - fitted
    if freedom < 1:
        raise ValueError(
            f"{lags} lags leave no freedom after {fitted} coefficients: take more lags"
        )
    q = n * (n + 2) * np.sum(r**2 / (n - np.arange(1, lags + 1)))
    return LjungBox(float(q), float(gammaincc(freedom / 2, q / 2)), int(lags))
