"""Recipes: every one in training/ can be built; what is wrong is named in one line, in a file or in weights."""

import pytest
import toy

from minigen.conditioning import DIGITS
from minigen.speech.recipe import Recipe, read_toml
from minigen.speech.voice import KINDS

# waveform-*.toml belong to training/waveform_model.py, whose recipes have fields of their own.
ALL = sorted(
    p
    for p in (toy.ROOT / "training").glob("*.toml")
    if ("student" in p.stem or "teacher" in p.stem) and not p.stem.startswith("waveform-")
)


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_every_recipe_can_be_read_and_built(path):
    kind = "student" if "student" in path.stem else "teacher"
    recipe = Recipe.read(path, kind)
    assert KINDS[kind].build(DIGITS, **recipe.model).spec == DIGITS
    assert Recipe.from_dict(recipe.as_dict()) == recipe
    assert recipe.as_dict().keys() == read_toml(path).keys() | {"seed"}
    other = "teacher" if kind == "student" else "student"
    with pytest.raises(ValueError, match=f"for a {kind}, not for a {other}"):
        Recipe.read(path, other)


@pytest.mark.parametrize(
    "name, change, message",
    [
        ("student", {"tempo": 1}, "has 'tempo', unknown"),
        ("student", {"model": {"flow": 2}}, r"\[model\] has 'flow', unknown.*flows"),
        ("student", {"model": {"flows": 10**6}}, "flows must be from 1 to 64"),
        ("student", {"model": {"flows": 2.0}}, "flows is a whole number, not 2.0"),
        ("student", {"data": {"hop": 2}}, r"\[data\] has 'hop'"),
        ("student", {"objective": {"gamma": 2}}, r"\[objective\] has 'gamma'.*penalty"),
        (
            "student",
            {"objective": {"stft": -1.0}},
            r"\[objective\]: stft must be at least 0, not -1",
        ),
        ("student", {"objective": {"samples": 0}}, "samples must be from 1"),
        ("student", {"run": {"epochs": 2}}, r"\[run\] has 'epochs'.*steps"),
        ("student", {"run": {"average": 0.9}}, "from 0 to 0.25, not 0.9"),
        ("student", {"teacher": None}, "lacks teacher"),
        ("student", {"teacher": 3}, "teacher is a text, not 3"),
        ("student", {"kind": None}, 'kind must be "teacher" or "student"'),
        ("teacher", {"teacher": "x"}, "is for a teacher and names one"),
        ("teacher", {"seed": -1}, "seed must be from 0 to .*, not -1"),
        ("teacher", {"seed": True}, "seed is a whole number, not True"),
        ("teacher", {"model": {"min_log_scale": None}}, r"\[model\] lacks min_log_scale"),
        ("teacher", {"model": {"hidden": None}}, r"\[model\] lacks hidden"),
        ("teacher", {"model": {"speakers": 3}}, r"\[model\] has 'speakers', unknown"),
        ("teacher", {"model": {"layers": 0}}, "layers must be from 1 to 20, not 0"),
        ("teacher", {"model": {"kernel": 65}}, "kernel must be from 1 to 64, not 65"),
        ("teacher", {"objective": {"beta": -0.5}}, "beta must be at least 0"),
        ("teacher", {"data": {"dither": None}}, r"\[data\] lacks dither"),
        ("teacher", {"data": {"dither": -0.1}}, "dither must be from 0 to 1"),
        ("teacher", {"data": 3}, r"\[data\] is a table, not 3"),
        ("teacher", {"run": {"steps": None}}, r"\[run\] lacks steps"),
        ("teacher", {"run": {"steps": -5}}, r"\[run\]: steps must be from 1 to .*, not -5"),
        ("teacher", {"run": {"steps": "many"}}, "steps is a whole number, not 'many'"),
        ("teacher", {"run": {"bf16": 1}}, "bf16 is true or false, not 1"),
        ("teacher", {"run": {"rate": -0.1}}, r"\[run\]: rate must be above 0"),
        ("teacher", {"run": {"rate": float("nan")}}, "rate must be finite"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path, name, change, message):
    tables = toy.raw(name, **change)
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        Recipe.from_dict(tables)
    assert "\n" not in str(caught.value)
    path = tmp_path / "bad.toml"
    path.write_text(toy.as_toml(tables))
    with pytest.raises((ValueError, TypeError), match=message):
        Recipe.read(path, tables.get("kind", "student"))


ENDS = {  # the least and the most that a recipe may ask for, table by table
    "model": {
        **dict.fromkeys(("residual", "cond_channels", "hidden"), (1, 10_000)),
        "layers": (1, 20),
        "kernel": (1, 64),
        "lpc_order": (0, 1000),
    },
    "run": {"steps": (1, 10**9), "every": (1, 10**9), "warmup": (0, 10**9)},
    "data": {"batch": (1, 10**7), "frames": (1, 10**7), "dither": (0, 1), "seed": (0, 2**63 - 1)},
}
OF_ONE = {
    "teacher": {
        "skip": (1, 10_000),
        "cycles": (1, 20),
        "mixture": (0, 100),
        "min_log_scale": (-100, 10),
        "input_scale": (1e-6, 1e6),
    },
    "student": {"flows": (1, 64), "log_scale": (-30, 30)},
}


@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("name", ["teacher", "student"])
def test_the_smallest_and_the_largest_are_taken_and_nothing_beyond(name, end):
    ends = ENDS | {"model": ENDS["model"] | OF_ONE[name]}
    some = {table: {k: v[end] for k, v in rows.items()} for table, rows in ends.items()}
    assert toy.recipe(name, **some).model == toy.raw(name, **some)["model"]
    for table, values in some.items():
        for key, value in values.items():
            beyond = value + (1 if end else -1)
            with pytest.raises(ValueError, match=f"{key} must be from {ends[table][key][0]} to "):
                toy.recipe(name, **some | {table: values | {key: beyond}})


def test_files_that_are_no_recipes(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config digits-gpu"):
        Recipe.read(tmp_path / "none.toml", "teacher")
    bad = tmp_path / "bad.toml"
    for text, message in (
        ("kind = ", "not TOML"),
        ('kind = "teacher"', "lacks data"),
        ("", "no recipe"),
    ):
        bad.write_text(text)
        with pytest.raises(ValueError, match=message):
            Recipe.read(bad, "teacher")
    for nonsense in (None, 3, [], {"kind": "teacher", "model": None}):
        with pytest.raises(ValueError, match="no recipe|lacks"):
            Recipe.from_dict(nonsense)
