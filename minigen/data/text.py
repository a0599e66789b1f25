"""A text to learn characters from, `book_text`; and how English is written and read aloud."""

import tomllib
from functools import cache
from pathlib import Path


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


@cache
def english() -> dict[str, dict]:
    """Tables of how English is written and read: symbols, abbreviations, units, letters, homographs, …

    `minigen.speech.text` and its neighbours read them; `english.toml` explains each.

    >>> english()["units"]["km"]
    'kilometer'
    """
    return tomllib.loads(Path(__file__).with_name("english.toml").read_text(encoding="utf-8"))
