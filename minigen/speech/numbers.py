"""Numbers as they are read aloud: cardinals, ordinals, years, dates, times, telephones.

`RULES` are pairs of a pattern and a function from its match to words (see `minigen.speech.text`).
Cardinals, ordinals, years and currencies come from the library num2words.
"""

import re
from collections.abc import Callable

from num2words import num2words

from ..data.text import english

Rules = list[tuple[re.Pattern, Callable[[re.Match], str | list[str] | None]]]
RULES: Rules = []
# dictionaries of nothing, because these keep the order
LISTS = {name: dict.fromkeys(words.split()) for name, words in english()["lists"].items()}


def rule(rules: Rules, *pattern: str) -> Callable:
    """A decorator: a function reads what its pattern (joined parts) matches, unless an earlier one did.

    It returns words; or a list of readings; or None, where the rule does not apply after all.
    """

    def add(reader: Callable) -> Callable:
        rules.append((re.compile("".join(pattern)), reader))
        return reader

    return add


def previous_word(m: re.Match) -> str:
    """The word before a match, as it is written; "" if there is none."""
    found = re.search(r"([\w'©]+\.?)[\s\"'(*-]*$", m.string[max(0, m.start() - 40) : m.start()])
    return found[1] if found else ""


# ---------------------------------------------------------------- digits to words

_DIGITS = list(LISTS["digits"])
_AND = re.compile("(?<=hundred )and |(?<=thousand )and |(?<=illion )and ")


def clean(words: str) -> str:
    """What num2words returns, without hyphens, commas and the "and" inside a number."""
    return _AND.sub("", " ".join(re.sub("[-,]", " ", words).split()))


def digits(written: str) -> str:
    """Digits one by one."""
    return " ".join(_DIGITS[int(d)] for d in written)


def cardinal(written: str | int) -> str:
    """Digits with commas and a decimal point, if any, in words.

    >>> cardinal("1,234.05"), cardinal(".5"), cardinal("007")
    ('one thousand two hundred thirty four point zero five', 'point five', 'zero zero seven')
    """
    whole, _, fraction = str(written).replace(",", "").partition(".")
    one_by_one = len(whole) > 15 or len(whole) > 1 and whole[0] == "0"
    words = digits(whole) if one_by_one else clean(num2words(int(whole))) if whole else ""
    return f"{words} point {digits(fraction)}".strip() if fraction else words


def ordinal(written: str | int) -> str:
    """Digits as an ordinal number: 21 -> twenty first."""
    return clean(num2words(int(str(written).replace(",", "")), to="ordinal"))


def year(written: str) -> str:
    if len(written) == 2:
        return f"oh {cardinal(written[1])}" if written[0] == "0" else cardinal(written)
    return clean(num2words(int(written), to="year"))


def _plural(words: str) -> str:
    return words[:-1] + "ies" if words[-1] == "y" else words + ("es" if words[-1] == "x" else "s")


def readings(written: str) -> list[str]:
    """The ways in which a row of digits may be read; the first is the usual one.

    >>> readings("323")
    ['three hundred twenty three', 'three two three', 'three twenty three']
    """
    head, tail = written[:2], written[2:]
    if len(written) > 9 and not written.endswith("000"):
        return [digits(written)]
    ways = [year(written)] if re.fullmatch(r"(?:19|20)\d\d", written) else []
    ways += [cardinal(written), digits(written)]
    if len(written) == 3 and written[0] != "0" != written[1]:
        ways.append(f"{cardinal(written[0])} {cardinal(written[1:])}")
    elif len(written) == 4 and written[0] != "0" and tail == "00":  # eighty five hundred
        ways += [f"{cardinal(head)} hundred", f"{digits(head)} hundred"]
    elif len(written) == 4 and written[0] != "0" != written[2]:  # forty two forty two
        ways.append(f"{cardinal(head)} {cardinal(tail)}")
    return list(dict.fromkeys(ways))


# ---------------------------------------------------------------- dates and times

_MONTHS = list(LISTS["months"])
MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" for name in map(str.title, _MONTHS))
MONTH = rf"({MONTH.replace('Sep(?:t', 'Sept?(?:')})\b\.?"
_DAY, _NUMERIC_MONTH = r"(0?[1-9]|[12]\d|3[01])", "(0?[1-9]|1[0-2])"
_NO_MORE = r"(?![\w/-]|\.\d)"
_ZONE = r"(?:[ECMP][SD]?T|GMT|UTC|BST|CEST|IST|JST|Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_HALF = rf"(?:\s?([AaPp])\.?[Mm]\b(?:\.(?!\s*$|\s+(?!{_ZONE})[A-Z]))?)"


