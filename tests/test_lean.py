"""book/_ext/lean.py: media become files, pictures keep their look, styles keep their addresses."""

from __future__ import annotations

import base64
import importlib.util
import io
import wave
from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
EXT = Path(__file__).parents[1] / "book" / "_ext" / "lean.py"
spec = importlib.util.spec_from_file_location("lean", EXT)
lean = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lean)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def wav(seconds: float, rate: int = 8000) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(b"\1\2" * int(seconds * rate))
    return stream.getvalue()


def spectrogram_like(seed: int = 0) -> np.ndarray:
    """A smooth picture of thousands of colours, with a transparent border."""
    y, x = np.mgrid[:120, :200] / 200
    grain = np.random.default_rng(seed).normal(0, 4, (120, 200))
    colours = np.stack([200 * x + grain, 255 * y + grain, 90 + 100 * x * y + grain], -1)
    alpha = np.full((120, 200, 1), 255.0)
    alpha[:5] = 0
    return np.concatenate([colours, alpha], -1).clip(0, 255).astype(np.uint8)


def test_a_palette_is_smaller_and_looks_the_same():
    pixels = spectrogram_like()
    small = lean.small_png(png(pixels))
    assert len(small) < 0.6 * len(png(pixels))
    again = np.asarray(Image.open(io.BytesIO(small)).convert("RGBA")).astype(int)
    error = np.abs(again - pixels)[pixels[..., 3] > 0]
    assert np.sqrt((error**2).mean()) < 5 and (again[:5, :, 3] == 0).all()


def contrast(colour: tuple[int, int, int]) -> float:
    """Of a colour against white, by WCAG's formula."""
    share = np.array(colour) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05)


def test_pale_colours_are_darkened_and_others_kept():
    for pale, strong in lean.STRONGER.items():
        floor = 4.5 if len(set(pale)) == 1 else 3.0
        assert contrast(pale) < floor <= contrast(strong)
        flat = np.full((4, 4, 4), (*pale, 255), np.uint8)
        flat[0, 0, :3] = 1, 2, 3
        seen = np.asarray(Image.open(io.BytesIO(lean.small_png(png(flat)))).convert("RGBA"))
        assert tuple(seen[1, 1, :3]) == strong and tuple(seen[0, 0, :3]) == (1, 2, 3)


def test_media_become_files_once_and_a_second_pass_changes_nothing(tmp_path):
    code = lambda kind, content: f"data:{kind};base64,{base64.b64encode(content).decode()}"
    picture, sound = png(spectrogram_like()), wav(0.25)
    page = (
        f'<img alt="x" src="{code("image/png", picture)}">'
        f'<audio controls preload="metadata" src="{code("audio/wav", sound)}"></audio>'
    )
    text = lean.media_to_files(page + page, tmp_path, "../")
    files = sorted((tmp_path / "_media").iterdir(), key=lambda path: path.suffix)
    assert [path.suffix for path in files] == [".png", ".wav"]
    assert files[1].read_bytes() == sound
    size = 'width="200" height="120" style="--phone:150px" loading="lazy"'
    assert text.count(f'src="../_media/{files[0].name}" {size}') == 2
    assert (
        text.count('data-seconds="0.25" data-rms="0.0157"') == 2
        and text.count('preload="none"') == 2
    )
    assert lean.media_to_files(text, tmp_path, "../") == text


def figure(with_map: bool) -> bytes:
    """Ten thin lines with soft edges on a transparent ground, and a map of many colours or none."""
    pixels = np.zeros((120, 200, 4), np.uint8)
    for n in range(10):
        pixels[12 * n : 12 * n + 2] = 20 * n, 80, 200 - 20 * n, 255
        pixels[12 * n + 2] = 20 * n, 80, 200 - 20 * n, 90
    if with_map:
        pixels[40:80, 50:150] = np.dstack(
            [spectrogram_like()[40:80, 50:150, :3], np.full((40, 100), 255)]
        )
    return png(pixels)


def test_only_a_map_in_colours_lies_on_white_paper_in_the_dark(tmp_path):
    for with_map in (False, True):
        code = base64.b64encode(figure(with_map)).decode()
        text = lean.media_to_files(
            f'<img alt="x" src="data:image/png;base64,{code}">', tmp_path, ""
        )
        assert ('class="minigen-map"' in text) == with_map
    css = (EXT.parents[1] / "_static" / "custom.css").read_text(encoding="utf-8")
    paper = css[css.index("img.minigen-map {") :].partition("}")[0]
    assert "background: #fff" in paper and "filter: none" in paper


