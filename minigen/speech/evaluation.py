"""Figures of the voices that ship, measured on held-out recordings: what `minigen evaluate` prints.

Sentences of a recorded voice have a file of their own, `sentence_evaluation`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from .. import conditioning
from ..conditioning import DIGITS
from ..data import Utterance
from ..data.spoken_digits import DIGIT_WORDS, SPEAKERS
from ..metrics import (
    DigitRecogniser,
    log_mel_distance,
    mel_cepstral_distortion,
    std_ratio,
    stft_distance,
    summarise,
    warped_distance,
)
from ..parallel_wavenet import BASES, conditional_kl
from ..weights import takes_networks
from . import corpus, synthesis, unconditional, voice


@torch.no_grad()
@takes_networks
def student_kl(
    student: voice.StudentVoice,
    teacher: voice.TeacherVoice,
    clips: Sequence[Utterance] | None = None,
    follow_audio: bool = True,
) -> tuple[float, float]:
    """KL(student ‖ teacher) and the student's entropy in nats per sample, on the conditioning of clips,
    by default the held-out digits; without `follow_audio` with the phase that speaking uses, the sum of F0."""
    kl, entropy = [], []
    for clip in corpus.held_out()[1] if clips is None else clips:
        cond = student.conditioning(corpus.as_batch(clip, follow_audio=follow_audio))
        noise = torch.randn(1, 1, len(clip.audio), generator=torch.Generator().manual_seed(0))
        x, mean, log_scale = student.student(student.student.noise(noise), cond)
        params, base = teacher.wavenet(x, cond), student.student.base
        of = (mean, log_scale, params, teacher.wavenet.head, base)
        kl.append(conditional_kl(*of, 32, torch.Generator().manual_seed(0)).flatten())
        entropy.append((log_scale + BASES[base].entropy).flatten())
    return torch.cat(kl).mean().item(), torch.cat(entropy).mean().item()


# ---------------------------------------------------------------- many sounds at once
def in_batches(
    sample: Callable[[torch.Tensor, int], np.ndarray],
    conds: Sequence[torch.Tensor],
    seed: int = 0,
    batch_size: int = 40,
) -> Iterator[np.ndarray]:
    """sample(conditionings (B, C, T), seed) -> (B, T), for several of different lengths, (1, C, T_i) each."""
    for first in range(0, len(conds), batch_size):
        part = conds[first : first + batch_size]
        length = max(cond.shape[-1] for cond in part)
        padded = [F.pad(c, (0, length - c.shape[-1]), mode="replicate") for c in part]
        waves = sample(torch.cat(padded), seed + first)
        for cond, wave in zip(part, waves, strict=True):
            yield wave[: cond.shape[-1]]


@takes_networks
def synthesize_all(
    model: torch.nn.Module, conds: Sequence[torch.Tensor], seed: int = 0
) -> Iterator[np.ndarray]:
    """Waveforms for several conditionings (1, C, T_i); a teacher's loop is compiled."""
    sample = lambda cond, seed: synthesis.sample(model, cond, seed, backend="numba")
    return in_batches(sample, conds, seed)


@takes_networks
def synthesize_digits(
    model: torch.nn.Module, per_word: int = 10, seed: int = 0
) -> Iterator[tuple[str, np.ndarray]]:
    """Every word `per_word` times, speakers in turn, pace and pitch drawn -> (word, waveform).

    Durations and F0 are the corpus means, scaled.
    """
    rng = np.random.default_rng(seed)
    plans = []
    for index in range(per_word):
        for word in DIGIT_WORDS:
            speaker = SPEAKERS[(index + DIGIT_WORDS.index(word)) % len(SPEAKERS)]
            pace, pitch = rng.uniform(0.85, 1.2), rng.uniform(0.9, 1.1)
            plan = conditioning.plan(word, speaker, pace, pitch)
            plans.append((word, synthesis.conditioning_for(model, [plan], speaker)))
    waves = synthesize_all(model, [cond for _, cond in plans], seed)
    yield from zip((word for word, _ in plans), waves, strict=True)


