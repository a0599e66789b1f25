"""Texts to learn characters from: `book_text`, in the package, and `tinyshakespeare`, fetched."""

from __future__ import annotations

from pathlib import Path

from .fetch import locate

__all__ = ["book_text", "tinyshakespeare"]

_LENGTH = 1_115_394


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


def tinyshakespeare() -> str:
    """1,115,394 characters of Shakespeare's plays; fetched (1.1 MB) on the first call.

    References:
        A. Karpathy, The unreasonable effectiveness of recurrent neural networks, 2015.

    Raises:
        FileNotFoundError, ConnectionError, ValueError: see `minigen.data.fetch.locate`; and
            ValueError where the text is cut off.
    """
    path = locate("tinyshakespeare") / "input.txt"
    text = path.read_text(encoding="utf-8")
    if len(text) != _LENGTH:
        raise ValueError(
            f"{path} has {len(text)} characters, not {_LENGTH}: remove its folder, so that it is "
            "fetched afresh"
        )
    return text
