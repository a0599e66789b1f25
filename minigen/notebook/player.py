"""A player for the page: waveform, spectrogram and sound of a clip, with a label and a transcript."""

import base64
import html
import io
from dataclasses import dataclass, field

import numpy as np
import soundfile as sf
from numpy.typing import ArrayLike

from ..audio import check_positive, check_waveform
from . import plot

LOWEST_RATE = 3_000  # Hz: Chromium's players take no less
MAX_SECONDS = 12.0  # pages should stay far below


@dataclass(frozen=True)
class Clip:
    """What `listen` returns: Jupyter shows a player, a terminal one line."""

    x: np.ndarray = field(repr=False)
    rate: int
    label: str
    transcript: str

    def __repr__(self) -> str:
        rms, peak = np.sqrt(np.mean(self.x**2)), np.abs(self.x).max()
        said = f' "{self.transcript}"' if self.transcript else ""
        return (
            f"{self.label}:{said} {len(self.x) / self.rate:.2f} s at {self.rate} Hz, "
            f"RMS {rms:.4f}, peak {peak:.3f}"
        )

    def wav(self) -> bytes:
        """The clip as a 16-bit WAV file."""
        stream = io.BytesIO()
        sf.write(stream, np.clip(self.x, -1, 1), self.rate, subtype="PCM_16", format="WAV")
        return stream.getvalue()

    def _repr_html_(self) -> str:
        encode = lambda content: base64.b64encode(content).decode()
        label, said = html.escape(self.label, quote=True), html.escape(self.transcript, quote=True)
        words = f" Transcript: “{said}”." if said else ""
        return (
            '<figure class="minigen-audio">'
            f"<figcaption><strong>{label}</strong>{words}</figcaption>"
            f'<img alt="Waveform and spectrogram of: {label}" '
            f'src="data:image/png;base64,{encode(plot.clip_png(self.x, self.rate))}">'
            f'<audio controls preload="metadata" aria-label="{label}" '
            f'src="data:audio/wav;base64,{encode(self.wav())}"></audio>'
            "</figure>"
        )


def listen(x: ArrayLike, rate: int, label: str, transcript: str = "") -> Clip:
    """Show a sound: waveform, spectrogram and a player with its label, all inside the page.

    Args:
        x: (T,) floats in [-1, 1], at most 12 s (better 2: the sound is stored in the page).
        rate: Hz, at least 3,000. label: what it is. transcript: what is said.

    Raises TypeError: x does not hold floats. ValueError: x is not one channel, has NaN, goes beyond ±1 or is
    too long; the rate is too low; the label is empty.

    >>> listen(np.sin(np.arange(800) / 10) / 2, 8000, "a tone")
    a tone: 0.10 s at 8000 Hz, RMS 0.3531, peak 0.500
    """
    x = check_waveform(x)
    check_positive(rate=rate)
    if not isinstance(label, str) or not isinstance(transcript, str):
        raise TypeError(f"label and transcript are strings, not {label!r} and {transcript!r}")
    if not label.strip():
        raise ValueError("a clip needs a label: readers who do not see the page hear it")
    if rate < LOWEST_RATE:
        raise ValueError(
            f"browsers play nothing below {LOWEST_RATE} Hz, not {rate}: audio.resample it first"
        )
    if len(x) > MAX_SECONDS * rate:
        raise ValueError(
            f"{len(x) / rate:.1f} s is more than the {MAX_SECONDS:.0f} s that a page can hold: "
            "cut it, or write a file with audio.save"
        )
    if np.abs(x).max() > 1:
        raise ValueError(f"the peak {np.abs(x).max():.2f} would clip: divide by it, or scale it")
    return Clip(x, int(rate), label, transcript)
