"""What this book changes in the pages that Sphinx and its theme write. No library code.

- MathJax: the built site keeps the parts its pages can load, about 6 of the wheel's 24 MB.
- Thebe: Jupyter Book always adds its scripts, twice, which is an error in the console. They are for
  live kernels, which this book does not offer, and they name another host.
- Pictures, sounds, styles and scripts are few and come when they are needed (lean.py).
- A table's corner that heads nothing is no header.
- The list of citations gets no `list` role, because its entries are not list items (ARIA).
- A page is built from its source, with MyST's directives and roles; its notebook, which gives the
  outputs, holds plain text instead, for Jupyter and Colab (tools/plain.py).
- Buttons to the repository and to Colab appear where its address is known (tools/address.py).
- A blank exercise is a cell that was not run yet: what its check says of the blank stays in the notebook.
- A number in prose that claims to be measured, {measured}`2.21`, must be printed by a cell of its page.
- Equations are numbered by chapter, as in the notebooks: (4.2).
- A changed style sheet or clip is copied even when no page changed; Sphinx would copy nothing.
- The arrows that unfold a chapter in the menu get a name, for those who hear the page.
"""

from __future__ import annotations

import filecmp
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[2] / "tools")]
from address import address, slug
from exercise_table import fold_solutions
from lean import lighten
from measured import unprinted
from plain import equations

__all__ = ["setup"]

logger = logging.getLogger(__name__)

# book.js is TeX input and HTML output in one file (lean.py); it loads the fonts, and the rest only
# when a reader opens the menu of a formula.
MATHJAX_KEPT = ("book.js", "output/chtml/fonts", "ui", "a11y", "sre", "input/tex/extensions")
THEBE_IN_BODY = re.compile(
    r'<script type="text/x-thebe-config">.*?</script>|<script>kernelName = .*?</script>', re.DOTALL
)

EMPTY_HEADER = re.compile(r"<th\b[^>]*>\s*(?:<p>\s*</p>)?\s*</th>")


def trim_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Delete the MathJax bundles that no page asks for."""
    folder = Path(app.outdir, "_static", "mathjax")
    if error is not None or not folder.is_dir():
        return
    keep = tuple(folder / name for name in MATHJAX_KEPT)
    for path in sorted(folder.rglob("*"), reverse=True):
        kept = any(path == k or k in path.parents for k in keep)
        leads_to_kept = any(path in k.parents for k in keep)
        if not kept and not leads_to_kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


BLANK = "is still blank: replace"  # minigen/checks/core.py
ARROW = '<summary><span class="toctree-toggle"'
NAMED_ARROW = ARROW.replace("<summary>", '<summary aria-label="Show or hide what is below">')


def name_arrows(app: Sphinx, error: Exception | None) -> None:
    """Name the menu's arrows. The theme writes the menu inside its templates, so this comes last."""
    if error is not None:
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if ARROW in text:
            page.write_text(text.replace(ARROW, NAMED_ARROW), encoding="utf-8")


def make_lean(app: Sphinx, error: Exception | None) -> None:
    """Make the site's pages light (lean.py), before MathJax's unused parts go."""
    if error is None and app.builder.name == "html":
        lighten(Path(app.outdir))


def add_buttons(app: Sphinx, config: Any) -> None:
    """Lead to the repository, to its issues and to Colab, where the repository's address is known."""
    url = address(Path(app.srcdir))
    if url is None:
        return
    config.html_theme_options |= {
        "repository_url": url,
        "repository_branch": "main",
        "path_to_docs": "",
        "use_repository_button": True,
        "use_issues_button": True,
        "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    }
    config.ogp_site_url = config.html_baseurl = "https://{}.github.io/{}/".format(*slug(url))


def read_directives(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give a notebook the text cells of its source, before anybody parses it."""
    page = Path(app.srcdir, docname)
    path = page.parent / "source" / f"{page.name}.md"
    if not path.exists():
        return
    app.env.note_dependency(str(path))
    notebook, text = json.loads(source[0]), path.read_text(encoding="utf-8")
    for number in unprinted(text, nbformat.from_dict(notebook)):
        logger.warning("no cell prints %s, which {measured} says", number, location=docname)
    with_directives = jupytext.reads(text, fmt="md:myst")
    if page.parent.name == "exercises":
        fold_solutions(with_directives.cells)
    for plain, cell in zip(notebook["cells"], with_directives.cells, strict=True):
        if plain["cell_type"] == "markdown":
            plain["source"] = cell.source
        else:
            plain["outputs"] = [o for o in plain["outputs"] if BLANK not in o.get("evalue", "")]
    source[0] = json.dumps(notebook)


def number_equations(app: Sphinx, doctree: nodes.document) -> None:
    """Number labelled equations as tools/plain.py does."""
    known, domain = equations(Path(app.srcdir)), app.env.get_domain("math")
    for node in doctree.findall(nodes.math_block):
        if node.get("label") in known:
            node["number"] = known[node["label"]]
            domain.equations[node["label"]] = (app.env.docname, known[node["label"]])


def notice_static_files(app: Sphinx, env: Any, added: set, changed: set, removed: set) -> list[str]:
    """Call the index page outdated when a static file differs from its copy in the site."""
    ours = [f for f in app.config.html_static_path if not Path(f).is_absolute()]
    for folder in ours:  # the others are those of extensions
        source = Path(app.srcdir, folder)
        for path in source.rglob("*"):
            copy = Path(app.outdir, "_static", path.relative_to(source))
            same = copy.is_file() and filecmp.cmp(path, copy, shallow=False)
            if path.is_file() and not same:
                return [app.config.root_doc]
    return []


def _is_thebe(script: Any) -> bool:
    name = str(getattr(script, "filename", None) or "")
    body = str(getattr(script, "attributes", {}).get("body") or "")
    return "thebe" in name or "THEBE_JS_URL" in body


def mend_page(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None
) -> None:
    """Drop Thebe and mend the citation list in one page's template context."""
    for key in ("script_files", "css_files"):
        if key in context:
            context[key] = [item for item in context[key] if not _is_thebe(item)]
    if "body" in context:
        body = THEBE_IN_BODY.sub("", context["body"])
        context["body"] = body.replace('<div role="list" class="citation-list">', "<div>").replace(
            ' role="doc-biblioentry"', ""
        )
        context["body"] = EMPTY_HEADER.sub("<td></td>", context["body"])


def number(role: str, rawtext: str, text: str, *_: Any, **__: Any) -> tuple[list, list]:
    """The roles {measured} and {given}: the number itself."""
    return [nodes.Text(text)], []


def setup(app: Sphinx) -> dict[str, bool | str | int]:
    """Register with Sphinx, after the extensions whose work is mended (their priority is 500)."""
    app.add_role("measured", number)
    app.add_role("given", number)
    app.connect("config-inited", add_buttons)
    app.connect("source-read", read_directives)
    app.connect("doctree-read", number_equations)
    app.connect("env-get-outdated", notice_static_files)
    app.connect("build-finished", make_lean, priority=899)
    app.connect("build-finished", trim_mathjax, priority=900)
    app.connect("build-finished", name_arrows, priority=901)
    app.connect("html-page-context", mend_page, priority=900)
    # Sphinx reads every page anew when env_version changes: what is done to the source, or to the outputs, did
    return {
        "version": "3",
        "env_version": 1,
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
