"""`minigen speak`: any sentence by default, from the line, standard input or a file; `minigen voices`."""

import io
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import tqdm

from minigen import audio, cli, weights
from minigen.commands import progress, speak
from minigen.speech import synthesis


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """minigen with these arguments, in an empty folder -> exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)

    def call(*arguments, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["minigen", *map(str, arguments)])
        stream = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", stream)
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return call


def test_hello_says_hello(run, tmp_path):
    code, out, err = run("speak", "hello")
    # progress, after two seconds of work
    said = re.sub(r"\r(speaking: [^\r]*| *)(?=\r|$)", "", err)
    assert (code, said.strip()) == (0, "") and "spoken.wav" in out
    want = synthesis.speak("hello", voice="allison").audio
    assert np.abs(audio.load(tmp_path / "spoken.wav")[0] - want).max() < 1e-4


def test_a_text_comes_from_the_line_from_standard_input_or_from_a_file(run, tmp_path):
    (tmp_path / "text.txt").write_text("Thank you.\n\nNo.\n", encoding="utf-8-sig")
    # and no mark before it
    assert speak.text_of(None, tmp_path / "text.txt") == "Thank you.\n\nNo.\n"
    lines = ("Thank you.\n\nNo.",), ("-",), ("--file", "text.txt")
    found = []
    for line in lines:
        assert run("speak", *line, "--out", "a.wav", stdin="Thank you.\n\nNo.\n")[0] == 0
        found.append(audio.load(tmp_path / "a.wav")[0])
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])
    for wrong in ((), ("hello", "--file", "text.txt"), ("--file", "none.txt")):
        assert run("speak", *wrong, "--out", "b.wav")[0] == 2
    assert run("speak", "-", "--out", "b.wav")[0] == 2  # nothing to read
    assert not (tmp_path / "b.wav").exists()


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_the_ending_chooses_the_kind_of_file(run, tmp_path, ending):
    assert run("speak", "No.", "--out", f"no.{ending}")[0] == 0
    x, rate = audio.load(tmp_path / f"no.{ending}")
    want = synthesis.speak("No.", voice="allison").audio
    assert rate == 8000 and len(x) == len(want)
    assert np.sqrt(np.mean((x - want) ** 2)) < 0.3 * want.std()


def test_it_plays_or_says_that_nothing_does(run, monkeypatch, tmp_path):
    played = []

    def start(command, **options):
        played.append(command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(speak.subprocess, "run", start)
    for file, program in (("a.wav", "aplay"), ("a.ogg", "ffplay"), ("b.wav", "paplay")):
        monkeypatch.setattr(
            speak.shutil, "which", lambda name, own=program: name in (own, "ffplay")
        )
        assert run("speak", "No.", "--play", "--out", file)[0] == 0
        assert (played[-1][0], played[-1][-1]) == (program, file)
    monkeypatch.setattr(speak.shutil, "which", lambda name: name in ("paplay", "aplay", "ffplay"))
    assert run("speak", "No.", "--play", "--out", "a.ogg")[0] == 0 and played[-1][0] == "ffplay"
    assert len(played) == 4
    monkeypatch.setattr(speak.shutil, "which", lambda name: None)
    code, out, _ = run("speak", "No.", "--play")
    assert code == 0 and "nothing here plays spoken.wav" in out
    assert len(played) == 4
    monkeypatch.setattr(speak.shutil, "which", lambda name: True)
    monkeypatch.setattr(speak.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1))
    assert "nothing here plays" in run("speak", "No.", "--play")[1]


def test_a_teacher_can_be_heard(run, tmp_path):
    assert run("speak", "No.", "--pace", 2, "--model", "teacher", "--out", "t.wav")[0] == 0
    x, _ = audio.load(tmp_path / "t.wav")
    assert x.std() > 0.02


def test_the_voices_that_ship_are_listed(run, tmp_path):
    (tmp_path / "other.safetensors").write_bytes(weights.path("phone_net").read_bytes())
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    code, out, _ = run("voices")
    lines = out.splitlines()
    assert code == 0 and len(lines) == 3
    assert lines[0].split() == ["name", "speaks", "rate", "size", "licence"]
    assert lines[1].startswith("allison") and "8,000 Hz" in lines[1] and "CC BY-SA" in lines[1]
    assert lines[2].startswith("digits") and "MB" in lines[2]
    assert len({re.search("rate|8,000 Hz", line).start() for line in lines}) == 1


def test_it_prints_length_speed_and_how_many_times_the_student_is_faster(run, monkeypatch):
    pieces = lambda *_, **__: iter([np.zeros(8000), np.zeros(4000)])
    monkeypatch.setattr(synthesis, "stream", pieces)
    monkeypatch.setattr(synthesis, "samples_per_second", {"student": 9e3, "teacher": 300.0}.get)
    ticks = iter([0.0, 0.25, 0.5, 0.0, 0.5])
    clock = SimpleNamespace(perf_counter=lambda: next(ticks))
    monkeypatch.setattr(speak, "time", clock)
    said = "spoken.wav: 1.50 s of sound in 0.50 s, 3.0 times real time"
    _, out, _ = run("speak", "1", "--stream", "--voice", "digits")
    assert out == f"{said}, the first piece after 0.25 s\n"
    ticks = iter([0.0, 0.25, 0.5])
    _, out, _ = run("speak", "1", "--compare", "--voice", "digits")
    assert out.splitlines() == [
        said,
        "student 9,000 samples/s, naive teacher 300 samples/s: 30 times as fast",
    ]


def test_progress_is_in_seconds_of_sound(monkeypatch):
    bars, pieces = [], [np.zeros(8000), (np.zeros(4000), np.ones(1))]

    class Bar(tqdm.tqdm):
        def __init__(self, *args, **options):
            super().__init__(*args, **options | {"disable": False, "delay": 99})
            bars.append(self)

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    assert len(list(progress(pieces, 8000, "speaking"))) == 2 and bars[0].n == 1.5
