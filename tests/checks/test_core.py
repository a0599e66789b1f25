"""The helpers of the checks: they pass what is right and name what is wrong."""

import numpy as np
import pytest

from minigen import checks
from minigen.checks.core import CheckFailed, compare, exercise, require


@exercise("9.9", "half")
def half(function):
    compare(function(np.array([1.0, 4.0])), [0.5, 2.0], "half", hints=[([2.0, 8.0], "doubled")])


def test_passes_and_says_so(capsys):
    half(lambda x: x / 2)
    assert capsys.readouterr().out == "✓ half is right\nExercise 9.9 (half) is solved.\n"


def blank(x):
    raise NotImplementedError("Exercise 9.9")


@pytest.mark.parametrize(
    "function, message",
    [
        (blank, "9.9 .* still blank"),
        (lambda x: x * 2, "doubled"),
        (lambda x: x / 2 + 3, "same constant everywhere, 3"),
        (lambda x: x * 5, "same factor everywhere, 10"),
        (lambda x: x**2 + np.sin(x), r"expected 0.5, got 1.84\d+ at \[0\]"),
        (lambda x: x[:1] / 2, r"expected shape \(2,\), got \(1,\): 1 too few along axis 0"),
        (lambda x: x / 2 * np.nan, "NaN"),
        (lambda x: "half", "expected numbers"),
        (lambda x: x.half(), "your code raised AttributeError"),
    ],
)
def test_fails_with_the_reason(function, message):
    with pytest.raises(CheckFailed, match=message):
        half(function)


def test_notebooks_show_only_the_message():
    assert CheckFailed("✗ why")._render_traceback_() == ["✗ why"]


def test_require():
    with pytest.raises(CheckFailed, match="✗ no"):
        require(np.array(False), "yes", "no")


def test_unknown_chapter():
    with pytest.raises(AttributeError, match="gaussian"):
        _ = checks.chapter_99
