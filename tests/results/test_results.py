"""Tables: rounded and whole when written, aligned when printed."""

import numpy as np
import pytest

from minigen import results


def test_what_is_written_is_rounded_whole_and_read_back(tmp_path, monkeypatch):
    table = {"rows": {"µ-law": {"a": 1.23456789, "b": float("nan"), "n": 3, "list": (0.1, "x")}}}
    results.write(tmp_path / "table.json", table)
    text = (tmp_path / "table.json").read_text(encoding="utf-8")
    assert "µ-law" in text and text.endswith("\n")
    monkeypatch.setattr(results, "path", lambda name: tmp_path / f"{name}.json")
    assert results.read("table") == {
        "rows": {"µ-law": {"a": 1.235, "b": None, "n": 3, "list": [0.1, "x"]}}
    }
    with pytest.raises(TypeError):
        results.write("table", {"no": object()})
    assert (tmp_path / "table.json").read_text(encoding="utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["table.json"]


@pytest.mark.parametrize(
    "value, text",
    [
        (0.0312, "0.03"),
        (7.25, "7.25"),
        (10.04, "10.0"),
        (99.4, "99.4"),
        (100.4, "100"),
        (5e3, "5,000"),
        (3, "3"),
    ],
)
def test_a_number_has_three_digits_and_a_negative_one_a_sign(value, text):
    shown = lambda x: results.as_text({"row": {"x": x}}).split()[-1]
    assert shown(value) == text and shown(-value) == f"-{text}"


def test_tables_are_aligned_whatever_they_hold():
    rows = {"a": {"x": 1.0, "y": np.float64(0.123)}, "a long name": {"x": 12345.6, "z": "word"}}
    lines = results.as_text(rows).split("\n")
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split() == ["x", "y", "z"]
    assert lines[1].split() == ["a", "1", "0.12", "–"]
    assert lines[2].split() == ["a", "long", "name", "12,346", "–", "word"]
    picked = results.as_text(rows, {"y": "why"}).split("\n")
    assert picked[0].split() == ["why"] and picked[2].split()[-1] == "–"
    assert results.as_text({"a": {"x": float("nan")}}).split()[-1] == "–"
    assert results.as_text({"a": {"x": float("inf")}}).split()[-1] == "inf"
