"""The search and the report: functions with known tops, summaries, and warnings that say what to do."""

import math
import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from series_oracles import AIRLINE, NILE, SUNSPOTS, quietly

from minigen import ConvergenceWarning
from minigen.timeseries import AR, ARFIMA, ARIMA, ljung_box, report
from minigen.timeseries.report import Maximum, maximise, standard_errors, warn


def test_the_search_finds_the_highest_of_several_tops():
    tops = np.array([[-2.0, 1.0], [2.0, 2.0], [0.0, -3.0]])
    heights = np.array([1.0, 1.5, 1.2])
    value = lambda p: np.max(heights - ((p - tops) ** 2).sum(1))
    found = maximise(value, [*tops + 0.4, np.zeros(2)], 100)
    assert np.allclose(found.point, [2, 2], atol=1e-4) and found.converged
    assert np.isclose(found.value, 1.5)


def test_no_start_is_searched_from_twice(monkeypatch):
    begun = []
    search = lambda f, start, **options: begun.append(start.item()) or minimize(f, start, **options)
    monkeypatch.setattr(report, "minimize", search)
    maximise(lambda p: np.cos(7 * p[0]) - 0.1 * p[0] ** 2, list(np.linspace(-3, 3, 9)[:, None]), 50)
    assert 3 < len(begun) == len(set(begun))


def test_what_is_not_a_number_is_no_maximum_and_no_error():
    def value(p):
        return -np.inf if p[0] < 0 else np.log(p[0]) - p[0]  # the top is at 1

    for beyond in (value, lambda p: np.inf if p[0] < 0 else value(p)):
        found = maximise(beyond, [np.array([3.0]), np.array([-1.0])], 100)
        assert np.isclose(found.point[0], 1, atol=1e-3)


def test_a_search_that_was_cut_short_says_so():
    found = maximise(lambda p: -np.cosh(p).sum(), [np.full(2, 9.0)], 1)
    assert not found.converged and "slope" in found.message


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e6])
def test_standard_errors_are_those_of_a_normal_whatever_the_units(unit):
    cov = np.array([[2.0, 0.6], [0.6, 1.0]]) * unit**2
    value = lambda p: -0.5 * p @ np.linalg.solve(cov, p)
    found = standard_errors(value, np.zeros(2), np.full(2, 1e-3 * unit))
    assert np.allclose(found, unit * np.sqrt([2, 1]), rtol=1e-5)
    assert np.isnan(
        standard_errors(lambda p: -value(p), np.zeros(2), np.full(2, 1e-3 * unit))
    ).all()


@pytest.mark.parametrize(
    "model, x",
    [
        (AR(2), SUNSPOTS),
        (AR(2, "burg", constant=False), SUNSPOTS),
        (ARIMA((0, 1, 1), (0, 1, 1, 12)), AIRLINE),
        (ARIMA((1, 1, 0), constant=True), 1e-9 * NILE),
        (ARFIMA((0, None, 0)), NILE),
    ],
)
def test_summary_names_estimates_and_says_whether_it_converged(model, x):
    text = model.fit(x).summary()
    assert "Ljung-Box" in text and repr(model) in text
    for figure in (f"log-likelihood {model.log_likelihood:.4f}", f"AIC {model.aic:.2f}"):
        assert figure in text
    assert f"BIC {model.bic:.2f}" in text
    names, values, errors = model.estimates()
    assert len(names) == len(values) == len(errors) == model.n_parameters
    assert all(name in text for name in names) and np.isfinite(errors).all()
    assert "converged" in text and "NOT" not in text
    assert np.isclose(model.bic - model.aic, model.n_parameters * (math.log(model.nobs) - 2))


