"""How a voice reads: English with a lexicon's words first; another language by its lexicon alone."""

import dataclasses

import pytest

from minigen import data
from minigen.speech.reader import Reader

RUSSIAN = "да d a\nнет nn e t\nкто k t o\nто t o\nкто k t a\n"


@pytest.fixture
def reader(tmp_path):
    (tmp_path / "ru.txt").write_text(RUSSIAN, encoding="utf-8")
    return Reader.from_file(tmp_path / "ru.txt")


def test_phones_that_english_lacks_make_another_language(reader, tmp_path):
    assert not reader.english and reader.lexicon["кто"] == [("k", "t", "o"), ("k", "t", "a")]
    (tmp_path / "names.txt").write_text("siobhan SH AH0 V AO1 N\n", encoding="utf-8")
    names = Reader.from_file(tmp_path / "names.txt")
    assert names.english and names.lexicon["siobhan"] == [("sh", "ax", "v", "ao", "n")]
    assert Reader.from_file(None) == Reader()
    clip = data.example()  # what an English speaker usually says is no habit of another language
    assert reader.with_habits([clip]) is reader and Reader().with_habits([clip]).english


def test_punctuation_makes_pauses_sentences_and_paragraphs(reader):
    rows = reader.sentences("«Да», нет! Кто-то...\n\nДа.")
    assert [" ".join(row) for row in rows] == [
        "pau d a pau nn e t pau pau pau",
        "pau k t o t o pau pau pau pau pau pau",
        "pau d a pau",
    ]


@pytest.mark.parametrize("signs", [", ,", " — (", ": (", ",;", " - - "])
def test_any_run_of_pauses_is_one(reader, signs):
    one = reader.sentences("да, нет")
    assert reader.sentences(f"да{signs} нет") == reader.sentences(f"({signs} да, нет{signs}") == one


def test_a_transcript_has_every_pronunciation(reader):
    assert reader.transcribe("Кто? Да,") == [[["k", "t", "o"], ["k", "t", "a"]], [["d", "a"]]]


def test_every_word_that_is_not_there_is_named(reader):
    with pytest.raises(ValueError, match="no вот, 5, hello: add a line"):
        reader.sentences("Да вот 5 hello. Вот? вот")
    with pytest.raises(ValueError, match="no вот"):
        reader.transcribe("вот")
    with pytest.warns(UserWarning, match="no вот: left out"):
        assert reader.sentences("да вот", skip_unknown=True) == [["pau", "d", "a", "pau"]]
    with pytest.raises(ValueError, match="nothing to read"):
        reader.sentences("...")
    assert reader.sentences("вот", {"вот": [("v", "o")]}) == [["pau", "v", "o", "pau"]]


def test_english_reads_as_before_with_the_lexicon_first():
    reader = Reader({"lee": [("l", "ey")]})
    assert [" ".join(row) for row in reader.sentences("Lee. 2")] == [
        "pau l ey pau pau pau",
        "pau t uw pau",
    ]
    assert reader.sentences("lee", {"lee": [("l", "iy")]}) == [["pau", "l", "iy", "pau"]]
    assert reader.transcribe("lee") == [[["l", "ey"]]]


def test_a_lexicon_goes_before_a_speakers_habits():
    ways = [("y", "ao", "r"), ("y", "uh", "r")]
    clip = dataclasses.replace(data.example(), text="Your your your.", f0=None)
    said = [(phone, 0.01 * k, 0.01 * k) for k, phone in enumerate(["y", "uh", "r"] * 3)]
    clip = dataclasses.replace(clip, phones=said)
    assert Reader({"your": ways}).with_habits([clip]).lexicon["your"] == ways
    assert Reader({}).with_habits([clip]).lexicon == {"your": [ways[1]]}
