"""Text to sentences to words: numbers, symbols and abbreviations written out as they are read aloud.

    "Dr. Lee paid $5 on 3/14/2024." -> doctor lee paid five dollars on march fourteenth twenty twenty four

Characters are first brought to a small alphabet (`characters`). Then rules, the most specific first, take
the text piece by piece, and each returns words: in lower case, in capitals what is spelled letter by letter,
"," for a pause, "." and "¶" for the end of a sentence and of a paragraph.
"""

import re
from collections.abc import Container
from dataclasses import dataclass

from ..data.text import english
from . import numbers, quantities
from .characters import plain_text
from .numbers import LISTS, MONTH, Rules, previous_word, rule

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


# ---------------------------------------------------------------- addresses and abbreviations

_FIRST: Rules = []
_RULES: Rules = []
_SITES = "|".join(LISTS["domains"] | LISTS["files"])


@rule(_FIRST, r" |(?<!\^\d\s)(?<!\^\d\d\s)(?!vs |etc )[a-z]{2,}(?= )")
def _plain_word(m: re.Match) -> str:
    """Most of a text, and no other rule's."""
    return m[0]


@rule(
    _FIRST,
    r"(?:\w+://|www\.)[^\s\"'<>]*[\w/]|[\w.+-]*\w@\w[\w-]*(?:\.\w[\w-]*)+|(?<!\w)@\w+",
    rf"|[^\W\d]\w*(?:[.-]\w+)*\.(?:{_SITES})\b(?:[/:?#][^\s\"'<>]*[\w/])?",
    rf"|\b(?:doi|DOI):\s?10\.\S*\w|(?<!\S)[~.]{{0,2}}/\.?\w[\w./-]*\w|(?<!\w)\.(?:{_SITES}|NET)\b",
)
def _address(m: re.Match) -> str:
    """Web, e-mail, file: sign by sign, digits one by one."""
    words = []
    for part in re.findall(r"[^\W\d_µΩÅ]+|\d|\S", m[0]):
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
    return " ." if word == "." or word.istitle() and word.lower() in LISTS["starters"] else ""


