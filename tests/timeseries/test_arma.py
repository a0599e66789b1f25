"""ARMA: differences by brute force, autocovariances against statsmodels and closed forms."""

import numpy as np
import pytest
from series_oracles import NILE, noise, statsmodels

from minigen import timeseries as ts


def test_arma_autocovariance_equals_statsmodels_and_closed_forms():
    sm = statsmodels()
    for ar, ma in (
        ([0.5, -0.3], [0.4]),
        ([], [0.5, 0.2]),
        ([0.9], []),
        ([0.0, 0.0, 0.5], [0.1] * 5),
    ):
        process = sm.tsa.ArmaProcess(np.r_[1, -np.array(ar)], np.r_[1, ma])
        for lags in (0, 2, 30):
            want = process.acovf(31)[: lags + 1]
            assert np.allclose(ts.arma_autocovariance(ar, ma, lags), want)
    for rest in (1e-4, 1e-8, 1e-12):
        phi = 1 - rest
        want = (1 + 2 * phi * 0.5 + 0.25) / ((1 - phi) * (1 + phi))
        assert np.isclose(ts.arma_autocovariance([phi], [0.5], 0)[0], want, rtol=1e-12)


@pytest.mark.parametrize(
    "d, D, s", [(0, 0, 1), (1, 0, 1), (2, 0, 1), (0, 1, 12), (1, 1, 12), (2, 1, 2), (3, 0, 1)]
)
def test_a_difference_is_missing_where_it_looks_at_a_missing_value(d, D, s):
    x, delta = noise(40), np.ones(1)
    for lag in [1] * d + [s] * D:
        delta = np.convolve(delta, np.r_[1, np.zeros(lag - 1), -1])
    for gaps in ([], [17], [0, 17, 18], [39]):
        y = x.copy()
        y[gaps] = np.nan
        found, last = ts.difference(y, d, D, s), len(delta) - 1
        looks = [
            any(delta[k] != 0 and t + last - k in gaps for k in range(last + 1))
            for t in range(len(found))
        ]
        assert np.isnan(found).tolist() == looks
        assert np.allclose(
            found[~np.isnan(found)], np.convolve(x, delta, "valid")[~np.isnan(found)]
        )
    assert np.isnan(ts.difference(np.where(np.arange(40) == 20, np.nan, x), 0, 1, 12)).sum() == 2
    assert np.isnan(ts.difference(np.where(np.arange(40) == 20, np.nan, x), 1, 1, 12)).sum() == 4


def test_impulse_response():
    psi = ts.impulse_response([0.5], [0.4], 5)
    assert np.allclose(psi, [1, 0.9, 0.45, 0.225, 0.1125])
    assert ts.impulse_response([0.5], [], 0).shape == (0,)
    assert np.allclose(ts.impulse_response([], [0.2, 0.1], 2), [1, 0.2])


def test_bad_input_says_what_to_do():
    for call, message in (
        (lambda: ts.difference([1.0], 2), "too short"),
        (lambda: ts.difference(NILE, -1), "d is a whole number"),
        (lambda: ts.arma_autocovariance([1.2], [], 3), "not stationary"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
