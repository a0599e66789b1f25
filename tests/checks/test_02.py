"""The checks of chapter 2: solutions pass, blanks fail, typical mistakes are named."""

import re

import numpy as np
from exercise_checks import ExerciseChecks
from scipy import stats
from scipy.linalg import cholesky as scipy_cholesky

from minigen.checks import gaussian as checks

LOG_2PI = np.log(2 * np.pi)


def density(log_det=1.0, square=1.0, constant=1.0, whiten=None):
    """The log-density with its three terms multiplied by something, or with another noise."""

    def log_density(x, mean, precision):
        rows = x - mean
        z = rows @ np.linalg.cholesky(precision) if whiten is None else whiten(rows, precision)
        terms = 0.5 * log_det * np.linalg.slogdet(precision)[1] - 0.5 * square * (z**2).sum(1)
        return terms - 0.5 * constant * len(mean) * LOG_2PI

    return log_density


def with_a_determinant(x, mean, precision):
    """Right, until the determinant underflows."""
    centred = x - mean
    square = np.sum(centred @ precision * centred, axis=1)
    return 0.5 * (np.log(np.linalg.det(precision)) - square - len(mean) * LOG_2PI)


def as_covariance(x, mean, precision):
    return density()(x, mean, inv(precision))


def around(x, w, mean):
    return np.einsum("n,ni,nj->ij", w, x - mean, x - mean)


def covariance(x, w):
    return around(x, w, w @ x / w.sum()) / w.sum()


def fit_with(cov, mean=lambda x, w: w @ x / w.sum()):
    return lambda x, w: (mean(x, w), cov(x, w))


def from_moments(x, w):
    mean = w @ x / w.sum()
    return mean, (w[:, None] * x).T @ x / w.sum() - np.outer(mean, mean)


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


def symmetric_root(cov, power=0.5, floor=0.0):
    values, vectors = np.linalg.eigh(cov)
    return vectors * np.maximum(values, floor) ** power @ vectors.T


def of_eigenvalues(root):
    """Rows mean + z @ (a function of V and λ)."""
    return lambda mean, cov, z: mean + z @ root(*np.linalg.eigh(cov)[::-1])


def curve_towards(target, ddof=0):
    """The shrinkage curve with some target, a function of S."""

    def curve(train, held_out, amounts):
        S, mean = np.cov(train.T, ddof=ddof), train.mean(0)
        goal = target(S) * np.eye(len(S))
        covs = [(1 - a) * S + a * goal for a in amounts]
        return np.array([as_covariance(held_out, mean, cov).mean() for cov in covs])

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


def predicted(**change):
    """The right prediction with some answers replaced."""
    return lambda: {"likelier": 80, "away": 160**0.5, "left": (1 - 0.95**2) ** 0.5} | change


def halves_trial(n=4000, gap=0.2, by=lambda gap: np.abs(gap).mean(), cov=lambda x: np.cov(x.T)):
    """The right test, or one that looks at less."""

    def is_right(log_prob, sample):
        x = sample(n, 0)
        own = stats.multivariate_normal(x.mean(0), cov(x)).logpdf(x)
        return by(own - log_prob(x)) < gap

    return is_right


def only_moments(log_prob, sample):
    """That the centre of the draws is the highest point."""
    x = sample(4000, 0)
    return log_prob(x.mean(0)[None])[0] >= log_prob(x).max() - 0.01


inv = np.linalg.inv
SOLUTIONS = {
    "log_density": density(),
    "maximum_likelihood": fit_with(covariance),
    "pooled_covariance": pooled(),
    "sampling": sampler(symmetric_root),
    "shrinkage": right_curve,
    "conditional": predictor(),
    "where_draws_lie": predicted(),
    "two_halves_test": halves_trial(),
}


def test_other_right_answers_pass():
    """SciPy's own density; NumPy's covariance; another root of the covariance."""
    checks.log_density(lambda x, m, P: stats.multivariate_normal(m, inv(P)).logpdf(x))
    checks.maximum_likelihood(
        lambda x, w: [np.average(x, axis=0, weights=w), np.cov(x.T, aweights=w, ddof=0)]
    )
    checks.sampling(of_eigenvalues(lambda V, v: (V * np.sqrt(np.maximum(v, 0))).T))


