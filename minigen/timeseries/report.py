"""What every model of a series shares: checks of the input, safe parameters, the maximiser, the report."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from .. import ConvergenceWarning
from .correlation import LjungBox, ljung_box, series

__all__ = ["Maximum", "maximise", "partial_to_ar", "step_down"]

LOG_2PI = math.log(2 * math.pi)
EDGE = 1 - 1e-7  # the largest partial autocorrelation that the maximiser may try


# ---------------------------------------------------------------- parameters that stay stationary


def partial_to_ar(partial: ArrayLike) -> np.ndarray:
    """Partial autocorrelations r_1 … r_p, each in (-1, 1) -> the coefficients φ (p,) with these.

    Every choice gives a stationary model and every stationary model has one, so a maximiser may move
    r freely. The step from order m to m + 1 is that of Levinson and Durbin:

        φ_k ← φ_k - r φ_{m+1-k} for k = 1 … m,   φ_{m+1} = r

    References:
        Barndorff-Nielsen and Schou, On the Parametrization of Autoregressive Models by Partial
        Autocorrelations, 1973.

    >>> partial_to_ar([0.5, -0.8])
    array([ 0.9, -0.8])
    """
    phi = np.zeros(0)
    for r in np.asarray(partial, dtype=np.float64):
        phi = np.append(phi - r * phi[::-1], r)
    return phi


def step_down(phi: ArrayLike) -> tuple[list[np.ndarray], np.ndarray]:
    """The way back: φ (p,) -> the predictors of orders 0 … p, and the partial autocorrelations (p,).

        φ_k ← (φ_k + r φ_{m-k}) / (1 - r²) for k = 1 … m - 1,   r = φ_m

    The model is stationary if and only if every |r| < 1. At the first r that is not, the recursion
    stops and the rest of the partial autocorrelations are NaN.

    >>> predictors, partial = step_down([0.9, -0.8])
    >>> partial
    array([ 0.5, -0.8])
    """
    phi = np.asarray(phi, dtype=np.float64)
    predictors, partial = [phi], np.full(len(phi), np.nan)
    for m in range(len(phi), 0, -1):
        r = partial[m - 1] = phi[m - 1]
        if not abs(r) < 1:
            return predictors, partial
        phi = (phi[: m - 1] + r * phi[: m - 1][::-1]) / (1 - r**2)
        predictors.insert(0, phi)
    return predictors, partial


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


def free_to_partial(free: np.ndarray) -> np.ndarray:
    """Any real numbers -> (-1, 1)."""
    return EDGE * np.tanh(free)


def partial_to_free(partial: np.ndarray) -> np.ndarray:
    """The inverse of `free_to_partial`."""
    return np.arctanh(np.clip(partial / EDGE, -0.999999, 0.999999))


# ---------------------------------------------------------------- the maximiser


class Maximum(NamedTuple):
    """Where a function is largest: `point`, its `value`, and whether the search ended well."""

    point: np.ndarray
    value: float
    converged: bool
    message: str


def gradient(function: Callable, point: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """∂f/∂x_i by central differences, (k,)."""
    shifts = step * np.eye(len(point))
    return np.array([(function(point + e) - function(point - e)) / (2 * step) for e in shifts])


def hessian(function: Callable, point: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """∂²f/∂x_i ∂x_j by central differences with a step for each coordinate, (k, k)."""
    k = len(point)
    shifts = np.diag(steps)
    out = np.empty((k, k))
    for i in range(k):
        for j in range(i + 1):
            a, b = shifts[i], shifts[j]
            corners = function(point + a + b) - function(point + a - b)
            corners -= function(point - a + b) - function(point - a - b)
            out[i, j] = out[j, i] = corners / (4 * steps[i] * steps[j])
    return out


def maximise(
    function: Callable[[np.ndarray], float],
    starts: Sequence[np.ndarray],
    iterations: int,
    tolerance: float = 1e-4,
) -> Maximum:
    """The largest of the maxima that BFGS reaches from each start.

    Args:
        function: a mean log-likelihood in nats, of free parameters (k,).
        starts: where to begin.
        iterations: of BFGS, from each start.
        tolerance: it has converged when no entry of the gradient is larger.
    """
    if len(starts[0]) == 0:
        return Maximum(
            starts[0], function(starts[0]), True, "nothing to estimate but mean and scale"
        )

    def loss(point: np.ndarray) -> float:
        value = function(point)
        return -value if np.isfinite(value) else 1e10

    options = {"maxiter": iterations}
    found = [minimize(loss, start, method="BFGS", options=options) for start in starts]
    best = min(found, key=lambda result: result.fun)
    slope = np.abs(gradient(function, best.x)).max()
    converged = bool(slope < tolerance)
    message = f"largest slope {slope:.1e} nats a value after {best.nit} steps"
    return Maximum(best.x, -best.fun, converged, message)


def warn_if_stuck(maximum: Maximum, partial: dict[str, np.ndarray], name: str) -> None:
    """Say what to do when the search failed, or when it ended at a unit root."""
    if not maximum.converged:
        warnings.warn(
            f"the likelihood of {name} did not converge ({maximum.message}): allow more iterations, "
            "give `start` values, scale the series to a standard deviation near 1, or take a lower order",
            ConvergenceWarning,
            stacklevel=3,
        )
    advice = {
        "ar": "a unit root: difference the series once more (d + 1, or the seasonal D + 1)",
        "ma": "a difference too many: difference once less, or take a lower order",
        "d": "d = ±½: near ½ difference the series once more, near -½ once less",
    }
    for kind, values in partial.items():
        if len(values) and np.abs(values).max() > 0.995:
            warnings.warn(
                f"the {kind.upper()} part of {name} lies at the edge of what is allowed, which looks like "
                f"{advice[kind]}",
                ConvergenceWarning,
                stacklevel=3,
            )


# ---------------------------------------------------------------- what a fitted model reports


class Report:
    """Criteria, diagnostics and a summary for a model with `estimates()` and a fitted series.

    A model sets, when it is fitted: `log_likelihood`, `nobs` (values that count in it), `converged`,
    `message`, and gives `residuals` (standardised one-step errors) and `n_parameters`.
    """

    log_likelihood: float
    nobs: int
    converged: bool
    message: str

    def _need_fit(self) -> None:
        if not hasattr(self, "log_likelihood"):
            raise ValueError(f"{self} has seen no series yet: call fit(x) first")

    @property
    def aic(self) -> float:
        """-2 log L + 2 k, k the number of estimated parameters: smaller is better."""
        self._need_fit()
        return -2 * self.log_likelihood + 2 * self.n_parameters

    @property
    def bic(self) -> float:
        """-2 log L + k log n: smaller is better."""
        self._need_fit()
        return -2 * self.log_likelihood + self.n_parameters * math.log(self.nobs)

    def diagnostics(self, lags: int | None = None) -> LjungBox:
        """Ljung and Box's test that nothing is left to predict in the residuals.

        Args:
            lags: how many; by default 10, or a fifth of a short series, and more than were fitted.
        """
        self._need_fit()
        clean = self.residuals[np.isfinite(self.residuals)]
        fitted = self.n_lag_parameters
        if lags is None:
            lags = max(min(10, len(clean) // 5), fitted + 1)
        return ljung_box(clean, lags, fitted)

    def summary(self) -> str:
        """A table of the estimates with standard errors, the criteria and the diagnostics."""
        self._need_fit()
        names, values, errors = self.estimates()
        lines = [f"{self}: {self.nobs} values", f"{'':<8}{'estimate':>12}{'std error':>12}{'z':>9}"]
        for name, value, error in zip(names, values, errors, strict=True):
            z = f"{value / error:9.2f}" if error > 0 and not name.startswith("sigma") else f"{'':9}"
            shown = f"{error:12.4g}" if error > 0 else f"{'-':>12}"
            lines.append(f"{name:<8}{value:12.4g}{shown}{z}".rstrip())
        test = self.diagnostics()
        lines.append(
            f"log-likelihood {self.log_likelihood:.4f}   AIC {self.aic:.2f}   BIC {self.bic:.2f}"
        )
        lines.append(
            f"Ljung-Box Q({test.lags}) = {test.statistic:.2f}, p = {test.p_value:.3f}"
            f" ({'nothing left to predict is seen' if test.p_value > 0.05 else 'something is left'})"
        )
        lines.append(
            "converged" if self.converged else f"NOT converged, do not trust it: {self.message}"
        )
        return "\n".join(lines)


def standard_errors(function: Callable, point: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Square roots of the diagonal of (-H)⁻¹, H the Hessian of the log-likelihood at its maximum.

    NaN for all where the likelihood is not curved downwards there, as at a unit root.
    """
    information = -hessian(function, point, steps)
    try:
        np.linalg.cholesky(information)  # positive definite?
    except np.linalg.LinAlgError:
        return np.full(len(point), np.nan)
    return np.sqrt(np.diag(np.linalg.inv(information)))


def forecast_steps(h: int) -> int:
    """h as a count of at least one step."""
    if isinstance(h, bool) or not isinstance(h, int | np.integer) or h < 1:
        raise ValueError(f"h counts the steps to forecast, at least 1, not {h!r}")
    return int(h)


def sample_count(n: int) -> int:
    """n as a count of at least one value."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"n counts the values to draw, at least 1, not {n!r}")
    return int(n)


def rows(x: ArrayLike, missing: bool = False) -> tuple[np.ndarray, tuple[int, ...]]:
    """Series (..., n) as a matrix (B, n) of checked rows, and the shape (...) of the batch."""
    x = np.asarray(x)
    if x.ndim < 2:
        return series(x, missing=missing, constant=True, least=1)[None], ()
    flat = x.reshape(-1, x.shape[-1])
    return (
        np.stack([series(row, missing=missing, constant=True, least=1) for row in flat]),
        x.shape[:-1],
    )
