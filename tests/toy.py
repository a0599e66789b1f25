"""Small recipes for tests: those of training/, cut down to seconds."""

import tomllib
from pathlib import Path

from minigen.speech.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
DIGITS = {"teacher": "digits-cpu-teacher-1", "student": "digits-cpu-student"}
SMALL = {
    "data": {"batch": 4, "frames": 12, "dither": 0.001, "seed": 0},
    "run": {"steps": 4, "every": 2, "warmup": 1},
    "model": {"layers": 2, "residual": 4},
}


def raw(name: str, **changes) -> dict:
    """A small recipe's tables: "teacher", "student" of the digits, or a file's name; a change to None takes away."""
    path = ROOT / f"training/{DIGITS.get(name, name)}.toml"
    made = tomllib.loads(path.read_text(encoding="utf-8"))
    made["run"] = {}
    flows = {"flows": 2} if made["kind"] == "student" else {}
    for key, value in [*SMALL.items(), ("model", flows), *changes.items()]:
        if isinstance(value, dict) and isinstance(made.get(key), dict):
            made[key] = {k: v for k, v in (made[key] | value).items() if v is not None}
        else:
            made[key] = value
    return {key: value for key, value in made.items() if value is not None}


def recipe(name: str, **changes) -> Recipe:
    """The same, checked."""
    return Recipe.from_dict(raw(name, **changes))


def as_toml(tables: dict) -> str:
    """A recipe as the text of a file."""

    def write(value: object) -> str:
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(write, value))}]"
        return f'"{value}"' if isinstance(value, str) else str(value).lower()

    lines = [f"{k} = {write(v)}" for k, v in tables.items() if not isinstance(v, dict)]
    for name, table in tables.items():
        if isinstance(table, dict):
            lines += [f"[{name}]", *(f"{k} = {write(v)}" for k, v in table.items())]
    return "\n".join(lines)
