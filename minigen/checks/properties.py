"""Properties that a right answer has and the reader's lacks: how it responds when an input changes, what it depends
on, what its numbers have in common. Each is stated only where it was seen on the answer at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

__all__ = ["output_reason", "response_reason"]

Function = Callable[..., np.ndarray]


def output_reason(got: np.ndarray, want: np.ndarray) -> str | None:
    """What the right numbers have in common and these do not.

    >>> output_reason(np.array([0.5, 0.7]), np.array([0.4, 0.6]))
    'they sum to 1.2, the right ones to one'
    """
    if got.shape != want.shape or got.size < 2 or {got.dtype.kind, want.dtype.kind} - set("fiu"):
        return None
    for axis in range(want.ndim):
        if want.shape[axis] > 1 and np.allclose(want.sum(axis), 1):
            sums = got.sum(axis)
            worst = sums.ravel()[np.argmax(np.abs(sums - 1))]
            if abs(worst - 1) > 1e-6:
                along = f" along axis {axis}" if want.ndim > 1 else ""
                return f"they sum to {worst:.4g}{along}, the right ones to one"
    if np.allclose(want.sum(), 1) and not np.isclose(got.sum(), 1):
        return f"all together they sum to {got.sum():.4g}, the right ones to one"
    square = want.ndim > 1 and want.shape[-1] == want.shape[-2] > 1
    if square and np.allclose(want, want.swapaxes(-1, -2)) and not np.allclose(got, got.swapaxes(-1, -2)):  # fmt: skip
        return "the right matrix is symmetric, this one is not"
    if (want >= 0).all() and got.min() < -1e-9:
        return f"{(got < -1e-9).sum()} of {got.size} are negative, none of the right ones is"
    if (want <= 0).all() and got.max() > 1e-9:
        return f"{(got > 1e-9).sum()} of {got.size} are positive, none of the right ones is"
    zero = want == 0
    if zero.any() and not zero.all() and (got[zero] != 0).any():
        return f"{(got[zero] != 0).sum()} are not zero that should be"
    if (want == np.round(want)).all() and (got != np.round(got)).any():
        return "the right values are whole numbers, these are not"
    if want.ndim == 1 and want.size > 3:
        for turn, word in ((1, "grow"), (-1, "fall")):
            if (turn * np.diff(want) >= 0).all() and (turn * np.diff(got) < 0).any():
                return f"the right values {word} from the first to the last, these do not"
    return _line_by_line(got, want)


def _line_by_line(got: np.ndarray, want: np.ndarray) -> str | None:
    """Whether each row, or each column, is off by a factor or a constant of its own."""
    for axis in range(want.ndim if want.ndim > 1 else 0):
        if want.shape[axis] < 3:
            continue
        with np.errstate(all="ignore"):
            for values, word in ((got / want, "a factor"), (got - want, "a constant")):
                first = np.take(values, [0], axis)
                if np.isfinite(values).all() and np.allclose(values, first, 1e-6, 1e-9):
                    return f"along axis {axis} they are all off by {word}, each line by its own"
    return None


def _numbers(value: Any) -> bool:
    kind = str(getattr(value, "dtype", type(value).__name__))
    return kind.removeprefix("torch.").startswith("float")


def _changes(value: Any) -> Iterator[tuple[Any, str]]:
    yield 2 * value, "twice as large"
    yield value + 1, "one larger"
    yield -value, "of the other sign"
    for axis in range(getattr(value, "ndim", 0)):
        if value.shape[axis] > 1:
            along = f" along axis {axis}" if value.ndim > 1 else ""
            flipped = value.flip(axis) if hasattr(value, "flip") else np.flip(value, axis).copy()
            yield flipped, f"in reverse order{along}"


def _response(before: np.ndarray, after: np.ndarray) -> str | None:
    """What becomes of all numbers alike."""
    if np.allclose(before, after, 1e-7, 1e-10):
        return "stays as it is"
    if np.allclose(before, -after, 1e-7, 1e-10):
        return "changes its sign"
    with np.errstate(all="ignore"):
        ratio = (after / before)[before != 0]
    same = ratio.size and np.allclose(ratio, ratio[0], 1e-6, 0) and not after[before == 0].any()
    if same and (ratio.size > 1 or any(np.isclose(ratio[0], c) for c in (0.25, 0.5, 2, 4))):
        return f"becomes {ratio[0]:.4g} times as large"
    off = after - before
    if off.size > 1 and np.allclose(off, off[0], 1e-6, 1e-9):
        return f"changes by {off[0]:.4g}"
    return None


def response_reason(
    yours: Function, right: Function, cases: Sequence[Sequence], names: Sequence[str]
) -> str | None:
    """How the reader's answer responds to a change of an input, where the right one responds otherwise."""
    for k, name in enumerate(names):
        with suppress(Exception):  # an input that one of them cannot take
            if reason := _of_argument(yours, right, cases, k, name):
                return reason
    return None


def _of_argument(
    yours: Function, right: Function, cases: Sequence[Sequence], k: int, name: str
) -> str | None:
    if not all(_numbers(case[k]) for case in cases):
        return None
    put = lambda case, value: [*case[:k], value, *case[k + 1 :]]
    every = lambda function, some: np.concatenate([np.ravel(function(*case)) for case in some])
    before, want = every(yours, cases), every(right, cases)
    for changed in zip(*(list(_changes(case[k])) for case in cases), strict=False):
        some = [put(case, value) for case, (value, _) in zip(cases, changed, strict=True)]
        with suppress(Exception):
            answer = every(right, some)
            due = _response(want, answer) if np.isfinite(answer).all() else None
            if due is None:
                continue
            does = _response(before, every(yours, some))
            if does != due:
                return (
                    f"with `{name}` {changed[0][1]} the right answer {due}, "
                    f"yours {does or 'does not'}"
                )
    return _dependence(yours, right, cases[0], k, name)


def _dependence(yours: Function, right: Function, case: Sequence, k: int, name: str) -> str | None:
    """What an output depends on that it should not, or does not and should."""
    value = case[k]
    before, want = yours(*case), right(*case)
    moved = lambda old, new: ~np.isclose(old, new, 1e-9, 1e-12)
    for axis in range(getattr(value, "ndim", 0)):
        for i in range(min(value.shape[axis], 12)):
            twin = value.copy() if hasattr(value, "copy") else value.clone()
            here = (slice(None),) * axis + (i,)
            twin[here] = twin[here] * 1.01 + 0.01
            other = [*case[:k], twin, *case[k + 1 :]]
            does, due = moved(before, yours(*other)), moved(want, right(*other))
            place = f"`{name}` at {i}" + (f" along axis {axis}" if value.ndim > 1 else "")
            if due.any() and not does.any():
                return f"it does not depend on {place}, the right answer does"
            for wrong, word, other in (
                (does & ~due, "depends", "does not"),
                (due & ~does, "does not depend", "does"),
            ):
                if wrong.ndim and wrong.any():
                    where = np.argwhere(wrong)[0].tolist()
                    return f"the value at {where} {word} on {place}, the right one {other}"
    return None
