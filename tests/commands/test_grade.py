"""`minigen grade`: a table of a class, printed and written."""

import csv
import sys

import pytest
from written import solved, write

from minigen import cli
from minigen.checks import grading


def run(*arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["minigen", "grade", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
    return end.value.code


def test_a_class_is_graded(tmp_path, capsys):
    for name in ("ann", "bob", "cy"):
        (tmp_path / "class" / name).mkdir(parents=True)
    write(tmp_path / "class/ann/01_sound.ipynb", solved(1))
    write(tmp_path / "class/bob/my sounds.ipynb", solved(1, e1_1="pass"))
    (tmp_path / "class/cy/01_sound.ipynb").write_text("nothing", encoding="utf-8")
    out = tmp_path / "grades.csv"
    assert run(tmp_path / "class", "--out", out, "--workers", 2) == 0
    printed = capsys.readouterr().out
    rows = list(csv.DictReader(out.read_text(encoding="utf-8-sig").splitlines()))
    totals = [row["result"] for row in rows if row["exercise"] == "total"]
    n = sum(row["exercise"] not in ("total", "") for row in rows) // 2
    assert totals == [f"{n} of {n}", f"{n - 1} of {n}", "0 of 0"]
    assert f"{n - 1} of {n} passed" in printed and "this is not a notebook" in printed


def test_what_cannot_be_graded_is_said_before_any_work(tmp_path, capsys, monkeypatch):
    asked = []
    path = write(tmp_path / "a.ipynb", solved(1))
    for wrong in ([], [tmp_path / "none"], [path, "--out", tmp_path / "a.txt"], [path, "--seconds", 0]):  # fmt: skip
        assert run(*wrong) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    row = grading.Grade("a", None, "not graded")
    monkeypatch.setattr(grading, "grade", lambda path, seconds: asked.append(seconds) or [row])
    assert run(path, "--out", tmp_path / "none" / "a.csv") == 2 and not asked
    run(path, "--seconds", 7)
    assert asked == [7]
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty") == 2
    assert not (tmp_path / "a.txt").exists()
