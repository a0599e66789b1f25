"""AR: against statsmodels, the dense normal density, quadrature, and simulation."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import toeplitz
from scipy.stats import multivariate_normal
from series_oracles import (
    NILE,
    PHI,
    SUNSPOTS,
    dense_log_prob,
    noise,
    quietly,
    response,
    statsmodels,
)

from minigen.gaussian import Gaussian
from minigen.timeseries import AR, ARIMA, burg, step_down
from minigen.timeseries.ar import METHODS


def test_ols_equals_statsmodels():
    sm = statsmodels()
    theirs = sm.tsa.AutoReg(SUNSPOTS, 3).fit()
    ours = AR(3, "ols").fit(SUNSPOTS)
    assert np.allclose(np.append(ours.intercept, ours.coefficients), theirs.params)
    assert np.isclose(ours.log_likelihood, theirs.llf) and np.isclose(ours.sigma**2, theirs.sigma2)
    names, point, errors = ours.estimates()
    assert names == ["ar.L1", "ar.L2", "ar.L3", "const", "sigma2"]
    assert np.allclose(point, [*ours.coefficients, ours.intercept, ours.sigma**2])
    want = [*theirs.bse[1:], theirs.bse[0], ours.sigma**2 * math.sqrt(2 / ours.nobs)]
    assert np.allclose(errors, want, rtol=0.02) and ours.message == "closed form"
    ours, theirs = AR(3, constant=False).fit(SUNSPOTS), sm.tsa.AutoReg(SUNSPOTS, 3, "n").fit()
    assert np.allclose(ours.coefficients, theirs.params) and ours.mean == 0


def test_yule_walker_and_burg_equal_statsmodels():
    sm = statsmodels()
    for order in (1, 4, 9):
        phi, sigma = quietly(lambda: sm.regression.yule_walker(SUNSPOTS, order, method="mle"))  # noqa: B023
        ours = AR(order, "yule_walker").fit(SUNSPOTS)
        assert np.allclose(ours.coefficients, phi) and np.isclose(ours.sigma, sigma)
        phi, variance = sm.regression.linear_model.burg(SUNSPOTS, order)
        ours = AR(order, "burg").fit(SUNSPOTS)
        assert np.allclose(ours.coefficients, phi)
        assert np.isclose(ours.sigma**2, variance, rtol=0.02)  # theirs leaves out the ends
    phi, variance = burg(SUNSPOTS, 5)  # of a series whose mean is not taken away
    assert np.isclose(variance, np.mean(SUNSPOTS**2) * np.prod(1 - step_down(phi)[1] ** 2))


@pytest.mark.parametrize("constant", [True, False])
def test_mle_is_the_highest_of_all_methods_and_equals_arima(constant):
    best = AR(3, "mle", constant).fit(SUNSPOTS)
    others = [AR(3, method, constant).fit(SUNSPOTS) for method in METHODS[:3]]
    assert all(best.log_likelihood > other.log_prob(SUNSPOTS) for other in others)
    same = ARIMA((3, 0, 0), constant=constant).fit(SUNSPOTS)
    assert np.isclose(best.log_likelihood, same.log_likelihood, atol=1e-8)
    assert best.n_parameters == 4 + constant == same.n_parameters


@pytest.mark.parametrize("method", METHODS)
def test_every_method_recovers_the_model(method):
    truth = AR.from_parameters(PHI, intercept=1.5, sigma=2.0)
    found = AR(3, method).fit(truth.simulate(20_000, seed=1))
    assert np.allclose(found.coefficients, PHI, atol=0.03)
    assert abs(found.sigma / 2 - 1) < 0.02 and abs(found.mean - truth.mean) < 0.15


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-9, 1e6])
def test_units_and_origin_do_not_matter(method, scale):
    for constant, shift in ((True, 1e4), (False, 0.0)):
        x = SUNSPOTS - SUNSPOTS.mean()
        a = AR(2, method, constant).fit(x)
        b = AR(2, method, constant).fit(scale * (x + shift))
        assert np.allclose(a.coefficients, b.coefficients, atol=1e-6)
        assert np.isclose(b.mean / scale - shift, a.mean, atol=1e-4)
        same = b.log_likelihood + a.nobs * math.log(scale)
        assert np.isclose(same, a.log_likelihood, atol=1e-5)
    ours, theirs = a.estimates()[2], b.estimates()[2]
    assert np.allclose(theirs / [1, 1, scale**2], ours, rtol=0.01)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(2))
def test_rising_series_have_finite_and_consistent_likelihoods(method, seed):
    e, t = noise(150, seed), np.arange(150)
    for x in (np.cumsum(0.5 + e), 100 * 1.03**t * np.exp(0.01 * e), 100 * 1.03**t + e):
        model = quietly(lambda: AR(2, method).fit(x))  # noqa: B023
        start = "stationary" if model.is_stationary and method != "ols" else "given"
        assert np.isclose(model.log_prob(x, start), model.log_likelihood)
        assert -2000 < model.log_likelihood < 0


@pytest.mark.parametrize("method", METHODS)
def test_a_long_forecast_comes_to_the_mean(method):
    model = AR(2, method).fit(SUNSPOTS)
    assert model.intercept == pytest.approx(model.mean * (1 - model.coefficients.sum()), rel=1e-9)
    assert model.forecast(400)[0][-1] == pytest.approx(model.mean, rel=1e-6)
    flat = np.full(60, model.mean)  # a constant past is one, too
    assert np.allclose(model.forecast(5, flat)[0], model.mean)


def test_log_prob_is_the_dense_normal_density():
    model = AR.from_parameters(PHI, intercept=0.6, sigma=0.7)
    x = model.simulate(40, seed=2)
    gamma = model.autocovariance(40)
    exact, first = (dense_log_prob(x[:n], gamma, model.mean) for n in (40, 3))
    assert np.isclose(model.log_prob(x), exact)
    assert np.isclose(model.log_prob(x, "given"), exact - first)
    for n in (1, 2, 3):  # shorter than the order, too
        assert np.isclose(model.log_prob(x[:n]), dense_log_prob(x[:n], gamma, model.mean))
    whitening = toeplitz(np.r_[1, -PHI, np.zeros(36)], np.zeros(40))  # determinant 1
    cov = 0.49 * np.linalg.inv(whitening.T @ whitening).T
    mean = np.linalg.solve(whitening, np.full(40, 0.6))
    assert np.isclose(model.log_prob(x, "zero"), multivariate_normal(mean, cov).logpdf(x))


def test_a_batch_is_row_by_row():
    model = AR.from_parameters([0.5, 0.2], intercept=0.1, sigma=0.3)
    x = noise(60).reshape(2, 3, 10)
    for start in ("stationary", "given", "zero"):
        each = [[model.log_prob(row, start) for row in block] for block in x]
        assert np.allclose(model.log_prob(x, start), each)
    assert model.residuals_of(x, "given").shape == (2, 3, 8)
    before = np.pad(x, ((0, 0), (0, 0), (2, 0)))  # silence
    errors = x - 0.1 - 0.5 * before[..., 1:-1] - 0.2 * before[..., :-2]
    assert np.allclose(model.residuals_of(x), errors)
    assert np.allclose(model.residuals_of(x, "given"), errors[..., 2:])


def test_the_density_integrates_to_one():
    model = AR.from_parameters([0.9], sigma=0.5)
    grid = np.linspace(-8, 8, 81)
    points = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
    assert np.isclose(np.exp(model.log_prob(points)).sum() * (grid[1] - grid[0]) ** 2, 1)


def test_spectrum_is_the_transform_of_the_autocovariance():
    model = AR.from_parameters(PHI, sigma=1.3)
    gamma = model.autocovariance(6)
    for k in (0, 1, 6):
        integral = quad(lambda f: model.spectrum(f) * math.cos(2 * math.pi * f * k), 0, 0.5)[0]  # noqa: B023
        assert np.isclose(2 * integral, gamma[k])


def test_simulation_starts_in_the_stationary_distribution(monkeypatch):
    """A burn-in that is too short, or none, shows at the first values."""
    model = AR.from_parameters([1.6, -0.81], intercept=2.0, sigma=0.5)
    for n in (1, 6):
        mean, root = response(monkeypatch, lambda n=n: model.simulate(n))
        assert np.allclose(mean, model.mean) and mean.shape == (n,)
        assert np.allclose(root @ root.T, toeplitz(model.autocovariance(5)[:n]))
    mean, root = response(monkeypatch, lambda: model.simulate(6, start="zero"))
    steps = np.linalg.inv(toeplitz(np.r_[1, -1.6, 0.81, 0, 0, 0], np.zeros(6)))
    assert np.allclose(mean, steps @ np.full(6, 2.0)) and np.allclose(root, 0.5 * steps)


def test_forecast_is_the_conditional_distribution():
    model = AR.from_parameters(PHI, intercept=0.5, sigma=0.7)
    x = model.simulate(30, seed=3)
    whole = Gaussian(np.full(38, model.mean), toeplitz(model.autocovariance(37)))
    future = whole.condition(np.arange(30), x)
    mean, std = model.forecast(8, x)
    assert np.allclose(mean, future.mean) and np.allclose(std**2, np.diag(future.cov))


def test_an_unstable_model_can_be_run_but_has_no_stationary_density():
    model = AR.from_parameters([1.05])
    assert not model.is_stationary
    assert np.abs(model.simulate(600, start="zero")).max() > 1e6
    for call in (lambda: model.log_prob(noise(9)), lambda: model.simulate(9)):
        with pytest.raises(ValueError, match=r"1\.05"):
            call()
    assert np.isfinite(model.log_prob(noise(9), "given"))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: AR(5).fit(np.arange(9.0)), "too short"),
        (lambda: AR(5, "burg").fit(np.arange(9.0)), "too short"),
        (lambda: AR(1).fit(np.zeros(50)), "constant"),
        (lambda: AR(2).fit([np.nan, *NILE]), r"1 missing .* index 0.*ARIMA"),
        (lambda: AR(2).fit(np.cos(np.arange(90.0))), "without any error"),
        (lambda: AR(0), "order is a whole number of at least 1"),
        (lambda: AR(1, "lasso"), "method is one of"),
        (lambda: AR.from_parameters([]), "coefficients"),
        (lambda: AR.from_parameters([np.nan]), "coefficients"),
        (lambda: AR.from_parameters([0.5], sigma=0), "sigma"),
        (lambda: AR.from_parameters([0.5]).log_prob(NILE, "warm"), "stationary"),
        (lambda: AR.from_parameters(PHI).log_prob(NILE[:3], "given"), "first 3 are given"),
        (lambda: AR.from_parameters(PHI).simulate(9, start="given"), '"stationary" or "zero"'),
        (lambda: AR.from_parameters(PHI).forecast(2, NILE[:2]), "2 observed .* at least 3"),
        (lambda: AR.from_parameters(PHI).forecast(0, NILE), "h is a whole number"),
        (lambda: AR(2).fit([1.0, 2.0, 1.5, 3.0, 2.0, 2.5]), "6 observed .* at least 7"),
        (lambda: AR(2, constant=False).fit([1.0, 2.0, 1.5, 3.0, 2.0]), "5 .* at least 6"),
        (lambda: burg([1.0, 2.0, 1.0], 2), "3 observed .* at least 4 for order 2"),
        (lambda: AR(2).forecast(2), "fit"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
