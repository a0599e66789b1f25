"""The multivariate normal distribution: density, maximum likelihood, sampling, conditioning; mixtures."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from . import ConvergenceWarning

__all__ = ["Gaussian", "GaussianMixture", "ledoit_wolf"]

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
        if not np.isfinite(x).all():
            raise ValueError("x has NaN or infinite values: a density is defined for numbers only")
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

    def marginal(self, indices: ArrayLike) -> Gaussian:
        """The distribution of some of the coordinates: rows and columns of µ and Σ."""
        indices = self._coordinates(indices)
        return Gaussian(self.mean[indices], self.cov[np.ix_(indices, indices)])

    def condition(self, indices: ArrayLike, values: ArrayLike) -> Gaussian:
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
        gain = np.linalg.solve(cov_bb, cov_ab.T).T  # Σ_ab Σ_bb⁻¹
        mean = self.mean[rest] + gain @ (values - self.mean[known])
        cov = self.cov[np.ix_(rest, rest)] - gain @ cov_ab.T
        return Gaussian(mean, (cov + cov.T) / 2)


# ---------------------------------------------------------------- mixtures


COVARIANCES = ("full", "tied", "diag", "spherical")


def _check_kind(kind: str) -> str:
    if kind not in COVARIANCES:
        raise ValueError(f"covariance is one of {', '.join(COVARIANCES)}, not {kind!r}")
    return kind


def _spread(x: np.ndarray) -> np.ndarray:
    """The variance of every column (D,); a column without any is an error."""
    constant = np.flatnonzero(x.std(axis=0) <= 1e-12 * np.abs(x).max(axis=0))
    if len(constant):
        raise ValueError(
            f"column {constant[0]} of the data is constant ({x[0, constant[0]]:.6g}): its density "
            "would be infinite. Remove the column"
        )
    return x.var(axis=0)


def _full(covs: np.ndarray, kind: str, k: int, d: int) -> np.ndarray:
    """The covariances of any kind as matrices (K, D, D)."""
    if kind == "full":
        return covs
    if kind == "tied":
        return np.broadcast_to(covs, (k, d, d))
    if kind == "spherical":
        covs = np.repeat(covs[:, None], d, axis=1)
    return covs[:, :, None] * np.eye(d)


def _log_normal(x: np.ndarray, means: np.ndarray, covs: np.ndarray, kind: str) -> np.ndarray:
    """log N(x_n | µ_k, Σ_k): x (N, D), means (K, D) -> (N, K)."""
    (k, d), n = means.shape, len(x)
    constant = -0.5 * d * LOG_2PI
    if kind in ("diag", "spherical"):
        precision = 1 / (covs if kind == "diag" else np.repeat(covs[:, None], d, axis=1))  # (K, D)
        centre = means.mean(axis=0)  # near zero the three terms below cancel without loss
        x, means = x - centre, means - centre
        square = (
            (x**2) @ precision.T - 2 * x @ (means * precision).T + (means**2 * precision).sum(1)
        )
        return constant + 0.5 * np.log(precision).sum(axis=1) - 0.5 * np.maximum(square, 0)
    out = np.empty((n, k))
    roots = np.linalg.cholesky(covs if kind == "full" else covs[None])  # L, (K or 1, D, D)
    for j in range(k):
        root = roots[j % len(roots)]
        white = solve_triangular(root, (x - means[j]).T, lower=True)  # L⁻¹ (x - µ), (D, N)
        out[:, j] = constant - np.log(np.diag(root)).sum() - 0.5 * (white**2).sum(axis=0)
    return out


def _raise_to(cov: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """The most likely covariance with Σ >= diag(floor), given the sample covariance (D, D).

    In units in which the floor is the identity the bound is on the eigenvalues, and the maximum
    keeps the eigenvectors and lifts each eigenvalue below 1 to 1.
    """
    unit = np.sqrt(floor)
    values, vectors = np.linalg.eigh(cov / np.outer(unit, unit))
    if values[0] >= 1:
        return cov
    lifted = (vectors * np.maximum(values, 1)) @ vectors.T * np.outer(unit, unit)
    return (lifted + lifted.T) / 2


def _weighted_fit(
    x: np.ndarray, r: np.ndarray, kind: str, floor: np.ndarray, old: tuple | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The M step: the means and covariances that maximise Σ_nk r_nk log N(x_n | µ_k, Σ_k).

    Args:
        x: (N, D). r: responsibilities (N, K). floor: the least variance of every column (D,).
        old: means and covariances that a component without any data keeps.
    """
    count = r.sum(axis=0)  # N_k
    alive = count > 1e-10
    safe = np.where(alive, count, 1.0)
    centre = x.mean(axis=0)
    x = x - centre  # so that the differences of squares below lose no digits
    means = (r.T @ x) / safe[:, None]
    if kind == "full":
        covs = np.empty((len(count), x.shape[1], x.shape[1]))
        for j in range(len(count)):
            off = x - means[j]
            covs[j] = _raise_to((r[:, j] * off.T) @ off / safe[j], floor)
    elif kind == "tied":
        within = (r.sum(axis=1) * x.T) @ x - (means.T * count) @ means
        covs = _raise_to(within / count.sum(), floor)
    else:
        covs = np.maximum((r.T @ x**2) / safe[:, None] - means**2, 0)
        if kind == "spherical":
            covs, floor = covs.mean(axis=1), floor.mean()
        covs = np.maximum(covs, floor)
    means = means + centre
    if not alive.all():
        if old is None:
            raise ValueError(f"{(~alive).sum()} components have no data: ask for fewer")
        means[~alive] = old[0][~alive]
        if kind != "tied":
            covs[~alive] = old[1][~alive]
    return means, covs


