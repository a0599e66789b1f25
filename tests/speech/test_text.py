"""Text to words: a table of readings, and properties that no table can hold."""

import random
import re
from pathlib import Path

import pytest

from minigen.speech import pronunciation
from minigen.speech.phones import PHONES
from minigen.speech.text import PAUSE, normalise, read


def reading(text):
    return " | ".join(" ".join(sentence.words) for sentence in read(text))


def rows():
    for line in Path(__file__).with_name("readings.tsv").read_text("utf-8").splitlines():
        if line and not line.startswith("# "):
            text, words = line.split("\t")
            unescaped = re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), text)
            yield unescaped.replace("\\n", "\n"), words


def test_table():
    table = list(rows())
    assert len(dict(table)) == len(table) > 500
    assert {text: reading(text) for text, _ in table} == dict(table)


def test_a_sign_is_never_lost():
    rng = random.Random(0)
    for _ in range(300):
        number = rng.choice(["{}", "{}.5", ".{}", "${}", "{}%", "{} km", "1/{}", "{}°C", "{:,}"])
        number = number.format(rng.randint(3, 10 ** rng.randint(1, 6)))
        assert reading(f"-{number}") == f"minus {reading(number)}"
        assert reading(f"x = -{number}") == f"x equals minus {reading(number)}"


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
    for _ in range(500):
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
