"""Checks for the exercises of chapter 4."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..flows import Affine, Flow, MuLaw, StandardNormal, Transform
from .core import CheckFailed, agree, compare, exercise, parts, require
from .reader import Reader

__all__ = [
    "banana",
    "chain",
    "falling_map",
    "same_histogram",
    "signed_area",
    "triangular_log_det",
]


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
        [(x,), (np.array([7.0]),), (np.array([3.0, 1e-6, 3.0, 1e6, 0.5]),)],
        "log density",
        1e-9,
        [
            (log_z, "log|f'(x)| is missing: this is the density of z, at z = f(x)"),
            (log_z + slope, "log|f'(x)| has the wrong sign: f goes from x to z"),
            (log_z - np.log(x), "the ½ of f(x) = -½ log x is missing in f'(x)"),
            (np.exp(log_z - slope), "this is the density; return its logarithm"),
        ],
    )
    step = np.linspace(-16, 16, 4001)  # log x
    mass = np.trapezoid if hasattr(np, "trapezoid") else np.trapz
    area = mass(np.exp(np.asarray(log_density(np.exp(step))) + step), step)
    require(abs(area - 1) < 1e-6, "it integrates to one", f"it integrates to {area:.4f}, not to 1")


@exercise("4.2", "any histogram")
def same_histogram(quantile: Callable) -> None:
    """quantile(u (n,), data (T,)) -> (n,): F⁻¹(u) of the data."""
    data = np.array([0.3, -1.0, 5.0, 0.0, 0.1])
    u = np.array([0.0, 0.19, 0.21, 0.5, 0.79, 0.99])
    ordered = np.sort(data)
    rng = np.random.default_rng(0)
    others = [
        (rng.random(9), rng.normal(size=12)),
        (rng.random(30), np.array([2.0, 1.0, 2.0, 2.0, 5.0, 1.0])),
        (np.array([0.9, 0.3, 0.0]), np.array([4.0])),
        (np.array([0.75, 0.25, 0.5, 0.0, 0.25]), np.array([3.0, 1.0, 4.0, 2.0])),
    ]
    agree(
        quantile,
        lambda u, data: np.sort(data)[np.floor(u * len(data)).astype(int)],
        [(u, data), *others],
        "F⁻¹(u) of five numbers",
        1e-12,
        [
            (data[[0, 0, 1, 2, 3, 4]], "the data are not sorted: F⁻¹ must rise with u"),
            (
                ordered[::-1][[0, 0, 1, 2, 3, 4]],
                "sorted from the largest down: F⁻¹ must rise with u",
            ),
            (data.min() + u * np.ptp(data), "this is uniform between the smallest and the largest"),
            (
                ordered[[0, 1, 1, 2, 3, 4]],
                "rounded to the nearest index: the ends get half a share",
            ),
            (ordered[[0, 1, 2, 3, 4, 4]], "rounded up, ⌈u T⌉: take ⌊u T⌋"),
            (ordered[[-1, 0, 1, 2, 3, 4]], "⌈u T⌉ - 1: right but for u = 0, take ⌊u T⌋"),
            (ordered[[0, 1, 1, 2, 4, 4]], "⌈u (T - 1)⌉: the ends get too much or too little"),
            (ordered[[0, 0, 0, 2, 3, 3]], "⌊u (T - 1)⌋: the largest value is never drawn"),
            (np.quantile(data, u), "np.quantile draws lines between the data: take ⌊u T⌋"),
            (
                np.searchsorted(ordered, u, side="right") / 5,
                "this is F itself (the share of the data at most u), not its inverse",
            ),
        ],
    )
    many = np.asarray(quantile((np.arange(1000) + 0.5) / 1000, data))
    require(
        all(np.sum(many == value) == 200 for value in data),
        "each of the five is drawn equally often",
        "the five values are not drawn equally often",
    )


@exercise("4.3", "signed area")
def signed_area(area: Callable) -> None:
    """area(a (n, 2), b (n, 2)) -> (n,): of the parallelograms with sides a and b."""
    a = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [1.2, -0.4], [1.0, 2.0]])
    b = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 3.0], [0.3, 0.5], [2.0, 4.0]])
    want = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    rng = np.random.default_rng(0)
    agree(
        area,
        lambda a, b: a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        [(a, b), *((rng.normal(size=(n, 2)), 1e3 * rng.normal(size=(n, 2))) for n in (1, 2, 9))],
        "area",
        1e-12,
        [
            (
                np.abs(want),
                "the sign is lost: a map that turns the square over has a negative area",
            ),
            (-want, "the sign is turned round: from (1, 0) to (0, 1) is +1"),
            ((a * b).sum(1), "this is the scalar product: it is zero for a square"),
            (
                np.hypot(*a.T) * np.hypot(*b.T),
                "this is the product of the lengths, right only for rectangles",
            ),
            (a[:, 0] * b[:, 1] + a[:, 1] * b[:, 0], "ad + bc: the second product is subtracted"),
            (want / 2, "half of it: this is the area of the triangle"),
        ],
    )


DETERMINANTS = tuple(
    f"{module}.{name}"
    for module in ("torch", "torch.Tensor", "torch.linalg", "numpy.linalg", "scipy.linalg")
    for name in ("det", "slogdet", "logdet")
)


@exercise("4.4", "the log-determinant of a triangular matrix", forbid=DETERMINANTS)
def triangular_log_det(log_det: Callable) -> None:
    """log_det(L (B, D, D)) -> (B,) for lower-triangular matrices."""
    random = np.random.default_rng(0)
    L = np.tril(random.normal(size=(4, 3, 3)), -1) + 2.5 * np.eye(3)
    L[1:, 1, 1] = (0.2, 7.0, 0.4)
    diagonal = np.diagonal(L, axis1=1, axis2=2)
    want = np.log(diagonal).sum(1)
    answer = log_det(torch.tensor(L))
    if np.ndim(answer) == 0:
        raise CheckFailed(
            "✗ log|det L|: a single number. It is summed over the batch as well, but there must be "
            "one value for each matrix"
        )

    def right(L: Tensor) -> Tensor:
        return torch.diagonal(L, dim1=-2, dim2=-1).abs().log().sum(-1)

    others = [
        (torch.tensor(np.abs(np.tril(random.normal(size=(n, d, d))))),)
        for n, d in ((1, 1), (5, 2), (2, 6))
    ]
    agree(
        log_det,
        right,
        [(torch.tensor(L),), *others],
        "log|det L|",
        1e-9,
        [
            (diagonal.prod(1), "this is the determinant; return its logarithm"),
            (np.log(diagonal.sum(1)), "the logarithm of the trace: sum the logarithms instead"),
            (diagonal.sum(1), "the sum of the diagonal (the trace): take logarithms first"),
            (np.log(diagonal).mean(1), "averaged over the diagonal: it must be summed"),
        ],
    )
    got = np.asarray(log_det(torch.tensor(-L)))
    require(
        np.allclose(got, want),
        "a negative diagonal is no trouble",
        "NaN or wrong for a negative diagonal: the volume factor is |det L|, take absolute values",
    )
    large = 0.1 * torch.eye(1000, dtype=torch.float64)[None]
    got = np.asarray(log_det(large))
    require(
        np.allclose(got, 1000 * math.log(0.1)),
        "1000 dimensions do not underflow",
        f"for 1000 dimensions with 0.1 on the diagonal you give {got[0]:.4g}, not -2303: "
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
    back, home = transform.inverse(z)
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
    compare(transform.inverse(transform(x)[0])[0], x, "and back", 1e-9)
