"""Notebooks as students hand them in, made of what the package knows of the exercises."""

import json
from pathlib import Path

from minigen.checks.exercises import exercises


def solved(chapter: int, **changed: str) -> list[tuple[str, str]]:
    """(kind, text) cells of a chapter's solved exercises. changed: {"e2_1": its cell instead}."""
    cells = [("markdown", f"# Exercises for chapter {chapter}")]
    for e in exercises().values():
        if e.number.split(".")[0] == str(chapter):
            call = f"from minigen import checks\nchecks.{e.check}({', '.join(e.answers)})"
            text = changed.get(f"e{e.number.replace('.', '_')}", "\n".join(e.solution))
            cells += [
                ("markdown", f"## Exercise {e.number}: {e.title}"),
                ("code", f"{text}\n{call}"),
            ]
    return cells


def write(path: Path, cells: list[tuple[str, str]]) -> Path:
    """A notebook file of these cells, text in lines as Jupyter writes it."""
    rows = [
        {"cell_type": kind, "source": text.splitlines(keepends=True), "metadata": {}}
        for kind, text in cells
    ]
    path.write_text(json.dumps({"cells": rows, "nbformat": 4, "metadata": {}}), encoding="utf-8")
    return path
