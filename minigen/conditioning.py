"""Chapter 9: from phones, times and F0 to what the network is conditioned on, features of frames and of phase.

(`minigen.speech.prosody` makes phones, times and F0 from any text; for the ten digits, `plan` here does.)
Frames are 10 ms. Two kinds of features leave this file:

- frame features (F, N): which phone, its neighbours, how far into it, how long it is, log F0; of a
  vocoder, which is given how a recording sounds and not what it says, log-mel bands and log F0;
- phase features (6 or 7, T): where in its pitch period the voice is, at every sample.

F0 says how often the vocal folds close, not when. Its running sum φ[t] = 2π Σ F0/rate does, and the
network hears cos and sin of φ, 2φ and 4φ (as the neural source-filter models do with a sine). In
training the digit voices, φ is corrected to the phase the recording has; elsewhere the sum alone serves.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from scipy.signal import firwin
from torch import Tensor, nn

from .audio import frame_length, mel_spectrogram
from .data import Utterance
from .data.spoken_digits import DIGIT_WORDS, SPEAKERS, spoken_digits

HOP = 80  # samples in a frame of 10 ms at 8 kHz
# fmt: off
PHONES = (
    "pau", "ah", "ao", "ax", "ay", "eh", "ey", "f", "ih", "iy", "k",
    "n", "ow", "r", "s", "t", "th", "uw", "v", "w", "z",
)
# fmt: on
FRAME_FEATURES = 3 * len(PHONES) + 5
PHASE_FEATURES = 6


@dataclass(frozen=True)
class VoiceSpec:
    """What a voice was trained on, and what everything that speaks with it must therefore agree to.

    Args:
        phones: its inventory, in the order of the one-hot rows.
        rate: samples a second, a multiple of 100: a frame of 10 ms is `hop` of them.
        speakers: names, in the order of the embedding's rows.
        mels: 0, or of a vocoder, which has no phones, the number of its mel bands.
        lpc_order: 0, or of a vocoder whose network makes the excitation of linear prediction (chapter 13) the
            order of that; its phase features have pulses, too.

    >>> DIGITS.hop, DIGITS.frame_features, DIGITS.speakers
    (80, 68, ('slt', 'rms', 'awb'))
    """

    phones: tuple[str, ...]
    rate: int
    speakers: tuple[str, ...]
    mels: int = 0
    lpc_order: int = 0

    def __post_init__(self) -> None:
        if self.rate < 1000 or self.rate % 100:
            raise ValueError(f"rate is a multiple of 100 Hz, at least 1,000, not {self.rate}")
        if self.mels < 0 or (self.mels and self.phones):
            raise ValueError(f"a voice hears phones or mel bands, not {self.mels=}, {self.phones=}")
        if self.lpc_order < 0 or (self.lpc_order and not self.mels):
            raise ValueError(f"lpc_order needs mel bands, not {self.lpc_order=}, {self.mels=}")
        for name in ("speakers",) if self.mels else ("phones", "speakers"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{name} are names, each once and at least one, not {values}")

    @property
    def hop(self) -> int:
        """Samples in a frame."""
        return self.rate // 100

    @property
    def frame_features(self) -> int:
        """Rows of the frame features."""
        return self.mels + 2 if self.mels else 3 * len(self.phones) + 5

    @property
    def phase_features(self) -> int:
        """Rows of the phase features."""
        return PHASE_FEATURES + (self.lpc_order > 0)


DIGITS = VoiceSpec(PHONES, 8000, SPEAKERS)


def frame_features(
    phones: Sequence[tuple[str, float, float]], f0: np.ndarray, inventory: tuple[str, ...] = PHONES
) -> np.ndarray:
    """Phones with their times in seconds, F0 in Hz a frame (N,) -> (F, N) float32.

    Rows: one-hot phone, one-hot phone before, one-hot phone after, position in the phone from 0 to 1
    and back (two rows), log of the phone's duration over 0.1 s, voiced (0 or 1), log of F0 over
    130 Hz (0 where unvoiced).
    """
    if not len(phones):
        raise ValueError("there are no phones to describe")
    names = ["pau", *(name for name, _, _ in phones), "pau"]
    unknown = sorted(set(names) - set(inventory))
    if unknown:
        raise ValueError(f"unknown phones {unknown}: this model knows {', '.join(inventory)}")
    codes = [inventory.index(name) for name in names]
    ends = np.array([end for _, _, end in phones])
    centre = (np.arange(len(f0)) + 0.5) * 0.01
    which = np.minimum(np.searchsorted(ends, centre), len(phones) - 1)  # (N,)
    start, end = (np.array([phone[i] for phone in phones])[which] for i in (1, 2))
    out = np.zeros((3 * len(inventory) + 5, len(f0)), dtype=np.float32)
    for block, offset in enumerate((1, 0, 2)):
        out[np.array(codes)[which + offset] + block * len(inventory), np.arange(len(f0))] = 1
    position = np.clip((centre - start) / np.maximum(end - start, 1e-3), 0, 1)
    out[-5], out[-4] = position, 1 - position
    out[-3] = np.log(np.maximum(end - start, 1e-3) / 0.1)
    out[-2:] = pitch_rows(f0)
    return out


def pitch_rows(f0: np.ndarray) -> np.ndarray:
    """F0 in Hz a frame (N,) -> voiced (0 or 1), log of F0 over 130 Hz (0 where unvoiced), (2, N) float32."""
    voiced = f0 > 0
    log_f0 = np.where(voiced, np.log(np.where(voiced, f0, 130.0) / 130.0), 0)
    return np.stack([voiced, log_f0]).astype(np.float32)


# What is quieter counts as silence: about where white noise of deviation 10^-4 lies at 8 kHz.
QUIET = -6.0  # nepers
RAISED = 3.0  # nepers from the middle of what is heard to its edge


def mel_bands(audio: np.ndarray, rate: int, mels: int) -> np.ndarray:
    """A waveform (T,) -> log-mel magnitudes (mels, N), N = T / hop: frames of 32 ms around (n + ½) · 10 ms."""
    hop, n_fft = rate // 100, frame_length(rate)
    n = len(audio) // hop
    return mel_spectrogram(audio[hop // 2 :], rate, n_fft, hop, mels)[:, :n]


def mel_features(mel: np.ndarray, f0: np.ndarray) -> np.ndarray:
    """Log-mel magnitudes (M, N) and F0 in Hz a frame (N,) -> frame features (M + 2, N) float32.

    Rows: the bands, cut off at QUIET and brought to about -1 … 1; voiced; log of F0 over 130 Hz.
    """
    if mel.ndim != 2 or mel.shape[1:] != f0.shape or not f0.size:
        raise ValueError(f"(M, N) bands go with (N,) F0, not {mel.shape} with {f0.shape}")
    bands = (np.maximum(mel, QUIET) - QUIET) / RAISED - 1
    return np.concatenate([bands, pitch_rows(f0)]).astype(np.float32)


def inputs(given: Sequence | np.ndarray, f0: np.ndarray, spec: VoiceSpec) -> np.ndarray:
    """What a voice is conditioned on: phones with their times or mel bands, and F0 (N,) -> (F, N) float32."""
    if spec.mels:
        if np.shape(given)[:1] != (spec.mels,):
            raise ValueError(f"bands have shape ({spec.mels}, N), not {np.shape(given)}")
        return mel_features(np.asarray(given), f0)
    return frame_features(given, f0, spec.phones)


def phase(
    f0: np.ndarray, rate: int, audio: np.ndarray | None = None, centred: bool = False
) -> np.ndarray:
    """The phase of the voice's fundamental at every sample, in radians, (T,), T = N · rate / 100.

    φ[t] = 2π Σ_{u<=t} F0[u] / rate. With `audio`, φ gets the slow correction that makes it the phase
    of the recording's own fundamental: angle of the low-passed audio[t] e^{-iφ[t]}.

    Frame n of F0 belongs to (n + ½) hop, and `centred` puts it there. Without, it is half a frame early, as it
    was when the voices that are conditioned on phones were trained.
    """
    if not rate >= 100:
        raise ValueError(f"rate is in Hz, 100 or more, not {rate}")
    hop = rate // 100
    frames = (np.arange(len(f0) * hop) + 0.5 * centred) / hop - 0.5 * centred
    voiced = f0 > 0
    if not voiced.any():
        return np.zeros(len(frames))
    filled = np.interp(frames, np.flatnonzero(voiced), f0[voiced])  # Hz, also between voiced parts
    phi = 2 * np.pi * np.cumsum(filled) / rate
    if audio is not None:
        taps = firwin(2 * rate // 100 + 1, 40.0, fs=rate)  # pass what varies slower than 40 Hz
        slow = np.convolve(audio * np.exp(-1j * phi), taps, mode="same")
        phi = phi + np.unwrap(np.angle(slow))
    return phi


def sharpened(f0: np.ndarray, rate: int, audio: np.ndarray) -> np.ndarray:
    """F0 (N,) of a recording, corrected by how far the phase of its own fundamental advances in each frame.

    The tenth harmonic of a frequency that is 1 % off is off by half of the distance to its neighbours.
    A correction of more than 8 % is taken for an error and left out.
    """
    if not (f0 > 0).any():
        return f0
    phi = phase(f0, rate, audio, centred=True)
    advance = np.diff(phi[:: rate // 100], append=2 * phi[-1] - phi[-2])
    exact = advance / (2 * np.pi * 0.01)  # Hz
    return np.where((f0 > 0) & (np.abs(exact / np.maximum(f0, 1) - 1) < 0.08), exact, f0)


def pulses(phi: np.ndarray, rate: int) -> np.ndarray:
    """A narrow pulse wherever φ is a multiple of 2π, of mean square 1, (T,): all harmonics in phase.

    exp(-½ (d / w)²) · √(period / (w √π)),   d = samples to the nearest pulse, w = 0.8
    """
    step = np.maximum(np.gradient(phi), 2 * np.pi * 40 / rate)  # radians a sample
    d = (np.remainder(phi + np.pi, 2 * np.pi) - np.pi) / step
    return np.exp(-0.5 * (d / 0.8) ** 2) * np.sqrt(2 * np.pi / step / (0.8 * np.sqrt(np.pi)))


def phase_features(phi: np.ndarray, f0: np.ndarray, with_pulses: bool = False) -> np.ndarray:
    """cos and sin of φ, 2φ, 4φ, and `pulses` if asked for, faded to 0 where unvoiced: (6 or 7, T) float32."""
    if not 0 < len(f0) <= len(phi):
        raise ValueError(f"each frame has samples, and {len(f0)} frames not {len(phi)}")
    hop = len(phi) // len(f0)
    frames = (np.arange(len(phi)) + 0.5) / hop - 0.5
    voicing = np.interp(frames, np.arange(len(f0)), (f0 > 0).astype(float))
    angles = np.outer([1, 2, 4], phi)
    rows = [np.cos(angles), np.sin(angles)]
    if with_pulses:
        rows.append(pulses(phi, 100 * hop)[None])
    return (np.concatenate(rows) * voicing).astype(np.float32)


def planned_features(
    given: Sequence | np.ndarray, f0: np.ndarray, spec: VoiceSpec
) -> tuple[np.ndarray, np.ndarray]:
    """Phones with their times or mel bands, and F0 (N,) -> frames (F, N), phase (6 or 7, N · hop): no audio."""
    phi = phase(f0, spec.rate, centred=spec.lpc_order > 0)
    return inputs(given, f0, spec), phase_features(phi, f0, spec.lpc_order > 0)


def features(
    utterance: Utterance, follow_audio: bool = True, spec: VoiceSpec = DIGITS
) -> tuple[np.ndarray, np.ndarray]:
    """An utterance with F0, and phones unless it is for a vocoder -> frames (F, N), phase (6 or 7, N · hop).

    With `follow_audio`, unless the spec has an `lpc_order`, the phase is that of the recording's own fundamental:
    a function of the waveform. Its likelihood given that is to be compared with one that is given less only after
    paying for the phase, at most 0.2 nats a sample for the digit teacher (chapter 9).
    """
    if utterance.f0 is None or (utterance.phones is None and not spec.mels):
        raise ValueError(f"{utterance.name or utterance.text!r} has no phone times or no F0")
    audio = utterance.audio if follow_audio else None
    given = mel_bands(utterance.audio, spec.rate, spec.mels) if spec.mels else utterance.phones
    if spec.lpc_order:  # the phase that speaking uses: none of the recording's own
        return planned_features(given, sharpened(utterance.f0, spec.rate, utterance.audio), spec)
    phi = phase(utterance.f0, utterance.rate, audio)
    return inputs(given, utterance.f0, spec), phase_features(phi, utterance.f0)


def words_of(text: str) -> list[str]:
    """Digits and the names of digits -> words. Anything else is an error that names it.

    >>> words_of("Three, one 42")
    ['three', 'one', 'four', 'two']
    """
    if not isinstance(text, str):
        raise TypeError(f"text cannot be of type {type(text).__name__}")
    words = []
    for token in re.findall(r"[^\W\d_]+|\d|[^\s\w.,;:!?-]|_", text.lower()):
        word = DIGIT_WORDS[int(token)] if token.isdecimal() and token.isascii() else token
        if word not in DIGIT_WORDS:
            raise ValueError(
                f"the digit voice cannot say {word!r:.80}: it knows {', '.join(DIGIT_WORDS)} and 0-9"
            )
        words.append(word)
    if not words:
        raise ValueError(f"nothing to say in {text!r:.80}: write digits, like 'one four' or 314")
    return words


@cache
def mean_word(speaker: str, word: str) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Means over the corpus -> phones, their durations in seconds (P,), log F0 and voicing (P, 5)."""
    clips = spoken_digits(speaker, word)
    places = np.linspace(0.1, 0.9, 5)  # of the way through a phone
    durations, log_f0, voicing = [], [], []
    for clip in clips:
        times = np.array([(start, end) for _, start, end in clip.phones])  # (P, 2)
        at = times[:, :1] + np.diff(times) * places  # (P, 5) seconds
        frames = (np.arange(len(clip.f0)) + 0.5) * 0.01
        voiced = clip.f0 > 0
        durations.append(np.diff(times)[:, 0])
        log_f0.append(np.interp(at, frames[voiced], np.log(clip.f0[voiced])))
        voicing.append(np.interp(at, frames, voiced.astype(float)))
    phones = [name for name, _, _ in clips[0].phones]
    return phones, *(np.mean(values, axis=0) for values in (durations, log_f0, voicing))


