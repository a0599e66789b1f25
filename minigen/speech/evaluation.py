"""One command's worth of honest figures about the shipped voices: `minigen evaluate`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from .. import conditioning
from ..audio import frame_length, mel_spectrogram, pitch, speech_features
from ..data import Utterance
from ..data.spoken_digits import DIGIT_WORDS, SPEAKERS
from ..gaussian import Gaussian
from ..metrics.distances import (
    DB,
    DigitRecogniser,
    dtw,
    log_mel_distance,
    mel_cepstral_distortion,
    std_ratio,
    stft_distance,
)
from ..parallel_wavenet import BASES, conditional_kl
from . import corpus, synthesis, voice
from .prosody import Prosody
from .recipe import Recipe

__all__ = [
    "PhoneJudge",
    "Said",
    "against_recordings",
    "as_text",
    "figures",
    "held_out_nll",
    "in_batches",
    "likelihoods",
    "linear_nll",
    "prosody_figures",
    "recognised",
    "said_together",
    "said_with",
    "spectral_distances",
    "speech_table",
    "spoken_digits_of",
    "student_kl",
    "table",
    "warped_distance",
]


@torch.no_grad()
def held_out_nll(
    teacher: voice.TeacherVoice, dither: float, clips: list[Utterance] | None = None
) -> float:
    """Nats a sample of clips, by default the kept-away digits, with the dither of the training."""
    total = count = 0.0
    for clip in corpus.held_out()[1] if clips is None else clips:
        batch = corpus.as_batch(clip, dither, teacher.spec)
        params = teacher(batch)
        total -= teacher.wavenet.head.log_density(params, batch["audio"]).sum().item()
        count += len(clip.audio)
    return total / count


@torch.no_grad()
def student_kl(
    student: voice.StudentVoice, teacher: voice.TeacherVoice, clips: list[Utterance] | None = None
) -> tuple[float, float]:
    """KL(student ‖ teacher) and the student's entropy, in nats a sample, on the conditioning of clips, by
    default the kept-away digits."""
    kl, entropy = [], []
    for clip in corpus.held_out()[1] if clips is None else clips:
        cond = student.conditioning(corpus.as_batch(clip, spec=student.spec))
        noise = torch.randn(1, 1, len(clip.audio), generator=torch.Generator().manual_seed(0))
        x, mean, log_scale = student.student(student.student.noise(noise), cond)
        params, base = teacher.wavenet(x, cond), student.student.base
        dice = torch.Generator().manual_seed(0)
        each = conditional_kl(
            mean, log_scale, params, teacher.wavenet.head, base, samples=32, generator=dice
        )
        kl.append(each.flatten())
        entropy.append((log_scale + BASES[base].entropy).flatten())
    return torch.cat(kl).mean().item(), torch.cat(entropy).mean().item()


def in_batches(
    say: Callable[[torch.Tensor, int], np.ndarray],
    conds: Sequence[torch.Tensor],
    seed: int = 0,
    at_once: int = 40,
) -> Iterator[np.ndarray]:
    """say(conditionings (B, C, T), seed) -> (B, T), for several of different lengths, (1, C, T_i) each."""
    for first in range(0, len(conds), at_once):
        part = conds[first : first + at_once]
        longest = max(cond.shape[-1] for cond in part)
        padded = [F.pad(c, (0, longest - c.shape[-1]), mode="replicate") for c in part]
        waves = say(torch.cat(padded), seed + first)
        for cond, wave in zip(part, waves, strict=True):
            yield wave[: cond.shape[-1]]


def said_together(
    model: torch.nn.Module,
    conds: Sequence[torch.Tensor],
    seed: int = 0,
    temperature: float = 1.0,
) -> Iterator[np.ndarray]:
    """Waveforms for several conditionings (1, C, T_i), 40 a batch: far fewer steps for a teacher."""
    say = lambda cond, seed: synthesis.sample(model, cond, seed=seed, temperature=temperature)
    return in_batches(say, conds, seed)


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
            plans.append((word, synthesis.conditioning_for(model, [plan], speaker)))
    waves = said_together(model, [cond for _, cond in plans], seed)
    yield from zip((word for word, _ in plans), waves, strict=True)


def recognised(spoken: Iterator[tuple[str, np.ndarray]]) -> tuple[int, int, dict[str, list[str]]]:
    """How many words the recogniser names -> (right, all, {word: what it heard instead})."""
    recogniser = DigitRecogniser(corpus.held_out()[0])
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
def _as_recorded(model: torch.nn.Module, clips: Sequence[Utterance]) -> list[np.ndarray]:
    """Clips of digits, said with their own phones, times, F0 and phase."""
    return list(said_together(model, [model.conditioning(corpus.as_batch(c)) for c in clips]))


def against_recordings(
    model: torch.nn.Module, clips: list[Utterance] | None = None
) -> tuple[float, float]:
    """Log-mel distance in dB (mean) and std ratio (median) to recordings, by default the held-out ones,
    said with the recording's own phones, times, F0 and phase."""
    clips = corpus.held_out()[1] if clips is None else clips
    waves = _as_recorded(model, clips)
    pairs = [(wave, clip.audio, clip.rate) for wave, clip in zip(waves, clips, strict=True)]
    distances = [log_mel_distance(*pair) for pair in pairs]
    ratios = [std_ratio(wave, recording) for wave, recording, _ in pairs]
    return float(np.mean(distances)), float(np.median(ratios))


