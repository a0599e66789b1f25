"""Text to sentences to words: numbers, symbols and abbreviations written out as they are read aloud.

    "Dr. Lee paid $5 on 3/14/2024." -> doctor lee paid five dollars on march fourteenth twenty twenty four

Characters are first brought to a small alphabet; what has no reading is refused by name and place. Then rules,
the most specific first, take the text piece by piece, and each returns words: in lower case, in capitals what
is spelled letter by letter, "," for a pause, "." and "¶" for the end of a sentence and of a paragraph.
"""

import re
import unicodedata
import warnings
from collections.abc import Container
from dataclasses import dataclass
from functools import cache

from ..data.text import english
from . import numbers, quantities
from .numbers import Rules, previous_word, rule

PAUSE = ","


@dataclass(frozen=True)
class Sentence:
    """The parts of a sentence: `PAUSE`, or the readings of a few words, the usual one first."""

    parts: tuple[str | tuple[str, ...], ...]
    ends_paragraph: bool

    @property
    def words(self) -> list[str]:
        """The usual reading."""
        return " ".join(part[0] for part in self.parts if part != PAUSE).split()


_ENGLISH = english()
_LISTS = {name: frozenset(words.split()) for name, words in _ENGLISH["lists"].items()}


# ---------------------------------------------------------------- characters

_KNOWN = frozenset(map(chr, range(32, 127))) | frozenset("\t\n\r\v\f£€¥₹₽¢°±×÷–—−≠≤≥≈√∞µΩ‰§©®→·")
_INSTEAD = {
    **dict.fromkeys("\u2010\u2011\u2043\ufe63\uff0d", "-"),
    **dict.fromkeys("\u2012\u2013", "–"),
    **dict.fromkeys("\u2014\u2015\u2e3a\u2e3b\ufe58", "—"),
    **dict.fromkeys("‘’‚‛′ʼ´`", "'"),
    **dict.fromkeys("“”„‟«»‹›″", '"'),
    **dict.fromkeys("\u0085\u2028\u2029•", "\n\n"),
    "\u20e3": "",  # around a digit
    **_ENGLISH["characters"],
}


@cache
def _plain_character(c: str) -> str | None:
    """A character in the alphabet that the rules know; None where it has no reading."""
    if c in _KNOWN or c in _INSTEAD:
        return _INSTEAD.get(c, c)
    category, name = unicodedata.category(c), unicodedata.name(c, "")
    if category == "Cf" or name.startswith("VARIATION SELECTOR"):  # invisible
        return ""
    if category in ("Zs", "Nd"):
        return " " if category == "Zs" else str(unicodedata.decimal(c))
    if name.startswith("ROMAN NUMERAL"):
        return str(int(unicodedata.numeric(c)))
    if re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (FINAL )?\w+", name):
        return f" {name.split()[-1].lower().replace('lamda', 'lambda')} "
    kind, *codes = unicodedata.decomposition(c).split() or [""]
    if not kind.startswith("<"):
        # a letter without its accent; but "not equal" is no "equal"
        kind, codes = "", [kind] if kind and (category[0] == "L" or not codes) else []
    plain = [_plain_character(chr(int(code, 16))) for code in codes]
    if not plain or None in plain:
        return None
    if kind == "<super>" and not plain[0].isalpha():
        return "^" + plain[0]
    return f" {''.join(plain)} " if kind in ("<fraction>", "<circle>") else "".join(plain)


_WRITTEN_OTHERWISE = {
    r"(?<=\^[\d−+-])\^(?=\d)": "",  # 10^−^3
    r"\bRs\.?\s?(?=\d)": "₹",
    r"\b[Nn]°\s?(?=\d)": "No. ",
    r"(?<=\d)\s?·\s?(?=\d)": " × ",
    "·": " ",
    r"(?<![\w.,$£€])(\d[\d,]*(?:\.\d+)?)\s?\$(?!\s?[\w.])": r"$\1",
    r"(?<![\d.,])(\d{1,3})\.(\d{3}),(\d\d?)(?![\d,]|\.\d)": r"\1,\2.\3",  # 1.000,50
    r"(?<![\d.,])(\d{1,3})\.(\d{3})\.(\d{3}),(\d\d?)(?![\d,]|\.\d)": r"\1,\2,\3.\4",
}


