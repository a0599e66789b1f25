"""The built book in three more forms: one PDF, one EPUB, one zip of the site to be read with no network.

    python tools/forms.py [SITE]    from _build/html: minigen-book.pdf, .epub and .zip, beside it and in it

The pages of the site that have the mark `<!-- other forms -->` then link the three.

A headless Chromium ($CHROMIUM, or chromium) sets the formulas and draws the diagrams. The PDF is every page printed as
one document, so that links, the outline and page numbers go through the whole book. In the EPUB formulas are MathML
and clips are MP3. Two runs differ in the dates inside the files only.
"""

from __future__ import annotations

import argparse
import html
import io
import os
import posixpath
import re
import shutil
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import numpy as np
import soundfile as sf

__all__ = ["FORMS", "make_epub", "make_pdf", "make_zip", "order", "publish"]

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
TITLE, SUBTITLE = "minigen", "From a Gaussian to Parallel WaveNet: generative models you can hear"
RIGHTS = "The minigen authors. Text, figures and sounds CC BY 4.0, code BSD 3-Clause."
FORMS = {
    "pdf": "PDF, to print or to read",
    "epub": "EPUB, for a reading device, with the sounds",
    "zip": "zip of these pages, with everything that moves",
}
MARK = "<!-- other forms -->"
LINKED = re.compile(f'{MARK}(<div class="minigen-forms">.*?</div>)?', re.DOTALL)
ARTICLE = re.compile(r'<article class="bd-article">(.*?)</article>', re.DOTALL)
LINK = re.compile(r'( )(href|src)="([^"]*)"')  # in text, a quotation mark is &quot;
ID = re.compile(r'( )(id|for|aria-labelledby|aria-describedby)="([^"]*)"')
OUTSIDE = re.compile(r"(?:[a-z]+:|//)", re.IGNORECASE)

# Everything is there and nothing is folded: what a page on paper, or in a reading device, needs first.
READY = """async () => {
  await window.MathJax?.startup?.promise;
  for (const d of document.querySelectorAll("details:not(.hide)")) d.open = true;
  for (const article of document.querySelectorAll("article.bd-article")) { // answers come after all questions
    const answers = [...article.querySelectorAll(".minigen-quiz details")];
    if (!answers.length) continue;
    const end = article.appendChild(document.createElement("section"));
    end.append(Object.assign(document.createElement("h2"), { textContent: "Answers to the questions" }));
    article.querySelectorAll(".minigen-quiz").forEach((quiz, n) => {
      quiz.prepend(Object.assign(document.createElement("strong"), { textContent: "Question " + (n + 1) }));
      end.append(Object.assign(document.createElement("h3"), { textContent: "Question " + (n + 1) }));
      for (const d of quiz.querySelectorAll("details")) {
        const answer = document.createElement("p"), [summary, ...reason] = d.childNodes;
        const letter = Object.assign(document.createElement("strong"), { textContent: summary.textContent.trim()[0] + ". " });
        answer.append(...summary.childNodes);
        d.replaceWith(answer);
        const why = reason.find((r) => r.tagName === "P");
        why.prepend(letter);
        end.append(why);
      }
    });
  }
  for (const article of document.querySelectorAll("article.bd-article")) { // solutions come after all exercises
    const solutions = [...article.querySelectorAll("details.sd-dropdown")]
      .filter((d) => d.querySelector(".sd-summary-text")?.textContent.trim() === "Solution");
    if (!solutions.length) continue;
    const end = article.appendChild(document.createElement("section"));
    end.append(Object.assign(document.createElement("h2"), { textContent: "Solutions" }));
    for (const d of solutions) {
      const of = d.closest("section").querySelector("h2, h3").textContent.replace(/#$/, "");
      end.append(Object.assign(document.createElement("h3"), { textContent: of }), ...[...d.children].slice(1));
      d.remove();
    }
  }
  dispatchEvent(new Event("beforeprint"));
  await Promise.all([...document.querySelectorAll("article.bd-article img")].map((i) => {
    i.loading = "eager";
    return i.decode().catch(() => { throw new Error("no picture: " + i.src); });
  }));
  await document.fonts.ready;
  const raw = [...document.querySelectorAll(".bd-article .math")].filter((m) => !m.querySelector("mjx-container"));
  if (window.MathJax && raw.length) throw new Error(raw.length + " formulas not set: " + raw[0].textContent);
}"""

