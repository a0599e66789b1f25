"""The Gaussian mixture against scikit-learn and scipy, and against what EM promises."""

import warnings

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture as Oracle

from minigen import ConvergenceWarning, data
from minigen.audio import mfcc
from minigen.gaussian import Gaussian
from minigen.mixture import COVARIANCES, GaussianMixture, kmeans, weighted_fit

kinds = pytest.mark.parametrize("kind", COVARIANCES)


def clusters(n: int = 400, d: int = 3, seed: int = 0) -> np.ndarray:
    """Three overlapping clusters of unequal size, shape and scale of columns."""
    rng = np.random.default_rng(seed)
    centres = 2.0 * rng.normal(size=(3, d))
    shapes = rng.normal(size=(3, d, d)) / d**0.5
    which = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    x = centres[which] + np.einsum("nij,nj->ni", shapes[which], rng.normal(size=(n, d)))
    return x * np.geomspace(0.1, 10, d)


def parameters(kind: str, k: int = 3, d: int = 3, seed: int = 1):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(k, d, d + 2))
    full = a @ a.transpose(0, 2, 1) / d
    covs = {
        "full": full,
        "tied": full[0],
        "diag": np.einsum("kii->ki", full),
        "spherical": full[:, 0, 0],
    }[kind]
    return rng.dirichlet(np.ones(k)), rng.normal(size=(k, d)), covs


def oracle(mixture: GaussianMixture, **options) -> Oracle:
    """scikit-learn's mixture with the same parameters as its start, and nothing on the diagonal."""
    kind, covs = mixture.covariance, mixture.covs
    return Oracle(
        mixture.k,
        covariance_type=kind,
        weights_init=mixture.weights,
        means_init=mixture.means,
        precisions_init=np.linalg.inv(covs) if kind in ("full", "tied") else 1 / covs,
        reg_covar=0.0,
        **options,
    )


def matrices(mixture: GaussianMixture) -> np.ndarray:
    k, d = mixture.means.shape
    covs = mixture.covs
    if mixture.covariance == "full":
        return covs
    if mixture.covariance == "tied":
        return np.stack([covs] * k)
    return np.stack([np.diag(np.broadcast_to(c, d)) for c in covs])


@kinds
def test_log_prob_equals_scipy(kind):
    mixture = GaussianMixture.from_parameters(*parameters(kind), covariance=kind)
    x = 2 * np.random.default_rng(2).normal(size=(4, 5, 3))
    want = sum(
        w * stats.multivariate_normal(m, c).pdf(x)
        for w, m, c in zip(mixture.weights, mixture.means, matrices(mixture), strict=True)
    )
    assert np.allclose(mixture.log_prob(x), np.log(want), rtol=1e-10)
    assert mixture.log_prob(x[0, 0]).shape == ()
    shares = np.exp(mixture.log_joint(x.reshape(-1, 3)).reshape(4, 5, 3)) / want[..., None]
    assert np.allclose(mixture.posteriors(x), shares)
    assert np.array_equal(mixture.sample(5), mixture.sample(5, seed=0))


@kinds
def test_integrates_to_one(kind):
    mixture = GaussianMixture.from_parameters(*parameters(kind, 3, 2), covariance=kind)
    axis = np.linspace(-15, 15, 601)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    assert abs(trapezoid(trapezoid(np.exp(mixture.log_prob(grid)), axis), axis) - 1) < 1e-6


@kinds
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_agrees_with_scikit_learn_from_the_same_start(kind, seed):
    x = clusters(seed=seed) / np.geomspace(0.1, 10, 3)  # a sphere wants columns in one unit
    start = GaussianMixture.from_parameters(*parameters(kind, seed=seed), covariance=kind)
    ours = GaussianMixture(3, kind, tol=1e-12, max_iter=20_000).fit(x, init_from=start)
    theirs = oracle(start, tol=1e-12, max_iter=20_000).fit(x)
    assert np.abs(ours.log_prob(x) - theirs.score_samples(x)).max() < 1e-4
    assert np.allclose(ours.posteriors(x), theirs.predict_proba(x), atol=1e-4)
    assert np.isclose(ours.bic(x), theirs.bic(x), rtol=1e-6)
    assert ours.n_parameters == theirs._n_parameters()


