"""Decode G.722, the 16 kHz telephone codec of the Asterisk recordings.

libsndfile does not know the format (ITU-T Recommendation G.722, 1988), so FFmpeg does it, through PyAV.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

RATE = 16_000  # samples a second; the codec has no other rate


def decode(paths: Sequence[Path]) -> list[np.ndarray]:
    """Waveforms of raw G.722 files (64 kbit/s, no header), each (T,) float32 in [-1, 1] at 16,000 Hz.

    Raises ImportError: PyAV is not installed. ValueError: a file is empty or cannot be decoded.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError("these recordings are in G.722: `pip install av` decodes it") from error
    waves = []
    for path in paths:
        try:
            with av.open(str(path), format="g722") as stream:
                wave = np.concatenate([f.to_ndarray()[0] for f in stream.decode(audio=0)])
        except (av.error.FFmpegError, ValueError) as error:
            raise ValueError(
                f"{path} is empty or damaged ({error}): remove its folder, and call again"
            ) from error
        waves.append(wave.astype(np.float32) / 32768)
    return waves
