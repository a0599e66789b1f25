"""The flows of the quality table: how they are built, and the trained ones that come with the package.

`python benchmarks/flows_quality.py` trains them all and measures them; with `--ship` it writes the weights.
"""

from __future__ import annotations

from pathlib import Path

import torch

from .. import weights
from .autoregressive import MaskedAffineAutoregressive, MaskedSplineAutoregressive
from .builders import NSF, RealNVP
from .linear import ActNorm
from .planar import Planar
from .transform import Affine, Flow, Inverse, StandardNormal, Transform
from .univariate import Elementwise, SplineMap

__all__ = ["BUILD", "load", "measured"]

MEASURED = Path(__file__).resolve().parent / "measured"


def planar(layers: int) -> Flow:
    """`layers` planar maps from noise to a point in the plane, after a shift and a scale of the noise."""
    bends: list[Transform] = [Inverse(Planar(2)) for _ in range(layers)]
    return Flow(StandardNormal(2), [*bends, Affine(2, diagonal=True)])


def _pixels(bins: int) -> list[Transform]:
    """From pixels in [0, 17] to one spline a pixel on [-3, 3], and then to mean 0 and variance 1."""
    scale = Affine(64, diagonal=True).requires_grad_(False)
    scale.shift.fill_(8.5)
    scale.log_scale.fill_(torch.tensor(8.5 / 3.0).log())
    return [scale, Elementwise(64, SplineMap(bins, 3.0, least=1e-4)), ActNorm(64)]


def digits_maf() -> Flow:
    """Eight masked affine layers on pixels whose marginals are bent first."""
    transforms = _pixels(34)
    for k in range(8):
        order = range(64) if k % 2 == 0 else range(63, -1, -1)
        transforms.append(MaskedAffineAutoregressive(64, (64,), order=order))
        if k < 7:
            transforms.append(ActNorm(64))
    return Flow(StandardNormal(64), transforms)


def digits_nsf() -> Flow:
    """Three masked spline layers on pixels whose marginals are bent first."""
    transforms = _pixels(17)
    for k in range(3):
        order = range(64) if k % 2 == 0 else range(63, -1, -1)
        transforms.append(MaskedSplineAutoregressive(64, (64,), order=order, bins=8, bound=4.0))
        if k < 2:
            transforms.append(ActNorm(64))
    return Flow(StandardNormal(64), transforms)


#: Name -> a function that builds the flow, untrained.
BUILD = {
    "plane_affine": lambda: RealNVP(2, 8, (64, 64)),
    "plane_spline": lambda: NSF(2, 4, (64, 64), bins=16, bound=4.0),
    **{f"planar_{k}": (lambda k=k: planar(k)) for k in (1, 2, 8, 32)},
    "digits_maf": digits_maf,
    "digits_nsf": digits_nsf,
}


def load(name: str) -> tuple[Flow, dict]:
    """A trained flow and its card (data, command, seconds, result), from `minigen/weights/flows_NAME`.

    Args:
        name: "digits_maf", or an energy and a number of planar layers, such as "U1_planar_32".

    Raises:
        ValueError: no such flow is shipped.

    >>> flow, card = load("U1_planar_32")
    >>> flow.sample((3,)).shape, sorted(card)[:3]
    (torch.Size([3, 2]), ['build', 'command', 'data'])
    """
    path = weights.path(f"flows_{name}")
    if not path.is_file():
        known = sorted(
            p.stem.removeprefix("flows_") for p in path.parent.glob("flows_*.safetensors")
        )
        raise ValueError(f"no flow {name!r} is shipped: there are {', '.join(known)}")
    tensors, card = weights.load(path)
    flow = BUILD[card["build"]]()
    flow.load_state_dict(tensors)
    return flow.requires_grad_(False), card


def measured(name: str) -> str:
    """A table as the benchmark wrote it: "speed" or "quality"."""
    path = MEASURED / f"{name}.txt"
    if not path.is_file():
        raise ValueError(f"no table {name!r}: run python benchmarks/flows_{name}.py")
    return path.read_text(encoding="utf-8").rstrip()
