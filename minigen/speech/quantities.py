"""Quantities as they are read aloud: signs, powers, fractions, money, units, ranges.

`RULES` are pairs of a pattern and a function from its match to words (see `minigen.speech.text`).
"""

import re
from decimal import Decimal

from num2words import num2words

from ..data.text import english
from .numbers import (
    LISTS,
    MONTH,
    Rules,
    cardinal,
    clean,
    ordinal,
    previous_word,
    readings,
    rule,
    year,
)

RULES: Rules = []
_AREAS = {"sq": "2", "cu": "3"}
_CURRENCIES = {"$": "USD", "£": "GBP", "€": "EUR", "₹": "INR", "₽": "RUB"}


def _amount(written: str) -> str:
    """A number or a fraction: 3/4 -> three quarters, 2 1/2 -> two and a half, 7/15 -> seven over fifteen."""
    if "/" not in written:
        return cardinal(written)
    *whole, top, bottom = re.findall(r"\d+", written.replace(",", ""))
    n = int(bottom)
    name = {2: "half", 4: "quarter"}.get(n) or (ordinal(n) if 2 < n <= 10 or n in (16, 100) else "")
    name = "hundredth" if n == 100 and int(top) > 1 else name
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
    exact = not scale and re.fullmatch(r"[\d,]*(\.\d\d)?", amount)
    value = Decimal(amount.replace(",", "") if exact else 2).quantize(Decimal("0.01"))
    words = num2words(value, to="currency", currency=_CURRENCIES[sign], separator=" and")
    words = words.replace(" sterling", "").replace(" euro ", " euro " if value == 1 else " euros ")
    words = re.sub(r"^zero \w+ and (?!zero)|(?<=\w) and zero \w+$", "", clean(words))
    if not exact:
        words = f"{_amount(amount)} {scale} {words.split()[-1]}"
    return re.sub(r"dollars?", lambda m: f"{' '.join(country)} {m[0]}", words)


_UNITS = english()["units"].items()
_UNITS = {sign: f"{words} | {words}s".split(" | ")[:2] for sign, words in _UNITS}
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_GROUPED = r"\d{1,2}(?:,\d\d)+,\d{3}(?!\d)|\d{1,3}(?:,\d{3})+(?!\d)"
_NUMBER = rf"(?:{_GROUPED}|\d+)(?:\.\d+)?|\.\d+"
_FRACTION = r"(?:\d+(?:\s|-(?=\d/\d)))?(?<![\d/])\d+\s?/\s?\d+(?:,\d{3})*(?![\d/])"
_LENGTH = "mm|cm|km|m|in|ft|yd|mi"
_CURRENCY = r"(?:US|CA|AU|NZ|HK|A|C|S|NT|MX)?\$|[£€¥₹₽]"
_SCALE = "thousand|million|billion|trillion"
SCALES = {
    "k": "thousand",
    "m": "million",
    "b": "billion",
    "bn": "billion",
    "mln": "million",
    "t": "trillion",
}


# ---------------------------------------------------------------- commas between digits
COMMAS = re.compile(
    r"(?<![\w.,])(?:\d{1,3}(?: \d{3})+,\d\d?(?![\d,])|(?=[\d.']+,\d)\d+(?:[.,']\d+)+)(?!:\d)"
    r"|(?<![\w.,])\d{1,3}(?:\.\d{3}){2,}(?![\w.,]*\d)"
)
_NAMES = "|".join(
    sorted({name for names in _UNITS.values() for name in names}, key=len, reverse=True)
)
_COUNTED = re.compile(
    rf"(?:\s?(?:[-–x×]|to)\s?\d+(?:[.,]\d+)?)*(?:[\s-]?(?:{_UNIT}|{_NAMES}|{_SCALE}|x)(?!\w)"
    rf"|\s?(?:{_CURRENCY})|[\s-](?:times|fold|inch|days?|months?|dollars?|euros?)\b)"
)


