"""The one place where loops are compiled: `numba.njit`, kept on disk where that can be."""

from collections.abc import Callable
from functools import partial

from numba import njit


def compiled(function: Callable | None = None, **options) -> Callable:
    """`numba.njit` whose machine code is kept for the next run, or, where neither this package nor
    the user's folder can be written, is made anew in each.

    >>> @compiled
    ... def double(x):
    ...     return 2 * x
    >>> double(21)
    42
    """
    if function is None:
        return partial(compiled, **options)
    try:
        return njit(function, cache=True, **options)
    except RuntimeError:  # numba: no locator available
        return njit(function, **options)
