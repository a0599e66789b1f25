"""The recipes of training runs that ship: TOML files, called by name."""

from pathlib import Path


def _folder() -> Path:
    """In the wheel they lie beside this file; in a checkout, where the training scripts are."""
    here = Path(__file__).parent
    packed = here / "recipes"
    return packed if packed.is_dir() else here.parents[1] / "training"


def names() -> list[str]:
    """What ships, without the ending.

    >>> "digits-gpu-teacher" in names()
    True
    """
    return sorted(path.stem for path in _folder().glob("*.toml"))


def find(name: Path | str, kind: str = "") -> Path:
    """A file as it is, or by its name, or by its name without "-teacher" or "-student" at the end.

    >>> find("digits-gpu", "teacher").name
    'digits-gpu-teacher.toml'

    Raises FileNotFoundError: neither a file nor a name; says which names there are.
    """
    if Path(name).suffix == ".toml" or Path(name).is_file():
        return Path(name)
    for whole in (str(name), f"{name}-{kind}"):
        if whole in names():
            return _folder() / f"{whole}.toml"
    those = ", ".join(one for one in names() if kind in one)
    raise FileNotFoundError(f"there is no recipe {name}: give a file, or one of {those}")
