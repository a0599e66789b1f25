"""minigen.notebook.plot: figures with a description, for both modes of the page, drawn where they belong."""

from __future__ import annotations

import io
import struct

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from minigen.notebook import plot


def pixels(png: bytes) -> np.ndarray:
    return plt.imread(io.BytesIO(png))  # (height, width, 4)


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    plt.close("all")
    yield
    assert not plt.get_fignums()


def test_show_closes_the_figure_and_describes_it():
    with plot.style():
        fig, _ = plt.subplots()
    picture = plot.show(fig, alt='Two "lines" < one')
    assert repr(picture) == '[figure: Two "lines" < one]'
    page = picture._repr_html_()
    assert 'alt="Two &quot;lines&quot; &lt; one"' in page
    assert "data:image/png;base64,iVBOR" in page


@pytest.mark.parametrize("alt", ["", "   "])
def test_show_wants_a_description(alt):
    fig = plt.figure()
    with pytest.raises(ValueError, match="alt text"):
        plot.show(fig, alt)
    plt.close(fig)


def test_ground_is_transparent_and_the_picture_is_the_same_every_time():
    pictures = []
    for _ in range(2):
        with plot.style():
            fig, ax = plt.subplots(figsize=(3, 2))
            ax.plot([0, 1])
        pictures.append(plot.show(fig, "A line.").png)
    assert pictures[0] == pictures[1]
    assert pixels(pictures[0])[0, 0, 3] == 0
    width, height = struct.unpack(">II", pictures[0][16:24])
    assert (width, height) == (330, 220)


def test_style_is_gone_afterwards():
    before = dict(plt.rcParams)
    with plot.style():
        assert plt.rcParams["axes.facecolor"] == "none"
    assert dict(plt.rcParams) == before


def luminance(colour: str) -> float:
    """WCAG 2's relative luminance."""
    c = np.array(to_rgb(colour))
    return np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]


@pytest.mark.parametrize("ground", ["#ffffff", "#121212"])
def test_text_reads_on_both_grounds(ground):
    """A contrast of at least 3, as WCAG asks of large text and of graphics."""
    a, b = sorted((luminance(ground), luminance(plot.GREY)))
    assert (b + 0.05) / (a + 0.05) >= 3


def test_waveform_is_drawn_in_seconds():
    fig, ax = plt.subplots()
    x = np.linspace(-0.5, 0.5, 800)
    plot.waveform(x, 8000, ax, linewidth=3, color="red")
    (line,) = ax.lines
    assert (line.get_linewidth(), line.get_color()) == (3, "red")
    assert np.allclose(line.get_xdata(), np.arange(800) / 8000)
    assert np.array_equal(line.get_ydata(), x) and ax.get_xlim() == (0, 0.1)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("s", "amplitude")
    plt.close(fig)


def middle(image, row: int, column: int) -> tuple[float, float]:
    """Where on the axes the middle of a pixel stands."""
    left, right, bottom, top = image.get_extent()
    rows, columns = image.get_array().shape
    return (
        left + (column + 0.5) * (right - left) / columns,
        bottom + (row + 0.5) * (top - bottom) / rows,
    )


def test_spectrogram_shows_a_click_at_its_time_and_a_tone_at_its_frequency():
    rate = 8000
    click, tone = np.zeros(4000), 0.5 * np.sin(2 * np.pi * 1000 * np.arange(4000) / rate)
    click[1600] = 1.0  # at 0.2 s
    fig, (left, right) = plt.subplots(1, 2)
    image = plot.spectrogram(click, rate, left).images[0]
    seconds, _ = middle(image, 0, image.get_array()[64].argmax())
    assert abs(seconds - 0.2) < 1e-9  # the click lies on a frame
    image = plot.spectrogram(tone, rate, right).images[0]
    _, kilohertz = middle(image, image.get_array()[:, 60].argmax(), 0)
    assert abs(kilohertz - 1) < 1e-9  # 1000 Hz is bin 32 of 256
    assert right.get_xlim() == (0, 0.5) and right.get_ylim() == (0, 4)
    assert (right.get_xlabel(), right.get_ylabel()) == ("s", "kHz")
    plt.close(fig)


def test_spectrogram_is_in_decibels_below_its_top():
    x = np.sin(2 * np.pi * 1000 * np.arange(4000) / 8000)
    fig, ax = plt.subplots()
    image = plot.spectrogram(x, 8000, ax, range_db=50).images[0]
    # A sine of amplitude 1 has |S| = half the sum of the window, 64: 36.1 dB.
    assert abs(image.get_array().max() - 20 * np.log10(64)) < 0.01
    assert np.isclose(image.get_clim()[1] - image.get_clim()[0], 50)
    plt.close(fig)


@pytest.mark.parametrize("length", [1, 2, 7, 255])
def test_spectrogram_of_less_than_a_frame(length):
    fig, ax = plt.subplots()
    image = plot.spectrogram(np.full(length, 0.1), 8000, ax).images[0]
    assert np.isfinite(image.get_array()).all() and ax.get_xlim() == (0, length / 8000)
    plt.close(fig)


def test_clip_png_is_a_picture():
    x = 0.5 * np.sin(np.arange(4000) / 5)
    image = pixels(plot.clip_png(x, 8000))
    assert image.shape[2] == 4 and image[0, 0, 3] == 0 and image[..., 3].max() == 1
    assert plot.clip_png(x, 8000) == plot.clip_png(x, 8000)


def test_names_keep_clear_of_each_other_of_points_and_of_lines():
    points = {"first": (0, 0), "second": (0.05, 0.01), "third": (0.02, -0.02), "corner": (1, 1.1)}
    with plot.style():
        fig, ax = plt.subplots(figsize=(4, 3))
        ax.axhline(0.1)
        ax.set(xlim=(-1, 1.2), ylim=(-1, 1.2))
        plot.name_points(ax, points)
    fig.canvas.draw()
    boxes = {text.get_text(): text.get_window_extent() for text in ax.texts}
    at = {name: ax.transData.transform(point) for name, point in points.items()}
    line = ax.transData.transform((0, 0.1))[1]
    assert boxes.keys() == points.keys()
    for name, box in boxes.items():
        assert not any(box.overlaps(other) for key, other in boxes.items() if key != name), name
        gaps = {key: np.hypot(*(p - np.clip(p, box.min, box.max))) for key, p in at.items()}
        assert min(gaps.values()) > 3, f"{name} lies on a point"  # pixels, about a marker's radius
        assert gaps[name] < 40, f"{name} is far from its point"
        assert not box.y0 <= line <= box.y1, f"{name} lies on the line"
        assert all(ax.bbox.contains(*corner) for corner in (box.min, box.max)), name
    with pytest.raises(ValueError, match="no room for the name 'x+'"):
        plot.name_points(ax, {"x" * 200: (0, 0)})
    plt.close(fig)


@pytest.mark.parametrize("rate", [0, -8000])
def test_a_rate_is_above_zero(rate):
    for draw in (plot.waveform, plot.spectrogram):
        with pytest.raises(ValueError, match=f"above 0, not {rate}"):
            draw(np.zeros(9), rate)