# A formula that is wider than the paper is set smaller.
FIT = """() => {
  let worst = 1;
  for (const m of document.querySelectorAll('.bd-article mjx-container[display="true"]')) {
    const block = m.closest("div.math"), number = block?.querySelector(".eqno");
    if (!block) continue;
    const room = block.clientWidth - (number ? number.getBoundingClientRect().width + 12 : 0);
    const share = room / m.querySelector("mjx-math").getBoundingClientRect().width;
    const now = parseFloat(m.style.fontSize) || 100; // MathJax's own, in percent
    if (share < 1) m.style.setProperty("font-size", 0.98 * share * now + "%", "important");
    worst = Math.min(worst, share);
  }
  return worst;
}"""

# One page as XHTML: formulas as MathML, what only a screen can do left out.
XHTML = """() => {
  const article = document.querySelector("article.bd-article");
  for (const item of window.MathJax?.startup?.document?.math || []) {
    const math = item.typesetRoot?.querySelector("mjx-assistive-mml math");
    if (!math) continue;
    math.setAttribute("alttext", item.math.trim());
    item.typesetRoot.replaceWith(math);
  }
  const unwanted = "script, style, button, input, select, noscript, template, .headerlink, .copybtn, .toctree-wrapper,"
    + " .minigen-compare, .minigen-length, .minigen-reading, .controls, details.hide, figure.minigen-voice, .minigen-forms,"
    + " .sd-summary-state-marker, .minigen-picture > i";
  for (const e of article.querySelectorAll(unwanted)) e.remove();
  for (const p of article.querySelectorAll(".minigen-picture")) p.replaceWith(...p.childNodes);
  for (const e of article.querySelectorAll("*")) for (const a of [...e.attributes])
    if (/^(data-|on|loading$|fetchpriority$|tabindex$|align$|preload$)/.test(a.name)
        || (a.name === "open" && !e.matches("details"))) e.removeAttribute(a.name);
  for (const c of document.createTreeWalker(article, NodeFilter.SHOW_COMMENT).root.querySelectorAll("*"))
    for (const n of [...c.childNodes]) if (n.nodeType === Node.COMMENT_NODE) n.remove();
  return new XMLSerializer().serializeToString(article);
}"""

PAPER = 658  # pixels across A4 between margins of 18 mm
PRINT_CSS = """
@page { size: A4; margin: 20mm 18mm 18mm; @bottom-center { content: counter(page); font: 9pt sans-serif; } }
@page cover { @bottom-center { content: none; } }
html, body { background: #fff !important; font-size: 10.5pt; }
body { display: block; margin: 0; padding: 0; }
.bd-article { display: block; max-width: none; padding: 0 !important; break-before: page; overflow: visible; }
.bd-article.cover { page: cover; break-before: auto; }
.cover h1 { padding-top: 35mm; font-size: 40pt !important; } .cover .subtitle { font-size: 16pt; }
.cover ol { list-style: none; padding: 0; columns: 2; font-size: 10pt; } .cover li { margin: 0.25em 0; }
.bd-article h1 { margin-top: 1px !important; font-size: 22pt; } /* a margin puts it into the outline twice */ .bd-article h2 { font-size: 15pt; } .bd-article h3 { font-size: 12pt; }
.bd-article pre { font-size: 7.6pt !important; line-height: 1.35; }
.bd-content .cell_output pre { font-size: 7.2pt !important; }
.bd-article table { font-size: 8.5pt !important; width: 100%; }
.bd-article img { max-width: 100%; max-height: 200mm; }
.bd-content figure.minigen-audio img { max-width: 75mm; }
audio { display: none !important; }
.bd-article details > summary { list-style: none; }
.bd-article .sd-summary-state-marker { display: none; }
dt { break-after: avoid; }
.bd-article :is(.minigen-quiz, .sd-dropdown, .cell_input, .cell_output .output.stream) { break-inside: avoid; }
.bd-article div.cell, .bd-article .cell_output .output { overflow: visible !important; }
mjx-container[display="true"] { overflow: visible !important; }
"""

