"""Affine maps and splines: edges, knots, gradients, and other libraries' values."""

import math

import pytest
import torch
from flow_families import points
from torch import nn

from minigen.flows import AffineMap, SplineMap, rational_quadratic


def test_affine_scales_stretch_as_well_as_contract():
    a = torch.tensor([-1e6, -1.0, 0.0, 1.0, 1e6]).double()
    params = torch.stack([torch.zeros(5).double(), a], -1)
    _, s = AffineMap(bound=5.0).inverse(torch.zeros(5).double(), params)
    assert torch.allclose(s, -s.flip(0)) and (s.diff() > 0).all()
    assert s.max() == 5 and s.min() == -5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("inverse", [False, True])
def test_splines_at_their_edges_and_knots(dtype, inverse):
    """At, just inside and just outside the square; at every knot; with slopes from tiny to large."""
    params = points(200, 3 * 6 - 1, dtype=dtype) * torch.linspace(1, 8, 200, dtype=dtype)[:, None]
    bound = torch.tensor(3.0, dtype=dtype)
    edge = torch.stack([bound, -bound])
    near = torch.cat(
        [edge, torch.nextafter(edge, 0 * edge), torch.nextafter(edge, 2 * edge), 100 * edge]
    )
    value = near.repeat(200, 1)
    given = params[:, None].expand(200, len(near), -1)
    result, log_slope = rational_quadratic(value, given, 3.0, inverse=inverse)
    assert torch.isfinite(result).all() and torch.isfinite(log_slope).all()
    tame = slice(0, 30)  # steep next to flat loses half of the digits, as any root does
    room = 1e-4 if dtype == torch.float32 else 1e-10
    assert torch.allclose(result[tame], value[tame], atol=room)
    assert torch.equal(result[:, 4:], value[:, 4:]) and (log_slope[:, 4:] == 0).all()
    assert (log_slope[:, 6:] == 0).all()


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_outside_the_spline_come_from_the_branch_that_is_taken(dtype, inverse):
    """`where` multiplies the other branch's gradient by zero, and zero times NaN is NaN."""
    params = (4 * points(400, 1, 17, dtype=dtype)).requires_grad_()
    for far in (3.5, 30.0, 1e4, -3.5, -1e4):
        value = torch.full((400, 1), far, dtype=dtype, requires_grad=True)
        result, log_slope = rational_quadratic(value, params, 3.0, inverse=inverse)
        (result.sum() + log_slope.sum()).backward()
        assert torch.equal(value.grad, torch.ones_like(value))
        assert torch.equal(params.grad, torch.zeros_like(params))


def test_the_root_survives_a_discriminant_that_rounding_makes_negative():
    """A flat end next to a steep mean: b² and 4ac agree to the last digits of float32."""
    generator = torch.Generator().manual_seed(0)
    params = 8 * torch.randn(500_000, 1, 17, generator=generator)
    params[..., 12:] -= 6.0  # slopes near the least
    y, _ = rational_quadratic(torch.full((500_000, 1), 2.9999998), params, 3.0)
    x, log_slope = rational_quadratic(y, params, 3.0, inverse=True)
    assert torch.isfinite(x).all() and torch.isfinite(log_slope).all()
    assert x.abs().max() <= 3 + 1e-3


def test_splines_rise_and_are_smooth_at_their_knots():
    bins, least = 5, 1e-3
    params = points(40, 3 * bins - 1)
    x = torch.linspace(-3.5, 3.5, 5001).double().expand(40, -1)
    z, log_slope = rational_quadratic(x, params[:, None].expand(40, x.shape[1], -1), 3.0, least)
    assert (z.diff() > 0).all()
    area = torch.trapezoid(log_slope.exp(), x)  # the slope is that of the curve
    assert torch.allclose(area, z[:, -1] - z[:, 0], rtol=0.02)
    shares = least + (1 - bins * least) * params[:, :bins].softmax(-1)
    knots = 3.0 * (2 * shares.cumsum(-1) - 1)  # (40, 5): the inner four and the right edge
    given = params[:, None].expand(40, bins, -1)
    (left, slope_left), (right, slope_right) = (
        rational_quadratic(knots + side, given, 3.0, least) for side in (-1e-9, 1e-9)
    )
    assert torch.allclose(left, right, atol=1e-6)
    assert torch.allclose(slope_left, slope_right, atol=1e-4)
    inner = math.log(math.e - 1) + params[:, 2 * bins :]
    want = torch.log(least + (1 - least) * nn.functional.softplus(inner))
    assert torch.allclose(slope_right[:, :-1], want, atol=1e-4), "the slopes asked for"


