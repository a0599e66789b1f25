"""Chapters 4, 12 and 13: normalizing flows, densities made by bending a simple one. `transform` has the contract."""

from .autoregressive import (
    CausalFilter,
    MaskedAffineAutoregressive,
    MaskedAutoregressive,
    MaskedSplineAutoregressive,
)
from .builders import IAF, MAF, NSF, RealNVP, WaveformFlow
from .coupling import AffineCoupling, Coupling, SplineCoupling
from .linear import ActNorm, LULinear, Permutation, initialise
from .multiscale import ConvCoupling, MultiScale
from .planar import Planar
from .shipped import load
from .transform import Affine, Compose, Flow, Inverse, MuLaw, StandardNormal, Transform
from .univariate import AffineMap, Elementwise, SplineMap, rational_quadratic
