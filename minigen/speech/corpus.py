"""What a voice learns from: clips of a corpus made ready, which are held out, and which crops a step sees."""

import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from .. import conditioning, data
from ..audio import pitch, resample, to_level
from ..conditioning import DIGITS, VoiceSpec
from ..data import Utterance
from ..data.spoken_digits import DIGIT_WORDS

HELD_OUT = "_t1.2_p1.0"  # of the digits: this tempo at this pitch, every word and speaker
ANYBODY = "anybody"  # the one speaker of a vocoder
LOUD = 0.15  # the level of everything that a vocoder is conditioned on


def held_out(
    clips: list[Utterance] | None = None, corpus: str = "spoken_digits"
) -> tuple[list[Utterance], list[Utterance]]:
    """A corpus -> (clips to train on, clips held out).

    Of the digits, one tempo and pitch of every word is held out; of `fsdd`, recordings 0 to 4 of every
    digit and speaker, its own test part. Of any other corpus, of the sentences of 4 words or more and 8 s or
    less about a tenth: those whose normalised text has a CRC-32 divisible by 10. The choice goes by text, so
    that a short sentence recorded twice lies on one side as a whole.
    """
    clips = data.spoken_digits() if clips is None else clips
    digits = lambda clip: clip.name.endswith(HELD_OUT)
    fsdd = lambda clip: int(clip.name.rsplit("_", 1)[1]) < 5
    is_out = {"spoken_digits": digits, "fsdd": fsdd}.get(corpus, _by_text)
    return [clip for clip in clips if not is_out(clip)], list(filter(is_out, clips))


def held_out_speaker_words(
    clips: Sequence[Utterance], fold: int = 0
) -> tuple[list[Utterance], list[Utterance]]:
    """Digits -> (clips to train on, clips held out): two words of each speaker, at all tempi and pitches.

    `held_out` leaves clips of the same word and speaker at other tempi in training. Here none is: what is held
    out is known from other speakers only. In five folds, 0 … 4, each word of each speaker is held out once.

    >>> train, out = held_out_speaker_words(data.spoken_digits())
    >>> said = lambda clips: {(clip.speaker, clip.text) for clip in clips}
    >>> len(train), len(out), said(train) & said(out)
    (288, 72, set())
    """
    if fold not in range(5):
        raise ValueError(f"there are folds 0 to 4, not {fold}")
    speakers = sorted({clip.speaker for clip in clips})
    number = lambda clip: DIGIT_WORDS.index(clip.text) + 3 * speakers.index(clip.speaker)
    is_out = lambda clip: number(clip) % 5 == fold
    return [clip for clip in clips if not is_out(clip)], list(filter(is_out, clips))


def _by_text(clip: Utterance) -> bool:
    words = re.findall(r"[^\W_]+", clip.text.lower())
    text = " ".join(words).encode()
    return len(words) >= 4 and clip.duration <= 8 and zlib.crc32(text) % 10 == 0


# ---------------------------------------------------------------- clips made ready
def read_all(
    name: str, rate: int, minutes: int | None = None
) -> tuple[list[Utterance], list[Utterance]]:
    """The clips of a corpus as `read` makes them ready: (to train on, held out). See `held_out`."""
    return held_out(read(name, rate, minutes), name)


def read(name: str, rate: int, minutes: int | None = None) -> list[Utterance]:
    """The clips of a corpus, ready for a vocoder: at one rate and at the level LOUD, with F0, all by ANYBODY.

    Args:
        name: a loader of `minigen.data`. rate: to resample to.
        minutes: about so many, if there are; the clips are taken from all over the corpus.
    """
    if not hasattr(data, name):
        raise ValueError(f"no corpus {name!r:.80}: give the name of a loader of minigen.data")
    clips = getattr(data, name)()
    if minutes is not None:
        share = 60 * minutes / sum(clip.duration for clip in clips)
        chosen = np.linspace(0, len(clips) - 1, math.ceil(min(1, share) * len(clips)))
        clips = [clips[round(i)] for i in chosen]
    return [ready(replace(at_one_level(clip), phones=[], speaker=ANYBODY), rate) for clip in clips]


def at_one_level(clip: Utterance) -> Utterance:
    """A clip at the level LOUD."""
    try:
        audio = to_level(clip.audio, clip.rate, LOUD)
    except ValueError as error:
        raise ValueError(f"{clip.name}: {error}") from error
    return replace(clip, audio=np.clip(audio, -1, 1).astype(np.float32))


def ready(clip: Utterance, rate: int) -> Utterance:
    """A clip at another rate, with its F0, cut to whole frames; phones, where it has them, keep their times."""
    x, hop = resample(clip.audio, clip.rate, rate), rate // 100
    n = len(x) // hop
    if n == 0:
        raise ValueError(f"{clip.name} is shorter than a frame of 10 ms")
    f0 = pitch.f0(x, rate)[:n]
    f0 = np.pad(f0, (0, n - len(f0)))
    x = np.clip(x[: n * hop], -1, 1).astype(np.float32)
    end = n * hop / rate
    cut = [(name, min(a, end), min(b, end)) for name, a, b in clip.phones or () if a < end]
    return replace(clip, audio=x, rate=rate, f0=f0, phones=clip.phones and cut)


def dithered(clip: Utterance, dither: float) -> np.ndarray:
    """The samples of a clip with white noise of that standard deviation, always the same, (T,) float32."""
    noise = np.random.default_rng(0).normal(0, 1, len(clip.audio))
    return clip.audio + (dither * noise).astype(np.float32)


