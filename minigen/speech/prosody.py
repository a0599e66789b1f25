"""From text to phones, durations and F0: how a sentence is to be said, before any network speaks.

    text -> words -> phones              `minigen.speech.pronunciation`: dictionary, rules, pauses
    phones -> durations                  `Durations`: a Gaussian for log-seconds, given the context
    phones, durations -> F0, voicing     `Contour`: means given the context, plus an AR model's wander
    phones, times, F0 -> features        `minigen.conditioning`

`Prosody` holds both models and makes a plan. Every step can be replaced by the truth: give the plan
phones, or phones with their times, or F0, and only what is missing is predicted. Nothing here needs
torch. It is one file with the statistics of speaking; `conditioning` is what a network hears.

>>> from minigen.data import spoken_digits
>>> prosody = Prosody.fit(spoken_digits("slt"))
>>> times, f0 = prosody.plan("seven two")            # [(phone, start, end)], Hz a frame of 10 ms
>>> " ".join(name for name, _, _ in times)
'pau s eh v ax n t uw pau'
>>> clip = spoken_digits("slt", "seven")[0]
>>> times, f0 = prosody.plan(times=clip.phones)      # the truth for phones and times, F0 predicted
>>> times == list(clip.phones) and len(f0) == round(times[-1][2] / 0.01)
True
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..data import Utterance
from ..gaussian import Gaussian
from ..timeseries import AR, levinson_durbin
from . import pronunciation as pronounce
from .pronunciation import SILENCE, VOWELS

__all__ = ["BackedOff", "Contour", "Durations", "Prosody", "contexts", "times_of"]

FRAME = 0.01  # seconds
THIRDS = 3  # places in a phone
BINS = 6  # places in a phrase, from one pause to the next
Times = Sequence[tuple[str, float, float]]

_MANNERS = {
    "stop": ["p", "t", "k", "ch"],
    "voiced stop": ["b", "d", "g", "jh"],
    "fricative": ["f", "s", "sh", "th", "hh"],
    "voiced fricative": ["v", "z", "zh", "dh"],
    "nasal": ["m", "n", "ng"],
    "liquid": ["l", "r", "w", "y"],
    "vowel": sorted(VOWELS),
    SILENCE: [SILENCE],
}
MANNER = {phone: manner for manner, phones in _MANNERS.items() for phone in phones}
_NEAR = {"zh": ("sh", "jh"), "oy": ("ao",), "uh": ("uw", "ax"), "th": ("f",), "dh": ("d",)}


def contexts(phones: Sequence[str]) -> list[tuple[str, ...]]:
    """For each phone the descriptions of its context, from the most specific to the most general.

    In all of them stands the phone. Then: both neighbours; the manners of both neighbours; the manner
    of the next one. And whether a pause came before it, and how near the next pause is: "end" for the
    last phone, "late" for others after which no vowel comes any more, "" for the rest. A pause itself is
    at the start, inside or at the end.

    >>> contexts(["pau", "t", "uw", "pau"])[2]
    ('uw t pau  late', 'uw (stop pau)  late', 'uw (pau)  late', 'uw  late', 'uw', '')
    """
    if not phones:
        raise ValueError("there are no phones to describe")
    out, n = [], len(phones)
    for i, phone in enumerate(phones):
        before = phones[i - 1] if i else SILENCE
        after = phones[i + 1] if i + 1 < n else SILENCE
        if phone == SILENCE:
            place = "start" if i == 0 else "end" if i == n - 1 else "inside"
        else:
            rest = list(phones[i + 1 :])
            rest = rest[: rest.index(SILENCE)] if SILENCE in rest else rest
            vowel_follows = any(MANNER.get(name) == "vowel" for name in rest)
            closing = "" if vowel_follows else "late" if rest or phone in VOWELS else "end"
            place = f"{'first' if before == SILENCE else ''} {closing}"
        m_before, m_after = MANNER.get(before, before), MANNER.get(after, after)
        out.append(
            (
                f"{phone} {before} {after} {place}",
                f"{phone} ({m_before} {m_after}) {place}",
                f"{phone} ({m_after}) {place}",
                f"{phone} {place}",
                phone,
                "",
            )
        )
    return out


@dataclass
class BackedOff:
    """A Gaussian for every context that was seen often enough; else that of a more general one.

    Fitted by `Gaussian.fit`, the estimator of chapter 2, on the values seen in each context.

    Args:
        gaussians: by the description of the context; "" is the one that always fits.
        counts: how many values each was fitted on.

    >>> keys = [("a x", "a", "")] * 3 + [("a y", "a", "")]
    >>> model = BackedOff.fit(keys, [1.0, 2.0, 3.0, 10.0], least=2)
    >>> model.find(("a x", "a", "")).mean, model.find(("a z", "a", "")).mean  # a z was never seen
    (array([2.]), array([4.]))
    """

    gaussians: dict[str, Gaussian]
    counts: dict[str, int]

    @classmethod
    def fit(
        cls,
        keys: Sequence[tuple[str, ...]],
        values: Sequence[float],
        least: int = 8,
        narrowest: float = 0.05,
    ) -> BackedOff:
        """From the contexts of each value, general ones last, and the values (n,).

        Args:
            least: values that a context needs for a Gaussian of its own; the last one needs two.
            narrowest: standard deviation that none falls below.
        """
        if len(keys) != len(values) or len(values) < 2:
            raise ValueError(f"{len(keys)} contexts for {len(values)} values; both need at least 2")
        found = defaultdict(list)
        for described, value in zip(keys, values, strict=True):
            for key in described:
                found[key].append(value)
        gaussians, counts = {}, {}
        for key, seen in found.items():
            if len(seen) >= (2 if key == "" else max(2, least)):
                x = np.array(seen, dtype=float)[:, None]  # (n, 1)
                wide = x.std() > narrowest
                gaussians[key] = Gaussian.fit(x) if wide else Gaussian(x.mean(0), [[narrowest**2]])
                counts[key] = len(seen)
        return cls(gaussians, counts)

    def find(self, keys: Sequence[str]) -> Gaussian:
        """The Gaussian of the first context, from specific to general, that has one."""
        return next(self.gaussians[key] for key in (*keys, "") if key in self.gaussians)

    def means(self, keys: Sequence[tuple[str, ...]]) -> np.ndarray:
        """µ of each, (n,)."""
        return np.array([self.find(key).mean[0] for key in keys])

    def scales(self, keys: Sequence[tuple[str, ...]]) -> np.ndarray:
        """σ of each, (n,)."""
        return np.array([self.find(key).cholesky[0, 0] for key in keys])

    def to_json(self) -> dict:
        """{context: [µ, σ, n]}, rounded to a ten-thousandth."""
        return {
            key: [round(g.mean[0], 4), round(float(g.cholesky[0, 0]), 4), self.counts[key]]
            for key, g in self.gaussians.items()
        }

    @classmethod
    def from_json(cls, table: dict) -> BackedOff:
        gaussians = {key: Gaussian([mean], [[std**2]]) for key, (mean, std, _) in table.items()}
        return cls(gaussians, {key: n for key, (_, _, n) in table.items()})


def times_of(phones: Sequence[str], durations: Sequence[float]) -> list[tuple[str, float, float]]:
    """Durations in seconds -> [(phone, start, end)], each starting where the last one ended."""
    durations = np.asarray(durations, dtype=float)
    if len(phones) != len(durations) or not (durations > 0).all():
        raise ValueError(f"{len(phones)} phones need as many durations, all above 0")
    ends = np.cumsum(durations)
    starts = np.concatenate([[0.0], ends[:-1]])
    return list(zip(phones, starts.tolist(), ends.tolist(), strict=True))


@dataclass
class Durations:
    """How long a phone is: log d ~ N(µ, σ²) with µ and σ of its context, d in seconds.

    The logarithm keeps every duration positive, and makes "10 % longer" the same step everywhere.
    """

    model: BackedOff

    @classmethod
    def fit(cls, sentences: Sequence[Times], least: int = 8) -> Durations:
        """From sentences of (phone, start, end)."""
        keys, values = [], []
        for times in sentences:
            keys += contexts([name for name, _, _ in times])
            values += [math.log(max(end - start, 0.005)) for _, start, end in times]
        return cls(BackedOff.fit(keys, values, least, narrowest=0.2))

    def predict(
        self,
        phones: Sequence[str],
        seed: int | np.random.Generator | None = None,
        temperature: float = 1.0,
        total: float | None = None,
    ) -> np.ndarray:
        """Seconds of each phone, (P,).

        Args:
            seed: None for the middle, exp µ, of each; else durations are drawn.
            temperature: scales σ when drawing.
            total: if given, all are stretched alike until they sum to it.
        """
        keys = contexts(phones)
        log_d = self.model.means(keys)
        if seed is not None:
            noise = np.random.default_rng(seed).standard_normal(len(keys))
            log_d = log_d + temperature * self.model.scales(keys) * noise
        d = np.exp(log_d)
        return d if total is None else d * (total / d.sum())

    def log_prob(self, times: Times) -> np.ndarray:
        """log p(log d | context) of each phone, in nats, (P,)."""
        keys = contexts([name for name, _, _ in times])
        log_d = np.log([max(end - start, 0.005) for _, start, end in times])
        mean, scale = self.model.means(keys), self.model.scales(keys)
        return -0.5 * ((log_d - mean) / scale) ** 2 - np.log(scale) - 0.5 * math.log(2 * math.pi)


@dataclass
class _Frames:
    """Where every frame of 10 ms is: contexts of its phone and third, and its place in the phrase."""

    keys: list[tuple[str, ...]]  # N
    kind: np.ndarray  # (N,) 0: the only phrase, 1: the first, 2: one inside, 3: the last
    place: np.ndarray  # (N,) 0 … 1 from the phrase's start to its end


def _frames(times: Times, n: int) -> _Frames:
    names = [name for name, _, _ in times]
    start, end = (np.array([row[k] for row in times]) for k in (1, 2))
    centre = (np.arange(n) + 0.5) * FRAME
    which = np.minimum(np.searchsorted(end, centre), len(times) - 1)  # (N,) which phone
    within = (centre - start[which]) / np.maximum(end[which] - start[which], 1e-3)
    third = np.clip((THIRDS * within).astype(int), 0, THIRDS - 1)
    described = [(key[1], key[3], key[4]) for key in contexts(names)]
    keys = [
        (*(f"{key} @{k}" for key in described[i]), "") for i, k in zip(which, third, strict=True)
    ]
    speech = np.array([name != SILENCE for name in names])
    phrase = np.cumsum(np.diff(speech.astype(int), prepend=0) == 1) - 1  # (P,) number of the phrase
    kind, place = np.zeros(n, int), np.zeros(n)
    last = phrase.max()
    for index in range(last + 1):
        inside = (phrase == index) & speech
        if not inside.any():
            continue
        first, until = start[inside].min(), end[inside].max()
        here = (phrase[which] == index) | (index == 0) & (phrase[which] < 0)
        kind[here] = 0 if last == 0 else 1 if index == 0 else 3 if index == last else 2
        place[here] = np.clip((centre[here] - first) / max(until - first, 1e-3), 0, 1)
    return _Frames(keys, kind, place)


@dataclass
class Contour:
    """F0 and voicing, frame by frame, of phones with known times.

        log F0[n] = level(place in the phrase) + offset(phone, neighbours, third of it) + r[n]
        r[n] = φ_1 r[n-1] + φ_2 r[n-2] + ε[n]

    A frame is voiced if more than half of the frames in its context were. The level is a line through
    the means at 6 places, for the only, the first, an inner and the last phrase; the offset is the mean,
    in context, of what the level leaves; r is what both leave, and wanders as chapter 5's AR model.

    Args:
        level: (4, BINS). offset, voicing: of contexts. ar: of r.
    """

    level: np.ndarray
    offset: BackedOff
    voicing: BackedOff
    ar: AR = field(default_factory=lambda: AR(2, constant=False))

    @classmethod
    def fit(cls, clips: Sequence[Utterance], order: int = 2, least: int = 8) -> Contour:
        """From clips with phones and F0."""
        parts = []
        for clip in clips:
            if clip.phones is None or clip.f0 is None:
                raise ValueError(f"{clip.name or clip.text!r} has no phone times or no F0")
            parts.append((_frames(clip.phones, len(clip.f0)), clip.f0))
        keys = [key for frames, _ in parts for key in frames.keys]
        f0 = np.concatenate([hz for _, hz in parts])
        kind = np.concatenate([frames.kind for frames, _ in parts])
        place = np.concatenate([frames.place for frames, _ in parts])
        voiced = f0 > 0
        if voiced.sum() < 20:
            raise ValueError(f"only {voiced.sum()} voiced frames: a contour needs more")
        voicing = BackedOff.fit(keys, voiced.astype(float), least)
        log_f0 = np.log(f0[voiced])
        level = np.full((4, BINS), log_f0.mean())
        which = np.minimum((BINS * place[voiced]).astype(int), BINS - 1)
        for row in range(4):
            for column in range(BINS):
                here = (kind[voiced] == row) & (which == column)
                if here.sum() >= least and log_f0[here].std() > 0:
                    level[row, column] = Gaussian.fit(log_f0[here][:, None]).mean[0]
        left = log_f0 - cls._level_at(level, kind[voiced], place[voiced])
        at = np.flatnonzero(voiced)
        offset = BackedOff.fit([keys[i] for i in at], left, least)
        out = cls(level, offset, voicing)
        residuals = []
        for frames, hz in parts:
            rest = np.where(hz > 0, np.log(np.maximum(hz, 1.0)) - out._mean(frames), np.nan)
            cuts = np.flatnonzero(np.diff(np.isfinite(rest).astype(int))) + 1
            residuals += [run for run in np.split(rest, cuts) if np.isfinite(run).all()]
        gamma = [sum(run[k:] @ run[: len(run) - k] for run in residuals) for k in range(order + 1)]
        phi, variances, _ = levinson_durbin(np.array(gamma) / sum(map(len, residuals)))
        out.ar = AR(order, constant=False).set(phi, sigma=math.sqrt(variances[-1]))
        return out

    @staticmethod
    def _level_at(level: np.ndarray, kind: np.ndarray, place: np.ndarray) -> np.ndarray:
        centres = (np.arange(BINS) + 0.5) / BINS
        lines = np.stack([np.interp(place, centres, row) for row in level])  # (4, N)
        return lines[kind, np.arange(len(kind))]

    def _mean(self, frames: _Frames) -> np.ndarray:
        offset = np.pad(self.offset.means(frames.keys), 2, mode="edge")
        smooth = np.convolve(offset, np.array([1, 2, 3, 2, 1]) / 9, mode="valid")  # no steps
        return self._level_at(self.level, frames.kind, frames.place) + smooth

    def mean(self, times: Times, n: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean of log F0 and the probability to be voiced, of each frame: (N,), (N,)."""
        frames = _frames(times, n or _count(times))
        return self._mean(frames), self.voicing.means(frames.keys)

    def predict(
        self,
        times: Times,
        seed: int | np.random.Generator | None = None,
        temperature: float = 1.0,
        n: int | None = None,
    ) -> np.ndarray:
        """F0 in Hz, one value a frame, 0 where unvoiced, (N,).

        Args:
            seed: None for the mean contour; else r is drawn.
            temperature: scales r.
            n: frames, by default as many as the phones last.
        """
        log_f0, voicing = self.mean(times, n)
        if seed is not None:
            log_f0 = log_f0 + temperature * self.ar.simulate(len(log_f0), seed)
        return np.where(voicing > 0.5, np.exp(log_f0), 0.0)


