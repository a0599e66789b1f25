"""A sign of life where somebody looks, nothing where nobody does."""

import io
import sys
import threading
from types import SimpleNamespace

import pytest

from minigen import cli
from minigen.commands import alive as module
from minigen.commands.alive import CLEAR, alive


class Terminal(io.StringIO):
    """A stream that says it is one, and when something of a kind was written to it."""

    def __init__(self):
        super().__init__()
        self.signs = threading.Semaphore(0)

    def isatty(self):
        return True

    def write(self, text):
        if "…" in text:
            self.signs.release()
        return super().write(text)


def test_a_terminal_sees_that_work_goes_on_and_then_only_what_was_said(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "stdout", screen)
    with alive(silence=0.01):
        assert screen.signs.acquire(timeout=60) and screen.signs.acquire(timeout=60)
        others = set(threading.enumerate()) - {threading.main_thread()}
        assert all(thread.daemon for thread in others)  # none keeps a program from its end
        print("made", file=sys.stdout)
    assert sys.stderr is screen is sys.stdout
    lines = screen.getvalue().split(CLEAR)
    assert lines[0] == "" and lines[1].startswith("… ") and lines[1].endswith(" s")
    assert [one for one in lines if one and "…" not in one] == ["made\n"]
    assert screen.getvalue().endswith(("made\n", CLEAR))


def test_a_pipe_gets_what_the_command_says_and_no_more(monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    before = threading.active_count()
    with alive(silence=0.0):
        assert sys.stderr is pipe and threading.active_count() == before
    assert pipe.getvalue() == ""


def test_an_error_leaves_the_streams_as_they_were(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with pytest.raises(KeyboardInterrupt), alive(silence=0.01):
        raise KeyboardInterrupt
    assert sys.stderr is screen


def test_signs_come_within_two_seconds_and_say_how_long_it_has_been(monkeypatch):
    """On a clock that is moved by whoever waits: as `minigen.cli.main` calls it."""
    screen, clock, at = Terminal(), [0.0], []

    class Moved(threading.Event):
        def wait(self, timeout=None):
            if screen.getvalue().count("…") > len(at):
                at.append(clock[0])
            if len(at) == 2 or clock[0] > 60:
                return super().wait()
            clock[0] += timeout
            return self.is_set()

    threads = SimpleNamespace(Event=Moved, Thread=threading.Thread, RLock=threading.RLock)
    monkeypatch.setattr(module, "threading", threads)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(sys, "stderr", screen)

    def command(**_):
        assert screen.signs.acquire(timeout=60) and screen.signs.acquire(timeout=60)

    monkeypatch.setattr(cli, "app", command)
    with pytest.raises(SystemExit):
        cli.main()
    assert at[0] <= 2 and at[1] <= 4
    lines = [line for line in screen.getvalue().split(CLEAR) if line]
    assert lines == [f"… {seconds:.0f} s" for seconds in at]
