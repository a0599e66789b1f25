"""The book's shell and the pages around it: what is listed exists, what is cited is in the list."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import front_clip
import pytest
import soundfile as sf
import yaml
from pybtex.database import parse_file

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
SITE = ROOT / "_build" / "html"
CHAPTERS = {p.stem[:2]: p for p in sorted(BOOK.glob("[0-9][0-9]_*.ipynb"))}
PROSE = sorted(
    [*BOOK.glob("*.md"), *BOOK.glob("source/*.md"), *ROOT.glob("exercises/source/*.md")]
    + [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "LICENSE-TEXT.md"]
)
CITATION = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")


def read(path: Path) -> str:
    """A file's text."""
    return path.read_text(encoding="utf-8")


def config() -> dict:
    """The book's settings."""
    return yaml.safe_load(read(ROOT / "_config.yml"))


def toc_entries(node: object, under: str | None = None) -> list[tuple[str, str | None]]:
    """Each file in the table of contents with the page it is a section of."""
    found = []
    if isinstance(node, list):
        for item in node:
            found += toc_entries(item, under)
    elif isinstance(node, dict):
        if "file" in node:
            found.append((node["file"], under))
        found += toc_entries(node.get("sections", []), node.get("file"))
        found += toc_entries(node.get("chapters", []) + node.get("parts", []))
    return found


def toc() -> dict[str, str | None]:
    """The table of contents, flat."""
    return dict(toc_entries(yaml.safe_load(read(ROOT / "_toc.yml"))))


# ---------------------------------------------------------------- menu and maps


def test_menu_lists_pages_that_exist():
    missing = [n for n in toc() if not any((ROOT / f"{n}{e}").exists() for e in (".md", ".ipynb"))]
    assert not missing


def test_every_chapter_is_in_the_menu_with_its_exercises():
    listed = toc()
    for number, page in CHAPTERS.items():
        name = f"book/{page.stem}"
        assert name in listed, f"{name} is not in _toc.yml"
        exercises = f"exercises/{page.stem}"
        if (ROOT / f"{exercises}.ipynb").exists():
            assert listed.get(exercises) == name, f"{exercises} is not a section of {name}"
        title = re.search(r"^# (.+)$", read(BOOK / "source" / f"{page.stem}.md"), re.MULTILINE)[1]
        assert re.match(rf"{int(number)}\b", title), f"{name}: the title {title!r} has no number"


def rows_of_map(text: str, row: str) -> dict[str, str]:
    """The rows of a map of the chapters, by two-digit number."""
    return {f"{int(m[1]):02d}": m[0] for m in re.finditer(row, text, re.MULTILINE)}


@pytest.mark.parametrize(
    ("page", "row"),
    [("book/index.md", r"^\* - \[?(\d+) · .+$"), ("README.md", r"^\| (\d+) \| .+$")],
)
def test_maps_show_all_chapters_and_link_those_that_exist(page, row):
    rows = rows_of_map(read(ROOT / page), row)
    assert sorted(rows) == [f"{n:02d}" for n in range(1, 16)]
    for number, line in rows.items():
        if number in CHAPTERS:
            stem = CHAPTERS[number].stem
            assert f"{stem}.ipynb" in line, f"{page}: chapter {number} is not a link"
            assert "planned" not in line, f"{page}: chapter {number} exists"
            if page == "README.md":
                exercises = ROOT / "exercises" / f"{stem}.ipynb"
                assert (f"(exercises/{stem}.ipynb)" in line) == exercises.exists()
        else:
            assert "planned" in line, f"{page}: chapter {number} has no page, so it is planned"
            assert ".ipynb" not in line, f"{page}: chapter {number} links to nothing"


def test_index_is_heard_before_it_is_read():
    text = read(BOOK / "index.md")
    clip = re.search(r'<audio [^>]*src="\.\./_static/([^"]+)"', text)
    assert clip, "the index page plays no clip"
    assert (BOOK / "_static" / clip[1]).stat().st_size > 1_000
    assert text.index("<audio") < text.index("\n## "), "theory comes before the clip"
    assert text.index("<audio") < text.index("$"), "a formula comes before the clip"
    assert "Transcript" in text and "aria-labelledby" in clip[0]


