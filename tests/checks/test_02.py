"""The checks of chapter 2: solutions pass, blanks fail, typical mistakes are named."""

import re
import subprocess
import sys

import numpy as np
from exercise_checks import ExerciseChecks
from scipy import stats
from scipy.linalg import cholesky as scipy_cholesky

from minigen.checks import gaussian as checks

LOG_2PI = np.log(2 * np.pi)


def density(log_det=1.0, square=1.0, constant=1.0, whiten=None):
    """The log-density with its three terms multiplied by something, or with another noise."""

    def log_density(x, mean, cov):
        centred = (x - mean).T
        z = (
            np.linalg.solve(np.linalg.cholesky(cov), centred)
            if whiten is None
            else whiten(centred, cov)
        )
        terms = -0.5 * square * (z**2).sum(0) - 0.5 * log_det * np.linalg.slogdet(cov)[1]
        return terms - 0.5 * constant * len(mean) * LOG_2PI

    return log_density


def with_a_determinant(x, mean, cov):
    """Right, until the determinant underflows."""
    centred = x - mean
    square = np.sum(centred @ np.linalg.inv(cov) * centred, axis=1)
    return -0.5 * (square + np.log(np.linalg.det(cov)) + len(mean) * LOG_2PI)


def covariance(x):
    return np.cov(x.T, ddof=0)


def fit_with(cov, mean=lambda x: x.mean(0)):
    return lambda x: (mean(x), cov(x))


def from_moments(x):
    mean = x.mean(0)
    return mean, x.T @ x / len(x) - np.outer(mean, mean)


def scatter(g):
    return (g - g.mean(0)).T @ (g - g.mean(0))


def pooled(divide=lambda n, k: n - k):
    return lambda gs: sum(map(scatter, gs)) / divide(sum(map(len, gs)), len(gs))


def common_mean(groups):
    x = np.concatenate(groups)
    return scatter(x) / (len(x) - len(groups))


def weighted(weight, ddof):
    def wrong(groups):
        w = np.array([weight(g) for g in groups], dtype=float)
        covs = [scatter(g) / (len(g) - ddof) for g in groups]
        return np.einsum("g,gij->ij", w / w.sum(), covs)

    return wrong


def sampler(factor):
    """Rows mean + z @ factor."""
    return lambda mean, cov, z: mean + z @ factor(cov)


def own_noise(mean, cov, z):
    rng = np.random.default_rng(0)
    return mean + rng.standard_normal(z.shape) @ np.linalg.cholesky(cov).T


def symmetric_root(cov):
    values, vectors = np.linalg.eigh(cov)
    return vectors * np.sqrt(values) @ vectors.T


def curve_towards(target, ddof=0):
    """The shrinkage curve with some target, a function of S."""

    def curve(train, held_out, amounts):
        S, mean = np.cov(train.T, ddof=ddof), train.mean(0)
        goal = target(S) * np.eye(len(S))
        return np.array([density()(held_out, mean, (1 - a) * S + a * goal).mean() for a in amounts])

    return curve


def power(S):
    return np.trace(S) / len(S)


right_curve = curve_towards(power)


def blocks(mean, cov, known):
    k = len(known)
    return mean[:k], mean[k:], cov[:k, :k], cov[k:, :k], cov[k:, k:]


def right_mean(mean, cov, known):
    mb, ma, bb, ab, _ = blocks(mean, cov, known)
    return ma + ab @ np.linalg.solve(bb, known - mb)


def right_cov(mean, cov, known):
    _, _, bb, ab, aa = blocks(mean, cov, known)
    return aa - ab @ np.linalg.solve(bb, ab.T)


def predictor(of_mean=None, of_cov=None):
    """The right prediction, with one of its two parts replaced by a function of the blocks."""

    def predict(mean, cov, known):
        parts = (known, *blocks(mean, cov, known))
        m = right_mean(mean, cov, known) if of_mean is None else of_mean(*parts)
        return m, right_cov(mean, cov, known) if of_cov is None else of_cov(*parts)

    return predict


def wrong_way(L):
    return L.T @ L


def last_known(mean, cov, known):
    turned = np.roll(np.arange(len(mean)), len(known))
    return right_mean(mean[turned], cov[turned][:, turned], known), right_cov(
        mean[turned], cov[turned][:, turned], known
    )


