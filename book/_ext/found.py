"""How pages are found, and how long they are: search, addresses, a page for wrong ones.

- The search leaves out each notebook's set-up cell, which stands on forty pages, knows the words that readers
  type for what a page calls otherwise, and shows of each page what speaks of them (book/_static/search.js).
- Where the site's address is known: canonical links, a sitemap. Where not, no half address either.
- 404.html leads on. Each chapter says how many minutes it takes to read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

__all__ = ["setup"]

SET_UP = "#@title Set-up"
# What readers type, and the page that they look for.
ALSO_CALLED = {
    "book/how_to_use": "install, installation, pip, requirements, course, syllabus, semester, colab",
    "book/02_gaussian": "gaussian, normal distribution, covariance",
    "book/03_mixtures_and_hmms": "gmm, mixture model, hidden markov model, hmm, expectation maximisation, "
    "expectation maximization, em, viterbi, baum-welch",
    "book/04_change_of_variables": "change of variables, jacobian",
    "book/05_autoregression": "lpc, linear predictive coding, linear prediction, arma, arima, yule-walker, levinson, "
    "kalman filter, autoregression",
    "book/06_neural_autoregression": "rnn, lstm, made, language model",
    "book/07_wavenet": "wavenet, dilation, dilated convolution, causal convolution, receptive field",
    "book/08_fast_generation": "caching, cached generation, fast wavenet",
    "book/09_conditioning": "conditioning, upsampling, text to speech, text-to-speech, tts",
    "book/10_vae": "reparametrization trick, reparametrisation trick, reparameterization trick, "
    "reparameterisation trick, vae, variational autoencoder, elbo, variational inference",
    "book/11_vqvae": "vq-vae, vector quantization, vector quantisation, codebook, voice conversion",
    "book/12_flows": "normalising flow, normalizing flow, normalising flows, normalizing flows, realnvp, glow, "
    "coupling, nsf, neural spline flow",
    "book/13_iaf": "maf, iaf, masked autoregressive flow, inverse autoregressive flow",
    "book/14_parallel_wavenet": "parallel wavenet, distillation, knowledge distillation, student, teacher",
    "book/15_evaluation": "evaluation, mos, listening test, mcd, mel cepstral distortion, wer, word error rate",
}
WORDS_A_MINUTE = 180
CODE_LINES_A_MINUTE = 12


def add_other_names(app: Sphinx, doctree: nodes.document) -> None:
    """Let the search find a page under the words that readers use."""
    phrases = ALSO_CALLED.get(app.env.docname)
    if phrases:
        words = dict.fromkeys(phrases.replace(",", "").split())
        doctree.append(nodes.meta(name="keywords", content=", ".join(words), lang="en"))


def search_less(app: Sphinx) -> None:
    """Keep set-up cells out of the search."""
    index_page = getattr(app.builder, "index_page", None)
    if index_page is None:
        return

    def without_set_up(pagename: str, doctree: nodes.document, title: str) -> None:
        searched = doctree.deepcopy()
        for cell in list(searched.findall(nodes.container)):
            if "cell" in cell.get("classes", []) and SET_UP in cell.astext():
                cell.parent.remove(cell)
        index_page(pagename, searched, title)

    app.builder.index_page = without_set_up


def put_first(app: Sphinx) -> list:
    """Put the page that a phrase looks for first, also where Sphinx read the index of an earlier build."""
    indexer = getattr(app.builder, "indexer", None)
    if indexer is not None:
        for page in ALSO_CALLED.keys() & app.env.found_docs:
            phrases = ALSO_CALLED[page].split(", ")
            indexer._index_entries[page] = [(phrase, "", "main") for phrase in phrases]
    return []


def minutes(body: str) -> int:
    """Minutes to read a page: its words, and its code line by line."""
    code = "".join(re.findall(r'<div class="highlight">.*?</div>', body, re.DOTALL))
    text = re.sub(
        r"<(script|style|svg)\b.*?</\1>|<div class=\"highlight\">.*?</div>",
        " ",
        body,
        flags=re.DOTALL,
    )
    words = len(re.sub(r"<[^>]*>", " ", text).split())
    return max(1, round(words / WORDS_A_MINUTE + code.count("\n") / CODE_LINES_A_MINUTE))


def tell_length(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None
) -> None:
    """Put the time to read under a chapter's title; drop an og:url that is no address."""
    if not app.config.ogp_site_url and "metatags" in context:
        context["metatags"] = re.sub(r'<meta property="og:url"[^>]*>\s*', "", context["metatags"])
    if re.match(r"book/\d\d_", pagename) and "body" in context:
        line = (
            f'<p class="minigen-reading">About {minutes(context["body"])} minutes to read, '
            "longer with the exercises.</p>"
        )
        context["body"] = context["body"].replace("</h1>", f"</h1>\n{line}", 1)


NOT_FOUND = """<h1>This page is not here</h1>
<p>The address may be an old one: chapters keep their numbers, but pages move.</p>
<ul><li><a href="{root}book/index.html">The start and the map of the book</a></li>
<li><a href="{root}search.html">Search</a></li>
<li><a href="{root}book/glossary.html">The glossary</a></li></ul>"""


def not_found(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """404.html, which a host shows for any address, so that its links name the site's root."""
    site = app.config.ogp_site_url
    root = re.sub(r"^https?://[^/]+", "", site) if site else ""
    base = f'<base href="{root}">' if site else ""
    yield (
        "404",
        {"title": "Not here", "body": NOT_FOUND.format(root=root), "metatags": base},
        "page.html",
    )


def write_sitemap(app: Sphinx, error: Exception | None) -> None:
    """sitemap.xml, if the site knows its address."""
    site = app.config.html_baseurl
    if error is not None or not site or app.builder.name != "html":
        return
    pages = sorted(app.env.found_docs)
    lines = [f"  <url><loc>{site}{page}.html</loc></url>" for page in pages]
    text = '<?xml version="1.0" encoding="UTF-8"?>\n'
    text += '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    Path(app.outdir, "sitemap.xml").write_text(text + "\n".join(lines) + "\n</urlset>\n", "utf-8")


def setup(app: Sphinx) -> dict[str, bool | str]:
    """Register with Sphinx."""
    app.connect("doctree-read", add_other_names)
    app.connect("builder-inited", search_less)
    app.connect("html-page-context", tell_length, priority=950)
    app.connect("html-collect-pages", not_found)
    app.connect("html-collect-pages", put_first)
    app.connect("build-finished", write_sitemap)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
