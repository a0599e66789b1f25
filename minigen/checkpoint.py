"""What a run must find again when it is resumed, and what it needs so that nothing is lost."""

import json
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

MAY_CHANGE = ("steps", "every")  # of a run's settings when it is resumed; the device may, too


@contextmanager
def alone_in(folder: Path, checkpoint: Path, main: bool) -> Iterator[None]:
    """Hold the lock of a run's folder, and remove what killed runs left there half written."""
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        if main:
            lock.acquire()
            for left in folder.glob(f".{checkpoint.name}.*"):
                left.unlink()
    except Timeout:
        raise BlockingIOError(
            f"another run writes into {folder}: wait for it, or choose another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()


def changes(then: dict, now: dict) -> list[str]:
    """What differs between two nested tables, but for MAY_CHANGE, as "name old -> new".

    >>> changes({"run": {"rate": 0.1, "steps": 9}}, {"run": {"rate": 0.2, "steps": 12}})
    ['run.rate 0.1 -> 0.2']
    """
    old, new = _flat(then), _flat(json.loads(json.dumps(now)))
    return [
        f"{name} {old.get(name)} -> {new.get(name)}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name) and name.split(".")[-1] not in MAY_CHANGE
    ]


@contextmanager
def ctrl_c_waits() -> Iterator[list]:
    """Ctrl-C fills the list, for the loop to end after its step; a second one interrupts at once."""
    asked: list = []

    def ask(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def random_state(device: torch.device) -> dict:
    """The state of every global generator, as JSON can hold it."""
    kind, keys, *rest = np.random.get_state()
    state = {"python": random.getstate(), "numpy": [kind, keys.tolist(), *rest]}
    state["cpu"] = torch.get_rng_state().tolist()
    if device.type in ("cuda", "mps"):
        state[device.type] = getattr(torch, device.type).get_rng_state().tolist()
    return state


def set_random_state(state: dict, device: torch.device) -> None:
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(tuple(state["numpy"]))
    torch.set_rng_state(torch.tensor(state["cpu"], dtype=torch.uint8))
    if device.type in state and device.type != "cpu":
        of_device = torch.tensor(state[device.type], dtype=torch.uint8)
        getattr(torch, device.type).set_rng_state(of_device)


def _flat(table: dict, prefix: str = "") -> dict[str, object]:
    """{"run": {"steps": 3}} -> {"run.steps": 3}."""
    flat: dict[str, object] = {}
    for name, value in table.items():
        inner = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return flat
