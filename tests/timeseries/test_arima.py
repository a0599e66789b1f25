"""ARIMA: against statsmodels, the dense normal density, brute force, and simulation.

Where the two libraries' fits differ, ours must not be lower: the likelihood is evaluated by one function
at both parameters. statsmodels often stops early, and then ours is higher.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.linalg import toeplitz
from series_oracles import (
    AIRLINE,
    NILE,
    SUNSPOTS,
    dense_log_prob,
    noise,
    quietly,
    response,
    statsmodels,
)

from minigen import ConvergenceWarning, data
from minigen import timeseries as ts
from minigen.gaussian import Gaussian
from minigen.timeseries import AR, ARIMA, arima
from minigen.timeseries.report import Maximum

PLAIN = (0, 0, 0, 0)
SERIES = {
    "sunspots": (SUNSPOTS, (2, 0, 0), PLAIN, -1307.3185),
    "nile": (NILE, (0, 1, 1), PLAIN, -632.5377),
    "airline": (AIRLINE, (0, 1, 1), (0, 1, 1, 12), 244.6965),
}


def draw(ar=(), ma=(), d=0, n=200, seed=1, **more):
    return ARIMA.from_parameters(ar, ma, d, **more).simulate(n, seed)


def theirs_in_ours(x, order, seasonal=PLAIN, drift=False):
    """Our log p(x) at the parameters that statsmodels fits."""
    sm, scale = statsmodels(), np.nanstd(x)
    (p, d, q), (P, D, Q, s) = order, seasonal
    trend = "t" if drift else "n" if d + D else "c"
    model = sm.tsa.ARIMA(x / scale, order=order, seasonal_order=seasonal, trend=trend)
    values = np.asarray(quietly(model.fit).params)
    mean, values = (0.0, values) if trend == "n" else (values[0] * scale, values[1:])
    ar, ma, seasonal_ar, seasonal_ma, (variance,) = np.split(values, np.cumsum([p, q, P, Q]))
    return ARIMA.from_parameters(
        ar,
        ma,
        d,
        seasonal_ar=seasonal_ar,
        seasonal_ma=seasonal_ma,
        seasonal_d=D,
        period=s,
        mean=mean,
        sigma=math.sqrt(variance) * scale,
    ).log_prob(x)


# ---------------------------------------------------------------- the figures of the three series


@pytest.mark.parametrize("name", SERIES)
def test_likelihoods_equal_statsmodels(name):
    x, order, seasonal, known = SERIES[name]
    sm = statsmodels()
    ours = ARIMA(order, seasonal, level_variance=1e6).fit(x)
    theirs = quietly(lambda: sm.tsa.ARIMA(x, order=order, seasonal_order=seasonal).fit())
    assert abs(ours.log_likelihood - theirs.llf) < 1e-3
    assert abs(ours.log_likelihood - known) < 1e-3
    assert ours.converged and np.isclose(ours.log_prob(x), ours.log_likelihood)
    assert np.isclose(ours.aic, theirs.aic, atol=2e-3)
    ours_flat = np.concatenate([ours.ar, ours.ma, ours.seasonal_ar, ours.seasonal_ma])
    theirs_flat = theirs.params[1:-1] if ours.has_mean else theirs.params[:-1]
    assert np.allclose(ours_flat, theirs_flat, atol=2e-3)
    assert np.isclose(ours.sigma**2, theirs.params[-1], rtol=5e-3)


def test_standard_errors_equal_statsmodels():
    sm = statsmodels()
    for x, order, seasonal, _ in SERIES.values():
        ours = ARIMA(order, seasonal).fit(x)
        theirs = quietly(
            lambda: sm.tsa.ARIMA(x, order=order, seasonal_order=seasonal).fit(cov_type="approx")  # noqa: B023
        )
        want = np.asarray(theirs.bse)
        if ours.has_mean:  # statsmodels puts the constant first
            want = np.append(want[1:-1], want[[0, -1]])
        assert np.allclose(ours.estimates()[2][:-1], want[:-1], rtol=0.05)


def test_forecast_of_the_airline_equals_statsmodels():
    sm = statsmodels()
    ours = ARIMA((0, 1, 1), (0, 1, 1, 12)).fit(AIRLINE[:132])
    fitted = sm.tsa.ARIMA(AIRLINE[:132], order=(0, 1, 1), seasonal_order=(0, 1, 1, 12)).fit()
    theirs = fitted.get_forecast(12)
    mean, std = ours.forecast(12)
    assert np.allclose(mean, theirs.predicted_mean, atol=1e-3)
    assert np.allclose(std, theirs.se_mean, rtol=5e-3)


# ---------------------------------------------------------------- the likelihood at given parameters


@pytest.mark.parametrize(
    "order, seasonal",
    [
        ((1, 0, 1), PLAIN),
        ((3, 1, 2), PLAIN),
        ((0, 2, 1), PLAIN),
        ((1, 1, 1), (1, 1, 1, 4)),
        ((2, 0, 0), (1, 0, 1, 12)),
    ],
)
def test_likelihood_at_given_parameters_equals_statsmodels(order, seasonal):
    """Without differences; and exactly diffuse, where statsmodels differences before it filters."""
    rng, sm = np.random.default_rng(5), statsmodels()
    x = AIRLINE[:100] * 10
    counts = {
        "ar": order[0],
        "ma": order[2],
        "seasonal_ar": seasonal[0],
        "seasonal_ma": seasonal[2],
    }
    coefficients = {
        name: (1 if name.endswith("ar") else -1) * ts.partial_to_ar(rng.uniform(-0.8, 0.8, count))
        for name, count in counts.items()
    }
    mean = 0.0 if order[1] + seasonal[1] else 50.0
    more = {"seasonal_d": seasonal[1], "period": seasonal[3], "mean": mean, "sigma": 0.8}
    model = ARIMA.from_parameters(**coefficients, d=order[1], **more)
    oracle = sm.tsa.SARIMAX(
        x - mean, order=order, seasonal_order=seasonal, simple_differencing=True
    )
    want = oracle.loglike(np.concatenate([*coefficients.values(), [0.64]]))
    assert np.isclose(model.log_prob(x), want, rtol=1e-8)


def test_a_level_variance_equals_statsmodels():
    sm = statsmodels()
    model = ARIMA.from_parameters(
        [0.3], [0.4], 1, seasonal_ma=[-0.5], seasonal_d=1, period=4, sigma=0.8, level_variance=1e6
    )
    x = 10 * AIRLINE[:80]
    oracle = sm.tsa.SARIMAX(x, order=(1, 1, 1), seasonal_order=(0, 1, 1, 4))
    oracle.loglikelihood_burn = 5
    assert np.isclose(model.log_prob(x), oracle.loglike([0.3, 0.4, -0.5, 0.64]), atol=1e-6)


@pytest.mark.parametrize("gaps", [[], [0, 1, 7, 20, 29], list(range(0, 30, 2))])
def test_arma_log_prob_is_the_dense_normal_density(gaps):
    model = ARIMA.from_parameters([0.5, -0.3], [0.4, 0.2], mean=3.0, sigma=0.7)
    x = model.simulate(30, seed=6)
    x[gaps] = np.nan
    gamma = ts.arma_autocovariance([0.5, -0.3], [0.4, 0.2], 29, 0.7)
    assert np.isclose(model.log_prob(x), dense_log_prob(x, gamma, 3.0))
    assert np.allclose(model.log_prob(np.stack([x, x])), model.log_prob(x))


@pytest.mark.parametrize("mean", [0.0, 0.7])
@pytest.mark.parametrize("d, D", [(1, 0), (2, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("gaps", [[], [9, 10, 13], [0, 2, 5], [1, 2, 3]])
def test_integrated_likelihood_is_the_density_of_what_the_unknown_levels_leave(d, D, gaps, mean):
    """x = levels' paths + sums of changes; whatever the first values say about the levels is taken out."""
    model = ARIMA.from_parameters([0.6], [0.3], d, seasonal_d=D, period=4 * D, mean=mean, sigma=0.5)
    n, delta = 20, np.ones(1)
    for lag in [1] * d + [4] * D:
        delta = np.convolve(delta, np.r_[1, np.zeros(lag - 1), -1])
    sums = np.linalg.inv(
        toeplitz(np.r_[delta, np.zeros(n - len(delta))], np.r_[1, np.zeros(n - 1)])
    )
    levels = len(delta) - 1
    changes = noise(n, 3)
    x = 100 + sums @ changes
    x[gaps] = np.nan
    there = ~np.isnan(x)
    path = np.zeros((n + levels, levels))  # what each of the levels before the series does to it
    path[:levels] = np.eye(levels)
    for t in range(levels, n + levels):
        path[t] = -delta[1:] @ path[t - levels : t][::-1]
    A = path[levels:][there]
    cov = (sums @ toeplitz(ts.arma_autocovariance([0.6], [0.3], n - 1, 0.5)) @ sums.T)[
        np.ix_(there, there)
    ]
    v = x[there] - (sums @ np.full(n, mean))[there]
    inside = A.T @ np.linalg.solve(cov, A)
    v = v - A @ np.linalg.solve(inside, A.T @ np.linalg.solve(cov, v))
    log_det = np.linalg.slogdet(cov)[1] + np.linalg.slogdet(inside)[1]
    want = (there.sum() - levels) * math.log(2 * math.pi) + log_det + v @ np.linalg.solve(cov, v)
    assert np.isclose(model.log_prob(x), -0.5 * want, rtol=1e-8)