MISTAKES = [
    ("log_density", density(constant=0), "2.757 = 3 × 0.919: ½ log 2π a dimension"),
    ("log_density", density(constant=1 / 3), "once a dimension, D times"),
    ("log_density", density(log_det=0), "½ log|Λ| is missing"),
    ("log_density", density(log_det=2), "without its ½"),
    ("log_density", density(log_det=-1), "½ log|Λ| has the wrong sign"),
    ("log_density", density(log_det=0.5), "the 2 is missing"),
    ("log_density", density(square=2), "quadratic form is there without its ½"),
    ("log_density", density(square=-1), "quadratic form has the wrong sign"),
    ("log_density", lambda x, m, c: np.exp(density()(x, m, c)), "return its logarithm"),
    ("log_density", lambda x, m, c: -density()(x, m, c), "a loss"),
    ("log_density", lambda x, m, c: density()(x, m, c).sum(), "one value for each"),
    ("log_density", lambda x, m, c: density()(x, 0 * m, c), "mean is not subtracted"),
    ("log_density", lambda x, m, c: density()(x, m, np.diag(np.diag(c))), "only the diagonal"),
    ("log_density", as_covariance, "taken for the covariance"),
    (
        "log_density",
        density(whiten=lambda v, P: np.linalg.solve(np.linalg.cholesky(P), v.T).T),
        "Λ⁻¹ where Λ itself is due",
    ),
    (
        "log_density",
        density(whiten=lambda v, P: v @ np.linalg.cholesky(P).T),
        "this is the length of M (x - µ)",
    ),
    ("log_density", with_a_determinant, "Sum the logarithms of the factor's diagonal"),
    ("maximum_likelihood", lambda x, w: (x.mean(0), np.cov(x.T)), "mean: the weights are not used"),
    ("maximum_likelihood", fit_with(covariance, lambda x, w: w @ x), "sum of w"),
    ("maximum_likelihood", fit_with(covariance, lambda x, w: w @ x / len(x)), "mean: divided by N"),
    ("maximum_likelihood", fit_with(covariance, lambda x, w: w @ x.T), "operands"),
    ("maximum_likelihood", fit_with(covariance, lambda x, w: x.mean(1)), "one number a frame"),
    ("maximum_likelihood", fit_with(lambda x, w: np.cov(x)), "frames by frames"),
    (
        "maximum_likelihood",
        fit_with(lambda x, w: around(x, w * 0 + 1, w @ x / w.sum()) / len(x)),
        "counts w_n times",
    ),
    (
        "maximum_likelihood",
        fit_with(lambda x, w: around(x, w, x.mean(0)) / w.sum()),
        "around the plain mean",
    ),
    (
        "maximum_likelihood",
        fit_with(lambda x, w: around(x, w**2, w @ x / w.sum()) / w.sum()),
        "one of the two factors",
    ),
    (
        "maximum_likelihood",
        fit_with(lambda x, w: covariance(x, w) * w.sum() / (w.sum() - 1)),
        "that is unbiased",
    ),
    ("maximum_likelihood", fit_with(lambda x, w: covariance(x, w) * w.sum() / len(x)), "by weight"),
    ("maximum_likelihood", fit_with(lambda x, w: around(x, w, 0) / w.sum()), "not subtracted"),
    ("maximum_likelihood", fit_with(lambda x, w: covariance(x, w) * w.sum()), "divide by Σ w_n"),
    (
        "maximum_likelihood",
        fit_with(lambda x, w: np.diag(np.diag(covariance(x, w)))),
        "only variances",
    ),
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
    ("sampling", sampler(lambda cov: np.linalg.cholesky(cov).T), "Cholesky's algorithm stops"),
    ("sampling", of_eigenvalues(lambda V, v: (V * np.sqrt(v)).T), "raise it to zero"),
    ("sampling", of_eigenvalues(lambda V, v: V * np.sqrt(v)), "A = V diag"),
    ("sampling", of_eigenvalues(lambda V, v: (V.T * np.sqrt(v)).T), "V is transposed"),
    ("sampling", sampler(lambda cov: symmetric_root(cov, 0.25)), "take the root once"),
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
    ("conditional", right_mean, "expected shape (2,)"),
    ("where_draws_lie", predicted(likelier=160), "only -½ zᵀz differs"),
    ("where_draws_lie", predicted(likelier=0), "only -½ zᵀz differs"),
    ("where_draws_lie", predicted(away=160), "A length is its root"),
    ("where_draws_lie", predicted(away=1.0), "does the sum vary much"),
    ("where_draws_lie", predicted(left=0.05), "with a variance of 1 each"),
    ("where_draws_lie", predicted(left=1 - 0.95**2), "It is a variance"),
    ("where_draws_lie", predicted(left="less"), "expected a number"),
    ("two_halves_test", lambda log_prob, sample: True, "the wrong way round"),
    ("two_halves_test", lambda log_prob, sample: False, "refuses a Gaussian of 2 numbers"),
    ("two_halves_test", halves_trial(n=60), "refuses a Gaussian"),
    ("two_halves_test", halves_trial(by=lambda gap: gap.mean()), "½ log 2π once"),
    ("two_halves_test", halves_trial(by=np.std), "½ log 2π once"),
    ("two_halves_test", halves_trial(cov=lambda x: np.diag(x.var(0))), "refuses a Gaussian"),
    ("two_halves_test", lambda log_prob, sample: log_prob(sample(9, 0)) < 0, "not 9 values"),
    ("two_halves_test", only_moments, "the wrong way round"),
]


LITERAL = [(name, wrong, re.escape(message)) for name, wrong, message in MISTAKES]


class TestChapter2(ExerciseChecks):
    chapter = 2
    checks = checks
    solutions = SOLUTIONS
    mistakes = LITERAL
