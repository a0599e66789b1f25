"""Checks for the exercises of chapter 4."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import data
from ..flows import Affine, Compose, Flow, Inverse, MuLaw, Permutation, StandardNormal, Transform
from ..gaussian import Gaussian
from .core import (
    CheckFailed,
    agree,
    compare,
    exercise,
    finds_bugs,
    nudges,
    parts,
    predicts,
    require,
)
from .reader import Reader


@exercise("4.1", "a map that falls")
def falling_map(log_density: Callable) -> None:
    """log_density(x (n,)) -> (n,): the density of x = exp(-2 z), z standard normal."""
    x = np.array([0.05, 0.4, 1.0, 2.5, 9.0])
    log_z = -0.5 * (np.log(x) / 2) ** 2 - 0.5 * math.log(2 * math.pi)
    slope = np.log(2 * x)  # -log|f'|
    got = np.asarray(log_density(x))
    if not np.isfinite(got).all():
        raise CheckFailed(
            "✗ log density: NaN. f falls, so f'(x) < 0: take the logarithm of |f'(x)|, not of f'(x)"
        )
    agree(
        log_density,
        lambda x: -0.5 * (np.log(x) / 2) ** 2 - 0.5 * math.log(2 * math.pi) - np.log(2 * x),
        [(x,), (np.array([7.0]),), (np.array([3.0, 1e-60, 3.0, 1e60, 0.5]),)],
        "log density",
        1e-9,
        [
            (log_z, "log|f'(x)| is missing: this is the density of z, at z = f(x)"),
            (log_z + slope, "log|f'(x)| has the wrong sign: f goes from x to z"),
            (log_z - 2 * slope, "log|f'(x)| counts twice"),
            (log_z - np.log(x), "the ½ of f(x) = -½ log x is missing in f'(x)"),
            (
                log_z + (1 - np.log(10) ** -2) * np.log(x) ** 2 / 8 - slope,
                "z with a logarithm to base 10: np.log is the natural one",
            ),
            (np.exp(log_z - slope), "this is the density; return its logarithm"),
            (2 * log_z + 0.5 * math.log(2 * math.pi) - slope, "the ½ of the square is missing"),
            *(
                (
                    log_z + (0.25 - factor**2) / 2 * np.log(x) ** 2 - slope,
                    f"log x is multiplied by {factor:g} to get z: solve x = exp(-2 z)",
                )
                for factor in (0.25, 1, 2)
            ),
            *(
                (
                    -0.5 * (np.log(x) / s) ** 2 - 0.5 * math.log(2 * math.pi) - np.log(s * x),
                    f"a lognormal density, but log x has the standard deviation 2, not {s}",
                )
                for s in (1, 4)
            ),
        ],
    )
    step = np.linspace(-16, 16, 4001)  # log x
    mass = np.trapezoid if hasattr(np, "trapezoid") else np.trapz
    area = mass(np.exp(np.asarray(log_density(np.exp(step))) + step), step)
    require(abs(area - 1) < 1e-6, "it integrates to one", f"it integrates to {area:.4f}, not to 1")


def _quantile(u: np.ndarray, data: np.ndarray, weights: np.ndarray) -> np.ndarray:
    order = np.argsort(data)
    ends = np.cumsum(weights[order])
    return data[order][np.searchsorted(ends / ends[-1], u, side="right")]


@exercise("4.2", "any histogram, with weights")
def same_histogram(quantile: Callable) -> None:
    """quantile(u (n,), data (T,), weights (T,)) -> (n,): F⁻¹(u) of the data."""
    data = np.array([0.3, -1.0, 5.0, 0.0, 0.1])
    weights = np.array([1.0, 2.0, 3.0, 1.0, 3.0])
    u = np.array([0.0, 0.19, 0.21, 0.3, 0.5, 0.65, 0.72, 0.99])
    order = np.argsort(data)
    ordered, ends = data[order], np.cumsum(weights[order]) / 10
    rng = np.random.default_rng(0)
    others = [
        (rng.random(9), rng.normal(size=12), rng.uniform(0, 3, 12)),
        (rng.random(30), np.array([2.0, 1.0, 2.0, 2.0, 5.0, 1.0]), rng.uniform(0, 3, 6)),
        (np.array([0.9, 0.3, 0.0]), np.array([4.0]), np.array([0.2])),
        (np.array([0.75, 0.25, 0.5, 0.0, 0.25]), np.array([3.0, 1.0, 4.0, 2.0]), np.ones(4)),
        (np.array([0.0, 0.5, 0.99]), np.array([3.0, 1.0, 4.0, 2.0]), np.array([1.0, 0, 0, 3])),
        (rng.random(99), rng.normal(size=5000), rng.uniform(0, 3, 5000)),
    ]
    agree(
        quantile,
        _quantile,
        [(u, data, weights), *others],
        "F⁻¹(u) of five numbers",
        1e-12,
        [
            (
                ordered[np.floor(u * 5).astype(int)],
                "the weights are not used: every number owns a share of 1 / T",
            ),
            (
                data[np.searchsorted(np.cumsum(weights) / 10, u, side="right")],
                "the data are not sorted: F⁻¹ must rise with u",
            ),
            (
                data[np.searchsorted(ends, u, side="right")],
                "the weights are sorted, but the data are looked up where they stood: sort both alike",
            ),
            (
                ordered[np.searchsorted(np.cumsum(weights) / 10, u, side="right")],
                "the data are sorted, but the weights are not sorted with them",
            ),
            (
                ordered[::-1][np.searchsorted(np.cumsum(weights[order][::-1]) / 10, u, "right")],
                "sorted from the largest down: F⁻¹ must rise with u",
            ),
            (
                ordered[np.searchsorted(ends, u, side="left")],
                "on the border of two shares u belongs to the later one: side='right'",
            ),
            (
                ordered[np.searchsorted(10 * ends, u, side="right")],
                "the weights add up to more than 1: divide the running sum by its last value",
            ),
            (
                lambda got: (
                    got.shape == u.shape and np.array_equal(got, ends[:-1].searchsorted(u, "right"))
                ),
                "these are the places in the sorted data: look up the data there",
            ),
            (data.min() + u * np.ptp(data), "this is uniform between the smallest and the largest"),
            (
                np.interp(u, ends, ordered),
                "lines are drawn between the data: only they are returned",
            ),
            (
                np.quantile(data, u),
                "np.quantile draws lines between the data, and knows no weights",
            ),
            (
                (weights * (data <= u[:, None])).sum(1) / 10,
                "this is F itself (the share of the data at most u), not its inverse",
            ),
        ],
        steady=[0],
    )
    many = np.asarray(quantile((np.arange(1000) + 0.5) / 1000, data, weights))
    require(
        all(np.sum(many == value) == 100 * w for value, w in zip(data, weights, strict=True)),
        "each of the five is drawn as often as its weight says",
        "the five values are not drawn as often as their weights say",
    )


DETERMINANTS = tuple(
    f"{module}.{name}"
    for module in ("torch", "torch.Tensor", "torch.linalg", "numpy.linalg", "scipy.linalg")
    for name in [
        "det",
        "slogdet",
        "logdet",
        "lu",
        "lu_factor",
        "lu_factor_ex",
        "qr",
        "eig",
        "eigvals",
        "schur",
        "svd",
        "svdvals",
    ]
)


@exercise("4.3", "signed volume", forbid=DETERMINANTS)
def signed_volume(volume: Callable) -> None:
    """volume(a (n, 3), b (n, 3), c (n, 3)) -> (n,): of the parallelepipeds with these sides."""
    rng = np.random.default_rng(0)
    sides = np.concatenate([[np.eye(3), np.eye(3)[[1, 0, 2]]], rng.normal(size=(4, 3, 3))])
    a, b, c = sides.swapaxes(0, 1)
    want = np.linalg.det(sides)
    base, lengths = np.cross(a, b), np.linalg.norm(sides, axis=2)
    plus = [
        a[:, i] * (b[:, j] * c[:, k] + b[:, k] * c[:, j])
        for i, j, k in ((0, 1, 2), (1, 0, 2), (2, 0, 1))
    ]
    agree(
        volume,
        lambda a, b, c: np.linalg.det(np.stack([a, b, c], axis=1)),
        [(a, b, c), *(tuple(10.0**n * rng.normal(size=(3, n, 3))) for n in (1, 2, 9))],
        "volume",
        1e-12,
        [
            (
                np.abs(want),
                "the sign is lost: a map that turns the cube over has a negative volume",
            ),
            (-want, "the sign is turned round: the unit cube has +1"),
            (want / 6, "a sixth of it: this is the volume of the tetrahedron"),
            (want / 2, "half of it: this is the volume of the prism over a triangle"),
            (lengths.prod(1), "this is the product of the lengths, right only for boxes"),
            (np.linalg.norm(base, axis=1), "this is the area of the base: times the height"),
            (
                np.linalg.norm(base, axis=1) * lengths[:, 2],
                "base times the length of c: only its part that is square to the base is the height",
            ),
            (sum(plus), "all six products are added: three of them are subtracted"),
            (base.sum(1), "c is not used"),
            (
                a[:, 0] * b[:, 1] * c[:, 2] - a[:, 2] * b[:, 1] * c[:, 0],
                "these are two of the six products of a determinant of three",
            ),
            *(
                (
                    want - 2 * base[:, i] * c[:, i],
                    "one of the three signed areas of the base has the wrong sign: go round, 1, 2, 3, 1",
                )
                for i in range(3)
            ),
            *(
                (
                    want - base[:, i] * c[:, i],
                    "one of the three signed areas of the base is missing",
                )
                for i in range(3)
            ),
            *(
                (
                    want + 2 * sign * a[:, i] * b[:, j] * c[:, k],
                    "one of the six products has the wrong sign",
                )
                for i, j, k, sign in (
                    *((i, (i + 1) % 3, (i + 2) % 3, -1) for i in range(3)),
                    *((i, (i + 2) % 3, (i + 1) % 3, 1) for i in range(3)),
                )
            ),
        ],
    )


@exercise("4.4", "triangular, but for pairs", forbid=DETERMINANTS)
def triangular_log_det(log_det: Callable) -> None:
    """log_det(J (B, D, D)) -> (B,) for matrices that are zero above the 2 x 2 blocks on the diagonal."""
    random = np.random.default_rng(0)

    def make(n: int, d: int) -> np.ndarray:
        pair = np.arange(d) // 2
        return random.normal(size=(n, d, d)) * (pair[:, None] >= pair) + 2.5 * np.eye(d)

    J = make(4, 6)
    diagonal = np.diagonal(J, axis1=1, axis2=2)
    a, d = diagonal[:, ::2], diagonal[:, 1::2]
    b, c = (np.diagonal(J, k, 1, 2)[:, ::2] for k in (1, -1))
    blocks = a * d - b * c
    want = np.log(np.abs(blocks)).sum(1)
    answer = log_det(torch.tensor(J))
    if np.ndim(answer) == 0:
        raise CheckFailed(
            "✗ log|det J|: a single number. It is summed over the batch as well, but there must be "
            "one value for each matrix"
        )
    agree(
        log_det,
        lambda J: torch.linalg.slogdet(J)[1],
        [(torch.tensor(J),), *((torch.tensor(make(n, d)),) for n, d in ((1, 2), (5, 4), (2, 10)))],
        "log|det J|",
        1e-9,
        [
            (
                np.log(np.abs(diagonal)).sum(1),
                "only the diagonal: inside a block the entry above it counts, ad - bc",
            ),
            (np.log(np.abs(a * d + b * c)).sum(1), "ad + bc: the second product is subtracted"),
            (np.log(np.abs(blocks[:, 0])), "only the first block: there are D / 2"),
            (blocks.prod(1), "this is the determinant; return its logarithm"),
            (np.abs(blocks).prod(1), "this is the determinant's size; return its logarithm"),
            (np.log(np.abs(blocks.sum(1))), "the logarithm of a sum: sum the logarithms instead"),
            (blocks.sum(1), "the blocks' determinants are added: take logarithms first"),
            (np.log(np.abs(blocks)).mean(1), "averaged over the blocks: it must be summed"),
        ],
    )
    turned = J.copy()
    turned[:, [0, 1]] = turned[:, [1, 0]]  # two rows exchanged: the first block's sign
    got = np.asarray(log_det(torch.tensor(turned)))
    require(
        np.allclose(got, want),
        "a block with a negative determinant is no trouble",
        "NaN or wrong where a block's determinant changes its sign: the volume factor is |det J|",
    )
    large = 1e-4 * torch.eye(1000, dtype=torch.float64)[None]
    got = np.asarray(log_det(large))
    require(
        np.allclose(got, 1000 * math.log(1e-4)),
        "1000 dimensions do not underflow",
        f"for 1000 dimensions with 0.0001 on the diagonal you give {got[0]:.4g}, not -9210: "
        "the product underflows, sum the logarithms",
    )


class _Fall(Transform):
    """x -> -exp(x): bends, and falls, so that order and input of each step matter."""

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return -x.exp(), x.sum(-1)


@exercise("4.5", "a chain of maps", forbid=("minigen.flows.Compose",))
def chain(compose: Callable) -> None:
    """compose(transforms, x (B, D)) -> (z (B, D), log_det (B,)), data -> noise."""
    first = Affine(2).double().requires_grad_(False)
    first.log_scale.copy_(torch.tensor([0.5, -0.3]))
    first.shift.copy_(torch.tensor([0.2, -0.1]))
    transforms = [first, _Fall(2).double(), MuLaw(2, mu=3.0).double()]
    x = torch.tensor([[0.3, -0.4], [1.0, 0.5], [-0.7, 0.9]], dtype=torch.float64)

    def run(order: list[Transform]) -> tuple[Tensor, list[Tensor]]:
        z, steps = x, []
        for transform in order:
            z, part = transform(z)
            steps.append(part)
        return z, steps

    z, steps = run(transforms)
    backwards, backward_parts = run(transforms[::-1])

    def right(transforms: list[Transform], x: Tensor) -> tuple[Tensor, Tensor]:
        total = torch.zeros(len(x), dtype=x.dtype)
        for transform in transforms:
            x, part = transform(x)
            total = total + part
        return x, total

    agree(
        compose,
        right,
        [
            (transforms, x),
            ([first], x[:1]),
            ([first, first, *transforms], x),
            ([transforms[2], first], 0.1 * x),
        ],
        ("z", "log-determinant"),
        1e-9,
        {
            "z": [(backwards, "the maps are applied in reverse order")],
            "log-determinant": [
                (steps[-1], "only that of the last step is kept: they add up"),
                (
                    sum(t(x)[1] for t in transforms),
                    "every step's is taken at x: the next transform must see the z of the one before",
                ),
                (
                    sum(t(z)[1] for t in transforms),
                    "every step's is taken at the end, z: each belongs to the input of its own step",
                ),
                (-sum(steps), "the sign: data -> noise adds them"),
                (torch.stack(steps).prod(0), "multiplied: determinants multiply, logarithms add"),
                (sum(backward_parts), "taken in reverse order"),
            ],
        },
    )


@exercise("4.6", "the banana")
def banana(make: Callable) -> None:
    """make(b, s) -> Transform: z_1 = x_1, z_2 = (x_2 - b x_1²) exp(-s)."""
    for b, s in ((-0.3, -1.0), (0.7, 0.4)):
        transform = make(b, s)
        grid = torch.linspace(-2, 2, 12, dtype=torch.float64).reshape(2, 3, 2)
        for way in (transform, transform.inverse):
            answer = parts(Reader(way)(grid), "points", "log-determinants")
            answer = [v if isinstance(v, Tensor) else torch.zeros(0) for v in answer]
            if answer[0].shape != grid.shape or answer[1].shape != grid.shape[:-1]:
                raise CheckFailed(
                    f"✗ shapes: points (2, 3, 2) give {tuple(answer[0].shape)} and log-determinants "
                    f"{tuple(answer[1].shape)}, not (2, 3): any number of axes may come before the last"
                )
    x = torch.tensor([[0.5, -1.0], [-1.2, 0.3], [2.0, 1.0]], dtype=torch.float64)
    z, there = transform(x)
    bend = x[:, 1] - b * x[:, 0] ** 2
    compare(
        z,
        torch.stack([x[:, 0], bend * math.exp(-s)], -1),
        "forward",
        1e-9,
        [
            (
                torch.stack([x[:, 0], (x[:, 1] + b * x[:, 0] ** 2) * math.exp(-s)], -1),
                "b x_1² is added: data -> noise takes the bend away",
            ),
            (
                torch.stack([x[:, 0], bend * math.exp(s)], -1),
                "multiplied by exp(s): data -> noise divides by the scale",
            ),
            (
                torch.stack([x[:, 0], x[:, 1] * math.exp(-s) - b * x[:, 0] ** 2], -1),
                "scaled before the bend is taken away: first the bend, then the scale",
            ),
            *(
                (
                    torch.stack([x[:, 0], (x[:, 1] - b * power) * math.exp(-s)], -1),
                    "the bend is b times the square of x_1",
                )
                for power in (x[:, 0], x[:, 0] ** 3, x[:, 1] ** 2)
            ),
        ],
    )
    compare(
        there,
        torch.full((3,), -s, dtype=torch.float64),
        "log-determinant of forward",
        1e-9,
        [
            (
                torch.full((3,), s, dtype=torch.float64),
                "the sign: forward divides by exp(s), so it shrinks area",
            ),
            (
                torch.zeros(3, dtype=torch.float64),
                "zero: the bend keeps area, but the scale does not",
            ),
            (
                torch.full((3,), math.exp(-s), dtype=torch.float64),
                "this is the determinant; return its logarithm",
            ),
        ],
    )
    back, home = (
        v.flip(0) for v in parts(transform.inverse(z.flip(0)), "x", "the log-determinant")
    )
    compare(
        back,
        x,
        "the way back",
        1e-9,
        [
            (
                torch.stack([x[:, 0], bend + b * x[:, 0] ** 2 * math.exp(s)], -1),
                "the bend is added before the scale: undo the last step first",
            ),
        ],
    )
    compare(
        home,
        torch.full((3,), s, dtype=torch.float64),
        "log-determinant of inverse",
        1e-9,
        [
            (
                torch.full((3,), -s, dtype=torch.float64),
                "that of forward: the way back has the opposite sign",
            )
        ],
    )
    flow = Flow(StandardNormal(2), transform).double()
    across, up = torch.linspace(-6, 6, 301).double(), torch.linspace(-9, 35, 1101).double()
    density = flow.log_prob(torch.stack(torch.meshgrid(across, up, indexing="ij"), -1)).exp()
    area = torch.trapezoid(torch.trapezoid(density, up, dim=-1), across).item()
    require(abs(area - 1) < 1e-3, "its density integrates to one", f"it integrates to {area:.3f}")
    transform, x = make(-0.3, -1.0), grid.reshape(-1, 2)[[4, 0, 3]]
    scaled = (x[:, 1] + 0.3 * x[:, 0] ** 2) * math.e
    compare(transform(x)[0], torch.stack([x[:, 0], scaled], -1), "forward, b = -0.3, s = -1", 1e-9)
    z, there = transform(x)
    for value, want, what in (
        (there, 1, "its log-determinant"),
        (transform.inverse(z)[1], -1, "that of the way back"),
    ):
        compare(value, torch.full((3,), float(want)).double(), what, 1e-9)
    compare(transform.inverse(z)[0], x, "and back", 1e-9)


@exercise("4.7", "predict, then run: units of likelihood")
def units_of_likelihood(prediction: Callable) -> None:
    """prediction() -> {"softer": nats, "sides": nats, "louder": a share}."""
    fitted = lambda v: Gaussian.fit(v).log_prob(v)
    second = np.resize(data.example().audio.astype(float), 8000)[:, None]
    pairs = np.concatenate([second[:-1], second[1:]], axis=1)
    sides = pairs @ np.array([[1.0, 1.0], [1.0, -1.0]])
    uniform = 2 * torch.rand(400_000, 1, generator=torch.Generator().manual_seed(0)) - 1
    samples = MuLaw(1).inverse(uniform)[0]
    predicts(
        prediction,
        {
            "softer": (
                float(fitted(second / 2).sum() - fitted(second).sum()),
                0.01,
                (
                    "every sample has half the room, so its density doubles. In nats that is a logarithm, and "
                    "it counts for each sample of the second"
                ),
            ),
            "sides": (
                float((fitted(sides) - fitted(pairs)).mean()),
                0.01,
                (
                    "the map's matrix is (1, 1; 1, -1). By the size of its determinant area grows, and "
                    "probability is spread over it: is the density higher or lower?"
                ),
            ),
            "louder": (
                float((samples.abs() > 0.1).double().mean()),
                0.01,
                (
                    "on the µ-law scale the noise is uniform. Where does 0.1 lie on that scale, by the formula "
                    "of chapter 1? Larger is what lies beyond"
                ),
            ),
        },
    )


class _Bent(Transform):
    """A triangular matrix and a shift, then µ-law, in both directions; or with a planted bug."""

    def __init__(self, dim: int, bug: str = "") -> None:
        super().__init__(dim)
        generator = torch.Generator().manual_seed(dim)
        self.line, self.bend, self.bug = Affine(dim), MuLaw(dim, mu=5.0), bug
        for parameter in self.line.parameters():
            parameter.data = 0.5 * torch.randn(parameter.shape, generator=generator) + 0.2
        self.double().requires_grad_(False)

    def _log_det(self, x: Tensor) -> Tensor:
        """log|det| of data -> noise, as this transform reports it."""
        y, first = self.line(x)
        z, second = self.bend(y)
        if self.bug == "late":
            second = self.bend(z)[1]
        if self.bug == "positive":
            second = self.bend(self.line(x.abs())[0])[1]
        whole = first + second
        if self.bug == "batch":
            whole = whole.mean().expand_as(whole)
        if self.bug == "rough":
            whole = whole.round(decimals=2)
        return -whole if self.bug == "cancel" else whole

    def _forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        log_det = self._log_det(x) * (0 if self.bug == "there" else 1)
        if self.bug == "turned" and self.dim == 2:
            log_det = log_det.flip(0)
        return self.bend(self.line(x)[0])[0], log_det

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        y = self.bend.inverse(z)[0]
        x = self.line.inverse(y)[0]
        log_det = self._log_det(x) * (1 if self.bug == "home" else -1)
        if self.bug == "turned" and self.dim == 3:
            log_det = log_det.flip(0)
        if self.bug == "order":
            x = self.line.inverse(y + self.line.shift)[0] - self.line.shift
        if self.bug == "last":
            x = torch.cat([x[:-1], x[-1:] + 0.1])
        if self.bug == "exchanged":
            x = x.flip(0)
        return x, log_det


TRANSFORM_BUGS = {
    "cancel": "both log-determinants have the wrong sign: they cancel, and the round trip is right",
    "home": "the way back reports the log-determinant of the way there",
    "there": "the way there reports a log-determinant of zero; that of the way back is right",
    "late": "the slope of the bend is taken at its result, not where the point was",
    "batch": "all examples of a batch get the same log-determinant, their mean",
    "turned": "the log-determinants of one way stand in reverse order in a batch",
    "rough": "its log-determinants are rounded to two decimal places",
    "positive": "its log-determinants are right for points of positive numbers only",
    "order": "the way back does not undo the last step first: it scales, and then shifts",
    "last": "the last example of a batch does not come home",
    "exchanged": "the examples of a batch come home in reverse order",
}


def spoilt(transform: Any) -> list[tuple[Any, str]]:
    """A transform of which one number is off by 0.001, for each result and at several places of a batch, in words."""
    det = "the log-determinant of the {} example of a batch is off by 0.001 on the way "
    home = "of the {} example of a batch the {} number comes home off by 0.001"
    return [
        *nudges(transform, det + "there", 1, 1e-3, 1, "forward"),
        *nudges(transform, det + "back", 1, 1e-3, 1, "inverse"),
        *nudges(transform, home, 2, 1e-3, 0, "inverse"),
    ]


@exercise("4.8", "the test that finds the planted bug")
def transform_test(is_right: Callable) -> None:
    """is_right(transform, dim) -> bool, for transforms of points (B, dim) in float64."""
    twice = Compose([_Bent(4), Permutation([3, 2, 1, 0]), Inverse(_Bent(4))]).double()
    right = {
        "µ-law of one number": (MuLaw(1).double(), 1),
        "a matrix, a shift and a bend of two": (_Bent(2), 2),
        "the same of five, turned round": (Inverse(_Bent(5)), 5),
        "a chain of two in four dimensions": (twice, 4),
    }
    finds_bugs(
        is_right,
        [(arguments, words) for words, arguments in right.items()],
        [((_Bent(n, bug), n), words) for n in (2, 3) for bug, words in TRANSFORM_BUGS.items()]
        + [((transform, 3), words) for transform, words in spoilt(_Bent(3))],
        "inverse undoes forward, and both log-determinants are those of the Jacobian, example by example",
    )
