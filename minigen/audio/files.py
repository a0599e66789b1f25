"""Chapter 1: sound files: read whole or refused, written whole or not at all."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import ArrayLike

from .waveform import check_positive, check_waveform, resample

# Formats that say how long they are, or where they end: what is cut off can be told.
READS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3")
WRITES = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
BLOCK = 65_536  # samples handed on at once: libsndfile's Vorbis takes no minutes


def load(path: str | Path, rate: int | None = None) -> tuple[np.ndarray, int]:
    """Read a sound file -> (x float32 (T,), rate). Channels are averaged; clips at ±1.

    Args: path: WAV, AIFF, AU, W64, CAF, FLAC, OGG or MP3. rate: resample to it; by default the file's own.

    Raises FileNotFoundError: there is no such file. ValueError: it is not sound, is cut off, holds no samples,
    or NaN.
    """
    if rate is not None:
        check_positive(rate=rate)
    path = Path(path)
    with _opened(path) as file:
        x, found = file.read(dtype="float32", always_2d=True), file.samplerate
        if _is_cut(path, file, len(x)):
            raise ValueError(_CUT.format(path))
    if len(x) == 0:
        raise ValueError(f"{path} holds no samples")
    if not np.isfinite(x).all():
        raise ValueError(f"{path} holds NaN or infinite samples: write it again as 16-bit")
    x = x.mean(axis=1)
    if rate is not None:
        x = resample(x, found, rate)
    return np.clip(x, -1, 1), found if rate is None else rate


def blocks(path: str | Path, rate: int, seconds: int = 30) -> Iterator[np.ndarray]:
    """`load` for files of any length: so many seconds at a time, which together are the whole, resampled.

    What `load` refuses is refused here, but that a file is cut off is known at its end only.
    """
    check_positive(rate=rate, seconds=seconds)
    path = Path(path)
    with _opened(path) as file:
        own, held, before, samples = file.samplerate, np.zeros(0, np.float32), 0, 0
        more = True
        while more:  # a second either side is looked at, too
            wanted = before + (seconds + 1) * own - len(held)
            x = file.read(wanted, "float32", always_2d=True)
            samples, more = samples + len(x), len(x) == wanted
            if not np.isfinite(x).all():
                raise ValueError(f"{path} holds NaN or infinite samples: write it again as 16-bit")
            if not more and _is_cut(path, file, samples):
                raise ValueError(_CUT.format(path))
            held = np.concatenate([held, x.mean(axis=1)])
            if len(held) > before:
                y = np.clip(resample(held, own, rate)[before // own * rate :], -1, 1)
                yield y[: seconds * rate] if more else y
            held, before = held[before + (seconds - 1) * own :], own
    if samples == 0:
        raise ValueError(f"{path} holds no samples")


_CUT = "{} is cut off or damaged: it is shorter than it states; get it again, or convert it to WAV"


@contextmanager
def _opened(path: Path) -> Iterator[sf.SoundFile]:
    """A sound file of a known format; what goes wrong in reading it is a ValueError."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with sf.SoundFile(os.fsencode(path)) as file:  # whatever bytes its name has
            if file.format not in READS:
                raise ValueError(
                    f"{path} is of a format that minigen does not read: convert it to WAV"
                )
            if not 100 <= file.samplerate <= 10**7:
                raise ValueError(
                    f"{path} is damaged: it states {file.samplerate} samples a second; get it again"
                )
            yield file
    except sf.LibsndfileError as error:
        raise ValueError(
            f"{path} cannot be read as sound ({error.error_string}): get it again, or convert it to WAV"
        ) from None


def _is_cut(path: Path, file: sf.SoundFile, samples: int) -> bool:
    """Whether a file, of which so many samples could be read, is shorter than it says."""
    if file.format == "MP3":
        return _is_cut_mp3(path.read_bytes(), samples)
    if samples < file.frames:
        return True
    if file.format == "OGG":  # the last page is marked as such
        content = path.read_bytes()
        if len(re.findall(rb"OggS\0[\2\3]", content)) > 1:  # first pages: of streams in a row
            raise ValueError(f"{path} holds more than one stream of sound: convert it to WAV")
        last = content[content.rfind(b"OggS") :]
        segments = last[27 : 27 + last[26]] if len(last) > 27 else b""
        return not (len(last) > 27 and last[5] & 4 and len(last) >= 27 + last[26] + sum(segments))
    if file.format == "CAF":  # chunks of a name (4 bytes) and a size (8), up to one of any size, -1
        content, at = path.read_bytes(), 8
        while 0 < at < len(content):
            size = int.from_bytes(content[at + 4 : at + 12], "big", signed=True)
            at = at + 12 + size if size >= 0 else 0
        return at > len(content)
    sizes = r"(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)"
    stated = [(int(a), int(b)) for a, b in re.findall(sizes, file.extra_info)]
    return any(there < size < 2**31 - 1 for size, there in stated)  # larger: a stream of any length