def table(
    per_word: int = 10, teacher_file: Path | None = None, student_file: Path | None = None
) -> dict[str, dict[str, float]]:
    """All figures of two voices, by default the shipped ones, and of recordings where they apply.

    Distances and std ratio are those to the kept-away recordings; the row "student to teacher" holds the same
    words of one network to the other's.
    """
    teacher, student = voice.load("teacher", teacher_file), voice.load("student", student_file)
    for model in (teacher, student):
        if model.spec != conditioning.DIGITS:
            raise ValueError(
                "this table is about the digits: give weights of their teacher and student"
            )
    kept = corpus.held_out()[1]
    right, count, _ = recognised((clip.text, clip.audio) for clip in kept)
    rows: dict[str, dict[str, float]] = {"recordings": {"recognised %": 100 * right / count}}
    distances = lambda a, b: _means(
        spectral_distances(*pair, voice.RATE, True) for pair in zip(a, b, strict=True)
    )
    recordings, waves = [clip.audio for clip in kept], {}
    for name, model in (("teacher", teacher), ("student", student)):
        right, count, mistaken = recognised(spoken_digits_of(model, per_word))
        waves[name] = _as_recorded(model, kept)
        ratios = [std_ratio(*pair) for pair in zip(waves[name], recordings, strict=True)]
        rows[name] = {
            "recognised %": 100 * right / count,
            **distances(waves[name], recordings),
            "std ratio": float(np.median(ratios)),
            "samples/s": synthesis.samples_per_second(model),
        }
        if mistaken:
            print(
                f"{name}: " + ", ".join(f"{w} heard as {'/'.join(h)}" for w, h in mistaken.items())
            )
    dither = voice.recipe_of("teacher", teacher_file).data["dither"]
    rows["teacher"]["NLL nats"] = held_out_nll(teacher, dither)
    rows["student"]["KL nats"], rows["student"]["entropy nats"] = student_kl(student, teacher)
    rows["student to teacher"] = distances(waves["student"], waves["teacher"])
    return rows


# ---------------------------------------------------------------- a voice of recorded sentences


WAYS = ("times and F0 recorded", "times recorded", "all predicted")


@dataclass(frozen=True)
class Said:
    """A kept-away sentence, said by a model: the waveform, and the plan that it was to follow."""

    clip: Utterance
    way: str
    audio: np.ndarray
    times: list[tuple[str, float, float]]
    f0: np.ndarray


def said_with(
    model: voice.TeacherVoice | voice.StudentVoice,
    prosody: Prosody,
    clip: Utterance,
    way: str,
    seed: int = 0,
) -> Said:
    """Say a clip's sentence with what `way` gives of the truth, the rest predicted by `prosody`.

    Whatever is given, the phase is the sum of F0: nothing of the recording's waveform is heard.
    """
    if way not in WAYS:
        raise ValueError(f"no way {way!r}: choose one of {', '.join(WAYS)}")
    if way == WAYS[0]:
        times, f0 = prosody.plan(times=clip.phones, f0=clip.f0)
    elif way == WAYS[1]:
        times, _ = prosody.plan(times=clip.phones)
        f0 = prosody.contour.predict(times, n=len(clip.f0))
    else:
        times, f0 = prosody.plan(clip.text)
    cond = synthesis.conditioning_for(model, [(times, f0)], clip.speaker)
    return Said(clip, way, synthesis.sample(model, cond, seed, backend="numba")[0], times, f0)


