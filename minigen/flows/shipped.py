"""Chapter 12: the trained flows that come with the package. `python training/flows_quality.py` makes them."""

import torch

from .. import weights
from .autoregressive import MaskedAffineAutoregressive, MaskedSplineAutoregressive
from .builders import NSF, RealNVP
from .linear import ActNorm
from .planar import Planar
from .transform import Affine, Flow, Inverse, StandardNormal, Transform
from .univariate import Elementwise, SplineMap


def _planar(layers: int) -> Flow:
    """`layers` planar maps from noise to a point in the plane, after a shift and a scale of the noise."""
    bends: list[Transform] = [Inverse(Planar(2)) for _ in range(layers)]
    return Flow(StandardNormal(2), [*bends, Affine(2, diagonal=True)])


def _digits(layers: int, knots: int, kind: type[Transform], **options) -> Flow:
    """Masked layers on 64 pixels in [0, 17], whose marginals are bent by a spline each first."""
    scale = Affine(64, diagonal=True).requires_grad_(False)  # to [-1, 1] times the splines' bound
    scale.shift.fill_(8.5)
    scale.log_scale.fill_(torch.tensor(8.5 / 3.0).log())
    transforms = [scale, Elementwise(64, SplineMap(knots, 3.0, least=1e-4))]
    for k in range(layers):
        order = range(64) if k % 2 == 0 else range(63, -1, -1)
        transforms += [ActNorm(64), kind(64, (64,), order=order, **options)]
    return Flow(StandardNormal(64), transforms)


#: Name -> a function that builds the flow, untrained.
BUILD = {
    "plane_affine": lambda: RealNVP(2, 8, (64, 64)),
    "plane_spline": lambda: NSF(2, 4, (64, 64), bins=16, bound=4.0),
    **{f"planar_{k}": (lambda k=k: _planar(k)) for k in (1, 2, 8, 32)},
    "digits_maf": lambda: _digits(8, 34, MaskedAffineAutoregressive),
    "digits_nsf": lambda: _digits(3, 17, MaskedSplineAutoregressive, bins=8, bound=4.0),
}


def load(name: str) -> tuple[Flow, dict]:
    """A trained flow and its notes (data, command, seconds, result).

    Args: name: "digits_maf", or an energy and a number of planar layers, such as "U1_planar_32".

    >>> flow, card = load("U1_planar_2")
    >>> flow
    Flow(StandardNormal(2), Compose([
        Inverse(Planar(2)),
        Inverse(Planar(2)),
        Affine(2, diagonal=True)]))
    """
    path = weights.path(f"flows_{name}")
    if not path.is_file():
        files = path.parent.glob("flows_*.safetensors")
        known = sorted(file.stem.removeprefix("flows_") for file in files)
        raise ValueError(f"no flow {name!r} is shipped: there are {', '.join(known)}")
    tensors, card = weights.load(path)
    return weights.frozen(BUILD[card["build"]](), tensors), card
