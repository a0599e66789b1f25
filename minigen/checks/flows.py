"""Checks for the exercises of chapter 12."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .. import flows
from ..flows import Flow, MaskedAffineAutoregressive, StandardNormal
from ..flows.targets import ENERGIES
from .change_of_variables import spoilt
from .core import (
    CheckFailed,
    agree,
    compare,
    exercise,
    finds_bugs,
    ok,
    parts,
    predicts,
    require,
)


@exercise("12.1", "a planar map with another bend")
def planar(layer: Callable) -> None:
    """layer(x (B, D), u (D,), w (D,), b) -> (z (B, D), log|det| (B,))."""
    x = torch.tensor([[0.5, -1.0, 0.2], [1.5, 0.3, -0.7]], dtype=torch.float64)
    u, w = torch.tensor([[0.4, -0.3, 0.9], [1.0, 0.5, -0.6]], dtype=torch.float64)
    b = torch.tensor(0.3, dtype=torch.float64)
    a = x @ w + b
    h, slope = torch.atan(a), 1 / (1 + a**2)
    wu = w @ u
    hints = {
        "z": [
            (x + w * h[:, None], "the push goes along w: it must go along u"),
            (x + u * a[:, None], "the bend is missing: push by arctan(wᵀx + b), not by wᵀx + b"),
            (x + u * torch.tanh(a)[:, None], "tanh is the chapter's bend; here it is arctan"),
            (u * h[:, None], "x itself is missing: z = x + the push"),
            (x + u * torch.atan(x @ w)[:, None], "b is missing"),
        ],
        "log-determinant": [
            (1 + slope * wu, "this is the determinant; return its logarithm"),
            (
                torch.log(1 + h * wu),
                "the bend where its slope belongs: what is the derivative of arctan?",
            ),
            (
                torch.log(1 + (1 - h**2) * wu),
                "1 - h² is the slope of tanh; that of arctan is another function of wᵀx + b",
            ),
            (
                torch.log(1 + wu / (1 + h**2)),
                "the slope of arctan was taken at arctan(a); take it at a = wᵀx + b itself",
            ),
            (torch.log(1 + slope * (u @ u)), "uᵀu in place of wᵀu"),
            (
                torch.log(1 + (1 - torch.tanh(a) ** 2) * wu),
                "1 - tanh² is the slope of the chapter's bend; here it is that of arctan",
            ),
            (torch.log((1 + wu / (1 + a)).abs()), "the slope of arctan has a square: 1 / (1 + a²)"),
            (
                torch.log((1 + slope[:, None] * u * w).prod(1)),
                "the diagonal alone: the Jacobian has entries beside it",
            ),
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
        a = x @ w + b
        return x + u * torch.atan(a)[:, None], torch.log(1 + (w @ u) / (1 + a**2))

    cases = [(x, u, w, b)]
    generator = torch.Generator().manual_seed(0)
    for n, d in ((1, 1), (4, 2), (3, 6)):
        x, v = (torch.randn(k, d, generator=generator).double() for k in (n, 2))
        u = v[0] * torch.sign(v[0] @ v[1])  # wᵀu > 0, so that it can be inverted
        cases.append((x, u, v[1], torch.tensor(0.7).double()))
    # where the map is nearly flat its log-determinant is far below zero
    one = torch.ones(1).double()
    cases.append((torch.tensor([[0.0], [0.5]]).double(), -0.9999 * one, one, 0 * one[0]))
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
            (
                torch.cat([kept, (moved - s) * torch.exp(-m)], -1),
                "the net returns m first, then s",
            ),
            (torch.cat([kept, moved - m], -1), "only moved by m: the scale exp(-s) is missing"),
            (torch.cat([kept, moved * torch.exp(-s)], -1), "m is not taken away"),
            (
                lambda got: np.shape(got) == (2, 4) and not np.allclose(got[:, :2], kept),
                "the first half must come out as it went in: net reads it, and so can the way back",
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
    late_m, late_s = _net(z[:, 2:])
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
            ),
            (
                torch.cat([kept, z[:, 2:] * torch.exp(late_s) + late_m], -1),
                "the net was given the second half: only the first one is what it was on the way there",
            ),
            (
                torch.cat([kept, (z[:, 2:] - m) * torch.exp(-s)], -1),
                "the same step once more: multiply by exp(s), then add m",
            ),
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
    for net in (
        lambda kept: (2 * kept, -kept),
        lambda kept: (0 * kept, torch.tanh(kept) - 1),
        lambda kept: (30 * kept, 4 * kept),
    ):
        m, s = net(x[:, :2])
        z, log_det = parts(forward(x, net), "z", "the log-determinant")
        compare(
            z, torch.cat([x[:, :2], (x[:, 2:] - m) * torch.exp(-s)], -1), "another net: z", 1e-9
        )
        compare(log_det, -s.sum(-1), "its log-determinant", 1e-9)
        z = torch.as_tensor(z).flip(0)  # so that nothing can be remembered
        back, home = parts(inverse(z, net), "x", "the log-determinant")
        compare(back, x.flip(0), "and back", 1e-9)
        compare(home, s.sum(-1).flip(0), "its log-determinant", 1e-9)


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
            (
                h * (s * xi**2 + d0 * both) / (s + (d0 + d1 - s) * both),
                "the denominator has 2 s: s + (d₀ + d₁ - 2 s) ξ (1 - ξ)",
            ),
            (h * (s * xi + d0 * both) / e, "ξ is squared in the numerator"),
        ],
        "slope": [
            (slope / s**2 * s, "s in place of s²"),
            (
                s**2 * (d0 * xi**2 + 2 * s * both + d1 * (1 - xi) ** 2) / e**2,
                "d₀ and d₁ have changed places: at ξ = 0 the slope is d₀",
            ),
            (slope * e, "divided by e once: it must be e²"),
            (
                s**2 * (d1 * xi**2 + s * both + d0 * (1 - xi) ** 2) / e**2,
                "the middle term is 2 s ξ (1 - ξ): its 2 is missing",
            ),
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
    agree(piece, right, cases, ("rise", "slope"), 1e-9, hints, steady=[0])


@exercise("12.4", "the number that nobody knows", own_chance=True)
def normaliser(estimate: Callable) -> None:
    """estimate(flow, energy, n, generator) -> log Z of exp(-energy), KL(flow ‖ exp(-energy) / Z)."""
    flow = Flow(StandardNormal(2), MaskedAffineAutoregressive(2, (4,))).requires_grad_(False)
    bent = _random(MaskedAffineAutoregressive(3, (4,))).float()
    wide = Flow(StandardNormal(3), bent)
    names = ("log Z", "KL")
    least = {
        "log Z": "log Z is the logarithm of the mean of e^-U / q, over the n samples of one draw",
        "KL": "the KL is log Z and the mean of log q + U, over the n samples of one draw",
    }
    cases = [(flow, ENERGIES["U1"], 4000), (wide, lambda z: z.abs().sum(-1) + 1.5, 50)]
    cases.append((wide, lambda z: 2 * z.square().sum(-1) - 0.3, 7))

    def seeded() -> torch.Generator:
        return torch.Generator().manual_seed(3)

    for number, (q, energy, n) in enumerate(cases):
        z, log_q = q.sample_and_log_prob((n,), generator=seeded())
        u = energy(z)
        log_w, other = -u - log_q, -u + log_q
        log_z = (torch.logsumexp(log_w, 0) - math.log(n)).item()

        def log_z_of(m: int, q: Flow = q, energy: Callable = energy) -> Tensor:
            z, log_q = q.sample_and_log_prob((m,), generator=seeded())
            return torch.logsumexp(-energy(z) - log_q, 0)

        low, mean_u, mean_q = log_w.mean().item(), u.mean().item(), log_q.mean().item()
        got = parts(estimate(q, energy, n, seeded()), *names)
        reasons = {
            "log Z": [
                (log_z - low, "this is KL, which comes second"),
                (low, "this is the mean of the logarithms, a lower bound: take the mean first"),
                (log_z + math.log(n), "this is the sum over samples: their mean is asked for"),
                (math.exp(log_z), "this is Z: return its logarithm"),
                (-log_z, "the sign: log Z, not -log Z"),
                (
                    torch.logsumexp(other, 0) - math.log(n),
                    "multiplied by q: each sample stands for 1/q of the plane, so divide",
                ),
                (
                    torch.logsumexp(-u, 0) - math.log(n),
                    "the samples are not spread evenly: weigh each by 1/q",
                ),
                (
                    torch.logsumexp(u - log_q, 0) - math.log(n),
                    "U has the wrong sign: p = exp(-U) / Z",
                ),
                *(
                    (log_z_of(m) - math.log(n), f"{m} samples are drawn, whatever n is")
                    for m in (100, 1000)
                ),
            ],
            "KL": [
                (-low, "log Z is missing"),
                (log_z, "this is log Z, which comes first"),
                (-low - log_z, "log Z has the wrong sign: log p = -U - log Z"),
                (mean_u + log_z, "log q is missing: the flow would fall onto one point"),
                (mean_u - mean_q + log_z, "log q has the wrong sign: KL = E[log q - log p]"),
                (mean_q - mean_u + log_z, "U has the wrong sign: log p = -U - log Z"),
                (low - log_z, "the sign: a divergence is not negative"),
            ],
        }
        where = f" in {3 if number else 2} dimensions, {n} samples"
        for value, want, name in zip(got, (log_z, log_z - low), names, strict=True):

            def otherwise(
                place: int = names.index(name), value: float = value, case: tuple = (q, energy, n)
            ) -> str:
                again = parts(estimate(*case, torch.Generator().manual_seed(4)), *names)[place]
                same = "the same for another seed: the generator is not used"
                return same if float(again) == float(value) else least[names[place]]

            compare(value, want, name + where, 1e-3, reasons[name], otherwise=otherwise, quiet=True)
    ok("log Z and KL are right for three flows and energies")
    for shift in (0.0, 2000.0):
        plain = lambda z, shift=shift: 0.5 * z.square().sum(-1) + shift
        log_z, same = (float(v) for v in parts(estimate(flow, plain, 100, seeded()), *names))
        truth = math.log(2 * math.pi) - shift
        require(
            abs(log_z - truth) < 1e-2 and abs(same) < 1e-2,
            f"where flow and energy agree log Z is {truth:.1f}, and KL zero",
            f"where flow and energy agree log Z must be {truth:.1f} and KL 0, not {log_z:.3f} and "
            f"{same:.3f}. Numbers like e^-2000 leave the range of a float: torch.logsumexp",
        )


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


def _dimensions() -> dict[str, float]:
    """The three figures of 12.6, from flows of 100 dimensions."""
    noise = StandardNormal(100)
    stretch = flows.Affine(100, diagonal=True).requires_grad_(False)
    stretch.log_scale.fill_(math.log(2))
    flow = Flow(noise, stretch)
    draw = torch.Generator().manual_seed(0)
    x = flow.sample((20_000,), generator=draw)
    below = flow.log_prob(torch.zeros(100)) - flow.log_prob(x).mean()
    wider = noise.log_prob(0.5 * x).mean() - flow.log_prob(x).mean()
    push = flows.Planar(100).requires_grad_(False)
    push.bend.zero_()
    push.bend[[0, 100]] = math.sqrt(math.log(math.exp(4) - 1) - math.log(math.e - 1))
    points = torch.cat([torch.zeros(1, 100), torch.randn(10_000, 100, generator=draw)])
    return {"below": below.item(), "wider": wider.item(), "push": push(points)[1].max().item()}


@exercise("12.6", "predict, then run: a hundred dimensions")
def dimensions_prediction(prediction: Callable) -> None:
    """prediction() -> {"below", "wider", "push"}: before the run."""
    run = _dimensions()
    why = {
        "below": (
            "log p falls from its peak by half of the squared distance, measured in standard "
            "deviations. What is the mean of one squared standard normal number, and of a sum of them?"
        ),
        "wider": (
            "every entry is spread over twice the length, so the density is halved once for each entry. "
            "An entropy is a mean of -log p"
        ),
        "push": (
            "all points move along one direction only, so one of the eigenvalues of the Jacobian is not "
            "1. It is largest where the slope of tanh is"
        ),
    }
    predicts(prediction, {name: (run[name], 0.03, why[name]) for name in run})


class _Planted:
    """A transform of the library with a planted bug, or none."""

    def __init__(self, transform: flows.Transform, bug: str = "") -> None:
        self.transform, self.bug = transform, bug

    def _said(self, x: Tensor, log_det: Tensor) -> Tensor:
        if self.bug == "sign":
            return -log_det
        if self.bug == "mean":
            return log_det / x.shape[-1]
        if self.bug == "tails":
            return torch.where(x.abs().amax(-1) > 3, 0.0, log_det)
        if self.bug == "turned":
            return log_det.flip(0)
        if self.bug == "negative":
            return torch.where(x[:, 0] < 0, log_det + 0.05, log_det)
        return log_det.mean().expand_as(log_det) if self.bug == "batch" else log_det

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, log_det = self.transform(x)
        return z, self._said(x, log_det)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x, log_det = self.transform.inverse(z.clamp(-1.2, 1.2) if self.bug == "clamp" else z)
        if self.bug == "shift":
            x = x + 0.1 * (torch.arange(x.shape[1]) == x.shape[1] - 1)
        if self.bug == "last":
            x = torch.cat([x[:-1], -x[-1:]])
        if self.bug == "point":
            log_det = -self.transform(z)[1]
        return x, self._said(x, log_det)


def _random(transform: flows.Transform) -> flows.Transform:
    """In double precision, with weights that are neither zero nor large."""
    transform = transform.double().requires_grad_(False)
    for k, weight in enumerate(transform.parameters()):
        draw = torch.Generator().manual_seed(k)
        weight.copy_(0.3 * torch.randn(weight.shape, generator=draw, dtype=torch.float64))
    return transform


BUGS = {
    "sign": "both log-determinants have the other direction's sign: the round trip is perfect",
    "mean": "the log-determinant is averaged over dimensions, where it must be summed",
    "batch": "all examples of a batch get the same log-determinant, their mean",
    "point": "the log-determinant of the way back is taken at z in place of x",
    "tails": "where an entry is beyond ±3 the log-determinant is taken for zero, and it is not",
    "negative": "the log-determinants of points whose first number is negative are off by 0.05",
    "clamp": "the way back limits z first, so that large values do not come home",
    "turned": "the log-determinants of a batch are in reverse order",
    "last": "the last example of a batch comes home with the wrong sign",
    "shift": "the way back is off by a constant in its last entry",
}


@exercise("12.7", "the test that finds the bug")
def transform_test(is_right: Callable) -> None:
    """is_right(transform, dim): transform.forward(x (B, dim)) -> z, log_det; transform.inverse(z) -> x, log_det."""
    maf = _random(MaskedAffineAutoregressive(3, (8,), bound=2.0))
    mu_law = flows.MuLaw(2).double()
    right = [
        (_random(flows.Affine(4)), 4, "a linear map"),
        (mu_law, 2, "µ-law in both of two dimensions"),
        (maf, 3, "an autoregressive layer"),
        (flows.Inverse(maf), 3, "the same layer, turned round"),
        (_random(flows.NSF(2, 2, (8,), bins=3).transform), 2, "two spline couplings"),
        (_random(flows.RealNVP(5, 3, (8,), bound=2.0).transform), 5, "three affine couplings"),
    ]
    finds_bugs(
        is_right,
        [((_Planted(transform), dim), words) for transform, dim, words in right],
        [
            ((_Planted(transform, bug), dim), what)
            for transform, dim in ((mu_law, 2), (maf, 3))
            for bug, what in BUGS.items()
        ]
        + [((transform, 3), what) for transform, what in spoilt(_Planted(maf))],
        "inverse(forward(x)) is x but for rounding, and each log-determinant that of autograd's Jacobian",
    )