@pytest.mark.parametrize(
    "partial", [(1 - 1e-4,), (1 - 1e-8,), (1 - 1e-7, 1 - 1e-7), (1 - 1e-5, -1 + 1e-6)]
)
def test_likelihood_keeps_its_digits_near_unit_roots(partial):
    """Against the chain rule in rational numbers: an AR, of which three values in ten are missing or not."""
    phi = ts.partial_to_ar(partial)
    model, x = ARIMA.from_parameters(phi), np.round(np.cumsum(noise(12, 4)), 3)
    exact = [Fraction(float(c)) for c in phi]
    r = [exact[0] / (1 - exact[1]), exact[1]] if len(phi) == 2 else exact
    variance, value = Fraction(1), Fraction(0)
    for factor in r:
        variance /= 1 - factor**2
    log_det, v = math.log(variance), Fraction(x[0])
    value += v * v / variance
    if len(phi) == 2:
        first = 1 / (1 - r[1] ** 2)
        log_det += math.log(first)
        value += (Fraction(x[1]) - r[0] * Fraction(x[0])) ** 2 / first
    for t in range(len(phi), 12):
        e = Fraction(x[t]) - sum(c * Fraction(x[t - 1 - k]) for k, c in enumerate(exact))
        value += e * e
    want = -0.5 * (12 * math.log(2 * math.pi) + log_det + float(value))
    assert np.isclose(model.log_prob(x), want, rtol=1e-8)


