"""Correlation: against statsmodels, general solvers, and the roots of polynomials."""

import numpy as np
import pytest
from scipy.linalg import solve, toeplitz
from series_oracles import AIRLINE, NILE, PHI, SUNSPOTS, noise, statsmodels

from minigen import timeseries as ts
from minigen.timeseries import AR, correlation


def test_autocovariance_and_pacf_equal_statsmodels():
    sm = statsmodels()
    for x in (SUNSPOTS, NILE, AIRLINE, 1e-9 * NILE):
        assert np.allclose(ts.autocovariance(x, 20), sm.tsa.acovf(x, nlag=20, fft=False), atol=0)
        assert np.allclose(ts.pacf(x, 20), sm.tsa.pacf(x, nlags=20, method="ldb"))


def test_levinson_durbin_solves_the_yule_walker_equations_of_every_order():
    gamma = ts.autocovariance(SUNSPOTS, 12)
    found = ts.levinson_durbin(gamma)
    for p in range(1, 13):
        phi = solve(toeplitz(gamma[:p]), gamma[1 : p + 1])
        assert np.allclose(ts.levinson_durbin(gamma[: p + 1]).coefficients, phi)
        assert np.isclose(found.variances[p], gamma[0] - phi @ gamma[1 : p + 1])
        assert np.isclose(found.partial[p - 1], phi[-1])  # the last coefficient of each order


def test_the_partial_autocorrelation_of_an_ar_ends_at_its_order():
    partial = ts.levinson_durbin(AR.from_parameters(PHI).autocovariance(10)).partial
    assert abs(partial[2]) > 0.05 and np.allclose(partial[3:], 0, atol=1e-12)


@pytest.mark.parametrize("p", range(1, 8))
def test_step_down_undoes_partial_to_ar_and_decides_stationarity(p):
    rng = np.random.default_rng(p)
    for scale in (1.0, 3.0):
        partial = rng.uniform(-1, 1, p)
        assert np.allclose(ts.step_down(ts.partial_to_ar(partial))[1], partial)
        phi = rng.normal(size=p) * scale / p
        inside = np.abs(np.roots(np.append(1, -phi))).max() < 1
        assert correlation.is_stationary(phi) == inside


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9])
def test_step_down_keeps_its_digits_at_two_unit_roots(gap):
    """φ_1 / (1 - φ_2) for an AR(2), however close φ_2 is to -1."""
    phi = ts.partial_to_ar([1 - gap, -(1 - gap)])
    assert abs(ts.step_down(phi)[1][0] - phi[0] / (1 - phi[1])) < 1e-15


def test_the_factor_of_the_chain_rule_is_that_of_the_covariance():
    for phi in (PHI, [0.5], [0.0, 0.0, 0.6], []):
        phi = np.array(phi, dtype=float)
        L = correlation.chain_rule_factor(phi, 6)
        want = toeplitz(ts.arma_autocovariance(phi, [], 5))
        assert np.allclose(L @ L.T, want) and np.allclose(L, np.tril(L))


def test_ljung_box_equals_statsmodels():
    sm = statsmodels()
    x = AR.from_parameters([0.3]).simulate(200, seed=4)
    for lags, fitted in ((5, 0), (12, 2)):
        theirs = sm.stats.acorr_ljungbox(x - x.mean(), [lags], model_df=fitted)
        ours = ts.ljung_box(x, lags, fitted)
        assert np.isclose(ours.statistic, theirs.lb_stat.iloc[0])
        assert np.isclose(ours.p_value, theirs.lb_pvalue.iloc[0]) and ours.lags == lags
    assert ts.ljung_box(x) == ts.ljung_box(x, 10, 0) and len(ts.pacf(x)) == 21


def test_ljung_box_p_values_are_uniform_for_noise():
    values = [ts.ljung_box(noise(300, seed), 10).p_value for seed in range(400)]
    assert abs(np.mean(values) - 0.5) < 0.05 and abs(np.mean(np.array(values) < 0.1) - 0.1) < 0.04


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: ts.autocovariance([1.0, np.nan, 2.0], 1), ValueError, "1 missing .* index 1"),
        (lambda: ts.autocovariance(NILE, 100), ValueError, "lags is at most 99"),
        (lambda: ts.autocovariance(NILE, True), ValueError, "whole number"),
        (lambda: ts.autocovariance(np.full(50, 0.1), 3), ValueError, "constant"),
        (lambda: ts.pacf(NILE[None], 3), ValueError, r"\(n,\), not \(1, 100\)"),
        (lambda: ts.pacf(["a", "b"], 1), TypeError, "real numbers"),
        (lambda: ts.autocovariance(NILE, 0), ValueError, "at least 1, not 0"),
        (lambda: ts.autocovariance(NILE, 2.0), ValueError, "whole number"),
        (lambda: ts.autocovariance([1.0], 1), ValueError, "1 observed values and needs at least 2"),
        (lambda: ts.autocovariance([1, 2, 1j], 1), TypeError, "dtype complex128"),
        (lambda: ts.autocovariance([1, 2, -np.inf], 1), ValueError, "infinite"),
        (lambda: ts.autocovariance(1 + 1e-14 * NILE / 1e3, 1), ValueError, "value is 1.: nothing"),
        (lambda: ts.levinson_durbin([1.0, 1.0]), ValueError, "autocorrelation 1 at lag 1"),
        (lambda: ts.levinson_durbin([1.0, 0.5, -1.0]), ValueError, "-1.667 at lag 2"),
        (lambda: ts.levinson_durbin([1.0]), ValueError, "at least two finite"),
        (lambda: ts.levinson_durbin([1.0, np.nan]), ValueError, "at least two finite"),
        (lambda: ts.levinson_durbin([0.0, 0.0]), ValueError, "positive"),
        (lambda: ts.ljung_box(NILE, 2, 2), ValueError, "take more"),
    ],
)
def test_bad_input_says_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_what_may_just_be_measured_is():
    """Whole numbers and booleans; all lags but the last value's; a part in 10^9 of a large level."""
    gamma = ts.autocovariance([True, False, False, True], np.int64(3))
    assert np.allclose(gamma, [0.25, -0.0625, -0.125, 0.0625])
    level, x = 1e9 + np.arange(60.0) % 7, np.arange(60) % 7
    assert np.allclose(ts.pacf(level, 5), ts.pacf(x, 5), atol=1e-6)
    for unit in (1e-149, 1e149):
        assert np.allclose(ts.pacf(unit * x / 6, 5), ts.pacf(x, 5))


def test_an_unstable_mode_is_measured():
    for phi, word, factor in (
        ([0.5, 0.6], "ar", "1.064"),
        ([0.0, -1.21], "ar", "1.1"),
        ([-2.0], "-ma", "2"),
    ):
        with pytest.raises(ValueError, match=f"by the factor {factor} at each step"):
            correlation.require_stationary(phi, word)


@pytest.mark.parametrize("unit", [1e-200, 1e160, 1e200])
def test_a_unit_without_squares_is_refused_by_every_model(unit):
    """Not called constant, and no covariance is infinite."""
    x = unit * np.cumsum(np.random.default_rng(0).normal(size=60))
    fits = [AR(1).fit, AR(1, "mle").fit, ts.ARIMA((1, 0, 0)).fit, ts.ARFIMA((0, None, 0)).fit]
    for call in (*fits, lambda x: ts.autocovariance(x, 2), lambda x: ts.pacf(x, 2)):
        with pytest.raises(ValueError, match="change its unit"):
            call(x)
