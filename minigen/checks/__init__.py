"""Checks for the exercises: they say what holds, what failed, and why, in words that teach.

    from minigen import checks
    checks.gaussian.log_density(my_log_density)

One module a chapter: `sound` (1), `gaussian` (2), `mixtures` (3), `change_of_variables` (4),
`autoregression` (5), `neural_autoregression` (6), `wavenet` (7), `fast_generation` (8),
`conditioning` (9), `vae` (10), `vqvae` (11), `flows` (12), `iaf` (13), `parallel_wavenet` (14),
`evaluation` (15), and of the projects, each `project_` and its name. `answer(number)` is your answer to an
exercise where it passed its check, else the book's.
"""

from importlib import import_module
from types import ModuleType

from .core import CheckFailed
from .exercises import answer

CHAPTERS = (
    "sound",
    "gaussian",
    "mixtures",
    "change_of_variables",
    "autoregression",
    "neural_autoregression",
    "wavenet",
    "fast_generation",
    "conditioning",
    "vae",
    "vqvae",
    "flows",
    "iaf",
    "parallel_wavenet",
    "evaluation",
    "project_vocoder",
    "project_wavenet",
    "project_vqvae",
    "project_maf_iaf",
    "project_student",
    "project_capstone",
)
__all__ = ["CheckFailed", "answer"]  # and the modules, when they are first used


def __getattr__(name: str) -> ModuleType:
    """Import a chapter's checks when they are first used: those of chapter 2 need no torch."""
    if name in CHAPTERS:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"no checks {name!r}: there are {', '.join(CHAPTERS)}")
