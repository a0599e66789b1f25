"""Make the built site light: what a page needs first comes first, the rest when it is asked for.

A notebook carries its pictures and sounds inside it. In the site each becomes a file of its own,
named by its content, which a browser fetches when the reader comes near it or presses play.

- Pictures get a palette of 256 colours where that halves them, and their size in pixels.
- What a cell printed in lines a little too long stands in smaller type. No line begins with the comma
  that follows a formula, or with a unit, and a long name breaks where its words end.
- All style sheets become one file, with the rules for classes that occur. The icons' fonts keep the
  icons that the pages show.
- The theme's script that draws the same icons again goes, and so do the search's on other pages.
- Scripts no longer hold the page up. MathJax is put together from its parts: formulas first
  (book/_static/math.js), its menu only for a reader who asks for it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import logging
import os
import re
import wave
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from fontTools import subset
from fontTools.ttLib import TTFont
from PIL import Image

__all__ = ["lighten", "media_to_files", "samples_of"]

DATA = re.compile(r'src="data:(image/png|audio/wav);base64,([A-Za-z0-9+/=]+)"([^>]*>)')
ENDS = {"image/png": "png", "audio/wav": "wav"}
# Figures' grey text at 4.5:1 on white, their orange and light blue lines at 3:1.
STRONGER = {
    (0x7F, 0x7F, 0x7F): (0x6E, 0x6E, 0x6E),
    (0xE6, 0x9F, 0x00): (0xBC, 0x7F, 0x00),
    (0x56, 0xB4, 0xE9): (0x2E, 0x91, 0xCB),
}
PHONE = 82.5  # pixels for an inch of a figure on a phone: text of 10 pt is then 11.5 px high
COLUMNS, COLUMNS_SMALL = 84, 107  # characters a line on the page; in type of 11 px
LINE_COLOURS, MAP_SHARE = 12, 0.05  # what other colours cover of a figure of lines: 0.2 % at most
CLIP_PICTURE = (400, 176)  # what minigen.notebook.listen draws
FEWER_COLOURS_IF = 0.6  # of the bytes, or less

# In the order of MathJax's own bundle tex-chtml, without the menu. AMS and \boldsymbol come with it.
MATHJAX_PARTS = (
    "startup.js",
    "core.js",
    "input/tex.js",
    "output/chtml.js",
    "output/chtml/fonts/tex.js",
    "a11y/assistive-mml.js",
)
MATHJAX_FONTS = ("MathJax_Main-Regular.woff", "MathJax_Math-Italic.woff")

STYLE = re.compile(r'[ \t]*<link\b[^>]*\bhref="([^"?]+\.css)[^"]*"[^>]*>\n?')
SCRIPT = re.compile(r'<script( [^>]*)?\bsrc="([^"?]+)([^"]*)"[^>]*></script>')
UNUSED = ("scripts/fontawesome.js",)
SEARCH_ONLY = ("searchtools.js", "language_data.js", "searchindex.js")


def stronger(image: Image.Image) -> Image.Image:
    """Darken the colours of text and lines that are too pale on white; spectrograms stay."""
    pixels = np.array(image)
    for pale, strong in STRONGER.items():
        pixels[(pixels[..., :3] == pale).all(-1), :3] = strong
    return Image.fromarray(pixels)


def palette(image: Image.Image, colours: int = 256, rounds: int = 4) -> Image.Image:
    """A picture in few colours: Pillow's, moved by k-means to where this picture's colours lie.

    Pillow's alone are off by up to 20 of 255, which shows as bands in a spectrogram.
    """
    pixels = np.ascontiguousarray(image).reshape(-1, 4)
    found, where, count = np.unique(
        pixels.view(np.uint32).ravel(), return_inverse=True, return_counts=True
    )
    points = found.view(np.uint8).reshape(-1, 4).astype(np.float32)
    points[:, :3] *= points[:, 3:] / 255  # what is transparent has no colour
    first = image.quantize(colours, method=Image.Quantize.FASTOCTREE)
    centres = np.array(first.getpalette("RGBA"), np.float32).reshape(-1, 4)
    centres[:, :3] *= centres[:, 3:] / 255
    weight = np.sqrt(count).astype(np.float32)
    for again in range(rounds + 1):
        distance = (points**2).sum(1)[:, None] - 2 * points @ centres.T + (centres**2).sum(1)
        nearest = distance.argmin(1)
        if again == rounds:
            break
        total = np.bincount(nearest, weight, len(centres))
        sums = [np.bincount(nearest, weight * column, len(centres)) for column in points.T]
        centres = np.where(
            total[:, None] > 0, np.stack(sums, 1) / np.maximum(total, 1e-9)[:, None], centres
        )
        unused = np.flatnonzero(total == 0)[: len(points)]
        centres[unused] = points[np.argsort(-weight * distance.min(1))[: len(unused)]]
        centres = centres.astype(np.float32)
    centres[:, :3] *= 255 / np.maximum(centres[:, 3:], 1)
    small = Image.fromarray(nearest[where].astype(np.uint8).reshape(image.height, image.width), "P")
    small.putpalette(centres.clip(0, 255).round().astype(np.uint8).tobytes(), "RGBA")
    return small


def small_png(png: bytes) -> bytes:
    """The same picture, dark enough for white paper; in 256 colours if that is much smaller."""
    image = stronger(Image.open(io.BytesIO(png)).convert("RGBA"))
    small, whole = io.BytesIO(), io.BytesIO()
    palette(image).save(small, "PNG", optimize=True)
    if len(small.getvalue()) <= FEWER_COLOURS_IF * len(png):
        return small.getvalue()
    image.save(whole, "PNG", optimize=True)
    return min(whole.getvalue(), small.getvalue(), key=len)


def is_painted(image: Image.Image) -> bool:
    """Whether a figure holds a map of many colours, which the dark theme's light would falsify.

    Lines and text are of few colours where they cover the ground; their edges let it through.
    """
    pixels = np.asarray(image.convert("RGBA"))
    covered = pixels[pixels[..., 3] == 255].view(np.uint32)
    counts = np.sort(np.unique(covered, return_counts=True)[1])
    return counts[:-LINE_COLOURS].sum() > MAP_SHARE * image.width * image.height


def axis(image: Image.Image) -> str:
    """Where a spectrogram begins and ends, from 0 to 1 of the picture's width, for a playhead."""
    if image.mode != "RGBA" or image.size != CLIP_PICTURE:
        return ""
    filled = np.flatnonzero((np.asarray(image)[..., 3] == 255).mean(0) > 0.4)
    if not filled.size:
        return ""
    return f' data-axis="{filled[0] / image.width:.4f} {(filled[-1] + 1) / image.width:.4f}"'