# ---------------------------------------------------------------- the fit


@pytest.mark.parametrize(
    "distance, phi", [(2, 0.9), (2, -0.9), (3, 0.8), (3, -0.9), (4, 0.95), (7, 0.97)]
)
def test_a_fit_to_regularly_spaced_values_reaches_the_top(distance, phi):
    """φ = 0 is a stationary point of this likelihood. A grid of φ does not miss the top."""
    x = draw([phi], n=100 * distance)
    x[np.arange(len(x)) % distance != 0] = np.nan
    model = ARIMA((1, 0, 0), constant=False).fit(x)
    seen = x[::distance]
    # of the values seen, an AR(1) with φ^distance
    grid = np.linspace(-0.999, 0.999, 400) ** distance

    def value(a):
        whitened = np.append(seen[0] * np.sqrt(1 - a * a), seen[1:] - a * seen[:-1])
        sigma2 = np.mean(whitened**2)
        return -0.5 * (100 * (np.log(2 * np.pi * sigma2) + 1) - np.log(1 - a * a))

    assert model.converged and model.log_likelihood > max(map(value, grid)) - 1e-3


def test_the_measured_case_of_regular_gaps():
    x = draw([0.9])
    x[::2] = np.nan
    model = ARIMA((1, 0, 0)).fit(x)
    assert abs(model.log_likelihood + 153.2524) < 1e-3 and abs(abs(model.ar[0]) - 0.76) < 1e-3


