"""Chapter 15: how far two sounds are apart, how far two densities, and how long a sound takes.

A distance that falls is a reason to listen, not a proof that it sounds better. The docstrings say what
a number cannot hear. Densities are in nats, spectra in dB, pitch in cents. Nothing here imports
torch before `stft_distance` is called.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
from numpy.typing import ArrayLike

from ..audio import (
    FLOOR,
    check_waveform,
    fit_length,
    frame_length,
    mel_cepstrum,
    mel_spectrogram,
    pitch,
    stft,
)
from .warping import dtw, warping_path

DB = 20 / np.log(10)  # decibels in a neper


def std_ratio(generated: ArrayLike, recorded: ArrayLike) -> float:
    """Standard deviation of the generated sound over the recorded one's; 0.71 is half the power.

    What it cannot hear: everything but the level. Noise of the right power scores 1.

    >>> std_ratio([0.5, -0.5], [1.0, -1.0])
    0.5
    """
    below = float(np.std(recorded))
    if below == 0:
        raise ValueError("the recording is constant: there is nothing to compare with")
    return float(np.std(generated)) / below


def _pair(generated: ArrayLike, recorded: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Two waveforms of the same length, as doubles."""
    a, b = np.asarray(generated, dtype=float), np.asarray(recorded, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"shapes {a.shape} and {b.shape} differ: cut them alike")
    return check_waveform(a, "generated"), check_waveform(b, "recorded")


