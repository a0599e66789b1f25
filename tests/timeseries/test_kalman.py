"""The Kalman filter: against the dense normal density, limits, statsmodels, and exact arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm
from series_oracles import NILE, noise, quietly, response, statsmodels

from minigen.gaussian import Gaussian
from minigen.timeseries import StateSpace


def random_model(m, seed):
    rng = np.random.default_rng(seed)
    T = rng.normal(size=(m, m))
    T *= 0.9 / np.abs(np.linalg.eigvals(T)).max()
    A, B = rng.normal(size=(2, m, m))
    B[:, seed % m] = 0  # something is known for certain
    return StateSpace(T, rng.normal(size=m), A @ A.T, 0.4, rng.normal(size=m), B @ B.T)


def dense_moments(model, n):
    """Mean (n,) and covariance (n, n) of y, written out."""
    m, T = len(model.design), model.transition
    powers = [np.linalg.matrix_power(T, k) for k in range(n + 1)]
    mean = np.array([model.design @ powers[t] @ model.mean for t in range(n)])
    state = np.zeros((n, m, n, m))
    for s in range(n):
        for t in range(n):
            state[s, :, t] = powers[s] @ model.cov @ powers[t].T
            for k in range(min(s, t)):
                state[s, :, t] += powers[s - 1 - k] @ model.state_cov @ powers[t - 1 - k].T
    full = np.einsum("sitj,i,j->st", state, model.design, model.design)
    return mean, full + model.noise * np.eye(n)


@pytest.mark.parametrize("m", [1, 2, 4])
@pytest.mark.parametrize("gaps", [[], [0, 4, 5, 14], [0, 1, 2]])
def test_the_likelihood_is_the_dense_normal_density(m, gaps):
    model, n = random_model(m, seed=m), 15
    y = model.simulate(n, seed=9)
    y[gaps] = np.nan
    mean, cov = dense_moments(model, n)
    there = ~np.isnan(y)
    rest = multivariate_normal(mean[there], cov[np.ix_(there, there)]).logpdf(y[there])
    assert np.isclose(model.log_prob(y), rest)


def test_predictions_are_the_conditional_distribution():
    model, n = random_model(3, seed=7), 10
    y = model.simulate(n, seed=1)
    want = Gaussian(*dense_moments(model, n + 1)).condition(np.arange(n), y)
    found = model.filter(np.append(y, np.nan))
    assert np.isclose(found.mean[-1], want.mean[0])
    assert np.isclose(found.variance[-1], want.cov[0, 0])
    found = model.filter(y)  # the state comes one step ahead
    assert np.isclose(model.design @ found.state, want.mean[0])
    assert np.isclose(model.design @ found.cov @ model.design + model.noise, want.cov[0, 0])
    assert np.allclose(found.innovations, y - found.mean)


def test_samples_have_the_right_covariance(monkeypatch):
    model = random_model(2, seed=3)
    found, root = response(monkeypatch, lambda: model.simulate(4))
    mean, cov = dense_moments(model, 4)
    assert np.allclose(found, mean) and np.allclose(root @ root.T, cov)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("gaps", [[], [1, 10], [0, 1], [0, 2, 3, 4, 29]])
def test_a_diffuse_start_is_the_limit_of_a_large_variance(gaps, unit):
    """Level and slope: with κ large, each of the two unknown numbers costs ½ log 2πκ."""
    T = [[1.0, 1.0], [0.0, 1.0]]
    Q, y = np.diag([0.3, 0.1]) * unit**2, np.cumsum(np.cumsum(noise(30))) * unit
    y[gaps] = np.nan
    model = StateSpace(T, [1, 0], Q, 0.5 * unit**2, [0, 0], np.zeros((2, 2)), [1, 1])
    kappa = 1e8 * unit**2
    vague = StateSpace(T, [1, 0], Q, 0.5 * unit**2, [0, 0], kappa * np.eye(2))
    want = vague.log_prob(y) + math.log(2 * math.pi * kappa)
    assert np.isclose(model.log_prob(y), want, atol=1e-4)
    first_two = np.flatnonzero(~np.isnan(y))[1]
    infinite = np.isinf(model.filter(y).variance)
    assert infinite[: first_two + 1].all() and not infinite[first_two + 1 :].any()
    assert np.array_equal(np.isnan(model.filter(y).innovations), infinite | np.isnan(y))


def test_local_level_equals_statsmodels_exact_diffuse():
    sm = statsmodels()
    theirs = quietly(lambda: sm.tsa.UnobservedComponents(NILE, "llevel", use_exact_diffuse=True))
    want = theirs.loglike([15099.0, 1469.1])
    level = StateSpace([[1.0]], [1.0], [[1469.1]], 15099.0, [0.0], [[0.0]], [1.0])
    # statsmodels counts ½ log 2π for the diffuse value, too
    assert np.isclose(level.log_prob(NILE) - 0.5 * math.log(2 * math.pi), want, atol=1e-6)


@pytest.mark.parametrize("power", [4, 8, 12])
def test_no_digit_is_lost_where_the_start_is_vague(power):
    """Two almost equal rows of a random walk seen exactly, against rational numbers."""
    kappa = Fraction(10) ** power
    T = np.array([[1.0, 0.5], [0.0, 1.0]])
    y, F_exact = [1.0, 2.0, 4.0], []
    a, P = [Fraction(0)] * 2, [[kappa, Fraction(0)], [Fraction(0), kappa]]
    exact = [[Fraction(v) for v in row] for row in T.tolist()]
    for value in y:  # the textbook's filter: Z = (1, 0), H = 1/100, Q = 1/1000
        F = P[0][0] + Fraction(1, 100)
        F_exact.append(F)
        K = [P[0][0] / F, P[1][0] / F]
        v = Fraction(value) - a[0]
        a = [a[i] + K[i] * v for i in range(2)]
        P = [[P[i][j] - K[i] * P[0][j] for j in range(2)] for i in range(2)]
        a = [sum(exact[i][k] * a[k] for k in range(2)) for i in range(2)]
        TP = [[sum(exact[i][k] * P[k][j] for k in range(2)) for j in range(2)] for i in range(2)]
        P = [
            [
                sum(TP[i][k] * exact[j][k] for k in range(2)) + Fraction(1, 1000) * (i == j)
                for j in range(2)
            ]
            for i in range(2)
        ]
    model = StateSpace(T, [1, 0], np.eye(2) / 1000, 0.01, [0, 0], np.eye(2) * float(kappa))
    found = model.filter(y)
    assert np.allclose(
        found.variance, [float(F) for F in F_exact], rtol=1e-15 * 10 ** (power / 2) * 10
    )
    assert np.allclose(found.cov, np.array(P, dtype=float), rtol=1e-7)


def test_what_is_certain_is_infinitely_likely_or_impossible():
    """An unknown constant, seen exactly: its first value has a density, the others repeat it."""
    model = StateSpace([[1.0]], [1.0], [[0.0]], 0.0, [0.0], [[1.0]])
    assert np.isclose(model.log_prob([0.3]), norm.logpdf(0.3))
    assert model.log_prob([0.3, 0.3, np.nan, 0.3]) == np.inf
    assert model.log_prob([0.3, 0.3, 0.4]) == -np.inf


def test_a_state_that_changes_sign_keeps_its_variance():
    """T = -1/2 without shocks: Var y_t = 4^-t, and no variance is lost with a column's sign."""
    model = StateSpace([[-0.5]], [1.0], [[0.0]], 0.0, [0.0], [[1.0]])
    assert np.allclose(model.filter([np.nan] * 4).variance, 0.25 ** np.arange(4))


