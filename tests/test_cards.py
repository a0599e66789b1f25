"""Pictures for links, canonical addresses and the sitemap: there when the site's address is known, else not."""

from __future__ import annotations

import io
import re
import sys

import numpy as np
import pytest
import soundfile as sf
from PIL import Image
from sphinx.testing.util import SphinxTestApp
from test_browser import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import cards

SITE = "https://somebody.example/minigen/"


def build(tmp_path, site: str):
    """A book of three pages; the chapter has a clip, as lean.py leaves it."""
    source = tmp_path / "source"
    (source / "book").mkdir(parents=True)
    (source / "exercises").mkdir()
    (source / "conf.py").write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT / 'book' / '_ext')!r})\n"
        "extensions = ['sphinxext.opengraph', 'found', 'cards']\n"
        "root_doc = 'book/index'\n"
        f"ogp_site_url = html_baseurl = {site!r}\n"
        "ogp_social_cards = {'enable': False}\n",
        encoding="utf-8",
    )
    toc = ".. toctree::\n\n   02_gaussian\n   ../exercises/02_gaussian\n"
    clip = '.. raw:: html\n\n   <audio src="../_media/a1.wav"></audio>\n'
    (source / "book" / "index.rst").write_text(f"Start\n=====\n\n{toc}", encoding="utf-8")
    (source / "book" / "02_gaussian.rst").write_text(
        f"2. The Gaussian\n===============\n\n{clip}", encoding="utf-8"
    )
    (source / "exercises" / "02_gaussian.rst").write_text(
        "Exercises\n=========\n", encoding="utf-8"
    )
    out = tmp_path / "html"
    (out / "_media").mkdir(parents=True)
    sf.write(out / "_media" / "a1.wav", 0.5 * np.sin(np.arange(8000) / 3), 8000, subtype="PCM_16")
    app = SphinxTestApp("html", srcdir=source, builddir=tmp_path / "build")
    app.outdir = app.builder.outdir = type(app.outdir)(out)
    app.build()
    app.cleanup()
    return out


def test_where_the_address_is_known(tmp_path):
    out = build(tmp_path, SITE)
    for page, name in (
        ("book/index", "index"),
        ("book/02_gaussian", "02_gaussian"),
        ("exercises/02_gaussian", "02_gaussian"),
    ):
        head = (out / f"{page}.html").read_text(encoding="utf-8").partition("</head>")[0]
        image = re.findall(r'property="og:image" content="([^"]+)"', head)
        assert image == [f"{SITE}_static/cards/{name}.png"], page
        with Image.open(out / "_static" / "cards" / f"{name}.png") as drawn:
            assert drawn.size == cards.SIZE
        assert f'<link rel="canonical" href="{SITE}{page}.html"' in head
        assert 'name="twitter:card" content="summary_large_image"' in head
    assert len(list((out / "_static" / "cards").iterdir())) == 2
    listed = re.findall(r"<loc>(.*?)</loc>", (out / "sitemap.xml").read_text(encoding="utf-8"))
    assert listed == [
        f"{SITE}{p}.html" for p in ("book/02_gaussian", "book/index", "exercises/02_gaussian")
    ]


def test_where_it_is_not(tmp_path):
    out = build(tmp_path, "")
    for page in out.glob("*/*.html"):
        head = page.read_text(encoding="utf-8").partition("</head>")[0]
        assert not re.search("og:image|og:url|canonical|twitter", head), page
    assert not (out / "sitemap.xml").exists() and not (out / "_static" / "cards").exists()


@pytest.mark.parametrize(
    "title", ["1. Sound", "13. Inverse autoregressive flow, and a title of many more words"]
)
def test_a_card_shows_its_title_and_its_sound(title):
    x = np.concatenate([np.zeros(500), np.ones(500)])
    drawn = cards.card(title, x)
    file = io.BytesIO()
    drawn.save(file, "PNG", optimize=True)
    assert len(file.getvalue()) < 40_000
    pixels = np.asarray(drawn.convert("RGB")).astype(int)
    paper = pixels[0, 0]
    ink = (np.abs(pixels - paper).sum(-1) > 30).nonzero()
    assert (
        70 < ink[1].min()
        and ink[1].max() < cards.SIZE[0] - 70
        and ink[0].max() < cards.SIZE[1] - 20
    )
    inked = np.abs(pixels[355:525] - paper).sum(-1) > 30
    assert inked[:, 620:].sum() > 5 * inked[:, :580].sum() > 0, "the sound is silent, then loud"
