"""Chapter 5: linear prediction of speech. An AR model for every few milliseconds, and what drives it.

    analysis    e_t = x_t - Σ_k a_k x_{t-k}       sound -> residual
    synthesis   x_t = e_t + Σ_k a_k x_{t-k}       residual, or pulses and noise -> sound

The coefficients a change from frame to frame; the past samples x_{t-k} do not stop at a frame's edge.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import lfilter, lfiltic

from ..gaussian import Seed
from .correlation import levinson_durbin, series, whole


def _sound(x: ArrayLike, name: str = "x") -> np.ndarray:
    return series(x, name, least=1, constant=True)


def lpc(frame: ArrayLike, order: int) -> tuple[np.ndarray, float]:
    """The best linear predictor of a short piece of sound, and the size of its error.

    The frame is faded in and out by a Hann window w, its autocovariances go through Levinson and Durbin.
    Such a predictor is always stable.

    Args: frame: (M,) samples, M > order. order: p; about 2 + rate / 1000 for speech.

    Returns coefficients a (p,), and the gain: the RMS of the error, in the units of the frame. Silence has
    coefficients 0 and gain 0.

    References: Makhoul, Linear Prediction: A Tutorial Review, 1975.

    >>> a, gain = lpc(np.sin(np.arange(400)), 2)
    >>> a.round(2), bool(gain < 0.02)  # 2 cos(1) = 1.08: a sine goes on by itself
    (array([ 1.08, -1.  ]), True)
    """
    whole("order", order)
    frame = series(frame, "frame", least=order + 1, constant=True, why=f"for order {order}")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(len(frame)) + 0.5) / len(frame))
    faded = frame * window
    gamma = np.array([faded[k:] @ faded[: len(faded) - k] for k in range(order + 1)])
    if gamma[0] < 1e-30:
        return np.zeros(order), 0.0
    gamma[0] *= 1 + 1e-9  # rounding must not make a pure tone look unstable
    phi, variances, _ = levinson_durbin(gamma)
    return phi, float(np.sqrt(variances[-1] / (window @ window)))


@dataclass(frozen=True, repr=False)
class LPC:
    """A sound as predictors and what they cannot predict.

    Args:
        coefficients: a, (N, p). gain: RMS of the error in each frame, (N,).
        residual: e, (T,). hop: samples a frame.
    """

    coefficients: np.ndarray
    gain: np.ndarray
    residual: np.ndarray
    hop: int

    def __repr__(self) -> str:
        frames, order = self.coefficients.shape
        return f"LPC(order {order}, {frames} frames of {self.hop} samples)"

    def spectrum(self, frequency: ArrayLike) -> np.ndarray:
        """Level gain / |1 - Σ a_k e^{-2πi f k}| at f in cycles a sample: (F,) -> (F, N)."""
        angle = -2j * np.pi * np.asarray(frequency, dtype=float)[:, None]
        turn = np.exp(angle * np.arange(1, self.coefficients.shape[1] + 1))  # (F, p)
        return self.gain / np.abs(1 - turn @ self.coefficients.T)


def lpc_analysis(x: ArrayLike, order: int = 10, hop: int = 80, width: int = 240) -> LPC:
    """Fit a predictor to the `width` samples around every piece of `hop`, and take it away.

    Args: x: (T,). order: p. hop: samples that one predictor serves, e.g. 10 ms. width: of its frame.

    Returns `LPC` with N = ceil(T / hop) frames.
    """
    x = _sound(x)
    whole("order", order), whole("hop", hop), whole("width", width)
    if width < max(hop, order + 1):
        raise ValueError(f"{width} samples must hold the hop {hop} and the order {order}")
    n = -(-len(x) // hop)
    before = (width - hop) // 2
    padded = np.zeros((n - 1) * hop + width)
    padded[before : before + len(x)] = x[: len(padded) - before]
    fits = [lpc(padded[i * hop : i * hop + width], order) for i in range(n)]
    coefficients, gain = np.stack([a for a, _ in fits]), np.array([g for _, g in fits])
    past = np.append(np.zeros(order), x)  # past[order + t] is x[t]
    residual = np.empty(len(x))
    for i, a in enumerate(coefficients):
        piece = past[i * hop : order + (i + 1) * hop]  # with the order samples before it
        residual[i * hop : (i + 1) * hop] = lfilter(np.append(1.0, -a), 1.0, piece)[order:]
    return LPC(coefficients, gain, residual, hop)


def lpc_synthesis(coefficients: ArrayLike, excitation: ArrayLike, hop: int) -> np.ndarray:
    """The sound that an excitation (T,) makes in the filters (N, p), `hop` samples for each.

    The last p samples of a frame are the memory with which the next one starts. With the residual as
    excitation it undoes `lpc_analysis`.

    >>> x = np.random.default_rng(0).normal(size=500)
    >>> found = lpc_analysis(x, order=4, hop=80)
    >>> bool(np.allclose(lpc_synthesis(found.coefficients, found.residual, found.hop), x))
    True
    """
    coefficients, e = np.asarray(coefficients, dtype=float), _sound(excitation, "excitation")
    whole("hop", hop)
    if coefficients.ndim != 2 or not np.isfinite(coefficients).all():
        raise ValueError(f"coefficients have shape (N, p), finite, not {coefficients.shape}")
    n, order = coefficients.shape
    if not (n - 1) * hop < len(e) <= n * hop:
        raise ValueError(
            f"{n} frames of {hop}: {(n - 1) * hop + 1} … {n * hop} samples, not {len(e)}"
        )
    x = np.empty(len(e))
    memory = np.zeros(order)  # the last samples, the latest first
    for i, a in enumerate(coefficients):
        piece = slice(i * hop, (i + 1) * hop)
        whitening = np.append(1.0, -a)
        x[piece] = lfilter([1.0], whitening, e[piece], zi=lfiltic([1.0], whitening, memory))[0]
        memory = np.append(x[piece][::-1], memory)[:order]
    return x


def lpc_excitation(
    gain: ArrayLike, f0: ArrayLike, rate: int, hop: int, seed: Seed = 0
) -> np.ndarray:
    """What a simple voice sends through the filters: pulses where it is voiced, noise elsewhere, (N hop,).

    A pulse for each period of F0, √period · gain high, so that both kinds have the RMS `gain`.

    Args: gain: (N,). f0: Hz, (N,), 0 where unvoiced. rate: Hz. hop: samples a frame.
    """
    gain, f0 = np.asarray(gain, dtype=float), np.asarray(f0, dtype=float)
    whole("rate", rate), whole("hop", hop)
    if gain.ndim != 1 or gain.shape != f0.shape:
        raise ValueError(f"gain and f0 have one value a frame, (N,), not {gain.shape}, {f0.shape}")
    if not (np.isfinite(gain).all() and np.isfinite(f0).all()) or min(gain.min(), f0.min()) < 0:
        raise ValueError("gain and f0 are finite and not negative; f0 is 0 where unvoiced")
    out = np.random.default_rng(seed).standard_normal(len(gain) * hop)
    step = np.repeat(f0, hop) / rate  # periods a sample
    pulses = np.diff(np.floor(np.cumsum(step)), prepend=0.0)  # 1 where a period ends
    voiced = step > 0
    out[voiced] = pulses[voiced] / np.sqrt(step[voiced])
    return out * np.repeat(gain, hop)
