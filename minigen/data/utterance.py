"""`Utterance`: one recording and what is known about it. Every corpus is a list of these."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np

F0_FRAME = 0.010  # seconds between two values of `Utterance.f0`
_ROUNDING = 0.05  # seconds that label files may run past the end of their recording


@dataclass(frozen=True, eq=False)
class Utterance:
    """A waveform, its sampling rate, and what was said, by whom and when. Nothing in it can be changed.

    Arrays are copied unless they are read-only already; `dataclasses.replace` makes a changed copy.

    Args:
        audio: the waveform, (T,) float32 in [-1, 1]. rate: samples a second.
        text: what is said; "" where the corpus does not say. speaker: name of the voice.
        phones: (phone, start, end) with times in seconds, in order and without overlap, or None; kept as
            tuples.
        f0: fundamental frequency in Hz, one value each 10 ms, 0 where unvoiced, (N,) or None.
        name: what the corpus calls the recording.

    Raises TypeError: a field has the wrong type. ValueError: audio is empty, not finite or outside [-1, 1], or
    a time or an F0 is impossible.

    >>> import numpy as np
    >>> u = Utterance(np.zeros(4000, dtype=np.float32), 8000, "", "nobody", name="silence")
    >>> u
    Utterance('silence', speaker='nobody', text='', 0.50 s at 8000 Hz)
    >>> Utterance(np.zeros(4000), 8000, "", "nobody")
    Traceback (most recent call last):
        ...
    TypeError: audio has dtype float64; it must be float32: convert it with audio.astype(np.float32)
    """

    audio: np.ndarray
    rate: int
    text: str
    speaker: str
    phones: Sequence[tuple[str, float, float]] | None = None
    f0: np.ndarray | None = None
    name: str = ""

    def __post_init__(self) -> None:
        self._check_audio()
        for field in ("text", "speaker", "name"):
            if not isinstance(value := getattr(self, field), str):
                raise TypeError(f"{field} is {value!r}; it must be a str")
        if self.phones is not None:
            self._check_phones()
        if self.f0 is not None:
            self._check_f0()
            object.__setattr__(self, "f0", _frozen(self.f0))
        object.__setattr__(self, "audio", _frozen(self.audio))

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.audio) / self.rate

    def __repr__(self) -> str:
        return (
            f"Utterance({self.name!r}, speaker={self.speaker!r}, text={self.text!r}, "
            f"{self.duration:.2f} s at {self.rate} Hz)"
        )

    def _check_audio(self) -> None:
        audio, rate = self.audio, self.rate
        if not isinstance(audio, np.ndarray):
            raise TypeError(f"audio is a {type(audio).__name__}; it must be a NumPy array")
        if audio.dtype != np.float32:
            raise TypeError(
                f"audio has dtype {audio.dtype}; it must be float32: "
                "convert it with audio.astype(np.float32)"
            )
        if audio.ndim != 1 or audio.size == 0:
            raise ValueError(
                f"audio has shape {audio.shape}; it must be (T,), T >= 1: average the channels"
            )
        peak = float(np.max(np.abs(audio)))
        if not np.isfinite(peak):
            raise ValueError("audio holds NaN or infinity; every sample must be finite")
        if peak > 1.0:
            raise ValueError(
                f"audio reaches {peak:.4g}; samples lie in [-1, 1]: divide int16 by 32768, or clip"
            )
        if isinstance(rate, bool) or not isinstance(rate, Integral):
            raise TypeError(f"rate is {rate!r}; it must be an int, in samples a second")
        if rate <= 0:
            raise ValueError(f"rate is {rate}; it must be positive, in samples a second")

    def _check_phones(self) -> None:
        last = 0.0
        object.__setattr__(self, "phones", tuple(map(tuple, self.phones)))
        for entry in self.phones:
            if len(entry) != 3 or not isinstance(entry[0], str):
                raise TypeError(f"phones holds {entry!r}; each must be (phone, start_s, end_s)")
            phone, start, end = entry
            # "not (a <= b)" rather than "a > b", so that NaN is refused too
            if not (last - 1e-6 <= start <= end <= self.duration + _ROUNDING):
                raise ValueError(
                    f"phone {phone!r} runs from {start} to {end} s; times must be in order, without "
                    f"overlap, and end by {self.duration:.3f} s: are they in seconds?"
                )
            last = end

    def _check_f0(self) -> None:
        if not isinstance(self.f0, np.ndarray) or self.f0.ndim != 1:
            raise TypeError(f"f0 has shape {np.shape(self.f0)}; it must be an array of shape (N,)")
        if not (np.isfinite(self.f0).all() and (self.f0 >= 0).all()):
            raise ValueError("f0 holds negative or non-finite values; use 0 for unvoiced frames")
        expected = self.duration / F0_FRAME
        if abs(len(self.f0) - expected) > 2:
            raise ValueError(
                f"f0 has {len(self.f0)} values for {self.duration:.3f} s of audio; it needs one "
                f"every 10 ms, about {expected:.0f}"
            )


def _frozen(array: np.ndarray) -> np.ndarray:
    """The array, or a copy of it, that nobody can write into."""
    if array.flags.writeable:
        array = array.copy()
        array.setflags(write=False)
    return array
