"""How well voices are converted, measured against the parallel corpus: the same word by the target.

Nothing that measures here has a part in training: distances of mel-cepstra, a linear classifier of speakers, the
recogniser of digits by DTW, and counts of codes against phone labels.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..audio import mfcc
from ..data import Utterance
from ..generate.cached import generate
from ..metrics import DigitRecogniser, mel_cepstral_distortion
from .conversion_features import RATE, extract
from .conversion_model import SpeechVQVAE
from .evaluation import in_batches

__all__ = [
    "Pair",
    "SpeakerClassifier",
    "convert_pairs",
    "pairs",
    "probe",
    "sample_batches",
    "table",
]


class SpeakerClassifier:
    """Who speaks? Linear discriminant analysis of a clip's MFCC: their means and deviations.

    24 numbers a clip: mean and standard deviation of 12 MFCC (the level, the first, is left out) over
    its frames within 40 dB of the loudest one's level.

    Args:
        clips: with known speakers, all at one rate.
    """

    def __init__(self, clips: Sequence[Utterance]) -> None:
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        if len({clip.speaker for clip in clips}) < 2:
            raise ValueError("a classifier of speakers needs clips of at least two")
        self.rate = clips[0].rate
        self.model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        self.model.fit([self.statistics(c.audio) for c in clips], [c.speaker for c in clips])

    def statistics(self, x: ArrayLike) -> np.ndarray:
        """(T,) -> (24,)."""
        x = np.asarray(x, dtype=float)
        x = x + np.random.default_rng(0).normal(0, 1e-3, len(x))  # so that silences are alike
        cepstrum = mfcc(x, self.rate, hop=self.rate // 100)  # (13, N)
        level = cepstrum[0] * 20 / np.log(10) / np.sqrt(24)  # dB, as the transform is orthonormal
        loud = cepstrum[1:, level > level.max() - 40]
        return np.concatenate([loud.mean(axis=1), loud.std(axis=1)])

    def __call__(self, x: ArrayLike) -> str:
        return str(self.model.predict([self.statistics(x)])[0])

    def accuracy(self, clips: Sequence[Utterance]) -> float:
        """The part of clips whose speaker it names."""
        return float(np.mean([self(clip.audio) == clip.speaker for clip in clips]))


class Pair(NamedTuple):
    """A clip, and the same word as the target says it."""

    source: Utterance
    target: Utterance


def pairs(clips: Sequence[Utterance]) -> list[Pair]:
    """Every clip with every other speaker's clip of that word: same variant or number, by its name."""
    variant = lambda clip: clip.name.replace(clip.speaker, "")
    named = {(variant(clip), clip.speaker): clip for clip in clips}
    speakers = sorted({clip.speaker for clip in clips})
    made = [
        Pair(clip, named[variant(clip), who])
        for clip in clips
        for who in speakers
        if who != clip.speaker and (variant(clip), who) in named
    ]
    if not made:
        raise ValueError("no two clips are the same word by different speakers")
    return made


def sample_batches(
    model: SpeechVQVAE,
    conds: Sequence[Tensor],
    seed: int = 0,
    temperature: float = 1.0,
    batch_size: int = 60,
) -> Iterator[np.ndarray]:
    """Waveforms for several conditionings (1, C, T_i), `batch_size` in a batch."""

    def sample(cond: Tensor, seed: int) -> np.ndarray:
        generator = torch.Generator().manual_seed(seed)
        x = generate(model.wavenet, cond, generator=generator, temperature=temperature)
        return x[:, 0].clamp(-1, 1).numpy()

    return in_batches(sample, conds, seed, batch_size)


def convert_pairs(
    model: SpeechVQVAE, targets: Sequence[Pair], seed: int = 0, temperature: float = 1.0
) -> list[np.ndarray]:
    """Each source in its target's voice, by `conversion.convert`, many at once.

    The target's recording is not looked at. A pair of a clip with itself is a reconstruction: F0 is kept.
    """
    conds, cache = [], {}
    for source, target in targets:
        if source.name not in cache:
            features = extract(source.audio, source.f0)
            cache[source.name] = features.f0, model.codes_of(features)
        f0, codes = cache[source.name]
        if source is not target:
            f0 = model.pitched(f0, target.speaker)
        conds.append(model.condition(codes, f0, target.speaker))
    waves = sample_batches(model, conds, seed, temperature)
    return [w[: len(p.source.audio)] for w, p in zip(waves, targets, strict=True)]


