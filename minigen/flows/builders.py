"""Chapter 12: whole flows by name, `RealNVP`, `MAF`, `IAF`, `NSF`, `WaveformFlow`."""

from collections.abc import Sequence

from ..distributions import Random
from .autoregressive import MaskedAffineAutoregressive, MaskedSplineAutoregressive
from .coupling import AffineCoupling, SplineCoupling
from .multiscale import MultiScale
from .transform import Flow, Inverse, StandardNormal

Widths = Sequence[int]  # of hidden layers


def _layers(layers: int) -> range:
    if layers < 1:
        raise ValueError(f"a flow needs at least one layer, not {layers}")
    return range(layers)


def _order(dim: int, layer: int) -> range:
    """Forwards in the even layers, backwards in the odd ones: who came last comes first next."""
    return range(dim) if layer % 2 == 0 else range(dim - 1, -1, -1)


def RealNVP(
    dim: int, layers: int = 5, hidden: Widths = (64, 64), context_dim: int = 0, bound: float = 5.0
) -> Flow:
    """Affine couplings, the halves in turn. One pass for a density, one for a sample.

    Args:
        dim: D. layers: couplings. hidden: widths of each network. context_dim: C of a context (..., C).
        bound: of each layer's |log-scale|.

    References: Dinh, Sohl-Dickstein and Bengio, Density Estimation Using Real NVP, 2016 (arXiv:1605.08803).

    >>> RealNVP(4, layers=2, hidden=(8,)).sample((3,)).shape
    torch.Size([3, 4])
    """
    sizes = (dim, hidden, context_dim)
    transforms = [AffineCoupling(*sizes, k % 2 == 1, bound) for k in _layers(layers)]
    return Flow(StandardNormal(dim), transforms)


def MAF(
    dim: int, layers: int = 5, hidden: Widths = (64, 64), context_dim: int = 0, bound: float = 5.0
) -> Flow:
    """Masked affine autoregressive layers, the order turned round between them.

    One pass for a density, D steps a layer for a sample.

    Args: see `RealNVP`.

    References: Papamakarios, Pavlakou and Murray, Masked Autoregressive Flow for Density Estimation, 2017
    (arXiv:1705.07057).

    >>> MAF(3, 2, (8,))
    Flow(StandardNormal(3), Compose([
        MaskedAffineAutoregressive(3, AffineMap(bound=5), hidden=(8,), order=0 1 2),
        MaskedAffineAutoregressive(3, AffineMap(bound=5), hidden=(8,), order=2 1 0)]))
    """
    layer = lambda k: MaskedAffineAutoregressive(dim, hidden, context_dim, _order(dim, k), bound)
    return Flow(StandardNormal(dim), [layer(k) for k in _layers(layers)])


def IAF(
    dim: int, layers: int = 5, hidden: Widths = (64, 64), context_dim: int = 0, bound: float = 5.0
) -> Flow:
    """The transforms of `MAF`, read backwards.

    One pass for a sample, D steps a layer for a density.

    Args: see `RealNVP`.

    References: Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016
    (arXiv:1606.04934).

    >>> x, log_prob = IAF(4, layers=2, hidden=(8,)).sample_and_log_prob((3,))
    >>> x.shape, log_prob.shape
    (torch.Size([3, 4]), torch.Size([3]))
    """
    maf = MAF(dim, layers, hidden, context_dim, bound)
    return Flow(maf.base, Inverse(maf.transform))


def NSF(
    dim: int,
    layers: int = 5,
    hidden: Sequence[int] = (64, 64),
    context_dim: int = 0,
    bins: int = 8,
    bound: float = 5.0,
    kind: str = "coupling",
) -> Flow:
    """Rational-quadratic splines in coupling or in autoregressive layers.

    Args:
        dim, layers, hidden, context_dim: see `RealNVP`. bins: K. bound: splines act on [-bound, bound].
        kind: "coupling" (fast both ways) or "autoregressive" (D steps a layer for a sample).

    References: Durkan et al., Neural Spline Flows, 2019 (arXiv:1906.04032).

    >>> import torch
    >>> NSF(4, layers=2, hidden=(8,), kind="autoregressive").log_prob(torch.zeros(3, 4)).shape
    torch.Size([3])
    """
    if kind not in ("coupling", "autoregressive"):
        raise ValueError(f'kind is "coupling" or "autoregressive", not {kind!r}')
    layer = SplineCoupling if kind == "coupling" else MaskedSplineAutoregressive
    turned = lambda k: k % 2 == 1 if kind == "coupling" else _order(dim, k)
    transforms = [layer(dim, hidden, context_dim, turned(k), bins, bound) for k in _layers(layers)]
    return Flow(StandardNormal(dim), transforms)


def WaveformFlow(
    length: int, levels: int = 3, steps: int = 4, hidden: int = 32, generator: Random = None
) -> Flow:
    """A multi-scale flow for frames of `length` samples (..., length). See `MultiScale`.

    >>> import torch
    >>> WaveformFlow(16, levels=2, steps=1, hidden=4).log_prob(torch.zeros(5, 16)).shape
    torch.Size([5])
    """
    scales = MultiScale(length, levels, steps, hidden, generator)
    return Flow(StandardNormal(scales.dim), scales)
