"""The product in registers: numpy's, for any number of rows and lines; rows that begin with a line."""

import numpy as np
import pytest
from numba import TypingError, njit

from minigen.generate.product import add_product, packed


@njit
def product(out, weight, v):
    add_product(out, weight, v)


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-5), (np.float64, 1e-13)])
@pytest.mark.parametrize("inputs", [0, 1, 5, 64])
@pytest.mark.parametrize("outputs", [1, 16, 50, 64, 100, 128, 250, 300])
def test_product_equals_numpy(inputs, outputs, dtype, tolerance):
    """Blocks of 8, 4, 2 and 1 registers, and what lies behind `out` is left alone."""
    rng = np.random.default_rng(0)
    weight = packed(rng.normal(size=(inputs, outputs)).astype(dtype))
    memory = rng.normal(size=weight.shape[1] + 40).astype(dtype)
    v, before, out = rng.normal(size=inputs).astype(dtype), memory.copy(), memory[3:-37]
    product(out, weight, v)
    assert np.abs(out - (before[3:-37] + v @ weight)).max() < tolerance * max(1, inputs)
    assert np.array_equal(memory[:3], before[:3]) and np.array_equal(memory[-37:], before[-37:])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1,), (7, 16), (2, 3, 17)])
def test_packed_rows_begin_with_a_line_and_are_filled_with_zeros(shape, dtype):
    values = np.random.default_rng(0).normal(size=shape).astype(dtype)
    rows = packed(values)
    assert rows.ctypes.data % 64 == 0 and rows.shape[-1] * rows.itemsize % 64 == 0
    assert rows.shape[-1] - shape[-1] < 64 // rows.itemsize and rows.dtype == dtype
    assert np.array_equal(rows[..., : shape[-1]], values) and not rows[..., shape[-1] :].any()


def test_columns_of_an_array_are_refused():
    """Registers read memory in order: an array that is not contiguous has no such product."""
    weight, v = np.ones((4, 16)), np.ones(4)
    with pytest.raises(TypingError):
        product(np.ones((16, 2))[:, 0], weight, v)
