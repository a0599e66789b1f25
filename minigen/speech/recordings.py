"""Whether recordings will do to make a voice of: level, noise, length, and a text that can be read and fits."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..audio import speech_level
from ..data import Utterance
from .reader import Reader

SHORTEST, LONGEST = 0.4, 20.0  # seconds of a recording
QUIETEST = 0.003  # level of speech, of 1
OVERDRIVEN = 0.002  # part of the samples that are at the limit
NOISE = 15.0  # dB from the background to speech, at least
PHONES = (3.0, 25.0)  # in a second, at least and at most


def noise_distance(x: np.ndarray, rate: int) -> float:
    """How far speech is above its background: from the RMS of the quietest twentieth of 20 ms frames, in dB."""
    size = rate // 50
    frames = x[: len(x) // size * size].reshape(-1, size)
    quiet = np.sqrt(np.quantile(np.square(frames, dtype=float).mean(1), 0.05))
    return float(20 * np.log10(max(speech_level(x, rate), 1e-9) / max(quiet, 1e-6)))


def faults(clips: Sequence[Utterance], reader: Reader, rate: int) -> dict[str, list[str]]:
    """{name of the recording: what is wrong with it}, of those in which something is.

    Args: reader: that is to read their texts. rate: of the voice that is to be made.
    """
    found = {clip.name: list(_of_one(clip, reader, rate)) for clip in clips}
    return {name: wrong for name, wrong in found.items() if wrong}


def _of_one(clip: Utterance, reader: Reader, rate: int) -> Iterator[str]:
    count = 0
    try:
        count = sum(len(ways[0]) for ways in reader.transcribe(clip.text))
    except ValueError as error:
        yield f"its text cannot be read: {error}"
    if clip.duration < SHORTEST:
        yield f"{clip.duration:.1f} s are too short: at least {SHORTEST} s"
        return
    if clip.duration > LONGEST:
        yield f"{clip.duration:.0f} s are too long: cut it at a pause, below {LONGEST:.0f} s"
    if clip.rate < rate:
        yield f"at {clip.rate:,} Hz it lacks what a voice at {rate:,} Hz needs"
    if np.mean(np.abs(clip.audio) > 0.999) > OVERDRIVEN:
        yield "overdriven: samples lie at the limit; record with less gain"
    level = speech_level(clip.audio, clip.rate)
    if level < QUIETEST:
        yield f"too quiet: {20 * np.log10(max(level, 1e-9)):.0f} dB; go nearer to the microphone"
    elif (above := noise_distance(clip.audio, clip.rate)) < NOISE:
        yield f"noisy: speech is only {above:.0f} dB above the background"
    if count and not PHONES[0] <= count / clip.duration <= PHONES[1]:
        yield f"{count} phones in {clip.duration:.1f} s: the text is not what is spoken"
