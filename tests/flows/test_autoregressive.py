"""Autoregressive layers: products of normals, step by step, filters, zuko."""

import math

import pytest
import torch
from flow_families import jacobian_of, make, points
from scipy.signal import lfilter
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from minigen.flows import (
    MAF,
    CausalFilter,
    Flow,
    Inverse,
    MaskedAffineAutoregressive,
    MaskedSplineAutoregressive,
    StandardNormal,
)


@pytest.mark.parametrize("kind", [MaskedAffineAutoregressive, MaskedSplineAutoregressive])
def test_inverting_multiplies_no_more_than_one_pass_and_maps_each_column_once(kind, monkeypatch):
    layer = kind(8, (64, 64))
    columns = []
    backward = layer.univariate.inverse
    monkeypatch.setattr(
        layer.univariate, "inverse", lambda z, p: columns.append(z.shape) or backward(z, p)
    )
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        layer(torch.randn(32, 8))
    with FlopCounterMode(display=False) as back, torch.no_grad():
        layer.inverse(torch.randn(32, 8))
    assert 0 < back.get_total_flops() <= forward.get_total_flops()
    assert columns == [(32, 1)] * 8


def mean_and_log_scale(layer, x):
    """m and s of an affine layer: x = z exp(s) + m at z = 0."""
    return layer.univariate.inverse(torch.zeros_like(x), layer.net(x))


def test_a_masked_affine_layer_is_a_product_of_normals():
    """The Gaussian autoregressive model: x_i given the past is N(m_i, exp(2 s_i))."""
    layer = make("masked-affine", 4)
    x = points(9, 4)
    m, s = mean_and_log_scale(layer, x)
    want = torch.distributions.Normal(m, s.exp()).log_prob(x).sum(-1)
    assert torch.allclose(Flow(StandardNormal(4).double(), layer).log_prob(x), want)
    assert s.min() < -0.3 and s.max() > 0.3, "it stretches in some places and contracts in others"


def test_iaf_mean_and_scale_never_see_their_own_noise():
    """x_t = z_t exp(s'_t) + m'_t with s' = -s(z_<t), m' = -m(z_<t) exp(-s(z_<t))."""
    layer = make("masked-affine", 5)

    def mean_and_scale(z):
        m, s = mean_and_log_scale(layer, z)
        return torch.stack([-m * torch.exp(-s), -s])

    z = points(5)
    jacobian = jacobian_of(mean_and_scale, z)  # (2, t, t')
    assert torch.equal(jacobian, jacobian.tril(-1)) and jacobian.abs().sum() > 0
    mean, log_scale = mean_and_scale(z)
    assert torch.allclose(Inverse(layer).inverse(z)[0], z * log_scale.exp() + mean)


def test_the_causal_filter_is_lfilter_and_its_density_is_normal():
    taps = torch.tensor([1.2, -0.7, 0.1], dtype=torch.float64)
    layer = CausalFilter(50, taps, log_scale=-0.4)
    z = points(3, 50)
    assert CausalFilter(2, [1]).taps.dtype == torch.float32 and layer.log_scale.dtype == z.dtype
    x, _ = layer.inverse(z)
    want = lfilter([math.exp(-0.4)], [1, -1.2, 0.7, -0.1], z.numpy())
    assert torch.allclose(x, torch.tensor(want))
    matrix = jacobian_of(lambda z: layer.inverse(z)[0], z[0]).detach()
    theirs = torch.distributions.MultivariateNormal(
        torch.zeros(50).double(), scale_tril=matrix
    ).log_prob(x)
    assert torch.allclose(Flow(StandardNormal(50).double(), layer).log_prob(x), theirs)


def test_masked_affine_equals_zuko_given_the_same_weights():
    zuko = pytest.importorskip("zuko", reason="zuko, an oracle for tests, is not installed")
    d, hidden = 5, (16, 16)  # 16 units over 4 degrees: both libraries give each degree 4

    def affine(shift, scale):
        """Ours is z = (x - m) exp(-s), theirs z = exp(a) x + b, with another curve to bound a."""
        s = 4.0 * torch.tanh(scale / 4.0)
        unbounded = -s / (1 - abs(s / math.log(1e-3)))
        return zuko.transforms.MonotonicAffineTransform(-shift * torch.exp(-s), unbounded)

    theirs = zuko.flows.MAF(d, transforms=2, univariate=affine, hidden_features=hidden).double()
    ours = MAF(d, 2, hidden, bound=4.0).double()
    for mine, other in zip(ours.transform.transforms, theirs.transform.transforms, strict=True):
        linear = [layer for layer in other.hyper if isinstance(layer, nn.Linear)]
        order, reach = torch.arange(d), torch.eye(d)
        for k, (target, source) in enumerate(zip(mine.net.layers, linear, strict=True)):
            nn.init.normal_(source.weight, std=0.4)
            # Sort their hidden units as ours are, by the number of inputs that reach them.
            last = k == len(linear) - 1
            reach = (source.mask.float() @ reach > 0).float()
            rows = torch.arange(len(source.bias)) if last else reach.sum(1).argsort(stable=True)
            target.weight.data.copy_(source.weight[rows][:, order])
            target.bias.data.copy_(source.bias[rows])
            order = rows
    x = points(20, d)
    assert torch.allclose(ours.log_prob(x), theirs().log_prob(x), atol=1e-10)
    z = points(20, d, seed=9)
    assert torch.allclose(ours.transform.inverse(z)[0], theirs().transform.inv(z), atol=1e-8)
    assert (ours.log_prob(x) - StandardNormal(d).log_prob(x)).abs().min() > 1e-3
