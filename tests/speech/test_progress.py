"""A command that works says so."""

import threading

import pytest

from minigen.speech.progress import stages


def test_stages_are_said_and_dots_follow(capsys, monkeypatch):
    ticks = iter([False, False, True])
    beaten = threading.Event()

    class Clock(threading.Event):
        def wait(self, timeout=None):
            if timeout is None:
                return super().wait()
            over = next(ticks)
            if over:
                beaten.set()
            return over

    monkeypatch.setattr("minigen.speech.progress.threading.Event", Clock)
    with stages() as report:
        beaten.wait(30)
        report("one")
        report("two")
    assert capsys.readouterr().err == "..\none \ntwo \n"


def test_what_says_nothing_leaves_nothing(capsys):
    with pytest.raises(ValueError), stages():
        raise ValueError
    assert capsys.readouterr().err == ""
