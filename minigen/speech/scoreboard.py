"""Every voice of the book on the same thirty words that none of them learned from, in one table.

    python -m minigen.speech.scoreboard                      measure, print, and write minigen/results/scoreboard.json
    python -m minigen.speech.scoreboard student "mu-law"     measure and print these rows only

A *row* is a way to say the held-out words. Some rows are voices; the others are recordings that were
treated in a known way, so that a reader sees what each metric does to them. PESQ is measured where its
package is, else its place stays empty.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from .. import results
from ..audio import fit_length, mu_law_decode, mu_law_encode
from ..data import Utterance, spoken_digits
from ..data.spoken_digits import SPEAKERS
from ..metrics import distances as metrics
from ..timeseries import lpc_analysis, lpc_excitation, lpc_synthesis
from .corpus import held_out
from .hmm_synthesis import StatisticalVoice, copy_synthesis

__all__ = ["ROWS", "Row", "as_text", "measure", "measure_row", "stored"]

FILE = results.path("scoreboard")
COMMAND = "python -m minigen.speech.scoreboard"
UNITS = {
    "recognised": "of 30",
    "mcd": "dB",
    "lsd": "dB",
    "log_mel": "dB",
    "stft": "",
    "f0": "cents",
    "voicing": "%",
    "std_ratio": "",
    "stoi": "",
    "pesq": "1 … 4.6",
}


@dataclass(frozen=True)
class Row:
    """A way to say the held-out words.

    Args:
        name: its name. chapter: where the book explains it; None for a treated recording.
        note: what it is given, in a few words. say: clips -> a waveform for each.
    """

    name: str
    chapter: int | None
    note: str
    say: Callable[[Sequence[Utterance]], list[np.ndarray]]


# ---------------------------------------------------------------- recordings, treated in a known way


def _recording(clips: Sequence[Utterance]) -> list[np.ndarray]:
    return [clip.audio.astype(float) for clip in clips]


def _quieter(clips: Sequence[Utterance]) -> list[np.ndarray]:
    return [0.25 * x for x in _recording(clips)]


def _late(clips: Sequence[Utterance]) -> list[np.ndarray]:
    return [np.concatenate([np.zeros(160), x[:-160]]) for x in _recording(clips)]


def _hiss(clips: Sequence[Utterance]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [x + 10 ** (-30 / 20) * x.std() * rng.normal(size=len(x)) for x in _recording(clips)]


def _other_tempo(clips: Sequence[Utterance]) -> list[np.ndarray]:
    known = {clip.name: clip for clip in spoken_digits()}
    names = [f"{clip.text}_{clip.speaker}_t1.0_p1.0" for clip in clips]
    return [known[name].audio.astype(float) for name in names]


def _whisper(clips: Sequence[Utterance]) -> list[np.ndarray]:
    return [copy_synthesis(clip, buzz=0.0) for clip in clips]


# ---------------------------------------------------------------- voices


def _mu_law(clips: Sequence[Utterance]) -> list[np.ndarray]:
    return [mu_law_decode(mu_law_encode(x)) for x in _recording(clips)]


def _vocoder(clips: Sequence[Utterance]) -> list[np.ndarray]:
    return [copy_synthesis(clip) for clip in clips]


def _conventional(clips: Sequence[Utterance]) -> list[np.ndarray]:
    voice = StatisticalVoice.fit(held_out()[0])
    return [voice.speak(clip.text, clip.speaker).astype(float) for clip in clips]


def _linear_prediction(clips: Sequence[Utterance]) -> list[np.ndarray]:
    said = []
    for clip in clips:
        speech = lpc_analysis(clip.audio.astype(float), order=10, hop=80, width=240)
        f0 = np.zeros(len(speech.gain))
        f0[: len(clip.f0)] = clip.f0[: len(f0)]
        pulses = lpc_excitation(speech.gain, f0, clip.rate, 80, seed=0)
        said.append(lpc_synthesis(speech.coefficients, pulses, 80)[: len(clip.audio)])
    return said


def _vae(clips: Sequence[Utterance]) -> list[np.ndarray]:
    from . import word_vae as spoken_vae

    model, _ = spoken_vae.load()
    return [spoken_vae.render(model.word(z)).astype(float) for z in model.latents(clips)]


def _codes(clips: Sequence[Utterance]) -> list[np.ndarray]:
    from . import conversion

    said = [conversion.convert(c.audio, c.speaker, f0=c.f0, keep_pitch=True) for c in clips]
    return [made.audio.astype(float) for made in said]


def _mel_bands(clips: Sequence[Utterance]) -> list[np.ndarray]:
    from .vocoder import vocode

    return [vocode(clip.audio, clip.rate).audio.astype(float) for clip in clips]


def _neural(name: str, temperature: float = 1.0) -> Callable:
    def say(clips: Sequence[Utterance]) -> list[np.ndarray]:
        from . import corpus, unconditional, voice
        from . import evaluation as evaluate

        if name.startswith("rung"):
            rungs = [rung["step"] for rung in unconditional.card("checkpoints")["checkpoints"]]
            model = unconditional.load_checkpoint(rungs[-1] if name == "rung last" else rungs[-2])
        else:
            model = voice.load(name)
        conds = [model.conditioning(corpus.as_batch(clip)) for clip in clips]
        waves = evaluate.said_together(model, conds, temperature=temperature)
        return [wave.astype(float) for wave in waves]

    return say


ROWS = [
    Row("recording", None, "itself", _recording),
    Row("recording, ¼ as loud", None, "every sample times ¼", _quieter),
    Row("recording, 20 ms late", None, "160 samples of silence before it", _late),
    Row("recording, with hiss", None, "white noise 30 dB below it", _hiss),
    Row("recording, another tempo", None, "the same word and voice, 1.2 times as fast", _other_tempo),
    Row("whisper", None, "the vocoder of chapter 3 with noise for pulses", _whisper),
    Row("µ-law", 1, "the recording at 8 bits", _mu_law),
    Row("vocoder", 3, "cepstra and F0 of the recording", _vocoder),
    Row("conventional voice", 3, "the word and the speaker", _conventional),
    Row("linear prediction", 5, "filters and F0 of the recording", _linear_prediction),
    Row("WaveNet, rung before", 7, "phones, times, F0, speaker", _neural("rung before")),
    Row("WaveNet, last rung", 7, "phones, times, F0, speaker", _neural("rung last")),
    Row("VAE of words", 10, "16 numbers that it made of the recording", _vae),
    Row("VQ-VAE", 11, "50 codes a second, F0, speaker", _codes),
    Row("teacher", 14, "phones, times, F0, speaker", _neural("teacher")),
    Row("teacher, noise × 0.7", 14, "phones, times, F0, speaker", _neural("teacher", 0.7)),
    Row("student", 14, "phones, times, F0, speaker", _neural("student")),
    Row("student, mel bands", 14, "mel bands and F0 of the recording", _mel_bands),
]  # fmt: skip


# ---------------------------------------------------------------- measuring


@cache
def _recogniser() -> metrics.DigitRecogniser:
    return metrics.DigitRecogniser(held_out()[0])


def measure(waves: Sequence[np.ndarray], clips: Sequence[Utterance]) -> dict[str, float | None]:
    """All metrics of waveforms against the recordings of the same words, by speaker and word.

    MCD and pitch are compared along a warped path; the others frame by frame, after `fit_length`. Means
    over clips, but the median of the std ratio; STOI and PESQ on all words of a speaker in a row, then
    the mean over speakers. Pitch where both have one; NaN if there is no such frame.
    """
    found: dict[str, list[float]] = {name: [] for name in UNITS}
    joined = {speaker: ([], []) for speaker in SPEAKERS}
    right = 0
    for wave, clip in zip(waves, clips, strict=True):
        recorded, rate = clip.audio.astype(float), clip.rate
        cut = fit_length(wave, len(recorded))
        right += _recogniser()(wave) == clip.text
        found["mcd"].append(metrics.mel_cepstral_distortion(wave, recorded, rate))
        cents, unvoiced = metrics.pitch_errors(wave, recorded, rate, warp=True)
        found["f0"].append(cents)
        found["voicing"].append(100 * unvoiced)
        found["lsd"].append(metrics.log_spectral_distance(cut, recorded, rate))
        found["log_mel"].append(metrics.log_mel_distance(cut, recorded, rate))
        found["stft"].append(metrics.stft_distance(cut, recorded, rate))
        found["std_ratio"].append(metrics.std_ratio(wave, recorded))
        joined[clip.speaker][0].append(cut)
        joined[clip.speaker][1].append(recorded)
    pairs = [tuple(map(np.concatenate, pair)) for pair in joined.values() if pair[0]]
    found["stoi"] = [metrics.stoi(*pair, clips[0].rate) for pair in pairs]
    try:
        found["pesq"] = [metrics.pesq(*pair, clips[0].rate) for pair in pairs]
    except ModuleNotFoundError:
        found["pesq"] = []  # its place in the table stays empty
    f0 = np.array(found["f0"])
    return {
        "recognised": float(right),
        "mcd": float(np.mean(found["mcd"])),
        "lsd": float(np.mean(found["lsd"])),
        "log_mel": float(np.mean(found["log_mel"])),
        "stft": float(np.mean(found["stft"])),
        "f0": float(np.mean(f0[np.isfinite(f0)])) if np.isfinite(f0).any() else float("nan"),
        "voicing": float(np.mean(found["voicing"])),
        "std_ratio": float(np.median(found["std_ratio"])),
        "stoi": float(np.mean(found["stoi"])),
        "pesq": float(np.mean(found["pesq"])) if found["pesq"] else None,
    }


def measure_row(name: str) -> dict[str, float | None]:
    """`measure` of one of `ROWS` on the thirty held-out words."""
    rows = {row.name: row for row in ROWS}
    if name not in rows:
        raise ValueError(f"no row {name!r}: choose one of {', '.join(rows)}")
    clips = held_out()[1]
    return measure(rows[name].say(clips), clips)


def stored() -> dict[str, dict[str, float | None]]:
    """The table as it was measured when the weights were made: {row: {metric: value}}.

    >>> stored()["recording"]["mcd"], stored()["recording"]["stoi"]
    (0.0, 1.0)
    """
    return json.loads(FILE.read_text())["rows"]


def as_text(table: dict[str, dict[str, float | None]], columns: Sequence[str]) -> str:
    """Some columns of a table as lines of text, for the page.

    >>> print(as_text({"student": {"mcd": 3.14159, "pesq": None}}, ["mcd", "pesq"]))
                            mcd  pesq
    student                3.14     –
    """
    short = {"recognised": "words", "std_ratio": "std", "log_mel": "mel", "voicing": "voice"}
    lines = [" " * 25 + "".join(f"{short.get(name, name):>6}" for name in columns)]
    for row, values in table.items():
        cells = [_short(values[name]) for name in columns]
        lines.append(f"{row:25}" + "".join(f"{cell:>6}" for cell in cells))
    return "\n".join(lines)


def _short(value: float | None) -> str:
    if value is None or np.isnan(value):
        return "–"
    if value == int(value) or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def _round(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(f"{value:.4g}")


def main(names: Sequence[str]) -> None:
    """Measure all rows and write them, or print those asked for."""
    import torch

    table = {}
    for name in names or [row.name for row in ROWS]:
        table[name] = {key: _round(value) for key, value in measure_row(name).items()}
        print(name, table[name], flush=True)
    if not names:
        card = {
            "command": COMMAND,
            "data": "the 30 clips of spoken_digits that corpus.held_out keeps away",
            "torch": torch.__version__,
            "units": UNITS,
            "what": {r.name: {"chapter": r.chapter, "given": r.note} for r in ROWS},
            "rows": table,
        }
        FILE.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
