"""What is true of a wrong answer, whatever the exercise: how it differs from the right one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

CONSTANTS = {  # factors that have a name
    "½": 0.5,
    "2": 2.0,
    "log 2: nats and bits": math.log(2),
    "1 / log 2: nats and bits": 1 / math.log(2),
    "log 10: natural and decimal logarithms": math.log(10),
    "1 / log 10: natural and decimal logarithms": 1 / math.log(10),
    "2π": 2 * math.pi,
    "1 / 2π": 0.5 / math.pi,
    "π": math.pi,
    "√2": math.sqrt(2),
    "1 / √2": math.sqrt(0.5),
    "10: bels and decibels": 10.0,
    "100: shares and per cent": 100.0,
    "1 / 100: shares and per cent": 0.01,
}
FIXED = (1, 2, 3, 4, 5, 8, 10, 12, 16, 24, 32, 64, 80, 100, 128, 255, 256, 512, 1000, 8000, 16_000)
OFFSETS = {
    "½ log 2π": 0.5 * math.log(2 * math.pi),
    "log 2π": math.log(2 * math.pi),
    "log 2": math.log(2),
    "½": 0.5,
    "1": 1.0,
}


def near(got: np.ndarray, want: np.ndarray, tolerance: float) -> bool:
    """Whether they agree, relative to 1 + |want|, with NaN where NaN is due."""
    if got.shape != want.shape:
        return False
    return np.allclose(got, want, rtol=tolerance, atol=tolerance, equal_nan=True)


def shape_reason(got: np.ndarray, want: np.ndarray) -> str:
    """How a wrong shape differs from the right one."""
    shape, right = got.shape, want.shape
    if not shape:
        return "a single number: it is summed or averaged over too much"
    if not right:
        return "a single number is wanted: sum or average as the exercise says"
    if shape == right[::-1]:
        return "it is transposed"
    if got.size == want.size:
        return "as many numbers, but in another shape: is an axis kept or lost?"
    if len(shape) == len(right):
        axes = [k for k in range(len(right)) if shape[k] != right[k]]
        if len(axes) == 1:
            k = axes[0]
            off = shape[k] - right[k]
            return f"{abs(off)} too {'many' if off > 0 else 'few'} along axis {k}"
        return "are the axes mixed up?"
    if len(shape) < len(right):
        return "an axis is lost: it is summed or averaged over, or only one is returned"
    return "an axis too many: is a sum or a mean missing, or was something broadcast?"


def _rewritten(want: np.ndarray) -> Iterator[tuple[np.ndarray, str]]:
    """What the right answer becomes by a common slip, and its name."""
    yield -want, "this is minus the right value: the sign"
    yield np.abs(want), "this is its absolute value: the sign is lost"
    yield want**2, "this is its square: take the root"
    yield np.sqrt(np.abs(want)), "this is its square root"
    yield np.exp(want), "this is its exponential: return the logarithm"
    yield np.log(want), "this is its logarithm: take the exponential"
    yield np.log2(want), "this is its logarithm to base 2"
    yield np.log10(want), "this is its logarithm to base 10"
    yield 1 / want, "this is one over the right value: turned round"
    yield 1 - want, "this is one minus the right value: the complement"
    yield np.floor(want), "it is rounded down to whole numbers"
    yield np.ceil(want), "it is rounded up to whole numbers"
    yield np.round(want), "it is rounded to whole numbers"
    for places in (1, 2, 3):
        yield np.round(want, places), f"it is rounded to {places} decimal places"
    for axis in range(want.ndim):
        along = f" along axis {axis}" if want.ndim > 1 else ""
        yield np.flip(want, axis), f"these are the right values in reverse order{along}"
        yield np.cumsum(want, axis), f"these are running sums{along} of the right values"
        yield np.sort(want, axis), f"these are the right values, sorted{along}: keep their places"
        yield np.roll(want, 1, axis), f"turned by one{along}: the last comes first"
        yield np.roll(want, -1, axis), f"turned by one{along}: the first comes last"
    if want.ndim > 1 and want.shape[-1] == want.shape[-2]:
        yield np.swapaxes(want, -1, -2), "this is its transpose"
        yield want * np.eye(want.shape[-1]), "only the diagonal is right, the rest is zero"


def _known(value: float, table: dict[str, float]) -> str:
    plain = f"{value:.4g}"
    plain = f"{value:.8g}" if plain in ("1", "-1") else plain
    return next((n for n, v in table.items() if math.isclose(value, v, rel_tol=1e-5)), plain)


def _factor(got: np.ndarray, want: np.ndarray, sizes: tuple[int, ...]) -> str | None:
    used = want != 0
    if not used.any() or (got[~used] != 0).any():
        return None
    factors = (got[used] / want[used]).ravel()
    factor = complex(factors[0]) if np.iscomplexobj(factors) else float(factors[0])
    if isinstance(factor, complex) or not np.allclose(factors, factor, rtol=1e-5, atol=0):
        return None
    for n in (n for n in {*sizes, *want.shape} if n > 1):
        for value, name in (
            (n, f"{n}, which is a length here: a sum where a mean is due"),
            (1 / n, f"1 / {n}, and {n} is a length here: a mean where a sum is due"),
            (n / (n - 1), f"{n} / {n - 1}: divided by N - 1 where N is due"),
            ((n - 1) / n, f"{n - 1} / {n}: divided by N where N - 1 is due"),
            (math.sqrt(n / (n - 1)), f"√({n} / {n - 1}): divided by N - 1 where N is due"),
            (math.sqrt((n - 1) / n), f"√({n - 1} / {n}): divided by N where N - 1 is due"),
        ):
            if math.isclose(factor, value, rel_tol=1e-5) and not math.isclose(value, 2):
                return f"off by the same factor everywhere, {name}"
    if want.size == 1 and _known(factor, CONSTANTS) == f"{factor:.4g}":
        return None  # any two numbers have a ratio
    return f"off by the same factor everywhere, {_known(factor, CONSTANTS)}"


def _line(got: np.ndarray, want: np.ndarray) -> tuple[float, float]:
    """(slope, start) of got = slope · want + start, or zeros."""
    x, y = want.ravel(), got.ravel()
    if x.size < 3 or x.dtype.kind not in "fiu" or y.dtype.kind not in "fiu" or np.ptp(x) == 0:
        return 0.0, 0.0
    slope, start = np.polyfit(x, y, 1)
    return (slope, start) if np.allclose(slope * x + start, y, 1e-6, 1e-9) else (0.0, 0.0)


def _shifted(got: np.ndarray, want: np.ndarray, tolerance: float) -> str | None:
    for axis in range(want.ndim):
        if want.shape[axis] < 4:
            continue
        g, w = np.moveaxis(got, axis, 0), np.moveaxis(want, axis, 0)
        if np.ptp(w) == 0:
            continue
        if near(g[1:], w[:-1], tolerance):
            return f"one late along axis {axis}: number i holds what belongs at i - 1"
        if near(g[:-1], w[1:], tolerance):
            return f"one early along axis {axis}: number i holds what belongs at i + 1"
    return None


def _partly(got: np.ndarray, want: np.ndarray, tolerance: float) -> str | None:
    """Where it is right and where not."""
    good = np.isclose(got, want, rtol=tolerance, atol=tolerance)
    if not good.any() or want.ndim == 0:
        return None
    signs = np.isclose(np.abs(got), np.abs(want), rtol=tolerance, atol=tolerance)
    if signs.all():
        return "some have the wrong sign"
    if (want[~good] < 0).all() and (want[good] >= 0).all():
        return "right where the right value is not negative, wrong where it is"
    if (want[~good] >= 0).all() and (want[good] < 0).all():
        return "right where the right value is negative, wrong where it is not"
    for axis in range(want.ndim):
        each = np.moveaxis(good, axis, 0).reshape(want.shape[axis], -1).all(1)
        n = len(each)
        along = f" along axis {axis}" if want.ndim > 1 else ""
        if each.any() and not each.all() and n > 1:
            first = int(np.argmin(each))
            if n > 2 and each[1:].all():
                return f"all are right but the first{along}"
            if n > 2 and each[:-1].all():
                return f"all are right but the last{along}"
            if n > 3 and each[1:-1].all():
                return f"all are right but the first and the last{along}: look at the edges"
            if not each[first:].any():
                return f"the first {first} of {n} are right{along}, none after them"
            if not each[: int(np.argmax(each))].any() and each[int(np.argmax(each)) :].all():
                return f"wrong for the first {int(np.argmax(each))} of {n}{along}, right after them"
    return None


def share_reason(got: np.ndarray, want: np.ndarray, tolerance: float) -> str | None:
    """How many are right, where some are: the least that can be said."""
    good = np.isclose(got, want, rtol=tolerance, atol=tolerance)
    whole = want.dtype.kind in "iu" and np.abs(got - want).max() <= 1
    others = ", the others one too high or too low: a border, or what is rounded" if whole else ""
    return f"{good.sum()} of {good.size} are right{others}" if want.ndim and good.any() else None


def value_reason(
    got: np.ndarray, want: np.ndarray, tolerance: float, sizes: tuple[int, ...] = ()
) -> str | None:
    """The first thing that explains how numbers of the right shape differ, or None.

    sizes: lengths of the inputs, to recognise a sum where a mean is due.

    >>> value_reason(np.array([-1.0, 2.0]), np.array([1.0, -2.0]), 1e-8)
    'this is minus the right value: the sign'
    """
    with np.errstate(all="ignore"):
        bad = ~np.isfinite(got) & np.isfinite(want)
        if bad.any():
            here = tuple(int(i) for i in np.argwhere(bad)[0])
            where = "" if got.ndim == 0 else f" at {list(here)}"
            what = "NaN" if np.isnan(got[here]) else "infinite"
            share = "" if got.size == 1 else f" ({bad.sum()} of {got.size} values are not finite)"
            return f"NaN or infinite values: {what}{where}{share}"
        if got.dtype.kind in "iub" and want.dtype.kind == "f" and (want != np.round(want)).any():
            for cut in (np.trunc, np.round, np.floor):
                if np.array_equal(got, cut(want)):
                    return f"the right values, but cut to whole numbers ({got.dtype})"
        if near(got, want, 1e-3) and not near(got, np.zeros_like(want), 1e-3):
            return "nearly right: rounded somewhere, approximated, or a small term is missing"
        if got.size and np.abs(want).max() > 1e-9 and np.abs(got).max() < 1e-12:
            return (
                "zero: nothing is added up"
                if want.size > 1
                else "it is zero, the right value is not"
            )
        constant = want.size > 1 and (np.ptp(want) == 0 if want.dtype.kind in "iuf" else False)
        if want.size > 1 and not constant and np.ptp(got.real) == 0 and np.ptp(got.imag) == 0:
            first = got.ravel()[0]
            return f"the same number everywhere, {first:.6g}, but the right values differ"
        for value, reason in _rewritten(want):
            if near(got, value, tolerance) and not (want.size == 1 and not want.any()):
                return reason
        factor = _factor(got, want, sizes)
        if factor:
            return factor
        off = (got - want).ravel()
        known = _known(abs(float(off[0].real)), OFFSETS)
        if (off.size > 1 or known in OFFSETS) and np.allclose(
            off, off[0], rtol=1e-6, atol=tolerance
        ):
            return f"off by the same constant everywhere, {off[0]:.4g}{_named(off[0].real)}"
        slope, start = _line(got, want)
        if slope:
            return f"it is {slope:.4g} times the right value, plus {start:.4g}"
        shifted = _shifted(got, want, tolerance)
        if shifted:
            return shifted
        if want.ndim and want.size > 2 and near(np.sort(got, None), np.sort(want, None), tolerance):
            return "the right values in the wrong order"
        return _partly(got, want, tolerance)


def _other_inputs(value: Any) -> Iterator[tuple[Any, str]]:
    """What an input may be taken for."""
    if callable(value):
        yield from _other_functions(value)
    if isinstance(value, (bool, str)) or callable(value):
        return
    if isinstance(value, int):
        yield value - 1, "one less"
        yield value + 1, "one more"
        yield 2 * value, "twice what it is"
        yield value // 2, "half of what it is"
        # none so large that a table of so many rows and columns fills the memory
        for number in FIXED:
            if number > 64 * max(value, 4):
                break
            yield number, f"{number}, whatever it is: is a number fixed?"
        return
    if isinstance(value, float):
        yield float(int(value)), "cut to a whole number"
        for number in (0.01, 0.05, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999):
            yield number, f"{number}, whatever it is: is a number fixed?"
    if isinstance(value, (list, tuple)) and len(value) > 1:
        yield value[:1], "its first entry alone"
        yield value[-1:], "its last entry alone"
        yield value[:-1], "without its last entry"
        yield value[1:], "without its first entry"
    kind = str(getattr(value, "dtype", type(value).__name__)).replace("torch.", "")
    if kind.startswith("int"):
        yield value + 1, "one more"
        yield value - 1, "one less"
    if kind.startswith("float"):
        yield value * 0, "zero: it is not used, or its term is missing"
        yield -value, "negative: a sign"
        yield value * 0 + 1, "one: it is not used, or a factor is missing"
        yield 2 * value, "twice what it is"
        yield 0.5 * value, "half of what it is"
        yield 3 * value, "three times what it is"
        yield 4 * value, "four times what it is"
        yield value**2, "its square"
        yield abs(value), "without its sign"
        yield abs(value) ** 0.5, "its square root"
        yield value.round() if hasattr(value, "round") else round(value), "rounded to whole numbers"
        yield value + 1, "one more"
        yield value - 1, "one less"
        yield 1 / value, "one over it"
        yield 1 - value, "one minus it"
        exp = getattr(value, "exp", None)
        yield exp() if exp else np.exp(value), "its exponential"
        log = getattr(abs(value), "log", None)
        yield log() if log else np.log(abs(value)), "its logarithm"
    if getattr(value, "ndim", 0):
        flip = value.flip if hasattr(value, "flip") else lambda axis: np.flip(value, axis).copy()
        for axis in range(value.ndim):
            along = f" along axis {axis}" if value.ndim > 1 else ""
            yield flip(axis), f"reversed{along}"
            roll = value.roll if hasattr(value, "roll") else lambda n, a: np.roll(value, n, a)
            yield roll(1, axis), f"moved by one, later{along}"
            yield roll(-1, axis), f"moved by one, earlier{along}"
        if value.ndim > 1 and value.shape[-1] == value.shape[-2]:
            yield value.swapaxes(-1, -2), "transposed"
            eye = (
                (value * 0 + 1).tril(0).triu(0) if hasattr(value, "tril") else np.eye(len(value.T))
            )
            yield value * eye, "only its diagonal"


def _other_functions(function: Callable) -> Iterator[tuple[Callable, str]]:
    """What a function of two results, such as a network's mean and log-scale, may be taken for."""
    for change, name in (
        (lambda m, s: (s, m), "one with its two results exchanged"),
        (lambda m, s: (-m, s), "one whose first result is negative: a sign"),
        (lambda m, s: (0 * m, s), "one whose first result is zero: it is not used"),
        (lambda m, s: (m, -s), "one whose second result is negative: a sign"),
        (lambda m, s: (m, 0 * s), "one whose second result is zero: it is not used"),
        (lambda m, s: (m, 2 * s), "one whose second result is twice what it is"),
        (lambda m, s: (m, s / 2), "one whose second result is half of what it is"),
        (lambda m, s: (m, s.abs().log()), "one whose second result is its logarithm: is an exponential missing?"),
    ):  # fmt: skip
        yield lambda *inputs, change=change: change(*function(*inputs)), name
    yield lambda *inputs: function(*(0 * v for v in inputs)), "one that is given zeros"


