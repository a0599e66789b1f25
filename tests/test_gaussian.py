"""The Gaussian against scipy, numpy, scikit-learn, and against its own properties."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid
from sklearn.covariance import LedoitWolf

from minigen import audio, timeseries
from minigen.gaussian import Gaussian, ledoit_wolf
from minigen.mixture import GaussianMixture


def random_gaussian(d: int, seed: int = 0) -> Gaussian:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(d, d + 3))
    return Gaussian(rng.normal(size=d), a @ a.T / d)


@pytest.mark.parametrize("d", [1, 2, 5, 30])
def test_log_prob_and_entropy_equal_scipy(d):
    g = random_gaussian(d)
    want = stats.multivariate_normal(g.mean, g.cov)
    x = np.random.default_rng(1).normal(size=(4, 3, d))
    assert np.allclose(g.log_prob(x), want.logpdf(x).reshape(4, 3), rtol=1e-10)
    assert g.log_prob(x[0, 0]).shape == ()
    assert np.isclose(g.entropy(), want.entropy())


@pytest.mark.parametrize("d, points", [(1, 4001), (2, 401)])
def test_integrates_to_one(d, points):
    g = random_gaussian(d)
    axes = [
        np.linspace(m - 9 * s, m + 9 * s, points)
        for m, s in zip(g.mean, np.sqrt(np.diag(g.cov)), strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    total = np.exp(g.log_prob(grid))
    for axis in reversed(axes):
        total = trapezoid(total, axis, axis=-1)
    assert abs(total - 1) < 1e-6


@pytest.mark.parametrize("ddof", [0, 1])
def test_fit_equals_numpy(ddof):
    x = np.random.default_rng(0).normal(size=(50, 4)) @ np.diag([1, 2, 3, 4.0])
    g = Gaussian.fit(x, ddof=ddof)
    cov = np.cov(x.T, ddof=ddof)
    assert np.allclose(g.mean, x.mean(0)) and np.allclose(g.cov, cov)
    for a in (0, 0.3, 1):  # towards a sphere of the same mean variance
        want = (1 - a) * cov + a * np.trace(cov) / 4 * np.eye(4)
        assert np.allclose(Gaussian.fit(x, ddof=ddof, shrinkage=a).cov, want)


def test_fit_is_the_maximum():
    """The likelihood's derivative vanishes at (µ*, Σ*), in every direction, and it falls away."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    g = Gaussian.fit(x)
    best = g.log_prob(x).sum()
    for _ in range(20):
        shift, bend = rng.normal(size=3), rng.normal(size=(3, 3))
        bend = bend + bend.T
        values = [
            Gaussian(g.mean + e * shift, g.cov + e * bend).log_prob(x).sum() for e in (1e-4, -1e-4)
        ]
        assert max(values) < best
        assert abs(values[0] - values[1]) / 2e-4 < 1e-2  # the bias of ddof=1 gives about 1


@pytest.mark.parametrize("n, d", [(8, 20), (60, 20), (500, 3)])
def test_ledoit_wolf_equals_scikit_learn(n, d):
    x = np.random.default_rng(0).normal(size=(n, d)) @ np.diag(np.linspace(0.2, 2, d))
    oracle = LedoitWolf().fit(x)
    assert np.isclose(ledoit_wolf(x), oracle.shrinkage_)
    assert np.allclose(Gaussian.fit(x, shrinkage="ledoit-wolf").cov, oracle.covariance_)
    assert ledoit_wolf(x[:, :1]) == 1  # a single variance is a sphere: nothing is left to shrink


def test_shrinkage_helps_where_frames_are_few():
    truth = random_gaussian(20)
    x, held_out = truth.sample(30, 0), truth.sample(2000, 1)
    plain, shrunk = Gaussian.fit(x), Gaussian.fit(x, shrinkage="ledoit-wolf")
    assert shrunk.log_prob(held_out).mean() > plain.log_prob(held_out).mean() + 1


def test_samples_have_the_moments():
    g = random_gaussian(4)
    x = g.sample(200_000, seed=3)
    assert np.allclose(x.mean(0), g.mean, atol=0.03)
    assert np.allclose(np.cov(x.T), g.cov, atol=0.05)
    assert np.array_equal(g.sample(5, seed=3), g.sample(5, seed=np.random.default_rng(3)))
    assert np.array_equal(g.sample(5), g.sample(5, seed=0))
    assert g.sample(0).shape == (0, len(g.mean))


