"""`minigen voice new`: its arguments reach the library, and what is wrong is said before any work."""

import sys

import pytest
import torch

from minigen import cli
from minigen.speech import own_voice


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["minigen", "voice", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return call


def test_its_arguments_are_those_of_make(run, tmp_path, monkeypatch):
    asked = []

    def make(*given):
        asked.append(given)
        (tmp_path / "anna.safetensors").write_bytes(bytes(2_340_000))
        return {
            "F0, error in %": {"this voice": 9.5, "baseline": 20.0},
            "minutes": {"student": 3.0},
        }

    monkeypatch.setattr(own_voice, "make", make)
    options = ("--minutes", 5, "--lexicon", "w.txt", "--licence", "CC0", "--skip-bad")
    code, out, _ = run("new", "anna", "--from", "mine", *options, "--workers", 3)
    name, folder, _, minutes, lexicon, licence, skip, workers = asked[0][:8]
    assert (code, name, str(folder), minutes, str(lexicon)) == (0, "anna", "mine", 5.0, "w.txt")
    assert (licence, skip, workers) == ("CC0", True, 3)
    assert "9.5" in out and "baseline" in out and "student 3" in out
    assert out.endswith('anna.safetensors: 2.3 MB; minigen speak "…" --voice anna\n')
    code, _, err = run("new", "anna", "--from", "mine")
    assert code == 2 and "anna.safetensors exists" in err
    for name in ("../bert", "a b", "-bert", "digits", "allison"):
        assert run("new", "--from", "mine", "--", name)[0] == 2
    assert len(asked) == 1


def test_what_is_wrong_is_said_at_once(run, tmp_path):
    (tmp_path / "empty").mkdir()
    for line in (
        ("new", "anna"),
        ("new", "anna", "--from", "none"),
        ("new", "anna", "--from", "empty"),
        ("new", "allison", "--from", "empty"),
        ("new", "../anna", "--from", "empty"),
        ("new", "anna", "--from", "empty", "--minutes", "0"),
        ("new", "anna", "--from", "empty", "--lexicon", "none.txt"),
    ):
        code, out, err = run(*line)
        assert code == 2 and out == "" and err.splitlines()[-1].startswith("minigen: "), line
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