def _date(month: str, day: str, of: str | None = None) -> str:
    if month.isdigit():
        month = _MONTHS[int(month) - 1]
    name = next(name for name in _MONTHS if name.startswith(month[:3].lower()))
    return f"{name} {ordinal(day) if day else ''} {year(of) if of else ''}"


@rule(RULES, rf"(?<![\w/.-])(\d{{4}})([-/.]){_NUMERIC_MONTH}\2{_DAY}{_NO_MORE}")
def _iso_date(m: re.Match) -> str:
    return _date(m[3], m[4], m[1])


@rule(RULES, rf"(?<![\w/.-])((?:19|20)\d\d)-(0[1-9]|1[0-2]){_NO_MORE}")
def _iso_month(m: re.Match) -> str | None:
    """2024-12; but 2009-10 are two years."""
    return _date(m[2], "", m[1]) if int(m[2]) <= int(m[1]) % 100 else None


@rule(
    RULES,
    rf"(?<![\w/.-])(?:(?=0|\d\d?/0)|(?<=\bon ))(?!(?:1/[2348]|[23]/[34]|[357]/8)\b){_DAY}/{_DAY}{_NO_MORE}(?!\s(?:of|an?|the)\b)",
)
def _short_date(m: re.Match) -> str | None:
    """01/02 has no year, but is no fraction; nor is 12/31 after "on"."""
    month, day = (m[2], m[1]) if int(m[1]) > 12 else (m[1], m[2])
    return _date(month, day) if int(month) <= 12 else None


@rule(RULES, rf"(?<![\w/.-]){_DAY}([-/.]){_DAY}\2(\d{{4}}|\d\d){_NO_MORE}")
def _numeric_date(m: re.Match) -> str | None:
    """Month first, as in the United States, unless there are dots or it cannot be."""
    day_first = m[2] == "." or int(m[1]) > 12
    month, day = (m[3], m[1]) if day_first and int(m[3]) <= 12 else (m[1], m[3])
    return _date(month, day, m[4]) if int(month) <= 12 else None


@rule(
    RULES,
    rf"\b{MONTH}\s{_DAY}(?:st|nd|rd|th)?(?:\s?[-–]\s?(\d\d?)(?:st|nd|rd|th)?)?",
    r"(?![\w:]|,?\d)(?:,?\s(\d{4})\b)?",
)
def _month_and_day(m: re.Match) -> str:
    to = f"to {ordinal(m[3])}" if m[3] else ""
    return f"{_date(m[1], m[2])} {to} {year(m[4]) if m[4] else ''}"


@rule(
    RULES,
    rf"(?<![\w.,:/-])(?:{_DAY}(?:st|nd|rd|th)?\s?[-–]\s?)?{_DAY}(?:st|nd|rd|th)?\s(?:of\s)?{MONTH}",
    r"(?:,?\s(\d{4})\b)?",
)
def _day_and_month(m: re.Match) -> str:
    the = "" if previous_word(m).lower() == "the" else "the"
    first = f"{the} {ordinal(m[1])} to the" if m[1] else the
    return f"{first} {ordinal(m[2])} of {_date(m[3], '', m[4])}"


@rule(
    RULES,
    rf"(?<![\w/])(?:{MONTH},?\s|{_NUMERIC_MONTH}/(?=19|20))(\d{{4}}|(?<=\s)'\d\d)\b{_NO_MORE}",
)
def _month_and_year(m: re.Match) -> str:
    return _date(m[1] or m[2], "", m[3].lstrip("'"))


@rule(
    RULES,
    rf"(?<![\w:.])([01]?\d|2[0-4])(?::|\.(?=\d\d\s?[AaPp]\.?[Mm]\b))([0-5]\d)(?::([0-5]\d))?{_HALF}?(?:\s?h\b|(?=Z\b|(?![\w:])))",
)
def _time(m: re.Match) -> str | None:
    hour, minute, second, half = m.groups()
    around = m.string[max(0, m.start() - 24) : m.end() + 12]
    if not half and re.search(r"\b(?:ratio|scale|odds|mix|dilut|aspect)", around):
        return None
    if second:
        rest = f"{year(minute)} {year(second)}".replace("oh zero", "oh oh")
    elif minute != "00":
        rest = year(minute)
    else:
        rest = "" if half else "o'clock" if 0 < int(hour) < 13 else "hundred"
    return f"{cardinal(int(hour))} {rest} {half.upper() + ' M' if half else ''}"


@rule(RULES, rf"(?<![\w:.,])(?:(1[0-2]|[1-9])\s?[-–]\s?)?(1[0-2]|0?[1-9]){_HALF}(?!\w)")
def _hour(m: re.Match) -> str:
    return f"{cardinal(m[1]) + ' to' if m[1] else ''} {cardinal(int(m[2]))} {m[3].upper()} M"