EPUB_CSS = """
body { line-height: 1.45; margin: 0 3%; }
h1, h2, h3 { line-height: 1.2; text-align: left; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 0.75em; background: #8882; padding: 0.4em; }
code { overflow-wrap: anywhere; }
img, svg { max-width: 100%; height: auto; }
figure { margin: 1em 0; border-left: 3px solid #1f7f92; padding-left: 0.6em; }
audio { width: 100%; }
table { border-collapse: collapse; font-size: 0.8em; } th, td { padding: 0.2em 0.5em; border-bottom: 1px solid #888; }
.admonition, details { border: 1px solid #888; border-radius: 4px; padding: 0.4em 0.8em; margin: 1em 0; }
.admonition-title, summary { font-weight: bold; }
.eqno { float: right; }
math[display=block] { margin: 0.7em 0; max-width: 100%; overflow-x: auto; }
div.citation > span.label, .backrefs { display: none; }
.minigen-transcript { font-size: 0.9em; }
"""


# ---------------------------------------------------------------- the site's pages


def order(site: Path) -> list[str]:
    """The pages of the book in reading order: each names the next in its head."""
    pages, here = [], "book/index.html"
    while here and here not in pages:
        pages.append(here)
        head = (site / here).read_text(encoding="utf-8").partition("</head>")[0]
        following = re.search(r'<link rel="next"[^>]*href="([^"]+)"', head)
        here = following and posixpath.normpath(
            posixpath.join(posixpath.dirname(here), following[1])
        )
    return pages


def slug(page: str) -> str:
    """A page's name inside the one document.

    >>> slug("book/02_gaussian.html")
    'book-02_gaussian'
    """
    return page.removesuffix(".html").replace("/", "-")


def inside(page: str, address: str) -> tuple[str, str]:
    """What an address on a page leads to: a path from the site's root, and an anchor.

    >>> inside("book/a.html", "../exercises/b.html#c"), inside("book/a.html", "#c")
    (('exercises/b.html', 'c'), ('book/a.html', 'c'))
    """
    path, _, anchor = address.partition("#")
    folder = posixpath.dirname(page)
    return posixpath.normpath(posixpath.join(folder, path)) if path else page, anchor


def article(site: Path, page: str, pages: list[str]) -> str:
    """The text of one page, its names made its own among those of all pages."""
    text = LINKED.sub("", ARTICLE.search((site / page).read_text(encoding="utf-8"))[1])

    def named(match: re.Match) -> str:
        names = " ".join(f"{slug(page)}--{one}" for one in match[3].split())
        return f'{match[1]}{match[2]}="{names}"'

    def led(match: re.Match) -> str:
        address = html.unescape(match[3])
        if OUTSIDE.match(address):
            return match[0]
        target, anchor = inside(page, address)
        if match[2] == "src":
            return f'{match[1]}src="{html.escape(target)}"'
        if target in pages:
            return f'{match[1]}href="#{slug(target)}{"--" + anchor if anchor else ""}"'
        return match[1].rstrip()  # a file of the site, which paper has not

    text = ID.sub(named, re.sub(r'<a class="headerlink".*?</a>', "", text))
    return f'<article class="bd-article" id="{slug(page)}">{LINK.sub(led, text)}</article>'


def title(site: Path, page: str) -> str:
    """A page's first heading, as text."""
    heading = re.search(
        r"<h1>(.*?)(?:<a class=\"headerlink|</h1>)", (site / page).read_text("utf-8")
    )
    return html.unescape(re.sub(r"<[^>]+>", "", heading[1])).strip()


# ---------------------------------------------------------------- PDF


def make_pdf(site: Path, out: Path, browser) -> None:
    """Print every page of the site as one PDF with an outline."""
    pages = order(site)
    first = (site / pages[0]).read_text(encoding="utf-8")
    head = re.sub(
        r"<title>.*?</title>", f"<title>{TITLE}: {SUBTITLE}</title>", first, flags=re.DOTALL
    )
    head = head.partition("</head>")[0].replace("../_static/", "_static/")
    head = re.sub(r'data-theme="\w*"', 'data-theme="light"', head, count=1)
    head = re.sub(r"document.documentElement.dataset[^;]*;", "", head)
    if "mathjax/book.js" not in head and (site / "_static/mathjax/book.js").exists():
        head += '<script defer src="_static/mathjax/book.js"></script>'
    contents = "".join(
        f'<li><a href="#{slug(page)}">{html.escape(title(site, page))}</a></li>'
        for page in pages[1:]
    )
    cover = (
        f'<article class="bd-article cover"><h1>{TITLE}</h1><p class="subtitle">{SUBTITLE}</p>'
        f"<p>{RIGHTS}</p><p>The sounds, and what moves, are in the EPUB and on the book's pages.</p>"
        f"<ol>{contents}</ol></article>"
    )
    body = cover + "\n".join(article(site, page, pages) for page in pages)
    whole = site / "whole-book.html"
    whole.write_text(
        f'{head}<style>{PRINT_CSS}</style></head><body><div class="bd-content">{body}</div></body></html>',
        encoding="utf-8",
    )
    try:
        tab = browser.new_page(color_scheme="light", viewport={"width": PAPER, "height": 980})
        tab.set_default_timeout(600_000)
        tab.goto(whole.as_uri(), wait_until="load")
        tab.emulate_media(media="print")
        tab.evaluate(READY)
        tab.evaluate(FIT)
        tab.pdf(
            path=str(out),
            prefer_css_page_size=True,
            print_background=True,
            outline=True,
            tagged=True,
        )
        tab.close()
    finally:
        whole.unlink()


