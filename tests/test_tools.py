"""The tool chain proves itself: what it must refuse, it is shown here, and refuses."""

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import address
import exercise_table
import lock
import nbformat
import notebooks
import plain
import planted
import pytest

import conftest

ROOT = Path(__file__).resolve().parent.parent
FRONT = """\
---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Python 3, language: python, name: python3}
accelerator: GPU
---

# A page

```{code-cell} ipython3
:tags: [hide-input]

#@title Set-up (run me first) { display-mode: "form" }
```
"""
PAGE = (
    FRONT
    + """
One cell of each kind of output.

```{code-cell} ipython3
import math
import time
import matplotlib.pyplot as plt

start = time.perf_counter()
print(f"mean {math.pi:.10f}, gap {-math.e:.6f}, {3} clips, loud")
print(f"took {time.perf_counter() - start:.6f} s")
```

```{code-cell} ipython3
plt.plot([1, 2])
plt.show()
```

```{code-cell} ipython3
"a closing semicolon hides this";
```

```{code-cell} ipython3
from IPython.display import HTML

HTML(f'<audio controls src="data:audio/wav;base64,UklGR{time.time_ns():x}"></audio>')
```
"""
)
EXERCISE = (
    FRONT
    + '''
## Exercise 7.2: double it

*Difficulty 1 of 3, about 5 minutes.* Write it.

```{code-cell} ipython3
def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    result = 2 * x
    ### END SOLUTION
    return result
```

```{code-cell} ipython3
print(double(3))
```
'''
)


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A book of one chapter and one exercise, run by the tool."""
    root = tmp_path_factory.mktemp("book")
    for folder, text in (("book", PAGE), ("exercises", EXERCISE)):
        source = root / folder / "source" / "07_page.md"
        source.parent.mkdir(parents=True)
        source.write_text(text, encoding="utf-8")
        notebooks.build(source, root=root)
    notebooks.write_table(root)
    return root


def read(path: Path):
    """A notebook from disk."""
    return nbformat.read(path, as_version=4)


# ---------------------------------------------------------------- comparing outputs


def edit(text: str, old: str, new: str) -> str:
    """Replace `old`, which must be there: a test that tampers with nothing proves nothing."""
    assert old in text
    return text.replace(old, new)


def tamper_text(old, new):
    """A change of what the first code cell after the set-up printed."""

    def change(nb):
        output = next(c for c in nb.cells if "mean" in str(c.get("outputs"))).outputs[0]
        output.text = edit(output.text, old, new)

    return change


def drop_figure(nb):
    """Take away the picture and leave its text."""
    (figure,) = (
        o for c in nb.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})
    )
    del figure.data["image/png"]


def drop_sound(nb):
    """Take away the player."""
    cell = next(c for c in nb.cells if "audio/wav" in str(c.get("outputs")))
    cell.outputs = []


TAMPERED = {
    "untouched": lambda nb: None,
    "last_digit": tamper_text("3.1415926536", "3.1415926999"),
    "time": tamper_text("took 0", "took 9"),
    "value": tamper_text("3.1415926536", "3.1515926536"),
    "sign": tamper_text("-2.718282", " 2.718282"),
    "integer": tamper_text("3 clips", "4 clips"),
    "word": tamper_text("loud", "quiet"),
    "line": tamper_text("took", "\ntook"),
    "figure": drop_figure,
    "sound": drop_sound,
}
HARMLESS = {"untouched", "last_digit", "time"}


@pytest.fixture(scope="module")
def verdicts(book, tmp_path_factory):
    """What nbval, run as `make test` runs it, says of each tampered copy of the page, all in one notebook."""
    folder, cells = tmp_path_factory.mktemp("tampered"), []
    for change in TAMPERED.values():
        nb = read(book / "book" / "07_page.ipynb")
        change(nb)
        cells += [cell for cell in nb.cells if cell.cell_type == "code"]
    nb.cells = cells
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    nbformat.write(nb, folder / "all.ipynb")
    report = folder / "report.xml"
    arguments = ["-p", "conftest", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "--nbval"]
    subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, f"--junit-xml={report}", folder],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    failed = [
        case.find("failure") is not None for case in ElementTree.parse(report).iter("testcase")
    ]
    assert len(failed) == 5 * len(TAMPERED)
    return {name: any(failed[5 * k : 5 * k + 5]) for k, name in enumerate(TAMPERED)}


@pytest.mark.parametrize("name", TAMPERED)
def test_nbval_sees_what_was_tampered_with(verdicts, name):
    """Rounding and times pass; a value, a sign, a word, a figure, a sound do not."""
    assert verdicts[name] is (name not in HARMLESS)


@pytest.mark.parametrize(
    ("stored", "printed", "same"),
    [
        (
            "Seven: 0.50 s at 8000 Hz, RMS 0.0992, peak 0.554",
            "Seven: 0.50 s at 8000 Hz, RMS 0.0988, peak 0.552",
            True,
        ),
        (
            "Seven: 0.50 s at 8000 Hz, RMS 0.0992, peak 0.554",
            "Seven: 0.50 s at 8000 Hz, RMS 0.0892, peak 0.554",
            False,
        ),
        ("0.3333333333", "0.3333333334", True),
        ("1.25e-07 nats", "1.2501e-07 nats", True),
        ("[1.    2.5  ]", "[1.   2.5 ]", True),
        ("-0.00", "0.00", True),
        ("0.9189 of 10", "0.9289 of 10", False),
        ("0.919", "0.920", True),
        ("4.45 dB", "4.46 dB", True),
        ("4.45 dB", "4.47 dB", False),
        ("1.25e-07", "1.26e-07", True),
        ("0.30", "0.31", False),
        ("12.3", "12.5", False),
        ("-0.9189", "0.9189", False),
        ("12 clips", "13 clips", False),
        ("step 1000", "step 1001", False),
        ("1.5 dB louder", "1.5 dB softer", False),
        ("1.5 2.5", "1.5", False),
        ("1.5", "nan", False),
        ("torch 2.13.0", "torch 2.14.0", False),
        ("2.0", "2", False),
    ],
)
def test_printed_numbers(stored, printed, same):
    """Floats by value, everything else by letter."""
    assert (conftest.Printed(stored) == conftest.Printed(printed)) is same
    assert (conftest.Printed(stored) != conftest.Printed(printed)) is not same


@pytest.mark.parametrize(
    "stored, printed, same",
    [
        ("21 codes used; phones 45 %", "22 codes used; phones 47 %", True),
        ("its spectra by 0.29 of theirs", "its spectra by 0.27 of theirs", True),
        ("+0.000 from the entropy", "+0.001 from the entropy", True),
        ("21 codes used", "16 codes used", False),
        ("error 0.017", "error 0.075", False),
        ("KL 0.0000 nats", "KL 0.0005 nats", False),
        ("-0.9", "0.9", False),
        ("phones 45 %", "phones 45 dB", False),
        ("1.5 2.5", "1.5", False),
        ("1.5", "nan", False),
        ("x_1 of F0", "x_2 of F0", False),
        ("(one of 6)", "(one of 60)", False),
    ],
)
def test_figures_of_a_network_that_is_trained_here(stored, printed, same):
    """Within the spread of one seed to the next; the text by letter."""
    kind = conftest.OfATrainedNetwork
    assert (kind(stored) == kind(printed)) is same is (kind(printed) == kind(stored))


# ---------------------------------------------------------------- writing notebooks


def test_two_runs_are_byte_identical(book, tmp_path):
    """Everything but the measured time and the sound's bytes, which this page varies on purpose."""
    source = tmp_path / "exercises" / "source" / "07_page.md"
    source.parent.mkdir(parents=True)
    source.write_text(EXERCISE, encoding="utf-8")
    made = notebooks.build(source, root=tmp_path)
    assert [path.name for path in made] == ["07_page.ipynb"] * 2
    for path in made:
        again = path.read_bytes()
        assert again == (book / path.relative_to(tmp_path)).read_bytes()
    figures = []
    for _ in range(2):
        nb = notebooks.read_source(book / "book" / "source" / "07_page.md")
        notebooks.execute(nb, tmp_path)
        figures.append([c.outputs for c in nb.cells if "image/png" in str(c.get("outputs"))])
    assert figures[0] == figures[1] != []


