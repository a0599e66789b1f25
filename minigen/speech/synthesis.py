"""From typed text to a waveform.

The digits: words -> phones with times and F0 -> network. The voice "allison", which says any sentence, and those of
your own (`voice_file`): text -> phones -> durations and F0 -> mel bands -> sound.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from .. import conditioning
from ..conditioning import VoiceSpec
from ..generate import ParallelStream, generate
from ..weights import takes_networks
from . import stream as streaming
from . import voice, voice_file, waveform_model
from .pronunciation import Lexicon
from .stream import Part
from .voice import StudentVoice, TeacherVoice, check_speaker
from .voice_file import TextVoice
from .waveform_model import ExcitationStudent, ExcitationTeacher

Voice = TeacherVoice | StudentVoice
WHOLE = 96  # frames at a time where nobody waits for the first piece; longer ones take more memory


@dataclass(frozen=True)
class Spoken:
    """Sound that a network made: audio (T,) at `rate` Hz, and the seconds it took."""

    audio: np.ndarray
    rate: int
    seconds: float

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing for a second of sound; below 1 is faster than real time."""
        return self.seconds * self.rate / len(self.audio)


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch with one thread inside, and with as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@one_thread()
def speak(
    text: str,
    speaker: str | None = None,
    model: str | None = None,
    pace: float = 1.0,
    pitch: float = 1.0,
    seed: int = 0,
    temperature: float = 1.0,
    backend: str | None = None,
    voice: str = "allison",
    lexicon: Lexicon | None = None,
    skip_unknown: bool = False,
) -> Spoken:
    """Text -> speech: text -> words -> phones -> durations and F0 -> waveform.

    Args:
        text: any English; for the voice "digits", digits as words or figures; for another, what it reads.
        speaker: of the voice "digits", by default "slt".
        model: "student" (the default), "teacher", or a file of weights of a student.
        pace, pitch: factors from 0.5 to 2.
        seed, temperature: of the waveform's noise. Durations and F0 are the means of their models.
        backend: of a teacher's loop, see `generate`; by default "numba" for a teacher that is no digit's.
        voice: "allison", "digits", or a file that `minigen voice new` made.
        lexicon, skip_unknown: of the reading of text, see `minigen.speech.pronunciation`.

    >>> spoken = speak("Hello!")
    >>> spoken.rate, spoken.audio.dtype
    (8000, dtype('float32'))
    >>> speak("hello", voice="digits")
    Traceback (most recent call last):
        ...
    ValueError: the digit voice cannot say 'hello': it knows zero, one, two, three, four, five, \
six, seven, eight, nine and 0-9
    """
    reading = (lexicon, skip_unknown)
    given = (text, speaker, model, pace, pitch, seed, temperature, voice)
    net, speaker, parts = _planned(*given, reading)
    start = time.perf_counter()
    if isinstance(net, StudentVoice | ExcitationStudent):
        audio = np.concatenate(list(_pieces(net, parts, speaker, seed, temperature, WHOLE)))
    elif isinstance(net, ExcitationTeacher):
        options = (seed, temperature, backend or "numba")
        audio = np.concatenate([net.synthesize(*part, *options) for part in parts])
    else:
        cond = conditioning_for(net, list(parts), speaker)
        audio = sample(net, cond, seed, temperature, backend or "numpy")[0]
    return Spoken(audio, net.spec.rate, time.perf_counter() - start)


def stream(
    text: str,
    speaker: str | None = None,
    model: str | None = None,
    pace: float = 1.0,
    pitch: float = 1.0,
    seed: int = 0,
    temperature: float = 1.0,
    voice: str = "allison",
    chunk: int = 48,
    lexicon: Lexicon | None = None,
    skip_unknown: bool = False,
) -> Iterator[np.ndarray]:
    """Like `speak`, for a student: audio piece by piece, (T_i,) float32, in memory that does not grow.

    The pieces, put together, are the audio of `speak`. Words of the digits are planned one by one, other
    text sentence by sentence, each when it is needed: what is held grows with the longest sentence, not
    with the text. What is wrong with the arguments is said at the call.

    Args: chunk: frames of 10 ms in a piece, a multiple of 16.

    >>> pieces = list(stream("three one four", voice="digits"))
    >>> whole = speak("three one four", voice="digits").audio
    >>> len(pieces), bool(np.allclose(np.concatenate(pieces), whole, atol=1e-5))
    (4, True)
    """
    if chunk < 16 or chunk % 16:
        raise ValueError(f"chunk is a number of frames, a multiple of 16, not {chunk}")
    reading = (lexicon, skip_unknown)
    given = (text, speaker, model, pace, pitch, seed, temperature, voice)
    net, speaker, parts = _planned(*given, reading)
    if not isinstance(net, StudentVoice | ExcitationStudent):
        raise ValueError(f"a student speaks piece by piece, and {model!r} is a teacher: use speak")  # noqa: TRY004
    return _pieces(net, parts, speaker, seed, temperature, chunk)


def _pieces(
    net: StudentVoice | ExcitationStudent,
    parts: Iterator[Part],
    speaker: str,
    seed: int,
    temperature: float,
    chunk: int,
) -> Iterator[np.ndarray]:
    generator = torch.Generator().manual_seed(seed)
    if isinstance(net, ExcitationStudent):
        return net.pieces(parts, generator, temperature, chunk)
    return streaming.pieces(net, parts, speaker, generator, temperature, chunk)


