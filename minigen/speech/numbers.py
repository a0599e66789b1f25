"""Numbers as they are read aloud: amounts, money, units, fractions, years, dates, times, telephones.

`RULES` are pairs of a pattern and a function from its match to words (see `minigen.speech.text`).
Cardinals, ordinals, years and currencies come from the library num2words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from num2words import num2words

from ..data.text import english

__all__ = ["RULES", "Rules", "cardinal", "digits", "ordinal", "previous_word", "readings", "rule"]

Rules = list[tuple[re.Pattern, Callable[[re.Match], str | list[str] | None]]]
RULES: Rules = []
_LISTS = {name: frozenset(words.split()) for name, words in english()["lists"].items()}


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

_DIGITS = english()["lists"]["digits"].split()
_CURRENCIES = {"$": "USD", "£": "GBP", "€": "EUR", "₹": "INR", "₽": "RUB"}
_AND = re.compile("(?<=hundred )and |(?<=thousand )and |(?<=illion )and ")


def _clean(words: str) -> str:
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
    whole, _, fraction = re.sub("[,' ]", "", str(written)).partition(".")
    one_by_one = len(whole) > 15 or len(whole) > 1 and whole[0] == "0"
    words = digits(whole) if one_by_one else _clean(num2words(int(whole))) if whole else ""
    return f"{words} point {digits(fraction)}".strip() if fraction else words


def ordinal(written: str | int) -> str:
    """Digits as an ordinal number: 21 -> twenty first."""
    return _clean(num2words(int(str(written).replace(",", "")), to="ordinal"))


def _year(written: str) -> str:
    if len(written) == 2:
        return f"oh {cardinal(written[1])}" if written[0] == "0" else cardinal(written)
    return _clean(num2words(int(written), to="year"))


def _plural(words: str) -> str:
    return words[:-1] + "ies" if words[-1] == "y" else words + ("es" if words[-1] == "x" else "s")


def _amount(written: str) -> str:
    """A number or a fraction: 3/4 -> three quarters, 2 1/2 -> two and a half, 7/15 -> seven over fifteen."""
    if "/" not in written:
        return cardinal(written)
    *whole, top, bottom = re.findall(r"\d+", written)
    n = int(bottom)
    name = {2: "half", 4: "quarter"}.get(n) or (ordinal(n) if 2 < n <= 10 or n in (16, 100) else "")
    if not name:
        words = f"{cardinal(top)} over {cardinal(bottom)}"
    elif int(top) == 1:
        words = f"{'a' if whole else 'one'} {name}"
    else:
        words = f"{cardinal(top)} {'halves' if n == 2 else name + 's'}"
    return f"{cardinal(whole[0])} and {words}" if whole else words


def _money(sign: str, amount: str, scale: str = "") -> str:
    """$3.50 -> three dollars and fifty cents; $1.5 million and $5.5 are all in dollars."""
    country, sign = sign[:-1], sign[-1]
    if sign == "¥":
        return f"{_amount(amount)} {scale} yen"
    exact = not scale and re.fullmatch(r"[\d,' ]*(\.\d\d)?", amount)
    value = (
        Decimal(re.sub("[,' ]", "", amount)).quantize(Decimal("0.01")) if exact else Decimal("2.00")
    )
    words = num2words(value, to="currency", currency=_CURRENCIES[sign], separator=" and")
    words = words.replace(" sterling", "").replace(" euro ", " euro " if value == 1 else " euros ")
    words = re.sub(r"^zero \w+ and (?!zero)|(?<=\w) and zero \w+$", "", _clean(words))
    if not exact:
        words = f"{_amount(amount)} {scale} {words.split()[-1]}"
    return re.sub(r"dollars?", lambda m: f"{' '.join(country)} {m[0]}", words)


def readings(written: str) -> list[str]:
    """The ways in which a row of digits may be read; the first is the usual one.

    >>> readings("323")
    ['three hundred twenty three', 'three two three', 'three twenty three']
    """
    head, tail = written[:2], written[2:]
    if len(written) > 9 and not written.endswith("000"):
        return [digits(written)]
    ways = [_year(written)] if re.fullmatch(r"(?:19|20)\d\d", written) else []
    ways += [cardinal(written), digits(written)]
    if len(written) == 3 and written[0] != "0" != written[1]:
        ways.append(f"{cardinal(written[0])} {cardinal(written[1:])}")
    elif len(written) == 4 and written[0] != "0" and tail == "00":  # eighty five hundred
        ways += [f"{cardinal(head)} hundred", f"{digits(head)} hundred"]
    elif len(written) == 4 and written[0] != "0" != written[2]:  # forty two forty two
        ways.append(f"{cardinal(head)} {cardinal(tail)}")
    return list(dict.fromkeys(ways))


# ---------------------------------------------------------------- dates and times

_MONTHS = english()["lists"]["months"].split()
_MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" for name in map(str.title, _MONTHS))
_MONTH = rf"({_MONTH.replace('Sep(?:t', 'Sept?(?:')})\b\.?"
_DAY, _NUMERIC_MONTH = r"(0?[1-9]|[12]\d|3[01])", "(0?[1-9]|1[0-2])"
_NO_MORE = r"(?![\w/-]|\.\d)"
_HALF = r"(?:\s?([AaPp])\.?[Mm]\b(?:\.(?!\s*$|\s+[A-Z]))?)"


def _date(month: str, day: str, year: str | None = None) -> str:
    if month.isdigit():
        month = _MONTHS[int(month) - 1]
    name = next(name for name in _MONTHS if name.startswith(month[:3].lower()))
    return f"{name} {ordinal(day) if day else ''} {_year(year) if year else ''}"


@rule(RULES, rf"(?<![\w/.-])(\d{{4}})([-/.]){_NUMERIC_MONTH}\2{_DAY}{_NO_MORE}")
def _iso_date(m: re.Match) -> str:
    return _date(m[3], m[4], m[1])


@rule(RULES, rf"(?<![\w/.-]){_DAY}([-/.]){_DAY}\2(\d{{4}}|\d\d){_NO_MORE}")
def _numeric_date(m: re.Match) -> str | None:
    """Month first, as in the United States, unless there are dots or it cannot be."""
    day_first = m[2] == "." or int(m[1]) > 12
    month, day = (m[3], m[1]) if day_first and int(m[3]) <= 12 else (m[1], m[3])
    return _date(month, day, m[4]) if int(month) <= 12 else None


@rule(
    RULES,
    rf"\b{_MONTH}\s{_DAY}(?:st|nd|rd|th)?(?:\s?[-–]\s?(\d\d?))?(?![\w:]|,?\d)(?:,?\s(\d{{4}})\b)?",
)
def _month_and_day(m: re.Match) -> str:
    to = f"to {ordinal(m[3])}" if m[3] else ""
    return f"{_date(m[1], m[2])} {to} {_year(m[4]) if m[4] else ''}"


@rule(RULES, rf"(?<![\w.,:/-]){_DAY}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?:,?\s(\d{{4}})\b)?")
def _day_and_month(m: re.Match) -> str:
    the = "" if previous_word(m).lower() == "the" else "the"
    return f"{the} {ordinal(m[1])} of {_date(m[2], '', m[3])}"


@rule(RULES, rf"(?<![\w/])(?:{_MONTH},?\s|{_NUMERIC_MONTH}/(?=19|20))(\d{{4}})\b{_NO_MORE}")
def _month_and_year(m: re.Match) -> str:
    return _date(m[1] or m[2], "", m[3])


@rule(RULES, rf"(?<![\w:.])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?{_HALF}?(?![\w:])")
def _time(m: re.Match) -> str:
    hour, minute, second, half = m.groups()
    if second:
        rest = f"{_year(minute)} {_year(second)}".replace("oh zero", "oh oh")
    elif minute != "00":
        rest = _year(minute)
    else:
        rest = "" if half else "o'clock" if 0 < int(hour) < 13 else "hundred"
    return f"{cardinal(int(hour))} {rest} {half.upper() + ' M' if half else ''}"


@rule(RULES, rf"(?<![\w:.,])(1[0-2]|0?[1-9]){_HALF}(?!\w)")
def _hour(m: re.Match) -> str:
    return f"{cardinal(int(m[1]))} {m[2].upper()} M"


@rule(RULES, r"(?<![\w.:-])(\d+)\s?:\s?(\d+)(?![\w:])")
def _ratio(m: re.Match) -> str:
    return f"{cardinal(m[1])} to {cardinal(m[2])}"


@rule(RULES, r"(?<!\w)'?(\d{2}|\d{4})'?s\b(?<=0s|'s)|(?<!\w)'(\d\d)\b(?!['\"])")
def _decade(m: re.Match) -> str | None:
    """1990s, the '90s, '99; but 10s are ten seconds."""
    if m[2]:
        return _year(m[2])
    if (
        len(m[1]) == 2
        and "'" not in m[0]
        and previous_word(m).lower() not in _LISTS["before_decades"]
    ):
        return None
    return _plural(_year(m[1]))


@rule(RULES, r"(?:(?<=[A-Za-z])|(?<=[A-Za-z]-))(\d+)'?s\b|(?<![\w.])(\d+)'s\b")
def _many(m: re.Match) -> str:
    return _plural(cardinal(m[1] or m[2]))


# ---------------------------------------------------------------- telephones and other names of digits


@rule(
    RULES,
    r"(?<![\w.-])(?:\+\d{1,3}[ .-]?)?(?:1[ .-])?(?:\(\d{3}\)\s?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])(?:\s?(?:x|ext\.?)\s?\d+)?",
    r"|(?<![\w.-])(?!\d+0-\d+0\b)\d{3}-\d{4}(?![\w-])|\+\d[\d ()-]{6,}\d",
    r"|(?<![\w.-])\d+(?:-\d+){2,}(?![\w-])|(?<![\w.-])\d{4}(?:[ -]\d{4}){2,}(?![\w-])",
    r"|(?<![\w.-])1-\d{3}(?=-[A-Z])|(?<=[Cc]all )(?:911|999)\b",
)
def _telephone(m: re.Match) -> str:
    parts = re.findall(r"\d+|x", m[0])
    groups = " , ".join(digits(part) if part != "x" else "extension" for part in parts)
    return f"plus {groups}" if m[0][0] == "+" else groups


@rule(RULES, r"(?<![\w.])(?:9[/-]11|24[/-]7|50[/-]50|20/20|(?:19|20)\d\d/\d\d)(?![\w/])")
def _fixed(m: re.Match) -> str:
    return " ".join(_year(n) if len(n) == 4 else cardinal(n) for n in re.findall(r"\d+", m[0]))


@rule(RULES, r"(?<![\w.])\d+(?:\.\d+){2,}")
def _version(m: re.Match) -> str:
    """A version, a section, an internet address of four parts."""
    parts = m[0].split(".")
    dot = " dot " if len(parts) == 4 and all(int(part) < 256 for part in parts) else " point "
    return dot.join(cardinal(part) for part in parts)


@rule(RULES, r"(?<![\w.])(\d[\d,]*)(?:st|nd|rd|th|ST|ND|RD|TH)\b")
def _ordinal(m: re.Match) -> str:
    return ordinal(m[1])


# ---------------------------------------------------------------- signs, powers, amounts with units

_UNITS = {
    sign: (words + f" | {words}s").split(" | ")[:2] for sign, words in english()["units"].items()
}
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_NUMBER = r"(?:\d{1,3}(?:[,']\d{3}| 000)+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_CURRENCY = r"(?:US|CA|AU|NZ|HK|A|C)?\$|[£€¥₹₽]"
_SCALES = {"k": "thousand", "m": "million", "b": "billion", "bn": "billion", "t": "trillion"}


@rule(
    RULES,
    rf"[-–−](?<![\w)\]%].)(?<!--)(?=(?:{_CURRENCY})?\s?\.?\d)|−|(?<=[\d)\]] )-(?= [\d(.])",
    r"|(?<=\b[a-z] )-(?= (?:[a-z]\b|\d))|(?<=\d)-(?=[\d.]+\s?=|[xyzn]\b)|(?<=\b[a-cijkmnt-z])-(?=\d)",
    r"|(?<![\w)\]%-])-(?=[A-Za-z]\b(?!['-]))",
)
def _minus(m: re.Match) -> str:
    return "minus"


@rule(RULES, rf"(?<![\w.])({_NUMBER})(?:[eE]([+−-]?\d+)|\s?[×x*]\s?10\^([−-]?\d+))(?!\w)")
def _scientific(m: re.Match) -> str:
    exponent = m[2] or m[3]
    minus = "minus" if exponent[0] in "-−" else ""
    return f"{cardinal(m[1])} times ten to the {minus} {cardinal(exponent.strip('+-−'))}"


@rule(RULES, r"\^([-−+]?)(\d+|(?=\w))")
def _power(m: re.Match) -> str:
    sign = {"": "", "+": "plus"}.get(m[1], "minus")
    usual = f"to the power of {sign} {m[2] and cardinal(m[2])}"
    return {"2": "squared", "3": "cubed"}.get(sign + m[2], usual)


@rule(
    RULES,
    r"(?<![\w.])(\d+)'(?:\s?(\d+)(?:\"|'')|(\d|1[01])(?![\w']))|(?<![\w.])(\d+)(['\"])(?![\w'\"])",
)
def _feet(m: re.Match) -> str | None:
    """5'11", 6'2, 5' x 7"; but a mark that closes what one before it opened is a quotation's."""
    if m[5] and re.search(rf"(?<!\w){m[5]}", m.string[: m.start()]):
        return None
    count, more = m[1] or m[4], m[2] or m[3]
    names = ("inch", "inches") if m[5] == '"' else ("foot", "feet")
    noun = re.match(r"\s(?!tall|long|wide|high|deep|by |and |or )[a-z]{2}", m.string[m.end() :][:6])
    one = count == "1" or noun and previous_word(m) in ("a", "an", "x")  # a 12" disc
    return f"{cardinal(count)} {names[not one]} {more and cardinal(more) or ''}"


@rule(RULES, r"(?<![\w.])(\d+)\s?h\s?(\d+)\s?m(?:in)?\b")
def _duration(m: re.Match) -> str:
    hour, minute = (f"{_UNITS[u][m[k] != '1']}" for k, u in ((1, "h"), (2, "min")))
    return f"{cardinal(m[1])} {hour} {cardinal(m[2])} {minute}"


@rule(RULES, rf"({_NUMBER})°\s?(\d+)'(?:\s?({_NUMBER})(?:\"|''))?")
def _angle(m: re.Match) -> str:
    seconds = f"{cardinal(m[3])} seconds" if m[3] else ""
    return f"{cardinal(m[1])} degrees {cardinal(m[2])} minutes {seconds}"


@rule(
    RULES,
    rf"(?:(?<![A-Za-z])(?<![A-Za-z]-)|(?<=\dx))(?:(?P<sign>{_CURRENCY})\s?(?P<minus>[-−])?)?",
    rf"(?P<n>(?<=€)\d+,\d\d(?!\d)|\d+,\d\d(?=\s?€)|(?:\d+\s)?(?<![\d/])\d+\s?/\s?\d+(?![\d/])|{_NUMBER})",
    rf"(?:(?P<to>\s?–\s?|-)(?P<sign2>{_CURRENCY})?(?P<n2>{_NUMBER})(?![\d/:-]|\s?=))?",
    r"(?P<scale>\s?(?:thousand|million|billion|trillion)\b|(?(sign)(?:[kKmMbBtT]|[bB]n)\b|(?!)))?",
    rf"(?:(?P<gap>\s|-(?=[a-z]))?(?P<unit>{_UNIT}|[€£])(?:\^(?P<power>[23]))?(?!\w)",
    r"(?:\.(?=\s*[a-z0-9,;:)]))?)?",
    rf"(?:/(?P<per>{_UNIT})(?!\w)(?P<squared>\^2)?|(?P<rate>/)(?=[a-z]{{2}}))?",
)
def _quantity(m: re.Match) -> str | list[str]:
    """A number with all that belongs to it: currency, minus, a range, million, a unit, per what."""
    n, n2, sign, unit = m["n"], m["n2"], m["sign"], m["unit"]
    if unit in ("€", "£"):
        sign, unit = unit, None
    if re.fullmatch(r"\d+,\d\d", n):  # €3,50
        n = n.replace(",", ".")
    scale = (m["scale"] or "").strip().lower()
    scale = _SCALES.get(scale, scale)
    alone = not (sign or unit or scale)
    year = alone and _is_year(m, n)
    if alone and not n2 and not m["rate"] and n.isdigit():
        if re.match(r"\s?[x×*]\s?\d", m.string[m.end() : m.end() + 4]):
            return cardinal(n)
        return [_year(n), *readings(n)] if year else readings(n)
    read = _year if year and (not n2 or n2.isdigit() and len(n2) in (2, 4)) else _amount
    follows = re.match(r"\s[a-z]+", m.string[m.end() : m.end() + 9])
    adjective = m["gap"] == "-" or previous_word(m) in ("a", "an") and follows
    adjective = adjective and follows != " or"
    words = _money(sign, n, scale) if sign and (m["sign2"] or not n2) else read(n)
    if n2:
        name = alone and m["to"] == "-" and min(len(n), len(n2)) > 2 and n2 <= n  # the 747-400
        joint = "" if name else "to"
        words += f" {joint} {_money(sign, n2, scale) if sign else read(n2)}"
    if scale and not sign:
        words += f" {scale}"
    if adjective:
        words = re.sub(r"(dollar|pound|euro)s$", r"\1", words)
    if unit:
        one = adjective or not n2 and (n == "1" or n[:2] == "1/")
        power = {"2": "square ", "3": "cubic "}.get(m["power"], "")
        words += f" {power}{_UNITS[unit][not one]}"
    if m["per"]:
        words += f" per {_UNITS[m['per']][0]}{' squared' if m['squared'] else ''}"
    return f"{'minus ' if m['minus'] else ''}{words}{' per' if m['rate'] else ''}"


def _is_year(m: re.Match, written: str) -> bool:
    """Four digits from 1900 to 2099, or from 1000 where the words around them say so."""
    after = m.string[m.end() : m.end() + 8]
    if not re.fullmatch(r"1\d{3}|20\d\d", written):
        return False
    clue = re.match(r"\s?(?:AD|BC|CE|BCE|A\.D|B\.C)\b", after)
    return int(written) >= 1900 or bool(clue) or previous_word(m).lower() in _LISTS["before_years"]


@rule(RULES, rf"(?:(?<=\^\d\s)|(?<=\^\d\d\s))({_UNIT})(?:\^([23]))?(?!\w)")
def _unit_after_a_power(m: re.Match) -> str:
    return f"{({'2': 'square ', '3': 'cubic '}).get(m[2], '')}{_UNITS[m[1]][1]}"


@rule(RULES, rf"\b({_UNIT})/({_UNIT})(?![\w/])")
def _bare_units(m: re.Match) -> str:
    return f"{_UNITS[m[1]][1]} per {_UNITS[m[2]][0]}"


@rule(
    RULES,
    r"(?<!\b0)[x×*–](?:(?<=\d.)|(?<=\d\s.)|(?<=\d['\"].)|(?<=\d['\"]\s.))(?=\s?\d)",
    r"|–(?<=\b[A-Z].)(?=[A-Z]\b)|[-–](?:(?<=[ap]m.)|(?<=[ap]m\s.)|(?<=:\d\d.))(?=\s?\d)",
)
def _between(m: re.Match) -> str:
    return {"x": "by", "×": "times", "*": "times"}.get(m[0], "to")
