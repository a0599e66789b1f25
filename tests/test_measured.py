"""Numbers in prose: those that claim to be measured are printed, and the others are accounted for."""

import shutil
from pathlib import Path

import measured
import nbformat
import notebooks
import plain
import pytest

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted(ROOT.glob("book/source/*.md"))


def notebook(*texts: str, html: str = ""):
    outputs = [nbformat.v4.new_output("stream", text=text) for text in texts]
    outputs.append(nbformat.v4.new_output("display_data", {"text/html": html}))
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)])


@pytest.mark.parametrize(
    ("claim", "shown", "holds"),
    [
        ("2.21", "mean 2.2146 nats", True),
        ("2.22", "mean 2.2146 nats", False),
        ("2.21", "2.2", False),  # a number that is printed coarser backs nothing finer
        ("−3.7", "-3.69", True),
        ("3.7", "-3.69", True),  # "3.7 nats less"
        ("36 %", "accuracy 0.364", True),
        ("36 %", "36.4 %", True),
        ("36", "accuracy 0.364", False),
        ("16,384", "16384 bits", True),
        ("172,785", "172,785 weights", True),
        ("0.0037", "3.7e-03", True),
        ("5", "", False),
        ("5", "[figure: 5 curves]", False),  # people wrote that
    ],
)
def test_a_measured_number_is_one_that_rounds_to_it(claim, shown, holds):
    text = f"It is {{measured}}`{claim}` of all."
    assert measured.unprinted(text, notebook(shown)) == ([] if holds else [claim])


def test_tables_count_and_their_markup_does_not():
    page = notebook(html='<style>a {width: 77px}</style><td style="width: 88px">4.25</td>')
    text = "{measured}`4.25` {measured}`77` {measured}`88` {given}`99`"
    assert measured.unprinted(text, page) == ["77", "88"]
    with pytest.raises(ValueError, match="one number"):
        measured.unprinted("{measured}`many`", page)


def test_a_changed_output_fails_the_check_of_the_notebooks(tmp_path):
    """The same page, and one digit of an output changed."""
    stem = "02_gaussian"
    for name in (f"book/source/{stem}.md", f"book/{stem}.ipynb", "book/references.bib"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    source = tmp_path / f"book/source/{stem}.md"
    claim = source.read_text(encoding="utf-8").replace("{measured}`16`", "{measured}`16.48`")
    source.write_text(claim, encoding="utf-8")
    assert "{measured}`16.48`" in claim and notebooks.claims(source) == []
    path = tmp_path / f"book/{stem}.ipynb"
    text = path.read_text(encoding="utf-8")
    assert text.count("16.48") == 1
    path.write_text(text.replace("16.48", "17.48"), encoding="utf-8")
    assert notebooks.claims(source) == ["no cell prints 16.48, which {measured} says"]


def test_in_a_notebook_the_roles_are_the_numbers():
    text = "About {measured}`2.21` of {given}`16 %`."
    assert plain.plain([text], CHAPTERS[0]) == ["About 2.21 of 16 %."]


@pytest.mark.parametrize(
    ("prose", "found"),
    [
        ("It gains 1.7 % for 30 words.", ["1.7 %", "30"]),
        ("It gains {measured}`1.7` % for {given}`30` words.", []),
        ("As in chapters 13 and 14, five times, 2 of 3, in 1998.", []),
        ("A sample of $D = 160$ numbers; 160 of them.", []),
        ("```{code-cell}\nK = 128\n```\n\nOf 128 codes 101 are used.", ["101"]),
        ("# 44. A heading\n\nAR(16) and float32 `77` {eq}`b99`.", ["16"]),
        ("They report 4.21 {cite:p}`somebody2016`. We find 4.33.", ["4.33"]),
        ("$$\nx = 4\n$$\n\nIt costs 55 and $y$ 66.", ["55", "66"]),
    ],
)
def test_loose_numbers_are_found_and_others_are_not(prose, found):
    assert [number for number, _ in measured.loose(prose)] == found


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_number_in_prose_is_measured_given_or_defined(path):
    """See tools/measured.py for what to write: {measured}`2.21` or {given}`0.693`."""
    found = measured.loose(path.read_text(encoding="utf-8"))
    assert not found, "\n".join(f"{n}: {where}" for n, where in found)
