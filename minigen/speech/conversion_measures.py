"""How well voices are converted, measured against the parallel corpus: the same word by the target.

Nothing that measures here has a part in training: distances of mel-cepstra, a linear classifier of speakers, the
recogniser of digits by DTW, and counts of codes against phone labels.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..audio import frame_length, mel_cepstrum, mfcc
from ..audio.pitch import f0 as track_pitch
from ..audio.source_filter import resynthesise
from ..data import Utterance
from ..metrics import DigitRecogniser, mel_cepstral_distortion
from ..mixture import kmeans
from ..weights import takes_networks
from .conversion_features import RATE, extract
from .conversion_model import SpeechVQVAE
from .evaluation import in_batches
from .synthesis import sample


class SpeakerClassifier:
    """Who speaks? Linear discriminant analysis of a clip's MFCC: their means and deviations.

    24 numbers a clip: mean and standard deviation of 12 MFCC (the level, the first, is left out) over
    its frames within 40 dB of the loudest one's level. White noise 20 dB below a recording costs it a third of
    its answers (`benchmarks/judges.py`).

    Args: clips: with known speakers, all at one rate.
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
        c = mfcc(x, self.rate, n_fft=frame_length(self.rate), hop=self.rate // 100)  # (13, N)
        level = c[0] * 20 / np.log(10) / np.sqrt(24)  # dB, as the transform is orthonormal
        loud = c[1:, level > level.max() - 40]
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


@takes_networks
def sample_batches(
    model: SpeechVQVAE, conds: Sequence[Tensor], seed: int = 0
) -> Iterator[np.ndarray]:
    """Waveforms for several conditionings (1, C, T_i), 60 in a batch."""
    return in_batches(partial(sample, model), conds, seed, batch_size=60)


@takes_networks
def convert_pairs(model: SpeechVQVAE, targets: Sequence[Pair], seed: int = 0) -> list[np.ndarray]:
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
    waves = sample_batches(model, conds, seed)
    return [w[: len(p.source.audio)] for w, p in zip(waves, targets, strict=True)]


@takes_networks
def move_moments(
    model: SpeechVQVAE, learn: Sequence[Utterance], targets: Sequence[Pair]
) -> list[np.ndarray]:
    """Conversion without codes, the baseline: mel-cepstra whose mean and deviation are moved, F0 as the model moves it.

    Each coefficient, standardised by the source speaker's training clips, gets the mean and the deviation of the
    target's; pulses and filters make the sound (`audio.source_filter.vocode`).
    """
    rows = defaultdict(list)
    for clip in learn:
        rows[clip.speaker].append(mel_cepstrum(clip.audio, clip.rate))  # (K, N)
    frames = {who: np.concatenate(found, axis=1) for who, found in rows.items()}
    moments = lambda moment: {who: moment(found, axis=1) for who, found in frames.items()}
    mean, deviation = moments(np.mean), moments(np.std)
    waves = []
    for source, target in targets:
        whose, to = source.speaker, target.speaker
        standard = (mel_cepstrum(source.audio, source.rate).T - mean[whose]) / deviation[whose]
        f0 = source.f0 if source.f0 is not None else track_pitch(source.audio, source.rate)
        moved = replace(source, f0=model.pitched(f0, to))
        waves.append(resynthesise(moved, mean[to] + deviation[to] * standard))
    return waves


def held_to_targets(
    waves: Sequence[np.ndarray],
    targets: Sequence[Pair],
    classify: SpeakerClassifier,
    recognise: DigitRecogniser,
) -> dict[str, float]:
    """Mean mel-cepstral distortion in dB to the target's own recording, % that the classifier takes for the
    target, % of words recognised, and how many clips."""
    rows = [
        (
            mel_cepstral_distortion(wave, target.audio, RATE),
            100 * (classify(wave) == target.speaker),
            100 * (recognise(wave) == source.text),
        )
        for wave, (source, target) in zip(waves, targets, strict=True)
    ]
    names = ("mcd dB", "target %", "recognised %")
    means = np.mean(rows, axis=0).tolist()
    return dict(zip(names, means, strict=True)) | {"clips": len(rows)}


# ---------------------------------------------------------------- what codes stand for
def kmeans_codes(
    rows: dict[str, np.ndarray], learn: Sequence[Utterance], k: int, seed: int = 0
) -> dict[str, Tensor]:
    """Codes without a network, a baseline for `probe`: the nearest of k centres, found in the training clips.

    Args: rows: by the name of the clip, (13 or so, N) features of frames of 10 ms; two make one code.
    """
    pairs = {name: x[:, : x.shape[1] // 2 * 2] for name, x in rows.items()}
    pairs = {name: (x[:, ::2] + x[:, 1::2]).T / 2 for name, x in pairs.items()}  # (n, 13)
    points = np.concatenate([pairs[clip.name] for clip in learn]).astype(float)
    centres, _ = kmeans(points, k, seed, rounds=20)
    nearest = lambda x: np.argmin(np.sum(centres**2, axis=1) / 2 - x @ centres.T, axis=1)
    return {name: torch.from_numpy(nearest(x)) for name, x in pairs.items()}


def _phones(clip: Utterance, n: int) -> list[str]:
    """The phone in the middle of each of n codes."""
    if clip.phones is None:
        raise ValueError(f"{clip.name} has no phones: codes have nothing to be held against")
    ends = np.array([end for _, _, end in clip.phones])
    middle = (np.arange(n) + 0.5) * 0.02
    which = np.minimum(np.searchsorted(ends, middle), len(ends) - 1)
    return [clip.phones[i][0] for i in which]


def _speaker(clip: Utterance, n: int) -> list[str]:
    return [clip.speaker] * n


def _labelled(
    codes: dict[str, Tensor], clips: Sequence[Utterance], labels: Callable
) -> list[tuple[int, str]]:
    """(code, label) of every code of the clips."""
    return [
        pair
        for clip in clips
        for pair in zip(codes[clip.name].tolist(), labels(clip, len(codes[clip.name])), strict=True)
    ]


def _read(learn: list[tuple[int, str]], kept: list[tuple[int, str]]) -> tuple[float, float]:
    """How often the label that a code meets most often in `learn` is right in `kept`, and how often the
    most frequent label is."""
    met: dict[int, Counter] = defaultdict(Counter)
    for code, label in learn:
        met[code][label] += 1
    best = {code: max(found, key=found.get) for code, found in met.items()}
    everything = sum(met.values(), Counter())
    often = max(everything, key=everything.get)
    right = [(best.get(code) == label, often == label) for code, label in kept]
    accuracy, chance = np.mean(right, axis=0)
    return float(accuracy), float(chance)


def probe(
    codes: dict[str, Tensor], learn: Sequence[Utterance], kept: Sequence[Utterance]
) -> dict[str, float]:
    """Codes against phones and speakers: each code is read as the label that it meets most often in training clips.

    Args: codes: by the name of the clip, (n,).

    Returns "accuracy" at phones of held-out codes; "chance", of always guessing the phone that is most frequent
    in training; both again "without pauses", where pauses are neither counted nor guessed; "speaker", the same
    for who speaks; "mutual information" of code and phone in held-out clips, in bits; and what that is with
    "labels shuffled": counts of few codes share bits by luck.

    References: van den Oord et al., 2017 (arXiv:1711.00937), section 4.3; Chorowski et al., 2019
    (arXiv:1901.08810).
    """
    from sklearn.metrics import mutual_info_score

    train, test = (_labelled(codes, clips, _phones) for clips in (learn, kept))
    found = {}
    for name, leave_out in (("", ()), (" without pauses", ("pau",))):
        both = ([pair for pair in pairs if pair[1] not in leave_out] for pairs in (train, test))
        found["accuracy" + name], found["chance" + name] = _read(*both)
    found["speaker"], _ = _read(*(_labelled(codes, clips, _speaker) for clips in (learn, kept)))
    code, phone = zip(*test, strict=True)
    shuffled = np.random.default_rng(0).permutation(phone)
    for name, labels in (("mutual information", phone), ("labels shuffled", shuffled)):
        found[name] = float(mutual_info_score(labels, code) / np.log(2))
    return found
