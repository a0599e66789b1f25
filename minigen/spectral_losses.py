"""Chapter 14: spectral losses, which compare a generated waveform with a recorded one, both (B, 1, T).

The STFT is windowed (without a window a loud tone leaks into every band and hides a hiss), and a small floor stands
under each square root (its gradient at zero power is infinite). Frames are given in seconds, because a
frame's duration decides which two moments or two pitches it can tell apart.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .audio import frame_length, mel_filterbank
from .distributed import mean_over_processes

FLOOR = 1e-7  # of power: 70 dB below white noise of deviation 1


def power_spectrogram(x: Tensor, n_fft: int, hop: int, windowed: bool = True) -> Tensor:
    """|STFT|², Hann window of length n_fft, scaled by 1 / Σ window²: (B, 1, T) -> (B, F, N).

    `windowed` False cuts frames out with hard edges instead: a tone then leaks into every band.
    """
    if x.ndim != 3 or x.shape[1] != 1:
        raise ValueError(f"audio has shape (B, 1, T), not {tuple(x.shape)}")
    if x.shape[-1] < n_fft:
        raise ValueError(f"{x.shape[-1]} samples are fewer than one frame, {n_fft}: shorten n_fft")
    make = torch.hann_window if windowed else torch.ones
    window = make(n_fft, device=x.device, dtype=x.dtype)
    spectrum = torch.stft(x[:, 0], n_fft, hop, window=window, center=False, return_complex=True)
    return (spectrum.real**2 + spectrum.imag**2) / window.square().sum()


def _magnitude(x: Tensor, n_fft: int, hop: int, windowed: bool = True) -> Tensor:
    """|STFT| with the floor, whose gradient is finite everywhere: (B, F, N)."""
    return power_spectrogram(x, n_fft, hop, windowed).clamp(min=FLOOR).sqrt()


def check_alike(generated: Tensor, recorded: Tensor) -> None:
    """ValueError unless both have one shape."""
    if generated.shape != recorded.shape:
        raise ValueError(
            f"not of one shape: {tuple(generated.shape)}, {tuple(recorded.shape)}: cut them alike"
        )


class PowerLoss(nn.Module):
    """Mean power in each frequency band should be that of the recording.

        L = Σ_f (P_x[f] - P_y[f])² / Σ_f P_y[f]²,   P[f] = mean over batch and time of |STFT|²

    Linear in power, so that it is about loud bands; the STFT loss takes care of quiet ones.

    Frames of 32 ms every 8 ms.

    Args: rate: of the sounds, in Hz.

    References: van den Oord et al., Parallel WaveNet, 2017 (arXiv:1711.10433), section 4.1.

    >>> x = torch.randn(1, 1, 2000, generator=torch.Generator().manual_seed(0))
    >>> PowerLoss()(x, x).item()
    0.0
    """

    def __init__(self, rate: int = 8_000) -> None:
        super().__init__()
        self.n_fft = self.min_length = frame_length(rate)  # samples that it needs at least
        self.hop = self.n_fft // 4

    def forward(self, generated: Tensor, recorded: Tensor) -> Tensor:
        check_alike(generated, recorded)
        power = lambda x: power_spectrogram(x, self.n_fft, self.hop).mean((0, 2))  # (F,)
        p_x, p_y = (mean_over_processes(power(x)) for x in (generated, recorded))
        return (p_x - p_y).square().sum() / (p_y.square().sum() + FLOOR**2)


class STFTLoss(nn.Module):
    """Spectral convergence plus log-magnitude distance at one resolution.

        L = ‖|Y| - |X|‖ / ‖|Y|‖  +  mean |log |Y| - log |X||

    The first term is about the loud parts, the second about the quiet ones.

    References: Arık, Jun and Diamos, Fast Spectrogram Inversion, 2018 (arXiv:1808.06719); Yamamoto, Song and
    Kim, Parallel WaveGAN, 2020 (arXiv:1910.11480), section 2.2.
    """

    def __init__(self, n_fft: int, hop: int, window: bool = True) -> None:
        super().__init__()
        self.n_fft, self.hop, self.window = n_fft, hop, window

    def forward(self, generated: Tensor, recorded: Tensor) -> Tensor:
        check_alike(generated, recorded)
        x, y = (_magnitude(a, self.n_fft, self.hop, self.window) for a in (generated, recorded))
        error = mean_over_processes((y - x).square().sum()).clamp(min=FLOOR**2)
        convergence = error.sqrt() / mean_over_processes(y.square().sum()).sqrt()
        return convergence + (y.log() - x.log()).abs().mean()


class MultiResolutionSTFTLoss(nn.Module):
    """The mean of `STFTLoss` over several frame lengths, with hops of a quarter frame.

    One resolution can be cheated: a long frame does not see when, a short one not which pitch. The longest
    should hold several periods of a low voice: 64 ms are five periods of 80 Hz.

    Args: rate: of the sounds, in Hz. seconds: of the frames. window: False leaves it out.

    >>> x = torch.randn(1, 1, 2000, generator=torch.Generator().manual_seed(0))
    >>> loss = MultiResolutionSTFTLoss()
    >>> round(loss(x, x).item(), 6), bool(loss(0.5 * x, x) > 0.5)
    (0.0, True)
    """

    def __init__(
        self,
        rate: int = 8_000,
        seconds: Sequence[float] = (0.008, 0.016, 0.032, 0.064),
        window: bool = True,
    ) -> None:
        super().__init__()
        n_ffts = [frame_length(rate, frame) for frame in seconds]
        self.losses = nn.ModuleList(STFTLoss(n_fft, n_fft // 4, window) for n_fft in n_ffts)
        self.min_length = max(n_ffts)  # samples that it needs at least

    def forward(self, generated: Tensor, recorded: Tensor) -> Tensor:
        return torch.stack([loss(generated, recorded) for loss in self.losses]).mean()


class MelLoss(nn.Module):
    """How far two sounds are apart in the loudness of their mel bands.

        L = mean |log M_x - log M_y|,   M = mel filterbank (F bins -> `mels` bands) of |STFT|

    A band sums what an ear takes for one loudness, so that a noise need not repeat the recording's noise bin
    by bin, as `STFTLoss` asks. Frames of 32 ms every 8 ms.

    Args: rate: of the sounds, in Hz. mels: number of bands.

    References: Kong, Kim and Bae, HiFi-GAN, 2020 (arXiv:2010.05646).

    >>> x = torch.randn(1, 1, 2000, generator=torch.Generator().manual_seed(0))
    >>> round(MelLoss()(0.5 * x, x).item(), 3)  # log 2 in every band
    0.693
    """

    def __init__(self, rate: int = 8_000, mels: int = 40) -> None:
        super().__init__()
        self.n_fft = self.min_length = frame_length(rate)  # samples that it needs at least
        bank = torch.tensor(mel_filterbank(rate, self.n_fft, mels), dtype=torch.float32)
        self.register_buffer("bank", bank, persistent=False)

    def _log_mel(self, x: Tensor) -> Tensor:
        magnitude = _magnitude(x, self.n_fft, self.n_fft // 4)
        return (self.bank.to(x.dtype) @ magnitude).log()  # (B, mels, N)

    def forward(self, generated: Tensor, recorded: Tensor) -> Tensor:
        check_alike(generated, recorded)
        return (self._log_mel(generated) - self._log_mel(recorded)).abs().mean()
