"""A text to learn characters from: `book_text`."""

from __future__ import annotations

from pathlib import Path

__all__ = ["book_text"]


def book_text() -> tuple[str, str]:
    """This book's own prose, frozen on 24 November 2026 -> (text to train on, text held out).

    80,760 characters in lower case, one paragraph a line; every tenth paragraph is held out. The text
    does not follow later changes of the chapters: `tools/make_book_text.py` made it.

    >>> from minigen import data
    >>> train, test = data.book_text()
    >>> len(train), len(test), len(set(train + test))
    (72934, 7826, 47)
    """
    path = Path(__file__).with_name("book_text.txt")
    rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(r for n, r in enumerate(rows) if n % 10 != 9), "".join(rows[9::10])