def test_splines_round_trip_in_float32_without_a_negative_discriminant():
    params = 2 * points(5000, 1, 3 * 8 - 1, dtype=torch.float32)
    x = 2.9 * torch.rand(5000, 1, generator=torch.Generator().manual_seed(2))
    z, log_slope = rational_quadratic(x, params, 3.0)
    back, home = rational_quadratic(z, params, 3.0, inverse=True)
    assert torch.isfinite(back).all() and torch.isfinite(home).all()
    # An error of one rounding in z is an error of 1 / slope of it in x.
    room = 1e-4 * (1 + torch.exp(-log_slope))
    assert ((back - x).abs() < room).all()


def test_a_spline_keeps_to_its_own_bound_and_least_size():
    """No piece is flatter than s² / e² allows of sizes and slopes of at least `least`."""
    spline = SplineMap(4, 2.0, least=0.1)
    params, x = 9 * points(300, spline.count), 2 * torch.rand(300).double()
    z, log_slope = spline.forward(x, params)
    want = rational_quadratic(x, params, 2.0, 0.1)
    assert torch.equal(z, want[0]) and torch.equal(log_slope, want[1])
    back, home = spline.inverse(z, params)
    assert torch.allclose(back, x, atol=1e-8) and torch.allclose(home, -log_slope, atol=1e-6)
    assert SplineMap(4).least == 1e-3
    assert torch.equal(
        rational_quadratic(x, params, 2.0)[0], SplineMap(4, 2.0).forward(x, params)[0]
    )


def test_zero_parameters_are_the_identity():
    x = points(5, 3)
    for univariate in (AffineMap(), SplineMap(6, 2.0)):
        zeros = torch.zeros(5, 3, univariate.count).double()
        for function in (univariate.forward, univariate.inverse):
            value, log_slope = function(x, zeros)
            assert torch.allclose(value, x) and torch.allclose(
                log_slope, torch.zeros(5, 3).double()
            )


def test_splines_equal_zuko_given_the_same_knots():
    zuko = pytest.importorskip("zuko", reason="zuko, an oracle for tests, is not installed")
    bins, least, bound = 6, 1e-3, 3.0
    raw = points(300, 3 * bins - 1)
    theirs = zuko.transforms.MonotonicRQSTransform(
        raw[:, :bins], raw[:, bins : 2 * bins], raw[:, 2 * bins :], bound=bound
    )
    shares = [k.diff() / (2 * bound) for k in (theirs.horizontal, theirs.vertical)]
    slopes = (theirs.derivatives[:, 1:-1] - least) / (1 - least)
    params = torch.cat(
        [
            *(torch.log((share - least) / (1 - bins * least)) for share in shares),
            torch.log(torch.expm1(slopes)) - math.log(math.e - 1),
        ],
        -1,
    )
    value = 4 * (2 * torch.rand(300, generator=torch.Generator().manual_seed(5)).double() - 1)
    z, log_slope = rational_quadratic(value, params, bound, least)
    want, want_slope = theirs.call_and_ladj(value)
    assert torch.allclose(z, want, atol=1e-10) and torch.allclose(log_slope, want_slope, atol=1e-9)
    back, _ = rational_quadratic(value, params, bound, least, inverse=True)
    assert torch.allclose(back, theirs.inv(value), atol=1e-9)


def test_splines_equal_nflows_given_the_same_weights():
    splines = pytest.importorskip(
        "nflows.transforms.splines.rational_quadratic",
        reason="nflows, an oracle for tests, is not installed",
    )
    bins, least, bound = 7, 1e-3, 3.0
    params = points(300, 3 * bins - 1)
    # Their slope is least + softplus(u); ours is scaled so that zero gives the identity.
    slopes = least + (1 - least) * nn.functional.softplus(
        params[:, 2 * bins :] + math.log(math.e - 1)
    )
    value = 4 * (2 * torch.rand(300, generator=torch.Generator().manual_seed(6)).double() - 1)
    for inverse in (False, True):
        want, want_slope = splines.unconstrained_rational_quadratic_spline(
            value,
            params[:, :bins],
            params[:, bins : 2 * bins],
            torch.log(torch.expm1(slopes - least)),
            inverse=inverse,
            tails="linear",
            tail_bound=bound,
        )
        got, log_slope = rational_quadratic(value, params, bound, least, inverse)
        assert torch.allclose(got, want, atol=1e-8)
        assert torch.allclose(log_slope, want_slope, atol=1e-7)