def samples_of(sound: bytes) -> tuple[np.ndarray, int]:
    """The samples of a WAV file of 16 bits and one channel, between -1 and 1, and their rate."""
    with wave.open(io.BytesIO(sound)) as opened:
        frames = opened.readframes(opened.getnframes())
        return np.frombuffer(frames, "<i2") / 32768, opened.getframerate()


DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
OUTLINE_STEP = 0.02  # seconds; book/_static/reader.js knows it, too


def outline(samples: np.ndarray, rate: int) -> str:
    """The peaks of a clip in steps of 20 ms, each as one digit to the base 36.

    >>> outline(np.r_[np.full(160, 0.5), np.zeros(160), np.full(80, -1.0)], 8000)
    'i0z'
    """
    hop = max(1, round(OUTLINE_STEP * rate))
    peaks = np.array([np.abs(samples[n : n + hop]).max() for n in range(0, len(samples), hop)])
    return "".join(DIGITS[round(35 * v)] for v in peaks / max(peaks.max(initial=0.0), 1e-9))


def media_to_files(text: str, site: Path, to_root: str) -> str:
    """Write the pictures and sounds inside a page into files, and let the page name them."""
    folder = site / "_media"
    folder.mkdir(exist_ok=True)

    def as_file(match: re.Match[str]) -> str:
        kind, content, rest = match[1], base64.b64decode(match[2]), match[3]
        path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.{ENDS[kind]}"
        if not path.exists():
            path.write_bytes(small_png(content) if kind == "image/png" else content)
        source = f'src="{to_root}_media/{path.name}"'
        if kind == "image/png":
            image = Image.open(io.BytesIO(content))
            inches = image.width / image.info.get("dpi", (110, 110))[0]
            least = PHONE * inches  # of a figure saved in fewer dots, the text is no smaller
            clip = image.size == CLIP_PICTURE  # whose size the style sheet knows
            wider = 1 if clip else max(1, least / image.width)
            width, height = (round(side * wider) for side in image.size)
            size = f'width="{width}" height="{height}" style="--phone:{least:.0f}px"'
            kind = ' class="minigen-map"' if not clip and is_painted(image) else ""
            return f'{source} {size}{axis(image)} loading="lazy"{kind}{rest}'
        samples, rate = samples_of(content)
        seconds = len(samples) / rate
        level = np.sqrt(np.mean(samples**2)) if samples.size else 0.0
        known = f'data-seconds="{seconds:.2f}" data-rms="{level:.4f}" data-outline="{outline(samples, rate)}"'
        return f"{source} {known}{rest}"

    return DATA.sub(as_file, text).replace(' preload="metadata"', ' preload="none"')


