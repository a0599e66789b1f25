"""Chapter 7: WaveNet, p(x[t] | x[<t], conditioning) for every t in one pass.

    x[t-1] -> 1x1 -> [ gated dilated convolution + residual ] × layers -> skip -> 1x1 -> params[t]

The shift by one sample is inside the model: params at t see x[<t] only. Audio is (B, 1, T).
"""

import math
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .distributions import Head


def shift_right(x: Tensor, by: int = 1) -> Tensor:
    """Delay by `by` samples, zeros first: out[t] = x[t - by]. (..., T) -> (..., T)."""
    return F.pad(x, (by, 0))[..., : x.shape[-1]]


class GatedLayer(nn.Module):
    """One gated, dilated, causal convolution with a residual path.

        a[t] = tanh(f[t]) · sigmoid(g[t]),   [f; g][t] = Σ_j W_j h[t - j·d] + V c[t] + b
        h'[t] = (h[t] + R a[t]) / √2

    Args:
        channels: of h, and of a. kernel: taps j = 0 … kernel - 1 of the convolution.
        dilation: d, the distance between taps in samples. cond_channels: of c; 0 for none.
        residual: False for the last layer, whose h' nobody reads.

    References: van den Oord et al., WaveNet, 2016 (arXiv:1609.03499), sections 2.3 and 2.5.
    """

    def __init__(
        self, channels: int, kernel: int, dilation: int, cond_channels: int, residual: bool = True
    ) -> None:
        super().__init__()
        self.past = (kernel - 1) * dilation  # samples of the past it needs
        self.conv = nn.Conv1d(channels, 2 * channels, kernel, dilation=dilation)
        self.cond = nn.Conv1d(cond_channels, 2 * channels, 1, bias=False) if cond_channels else None
        self.residual = nn.Conv1d(channels, channels, 1) if residual else None

    def forward(self, h: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """h (B, R, T), c (B, C, T) -> next h (B, R, T), a (B, R, T)."""
        z = self.conv(F.pad(h, (self.past, 0)))  # (B, 2R, T)
        if self.cond is not None:
            z = z + self.cond(c)
        f, g = z.chunk(2, dim=1)
        a = torch.tanh(f) * torch.sigmoid(g)  # (B, R, T)
        if self.residual is not None:
            h = (h + self.residual(a)) * 0.5**0.5
        return h, a


class Upsample(nn.Module):
    """Frame features -> features at every sample, without a pattern at the rate of frames.

    Each stage repeats every value `factor` times and then smooths with a learned filter over 2·factor
    + 1 samples, the same for all channels, which starts as the mean of `factor` neighbours (the result is
    then linear interpolation). A constant stays constant whatever the filter learns, since repeating
    a constant leaves nothing for the filter to see. A transposed convolution has no such guarantee:
    its overlaps differ from sample to sample and print a checkerboard.

    Args:
        factors: of the stages; their product is the hop, the number of samples in a frame.
        learned: False only repeats.

    References: Odena, Dumoulin and Olah, Deconvolution and Checkerboard Artifacts, 2016
    (doi:10.23915/distill.00003).

    >>> up = Upsample((4, 2))
    >>> up(torch.tensor([[[0.0, 1.0, 1.0]]])).shape  # (B, F, N) -> (B, F, 8 N)
    torch.Size([1, 1, 24])
    """

    def __init__(self, factors: tuple[int, ...], learned: bool = True) -> None:
        super().__init__()
        if not factors or min(factors) < 1:
            raise ValueError(f"Upsample needs factors of at least 1, not {factors}")
        self.factors, self.hop = tuple(factors), math.prod(factors)  # samples in a frame
        self.filters = nn.ParameterList() if learned else None
        for factor in factors if learned else ():
            weight = torch.ones(2 * factor + 1)  # a mean of `factor` neighbours, centred
            offset = (torch.arange(2 * factor + 1) - factor).abs()
            weight = (0.5 * (factor + 1) - offset).clamp(0, 1) * weight / factor
            self.filters.append(nn.Parameter(weight))

    def forward(self, frames: Tensor) -> Tensor:
        """frames (B, F, N) -> (B, F, N · hop); frame n covers samples n·hop … (n + 1)·hop - 1."""
        if frames.ndim != 3:
            raise ValueError(f"frames have shape (B, F, N), not {tuple(frames.shape)}")
        h = frames.flatten(0, 1).unsqueeze(1)  # (B·F, 1, N): every channel alike
        for index, factor in enumerate(self.factors):
            h = h.repeat_interleave(factor, dim=-1)
            if self.filters is not None:
                weight = self.filters[index].view(1, 1, -1)
                h = F.conv1d(F.pad(h, (factor, factor), mode="replicate"), weight)
        return h.view(*frames.shape[:2], -1)


class WaveNet(nn.Module):
    """An autoregressive density of waveforms.

        log p(x | c) = Σ_t log p(x[t] | params[t]),   params[t] = net(x[<t], c[<=t])

    With `lpc_order` > 0 a linear prediction from the last `lpc_order` samples is added to the means of the
    density: Σ_k w_k x[t - k]. That is the AR model of chapter 5, and the network then
    learns only what a linear predictor misses.

    Args:
        head: the density, from `minigen.distributions`.
        residual, skip: channels of the residual path and of the output path.
        layers: of one cycle, with dilations 1, 2, 4, … 2^(layers-1).
        cycles: how often these dilations are gone through. kernel: taps of each dilated convolution.
        cond_channels: of the conditioning c (B, C, T); 0 for none.
        speakers: number of voices, each an embedding added to c (or to h where c is absent).
        input_scale: the audio is multiplied by it on entry, and the head's mean and scale are in audio units.
        lpc_order: of the linear prediction.

    References: van den Oord et al., WaveNet: A Generative Model for Raw Audio, 2016 (arXiv:1609.03499).

    >>> from minigen.distributions import GaussianHead
    >>> net = WaveNet(GaussianHead(), residual=4, skip=4, layers=3, cycles=2)
    >>> net(torch.zeros(1, 1, 50)).shape
    torch.Size([1, 2, 50])
    >>> net.receptive_field  # 1 + 2 · (1 + 2 + 4)
    15
    """

    def __init__(
        self,
        head: Head,
        residual: int = 32,
        skip: int = 32,
        layers: int = 8,
        cycles: int = 2,
        kernel: int = 2,
        cond_channels: int = 0,
        speakers: int = 0,
        input_scale: float = 1.0,
        lpc_order: int = 0,
    ) -> None:
        super().__init__()
        if min(residual, skip, layers, cycles) < 1 or kernel < 2:
            raise ValueError(
                f"{residual=}, {skip=}, {layers=} or {cycles=} below 1, or {kernel=} below 2"
            )
        if min(cond_channels, speakers, lpc_order) < 0:
            raise ValueError(f"none of {cond_channels=}, {speakers=}, {lpc_order=} is negative")
        if lpc_order and not head.means:
            raise ValueError(f"{lpc_order=} adds to a mean, and {type(head).__name__} has none")
        self.head, self.input_scale, self.lpc_order = head, input_scale, lpc_order
        self.cond_channels, self.speakers = cond_channels, speakers
        self.input_projection = nn.Linear(1, residual)
        dilations = [2**i for _ in range(cycles) for i in range(layers)]
        self.layers = nn.ModuleList(
            GatedLayer(residual, kernel, dilation, cond_channels, index < len(dilations) - 1)
            for index, dilation in enumerate(dilations)
        )
        width = cond_channels or residual
        self.speaker_embedding = nn.Embedding(speakers, width) if speakers else None
        self.skip = nn.Conv1d(residual * len(dilations), skip, 1)  # every layer's skip path at once
        self.hidden = nn.Conv1d(skip, skip, 1)
        self.output_projection = nn.Conv1d(skip, head.n_params, 1)
        self.linear = nn.Parameter(torch.zeros(lpc_order)) if lpc_order else None
        nn.init.zeros_(self.output_projection.weight)  # start as the linear predictor, one scale
        with torch.no_grad():
            self.output_projection.bias.copy_(head.initial())

    def __repr__(self) -> str:
        first, last = self.layers[0].conv, self.layers[-1].conv
        cycles = sum(layer.conv.dilation == last.dilation for layer in self.layers)
        more = {n: getattr(self, n) for n in ("cond_channels", "speakers", "lpc_order")}
        more = "".join(f", {name}={value}" for name, value in more.items() if value)
        return (
            f"WaveNet({self.head}, residual={first.in_channels}, skip={self.skip.out_channels}, "
            f"kernel={first.kernel_size[0]}, dilations=1 … {last.dilation[0]}, {cycles=}{more}, "
            f"receptive_field={self.receptive_field})"
        )

    @property
    def receptive_field(self) -> int:
        """How many past samples params[t] can see: x[t - receptive_field] … x[t - 1]."""
        return max(1 + sum(layer.past for layer in self.layers), self.lpc_order)

    def forward(
        self, x: Tensor, cond: Tensor | None = None, speaker: Tensor | None = None
    ) -> Tensor:
        """x (B, 1, T), cond (B, C, T), speaker (B,) -> params (B, P, T)."""
        self.validate(x, cond, speaker)
        past = shift_right(x)  # past[t] = x[t - 1]
        scaled = self.input_scale * self.head.compand(past)
        h = self.input_projection(scaled.transpose(1, 2)).transpose(1, 2)  # (B, R, T)
        if self.speaker_embedding is not None:
            embedded = self.speaker_embedding(speaker).unsqueeze(-1)  # (B, C or R, 1)
            h, cond = (h + embedded, None) if cond is None else (h, cond + embedded)
        activations = []
        for layer in self.layers:
            h, a = layer(h, cond)
            activations.append(a)
        skip = F.relu(self.skip(torch.cat(activations, dim=1)))  # (B, S, T)
        with torch.autocast(x.device.type, enabled=False):  # the head in full precision, always
            params = self.output_projection(F.relu(self.hidden(skip.to(x.dtype))))  # (B, P, T)
            if self.linear is not None:
                prediction = self._predict(past)  # (B, 1, T)
                means = self.head.means
                params = torch.cat([params[:, :means] + prediction, params[:, means:]], dim=1)
        return params

    def _predict(self, past: Tensor) -> Tensor:
        """Σ_k w_k x[t - k] of past[t] = x[t - 1]."""
        history = F.pad(past, (self.lpc_order - 1, 0)).unfold(-1, self.lpc_order, 1)  # (B, 1, T, K)
        return history @ self.linear.flip(0)

    @torch.no_grad()
    def init_from_data(self, x: Tensor) -> Self:
        """Start at the least-squares linear predictor of x (B, 1, T) and the density of its error.

        w = argmin Σ_t (x[t] - Σ_k w_k x[t - k])². The constant parameters then suit the errors: a
        Gaussian has their scale. A head without means starts at the histogram of x.
        """
        target = x.reshape(-1, 1).double()
        error = target
        if self.linear is not None:
            past = F.pad(x[:, 0], (self.lpc_order, 0)).unfold(-1, self.lpc_order, 1)[:, :-1]
            past = past.flip(-1).reshape(-1, self.lpc_order).double()  # column k-1 is x[t - k]
            w = torch.linalg.lstsq(past, target).solution  # (K, 1)
            self.linear.copy_(w.squeeze(1))
            error = target - past @ w
        self.output_projection.bias.copy_(self.head.start(target, error))
        return self

    def log_prob(
        self, x: Tensor, cond: Tensor | None = None, speaker: Tensor | None = None
    ) -> Tensor:
        """log p(x | cond, speaker) in nats, summed over time: (B,)."""
        return self.head.log_prob(self(x, cond, speaker), x).sum(-1)

    def validate(self, x: Tensor, cond: Tensor | None, speaker: Tensor | None) -> None:
        """Raise ValueError unless these are what the network takes."""
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise TypeError(f"audio is a tensor of floats, not {getattr(x, 'dtype', type(x))}")
        if x.ndim != 3 or x.shape[1] != 1 or x.shape[2] == 0:
            raise ValueError(f"audio has shape (B, 1, T), not {tuple(x.shape)}")
        if (cond is None) != (self.cond_channels == 0):
            raise ValueError(
                f"this WaveNet has cond_channels={self.cond_channels}, "
                f"but cond is {'missing' if cond is None else 'given'}"
            )
        shape = (x.shape[0], self.cond_channels, x.shape[-1])
        if cond is not None and cond.shape != shape:
            raise ValueError(f"cond has shape {tuple(cond.shape)}, not {shape}: upsample it first")
        if (speaker is None) != (self.speaker_embedding is None):
            raise ValueError(
                f"this WaveNet has {self.speakers} speakers, "
                f"but speaker is {'missing' if speaker is None else 'given'}"
            )
