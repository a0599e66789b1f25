"""What an exercise's source holds: for the package minigen/checks/exercises.json, for the reader a folded solution.

With the file `minigen grade` and `checks.answer` work where there is no repository. `tools/notebooks.py` writes it.
"""

import ast
import json
import re
from pathlib import Path

from nbformat import NotebookNode

__all__ = ["FILE", "fold_solutions", "table", "text"]

FILE = Path("minigen/checks/exercises.json")  # from the root of the repository
HEADING = re.compile(r"^## Exercise (\w+\.\d+): (.+)$", re.MULTILINE)
EFFORT = re.compile(r"^\*Difficulty (\d) of 3, about (\d+) minutes\.\*", re.MULTILINE)
NEXT = re.compile(r"^## ", re.MULTILINE)
MARK = re.compile(r"^ *### (BEGIN|END) SOLUTION\n", re.MULTILINE)


def table(notebook: NotebookNode) -> dict[str, dict]:
    """{number: what is known of the exercise} of the complete notebook of one chapter.

    Raises:
        ValueError: when a heading, an effort or a check is not where it should be.
    """
    found, number, imports = {}, None, []
    for cell in notebook.cells[2:]:  # after the title and the set-up
        if cell.cell_type == "markdown":
            for heading in HEADING.finditer(cell.source):
                number = heading[1]
                effort = EFFORT.search(cell.source, heading.end())
                if not effort:
                    raise ValueError(f"{number}: no line '*Difficulty N of 3, about M minutes.*'")
                found[number] = {
                    "title": heading[2],
                    "difficulty": int(effort[1]),
                    "minutes": int(effort[2]),
                }
            continue
        source = MARK.sub("", cell.source + "\n")
        tree = ast.parse(source)
        calls = [n.value for n in tree.body if isinstance(n, ast.Expr) and _is_check(n.value)]
        if not calls:
            names = (ast.Import, ast.ImportFrom)
            imports += [ast.unparse(n) for n in tree.body if isinstance(n, names)]
            continue
        if number is None or len(calls) > 1 or "check" in found[number]:
            raise ValueError(f"{number}: an exercise has one check, in one cell")
        lines = "\n".join(source.split("\n")[: calls[0].lineno - 1]).strip()
        used = {n.id for n in ast.walk(ast.parse(lines)) if isinstance(n, ast.Name)}
        found[number] |= {
            "check": ast.unparse(calls[0].func).removeprefix("checks."),
            "answers": [ast.unparse(argument) for argument in calls[0].args],
            "solution": [*_needed(imports, used), *lines.split("\n")],
        }
    return found


def _needed(imports: list[str], used: set[str]) -> list[str]:
    """One import a line, of what is used."""
    lines = []
    for line in imports:
        (node,) = ast.parse(line).body
        node.names = [n for n in node.names if (n.asname or n.name.split(".")[0]) in used]
        lines += [ast.unparse(node)] if node.names else []
    return lines


def fold_solutions(cells: list[NotebookNode]) -> None:
    """Add to the text of each exercise its solution, in a dropdown before the next heading, in place."""
    codes, ends, number = {}, {}, None
    for place, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            for heading in HEADING.finditer(cell.source):
                number = heading[1]
        elif number and "### BEGIN SOLUTION" in cell.source:
            code = re.split(r"^checks\.", MARK.sub("", cell.source), flags=re.MULTILINE)[0]
            codes.setdefault(number, []).append(code.strip())
            below = [c for c in cells[place + 1 :] if c.cell_type == "markdown"]
            ends[number] = [c for c in below if NEXT.search(c.source)] or below[-1:]
    for number, code in codes.items():
        for cell in ends[number][:1]:
            lines = "\n\n\n".join(code)
            fold = f"````{{dropdown}} Solution\n```python\n{lines}\n```\n````"
            start = NEXT.search(f"{cell.source}\n## ").start()
            before, after = cell.source[:start].rstrip(), cell.source[start:]
            cell.source = f"{before}\n\n{fold}\n\n{after}".strip()


def _is_check(node: ast.expr) -> bool:
    name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    return name.startswith("checks.") and name.count(".") == 2


def text(notebooks: list[NotebookNode]) -> str:
    """The file, of all chapters."""
    rows = {}
    for notebook in notebooks:
        rows |= {n: row for n, row in table(notebook).items() if "check" in row}
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
