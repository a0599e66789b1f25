"""Trained weights: safetensors files, each with its notes and a checksum of both.

A file holds tensors by name and, in its header, the *notes* (a dictionary: the recipe, the data, what was
measured) and a SHA-256 over notes and tensors. It contains no code, and one bit changed anywhere is an error.
Weights that ship are called by their name (`load("digits_student")`), others by their path.
"""

import hashlib
import json
import os
from collections.abc import Callable
from functools import lru_cache, wraps
from inspect import signature
from pathlib import Path
from typing import TypeVar, get_args

import torch
from safetensors import safe_open
from safetensors.torch import save as serialize
from torch import Tensor, nn

from ..audio import write_whole

Module = TypeVar("Module", bound=nn.Module)


def path(name: str | Path) -> Path:
    """Where weights lie: a bare name means a file that ships, anything else is a path itself.

    >>> path("digits_student").name
    'digits_student.safetensors'
    >>> str(path("runs/checkpoint.safetensors"))
    'runs/checkpoint.safetensors'
    """
    given = Path(name)
    bare = given.name == str(given) and not given.suffix
    return Path(__file__).with_name(f"{name}.safetensors") if bare else given


def is_shipped(place: str | Path) -> bool:
    """Whether a file or folder lies where the weights lie that ship: no training writes there.

    >>> is_shipped(path("digits_student")), is_shipped("runs/digits_student.safetensors")
    (True, False)
    """
    here = Path(__file__).parent.resolve()
    return here in (given := Path(place).resolve()).parents or given == here


def save(name: str | Path, tensors: dict[str, Tensor], notes: dict) -> None:
    """Write a file of weights: a reader finds the old file or the whole new one, never a part."""
    target = path(name)
    tensors = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    text = json.dumps(notes)
    content = serialize(tensors, {"notes": text, "sha256": _checksum(tensors, text)})
    with write_whole(target) as place:
        place.write_bytes(content)


def load(name: str | Path) -> tuple[dict[str, Tensor], dict]:
    """Read a file of weights once -> (tensors, notes). What it stores as halves comes as float32.

    Raises FileNotFoundError where there is none, ValueError where it is damaged or something else.
    """
    with _open(name) as stream:
        metadata = stream.metadata()
        tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
    if _checksum(tensors, metadata["notes"]) != metadata["sha256"]:
        raise ValueError(f"{path(name)} is damaged: its checksum does not match. Get it again")
    half = (torch.float16, torch.bfloat16)
    tensors = {k: v.float() if v.dtype in half else v for k, v in tensors.items()}
    return tensors, json.loads(metadata["notes"])


def frozen(model: Module, tensors: dict[str, Tensor]) -> Module:
    """A model with trained weights, to be used and not to be trained."""
    model.load_state_dict(tensors)
    return model.eval().requires_grad_(False)


def until_changed(read: Callable) -> Callable:
    """Let a function of a path return the same object, to be left as it is, until the file changes."""
    kept = lru_cache(maxsize=16)(lambda file, state, *rest: read(file, *rest))

    @wraps(read)
    def shared(file: Path, *rest):
        state = os.stat(file) if file.is_file() else None  # `read` says what is missing
        return kept(file, state and (state.st_mtime_ns, state.st_size, state.st_ino), *rest)

    return shared


def takes_networks(function: Callable) -> Callable:
    """Let a function say in one line what it was given where an argument's annotation asks for a network.

    >>> @takes_networks
    ... def size(model: nn.Module) -> int:
    ...     return sum(weight.numel() for weight in model.parameters())
    >>> size(None)
    Traceback (most recent call last):
        ...
    TypeError: model must be of type Module, not NoneType
    """
    parameters = signature(function, eval_str=True).parameters
    kinds = {name: get_args(p.annotation) or (p.annotation,) for name, p in parameters.items()}
    plain = {name: kind for name, kind in kinds.items() if all(isinstance(k, type) for k in kind)}
    networks = {n: kind for n, kind in plain.items() if any(issubclass(k, nn.Module) for k in kind)}

    @wraps(function)
    def checked(*args, **kwargs):
        given = dict(zip(parameters, args, strict=False)) | kwargs
        for name in networks.keys() & given.keys():
            if not isinstance(given[name], networks[name]):
                of = " or ".join(kind.__name__ for kind in networks[name])
                raise TypeError(f"{name} must be of type {of}, not {type(given[name]).__name__}")
        return function(*args, **kwargs)

    return checked


def notes(name: str | Path) -> dict:
    """Read the notes of a file of weights, and not its tensors."""
    with _open(name) as stream:
        return json.loads(stream.metadata()["notes"])


def card(name: str) -> dict:
    """The card that lies beside weights that ship: data, command, minutes, what was measured."""
    return json.loads(path(name).with_suffix(".json").read_text(encoding="utf-8"))


def _open(name: str | Path):  # -> safe_open, whose header is that of a file of weights of minigen's
    file = path(name)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    try:
        stream = safe_open(file, framework="pt")
        if isinstance(json.loads(stream.metadata()["notes"]), dict) and stream.metadata()["sha256"]:
            return stream
        raise ValueError("its notes are no dictionary")
    except Exception as error:  # safetensors raises its own class, json and the keys others
        raise ValueError(
            f"{file} is cut off, damaged or not a file of minigen's weights ({error}): get it again"
        ) from error


def _checksum(tensors: dict[str, Tensor], notes: str) -> str:
    digest = hashlib.sha256(notes.encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
