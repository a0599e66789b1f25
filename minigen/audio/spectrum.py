"""Sound as numbers: µ-law, spectrograms and back, files, and a player for the page.

A waveform is a float array (T,) in [-1, 1] at `rate` samples a second. Nothing here imports torch.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import ArrayLike
from scipy.fft import dct
from scipy.signal import resample_poly

__all__ = [
    "Clip",
    "autocorrelation",
    "griffin_lim",
    "hz_to_mel",
    "istft",
    "listen",
    "load",
    "mel_filterbank",
    "mel_spectrogram",
    "mel_to_hz",
    "mfcc",
    "mu_law_decode",
    "mu_law_encode",
    "open_to_write",
    "resample",
    "save",
    "stft",
]

LOWEST_RATE = 3_000  # Hz: Chromium's players take no less
LONGEST = 12.0  # seconds that `listen` takes; pages should stay under 2
FLOOR = 1e-5  # of magnitude, under every logarithm: -100 dB


def _waveform(x: ArrayLike, name: str = "x") -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 1 or x.size == 0:
        raise ValueError(
            f"{name} is a waveform of shape (T,) with T > 0, not {x.shape}: "
            "take one channel, x[:, 0], or remove the batch axis, x[0]"
        )
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(
            f"{name} has dtype {x.dtype}: samples are floats in [-1, 1]; "
            "16-bit integers become floats by x / 32768"
        )
    if not np.isfinite(x).all():
        raise ValueError(f"{name} has NaN or infinite samples")
    return x


def _whole(**values: int) -> None:
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name} must be a whole number, not {value!r}")
        if value <= 0:
            raise ValueError(f"{name} must be positive, not {value}")


def autocorrelation(x: ArrayLike, lags: int) -> np.ndarray:
    """How much a sample tells, along a straight line, about the one k samples earlier.

        r_k = Σ_{t > k} (x_t - x̄)(x_{t-k} - x̄) / Σ_t (x_t - x̄)²,   k = 0 … lags

    Args:
        x: (T,) waveform. lags: the largest k, less than T.

    Returns:
        (lags + 1,), 1 at lag 0 and between -1 and 1 at every other.

    References:
        Box, Jenkins, Reinsel and Ljung, Time Series Analysis, 2015, section 2.1.

    >>> autocorrelation([1.0, -1.0, 1.0, -1.0], 2).tolist()
    [1.0, -0.75, 0.5]
    """
    x = _waveform(x).astype(np.float64)
    _whole(lags=lags)
    if lags >= len(x):
        raise ValueError(f"{len(x)} samples have lags 0 … {len(x) - 1}: {lags=} is too many")
    if np.ptp(x) <= 1e-13 * np.abs(x).max():  # what rounding makes of a constant is no variation
        raise ValueError("x is constant, so that it has no autocorrelation: cut the silence away")
    x = x / np.abs(x).max()  # the squares of small numbers must not vanish
    x -= x.mean()
    return np.array([x[k:] @ x[: len(x) - k] for k in range(lags + 1)]) / (x @ x)


# ---------------------------------------------------------------- µ-law


def _check_levels(levels: int) -> None:
    _whole(levels=levels)
    if levels < 2:
        raise ValueError(f"µ-law needs at least 2 levels, not {levels}")


def mu_law_encode(x: ArrayLike, levels: int = 256) -> np.ndarray:
    """Compress amplitudes by a logarithm and round to one of `levels` codes.

        y = sign(x) log(1 + µ|x|) / log(1 + µ),   code = round((y + 1) µ / 2),   µ = levels - 1

    Args:
        x: any shape, floats; values outside [-1, 1] are clipped.
        levels: number of codes, at least 2.

    Returns:
        int64 codes 0 … levels - 1, of x's shape.

    Raises:
        TypeError: x does not hold floats. ValueError: x has NaN, or levels < 2.

    References:
        ITU-T Recommendation G.711, Pulse Code Modulation of Voice Frequencies, 1988.

    >>> mu_law_encode([-1.0, 0.0, 0.01, 1.0]).tolist()
    [0, 128, 157, 255]
    """
    _check_levels(levels)
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(
            f"x has dtype {x.dtype}: samples are floats in [-1, 1]; "
            "16-bit integers become floats by x / 32768"
        )
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        raise ValueError("x has NaN or infinite samples")
    mu = levels - 1
    x = np.clip(x, -1, 1)
    y = np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)
    return np.floor((y + 1) * mu / 2 + 0.5).astype(np.int64)


def mu_law_decode(codes: ArrayLike, levels: int = 256) -> np.ndarray:
    """The amplitude that a code stands for: x = sign(y) ((1 + µ)^|y| - 1) / µ, y = 2 code/µ - 1.

    Encoding it gives the code back, for every code and every number of levels.

    >>> codes = np.arange(256)
    >>> bool((mu_law_encode(mu_law_decode(codes)) == codes).all())
    True
    """
    _check_levels(levels)
    codes = np.asarray(codes)
    if not np.issubdtype(codes.dtype, np.integer):
        raise TypeError(f"codes are integers, not {codes.dtype}: mu_law_encode makes them")
    if codes.size and (codes.min() < 0 or codes.max() >= levels):
        raise ValueError(f"codes of {levels} levels lie in 0 … {levels - 1}")
    mu = levels - 1
    y = 2 * codes / mu - 1
    size = np.expm1(np.abs(y) * np.log1p(mu)) / mu  # of code µ it can round to just above 1
    return np.sign(y) * np.minimum(size, 1)


# ---------------------------------------------------------------- short-time spectra


def _hann(n_fft: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)


def _check_frames(n_fft: int, hop: int) -> None:
    _whole(n_fft=n_fft, hop=hop)
    if n_fft % 2 or hop > n_fft // 2:
        raise ValueError(
            f"n_fft must be even and hop at most n_fft / 2, so that every sample is seen with a "
            f"window above zero, not {n_fft=}, {hop=}"
        )


def stft(x: ArrayLike, n_fft: int = 512, hop: int = 128) -> np.ndarray:
    """Short-time Fourier transform with a Hann window, frames centred on 0, hop, 2·hop, …

        S[f, n] = Σ_k w[k] x[n·hop + k - n_fft/2] e^{-2πi f k / n_fft}

    Args:
        x: (T,) waveform; beyond its ends it is taken to be zero.
        n_fft: length of a frame, even. hop: samples from one frame to the next, <= n_fft / 2.

    Returns:
        complex (n_fft // 2 + 1, N) with N = 1 + ceil(T / hop).

    >>> stft(np.zeros(1000)).shape
    (257, 9)
    """
    x = _waveform(x)
    _check_frames(n_fft, hop)
    n = 1 + -(-len(x) // hop)
    padded = np.zeros((n - 1) * hop + n_fft)
    padded[n_fft // 2 : n_fft // 2 + len(x)] = x
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]  # (N, n_fft)
    return np.fft.rfft(frames * _hann(n_fft), axis=1).T


def istft(spectrum: ArrayLike, hop: int = 128, length: int | None = None) -> np.ndarray:
    """The waveform whose STFT is nearest to `spectrum` in squared error; exact for a true STFT.

        x[t] = Σ_n w[t - n·hop] y_n[t - n·hop] / Σ_n w²[t - n·hop],   y_n the inverse FFT of frame n

    Args:
        spectrum: complex (F, N) from `stft`. hop: as there. length: T.

    References:
        Griffin and Lim, Signal Estimation from Modified Short-Time Fourier Transform, 1984.
    """
    spectrum = np.asarray(spectrum)
    if spectrum.ndim != 2:
        raise ValueError(f"spectrum has shape (F, N), not {spectrum.shape}")
    if not np.isfinite(spectrum).all():
        raise ValueError("spectrum has NaN or infinite values")
    n_fft, n = 2 * (spectrum.shape[0] - 1), spectrum.shape[1]
    _check_frames(n_fft, hop)
    longest = (n - 1) * hop
    length = longest if length is None else length
    if not 0 < length <= longest:
        raise ValueError(f"{n} frames of hop {hop} hold 1 … {longest} samples, not {length}")
    window = _hann(n_fft)
    frames = np.fft.irfft(spectrum.T, n_fft, axis=1) * window  # (N, n_fft)
    x, weight = np.zeros((2, longest + n_fft))
    for index, frame in enumerate(frames):
        x[index * hop : index * hop + n_fft] += frame
        weight[index * hop : index * hop + n_fft] += window**2
    middle = slice(n_fft // 2, n_fft // 2 + length)
    return x[middle] / np.maximum(weight[middle], 1e-10)


def hz_to_mel(hz: ArrayLike) -> np.ndarray:
    """Frequency on the mel scale, 2595 log10(1 + hz / 700): equal steps sound about equal.

    >>> round(float(hz_to_mel(1000.0)))
    1000
    """
    return 2595 * np.log10(1 + np.asarray(hz, dtype=float) / 700)


def mel_to_hz(mel: ArrayLike) -> np.ndarray:
    """The inverse of `hz_to_mel`."""
    return 700 * (10 ** (np.asarray(mel, dtype=float) / 2595) - 1)


@cache
def mel_filterbank(
    rate: int, n_fft: int, n_mels: int, fmin: float = 0.0, fmax: float | None = None
) -> np.ndarray:
    """Triangles that rise and fall between equally spaced points of the mel scale.

    Filter m rises linearly from 0 at the m-th point to 1 at the next and falls to 0 at the one after.

    Args:
        rate: Hz. n_fft: of the STFT. n_mels: filters. fmin, fmax: Hz; fmax is rate / 2 by default.

    Returns:
        (n_mels, n_fft // 2 + 1), every row with a positive weight.

    References:
        Davis and Mermelstein, Comparison of Parametric Representations for Monosyllabic Word
        Recognition in Continuously Spoken Sentences, 1980.
    """
    _whole(rate=rate, n_fft=n_fft, n_mels=n_mels)
    fmax = rate / 2 if fmax is None else fmax
    if not 0 <= fmin < fmax <= rate / 2:
        raise ValueError(f"need 0 <= fmin < fmax <= rate / 2, not {fmin=}, {fmax=}, {rate=}")
    points = mel_to_hz(np.linspace(hz_to_mel(fmin), hz_to_mel(fmax), n_mels + 2))
    hz = np.arange(n_fft // 2 + 1) * rate / n_fft
    rise = (hz - points[:-2, None]) / (points[1:-1] - points[:-2])[:, None]
    fall = (points[2:, None] - hz) / (points[2:] - points[1:-1])[:, None]
    bank = np.maximum(0, np.minimum(rise, fall))
    empty = np.flatnonzero(bank.sum(1) == 0)
    if len(empty):
        raise ValueError(
            f"{len(empty)} of {n_mels} mel filters fall between two STFT bins: "
            "use fewer filters or a larger n_fft"
        )
    bank.setflags(write=False)
    return bank


def mel_spectrogram(
    x: ArrayLike,
    rate: int,
    n_fft: int = 512,
    hop: int = 128,
    n_mels: int = 80,
    fmin: float = 0.0,
    fmax: float | None = None,
    log: bool = True,
) -> np.ndarray:
    """Magnitudes of the STFT summed by mel filter, as natural logarithms -> (n_mels, N)."""
    mel = mel_filterbank(rate, n_fft, n_mels, fmin, fmax) @ np.abs(stft(x, n_fft, hop))
    return np.log(np.maximum(mel, FLOOR)) if log else mel


def mfcc(
    x: ArrayLike, rate: int, n_mfcc: int = 13, n_fft: int = 256, hop: int = 80, n_mels: int = 24
) -> np.ndarray:
    """Mel-frequency cepstral coefficients: the cosine transform of the log-mel spectrum.

    Few numbers for the shape of the spectrum; the first is its level -> (n_mfcc, N).

    References: Davis and Mermelstein, 1980.
    """
    mel = mel_spectrogram(x, rate, n_fft, hop, n_mels)
    if not 1 <= n_mfcc <= n_mels:
        raise ValueError(f"n_mfcc lies in 1 … n_mels = {n_mels}, not {n_mfcc}")
    return dct(mel, type=2, axis=0, norm="ortho")[:n_mfcc]


def griffin_lim(
    magnitude: ArrayLike,
    hop: int = 128,
    iterations: int = 60,
    seed: int | np.random.Generator = 0,
    length: int | None = None,
) -> np.ndarray:
    """A waveform whose STFT has about these magnitudes; the phases are found by iteration.

    Alternate: waveform from magnitude and phase; new phase from that waveform. The distance between
    the wanted and the real magnitudes never grows.

    Args:
        magnitude: (F, N), not negative. hop: of its STFT. seed: of the first phases.

    References: Griffin and Lim, 1984.
    """
    magnitude = np.asarray(magnitude, dtype=float)
    if magnitude.ndim != 2 or (magnitude < 0).any() or not np.isfinite(magnitude).all():
        raise ValueError(
            "magnitude has shape (F, N), finite and not negative: take np.abs(stft(x))"
        )
    if iterations < 0:
        raise ValueError(f"iterations is {iterations}; it must be 0 or more")
    n_fft = 2 * (magnitude.shape[0] - 1)
    rng = np.random.default_rng(seed)
    phase = np.exp(2j * np.pi * rng.random(magnitude.shape))
    longest = (magnitude.shape[1] - 1) * hop
    for _ in range(iterations):
        spectrum = stft(istft(magnitude * phase, hop, longest), n_fft, hop)
        phase = spectrum / np.maximum(np.abs(spectrum), 1e-12)
    return istft(magnitude * phase, hop, length)


# ---------------------------------------------------------------- rates and files


def resample(x: ArrayLike, rate: int, new_rate: int) -> np.ndarray:
    """Change the sampling rate; what the new rate cannot hold is filtered out first.

    The filter rings a little: a full-scale clip can come out slightly beyond ±1.

    >>> len(resample(np.zeros(16000), 16000, 8000))
    8000
    """
    x = _waveform(x)
    _whole(rate=rate, new_rate=new_rate)
    if rate == new_rate:
        return x.copy()
    common = np.gcd(rate, new_rate)
    return resample_poly(x, new_rate // common, rate // common).astype(x.dtype)


def load(path: str | Path, rate: int | None = None) -> tuple[np.ndarray, int]:
    """Read a sound file -> (x float32 (T,), rate). Channels are averaged; clips at ±1.

    Args:
        path: WAV, FLAC, OGG, MP3: whatever libsndfile reads.
        rate: resample to it; by default the file's own rate is kept.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not sound, is cut off, holds no samples, or NaN.
    """
    if rate is not None:
        _whole(rate=rate)
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        x, found = sf.read(path, dtype="float32", always_2d=True)
    except sf.LibsndfileError as error:
        raise ValueError(
            f"{path} cannot be read as sound ({error.error_string}): convert it to WAV or FLAC"
        ) from None
    if len(x) == 0:
        raise ValueError(f"{path} holds no samples")
    if not np.isfinite(x).all():
        raise ValueError(f"{path} holds NaN or infinite samples: write it again as 16-bit")
    x = x.mean(axis=1)
    if rate is not None:
        x = resample(x, found, rate)
    return np.clip(x, -1, 1), found if rate is None else rate


def save(path: str | Path, x: ArrayLike, rate: int) -> None:
    """Write a 16-bit file; the ending of `path` chooses the format (.wav, .flac). Clips at ±1."""
    x = _waveform(x)
    with open_to_write(path, rate) as write:
        write(x)


@contextmanager
def open_to_write(path: str | Path, rate: int) -> Iterator[Callable[[ArrayLike], None]]:
    """A 16-bit file to write piece by piece, like `save`, for sound that is not all there at once.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_to_write(f"{folder}/a.wav", 8000) as write:
    ...         for piece in (np.zeros(100), np.ones(50)):
    ...             write(piece)
    ...     load(f"{folder}/a.wav")[0].shape
    (150,)
    """
    _whole(rate=rate)
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} into")
    if path.suffix.lower().lstrip(".") not in ("wav", "flac"):
        raise ValueError(f"{path.name}: the name must end in .wav or .flac")
    try:
        with sf.SoundFile(path, "w", rate, 1, "PCM_16") as file:
            yield lambda x: file.write(np.clip(_waveform(x), -1, 1))
    except sf.LibsndfileError as error:
        raise OSError(
            f"cannot write {path} ({error.error_string}): choose another name or folder"
        ) from error


# ---------------------------------------------------------------- the page


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
        from ..notebook import plot  # here, so that audio itself never needs matplotlib

        picture = plot.clip_png(self.x, self.rate)
        encode = lambda content: base64.b64encode(content).decode()
        label, said = html.escape(self.label, quote=True), html.escape(self.transcript, quote=True)
        words = f" Transcript: “{said}”." if said else ""
        return (
            '<figure class="minigen-audio">'
            f"<figcaption><strong>{label}</strong>{words}</figcaption>"
            f'<img alt="Waveform and spectrogram of: {label}" '
            f'src="data:image/png;base64,{encode(picture)}">'
            f'<audio controls preload="metadata" aria-label="{label}" '
            f'src="data:audio/wav;base64,{encode(self.wav())}"></audio>'
            "</figure>"
        )


def listen(x: ArrayLike, rate: int, label: str, transcript: str = "") -> Clip:
    """Show a sound: waveform, spectrogram and a player with its label, all inside the page.

    Args:
        x: (T,) floats in [-1, 1], at most 12 s (pages keep to 2 s: the sound is stored in them).
        rate: Hz, at least 3,000. label: what it is. transcript: what is said.

    Raises:
        TypeError: x does not hold floats. ValueError: x is not one channel, has NaN, goes beyond ±1
            or is too long; the rate is too low; the label is empty.

    >>> listen(np.sin(np.arange(800) / 10) / 2, 8000, "a tone")
    a tone: 0.10 s at 8000 Hz, RMS 0.3531, peak 0.500
    """
    x = _waveform(x)
    _whole(rate=rate)
    if not isinstance(label, str) or not isinstance(transcript, str):
        raise TypeError(f"label and transcript are strings, not {label!r} and {transcript!r}")
    if not label.strip():
        raise ValueError("a clip needs a label: readers who do not see the page hear it")
    if rate < LOWEST_RATE:
        raise ValueError(
            f"browsers play nothing below {LOWEST_RATE} Hz, and this clip has {rate}: "
            "bring it to a higher rate first, with audio.resample"
        )
    if len(x) > LONGEST * rate:
        raise ValueError(
            f"{len(x) / rate:.1f} s is more than the {LONGEST:.0f} s that a page can hold: "
            "cut it, or write a file with audio.save"
        )
    if np.abs(x).max() > 1:
        raise ValueError(
            f"the peak {np.abs(x).max():.2f} would clip: divide by it, or scale to the level you want"
        )
    return Clip(x, int(rate), label, transcript)
