"""A voice that reads text: how it reads, its prosody, its two networks and its licence, in one file.

    text -> phones                          `reader`
    phones -> durations, F0                 `prosody`
    phones, times, F0 -> mel bands          `acoustic_model`
    mel bands, F0 -> sound                  `waveform_model`

The voice "allison" lies in the package in four files, as it is made: lexicon, prosody and two networks; `own_voice` makes
one file of all four.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from .. import weights
from . import acoustic_model, waveform_model
from .acoustic_model import AcousticModel
from .phones import nearest
from .pronunciation import Lexicon
from .prosody import Prosody
from .reader import Reader
from .waveform_model import ExcitationStudent

SHIPPED = "allison"
FORMAT = "minigen voice 1"


@dataclass(frozen=True)
class TextVoice:
    """All that a voice needs to say a text.

    Args:
        name: of the voice. reader, prosody, acoustic, student: see above.
        student_sizes: the arguments of the student. licence: a line on what may be done with the voice.
        made: how it came about: minutes, corpus, what was measured.

    >>> find("allison").rate
    8000
    """

    name: str
    reader: Reader
    prosody: Prosody
    acoustic: AcousticModel
    student: ExcitationStudent
    student_sizes: dict
    licence: str = ""
    made: dict = field(default_factory=dict)

    @property
    def rate(self) -> int:
        return self.student.spec.rate

    def synthesize(self, text: str) -> np.ndarray:
        """Text -> a waveform (T,) float32; see `synthesis.speak` for more."""
        plans = [self.prosody.plan(phones=row) for row in self.sentences(text)]
        sound = [self.student.synthesize(self.acoustic.predict(*p), p[1]) for p in plans]
        return np.concatenate(sound)

    def sentences(
        self, text: str, lexicon: Lexicon | None = None, skip_unknown: bool = False
    ) -> list[list[str]]:
        """Text -> the phones of each sentence, in the voice's inventory; see `Reader.sentences`."""
        rows = self.reader.sentences(text, lexicon, skip_unknown)
        return [[nearest(phone, self.prosody.inventory) for phone in row] for row in rows]


def save(voice: TextVoice, path: Path | str) -> None:
    """Write a voice into one file, its acoustic model at half precision."""
    tensors = {f"acoustic.{k}": v.half() for k, v in voice.acoustic.state_dict().items()}
    tensors |= {f"student.{k}": v for k, v in voice.student.state_dict().items()}
    notes = {
        "format": FORMAT,
        "name": voice.name,
        "licence": voice.licence,
        "english": voice.reader.english,
        "lexicon": {word: [" ".join(way) for way in v] for word, v in voice.reader.lexicon.items()},
        "prosody": voice.prosody.to_table(),
        "acoustic": voice.acoustic.sizes,
        "student": voice.student_sizes,
        "made": voice.made,
    }
    weights.save(path, tensors, {"voice": notes})


def load(path: Path | str) -> TextVoice:
    """Read what `save` wrote: the same object at every call, until the file changes."""
    return _load(Path(path))


@weights.until_changed
def _load(file: Path) -> TextVoice:
    tensors, notes = weights.load(file)
    held, reader = _read(notes, file)
    part = lambda name: {k.removeprefix(name): v for k, v in tensors.items() if k.startswith(name)}
    return TextVoice(
        held["name"],
        reader,
        Prosody.from_table(held["prosody"]),
        acoustic_model.build(part("acoustic."), held["acoustic"]),
        waveform_model.build("student", part("student."), held["student"]),
        held["student"],
        held["licence"],
        held["made"],
    )


def _read(notes: dict, file: Path) -> tuple[dict, Reader]:
    """The notes of a file -> those of the voice in it, and how it reads."""
    held = notes.get("voice")
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        raise ValueError(f"{file} holds weights, but no voice: `minigen voice new` makes one")
    lexicon = {word: [tuple(way.split()) for way in ways] for word, ways in held["lexicon"].items()}
    return held, Reader(lexicon, held["english"])


def find(name: str) -> TextVoice:
    """A voice by its name or by its file; NAME alone may stand for NAME.safetensors.

    Raises ValueError: there is no such voice, or the file holds something else.
    """
    return _shipped() if name == SHIPPED else load(_file(name))


def reader_of(name: str) -> Reader:
    """How a voice reads, without its networks; `name` as in `find`.

    >>> reader_of("allison").words("Hi!")
    [[('hi', ['hh', 'ay'])]]
    """
    if name == SHIPPED:
        return Reader.shipped()
    return _read(weights.notes(_file(name)), _file(name))[1]


def _file(name: str) -> Path:
    for file in (Path(name), Path(f"{name}.safetensors")):
        if name and file.is_file():
            return file
    raise ValueError(
        f"no voice {name!r:.80} speaks: choose digits or {SHIPPED}, or a file of `minigen voice new`"
    )


@cache
def _shipped() -> TextVoice:
    return TextVoice(
        SHIPPED,
        Reader.shipped(),
        Prosody.load(weights.path("allison_prosody").with_suffix(".json")),
        acoustic_model.load(),
        waveform_model.load(),
        weights.notes("waveform_student")["recipe"]["model"],
        "CC BY-SA 4.0",
    )


def known(folder: Path) -> Iterator[tuple[str, str, int, float, str]]:
    """The voices that ship, then those in files of a folder -> name, what it speaks, Hz, MB, licence."""
    mega = lambda *names: sum(weights.path(name).stat().st_size for name in names) / 1e6
    rate = weights.notes("waveform_student")["recipe"]["model"]["rate"]
    parts = mega("allison_acoustic", "waveform_student")
    yield SHIPPED, "any English", rate, parts, "CC BY-SA 4.0"
    yield "digits", "zero to nine, by slt, rms and awb", 8_000, mega("digits_student"), "CC BY 4.0"
    for file in sorted(folder.glob("*.safetensors")):
        try:
            held = weights.notes(file).get("voice")
        except ValueError:
            continue
        if held:
            what = "any English" if held["english"] else f"{len(held['lexicon']):,} words"
            rate = held["student"]["rate"]
            yield file.stem, what, rate, file.stat().st_size / 1e6, held["licence"]