def with_points(m: re.Match) -> str | None:
    """A match of COMMAS with English points and commas: 5,5 km -> 5.5 km. None if it is not clear what it is.

    Clear are 1,234 and 1.234,5 and 0,5; a decimal before a unit or after a currency; lists of three,
    in brackets, of 1.5,2.5; and May 5,2024.
    """
    written, before, after = m[0], m.string[max(0, m.start() - 24) : m.start()], m.string[m.end() :]
    if re.fullmatch(rf"(?!0)(?:{_GROUPED})(?:\.\d+)?", written):
        return written
    counted = re.search(rf"(?:{_CURRENCY}|\bRs\.?)\s?[-−]?$", before) or _COUNTED.match(after)
    if "," not in written:
        return written.replace(".", ",") if counted else written
    listed = written.replace(",", ", ")
    if before[-1:] in tuple("([{") and after[:1] in tuple(")]}"):
        return listed
    decimal = re.fullmatch(r"(\d{1,3}(?:[.' ]\d{3})+|\d+),(\d+)", written)
    grouped = decimal and not decimal[1].isdigit() and len(decimal[2]) < 3
    if decimal and (grouped or decimal[1] == "0" or counted):
        return re.sub(r"\D", ",", decimal[1]) + "." + decimal[2]
    dated = re.fullmatch(r"\d\d?,\d{4}", written) and re.search(rf"\b{MONTH}\s$", before)
    several = re.fullmatch(r"\d+(?:,\d+){2,}(?:\.\d+)?", written) and not re.search(
        r",\d{3}\b", written
    )
    names = re.match("-[A-Za-z]", after)  # 1,2-dichloroethane
    return (
        listed if dated or several or names or re.fullmatch(r"(?:,?\d+\.\d+)+", written) else None
    )


# ---------------------------------------------------------------- rules
@rule(RULES, r"(?<![\w.])(?:(\d+)\s?h\s?)?(\d+)\s?m(?:in)?(?:\b|(?=\d))(?:\s?(\d+)\s?s\b)?(?!\w)")
def _duration(m: re.Match) -> str | None:
    """3h 20m, 5m30s; but 20 m alone are meters."""
    if not (m[1] or m[3]):
        return None
    counts = zip(("h", "min", "s"), m.groups(), strict=True)
    return " ".join(f"{cardinal(n)} {_UNITS[unit][n != '1']}" for unit, n in counts if n)


@rule(RULES, r"(?<=\d)[-–]([+−-])(?=\.?\d)")
def _through_a_sign(m: re.Match) -> str | None:
    """-5--3, -5–+5; but 1--2 has a dash."""
    signed = m[1] != "-" or re.search(r"(?<![\w)])[−–-]\s?[\d.,]+$", m.string[: m.start()])
    return f"to {'plus' if m[1] == '+' else 'minus'}" if signed else None


@rule(RULES, rf"[-–](?=\s?(?:{_CURRENCY}|{MONTH} )?\.?\d)")
def _through(m: re.Match) -> str | None:
    """Between two quantities: 10°C-20°C, 3rd-5th, 9 a.m.-5 p.m.; but $5 - $3 is a difference."""
    before, after = m.string[max(0, m.start() - 24) : m.start()], m.string[m.end() :]
    named = rf"({_NUMBER})\s?(?:{_UNIT}|{_SCALE}|[kKMB]|(st|nd|rd|th|[ap]\.?m\.?|BC|AD|B?CE))$|(?:{_CURRENCY})({_NUMBER})[a-zA-Z]{{0,2}}$"
    dated = rf":\d{{1,3}}$|{MONTH}\s\d\d?$|\d\s{MONTH}$"
    found = re.search(rf"{named}|{dated}", before.rstrip())
    if not found or before[-1].isspace() != after[0].isspace():
        return None
    first, second = found[1] or found[3], re.search(_NUMBER, after)[0]
    less = first and not found[2] and float(first.replace(",", "")) > float(second.replace(",", ""))
    return "minus" if less and before[-1].isspace() or "=" in after[:40] else "to"


@rule(
    RULES,
    rf"[-–−](?<![\w)\]%].)(?<!--)(?=(?:{_CURRENCY})?\s?\.?\d)|−|(?<=[\d)\]] )-(?= [-−]?[\d(.])",
    r"|(?<=\b[a-z] )-(?= (?:[a-z]\b|\d))|(?<=\d)-(?=[\d.]+\s?=|[xyzn]\b)|(?<=\b[a-cijkmnt-z])-(?=\d)",
    r"|(?:(?<![\w)\]-])|(?<=\d)|(?<=\b[a-z]))-(?=[(√|{])|(?<=\w\s)-(?==)|(?<=\d[xyz])-(?=\d+(?![\dx]))",
    r"|(?<![\w)\]%-])-(?=[A-Za-z]\b(?!['-]))|(?<=\bT)-(?=\d+ (?:sec|min|hour|day))|(?:(?<=\bUTC)|(?<=\bGMT))-(?=\d)",
)
def _minus(m: re.Match) -> str:
    return "minus"


