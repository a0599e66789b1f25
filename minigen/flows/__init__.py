"""Normalizing flows: densities made by bending a simple one. See `base` for the contract."""

from .base import (
    Affine,
    Compose,
    Flow,
    Inverse,
    MuLaw,
    StandardNormal,
    Transform,
    as_torch_transform,
)

__all__ = [
    "Affine",
    "Compose",
    "Flow",
    "Inverse",
    "MuLaw",
    "StandardNormal",
    "Transform",
    "as_torch_transform",
]
