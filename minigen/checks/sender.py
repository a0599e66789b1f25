"""A sender that passes nothing but what it returns: it runs in a copy of the process, whose memory nobody sees."""

from __future__ import annotations

import gc
import io
import os
import pickle
import select
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from .reader import CheckFailed, Reader

STREAM = io.IOBase.__base__  # of all streams; `io.IOBase` itself asks each type at length
PATIENCE = 60.0  # seconds that a copy may take; then it runs here
WAYS_OUT = {"mmap.__new__", "os.link", "os.mkdir", "os.rename", "os.symlink", "os.system"} | {
    "socket.bind",
    "socket.connect",
    "sqlite3.connect",
    "subprocess.Popen",
}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


def sent_alone(
    sender: Callable, readers: Sequence[Reader], inputs: Sequence[tuple], other: tuple
) -> list[bytes]:
    """What the sender makes of each input; a failure if it leaves anything behind but the bytes.

    Args:
        sender: made of `readers`, the reader's functions.
        inputs: its arguments, call by call.
        other: arguments of a call before, whose result nobody gets: tables that are built once are built then.
    """
    streams = _streams()
    _sent(sender, readers, [other], streams)
    work = lambda: _sent(sender, readers, inputs, streams)
    got = _apart(work) or work()
    for reader, changed in zip(readers, got["changed"], strict=True):
        reader.changed.update(changed)
    if left := got["left"]:
        raise _leaves(left)
    for data in got["sent"]:
        if type(data) is not bytes:
            raise CheckFailed(f"✗ what is sent is of type {type(data).__name__}: return bytes")
    return got["sent"]


def _leaves(where: str) -> CheckFailed:
    return CheckFailed(
        f"✗ the sender leaves something behind in {where}: the receiver gets the bytes and nothing else"
    )


def _sent(
    sender: Callable, readers: Sequence[Reader], inputs: Sequence[tuple], streams: list
) -> dict[str, Any]:
    """What is sent, what of the arguments was changed, and where something is left behind."""
    functions = [reader.function for reader in readers]
    before = _state(functions) | _told(streams)
    with _watched() as written:
        try:
            sent = [sender(*each) for each in inputs]
        except CheckFailed:  # stopped by what it may not do
            if written:
                raise _leaves(f"the file {written[0]}") from None
            raise
    after = _state(functions) | _told(streams)
    left = [f"the file {name}" for name in written] + [
        name if name.startswith("the ") else f"`{name}`"
        for name in after
        if name not in before or before[name] != after[name]
    ]
    return {"sent": sent, "changed": [r.changed for r in readers], "left": (left or [""])[0]}


# ---------------------------------------------------------------- a copy of the process


def _apart(work: Callable[[], Any]) -> Any:
    """What `work` returns in a copy of this process; None where it raises, takes too long, or none can be made."""
    if not hasattr(os, "fork"):
        return None
    receive, send = os.pipe()
    with warnings.catch_warnings():  # that other threads are not in the copy
        warnings.simplefilter("ignore", DeprecationWarning)
        copy = os.fork()
    if not copy:
        try:
            data = memoryview(pickle.dumps(work()))
            while data:
                data = data[os.write(send, data) :]
        finally:
            os._exit(0)  # whatever it raised, it is raised again here
    os.close(send)
    data = b""
    while select.select([receive], [], [], PATIENCE)[0] and (part := os.read(receive, 1 << 16)):
        data += part
    os.close(receive)
    os.kill(copy, signal.SIGKILL)
    os.waitpid(copy, 0)
    with suppress(EOFError, pickle.UnpicklingError):
        return pickle.loads(data)
    return None


# ---------------------------------------------------------------- files

_watching: list[list[str]] = []  # a list of names for each `_watched` at work
_hook = cache(lambda: sys.addaudithook(_audit))  # it stays for good


def _audit(event: str, arguments: tuple) -> None:
    if not _watching:
        return
    if event in WAYS_OUT or (event == "open" and (arguments[2] or 0) & WRITES):
        name = str(arguments[0]) if arguments else event
        if sys._getframe(1).f_code.co_filename.startswith("<frozen importlib"):  # it is compiled
            return
        _watching[-1].append(name)
        raise PermissionError(f"{name}: a sender writes no file")


@contextmanager
def _watched() -> Iterator[list[str]]:
    """Inside, no file is written and nobody is called: the names of those that were to be."""
    _hook()
    _watching.append([])
    try:
        yield _watching[-1]
    finally:
        _watching.pop()


def _streams() -> list:
    """All files on a disk that are open for writing, whoever opened them."""
    shown = {_file(stream) for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)}
    found = []
    for value in (v for v in gc.get_objects() if issubclass(type(v), STREAM)):
        with suppress(Exception):  # closed
            if value.writable() and _file(value) not in shown | {None}:
                found.append(value)
    return found


def _told(streams: list) -> dict[str, Any]:
    """{name: how far it is written} of open files."""
    found = {}
    for stream in streams:
        with suppress(Exception):  # closed, or of no length
            found[f"the open file {stream.name}"] = stream.tell()
    return found


def _file(stream: Any) -> tuple[int, int] | None:
    """Which file a stream writes to."""
    with suppress(Exception):
        what = os.fstat(stream.fileno())
        return what.st_dev, what.st_ino
    return None


# ---------------------------------------------------------------- memory


def _state(functions: Sequence[Callable]) -> dict[str, Any]:
    """{name: what it holds} of all that lies within reach of functions: their globals, defaults, closures."""
    own = {id(f.__globals__) for f in functions if isinstance(f, FunctionType)}
    homes = {getattr(f, "__module__", None) for f in functions} | {"__main__"}
    seen: set[int] = set()

    def held(value: Any) -> Any:
        if isinstance(value, (str, bytes, int, float, complex, type(None))):
            return value
        if isinstance(value, np.ndarray):
            return value.shape, value.tobytes()
        if isinstance(value, ModuleType):
            return tuple(sorted(vars(value)))
        if id(value) in seen:
            return id(value)
        seen.add(id(value))
        if isinstance(value, dict):
            return tuple((repr(key), held(item)) for key, item in value.items())
        if isinstance(value, (list, tuple, set, frozenset, bytearray)):
            return tuple(held(item) for item in value)
        if isinstance(value, io.IOBase):
            with suppress(Exception):  # closed, or of no length
                return value.tell()
        if callable(getattr(value, "cache_info", None)):  # of functools.cache
            return value.cache_info().currsize, held(getattr(value, "__wrapped__", None))
        if isinstance(value, FunctionType) and id(value.__globals__) in own:
            cells = [c.cell_contents for c in value.__closure__ or () if _bound(c)]
            return tuple(map(held, (vars(value), value.__defaults__, value.__kwdefaults__, *cells)))
        kind = value if isinstance(value, type) else type(value)
        if kind.__module__ in homes:
            return held(dict(getattr(value, "__dict__", {})))
        return id(value)

    found = {getattr(f, "__name__", "your function"): held(f) for f in functions}
    for function in functions:
        for name, value in list(getattr(function, "__globals__", {}).items()):
            if name != "__builtins__":
                found.setdefault(name, held(value))
    return found


def _bound(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # not yet
        return False
