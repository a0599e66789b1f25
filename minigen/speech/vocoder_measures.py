"""How well recordings come back from mel spectrum and F0: the vocoder beside two methods without a network.

    python -m minigen.speech.vocoder_measures [--teacher FILE --student FILE] [--write]

Measured on clips that the vocoder's recipe kept away, corpus by corpus, and on a corpus none of whose voices
it ever heard. `--write` keeps the figures in minigen/results/vocoder_measures.json, which chapter 14 shows.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import numpy as np

from .. import audio, results
from ..conditioning import mel_bands
from ..data import Utterance
from ..metrics import distances as metrics
from . import corpus, voice
from .hmm_synthesis import copy_synthesis
from .vocoder import vocode

__all__ = ["as_text", "from_mel_alone", "measure", "stored", "table"]

FILE = results.path("vocoder_measures")
UNHEARD = "ljspeech"  # in no vocoder's recipe
UNITS = {"log_mel": "dB", "mcd": "dB", "f0": "cents", "voicing": "%", "stoi": "", "std_ratio": ""}
Maker = Callable[[Utterance], np.ndarray]


def from_mel_alone(clip: Utterance, mels: int = 32) -> np.ndarray:
    """Griffin-Lim: the mel bands spread back to a spectrum by least squares, and phases that suit it."""
    hop, n_fft = clip.rate // 100, audio.frame_length(clip.rate)
    bank = audio.mel_filterbank(clip.rate, n_fft, mels)  # (M, F)
    magnitude = np.maximum(np.linalg.pinv(bank) @ np.exp(mel_bands(clip.audio, clip.rate, mels)), 0)
    return np.pad(audio.griffin_lim(magnitude, hop), (hop // 2, 0))  # frames lie around (n + ½) hop


def measure(make: Maker, clips: list[Utterance]) -> dict[str, float]:
    """Means over clips of what `make` makes of each, against it; of the std ratio the median.

    Nothing is warped but for the distortion of mel-cepstra: what comes out must lie where it lay. F0 is
    tracked in both.
    """
    found: dict[str, list[float]] = {name: [] for name in UNITS}
    for clip in clips:
        x, rate = clip.audio.astype(float), clip.rate
        made = audio.fit_length(np.asarray(make(clip), float), len(x))
        found["log_mel"].append(metrics.log_mel_distance(made, x, rate))
        found["mcd"].append(metrics.mel_cepstral_distortion(made, x, rate))
        cents, unvoiced = metrics.pitch_errors(made, x, rate)
        found["f0"].append(cents)
        found["voicing"].append(100 * unvoiced)
        found["std_ratio"].append(metrics.std_ratio(made, x))
        if len(x) > rate:  # of a short word there is too little for STOI
            found["stoi"].append(metrics.stoi(made, x, rate))
    mean = {k: float(np.nanmean(v)) if np.isfinite(v).any() else np.nan for k, v in found.items()}
    return mean | {"std_ratio": float(np.median(found["std_ratio"]))}


def table(
    teacher: str = "teacher", student: str = "student", most: int = 10
) -> dict[str, dict[str, dict[str, float]]]:
    """{corpus: {way: {metric: value}}} on at most so many kept-away clips of each corpus.

    The clips are read as the student's recipe reads them, at one level; they need their corpora.
    """
    file = None if student == "student" else student
    source = voice.recipe_of("student", file, "vocoder").corpus
    ways: dict[str, Maker] = {
        "Griffin-Lim": lambda clip: from_mel_alone(clip, source.mels),
        "source and filter": copy_synthesis,
        "teacher": lambda clip: vocode(clip.audio, clip.rate, teacher).audio,
        "student": lambda clip: vocode(clip.audio, clip.rate, student).audio,
    }
    rows = {}
    for name in [*source.names, UNHEARD]:
        clips = corpus.read(corpus.Source(source.rate, name, mels=source.mels))
        kept = clips if name == UNHEARD else corpus.held_out(clips, name)[1]
        which = np.linspace(0, len(kept) - 1, min(most, len(kept)))
        chosen = [kept[round(i)] for i in which]
        rows[name] = {way: measure(make, chosen) for way, make in ways.items()}
    return rows


def stored() -> dict[str, dict[str, dict[str, float]]]:
    """The figures of the shipped vocoder: {corpus: {way: {metric: value}}}.

    >>> sorted(stored()["ljspeech"])
    ['Griffin-Lim', 'source and filter', 'student', 'teacher']
    """
    return json.loads(FILE.read_text())["rows"]


def as_text(rows: dict[str, dict[str, dict[str, float]]]) -> str:
    """A table of lines.

    >>> print(as_text({"fsdd": {"student": {"log_mel": 5.123, "stoi": 0.9}}}))
    fsdd
                            log_mel      stoi
    student                    5.12      0.90
    """
    lines = []
    for name, ways in rows.items():
        columns = list(next(iter(ways.values())))
        lines += [name, " " * 21 + "".join(f"{column:>10}" for column in columns)]
        lines += [
            f"{w:21}" + "".join(f"{row[n]:10.2f}" for n in columns) for w, row in ways.items()
        ]
    return "\n".join(lines)


def main() -> None:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", default="teacher")
    parser.add_argument("--student", default="student")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    rows = table(given.teacher, given.student)
    print(as_text(rows))
    if given.write:
        rounded = {
            name: {
                way: {k: None if np.isnan(v) else float(f"{v:.4g}") for k, v in row.items()}
                for way, row in ways.items()
            }
            for name, ways in rows.items()
        }
        card = {
            "command": "python -m minigen.speech.vocoder_measures --write",
            "data": "10 clips of each corpus that the recipe kept away, of ljspeech any",
            "units": UNITS,
            "rows": rounded,
        }
        FILE.write_text(json.dumps(card, indent=1) + "\n")


if __name__ == "__main__":
    main()
