"""Grade notebooks: every exercise's check, the package's own, in a process that may hang, crash or print."""

from __future__ import annotations

import csv
import io
import json
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from .exercises import Exercise, exercises

START = 120.0  # seconds for the libraries to be imported
CODE = "from minigen.checks import notebook_answers; notebook_answers.serve()"
RESULTS = ("passed", "failed", "blank", "timed out")


@dataclass(frozen=True)
class Grade:
    """What became of one exercise in one notebook; without an exercise, of the notebook."""

    notebook: str
    exercise: Exercise | None
    result: str  # one of RESULTS, or "not graded"
    reason: str = ""


def find_notebooks(places: Iterable[Path]) -> list[Path]:
    """The files named, and all notebooks in the folders named and below.

    Raises:
        FileNotFoundError: when a place does not exist, or a folder holds no notebook.
    """
    found = []
    for place in places:
        if place.is_dir():
            inside = sorted(
                p for p in place.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts
            )
            if not inside:
                raise FileNotFoundError(f"{place} holds no notebook (.ipynb)")
            found += inside
        elif place.exists():
            found.append(place)
        else:
            raise FileNotFoundError(f"{place} does not exist")
    return list(dict.fromkeys(found))


def read_cells(path: Path) -> list[tuple[str, str]]:
    """(kind, text) of each cell. Raises `ValueError` when the file is no notebook."""
    try:
        book = json.loads(path.read_text(encoding="utf-8-sig"))
        cells = book["cells"] if "cells" in book else book["worksheets"][0]["cells"]
        rows = [(c["cell_type"], c.get("source", c.get("input", ""))) for c in cells]
        return [(kind, text if isinstance(text, str) else "".join(text)) for kind, text in rows]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise ValueError("this is not a notebook") from None


def which(cells: Iterable[tuple[str, str]]) -> list[Exercise]:
    """All exercises of the chapters that a notebook is about."""
    text = "\n".join(text for _, text in cells)
    chapters = set(re.findall(r"\bExercise (\w+)\.\d+\b", text))
    called = set(re.findall(r"\bchecks\.(\w+)\.\w+\(", text))
    modules = {e.module for e in exercises().values() if e.number.split(".")[0] in chapters}
    return [e for e in exercises().values() if e.module in modules | called]


def grade(path: Path, seconds: float = 60.0) -> list[Grade]:
    """Run the check of every exercise of a notebook, each for at most `seconds`.

    Nothing but definitions, and what they need, is taken from the notebook: what its check cells say, and
    what it printed, is not looked at.
    """
    try:
        cells = read_cells(path)
    except (ValueError, OSError) as error:
        return [Grade(str(path), None, "not graded", str(error))]
    todo = which(cells)
    if not todo:
        return [Grade(str(path), None, "not graded", "no exercise of this book is in it")]
    rows = []
    while left := todo[len(rows) :]:
        rows += [
            Grade(str(path), exercises()[number], result, _short(reason))
            for number, result, reason in _run(cells, [e.number for e in left], seconds)
        ]
    return rows


def _short(reason: str) -> str:
    line = " ".join(reason.split()).removeprefix("✗ ")
    return line if len(line) <= 300 else f"{line[:297]}…"


def _run(cells: list, numbers: list[str], seconds: float) -> Iterator[tuple[str, str, str]]:
    """(number, result, reason) of one exercise after the other, until the process ends."""
    token = secrets.token_hex(8)
    root = str(files("minigen").joinpath(".."))
    paths = [os.path.abspath(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=os.environ | threads | {"MPLBACKEND": "Agg", "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,
            encoding="utf-8",
        )
        lines: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(process, lines, token), daemon=True).start()
        try:
            with suppress(BrokenPipeError):
                json.dump({"token": token, "cells": cells, "numbers": numbers}, process.stdin)
                process.stdin.close()
            yield from _follow(process, lines, numbers, seconds)
        finally:
            _kill(process)


def _listen(process: subprocess.Popen, lines: queue.SimpleQueue, token: str) -> None:
    with suppress(OSError, ValueError):
        for line in process.stdout:
            if line.startswith(f'["{token}"'):
                lines.put(json.loads(line)[1:])
    lines.put(None)


def _follow(
    process: subprocess.Popen, lines: queue.SimpleQueue, numbers: list[str], seconds: float
) -> Iterator[tuple[str, str, str]]:
    running, until = None, time.monotonic() + START
    for number in numbers:
        while True:
            try:
                said = lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                why = f"no result after {seconds if running else START:g} s"
                yield number, "timed out", why
                return
            if said is None:
                code = process.wait()
                how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                yield number, "failed", f"your code ended the process ({how})"
                return
            if said[0] == "end" and said[1] == number:
                yield number, said[2], said[3]
                break
            running, until = number, time.monotonic() + seconds


def _kill(process: subprocess.Popen) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    process.stdout.close()


# The table


def _points(rows: Sequence[Grade]) -> tuple[str, str]:
    """(passed of all, their difficulties of all)."""
    graded = [row for row in rows if row.exercise]
    good = [row for row in graded if row.result == "passed"]
    points = lambda some: sum(row.exercise.difficulty for row in some)
    return f"{len(good)} of {len(graded)}", f"{points(good)} of {points(graded)}"


def _cells(table: Sequence[Sequence[Grade]]) -> Iterator[tuple[str, ...]]:
    for rows in table:
        for row in rows:
            e = row.exercise
            about = (e.number, e.title, str(e.difficulty)) if e else ("", "", "")
            yield row.notebook, *about, row.result, row.reason
        done, points = _points(rows)
        yield rows[0].notebook, "total", "", points, done, ""


def as_csv(table: Sequence[Sequence[Grade]]) -> str:
    """A line for each exercise, and one for the total of each notebook: points are difficulties passed."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("notebook", "exercise", "title", "difficulty", "result", "reason"))
    for cells in _cells(table):  # a spreadsheet would run a cell that begins like a formula
        writer.writerow([f"'{c}" if c[:1] in tuple("=+-@\t\r") and c else c for c in cells])
    return file.getvalue()


def as_text(table: Sequence[Sequence[Grade]]) -> str:
    """The same to read: a paragraph for each notebook."""
    lines = []
    for rows in table:
        done, points = _points(rows)
        lines.append(f"{rows[0].notebook}: {done} passed, {points} points")
        for row in rows:
            e = row.exercise
            about = f"{e.number:>5}  {'*' * e.difficulty:3}  {e.title:38.38}  " if e else "       "
            lines.append(f"{about}{row.result:9}  {row.reason}".rstrip())
        lines.append("")
    return "\n".join(lines).rstrip()
