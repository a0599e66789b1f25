"""From phones to durations and F0: how a sentence is to be spoken, before any network makes sound.

    text -> phones                       `minigen.speech.pronunciation`
    phones -> durations                  `Durations`: a Gaussian of log-seconds, given the context
    phones, durations -> F0, voicing     `Contour`: means given the context, plus an AR model's wander
    phones, times, F0 -> features        `minigen.conditioning`

`Prosody` holds both models and makes a plan. Any step can be replaced by the truth: give the plan phones,
or phones with their times, and only the rest is predicted.

>>> from minigen.data import spoken_digits
>>> prosody = Prosody.fit(spoken_digits("slt"))
>>> times, f0 = prosody.plan("seven two")            # [(phone, start, end)], Hz per frame of 10 ms
>>> " ".join(name for name, _, _ in times)
'pau s eh v ax n t uw pau'
>>> clip = spoken_digits("slt", "seven")[0]
>>> times, f0 = prosody.plan(times=clip.phones)      # true phones and times, F0 predicted
>>> times == list(clip.phones) and len(f0) == round(times[-1][2] / 0.01)
True
"""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from ..audio import write_whole
from ..data import Utterance
from ..gaussian import Gaussian, Seed
from ..timeseries import AR, levinson_durbin
from . import pronunciation
from .phones import MANNER, SILENCE, is_vowel, nearest

FORMAT = "minigen prosody 1"
FRAME = 0.01  # seconds
THIRDS = 3  # places in a phone
BINS = 6  # places in a phrase, from one pause to the next
MIN_COUNT = 8  # values that a context needs for a Gaussian of its own
Times = Sequence[tuple[str, float, float]]


def contexts(phones: Sequence[str]) -> list[tuple[str, ...]]:
    """For each phone the descriptions of its context, from the most specific to the most general.

    The phone with both neighbours; with their manners; with the manner of the next one; alone. All but the last
    two add whether a pause came before, and how near the next pause is: "end" for the last phone, "late" for
    others with no vowel after them, "" for the rest. A pause itself is at the start, inside or at the end.

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
            end = next((k for k in range(i, n) if phones[k] == SILENCE), n)
            rest = phones[i + 1 : end]
            late = "late" if rest or is_vowel(phone) else "end"
            closing = "" if any(map(is_vowel, rest)) else late
            place = f"{'first' if before == SILENCE else ''} {closing}"
        m_before, m_after = MANNER.get(before, before), MANNER.get(after, after)
        near = (f"{before} {after}", f"({m_before} {m_after})", f"({m_after})")
        specific = (f"{phone} {those} {place}" for those in near)
        out.append((*specific, f"{phone} {place}", phone, ""))
    return out


@dataclass(repr=False)
class BackedOff:
    """A Gaussian for every context that was seen often enough; else that of a more general one.

    Args:
        gaussians: by the description of the context; "" is the one that always fits.
        counts: how many values each was fitted on.

    >>> keys = [("a x", "a", "")] * 3 + [("a y", "a", "")]
    >>> model = BackedOff.fit(keys, [1.0, 2.0, 3.0, 10.0], min_count=2)
    >>> model.find(("a x", "a", "")).mean, model.find(("a z", "a", "")).mean  # a z was never seen
    (array([2.]), array([4.]))
    """

    gaussians: dict[str, Gaussian]
    counts: dict[str, int]

    def __repr__(self) -> str:
        return f"BackedOff({len(self.gaussians)} contexts, {self.counts.get('', 0)} values)"

    @classmethod
    def fit(
        cls,
        keys: Sequence[tuple[str, ...]],
        values: Sequence[float],
        min_count: int = MIN_COUNT,
        min_std: float = 0.05,
    ) -> Self:
        """From the contexts of each value, general ones last, and the values (n,).

        Args:
            min_count: values that a context needs for a Gaussian of its own; the last one needs two.
            min_std: standard deviation that none falls below.
        """
        if len(keys) != len(values) or len(values) < 2:
            raise ValueError(f"{len(keys)} contexts for {len(values)} values; both need at least 2")
        found = defaultdict(list)
        for described, value in zip(keys, values, strict=True):
            for key in described:
                found[key].append(value)
        gaussians = {}
        for key, seen in found.items():
            if len(seen) >= (2 if key == "" else max(2, min_count)):
                x = np.array(seen, dtype=float)[:, None]  # (n, 1)
                wide = x.std() > min_std
                gaussians[key] = Gaussian.fit(x) if wide else Gaussian(x.mean(0), [[min_std**2]])
        return cls(gaussians, {key: len(found[key]) for key in gaussians})

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
    def from_json(cls, table: dict) -> Self:
        """From what `to_json` returned."""
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
    A context needs 8 phones (`MIN_COUNT`) for a Gaussian of its own, and no σ falls below 0.2
    (`MIN_STD`): durations that agree by chance are not that certain.
    """

    MIN_STD = 0.2
    model: BackedOff

    @classmethod
    def fit(cls, sentences: Sequence[Times], min_count: int = MIN_COUNT) -> Self:
        """From sentences of (phone, start, end)."""
        keys = [key for times in sentences for key in contexts([name for name, _, _ in times])]
        log_d = np.concatenate([cls._log(times) for times in sentences])
        return cls(BackedOff.fit(keys, log_d, min_count, cls.MIN_STD))

    @staticmethod
    def _log(times: Times) -> np.ndarray:
        return np.log([max(end - start, 0.005) for _, start, end in times])

    def predict(
        self, phones: Sequence[str], seed: Seed | None = None, temperature: float = 1.0
    ) -> np.ndarray:
        """Seconds of each phone, (P,).

        Args:
            seed: None for the mean of each, exp(µ + σ²/2), so that a sentence takes as long as on average (the
                median, exp µ, is shorter); else durations are drawn.
            temperature: scales σ when drawing.
        """
        keys = contexts(phones)
        mean, scale = self.model.means(keys), self.model.scales(keys)
        if seed is None:
            return np.exp(mean + 0.5 * scale**2)
        noise = np.random.default_rng(seed).standard_normal(len(keys))
        return np.exp(mean + temperature * scale * noise)

    def log_prob(self, times: Times) -> np.ndarray:
        """log p(log d | context) of each phone, in nats, (P,)."""
        keys = contexts([name for name, _, _ in times])
        mean, scale = self.model.means(keys), self.model.scales(keys)
        z = (self._log(times) - mean) / scale
        return -0.5 * z**2 - np.log(scale) - 0.5 * math.log(2 * math.pi)


