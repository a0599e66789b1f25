"""What a long command is doing, on stderr, never silent for more than a second."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stages() -> Iterator[Callable[[str], None]]:
    """report(stage) says what is being done, each stage on a line; a dot a second says that it still is."""
    done, said = threading.Event(), []

    def write(text: str) -> None:
        said.append(text)
        print(text, end="", file=sys.stderr, flush=True)

    def tick() -> None:
        while not done.wait(1):
            write(".")

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield lambda stage: write(f"\n{stage} " if said else f"{stage} ")
    finally:
        done.set()
        thread.join()
        if said:
            print(file=sys.stderr)
