"""What every check is made of: it prints a line for each property that holds, and stops at the first
that does not, saying why."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["CheckFailed", "compare", "exercise", "ok", "require"]


class CheckFailed(AssertionError):
    """A check did not hold. In a notebook only its message shows, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def exercise(number: str, name: str) -> Callable:
    """Make a check of a function: a blank and a crash in the reader's code become `CheckFailed`.

    >>> @exercise("0.1", "doubling")
    ... def doubling(double):
    ...     require(double(2) == 4, "2 becomes 4", "2 does not become 4")
    >>> doubling(lambda x: 2 * x)
    ✓ 2 becomes 4
    Exercise 0.1 (doubling) is solved.
    >>> doubling(lambda x: x + 1)
    Traceback (most recent call last):
        ...
    minigen.checks.core.CheckFailed: ✗ 2 does not become 4
    """

    def wrap(check: Callable) -> Callable:
        @functools.wraps(check)
        def checked(*args: Any, **kwargs: Any) -> None:
            try:
                with np.errstate(all="ignore"):
                    check(*args, **kwargs)
            except CheckFailed:
                raise
            except NotImplementedError:
                raise CheckFailed(
                    f"✗ Exercise {number} ({name}) is still blank: "
                    "replace the line `raise NotImplementedError(…)` with your code."
                ) from None
            except Exception as error:  # whatever the reader's code raised, in one line
                raise CheckFailed(
                    f"✗ Exercise {number} ({name}): your code raised {type(error).__name__}: {error}"
                ) from error
            print(f"Exercise {number} ({name}) is solved.")

        return checked

    return wrap


def ok(message: str) -> None:
    """Print that a property holds."""
    print(f"✓ {message}")


def require(condition: Any, holds: str, fails: str) -> None:
    """Say that a property holds, or stop and say why it does not."""
    if not bool(condition):
        raise CheckFailed(f"✗ {fails}")
    ok(holds)


def _array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):  # a torch tensor, without importing torch
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def compare(
    got: Any,
    want: Any,
    what: str,
    tolerance: float = 1e-8,
    hints: Sequence[tuple[Any, str]] = (),
) -> None:
    """Compare numbers; where they differ, say which typical mistake would give exactly these.

    Args:
        got: the reader's number or array. want: the right one.
        what: its name in the messages.
        tolerance: relative to 1 + |want|.
        hints: (what a mistake would give, or a predicate of `got`; what to say then).

    >>> compare(-1.8379, -0.9189, "log density", 1e-3, [(-1.8379, "½ counted twice")])
    Traceback (most recent call last):
        ...
    minigen.checks.core.CheckFailed: ✗ log density: ½ counted twice
    """
    got, want = _array(got), _array(want)
    if got.dtype == object or not np.issubdtype(got.dtype, np.number):
        raise CheckFailed(f"✗ {what}: expected numbers, got {type(got).__name__} of {got.dtype}")
    if got.shape != want.shape:
        raise CheckFailed(f"✗ {what}: expected shape {want.shape}, got {got.shape}")
    if not np.isfinite(got).all():
        raise CheckFailed(f"✗ {what}: NaN or infinite values")

    def near(value: Any) -> bool:
        value = _array(value)
        return value.shape == got.shape and np.allclose(got, value, rtol=tolerance, atol=tolerance)

    if near(want):
        ok(f"{what} is right")
        return
    for mistake, explanation in hints:
        if mistake(got) if callable(mistake) else near(mistake):
            raise CheckFailed(f"✗ {what}: {explanation}")
    off = (got - want).ravel()
    if off.size > 1 and np.allclose(off, off[0], rtol=1e-6, atol=tolerance):
        raise CheckFailed(f"✗ {what}: off by the same constant everywhere, {off[0]:.4g}")
    if off.size > 1 and (want != 0).all():
        factors = (got / want).ravel()
        if np.allclose(factors, factors[0], rtol=1e-6):
            raise CheckFailed(f"✗ {what}: off by the same factor everywhere, {factors[0]:.4g}")
    worst = int(np.argmax(np.abs(off)))
    raise CheckFailed(
        f"✗ {what}: expected {want.ravel()[worst]:.6g}, got {got.ravel()[worst]:.6g}"
        + (f" at position {worst}" if off.size > 1 else "")
    )
