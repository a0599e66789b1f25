"""A reader's answers, taken out of a notebook's cells: definitions and what they need, no check and no demo.

It runs in a process of its own (`grading` starts it), because it runs what somebody else wrote.
"""

from __future__ import annotations

import ast
import dis
import json
import linecache
import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import CodeType
from typing import Any

from .exercises import Exercise, exercises
from .reader import CheckFailed

HEADING = re.compile(r"\bExercise (\w+\.\d+)\b")
MAGIC = re.compile(r"^(\s*)[%!?].*", re.MULTILINE)
MEMORY = 8 << 30  # bytes that a grading process may have


@dataclass(frozen=True)
class Statement:
    """One statement of a cell: the names that it binds, those that it needs, and the exercise above it."""

    node: ast.stmt
    code: CodeType
    binds: frozenset[str]
    needs: frozenset[str]
    exercise: str | None

    @property
    def blank(self) -> bool:
        """Whether a body of it is still the one that the exercise came with."""
        return any(
            isinstance(n, ast.Raise) and n.exc and "NotImplementedError" in ast.unparse(n.exc)
            for n in ast.walk(self.node)
        )


def _names(code: CodeType, operations: tuple[str, ...]) -> set[str]:
    found = {i.argval for i in dis.get_instructions(code) if i.opname in operations}
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return found.union(*(_names(each, operations) for each in inner))


def _changes(node: ast.stmt) -> set[str]:
    """Names whose object a statement changes: x[0] = …, x.y = …, x.append(…)."""
    places = [node] if isinstance(node, ast.Expr) else ast.walk(node)
    found = set()
    for place in places:
        inside = None
        if isinstance(place, ast.Subscript | ast.Attribute) and isinstance(place.ctx, ast.Store):
            inside = place.value
        elif isinstance(place, ast.Expr) and isinstance(place.value, ast.Call):
            inside = getattr(place.value.func, "value", None)
        while isinstance(inside, ast.Subscript | ast.Attribute):
            inside = inside.value
        found |= {inside.id} if isinstance(inside, ast.Name) else set()
    return found


def statements(cells: Iterable[tuple[str, str]]) -> tuple[list[Statement], dict[str, str]]:
    """All statements of (kind, text) cells in order, and {name: error} of definitions in cells that do not parse."""
    found, broken, exercise = [], {}, None
    for number, (kind, text) in enumerate(cells):
        if kind != "code":
            exercise = ([exercise] + HEADING.findall(text))[-1]
            continue
        text = MAGIC.sub(r"\1pass", text)
        file = f"<ipython-input-{number}>"
        linecache.cache[file] = len(text), None, text.splitlines(True), file
        try:
            tree = ast.parse(text, file)
            for node in tree.body:
                code = compile(ast.Module([node], []), file, "exec")
                stored = _names(code, ("STORE_NAME", "STORE_GLOBAL"))
                loaded = _names(code, ("LOAD_NAME", "LOAD_GLOBAL"))
                binds = stored if isinstance(node, ast.FunctionDef) else stored | _changes(node)
                if isinstance(node, ast.ClassDef):
                    binds = {node.name}
                found.append(Statement(node, code, frozenset(binds), frozenset(loaded), exercise))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None)
            why = f"its cell is no Python: {getattr(error, 'msg', error)}, line {line}"
            broken |= {
                name: why for name in re.findall(r"^(?:def|class) +(\w+)", text, re.MULTILINE)
            }
    return found, broken


def _is_check(statement: Statement) -> bool:
    return isinstance(statement.node, ast.Expr) and "checks" in statement.needs


def _chosen(name: str, exercise: Exercise, found: list[Statement]) -> Statement | None:
    """The definition that counts: filled in rather than blank, under its own heading, the last."""
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    able = [
        (not s.blank, s.exercise == exercise.number, place, s)
        for place, s in enumerate(found)
        if name in s.binds and isinstance(s.node, kinds) and "checks" not in s.needs
    ]
    return max(able, key=lambda row: row[:3])[-1] if able else None


def _needed(exercise: Exercise, found: list[Statement]) -> list[Statement]:
    """The statements that an answer is made of, in their order."""
    answers = set().union(
        *(_names(compile(e, "", "eval"), ("LOAD_NAME",)) for e in exercise.answers)
    )
    chosen = [s for name in answers if (s := _chosen(name, exercise, found))]
    able = [s for s in found if not _is_check(s) and (s in chosen or not answers & s.binds)]
    kept, names = [], set(answers)
    while True:
        now = [s for s in able if s in chosen or names & s.binds or "*" in ast.unparse(s.node)[-1:]]
        names = names.union(*(s.needs for s in now))
        if len(now) == len(kept):
            return now
        kept = now


def judge(exercise: Exercise, cells: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """("passed", "failed" or "blank", the reason) of an exercise in a notebook of (kind, text) cells."""
    found, broken = statements(cells)
    check, before = exercise.find_check(), _own_code()
    space: dict[str, Any] = {"__name__": "answers", "display": lambda *things: None}
    errors = []
    for statement in _needed(exercise, found):
        try:
            exec(statement.code, space)  # noqa: S102
        except BaseException as error:  # noqa: BLE001, whatever the reader's code does
            where = ast.unparse(statement.node).split("\n")[0]
            errors.append(f"{type(error).__name__} in `{where:.60}`: {error}")
    try:
        functions = [eval(expression, space) for expression in exercise.answers]
    except NameError as error:
        name = error.name or ""
        why = broken.get(name) or next(iter(errors), "")
        return ("failed", why) if why else ("blank", f"no `{name}` is defined")
    try:
        check(*functions)
    except CheckFailed as error:
        return ("blank", "") if "is still blank: " in str(error) else ("failed", str(error))
    except BaseException as error:  # noqa: BLE001, sys.exit for one
        return "failed", f"your code raised {type(error).__name__}: {error}"
    if _own_code().items() >= before.items():
        return "passed", ""
    return "failed", "your code changes the checks themselves"


def _own_code() -> dict[tuple[str, str], int]:
    """What the checks are made of, by module and name."""
    modules = [(n, m) for n, m in sys.modules.items() if n.startswith(__package__)]
    return {(n, k): id(v) for n, m in modules for k, v in vars(m).items() if callable(v)}


def serve() -> None:
    """Read {token, cells, numbers} from standard input; write a line before and after each exercise."""
    work = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def say(*words: str) -> None:
        out.write(json.dumps([work["token"], *words]) + "\n")
        out.flush()

    todo = [exercises()[number] for number in work["numbers"]]
    for exercise in todo:
        exercise.find_check()  # imported before any code of the reader's
    for exercise in todo:
        say("begin", exercise.number)
        say("end", exercise.number, *judge(exercise, work["cells"]))
    os._exit(0)  # whatever threads of the reader's are left
