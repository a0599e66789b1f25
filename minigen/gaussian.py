"""Chapter 2: the multivariate normal distribution: density, fit, sampling, marginals, conditionals."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import lapack, solve_triangular

LOG_2PI = np.log(2 * np.pi)
Seed = int | np.random.Generator  # of what is drawn


def unmasked(x: ArrayLike) -> np.ndarray:
    """x as an array; of a masked one as floats, with NaN for what is masked.

    >>> unmasked(np.ma.array([1, 2], mask=[False, True]))
    array([ 1., nan])
    """
    hidden = isinstance(x, np.ma.MaskedArray)
    return x.astype(np.float64).filled(np.nan) if hidden else np.asarray(x)


def observations(x: ArrayLike, dimension: int | None = None) -> np.ndarray:
    """Data for a fit as float64 (N, D), one observation a row.

    Raises ValueError: another shape or another D, NaN or infinite values.
    """
    x = unmasked(x).astype(np.float64, copy=False)
    if x.ndim != 2 or 0 in x.shape:
        hint = ": give x[:, None] for single numbers, x[None] for one observation" * (x.ndim == 1)
        raise ValueError(f"data have shape (N, D), one observation a row, not {x.shape}{hint}")
    return check_points(x, dimension or x.shape[1])


def check_points(x: ArrayLike, dimension: int) -> np.ndarray:
    """Points whose density is asked for, as float64 (..., D); ValueError unless finite and of this D."""
    x = unmasked(x).astype(np.float64, copy=False)
    if x.ndim == 0 or x.shape[-1] != dimension:
        raise ValueError(f"the density has {dimension} dimensions, x has shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("x has NaN or infinite values: a density is defined for numbers only")
    return x


def variances(x: np.ndarray) -> np.ndarray:
    """The variance of every column (D,); ValueError for a column that is constant but for rounding."""
    constant = np.flatnonzero(x.std(axis=0) <= 8 * np.finfo(float).eps * np.abs(x).max(axis=0))
    if len(constant):
        raise ValueError(
            f"column {constant[0]} of the data is constant, its density infinite: remove the column"
        )
    return x.var(axis=0)


def ledoit_wolf(x: ArrayLike) -> float:
    """How far to shrink a covariance towards µI, from the data (N, D) -> a in [0, 1].

    With S the covariance and µ = tr S / D, the a that minimises E‖(1-a) S + a µI - Σ‖² is the share
    of S's distance from µI that is sampling noise (‖·‖²: sum of squares; x_n centred):

        a = min(β², δ²) / δ²,   δ² = ‖S - µI‖²,   β² = (1/N²) Σ_n ‖x_n x_nᵀ - S‖²

    References: Ledoit and Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices, 2004.
    """
    x = observations(x)
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

    Args: mean: µ (D,). cov: Σ (D, D), symmetric and positive definite.

    References: Bishop, Pattern Recognition and Machine Learning, 2006, section 2.3.

    >>> standard = Gaussian(np.zeros(2), np.eye(2))
    >>> standard, round(float(standard.log_prob(np.zeros(2))), 4)  # -log 2π
    (Gaussian(D=2), -1.8379)
    """

    def __init__(self, mean: ArrayLike, cov: ArrayLike) -> None:
        self.mean = np.array(mean, dtype=np.float64)
        self.cov = np.array(cov, dtype=np.float64)
        d = self.mean.size
        if self.mean.ndim != 1 or d == 0 or self.cov.shape != (d, d):
            raise ValueError(f"shapes are (D,) and (D, D), not {self.mean.shape}, {self.cov.shape}")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.cov).all()):
            raise ValueError("mean or cov has NaN or infinite values")
        if not np.allclose(self.cov, self.cov.T, rtol=1e-8, atol=1e-12 * np.abs(self.cov).max()):
            raise ValueError("cov is not symmetric: take (cov + cov.T) / 2 if it nearly is")
        self.cholesky = _cholesky(self.cov)  # L (D, D), lower triangular
        if self.cholesky is None:
            raise ValueError(
                f"cov is not positive definite (smallest eigenvalue "
                f"{np.linalg.eigvalsh(self.cov)[0]:.3g}): some direction has no variance. Fit with "
                'more observations than dimensions, or with shrinkage="ledoit-wolf"'
            )

    def __repr__(self) -> str:
        return f"Gaussian(D={len(self.mean)})"

    @classmethod
    def fit(cls, x: ArrayLike, ddof: int = 0, shrinkage: float | str | None = None) -> Self:
        """Maximum likelihood: µ* = (1/N) Σ x_n, Σ* = (1/N) Σ (x_n - µ*)(x_n - µ*)ᵀ.

        Args:
            x: (N, D). ddof: divide by N - ddof; 1 makes Σ unbiased.
            shrinkage: a in [0, 1], or "ledoit-wolf": Σ ← (1 - a) Σ + a (tr Σ / D) I.

        >>> Gaussian.fit([[0.0], [2.0]]).cov.item(), Gaussian.fit([[0.0], [2.0]], ddof=1).cov.item()
        (1.0, 2.0)
        """
        x = observations(x)
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
        else:
            variances(x)  # refuses constant columns
        return cls(mean, cov)

    def log_prob(self, x: ArrayLike) -> np.ndarray:
        """log p(x) in nats: x (..., D) -> (...)."""
        d = len(self.mean)
        x = check_points(x, d)
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

    def kl(self, other: "Gaussian") -> float:
        """KL(self ‖ other) = ½ (tr(Σ₂⁻¹Σ₁) + (µ₂-µ₁)ᵀ Σ₂⁻¹ (µ₂-µ₁) - D + log|Σ₂|/|Σ₁|), in nats."""
        if len(other.mean) != len(self.mean):
            raise ValueError(f"{len(self.mean)} dimensions against {len(other.mean)}")
        ratio = solve_triangular(other.cholesky, self.cholesky, lower=True)
        shift = solve_triangular(other.cholesky, other.mean - self.mean, lower=True)
        log_det = np.log(np.diag(other.cholesky)).sum() - np.log(np.diag(self.cholesky)).sum()
        return float(0.5 * ((ratio**2).sum() + shift @ shift - len(self.mean)) + log_det)

    def _coordinates(self, indices: ArrayLike) -> np.ndarray:
        """Which coordinates are meant, as numbers 0 … D - 1; -1 is the last one."""
        indices, d = np.atleast_1d(indices), len(self.mean)
        if indices.ndim != 1 or not np.issubdtype(indices.dtype, np.integer):
            raise ValueError(f"indices are one or more integers, not {indices!r}")
        if (indices < -d).any() or (indices >= d).any():
            raise ValueError(f"indices lie in 0 … {d - 1}, not {indices!r}")
        if len(np.unique(indices % d)) < len(indices):
            raise ValueError(f"a coordinate is named twice in {indices!r}")
        return indices % d

    def marginal(self, indices: ArrayLike) -> "Gaussian":
        """The distribution of some of the coordinates: rows and columns of µ and Σ."""
        indices = self._coordinates(indices)
        return Gaussian(self.mean[indices], self.cov[np.ix_(indices, indices)])

    def condition(self, indices: ArrayLike, values: ArrayLike) -> "Gaussian":
        """The distribution of the other coordinates, given that x[indices] = values.

            µ_a|b = µ_a + Σ_ab Σ_bb⁻¹ (x_b - µ_b),   Σ_a|b = Σ_aa - Σ_ab Σ_bb⁻¹ Σ_ba

        References: Bishop, 2006, section 2.3.1.
        """
        known = self._coordinates(indices)
        values = np.atleast_1d(np.asarray(values, dtype=np.float64))
        if known.shape != values.shape:
            raise ValueError(f"{len(known)} coordinates, but {len(values)} values")
        rest = np.setdiff1d(np.arange(len(self.mean)), known)
        if len(rest) == 0:
            raise ValueError("every coordinate is given: nothing is left to describe")
        cov_bb, cov_ab = self.cov[np.ix_(known, known)], self.cov[np.ix_(rest, known)]
        weight = np.linalg.solve(cov_bb, cov_ab.T).T  # Σ_ab Σ_bb⁻¹
        mean = self.mean[rest] + weight @ (values - self.mean[known])
        cov = self.cov[np.ix_(rest, rest)] - weight @ cov_ab.T
        return Gaussian(mean, (cov + cov.T) / 2)


def _cholesky(cov: np.ndarray) -> np.ndarray | None:
    """L, or None for a singular matrix: one whose pivots vanish but for rounding.

    Pivots of the correlations, so that units do not matter, and in descending order, so that the
    order of the coordinates does not.
    """
    scale = np.sqrt(np.maximum(np.diag(cov), 0))
    if not (scale > 0).all():
        return None
    tolerance = 4 * len(cov) * np.finfo(float).eps
    *_, rank, _ = lapack.dpstrf(cov / np.outer(scale, scale), tol=tolerance, lower=1)
    try:
        return np.linalg.cholesky(cov) if rank == len(cov) else None
    except np.linalg.LinAlgError:
        return None
