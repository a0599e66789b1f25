"""Chapter 14: a perceptual loss, the distance of two sounds in the layers of a classifier of phones.

Two waveforms that differ in every sample can be the same phones. The layers of a small network that names
the phone of each frame keep what tells phones apart, and less of the rest.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import weights
from .audio import mel_filterbank
from .conditioning import HOP, PHONES
from .spectral_losses import check_alike, power_spectrogram

RATE, N_FFT, N_MELS = 8_000, 256, 40
FLOOR = 1e-6  # of power in a mel band, below the dither of the digit voice


class PhoneNet(nn.Module):
    """Which phone? Convolutions over log-mel frames of 32 ms every 10 ms, at 8 kHz.

    Frame n covers samples 80 n … 80 n + 255, so that its middle lies in frame n + 1 of the corpus's labels.

    Args: channels: of each of three layers.

    >>> net = PhoneNet(channels=8)
    >>> scores, features = net(torch.zeros(1, 1, 4000))
    >>> scores.shape, len(features), features[0].shape  # (B, phones, N), 3, (B, channels, N)
    (torch.Size([1, 21, 47]), 3, torch.Size([1, 8, 47]))
    """

    def __init__(self, channels: int = 48) -> None:
        super().__init__()
        bank = torch.tensor(mel_filterbank(RATE, N_FFT, N_MELS).copy(), dtype=torch.float32)
        self.register_buffer("bank", bank, persistent=False)  # (M, F)
        self.register_buffer("mean", torch.zeros(N_MELS, 1))
        self.register_buffer("std", torch.ones(N_MELS, 1))
        sizes = [(N_MELS, 5), (channels, 5), (channels, 3)]
        self.layers = nn.ModuleList(
            nn.Conv1d(size, channels, kernel, padding=kernel // 2) for size, kernel in sizes
        )
        self.output_projection = nn.Conv1d(channels, len(PHONES), 1)

    def log_mel(self, x: Tensor) -> Tensor:
        """x (B, 1, T) -> log of the power in each mel band, (B, M, N) with N = 1 + (T - 256) // 80."""
        power = power_spectrogram(x, N_FFT, HOP)
        return (self.bank.to(x.dtype) @ power).clamp(min=FLOOR).log()

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """x (B, 1, T) -> scores of the phones (B, P, N), activations of each layer (B, channels, N)."""
        h, features = (self.log_mel(x) - self.mean) / self.std, []
        for layer in self.layers:
            h = F.relu(layer(h))
            features.append(h)
        return self.output_projection(h), features


def gram(h: Tensor) -> Tensor:
    """The correlations of the channels, h hᵀ / N: (B, C, N) -> (B, C, C). Time is averaged out.

    >>> h = torch.randn(1, 3, 50, generator=torch.Generator().manual_seed(0))
    >>> bool(torch.allclose(gram(h), gram(h.flip(-1)), atol=1e-6))  # time backwards
    True
    """
    return h @ h.mT / h.shape[-1]


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """‖a - b‖² / ‖b‖² of each item, averaged over the batch."""
    per_item = (a - b).flatten(1).square().sum(1) / (b.flatten(1).square().sum(1) + 1e-8)
    return per_item.mean()


class PerceptualLoss(nn.Module):
    """Distance of two sounds at 8 kHz in the layers of a phone classifier, both (B, 1, T).

        L = mean over layers of  w_feature ‖h_x - h_y‖² / ‖h_y‖²  +  w_style ‖G_x - G_y‖² / ‖G_y‖²

    h is a layer's activations, G their `gram` matrix. The style does not depend on when a phone is
    spoken, so it forgives a shift in time.

    Args:
        net: a PhoneNet, by default the shipped one. It is frozen. feature, style: the weights.
        rate: of the sounds; must be 8,000 Hz, or the net's bands are other frequencies.

    References: van den Oord et al., Parallel WaveNet, 2017 (arXiv:1711.10433), section 4.1; Johnson, Alahi and
    Fei-Fei, Perceptual Losses for Real-Time Style Transfer, 2016 (arXiv:1603.08155).

    >>> x = 0.1 * torch.randn(1, 1, 2000, generator=torch.Generator().manual_seed(0))
    >>> PerceptualLoss()(x, x).item()
    0.0
    """

    min_length = N_FFT  # samples that it needs at least

    @weights.takes_networks
    def __init__(
        self,
        net: PhoneNet | None = None,
        feature: float = 1.0,
        style: float = 1.0,
        rate: int = RATE,
    ) -> None:
        super().__init__()
        if rate != RATE:
            raise ValueError(
                f"the perceptual loss is for {RATE} Hz, not at {rate} Hz: set perceptual = 0"
            )
        self.net = (load_phone_net() if net is None else net).eval().requires_grad_(False)
        self.feature, self.style = feature, style

    def forward(self, generated: Tensor, recorded: Tensor) -> Tensor:
        check_alike(generated, recorded)
        with torch.autocast(generated.device.type, enabled=False):  # a loss, so in full precision
            _, ours = self.net(generated)
            with torch.no_grad():
                _, theirs = self.net(recorded)
            parts = [
                self.feature * _distance(a, b) + self.style * _distance(gram(a), gram(b))
                for a, b in zip(ours, theirs, strict=True)
            ]
        return torch.stack(parts).mean()


def load_phone_net() -> PhoneNet:
    """The classifier that ships, trained by `training/phone_classifier.py`."""
    tensors, notes = weights.load("phone_net")
    return weights.frozen(PhoneNet(notes["channels"]), tensors)