def linear_nll(
    train: Sequence[Utterance], kept: Sequence[Utterance], order: int, dither: float
) -> float:
    """Nats a sample of `kept` under x[t] ~ N(Σ_k w_k x[t-k], σ²), w and σ by least squares on `train`."""

    def rows(clip: Utterance, seed: int) -> tuple[np.ndarray, np.ndarray]:
        noise = np.random.default_rng(seed).normal(0, dither, len(clip.audio))
        x = np.pad(clip.audio + noise, (order, 0))
        past = np.lib.stride_tricks.sliding_window_view(x, order)[:-1, ::-1]  # (T, order)
        return past, x[order:]

    gram, cross, power, count = np.zeros((order, order)), np.zeros(order), 0.0, 0
    for index, clip in enumerate(train):
        past, x = rows(clip, index)
        gram, cross = gram + past.T @ past, cross + past.T @ x
        power, count = power + x @ x, count + len(x)
    w = np.linalg.solve(gram, cross)
    variance = (power - w @ cross) / count
    error = np.concatenate([x - past @ w for past, x in (rows(clip, 0) for clip in kept)])
    return float(0.5 * np.log(2 * np.pi * variance) + 0.5 * np.mean(error**2) / variance)


@torch.no_grad()
def likelihoods(
    model: voice.TeacherVoice, recipe: Recipe, train: list[Utterance], kept: list[Utterance]
) -> dict[str, float]:
    """Held-out nats a sample: of the model, of it at step 0, late by a frame, and of AR(order)."""
    dither, order = recipe.data["dither"], recipe.model["lpc_order"]
    out = {f"AR({order})": linear_nll(train, kept, order, dither)}
    torch.manual_seed(recipe.seed)
    start = voice.TeacherVoice.build(model.spec, **recipe.model)
    batches = corpus.Crops(train, **recipe.data, spec=model.spec)
    start.wavenet.init_from_data(torch.cat([batches(step)["audio"] for step in range(16)]))
    out["step 0"] = held_out_nll(start, dither, kept)
    out["trained"] = held_out_nll(model, dither, kept)
    total = count = 0.0
    for clip in kept:
        batch = corpus.as_batch(clip, dither, model.spec)
        batch["frames"] = batch["frames"].roll(1, -1)  # what was to come now comes a frame later
        total -= model.wavenet.head.log_prob(model(batch), batch["audio"]).sum().item()
        count += len(clip.audio)
    return out | {"trained, frames late by one": total / count}


def prosody_figures(
    prosody: Prosody, train: Sequence[Utterance], kept: Sequence[Utterance]
) -> dict[str, float]:
    """How well durations, voicing and F0 of kept-away sentences are predicted, and how well by constants.

    Durations: nats a phone, under the fitted Gaussians and under one without context. Voicing: share of
    frames, against always guessing the more frequent. F0: root-mean-square error of log F0, in %, where
    the recording is voiced, against the speaker's mean of log F0. Phones and times are the recording's.
    """

    def log_d(clips: Sequence[Utterance]) -> np.ndarray:
        return np.log([max(b - a, 0.005) for clip in clips for _, a, b in clip.phones])

    known = np.concatenate([prosody.durations.log_prob(clip.phones) for clip in kept])
    free = Gaussian.fit(log_d(train)[:, None]).log_prob(log_d(kept)[:, None])
    f0 = np.concatenate([clip.f0 for clip in train])
    middle, usual = np.log(f0[f0 > 0]).mean(), np.mean(f0 > 0) > 0.5
    right, guess, error, flat = [], [], [], []
    for clip in kept:
        log_f0, voicing = prosody.contour.mean(clip.phones, len(clip.f0))
        voiced = clip.f0 > 0
        right.append((voicing > 0.5) == voiced)
        guess.append(voiced == usual)
        truth = np.log(clip.f0[voiced])
        error.append(log_f0[voiced] - truth)
        flat.append(middle - truth)
    share = lambda parts: 100 * float(np.concatenate(parts).mean())
    rms = lambda parts: 100 * float(np.sqrt(np.mean(np.concatenate(parts) ** 2)))
    return {
        "durations, nats a phone": float(known.mean()),
        "without context": float(free.mean()),
        "voicing right %": share(right),
        "always the usual %": share(guess),
        "F0 rms error %": rms(error),
        "the speaker's mean %": rms(flat),
    }


