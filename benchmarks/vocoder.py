"""How well recordings come back from mel spectrum and F0: the vocoder beside two methods without a network.

    python benchmarks/vocoder.py [--teacher FILE --student FILE] [--write]

Measured on clips that the vocoder's recipe holds out, corpus by corpus, and on a corpus none of whose
speakers is in its training data. `--write` puts the figures into minigen/results/vocoder.json,
which chapter 14 shows. Needs the corpora and the package pystoi.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from minigen import audio, metrics, results
from minigen.audio.source_filter import copy_synthesis
from minigen.data import Utterance
from minigen.speech import corpus, waveform_model
from minigen.speech.band_correction import as_recorded
from minigen.speech.scoreboard import from_mel_alone
from minigen.speech.vocoder import vocode

CORPORA = ("allison", "spoken_digits", "fsdd")  # of training/waveform-cpu-*.toml
UNSEEN = "ljspeech"  # in no recipe that was run
UNITS = {
    "log_mel": "dB",
    "mcd": "dB",
    "f0": "median |error|, cents",
    "gross": "% of frames more than 600 cents off",
    "voicing": "%",
    "stoi": "",
    "std_ratio": "",
}
Maker = Callable[[Utterance], np.ndarray]


def measure(make: Maker, clips: list[Utterance]) -> dict[str, float]:
    """`metrics.compare` of what `make` makes of each clip with it, and STOI of clips longer than 1 s."""
    rate = clips[0].rate
    recorded = [clip.audio.astype(float) for clip in clips]
    made = [audio.fit_length(np.asarray(make(clip), float), len(clip.audio)) for clip in clips]
    row = metrics.compare(made, recorded, rate)
    stoi = [metrics.stoi(m, x, rate) for m, x in zip(made, recorded, strict=True) if len(x) > rate]
    row["stoi"] = float(np.mean(stoi)) if stoi else float("nan")
    return {name: row[name] for name in UNITS}


def table(
    teacher: str = "teacher", student: str = "student", limit: int = 10
) -> dict[str, dict[str, dict[str, float]]]:
    """{corpus: {method: {metric: value}}} on at most so many held-out clips of each corpus, at one level."""
    spec = waveform_model.load(student).spec
    methods: dict[str, Maker] = {
        "Griffin-Lim": lambda clip: from_mel_alone(clip, spec.mels),
        "source and filter": copy_synthesis,
        "Griffin-Lim, corrected": lambda clip: as_recorded(
            from_mel_alone(clip, spec.mels), clip, spec.mels
        ),
        "source and filter, corrected": lambda clip: as_recorded(
            copy_synthesis(clip), clip, spec.mels
        ),
        "teacher": lambda clip: vocode(clip.audio, clip.rate, teacher).audio,
        "student": lambda clip: vocode(clip.audio, clip.rate, student).audio,
    }
    rows = {}
    for name in [*CORPORA, UNSEEN]:
        clips = corpus.read(name, spec.rate)
        held = clips if name == UNSEEN else corpus.held_out(clips, name)[1]
        which = np.linspace(0, len(held) - 1, min(limit, len(held)))
        chosen = [held[round(i)] for i in which]
        rows[name] = {method: measure(make, chosen) for method, make in methods.items()}
    return rows


def main(given: argparse.Namespace) -> None:
    rows = table(given.teacher, given.student)
    for name, methods in rows.items():
        print(name, results.as_text(methods), sep="\n")
    if given.write:
        card = {
            "command": "python benchmarks/vocoder.py --write",
            "data": f"10 clips of each corpus that the recipe holds out, of {UNSEEN} any",
            "units": UNITS,
            "rows": rows,
        }
        results.write("vocoder", card)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", default="teacher")
    parser.add_argument("--student", default="student")
    parser.add_argument("--write", action="store_true")
    main(parser.parse_args())
