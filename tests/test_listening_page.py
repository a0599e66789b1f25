"""The blind test in a real browser: scripted listeners play it through, and their score is right."""

import json
import re
from os.path import normpath

import pytest
from listening_clips import PAIRS
from test_browser import DESK, OVERFLOW, PHONE, ROOT, _axe, _serve, pytestmark

from minigen.metrics import wilson_interval

__all__ = ["pytestmark"]  # the marks are used by pytest
STATIC = ROOT / "book" / "_static"

# Clips at sixteen times their speed. `Audio` is not in the document, so the prototype is changed.
FAST = """() => {
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    this.muted = true; this.playbackRate = 16; return play.call(this);
  };
}"""


def key() -> dict[str, str]:
    """{file: what it is}: what a listener may not know."""
    text = (STATIC / "audio" / "ab" / "pairs.js").read_text(encoding="utf-8")
    trials = json.loads(text.removeprefix("window.MINIGEN_AB = ").removesuffix(";\n"))["trials"]
    return {f: k for t in trials for f, k in zip(t["files"], t["kinds"], strict=True)}


@pytest.fixture(scope="module")
def home():
    server, address = _serve(STATIC)
    yield address
    server.shutdown()
    server.server_close()


class Listener:
    """Opens the page, notes what it asks for and what goes wrong, and answers."""

    def __init__(self, browser, url: str, size: dict = DESK) -> None:
        self.context = browser.new_context(viewport=size, color_scheme="light")
        self.page = self.context.new_page()
        self.page.add_init_script(f"({FAST})()")
        self.asked, self.errors = [], []
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.goto(url)
        self.key = key()

    def play(self, side: str, by_key: bool = False) -> str:
        """Hear A or B to its end -> what it was, from the file that was asked for."""
        if by_key:
            self.page.keyboard.press(side)
        else:
            self.page.click(f"#play-{side}")
        self.page.wait_for_selector("button.playing", state="detached")
        name = self.page.evaluate("player.currentSrc.split('/').pop()")
        return self.key[name]

    def answer(self, decide, by_key: bool = False) -> tuple[tuple[str, str], str]:
        """Both heard and one chosen -> ((a, b), the chosen one). decide(a, b) -> "a" or "b"."""
        heard = {side: self.play(side, by_key) for side in "ab"}
        side = decide(heard["a"], heard["b"])
        if by_key:
            self.page.keyboard.press({"a": "ArrowLeft", "b": "ArrowRight"}[side])
        else:
            self.page.click(f"#choose-{side}")
        return (heard["a"], heard["b"]), heard[side]

    def rows(self) -> dict[str, list[str]]:
        rows = self.page.eval_on_selector_all(
            "#rows tr", "l => l.map(r => [...r.children].map(c => c.textContent))"
        )
        return {row[0]: row[1:3] for row in rows}


def expected(answers: list) -> dict[str, list[str]]:
    """The table that the page should show, by the library's interval."""
    table = {}
    for first, second in PAIRS:
        chosen = [c for heard, c in answers if set(heard) == {first, second}]
        if chosen:
            wins = chosen.count(first)
            low, high = wilson_interval(wins, len(chosen))
            table[f"{first} against {second}"] = [
                f"{wins} of {len(chosen)}",
                f"{100 * low:.0f} % to {100 * high:.0f} %",
            ]
    return table


def test_a_whole_game_by_mouse_and_by_keys(browser, home):
    """Thirty answers: recordings win over networks, and of the networks A always wins."""
    listener = Listener(browser, f"{home}/ab.html")
    page = listener.page

    def decide(a, b):
        return "b" if b == "recording" else "a"

    page.focus("#begin")
    page.keyboard.press("Enter")
    answers = [listener.answer(decide, by_key=k % 2 == 0) for k in range(30)]
    assert page.is_visible("#result") and page.is_hidden("#trial")
    assert page.inner_text("#summary") == "30 of 30 pairs answered."
    table = listener.rows()
    assert table == expected(answers)
    assert table["recording against teacher"] == ["10 of 10", "72 % to 100 %"]
    assert "You prefer the recording to the student" in page.inner_text("#words")
    heard = [pair for pair, _ in answers]
    for pair in PAIRS:  # each side comes first now and then
        assert {h for h in heard if set(h) == set(pair)} == {pair, pair[::-1]}
    assert heard != sorted(heard)
    words = [a["word"] for a in page.evaluate("answers")]
    assert all(words.count(word) == 3 for word in set(words)) and len(set(words)) == 10
    assert not listener.errors
    assert all(url.startswith(home) for url in listener.asked), listener.asked
    page.click("#again")
    assert page.inner_text("#trial-title") == "Pair 1 of 30"
    listener.context.close()


