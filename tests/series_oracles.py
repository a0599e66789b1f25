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