def frame_contexts(times: Times, n: int) -> tuple[list[tuple[str, ...]], np.ndarray, np.ndarray]:
    """Where each of n frames of 10 ms is: contexts of its phone and third, kind of phrase, place in it.

    The kind is 0 for the only phrase, 1 for the first, 2 for one inside, 3 for the last, (N,); the place
    goes from 0 to 1, (N,).
    """
    start, end = (np.array([row[k] for row in times]) for k in (1, 2))
    centre = (np.arange(n) + 0.5) * FRAME
    which = np.minimum(np.searchsorted(end, centre), len(times) - 1)  # (N,) which phone
    within = (centre - start[which]) / np.maximum(end[which] - start[which], 1e-3)
    third = np.clip((THIRDS * within).astype(int), 0, THIRDS - 1)
    described = [(key[1], key[3], key[4]) for key in contexts([name for name, _, _ in times])]
    places = zip(which, third, strict=True)
    keys = [(*(f"{key} @{k}" for key in described[i]), "") for i, k in places]
    speech = np.array([name != SILENCE for name, _, _ in times])
    phrase = np.cumsum(np.diff(speech.astype(int), prepend=0) == 1) - 1  # (P,) number of the phrase
    kind, place = np.zeros(n, int), np.zeros(n)
    last = phrase.max()
    for index in range(last + 1):
        inside = (phrase == index) & speech
        first, until = start[inside].min(), end[inside].max()
        here = (phrase[which] == index) | (index == 0) & (phrase[which] < 0)
        kind[here] = 0 if last == 0 else 1 if index == 0 else 3 if index == last else 2
        place[here] = np.clip((centre[here] - first) / max(until - first, 1e-3), 0, 1)
    return keys, kind, place


