"""A wrong answer is told what is true of it."""

import numpy as np
import pytest

from minigen.checks.diagnosis import near, shape_reason, value_reason

W = np.array([[0.3, -1.2, 2.5, 0.9], [1.7, 0.4, -0.6, 3.1], [0.2, 0.8, 1.1, -2.3]])
LATE = np.concatenate([np.zeros((3, 1)), W[:, :-1]], 1)
EDGE = W.copy()
EDGE[:, -1] = 0
HEAD = W.copy()
HEAD[2:] = 7


@pytest.mark.parametrize(
    "got, reason",
    [
        (-W, "minus"),
        (W**2, "square: take"),
        (np.exp(W), "exponential"),
        (W[::-1], "reverse order along axis 0"),
        (np.trunc(W).astype(int), "cut to whole numbers"),
        (3 * W, "3, which is a length here: a sum"),
        (W / 4, "a mean where a sum"),
        (W * 4 / 3, "divided by N - 1 where N is due"),
        (2 * W, "factor everywhere, 2"),
        (W * np.log(2), "nats and bits"),
        (W * 1.2345, "factor everywhere, 1.234"),
        (W + 0.5 * np.log(2 * np.pi), "½ log 2π"),
        (LATE, "one late along axis 1"),
        (W * 0, "zero"),
        (W * 0 + 1.5, "same number everywhere"),
        (EDGE, "but the last along axis 1"),
        (HEAD, "wrong for|the last|first 2 of 3"),
        (np.abs(W) * np.where(W > 2, -1, 1) * np.sign(W), "wrong sign"),
        (np.where(W < 0, 0, W), "not negative, wrong where it is"),
        (W + np.where(W > 2, np.nan, 0), "NaN"),
        (W[[1, 2, 0]][:, [1, 0, 3, 2]], "wrong order"),
        (W * 1.0003, "nearly right"),
    ],
)  # fmt: skip
def test_reasons(got, reason):
    import re

    assert re.search(reason, value_reason(got, W, 1e-8, (3, 4)))


def test_some_things_have_no_reason():
    assert value_reason(W + np.sin(np.arange(12).reshape(3, 4) + 1), W, 1e-8) is None
    assert value_reason(np.array(1.7), np.array(0.9), 1e-8) is None


@pytest.mark.parametrize(
    "shape, reason",
    [
        ((), "single number"),
        ((4, 3), "transposed"),
        ((3, 5), "1 too many along axis 1"),
        ((3,), "an axis is lost"),
        ((3, 4, 2), "an axis too many"),
        ((12,), "another shape"),
        ((5, 7), "mixed up"),
    ],
)
def test_shapes(shape, reason):
    assert reason in shape_reason(np.zeros(shape), W)


def test_near_takes_nan_for_nan():
    assert near(np.array([np.nan, 1]), np.array([np.nan, 1]), 1e-9)
    assert not near(np.array([1.0]), np.array(1.0), 1e-9)