def _log_mels(generated: ArrayLike, recorded: ArrayLike, rate: int) -> list[np.ndarray]:
    """40 bands in dB, frames of 32 ms every 8 ms, 60 dB deep from the recording's peak: [(40, N), (40, M)]."""
    n_fft = frame_length(rate)
    pair = (np.asarray(x, dtype=float) for x in (generated, recorded))
    mel = [DB * mel_spectrogram(x, rate, n_fft, n_fft // 4, n_mels=40) for x in pair]
    return [np.maximum(value, mel[1].max() - 60) for value in mel]


def log_mel_distance(generated: ArrayLike, recorded: ArrayLike, rate: int) -> float:
    """Root-mean-square difference of two log-mel spectrograms of the same length, in dB.

    40 bands, frames of 32 ms every 8 ms, levels down to 60 dB below the recording's peak.

    What it cannot hear: phase, and fine structure within a band: in chapter 15 the whisper of a recording is
    nearer to it than the student. And it hears what no ear does: a shift by a frame or a gain costs it a lot.
    """
    a, b = _log_mels(*_pair(generated, recorded), rate)
    return float(np.sqrt(np.mean((a - b) ** 2)))


def warped_distance(generated: ArrayLike, recorded: ArrayLike, rate: int) -> float:
    """Log-mel distance in dB along the best time warp, for sounds of any two lengths.

    Each pair of frames costs its root-mean-square difference in dB, and `dtw` finds the cheapest path. Twice
    its mean, since `dtw` divides by N + M: for sounds in step this is the mean over frames.

    What it cannot hear: tempo and rhythm; and what `log_mel_distance` cannot.
    """
    a, b = _log_mels(generated, recorded, rate)
    return 2 * dtw(a / 40**0.5, b / 40**0.5)


def log_spectral_distance(generated: ArrayLike, recorded: ArrayLike, rate: int) -> float:
    """Log-spectral distance in dB: per frame the root mean square over frequency, then the mean.

        LSD = (1/N) Σ_n √( (1/F) Σ_f (20 log10 |X[f, n]| / |Y[f, n]|)² )

    Frames of 32 ms every 8 ms with a Hann window, all F bins of the STFT. Levels more than 60 dB
    below the recording's loudest bin count as just that far below, or digital silence would be
    infinitely far from everything.

    What it cannot hear: phase, and that an ear does not resolve single bins. Two draws of the same white noise
    sound alike and are 7 to 8 dB apart; so are two correct samples of a consonant. What is fewest decibels from
    a noise is not a noise, but its smooth mean spectrum. A gain and a shift cost it more than they cost an ear.

    References: Gray and Markel, Distance Measures for Speech Processing, 1976.

    >>> x = np.random.default_rng(0).normal(0, 0.1, 8000)
    >>> round(log_spectral_distance(0.5 * x, x, 8000), 2)
    6.02
    """
    generated, recorded = _pair(generated, recorded)
    n_fft = frame_length(rate)
    pair = (np.abs(stft(wave, n_fft, n_fft // 4)) for wave in (generated, recorded))
    x, y = (DB * np.log(np.maximum(magnitude, FLOOR)) for magnitude in pair)
    floor = y.max() - 60
    difference = np.maximum(x, floor) - np.maximum(y, floor)  # (F, N)
    return float(np.mean(np.sqrt(np.mean(difference**2, axis=0))))


def stft_distance(generated: ArrayLike, recorded: ArrayLike, rate: int = 8_000) -> float:
    """Multi-resolution STFT distance, `spectral_losses.MultiResolutionSTFTLoss`: no unit, 0 for equal sounds.

    Spectral convergence plus the mean distance of log magnitudes, at frames of 8 to 64 ms.

    What it cannot hear: phase across frames; and like every distance from one recording, that another
    draw of the same breath or hiss would have been as good. A student trained on it scores well on it,
    whatever it sounds like.

    >>> x = np.random.default_rng(0).normal(0, 0.1, 2000)
    >>> stft_distance(x, x) < 1e-6
    True
    """
    import torch

    from ..spectral_losses import MultiResolutionSTFTLoss

    pair = [torch.from_numpy(x)[None, None] for x in _pair(generated, recorded)]  # (1, 1, T)
    return MultiResolutionSTFTLoss(rate)(*pair).item()


# ---------------------------------------------------------------- pitch
def _contours(generated: ArrayLike, recorded: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(generated, dtype=float), np.asarray(recorded, dtype=float)
    if a.ndim != 1 or a.shape != b.shape or len(a) == 0:
        raise ValueError(f"contours have one F0 a frame, both (N,), not {a.shape} and {b.shape}")
    for contour in (a, b):
        if not (np.isfinite(contour).all() and (contour >= 0).all()):
            raise ValueError("a contour holds F0 in Hz and 0 where unvoiced: no NaN, none below 0")
    return a, b


def _cents(generated: ArrayLike, recorded: ArrayLike) -> np.ndarray:
    """1200 log2 of the ratio in each frame where both are voiced, (K,)."""
    a, b = _contours(generated, recorded)
    both = (a > 0) & (b > 0)
    return 1200 * np.log2(a[both] / b[both])


def f0_rmse(generated: ArrayLike, recorded: ArrayLike) -> float:
    """Root-mean-square error of two F0 contours (N,) in Hz, in cents (1200 to the octave).

        e_n = 1200 log2(F0_n / F0'_n)   where both are voiced;   √(mean e_n²)

    In cents, because an ear compares frequencies by their ratio. NaN where no frame is voiced in both.

    What it cannot hear: frames where only one has a pitch (see `voicing_error`); melody that is good but
    another; everything but pitch. One octave error of the tracker outweighs many small true ones:
    `f0_error` counts them apart.

    >>> f0_rmse([200.0, 0.0, 150.0], [100.0, 120.0, 75.0])
    1200.0
    """
    cents = _cents(generated, recorded)
    return float(np.sqrt(np.mean(cents**2))) if len(cents) else float("nan")


def f0_error(generated: ArrayLike, recorded: ArrayLike) -> tuple[float, float]:
    """Two F0 contours (N,) in Hz -> median |e_n| in cents, and the share of frames with |e_n| > 600.

    e_n as in `f0_rmse`. Octave errors of a tracker are counted in the share and do not move the median.
    NaN where no frame is voiced in both.

    What it cannot hear: what `f0_rmse` cannot.

    >>> f0_error([100.0, 0.0, 150.0, 100.0], [100.0, 120.0, 75.0, 100.0])
    (0.0, 0.3333333333333333)
    """
    cents = np.abs(_cents(generated, recorded))
    if not len(cents):
        return float("nan"), float("nan")
    return float(np.median(cents)), float(np.mean(cents > 600))


def voicing_error(generated: ArrayLike, recorded: ArrayLike) -> float:
    """The share of frames in which one contour (N,) has a pitch and the other has none.

    What it cannot hear: which pitch; and how a frame sounds, since a hoarse voiced frame may lose its
    pitch in the tracker and keep it in the ear.

    >>> voicing_error([100.0, 0.0, 0.0, 90.0], [100.0, 80.0, 0.0, 180.0])
    0.25
    """
    a, b = _contours(generated, recorded)
    return float(np.mean((a > 0) != (b > 0)))


def pitch_errors(
    generated: ArrayLike, recorded: ArrayLike, rate: int, warp: bool = False
) -> tuple[float, float, float]:
    """`f0_error` (median cents, gross share) and `voicing_error` of two waveforms, tracked by `pitch.f0` each 5 ms.

    Args:
        generated, recorded: (T,), (T',); of the same length unless `warp`.
        warp: compare frames along the path of `warping_path` on mel-cepstra, for other timings.

    What it cannot hear: whatever the tracker does not; it errs by an octave now and then, on both.
    """
    if not warp:
        generated, recorded = _pair(generated, recorded)
    a, b = (pitch.f0(x, rate, hop=0.005) for x in (generated, recorded))
    if warp:
        i, j = warping_path(mel_cepstra(generated, rate), mel_cepstra(recorded, rate))
        a, b = a[np.minimum(i, len(a) - 1)], b[np.minimum(j, len(b) - 1)]
    return *f0_error(a, b), voicing_error(a, b)


# ---------------------------------------------------------------- listeners, imitated
def _optional(name: str) -> Callable:
    """The function of the same name from a package that minigen does without."""
    try:
        module = __import__(name)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"metrics.{name.removeprefix('py')} needs the package {name}: pip install {name}"
            + (" (it is compiled on your machine, by a C compiler)" if name == "pesq" else "")
        ) from None
    return getattr(module, name.removeprefix("py"))


def stoi(generated: ArrayLike, recorded: ArrayLike, rate: int) -> float:
    """Short-time objective intelligibility, by the package pystoi: 1 for equal sounds.

    The correlation of the two envelopes in 15 third-octave bands over 0.4 s, at 10 kHz, averaged. The
    scale has no anchor below: over words with pauses, white noise reaches 0.4.

    What it cannot hear: the level, which each segment's correlation forgets; and pauses, which are cut out of
    both where the recording is quiet. It was fitted to noisy and noise-reduced recordings, not to synthesis: it
    needs the same timing and the same pitch, and a clearly spoken word at another tempo scores like one drowned in noise.

    Raises ModuleNotFoundError: there is no pystoi. ValueError: less than 0.4 s remains without pauses.

    References: Taal et al., An Algorithm for Intelligibility Prediction of Time-Frequency Weighted Noisy
    Speech, 2011.
    """
    import warnings

    measure = _optional("pystoi")
    generated, recorded = _pair(generated, recorded)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # pystoi returns 1e-5 with a warning
        try:
            return float(measure(recorded, generated, rate))
        except RuntimeWarning as warning:
            raise ValueError(
                f"STOI needs 0.4 s without pauses; {len(recorded) / rate:.2f} s have less: join several words"
            ) from warning


def pesq(generated: ArrayLike, recorded: ArrayLike, rate: int) -> float:
    """Perceptual evaluation of speech quality, by the package pesq: a predicted opinion, 1 … 4.6.

    At 8 kHz the narrow-band variant (ITU-T P.862.1), at 16 kHz the wide-band one (P.862.2).

    What it cannot hear: it was fitted to what telephone networks and codecs do to a recording, and answers
    questions about them. It levels both first, so a gain is free; it aligns them piece by piece, so a delay is;
    a voice that says the same words well in its own rhythm is, to it, a damaged recording.

    Raises ModuleNotFoundError: there is no pesq. ValueError: another rate; or pesq finds no speech.

    References: ITU-T Recommendation P.862, 2001; P.862.2, 2007.
    """
    generated, recorded = _pair(generated, recorded)
    if rate not in (8000, 16000):
        raise ValueError(f"PESQ is defined at 8000 and 16000 Hz, not at {rate}: resample first")
    measure = _optional("pesq")
    if not (generated.any() and recorded.any()):
        raise ValueError("PESQ cannot judge this pair: one of them is digital silence")
    try:
        return float(measure(rate, recorded, generated, "nb" if rate == 8000 else "wb"))
    except Exception as error:  # pesq's own exceptions have no class in common but this
        if type(error).__module__.split(".")[0] not in ("pesq", "cypesq"):
            raise
        raise ValueError(f"PESQ cannot judge this pair: {error}") from error


# ---------------------------------------------------------------- densities and time
def kl_divergence(log_q: ArrayLike, log_p: ArrayLike) -> tuple[float, float]:
    """KL(q‖p) in nats from draws of q: the mean of log q(x) - log p(x), and its standard error.

    Args: log_q, log_p: log-densities of the same n >= 2 independent draws x of q, (n,).

    What it cannot hear: what q never says. A q that knows one word of ten, and says that exactly as p does, has
    KL(q‖p) = log 10, for a whole recording; and a small KL with half the power sounds like a whisper.

    >>> kl, error = kl_divergence(np.array([-1.0, -2.0, -1.5]), np.array([-1.5, -2.5, -2.0]))
    >>> kl, error
    (0.5, 0.0)
    """
    log_q, log_p = np.asarray(log_q, dtype=float), np.asarray(log_p, dtype=float)
    if log_q.ndim != 1 or log_q.shape != log_p.shape or len(log_q) < 2:
        raise ValueError(f"one value a draw, n >= 2, not {log_q.shape} and {log_p.shape}")
    if np.isnan(log_q).any() or np.isnan(log_p).any() or np.isinf(log_q).any():
        raise ValueError("log_q or log_p has NaN, or log_q is infinite: were the draws made by q?")
    difference = log_q - log_p
    if np.isinf(difference).any():
        return float("inf"), float("nan")  # q says what p excludes
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def real_time_factor(
    speak: Callable[[], ArrayLike],
    rate: int,
    times: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Seconds of computing for a second of sound, below 1 if faster than real time: a median.

    `speak()` returns a waveform (…, T). It is called once before it counts (compilation, caches).

    What it cannot hear: the delay until the first sample, which is all of it for a model that makes
    everything at once; and whether there were other tasks, another machine, a larger batch. Say which.

    >>> ticks = iter([0.0, 1.0, 5.0, 7.0, 10.0, 13.0])  # calls of 1, 2 and 3 seconds
    >>> real_time_factor(lambda: np.zeros(8000), 8000, clock=lambda: next(ticks))
    2.0
    """
    if times < 1 or rate <= 0:
        raise ValueError(f"need times >= 1 and a positive rate, not {times=}, {rate=}")
    speak()
    factors = []
    for _ in range(times):
        start = clock()
        made = speak()
        seconds = clock() - start
        samples = np.shape(made)[-1]
        if samples == 0:
            raise ValueError("speak() returned no samples")
        factors.append(seconds * rate / samples)
    return float(median(factors))


def mel_cepstra(x: ArrayLike, rate: int, order: int = 24, n_mels: int = 32) -> np.ndarray:
    """The cosine series of each frame's log-mel spectrum, without its constant -> (order, N).

        log M[m] = c_0 + Σ_d c_d cos(πd (m + ½) / n_mels),   d = 1 … order

    Frames of 32 ms every 5 ms. Levels under 60 dB below the loudest band are raised to
    that, so that the faint noise of a pause does not count; c_0, the level, is left out.

    References: Davis and Mermelstein, 1980.
    """
    # the orthonormal transform's coefficient is c_d √(n_mels / 2)
    return np.sqrt(2 / n_mels) * mel_cepstrum(x, rate, order, n_mels, depth=60)[1:]


def cepstral_distortion(a: ArrayLike, b: ArrayLike) -> float:
    """Mean distance in dB of two sequences of cepstra (D, N), (D, M), c_0 left out, along their path.

        MCD = (1/K) Σ_k (10 / ln 10) √(2 Σ_d (a_d[i_k] - b_d[j_k])²)

    With the cepstra of `mel_cepstra` the term of a frame is the root-mean-square difference of two
    log spectra over the mel scale, in dB, cut to `order` cosines, since a cosine has mean square ½:
    20/ln 10 · √(½ Σ Δ²) = 10/ln 10 · √(2 Σ Δ²).

    >>> round(cepstral_distortion(np.zeros((2, 5)), np.full((2, 7), 0.1)), 4)  # 0.1 · 20 / ln 10
    0.8686
    """
    i, j = warping_path(a, b)
    difference = np.asarray(a, float)[:, i] - np.asarray(b, float)[:, j]  # (D, K)
    return float(DB / np.sqrt(2) * np.mean(np.sqrt(np.sum(difference**2, axis=0))))


def mel_cepstral_distortion(
    a: ArrayLike, b: ArrayLike, rate: int, order: int = 24, n_mels: int = 32
) -> float:
    """Mel-cepstral distortion of two recordings of the same words in dB, 0 for equal ones.

    Time is warped first (`warping_path`), so that tempo does not count; nor does the level. Compare
    only figures made by one program: the number of coefficients and of bands, the frames and the
    treatment of pauses move the result by decibels.

    What it cannot hear: the rhythm, which is warped away; the level; phase; and hardly whether there is
    a voice at all (a whisper or a buzz with the right envelope scores well). Another pitch costs it more
    than that, since the low bands tell single harmonics apart. And it takes what is smooth for better: the mean of many renditions, which sounds
    muffled, is nearer to each of them than they are to each other.

    Args: a, b: (T,), (T',) waveforms at `rate` Hz. order: D. n_mels: bands.

    References: Kubichek, Mel-Cepstral Distance Measure for Objective Speech Quality Assessment, 1993.

    >>> x = np.random.default_rng(0).normal(0, 0.1, 8000)
    >>> mel_cepstral_distortion(x, 0.5 * x, 8000) < 1e-9
    True
    """
    return cepstral_distortion(*(mel_cepstra(x, rate, order, n_mels) for x in (a, b)))


# ---------------------------------------------------------------- several at once
def compare(
    generated: Sequence[np.ndarray], recorded: Sequence[np.ndarray], rate: int, warp: bool = False
) -> dict[str, float]:
    """Every distance of sounds to recordings: means over the pairs, of the std ratio the median.

    MCD is taken along a warped path, F0 and voicing if `warp`; the others frame by frame, after a sound has been
    cut or filled up to its recording's length. F0 where both have one; NaN if there is no such frame.

    Returns "mcd", "lsd", "log_mel" in dB, "stft", "f0" (median |error| in cents), "gross" (% of frames more
    than 600 cents off), "voicing" in %, "std_ratio".

    What it cannot hear: what none of its distances can.
    """
    rows = []
    for made, real in zip(generated, recorded, strict=True):
        made, real = np.asarray(made, dtype=float), np.asarray(real, dtype=float)
        cut = fit_length(made, len(real))
        cents, gross, unvoiced = pitch_errors(made if warp else cut, real, rate, warp)
        rows.append(
            {
                "mcd": mel_cepstral_distortion(made if warp else cut, real, rate),
                "lsd": log_spectral_distance(cut, real, rate),
                "log_mel": log_mel_distance(cut, real, rate),
                "stft": stft_distance(cut, real, rate),
                "f0": cents,
                "gross": 100 * gross,
                "voicing": 100 * unvoiced,
                "std_ratio": std_ratio(made if warp else cut, real),
            }
        )
    return summarise(rows)


def summarise(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """One value for each column: the mean of those that are finite, of "std_ratio" or "std ratio" the median.

    >>> summarise([{"f0": 2.0, "std_ratio": 1.0}, {"f0": float("nan"), "std_ratio": 3.0}])
    {'f0': 2.0, 'std_ratio': 2.0}
    """
    if not rows or any(row.keys() != rows[0].keys() for row in rows):
        raise ValueError("rows are one or more, and have the same columns")
    columns = {name: [row[name] for row in rows if np.isfinite(row[name])] for name in rows[0]}
    middle = lambda name: np.median if name.startswith("std") else np.mean
    return {k: float(middle(k)(v)) if v else float("nan") for k, v in columns.items()}
