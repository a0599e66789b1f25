"""Chapter 5: ARFIMA. Memory that fades as a power of time, where an ARMA's fades exponentially."""

import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter, lfiltic
from scipy.special import gammaln, rgamma

from ..compiled import compiled
from ..gaussian import Seed
from .arima import ARIMA
from .correlation import LOG_2PI, partial_to_ar, require_stationary, rows, series, whole
from .report import Report, free_to_partial, maximise, standard_errors, warn

D_EDGE = 0.5 - 1e-6  # |d| < ½: stationary and invertible


def fractional_weights(d: float, n: int) -> np.ndarray:
    """The weights π_0 … π_{n-1} of (1 - B)^d = Σ_k π_k B^k, for any real d.

    By the binomial series π_k = (-1)^k d (d-1) … (d-k+1) / k!, hence π_0 = 1, π_k = π_{k-1} (k - 1 - d) / k.

    >>> fractional_weights(1.0, 4)  # the ordinary difference
    array([ 1., -1.,  0.,  0.])
    >>> fractional_weights(0.5, 4)  # half a difference
    array([ 1.    , -0.5   , -0.125 , -0.0625])
    """
    k = np.arange(1, n)
    return np.cumprod(np.append(1.0, (k - 1 - d) / k)) + 0.0


def arfima_autocovariance(
    d: float, lags: int, ar: ArrayLike = (), ma: ArrayLike = (), sigma: float = 1.0
) -> np.ndarray:
    """γ_0 … γ_lags of an ARFIMA, |d| < ½.

    Without ARMA part

        γ_k = σ² Γ(1 - 2d) / (Γ(1 - d) Γ(d)) · Γ(k + d) / Γ(k + 1 - d)

    so γ_0 = σ² Γ(1 - 2d) / Γ(1 - d)² and γ_k = γ_{k-1} (k - 1 + d) / (k - d): it falls as k^{2d-1}, and for
    d > 0 its sum is infinite. An ARMA filters that noise w. With h_k = Σ_i ψ_i γ_{k+i}, ψ of the AR part,

        h_k = Σ φ_j h_{k+j} + γ_k  downwards in k,   γ^x_k = Σ φ_j γ^x_{k-j} + h_k  upwards,

    both stable. The sum over i at the top, which near a unit root has millions of terms, is one integral,

        h_k = σ² / (Γ(1 - d) Γ(d)) ∫_0^1 s^{k+d-1} (1 - s)^{-2d} / φ(s) ds,

    because γ_k is such an integral of s^k, a Beta function.

    References: Hosking, Fractional Differencing, 1981, theorem 1.

    >>> arfima_autocovariance(0.25, 2).round(4)
    array([1.1803, 0.3934, 0.281 ])
    """
    if not abs(d) < 0.5:
        raise ValueError(f"d = {d} is not in (-½, ½): difference the series, and take d - 1")
    ar, ma = require_stationary(ar, "ar"), np.asarray(ma, dtype=np.float64)
    p, q = len(ar), len(ma)
    top = max(lags, p) + q
    k = np.arange(1, top + 1)
    gamma = np.cumprod(np.append(1.0, (k - 1 + d) / (k - d)))
    gamma = np.exp(gammaln(1 - 2 * d) - 2 * gammaln(1 - d)) * gamma
    whitening, theta = np.append(1.0, -ar), np.append(1.0, ma)
    h = np.append(gamma[::-1], gamma[1 : q + 1])  # lags top … -q
    if p:
        h = lfilter([1.0], whitening, h, zi=_tail(d, ar, top + 1))[0]
    gamma = np.convolve(h, np.correlate(theta, theta, "full"), "valid")[::-1]  # lags 0 … top - q
    if p:
        at, system = np.arange(p + 1), np.eye(p + 1)
        for j in range(1, p + 1):
            np.add.at(system, (at, np.abs(at - j)), -ar[j - 1])
        first = np.linalg.solve(system, gamma[: p + 1])
        zi = lfiltic([1.0], whitening, first[::-1])
        gamma = np.append(first, lfilter([1.0], whitening, gamma[p + 1 :], zi=zi)[0])
    return sigma**2 * gamma[: lags + 1]


