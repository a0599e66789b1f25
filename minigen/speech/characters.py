"""Characters to those that the rules of `text` know; what has no reading is refused by name and place.

Accents, wide and invisible characters go; what other countries and trades write otherwise (1.234,56, m s⁻², SO₄²⁻,
25-Dec-2024) is written as English does.
"""

import re
import unicodedata
import warnings
from collections.abc import Container
from functools import cache

from ..data.text import english
from . import quantities
from .numbers import LISTS, MONTH

_ENGLISH = english()

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
    r"(?<![\w.,'])\d{1,3}(?:(?:['_]\d{3})+|(?: 000)+)(?!\d)|(?<![\w.,'+-])(?<!\d )\d\d?(?: \d{3}){2,}(?!\d| \d)": lambda m: (
        re.sub(r"\D", ",", m[0])
    ),
    r"(?<=\^[\d−+-])\^(?=\d)": "",  # 10^−^3
    r"(?<![\w)\]}])\^(\d+)(?=[A-Z])": r"\1",  # the isotope ²³⁵U
    r"\b((?:[A-Z][a-z]?\d*){2,}|[A-Z][a-z]|[HKF])\^(\d?)\^?([-−+])(?![\d.])": (
        lambda m: f"{m[1]} {m[2]} {'plus' if m[3] == '+' else 'minus'} "  # SO₄²⁻
    ),
    r"(?<=\d)(?:\.\.|~)(?=[-−]?\d)": "–",
    r"(?<=[\w)])\*\*(?=[-\w(])": "^",
    r"(?<=\d)\.{3}(?=[-−]?\d)": ", ",
    r"(?<=\d)T(?=\d\d:\d)": " ",  # 2024-12-25T13:45
    r"(?<=\d/\d{4})-(?=\d\d?/\d)|(?<=\d-\d\d)/(?=\d{4}-\d)": "–",
    rf"\b(\d\d?)-{MONTH}-(\d{{2,4}})\b": r"\1 \2 \3",
    rf"\b{MONTH}-(\d\d?)-(\d{{4}})\b": r"\1 \2, \3",
    r"(?<![\w.])(\d+)h([0-5]\d)(?!\w)": r"\1h \2m",
    r"\b([kMG]?W|N)·([hm])\b": r"\1\2",
    rf"(?<![\w.$£€])(\d+(?:\.\d+)?)\s?([kKmMbB])(?=\s(?:{'|'.join(LISTS['counted'])})\b)": (
        lambda m: f"{m[1]} {quantities.SCALES[m[2].lower()]}"  # 3m people
    ),
    r"(?<=\d)\s?in(?=\s(?:by|x|long|wide|tall|high|deep|thick)\b|\s?[x×]\s?\d|\^[23]|[,;:)]|\s*\Z)|(?<=\d\ssq\s)in\b(?!\.)|(?<=\d)in\b(?!\.)": " in.",
    r"\bRs\.?\s?(?=\d)": "₹",
    r"\b[Nn]\.?°\s?(?=\d)": "No. ",
    r"(?<=\d)\s?·\s?(?=\d)": " × ",
    "·": " ",
    r"(?<=\d)(\s?m(?=s)|\s(?:[mk]?g|[kc]?m|mol|[JWN])\s)(s|[cm]?m|L|kg)\^?[-−]([123])\b(?!\s?m?s\b)": (
        lambda m: f"{m[1].rstrip()}/{m[2]}" + (f"^{m[3]}" if m[3] > "1" else "")  # m s⁻²
    ),
    r"(?<=\d)''(?!')": '"',
    r"(?<![\w.,$£€])(\d[\d,]*(?:\.\d+)?)\s?\$(?!\s?[\w.])": r"$\1",
    r"(?<![\d.,])(\d{1,3})\.(\d{3}),[–—-]": r"\1,\2",  # 3.500,-
    r"(?<=\d),[–—-](?=\s?[$£€])": "",
    " {2,}": " ",
    r"(?<=/\d) (?=['\"](?!\w))": "",  # 3¾"
}


def plain_text(text: str, skip_unknown: bool, lexicon: Container[str]) -> str:
    """Text in the alphabet of the rules; what has no reading is refused, or left out."""
    out: list[tuple[int, str]] = []  # places in the text, and what is read there
    unknown: list[tuple[int, str]] = []
    for match in re.finditer(r"(?:[^\W\d_][\u0300-\u036f]*)+|.[\u0300-\u036f]*", text, re.DOTALL):
        run = unicodedata.normalize("NFC", match[0])
        known = run.isascii() and run.isalpha() or run.lower() in LISTS["accented"] or run == "Å"
        if known or run.lower() in lexicon:
            out.append((match.start(), run))
            continue
        foreign = sum("GREEK" in unicodedata.name(c, "") and c not in "µμΩ" for c in run) > 1
        for place, c in enumerate(run, match.start()):
            accent = run[0].isalpha() and unicodedata.category(c) == "Mn"
            around = text[max(0, place - 1) :][:6]
            grouped = c in "\u00a0\u2009\u202f" and re.match(r"\d\s\d{3}(?!\d)", around)
            plain = "" if accent else "'" if grouped else None if foreign else _plain_character(c)
            if plain is None:
                unknown.append((place, c))
            out.append((place, " " if plain is None else plain))
    places = [place for place, piece in out for _ in piece]

    def point(m: re.Match) -> str:
        found = quantities.with_points(m)
        if found is None:
            unknown.append((places[m.start()], m[0]))
        return m[0].replace(",", " ") if found is None else found

    plain = re.sub(quantities.COMMAS, point, "".join(piece for _, piece in out))
    if unknown:
        place, c = min(unknown)
        name, advice = "a decimal, or two numbers", "write a point, or a space after the comma"
        if len(c) == 1:
            name = f"{unicodedata.name(c, 'unnamed')}, U+{ord(c):04X}"
            advice = "write it in words, give its word in a lexicon"
        line = f", in line {text.count(chr(10), 0, place) + 1}" if "\n" in text else ""
        more = f", nor for {len(unknown) - 1} more" if len(unknown) > 1 else ""
        what = (
            f"there is no reading for {c!r} ({name}), character {place + 1} of the text{line}{more}"
        )
        if not skip_unknown:
            raise ValueError(
                f"{what}: {advice}, or leave such characters out (skip_unknown=True, --skip-unknown)"
            )
        warnings.warn(f"{what}: left out", stacklevel=4)
    for pattern, instead in _WRITTEN_OTHERWISE.items():
        plain = re.sub(pattern, instead, plain)
    return plain
