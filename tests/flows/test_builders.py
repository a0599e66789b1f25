"""Whole flows: directions, orders, the start."""

import pytest
import torch
from flow_families import C, H, jacobian_of, points
from torch import nn

from minigen.flows import IAF, MAF, NSF, Inverse, RealNVP, StandardNormal, WaveformFlow


def test_iaf_is_the_inverse_of_maf():
    maf, iaf = MAF(4, 3, H, C), IAF(4, 3, H, C)
    for weight in maf.parameters():
        nn.init.normal_(weight, std=0.4)
    iaf.transform.transform.load_state_dict(maf.transform.state_dict())
    z, context = torch.randn(6, 4), torch.randn(6, C)
    assert torch.equal(iaf.transform.inverse(z, context)[0], maf.transform(z, context)[0])
    assert torch.equal(iaf.transform(z, context)[0], maf.transform.inverse(z, context)[0])
    assert isinstance(iaf.transform, Inverse)


def test_orders_alternate_between_layers():
    for flow in (MAF(4, 3, H), NSF(4, 3, H, kind="autoregressive")):
        orders = [layer.order for layer in flow.transform.transforms]
        assert orders == [[0, 1, 2, 3], [3, 2, 1, 0], [0, 1, 2, 3]]
    for flow in (RealNVP(5, 3, H), NSF(5, 3, H)):
        assert [layer.swap for layer in flow.transform.transforms] == [False, True, False]
        for weight in flow.double().parameters():
            nn.init.normal_(weight, std=0.5)
        jacobian = jacobian_of(lambda x: flow.transform(x)[0], points(5))  # noqa: B023
        off = ~torch.eye(5, dtype=torch.bool)
        assert (jacobian[off] != 0).any() and not torch.equal(jacobian, jacobian.tril())


def test_builders_start_as_the_identity():
    for flow in (RealNVP(4), MAF(4), IAF(4), NSF(4), NSF(4, kind="autoregressive")):
        x = torch.randn(7, 4)
        want = StandardNormal(4).log_prob(x)
        assert torch.allclose(flow.log_prob(x), want, atol=1e-5)
        assert torch.allclose(flow.transform(x)[0], x, atol=1e-5)


@pytest.mark.parametrize(
    "build, given",
    [
        (build, given)
        for build, given in (
            (RealNVP, {"bound": 1.5}),
            (MAF, {"bound": 1.5}),
            (IAF, {"bound": 1.5}),
            (NSF, {"bound": 1.5, "bins": 3}),
            (NSF, {"bound": 1.5, "bins": 3, "kind": "autoregressive"}),
        )
    ],
)
def test_every_layer_has_what_was_asked_for(build, given):
    text = repr(build(4, 3, (7,), **given))
    for name in given.keys() - {"kind"}:
        assert text.count(f"{name}={given[name]:g}") == 3
    assert text.count("hidden=(7,)") == 3


def test_a_waveform_flow_begins_with_the_rotations_of_its_generator():
    one, same, other = (
        WaveformFlow(8, 1, 1, generator=torch.Generator().manual_seed(seed)).state_dict()
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(one[name], same[name]) for name in one if "net." not in name)
    assert any(not torch.equal(one[name], other[name]) for name in one if "net." not in name)