def test_kl_equals_monte_carlo():
    p, q = random_gaussian(3, 0), random_gaussian(3, 5)
    x = p.sample(200_000, 0)
    difference = p.log_prob(x) - q.log_prob(x)
    assert abs(difference.mean() - p.kl(q)) < 5 * difference.std() / len(x) ** 0.5
    assert abs(p.kl(p)) < 1e-12


def test_condition_and_marginal_make_the_joint():
    """p(x) = p(x_b) p(x_a | x_b) at any x."""
    g, x = random_gaussian(5), np.random.default_rng(1).normal(size=5)
    known, rest = [3, 0], [1, 2, 4]
    product = g.marginal(known).log_prob(x[known]) + g.condition(known, x[known]).log_prob(x[rest])
    assert np.isclose(product, g.log_prob(x))


def test_coordinates_count_from_the_end_too():
    g = random_gaussian(4)
    last, same = g.condition([-1], [0.3]), g.condition([3], [0.3])
    assert np.array_equal(last.mean, same.mean) and np.array_equal(last.cov, same.cov)
    assert np.array_equal(g.marginal([-1, 0]).cov, g.marginal([3, 0]).cov)


def test_the_chain_rule_is_on_the_diagonal_of_the_cholesky_factor():
    """Given the ones before it, coordinate i has standard deviation L_ii."""
    g, x = random_gaussian(6), np.random.default_rng(2).normal(size=6)
    for i in range(1, 6):
        given = g.condition(np.arange(i), x[:i]).marginal([0])
        assert np.isclose(np.sqrt(given.cov.item()), g.cholesky[i, i])


