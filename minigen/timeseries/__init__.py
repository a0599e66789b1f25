"""Series: the next value as a function of the ones before it.

    AR      x_t = c + Σ φ_k x_{t-k} + ε_t          least squares, Yule-Walker, Burg, exact likelihood
    ARIMA   the same of differences, with a moving average and a season; exact, through a Kalman filter
    ARFIMA  a fraction of a difference: memory that fades slowly
    lpc     an AR model for every few milliseconds of speech

One file a family: correlation, ar, lpc, kalman, arima, arfima; `common` holds what the models share.
Every model has fit(x), log_prob(x), log_likelihood, forecast(h) -> mean, std, simulate(n, seed), summary().
"""

from .ar import AR, burg
from .arfima import (
    ARFIMA,
    arfima_autocovariance,
    chain_rule,
    fractional_difference,
    fractional_weights,
)
from .arima import ARIMA, arma_autocovariance, arma_state_space, difference, impulse_response
from .correlation import (
    LevinsonDurbin,
    LjungBox,
    acf,
    autocovariance,
    levinson_durbin,
    ljung_box,
    pacf,
)
from .kalman import Filtered, StateSpace, stationary_covariance
from .lpc import LPC, lpc, lpc_analysis, lpc_excitation, lpc_synthesis, pitch
from .report import partial_to_ar, step_down

__all__ = [
    "AR",
    "ARFIMA",
    "ARIMA",
    "LPC",
    "Filtered",
    "LevinsonDurbin",
    "LjungBox",
    "StateSpace",
    "acf",
    "arfima_autocovariance",
    "arma_autocovariance",
    "arma_state_space",
    "autocovariance",
    "burg",
    "chain_rule",
    "difference",
    "fractional_difference",
    "fractional_weights",
    "impulse_response",
    "levinson_durbin",
    "ljung_box",
    "lpc",
    "lpc_analysis",
    "lpc_excitation",
    "lpc_synthesis",
    "pacf",
    "partial_to_ar",
    "pitch",
    "stationary_covariance",
    "step_down",
]
