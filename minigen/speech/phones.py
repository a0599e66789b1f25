"""The inventory of phones: those of the CMU dictionary in lower case, without stress, and silence.

Unstressed `AH0` is a phone of its own, `ax`. (`minigen.conditioning.PHONES` is the part of these that
the ten digits need.)
"""

from collections.abc import Container

SILENCE = "pau"
_MANNERS = {
    "stop": "p t k ch",
    "voiced stop": "b d g jh",
    "fricative": "f s sh th hh",
    "voiced fricative": "v z zh dh",
    "nasal": "m n ng",
    "liquid": "l r w y",
    "vowel": "aa ae ah ao aw ax ay eh er ey ih iy ow oy uh uw",
    SILENCE: SILENCE,
}
MANNER = {phone: manner for manner, phones in _MANNERS.items() for phone in phones.split()}
VOWELS = frozenset(_MANNERS["vowel"].split())
PHONES = (SILENCE, *sorted(set(MANNER) - {SILENCE}))
_NEAR = {"zh": ("sh", "jh"), "oy": ("ao",), "uh": ("uw", "ax"), "th": ("f",), "dh": ("d",)}


def from_arpabet(symbols: str) -> tuple[str, ...]:
    """Symbols as a pronouncing dictionary writes them, with or without stress -> phones.

    >>> from_arpabet("S EH1 V AH0 N")
    ('s', 'eh', 'v', 'ax', 'n')
    """
    lower = symbols.lower().split()
    return tuple("ax" if symbol == "ah0" else symbol.rstrip("012") for symbol in lower)


def is_vowel(phone: str) -> bool:
    """Whether a phone is a vowel; of another language's, by its first letter.

    >>> is_vowel("ay"), is_vowel("y"), is_vowel("aa1"), is_vowel("rr"), is_vowel("ы")
    (True, False, True, False, True)
    """
    return phone in VOWELS or (phone not in MANNER and phone[:1].lower() in "aeiouyаеёиоуыэюя")


def nearest(phone: str, inventory: Container[str]) -> str:
    """The phone itself, or the one of the inventory that sounds most like it.

    >>> nearest("zh", ("s", "sh")), nearest("s", ("s", "sh"))
    ('sh', 's')
    """
    found = next((p for p in (phone, *_NEAR.get(phone, ())) if p in inventory), None)
    if found is None:
        raise ValueError(f"this voice has no phone {phone!r}, nor one that is close to it")
    return found