inv = np.linalg.inv
SOLUTIONS = {
    "log_density": density(),
    "maximum_likelihood": fit_with(covariance),
    "pooled_covariance": pooled(),
    "sampling": sampler(lambda cov: np.linalg.cholesky(cov).T),
    "shrinkage": right_curve,
    "conditional": predictor(),
}


def test_other_right_answers_pass():
    """SciPy's own density; NumPy's covariance; a symmetric root in place of Cholesky's."""
    checks.log_density(lambda x, mean, cov: stats.multivariate_normal(mean, cov).logpdf(x))
    checks.maximum_likelihood(lambda x: [x.mean(0), np.cov(x, rowvar=False, bias=True)])
    checks.sampling(sampler(symmetric_root))


MISTAKES = [
    ("log_density", density(constant=0), "2.757 = 3 × 0.919: ½ log 2π a dimension"),
    ("log_density", density(constant=1 / 3), "once a dimension, D times"),
    ("log_density", density(log_det=0), "½ log|Σ| is missing"),
    ("log_density", density(log_det=2), "without its ½"),
    ("log_density", density(log_det=-1), "½ log|Σ| has the wrong sign"),
    ("log_density", density(log_det=0.5), "the 2 is missing"),
    ("log_density", density(square=2), "quadratic form is there without its ½"),
    ("log_density", density(square=-1), "quadratic form has the wrong sign"),
    ("log_density", lambda x, m, c: np.exp(density()(x, m, c)), "return its logarithm"),
    ("log_density", lambda x, m, c: -density()(x, m, c), "a loss"),
    ("log_density", lambda x, m, c: density()(x, m, c).sum(), "one value for each"),
    ("log_density", lambda x, m, c: density()(x, 0 * m, c), "mean is not subtracted"),
    ("log_density", lambda x, m, c: density()(x, m, np.diag(np.diag(c))), "only the diagonal"),
    (
        "log_density",
        density(whiten=lambda v, cov: np.linalg.cholesky(cov).T @ v),
        "Σ where Σ⁻¹ is due",
    ),
    (
        "log_density",
        density(whiten=lambda v, cov: np.linalg.solve(np.linalg.cholesky(cov).T, v)),
        "the upper one",
    ),
    ("log_density", with_a_determinant, "Sum the logarithms of L's diagonal"),
    ("maximum_likelihood", fit_with(lambda x: np.cov(x.T)), "divides by N"),
    ("maximum_likelihood", fit_with(lambda x: x.T @ x / len(x)), "not subtracted"),
    ("maximum_likelihood", fit_with(lambda x: len(x) * covariance(x)), "this is the sum over"),
    ("maximum_likelihood", fit_with(lambda x: np.corrcoef(x.T)), "these are correlations"),
    ("maximum_likelihood", fit_with(lambda x: np.diag(x.var(0))), "only variances"),
    ("maximum_likelihood", fit_with(lambda x: np.cov(x)), "frames by frames"),
    ("maximum_likelihood", fit_with(covariance, lambda x: x.mean(1)), "one number a frame"),
    ("maximum_likelihood", fit_with(covariance, lambda x: x.sum(0)), "divide by N"),
    ("maximum_likelihood", covariance, "return two things"),
    ("maximum_likelihood", from_moments, "one huge number from another"),
    ("pooled_covariance", pooled(lambda n, k: n), "biased. Each group's mean"),
    ("pooled_covariance", pooled(lambda n, k: n - 1), "one for each group"),
    ("pooled_covariance", pooled(lambda n, k: 1), "sum of products"),
    ("pooled_covariance", common_mean, "one common mean"),
    ("pooled_covariance", lambda gs: np.cov(np.concatenate(gs).T), "one common mean"),
    ("pooled_covariance", weighted(lambda g: 1, 1), "as if all were of one size"),
    ("pooled_covariance", weighted(lambda g: 1, 0), "biased covariances are averaged"),
    ("pooled_covariance", weighted(len, 1), "their weights are N_g - 1"),
    ("pooled_covariance", lambda gs: np.cov(gs[-1].T), "only the last group"),
    ("sampling", sampler(np.linalg.cholesky), "the wrong way round"),
    ("sampling", sampler(lambda cov: scipy_cholesky(cov).T), "scipy.linalg.cholesky"),
    ("sampling", sampler(lambda cov: cov), "this is Σ²"),
    ("sampling", sampler(lambda cov: np.diag(np.sqrt(np.diag(cov)))), "nothing hangs together"),
    ("sampling", sampler(lambda cov: np.diag(np.diag(cov))), "multiplied by variances"),
    ("sampling", sampler(lambda cov: np.eye(len(cov))), "not mixed at all"),
    ("sampling", sampler(lambda cov: inv(np.linalg.cholesky(cov))), "how to find the noise"),
    ("sampling", lambda m, c, z: z @ np.linalg.cholesky(c).T, "mean is missing"),
    ("sampling", own_noise, "none of your own"),
    ("shrinkage", lambda tr, ho, a: right_curve(tr, tr, a), "Score the held-out frames"),
    ("shrinkage", lambda tr, ho, a: right_curve(tr, ho, 1 - a), "exchanged"),
    ("shrinkage", curve_towards(lambda S: 1.0), "shrunk towards I"),
    ("shrinkage", curve_towards(np.trace), "divide by D"),
    ("shrinkage", curve_towards(np.diag), "towards the diagonal of S"),
    ("shrinkage", lambda tr, ho, a: len(ho) * right_curve(tr, ho, a), "average them"),
    ("shrinkage", lambda tr, ho, a: right_curve(tr, ho, a) / tr.shape[1], "nats a frame"),
    ("shrinkage", lambda tr, ho, a: -right_curve(tr, ho, a), "higher must be better"),
    ("shrinkage", lambda tr, ho, a: right_curve(ho, ho, a), "fit to `train`"),
    ("shrinkage", curve_towards(power, 1), "divided by N - 1"),
    ("conditional", predictor(lambda x, mb, ma, bb, ab, aa: ma), "without knowing anything"),
    (
        "conditional",
        predictor(lambda x, mb, ma, bb, ab, aa: ma + ab @ inv(bb) @ x),
        "µ_b is not subtracted",
    ),
    (
        "conditional",
        predictor(lambda x, mb, ma, bb, ab, aa: ab @ inv(bb) @ (x - mb)),
        "µ_a is missing",
    ),
    (
        "conditional",
        predictor(lambda x, mb, ma, bb, ab, aa: ma - ab @ inv(bb) @ (x - mb)),
        "deviation is added",
    ),
    (
        "conditional",
        predictor(lambda x, mb, ma, bb, ab, aa: ma + ab @ (x - mb)),
        "mean: Σ_bb⁻¹ is missing",
    ),
    (
        "conditional",
        predictor(lambda x, mb, ma, bb, ab, aa: ma + ab @ bb @ (x - mb)),
        "where its inverse is due",
    ),
    (
        "conditional",
        predictor(lambda x, mb, ma, bb, ab, aa: ma + ab.T @ inv(bb) @ (x - mb)),
        "rows for what you predict",
    ),
    ("conditional", last_known, "the first ones are"),
    (
        "conditional",
        predictor(None, lambda x, mb, ma, bb, ab, aa: aa),
        "knowing x_b makes it smaller",
    ),
    (
        "conditional",
        predictor(None, lambda x, mb, ma, bb, ab, aa: aa + ab @ inv(bb) @ ab.T),
        "takes uncertainty away",
    ),
    (
        "conditional",
        predictor(None, lambda x, mb, ma, bb, ab, aa: aa - ab @ ab.T),
        "covariance: Σ_bb⁻¹ is missing",
    ),
    (
        "conditional",
        predictor(None, lambda x, mb, ma, bb, ab, aa: aa - ab @ inv(bb)),
        "Σ_ba is missing",
    ),
    (
        "conditional",
        predictor(None, lambda x, mb, ma, bb, ab, aa: ab @ inv(bb) @ ab.T),
        "subtract it from Σ_aa",
    ),
    (
        "conditional",
        lambda m, c, x: (right_mean(m, c, x), np.linalg.cholesky(right_cov(m, c, x))),
        "this is L_aa, the factor",
    ),
    (
        "conditional",
        lambda m, c, x: (right_mean(m, c, x), wrong_way(np.linalg.cholesky(right_cov(m, c, x)))),
        "factor is the wrong way round",
    ),
    ("conditional", right_mean, "mean: expected shape (2,)"),
]


LITERAL = [(name, wrong, re.escape(message)) for name, wrong, message in MISTAKES]


class TestChapter2(ExerciseChecks):
    chapter = 2
    checks = checks
    solutions = SOLUTIONS
    mistakes = LITERAL


def test_the_checks_of_chapter_2_do_not_need_torch():
    code = (
        "import sys; from minigen import checks; checks.gaussian; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
