"""Checks for the exercises of chapter 12."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..flows import Flow, MaskedAffineAutoregressive, StandardNormal
from ..flows.targets import ENERGIES, log_normaliser
from .core import CheckFailed, agree, compare, exercise, parts, require

__all__ = ["bits_per_dimension", "coupling", "kl_to_energy", "planar", "rational_quadratic"]


@exercise("12.1", "a planar map")
def planar(layer: Callable) -> None:
    """layer(x (B, D), u (D,), w (D,), b) -> (z (B, D), log|det| (B,))."""
    x = torch.tensor([[0.5, -1.0, 0.2], [1.5, 0.3, -0.7]], dtype=torch.float64)
    u, w = torch.tensor([[0.4, -0.3, 0.9], [1.0, 0.5, -0.6]], dtype=torch.float64)
    b = torch.tensor(0.3, dtype=torch.float64)
    a = x @ w + b
    h, slope = torch.tanh(a), 1 - torch.tanh(a) ** 2
    wu = w @ u
    hints = {
        "z": [
            (x + w * h[:, None], "the push goes along w: it must go along u"),
            (x + u * a[:, None], "h is missing: push by tanh(wᵀx + b), not by wᵀx + b"),
            (u * h[:, None], "x itself is missing: z = x + the push"),
            (x + u * torch.tanh(x @ w)[:, None], "b is missing"),
        ],
        "log-determinant": [
            (1 + slope * wu, "this is the determinant; return its logarithm"),
            (
                torch.log(1 + h * wu),
                "h where its slope belongs: the derivative of tanh is 1 - tanh²",
            ),
            (torch.log(1 + slope * (u @ u)), "uᵀu in place of wᵀu"),
            (
                torch.log((slope * wu).abs()),
                "the 1 is missing: the identity is part of the Jacobian",
            ),
            (
                3 * torch.log(1 + slope * wu),
                "counted D times: only one direction changes volume",
            ),
            (-torch.log(1 + slope * wu), "the sign is turned round"),
        ],
    }

    def right(x: Tensor, u: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(x @ w + b)
        return x + u * h[:, None], torch.log(1 + (1 - h**2) * (w @ u))

    cases = [(x, u, w, b)]
    generator = torch.Generator().manual_seed(0)
    for n, d in ((1, 1), (4, 2), (3, 6)):
        x, v = (torch.randn(k, d, generator=generator).double() for k in (n, 2))
        u = v[0] * torch.sign(v[0] @ v[1])  # wᵀu > 0, so that it can be inverted
        cases.append((x, u, v[1], torch.tensor(0.7).double()))
    agree(layer, right, cases, ("z", "log-determinant"), 1e-9, hints)


def _net(kept: Tensor) -> tuple[Tensor, Tensor]:
    """m and s, both (B, 2), from the first half (B, 2)."""
    m = torch.stack([kept[:, 0] ** 2, torch.sin(kept[:, 1])], -1)
    return m, torch.stack([0.5 * kept[:, 1], 0.3 - kept[:, 0]], -1)


@exercise("12.2", "a coupling layer")
def coupling(forward: Callable, inverse: Callable) -> None:
    """forward(x (B, 4), net) and inverse(z (B, 4), net): net(first half) -> m, s."""
    x = torch.tensor([[0.5, -1.0, 0.2, 1.1], [1.5, 0.3, -0.7, -0.4]], dtype=torch.float64)
    kept, moved = x[:, :2], x[:, 2:]
    m, s = _net(kept)
    z, log_det = parts(forward(x, _net), "z", "the log-determinant")
    want = torch.cat([kept, (moved - m) * torch.exp(-s)], -1)
    wrong_m, wrong_s = _net(moved)
    compare(
        z,
        want,
        "z",
        1e-9,
        [
            (
                torch.cat([kept, moved * torch.exp(s) + m], -1),
                "this is the way back, noise -> data",
            ),
            (torch.cat([kept, moved * torch.exp(-s) - m], -1), "take m away before you divide"),
            (
                torch.cat([kept, (moved - m) * torch.exp(s)], -1),
                "multiplied by exp(s): data -> noise divides",
            ),
            (
                torch.cat([kept, (moved - wrong_m) * torch.exp(-wrong_s)], -1),
                "the net was given the second half: it must see what stays as it is",
            ),
            (
                torch.cat([(moved - m) * torch.exp(-s), kept], -1),
                "the halves have changed places",
            ),
        ],
    )
    if np.ndim(log_det) == 0:
        raise CheckFailed(
            "✗ log-determinant: a single number, summed over the batch as well: one value for each row"
        )
    compare(
        log_det,
        -s.sum(-1),
        "log-determinant",
        1e-9,
        [
            (s.sum(-1), "the sign: forward multiplies by exp(-s)"),
            (torch.exp(-s).prod(-1), "this is the determinant; return its logarithm"),
            (-s.mean(-1), "averaged over dimensions: it must be summed"),
        ],
    )
    z = torch.as_tensor(z)
    back, home = parts(inverse(z, _net), "x", "the log-determinant")
    compare(
        back,
        x,
        "the way back",
        1e-9,
        [
            (
                torch.cat([kept, (z[:, 2:] + m) * torch.exp(s)], -1),
                "m was added before the scale: undo the last step first",
            )
        ],
    )
    compare(
        home,
        s.sum(-1),
        "log-determinant of the way back",
        1e-9,
        [(-s.sum(-1), "that of forward: the way back has the opposite sign")],
    )
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)).double()
    for net in (lambda kept: (2 * kept, -kept), lambda kept: (0 * kept, torch.tanh(kept) - 1)):
        m, s = net(x[:, :2])
        z, log_det = parts(forward(x, net), "z", "the log-determinant")
        compare(
            z, torch.cat([x[:, :2], (x[:, 2:] - m) * torch.exp(-s)], -1), "another net: z", 1e-9
        )
        compare(log_det, -s.sum(-1), "its log-determinant", 1e-9)
        back, home = parts(inverse(torch.as_tensor(z), net), "x", "the log-determinant")
        compare(back, x, "and back", 1e-9)
        compare(home, s.sum(-1), "its log-determinant", 1e-9)


@exercise("12.3", "one piece of a spline")
def rational_quadratic(piece: Callable) -> None:
    """piece(xi (n,), h, s, d0, d1) -> (rise (n,), slope (n,)): within one bin."""
    xi = torch.linspace(0, 1, 6, dtype=torch.float64)
    h, s, d0, d1 = 1.4, 0.7, 2.0, 0.4
    both = xi * (1 - xi)
    e = s + (d0 + d1 - 2 * s) * both
    rise = h * (s * xi**2 + d0 * both) / e
    slope = s**2 * (d1 * xi**2 + 2 * s * both + d0 * (1 - xi) ** 2) / e**2
    hints = {
        "rise": [
            (rise / h, "the height h is missing"),
            (h * xi, "a straight line: the slopes at the ends are not used"),
            (h * (s * xi**2 + d1 * both) / e, "d₁ in the numerator: it is d₀ that belongs there"),
        ],
        "slope": [
            (slope / s**2 * s, "s in place of s²"),
            (
                s**2 * (d0 * xi**2 + 2 * s * both + d1 * (1 - xi) ** 2) / e**2,
                "d₀ and d₁ have changed places: at ξ = 0 the slope is d₀",
            ),
            (slope * e, "divided by e once: it must be e²"),
            (torch.log(slope), "this is the logarithm; return the slope"),
        ],
    }

    def right(xi: Tensor, h: float, s: float, d0: float, d1: float) -> tuple[Tensor, Tensor]:
        both = xi * (1 - xi)
        e = s + (d0 + d1 - 2 * s) * both
        slope = s**2 * (d1 * xi**2 + 2 * s * both + d0 * (1 - xi) ** 2) / e**2
        return h * (s * xi**2 + d0 * both) / e, slope

    points = torch.rand(9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cases = [
        (xi, h, s, d0, d1),
        (points, 0.5, 2.0, 0.3, 5.0),
        (points[:1], 3.0, 0.2, 0.1, 0.9),
        (points, 1.0, 1.0, 1.0, 1.0),
    ]
    agree(piece, right, cases, ("rise", "slope"), 1e-9, hints)


@exercise("12.4", "the reverse divergence", own_chance=True)
def kl_to_energy(estimate: Callable) -> None:
    """estimate(flow, energy, log_z, n, generator) -> KL(flow ‖ exp(-energy) / Z), one number."""
    flow = Flow(StandardNormal(2), MaskedAffineAutoregressive(2, (4,))).requires_grad_(False)
    energy = ENERGIES["U1"]
    log_z = log_normaliser(energy)

    def seeded() -> torch.Generator:
        return torch.Generator().manual_seed(3)

    z, log_q = flow.sample_and_log_prob((4000,), generator=seeded())
    u = energy(z).mean().item()
    entropy = -log_q.mean().item()
    got = float(estimate(flow, energy, log_z, 4000, seeded()))
    compare(
        got,
        u - entropy + log_z,
        "KL",
        1e-3,
        [
            (u - entropy, "log Z is missing"),
            (u - entropy - log_z, "log Z has the wrong sign: log p = -U - log Z"),
            (u + log_z, "log q is missing: without it the flow would fall onto one point"),
            (u + entropy + log_z, "log q has the wrong sign: KL = E[log q - log p]"),
            (-u - entropy + log_z, "U has the wrong sign: log p = -U - log Z"),
        ],
    )
    same = float(
        estimate(flow, lambda z: 0.5 * z.square().sum(-1), math.log(2 * math.pi), 100, seeded())
    )
    require(
        abs(same) < 1e-4, "KL of a flow to itself is zero", f"KL of a flow to itself is {same:.3f}"
    )
    wide = Flow(StandardNormal(3), MaskedAffineAutoregressive(3, (4,))).requires_grad_(False)
    z, log_q = wide.sample_and_log_prob((50,), generator=seeded())
    want = (log_q + z.abs().sum(-1)).mean().item() - 1.5
    got = float(estimate(wide, lambda z: z.abs().sum(-1), -1.5, 50, seeded()))
    compare(got, want, "KL to another density, in three dimensions", 1e-3)


@exercise("12.5", "bits a pixel")
def bits_per_dimension(bits: Callable) -> None:
    """bits(nats (n,), dims, factor) -> (n,): log-densities of y = x / factor into bits for each level of x."""
    nats = np.array([120.0, 80.0, -10.0])
    dims, factor = 64, 17.0
    want = -(nats - dims * math.log(factor)) / dims / math.log(2)
    agree(
        bits,
        lambda nats, dims, factor: -(nats / dims - math.log(factor)) / math.log(2),
        [(nats, dims, factor), (np.array([3.0]), 1, 2.0), (np.linspace(-9, 9, 7), 100, 0.5)],
        "bits",
        1e-9,
        [
            (
                -nats / dims / math.log(2),
                "the scale is missing: levels of x are 17 times as far apart",
            ),
            (
                -(nats + dims * math.log(factor)) / dims / math.log(2),
                "the scale has the wrong sign: x = 17 y is spread out, so its density is lower",
            ),
            (-(nats - dims * math.log(factor)) / dims, "these are nats: divide by log 2"),
            (
                -(nats - dims * math.log(factor)) / math.log(2),
                "the sum over pixels: divide by their number",
            ),
            (
                -(nats - math.log(factor)) / dims / math.log(2),
                "the scale was counted once: it belongs to each of the 64 pixels",
            ),
            (-want, "the sign: a better model needs fewer bits"),
        ],
    )
    uniform = np.asarray(bits(np.zeros(1), dims, factor))[0]
    require(
        abs(uniform - math.log2(17)) < 1e-9,
        "a uniform density needs log₂ 17 bits",
        f"a uniform density on [0, 1] gives {uniform:.4f} bits, not log₂ 17 = 4.0875",
    )
