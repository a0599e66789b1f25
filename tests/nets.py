"""What tests of networks share: a seeded generator, and weights of which none is zero by chance."""

from __future__ import annotations

import torch
from torch import nn


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scramble(model: nn.Module, std: float = 0.5, seed: int = 1) -> nn.Module:
    """Large random weights in double precision: nothing is zero by chance."""
    model = model.double().eval()
    generator = seeded(seed)
    for weight in model.parameters():
        nn.init.normal_(weight, std=std, generator=generator)
    return model.requires_grad_(False)
