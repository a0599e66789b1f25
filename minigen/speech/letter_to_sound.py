"""Letters to sounds: a guess at the phones of a word that no dictionary has, by rules in context."""

import re

from ..data.text import english
from .phones import VOWELS

_LETTERS = english()["letters"]


def _compile(rule: str) -> tuple[re.Pattern, str, re.Pattern, list[str]]:
    """ "left letters right > phones", as english.toml explains."""
    context, phones = rule.split(">")
    left, letters, right = context.split()
    classes = lambda c: c.replace("C", "[^aeiou]").replace("V", "[aeiouy]")
    before = "" if left == "." else "^$" if left == "^" else f"(?:{classes(left)})$"
    after = "" if right == "." else classes(right)
    return re.compile(before), letters, re.compile(after), phones.split()


_WRITTEN = re.split(r"[;\n]", english()["letter_to_sound"]["rules"])
_RULES = [_compile(rule) for rule in _WRITTEN if rule.strip()]


def spell(word: str) -> list[str]:
    """The names of a word's letters.

    >>> spell("TV")
    ['t', 'iy', 'v', 'iy']
    """
    return [phone for letter in word.lower() for phone in _LETTERS.get(letter, "").split()]


def letters_to_sounds(word: str) -> list[str]:
    """Phones of a word that no dictionary has; a word without a vowel is spelled.

    English spelling allows no better than a guess: about three phones in four are right.

    >>> letters_to_sounds("blick"), letters_to_sounds("flane")
    (['b', 'l', 'ih', 'k'], ['f', 'l', 'ey', 'n'])
    """
    word = word.lower().replace("'", "")
    if not re.fullmatch("[a-z]+", word):
        raise ValueError(f"{word!r} is not a word of the letters a-z")
    out: list[str] = []
    place = 0
    while place < len(word):
        letters, phones = next(
            (letters, phones)
            for before, letters, after, phones in _RULES
            if word.startswith(letters, place)
            and before.search(word, max(0, place - 2), place)
            and after.match(word, place + len(letters))
        )
        out += phones
        place += len(letters)
    return out if VOWELS & set(out) else spell(word)