def _plain(text: str, skip_unknown: bool, lexicon: Container[str]) -> str:
    """Text in the alphabet of the rules; what has no reading is refused, or left out."""
    out, unknown = [], []
    for match in re.finditer(r"(?:[^\W\d_][\u0300-\u036f]*)+|.[\u0300-\u036f]*", text, re.DOTALL):
        run = unicodedata.normalize("NFC", match[0])
        known = run.isascii() and run.isalpha() or run.lower() in _LISTS["accented"]
        if known or run.lower() in lexicon:
            out.append(run)
            continue
        foreign = sum("GREEK" in unicodedata.name(c, "") and c not in "µμΩ" for c in run) > 1
        for place, c in enumerate(run, match.start()):
            accent = run[0].isalpha() and unicodedata.category(c) == "Mn"
            around = text[max(0, place - 1) :][:6]
            grouped = c in "\u00a0\u2009\u202f" and re.match(r"\d\s\d{3}(?!\d)", around)
            plain = "" if accent else "," if grouped else None if foreign else _plain_character(c)
            if plain is None:
                unknown.append((place, c))
            out.append(" " if plain is None else plain)
    if unknown:
        place, c = unknown[0]
        line = f", in line {text.count(chr(10), 0, place) + 1}" if "\n" in text else ""
        more = f", nor for {len(unknown) - 1} more" if len(unknown) > 1 else ""
        name = f"{c!r} ({unicodedata.name(c, 'unnamed')}, U+{ord(c):04X})"
        what = f"there is no reading for {name}, character {place + 1} of the text{line}{more}"
        if not skip_unknown:
            raise ValueError(
                f"{what}: write it in words, give its word in a lexicon, or leave such characters out "
                "(skip_unknown=True, --skip-unknown)"
            )
        warnings.warn(f"{what}: left out", stacklevel=4)
    plain = "".join(out)
    for pattern, instead in _WRITTEN_OTHERWISE.items():
        plain = re.sub(pattern, instead, plain)
    return plain


# ---------------------------------------------------------------- addresses and abbreviations

_FIRST: Rules = []
_RULES: Rules = []
_SITES = "|".join(_LISTS["domains"] | _LISTS["files"])


@rule(_FIRST, r" |(?<!\^\d\s)(?<!\^\d\d\s)(?!vs |etc )[a-z]{2,}(?= )")
def _plain_word(m: re.Match) -> str:
    """Most of a text, and no other rule's."""
    return m[0]


@rule(
    _FIRST,
    r"(?:\w+://|www\.)[^\s\"'<>]*[\w/]|[\w.+-]*\w@\w[\w-]*(?:\.\w[\w-]*)+|(?<!\w)@\w+",
    rf"|[^\W\d]\w*(?:[.-]\w+)*\.(?:{_SITES})\b(?:[/:?#][^\s\"'<>]*[\w/])?",
    rf"|(?<!\S)[~.]{{0,2}}/\w[\w./-]*\w|(?<!\w)\.(?:{_SITES}|NET)\b",
)
def _address(m: re.Match) -> str:
    """Web, e-mail, file: sign by sign, digits one by one."""
    words = []
    for part in re.findall(r"[^\W\d_µΩ]+|\d|\S", m[0]):
        if part.lower() in ("www", "http", "https", "ftp"):
            words += part.upper()
        else:
            sign = _ENGLISH["address_signs"].get(part) or _ENGLISH["symbols"].get(part)
            words.append(numbers.digits(part) if part.isdigit() else sign or part.lower())
    return re.sub(r"[^\w' ]", "", " ".join(words))


@rule(_FIRST, r"\s+")
def _space(m: re.Match) -> str:
    return "¶" if m[0].count("\n") > 1 else ""


def _next_word(m: re.Match) -> str:
    """The word after a match; "" before other signs, "." where a sentence must end."""
    pattern = r"[\"')\]]*(?:\s*\Z|\s*\n\s*\n|\s*[\"'(\[]*(\d+|[^\W_]*(?!\.)|))"
    found = re.compile(pattern).match(m.string, m.end())
    return "." if found[1] is None else found[1]


def _end(m: re.Match) -> str:
    """What an abbreviation's dot adds: the end of a sentence, as in "Inc. She", or nothing."""
    word = _next_word(m)
    return " ." if word == "." or word.istitle() and word.lower() in _LISTS["starters"] else ""


@rule(
    _RULES,
    r"(?<![\w.])(?:[A-Za-z]\.)+[A-Za-z](?![\w.])|(?<![\w.])(?:[A-Za-z]\.){2,}(?:'s\b)?",
    r"|\b(?:Ph\.?D|[MB]\.?Sc)\b\.?|(?<![\w.'])[A-Z]\.(?=\s*[A-Z]|\s[a-z])",
)
def _initials(m: re.Match) -> str:
    """U.S., a.m., J. S., Ph.D., i.e."""
    written = m[0].removesuffix("'s")
    letters = written.replace(".", "").upper()
    if letters in ("EG", "IE"):
        return "for example" if letters == "EG" else "that is"
    if written != m[0]:
        return " ".join(letters) + "'s"
    return " ".join(letters) + (_end(m) if m[0][-1] == "." else "")


