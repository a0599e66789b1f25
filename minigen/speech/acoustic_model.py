"""The acoustic model: phones with their times and F0 -> the mel spectrum of each frame.

    phones, times, F0 -> frame features -> dilated convolutions -> log-mel bands

It stands between prosody, which says when and how high, and the waveform model, which makes sound of mel bands
and F0. The mean absolute error alone would teach it the median of each band in context, smoother than speech;
`dissimilarity` asks for the contrast of the recording as well, and a discriminator (`adversarial`) for whatever else gives it away.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import weights
from ..audio import mel_filterbank
from ..conditioning import frame_features

_GRID = np.geomspace(50.0, 500.0, 256)  # Hz


@cache
def _harmonic_table(rate: int, mels: int) -> np.ndarray:
    """Log-mel bands of a train of pulses at each F0 of the grid, less their mean, (256, M)."""
    n_fft = 4 * (rate * 8 // 1000)
    bank = mel_filterbank(rate, n_fft, mels)
    t = np.arange(n_fft) - n_fft / 2
    rows = []
    for hz in _GRID:
        k = np.arange(1, int(rate / 2 / hz) + 1)
        x = np.cos(2 * np.pi * hz / rate * np.outer(k, t)).sum(0) * np.hanning(n_fft)
        row = np.log(np.maximum(bank @ np.abs(np.fft.rfft(x)), 1e-3) / bank.sum(1))
        rows.append(row - row.mean())
    return np.stack(rows).astype(np.float32)


def harmonic_bands(f0: np.ndarray, rate: int, mels: int) -> np.ndarray:
    """What the harmonics of F0 (N,) alone do to each mel band, (M, N); 0 where unvoiced.

    Low bands are narrower than F0: whether a harmonic falls into one is arithmetic, and need not be learned.
    """
    at = np.abs(np.log(np.maximum(f0, 1.0))[:, None] - np.log(_GRID)).argmin(1)
    return (_harmonic_table(rate, mels)[at] * (f0 > 0)[:, None]).T


class AcousticModel(nn.Module):
    """Log-mel bands of frames of 10 ms, given which phone each lies in, how far, and F0.

    The convolutions of the residual blocks look 28 frames either way; each block begins by normalising over all frames. What the harmonics of F0 do to the bands is
    added at the end, so that the network describes an envelope.

    Args:
        phones: the inventory, in the order of the one-hot rows. rate, mels: of the bands.
        hidden: channels. dilations: of the blocks, each over 5 frames. dropout: in training.

    References: Ren et al., FastSpeech 2, 2020 (arXiv:2006.04558), for a network from phones, durations and F0
    to mel spectra; Bai, Kolter and Koltun, An Empirical Evaluation of Generic Convolutional and Recurrent
    Networks for Sequence Modeling, 2018 (arXiv:1803.01271).

    >>> model = AcousticModel(("pau", "a"), hidden=8)
    >>> model.predict([("pau", 0.0, 0.05), ("a", 0.05, 0.2)], np.full(20, 120.0)).shape
    (32, 20)
    """

    def __init__(
        self,
        phones: Sequence[str],
        rate: int = 8_000,
        mels: int = 32,
        hidden: int = 160,
        dilations: Sequence[int] = (1, 2, 4, 1, 2, 4),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.phones, self.rate, self.mels = tuple(phones), rate, mels
        self.sizes = {"phones": list(phones), "rate": rate, "mels": mels, "hidden": hidden}
        self.sizes["dilations"] = list(dilations)
        rows = 3 * len(self.phones) + 5 + mels
        self.input_projection = nn.Conv1d(rows, hidden, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, hidden),
                nn.Conv1d(hidden, hidden, 5, padding=2 * dilation, dilation=dilation),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Conv1d(hidden, hidden, 1),
            )
            for dilation in dilations
        )
        self.output_projection = nn.Conv1d(hidden, mels, 1)
        self.register_buffer("mean", torch.zeros(mels, 1))  # of each band in the training data
        self.register_buffer("spread", torch.ones(mels, 1))  # its standard deviation

    def features(self, times: Sequence[tuple[str, float, float]], f0: np.ndarray) -> np.ndarray:
        """Phones with their times in seconds, F0 (N,) in Hz -> what `forward` takes, (F, N)."""
        rows = frame_features(times, f0, self.phones)
        return np.concatenate([rows, harmonic_bands(f0, self.rate, self.mels)]).astype(np.float32)

    def forward(self, features: Tensor) -> Tensor:
        """(B, F, N) -> log-mel magnitudes (B, M, N)."""
        h = self.input_projection(features)
        for block in self.blocks:
            h = h + block(h)
        envelope = self.output_projection(h) * self.spread + self.mean
        return envelope + features[:, -self.mels :]

    @torch.no_grad()
    def predict(self, times: Sequence[tuple[str, float, float]], f0: np.ndarray) -> np.ndarray:
        """Phones with their times, F0 (N,) -> log-mel magnitudes (M, N)."""
        f0 = np.asarray(f0, dtype=float)
        return self(torch.from_numpy(self.features(times, f0))[None])[0].numpy()


def dissimilarity(predicted: Tensor, recorded: Tensor) -> Tensor:
    """One minus the structural similarity of two log-mel pictures (B, M, N), in windows of 5 bands by 7 frames.

        1 - mean (2 cov(x, y) + c) / (var x + var y + c),   c = 0.05

    It is 0 where both rise and fall together and as far. A picture that is too smooth has too little variance.

    References: Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity, 2004
    (doi:10.1109/TIP.2003.819861).
    """
    pool = lambda v: F.avg_pool2d(v.unsqueeze(1), (5, 7), 1)
    x, y = predicted, recorded
    mean_x, mean_y = pool(x), pool(y)
    var = pool(x.square()) - mean_x.square() + pool(y.square()) - mean_y.square()
    covariance = pool(x * y) - mean_x * mean_y
    return 1 - ((2 * covariance + 0.05) / (var + 0.05)).mean()


def build(tensors: dict[str, Tensor], sizes: dict) -> AcousticModel:
    """A trained model from its weights and `AcousticModel.sizes`."""
    return weights.frozen(AcousticModel(**sizes), tensors)


@cache
def load() -> AcousticModel:
    """The model that ships, of the voice "allison": the same object at every call.

    >>> load().mels
    32
    """
    tensors, notes = weights.load("allison_acoustic")
    return build(tensors, notes["acoustic"])
