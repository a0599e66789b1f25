"""Recordings, pictures and series: embedded in the package, or fetched on request.

Embedded: `spoken_digits`, `example`, `digits`, `airline`, `nile`, `sunspots`, `book_text`. Fetched,
or read from `$MINIGEN_DATA` or a Debian package: `allison`, `fsdd`, `ljspeech`, `vctk`,
`cmu_arctic`, `festvox_ru`, `mnist`. Your own: `folder`. Measured: `recorded_dependence`.
"""

from .folder import folder
from .images import Digits, Mnist, digits, mnist
from .labels import load_phones, save_phones, with_phones
from .recorded import Dependence, measure_dependence, recorded_dependence
from .series import Series, airline, nile, sunspots
from .speech import allison, cmu_arctic, festvox_ru, fsdd, ljspeech, vctk
from .spoken_digits import DIGIT_WORDS, SPEAKERS, example, spoken_digits
from .text import book_text
from .utterance import Utterance