def test_a_forecast_over_a_long_gap_is_vague_but_finite():
    """Once level and slope are found nothing is infinite again, however far ahead."""
    T = [[1.0, 1.0], [0.0, 1.0]]
    model = StateSpace(T, [1, 0], np.eye(2), 0.0, [0, 0], np.zeros((2, 2)), [1, 1])
    variance = model.filter([0.0, 1.0, 2.0] + [np.nan] * 400).variance
    assert np.isinf(variance[:2]).all() and np.isfinite(variance[2:]).all()
    assert variance[-1] > 1e7


def test_repr_and_bad_input():
    assert repr(random_model(3, 0)) == "StateSpace(3 states)"
    for arguments, message in (
        ((np.eye(2), [1.0], [[1]], 0, [0], [[1]]), "transition"),
        (([[1]], [1], [[-1]], 0, [0], [[1]]), "covariance"),
        ((np.eye(2), [1, 0], np.eye(2), 0, [0, 0], [[1, 2], [2, 1]]), "cov is a covariance"),
        (([[1]], [1], [[1]], -1, [0], [[1]]), "noise"),
        (([[1]], [1], [[1]], np.inf, [0], [[1]]), "noise"),
        (([[np.nan]], [1], [[1]], 1, [0], [[1]]), "transition has shape .1, 1. and finite"),
        ((np.eye(2), [1, 0], [[1, 1], [0, 1]], 0, [0, 0], np.eye(2)), "state_cov is a cov"),
        (([[1]], [1], [[1]], 1, [0, 0], [[1]]), "mean has shape"),
        (([[1]], [1], [[1]], 1, [0], [[1]], [1, 1]), "diffuse has shape"),
    ):
        with pytest.raises(ValueError, match=message):
            StateSpace(*arguments)
    with pytest.raises(ValueError, match="infinite"):
        random_model(2, 0).filter([1.0, np.inf])
