"""The multivariate normal distribution: density, maximum likelihood, sampling, conditioning."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular

__all__ = ["Gaussian", "ledoit_wolf"]

LOG_2PI = np.log(2 * np.pi)


def _data(x: ArrayLike, dimension: int | None = None) -> np.ndarray:
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"data have shape (N, D), one observation a row, not {x.shape}")
    if dimension is not None and x.shape[1] != dimension:
        raise ValueError(f"this Gaussian has {dimension} dimensions, the data have {x.shape[1]}")
    if not np.isfinite(x).all():
        raise ValueError("the data have NaN or infinite values: remove those rows first")
    return x


def ledoit_wolf(x: ArrayLike) -> float:
    """How far to shrink a covariance towards µI, chosen from the data (N, D) -> a in [0, 1].

    With S the covariance and µ = tr S / D, the a that makes E‖(1-a) S + a µI - Σ‖² smallest is the
    part of S's distance from µI that is only noise:

        a = min(β², δ²) / δ²,   δ² = ‖S - µI‖²,   β² = (1/N²) Σ_n ‖x_n x_nᵀ - S‖²

    with ‖·‖² the sum of squares and x_n centred.

    References:
        Ledoit and Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices, 2004.
    """
    x = _data(x)
    x = x - x.mean(axis=0)
    n, d = x.shape
    s = x.T @ x / n
    delta = np.sum((s - np.trace(s) / d * np.eye(d)) ** 2)
    # Σ_n ‖x_n x_nᵀ - S‖² = Σ_n ‖x_n‖⁴ - N ‖S‖², since Σ_n x_n x_nᵀ = N S
    beta = (np.sum(np.sum(x**2, axis=1) ** 2) - n * np.sum(s**2)) / n**2
    return float(min(beta, delta) / delta) if delta > 0 else 1.0


class Gaussian:
    """N(µ, Σ) in D dimensions.

        log p(x) = -½ (x - µ)ᵀ Σ⁻¹ (x - µ) - ½ log|Σ| - (D/2) log 2π

    With the Cholesky factor L, Σ = L Lᵀ, the quadratic form is ‖L⁻¹(x - µ)‖² and log|Σ| = 2 Σ_i
    log L_ii: no inverse, no determinant, D³/3 operations once and D² for each x.

    Args:
        mean: µ (D,). cov: Σ (D, D), symmetric and positive definite.

    References:
        Bishop, Pattern Recognition and Machine Learning, 2006, section 2.3.

    >>> standard = Gaussian(np.zeros(2), np.eye(2))
    >>> round(float(standard.log_prob(np.zeros(2))), 4)  # -log 2π
    -1.8379
    """

    def __init__(self, mean: ArrayLike, cov: ArrayLike) -> None:
        self.mean = np.array(mean, dtype=np.float64)
        self.cov = np.array(cov, dtype=np.float64)
        d = self.mean.size
        if self.mean.ndim != 1 or d == 0 or self.cov.shape != (d, d):
            raise ValueError(
                f"mean has shape (D,) and cov (D, D), not {self.mean.shape} and {self.cov.shape}"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.cov).all()):
            raise ValueError("mean or cov has NaN or infinite values")
        if not np.allclose(self.cov, self.cov.T, rtol=1e-8, atol=1e-12 * np.abs(self.cov).max()):
            raise ValueError("cov is not symmetric: take (cov + cov.T) / 2 if it nearly is")
        try:
            self.cholesky = np.linalg.cholesky(self.cov)  # L (D, D), lower triangular
        except np.linalg.LinAlgError:
            raise ValueError(
                f"cov is not positive definite (smallest eigenvalue "
                f"{np.linalg.eigvalsh(self.cov)[0]:.3g}): some direction has no variance. Fit with "
                'more observations than dimensions, or with shrinkage="ledoit-wolf"'
            ) from None

    @classmethod
    def fit(cls, x: ArrayLike, ddof: int = 0, shrinkage: float | str | None = None) -> Gaussian:
        """Maximum likelihood: µ* = (1/N) Σ x_n, Σ* = (1/N) Σ (x_n - µ*)(x_n - µ*)ᵀ.

        Args:
            x: (N, D). ddof: divide by N - ddof; 1 makes Σ unbiased.
            shrinkage: a in [0, 1], or "ledoit-wolf": Σ ← (1 - a) Σ + a (tr Σ / D) I.

        >>> Gaussian.fit([[0.0], [2.0]]).cov.item(), Gaussian.fit([[0.0], [2.0]], ddof=1).cov.item()
        (1.0, 2.0)
        """
        x = _data(x)
        n, d = x.shape
        if n <= ddof:
            raise ValueError(f"{n} observations do not determine a covariance with ddof={ddof}")
        mean = x.mean(axis=0)  # µ*, (D,)
        centred = x - mean  # (N, D)
        cov = centred.T @ centred / (n - ddof)  # Σ*, (D, D)
        if shrinkage is not None:
            a = ledoit_wolf(x) if shrinkage == "ledoit-wolf" else shrinkage
            if isinstance(a, str) or not 0 <= a <= 1:
                raise ValueError(f'shrinkage is a number in [0, 1] or "ledoit-wolf", not {a!r}')
            cov = (1 - a) * cov + a * np.trace(cov) / d * np.eye(d)
        elif n - 1 < d:
            raise ValueError(
                f"{n} observations in {d} dimensions leave a covariance of rank at most {n - 1}: "
                f'take more than {d} observations, or shrinkage="ledoit-wolf"'
            )
        return cls(mean, cov)

    def log_prob(self, x: ArrayLike) -> np.ndarray:
        """log p(x) in nats: x (..., D) -> (...)."""
        x = np.asarray(x, dtype=np.float64)
        d = len(self.mean)
        if x.ndim == 0 or x.shape[-1] != d:
            raise ValueError(f"this Gaussian has {d} dimensions, x has shape {x.shape}")
        centred = (x - self.mean).reshape(-1, d).T  # (D, M)
        white = solve_triangular(self.cholesky, centred, lower=True)  # L⁻¹ (x - µ)
        log_det = 2 * np.log(np.diag(self.cholesky)).sum()  # log|Σ|
        out = -0.5 * (white**2).sum(axis=0) - 0.5 * log_det - 0.5 * d * LOG_2PI
        return out.reshape(x.shape[:-1])

    def sample(self, n: int, seed: int | np.random.Generator = 0) -> np.ndarray:
        """x = µ + L z with z ~ N(0, I), so that Cov x = L Lᵀ = Σ -> (n, D)."""
        if n < 0:
            raise ValueError(f"n counts samples, not {n}")
        z = np.random.default_rng(seed).standard_normal((n, len(self.mean)))
        return self.mean + z @ self.cholesky.T

    def entropy(self) -> float:
        """½ log|2πe Σ| in nats."""
        d = len(self.mean)
        return float(np.log(np.diag(self.cholesky)).sum() + 0.5 * d * (1 + LOG_2PI))

    def kl(self, other: Gaussian) -> float:
        """KL(self ‖ other) = ½ (tr(Σ₂⁻¹Σ₁) + (µ₂-µ₁)ᵀ Σ₂⁻¹ (µ₂-µ₁) - D + log|Σ₂|/|Σ₁|), in nats."""
        if len(other.mean) != len(self.mean):
            raise ValueError(f"{len(self.mean)} dimensions against {len(other.mean)}")
        ratio = solve_triangular(other.cholesky, self.cholesky, lower=True)
        shift = solve_triangular(other.cholesky, other.mean - self.mean, lower=True)
        log_det = np.log(np.diag(other.cholesky)).sum() - np.log(np.diag(self.cholesky)).sum()
        return float(0.5 * ((ratio**2).sum() + shift @ shift - len(self.mean)) + log_det)

    def marginal(self, indices: ArrayLike) -> Gaussian:
        """The distribution of some of the coordinates: rows and columns of µ and Σ."""
        indices = np.atleast_1d(indices)
        return Gaussian(self.mean[indices], self.cov[np.ix_(indices, indices)])

    def condition(self, indices: ArrayLike, values: ArrayLike) -> Gaussian:
        """The distribution of the other coordinates, given that x[indices] = values.

            µ_a|b = µ_a + Σ_ab Σ_bb⁻¹ (x_b - µ_b),   Σ_a|b = Σ_aa - Σ_ab Σ_bb⁻¹ Σ_ba

        References: Bishop, 2006, section 2.3.1.
        """
        known = np.atleast_1d(indices)
        values = np.atleast_1d(np.asarray(values, dtype=np.float64))
        if known.shape != values.shape:
            raise ValueError(f"{len(known)} coordinates, but {len(values)} values")
        rest = np.setdiff1d(np.arange(len(self.mean)), known)
        if len(rest) == 0:
            raise ValueError("every coordinate is given: nothing is left to describe")
        cov_bb, cov_ab = self.cov[np.ix_(known, known)], self.cov[np.ix_(rest, known)]
        gain = np.linalg.solve(cov_bb, cov_ab.T).T  # Σ_ab Σ_bb⁻¹
        mean = self.mean[rest] + gain @ (values - self.mean[known])
        cov = self.cov[np.ix_(rest, rest)] - gain @ cov_ab.T
        return Gaussian(mean, (cov + cov.T) / 2)
