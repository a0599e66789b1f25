"""What every check is made of: it prints a line for each property that holds, and stops at the first
that does not, saying why."""

from __future__ import annotations

import copy
import functools
import io
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from typing import Any

import numpy as np

from .diagnosis import (
    across_reason,
    input_reason,
    near,
    shape_reason,
    share_reason,
    value_reason,
)
from .exercises import exercises, passed
from .properties import mixed_reason, output_reason, response_reason
from .reader import CheckFailed, Crash, Reader, argument_name, check_crashed
from .slips import Solution, in_words, solution


def exercise(
    number: str, name: str, forbid: Sequence[str] = (), own_chance: bool = False
) -> Callable:
    """Make a check of functions: each is called on copies, and whatever goes wrong is `CheckFailed`.

    Args:
        number, name: of the exercise, for the messages.
        forbid: dotted names that the reader must do without.
        own_chance: chance comes as an argument, so the global generators must not be used.

    >>> @exercise("0.1", "doubling")
    ... def doubling(double):
    ...     require(double(2) == 4, "2 becomes 4", "2 does not become 4")
    >>> doubling(lambda x: 2 * x)
    ✓ 2 becomes 4
    Exercise 0.1 (doubling) is solved.
    >>> doubling(lambda x: x + 1)
    Traceback (most recent call last):
        ...
    minigen.checks.reader.CheckFailed: ✗ 2 does not become 4
    """

    def wrap(check: Callable) -> Callable:
        @functools.wraps(check)
        def checked(*functions: Callable) -> None:
            readers = [Reader(function, tuple(forbid)) for function in functions]
            try:
                with np.errstate(all="ignore"):
                    check(*readers)
            except Crash as error:
                raise CheckFailed(f"✗ Exercise {number} ({name}) is{str(error)[1:]}"
                                  if "still blank: replace" in str(error) else str(error)
                ) from error.error  # fmt: skip
            except CheckFailed as error:
                reason = _slip(number, check, tuple(forbid), error.numbers) if error.numbers else ""
                raise CheckFailed(
                    f"{error}{reason}{_changes(readers, also=True)}"
                ) from error.__cause__
            except Exception as error:
                failed = check_crashed(error, functions)
                if "still blank: replace" in str(failed):
                    failed = CheckFailed(f"✗ Exercise {number} ({name}) is{str(failed)[1:]}")
                raise failed from error
            if changes := _changes(readers):
                raise CheckFailed(changes)
            if own_chance and any(reader.global_chance for reader in readers):
                raise CheckFailed(
                    "✗ chance: numbers are drawn from the global generator. Use what you are given, or "
                    "nobody can repeat it"
                )
            if _any_remembers(number, readers):
                raise CheckFailed(f"✗ {KEPT}")
            passed(number, tuple(reader.usable() for reader in readers))
            print(f"Exercise {number} ({name}) is solved.")

        checked.number = number
        return checked

    return wrap


def _changes(readers: Sequence[Reader], also: bool = False) -> str:
    names = ", ".join(f"`{name}`" for reader in readers for name in reader.changed)
    if not names:
        return ""
    if also:
        return f"\n  It also changes its input {names}: work on a copy"
    return (
        f"✗ the right values, but your function changes its input {names}, which the caller still "
        "needs: work on a copy, .copy() or .clone()"
    )


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
        value = value.detach().cpu().resolve_conj().numpy()
    if isinstance(value, (list, tuple)):
        value = [_array(item) if hasattr(item, "detach") else item for item in value]
    value = np.asarray(value)
    return value.astype(float) if value.dtype == bool else value