PRINTED = re.compile(
    r'(<div class="output (?!traceback)[^>]*>\s*<div class="highlight"><pre)(>.*?</pre>)', re.DOTALL
)


def fit_printed(text: str) -> str:
    """Let a printed table of up to 107 characters a line stand in smaller type rather than wrap.

    >>> row = '<div class="output stream"><div class="highlight"><pre>{}</pre></div></div>'
    >>> fit_printed(row.format("a" * 84)) == row.format("a" * 84)
    True
    >>> "--fit:0.84" in fit_printed(row.format("a" * 100))
    True
    """

    def fitted(match: re.Match[str]) -> str:
        lines = html.unescape(re.sub(r"<[^>]*>", "", match[2][1:])).split("\n")
        longest = max(map(len, lines))
        fits = not COLUMNS < longest <= COLUMNS_SMALL
        return match[0] if fits else f'{match[1]} style="--fit:{COLUMNS / longest:.2f}"{match[2]}'

    return PRINTED.sub(fitted, text)


FORMULA = re.compile(
    r'(?<!<span class="minigen-whole">)(?<!<span class="minigen-whole">[(“])([(“]?)'
    r'(<span class="math [^>]*>\\\([^<]*\\\)</span>)([,.;:!?)”’]*)'
)


def keep_together(text: str) -> str:
    r"""Let no line break come between a formula and the comma after it, or the bracket before it.

    >>> keep_together(r'<span class="math x">\(a\)</span>, b')
    '<span class="minigen-whole"><span class="math x">\\(a\\)</span>,</span> b'
    >>> keep_together(keep_together(r'<span class="math x">\(a\)</span>, b')).count("whole")
    1
    """

    def whole(match: re.Match[str]) -> str:
        alone = not match[1] and not match[3]
        return match[0] if alone else f'<span class="minigen-whole">{match[0]}</span>'

    return FORMULA.sub(whole, text)


CODE = re.compile(
    r'(?<!<span class="minigen-whole">)(<code class="docutils literal[^>]*>)(.*?)</code>([,.;:)]*)',
    re.DOTALL,
)
NAME_ENDS = re.compile(r"(?<=[\w)])([_(.,/=]+)(?=\w)")
SHORT = 10  # characters that stand in one line even of a narrow column
UNIT = re.compile(
    r"(?P<aside><(?P<tag>pre|script|style|head|code)\b.*?</(?P=tag)>|<!--.*?-->|<[^>]*>|\\\(.*?\\\))"
    r"|(?<=\d) (?=(?:%|ms|s|k?Hz|dB|[kMG]B|nats|cents)(?!\w))",
    re.DOTALL,
)


