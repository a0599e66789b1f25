"""How samples of real recorded speech depend on each other: figures that ship, recordings that do not.

The embedded corpus is synthetic. To say anything about recorded speech the book must measure some,
and no recording is part of the package. So `tools/measure_recordings.py` measures corpora that were
fetched, and keeps only the averages, in `results/recorded_dependence.json`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from .. import results
from ..audio import autocorrelation, resample
from .utterance import Utterance

MEASURED_RATE = 8_000  # Hz: every corpus is brought to it, so that a lag is one and the same time
LAGS = 161  # 0 … 160 samples: 20 ms


@dataclass(frozen=True)
class Dependence:
    """What `measure_dependence` finds in a corpus, every clip with the same weight.

    Args:
        clips: how many were measured. seconds: their length together.
        mean: mean autocorrelation at lags 0 … 160 samples, (161,).
        low, high: r_1 of the clips, 5 % and 95 % quantile.
    """

    clips: int
    seconds: float
    mean: np.ndarray = field(repr=False)
    low: float
    high: float

    def __post_init__(self) -> None:
        self.mean.setflags(write=False)


def measure_dependence(clips: Iterable[Utterance]) -> Dependence:
    """Autocorrelation of each clip at 8,000 Hz, and its mean over the clips.

    Clips of less than 161 samples and constant ones are left out.

    Raises ValueError: nothing is left to measure.

    >>> from minigen import data
    >>> found = data.measure_dependence(data.spoken_digits(speaker="awb"))
    >>> found.clips, found.mean.shape, bool(found.low < found.mean[1] < found.high)
    (120, (161,), True)
    """
    curves, seconds = [], 0.0
    for clip in clips:
        x = resample(clip.audio, clip.rate, MEASURED_RATE)
        if len(x) >= LAGS and np.ptp(x) > 0:
            curves.append(autocorrelation(x, LAGS - 1))
            seconds += clip.duration
    if not curves:
        raise ValueError(f"no clip has {LAGS} samples at {MEASURED_RATE} Hz that differ")
    table = np.array(curves)  # (clips, LAGS)
    low, high = np.quantile(table[:, 1], (0.05, 0.95))
    return Dependence(len(table), seconds, table.mean(axis=0), float(low), float(high))


def recorded_dependence() -> dict[str, Dependence]:
    """The figures of real recorded speech that `tools/measure_recordings.py` found, by corpus.

    To find them anew: `data.measure_dependence(data.fsdd())`.

    >>> from minigen import data
    >>> [f"{name}: {found.clips}" for name, found in data.recorded_dependence().items()]
    ['fsdd: 3000', 'allison: 551', 'festvox_ru: 620']
    """
    return {
        name: Dependence(**found | {"mean": np.array(found["mean"])})
        for name, found in results.read("recorded_dependence").items()
    }