@rule(
    _RULES,
    r"(?<![\w.])(?:[A-Za-z]\.)+[A-Za-z](?![\w.])|(?<![\w.])(?:[A-Za-z]\.){2,}(?:'s\b)?",
    r"|\b(?:Ph\.?D|[MB]\.?Sc)\b\.?|(?<![\w.'])[A-Z]\.(?=\s*[A-Z]|\s[a-z]|\s\d+(?:st|nd|rd|th)\b)",
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


_DAYS_AND_MONTHS = [*LISTS["days"], *LISTS["months"]]
_DAY_OR_MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" for name in map(str.title, _DAYS_AND_MONTHS))


@rule(
    _RULES,
    rf"\b({_DAY_OR_MONTH})\b\.?\s?[-–]\s?({_DAY_OR_MONTH})\b(?:\.(?=,?\s*[a-z\d]))?",
    rf"|\b(?P<day>Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)(?=,?\s(?:{MONTH}\s\d|\d\d?(?:st|nd|rd|th)?\s(?:of\s)?{MONTH}|",
    r"\d\d?(?::\d\d|\s?[ap]\.?m)))",
)
def _days(m: re.Match) -> str:
    """Mon-Fri, Jan-Mar; Sun 25 Dec."""
    names = [m["day"]] if m["day"] else m.groups()[:2]
    return " to ".join(
        next(full for full in _DAYS_AND_MONTHS if full.startswith(name[:3].lower()))
        for name in names
    )


@rule(
    _RULES,
    r"\b([A-Za-z]{1,6})\.(?![A-Za-z]\w)|\b(Mrs?|Ms|Dr|Prof|St|(?:Mt|Ft|Lt|Sgt|Capt)(?=\s[A-Z])|Jr|Sr|Ltd|Blvd|Hwy|Dept|vs|etc)\b(?:(?!['.])|\.(?=[A-Z][a-z]))",
)
def _abbreviation(m: re.Match) -> str | None:
    short, after, end = m[1] or m[2], _next_word(m), _end(m) if m[1] else ""
    lower = short.lower()
    if m[1] and (short in ("Sat", "Wed", "Mar") or m.string.startswith("Sun.,", m.start())):
        return _ENGLISH["before_numbers"][lower] + end
    numbered = after[:1].isdigit() or re.fullmatch("[IVX]+|[ivx]{2,}", after)
    if m[1] and numbered and lower in _ENGLISH["before_numbers"]:
        if lower not in "bdr" or short in "bdr" and len(after) == 4:
            return _ENGLISH["before_numbers"][lower]
        return None
    if short == "c" and re.search(r"\d(?:st|nd|rd|th)$", previous_word(m)):
        return "century" + end
    if short in _ENGLISH["titles"]:
        named = after[:1].isupper() and after.lower() not in LISTS["starters"]
        before = previous_word(m)
        if short in ("Dr", "St") and re.search(r"\d(?:st|nd|rd|th)$", before):  # 5th St.
            return {"Dr": "drive", "St": "street"}[short] + end
        follows = before[:1].isupper() and before.lower() not in LISTS["starters"]
        if short in ("Dr", "St") and follows:
            start = m.string[max(0, m.start() - 40) : m.start()]
            address = re.search(r"\b\d+ (?:\w+\.? ){1,3}$", start)
            if before[-1] != "." and (address or not named):
                return {"Dr": "drive", "St": "street"}[short] + end
        return _ENGLISH["titles"][short] + ("" if named else end)
    if lower in _ENGLISH["abbreviations"] and (lower != "al" or previous_word(m) == "et"):
        return _ENGLISH["abbreviations"][lower] + end
    return None


# ---------------------------------------------------------------- words, symbols, punctuation

_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
_FIGURES = "[IVX]+|(?=.*[IVX])C{0,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_NUMBERED = rf"\b(?i:{'|'.join(LISTS['numbered'])})s?\.?\s(?:[IVXivx]+(?:[-–]|,? (?:and|or|to) ))?$"
_SYMBOLS = "|".join(sorted(map(re.escape, _ENGLISH["symbols"]), key=len, reverse=True))
_SHORT = {"w/": "with", "w/o": "without", "w/out": "without", "c/o": "care of", "n/a": "N A"}
_SHORT |= {"b/c": "because", "y/o": "year old"}
_SHORT |= {"#": "number", "~": "about", "v.": "versus"}


@rule(
    _RULES,
    r"\b(?:w/o?|w/out|c/o|y/o)(?!\w)|\bb/c(?=\s(?:I|it|he|she|we|you|they|the|of|my|this|there)\b)|\bn/a\b|\b[A-Z]{1,2}&[A-Z]s?\b|\b[A-G]#(?!\w)|#(?=\d)|~(?=\s?[\d$£€.])",
    r"|(?<=[A-Za-z)] )v\.(?=\s[A-Z])|(?<!\w)'n'(?!\w)|#(?=[A-Za-z])|(?<=\b[A-Za-z])'(?=\()|\b[a-z]/[a-z]/[a-z]\b|(?<=\b[a-z\d])/(?=[a-z]\b)",
    r"|(?<=\d)/(?=\d)|(?<=\d)!(?=\s?[=+×*/)])",
)
def _short(m: re.Match) -> str:
    if m[0] in _SHORT and (m[0] != "#" or m.string[m.end()].isdigit()):
        return _SHORT[m[0]]
    others = {"'n'": "and", "#": "hashtag", "'": "prime", "/": "over", "!": "factorial"}
    spelled = " ".join(m[0].upper().replace("/", "")).replace("&", "and").replace("#", "sharp")
    return others.get(m[0]) or spelled


def _is_pronoun(m: re.Match) -> bool:
    """The part I like; but a type I error."""
    after = _next_word(m).lower()
    return (
        m[0] == "I"
        and previous_word(m).islower()
        and (after in LISTS["after_i"] or after[-2:] == "ed")
    )


def _is_king(m: re.Match) -> bool:
    """Henry I ruled, a queen like Mary I of England; but: for Henry I ran, Mary I hope."""
    after, before = _next_word(m).lower(), m.string[max(0, m.start() - 40) : m.start()]
    first = re.search(r"(?:^|[.!?\n(\"]\s*|(?i:king|queen|pope|emperor|tsar)\s)[A-Z]\w+\s$", before)
    verb = after in LISTS["after_i"] and after not in ("was", "had")
    return after in LISTS["after_king"] or bool(first) and not verb


@rule(_RULES, r"(?<!\w)'(?i:em|til|tis|twas|cause|bout)\b|[^\W\d_µΩÅ]+(?:'[^\W\d_µΩÅ]+|\(s\))*")
def _word(m: re.Match) -> str:
    word, before = m[0], previous_word(m).lower().rstrip(".")
    if word.endswith("(s)"):
        return f"{word[:-3].lower()} or {word[:-3].lower()}s"
    figures = word.removesuffix("'s")
    if re.fullmatch(_FIGURES, figures.upper()):
        numbered = re.search(_NUMBERED, m.string[max(0, m.start() - 40) : m.start()])
        if figures.isupper() or numbered and len(figures) > 1 and figures.islower():
            values = [_ROMAN[c] for c in figures.upper()]
            n = sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))
            if numbered and not _is_pronoun(m):
                to = "to " if m.string[m.start() - 1] in "-–" else ""
                return to + numbers.cardinal(n) + word[len(figures) :]
            if not numbered and before in LISTS["kings"] and (word != "I" or _is_king(m)):
                return f"the {numbers.ordinal(n)}{word[len(figures) :]}"
    around = m.string[max(0, m.start() - 40) : m.end() + 40]
    if word in LISTS["shouted"] and not (around.isupper() and len(around.split()) > 2):
        return " ".join(word)
    if word == "A":  # a letter, unless it is an article
        after = m.string[m.end() : m.end() + 2]
        article = re.fullmatch(r"\s[A-Z\"']", after) or not before and after[:1].isspace()
        return "a" if article else "A"
    if re.fullmatch(r"[a-z][A-Z]+", word):  # pH, mRNA
        return " ".join(word.upper())
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
    if re.search(r"[^\W\d_]\.[a-z\d]$", around):
        return "dot"
    goes_on = re.match(r"\s*[a-z]", m.string[m.end() : m.end() + 9])
    no_word = re.fullmatch("(?i:[bcdfghjklmnpqrstvwxz]{1,5})", previous_word(m))  # 2 pts. milk
    numbered = (
        no_word and len(no_word[0]) > 1 and re.match(r"\s\d", m.string[m.end() : m.end() + 2])
    )
    short = m[0] == "." and (no_word and goes_on or numbered or m.string.startswith(",", m.end()))
    return "" if short else "," if m[0].startswith("..") and goes_on else "."


@rule(_RULES, r"[,:]|-{2,}|—|(?<=\s)[-–](?=\s)|(?<!\w)[(\[]|[)\]]")
def _pause(m: re.Match) -> str:
    return ","


@rule(_RULES, _SYMBOLS)
def _symbol(m: re.Match) -> str:
    return _ENGLISH["symbols"][m[0]]


@rule(_RULES, r"(?<=\w)/(?=\w)|[\"'`()\[\]{}_–-]")
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
    plain = plain_text(text, skip_unknown, lexicon)
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
