"""Couplings: half of the dimensions pass through, whatever the network is."""

import pytest
import torch
from flow_families import make, points


@pytest.mark.parametrize("dim", [4, 5])
@pytest.mark.parametrize("name", ["coupling", "coupling-swap", "spline-coupling"])
def test_one_half_passes_through_and_decides_about_the_other(name, dim):
    layer = make(name, dim)
    x = points(5, dim)
    z, log_det = layer(x)
    kept = slice(2, None) if layer.swap else slice(0, 2)
    assert torch.equal(z[:, kept], x[:, kept]) and not torch.equal(z, x)
    moved = x.clone()
    moved[:, kept] += 0.5
    assert (layer(moved)[1] != log_det).all(), "the parameters come from the half that is kept"
    half = "second" if layer.swap else "first"
    assert f"hidden=(12, 12), keeps the {half} half" in repr(layer)
