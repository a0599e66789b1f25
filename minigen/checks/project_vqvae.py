"""Checks for project C: a quantiser that stays alive, a VQ-VAE of mel frames, and a voice converted by codes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from scipy.fft import dct
from torch import Tensor

from ..audio import to_level
from ..conditioning import mel_bands
from ..data import Utterance, spoken_digits
from ..metrics import dtw
from ..speech.corpus import LOUD
from ..vq import usage
from .core import CheckFailed, agree, compare, exercise, made_once, ok, parts, require, turned
from .reader import Reader

WITHOUT = (
    "minigen.vq.VectorQuantizer",
    "minigen.vq.VQVAE",
    "minigen.vq.straight_through",
    "minigen.speech.conversion.load",
    "minigen.speech.conversion.convert",
)
BANDS, RATE, DB = 32, 8_000, 20 / math.log(10)
FLOOR, UNIT = -40.0, 20.0  # dB
SPEAKERS = ("slt", "rms", "awb")  # numbers 0, 1, 2
HELD_OUT = ("one", "seven")  # of slt and rms; those of awb are in training
SIZE = 64  # codes
DEAD = 0.1  # of an equal share
PERPLEXITY = 22  # on the held-out words
# of the source's distance, of that of shuffled codes; of clips
NEARER, CONTENT, TAKEN = (
    0.85,
    0.7,
    0.8,
)


@exercise("C.1", "a quantiser that stays alive", forbid=WITHOUT)
def quantiser(quantize: Callable, update: Callable) -> None:
    """quantize(z, codebook) -> vectors, codes; update(counts, sums, z, codes, decay, spare) -> counts, sums, codebook."""
    draw = torch.Generator().manual_seed(0)
    normal = lambda *shape: torch.randn(*shape, generator=draw).double()
    long = torch.tensor([1.0, 0.3, 2.0, 1.0, 0.6]).double()[:, None]  # lengths differ
    cases = [(normal(12, 3), normal(5, 3) * long)]
    cases += [(normal(n, d), normal(k, d)) for n, k, d in ((1, 1, 2), (7, 9, 1), (30, 3, 8))]
    z, book = cases[0]
    squared, dot = (z[:, None] - book).square().sum(-1), z @ book.T
    hints = {
        "each code": [
            (squared.argmax(1), "this is the farthest code: take the smallest distance"),
            (dot.argmax(1), "the largest product with z is not the nearest: a long code wins it too"),
            (book[squared.argmin(1)], "these are vectors: the codes are their indices"),
        ],
        "each vector": [(z, "this is z: the decoder must see the codebook's vectors")],
    }  # fmt: skip
    choose = turned(quantize, "each vector", "each code")
    agree(choose, _nearest, cases, ("each code", "each vector"), 1e-9, hints)
    z, book = (v.clone().requires_grad_() for v in cases[0])
    weight = normal(12, 3)
    made = parts(quantize(z, book), "vectors", "codes")[0]
    if not made.requires_grad:
        raise CheckFailed("✗ the gradient: nothing flows back, so the encoder will never learn")
    to_z, to_book = torch.autograd.grad((weight * made).sum(), (z, book), allow_unused=True)
    require(
        to_z is not None and torch.allclose(to_z, weight),
        "z gets the decoder's gradient, unchanged",
        "z does not get the decoder's gradient unchanged: where the values are the codebook's, the gradient is "
        "to be that of z",
    )
    require(
        to_book is None or not to_book.any(),
        "and the codebook none of it",
        "the codebook gets a gradient: its codes move by their averages only",
    )
    _updates(update, draw)


def _nearest(z: Tensor, book: Tensor) -> tuple[Tensor, Tensor]:
    codes = (z[:, None] - book).square().sum(-1).argmin(1)
    return codes, book[codes]


def _averaged(
    counts: Tensor,
    sums: Tensor,
    z: Tensor,
    codes: Tensor,
    decay: float,
    spare: Tensor,
    **wrong: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """One update, or one with a mistake, for hints: -> counts, sums, codebook."""
    size = len(counts)
    new = torch.bincount(codes, minlength=size).double()
    total = torch.zeros_like(sums).index_add_(0, codes, z)
    if "means" in wrong:
        total = total / new.clamp(min=1)[:, None]
    old, fresh = (1 - decay, decay) if "swapped" in wrong else (decay, 1 - decay)
    fresh = 1.0 if "whole" in wrong else fresh
    faded, added = old * counts + fresh * new, old * sums + fresh * total
    if "seen" in wrong:
        faded, added = (
            torch.where(new > 0, faded, counts),
            torch.where((new > 0)[:, None], added, sums),
        )
    share = faded.sum() / size
    dead = faded < DEAD * share
    if "unseen" in wrong:
        dead = new == 0
    if "never" in wrong:
        dead = dead & False
    counts = faded if "tiny" in wrong else torch.where(dead, share, faded)
    sums = torch.where(dead[:, None], spare if "one" in wrong else counts[:, None] * spare, added)
    return counts, sums, sums / counts[:, None]


UPDATE_HINTS = {
    "swapped": "the decay is swapped: it belongs to the old value, 1 - decay to the new one",
    "whole": "what is new weighs 1 - decay",
    "seen": "a code that nobody chose must fade, too, or it never shows that it is dead",
    "means": "a code's vectors are added up, not averaged: the count is what divides",
    "never": "a code below a tenth of an equal share is dead: it moves to its vector of `spare`, with an equal share "
    "as its count",
    "unseen": "a code that nobody chose once is not dead yet: look at its fading count",
    "tiny": "a code that was moved gets an equal share as its count, or it is dead again at once",
    "one": "the sum of a code that was moved is its count times its vector",
}


def _updates(update: Callable, draw: torch.Generator) -> None:
    normal = lambda *shape: torch.randn(*shape, generator=draw).double()
    cases = []
    for size, dim, n, decay, counts in (
        (6, 2, 9, 0.8, [3.0, 0.05, 2.0, 4.0, 0.1, 1.0]),
        (3, 1, 5, 0.5, [1.0, 1.0, 1.0]),
        (4, 3, 1, 0.9, [0.01, 5.0, 0.02, 7.0]),
        (1, 2, 4, 0.99, [2.0]),
        (4, 2, 3, 0.9, [30.0, 20.0, 0.5, 1.0]),  # dead beside the others, not by themselves
        (5, 2, 1, 0.99, [0.03, 0.02, 0.0002, 0.01, 0.02]),
    ):
        counts = torch.tensor(counts).double()
        codes = torch.randint(max(1, size - 2), (n,), generator=draw)  # the last are not chosen
        cases.append((counts, counts[:, None] * normal(size, dim), normal(n, dim), codes, decay, normal(size, dim)))  # fmt: skip
    want = _averaged(*cases[0])
    names = ("each count", "each sum", "the codebook")
    hints: dict[str, list] = {name: [] for name in names}
    for mistake, words in UPDATE_HINTS.items():
        for name, made, true in zip(
            names, _averaged(*cases[0], **{mistake: True}), want, strict=True
        ):
            if not torch.allclose(made, true):
                hints[name].append((made, words))
    agree(update, _averaged, cases, names, 1e-6, hints)
    blobs = 5 * torch.eye(4).double().repeat_interleave(25, dim=0) + 0.3 * normal(100, 4)
    codebook = blobs[::25].clone()
    counts, sums = torch.ones(4).double(), codebook.clone()
    for _ in range(60):
        codes = torch.cdist(blobs, codebook).argmin(1)
        counts, sums, codebook = update(counts, sums, blobs, codes, 0.5, blobs[:4])
    centres = _kmeans(blobs.numpy(), 4, blobs[::25].numpy())
    compare(codebook, centres, "the codebook after 60 updates", 1e-6, quiet=True)
    ok("repeated, it finds the centres that scikit-learn's k-means finds")


def _kmeans(points: np.ndarray, size: int, start: np.ndarray | str = "k-means++") -> np.ndarray:
    from sklearn.cluster import KMeans

    return KMeans(size, init=start, n_init=1, random_state=0).fit(points).cluster_centers_


# ---------------------------------------------------------------- frames of the digits


class Clip(NamedTuple):
    """A clip and its log-mel frames (32, N), one each 10 ms, in units of 20 dB around the mean."""

    utterance: Utterance
    mel: Tensor

    @property
    def speaker(self) -> int:
        return SPEAKERS.index(self.utterance.speaker)


@cache
def _bands() -> tuple[list[Utterance], list[Tensor], Tensor]:
    """Every clip, its bands in dB, cut off at FLOOR, and their mean over the clips to learn from (32, 1)."""
    utterances, bands = spoken_digits(), []
    for each in utterances:
        mel = DB * mel_bands(to_level(each.audio, RATE, LOUD), RATE, BANDS)
        bands.append(torch.from_numpy(np.maximum(mel, FLOOR)).float())
    learn = [mel for each, mel in zip(utterances, bands, strict=True) if not _is_out(each)]
    return utterances, bands, torch.cat(learn, dim=1).mean(dim=1, keepdim=True)


def _is_out(clip: Utterance) -> bool:
    return clip.text in HELD_OUT and clip.speaker != "awb"


@cache
def clips() -> tuple[list[Clip], list[Clip]]:
    """All clips of the digits, at one level: (to learn from, held out: two words of slt and of rms)."""
    made: tuple[list[Clip], list[Clip]] = ([], [])
    utterances, bands, mean = _bands()
    for each, mel in zip(utterances, bands, strict=True):
        made[_is_out(each)].append(Clip(each, (mel - mean) / UNIT))
    return made


def natural(mel: Tensor) -> np.ndarray:
    """Frames in the units of this page -> the natural logarithms of magnitudes that the vocoder takes."""
    return ((mel * UNIT + _bands()[2]).clamp(min=FLOOR) / DB).numpy()


def crops(
    inputs: Sequence[Tensor],
    targets: Sequence[Tensor],
    conditions: Tensor,
    count: int,
    length: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Random pieces of clips: inputs (count, F, length), targets (count, 32, length), conditions (count, C)."""
    which = torch.randint(len(inputs), (count,), generator=generator)
    x, y = [], []
    for i in which.tolist():
        t = int(torch.randint(inputs[i].shape[1] - length + 1, (), generator=generator))
        x.append(inputs[i][:, t : t + length])
        y.append(targets[i][:, t : t + length])
    return torch.stack(x), torch.stack(y), conditions[which]


