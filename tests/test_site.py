"""The built site's files: what a page may weigh, and what every page has. Bytes, never seconds."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from test_browser import ROOT, pages_of_book, site

__all__ = ["site"]  # the fixture is used by pytest

KB = 1000
BEFORE_ANYTHING = 440 * KB  # fetched at once: 2.2 s at 1.6 Mbit/s, formulas before half of it
STYLE = 40 * KB  # the style sheet, which holds the first line of text back
PICTURE = 60 * KB  # each, of at most 256 colours
WHOLE = 800 * KB  # with every picture, before anything is played
FONTS = ("Main-Regular", "Math-Italic", "AMS-Regular", "Size1-Regular", "Size2-Regular")


def sent(path: Path) -> int:
    """Bytes over the network, as static hosts send them."""
    packed = path.suffix in {".html", ".css", ".js", ".svg", ".json"}
    return len(gzip.compress(path.read_bytes(), 6)) if packed else path.stat().st_size


def named(page: Path, pattern: str) -> set[Path]:
    """The files of the site that a page names in a tag."""
    text = page.read_text(encoding="utf-8")
    files = {(page.parent / found.split("?")[0]).resolve() for found in re.findall(pattern, text)}
    missing = [path for path in files if not path.is_file()]
    assert not missing, missing
    return files


@pytest.fixture(scope="module")
def pages(site) -> dict[str, Path]:
    return {name: site / name for name in pages_of_book()}


def test_no_page_is_heavy(pages, site):
    fonts = site / "_static" / "mathjax" / "output" / "chtml" / "fonts" / "woff-v2"
    always = sum(sent(fonts / f"MathJax_{name}.woff") for name in FONTS)
    always += sum(sent(path) for path in site.rglob("fa-*.woff"))
    too_heavy = {}
    for name, page in pages.items():
        first = named(page, r'<(?:script|link)\b[^>]*(?:src|href)="([^"]+\.(?:js|css)[^"]*)"')
        first_bytes = sent(page) + always + sum(map(sent, first))
        pictures = named(page, r'<img\b[^>]*src="([^"]+)"')
        whole = first_bytes + sum(map(sent, pictures))
        largest = max(map(sent, pictures), default=0)
        if first_bytes > BEFORE_ANYTHING or whole > WHOLE or largest > PICTURE:
            too_heavy[name] = (first_bytes, whole, largest)
    assert not too_heavy


def test_the_style_sheet_holds_what_the_pages_use(site):
    assert sent(site / "_static" / "book.css") <= STYLE


def test_media_are_files_that_wait(pages):
    """No picture and no sound inside a page; each is fetched when the reader comes to it."""
    for name, page in pages.items():
        text = page.read_text(encoding="utf-8")
        assert not re.search(r'src="data:', text), name
        for tag in re.findall(r"<audio\b[^>]*>", text):
            assert 'preload="none"' in tag, (name, tag)
        for tag in re.findall(r'<img\b[^>]*src="[^"]*_media/[^>]*>', text):
            assert 'loading="lazy"' in tag and 'width="' in tag, (name, tag)


def test_icons_are_drawn_once(site, pages):
    assert not list(site.rglob("fontawesome.js")) and not list(site.rglob("*.woff2"))
    assert all("fontawesome.js" not in page.read_text("utf-8") for page in pages.values())


def test_every_sound_and_picture_has_words(pages):
    for name, page in pages.items():
        text = page.read_text(encoding="utf-8")
        article = text.partition('<article class="bd-article">')[2].partition("</article>")[0]
        for tag in re.findall(r"<img\b[^>]*>", article):
            assert re.search(r'alt="[^"]{8,}"', tag), (name, tag)
        for tag in re.findall(r"<audio\b[^>]*>", article):
            assert re.search(r'aria-label(ledby)?="[^"]{8,}"', tag) and " controls" in tag, (
                name,
                tag,
            )


def test_every_sound_is_heard(site):
    clips = list((site / "_media").glob("*.wav"))
    assert len(clips) > 50
    for clip in clips:
        x, rate = sf.read(clip)
        assert len(x) <= 12 * rate, f"{clip}: longer than 12 s"
        assert np.sqrt(np.mean(x**2)) > 1e-4, f"{clip}: silent"


def test_set_up_cells_are_not_searched(site):
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(index[index.index("{") : index.rindex("}") + 1])
    assert index["terms"].keys() >= {"instal", "dilat"}
    # words of the set-up cell alone, on every page with code
    assert not index["terms"].keys() & {"hasattr", "uninstal", "uninstall"}


def test_every_page_has_an_address_or_none(site, pages):
    assert (site / "404.html").is_file()
    for name, page in pages.items():
        head = page.read_text(encoding="utf-8").partition("</head>")[0]
        for url in re.findall(r'property="og:url" content="([^"]*)"', head):
            assert url.startswith("https://"), name
        if re.match(r"book/\d", name):
            text = page.read_text(encoding="utf-8")
            assert "minutes to read" in text, name
            assert 'class="left-prev"' in text and 'class="right-next"' in text, name


def test_text_in_figures_is_large_enough_on_a_phone(pages):
    """An inch of a figure is 82.5 px there (lean.py, custom.css) and its text is 10 pt, 11.5 px high."""
    figures = 0
    for page in pages.values():
        text = page.read_text(encoding="utf-8")
        for tag in re.findall(r'<img\b[^>]*width="[^>]*style="--phone:\d+px"[^>]*>', text):
            figures += 1
            width = int(re.search(r'width="(\d+)', tag)[1])
            phone = int(re.search(r"--phone:(\d+)", tag)[1])
            assert 330 < phone <= 660 and width >= phone / 1.1, (page.name, tag[:200])
    assert figures > 50
    for source in ROOT.glob("book/source/*.md"):
        text = source.read_text(encoding="utf-8")
        sizes = [float(s) for s in re.findall(r"fontsize=([\d.]+)", text)]
        assert all(size >= 10 for size in sizes), (source.name, sizes)
    css = (ROOT / "book" / "_static" / "custom.css").read_text(encoding="utf-8")
    assert "width: max(100%, var(--phone, 660px))" in css
    assert 'img[width="400"] {\n    width: 400px' in css  # a clip's picture, 5 inches
    for name, page in pages.items():
        clips = re.findall(r"<img\b[^>]*data-axis=[^>]*>", page.read_text(encoding="utf-8"))
        assert all('width="400"' in tag for tag in clips), name
    assert ".minigen-scroll > img {\n    width: 660px;" in css  # the first page's, drawn for 720


def test_no_table_has_an_empty_header(pages):
    for name, page in pages.items():
        assert not re.search(r"<th\b[^>]*>\s*(<p>\s*</p>)?\s*</th>", page.read_text("utf-8")), name


def test_a_page_shows_no_failure(pages):
    """A blank exercise stands there unsolved, not failed; nothing else of a page fails."""
    for name, page in pages.items():
        assert not re.search(r'class="output traceback|is still blank', page.read_text("utf-8")), (
            name
        )
