"""The clips of the blind test of chapter 15, and the key to them.

    python tools/listening_clips.py book/_static/audio/ab

writes the clips that the page `book/_static/ab.html` plays, under names that say nothing, and the key.
Nothing is sent anywhere: the page keeps the answers and counts them itself.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from minigen import audio
from minigen.data.spoken_digits import DIGIT_WORDS, SPEAKERS
from minigen.speech.corpus import held_out
from minigen.speech.scoreboard import ROWS

#: What is compared: (the one whose wins are counted, the other).
PAIRS = (("recording", "teacher"), ("recording", "student"), ("teacher", "student"))
LEVEL = 0.12  # of all clips, because the louder of two sounds wins


def write_clips(folder: Path, seed: int = 0) -> dict:
    """Ten held-out words as recorded, by the teacher and by the student -> WAV files and `pairs.js`.

    One word each of the ten digits, speakers in turn, with the recording's own phones, times and F0.
    Files are numbered in a drawn order. `pairs.js` is a script, so that the page also works from a disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = {(clip.text, clip.speaker): clip for clip in held_out()[1]}
    clips = [known[word, SPEAKERS[k % len(SPEAKERS)]] for k, word in enumerate(DIGIT_WORDS)]
    kinds = sorted({kind for pair in PAIRS for kind in pair})
    waves = [
        x
        for row in sorted(ROWS, key=lambda r: r.name)
        if row.name in kinds
        for x in row.make(clips)
    ]
    numbers = np.random.default_rng(seed).permutation(len(waves))
    files = {}
    for number, wave, kind, clip in zip(
        numbers, waves, np.repeat(kinds, len(clips)), clips * len(kinds), strict=True
    ):
        x = audio.to_level(wave, clip.rate, LEVEL)
        ramp = np.minimum(1, np.minimum(np.arange(len(x)), np.arange(len(x))[::-1]) / 80)  # 10 ms
        files[kind, clip.text] = f"{number + 1:02d}.wav"
        audio.save(folder / files[kind, clip.text], x * ramp, clip.rate)
    trials = [
        {"word": clip.text, "kinds": list(pair), "files": [files[kind, clip.text] for kind in pair]}
        for pair in PAIRS
        for clip in clips
    ]
    key = {"made": "python tools/listening_clips.py", "trials": trials}
    text = f"window.MINIGEN_AB = {json.dumps(key, separators=(',', ':'))};\n"
    (folder / "pairs.js").write_text(text, encoding="utf-8")
    return key


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    key = write_clips(given.folder)
    size = sum(path.stat().st_size for path in given.folder.iterdir())
    print(f"{len(key['trials'])} trials, {size / 1000:.0f} kB in {given.folder}")
