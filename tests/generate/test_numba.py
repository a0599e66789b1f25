"""The compiled loop: its tanh, its copies of the weights, NaN, heads that it does not know."""

import numpy as np
import pytest
import torch
from waves import SHAPES, make

from minigen.distributions import DiscretizedLogisticMixture, GaussianHead, Head
from minigen.generate import CachedWaveNet, generate
from minigen.generate.numba import CompiledWaveNet, _tanh32
from minigen.wavenet import WaveNet, shift_right


def test_weights_that_change_afterwards_do_not_matter():
    """Both caches copy the weights; and each reads fewer bytes than there are, or as many."""
    head, size = DiscretizedLogisticMixture(8), (8, 8)  # rows that fill lines of the cache
    net, x, *_ = make(head, SHAPES[0].values[0], {}, batch=1, size=size)
    compiled, cached = CompiledWaveNet(net, None, None), CachedWaveNet(net, None, None, 1)
    with torch.no_grad():
        want = net(x).numpy()
        for weight in net.parameters():
            weight.zero_()
    assert np.abs(compiled.parameters(x[0, 0].numpy()) - want[0]).max() < 1e-10
    past = shift_right(x)[:, 0].numpy()
    got = np.stack([cached.step(past[:, t]) for t in range(x.shape[-1])], axis=-1)  # (P, B, T)
    assert np.abs(got[:, 0] - want[0]).max() < 1e-10
    last = 8 * 8 * 8  # the last layer's residual part is kept, as zeros, and its bias
    assert compiled.bytes_per_sample < 8 * sum(w.numel() for w in net.parameters()) + last + 100


@torch.no_grad()
def test_conditioning_may_come_as_a_function_of_first_and_last():
    """A chunk at a time, each sample once, and the same parameters."""
    net, x, cond, _ = make(
        GaussianHead(), SHAPES[0].values[0], {"cond_channels": 3}, batch=1, length=601
    )
    asked = []
    part = lambda first, last: asked.append((first, last)) or cond[..., first:last]
    got = CompiledWaveNet(net, part, None).parameters(x[0, 0].numpy())
    assert np.abs(got - net(x, cond)[0].numpy()).max() < 1e-10
    assert asked == [(0, 256), (256, 512), (512, 601)]


def test_rational_tanh():
    x = np.linspace(-30, 30, 60_001).astype(np.float32)
    got = np.array([_tanh32(value) for value in x])
    assert np.abs(got - np.tanh(x.astype(np.float64))).max() < 4e-7
    tiny = np.float32(1e-6)
    assert abs(_tanh32(tiny) / tiny - 1) < 1e-6 and np.abs(got).max() <= 1 + 1e-6


def test_nan_is_not_lost():
    """A diverged network says so, instead of making a sound: fused arithmetic keeps NaN."""
    net, *_ = make(GaussianHead(), SHAPES[0].values[0], {}, dtype=torch.float32)
    net.input_projection.weight.data[0] = float("nan")
    assert torch.isnan(generate(net, n_samples=5, backend="numba")).any()


class Laplace(Head):
    """A head of somebody else's."""

    n_params = 2

    def noise(self, params, generator=None):
        return torch.rand(params.shape[0], 1, params.shape[2], generator=generator)

    def draw(self, params, noise, temperature=1.0):
        return params[:, :1] + noise


def test_a_head_that_the_compiled_loop_does_not_know():
    net = WaveNet(Laplace(), residual=4, skip=4, layers=2, cycles=1)
    assert generate(net, n_samples=3).shape == (1, 1, 3)
    with pytest.raises(ValueError, match="not know Laplace: use numpy"):
        generate(net, n_samples=3, backend="numba")


def test_generated_samples_have_the_density_they_were_drawn_from():
    """Standardised by the model's own parameters, generated samples are white and of variance 1."""
    net, *_ = make(GaussianHead(), SHAPES[0].values[0], {}, batch=1)
    x = generate(net, n_samples=4000, backend="numba", generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mean, log_scale = net.head.split(net(x))
    z = ((x - mean) / log_scale.exp()).flatten()
    assert abs(z.mean()) < 0.06 and abs(z.std() - 1) < 0.05
    assert abs((z[1:] * z[:-1]).mean()) < 0.06


@pytest.mark.parametrize("layers, saved", [(1, 0.0), (2, 0.5), (3, 0.75)])
def test_past_weights_are_read_once_for_as_many_samples_as_a_layer_looks_back(layers, saved):
    """Of dilation 1, 2, 4: of the last layer's old tap that share is not read for every sample."""
    bytes_of = lambda n: CompiledWaveNet(
        WaveNet(GaussianHead(), residual=8, skip=8, layers=n, cycles=1), None, None
    )
    nets = [bytes_of(n) for n in range(1, layers + 1)]
    spared = [sum(w.nbytes for w in net.weights) - net.bytes_per_sample for net in nets]
    tap = nets[0].weights[2].nbytes / 2
    assert spared[-1] - sum(spared[-2:-1]) == pytest.approx(saved * tap, abs=1)