def test_residuals_of_the_true_model_are_white_and_others_are_not():
    paths = [AR.from_parameters([1.2, -0.6]).simulate(600, seed) for seed in range(9)]
    models = [ARIMA((2, 0, 0)).fit(x) for x in paths]
    assert np.median([model.diagnostics().p_value for model in models]) > 0.2
    short = ARIMA((1, 0, 0)).fit(paths[0])
    assert short.diagnostics().p_value < 1e-6 and "(something is left)" in short.summary()
    assert abs(np.std(models[0].residuals) - 1) < 0.01
    assert "(nothing left to predict is seen)" in models[0].summary()
    assert models[0].diagnostics(15) == ljung_box(models[0].residuals, 15, 2)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(
    "model",
    [AR(2, "mle"), ARIMA((1, 0, 1)), ARIMA((0, 1, 1)), ARIMA((0, 1, 0), (0, 1, 1, 4)), ARFIMA((0, None, 0))],
    ids=repr,
)  # fmt: skip
def test_standardised_residuals_have_the_mean_square_one(model, gaps):
    """Each error over its own deviation: at the maximum that is exact, also behind gaps, where errors are wider."""
    x = np.cumsum(np.random.default_rng(0).normal(size=120)) if "1," in repr(model) else SUNSPOTS
    if gaps:
        if not isinstance(model, ARIMA):
            pytest.skip("takes no gaps")
        x = x.astype(float)
        x[[20, 21, 22, 23, 60, 61, *range(90, 99)]] = np.nan
    residuals = model.fit(x[:120]).residuals
    assert np.nanmean(residuals**2) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize(
    "model, name, names",
    [
        (AR(2, "burg"), "AR(2, 'burg')", "ar.L1 ar.L2 const sigma2"),
        (AR(1, constant=False), "AR(1, 'ols')", "ar.L1 sigma2"),
        (ARIMA((2, 0, 1), (1, 0, 1, 4)), "ARIMA(2,0,1)x(1,0,1,4)", "ar.L1 ar.L2 ma.L1 ar.S.L4 ma.S.L4 mean sigma2"),
        (ARIMA((1, 1, 0), constant=True), "ARIMA(1,1,0) with drift", "ar.L1 drift sigma2"),
        (ARIMA((1, 0, 1), constant=False), "ARIMA(1,0,1)", "ar.L1 ma.L1 sigma2"),
        (ARFIMA((1, None, 1)), "ARFIMA(1,d,1)", "d ar.L1 ma.L1 mean sigma2"),
        (ARFIMA((0, 0.2, 1)), "ARFIMA(0,0.2,1)", "ma.L1 mean sigma2"),
    ],
)  # fmt: skip
def test_estimates_have_their_names_and_the_models_values(model, name, names):
    found, values, errors = quietly(
        lambda: model.fit(NILE, **{} if isinstance(model, AR) else {"iterations": 4})
    ).estimates()
    assert repr(model) == name and found == names.split()
    own = {"mean": "mean", "drift": "mean", "const": "intercept", "d": "d"}
    if isinstance(model, AR):
        model.ar = model.coefficients
    for label, value in zip(found, values, strict=True):
        if label == "sigma2":
            want = model.sigma**2
        elif label in own:
            want = getattr(model, own[label])
        else:
            kind, lag = label.split(".L") if ".S" not in label else (f"seasonal_{label[:2]}", 1)
            want = getattr(model, kind)[int(lag) - 1]
        assert value == want, label
    assert len(errors) == len(values) == model.n_parameters


def test_failing_to_converge_warns_and_says_what_to_do():
    with pytest.warns(ConvergenceWarning, match=r"did not converge.*more iterations"):
        model = ARIMA((2, 0, 2)).fit(SUNSPOTS, iterations=1)
    assert not model.converged and "NOT converged" in model.summary()
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        ARFIMA((1, None, 1)).fit(NILE, iterations=1)


@pytest.mark.parametrize("model", [AR(2), ARIMA((0, 1, 1)), ARFIMA((0, None, 0))])
def test_a_model_without_a_series_says_so(model):
    for call in (model.summary, model.diagnostics, model.estimates, lambda: model.aic):
        with pytest.raises(ValueError, match=r"call fit\(x\) first"):
            call()


@pytest.mark.parametrize("p, n, lags", [(1, 200, 10), (1, 36, 7), (12, 200, 13)])
def test_as_many_lags_are_tested_as_the_length_and_the_parameters_allow(p, n, lags):
    x = AR.from_parameters([0.5]).simulate(n, 0)
    assert AR(p).fit(x).diagnostics().lags == lags


@pytest.mark.parametrize(
    "kind, value, warned",
    [("ar", 0.99, False), ("ar", -0.996, True), ("ma", 0.99, False), ("d", 0.94, False), ("d", -0.96, True)],
)  # fmt: skip
def test_only_the_very_edge_looks_like_a_unit_root(kind, value, warned):
    found = Maximum(np.zeros(1), 0.0, True, "")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        warn(found, {kind: np.array([0.1, value])}, "it")
    assert len(said) == warned


def test_z_is_an_estimate_in_units_of_its_error():
    model = ARIMA((1, 0, 0)).fit(SUNSPOTS)
    rows = {line.split()[0]: line.split()[1:] for line in model.summary().splitlines()[2:5]}
    for name, value, error in list(zip(*model.estimates(), strict=True))[:2]:
        assert float(rows[name][2]) == pytest.approx(value / error, abs=0.006)
