"""Pictures of digits: the split never moves, and a damaged file is named."""

from __future__ import annotations

import gzip
import shutil
import sys

import numpy as np
import pytest

from minigen import data
from minigen.data import images


def test_digits_and_their_split():
    images, labels, split = data.digits()
    assert images.shape == (1797, 64) and images.min() == 0 and images.max() == 16
    assert sorted(np.concatenate(list(split.values()))) == list(range(1797))
    assert {part: len(rows) for part, rows in split.items()} == {
        "train": 1297,
        "validation": 200,
        "test": 300,
    }
    # The split is part of what the book reports: it must never move.
    assert split["train"][:5].tolist() == [360, 1773, 1482, 600, 850]
    np.testing.assert_array_equal(data.digits().split["test"], split["test"])
    assert np.bincount(labels).min() > 170


def test_digits_without_scikit_learn_names_the_fix(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        data.digits()


def test_mnist_real_and_damaged(place, shared, monkeypatch):
    source = shared("mnist")
    monkeypatch.setenv("MINIGEN_DATA", str(source.parent))
    mnist = data.mnist()
    assert mnist.train_images.shape == (60000, 28, 28) and mnist.test_images.shape == (
        10000,
        28,
        28,
    )
    assert np.bincount(mnist.train_labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert mnist.train_labels[:4].tolist() == [5, 0, 4, 1]
    assert mnist.train_images.mean() == pytest.approx(33.318, abs=0.001)

    root = place("copy")
    monkeypatch.setenv("MINIGEN_DATA", str(root))
    shutil.copytree(source, root / "mnist")
    (root / "mnist").chmod(0o755)
    labels = root / "mnist/train-labels-idx1-ubyte.gz"
    content = labels.read_bytes()
    for damaged, message in (
        (content[:10_000], "labels-idx1-ubyte.gz is damaged"),
        (b"not gzip", "labels-idx1-ubyte.gz is damaged"),
        (gzip.compress(b"\0\0\x08\x01" + b"\0" * 60_004, 1), "not an IDX file of bytes with shape"),
    ):
        labels.unlink()
        labels.write_bytes(damaged)
        with pytest.raises(ValueError, match=message):
            data.mnist()
    labels.unlink()
    with pytest.raises(FileNotFoundError, match="train-labels-idx1-ubyte.gz is missing"):
        data.mnist()


HEADER = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3])
OTHERS = [HEADER[:k] + bytes([byte ^ 1]) + HEADER[k + 1 :] for k, byte in enumerate(HEADER)]


@pytest.mark.parametrize("header, length", [(HEADER, 5), (HEADER, 7), *((h, 6) for h in OTHERS)])
def test_a_file_of_another_length_or_header_is_named(tmp_path, header, length):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(HEADER + bytes(range(6))))
    assert images._read_idx(path, (2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]
    path.write_bytes(gzip.compress(header + bytes(length)))
    with pytest.raises(ValueError, match="a.gz is not an IDX file"):
        images._read_idx(path, (2, 3))
