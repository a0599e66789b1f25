"""Chapter 5: what every fitted model of a series shares. The search for the maximum, and the report."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from .. import ConvergenceWarning
from .correlation import LjungBox, ljung_box

EDGE = 1 - 1e-7  # the largest partial autocorrelation that the search may try


def free_to_partial(free: np.ndarray) -> np.ndarray:
    """Any real numbers -> (-1, 1)."""
    return EDGE * np.tanh(free)


def partial_to_free(partial: np.ndarray) -> np.ndarray:
    """The inverse of `free_to_partial`."""
    return np.arctanh(np.clip(partial / EDGE, -0.999999, 0.999999))


# ---------------------------------------------------------------- the search
class Maximum(NamedTuple):
    """Where a function is largest: `point`, its `value`, and whether the search ended well."""

    point: np.ndarray
    value: float
    converged: bool
    message: str


def maximise(
    function: Callable[[np.ndarray], float],
    starts: Sequence[np.ndarray],
    iterations: int,
    tolerance: float = 1e-4,
) -> Maximum:
    """The largest maximum that BFGS reaches, from the best start and then from good ones far from all that
    was visited, until it comes again and again: starts side by side would agree on a lesser top.

    Args:
        function: a mean log-likelihood in nats, of free parameters (k,). Where it is not a number, or numbers
            overflow, the point is no maximum.
        starts: where the search may begin. iterations: of BFGS, from each start.
        tolerance: it has converged when no entry of the gradient is larger.
    """

    def loss(point: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            value = function(point)
        return -value if math.isfinite(value) else 1e10

    if len(starts[0]) == 0:
        return Maximum(starts[0], -loss(starts[0]), True, "nothing to estimate but mean and scale")

    def loss_and_slope(point: np.ndarray) -> tuple[float, np.ndarray]:
        value = loss(point)
        steps = 1e-6 * np.eye(len(point))
        return value, np.array([(loss(point + e) - value) / 1e-6 for e in steps])

    k, found, options = len(starts[0]), [], {"method": "BFGS"}
    options["options"] = {"maxiter": iterations}
    losses = np.array([loss(start) for start in starts])
    score, here = -0.6 * losses.argsort().argsort() / len(starts), np.tanh(starts)
    far = np.zeros(len(starts))  # from all places that have been visited
    while len(found) < min(4 + 2 * k, len(starts)):
        first = int(np.argmax(far + score))
        found.append(minimize(loss_and_slope, starts[first], jac=True, **options))
        visited = np.tanh([starts[first], found[-1].x])
        near = np.abs(here[:, None] - visited).max(2).min(1)
        far = near if len(found) == 1 else np.minimum(far, near)
        score[first] = -math.inf
        best = min(found, key=lambda result: result.fun)
        if sum(result.fun < best.fun + 1e-6 for result in found) > min(k, 3):
            break
    shifts = 1e-5 * np.eye(k)  # central differences
    steepest = max(abs(loss(best.x + e) - loss(best.x - e)) for e in shifts) / 2e-5
    message = f"largest slope {steepest:.1e} nats per value after {best.nit} steps"
    return Maximum(best.x, float(-best.fun), bool(steepest < tolerance), message)


def standard_errors(function: Callable, point: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Square roots of the diagonal of (-H)⁻¹, H the Hessian of the log-likelihood at its maximum.

    H by central differences with a step for each coordinate. NaN for all where the likelihood is not
    curved downwards there, as at a unit root.
    """

    def value(at: np.ndarray) -> float:
        try:
            return function(at)
        except ValueError:  # the step left what is stationary
            return -math.inf

    k, shifts = len(point), np.diag(steps)
    H = np.empty((k, k))
    for i in range(k):
        for j in range(i + 1):
            a, b = shifts[i], shifts[j]
            corners = value(point + a + b) - value(point + a - b)
            corners -= value(point - a + b) - value(point - a - b)
            H[i, j] = H[j, i] = corners / (4 * steps[i] * steps[j])
    scaled = -H * np.outer(steps, steps)  # in units of the steps, whatever the data's units
    if not np.isfinite(scaled).all() or np.linalg.eigvalsh(scaled).min() <= 0:
        return np.full(k, np.nan)
    return np.sqrt(np.diag(np.linalg.inv(scaled))) * steps


def warn(maximum: Maximum, partial: dict[str, np.ndarray], name: str) -> None:
    """Say what to do when the search failed, or when it ended at a unit root."""
    if not maximum.converged:
        warnings.warn(
            f"the likelihood of {name} did not converge ({maximum.message}): allow more iterations, "
            "or take a lower order",
            ConvergenceWarning,
            stacklevel=3,
        )
    advice = {
        "ar": "a unit root: difference the series once more (d + 1, or the seasonal D + 1)",
        "ma": "a difference too many: difference once less, or take a lower order",
        "d": "d = ±½: near ½ difference the series once more, near -½ once less",
    }
    for kind, values in partial.items():
        if len(values) and np.abs(values).max() > (0.95 if kind == "d" else 0.995):
            warnings.warn(
                f"the {kind.upper()} part of {name} lies at the edge of what is allowed, which looks "
                f"like {advice[kind]}",
                ConvergenceWarning,
                stacklevel=3,
            )


# ---------------------------------------------------------------- the report
class Report:
    """Criteria, diagnostics and a summary for a model with `estimates()` and a fitted series.

    A model sets, when it is fitted: `log_likelihood`, `nobs` (values that count in it), `converged`, `message`,
    and `residuals` (standardised one-step errors); and has `n_parameters`. The criteria of models are
    comparable when the same values count: not over different d, nor, by least squares, over different orders.
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

        Args: lags: how many; by default 10, or a fifth of a short series, and more than were fitted.
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
        left = "nothing left to predict is seen" if test.p_value > 0.05 else "something is left"
        lines += [
            f"log-likelihood {self.log_likelihood:.4f}   AIC {self.aic:.2f}   BIC {self.bic:.2f}",
            f"Ljung-Box Q({test.lags}) = {test.statistic:.2f}, p = {test.p_value:.3f} ({left})",
            "converged" if self.converged else f"NOT converged, do not trust it: {self.message}",
        ]
        return "\n".join(lines)
