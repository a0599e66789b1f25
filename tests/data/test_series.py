"""The three series, held to statsmodels' copies."""

from __future__ import annotations

import numpy as np
import pytest

from minigen import data


def test_airline_is_series_g():
    months, values = data.airline()
    assert len(values) == len(months) == 144
    assert values.sum() == 40363
    assert (str(months[0]), str(months[-1])) == ("1949-01", "1960-12")
    # July or August is the peak of every year.
    assert set(values.reshape(12, 12).argmax(axis=1)) <= {6, 7}


@pytest.mark.parametrize(
    ("ours", "name", "columns"),
    [
        (data.nile, "nile", ("year", "volume")),
        (data.sunspots, "sunspots", ("YEAR", "SUNACTIVITY")),
    ],
)
def test_series_equal_statsmodels(ours, name, columns):
    datasets = pytest.importorskip("statsmodels.datasets")
    theirs = getattr(datasets, name).load_pandas().data
    for mine, column in zip(ours(), columns, strict=True):
        np.testing.assert_array_equal(mine, theirs[column].to_numpy())
