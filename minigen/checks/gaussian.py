"""Checks for the exercises of chapter 2."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import data
from ..gaussian import LOG_2PI, Gaussian
from .core import (
    CheckFailed,
    Crash,
    agree,
    compare,
    exercise,
    finds_bugs,
    ok,
    parts,
    predicts,
    require,
)

# the exercises ask for NumPy and SciPy alone
LIBRARY = ("minigen.gaussian.Gaussian", "minigen.mixture.GaussianMixture")
MEAN = np.array([0.5, -1.0, 2.0])
COV = np.array([[2.0, 0.6, -0.3], [0.6, 0.5, 0.1], [-0.3, 0.1, 0.9]])


def _problem(n: int, d: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observations (n, d), a mean and a covariance."""
    rng = np.random.default_rng(10 * n + d)
    root = scale * (np.tril(rng.normal(size=(d, d)), -1) / 2 + np.diag(rng.uniform(0.3, 2, d)))
    mean = 3 * scale * rng.normal(size=d)
    return mean + rng.normal(size=(n, d)) @ root.T, mean, root @ root.T


@exercise("2.1", "log-density from the precision", forbid=LIBRARY)
def log_density(my_log_density: Callable) -> None:
    """my_log_density(x (n, D), mean (D,), precision (D, D)) -> (n,), in nats."""
    x = np.random.default_rng(0).normal(size=(5, 3)) + MEAN
    d, precision = len(MEAN), np.linalg.inv(COV)
    want = Gaussian(MEAN, COV).log_prob(x)
    half_det = -0.5 * np.linalg.slogdet(COV)[1]  # ½ log|Λ|
    constant = -0.5 * d * LOG_2PI
    half_square = want - half_det - constant  # -½ (x - µ)ᵀ Λ (x - µ)
    centred = x - MEAN
    turned = centred @ np.linalg.cholesky(precision).T  # rows (M (x - µ))ᵀ
    answer = my_log_density(x, MEAN, precision)
    if np.ndim(answer) == 0:
        raise CheckFailed(
            "✗ log-density: a single number. The rows are different observations: return one value "
            "for each"
        )

    def problem(n: int, d: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, mean, cov = _problem(n, d, scale)
        inverse = np.linalg.inv(cov)
        return x, mean, (inverse + inverse.T) / 2

    def right(x: np.ndarray, mean: np.ndarray, precision: np.ndarray) -> np.ndarray:
        centred = x - mean
        square = np.sum(centred @ precision * centred, axis=1)
        return 0.5 * (np.linalg.slogdet(precision)[1] - square - x.shape[1] * LOG_2PI)

    agree(
        my_log_density,
        right,
        [
            (x, MEAN, precision),
            problem(3, 1),
            problem(9, 6),
            problem(4, 2, 1e-4),
            problem(3, 4, 1e3),
        ],
        "log-density",
        1e-9,
        [
            (
                want - constant,
                f"off by a constant {-constant:.3f} = {d} × 0.919: ½ log 2π a dimension is missing",
            ),
            (want - constant - 0.5 * LOG_2PI, "½ log 2π is there once, but is due once a dimension, D times"),
            (want - half_det, "½ log|Λ| is missing: what the map does to volume"),
            (want + half_det, "log|Λ| is there without its ½"),
            (want - 2 * half_det, "½ log|Λ| has the wrong sign: log|Σ| is subtracted, and log|Λ| = -log|Σ|"),
            (want - 0.5 * half_det, "log|Λ| is twice Σ_i log M_ii, because Λ = M Mᵀ: the 2 is missing"),
            (want + half_square, "the quadratic form is there without its ½"),
            (want - 2 * half_square, "the quadratic form has the wrong sign: far away is unlikely"),
            (np.exp(want), "this is the density; return its logarithm"),
            (-want, "this is the negative log-density (a loss)"),
            (want - half_square - 0.5 * np.sum(centred @ COV * centred, axis=1), "the quadratic form has Λ⁻¹ where Λ itself is due"),
            (want - half_square - 0.5 * (turned**2).sum(1), "this is the length of M (x - µ), but (x - µ)ᵀ M Mᵀ (x - µ) is that of Mᵀ (x - µ)"),
            (Gaussian(MEAN, precision).log_prob(x), "Λ is taken for the covariance, but it is its inverse"),
            (Gaussian(MEAN, np.diag(1 / np.diag(precision))).log_prob(x), "only the diagonal of Λ is used: the coordinates are not independent"),
            (Gaussian(np.zeros(d), COV).log_prob(x), "the mean is not subtracted"),
            *(
                (
                    want - half_square - 0.5 * np.sum(centred @ part(precision) * centred, axis=1),
                    "only one triangle of Λ comes into the quadratic form: both count",
                )
                for part in (np.triu, np.tril)
            ),
            (want - half_det + 0.5 * np.log(np.diag(precision)).sum(), "the product of Λ's diagonal is no determinant, unless all else is zero"),
        ],
    )  # fmt: skip
    axis = np.linspace(-7, 7, 281)
    plane = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    values = my_log_density(plane, np.zeros(2), np.linalg.inv(COV[:2, :2]))
    mass = np.exp(values).sum() * (axis[1] - axis[0]) ** 2
    require(abs(mass - 1) < 1e-3, "it integrates to one", f"it integrates to {mass:.4f}, not to 1")
    many = 400
    small = 1e-4 * (np.eye(many) + 0.5)
    got = np.asarray(my_log_density(np.zeros((1, many)), np.zeros(many), small))
    want = right(np.zeros((1, many)), np.zeros(many), small)
    require(
        np.allclose(got, want, rtol=1e-6),
        "400 dimensions do not underflow",
        f"in 400 dimensions you give {got.ravel()[0]:.6g}, not {want[0]:.6g}: the determinant is "
        "smaller than any float. Sum the logarithms of the factor's diagonal instead",
    )


def _weighted(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = np.average(x, axis=0, weights=w)
    return mean, np.einsum("n,ni,nj->ij", w, x - mean, x - mean) / w.sum()


@exercise("2.2", "frames that do not count the same", forbid=LIBRARY)
def maximum_likelihood(fit: Callable) -> None:
    """fit(x (N, D), w (N,)) -> mean (D,), cov (D, D)."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(7, 3)) @ np.linalg.cholesky(COV).T + MEAN
    w = rng.uniform(0.2, 3, 7)
    n, total = len(x), w.sum()
    mean, cov = map(np.asarray, parts(fit(x, w), "the mean", "the covariance"))
    if mean.shape == (n,):
        raise CheckFailed("✗ mean: one number a frame; average over the frames, axis 0")
    if cov.shape == (n, n):
        raise CheckFailed(
            f"✗ covariance: shape ({n}, {n}), frames by frames; it is D by D, the transpose comes first"
        )
    right_mean, want = _weighted(x, w)

    def spread(w: np.ndarray, centre: np.ndarray) -> np.ndarray:
        return np.einsum("n,ni,nj->ij", w, x - centre, x - centre)

    hints = {
        "mean": [
            (x.mean(0), "the weights are not used: frame n counts w_n times"),
            (w @ x, "this is the weighted sum; divide by how many frames there are, the sum of w"),
            (w @ x / n, "divided by N: counted by weight there are Σ w_n frames"),
            (w @ x / (total - 1), "divided by Σ w_n - 1; that belongs to the unbiased covariance"),
            (w**2 @ x / (w**2).sum(), "the weights are squared"),
        ],
        "covariance": [
            (spread(np.ones(n), right_mean) / n, "each product counts once: it counts w_n times"),
            (spread(np.ones(n), right_mean) / total, "the weights are in the divisor alone: each product counts w_n times"),
            (spread(w, x.mean(0)) / total, "taken around the plain mean: it is the weighted one"),
            (spread(w**2, right_mean) / total, "the weights are squared: one of the two factors has them"),
            (spread(w**2, right_mean) / (w**2).sum(), "the weights are squared"),
            (want * total / n, "divided by N: counted by weight there are Σ w_n frames"),
            (want * total / (total - 1), "divided by Σ w_n - 1: that is unbiased; the most likely one divides by Σ w_n"),
            (spread(w, 0 * MEAN) / total, "the mean is not subtracted from the frames first"),
            (want * total, "this is the sum over the frames; divide by Σ w_n"),
            (np.diag(np.diag(want)), "only variances: the products of different coordinates count"),
            (np.linalg.cholesky(want), "this is its Cholesky factor"),
            (np.cov(x.T, aweights=w), "np.cov with its own divisor: the most likely one divides by Σ w_n, ddof=0"),
        ],
    }  # fmt: skip
    agree(fit, _weighted, [(x, w)], list(hints), 1e-9, hints)
    best = w @ Gaussian(mean, cov).log_prob(x)
    moves = [(0.05 * rng.normal(size=3), 0.02 * rng.normal(size=(3, 3))) for _ in range(20)]
    others = [w @ Gaussian(mean + m, cov + b @ b.T - 1e-3 * cov).log_prob(x) for m, b in moves]
    require(max(others) < best, "20 neighbours are all less likely", "a neighbour is more likely")
    times = np.array([3, 1, 0, 2, 5, 1, 1])
    got, same = np.asarray(fit(x, times.astype(float))[1]), np.cov(np.repeat(x, times, 0).T, ddof=0)
    require(
        np.allclose(got, same),
        "a frame of weight 3 is as good as three frames, one of weight 0 is none",
        "with whole weights it must be the covariance of frames that are repeated as often",
    )
    far = rng.normal(size=(1000, 2)) + 1e8
    got, want = np.asarray(fit(far, np.ones(1000))[1]), np.cov(far.T, ddof=0)
    require(
        np.allclose(got, want, atol=1e-4),
        "a mean of 100,000,000 does no harm",
        f"with a mean of 1e8 your variance is {got[0, 0]:.4g}, not {want[0, 0]:.4g}: the average of "
        "x xᵀ less mean meanᵀ takes one huge number from another. Subtract the mean first",
    )
    agree(
        fit,
        _weighted,
        [
            (_problem(n, d)[0], rng.uniform(0, high, n))
            for n, d, high in ((2, 2, 9), (5, 8, 9), (30, 4, 0.01), (4, 4, 9))
        ],
        ("mean", "covariance"),
        1e-9,
    )


@exercise("2.3", "one covariance for several means", forbid=LIBRARY)
def pooled_covariance(pooled: Callable) -> None:
    """pooled(groups: list of (N_g, D)) -> (D, D), unbiased, each group around its own mean."""
    rng = np.random.default_rng(2)
    L = np.linalg.cholesky(COV[:2, :2])
    centres = np.array([[0.0, 0.0], [3.0, -1.0], [-2.0, 4.0]])
    sizes = (2, 3, 7)

    def draw() -> list[np.ndarray]:
        return [c + rng.normal(size=(n, 2)) @ L.T for c, n in zip(centres, sizes, strict=True)]

    groups = draw()
    scatters = [(g - g.mean(0)).T @ (g - g.mean(0)) for g in groups]
    n, k = sum(sizes), len(sizes)
    everything = np.concatenate(groups)
    around_all = (everything - everything.mean(0)).T @ (everything - everything.mean(0))
    within = sum(scatters)
    one_mean = "taken around one common mean: each group has its own"
    unbiased = [s / (m - 1) for s, m in zip(scatters, sizes, strict=True)]
    rng = np.random.default_rng(5)
    others = [
        [rng.normal(c, 1, (n, d)) for c, n in enumerate(sizes)]
        for d, sizes in ((3, (4, 1, 9, 2)), (4, (6,)), (2, (5, 2)), (2, (3, 3, 3, 3, 3, 3)))
    ]
    agree(
        pooled,
        lambda gs: (
            sum((g - g.mean(0)).T @ (g - g.mean(0)) for g in gs) / (sum(map(len, gs)) - len(gs))
        ),
        [(groups,), *((other,) for other in others)],
        "pooled covariance",
        1e-9,
        [
            (within / n, "divided by N: biased. Each group's mean has used up one frame"),
            (within / (n - 1), "divided by N - 1, but not one mean was estimated: one for each group"),
            (within, "this is the sum of products; divide by N less the number of groups"),
            (around_all / (n - 1), one_mean),
            (around_all / (n - k), one_mean),
            (around_all / n, one_mean),
            (
                sum(unbiased) / k,
                (
                    "the groups' covariances are averaged as if all were of one size: here every frame "
                    "counts the same, so sum first, then divide"
                ),
            ),
            (sum(s / m for s, m in zip(scatters, sizes, strict=True)) / k, "the groups' biased covariances are averaged: sum first, then divide once"),
            (sum(m * s for s, m in zip(unbiased, sizes, strict=True)) / n, "the groups' unbiased covariances are weighted by N_g: their weights are N_g - 1"),
            (unbiased[-1], "only the last group is left: is a variable overwritten in the loop?"),
        ],
    )  # fmt: skip
    runs = np.array([pooled(draw()) for _ in range(300)])
    z_score = (runs.mean(0) - COV[:2, :2]) / (runs.std(0) / np.sqrt(len(runs)))
    require(
        np.abs(z_score).max() < 5,
        "over 300 data sets its mean is the true covariance",
        f"over 300 data sets its mean is {np.abs(z_score).max():.0f} standard errors from the truth",
    )


@exercise("2.4", "sampling", forbid=LIBRARY)
def sampling(sample: Callable) -> None:
    """sample(mean (D,), cov (D, D), z (n, D)) -> (n, D), with z standard normal noise."""
    d = len(MEAN)
    middle = np.asarray(sample(MEAN, COV, np.zeros((4, d))))
    compare(
        middle,
        np.tile(MEAN, (4, 1)),
        "zero noise",
        1e-9,
        [
            (np.zeros((4, d)), "zero noise gives zero: the mean is missing"),
            (
                lambda got: np.ptp(got, axis=0).max() > 1e-6,
                (
                    "zero noise must give the mean, but your rows differ: use the z that is given, and "
                    "draw none of your own"
                ),
            ),
        ],
    )
    rows = np.asarray(sample(MEAN, COV, np.eye(d))) - MEAN  # row i is A e_i, so x = µ + A z
    L, (values, V) = np.linalg.cholesky(COV), np.linalg.eigh(COV)
    compare(
        rows.T @ rows,  # A Aᵀ
        COV,
        "covariance of what is made",
        1e-9,
        [
            (lambda got: np.abs(rows.mean(0)).max() < 1e-9, "the mean of the draws themselves is taken away: each is µ + A z, whatever the others are"),
            (np.diag(np.linalg.eigvalsh(COV)), "the factor is the wrong way round: A = V diag(√λ), and rows need z @ A.T"),
            (V.T @ np.diag(values) @ V, "V is transposed: the eigenvectors are its columns, Σ = V diag(λ) Vᵀ"),
            (np.linalg.eigh(COV)[1] @ np.diag(values**0.5) @ V.T, "this is √Σ: take the root once"),
            (
                L.T @ L,
                (
                    "this is LᵀL, not L Lᵀ: the factor is the wrong way round. Rows need z @ L.T (and "
                    "scipy.linalg.cholesky gives the upper factor unless told lower=True)"
                ),
            ),
            (COV @ COV, "this is Σ²: the noise is multiplied by the covariance; take its Cholesky factor"),
            (np.diag(np.diag(COV)), "the variances are right, but nothing hangs together: the whole matrix is needed"),
            (np.diag(np.diag(COV) ** 2), "the noise is multiplied by variances; and the whole matrix is needed"),
            (np.eye(d), "the noise is not mixed at all"),
            (np.linalg.inv(COV), "this is Σ⁻¹: you solve with the factor, which is how to find the noise of an x"),
        ],
    )  # fmt: skip
    for n, size in ((5, 1), (2, 6)):
        z, mean, cov = _problem(n, size)
        mixed = np.asarray(sample(mean, cov, np.eye(size))) - mean
        compare(mixed.T @ mixed, cov, f"covariance in {size} dimensions", 1e-9)
        compare(sample(mean, cov, z), mean + z @ mixed, f"{n} samples, linear in z,", 1e-9)
    z = np.random.default_rng(3).standard_normal((20_000, d))
    x = np.asarray(sample(MEAN, COV, z))
    model = Gaussian(MEAN, COV)
    surprise = -model.log_prob(x)
    off = (surprise.mean() - model.entropy()) / (surprise.std() / np.sqrt(len(x)))
    require(
        abs(off) < 5,
        "20,000 samples are as surprising as the entropy says",
        f"the mean of -log p over samples is {off:.0f} standard errors from the entropy",
    )
    _without_inverse(sample)


def _without_inverse(sample: Callable) -> None:
    """Covariances of rank 2 in 5 dimensions, and of rank 3 in 4, are drawn from."""
    for rank, d in ((2, 5), (3, 4)):
        frames = np.random.default_rng(d).normal(size=(rank + 1, d))
        cov = np.cov(frames.T, ddof=0)
        try:
            rows = np.asarray(sample(np.zeros(d), cov, np.eye(d)))
        except Crash as crash:
            if not isinstance(crash.error, np.linalg.LinAlgError):
                raise
            raise CheckFailed(
                "✗ a covariance without an inverse: Cholesky's algorithm stops where a direction has no "
                "variance. Take the eigenvalues, which may be zero"
            ) from crash.error
        if not np.isfinite(rows).all():
            raise CheckFailed(
                "✗ a covariance without an inverse: NaN. Rounding makes an eigenvalue of zero a little "
                "negative: raise it to zero before the root"
            )
        compare(
            rows.T @ rows,
            cov,
            f"covariance of rank {rank} in {d} dimensions",
            1e-12,
            [
                (
                    lambda got, cov=cov: np.linalg.norm(got - cov) < 1e-3,
                    "is something added to its diagonal?",
                )
            ],
            quiet=True,
        )
    ok("a covariance without an inverse is no trouble")


@exercise("2.5", "how much to shrink", forbid=LIBRARY)
def shrinkage(curve: Callable) -> None:
    """curve(train (N, D), held_out (M, D), amounts (K,)) -> (K,): held-out nats a frame."""
    rng = np.random.default_rng(4)
    d = 12
    root = np.tril(rng.normal(size=(d, d)), -1) / 2 + np.diag(np.linspace(0.3, 2.0, d))
    train, held_out = (rng.normal(size=(n, d)) @ root.T + 1.0 for n in (10, 60))
    amounts = np.array([0.02, 0.1, 0.3, 0.6, 0.9])
    mean, other = train.mean(0), held_out.mean(0)
    S = (train - mean).T @ (train - mean) / len(train)
    T = (held_out - other).T @ (held_out - other) / len(held_out)

    def scores(
        cov: np.ndarray, target: np.ndarray, x: np.ndarray, centre: np.ndarray, a: np.ndarray
    ) -> np.ndarray:
        return np.array(
            [Gaussian(centre, (1 - b) * cov + b * target).log_prob(x).mean() for b in a]
        )

    nats = lambda covs: np.array([Gaussian(mean, c).log_prob(held_out).mean() for c in covs])
    ball = np.trace(S) / d * np.eye(d)
    want = scores(S, ball, held_out, mean, amounts)
    others = [(_problem(n, d)[0], _problem(m, d)[0], a) for n, m, d, a in (
        (5, 3, 2, np.array([0.9, 0.2])), (20, 1, 4, np.array([0.5])), (3, 8, 3, np.array([1, 0.1, 0.1])),
    )]  # fmt: skip
    agree(
        curve,
        lambda x, y, a: np.array(
            [Gaussian.fit(x, shrinkage=float(b)).log_prob(y).mean() for b in a]
        ),
        [(train, held_out, amounts), *others],
        "held-out curve",
        1e-8,
        [
            (
                scores(S, ball, train, mean, amounts),
                (
                    "this is the likelihood of the frames you fitted to: it always likes least shrinkage "
                    "best. Score the held-out frames"
                ),
            ),
            (scores(S, ball, held_out, mean, 1 - amounts), "a and 1 - a are exchanged: a = 1 is all round, a = 0 leaves S"),
            (scores(S, np.eye(d), held_out, mean, amounts), "shrunk towards I: it has not the power of the data, use tr(S)/D · I"),
            (scores(S, np.trace(S) * np.eye(d), held_out, mean, amounts), "shrunk towards tr(S) · I: the trace counts all D variances, divide by D"),
            (scores(S, np.diag(np.diag(S)), held_out, mean, amounts), "shrunk towards the diagonal of S; here the target is tr(S)/D · I"),
            (nats([S + a * ball for a in amounts]), "S is not multiplied by 1 - a: the power grows"),
            (scores(S, ball, held_out, 0 * mean, amounts), "the mean of `train` is not taken away"),
            *(
                (scores(S, size * np.eye(d), held_out, mean, amounts), "shrunk towards another multiple of I: tr(S)/D is the mean variance")
                for size in (
                    np.sqrt(np.trace(S) / d),
                    S.max(),
                    np.diag(S).min(),
                    np.median(np.diag(S)),
                    S.mean(),
                )
            ),
            (nats([(1 - a) * S + ball for a in amounts]), "the round part is not multiplied by a"),
            (nats([a * ball for a in amounts]), "(1 - a) S is missing"),
            (nats([np.linalg.pinv((1 - a) * S + a * ball) for a in amounts]), "the covariance is taken for the precision: invert it"),
            (want * len(held_out), "summed over the held-out frames: average them"),
            (want / d, "divided by D: nats a frame are wanted"),
            (-want, "the sign is turned round: higher must be better"),
            (scores(T, np.trace(T) / d * np.eye(d), held_out, other, amounts), "the Gaussian is fitted to the held-out frames: fit to `train`"),
            (
                scores(
                    S * len(train) / (len(train) - 1),
                    ball * len(train) / (len(train) - 1),
                    held_out,
                    mean,
                    amounts,
                ),
                "S is divided by N - 1; the exercise divides by N",
            ),
        ],
        steady=[2],
    )  # fmt: skip
    best = int(np.argmax(curve(train, held_out, amounts)))
    require(
        0 < best < len(amounts) - 1,
        f"with 10 frames in 12 dimensions the best of these amounts is {amounts[best]}",
        "the best amount lies at an end",
    )


@exercise("2.6", "predict the rest", forbid=LIBRARY)
def conditional(predict: Callable) -> None:
    """predict(mean (D,), cov (D, D), known (k,)) -> mean (D - k,), cov (D - k, D - k)."""
    mean = np.array([1.0, -0.5, 2.0, 0.3])
    root = np.array([[1.2, 0, 0, 0], [0.5, 0.8, 0, 0], [-0.4, 0.6, 0.9, 0], [0.3, -0.2, 0.5, 0.7]])
    cov, known = root @ root.T, np.array([1.8, 0.4])
    k = len(known)
    bb, ab, aa = cov[:k, :k], cov[k:, :k], cov[k:, k:]
    gain = ab @ np.linalg.inv(bb)  # Σ_ab Σ_bb⁻¹

    def right(mean: np.ndarray, cov: np.ndarray, known: np.ndarray) -> tuple:
        rest = Gaussian(mean, cov).condition(np.arange(len(known)), known)
        return rest.mean, rest.cov

    others = [(*_problem(1, d)[1:], np.random.default_rng(d).normal(size=n)) for d, n in (
        (2, 1), (5, 1), (5, 4), (7, 3),
    )]  # fmt: skip
    hints = {
        "mean": [
            (mean[k:], "this is the mean without knowing anything: the known part must move it"),
            (mean[k:] + gain @ known, "µ_b is not subtracted: only the deviation x_b - µ_b tells something new"),
            (mean[k:] + gain.T @ (known - mean[:k]), "the gain is transposed: a row for each number that you predict"),
            (mean[k:] + ab / np.diag(bb) @ (known - mean[:k]), "the known numbers depend on each other: Σ_bb⁻¹, not one over its diagonal"),
            (gain @ (known - mean[:k]), "µ_a is missing"),
            (mean[k:] - gain @ (known - mean[:k]), "the sign: the known part's deviation is added"),
            (mean[k:] + ab @ (known - mean[:k]), "Σ_bb⁻¹ is missing: Σ_ab alone has the units of a variance"),
            (mean[k:] + ab @ bb @ (known - mean[:k]), "Σ_bb where its inverse is due"),
            (mean[k:] + ab.T @ np.linalg.inv(bb) @ (known - mean[:k]), "Σ_ba where Σ_ab is due: rows for what you predict, columns for what you know"),
            (
                Gaussian(mean, cov).condition(np.arange(len(mean) - k, len(mean)), known).mean,
                "the last coordinates are taken as known, but the first ones are",
            ),
        ],
        "covariance": [
            (aa, "this is the covariance without knowing anything: knowing x_b makes it smaller"),
            (aa + gain @ ab.T, "the sign: knowing something takes uncertainty away"),
            (aa - ab @ ab.T, "Σ_bb⁻¹ is missing"),
            (aa - gain, "Σ_ba is missing at the end: Σ_ab Σ_bb⁻¹ Σ_ba"),
            (gain @ ab.T, "this is what is taken away; subtract it from Σ_aa"),
            (root[k:, k:], "this is L_aa, the factor; the covariance is L_aa L_aaᵀ"),
            (root[k:, k:].T @ root[k:, k:], "L_aaᵀ L_aa: the factor is the wrong way round"),
        ],
    }  # fmt: skip
    agree(predict, right, [(mean, cov, known), *others], tuple(hints), 1e-9, hints)
    got_mean, got_cov = map(np.asarray, predict(mean, cov, known))
    rest = np.array([0.7, -1.1])
    joint = Gaussian(mean, cov).log_prob(np.concatenate([known, rest]))
    product = Gaussian(mean[:k], bb).log_prob(known) + Gaussian(got_mean, got_cov).log_prob(rest)
    require(
        abs(joint - product) < 1e-8,
        "log p(x_b) + log p(x_a | x_b) is log p(x)",
        f"log p(x_b) + log p(x_a | x_b) is {product:.4f}, but log p(x) is {joint:.4f}",
    )


@exercise("2.7", "predict, then run: where draws lie")
def where_draws_lie(prediction: Callable) -> None:
    """prediction() -> {"likelier": nats, "away": a length, "left": a standard deviation}."""
    word = data.example().audio.astype(float)
    frames = np.lib.stride_tricks.sliding_window_view(word, 160)[::80]
    model = Gaussian.fit(frames, shrinkage="ledoit-wolf")
    middle = float(model.log_prob(model.mean))
    noise = Gaussian(np.zeros(160), np.eye(160)).sample(4000)
    pair = Gaussian(np.zeros(2), [[1, 0.95], [0.95, 1]])
    predicts(
        prediction,
        {
            "likelier": (
                middle - model.log_prob(model.sample(4000)).mean(),
                0.01,
                (
                    "of the three terms of log p only -½ zᵀz differs, with z the noise behind x. It is 0 in the "
                    "middle; what is the expectation of the square of each of the 160 numbers of z?"
                ),
            ),
            "away": (
                np.linalg.norm(noise, axis=1).mean(),
                0.01,
                (
                    "a squared length is a sum of 160 squares. What is each of them on average, and does "
                    "the sum vary much? A length is its root"
                ),
            ),
            "left": (
                float(np.sqrt(pair.condition([0], [1.3]).cov[0, 0])),
                0.01,
                (
                    "what is Σ_aa - Σ_ab Σ_bb⁻¹ Σ_ba of two numbers with a variance of 1 each? It is a "
                    "variance, and whatever was seen has no part in it"
                ),
            ),
        },
    )


def _halves(
    d: int, scale: float, bug: str = "", luck: int = 0, one: int = 0
) -> tuple[Callable, Callable]:
    """log_prob and sample of one Gaussian, or with a planted bug, in coordinate number `one` if it is in one."""
    L = scale * (np.tril(np.ones((d, d)), -1) + np.diag(np.linspace(0.5, 1.2, d)))
    mean, cov = scale * np.arange(1.0, d + 1), L @ L.T
    model = Gaussian(mean, cov)
    axis = np.eye(d)[one]
    root = np.diag(np.sqrt(np.diag(cov))) if bug == "alone" else model.cholesky

    def log_prob(x: np.ndarray) -> np.ndarray:
        if bug == "mean":
            return Gaussian(0 * mean, cov).log_prob(x)
        if bug == "off":
            return Gaussian(mean + 0.8 * np.sqrt(np.diag(cov)) * axis, cov).log_prob(x)
        value = model.log_prob(x)
        if bug == "constant":
            return value + 0.5 * (d - 1) * LOG_2PI
        if bug == "flat":
            return (value + model.log_prob(mean) - d / 2) / 2
        return value - 0.5 * np.linalg.slogdet(cov)[1] if bug == "half" else value

    def sample(n: int, seed: int = 0) -> np.ndarray:
        z = np.random.default_rng([luck, seed]).normal(size=(n, d))
        wide = 1 + 0.6 * axis if bug == "wide" else 1
        return mean + wide * (z @ (root if bug == "turned" else root.T))

    return log_prob, sample


HALVES_BUGS = {
    "turned": "the samples are µ + Lᵀ z, with the factor the wrong way round: another covariance",
    "constant": "log_prob has ½ log 2π once, not once a dimension: it does not integrate to one",
    "half": "log_prob subtracts log|Σ| without its ½: it does not integrate to one",
    "flat": "log_prob is too flat: right on average, too low in the middle and too high far out",
    "mean": "log_prob forgets to subtract the mean, which the samples have",
    "alone": "the samples have the right variances, but their coordinates are independent",
    "off": "log_prob has one number of the mean wrong, all others are right",
    "wide": "of the samples one coordinate is too wide, all others are right",
}


@exercise("2.8", "the test that finds the planted bug")
def two_halves_test(is_right: Callable) -> None:
    """is_right(log_prob, sample) -> bool, for log_prob(x (n, D)) -> (n,) and sample(n, seed) -> (n, D)."""
    sizes = ((2, 1.0), (3, 0.1), (5, 0.5), (4, 30.0))
    finds_bugs(
        is_right,
        [
            (_halves(*size, luck=luck), f"a Gaussian of {size[0]} numbers, scale {size[1]}")
            for size in sizes
            for luck in (0, 1)
        ],
        [
            (_halves(*size, b, luck, luck * (size[0] - 1)), words)
            for size in sizes[1:]
            for luck in (0, 1)
            for b, words in HALVES_BUGS.items()
        ],
        "draws of one normal density, and the logarithm of the same density, which integrates to one",
    )
