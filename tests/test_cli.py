"""The command line: what it does, and that whatever is typed wrongly is one line, exit code 2, nothing written."""

import inspect
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
import torch
from toy import ROOT
from typer.main import get_command

from minigen import (
    audio,
    cli,
    code_prior,
    conditioning,
    data,
    hmm,
    metrics,
    mixture,
    vae,
    vq,
    weights,
)
from minigen.audio import source_filter
from minigen.checks import grading
from minigen.code_prior import CodePrior
from minigen.distillation import DistillationLoss
from minigen.distributions import GaussianHead
from minigen.generate import ParallelStream, generate
from minigen.made import MADE
from minigen.ngram import NGram
from minigen.notebook import listen, plot
from minigen.parallel_wavenet import Student
from minigen.rnn import RNNLM
from minigen.speech import (
    alignment,
    conversion,
    corpus,
    evaluation,
    objectives,
    own_voice,
    recipe,
    scoreboard,
    sentence_evaluation,
    synthesis,
    training,
    vocoder,
    voice,
    voice_file,
)
from minigen.speech.reader import Reader
from minigen.timeseries import AR, ARFIMA, ARIMA
from minigen.train import TrainConfig
from minigen.wavenet import WaveNet


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with sounds, weights and recipes, sound and damaged."""
    folder = tmp_path_factory.mktemp("cli")
    audio.save(folder / "word.wav", data.example().audio, 8000)
    audio.save(folder / "silence.wav", np.zeros(8000), 8000)
    audio.save(folder / "short.wav", np.ones(50) / 9, 8000)
    (folder / "cut.flac").write_bytes(b"fLaC" + bytes(60))
    sf.write(folder / "empty.wav", np.zeros(0), 8000)
    (folder / "text.wav").write_text("no sound")
    (folder / "text.safetensors").write_text("no weights")
    (folder / "package.json").write_text("{}")
    (folder / "folder").mkdir()
    (folder / "folder.wav").mkdir()
    student = weights.path("digits_student")
    shutil.copy(student, folder / "student.safetensors")
    (folder / "cut.safetensors").write_bytes(student.read_bytes()[:5000])
    flipped = bytearray(student.read_bytes())
    flipped[-100] ^= 1
    (folder / "flipped.safetensors").write_bytes(flipped)
    for name in ("teacher-1", "student"):
        shutil.copy(ROOT / f"training/digits-cpu-{name}.toml", folder / f"{name}.toml")
    (folder / "bad.toml").write_text("kind = ")
    (folder / "latin.toml").write_bytes(b'kind = "\xe9"')
    (folder / "deep.toml").write_text(f"a = {'[' * 3000}{']' * 3000}")
    (folder / "negative.toml").write_text(
        (folder / "student.toml").read_text().replace("stft = 1.0", "stft = -1.0")
    )
    return folder


@pytest.fixture
def run(place, monkeypatch, capsys):
    """minigen with these arguments, in that folder -> exit code, output, errors."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["minigen", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return call


def test_it_says_what_it_is_and_what_it_can(run):
    code, out, _ = run("--version")
    assert code == 0 and out.startswith("minigen 0.")
    code, out, _ = run("--help")
    assert code == 0 and all(
        name in out for name in ("speak", "train", "export", "convert", "vocode")
    )
    for name in ("speak", "pronounce", "train", "export", "align", "convert", "vocode", "evaluate"):
        code, out, _ = run(name, "--help")
        assert code == 0 and "Usage" in out
    assert run()[0] == 0


def test_it_shows_how_a_text_is_read(run, place):
    code, out, err = run("pronounce", "Dr. Lee paid $5. Wind, up!")
    assert (code, err) == (0, "") and out == "doctor lee paid five dollars\nwind up\n"
    (place / "names.txt").write_text("lee l ey\nsiobhan\tsh ax v ao n\n")
    code, out, _ = run("pronounce", "Lee, Siobhan.", "--phones", "--lexicon", "names.txt")
    assert out == "lee siobhan\n    l ey  pau  sh ax v ao n\n"
    code, _, err = run("pronounce", "a 中 b")
    assert code == 2 and err.count("\n") == 1 and "U+4E2D), character 3" in err
    code, out, err = run("pronounce", "a 中 b", "--skip-unknown")
    assert (code, out) == (0, "a b\n") and err.count("\n") == 1 and "left out" in err
    (place / "names.txt").write_text("lee q\nok ow k ey\nsmith\n")
    code, _, err = run("pronounce", "one", "--lexicon", "names.txt")
    assert code == 2 and [line.split(":")[2] for line in err.splitlines()] == (
        [" line 1", " line 3"]
    )
    assert run("speak", "one", "--lexicon", "none.txt")[0] == 2
    assert run(*DIGITS, "one", "--skip-unknown")[0] == 2