def _tail(d: float, ar: np.ndarray, first: int) -> np.ndarray:
    """The filter's memory of h_first, h_{first+1}, …, by the double-exponential rule for the integral."""
    u = np.arange(-18, 18, 1 / 32)
    y = np.pi * np.sinh(u)  # s = 1 / (1 + e^-y)
    log_s, log_rest = -np.logaddexp(0, -y), -np.logaddexp(0, y)
    k = np.arange(first, first + len(ar))[:, None]
    density = np.exp((k + d) * log_s + (1 - 2 * d) * log_rest) * np.pi * np.cosh(u)
    phi = 1 - np.exp(np.outer(np.arange(1, len(ar) + 1), log_s)).T @ ar
    h = (density / phi).sum(axis=1) / 32 * rgamma(1 - d) * rgamma(d)
    return lfiltic([1.0], np.append(1.0, -ar), h)


@compiled(error_model="numpy")
def _chain_rule(gamma, x, draw):  # pragma: no cover (compiled)
    """Errors and their variances; with `draw`, x holds standard normal noise and becomes the series."""
    m, n = x.shape
    variance = np.empty(n)
    errors = np.empty((m, n))
    phi, old = np.zeros(n), np.zeros(n)
    v = gamma[0]
    for t in range(n):
        if t > 0:  # the predictor of order t from that of order t - 1 (Levinson-Durbin)
            r = gamma[t]
            for k in range(t - 1):
                r -= old[k] * gamma[t - 1 - k]
            r /= v
            for k in range(t - 1):
                phi[k] = old[k] - r * old[t - 2 - k]
            phi[t - 1] = r
            v *= 1 - r * r
        variance[t] = v
        for i in range(m):
            mean = 0.0
            for k in range(t):
                mean += phi[k] * x[i, t - 1 - k]
            if draw:
                x[i, t] = mean + math.sqrt(max(v, 0.0)) * x[i, t]
            errors[i, t] = x[i, t] - mean
        phi, old = old, phi
    return errors, variance