def test_front_clip_has_its_picture_and_video(tmp_path):
    """The files beside the clip are there, and the tool that makes them works."""
    text = read(BOOK / "index.md")
    wav = BOOK / "_static" / re.search(r'<audio [^>]*src="\.\./_static/([^"]+)"', text)[1]
    for suffix in (".png", ".mp4"):
        assert wav.with_suffix(suffix).is_file(), f"run: python tools/front_clip.py {wav}"
        shown = wav.with_suffix(suffix).name in text + read(ROOT / "README.md")
        assert shown, f"{wav.stem}{suffix} is shown nowhere"
    assert front_clip.picture(wav)[:8] == b"\x89PNG\r\n\x1a\n"
    if shutil.which("ffmpeg") and shutil.which("ffprobe"):
        front_clip.video(wav, tmp_path / "clip.mp4")
        ask = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"]
        said = subprocess.run([*ask, str(tmp_path / "clip.mp4")], check=True, capture_output=True)
        assert abs(float(said.stdout) - sf.info(wav).duration) < 0.25


# ---------------------------------------------------------------- bibliography, glossary, notation


def test_what_is_cited_is_in_the_bibliography():
    known = set(parse_file(BOOK / "references.bib").entries)
    cited = {
        (path.name, key.strip())
        for path in PROSE
        for keys in CITATION.findall(read(path))
        for key in keys.split(",")
    }
    assert cited, "no citation was found at all: the pattern is wrong"
    unknown = sorted(f"{name}: {key}" for name, key in cited if key not in known)
    assert not unknown, f"not in book/references.bib: {unknown}"


def test_bibliography_is_complete_and_has_no_doubles():
    entries = parse_file(BOOK / "references.bib").entries
    assert len(entries) >= 60
    titles: dict[str, str] = {}
    numbers: dict[str, str] = {}
    for key, entry in entries.items():
        fields = entry.fields
        assert entry.persons.get("author"), f"{key} has no author"
        assert re.fullmatch(r"(19|20)\d\d", fields["year"]), f"{key}: year {fields['year']!r}"
        place = {"journal", "booktitle", "publisher", "howpublished", "institution", "eprint"}
        assert place & set(fields), f"{key} says nowhere where it appeared"
        title = re.sub(r"\W", "", fields["title"]).lower()
        assert titles.setdefault(title, key) == key, f"{key} and {titles[title]} are one work"
        if "eprint" in fields:
            eprint = fields["eprint"]
            assert re.fullmatch(r"\d{4}\.\d{4,5}", eprint), f"{key}: arXiv number {eprint!r}"
            assert fields["archiveprefix"] == "arXiv", key
            assert numbers.setdefault(eprint, key) == key, f"{key} and {numbers[eprint]}: {eprint}"
            first = 2000 + int(eprint[:2])
            assert first <= int(fields["year"]) <= first + 2, f"{key}: {eprint} in {fields['year']}"
        if "pages" in fields:
            low, high = map(int, fields["pages"].split("--"))
            assert low < high, f"{key}: pages {fields['pages']}"


def glossary() -> list[str]:
    """The terms of the glossary, in the order of the page."""
    block = re.search(r"```\{glossary\}\n(.*?)\n```", read(BOOK / "glossary.md"), re.DOTALL)[1]
    return re.findall(r"^(\S.*)$", block, re.MULTILINE)


def test_glossary_is_sorted_and_every_linked_term_is_in_it():
    terms = glossary()
    assert len(terms) >= 40
    plain = [re.sub(r"[^a-z0-9 ]", " ", t.lower().replace("µ", "mu")) for t in terms]
    assert plain == sorted(set(plain)), "not in alphabetical order, or a term stands there twice"
    known = {t.lower() for t in terms}
    for path in PROSE:
        for used in re.findall(r"\{term\}`([^`]+)`", read(path)):
            target = re.sub(r".*<(.+)>$", r"\1", used)
            assert target.lower() in known, f"{path.name}: {target!r} is not in the glossary"


def test_notation_has_the_symbols_of_the_chapters():
    text = read(BOOK / "notation.md")
    symbols = [r"$x$", r"$x_t$", r"$T$", r"$\mu$", r"$\Sigma$", r"$z$", r"$f$", r"$J$"]
    symbols += [r"$\log|\det J|$", r"$\theta$", r"$h$", r"$s$", r"$\mathrm{KL}", r"$F_0$", r"$c$"]
    missing = [s for s in symbols if f"* - {s}" not in text]
    assert not missing, f"not on the notation page: {missing}"


# ---------------------------------------------------------------- settings


def test_settings_that_bite():
    settings = config()
    sphinx = settings["sphinx"]
    assert settings["only_build_toc_files"] is True
    assert settings["execute"]["execute_notebooks"] == "off"
    # Without it our html_theme_options would replace the theme's own.
    assert sphinx["recursive_update"] is True and "html_theme_options" in sphinx["config"]
    assert sphinx["config"]["html_theme_options"]["navbar_persistent"] == []
    assert "sphinx-mathjax-offline" in sphinx["extra_extensions"]
    assert {"_build", ".venv", ".pytest_cache"} <= set(settings["exclude_patterns"])


