"""Figures of a voice of recorded sentences: likelihoods, prosody, and what held-out sentences sound like."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .. import results
from ..audio import pitch
from ..data import Utterance
from ..gaussian import Gaussian
from ..metrics import PhoneClassifier, std_ratio, summarise, warped_distance
from . import corpus, synthesis, voice
from .evaluation import held_out_nll, spectral_distances, student_kl
from .prosody import Prosody
from .recipe import Recipe

__all__ = [
    "CONDITIONS",
    "TITLES",
    "Synthesized",
    "as_text",
    "figures",
    "likelihoods",
    "linear_nll",
    "prosody_figures",
    "sentence_table",
    "synthesize_sentence",
]

CONDITIONS = ("times and F0 recorded", "times recorded", "all predicted")
TITLES = {
    "nats": "held-out nats per sample:",
    "prosody": "prosody, held out:",
    "sentences": "held-out sentences, by the teacher:",
    "student nats": "the student, nats per sample:",
    "student": "held-out sentences, by the student:",
    "student to teacher": "from the student's sound to the teacher's:",
}


@dataclass(frozen=True)
class Synthesized:
    """A held-out sentence as a model made it: the waveform, and the plan that it was to follow."""

    clip: Utterance
    condition: str
    audio: np.ndarray
    times: list[tuple[str, float, float]]
    f0: np.ndarray


def synthesize_sentence(
    model: voice.TeacherVoice | voice.StudentVoice,
    prosody: Prosody,
    clip: Utterance,
    condition: str,
    seed: int = 0,
) -> Synthesized:
    """Synthesize a clip's sentence with what `condition` takes from it, the rest predicted by `prosody`.

    In every condition the phase is the sum of F0: nothing of the recording's waveform is used.
    """
    if condition not in CONDITIONS:
        raise ValueError(f"no condition {condition!r}: choose one of {', '.join(CONDITIONS)}")
    if condition == CONDITIONS[0]:
        times, f0 = prosody.plan(times=clip.phones, f0=clip.f0)
    elif condition == CONDITIONS[1]:
        times, _ = prosody.plan(times=clip.phones)
        f0 = prosody.contour.predict(times, n=len(clip.f0))
    else:
        times, f0 = prosody.plan(clip.text)
    cond = synthesis.conditioning_for(model, [(times, f0)], clip.speaker)
    x = synthesis.sample(model, cond, seed, backend="numba")[0]
    return Synthesized(clip, condition, x, times, f0)


# ---------------------------------------------------------------- likelihoods


def linear_nll(
    train: Sequence[Utterance], held_out: Sequence[Utterance], order: int, dither: float
) -> float:
    """Nats per sample of `held_out` under x[t] ~ N(Σ_k w_k x[t-k], σ²), w and σ by least squares on `train`."""

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
    error = np.concatenate([x - past @ w for past, x in (rows(clip, 0) for clip in held_out)])
    return float(0.5 * np.log(2 * np.pi * variance) + 0.5 * np.mean(error**2) / variance)


@torch.no_grad()
def likelihoods(
    model: voice.TeacherVoice, recipe: Recipe, train: list[Utterance], held_out: list[Utterance]
) -> dict[str, float]:
    """Held-out nats per sample: of the model, of it at step 0, late by a frame, and of AR(lpc_order)."""
    dither, order = recipe.data["dither"], recipe.model["lpc_order"]
    out = {f"AR({order})": linear_nll(train, held_out, order, dither)}
    torch.manual_seed(recipe.seed)
    start = voice.TeacherVoice.build(model.spec, **recipe.model)
    batches = corpus.Crops(train, **recipe.data, spec=model.spec)
    start.wavenet.init_from_data(torch.cat([batches(step)["audio"] for step in range(16)]))
    out["step 0"] = held_out_nll(start, dither, held_out)
    out["trained"] = held_out_nll(model, dither, held_out)
    total = count = 0.0
    for clip in held_out:
        batch = corpus.as_batch(clip, dither, model.spec)
        batch["frames"] = batch["frames"].roll(1, -1)  # what was to come now comes a frame later
        total -= model.wavenet.head.log_prob(model(batch), batch["audio"]).sum().item()
        count += len(clip.audio)
    return out | {"trained, frames late by one": total / count}


# ---------------------------------------------------------------- prosody and sound


def prosody_figures(
    prosody: Prosody, train: Sequence[Utterance], held_out: Sequence[Utterance]
) -> dict[str, float]:
    """How well durations, voicing and F0 of held-out sentences are predicted, and how well by constants.

    Durations: nats per phone, under the fitted Gaussians and under one without context. Voicing: share of
    frames, against always guessing the more frequent. F0: root-mean-square error of log F0, in %, where
    the recording is voiced, against the speaker's mean of log F0. Phones and times are the recording's.
    """

    def log_d(clips: Sequence[Utterance]) -> np.ndarray:
        return np.log([max(b - a, 0.005) for clip in clips for _, a, b in clip.phones])

    known = np.concatenate([prosody.durations.log_prob(clip.phones) for clip in held_out])
    free = Gaussian.fit(log_d(train)[:, None]).log_prob(log_d(held_out)[:, None])
    f0 = np.concatenate([clip.f0 for clip in train])
    middle, usual = np.log(f0[f0 > 0]).mean(), np.mean(f0 > 0) > 0.5
    right, guess, error, flat = [], [], [], []
    for clip in held_out:
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


def _pitch_of(x: np.ndarray, rate: int, f0: np.ndarray) -> tuple[float, float]:
    """How well a sound has the F0 it was to have: voicing agreement, median |error| in %."""
    found = pitch.f0(x, rate)[: len(f0)]
    f0 = f0[: len(found)]
    both = (found > 0) & (f0 > 0)
    error = np.abs(np.log(found[both] / f0[both])) if both.any() else np.array([np.nan])
    return float(np.mean((found > 0) == (f0 > 0))), float(100 * np.median(error))


def figures(
    made: Sequence[Synthesized], classifier: PhoneClassifier, baseline: bool = True
) -> dict[str, dict[str, float]]:
    """What can be measured of each condition: means over sentences, of the std ratio the median.

    "voicing %" and "F0 error %" hold a sound to its own plan: whether the network follows its conditioning.
    The row "recordings" tells what the classifier of phones finds in the truth, and "another sentence"
    (if `baseline`) how far apart two sentences are that have nothing but the voice in common.
    """
    clips = list({one.clip.name: one.clip for one in made}.values())
    named = [classifier(clip.audio, clip.rate, clip.phones) for clip in clips]
    rows: dict[str, dict[str, float]] = {"recordings": {"phones %": 100 * float(np.mean(named))}}
    if baseline and len(clips) > 1:
        others = zip([*clips[1:], clips[0]], clips, strict=True)
        apart = [warped_distance(o.audio, c.audio, c.rate) for o, c in others]
        rows["another sentence"] = {"warped dB": float(np.mean(apart))}
    columns = defaultdict(list)
    for one in made:
        clip, rate = one.clip, one.clip.rate
        # all predicted: the times, and so the length, are not the recording's
        in_step = not one.condition.endswith(CONDITIONS[2])
        row = spectral_distances(one.audio, clip.audio, rate, in_step)
        row["phones %"] = 100 * classifier(one.audio, rate, one.times)
        voicing, error = _pitch_of(one.audio, rate, one.f0)
        row |= {"voicing %": 100 * voicing, "F0 error %": error}
        row["seconds ratio"] = len(one.audio) / len(clip.audio)
        row["peak"] = float(np.abs(one.audio).max())
        columns[one.condition].append(row | {"std ratio": std_ratio(one.audio, clip.audio)})
    return rows | {condition: summarise(found) for condition, found in columns.items()}


def sentence_table(
    weights: Path | str | None = None,
    limit: int | None = None,
    student: Path | str | None = None,
    report: Callable[[str], None] = lambda stage: None,
) -> tuple[dict[str, dict], list[Synthesized], list[Synthesized], PhoneClassifier, Prosody]:
    """All that is measured of a voice of recorded sentences, by default "allison".

    Args:
        weights: of the teacher. student: of its student; without either, those that ship, and without
            `student` alone, none. limit: take the first few held-out sentences. report: is called with each stage.

    Returns:
        What was measured on the sentences that `corpus.held_out` holds out, what the teacher and what the
        student made, the classifier of phones, and the prosody fitted on the rest. Measured are "nats",
        "prosody", and "sentences", {condition: {figure: value}}; of a student "student nats", "student"
        and, how far it is from its teacher's sound, "student to teacher".
    """
    model = voice.load("teacher", weights, voice="allison")
    recipe = voice.recipe_of("teacher", weights, voice="allison")
    if recipe.corpus is None:
        raise ValueError(f"{weights} is a voice of the digits: evaluate it without --voice")
    report("reading the corpus")
    train, held = corpus.read_all(recipe.corpus)
    held = held[:limit]
    report("fitting prosody and phones")
    prosody, classifier = Prosody.fit(train), PhoneClassifier(train)

    def synthesize(net: torch.nn.Module, name: str) -> list[Synthesized]:
        made = []
        for number, clip in enumerate(held, start=1):
            report(f"{name}: sentence {number} of {len(held)}")
            made += [synthesize_sentence(net, prosody, clip, c) for c in CONDITIONS]
        return made

    made = synthesize(model, "teacher")
    report("likelihoods")
    measured = {
        "nats": likelihoods(model, recipe, train, held),
        "prosody": prosody_figures(prosody, train, held),
        "sentences": figures(made, classifier),
    }
    if student is None and weights is not None:
        return measured, made, [], classifier, prosody
    pupil = voice.load("student", student, voice="allison")
    by_student = synthesize(pupil, "student")
    kl, entropy = student_kl(pupil, model, held)
    measured["student nats"] = {"KL to the teacher": kl, "entropy": entropy}
    rows = figures(by_student, classifier, baseline=False)
    measured["student"] = {condition: rows[condition] for condition in CONDITIONS}
    apart = defaultdict(list)
    for a, b in zip(by_student, made, strict=True):
        apart[a.condition].append(spectral_distances(a.audio, b.audio, model.spec.rate, True))
    measured["student to teacher"] = {name: summarise(found) for name, found in apart.items()}
    return measured, made, by_student, classifier, prosody


def as_text(measured: dict[str, dict]) -> str:
    """The figures of `sentence_table`."""
    lines = []
    for part, rows in measured.items():
        nested = any(isinstance(row, dict) for row in rows.values())
        table = rows if nested else {name: {"": value} for name, value in rows.items()}
        lines += [TITLES[part], results.as_text(table), ""]
    return "\n".join(lines)
