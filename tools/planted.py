"""Plant the defects of tests/planted.toml in a copy of the package, one at a time: which do its tests catch?

python tools/planted.py                   all of them: an hour and more
python tools/planted.py first prosody     those of a list, and those in files whose path holds this word
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import tomllib
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

__all__ = ["Defect", "caught_by", "chosen", "defects"]

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ("accelerate", "matplotlib.pyplot", "nbval.plugin", "numba", "scipy.stats", "torch")


class Defect(NamedTuple):
    name: str
    file: str  # in minigen/, where
    old: str  # stands once, and
    new: str  # in its place is wrong
    tests: str

    def text(self) -> str:
        before, after = (ROOT / "minigen" / self.file).read_text("utf-8").split(self.old)
        return f"{before}{self.new}{after}"


def defects() -> list[Defect]:
    lists = tomllib.loads((ROOT / "tests" / "planted.toml").read_text("utf-8"))
    return [Defect(f"{k}:{n}", *row) for k, rows in lists.items() for n, row in enumerate(rows)]


def chosen(some: list[Defect], words: list[str]) -> list[Defect]:
    """Those that a word names, by list, list:number or part of their path; of no words all."""
    named = lambda d, word: word in (d.name, d.name.split(":")[0]) or word in d.file
    return [defect for defect in some if not words or any(named(defect, w) for w in words)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests last: the first that fails is enough."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


def caught_by(defect: Defect, folder: Path) -> str:
    """The first test that fails with the defect in the copy, or nothing. In a process forked off this one."""
    file, said = folder / "minigen" / defect.file, folder / "said"
    file.write_text(defect.text(), encoding="utf-8")
    if (child := os.fork()) == 0:
        stream = os.open(said, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(stream, 1), os.dup2(stream, 2)
        # Its doctests last: pytest, where it is the first to import timeseries/lpc.py, hides the function of its name.
        tests = [*(f"tests/{name}" for name in defect.tests.split()), f"minigen/{defect.file}"]
        options = ["-xq", "-pno:cacheprovider", "--doctest-modules", "--tb=no", *tests]
        os._exit(pytest.main(options, [sys.modules[__name__]]))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    shutil.copy2(ROOT / "minigen" / defect.file, file)
    lines = said.read_text(encoding="utf-8").splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    if code and not failed:
        raise RuntimeError(f"{defect.name}: pytest itself failed, {code}: {lines[-5:]}")
    return failed[0] if failed else ""


def main(words: list[str]) -> None:
    for library in LIBRARIES:  # once, not in every process
        import_module(library)
    found = []
    with tempfile.TemporaryDirectory(prefix="planted-") as place:
        folder = Path(place, "copy")
        folder.mkdir()
        folder.with_name("shared").symlink_to(ROOT.parent / "shared")  # samples for tests, if any
        for path in ROOT.iterdir():
            if path.name in ("minigen", "tests", "tools"):
                shutil.copytree(path, folder / path.name)
            elif path.name != ".git":
                (folder / path.name).symlink_to(path)
        os.chdir(folder)
        sys.dont_write_bytecode = True  # what is compiled knows a file by its second and its size
        sys.path[:] = [str(folder), *(p for p in sys.path if p and Path(p).resolve() != ROOT)]
        os.environ |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        for defect in chosen(defects(), words):
            begin = time.perf_counter()
            found.append(caught_by(defect, folder))
            seconds, verdict = time.perf_counter() - begin, found[-1] or "SURVIVED"
            print(f"{defect.name:11} {defect.file:34} {seconds:4.0f} s  {verdict}", flush=True)
    print(f"{sum(map(bool, found))} of {len(found)} caught")


if __name__ == "__main__":
    main(sys.argv[1:])
