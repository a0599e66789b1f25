"""Pin what the named requirements bring: the last part of requirements.txt is written here.

python tools/lock.py             resolve the parts above the line anew, rewrite the part below it
python tools/lock.py --check     hold what is installed in this environment to the pins
python tools/lock.py --oldest    write .github/oldest.txt from the lower bounds in pyproject.toml
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

__all__ = ["brought_by", "check", "names", "oldest", "pins", "write"]

ROOT = Path(__file__).resolve().parent.parent
OLDEST = Path(".github", "oldest.txt")
# The first versions with wheels for a Python, where those are later than what pyproject.toml allows.
FIRST_FOR = {
    "3.13": {
        "numba": "0.61",
        "numpy": "2.1",
        "scikit-learn": "1.6",
        "scipy": "1.14",
        "torch": "2.6",
    }
}
LINE = "# what those bring: written by `make lock`, not by hand"


def normal(name: str) -> str:
    """A package's name as the index compares it.

    >>> normal("Sphinx_Design")
    'sphinx-design'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def rows(path: Path) -> list[str]:
    """The lines of a requirements file that are neither blank, remarks nor options."""
    lines = (line.split(" #")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and line[0] not in "#-"]


def pins(root: Path = ROOT) -> dict[str, str]:
    """Every package that requirements.txt pins, and the version."""
    found = map(Requirement, rows(root / "requirements.txt"))
    return {normal(one.name): str(one.specifier).removeprefix("==") for one in found}


def names(root: Path = ROOT, part: str = "book") -> list[str]:
    """The packages that requirements-<part>.txt names."""
    return [normal(Requirement(row).name) for row in rows(root / f"requirements-{part}.txt")]


def brought_by(wanted: list[str], **elsewhere: str) -> tuple[dict[str, str], set[str]]:
    """What these packages bring, themselves included: installed versions, and what is missing.

    Args:
        wanted: names.
        elsewhere: what to assume instead of this machine, e.g. `python_version="3.13"`.
    """
    found: dict[str, str] = {}
    missing: set[str] = set()
    todo, seen = [(normal(name), ("",)) for name in wanted], set()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            package = distribution(name)
        except PackageNotFoundError:
            missing.add(name)
            continue
        found[name] = package.version.split("+")[0]  # torch says 2.13.0+cpu
        for row in map(Requirement, package.requires or []):
            if not row.marker or any(row.marker.evaluate(elsewhere | {"extra": e}) for e in extras):
                todo.append((normal(row.name), ("", *sorted(row.extras))))
    return found, missing


def check(root: Path = ROOT) -> list[str]:
    """One line for each package that requirements.txt brings here in another version than its pin."""
    pinned = pins(root)
    found, _ = brought_by([Requirement(row).name for row in rows(root / "requirements.txt")])
    return [
        f"{name} {version} is installed, but {pinned.get(name, 'nothing')} is pinned"
        for name, version in sorted(found.items())
        if pinned.get(name) != version
    ]


def write(root: Path = ROOT) -> None:
    """Resolve what stands above the line, and write what else comes with it below."""
    path = root / "requirements.txt"
    head = path.read_text(encoding="utf-8").split(LINE)[0]
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "wanted.txt")
        wanted.write_text(head, encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed"]
        command += ["--report", str(Path(folder, "report.json")), "-r", str(wanted)]
        subprocess.run(command, check=True)
        report = json.loads(Path(folder, "report.json").read_text(encoding="utf-8"))
    named = {normal(Requirement(row).name) for row in head.splitlines() if re.match(r"\w", row)}
    chosen = {
        normal(one["metadata"]["name"]): one["metadata"]["version"] for one in report["install"]
    }
    tail = [f"{n}=={v.split('+')[0]}" for n, v in sorted(chosen.items()) if n not in named]
    path.write_text(f"{head}{LINE}\n" + "\n".join(tail) + "\n", encoding="utf-8")


def oldest(root: Path = ROOT) -> str:
    """The oldest version of each package that the library requires, as constraints for pip."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = ["# The oldest versions that pyproject.toml allows: written by tools/lock.py --oldest"]
    for wanted in map(Requirement, project["dependencies"]):
        (bound,) = [one.version for one in wanted.specifier if one.operator == ">="]
        name = normal(wanted.name)
        later = {python: found[name] for python, found in FIRST_FOR.items() if name in found}
        for python, version in later.items():
            lines.append(f'{name}=={version}.*; python_version >= "{python}"')
        mark = f'; python_version < "{min(later)}"' if later else ""
        lines.append(f"{name}=={bound}.*{mark}")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the lock, or check this environment against it."""
    if arguments not in ([], ["--check"], ["--oldest"]):
        print(__doc__, file=sys.stderr)
        return 2
    if arguments == ["--oldest"]:
        (ROOT / OLDEST).write_text(oldest(), encoding="utf-8")
        return 0
    if not arguments:
        write()
        return 0
    wrong = check()
    print("\n".join(wrong) or "every installed version is the one pinned")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
