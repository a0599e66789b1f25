"""The book's frozen prose."""

from __future__ import annotations

import make_book_text

from minigen import data


def test_every_tenth_paragraph_is_held_out():
    train, test = data.book_text()
    assert (len(train), len(test)) == (72_934, 7_826)
    assert not set(train.splitlines()) & set(test.splitlines())
    assert abs(9 * test.count("\n") - train.count("\n")) < 10


def test_prose_of_code_is_its_docstrings_and_comments():
    code = '"""Of a file."""\nclass A:\n    """Of a class.\n\n    >>> 1\n    """\n\n    def f(x):\n        """Of a method."""\n'
    prose = make_book_text.prose_of_code(code + "# Of a line\nx = 1  # of none\n")
    assert [row for row in prose.splitlines() if row.strip()] == [
        "Of a file.",
        "Of a class.",
        "Of a method.",
        "Of a line",
    ]
