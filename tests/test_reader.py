"""book/_static/reader.js in a browser: clips compared at one instant, lengths told, chapters remembered."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf
from test_browser import ROOT, pytestmark

__all__ = ["pytestmark"]  # the marks are used by pytest
SCRIPT = ROOT / "book" / "_static" / "reader.js"
SOUNDING = "[...document.querySelectorAll('audio')].map(a => !a.paused)"


@pytest.fixture
def page(browser, tmp_path):
    """Three clips of one section, the second twice as loud, and one clip of another section."""
    figures = []
    for n, level in enumerate((0.1, 0.2, 0.1, 0.1)):
        x = level * np.sign(np.sin(np.arange(16_000) / 5))
        sf.write(tmp_path / f"{n}.wav", x, 8000)
        figures.append(
            f'<figure class="minigen-audio"><figcaption><strong>Clip {n}</strong></figcaption>'
            f'<img data-axis="0.1 0.9" width="100" height="44" alt="waveform">'
            f'<audio controls preload="none" data-seconds="2.00" data-rms="{level}" '
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
    assert buttons.all_inner_texts() == [f"{n + 1} · Clip {n} (2.00 s)" for n in range(3)]
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
    assert page.locator(".minigen-length").all_inner_texts() == ["2.00 s"] * 4


def test_the_playhead_stands_where_the_sound_is(page):
    page.evaluate("document.querySelectorAll('audio')[2].load()")
    page.wait_for_function("document.querySelectorAll('audio')[2].readyState > 0")
    page.evaluate("document.querySelectorAll('audio')[2].currentTime = 1")
    page.wait_for_function("!document.querySelectorAll('.minigen-picture > i')[2].hidden")
    left = page.evaluate("document.querySelectorAll('.minigen-picture > i')[2].style.left")
    assert float(left.removesuffix("%")) == pytest.approx(50, abs=1)
