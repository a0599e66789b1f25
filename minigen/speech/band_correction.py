"""Chapter 14: what the network made, brought to the mel bands that it was asked for.

    X = STFT(x),   d = m - m(x),   y = inverse STFT of X exp(W d)

m are the log-mel bands that go in, m(x) those of the sound x that comes out, and W interpolates from bands to bins. What
is missing can be heard without the recording, so it is put back: phases and fine structure stay the network's.
"""

from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..audio import frame_length, mel_filterbank
from ..conditioning import QUIET, mel_bands
from ..data import Utterance
from ..flows.linear_prediction import bands_to_bins

LIMIT = 1.4  # 12 dB: a band is not made louder or quieter by more
REACH = 4  # frames either side that a frame of y depends on


@cache
def _tables(rate: int, mels: int) -> tuple[Tensor, ...]:
    """Windowed Fourier analysis and synthesis, (2F, 1, n_fft) each, the squared window (1, 1, n_fft), the mel filters
    (M, F), and from bands to bins (F, M)."""
    n_fft = frame_length(rate)
    angles = 2 * np.pi * np.outer(np.arange(n_fft // 2 + 1), np.arange(n_fft)) / n_fft
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    waves = window * np.concatenate([np.cos(angles), -np.sin(angles)])
    sides = np.full(len(angles), 2 / n_fft)
    sides[[0, -1]] = 1 / n_fft
    parts = waves[:, None], (waves * np.tile(sides, 2)[:, None])[:, None], window[None, None] ** 2
    tables = mel_filterbank(rate, n_fft, mels), bands_to_bins(rate, n_fft, mels)[0]
    return tuple(torch.tensor(table) for table in (*parts, *tables))


def correct(x: Tensor, mel: Tensor, rate: int) -> Tensor:
    """A waveform (B, 1, T) whose log-mel bands should be mel (B, M, N) -> one (B, 1, T) that is nearer to them.

    T = N · rate / 100, and the bands are those of `conditioning.mel_bands`. Differentiable.

    >>> x = torch.randn(1, 1, 1600, generator=torch.Generator().manual_seed(0))
    >>> louder = correct(x, torch.full((1, 32, 20), 9.0), 8000)
    >>> round((louder.std() / x.std()).item(), 1)  # 12 dB, and no more
    4.1
    """
    tables = _tables(rate, int(mel.shape[1]))
    analysis, synthesis, weight, bank, to_bins = (table.to(x) for table in tables)
    hop = rate // 100
    before = (frame_length(rate) - hop) // 2  # a frame is centred on its samples
    spectrum = F.conv1d(F.pad(x, (before, before)), analysis, stride=hop)
    power = spectrum.square().unflatten(1, (2, -1)).sum(1)  # (B, F, N)
    has = (bank @ (power + 1e-12).sqrt()).log()
    missing = mel.clamp(min=QUIET) - has.clamp(min=QUIET)
    gain = (to_bins @ missing.clamp(-LIMIT, LIMIT)).exp()
    y = F.conv_transpose1d(spectrum * torch.cat([gain, gain], 1), synthesis, stride=hop)
    overlap = F.conv_transpose1d(torch.ones_like(mel[:1, :1]), weight, stride=hop)
    own = slice(before, y.shape[-1] - before)
    return y[..., own] / overlap[..., own]


def correct_pieces(pieces: Iterable[tuple[Tensor, Tensor]], rate: int) -> Iterator[Tensor]:
    """`correct` of sound that comes piece by piece, each (1, 1, n · hop) with its bands (1, M, n): REACH frames later."""
    hop, ready, x, mel = rate // 100, 0, None, None
    for sound, bands in pieces:
        x = sound if x is None else torch.cat([x, sound], -1)
        mel = bands if mel is None else torch.cat([mel, bands], -1)
        known = mel.shape[-1] - REACH
        if known > ready:
            yield correct(x, mel, rate)[..., ready * hop : known * hop]
            gone = max(0, known - REACH)
            x, mel, ready = x[..., gone * hop :], mel[..., gone:], known - gone
    if mel is not None:
        yield correct(x, mel, rate)[..., ready * hop :]


def as_recorded(x: np.ndarray, clip: Utterance, mels: int) -> np.ndarray:
    """Any sound (T,) brought to the bands of a recording that is as long: for a fair comparison."""
    hop = clip.rate // 100
    mel = torch.from_numpy(mel_bands(np.pad(clip.audio, (0, -len(x) % hop)), clip.rate, mels))
    padded = torch.from_numpy(np.pad(np.asarray(x, float), (0, -len(x) % hop)))
    return correct(padded[None, None], mel[None], clip.rate)[0, 0, : len(x)].numpy()
