"""What this book adds to Sphinx: the built site keeps only the parts of MathJax that its pages load."""

from __future__ import annotations

import shutil
from pathlib import Path

from sphinx.application import Sphinx

__all__ = ["setup", "trim_mathjax"]

# tex-chtml.js is the whole of TeX input and HTML output in one file; it loads the fonts, and the
# rest only when a reader opens its menu (right click on a formula).
MATHJAX_KEPT = ("tex-chtml.js", "output/chtml", "ui", "a11y", "sre", "input/tex/extensions")


def trim_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Delete the MathJax bundles no page asks for: 24 MB become about 6."""
    folder = Path(app.outdir, "_static", "mathjax")
    if error is not None or not folder.is_dir():
        return
    keep = tuple(folder / name for name in MATHJAX_KEPT)
    for path in sorted(folder.rglob("*"), reverse=True):
        kept = any(path == k or k in path.parents for k in keep)
        leads_to_kept = any(path in k.parents for k in keep)
        if not kept and not leads_to_kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def setup(app: Sphinx) -> dict[str, bool | str]:
    """Register with Sphinx. MathJax is copied at priority 500, so this runs after it."""
    app.connect("build-finished", trim_mathjax, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