@rule(
    RULES,
    rf"(?<![\w.])({_NUMBER})(?:[eE]([+−-]?\d+)|\s?[×x*]\s?10\^([−-]?\d+))(?:\s?({_UNIT})(?:/({_UNIT})(?:\^?([23]))?)?)?(?!\w)",
)
def _scientific(m: re.Match) -> str:
    exponent = m[2] or m[3]
    minus = "minus" if exponent[0] in "-−" else ""
    unit = _UNITS[m[4]][1] + (_per(m[5], m[6]) if m[5] else "") if m[4] else ""
    return f"{cardinal(m[1])} times ten to the {minus} {cardinal(exponent.strip('+-−'))} {unit}"


@rule(RULES, r"\^[({]?([-−+]?)(\d+|(?=[^\W_]))")
def _power(m: re.Match) -> str:
    sign = {"": "", "+": "plus"}.get(m[1], "minus")
    usual = f"to the power of {sign} {m[2] and cardinal(m[2])}"
    return {"2": "squared", "3": "cubed"}.get(sign + m[2], usual)


@rule(
    RULES,
    r"(?<![\w.])(\d+)'(?:[ -]?(\d+)(?:\"|'')|(\d|1[01])(?![\w']))",
    r"|(?:(?<![\w./])|(?<=[\d'\"]x))((?:\d+[ -])?\d+/\d+|\d+(?:\.\d+)?)(['\"])(?!(?!x\d)[\w'\"])",
    r"|(?<![\w.])(\d+)\s?ft\.?\s?(\d+)\s?in\b(?:\.(?=\s*[a-z0-9,;:)]))?",
)
def _feet(m: re.Match) -> str | None:
    """5'11", 6'2, 5' x 7", 3/4"; but a mark that closes what one before it opened is a quotation's."""
    if m[5] and re.search(rf"(?<!\w){m[5]}", m.string[: m.start()]):
        return None
    count, more = m[1] or m[4] or m[6], m[2] or m[3] or m[7]
    if more and int(more) > 11:  # 3'45" are no inches
        return f"{cardinal(count)} minutes {cardinal(more)} seconds"
    names = ("inch", "inches") if m[5] == '"' else ("foot", "feet")
    noun = re.match(r"\s(?!tall|long|wide|high|deep|by |and |or )[a-z]{2}", m.string[m.end() :][:6])
    one = count in ("1", "1/2") or noun and ("/" in count or previous_word(m) in ("a", "an", "x"))
    inches = f"{cardinal(more)} {('inch', 'inches')[more != '1'] if m[7] else ''}" if more else ""
    return f"{_amount(count)} {names[not one]} {inches}"


@rule(RULES, rf"({_NUMBER})°\s?(\d+)'(?:\s?({_NUMBER})(?:\"|''))?")
def _angle(m: re.Match) -> str:
    seconds = f"{cardinal(m[3])} seconds" if m[3] else ""
    return f"{cardinal(m[1])} degrees {cardinal(m[2])} minutes {seconds}"