def test_notebook_form(book):
    """Counts 1..n, no times, no kernel version, fixed ids, the set-up cell, the GPU wish."""
    nb = read(book / "book" / "07_page.ipynb")
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4, 5]
    assert code[0].source == notebooks.setup_cell()
    assert ("pip install" in code[0].source) is (address.address() is not None)
    assert nb.metadata.accelerator == "GPU"
    assert nb.metadata.kernelspec.name == "python3"
    assert "version" not in nb.metadata.language_info
    assert not any("execution" in cell.metadata for cell in nb.cells)
    assert len({cell.id for cell in nb.cells}) == len(nb.cells)


def test_only_what_changed_runs_again(book, tmp_path):
    """A second run does nothing; a changed word in the text is written, and only changed code runs."""
    source = tmp_path / "book" / "source" / "07_page.md"
    shutil.copytree(book / "book", tmp_path / "book")
    assert notebooks.build(source, root=tmp_path) == []
    source.write_text(edit(PAGE, "One cell", "A cell"), encoding="utf-8")
    assert notebooks.check(root=tmp_path) != []
    page = tmp_path / "book" / "07_page.ipynb"
    before = [c.outputs for c in read(page).cells if c.cell_type == "code"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notebooks, "execute", lambda *_, **__: pytest.fail("the text alone changed"))
        assert notebooks.build(source, root=tmp_path) == [page]
    assert notebooks.check(root=tmp_path) == []
    assert [c.outputs for c in read(page).cells if c.cell_type == "code"] == before
    nb = read(page)
    wanted = notebooks.expected(source)[0]
    assert notebooks.only_text_changed(wanted, page)
    first, second, *_ = (c for c in wanted.cells if c.cell_type == "code")
    first.source += "\n# a new set-up"
    assert notebooks.only_text_changed(wanted, page), "the set-up shows nothing"
    second.source += "\n1 + 1"
    assert not notebooks.only_text_changed(wanted, page), "other code must run"
    next(c for c in nb.cells if c.cell_type == "code").execution_count = None
    notebooks.write(nb, page)
    assert not notebooks.only_text_changed(notebooks.expected(source)[0], page), (
        "nor what never ran"
    )


