"""What is true of every chapter's checks: blanks fail under their heading, typical mistakes are named.

That solutions pass, their notebooks show, which are run again.
"""

import re
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from minigen.checks.core import CheckFailed
from minigen.checks.exercises import exercises


def blank(*arguments, **names):
    """A function that the reader has not written yet."""
    raise NotImplementedError


def changed(number: str, *changes: tuple):
    """The book's answer to an exercise, or its answers, with places of its text changed.

    A change is (old, new), or (old, new, how often) where it stands in more than one place.
    """
    exercise = exercises()[number]
    text = "\n".join(exercise.solution)
    for old, new, *times in changes:
        assert text.count(old) == (times or [1])[0], old
        text = text.replace(old, new)
    space = {}
    exec(text, space)  # noqa: S102
    found = tuple(space[answer] for answer in exercise.answers)
    return found if len(found) > 1 else found[0]


def _functions(answer) -> tuple[Callable, ...]:
    """Most exercises ask for one function, some for a pair."""
    return answer if isinstance(answer, tuple) else (answer,)


def checks_of(module: ModuleType) -> list[str]:
    """The names of a module's checks, functions under the decorator `exercise`."""
    own = {k: v for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__}
    return [name for name, value in own.items() if hasattr(value, "number")]


class ExerciseChecks:
    """Derive a class Test… from it and set these four.

    chapter: its number. checks: the module of `minigen.checks`. solutions: {check: function or
    functions}, in the order of the exercises. mistakes: (check, function or functions, pattern that
    the message must match).
    """

    chapter: int
    checks: ModuleType
    solutions: dict
    mistakes: list

    def pytest_generate_tests(self, metafunc):
        if "mistake" in metafunc.fixturenames:
            metafunc.parametrize("name, mistake, message", self.mistakes)
        elif "name" in metafunc.fixturenames:
            metafunc.parametrize("name", self.solutions)

    def check(self, name, answer):
        with np.errstate(all="ignore"):
            getattr(self.checks, name)(*_functions(answer))

    def number(self, name):
        return f"{self.chapter}.{1 + list(self.solutions).index(name)}"

    def test_the_blank_fails(self, name):
        answer = tuple(blank for _ in _functions(self.solutions[name]))
        title = exercises()[self.number(name)].title
        blanked = re.escape(f"✗ Exercise {self.number(name)} ({title}) is still blank")
        with pytest.raises(CheckFailed, match=blanked):
            self.check(name, answer)

    def test_a_typical_mistake_is_named(self, name, mistake, message):
        with pytest.raises(CheckFailed, match=message):
            self.check(name, mistake)

    def test_every_check_has_a_solution_and_three_mistakes(self):
        assert set(self.solutions) == set(checks_of(self.checks))
        for name in self.solutions:
            assert sum(row[0] == name for row in self.mistakes) >= 3, name
