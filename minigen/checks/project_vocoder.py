"""Checks for project A: an LPC vocoder, from a frame's filter and pitch over counted bits back to a sound."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.signal import freqz, lfilter

from .. import metrics
from ..audio import fit_length
from ..data import Utterance, spoken_digits
from .core import CheckFailed, Crash, agree, exercise, ok, parts, require
from .sender import sent_alone

WITHOUT = tuple(
    f"minigen.timeseries.{name}"
    for name in (
        "lpc",
        "lpc_analysis",
        "lpc_excitation",
        "lpc_synthesis",
        "levinson_durbin",
        "pacf",
    )
) + (
    "minigen.audio.pitch.f0",
    "minigen.data.spoken_digits",  # a receiver that looks the recording up
    "minigen.checks.project_vocoder.clips",
)
RATE, HOP, ORDER, BITS = 8000, 180, 10, 54  # 54 bits for 180 samples at 8 kHz: 2,400 bit/s
# dB, RMS over frequency: what quantising at so many bits may do to a filter
FILTER = {
    54: 2.5,
    40: 5.5,
}
LOG_MEL, MCD, VOICED, UNVOICED = 6.0, 4.6, 0.7, 0.8


def clips() -> tuple[list[Utterance], list[Utterance]]:
    """Digits to work with, and others, held out: of each speaker two words, at the voice's own tempo."""
    digits = [clip for clip in spoken_digits() if "_t1.0_" in clip.name]
    out = [("five", "awb"), ("zero", "awb"), ("seven", "rms"), ("two", "rms")]
    out += [("four", "slt"), ("nine", "slt")]
    return (
        [clip for clip in digits if (clip.text, clip.speaker) not in out],
        [clip for clip in digits if (clip.text, clip.speaker) in out],
    )