def test_a_figure_of_few_dots_is_shown_no_smaller(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(spectrogram_like()).save(stream, "PNG", dpi=(50, 50))  # 4 inches
    code = base64.b64encode(stream.getvalue()).decode()
    text = lean.media_to_files(f'<img alt="x" src="data:image/png;base64,{code}">', tmp_path, "")
    assert 'width="330" height="198" style="--phone:330px"' in text


@pytest.mark.parametrize(
    ("longest", "said"), [(84, None), (85, "0.99"), (107, "0.79"), (108, None)]
)
def test_printed_lines_a_little_too_long_are_smaller(longest, said):
    page = (
        '<div class="output stream highlight-myst-ansi notranslate"><div class="highlight"><pre>'
        f'<span class="x">short</span>\n{"&lt;" * longest}\n</pre></div></div>'
    )
    once = lean.fit_printed(page)
    assert once == (page if said is None else page.replace("<pre>", f'<pre style="--fit:{said}">'))
    assert lean.fit_printed(once) == once


def test_joined_styles_keep_their_addresses(tmp_path):
    static = tmp_path / "_static"
    (static / "styles").mkdir(parents=True)
    (static / "base.css").write_text("a{b:url(x.svg)}")
    (static / "styles" / "theme.css").write_text(
        '@import "../base.css";i{j:url(../v/y.woff);k:url(data:z)}'
        '.fa-used:before{content:"\\f001"}.fa-other:before{content:"\\f002"}'
    )
    address = lean.one_style_sheet(tmp_path, ["_static/styles/theme.css"], {"fa-used"})
    css = (static / "book.css").read_text()
    assert address.startswith("book.css?v=")
    assert (
        "url(x.svg)" in css
        and "url(v/y.woff)" in css
        and "url(data:z)" in css
        and "@import" not in css
    )
    assert "fa-used" in css and "fa-other" not in css


def test_rules_for_classes_that_nobody_has_are_left_out(tmp_path):
    rules = (
        "@font-face{font-family:x;src:url(x.woff)}.a,.gone .a{color:red}:root{--b:1}/* .a{} */"
        "@media print{.gone{color:red}.a:not(.gone){color:blue}}@media screen{.gone{b:c}}"
        '@keyframes k{from{top:0}to{top:1px}}.later-7{top:0}.a:before{content:"}{"}.sd-1\\:x{top:1px}'
    )
    assert lean.used_rules(rules, {"a", "later-"}) == (
        "@font-face{font-family:x;src:url(x.woff)}.a{color:red}:root{--b:1}"
        "@media print{.a:not(.gone){color:blue}}"
        '@keyframes k{from{top:0}to{top:1px}}.later-7{top:0}.a:before{content:"}{"}.sd-1\\:x{top:1px}'
    )
    (tmp_path / "_static" / "scripts").mkdir(parents=True)
    (tmp_path / "_static" / "scripts" / "theme.js").write_text("e.classList.add('made-by-script')")
    words = lean.words_of(tmp_path, ['<p class="in-page">'])
    assert {"made-by-script", "in-page"} <= words


def test_a_formula_and_its_comma_stay_together():
    formula = r'<span class="math notranslate nohighlight">\(x_t\)</span>'
    once = lean.keep_together(f"of {formula}, and ({formula}). {formula} alone")
    whole = '<span class="minigen-whole">'
    assert once == f"of {whole}{formula},</span> and {whole}({formula}).</span> {formula} alone"
    assert lean.keep_together(once) == once


def test_a_name_breaks_where_its_words_end_and_a_unit_stays_with_its_number():
    code = '<code class="docutils literal notranslate"><span class="pre">{}</span></code>'
    long, short = code.format("autocorrelation(x,"), code.format("ar")
    once = lean.break_well(f"<td>{long}; {short}, {short} 10 ms, 3 seconds <pre>10 ms</pre></td>")
    assert "autocorrelation(<wbr>x,<" in once
    assert f'<span class="minigen-whole">{short},</span> {short} 10\N{NO-BREAK SPACE}ms' in once
    assert "3 seconds <pre>10 ms</pre>" in once
    assert lean.break_well(once) == once


def test_a_sheet_of_one_page_stays_apart_and_an_earlier_page_is_renewed():
    sheets = ["../_static/a.css", "../_static/b.css"]
    assert lean.common_sheets([sheets, [*sheets, "../_static/own.css"]]) == [
        "_static/a.css",
        "_static/b.css",
    ]
    link = lambda name: f'<link rel="stylesheet" href="../_static/{name}" />'
    page = f"<title>x</title>{link('a.css?v=1')}{link('b.css')}{link('own.css')}"
    once = lean.link_one(page, "book.css?v=11", ["_static/a.css", "_static/b.css"])
    assert "own.css" in once and "a.css" not in once and "../_static/book.css?v=11" in once
    assert "book.css?v=22" in lean.link_one(once, "book.css?v=22", ["_static/a.css"])


def test_a_clip_picture_says_where_its_axis_is():
    pixels = np.zeros((176, 400, 4), np.uint8)
    pixels[80:, 40:380] = 255
    assert lean.axis(Image.fromarray(pixels)) == ' data-axis="0.1000 0.9500"'
    assert lean.axis(Image.fromarray(pixels[:100])) == ""
