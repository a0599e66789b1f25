"""What a link to a page shows elsewhere: a picture with the chapter's title over its first sound.

Such a picture needs a whole address, so pages get one only where the site's address is known. They are drawn here,
with no network, by Pillow.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from docutils import nodes
from lean import samples_of
from PIL import Image, ImageDraw, ImageFont
from sphinx.application import Sphinx

__all__ = ["card", "setup"]

SIZE = (1200, 630)
PAPER, INK, SOFT, LINE = "#10222b", "#ffffff", "#a9bcc6", "#5fc3d6"
BOOK = "minigen: from a Gaussian to Parallel WaveNet"
FRONT = "_static/audio/three_one_four.wav"
FOLDER = "_static/cards"


def card(title: str, wave: np.ndarray) -> Image.Image:
    """A title, and below it the outline of a sound.

    Args:
        title: broken into lines between words.
        wave: samples, (T,).
    """
    image = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(image)
    large, small = ImageFont.load_default(84), ImageFont.load_default(34)
    lines = [""]
    for word in title.split():
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer, large) > SIZE[0] - 160 and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    for row, line in enumerate(lines[:3]):
        draw.text((80, 60 + 96 * row), line, INK, large)
    bars = np.array_split(np.asarray(wave, dtype=float), 130)
    loud = np.array([np.abs(bar).max(initial=0.0) for bar in bars])
    loud /= max(loud.max(), 1e-9)
    for n, level in enumerate(loud):
        half = 3 + 85 * level
        draw.rounded_rectangle((80 + 8 * n, 440 - half, 84 + 8 * n, 440 + half), 2, LINE)
    draw.text((80, 560), BOOK, SOFT, small)
    return image.quantize(16)


def owner(pagename: str) -> str:
    """The page whose card a page shows: exercises show their chapter's, all others the index's.

    >>> owner("exercises/02_gaussian"), owner("book/glossary")
    ('book/02_gaussian', 'book/index')
    """
    chapter = re.fullmatch(r"(?:book|exercises)/(\d\d_\w+)", pagename)
    return f"book/{chapter[1]}" if chapter else "book/index"


def name_card(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None
) -> None:
    """Name the page's card in its head."""
    site = app.config.ogp_site_url
    if not site or "metatags" not in context:
        return
    whose = owner(pagename)
    title = re.sub(r"<[^>]+>", "", context.get("title", "")) or BOOK
    context["metatags"] += (
        f'\n<meta property="og:image" content="{site.rstrip("/")}/{FOLDER}/{Path(whose).name}.png" />'
        f'\n<meta property="og:image:width" content="{SIZE[0]}" />'
        f'\n<meta property="og:image:height" content="{SIZE[1]}" />'
        f'\n<meta property="og:image:alt" content="{title}, over the outline of a sound" />'
        '\n<meta name="twitter:card" content="summary_large_image" />'
    )


def draw_cards(app: Sphinx, error: Exception | None) -> None:
    """Draw one card for the book, and one for each chapter by its first clip."""
    if error is not None or not app.config.ogp_site_url or app.builder.name != "html":
        return
    site = Path(app.outdir)
    (site / FOLDER).mkdir(parents=True, exist_ok=True)
    for page in sorted(app.env.found_docs):
        if owner(page) != page:
            continue
        text = (site / f"{page}.html").read_text(encoding="utf-8")
        sound = re.search(r'src="\.\./(_media/\w+\.wav)"', text)
        path = site / (sound[1] if sound else FRONT)
        wave = samples_of(path.read_bytes())[0] if path.is_file() else np.zeros(1)
        title = BOOK if page.endswith("/index") else app.env.titles[page].astext()
        card(title, wave).save(site / FOLDER / f"{Path(page).name}.png", optimize=True)


def setup(app: Sphinx) -> dict[str, bool | str]:
    """Register with Sphinx, after sphinxext-opengraph's tags and after lean.py's files."""
    app.connect("html-page-context", name_card, priority=940)
    app.connect("build-finished", draw_cards, priority=950)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
