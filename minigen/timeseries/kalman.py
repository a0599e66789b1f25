"""Chapter 5: the Kalman filter, the exact likelihood of a linear model with a hidden state, value by value.

    y_t = Z a_t + noise N(0, H)                  what is seen, one number
    a_{t+1} = T a_t + noise N(0, Q)              the state (m,)
    a_1 ~ N(mean, cov + κ diffuse), κ -> ∞       what is known before the first value

By the chain rule log p(y) = Σ_t log p(y_t | y_<t), and each factor is a normal density with the mean Z a
and the variance F = Z P Zᵀ + H that the filter carries along. A missing value has no factor.

P is carried as its square root, P = S Sᵀ with S lower triangular. The textbook's P - K F Kᵀ subtracts
numbers that are nearly equal: near a unit root, where P starts at 10^10 times σ² and more, or after a
start about which nothing is known, no digit is left and a variance may come out negative. In square roots
10^10 is 10^5, an update combines columns with weights of at most 1, and a step in time turns new columns in by
rotations, so that P cannot lose its sign. A start about which nothing is known is then simply a variance
of 10^12 times all others.

References: Kalman, A New Approach to Linear Filtering and Prediction Problems, 1960. Carlson, Fast Triangular
Formulation of the Square Root Filter, 1973. Bierman, Factorization Methods for Discrete Sequential Estimation,
1977, chapters 2, 5, 6. Durbin and Koopman, Time Series Analysis by State Space Methods, 2nd edition, 2012,
chapters 4, 5.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..compiled import compiled
from ..gaussian import Seed
from .correlation import LOG_2PI, series

VAGUE = 1e12  # variance of a diffuse coordinate, in units of the largest other one


@compiled(error_model="numpy")
def _add(S, w):  # pragma: no cover (compiled)
    """S Sᵀ += w wᵀ by rotations. S[j] is column j, of zeros above its j-th entry; w is used up."""
    m = len(w)
    for j in range(m):
        if w[j] == 0.0:
            continue
        if S[j, j] == 0.0:  # a column that is not taken yet
            S[j, j:] = w[j:] if w[j] > 0.0 else -w[j:]
            return
        r = math.hypot(S[j, j], w[j])
        cos, sin = S[j, j] / r, w[j] / r
        for i in range(j, m):
            old = S[j, i]
            S[j, i] = cos * old + sin * w[i]
            w[i] = cos * w[i] - sin * old


@compiled(error_model="numpy")
def _kalman(Y, T, Z, H, shocks, A, start):  # pragma: no cover (compiled)
    """One-step means of each series in Y (c, n), their common variances F (n,), and a, S at the end.

    The series differ in their values and starts A (c, m) only.
    """
    rows, cols = np.nonzero(T)  # of an ARIMA's transition, few entries are not 0
    (c, n), m = Y.shape, len(Z)
    mean, F = np.zeros((c, n)), np.empty(n)
    S, f, K, w = np.zeros((m, m)), np.empty(m), np.empty(m), np.empty(m)
    A, old_S, old_A = A.copy(), np.empty((m, m)), np.empty_like(A)
    for i in range(len(start)):
        _add(S, start[i].copy())
    for t in range(n):
        F[t] = H
        for j in range(m):  # f = Sᵀ Z, F = fᵀ f + H
            f[j] = 0.0
            for i in range(j, m):
                f[j] += S[j, i] * Z[i]
            F[t] += f[j] * f[j]
        for b in range(c):
            for i in range(m):
                mean[b, t] += Z[i] * A[b, i]
        if not np.isnan(Y[0, t]) and F[t] > 0.0:  # condition on y_t: Carlson's form of P - K Kᵀ / F
            s, K[:] = H, 0.0
            for j in range(m - 1, -1, -1):
                if f[j] * f[j] <= 1e-60 * F[t]:  # nothing; its square must not lose digits below
                    continue
                before, s = s, s + f[j] * f[j]
                keep = math.sqrt(before / s)
                take = f[j] / (math.sqrt(before) * math.sqrt(s)) if before > 0.0 else 0.0
                for i in range(j, m):
                    old = S[j, i]
                    S[j, i] = keep * old - take * K[i]
                    K[i] += f[j] * old  # in the end K = P Zᵀ
            for b in range(c):
                v = (Y[b, t] - mean[b, t]) / F[t]
                for i in range(m):
                    A[b, i] += K[i] * v
        S, old_S, A, old_A = old_S, S, old_A, A  # two of each, in turns: nothing is allocated here
        S[:], A[:] = 0.0, 0.0
        for e in range(len(rows)):  # a = T a
            for b in range(c):
                A[b, rows[e]] += T[rows[e], cols[e]] * old_A[b, cols[e]]
        for j in range(m):  # P = T P Tᵀ + Q: the columns T s_j and those of Q
            if old_S[j, j] > 0.0:
                w[:] = 0.0
                for e in range(len(rows)):
                    w[rows[e]] += T[rows[e], cols[e]] * old_S[j, cols[e]]
                _add(S, w)
        for j in range(len(shocks)):
            w[:] = shocks[j]
            _add(S, w)
    return mean, F, A, S


class Run(NamedTuple):
    """Several series (c, n) through one filter: one-step means (c, n) and their variance (n,), infinite
    where nothing is known yet; the states after the last value (c, m) and their covariance (m, m); and
    Σ log F / κ over the values that served to find the diffuse coordinates."""

    mean: np.ndarray
    variance: np.ndarray
    state: np.ndarray
    cov: np.ndarray
    log_diffuse: float


class LinearModel(NamedTuple):
    """A state space in square roots: Q = Σ q qᵀ over the rows of `shocks` (k, m), and P = Σ s sᵀ over
    those of `start` (k, m) for the first state, but for its coordinates `diffuse` (indices)."""

    transition: np.ndarray
    design: np.ndarray
    noise: float
    shocks: np.ndarray
    start: np.ndarray
    diffuse: np.ndarray

    def run(self, Y: np.ndarray, means: np.ndarray, kappa: float | None = None) -> Run:
        """Filter the series Y (c, n), which have the same gaps, from the mean states (c, m).

        The innovations are linear in the series, so that one run serves a regression on them.
        `kappa` is the variance of the diffuse coordinates, infinite by default.
        """
        large, start = math.inf, self.start
        if len(self.diffuse):
            largest = ((rows**2).sum(0).max(initial=0) for rows in (start, self.shocks))
            scale = max(*largest, self.noise)
            large = VAGUE * (scale or 1.0) if kappa is None else kappa
            vague = math.sqrt(large) * np.eye(len(self.design))[self.diffuse]
            start = np.concatenate([start, vague])
        model = (self.transition, self.design, float(self.noise), self.shocks)
        mean, F, state, S = _kalman(Y, *model, means, start)
        log_diffuse = 0.0
        if len(self.diffuse) and kappa is None:
            seen = ~np.isnan(Y[0])
            unknown = F > 1e-6 * large
            unknown &= np.cumsum(unknown & seen) - (unknown & seen) < len(self.diffuse)
            log_diffuse = float(np.log(F[unknown & seen] / large).sum())
            F = np.where(unknown, np.inf, F)
        return Run(mean, F, state, S.T @ S, log_diffuse)

    def simulate(self, n: int, seed: Seed, mean, cov) -> np.ndarray:
        """Draw y (n,), the first state from N(mean, cov)."""
        rng, m = np.random.default_rng(seed), len(self.design)
        a = mean + _root(cov) @ rng.standard_normal(m)
        shocks = rng.standard_normal((n, m)) @ _root(self.shocks.T @ self.shocks).T  # (n, m)
        y = np.sqrt(self.noise) * rng.standard_normal(n)
        for t in range(n):
            y[t] += self.design @ a
            a = self.transition @ a + shocks[t]
        return y


def _root(cov: np.ndarray) -> np.ndarray:
    """A matrix S with S Sᵀ = cov, for a covariance that may have no variance in some directions."""
    values, vectors = np.linalg.eigh(cov)
    return vectors * np.sqrt(np.maximum(values, 0))


def _columns(cov: np.ndarray) -> np.ndarray:
    """A covariance (m, m) as rows s (k, m) with Σ s sᵀ = cov: Gaussian elimination."""
    rest, out = cov.copy(), []
    least = 1e-14 * np.diag(rest)  # what rounding leaves of a direction without variance
    for j in range(len(rest)):
        if rest[j, j] > least[j]:
            out.append(rest[:, j] / math.sqrt(rest[j, j]))
            rest -= np.outer(out[-1], out[-1])
    return np.array(out).reshape(-1, len(rest))


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


@dataclass(frozen=True, repr=False)
class StateSpace:
    """A linear Gaussian model with a hidden state of m numbers and one number seen at a time.

    Args:
        transition: T (m, m). design: Z (m,). state_cov: Q (m, m). noise: H, a variance.
        mean, cov: of the first state, (m,) and (m, m).
        diffuse: a 0/1 vector (m,): coordinates about which nothing at all is known at the start.

    The likelihood with diffuse coordinates is that of the values which remain when the first ones have
    been used up to find them.

    >>> level = StateSpace([[1.0]], [1.0], [[0.5]], 1.0, [0.0], [[0.0]], [1.0])  # a random walk in noise
    >>> level, level.filter([1.0, 2.0]).variance  # nothing known; then noise 1 + step ½ + noise 1
    (StateSpace(1 state, 1 diffuse), array([inf, 2.5]))
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
                raise ValueError(f"{name} has shape {shape} and finite entries, not {value.shape}")
            object.__setattr__(self, name, value)
        for name in ("state_cov", "cov"):
            matrix = getattr(self, name)
            size = 1e-8 * np.abs(matrix).max(initial=0.0)
            turned = np.abs(matrix - matrix.T).max(initial=0.0) > size
            if turned or np.linalg.eigvalsh(matrix).min() < -size:
                raise ValueError(f"{name} is a covariance: symmetric, no negative variance")
        if not 0 <= self.noise < np.inf:
            raise ValueError(f"noise is a variance and cannot be {self.noise}")

    def __repr__(self) -> str:
        m, diffuse = len(self.design), int(np.count_nonzero(self.diffuse))
        return f"StateSpace({m} state{'s' * (m > 1)}{f', {diffuse} diffuse' * (diffuse > 0)})"

    def _model(self) -> LinearModel:
        shocks, start = _columns(self.state_cov), _columns(self.cov)
        diffuse = np.flatnonzero(self.diffuse)
        return LinearModel(self.transition, self.design, self.noise, shocks, start, diffuse)

    def filter(self, y: ArrayLike) -> Filtered:
        """Run over y (n,), NaN where a value is missing."""
        y = series(y, "y", least=0, missing=True, constant=True)
        (mean,), F, (state,), cov, log_diffuse = self._model().run(y[None], self.mean[None])
        innovations = np.where(np.isfinite(F), y - mean, np.nan)
        known = np.isfinite(innovations)
        v, known_F = innovations[known], F[known]
        certain = known_F == 0.0
        if certain.any():  # right or wrong
            right = np.abs(v[certain]).max() <= 1e-9 * np.abs(y[known]).max()
            total = math.inf if right else -math.inf
        else:
            total = -0.5 * (np.sum(LOG_2PI + np.log(known_F) + v**2 / known_F) + log_diffuse)
        return Filtered(mean, F, innovations, state, cov, float(total))

    def log_prob(self, y: ArrayLike) -> float:
        """log p(y) in nats, of the values that are there."""
        return self.filter(y).log_likelihood

    def simulate(self, n: int, seed: Seed = 0) -> np.ndarray:
        """Draw y (n,). Diffuse coordinates start at their mean: an infinite variance has no sample."""
        return self._model().simulate(n, seed, self.mean, self.cov)
