"""Pictures of digits: scikit-learn's `digits`, in the package's reach always, and `mnist`."""

import gzip
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .fetch import locate


class Digits(NamedTuple):
    """`images` (1797, 64) float64, 0 to 16; `labels` (1797,); `split`: rows by name of the part."""

    images: np.ndarray
    labels: np.ndarray
    split: dict[str, np.ndarray]


class Mnist(NamedTuple):
    """`images` (N, 28, 28) uint8, 0 to 255, and `labels` (N,), for training (60,000) and test."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def digits() -> Digits:
    """1,797 handwritten digits of 8 × 8 pixels with 17 levels of ink, as scikit-learn ships them.

    `split` holds the rows of "train" (1,297), "validation" (200) and "test" (300): a permutation by
    `numpy.random.default_rng(0)`, cut in this order. The book's figures for images use this split.

    References: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, 1998 (CC BY 4.0).

    >>> from minigen import data
    >>> images, labels, split = data.digits()
    >>> images.shape, int(images.max()), {part: len(rows) for part, rows in split.items()}
    ((1797, 64), 16, {'train': 1297, 'validation': 200, 'test': 300})
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "data.digits() reads what scikit-learn carries: `pip install scikit-learn`"
        ) from error
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    train, validation, test = np.split(order, [1297, 1497])
    return Digits(images, labels, {"train": train, "validation": validation, "test": test})


def mnist() -> Mnist:
    """70,000 handwritten digits of 28 × 28 pixels; fetched (12 MB) on the first call.

    References: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document
    recognition, 1998. Data by Y. LeCun and C. Cortes, CC BY-SA 3.0.

    Raises FileNotFoundError, ConnectionError, ValueError: see `minigen.data.fetch.locate`; and ValueError where
    a file is not what its header says.
    """
    folder = locate("mnist")
    arrays = []
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        arrays.append(_read_idx(folder / f"{part}-images-idx3-ubyte.gz", (count, 28, 28)))
        arrays.append(_read_idx(folder / f"{part}-labels-idx1-ubyte.gz", (count,)))
    return Mnist(*arrays)


def _read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read an IDX file of bytes: 0, 0, type 8, rank, each length as big-endian int32, the data."""
    fix = "remove its folder, so that it is fetched afresh, or place a good copy there"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: {fix}")
    try:
        with gzip.open(path) as stream:
            content = stream.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error}): {fix}") from error
    header = bytes([0, 0, 8, len(shape)]) + np.array(shape, dtype=">i4").tobytes()
    if not content.startswith(header) or len(content) != len(header) + np.prod(shape):
        raise ValueError(f"{path} is not an IDX file of bytes with shape {shape}: {fix}")
    return np.frombuffer(content, dtype=np.uint8, offset=len(header)).reshape(shape)