def _decibels(made: Sequence[Tensor], held_out: Sequence[Clip]) -> float:
    errors = [(a - clip.mel).flatten() for a, clip in zip(made, held_out, strict=True)]
    return UNIT * torch.cat(errors).square().mean().sqrt().item()


@cache
def means() -> Tensor:
    """The mean frame of each speaker, over the clips to learn from, (3, 32)."""
    learn, _ = clips()
    own = [[c.mel for c in learn if c.speaker == who] for who in range(len(SPEAKERS))]
    return torch.stack([torch.cat(mels, dim=1).mean(dim=1) for mels in own])


@cache
def baselines() -> dict[str, tuple[float, float]]:
    """{what: (error on held-out frames in dB, perplexity)} of the speaker's mean frame, and of k-means.

    As many codes, and the same is given: the speaker, whose mean is taken away before k-means and put back.
    """
    learn, out = clips()
    less = lambda clip: clip.mel.T - means()[clip.speaker]  # (N, 32)
    frames = torch.cat([less(clip) for clip in learn])
    centres = torch.from_numpy(_kmeans(frames.numpy(), SIZE)).float()
    codes = [torch.cdist(less(clip), centres).argmin(1) for clip in out]
    back = [(centres[k] + means()[c.speaker]).T for k, c in zip(codes, out, strict=True)]
    flat = [means()[clip.speaker][:, None].expand(*clip.mel.shape) for clip in out]
    perplexity = usage(torch.cat(codes), SIZE).perplexity
    return {
        "the speaker's mean frame": (_decibels(flat, out), 1.0),
        "k-means, scikit-learn": (_decibels(back, out), perplexity),
    }


