"""What is taken out of a notebook: definitions and what they need; no demo, and no check of the student's."""

import pytest
from written import solved

from minigen.checks.exercises import exercises
from minigen.checks.notebook_answers import judge, statements

BLANK = 'def count(*a):\n    raise NotImplementedError("Exercise 1.1")'


def right():
    return "\n".join(exercises()["1.1"].solution)


def result(*cells):
    """Of exercise 1.1."""
    return judge(exercises()["1.1"], [("code", c) if isinstance(c, str) else c for c in cells])


def test_a_solution_passes_and_a_blank_is_blank():
    assert result(right()) == ("passed", "")
    assert result(BLANK)[0] == "blank"
    assert result("x = 1") == ("blank", "no `count` is defined")
    assert result() == ("blank", "no `count` is defined")


def test_a_wrong_answer_fails_with_its_reason_and_its_line():
    name = exercises()["1.1"].answers[0]
    kind, why = result(f"def {name}(*a):\n    return a[0]")
    assert kind == "failed" and why.startswith("✗")
    kind, why = result(f"def {name}(*a):\n    x = 1\n    return x / 0")
    assert "ZeroDivisionError in line 3 of your cell, `return x / 0`" in why


@pytest.mark.parametrize(
    "cheat",
    [
        'print("passed")',
        "checks = type('C', (), {'sound': None})",
        "from minigen import checks\nchecks.sound.counting = lambda *f: print('Exercise 1.1 is solved.')",
        "def check(*a): return True\ncheck.counting = check",
        "import sys\nsys.modules['minigen.checks.sound'] = sys",
        "from minigen.checks import core\ncore.require = core.compare = lambda *a, **k: None",
    ],
)
def test_cells_that_change_the_check_change_nothing(cheat):
    assert result(BLANK, cheat)[0] == "blank"
    wrong = "def count(*a):\n    return 3"
    assert result(wrong, cheat)[0] == "failed"
    assert result(cheat, right())[0] == "passed"


def test_an_answer_that_changes_the_checks_from_within_is_refused(monkeypatch):
    from minigen.checks import sound

    monkeypatch.setattr(sound, "agree", sound.agree)  # put back at the end
    inside = "    from minigen.checks import sound\n    sound.agree = lambda *a, **k: None\n"
    head, body = right().split("\n    ", 1)
    found = result(f"{head}\n{inside}    {body}")
    assert found == ("failed", "your code changes the checks themselves")


def test_the_order_of_cells_does_not_matter():
    cells = solved(2)
    for e in exercises().values():
        if e.module == "gaussian":
            assert judge(e, cells[::-1])[0] == "passed"


def test_helpers_tables_and_constants_come_along_but_no_demo():
    cells = (
        "TABLE = {}\nfor n in range(3):\n    TABLE[n] = n\nTABLE.update(a=1)",
        "def helper(x):\n    assert TABLE['a'] == 1 and TABLE[2] == 2\n    return x",
        right().replace("def count", "%matplotlib inline\n@helper\ndef count"),
        "raise SystemExit",
        "open('demo', 'w')\nimport time\nslow = [time.sleep(99) for _ in count(1, 2)]",
        "1 +",
    )
    assert result(*cells) == ("passed", "")


def test_the_filled_in_definition_counts_wherever_it_stands():
    assert result(right(), BLANK)[0] == "passed"
    assert result(BLANK, right())[0] == "passed"
    left_over = right() + '\n    raise NotImplementedError("never reached")'
    assert result(left_over)[0] == "passed"
    other = ("markdown", "## Exercise 9.9"), "def count(*a):\n    return 0"
    assert result(("markdown", "## Exercise 1.1"), right(), *other)[0] == "passed"


def test_a_cell_that_does_not_parse_is_the_reason():
    kind, why = result("def count(levels, samples)\n    return 1")
    assert kind == "failed" and "no Python" in why and "line 1" in why
    kind, why = result("count = undefined + 1")
    assert kind == "failed" and "NameError in `count = undefined + 1`" in why
    assert result("def count(*a):\n    raise SystemExit(0)")[0] == "failed"


def test_names_of_statements():
    found, broken = statements([("code", "import a.b as c\nx = y\nx[0] = z\nq.r(s)\n!ls\n"), ("code", "def f(")])  # fmt: skip
    assert [set(s.binds) for s in found] == [{"c"}, {"x"}, {"x"}, {"q"}, set()]
    assert [set(s.needs) for s in found] == [set(), {"y"}, {"x", "z"}, {"q", "s"}, set()]
    assert list(broken) == ["f"]
