"""Measured tables that ship with the package: figures as they came out of the commands named in them."""

import json
from pathlib import Path
from typing import Any

__all__ = ["path", "read"]


def path(name: str) -> Path:
    """Where the table `name` lies: minigen/results/`name`.json, or with its own ending a clip beside it."""
    return Path(__file__).parent / (name if Path(name).suffix else f"{name}.json")


def read(name: str) -> Any:
    """What the table `name` holds.

    >>> sorted(read("speed"))[0]
    'command'
    """
    return json.loads(path(name).read_text(encoding="utf-8"))