def input_reason(
    got: np.ndarray,
    right: Callable[..., np.ndarray],
    case: Sequence,
    names: Sequence[str],
    tolerance: float,
) -> str | None:
    """Which other inputs would give these numbers: an argument that is not used, or with another sign, …"""
    with np.errstate(all="ignore"), suppress(Exception):
        want = right(*case)
        if got.shape != want.shape or not np.isfinite(got).all() or not got.any():
            return None
        for k, value in enumerate(case):
            for other, name in _other_inputs(value):
                with suppress(Exception):  # an input that the right function cannot take
                    twin = right(*case[:k], other, *case[k + 1 :])
                    if near(got, twin, tolerance) and not near(got, want, tolerance):
                        return f"as if `{names[k]}` were {name}"
        for i in range(len(case)):
            for j in range(i):
                swapped = list(case)
                swapped[i], swapped[j] = case[j], case[i]
                with suppress(Exception):
                    if near(got, right(*swapped), tolerance):
                        return f"`{names[j]}` and `{names[i]}` are exchanged"
        return _term_reason(got, want, case, names)
    return None


def _terms(case: Sequence, names: Sequence[str], shape: tuple[int, ...]) -> Iterator[tuple]:
    """(numbers of this shape made of one input, their name)."""
    for value, name in zip(case, names, strict=True):
        if isinstance(value, (bool, str)) or not (
            isinstance(value, (int, float)) or hasattr(value, "ndim")
        ):
            continue
        value = np.asarray(value.detach() if hasattr(value, "detach") else value, dtype=float)
        for f, word in ((value, f"`{name}`"), (value**2, f"`{name}`²"), (np.exp(value), f"exp `{name}`"),
                        (np.log(np.abs(value)), f"log `{name}`"), (np.abs(value), f"|`{name}`|")):  # fmt: skip
            if f.ndim == 0 or f.shape == shape:
                yield f, word
            for axis in range(f.ndim):
                if f.sum(axis).shape == shape or f.ndim == 1:
                    yield f.sum(axis), f"the sum of {word}"


