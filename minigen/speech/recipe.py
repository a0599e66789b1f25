"""Recipes: what a training run makes, from what, how and for how long, read from TOML and checked.

    kind = "teacher"             # or "student", with teacher = "a file of weights"
    [model] [data] [objective] [run]

The tables [model], [data], [objective] and [run] hold the arguments of what they build, by name; their types are
what is checked. A file of weights holds its recipe and is checked in the same way.
"""

import inspect
import math
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from ..data.recipes import find
from ..distillation import DistillationLoss
from ..parallel_wavenet import Student
from ..train import TrainConfig
from ..wavenet import WaveNet
from .corpus import Crops
from .objectives import Likelihood

Fields = dict[str, tuple[type, bool]]  # name: (type, whether it must be there)
TYPES = {int: (int,), float: (int, float), bool: (bool,), str: (str,)}
NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
LIMITS = {  # least and most; of any other number 1 and 10 million, of another float none
    "seed": (0, 2**63 - 1),
    "warmup": (0, 10**9),
    "lpc_order": (0, 1000),
    "mixture": (0, 100),
    **dict.fromkeys(("steps", "every"), (1, 10**9)),
    **dict.fromkeys(("flows", "kernel"), (1, 64)),
    **dict.fromkeys(("layers", "cycles"), (1, 20)),
    **dict.fromkeys(("hidden", "residual", "skip", "cond_channels"), (1, 10_000)),
    "dither": (0, 1),
    "log_scale": (-30, 30),
    "min_log_scale": (-100, 10),
    "input_scale": (1e-6, 1e6),
}


def arguments(of: Callable, *but: str) -> Fields:
    """The arguments of a class or function that a table of a recipe can hold, by their types."""
    fields = {}
    for name, parameter in inspect.signature(of, eval_str=True).parameters.items():
        kind = parameter.annotation
        plain = next((t for t in TYPES if kind in (t, t | None)), None)
        if plain and name not in but:
            fields[name] = plain, parameter.default is parameter.empty
    return fields


def check_table(given: object, fields: Fields, where: str) -> dict:
    """A copy of the table, or an error that names the first entry that is wrong."""
    if not isinstance(given, dict):
        raise TypeError(f"{where} is a table, not {_short(given)}")
    for name in given:
        if name not in fields:
            raise ValueError(f"{where} has {name!r}, unknown: it may hold {', '.join(fields)}")
    for name, (kind, needed) in fields.items():
        if name in given:
            _check_value(given[name], kind, name, where)
        elif needed:
            raise ValueError(f"{where} lacks {name}: copy it from training/digits-*.toml")
    return dict(given)


def _check_value(value: object, kind: type, name: str, where: str) -> None:
    right = isinstance(value, TYPES[kind]) and (kind is bool or not isinstance(value, bool))
    if not right:
        raise TypeError(f"{where}: {name} is {NAMES[kind]}, not {value!r:.80}")
    if kind in (int, float):
        least, most = LIMITS.get(name, (1, 10**7) if kind is int else (-math.inf, math.inf))
        least = max(least, 0) if "objective" in where else least
        if not (math.isfinite(value) and least <= value <= most):
            limits = f"from {least} to {most}" if math.isfinite(most) else f"at least {least}"
            limits = "finite" if least == -math.inf else limits
            raise ValueError(f"{where}: {name} must be {limits}, not {value}")


def _short(value: object) -> str:
    return " ".join(repr(value).split())[:80]


def read_toml(path: Path | str) -> dict:
    """The tables of a TOML file, or an error that names it."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no recipe {path}: try --config digits-gpu")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error


@dataclass(frozen=True)
class Recipe:
    """What `training.train` follows.

    Args:
        kind: "teacher" or "student".
        model, data, objective: arguments of the network, of `corpus.Crops`, and of the objective.
        run: of the loop. seed: of the network's first weights.
        teacher: of a student: a checkpoint or an exported file.
        start_from: weights of the same model to begin with.
    """

    kind: str
    model: dict
    data: dict
    objective: dict
    run: TrainConfig
    seed: int = 0
    teacher: str | None = None
    start_from: str | None = None

    @classmethod
    def from_dict(cls, raw: object, where: str = "the recipe") -> Self:
        """From the tables of a TOML file or the notes of a file of weights."""
        tables = ("data", "model", "objective", "run")
        if not isinstance(raw, dict) or raw.get("kind") not in ("teacher", "student"):
            raise ValueError(f'{where} is no recipe: its kind must be "teacher" or "student"')
        if missing := [name for name in tables if name not in raw]:
            raise ValueError(f"{where} lacks {', '.join(missing)}: copy training/digits-*.toml")
        plain = {name: value for name, value in raw.items() if name not in tables}
        plain = check_table(plain, arguments(cls), where)
        student = plain["kind"] == "student"
        if student != ("teacher" in plain):
            need = 'lacks teacher: name a file of weights, teacher = "…"'
            raise ValueError(f"{where} {need if student else 'is for a teacher and names one'}")
        parts = {"data": arguments(Crops), "run": arguments(TrainConfig)}
        parts["model"] = arguments(Student if student else WaveNet, "speakers")
        parts["model"] |= {"hidden": (int, True), "cond_channels": (int, True)}
        if not student:
            parts["model"] |= {"min_log_scale": (float, True), "mixture": (int, False)}
        parts["objective"] = arguments(DistillationLoss if student else Likelihood)
        checked = {n: check_table(raw[n], f, f"{where} [{n}]") for n, f in parts.items()}
        try:
            checked["run"] = TrainConfig(**checked["run"])
        except ValueError as error:
            raise ValueError(f"{where} [run]: {error}") from error
        return cls(**plain, **checked)

    @classmethod
    def read(cls, path: Path | str, kind: str) -> Self:
        """From a TOML file, or a recipe that ships by its name: for a "teacher" or a "student", as asked."""
        path = find(path, kind)
        recipe = cls.from_dict(read_toml(path), str(path))
        if recipe.kind != kind:
            raise ValueError(f"{path} is a recipe for a {recipe.kind}, not for a {kind}")
        return recipe

    def as_dict(self) -> dict:
        """As `from_dict` takes it, without what is not set."""
        return {name: value for name, value in asdict(self).items() if value is not None}
