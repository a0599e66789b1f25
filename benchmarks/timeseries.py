"""How long a fit takes here and in statsmodels, one after the other in one process.

    OMP_NUM_THREADS=1 python benchmarks/timeseries.py

Medians of alternating rounds of processor time, after one fit of each that is not counted: numba compiles in ours.
"""

import os
import platform
import time
import warnings
from statistics import median

import numpy as np
import statsmodels
from statsmodels.tsa.arima.model import ARIMA as Theirs

from minigen import data
from minigen.timeseries import ARIMA

ROUNDS = 21
MODELS = (
    ("log-airline (0,1,1)(0,1,1)12", np.log(data.airline().values), (0, 1, 1), (0, 1, 1, 12)),
    ("Nile (0,1,1)", data.nile().values, (0, 1, 1), (0, 0, 0, 0)),
    ("sunspots (2,0,0)", data.sunspots().values, (2, 0, 0), (0, 0, 0, 0)),
)


def timed(function) -> tuple[float, float]:
    """Seconds of computing that it took, and the log-likelihood it returned."""
    start = time.process_time()
    value = function()
    return time.process_time() - start, float(value)


def main() -> None:
    """Fit each model with each library in turn and print medians and their ratio."""
    warnings.simplefilter("ignore")  # statsmodels' remarks about starting values
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print(f"statsmodels {statsmodels.__version__}, numpy {np.__version__}\n")
    print(f"{'':<30}{'minigen':>12}{'statsmodels':>13}{'ratio':>8}   log-likelihoods")
    for name, x, order, seasonal in MODELS:
        ours = lambda: ARIMA(order, seasonal, level_variance=1e6).fit(x).log_likelihood  # noqa: B023
        theirs = lambda: Theirs(x, order=order, seasonal_order=seasonal).fit().llf  # noqa: B023
        ours(), theirs()
        rounds = [(timed(ours), timed(theirs)) for _ in range(ROUNDS)]
        a, b = (median(pair[i][0] for pair in rounds) for i in (0, 1))
        values = rounds[0][0][1], rounds[0][1][1]
        print(
            f"{name:<30}{1e3 * a:>9.1f} ms{1e3 * b:>10.1f} ms{a / b:>8.2f}"
            f"   {values[0]:.4f} {values[1]:.4f}"
        )


if __name__ == "__main__":
    main()
