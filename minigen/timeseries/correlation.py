"""Chapter 5: how a series hangs together. Autocovariance, partial autocorrelation, Levinson and Durbin.

What the models share of the recursion stands here, too: from partial autocorrelations to coefficients
and back, and the condition for a stationary model.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaincc

from ..compiled import compiled
from ..gaussian import unmasked

LOG_2PI = math.log(2 * math.pi)


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
    x = unmasked(x)
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
    largest = np.abs(seen).max(initial=0)
    if not (largest == 0 or 1e-150 < largest < 1e150):
        raise ValueError(
            f"{name} goes up to {largest:g}, whose square is no number: change its unit"
        )
    if not constant and np.ptp(seen) <= 1e-13 * largest:
        raise ValueError(f"{name} is constant (every value is {seen[0]:g}): nothing varies")
    return x


def whole(name: str, value: int, least: int = 1, most: float = math.inf) -> int:
    """A whole number within limits, or an error that names it."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} is a whole number of at least {least}, not {value!r}")
    if value > most:
        raise ValueError(f"{name} is at most {most} here, not {value}")
    return int(value)


def rows(x: ArrayLike, missing: bool = False) -> tuple[np.ndarray, tuple[int, ...]]:
    """Series (..., n) as a matrix (B, n) of checked rows, and the shape (...) of the batch."""
    x = unmasked(x)
    if x.ndim < 2:
        return series(x, missing=missing, constant=True, least=1)[None], ()
    flat = x.reshape(-1, x.shape[-1])
    checked = [series(row, missing=missing, constant=True, least=1) for row in flat]
    return np.stack(checked), x.shape[:-1]