def _is_cut_mp3(content: bytes, samples: int) -> bool:
    """Walk from frame to frame (ISO 11172-3, 2.4.2.3): the last must be whole, and none missing."""
    at = frames = length = 0
    if content[:3] == b"ID3":
        at = 10 + sum(byte << 7 * k for k, byte in enumerate(content[9:5:-1]))
    stated = None
    while at + 4 <= len(content):
        head = int.from_bytes(content[at : at + 4], "big")
        first, kbits, rate = head >> 19 & 3 == 3, head >> 12 & 15, head >> 10 & 3
        if head >> 21 != 0x7FF or head >> 17 & 3 != 1 or kbits in (0, 15) or rate == 3:
            break  # a tag at the end, or what is not layer III
        low = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
        high = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
        hz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}.get(head >> 19 & 3, 1)
        size = (144 if first else 72) * 1000 * (high if first else low)[kbits] // hz
        size += head >> 9 & 1
        mark = re.search(rb"Xing|Info", content[at : at + 44]) if frames == 0 else None
        if mark and content[at + mark.end() + 3] & 1:
            stated = int.from_bytes(content[at + mark.end() + 4 :][:4], "big") + 1
        at, frames = at + size, frames + 1
        length += 1152 if first else 576
    missing = samples < length - 4 * 1152  # a codec's delay and filling apart
    return at > len(content) or missing or (stated is not None and frames < stated)


# ---------------------------------------------------------------- writing
@contextmanager
def write_whole(path: str | Path) -> Iterator[Path]:
    """A place to write to that becomes `path` at the end, so that `path` is never a part of a file.

    Where the block is left by an exception, or the disk is full, what was there before stays.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with write_whole(f"{folder}/a.txt") as place:
    ...         _ = place.write_text("whole", encoding="utf-8")
    ...     [path.name for path in Path(folder).iterdir()]
    ['a.txt']
    """
    path = Path(os.path.realpath(path))  # where a link leads, which stays one
    _check_free(path)
    place = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield place
        with place.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(place, path)
    finally:
        place.unlink(missing_ok=True)


def check_writable(path: str | Path) -> Path:
    """Whether a file can be written to `path`, before the work that makes it -> the path.

    Raises OSError: there is no such folder, it or the file there cannot be written, or `path` is a folder.
    """
    path = Path(path)
    folder = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder} to write {path.name} into")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the name of a file")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"the folder {folder} cannot be written: choose another")
    _check_free(path)
    return path


def _check_free(path: Path) -> None:
    """A file that nobody may write into is not replaced either, though its folder would allow it."""
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"{path} is write-protected: choose another name")


def check_output(path: str | Path) -> Path:
    """`check_writable` for a sound: ValueError unless the name's ending is one of WRITES."""
    path = Path(path)
    if path.suffix.lower() not in WRITES and not path.is_dir() and path.parent.is_dir():
        raise ValueError(f"{path.name}: the name must end in .wav, .flac, .ogg or .mp3")
    return check_writable(path)


def save(path: str | Path, x: ArrayLike, rate: int) -> None:
    """Write a sound file; the ending of `path` chooses the format. Clips at ±1.

    .wav and .flac keep 16 bits of each sample; .ogg (Vorbis) and .mp3 are small and only sound alike.
    """
    x = check_waveform(x)
    with open_to_write(path, rate) as write:
        write(x)


@contextmanager
def open_to_write(path: str | Path, rate: int) -> Iterator[Callable[[ArrayLike], None]]:
    """A sound file to write piece by piece, like `save`, for sound that is not all there at once.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_to_write(f"{folder}/a.wav", 8000) as write:
    ...         for piece in (np.zeros(100), np.ones(50)):
    ...             write(piece)
    ...     load(f"{folder}/a.wav")[0].shape
    (150,)
    """
    check_positive(rate=rate)
    path = check_output(path)
    count = 0
    with write_whole(path) as place:
        try:
            kind, coding = WRITES[path.suffix.lower()]
            with sf.SoundFile(os.fsencode(place), "w", rate, 1, coding, format=kind) as file:

                def write(x: ArrayLike) -> None:
                    nonlocal count
                    x = check_waveform(x)
                    for first in range(0, len(x), BLOCK):
                        file.write(np.clip(x[first : first + BLOCK], -1, 1))
                    count += len(x)

                yield write
            # a full disk is not always an error
            whole = sf.info(os.fsencode(place)).frames == count
        except sf.LibsndfileError as error:
            if "rate" in error.error_string:
                raise ValueError(f"{path}: {error.error_string.removeprefix('Error : ')}") from None
            raise OSError(
                f"cannot write {path} ({error.error_string}): is the disk full?"
            ) from error
        if not whole:
            raise OSError(f"cannot write {path}: the disk is full. Choose another folder")
