"""How well sentences are understood, and how natural they are judged, by two networks that others trained.

    pip install faster-whisper speechmos
    minigen align allison --out runs/allison.tsv
    python benchmarks/intelligibility.py runs/allison.tsv [--whisper FOLDER]

Whisper (Radford et al., 2022, arXiv:2212.04356; the model tiny.en) writes down what it hears: the share of words
that it gets wrong. DNSMOS (Reddy, Gopal and Cutler, 2021, arXiv:2010.15258) predicts the opinion of listeners, 1 to 5.
Measured on the prompts of "allison" that are held out and on the sentences of open_sentences.txt, which no training
text contains. Neither network has a part in training or in any choice. `--whisper` names the model's folder where
there is no network. Writes minigen/results/intelligibility.json; needs the program flite.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from minigen import audio, results
from minigen.audio.source_filter import copy_synthesis
from minigen.speech import synthesis
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
    "wer": "word error rate of Whisper tiny.en, mean over seeds",
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
    """A sentence by a voice of another kind: flite's slt, pieces of recordings joined."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        subprocess.run(["flite", "-voice", "slt", "-t", text, "-o", path], check=True)
        x, rate = audio.load(path)
    return audio.resample(x, rate, RATE)


def judge(texts: Sequence[str], sounds: Iterable[Sequence[np.ndarray]], listen: Listener) -> dict:
    """The figures of one condition; `sounds` has a list of sounds, one for each text, for every seed."""
    rates, opinions = [], []
    for made in sounds:
        heard = [listen(x) for x in made]
        plain = [" ".join(normalise(words, skip_unknown=True)) for words, _ in heard]
        rates.append(word_errors(texts, plain))
        opinions += [opinion for _, opinion in heard]
    spread = {"wer_low": min(rates), "wer_high": max(rates)}
    return {"wer": float(np.mean(rates)), **spread, "p808": float(np.mean(opinions))}


def table(phones: Path, listen: Listener, seeds: int, limit: int | None = None) -> dict[str, dict]:
    """{"held-out prompts" or "open sentences": {condition: figures}}."""
    voice = find("allison")
    spec = voice.student.spec
    held = clips(phones, spec)[1][:limit]
    speak = lambda text, seed: synthesis.speak(text, voice="allison", seed=seed).audio
    by_condition = lambda which: (
        lambda clip, seed: synthesize_sentence(voice, clip, which, seed).audio
    )
    by_vocoder = lambda model: lambda clip, seed: vocode(clip.audio, RATE, model, seed=seed).audio
    draws = range(seeds)
    prompts: dict[str, Callable] = {  # clip, seed -> sound
        "recording": lambda clip, seed: clip.audio,
        "Griffin-Lim, from the recorded bands": lambda clip, seed: from_mel_alone(clip, spec.mels),
        "pulses and filters, from the recording": lambda clip, seed: copy_synthesis(clip),
        "teacher, from the recorded bands": by_vocoder("teacher"),
        "student, from the recorded bands": by_condition(CONDITIONS[0]),
        "text voice, recorded times and F0": by_condition(CONDITIONS[1]),
        "text voice": lambda clip, seed: speak(clip.text, seed),
        "flite": lambda clip, seed: flite(clip.text),
    }
    sentences = {"text voice": speak, "flite": lambda text, seed: flite(text)}
    rows = {}
    for part, makers, items in (
        ("held-out prompts", prompts, held),
        ("open sentences", sentences, OPEN.read_text(encoding="utf-8").splitlines()[:limit]),
    ):
        rows[part] = {}
        said = [getattr(item, "text", item) for item in items]
        for name, make in makers.items():
            sounds = ([make(item, seed) for item in items] for seed in draws)
            rows[part][name] = judge(said, sounds, listen)
            print(part, results.as_text({name: rows[part][name]}), sep="\n", flush=True)
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
    parser.add_argument("--seeds", type=int, default=3, help="of the noise")
    main(parser.parse_args())
