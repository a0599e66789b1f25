"""book/_static/reader.js in a browser: clips compared at one instant, lengths told, chapters remembered."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf
from test_browser import ROOT, pytestmark

__all__ = ["pytestmark"]  # the marks are used by pytest
SCRIPT = ROOT / "book" / "_static" / "reader.js"
SECONDS = (2, 2, 1, 2)
SOUNDING = "[...document.querySelectorAll('audio')].map(a => !a.paused)"


@pytest.fixture
def page(browser, tmp_path):
    """Three clips of one section, the second twice as loud, and one clip of another section."""
    figures = []
    for n, level in enumerate((0.1, 0.2, 0.1, 0.1)):
        x = level * np.sign(np.sin(np.arange(round(8000 * SECONDS[n])) / 5))
        sf.write(tmp_path / f"{n}.wav", x, 8000)
        figures.append(
            f'<figure class="minigen-audio"><figcaption><strong>Clip {n}</strong></figcaption>'
            f'<img data-axis="0.1 0.9" width="100" height="44" alt="waveform">'
            f'<audio controls preload="none" data-seconds="{SECONDS[n]:.2f}" data-rms="{level}" '
            f'data-outline="{"z" * round(50 * SECONDS[n])}" '
            f'src="{n}.wav"></audio></figure>'
        )
    (tmp_path / "page.html").write_text(
        f"<!doctype html><meta charset=utf-8><section>{''.join(figures[:3])}</section><section>{figures[3]}</section>"
        f'<script src="{SCRIPT.as_uri()}"></script>',
        encoding="utf-8",
    )
    page = browser.new_page()
    page.set_default_timeout(30_000)
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    page.evaluate("document.querySelectorAll('audio').forEach(a => { a.muted = true; })")
    yield page
    page.close()


def test_keys_switch_at_the_same_instant_and_one_sounds(page):
    assert page.locator(".minigen-compare").count() == 1, "one clip alone has nothing to compare"
    buttons = page.locator(".minigen-compare button")
    assert buttons.all_inner_texts() == [
        f"{n + 1} · Clip {n} ({SECONDS[n]}.00 s)" for n in range(3)
    ]
    buttons.nth(0).click()
    page.wait_for_function("document.querySelectorAll('audio')[0].currentTime > 0.2")
    page.keyboard.press("2")
    page.wait_for_function("!document.querySelectorAll('audio')[1].paused")
    at = page.evaluate("[...document.querySelectorAll('audio')].map(a => a.currentTime)")
    assert page.evaluate(SOUNDING) == [False, True, False, False]
    assert at[1] >= at[0] - 0.05 > 0.1, "the second went on where the first was left"
    assert buttons.nth(1).get_attribute("aria-pressed") == "true"
    page.evaluate("document.querySelectorAll('audio')[3].play()")
    page.wait_for_function("document.querySelectorAll('audio')[1].paused")
    assert page.evaluate(SOUNDING) == [False, False, False, True]
    assert page.errors == []


def test_levels_match_and_lengths_are_told(page):
    volumes = page.evaluate("[...document.querySelectorAll('audio')].map(a => a.volume)")
    assert volumes == pytest.approx([1, 0.5, 1, 1])
    assert page.locator(".minigen-length").all_inner_texts() == [f"{s}.00 s" for s in SECONDS]


def test_the_playhead_stands_where_the_sound_is(page):
    page.evaluate("document.querySelectorAll('audio')[2].load()")
    page.wait_for_function("document.querySelectorAll('audio')[2].readyState > 0")
    page.evaluate("document.querySelectorAll('audio')[2].currentTime = 0.5")
    page.wait_for_function("!document.querySelectorAll('.minigen-picture > i')[2].hidden")
    left = page.evaluate("document.querySelectorAll('.minigen-picture > i')[2].style.left")
    assert float(left.removesuffix("%")) == pytest.approx(50, abs=1)


def test_clips_stand_on_one_time_axis(page):
    lanes = page.locator(".minigen-lane path")
    assert lanes.count() == 3
    ends = [
        max(float(pair.split(",")[0]) for pair in d[1:-1].split("L"))
        for d in lanes.evaluate_all("paths => paths.map(p => p.getAttribute('d'))")
    ]
    assert ends == pytest.approx([1000, 1000, 500], abs=1), (
        "a clip of half the length is half as wide"
    )
    assert (
        "one time axis, 0 to 2.00 s" in page.locator(".minigen-compare > span").first.inner_text()
    )
    page.locator(".minigen-compare button").first.click()
    page.wait_for_function("document.querySelectorAll('audio')[0].currentTime > 0.2")
    lines = page.locator(".minigen-lane > i")
    left = lines.evaluate_all("all => all.map(i => parseFloat(i.style.left))")
    now = page.evaluate("document.querySelectorAll('audio')[0].currentTime")
    assert left[0] == left[1] == left[2] and 10 < left[0] <= 50 * now + 1, (
        "one playhead through all lanes"
    )
    box = page.locator(".minigen-lane").nth(1).bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.6, box["y"] + 10)
    page.wait_for_function("!document.querySelectorAll('audio')[1].paused")
    assert page.evaluate("document.querySelectorAll('audio')[1].currentTime") == pytest.approx(
        1.2, abs=0.3
    )
    assert page.errors == []


def test_a_row_of_words_is_not_compared_with_one(browser, tmp_path):
    lengths = {"one": 0.6, "all": 4.6, "two": 0.6, "both": 4.0}
    for name, seconds in lengths.items():
        sf.write(tmp_path / f"{name}.wav", np.zeros(round(8000 * seconds)), 8000)
    figures = "".join(
        f'<figure class="minigen-audio"><figcaption><strong>{name}</strong></figcaption>'
        f'<audio controls data-seconds="{seconds:.2f}" data-rms="0.1" src="{name}.wav"></audio></figure>'
        for name, seconds in lengths.items()
    )
    (tmp_path / "page.html").write_text(
        f'<!doctype html><meta charset=utf-8><section>{figures}</section><script src="{SCRIPT.as_uri()}"></script>'
    )
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    bars = page.locator(".minigen-compare").all()
    assert [bar.locator("button").all_inner_texts() for bar in bars] == [
        ["1 · one (0.60 s)", "2 · two (0.60 s)"],
        ["1 · all (4.60 s)", "2 · both (4.00 s)"],
    ]
    page.close()


INDEX = """<!doctype html><meta charset=utf-8><nav class="bd-sidebar-primary">
<a href="01_sound.html">1. Sound</a><a href="02_gaussian.html">2. The Gaussian</a></nav>
<article class="bd-article"><h1>A book</h1><p style="height:3000px">text</p><p>end</p></article>
<div class="prev-next-area">next</div><script src="{}"></script>"""


def test_chapters_that_were_read_are_remembered_here_only(browser, tmp_path):
    folder = tmp_path / "book"
    folder.mkdir()
    for name in ("index", "01_sound", "02_gaussian"):
        (folder / f"{name}.html").write_text(INDEX.format(SCRIPT.as_uri()), encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    asked = []
    page.on("request", lambda r: asked.append(r.url))
    try:
        page.goto((folder / "index.html").as_uri())
        assert page.locator(".minigen-reading").count() == 0, "nothing was read yet"
        page.goto((folder / "01_sound.html").as_uri())
        assert page.locator(".minigen-done").count() == 0
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.wait_for_function("localStorage.getItem('minigen-read') !== null")
        page.goto((folder / "index.html").as_uri())
        assert page.locator(".minigen-done").count() == 1
        line = page.locator(".minigen-reading")
        assert "You have read 1 of 2 chapters." in line.inner_text()
        assert line.locator("a").get_attribute("href").endswith("/02_gaussian.html")
        line.locator("button").press("Enter")
        assert page.evaluate("localStorage.getItem('minigen-read')") is None
        assert page.locator(".minigen-done").count() == line.count() == 0
        assert all(url.startswith(tmp_path.as_uri()) or url == SCRIPT.as_uri() for url in asked)
    finally:
        context.close()
