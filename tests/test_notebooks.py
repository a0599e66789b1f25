"""Rules for every notebook of the book that can be read off the files, without running them.

That they run, and print what is stored, is nbval's part (`make test` runs it on the same files).
"""

import json
import re
from pathlib import Path

import address
import notebooks
import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = notebooks.sources()
PAGES = sorted(path for source in SOURCES for path in notebooks.targets(source))


def code_cells(path: Path) -> list[dict]:
    """The code cells of a notebook, sources joined."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [c | {"source": "".join(c["source"])} for c in cells if c["cell_type"] == "code"]


def name(path: Path) -> str:
    """A path as it is read in the report."""
    return str(path.relative_to(ROOT))


def test_there_are_notebooks():
    """Nothing below would be checked if the folders were empty or moved."""
    assert SOURCES, "no MyST source in book/source or exercises/source"


def test_sources_and_notebooks_agree():
    """Notebook = source + outputs; blank = solution - marked regions; nothing without a source."""
    assert notebooks.check() == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_notebook_keeps_the_rules(path):
    """Short cells, an install cell that touches nothing else, nothing hidden from nbval."""
    cells = code_cells(path)
    assert cells[0]["source"] == notebooks.setup_cell()
    assert len(cells[0]["source"].splitlines()) <= 7
    for cell in cells:
        source, tags = cell["source"], set(cell["metadata"].get("tags", []))
        lines = [line for line in source.splitlines() if " SOLUTION" not in line]  # the marks
        assert len(lines) <= 30, f"a cell of more than 30 lines:\n{source}"
        hidden = {tag for tag in tags if tag.lower().startswith("nbval")}
        assert not hidden, f"{hidden} would keep this cell from being compared:\n{source}"
        assert not re.search(r"^\s*#\s*(NBVAL|PYTEST_VALIDATE)", source, re.MULTILINE), source
        assert "myst_nb" not in source, f"Colab has no myst_nb:\n{source}"
        if path.parent.name != "exercises":
            assert "raises-exception" not in tags, f"only a blank may fail:\n{source}"


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_only_what_a_page_trains_may_differ_more(path):
    """A cell has such a tag only where it prints figures and something was trained or is sampled by then."""
    cells = code_cells(path)
    for count, cell in enumerate(cells):
        if notebooks.UNSTEADY & set(cell["metadata"].get("tags", [])):
            above = "".join(one["source"] for one in cells[: count + 1])
            assert re.search(
                r"\.backward\(\)|checks\.answer\(|def learn\(|\.train\(\)|generate\.generate\(|synthesize_all\(",
                above,
            ), cell["source"]
            printed = json.dumps(cell["outputs"])
            assert path.parent.name == "exercises" or re.search(r"\d", printed), cell["source"]


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_outputs_name_no_place_on_this_machine(path):
    """A stored path or home folder would be someone's, and differ on the next machine."""
    outputs = json.dumps([cell["outputs"] for cell in code_cells(path)])
    leaked = re.findall(r"(?<![\w/])/(?:home|root|tmp|Users|work)/[\w./-]{3,40}", outputs)
    assert not leaked


@pytest.mark.parametrize("path", sorted(ROOT.glob("book/*.ipynb")), ids=name)
def test_a_cell_that_draws_is_folded(path):
    """And it prints nothing: what computes and prints stands in a cell of its own, which teaches."""
    for cell in code_cells(path)[1:]:
        if "plot.show(" in cell["source"]:
            assert "hide-input" in cell["metadata"].get("tags", []), cell["source"]
            assert not re.search(r"\b(print|listen)\(", cell["source"]), cell["source"]


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_no_line_of_code_is_too_wide(path):
    """No cell, folded or not, no command and no part of the library that a cell prints."""
    lines = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        code = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            code = "".join(re.findall(r"^```\w.*?^```", code, re.MULTILINE | re.DOTALL))
        elif "getsource" in code:
            code += "".join("\n" + "".join(out.get("text", "")) for out in cell["outputs"])
        lines += code.split("\n")
    assert not [line for line in lines if len(line) > 84]


def test_every_page_is_in_the_table_of_contents():
    """A notebook that no menu leads to would never be read (solutions are linked from pages)."""
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    for path in PAGES:
        if path.parent.name != "solutions":
            assert re.search(
                rf"file: {name(path).removesuffix('.ipynb')}\s*$", toc, re.MULTILINE
            ), f"{name(path)} is not in _toc.yml"


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_text_is_what_jupyter_shows(path):
    """No directive, role or label is left over: readers of the notebook would see its source."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(c["source"]) + "\n" for c in cells if c["cell_type"] == "markdown")
    left = re.findall(r"\{[a-z][\w:-]*\}`[^`]*`|^[`:]{3,}\{.*|^\$\$ *\(.*", text, re.MULTILINE)
    assert not left
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", text):
        assert (path.parent / target).exists() or not re.match(r"[./\w]+$", target), target


def test_readme_leads_to_each_page():
    """Each chapter and its exercises, and to Colab where the repository's address is known."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(((?:book|exercises)/\w+\.ipynb)\)", readme))
    assert linked == {name(path) for path in PAGES if path.parent.name != "solutions"}
    assert address.with_links(readme, address.address()) == readme


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_no_printed_word_runs_into_a_number(path):
    """`f"{label:14s}{value:.3f}"` leaves no space after a label of 14 letters."""
    for cell in code_cells(path):
        printed = "".join(
            "".join(output.get("text", output.get("data", {}).get("text/plain", "")))
            for output in cell["outputs"]
        )
        assert not re.search(r"[a-z)]{3}-?\d+\.\d|\.\d{2}-\d+\.\d|\.\d+\.\d+\.\d", printed), printed
