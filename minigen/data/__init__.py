"""Recordings, pictures and series: embedded in the package, or fetched on request.

Embedded: `spoken_digits`, `example`, `digits`, `airline`, `nile`, `sunspots`. Fetched, or read from
`$MINIGEN_DATA` or a Debian package: `allison`, `fsdd`, `ljspeech`, `vctk`, `cmu_arctic`,
`festvox_ru`, `mnist`, `tinyshakespeare`.
"""

from .images import Digits, Mnist, digits, mnist
from .series import Series, airline, nile, sunspots
from .speech import allison, cmu_arctic, festvox_ru, fsdd, ljspeech, vctk
from .spoken_digits import DIGIT_WORDS, SPEAKERS, example, spoken_digits
from .text import tinyshakespeare
from .utterance import Utterance

__all__ = [
    "DIGIT_WORDS",
    "SPEAKERS",
    "Digits",
    "Mnist",
    "Series",
    "Utterance",
    "airline",
    "allison",
    "cmu_arctic",
    "digits",
    "example",
    "festvox_ru",
    "fsdd",
    "ljspeech",
    "mnist",
    "nile",
    "spoken_digits",
    "sunspots",
    "tinyshakespeare",
    "vctk",
]
