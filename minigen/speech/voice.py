"""The voices: corpus, teacher and student put together, trained, shipped and spoken with.

A *recipe* is a TOML file in `training/` (one a run): which model, which data, which objective, how
long. `train` follows it, `export` keeps the averaged weights, `load` reads them back, `speak` speaks.

Without a table `[corpus]` a recipe is about the three digit voices. With one, it is about recorded
speech whose phones were aligned before:

    [corpus]
    name = "allison"             # or ljspeech, cmu_arctic, festvox_ru, spoken_digits
    rate = 8000                  # the recordings are resampled to it
    phones = "runs/allison.tsv"  # made by: minigen align allison --out runs/allison.tsv

A trained file of weights remembers the rate, the speakers and the inventory of phones.

With `mels = 32` instead of phones, the recipe is for a vocoder: the network is told the mel spectrum of a
recording and its F0, whoever speaks, and makes the waveform. It learns from several corpora at once:

    [corpus]
    names = ["allison", "fsdd", "spoken_digits"]
    rate = 8000
    mels = 32
    minutes = 25                 # at most, of each; the clips are taken from all over the corpus
"""

from __future__ import annotations

import inspect
import json
import math
import re
import time
import tomllib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .. import conditioning, data, weights
from ..audio import pitch, resample
from ..conditioning import DIGITS, PHASE_FEATURES, Upsampler, VoiceSpec
from ..data import Utterance, spoken_digits
from ..data.spoken_digits import SPEAKERS
from ..distillation import DistillationLoss
from ..distributed import mean_over_processes
from ..distributions import DiscretizedLogisticMixture, GaussianHead, Head
from ..generate.cached import generate
from ..parallel_wavenet import Student
from ..train import TrainConfig, Trainer
from ..wavenet import WaveNet
from . import stream as streaming
from .phones import SILENCE
from .prosody import Prosody

__all__ = [
    "RATE",
    "DigitBatches",
    "Likelihood",
    "Spoken",
    "StudentVoice",
    "TeacherVoice",
    "as_batch",
    "card",
    "check_temperature",
    "conditioning_for",
    "corpus_clips",
    "export",
    "held_out",
    "level",
    "load",
    "network_from",
    "prosody_of",
    "read_corpus",
    "read_recipe",
    "recipe_of",
    "samples_per_second",
    "say",
    "speak",
    "spec_of",
    "stream",
    "train",
]

RATE = 8_000  # Hz
HELD_OUT = "_t1.2_p1.0"  # this tempo at this pitch, every word and speaker: never trained on


def held_out(
    clips: list[Utterance] | None = None, corpus: str = "spoken_digits"
) -> tuple[list[Utterance], list[Utterance]]:
    """A corpus -> (clips to train on, clips kept away).

    Of the digits, one tempo and pitch of every word is kept away; of `fsdd`, recordings 0 to 4 of every
    digit and speaker, its own test part. Of any other corpus, a tenth of the sentences: those of 4 words
    or more, 8 s or less, whose normalised text has a CRC-32 divisible by 10. The choice goes by text, so
    that a sentence said twice lies on one side as a whole.
    """
    clips = spoken_digits() if clips is None else clips
    if corpus == "spoken_digits":
        away = [clip.name.endswith(HELD_OUT) for clip in clips]
    elif corpus == "fsdd":
        away = [int(clip.name.rsplit("_", 1)[1]) < 5 for clip in clips]
    else:
        away = [_kept_away(clip) for clip in clips]
    train = [clip for clip, out in zip(clips, away, strict=True) if not out]
    return train, [clip for clip, out in zip(clips, away, strict=True) if out]


def _kept_away(clip: Utterance) -> bool:
    words = re.findall(r"[^\W_]+", clip.text.lower())
    text = " ".join(words).encode()
    return len(words) >= 4 and clip.duration <= 8 and zlib.crc32(text) % 10 == 0


CORPORA = ("spoken_digits", "allison", "ljspeech", "cmu_arctic", "festvox_ru", "fsdd")
LABELLED = ("spoken_digits", "festvox_ru")  # come with the times of their phones
ANYBODY = "anybody"  # the one speaker of a vocoder
LOUD = 0.15  # the level at which a vocoder hears everything