@rule(
    RULES,
    rf"(?:(?<![A-Za-z])|(?<=\dx))(?:(?P<sign>{_CURRENCY})\s?(?P<minus>[-−])?)?",
    rf"(?P<n>{_FRACTION}(?:[rt][dh]s?\b)?|{_NUMBER})",
    rf"(?:(?P<to>\s?–\s?|-)(?P<sign2>{_CURRENCY})?(?P<n2>{_FRACTION}|{_NUMBER})(?![\d/:-]|\s?=))?",
    rf"(?P<scale>[\s-]?(?:{_SCALE}|[bB]n|mln)\b|(?(sign)[kKmMbBtT]\b|(?!)))?",
    rf"(?:(?P<gap>\s|-(?=[a-z]))?(?:(?P<area>sq|cu)\.?\s?)?(?P<unit>{_UNIT}|[€£])(?:(?:\^|(?<=[mtd]))(?P<power>[23]))?(?!\w)",
    r"(?:\.(?=\s*[a-z0-9,;:)]))?)?",
    rf"(?:/(?P<per>{_UNIT}|in)(?:\^?(?P<of>[23]))?(?!\w)|(?P<rate>/)(?=[a-z]{{2}}|(?(unit)10*\s?[A-Za-z]|(?!))))?",
)
def _quantity(m: re.Match) -> str | list[str] | None:
    """A number with all that belongs to it: currency, minus, a range, million, a unit, per what."""
    before = m.string[max(0, m.start() - 24) : m.start()]
    if (
        not m["sign"]
        and re.search(r"[A-Za-z]-$", before)
        and not re.search(rf"\d\s?(?:{_UNIT})-$", before)
    ):  # F-16
        return None
    n, n2, sign, unit = m["n"], m["n2"], m["sign"], m["unit"]
    if unit in ("€", "£"):
        sign, unit = unit, None
    scale = (m["scale"] or "").strip(" -").lower()
    scale = SCALES.get(scale, scale)
    alone = not (sign or unit or scale)
    dated = alone and _is_year(m, n)
    if alone and not n2 and not m["rate"] and n.isdigit():
        if re.match(r"\s?[x×*]\s?\d", m.string[m.end() : m.end() + 4]):
            return cardinal(n)
        return [year(n), *readings(n)] if dated else readings(n)
    read = year if dated and (not n2 or n2.isdigit() and len(n2) in (2, 4)) else _amount
    follows = re.match(r"\s[a-z]", m.string[m.end() : m.end() + 2])
    adjective = m["gap"] == "-" or previous_word(m) in ("a", "an") and follows
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
        power = {"2": "square ", "3": "cubic "}.get(m["power"] or _AREAS.get(m["area"]), "")
        words += f" {power}{_UNITS[unit][not one]}"
    if m["per"]:
        words += _per(m["per"], m["of"])
    return f"{'minus ' if m['minus'] else ''}{words}{' per' if m['rate'] else ''}"


def _is_year(m: re.Match, written: str) -> bool:
    """Four digits from 1900 to 2099, or from 1000 where the words around them say so."""
    after = m.string[m.end() : m.end() + 8]
    if not re.fullmatch(r"1\d{3}|20\d\d", written):
        return False
    clue = re.match(r"\s?(?:AD|BC|CE|BCE|A\.D|B\.C)\b", after)
    return int(written) >= 1900 or bool(clue) or previous_word(m).lower() in LISTS["before_years"]


@rule(RULES, rf"(?:(?<=\^\d\s)|(?<=\^\d\d\s))({_UNIT})(?:\^([23]))?(?!\w)")
def _unit_after_a_power(m: re.Match) -> str:
    return f"{({'2': 'square ', '3': 'cubic '}).get(m[2], '')}{_UNITS[m[1]][1]}"


def _per(unit: str, power: str | None) -> str:
    name = "inch" if unit == "in" else _UNITS[unit][0]
    if not power:
        return f" per {name}"
    if unit in _LENGTH.split("|"):
        return f" per {({'2': 'square', '3': 'cubic'})[power]} {name}"
    return f" per {name} {({'2': 'squared', '3': 'cubed'})[power]}"


@rule(RULES, rf"\b({_UNIT})/({_UNIT})(?:\^?([23]))?(?![\w/])")
def _bare_units(m: re.Match) -> str:
    return f"{_UNITS[m[1]][1]}{_per(m[2], m[3])}"


@rule(
    RULES,
    r"(?<!\b0)[x×*–](?:(?<=\d.)|(?<=\d\s.)|(?<=\d['\"].)|(?<=\d['\"]\s.))(?=\s?\d)",
    r"|–(?<=\b[A-Z].)(?=[A-Z]\b)|[-–](?:(?<=[APap][mM].)|(?<=[APap][mM]\s.)|(?<=:\d\d.))(?=\s?\d)",
    r"|(?<=\d)[-–](?=\d\d?:[0-5]\d)",
)
def _between(m: re.Match) -> str:
    return {"x": "by", "×": "times", "*": "times"}.get(m[0], "to")


@rule(RULES, r"x(?=\s?\d)")
def _by(m: re.Match) -> str | None:
    """20m x 30m"""
    before = m.string[max(0, m.start() - 24) : m.start()]
    return "by" if re.search(rf"\d\s?(?:{_UNIT})\s?$", before) else None
