"""One command's worth of honest figures about the shipped digit voices: `minigen evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from . import conditioning, voice
from .data import Utterance
from .data.spoken_digits import DIGIT_WORDS, SPEAKERS
from .distributions import GaussianHead
from .metrics import DigitRecogniser, log_mel_distance, std_ratio
from .parallel_wavenet import gaussian_kl

__all__ = [
    "against_recordings",
    "held_out_nll",
    "recognised",
    "said_together",
    "spoken_digits_of",
    "student_kl",
    "table",
]


@torch.no_grad()
def held_out_nll(teacher: voice.TeacherVoice, dither: float) -> float:
    """Nats a sample of the kept-away recordings, with the dither that the teacher was trained with."""
    total = count = 0.0
    for clip in voice.held_out()[1]:
        batch = voice.as_batch(clip, dither)
        params = teacher(batch)
        total -= teacher.wavenet.head.log_prob(params, batch["audio"]).sum().item()
        count += len(clip.audio)
    return total / count


@torch.no_grad()
def student_kl(student: voice.StudentVoice, teacher: voice.TeacherVoice) -> tuple[float, float]:
    """KL(student ‖ teacher) and the students' entropy, in nats a sample, on held-out conditioning."""
    kl, entropy = [], []
    for clip in voice.held_out()[1]:
        cond = student.conditioning(voice.as_batch(clip))
        noise = torch.randn(1, 1, len(clip.audio), generator=torch.Generator().manual_seed(0))
        x, mean, log_scale = student.student(noise, cond)
        mean_p, log_scale_p = teacher.wavenet.head.split(teacher.wavenet(x, cond))
        kl.append(gaussian_kl(mean, log_scale, mean_p, log_scale_p).flatten())
        params = torch.cat([mean, log_scale], dim=1)
        entropy.append(GaussianHead(-float("inf")).entropy(params).flatten())
    return torch.cat(kl).mean().item(), torch.cat(entropy).mean().item()


def said_together(
    model: torch.nn.Module, conds: list[torch.Tensor], seed: int = 0, at_once: int = 40
) -> Iterator[np.ndarray]:
    """Waveforms for several conditionings (1, C, T_i), `at_once` a batch: far fewer steps for a teacher."""
    for first in range(0, len(conds), at_once):
        part = conds[first : first + at_once]
        longest = max(cond.shape[-1] for cond in part)
        padded = [F.pad(c, (0, longest - c.shape[-1]), mode="replicate") for c in part]
        waves = voice.say(model, torch.cat(padded), seed=seed + first)
        for cond, wave in zip(part, waves, strict=True):
            yield wave[: cond.shape[-1]]


def spoken_digits_of(
    model: torch.nn.Module, per_word: int = 10, seed: int = 0
) -> Iterator[tuple[str, np.ndarray]]:
    """Every word `per_word` times, voices in turn, pace and pitch drawn -> (word, waveform).

    Nothing of a recording is used: durations and F0 are the corpus means, scaled.
    """
    rng = np.random.default_rng(seed)
    plans = []
    for index in range(per_word):
        for word in DIGIT_WORDS:
            speaker = SPEAKERS[(index + DIGIT_WORDS.index(word)) % len(SPEAKERS)]
            pace, pitch = rng.uniform(0.85, 1.2), rng.uniform(0.9, 1.1)
            plan = conditioning.plan(word, speaker, pace, pitch)
            plans.append((word, voice.conditioning_for(model, [plan], speaker)))
    waves = said_together(model, [cond for _, cond in plans], seed)
    yield from zip((word for word, _ in plans), waves, strict=True)


def recognised(spoken: Iterator[tuple[str, np.ndarray]]) -> tuple[int, int, dict[str, list[str]]]:
    """How many words the recogniser names -> (right, all, {word: what it heard instead})."""
    recogniser = DigitRecogniser(voice.held_out()[0])
    right = count = 0
    mistaken: dict[str, list[str]] = {}
    for word, wave in spoken:
        heard = recogniser(wave)
        count += 1
        right += heard == word
        if heard != word:
            mistaken.setdefault(word, []).append(heard)
    return right, count, mistaken


@torch.no_grad()
def against_recordings(
    model: torch.nn.Module, clips: list[Utterance] | None = None
) -> tuple[float, float]:
    """Log-mel distance in dB (mean) and std ratio (median) to recordings, by default the held-out ones,
    said with the recording's own phones, times, F0 and phase."""
    clips = voice.held_out()[1] if clips is None else clips
    waves = said_together(model, [model.conditioning(voice.as_batch(clip)) for clip in clips])
    pairs = [(wave, clip.audio, clip.rate) for wave, clip in zip(waves, clips, strict=True)]
    distances = [log_mel_distance(*pair) for pair in pairs]
    ratios = [std_ratio(wave, recording) for wave, recording, _ in pairs]
    return float(np.mean(distances)), float(np.median(ratios))


def table(
    per_word: int = 10, teacher_file: Path | None = None, student_file: Path | None = None
) -> dict[str, dict[str, float]]:
    """All figures of two voices, by default the shipped ones, and of recordings where they apply."""
    teacher, student = voice.load("teacher", teacher_file), voice.load("student", student_file)
    kept = voice.held_out()[1]
    right, count, _ = recognised((clip.text, clip.audio) for clip in kept)
    rows: dict[str, dict[str, float]] = {"recordings": {"recognised %": 100 * right / count}}
    for name, model in (("teacher", teacher), ("student", student)):
        right, count, mistaken = recognised(spoken_digits_of(model, per_word))
        distance, ratio = against_recordings(model)
        rows[name] = {
            "recognised %": 100 * right / count,
            "log-mel dB": distance,
            "std ratio": ratio,
            "samples/s": voice.samples_per_second(model),
        }
        if mistaken:
            print(
                f"{name}: " + ", ".join(f"{w} heard as {'/'.join(h)}" for w, h in mistaken.items())
            )
    dither = voice.recipe_of("teacher", teacher_file)["data"]["dither"]
    rows["teacher"]["NLL nats"] = held_out_nll(teacher, dither)
    rows["student"]["KL nats"], rows["student"]["entropy nats"] = student_kl(student, teacher)
    return rows