def _term_reason(
    got: np.ndarray, want: np.ndarray, case: Sequence, names: Sequence[str]
) -> str | None:
    """Whether a term or a factor made of one input is too many or missing."""

    def constant(values: np.ndarray) -> float | None:
        values = np.ravel(values)
        first = float(values[0])
        same = np.isfinite(first) and abs(first) > 1e-9 and np.allclose(values, first, 1e-6, 0)
        return first if same else None

    terms = list(_terms(case, names, want.shape))
    for term, word in terms:
        for power, said in ((1, "multiplied by"), (-1, "divided by")):
            ratio = constant(got / want / term**power)
            if (
                ratio
                and math.isclose(abs(ratio), 1, rel_tol=1e-6)
                and not np.allclose(np.abs(term), 1)
            ):
                return f"it is the right value {said} {'minus ' if ratio < 0 else ''}{word}"
    for i, (one, word) in enumerate(terms):
        for two, other in terms[:i]:
            for power, said in ((1, "times"), (-1, "over")):
                for sign, doing in ((1, "multiplied"), (-1, "divided")):
                    ratio = constant(got / want / (one * two**power) ** sign)
                    if (
                        ratio
                        and math.isclose(ratio, 1, rel_tol=1e-6)
                        and not np.allclose(got, want)
                    ):
                        return f"it is the right value {doing} by {word} {said} {other}"
    for term, word in terms:
        off = constant((got - want) / term) if want.size > 1 or term.ndim == 0 else None
        if (
            off
            and (want.size > 1 or off in (1, -1, 2, -2, 0.5, -0.5))
            and np.ptp(term) + (want.size < 2)
        ):
            return f"off by a term, {off:.4g} × {word}"
    return None


