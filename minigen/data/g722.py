"""Decode G.722, the 16 kHz telephone codec of the Asterisk recordings.

libsndfile does not know the format (ITU-T Recommendation G.722, 1988), so this asks FFmpeg: through
PyAV where it is installed, else through the `ffmpeg` command. Both give the same samples.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

__all__ = ["RATE", "decode"]

RATE = 16_000  # samples a second; the codec has no other rate
_BATCH = 64  # files an `ffmpeg` command: starting it costs more than decoding


def decode(paths: Sequence[Path], backend: str | None = None) -> list[np.ndarray]:
    """Waveforms of G.722 files, each (T,) float32 in [-1, 1] at 16,000 Hz.

    Args:
        paths: raw G.722 files, 64 kbit/s, without a header.
        backend: "av" or "ffmpeg"; by default the first of them that is installed.

    Raises:
        ImportError: neither PyAV nor ffmpeg is installed.
        ValueError: a file is empty or cannot be decoded.
    """
    if backend is None:
        backend = "av" if importlib.util.find_spec("av") else "ffmpeg"
    if backend not in ("av", "ffmpeg"):
        raise ValueError(f"backend is {backend!r}; it must be 'av' or 'ffmpeg'")
    if backend == "ffmpeg" and shutil.which("ffmpeg") is None:
        raise ImportError(
            "these recordings are in G.722, and there is nothing here to decode it with: "
            "`pip install av`, or install the command `ffmpeg`"
        )
    for path in paths:
        if Path(path).stat().st_size == 0:
            raise ValueError(f"{path} is empty: remove its folder, so that it is unpacked afresh")
    waves = _with_av(paths) if backend == "av" else _with_ffmpeg(paths)
    return [wave.astype(np.float32) / 32768 for wave in waves]


def _with_av(paths: Sequence[Path]) -> list[np.ndarray]:
    import av

    waves = []
    for path in paths:
        try:
            with av.open(str(path), format="g722") as stream:
                waves.append(np.concatenate([f.to_ndarray()[0] for f in stream.decode(audio=0)]))
        except (av.error.FFmpegError, ValueError) as error:
            raise ValueError(f"{path} cannot be decoded as G.722: {error}") from error
    return waves


def _with_ffmpeg(paths: Sequence[Path]) -> list[np.ndarray]:
    waves = []
    with tempfile.TemporaryDirectory() as folder:
        for first in range(0, len(paths), _BATCH):
            batch = paths[first : first + _BATCH]
            outputs = [Path(folder) / f"{first + i}.s16" for i in range(len(batch))]
            command = ["ffmpeg", "-nostdin", "-v", "error"]
            for path in batch:
                command += ["-f", "g722", "-i", str(path)]
            for i, output in enumerate(outputs):
                command += ["-map", str(i), "-f", "s16le", str(output)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise ValueError(f"ffmpeg cannot decode these files as G.722: {done.stderr}")
            waves += [np.fromfile(output, dtype="<i2") for output in outputs]
    return waves
