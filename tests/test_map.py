"""The map of the models: chapter 1 charges each of them as the index page does."""

from __future__ import annotations

import re
from pathlib import Path

BOOK = Path(__file__).resolve().parents[1] / "book"


def of_the_index() -> dict[int, tuple[str, str]]:
    """Chapter number -> (cost of log p, cost of a sample), from the list-table."""
    text = (BOOK / "index.md").read_text(encoding="utf-8")
    row = r"^\* - \[?(\d+) · [^\n]+\n  - [^\n]+\n  - ([^\n]+)\n  - ([^\n]+)$"
    return {int(m[1]): (m[2], m[3]) for m in re.finditer(row, text, re.MULTILINE)}


def of_chapter_1() -> dict[int, tuple[str, str]]:
    """The same, from the table of the first chapter."""
    text = (BOOK / "source" / "01_sound.md").read_text(encoding="utf-8")
    row = r"^\| (\d+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$"
    return {int(m[1]): (m[2], m[3]) for m in re.finditer(row, text, re.MULTILINE)}


def test_chapter_1_charges_as_the_index_does():
    index = of_the_index()
    assert sorted(index) == list(range(1, 16)), "the table of book/index.md was not understood"
    assert of_chapter_1() == {number: index[number] for number in range(2, 15)}