def break_well(text: str) -> str:
    """Let a long name in a line break after its words, a short one never, and a number keep its unit.

    >>> code = '<code class="docutils literal notranslate"><span class="pre">{}</span></code>,'
    >>> print(break_well(code.format("log_prob(x)")).replace("<wbr>", "|"))
    <code class="docutils literal notranslate"><span class="pre">log_|prob(|x)</span></code>,
    >>> break_well(code.format("mean"))[:27]
    '<span class="minigen-whole"'
    >>> break_well("<p>30 ms, <pre>30 ms</pre>")
    '<p>30\\xa0ms, <pre>30 ms</pre>'
    """

    def name(match: re.Match[str]) -> str:
        start, inside, after = match.groups()
        words = re.sub(r"<[^>]*>", "", inside)
        if "<wbr>" in inside:
            return match[0]
        if len(html.unescape(words)) <= SHORT:
            return f'<span class="minigen-whole">{match[0]}</span>' if after else match[0]
        parts = re.split(r"(<[^>]*>)", inside)
        parts[::2] = [NAME_ENDS.sub(r"\1<wbr>", part) for part in parts[::2]]
        return f"{start}{''.join(parts)}</code>{after}"

    text = CODE.sub(name, text)
    return UNIT.sub(lambda match: match["aside"] or "\N{NO-BREAK SPACE}", text)


def style_sheet(site: Path, name: str) -> str:
    """A style sheet, named from the site's root, with its addresses as they are from _static."""
    text = (site / name).read_text(encoding="utf-8").removeprefix("\ufeff")
    text = re.sub(r'@charset "[^"]*";', "", text)
    here = Path(name).parent

    def from_static(address: str) -> str:
        return os.path.normpath(here / address).replace(os.sep, "/").removeprefix("_static/")

    def moved(match: re.Match[str]) -> str:
        address = match[1].strip("\"'")
        inside = address.startswith(("data:", "#", "http:", "https:"))
        return match[0] if inside else f"url({from_static(address)})"

    text = re.sub(r"url\(([^)]+)\)", moved, text)
    return re.sub(
        r'@import "([^"]+)";',
        lambda match: style_sheet(site, f"_static/{from_static(match[1])}"),
        text,
    )


def one_style_sheet(site: Path, names: list[str], words: set[str]) -> str:
    """Write _static/book.css: the style sheets named, one after the other, as far as `words` need them.

    Returns the address by which pages name it; it changes with the content.
    """
    css = "\n".join(style_sheet(site, name) for name in names)
    css = used_rules(keep_icons(site, css, words), words)
    (site / "_static" / "book.css").write_text(css, encoding="utf-8")
    return f"book.css?v={hashlib.sha256(css.encode()).hexdigest()[:8]}"