def across_reason(pairs: Sequence[tuple[np.ndarray, np.ndarray, tuple[int, ...]]]) -> str | None:
    """What all inputs have in common: the same factor, or the same constant for each of so many values.

    pairs: (got, want, lengths of the inputs) of every case.
    """
    if len(pairs) < 3 or any(got.shape != want.shape or not got.size for got, want, _ in pairs):
        return None
    if not all(np.isfinite(got).all() for got, *_ in pairs):
        return None
    off = [np.ravel(got - want) for got, want, _ in pairs]

    def constant(values: list[np.ndarray]) -> float | None:
        every = np.concatenate(values)
        every = every[~np.isnan(every)]  # 0 / 0
        first = float(every[0]) if every.size else 0.0
        same = np.isfinite(first) and abs(first) > 1e-9 and np.allclose(every, first, 1e-5, 1e-9)
        return first if same else None

    value = constant([np.ravel(got / want) for got, want, _ in pairs])
    if value and not math.isclose(value, 1, rel_tol=1e-5):
        return f"always {_known(value, CONSTANTS)} times the right value"
    if value := constant(off):
        return f"off by {value:.4g}{_named(value)}, whatever the inputs"
    for k in range(min(len(sizes) for *_, sizes in pairs)):
        lengths = [sizes[k] for *_, sizes in pairs]
        if len(set(lengths)) > 1:
            for less in range(min(3, min(lengths))):
                each = [v / (n - less) for v, n in zip(off, lengths, strict=True)]
                if value := constant(each):
                    count = f"length number {k + 1} of the inputs" + (
                        f" less {less}" if less else ""
                    )
                    return (
                        f"off by {value:.4g}{_named(value)} times the {count}: a term of each value"
                    )
    return None


def _named(value: float) -> str:
    name = _known(abs(value), OFFSETS)
    return f" ({name})" if name in OFFSETS and name not in ("1", "½") else ""
