"""`spoken_digits`: the embedded corpus of every chapter. No network, ever.

Ten digits by three synthetic voices at four tempi and three pitches, 8 kHz, with exact phone times
and F0, spoken by flite (Black and Lenzo, 2001). `tools/make_spoken_digits.py` made it.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import soundfile as sf

from .fetch import choose
from .utterance import Utterance

SPEAKERS = ("slt", "rms", "awb")  # a woman and a man (US English), a man (Scottish English)
DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@cache
def _corpus() -> tuple[Utterance, ...]:
    folder = Path(__file__).with_name("spoken_digits_corpus")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    recordings = {}
    for speaker in SPEAKERS:
        with (folder / f"{speaker}.flac").open("rb") as stream:
            recordings[speaker], _ = sf.read(stream, dtype="float32")
    clips = []
    for row in manifest["clips"]:
        audio = recordings[row["speaker"]][row["start"] : row["start"] + row["length"]]
        word, who, f0 = row["word"], row["speaker"], np.array(row["f0"], dtype=np.float32)
        name = f"{word}_{who}_t{row['stretch']}_p{row['shift']}"
        clips.append(Utterance(audio, manifest["rate"], word, who, row["phones"], f0, name))
    return tuple(clips)


def spoken_digits(speaker: str | None = None, word: str | None = None) -> list[Utterance]:
    """The 360 clips, or those of one `speaker` ("slt", "rms", "awb") or one `word` ("seven").

    Each is an `Utterance` at 8,000 Hz with `phones` in seconds and `f0` in Hz for each 10 ms frame
    (0 where unvoiced). The name holds tempo and pitch: "seven_slt_t1.2_p0.85" takes 1.2 times the
    voice's own duration at 0.85 times its own pitch.

    >>> from minigen import data
    >>> len(data.spoken_digits()), len(data.spoken_digits(speaker="slt", word="seven"))
    (360, 12)
    >>> data.spoken_digits(word="eleven")
    Traceback (most recent call last):
        ...
    ValueError: no word in spoken_digits 'eleven': choose one of zero, one, two, three, four, \
five, six, seven, eight, nine
    """
    if speaker is not None:
        choose(dict.fromkeys(SPEAKERS), speaker, "speaker in spoken_digits")
    if word is not None:
        choose(dict.fromkeys(DIGIT_WORDS), word, "word in spoken_digits")
    chosen = lambda clip: speaker in (None, clip.speaker) and word in (None, clip.text)
    return list(filter(chosen, _corpus()))


def example() -> Utterance:
    """The running example of the book: "seven", voice `slt`, at its own tempo and pitch.

    >>> from minigen import data
    >>> data.example().name
    'seven_slt_t1.0_p1.0'
    """
    clips = spoken_digits(speaker="slt", word="seven")
    return next(clip for clip in clips if clip.name.endswith("_t1.0_p1.0"))
