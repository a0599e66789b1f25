"""The Kalman filter: the exact likelihood of a linear model with a hidden state, one value at a time.

    y_t = Z a_t + noise N(0, H)                  what is seen, one number
    a_{t+1} = T a_t + noise N(0, Q)              the state (m,)
    a_1 ~ N(mean, cov + κ diffuse), κ -> ∞       what is known before the first value

By the chain rule log p(y) = Σ_t log p(y_t | y_<t), and each factor is a normal density with the mean Z a
and the variance F = Z P Zᵀ + H that the filter carries along. A missing value has no factor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from ..compiled import compiled
from .correlation import series

__all__ = ["Filtered", "StateSpace", "stationary_covariance"]


@compiled
def _times(rows, cols, entries, P, out):  # pragma: no cover (compiled)
    """out = P Tᵀ for a symmetric P, hence T P in its columns; T as a list of its non-zero entries."""
    m = len(P)
    out[:] = 0.0
    for e in range(len(rows)):
        for j in range(m):
            out[j, rows[e]] += entries[e] * P[cols[e], j]


@compiled
def _kalman(y, rows, cols, entries, Z, Q, H, a, P, P_inf, n_diffuse):  # pragma: no cover (compiled)
    """Mean and variance of each y_t given y_<t (inf: nothing is known), Σ log F∞, and a, P at the end."""
    n, m = len(y), len(Z)
    mean, variance = np.empty(n), np.empty(n)
    M, M_inf, K = np.zeros(m), np.zeros(m), np.zeros(m)
    moved, product = np.empty(m), np.empty((m, m))
    a, P, P_inf = a.copy(), P.copy(), P_inf.copy()
    log_diffuse = 0.0
    for t in range(n):
        F, F_inf, mean[t] = H, 0.0, 0.0
        M[:] = 0.0
        for k in range(m):  # M = P Z: covariance of the state with y_t
            if Z[k] != 0.0:
                for i in range(m):
                    M[i] += P[k, i] * Z[k]
        for i in range(m):
            F += Z[i] * M[i]  # F = Z P Zᵀ + H
            mean[t] += Z[i] * a[i]
        if n_diffuse > 0:
            for i in range(m):
                M_inf[i] = 0.0
                for k in range(m):
                    M_inf[i] += P_inf[i, k] * Z[k]
            for i in range(m):
                F_inf += Z[i] * M_inf[i]
        diffuse = F_inf > 1e-9
        variance[t] = np.inf if diffuse else F
        v = y[t] - mean[t]  # the innovation
        if not np.isnan(v):
            if diffuse:  # the limit κ -> ∞ of the lines below: y_t fixes one direction of the state
                for i in range(m):
                    K[i] = M_inf[i] / F_inf
                for i in range(m):
                    a[i] += K[i] * v
                    for j in range(m):
                        P[i, j] += F * K[i] * K[j] - K[i] * M[j] - M[i] * K[j]
                        P_inf[i, j] -= K[i] * M_inf[j]
                log_diffuse += math.log(F_inf)
                n_diffuse -= 1
            elif F > 0.0:
                for i in range(m):
                    K[i] = M[i] / F  # the gain
                for i in range(m):
                    a[i] += K[i] * v
                    for j in range(m):
                        P[i, j] -= K[i] * M[j]
        moved[:] = 0.0
        for e in range(len(rows)):  # a = T a
            moved[rows[e]] += entries[e] * a[cols[e]]
        a, moved = moved, a
        _times(rows, cols, entries, P, product)
        _times(rows, cols, entries, product, P)  # P = T P Tᵀ + Q
        for i in range(m):
            for j in range(m):
                P[i, j] += Q[i, j]
        if n_diffuse > 0:
            _times(rows, cols, entries, P_inf, product)
            _times(rows, cols, entries, product, P_inf)
    return mean, variance, log_diffuse, a, P


def stationary_covariance(transition: np.ndarray, state_cov: np.ndarray) -> np.ndarray:
    """The covariance that the state keeps: P = T P Tᵀ + Q, for a T with all eigenvalues inside the circle.

    P = Σ_k T^k Q (T^k)ᵀ, and each step below doubles the number of terms:

        P ← P + A P Aᵀ,   A ← A²,   from P = Q, A = T

    >>> stationary_covariance(np.array([[0.5]]), np.array([[3.0]]))
    array([[4.]])
    """
    A, P = transition, state_cov
    for _ in range(60):
        added = A @ P @ A.T
        P = P + added
        if np.abs(added).max() <= 1e-15 * np.abs(P).max():
            return P
        A = A @ A
    raise ValueError(
        "the transition is not stationary: an eigenvalue does not lie inside the circle"
    )


@dataclass(frozen=True)
class Filtered:
    """What the filter found.

    Args:
        mean, variance: of each y_t given those before it, (n,). The variance is infinite where nothing
            is known yet. Where y_t is missing they forecast it.
        innovations: y_t - mean, (n,): NaN where y_t is missing or its variance infinite.
        state, cov: of the state after the last value, one step ahead, (m,) and (m, m).
        log_likelihood: in nats.
    """

    mean: np.ndarray = field(repr=False)
    variance: np.ndarray = field(repr=False)
    innovations: np.ndarray = field(repr=False)
    state: np.ndarray = field(repr=False)
    cov: np.ndarray = field(repr=False)
    log_likelihood: float


@dataclass(frozen=True)
class StateSpace:
    """A linear Gaussian model with a hidden state of m numbers and one number seen at a time.

    Args:
        transition: T (m, m). design: Z (m,). state_cov: Q (m, m). noise: H, a variance.
        mean, cov: of the first state, (m,) and (m, m).
        diffuse: a 0/1 vector (m,): coordinates about which nothing at all is known at the start.

    The likelihood with diffuse coordinates is that of the values which remain when the first ones have
    been used up to find them: it is exactly the density of the differenced series for an ARIMA.

    References:
        Kalman, A New Approach to Linear Filtering and Prediction Problems, 1960.
        Durbin and Koopman, Time Series Analysis by State Space Methods, 2nd edition, 2012, chapters 4, 5.

    >>> level = StateSpace([[1.0]], [1.0], [[0.5]], 1.0, [0.0], [[0.0]], [1.0])  # a random walk in noise
    >>> level.filter([1.0, 2.0]).variance  # nothing known; then noise 1 + step ½ + noise 1
    array([inf, 2.5])
    """

    transition: np.ndarray
    design: np.ndarray
    state_cov: np.ndarray
    noise: float
    mean: np.ndarray
    cov: np.ndarray
    diffuse: np.ndarray | None = None

    def __post_init__(self) -> None:
        m = np.size(self.design)
        shapes = {"transition": (m, m), "design": (m,), "state_cov": (m, m), "mean": (m,)}
        shapes |= {"cov": (m, m), "diffuse": (m,)}
        if self.diffuse is None:
            object.__setattr__(self, "diffuse", np.zeros(m))
        for name, shape in shapes.items():
            value = np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(
                    f"with a state of {m} numbers, {name} has shape {shape} and finite entries, "
                    f"not {value.shape}"
                )
            object.__setattr__(self, name, value)
        for name in ("state_cov", "cov"):
            matrix = getattr(self, name)
            if not np.allclose(matrix, matrix.T) or (np.diag(matrix) < 0).any():
                raise ValueError(f"{name} is a covariance: symmetric, no negative variance")
        if not self.noise >= 0:
            raise ValueError(f"noise is a variance and cannot be {self.noise}")

    def filter(self, y: ArrayLike) -> Filtered:
        """Run over y (n,), NaN where a value is missing."""
        y = series(y, "y", least=0, missing=True, constant=True)
        return self._filter(y)

    def _filter(self, y: np.ndarray) -> Filtered:
        """The same for a checked y."""
        rows, cols = np.nonzero(self.transition)  # of an ARIMA's transition, few entries are not 0
        mean, variance, log_diffuse, state, cov = _kalman(
            y,
            rows,
            cols,
            self.transition[rows, cols],
            self.design,
            self.state_cov,
            float(self.noise),
            self.mean,
            self.cov,
            np.diag(self.diffuse),
            int(self.diffuse.sum()),
        )
        known = np.isfinite(variance) & ~np.isnan(y)
        innovations = np.where(known, y - mean, np.nan)
        v, F = innovations[known], variance[known]
        with np.errstate(divide="ignore", invalid="ignore"):  # F = 0: certain, and right or wrong
            total = -0.5 * np.sum(math.log(2 * math.pi) + np.log(F) + v**2 / F) - 0.5 * log_diffuse
        return Filtered(mean, variance, innovations, state, (cov + cov.T) / 2, float(total))

    def log_prob(self, y: ArrayLike) -> float:
        """log p(y) in nats, of the values that are there."""
        return self.filter(y).log_likelihood

    def simulate(
        self,
        n: int,
        seed: int | np.random.Generator = 0,
        state: np.ndarray | None = None,
        cov: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draw y (n,); the first state from N(state, cov), by default from the model's own start.

        Diffuse coordinates start at their mean: there is no sample of an infinite variance.
        """
        rng = np.random.default_rng(seed)
        a = self.mean if state is None else state
        P = self.cov if cov is None else cov
        m = len(self.design)
        a = a + _root(P) @ rng.standard_normal(m)
        shocks = rng.standard_normal((n, m)) @ _root(self.state_cov).T  # (n, m)
        y = np.sqrt(self.noise) * rng.standard_normal(n)
        for t in range(n):
            y[t] += self.design @ a
            a = self.transition @ a + shocks[t]
        return y


def _root(cov: np.ndarray) -> np.ndarray:
    """A matrix S with S Sᵀ = cov, for a covariance that may have no variance in some directions."""
    values, vectors = np.linalg.eigh(cov)
    return vectors * np.sqrt(np.maximum(values, 0))
