"""The book's frozen prose."""

from __future__ import annotations

from minigen import data


def test_every_tenth_paragraph_is_held_out():
    train, test = data.book_text()
    assert (len(train), len(test)) == (72_934, 7_826)
    assert not set(train.splitlines()) & set(test.splitlines())
    assert abs(9 * test.count("\n") - train.count("\n")) < 10
