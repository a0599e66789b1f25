"""Measure the digit teacher with a mixture of logistics and its student, and write what was found to one file.

    minigen train teacher --config training/digits-mixture-cpu-teacher.toml --out runs/mixture-teacher --resume
    minigen train student --config training/digits-mixture-cpu-student.toml --out runs/mixture-student --resume
    python training/digits_mixture.py

writes minigen/results/digits_mixture.json: the figures of `minigen evaluate`, the shipped Gaussian teacher's
likelihood beside the mixture's, how the components are used, and how much the sampled KL scatters. Run from the
repository's root.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from minigen import metrics, results
from minigen.parallel_wavenet import kl_spread
from minigen.speech import corpus, evaluation, synthesis, unconditional, voice

ROOT = Path(__file__).resolve().parent.parent
CARD = results.path("digits_mixture")
SAMPLES = (1, 2, 4, 8, 16, 32)


@torch.no_grad()
def components(teacher: voice.TeacherVoice, dither: float) -> dict[str, float]:
    """Of the held-out clips: how many components count, exp of the weights' entropy, and how often one does."""
    count, alone = [], []
    for clip in corpus.held_out()[1]:
        batch = corpus.as_batch(clip, dither)
        weights = teacher.wavenet.head.split(teacher(batch))[2].softmax(1)  # (1, k, T)
        count.append(torch.special.entr(weights).sum(1).exp().flatten())
        alone.append((weights.amax(1) > 0.9).flatten().float())
    return {
        "of": teacher.wavenet.head.k,
        "that count, on average": round(torch.cat(count).mean().item(), 2),
        "one weighs over 0.9, % of samples": round(100 * torch.cat(alone).mean().item(), 1),
    }


@torch.no_grad()
def scatter(student: voice.StudentVoice, teacher: voice.TeacherVoice) -> dict[str, dict]:
    """`kl_spread` on the conditioning of three held-out clips, with the student's own sound as the past."""
    found = []
    for index, clip in enumerate(corpus.held_out()[1][::10]):
        generator = torch.Generator().manual_seed(index)
        cond = student.conditioning(corpus.as_batch(clip))
        noise = student.student.noise(torch.randn(1, 1, cond.shape[-1], generator=generator))
        x, mean, log_scale = student.student(noise, cond)
        part = slice(600, 2600)  # the teacher's past is whole from 256 on
        of = (mean[..., part], log_scale[..., part], teacher.wavenet(x, cond)[..., part])
        found.append(
            kl_spread(*of, teacher.wavenet.head, SAMPLES, 100, generator, student.student.base)
        )
    mean_of = lambda way, n: float(np.sqrt(np.mean([row[way][n] ** 2 for row in found])))
    return {way: {str(n): round(mean_of(way, n), 3) for n in SAMPLES} for way in found[0]}


@torch.no_grad()
def spectral(student: voice.StudentVoice) -> float:
    """The STFT loss against the held-out recordings, as in training/ablations.py."""
    found = []
    for clip in corpus.held_out()[1]:
        wave = synthesis.sample(student, student.conditioning(corpus.as_batch(clip)))[0]
        found.append(metrics.stft_distance(wave, clip.audio, clip.rate))
    return float(np.mean(found))


def row(model: torch.nn.Module) -> dict[str, float]:
    """The figures of `minigen evaluate` that teacher and student have in common."""
    right, count, _ = evaluation.recognised(evaluation.synthesize_digits(model))
    distance, ratio = evaluation.against_recordings(model)
    return {"recognised %": 100 * right / count, "log-mel dB": distance, "std ratio": ratio}


def of_teacher(teacher: voice.TeacherVoice, dither: float) -> dict:
    """Beside it the shipped Gaussian teacher's likelihood of the same clips with the same dither."""
    return {
        "figures": rounded(row(teacher)),
        "NLL nats": round(-unconditional.nats(teacher, corpus.held_out()[1], dither), 3),
        "NLL nats of the Gaussian teacher": round(
            -unconditional.nats(voice.load("teacher"), corpus.held_out()[1], dither), 3
        ),
        "components": components(teacher, dither),
    }


def of_student(student: voice.StudentVoice, teacher: voice.TeacherVoice) -> dict:
    """Also what training/ablations.py measures, 30 words and the STFT loss, so that its rows can stand beside."""
    kl, entropy = evaluation.student_kl(student, teacher)
    right, count, _ = evaluation.recognised(evaluation.synthesize_digits(student, per_word=3))
    return {
        "figures": rounded(row(student)),
        "KL nats": round(kl, 3),
        "entropy nats": round(entropy, 3),
        "as in ablations.json": {
            "stft": round(spectral(student), 3),
            "recognised": right,
            "of": count,
        },
        "kl_spread": scatter(student, teacher),
    }


def rounded(figures: dict[str, float]) -> dict[str, float]:
    """To three places."""
    return {name: round(value, 3) for name, value in figures.items()}


def main() -> None:
    """Measure what is asked for, and write it into the card."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=["teacher", "student"])
    for kind in ("teacher", "student"):
        default = ROOT / f"runs/mixture-{kind}/checkpoint.safetensors"
        parser.add_argument(f"--{kind}", type=Path, default=default)
    parser.add_argument("--out", type=Path, default=CARD)
    given = parser.parse_args()
    card = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    card |= {
        "data": "spoken_digits, 330 clips; measured on 30 held out",
        "command": "python training/digits_mixture.py",
    }
    teacher = voice.load("teacher", given.teacher)
    for kind in given.what:
        path = {"teacher": given.teacher, "student": given.student}[kind]
        recipe, model = voice.recipe_of(kind, path), voice.load(kind, path)
        if kind == "teacher":
            found = of_teacher(model, recipe.data["dither"])
        else:
            found = of_student(model, teacher)
        card[kind] = {"weights": sum(w.numel() for w in model.parameters()), **found}
        card[kind]["recipe"] = recipe.as_dict()
        print(kind, json.dumps(found, indent=1), flush=True)
    given.out.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
