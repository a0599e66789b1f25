"""The reader's function, called with care: on copies, without what the exercise forbids, and with the
reader's own line shown where it crashes."""

from __future__ import annotations

import functools
import importlib
import inspect
import linecache
import operator
import re
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

import numpy as np

PACKAGE = str(Path(__file__).parent.parent)
LIBRARIES = (PACKAGE, sysconfig.get_path("stdlib"), "site-packages", "dist-packages")
MODULES = ("numpy", "scipy", "torch", "minigen")  # where a forbidden function may live


class CheckFailed(AssertionError):
    """A check did not hold. In a notebook only its message shows, without a traceback.

    numbers: (what they are, the numbers) where no reason was found.
    """

    def __init__(self, message: str, numbers: tuple[str, np.ndarray] | None = None):
        super().__init__(message)
        self.numbers = numbers

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class Crash(CheckFailed):
    """The reader's function raised an error, which is kept in `error`."""

    def __init__(self, message: str, error: BaseException):
        super().__init__(message)
        self.error = error


class _Forbidden(BaseException):
    """No `except Exception` of the reader's stops it."""


def _as_kind(value: Any, right: Any) -> Any:
    """The value as an array or a tensor, if the right one is."""
    if isinstance(right, np.ndarray):
        return np.asarray(value)
    if hasattr(right, "detach"):  # a tensor, without importing torch
        return value if hasattr(value, "detach") else right.new_tensor(np.asarray(value).tolist())
    return value


# Copies, and what has become of them


def _copy(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    if hasattr(value, "detach") and hasattr(value, "clone"):  # a tensor, without importing torch
        return value.clone()
    if type(value) in (list, tuple):
        return type(value)(_copy(item) for item in value)
    if type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    return value


def _changed(before: Any, after: Any) -> bool:
    if hasattr(before, "detach"):
        before, after = before.detach().cpu().numpy(), after.detach().cpu().numpy()
    if isinstance(before, np.ndarray):
        return before.shape != after.shape or not np.array_equal(
            before, after, equal_nan=before.dtype.kind in "fc"
        )
    if type(before) in (list, tuple):
        return len(before) != len(after) or any(map(_changed, before, after))
    if type(before) is dict:
        return before.keys() != after.keys() or any(_changed(before[k], after[k]) for k in before)
    return before is not after and before != after  # in a list that was sorted, say


def _global_chance() -> list[bytes]:
    """The states of the global generators."""
    states = [np.random.get_state()[1].tobytes() + bytes([np.random.get_state()[2] % 256])]
    if "torch" in sys.modules:
        states.append(sys.modules["torch"].get_rng_state().numpy().tobytes())
    return states


class Reader:
    """Call a function of the reader's: `changed` collects the names of arguments that it changes.

    forbidden: dotted names that raise while it runs, under whatever name the reader knows them.
    """

    latest: tuple[list, list] = [], []  # arguments of the latest call of any, and their names

    def __init__(self, function: Callable, forbidden: tuple[str, ...] = ()):
        self.function, self.changed, self.global_chance = function, {}, False
        self.first: tuple | None = None  # the arguments of the first call
        self.kinds: list | None = None  # right results, where the reader's are of another kind
        self._places = list(_places(self, forbidden))

    def __call__(self, *args: Any) -> Any:
        given, chance = [_copy(value) for value in args], _global_chance()
        with _replaced(self._places):
            try:
                result = self.function(*given)
            except CheckFailed:
                raise
            except _Forbidden as error:
                raise CheckFailed(
                    f"✗ {error} is called{_line(error.__traceback__)}: the exercise asks you to do without"
                ) from None
            except Exception as error:  # whatever the reader's code raised
                raise crash(error, self.function) from error
        self.first = self.first or tuple(map(_copy, args))
        Reader.latest = list(args), [argument_name(self.function, k) for k in range(len(args))]
        for position, (before, after) in enumerate(zip(args, given, strict=True)):
            if _changed(before, after):
                self.changed[argument_name(self.function, position)] = True
        self.global_chance |= chance != _global_chance()
        if result is None:
            raise CheckFailed(f"✗ {self._named()} returns nothing (None): is the `return` missing?")
        return result

    def usable(self) -> Callable:
        """The function, with arrays and tensors where the right results are some: lists do not compute."""
        if self.kinds is None:
            return self.function

        @functools.wraps(self.function, updated=())
        def converted(*args: Any) -> Any:
            made = self.function(*args)
            if len(self.kinds) == 1:
                return _as_kind(made, self.kinds[0])
            return tuple(map(_as_kind, made, self.kinds))

        return converted

    def _named(self) -> str:
        name = getattr(self.function, "__name__", "<")
        return "your function" if "<" in name else f"your function `{name}`"


def argument_name(function: Callable, position: int) -> str:
    """What the reader calls an argument."""
    try:
        names = list(inspect.signature(getattr(function, "function", function)).parameters)
    except (TypeError, ValueError):  # built in
        names = []
    return names[position] if position < len(names) else f"number {position + 1}"


# What the exercise forbids


class _Stub:
    """Stands for a forbidden function or class: libraries may go on using it, the reader may not."""

    def __init__(self, name: str, original: Any):
        self._kept = (name, original)

    def _check(self) -> Any:
        name, original = self._kept
        if sys._getframe(2).f_globals.get("__name__", "").split(".")[0] not in MODULES:
            raise _Forbidden(f"`{name}`")
        return original

    def __call__(self, *args: Any, **names: Any) -> Any:
        if sys._getframe(1).f_globals is globals():  # what is forbidden is the answer itself
            raise _Forbidden(f"`{self._kept[0]}`")
        return self._check()(*args, **names)

    def __get__(self, instance: Any, owner: type) -> Any:  # as a method, x.slogdet()
        return self if instance is None else functools.partial(self._check(), instance)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._check(), name)


