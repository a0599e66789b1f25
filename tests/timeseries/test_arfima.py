"""ARFIMA: against closed forms, quadrature, the dense normal density, and simulation."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import toeplitz
from scipy.special import gamma as gamma_function
from series_oracles import NILE, dense_log_prob, noise, quietly, response

from minigen import ConvergenceWarning
from minigen import timeseries as ts
from minigen.gaussian import Gaussian
from minigen.timeseries import ARFIMA, ARIMA, arfima
from minigen.timeseries.report import maximise


@pytest.mark.parametrize("d", [-0.4, 0.1, 0.3, 0.49])
def test_autocovariance_is_the_gamma_formula(d):
    k = np.arange(1, 60)
    want = gamma_function(1 - 2 * d) / (gamma_function(1 - d) * gamma_function(d))
    want = want * gamma_function(k + d) / gamma_function(k + 1 - d)
    got = ts.arfima_autocovariance(d, 59)
    assert np.allclose(got[1:], want)
    assert np.isclose(got[0], gamma_function(1 - 2 * d) / gamma_function(1 - d) ** 2)


def spectral_integral(d, ar, ma, k):
    """γ_k = ∫ of the spectrum, in pieces that get smaller towards the pole at 0."""

    def density(f):
        z = np.exp(-2j * np.pi * f)
        top, bottom = np.polyval([*ma[::-1], 1], z), np.polyval([*-np.array(ar[::-1]), 1], z)
        return abs(top / bottom) ** 2 * (2 * np.sin(np.pi * f)) ** (-2 * d)

    edges = 0.5 * 10.0 ** np.arange(-12, 1)
    near = lambda u: density(u**4) * math.cos(2 * math.pi * u**4 * k) * 4 * u**3
    total = quad(near, 0, edges[0] ** 0.25, limit=400)[0]
    for a, b in pairwise(edges):
        turn = lambda f: density(f) * math.cos(2 * math.pi * f * k)
        total += quad(turn, a, b, limit=400, epsrel=1e-10)[0]
    return 2 * total


@pytest.mark.parametrize(
    "d, ar, ma",
    [
        (-0.3, [0.5, -0.4], [0.6]),
        (0.35, [0.5, -0.4], [0.6]),
        (0.2, [], [0.7, 0.2]),
        (1e-9, [0.99], []),
        (0.3, [0.9999], [-0.5]),
        (0.45, [0.99999], []),
        (-0.45, [0.99999], [0.2]),
        (0.1, [1.998, -0.998001], []),
    ],
)
def test_autocovariance_is_the_transform_of_the_spectrum_also_near_a_unit_root(d, ar, ma):
    got = ts.arfima_autocovariance(d, 12, ar, ma, 1.3)
    for k in (0, 1, 12):
        want = 1.69 * quietly(lambda k=k: spectral_integral(d, ar, ma, k))
        assert np.isclose(got[k], want, rtol=1e-6, atol=1e-8 * got[0])
    for lags in (0, 1, 3):
        assert np.allclose(ts.arfima_autocovariance(d, lags, ar, ma, 1.3), got[: lags + 1])


def test_d_zero_is_an_arma():
    for ar, ma in (([0.5], [0.3]), ([0.5, -0.3, 0.1], []), ([1 - 1e-7], [0.2, 0.1])):
        want = ts.arma_autocovariance(ar, ma, 9)
        assert np.allclose(ts.arfima_autocovariance(0.0, 9, ar, ma), want, rtol=1e-6)
    fractional, arma = ARFIMA((1, 0.0, 1)).fit(NILE), ARIMA((1, 0, 1)).fit(NILE)
    assert np.isclose(fractional.log_likelihood, arma.log_likelihood, atol=1e-6)
    assert np.allclose([fractional.ar, fractional.ma], [arma.ar, arma.ma], atol=1e-3)
    for ours, theirs in zip(fractional.forecast(5), arma.forecast(5), strict=True):
        assert np.allclose(ours, theirs, rtol=1e-3)


def test_log_prob_is_the_dense_normal_density():
    model = ARFIMA.from_parameters(0.35, [0.4], [-0.6], mean=2.0, sigma=0.8)
    x = model.simulate(50, seed=1)
    want = dense_log_prob(x, model.autocovariance(49), 2.0)
    assert np.isclose(model.log_prob(x), want)
    assert np.allclose(model.log_prob(np.stack([x, x + 1])), [want, model.log_prob(x + 1)])


def test_chain_rule_is_the_dense_normal_density():
    gamma, x = ts.arfima_autocovariance(0.4, 30), noise(31)
    errors, v = ts.chain_rule(gamma, x)
    total = -0.5 * np.sum(np.log(2 * np.pi * v) + errors**2 / v)
    assert np.isclose(total, dense_log_prob(x, gamma))


def test_known_d_is_recovered():
    """Over 12 series of 500 values: no bias beyond two standard errors, the spread of theory."""
    for d in (-0.25, 0.3):
        series = [ARFIMA((0, d, 0)).simulate(500, seed) for seed in range(12)]
        models = [ARFIMA((0, None, 0)).fit(x) for x in series]
        found, spread = [m.d for m in models], math.sqrt(6 / np.pi**2 / 500)  # the asymptotic one
        assert abs(np.mean(found) - d) < 3 * spread / math.sqrt(12) + 0.006
        assert 0.5 * spread < np.std(found) < 1.7 * spread
        assert models[0].estimates()[2][0] == pytest.approx(spread, rel=0.1)


def test_a_model_with_an_ar_part_is_recovered():
    truth = ARFIMA.from_parameters(0.3, [0.5], mean=4.0, sigma=2.0)
    found = ARFIMA((1, None, 0)).fit(truth.simulate(3000, seed=5))
    assert abs(found.d - 0.3) < 0.12 and abs(found.ar[0] - 0.5) < 0.12
    assert abs(found.sigma / 2 - 1) < 0.05


@pytest.mark.parametrize("scale", [1e-9, 1e6])
def test_units_do_not_matter(scale):
    a, b = (ARFIMA((0, None, 1)).fit(s * (NILE + 3e4)) for s in (1.0, scale))
    assert np.isclose(b.log_likelihood + 100 * math.log(scale), a.log_likelihood, atol=1e-6)
    assert abs(a.d - b.d) < 1e-4 and np.allclose(b.forecast(3)[0] / scale, a.forecast(3)[0])
    errors = b.estimates()[2] / [1, 1, scale, scale**2]
    assert np.allclose(errors, a.estimates()[2], rtol=0.02)


@pytest.mark.parametrize("n", [60, 200, 500])
def test_a_series_that_wanders_off_warns(n):
    for seed in range(3):
        with pytest.warns(ConvergenceWarning, match=r"D part.*difference the series once more"):
            ARFIMA((0, None, 0)).fit(np.cumsum(noise(n, seed)))
    with pytest.warns(ConvergenceWarning):
        ARFIMA((0, None, 0)).fit(np.arange(float(n)))


@pytest.mark.parametrize("order", [(0, None, 0), (1, None, 1), (2, 0.2, 0)])
def test_no_series_stops_the_search(order):
    alternating, t = np.tile([1.0, -1.0], 40), np.arange(80.0)
    for x in (alternating, 1e-9 * alternating, np.sign(noise(80)), np.cos(t), t**2, 1.05**t):
        assert np.isfinite(quietly(lambda: ARFIMA(order).fit(x)).log_likelihood)  # noqa: B023


def test_forecast_is_the_conditional_distribution():
    x = ARFIMA((0, 0.4, 0)).simulate(40, seed=2)
    model = quietly(lambda: ARFIMA((0, None, 0)).fit(x))
    whole = Gaussian(np.full(46, model.mean), toeplitz(model.autocovariance(45)))
    future = whole.condition(np.arange(40), x)
    mean, std = model.forecast(6)
    assert np.allclose(mean, future.mean) and np.allclose(std**2, np.diag(future.cov))


def test_simulation_has_its_autocovariance(monkeypatch):
    model = ARFIMA.from_parameters(0.4, [0.5], mean=1.0, sigma=0.5)
    mean, root = response(monkeypatch, lambda: model.simulate(6))
    assert np.allclose(root @ root.T, toeplitz(model.autocovariance(5))) and np.allclose(mean, 1)


def test_the_search_begins_where_whittles_likelihood_is_largest(monkeypatch):
    found = []
    search = lambda *given: found.append((given, maximise(*given))) or found[-1][1]
    monkeypatch.setattr(arfima, "maximise", search)
    model = ARFIMA((1, None, 0)).fit(NILE, 50)
    ((_, starts, first), whittle), ((_, start, second), best) = found
    assert len(starts) == 17 and np.array_equal(start, [whittle.point]) and first == second == 50
    assert np.array_equal(np.r_[model._split(best.point)[:2]], [model.d, *model.ar])
    z = (NILE - NILE.mean()) / NILE.std()
    value = lambda point: model._whittle(z, *model._split(point))
    assert all(value(whittle.point) >= value(point) for point in starts)


def test_fractional_weights_add_their_orders():
    """(1 - B)^a (1 - B)^b = (1 - B)^(a + b); -1 is the running sum."""
    a, b = ts.fractional_weights(0.3, 40), ts.fractional_weights(0.7, 40)
    assert np.allclose(np.convolve(a, b)[:40], ts.fractional_weights(1.0, 40))
    assert np.allclose(ts.fractional_weights(-1.0, 40), 1)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ARFIMA((0, None, 0)).fit([1.0, 2.0, 0.5]), "too short"),
        (lambda: ARFIMA((0, None, 0)).fit(np.ones(50)), "constant"),
        (lambda: ARFIMA((0, None, 0)).fit([np.nan, *NILE]), "missing"),
        (lambda: ARFIMA((1, None)), r"\(p, d, q\), not \(1, None\)"),
        (lambda: ARFIMA((0, -0.5, 0)), "difference the series once"),
        (lambda: ARFIMA((0, 0.7, 0)), "difference the series once"),
        (lambda: ARFIMA.from_parameters(0.6), "difference the series once"),
        (lambda: ts.arfima_autocovariance(0.5, 3), "difference the series"),
        (lambda: ts.arfima_autocovariance(0.1, 3, [1.2]), "not stationary"),
        (lambda: ts.chain_rule([1.0], NILE), "γ_99"),
        (lambda: ts.chain_rule([0.0, 0.0], [1.0, 2.0]), "γ_0 > 0"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("d", [-0.3, 0.0, 0.3])
def test_whittles_likelihood_is_near_the_exact_one_in_any_units(d):
    model = ARFIMA((1, None, 0))
    x = ARFIMA.from_parameters(d=d, ar=[0.4]).simulate(800, 0)
    x = x - x.mean()
    of = lambda x: model._whittle(x, d, np.array([0.4]), np.zeros(0))
    exact = model._profile(x, d, np.array([0.4]), np.zeros(0))[0] / len(x)
    assert of(x) == pytest.approx(exact, abs=0.02)
    assert of(1000 * x) == pytest.approx(of(x) - np.log(1000))


def test_whittles_spectrum_is_that_of_its_coefficients_in_order():
    x, ar, ma, d = noise(200, 3), np.array([0.5, -0.3]), np.array([0.6, 0.2]), 0.2
    angle = 2 * np.pi * np.arange(1, 100) / 200
    lagged = lambda c: 1 + sum(v * np.exp(-1j * (k + 1) * angle) for k, v in enumerate(c))
    g = np.abs(lagged(ma) / lagged(-ar)) ** 2 * (2 * np.sin(angle / 2)) ** (-2 * d)
    power = np.abs(np.fft.rfft(x)[1:100]) ** 2 / 200
    found = [ts.ARFIMA((2, d, 2))._whittle(x, d, *pair) for pair in ((ar, ma), (0 * ar, 0 * ma))]
    plain = (2 * np.sin(angle / 2)) ** (-2 * d)
    value = lambda g: -0.5 * (np.log(np.mean(power / g) * g) + 1).mean()
    assert np.isclose(found[0] - found[1], value(g) - value(plain))