def test_a_lexicon_mends_a_name_and_skipping_leaves_a_character_out(run, place):
    (place / "names.txt").write_text("lee hh ax l ow\n")
    options = ("--voice", "allison", "--temperature", 0)
    assert run("speak", "hello", *options, "--out", "a.wav")[0] == 0
    code, _, err = run(
        *("speak", "lee 中", *options, "--lexicon", "names.txt", "--skip-unknown", "--out", "b.wav")
    )
    assert code == 0 and "left out" in err
    assert np.array_equal(audio.load(place / "a.wav")[0], audio.load(place / "b.wav")[0])


def test_it_speaks_vocodes_converts_and_exports(run, place):
    code, out, err = run(*DIGITS, "three one", "--speaker", "awb", "--out", "said.wav", "--seed", 3)
    # progress, after two seconds of work
    said = re.sub(r"\r(speaking: [^\r]*| *)(?=\r|$)", "", err)
    assert code == 0 and "times real time" in out and said.strip() == ""
    x, rate = audio.load(place / "said.wav")
    want = synthesis.speak("three one", speaker="awb", seed=3, voice="digits").audio
    assert rate == 8000 and np.abs(x - want).max() < 1e-4  # 16 bits
    code, out, _ = run(*DIGITS, "one two", "--stream", "--out", "streamed.wav")
    assert code == 0 and "first piece after" in out
    whole = synthesis.speak("one two", voice="digits").audio
    assert np.abs(audio.load(place / "streamed.wav")[0] - whole).max() < 1e-3
    code, out, _ = run("vocode", "word.wav", "--out", "again.wav", "--temperature", 0.7)
    assert code == 0 and "log-mel distance" in out
    x, _ = audio.load(place / "word.wav")
    want = vocoder.vocode(x, 8000, temperature=0.7).audio
    assert np.abs(audio.load(place / "again.wav")[0] - want).max() < 1e-3
    code, out, _ = run("convert", "word.wav", "--to", "rms", "--out", "his.wav")
    assert code == 0 and "in the voice of rms" in out
    pytest.importorskip("onnx", reason='ONNX is optional: pip install "onnx>=1.16"')
    code, out, err = run("export", "student.safetensors", "student.onnx")
    assert code == 0 and (place / "student.onnx").stat().st_size > 100_000, err


DIGITS = ("speak", "--voice", "digits")


class ReachedError(Exception):
    """What a command calls was called."""


#: command: (module and name of what it calls, the least of a line that reaches it)
REACHES = {
    "speak": (synthesis, "stream", ("1", "--voice", "digits")),
    "pronounce": (Reader, "words", ("one",)),
    "train": (training, "train", ("student", "--config", "student.toml", "--out", "run")),
    "align": (alignment, "align_corpus", ("spoken_digits", "--out", "t.tsv")),
    "convert": (conversion, "convert", ("word.wav", "--to", "rms")),
    "vocode": (vocoder, "of_file", ("word.wav",)),
    "evaluate": (evaluation, "digits_table", ()),
    "grade": (grading, "grade", ("a.ipynb",)),
    "voice new": (own_voice, "make", ("anna", "--from", "folder")),
}
NAMED = {"limit": "clips", "to": "to", "from": "folder", "stream": "chunk", "per_word": "per_word"}
NAMED |= {"teacher": "teacher_file", "student": "student_file"}  # the rest as the option itself
VALUES = {"model": "mine", "voice": "allison", "speaker": "awb", "to": "awb", "licence": "CC0"}
VALUES |= {
    "model of vocode": "teacher",
    "lexicon": "short.txt",
    "from": "names",
    "teacher": "a",
    "student": "b",
}
VALUES |= dict.fromkeys(("pace", "pitch", "temperature", "minutes"), 0.75)
VALUES |= dict.fromkeys(("seed", "until", "limit", "workers", "per_word", "seconds"), 3)
BECOMES = {f"lexicon of {c}": {"lee": [("l", "ey")]} for c in ("speak", "pronounce", "align")}
BECOMES["chunk of speak"] = 48  # what is given, where that is something else
#: those that decide what is called: beside it, too
SENTENCES = (sentence_evaluation, "sentence_table", ("--voice", "allison", "--phones", "t.tsv"))
INSTEAD = {"phones of evaluate": SENTENCES, "voice of evaluate": SENTENCES}
INSTEAD["model of convert"] = conversion, "load", REACHES["convert"][2]
INSTEAD["voice of pronounce"] = voice_file, "reader_of", ("one",)
NAMED |= dict.fromkeys(("voice of evaluate", "voice of pronounce", "model of convert"), "name")
VALUES |= {
    "voice of evaluate": "mine",
    "voice of pronounce": "mine",
    "phones of evaluate": "names.tsv",
}
ELSEWHERE = {"out", "play", "compare", "file", "config", "phones of pronounce", "workers of grade"}