# ---------------------------------------------------------------- the pages around the book


def test_nobody_is_sent_to_the_other_minigen():
    for path in [*PROSE, *BOOK.glob("*.ipynb"), *ROOT.glob("exercises/*.ipynb")]:
        wrong = re.findall(r"pip install (?:-\S+ )*[\"']?minigen(?!-book)\b.*", read(path))
        assert not wrong, f"{path.name}: {wrong} installs another project"


@pytest.mark.parametrize("path", PROSE, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_files_lead_somewhere(path):
    if path.parent.name == "source":
        base = path.parent.parent  # the page is made one folder up
    else:
        base = path.parent
    text = re.sub(r"```.*?```", "", read(path), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"(https?:|mailto:|#|attachment:)", target):
            continue
        name = target.split("#")[0]
        exists = any((base / f"{name}{ending}").exists() for ending in ("", ".md", ".ipynb"))
        assert exists, f"{path.name} links to {target}"


def test_readme_says_what_a_stranger_needs():
    text = read(ROOT / "README.md")
    for needed in ("make book", "make test", "minigen speak", "pip install ."):
        assert needed in text
    for heading in ("Chapters", "What the voice cannot do", "Cite", "Licences"):
        assert f"\n## {heading}\n" in text
    clip = re.search(r"\]\((book/_static/audio/[^)]+\.(?:wav|mp4|mp3))\)", text)
    assert clip and (ROOT / clip[1]).exists(), "the README has no clip to play"


def test_citation_file_agrees_with_the_library():
    import minigen

    citation = yaml.safe_load(read(ROOT / "CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["version"] == minigen.__version__
    assert f"## {minigen.__version__} (" in read(ROOT / "CHANGELOG.md")
    assert "BSD 3-Clause" in read(ROOT / "LICENSE")


# ---------------------------------------------------------------- the built site, without a browser


class Loads(HTMLParser):
    """Collects what a browser would load by itself (links are not loaded)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note src of anything, and href of style sheets, icons and the like."""
        have = {k: v or "" for k, v in attrs}
        if have.get("src"):
            self.found.append(have["src"])
        hints = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "modulepreload"}
        if tag == "link" and hints & set(have.get("rel", "").lower().split()):
            self.found.append(have.get("href", ""))


def test_loads_are_collected():
    parser = Loads()
    parser.feed('<link rel="stylesheet" href="https://a.org/x.css"><a href="https://b.org">b</a>')
    parser.feed('<script src="//c.org/x.js"></script><img src="x.png">')
    assert parser.found == ["https://a.org/x.css", "//c.org/x.js", "x.png"]


@pytest.mark.skipif(not SITE.is_dir(), reason="the book is not built (make book): not checked")
def test_built_pages_load_nothing_from_elsewhere():
    pages = [p for p in sorted(SITE.rglob("*.html")) if "_static" not in p.parts]
    assert len(pages) >= len(toc())
    for page in pages:
        parser = Loads()
        parser.feed(read(page))
        foreign = [u for u in parser.found if re.match(r"(https?:)?//", u)]
        assert not foreign, f"{page.relative_to(SITE)} would load {foreign}"
        lost = [
            u
            for u in parser.found
            if not u.startswith(("data:", "blob:", "#"))
            and not (page.parent / re.sub(r"[?#].*", "", u)).exists()
        ]
        assert not lost, f"{page.relative_to(SITE)} would load what is not there: {lost}"


@pytest.mark.skipif(not SITE.is_dir(), reason="the book is not built (make book): not checked")
def test_built_pages_are_mended():
    """What book/_ext/minigen_book.py promises."""
    for page in (p for p in SITE.rglob("*.html") if "_static" not in p.parts):
        text = read(page)
        assert "THEBE_JS_URL" not in text and "x-thebe-config" not in text, page
        assert '<summary><span class="toctree-toggle"' not in text, page
        assert 'role="list" class="citation-list"' not in text, page
    mathjax = SITE / "_static" / "mathjax"
    assert (mathjax / "book.js").is_file() and not (mathjax / "tex-svg.js").exists()
    assert list(mathjax.glob("output/chtml/fonts/**/*.woff*")), "MathJax has lost its fonts"
    assert sum(p.stat().st_size for p in mathjax.rglob("*") if p.is_file()) < 10e6
