"""The rules of the house, read off the source by `ast`: where files lie, what they import, how long they are."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import minigen

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "minigen"
FILES = sorted(p for p in PACKAGE.rglob("*.py") if "checks" not in p.parts)
# Imports go downwards only, from a later room to an earlier one.
ROOMS = (
    {"data", "weights", "results", "audio"},
    "the book",
    {"train", "checkpoint"},
    {"metrics"},
    {"speech"},
    {"cli", "notebook"},
)
NUMPY_ONLY = {"audio", "gaussian", "mixture", "hmm", "timeseries"}

# What breaks a rule today; entries only ever leave these lists.
LONG: dict[str, int] = {
    "speech/alignment.py": 434,
    "speech/conversion.py": 343,
    "speech/evaluation.py": 398,
    "speech/hmm_synthesis.py": 333,
    "timeseries/arima.py": 341,
}
UPWARDS: set[str] = {
    "audio/spectrum.py imports notebook",
    "metrics/listening_test.py imports speech",
}
PLACES: set[str] = set()
MAINS: set[str] = {
    "metrics/listening_test.py",
    "speech/scoreboard.py",
    "speech/vocoder_measures.py",
}
PRIVATE: set[str] = {
    "08_fast_generation: _add_product",
    "11_vqvae: _replace",
    "audio/pitch.py: _waveform",
    "metrics/distances.py: _waveform",
}
UNTESTED: set[str] = {
    "cli.py",
    "speech/conversion_measures.py",
    "speech/conversion_training.py",
    "speech/vocoder_measures.py",
    "timeseries/ar.py",
    "timeseries/arfima.py",
    "timeseries/arima.py",
    "timeseries/correlation.py",
    "timeseries/kalman.py",
    "timeseries/lpc.py",
    "timeseries/report.py",
}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rank(first: str) -> int:
    return next((i for i, room in enumerate(ROOMS) if first in room and room != "the book"), 1)


def imports(path: Path) -> set[tuple[str, str]]:
    """{(module below minigen, imported name)} of a file's own imports."""
    found = set()
    folder = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = folder[: len(folder) - node.level + 1]
                module = ".".join((*base, *(node.module or "").split("."))).strip(".")
            elif (node.module or "").split(".")[0] == "minigen":
                module = node.module.removeprefix("minigen").strip(".")
            else:
                continue
            found |= {(module, alias.name) for alias in node.names}
    return found


def code_lines(path: Path) -> int:
    """Lines that are neither blank, comment nor docstring."""
    lines = path.read_text(encoding="utf-8").split("\n")
    inside = set()
    for node in ast.walk(tree(path)):
        first = getattr(node, "body", [None])
        first = first[0] if isinstance(first, list) and first else None
        text = first.value if isinstance(first, ast.Expr) else None
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            inside |= set(range(first.lineno, first.end_lineno + 1))
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and i not in inside
        for i, line in enumerate(lines, start=1)
    )


def test_no_file_is_too_long():
    assert {
        name(p): n for p in FILES if (n := code_lines(p)) > 300 and n > LONG.get(name(p), 0)
    } == {}


def test_imports_go_downwards():
    wrong = set()
    for path in FILES:
        for module, what in imports(path):
            first = module.split(".")[0] or what
            if rank(first) > rank(room(path)) or (first == "notebook" and rank(room(path)) < 3):
                wrong.add(f"{name(path)} imports {first}")
    assert wrong - UPWARDS == set()


def test_paths_and_mains_have_their_places():
    texts = {name(p): p.read_text(encoding="utf-8") for p in FILES}
    allowed = ("weights/", "results/", "data/")
    assert {n for n, t in texts.items() if "__file__" in t and not n.startswith(allowed)} <= PLACES
    assert {n for n, t in texts.items() if "__name__ ==" in t and n != "cli.py"} <= MAINS


def test_nothing_private_crosses_a_file():
    wrong = {
        f"{name(p)}: {what}"
        for p in FILES
        for _, what in imports(p)
        if what.startswith("_") and not what.startswith("__")
    }
    pages = [*ROOT.glob("book/source/*.md"), *ROOT.glob("exercises/source/*.md")]
    for page in pages:
        code = "\n".join(
            re.findall(r"```\{code-cell\}.*?\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
        )
        wrong |= {f"{page.stem}: {m}" for m in re.findall(r"\b[a-z_]+\.(_[a-z]\w*)", code)}
    assert wrong - PRIVATE == set()


def test_every_file_has_its_tests():
    wanted = {
        n: ROOT / "tests" / Path(n).parent / f"test_{Path(n).name}"
        for p in FILES
        if not (n := name(p)).endswith("__init__.py")
    }
    assert {n for n, path in wanted.items() if not path.is_file()} - UNTESTED == set()


def test_importing_the_package_is_light():
    assert minigen.BOOK == "minigen-book"