# ---------------------------------------------------------------- EPUB

XHTML_NS, EPUB_NS = "http://www.w3.org/1999/xhtml", "http://www.idpf.org/2007/ops"
PAGE = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="{}" xmlns:epub="{}" lang="en" xml:lang="en">
<head><title>{}</title><link rel="stylesheet" href="book.css"/></head>
<body>{}</body></html>
"""
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
KINDS = {".png": "image/png", ".svg": "image/svg+xml", ".mp3": "audio/mpeg", ".jpg": "image/jpeg"}


def mp3(path: Path) -> bytes:
    """A clip as MP3, which every reading device plays; WAV need not be."""
    samples, rate = sf.read(path)
    if rate not in MP3_RATES:  # the same sound, of which nothing lies above half the old rate
        higher = min(r for r in MP3_RATES if r > rate)
        count = round(len(samples) * higher / rate)
        samples = np.fft.irfft(np.fft.rfft(samples), count) * count / len(samples)
        rate = higher
    sound = io.BytesIO()
    sf.write(sound, samples, rate, format="MP3", subtype="MPEG_LAYER_III")
    return sound.getvalue()


def make_epub(site: Path, out: Path, browser) -> None:
    """Write every page of the site as one EPUB 3."""
    ET.register_namespace("", XHTML_NS)
    ET.register_namespace("svg", "http://www.w3.org/2000/svg")
    ET.register_namespace("m", "http://www.w3.org/1998/Math/MathML")
    pages = order(site)
    files: dict[str, bytes] = {"book.css": (EPUB_CSS + diagram_css(site)).encode()}
    properties: dict[str, str] = {}
    for page in pages:
        tab = browser.new_page(color_scheme="light")
        tab.goto((site / page).as_uri(), wait_until="load")
        tab.evaluate(READY)
        tree = ET.fromstring(tab.evaluate(XHTML))
        tab.close()
        for node in tree.iter():
            for key in ("src", "href"):
                if key in node.attrib and not OUTSIDE.match(node.attrib[key]):
                    node.attrib[key] = address_in_epub(site, page, node.attrib[key], pages, files)
                    if not node.attrib[key]:
                        del node.attrib[key]
        text = ET.tostring(tree, encoding="unicode")
        name = f"{slug(page)}.xhtml"
        files[name] = PAGE.format(XHTML_NS, EPUB_NS, html.escape(title(site, page)), text).encode()
        found = [word for word, tag in (("mathml", "<m:math"), ("svg", "<svg:svg")) if tag in text]
        properties[name] = " ".join(found)
    points = "".join(
        f'<li><a href="{slug(page)}.xhtml">{html.escape(title(site, page))}</a></li>'
        for page in pages
    )
    nav = f'<nav epub:type="toc"><h1>Contents</h1><ol>{points}</ol></nav>'
    files["nav.xhtml"] = PAGE.format(XHTML_NS, EPUB_NS, "Contents", nav).encode()
    properties["nav.xhtml"] = "nav"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as epub:
        epub.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        epub.writestr(
            "META-INF/container.xml",
            '<?xml version="1.0"?><container version="1.0" '
            'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
            'full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        epub.writestr("OEBPS/book.opf", package(pages, files, properties))
        for name, content in sorted(files.items()):
            epub.writestr(f"OEBPS/{name}", content)


def address_in_epub(site: Path, page: str, address: str, pages: list[str], files: dict) -> str:
    """Where an address leads inside the EPUB; files that it names are put in. Empty: nowhere."""
    target, anchor = inside(page, html.unescape(address))
    if target in pages:
        return f"{slug(target)}.xhtml{'#' + anchor if anchor else ''}"
    path = site / target
    if not path.is_file() or path.suffix not in (*KINDS, ".wav"):
        return ""
    name = f"media/{path.with_suffix('.mp3').name if path.suffix == '.wav' else path.name}"
    if name not in files:
        files[name] = mp3(path) if path.suffix == ".wav" else path.read_bytes()
    return name


def diagram_css(site: Path) -> str:
    """The rules of the site that colour the diagrams' lines."""
    css = site / "_static" / "custom.css"
    text = css.read_text(encoding="utf-8") if css.exists() else ""
    rules = re.findall(r"^(?::root|figure\.minigen-diagram)[^{@]*\{[^}]*\}", text, re.MULTILINE)
    base = ":root { --pst-color-text-base: #222; --pst-color-background: #fff; --pst-color-border: #888; }"
    return "\n".join([base, *rules])