def test_exercise_is_blanked_and_solution_is_not(book):
    """The blank raises with its number and is tagged; nothing else is."""
    blank = read(book / "exercises" / "07_page.ipynb")
    solution = read(book / "exercises" / "solutions" / "07_page.ipynb")
    assert "2 * x" in str(solution) and "2 * x" not in str(blank)
    assert 'raise NotImplementedError("Exercise 7.2: ' in blank.cells[3].source
    assert blank.cells[3].source.endswith("return result")
    assert [c.metadata.get("tags", []) for c in blank.cells] == [
        [],
        ["hide-input"],
        [],
        [],
        ["raises-exception"],
    ]
    (output,) = blank.cells[4].outputs
    assert (output.output_type, output.ename) == ("error", "NotImplementedError")
    assert str(ROOT) not in str(output)
    assert "raises-exception" not in str(solution)


def change(book, tmp_path, path, edit_notebook):
    """A copy of the book with one notebook changed, and what --check says about it."""
    shutil.copytree(book, tmp_path, dirs_exist_ok=True)
    nb = read(tmp_path / path)
    edit_notebook(nb)
    nbformat.write(nb, tmp_path / path)
    return notebooks.check(root=tmp_path)


def clear(nb):
    """Outputs gone, as an editor's "clear all outputs" leaves it."""
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def set_attribute(index, name, value):
    """Change one attribute of one cell."""
    return lambda nb: setattr(nb.cells[index], name, value)