@rule(
    _RULES,
    r"\b([A-Za-z]{1,6})\.(?![A-Za-z]\w)|\b(Mr|Mrs|Ms|Dr|Prof|St|vs|etc)\b(?:(?!['.])|\.(?=[A-Z][a-z]))",
)
def _abbreviation(m: re.Match) -> str | None:
    short, after, end = m[1] or m[2], _next_word(m), _end(m) if m[1] else ""
    lower = short.lower()
    if m[1] and (short in ("Sat", "Wed", "Mar") or m.string.startswith("Sun.,", m.start())):
        return _ENGLISH["before_numbers"][lower] + end
    if short in _ENGLISH["titles"]:
        named = after[:1].isupper() and after.lower() not in _LISTS["starters"]
        before = previous_word(m)
        if short in ("Dr", "St") and re.search(r"\d(?:st|nd|rd|th)$", before):  # 5th St.
            return {"Dr": "drive", "St": "street"}[short] + end
        follows = before[:1].isupper() and before.lower() not in _LISTS["starters"]
        if short in ("Dr", "St") and follows:
            start = m.string[max(0, m.start() - 40) : m.start()]
            address = re.search(r"\b\d+ (?:\w+\.? ){1,3}$", start)
            if before[-1] != "." and (address or not named):
                return {"Dr": "drive", "St": "street"}[short] + end
        return _ENGLISH["titles"][short] + ("" if named else end)
    if lower in _ENGLISH["before_numbers"] and m[1]:
        if after[:1].isdigit() or re.fullmatch("[IVX]+", after):
            return _ENGLISH["before_numbers"][lower]
    elif lower in _ENGLISH["abbreviations"] and (lower != "al" or previous_word(m) == "et"):
        return _ENGLISH["abbreviations"][lower] + end
    return None


@rule(_RULES, r"\b([A-Z][a-z]{2})\s?[-–]\s?([A-Z][a-z]{2})\b")
def _days(m: re.Match) -> str | None:
    """Mon-Fri, Jan-Mar."""
    table = _ENGLISH["abbreviations"] | _ENGLISH["before_numbers"] | {"jun": "june", "jul": "july"}
    first, last = (table.get(name.lower(), "") for name in m.groups())
    range_ = first[-1:] in ("y", "r") and last[-1:] in ("y", "r", "h", "t")
    return f"{first} to {last}" if range_ else None


# ---------------------------------------------------------------- words, symbols, punctuation

_ROMAN = {"I": 1, "V": 5, "X": 10}
_SYMBOLS = "|".join(sorted(map(re.escape, _ENGLISH["symbols"]), key=len, reverse=True))
_SHORT = {"w/": "with", "w/o": "without", "c/o": "care of", "n/a": "N A"}
_SHORT |= {"#": "number", "~": "about", "v.": "versus"}


@rule(
    _RULES,
    r"\b(?:w/o?|c/o)(?=\s)|\bn/a\b|\b[A-Z]{1,2}&[A-Z]\b|\b[A-G]#(?!\w)|#(?=\d)|~(?=\s?[\d$£€.])",
    r"|(?<=[A-Za-z)] )v\.(?=\s[A-Z])|(?<!\w)'n'(?!\w)|#(?=[A-Za-z])|(?<=\b[A-Za-z])'(?=\()|\b[a-z]/[a-z]/[a-z]\b|(?<=\b[a-z\d])/(?=[a-z]\b)",
    r"|(?<=\d)/(?=\d)|(?<=\d)!(?=\s?[=+×*/)])",
)
def _short(m: re.Match) -> str:
    if m[0] in _SHORT and (m[0] != "#" or m.string[m.end()].isdigit()):
        return _SHORT[m[0]]
    others = {"'n'": "and", "#": "hashtag", "'": "prime", "/": "over", "!": "factorial"}
    spelled = " ".join(m[0].upper().replace("/", "")).replace("&", "and").replace("#", "sharp")
    return others.get(m[0]) or spelled