def _pair(made: object) -> tuple[Reader, Reader]:
    both = parts(made, "encode", "decode")
    if not all(callable(one) for one in both):
        raise CheckFailed("✗ the result: return two functions, encode and decode")
    return Reader(both[0], WITHOUT), Reader(both[1], WITHOUT)


@torch.no_grad()
def _codes(encode: Callable, mel: Tensor) -> Tensor:
    """What `encode` gives, checked."""
    codes = torch.as_tensor(encode(mel))
    if codes.is_floating_point() or codes.shape != mel.shape[1:]:
        raise CheckFailed(
            f"✗ encode: one whole number for each frame, shape {tuple(mel.shape[1:])}; these are "
            f"{str(codes.dtype).removeprefix('torch.')} of shape {tuple(codes.shape)}"
        )
    if codes.min() < 0 or codes.max() >= SIZE:
        raise CheckFailed(
            f"✗ encode: codes lie in 0 … {SIZE - 1}; the largest here is {codes.max()}"
        )
    return codes


@torch.no_grad()
def _decoded(decode: Callable, codes: Tensor, given: Tensor | int) -> Tensor:
    mel = torch.as_tensor(decode(codes, given))
    if mel.shape != (BANDS, len(codes)):
        raise CheckFailed(
            f"✗ decode: {len(codes)} codes become frames ({BANDS}, {len(codes)}), not {tuple(mel.shape)}"
        )
    if not mel.isfinite().all():
        raise CheckFailed("✗ decode: NaN or infinity: the training diverged; try a lower rate")
    return mel