@pytest.mark.parametrize("scale", [1e-9, 1e-4, 1.0, 1e3])
def test_a_column_that_is_a_sum_of_others_is_refused_whatever_the_rounding(scale):
    """Its pivot vanishes but for rounding; the luck of the seed, units and order do not matter."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(100, 2)) * [1, scale] + rng.normal(size=2)
        x = np.c_[x, x.sum(axis=1)][:, rng.permutation(3)]
        with pytest.raises(ValueError, match="not positive definite.*shrinkage"):
            Gaussian.fit(x)
        with pytest.raises(ValueError, match="not positive definite"):
            Gaussian(np.zeros(3), np.cov(x.T))
        assert np.isfinite(Gaussian.fit(x, shrinkage=1e-6).log_prob(x)).all()


@pytest.mark.parametrize("value", [0.1, 1e-30, 1e30, -7.3])
def test_copies_of_one_value_are_refused(value):
    with pytest.raises(ValueError, match="column 1 of the data is constant"):
        Gaussian.fit(np.c_[np.arange(20.0), np.full(20, value)])


def test_strong_correlation_alone_is_not_refused():
    """A random walk that nearly does not forget, and columns in units eighteen orders apart."""
    lag = np.abs(np.subtract.outer(np.arange(100), np.arange(100)))
    walk = Gaussian(np.zeros(100), (1 - 1e-10) ** lag)
    assert np.isclose(walk.cholesky[-1, -1] ** 2, 2e-10, rtol=1e-4)
    x = np.random.default_rng(0).normal(size=(50, 3)) * [1e-9, 1, 1e9]
    assert np.isfinite(Gaussian.fit(x).log_prob(x)).all()
    Gaussian([0, 0], [[1, 0.5], [0.5 * (1 + 1e-9), 1]])  # symmetric but for rounding


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Gaussian.fit(np.zeros((5, 9))), "rank at most 4.*shrinkage"),
        (lambda: Gaussian.fit(np.zeros((50, 2))), "column 0 of the data is constant"),
        (lambda: Gaussian.fit(np.zeros(5)), r"\(N, D\).*not \(5,\): give x\[:, None\]"),
        (lambda: Gaussian.fit([[np.nan, 1.0]]), "NaN"),
        (lambda: Gaussian.fit([[1.0]], ddof=1), "ddof=1"),
        (lambda: Gaussian.fit(np.eye(3), shrinkage=2), r"\[0, 1\]"),
        (lambda: Gaussian.fit(np.eye(3), shrinkage="auto"), "ledoit-wolf"),
        (lambda: Gaussian([0, 0], np.eye(3)), r"\(D, D\)"),
        (lambda: Gaussian.fit(np.eye(3), shrinkage=-0.1), r"\[0, 1\]"),
        (lambda: Gaussian.fit(np.eye(3)), "3 observations in 3.*rank at most 2: take more than 3"),
        (lambda: Gaussian([[0, 0]], np.eye(2)), r"not \(1, 2\), \(2, 2\)"),
        (lambda: Gaussian([], np.zeros((0, 0))), r"\(D,\) and \(D, D\)"),
        (lambda: Gaussian([0, np.nan], np.eye(2)), "mean or cov has NaN"),
        (lambda: Gaussian([0, 0], np.diag([1, np.inf])), "mean or cov has NaN"),
        (lambda: Gaussian([0, 0], [[1, 0.5], [0.5 * (1 + 1e-6), 1]]), "symmetric"),
        (lambda: Gaussian([0, 0], [[1, 2], [2, 1]]), r"smallest eigenvalue -1\)"),
        (lambda: Gaussian([0, 0], np.diag([1, 0])), r"smallest eigenvalue 0\)"),
        (lambda: Gaussian([0, 0], np.diag([-1, 1])), r"smallest eigenvalue -1\)"),
        (lambda: random_gaussian(3).log_prob(1.0), r"3 dimensions, x has shape \(\)"),
        (lambda: random_gaussian(3).log_prob(np.zeros(2)), "3 dimensions"),
        (lambda: random_gaussian(3).sample(-1), "not -1"),
        (lambda: random_gaussian(2).condition([0, 1], [0, 0]), "nothing is left"),
        (lambda: random_gaussian(2).kl(random_gaussian(3)), "2 dimensions against 3"),
        (lambda: random_gaussian(3).log_prob([0, np.nan, 0]), "NaN"),
        (lambda: random_gaussian(3).condition([0, 0], [1, 1]), "named twice"),
        (lambda: random_gaussian(3).condition([0, -3], [1, 1]), "named twice"),
        (lambda: random_gaussian(3).condition([3], [1]), r"0 … 2"),
        (lambda: random_gaussian(3).condition([-4], [1]), r"0 … 2"),
        (lambda: random_gaussian(3).condition([0, 1], [1]), "2 coordinates, but 1 values"),
        (lambda: random_gaussian(3).marginal([[0]]), "one or more integers"),
        (lambda: random_gaussian(3).condition([], []), "one or more integers"),
        (lambda: random_gaussian(3).marginal([0.5]), "one or more integers"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_was_given_can_change_afterwards():
    mean, cov = np.zeros(2), np.eye(2)
    mine = Gaussian(mean, cov)
    before = mine.log_prob(np.ones(2))
    mean += 7
    cov *= 9
    assert mine.log_prob(np.ones(2)) == before and np.array_equal(mine.cov, np.eye(2))


@pytest.mark.parametrize("dtype", [float, int])
def test_what_is_masked_is_no_number(dtype):
    """A masked array's hidden values are never taken for data: refused, or gaps where gaps may be."""
    x = np.arange(1, 41).reshape(20, 2) ** 2 % 17
    hidden = np.ma.array(x.astype(dtype), mask=x == x.max())
    for call in (Gaussian.fit, GaussianMixture(2).fit, random_gaussian(2).log_prob):
        with pytest.raises(ValueError, match="NaN"):
            call(hidden)
    one, gaps = hidden[:, 0], hidden[:, 0].astype(float).filled(np.nan)
    with pytest.raises(ValueError, match="missing values"):
        timeseries.AR(1).fit(one)
    assert np.isnan(gaps).any()
    assert np.array_equal(timeseries.difference(one), timeseries.difference(gaps), equal_nan=True)
    model = timeseries.ARIMA.from_parameters([0.5])
    assert model.log_prob(one) == model.log_prob(gaps)
    with pytest.raises((ValueError, TypeError)):
        audio.check_waveform(one)
