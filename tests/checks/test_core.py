"""The helpers of the checks: they pass what is right and name what is wrong."""

import numpy as np
import pytest

from minigen import checks
from minigen.checks.core import CheckFailed, agree, compare, exercise, predicts, require


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


def test_single_precision_is_right_and_said(capsys):
    compare(np.float32([0.1, 0.7]), [0.1, 0.7], "half", 1e-9)
    assert "to the digits of float32" in capsys.readouterr().out
    with pytest.raises(CheckFailed, match="nearly right"):
        compare(np.float32([0.1, 0.7001]), [0.1, 0.7], "half", 1e-9)


@exercise("9.8", "scaled")
def scaled(function):
    cases = [(np.array([1.0, -2.0, 3.0]), 2.0), (np.array([0.3]), -1.0)]
    agree(function, lambda x, by: by * x + x**2, cases, "scaled")


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda x, by: x**2, "as if `by` were zero"),
        (lambda x, by: -by * x + x**2, "as if `(by|x)` were negative"),
        (
            lambda x, by: 2 * x + x**2,
            "for inputs shape .1,., -1, though right for the inputs before",
        ),
        (lambda x, by: by * x, "a term, -1 × `x`²"),
        (lambda x, by: (by * x + x**2) * by, "factor everywhere, 2|multiplied by `by`"),
        (lambda x, by: (by * x + x**2)[::-1], "as if `x` were reversed"),
    ],
)
def test_a_slip_is_named_from_the_inputs(function, message):
    with pytest.raises(CheckFailed, match=message):
        scaled(function)


@exercise("9.7", "sum")
def total(function):
    cases = [(np.arange(1.0, n) ** 2, s) for n, s in ((4, 2.0), (6, 3.0), (9, 5.0))]
    agree(function, lambda x, s: (x / s).sum() + len(x) * np.log(s), cases, "sum")


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda x, s: (x / s).sum() + len(x) * np.log(s) + 0.7, "off by 0.7, whatever the inputs"),
        (lambda x, s: 1.7 * ((x / s).sum() + len(x) * np.log(s)), "always 1.7 times"),
        (
            lambda x, s: (x / s).sum() + len(x) * (np.log(s) + 0.5 * np.log(2 * np.pi)),
            r"off by 0.9189 \(½ log 2π\) times the length number 1",
        ),
    ],
)
def test_what_all_inputs_have_in_common_is_said(function, message):
    with pytest.raises(CheckFailed, match=message):
        total(function)


def test_whole_numbers():
    @exercise("9.9", "order")
    def order(function):
        agree(function, np.argsort, [(np.array([3.0, 1.0]),)], "order")

    order(lambda x: np.argsort(x).tolist())
    with pytest.raises(CheckFailed, match="whole numbers are wanted"):
        order(lambda x: [1.0, 0.0])


def test_notebooks_show_only_the_message():
    assert CheckFailed("✗ why")._render_traceback_() == ["✗ why"]


def test_require():
    with pytest.raises(CheckFailed, match="✗ no"):
        require(np.array(False), "yes", "no")


def test_unknown_chapter():
    with pytest.raises(AttributeError, match="gaussian"):
        _ = checks.chapter_99


def test_a_prediction_is_held_against_the_run(capsys):
    questions = {"width": (2.0, 0.1, "it doubles"), "which": ("left", 0, "it leans")}
    predicts(lambda: {"which": "left", "width": 2.15}, questions)
    assert "predicted 2.15, and the run gives 2" in capsys.readouterr().out
    for guess, why in [
        ({"width": 2.0}, "one answer for each of width, which"),
        ([2.0, "left"], "one answer for each"),
        ({"width": "2", "which": "left"}, "expected a number"),
        ({"width": 2, "which": 1}, "expected a word"),
        ({"width": 3, "which": "left"}, "not give 3. Think again: it doubles"),
        ({"width": 2, "which": "right"}, "not give right. Think again: it leans"),
    ]:
        with pytest.raises(CheckFailed, match=why):
            predicts(lambda guess=guess: guess, questions)


@pytest.mark.parametrize("error, right", [(2e-7, True), (2e-6, False)])
def test_digits_of_float32_are_right_and_a_digit_less_is_not(error, right):
    want = np.array([1.0, -2.0, 3.0])
    got = want * (1 + error * np.array([1.0, -1.0, 0.5]))
    if right:
        compare(got, want, "it")
    else:
        with pytest.raises(CheckFailed, match="it: nearly right"):
            compare(got, want, "it")
