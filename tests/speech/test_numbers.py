"""Numbers against an independent reader of number words, and the readings that alignment may choose from."""

import random

import pytest

from minigen.speech.numbers import cardinal, digits, ordinal, readings

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
    for n in [*range(2000), *(rng.randrange(10 ** rng.randint(1, 15)) for _ in range(1000))]:
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
