"""Voice conversion by discrete codes: her words, his voice.

    waveform -> MFCC without the clip's own mean -> strided encoder -> codes, 50 a second
    codes, F0, speaker -> conditioning -> WaveNet -> waveform

The encoder sees neither F0 nor the mean level and spectrum of a clip, which say much about the speaker. The
decoder is conditioned on the speaker, so the codes need not hold it. Decoded with another speaker, the same codes are the same words in another voice. F0 is no part
of the codes: the decoder is conditioned on it, and for another speaker its logarithm is shifted and scaled
to that speaker's mean and deviation.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .. import weights
from ..code_prior import CodePrior
from ..data.spoken_digits import DIGIT_WORDS
from .conversion_features import RATE, extract
from .conversion_model import SpeechVQVAE
from .synthesis import check_seed, check_temperature
from .voice import fill


class Converted(NamedTuple):
    """`audio` (T,) float32 at `rate` Hz, the `codes` (n,) and the F0 (2n,) that it was made from."""

    audio: np.ndarray
    rate: int
    codes: Tensor
    f0: np.ndarray


@weights.takes_networks
def convert(
    x: ArrayLike,
    to: str,
    model: SpeechVQVAE | None = None,
    f0: np.ndarray | None = None,
    keep_pitch: bool = False,
    seed: int = 0,
    temperature: float = 1.0,
) -> Converted:
    """The words of x in another voice; whose voice x is need not be known.

    Args:
        x: (T,) at 8,000 Hz. to: a speaker of the model's.
        model: by default the shipped one of `spoken_digits`. f0: of x each 10 ms, by default tracked.
        keep_pitch: leave F0 as it is. Otherwise its logarithm gets the target's mean and deviation.
        seed, temperature: of the noise.

    >>> from minigen import data
    >>> made = convert(data.example().audio, "rms")
    >>> made.rate, len(made.audio) == len(data.example().audio)
    (8000, True)
    """
    check_temperature(temperature)
    check_seed(seed)
    model = load()[0] if model is None else model
    features = extract(x, f0, with_phase=False)
    codes = model.codes_of(features)
    pitch = features.f0 if keep_pitch else model.pitched(features.f0, to)
    audio = model.decode(codes, pitch, to, seed, temperature)
    return Converted(audio[: len(np.asarray(x))], RATE, codes, pitch)


def sample_word(speaker: str, word: str | None = None, seed: int = 0) -> Converted:
    """A new utterance that nobody recorded: codes drawn from the prior, F0 guessed from them, then sound.

    Args:
        speaker: who says it. word: which digit, "seven"; None leaves that to chance, too.
        seed: of the codes and of the sound.
    """
    check_seed(seed)
    model, prior = load()[0], load_prior()[0]
    if word is not None and word not in DIGIT_WORDS:
        raise ValueError(f"no word {word!r}: choose one of {', '.join(DIGIT_WORDS)}")
    condition = None if word is None else DIGIT_WORDS.index(word)
    generator = torch.Generator().manual_seed(seed)
    codes = torch.zeros(0)
    while len(codes) < 5:  # an end at once is possible: nothing would be said
        (codes,) = prior.sample(1, condition, max_length=100, generator=generator)
    f0 = model.predict_f0(codes, speaker)
    return Converted(model.decode(codes, f0, speaker, seed), RATE, codes, f0)


def weights_of(path: Path | str) -> tuple[dict[str, Tensor], dict]:
    """What `training/vq_speech.py` exported: weights, without the adversary's, and notes."""
    tensors, notes = weights.load(path)
    if "speakers" not in (notes.get("recipe") or {}):
        raise ValueError(f"{path} is no model of conversion: `training/vq_speech.py` writes them")
    return tensors, notes


def load(name: str | Path = "spoken_digits") -> tuple[SpeechVQVAE, dict]:
    """A trained model, and its card (data, command, minutes, results).

    Args:
        name: "spoken_digits" or "fsdd", which ship; or the path of a file of weights (*.safetensors), whose
            card is the file of that name that ends in .json, or empty without one.

    The same object comes back until the file changes.

    >>> model, card = load()
    >>> model.speakers, model.quantizer.codebook_size
    (('slt', 'rms', 'awb'), 128)
    """
    path = Path(name)
    if path.suffix != ".safetensors":
        if name not in ("spoken_digits", "fsdd"):
            raise ValueError(f"no model {name!r:.80}: spoken_digits, fsdd or a file *.safetensors")
        path = weights.path(f"vq_{name}")
    return _load(path)


@weights.until_changed
def _load(path: Path) -> tuple[SpeechVQVAE, dict]:
    tensors, notes = weights_of(path)
    model = SpeechVQVAE.build(notes["recipe"])
    model.adversary = None  # it had its part in training only
    fill(model, tensors, path)
    card = weights.card(path) if path.with_suffix(".json").is_file() else {}
    return model.eval().requires_grad_(False), card


@cache
def load_prior() -> tuple[CodePrior, dict]:
    """The prior over the codes of `load()`, conditioned on the digit, and its card.

    >>> prior, card = load_prior()
    >>> prior.codebook_size, prior.conditions
    (128, 10)
    """
    tensors, card = weights.load("vq_prior")
    return weights.frozen(CodePrior(**card["model"]), tensors), card