@kinds
def test_a_single_step_equals_scikit_learn(kind):
    """Far from the end, where only the same formulas give the same numbers."""
    x = clusters()
    start = GaussianMixture.from_parameters(*parameters(kind), covariance=kind)
    theirs = oracle(start, max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = GaussianMixture(3, kind, max_iter=1).fit(x, init_from=start)
        theirs.fit(x)
    assert np.isclose(ours.history[0], theirs.lower_bound_)
    for name, other in (("weights", "weights_"), ("means", "means_"), ("covs", "covariances_")):
        assert np.allclose(getattr(ours, name), getattr(theirs, other), rtol=1e-8), name


@kinds
@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("floor", [1e-6, 0.3])
def test_the_likelihood_never_falls(kind, k, floor):
    """With the floor at work as well: it is a bound, and the M step is the maximum within it."""
    x = clusters(150)
    mixture = GaussianMixture(k, kind, floor=floor, tol=1e-9, max_iter=2000).fit(x)
    assert mixture.converged and len(mixture.history) >= 2
    assert np.diff(mixture.history).min() > -1e-10
    assert np.isclose(mixture.history[-1], mixture.log_prob(x).mean())
    lowest = min(
        np.linalg.eigvalsh(c / np.sqrt(np.outer(x.var(0), x.var(0)))).min()
        for c in matrices(mixture)
    )
    if kind == "spherical":  # there the bound is on the mean variance
        lowest = mixture.covs.min() / x.var(0).mean()
    assert lowest > floor * (1 - 1e-9)


def test_the_floor_gives_the_maximum_within_its_bound():
    """Against a search over random covariances that keep the bound."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3)) * [1.0, 0.3, 0.03] @ rng.normal(size=(3, 3))
    cov, floor, all_ = np.cov(x.T, ddof=0), np.array([0.2, 0.5, 0.1]), np.ones((500, 1))

    def value(s):
        return -np.linalg.slogdet(s)[1] - np.trace(np.linalg.solve(s, cov))

    best = weighted_fit(x, all_, "full", floor)[1][0]
    assert np.linalg.eigvalsh(best - np.diag(floor))[0] > -1e-12
    assert not np.allclose(best, cov)  # the bound is at work
    for _ in range(2000):
        b = best + 0.02 * (bend := rng.normal(size=(3, 3))) + 0.02 * bend.T
        if np.linalg.eigvalsh(b - np.diag(floor))[0] > 0:
            assert value(b) <= value(best) + 1e-12
    assert np.allclose(weighted_fit(x, all_, "full", floor * 1e-9)[1][0], cov)


def test_kmeans_moves_each_centre_to_the_mean_of_its_points():
    x = clusters(300)
    centres, labels = kmeans(x, 5, seed=3, rounds=100)
    assert np.array_equal(labels, ((x[:, None] - centres) ** 2).sum(2).argmin(1))
    assert np.allclose(centres, [x[labels == j].mean(axis=0) for j in range(5)])
    assert np.array_equal(labels, kmeans(x, 5, np.random.default_rng(3), rounds=100)[1])


def test_kmeans_is_no_worse_than_scikit_learns():
    x = np.random.default_rng(0).normal(size=(500, 2))
    centres, labels = kmeans(x, 8, rounds=20)
    assert ((x - centres[labels]) ** 2).sum() <= 1.1 * KMeans(8, n_init=5, random_state=0).fit(
        x
    ).inertia_


def test_kmeans_seeds_far_apart():
    """k-means++ finds ten far clusters of one to fifty points: plain random seeds rarely do."""
    sizes = np.arange(1, 51, 5)
    x = np.repeat(1e3 * np.arange(10.0), sizes)[:, None] + np.random.default_rng(0).normal(
        size=(sizes.sum(), 1)
    )
    for seed in range(20):
        centres, labels = kmeans(x, 10, seed)
        assert sorted(np.bincount(labels)) == sizes.tolist()
        assert np.allclose(np.sort(centres[:, 0]), 1e3 * np.arange(10), atol=5)


@kinds
def test_one_component_is_the_gaussian(kind):
    x = clusters()
    mixture = GaussianMixture(1, kind).fit(x)
    if kind in ("full", "tied"):
        assert np.allclose(mixture.log_prob(x), Gaussian.fit(x).log_prob(x))
    assert np.allclose(mixture.means[0], x.mean(axis=0))


@kinds
def test_recovers_what_it_sampled(kind):
    truth = GaussianMixture.from_parameters(*parameters(kind, seed=3), covariance=kind)
    truth.means *= 4
    x = truth.sample(20_000, seed=0)
    fitted = GaussianMixture(3, kind).fit(x, init_from=truth)
    held_out = truth.sample(20_000, seed=1)
    gap = truth.log_prob(held_out) - fitted.log_prob(held_out)
    assert abs(gap.mean()) < 5e-3
    mean = truth.weights @ truth.means
    assert np.allclose(x.mean(axis=0), mean, atol=0.1)
    centred = truth.means - mean
    cov = (
        np.einsum("k,kij->ij", truth.weights, matrices(truth))
        + (truth.weights * centred.T) @ centred
    )
    assert np.allclose(np.cov(x.T), cov, rtol=0.05, atol=0.3)
    assert np.array_equal(truth.sample(5, 3), truth.sample(5, np.random.default_rng(3)))


def test_bic_finds_the_number_of_clusters():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(c, 1, size=(200, 2)) for c in (-6, 0, 6)])
    scores = [GaussianMixture(k, "spherical", n_init=3).fit(x).bic(x) for k in range(1, 6)]
    assert np.argmin(scores) == 2


def test_of_several_starts_the_best_is_kept():
    x = clusters(200)
    rng = np.random.default_rng(0)
    alone = [GaussianMixture(6, "diag", seed=rng).fit(x).history[-1] for _ in range(5)]
    assert GaussianMixture(6, "diag", n_init=5).fit(x).history[-1] == max(alone) > min(alone) + 1e-3


@pytest.mark.parametrize("kind", ["full", "tied", "diag"])
def test_units_of_the_columns_do_not_matter(kind):
    """Not for spheres: a sphere in one unit is none in another."""
    x, scale = clusters(), np.array([1e-6, 1.0, 1e6])
    plain, scaled = (GaussianMixture(3, kind).fit(v) for v in (x, x * scale))
    shift = np.log(scale).sum()
    assert np.allclose(plain.log_prob(x), scaled.log_prob(x * scale) + shift, atol=1e-5)
    far = GaussianMixture(3, kind).fit(x + 1e6 * x.std(axis=0))
    assert np.allclose(plain.log_prob(x), far.log_prob(x + 1e6 * x.std(axis=0)), atol=1e-3)


@kinds
def test_points_far_away_underflow_no_logarithm(kind):
    """exp of these log-densities is zero: without log-space they would be -inf and NaN."""
    mixture = GaussianMixture(3, kind).fit(clusters())
    x = np.full((2, 3), 1e5)
    assert np.isfinite(mixture.log_prob(x)).all() and (mixture.log_prob(x) < -1e6).all()
    assert np.allclose(mixture.posteriors(x).sum(axis=1), 1)


def test_speech_frames():
    """Real features, full covariances, more components than clusters: still monotone and finite."""
    word = data.example()
    x = mfcc(word.audio, word.rate).T
    mixture = GaussianMixture(4, "full", floor=1e-2).fit(x)
    assert mixture.converged and np.diff(mixture.history).min() > -1e-9
    assert mixture.log_prob(x).mean() > Gaussian.fit(x).log_prob(x).mean()


@kinds
def test_a_component_that_has_lost_all_data_is_kept_where_it_was(kind):
    x = np.random.default_rng(0).normal(size=(50, 2))
    _, _, covs = parameters(kind, 2, 2)
    start = GaussianMixture.from_parameters([0.5, 0.5], [[0, 0], [1e4, 1e4]], covs, kind)
    mixture = GaussianMixture(2, kind).fit(x, init_from=start)
    assert np.allclose(mixture.weights, [1, 0]) and np.array_equal(mixture.means[1], [1e4, 1e4])
    assert kind == "tied" or np.array_equal(mixture.covs[1], covs[1])
    assert np.allclose(mixture.log_prob(x), GaussianMixture(1, kind).fit(x).log_prob(x))
    assert np.isfinite(mixture.sample(10)).all()
    with pytest.raises(ValueError, match="1 components have no data: ask for fewer"):
        weighted_fit(x, np.eye(2)[[0] * 50], kind, np.full(2, 1e-6))


def test_one_point_repeated_is_kept_in_bounds_by_the_floor():
    x = np.concatenate([np.zeros((30, 2)), np.random.default_rng(0).normal(size=(30, 2))])
    for kind in COVARIANCES:
        mixture = GaussianMixture(2, kind).fit(x)
        assert np.isfinite(mixture.history).all() and np.diff(mixture.history).min() > -1e-9


def test_failure_to_converge_warns_with_what_to_do():
    with pytest.warns(ConvergenceWarning, match=r"2 steps.*max_iter=4.*fewer.*than 1e-12$") as seen:
        mixture = GaussianMixture(3, max_iter=2, tol=1e-12).fit(clusters())
    gained = mixture.history[2] - mixture.history[1]
    assert f"gained {gained:.2g} nats" in str(seen[0].message) and seen[0].filename == __file__
    assert not mixture.converged and len(mixture.history) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert GaussianMixture(3).fit(clusters()).converged


X = clusters(20, 2)
TWO = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [1.0]], [1.0, 1.0], "spherical")


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: GaussianMixture(0), "k=0.*at least 1"),
        (lambda: GaussianMixture(2, "round"), "full, tied, diag, spherical, not 'round'"),
        (lambda: GaussianMixture(2, floor=0), "floor lies between"),
        (lambda: GaussianMixture(2, floor=1), "floor lies between"),
        (lambda: GaussianMixture(1.5), "k=1.5.* whole numbers"),
        (lambda: GaussianMixture(2, max_iter=0), "max_iter=0.* at least 1"),
        (lambda: GaussianMixture(2, n_init=0), "n_init=0.* at least 1"),
        (lambda: kmeans(X, 0), "k=0 and rounds=10 are"),
        (lambda: kmeans(X, 2.5), "k=2.5.* whole"),
        (lambda: kmeans(X, 2, rounds=0), "rounds=0"),
        (lambda: kmeans(X, 21), "20 observations are too few for 21"),
        (lambda: GaussianMixture(2, tol=0), "tol above 0"),
        (lambda: GaussianMixture(21).fit(X), "20 observations are too few for 21"),
        (lambda: GaussianMixture(3).fit([[0, 1], [1, 0]] * 9), "only 2 observations differ"),
        (
            lambda: GaussianMixture(2).fit(np.c_[X, np.full(20, 7.0)]),
            "column 2.*constant.*remove the column",
        ),
        (lambda: GaussianMixture(2).fit(np.c_[X, np.full(20, 0.1)]), "column 2.*constant"),
        (lambda: GaussianMixture(2).fit(np.where(X == X[3, 0], np.nan, X)), "NaN"),
        (lambda: GaussianMixture(2).fit(X[:, 0]), r"\(N, D\)"),
        (lambda: GaussianMixture(2).fit(X[:0]), r"\(N, D\)"),
        (
            lambda: GaussianMixture(3, "spherical").fit(X, init_from=TWO),
            "GaussianMixture.k=2.* of another size",
        ),
        (lambda: GaussianMixture(2, "diag").fit(X[:, :1], init_from=TWO), "of another size"),
        (lambda: GaussianMixture(2, "spherical").fit(X, init_from=TWO), "of another size"),
        (lambda: GaussianMixture(2).fit(X, init_from=GaussianMixture(2)), "no parameters yet"),
        (lambda: GaussianMixture(2).log_prob(X), "no parameters yet"),
        (lambda: GaussianMixture(2).sample(1), "no parameters yet"),
        (lambda: TWO.log_prob(X), "1 dimensions, x has shape"),
        (lambda: TWO.sample(-1), "not -1"),
        (
            lambda: GaussianMixture.from_parameters(
                [0.5, 0.6], [[0.0], [1.0]], [1, 1], "spherical"
            ),
            "sum to 1",
        ),
        (
            lambda: GaussianMixture.from_parameters(
                [1.5, -0.5], [[0.0], [1.0]], [1, 1], "spherical"
            ),
            "negative",
        ),
        (lambda: GaussianMixture.from_parameters([1.0], [0.0], [1.0], "spherical"), r"\(K, D\)"),
        (
            lambda: GaussianMixture.from_parameters([1.0], [[0.0]], [1.0], "diag"),
            r"\(1, 1\), not \(1,\)",
        ),
        (lambda: GaussianMixture.from_parameters([1.0], [[0.0]], [[0.0]], "diag"), "positive"),
        (lambda: GaussianMixture.from_parameters([1.0], [[0.0]], [[np.inf]], "diag"), "finite"),
        (
            lambda: GaussianMixture.from_parameters([1.0], [[0, 0]], [[[1, 2], [2, 1]]]),
            "positive definite",
        ),
        (
            lambda: GaussianMixture.from_parameters([1.0], [[np.nan]], [[1.0]], "diag"),
            "means have NaN",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@kinds
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_one_error_everywhere(kind, bad):
    mixture = GaussianMixture.from_parameters(*parameters(kind), covariance=kind)
    one = Gaussian(np.zeros(3), np.eye(3))
    x = np.array([[0.0, 1.0, 2.0], [0.0, bad, 2.0]])
    calls = (
        mixture.log_prob,
        mixture.posteriors,
        mixture.bic,
        mixture.fit,
        one.log_prob,
        Gaussian.fit,
    )
    for call in calls:
        with pytest.raises(ValueError, match="x has NaN or infinite values"):
            call(x)


def test_the_default_stopping_rule_is_that_of_scikit_learn():
    x = clusters(2000)
    start = GaussianMixture.from_parameters(*parameters("diag"), covariance="diag")
    ours = GaussianMixture(3, "diag").fit(x, init_from=start)
    theirs = oracle(start).fit(x)
    assert len(ours.history) == theirs.n_iter_


def test_repr_says_what_it_is():
    assert repr(GaussianMixture(4, "tied")) == "GaussianMixture(k=4, covariance='tied', not fitted)"
    assert repr(TWO) == "GaussianMixture(k=2, covariance='spherical', D=1)"


def test_kmeans_draws_further_centres_in_proportion_to_the_squared_distance():
    """From 0, where nearly all points are, -1 and 2 are as likely as 1 : 4, and each is then a centre for good."""
    x = np.repeat([[0.0], [-1.0], [2.0]], [1000, 1, 1], axis=0)
    share = np.mean([kmeans(x, 2, seed)[0].max() > 1 for seed in range(120)])
    assert abs(share - 0.8) < 0.12