def level(x: np.ndarray, rate: int) -> float:
    """How loud speech is: the root-mean-square that a tenth of the frames of 10 ms surpass; 0 in silence.

    >>> level(np.ones(800), 8000)
    1.0
    """
    hop = rate // 100
    frames = np.asarray(x, float)[: len(x) // hop * hop].reshape(-1, hop)
    return float(np.quantile(np.sqrt(np.mean(frames**2, axis=1)), 0.9)) if len(frames) else 0.0


def corpus_clips(corpus: dict) -> tuple[list[Utterance], list[Utterance]]:
    """The clips that a recipe's table `corpus` is about: (to train on, kept away). See `held_out`."""
    train, kept = [], []
    for name in corpus.get("names") or [corpus["name"]]:
        one = {key: value for key, value in corpus.items() if key != "names"} | {"name": name}
        learn, away = held_out(read_corpus(one), name)
        train, kept = train + learn, kept + away
    return train, kept


def read_corpus(corpus: dict) -> list[Utterance]:
    """The clips of one corpus, ready to train on.

    Each is resampled, gets its phones from the table of times, if one is named, and its F0 by
    `pitch.f0`, and is cut to whole frames. For a vocoder (`mels`) all speakers are ANYBODY, and each clip is
    brought to the level LOUD.

    Raises:
        FileNotFoundError: there is no table of phone times, or no corpus.
    """
    name, rate = corpus["name"], corpus["rate"]
    if name == "spoken_digits" and not corpus.get("mels"):
        return spoken_digits()
    if "phones" in corpus and not Path(corpus["phones"]).is_file():
        raise FileNotFoundError(
            f"there is no table of phone times {corpus['phones']}: make it by "
            f"`minigen align {name} --out {corpus['phones']}`"
        )
    speakers = corpus.get("speakers")
    limit = {"limit": corpus["limit"]} if "limit" in corpus else {}
    if name == "spoken_digits":
        clips = spoken_digits()[: corpus.get("limit")]
    elif name == "cmu_arctic":
        clips = [c for who in speakers or ["slt"] for c in data.cmu_arctic(who, **limit)]
    else:
        clips = getattr(data, name)(**limit)
    if speakers:
        clips = [clip for clip in clips if clip.speaker in speakers]
    if "phones" in corpus:
        clips = data.with_phones(clips, corpus["phones"])
    if "minutes" in corpus:
        share = 60 * corpus["minutes"] / sum(clip.duration for clip in clips)
        chosen = np.linspace(0, len(clips) - 1, math.ceil(min(1, share) * len(clips)))
        clips = [clips[round(i)] for i in chosen]
    if corpus.get("mels"):
        clips = [_at_one_level(clip) for clip in clips]
    return [_ready(clip, rate) for clip in clips]


def _at_one_level(clip: Utterance) -> Utterance:
    gain = LOUD / max(level(clip.audio, clip.rate), 1e-3)
    gain = min(gain, 1 / np.abs(clip.audio).max(initial=1e-3))  # nothing is clipped
    audio = (gain * clip.audio).astype(np.float32)
    return replace(clip, audio=audio, phones=[], speaker=ANYBODY)


def _ready(clip: Utterance, rate: int) -> Utterance:
    x, hop = resample(clip.audio, clip.rate, rate), rate // 100
    n = len(x) // hop
    if n == 0:
        raise ValueError(f"{clip.name} is shorter than a frame of 10 ms")
    f0 = pitch.f0(x, rate)[:n]
    f0 = np.pad(f0, (0, n - len(f0)))
    x = np.clip(x[: n * hop], -1, 1).astype(np.float32)
    end = n * hop / rate
    phones = [(name, min(a, end), min(b, end)) for name, a, b in clip.phones if a < end]
    return replace(clip, audio=x, rate=rate, f0=f0, phones=phones)


def spec_of(recipe: dict) -> VoiceSpec:
    """Inventory of phones, rate and speakers of the voice that a recipe makes (`train` adds the first)."""
    if "corpus" not in recipe:
        return DIGITS
    corpus = recipe["corpus"]
    names = tuple(corpus["inventory"]), corpus["rate"], tuple(corpus["speakers"])
    return VoiceSpec(*names, corpus.get("mels", 0))


def _complete(corpus: dict, clips: list[Utterance]) -> dict:
    """The table `corpus` with the inventory of phones and the speakers that the clips have."""
    if corpus.get("mels"):
        return corpus | {"inventory": [], "speakers": [ANYBODY]}
    if corpus["name"] == "spoken_digits":
        return corpus | {"inventory": list(DIGITS.phones), "speakers": list(SPEAKERS)}
    names = {name for clip in clips for name, _, _ in clip.phones} - {SILENCE}
    return corpus | {
        "inventory": [SILENCE, *sorted(names)],
        "speakers": list(dict.fromkeys(clip.speaker for clip in clips)),
    }


class DigitBatches:
    """Which crops of which clips each training step sees.

    Every crop is cut from several clips of one speaker in a row, so that the model hears them
    follow each other. Item i of step s depends on (seed, s, i) alone.

    Args:
        clips: with phones and F0, at the rate of the voice.
        batch: crops a step, over all processes.
        frames: of 10 ms in a crop.
        dither: standard deviation of the white noise added to the audio: exact silence would have
            an infinite density.
        seed: of the choice.
        by_length: choose clips in proportion to their length, so that every frame is seen equally
            often; for clips of very different lengths.
        spec: of the voice.
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
                "DigitBatches needs batch and frames of at least 1 and a dither of 0 or more, not "
                f"{batch=}, {frames=}, {dither=}"
            )
        self.batch, self.frames, self.dither, self.seed = batch, frames, dither, seed
        self.spec, self.by_length = spec, by_length
        self.clips: list[list[tuple]] = [[] for _ in spec.speakers]
        for clip in clips:
            frame, phase = conditioning.features(clip, spec=spec)  # (F, N), (6, N · hop)
            self.clips[spec.speakers.index(clip.speaker)].append((clip.audio, frame, phase))
        if not all(self.clips):
            raise ValueError("DigitBatches needs clips of every speaker")
        lengths = [np.array([frame.shape[1] for _, frame, _ in pool]) for pool in self.clips]
        self.share = [length / length.sum() for length in lengths]

    def item(self, step: int, index: int) -> tuple[np.ndarray, ...]:
        """-> audio (1, T), frames (F, N), phase (6, T), speaker, white noise (1, T)."""
        rng = np.random.default_rng([self.seed, step, index])
        speaker, hop = int(rng.integers(len(self.clips))), self.spec.hop
        pool, chosen = self.clips[speaker], []
        share = self.share[speaker] if self.by_length else None
        first, have = 0, 0
        while have < first + self.frames:
            which = rng.integers(len(pool)) if share is None else rng.choice(len(pool), p=share)
            chosen.append(pool[which])
            have += chosen[-1][1].shape[1]
            if len(chosen) == 1:
                first = int(rng.integers(have))
        audio, frames, phase = (np.concatenate(part, axis=-1) for part in zip(*chosen, strict=True))
        last = first + self.frames
        audio = audio[first * hop : last * hop] + rng.normal(0, self.dither, self.frames * hop)
        noise = rng.standard_normal((1, self.frames * hop))
        frames, phase = frames[:, first:last], phase[:, first * hop : last * hop]
        return audio[None].astype(np.float32), frames, phase, speaker, noise.astype(np.float32)

    def __call__(self, step: int, shard: int = 0, shards: int = 1) -> dict[str, Tensor]:
        if self.batch % shards:
            raise ValueError(f"a batch of {self.batch} cannot be shared by {shards} processes")
        items = [self.item(step, index) for index in range(shard, self.batch, shards)]
        columns = [torch.from_numpy(np.stack(column)) for column in zip(*items, strict=True)]
        names = ("audio", "frames", "phase", "speaker", "noise")
        return dict(zip(names, columns, strict=True))


def as_batch(clip: Utterance, dither: float = 0.0, spec: VoiceSpec = DIGITS) -> dict[str, Tensor]:
    """One clip with phones and F0 as a batch of one, dithered: what `forward` and `conditioning` take."""
    frames, phase = conditioning.features(clip, spec=spec)
    noise = np.random.default_rng(0).normal(0, 1, len(clip.audio))
    audio = clip.audio + (dither * noise).astype(np.float32)
    return {
        "audio": torch.from_numpy(audio)[None, None],  # (1, 1, T)
        "frames": torch.from_numpy(frames)[None],  # (1, F, N)
        "phase": torch.from_numpy(phase)[None],  # (1, 6, T)
        "speaker": torch.tensor([spec.speakers.index(clip.speaker)]),  # (1,)
    }


def _upsampler(channels: int, hidden: int, spec: VoiceSpec) -> Upsampler:
    return Upsampler(channels, len(spec.speakers), hidden, spec.frame_features, spec.hop)


class TeacherVoice(nn.Module):
    """Upsampler and WaveNet: log p(waveform | phones, times, F0, speaker)."""

    def __init__(self, wavenet: WaveNet, hidden: int = 48, spec: VoiceSpec = DIGITS) -> None:
        super().__init__()
        self.spec = spec
        self.upsampler = _upsampler(wavenet.cond_channels, hidden, spec)
        self.wavenet = wavenet

    @classmethod
    def build(cls, model: dict, spec: VoiceSpec = DIGITS) -> TeacherVoice:
        """From a recipe's table `model`: min_log_scale, hidden, and the arguments of `WaveNet`.

        The head is a Gaussian, or with `mixture` > 0 a mixture of that many logistics at 16 bits.
        """
        own = ("min_log_scale", "hidden", "mixture")
        net = {name: value for name, value in model.items() if name not in own}
        head: Head = GaussianHead(model["min_log_scale"])
        if model.get("mixture"):
            head = DiscretizedLogisticMixture(
                model["mixture"], min_log_scale=model["min_log_scale"]
            )
        return cls(WaveNet(head, **net), model["hidden"], spec)

    def conditioning(self, batch: dict[str, Tensor]) -> Tensor:
        """-> (B, C, T)."""
        return self.upsampler(batch["frames"], batch["speaker"], batch["phase"])

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """-> params (B, P, T)."""
        return self.wavenet(batch["audio"], self.conditioning(batch))


class StudentVoice(nn.Module):
    """The teacher's upsampler, frozen, and a student: noise to waveform in one pass."""

    def __init__(self, upsampler: Upsampler, student: Student, spec: VoiceSpec = DIGITS) -> None:
        super().__init__()
        self.spec = spec
        self.upsampler = upsampler.requires_grad_(False)
        self.student = student

    @classmethod
    def build(cls, model: dict, spec: VoiceSpec = DIGITS) -> StudentVoice:
        """From a recipe's table `model`: hidden, and the arguments of `Student`."""
        student = {name: value for name, value in model.items() if name != "hidden"}
        upsampler = _upsampler(model["cond_channels"], model["hidden"], spec)
        return cls(upsampler, Student(**student), spec)

    def conditioning(self, batch: dict[str, Tensor]) -> Tensor:
        """-> (B, C, T), without a gradient."""
        with torch.no_grad():
            return self.upsampler(batch["frames"], batch["speaker"], batch["phase"])


class Likelihood(nn.Module):
    """Objective: the mean negative log-likelihood of a sample, in nats, weighted by its scale.

        L = Σ_t w[t] nll[t] / Σ_t w[t],   w[t] = std[t]^{2β}, without a gradient

    β = 0 is the plain mean. There, silence, whose scale is tiny, has by far the steepest gradient and
    sets the direction of every step. β = ½ gives each sample's mean a gradient that does not depend
    on its unit. The best (mean, scale) of each context is the same for every β: weights that do not
    depend on x[t] do not move the optimum.

    The first `receptive_field` samples of a crop are context only: their past was cut off.

    References:
        Seitzer et al., On the Pitfalls of Heteroscedastic Uncertainty Estimation, 2022
        (arXiv:2203.09168).
    """

    def __init__(self, model: TeacherVoice, beta: float = 0.0) -> None:
        super().__init__()
        self.model, self.beta = model, beta

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        net = self.model.wavenet
        params = self.model(batch)
        nll = -net.head.log_density(params, batch["audio"])  # (B, T)
        log_std = net.head.moments(params)[1][:, 0].detach()  # (B, T)
        known = net.receptive_field
        with torch.no_grad():
            voiced = batch["phase"][:, :PHASE_FEATURES].square().sum(1) > 1.5  # (B, T)
            metrics = {
                "voiced": nll[voiced].mean().item(),
                "log_scale": log_std.mean().item(),
            }
        nll, weight = nll[:, known:], torch.exp(2 * self.beta * log_std[:, known:])
        metrics["nll"] = nll.mean().item()
        return (weight * nll).mean() / mean_over_processes(weight.mean()), metrics


VOICES = {"teacher": TeacherVoice, "student": StudentVoice}
SHIPPED = {
    "digits": ("student", "teacher"),
    "allison": ("student", "teacher"),
    "vocoder": ("student", "teacher"),
}  # voice: kinds, usual one first
KINDS = {"int": int, "float": (int, float), "bool": bool, "str": str}  # of a recipe's values
MAY_BE_ZERO = (
    "seed",
    "warmup",
    "lpc_order",
    "mixture",
)  # every other whole number in a recipe is at least 1


def _tables(kind: str) -> dict[str, dict[str, tuple[str, bool]]]:
    """What each table of a recipe may hold: {table: {name: (type, whether it must be there)}}."""
    parts: dict[str, type] = {"data": DigitBatches, "run": TrainConfig}
    parts["model"] = WaveNet if kind == "teacher" else Student
    parts["objective"] = Likelihood if kind == "teacher" else DistillationLoss
    tables = {}
    for table, part in parts.items():
        known = inspect.signature(part).parameters.values()
        numbers = [p for p in known if p.annotation in KINDS and p.name != "speakers"]
        tables[table] = {p.name: (p.annotation, p.default is p.empty) for p in numbers}
    tables["model"] |= {"hidden": ("int", True), "cond_channels": ("int", True)}
    if kind == "teacher":
        tables["model"] |= {"min_log_scale": ("float", True), "mixture": ("int", False)}
    return tables


def _check_table(where: str, given: object, known: dict[str, tuple[str, bool]]) -> None:
    """Raise an error with the name of the first entry that is unknown, missing or out of range."""
    if not isinstance(given, dict):
        raise TypeError(f"{where} is a table, not {given!r}")
    for name in given:
        if name not in known:
            raise ValueError(
                f"{where} has {name!r}, which is unknown: it may hold {', '.join(known)}"
            )
    for name, (kind, needed) in known.items():
        if name not in given:
            if needed:
                raise ValueError(f"{where} lacks {name}: copy it from training/digits-*.toml")
            continue
        value = given[name]
        if not isinstance(value, KINDS[kind]) or (kind != "bool" and isinstance(value, bool)):
            raise TypeError(f"{where}: {name} is of type {kind}, not {value!r}")
        least = 0 if name in MAY_BE_ZERO else 1
        if kind == "int" and value < least:
            raise ValueError(f"{where}: {name} must be at least {least}, not {value}")
        if kind == "float" and not math.isfinite(value):
            raise ValueError(f"{where}: {name} must be finite, not {value}")


def read_recipe(path: Path | str, kind: str) -> dict:
    """A recipe from a TOML file, checked: for a "teacher" or a "student" as asked, and complete."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no recipe {path}: those at hand are training/digits-*.toml"
        )
    try:
        recipe = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    missing = {"kind", "model", "data", "objective", "run"} - set(recipe)
    if missing:
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}: copy training/digits-*.toml")
    if recipe["kind"] != kind:
        raise ValueError(f"{path} is a recipe for a {recipe['kind']}, not for a {kind}")
    if kind == "student" and "teacher" not in recipe:
        raise ValueError(f'{path} lacks teacher: name a file of weights, teacher = "…"')
    tables = _tables(kind)
    files = ("start_from", "init_from") + (("teacher",) if kind == "student" else ())
    for name in recipe:
        if name not in ("kind", "seed", "corpus", *files, *tables):
            known = ", ".join(("kind", "seed", *files, *tables, "corpus"))
            raise ValueError(f"{path} has {name!r}, which is unknown: it may hold {known}")
    _check_table(
        str(path), {k: v for k, v in recipe.items() if k == "seed"}, {"seed": ("int", False)}
    )
    for name in files:
        if not isinstance(recipe.get(name, ""), str):
            raise TypeError(f"{path}: {name} is the path of a file, not {recipe[name]!r}")
    for table, known in tables.items():
        _check_table(f"{path} [{table}]", recipe[table], known)
    if "corpus" in recipe:
        _check_corpus(f"{path} [corpus]", recipe["corpus"])
    try:
        TrainConfig(**recipe["run"])
    except ValueError as error:
        raise ValueError(f"{path} [run]: {error}") from error
    return recipe


def _check_corpus(where: str, corpus: object) -> None:
    if not isinstance(corpus, dict):
        raise TypeError(f"{where} is a table, not {corpus!r}")
    several = {"names", "speakers"} & set(corpus)
    for name in sorted(several):
        values = corpus[name]
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise TypeError(f"{where}: {name} is a list of names, not {values!r}")
    numbers = ("limit", "minutes", "mels")
    wanted = {name: ("int", False) for name in numbers} | {"phones": ("str", False)}
    wanted |= {"rate": ("int", True)} | ({} if "names" in several else {"name": ("str", True)})
    rest = {name: value for name, value in corpus.items() if name not in several}
    _check_table(where, rest, wanted)
    if "names" in several and not (corpus["names"] and corpus.get("mels")):
        raise ValueError(f"{where}: names, at least one, go with mels; else give one name")
    for name in corpus.get("names") or [corpus["name"]]:
        if name not in CORPORA:
            raise ValueError(f"{where}: no corpus {name!r}: choose {', '.join(CORPORA)}")
        if not corpus.get("mels") and name not in LABELLED and "phones" not in corpus:
            raise ValueError(f"{where} lacks phones: the table of times that `minigen align` makes")
        if name == "spoken_digits" and corpus["rate"] != DIGITS.rate:
            raise ValueError(f"{where}: the digits are at {DIGITS.rate} Hz, not {corpus['rate']}")
    if "phones" in corpus and corpus.get("mels"):
        raise ValueError(f"{where}: a voice hears phones or mel bands, not both")
    VoiceSpec(("pau",), corpus["rate"], ("one",))  # whether the rate will do


def train(
    recipe: dict, out: Path | str, resume: bool = False, until: int | None = None
) -> dict[str, float]:
    """Follow a recipe -> what was watched at the last step. Checkpoints go to `out`.

    A teacher starts at the least-squares linear predictor, or at the weights of `start_from`. A
    student needs `teacher`: a checkpoint or an exported file. `init_from` is a voice of the same kind that
    was told other things: the WaveNet, or the student's flows, start at its own.
    """
    if "corpus" in recipe:
        clips, kept = corpus_clips(recipe["corpus"])
        recipe = recipe | {"corpus": _complete(recipe["corpus"], clips + kept)}
    else:
        clips, _ = held_out()
    spec = spec_of(recipe)
    batches = DigitBatches(clips, **recipe["data"], spec=spec)
    torch.manual_seed(recipe.get("seed", 0))
    if recipe["kind"] == "teacher":
        voice: nn.Module = TeacherVoice.build(recipe["model"], spec)
        net = voice.wavenet
        if "start_from" in recipe:
            _start_from(voice, recipe["start_from"])
        else:
            voice.wavenet.init_from_data(torch.cat([batches(step)["audio"] for step in range(16)]))
        if "init_from" in recipe:
            network_from(net, "wavenet.", recipe["init_from"])
        objective: nn.Module = Likelihood(voice, **recipe["objective"])
    else:
        _must_exist("teacher", recipe["teacher"])
        teacher = load("teacher", recipe["teacher"])
        net = teacher.wavenet
        if teacher.spec != spec:
            raise ValueError(
                f"the teacher {recipe['teacher']} was trained on another corpus: its phones, rate or "
                "speakers are not those of the recipe's [corpus]"
            )
        voice = StudentVoice.build(recipe["model"], spec)
        for name in ("hidden", "cond_channels"):
            theirs = recipe_of("teacher", recipe["teacher"])["model"][name]
            if recipe["model"][name] != theirs:
                raise ValueError(
                    f"the recipe's {name} is {recipe['model'][name]}: a student takes over a part of "
                    f"its teacher, whose {name} is {theirs}"
                )
        voice.upsampler.load_state_dict(teacher.upsampler.state_dict())
        if "start_from" in recipe:
            _start_from(voice, recipe["start_from"])
        if "init_from" in recipe:
            network_from(voice.student, "student.", recipe["init_from"])
        objective = DistillationLoss(voice, teacher.wavenet, **recipe["objective"])
    if batches.frames * spec.hop <= net.receptive_field:
        raise ValueError(
            f"a crop of {batches.frames} frames is {batches.frames * spec.hop} samples, no more than the "
            f"{net.receptive_field} that each prediction looks back: raise frames in [data]"
        )
    if isinstance(objective, DistillationLoss) and batches.frames * spec.hop < objective.longest:
        raise ValueError(
            f"a crop of {batches.frames} frames is {batches.frames * spec.hop} samples, fewer than the "
            f"{objective.longest} of the spectral losses' longest frame: raise frames in [data]"
        )
    trainer = Trainer(objective, batches, TrainConfig(**recipe["run"]), out, recipe)
    return trainer.run(resume, until)


def _must_exist(name: str, path: str) -> None:
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"there is no file {path}, the recipe's {name}: train that first, and start where this "
            "path leads to it"
        )


def _start_from(voice: nn.Module, path: str) -> None:
    """Take over the weights of a checkpoint or an exported file; a mixture can start at a Gaussian."""
    _must_exist("start_from", path)
    tensors = _part(weights.load(path)[0], "model.")
    if isinstance(voice, TeacherVoice):
        tensors = _widened(tensors, voice.wavenet.head)
    _fill(voice, tensors, path)


def network_from(net: nn.Module, prefix: str, path: str) -> None:
    """Take over the averaged weights of another voice's network, without its upsampler."""
    _must_exist("init_from", path)
    _fill(net, _part(_part(weights.load(path)[0], "ema."), prefix), path)


def _widened(tensors: dict[str, Tensor], head: Head) -> dict[str, Tensor]:
    """A Gaussian's last layer for a mixture: every component has its mean, and scales spread around its."""
    weight, bias = (tensors.get(f"wavenet.output_projection.{name}") for name in ("weight", "bias"))
    if not isinstance(head, DiscretizedLogisticMixture) or bias is None or len(bias) != 2:
        return tensors
    spread = torch.zeros(3 * head.k, 2)  # (mean, log-scale) -> means, log-scales, logits 0
    spread[: head.k, 0] = spread[head.k : 2 * head.k, 1] = 1
    return tensors | {
        "wavenet.output_projection.weight": (spread @ weight.float().squeeze(-1)).unsqueeze(-1),
        "wavenet.output_projection.bias": spread @ bias.float() + head.initial(),
    }


def _fill(voice: nn.Module, tensors: dict[str, Tensor], path: Path | str) -> None:
    """load_state_dict, with an error that names the file."""
    try:
        voice.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(
            f"the weights in {path} are not those of this model: they were trained by another recipe, "
            "or by another version of minigen"
        ) from error


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Of a checkpoint's tensors those under a prefix, without it; an exported file has no prefixes."""
    if not any(name.startswith(prefix) for name in tensors):
        return tensors
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def export(checkpoint: Path | str, path: Path | str) -> None:
    """Keep of a checkpoint what speaking needs, the averaged weights and the recipe, and its card.

    The card, `path` with the ending `.json`, says how the weights came about: for each stage its
    recipe, the minutes it took and its learning curve.
    """
    tensors, notes = weights.load(checkpoint)
    path = Path(path)
    if path.suffix != ".safetensors" or path.is_dir():
        raise ValueError(f"{path} must be a file whose name ends in .safetensors")
    if "kind" not in notes.get("recipe", {}):
        raise ValueError(
            f"{checkpoint} is no checkpoint of a teacher or a student: it has no recipe"
        )
    text = json.dumps({"stages": _stages(Path(checkpoint))}, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    weights.save(path, _part(tensors, "ema."), notes)
    path.with_suffix(".json").write_text(re.sub(r",\n\s+(?=[-\d])", ", ", text) + "\n")


def _stages(checkpoint: Path, points: int = 40) -> list[dict]:
    """How a checkpoint came about, the run that it started from first."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    notes = weights.notes(checkpoint)
    recipe, shipped = notes["recipe"], checkpoint.with_suffix(".json")
    if shipped.is_file():  # an exported file has its card beside it
        return json.loads(shipped.read_text())["stages"]
    before = _stages(Path(recipe["start_from"]), points) if "start_from" in recipe else []
    events = EventAccumulator(str(checkpoint.parent), size_guidance={"scalars": 0}).Reload()
    logged = {name: events.Scalars(name) for name in events.Tags()["scalars"]}
    if not logged:
        raise ValueError(
            f"{checkpoint.parent} holds no TensorBoard events, so the card would be empty: export from "
            "the folder that the run wrote into"
        )
    clock = np.array([event.wall_time for event in logged["loss"]])
    gaps = np.diff(clock)
    working = gaps[gaps < 300].sum()  # seconds; a longer gap: the run was stopped
    edges = np.unique(np.linspace(0, len(clock), points + 1).astype(int))
    curve: dict[str, list] = {"step": [int(logged["loss"][k - 1].step) for k in edges[1:]]}
    for name, values in logged.items():
        mean = [np.mean([v.value for v in values[a:b]]) for a, b in pairwise(edges)]
        curve[name] = [float(f"{value:.4g}") for value in mean]
    stage = {key: notes[key] for key in ("recipe", "step", "device", "torch") if key in notes}
    return [*before, stage | {"minutes": round(working / 60, 1), "curve": curve}]


def card(kind: str = "student", voice: str = "digits") -> dict:
    """How a shipped voice came about: {"stages": [{recipe, step, minutes, curve}, …]}.

    >>> [stage["step"] for stage in card("student")["stages"]]
    [6000]
    """
    return weights.card(f"{_known(voice)}_{kind}")


def _known(voice: str) -> str:
    if voice not in SHIPPED:
        raise ValueError(f"no voice {voice!r}: choose one of {', '.join(SHIPPED)}")
    return voice


def _speaks(voice: str) -> str:
    if _known(voice) == "vocoder":
        raise ValueError("the vocoder is told sounds, not text: `minigen vocode` takes a recording")
    return voice


def load(kind: str = "student", path: Path | str | None = None, voice: str = "digits") -> nn.Module:
    """A trained voice, from the package or from `path` (a checkpoint or an exported file).

    `.spec` of what comes back tells its phones, rate and speakers.

    >>> student = load("student")
    >>> sum(weight.numel() for weight in student.parameters()) < 500_000
    True
    """
    if kind not in VOICES:
        raise ValueError(f"no model {kind!r}: choose one of {', '.join(VOICES)}")
    path = path or _file_of(kind, voice)
    tensors, notes = weights.load(path)
    held = notes.get("recipe", {}).get("kind", "model of another chapter")
    if held != kind:
        raise ValueError(f"{path} does not hold a {kind} but a {held}: give a file of a {kind}")
    model = VOICES[kind].build(notes["recipe"]["model"], spec_of(notes["recipe"]))
    _fill(model, _part(tensors, "ema."), path)
    return model.eval().requires_grad_(False)


def _file_of(kind: str, voice: str) -> Path:
    if kind not in SHIPPED[_known(voice)]:
        raise ValueError(f"no {kind} of the voice {voice!r} ships: choose {SHIPPED[voice][0]}")
    return weights.path(f"{voice}_{kind}")


def recipe_of(kind: str, path: Path | str | None = None, voice: str = "digits") -> dict:
    """The recipe that made a shipped voice, or a file of weights."""
    return weights.notes(path or _file_of(kind, voice))["recipe"]


def conditioning_for(
    voice: nn.Module, parts: list[tuple[list, np.ndarray]], speaker: str
) -> Tensor:
    """[(phones, F0)], said one after the other by one speaker -> conditioning (1, C, T)."""
    spec = voice.spec
    _must_be_of(spec, speaker)
    made = [streaming.features(part, spec) for part in parts]
    frames, phase = (
        torch.from_numpy(np.concatenate(part, axis=-1))[None] for part in zip(*made, strict=True)
    )
    with torch.no_grad():
        return voice.upsampler(frames, torch.tensor([spec.speakers.index(speaker)]), phase)


def _must_be_of(spec: VoiceSpec, speaker: str) -> None:
    if speaker not in spec.speakers:
        raise ValueError(f"no speaker {speaker!r}: choose one of {', '.join(spec.speakers)}")


@torch.no_grad()
def say(
    voice: nn.Module, cond: Tensor, seed: int = 0, temperature: float = 1.0, backend: str = "numpy"
) -> np.ndarray:
    """Conditioning (B, C, T) -> waveforms (B, T) float32. `backend` is for the teacher only."""
    generator = torch.Generator().manual_seed(seed)
    if isinstance(voice, TeacherVoice):
        x = generate(
            voice.wavenet, cond, backend=backend, generator=generator, temperature=temperature
        )
    else:
        noise = torch.randn(cond.shape[0], 1, cond.shape[-1], generator=generator)
        z = temperature * voice.student.noise(noise)
        pairs = zip(z.split(4), cond.split(4), strict=True)  # large batches only cost memory
        x = torch.cat([voice.student(*pair)[0] for pair in pairs])
    return x[:, 0].clamp(-1, 1).numpy()


@cache
def _shipped(kind: str, voice: str = "digits") -> nn.Module:
    return load(kind, voice=voice)


def samples_per_second(
    model: str | nn.Module, backend: str = "naive", seconds: float = 1.0
) -> float:
    """How many samples a second a voice ("teacher", "student" or a loaded one) makes here, at batch 1.

    The student makes `seconds` of sound three times, of which the median counts; the teacher, whose
    time for a sample does not depend on how many there are once the receptive field is full, makes
    twice its receptive field.
    """
    voice = _shipped(model) if isinstance(model, str) else model
    is_teacher = isinstance(voice, TeacherVoice)
    n = 2 * voice.wavenet.receptive_field if is_teacher else round(seconds * RATE)
    phones, f0 = conditioning.plan("seven", "slt")
    cond = conditioning_for(voice, [(phones, f0)] * 3, "slt")[..., :n]
    times = []
    for _ in range(1 if is_teacher else 4):
        start = time.perf_counter()
        say(voice, cond, backend=backend)
        times.append(time.perf_counter() - start)
    return cond.shape[-1] / sorted(times)[len(times) // 2]


@dataclass(frozen=True)
class Spoken:
    """What `speak` made: audio (T,) at `rate` Hz, and the seconds the network took."""

    audio: np.ndarray
    rate: int
    seconds: float

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing for a second of sound; below 1 is faster than real time."""
        return self.seconds * self.rate / len(self.audio)


def speak(
    text: str,
    speaker: str | None = None,
    model: str | None = None,
    pace: float = 1.0,
    pitch: float = 1.0,
    seed: int = 0,
    temperature: float = 1.0,
    backend: str | None = None,
    voice: str = "digits",
) -> Spoken:
    """Text -> speech: text -> words -> phones -> durations and F0 -> waveform.

    Args:
        text: digits, as words or figures; for the voice "allison", any English.
        speaker: of the voice, by default its first: "slt" of the digits.
        model: "student" or "teacher", by default the voice's usual one, or a file of weights of it.
        pace, pitch: factors from 0.5 to 2.
        seed, temperature: of the waveform's noise. Durations and F0 are the means of their models.
        backend: of a teacher's loop, see `generate`; by default "numba" for a teacher that is no digit's.
        voice: "digits" or "allison".

    >>> spoken = speak("three one four", speaker="slt")
    >>> spoken.rate, spoken.audio.dtype
    (8000, dtype('float32'))
    >>> speak("hello")
    Traceback (most recent call last):
        ...
    ValueError: the digit voice cannot say 'hello': it knows zero, one, two, three, four, five, \
six, seven, eight, nine and 0-9
    """
    words = _words(text, voice)
    net, speaker = _speaking(speaker, model, temperature, voice)
    cond = conditioning_for(net, list(_plans(words, text, voice, speaker, pace, pitch)), speaker)
    backend = backend or ("numpy" if words else "numba")
    start = time.perf_counter()
    audio = say(net, cond, seed, temperature, backend)[0]
    return Spoken(audio, net.spec.rate, time.perf_counter() - start)


def _words(text: str, voice: str) -> list[str] | None:
    """The words of the digit voice; None for a voice that says any text."""
    return conditioning.words_of(text) if _speaks(voice) == "digits" else None


def _plans(
    words: list[str] | None, text: str, voice: str, speaker: str, pace: float, pitch: float
) -> Iterator[streaming.Part]:
    """Words, or else the sentences of a text -> phones with times and F0, one after the other.

    What is wrong with the text, `pace` or `pitch` is said at the call; each part is planned when it is needed.
    """
    if words is not None:
        plan, parts = (lambda word: conditioning.plan(word, speaker, pace, pitch)), words
    else:
        prosody = prosody_of(voice, speaker)
        plan = lambda phones: prosody.plan(phones=phones, pace=pace, pitch=pitch)
        parts = prosody.sentences(text)
    plan(parts[0])  # says what is wrong with pace and pitch
    return map(plan, parts)


def check_temperature(temperature: float) -> None:
    """An error unless noise can be scaled by it."""
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature scales the noise: it must be 0 or more, not {temperature}")


def _speaking(
    speaker: str | None, model: str | None, temperature: float, voice: str
) -> tuple[nn.Module, str]:
    """What `speak` was told -> the network and the speaker, or an error that says what is wrong."""
    usual = SHIPPED[_known(voice)][0]
    model = model or usual
    if voice == "digits" and (speaker or SPEAKERS[0]) not in SPEAKERS:
        _must_be_of(DIGITS, speaker)
    check_temperature(temperature)
    if model not in VOICES and not Path(model).is_file():
        raise ValueError(
            f"no model {model!r}: choose {' or '.join(sorted(SHIPPED[voice])[::-1])}, or give a file of "
            f"weights of a {usual}"
        )
    net = _shipped(model, voice) if model in VOICES else load(usual, model)
    if net.spec.mels:
        raise ValueError(
            f"{model} is a vocoder, told sounds and not text: `minigen vocode` uses it"
        )
    speaker = speaker or net.spec.speakers[0]
    _must_be_of(net.spec, speaker)
    return net, speaker


def stream(
    text: str,
    speaker: str | None = None,
    model: str | None = None,
    pace: float = 1.0,
    pitch: float = 1.0,
    seed: int = 0,
    temperature: float = 1.0,
    voice: str = "digits",
    chunk: int = 48,
) -> Iterator[np.ndarray]:
    """Like `speak`, for a student: audio piece by piece, (T_i,) float32, in memory that does not grow.

    The pieces, put together, are the audio of `speak`. Words of the digits are planned one by one, other
    text sentence by sentence (`Prosody.sentences`), each when it is needed: what is held grows with the
    longest sentence, not with the text. What is wrong with the arguments is said at the call.

    Args:
        chunk: frames of 10 ms in a piece, a multiple of 16.

    >>> pieces = list(stream("three one four", speaker="slt"))
    >>> whole = speak("three one four", speaker="slt").audio
    >>> len(pieces), bool(np.allclose(np.concatenate(pieces), whole, atol=1e-5))
    (4, True)
    """
    words = _words(text, voice)
    net, speaker = _speaking(speaker, model, temperature, voice)
    if not hasattr(net, "student"):
        raise ValueError(
            f"only a student speaks piece by piece, and {model or voice!r} is a teacher: use speak"
        )
    generator = torch.Generator().manual_seed(seed)
    parts = _plans(words, text, voice, speaker, pace, pitch)
    return streaming.pieces(net, parts, speaker, generator, temperature, chunk)


@cache
def prosody_of(voice: str = "allison", speaker: str | None = None) -> Prosody:
    """The durations and contours of a voice: shipped for "allison", fitted on the spot for "digits".

    >>> times, f0 = prosody_of("digits", "slt").plan("one two")
    >>> len(f0) == round(times[-1][2] / 0.01)
    True
    """
    if _speaks(voice) == "digits":
        speaker = speaker or SPEAKERS[0]
        _must_be_of(DIGITS, speaker)
        return Prosody.fit([clip for clip in held_out()[0] if clip.speaker == speaker])
    return Prosody.load(weights.path(f"{voice}_prosody").with_suffix(".json"))
