"""Chapter 1: a waveform as numbers: µ-law, autocorrelation, sampling rates, and the level of speech."""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import butter, firwin, resample_poly, sosfiltfilt

LOWEST = 40.0  # Hz: below it lie offsets and rumble, and no voice
PAUSE = 10 ** (-30 / 20)  # frames further than 30 dB below the level are pauses


def check_waveform(x: ArrayLike, name: str = "x") -> np.ndarray:
    """x as an array, if it is a waveform: (T,) finite floats, T > 0; ValueError or TypeError if not."""
    x = np.ma.filled(x, np.nan)  # what is masked is no sample
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"{name} is a waveform (T,), T > 0, not {x.shape}: take x[:, 0] or x[0]")
    return _check_floats(x, name)


def _check_floats(x: np.ndarray, name: str = "x") -> np.ndarray:
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(f"{name} is {x.dtype}: samples are floats, of 16-bit integers x / 32768")
    if not np.isfinite(x).all():
        raise ValueError(f"{name} has NaN or infinite samples")
    return x


def check_positive(**values: int) -> None:
    """Every value is a whole number above 0, or TypeError or ValueError names the one that is not."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name} must be a whole number, not {value!r}")
        if value <= 0:
            raise ValueError(f"{name} must be positive, not {value}")


def fit_length(x: np.ndarray, length: int) -> np.ndarray:
    """x (T,) cut, or filled up with silence at the end, to `length` samples.

    >>> fit_length(np.ones(2), 3).tolist(), fit_length(np.ones(2), 1).tolist()
    ([1.0, 1.0, 0.0], [1.0])
    """
    return np.pad(x[:length], (0, max(0, length - len(x))))


def autocorrelation(x: ArrayLike, lags: int) -> np.ndarray:
    """The correlation of a sample with the one k samples earlier.

        r_k = Σ_{t > k} (x_t - x̄)(x_{t-k} - x̄) / Σ_t (x_t - x̄)²,   k = 0 … lags

    Args: x: (T,) waveform. lags: the largest k, less than T.

    Returns (lags + 1,), 1 at lag 0 and between -1 and 1 at every other.

    References: Box, Jenkins, Reinsel and Ljung, Time Series Analysis, 2015, section 2.1.

    >>> autocorrelation([1.0, -1.0, 1.0, -1.0], 2).tolist()
    [1.0, -0.75, 0.5]
    """
    x = check_waveform(x).astype(np.float64)
    check_positive(lags=lags)
    if lags >= len(x):
        raise ValueError(f"{len(x)} samples have lags 0 … {len(x) - 1}: {lags=} is too many")
    if np.ptp(x) <= 1e-13 * np.abs(x).max():  # what rounding makes of a constant is no variation
        raise ValueError("x is constant, so that it has no autocorrelation: cut the silence away")
    x = x / np.abs(x).max()  # the squares of small numbers must not vanish
    x -= x.mean()
    return np.array([x[k:] @ x[: len(x) - k] for k in range(lags + 1)]) / (x @ x)


# ---------------------------------------------------------------- µ-law
def _check_levels(levels: int) -> None:
    check_positive(levels=levels)
    if levels < 2:
        raise ValueError(f"µ-law needs at least 2 levels, not {levels}")


def mu_law_encode(x: ArrayLike, levels: int = 256) -> np.ndarray:
    """Compress amplitudes by a logarithm and round to one of `levels` codes.

        y = sign(x) log(1 + µ|x|) / log(1 + µ),   code = round((y + 1) µ / 2),   µ = levels - 1

    Args: x: any shape, floats; values outside [-1, 1] are clipped. levels: number of codes, at least 2.

    Returns int64 codes 0 … levels - 1, of x's shape.

    References: ITU-T Recommendation G.711, Pulse Code Modulation of Voice Frequencies, 1988.

    >>> mu_law_encode([-1.0, 0.0, 0.01, 1.0]).tolist()
    [0, 128, 157, 255]
    """
    _check_levels(levels)
    x = np.clip(_check_floats(np.asarray(x)).astype(np.float64), -1, 1)
    mu = levels - 1
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


# ---------------------------------------------------------------- rates
def resample(x: ArrayLike, rate: int, new_rate: int) -> np.ndarray:
    """Change the sampling rate; what the new rate cannot hold is filtered out first.

        y[j] = up Σ_i h[j down - i up] x[i],   up / down = new_rate / rate in lowest terms

    h is a low-pass of 20 periods of the lower rate with a Kaiser window. It rings a little: a full-scale clip
    can come out slightly beyond ±1.

    >>> len(resample(np.zeros(16000), 16000, 8000))
    8000
    """
    x = check_waveform(x)
    check_positive(rate=rate, new_rate=new_rate)
    if rate == new_rate:
        return x.copy()
    common = int(np.gcd(rate, new_rate))
    up, down = new_rate // common, rate // common
    if up * down > 1_000_000:  # a matrix too large to be worth it
        return resample_poly(x, up, down).astype(x.dtype)
    matrix, step, before = _polyphase(up, down)
    matrix = matrix.astype(x.dtype)
    length = -(-len(x) * up // down)
    blocks = -(-length // matrix.shape[1])
    padded = np.zeros(max((blocks - 1) * step + len(matrix), before + len(x)), x.dtype)
    padded[before : before + len(x)] = x
    parts = np.lib.stride_tricks.sliding_window_view(padded, len(matrix))[::step][:blocks]
    y = [np.ascontiguousarray(parts[k : k + 1024]) @ matrix for k in range(0, blocks, 1024)]
    return np.concatenate(y).ravel()[:length]


@cache
def _polyphase(up: int, down: int) -> tuple[np.ndarray, int, int]:
    """The sum of `resample` for a block of outputs, which is the same for every block.

    Returns matrix (inputs, outputs), inputs from one block to the next, inputs before the block's own.
    """
    half = 10 * max(up, down)
    h = up * firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", 5.0))
    groups = -(-32 // down)  # so that a block has about as many inputs as the filter
    outputs = np.arange(groups * up)
    inputs = np.arange(-(half // up), (outputs[-1] * down + half) // up + 1)
    place = half + outputs * down - inputs[:, None] * up
    matrix = np.where((place >= 0) & (place <= 2 * half), h[np.clip(place, 0, 2 * half)], 0)
    return matrix, groups * down, half // up


# ---------------------------------------------------------------- level
def _without_offset(x: np.ndarray, rate: int) -> np.ndarray:
    """A high-pass without delay; an offset, however long or short x is, leaves no trace."""
    check_positive(rate=rate)
    if rate < 100:
        raise ValueError(f"rate is in Hz, 100 or more, not {rate}")
    sos = butter(2, LOWEST, "highpass", fs=rate, output="sos")
    return sosfiltfilt(sos, x.astype(float), padlen=min(len(x) - 1, rate // 10))


def _active_level(x: np.ndarray, rate: int) -> float:
    hop = rate // 100
    if len(x) < hop:
        return 0.0
    rms = np.sqrt(np.mean(x[: len(x) // hop * hop].reshape(-1, hop) ** 2, axis=1))
    level = np.sort(rms)[-min(10, len(rms))]  # from above, so that no pause is ever counted
    for _ in range(100):
        before, level = level, np.quantile(rms[rms >= PAUSE * level], 0.9)
        if level == before:
            break
    return float(level)


def speech_level(x: ArrayLike, rate: int) -> float:
    """How loud speech is: the RMS that a tenth of its frames of 10 ms surpass; 0 in silence.

    Frames more than 30 dB below that level are pauses and not counted; an offset and what lies below
    40 Hz is removed first. So a word has the same level with a pause before it, with 0.3 added to
    every sample, and said ten times.

    Args: x: (T,) waveform. rate: Hz.

    >>> word = np.sin(np.arange(4000))
    >>> pause = np.zeros(80_000)
    >>> round(speech_level(word, 8000), 2), round(speech_level(np.r_[word, pause] + 0.3, 8000), 2)
    (0.71, 0.71)
    """
    return _active_level(_without_offset(check_waveform(x), rate), rate)


def to_level(x: ArrayLike, rate: int, level: float = 0.15) -> np.ndarray:
    """Speech at a given `speech_level`, its offset removed; peaks are not limited.

    Args: x: (T,) waveform. rate: Hz. level: to bring it to.

    Returns (T,), of x's dtype.

    Raises ValueError: x is shorter than 50 ms or as good as silent, so that it has no level.

    >>> x = 0.01 * np.sin(np.arange(4000)) + 0.3
    >>> round(float(to_level(x, 8000, 0.2).std()), 2)
    0.2
    """
    x = check_waveform(x)
    if not 0 < level < np.inf:
        raise ValueError(f"level is the RMS of loud speech, above 0, not {level}")
    y = _without_offset(x, rate)
    found = _active_level(y, rate)
    if found < 1e-4 or len(x) < rate // 20:
        raise ValueError(f"{len(x) / rate:.2f} s, as good as silent ({found:.1e}): no speech")
    return (y * (level / found)).astype(x.dtype)
