"""Chapter 12: a coupling flow at several resolutions, for frames of a waveform."""

import torch
from torch import Tensor, nn

from ..distributions import Random
from .linear import ActNorm, LULinear
from .transform import Transform
from .univariate import AffineMap


def squeeze(x: Tensor) -> Tensor:
    """Halve the length by turning neighbours into channels: (B, C, T) -> (B, 2 C, T/2).

    >>> squeeze(torch.arange(4.0).reshape(1, 1, 4))
    tensor([[[0., 2.],
             [1., 3.]]])
    """
    batch, channels, length = x.shape
    return x.reshape(batch, channels, length // 2, 2).mT.reshape(batch, 2 * channels, length // 2)


def unsqueeze(x: Tensor) -> Tensor:
    """Undo `squeeze`: (B, 2 C, T) -> (B, C, 2 T)."""
    batch, channels, length = x.shape
    return x.reshape(batch, channels // 2, 2, length).mT.reshape(batch, channels // 2, 2 * length)


class ConvCoupling(Transform):
    """`AffineCoupling` for feature maps: half the channels, with parameters from a small convolutional net.

        forward:  z_A = x_A,  z_B = (x_B - m(x_A)) exp(-s(x_A)), log|det| = -Σ s over channels and times
        inverse:  x_A = z_A,  x_B = z_B exp(s(z_A)) + m(z_A), log|det| = Σ s

    The event is (C, T), given flat as (..., C · T).

    Args:
        channels: C >= 2. length: T. hidden: channels of the net. bound: of |s|.
    """

    def __init__(self, channels: int, length: int, hidden: int = 32, bound: float = 3.0) -> None:
        if channels < 2:
            raise ValueError(f"a coupling needs at least 2 channels, not {channels}")
        super().__init__(channels * length)
        self.channels, self.length = channels, length
        self.kept = channels // 2
        self.univariate = AffineMap(bound)
        last = nn.Conv1d(hidden, 2 * (channels - self.kept), 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(
            nn.Conv1d(self.kept, hidden, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv1d(hidden, hidden, 1),
            nn.ReLU(inplace=True),
            last,
        )

    def _map(self, value: Tensor, back: bool) -> tuple[Tensor, Tensor]:
        maps = value.reshape(-1, self.channels, self.length)
        kept, changed = maps[:, : self.kept], maps[:, self.kept :]
        params = torch.stack(self.net(kept).chunk(2, 1), -1)
        g = self.univariate.inverse if back else self.univariate.forward
        changed, log_slope = g(changed, params)
        result = torch.cat([kept, changed], 1).reshape(value.shape)
        return result, log_slope.flatten(1).sum(1).reshape(value.shape[:-1])

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return self._map(x, back=False)

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return self._map(z, back=True)

    def extra_repr(self) -> str:
        hidden = self.net[0].out_channels
        return f"{self.channels}, {self.length}, {self.univariate}, {hidden=}"


class MultiScale(Transform):
    """Coupling at several resolutions: squeeze, mix, couple; after each level half the channels are done.

    One level: `squeeze`, then `steps` times (ActNorm, LULinear on the channels, ConvCoupling); then half of
    the channels go out as noise, and the rest goes on to the next level. So coarse noise passes through
    all levels and fine noise through one. log|det| is the sum over all parts.

    Args:
        length: T, divisible by 2 ** levels. levels, steps: see above. hidden: channels of each coupling's
            net. generator: of the starting rotations.

    References: Dinh, Sohl-Dickstein and Bengio, Density Estimation Using Real NVP, 2016 (arXiv:1605.08803),
    section 3.6; Kingma and Dhariwal, Glow, 2018 (arXiv:1807.03039).

    >>> flow = MultiScale(16, levels=2, steps=1, hidden=4)
    >>> z, log_det = flow(torch.zeros(3, 16))
    >>> z.shape, log_det.shape
    (torch.Size([3, 16]), torch.Size([3]))
    """

    def __init__(
        self,
        length: int,
        levels: int = 2,
        steps: int = 4,
        hidden: int = 32,
        generator: Random = None,
    ) -> None:
        if levels < 1 or steps < 1 or length < 1 or length % 2**levels:
            raise ValueError(
                f"{levels=}, {steps=} >= 1 need a length divisible by 2^levels, not {length}: pad it"
            )
        super().__init__(length)
        self.levels, self.steps, self.hidden = levels, steps, hidden
        self.blocks, self.sizes = nn.ModuleList(), []  # sizes: of what goes out at each level
        channels = 1
        for level in range(levels):
            channels, length = 2 * channels, length // 2
            block = nn.ModuleList()
            for _ in range(steps):
                rotation = LULinear(channels, generator or torch.Generator().manual_seed(level))
                coupling = ConvCoupling(channels, length, hidden)
                block.append(nn.ModuleList([ActNorm(channels), rotation, coupling]))
            self.blocks.append(block)
            out = channels // 2 if level < levels - 1 else channels
            self.sizes.append((out, length))
            channels -= out  # what goes on to the next level

    @staticmethod
    def _apply_to(maps: Tensor, transform: Transform, back: bool) -> tuple[Tensor, Tensor]:
        """A coupling to whole maps (B, C, T), another transform to the channels of every time."""
        function = transform.inverse if back else transform
        if isinstance(transform, ConvCoupling):
            flat, log_det = function(maps.flatten(1))
            return flat.reshape(maps.shape), log_det
        rows, log_det = function(maps.mT)  # (B, T, C)
        return rows.mT, log_det.sum(1)

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        rows = x.reshape(-1, self.dim)
        maps, total, done = rows[:, None], rows.new_zeros(len(rows)), []
        for block, (out, _) in zip(self.blocks, self.sizes, strict=True):
            maps = squeeze(maps)
            for step in block:
                for transform in step:
                    maps, log_det = self._apply_to(maps, transform, back=False)
                    total = total + log_det
            done.append(maps[:, :out].flatten(1))
            maps = maps[:, out:]
        return torch.cat(done, -1).reshape(x.shape), total.reshape(x.shape[:-1])

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        rows = z.reshape(-1, self.dim)
        total = rows.new_zeros(len(rows))
        parts = rows.split([out * length for out, length in self.sizes], -1)
        maps = rows.new_zeros(len(rows), 0, self.sizes[-1][1])
        for size, part, block in reversed(list(zip(self.sizes, parts, self.blocks, strict=True))):
            maps = torch.cat([part.reshape(-1, *size), maps], 1)
            for step in reversed(block):
                for transform in reversed(step):
                    maps, log_det = self._apply_to(maps, transform, back=True)
                    total = total + log_det
            maps = unsqueeze(maps)
        return maps.reshape(z.shape), total.reshape(z.shape[:-1])

    def extra_repr(self) -> str:
        levels, steps, hidden = self.levels, self.steps, self.hidden
        return f"{self.dim}, {levels=}, {steps=}, {hidden=}"
