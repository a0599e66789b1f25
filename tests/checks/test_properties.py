"""Properties that a wrong answer lacks: stated where they were seen, and never of a right answer."""

import numpy as np
import pytest

from minigen.checks.core import CheckFailed, agree, compare, exercise
from minigen.checks.properties import mixed_reason, output_reason, response_reason

X = np.array([0.3, -1.2, 2.5, 0.9])


@pytest.mark.parametrize(
    "got, want, reason",
    [
        ([[0.5, 0.6], [0.7, 0.3]], [[0.4, 0.6], [0.2, 0.8]], "sum to 1.1 along axis 1"),
        ([0.3, 0.4, 0.5], [0.1, 0.7, 0.2], "sum to 1.2, the right ones to one"),
        ([[2.0, 1.1], [1.3, 5]], [[3.0, 1.7], [1.7, 9]], "symmetric, this one is not"),
        ([-0.5, 3.1], [0.1, 0.2], "1 of 2 are negative, none"),
        ([0.5, -3.1], [-0.1, -0.2], "1 of 2 are positive, none"),
        ([0.5, 2.5, 7.3], [0.0, 2.6, 7.1], "1 are not zero that should be"),
        ([2.2, 3.1, 5.7], [2, 3, 6], "whole numbers"),
        ([2.0, 4.5, 3.1, 7.9], [2.5, 3.5, 4.7, 9.1], "grow from the first to the last"),
        (0.3, -0.2, "it is positive, the right value is negative"),
        ([300.0, -90.0], [1.5, -2.3], "far too large, 39 times or more"),
        (
            [[2.0, 4, 6.6], [9, 3, 7.5]],
            [[1, 2, 3.3], [3, 1, 2.5]],
            "along axis 1 they are all off by a factor",
        ),
    ],
)
def test_what_the_right_numbers_have_in_common(got, want, reason):
    got, want = np.asarray(got, float), np.asarray(want, float)
    assert reason in output_reason(got, want)
    assert output_reason(want, want) is None


def causal(x, by):
    return by * np.cumsum(x)


@pytest.mark.parametrize(
    "wrong, reason",
    [
        (lambda x, by: by * np.cumsum(x[::-1])[::-1], "at [0] depends on `x` at 1, the right one does not"),
        (lambda x, by: by * x, "[1] does not depend on `x` at 0, the right one does"),
        (lambda x, by: by * np.cumsum(x) + np.abs(x).sum(), "`x` of the other sign"),
        (lambda x, by: by**3 * np.cumsum(x) + by, "with `x` twice as large the right answer becomes 2 times"),
        (lambda x, by: np.tanh(by) * np.cumsum(x), "with `by` twice as large the right answer becomes 2 times"),
    ],
)  # fmt: skip
def test_how_an_answer_responds(wrong, reason):
    cases = [(X, 0.7), (X[:3] ** 2, 1.3)]
    said = response_reason(wrong, causal, cases[:1], ("x", "by"))
    assert said and ("depend" in said or "with `" in said)
    every = [response_reason(wrong, causal, [case], ("x", "by")) for case in cases]
    assert any(reason in one for one in every) or "depend" in reason
    assert response_reason(causal, causal, cases, ("x", "by")) is None


def test_a_single_number_is_followed_through_its_inputs():
    right = lambda x, s, n: np.sum(x**2) + np.log(s + 9) * 3 + n
    wrong = lambda x, s, n: np.sum(x**2) + np.tanh(s) * 3 + n
    said = response_reason(wrong, right, [(X, 0.4, 3)], ("x", "s", "n"))
    assert said == "it moves with `x` and `n` as it should, but not with `s`"
    half = lambda x, s, n: np.sum(x**2) + 0.5 * np.log(s + 9) * 3 + n
    assert "`s` moves it 0.5 times as far" in response_reason(half, right, [(X, 0.4, 3)], ("x", "s", "n"))  # fmt: skip
    weights = {"a": X, "b": 2 * X}
    right, wrong = lambda w: np.sum(w["a"]) + np.sum(w["b"] ** 2), lambda w: np.sum(w["a"]) + np.sum(w["b"] ** 4)  # fmt: skip
    assert "but not with `w['b']`" in response_reason(wrong, right, [(weights,)], ("w",))


def test_a_mixture_of_the_right_value_and_an_input():
    e = X[::-1] ** 2
    assert (
        mixed_reason(2 * X - e, e, (X, e), ("z", "e"))
        == "it is -1 times the right value, plus 2 × `z`"
    )
    assert mixed_reason(e, e, (X, e), ("z", "e")) is None
    assert mixed_reason(np.sin(X), e, (X, e), ("z", "e")) is None


def test_checks_say_it():
    @exercise("9.9", "running sums")
    def running(function):
        agree(function, causal, [(X, 0.7), (X**2, 1.1)], "sums")

    running(causal)
    with pytest.raises(CheckFailed, match="sums, for inputs .*depends on `x`"):
        running(lambda x, by: by * x.sum() * (1 + np.arange(len(x)) ** 2))

    @exercise("9.9", "two")
    def two(function):
        agree(function, lambda x: (x.sum(), x.min()), [(X,)], ("sum", "largest"))

    with pytest.raises(CheckFailed, match="sum, .*: this is what belongs at place 2: largest"):
        two(lambda x: (x.min(), x.sum()))

    @exercise("9.9", "code")
    def code(function):
        compare(function(X), X**2, "code")

    with pytest.raises(CheckFailed, match="-1 times the right value, plus 2 × `x`"):
        code(lambda x: 2 * x - x**2)
