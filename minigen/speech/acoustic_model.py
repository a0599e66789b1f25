"""The acoustic model: phones with their times and F0 -> the mel spectrum of each frame.

    phones, times, F0 -> frame features -> convolutions, a GRU both ways -> log-mel bands

It stands between prosody, which says when and how high, and the waveform model, which makes sound of mel bands
and F0. The mean absolute error teaches it the median of each band in context: clean, but smoother than speech.
`sharpness` > 1 spreads the bands of a frame away from their running mean again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from ..audio import mel_filterbank
from ..conditioning import frame_features

__all__ = ["AcousticModel", "harmonic_bands"]

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

    Args:
        phones: the inventory, in the order of the one-hot rows.
        rate, mels: of the bands.
        hidden: channels of the convolutions; the GRU has half as many in each direction.
        layers: of the convolutions, over 5 frames each.

    References:
        Wang et al., Tacotron, 2017 (arXiv:1703.10135), for a network from symbols to mel spectra; Ren et al.,
        FastSpeech 2, 2020 (arXiv:2006.04558), for one that is given durations and F0.

    >>> model = AcousticModel(("pau", "a"), hidden=8)
    >>> model.predict([("pau", 0.0, 0.05), ("a", 0.05, 0.2)], np.full(20, 120.0)).shape
    (32, 20)
    """

    def __init__(
        self,
        phones: Sequence[str],
        rate: int = 8_000,
        mels: int = 32,
        hidden: int = 128,
        layers: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.phones, self.rate, self.mels = tuple(phones), rate, mels
        rows = 3 * len(self.phones) + 5 + mels
        self.input_projection = nn.Conv1d(rows, hidden, 1)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(hidden, hidden, 5, padding=2) for _ in range(layers)
        )
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(hidden, hidden // 2, batch_first=True, bidirectional=True)
        self.output_projection = nn.Linear(hidden, mels)
        self.register_buffer("mean", torch.zeros(mels))  # of each band in the training data
        self.register_buffer("spread", torch.ones(mels))  # its standard deviation

    def features(self, times: Sequence[tuple[str, float, float]], f0: np.ndarray) -> np.ndarray:
        """Phones with their times in seconds, F0 (N,) in Hz -> what `forward` takes, (F, N)."""
        rows = frame_features(times, f0, self.phones)
        return np.concatenate([rows, harmonic_bands(f0, self.rate, self.mels)]).astype(np.float32)

    def forward(self, features: Tensor) -> Tensor:
        """(B, F, N) -> log-mel magnitudes (B, M, N)."""
        h = torch.relu(self.input_projection(features))
        for convolution in self.convolutions:
            h = h + torch.relu(convolution(self.dropout(h)))
        h, _ = self.gru(self.dropout(h).transpose(1, 2))  # (B, N, H)
        bands = self.output_projection(self.dropout(h)) * self.spread + self.mean
        return bands.transpose(1, 2) + features[:, -self.mels :]

    @torch.no_grad()
    def predict(
        self, times: Sequence[tuple[str, float, float]], f0: np.ndarray, sharpness: float = 1.0
    ) -> np.ndarray:
        """Phones with their times, F0 (N,) -> log-mel magnitudes (M, N)."""
        f0 = np.asarray(f0, dtype=float)
        mel = self(torch.from_numpy(self.features(times, f0))[None])[0].numpy()
        if sharpness != 1.0:
            smooth = np.stack(
                [np.convolve(np.pad(c, 3, "edge"), np.ones(7) / 7, "valid") for c in mel.T]
            )
            mel = smooth.T + sharpness * (mel - smooth.T)
        return mel
