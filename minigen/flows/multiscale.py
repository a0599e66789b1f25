"""A multi-scale coupling flow for pictures, and the same in one dimension for frames of a waveform."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .linear import ActNorm, LULinear
from .transform import Transform
from .univariate import AffineMap, checked_context

__all__ = ["ConvCoupling", "MultiScale", "squeeze", "unsqueeze"]


def squeeze(x: Tensor) -> Tensor:
    """Halve every spatial length by turning neighbours into channels: (B, C, *S) -> (B, C · 2ⁿ, *S/2).

    >>> squeeze(torch.arange(8.0).reshape(1, 1, 8)).shape
    torch.Size([1, 2, 4])
    """
    batch, channels, *lengths = x.shape
    x = x.reshape(batch, channels, *(part for n in lengths for part in (n // 2, 2)))
    n = len(lengths)
    outer, inner = [2 + 2 * i for i in range(n)], [3 + 2 * i for i in range(n)]
    halves = [length // 2 for length in lengths]
    return x.permute(0, 1, *inner, *outer).reshape(batch, channels * 2**n, *halves)


def unsqueeze(x: Tensor) -> Tensor:
    """Undo `squeeze`: (B, C · 2ⁿ, *S) -> (B, C, *2S)."""
    batch, channels, *lengths = x.shape
    n = len(lengths)
    x = x.reshape(batch, channels // 2**n, *[2] * n, *lengths)
    order = [axis for i in range(n) for axis in (2 + n + i, 2 + i)]
    doubles = [2 * length for length in lengths]
    return x.permute(0, 1, *order).reshape(batch, channels // 2**n, *doubles)


class ConvCoupling(Transform):
    """`AffineCoupling` for feature maps: half the channels, with parameters from a small convolutional net.

        forward:  z_A = x_A,  z_B = (x_B - m(x_A)) exp(-s(x_A)), log|det| = -Σ s over channels and places
        inverse:  x_A = z_A,  x_B = z_B exp(s(z_A)) + m(z_A), log|det| = Σ s

    The event is (C, *S), given flat as (..., C · ΠS).

    Args:
        shape: (C, T) or (C, H, W), C >= 2. hidden: channels of the net. context_dim: of a context that every
            place sees. bound: of |s|.
    """

    def __init__(
        self, shape: Sequence[int], hidden: int = 32, context_dim: int = 0, bound: float = 3.0
    ) -> None:
        channels, *lengths = shape
        if channels < 2 or len(lengths) not in (1, 2):
            raise ValueError(f"the shape is (C, T) or (C, H, W) with C >= 2, not {tuple(shape)}")
        super().__init__(math.prod(shape))
        self.shape, self.context_dim = tuple(shape), context_dim
        self.kept = channels // 2
        self.univariate = AffineMap(bound)
        conv = nn.Conv1d if len(lengths) == 1 else nn.Conv2d
        last = conv(hidden, 2 * (channels - self.kept), 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(
            conv(self.kept + context_dim, hidden, 3, padding=1),
            nn.ReLU(inplace=True),
            conv(hidden, hidden, 1),
            nn.ReLU(inplace=True),
            last,
        )

    def _map(self, value: Tensor, context: Tensor | None, back: bool) -> tuple[Tensor, Tensor]:
        maps = value.reshape(-1, *self.shape)
        kept, changed = maps[:, : self.kept], maps[:, self.kept :]
        inputs = kept
        if self.context_dim > 0:
            seen = checked_context(self, value, context).reshape(len(maps), self.context_dim)
            seen = seen.reshape(*seen.shape, *[1] * (maps.ndim - 2))
            inputs = torch.cat([kept, seen.expand(-1, -1, *self.shape[1:])], 1)
        params = torch.stack(self.net(inputs).chunk(2, 1), -1)
        g = self.univariate.inverse if back else self.univariate.forward
        changed, log_slope = g(changed, params)
        result = torch.cat([kept, changed], 1).reshape(value.shape)
        return result, log_slope.flatten(1).sum(1).reshape(value.shape[:-1])

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return self._map(x, context, back=False)

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return self._map(z, context, back=True)


class MultiScale(Transform):
    """Coupling at several resolutions: squeeze, mix, couple; after each level half the channels are done.

    One level: `squeeze`, then `steps` times (ActNorm, LULinear on the channels, ConvCoupling); then half of the
    channels leave as noise, and the rest goes on to the next level. So coarse noise passes through
    all levels and fine noise through one. log|det| is the sum over all parts.

    The event is (C, T) or (C, H, W), given flat as (..., D), D = C · ΠS. Every length must be divisible by
    2 ** levels.

    Args:
        shape: of the event. levels, steps: see above. hidden: channels of each coupling's net.
        context_dim: C of a context (..., C). generator: of the starting rotations.

    References:
        Dinh, Sohl-Dickstein and Bengio, Density Estimation Using Real NVP, 2016 (arXiv:1605.08803),
        section 3.6; Kingma and Dhariwal, Glow, 2018 (arXiv:1807.03039).

    >>> flow = MultiScale((1, 8, 8), levels=2, steps=1, hidden=4)
    >>> z, log_det = flow(torch.zeros(3, 64))
    >>> z.shape, log_det.shape
    (torch.Size([3, 64]), torch.Size([3]))
    """

    def __init__(
        self,
        shape: Sequence[int],
        levels: int = 2,
        steps: int = 4,
        hidden: int = 32,
        context_dim: int = 0,
        generator: torch.Generator | None = None,
    ) -> None:
        channels, *lengths = shape
        if channels < 1 or len(lengths) not in (1, 2) or levels < 1 or steps < 1:
            raise ValueError(
                f"the shape is (C, T) or (C, H, W), with levels, steps >= 1, not {tuple(shape)}, "
                f"{levels}, {steps}"
            )
        if any(length % 2**levels or length < 2**levels for length in lengths):
            raise ValueError(
                f"{levels} levels halve each length {levels} times: pad {tuple(lengths)} to "
                f"multiples of {2**levels}, or use fewer levels"
            )
        super().__init__(math.prod(shape))
        self.shape, self.levels = tuple(shape), levels
        self.blocks = nn.ModuleList()
        for level in range(levels):
            channels, lengths = channels * 2 ** len(lengths), [length // 2 for length in lengths]
            block = nn.ModuleList()
            for _ in range(steps):
                rotation = LULinear(channels, generator or torch.Generator().manual_seed(level))
                coupling = ConvCoupling((channels, *lengths), hidden, context_dim)
                block.append(nn.ModuleList([ActNorm(channels), rotation, coupling]))
            self.blocks.append(block)
            channels -= channels // 2  # what goes on to the next level

    @staticmethod
    def _pointwise(transform: Transform, maps: Tensor, back: bool) -> tuple[Tensor, Tensor]:
        """Apply a transform of C dimensions to the channels at every place: maps (B, C, *S)."""
        rows = maps.movedim(1, -1)  # (B, *S, C)
        rows, log_det = transform.inverse(rows) if back else transform(rows)
        return rows.movedim(-1, 1), log_det.flatten(1).sum(1)

    def _couple(
        self, coupling: ConvCoupling, maps: Tensor, context: Tensor | None, back: bool
    ) -> tuple[Tensor, Tensor]:
        flat, log_det = (coupling.inverse if back else coupling)(maps.flatten(1), context)
        return flat.reshape(maps.shape), log_det

    def _rows(self, value: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        rows = value.reshape(-1, self.dim)
        if context is not None:
            context = context.expand(*value.shape[:-1], context.shape[-1])
            context = context.reshape(len(rows), context.shape[-1])
        return rows, context

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        rows, context = self._rows(x, context)
        maps, total, done = rows.reshape(-1, *self.shape), rows.new_zeros(len(rows)), []
        for level, block in enumerate(self.blocks):
            maps = squeeze(maps)
            for norm, rotation, coupling in block:
                maps, a = self._pointwise(norm, maps, back=False)
                maps, b = self._pointwise(rotation, maps, back=False)
                maps, c = self._couple(coupling, maps, context, back=False)
                total = total + a + b + c
            if level < self.levels - 1:
                leave = maps.shape[1] // 2
                done.append(maps[:, :leave].flatten(1))
                maps = maps[:, leave:]
        z = torch.cat([*done, maps.flatten(1)], -1)
        return z.reshape(x.shape), total.reshape(x.shape[:-1])

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        rows, context = self._rows(z, context)
        total = rows.new_zeros(len(rows))
        # Cut the noise into the parts that left at each level, coarsest last.
        channels, *lengths = self.shape
        shapes = []
        for level in range(self.levels):
            channels, lengths = channels * 2 ** len(lengths), [n // 2 for n in lengths]
            leave = channels // 2 if level < self.levels - 1 else channels
            shapes.append((leave, *lengths))
            channels -= leave
        parts = rows.split([math.prod(shape) for shape in shapes], -1)
        maps = None
        for shape, part, block in reversed(list(zip(shapes, parts, self.blocks, strict=True))):
            part = part.reshape(-1, *shape)
            maps = part if maps is None else torch.cat([part, maps], 1)
            for norm, rotation, coupling in reversed(block):
                maps, a = self._couple(coupling, maps, context, back=True)
                maps, b = self._pointwise(rotation, maps, back=True)
                maps, c = self._pointwise(norm, maps, back=True)
                total = total + a + b + c
            maps = unsqueeze(maps)
        return maps.reshape(z.shape), total.reshape(z.shape[:-1])