def _kmeans(x: np.ndarray, k: int, rng: np.random.Generator, rounds: int = 10) -> np.ndarray:
    """k-means++ and a few rounds of k-means, in units of each column's deviation -> labels (N,).

    k-means++ draws the first centre from the data, and each further one with a probability that
    grows with the square of its distance from the nearest centre so far.

    References: Arthur and Vassilvitskii, k-means++: The Advantages of Careful Seeding, 2007.
    """
    if len(x) < k:
        raise ValueError(f"{len(x)} observations are too few for {k} components: ask for fewer")
    std = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(std > 0, std, 1)
    centres = x[[rng.integers(len(x))]]
    distance = ((x - centres[0]) ** 2).sum(axis=1)
    while len(centres) < k:
        if distance.sum() <= 0:
            raise ValueError(
                f"only {len(centres)} observations are different: too few for {k} components"
            )
        chosen = x[rng.choice(len(x), p=distance / distance.sum())]
        centres = np.vstack([centres, chosen])
        distance = np.minimum(distance, ((x - chosen) ** 2).sum(axis=1))
    for _ in range(rounds):
        labels = np.argmin((centres**2).sum(axis=1) - 2 * x @ centres.T, axis=1)
        for j in range(k):
            if (labels == j).any():
                centres[j] = x[labels == j].mean(axis=0)
    # a centre may have lost its points to others: it takes the point that lies farthest out
    for j in np.setdiff1d(np.arange(k), labels):
        crowded = np.bincount(labels, minlength=k)[labels] > 1
        off = ((x - centres[labels]) ** 2).sum(axis=1)
        labels[np.argmax(np.where(crowded, off, -1))] = j
    return labels


def _check_covs(covs: np.ndarray, kind: str, k: int, d: int) -> None:
    want = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[kind]
    if covs.shape != want:
        raise ValueError(f"{kind} covariances have shape {want}, not {covs.shape}")
    if kind in ("full", "tied"):
        for cov in covs.reshape(-1, d, d):
            Gaussian(np.zeros(d), cov)  # says what is wrong with it
    elif not (np.isfinite(covs).all() and (covs > 0).all()):
        raise ValueError("variances are positive and finite")


def _check_weights(weights: np.ndarray, what: str = "weights") -> None:
    if not (weights >= 0).all() or not np.allclose(weights.sum(axis=-1), 1):
        raise ValueError(f"{what} are not negative and sum to 1, not {weights.sum(axis=-1)}")