def _one_hot(some: Sequence[Clip]) -> Tensor:
    return torch.eye(len(SPEAKERS))[[clip.speaker for clip in some]]


def training() -> tuple[list[Tensor], list[Tensor], Tensor, int]:
    """What `train` is given in C.2: inputs and targets alike, and the speaker of each clip as the condition."""
    learn, _ = clips()
    mels = [clip.mel for clip in learn]
    return mels, mels, _one_hot(learn), SIZE


def trained(train: Callable) -> tuple:
    """What `train` of C.2 gives. Where the check has trained it, that."""
    return made_once(train, "C.2", lambda: train(*training()))


def trained_voices(train_voices: Callable) -> tuple:
    """What `train_voices` of C.3 gives. Where the check has trained it, that."""
    learn, _ = clips()
    given = [c.mel for c in learn], [c.speaker for c in learn], SIZE
    return made_once(train_voices, "C.3", lambda: train_voices(*given))


def held_out_error(encode: Callable, decode: Callable) -> tuple[float, float]:
    """(error on the held-out frames in dB, perplexity of their codes)."""
    _, out = clips()
    codes = [_codes(encode, clip.mel) for clip in out]
    made = [_decoded(decode, k, c) for k, c in zip(codes, _one_hot(out), strict=True)]
    _codes(encode, -out[0].mel)
    if not torch.equal(_decoded(decode, codes[0], _one_hot(out)[0]), made[0]):
        raise CheckFailed(
            "✗ decode: the same codes come back otherwise after another clip was encoded: they are all that it may know"
        )
    return _decibels(made, out), usage(torch.cat(codes), SIZE).perplexity


@exercise("C.2", "a VQ-VAE kept alive", forbid=WITHOUT)
def alive(train: Callable) -> None:
    """train(inputs, targets, conditions, size) -> encode (F, N) -> codes (N,), decode (N,), (C,) -> (32, N)."""
    encode, decode = _pair(trained(train))
    error, perplexity = held_out_error(encode, decode)
    mean, allowed = (row[0] for row in baselines().values())
    codes = torch.arange(SIZE)
    if torch.equal(*(_decoded(decode, codes, who) for who in torch.eye(3)[:2])):
        raise CheckFailed(
            "✗ decode: it gives the same under any condition: its network must get the condition at every frame"
        )
    require(
        perplexity >= PERPLEXITY,
        f"held-out words use their codes like {perplexity:.0f} equally frequent ones, of {SIZE}",
        f"held-out words use their codes like {perplexity:.1f} equally frequent ones, of {SIZE}, and should like "
        f"{PERPLEXITY} (their error is {error:.1f} dB): most codes are dead. Does `update` run at every step, with "
        "vectors of the batch as `spare`?",
    )
    why = "more steps, or a rate that falls at the end; does the loss hold the commitment of z to its code?"
    if error > 0.7 * mean:
        why = f"not much better than the mean frame's {mean:.1f} dB. Does the decoder get the quantised vectors?"
    require(
        error <= allowed,
        f"and come back with an error of {error:.2f} dB; k-means with {SIZE} codes has {allowed:.2f}",
        f"held-out words come back with an error of {error:.2f} dB, and k-means on single frames, by scikit-learn with "
        f"as many codes and the speaker's mean given, has {allowed:.2f}: {why}",
    )


# ---------------------------------------------------------------- conversion


class SpeakerJudge:
    """Linear discriminant analysis (scikit-learn) of a clip's cepstra: their means and deviations over loud frames."""

    def __init__(self, real: Sequence[Clip]) -> None:
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        self.model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        self.model.fit([self.statistics(c.mel) for c in real], [c.speaker for c in real])

    @staticmethod
    def statistics(mel: Tensor) -> np.ndarray:
        """(32, N) -> (24,)."""
        mel = mel.double().numpy() * UNIT
        loud = mel.max(axis=0) > mel.max() - 40
        cepstra = dct(mel / DB, axis=0, norm="ortho")[1:13, loud]
        return np.concatenate([cepstra.mean(axis=1), cepstra.std(axis=1)])

    def __call__(self, mel: Tensor) -> int:
        return int(self.model.predict([self.statistics(mel)])[0])


@cache
def judge() -> SpeakerJudge:
    """Fitted on the clips to learn from."""
    return SpeakerJudge(clips()[0])


