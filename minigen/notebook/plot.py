"""Figures that read in light and dark mode and to colour-blind readers.

Transparent backgrounds, mid-grey text, the colours of Okabe and Ito, and a description in words for
those who do not see them: end a cell with `plot.show(fig, alt="…")`.
"""

import base64
import html
import io
import itertools
from contextlib import AbstractContextManager

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from ..audio import stft

# Okabe and Ito's palette without black: told apart by every kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#7f7f7f"
# Where a name may stand beside its point: to the right, in the middle or to the left; above, level, below.
SPOTS = ((1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
STYLE = {
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
    **dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "text.color"), GREY),
    **dict.fromkeys(("xtick.color", "ytick.color"), GREY),
    **dict.fromkeys(("legend.frameon", "axes.spines.top", "axes.spines.right"), False),
    "axes.prop_cycle": plt.cycler(color=COLOURS),
    "image.cmap": "viridis",
    "figure.constrained_layout.use": True,
    "font.size": 10,
}


def style() -> AbstractContextManager:
    """`with plot.style(): fig, ax = plt.subplots()` makes a figure for both modes of the page."""
    return plt.rc_context(STYLE)


class Picture:
    """What `show` returns: in a page an image with its description, in a terminal the description."""

    def __init__(self, png: bytes, alt: str) -> None:
        self.png, self.alt = png, alt

    def __repr__(self) -> str:
        return f"[figure: {self.alt}]"

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.png).decode()
        return f'<img alt="{html.escape(self.alt, quote=True)}" src="data:image/png;base64,{data}">'


def show(fig: Figure, alt: str, dpi: int = 110) -> Picture:
    """Close a figure and show it with a description in words.

    >>> with style():
    ...     fig, ax = plt.subplots()
    >>> show(fig, alt="An empty pair of axes.")
    [figure: An empty pair of axes.]
    """
    if not alt.strip():
        raise ValueError("a figure needs alt text: say in a sentence what it shows")
    stream = io.BytesIO()
    fig.savefig(stream, format="png", dpi=dpi, transparent=True, metadata={"Software": None})
    plt.close(fig)
    return Picture(stream.getvalue(), alt)


def name_points(ax: Axes, points: dict[str, tuple[float, float]]) -> None:
    """Write each name beside its point, where no other name, point or line is in the way.

    Call it last: what is drawn later is not seen.
    """
    ax.figure.canvas.draw()  # only then is it known where things lie
    at = ax.transData.transform(list(points.values()))  # (n, 2), pixels
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in at]
    lines = [line.get_transform().transform_path(line.get_path()) for line in ax.lines]
    for name, point in points.items():
        for far, (side, up) in itertools.product((1, 3, 6), SPOTS):
            note = ax.annotate(
                name,
                point,
                xytext=(6 * side, 3 * far * up),
                textcoords="offset points",
                ha=("right", "center", "left")[side + 1],
                va=("top", "center", "bottom")[up + 1],
            )
            box = note.get_window_extent()
            if all(ax.bbox.contains(*corner) for corner in (box.min, box.max)) and not (
                any(box.overlaps(other) for other in taken)
                or any(line.intersects_bbox(box, filled=False) for line in lines)
            ):
                taken.append(box)
                break
            note.remove()
        else:
            raise ValueError(f"there is no room for the name {name!r}: draw a larger figure")


def _check_rate(rate: float) -> None:
    if not rate > 0:
        raise ValueError(f"rate is in Hz, above 0, not {rate}")


def waveform(x: np.ndarray, rate: int, ax: Axes | None = None, **kwargs) -> Axes:
    """Draw amplitude against seconds."""
    _check_rate(rate)
    ax = ax or plt.gca()
    ax.plot(np.arange(len(x)) / rate, x, **{"linewidth": 0.6, **kwargs})
    ax.set(xlabel="s", ylabel="amplitude", xlim=(0, len(x) / rate))
    return ax


def spectrogram(
    x: np.ndarray, rate: int, ax: Axes | None = None, n_fft: int = 256, range_db: float = 70.0
) -> Axes:
    """Draw the level in dB of each frequency (kHz) at each moment (s), `range_db` below the top."""
    _check_rate(rate)
    ax = ax or plt.gca()
    n_fft = max(2, min(n_fft, 2 * (len(x) // 2)))
    hop = max(1, n_fft // 8)
    power = 20 * np.log10(np.maximum(np.abs(stft(x, n_fft, hop)), 1e-6))  # (F, N)
    across, up = hop / rate, rate / n_fft / 1000  # s from frame to frame, kHz from bin to bin
    # A pixel's middle, not its edge, stands at the frame's time and at the bin's frequency.
    f, n = power.shape
    extent = (-across / 2, (n - 0.5) * across, -up / 2, (f - 0.5) * up)
    top = power.max()
    ax.imshow(power, origin="lower", aspect="auto", extent=extent, vmin=top - range_db, vmax=top)
    ax.set(xlabel="s", ylabel="kHz", xlim=(0, len(x) / rate), ylim=(0, rate / 2000))
    return ax


def clip_png(x: np.ndarray, rate: int) -> bytes:
    """A small picture of a clip for `listen`: waveform above spectrogram, as PNG."""
    with style():
        options = {"figsize": (5, 2.2), "sharex": True, "height_ratios": (1, 1.6)}
        fig, (top, bottom) = plt.subplots(2, 1, **options)
        waveform(x, rate, top)
        top.set(xlabel="", ylabel="", yticks=[])
        spectrogram(x, rate, bottom)
        stream = io.BytesIO()
        fig.savefig(stream, format="png", dpi=80, transparent=True, metadata={"Software": None})
        plt.close(fig)
    return stream.getvalue()