@pytest.mark.parametrize(
    ("path", "edit_notebook", "why"),
    [
        ("book/07_page.ipynb", clear, "no stored outputs"),
        ("book/07_page.ipynb", clear, "execution counts"),
        ("book/07_page.ipynb", set_attribute(2, "source", "Other prose."), "not what the source"),
        ("book/07_page.ipynb", lambda nb: nb.cells.pop(), "cells, its source makes"),
        ("book/07_page.ipynb", lambda nb: nb.metadata.pop("accelerator"), "metadata"),
        ("exercises/07_page.ipynb", set_attribute(3, "source", "x = 1"), "not what the source"),
        ("exercises/07_page.ipynb", set_attribute(4, "metadata", {}), "not those tagged"),
        ("exercises/solutions/07_page.ipynb", set_attribute(3, "source", ""), "not what the"),
    ],
)
def test_disagreement_is_named(book, tmp_path, path, edit_notebook, why):
    """Source, notebook and blank must agree; the report names the notebook and the reason."""
    rows = change(book, tmp_path, path, edit_notebook)
    assert any(row.startswith(path) and why in row for row in rows), rows


def test_missing_and_orphaned_notebooks_are_named(book, tmp_path):
    """A source without its notebook, a notebook without its source."""
    shutil.copytree(book, tmp_path, dirs_exist_ok=True)
    (tmp_path / "book" / "07_page.ipynb").rename(tmp_path / "book" / "08_other.ipynb")
    assert notebooks.check(root=tmp_path) == [
        "book/08_other.ipynb: no source makes this notebook",
        "book/07_page.ipynb: it does not exist",
    ]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("object()", "memory address"),
        ("import sys\nprint('careful', file=sys.stderr)", "stderr"),
        ("raise NotImplementedError('Exercise 7.2: blank')", "NotImplementedError"),
    ],
)
def test_page_that_must_not_be_published(tmp_path, code, why):
    """A failing cell, an address, a warning, a blank in a chapter: refused, with the reason."""
    source = tmp_path / "book" / "source" / "07_page.md"
    source.parent.mkdir(parents=True)
    source.write_text(f"{FRONT}\n```{{code-cell}} ipython3\n{code}\n```\n", encoding="utf-8")
    with pytest.raises(notebooks.NotebookError, match=why):
        notebooks.build(source, root=tmp_path)
    assert not (tmp_path / "book" / "07_page.ipynb").exists()


def test_blank_may_fail_for_its_blank_only(tmp_path):
    """A cell of the blanked notebook that fails for want of a name is the author's mistake."""
    source = tmp_path / "exercises" / "source" / "07_page.md"
    source.parent.mkdir(parents=True)
    text = edit(EXERCISE, "def double(x):", "value = 3\n\n\ndef double(x):")
    text = edit(
        text, "print(double(3))", "result = double(3)\n```\n\n```{code-cell} ipython3\nresult"
    )
    source.write_text(text, encoding="utf-8")
    with pytest.raises(notebooks.NotebookError, match="(?s)only blanks may fail.*NameError"):
        notebooks.build(source, root=tmp_path)