def plan(word: str, speaker: str, pace: float = 1.0, pitch: float = 1.0) -> tuple[list, np.ndarray]:
    """How a speaker says a word, on average: -> phones with times in seconds, F0 a frame (N,) in Hz.

    A phone's duration, F0 and voicing are their means over the corpus in that word at that place.
    `pace` 2 is twice as fast; `pitch` 1.2 is 20 % higher.

    >>> phones, f0 = plan("seven", "slt")
    >>> [name for name, _, _ in phones]
    ['pau', 's', 'eh', 'v', 'ax', 'n', 'pau']
    """
    for name, value in (("pace", pace), ("pitch", pitch)):
        if not 0.5 <= value <= 2:
            raise ValueError(f"{name} is a factor from 0.5 to 2, not {value}")
    names, durations, log_f0, voicing = mean_word(speaker, word)
    ends = np.cumsum(durations / pace)
    starts = np.concatenate([[0.0], ends[:-1]])
    places = starts[:, None] + (ends - starts)[:, None] * np.linspace(0.1, 0.9, 5)
    centre = (np.arange(round(ends[-1] / 0.01)) + 0.5) * 0.01
    f0 = pitch * np.exp(np.interp(centre, places.ravel(), log_f0.ravel()))
    f0[np.interp(centre, places.ravel(), voicing.ravel()) < 0.5] = 0
    return list(zip(names, starts.tolist(), ends.tolist(), strict=True)), f0


