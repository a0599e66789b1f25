"""Properties that a right answer has and the reader's lacks: how it responds when an input changes, what it depends
on, what its numbers have in common. Each is stated only where it was seen on the answer at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

Function = Callable[..., np.ndarray]


def output_reason(got: np.ndarray, want: np.ndarray) -> str | None:
    """What the right numbers have in common and these do not.

    >>> output_reason(np.array([0.5, 0.7]), np.array([0.4, 0.6]))
    'they sum to 1.2, the right ones to one'
    """
    if got.shape != want.shape or not got.size or {got.dtype.kind, want.dtype.kind} - set("fiu"):
        return None
    if np.allclose(got, want, 1e-9, 1e-12):
        return None
    if got.size == 1 and got * want < 0:
        signs = ("positive", "negative") if got > 0 else ("negative", "positive")
        return "it is {}, the right value is {}".format(*signs)
    sizes = np.abs(got[want != 0] / want[want != 0])
    if sizes.size and sizes.min() > 30:
        return f"far too large, {sizes.min():.0f} times or more"
    if got.size == 1:
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
    if want.dtype.kind == "f" and 0.25 < zero.mean() < 1 and (got[zero] != 0).any():
        return f"{(got[zero] != 0).sum()} are not zero that should be"
    if (want == np.round(want)).all() and (got != np.round(got)).any():
        return "the right values are whole numbers, these are not"
    if want.dtype.kind in "iu" and got.dtype.kind in "iu" and want.max() > got.max():
        return f"{want.max()} is among the right values, and here none is larger than {got.max()}"
    if want.ndim == 1 and want.size > 3:
        for turn, word in ((1, "grow"), (-1, "fall")):
            if (turn * np.diff(want) >= 0).all() and (turn * np.diff(got) < 0).any():
                return f"the right values {word} from the first to the last, these do not"
    ends = want.min(), want.max()
    if want.size > 7 and want.dtype.kind == "f" and all(end == round(end) for end in ends) and not np.allclose(ends, (got.min(), got.max()), 1e-6, 1e-9):  # fmt: skip
        reach = "the right values reach from {:g} to {:g}, these from {:.4g} to {:.4g}"
        return reach.format(*ends, got.min(), got.max())
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
    return kind.removeprefix("torch.").startswith("float") or type(value) is int


def _changes(value: Any) -> Iterator[tuple[Any, str]]:
    if isinstance(value, list):
        yield value[::-1], "in reverse order"
        yield value + value, "given twice over"
        if value and all(getattr(v, "ndim", 0) for v in value):
            flat = [np.ravel(v) for v in value]
            like = lambda v: v if isinstance(value[0], np.ndarray) else value[0].new_tensor(v)
            yield [like(np.concatenate(flat))], "joined into one"
            yield [like(np.sort(np.concatenate(flat)))], "joined into one and sorted"
        return
    yield 2 * value, "twice as large"
    yield value + 1, "one larger"
    if type(value) is int:
        return
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


def mixed_reason(
    got: np.ndarray, want: np.ndarray, case: Sequence, names: Sequence[str]
) -> str | None:
    """Whether the right numbers and one of the inputs together make these.

    >>> z, e = np.array([1.0, 2.0, 4.0, 3.0]), np.array([2.0, 0.0, 5.0, 1.0])
    >>> mixed_reason(2 * z - e, e, (z, e), ("z", "e"))
    'it is -1 times the right value, plus 2 × `z`'
    """
    if want.size < 4 or got.shape != want.shape or not np.isfinite(got).all():
        return None
    for value, name in zip(case, names, strict=True):
        value = value.detach().cpu().numpy() if hasattr(value, "detach") else value
        if not _numbers(value) or np.shape(value) != want.shape:
            continue
        sides = np.stack([np.ravel(want), np.ravel(value)], 1).astype(float)
        share, *_ = np.linalg.lstsq(sides, np.ravel(got).astype(float))
        exact = np.allclose(sides @ share, np.ravel(got), 1e-8, 1e-10)
        if exact and np.linalg.matrix_rank(sides) == 2 and abs(share[1]) > 1e-6:
            times = "" if np.isclose(share[0], 1) else f"{share[0]:.4g} times "
            right = f"{times}the right value, plus " if abs(share[0]) > 1e-6 else ""
            return f"it is {right}{share[1]:.4g} × `{name}`"
    return None


def response_reason(
    yours: Function, right: Function, cases: Sequence[Sequence], names: Sequence[str]
) -> str | None:
    """How the reader's answer responds to a change of an input, where the right one responds otherwise."""
    with suppress(Exception):
        if all(np.allclose(yours(*case), right(*case), 1e-9, 1e-12) for case in cases):
            return None
    for k, name in enumerate(names):
        with suppress(Exception):  # an input that one of them cannot take
            if reason := _of_argument(yours, right, cases, k, name):
                return reason
    return _where_it_is_right(yours, right, cases, names)


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any, Callable]]:
    """(name, value, how to put another there) of everything numeric in an argument."""
    if isinstance(value, dict):
        for key in value:
            for n, v, put in _leaves(value[key], f"{name}[{key!r}]"):
                yield n, v, lambda new, key=key, put=put: {**value, key: put(new)}
    elif isinstance(value, list):
        for i in range(min(3, len(value))):
            for n, v, put in _leaves(value[i], f"{name}[{i}]"):
                yield n, v, lambda new, i=i, put=put: [*value[:i], put(new), *value[i + 1 :]]
    elif _numbers(value):
        yield name, value, lambda new: new


