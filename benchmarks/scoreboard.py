"""All rows of the scoreboard of chapter 15, measured on the thirty held-out clips, and what each costs.

    python benchmarks/scoreboard.py                     measure, print, write minigen/results/scoreboard.json
    python benchmarks/scoreboard.py student "µ-law"     measure and print these rows only

Run it with one thread (OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1): its times are processor time of one core.
Needs the packages of the extra `judges`.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from itertools import cycle

import torch

from minigen import results, weights
from minigen.data import Utterance
from minigen.metrics import real_time_factor
from minigen.speech import corpus, evaluation, unconditional, voice, waveform_model
from minigen.speech.scoreboard import ROWS, measure_row
from minigen.speech.waveform_training import nll

UNITS = {
    "recognised": "of 30",
    "mcd": "dB",
    "lsd": "dB",
    "log_mel": "dB",
    "stft": "",
    "f0": "median |error|, cents",
    "gross": "% of frames more than 600 cents off",
    "voicing": "%",
    "std_ratio": "",
    "stoi": "",
    "pesq": "1 … 4.6",
}
COSTS = {
    "real_time": "seconds of sound in a second of one core, one word at a time, median of three words",
    "minutes": "of one core, to train all its networks from nothing",
    "mb": "of weights",
    "nll": "held-out nats per sample, the phase being the sum of F0",
    "kl": "nats per sample, to its teacher, the phase being the recording's",
}
CHECKPOINTS = {"WaveNet, checkpoint before": -2, "WaveNet, last checkpoint": -1}
FILES = {  # of a row: what it was trained from, its own weights last
    "VAE of words": ["vae_words"],
    "VQ-VAE": ["digits_teacher", "vq_spoken_digits"],
    "teacher": ["digits_teacher"],
    "teacher, noise × 0.7": ["digits_teacher"],
    "student": ["digits_teacher", "digits_student"],
    "teacher, mel bands": ["waveform_teacher"],
    "student, mel bands": ["waveform_teacher", "waveform_student"],
}


def minutes(name: str) -> float:
    """What the card or the notes of weights say of the time that their training took."""
    file = weights.path(name)
    notes = weights.notes(file) | (weights.card(name) if file.with_suffix(".json").exists() else {})
    if "stages" in notes:
        return sum(stage["minutes"] for stage in notes["stages"])
    if "processor seconds on one core" in notes:
        return notes["processor seconds on one core"] / 60
    found = notes["minutes"]
    return sum(found.values()) if isinstance(found, dict) else found


def checkpoint(name: str) -> dict:
    """What the card says of a row's checkpoint of the unconditional WaveNet."""
    return unconditional.card("checkpoints")["checkpoints"][CHECKPOINTS[name]]


@torch.no_grad()
def likelihood(clips: list[Utterance]) -> dict[str, dict[str, float]]:
    """{row: {"nll" or "kl": nats per sample}}, and the NLL of two models that are given nothing."""
    train = corpus.held_out()[0]
    of = lambda net: -unconditional.nats(net, clips, follow_audio=False)
    teacher, student = voice.load("teacher"), voice.load("student")
    made = {"AR(16)": {"nll": -unconditional.ar_nats(16, train, clips)}}
    for name in CHECKPOINTS:
        made[name] = {"nll": of(unconditional.load_checkpoint(checkpoint(name)["step"]))}
    made["teacher"] = {"nll": of(teacher)}
    made["student"] = {"kl": evaluation.student_kl(student, teacher, clips)[0]}
    anybody = [replace(clip, speaker=waveform_model.ANYBODY) for clip in clips]
    bands = nll(waveform_model.load("teacher"), anybody, unconditional.DITHER)[0]
    made["teacher, mel bands"] = {"nll": bands}
    return made


def costs() -> dict[str, dict[str, float | None]]:
    """{row: {cost: value}} of the voices; AR(16), which is no row, has a likelihood only."""
    clips = corpus.held_out()[1]
    found = likelihood(clips)
    for row in ROWS:
        if row.chapter is None:
            continue
        files = FILES.get(row.name, [])
        words = cycle([[clip] for clip in clips[::10]])
        speak = lambda make=row.make, words=words: make(next(words))[0]
        factor = real_time_factor(speak, clips[0].rate, clock=time.process_time)
        cost = {"real_time": 1 / factor, **found.get(row.name, {})}
        if row.name in CHECKPOINTS:
            card = checkpoint(row.name)
            files, cost["minutes"] = [f"wavenet_step_{card['step']}"], card["cpu_minutes"]
        elif files:
            cost["minutes"] = sum(minutes(name) for name in files)
        if files:
            cost["mb"] = weights.path(files[-1]).stat().st_size / 1e6
        found[row.name] = cost
        print(row.name, cost, flush=True)
    return found


def main(names: list[str]) -> None:
    rows = {}
    for name in names or [row.name for row in ROWS]:
        rows[name] = measure_row(name)
        print(results.as_text({name: rows[name]}), flush=True)
    if names:
        return
    card = {
        "command": "python benchmarks/scoreboard.py",
        "data": "the 30 clips of spoken_digits that corpus.held_out holds out",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "seeds": 1,
        "units": UNITS,
        "what": {row.name: {"chapter": row.chapter, "given": row.note} for row in ROWS},
        "rows": {name: {key: row[key] for key in UNITS} for name, row in rows.items()},
        "cost units": COSTS,
        "costs": costs(),
    }
    results.write("scoreboard", card)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="rows, by default all")
    main(parser.parse_args().names)
