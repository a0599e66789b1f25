"""A sender passes nothing but what it returns."""

import builtins
import functools
import io
import os
import sys

import numpy as np
import pytest

from minigen.checks.core import CheckFailed
from minigen.checks.reader import Reader
from minigen.checks.sender import sent_alone

INPUTS = [(b"one",), (b"two",)]


def send(function, inputs=INPUTS):
    reader = Reader(function)
    return sent_alone(reader, [reader], inputs, (b"other",)), reader


@pytest.fixture(params=["a copy", "here"])
def place(request, monkeypatch):
    """Where there is no fork, it runs here."""
    if request.param == "here":
        monkeypatch.delattr(os, "fork", raising=False)
    return request.param


def test_what_is_sent_comes_back(place):
    sent, reader = send(lambda data: data[::-1])
    assert sent == [b"eno", b"owt"] and not reader.changed
    table = {}
    sent, _ = send(lambda data: table.setdefault("built once", bytes(3)) + data)
    assert sent == [bytes(3) + b"one", bytes(3) + b"two"]


def test_a_file_is_not_written(place, tmp_path):
    path = tmp_path / "drawer"

    def in_a_file(data):
        path.write_bytes(data)
        return data

    def quietly(data):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
        except OSError:
            pass
        return data

    with pytest.raises(CheckFailed, match="leaves something behind in the file .*drawer"):
        send(quietly)
    with pytest.raises(CheckFailed, match="drawer"):
        send(in_a_file)
    assert not path.exists()
    path.write_bytes(b"12")  # to read is no harm, and here and now it may be written
    assert send(lambda data: path.read_bytes() + data)[0][0] == b"12one"


def test_nor_is_one_that_is_open_already(place, tmp_path):
    path = tmp_path / "drawer"

    def into(handle, write=None):
        def keep(data):
            (write or handle.write)(data)
            return data

        return keep

    with (
        open(path, "wb") as buffered,
        pytest.raises(CheckFailed, match="behind in (the open file|`keep`)"),
    ):
        send(into(buffered))
    with (
        open(path, "wb", 0) as raw,
        pytest.raises(CheckFailed, match="behind in (the open file|`keep`)"),
    ):
        send(into(raw, functools.partial(os.write, raw.fileno())))
    with pytest.raises(CheckFailed, match="behind in `keep`"):
        send(into(io.BytesIO()))


def test_nor_in_a_folder_for_compiled_files(place, tmp_path):
    (tmp_path / "__pycache__").mkdir()
    path = tmp_path / "__pycache__" / "drawer.pyc"
    with pytest.raises(CheckFailed, match="behind in the file .*drawer"):
        send(lambda data: path.write_bytes(data) and data)
    assert not path.exists()


def test_a_module_may_be_imported(place, tmp_path, monkeypatch):
    (tmp_path / "fresh_module.py").write_text("answer = b'42'")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", False)

    def imports(data):
        if data != b"other":
            import fresh_module

            print("to say something is no harm")
            return fresh_module.answer
        return data

    try:
        assert send(imports)[0] == [b"42", b"42"]
    finally:
        sys.modules.pop("fresh_module", None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="its memory is this one")
def test_memory_that_nobody_thinks_of_is_another():
    """Neither built-in names, nor another module, nor the state of a generator come back."""

    def hide(data):
        builtins.kept = np.kept = data
        np.random.seed(list(data))
        return b""

    def in_a_partial(kept, data):
        kept[data] = data
        return b""

    np.random.seed(0)
    try:
        send(hide)
        assert builtins.kept == np.kept == b"other"
        numbers = np.random.random(3)
        np.random.seed(list(b"other"))
        assert np.array_equal(numbers, np.random.random(3))
    finally:
        del builtins.kept, np.kept
    kept = {}
    send(functools.partial(in_a_partial, kept))
    assert list(kept) == [b"other"]


def test_what_can_be_seen_is_named(place):
    kept = []

    def keep(data):
        kept.append(data)
        return data

    with pytest.raises(CheckFailed, match="leaves something behind in `keep`"):
        send(keep)


def test_errors_and_changes_are_the_readers(place):
    with pytest.raises(CheckFailed, match="ZeroDivisionError in line .* `1 / 0|ZeroDivisionError"):
        send(lambda data: 1 / 0 if data != b"other" else data)
    with pytest.raises(CheckFailed, match="return bytes"):
        send(lambda data: data.decode())

    def change(x):
        x[0] = 1
        return b""

    reader = Reader(change)
    sent_alone(reader, [reader], [(np.zeros(2),)], (np.zeros(2),))
    assert list(reader.changed) == ["x"]