@dataclass
class Contour:
    """F0 and voicing, frame by frame, of phones with known times.

        log F0[n] = level(place in the phrase) + offset(phone, neighbours, third of it) + r[n]
        r[n] = φ_1 r[n-1] + φ_2 r[n-2] + ε[n]

    A frame is voiced if more than half of the frames in its context were. The level is a line through
    the means at 6 places, for the only, the first, an inner and the last phrase; the offset is the mean,
    in context, of what the level leaves; r is what both leave, and wanders as chapter 5's AR model.

    Args: level: (4, BINS). offset, voicing: of contexts. ar: of r.
    """

    level: np.ndarray
    offset: BackedOff
    voicing: BackedOff
    ar: AR = field(default_factory=lambda: AR(2, constant=False))

    @classmethod
    def fit(cls, clips: Sequence[Utterance], order: int = 2, min_count: int = MIN_COUNT) -> Self:
        """From clips with phones and F0."""
        for clip in clips:
            if clip.phones is None or clip.f0 is None:
                raise ValueError(f"{clip.name or clip.text!r} has no phone times or no F0")
        frames = [frame_contexts(clip.phones, len(clip.f0)) for clip in clips]
        keys = [key for part in frames for key in part[0]]
        kind, place = (np.concatenate([part[k] for part in frames]) for k in (1, 2))
        f0 = np.concatenate([clip.f0 for clip in clips])
        voiced = f0 > 0
        if voiced.sum() < 20:
            raise ValueError(f"only {voiced.sum()} voiced frames: a contour needs at least 20")
        voicing = BackedOff.fit(keys, voiced.astype(float), min_count)
        log_f0, kind, place = np.log(f0[voiced]), kind[voiced], place[voiced]
        level = np.full((4, BINS), log_f0.mean())
        column = np.minimum((BINS * place).astype(int), BINS - 1)
        for row, bin_ in np.ndindex(level.shape):
            here = (kind == row) & (column == bin_)
            if here.sum() >= min_count:
                level[row, bin_] = log_f0[here].mean(dtype=float)
        left = log_f0 - _level_at(level, kind, place)
        at = np.flatnonzero(voiced)
        out = cls(level, BackedOff.fit([keys[i] for i in at], left, min_count), voicing)
        residuals = []
        for part, clip in zip(frames, clips, strict=True):
            off = np.log(np.maximum(clip.f0, 1.0)) - out._mean(*part)
            rest = np.where(clip.f0 > 0, off, np.nan)
            cuts = np.flatnonzero(np.diff(np.isfinite(rest).astype(int))) + 1
            residuals += [run for run in np.split(rest, cuts) if np.isfinite(run).all()]
        gamma = [sum(run[k:] @ run[: len(run) - k] for run in residuals) for k in range(order + 1)]
        phi, variances, _ = levinson_durbin(np.array(gamma) / sum(map(len, residuals)))
        out.ar = AR.from_parameters(phi, sigma=math.sqrt(variances[-1]))
        return out

    def _mean(self, keys: list[tuple[str, ...]], kind: np.ndarray, place: np.ndarray) -> np.ndarray:
        offset = np.pad(self.offset.means(keys), 2, mode="edge")
        smooth = np.convolve(offset, np.array([1, 2, 3, 2, 1]) / 9, mode="valid")  # no steps
        return _level_at(self.level, kind, place) + smooth

    def mean(self, times: Times, n: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean of log F0 and the probability to be voiced, of each frame: (N,), (N,)."""
        frames = frame_contexts(times, n or max(1, round(times[-1][2] / FRAME)))
        return self._mean(*frames), self.voicing.means(frames[0])

    def predict(
        self, times: Times, seed: Seed | None = None, temperature: float = 1.0, n: int | None = None
    ) -> np.ndarray:
        """F0 in Hz per frame, 0 where unvoiced, (N,).

        Args:
            seed: None for the mean contour; else r is drawn. temperature: scales r.
            n: frames, by default as many as the phones last.
        """
        log_f0, voicing = self.mean(times, n)
        if seed is not None:
            log_f0 = log_f0 + temperature * self.ar.simulate(len(log_f0), seed)
        return np.where(voicing > 0.5, np.exp(log_f0), 0.0)


def _level_at(level: np.ndarray, kind: np.ndarray, place: np.ndarray) -> np.ndarray:
    centres = (np.arange(BINS) + 0.5) / BINS
    lines = np.stack([np.interp(place, centres, row) for row in level])  # (4, N)
    return lines[kind, np.arange(len(kind))]


@dataclass
class Prosody:
    """The durations and the contour of one voice.

    >>> from minigen.data import spoken_digits
    >>> prosody = Prosody.fit(spoken_digits("rms"))
    >>> slow, _ = prosody.plan("one two", pace=0.5)
    >>> quick, _ = prosody.plan("one two", pace=1.0)
    >>> round(slow[-1][2] / quick[-1][2], 6)
    2.0
    """

    speaker: str
    inventory: tuple[str, ...]  # the phones in the voice's recordings
    durations: Durations
    contour: Contour

    @classmethod
    def fit(cls, clips: Sequence[Utterance], min_count: int = MIN_COUNT) -> Self:
        """From clips of one speaker with phones and F0."""
        speakers = sorted({clip.speaker for clip in clips})
        if len(speakers) != 1:
            raise ValueError(f"Prosody is of one speaker; these clips are of {speakers}")
        durations = Durations.fit([clip.phones for clip in clips], min_count)
        inventory = tuple(sorted({name for clip in clips for name, _, _ in clip.phones}))
        return cls(speakers[0], inventory, durations, Contour.fit(clips, min_count=min_count))

    def plan(
        self,
        text: str | None = None,
        *,
        phones: Sequence[str] | None = None,
        times: Times | None = None,
        pace: float = 1.0,
        pitch: float = 1.0,
        seed: int | None = None,
        temperature: float = 1.0,
    ) -> tuple[list[tuple[str, float, float]], np.ndarray]:
        """-> phones with times, F0 in Hz per frame (N,): what `synthesis.conditioning_for` takes.

        Args:
            text: to be read; or
            phones: instead of what `pronunciation` makes of a text; or
            times: true phones with their times, [(phone, start, end)].
            pace: 2 is twice as fast. pitch: 1.2 is 20 % higher.
            seed: None for means; else durations and F0 are drawn. temperature: scales what is drawn.
        """
        if sum(given is not None for given in (text, phones, times)) != 1:
            raise ValueError("give one of text, phones, and times")
        for name, value in (("pace", pace), ("pitch", pitch)):
            if not 0.5 <= value <= 2:
                raise ValueError(f"{name} is a factor from 0.5 to 2, not {value}")
        rng = None if seed is None else np.random.default_rng(seed)
        if text is not None:
            phones = [nearest(phone, self.inventory) for phone in pronunciation.phones(text)]
        if times is not None and not len(times):
            raise ValueError("there are no phones to plan for")
        if times is None:
            times = times_of(phones, self.durations.predict(phones, rng, temperature) / pace)
        else:
            times = [(name, start / pace, end / pace) for name, start, end in times]
        return times, pitch * self.contour.predict(times, rng, temperature)

    def to_table(self) -> dict:
        """The fitted numbers, as JSON can hold them."""
        contour = self.contour
        return {
            "format": FORMAT,
            "speaker": self.speaker,
            "inventory": self.inventory,
            "durations": self.durations.model.to_json(),
            "level": contour.level.round(4).tolist(),
            "offset": contour.offset.to_json(),
            "voicing": contour.voicing.to_json(),
            "ar": {"phi": contour.ar.coefficients.round(6).tolist(), "sigma": contour.ar.sigma},
        }

    @classmethod
    def from_table(cls, table: dict) -> Self:
        """From what `to_table` returned."""
        if table["format"] != FORMAT:
            raise ValueError(f"format {table['format']}")
        ar = AR.from_parameters(table["ar"]["phi"], sigma=table["ar"]["sigma"])
        offset, voicing = (BackedOff.from_json(table[name]) for name in ("offset", "voicing"))
        contour = Contour(np.array(table["level"]), offset, voicing, ar)
        durations = Durations(BackedOff.from_json(table["durations"]))
        return cls(table["speaker"], tuple(table["inventory"]), durations, contour)

    def save(self, path: Path | str) -> None:
        """Write the fitted numbers as JSON."""
        text = json.dumps(self.to_table(), separators=(",", ":"))
        with write_whole(path) as place:
            place.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read what `save` wrote."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path} of fitted prosody")
        try:
            return cls.from_table(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} does not hold fitted prosody: {error}") from error
