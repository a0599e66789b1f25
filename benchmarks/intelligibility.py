"""How well sentences are understood, and how natural they are judged, by two networks that others trained.

    pip install faster-whisper speechmos
    minigen align allison --out runs/allison.tsv
    python benchmarks/intelligibility.py runs/allison.tsv [--whisper FOLDER]

Whisper (Radford et al., 2022, arXiv:2212.04356; the model tiny.en) writes down what it hears: the share of words
that it gets wrong. DNSMOS (Reddy, Gopal and Cutler, 2020, arXiv:2010.15258) predicts the opinion of listeners, 1 to 5.
Measured on the prompts of "allison" that are held out, on the sentences of open_sentences.txt, which no training
text contains, and on strings of four digits. Neither network has a part in training; which choices were made after
they had heard the prompts, chapter 15 says. `--whisper` names the model's folder where there is no network. Writes minigen/results/intelligibility.json; needs the program flite.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from minigen import audio, results
from minigen.audio.source_filter import copy_synthesis
from minigen.data.spoken_digits import DIGIT_WORDS
from minigen.speech import synthesis
from minigen.speech.band_correction import as_recorded
from minigen.speech.own_voice_measures import word_errors
from minigen.speech.scoreboard import from_mel_alone
from minigen.speech.sentence_evaluation import CONDITIONS, clips, synthesize_sentence
from minigen.speech.text import normalise
from minigen.speech.vocoder import vocode
from minigen.speech.voice_file import find

OPEN = Path(__file__).with_name("open_sentences.txt")
RATE = 8000
EAR = 16_000  # samples per second that both networks read
UNITS = {
    "wer": "% of words that Whisper tiny.en gets wrong, mean over seeds",
    "wer_low": "of the best seed",
    "wer_high": "of the worst seed",
    "p808": "opinion predicted by DNSMOS P.808, 1 to 5, mean over seeds",
}
Listener = Callable[[np.ndarray], tuple[str, float]]


def listener(whisper: str) -> Listener:
    """A function x at RATE -> (the words heard, the opinion predicted)."""
    from faster_whisper import WhisperModel
    from speechmos import dnsmos

    model = WhisperModel(whisper, device="cpu", compute_type="int8", cpu_threads=1)
    options = {"beam_size": 5, "condition_on_previous_text": False, "without_timestamps": True}

    def listen(x: np.ndarray) -> tuple[str, float]:
        x = audio.resample(np.asarray(x, float), RATE, EAR)
        x = (x / max(1e-3, np.abs(x).max())).astype(np.float32)
        quiet = np.pad(0.9 * x, EAR // 4)
        heard = " ".join(part.text for part in model.transcribe(quiet, language="en", **options)[0])
        return heard, float(dnsmos.run(0.5 * x, EAR)["p808_mos"])

    return listen


def flite(text: str) -> np.ndarray:
    """A sentence by flite's voice slt."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        subprocess.run(["flite", "-voice", "slt", "-t", text, "-o", path], check=True)
        x, rate = audio.load(path)
    return audio.resample(x, rate, RATE)


def one_by_one(heard: str) -> str:
    """Digits apart, which Whisper likes to write as a number.

    >>> one_by_one("3-142.")
    '3 1 4 2 .'
    """
    return re.sub(r"(\d)[-,]?", r"\1 ", heard)


def judge(
    texts: Sequence[str],
    sounds: Iterable[Sequence[np.ndarray]],
    listen: Listener,
    write: Callable[[str], str] = str,
) -> dict:
    """The figures of one condition; `sounds` has a list of sounds, one for each text, for every seed."""
    rates, opinions = [], []
    for made in sounds:
        heard = [listen(x) for x in made]
        plain = [" ".join(normalise(write(words), skip_unknown=True)) for words, _ in heard]
        rates.append(100 * word_errors(texts, plain))
        opinions += [opinion for _, opinion in heard]
    spread = {"wer_low": min(rates), "wer_high": max(rates)}
    return {"wer": float(np.mean(rates)), **spread, "p808": float(np.mean(opinions))}


def table(phones: Path, listen: Listener, seeds: int, limit: int | None = None) -> dict[str, dict]:
    """{"held-out prompts" or "open sentences": {condition: figures}}."""
    voice = find("allison")
    spec = voice.student.spec
    held = clips(phones, spec)[1][:limit]
    speak = lambda text, seed: synthesis.speak(text, seed=seed).audio
    by_condition = lambda which: (
        lambda clip, seed: synthesize_sentence(voice, clip, which, seed).audio
    )
    sentences = OPEN.read_text(encoding="utf-8").splitlines()[:limit]
    plain: dict[str, Callable] = {  # without noise, or with one draw of it
        "recording": lambda clip: clip.audio,
        "Griffin-Lim, from the recorded bands": lambda clip: from_mel_alone(clip, spec.mels),
        "pulses and filters, from the recording": copy_synthesis,
        "the same, brought to the bands": lambda clip: as_recorded(
            copy_synthesis(clip), clip, spec.mels
        ),
        "teacher, from the recorded bands": lambda clip: vocode(clip.audio, RATE, "teacher").audio,
        "flite": lambda clip: flite(clip.text),
    }
    drawn: dict[str, Callable] = {
        "student, from the recorded bands": by_condition(CONDITIONS[0]),
        "text voice, recorded times and F0": by_condition(CONDITIONS[1]),
        "text voice": lambda clip, seed: speak(clip.text, seed),
    }
    rows: dict[str, dict] = {}

    def add(part: str, name: str, texts: Sequence[str], sounds: Iterable, write=str) -> None:
        rows.setdefault(part, {})[name] = judge(texts, sounds, listen, write)
        print(part, results.as_text({name: rows[part][name]}), sep="\n", flush=True)

    said = [clip.text for clip in held]
    for name, make in plain.items():
        add("held-out prompts", name, said, [[make(clip) for clip in held]])
    for name, make in drawn.items():
        made = ([make(clip, seed) for clip in held] for seed in range(seeds))
        add("held-out prompts", name, said, made)
    made = ([speak(text, seed) for text in sentences] for seed in range(seeds))
    add("open sentences", "text voice", sentences, made)
    add("open sentences", "flite", sentences, [[flite(text) for text in sentences]])
    strings = np.random.default_rng(0).choice(DIGIT_WORDS, (25, 4))
    four = [", ".join(words) for words in strings][:limit]
    for name, voice in (("text voice", "allison"), ("digit voice, student", "digits")):
        say = lambda text, seed, voice=voice: synthesis.speak(text, voice=voice, seed=seed).audio
        made = ([say(text, seed) for text in four] for seed in range(seeds))
        add("four digits", name, four, made, one_by_one)
    add("four digits", "flite", four, [[flite(text) for text in four]], one_by_one)
    return rows


def main(given: argparse.Namespace) -> None:
    rows = table(given.phones, listener(given.whisper), given.seeds)
    results.write(
        "intelligibility",
        {
            "command": "python benchmarks/intelligibility.py runs/allison.tsv",
            "seeds": given.seeds,
            "units": UNITS,
            "rows": rows,
        },
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("phones", type=Path, help="the table of phone times")
    parser.add_argument("--whisper", default="tiny.en", help="name or folder of the model")
    parser.add_argument("--seeds", type=int, default=2, help="of the noise")
    main(parser.parse_args())