WORD = re.compile(r"[A-Za-z_][\w-]*")
CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")
STRING_OR_BLOCK = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\([^()]*\)|[{};]""")
NESTED = ("@media", "@supports", "@layer", "@container")


def words_of(site: Path, pages: Iterable[str]) -> set[str]:
    """Every word in the pages and in the scripts beside them: no other class can occur."""
    scripts = [*(site / "_static").glob("*.js"), *(site / "_static" / "scripts").glob("*.js")]
    texts = (path.read_text(encoding="utf-8") for path in scripts if not path.match(UNUSED[0]))
    return {word for text in (*pages, *texts) for word in WORD.findall(text)}


def used_rules(css: str, words: set[str]) -> str:
    """The rules whose classes are all among the words, or begin with one that ends in a hyphen.

    >>> used_rules(".a, .b .c{x:y} @media print{.b:not(.d){x:y} .d{x:y}} i{x:'}'}", {"a", "b"})
    ".a{x:y}@media print{.b:not(.d){x:y}}i{x:'}'}"
    >>> used_rules(".kind-text{x:y} .kin{x:y}", {"kind-"})
    '.kind-text{x:y}'
    """
    begun = tuple(word for word in words if len(word) > 2 and word.endswith("-"))

    def occurs(selector: str) -> bool:
        bare = re.sub(r"\([^()]*\)", "", re.sub(r"\([^()]*\)", "", selector))
        return "\\" in bare or all(
            name in words or name.startswith(begun) for name in CLASS.findall(bare)
        )

    def kept(text: str) -> str:
        out, start, depth, opened = [], 0, 0, 0
        for match in STRING_OR_BLOCK.finditer(text):
            if match[0] == ";" and depth == 0:
                out.append(text[start : match.end()].strip())
                start = match.end()
            elif match[0] == "{":
                depth += 1
                opened = match.start() if depth == 1 else opened
            elif match[0] == "}":
                depth -= 1
                if depth:
                    continue
                before, inside = text[start:opened].strip(), text[opened + 1 : match.start()]
                start = match.end()
                if before.startswith(NESTED):
                    inside = kept(inside)
                elif not before.startswith("@"):
                    before = ",".join(s.strip() for s in split_list(before) if occurs(s))
                if before and inside.strip():
                    out.append(f"{before}{{{inside}}}")
        return "".join(out)

    return kept(re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL))


def split_list(selectors: str) -> list[str]:
    """The selectors of a list; a comma inside brackets does not divide it."""
    return re.split(r",(?![^(\[]*[)\]])", selectors)


ICON_RULE = re.compile(r'((?:\.fa-[\w-]+:{1,2}before,?)+)\{content:"\\([0-9a-f]+)"\}')
FONT_FACE = re.compile(r"url\((vendor/fontawesome/webfonts/[\w-]+)\.woff2\)[^;}]*")


def keep_icons(site: Path, css: str, used: set[str]) -> str:
    """Keep the rules and the glyphs of the icons that some page shows, of some two thousand."""

    def rule(match: re.Match[str]) -> str:
        return match[0] if used & set(re.findall(r"\.(fa-[\w-]+)", match[1])) else ""

    css = ICON_RULE.sub(rule, css)
    shown = {int(code, 16) for code in re.findall(r'"\\(f[0-9a-f]{3})"', css)}
    shown |= {ord(c) for c in css if 0xE000 <= ord(c) <= 0xF8FF}
    for stem in set(FONT_FACE.findall(css)):
        font = TTFont(site / "_static" / f"{stem}.ttf")
        options = subset.Options(layout_features=[], notdef_outline=True)
        logging.getLogger("fontTools").setLevel(logging.WARNING)
        chosen = subset.Subsetter(options)
        chosen.populate(unicodes=shown)
        chosen.subset(font)
        font.flavor = "woff"
        font.save(site / "_static" / f"{stem}.woff")
    return FONT_FACE.sub(r'url(\1.woff) format("woff")', css)


def one_mathjax(site: Path) -> None:
    """Write mathjax/book.js: our settings, then the parts that formulas need."""
    folder = site / "_static" / "mathjax"
    parts = [site / "_static" / "math.js", *(folder / part for part in MATHJAX_PARTS)]
    joined = "\n;".join(part.read_text(encoding="utf-8") for part in parts)
    (folder / "book.js").write_text(joined, encoding="utf-8")


def scripts_in_order(text: str, site: Path, searches: bool) -> str:
    """Let no script hold the page up, drop those it does not need, and start with the formulas."""
    if "documentation_options.js" not in text:
        return text  # this page was rewritten before
    options = (site / "_static" / "documentation_options.js").read_text(encoding="utf-8")

    def script(match: re.Match[str]) -> str:
        attributes, source, query = match[1] or "", match[2], match[3]
        if source.endswith(UNUSED) or (source.endswith(SEARCH_ONLY) and not searches):
            return ""
        if source.endswith("documentation_options.js"):
            return f"<script>{options}</script>"  # the inline scripts below it need it at once
        if source.endswith("mathjax/tex-chtml.js"):
            source, query = source.replace("tex-chtml.js", "book.js"), ""
            attributes = ' fetchpriority="high" '
        elif "mathjax/book.js" not in source:
            attributes += ' fetchpriority="low" '
        attributes = re.sub(r'\bdefer(="defer")?|\basync(="async")?', "", attributes).strip()
        sources = [f"{source}{query}"]
        if source.endswith("searchtools.js"):  # ours changes what it shows of a page
            sources.append(source.replace("searchtools.js", "search.js"))
        attributes = f"{attributes} defer".strip()
        return "".join(f'<script {attributes} src="{each}"></script>' for each in sources)

    head, end, body = text.partition("</head>")
    head = re.sub(r"<script>window\.MathJax = .*?</script>", "", head)
    head = re.sub(r'<link rel="preload" as="script"[^>]*>', "", head)
    text = SCRIPT.sub(script, head) + end + SCRIPT.sub(script, body)
    formulas = re.search(r"<script [^>]*mathjax/book\.js[^>]*></script>", text)
    if formulas and 'class="math' not in text:
        return text.replace(formulas[0], "")
    if formulas:  # first of the deferred scripts, and its fonts with it
        root = re.search(r'src="([^"]*)book\.js"', formulas[0])[1] + "output/chtml/fonts/woff-v2/"
        fonts = "".join(
            f'document.head.append(Object.assign(document.createElement("link"),{{rel:"preload",'
            f'as:"font",type:"font/woff",crossOrigin:"",href:"{root}{name}"}}));'
            for name in MATHJAX_FONTS
        )
        fonts = f'<script>if (location.protocol !== "file:") {{{fonts}}}</script>'
        text = text.replace(formulas[0], "")
        text = text.replace("</title>", f"</title>\n{formulas[0]}\n{fonts}", 1)
    return text


def common_sheets(pages: list[list[str]]) -> list[str]:
    """The style sheets that all pages just written name, from the site's root, in their order."""
    named = [[name.replace("../", "") for name in page] for page in pages]
    fresh = [page for page in named if page and "_static/book.css" not in page]
    return [name for name in fresh[0] if all(name in page for page in fresh)] if fresh else []


