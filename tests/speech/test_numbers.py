"""Numbers against an independent reader of number words, and the readings that alignment may choose from."""

import random

import pytest

from minigen.data.text import english
from minigen.speech.numbers import cardinal, digits, ordinal, readings
from minigen.speech.text import normalise

MONTHS = english()["lists"]["months"].split()

ONES = [
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
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
SCALES = ["", "thousand", "million", "billion", "trillion"]


def value(words):
    """The inverse of `cardinal`, written the other way round."""
    ones = {w: i for i, w in enumerate(ONES)} | {w: 10 * i for i, w in enumerate(TENS, 2)}
    total = part = 0
    for word in words.split():
        if word == "hundred":
            part *= 100
        elif word in SCALES:
            total, part = total + part * 1000 ** SCALES.index(word), 0
        else:
            part += ones[word]
    return total + part


def test_cardinals_are_read_back():
    rng = random.Random(0)
    for n in [*range(1100), *(rng.randrange(10 ** rng.randint(1, 15)) for _ in range(300))]:
        assert value(cardinal(n)) == n == value(cardinal(f"{n:,}"))
        fraction = f"{rng.randrange(1000):03}"
        assert cardinal(f"{n}.{fraction}") == f"{cardinal(n)} point {digits(fraction)}"
    assert value(cardinal("9" * 15)) == 10**15 - 1 and cardinal("9" * 16) == " ".join(["nine"] * 16)


@pytest.mark.parametrize(
    "n, word", [(1, "first"), (12, "twelfth"), (30, "thirtieth"), (105, "fifth")]
)
def test_ordinals(n, word):
    assert ordinal(n).split()[-1] == word


def test_readings():
    assert readings("4242") == [
        "four thousand two hundred forty two",
        "four two four two",
        "forty two forty two",
    ]
    assert "eight five hundred" in readings("8500") and "eighty five hundred" in readings("8500")
    assert readings("2024")[0] == "twenty twenty four" and len(readings("2024")) == 3
    assert readings("0800") == ["zero eight zero zero"]
    assert readings("8005551234") == ["eight zero zero five five five one two three four"]
    for n in range(10, 3000, 7):
        found = readings(str(n))
        assert cardinal(n) in found and digits(str(n)) in found and len(set(found)) == len(found)


def test_dates_are_month_first_unless_that_cannot_be():
    """Every day of a year, with its year and, where a zero tells it from a fraction, without."""
    days = [(m, d) for m in range(1, 13) for d in range(1, 32)]
    for month, day in days:
        want = f"{MONTHS[month - 1]} {ordinal(day)}".split()
        forms = [f"{month}/{day}/2024", f"{month:02}/{day:02}/2024"]
        forms += [f"{month:02}/{day:02}"] * (min(month, day) < 10)
        if day > 12:
            forms += [f"{day}/{month:02}/2024"] + [f"{day}/{month:02}"] * (month < 10)
        for form in forms:
            got = normalise(form)
            assert got[: len(want)] == want, form
            assert got[len(want) :] == ["twenty", "twenty", "four"] * ("2024" in form), form
