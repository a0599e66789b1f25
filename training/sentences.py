"""Measure the voice that says any sentence on the sentences it was not trained on, and keep what the book shows.

    minigen align allison --out runs/allison.tsv
    python training/sentences.py runs/allison.tsv [--prosody]

Writes the table minigen/results/sentences.json and two sentences in each condition into book/_static/audio.
--prosody first fits the durations and contours of "allison" anew, minigen/weights/allison_prosody.json, and counts which
pronunciations are hers, minigen/weights/allison_lexicon.txt.
Run from the repository's root; the recordings are not in it.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from minigen import audio, results, weights
from minigen.speech import voice_file
from minigen.speech.prosody import Prosody
from minigen.speech.reader import Reader
from minigen.speech.sentence_evaluation import CONDITIONS, as_text, clips, sentence_table

AUDIO = Path(__file__).parents[1] / "book" / "_static" / "audio"
CLIPS = ("vm-tooshort", "dir-welcome")  # which sentences the book plays
SHORT = dict(zip(CONDITIONS, ("copy", "oracle", "times", "predicted"), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("phones", type=Path, help="the table of phone times")
    parser.add_argument("--prosody", action="store_true", help="fit the prosody first")
    args = parser.parse_args()
    if args.prosody:
        train, _ = clips(args.phones, voice_file.find("allison").student.spec)
        prosody = Prosody.fit([replace(clip, speaker="allison") for clip in train])
        prosody.save(weights.path("allison_prosody").with_suffix(".json"))
        habits = sorted(Reader().with_habits(train).lexicon.items())
        lines = (f"{word} {' '.join(way)}\n" for word, (way,) in habits)
        words = weights.path("allison_lexicon").with_suffix(".txt")
        words.write_text("".join(lines), encoding="utf-8")
    measured, made = sentence_table(args.phones, report=print)
    print(as_text(measured))
    units = {"dB": "distance to the recording", "nats": "per sample, or per phone"}
    card = {"command": "python training/sentences.py runs/allison.tsv", "units": units}
    results.write("sentences", card | measured)
    for one in made:
        if one.clip.name in CLIPS:
            name = f"allison_{one.clip.name}_{SHORT[one.condition]}.wav"
            audio.save(AUDIO / name, one.audio, one.clip.rate)


if __name__ == "__main__":
    main()
