"""Chapter 3: mixtures of Gaussians, fitted by expectation-maximisation (EM) from a k-means++ start.

`log_normal`, `weighted_fit` and the loop in `EM` also serve the hidden Markov models of `minigen.hmm`.
"""

import warnings
from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, softmax

from . import ConvergenceWarning
from .gaussian import LOG_2PI, Gaussian, Seed, check_points, observations, variances

COVARIANCES = ("full", "tied", "diag", "spherical")


def log(p: ArrayLike) -> np.ndarray:
    """The natural logarithm, with log 0 = -inf and no warning."""
    with np.errstate(divide="ignore"):
        return np.log(p)


# ---------------------------------------------------------------- K Gaussians of one kind
def log_normal(x: np.ndarray, means: np.ndarray, covs: np.ndarray, kind: str) -> np.ndarray:
    """log N(x_n | µ_k, Σ_k): x (N, D), means (K, D) -> (N, K), each column contiguous."""
    (k, d), n = means.shape, len(x)
    constant = -0.5 * d * LOG_2PI
    if kind in ("diag", "spherical"):
        precision = 1 / (covs if kind == "diag" else np.repeat(covs[:, None], d, axis=1))  # (K, D)
        centre = means.mean(axis=0)  # near zero the three terms below cancel without loss
        x, means = x - centre, means - centre
        # -½ (x - µ)²/σ², multiplied out: two matrix products
        out = (means * precision) @ x.T
        out -= (0.5 * precision) @ np.square(x, out=x).T
        bias = 0.5 * np.log(precision).sum(axis=1)
        out -= 0.5 * (means**2 * precision).sum(axis=1)[:, None]
        return (np.minimum(out, 0, out=out) + (constant + bias)[:, None]).T
    out = np.empty((k, n))
    roots = np.linalg.cholesky(covs if kind == "full" else covs[None])  # L, (K or 1, D, D)
    inverses = np.linalg.inv(roots)
    shared = x @ inverses[0].T if kind == "tied" else None
    for j in range(k):
        root, inverse = roots[j % len(roots)], inverses[j % len(roots)]
        white = (x @ inverse.T if shared is None else shared) - inverse @ means[j]  # L⁻¹ (x - µ)
        np.einsum("nd,nd->n", white, white, out=out[j])
        out[j] *= -0.5
        out[j] += constant - np.log(np.diag(root)).sum()
    return out.T