def warped_distance(generated: np.ndarray, recorded: np.ndarray, rate: int) -> float:
    """Log-mel distance in dB along the best time warp, for sounds of any two lengths.

    The mel bands and the floor of `log_mel_distance`; each pair of frames costs its root-mean-square
    difference, and `metrics.dtw` finds the cheapest path. Twice its mean, since it divides by N + M:
    for sounds in step this is the mean over frames.
    """
    n_fft = frame_length(rate)
    mel = [
        DB * mel_spectrogram(np.asarray(x, float), rate, n_fft, n_fft // 4, n_mels=40)
        for x in (generated, recorded)
    ]
    floor = mel[1].max() - 60
    a, b = (np.maximum(value, floor) / 40**0.5 for value in mel)
    return 2 * dtw(a, b)


def spectral_distances(a: np.ndarray, b: np.ndarray, rate: int, in_step: bool) -> dict[str, float]:
    """Spectral distances of two sounds; `in_step`: frame by frame, too, where both have the same times."""
    found = {
        "warped dB": warped_distance(a, b, rate),
        "MCD dB": mel_cepstral_distortion(a, b, rate),
    }
    if in_step:
        found["log-mel dB"] = log_mel_distance(a, b, rate)
        found["STFT"] = stft_distance(a, b, rate)
    return found


class PhoneJudge:
    """Which phone is it? A Gaussian for the features of each phone's frames, fitted on recordings.

    A frame goes to the phone with the largest log prior + log density. It has no part in training.
    """

    def __init__(self, clips: Sequence[Utterance]) -> None:
        found = defaultdict(list)
        for clip in clips:
            features, names = self._frames(clip.audio, clip.rate, clip.phones)
            for name in set(names):
                found[name].append(features[names == name])
        self.names = sorted(name for name, parts in found.items() if sum(map(len, parts)) >= 200)
        rows = [np.concatenate(found[name]) for name in self.names]
        self.gaussians = [Gaussian.fit(x, shrinkage=0.02) for x in rows]
        share = np.array([len(x) for x in rows], float)
        self.prior = np.log(share / share.sum())

    @staticmethod
    def _frames(x: np.ndarray, rate: int, times: Sequence) -> tuple[np.ndarray, np.ndarray]:
        noise = np.random.default_rng(0).normal(0, 1e-3, len(x))  # so that silences are alike
        features = speech_features(np.asarray(x, float) + noise, rate, 0.01)
        features = features - np.median(features[:, :1])  # a level for the whole clip
        ends = np.array([end for _, _, end in times])
        at = np.minimum(np.searchsorted(ends, np.arange(len(features)) * 0.01), len(times) - 1)
        return features, np.array([name for name, _, _ in times])[at]

    def __call__(self, x: np.ndarray, rate: int, times: Sequence) -> float:
        """The share of the frames of speech, pauses left out, that are named as the plan has it."""
        features, names = self._frames(x, rate, times)
        scores = [g.log_prob(features) + p for g, p in zip(self.gaussians, self.prior, strict=True)]
        heard = np.array(self.names)[np.argmax(scores, axis=0)]
        speech = names != "pau"
        return float(np.mean(heard[speech] == names[speech]))


def _pitch_of(x: np.ndarray, rate: int, f0: np.ndarray) -> tuple[float, float]:
    """How well a sound has the F0 it was to have: voicing agreement, median |error| in %."""
    heard = pitch.f0(x, rate)[: len(f0)]
    f0 = f0[: len(heard)]
    both = (heard > 0) & (f0 > 0)
    error = np.abs(np.log(heard[both] / f0[both])) if both.any() else np.array([np.nan])
    return float(np.mean((heard > 0) == (f0 > 0))), float(100 * np.median(error))


def figures(
    said: Sequence[Said], judge: PhoneJudge, strangers: bool = True
) -> dict[str, dict[str, float]]:
    """What can be measured of each way to say the sentences: means over sentences, std ratio's median.

    "voicing %" and "F0 error %" hold a sound to its own plan: whether the network does as it is told.
    The row "recordings" tells what the judge of phones says of the truth, and "another sentence" how
    far apart two sentences of one voice are that have nothing but the voice in common.
    """
    rows: dict[str, dict[str, float]] = {}
    clips = list({one.clip.name: one.clip for one in said}.values())
    named = [judge(clip.audio, clip.rate, clip.phones) for clip in clips]
    rows["recordings"] = {"phones %": 100 * float(np.mean(named))}
    if strangers and len(clips) > 1:
        others = [*clips[1:], clips[0]]
        apart = [
            warped_distance(o.audio, c.audio, c.rate) for o, c in zip(others, clips, strict=True)
        ]
        rows["another sentence"] = {"warped dB": float(np.mean(apart))}
    for way in dict.fromkeys(one.way for one in said):
        mine = [one for one in said if one.way == way]
        row: dict[str, list[float]] = defaultdict(list)
        for one in mine:
            clip, rate = one.clip, one.clip.rate
            # all predicted: the times, and so the length, are not the recording's
            in_step = not way.endswith(WAYS[2])
            for key, value in spectral_distances(one.audio, clip.audio, rate, in_step).items():
                row[key].append(value)
            row["phones %"].append(100 * judge(one.audio, rate, one.times))
            voicing, error = _pitch_of(one.audio, rate, one.f0)
            row["voicing %"].append(100 * voicing)
            row["F0 error %"].append(error)
            row["seconds ratio"].append(len(one.audio) / len(clip.audio))
            row["peak"].append(float(np.abs(one.audio).max()))
        known = {name: [v for v in values if np.isfinite(v)] for name, values in row.items()}
        rows[way] = {name: float(np.mean(v)) if v else float("nan") for name, v in known.items()}
        ratios = [std_ratio(one.audio, one.clip.audio) for one in mine]
        rows[way]["std ratio"] = float(np.median(ratios))
    return rows


def speech_table(
    weights: Path | str | None = None,
    limit: int | None = None,
    student: Path | str | None = None,
) -> tuple[dict[str, dict], list[Said], list[Said], PhoneJudge, Prosody]:
    """All that is measured of a voice of recorded sentences, by default "allison".

    Args:
        weights: of the teacher. student: of its student; without either, those that ship, and without
            `student` alone, none. limit: take the first few kept-away sentences.

    Returns:
        What was measured on the sentences that `corpus.held_out` keeps away, what the teacher and what the student
        said, the judge of phones, and the prosody fitted on the rest. Measured are "nats", "prosody", and
        "sentences", {way: {figure: value}}; of a student "student nats", "student" and, how far it is
        from its teacher's sound, "student to teacher".
    """
    model = voice.load("teacher", weights, voice="allison")
    recipe = voice.recipe_of("teacher", weights, voice="allison")
    if recipe.corpus is None:
        raise ValueError(f"{weights} is a voice of the digits: evaluate it without --voice")
    train, kept = corpus.read_all(recipe.corpus)
    kept = kept[:limit]
    prosody, judge = Prosody.fit(train), PhoneJudge(train)
    said = [said_with(model, prosody, clip, way) for clip in kept for way in WAYS]
    measured = {
        "nats": likelihoods(model, recipe, train, kept),
        "prosody": prosody_figures(prosody, train, kept),
        "sentences": figures(said, judge),
    }
    if student is None and weights is not None:
        return measured, said, [], judge, prosody
    pupil = voice.load("student", student, voice="allison")
    by_student = [said_with(pupil, prosody, clip, way) for clip in kept for way in WAYS]
    kl, entropy = student_kl(pupil, model, kept)
    measured["student nats"] = {"KL to the teacher": kl, "entropy": entropy}
    rows = figures(by_student, judge, strangers=False)
    measured["student"] = {way: rows[way] for way in WAYS}
    pairs = list(zip(by_student, said, strict=True))
    measured["student to teacher"] = {
        way: _means(
            spectral_distances(a.audio, b.audio, model.spec.rate, True)
            for a, b in pairs
            if a.way == way
        )
        for way in WAYS
    }
    return measured, said, by_student, judge, prosody


def _means(rows: Iterable[dict[str, float]]) -> dict[str, float]:
    rows = list(rows)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


TITLES = {
    "nats": "held-out nats a sample:",
    "prosody": "prosody, held out:",
    "sentences": "kept-away sentences, by the teacher:",
    "student nats": "the student, nats a sample:",
    "student": "kept-away sentences, by the student:",
    "student to teacher": "from the student's sound to the teacher's:",
}


def as_text(measured: dict[str, dict]) -> str:
    """The figures of `speech_table`, one row a line."""
    lines = []
    for part, rows in measured.items():
        lines.append(TITLES[part])
        for name, row in rows.items():
            if isinstance(row, dict):
                text = "  ".join(f"{key} {value:.2f}" for key, value in row.items())
            else:
                text = f"{row:.3f}"
            lines.append(f"{name:>28}  {text}")
    return "\n".join(lines)
