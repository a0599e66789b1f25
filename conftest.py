"""How pytest runs the notebooks again (nbval), and under which environment every test runs.

nbval compares outputs as exact strings. Here a string is compared in pieces instead: its text and
its integers must be the same, its floats may differ by one part in a thousand, because another
processor or another version of a library rounds differently in the last digits; and one of three
digits or more by a unit of its last (4.45 and 4.46 may be two roundings of one number). Pictures,
sounds and times become tokens first (tests/sanitize.cfg).

A network that a page trains is another one after other roundings, as after another seed: some hundred steps make
of a last digit a code more or fewer. Cells that print what such a network does have the tag `trained-here`; their
numbers, whole ones too, may differ as far as TRAINED says, their text not at all. So may those of cells with the tag
`sampled-here`, which hear a network for seconds, each sample made from its own last ones.
"""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import pytest
from jupyter_client.provisioning import local_provisioner
from nbval.plugin import IPyNbCell, IPyNbFile

sys.path.insert(0, str(Path(__file__).parent / "tools"))
from notebooks import ENVIRONMENT, UNSTEADY

# Other versions of NumPy and PyTorch round otherwise, and a sampler takes that further: measured with Colab's,
# one printed figure of 730 cells differs by 0.8 %, one by 0.12 %. The weekly workflow allows 1 %.
RELATIVE, ABSOLUTE = float(os.environ.get("NOTEBOOK_TOLERANCE", "1e-3")), 1e-9
# A clip may be drawn from a network that its page trains: what it measures is what a sampler made of roundings.
CLIP, OF_A_CLIP = re.compile(r" s at \d+ Hz, RMS [\d.]+, peak [\d.]+$"), 0.02
# Share of a figure, units of its last printed digit. Measured with Colab's versions: 7 % of a figure (0.29 and 0.27),
# one code of 21, 2 per cent of 45; of k-means begun by another version of scikit-learn, 5 % (27.7 and 29.2); of a
# permutation test between seeds of a teacher, 14 % (shares of 0.135 and 0.157).
TRAINED = (0.2, 2)
OF_A_TRAINED_CLIP = 0.5  # its peak is one sample: 0.33 and 0.44 on two processors
FLOAT = re.compile(
    r"(?<![\w.])[-+]?(?:\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)(?!\d|\.\d)"
)
NUMBER = re.compile(rf"{FLOAT.pattern}|(?<![\w.,])[-+]?\d+(?![\w.,]*\d|\w)")

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


def last_digit(number: str) -> float:
    """What a unit of the last printed digit is worth.

    >>> last_digit("4.45"), last_digit("1.2e3"), last_digit("17")
    (0.01, 100.0, 1.0)
    """
    digits, _, power = number.lower().partition("e")
    return 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))


class Printed(str):
    """Something a cell printed; equal to another when text and integers are, and floats nearly.

    >>> Printed("mean 0.333333, n 7") == Printed("mean 0.333334, n 7")
    True
    >>> Printed("mean 0.333333, n 7") == Printed("mean 0.333333, n 8")
    False
    """

    __slots__ = ()
    compared = FLOAT

    def pieces(self) -> tuple[list[str], list[str]]:
        """The text between the numbers that are compared, with runs of blanks as one, and these numbers."""
        text = [re.sub(r"[ \t]+", " ", piece) for piece in self.compared.split(self)]
        return text, self.compared.findall(self)

    def tolerance(self, number: str) -> tuple[float, float]:
        """Relative and absolute."""
        long = len(re.sub(r"\D", "", number.lower().partition("e")[0]).lstrip("0")) >= 3
        relative = max(RELATIVE, OF_A_CLIP if CLIP.search(self) else 0)
        return relative, max(ABSOLUTE, 1.01 * last_digit(number) if long else 0)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return NotImplemented
        text, numbers = self.pieces()
        other_text, other_numbers = type(self)(other).pieces()
        if text != other_text:
            return False
        for number, b in zip(numbers, map(float, other_numbers), strict=True):
            a, (relative, absolute) = float(number), self.tolerance(number)
            if not abs(a - b) <= max(absolute, relative * max(abs(a), abs(b))):
                return False
        return True

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class OfATrainedNetwork(Printed):
    """What a cell with one of the tags `notebooks.UNSTEADY` printed.

    >>> OfATrainedNetwork("21 codes, error 0.29") == OfATrainedNetwork("22 codes, error 0.27")
    True
    >>> OfATrainedNetwork("21 codes, error 0.29") == OfATrainedNetwork("2 codes, error 0.29")
    False
    """

    __slots__ = ()
    compared = NUMBER

    def tolerance(self, number: str) -> tuple[float, float]:
        relative, units = TRAINED
        relative = OF_A_TRAINED_CLIP if CLIP.search(self) else relative
        return relative, 0 if "e" in number.lower() else units * last_digit(number)


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Compare pictures too (as tokens): nbval alone would not notice that one is missing."""
    if isinstance(collector, IPyNbFile):
        pictures = ("image/png", "image/jpeg")
        collector.skip_compare = tuple(k for k in collector.skip_compare if k not in pictures)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let each notebook cell compare `Printed` strings."""
    if isinstance(item, IPyNbCell):
        reduce_to_tokens = item.sanitize
        kind = OfATrainedNetwork if UNSTEADY & set(item.cell.metadata.get("tags", ())) else Printed

        def sanitize(output: object) -> object:
            reduced = reduce_to_tokens(output)
            return kind(reduced) if isinstance(reduced, str) else reduced

        item.sanitize = sanitize


# What most pages import, for seconds; matplotlib has to see the kernel's environment first.
HEAVY = ["ipykernel.kernelapp", "torch", "scipy.signal", "scipy.stats", "sklearn.cluster", "numba"]
KERNEL = """
import os, sys
os.setsid()
os.chdir(folder)
os.environ.update(environment)
for stream in (0, 1, 2):
    os.dup2(os.open(os.devnull, os.O_RDWR), stream)
sys.argv, sys.path[:] = arguments, path
from ipykernel import kernelapp
kernelapp.launch_new_instance()
"""


class Forked:
    """A kernel that is a copy of a process with all of HEAVY, as jupyter_client knows a `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, command: list[str], cwd: str = ".", env: dict | None = None, **_: object):
        arguments = command[command.index("-m") + 1 :]
        given = {"folder": cwd, "environment": env or {}, "arguments": arguments, "path": _path()}
        fork = multiprocessing.get_context("forkserver").Process
        self.process = fork(target=exec, args=(KERNEL, given))
        self.process.start()
        self.pid = self.process.pid
        while self.poll() is None and os.getpgid(self.pid) != self.pid:
            time.sleep(0.01)  # signals go to the group that it will lead

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self) -> int | None:
        self.process.join()
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


@cache
def _path() -> list[str]:
    """Where a process of its own looks for modules: without what pytest added."""
    ask = [sys.executable, "-c", "import sys; print(*sys.path[1:], sep='\\n')"]
    return subprocess.run(ask, check=True, capture_output=True, text=True).stdout.splitlines()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Notebooks first, so that none is left to one worker at the end; where there are many, imports are shared."""
    items.sort(key=lambda item: not isinstance(item, IPyNbCell))
    notebooks = {item.path for item in items if isinstance(item, IPyNbCell)}
    if len(notebooks) > 2 and hasattr(os, "fork"):
        multiprocessing.set_forkserver_preload(HEAVY)
        local_provisioner.launch_kernel = Forked


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
