"""What every exercise of every notebook has, and that none of them holds up another."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import notebooks
import pytest

from minigen.checks import grading
from minigen.checks.exercises import exercises

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "exercises" / "source").glob("*.md"))
BOOKS = re.compile(
    r"Exercise \S+ has not passed its check yet: this is the book's answer to it\.\n"
)
TIMES = re.compile(r"\b[\d.]+ m?s\b")
DETAILS = re.compile(r"(?s)<details><summary>(.*?)</summary>\n\n(.*?)\n\n</details>")


def pages():
    return {
        path.stem: nbformat.read(path, as_version=4)
        for path in (ROOT / "exercises").glob("*.ipynb")
    }


def by_exercise(notebook) -> dict[str, list]:
    """{number: its pieces of text and code, in order}."""
    found, number = {}, None
    for cell in notebook.cells:
        pieces = [cell.source]
        if cell.cell_type == "markdown":
            pieces = re.split(r"(?m)^(?=## )", cell.source)
        for piece in pieces:
            if cell.cell_type == "markdown" and piece.startswith("## "):
                heading = re.match(r"## Exercise (\w+\.\d+): ", piece)
                number = heading[1] if heading else None
            if number:
                found.setdefault(number, []).append((cell, piece))
    return found


PAGES = pages()
ALL = {n: parts for name in sorted(PAGES) for n, parts in by_exercise(PAGES[name]).items()}


def squeezed(code: str) -> str:
    return re.sub(r"\s+", "", re.sub(r"#.*", "", code))


def test_there_is_every_exercise():
    assert exercises().keys() <= ALL.keys() and len(ALL) >= 88


@pytest.mark.parametrize("number", ALL)
def test_an_exercise_says_its_effort_and_has_hints_and_a_solution(number):
    text = "\n".join(piece for cell, piece in ALL[number] if cell.cell_type == "markdown")
    difficulty, minutes = re.search(
        r"\*Difficulty (\d) of 3, about (\d+) minutes\.\*", text
    ).groups()
    assert int(difficulty) in (1, 2, 3) and 1 <= int(minutes) <= 180
    folded = DETAILS.findall(text)
    assert "{dropdown}" not in text and text.count("<details>") == len(folded)
    if number not in exercises():
        return  # one to think about
    assert [title for title, _ in folded] == ["First hint", "Second hint", "Solution"]
    solution = folded[2][1]
    assert (
        solution.startswith("```python\n")
        and "#" in solution
        and "NotImplementedError" not in solution
    )


@pytest.mark.parametrize("number", exercises())
def test_no_hint_gives_the_answer(number):
    """No line of the solution that says something stands in a hint."""
    text = "\n".join(piece for cell, piece in ALL[number] if cell.cell_type == "markdown")
    hints = squeezed(" ".join(body for title, body in DETAILS.findall(text) if "hint" in title))
    asked = squeezed("\n".join(piece for cell, piece in ALL[number] if cell.cell_type == "code"))
    for line in exercises()[number].solution:
        line = squeezed(line)
        value = re.sub(r"^(return|[\w,\[\]:.]+=)", "", line)
        if len(value) >= 12 and value not in asked:
            assert value not in hints, line


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_failed_exercise_blocks_nothing(name):
    """Of the blank notebook only checks fail, each in a cell of its own; whatever shows or plays runs."""
    number = None
    for cell in PAGES[name].cells:
        if cell.cell_type != "code":
            number = (re.findall(r"## Exercise (\w+\.\d+)", cell.source) or [number])[-1]
            continue
        call = re.search(r"(?m)^checks\.\w+\.\w+\(", cell.source)
        failed = any(out.output_type == "error" for out in cell.outputs)
        assert failed == bool(call), cell.source
        if call:
            assert "\n" not in cell.source[call.start() :].strip(), "a demo stands with the check"
            assert f'raise NotImplementedError("Exercise {number}: ' in cell.source
            assert any(f"Exercise {number} " in out.get("evalue", "") for out in cell.outputs)


def printed(cell) -> list:
    """What a cell shows, times apart, without the word that an answer is the book's."""
    shown = []
    for out in cell.outputs:
        text = BOOKS.sub("", out.get("text", "")) or out.get("data", {})
        shown += [TIMES.sub("…", str(text))] if text else []
    return shown


@pytest.mark.parametrize("name", sorted(PAGES))
def test_whatever_shows_or_plays_is_the_same_in_the_solved_notebook(name):
    """So pytest runs the solved notebooks again, and of the blank ones one (conftest.py)."""
    solved = nbformat.read(ROOT / "exercises" / "solutions" / f"{name}.ipynb", as_version=4)
    code = [[c for c in nb.cells if c.cell_type == "code"] for nb in (PAGES[name], solved)]
    for blank, full in zip(*code, strict=True):
        if not re.search(r"(?m)^checks\.\w+\.\w+\(", full.source):
            assert (blank.source, printed(blank)) == (full.source, printed(full))


NUMBERS = """no one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty"""


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_solution_has_as_many_ticks_as_its_expected_output_says(name):
    solved = nbformat.read(ROOT / "exercises" / "solutions" / f"{name}.ipynb", as_version=4)
    for number, parts in by_exercise(solved).items():
        text = "\n".join(piece for cell, piece in parts if cell.cell_type == "markdown")
        said = re.findall(r"\*\*Expected output:\*\* (\w+) ticks?\b", text)
        shown = [out.get("text", "") for cell, _ in parts for out in cell.get("outputs", [])]
        ticks = len(re.findall(r"(?m)^✓", "\n".join(shown)))
        assert said in ([], [NUMBERS.split()[ticks]]), f"exercise {number}"


def test_a_class_gets_neither_hints_nor_solutions_and_the_teacher_both(tmp_path, capsys):
    assert notebooks.main(["--course", str(tmp_path)]) == 0
    for name in sorted(PAGES):
        text = (tmp_path / "students" / f"{name}.ipynb").read_text(encoding="utf-8")
        assert "<details" not in text and "dropdown" not in text and "](../" not in text
        student = nbformat.read(tmp_path / "students" / f"{name}.ipynb", as_version=4)
        blank = [c.source for c in PAGES[name].cells if c.cell_type == "code"]
        assert [c.source for c in student.cells if c.cell_type == "code"] == blank
        teacher = (tmp_path / "teacher" / f"{name}.ipynb").read_text(encoding="utf-8")
        assert "First hint" in teacher and "NotImplementedError(" not in teacher
    rows = grading.grade(tmp_path / "teacher" / "02_gaussian.ipynb")
    assert {row.result for row in rows} == {"passed"} and len(rows) == 8
    rows = grading.grade(tmp_path / "students" / "02_gaussian.ipynb")
    assert {row.result for row in rows} == {"blank"}


def test_checks_and_grading_need_no_repository(tmp_path):
    """The package alone, in a folder of its own, grades."""
    shutil.copytree(
        ROOT / "minigen", tmp_path / "lib" / "minigen", ignore=shutil.ignore_patterns("__pycache__")
    )
    code = (
        "from pathlib import Path; import minigen; from minigen.checks import grading; print(minigen.__file__);"
        "print(*(row.result for row in grading.grade(Path('a.ipynb'))))"
    )
    shutil.copy(ROOT / "exercises" / "solutions" / "02_gaussian.ipynb", tmp_path / "a.ipynb")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "lib"), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    where, results = done.stdout.splitlines()
    assert where.startswith(str(tmp_path)) and set(results.split()) == {"passed"}
