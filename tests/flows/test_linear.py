"""Permutation, LU and ActNorm against their matrices and statistics."""

import pytest
import torch
from flow_families import C, make, points

from minigen.flows import ActNorm, Flow, Inverse, LULinear, Permutation, StandardNormal, initialise


def test_lu_is_its_matrix():
    lu = make("lu", 4)
    x = points(6, 4)
    z, log_det = lu(x)
    assert torch.allclose(z, x @ lu.matrix.T + lu.bias)
    assert torch.allclose(log_det, torch.linalg.slogdet(lu.matrix)[1].expand(6))
    fresh = LULinear(5, torch.Generator().manual_seed(3)).double()
    assert torch.allclose(fresh.matrix @ fresh.matrix.T, torch.eye(5).double(), atol=1e-6)
    same = LULinear(5, torch.Generator().manual_seed(3)).double()
    assert torch.equal(same.matrix, fresh.matrix)
    assert torch.equal(LULinear(5).matrix, torch.eye(5))


def test_permutation_has_both_directions_and_sound_orders():
    order = [2, 0, 3, 1]
    permutation = Permutation(order)
    x = torch.arange(4.0)
    assert permutation(x)[0].tolist() == order
    assert torch.equal(permutation.inverse(permutation(x)[0])[0], x)


def test_actnorm_is_set_from_data_in_order_and_then_left_alone():
    x = 3 + 5 * points(400, 2)
    flow = Flow(StandardNormal(2), [ActNorm(2), make("masked-affine", 2), ActNorm(2)]).double()
    initialise(flow, x)
    first = flow.transform.transforms[0]
    assert torch.allclose(first.shift, x.mean(0))
    assert torch.allclose(first.log_scale.exp(), x.std(0, correction=0))
    z = flow.transform(x)[0]
    assert torch.allclose(z.mean(0), torch.zeros(2).double(), atol=1e-8)
    assert torch.allclose(z.std(0, correction=0), torch.ones(2).double())
    before = flow.log_prob(x)
    flow.log_prob(x + 100)  # other data change nothing
    assert torch.equal(flow.log_prob(x), before)
    constant = ActNorm(1)
    initialise(constant, torch.full((5, 1), 4.0))
    assert constant(torch.full((1, 1), 4.0))[0].item() == 0 == constant.log_scale.item()
    with pytest.raises(ValueError, match="at least two rows"):
        initialise(flow, x[:1])


def test_initialising_passes_the_context_on_and_forgets_who_was_not_met():
    """An ActNorm inside Inverse is met from noise only: it must not wait for the first sample."""
    hidden, conditional = ActNorm(2), make("masked-affine", 2, context=True)
    flow = Flow(StandardNormal(2), [Inverse(hidden), conditional, ActNorm(2)]).double()
    x, context = 3 + points(4, 50, 2), points(4, 50, C)
    initialise(flow, x, context)
    z = flow.transform(x, context)[0].reshape(-1, 2)
    assert torch.allclose(z.mean(0), 0 * z[0]) and torch.allclose(
        z.std(0, correction=0), 0 * z[0] + 1
    )
    flow.sample((9,), points(9, C))
    assert not hidden.shift.any() and not hidden.log_scale.any()
