"""The reader's function is called on copies, without what is forbidden, and its own line is shown."""

import functools

import numpy as np
import pytest
import torch
from numpy import cov
from numpy.linalg import solve as solver

from minigen.checks.core import CheckFailed, compare, exercise, parts, require
from minigen.checks.reader import PACKAGE, Reader

x = np.array([3.0, 1.0, 2.0])


def refused(check, *functions):
    with pytest.raises(CheckFailed) as error:
        check(*functions)
    return str(error.value)


@exercise("9.1", "order")
def order(function):
    compare(function(x), np.sort(x), "order")


@exercise("9.2", "two")
def two(function):
    first, second = parts(function(x), "the mean", "the covariance")
    compare(first, 2.0, "mean")
    compare(second, 1.0, "covariance")


FORBIDDEN = ("numpy.linalg.solve", "numpy.cov", "torch.slogdet", "torch.Tensor.slogdet")


@exercise("9.3", "by hand", forbid=FORBIDDEN)
def by_hand(function):
    require(function(x) is not np.linalg.solve, "called", "not called")


@exercise("9.4", "chance", own_chance=True)
def chance(function):
    function(np.random.default_rng(0))


class Holder:
    solve, static = np.linalg.solve, staticmethod(np.cov)

    def __init__(self):
        self.mine = [(np.cov,)]


PART, HOLDER = functools.partial(np.linalg.solve, np.eye(3)), Holder()
INNER = (functools.partial(np.cov),)
OPERATOR = torch.ops.aten.slogdet.default


def helper(values, inner=INNER):
    return inner[0](values)


def in_place(values):
    values.sort()
    return values


def in_place_and_wrong(values):
    values.sort()
    return -values


def test_a_change_of_the_input_is_named_after_all_else():
    assert "changes its input `values`" in refused(order, in_place)
    assert x.tolist() == [3, 1, 2]
    message = refused(order, in_place_and_wrong)
    assert "minus the right value" in message and "also changes its input `values`" in message


@pytest.mark.parametrize("kind", [tuple, list, np.array, torch.tensor])
def test_any_sequence_of_results_will_do(kind, capsys):
    two(lambda x: kind([2.0, 1.0]))
    assert "is solved" in capsys.readouterr().out


@pytest.mark.parametrize("answer", [2.0, [2.0], np.zeros(3), "ab c"])
def test_other_numbers_of_results_are_refused(answer):
    assert "return two things, the mean, the covariance" in refused(two, lambda x: answer)


def test_nothing_returned():
    assert "returns nothing (None): is the `return` missing?" in refused(order, lambda x: None)


def crashes(values):
    return values[7]


def blank(values):
    raise NotImplementedError("9.1")


def test_a_crash_shows_the_own_line():
    message = refused(order, crashes)
    assert "IndexError in line" in message and "`return values[7]`" in message
    line = refused(order, lambda x: np.linalg.cholesky(x))
    assert "test_reader.py" in line and "linalg.py" not in line


def test_only_the_own_blank_is_blank():
    assert refused(order, blank).startswith("✗ Exercise 9.1 (order) is still blank")
    assert "calls `blank`, which is still blank" in refused(order, lambda x: blank(x) + 1)


def test_a_failure_of_the_check_is_the_checks():
    """Code of the library that stops on what the function returned."""
    space = {"exercise": exercise}
    code = '@exercise("9.5", "broken")\ndef broken(function):\n    function(1)["no"]\n'
    exec(compile(code, PACKAGE + "/checks/broken.py", "exec"), space)  # noqa: S102
    assert "the check itself stopped" in refused(space["broken"], lambda x: x)


def test_chance_of_ones_own():
    assert "global generator" in refused(chance, lambda rng: np.random.rand())
    assert "global generator" in refused(chance, lambda rng: torch.rand(1))
    chance(lambda rng: rng.random())
    reader = Reader(lambda first: np.random.rand() if first else 0.5)
    reader(True), reader(False)
    assert reader.global_chance  # once is enough


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.linalg.solve(np.eye(3), x),
        lambda x: solver(np.eye(3), x),
        lambda x: cov(x),
        lambda x, f=np.cov: f(x) if False else __import__("numpy").cov(x),
        lambda x: torch.slogdet(torch.eye(3)),
        lambda x: torch.eye(3).slogdet(),
        lambda x: getattr(np.linalg, "solve")(np.eye(3), x),  # noqa: B009
        lambda x: PART(x),
        lambda x: Holder.solve(np.eye(3), x),
        lambda x: Holder.static(x),
        lambda x: HOLDER.mine[0][0](x),
        lambda x: helper(x),
        functools.partial(np.cov),
        functools.partial(helper),
        lambda x: torch.ops.aten.slogdet(torch.eye(3)),
        lambda x: torch.ops.aten.linalg_slogdet(torch.eye(3)),
        lambda x: torch.ops.aten.slogdet.default(torch.eye(3)),
        lambda x: OPERATOR(torch.eye(3)),
    ],
)
def test_what_is_forbidden_raises_under_any_name(function):
    assert "the exercise asks you to do without" in refused(by_hand, function)
    assert np.linalg.solve(np.eye(3), x).tolist() == x.tolist()
    assert torch.eye(2).slogdet()[1] == 0 and cov(x) == 1


def test_libraries_may_use_it():
    by_hand(lambda x: np.corrcoef(x, x))


def test_a_closure_and_a_swallowed_error_hide_nothing():
    mine = np.cov

    def sly(values):
        try:
            return mine(values)
        except Exception:  # noqa: BLE001
            return 1

    assert "numpy.cov" in refused(by_hand, sly)


def test_copies_keep_gradients():
    z = torch.ones(2, requires_grad=True)
    (slope,) = torch.autograd.grad(Reader(lambda z: (2 * z).sum())(z), z)
    assert slope.tolist() == [2, 2]