def _find(dotted: str) -> tuple[Any, str, Any] | None:
    """Its owner, its name there and itself; None where that library is not loaded."""
    path = dotted.split(".")
    if path[0] not in sys.modules:
        return None
    for n in range(len(path) - 1, 0, -1):
        try:
            owner = importlib.import_module(".".join(path[:n]))
        except ImportError:
            continue
        for name in path[n:-1]:
            owner = getattr(owner, name)
        return (owner, path[-1], getattr(owner, path[-1])) if hasattr(owner, path[-1]) else None
    return None


def _places(reader: Reader, forbidden: tuple[str, ...]) -> Iterator[tuple]:
    """(setter of a value, its original, its stub) wherever the reader could find a forbidden name."""
    stubs = {}
    for dotted in forbidden:
        if found := _find(dotted):
            owner, name, original = found
            stubs[id(original)] = original, _Stub(dotted, original)
            yield from _operators(dotted, stubs)
            if inspect.isclass(owner):  # a method: set it, and remove it again
                own = name in vars(owner)
                yield (
                    _setter(owner, name, None if own else original),
                    original,
                    _Stub(dotted, original),
                )
    if not stubs:
        return
    spaces = [
        vars(m) for name, m in list(sys.modules.items()) if name.split(".")[0] in MODULES and m
    ]
    for space in spaces:
        for key, value in list(space.items()):
            if id(value) in stubs and value is stubs[id(value)][0]:
                yield (lambda v, s=space, k=key: s.__setitem__(k, v)), *stubs[id(value)]
    yield from _held(reader, stubs)


def _operators(dotted: str, stubs: dict[int, tuple]) -> Iterator[tuple]:
    """The same of torch.ops, under which all that torch computes lies once more."""
    first, *_, name = dotted.split(".")
    if first != "torch":
        return
    aten = sys.modules["torch"].ops.aten
    for alias in (name, f"linalg_{name}", f"_linalg_{name}"):
        with suppress(AttributeError):  # no operator
            original = getattr(aten, alias)
            stub = stubs[id(original)] = original, _Stub(f"torch.ops.aten.{alias}", original)
            stubs[id(original.default)] = original.default, stub[1]
            yield (lambda v, a=alias: setattr(aten, a, v)), *stub


