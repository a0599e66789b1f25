"""Autoregression: the next value is a weighted sum of the last p, and noise."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import lfilter, lfiltic

from .arima import ARIMA, arma_autocovariance, impulse_response
from .correlation import levinson_durbin, series
from .report import (
    LOG_2PI,
    Report,
    forecast_steps,
    is_stationary,
    require_stationary,
    rows,
    sample_count,
    standard_errors,
    step_down,
)

__all__ = ["AR", "burg"]

METHODS = ("ols", "yule_walker", "burg", "mle")


def burg(x: ArrayLike, order: int) -> tuple[np.ndarray, float]:
    """Burg's estimate: coefficients φ (p,) and the error variance σ².

    Predict forwards and backwards at once. With f_t and b_t the errors of order m of x_t from the m
    values before it, and of x_{t-m} from the m values after it, the partial autocorrelation that makes
    their squares smallest is

        r = 2 Σ f_t b_{t-1} / Σ (f_t² + b_{t-1}²),   f_t ← f_t - r b_{t-1},   b_t ← b_{t-1} - r f_t

    No window, no end taken as zero, and |r| <= 1: always stationary.

    References: Burg, Maximum Entropy Spectral Analysis, PhD thesis, Stanford, 1975.

    >>> phi, variance = burg(np.cos(np.arange(1000)), 2)  # x_t = 2 cos(1) x_{t-1} - x_{t-2}
    >>> phi.round(2), round(2 * math.cos(1), 2)
    (array([ 1.08, -1.  ]), 1.08)
    """
    x = series(x, least=order + 2, why=f"for order {order}")
    forward, backward = x[1:], x[:-1]
    phi, variance = np.zeros(0), float(np.mean(x**2))
    for _ in range(order):
        power = forward @ forward + backward @ backward
        r = 2 * (forward @ backward) / power if power > 0 else 0.0
        phi = np.append(phi - r * phi[::-1], r)
        variance *= 1 - r**2
        forward, backward = (forward - r * backward)[1:], (backward - r * forward)[:-1]
    return phi, variance


class AR(Report):
    """x_t = c + Σ_{k=1}^{p} φ_k x_{t-k} + ε_t,   ε_t ~ N(0, σ²).

    Args:
        order: p.
        method: how `fit` finds φ.
            "ols": least squares, the maximum of the likelihood given the first p values. It can come
                out unstable.
            "yule_walker": from the autocovariances, by Levinson and Durbin. Always stationary.
            "burg": least squares forwards and backwards at once. Always stationary.
            "mle": the exact likelihood, first values included. Always stationary.
        constant: whether there is a c; without, the series is taken to have mean zero, as sound has.

    After `fit` or `set`: `coefficients` φ (p,), `intercept` c, `sigma`, `mean` c / (1 - Σ φ).

    References:
        Yule, On a Method of Investigating Periodicities in Disturbed Series, 1927.
        Box, Jenkins, Reinsel and Ljung, Time Series Analysis, 5th edition, 2015, chapter 3.

    >>> model = AR(1).set([0.5], sigma=2.0)
    >>> round(model.log_prob([1.0]), 4)  # the first value has variance 4 / (1 - ¼)
    -1.8497
    """

    def __init__(self, order: int, method: str = "ols", constant: bool = True) -> None:
        if isinstance(order, bool) or not isinstance(order, int | np.integer) or order < 1:
            raise ValueError(
                f"order counts the values that are looked at, at least 1, not {order!r}"
            )
        if method not in METHODS:
            raise ValueError(f"method is one of {', '.join(METHODS)}, not {method!r}")
        self.order, self.method, self.constant = int(order), method, constant
        self.set(np.zeros(order))

    def __repr__(self) -> str:
        return f"AR({self.order}, {self.method!r})"

    @property
    def n_lag_parameters(self) -> int:
        """p."""
        return self.order

    @property
    def n_parameters(self) -> int:
        """p, σ², and c if there is one."""
        return self.order + 1 + self.constant

    def set(self, coefficients: ArrayLike, intercept: float = 0.0, sigma: float = 1.0) -> AR:
        """Give φ (p,), c and σ instead of fitting them."""
        phi = np.array(coefficients, dtype=np.float64)
        if phi.shape != (self.order,) or not np.isfinite(phi).all():
            raise ValueError(f"{self} has {self.order} finite coefficients, not {phi}")
        if not (np.isfinite(sigma) and sigma > 0):
            raise ValueError(f"sigma is a standard deviation and must be positive, not {sigma}")
        self.coefficients, self.intercept, self.sigma = phi, float(intercept), float(sigma)
        return self

    @property
    def mean(self) -> float:
        """c / (1 - Σ φ), the level that the series returns to if it is stationary."""
        rest = 1 - float(self.coefficients.sum())
        if self.intercept == 0:
            return 0.0
        return self.intercept / rest if rest else math.inf

    @property
    def roots(self) -> np.ndarray:
        """Roots of z^p - φ_1 z^{p-1} - … - φ_p, (p,): each is a mode that changes by it at every step.

        The series is stationary if all lie inside the unit circle. (Books that write the polynomial in
        the lag, 1 - φ_1 B - …, find their reciprocals, outside it.)
        """
        return np.roots(np.append(1.0, -self.coefficients))

    @property
    def is_stationary(self) -> bool:
        """Whether all roots lie inside the unit circle."""
        return is_stationary(self.coefficients)

    # -------- fitting

    def fit(self, x: ArrayLike) -> AR:
        """Estimate φ, c and σ from x (n,)."""
        p = self.order
        x = series(x, least=2 * p + 2 + self.constant, why=f"for {self}")
        mean = x.mean() if self.constant else 0.0
        self.converged, self.message = True, "closed form"
        if self.method == "ols":
            columns = [x[p - k : len(x) - k] for k in range(1, p + 1)]
            columns += [np.ones(len(x) - p)] * self.constant
            past = np.stack(columns, axis=1)  # (n - p, p + 1)
            found = np.linalg.lstsq(past, x[p:], rcond=None)[0]
            phi, intercept = found[:p], float(found[p]) if self.constant else 0.0
            variance = np.mean((x[p:] - past @ found) ** 2)
        elif self.method == "mle":
            model = ARIMA((p, 0, 0), constant=self.constant).fit(x)
            phi, mean, variance = model.ar, model.mean, model.sigma**2
            intercept = mean * (1 - phi.sum())
            self.converged, self.message = model.converged, model.message
        else:
            if self.method == "burg":
                phi, variance = burg(x - mean, p)
            else:
                phi, variances, _ = levinson_durbin(_autocovariance(x - mean, p))
                variance = variances[-1]
            intercept = mean * (1 - phi.sum())
        if not variance > 1e-20 * np.mean(x**2):
            raise ValueError(
                f"{self} predicts the series without any error: a density needs some. Take a lower order"
            )
        self.set(phi, intercept, math.sqrt(variance))
        self._x = x
        start = "stationary" if self.is_stationary else "given"
        self._start = "given" if self.method == "ols" else start
        errors, scale = self._errors(x[None], self._start)
        self.residuals = (errors / scale)[0]
        self.nobs = len(self.residuals)
        self.log_likelihood = self.log_prob(x, self._start)
        return self

    # -------- the density

    def residuals_of(self, x: ArrayLike, start: str = "zero") -> np.ndarray:
        """ε_t = x_t - c - Σ φ_k x_{t-k}: x (..., n) -> (..., n), or (..., n - p) for start="given"."""
        flat, batch = rows(x)
        errors, _ = self._errors(flat, start)
        return errors.reshape(*batch, -1)

    def _errors(self, x: np.ndarray, start: str) -> tuple[np.ndarray, np.ndarray]:
        """One-step errors (B, m) and their standard deviations (m,)."""
        p, n = self.order, x.shape[1]
        errors = lfilter(np.append(1.0, -self.coefficients), 1.0, x, axis=1) - self.intercept
        scale = np.full(n, self.sigma)
        if start == "zero":
            return errors, scale
        if start == "given":
            if n <= p:
                raise ValueError(f"x is too short: {n} values, the first {p} are given")
            return errors[:, p:], scale[p:]
        if start != "stationary":
            raise ValueError(f'start is "stationary", "given" or "zero", not {start!r}')
        require_stationary(self.coefficients, "coefficients")
        predictors, partial = step_down(self.coefficients)
        widths = self.sigma / np.sqrt(np.cumprod(1 - partial[::-1] ** 2))[::-1]  # orders 0 … p-1
        centred = x - self.mean
        for t in range(min(p, n)):  # the chain rule: x_t from the t values there are
            errors[:, t] = centred[:, t] - centred[:, :t][:, ::-1] @ predictors[t]
            scale[t] = widths[t]
        return errors, scale

    def log_prob(self, x: ArrayLike, start: str = "stationary") -> np.ndarray | float:
        """log p(x) = Σ_t log N(x_t; c + Σ φ_k x_{t-k}, σ²) in nats: x (..., n) -> (...).

        Args:
            start: what is taken to stand before x.
                "stationary": the model has run for ever. The exact density of x.
                "given": the first p values are known; only those after them count.
                "zero": silence. What a WaveNet does, which pads with zeros.
        """
        flat, batch = rows(x)
        errors, scale = self._errors(flat, start)
        out = -(0.5 * LOG_2PI + np.log(scale) + 0.5 * (errors / scale) ** 2).sum(axis=1)
        return out.reshape(batch) if batch else float(out[0])

    def spectrum(self, frequency: ArrayLike) -> np.ndarray:
        """Power σ² / |1 - Σ φ_k e^{-2πi f k}|² at the frequencies f in cycles a step, 0 … ½."""
        angle = 2 * np.pi * np.asarray(frequency, dtype=np.float64)
        k = np.arange(1, self.order + 1)
        return (
            self.sigma**2 / np.abs(1 - np.exp(-1j * angle[..., None] * k) @ self.coefficients) ** 2
        )

    def autocovariance(self, lags: int) -> np.ndarray:
        """γ_0 … γ_lags of the model."""
        return arma_autocovariance(self.coefficients, [], lags, self.sigma)

    # -------- what it is good for

    def forecast(self, h: int, x: ArrayLike | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the h values after x (the fitted series by default), (h,) each.

        The mean goes on by itself, x̂_{t+j} = c + Σ φ_k x̂_{t+j-k}. Noise enters at every step and is
        passed on: variance_j = σ² Σ_{i<j} ψ_i², ψ the impulse response.
        """
        h = forecast_steps(h)
        if x is None:
            self._need_fit()
            x = self._x
        x = series(x, least=self.order, constant=True, why=f"for {self}")
        zi = lfiltic([1.0], np.append(1.0, -self.coefficients), x[: -self.order - 1 : -1])
        mean = lfilter(
            [1.0], np.append(1.0, -self.coefficients), np.full(h, self.intercept), zi=zi
        )[0]
        psi = impulse_response(self.coefficients, [], h)
        return mean, self.sigma * np.sqrt(np.cumsum(psi**2))

    def simulate(
        self, n: int, seed: int | np.random.Generator = 0, start: str = "stationary"
    ) -> np.ndarray:
        """Draw a series (n,).

        Args:
            start: "stationary", or "zero": from silence, which an unstable model needs.
        """
        n, rng = sample_count(n), np.random.default_rng(seed)
        noise = self.sigma * rng.standard_normal(n)
        a = np.append(1.0, -self.coefficients)
        if start == "zero":
            return lfilter([1.0], a, self.intercept + noise)
        if start != "stationary":
            raise ValueError(f'start is "stationary" or "zero", not {start!r}')
        require_stationary(self.coefficients, "coefficients")
        predictors, partial = step_down(self.coefficients)
        widths = 1 / np.sqrt(np.cumprod(1 - partial[::-1] ** 2))[::-1]  # orders 0 … p-1, σ = 1
        x = np.empty(n)
        p = min(self.order, n)
        for t in range(p):
            x[t] = x[:t][::-1] @ predictors[t] + widths[t] * noise[t]
        if n > p:
            zi = lfiltic([1.0], a, x[:p][::-1])
            x[p:] = lfilter([1.0], a, noise[p:], zi=zi)[0]
        return self.mean + x

    def estimates(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Names, values and standard errors (from the curvature of the log-likelihood)."""
        self._need_fit()
        names = [f"ar.L{k}" for k in range(1, self.order + 1)] + ["const"] * self.constant
        point = np.concatenate([self.coefficients, [self.intercept] * self.constant])
        point = np.append(point, self.sigma**2)
        steps = np.full(len(point), 1e-4)
        steps[self.order : -1], steps[-1] = 1e-3 * self.sigma, 1e-3 * self.sigma**2

        def value(at: np.ndarray) -> float:
            other = AR(self.order, self.method, self.constant)
            c = at[-2] if self.constant else 0.0
            try:
                other.set(at[: self.order], c, math.sqrt(at[-1]))
                return other.log_prob(self._x, self._start)
            except ValueError:  # the step left what is stationary
                return -np.inf

        return [*names, "sigma2"], point, standard_errors(value, point, steps)


def _autocovariance(x: np.ndarray, lags: int) -> np.ndarray:
    """As `autocovariance`, for a series whose mean is already what it should be."""
    return np.array([x[k:] @ x[: len(x) - k] for k in range(lags + 1)]) / len(x)
