"""Compiled loops work where nothing can be written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from minigen.compiled import compiled

SCRIPT = """
import numba.core.caching as caching

def nowhere(*arguments, **options):
    raise RuntimeError("cannot cache function: no locator available")

caching.FunctionCache.__init__ = nowhere
import numpy as np
from minigen import hmm, metrics
from minigen.generate import numba as loops
assert metrics.dtw(np.zeros((2, 5)), np.zeros((2, 7))) == 0
"""


def test_where_nothing_can_be_written_every_loop_is_compiled_anew():
    done = subprocess.run([sys.executable, "-c", SCRIPT], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_options_pass_through():
    @compiled(nogil=True)
    def twice(x):
        return 2 * x

    assert twice(4) == 8 and twice.targetoptions["nogil"]


def test_the_cache_is_used_where_it_can_be(tmp_path):
    """Two runs: the second finds what the first has compiled."""
    home = Path(tmp_path / "cache")
    script = (
        "import numpy as np\nfrom minigen.metrics.warping import dtw, _totals\n"
        "dtw(np.zeros((1, 2)), np.zeros((1, 2)))\nprint(sum(_totals.stats.cache_hits.values()))"
    )
    for hits in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"NUMBA_CACHE_DIR": str(home)},
        )
        assert done.stdout.strip() == hits
    shutil.rmtree(home)