def _where_it_is_right(
    yours: Function, right: Function, cases: Sequence[Sequence], names: Sequence[str]
) -> str | None:
    """Which inputs come in as they should, and which do not."""
    case = cases[0]
    before, want = yours(*case), right(*case)
    good, bad, times = [], [], []
    fixed = []
    for k, argument in enumerate(case):
        for name, value, put in _leaves(argument, names[k]):
            at = lambda new, k=k, put=put: [*case[:k], put(new), *case[k + 1 :]]
            with suppress(Exception):
                other = at(value + 1 if type(value) is int else 1.1 * value + 0.1)
                does, due = yours(*other) - before, right(*other) - want
                if does.shape != due.shape or not np.isfinite(due).all() or not due.any():
                    continue
                same = np.allclose(does, due, 1e-6, 1e-9)
                (good if same else bad).append(name)
                share = np.ravel(does)[np.ravel(due) != 0] / np.ravel(due)[np.ravel(due) != 0]
                if (
                    not same
                    and np.allclose(share, share[0], 1e-6, 0)
                    and _plain(share[0])
                    and not np.isclose(share[0], 1)
                ):
                    times.append(f"`{name}` moves it {share[0]:.4g} times as far as it should")
            for trial, word in ((0, "zero"), (1, "one")) if type(value) is not int else ():
                with suppress(Exception):
                    other = at(value * 0 + trial)
                    due = right(*other)
                    says = np.ptp(due) > 0 or due.size == 1  # all alike, they would say little
                    if (
                        says
                        and due.any()
                        and np.isfinite(due).all()
                        and np.allclose(yours(*other), due, 1e-8, 1e-10)
                    ):
                        fixed.append(f"it is right where `{name}` is {word}")
    if good and bad:
        listed = lambda some: " and ".join(f"`{name}`" for name in some)
        return f"it moves with {listed(good)} as it should, but not with {listed(bad)}" + (
            f": {times[0]}" if times else ""
        )
    return next(iter([*times, *fixed]), None)


def _plain(number: float) -> bool:
    """Whether it is a factor that a slip makes: -1, 2, ½, …"""
    return any(np.isclose(abs(number), c, 1e-6) for c in (0.25, 1 / 3, 0.5, 1, 2, 3, 4))


def _of_argument(
    yours: Function, right: Function, cases: Sequence[Sequence], k: int, name: str
) -> str | None:
    if not all(_numbers(case[k]) or isinstance(case[k], list) for case in cases):
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
        sizes = np.abs(value.detach().numpy() if hasattr(value, "detach") else value)
        largest = np.unravel_index(np.argmax(sizes), sizes.shape)[axis]
        for i in {*range(min(value.shape[axis], 12)), int(largest)}:
            twin = value.copy() if hasattr(value, "copy") else value.clone()
            here = (slice(None),) * axis + (i,)
            twin[here] = twin[here] * 1.03 + 0.01
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
