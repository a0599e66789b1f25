"""minigen: from a Gaussian to Parallel WaveNet, generative models you can hear.

The top level is the book: `CHAPTERS` says which files a chapter teaches, to be imported by name
(``from minigen import gaussian``). Importing the package itself loads neither torch nor numpy.
"""

from importlib.metadata import PackageNotFoundError, distribution

__version__ = "0.1.0"

#: What the set-up cell of every notebook looks for: this `minigen` is the book's.
BOOK = "minigen-book"

#: The files and packages that each chapter teaches.
CHAPTERS: dict[int, tuple[str, ...]] = {
    1: ("audio",),
    2: ("gaussian",),
    3: ("mixture", "hmm"),
    4: ("flows",),
    5: ("timeseries",),
    6: ("rnn", "ngram", "made"),
    7: ("distributions", "wavenet"),
    8: ("generate",),
    9: ("conditioning",),
    10: ("vae", "flow_vae", "linear_vae"),
    11: ("vq", "code_prior"),
    12: ("flows",),
    13: ("flows",),
    14: ("parallel_wavenet", "distillation", "spectral_losses", "perceptual"),
    15: ("metrics",),
}


class ConvergenceWarning(UserWarning):
    """A fit stopped before it had settled, or at the edge of what is allowed. The message says what to do."""


def _refuse_other_package() -> None:
    """Stop when the index's unrelated `minigen` shares the environment with the book's package.

    Both projects install into a folder called ``minigen``, so each overwrites files of the other.

    Raises ImportError: when a distribution called ``minigen`` is installed.
    """
    try:
        other = distribution("minigen")
    except PackageNotFoundError:
        return
    raise ImportError(
        f"Another project's package called `minigen` (version {other.version}) is installed here. "
        f"It and {BOOK} both write into the folder `minigen`, so neither can be trusted now. "
        f"Run `pip uninstall -y minigen {BOOK}`, then install {BOOK} again from the book's "
        "repository (the first cell of every notebook shows the line) and restart Python."
    )


_refuse_other_package()