def chain_rule(gamma: ArrayLike, x: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """One-step errors e_t and variances v_t of a stationary series: log p(x) = Σ_t log N(e_t; 0, v_t).

    Levinson-Durbin gives the best predictor from *all* values before t, for every t: of the order of
    n² operations, where the dense normal density takes n³.

    Args: gamma: autocovariances γ_0 … γ_{n-1}. x: (n,), its mean taken away.

    >>> errors, variances = chain_rule([1.0, 0.5], [1.0, 1.0])
    >>> print(errors, variances)
    [1.  0.5] [1.   0.75]
    """
    x = series(x, least=1, constant=True)
    gamma = np.ascontiguousarray(gamma, dtype=np.float64)
    if gamma.ndim != 1 or len(gamma) < len(x) or not gamma[0] > 0:
        raise ValueError(f"{len(x)} values need γ_0 … γ_{len(x) - 1}, with γ_0 > 0")
    errors, variances = _chain_rule(gamma[: len(x)], x[None].copy(), False)
    return errors[0], variances


class ARFIMA(Report):
    """An ARMA whose noise was differenced a fraction d of once.

        φ(B) (1 - B)^d (x_t - µ) = θ(B) ε_t,   ε_t ~ N(0, σ²),   -½ < d < ½

    For d > 0 the correlations add up to infinity (long memory); d = 0 is an ARMA. Exact maximum
    likelihood by the chain rule, µ and σ² in closed form: n² operations for each step of the search, which
    begins where the likelihood of the periodogram (Whittle's, n log n operations) is largest.

    Args: order: (p, d, q); d = None is estimated, a number is kept.

    References: Granger and Joyeux, An Introduction to Long-Memory Time Series Models and Fractional
    Differencing, 1980. Hosking, Fractional Differencing, 1981. Whittle, Estimation and Information in
    Stationary Time Series, 1953.

    >>> x = ARFIMA((0, 0.3, 0)).simulate(800, seed=1)
    >>> model = ARFIMA((0, None, 0)).fit(x)
    >>> bool(abs(model.d - 0.3) < 0.1)
    True
    """

    def __init__(self, order: tuple[int, float | None, int]) -> None:
        if len(order) != 3:
            raise ValueError(f"order is (p, d, q), not {order!r}")
        self.p, self.fixed_d, self.q = whole("p", order[0], 0), order[1], whole("q", order[2], 0)
        if self.fixed_d is not None and not abs(self.fixed_d) < 0.5:
            raise ValueError(f"d = {self.fixed_d} is not in (-½, ½): difference the series once")
        self.n_lag_parameters = self.p + self.q + (self.fixed_d is None)
        self.n_parameters = self.n_lag_parameters + 2  # µ and σ², too
        self._assign(self.fixed_d or 0.0, np.zeros(self.p), np.zeros(self.q), 0.0, 1.0)

    @classmethod
    def from_parameters(
        cls, d: float, ar: ArrayLike = (), ma: ArrayLike = (), mean: float = 0.0, sigma: float = 1.0
    ) -> Self:
        """The model with these parameters; the numbers of coefficients are its orders."""
        arma = ARIMA.from_parameters(ar, ma, mean=mean, sigma=sigma)  # checks them
        model = cls((arma.order[0], d, arma.order[2]))
        model._assign(d, arma.ar, arma.ma, mean, sigma)
        return model

    def _assign(self, d: float, ar: np.ndarray, ma: np.ndarray, mean: float, sigma: float) -> None:
        self.d, self.ar, self.ma = float(d), ar, ma
        self.mean, self.sigma = float(mean), float(sigma)

    def __repr__(self) -> str:
        return f"ARFIMA({self.p},{'d' if self.fixed_d is None else self.fixed_d},{self.q})"

    # -------- the likelihood
    def autocovariance(self, lags: int) -> np.ndarray:
        """γ_0 … γ_lags of the model."""
        return arfima_autocovariance(self.d, lags, self.ar, self.ma, self.sigma)

    def _split(self, free: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Free numbers -> d, φ, θ."""
        d = self.fixed_d
        if d is None:
            d, free = D_EDGE * math.tanh(free[0]), free[1:]
        partial = free_to_partial(free)
        return d, partial_to_ar(partial[: self.p]), -partial_to_ar(partial[self.p :])

    def _profile(
        self, x: np.ndarray, d: float, ar: np.ndarray, ma: np.ndarray
    ) -> tuple[float, float, float]:
        """log-likelihood at the best µ and σ, and these; as in `ARIMA`, by the errors of x and of ones."""
        gamma = arfima_autocovariance(d, len(x) - 1, ar, ma)
        (e, w), v = _chain_rule(gamma, np.stack([x, np.ones_like(x)]), False)
        if not (v > 0).all():
            return -np.inf, 0.0, 1.0
        mean = (e * w / v).sum() / (w**2 / v).sum()
        sigma2 = max(np.mean((e - mean * w) ** 2 / v), 1e-24)  # no noise is no maximum
        value = -0.5 * (len(x) * (LOG_2PI + math.log(sigma2) + 1) + np.log(v).sum())
        return float(value), float(mean), math.sqrt(sigma2)

    def _whittle(self, x: np.ndarray, d: float, ar: np.ndarray, ma: np.ndarray) -> float:
        """-½ Σ_j log σ² g_j + I_j / (σ² g_j), g the spectrum at σ = 1, σ² = mean of I / g: per value."""
        n = len(x)
        angle = 2 * np.pi * np.arange(1, (n - 1) // 2 + 1) / n
        periodogram = np.abs(np.fft.rfft(x)[1 : len(angle) + 1]) ** 2 / n  # I_j
        z = np.exp(-1j * angle)
        shape = np.abs(np.polyval(np.r_[ma[::-1], 1.0], z) / np.polyval(np.r_[-ar[::-1], 1.0], z))
        g = shape**2 * (2 * np.sin(angle / 2)) ** (-2 * d)
        sigma2 = max(np.mean(periodogram / g), 1e-24)
        return float(-0.5 * (math.log(sigma2) + np.mean(np.log(g)) + 1 + LOG_2PI))

    def fit(self, x: ArrayLike, iterations: int = 200) -> Self:
        """Maximum likelihood from x (n,).

        Args: iterations: of BFGS. If it does not converge, a `ConvergenceWarning` says what to do.
        """
        least = max(10, 3 * self.n_parameters)
        x = series(x, least=least, why=f"for {self}, which has {self.n_parameters} parameters")
        level, unit = x.mean(), x.std()
        z = (x - level) / unit
        exact = lambda free: self._profile(z, *self._split(free))[0] / len(z)
        whittle = lambda free: self._whittle(z, *self._split(free))
        k = self.n_lag_parameters
        starts = [np.zeros(k), *np.random.default_rng(0).normal(0, 1, (16 * (k > 1), k))]
        start = np.clip(maximise(whittle, starts, iterations).point, -2, 2)  # away from the edges
        best = maximise(exact, [start], iterations)
        d, ar, ma = self._split(best.point)
        _, mean, sigma = self._profile(z, d, ar, ma)
        self._assign(d, ar, ma, level + unit * mean, unit * sigma)
        partial = free_to_partial(best.point[self.fixed_d is None :])
        edges = {"ar": partial[: self.p], "ma": partial[self.p :]}
        if self.fixed_d is None:
            edges["d"] = np.array([2 * d])
        self.converged, self.message = best.converged, best.message
        warn(best, edges, repr(self))
        self._x, self.nobs = x, len(x)
        errors, variances = chain_rule(self.autocovariance(len(x) - 1), x - self.mean)
        self.residuals = errors / np.sqrt(variances)
        self.log_likelihood = self.log_prob(x)
        return self

    def log_prob(self, x: ArrayLike) -> np.ndarray | float:
        """log p(x) in nats: x (..., n) -> (...)."""
        flat, batch = rows(x)
        gamma = self.autocovariance(flat.shape[1] - 1)
        errors, v = _chain_rule(gamma, flat - self.mean, False)
        out = -0.5 * (LOG_2PI + np.log(v) + errors**2 / v).sum(axis=1).reshape(batch)
        return out if batch else float(out)

    # -------- what it is good for
    def forecast(self, h: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the h values after the series, (h,) each.

        With G the covariances of the past (n, n), and C those of future and past (h, n):
        mean = µ + C G⁻¹ (x - µ), variance = γ_0 - the diagonal of C G⁻¹ Cᵀ.
        """
        self._need_fit()
        h, n = whole("h", h), len(self._x)
        gamma = self.autocovariance(n + h - 1)
        C = np.stack([gamma[i + n : i : -1] for i in range(h)])  # Cov(x_{n+1+i}, x_1 … x_n), (h, n)
        weights = solve_toeplitz(gamma[:n], C.T).T  # C G⁻¹
        mean = self.mean + weights @ (self._x - self.mean)
        return mean, np.sqrt(gamma[0] - (weights * C).sum(axis=1))

    def simulate(self, n: int, seed: Seed = 0) -> np.ndarray:
        """Draw a series (n,), value by value from its conditionals."""
        x = np.random.default_rng(seed).standard_normal((1, whole("n", n)))
        _chain_rule(self.autocovariance(n - 1), x, True)
        return self.mean + x[0]

    def estimates(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Names, values and standard errors (from the curvature of the log-likelihood)."""
        self._need_fit()
        free_d, p = self.fixed_d is None, self.p
        names = ["d"] * free_d + [f"ar.L{i + 1}" for i in range(p)]
        names += [f"ma.L{i + 1}" for i in range(self.q)] + ["mean", "sigma2"]
        point = np.concatenate([[self.d] * free_d, self.ar, self.ma, [self.mean, self.sigma**2]])
        steps = np.full(len(point), 1e-4)
        steps[-2:] = 1e-3 * self.sigma, 1e-3 * self.sigma**2

        def value(at: np.ndarray) -> float:
            d, arma = (at[0], at[1:-2]) if free_d else (self.fixed_d, at[:-2])
            other = ARFIMA.from_parameters(d, arma[:p], arma[p:], at[-2], math.sqrt(at[-1]))
            return other.log_prob(self._x)

        return names, point, standard_errors(value, point, steps)
