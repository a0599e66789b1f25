"""Recipes by name, and that all of them are in the wheel."""

import tomllib
from pathlib import Path

import pytest

from minigen.data import recipes
from minigen.speech.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]


def test_a_recipe_is_found_by_its_name_with_or_without_its_kind(tmp_path):
    assert Recipe.read("digits-gpu", "teacher") == Recipe.read("digits-gpu-teacher", "teacher")
    assert Recipe.read("digits-gpu", "student").kind == "student"
    (tmp_path / "mine.toml").write_bytes(recipes.find("digits-gpu-teacher").read_bytes())
    assert Recipe.read(tmp_path / "mine.toml", "teacher") == Recipe.read("digits-gpu", "teacher")
    with pytest.raises(
        FileNotFoundError, match="no recipe digits-tpu.*one of .*digits-gpu-teacher"
    ):
        Recipe.read("digits-tpu", "teacher")
    with pytest.raises(ValueError, match="recipe for a student"):
        Recipe.read("digits-gpu-student", "teacher")


def test_every_recipe_is_packed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    targets = settings["tool"]["hatch"]["build"]["targets"]
    packed = targets["wheel"]["force-include"]
    there = {f"training/{path.name}" for path in (ROOT / "training").glob("*.toml")}
    assert packed == {name: f"minigen/data/recipes/{Path(name).name}" for name in there}
    assert "/training/*.toml" in targets["sdist"]["include"]
