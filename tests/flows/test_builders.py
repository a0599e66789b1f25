"""Whole flows: directions, orders, the start."""

from functools import partial

import pytest
import torch
from flow_families import C, H, jacobian_of, points
from torch import nn

from minigen.flows import (
    IAF,
    MAF,
    NSF,
    ActNorm,
    Affine,
    AffineCoupling,
    AffineMap,
    CausalFilter,
    ConvCoupling,
    Elementwise,
    Inverse,
    MaskedAffineAutoregressive,
    MaskedAutoregressive,
    MaskedSplineAutoregressive,
    MuLaw,
    MultiScale,
    Permutation,
    RealNVP,
    SplineCoupling,
    SplineMap,
    StandardNormal,
    WaveformFlow,
)


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


DEFAULTS = {
    Affine(3): "Affine(3, diagonal=False)",
    ActNorm(2): "ActNorm(2)",
    MuLaw(1): "MuLaw(1, mu=255)",
    Permutation([1, 2, 0]): "Permutation([1 2 0])",
    Elementwise(2, SplineMap()): "Elementwise(2, SplineMap(bins=8, bound=5))",
    CausalFilter(4, [0.5, 0.1]): "CausalFilter(4, order 2)",
    AffineCoupling(3): "AffineCoupling(3, AffineMap(bound=5), hidden=(64, 64), keeps the first half)",
    SplineCoupling(2): "SplineCoupling(2, SplineMap(bins=8, bound=5), hidden=(64, 64), keeps the first half)",
    MaskedAffineAutoregressive(2): "MaskedAffineAutoregressive(2, AffineMap(bound=5), hidden=(64, 64), order=0 1)",
    MaskedSplineAutoregressive(2): "MaskedSplineAutoregressive(2, SplineMap(bins=8, bound=5), hidden=(64, 64), order=0 1)",
    MaskedAutoregressive(2, AffineMap()): "MaskedAutoregressive(2, AffineMap(bound=5), hidden=(64, 64), order=0 1)",
    ConvCoupling(2, 4).univariate: "AffineMap(bound=3)",
    ConvCoupling(2, 4).net[0]: "Conv1d(1, 32, kernel_size=(3,), stride=(1,), padding=(1,))",
    MultiScale(16): "MultiScale(16, levels=2, steps=4, hidden=32)",
    WaveformFlow(16): "Flow(StandardNormal(16), MultiScale(16, levels=3, steps=4, hidden=32))",
    WaveformFlow(8, 1, 2, 3): "Flow(StandardNormal(8), MultiScale(8, levels=1, steps=2, hidden=3))",
}  # fmt: skip


def test_a_repr_says_what_matters_and_the_defaults_are_those_of_the_docstrings():
    assert {repr(module) for module in DEFAULTS} == set(DEFAULTS.values())
    layers = {RealNVP: AffineCoupling, NSF: SplineCoupling}
    layers |= dict.fromkeys((MAF, IAF), MaskedAffineAutoregressive)
    for build, layer in layers.items():
        # up to `hidden`: orders and halves turn
        assert repr(build(3)).count(repr(layer(3))[:50]) == 5
    for build in (RealNVP, MAF, IAF, NSF, partial(NSF, kind="autoregressive")):
        with pytest.raises(ValueError, match=r"give it context \(..., 2\)"):
            build(8, context_dim=2).log_prob(torch.zeros(8))


def test_a_waveform_flow_begins_with_the_rotations_of_its_generator():
    one, same, other = (
        WaveformFlow(8, 1, 1, generator=torch.Generator().manual_seed(seed)).state_dict()
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(one[name], same[name]) for name in one if "net." not in name)
    assert any(not torch.equal(one[name], other[name]) for name in one if "net." not in name)
