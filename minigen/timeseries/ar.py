"""Chapter 5: autoregression. The next value is a weighted sum of the last p, and noise."""

import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular
from scipy.signal import lfilter, lfiltic

from ..gaussian import Seed
from .arima import ARIMA
from .arma import arma_autocovariance, impulse_response
from .correlation import (
    LOG_2PI,
    chain_rule_factor,
    is_stationary,
    levinson_durbin,
    require_stationary,
    rows,
    series,
    whole,
)
from .report import Report, standard_errors

METHODS = ("ols", "yule_walker", "burg", "mle")


def burg(x: ArrayLike, order: int) -> tuple[np.ndarray, float]:
    """Burg's estimate: coefficients φ (p,) and the error variance σ².

    Predict forwards and backwards at once. With f_t and b_t the errors of order m of x_t from the m
    values before it, and of x_{t-m} from the m values after it, the partial autocorrelation that makes
    their squares smallest is

        r = 2 Σ f_t b_{t-1} / Σ (f_t² + b_{t-1}²),   f_t ← f_t - r b_{t-1},   b_t ← b_{t-1} - r f_t

    No window, no end taken as zero, and |r| <= 1: never unstable.

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

    After `fit`: `coefficients` φ (p,), `intercept` c, `sigma`, and `mean` c / (1 - Σ φ), the level that
    the series returns to if it is stationary.

    References: Yule, On a Method of Investigating Periodicities in Disturbed Series, 1927. Box, Jenkins,
    Reinsel and Ljung, Time Series Analysis, 5th edition, 2015, chapter 3.

    >>> model = AR.from_parameters([0.5], sigma=2.0)
    >>> round(model.log_prob([1.0]), 4)  # the first value has variance 4 / (1 - ¼)
    -1.8497
    """

    def __init__(self, order: int, method: str = "ols", constant: bool = True) -> None:
        if method not in METHODS:
            raise ValueError(f"method is one of {', '.join(METHODS)}, not {method!r}")
        self.order, self.method, self.constant = whole("order", order), method, constant
        self.n_lag_parameters, self.n_parameters = order, order + 1 + constant  # p; σ², c
        self._assign(np.zeros(order), 0.0, 0.0, 1.0)

    @classmethod
    def from_parameters(
        cls, coefficients: ArrayLike, intercept: float = 0.0, sigma: float = 1.0
    ) -> Self:
        """The model with φ (p,), c and σ."""
        phi = np.array(coefficients, dtype=np.float64)
        if phi.ndim != 1 or not len(phi) or not np.isfinite([*phi, intercept]).all():
            raise ValueError(f"coefficients (p,) and intercept are finite, not {phi}, {intercept}")
        if not (np.isfinite(sigma) and sigma > 0):
            raise ValueError(f"sigma is a standard deviation and must be positive, not {sigma}")
        rest, model = 1 - float(phi.sum()), cls(len(phi), constant=bool(intercept))
        mean = 0.0 if intercept == 0 else intercept / rest if rest else math.inf
        model._assign(phi, intercept, mean, sigma)
        return model

    def _assign(self, phi: np.ndarray, intercept: float, mean: float, sigma: float) -> None:
        self.coefficients, self.sigma = phi, float(sigma)
        self.intercept, self.mean = float(intercept), float(mean)

    def __repr__(self) -> str:
        return f"AR({self.order}, {self.method!r})"

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
    def fit(self, x: ArrayLike) -> Self:
        """Estimate φ, c and σ from x (n,)."""
        p = self.order
        x = series(x, least=2 * p + 2 + self.constant, why=f"for {self}")
        level = x.mean() if self.constant else 0.0
        unit = math.sqrt(np.mean((x - level) ** 2))
        z, mean, c = (x - level) / unit, 0.0, 0.0  # of mean and size 1: the units do not matter
        self.converged, self.message = True, "closed form"
        if self.method == "ols":
            columns = [z[p - k : len(z) - k] for k in range(1, p + 1)]
            columns += [np.ones(len(z) - p)] * self.constant
            past = np.stack(columns, axis=1)  # (n - p, p + 1)
            found = np.linalg.lstsq(past, z[p:], rcond=None)[0]
            phi, c = found[:p], float(found[p:].sum())
            variance = np.mean((z[p:] - past @ found) ** 2)
        elif self.method == "mle":
            model = ARIMA((p, 0, 0), constant=self.constant).fit(z)
            phi, mean, variance = model.ar, model.mean, model.sigma**2
            self.converged, self.message = model.converged, model.message
        elif self.method == "burg":
            phi, variance = burg(z, p)
        else:
            gamma = np.array([z[k:] @ z[: len(z) - k] for k in range(p + 1)]) / len(z)
            phi, variances, _ = levinson_durbin(gamma)
            variance = variances[-1]
        if not variance > 1e-20:
            raise ValueError(f"{self} predicts without any error: take a lower order")
        rest = 1 - phi.sum()
        mean = level + unit * (mean if c == 0 else c / rest if rest else math.inf)
        intercept = unit * c + rest * (level if self.method == "ols" else mean)
        self._assign(phi, intercept, mean, unit * math.sqrt(variance))
        self._x = x
        self._start = "given" if self.method == "ols" or not self.is_stationary else "stationary"
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
        L = chain_rule_factor(require_stationary(self.coefficients, "coefficients"), min(p, n))
        m, widths = len(L), np.diag(L)
        errors[:, :m] = solve_triangular(L, (x[:, :m] - self.mean).T, lower=True).T * widths
        scale[:m] *= widths
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
        whitening = 1 - np.exp(-1j * angle[..., None] * k) @ self.coefficients
        return self.sigma**2 / np.abs(whitening) ** 2

    def autocovariance(self, lags: int) -> np.ndarray:
        """γ_0 … γ_lags of the model."""
        return arma_autocovariance(self.coefficients, [], lags, self.sigma)

    # -------- what it is good for
    def forecast(self, h: int, x: ArrayLike | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the h values after x (the fitted series by default), (h,) each.

        The mean goes on by itself, x̂_{t+j} = c + Σ φ_k x̂_{t+j-k}. Noise enters at every step and is
        passed on: variance_j = σ² Σ_{i<j} ψ_i², ψ the impulse response.
        """
        h = whole("h", h)
        if x is None:
            self._need_fit()
            x = self._x
        x = series(x, least=self.order, constant=True, why=f"for {self}")
        a = np.append(1.0, -self.coefficients)
        zi = lfiltic([1.0], a, x[: -self.order - 1 : -1])
        mean = lfilter([1.0], a, np.full(h, self.intercept), zi=zi)[0]
        psi = impulse_response(self.coefficients, [], h)
        return mean, self.sigma * np.sqrt(np.cumsum(psi**2))

    def simulate(self, n: int, seed: Seed = 0, start: str = "stationary") -> np.ndarray:
        """Draw a series (n,).

        Args: start: "stationary", or "zero": from silence, which an unstable model needs.
        """
        n, rng = whole("n", n), np.random.default_rng(seed)
        noise, a = self.sigma * rng.standard_normal(n), np.append(1.0, -self.coefficients)
        if start == "zero":
            return lfilter([1.0], a, self.intercept + noise)
        if start != "stationary":
            raise ValueError(f'start is "stationary" or "zero", not {start!r}')
        phi = require_stationary(self.coefficients, "coefficients")
        first = chain_rule_factor(phi, min(self.order, n)) @ noise[: self.order]
        zi = lfiltic([1.0], a, first[::-1])
        rest = lfilter([1.0], a, noise[self.order :], zi=zi)[0]
        return self.mean + np.concatenate([first, rest])

    def estimates(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Names, values and standard errors (from the curvature of the log-likelihood)."""
        self._need_fit()
        p = self.order
        names = [f"ar.L{k}" for k in range(1, p + 1)] + ["const"] * self.constant + ["sigma2"]
        point = np.concatenate([self.coefficients, [self.intercept] * self.constant])
        point = np.append(point, self.sigma**2)
        steps = np.full(len(point), 1e-4)
        steps[p:-1], steps[-1] = 1e-3 * self.sigma, 1e-3 * self.sigma**2

        def value(at: np.ndarray) -> float:
            other = AR.from_parameters(at[:p], at[-2] if self.constant else 0.0, math.sqrt(at[-1]))
            return other.log_prob(self._x, self._start)

        return names, point, standard_errors(value, point, steps)