def test_the_interval_is_wilsons(browser, home):
    listener = Listener(browser, f"{home}/ab.html")
    for wins, trials in ((0, 7), (3, 10), (10, 10), (1, 1), (517, 1000)):
        assert listener.page.evaluate(f"wilson({wins}, {trials})") == pytest.approx(
            wilson_interval(wins, trials), abs=1e-9
        )
    listener.context.close()


def test_stopping_early_counts_what_was_answered(browser, home):
    listener = Listener(browser, f"{home}/ab.html?seed=7")
    listener.page.click("#begin")
    assert listener.page.is_hidden("#stop")  # nothing to score yet
    answers = [listener.answer(lambda a, b: "b") for _ in range(4)]
    listener.page.click("#stop")
    assert listener.rows() == expected(answers)
    assert listener.page.inner_text("#summary") == "4 of 30 pairs answered."
    assert "do not show that you hear a difference" in listener.page.inner_text("#words")
    listener.context.close()


def test_no_answer_before_both_were_heard_and_keys_can_be_switched_off(browser, home):
    listener = Listener(browser, f"{home}/ab.html")
    page = listener.page
    page.uncheck("#keys")
    page.click("#begin")
    assert page.evaluate("document.activeElement.id") == "trial-title"
    page.keyboard.press("a")
    assert page.evaluate("player.src") == ""
    listener.play("a")
    page.click("#choose-a", force=True)  # it says that it is disabled
    assert page.inner_text("#trial-title") == "Pair 1 of 30"
    assert "Play A and B" in page.inner_text("#status")
    assert page.get_attribute("#choose-a", "aria-disabled") == "true"
    page.evaluate("play('b'); choose('a')")  # too early once more, while B sounds
    assert "Play A and B" in page.inner_text("#status")
    page.wait_for_selector("button.playing", state="detached")
    assert page.get_attribute("#choose-a", "aria-disabled") is None
    assert page.inner_text("#status") == ""  # what it asked for is done
    page.click("#choose-a")
    assert page.inner_text("#trial-title") == "Pair 2 of 30"
    listener.context.close()


def test_nothing_visible_tells_what_is_what(browser, home):
    listener = Listener(browser, f"{home}/ab.html")
    listener.page.click("#begin")
    for _ in range(3):
        listener.answer(lambda a, b: "a")
        seen = listener.page.inner_text("#trial") + listener.page.inner_html("#trial")
        assert not re.search("recording|teacher|student|wav", seen)
    listener.context.close()


def test_the_order_is_drawn_and_a_seed_fixes_it(browser, home):
    orders = []
    for query in ("", "", "?seed=7", "?seed=7"):
        listener = Listener(browser, f"{home}/ab.html{query}")
        listener.page.click("#begin")
        orders.append(listener.page.evaluate("JSON.stringify(order)"))
        listener.context.close()
    assert orders[0] != orders[1] and orders[2] == orders[3]


def test_accessible_in_light_and_dark_and_on_a_phone(browser, home):
    listener = Listener(browser, f"{home}/ab.html?seed=1", PHONE)
    page = listener.page
    complaints = []
    for screen in ("start", "trial", "result"):
        if screen == "trial":
            page.click("#begin")
        if screen == "result":
            listener.answer(lambda a, b: "a")
            page.click("#stop")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            complaints += [f"{screen}, {scheme}: {found}" for found in _axe(page)]
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
        complaints += page.evaluate(OVERFLOW)
        small = page.evaluate(
            "() => [...document.querySelectorAll('button')].filter(b => b.offsetParent)"
            ".map(b => b.getBoundingClientRect().height).filter(h => h < 44)"
        )
        assert not small, f"{screen}: buttons too low for a thumb"
    assert not complaints, "\n".join(complaints)
    listener.context.close()


def test_it_works_from_a_disk(browser):
    listener = Listener(browser, (STATIC / "ab.html").as_uri())
    listener.page.click("#begin")
    answers = [listener.answer(lambda a, b: "b") for _ in range(2)]
    listener.page.click("#stop")
    assert listener.rows() == expected(answers)
    assert not listener.errors
    back = listener.page.get_attribute("#back a", "href")
    assert (ROOT / normpath(f"_static/{back}")).with_suffix(".ipynb").exists()  # the site's _static
    assert listener.page.is_visible("#back")
    listener.context.close()


def test_in_a_chapter_it_follows_the_switch(browser, home, tmp_path):
    """Framed by a page of the same host, as in chapter 15."""
    listener = Listener(browser, f"{home}/ab.html")
    page = listener.page
    page.evaluate(
        """() => { document.documentElement.dataset.theme = 'dark';
        document.body.innerHTML = '<iframe src="ab.html" title="test"></iframe>'; }"""
    )
    frame = page.wait_for_selector("iframe").content_frame()
    frame.wait_for_selector("#begin")
    assert frame.is_hidden("#back")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert frame.evaluate(ground) == "rgb(20, 24, 30)"
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    frame.wait_for_function(f"{ground} === 'rgb(255, 255, 255)'")
    listener.context.close()
