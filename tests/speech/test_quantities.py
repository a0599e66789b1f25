"""Quantities: what stands between two of them is said, and nothing is lost whatever their unit."""

import itertools
import random
import re

import pytest

from minigen.data.text import english
from minigen.speech.numbers import cardinal
from minigen.speech.quantities import SCALES
from minigen.speech.text import normalise

UNITS = english()["units"]


def reading(text):
    return " ".join(normalise(text))


def test_each_unit_is_said_after_a_number_and_after_a_slash():
    for unit in UNITS.keys() - {"%", "‰"}:
        one, many = (UNITS[unit] + f" | {UNITS[unit]}s").split(" | ")[:2]
        assert reading(f"3 {unit} of it") == f"three {many} of it"
        assert reading(f"1 {unit} of it") == f"one {one} of it"
        if unit[0].isalpha() and " " not in unit and unit[-1] != ".":
            assert reading(f"5 kg/{unit}") == f"five kilograms per {one}"


@pytest.mark.parametrize(
    "text", ["-5 °C", "2 × 10^-3 m", "2e-5", "x^-2", "$-3", "from -4 to -2", "5 - 3", "10^-6"]
)
def test_both_signs_of_minus_are_read_alike(text):
    assert "minus" in reading(text) and reading(text) == reading(text.replace("-", "−"))


def test_a_range_says_to_whatever_its_scale():
    for scale, low, high in itertools.product(SCALES.values(), ("5", "1.5"), ("7", "12")):
        for range_ in (f"{low} {scale}-{high} {scale}", f"{low} {scale}–{high}"):
            first, last = re.split("[-–]", range_)
            assert reading(range_) == f"{reading(first)} to {reading(last)}", range_


def test_a_range_says_to_whatever_its_unit():
    rng = random.Random(0)
    named = [(f"{{}} {u}", m) for u, m in UNITS.items() if u[-1].isalpha() and " " not in u]
    for (form, _), dash, space in itertools.product(named, "-–", ("", " ")):
        low, high = sorted(rng.sample(range(2, 900), 2))
        for pattern in (form, form.replace(" ", "")):
            first, second = pattern.format(low), pattern.format(high)
            words = reading(f"{first}{space}{dash}{space}{second}")
            assert words == f"{reading(first)} to {reading(second)}", (first, dash, second)


def test_money_and_numbers_grouped_as_elsewhere_are_the_same_amount():
    rng = random.Random(0)
    for _ in range(200):
        n, cents = rng.randint(1000, 999_999), rng.randint(10, 99)
        here = reading(f"€{n:,}.{cents}")
        assert reading(f"€{n:,}".replace(",", ".") + f",{cents}") == here
        assert reading(f"{n:,}.{cents} €") == here
        assert reading(f"{n}$") == reading(f"${n}") == f"{cardinal(n)} dollars"
