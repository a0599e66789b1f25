"""Every default and every constant of the library and of its scripts, a line each, into tests/values.txt.

python tools/values.py    write the table: look at what `git diff` says of it before you commit

A test holds the table to the code, so that a number on which callers rely is changed by nobody unawares.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["TABLE", "table"]

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests" / "values.txt"
DECORATORS = {"cache", "torch.no_grad", "weights.takes_networks", "takes_networks", "torch.compile"}
LONGEST = 120  # characters of a value that stands there in words


def shown(node: ast.expr) -> str:
    """A value as it is written; of a long one, or where versions of Python write it differently, a digest."""
    parts = [*ast.walk(node)]
    text = ast.unparse(node)
    if len(text) <= LONGEST and not any(isinstance(part, ast.JoinedStr) for part in parts):
        return text
    words = [getattr(part, "value", getattr(part, "id", "")) for part in parts]
    words = [word for word in words if not isinstance(word, ast.AST)]
    return hashlib.sha256(repr(words).encode()).hexdigest()[:12]


def defaults(function: ast.FunctionDef) -> list[str]:
    given = function.args
    first = [*given.posonlyargs, *given.args]
    pairs = [*zip(first[len(first) - len(given.defaults) :], given.defaults, strict=True)]
    pairs += zip(given.kwonlyargs, given.kw_defaults, strict=True)
    return [f"{arg.arg}={shown(value)}" for arg, value in pairs if value is not None]


def options(part: ast.stmt) -> Iterator[str]:
    """What a script's command line takes."""
    for node in ast.walk(part):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            named = [f"{k.arg}={shown(k.value)}" for k in node.keywords if k.arg != "help"]
            yield f"an option: {', '.join([*map(shown, node.args), *named])}"


def rows(body: list[ast.stmt], inside: str = "") -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from rows(node.body, f"{inside}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            yield from (
                f"@{ast.unparse(d)} {inside}{node.name}"
                for d in node.decorator_list
                if ast.unparse(d).split("(")[0] in DECORATORS
            )
            if found := defaults(node):
                yield f"{inside}{node.name}({', '.join(found)})"
            yield from options(node)
        elif isinstance(node, ast.If):
            yield from options(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            name = getattr(target, "id", "__all__")
            private = name.startswith("_") and not isinstance(node.value, ast.Constant | ast.BinOp)
            if name != "__all__" and (inside or name.isupper()) and not private:
                yield f"{inside}{name} = {shown(node.value)}"


def table() -> str:
    lines = []
    for room in ("minigen", "training", "benchmarks", "tools"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if "checks" not in path.parts:
                found = [*rows(ast.parse(path.read_text(encoding="utf-8")).body)]
                lines += [f"## {path.relative_to(ROOT).as_posix()}", *found] if found else []
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
