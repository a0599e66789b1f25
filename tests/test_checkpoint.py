"""What a resumed run finds again: settings compared, generators restored, a folder for one run."""

import os
import random
import signal
import threading

import numpy as np
import pytest
import torch

from minigen import checkpoint


def test_only_what_may_change_may_differ():
    then = {"run": {"rate": 0.1, "steps": 9, "every": 3}, "recipe": {"data": {"seed": 0}, "a": [1]}}
    now = {"run": {"rate": 0.1, "steps": 8, "every": 4}, "recipe": {"data": {"seed": 0}, "a": (1,)}}
    assert checkpoint.changes(then, now) == []
    for table, key, value in (("run", "rate", 0.2), ("recipe", "b", 1), ("recipe", "a", [2])):
        other = now | {table: now[table] | {key: value}}
        (line,) = checkpoint.changes(then, other)
        assert line.startswith(f"{table}.{key} ") and line.endswith(f"-> {value}")
    assert checkpoint.changes(then, now | {"recipe": {"a": [1]}}) == ["recipe.data.seed 0 -> None"]


def test_random_state_holds_every_generator():
    draw = lambda: (random.random(), np.random.normal(), np.random.rand(), torch.randn(2).tolist())
    random.gauss(0, 1), np.random.normal()  # half of a pair is waiting in each
    state = checkpoint.random_state(torch.device("cpu"))
    first = draw()
    assert draw() != first
    checkpoint.set_random_state(state, torch.device("cpu"))
    assert draw() == first


def test_a_folder_is_for_one_run_and_is_swept(tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    for name in (".checkpoint.safetensors.77.partial", "checkpoint.safetensors", "mine.txt"):
        (tmp_path / name).touch()
    with checkpoint.alone_in(tmp_path, file, True):
        assert not list(tmp_path.glob("*.partial")) and file.exists()
        with (
            pytest.raises(BlockingIOError, match="another run"),
            checkpoint.alone_in(tmp_path, file, True),
        ):
            pass
    with checkpoint.alone_in(tmp_path, file, True):
        assert (tmp_path / "mine.txt").exists()
        (tmp_path / ".checkpoint.safetensors.78.partial").touch()
        with checkpoint.alone_in(tmp_path, file, False):  # another process of the same run
            assert (tmp_path / ".checkpoint.safetensors.78.partial").exists()


def test_a_second_ctrl_c_interrupts_at_once():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), checkpoint.ctrl_c_waits() as asked:
        os.kill(os.getpid(), signal.SIGINT)
        assert asked == [signal.SIGINT]
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_where_no_signal_can_be_caught_a_run_goes_on_without():
    found = []

    def elsewhere():
        with checkpoint.ctrl_c_waits() as asked:
            found.append(asked)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [[]]
