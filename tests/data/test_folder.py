"""A folder of recordings: three kinds of files, two kinds of tables, and all faults at once."""

import numpy as np
import pytest

from minigen import audio, data

X = 0.3 * np.sin(np.arange(4000) / 5)


@pytest.fixture
def place(tmp_path):
    root = tmp_path / "anna"
    (root / "wavs").mkdir(parents=True)
    for name in ("a.wav", "b.flac", "c.mp3", "wavs/d.wav"):
        audio.save(root / name, X, 16_000)
    return root


def table(root, text):
    (root / "metadata.csv").write_text(text, encoding="utf-8")
    return root


def test_files_of_three_kinds_with_a_heading_and_speakers(place):
    rows = 'file,text,speaker\na.wav,"One, two.",anna\n , ,\nb.flac, "Three, 4." ,bert \n\nc.mp3,Äh!,anna\nd,Four.,\n'
    clips = data.folder(table(place, rows))
    assert [c.name for c in clips] == ["a", "b", "c", "wavs/d"]
    assert [c.text for c in clips] == ["One, two.", "Three, 4.", "Äh!", "Four."]
    assert [c.speaker for c in clips] == ["anna", "bert", "anna", "anna"]
    assert {c.rate for c in clips} == {16_000}
    for clip in clips:
        assert np.abs(clip.audio[:4000] - X).max() < 0.05


def test_a_table_as_lj_speech_has_it(place):
    clips = data.folder(table(place, "a|He said 2.|He said two.\nd|No “quotes|no quotes\n"))
    assert [c.text for c in clips] == ["He said two.", "no quotes"]
    assert {c.speaker for c in clips} == {"anna"}
    with pytest.raises(ValueError, match=r"metadata.csv, line 3: 4 columns, not file, text"):
        data.folder(table(place, "a|One.\n\nd|1|2|3\n"))


def test_two_columns_are_enough(place):
    assert [c.text for c in data.folder(table(place, "\ufeffa.wav,One.\n"))] == ["One."]


def test_a_file_in_a_folder_below_is_itself_not_its_namesake(place):
    (place / "two").mkdir()
    audio.save(place / "two" / "a.wav", -X, 16_000)
    clips = data.folder(table(place, "a,One.\ntwo/a,Two.\n"))
    assert [c.name for c in clips] == ["a", "two/a"]
    assert np.allclose(clips[0].audio, -clips[1].audio, atol=1e-3)


def test_every_fault_is_named_at_once(place):
    (place / "e.wav").write_bytes(b"RIFF....")
    audio.save(place / "f.wav", X, 8000)
    rows = "a.wav,\nno.wav,Here.\ne.wav,Broken.\nf.wav,Good.\nf.wav,Again.\n\na,b,c,d\n"
    with pytest.raises(ValueError) as caught:
        data.folder(table(place, rows))
    lines = [*caught.value.__notes__, str(caught.value)]
    for line, words in zip(
        lines,
        ("a: no text", "no.wav: there is no such", "e: ", "f: is in the table twice", "line 7: 4"),
        strict=True,
    ):
        assert words in line and "\n" not in line
    assert "5 faults" in lines[-1]


def test_what_is_missing_is_said(place):
    with pytest.raises(FileNotFoundError, match="no folder"):
        data.folder(place / "none")
    with pytest.raises(FileNotFoundError, match="has no metadata.csv: write one row"):
        data.folder(place)
    with pytest.raises(ValueError, match="no rows"):
        data.folder(table(place, "file,text\n"))
    (place / "metadata.csv").write_bytes(b"a.wav,\xe9t\xe9")
    with pytest.raises(ValueError, match="UTF-8"):
        data.folder(place)


@pytest.mark.parametrize("ending", audio.files.WRITES)
def test_every_kind_that_is_written_is_found_without_its_ending(tmp_path, ending):
    audio.save(tmp_path / f"a{ending}", X, 16_000)
    (clip,) = data.folder(table(tmp_path, "a,One.\n"))
    assert clip.name == "a" and np.abs(clip.audio[:4000] - X).mean() < 0.05
