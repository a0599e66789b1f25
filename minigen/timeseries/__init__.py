"""Chapter 5: series. The next value as a function of the ones before it.

    AR      x_t = c + Σ φ_k x_{t-k} + ε_t          least squares, Yule-Walker, Burg, exact likelihood
    ARIMA   the same of differences, with a moving average and a season; exact, through a Kalman filter
    ARFIMA  a fraction of a difference: memory that fades slowly
    lpc     an AR model for every few milliseconds of speech

One file a family: correlation, kalman, arma, arima, ar, arfima, lpc; `report` holds what fitted models share.
AR, ARIMA and ARFIMA have fit(x), from_parameters(...), log_prob(x), forecast(h) -> mean, std,
simulate(n, seed), summary().
"""

from .ar import AR, burg
from .arfima import ARFIMA, arfima_autocovariance, chain_rule, fractional_weights
from .arima import ARIMA
from .arma import arma_autocovariance, difference, impulse_response
from .correlation import (
    LevinsonDurbin,
    LjungBox,
    autocovariance,
    levinson_durbin,
    ljung_box,
    pacf,
    partial_to_ar,
    step_down,
)
from .kalman import Filtered, StateSpace
from .lpc import LPC, lpc, lpc_analysis, lpc_excitation, lpc_synthesis