def table(
    model: SpeechVQVAE,
    learn: Sequence[Utterance],
    kept: Sequence[Utterance],
    targets: Sequence[Pair] | None = None,
    templates: Sequence[Utterance] | None = None,
    seed: int = 0,
    temperature: float = 1.0,
) -> dict[str, dict[str, float]]:
    """Figures of the conversion of held-out clips, {row: {column: value}}.

    Rows: "source", the unconverted clip, held to its target; "converted"; "reconstructed", a clip decoded
    with its own speaker and F0; "recording", the target itself. Columns: mel-cepstral distortion in dB to
    the target's own recording, the part that the classifier takes for the target, the part of words recognised.

    Args:
        learn: what classifier and recogniser learn from. kept: held-out clips.
        targets: by default all `pairs(kept)`. templates: of the recogniser, by default `learn`.
    """
    targets = pairs(kept) if targets is None else list(targets)
    classify = SpeakerClassifier(learn)
    recognise = DigitRecogniser(list(learn if templates is None else templates))
    own = [Pair(clip, clip) for clip in {id(p.source): p.source for p in targets}.values()]
    sounds = {
        "source": (targets, [pair.source.audio for pair in targets]),
        "converted": (targets, convert_pairs(model, targets, seed, temperature)),
        "reconstructed": (own, convert_pairs(model, own, seed, temperature)),
        "recording": (own, [pair.target.audio for pair in own]),
    }
    rows = {}
    for name, (which, waves) in sounds.items():
        rows[name] = {
            "mcd dB": float(
                np.mean(
                    [
                        mel_cepstral_distortion(wave, pair.target.audio, RATE)
                        for pair, wave in zip(which, waves, strict=True)
                    ]
                )
            ),
            "target %": 100
            * float(
                np.mean(
                    [classify(w) == p.target.speaker for p, w in zip(which, waves, strict=True)]
                )
            ),
            "recognised %": 100
            * float(
                np.mean([recognise(w) == p.source.text for p, w in zip(which, waves, strict=True)])
            ),
            "clips": len(which),
        }
    source, converted = (rows[name]["mcd dB"] for name in ("source", "converted"))
    rows["converted"]["mcd lower by %"] = 100 * (1 - converted / source)
    return rows


# ---------------------------------------------------------------- what codes stand for


def _labels(clip: Utterance, n: int) -> list[str]:
    """The phone in the middle of each of n codes."""
    if clip.phones is None:
        raise ValueError(f"{clip.name} has no phones: codes have nothing to be held against")
    ends = np.array([end for _, _, end in clip.phones])
    middle = (np.arange(n) + 0.5) * 0.02
    which = np.minimum(np.searchsorted(ends, middle), len(ends) - 1)
    return [clip.phones[i][0] for i in which]


def probe(
    codes: dict[str, Tensor], learn: Sequence[Utterance], kept: Sequence[Utterance]
) -> dict[str, float]:
    """Codes against phones: each code is read as the phone it meets most often in training clips.

    Args:
        codes: by the name of the clip, (n,).

    Returns:
        "accuracy" on held-out codes; "chance", of always guessing the phone that is most frequent in training;
        both again "without pauses", where pauses are neither counted nor guessed; and "mutual information" of
        code and phone in held-out clips, in bits.

    References:
        van den Oord et al., 2017 (arXiv:1711.00937), section 4.3; Chorowski et al., 2019
        (arXiv:1901.08810).
    """
    met: dict[int, Counter] = defaultdict(Counter)
    for clip in learn:
        for code, phone in zip(
            codes[clip.name].tolist(), _labels(clip, len(codes[clip.name])), strict=True
        ):
            met[code][phone] += 1
    everything = sum(met.values(), Counter())
    found = {}
    for name, leave_out in (("", ()), (" without pauses", ("pau",))):
        read = {
            code: max((p for p in c if p not in leave_out), key=c.get, default=None)
            for code, c in met.items()
        }
        often = max((p for p in everything if p not in leave_out), key=everything.get)
        right = [
            (read.get(code) == phone, often == phone)
            for clip in kept
            for code, phone in zip(
                codes[clip.name].tolist(), _labels(clip, len(codes[clip.name])), strict=True
            )
            if phone not in leave_out
        ]
        found["accuracy" + name], found["chance" + name] = map(float, np.mean(right, axis=0))
    both = Counter(
        (code, phone)
        for clip in kept
        for code, phone in zip(
            codes[clip.name].tolist(), _labels(clip, len(codes[clip.name])), strict=True
        )
    )
    total = sum(both.values())
    one, two = Counter(), Counter()
    for (code, phone), count in both.items():
        one[code] += count
        two[phone] += count
    found["mutual information"] = float(
        sum(n / total * np.log2(n * total / (one[c] * two[p])) for (c, p), n in both.items())
    )
    return found