@rule(RULES, r"(?<![\w.:-])(\d[\d,]*)\s?:\s?(\d+(?:,\d{3})*)(?![\w:])")
def _ratio(m: re.Match) -> str:
    to = "" if previous_word(m).lower().rstrip(".") in LISTS["before_verses"] else "to"
    return f"{cardinal(m[1])} {to} {cardinal(m[2])}"


_THE = "|".join(LISTS["before_decades"])
_BEFORE_DECADES = rf"\b(?i:{_THE})\W*$|(?:\d\d|'|(?:{_THE})\s)\d0s\s?[-–]\s?'?$"


@rule(RULES, r"(?<!\w)'?(\d{2}|\d{4})'?s\b(?<=0s|'s)|(?<!\w)'(\d\d)\b(?!['\"])")
def _decade(m: re.Match) -> str | None:
    """1990s, the '90s, '99; but 10s are ten seconds."""
    if m[2]:
        return year(m[2])
    short = len(m[1]) == 2 and "'" not in m[0]
    if short and not re.search(_BEFORE_DECADES, m.string[max(0, m.start() - 24) : m.start()]):
        return None
    return _plural(year(m[1]))


@rule(RULES, r"(?:(?<=[A-Za-z])|(?<=[A-Za-z]-)(?<!\ds-))(\d+)'?s\b|(?<![\w.])(\d+)'s\b")
def _many(m: re.Match) -> str:
    return _plural(cardinal(m[1] or m[2]))


# ---------------------------------------------------------------- telephones and other names of digits
_EXTENSION = r"(?:,?\s?(?:x|ext\.?)\s?\d+|(?![\w-]))"


@rule(
    RULES,
    r"(?<![\w.-])(?:\+\d{1,3}[ .-]?)?(?:1[ .-])?(?:\(\d{3}\)\s?|\d{3}[ ./-])\d{3}[ .-]\d{4}",
    rf"{_EXTENSION}|(?<![\w.-])(?!\d+0-\d+0\b)\d{{3}}-\d{{4}}{_EXTENSION}",
    r"|\+\d[\d ()/-]{6,}\d|\+\d{1,3}(?:\.\d{2,4}){2,}",
    r"|(?<![\w./-])0\d{1,4}\s?/\s?\d[\d ]{3,}\d(?![\w/])",
    r"|(?<![\w.-])\d+(?:-\d+){2,}(?![\w-])|(?<![\w.-])\d{4}(?:[ -]\d{4}){2,}(?![\w-])",
    r"|(?<![\w.-])1-\d{3}(?=-[A-Z])|(?:(?<=[Cc]all )|(?<=[Dd]ial ))(?:911|999|112)\b",
    r"|(?<![\w.-])(?=\(?0(?:[ ()-]{0,2}\d){8,14}(?![\w-]))\(?0\d{1,4}\)?(?:[ -]\d{2,8}){1,4}",
    r"|(?<![\w.-])\d{5}-\d{4}(?![\w-])",
)
def _telephone(m: re.Match) -> str:
    parts = re.findall(r"\d+|x", m[0])
    groups = " , ".join(digits(part) if part != "x" else "extension" for part in parts)
    return f"plus {groups}" if m[0][0] == "+" else groups


@rule(
    RULES,
    r"(?<![\w.])(?:9[/-]11|24[/-]7(?:/365)?|50[/-]50|20/20|\d{1,2}/(?:2|4|8|16)(?=\stime\b)|(?:19|20)\d\d/(?:\d\d){1,2})(?![\w/])",
)
def _fixed(m: re.Match) -> str:
    return " ".join(year(n) if len(n) == 4 else cardinal(n) for n in re.findall(r"\d+", m[0]))


@rule(RULES, r"\b0(?:[xX][\da-fA-F]+|b[01]+)\b")
def _digits_to_another_base(m: re.Match) -> str:
    return " ".join(_DIGITS[int(c)] if c.isdigit() else c.upper() for c in m[0])


@rule(RULES, r"(?<![\w.])\d+(?=\.x\b)\.")
def _any_version(m: re.Match) -> str:
    return f"{cardinal(m[0][:-1])} point"


@rule(RULES, r"(?<![\w.])\d+(?:\.\d+){2,}")
def _version(m: re.Match) -> str:
    """A version, a section, an internet address of four parts."""
    parts = m[0].split(".")
    dot = " dot " if len(parts) == 4 and all(int(part) < 256 for part in parts) else " point "
    return dot.join(cardinal(part) for part in parts)


@rule(RULES, r"(?<![\w.])(\d[\d,]*)(?:st|nd|rd|th|ST|ND|RD|TH)\b")
def _ordinal(m: re.Match) -> str:
    return ordinal(m[1])
