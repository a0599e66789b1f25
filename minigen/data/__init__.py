"""Recordings, pictures and series: embedded in the package, or fetched on request."""

from .spoken_digits import DIGIT_WORDS, SPEAKERS, example, spoken_digits
from .utterance import Utterance

__all__ = ["DIGIT_WORDS", "SPEAKERS", "Utterance", "example", "spoken_digits"]