def options():
    """(command, option) of each option that there is."""
    commands = {**get_command(cli.app).commands}
    commands |= {f"voice {name}": c for name, c in commands.pop("voice").commands.items()}
    for name, command in commands.items():
        for option in (o for o in command.params if o.param_type_name == "option"):
            title = option.opts[-1].strip("-").replace("-", "_")
            if title != "help" and not {title, f"{title} of {name}"} & ELSEWHERE:
                yield pytest.param(name, option, id=f"{name} --{title}")


def plain(value):
    """What can be compared of what a function was given."""
    if isinstance(value, list):
        return len(value)
    known = isinstance(value, str | int | float | dict | Path | None)
    return str(value) if isinstance(value, Path) else value if known else None


@pytest.mark.parametrize("command, option", list(options()))
def test_every_option_changes_the_one_argument_of_its_name(
    run, place, monkeypatch, command, option
):
    """To what was given, and no other: none is left out, none is taken for another."""
    title = option.opts[-1].strip("-").replace("-", "_")
    module, name, least = INSTEAD.get(f"{title} of {command}", REACHES[command])
    names, given = list(inspect.signature(getattr(module, name)).parameters), []

    def reached(*args, **kwargs):
        given.append({k: plain(v) for k, v in {**dict(zip(names, args)), **kwargs}.items()})  # noqa: B905
        raise ReachedError

    monkeypatch.setattr(module, name, reached)
    (place / "short.txt").write_text("lee l ey\n")
    (place / "names").mkdir(exist_ok=True)
    (place / "a.ipynb").write_text("{}")
    value = VALUES.get(f"{title} of {command}", VALUES.get(title, True))
    flag = [option.opts[-1]] + [str(value)] * (not option.is_flag)
    for more in ([], flag):
        with pytest.raises(ReachedError):
            monkeypatch.setattr(sys, "argv", ["minigen", *command.split(), *least, *more])
            cli.main()
    usual, now = given
    argument = NAMED.get(f"{title} of {command}", NAMED.get(title, title))
    also = {"transcripts"} if title == "limit" else set()  # a list as long as that of the clips
    assert {k for k in now if now[k] != usual.get(k)} == {argument} | also
    assert now[argument] == BECOMES.get(f"{argument} of {command}", value)