def link_one(text: str, sheet: str, common: list[str]) -> str:
    """Put one link in the place of those to the sheets in common; renew it in an earlier page."""
    if not sheet or "_static/book.css" in text:
        return re.sub(r"book\.css\?v=\w+", sheet, text) if sheet else text
    first = STYLE.search(text)
    if first is None:
        return text
    to_root = "../" * first[1].count("../")
    links = STYLE.sub(lambda m: "" if m[1].replace("../", "") in common else m[0], text)
    link = f'<link rel="stylesheet" href="{to_root}_static/{sheet}">'
    return links.replace("</title>", f"</title>\n{link}", 1)


def lighten(site: Path) -> None:
    """Rewrite every page of a built site. A page that was rewritten before keeps what it has."""
    pages = {
        page: page.read_text(encoding="utf-8")
        for page in site.rglob("*.html")
        if "_static" not in page.parts
    }
    one_mathjax(site)
    for page, text in pages.items():
        to_root = "../" * (len(page.relative_to(site).parts) - 1)
        text = break_well(keep_together(fit_printed(media_to_files(text, site, to_root))))
        pages[page] = scripts_in_order(text, site, searches=page.name == "search.html")
    common = common_sheets([STYLE.findall(text) for text in pages.values()])
    sheet = one_style_sheet(site, common, words_of(site, pages.values())) if common else ""
    for page, text in pages.items():
        pages[page] = link_one(text, sheet, common)
    for page, text in pages.items():
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
    drop_what_no_page_names(site, "".join(pages.values()))


def drop_what_no_page_names(site: Path, named: str) -> None:
    """Delete media of earlier builds, the script that draws icons, and maps of scripts."""
    static = site / "_static"
    for path in (site / "_media").iterdir():
        if path.name not in named:
            path.unlink()
    for path in [static / "scripts" / "fontawesome.js", *static.rglob("*.js.map")]:
        path.unlink(missing_ok=True)
    for path in (static / "vendor").rglob("*.woff2"):
        path.unlink()
