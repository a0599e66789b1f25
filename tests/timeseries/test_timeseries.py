"""Time series: against closed forms, the dense normal density, statsmodels, and simulation."""

import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import solve, toeplitz
from scipy.special import gamma as gamma_function
from scipy.stats import multivariate_normal

from minigen import ConvergenceWarning, data
from minigen import timeseries as ts
from minigen.gaussian import Gaussian
from minigen.timeseries import AR, ARFIMA, ARIMA, StateSpace

SUNSPOTS, NILE = data.sunspots().values, data.nile().values
AIRLINE = np.log(data.airline().values)
PHI = np.array([1.2, -0.8, 0.1])  # a stationary AR(3)


@pytest.fixture(scope="module")
def sm():
    """statsmodels, the oracle (it is in requirements.txt)."""
    return pytest.importorskip("statsmodels.api", reason="the oracle is not installed")


def quietly(function):
    """Call without statsmodels' remarks about starting values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function()


def noise(n, seed=0):
    return np.random.default_rng(seed).standard_normal(n)


def dense_log_prob(x, gamma, mean=0.0):
    """The normal density of a stationary series, by its whole covariance matrix."""
    return multivariate_normal(np.full(len(x), mean), toeplitz(gamma[: len(x)])).logpdf(x)


def test_importing_it_imports_no_torch():
    code = "import sys, minigen.timeseries; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---------------------------------------------------------------- correlation


def test_acf_and_pacf_equal_statsmodels(sm):
    for x in (SUNSPOTS, NILE, AIRLINE):
        assert np.allclose(ts.acf(x, 20), sm.tsa.acf(x, nlags=20, fft=False))
        assert np.allclose(ts.pacf(x, 20), sm.tsa.pacf(x, nlags=20, method="ldb"))


def test_levinson_durbin_solves_the_yule_walker_equations():
    gamma = ts.autocovariance(SUNSPOTS, 12)
    found = ts.levinson_durbin(gamma)
    for p in (1, 5, 12):
        phi = solve(toeplitz(gamma[:p]), gamma[1 : p + 1])
        assert np.allclose(ts.levinson_durbin(gamma[: p + 1]).coefficients, phi)
        assert np.isclose(found.variances[p], gamma[0] - phi @ gamma[1 : p + 1])
        assert np.isclose(found.partial[p - 1], phi[-1])  # the last coefficient of each order


def test_pacf_of_an_ar_ends_at_its_order():
    gamma = AR(3).set(PHI).autocovariance(10)
    partial = ts.levinson_durbin(gamma).partial
    assert abs(partial[2]) > 0.05 and np.allclose(partial[3:], 0, atol=1e-12)


def test_step_down_undoes_partial_to_ar_and_tells_stationarity():
    rng = np.random.default_rng(0)
    for p in range(1, 8):
        partial = rng.uniform(-1, 1, p)
        phi = ts.partial_to_ar(partial)
        assert np.allclose(ts.step_down(phi)[1], partial)
        for scale in (1.0, 3.0):
            phi = rng.normal(size=p) * scale / p
            model = AR(p).set(phi)
            assert model.is_stationary == (np.abs(model.roots).max() < 1)


def test_ljung_box_equals_statsmodels(sm):
    x = ARIMA((1, 0, 0)).set(ar=[0.3]).simulate(200, seed=4)
    for lags, fitted in ((5, 0), (12, 2)):
        theirs = sm.stats.acorr_ljungbox(x - x.mean(), [lags], model_df=fitted)
        ours = ts.ljung_box(x, lags, fitted)
        assert np.isclose(ours.statistic, theirs.lb_stat.iloc[0])
        assert np.isclose(ours.p_value, theirs.lb_pvalue.iloc[0])


def test_ljung_box_p_values_are_uniform_for_noise():
    values = [ts.ljung_box(noise(300, seed), 10).p_value for seed in range(400)]
    assert abs(np.mean(values) - 0.5) < 0.05 and abs(np.mean(np.array(values) < 0.1) - 0.1) < 0.04


# ---------------------------------------------------------------- AR


def test_ols_equals_statsmodels(sm):
    theirs = sm.tsa.AutoReg(SUNSPOTS, 3).fit()
    ours = AR(3, "ols").fit(SUNSPOTS)
    assert np.allclose(np.append(ours.intercept, ours.coefficients), theirs.params)
    assert np.isclose(ours.log_likelihood, theirs.llf) and np.isclose(ours.sigma**2, theirs.sigma2)
    ours, theirs = AR(3, constant=False).fit(SUNSPOTS), sm.tsa.AutoReg(SUNSPOTS, 3, "n").fit()
    assert np.allclose(ours.coefficients, theirs.params) and ours.mean == 0


def test_yule_walker_and_burg_equal_statsmodels(sm):
    for order in (1, 4, 9):
        phi, sigma = quietly(lambda: sm.regression.yule_walker(SUNSPOTS, order, method="mle"))  # noqa: B023
        ours = AR(order, "yule_walker").fit(SUNSPOTS)
        assert np.allclose(ours.coefficients, phi) and np.isclose(ours.sigma, sigma)
        phi, variance = sm.regression.linear_model.burg(SUNSPOTS, order)
        ours = AR(order, "burg").fit(SUNSPOTS)
        assert np.allclose(ours.coefficients, phi)
        assert np.isclose(ours.sigma**2, variance, rtol=0.02)  # theirs leaves out the ends


def test_mle_is_the_highest_of_all_methods_and_equals_arima():
    best = AR(3, "mle").fit(SUNSPOTS)
    others = [AR(3, method).fit(SUNSPOTS) for method in ("ols", "yule_walker", "burg")]
    assert all(best.log_likelihood > other.log_prob(SUNSPOTS) for other in others)
    assert np.isclose(best.log_likelihood, ARIMA((3, 0, 0)).fit(SUNSPOTS).log_likelihood, atol=1e-8)
    flat = AR(2, "mle", constant=False).fit(SUNSPOTS)
    assert flat.intercept == 0 and flat.log_likelihood < AR(2, "mle").fit(SUNSPOTS).log_likelihood


@pytest.mark.parametrize("method", ["ols", "yule_walker", "burg", "mle"])
def test_every_method_recovers_the_model(method):
    truth = AR(3).set(PHI, intercept=1.5, sigma=2.0)
    found = AR(3, method).fit(truth.simulate(20_000, seed=1))
    assert np.allclose(found.coefficients, PHI, atol=0.03)
    assert abs(found.sigma / 2 - 1) < 0.02 and abs(found.mean - truth.mean) < 0.15


def test_ar_log_prob_is_the_dense_normal_density():
    model = AR(3).set(PHI, intercept=0.6, sigma=0.7)
    x = model.simulate(40, seed=2)
    gamma = model.autocovariance(40)
    exact = dense_log_prob(x, gamma, model.mean)
    assert np.isclose(model.log_prob(x), exact)
    first = dense_log_prob(x[:3], gamma, model.mean)
    assert np.isclose(model.log_prob(x, "given"), exact - first)
    assert np.isclose(model.log_prob(x[:2]), dense_log_prob(x[:2], gamma, model.mean))
    whitening = toeplitz(np.r_[1, -PHI, np.zeros(36)], np.zeros(40))  # determinant 1
    cov = 0.49 * np.linalg.inv(whitening.T @ whitening).T
    mean = np.linalg.solve(whitening, np.full(40, 0.6))
    assert np.isclose(model.log_prob(x, "zero"), multivariate_normal(mean, cov).logpdf(x))


def test_ar_works_on_a_batch():
    model = AR(2).set([0.5, 0.2], sigma=0.3)
    x = noise(60).reshape(2, 3, 10)
    for start in ("stationary", "given", "zero"):
        rows = [[model.log_prob(row, start) for row in block] for block in x]
        assert np.allclose(model.log_prob(x, start), rows)
    assert model.residuals_of(x, "given").shape == (2, 3, 8)


def test_ar_density_integrates_to_one():
    model = AR(1).set([0.9], sigma=0.5)
    grid = np.linspace(-8, 8, 401)
    points = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
    assert np.isclose(np.exp(model.log_prob(points)).sum() * (grid[1] - grid[0]) ** 2, 1)


def test_spectrum_is_the_transform_of_the_autocovariance():
    model = AR(3).set(PHI, sigma=1.3)
    gamma = model.autocovariance(6)
    for k in (0, 1, 6):
        integral = quad(lambda f: model.spectrum(f) * math.cos(2 * math.pi * f * k), 0, 0.5)[0]  # noqa: B023
        assert np.isclose(2 * integral, gamma[k])


def test_ar_simulation_starts_in_its_stationary_distribution():
    """A burn-in that is too short, or none, shows at the first values."""
    model = AR(2).set([1.6, -0.81], intercept=2.0, sigma=0.5)
    paths = np.stack([model.simulate(6, seed) for seed in range(20_000)])
    want = toeplitz(model.autocovariance(5))
    assert np.allclose(np.cov(paths.T), want, atol=0.05 * want[0, 0])
    assert np.allclose(paths.mean(0), model.mean, atol=5 * math.sqrt(want[0, 0] / 20_000))


def test_ar_forecast_is_the_conditional_distribution():
    model = AR(3).set(PHI, intercept=0.5, sigma=0.7)
    x = model.simulate(30, seed=3)
    whole = Gaussian(np.full(38, model.mean), toeplitz(model.autocovariance(37)))
    future = whole.condition(np.arange(30), x)
    mean, std = model.forecast(8, x)
    assert np.allclose(mean, future.mean) and np.allclose(std**2, np.diag(future.cov))


def test_an_unstable_ar_can_be_run_but_has_no_stationary_density():
    model = AR(1).set([1.05])
    assert not model.is_stationary
    assert np.abs(model.simulate(600, start="zero")).max() > 1e6
    for call in (lambda: model.log_prob(noise(9)), lambda: model.simulate(9)):
        with pytest.raises(ValueError, match=r"1\.05"):
            call()
    assert np.isfinite(model.log_prob(noise(9), "given"))


# ---------------------------------------------------------------- the Kalman filter


def random_model(m, seed):
    rng = np.random.default_rng(seed)
    T = rng.normal(size=(m, m))
    T *= 0.9 / np.abs(np.linalg.eigvals(T)).max()
    A, B = rng.normal(size=(2, m, m))
    return StateSpace(T, rng.normal(size=m), A @ A.T, 0.4, rng.normal(size=m), B @ B.T)


def dense_moments(model, n, cov=None):
    """Mean (n,) and covariance (n, n) of y, written out."""
    m, T = len(model.design), model.transition
    powers = [np.eye(m)]
    for _ in range(n):
        powers.append(T @ powers[-1])
    start = model.cov if cov is None else cov
    mean = np.array([model.design @ powers[t] @ model.mean for t in range(n)])
    state = np.zeros((n, m, n, m))
    for s in range(n):
        for t in range(n):
            value = powers[s] @ start @ powers[t].T
            for k in range(min(s, t)):
                value = value + powers[s - 1 - k] @ model.state_cov @ powers[t - 1 - k].T
            state[s, :, t] = value
    full = np.einsum("sitj,i,j->st", state, model.design, model.design)
    return mean, full + model.noise * np.eye(n)


@pytest.mark.parametrize("m", [1, 2, 4])
def test_kalman_likelihood_is_the_dense_normal_density(m):
    model, n = random_model(m, seed=m), 15
    y = model.simulate(n, seed=9)
    mean, cov = dense_moments(model, n)
    assert np.isclose(model.log_prob(y), multivariate_normal(mean, cov).logpdf(y))
    y[[0, 4, 5, 14]] = np.nan  # gaps: the density of the rest
    there = ~np.isnan(y)
    rest = multivariate_normal(mean[there], cov[np.ix_(there, there)]).logpdf(y[there])
    assert np.isclose(model.log_prob(y), rest)


def test_kalman_predictions_are_the_conditional_distribution():
    model, n = random_model(3, seed=7), 10
    y = model.simulate(n, seed=1)
    mean, cov = dense_moments(model, n + 1)
    want = Gaussian(mean, cov).condition(np.arange(n), y)
    found = model.filter(np.append(y, np.nan))
    assert np.isclose(found.mean[-1], want.mean[0]) and np.isclose(
        found.variance[-1], want.cov[0, 0]
    )


def test_kalman_samples_have_the_right_covariance():
    model = random_model(2, seed=3)
    y = np.stack([model.simulate(4, seed) for seed in range(20_000)])
    mean, cov = dense_moments(model, 4)
    scale = np.sqrt(np.outer(np.diag(cov), np.diag(cov)))
    assert (np.abs(np.cov(y.T) - cov) < 0.05 * scale).all()
    assert (np.abs(y.mean(0) - mean) < 5 * np.sqrt(np.diag(cov) / 20_000)).all()


def test_diffuse_start_is_the_limit_of_a_large_variance():
    """With κ large, each of the two unknown numbers costs ½ log 2πκ."""
    T = [[1.0, 1.0], [0.0, 1.0]]  # level and slope
    model = StateSpace(T, [1, 0], np.diag([0.3, 0.1]), 0.5, [0, 0], np.zeros((2, 2)), [1, 1])
    y = np.cumsum(np.cumsum(noise(30)))
    y[[1, 10]] = np.nan
    kappa = 1e8
    vague = StateSpace(T, [1, 0], np.diag([0.3, 0.1]), 0.5, [0, 0], kappa * np.eye(2))
    want = vague.log_prob(y) + math.log(2 * math.pi * kappa)
    assert np.isclose(model.log_prob(y), want, atol=1e-4)
    assert np.isinf(model.filter(y).variance[:3]).tolist() == [True, True, True]


def test_local_level_equals_statsmodels_exact_diffuse(sm):
    theirs = sm.tsa.UnobservedComponents(NILE, "llevel", use_exact_diffuse=True)
    want = theirs.loglike([15099.0, 1469.1])
    level = StateSpace([[1.0]], [1.0], [[1469.1]], 15099.0, [0.0], [[0.0]], [1.0])
    # statsmodels counts ½ log 2π for the diffuse value, too
    assert np.isclose(level.log_prob(NILE) - 0.5 * math.log(2 * math.pi), want, atol=1e-6)


def test_stationary_covariance_solves_its_equation():
    for seed in range(5):
        model = random_model(4, seed)
        P = ts.stationary_covariance(model.transition, model.state_cov)
        assert np.allclose(P, model.transition @ P @ model.transition.T + model.state_cov)


# ---------------------------------------------------------------- ARIMA


SERIES = {
    "sunspots": (SUNSPOTS, (2, 0, 0), (0, 0, 0, 0), -1307.3185),
    "nile": (NILE, (0, 1, 1), (0, 0, 0, 0), -632.5377),
    "airline": (AIRLINE, (0, 1, 1), (0, 1, 1, 12), 244.6965),
}


@pytest.mark.parametrize("name", SERIES)
def test_likelihoods_equal_statsmodels(sm, name):
    x, order, seasonal, known = SERIES[name]
    ours = ARIMA(order, seasonal).fit(x)
    theirs = quietly(lambda: sm.tsa.ARIMA(x, order=order, seasonal_order=seasonal).fit())
    assert abs(ours.log_likelihood - theirs.llf) < 1e-3
    assert abs(ours.log_likelihood - known) < 1e-3
    assert ours.converged and np.isclose(ours.log_prob(x), ours.log_likelihood)
    assert np.isclose(ours.aic, theirs.aic, atol=2e-3)
    ours_flat = np.concatenate([ours.ar, ours.ma, ours.seasonal_ar, ours.seasonal_ma])
    theirs_flat = theirs.params[1:-1] if ours.has_mean else theirs.params[:-1]
    assert np.allclose(ours_flat, theirs_flat, atol=2e-3)
    assert np.isclose(ours.sigma**2, theirs.params[-1], rtol=5e-3)


@pytest.mark.parametrize(
    "order, seasonal",
    [
        ((1, 0, 1), (0, 0, 0, 0)),
        ((3, 1, 2), (0, 0, 0, 0)),
        ((0, 2, 1), (0, 0, 0, 0)),
        ((1, 1, 1), (1, 1, 1, 4)),
        ((2, 0, 0), (1, 0, 1, 12)),
    ],
)
def test_likelihood_at_given_parameters_equals_statsmodels(sm, order, seasonal):
    """Without differences; and exactly diffuse, where statsmodels differences before it filters."""
    rng = np.random.default_rng(5)
    x = AIRLINE[:100] * 10
    coefficients = {
        name: (1 if name.endswith("ar") else -1) * ts.partial_to_ar(rng.uniform(-0.8, 0.8, count))
        for name, count in zip(
            ("ar", "ma", "seasonal_ar", "seasonal_ma"),
            (order[0], order[2], seasonal[0], seasonal[2]),
            strict=True,
        )
    }
    model = ARIMA(order, seasonal, level_variance=math.inf)
    mean = 50.0 if model.has_mean else 0.0
    model.set(**coefficients, mean=mean, sigma=0.8)
    oracle = sm.tsa.SARIMAX(
        x - mean, order=order, seasonal_order=seasonal, simple_differencing=True
    )
    want = oracle.loglike(np.concatenate([*coefficients.values(), [0.64]]))
    assert np.isclose(model.log_prob(x), want, rtol=1e-8)


def test_vague_level_equals_statsmodels_at_given_parameters(sm):
    model = ARIMA((1, 1, 1), (0, 1, 1, 4)).set([0.3], [0.4], None, [-0.5], sigma=0.8)
    x = 10 * AIRLINE[:80]
    oracle = sm.tsa.SARIMAX(x, order=(1, 1, 1), seasonal_order=(0, 1, 1, 4))
    oracle.loglikelihood_burn = 5
    assert np.isclose(model.log_prob(x), oracle.loglike([0.3, 0.4, -0.5, 0.64]), atol=1e-6)


def test_a_level_variance_that_is_not_vague_is_not_used():
    """1e6 says much about a series in millions: there the level is exactly diffuse."""
    model = ARIMA((0, 1, 1), level_variance=1e6)
    exact = ARIMA((0, 1, 1), level_variance=math.inf).fit(1e4 * NILE)
    assert model.fit(1e4 * NILE).log_likelihood == exact.log_likelihood
    want = ARIMA((0, 1, 1), level_variance=math.inf).fit(NILE).log_likelihood - 99 * math.log(1e4)
    assert np.isclose(exact.log_likelihood, want, atol=1e-4)


def test_arma_log_prob_is_the_dense_normal_density_also_with_gaps():
    model = ARIMA((2, 0, 2)).set([0.5, -0.3], [0.4, 0.2], mean=3.0, sigma=0.7)
    x = model.simulate(30, seed=6)
    cov = toeplitz(ts.arma_autocovariance([0.5, -0.3], [0.4, 0.2], 29, 0.7))
    assert np.isclose(model.log_prob(x), multivariate_normal(np.full(30, 3.0), cov).logpdf(x))
    x[[0, 1, 7, 20, 29]] = np.nan
    there = ~np.isnan(x)
    rest = multivariate_normal(np.full(25, 3.0), cov[np.ix_(there, there)]).logpdf(x[there])
    assert np.isclose(model.log_prob(x), rest)


def test_integrated_likelihood_with_gaps_is_the_density_of_what_is_left():
    """Given the first value there is, the later ones are that value and sums of changes."""
    model = ARIMA((1, 1, 1), level_variance=math.inf).set([0.6], [0.3], sigma=0.5)
    x = 100 + model.simulate(20, seed=2)
    x[[0, 5, 6, 13]] = np.nan
    there = np.flatnonzero(~np.isnan(x))
    sums = np.tril(np.ones((20, 20)))  # x_t - x_0 = Σ changes
    cov = sums @ toeplitz(ts.arma_autocovariance([0.6], [0.3], 19, 0.5)) @ sums.T
    steps = np.eye(20)[there[1:]] - np.eye(20)[there[0]]  # x_t - x_first
    want = multivariate_normal(np.zeros(len(steps)), steps @ cov @ steps.T)
    assert np.isclose(model.log_prob(x), want.logpdf(x[there[1:]] - x[there[0]]))


def test_fit_with_gaps_equals_statsmodels(sm):
    x = SUNSPOTS.copy()
    x[[3, 50, 51, 52, 200]] = np.nan
    ours = ARIMA((2, 0, 1)).fit(x)
    theirs = quietly(lambda: sm.tsa.ARIMA(x, order=(2, 0, 1)).fit())
    assert abs(ours.log_likelihood - theirs.llf) < 2e-3 and ours.nobs == 304
    assert np.isnan(ours.residuals[[3, 50, 51, 52, 200]]).all()
    x = AIRLINE.copy()
    x[[40, 41, 90]] = np.nan
    ours = ARIMA((0, 1, 1), (0, 1, 1, 12)).fit(x)
    theirs = quietly(lambda: sm.tsa.ARIMA(x, order=(0, 1, 1), seasonal_order=(0, 1, 1, 12)).fit())
    assert abs(ours.log_likelihood - theirs.llf) < 2e-3


def test_airline_forecast_equals_statsmodels(sm):
    passengers = data.airline().values
    ours = ARIMA((0, 1, 1), (0, 1, 1, 12)).fit(AIRLINE[:132])
    fitted = sm.tsa.ARIMA(AIRLINE[:132], order=(0, 1, 1), seasonal_order=(0, 1, 1, 12)).fit()
    theirs = fitted.get_forecast(12)
    mean, std = ours.forecast(12)
    mape = [
        100 * np.mean(np.abs(np.exp(m) - passengers[132:]) / passengers[132:])
        for m in (mean, theirs.predicted_mean)
    ]
    assert abs(mape[0] - mape[1]) < 0.1
    assert np.allclose(mean, theirs.predicted_mean, atol=1e-3)
    assert np.allclose(std, theirs.se_mean, rtol=5e-3)


def test_arma_forecast_is_the_conditional_distribution():
    x = ARIMA((1, 0, 1)).set([0.7], [0.4], mean=5.0, sigma=0.5).simulate(25, seed=8)
    model = ARIMA((1, 0, 1)).fit(x)
    gamma = ts.arma_autocovariance(model.ar, model.ma, 30, model.sigma)
    future = Gaussian(np.full(31, model.mean), toeplitz(gamma)).condition(np.arange(25), x)
    mean, std = model.forecast(6)
    assert np.allclose(mean, future.mean) and np.allclose(std**2, np.diag(future.cov))


def test_simulated_futures_have_the_forecast_mean_and_spread():
    x = AIRLINE.copy()
    x[-2] = np.nan  # the state at the end is then uncertain, too
    model = ARIMA((0, 1, 1), (0, 1, 1, 12)).fit(x)
    mean, std = model.forecast(14)
    paths = np.stack([model.simulate(14, seed, future=True) for seed in range(3000)])
    assert np.allclose(paths.mean(0), mean, atol=5 * std.max() / math.sqrt(3000))
    assert np.allclose(paths.std(0), std, rtol=0.06)


def test_simulation_has_the_models_autocovariance_from_the_first_value():
    model = ARIMA((1, 0, 1), (0, 0, 1, 4)).set([0.6], [0.5], None, [0.7], mean=2.0, sigma=0.5)
    paths = np.stack([model.simulate(6, seed) for seed in range(10_000)])
    ar, ma = model._polynomials(model._coefficients)
    want = toeplitz(ts.arma_autocovariance(ar, ma, 5, 0.5))
    assert np.allclose(np.cov(paths.T), want, atol=0.06 * want[0, 0])


def test_a_simulated_random_walk_has_growing_spread_and_starts_at_the_data():
    paths = np.stack([ARIMA((0, 1, 0)).set().simulate(50, seed) for seed in range(4000)])
    assert np.allclose(paths.var(0), np.arange(1, 51), rtol=0.15)
    walk = ARIMA((0, 1, 0)).fit(1000 + np.cumsum(noise(60)))
    assert abs(walk.simulate(5, seed=0)[0] - 1000) < 10


def test_seasonal_arima_recovers_its_parameters():
    truth = ARIMA((1, 0, 0), (1, 0, 1, 4)).set([0.5], None, [0.6], [-0.3], mean=7.0, sigma=2.0)
    found = ARIMA((1, 0, 0), (1, 0, 1, 4)).fit(truth.simulate(3000, seed=3))
    assert np.allclose([found.ar[0], found.seasonal_ar[0]], [0.5, 0.6], atol=0.06)
    assert abs(found.seasonal_ma[0] + 0.3) < 0.08 and abs(found.sigma - 2) < 0.1


def test_units_do_not_matter():
    a, b = ARIMA((1, 0, 1)).fit(NILE), ARIMA((1, 0, 1)).fit(5 + 1e5 * NILE)
    assert np.allclose([a.ar, a.ma], [b.ar, b.ma], atol=1e-4)
    assert np.isclose(b.log_likelihood, a.log_likelihood - 100 * math.log(1e5), atol=1e-4)


def test_standard_errors_equal_statsmodels(sm):
    for x, order, seasonal, _ in SERIES.values():
        ours = ARIMA(order, seasonal).fit(x)
        theirs = quietly(
            lambda: sm.tsa.ARIMA(x, order=order, seasonal_order=seasonal).fit(cov_type="approx")  # noqa: B023
        )
        got = ours.estimates()[2]
        want = np.asarray(theirs.bse)
        if ours.has_mean:  # statsmodels puts the constant first
            want = np.append(want[1:-1], want[[0, -1]])
        assert np.allclose(got[:-1], want[:-1], rtol=0.05)


def test_impulse_response_and_difference():
    psi = ts.impulse_response([0.5], [0.4], 5)
    assert np.allclose(psi, [1, 0.9, 0.45, 0.225, 0.1125])
    x = noise(40)
    assert np.allclose(ts.difference(x, 2), np.diff(x, 2))
    assert np.allclose(ts.difference(x, 1, 1, 12), np.diff(x[12:] - x[:-12]))


def test_arma_autocovariance_equals_statsmodels(sm):
    for ar, ma in (([0.5, -0.3], [0.4]), ([], [0.5, 0.2]), ([0.9], [])):
        process = sm.tsa.ArmaProcess(np.r_[1, -np.array(ar)], np.r_[1, ma])
        assert np.allclose(ts.arma_autocovariance(ar, ma, 30), process.acovf(31))


# ---------------------------------------------------------------- ARFIMA


@pytest.mark.parametrize("d", [-0.4, 0.1, 0.3, 0.49])
def test_arfima_autocovariance_is_the_gamma_formula(d):
    k = np.arange(1, 60)
    want = gamma_function(1 - 2 * d) / (gamma_function(1 - d) * gamma_function(d))
    want = want * gamma_function(k + d) / gamma_function(k + 1 - d)
    got = ts.arfima_autocovariance(d, 59)
    assert np.allclose(got[1:], want)
    assert np.isclose(got[0], gamma_function(1 - 2 * d) / gamma_function(1 - d) ** 2)


@pytest.mark.parametrize("d", [-0.3, 0.35])
def test_arfima_autocovariance_is_the_transform_of_its_spectrum(d):
    ar, ma, sigma = [0.5, -0.4], [0.6], 1.3
    got = ts.arfima_autocovariance(d, 12, ar, ma, sigma)

    def density(f):
        z = np.exp(-2j * np.pi * f)
        arma = np.abs((1 + 0.6 * z) / (1 - 0.5 * z + 0.4 * z**2)) ** 2
        return sigma**2 * arma * (2 * np.sin(np.pi * f)) ** (-2 * d)

    for k in (0, 1, 12):  # f = u⁴ takes the pole at 0 away
        value = quad(
            lambda u: density(u**4) * math.cos(2 * math.pi * u**4 * k) * 4 * u**3,  # noqa: B023
            0,
            0.5**0.25,
            limit=400,
        )[0]
        assert np.isclose(2 * value, got[k], atol=1e-6 * got[0])


def test_d_zero_is_an_arma():
    assert np.allclose(
        ts.arfima_autocovariance(0.0, 9, [0.5], [0.3]), ts.arma_autocovariance([0.5], [0.3], 9)
    )
    fractional, arma = ARFIMA((1, 0.0, 1)).fit(NILE), ARIMA((1, 0, 1)).fit(NILE)
    assert np.isclose(fractional.log_likelihood, arma.log_likelihood, atol=1e-6)
    assert np.allclose([fractional.ar, fractional.ma], [arma.ar, arma.ma], atol=1e-3)
    for ours, theirs in zip(fractional.forecast(5), arma.forecast(5), strict=True):
        assert np.allclose(ours, theirs, rtol=1e-4)


def test_arfima_log_prob_is_the_dense_normal_density():
    model = ARFIMA((1, None, 1)).set(0.35, [0.4], [-0.6], mean=2.0, sigma=0.8)
    x = model.simulate(50, seed=1)
    want = dense_log_prob(x, model.autocovariance(49), 2.0)
    assert np.isclose(model.log_prob(x), want)
    assert np.allclose(model.log_prob(np.stack([x, x + 1])), [want, model.log_prob(x + 1)])


def test_chain_rule_is_the_dense_normal_density():
    gamma = ts.arfima_autocovariance(0.4, 30)
    x = noise(31)
    errors, v = ts.chain_rule(gamma, x)
    total = -0.5 * np.sum(np.log(2 * np.pi * v) + errors**2 / v)
    assert np.isclose(total, dense_log_prob(x, gamma))


def test_known_d_is_recovered():
    """Over 20 series of 800 values: no bias beyond two standard errors, the spread of theory."""
    for method in ("exact", "whittle"):
        for d in (-0.25, 0.3):
            found = [
                ARFIMA((0, None, 0), method).fit(ARFIMA((0, d, 0)).simulate(800, seed)).d
                for seed in range(20)
            ]
            spread = math.sqrt(6 / np.pi**2 / 800)  # asymptotic standard deviation of d
            assert abs(np.mean(found) - d) < 3 * spread / math.sqrt(20) + 0.006
            assert 0.5 * spread < np.std(found) < 1.7 * spread


def test_arfima_with_ar_part_recovers_both():
    truth = ARFIMA((1, None, 0)).set(0.3, [0.5], mean=4.0, sigma=2.0)
    found = ARFIMA((1, None, 0)).fit(truth.simulate(3000, seed=5))
    assert abs(found.d - 0.3) < 0.12 and abs(found.ar[0] - 0.5) < 0.12
    assert abs(found.sigma / 2 - 1) < 0.05


def test_arfima_forecast_is_the_conditional_distribution():
    x = ARFIMA((0, 0.4, 0)).simulate(40, seed=2)
    model = ARFIMA((0, None, 0)).fit(x)
    whole = Gaussian(np.full(46, model.mean), toeplitz(model.autocovariance(45)))
    future = whole.condition(np.arange(40), x)
    mean, std = model.forecast(6)
    assert np.allclose(mean, future.mean) and np.allclose(std**2, np.diag(future.cov))
    paths = np.stack([model.simulate(6, seed, future=True) for seed in range(4000)])
    assert np.allclose(paths.mean(0), mean, atol=5 * std.max() / math.sqrt(4000))
    assert np.allclose(np.cov(paths.T), future.cov, atol=0.1 * std.max() ** 2)


def test_arfima_simulation_has_its_autocovariance():
    model = ARFIMA((0, 0.4, 0)).set(mean=1.0, sigma=0.5)
    paths = np.stack([model.simulate(6, seed) for seed in range(10_000)])
    want = toeplitz(model.autocovariance(5))
    assert np.allclose(np.cov(paths.T), want, atol=0.05 * want[0, 0])


def test_fractional_difference():
    x = noise(50)
    assert np.allclose(ts.fractional_difference(x, 1)[1:], np.diff(x))
    assert np.allclose(ts.fractional_difference(x, 0), x)
    both = ts.fractional_difference(ts.fractional_difference(x, 0.3), 0.7)
    assert np.allclose(both, ts.fractional_difference(x, 1))
    assert np.allclose(ts.fractional_difference(x, -1), np.cumsum(x))


# ---------------------------------------------------------------- summaries, errors, warnings


@pytest.mark.parametrize(
    "model, x",
    [
        (AR(2), SUNSPOTS),
        (AR(2, "burg", constant=False), SUNSPOTS),
        (ARIMA((0, 1, 1), (0, 1, 1, 12)), AIRLINE),
        (ARFIMA((0, None, 0)), NILE),
    ],
)
def test_summary_names_estimates_and_says_whether_it_converged(model, x):
    text = model.fit(x).summary()
    assert f"{model.log_likelihood:.4f}" in text and "Ljung-Box" in text
    names, values, errors = model.estimates()
    assert len(names) == len(values) == len(errors) == model.n_parameters
    assert all(name in text for name in names) and np.isfinite(errors).all()
    assert "converged" in text and "NOT" not in text
    assert np.isclose(model.bic - model.aic, model.n_parameters * (math.log(model.nobs) - 2))


def test_residuals_of_the_true_model_are_white_and_others_are_not():
    paths = [ARIMA((2, 0, 0)).set([1.2, -0.6]).simulate(600, seed) for seed in range(9)]
    assert np.median([ARIMA((2, 0, 0)).fit(x).diagnostics().p_value for x in paths]) > 0.2
    x = paths[0]
    assert ARIMA((1, 0, 0)).fit(x).diagnostics().p_value < 1e-6
    assert abs(np.std(ARIMA((2, 0, 0)).fit(x).residuals) - 1) < 0.01


def test_failing_to_converge_warns_and_says_what_to_do():
    with pytest.warns(ConvergenceWarning, match=r"did not converge.*more iterations"):
        model = ARIMA((2, 0, 2)).fit(SUNSPOTS, iterations=1)
    assert not model.converged and "NOT converged" in model.summary()
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        ARFIMA((1, None, 1)).fit(NILE, start={"ar": [-0.9], "d": -0.4}, iterations=1)


def test_a_unit_root_warns_and_says_what_to_do():
    with pytest.warns(ConvergenceWarning, match=r"MA part.*difference once less"):
        ARIMA((0, 1, 1)).fit(noise(200))  # differenced white noise
    with pytest.warns(ConvergenceWarning, match=r"AR part.*difference the series"):
        ARIMA((1, 0, 0)).fit(np.exp(0.05 * np.arange(100)) + 1e-3 * noise(100))


def test_the_start_does_not_change_the_maximum():
    free = ARIMA((1, 0, 1)).fit(NILE)
    led = ARIMA((1, 0, 1)).fit(NILE, start={"ar": [-0.5], "ma": [0.9]})
    assert np.isclose(free.log_likelihood, led.log_likelihood, atol=1e-4)


GAPS = np.where(np.arange(100) == 7, np.nan, NILE)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: ARIMA((2, 1, 2)).fit([1.0, 2, 3, 5]), ValueError, "too short: it has 4 .* needs"),
        (lambda: AR(5).fit(np.arange(9.0)), ValueError, "too short"),
        (lambda: AR(5, "burg").fit(np.arange(9.0)), ValueError, "too short"),
        (lambda: ARFIMA((0, None, 0)).fit([1.0, 2.0, 0.5]), ValueError, "too short"),
        (lambda: ARIMA((1, 0, 0)).fit([]), ValueError, "too short: it has 0"),
        (lambda: ARIMA((1, 0, 0)).fit(np.full(50, 3.0)), ValueError, "constant .every value is 3"),
        (lambda: AR(1).fit(np.zeros(50)), ValueError, "constant"),
        (lambda: ARFIMA((0, None, 0)).fit(np.ones(50)), ValueError, "constant"),
        (lambda: ARIMA((1, 1, 0)).fit(2.0 * np.arange(50)), ValueError, "after the differences"),
        (lambda: AR(2).fit(GAPS), ValueError, r"1 missing .* index 7.*ARIMA"),
        (lambda: ARFIMA((0, None, 0)).fit(GAPS), ValueError, "missing"),
        (lambda: ts.acf(GAPS), ValueError, "missing"),
        (lambda: ARIMA((1, 0, 0)).fit(np.append(NILE, np.inf)), ValueError, "infinite"),
        (lambda: ARIMA((1, 0, 0)).fit(NILE[None]), ValueError, r"\(n,\), not \(1, 100\)"),
        (lambda: ARIMA((1, 0, 0)).fit(["a", "b"]), TypeError, "real numbers"),
        (
            lambda: ARIMA((1, 0, 0)).fit(NILE, start={"ar": [1.2]}),
            ValueError,
            r"ar = \[1.2\] is not stationary.*difference",
        ),
        (lambda: ARIMA((0, 0, 1)).fit(NILE, start={"ma": [2]}), ValueError, "not invertible"),
        (lambda: ARIMA((1, 0, 0)).fit(NILE, start={"a": [0.2]}), ValueError, "no parameters"),
        (lambda: ARIMA((1, 0, 0)).fit(NILE, start={"ar": [0.2, 0.1]}), ValueError, "has 1 coeff"),
        (lambda: ARFIMA((1, None, 0)).fit(NILE, start={"ar": [-1]}), ValueError, "not stationary"),
        (lambda: ARIMA((1, 0)), ValueError, "p, d, q"),
        (lambda: ARIMA((1, 0, -1)), ValueError, "whole numbers"),
        (lambda: ARIMA((1, 0, 0), (1, 0, 0, 1)), ValueError, "s >= 2"),
        (lambda: ARIMA((0, 1, 1)).set(mean=1.0), ValueError, "no mean"),
        (lambda: ARIMA((0, 1, 1)).set(sigma=0.0), ValueError, "sigma"),
        (lambda: ARIMA((0, 1, 1), level_variance=0), ValueError, "level_variance"),
        (lambda: ARIMA((0, 1, 1)).forecast(3), ValueError, r"call fit\(x\) first"),
        (lambda: ARIMA((0, 1, 1)).summary(), ValueError, "fit"),
        (lambda: ARIMA((1, 0, 0)).fit(NILE).forecast(0), ValueError, "at least 1"),
        (lambda: ARIMA((1, 0, 0)).simulate(0), ValueError, "at least 1"),
        (lambda: ARFIMA((0, 0.7, 0)), ValueError, "difference the series once"),
        (lambda: ARFIMA((0, None, 0), "magic"), ValueError, "whittle"),
        (lambda: ARFIMA((0, 0.2, 0)).set(d=0.3), ValueError, "keeps d"),
        (lambda: ts.arfima_autocovariance(0.5, 3), ValueError, "not stationary"),
        (lambda: AR(0), ValueError, "at least 1"),
        (lambda: AR(1, "lasso"), ValueError, "method is one of"),
        (lambda: AR(1).set([0.5, 0.2]), ValueError, "1 finite coefficients"),
        (lambda: AR(2).fit(np.cos(np.arange(90.0))), ValueError, "without any error"),
        (lambda: AR(1).log_prob(NILE, "warm"), ValueError, "stationary"),
        (lambda: AR(3).log_prob(NILE[:3], "given"), ValueError, "first 3 are given"),
        (lambda: AR(2).forecast(2), ValueError, "fit"),
        (lambda: ts.levinson_durbin([1.0, 2.0]), ValueError, "not the autocovariance"),
        (lambda: ts.acf(NILE, 100), ValueError, "lags 1"),
        (lambda: ts.ljung_box(NILE, 2, 2), ValueError, "more lags"),
        (lambda: StateSpace(np.eye(2), [1.0], [[1]], 0, [0], [[1]]), ValueError, "transition"),
        (lambda: StateSpace([[1]], [1], [[-1]], 0, [0], [[1]]), ValueError, "covariance"),
        (lambda: ts.stationary_covariance(np.eye(1), np.eye(1)), ValueError, "not stationary"),
        (lambda: ts.difference([1.0], 2), ValueError, "too short"),
        (lambda: ts.lpc(np.zeros(5), 8), ValueError, "too short"),
        (lambda: ts.lpc_analysis(NILE, hop=0), ValueError, "hop"),
        (lambda: ts.lpc_analysis(NILE, hop=80, width=40), ValueError, "must hold"),
        (lambda: ts.lpc_synthesis(np.zeros((3, 2)), noise(100), 80), ValueError, "161 … 240"),
        (lambda: ts.lpc_synthesis(np.zeros(3), noise(100), 80), ValueError, r"\(N, p\)"),
        (lambda: ts.lpc_excitation([1.0], [0.0, 1.0], 8000, 80), ValueError, "one value a frame"),
        (lambda: ts.lpc_excitation([-1.0], [0.0], 8000, 80), ValueError, "not negative"),
        (lambda: ts.pitch(noise(900), 8000, low=500), ValueError, "low < high"),
    ],
)
def test_bad_input_says_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ---------------------------------------------------------------- speech


WORD = data.example()
X = WORD.audio.astype(float)


def test_lpc_solves_the_normal_equations_of_the_faded_frame():
    frame = X[1500:1740]
    w = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(240) + 0.5) / 240)
    gamma = np.correlate(frame * w, frame * w, "full")[239:]
    a, gain = ts.lpc(frame, 10)
    want = solve(toeplitz(gamma[:10]), gamma[1:11])
    assert np.allclose(a, want, rtol=1e-4)
    assert np.isclose(gain**2, (gamma[0] - want @ gamma[1:11]) / (w @ w), rtol=1e-4)


def test_lpc_finds_the_filter_that_made_the_sound():
    x = AR(2).set([1.6, -0.81], sigma=0.1).simulate(20_000, seed=0)
    a, gain = ts.lpc(x, 2)
    assert np.allclose(a, [1.6, -0.81], atol=0.02) and abs(gain / 0.1 - 1) < 0.02


def test_synthesis_from_the_residual_is_the_sound_itself():
    for order, hop, width in ((1, 80, 240), (10, 80, 240), (16, 57, 200)):
        found = ts.lpc_analysis(X, order, hop, width)
        assert len(found.coefficients) == -(-len(X) // hop) and found.residual.shape == X.shape
        again = ts.lpc_synthesis(found.coefficients, found.residual, hop)
        assert np.abs(again - X).max() < 1e-9


def test_analysis_and_synthesis_equal_the_sample_by_sample_formula():
    found = ts.lpc_analysis(X[:800], 4, 50, 120)
    e, y = np.zeros(800), np.zeros(800)
    for t in range(800):
        a = found.coefficients[t // 50]
        e[t] = X[t] - sum(a[k] * X[t - 1 - k] for k in range(4) if t - 1 - k >= 0)
    noise_ = noise(800)
    for t in range(800):
        a = found.coefficients[t // 50]
        y[t] = noise_[t] + sum(a[k] * y[t - 1 - k] for k in range(4) if t - 1 - k >= 0)
    assert np.allclose(e, found.residual)
    assert np.allclose(y, ts.lpc_synthesis(found.coefficients, noise_, 50))


def test_every_frame_of_the_corpus_is_stable_and_the_residual_is_smaller():
    for u in data.spoken_digits()[::40]:
        x = u.audio.astype(float)
        found = ts.lpc_analysis(x, 10)
        assert all((np.abs(ts.step_down(a)[1]) < 1).all() for a in found.coefficients)
        assert found.residual.std() < 0.5 * x.std()


def test_silence_and_tones_are_no_trouble():
    a, gain = ts.lpc(np.zeros(240), 10)
    assert gain == 0 and not a.any()
    tone = 0.5 * np.sin(np.arange(800) / 5)
    found = ts.lpc_analysis(tone, 10)
    assert np.isfinite(found.coefficients).all()
    assert np.allclose(ts.lpc_synthesis(found.coefficients, found.residual, 80), tone)


def test_excitation_has_the_power_and_the_pitch_that_were_asked_for():
    f0 = np.repeat([125.0, 0.0], 50)
    e = ts.lpc_excitation(np.full(100, 0.2), f0, 8000, 80)
    rms = np.sqrt(np.mean(e.reshape(2, 4000) ** 2, axis=1))
    assert np.isclose(rms[0], 0.2, rtol=0.01) and np.isclose(rms[1], 0.2, rtol=0.05)
    assert (np.diff(np.flatnonzero(e[:4000])) == 64).all()
    glide = ts.lpc_excitation(np.ones(100), np.linspace(101, 201, 100), 8000, 80)
    assert np.count_nonzero(glide) == 151  # periods in a second: the mean F0


def test_lpc_spectrum_is_the_frames_envelope():
    found = ts.lpc_analysis(AR(2).set([1.6, -0.81]).simulate(8000, seed=0), 2)
    f = np.linspace(0, 0.5, 50)
    want = np.sqrt(AR(2).set([1.6, -0.81]).spectrum(f))
    assert np.allclose(np.median(found.spectrum(f), axis=1), want, rtol=0.3)


def test_pitch_of_a_tone_and_of_the_corpus():
    saw = (np.arange(8000) * 130 / 8000) % 1 - 0.5
    assert np.allclose(ts.pitch(saw, 8000)[5:-5], 130, rtol=0.02)
    assert not ts.pitch(noise(4000), 8000).any()
    assert not ts.pitch(np.zeros(4000), 8000).any()
    errors = []
    for u in data.spoken_digits()[::30]:
        found = ts.pitch(u.audio.astype(float), u.rate)[: len(u.f0)]
        truth = u.f0[: len(found)]
        both = (found > 0) & (truth > 0)
        errors.append(np.median(np.abs(found[both] / truth[both] - 1)))
    assert np.median(errors) < 0.02 and max(errors) < 0.1