@pytest.mark.parametrize("name", ["allison", "cmu_arctic", "fsdd", "ljspeech", "vctk"])
def test_align_reads_no_more_of_a_corpus_than_it_is_asked_for(run, monkeypatch, name):
    asked = []
    monkeypatch.setattr(data, name, lambda **given: asked.append(given) or [data.example()])
    monkeypatch.setattr(alignment, "align_corpus", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("align", name, "--out", "t.tsv", "--limit", 3)
    assert asked == [{"limit": 3}]


def test_pronounce_asks_the_voice_how_it_says_a_word(run, place):
    found = voice_file.find("allison")
    voice_file.save(replace(found, reader=Reader()), place / "plain.safetensors")
    assert "m eh s ih jh" in run("pronounce", "message", "--phones")[1]
    assert "m eh s ax jh" in run("pronounce", "message", "--phones", "--voice", "plain")[1]


TRAIN = ("train", "student", "--config", "student.toml", "--out", "run")
LONG = "a" * 399 + " " + "b" * 800 + " " + "c" * 189


@pytest.mark.parametrize(
    "error, code, said",
    [
        (
            KeyboardInterrupt("at step 3: go on with --resume"),
            130,
            "at step 3: go on with --resume",
        ),
        (KeyboardInterrupt(), 130, "stopped"),
        (MemoryError(), 2, "MemoryError"),
        (FloatingPointError("no number"), 2, "no number"),
        (ImportError("pip install it"), 2, "pip install it"),
        (PermissionError(13, "Permission denied", "run"), 2, "[Errno 13] Permission denied: 'run'"),
        (ValueError("one\n  two"), 2, "one two"),
        (ValueError("a" * 600), 2, "a" * 600),
        (ValueError(LONG), 2, f"{LONG[:400]} … {LONG[-190:]}"),
    ],
)
def test_what_stops_a_command_is_one_line_and_an_exit_code(run, monkeypatch, error, code, said):
    def stop(*_):
        raise error

    monkeypatch.setattr(training, "train", stop)
    assert run(*TRAIN) == (code, "", f"minigen: {said}\n")


def test_a_fault_of_the_programs_own_is_not_hidden(run, monkeypatch):
    monkeypatch.setattr(training, "train", lambda *_: {}["loss"])
    with pytest.raises(KeyError, match="loss"):
        run(*TRAIN)


def test_a_wrong_line_says_which_help_there_is(run):
    said = run("voice", "new", "--loud")[2]  # the program's own name is pytest's here
    assert said.endswith("minigen voice new --help shows what there is)\n")


def test_training_prints_its_last_metrics_and_of_several_processes_one_does(run, monkeypatch):
    metrics = {"loss": 1.23456, "kl": -0.5}
    monkeypatch.setattr(training, "train", lambda *_: metrics)
    assert run(*TRAIN) == (0, "loss 1.235  kl -0.500\n", "")
    for rank, said in (
        ("0", "run had come to that step already: nothing was left to do\n"),
        ("1", ""),
    ):
        monkeypatch.setenv("RANK", rank)
        metrics.clear()
        assert run(*TRAIN) == (0, said, "")


def test_evaluate_prints_its_table_and_says_on_stderr_what_it_is_at(run, monkeypatch):
    def table(*given):
        given[-1]("measuring")
        return {"student": {"mcd": 3.14159}}

    monkeypatch.setattr(evaluation, "digits_table", table)
    assert run("evaluate") == (0, "          mcd\nstudent  3.14\n", "measuring\n")
    monkeypatch.setattr(sentence_evaluation, "sentence_table", lambda *given: (table(*given), []))
    monkeypatch.setattr(sentence_evaluation, "as_text", str)
    said = run("evaluate", "--voice", "allison", "--phones", "t.tsv")
    assert said == (0, "{'student': {'mcd': 3.14159}}\n", "measuring\n")


NUMBERS = ["", "x", "nan", "inf", "-inf", "1e400", "--", "0x1", "1,5"]
FACTORS = [*NUMBERS, "0", "-1", "0.49", "2.01", "1e38"]
SCALES = [*NUMBERS[:5], "-1", "-0.001", "101", "1e38"]
SEEDS = [*NUMBERS, "-1", "1.5", str(2**64), str(2**63), "1e3", str(10**40)]
OUTS = [
    "",
    "x",
    "x.m4a",
    "x.txt",
    "folder",
    "folder.wav",
    "nowhere/a.wav",
    ".wav",
    "text.safetensors/a.wav",
]
MODELS = [
    "",
    "none",
    "no.safetensors",
    "text.safetensors",
    "cut.safetensors",
    "flipped.safetensors",
    "folder",
]
MODELS += ["word.wav", str(weights.path("rnn_characters")), str(weights.path("digits_flow"))]
SOUNDS = [
    "",
    "no.wav",
    "folder",
    "silence.wav",
    "short.wav",
    "cut.flac",
    "empty.wav",
    "text.wav",
    "student.toml",
]
RECIPES = [
    "",
    "no.toml",
    "folder",
    "bad.toml",
    "latin.toml",
    "deep.toml",
    "negative.toml",
    "word.wav",
]
TEXTS = [
    "",
    " ",
    "...",
    "hello",
    "$",
    "<",
    "\x00",
    "4 x",
    "\u202e",
    "é",
    "9" * 3 + "x" * 100_000,
    "…" * 10_000,
]
READABLE = {"hello", "$", "<", "4 x", "é", TEXTS[-2]}  # by a voice that reads any text


def table():
    """Command lines that are wrong in one place each."""
    lines = [
        (),
        ("speek",),
        ("--nothing",),
        ("speak", "1", "2"),
        ("speak", "1", "--loud"),
    ][1:]
    lines += [(*DIGITS, text) for text in TEXTS] + [(*DIGITS, text, "--stream") for text in TEXTS]
    lines += [("speak", text) for text in TEXTS if text not in READABLE]
    lines += [("speak",), ("speak", "1", "--file", "names.txt"), ("speak", "--file", "folder")]
    lines += [("speak", "--file", "word.wav"), ("speak", "1", "--voice", "student.safetensors")]
    for option, values in (
        ("--pace", FACTORS),
        ("--pitch", FACTORS),
        ("--temperature", SCALES),
        ("--seed", SEEDS),
        ("--out", OUTS),
        ("--model", MODELS[1:]),
        ("--speaker", ["", "bob", "SLT", "slt rms", "allison"]),
        ("--voice", ["", "bob", "vocoder", "Digits"]),
    ):
        lines += [("speak", "1", option, value) for value in values if value != "allison"]
        lines += [(*DIGITS, "1", "--stream", option, value) for value in values]
    lines += [
        ("speak", "1", "--compare", "--stream"),
        ("speak", "1", "--compare", "--voice", "allison"),
        (*DIGITS, "1", "--compare", "--stream"),
    ]
    lines += [("speak", "1", "--model", "teacher", "--stream")]
    for name, more in (("vocode", ()), ("convert", ("--to", "rms"))):
        lines += [(name,)] + [(name, sound, *more) for sound in SOUNDS]
        for option, values in (("--temperature", SCALES), ("--seed", SEEDS), ("--out", OUTS)):
            lines += [(name, "word.wav", *more, option, value) for value in values]
        lines += [(name, "word.wav", *more, "--model", value) for value in MODELS[1:]]
    lines += [
        ("vocode", "word.wav", "--model", "student.safetensors"),
        ("vocode", "word.wav", "--out", "word.wav"),
    ]
    lines += [("convert", "word.wav", "--to", who) for who in ("", "bob", "jackson", "SLT")]
    lines += [("convert", "word.wav"), ("convert", "word.wav", "--to", "slt", "--model", "fsdd")]
    for kind in ("teacher", "student"):
        lines += [("train", kind, "--config", given, "--out", "run") for given in RECIPES]
        other = "student.toml" if kind == "teacher" else "teacher-1.toml"
        lines += [
            ("train", kind, "--config", other, "--out", "run"),
            ("train", kind, "--out", "run"),
        ]
        lines += [("train", kind, "--config", f"{kind}.toml")]
    lines += [
        ("train", "teacher", "--config", "teacher-1.toml", "--out", "run", "--until", n)
        for n in ("0", "-1", "x")
    ]
    lines += [
        ("train", "teacher", "--config", "teacher-1.toml", "--out", "word.wav"),
        ("train", "voice"),
    ]
    lines += [
        ("export", given, "new.safetensors") for given in (*MODELS[1:], "student.safetensors")
    ]
    lines += [
        ("export", "student.safetensors", out)
        for out in ("student.safetensors", "x.wav", "folder", "package.safetensors")
    ]
    lines += [("export", given, "x.onnx") for given in MODELS[1:]] + [
        ("export",),
        ("export", "student.safetensors"),
    ]
    lines += [("align", name, "--out", "t.tsv") for name in ("", "bob", "festvox_ru", "folder")]
    lines += [
        ("align", "spoken_digits", "--out", "t.tsv", "--limit", n) for n in ("0", "-1", "x", "1.5")
    ]
    lines += [
        ("align", "spoken_digits", "--out", "t.tsv", "--workers", n)
        for n in ("0", "-1", "x", "1e9")
    ]
    lines += [("align", "spoken_digits", "--out", "folder"), ("align", "spoken_digits"), ("align",)]
    lines += [("evaluate", "--per-word", n) for n in ("0", "-1", "x")] + [
        ("evaluate", "--voice", "bob"),
        ("evaluate", "--phones", "t.tsv"),
    ]
    lines += [("evaluate", "--student", given) for given in MODELS[1:]]
    return lines


def test_whatever_is_wrong_is_one_line_with_exit_code_2_and_writes_nothing(run, place):
    lines, wrong = table(), []
    assert len(lines) >= 300 and len(set(lines)) == len(lines)
    before = sorted(path.name for path in place.rglob("*"))
    for line in lines:
        try:
            code, out, err = run(*line)
            good = code == 2 and out == "" and err.startswith("minigen: ") and err.count("\n") == 1
            if not (good and len(err) < 700 and "Traceback" not in err):
                wrong.append((line, code, out[:80], err[:200]))
        except BaseException as error:  # noqa: BLE001
            wrong.append((line, repr(error)[:200]))
    assert wrong == []
    assert sorted(path.name for path in place.rglob("*")) == before


# ---------------------------------------------------------------- library calls

THINGS = [
    None,
    -1,
    0,
    1.5,
    float("nan"),
    float("inf"),
    2**70,
    "",
    "x",
    b"x",
    [],
    [1],
    {},
    object(),
    True,
]
THINGS += [np.zeros(3), np.zeros((2, 900)), Ellipsis, print]
WORD = data.example().audio
CALLS = {
    synthesis.speak: {
        "text": "1",
        "speaker": "slt",
        "pace": 1.0,
        "pitch": 1.0,
        "seed": 0,
        "temperature": 1.0,
    }
    | {"voice": "digits", "model": "student"},
    vocoder.vocode: {
        "x": WORD[:800],
        "rate": 8000,
        "model": "student",
        "seed": 0,
        "temperature": 1.0,
    },
    voice.load: {"kind": "student", "path": str(weights.path("digits_student"))},
    recipe.Recipe.from_dict: {"raw": {}},
    training.export: {"checkpoint": "no.safetensors", "path": "no.wav"},
}


def test_library_calls_refuse_in_their_own_words(tmp_path, monkeypatch):
    """A wrong argument either does (as 0 for a seed) or raises an error of the library's, in one line."""
    monkeypatch.chdir(tmp_path)
    wrong, calls = [], 0
    for function, usual in CALLS.items():
        for name in usual:
            for thing in THINGS:
                calls += 1
                try:
                    function(**usual | {name: thing})
                except (ValueError, TypeError, OSError) as error:
                    last = error.__traceback__
                    while last.tb_next:
                        last = last.tb_next
                    own = (
                        "minigen" in last.tb_frame.f_code.co_filename
                        or "pathlib" in last.tb_frame.f_code.co_filename
                    )
                    if not own or "\n" in str(error) or len(str(error)) > 600:
                        wrong.append((function.__name__, name, thing, repr(error)[:150]))
                except Exception as error:  # noqa: BLE001
                    wrong.append((function.__name__, name, thing, repr(error)[:150]))
    assert calls >= 200
    assert wrong == []
    assert list(tmp_path.iterdir()) == []


NET = WaveNet(GaussianHead(), residual=4, skip=4, layers=2, cycles=1)
STUDENT, CODES = Student(1, 2, 4), vq.VectorQuantizer(4, 2)
NOTHING, SILENT = np.zeros(0), np.zeros((32, 0))
#: calls of the book's functions, each wrong in one place: empty, of another kind, another size, out of range
WRONG = {
    "waves": [
        lambda: audio.frame_length(8000, np.inf),
        lambda: audio.speech_level(WORD, 0),
        lambda: audio.speech_level(WORD, 50),
        lambda: audio.to_level(WORD, 80),
        lambda: audio.resample(WORD, 8000, -1),
        lambda: audio.stft(WORD, 512, 0),
        lambda: audio.istft(np.zeros((257, 0))),
        lambda: audio.griffin_lim(None),
        lambda: audio.pitch.f0(WORD, 8000, hop=0),
        lambda: audio.pitch.f0(WORD, 8000, hop=np.nan),
        lambda: plot.waveform(WORD, 0),
        lambda: plot.spectrogram(WORD, 0),
        lambda: plot.spectrogram(NOTHING, 8000),
        lambda: listen(WORD, 8000, ""),
    ],
    "counts and sizes": [
        lambda: mixture.kmeans(np.eye(5), 0),
        lambda: mixture.kmeans(np.eye(5), 2.5),
        lambda: mixture.kmeans(np.eye(5), 2, rounds=0),
        lambda: mixture.GaussianMixture(0),
        lambda: mixture.GaussianMixture(2, n_init="a"),
        lambda: hmm.GaussianHMM(2.5),
        lambda: hmm.GaussianHMM(2).fit([]),
        lambda: hmm.viterbi(np.zeros((3, 2)), np.zeros((2, 2)), np.zeros(2), beam=-1),
        lambda: hmm.viterbi(np.zeros((3, 2)), np.zeros((2, 2)), np.zeros(2), beam=np.nan),
        lambda: WaveNet(GaussianHead(), cond_channels=-1),
        lambda: WaveNet(GaussianHead(), lpc_order=-1),
        lambda: WaveNet(GaussianHead(), speakers=-1),
        lambda: CodePrior(4, hidden=4).sample(-1),
        lambda: vae.VAE(4, 2).sample((-1,)),
        lambda: generate(NET, n_samples=0),
        lambda: Student(0),
    ],
    "tensors": [
        lambda: NET(None),
        lambda: NET(torch.zeros(1, 1, 0)),
        lambda: NET(torch.zeros(1, 1, 5, dtype=torch.long)),
        lambda: NET(torch.zeros(3, 5)),
        lambda: CODES.nearest(None),
        lambda: CODES(torch.zeros(3, 3)),
        lambda: CODES.embed(torch.tensor([7])),
        lambda: vq.jitter(torch.zeros(1, 2, 3), torch.zeros(1, 3)),
        lambda: vae.elbo(vae.VAE(4, 2), None),
        lambda: vae.elbo(vae.VAE(4, 2), torch.zeros(3, 5)),
        lambda: MADE(3).log_prob(None),
        lambda: MADE(3).log_prob(torch.zeros(2, 4)),
        lambda: NGram(5, 2).fit([]),
        lambda: RNNLM(5, 4).log_prob(None),
        lambda: RNNLM(5, 4).log_prob(torch.zeros(1, 3)),
        lambda: ParallelStream(STUDENT)(torch.zeros(5)),
        lambda: ParallelStream(STUDENT)(torch.zeros(2, 1, 5)),
        lambda: ParallelStream(STUDENT)(torch.zeros(1, 1, 0)),
    ],
    "nothing at all": [
        lambda: metrics.summarise([]),
        lambda: metrics.summarise([{"a": 1.0}, {"b": 1.0}]),
        lambda: metrics.compare([], [], 8000),
        lambda: scoreboard.measure([], []),
        lambda: metrics.permutation_test([]),
        lambda: metrics.wilson_interval(5, np.inf),
        lambda: metrics.wilson_interval(np.nan, 10),
        lambda: code_prior.ngram_nats(2, [], [], 4),
        lambda: conditioning.frame_features([], np.zeros(3)),
        lambda: conditioning.planned_features([], np.zeros(3), conditioning.DIGITS),
        lambda: conditioning.phase_features(np.zeros(80), NOTHING),
        lambda: conditioning.phase(np.full(3, 100.0), 0),
        lambda: conditioning.words_of(5),
        lambda: voice_file.find("allison").prosody.plan(times=[]),
        lambda: corpus.read("nothing", 8000),
    ],
    "sound from features": [
        lambda: vocoder.synthesise(SILENT, NOTHING),
        lambda: vocoder.synthesise(np.zeros((3, 10)), np.zeros(10)),
        lambda: vocoder.synthesise(np.zeros((32, 10)), np.zeros(9)),
        lambda: vocoder.synthesise(np.zeros((32, 10)), np.zeros(10), seed="a"),
        lambda: vocoder.synthesise(np.zeros((32, 10)), np.zeros(10), temperature=-1),
        lambda: conversion.sample_word("slt", seed="a"),
        lambda: conversion.sample_word("slt", "eleven"),
        lambda: conversion.convert(NOTHING, "slt"),
    ],
}


@pytest.mark.parametrize("kind", WRONG)
def test_functions_of_the_book_refuse_what_they_cannot_take(kind):
    for index, call in enumerate(WRONG[kind]):
        with pytest.raises((ValueError, TypeError)) as caught:
            call()
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 600, (kind, index)


#: a function, what else it is given, its options of which none may be NaN, which every comparison with `<` lets through
NUMBERS = [
    (
        DistillationLoss,
        (STUDENT, NET),
        "penalty stft power mel beta kl perceptual contrastive margin",
    ),
    (plot.waveform, (WORD,), "rate"),
    (plot.spectrogram, (WORD,), "rate"),
    (audio.to_level, (WORD, 8000), "level"),
    (source_filter.excitation, (np.full(20, 100.0), 8000), "buzz"),
    (mixture.GaussianMixture, (2,), "floor tol"),
    (hmm.GaussianHMM, (2,), "floor tol"),
    (hmm.left_to_right, (3,), "stay"),
    (hmm.viterbi, (np.zeros((3, 2)), np.zeros((2, 2)), np.zeros(2)), "beam"),
    (generate, (NET,), "temperature"),
    (CodePrior(4, hidden=4).sample, (1,), "temperature top_p"),
    (RNNLM(5, 4).sample, ((1,), 5), "temperature top_p"),
    (NGram, (5,), "alpha"),
    (vae.elbo, (vae.VAE(4, 2), torch.zeros(3, 4)), "beta free_bits"),
    (vq.VectorQuantizer, (4, 2), "decay smoothing dead"),
    (metrics.wilson_interval, (3, 5), "confidence"),
    (conditioning.plan, ("seven", "slt"), "pace pitch"),
    (synthesis.speak, ("seven",), "pace pitch temperature"),
    (vocoder.synthesise, (np.zeros((32, 10)), np.zeros(10)), "temperature"),
    (AR.from_parameters, ([0.5],), "intercept sigma"),
    (ARFIMA.from_parameters, (0.2,), "mean sigma"),
    (ARIMA.from_parameters, (), "mean sigma"),
    (objectives.Likelihood, (NET,), "beta"),
    (TrainConfig, (10,), "rate clip"),
]


def test_nan_is_no_option():
    """It is refused by the option's name, before it has become the sound or the figures."""
    for function, given, names in NUMBERS:
        for name in names.split():
            with pytest.raises(ValueError, match=rf"\b{name}\b.*\bnan\b"):
                function(*given, **{name: np.nan})


def ticking(*times):
    """The module `time`, on a clock that is read so many times."""
    ticks = iter(times)
    return SimpleNamespace(perf_counter=lambda: next(ticks))


def test_align_prints_how_far_it_is_from_the_known_times(run, monkeypatch):
    """Every boundary 5 ms late, but one in four 25 ms."""

    def late(clips, transcripts, **options):
        wrong = lambda n: 0.025 if n % 4 == 3 else 0.005
        moved = lambda phones: [
            (name, a + wrong(n) * (n > 0), b + wrong(n + 1))
            for n, (name, a, b) in enumerate(phones)
        ]
        found = {clip.name: moved(clip.phones) for clip in clips[1:]}  # the first was bad
        return found, SimpleNamespace(history=[-9, -7])

    monkeypatch.setattr(alignment, "align_corpus", late)
    word = data.spoken_digits()[0]
    long = replace(word, phones=[("pau", 0.04 * k, 0.04 * k + 0.04) for k in range(9)])
    clips = [replace(long, name=str(n)) for n in range(31)]
    monkeypatch.setattr(data, "spoken_digits", lambda: clips)
    _, out, _ = run("align", "spoken_digits", "--out", "late.tsv")
    assert (
        f"30 clips, {30 * long.duration / 60:.1f} minutes, 270 phones" in out
        and "-9.00 -> -7.00" in out
    )
    assert out.strip().endswith("error 5.0 ms, mean 10.0 ms, within 20 ms 75%")


def test_vocode_prints_length_speed_and_distance(run, monkeypatch):
    """A distance of 2 dB in one second and of 8 dB in half of one: 4 dB."""
    pieces = [(np.full(n, 0.1), np.full(n, level)) for n, level in ((8000, 2.0), (4000, 8.0))]
    monkeypatch.setattr(vocoder, "of_file", lambda *given: iter(pieces))
    monkeypatch.setattr(metrics, "log_mel_distance", lambda made, recorded, rate: recorded[0])
    monkeypatch.setattr(cli, "time", ticking(0.0, 0.3))
    _, out, _ = run("vocode", "word.wav", "--out", "timed.wav")
    said = (
        "1.50 s of sound in 0.30 s, 5.0 times real time; log-mel distance to the recording 4.0 dB"
    )
    assert out == f"timed.wav: {said}\n"


def test_export_prints_megabytes(run, place):
    pytest.importorskip("onnx", reason='ONNX is optional: pip install "onnx>=1.16"')
    _, out, _ = run("export", "student.safetensors", "sized.onnx")
    assert out == f"sized.onnx: {(place / 'sized.onnx').stat().st_size / 1e6:.2f} MB\n"
