"""What the tests of series share: three series, noise, and the normal density by its whole covariance."""

import warnings

import numpy as np
import pytest
from scipy.linalg import toeplitz
from scipy.stats import multivariate_normal

from minigen import data

SUNSPOTS, NILE = data.sunspots().values, data.nile().values
AIRLINE = np.log(data.airline().values)
PHI = np.array([1.2, -0.8, 0.1])  # a stationary AR(3)


def statsmodels():
    """The oracle (it is in requirements.txt)."""
    return pytest.importorskip("statsmodels.api", reason="the oracle is not installed")


def quietly(function):
    """Call without anybody's warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function()


def noise(n, seed=0):
    return np.random.default_rng(seed).standard_normal(n)


def dense_log_prob(x, gamma, mean=0.0):
    """The normal density of a stationary series, by its whole covariance matrix; NaN is missing."""
    there = ~np.isnan(x)
    cov = toeplitz(gamma[: len(x)])[np.ix_(there, there)]
    return multivariate_normal(np.full(there.sum(), mean), cov).logpdf(x[there])


def response(monkeypatch, simulate):
    """What `simulate()` makes of no noise, (n,), and of one unit at each place in its noise, (n, places).

    A Gaussian sampler is linear in its noise: these two are its mean and a root of its covariance, exactly.
    """

    class Unit:
        def __init__(self, at=-1):
            self.at, self.drawn = at, 0

        def standard_normal(self, shape):
            size = int(np.prod(shape))
            flat = (np.arange(self.drawn, self.drawn + size) == self.at).astype(float)
            self.drawn += size
            return flat.reshape(shape)

    def run(unit):
        monkeypatch.setattr(np.random, "default_rng", lambda seed: unit)
        return simulate()

    nothing = Unit()
    mean = run(nothing)
    columns = [run(Unit(at)) - mean for at in range(nothing.drawn)]
    monkeypatch.undo()
    return mean, np.stack(columns, axis=1)