def _planned(
    text: str,
    speaker: str | None,
    model: str | None,
    pace: float,
    pitch: float,
    seed: int,
    temperature: float,
    of: str,
    reading: tuple[Lexicon | None, bool],
) -> tuple[Voice | ExcitationStudent | ExcitationTeacher, str, Iterator[Part]]:
    """The arguments of `speak` -> network, speaker, and phones with times or mel bands, and F0, part by part.

    What is wrong with an argument is said at the call; each part is planned when it is needed.
    """
    for name, value, kind in (
        *(("text", text, str), ("speaker", speaker, str | None), ("model", model, str | None)),
        *(("pace", pace, Real), ("pitch", pitch, Real), ("voice", of, str)),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"{name} cannot be of type {type(value).__name__}")
    check_temperature(temperature)
    check_seed(seed)
    if of == "digits":
        if any(reading):
            raise ValueError("a lexicon and skip_unknown are for a voice that reads any text")
        net = _digits(model)
        speaker = net.spec.speakers[0] if speaker is None else speaker
        check_speaker(net.spec, speaker)
        parts = conditioning.words_of(text)
        plan = lambda word: conditioning.plan(word, speaker, pace, pitch)
    else:
        found = voice_file.find(of)
        net, speaker = _waveform(model, found), found.name if speaker is None else speaker
        if speaker != found.name:
            raise ValueError(f"no speaker {speaker!r}: choose one of {found.name}")
        prosody, parts = found.prosody, found.sentences(text, *reading)  # says what cannot be read
        timed = lambda phones: prosody.plan(phones=phones, pace=pace, pitch=pitch)
        plan = lambda phones: (found.acoustic.predict(*(known := timed(phones))), known[1])
    plan(parts[0])  # says what is wrong with pace and pitch
    return net, speaker, map(plan, parts)


def rate_of(voice: str) -> int:
    """Samples a second of what a voice makes.

    >>> rate_of("digits")
    8000
    """
    return conditioning.DIGITS.rate if voice == "digits" else voice_file.find(voice).rate


def _digits(model: str | None) -> Voice:
    if model in (None, "student", "teacher"):
        return voice.shared(model or "student")
    if not Path(model).is_file():
        raise ValueError(f"no model {model!r}: choose student or teacher, or give a file")
    return voice.shared("student", model)


def _waveform(model: str | None, of: TextVoice) -> ExcitationStudent | ExcitationTeacher:
    """The network that makes a voice's sound: its student, the teacher of all, or a file of a student."""
    if model in (None, "student"):
        return of.student
    net = waveform_model.load(model)
    if net.spec != of.student.spec:
        raise ValueError(f"the {model} makes sound of other mel bands than the voice has")
    return net


def check_temperature(temperature: float) -> None:
    """An error unless noise can be scaled by it."""
    if not isinstance(temperature, Real):
        raise TypeError(f"temperature is a number, not of type {type(temperature).__name__}")
    if not 0 <= temperature <= 100:
        raise ValueError(f"temperature scales the noise, from 0 to 100, not {temperature!r:.80}")


def check_seed(seed: int) -> None:
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise TypeError(f"a seed is a whole number, not of type {type(seed).__name__}")
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"a seed has at most 64 bits, and {seed} has more")


@takes_networks
def conditioning_for(net: Voice, parts: list[Part], speaker: str) -> Tensor:
    """[(phones, F0)], one after the other by one speaker -> conditioning (1, C, T)."""
    spec: VoiceSpec = net.spec
    check_speaker(spec, speaker)
    made = [conditioning.planned_features(*part, spec) for part in parts]
    joined = (np.concatenate(part, axis=-1) for part in zip(*made, strict=True))
    frames, phase = (torch.from_numpy(part)[None] for part in joined)
    with torch.no_grad():
        return net.upsampler(frames, torch.tensor([spec.speakers.index(speaker)]), phase)


@torch.no_grad()
@takes_networks
def sample(
    net: nn.Module, cond: Tensor, seed: int = 0, temperature: float = 1.0, backend: str = "numpy"
) -> np.ndarray:
    """Conditioning (B, C, T) -> waveforms (B, T) float32, by `net.student`, or else sample by sample by `net.wavenet`.

    `backend` is for the latter only.
    """
    generator = torch.Generator().manual_seed(seed)
    if isinstance(net, StudentVoice):
        noise = torch.randn(cond.shape[0], 1, cond.shape[-1], generator=generator)
        z = temperature * net.student.noise(noise)
        pairs = zip(z.split(1), cond.split(1), strict=True)
        x = torch.cat([ParallelStream(net.student)(*pair) for pair in pairs])
    else:
        options = {"backend": backend, "generator": generator, "temperature": temperature}
        x = generate(net.wavenet, cond, **options)
    return x[:, 0].clamp(-1, 1).numpy()


@takes_networks
def samples_per_second(model: str | Voice, backend: str = "naive") -> float:
    """How many samples a second a voice ("teacher", "student" or a loaded one) makes here, at batch 1.

    The student makes a second of sound once, and three times of which the median counts; the teacher, whose
    time for a sample does not depend on how many there are once the receptive field is full, makes
    twice its receptive field.
    """
    net = voice.shared(model) if isinstance(model, str) else model
    is_teacher = isinstance(net, TeacherVoice)
    n = 2 * net.wavenet.receptive_field if is_teacher else net.spec.rate
    plan = conditioning.plan("seven", "slt")
    cond = conditioning_for(net, [plan] * 3, net.spec.speakers[0])[..., :n]
    times = []
    for _ in range(1 if is_teacher else 4):
        start = time.perf_counter()
        sample(net, cond, backend=backend)
        times.append(time.perf_counter() - start)
    return cond.shape[-1] / median(times[1:] or times)
