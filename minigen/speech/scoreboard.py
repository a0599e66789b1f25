"""Every voice of the book on the same thirty clips that none of them learned from.

A *row* is a way to synthesize the words of these clips. Some rows are voices; the others are recordings that
were treated in a known way, so that a reader sees what each metric does to them. `benchmarks/scoreboard.py`
measures all rows and writes the table that ships, `results.read("scoreboard")`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from .. import metrics
from ..audio import (
    fit_length,
    frame_length,
    griffin_lim,
    mel_filterbank,
    mu_law_decode,
    mu_law_encode,
)
from ..audio.source_filter import copy_synthesis
from ..conditioning import mel_bands
from ..data import Utterance, spoken_digits
from ..timeseries import lpc_analysis, lpc_excitation, lpc_synthesis
from . import corpus, evaluation, synthesis, unconditional, voice, word_vae
from .conversion import convert
from .hmm_synthesis import HMMSynthesizer
from .vocoder import vocode


@dataclass(frozen=True)
class Row:
    """A way to synthesize the words of the held-out clips.

    Args:
        name: its name. chapter: where the book explains it; None for a treated recording.
        note: what it is given, in a few words. make: clips -> a waveform for each.
    """

    name: str
    chapter: int | None
    note: str
    make: Callable[[Sequence[Utterance]], list[np.ndarray]]


def _each(make: Callable[[Utterance], np.ndarray]) -> Callable[[Sequence[Utterance]], list]:
    """Clip by clip."""
    return lambda clips: [np.asarray(make(clip), float) for clip in clips]


# ---------------------------------------------------------------- recordings, treated in a known way


_recording = _each(lambda clip: clip.audio)
_quieter = _each(lambda clip: 0.25 * clip.audio.astype(float))
_whisper = _each(lambda clip: copy_synthesis(clip, buzz=0.0))


def _late(clips: Sequence[Utterance]) -> list[np.ndarray]:
    return [np.concatenate([np.zeros(160), x[:-160]]) for x in _recording(clips)]


def _hiss(clips: Sequence[Utterance]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [x + 10 ** (-30 / 20) * x.std() * rng.normal(size=len(x)) for x in _recording(clips)]


def _other_tempo(clips: Sequence[Utterance]) -> list[np.ndarray]:
    known = {clip.name: clip for clip in spoken_digits()}
    names = [f"{clip.text}_{clip.speaker}_t1.0_p1.0" for clip in clips]
    return [known[name].audio.astype(float) for name in names]


# ---------------------------------------------------------------- voices

_mu_law = _each(lambda clip: mu_law_decode(mu_law_encode(clip.audio)))
_hmm = _each(lambda clip: _hmm_voice().speak(clip.text, clip.speaker))
_codes = _each(lambda c: convert(c.audio, c.speaker, f0=c.f0, keep_pitch=True).audio)


def from_mel_alone(clip: Utterance, mels: int = 32) -> np.ndarray:
    """Griffin-Lim: the mel bands spread back to a spectrum by least squares, and phases that suit it."""
    hop, n_fft = clip.rate // 100, frame_length(clip.rate)
    bank = mel_filterbank(clip.rate, n_fft, mels)  # (M, F)
    magnitude = np.maximum(np.linalg.pinv(bank) @ np.exp(mel_bands(clip.audio, clip.rate, mels)), 0)
    waveform = np.pad(griffin_lim(magnitude, hop), (hop // 2, 0))  # frames lie around (n + ½) hop
    return fit_length(waveform, len(clip.audio))


@cache
def _hmm_voice() -> HMMSynthesizer:
    return HMMSynthesizer.fit(corpus.held_out()[0])


def _linear_prediction(clip: Utterance) -> np.ndarray:
    speech = lpc_analysis(clip.audio.astype(float), order=10, hop=80, width=240)
    f0 = fit_length(clip.f0.astype(float), len(speech.gain))
    pulses = lpc_excitation(speech.gain, f0, clip.rate, 80, seed=0)
    return lpc_synthesis(speech.coefficients, pulses, 80)[: len(clip.audio)]


def _vae(clips: Sequence[Utterance]) -> list[np.ndarray]:
    model, _ = word_vae.load()
    return [word_vae.synthesize(model.word(z)) for z in model.latents(clips)]


def _vocoded(model: str) -> Callable:
    return _each(lambda clip: vocode(clip.audio, clip.rate, model).audio)


def _neural(name: str, temperature: float = 1.0) -> Callable:
    def make(clips: Sequence[Utterance]) -> list[np.ndarray]:
        if "checkpoint" in name:
            steps = [row["step"] for row in unconditional.card("checkpoints")["checkpoints"]]
            model = unconditional.load_checkpoint(steps[-1 if name == "last checkpoint" else -2])
        else:
            model = voice.load(name)
        given = [corpus.as_batch(clip, follow_audio=False) for clip in clips]
        conds = [model.conditioning(batch) for batch in given]
        sample = lambda cond, seed: synthesis.sample(model, cond, seed, temperature, "numba")
        return [wave.astype(float) for wave in evaluation.in_batches(sample, conds)]

    return make


ROWS = [
    Row("recording", None, "itself", _recording),
    Row("recording, ¼ as loud", None, "every sample times ¼", _quieter),
    Row("recording, 20 ms late", None, "160 samples of silence before it", _late),
    Row("recording, with hiss", None, "white noise 30 dB below it", _hiss),
    Row("recording, another tempo", None, "the same word and voice, 1.2 times as fast", _other_tempo),
    Row("whisper", None, "the vocoder of chapter 3 with noise for pulses", _whisper),
    Row("µ-law", 1, "the recording at 8 bits", _mu_law),
    Row("Griffin-Lim", 1, "mel bands of the recording", _each(from_mel_alone)),
    Row("pulses and filters", 3, "cepstra and F0 of the recording", _each(copy_synthesis)),
    Row("HMM synthesis", 3, "the word and the speaker", _hmm),
    Row("linear prediction", 5, "filters and F0 of the recording", _each(_linear_prediction)),
    Row("WaveNet, checkpoint before", 7, "phones, times, F0, speaker", _neural("checkpoint before")),
    Row("WaveNet, last checkpoint", 7, "phones, times, F0, speaker", _neural("last checkpoint")),
    Row("VAE of words", 10, "16 numbers that it made of the recording", _vae),
    Row("VQ-VAE", 11, "50 codes a second, F0, speaker", _codes),
    Row("teacher", 14, "phones, times, F0, speaker", _neural("teacher")),
    Row("teacher, noise × 0.7", 14, "phones, times, F0, speaker", _neural("teacher", 0.7)),
    Row("student", 14, "phones, times, F0, speaker", _neural("student")),
    Row("teacher, mel bands", 14, "mel bands and F0 of the recording", _vocoded("teacher")),
    Row("student, mel bands", 14, "mel bands and F0 of the recording", _vocoded("student")),
]  # fmt: skip


# ---------------------------------------------------------------- measuring
@cache
def _recogniser() -> metrics.DigitRecogniser:
    return metrics.DigitRecogniser(corpus.held_out()[0])


def measure(waves: Sequence[np.ndarray], clips: Sequence[Utterance]) -> dict[str, float | None]:
    """Words recognised and `metrics.compare` of waveforms with the recordings of the same words.

    STOI and PESQ on all words of a speaker in a row, then the mean over speakers; PESQ is None where its package
    is missing.
    """
    if not clips:
        raise ValueError("there are no clips to measure")
    rate = clips[0].rate
    recorded = [clip.audio.astype(float) for clip in clips]
    right = sum(_recogniser()(x) == clip.text for x, clip in zip(waves, clips, strict=True))
    row = {"recognised": float(right)} | metrics.compare(waves, recorded, rate, warp=True)
    joined = []
    for speaker in dict.fromkeys(clip.speaker for clip in clips):
        of = [k for k, clip in enumerate(clips) if clip.speaker == speaker]
        cut = [fit_length(waves[k], len(recorded[k])) for k in of]
        joined.append((np.concatenate(cut), np.concatenate([recorded[k] for k in of])))
    row["stoi"] = float(np.mean([metrics.stoi(*pair, rate) for pair in joined]))
    try:
        row["pesq"] = float(np.mean([metrics.pesq(*pair, rate) for pair in joined]))
    except ModuleNotFoundError:
        row["pesq"] = None
    return row


def measure_row(name: str) -> dict[str, float | None]:
    """`measure` of one of `ROWS` on the thirty held-out clips."""
    rows = {row.name: row for row in ROWS}
    if name not in rows:
        raise ValueError(f"no row {name!r}: choose one of {', '.join(rows)}")
    clips = corpus.held_out()[1]
    return measure(rows[name].make(clips), clips)
