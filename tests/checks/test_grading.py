"""Notebooks of a class, graded: whatever one of them does, the table is whole."""

import csv
import io
import json

import pytest
from written import solved, write

from minigen.checks import grading
from minigen.checks.exercises import exercises

CHAPTER_1 = [e for e in exercises().values() if e.module == "sound"]
FIRST = CHAPTER_1[0].answers[0]


def results(path, **options):
    return {row.exercise.number: row.result for row in grading.grade(path, **options)}


def test_cells_that_misbehave_hurt_nobody_else(tmp_path):
    """They end the process, or leave it; print a hundred megabytes; read what is typed, and fake a result."""
    bodies = {
        "e1_1": ("import os; os._exit(0)", "your code ended the process (exit code 0)"),
        "e1_3": ("import sys; sys.exit(3)", "your code raised SystemExit: 3"),
        "e1_4": ("print('x' * 10**8); return input()", "EOF"),
        "e1_5": ("print('[\"end\", \"1.5\", \"passed\"]'); raise KeyboardInterrupt", "KeyboardInterrupt"),
    }  # fmt: skip
    names = {f"e{e.number.replace('.', '_')}": e.answers[0] for e in CHAPTER_1}
    cells = solved(1, **{k: f"def {names[k]}(*a):\n    {bodies[k][0]}" for k in bodies})
    rows = grading.grade(write(tmp_path / "a.ipynb", cells))
    assert [row.exercise for row in rows[:5]] == CHAPTER_1[:5]
    for row in rows:
        body, why = bodies.get(f"e{row.exercise.number.replace('.', '_')}", ("", ""))
        assert row.result == ("failed" if body else "passed")
        assert why in row.reason and len(row.reason) <= 300 and "\n" not in row.reason


def test_one_that_hangs_is_ended(tmp_path):
    loop = f"import time\ndef {FIRST}(*a):\n    while True:\n        try:\n            while True: time.sleep(9)\n        except BaseException: pass"
    cells = [("code", "import time\nwhile True: time.sleep(9)"), *solved(1, e1_1=loop), ("code", "import time; time.sleep(1e6)")]  # fmt: skip
    rows = grading.grade(write(tmp_path / "a.ipynb", cells), seconds=10)
    assert [row.result for row in rows] == ["timed out"] + ["passed"] * (len(CHAPTER_1) - 1)
    assert rows[0].reason == "no result after 10 s"


@pytest.mark.parametrize("text", ["", "hello", "{}", "[1]", '{"cells": [3]}', '{"cells": 1}', "[" * 10**5])  # fmt: skip
def test_what_is_no_notebook_is_said(tmp_path, text):
    path = tmp_path / "a.ipynb"
    path.write_text(text, encoding="utf-8")
    (row,) = grading.grade(path)
    assert (row.exercise, row.result, row.reason) == (None, "not graded", "this is not a notebook")
    path.write_bytes(b"\xff\xfe\x00")
    assert grading.grade(path)[0].reason == "this is not a notebook"
    write(path, [("code", "1")])
    assert grading.grade(path)[0].reason == "no exercise of this book is in it"


def test_old_and_odd_notebooks_are_read(tmp_path):
    path = tmp_path / "a.ipynb"
    cell = {"cell_type": "code", "input": ["x\n", "y"]}
    path.write_text(json.dumps({"worksheets": [{"cells": [cell]}]}), encoding="utf-8-sig")
    assert grading.read_cells(path) == [("code", "x\ny")]


def test_missing_exercises_have_their_rows(tmp_path):
    cells = solved(1)[:3]  # the title and the first
    found = results(write(tmp_path / "a.ipynb", cells))
    assert list(found.values()) == ["passed"] + ["blank"] * (len(CHAPTER_1) - 1)


def test_exercises_are_found_without_their_headings():
    no_headings = [cell for cell in solved(1) if cell[0] == "code"]
    assert grading.which(no_headings) == CHAPTER_1 == grading.which(solved(1)[:2])


def test_folders_are_searched(tmp_path):
    (tmp_path / "ann" / ".ipynb_checkpoints").mkdir(parents=True)
    names = "ann/2.ipynb", "ann/1.ipynb", "ann/.ipynb_checkpoints/1.ipynb", "b.ipynb", "c.txt"
    for name in names:
        (tmp_path / name).write_text("", encoding="utf-8")
    found = grading.find_notebooks([tmp_path, tmp_path / "b.ipynb"])
    assert [p.relative_to(tmp_path).as_posix() for p in found] == ["ann/1.ipynb", "ann/2.ipynb", "b.ipynb"]  # fmt: skip
    with pytest.raises(FileNotFoundError, match="nowhere"):
        grading.find_notebooks([tmp_path / "nowhere"])


def test_the_table_counts_points_and_starts_no_formula():
    one, two = CHAPTER_1[:2]
    rows = [grading.Grade("=a", one, "passed"), grading.Grade("=a", two, "failed", "-1, not 1")]
    table = list(csv.DictReader(io.StringIO(grading.as_csv([rows]))))
    assert [row["notebook"] for row in table] == ["'=a"] * 3
    assert table[1]["reason"] == "'-1, not 1"
    assert (table[2]["exercise"], table[2]["result"]) == ("total", "1 of 2")
    assert table[2]["difficulty"] == f"{one.difficulty} of {one.difficulty + two.difficulty}"
    assert grading.as_text([rows]).splitlines()[0].startswith("=a: 1 of 2 passed")
    for result in grading.RESULTS[1:]:  # nothing but what passed has points
        other = [grading.Grade("a", one, result), grading.Grade("a", two, "passed")]
        assert grading.as_text([other]).startswith("a: 1 of 2 passed")


@pytest.mark.parametrize("length", [20, 300, 301, 2000])
def test_a_reason_of_up_to_300_letters_is_kept_whole(length):
    reason = "x" * length
    assert grading._short(f"✗ {reason}\n") == (reason if length <= 300 else f"{'x' * 297}…")