@rule(_RULES, r"(?<!\w)'(?i:em|til|tis|twas|cause|bout)\b|[^\W\d_µΩ]+(?:'[^\W\d_µΩ]+|\(s\))*")
def _word(m: re.Match) -> str:
    word, before = m[0], previous_word(m).lower().rstrip(".")
    if word.endswith("(s)"):
        return f"{word[:-3].lower()} or {word[:-3].lower()}s"
    if re.fullmatch("[IVX]+", word) and (before in _LISTS["kings"] or before in _LISTS["numbered"]):
        values = [_ROMAN[c] for c in word]
        n = sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))
        if before in _LISTS["numbered"]:
            return numbers.cardinal(n)
        if word != "I" or _next_word(m) in (".", ""):
            return f"the {numbers.ordinal(n)}"
    around = m.string[max(0, m.start() - 40) : m.end() + 40]
    if word in _LISTS["shouted"] and not (around.isupper() and len(around.split()) > 2):
        return " ".join(word)
    if word == "A":  # a letter, unless it is an article
        after = m.string[m.end() : m.end() + 2]
        article = re.fullmatch(r"\s[A-Z\"']", after) or not before and after[:1].isspace()
        return "a" if article else "A"
    tail = re.fullmatch(r"([A-Z]?[a-z]{2,})([A-Z]{2,})", word)  # OpenAI
    if tail:
        return f"{tail[1].lower()} {' '.join(tail[2])}"
    spelled = word.isupper() and word != "I" or re.fullmatch("[A-Z]'s|[A-Z]{2,}'?s", word)
    return word if spelled else word.lower()


@rule(_RULES, r"\d+")
def _digits(m: re.Match) -> list[str]:
    return numbers.readings(m[0])


@rule(_RULES, r"(?!!=)[.!?;]+[\"')\]]*")
def _stop(m: re.Match) -> str:
    """The end of a sentence; not dots before a word in lower case, nor the dot of H.323 and name.part."""
    around = m.string[max(0, m.start() - 2) : m.end() + 1]
    if re.search(r"\b[A-Za-z]\.\d$", around):
        return ""
    if re.search(r"[^\W\d_]\.[a-z]$", around):
        return "dot"
    goes_on = re.match(r"\s*[a-z]", m.string[m.end() : m.end() + 9])
    return "," if m[0].startswith("..") and goes_on else "."


@rule(_RULES, r"[,:]|-{2,}|—|(?<=\s)[-–](?=\s)|(?<!\w)[(\[]|[)\]]")
def _pause(m: re.Match) -> str:
    return ","


@rule(_RULES, _SYMBOLS)
def _symbol(m: re.Match) -> str:
    return _ENGLISH["symbols"][m[0]]


@rule(_RULES, r"(?<=\w)/(?=\w)|[\"'`()\[\]{}_–-]+")
def _quiet(m: re.Match) -> str:
    return ""


# ---------------------------------------------------------------- reading

_ALL = [*_FIRST, *numbers.RULES, *quantities.RULES, *_RULES, (re.compile("/"), lambda m: "slash")]


def read(text: str, skip_unknown: bool = False, lexicon: Container[str] = ()) -> list[Sentence]:
    """Text -> its sentences.

    Args:
        skip_unknown: leave out, with a warning, what has no reading.
        lexicon: words, in lower case, that are known whatever their letters.

    Raises ValueError: nothing to read, or a character that has no reading.

    >>> [" ".join(sentence.words) for sentence in read("Mr. Lee paid $5. Why?")]
    ['mister lee paid five dollars', 'why']
    """
    if not isinstance(text, str):
        raise TypeError(f"text is a string, not {type(text).__name__}")
    plain = _plain(text, skip_unknown, lexicon)
    found: list[Sentence] = []
    parts: list[str | tuple[str, ...]] = []

    def close(paragraph: bool) -> None:
        while parts and parts[-1] == PAUSE:
            parts.pop()
        if parts:
            found.append(Sentence(tuple(parts), paragraph))
            parts.clear()
        elif paragraph and found:
            found[-1] = Sentence(found[-1].parts, True)

    place = 0
    while place < len(plain):
        matches = ((pattern.match(plain, place), reader) for pattern, reader in _ALL)
        match, reading = next(
            (m, words) for m, reader in matches if m and m[0] and (words := reader(m)) is not None
        )
        place = match.end()
        if isinstance(reading, list):
            parts.append(tuple(reading))
            continue
        for piece in re.findall(r"[,.¶]|[^,.¶]*[^,.¶\s]", reading):
            if piece in (".", "¶"):
                close(piece == "¶")
            elif piece != PAUSE:
                parts.append((piece.strip(),))
            elif parts and parts[-1] != PAUSE:
                parts.append(PAUSE)
    close(True)
    if not found:
        raise ValueError("there is nothing to read: the text holds no word and no digit")
    return found


def normalise(text: str, skip_unknown: bool = False, lexicon: Container[str] = ()) -> list[str]:
    """Text -> the words of all its sentences in their usual reading; see `read`.

    >>> normalise("Dial 500 at 8 a.m., then press #.")
    ['dial', 'five', 'hundred', 'at', 'eight', 'A', 'M', 'then', 'press', 'pound']
    """
    return [word for sentence in read(text, skip_unknown, lexicon) for word in sentence.words]
