"""Plant the defects of tests/planted.toml in a copy of the package, one at a time: which do its tests catch?

python tools/planted.py                 all of them: an hour and more
python tools/planted.py first:10-19     those numbers of one list
python tools/planted.py prosody         those in files whose path holds this word
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

__all__ = ["Defect", "caught_by", "chosen", "defects"]

ROOT = Path(__file__).resolve().parent.parent
CHANGES = ("minigen", "tests", "tools", "conftest.py")  # copied; the rest is linked


class Defect(NamedTuple):
    """One row: `old` stands once in `minigen/file`, and `new` in its place is wrong."""

    name: str
    file: str
    old: str
    new: str
    tests: str

    def text(self) -> str:
        """The file with the defect in it."""
        whole = (ROOT / "minigen" / self.file).read_text(encoding="utf-8")
        if whole.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.old!r} stands {whole.count(self.old)} times")
        return whole.replace(self.old, self.new)


def defects() -> list[Defect]:
    lists = tomllib.loads((ROOT / "tests" / "planted.toml").read_text(encoding="utf-8"))
    return [Defect(f"{k}:{n}", *row) for k, rows in lists.items() for n, row in enumerate(rows)]


def chosen(some: list[Defect], words: list[str]) -> list[Defect]:
    """Those whose list and number, or whose file, one of the words names; of no words all."""

    def named(defect: Defect, word: str) -> bool:
        title, number = defect.name.split(":")
        which, _, numbers = word.partition(":")
        first, _, last = numbers.partition("-")
        in_list = which == title and int(first or 0) <= int(number) <= int(last or first or 10**6)
        return in_list or word in defect.file

    return [defect for defect in some if not words or any(named(defect, w) for w in words)]


def caught_by(defect: Defect, folder: Path) -> str:
    """The first test that fails with the defect in the copy, or nothing."""
    file = folder / "minigen" / defect.file
    right = os.readlink(file)
    file.unlink()
    file.write_text(defect.text(), encoding="utf-8")
    tests = [str(Path("tests", name)) for name in defect.tests.split()]
    options = ("-x", "-q", "-p", "no:cacheprovider", "--doctest-modules", "--tb=no")
    env = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", *options, f"minigen/{defect.file}", *tests]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    file.unlink()
    file.symlink_to(right)
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if done.returncode not in (0, 1, 2) or (done.returncode and not failed):
        raise RuntimeError(f"{defect.name}: pytest itself failed\n{done.stdout}{done.stderr}")
    return failed[0] if failed else ""


def main(words: list[str]) -> None:
    found = []
    with tempfile.TemporaryDirectory(prefix="planted-") as place:
        folder = Path(place)
        for path in ROOT.iterdir():
            if path.name in CHANGES and path.is_dir():
                skip = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, folder / path.name, ignore=skip, copy_function=os.symlink)
            elif path.name != ".git":
                (folder / path.name).symlink_to(path)
        for defect in chosen(defects(), words):
            begin = time.perf_counter()
            found.append(caught_by(defect, folder))
            seconds, verdict = time.perf_counter() - begin, found[-1] or "SURVIVED"
            print(f"{defect.name:11} {defect.file:34} {seconds:4.0f} s  {verdict}", flush=True)
    print(f"{sum(map(bool, found))} of {len(found)} caught")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="list, list:number, list:from-to, or part of a path")
    main(parser.parse_args().words)
