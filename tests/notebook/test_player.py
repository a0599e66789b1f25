"""minigen.notebook.player: every sound of a page has a player, a label and a picture."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile as sf

from minigen.notebook import listen


def noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, length)


def tone(hz: float, rate: int, seconds: float = 1.0, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


class Page(HTMLParser):
    """The tags of a piece of HTML with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: dict[str, dict[str, str | None]] = {}
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = dict(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_listen_makes_an_accessible_player():
    x = tone(440, 8000, 0.3)
    label, said = 'a "tone" <of> 440 Hz & more', "“la” <la>"
    page = Page(listen(x, 8000, label, said)._repr_html_())
    assert next(iter(page.tags)) == "figure" and "figcaption" in page.tags
    player = page.tags["audio"]
    assert "controls" in player and player["aria-label"] == label  # escaped and read back
    assert "autoplay" not in player
    assert label in page.text and f"Transcript: “{said}”" in page.text
    assert label in page.tags["img"]["alt"]
    assert page.tags["img"]["src"].startswith("data:image/png;base64,iVBOR")
    kind, content = player["src"].split(",")
    assert kind == "data:audio/wav;base64"
    stream = io.BytesIO(base64.b64decode(content))
    assert sf.info(stream).subtype == "PCM_16"
    stream.seek(0)
    y, rate = sf.read(stream)
    assert rate == 8000 and np.abs(y - x).max() < 2 / 32768


def test_listen_without_words_has_no_transcript():
    assert "Transcript" not in listen(noise(900), 8000, "noise")._repr_html_()


def test_listen_says_its_level_in_a_terminal():
    shown = repr(listen(np.array([0.5, -0.5] * 400), 8000, "a buzz", "bzz"))
    assert shown == 'a buzz: "bzz" 0.10 s at 8000 Hz, RMS 0.5000, peak 0.500'


@pytest.mark.parametrize("length", [1, 2, 3, 100])
def test_listen_draws_the_shortest_clips_and_silence(length):
    assert "<audio" in listen(np.zeros(length), 8000, "hush")._repr_html_()


def test_listen_holds_a_clip_of_twelve_seconds_and_no_longer():
    assert len(listen(np.zeros(36_000), 3000, "hush").wav()) == 44 + 2 * 36_000
    with pytest.raises(ValueError, match="12.1 s .* 12 s .*cut it, or write a file"):
        listen(np.zeros(36_300), 3000, "hush")


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: listen(noise(9), 8000, "  "), ValueError, "needs a label"),
        (lambda: listen(noise(9), 8000, "a", None), TypeError, "strings"),
        (lambda: listen(noise(9), 2000, "a"), ValueError, "below 3000 Hz.*audio.resample"),
        (lambda: listen(noise(9) * 2, 8000, "a"), ValueError, "peak 1.* would clip"),
        (lambda: listen(np.array([np.inf]), 8000, "a"), ValueError, "infinite"),
        (lambda: listen(np.zeros(9, int), 8000, "a"), TypeError, "x / 32768"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_peak_is_a_size_on_either_side():
    x = 0.9 * noise(800)
    x[5] = 2 * np.abs(x).max()
    x /= np.abs(x).max() / 0.8
    up, down = (repr(listen(side * x, 8000, "a")) for side in (1, -1))
    assert up == down and "peak 0.800" in up


@pytest.mark.parametrize("rate", [8000, 22_050])
def test_a_clip_plays_at_its_own_rate(rate):
    x = np.sin(np.arange(500) / 9) / 2
    back, found = sf.read(io.BytesIO(listen(x, rate, "a tone").wav()))
    assert found == rate and np.abs(back - x).max() < 1e-4