class Upsampler(nn.Module):
    """Frame features, the speaker and the phase -> conditioning at every sample.

    Two convolutions over frames, then linear interpolation to samples; the phase features, which
    have the rate of samples already, are appended.

    Args:
        channels: of the output; `phase_features` of them are the phase. speakers: number of voices.
        hidden: channels between the two convolutions. features: rows of the frame features.
        hop: samples in a frame. phase_features: rows of the phase features.
    """

    def __init__(
        self,
        channels: int,
        speakers: int,
        hidden: int = 48,
        features: int = FRAME_FEATURES,
        hop: int = HOP,
        phase_features: int = PHASE_FEATURES,
    ) -> None:
        super().__init__()
        if channels <= phase_features:
            raise ValueError(f"Upsampler needs channels > {phase_features}, not {channels}")
        self.channels, self.hop = channels, hop
        self.input_projection = nn.Conv1d(features, hidden, 3, padding=1)
        self.speaker_embedding = nn.Embedding(speakers, hidden)
        self.output_projection = nn.Conv1d(hidden, channels - phase_features, 3, padding=1)

    def forward(self, frames: Tensor, speaker: Tensor, phase: Tensor) -> Tensor:
        """frames (B, F, N), speaker (B,), phase (B, P, N · hop) -> (B, C, N · hop)."""
        voice = self.speaker_embedding(speaker).unsqueeze(-1)
        h = torch.tanh(self.input_projection(frames) + voice)  # (B, H, N)
        h = torch.tanh(self.output_projection(h))  # (B, C - P, N)
        h = F.interpolate(h.float(), scale_factor=self.hop, mode="linear")
        return torch.cat([h, phase], dim=1)
