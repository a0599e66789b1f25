"""What a voice of one's own is worth, on sentences that it did not learn from."""

from collections.abc import Callable, Sequence

import numpy as np

from .. import conditioning
from ..data import Utterance
from ..metrics import log_mel_distance
from ..weights import takes_networks
from .sentence_evaluation import prosody_figures
from .text import normalise
from .voice_file import TextVoice
from .waveform_model import ExcitationStudent

CLIPS = 8  # of the held-out ones, at most


@takes_networks
def table(
    voice: TextVoice,
    before: ExcitationStudent,
    train: Sequence[Utterance],
    held: Sequence[Utterance],
) -> dict[str, dict[str, float]]:
    """Durations, F0 and spectra, each beside a baseline; word errors where a recogniser is installed.

    Args: before: the student that it began with. held: clips with phones and F0 that were not learned from.
    """
    held, rate = list(held)[:CLIPS], voice.rate
    lengths = lambda clips: np.array([b - a for clip in clips for _, a, b in clip.phones])
    true, usual = lengths(held), np.median(lengths(train))
    predict = voice.prosody.durations.predict
    found = np.concatenate([predict([name for name, _, _ in clip.phones]) for clip in held])
    pitch = prosody_figures(voice.prosody, train, held)
    rows = {
        "durations, median error in ms": {
            "this voice": float(1000 * np.median(np.abs(found - true))),
            "baseline": float(1000 * np.median(np.abs(usual - true))),
        },
        "F0, error in %": {
            "this voice": pitch["F0 rms error %"],
            "baseline": pitch["the speaker's mean %"],
        },
    }
    distances: dict[str, list[float]] = {"copy": [], "before": [], "text": []}
    for clip in held:
        f0 = conditioning.sharpened(clip.f0, rate, clip.audio)
        mel = conditioning.mel_bands(clip.audio, rate, voice.student.spec.mels)
        made = {"copy": voice.student.synthesize(mel, f0), "before": before.synthesize(mel, f0)}
        made["text"] = voice.student.synthesize(voice.acoustic.predict(clip.phones, f0), f0)
        for name, x in made.items():
            distances[name].append(log_mel_distance(x, clip.audio[: len(x)], rate))
    mean = {name: float(np.mean(values)) for name, values in distances.items()}
    copy = {"this voice": mean["copy"], "baseline": mean["before"]}
    rows["log-mel distance of the copy, dB"] = copy
    rows["log-mel distance of the text, recorded times and F0, dB"] = {"this voice": mean["text"]}
    if voice.reader.english and (recognise := recogniser()):
        spoken = [recognise(voice.synthesize(clip.text), rate) for clip in held]
        recorded = [recognise(clip.audio, rate) for clip in held]
        rows["words that a recogniser misses, %"] = {
            "this voice": 100 * word_errors([clip.text for clip in held], spoken),
            "baseline": 100 * word_errors([clip.text for clip in held], recorded),
        }
    return rows


def recogniser() -> Callable[[np.ndarray, int], str] | None:
    """A function (x, rate) -> words, if `pocketsphinx` is installed, which comes with its model."""
    try:
        from pocketsphinx import Decoder
    except ImportError:
        return None
    from ..audio import resample

    decoder = Decoder(samprate=16_000, loglevel="FATAL")

    def recognise(x: np.ndarray, rate: int) -> str:
        x = np.clip(resample(x, rate, 16_000), -1, 1)
        decoder.start_utt()
        decoder.process_raw((32_767 * x).astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return found.hypstr if found else ""

    return recognise


def word_errors(texts: Sequence[str], found: Sequence[str]) -> float:
    """Word error rate: substitutions, insertions and deletions for each word of the texts.

    >>> word_errors(["One, two three"], ["one too three four"])
    0.6666666666666666
    """
    errors = words = 0
    for text, guess in zip(texts, found, strict=True):
        a, b = [w.lower() for w in normalise(text)], guess.lower().split()
        row = list(range(len(b) + 1))
        for i, word in enumerate(a, start=1):
            last, row[0] = row[0], i
            for j, other in enumerate(b, start=1):
                last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != other))
        errors, words = errors + row[-1], words + len(a)
    return errors / max(1, words)