def _kind(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ + ("" if shape is None else f" of shape {tuple(shape)}")


def parts(answer: Any, *names: str) -> list:
    """The results of a function that returns several things, in any sequence."""
    many = isinstance(answer, Sequence) and not isinstance(answer, str)
    stacked = getattr(answer, "ndim", 0) > 0 and len(answer) == len(names)
    if not (many or stacked) or len(answer) != len(names):
        count = {2: "two", 3: "three"}.get(len(names), str(len(names)))
        what = f"{len(answer)} things" if many else f"a {_kind(answer)}"
        raise CheckFailed(
            f"✗ the result: return {count} things, {', '.join(names)}; this is {what}"
        )
    return list(answer)


def compare(
    got: Any,
    want: Any,
    what: str,
    tolerance: float = 1e-8,
    hints: Iterable[tuple[Any, str]] = (),
    given: str = "",
    sizes: tuple[int, ...] = (),
    as_if: Callable[[np.ndarray], str | None] = lambda got: None,
    otherwise: Callable[[], str | None] = lambda: None,
    quiet: bool = False,
) -> str:
    """Compare numbers; where they differ, say which typical mistake would give exactly these.

    Returns a remark on their digits, which it prints unless `quiet`.

    Args:
        got: the reader's number or array. want: the right one.
        what: its name in the messages.
        tolerance: relative to 1 + |want|.
        hints: (what a mistake would give, or a predicate of `got`; what to say then).
        given: the inputs, in words. sizes: their lengths.
        as_if: says which other inputs would give this. otherwise: says why, where the numbers alone do not.

    >>> compare(-1.8379, -0.9189, "log density", 1e-3, [(-1.8379, "½ counted twice")])
    Traceback (most recent call last):
        ...
    minigen.checks.reader.CheckFailed: ✗ log density: ½ counted twice
    """
    try:
        got, want = _array(got), _array(want)
    except ValueError:  # rows of unequal lengths
        raise CheckFailed(f"✗ {what}: its rows are not equally long") from None
    if not np.issubdtype(got.dtype, np.number):
        raise CheckFailed(f"✗ {what}: expected numbers, got {type(got).__name__} of {got.dtype}")
    if near(got, want, tolerance) and got.dtype.kind != "c":
        if not quiet:
            ok(f"{what} is right")
        return ""
    if got.dtype == np.float32 and want.dtype == np.float64 and near(got, want, 3e-6):
        less = "the inputs are float64: dtype=x.dtype keeps all"
        return _digits(what, less, quiet)
    if _trying:
        raise CheckFailed(what, (what, got))
    for mistake, explanation in hints:
        if _is(mistake, got, tolerance):
            raise CheckFailed(f"✗ {what}: {explanation}")
    if got.dtype == want.dtype == np.float64 and got.shape == want.shape and near(got, want, 3e-7):
        less = "torch.tensor(0.1), or an integer tensor times 0.1, is float32: .double() keeps all"
        return _digits(what, less, quiet)
    wrong = f"✗ {what}{given}: "
    if reason := as_if(got):
        raise CheckFailed(f"{wrong}{reason}")
    if got.shape != want.shape:
        raise CheckFailed(
            f"{wrong}expected shape {want.shape}, got {got.shape}: {shape_reason(got, want)}"
        )
    if got.dtype.kind == "c" and want.dtype.kind != "c":
        raise CheckFailed(f"{wrong}complex numbers, but real ones are wanted")
    reason = (
        value_reason(got, want, tolerance, sizes)
        or mixed_reason(got, want, *Reader.latest)
        or output_reason(got, want)
        or otherwise()
    )
    shown = reason or share_reason(got, want, tolerance)
    first = np.argwhere(~np.isclose(got, want, rtol=tolerance, atol=tolerance))
    where = f" at {first[0].tolist()}" if got.ndim and len(first) else ""
    here = tuple(first[0]) if len(first) else ()
    numbers = f"expected {want[here]:.6g}, got {got[here]:.6g}{where}"
    message = f"{wrong}{shown} ({numbers})" if shown else f"{wrong}{numbers}"
    raise CheckFailed(message, None if reason else (what, got))


_trying = False  # slips of the book's answer: then nothing is explained


def _slip(number: str, check: Callable, forbid: tuple, numbers: tuple[str, np.ndarray]) -> str:
    """Which one slip in the book's answer gives the same wrong numbers."""
    global _trying
    book = _book(number)
    if _trying or book is None:
        return ""
    what, got = numbers
    _trying = True
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            for _, node, new, definitions in book.changed():
                with suppress(Exception):
                    try:
                        check(*(Reader(f, forbid) for f in book.functions(definitions)))
                    except CheckFailed as error:
                        its, values = error.numbers or ("", None)
                        if its == what and near(values, got, 1e-6):
                            return f"\n  The book's answer gives these numbers with one slip: {in_words(node, new)}"
    finally:
        _trying = False
    return ""


def _book(number: str) -> Solution | None:
    """The book's answer; none to a project, nor to what only a test calls an exercise."""
    return solution(number) if number[0].isdigit() and number in exercises() else None


def _digits(what: str, less: str, quiet: bool) -> str:
    remark = f", to the digits of float32 ({less})"
    if not quiet:
        ok(f"{what} is right{remark}")
    return remark


def _is(mistake: Any, got: np.ndarray, tolerance: float) -> bool:
    """Whether these are the numbers that a mistake gives."""
    if not callable(mistake):
        return near(got, _array(mistake), tolerance)
    with suppress(ValueError, IndexError):  # of another shape than it expects
        return bool(mistake(got))
    return False


def responds(function: Callable, right: Callable, *case: Any) -> Callable[[], str | None]:
    """For `compare`'s `otherwise`: how the reader's function responds to its inputs, and the right one does not."""
    names = [argument_name(function, k) for k in range(len(case))]
    one, two = (lambda *args, f=f: _array(f(*args)) for f in (function, right))
    return lambda: response_reason(one, two, [case], names)


def turned(function: Callable, *names: str) -> Callable:
    """The function with its results in reverse order: where a wrong last one makes the first wrong, too."""

    def reverse(*args: Any) -> list:
        return parts(function(*args), *names)[::-1]

    # the reader's names of the arguments
    reverse.function = getattr(function, "function", function)
    return reverse


def _describe(case: Sequence) -> str:
    """The inputs of a case in words: shapes, and numbers as they are."""
    words = []
    for value in case:
        shape = getattr(value, "shape", None)
        if shape is not None and len(shape):
            words.append(f"shape {tuple(shape)}")
        elif isinstance(value, (int, float, str)) or shape == ():
            words.append(
                f"{float(value):.4g}" if not isinstance(value, (int, str)) else f"{value!r}"
            )
        elif isinstance(value, (list, tuple)):
            words.append(f"a list of {len(value)}")
    return f", for inputs {', '.join(words)}" if words else ""


def _sizes(case: Sequence) -> tuple[int, ...]:
    shapes = [getattr(value, "shape", ()) for value in case]
    return tuple(n for shape in shapes for n in shape)


def agree(
    function: Callable,
    right: Callable,
    cases: Iterable[Sequence],
    what: str | Sequence[str],
    tolerance: float = 1e-8,
    hints: Iterable[tuple[Any, str]] | Mapping[str, Iterable[tuple[Any, str]]] = (),
    steady: Sequence[int] = (),
) -> None:
    """Compare a function with the right one on many inputs; where they differ, say why.

    Args:
        function: the reader's. right: the right one, of the same arguments.
        cases: tuples of arguments.
        what: the name of the result, or those of several results.
        hints: (what a mistake would give for the first case, or a predicate; what to say then); for several
            results {name: its hints}.
        steady: positions of arguments that may not be louder or quieter, such as probabilities. All others are, one by
            one, in the first case: so that nothing is cut, and no floor stands under it, where the cases do not reach.
    """
    names = [what] if isinstance(what, str) else list(what)
    tables = {what: hints} if isinstance(what, str) else dict(hints)
    cases, remarks = [tuple(case) for case in cases], {}

    def split(answer: Any) -> list:
        return [answer] if isinstance(what, str) else parts(answer, *names)

    def hold(number: int, case: Sequence, change: str = "") -> None:
        got, want = split(function(*case)), split(right(*case))
        given = _describe(case) + (
            ", though right for the inputs before (is something fixed that should follow them?)"
            if number and not change
            else change
        )
        for n, name in enumerate(names):

            def as_if(
                values: np.ndarray, n: int = n, case: Sequence = case, want: list = want
            ) -> str | None:
                for m, twin in enumerate(what if len(want) > 1 else ()):
                    if m != n and near(values, _array(want[m]), tolerance):
                        return f"this is what belongs at place {m + 1}: {twin}"
                answer = lambda *args: _array(split(right(*args))[n])
                names = [argument_name(function, k) for k in range(len(case))]
                reason = input_reason(values, answer, case, names, max(tolerance, 1e-6))
                if reason and np.size(want[n]) == 1 and not stands(reason, answer, names, n, case):
                    reason = None
                return reason or in_common(n)

            def stands(reason: str, answer: Callable, names: Sequence, n: int, here: Any) -> bool:
                """Whether it explains another input, too: of one number much can be said by chance."""
                told = []
                for other in (c for c in cases if c is not here):
                    with suppress(Exception):  # the reader's function stops at it
                        values, due = _array(split(function(*other))[n]), answer(*other)
                        if due.size == 1 and not near(values, due, tolerance):
                            told.append(input_reason(values, answer, other, names, tolerance))
                return reason in told or not told

            def in_common(n: int) -> str | None:
                with suppress(Exception):  # the reader's function stops at one of them
                    return across_reason(
                        [
                            (_array(split(function(*c))[n]), _array(split(right(*c))[n]), _sizes(c))
                            for c in cases
                        ]
                    )
                return None

            def otherwise(n: int = n, case: Sequence = case) -> str | None:
                part = lambda f: lambda *args: _array(split(f(*args))[n])
                with suppress(Exception):
                    once, again = part(function)(*case), part(function)(*case)
                    if not np.array_equal(once, again, equal_nan=once.dtype.kind == "f"):
                        return "the same inputs give other numbers when asked again: draw none of your own"
                some = [case, *(c for c in cases if c is not case and len(c) == len(case))][:3]
                names = [argument_name(function, k) for k in range(len(case))]
                return response_reason(part(function), part(right), some, names)

            told, sizes = () if number else tables.get(name, ()), _sizes(case)
            allowed = tolerance if number < len(cases) else max(tolerance, 1e-6)
            digits = compare(
                got[n], want[n], name, allowed, told, given, sizes, as_if, otherwise, True
            )
            remarks[name] = digits or remarks.get(name, "")
            whole = np.ndim(want[n]) and _array(want[n]).dtype.kind in "iu"
            if whole and _array(got[n]).dtype.kind == "f":
                raise CheckFailed(
                    f"✗ {name}: whole numbers are wanted, these are {_array(got[n]).dtype}: .astype(int)"
                )

    for number, case in enumerate(cases):
        hold(number, case)
    if isinstance(function, Reader):
        pairs = list(zip(split(function(*cases[0])), split(right(*cases[0])), strict=True))
        if any(not isinstance(a, type(b)) for a, b in pairs):
            function.kinds = [b for _, b in pairs]
    if _remembers(
        lambda *args: split(function(*args)), lambda *args: split(right(*args)), cases[0]
    ):
        raise CheckFailed(f"✗ {names[0]}: {KEPT}")
    for k, how, case in _stretched(right, cases[0], steady):
        why = "though right before: is something cut off, or is there a floor?"
        hold(len(cases), case, f", with `{argument_name(function, k)}` {how}, {why}")
    count = f", for {len(cases)} inputs" if len(cases) > 1 else ""
    for name in names:
        ok(f"{name} is right{count}{remarks[name]}")


def _stretched(right: Callable, case: Sequence, steady: Sequence[int]) -> Iterator[tuple]:
    """(which argument, how it is changed, the case) with one argument larger or smaller, where the right answer is finite."""
    for k, value in enumerate(case):
        kind = str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.")
        if k in steady or not kind.startswith("float"):
            continue
        for factor in (8, 1 / 8) if getattr(value, "ndim", 0) else (1 / 8,):
            twin = (*case[:k], factor * value, *case[k + 1 :])
            with suppress(Exception):  # an input that the right one cannot take
                if np.isfinite(
                    np.concatenate([np.ravel(_array(v)) for v in _flat(right(*twin))])
                ).all():
                    yield k, "8 times as large" if factor == 8 else "an eighth of what it was", twin


def _flat(answer: Any) -> Sequence:
    return answer if isinstance(answer, (tuple, list)) else [answer]


KEPT = (
    "for other inputs of the same shapes the answer stays that of earlier ones: is one kept, or is chance seeded by "
    "what does not belong to it?"
)


def _any_remembers(number: str, readers: Sequence[Reader]) -> bool:
    """Whether a function that passed answers by the shapes of its inputs: the book's shows what should move."""
    book = _book(number)
    if book is None:
        return False
    with redirect_stdout(io.StringIO()):
        right = book.functions()
    return any(
        _remembers(
            lambda *a, f=reader.function: _flat(f(*a)),
            lambda *a, f=twin: _flat(f(*a)),
            reader.first,
        )
        for reader, twin in zip(readers, right, strict=True)
        if reader.first is not None
    )


def _remembers(yours: Callable, right: Callable, case: Sequence) -> bool:
    """Whether an answer does not move with any input by which the right one does."""
    if any(callable(v) or hasattr(v, "bit_generator") or hasattr(v, "manual_seed") for v in case):
        return False
    moved, first = False, None
    for k, value in enumerate(case):
        kind = str(getattr(value, "dtype", "")).removeprefix("torch.")
        if not kind.startswith(("float", "int")):
            continue
        if not value.ndim:
            continue
        flipped = value.flip(0) if hasattr(value, "flip") else np.flip(value, 0).copy()
        more = value * 1.25 if kind.startswith("float") else value + 1
        for other in (more, flipped):
            twin = [*case[:k], other, *case[k + 1 :]]
            with suppress(Exception):  # an input that one of them cannot take
                before, due = map(_array, right(*case)), map(_array, right(*twin))
                if all(np.allclose(a, b, 1e-3, 1e-6) for a, b in zip(before, due, strict=True)):
                    continue
                first = first or [_array(part) for part in yours(*case)]
                if not all(map(np.array_equal, first, [_array(part) for part in yours(*twin)])):
                    return False
                moved = True
    return moved


def finds_bugs(
    is_right: Callable,
    right: Iterable[tuple[Sequence, str]],
    bugs: Iterable[tuple[Sequence, str]],
    contract: str,
) -> None:
    """A reader's test passes what is right and refuses what has a planted bug.

    Args:
        is_right: the reader's test, which returns True or False.
        right: (the test's arguments, what they are in words), of things that are right; of several with the same words
            one tick is printed.
        bugs: (the test's arguments, what is wrong with them).
        contract: what a right one does, said to a reader whose test refuses it.

    >>> halves = [((lambda x: x / 2,), "a half")], [((lambda x: x - 2,), "it subtracts")], "f(x) = x / 2"
    >>> finds_bugs(lambda f: f(6) == 3, *halves)
    ✓ your test passes a half
    ✓ it finds the planted bug
    >>> finds_bugs(lambda f: f(4) == 2, *halves)
    Traceback (most recent call last):
        ...
    minigen.checks.reader.CheckFailed: ✗ your test passes one with a bug: it subtracts
    """
    right, bugs = list(right), list(bugs)

    def verdict(arguments: Sequence) -> bool:
        answer = is_right(*arguments)
        size = np.asarray(answer).size  # np.size of a tensor is a method
        if size != 1:
            raise CheckFailed(f"✗ your test: return one True or False, not {size} values")
        return bool(answer)

    passed: dict[str, bool] = {}
    for arguments, words in right:
        if not verdict(arguments):
            luck = ", with other luck of the draw" if words in passed else ""
            raise CheckFailed(f"✗ your test refuses {words}{luck}: {contract}")
        passed[words] = True
    for words in passed:
        ok(f"your test passes {words}")
    for arguments, wrong in bugs:
        if verdict(arguments):
            raise CheckFailed(f"✗ your test passes one with a bug: {wrong}")
    if not verdict(right[0][0]):
        raise CheckFailed(
            f"✗ your test passed {right[0][1]}, and refuses it now: does it keep anything from one call to the next?"
        )
    kinds = len({wrong for _, wrong in bugs})
    ok(f"it finds all {kinds} planted bugs" if kinds > 1 else "it finds the planted bug")


def nudged(function: Callable, at: Sequence[float], by: Any, part: int | None = None) -> Callable:
    """The function, but for one number of its result, or of part number `part` of that, which is `by` too large.

    Args:
        at: for each axis of the result how far along it that number stands, 0 first, 1 last.
        by: a number, or a function of the same arguments which gives it.

    >>> nudged(lambda x: 2 * x, [1], 0.5)(np.ones(3))
    array([2. , 2. , 2.5])
    """

    def off(*args: Any) -> Any:
        result = function(*args)
        value = result if part is None else result[part]
        there = 0 * value if isinstance(value, np.ndarray) else value.new_zeros(value.shape)
        there[tuple(round(far * (n - 1)) for far, n in zip(at, value.shape, strict=True))] = 1
        new = value + there * (by(*args) if callable(by) else by)
        return new if part is None else tuple(new if k == part else v for k, v in enumerate(result))

    return off


PLACES = {0.0: "first", 0.5: "middle", 1.0: "last"}


def nudges(
    owner: Any,
    words: str,
    axes: int,
    by: Any,
    part: int | None = None,
    method: str = "",
    places: Iterable[float] = PLACES,
) -> list[tuple[Any, str]]:
    """(a function, or an object with one method, that is `nudged` at one place, what is wrong with it) for all places.

    Args:
        words: with {} for the place along each of the `axes`.

    >>> off = nudges(lambda x: (2 * x,), "the {} is off", 1, 0.5, 0)
    >>> [f(np.ones(3))[0].tolist() for f, _ in off], off[2][1]
    ([[2.5, 2.0, 2.0], [2.0, 2.5, 2.0], [2.0, 2.0, 2.5]], 'the last is off')
    """
    found = []
    for at in itertools.product(places, repeat=axes):
        twin = nudged(getattr(owner, method) if method else owner, at, by, part)
        if method:
            twin, changed = copy.copy(owner), twin
            setattr(twin, method, changed)
        found.append((twin, words.format(*(PLACES[far] for far in at))))
    return found


def _is_number(value: Any) -> bool:
    return np.ndim(value) == 0 and isinstance(getattr(value, "item", lambda: value)(), (int, float))


_made: dict[tuple, Any] = {}


def made_once(function: Callable, what: object, make: Callable[[], Any]) -> Any:
    """What training with the reader's function made, under a name: in its check, or now."""
    key = getattr(function, "function", function), what
    if key not in _made:
        _made[key] = make()
    return _made[key]


def number(value: Any, what: str) -> float:
    """One number that a reader's function returned; a failure if it is another thing.

    >>> number(np.float32(3), "the count")
    3.0
    >>> number([3, 4], "the count")
    Traceback (most recent call last):
        ...
    minigen.checks.reader.CheckFailed: ✗ the count: one number is wanted, this is a list
    """
    if not _is_number(value):
        raise CheckFailed(f"✗ {what}: one number is wanted, this is a {_kind(value)}")
    return float(value)


def predicts(prediction: Callable, questions: Mapping[str, tuple[float | str, float, str]]) -> None:
    """A reader's prediction, made before the run, against what the run gives.

    Args:
        prediction: the reader's; without arguments, it returns {question: number or word}.
        questions: {question: (what the run gives, relative tolerance, why it does)}. A word has no tolerance.

    >>> questions = {"dB": (6.02, 0.01, "a factor of two in amplitude is four in power")}
    >>> predicts(lambda: {"dB": 6}, questions)
    ✓ dB: you predicted 6, and the run gives 6.02
    >>> predicts(lambda: {"dB": 3}, questions)
    Traceback (most recent call last):
        ...
    minigen.checks.reader.CheckFailed: ✗ dB: the run does not give 3. Think again: a factor of two in amplitude is four in power
    """
    given = prediction()
    if not isinstance(given, Mapping) or set(given) != set(questions):
        raise CheckFailed(f"✗ the prediction: return one answer for each of {', '.join(questions)}")
    for question, (truth, tolerance, why) in questions.items():
        guess = given[question]
        word = isinstance(truth, str)
        if word != isinstance(guess, str) or not (word or _is_number(guess)):
            kind = "a word" if word else "a number"
            raise CheckFailed(f"✗ {question}: expected {kind}, got {guess!r}")
        close = (
            guess.strip().lower() == truth if word else abs(guess - truth) <= tolerance * abs(truth)
        )
        guess, run = (guess, truth) if word else (f"{guess:.4g}", f"{truth:.4g}")
        require(
            close,
            f"{question}: you predicted {guess}, and the run gives {run}",
            f"{question}: the run does not give {guess}. Think again: {why}",
        )
