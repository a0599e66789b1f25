"""A sign of life: in a terminal, a command that writes nothing for a while says for how long it has been at work."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

CLEAR = "\r\x1b[K"


class _Watched:
    """A stream that tells `note` of each write before it is made."""

    def __init__(self, stream, note) -> None:
        self._stream, self._note = stream, note

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._note()
        return self._stream.write(text)


@contextmanager
def alive(silence: float = 1.5) -> Iterator[None]:
    """While nothing is written, a line on stderr says for how long work goes on; the next output takes its place.

    Only where stderr is a terminal: a file or a pipe gets what the command says, and no more.

    Args: silence: seconds after which the line appears, and between its changes.
    """
    out, err = sys.stdout, sys.stderr
    if not err.isatty():
        yield
        return
    lock, done = threading.RLock(), threading.Event()
    begin = last = time.monotonic()
    shown = False

    def note() -> None:
        nonlocal last, shown
        with lock:
            if shown:
                err.write(CLEAR)
                err.flush()
            last, shown = time.monotonic(), False

    def watch() -> None:
        nonlocal last, shown
        while not done.wait(silence / 6):
            with lock:
                now = time.monotonic()
                if now - last >= silence:
                    err.write(f"{CLEAR}… {now - begin:.0f} s")
                    err.flush()
                    last, shown = now, True

    thread = threading.Thread(target=watch, daemon=True)
    sys.stdout, sys.stderr = _Watched(out, note), _Watched(err, note)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        note()
        sys.stdout, sys.stderr = out, err
