"""How pytest runs the notebooks again (nbval), and under which environment every test runs.

nbval compares outputs as exact strings. Here a string is compared in pieces instead: its text and
its integers must be the same, its floats may differ by one part in a thousand, because another
processor or another version of a library rounds differently in the last digits. Pictures, sounds
and times become tokens first (tests/sanitize.cfg).
"""

import os
import re
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

sys.path.insert(0, str(Path(__file__).parent / "tools"))
from notebooks import ENVIRONMENT

# Other versions of NumPy and PyTorch round otherwise, and a sampler takes that further: measured with Colab's,
# one printed figure of 730 cells differs by 0.8 %, one by 0.12 %. The weekly workflow allows 1 %.
RELATIVE, ABSOLUTE = float(os.environ.get("NOTEBOOK_TOLERANCE", "1e-3")), 1e-9
# A clip may be drawn from a network that its page trains: what it measures is what a sampler made of roundings.
CLIP, OF_A_CLIP = re.compile(r" s at \d+ Hz, RMS [\d.]+, peak [\d.]+$"), 0.02
FLOAT = re.compile(
    r"(?<![\w.])[-+]?(?:\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)(?!\d|\.\d)"
)

# What a blank exercise shows is what its solution shows (tests/test_exercise_notebooks.py holds it): the solved
# notebooks are run again, and of the blank ones the one named here. Any is run that is named on the command line.
collect_ignore = [
    str(path)
    for path in (Path(__file__).parent / "exercises").glob("*.ipynb")
    if path.stem != "02_gaussian"
]

# A shell that starts pytest in the background has Ctrl-C ignored, by it and by all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.update(ENVIRONMENT)  # kernels, and the workers of pytest-xdist, inherit it
_scratch = tempfile.TemporaryDirectory(prefix="ipython-")  # nobody's start-up files and history
os.environ["IPYTHONDIR"] = _scratch.name


class Printed(str):
    """Something a cell printed; equal to another when text and integers are, and floats nearly.

    >>> Printed("mean 0.333333, n 7") == Printed("mean 0.333334, n 7")
    True
    >>> Printed("mean 0.333333, n 7") == Printed("mean 0.333333, n 8")
    False
    """

    __slots__ = ()

    def pieces(self) -> tuple[list[str], list[float]]:
        """The text between the floats, with runs of blanks as one, and the floats."""
        text = [re.sub(r"[ \t]+", " ", piece) for piece in FLOAT.split(self)]
        return text, [float(number) for number in FLOAT.findall(self)]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return NotImplemented
        text, numbers = self.pieces()
        other_text, other_numbers = Printed(other).pieces()
        relative = max(RELATIVE, OF_A_CLIP if CLIP.search(self) else 0)
        return text == other_text and all(
            abs(a - b) <= max(ABSOLUTE, relative * max(abs(a), abs(b)))
            for a, b in zip(numbers, other_numbers, strict=True)
        )

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Compare pictures too (as tokens): nbval alone would not notice that one is missing."""
    if isinstance(collector, IPyNbFile):
        pictures = ("image/png", "image/jpeg")
        collector.skip_compare = tuple(k for k in collector.skip_compare if k not in pictures)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let each notebook cell compare `Printed` strings."""
    if isinstance(item, IPyNbCell):
        reduce_to_tokens = item.sanitize

        def sanitize(output: object) -> object:
            reduced = reduce_to_tokens(output)
            return Printed(reduced) if isinstance(reduced, str) else reduced

        item.sanitize = sanitize


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Run cells with history, as notebooks do: without it a closing semicolon hides nothing."""
    if isinstance(item, IPyNbCell):
        kernel = item.parent.kernel

        def execute_cell_input(source: str, allow_stdin: bool | None = None) -> str:
            return kernel.kc.execute(source, allow_stdin=allow_stdin, stop_on_error=False)

        kernel.execute_cell_input = execute_cell_input


@pytest.fixture(scope="module")
def browser():
    """One Chromium for all pages of a test file.

    While Playwright runs, its process can start no second one, and no notebook.
    """
    from playwright.sync_api import sync_playwright
    from test_browser import CHROMIUM, FLAGS

    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(autouse=True)
def no_exercise_has_passed_yet() -> None:
    """What a test before this one passed is not remembered (a doctest shows what a fresh reader sees)."""
    if found := sys.modules.get("minigen.checks.exercises"):
        found._passed.clear()