def package(pages: list[str], files: dict[str, bytes], properties: dict[str, str]) -> str:
    """The EPUB's list of what is in it, and in which order it is read."""
    names = {name: f"f{n}" for n, name in enumerate(sorted(files))}
    items = []
    for name, key in names.items():
        kind = KINDS.get(Path(name).suffix) or (
            "text/css" if name.endswith(".css") else "application/xhtml+xml"
        )
        marked = f' properties="{properties[name]}"' if properties.get(name) else ""
        items.append(f'<item id="{key}" href="{name}" media-type="{kind}"{marked}/>')
    spine = "".join(f'<itemref idref="{names[slug(page) + ".xhtml"]}"/>' for page in pages)
    return (
        '<?xml version="1.0" encoding="utf-8"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
        'unique-identifier="id" xml:lang="en"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="id">minigen-book</dc:identifier><dc:title>{TITLE}: {SUBTITLE}</dc:title>'
        f"<dc:creator>The minigen authors</dc:creator><dc:language>en</dc:language><dc:rights>{RIGHTS}</dc:rights>"
        '<meta property="dcterms:modified">2026-01-01T00:00:00Z</meta></metadata>'
        f"<manifest>{''.join(items)}</manifest><spine>{spine}</spine></package>"
    )


# ---------------------------------------------------------------- zip, and the site's links


def make_zip(site: Path, out: Path) -> None:
    """The site without the other forms, and without links to them."""
    ours = {f"{out.stem}.{kind}" for kind in FORMS}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(site.rglob("*")):
            inside_zip = str(Path("html", path.relative_to(site)))
            if path.suffix == ".html":
                archive.writestr(inside_zip, LINKED.sub(MARK, path.read_text(encoding="utf-8")))
            elif path.is_file() and path.name not in ours:
                archive.write(path, inside_zip)


def publish(site: Path, made: list[Path]) -> None:
    """Put the files into the site, and links to them where a page has the mark."""
    for path in made:
        shutil.copy(path, site / path.name)
    for page in order(site):
        text = (site / page).read_text(encoding="utf-8")
        to_root = "../" * page.count("/")
        links = "".join(
            f'<li><a class="reference external" href="{to_root}{path.name}">{FORMS[path.suffix[1:]]}</a> '
            f"({path.stat().st_size / 1e6:.0f} MB)</li>"
            for path in made
        )
        block = (
            f'<div class="minigen-forms"><p>The whole book in one file:</p><ul>{links}</ul></div>'
        )
        linked = LINKED.sub(MARK + block, text)
        if linked != text:
            (site / page).write_text(linked, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Make the three files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("site", nargs="?", type=Path, default=ROOT / "_build" / "html")
    given = parser.parse_args(arguments)
    site = given.site.resolve()
    if not (site / "book" / "index.html").is_file():
        parser.error(f"there is no built book in {site}: make book")
    if not Path(CHROMIUM).exists():
        parser.error("a PDF and an EPUB need Chromium: install it, or name it in $CHROMIUM")
    from playwright.sync_api import sync_playwright

    made = [site.parent / f"minigen-book.{kind}" for kind in FORMS]
    pdf, epub, archive = made
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        make_pdf(site, pdf, browser)
        make_epub(site, epub, browser)
        browser.close()
    make_zip(site, archive)
    publish(site, made)
    for path in made:
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
