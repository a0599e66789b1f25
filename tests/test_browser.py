"""The built book in a real browser: every page, in light, in dark and at the width of a phone.

One headless Chromium opens each page once and writes down what it saw (`look_at`, every wait of
which ends); each test asks
one question of those notes. The same function looks at a page with one planted fault of each kind,
so a check that could not fail would be found out. Needs /usr/bin/chromium (Debian's package) or
$CHROMIUM; without it, every test here is skipped and says so.

The book is taken from $MINIGEN_SITE, or from `_build/html` if that is newer than its sources, or is
built into a temporary folder.
"""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import address
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
WIDTHS = (390, 1024, 1440)  # what is too wide between two of them is so at the smaller

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),  # one browser, not one for each worker
    pytest.mark.skipif(
        not Path(CHROMIUM).exists(),
        reason="no Chromium here: the browser test was NOT run (apt install chromium)",
    ),
]


def pages_of_book() -> list[str]:
    """Addresses below the site's root of every page in _toc.yml, the index first, then search."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    found = [toc["root"]]

    def walk(node: object) -> None:
        if isinstance(node, dict):
            if "file" in node:
                found.append(node["file"])
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(toc)
    return [f"{name.removesuffix('.ipynb').removesuffix('.md')}.html" for name in found]


def _newest(paths: list[Path]) -> float:
    return max((p.stat().st_mtime for p in paths), default=0.0)


def _sources() -> list[Path]:
    sources = [ROOT / "_config.yml", ROOT / "_toc.yml"]
    for folder, pattern in (("book", "**/*"), ("exercises", "*.ipynb")):
        sources += [
            p for p in (ROOT / folder).glob(pattern) if p.is_file() and "source" not in p.parts
        ]
    return [p for p in sources if "__pycache__" not in p.parts]


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The folder of the built book."""
    if "MINIGEN_SITE" in os.environ:
        return Path(os.environ["MINIGEN_SITE"]).resolve()
    html = ROOT / "_build" / "html"
    built = [html / page for page in pages_of_book()]
    stamp = html / ".buildinfo"  # Sphinx writes it at each build that changes anything
    whole = stamp.is_file() and all(page.is_file() for page in built)
    if whole and _newest([stamp, *built]) >= _newest(_sources()):
        return html
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command += ["build", str(ROOT), "-W", "-n"]
    command += ["--keep-going", "--path-output", str(out)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, (
        f"the book does not build:\n{run.stdout[-2000:]}\n{run.stderr[-4000:]}"
    )
    return out / "_build" / "html"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, with byte ranges for <audio>, and says nothing."""

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


def _serve(folder: Path) -> tuple[http.server.ThreadingHTTPServer, str]:
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}"


# What the page is asked, in the page. Each answer is a list of complaints: empty is good.
EQUATIONS = """() => {
  const bad = [], all = [...document.querySelectorAll('.math')];
  for (const m of all) {
    if (!m.querySelector('mjx-container')) bad.push('not rendered: ' + m.textContent.slice(0, 60));
    const e = m.querySelector('mjx-merror, [data-mjx-error]');
    if (e) bad.push('error: ' + (e.getAttribute('data-mjx-error') || e.textContent).slice(0, 80));
    const words = [...m.querySelectorAll('mtext')].map((t) => t.textContent).join(' ');
    if (words.includes('\\\\')) bad.push('raw TeX in words: ' + words.slice(0, 60));
  }
  return {count: all.length, bad};
}"""

IMAGES = """async () => {
  const bad = [], all = [...document.querySelectorAll(
    'main img, .bd-article svg:not([aria-hidden=true], [aria-hidden=true] *)')];
  for (const i of all) {
    const name = (i.currentSrc || i.src || 'svg').slice(-60);
    const alt = i.getAttribute('alt') || i.getAttribute('aria-label')
      || (document.getElementById(i.getAttribute('aria-labelledby')) || {}).textContent
      || (i.querySelector && i.querySelector('title') || {}).textContent || '';
    if (alt.trim().length < 8) bad.push('no alt text: ' + name + ' "' + alt + '"');
    if (i.tagName === 'IMG') {
      i.loading = 'eager';
      await i.decode().catch(() => bad.push('does not load: ' + name));
    }
  }
  return {count: all.length, bad};
}"""

AUDIO = """async () => {
  const bad = [], all = [...document.querySelectorAll('audio')];
  const play = (a) => new Promise((done) => {
    const timer = setTimeout(() => done('did not end in 20 s'), 20000);
    const finish = (what) => { clearTimeout(timer); done(what); };
    a.muted = true; a.playbackRate = 16; a.currentTime = 0;
    a.addEventListener('ended', () => finish(''), {once: true});
    a.addEventListener('error', () => finish('error ' + (a.error || {}).message), {once: true});
    if (a.error) finish('error ' + a.error.message);
    a.play().catch((e) => finish(String(e)));
  });
  for (const [n, a] of all.entries()) {
    const label = a.getAttribute('aria-label') || (a.getAttribute('aria-labelledby') || '')
      .split(/\\s+/).map((id) => (document.getElementById(id) || {}).textContent || '').join(' ');
    const name = 'clip ' + n + ' "' + label.trim().slice(0, 40) + '": ';
    if (label.trim().length < 8) bad.push(name + 'no label');
    if (!a.controls) bad.push(name + 'no controls');
    const trouble = n ? '' : await play(a); // the first; tests/test_site.py reads all files
    if (trouble) bad.push(name + trouble);
  }
  return {count: all.length, bad};
}"""

OVERFLOW = """() => {
  const wide = document.documentElement.scrollWidth, room = document.documentElement.clientWidth;
  const formula = [...document.querySelectorAll('p > .math, p > .minigen-whole > .math, li > .math')]
    .find((e) => e.firstElementChild?.getBoundingClientRect().width > e.clientWidth + 5 && e.clientWidth);
  if (formula) return ['a formula is cut off at ' + innerWidth + ' px: ' + formula.textContent];
  if (wide <= room) return [];
  const guilty = [...document.querySelectorAll('main *')]
    .filter((e) => e.getBoundingClientRect().right > room + 1).slice(0, 5)
    .map((e) => e.tagName.toLowerCase() + '.' + e.className);
  return ['page is ' + wide + ' px wide in ' + room + ': ' + guilty.join(', ')];
}"""

UNREACHED = """() => [...document.querySelectorAll('pre[tabindex="-1"]')]
  .some((e) => e.scrollWidth > e.clientWidth + 1)"""

# Lines that break although there is room for them: 84 characters, or more in smaller type (lean.py).
BROKEN = """() => {
  const lines = (e) => {
    const s = getComputedStyle(e), high = parseFloat(s.lineHeight) || 1.2 * parseFloat(s.fontSize);
    return (e.clientHeight - parseFloat(s.paddingTop) - parseFloat(s.paddingBottom)) / high;
  };
  return [...document.querySelectorAll('main pre')].filter((e) => {
    const rows = e.textContent.trimEnd().split('\\n');
    const fits = e.style.getPropertyValue('--fit') || Math.max(...rows.map((row) => row.length)) <= 84;
    return e.clientWidth && fits && lines(e) > rows.length + 0.7;
  }).map((e) => 'a line breaks at ' + innerWidth + ' px: ' + e.textContent.trim().slice(0, 60));
}"""

WIDE = """() => {
  const hidden = [...document.querySelectorAll('main mjx-container[display="true"], main pre')]
    .filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth)
    .map((e) => e.scrollWidth - e.clientWidth + ' px hidden: ' + e.textContent.trim().slice(0, 60));
  return hidden;
}"""

DARK = """() => {
  const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number); return r + g + b; };
  const body = getComputedStyle(document.body), bad = [];
  if (document.documentElement.dataset.theme !== 'dark') bad.push('the theme stays light');
  if (light(body.backgroundColor) > 200) bad.push('background ' + body.backgroundColor);
  if (light(body.color) < 450) bad.push('text ' + body.color);
  return bad;
}"""


def ask(page, script: str, seconds: float = 30):
    """What a script answers in the page; an error if it does not in good time."""
    late = f"new Promise((_, no) => setTimeout(() => no(new Error('no answer')), {1000 * seconds}))"
    return page.evaluate(f"() => Promise.race([({script})(), {late}])")


def _axe(page) -> list[str]:
    """Serious and critical findings of axe-core, each with the first element it concerns."""
    from axe_playwright_python.sync_playwright import Axe

    # preload: false, or axe itself asks for style sheets at addresses that do not exist
    options = {"resultTypes": ["violations"], "preload": False}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{v['id']} ({v['impact']}, {len(v['nodes'])}×): {v['help']}: {v['nodes'][0]['html'][:160]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


def look_at(
    context, url: str, home: str, axe: tuple[str, ...] = ("light", "dark", "phone")
) -> dict[str, list[str]]:
    """Open `url` and write down what is wrong with it, by kind. `home` is what the page may ask.

    `axe`: the modes in which axe-core looks at it, a second or two each.

    Kinds: load, console, external, equations, images, audio, axe_light, axe_dark, axe_phone, dark, sideways, wide,
    broken. And under `count_…`, what there was to look at.
    """
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme="light")
    notes: dict[str, list] = {"load": [], "console": [], "external": [], "axe_phone": []}

    def request(r) -> None:
        if not r.url.startswith((home, "data:", "blob:", "about:")):
            notes["external"].append(r.url[:200])

    page.on("request", request)
    page.on(
        "console",
        lambda m: notes["console"].append(m.text[:300]) if m.type == "error" else None,
    )
    page.on("pageerror", lambda e: notes["console"].append(str(e)[:300]))
    page.on(
        "response",
        lambda r: notes["load"].append(f"{r.status} {r.url}") if r.status >= 400 else None,
    )
    try:
        answer = page.goto(url, wait_until="load", timeout=60_000)
        if answer is not None and answer.status >= 400:
            notes["load"].append(f"{answer.status} {url}")
        ask(page, "async () => { await window.MathJax?.startup?.promise; }")
        for kind, script in (("equations", EQUATIONS), ("images", IMAGES), ("audio", AUDIO)):
            seen = ask(page, script)
            notes[kind], notes[f"count_{kind}"] = seen["bad"], seen["count"]
        notes["axe_light"] = _axe(page) if "light" in axe else []
        page.emulate_media(color_scheme="dark")
        for _ in range(50):  # the theme fades, on a busy machine slowly
            if not page.evaluate(DARK):
                break
            page.wait_for_timeout(100)
        notes["dark"] = page.evaluate(DARK)
        if "dark" in axe:
            page.wait_for_timeout(300)
        notes["axe_dark"] = _axe(page) if "dark" in axe else []
        notes["sideways"], notes["broken"] = [], []
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 844})
            page.wait_for_timeout(100)
            notes["sideways"] += page.evaluate(OVERFLOW)
            notes["broken"] += page.evaluate(BROKEN) if width >= 1000 else []
            if width == PHONE["width"] and "phone" in axe:
                for _ in range(50):  # the theme sees a little later what scrolls now
                    if not page.evaluate(UNREACHED):
                        break
                    page.wait_for_timeout(100)
                notes["axe_phone"] = _axe(page)
        notes["wide"] = page.evaluate(WIDE)
    finally:
        page.close()
    return notes


# One page of each kind, for axe takes longer than all the rest; pages of a kind differ in text only.
EXERCISES = ("exercises/02_gaussian.html", "exercises/14_parallel_wavenet.html")
AXE = {
    "book/index.html": ("light",),
    "book/01_sound.html": ("phone",),
    "book/08_fast_generation.html": ("dark",),
    "book/glossary.html": ("dark",),
    "exercises/02_gaussian.html": ("light",),
}


@pytest.fixture(scope="module")
def notes(browser, site) -> dict[str, dict[str, list[str]]]:
    """What was seen on every page of the book but some exercises, plus the search page."""
    server, home = _serve(site)
    pages = [p for p in pages_of_book() if not p.startswith("exercises/") or p in EXERCISES]
    context = browser.new_context()  # one, so that what all pages need is fetched once
    try:
        return {
            p: look_at(context, f"{home}/{p}", home, axe=AXE.get(p, ()))
            for p in [*pages, "search.html"]
        }
    finally:
        context.close()
        server.shutdown()
        server.server_close()


KINDS = {
    "load": "every page and everything it needs is there",
    "console": "no error in the console",
    "external": "no request to another host",
    "equations": "equations are rendered, without error",
    "images": "every image loads and has alt text",
    "audio": "every clip has a label and controls, and the first plays to its end",
    "axe_light": "axe-core: nothing serious or critical, in light",
    "axe_dark": "axe-core: nothing serious or critical, in dark",
    "dark": "dark mode is dark",
    "axe_phone": "axe-core: nothing serious or critical, at 390 px",
    "sideways": "no sideways scrolling from 390 to 1440 px",
    "wide": "no formula, no code and nothing printed scrolls at 1440 px",
    "broken": "no line of code or of a printed table breaks from 1000 px on",
}


@pytest.mark.parametrize("kind", KINDS, ids=KINDS.get)
def test_every_page(kind, notes):
    wrong = {page: seen[kind] for page, seen in notes.items() if seen[kind]}
    assert not wrong, "\n".join(f"{p}: {w}" for p, all_ in wrong.items() for w in all_)


def test_there_was_something_to_look_at(notes):
    assert notes["book/index.html"]["count_audio"] >= 1
    assert notes["book/notation.html"]["count_equations"] >= 50
    for page, seen in notes.items():
        if Path(page).name[:2].isdigit() and page.startswith("book/"):
            assert seen["count_equations"] >= 5, f"{page}: a chapter without equations?"
            assert seen["count_images"] >= 1, f"{page}: a chapter without a figure?"
            assert seen["count_audio"] >= 1, f"{page}: a chapter without a sound?"


PLANTED = """<!doctype html><html><head><title>planted</title>
<link rel="stylesheet" href="https://fonts.example.org/font.css"></head><body>
<main class="bd-article"><p style="width: 900px">wide</p><p style="color: #ccc">pale</p>
<img src="missing.png"><audio src="broken.wav"></audio>
<div class="cell_output"><pre style="width: 50px; overflow: auto">a long line that was printed</pre></div>
<pre style="width: 90px; white-space: pre-wrap">a line that breaks in two</pre>
<span class="math">\\(x^2\\)</span></main>
<script>console.error("planted"); throw new Error("planted")</script></body></html>"""


def test_planted_faults_are_seen(browser, tmp_path):
    (tmp_path / "planted.html").write_text(PLANTED, encoding="utf-8")
    (tmp_path / "broken.wav").write_bytes(b"RIFF....not a sound")
    server, home = _serve(tmp_path)
    try:
        seen = look_at(browser, f"{home}/planted.html", home)
    finally:
        server.shutdown()
        server.server_close()
    blind = [kind for kind in KINDS if not seen[kind]]
    assert not blind, f"these checks saw nothing on a page that has every fault: {blind}"
    assert any("fonts.example.org" in url for url in seen["external"])
    assert any("planted" in text for text in seen["console"])


def test_book_opens_from_disk(browser, site):
    """No server: a reader double-clicks the file. Formulas and sound still work."""
    home = site.as_uri()
    seen = look_at(browser, f"{home}/book/index.html", home)
    asked = {k: seen[k] for k in ("external", "equations", "images", "audio") if seen[k]}
    assert not asked


SOUGHT = {
    "Cholesky": None,
    "install": "book/how_to_use.html",
    "normalising flow": "book/12_flows.html",
    "reparametrization trick": "book/10_vae.html",
    "dilation": "book/07_wavenet.html",
    "import": None,
    "log_prob": None,
}


def test_search_leads_where_a_reader_would_look(browser, site):
    """The page comes first, and what is shown of it is prose about the words, no plumbing and no TeX."""
    server, home = _serve(site)
    page = browser.new_page()
    page.set_default_timeout(60_000)
    try:
        for words, wanted in SOUGHT.items():
            page.goto(f"{home}/search.html?q={words}")
            page.wait_for_function(
                "document.querySelector('.search-summary')?.innerText && [...document.querySelectorAll("
                "'#search-results li')].every(li => li.querySelector('p.context') || li.querySelector('span'))"
            )
            found = page.locator("#search-results li")
            links = found.locator("> a").evaluate_all("all => all.map(a => a.href)")
            pages = [urlsplit(link).path.lstrip("/") for link in links]
            assert wanted in (None, pages[0]), (words, pages)
            shown = found.locator("p.context").all_inner_texts()
            assert shown and min(map(len, shown)) > 10, (words, shown)
            wrong = (
                "Set-up (run me",
                "minigen-book",
                "Show code cell",
                "\\(",
                "\\mathbf",
                ".ipynb",
            )
            assert not [text for text in shown if any(w in text for w in wrong)], (words, shown)
            if words != "reparametrization trick":  # the chapter says it in other words
                stem = words.split()[-1].lower()[:5]
                assert any(stem in text.lower() for text in shown[:2]), (words, shown[:2])
    finally:
        page.close()
        server.shutdown()
        server.server_close()


@pytest.mark.skipif(address.address() is None, reason="no address is known, so there is no button")
def test_colab_button_opens_the_notebook(browser, site):
    """The button is a link and leads to the notebook of this page, not to its text source."""
    chapters = [p for p in pages_of_book() if Path(p).name[:2].isdigit()]
    if not chapters:
        pytest.skip("no chapter in _toc.yml yet")
    page = browser.new_page()
    try:
        for chapter in chapters:
            page.goto((site / chapter).as_uri(), wait_until="domcontentloaded")
            links = page.eval_on_selector_all(
                "a[href^='https://colab.research.google.com/']", "l => l.map(a => a.href)"
            )
            notebook = chapter.replace(".html", ".ipynb")
            assert any(link.endswith(f"/blob/main/{notebook}") for link in links), (chapter, links)
    finally:
        page.close()
