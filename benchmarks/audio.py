"""Mel spectra and resampling beside librosa's, on ten seconds of noise, one thread.

    OMP_NUM_THREADS=1 python benchmarks/audio.py

Each pair is timed in turn by the processor time it takes; the least of 30 counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import librosa
import numpy as np

from minigen import audio, results


def side_by_side(ours: Callable, theirs: Callable, times: int = 30) -> dict[str, float]:
    """Least milliseconds of each, and their ratio."""
    least = [np.inf, np.inf]
    for _ in range(times):
        for k, function in enumerate((ours, theirs)):
            start = time.process_time()
            function()
            least[k] = min(least[k], 1000 * (time.process_time() - start))
    return {"minigen ms": least[0], "librosa ms": least[1], "ratio": least[0] / least[1]}


def librosas_mel(x: np.ndarray, rate: int, n_fft: int, hop: int, n_mels: int) -> np.ndarray:
    options = {"n_fft": n_fft, "hop_length": hop, "n_mels": n_mels, "power": 1.0}
    return np.log(np.maximum(librosa.feature.melspectrogram(y=x, sr=rate, **options), audio.FLOOR))


def main() -> None:
    rows = {}
    x = np.random.default_rng(0).uniform(-0.5, 0.5, 160_000).astype(np.float32)
    for case in ((16_000, 512, 128, 80), (8_000, 256, 80, 24), (22_050, 1024, 256, 80)):
        both = partial(audio.mel_spectrogram, x, *case), partial(librosas_mel, x, *case)
        rows["mel spectrum, {} Hz, {}".format(*case)] = side_by_side(*both)
    for rate, new in ((16_000, 8_000), (22_050, 8_000), (44_100, 16_000), (8_000, 22_050)):
        both = (
            partial(audio.resample, x, rate, new),
            partial(librosa.resample, x, orig_sr=rate, target_sr=new),
        )
        rows[f"resample, {rate} to {new} Hz"] = side_by_side(*both)
    print(results.as_text(rows))


if __name__ == "__main__":
    main()
