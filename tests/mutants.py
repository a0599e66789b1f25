"""Every exercise of a chapter with the mutants of its solution."""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache

from minigen.checks.exercises import Exercise as Known
from minigen.checks.exercises import exercises as known
from minigen.checks.slips import Solution


class Exercise(Solution):
    """The solution of one exercise, and the check that its functions are given to."""

    def __init__(self, exercise: Known):
        super().__init__(exercise.number)
        self.find_check, self.name = (
            exercise.find_check,
            f"{exercise.number.split('.')[0]}.{exercise.check}",
        )

    def mutants(self) -> Iterator[tuple[str, list[ast.stmt]]]:
        """(what was changed, the definitions) of every mutant."""
        seen = Counter()
        text = lambda node: ast.unparse(node).split("\n")[0] if node is not None else "(removed)"
        for name, node, new, definitions in self.changed():
            what = f"{name}: {text(node)} -> {text(new)}"
            seen[what] += 1
            yield what + (f" ({seen[what]})" if seen[what] > 1 else ""), definitions


@cache
def exercises() -> list[Exercise]:
    """All exercises of chapters that have a check, in order. Those of projects train: tables of mistakes do."""
    return [Exercise(each) for each in known().values() if each.number[0].isdigit()]