def pairs() -> list[tuple[Clip, Clip]]:
    """Each held-out clip of slt or rms, and the same word, tempo and pitch by the other: neither was heard."""
    _, out = clips()
    variant = lambda clip: clip.utterance.name.replace(clip.utterance.speaker, "")
    named = {(variant(clip), clip.speaker): clip for clip in out}
    return [(clip, named[variant(clip), 1 - clip.speaker]) for clip in out]


def judged(made: Sequence[Tensor]) -> tuple[float, float]:
    """Frames for each of `pairs` -> (dB to the target's own clip along the best time warp, part taken for the target)."""
    scale = BANDS**0.5
    rows = [
        (2 * UNIT * dtw(mel / scale, target.mel / scale), judge()(mel) == target.speaker)
        for mel, (_, target) in zip(made, pairs(), strict=True)
    ]
    distance, taken = np.array(rows, dtype=float).T
    return float(distance.mean()), float(taken.mean())


def other_tempo() -> list[Tensor]:
    """The target's own clips of `pairs` at the next tempo: what a perfect conversion could be, to these measures."""
    tempi = sorted(
        {clip.utterance.name.split("_")[2] for _, clip in pairs()}, key=lambda t: float(t[1:])
    )
    following = dict(zip(tempi, [*tempi[1:], tempi[-2]], strict=True))
    named = {clip.utterance.name: clip.mel for _, clip in pairs()}
    found = []
    for _, target in pairs():
        word, speaker, tempo, pitch = target.utterance.name.split("_")
        found.append(named["_".join([word, speaker, following[tempo], pitch])])
    return found


def converted(encode: Callable, decode: Callable, shuffled: bool = False) -> list[Tensor]:
    """Each source of `pairs`, decoded as its target; with its codes in random order where `shuffled`."""
    generator, made = torch.Generator().manual_seed(0), []
    for source, target in pairs():
        codes = _codes(encode, source.mel)
        if shuffled:
            codes = codes[torch.randperm(len(codes), generator=generator)]
        made.append(_decoded(decode, codes, target.speaker))
    return made


@exercise("C.3", "a converted voice", forbid=WITHOUT)
def conversion(train_voices: Callable) -> None:
    """train_voices(mels, speakers, size) -> encode (32, N) -> (N,), decode (N,), speaker -> (32, N)."""
    out = clips()[1]
    encode, decode = _pair(trained_voices(train_voices))
    codes = torch.arange(SIZE)
    if torch.equal(_decoded(decode, codes, 0), _decoded(decode, codes, 1)):
        raise CheckFailed(
            "✗ decode: it gives the same for any speaker: its condition must be that of the speaker asked for"
        )
    right = np.mean([judge()(clip.mel) == clip.speaker for clip in out])
    if right < 0.95:
        raise AssertionError(f"the judge of speakers names {100 * right:.0f} % of real clips")
    source, _ = judged([source.mel for source, _ in pairs()])
    distance, taken = judged(converted(encode, decode))
    shuffled, _ = judged(converted(encode, decode, shuffled=True))
    require(
        distance <= CONTENT * shuffled,
        f"the codes hold the word: {distance:.1f} dB from the target's own clip, in random order {shuffled:.1f}",
        f"converted clips are {distance:.1f} dB from the target's own clip, and {shuffled:.1f} dB with their codes in "
        "random order: the codes hold too little of the word. Does the encoder see now what it saw in training?",
    )
    again = [_decoded(decode, _codes(encode, clip.mel), clip.speaker) for clip in out]
    own = np.mean([judge()(mel) == c.speaker for mel, c in zip(again, out, strict=True)])
    why = (
        "decoded as their own speaker they are taken for that one, so the codes still say who speaks, and the decoder "
        "need not ask: take from the encoder what tells of the voice"
    )
    if own < TAKEN:
        why = (
            f"even decoded as their own speaker only {100 * own:.0f} % are taken for that one. Are the targets whole "
            "frames, and does each clip have its own speaker as the condition, in training and here?"
        )
    require(
        taken >= TAKEN,
        f"of {len(out)} converted clips a classifier of real speech takes {100 * taken:.0f} % for the target",
        f"a classifier of real speech takes {100 * taken:.0f} % of {len(out)} converted clips for the target, and should "
        f"take {100 * TAKEN:.0f} %: {why}",
    )
    require(
        distance <= NEARER * source,
        f"and it is nearer than the source, which is {source:.1f} dB away",
        f"converted clips are {distance:.1f} dB from the target's own clip, the unconverted source {source:.1f}, and "
        f"allowed is {NEARER} of that: more steps; do the same codes serve all speakers?",
    )
    ok("none of these words was heard from source or target")
