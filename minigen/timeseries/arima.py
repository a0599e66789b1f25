"""ARIMA and seasonal ARIMA by exact maximum likelihood: an ARMA in state-space form, and its differences."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from .correlation import autocovariance, levinson_durbin, series
from .kalman import Filtered, StateSpace, stationary_covariance
from .report import (
    LOG_2PI,
    Report,
    forecast_steps,
    free_to_partial,
    maximise,
    partial_to_ar,
    partial_to_free,
    require_stationary,
    rows,
    sample_count,
    standard_errors,
    step_down,
    warn_if_stuck,
)

__all__ = ["ARIMA", "arma_autocovariance", "arma_state_space", "difference", "impulse_response"]


# ---------------------------------------------------------------- polynomials in the lag B


def _lag_polynomial(coefficients: np.ndarray, sign: float, period: int = 1) -> np.ndarray:
    """1 + sign (c_1 B^s + c_2 B^2s + …) as an array over the powers of B."""
    out = np.zeros(1 + period * len(coefficients))
    out[0] = 1.0
    out[period::period] = sign * coefficients
    return out


def _difference_polynomial(d: int, seasonal: int, period: int) -> np.ndarray:
    """(1 - B)^d (1 - B^s)^D."""
    out = np.ones(1)
    for lag in [1] * d + [period] * seasonal:
        out = np.convolve(out, _lag_polynomial(np.ones(1), -1.0, lag))
    return out


def difference(x: ArrayLike, d: int = 1, seasonal: int = 0, period: int = 1) -> np.ndarray:
    """(1 - B)^d (1 - B^s)^D x with B x_t = x_{t-1}: (n,) -> (n - d - s D,).

    >>> difference([1.0, 4.0, 9.0, 16.0])
    array([3., 5., 7.])
    """
    x = series(x, missing=True, constant=True)
    weights = _difference_polynomial(d, seasonal, period)
    if len(weights) > len(x):
        raise ValueError(f"{len(x)} values are too short for differences over {len(weights) - 1}")
    return np.convolve(x, weights, mode="valid")


def impulse_response(ar: ArrayLike, ma: ArrayLike, n: int) -> np.ndarray:
    """What one unit of noise does: ψ_0 = 1, ψ_k = θ_k + Σ_j φ_j ψ_{k-j}, (n,)."""
    ar, ma = np.asarray(ar, dtype=np.float64), np.asarray(ma, dtype=np.float64)
    psi = np.zeros(n)
    psi[: min(n, 1 + len(ma))] = np.append(1.0, ma)[:n]
    for k in range(1, n):
        m = min(k, len(ar))
        psi[k] += ar[:m] @ psi[k - m : k][::-1]
    return psi


# ---------------------------------------------------------------- ARMA as a state space


def arma_state_space(
    ar: np.ndarray, ma: np.ndarray, differences: np.ndarray | None = None
) -> StateSpace:
    """u_t = Σ φ_k u_{t-k} + ε_t + Σ θ_k ε_{t-k} with Var ε = 1, and y with Δ(B) y_t = u_t.

    The first r = max(p, q + 1) coordinates of the state carry u: the first is u_t itself, the i-th what
    is known today of u_{t+i-1} without the values from t on.

        a_{t+1}[i] = a_t[i + 1] + φ_i a_t[1] + θ_{i-1} ε_{t+1},   θ_0 = 1

    They start with their stationary covariance. With Δ(B) = 1 - δ_1 B - …, the others hold y_{t-1},
    y_{t-2}, …: y_t = u_t + Σ δ_k y_{t-k}. About their start nothing is known: they are diffuse.

    References: Harvey, Forecasting, Structural Time Series Models and the Kalman Filter, 1989, ch. 3, 4.
    """
    r, p = max(len(ar), len(ma) + 1), len(ar)
    delta = np.zeros(0) if differences is None else -differences[1:]
    levels, m = len(delta), r + len(delta)
    T, R = np.zeros((m, m)), np.zeros(m)
    T[:p, 0] = ar
    T[: r - 1, 1:r] = np.eye(r - 1)
    R[: 1 + len(ma)] = np.append(1.0, ma)
    Q = np.outer(R, R)
    Z = np.zeros(m)
    Z[0], Z[r:] = 1.0, delta
    if levels:
        T[r] = Z  # y_t moves into the memory
        T[r + 1 :, r : m - 1] = np.eye(levels - 1)
    cov = np.zeros((m, m))
    cov[:r, :r] = stationary_covariance(T[:r, :r], Q[:r, :r])
    diffuse = np.append(np.zeros(r), np.ones(levels))
    return StateSpace(T, Z, Q, 0.0, np.zeros(m), cov, diffuse)


def arma_autocovariance(ar: ArrayLike, ma: ArrayLike, lags: int, sigma: float = 1.0) -> np.ndarray:
    """γ_0 … γ_lags of a stationary ARMA: Cov(u_{t+k}, u_t) = first entry of T^k P, P stationary.

    >>> arma_autocovariance([0.5], [], 2)
    array([1.33333333, 0.66666667, 0.33333333])
    """
    ar = require_stationary(ar, "ar")
    model = arma_state_space(ar, np.asarray(ma, dtype=np.float64))
    column, gamma = model.cov[:, 0], np.empty(lags + 1)
    p = len(ar)
    for k in range(lags + 1):
        if k <= len(column) or p == 0:
            gamma[k] = column[0]
            column = model.transition @ column
        else:  # beyond the reach of θ: γ_k = Σ φ_j γ_{k-j}
            gamma[k] = ar @ gamma[k - p : k][::-1]
    return sigma**2 * gamma


# ---------------------------------------------------------------- the model


class ARIMA(Report):
    """Autoregression, differences and moving average, each also at the distance of a season.

        φ(B) Φ(B^s) (1 - B)^d (1 - B^s)^D (x_t - µ) = θ(B) Θ(B^s) ε_t,   ε_t ~ N(0, σ²)
        φ(B) = 1 - Σ φ_k B^k,   θ(B) = 1 + Σ θ_k B^k,   B x_t = x_{t-1}

    The mean µ is estimated when nothing is differenced (d = D = 0), and absent otherwise. σ² and µ are
    found in closed form for each choice of the other parameters; those are sought by BFGS, as partial
    autocorrelations, so that the model stays stationary and invertible.

    A differenced series has a level about which nothing is known before its first values. The fit and the
    forecasts take it so (exactly diffuse). The likelihood that is reported gives it the variance
    `level_variance`, which is what statsmodels does, so that the two can be compared; where that is not
    vague for the series at hand (see `log_prob`), it is exactly diffuse, too.

    Args:
        order: (p, d, q). seasonal_order: (P, D, Q, s), s the number of values in a season.
        constant: whether there is a µ; without, the series is taken to have mean zero.
        level_variance: of the level before the series, in its units squared; math.inf for nothing known.

    After `fit`: `ar`, `ma`, `seasonal_ar`, `seasonal_ma`, `mean`, `sigma`, `log_likelihood`, `aic`,
    `bic`, `residuals` (standardised one-step errors, (n,)), `converged`.

    References:
        Box, Jenkins, Reinsel and Ljung, Time Series Analysis, 5th edition, 2015, chapters 3, 4, 7, 9.

    >>> from minigen import data
    >>> model = ARIMA((0, 1, 1)).fit(data.nile().values)
    >>> print(f"{model.log_likelihood:.4f}, theta {model.ma[0]:.3f}")
    -632.5377, theta -0.733
    """

    def __init__(
        self,
        order: tuple[int, int, int],
        seasonal_order: tuple[int, int, int, int] = (0, 0, 0, 0),
        constant: bool = True,
        level_variance: float = 1e6,
    ) -> None:
        self.order = self._orders(order, 3, "order (p, d, q)")
        self.seasonal_order = self._orders(seasonal_order, 4, "seasonal_order (P, D, Q, s)")
        if any(self.seasonal_order[:3]) and self.seasonal_order[3] < 2:
            raise ValueError(f"a season has s >= 2 values, not {self.seasonal_order[3]}")
        if not level_variance > 0:
            raise ValueError(f"level_variance must be positive, not {level_variance}")
        self.constant, self.level_variance = constant, level_variance
        self.set()

    @staticmethod
    def _orders(order: tuple, length: int, name: str) -> tuple[int, ...]:
        whole = [isinstance(k, int | np.integer) and k >= 0 for k in order]
        if len(whole) != length or not all(whole):
            raise ValueError(f"{name} holds {length} whole numbers >= 0, not {order!r}")
        return tuple(int(k) for k in order)

    def __repr__(self) -> str:
        seasonal = f"x{self.seasonal_order}" if any(self.seasonal_order[:3]) else ""
        return f"ARIMA{self.order}{seasonal}".replace(" ", "")

    # -------- parameters

    @property
    def _counts(self) -> dict[str, int]:
        (p, _, q), (P, _, Q, _) = self.order, self.seasonal_order
        return {"ar": p, "ma": q, "seasonal_ar": P, "seasonal_ma": Q}

    @property
    def has_mean(self) -> bool:
        """Whether µ is estimated: only when nothing is differenced."""
        return bool(self.constant) and self.order[1] == 0 and self.seasonal_order[1] == 0

    @property
    def n_lag_parameters(self) -> int:
        """p + q + P + Q."""
        return sum(self._counts.values())

    @property
    def n_parameters(self) -> int:
        """p + q + P + Q, σ², and µ if there is one."""
        return self.n_lag_parameters + 1 + self.has_mean

    def set(
        self,
        ar: ArrayLike | None = None,
        ma: ArrayLike | None = None,
        seasonal_ar: ArrayLike | None = None,
        seasonal_ma: ArrayLike | None = None,
        mean: float = 0.0,
        sigma: float = 1.0,
    ) -> ARIMA:
        """Give the parameters instead of fitting them; what is left out is zero.

        >>> ARIMA((1, 0, 0)).set(ar=[0.5], mean=10.0).simulate(3, seed=1).round(2)
        array([10.4 , 11.02, 10.84])
        """
        given = self._checked(
            {"ar": ar, "ma": ma, "seasonal_ar": seasonal_ar, "seasonal_ma": seasonal_ma}
        )
        if mean != 0 and not self.has_mean:
            raise ValueError(f"{self} has no mean to set (differenced, or constant=False)")
        if not (np.isfinite(sigma) and sigma > 0):
            raise ValueError(f"sigma is a standard deviation and must be positive, not {sigma}")
        for name, values in given.items():
            setattr(self, name, values)
        self.mean, self.sigma = float(mean), float(sigma)
        return self

    def _checked(self, given: dict[str, ArrayLike | None]) -> dict[str, np.ndarray]:
        """Coefficients of the right number, stationary and invertible."""
        out = {}
        for name, count in self._counts.items():
            value = given.get(name)
            value = np.zeros(count) if value is None else np.atleast_1d(np.asarray(value, float))
            if value.shape != (count,):
                raise ValueError(f"{self} has {count} coefficients {name}, not {value.shape}")
            if name.endswith("ar"):
                require_stationary(value, name)
            else:
                require_stationary(-value, f"-{name}", "invertible")
            out[name] = value
        if unknown := set(given) - set(out):
            raise ValueError(f"no parameters {sorted(unknown)}: there are {', '.join(out)}")
        return out

    def _split(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        cuts = np.cumsum(list(self._counts.values()))[:-1]
        return dict(zip(self._counts, np.split(flat, cuts), strict=True))

    def _from_free(self, free: np.ndarray) -> dict[str, np.ndarray]:
        """Unconstrained numbers -> coefficients."""
        return {
            name: (1 if name.endswith("ar") else -1) * partial_to_ar(free_to_partial(part))
            for name, part in self._split(free).items()
        }

    def _to_free(self, given: dict[str, np.ndarray]) -> np.ndarray:
        sign = {name: 1 if name.endswith("ar") else -1 for name in given}
        return np.concatenate(
            [partial_to_free(step_down(sign[name] * given[name])[1]) for name in self._counts]
        )

    @property
    def _coefficients(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in self._counts}

    # -------- the likelihood

    def _polynomials(self, c: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Seasonal and other coefficients multiplied out: φ (p + sP,), θ (q + sQ,)."""
        s = self.seasonal_order[3]
        ar = np.convolve(
            _lag_polynomial(c["ar"], -1.0), _lag_polynomial(c["seasonal_ar"], -1.0, s or 1)
        )
        ma = np.convolve(
            _lag_polynomial(c["ma"], 1.0), _lag_polynomial(c["seasonal_ma"], 1.0, s or 1)
        )
        return -ar[1:], ma[1:]

    def state_space(self, coefficients: dict[str, np.ndarray] | None = None) -> StateSpace:
        """The model of x - µ with σ = 1 as a `StateSpace`."""
        ar, ma = self._polynomials(coefficients or self._coefficients)
        _, D, _, s = self.seasonal_order
        return arma_state_space(ar, ma, _difference_polynomial(self.order[1], D, s))

    def _profile(self, x: np.ndarray, c: dict[str, np.ndarray]) -> tuple[float, float, float]:
        """log-likelihood at the best µ and σ for these coefficients, and µ, σ.

        The innovations are linear in the data: those of x - µ are v - µ w, with v those of x and w those
        of a series of ones. So µ is a weighted regression of v on w, and σ² the mean of v²/F that is left.
        """
        model = self.state_space(c)
        found = model._filter(x)
        known = np.isfinite(found.innovations)
        v, F, mean = found.innovations[known], found.variance[known], 0.0
        if self.has_mean:
            w = model._filter(np.where(np.isnan(x), np.nan, 1.0)).innovations[known]
            mean = (v * w / F).sum() / (w**2 / F).sum()
            v = v - mean * w
        n, sigma2 = len(v), np.mean(v**2 / F)
        # log F∞ of the diffuse steps does not depend on the data or on σ
        diffuse = found.log_likelihood + 0.5 * np.sum(
            LOG_2PI + np.log(F) + found.innovations[known] ** 2 / F
        )
        value = -0.5 * (n * (LOG_2PI + math.log(sigma2) + 1) + np.log(F).sum()) + diffuse
        return float(value), float(mean), math.sqrt(sigma2)

    def fit(
        self,
        x: ArrayLike,
        start: dict[str, ArrayLike] | None = None,
        iterations: int = 200,
    ) -> ARIMA:
        """Maximum likelihood from x (n,), NaN where a value is missing.

        Args:
            start: first guess, e.g. {"ar": [0.5], "seasonal_ma": [-0.3]}; stationary and invertible.
            iterations: of BFGS. If it does not converge, a `ConvergenceWarning` says what to do.
        """
        lost = self.order[1] + self.seasonal_order[1] * self.seasonal_order[3]
        ar, ma = (len(part) for part in self._polynomials(self._coefficients))
        needed = lost + max(ar, ma + 1, self.n_parameters) + 2
        why = f"for {self}, which has {self.n_parameters} parameters"
        x = series(x, least=needed, missing=True, why=why)
        changes = difference(x, self.order[1], self.seasonal_order[1], self.seasonal_order[3] or 1)
        changes = changes[np.isfinite(changes)]
        if len(changes) and np.ptp(changes) <= 1e-12 * np.nanmax(np.abs(x)):
            raise ValueError(
                f"after the differences of {self} the series is constant ({changes[0]:.6g}): there is "
                "nothing random to model. Take fewer differences"
            )
        starts = self._starts(x, start)
        unit = np.nanstd(changes) if len(changes) > 1 else np.nanstd(x)
        scaled = (x - (np.nanmean(x) if self.has_mean else 0.0)) / unit
        best = maximise(
            lambda free: self._profile(scaled, self._from_free(free))[0] / len(x),
            starts,
            iterations,
        )
        coefficients = self._from_free(best.point)
        _, mean, sigma = self._profile(x, coefficients)
        self.set(**coefficients, mean=mean, sigma=sigma)
        self.converged, self.message = best.converged, best.message
        partial = [free_to_partial(part) for part in self._split(best.point).values()]
        edges = {"ar": np.append(partial[0], partial[2]), "ma": np.append(partial[1], partial[3])}
        warn_if_stuck(best, edges, repr(self))
        self._x, found = x, self._filtered(x)
        self.nobs = int(np.isfinite(found.innovations).sum())
        self.residuals = found.innovations / np.sqrt(found.variance)
        self.log_likelihood = self._log_prob(x)
        return self

    def _starts(self, x: np.ndarray, start: dict | None) -> list[np.ndarray]:
        """Where the search begins: the given start, or zero and a guess by regression."""
        if start is not None:
            return [self._to_free(self._checked(dict(start)))]
        starts = [np.zeros(self.n_lag_parameters)]
        p, _, q = self.order
        if np.isfinite(x).all() and p + q:
            _, D, _, s = self.seasonal_order
            guess = _hannan_rissanen(difference(x, self.order[1], D, s or 1), p, q)
            if guess is not None:
                rest = {k: np.zeros(n) for k, n in self._counts.items() if k not in ("ar", "ma")}
                starts.append(self._to_free({"ar": guess[0], "ma": guess[1]} | rest))
        return starts

    def _filtered(self, x: np.ndarray) -> Filtered:
        """The filter in the units of the data: variances times σ²."""
        found = self.state_space()._filter((x - self.mean) / self.sigma)
        n = np.isfinite(found.innovations).sum()
        return Filtered(
            self.mean + self.sigma * found.mean,
            self.sigma**2 * found.variance,
            self.sigma * found.innovations,
            self.sigma * found.state,
            self.sigma**2 * found.cov,
            found.log_likelihood - n * math.log(self.sigma),
        )

    def log_prob(self, x: ArrayLike) -> np.ndarray | float:
        """log p(x) in nats: x (..., n) -> (...), NaN where a value is missing.

        With differences, the first d + s D values are used up to find the level and do not count: with
        an infinite `level_variance` it is the density of the differenced series. That is also taken
        when the variance given is not vague: when the changes vary so much, or the series starts so far
        from zero, that it would move the first predictions; and when one of the first values is missing.
        """
        flat, batch = rows(x, missing=True)
        out = np.array([self._log_prob(row) for row in flat]).reshape(batch)
        return out if batch else float(out)

    def _log_prob(self, x: np.ndarray) -> float:
        model, kappa = self.state_space(), self.level_variance / self.sigma**2
        x = (x - self.mean) / self.sigma  # in units of σ
        levels = int(model.diffuse.sum())
        spread = model.cov[0, 0]  # variance of the changes
        far = max(spread, np.abs(x[:levels]).max(initial=0) * math.sqrt(spread))
        if levels and far < kappa / 4 < math.inf:  # a gap makes `far` NaN
            cov = model.cov + kappa * np.diag(model.diffuse)
            model = StateSpace(
                model.transition, model.design, model.state_cov, 0.0, model.mean, cov
            )
            found = model._filter(x)
            v, F = found.innovations[levels:], found.variance[levels:]
            n, value = (
                np.isfinite(v).sum(),
                -0.5 * np.nansum(LOG_2PI + np.log(F + 0 * v) + v**2 / F),
            )
        else:
            found = model._filter(x)
            n, value = np.isfinite(found.innovations).sum(), found.log_likelihood
        return float(value - n * math.log(self.sigma))

    # -------- what it is good for

    def forecast(self, h: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the h values after the series, (h,) each.

        A forecast is a missing value at the end. The uncertainty of the estimates is not counted.
        """
        self._need_fit()
        found = self._filtered(np.append(self._x, np.full(forecast_steps(h), np.nan)))
        return found.mean[-h:], np.sqrt(found.variance[-h:])

    def simulate(
        self, n: int, seed: int | np.random.Generator = 0, future: bool = False
    ) -> np.ndarray:
        """Draw a series (n,): a fresh one, or with `future` one that continues the fitted series.

        A fresh one begins with the stationary distribution. If the series is differenced, the values
        before it are the first of the fitted series, or zeros when there is none.
        """
        n, model = sample_count(n), self.state_space()
        if future:
            self._need_fit()
            found = model._filter((self._x - self.mean) / self.sigma)
            return self.mean + self.sigma * model.simulate(n, seed, found.state, found.cov)
        state = model.mean.copy()
        levels = int(model.diffuse.sum())
        if levels and hasattr(self, "_x"):
            first = self._x[np.isfinite(self._x)][:levels]
            state[len(state) - levels :] = first[::-1] / self.sigma
        return self.mean + self.sigma * model.simulate(n, seed, state)

    def estimates(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Names, values and standard errors (from the curvature of the log-likelihood)."""
        self._need_fit()
        names = [f"{k}.L{i + 1}" for k in ("ar", "ma") for i in range(self._counts[k])]
        s = self.seasonal_order[3]
        names += [
            f"{k[-2:]}.S.L{s * (i + 1)}"
            for k in ("seasonal_ar", "seasonal_ma")
            for i in range(self._counts[k])
        ]
        names += ["mean"] * self.has_mean + ["sigma2"]
        flat = np.concatenate(list(self._coefficients.values()))
        point = np.concatenate([flat, [self.mean] * self.has_mean, [self.sigma**2]])
        steps = np.concatenate([np.full(len(flat), 1e-4), [1e-3 * self.sigma] * self.has_mean])
        steps = np.append(steps, 1e-3 * self.sigma**2)
        return names, point, standard_errors(self._log_likelihood_at, point, steps)

    def _log_likelihood_at(self, point: np.ndarray) -> float:
        k = self.n_lag_parameters
        try:
            other = ARIMA(self.order, self.seasonal_order, self.constant, self.level_variance).set(
                **self._split(point[:k]),
                mean=point[k] if self.has_mean else 0.0,
                sigma=math.sqrt(point[-1]),
            )
        except ValueError:  # the step crossed a unit root
            return -np.inf
        return other._filtered(self._x).log_likelihood


def _hannan_rissanen(u: np.ndarray, p: int, q: int) -> tuple[np.ndarray, np.ndarray] | None:
    """A first guess at φ and θ: errors from a long autoregression, then a regression on both.

    References: Hannan and Rissanen, Recursive Estimation of Mixed Autoregressive-Moving Average
    Order, 1982.
    """
    u = u - u.mean()
    long = min(max(p, q) + 8, len(u) // 4)
    if len(u) < 4 * (p + q + 2) or long < 1:
        return None
    phi = levinson_durbin(autocovariance(u, long)).coefficients
    errors = np.convolve(u, np.append(1.0, -phi))[: len(u)]
    first = long + max(p, q)
    columns = [u[first - k : len(u) - k] for k in range(1, p + 1)]
    columns += [errors[first - k : len(u) - k] for k in range(1, q + 1)]
    found = np.linalg.lstsq(np.stack(columns, axis=1), u[first:], rcond=None)[0]
    ar, ma = found[:p], found[p:]
    for part in (ar, -ma):
        if not (np.abs(step_down(part)[1]) < 0.98).all():
            return None
    return ar, ma
