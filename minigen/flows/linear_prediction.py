"""Chapter 13: linear prediction as a flow. The AR model of chapter 5, a new one every few milliseconds.

    e[t] = (x[t] - Σ_k a_k[n(t)] x[t-k]) / g[n(t)]       data -> noise, all samples at once
    x[t] = g[n(t)] e[t] + Σ_k a_k[n(t)] x[t-k]           noise -> data, sample by sample
    log|det de/dx| = -Σ_t log g[n(t)]

n(t) is the short frame that sample t lies in. The matrix de/dx is lower triangular with 1/g on its diagonal.
Where a and g come from a mel spectrum, the flow has nothing to learn: it takes the spectral envelope out of
speech and leaves the excitation, whose scale is about 1 everywhere, in vowels and in silence.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..audio import frame_length, hz_to_mel, mel_filterbank
from ..compiled import compiled

SUBFRAMES = 4  # predictors in a mel frame of 10 ms
LAG_WINDOW = 40.0  # Hz: how far every line of the spectrum is smeared, so that no pole is too sharp


class Predictor(NamedTuple):
    """Linear predictors of S short frames: coefficients a (B, K, S) and gain g (B, S)."""

    coefficients: Tensor
    gain: Tensor


def levinson(r: Tensor) -> tuple[Tensor, Tensor]:
    """Autocorrelations r_0 … r_K of many frames at once, (..., K + 1) -> a (..., K), error variance (...).

    The recursion of `timeseries.levinson_durbin`, differentiable. |a's poles| < 1 for every positive spectrum.

    >>> levinson(torch.tensor([1.0, 0.5, 0.25]))  # an AR(1)
    (tensor([0.5000, 0.0000]), tensor(0.7500))
    """
    a, error = r[..., :0], r[..., :1]
    for m in range(r.shape[-1] - 1):
        k = (r[..., m + 1 : m + 2] - (a * r[..., 1 : m + 1].flip(-1)).sum(-1, keepdim=True)) / error
        a = torch.cat([a - k * a.flip(-1), k], dim=-1)
        error = error * (1 - k.square())
    return a, error[..., 0]


@cache
def bands_to_bins(rate: int, n_fft: int, mels: int) -> tuple[np.ndarray, np.ndarray]:
    """Interpolation over mel from band centres to STFT bins (F, M), and the log of each band's weight (M,)."""
    bank = mel_filterbank(rate, n_fft, mels)
    edges = np.linspace(0, hz_to_mel(rate / 2), mels + 2)
    bins = hz_to_mel(np.arange(n_fft // 2 + 1) * rate / n_fft)
    weights = np.stack([np.interp(bins, edges[1:-1], row) for row in np.eye(mels)], axis=1)
    return weights, np.log(bank.sum(1))


@cache
def _bins_to_lags(rate: int, n_fft: int, order: int) -> np.ndarray:
    """The inverse Fourier transform of a power spectrum at lags 0 … K, times the lag window, (F, K + 1)."""
    lags, bins = np.arange(order + 1), np.arange(n_fft // 2 + 1)
    both_sides = np.where((bins == 0) | (bins == n_fft // 2), 1, 2)[:, None] / n_fft
    window = np.exp(-0.5 * (2 * np.pi * LAG_WINDOW / rate * lags) ** 2)
    window[0] = 1.0001  # a little white noise
    return both_sides * np.cos(2 * np.pi * np.outer(bins, lags) / n_fft) * window


def predictor_from_mel(
    mel: Tensor, rate: int, order: int = 16, noise: float = 5e-4, scale: float = 1.0
) -> Predictor:
    """Log-mel magnitudes (B, M, N), frames of 32 ms every 10 ms -> predictors of N · SUBFRAMES short frames.

    The bands, interpolated over time and frequency, are a power spectrum; its inverse Fourier transform is an
    autocorrelation, and Levinson's recursion finds the predictor and its error from that.

    Args:
        mel: natural logarithms, as `conditioning.mel_bands` measures them. rate: Hz. order: K.
        noise: standard deviation of white noise that x has beyond what the bands show (its dither).
        scale: factor of the gain.

    References: Makhoul, Linear Prediction: A Tutorial Review, 1975; Valin and Skoglund, LPCNet: Improving
    Neural Speech Synthesis through Linear Prediction, 2019 (arXiv:1810.11846).

    >>> mel = torch.zeros(1, 32, 5)
    >>> a, g = predictor_from_mel(mel, 8000)
    >>> a.shape, g.shape
    (torch.Size([1, 16, 20]), torch.Size([1, 20]))
    """
    n_fft = frame_length(rate)
    weights, log_sums = (
        torch.as_tensor(part, dtype=mel.dtype, device=mel.device)
        for part in bands_to_bins(rate, n_fft, int(mel.shape[1]))
    )
    mean = mel - log_sums[:, None]  # log of the mean magnitude in each band
    mean = F.interpolate(mean, scale_factor=SUBFRAMES, mode="linear")  # (B, M, S)
    # A Hann window has the mean square 3/8; E|S| of Gaussian noise is √(π/4) of the root of E|S|².
    log_power = 2 * (weights @ mean) + math.log(4 / math.pi / (0.375 * n_fft))  # (B, F, S)
    power = (log_power.exp() + noise**2).transpose(1, 2)  # (B, S, F)
    cosines = torch.as_tensor(_bins_to_lags(rate, n_fft, order), dtype=mel.dtype, device=mel.device)
    a, error = levinson(power @ cosines)
    return Predictor(a.transpose(1, 2), scale * error.sqrt())


@compiled
def _synthesise(u, a, past):
    """x[t] = u[t] + Σ_k a_k[t // hop] x[t-k]; u (B, T), a (B, S, K), past (B, K) oldest first -> x (B, T)."""
    batch, length = u.shape
    order, hop = a.shape[2], length // a.shape[1]
    out = np.empty_like(u)
    for b in range(batch):
        x = np.empty(order + length)
        x[:order] = past[b]
        for t in range(length):
            row, total = a[b, t // hop], u[b, t]
            for k in range(order):
                total += row[k] * x[order + t - 1 - k]
            x[order + t] = total
        out[b] = x[order:]
    return out


@compiled
def _adjoint(grad, a):
    """u[t] = grad[t] + Σ_k a_k[(t+k) // hop] u[t+k]: the same filter, transposed, in reversed time."""
    batch, length = grad.shape
    order, hop = a.shape[2], length // a.shape[1]
    out = np.empty_like(grad)
    for b in range(batch):
        u = np.zeros(length + order)
        for t in range(length - 1, -1, -1):
            total = grad[b, t]
            for k in range(1, min(order, length - 1 - t) + 1):
                total += a[b, (t + k) // hop, k - 1] * u[t + k]
            u[t] = total
        out[b] = u[:length]
    return out


class _AllPole(torch.autograd.Function):
    """(u (B, T), a (B, K, S), past (B, K)) -> x (B, T), with gradients to all three."""

    @staticmethod
    def forward(ctx, u: Tensor, a: Tensor, past: Tensor) -> Tensor:
        rows = np.ascontiguousarray(a.detach().cpu().double().transpose(1, 2).numpy())
        arrays = (value.detach().cpu().double().contiguous().numpy() for value in (u, past))
        u64, past64 = arrays
        x = torch.from_numpy(_synthesise(u64, rows, past64)).to(u)
        ctx.rows = rows
        ctx.save_for_backward(x, past)
        return x

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        x, past = ctx.saved_tensors
        flat = grad.detach().cpu().double().contiguous().numpy()
        u = torch.from_numpy(_adjoint(flat, ctx.rows)).to(grad)
        grad_a = grad_past = None
        order, frames = past.shape[1], ctx.rows.shape[1]
        if ctx.needs_input_grad[1]:
            each = _history(x, past) * u.unsqueeze(-1)  # (B, T, K)
            grad_a = each.unflatten(1, (frames, -1)).sum(2).transpose(1, 2)
        if ctx.needs_input_grad[2]:  # past[K-j] is x[-j], which x[t] reads as its lag t + j
            rows = torch.from_numpy(ctx.rows).to(grad)
            hop = grad.shape[1] // frames
            grad_past = torch.zeros_like(past)
            for j in range(1, order + 1):
                for t in range(min(order - j + 1, grad.shape[1])):
                    grad_past[:, order - j] += rows[:, t // hop, t + j - 1] * u[:, t]
        return u, grad_a, grad_past


def _history(x: Tensor, past: Tensor) -> Tensor:
    """x (B, T) after past (B, K) -> the K samples before each, latest first, (B, T, K)."""
    return torch.cat([past, x], dim=1)[:, :-1].unfold(1, past.shape[1], 1).flip(-1)


class LinearPrediction(nn.Module):
    """The flow above: forward takes the predictable part out of x, inverse puts it back.

    Forward is one pass and inverse a loop over samples, compiled by numba, in double precision; both have
    gradients with respect to everything that they are given. `past` makes a stream of pieces: the K samples of
    x before the first, oldest first, zeros at the start.

    References: Juvela et al., GELP: GAN-Excited Linear Prediction for Speech Synthesis from Mel-Spectrogram,
    2019 (arXiv:1904.03976); Song, Byun and Kang, ExcitNet Vocoder, 2019 (arXiv:1811.04769).

    >>> flow = LinearPrediction()
    >>> context = Predictor(torch.full((1, 1, 4), 0.9), torch.full((1, 4), 0.5))  # an AR(1), four frames of it
    >>> e = torch.randn(1, 1, 80, generator=torch.Generator().manual_seed(0))
    >>> x, _ = flow.inverse(e, context)
    >>> z, log_det = flow(x, context)
    >>> torch.allclose(z, e, atol=1e-5), round(log_det.item(), 2)  # -80 log ½
    (True, 55.45)
    """

    def forward(
        self, x: Tensor, context: Predictor, past: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """x (B, 1, T) -> e (B, 1, T), log|det de/dx| (B,)."""
        a, g, past = self._checked(x, context, past)
        history = _history(x[:, 0], past).unflatten(1, (g.shape[1], -1))  # (B, S, hop, K)
        predicted = (history @ a.transpose(1, 2).unsqueeze(-1)).flatten(1)  # (B, T)
        hop = x.shape[-1] // g.shape[1]
        e = (x[:, 0] - predicted) / g.repeat_interleave(hop, 1)
        return e.unsqueeze(1), -hop * g.log().sum(1)

    def inverse(
        self, e: Tensor, context: Predictor, past: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """e (B, 1, T) -> x (B, 1, T), log|det dx/de| (B,)."""
        a, g, past = self._checked(e, context, past)
        hop = e.shape[-1] // g.shape[1]
        x = _AllPole.apply(e[:, 0] * g.repeat_interleave(hop, 1), a, past)
        return x.unsqueeze(1), hop * g.log().sum(1)

    @staticmethod
    def _checked(x: Tensor, context: Predictor, past: Tensor | None) -> tuple[Tensor, ...]:
        a, g = context
        batch, order, frames = a.shape
        if x.ndim != 3 or x.shape[:2] != (batch, 1) or x.shape[-1] % frames:
            raise ValueError(
                f"x has shape ({batch}, 1, T), T a multiple of {frames}, not {tuple(x.shape)}"
            )
        if g.shape != (batch, frames):
            raise ValueError(f"{frames} predictors need as many gains, not {tuple(g.shape)}")
        return a, g, x.new_zeros(batch, order) if past is None else past