@torch.no_grad()
def _as_recorded(
    model: torch.nn.Module, clips: Sequence[Utterance], follow_audio: bool = True
) -> list[np.ndarray]:
    """Clips of digits, synthesized with their own phones, times and F0, and phase unless that is the sum of F0."""
    batches = [corpus.as_batch(clip, follow_audio=follow_audio) for clip in clips]
    return list(synthesize_all(model, [model.conditioning(batch) for batch in batches]))


# ---------------------------------------------------------------- distances
def recognised(spoken: Iterable[tuple[str, np.ndarray]]) -> tuple[int, int, dict[str, list[str]]]:
    """How many of (word, waveform) the recogniser names -> (right, all, {word: [named instead]})."""
    recogniser = DigitRecogniser(corpus.held_out()[0])
    right = count = 0
    mistaken: dict[str, list[str]] = {}
    for word, wave in spoken:
        found = recogniser(wave)
        count += 1
        right += found == word
        if found != word:
            mistaken.setdefault(word, []).append(found)
    return right, count, mistaken


def spectral_distances(a: np.ndarray, b: np.ndarray, rate: int, in_step: bool) -> dict[str, float]:
    """Spectral distances of two sounds; `in_step`: frame by frame, too, where both have the same times."""
    found = {"warped dB": warped_distance(a, b, rate)}
    found["MCD dB"] = mel_cepstral_distortion(a, b, rate)
    if in_step:
        found["log-mel dB"] = log_mel_distance(a, b, rate)
        found["STFT"] = stft_distance(a, b, rate)
    return found


@takes_networks
def against_recordings(model: torch.nn.Module, follow_audio: bool = True) -> tuple[float, float]:
    """Log-mel distance in dB (mean) and std ratio (median) to the recordings of the held-out digits,
    synthesized with the recording's own phones, times, F0, and with `follow_audio` phase."""
    clips = corpus.held_out()[1]
    pairs = list(zip(_as_recorded(model, clips, follow_audio), clips, strict=True))
    mel = [log_mel_distance(x, clip.audio, clip.rate) for x, clip in pairs]
    return float(np.mean(mel)), float(np.median([std_ratio(x, clip.audio) for x, clip in pairs]))


def digits_table(
    per_word: int = 10,
    teacher_file: Path | None = None,
    student_file: Path | None = None,
    report: Callable[[str], None] = lambda stage: None,
) -> dict[str, dict[str, float]]:
    """All figures of two voices of the digits, by default those that ship, and of recordings.

    Distances and std ratio are those to the held-out recordings; the row "student to teacher" holds the
    same words of one network to the other's. `report` is called with each stage as it begins.
    """
    teacher, student = voice.load("teacher", teacher_file), voice.load("student", student_file)
    clips = corpus.held_out()[1]
    recordings = [clip.audio for clip in clips]
    report("recognising recordings")
    right, count, _ = recognised((clip.text, clip.audio) for clip in clips)
    rows: dict[str, dict[str, float]] = {"recordings": {"recognised %": 100 * right / count}}
    waves = {}
    for name, model in (("teacher", teacher), ("student", student)):
        report(f"{name}: recognising {per_word * len(DIGIT_WORDS)} words")
        right, count, mistaken = recognised(synthesize_digits(model, per_word))
        report(f"{name}: held-out words")
        waves[name] = _as_recorded(model, clips)
        each = [
            spectral_distances(x, real, DIGITS.rate, True) | {"std ratio": std_ratio(x, real)}
            for x, real in zip(waves[name], recordings, strict=True)
        ]
        speed = {"samples/s": synthesis.samples_per_second(model)}
        rows[name] = {"recognised %": 100 * right / count} | summarise(each) | speed
        if mistaken:
            report(f"{name}: " + ", ".join(f"{w} as {'/'.join(f)}" for w, f in mistaken.items()))
    report("likelihoods")
    dither = voice.recipe_of("teacher", teacher_file).data["dither"]
    rows["teacher"]["NLL nats"] = -unconditional.nats(teacher, clips, dither)
    rows["student"]["KL nats"], rows["student"]["entropy nats"] = student_kl(student, teacher)
    pairs = zip(waves["student"], waves["teacher"], strict=True)
    each = [spectral_distances(*pair, DIGITS.rate, True) for pair in pairs]
    return rows | {"student to teacher": summarise(each)}