def _held(reader: Reader, stubs: dict[int, tuple]) -> Iterator[tuple]:
    """The places of forbidden names in all that the reader's function can reach: containers, functions, classes."""
    todo, seen = [reader], set()

    def hidden(value: Any) -> Any:
        """It, or its stub, or an immutable twin with stubs; what can be changed in place waits in `todo`."""
        if id(value) in stubs and value is stubs[id(value)][0]:
            return stubs[id(value)][1]
        if type(value) is tuple:
            new = tuple(map(hidden, value))
            return value if all(map(operator.is_, new, value)) else new
        if type(value) in (staticmethod, classmethod):
            new = hidden(value.__func__)
            return value if new is value.__func__ else type(value)(new)
        if type(value) is functools.partial:
            old = (value.func, value.args, value.keywords)
            func, args, words = map(hidden, old)
            todo.append(value.keywords)
            return (
                value
                if func is old[0] and args is old[1]
                else functools.partial(func, *args, **words)
            )
        if type(value) is types.MethodType:
            todo.extend((value.__self__, value.__func__))
            return value
        named = value if isinstance(value, (type, types.FunctionType)) else type(value)
        home = sys.modules.get(named.__module__)
        file = str(getattr(home, "__file__", None) or "")
        built_in = named.__module__ in sys.builtin_module_names
        if type(value) in (dict, list) or not (built_in or any(lib in file for lib in LIBRARIES)):
            todo.append(value)
        return value

    def items(holder: Any) -> Iterator[tuple[Callable, Any]]:
        """(setter, value) of all that it holds."""
        if type(holder) in (dict, list):
            pairs = holder.items() if type(holder) is dict else enumerate(holder)
            for key, value in list(pairs)[:1000]:
                yield (lambda v, k=key: holder.__setitem__(k, v)), value
            return
        if type(holder) is types.FunctionType:
            yield (lambda v: setattr(holder, "__defaults__", v)), holder.__defaults__
            for cell in holder.__closure__ or ():
                with suppress(ValueError):  # not bound yet
                    yield (lambda v, c=cell: setattr(c, "cell_contents", v)), cell.cell_contents
            todo.extend((holder.__globals__, holder.__kwdefaults__ or {}))
        yield (lambda v: None), type(holder)
        with suppress(TypeError):  # it has no attributes
            for name, value in list(vars(holder).items()):
                yield (lambda v, n=name: setattr(holder, n, v)), value

    while todo:
        holder = todo.pop()
        if id(holder) in seen:
            continue
        seen.add(id(holder))
        for put, value in items(holder):
            if (new := hidden(value)) is not value:
                yield put, value, new


def _setter(owner: type, name: str, inherited: Any) -> Callable:
    def put(value: Any) -> None:
        if value is inherited:
            delattr(owner, name)
        else:
            setattr(owner, name, value)

    return put


@contextmanager
def _replaced(places: list[tuple]) -> Iterator[None]:
    for put, _, stub in places:
        put(stub)
    try:
        yield
    finally:
        for put, original, _ in places:
            put(original)


# Where it crashed


def _own_frames(traceback: TracebackType | None) -> list[tuple[CodeType, int]]:
    """The frames of a traceback that lie in no library: the reader's."""
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.startswith("<frozen") and not any(
            library in code.co_filename for library in LIBRARIES
        ):
            frames.append((code, traceback.tb_lineno))
        traceback = traceback.tb_next
    return frames


def _line(traceback: TracebackType | None) -> str:
    frames = _own_frames(traceback)
    if not frames:
        return ""
    code, number = frames[-1]
    text = linecache.getline(code.co_filename, number).strip()
    file = Path(code.co_filename).name
    cell = re.match(r"<ipython-input-(\d+)|\d+\.py", file)
    place = "of your cell" if cell else f"of {file}"
    return f" in line {number} {place}" + (f", `{text}`" if text else "")


def _is_blank(code: CodeType, function: Any) -> bool:
    function = inspect.unwrap(function) if callable(function) else function
    if inspect.isclass(function):
        return any(getattr(value, "__code__", None) is code for value in vars(function).values())
    return getattr(function, "__code__", code) is code


def crash(error: BaseException, *functions: Any) -> Crash:
    """What to say of an error that the reader's code raised."""
    traceback = error.__traceback__
    last = traceback
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if isinstance(error, NotImplementedError) and last is not None and _own_frames(last):
        code = last.tb_frame.f_code
        if any(_is_blank(code, function) for function in functions):
            return Crash(
                "✗ still blank: replace the line `raise NotImplementedError(…)` with your code.",
                error,
            )
        return Crash(
            f"✗ your code calls `{code.co_name}`, which is still blank: solve that first", error
        )
    return Crash(f"✗ your code raised {type(error).__name__}{_line(traceback)}: {error}", error)


def check_crashed(error: BaseException, functions: tuple) -> CheckFailed:
    """An error outside the reader's calls: in a method of the reader's object, or in the check itself."""
    if _own_frames(error.__traceback__):
        return crash(error, *functions)
    return CheckFailed(
        f"✗ the check itself stopped, {type(error).__name__}: {error}. Either your function returned "
        "something of an unexpected kind, or the check is at fault, not you"
    )