def _once_each() -> list[Utterance]:
    """Of each speaker-word that is held out one clip, at a pitch in turn."""
    return [clip for n, clip in enumerate(clips()[1]) if (n - n // 3) % 3 == 2]


# ---------------------------------------------------------------- A.1


def _reflection(frame: np.ndarray, order: int) -> tuple[np.ndarray, float]:
    """The last coefficient of the best predictor of every order, each by a solver; RMS of the error."""
    gamma = np.array([frame[m:] @ frame[: len(frame) - m] for m in range(order + 1)])
    if gamma[0] == 0:
        return np.zeros(order), 0.0
    fits = [solve_toeplitz(gamma[:m], gamma[1 : m + 1]) for m in range(1, order + 1)]
    left = gamma[0] - fits[-1] @ gamma[1:]
    return np.array([fit[-1] for fit in fits]), math.sqrt(max(left, 0) / len(frame))


def _predictor(k: np.ndarray) -> np.ndarray:
    """The prediction filter 1, -a_1, …, -a_p of reflection coefficients (p,)."""
    a = np.ones(1)
    for r in k:
        a = np.append(a, 0.0) - r * np.append(0.0, a[::-1])
    return a


def _resonant(excitation: np.ndarray, rate: int) -> np.ndarray:
    """Through two resonances, at 600 and 1500 Hz."""
    for hz, width in ((600, 100), (1500, 150)):
        r = math.exp(-math.pi * width / rate)
        excitation = lfilter(
            [1], [1, -2 * r * math.cos(2 * math.pi * hz / rate), r * r], excitation
        )
    return excitation


def _frames(x: np.ndarray, width: int = 2 * HOP) -> np.ndarray:
    """The `width` samples around each piece of HOP, silence beyond the ends: (N, width)."""
    n = -(-len(x) // HOP)
    before = (width - HOP) // 2
    padded = np.pad(x.astype(float), (before, n * HOP - len(x) + before))
    return np.lib.stride_tricks.sliding_window_view(padded, width)[::HOP].copy()


def _true_f0(clip: Utterance) -> np.ndarray:
    """F0 at the middle of each piece of HOP, as the speech synthesiser made it; NaN where voicing changes."""
    centre = (np.arange(-(-len(clip.audio) // HOP)) + 0.5) * HOP / RATE / 0.010 - 0.5
    near = [
        clip.f0[np.clip(np.round(centre + d).astype(int), 0, len(clip.f0) - 1)] for d in (-1, 0, 1)
    ]
    voiced = sum(f > 0 for f in near)
    return np.where(voiced == 3, near[1], np.where(voiced == 0, 0.0, np.nan))


@exercise("A.1", "the filter and the pitch of a frame", forbid=WITHOUT)
def analysis(reflection: Callable, pitch: Callable) -> None:
    """reflection(frame (M,), order) -> k (p,), RMS error; pitch(frame (M,), rate) -> Hz, or 0."""
    rng = np.random.default_rng(0)
    sound = _resonant(rng.normal(size=400), RATE)
    frame = np.hanning(360) * sound[40:]
    k, gain = _reflection(frame, ORDER)
    M = len(frame)
    gamma = np.array([frame[m:] @ frame[: M - m] for m in range(ORDER + 1)])
    spread = gamma / (M - np.arange(ORDER + 1))
    turned = np.fft.irfft(np.abs(np.fft.rfft(frame)) ** 2, M)[: ORDER + 1]
    last = lambda g: np.array(
        [solve_toeplitz(g[:m], g[1 : m + 1])[-1] for m in range(1, ORDER + 1)]
    )
    hints = {
        "k": [
            (
                lambda got: np.shape(got) == k.shape and np.isclose(got[0], -k[0]),
                "the sign of the first is turned round: for order 1 it is γ_1 / γ_0",
            ),
            (
                solve_toeplitz(gamma[:-1], gamma[1:]),
                "these are the predictor's coefficients: k_m is the last one of the predictor of order m",
            ),
            (last(spread), "each γ_m is divided by its number of products: then the filter may be unstable"),
            (last(turned), "the frame is taken for a circle: its end does not meet its start"),
            (gamma[1:] / gamma[0], "these are autocorrelations: take away what lower orders predict"),
        ],
        "the RMS of the error": [
            (gain**2, "this is the mean square of the error: take its root"),
            (gain * math.sqrt(M), "this is the root of a sum over the frame: of a mean"),
            (math.sqrt(gamma[0] / M), "this is the RMS of the frame: of what is left when it is predicted"),
        ],
    }  # fmt: skip
    clip = clips()[0][7]
    loud = max(_frames(clip.audio), key=np.std)
    others = [
        (np.hanning(90) * rng.normal(size=90), 4),
        (1e-4 * frame, 1),
        (np.hanning(360) * loud, 16),
        (np.hanning(240) * loud[60:300], ORDER),
    ]
    agree(reflection, _reflection, [(frame, ORDER), *others], list(hints), 1e-6, hints)
    silent = parts(reflection(np.zeros(200), 6), *hints)
    require(
        np.shape(silent[0]) == (6,) and not np.any(silent[0]) and silent[1] == 0,
        "of silence they are 0",
        f"of silence all are 0, these are {silent[0]} and {silent[1]}",
    )
    _pitch_of_pulses(pitch)
    wrong, octaves, voicing = _pitch_of_speech(pitch)
    require(
        voicing <= 0.2,
        f"held-out speech: voiced or not is right in {1 - voicing:.0%} of the frames",
        f"held-out speech: voiced or not is wrong in {voicing:.0%} of the frames, allowed are 20 %: "
        "move the likeness from which on a frame is voiced",
    )
    require(
        octaves <= 0.06 and wrong <= 40,
        f"there F0 is within {wrong:.0f} cents (the median), and {octaves:.1%} are far off",
        f"held-out speech: F0 is off by {wrong:.0f} cents (the median; allowed are 40), and {octaves:.0%} "
        "of the frames by more than half an octave (allowed are 6 %): of lags that are nearly equally good, the "
        "shortest is the period, and lags are whole numbers",
    )


def _hz(pitch: Callable, frame: np.ndarray, rate: int = RATE) -> float:
    """What the reader's function finds, one number."""
    found = pitch(frame, rate)
    if np.ndim(found) > 0 or not 0 <= float(found) < math.inf:
        raise CheckFailed(f"✗ F0 is one number, in Hz or 0, not {found!r}")
    return float(found)


def _pitch_of_pulses(pitch: Callable) -> None:
    """Pulses of whole periods through resonances, noise through the same, silence."""
    rng = np.random.default_rng(1)
    for period, rate in (
        (129, 8000),
        (89, 8000),
        (35, 8000),
        (57, 8000),
        (114, 16000),
        (55, 16000),
    ):
        pulses, hz = np.zeros(rate // 2), rate / period
        pulses[::period] = 1.0
        x = _resonant(pulses + 0.01 * rng.normal(size=len(pulses)), rate)[-int(0.045 * rate) :]
        for scale, offset in ((1.0, 0.0), (1e-3, 0.0), (1.0, 0.5 * np.abs(x).max())):
            got = _hz(pitch, scale * x + offset, rate)
            say = f"pulses at {hz:.1f} Hz, sampled at {rate} Hz"
            say += f", {scale:g} times as loud" if scale != 1 else ", with an offset" * bool(offset)
            if abs(got / hz - 1) <= 0.015:
                continue
            ratio = got / hz
            why = "this is not what repeats: divide a correlation by the energies of both of its parts"
            if got == 0:
                why = "called unvoiced"
            elif offset:
                why = "take the mean of the frame away first"
            elif abs(rate / got - period) < 2:
                why = f"a lag of {rate / got:.0f} in place of {period}: which lag does the first of your list belong to?"
            elif abs(got / period - 1) < 0.06:
                why = "this is the period in samples: divide the rate by it"
            elif abs(ratio * rate / 8000 - 1) < 0.05:
                why = "the rate is not used"
            elif abs(ratio - round(ratio)) < 0.05 or abs(1 / ratio - round(1 / ratio)) < 0.05:
                why = "a multiple or a fraction of the pitch: a period fits twice as well as it does once"
            raise CheckFailed(f"✗ {say}: F0 is {got:.1f} Hz, {why}")
    ok("the pitch of pulses is right, from 62 to 291 Hz, at two rates")
    noise = [_resonant(rng.normal(size=1000), RATE)[-360:] for _ in range(40)]
    noise += list(rng.normal(size=(40, 360)))
    share = float(np.mean([_hz(pitch, frame) > 0 for frame in noise]))
    require(
        share <= 0.1,
        f"{1 - share:.0%} of noises have none",
        f"{share:.0%} of frames of noise are called voiced: it should be 0 Hz where nothing repeats",
    )
    require(_hz(pitch, np.zeros(360)) == 0, "silence has none", "silence has a pitch")


def _pitch_of_speech(pitch: Callable) -> tuple[float, float, float]:
    """On held-out clips: median error in cents, share of gross errors, share of voicing errors."""
    cents, voicing = [], []
    for clip in clips()[1]:
        frames, truth = _frames(clip.audio), _true_f0(clip)
        level = frames.std(axis=1)
        for frame, f0 in zip(
            frames[level > 0.05 * level.max()], truth[level > 0.05 * level.max()], strict=True
        ):
            if math.isnan(f0):
                continue
            got = _hz(pitch, frame)
            voicing.append((got > 0) != (f0 > 0))
            if got > 0 and f0 > 0:
                cents.append(abs(1200 * math.log2(got / f0)))
    if not cents:
        return math.inf, 1.0, float(np.mean(voicing))
    return float(np.median(cents)), float(np.mean(np.array(cents) > 600)), float(np.mean(voicing))


# ---------------------------------------------------------------- A.2


def _counted(data: bytes, frames: int, bits: int) -> None:
    """Fail if more is sent than was allowed."""
    allowed = -(-frames * bits // 8)
    if len(data) > allowed:
        why = ""
        if len(data) == frames * -(-bits // 8):
            why = ": each frame is filled up to whole bytes. Join the bits of all frames first"
        elif len(data) >= frames * bits:
            why = ": a byte for each bit? Eight bits make one"
        raise CheckFailed(
            f"✗ {frames} frames of {bits} bits fit into {allowed} bytes, these are {len(data)}{why}"
        )


def _features(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(k (N, p), gain (N,)) of a sound, for the check's own use."""
    fade = np.hanning(2 * HOP)
    fits = [_reflection(fade * frame, ORDER) for frame in _frames(x)]
    k = np.clip([k for k, _ in fits], -0.9999, 0.9999)
    return k, np.array([gain for _, gain in fits]) / math.sqrt(np.mean(fade**2))


def _filter_error(k: np.ndarray, other: np.ndarray) -> np.ndarray:
    """RMS over frequency of the difference of two filters of each frame, dB, (N,)."""
    level = lambda row: 20 * np.log10(np.abs(freqz(1, _predictor(row), 256)[1]))
    return np.array(
        [np.sqrt(np.mean((level(a) - level(b)) ** 2)) for a, b in zip(k, other, strict=True)]
    )


def _opened(unpack: Callable, data: bytes, bits: int, frames: int, order: int) -> list[np.ndarray]:
    """What the receiver makes of bytes: k, gain, F0, of the right shapes and within bounds."""
    try:
        answer = parts(unpack(data, bits), "k", "gain", "F0")
    except Crash as crash:
        if isinstance(crash.error, (LookupError, AttributeError, NameError)):
            alone = "The receiver has the bytes and its own code, nothing else: what the sender kept is gone"
            raise Crash(f"{crash}\n  {alone}", crash.error) from crash.error
        raise
    k, gain, f0 = (np.asarray(value, dtype=float) for value in answer)
    if k.shape != (frames, order) or gain.shape != (frames,) or f0.shape != (frames,):
        raise CheckFailed(
            f"✗ of {frames} frames k has shape {(frames, order)}, gain and F0 {(frames,)}; these have "
            f"{k.shape}, {gain.shape}, {f0.shape}"
        )
    if not (np.isfinite(k).all() and np.isfinite(gain).all() and np.isfinite(f0).all()):
        raise CheckFailed("✗ what is received is not finite")
    if np.abs(k).max() >= 1:
        raise CheckFailed(
            f"✗ a coefficient of {k.flat[np.abs(k).argmax()]:.4g} is received: at ±1 the filter rings for "
            "ever. Take the middle of each step, and neither end of the range"
        )
    if gain.min() < 0 or f0.min() < 0 or f0.max() > 1000:
        raise CheckFailed("✗ gain is not negative, and F0 is 0 or a pitch")
    return [k, gain, f0]


@exercise("A.2", "so many bits a frame", forbid=WITHOUT)
def transmission(pack: Callable, unpack: Callable) -> None:
    """pack(k (N, 10), gain (N,), f0 (N,), n) -> bytes; unpack(bytes, n) -> k, gain, f0."""
    held = [(*_features(clip.audio), np.nan_to_num(_true_f0(clip))) for clip in _once_each()]
    rng = np.random.default_rng(0)
    for frames in (1, 3, 6):
        k = np.tanh(rng.normal(size=(frames, ORDER)))
        f0 = rng.choice([0.0, 1.0], frames) * rng.uniform(50, 400, frames)
        held.append((k, 10 ** rng.uniform(-4, 0, frames), f0))
    k = np.full((4, ORDER), 0.9999) * [[1], [-1], [1], [0]]
    held.append((k, np.array([1.0, 0.0, 1e-4, 1.0]), np.array([50.0, 0.0, 400.0, 0.0])))
    other = (
        np.tanh(np.linspace(-1, 1, 2 * ORDER)).reshape(2, ORDER),
        np.array([0.1, 0.2]),
        np.array([0.0, 123.0]),
    )
    for bits, most in FILTER.items():
        sent = sent_alone(lambda *each, n=bits: pack(*each, n), (pack, unpack), held, other)
        for (k, _, _), data in zip(held, sent, strict=True):
            _counted(data, len(k), bits)
        order = rng.permutation(len(held))
        got = {i: _opened(unpack, sent[i], bits, len(held[i][0]), ORDER) for i in order}
        ok(f"{bits} bits a frame are not exceeded, and the bytes are all that the receiver gets")
        _same_voice([held[i] for i in got], list(got.values()))
        speech = range(len(held) - 4)
        lost = np.concatenate([_filter_error(held[i][0], got[i][0]) for i in speech]).mean()
        sizes = np.abs(np.concatenate([held[i][0] - got[i][0] for i in speech])).mean(axis=0)
        why = f"coefficient {1 + sizes.argmax()} is off by {sizes.max():.2f} in the mean"
        if sizes.max() < 0.2:
            why = (
                "near ±1 a small step of k changes the filter much: use steps that are equal in another "
                "quantity, the arcsine of k or log (1 + k) / (1 - k), and give all the bits that there are"
            )
        require(
            lost <= most,
            f"{bits} bits move the filters of held-out speech by {lost:.2f} dB",
            f"{bits} bits move the filters of held-out speech by {lost:.2f} dB (RMS over frequency), allowed "
            f"are {most}: {why}",
        )
    noise = [rng.bytes(-(-frames * bits // 8)) for frames, bits in ((5, 54), (8, 40), (40, 54))]
    for data, frames, bits in zip(noise, (5, 8, 40), (54, 40, 54), strict=True):
        _opened(unpack, data, bits, frames, ORDER)
    ok("whatever bits arrive, the filters are stable")


def _same_voice(sent: Sequence, got: Sequence) -> None:
    """Voicing is exact, F0 within 50 cents, gain within 3 dB."""
    f0, f1 = (np.concatenate([each[2] for each in side]) for side in (sent, got))
    wrong = (f0 > 0) != (f1 > 0)
    if wrong.any():
        n = wrong.argmax()
        raise CheckFailed(
            f"✗ a frame of F0 {f0[n]:.0f} Hz is received with {f1[n]:.0f} Hz: voiced or not needs a code of its own"
        )
    voiced = f0 > 0
    cents = np.abs(1200 * np.log2(f1[voiced] / f0[voiced]))
    n = cents.argmax()
    require(
        cents.max() <= 50,
        f"F0 is received within {cents.max():.0f} cents",
        f"F0 {f0[voiced][n]:.0f} Hz is received as {f1[voiced][n]:.0f} Hz, {cents.max():.0f} cents off (allowed "
        "are 50): steps that are equal in log F0, from 50 to 400 Hz",
    )
    g0, g1 = (np.concatenate([each[1] for each in side]) for side in (sent, got))
    if (g1[g0 == 0] > 1e-3).any():
        raise CheckFailed(f"✗ silence is received with a gain of {g1[g0 == 0].max():.2g}")
    heard = g0 >= 1e-4
    db = 20 * np.abs(np.log10(np.maximum(g1[heard], 1e-9) / g0[heard]))
    n = db.argmax()
    require(
        db.max() <= 3,
        f"the gain is received within {db.max():.1f} dB",
        f"a gain of {g0[heard][n]:.2g} is received as {g1[heard][n]:.2g}, {db.max():.1f} dB off (allowed are "
        "3): steps that are equal in log gain, from 1e-4 to 1",
    )


# ---------------------------------------------------------------- A.3


def repeats(x: np.ndarray, clip: Utterance) -> tuple[float, float]:
    """How alike neighbouring periods are, -1 … 1, where the clip is voiced, at its own pitch; the same where
    it is unvoiced, at the best lag. NaN where there is no such frame."""
    truth = clip.f0
    rms = np.sqrt(np.mean(np.square(clip.audio, dtype=float)))
    voiced, other = [], []
    for n, f0 in enumerate(truth):
        near, centre = truth[max(0, n - 2) : n + 3], 80 * n + 40
        if not 180 <= centre <= len(x) - 180:
            continue
        here = slice(centre - 180, centre + 180)
        frame = x[here]
        if np.sqrt(np.mean(np.square(clip.audio[here], dtype=float))) < 0.1 * rms:
            continue
        alike = lambda m, v=frame: (
            v[m:] @ v[:-m] / math.sqrt((v[m:] @ v[m:]) * (v[:-m] @ v[:-m]) + 1e-12)
        )
        if (near > 0).all():
            period = RATE / f0
            voiced.append(max(map(alike, range(int(0.96 * period), int(1.04 * period) + 2))))
        elif (near == 0).all():
            other.append(max(map(alike, range(20, 134))))
    mean = lambda values: float(np.mean(values)) if values else math.nan
    return mean(voiced), mean(other)


def scores(pairs: Sequence[tuple[np.ndarray, Utterance]]) -> dict[str, float]:
    """What sounds (T,) are worth beside the clips that they were made of: means, of the level the median.

    "log_mel" and "mcd" in dB, "level" a ratio, "voiced" and "unvoiced" as in `repeats`."""
    rows = []
    for x, clip in pairs:
        real = clip.audio.astype(float)
        x = fit_length(np.asarray(x, dtype=float), len(real))
        voiced, unvoiced = repeats(x, clip)
        rows.append(
            {
                "log_mel": metrics.log_mel_distance(x, real, RATE),
                "mcd": metrics.mel_cepstral_distortion(x, real, RATE),
                "std_ratio": metrics.std_ratio(x, real),
                "voiced": voiced,
                "unvoiced": unvoiced,
            }
        )
    return metrics.summarise(rows)


def _whitened(synthesise: Callable, k: np.ndarray, gain: float, f0: float) -> np.ndarray:
    """What is left when the filter is taken from a sound of equal frames."""
    frames = 60
    x = synthesise(np.tile(k, (frames, 1)), np.full(frames, gain), np.full(frames, f0))
    x = np.asarray(x, dtype=float)
    if x.shape != (frames * HOP,):
        raise CheckFailed(f"✗ {frames} frames make {(frames * HOP,)} samples, not {x.shape}")
    if not np.isfinite(x).all():
        raise CheckFailed("✗ the filter of equal frames explodes, though all |k| < 1")
    return lfilter(_predictor(k), 1, x)[10 * HOP :]


def _source(synthesise: Callable) -> None:
    """By scipy's filter, what drives the sound: white noise, or a pulse each period, of the RMS that is given."""
    k = np.array([0.85, -0.7, 0.3, -0.4, 0.2, 0.1, -0.3, 0.2, -0.1, 0.3])
    gain = 0.02
    e = _whitened(synthesise, k, gain, 0.0)
    color = max(abs(e[m:] @ e[:-m]) / (e @ e) for m in range(1, 12))
    require(
        color <= 0.06,
        "unvoiced frames: noise through the filter of k, by scipy's own filter",
        "unvoiced frames: with the filter of k taken away (scipy's lfilter) no white noise is left; neighbours "
        f"correlate by up to {color:.2f}. Are all ten stages run, is the sign of k that of A.1, and the order of the stages right?",
    )
    for name, hz in (("unvoiced", 0.0), ("voiced", 100.0), ("voiced", 160.0)):
        e = _whitened(synthesise, k, gain, hz)
        rms = float(np.sqrt(np.mean(e**2)))
        require(
            0.85 <= rms / gain <= 1.15,
            f"{name} frames{f' at {hz:.0f} Hz' * (hz > 0)}: their source has the RMS of the gain",
            f"{name} frames{f' at {hz:.0f} Hz' * (hz > 0)}: their source has an RMS of {rms:.3g}, and the gain "
            f"is {gain}" + ": a pulse for each period is √period times as high" * (hz > 0),
        )
    lag = int(RATE / 100)
    e = _whitened(synthesise, k, gain, 100.0)
    alike = e[lag:] @ e[:-lag] / (e @ e)
    require(
        alike >= 0.5,
        "voiced frames repeat after a period",
        f"voiced frames at 100 Hz: sounds {lag} samples apart correlate by only {alike:.2f}: is there a pulse "
        "for each period, and do they go on across the edges of frames?",
    )


@exercise("A.3", "from bits to sound", forbid=WITHOUT)
def resynthesis(analyse: Callable, synthesise: Callable, pack: Callable, unpack: Callable) -> None:
    """analyse(x (T,)) -> k (N, 10), gain, f0; synthesise(k, gain, f0) -> (180 N,); and those of A.2."""
    _source(synthesise)
    held = _once_each()

    def send(x: np.ndarray) -> bytes:
        frames = parts(analyse(x), "k", "gain", "F0")
        count = -(-len(x) // HOP)
        if [np.shape(value) for value in frames] != [(count, ORDER), (count,), (count,)]:
            raise CheckFailed(
                f"✗ {len(x)} samples are {count} frames: k has shape {(count, ORDER)}, gain and F0 {(count,)}; these "
                f"have {', '.join(str(np.shape(value)) for value in frames)}"
            )
        return pack(*frames, BITS)

    readers = (analyse, pack, unpack, synthesise)
    sounds = [(clip.audio.astype(float),) for clip in held]
    sent = sent_alone(send, readers, sounds, (clips()[0][0].audio.astype(float),))
    for data, clip in zip(sent, held, strict=True):
        _counted(data, -(-len(clip.audio) // HOP), BITS)
    made = []
    for data, clip in list(zip(sent, held, strict=True))[::-1]:
        x = np.asarray(synthesise(*unpack(data, BITS)), dtype=float)
        if x.ndim != 1 or abs(len(x) - len(clip.audio)) > HOP:
            raise CheckFailed(f"✗ of {len(clip.audio)} samples come {x.shape}")
        if not np.isfinite(x).all():
            raise CheckFailed("✗ the sound is not finite")
        made.append((x, clip))
    rate = 8 * sum(map(len, sent)) / sum(len(x) for x, _ in made) * RATE
    found = scores(made)
    ok(
        f"{len(held)} held-out clips are sent at {rate:,.0f} bit/s, and the receiver gets nothing else"
    )
    require(
        0.7 <= found["std_ratio"] <= 1.4,
        f"they are as loud as before, by a factor of {found['std_ratio']:.2f}",
        f"they are {found['std_ratio']:.2f} times as loud as before: the gain is that of the error of the frame "
        "itself, before it was faded, which is the faded one's over the RMS of the window",
    )
    require(
        found["voiced"] >= VOICED,
        f"where they are voiced, neighbouring periods are alike: {found['voiced']:.2f}",
        f"where they are voiced, neighbouring periods are alike by {found['voiced']:.2f}, and {VOICED} is asked "
        "for: noise in place of pulses gives 0.2, a wrong pitch 0.3",
    )
    require(
        not found["unvoiced"] > UNVOICED,
        f"where they are not, less so: {found['unvoiced']:.2f}",
        f"where they are unvoiced, the sound repeats, too, by {found['unvoiced']:.2f} (at most {UNVOICED}): noise "
        "belongs where F0 is 0",
    )
    late = {
        d: scores([(np.roll(x, -d), clip) for x, clip in made])["log_mel"] for d in (-HOP, -HOP // 2, HOP // 2, HOP)
    } if found["log_mel"] > LOG_MEL else {}  # fmt: skip
    best = min(late, key=late.get, default=0)
    why = "does each frame stand in the middle of the samples that it serves, and does the filter remember what it made?"
    if late and late[best] < found["log_mel"] - 0.3:
        why = f"the sound is {abs(best)} samples too {'late' if best > 0 else 'early'}: centre the frames"
    require(
        found["log_mel"] <= LOG_MEL and found["mcd"] <= MCD,
        f"log-mel distance {found['log_mel']:.2f} dB, mel-cepstral distortion {found['mcd']:.2f} dB",
        f"log-mel distance {found['log_mel']:.2f} dB (at most {LOG_MEL}), mel-cepstral distortion "
        f"{found['mcd']:.2f} dB (at most {MCD}): {why}",
    )
