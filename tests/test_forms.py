"""The book as PDF, EPUB and zip: a site of two pages goes through all three, one of them the book's own notation."""

from __future__ import annotations

import posixpath
import re
import shutil
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import forms
import lock
import numpy as np
import pypdf
import pytest
import soundfile as sf
from PIL import Image
from test_browser import ROOT, pytestmark, site

__all__ = ["pytestmark", "site"]  # used by pytest

INDEX = """<!doctype html><html lang="en" data-theme="auto"><head><meta charset="utf-8"><title>t</title>
<link rel="next" href="notation.html"></head><body><article class="bd-article"><section id="start">
<h1>The start<a class="headerlink" href="#start">#</a></h1><p>Go to <a href="notation.html#notation">the
symbols</a>, <a href="#start">up</a>, <a href="../_sources/x.txt">nowhere</a>, <a href="https://example.org/">out</a>.</p>
<pre>wide = "quoted"</pre><!-- other forms -->
<img src="../_media/picture.png" alt="a white square" loading="lazy">
<audio controls src="../_media/clip.wav" aria-label="a hum of a second"></audio>
<section id="exercise"><h2>Exercise 1.1<a class="headerlink" href="#exercise">#</a></h2>
<details class="sd-dropdown"><summary><span class="sd-summary-text">Solution</span></summary><p>Forty-two.</p></details>
</section><p>After the exercise.</p></section></article></body></html>"""


@pytest.fixture(scope="module")
def small(tmp_path_factory, site) -> Path:
    """Two pages: a start of our own, with everything that a page may have, and the page of symbols."""
    small = tmp_path_factory.mktemp("small") / "html"
    (small / "book").mkdir(parents=True)
    (small / "_media").mkdir()
    shutil.copytree(site / "_static", small / "_static")
    (small / "book" / "index.html").write_text(INDEX, encoding="utf-8")
    symbols = (site / "book" / "notation.html").read_text(encoding="utf-8")
    symbols = re.sub(r'<link rel="next"[^>]*>', "", symbols)
    (small / "book" / "notation.html").write_text(symbols, encoding="utf-8")
    Image.new("RGB", (40, 40), "white").save(small / "_media" / "picture.png")
    sf.write(small / "_media" / "clip.wav", 0.3 * np.sin(np.arange(6000) / 3), 6000)
    return small


def test_pages_come_in_the_order_of_the_book(site):
    from test_browser import pages_of_book

    assert forms.order(site) == pages_of_book()


def test_pdf_has_every_page_its_links_and_its_outline(small, browser, tmp_path):
    out = tmp_path / "book.pdf"
    forms.make_pdf(small, out, browser)
    pdf = pypdf.PdfReader(out)
    text = [page.extract_text() for page in pdf.pages]
    whole = "\n".join(text)
    assert whole.index("Go to the") < whole.index("Notation", whole.index("Go to the"))
    assert whole.index("After the exercise") < whole.index("Forty-two"), "solutions come last"
    assert 'wide = "quoted"' in whole
    assert re.search(r"(?m)^2$", text[1]), "pages have numbers"
    titles = [entry.title for entry in pdf.outline if not isinstance(entry, list)]
    assert {"The start", "Notation"} <= {title.rstrip("#") for title in titles}
    links = [note.get_object() for page in pdf.pages for note in page.get("/Annots", [])]
    addresses = {str(n["/A"]["/URI"]) for n in links if "/A" in n and "/URI" in n["/A"]}
    assert "https://example.org/" in addresses
    assert not [a for a in addresses if a.startswith("file:")], (
        "a link out of the book to this disk"
    )
    assert any("/Dest" in n or n.get("/A", {}).get("/S") == "/GoTo" for n in links)
    assert not list(small.glob("whole-book*")), "nothing stays behind in the site"


def test_epub_is_whole(small, browser, tmp_path):
    out = tmp_path / "book.epub"
    forms.make_epub(small, out, browser)
    with zipfile.ZipFile(out) as epub:
        first = epub.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
        files = {info.filename: epub.read(info) for info in epub.infolist()}
    pages = {
        name: ET.fromstring(files[name]) for name in files if name.endswith((".xhtml", ".opf"))
    }
    ids = {
        name: {e.attrib["id"] for e in tree.iter() if "id" in e.attrib}
        for name, tree in pages.items()
    }
    for name, tree in pages.items():
        for element in tree.iter():
            for key in {"href", "src"} & element.attrib.keys():
                address, _, anchor = element.attrib[key].partition("#")
                if forms.OUTSIDE.match(address):
                    continue
                target = posixpath.join("OEBPS", address) if address else name
                assert target in files, (name, address)
                assert not anchor or anchor in ids[target], (name, address, anchor)
    named = set(re.findall(r'href="([^"]+)" media-type', files["OEBPS/book.opf"].decode()))
    assert {f"OEBPS/{n}" for n in named} == {n for n in files if n.startswith("OEBPS/")} - {
        "OEBPS/book.opf"
    }
    contents = re.findall(r'<li><a href="([^"]+)"', files["OEBPS/nav.xhtml"].decode())
    assert contents == ["book-index.xhtml", "book-notation.xhtml"]
    text = files["OEBPS/book-notation.xhtml"].decode()
    formulas = (small / "book" / "notation.html").read_text("utf-8").count('class="math')
    assert text.count("<m:math") == formulas > 50 and 'alttext="' in text and "mjx-" not in text
    assert "_sources" not in files["OEBPS/book-index.xhtml"].decode()
    (tmp_path / "clip.mp3").write_bytes(files["OEBPS/media/clip.mp3"])
    sound, rate = sf.read(tmp_path / "clip.mp3")
    spectrum = np.abs(np.fft.rfft(sound[: rate // 2]))
    assert rate == 8000 and 2 * spectrum.argmax() == pytest.approx(6000 / 3 / 2 / np.pi, abs=4)


def test_zip_is_the_site_and_the_site_links_what_there_is(small, tmp_path):
    mark = (small / "book" / "index.html").read_text(encoding="utf-8")
    made = [tmp_path / f"minigen-book.{kind}" for kind in forms.FORMS]
    for path in made:
        path.write_bytes(b"x" * 2_000_000)
    forms.publish(small, made)
    forms.publish(small, made)  # again: no second list
    page = (small / "book" / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'href="\.\./(minigen-book\.\w+)"', page)
    assert links == [path.name for path in made] and page.count("(2 MB)") == 3
    assert all((small / link).is_file() for link in links)
    archive = tmp_path / "minigen-book.zip"
    forms.make_zip(small, archive)
    with zipfile.ZipFile(archive) as read:
        names = read.namelist()
        assert read.read("html/book/index.html").decode() == mark, "no links to what is not in it"
    there = {str(Path("html", p.relative_to(small))) for p in small.rglob("*") if p.is_file()}
    assert set(names) == there - {f"html/{path.name}" for path in made}


def test_pages_offer_the_forms_and_the_workflow_makes_them():
    assert all(
        forms.MARK in (ROOT / "book" / p).read_text("utf-8") for p in ("index.md", "how_to_use.md")
    )
    workflow = (ROOT / ".github" / "workflows" / "book.yml").read_text(encoding="utf-8")
    assert workflow.index("make offline") < workflow.index("upload-pages-artifact")


def test_what_make_offline_installs_is_pinned_and_enough():
    found, missing = lock.brought_by(lock.names() + lock.names(part="forms"))
    assert not missing - lock.pins().keys() and found.keys() <= lock.pins().keys()
    assert {"numpy", "soundfile", "playwright"} <= found.keys() and "torch" not in found