def weighted_fit(
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
            off *= np.sqrt(r[:, j])[:, None]
            covs[j] = _raise_to(off.T @ off / safe[j], floor)
    elif kind == "tied":
        within = (r.sum(axis=1) * x.T) @ x - (means.T * count) @ means
        covs = _raise_to(within / count.sum(), floor)
    else:
        covs = np.maximum((r.T @ np.square(x, out=x)) / safe[:, None] - means**2, 0)
        if kind == "spherical":
            covs, floor = covs.mean(axis=1), floor.mean()
        covs = np.maximum(covs, floor)
    means += centre
    if not alive.all():
        if old is None:
            raise ValueError(f"{(~alive).sum()} components have no data: ask for fewer")
        means[~alive] = old[0][~alive]
        if kind != "tied":
            covs[~alive] = old[1][~alive]
    return means, covs


def _raise_to(cov: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """The most likely covariance with Σ >= diag(floor), given the sample covariance (D, D).

    In units in which the floor is the identity the bound is on the eigenvalues, and the maximum
    keeps the eigenvectors and lifts each eigenvalue below 1 to 1.
    """
    try:
        np.linalg.cholesky(cov - np.diag(floor))
        return cov
    except np.linalg.LinAlgError:
        unit = np.sqrt(floor)
    values, vectors = np.linalg.eigh(cov / np.outer(unit, unit))
    lifted = (vectors * np.maximum(values, 1)) @ vectors.T * np.outer(unit, unit)
    return (lifted + lifted.T) / 2


def check_probabilities(p: np.ndarray, what: str = "weights") -> None:
    """ValueError unless p is not negative and sums to one along its last axis."""
    if not (p >= 0).all() or not np.allclose(p.sum(axis=-1), 1):
        raise ValueError(f"{what} are not negative and sum to 1, not {p.sum(axis=-1)}")


def kmeans(
    x: np.ndarray, k: int, seed: Seed = 0, rounds: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """k-means++ and a few rounds of k-means: x (N, D) -> centres (K, D), labels (N,).

    k-means++ draws the first centre from the data, and each further one with a probability in
    proportion to the squared distance from the nearest centre so far.

    References: Arthur and Vassilvitskii, k-means++: The Advantages of Careful Seeding, 2007.

    >>> centres, labels = kmeans(np.array([[0.0], [1.0], [10.0], [11.0]]), 2)
    >>> sorted(centres.ravel().tolist()), bool(labels[0] == labels[1] != labels[2] == labels[3])
    ([0.5, 10.5], True)
    """
    if min(k, rounds) < 1 or k % 1 or rounds % 1:
        raise ValueError(f"{k=} and {rounds=} are whole numbers, at least 1")
    if len(x) < k:
        raise ValueError(f"{len(x)} observations are too few for {k} components: ask for fewer")
    rng = np.random.default_rng(seed)
    centres = x[[rng.integers(len(x))]]
    distance = ((x - centres[0]) ** 2).sum(axis=1)
    while len(centres) < k:
        if distance.sum() <= 0:
            raise ValueError(f"only {len(centres)} observations differ: too few for {k} components")
        chosen = x[rng.choice(len(x), p=distance / distance.sum())]
        centres = np.vstack([centres, chosen])
        distance = np.minimum(distance, ((x - chosen) ** 2).sum(axis=1))
    for _ in range(rounds):
        labels = np.argmin(0.5 * (centres**2).sum(axis=1)[:, None] - centres @ x.T, axis=0)
        for j in np.unique(labels):
            centres[j] = x[labels == j].mean(axis=0)
    # a centre may have lost its points to others: it takes the point that lies farthest out
    for j in np.setdiff1d(np.arange(k), labels):
        crowded = np.bincount(labels, minlength=k)[labels] > 1
        off = ((x - centres[labels]) ** 2).sum(axis=1)
        labels[np.argmax(np.where(crowded, off, -1))] = j
    return centres, labels


def start_labels(x: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Labels (N,) of `kmeans` in units of each column's standard deviation."""
    std = x.std(axis=0)
    return kmeans((x - x.mean(axis=0)) / np.where(std > 0, std, 1), k, rng)[1]


# ---------------------------------------------------------------- the algorithm and the model
class EM:
    """K Gaussians, and a fit by expectation-maximisation: options, loop, restarts and stopping rule.

    Args:
        k: the number of Gaussians.
        covariance: "full", "tied" (one matrix for all), "diag", or "spherical" (a multiple of I).
        floor: the least variance, as a share of each column's variance in the data.
        tol: `fit` stops when a step gains less than this many nats an observation.
        max_iter: the most steps; after that `fit` warns. n_init: starts, of which the best is kept.
        seed: of the k-means++ starts.
    """

    OPTIONS: tuple[str, ...] = ()  # what `repr` shows
    PARAMETERS: tuple[str, ...] = ()  # what a fit estimates
    means: np.ndarray
    covs: np.ndarray

    def __init__(
        self,
        k: int,
        covariance: str = "full",
        floor: float = 1e-6,
        tol: float = 1e-3,
        max_iter: int = 500,
        n_init: int = 1,
        seed: Seed = 0,
    ) -> None:
        if covariance not in COVARIANCES:
            raise ValueError(f"covariance is one of {', '.join(COVARIANCES)}, not {covariance!r}")
        if min(k, max_iter, n_init) < 1 or any(n % 1 for n in (k, max_iter, n_init)):
            raise ValueError(f"{k=}, {max_iter=} and {n_init=} are whole numbers, at least 1")
        if not (0 < floor < 1 and tol > 0):
            raise ValueError(f"floor lies between 0 and 1, tol above 0, not {floor=}, {tol=}")
        self.k, self.covariance, self.floor, self.tol = k, covariance, floor, tol
        self.max_iter, self.n_init, self.seed = max_iter, n_init, seed
        self.history: list[float] = []
        self.converged = False

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.OPTIONS)
        size = f"D={self.means.shape[1]}" if hasattr(self, "means") else "not fitted"
        return f"{type(self).__name__}({options}, {size})"

    def check_fitted(self) -> None:
        """ValueError where the model has no parameters yet."""
        if not hasattr(self, "means"):
            raise ValueError("this model has no parameters yet: call fit or from_parameters")

    def set_components(self, means: ArrayLike, covs: ArrayLike) -> None:
        """Known means (K, D) and covariances of this kind; ValueError where they cannot be."""
        means, covs = np.array(means, dtype=np.float64), np.array(covs, dtype=np.float64)
        if means.ndim != 2 or means.shape[0] != self.k or means.shape[1] == 0:
            raise ValueError(f"means of {self.k} Gaussians have shape (K, D), not {means.shape}")
        if not np.isfinite(means).all():
            raise ValueError("the means have NaN or infinite values")
        k, d = means.shape
        shapes = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}
        if covs.shape != (shape := shapes[self.covariance]):
            raise ValueError(f"{self.covariance} covariances have shape {shape}, not {covs.shape}")
        if self.covariance in ("full", "tied"):
            for cov in covs.reshape(-1, d, d):
                Gaussian(np.zeros(d), cov)  # explains what is wrong with it
        elif not (np.isfinite(covs).all() and (covs > 0).all()):
            raise ValueError("variances are positive and finite")
        self.means, self.covs = means, covs

    def draw(self, which: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One draw from each of these Gaussians, which (n,) -> (n, D)."""
        (k, d), covs = self.means.shape, self.covs
        if self.covariance == "tied":
            covs = np.broadcast_to(covs, (k, d, d))
        elif self.covariance != "full":
            covs = covs.reshape(k, -1)[:, :, None] * np.eye(d)
        z = rng.standard_normal((len(which), d))
        return self.means[which] + np.einsum("nij,nj->ni", np.linalg.cholesky(covs)[which], z)

    def maximise(
        self,
        x: np.ndarray,
        init_from: "EM | None",
        initialise: Callable[[np.random.Generator], None],
        e_step: Callable[[], tuple],
        m_step: Callable[..., None],
    ) -> None:
        """EM from the parameters of `init_from`, or the best of `n_init` runs from `initialise`.

        Args: x: (N, D). e_step: -> mean log-likelihood of an observation, arguments of `m_step` …
        """
        if len(x) < self.k:
            raise ValueError(f"{len(x)} observations are too few for {self.k} Gaussians")
        if init_from is not None:
            init_from.check_fitted()
            same = (init_from.k, init_from.covariance) == (self.k, self.covariance)
            if not same or init_from.means.shape[1] != x.shape[1]:
                raise ValueError(f"{init_from!r} is of another size than {self!r} or data")
            for name in self.PARAMETERS:
                value = getattr(init_from, name)
                setattr(self, name, None if value is None else np.array(value))
            self._climb(e_step, m_step)
        else:
            rng, best = np.random.default_rng(self.seed), None
            for _ in range(self.n_init):
                initialise(rng)
                self._climb(e_step, m_step)
                if best is None or self.history[-1] > best["history"][-1]:
                    best = dict(self.__dict__)
            self.__dict__.update(best)
        if not self.converged:
            warnings.warn(
                f"EM has not settled after {self.max_iter} steps: the last gained "
                f"{self.history[-1] - self.history[-2]:.2g} nats an observation. Allow more "
                f"(max_iter={2 * self.max_iter}), fewer Gaussians, or a tol larger than {self.tol:.2g}",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _climb(self, e_step: Callable, m_step: Callable) -> None:
        self.history, self.converged = [], False
        for step in range(self.max_iter + 1):
            log_p, *expected = e_step()
            self.history.append(float(log_p))
            gain = log_p - self.history[-2] if step else np.inf
            if gain < -1e-7 * (1 + abs(log_p)):
                raise ArithmeticError(
                    f"a step lowered the log-likelihood from {self.history[-2]:.6g} to {log_p:.6g}: EM "
                    "cannot do that: its steps do not belong together. Please report it"
                )
            if gain < self.tol:
                self.converged = True
                return
            if step < self.max_iter:
                m_step(*expected)


class GaussianMixture(EM):
    """One of K Gaussians, drawn anew for every observation.

        log p(x) = log Σ_k w_k N(x | µ_k, Σ_k)

    `fit` is EM: with r_nk = w_k N(x_n | µ_k, Σ_k) / p(x_n), the responsibility of component k for
    observation n, and N_k = Σ_n r_nk,

        w_k = N_k / N,   µ_k = (1/N_k) Σ_n r_nk x_n,   Σ_k = (1/N_k) Σ_n r_nk (x_n - µ_k)(x_n - µ_k)ᵀ

    No step lowers the likelihood, the floor included: it is a bound, within which the M step is
    still the maximum, not a number added to the diagonal.

    Args: k: K, the number of components. covariance, floor, tol, max_iter, n_init, seed: see `EM`.

    After `fit`: weights (K,), means (K, D), covs ((K, D, D), (D, D), (K, D) or (K,)), `converged`,
    and `history`, the mean log-likelihood of an observation before each step and after the last.

    References: Dempster, Laird and Rubin, Maximum Likelihood from Incomplete Data via the EM Algorithm, 1977.
    Bishop, Pattern Recognition and Machine Learning, 2006, section 9.2.

    >>> x = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 150)])[:, None]
    >>> mixture = GaussianMixture(2).fit(x)
    >>> sorted(np.round(mixture.means[:, 0], 3).tolist()), sorted(np.round(mixture.weights, 3).tolist())
    ([0.0, 10.0], [0.25, 0.75])
    >>> mixture
    GaussianMixture(k=2, covariance='full', D=1)
    """

    OPTIONS = ("k", "covariance")
    PARAMETERS = ("weights", "means", "covs")

    @classmethod
    def from_parameters(
        cls,
        weights: ArrayLike,
        means: ArrayLike,
        covs: ArrayLike,
        covariance: str = "full",
        **options,
    ) -> Self:
        """A mixture with known parameters: weights (K,), means (K, D), covs as after `fit`.

        >>> two = GaussianMixture.from_parameters([0.5, 0.5], [[-1.0], [1.0]], [1.0, 1.0], "spherical")
        >>> round(float(two.log_prob([0.0])), 4)  # log N(1 | 0, 1)
        -1.4189
        """
        mixture = cls(np.size(weights), covariance, **options)
        mixture.set_components(means, covs)
        mixture.weights = np.array(weights, dtype=np.float64).reshape(-1)
        check_probabilities(mixture.weights)
        return mixture

    def fit(self, x: ArrayLike, init_from: "GaussianMixture | None" = None) -> Self:
        """Maximum likelihood by EM, from k-means++ or from the parameters of `init_from`.

        Args: x: (N, D), N >= K, no constant column. init_from: a mixture of the same K, kind and D.
        """
        x = observations(x)
        floor = self.floor * variances(x)

        def initialise(rng: np.random.Generator) -> None:
            r = np.eye(self.k)[start_labels(x, self.k, rng)]  # hard responsibilities (N, K)
            m_step(r, None)

        def e_step() -> tuple:
            r = self.log_joint(x)  # (N, K)
            top = r.max(axis=1, keepdims=True)
            r = np.exp(np.subtract(r, top, out=r), out=r)
            total = r.sum(axis=1, keepdims=True)
            r /= total  # responsibilities
            return (top + np.log(total)).mean(), r, (self.means, self.covs)

        def m_step(r: np.ndarray, old: tuple | None) -> None:
            self.weights = r.mean(axis=0)
            self.means, self.covs = weighted_fit(x, r, self.covariance, floor, old)

        self.maximise(x, init_from, initialise, e_step, m_step)
        return self

    def log_joint(self, x: np.ndarray) -> np.ndarray:
        """log w_k N(x_n | µ_k, Σ_k): x (N, D) -> (N, K)."""
        log_p = log_normal(x, self.means, self.covs, self.covariance)  # (n, K)
        return log(self.weights) + log_p

    def log_prob(self, x: ArrayLike) -> np.ndarray:
        """log p(x) in nats: x (..., D) -> (...)."""
        x = self._points(x)
        rows = x.reshape(-1, x.shape[-1])
        return logsumexp(self.log_joint(rows), axis=1).reshape(x.shape[:-1])

    def posteriors(self, x: ArrayLike) -> np.ndarray:
        """Responsibilities p(k | x): x (..., D) -> (..., K), summing to 1."""
        x = self._points(x)
        r = softmax(self.log_joint(x.reshape(-1, x.shape[-1])), axis=1)
        return r.reshape(*x.shape[:-1], self.k)

    def _points(self, x: ArrayLike) -> np.ndarray:
        self.check_fitted()
        return check_points(x, self.means.shape[1])

    def sample(self, n: int, seed: Seed = 0) -> np.ndarray:
        """Draw a component, then from its Gaussian -> (n, D)."""
        self.check_fitted()
        if n < 0:
            raise ValueError(f"n counts samples, not {n}")
        rng = np.random.default_rng(seed)
        return self.draw(rng.choice(self.k, size=n, p=self.weights / self.weights.sum()), rng)

    @property
    def n_parameters(self) -> int:
        """Free parameters: weights, means and covariances."""
        self.check_fitted()
        d = self.means.shape[1]
        matrix = d * (d + 1) // 2
        counts = {"full": self.k * matrix, "tied": matrix, "diag": self.k * d, "spherical": self.k}
        return self.k - 1 + self.k * d + counts[self.covariance]

    def bic(self, x: ArrayLike) -> float:
        """Bayesian information criterion, -2 Σ_n log p(x_n) + (free parameters) log N: less is better.

        References: Schwarz, Estimating the Dimension of a Model, 1978.
        """
        x = observations(x)
        return float(-2 * self.log_prob(x).sum() + self.n_parameters * np.log(len(x)))
