import dataclasses
import importlib
import inspect
import os
import pkgutil
import stat
import typing

import pytest
import torch

import minigen
from minigen import weights

TENSORS = {
    "float": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
    "half": torch.tensor([1.5, -2.0], dtype=torch.float16),
    "brain": torch.tensor([[0.1]], dtype=torch.bfloat16),
    "flag": torch.tensor(True),
    "count": torch.tensor(7),
    "empty": torch.zeros(0, 2),
    "turned": torch.arange(6.0).view(2, 3).T,
    "learned": torch.ones(2, requires_grad=True),
}
NOTES = {"step": 3, "recipe": {"name": "µ-law", "rate": 8000}}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.safetensors"
    weights.save(path, TENSORS, NOTES)
    return path


def test_what_is_saved_is_loaded(file):
    tensors, notes = weights.load(file)
    assert notes == weights.notes(str(file)) == NOTES
    assert tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        full = torch.float32 if name in ("half", "brain") else value.dtype
        assert tensors[name].dtype == full and torch.equal(tensors[name], value.to(full))


def test_a_frozen_network_has_the_weights_and_learns_no_more():
    source, net = torch.nn.Linear(2, 2), torch.nn.Sequential(torch.nn.Linear(2, 2)).train()
    assert weights.frozen(net, {f"0.{k}": v for k, v in source.state_dict().items()}) is net
    assert torch.equal(net[0].weight, source.weight) and not net[0].training
    assert not any(weight.requires_grad for weight in net.parameters())


def test_every_bit_counts(file):
    """A flipped bit anywhere, in the header, the notes or the numbers, is refused."""
    content = file.read_bytes()
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        file.write_bytes(flipped)
        try:
            tensors, notes = weights.load(file)
        except ValueError as error:
            assert "a.safetensors" in str(error)
        else:  # white space or the order of names in the header may change: nothing that is read
            assert notes == NOTES and tensors.keys() == TENSORS.keys()
            assert all(
                torch.equal(tensors[name], TENSORS[name].to(tensors[name])) for name in tensors
            )


@pytest.mark.parametrize("change", ["value", "name", "shape", "dtype", "notes", "no checksum"])
def test_changes_that_keep_the_file_well_formed_are_refused(file, change):
    tensors, notes = dict(TENSORS), dict(NOTES)
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(file, framework="pt") as stream:
        metadata = stream.metadata()
    if change == "value":
        tensors["float"] = tensors["float"] + 1e-7
    elif change == "name":
        tensors["floot"] = tensors.pop("float")
    elif change == "shape":
        tensors["float"] = tensors["float"].reshape(4, 3)
    elif change == "dtype":
        tensors["count"] = tensors["count"].view(torch.float64)
    elif change == "notes":
        metadata["notes"] = metadata["notes"].replace("8000", "8001")
    else:
        del metadata["sha256"]
    save_file({name: value.contiguous() for name, value in tensors.items()}, file, metadata)
    with pytest.raises(ValueError, match="a.safetensors.*(damaged|checksum)"):
        weights.load(file)
    assert notes == NOTES


@pytest.mark.parametrize("content", [b"", b"x" * 200, b"RIFF"])
def test_other_files_are_refused(tmp_path, content):
    file = tmp_path / "b.safetensors"
    file.write_bytes(content)
    for read in (weights.load, weights.notes):
        with pytest.raises(ValueError, match="b.safetensors is cut off, damaged or not"):
            read(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no_such_voice.safetensors"):
        weights.load("no_such_voice")
    with pytest.raises(FileNotFoundError, match="c.safetensors"):
        weights.notes(tmp_path / "c.safetensors")


def test_saving_is_atomic(file, monkeypatch):
    """A full disk in the middle of writing leaves the old file whole, and nothing beside it."""

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        weights.save(file, {"x": torch.zeros(3)}, {"step": 4})
    assert weights.load(file)[1] == NOTES
    assert list(file.parent.iterdir()) == [file]


def test_files_have_ordinary_permissions(file):
    before = os.umask(0o022)
    try:
        weights.save(file, TENSORS, NOTES)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_all_that_ships_is_whole():
    files = sorted(weights.path("digits_student").parent.glob("*.safetensors"))
    assert len(files) > 20
    for file in files:
        tensors, notes = weights.load(file.stem)
        assert tensors and weights.notes(file.stem) == notes


def test_a_card_is_read_by_name():
    assert weights.card("phone_net") == weights.notes("phone_net")


@pytest.mark.parametrize("change", ["nothing", "content", "size", "another file"])
def test_what_is_shared_is_read_again_when_its_file_is_another(tmp_path, change):
    """By its time, its size, or as another file in its place, each alone."""
    file, other = tmp_path / "a", tmp_path / "b"
    read = weights.until_changed(lambda path: [path.read_text()])
    file.write_text("one")
    os.utime(file, (10, 10))
    first = read(file)
    if change == "another file":
        other.write_text("two")
        os.utime(other, (10, 10))
        os.replace(other, file)
    elif change != "nothing":
        file.write_text({"content": "two", "size": "four"}[change])
        os.utime(file, (11, 11) if change == "content" else (10, 10))
    assert read(file) == [file.read_text()] and (read(file) is first) == (change == "nothing")


def test_what_lies_in_the_folder_that_ships_is_known(tmp_path):
    folder = weights.path("digits_student").parent
    (tmp_path / "link").symlink_to(folder)
    for place in (folder, folder / "a.run", tmp_path / "link", tmp_path / "link" / "a"):
        assert weights.is_shipped(place), place
    assert not any(map(weights.is_shipped, (folder.parent, tmp_path, tmp_path / folder.name)))


def takers():
    """(public function or class, argument that is a network) of the whole package."""
    for found in pkgutil.walk_packages(minigen.__path__, "minigen."):
        if found.name.split(".")[1] in ("checks", "cli", "commands"):
            continue
        module = importlib.import_module(found.name)
        for name, one in vars(module).items():
            own = getattr(one, "__module__", None) == found.name and not name.startswith("_")
            if not own or not callable(one) or dataclasses.is_dataclass(one):
                continue
            for argument in inspect.signature(one, eval_str=True).parameters.values():
                kinds = typing.get_args(argument.annotation) or (argument.annotation,)
                kinds = [kind for kind in kinds if isinstance(kind, type)]
                if any(issubclass(kind, torch.nn.Module) for kind in kinds):
                    yield one, argument.name


def test_what_is_no_network_is_named_by_whatever_asks_for_one():
    """But `checked_context`, which networks call with themselves, and arguments that may be a sequence of them."""
    cases = [
        (f, name)
        for f, name in takers()
        if f.__name__ != "checked_context" and name != "transforms"
    ]
    assert len(cases) > 50
    for function, name in cases:
        with pytest.raises(TypeError, match=rf"^{name} must be of type .*, not object$"):
            function(**{name: object()})
