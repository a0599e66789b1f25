"""Figures of a voice that says any sentence: likelihoods, prosody, and what held-out sentences sound like."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from .. import conditioning, data, results
from ..audio import fit_length, pitch
from ..conditioning import VoiceSpec
from ..data import Utterance
from ..gaussian import Gaussian
from ..metrics import std_ratio, summarise, warped_distance
from ..parallel_wavenet import conditional_kl
from ..weights import takes_networks
from . import corpus, waveform_model
from .evaluation import spectral_distances
from .prosody import Prosody
from .unconditional import AdaptiveAR, lagged, least_squares
from .voice_file import TextVoice, find
from .waveform_model import ExcitationStudent, ExcitationTeacher
from .waveform_training import nll

CONDITIONS = ("bands and F0 recorded", "times and F0 recorded", "times recorded", "all predicted")
TITLES = {
    "nats": "held-out nats per sample, with the phase that speaking uses:",
    "prosody": "prosody, held out:",
    "sentences": "held-out sentences:",
}


@dataclass(frozen=True)
class Synthesized:
    """A held-out sentence as a voice made it: the waveform, and the F0 that it was to follow."""

    clip: Utterance
    condition: str
    audio: np.ndarray
    f0: np.ndarray


def synthesize_sentence(
    voice: TextVoice, clip: Utterance, condition: str, seed: int = 0
) -> Synthesized:
    """Synthesize a clip's sentence with what `condition` takes from it, the rest predicted by the voice.

    In every condition the phase is the sum of F0, not the recording's.
    """
    if condition not in CONDITIONS:
        raise ValueError(f"no condition {condition!r}: choose one of {', '.join(CONDITIONS)}")
    spec, f0 = voice.student.spec, clip.f0
    if condition == CONDITIONS[0]:
        mel = conditioning.mel_bands(clip.audio, spec.rate, spec.mels)
    else:
        if condition == CONDITIONS[3]:
            first, *more = voice.sentences(clip.text)  # each between two pauses
            phones = first + [phone for row in more for phone in row[1:]]
            times, f0 = voice.prosody.plan(phones=phones)
        else:
            times, _ = voice.prosody.plan(times=clip.phones)
            if condition == CONDITIONS[2]:
                f0 = voice.prosody.contour.predict(times, n=len(f0))
        mel = voice.acoustic.predict(times, f0)
    n = min(mel.shape[1], len(f0))
    f0 = np.asarray(f0[:n], float)
    return Synthesized(clip, condition, voice.student.synthesize(mel[:, :n], f0, seed), f0)


# ---------------------------------------------------------------- likelihoods
def linear_nll(
    train: Sequence[Utterance], held_out: Sequence[Utterance], order: int, dither: float
) -> float:
    """Nats per sample of `held_out` under x[t] ~ N(Σ_k w_k x[t-k], σ²), w and σ by least squares on `train`."""
    noise = lambda clip, seed: np.random.default_rng(seed).normal(0, dither, len(clip.audio))
    known = [clip.audio + noise(clip, index) for index, clip in enumerate(train)]
    w = least_squares(known, order)
    errors = lambda sounds: np.concatenate([x - lagged(x, order) @ w for x in sounds])
    variance = np.mean(errors(known) ** 2)
    error = errors(clip.audio + noise(clip, 0) for clip in held_out)
    return float(0.5 * np.log(2 * np.pi * variance) + 0.5 * np.mean(error**2) / variance)


@torch.no_grad()
@takes_networks
def likelihoods(
    teacher: ExcitationTeacher,
    student: ExcitationStudent,
    train: Sequence[Utterance],
    held_out: Sequence[Utterance],
    dither: float,
) -> dict[str, float]:
    """Nats per sample of held-out sound: of AR(16), with one scale and, fitted to a quarter of the clips, with a
    scale that follows its own errors; of the flow without a network, of the teacher; the KL of the student to it."""
    kl = count = 0.0
    for clip in held_out:
        cond = student.conditioning(corpus.as_batch(clip, dither, teacher.spec))
        noise = torch.randn(1, 1, cond.shape[-1], generator=torch.Generator().manual_seed(0))
        made, mean, log_scale = student.student(noise, cond)
        params = teacher.wavenet(made, cond)
        kl += conditional_kl(mean, log_scale, params, teacher.wavenet.head).sum().item()
        count += noise.numel()
    with_network, without = nll(teacher, held_out, dither)

    def noisy(clip: Utterance, seed: int) -> np.ndarray:
        return clip.audio + np.random.default_rng(seed).normal(0, dither, len(clip.audio))

    adaptive = AdaptiveAR.fit([noisy(clip, n) for n, clip in enumerate(train[::4])], 16)
    own_scale = np.concatenate([adaptive.log_density(noisy(clip, 0)) for clip in held_out])
    return {
        "AR(16)": linear_nll(train, held_out, 16, dither),
        "AR(16), its scale from the past": -float(own_scale.mean()),
        "linear prediction from the bands": without,
        "teacher": with_network,
        "KL of the student to the teacher": kl / count,
    }


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
        "durations, nats per phone": float(known.mean()),
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


def figures(made: Sequence[Synthesized]) -> dict[str, dict[str, float]]:
    """What can be measured of each condition: means over sentences, of the std ratio the median.

    "voicing %" and "F0 error %" hold a sound to its own plan: whether the network follows its conditioning.
    The row "another sentence" tells how far apart two recordings are that have nothing but the voice in common.
    """
    recorded = list({one.clip.name: one.clip for one in made}.values())
    rows: dict[str, dict[str, float]] = {}
    if len(recorded) > 1:
        others = zip([*recorded[1:], recorded[0]], recorded, strict=True)
        apart = [warped_distance(o.audio, c.audio, c.rate) for o, c in others]
        rows["another sentence"] = {"warped dB": float(np.mean(apart))}
    columns = defaultdict(list)
    for one in made:
        clip, rate, in_step = one.clip, one.clip.rate, one.condition != CONDITIONS[3]
        x = fit_length(one.audio, len(clip.audio)) if in_step else one.audio
        row = spectral_distances(x, clip.audio, rate, in_step)
        voicing, error = _pitch_of(one.audio, rate, one.f0)
        row |= {"voicing %": 100 * voicing, "F0 error %": error}
        row["seconds ratio"] = len(one.audio) / len(clip.audio)
        columns[one.condition].append(row | {"std ratio": std_ratio(one.audio, clip.audio)})
    return rows | {condition: summarise(found) for condition, found in columns.items()}


def clips(table: Path | str, spec: VoiceSpec) -> tuple[list[Utterance], list[Utterance]]:
    """The recordings at one level, with the times of their phones: (to train on, held out)."""
    timed = {clip.name: clip for clip in data.allison(phones=table)}

    def known(clip: Utterance) -> Utterance:
        end, phones = clip.duration, timed[clip.name].phones
        f0 = conditioning.sharpened(clip.f0, clip.rate, clip.audio)
        return replace(clip, phones=[(n, a, min(b, end)) for n, a, b in phones if a < end], f0=f0)

    parts = corpus.read_all("allison", spec.rate)
    train, held = ([known(clip) for clip in part if clip.name in timed] for part in parts)
    return train, held


def sentence_table(
    phones: Path | str,
    name: str = "allison",
    limit: int | None = None,
    report: Callable[[str], None] = lambda stage: None,
) -> tuple[dict[str, dict], list[Synthesized]]:
    """All that is measured of a voice on the sentences of `allison` that `corpus.held_out` holds out.

    Args:
        phones: the table of phone times that `minigen align allison` makes.
        name: of the voice, or its file. limit: take the first few sentences. report: is called with each stage.

    Returns {"nats": …, "prosody": …, "sentences": {condition: {figure: value}}}, and the sounds.
    """
    voice, teacher = find(name), waveform_model.load("teacher")
    report("reading the corpus")
    train, held = clips(phones, voice.student.spec)
    held = held[:limit]
    made = []
    for number, clip in enumerate(held, start=1):
        report(f"sentence {number} of {len(held)}")
        made += [synthesize_sentence(voice, clip, condition) for condition in CONDITIONS]
    report("likelihoods")
    nats = likelihoods(teacher, voice.student, train, held, voice.student.noise)
    prosody = prosody_figures(voice.prosody, train, held)
    return {"nats": nats, "prosody": prosody, "sentences": figures(made)}, made


def as_text(measured: dict[str, dict]) -> str:
    """The figures of `sentence_table`."""
    lines = []
    for part, rows in measured.items():
        nested = any(isinstance(row, dict) for row in rows.values())
        table = rows if nested else {name: {"": value} for name, value in rows.items()}
        lines += [TITLES[part], results.as_text(table), ""]
    return "\n".join(lines)
