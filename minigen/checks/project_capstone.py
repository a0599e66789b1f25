"""Checks for project F: a corpus divided, a report that is fair, and a voice that stands in it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from .. import metrics
from ..audio import fit_length
from ..data import SPEAKERS, Utterance, spoken_digits
from ..speech.corpus import held_out_speaker_words
from .core import CheckFailed, exercise, ok, parts, require
from .reader import Reader

RATE = 8000
MEASURES = ("mcd", "log_mel", "std_ratio")
MCD, CENTS, NAMED = 5.5, 50.0, 10  # dB, cents, of twelve words
LEVELS, LATE, LOUD = 0.8, 2, 3.0  # correlation; frames of 10 ms; a factor
# recordings, and what learned from them
CLOSED = (
    "minigen.data.spoken_digits",
    "minigen.weights.load",
)


def muted(clip: Utterance) -> Utterance:
    """A clip without its sound: text, speaker, phones with their times and F0 are left."""
    return replace(clip, audio=np.zeros_like(clip.audio))


def folds() -> list[tuple[list[Utterance], list[Utterance]]]:
    """Twice: clips to learn from, and of six speaker-words that are not among them one clip each."""
    parts = [held_out_speaker_words(spoken_digits(), fold) for fold in (0, 1)]
    return [(train, [c for c in out if "_t1.0_p1.0" in c.name]) for train, out in parts]


def scores(make: Callable, held: Sequence[Utterance], seed: int = 0) -> dict[str, float]:
    """What `metrics.compare` says of a voice on clips that it sees muted, and how many words are named rightly.

    The recogniser knows other recordings of the same speaker, at other tempi.
    """
    made = [np.asarray(make(muted(clip), seed), dtype=float) for clip in held]
    found = metrics.compare(made, [clip.audio for clip in held], RATE)
    known = {s: [c for c in spoken_digits(s) if "_t1.0_" not in c.name] for s in SPEAKERS}
    judges = {s: metrics.DigitRecogniser(clips) for s, clips in known.items()}
    named = sum(judges[c.speaker](x) == c.text for x, c in zip(made, held, strict=True))
    return found | {"named": named}


# ---------------------------------------------------------------- F.1


def _corpora() -> list[tuple[list[Utterance], float]]:
    clips = spoken_digits()
    order = np.random.default_rng(0).permutation(len(clips))
    two = [c for c in clips if c.speaker != "rms"]
    gaps = [clips[k] for k in order[:200]]  # not every speaker says every word equally often
    return [(clips, 0.2), ([clips[k] for k in order], 0.2), (two, 0.1), (gaps, 0.2), (clips, 0.5)]


@exercise("F.1", "what is held out", own_chance=True)
def split(split: Callable) -> None:
    """split(clips, share) -> (clips to learn from, clips held out), lists of the given clips."""
    pair = lambda clip: (clip.speaker, clip.text)
    results = []
    for clips, share in _corpora():
        train, out = parts(split(list(clips), share), "training", "held out")
        names = [clip.name for clip in [*train, *out]]
        if sorted(names) != sorted(clip.name for clip in clips):
            raise CheckFailed(
                "✗ the parts: together they must hold each clip once; "
                f"{len(names)} clips came back of {len(clips)}, {len(set(names))} different ones"
            )
        if both := {pair(c) for c in train} & {pair(c) for c in out}:
            speaker, word = min(both)
            raise CheckFailed(
                f"✗ held out: {word!r} by {speaker} is in both parts, in different clips. A model that has "
                "learned one of them knows the other: hold out all that a speaker says of a word"
            )
        for what, value in (("word", lambda c: c.text), ("speaker", lambda c: c.speaker)):
            if lost := {value(c) for c in clips} - {value(c) for c in train}:
                raise CheckFailed(
                    f"✗ training: no clip of the {what} {min(lost)!r} is left to learn from: what "
                    "is held out shall be a new combination, not a new word or a stranger"
                )
        if {c.speaker for c in out} != {c.speaker for c in clips}:
            raise CheckFailed(
                "✗ held out: every speaker needs words there, or nobody knows how he does"
            )
        if not share / 2 <= len(out) / len(clips) <= 2 * share:
            raise CheckFailed(
                f"✗ the share: {share:.0%} of the clips were asked for, {len(out) / len(clips):.0%} are held out"
            )
        results.append({clip.name for clip in out})
    if _in_another_run(split, *_corpora()[0]) not in (results[0], None):
        raise CheckFailed(
            "✗ chance: when Python is started again, the same clips are divided otherwise. The hash of a string and "
            "the order of a set are other ones in every run: sort the names and number them"
        )
    ok("each clip is in one part, and no speaker-word in both")
    ok("every word and every speaker is left to learn from")
    require(
        results[0] == results[1],
        "the order of the clips does not matter",
        "the same clips in another order are divided otherwise: your figures would depend on how a folder is "
        "listed. Go by what the clips say, not by where they stand",
    )


class _Renamed(str):
    """A string as another run of Python has it: with another hash, and so at another place in a set."""

    __slots__ = ()

    def __hash__(self) -> int:
        return hash(("another run", str(self)))


def _in_another_run(split: Reader, clips: Sequence[Utterance], share: float) -> set[str] | None:
    """Names of what would be held out if Python were started again; None where that cannot be tried."""
    space = getattr(split.function, "__globals__", {})
    own = "hash" in space
    renamed = [
        replace(c, text=_Renamed(c.text), speaker=_Renamed(c.speaker), name=_Renamed(c.name))
        for c in clips
    ]
    try:
        if not own:
            space["hash"] = lambda value: hash(("another run", value))
        with suppress(Exception):
            return {
                str(clip.name) for clip in parts(split(renamed, share), "training", "held out")[1]
            }
    finally:
        if not own:
            del space["hash"]
    return None


# ---------------------------------------------------------------- F.2


def _runs(
    rows: dict[str, Callable],
    clips: Sequence[Utterance],
    seeds: Sequence[int],
    floor: Callable,
    given: Callable = muted,
) -> dict[str, dict[str, np.ndarray]]:
    """Of each row and measure what `metrics.compare` says for each seed."""
    found, real = {}, [clip.audio for clip in clips]
    for name, make in {**rows, "floor": floor}.items():
        seen = clips if name == "floor" else [given(clip) for clip in clips]
        runs = [metrics.compare([make(c, s) for c in seen], real, RATE) for s in seeds]
        found[name] = {m: np.array([run[m] for run in runs]) for m in MEASURES}
    return found


def _noise(level: float) -> Callable:
    """What is there, and noise: of a muted clip noise alone."""

    def make(clip: Utterance, seed: int) -> np.ndarray:
        known = f"{clip.name} {clip.text} {clip.speaker} {clip.phones} {clip.f0}"
        rng = np.random.default_rng([seed, len(clip.audio), zlib.crc32(known.encode())])
        return clip.audio + level * np.exp(rng.normal()) * rng.normal(size=len(clip.audio))

    return make


@exercise("F.2", "a report")
def report(report: Callable) -> None:
    """report(rows, clips, seeds, floor) -> {name: {measure: (mean, spread)}}."""
    held = [
        replace(c, audio=c.audio[:2400], f0=c.f0[:30], phones=[p for p in c.phones if p[2] <= 0.3])
        for c in folds()[0][1]
    ]
    cases = [
        ({"loud": _noise(0.1), "faint": _noise(0.003)}, held[:3], [0, 1, 2]),
        ({"one": _noise(0.05)}, held[3:5], [5, 7]),
    ]
    for rows, clips, seeds in cases:
        want = _runs(rows, clips, seeds, _noise(0.001))
        got = report(dict(rows), list(clips), list(seeds), _noise(0.001))
        if not isinstance(got, dict) or set(got) != set(want):
            listed = ", ".join(map(str, got)) if isinstance(got, dict) else type(got).__name__
            raise CheckFailed(
                f"✗ the rows: expected {', '.join(want)}, got {listed}. The floor is a row, too: without "
                "it nobody can read the others"
            )
        for name, row in want.items():
            for measure, values in row.items():
                try:
                    m, s = (float(v) for v in got[name][measure])
                except (KeyError, TypeError, ValueError):
                    raise CheckFailed(
                        f"✗ {name}: expected {', '.join(MEASURES)}, each with a mean and a spread"
                    ) from None
                if np.allclose([m, s], [values.mean(), values.std(ddof=1)], 1e-6, 0):
                    continue
                leaked = _runs(rows, clips, seeds, _noise(0.001), lambda clip: clip)[name][measure]
                alone = [_runs(rows, [clip], seeds, _noise(0.001))[name][measure] for clip in clips]
                why = _wrong(m, s, values, leaked, np.array(alone), name)
                raise CheckFailed(f"✗ {measure} of {name!r}: {why}")
    ok("voices get muted clips, the floor gets the recording")
    ok(f"mean and spread over seeds are right, for {', '.join(MEASURES)}")


def _wrong(
    m: float, s: float, values: np.ndarray, leaked: np.ndarray, each: np.ndarray, name: str
) -> str:
    """What is wrong with a mean m and a spread s, of these values for each seed; each: clip by clip (clips, seeds)."""
    near = lambda a, b: np.isclose(a, b, rtol=1e-6)
    n, mean, spread = len(values), values.mean(), values.std(ddof=1)
    if near(m, spread) and near(s, mean):
        return "the mean comes first, then the spread"
    means = [
        (leaked.mean(), "the voice gets the recording that it is compared with: mute the clip first"),
        (each.mean(), "averaged clip by clip: of std_ratio `metrics.compare` takes the median over the clips"),
        (np.median(values), "this is the median over the seeds: take the mean"),
        (values.sum(), "this is the sum over the seeds: divide by their number"),
        *((v, f"this is what seed number {k + 1} gives alone: take the mean over all") for k, v in enumerate(values)),
        *((row.mean(), "this is one clip alone: compare all clips together") for row in each),
    ]  # fmt: skip
    if not near(m, mean) and not np.isclose(s, 0):
        for value, why in means[name == "floor" :]:
            if near(m, value):
                return why
    if np.isclose(s, 0):
        return "there is no spread: has every seed been used, each for a draw of its own?"
    if not near(m, mean):
        why = "; is the floor muted? It is made of the recording" if name == "floor" else ""
        return f"expected a mean over clips and seeds of {mean:.4f}, got {m:.4f}{why}"
    spreads = [
        (values.std(), f"divided by the number of seeds, {n}, though their own mean was taken away: divide by one less (ddof=1)"),
        (spread**2, "this is the variance: take its root"),
        (spread / np.sqrt(n), "this is how sure the mean is: the spread itself is asked for, not divided by √n"),
        (np.ptp(values), "this is the largest less the smallest: take the standard deviation"),
        (spread / abs(mean), "this is a share of the mean: give the standard deviation itself"),
        *((each.std(ddof=k), "the clips differ among themselves, too: the spread over seeds of `metrics.compare` of all is the luck of the noise") for k in (0, 1)),
    ]  # fmt: skip
    return next(
        (why for value, why in spreads if near(s, value)),
        f"expected a spread of {spread:.4f}, got {s:.4f}: it is the luck of the noise that is asked for, so the "
        "standard deviation over seeds of what `metrics.compare` says of all clips",
    )


# ---------------------------------------------------------------- F.3


def _levels(x: np.ndarray) -> np.ndarray:
    """RMS of each 10 ms in dB, down to 40 dB below the loudest, less their mean, (N,)."""
    power = np.square(x[: len(x) // 80 * 80]).reshape(-1, 80).mean(1)
    db = 10 * np.log10(power / power.max() + 1e-4)
    return db - db.mean()


def in_time(made: Sequence[np.ndarray], held: Sequence[Utterance]) -> dict[int, float]:
    """{frames: mean correlation of levels when the sounds are moved so many frames earlier}."""
    pairs = [
        (_levels(fit_length(x, len(c.audio))), _levels(c.audio.astype(float)))
        for x, c in zip(made, held, strict=True)
    ]
    alike = lambda a, b: a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    return {d: float(np.mean([alike(np.roll(a, -d), b) for a, b in pairs])) for d in range(-8, 9)}


@exercise("F.3", "a voice of your own", forbid=CLOSED)
def voice(learn: Callable) -> None:
    """learn(train) -> make(clip, seed) -> waveform (T,): of a muted clip."""
    made, held, named = [], [], 0
    for train, out in folds():
        make = learn(list(train))
        if not callable(make):
            raise CheckFailed(f"✗ learn: return a function make(clip, seed), not {make!r:.40}")
        make = Reader(make, CLOSED)
        for clip in out:
            x = np.asarray(make(muted(clip), 0), dtype=float)
            if x.ndim != 1 or not np.isfinite(x).all():
                raise CheckFailed(
                    f"✗ {clip.text!r}: expected a waveform (T,) of finite numbers, not {x.shape}"
                )
            if abs(len(x) / len(clip.audio) - 1) > 0.1:
                raise CheckFailed(
                    f"✗ {clip.text!r}: {len(x) / RATE:.2f} s of sound, but its phones last {clip.duration:.2f} s"
                )
            made.append(x), held.append(clip)
        named += scores(lambda clip, seed, make=make: make(clip, seed), out)["named"]
    found = metrics.compare([fit_length(x, len(c.audio)) for x, c in zip(made, held, strict=True)],
                            [c.audio for c in held], RATE)  # fmt: skip
    ok("twelve speaker-words that it never had come back, as long as they should be")
    require(
        found["f0"] <= CENTS,
        f"F0 is off by {found['f0']:.0f} cents in the median",
        f"F0 is off by {found['f0']:.0f} cents in the median, where {CENTS:.0f} are allowed: does the source "
        "follow clip.f0, one value each 10 ms?",
    )
    require(
        found["mcd"] <= MCD,
        f"mel-cepstral distortion {found['mcd']:.2f} dB",
        f"mel-cepstral distortion {found['mcd']:.2f} dB, where {MCD} are allowed: the mean spectrum of a speaker "
        "has some 9. Does the spectrum follow the phones, and their place in time?",
    )
    together = in_time(made, held)
    late = max(together, key=together.get)
    where = f"; it is {10 * abs(late)} ms too {'late' if late > 0 else 'early'}" * (
        abs(late) > LATE
    )
    require(
        together[0] >= LEVELS and not where,
        f"its levels, one each 10 ms, correlate with the recordings' by {together[0]:.2f}",
        f"its levels, one each 10 ms in dB, correlate with the recordings' by {together[0]:.2f}, and {LEVELS} is asked "
        f"for{where}: does the sound swell and fade with the phones, at their times?",
    )
    require(
        1 / LOUD <= found["std_ratio"] <= LOUD,
        f"and it is {found['std_ratio']:.2f} times as loud",
        f"it is {found['std_ratio']:.2g} times as loud as the recordings, allowed is a factor of {LOUD:.0f}",
    )
    require(
        named >= NAMED,
        f"{named} of {len(held)} words are named rightly",
        f"only {named} of {len(held)} words are named rightly, where {NAMED} should be",
    )
