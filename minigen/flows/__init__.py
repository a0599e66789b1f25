"""Normalizing flows: densities made by bending a simple one. See `base` for the contract."""

from .autoregressive import (
    CausalFilter,
    MaskedAffineAutoregressive,
    MaskedAutoregressive,
    MaskedMLP,
    MaskedSplineAutoregressive,
)
from .builders import IAF, MAF, NSF, ImageFlow, RealNVP, WaveformFlow
from .coupling import AffineCoupling, Coupling, SplineCoupling
from .linear import ActNorm, LULinear, Permutation, initialise
from .multiscale import ConvCoupling, MultiScale
from .planar import Planar, Radial
from .shipped import load, measured
from .transform import (
    Affine,
    Compose,
    Flow,
    Inverse,
    MuLaw,
    StandardNormal,
    Transform,
    as_torch_transform,
)
from .univariate import AffineMap, Elementwise, SplineMap, rational_quadratic

__all__ = [
    "IAF",
    "MAF",
    "NSF",
    "ActNorm",
    "Affine",
    "AffineCoupling",
    "AffineMap",
    "CausalFilter",
    "Compose",
    "ConvCoupling",
    "Coupling",
    "Elementwise",
    "Flow",
    "ImageFlow",
    "Inverse",
    "LULinear",
    "MaskedAffineAutoregressive",
    "MaskedAutoregressive",
    "MaskedMLP",
    "MaskedSplineAutoregressive",
    "MuLaw",
    "MultiScale",
    "Permutation",
    "Planar",
    "Radial",
    "RealNVP",
    "SplineCoupling",
    "SplineMap",
    "StandardNormal",
    "Transform",
    "WaveformFlow",
    "as_torch_transform",
    "initialise",
    "load",
    "measured",
    "rational_quadratic",
]