@pytest.mark.parametrize(
    ("source", "number", "why"),
    [
        ("### BEGIN SOLUTION\nx = 1", "1.1", "no ### END"),
        ("x = 1\n### END SOLUTION", "1.1", "BEGIN is due"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION", "1.1", "END is due"),
        ("### BEGIN SOLUTION\n### END SOLUTION", None, "no heading"),
        ("x = 1  ### BEGIN SOLUTION", "1.1", "BEGIN is due"),
    ],
)
def test_markers_that_do_not_match(source, number, why):
    """Half a region would publish the answer."""
    with pytest.raises(notebooks.NotebookError, match=why):
        notebooks.strip_solutions(source, number)


def test_source_without_its_setup_cell(tmp_path):
    """Every notebook must begin with the cell that makes it run in Colab."""
    path = tmp_path / "x.md"
    path.write_text(edit(PAGE, "#@title Set-up (run me first)", "# set-up"), encoding="utf-8")
    with pytest.raises(notebooks.NotebookError, match="first code cell"):
        notebooks.read_source(path)


def test_unknown_name_is_refused():
    """A typing mistake must not look like "nothing changed"."""
    with pytest.raises(notebooks.NotebookError, match="no_such_chapter"):
        notebooks.sources(["no_such_chapter"])


# ---------------------------------------------------------------- the address, the rest


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of one notebook that knows no address."""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    (tmp_path / "README.md").write_text(
        "[One](book/01_sound.ipynb), [hifi](https://github.com/jik876/hifi-gan)\n", encoding="utf-8"
    )
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    address.write(None, tmp_path)
    return tmp_path


def test_address_comes_from_the_remote_or_the_workflow(repository, monkeypatch):
    assert address.address(repository) is None and address.derived(repository) is None
    git = ["git", "remote", "add", "origin"]
    subprocess.run([*git, "git@github.com:ada/waves.git"], cwd=repository, check=True)
    assert address.derived(repository) == "https://github.com/ada/waves"
    for other in ("https://github.com/ada/waves", "https://example.org/ada/waves.git"):
        subprocess.run(["git", "remote", "set-url", "origin", other], cwd=repository, check=True)
        assert address.derived(repository) == (other if "github" in other else None)
    monkeypatch.setenv("GITHUB_REPOSITORY", "bob/waves")
    assert address.derived(repository) == "https://github.com/bob/waves"


def test_address_is_written_moved_and_taken_back(repository):
    before = [(repository / n).read_text("utf-8") for n in ("pyproject.toml", "README.md")]
    for url in ("https://github.com/ada/waves", "https://github.com/bob/waves/"):
        address.write(url, repository)
        owner = url.split("/")[3]
        assert address.address(repository) == url.rstrip("/")
        assert (repository / "README.md").read_text("utf-8") == (
            "[One](book/01_sound.ipynb) ([Colab](https://colab.research.google.com/github/"
            f"{owner}/waves/blob/main/book/01_sound.ipynb)), [hifi](https://github.com/jik876/hifi-gan)\n"
        )
        assert address.disagreements(repository) == []
    (repository / "book.md").write_text("https://github.com/ada/waves", encoding="utf-8")
    assert address.disagreements(repository) == ["book.md: github.com/ada/waves, not owned by bob"]
    for host in ("github.com/", "colab.research.google.com/github/", "raw.githubusercontent.com/"):
        (repository / "book.md").write_text(f"{host}ada/waves/x, {host}ada/wavesurfer", "utf-8")
        assert len(address.disagreements(repository)) == 1, host
    address.write(None, repository)
    assert [(repository / n).read_text("utf-8") for n in ("pyproject.toml", "README.md")] == before
    with pytest.raises(ValueError, match="OWNER/NAME"):
        address.write("gitlab.com/ada/waves", repository)


def test_without_an_address_nothing_is_installed(monkeypatch):
    """No line that installs from an account that anybody could hold."""
    for url in (None, "https://github.com/ada/waves"):
        monkeypatch.setattr(notebooks, "address", lambda url=url: url)
        cell = notebooks.setup_cell()
        assert ("pip install" in cell, "ada/waves@main" in cell) == (url is not None,) * 2
        assert cell.startswith("#@title") and cell.count("\n") <= 6 and "import minigen" in cell


def test_only_the_repository_itself_publishes(monkeypatch, capsys):
    monkeypatch.setattr(address, "address", lambda: "https://github.com/ada/waves")
    for here, status in (("ada/waves", 0), ("eve/waves", 1)):
        monkeypatch.setenv("GITHUB_REPOSITORY", here)
        assert address.main(["--publishable"]) == status
    monkeypatch.setattr(address, "address", lambda: None)
    assert address.main(["--publishable"]) == 1
    assert "run the workflow `address` first" in capsys.readouterr().out


# ---------------------------------------------------------------- what Jupyter and Colab can show

PROSE = r"""
# 7. A page

As {cite:t}`oord2016wavenet` say {cite:p}`kingma2013vae, oord2016wavenet`:

$$
x = 1
$$ (page-one)

By {eq}`page-one` and the [exercises](../exercises/01_sound#one).

```{dropdown} A **hint**
Use $x$:

    y = x
```

```{list-table}
:header-rows: 1

* -
  - one
* - two
  - $x$
```

```{bibliography}
:filter: docname in docnames
```
"""


def test_directives_become_plain(monkeypatch):
    monkeypatch.setattr(plain, "equations", lambda root: {"page-one": "7.1"})
    (text,) = plain.plain([PROSE], ROOT / "book" / "source" / "07_page.md")
    for wanted in (
        "As [van den Oord et al. (2016)](https://arxiv.org/abs/1609.03499) say ([Kingma and Welling, 20",
        "\nx = 1 \\tag{7.1}\n$$\n\nBy (7.1) and the [exercises](../exercises/01_sound.ipynb#one).",
        "<details><summary>A **hint**</summary>\n\nUse $x$:\n\n    y = x\n\n</details>",
        "|  | one |\n|---|---|\n| two | $x$ |",
        "- van den Oord, Dieleman, Zen et al., 2016. [WaveNet: A Generative Model for Raw Audio](",
    ):
        assert wanted in text
    assert not re.search(r"\{[a-z:-]+\}", text.replace("\\tag{7.1}", ""))
    with pytest.raises(ValueError, match="cannot show {note}"):
        plain.plain(["```{note}\nx\n```"], ROOT / "book" / "source" / "07_page.md")


def test_actions_are_pinned_by_commit():
    """A tag can be moved to other code; a commit or a digest cannot."""
    used = [
        line.split("uses:")[1].split("#")[0].strip()
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "uses:" in line
    ]
    assert used and all(re.search(r"@([0-9a-f]{40}|sha256:[0-9a-f]{64})$", one) for one in used)


def test_doctests_of_the_tools():
    """The examples in the tools' docstrings."""
    for module in (address, lock, notebooks, plain, conftest):
        result = doctest.testmod(module)
        assert result.attempted > 0 and result.failed == 0, module.__name__


def test_every_planted_defect_still_fits_its_file_and_compiles():
    """The table of tests/planted.toml cannot rot: what it replaces stands once, and its tests are there."""
    found = planted.defects()
    assert len(found) >= 100 and len({defect[1:4] for defect in found}) == len(found)
    for defect in found:
        compile(defect.text(), defect.file, "exec")
        assert defect.old != defect.new
        assert all((ROOT / "tests" / name).is_file() for name in defect.tests.split()), defect.name


def test_defects_are_chosen_by_list_number_or_file():
    found = planted.defects()
    names = lambda *words: [defect.name for defect in planted.chosen(found, list(words))]
    assert names() == [defect.name for defect in found]
    assert names("first:2", "second:11") == ["first:2", "second:11"] and names("nothing") == []
    assert names("second") == [f"second:{n}" for n in range(len(names("second")))]
    assert {defect.file for defect in planted.chosen(found, ["vq.py"])} == {"vq.py"}


def test_a_planted_defect_is_taken_back_when_its_tests_have_run(tmp_path, monkeypatch):
    defect, seen = planted.defects()[0], []
    file = tmp_path / "minigen" / defect.file
    file.parent.mkdir(parents=True)
    (tmp_path / "said").write_text("1 failed\nFAILED tests/a.py::b\n")
    monkeypatch.setattr(planted.os, "fork", lambda: 1)
    ended = lambda *_: (seen.append(file.read_text("utf-8")), 256)
    monkeypatch.setattr(planted.os, "waitpid", ended)
    assert planted.caught_by(defect, tmp_path) == "FAILED tests/a.py::b"
    assert seen == [defect.text()] and defect.old in file.read_text("utf-8")


def test_a_solution_has_the_imports_that_it_uses_and_no_others():
    cells = [nbformat.v4.new_code_cell() for _ in range(2)]
    cells += [
        nbformat.v4.new_code_cell(
            "import math\nimport numpy as np\nfrom cmath import pi, tau\nx = 1"
        ),
        nbformat.v4.new_markdown_cell(
            "## Exercise 7.2: turn\n\n*Difficulty 1 of 3, about 5 minutes.* Turn."
        ),
        nbformat.v4.new_code_cell(
            "def f(x):\n    return np.sin(tau * x)\n\n\nchecks.sound.turn(f)"
        ),
    ]
    row = exercise_table.table(nbformat.v4.new_notebook(cells=cells))["7.2"]
    assert row["solution"][:2] == ["import numpy as np", "from cmath import tau"]
    assert row["solution"][2:] == ["def f(x):", "    return np.sin(tau * x)"]
    assert (row["check"], row["answers"]) == ("sound.turn", ["f"])
