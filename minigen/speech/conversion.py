"""Voice conversion by discrete codes: her words, his voice.

    waveform -> MFCC without the clip's own mean -> strided encoder -> codes, 50 a second
    codes, F0, speaker -> conditioning -> WaveNet -> waveform

The encoder sees neither level, nor pitch, nor the mean spectrum, which says much about the speaker. The
decoder is told who speaks, so the codes need not say it; with few codes there is no room to say it
anyway. Decoded with another speaker, the same codes are the same words in another voice. F0 is no part
of the codes: the decoder is given it, and for another speaker its logarithm is moved and stretched to
that speaker's mean and deviation.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from scipy.fft import dct
from torch import Tensor, nn

from .. import conditioning, weights
from ..audio import FLOOR, mel_filterbank, stft
from ..audio.pitch import f0 as track_pitch
from ..code_prior import CodePrior
from ..conditioning import HOP, PHASE_FEATURES, pitch_rows
from ..data.spoken_digits import DIGIT_WORDS
from ..distributions import GaussianHead
from ..generate.cached import generate
from ..vq import VQVAE, Quantized, VectorQuantizer
from ..wavenet import WaveNet

__all__ = [
    "RATE",
    "Converted",
    "Features",
    "SpeechVQVAE",
    "convert",
    "convert_f0",
    "hear",
    "hear_stretched",
    "load",
    "load_prior",
    "log_f0_moments",
    "stretch_frequencies",
    "utter",
    "weights_of",
]

RATE = 8_000  # Hz
FRAMES_A_CODE = 2  # frames of 10 ms: 50 codes a second
HEARD = 13  # MFCC that the encoder sees
SPECTRUM = 25  # mel-cepstral coefficients that the frame decoder predicts
FFT, MELS = 256, 32
KNEE = 3_000  # Hz up to which `stretch_frequencies` multiplies
RANGE = 50 / (20 / math.log(10))  # nepers below the loudest band that count as silence: 50 dB


# ---------------------------------------------------------------- what is seen of a waveform


class Features(NamedTuple):
    """A waveform as the model sees it, N frames of 10 ms (N even), frame n centred on (n + ½) · 10 ms.

    `audio` (160 · N/2,), `heard` (13, N) for the encoder, `spectrum` (25, N) for the frame decoder,
    `f0` (N,) in Hz, 0 where unvoiced, `phase` (6, 80 N).
    """

    audio: np.ndarray
    heard: np.ndarray
    spectrum: np.ndarray
    f0: np.ndarray
    phase: np.ndarray


def _cepstrum(x: np.ndarray, stretch: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """x (T,) -> mel-cepstra (32, N + 1), whether each frame is loud (N + 1,)."""
    magnitude = np.abs(stft(x[HOP // 2 :], FFT, HOP))  # frames centred on (n + ½) · HOP
    mel = mel_filterbank(RATE, FFT, MELS) @ stretch_frequencies(magnitude, stretch)
    mel = np.log(np.maximum(mel, FLOOR))
    mel = np.maximum(mel, mel.max() - RANGE)
    level = mel.max(axis=0)
    return dct(mel, type=2, axis=0, norm="ortho"), level > mel.max() - 0.7 * RANGE


def stretch_frequencies(magnitude: np.ndarray, stretch: float) -> np.ndarray:
    """Spectra whose every peak at f Hz lies at stretch · f: as from a vocal tract 1/stretch as long.

    Up to a knee the frequency is multiplied; from there a straight line leads to half the sampling rate,
    which stays where it is. No peak below 3,000 Hz, before or after, is above the knee. Between the
    frequencies of the transform, magnitudes are read off straight lines.

    Args:
        magnitude: (F, N), of frequencies from 0 to half of 8,000 Hz. stretch: positive; 1 changes nothing.

    References:
        Jaitly and Hinton, Vocal Tract Length Perturbation (VTLP) Improves Speech Recognition, 2013.
    """
    if stretch == 1:
        return magnitude
    if not 0.5 <= stretch <= 2:
        raise ValueError(f"vocal tracts differ by less than a factor of 2, not {stretch=}")
    knee = KNEE * min(1, 1 / stretch)  # Hz, before the stretch
    hz = np.linspace(0, RATE / 2, len(magnitude))
    where = np.interp(hz, [0, stretch * knee, RATE / 2], [0, knee, RATE / 2]) / hz[1]
    low = np.minimum(where.astype(int), len(hz) - 2)
    part = (where - low)[:, None]
    return (1 - part) * magnitude[low] + part * magnitude[low + 1]


def _without_mean(cepstrum: np.ndarray, loud: np.ndarray) -> np.ndarray:
    """(32, N), (N,) -> what the encoder hears, (13, N) float32."""
    heard = cepstrum[:HEARD] - cepstrum[:HEARD, loud].mean(axis=1, keepdims=True)
    return heard.astype(np.float32)


def hear_stretched(features: Features, stretch: float) -> np.ndarray:
    """`heard` (13, N) as it would be from a speaker with a vocal tract 1/stretch as long.

    >>> from minigen import data
    >>> features = hear(data.example().audio)
    >>> bool((hear_stretched(features, 1.0) == features.heard).all())
    True
    """
    cepstrum, loud = _cepstrum(features.audio, stretch)
    frames = features.heard.shape[1]
    return _without_mean(cepstrum[:, :frames], loud[:frames])


def hear(x: ArrayLike, f0: np.ndarray | None = None) -> Features:
    """A waveform at 8,000 Hz -> `Features`. F0 (N,) each 10 ms is tracked by YIN unless it is given.

    The mel spectrum is cut off 50 dB below its loudest band, so that silence of any noise level looks
    alike. `heard` is the cepstrum without the mean over the clip's loud frames.
    """
    x = np.asarray(x)
    if x.ndim != 1 or not np.issubdtype(x.dtype, np.floating) or not np.isfinite(x).all():
        raise ValueError(
            f"a waveform is (T,) finite floats at {RATE} Hz, not {x.dtype} {x.shape}: "
            "audio.load reads one, with rate=8000"
        )
    frames = FRAMES_A_CODE * -(-len(x) // (FRAMES_A_CODE * HOP))  # whole codes
    if len(x) < 5 * HOP or np.abs(x).max() < 1e-4:
        raise ValueError(
            f"{len(x) / RATE:.2f} s with a peak of {np.abs(x).max(initial=0):.5f}: there is no speech in it"
        )
    if f0 is None:
        f0 = track_pitch(x, RATE)
    audio = np.zeros(frames * HOP, dtype=np.float32)
    audio[: len(x)] = x
    f0 = np.pad(np.asarray(f0, dtype=float)[:frames], (0, max(0, frames - len(f0))))
    cepstrum, loud = _cepstrum(audio)
    cepstrum, loud = cepstrum[:, :frames], loud[:frames]
    phi = conditioning.phase(f0, RATE, audio)
    return Features(
        audio,
        _without_mean(cepstrum, loud),
        cepstrum[:SPECTRUM].astype(np.float32),
        f0,
        conditioning.phase_features(phi, f0),
    )


def log_f0_moments(f0: ArrayLike) -> tuple[float, float] | None:
    """Mean and standard deviation of log F0 where voiced; None where nothing is."""
    f0 = np.asarray(f0)
    logs = np.log(f0[f0 > 0])
    return (float(logs.mean()), float(logs.std())) if len(logs) else None


def convert_f0(f0: ArrayLike, mean: float, deviation: float) -> np.ndarray:
    """Move and stretch log F0 to a mean and a deviation; unvoiced stays unvoiced.

        log f' = mean + deviation · (log f - mean of log f) / deviation of log f

    The stretch is kept between ½ and 2: a word of a few voiced frames has no reliable deviation.

    >>> convert_f0([100.0, 0.0, 121.0], np.log(220), 0.0953102).round(1)
    array([200.,   0., 242.])
    """
    f0 = np.asarray(f0, dtype=float)
    own = log_f0_moments(f0)
    if own is None:
        return f0.copy()
    stretch = np.clip(deviation / max(own[1], 1e-3), 0.5, 2.0)
    logs = mean + stretch * (np.log(np.where(f0 > 0, f0, 1.0)) - own[0])
    return np.where(f0 > 0, np.exp(logs), 0.0)


# ---------------------------------------------------------------- the model


class _Encoder(nn.Sequential):
    """(B, 13, N) -> (B, D, N / 2); code n sees the frames 2n - 4 … 2n + 5, 100 ms."""

    def __init__(self, hidden: int, dim: int) -> None:
        super().__init__(
            nn.Conv1d(HEARD, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(hidden, hidden, 4, stride=FRAMES_A_CODE, padding=1),
            nn.ReLU(),
            nn.Conv1d(hidden, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(hidden, dim, 1),
        )


class _Conditioner(nn.Module):
    """Code vectors (B, D, N/2), pitch (B, 2, N), speaker (B,) -> hidden (B, H, N), conditioning (B, C, N)."""

    def __init__(self, dim: int, channels: int, speakers: int, hidden: int) -> None:
        super().__init__()
        self.input_projection = nn.Conv1d(dim + 2, hidden, 5, padding=2)
        self.speaker_embedding = nn.Embedding(speakers, hidden)
        self.middle = nn.Conv1d(hidden, hidden, 3, padding=1)
        self.output_projection = nn.Conv1d(hidden, channels, 3, padding=1)
        self.spectrum = nn.Conv1d(hidden, SPECTRUM, 1)

    def forward(self, z: Tensor, pitch: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        frames = z.repeat_interleave(FRAMES_A_CODE, dim=2)  # (B, D, N)
        voice = self.speaker_embedding(speaker).unsqueeze(-1)
        h = torch.tanh(self.input_projection(torch.cat([frames, pitch], dim=1)) + voice)
        h = torch.tanh(self.middle(h) + voice)
        return self.spectrum(h), torch.tanh(self.output_projection(h))


class _Critic(nn.Module):
    """Guesses the speaker from code vectors: (B, D, n) -> logits (B, S, n). See `ConversionLoss`."""

    def __init__(self, dim: int, speakers: int, layers: int) -> None:
        super().__init__()
        net: list[nn.Module] = []
        for index in range(layers):
            kernel = 5 if index == layers - 1 else 9
            net += [nn.Conv1d(64 if index else dim, 64, kernel, padding=kernel // 2), nn.ReLU()]
        self.net = nn.Sequential(*net, nn.Conv1d(64, speakers, 1))

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)


class SpeechVQVAE(VQVAE):
    """Encoder, quantiser, conditioner, WaveNet: a waveform as 50 codes a second and back.

        codes = quantise(encoder(MFCC))
        conditioning = upsample(conditioner(codes, voicing and F0, speaker)), phase of F0
        x ~ WaveNet(x | conditioning)

    Beside the conditioning, the conditioner predicts the mel-cepstrum of each frame, from which the
    encoder learns within a minute what would take the WaveNet's loss hours. `melody` guesses voicing and
    the shape of F0 from the codes, for utterances that are drawn from `CodePrior` and have no F0.

    Args:
        speakers: their names. wavenet: with cond_channels > 6.
        codebook_size: K. embedding_dim: D, numbers of a code vector.
        encoder, hidden: channels of the encoder and of the conditioner.
        decay: of the codebook's moving averages.
        critic: hidden layers of the network that guesses the speaker in training.

    References:
        van den Oord, Vinyals and Kavukcuoglu, Neural Discrete Representation Learning, 2017
        (arXiv:1711.00937), section 4.3; Chorowski et al., Unsupervised Speech Representation Learning
        Using WaveNet Autoencoders, 2019 (arXiv:1901.08810).
    """

    def __init__(
        self,
        speakers: Sequence[str],
        wavenet: WaveNet,
        codebook_size: int = 128,
        embedding_dim: int = 16,
        encoder: int = 64,
        hidden: int = 64,
        decay: float = 0.99,
        critic: int = 2,
    ) -> None:
        quantizer = VectorQuantizer(codebook_size, embedding_dim, decay=decay)
        super().__init__(_Encoder(encoder, embedding_dim), quantizer, None)  # it decodes itself
        self.speakers, self.frozen = tuple(speakers), False
        channels = wavenet.cond_channels - PHASE_FEATURES
        self.conditioner = _Conditioner(embedding_dim, channels, len(self.speakers), hidden)
        self.melody = nn.Sequential(
            nn.Conv1d(embedding_dim, 32, 5, padding=2),
            nn.Tanh(),
            nn.Conv1d(32, 32, 5, padding=2),
            nn.Tanh(),
            nn.Conv1d(32, 2 * FRAMES_A_CODE, 1),
        )
        self.critic = _Critic(embedding_dim, len(self.speakers), critic)
        self.wavenet = wavenet
        self.register_buffer("heard_scale", torch.ones(HEARD, 1))
        self.register_buffer("spectrum_mean", torch.zeros(SPECTRUM, 1))
        self.register_buffer("spectrum_scale", torch.ones(SPECTRUM, 1))
        self.register_buffer("log_f0", torch.zeros(len(self.speakers), 2))  # mean, deviation

    @classmethod
    def build(cls, recipe: dict) -> SpeechVQVAE:
        """Untrained, from a recipe's tables `model` and `wavenet` and its `speakers`."""
        net = dict(recipe["wavenet"])
        head = GaussianHead(net.pop("min_log_scale"))
        return cls(recipe["speakers"], WaveNet(head, **net), **recipe["model"])

    @torch.no_grad()
    def standardise(self, features: Sequence[Features], speakers: Sequence[int]) -> SpeechVQVAE:
        """Take the scales of what is seen, and each speaker's pitch, from training clips."""
        heard = np.concatenate([f.heard for f in features], axis=1)
        spectrum = np.concatenate([f.spectrum for f in features], axis=1)
        scale = spectrum.std(axis=1)
        scale[1:] = np.sqrt(np.mean(scale[1:] ** 2))  # one for the shape, one for the level
        self.heard_scale.copy_(torch.from_numpy(heard.std(axis=1, keepdims=True)))
        self.spectrum_mean.copy_(torch.from_numpy(spectrum.mean(axis=1, keepdims=True)))
        self.spectrum_scale.copy_(torch.from_numpy(scale[:, None]))
        for index in range(len(self.speakers)):
            own = [f.f0 for f, who in zip(features, speakers, strict=True) if who == index]
            moments = [m for m in map(log_f0_moments, own) if m is not None]
            self.log_f0[index] = torch.tensor(np.mean(moments, axis=0))
        return self

    def _latents(self, heard: Tensor) -> Tensor:
        if heard.ndim != 3 or heard.shape[1] != HEARD or heard.shape[2] % FRAMES_A_CODE:
            raise ValueError(
                f"heard has shape (B, {HEARD}, N) with N even, not {tuple(heard.shape)}: `hear` makes it"
            )
        with torch.autocast(heard.device.type, enabled=False):
            return self.encoder(heard / self.heard_scale)

    def quantize(self, heard: Tensor) -> Quantized:
        """heard (B, 13, N) -> codes (B, N/2), their vectors (B, D, N/2), losses. In full precision."""
        self.quantizer.train(self.training and not self.frozen)
        return self.quantizer(self._latents(heard))

    @torch.no_grad()
    def encode(self, heard: Tensor) -> Tensor:
        """heard (B, 13, N) -> codes (B, N/2)."""
        return self.quantizer.nearest(self._latents(heard))

    def codes_of(self, x: ArrayLike | Features) -> Tensor:
        """The codes of a waveform at 8,000 Hz, or of its `Features`: (n,), 50 a second.

        >>> from minigen import data
        >>> model, _ = load()
        >>> codes = model.codes_of(data.example().audio)
        >>> codes.shape, codes.dtype
        (torch.Size([28]), torch.int64)
        """
        features = x if isinstance(x, Features) else hear(x)
        return self.encode(torch.from_numpy(features.heard)[None])[0]

    def index(self, speaker: str) -> int:
        """The number of a speaker, or an error that lists them."""
        if speaker not in self.speakers:
            raise ValueError(f"no speaker {speaker!r}: choose one of {', '.join(self.speakers)}")
        return self.speakers.index(speaker)

    def pitched(self, f0: np.ndarray, speaker: str) -> np.ndarray:
        """F0 (N,) in Hz with the mean and the deviation of a speaker, by `convert_f0`."""
        return convert_f0(f0, *self.log_f0[self.index(speaker)].tolist())

    @torch.no_grad()
    def hear_codes(self, codes: Tensor, f0: np.ndarray, speaker: str) -> Tensor:
        """Codes (n,), F0 in Hz for each of 2n frames, a speaker -> what the WaveNet hears, (1, C, 160 n)."""
        f0 = np.asarray(f0, dtype=float)
        if codes.ndim != 1 or f0.shape != (FRAMES_A_CODE * len(codes),):
            raise ValueError(
                f"{FRAMES_A_CODE} values of F0 go with each code, shapes (2n,) and (n,), not "
                f"{f0.shape} and {tuple(codes.shape)}"
            )
        pitch = torch.from_numpy(pitch_rows(f0))[None]
        phi = conditioning.phase(f0, RATE)
        phase = torch.from_numpy(conditioning.phase_features(phi, f0))[None]
        z = self.quantizer.embed(codes[None])
        return self.conditioning(z, pitch, torch.tensor([self.index(speaker)]), phase)

    def decode(
        self,
        codes: Tensor,
        f0: np.ndarray,
        speaker: str,
        seed: int = 0,
        temperature: float = 1.0,
        backend: str = "numba",
    ) -> np.ndarray:
        """Codes (n,), F0 in Hz for each of 2n frames, a speaker's name -> a waveform (160 n,) float32.

        Args:
            seed, temperature, backend: of `generate.generate`.
        """
        cond = self.hear_codes(codes, f0, speaker)
        generator = torch.Generator().manual_seed(seed)
        x = generate(
            self.wavenet, cond, backend=backend, generator=generator, temperature=temperature
        )
        return x[0, 0].clamp(-1, 1).numpy()

    @torch.no_grad()
    def melody_of(self, codes: Tensor, speaker: str) -> np.ndarray:
        """A guess at F0 (2n,) in Hz from codes (n,), at a speaker's pitch: 0 where unvoiced."""
        out = self.melody(self.quantizer.embed(codes[None]))[0].unflatten(0, (2, FRAMES_A_CODE))
        voiced, shape = out.transpose(1, 2).flatten(1).numpy()  # (2n,) each
        mean, deviation = self.log_f0[self.index(speaker)].tolist()
        return np.where(voiced > 0, np.exp(mean + deviation * np.clip(shape, -2.5, 2.5)), 0.0)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, Quantized]:
        """A batch of `conversion_training.SpeechBatches` -> the WaveNet's params (B, 2, T), codes."""
        quantized = self.quantize(batch["heard"])
        cond = self.conditioning(quantized.z, batch["pitch"], batch["speaker"], batch["phase"])
        return self.wavenet(batch["audio"], cond), quantized

    def frames(self, z: Tensor, pitch: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """Code vectors (B, D, N/2), pitch rows (B, 2, N), speaker (B,) -> mel-cepstra (B, 25, N),
        conditioning (B, C - 6, N)."""
        spectrum, frames = self.conditioner(z, pitch, speaker)
        return spectrum * self.spectrum_scale + self.spectrum_mean, frames

    def conditioning(self, z: Tensor, pitch: Tensor, speaker: Tensor, phase: Tensor) -> Tensor:
        """The same and phase (B, 6, 80 N) -> what the WaveNet hears, (B, C, 80 N)."""
        return upsample(self.frames(z, pitch, speaker)[1], phase)


def upsample(frames: Tensor, phase: Tensor) -> Tensor:
    """Frames (B, C, N) by straight lines to samples, and phase (B, 6, 80 N) below: (B, C + 6, 80 N)."""
    up = F.interpolate(frames.float(), scale_factor=HOP, mode="linear")
    return torch.cat([up, phase], dim=1)


# ---------------------------------------------------------------- what it is for


class Converted(NamedTuple):
    """`audio` (T,) float32 at `rate` Hz, the `codes` (n,) and the F0 (2n,) that it was made from."""

    audio: np.ndarray
    rate: int
    codes: Tensor
    f0: np.ndarray


def convert(
    x: ArrayLike,
    to: str,
    model: SpeechVQVAE | None = None,
    f0: np.ndarray | None = None,
    keep_pitch: bool = False,
    seed: int = 0,
    temperature: float = 1.0,
    backend: str = "numba",
) -> Converted:
    """The words of x in another voice; whose voice x is need not be known.

    Args:
        x: (T,) at 8,000 Hz. to: a speaker of the model's.
        model: by default the shipped one of `spoken_digits`.
        f0: of x each 10 ms, by default tracked.
        keep_pitch: leave F0 as it is. Otherwise its logarithm gets the target's mean and deviation.
        seed, temperature, backend: of `generate.generate`.

    >>> from minigen import data
    >>> made = convert(data.example().audio, "rms")
    >>> made.rate, len(made.audio) == len(data.example().audio)
    (8000, True)
    """
    model = load()[0] if model is None else model
    features = hear(x, f0)
    codes = model.codes_of(features)
    pitch = features.f0 if keep_pitch else model.pitched(features.f0, to)
    audio = model.decode(codes, pitch, to, seed, temperature, backend)
    return Converted(audio[: len(np.asarray(x))], RATE, codes, pitch)


def utter(
    speaker: str,
    word: str | None = None,
    seed: int = 0,
    model: SpeechVQVAE | None = None,
    prior: CodePrior | None = None,
    temperature: float = 1.0,
    code_temperature: float = 1.0,
    backend: str = "numba",
) -> Converted:
    """A new utterance that nobody recorded: codes drawn from the prior, F0 guessed from them, then sound.

    Args:
        speaker: who says it. word: which digit, "seven"; None leaves that to chance, too.
        seed: of the codes and of the sound.
        temperature, code_temperature: of the sound and of the codes.
    """
    model = load()[0] if model is None else model
    prior = load_prior()[0] if prior is None else prior
    if word is not None and word not in DIGIT_WORDS:
        raise ValueError(f"no word {word!r}: choose one of {', '.join(DIGIT_WORDS)}")
    condition = None if word is None else DIGIT_WORDS.index(word)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(20):  # an end at once is possible: nothing would be said
        (codes,) = prior.sample(
            1, condition, max_length=100, temperature=code_temperature, generator=generator
        )
        if len(codes) >= 5:
            break
    else:
        raise ValueError("the prior drew 20 utterances of less than 100 ms: it is not trained")
    f0 = model.melody_of(codes, speaker)
    return Converted(model.decode(codes, f0, speaker, seed, temperature, backend), RATE, codes, f0)


def weights_of(path: Path | str) -> tuple[dict[str, Tensor], dict]:
    """What `conversion_training.export` wrote: weights in full precision, without the critic's, and notes."""
    tensors, notes = weights.load(path)
    if "speakers" not in notes.get("recipe", {}):
        raise ValueError(f"{path} holds no voices: `training/vq_speech.py train` writes such files")
    return tensors, notes


@cache
def load(name: str = "spoken_digits") -> tuple[SpeechVQVAE, dict]:
    """A trained model, and its card (data, command, minutes, results).

    Args:
        name: "spoken_digits" or "fsdd", which ship; or the path of a file of weights (*.safetensors), whose
            card is the file of that name that ends in .json, or empty without one.

    >>> model, card = load()
    >>> model.speakers, model.quantizer.codebook_size
    (('slt', 'rms', 'awb'), 128)
    """
    path = Path(name)
    if path.suffix != ".safetensors":
        if name not in ("spoken_digits", "fsdd"):
            raise ValueError(
                f"no model {name!r}: choose spoken_digits or fsdd, or give a file *.safetensors"
            )
        path = weights.path(f"vq_{name}")
    tensors, notes = weights_of(path)
    model = SpeechVQVAE.build(notes["recipe"])
    model.critic = None  # it had its part in training only
    model.load_state_dict(tensors)
    card = path.with_suffix(".json")
    found = json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {}
    return model.eval().requires_grad_(False), found


@cache
def load_prior() -> tuple[CodePrior, dict]:
    """The prior over the codes of `load()`, conditioned on the digit, and its card.

    >>> prior, card = load_prior()
    >>> prior.codebook_size, prior.conditions
    (128, 10)
    """
    tensors, card = weights.load("vq_prior")
    prior = CodePrior(**card["model"])
    prior.load_state_dict(tensors)
    return prior.eval().requires_grad_(False), card
