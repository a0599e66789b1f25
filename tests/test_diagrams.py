"""The diagrams of the pages: each named in a page exists, draws without an error, and obeys the keyboard."""

from __future__ import annotations

import base64
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from minigen import data
from minigen.speech import corpus, word_vae

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "book" / "_static"
SCRIPT = (STATIC / "diagrams.js").read_text(encoding="utf-8")
DRAWN = set(re.findall(r"^  diagrams\.(\w+) = ", SCRIPT, re.MULTILINE))
PLACED = {
    name
    for page in (ROOT / "book" / "source").glob("*.md")
    for name in re.findall(r'data-diagram="(\w+)"', page.read_text(encoding="utf-8"))
}
# Words that run over the edge of their box or of the picture, or over each other.
OVER_THE_EDGE = """f => {
  const at = (e) => e.getBoundingClientRect(), bad = [], whole = at(f.querySelector('svg'));
  for (const t of f.querySelectorAll('text'))
    if (at(t).left < whole.left - 1 || at(t).right > whole.right + 1 || at(t).top < whole.top - 1
        || at(t).bottom > whole.bottom + 1) bad.push(t.textContent);
  const words = [...f.querySelectorAll('text')].filter((t) => t.textContent.trim() && at(t).width);
  const share = (a, b, from, to) => Math.min(a[to], b[to]) - Math.max(a[from], b[from]);
  words.forEach((t, n) => words.slice(n + 1).forEach((u) => {
    if (share(at(t), at(u), 'left', 'right') > 1 && share(at(t), at(u), 'top', 'bottom') > 4)
      bad.push(t.textContent + ' on ' + u.textContent);
  }));
  for (const t of f.querySelectorAll('text')) for (const r of f.querySelectorAll('rect')) {
    const [a, b] = [at(t), at(r)], [x, y] = [(a.left + a.right) / 2, (a.top + a.bottom) / 2];
    if (x > b.left && x < b.right && y > b.top && y < b.bottom && (a.left < b.left - 1 || a.right > b.right + 1))
      bad.push(t.textContent);
  }
  return bad;
}"""
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")


def test_pages_and_script_name_the_same_diagrams():
    assert PLACED == DRAWN


def test_the_word_is_the_corpus_one():
    coded = re.search(r'minigenWord = "([^"]+)"', (STATIC / "word.js").read_text("utf-8"))[1]
    stored = np.frombuffer(base64.b64decode(coded), "<i2") / 32767
    assert np.abs(stored - data.example().audio).max() < 2 / 32767


def test_the_latent_map_is_the_model_s():
    model, card = word_vae.load()
    z = np.asarray(model.latents(data.spoken_digits(word="seven")))
    middle = z.mean(0)
    spread, axes = np.linalg.svd(z - middle, full_matrices=False)[1:]
    assert (spread[:2] ** 2).sum() > 0.8 * (spread**2).sum(), "the plane shows most of it"
    axes = axes[:2] * np.sign(axes[:2].sum(1, keepdims=True))
    numbers = r"\[(-?[\d.]+), (-?[\d.]+)\]"
    drawn = re.findall(numbers, SCRIPT[SCRIPT.index("const sevens") : SCRIPT.index("const places")])
    assert np.abs(np.array(drawn, float) - (z - middle) @ axes.T).max() < 0.02
    kept = corpus.held_out(data.spoken_digits())[1]
    word = next(clip for clip in kept if clip.name.startswith("seven_slt"))
    start = np.asarray(model.latents([word])[0])
    ways = {name: np.asarray(way) for name, way in card["directions"].items()}
    turned = (0 * start, 0.35 * ways["tempo"], 0.2 * ways["pitch"], ways["voice"])
    at = [z[0], z[-1], *(start + step for step in turned)]
    places = re.findall(r'\["([^"]+)", (-?[\d.]+), (-?[\d.]+), "', SCRIPT)
    where = np.array([row[1:] for row in places], float)
    assert np.abs(where - (np.array(at) - middle) @ axes.T).max() < 0.02
    page = (ROOT / "book" / "source" / "10_vae.md").read_text(encoding="utf-8")
    assert all(f'"{name}"' in page for name, *_ in places), "each place is a clip of the page"


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM, reason="needs chromium")
@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1440, "light")])
def test_every_diagram_draws_and_steps(browser, tmp_path, width, theme):
    figures = "".join(
        f'<figure class="minigen-diagram" data-diagram="{name}"><figcaption>{name}</figcaption></figure>'
        for name in sorted(DRAWN)
    )
    links = "".join(
        f'<script src="{(STATIC / name).as_uri()}"></script>' for name in ("word.js", "diagrams.js")
    )
    page_file = tmp_path / "all.html"
    page_file.write_text(
        f'<!doctype html><html data-theme="{theme}"><meta charset="utf-8">'
        f'<link rel="stylesheet" href="{(STATIC / "custom.css").as_uri()}">'
        f'<meta name="viewport" content="width=device-width"><body>{figures}{links}',
        encoding="utf-8",
    )
    page = browser.new_page(viewport={"width": width, "height": 800}, reduced_motion="reduce")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(page_file.as_uri())
    for figure in page.query_selector_all("figure"):
        name = figure.get_attribute("data-diagram")
        svg, says = figure.query_selector("svg"), figure.query_selector(".says")
        first, sentence = svg.inner_html(), says.inner_text()
        assert first.count("<") > 5 and sentence, name
        assert "NaN" not in first and "undefined" not in first + sentence, name
        assert "Play" not in figure.inner_text(), "nothing plays under reduced motion"
        control = figure.query_selector("button:text('Step'), input")
        control.focus()
        page.keyboard.press("Enter" if control.inner_text() == "Step" else "ArrowRight")
        assert svg.inner_html() != first or says.inner_text() != sentence, f"{name} did not move"
        size = figure.evaluate(
            "f => Math.min(...[...f.querySelectorAll('text')].map(t => parseFloat(getComputedStyle(t).fontSize)))"
        )
        assert size >= 11, name
        assert figure.evaluate(OVER_THE_EDGE) == [], name
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
    assert errors == []