def _log(p: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(p)  # log 0 = -inf is what is meant


def _never_down(history: list[float]) -> None:
    """EM cannot lower the likelihood: where it does, beyond rounding, the code is wrong."""
    if len(history) > 1 and history[-1] < history[-2] - 1e-7 * (1 + abs(history[-2])):
        raise ArithmeticError(
            f"a step lowered the log-likelihood from {history[-2]:.6g} to {history[-1]:.6g}: EM cannot do "
            "that, so the E step and the M step do not belong together. Please report it"
        )


def _warn(what: str, steps: int, gain: float, tol: float, unit: str, parts: str) -> None:
    warnings.warn(
        f"{what} has not settled after {steps} steps: the last one still gained {gain:.2g} nats a "
        f"{unit}, more than tol={tol:.2g}. Allow more steps (max_iter={2 * steps}), ask for fewer "
        f"{parts}, or accept a larger tol",
        ConvergenceWarning,
        stacklevel=3,
    )


class GaussianMixture:
    """One of K Gaussians, drawn anew for every observation.

        log p(x) = log Σ_k w_k N(x | µ_k, Σ_k)

    `fit` is EM: with r_nk = w_k N(x_n | µ_k, Σ_k) / p(x_n), the responsibility of component k for
    observation n, and N_k = Σ_n r_nk,

        w_k = N_k / N,   µ_k = (1/N_k) Σ_n r_nk x_n,   Σ_k = (1/N_k) Σ_n r_nk (x_n - µ_k)(x_n - µ_k)ᵀ

    No step lowers the likelihood, the floor included: it is a bound, within which the M step is
    still the maximum, not a number added to the diagonal.

    Args:
        k: K, the number of components.
        covariance: "full", "tied" (one matrix for all), "diag", or "spherical" (a multiple of I).
        floor: the least variance, as a share of each column's variance in the data.
        tol: `fit` stops when a step gains less than this many nats an observation.
        max_iter: the most steps; after that `fit` warns. n_init: starts, of which the best is kept.
        seed: of the k-means++ starts.

    After `fit`: weights (K,), means (K, D), covs ((K, D, D), (D, D), (K, D) or (K,)), `converged`,
    and `history`, the mean log-likelihood of an observation before each step and after the last.

    References:
        Dempster, Laird and Rubin, Maximum Likelihood from Incomplete Data via the EM Algorithm, 1977.
        Bishop, Pattern Recognition and Machine Learning, 2006, section 9.2.

    >>> x = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 150)])[:, None]
    >>> mixture = GaussianMixture(2).fit(x)
    >>> sorted(np.round(mixture.means[:, 0], 3).tolist()), sorted(np.round(mixture.weights, 3).tolist())
    ([0.0, 10.0], [0.25, 0.75])
    """

    weights: np.ndarray
    means: np.ndarray
    covs: np.ndarray

    def __init__(
        self,
        k: int,
        covariance: str = "full",
        floor: float = 1e-6,
        tol: float = 1e-6,
        max_iter: int = 500,
        n_init: int = 1,
        seed: int | np.random.Generator = 0,
    ) -> None:
        if k < 1 or max_iter < 1 or n_init < 1:
            raise ValueError(f"{k=}, {max_iter=} and {n_init=} are at least 1")
        if not (0 < floor < 1 and tol > 0):
            raise ValueError(
                f"floor lies between 0 and 1 and tol is positive, not {floor=}, {tol=}"
            )
        self.k, self.covariance, self.floor = k, _check_kind(covariance), floor
        self.tol, self.max_iter, self.n_init, self.seed = tol, max_iter, n_init, seed
        self.history: list[float] = []
        self.converged = False

    @classmethod
    def of(
        cls,
        weights: ArrayLike,
        means: ArrayLike,
        covs: ArrayLike,
        covariance: str = "full",
        **options,
    ) -> GaussianMixture:
        """A mixture with known parameters: weights (K,), means (K, D), covs as after `fit`.

        >>> two = GaussianMixture.of([0.5, 0.5], [[-1.0], [1.0]], [1.0, 1.0], "spherical")
        >>> round(float(two.log_prob([0.0])), 4)  # log N(1 | 0, 1)
        -1.4189
        """
        weights, means, covs = (np.array(v, dtype=np.float64) for v in (weights, means, covs))
        if means.ndim != 2 or 0 in means.shape or weights.shape != means.shape[:1]:
            raise ValueError(
                f"weights have shape (K,) and means (K, D), not {weights.shape} and {means.shape}"
            )
        if not np.isfinite(means).all():
            raise ValueError("the means have NaN or infinite values")
        mixture = cls(len(weights), covariance, **options)
        _check_weights(weights)
        _check_covs(covs, covariance, *means.shape)
        mixture.weights, mixture.means, mixture.covs = weights, means, covs
        return mixture

    def _fitted(self) -> None:
        if not hasattr(self, "means"):
            raise ValueError("this mixture has no parameters yet: call fit(x), or make it by `of`")

    def _log_joint(self, x: np.ndarray) -> np.ndarray:
        """log w_k N(x_n | µ_k, Σ_k), (N, K)."""
        return _log(self.weights) + _log_normal(x, self.means, self.covs, self.covariance)

    def fit(self, x: ArrayLike, start: GaussianMixture | None = None) -> GaussianMixture:
        """Maximum likelihood by EM, from k-means++ or from the parameters of `start`.

        Args:
            x: (N, D), N >= K, no constant column. start: a mixture of the same K, kind and D.
        """
        x = _data(x)
        floor = self.floor * _spread(x)
        if len(x) < self.k:
            raise ValueError(
                f"{len(x)} observations are too few for {self.k} components: ask for fewer"
            )
        if start is not None:
            start._fitted()
            if (start.k, start.covariance, start.means.shape[1]) != (
                self.k,
                self.covariance,
                x.shape[1],
            ):
                raise ValueError(
                    f"start has {start.k} {start.covariance} components in {start.means.shape[1]} "
                    f"dimensions; this fit needs {self.k} {self.covariance} in {x.shape[1]}"
                )
            self._run(x, floor, (start.weights, start.means, start.covs))
        else:
            rng, best = np.random.default_rng(self.seed), None
            for _ in range(self.n_init):
                r = np.eye(self.k)[_kmeans(x, self.k, rng)]  # hard responsibilities (N, K)
                self._run(x, floor, (r.mean(axis=0), *_weighted_fit(x, r, self.covariance, floor)))
                if best is None or self.history[-1] > best["history"][-1]:
                    best = dict(self.__dict__)
            self.__dict__.update(best)
        if not self.converged:
            gain = self.history[-1] - self.history[-2]
            _warn("EM", self.max_iter, gain, self.tol, "observation", "components")
        return self

    def _run(self, x: np.ndarray, floor: np.ndarray, parameters: tuple) -> None:
        self.weights, self.means, self.covs = (np.array(value) for value in parameters)
        self.history, self.converged = [], False
        for step in range(self.max_iter + 1):
            joint = self._log_joint(x)  # (N, K)
            log_p = logsumexp(joint, axis=1)  # log p(x_n), (N,)
            self.history.append(float(log_p.mean()))
            _never_down(self.history)
            if step and self.history[-1] - self.history[-2] < self.tol:
                self.converged = True
                return
            if step == self.max_iter:
                return
            r = np.exp(joint - log_p[:, None])  # E step: responsibilities, (N, K)
            self.weights = r.mean(axis=0)  # M step
            old = self.means, self.covs
            self.means, self.covs = _weighted_fit(x, r, self.covariance, floor, old)

    def _rows(self, x: ArrayLike) -> tuple[np.ndarray, tuple[int, ...]]:
        self._fitted()
        x = np.asarray(x, dtype=np.float64)
        d = self.means.shape[1]
        if x.ndim == 0 or x.shape[-1] != d:
            raise ValueError(f"this mixture has {d} dimensions, x has shape {x.shape}")
        return x.reshape(-1, d), x.shape[:-1]

    def log_prob(self, x: ArrayLike) -> np.ndarray:
        """log p(x) in nats: x (..., D) -> (...)."""
        rows, shape = self._rows(x)
        return logsumexp(self._log_joint(rows), axis=1).reshape(shape)

    def posteriors(self, x: ArrayLike) -> np.ndarray:
        """Responsibilities p(k | x): x (..., D) -> (..., K), summing to 1."""
        rows, shape = self._rows(x)
        joint = self._log_joint(rows)
        r = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
        return r.reshape(*shape, self.k)

    def sample(self, n: int, seed: int | np.random.Generator = 0) -> np.ndarray:
        """Draw a component, then from its Gaussian -> (n, D)."""
        self._fitted()
        if n < 0:
            raise ValueError(f"n counts samples, not {n}")
        rng = np.random.default_rng(seed)
        which = rng.choice(self.k, size=n, p=self.weights / self.weights.sum())
        d = self.means.shape[1]
        roots = np.linalg.cholesky(_full(self.covs, self.covariance, self.k, d))
        z = rng.standard_normal((n, d))
        return self.means[which] + np.einsum("nij,nj->ni", roots[which], z)

    @property
    def n_parameters(self) -> int:
        """Free parameters: weights, means and covariances."""
        self._fitted()
        d = self.means.shape[1]
        matrix = d * (d + 1) // 2
        counts = {"full": self.k * matrix, "tied": matrix, "diag": self.k * d, "spherical": self.k}
        return self.k - 1 + self.k * d + counts[self.covariance]

    def bic(self, x: ArrayLike) -> float:
        """Bayesian information criterion, -2 Σ_n log p(x_n) + (free parameters) log N: less is better.

        References: Schwarz, Estimating the Dimension of a Model, 1978.
        """
        x = _data(x)
        return float(-2 * self.log_prob(x).sum() + self.n_parameters * np.log(len(x)))