def test_the_measured_case_of_too_many_parameters():
    assert quietly(lambda: ARIMA((2, 0, 2)).fit(draw([0.3], [0.9], n=80))).log_likelihood > -95.194


CASES = [
    (order, seasonal, kind)
    for order, seasonal in (
        ((1, 0, 0), PLAIN),
        ((2, 0, 0), PLAIN),
        ((1, 0, 1), PLAIN),
        ((0, 1, 1), PLAIN),
        ((1, 1, 1), PLAIN),
        ((1, 0, 0), (1, 0, 0, 4)),
        ((0, 1, 1), (0, 1, 1, 4)),
    )
    for kind in ("whole", "every second", "a hole", "scattered", "rising", "unit root")
]


@pytest.mark.parametrize("order, seasonal, kind", CASES)
def test_a_fit_is_not_below_statsmodels(order, seasonal, kind):
    rng = np.random.default_rng(CASES.index((order, seasonal, kind)))
    near = 0.999 if kind == "unit root" else 0.8
    signs = {"ar": order[0], "ma": order[2], "seasonal_ar": seasonal[0], "seasonal_ma": seasonal[2]}
    truth = {
        name: (1 if name.endswith("ar") else -1) * ts.partial_to_ar(rng.uniform(-near, near, count))
        for name, count in signs.items()
    }
    more = {"seasonal_d": seasonal[1], "period": seasonal[3], "sigma": 10 ** rng.uniform(-9, 6)}
    model = ARIMA.from_parameters(**truth, d=order[1], **more)
    x = model.simulate(120, rng)
    if kind == "every second":
        x[1::2] = np.nan
    elif kind == "a hole":
        x[40:60] = np.nan
    elif kind == "scattered":
        x[rng.random(120) < 0.2] = np.nan
    elif kind == "rising":
        x += model.sigma * np.arange(120) * rng.choice([-1, 1])
    fitted = quietly(lambda: ARIMA(order, seasonal).fit(x))
    best = theirs_in_ours(x, order, seasonal)
    assert fitted.log_likelihood > best - 1e-3 or not fitted.converged
    assert np.isclose(fitted.log_prob(x), fitted.log_likelihood, atol=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_rising_series_are_fitted_without_an_error(seed):
    e, t = noise(150, seed), np.arange(150)
    for x in (np.cumsum(0.5 + e), 100 * 1.03**t * np.exp(0.01 * e), 100 * 1.03**t + e, 2.0 * t):
        model = quietly(lambda: ARIMA((2, 0, 0)).fit(x))  # noqa: B023
        assert np.isfinite(model.log_likelihood)
        assert np.isclose(model.log_prob(x), model.log_likelihood, rtol=1e-6)
        if x[1] != 2.0:
            assert model.log_likelihood > theirs_in_ours(x, (2, 0, 0)) - 1e-3


@pytest.mark.parametrize(
    "x, order, seasonal, constant",
    [
        (data.airline().values, (0, 1, 1), (0, 1, 1, 12), None),
        (NILE, (0, 1, 1), PLAIN, True),
        (NILE, (1, 0, 1), PLAIN, None),
        (np.where(np.arange(100) % 10 == 5, np.nan, NILE), (1, 1, 1), PLAIN, None),
    ],
)
def test_units_do_not_matter(x, order, seasonal, constant):
    """log p changes by log of the unit for each value that counts, and nothing else changes."""
    a = quietly(lambda: ARIMA(order, seasonal, constant).fit(x))
    errors = a.estimates()[2]
    for s in (1e-9, 3.7, 1e6):
        b = quietly(lambda s=s: ARIMA(order, seasonal, constant).fit(s * x))
        assert np.isclose(b.log_likelihood + b.nobs * math.log(s), a.log_likelihood, atol=1e-6)
        assert np.allclose(
            [*a.ar, *a.ma, *a.seasonal_ma], [*b.ar, *b.ma, *b.seasonal_ma], atol=1e-4
        )
        assert np.allclose(b.forecast(3)[0] / s, a.forecast(3)[0], rtol=1e-4)
        units = np.append(np.full(a.n_parameters - 1, 1.0), s**2)  # of σ²
        units[a.n_lag_parameters : -1] = s  # of the mean, if there is one
        assert np.allclose(b.estimates()[2] / units, errors, rtol=0.02)


def test_the_exact_likelihood_of_the_airline():
    x = data.airline().values
    model = ARIMA((0, 1, 1), (0, 1, 1, 12)).fit(x)
    assert abs(model.log_likelihood + 507.5015) < 1e-3 and model.nobs == 131


@pytest.mark.parametrize("d, D, s", [(1, 0, 0), (2, 0, 0), (0, 1, 4)])
@pytest.mark.parametrize("gaps", [[], [3, 40, 41]])
def test_a_constant_is_the_drift_of_a_differenced_series(d, D, s, gaps):
    x = draw(ma=[0.4], d=d, seasonal_d=D, period=s, mean=0.8, sigma=0.5, n=300)
    x[gaps] = np.nan
    with_drift, without = (
        ARIMA((0, d, 1), (0, D, 0, s), constant=True).fit(x),
        ARIMA((0, d, 1), (0, D, 0, s)).fit(x),
    )
    assert abs(with_drift.mean - 0.8) < 0.15 and without.mean == 0
    assert with_drift.log_likelihood > without.log_likelihood + 5
    assert with_drift.n_parameters == without.n_parameters + 1
    future = with_drift.forecast(40)[0]
    assert np.allclose(
        ts.difference(np.append(x[-9:], future), d, D, s or 1)[-30:], with_drift.mean
    )
    assert "drift" in repr(with_drift) and "drift" in with_drift.summary()


def test_drift_equals_statsmodels():
    sm = statsmodels()
    x = np.cumsum(0.5 + noise(120))
    ours = ARIMA((1, 1, 0), constant=True).fit(x)
    theirs = quietly(lambda: sm.tsa.ARIMA(x, order=(1, 1, 0), trend="t").fit())
    assert np.isclose(ours.mean, theirs.params[0], atol=1e-3)
    assert np.isclose(ours.log_likelihood, theirs_in_ours(x, (1, 1, 0), drift=True), atol=1e-3)
    assert np.allclose(ours.forecast(9)[0], theirs.forecast(9), atol=0.02)


@pytest.mark.parametrize(
    "seed, order, n, trend",
    [(3, (1, 1, 2), 60, 10.0), (6, (2, 0, 1), 40, 0.0), (5, (3, 0, 2), 60, 0.0)],
)
def test_starts_side_by_side_do_not_agree_on_a_lesser_top(seed, order, n, trend):
    """Half a nat to a nat and a half of these was lost, with `converged`, when the best starts were followed."""
    x = trend * np.exp(0.03 * np.arange(n)) + noise(n, seed)
    model = quietly(lambda: ARIMA(order, constant=True).fit(x))
    rng = np.random.default_rng(1)
    for _ in range(8):
        other = ARIMA(order, constant=True)
        start = other._from_free(rng.normal(0, 1.2, other.n_lag_parameters))
        quietly(lambda other=other, start=start: other.fit(x, start=start))
        assert model.log_likelihood > other.log_likelihood - 0.01


def test_the_start_does_not_change_the_maximum():
    free = ARIMA((1, 0, 1)).fit(NILE)
    led = ARIMA((1, 0, 1)).fit(NILE, start={"ar": [-0.5], "ma": [0.9]})
    assert np.isclose(free.log_likelihood, led.log_likelihood, atol=1e-4)


def test_the_search_begins_at_the_start_that_is_given(monkeypatch):
    starts = []
    search = lambda f, some, iterations: (
        starts.append(some) or Maximum(some[0], f(some[0]), True, "")
    )
    monkeypatch.setattr(arima, "maximise", search)
    model = ARIMA((2, 0, 1), (1, 0, 1, 4))
    given = {"ar": [0.5, -0.3], "ma": [0.6], "seasonal_ar": [-0.4], "seasonal_ma": [0.7]}
    model.fit(NILE, start=given).fit(NILE, start={"seasonal_ma": [0.2]}).fit(NILE)
    assert len(starts[0]) == len(starts[1]) == 1 < len(starts[2]) and not starts[2][0].any()
    for free, wanted in zip(starts, (given, {"seasonal_ma": [0.2]}), strict=False):
        for name, found in model._from_free(free[0]).items():
            assert np.allclose(found, wanted.get(name, 0.0)), name


def test_first_guesses_are_near_and_no_root_is_on_the_circle():
    x = draw([0.6], [0.3], n=4000)
    ar, ma = arima._hannan_rissanen(x, 1, 1, 0)
    assert abs(ar[0] - 0.6) < 0.1 and abs(ma[0] - 0.3) < 0.1
    ar, ma = arima._hannan_rissanen(x, 1, 1, 1)  # as of the differences of a series
    assert np.allclose(np.sort(np.roots(np.r_[1, -ar])), [0.6, 0.98], atol=0.1)
    assert abs(max(np.roots(np.r_[1, -ar])) - 0.98) < 1e-9
    for polynomial in ([1, -2.0], [1, 0, 4.0], [1, -0.5], [1.0, 0.0]):
        inside = np.abs(np.roots(np.r_[1, arima._inside(np.array(polynomial))]))
        assert np.allclose(inside, np.minimum(np.abs(np.roots(polynomial)), 0.98))


def test_a_seasonal_model_is_recovered():
    truth = {"ar": [0.5], "seasonal_ar": [0.6], "seasonal_ma": [-0.3], "period": 4}
    found = ARIMA((1, 0, 0), (1, 0, 1, 4)).fit(draw(**truth, mean=7.0, sigma=2.0, n=3000, seed=3))
    assert np.allclose([found.ar[0], found.seasonal_ar[0]], [0.5, 0.6], atol=0.06)
    assert abs(found.seasonal_ma[0] + 0.3) < 0.08 and abs(found.sigma - 2) < 0.1


# ---------------------------------------------------------------- forecasts and draws


def test_arma_forecast_is_the_conditional_distribution():
    x = draw([0.7], [0.4], mean=5.0, sigma=0.5, n=25, seed=8)
    model = ARIMA((1, 0, 1)).fit(x)
    gamma = ts.arma_autocovariance(model.ar, model.ma, 30, model.sigma)
    future = Gaussian(np.full(31, model.mean), toeplitz(gamma)).condition(np.arange(25), x)
    mean, std = model.forecast(6)
    assert np.allclose(mean, future.mean) and np.allclose(std**2, np.diag(future.cov))


def test_simulation_has_the_models_autocovariance_from_the_first_value(monkeypatch):
    model = ARIMA.from_parameters([0.6], [0.5], seasonal_ma=[0.7], period=4, mean=2.0, sigma=0.5)
    mean, root = response(monkeypatch, lambda: model.simulate(6))
    ma = np.convolve([1, 0.5], [1, 0, 0, 0, 0.7])[1:]
    assert np.allclose(root @ root.T, toeplitz(ts.arma_autocovariance([0.6], ma, 5, 0.5)))
    assert np.allclose(mean, 2)


def test_a_simulated_random_walk_has_growing_spread_and_goes_on_from_the_data(monkeypatch):
    t = np.arange(1.0, 51)
    mean, root = response(monkeypatch, lambda: ARIMA.from_parameters(d=1, mean=0.3).simulate(50))
    assert np.allclose(mean, 0.3 * t) and np.allclose(root @ root.T, np.minimum(t[:, None], t))
    for constant in (False, True):
        x = draw(ma=[0.4], d=1, seasonal_d=1, period=4, mean=0.2, n=60)
        x[2] = np.nan
        model = ARIMA((0, 1, 1), (0, 1, 0, 4), constant).fit(x)
        mean = response(monkeypatch, lambda: model.simulate(9))[0]  # noqa: B023
        whole = np.r_[x[~np.isnan(x)][:5], mean]
        assert np.allclose(ts.difference(whole, 1, 1, 4), model.mean)


def test_every_sampler_follows_its_seed():
    models = [AR.from_parameters([0.5]), ARIMA.from_parameters([0.5]), ARIMA.from_parameters(d=1)]
    for model in (
        *models,
        ts.ARFIMA.from_parameters(0.2),
        ts.StateSpace([[1]], [1], [[1]], 1, [0], [[1]]),
    ):
        usual, zero, one, passed = (
            model.simulate(9, *seed) for seed in ((), (0,), (1,), (np.random.default_rng(1),))
        )
        assert np.array_equal(usual, zero) and np.array_equal(one, passed)
        assert not np.isclose(zero, one).any()


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: ARIMA((2, 1, 2)).fit([1.0, 2, 3, 5]), ValueError, "too short: it has 4 .* needs"),
        (lambda: ARIMA((1, 0, 0)).fit([]), ValueError, "too short: it has 0"),
        (lambda: ARIMA((1, 0, 0)).fit(np.full(50, 3.0)), ValueError, "constant .every value is 3"),
        (lambda: ARIMA((1, 1, 0)).fit(2.0 * np.arange(50)), ValueError, "differences of"),
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
        (lambda: ARIMA((1, 0)), ValueError, "p, d, q"),
        (lambda: ARIMA((1, 0, -1)), ValueError, "whole numbers"),
        (lambda: ARIMA((1, 0, 0), (1, 0, 0, 1)), ValueError, "s >= 2"),
        (lambda: ARIMA((0, 1, 1), level_variance=0), ValueError, "level_variance"),
        (lambda: ARIMA.from_parameters([0.5], sigma=0.0), ValueError, "sigma"),
        (lambda: ARIMA.from_parameters([0.5], sigma=math.inf), ValueError, "sigma"),
        (lambda: ARIMA.from_parameters([0.5], mean=math.nan), ValueError, "mean is finite"),
        (lambda: ARIMA.from_parameters([1.5]), ValueError, "not stationary"),
        (lambda: ARIMA.from_parameters([0.5], seasonal_ma=[0.1]), ValueError, "s >= 2"),
        (lambda: ARIMA((0, 1, 1)).forecast(3), ValueError, r"call fit\(x\) first"),
        (lambda: ARIMA((1, 0, 0)).fit(NILE).forecast(0), ValueError, "at least 1"),
        (lambda: ARIMA((1, 0, 0)).simulate(0), ValueError, "at least 1"),
    ],
)
def test_bad_input_says_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_unit_root_warns_and_says_what_to_do():
    with pytest.warns(ConvergenceWarning, match=r"MA part.*difference once less"):
        ARIMA((0, 1, 1)).fit(noise(200))  # differenced white noise
    with pytest.warns(ConvergenceWarning, match=r"AR part.*difference the series"):
        ARIMA((1, 0, 0)).fit(np.exp(0.05 * np.arange(100)) + 1e-3 * noise(100))
    with pytest.warns(ConvergenceWarning, match="MA part"):
        ARIMA((0, 1, 0), (0, 1, 1, 4)).fit(np.cumsum(noise(120)))
    with pytest.warns(ConvergenceWarning, match="AR part"):
        ARIMA((0, 0, 0), (1, 0, 0, 4)).fit(np.tile([0.0, 9, 3, 5], 30) + 1e-3 * noise(120))


@pytest.mark.parametrize("level", [-1e6, 0.0, 1e6])
@pytest.mark.parametrize("step", [-3.0, 0.1])
def test_a_straight_line_has_nothing_random_in_its_differences(level, step):
    with pytest.raises(ValueError, match="are constant"):
        ARIMA((0, 1, 1), constant=True).fit(level + step * np.arange(1, 60))


@pytest.mark.parametrize("offset, unit", [(100.0, 1.0), (0.0, 1e-4), (-50.0, 30.0)])
def test_a_first_guess_depends_on_neither_level_nor_unit(offset, unit):
    x = draw([0.6], [0.3])
    guesses = [arima._hannan_rissanen(y, 2, 1, 0) for y in (x, offset + unit * x)]
    for one, other in zip(*guesses, strict=True):
        assert np.allclose(one, other, atol=1e-6)