def _count(times: Times) -> int:
    return max(1, round(times[-1][2] / FRAME))


@dataclass
class Prosody:
    """How one voice times and tunes what it says: durations and contour.

    >>> from minigen.data import spoken_digits
    >>> prosody = Prosody.fit(spoken_digits("rms"))
    >>> slow, _ = prosody.plan("one two", pace=0.5)
    >>> quick, _ = prosody.plan("one two", pace=1.0)
    >>> round(slow[-1][2] / quick[-1][2], 6)
    2.0
    """

    speaker: str
    inventory: tuple[str, ...]  # the phones that it ever said
    durations: Durations
    contour: Contour

    @classmethod
    def fit(cls, clips: Sequence[Utterance], least: int = 8) -> Prosody:
        """From clips of one speaker with phones and F0."""
        speakers = sorted({clip.speaker for clip in clips})
        if len(speakers) != 1:
            raise ValueError(f"Prosody is of one speaker; these clips are of {speakers}")
        durations = Durations.fit([clip.phones for clip in clips], least)
        inventory = tuple(sorted({name for clip in clips for name, _, _ in clip.phones}))
        return cls(speakers[0], inventory, durations, Contour.fit(clips, least=least))

    def phones(self, text: str) -> list[str]:
        """Text -> phones, those that the voice never said replaced by their nearest."""
        out = []
        for phone in pronounce.phones(text):
            near = next((p for p in (phone, *_NEAR.get(phone, ())) if p in self.inventory), None)
            if near is None:
                raise ValueError(f"this voice never said the phone {phone!r} that {text!r} needs")
            out.append(near)
        return out

    def plan(
        self,
        text: str | None = None,
        *,
        phones: Sequence[str] | None = None,
        times: Times | None = None,
        f0: np.ndarray | None = None,
        pace: float = 1.0,
        pitch: float = 1.0,
        seed: int | None = None,
        temperature: float = 1.0,
    ) -> tuple[list[tuple[str, float, float]], np.ndarray]:
        """-> phones with times, F0 in Hz a frame (N,): what `voice.conditioning_for` takes.

        Args:
            text: to be said; or
            phones: the truth instead of the dictionary's guess; or
            times: the truth of phones and their times, [(phone, start, end)].
            f0: the truth of F0 and voicing, for `times`.
            pace: 2 is twice as fast. pitch: 1.2 is 20 % higher.
            seed: None for means; else durations and F0 are drawn.
            temperature: scales what is drawn.
        """
        if sum(given is not None for given in (text, phones, times)) != 1:
            raise ValueError("give one of text, phones, and times")
        if f0 is not None and times is None:
            raise ValueError("a true f0 belongs to true times: give both")
        for name, value in (("pace", pace), ("pitch", pitch)):
            if not 0.5 <= value <= 2:
                raise ValueError(f"{name} is a factor from 0.5 to 2, not {value}")
        if f0 is not None and pace != 1:
            raise ValueError("a true f0 has the pace it has: leave pace at 1")
        rng = None if seed is None else np.random.default_rng(seed)
        if times is None:
            names = list(phones) if phones is not None else self.phones(text)
            times = times_of(names, self.durations.predict(names, rng, temperature) / pace)
        else:
            times = [(name, start / pace, end / pace) for name, start, end in times]
        if f0 is None:
            f0 = self.contour.predict(times, rng, temperature)
        return times, pitch * np.asarray(f0, dtype=float)

    def save(self, path: Path | str) -> None:
        """Write the fitted numbers as JSON."""
        contour = self.contour
        table = {
            "format": "minigen prosody 1",
            "speaker": self.speaker,
            "inventory": self.inventory,
            "durations": self.durations.model.to_json(),
            "level": contour.level.round(4).tolist(),
            "offset": contour.offset.to_json(),
            "voicing": contour.voicing.to_json(),
            "ar": {"phi": contour.ar.coefficients.round(6).tolist(), "sigma": contour.ar.sigma},
        }
        Path(path).write_text(json.dumps(table, separators=(",", ":")) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path | str) -> Prosody:
        """Read what `save` wrote."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path} of fitted prosody")
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            if table["format"] != "minigen prosody 1":
                raise ValueError(f"format {table['format']}")
            phi = table["ar"]["phi"]
            contour = Contour(
                np.array(table["level"]),
                BackedOff.from_json(table["offset"]),
                BackedOff.from_json(table["voicing"]),
                AR(len(phi), constant=False).set(phi, sigma=table["ar"]["sigma"]),
            )
            durations = Durations(BackedOff.from_json(table["durations"]))
            return cls(table["speaker"], tuple(table["inventory"]), durations, contour)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} does not hold fitted prosody: {error}") from error
