"""Chapter 5: ARIMA and seasonal ARIMA by exact maximum likelihood, through a Kalman filter."""

import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import lfilter

from ..compiled import compiled
from ..gaussian import Seed
from .arma import arma_model, difference, difference_polynomial, lag_polynomial
from .correlation import (
    LOG_2PI,
    autocovariance,
    levinson_durbin,
    partial_to_ar,
    require_stationary,
    rows,
    series,
    step_down,
    whole,
)
from .kalman import LinearModel, Run
from .report import Report, free_to_partial, maximise, partial_to_free, standard_errors, warn


class ARIMA(Report):
    """Autoregression, differences and moving average, each also at the distance of a season.

        φ(B) Φ(B^s) [(1 - B)^d (1 - B^s)^D x_t - µ] = θ(B) Θ(B^s) ε_t,   ε_t ~ N(0, σ²)
        φ(B) = 1 - Σ φ_k B^k,   θ(B) = 1 + Σ θ_k B^k,   B x_t = x_{t-1}

    µ is the mean of the series, or, when it is differenced, of its differences: the drift. σ² and µ are
    found in closed form for each choice of the other parameters; those are sought by BFGS, as partial
    autocorrelations, so that the model stays stationary and invertible, from several starts.

    The level of a differenced series is unknown before its first values, which serve to find it and do
    not count. The likelihood is then the density of the differences, in any units. (statsmodels gives
    the level a variance of 10^6 instead: `level_variance=1e6` reports that.)

    Args:
        order: (p, d, q). seasonal_order: (P, D, Q, s), s the number of values in a season.
        constant: whether there is a µ; by default only when nothing is differenced.
        level_variance: of the level before the series in the likelihood that is reported, in units of
            the series squared.

    After `fit`: `ar`, `ma`, `seasonal_ar`, `seasonal_ma`, `mean` (µ), `sigma`, `log_likelihood`, `aic`,
    `bic`, `residuals` (standardised one-step errors, (n,)), `converged`.

    References: Box, Jenkins, Reinsel and Ljung, Time Series Analysis, 5th edition, 2015, chapters 3, 4, 7, 9.

    >>> from minigen import data
    >>> model = ARIMA((0, 1, 1), level_variance=1e6).fit(data.nile().values)
    >>> print(f"{model.log_likelihood:.4f}, theta {model.ma[0]:.3f}")
    -632.5377, theta -0.733
    """

    def __init__(
        self,
        order: tuple[int, int, int],
        seasonal_order: tuple[int, int, int, int] = (0, 0, 0, 0),
        constant: bool | None = None,
        level_variance: float = math.inf,
    ) -> None:
        self.order = _orders(order, "p, d, q", "order")
        self.seasonal_order = _orders(seasonal_order, "P, D, Q, s", "seasonal_order")
        if any(self.seasonal_order[:3]) and self.seasonal_order[3] < 2:
            raise ValueError(f"a season has s >= 2 values, not {self.seasonal_order[3]}")
        if not level_variance > 0:
            raise ValueError(f"level_variance must be positive, not {level_variance}")
        self.level_variance = level_variance
        (p, d, q), (P, D, Q, s) = self.order, self.seasonal_order
        self._counts = {"ar": p, "ma": q, "seasonal_ar": P, "seasonal_ma": Q}
        self._delta = difference_polynomial(d, D, s)
        self.has_mean = d + D == 0 if constant is None else bool(constant)
        self.n_lag_parameters = p + q + P + Q
        self.n_parameters = self.n_lag_parameters + 1 + self.has_mean  # σ², and µ if there is one
        self._assign({name: np.zeros(count) for name, count in self._counts.items()})

    @classmethod
    def from_parameters(
        cls,
        ar: ArrayLike = (),
        ma: ArrayLike = (),
        d: int = 0,
        *,
        seasonal_ar: ArrayLike = (),
        seasonal_ma: ArrayLike = (),
        seasonal_d: int = 0,
        period: int = 0,
        mean: float = 0.0,
        sigma: float = 1.0,
        level_variance: float = math.inf,
    ) -> Self:
        """The model with these coefficients; their numbers are its orders.

        >>> ARIMA.from_parameters(ar=[0.5], mean=10.0).simulate(3, seed=1).round(2)
        array([10.4 , 11.02, 10.84])
        """
        given = {"ar": ar, "ma": ma, "seasonal_ar": seasonal_ar, "seasonal_ma": seasonal_ma}
        given = {name: np.asarray(value, dtype=np.float64) for name, value in given.items()}
        p, q, P, Q = (value.size for value in given.values())
        if not np.isfinite(mean) or not (np.isfinite(sigma) and sigma > 0):
            raise ValueError(f"mean is finite and sigma positive, not {mean=}, {sigma=}")
        constant = True if mean else None
        model = cls((p, d, q), (P, seasonal_d, Q, period), constant, level_variance)
        model._assign(model._checked(given), mean, sigma)
        return model

    def __repr__(self) -> str:
        seasonal = f"x{self.seasonal_order}" if any(self.seasonal_order[:3]) else ""
        drift = " with drift" if self.has_mean and len(self._delta) > 1 else ""
        return f"ARIMA{self.order}{seasonal}".replace(" ", "") + drift

    # -------- parameters
    def _assign(self, c: dict[str, np.ndarray], mean: float = 0.0, sigma: float = 1.0) -> None:
        self.ar, self.ma = c["ar"], c["ma"]
        self.seasonal_ar, self.seasonal_ma = c["seasonal_ar"], c["seasonal_ma"]
        self.mean, self.sigma = float(mean), float(sigma)

    @property
    def _coefficients(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in self._counts}

    def _checked(self, given: dict[str, ArrayLike]) -> dict[str, np.ndarray]:
        """Coefficients of the right number, stationary and invertible; those not given are zero."""
        if unknown := set(given) - set(self._counts):
            raise ValueError(f"no parameters {sorted(unknown)}, only {', '.join(self._counts)}")
        out = {}
        for name, count in self._counts.items():
            value = np.atleast_1d(np.asarray(given.get(name, np.zeros(count)), dtype=np.float64))
            if value.shape != (count,):
                raise ValueError(f"{self} has {count} coefficients {name}, not {value.shape}")
            sign, word = ("", "stationary") if _sign(name) > 0 else ("-", "invertible")
            require_stationary(_sign(name) * value, sign + name, word)
            out[name] = value
        return out

    def _split(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        ends = np.cumsum(list(self._counts.values()))
        cut = zip(self._counts.items(), ends, strict=True)
        return {name: flat[end - count : end] for (name, count), end in cut}

    def _from_free(self, free: np.ndarray) -> dict[str, np.ndarray]:
        """Unconstrained numbers -> coefficients."""
        partial = self._split(free_to_partial(free))
        return {k: _sign(k) * partial_to_ar(r) if len(r) else r for k, r in partial.items()}

    def _to_free(self, given: dict[str, np.ndarray]) -> np.ndarray:
        partial = [step_down(_sign(k) * given[k])[1] for k in self._counts]
        return partial_to_free(np.concatenate(partial))

    # -------- the likelihood
    def _polynomials(self, c: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Seasonal and other coefficients multiplied out: φ (p + sP,), θ (q + sQ,)."""
        if not (len(c["seasonal_ar"]) or len(c["seasonal_ma"])):
            return c["ar"], c["ma"]
        s = self.seasonal_order[3]
        ar = np.convolve(lag_polynomial(-c["ar"]), lag_polynomial(-c["seasonal_ar"], s))
        ma = np.convolve(lag_polynomial(c["ma"]), lag_polynomial(c["seasonal_ma"], s))
        return -ar[1:], ma[1:]

    def _model(
        self, c: dict[str, np.ndarray] | None = None, delta: np.ndarray | None = None
    ) -> LinearModel:
        """The model of x - µ with σ = 1."""
        delta = self._delta if delta is None else delta
        return arma_model(*self._polynomials(c or self._coefficients), delta)

    def _trend(self, n: int) -> np.ndarray:
        """The series (n,) whose differences are all 1, after zeros: what µ is multiplied by."""
        return lfilter([1.0], self._delta, np.ones(n))

    def _profile(self, Y: np.ndarray, model: LinearModel) -> tuple[float, float, float]:
        """log-likelihood of Y[0] at the best µ and σ, and these; Y[1] is the trend, if there is one.

        The innovations are linear in the data: those of x - µ g are v - µ w, with v those of x and w those
        of the trend g. So µ is a weighted regression of v on w, and σ² the mean of v²/F that is left.
        """
        found = model.run(Y, np.zeros((len(Y), len(model.design))))
        value, mean, sigma = _concentrate(Y, found.mean, found.variance)
        return value - 0.5 * found.log_diffuse, mean, sigma

    def fit(
        self, x: ArrayLike, start: dict[str, ArrayLike] | None = None, iterations: int = 200
    ) -> Self:
        """Maximum likelihood from x (n,), NaN where a value is missing.

        Args:
            start: first guess, e.g. {"ar": [0.5], "seasonal_ma": [-0.3]}; stationary and invertible.
            iterations: of BFGS. If it does not converge, a `ConvergenceWarning` says what to do.
        """
        (_, d, _), (_, D, _, s) = self.order, self.seasonal_order
        ar, ma = (len(part) for part in self._polynomials(self._coefficients))
        needed = len(self._delta) + 1 + max(ar, ma + 1, self.n_parameters)
        why = f"for {self}, which has {self.n_parameters} parameters"
        x = series(x, least=needed, missing=True, why=why)
        seen = x[~np.isnan(x)]
        changes = difference(x, d, D, s or 1)
        changes = changes[np.isfinite(changes)]
        if len(changes) and np.ptp(changes) <= 1e-12 * np.abs(seen).max():
            raise ValueError(f"differences of {self} are constant ({changes[0]:.6g}): take fewer")
        unit = np.std(changes if len(changes) > 9 else np.diff(seen) if d + D else seen)
        level = seen[0] if d + D else seen.mean() if self.has_mean else 0.0  # to keep digits
        z, delta = (x - level) / unit, self._delta
        if len(seen) == len(x):  # without gaps the differences hold all there is
            z, delta = difference(z, d, D, s or 1), np.ones(1)
        starts = self._starts(x) if start is None else [self._to_free(self._checked(start))]
        Y = np.stack([z, lfilter([1.0], delta, np.ones(len(z)))][: 1 + self.has_mean])
        model = lambda free: self._model(self._from_free(free), delta)
        best = maximise(lambda free: self._profile(Y, model(free))[0] / len(z), starts, iterations)
        coefficients = self._from_free(best.point)
        _, mean, sigma = self._profile(Y, model(best.point))
        self._assign(coefficients, unit * mean + (0.0 if d + D else level), unit * sigma)
        self.converged, self.message = best.converged, best.message
        partial = [free_to_partial(part) for part in self._split(best.point).values()]
        edges = {"ar": np.append(partial[0], partial[2]), "ma": np.append(partial[1], partial[3])}
        warn(best, edges, repr(self))
        self._x, (found, y, _) = x, self._run(x)
        errors = np.where(np.isfinite(found.variance), y - found.mean[0], np.nan)
        self.residuals = errors / np.sqrt(found.variance)
        self.nobs = int(np.isfinite(self.residuals).sum())
        self.log_likelihood = self._log_prob(x, self.level_variance)
        return self

    def _starts(self, x: np.ndarray) -> list[np.ndarray]:
        """Where the search begins: zero, guesses by regression, and points all over the stationary ones.

        Zero alone will not do: it can be a stationary point, as with gaps at regular distances. One guess
        is made for each number of unit roots that the AR part may need, as a rising series does.
        """
        k, (p, d, q), (_, D, _, s) = self.n_lag_parameters, self.order, self.seasonal_order
        starts = [np.zeros(k), *np.random.default_rng(0).normal(0, 1.2, (16 * (k > 0) + 8 * k, k))]
        seen = np.flatnonzero(~np.isnan(x))
        u = difference(np.interp(np.arange(len(x)), seen, x[seen]), d, D, s or 1)
        for roots in range(p + 1 if p + q else 0):
            guess = _hannan_rissanen(u, p - roots, q, roots)
            if guess is not None:
                rest = {name: np.zeros(n) for name, n in self._counts.items()}
                starts.append(self._to_free(rest | {"ar": guess[0], "ma": guess[1]}))
            u = np.diff(u)
        return starts

    def _run(self, x: np.ndarray, kappa: float | None = None) -> tuple[Run, np.ndarray, np.ndarray]:
        """The filter over y = (x - base) / σ, that y, and the base: the trend, and any one level that a
        difference takes away, for the sake of digits."""
        model, base = self._model(), self.mean * self._trend(len(x))
        if len(self._delta) > 1 and kappa is None:
            base = base + x[~np.isnan(x)][:1].sum()
        y = (x - base) / self.sigma
        return model.run(y[None], np.zeros((1, len(model.design))), kappa), y, base

    def log_prob(self, x: ArrayLike) -> np.ndarray | float:
        """log p(x) in nats: x (..., n) -> (...), NaN where a value is missing.

        With differences, the first d + s D values serve to find the level and do not count: it is the
        density of the differenced series.
        """
        flat, batch = rows(x, missing=True)
        out = np.array([self._log_prob(row, self.level_variance) for row in flat]).reshape(batch)
        return out if batch else float(out)

    def _log_prob(self, x: np.ndarray, level_variance: float) -> float:
        kappa, levels = level_variance / self.sigma**2, len(self._delta) - 1
        found, y, _ = self._run(x, kappa if levels and math.isfinite(kappa) else None)
        v, F = y - found.mean[0], found.variance
        known = np.isfinite(v) & np.isfinite(F)
        if math.isfinite(kappa):
            known[:levels] = False
        v, F = v[known], F[known]
        value = -0.5 * (np.sum(LOG_2PI + np.log(F) + v**2 / F) + found.log_diffuse)
        return float(value - len(v) * math.log(self.sigma))

    # -------- what it is good for
    def forecast(self, h: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the h values after the series, (h,) each.

        A forecast is a missing value at the end. The uncertainty of the estimates is not counted.
        """
        self._need_fit()
        x = np.append(self._x, np.full(whole("h", h), np.nan))
        found, _, base = self._run(x)
        return (base + self.sigma * found.mean[0])[-h:], self.sigma * np.sqrt(found.variance[-h:])

    def simulate(self, n: int, seed: Seed = 0) -> np.ndarray:
        """Draw a series (n,), beginning with the stationary distribution.

        If the series is differenced, the values before it are the first of the fitted series, or zeros.
        """
        n, model = whole("n", n), self._model()
        state, levels = np.zeros(len(model.design)), len(self._delta) - 1
        if levels and hasattr(self, "_x"):
            first = self._x[~np.isnan(self._x)][:levels]
            state[len(state) - levels :] = first[::-1] / self.sigma
        cov = model.start.T @ model.start
        return self.mean * self._trend(n) + self.sigma * model.simulate(n, seed, state, cov)

    def estimates(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Names, values and standard errors (from the curvature of the log-likelihood)."""
        self._need_fit()
        s, k = self.seasonal_order[3], self.n_lag_parameters
        names = []
        for name, count in self._counts.items():
            lags = [f"{name[-2:]}.S.L{s * (i + 1)}" for i in range(count)]
            names += lags if "_" in name else [f"{name}.L{i + 1}" for i in range(count)]
        names += ["mean" if len(self._delta) == 1 else "drift"] * self.has_mean + ["sigma2"]
        flat = np.concatenate(list(self._coefficients.values()))
        point = np.concatenate([flat, [self.mean] * self.has_mean, [self.sigma**2]])
        steps = np.concatenate([np.full(k, 1e-4), [1e-3 * self.sigma] * self.has_mean])
        steps = np.append(steps, 1e-3 * self.sigma**2)
        other = ARIMA(self.order, self.seasonal_order, self.has_mean)

        def value(at: np.ndarray) -> float:
            c = self._checked(self._split(at[:k]))
            other._assign(c, at[k] if self.has_mean else 0.0, math.sqrt(at[-1]))
            return other._log_prob(self._x, math.inf)

        return names, point, standard_errors(value, point, steps)


@compiled(error_model="numpy")
def _concentrate(Y, means, F):  # pragma: no cover (compiled)
    """log-likelihood, µ and σ from the one-step means of x and of the trend, where F is finite."""
    n, log_F, vw, ww = 0, 0.0, 0.0, 0.0
    for t in range(len(F)):
        if math.isfinite(F[t]) and not math.isnan(Y[0, t]):
            v = Y[0, t] - means[0, t]
            w = Y[1, t] - means[1, t] if len(Y) > 1 else 0.0
            n, log_F = n + 1, log_F + math.log(F[t])
            vw, ww = vw + v * w / F[t], ww + w * w / F[t]
    mean, left = vw / ww if ww > 0.0 else 0.0, 0.0
    for t in range(len(F)):  # a second time, as Σ v² - µ Σ v w would lose digits
        if math.isfinite(F[t]) and not math.isnan(Y[0, t]):
            w = Y[1, t] - means[1, t] if len(Y) > 1 else 0.0
            left += (Y[0, t] - means[0, t] - mean * w) ** 2 / F[t]
    sigma2 = max(left / n, 1e-24)  # a series without noise is no maximum
    return -0.5 * (n * (LOG_2PI + math.log(sigma2) + 1) + log_F), mean, math.sqrt(sigma2)


def _sign(name: str) -> float:
    """θ(B) = 1 + θ_1 B + … is invertible when -θ would be stationary as φ."""
    return 1.0 if name.endswith("ar") else -1.0


def _hannan_rissanen(
    u: np.ndarray, p: int, q: int, roots: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """A first guess at φ and θ: errors from a long autoregression, then a regression on both.

    u has been differenced `roots` times, which φ gets back as roots near the unit circle.

    References: Hannan and Rissanen, Recursive Estimation of Mixed Autoregressive-Moving Average Order, 1982.
    """
    long = min(max(p, q) + 8, len(u) // 4)
    if len(u) < 4 * (p + q + 2) or np.ptp(u) == 0:
        return None
    u = (u - u.mean()) / u.std()
    gamma = autocovariance(u, long)
    gamma[0] *= 1 + 1e-9  # a series without noise must not stop the recursion
    phi = levinson_durbin(gamma).coefficients
    errors = np.convolve(u, np.append(1.0, -phi))[: len(u)]
    first = long + max(p, q)
    columns = [u[first - k : len(u) - k] for k in range(1, p + 1)]
    columns += [errors[first - k : len(u) - k] for k in range(1, q + 1)]
    solve = lambda: np.linalg.lstsq(np.stack(columns, 1), u[first:], rcond=None)[0]
    found = solve() if p + q else np.zeros(0)
    ar = np.convolve(np.append(1.0, -found[:p]), difference_polynomial(roots, 0, 1))
    return -_inside(ar), _inside(np.append(1.0, found[p:]))


def _inside(polynomial: np.ndarray) -> np.ndarray:
    """The coefficients after the first, with every root brought to a modulus of at most 0.98."""
    roots = np.roots(polynomial)
    roots = roots / np.maximum(np.abs(roots) / 0.98, 1)
    out = np.atleast_1d(np.poly(roots).real)[1:]
    return np.append(out, np.zeros(len(polynomial) - 1 - len(roots)))


def _orders(order: tuple, names: str, what: str) -> tuple[int, ...]:
    length = names.count(",") + 1
    if len(order) != length or not all(isinstance(k, int | np.integer) and k >= 0 for k in order):
        raise ValueError(f"{what} ({names}) holds {length} whole numbers >= 0, not {order!r}")
    return tuple(int(k) for k in order)
