"""Text to words: a table of readings, and properties that no table can hold."""

import random
import re
import unicodedata
from pathlib import Path

import pytest

from minigen.speech import pronunciation
from minigen.speech.phones import PHONES
from minigen.speech.reader import Reader
from minigen.speech.text import PAUSE, normalise, read


def reading(text):
    return " | ".join(" ".join(sentence.words) for sentence in read(text))


def rows():
    for line in Path(__file__).with_name("readings.tsv").read_text("utf-8").splitlines():
        if line and not line.startswith("# "):
            text, words = line.split("\t")
            unescaped = re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), text)
            yield unescaped.replace("\\n", "\n"), words


@pytest.mark.parametrize("text, words", list(rows()))
def test_table(text, words):
    assert reading(text) == words


def test_the_table_is_large():
    texts = [text for text, _ in rows()]
    assert len(texts) > 300 and len(set(texts)) == len(texts)


PROSE = "Dr. Lee paid $3.50 on May 5, 2024. Was it -5 °C at 3:30 p.m.? See www.a-b.org; then (maybe) stop."


def test_invisible_characters_change_nothing():
    rng = random.Random(0)
    for c in "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u202c\ufe0f":
        for _ in range(20):
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


def test_a_sign_is_never_lost():
    rng = random.Random(0)
    for _ in range(300):
        number = rng.choice(["{}", "{}.5", ".{}", "${}", "{}%", "{} km", "1/{}", "{}°C", "{:,}"])
        number = number.format(rng.randint(3, 10 ** rng.randint(1, 6)))
        assert reading(f"-{number}") == f"minus {reading(number)}"
        assert reading(f"x = -{number}") == f"x equals minus {reading(number)}"


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
    with pytest.raises(ValueError, match="nor for 99999 more") as caught:
        read(c * 100_000)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["", "   ", "...", "-", "?!", "\n\n", "\u200b", "“”"])
def test_nothing_to_read(text):
    with pytest.raises(ValueError, match="nothing to read"):
        read(text)


def test_only_text_is_read():
    with pytest.raises(TypeError, match="not int"):
        read(5)


def test_words_of_a_lexicon_are_known_whatever_their_letters():
    assert reading("a b") == "a b"
    with pytest.raises(ValueError, match="CYRILLIC"):
        read("да")
    assert normalise("Да, да.", lexicon={"да"}) == ["да", "да"]


def test_sentences_paragraphs_and_pauses():
    found = read("One, two - three (four). Five...\n\nSix: seven")
    assert [sentence.parts.count(PAUSE) for sentence in found] == [3, 0, 1]
    assert [sentence.ends_paragraph for sentence in found] == [False, True, True]
    assert all(PAUSE not in (sentence.parts[0], sentence.parts[-1]) for sentence in found)


def test_anything_is_read_or_refused_in_one_line():
    rng = random.Random(1)
    pool = [
        *"abcXYZ I5 0129 ..,,''\"\"--–—−/\\$£€%&*+=@#()[]{}<>|~^_:;!?°²½µΩé中\n\t",
        "Mr.",
        "St.",
    ]
    pool += [
        "U.S.",
        "Dr",
        " No. ",
        "www.",
        "http://",
        ".com",
        "12:30",
        "Jan",
        "1990s",
        "4th",
        " km",
        "VIII",
    ]
    for _ in range(1500):
        text = "".join(rng.choices(pool, k=rng.randint(1, 14)))
        try:
            found = read(text)
        except ValueError as error:
            assert "\n" not in str(error)
            continue
        for word in (word for sentence in found for word in sentence.words):
            assert re.fullmatch(r"'?[a-z]+(?:'[a-z]+)*|[A-Z]+(?:'?s)?|[A-Z]+(?:'[A-Z]+)*", word), (
                text
            )
        assert set(pronunciation.phones(text)) <= set(PHONES)