# ---------------------------------------------------------------- estimates from a series
def autocovariance(x: ArrayLike, lags: int) -> np.ndarray:
    """γ_k = (1/n) Σ_t (x_t - x̄)(x_{t-k} - x̄) for k = 0 … lags.

    Dividing by n and not by n - k keeps every matrix of γ_|i-j| positive definite, which the
    Yule-Walker equations need.

    >>> autocovariance([1.0, -1.0, 1.0, -1.0], 2)
    array([ 1.  , -0.75,  0.5 ])
    """
    x = series(x)
    lags = whole("lags", lags, most=len(x) - 1)
    x = x - x.mean()
    return np.array([x[k:] @ x[: len(x) - k] for k in range(lags + 1)]) / len(x)


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

    That is 2p² operations, where a Cholesky factor takes p³/3 for the last order alone.

    Args: gamma: autocovariances γ_0 … γ_p, (p + 1,).

    References: Levinson, The Wiener RMS Error Criterion in Filter Design and Prediction, 1946. Durbin, The
    Fitting of Time-Series Models, 1960.

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

    Args: residuals: (n,). lags: K. fitted: how many AR and MA coefficients were estimated.

    References: Ljung and Box, On a Measure of Lack of Fit in Time Series Models, 1978.

    >>> noise = np.random.default_rng(0).normal(size=200)
    >>> ljung_box(noise).p_value > 0.05, ljung_box(np.cumsum(noise)).p_value < 1e-6
    (True, True)
    """
    gamma = autocovariance(residuals, lags)
    r, n, freedom = gamma[1:] / gamma[0], len(np.asarray(residuals)), lags - fitted
    if freedom < 1:
        raise ValueError(f"{lags} lags leave no freedom after {fitted} coefficients: take more")
    q = n * (n + 2) * np.sum(r**2 / (n - np.arange(1, lags + 1)))
    return LjungBox(float(q), float(gammaincc(freedom / 2, q / 2)), int(lags))


# ---------------------------------------------------------------- coefficients and partial autocorrelations
def partial_to_ar(partial: ArrayLike) -> np.ndarray:
    """Partial autocorrelations r_1 … r_p, each in (-1, 1) -> the coefficients φ (p,) with these.

    Every choice gives a stationary model and every stationary model has one, so a maximiser may move
    r freely. The step from order m to m + 1 is that of Levinson and Durbin:

        φ_k ← φ_k - r φ_{m+1-k} for k = 1 … m,   φ_{m+1} = r

    References: Barndorff-Nielsen and Schou, On the Parametrization of Autoregressive Models by Partial
    Autocorrelations, 1973.

    >>> partial_to_ar([0.5, -0.8])
    array([ 0.9, -0.8])
    """
    return _partial_to_ar(np.asarray(partial, dtype=np.float64))


@compiled(error_model="numpy")
def _partial_to_ar(partial):  # pragma: no cover (compiled)
    phi = partial.copy()
    for m in range(1, len(phi)):
        phi[:m] -= phi[m] * phi[:m][::-1].copy()
    return phi


def step_down(phi: ArrayLike) -> tuple[list[np.ndarray], np.ndarray]:
    """The way back: φ (p,) -> the predictors of orders 0 … p, and the partial autocorrelations (p,).

        φ_k ← (φ_k + r φ_{m-k}) / (1 - r²) for k = 1 … m - 1,   r = φ_m

    written as half of (φ_k + φ_{m-k}) / (1 - r) + (φ_k - φ_{m-k}) / (1 + r), which keeps its digits near
    a unit root. The model is stationary if and only if every |r| < 1. At the first r that is not, the
    recursion stops and the rest of the partial autocorrelations are NaN.

    >>> predictors, partial = step_down([0.9, -0.8])
    >>> partial
    array([ 0.5, -0.8])
    """
    predictors, partial = _step_down(np.asarray(phi, dtype=np.float64))
    return [predictors[m, :m] for m in range(len(partial) + 1)], partial


@compiled(error_model="numpy")
def _step_down(phi):  # pragma: no cover (compiled)
    """Predictors as rows (p + 1, p), and the partial autocorrelations (p,)."""
    p = len(phi)
    predictors, partial = np.zeros((p + 1, p)), np.full(p, np.nan)
    predictors[p] = phi
    for m in range(p, 0, -1):
        r = partial[m - 1] = predictors[m, m - 1]
        if not abs(r) < 1:
            break
        for k in range(m - 1):
            a, b = predictors[m, k], predictors[m, m - 2 - k]
            predictors[m - 1, k] = ((a + b) / (1 - r) + (a - b) / (1 + r)) / 2
    return predictors, partial


@compiled(error_model="numpy")
def chain_rule_factor(phi, n):  # pragma: no cover (compiled)
    """n values of a stationary AR with Var ε = 1, the oldest first, as L e: L (n, n) from Var e = 1.

    The k-th is predicted from the k before it, or the last p of them; Levinson and Durbin's variances
    1 / Π_{j>k} (1 - r_j²) are products, without a difference of large numbers.
    """
    predictors, partial = _step_down(phi)
    p, L = len(phi), np.zeros((n, n))
    for k in range(n):
        m = min(k, p)
        for j in range(m):
            L[k, :k] += predictors[m, j] * L[k - 1 - j, :k]
        L[k, k] = 1.0
        for j in range(m, p):
            L[k, k] /= math.sqrt((1 - partial[j]) * (1 + partial[j]))
    return L


def is_stationary(phi: ArrayLike) -> bool:
    """Whether every root of 1 - φ_1 z - … - φ_p z^p lies outside the unit circle."""
    return bool((np.abs(step_down(phi)[1]) < 1).all())


def require_stationary(phi: ArrayLike, name: str, word: str = "stationary") -> np.ndarray:
    """φ (p,) as an array, or an error that says which root is at fault."""
    phi = np.atleast_1d(np.asarray(phi, dtype=np.float64))
    if phi.ndim != 1 or not np.isfinite(phi).all():
        raise ValueError(f"{name} is a list of finite coefficients, not {phi}")
    if not is_stationary(phi):
        modulus = np.abs(np.roots(np.r_[1.0, -phi])).max()
        raise ValueError(
            f"{name} = {np.round(phi, 4).tolist()} is not {word}: its slowest mode changes by the "
            f"factor {modulus:.4g} at each step, which must be below 1. Make the coefficients smaller"
            + (", or difference the series (d + 1)" if word == "stationary" else "")
        )
    return phi
