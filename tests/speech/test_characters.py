"""Characters and foreign ways of writing: read alike, or refused by name with their place."""

import random
import re
import unicodedata

import pytest

from minigen.data.text import english
from minigen.speech import pronunciation
from minigen.speech.reader import Reader
from minigen.speech.text import normalise, read


def reading(text):
    return " | ".join(" ".join(sentence.words) for sentence in read(text))


PROSE = "Dr. Lee paid $3.50 on May 5, 2024. Was it -5 °C at 3:30 p.m.? See www.a-b.org; then (maybe) stop."


def test_invisible_characters_change_nothing():
    rng = random.Random(0)
    for c in "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u202c\ufe0f":
        for _ in range(6):
            place = rng.randint(0, len(PROSE))
            assert reading(PROSE[:place] + c + PROSE[place:]) == reading(PROSE)


def test_forms_of_a_character_are_read_alike():
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in PROSE)
    assert reading(wide) == reading(PROSE)
    assert reading(PROSE.replace(" ", "\u00a0")) == reading(PROSE)
    for text in ("Señor Núñez à Zürich", "x ≠ 2", "Việt"):
        forms = {reading(unicodedata.normalize(form, text)) for form in ("NFC", "NFD", "NFKC")}
        assert len(forms) == 1
    for dash in "\u2010\u2011\ufe63\uff0d":
        assert reading(f"a well{dash}known 5{dash}year plan") == reading("a well-known 5-year plan")
    for minus in "-\u2212\u2013\uff0d":
        assert reading(f"at {minus}7 degrees") == "at minus seven degrees"


@pytest.mark.parametrize("c", ["я", "中", "\x00", "🙂", "\ue000", "ש", "≮", "♥", "\u0336"])
def test_what_has_no_reading_is_named_with_its_place(c):
    text = f"One\ntwo {c} three."
    name = unicodedata.name(c, "unnamed")
    message = re.escape(
        f"{c!r} ({name}, U+{ord(c):04X}), character 9 of the text, in line 2: write"
    )
    for function in (read, normalise, pronunciation.phones, Reader().sentences):
        with pytest.raises(ValueError, match=message):
            function(text)
        with pytest.warns(UserWarning, match="character 9 .* left out"):
            assert function(text, skip_unknown=True) == function("One\ntwo  three.")


def test_a_letter_in_greek_is_named_and_a_word_in_greek_refused():
    assert reading("an λ of 5") == "an lambda of five"
    with pytest.raises(ValueError, match="'λ' .*GREEK SMALL LETTER LAMDA.*character 4"):
        read("an λόγος of 5")


COUNTED = [*english()["units"], "million", "percent", "euros", "hours", "days", "%", "€"]


def test_a_decimal_comma_is_a_point_where_nothing_else_can_be_meant():
    rng = random.Random(0)
    for unit in COUNTED:
        n, m, d = rng.randint(1, 999), rng.randint(1, 999), rng.choice(["5", "25", "1255"])
        form = rng.choice(("{}{} ", "-{}{} ", "{}{}–" + f"{m}.5 ", "{}{} x 3 ")) + unit
        comma, point = (reading(form.format(n, f"{c}{d}")) for c in ",.")
        assert comma == point, form
        assert (
            reading(f"0,{d}")
            == reading(f"0.{d}")
            == reading(f"x = 0,{d}").removeprefix("x equals ")
        )
        assert reading(f"${n},{d[:2]}") == reading(f"${n}.{d[:2]}")
    grouped = (f"{a}234{b}567,89" for a, b in ("..", "''", "  ", "\u00a0\u00a0", "\u202f\u202f"))
    assert {reading(f"1{text}") for text in grouped} == {reading("1,234,567.89")}


@pytest.mark.parametrize(
    "text",
    ["1,2,3", "1,2,3.5", "10,20,30", "1.5,2.5", "(3,4)", "[0,1]", "{0,1}", "f(1,25)", "May 5,2024"],
)
def test_commas_of_lists_and_points_part_numbers(text):
    assert reading(text) == reading(text.replace(",", ", "))
    assert read(text) == read(text.replace(",", ", "))


@pytest.mark.parametrize(
    "written",
    [
        "5,5",
        "3,14",
        "1,2345",
        "00,5",
        "1234,567",
        "1,234,56",
        "1.234,567",
        "1,2,3,100",
        "1,234.5,6",
    ],
)
def test_what_may_be_a_decimal_or_two_numbers_is_refused_with_its_place(written):
    text = f"½ and\nof {written}, too."
    message = f"no reading for '{written}' (a decimal, or two numbers), character 10 of the text, in line 2"
    with pytest.raises(ValueError, match=re.escape(message) + ": write a point, or a space"):
        read(text)
    with pytest.warns(UserWarning, match=re.escape(message) + ": left out"):
        assert normalise(text, skip_unknown=True)[-1] == "too"


def test_numbers_that_are_english_stay():
    rng = random.Random(0)
    for _ in range(30):
        n = rng.randrange(1000, 10 ** rng.randint(4, 9))
        for text in (f"{n:,}", f"{n:,}.5", f"{n:,} km", f"${n:,}.50"):
            assert reading(text) == reading(text.replace(",", "")).replace(
                reading(str(n)), reading(f"{n:,}")
            )
    assert reading("1.234") == "one point two three four" and "point" in reading("1.234.567")
    assert reading("€1.234.567") == reading("€1,234,567") and reading("7,- €") == reading("7 €")


def test_of_many_faults_the_first_is_named_and_the_others_are_counted():
    with pytest.raises(ValueError, match="'я' .*character 1 of .*nor for 10000 more") as caught:
        read("я" * 10_000 + " 5,5")
    assert len(str(caught.value)) < 400
    with pytest.raises(ValueError, match="'5,5' .*character 1 of .*nor for 1 more"):
        read("5,5 я")
