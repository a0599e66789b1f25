"""Tables of phone times: what is written comes back, and what is damaged is named by its line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from minigen import data
from minigen.data import load_phones, save_phones, speech, with_phones


def test_phone_times_come_back_from_the_file(tmp_path):
    clips, path = data.spoken_digits(word="seven"), tmp_path / "digits.tsv"
    save_phones(path, {clip.name: clip.phones for clip in clips})
    assert path.read_text(encoding="utf-8").splitlines()[1] == "name\tphone\tstart\tend"
    assert load_phones(path) == {clip.name: list(clip.phones) for clip in clips}
    bare = [replace(clip, phones=None) for clip in clips]
    assert [clip.phones for clip in with_phones(bare, path)] == [clip.phones for clip in clips]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no phone times"),
        ("name\tphone\n", "line 1: the first row"),
        ("name\tphone\tstart\tend\nx\ta\t0.0\n", "line 2"),
        ("name\tphone\tstart\tend\nx\ta\t0\tsoon\n", "line 2"),
        ("name\tphone\tstart\tend\nx\t\t0\t1\n", "line 2"),
        ("name\tphone\tstart\tend\n\ta\t0\t1\n", "line 2"),
        ("name\tphone\tstart\tend\nx\ta\t0\t1\nx\tb\t0.5\t2\n", "line 3.*not in order"),
        ("name\tphone\tstart\tend\nx\ta\t0\tnan\n", "not in order"),
        ("name\tphone\tstart\tend\nx\ta\t0\t1\ny\ta\t0\t1\nx\tb\t1\t2\n", "not together"),
    ],
)
def test_damaged_tables_name_the_line(tmp_path, text, message):
    path = tmp_path / "bad.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load_phones(path)


def test_tables_that_cannot_be(tmp_path):
    with pytest.raises(FileNotFoundError, match="minigen align"):
        load_phones(tmp_path / "none.tsv")
    with pytest.raises(FileNotFoundError, match="no folder"):
        save_phones(tmp_path / "no" / "x.tsv", {"x": [("a", 0, 1)]})
    for name, phones in (("a\tb", [("a", 0, 1)]), ("x", [("", 0, 1)]), ("#x", [("a", 0, 1)])):
        with pytest.raises(ValueError, match="cannot stand in a table"):
            save_phones(tmp_path / "x.tsv", {name: phones})
    with pytest.raises(ValueError, match="runs from"):
        save_phones(tmp_path / "x.tsv", {"x": [("a", 1, 0)]})
    save_phones(tmp_path / "x.tsv", {"x": [("a", 0, 1)]})
    with pytest.raises(ValueError, match="names none of these 1 clips"):
        with_phones([data.example()], tmp_path / "x.tsv")
    (tmp_path / "b.tsv").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="UTF-8"):
        load_phones(tmp_path / "b.tsv")


def test_the_loader_reads_the_table(tmp_path, debian):
    pytest.importorskip("av", reason="PyAV is not installed: G.722 cannot be decoded")
    debian(speech._ASTERISK_SOUNDS, "asterisk-core-sounds-en-g722")
    clips = data.allison(limit=3)
    save_phones(tmp_path / "a.tsv", {clips[1].name: [("pau", 0, 0.1), ("ae", 0.1, 0.2)]})
    (only,) = data.allison(limit=3, phones=tmp_path / "a.tsv")
    assert only.name == clips[1].name and only.phones == (("pau", 0, 0.1), ("ae", 0.1, 0.2))