def as_batch(
    clip: Utterance, dither: float = 0.0, spec: VoiceSpec = DIGITS, follow_audio: bool = True
) -> dict[str, Tensor]:
    """One clip with phones and F0 as a batch of one, dithered: what `forward` and `conditioning` take.

    `follow_audio` as in `conditioning.features`: whether the phase is the recording's own, or the sum of F0.
    """
    frames, phase = conditioning.features(clip, follow_audio, spec)
    return {
        "audio": torch.from_numpy(dithered(clip, dither))[None, None],  # (1, 1, T)
        "frames": torch.from_numpy(frames)[None],  # (1, F, N)
        "phase": torch.from_numpy(phase)[None],  # (1, 6, T)
        "speaker": torch.tensor([spec.speakers.index(clip.speaker)]),  # (1,)
    }


# ---------------------------------------------------------------- crops
class CropSampler:
    """Crops cut from several clips of one speaker in a row, so that a model learns how they follow.

    Args:
        pools: of each speaker, clips as {name: array (..., k · N)}, N frames each. frames: in a crop.
        by_length: choose clips in proportion to their length, so that every frame is seen equally often; for
            clips of very different lengths.
        grid: crops begin at multiples of so many frames.
    """

    def __init__(
        self,
        pools: Sequence[Sequence[Mapping[str, np.ndarray]]],
        frames: int,
        by_length: bool = False,
        grid: int = 1,
    ) -> None:
        if not all(pools):
            raise ValueError("crops need clips of every speaker")
        self.pools, self.frames, self.grid = pools, frames, grid
        length = lambda clip: min(array.shape[-1] for array in clip.values())
        self.lengths = [np.array([length(clip) for clip in pool]) for pool in pools]
        self.shares = [n / n.sum() if by_length else None for n in self.lengths]

    def __call__(self, rng: np.random.Generator) -> tuple[int, dict[str, np.ndarray]]:
        """-> speaker, {name: array (..., k · frames)}."""
        speaker = int(rng.integers(len(self.pools)))
        pool, lengths, share = (x[speaker] for x in (self.pools, self.lengths, self.shares))
        chosen, first, have = [], 0, 0
        while have < first + self.frames:
            which = rng.integers(len(pool)) if share is None else rng.choice(len(pool), p=share)
            chosen.append(which)
            have += lengths[which]
            if len(chosen) == 1:
                first = self.grid * int(rng.integers(have // self.grid))
        crop = {}
        for name, array in pool[chosen[0]].items():
            k = array.shape[-1] // lengths[chosen[0]]  # values a frame
            whole = np.concatenate([pool[which][name] for which in chosen], axis=-1)
            crop[name] = whole[..., first * k : (first + self.frames) * k]
        return speaker, crop

    @property
    def fingerprint(self) -> Tensor:
        """For each clip its length, its energy and what it is conditioned on, as numbers."""
        rows = []
        for array in (a for pool in self.pools for clip in pool for a in clip.values()):
            table = np.square(np.atleast_2d(array), dtype=float).mean(-1).ravel()
            rows += [array.shape[-1], table @ np.arange(1, len(table) + 1)]  # which row, too
        return torch.tensor(rows).double()


class Batches:
    """What a `Trainer` sees: `item(step, index)` -> {name: array}, of a `sampler`, `batch` of them a step.

    Item i of step s depends on (seed, s, i) alone.
    """

    sampler: CropSampler
    batch: int

    @property
    def fingerprint(self) -> Tensor:
        return self.sampler.fingerprint

    def __call__(self, step: int, shard: int = 0, shards: int = 1) -> dict[str, Tensor]:
        """The items of a step that process `shard` of `shards` has, as a batch."""
        if self.batch % shards:
            raise ValueError(f"a batch of {self.batch} cannot be shared by {shards} processes")
        items = [self.item(step, index) for index in range(shard, self.batch, shards)]
        return {name: torch.from_numpy(np.stack([i[name] for i in items])) for name in items[0]}


class Crops(Batches):
    """Which crops of which clips each training step of a voice sees.

    Args:
        clips: with phones and F0, at the rate of the voice. batch: crops a step, over all processes.
        frames: of 10 ms in a crop.
        dither: standard deviation of the white noise added to the audio: exact silence would have an infinite
            density.
        seed: of the choice. by_length: see `CropSampler`. spec: of the voice.
    """

    def __init__(
        self,
        clips: list[Utterance],
        batch: int,
        frames: int,
        dither: float,
        seed: int = 0,
        by_length: bool = False,
        spec: VoiceSpec = DIGITS,
    ) -> None:
        if min(batch, frames) < 1 or not 0 <= dither < math.inf:
            raise ValueError(
                f"Crops needs batch, frames >= 1 and dither >= 0, not {batch=}, {frames=}, {dither=}"
            )
        self.batch, self.frames, self.dither, self.seed = batch, frames, dither, seed
        self.spec = spec
        pools: list[list[dict]] = [[] for _ in spec.speakers]
        for clip in clips:
            frame, phase = conditioning.features(clip, spec=spec)  # (F, N), (6, N · hop)
            one = {"audio": clip.audio, "frames": frame, "phase": phase}
            pools[spec.speakers.index(clip.speaker)].append(one)
        self.sampler = CropSampler(pools, frames, by_length)

    def item(self, step: int, index: int) -> dict[str, np.ndarray]:
        """-> audio (1, T), frames (F, N), phase (6, T), speaker, white noise (1, T)."""
        rng = np.random.default_rng([self.seed, step, index])
        speaker, crop = self.sampler(rng)
        samples = self.frames * self.spec.hop
        audio = crop["audio"] + rng.normal(0, self.dither, samples)
        noise = rng.standard_normal((1, samples)).astype(np.float32)
        audio = audio[None].astype(np.float32)
        return crop | {"audio": audio, "speaker": np.int64(speaker), "noise": noise}
