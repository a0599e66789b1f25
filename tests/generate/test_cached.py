"""Generation: every backend computes what the parallel pass does, and draws the same samples."""

import numpy as np
import pytest
import torch
from torch.nn.utils.parametrizations import weight_norm

from minigen.distributions import Categorical, DiscretizedLogisticMixture, GaussianHead, Head
from minigen.generate import BACKENDS, CachedWaveNet, draw_noise, generate
from minigen.generate.cuda import DeviceWaveNet
from minigen.generate.numba import CompiledWaveNet, _tanh32
from minigen.wavenet import WaveNet, shift_right

HEADS = [
    pytest.param(GaussianHead(min_log_scale=-9.0), id="gaussian"),
    pytest.param(DiscretizedLogisticMixture(3), id="mixture"),
    pytest.param(Categorical(32), id="mu-law"),
    pytest.param(Categorical(32, mu_law=False), id="even-levels"),
]
SHAPES = [
    pytest.param({"layers": 3, "cycles": 2, "kernel": 2, "lpc_order": 0}, id="kernel2"),
    pytest.param({"layers": 2, "cycles": 2, "kernel": 3, "lpc_order": 0}, id="kernel3"),
    pytest.param(
        {"layers": 3, "cycles": 1, "kernel": 2, "lpc_order": 12}, id="linear-longer-than-net"
    ),
    pytest.param(
        {"layers": 3, "cycles": 1, "kernel": 3, "lpc_order": 4, "input_scale": 5.0},
        id="linear-gain",
    ),
    pytest.param({"layers": 6, "cycles": 1, "kernel": 2, "lpc_order": 0}, id="past-taps-in-blocks"),
]
CONDITIONS = [
    pytest.param({}, id="alone"),
    pytest.param({"cond_channels": 3}, id="cond"),
    pytest.param({"speakers": 2}, id="speaker"),
    pytest.param({"cond_channels": 3, "speakers": 2}, id="cond-speaker"),
]
TOLERANCES = [
    pytest.param(torch.float64, 1e-10, id="float64"),
    pytest.param(torch.float32, 1e-5, id="float32"),
]


def make(head, shape, condition, batch=2, length=150, dtype=torch.float64, std=0.3):
    torch.manual_seed(0)
    shape = {**shape, "lpc_order": shape["lpc_order"] * (head.means > 0)}
    net = WaveNet(head, residual=5, skip=7, **shape, **condition).to(dtype)
    for weight in net.parameters():  # away from the start, where the output ignores the input
        torch.nn.init.normal_(weight, std=std)
    x = torch.rand(batch, 1, length, dtype=dtype) * 1.8 - 0.9
    cond = torch.randn(batch, 3, length, dtype=dtype) if "cond_channels" in condition else None
    speaker = torch.arange(batch) % 2 if "speakers" in condition else None
    return net, x, cond, speaker


def numpy_parameters(net, x, cond, speaker):
    cache = CachedWaveNet(net, cond, speaker, batch=len(x))
    past = shift_right(x)[:, 0].numpy()
    steps = [cache.step(past[:, t]) for t in range(x.shape[-1])]  # (P, B) each
    return np.stack(steps, axis=-1).transpose(1, 0, 2)


def numba_parameters(net, x, cond, speaker):
    rows = []
    for item in range(len(x)):
        one = slice(item, item + 1)
        parts = (None if part is None else part[one] for part in (cond, speaker))
        rows.append(CompiledWaveNet(net, *parts).parameters(x[item, 0].numpy()))
    return np.stack(rows)


@pytest.mark.parametrize("cached", [numpy_parameters, numba_parameters])
@pytest.mark.parametrize("dtype, tolerance", TOLERANCES)
@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("head", HEADS)
def test_cached_equals_parallel(head, shape, condition, dtype, tolerance, cached):
    net, x, cond, speaker = make(head, shape, condition, dtype=dtype)
    assert x.shape[-1] > 2 * net.receptive_field
    with torch.no_grad():
        want = net(x, cond, speaker).numpy()  # (B, P, T)
    scale = max(1.0, np.abs(want).max())
    assert np.abs(cached(net, x, cond, speaker) - want).max() < tolerance * scale


def on_the_device(net, cond, speaker, batch, length, temperature):
    """The steps that the backend cuda_graph records, run unrecorded."""
    noise = draw_noise(net, batch, length, torch.Generator().manual_seed(1))
    x = torch.zeros(batch, 1, length, dtype=noise.dtype)
    with torch.no_grad():
        device = DeviceWaveNet(net, x, cond, speaker, noise, temperature)
        for _ in range(length):
            device.step()
        first = device.wave.clone()
        device.rewind()
        for _ in range(length):
            device.step()
    assert torch.equal(first, device.wave)  # rewinding forgets everything
    return device.wave[1:].T[:, None]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("head", HEADS)
def test_backends_draw_the_same_samples(head, shape, condition, temperature):
    net, _, cond, speaker = make(head, shape, condition, length=60, std=0.12)
    batch = 1 if cond is None and speaker is None else 2
    draws = {
        name: generate(net, cond, speaker, 60, name, torch.Generator().manual_seed(1), temperature)
        for name in ("naive", "numpy", "numba")
    }
    draws["cuda_graph"] = on_the_device(net, cond, speaker, batch, 60, temperature)
    assert draws["naive"].std() > 0
    for name, draw in draws.items():
        assert draw.shape == (batch, 1, 60)
        assert torch.allclose(draw, draws["naive"], atol=1e-10), name


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA graph needs a GPU; there is none")
@pytest.mark.parametrize("head", HEADS)
def test_cuda_graph_draws_the_same_samples(head):
    net, _, cond, speaker = make(head, SHAPES[0].values[0], {"cond_channels": 3, "speakers": 2})
    net, cond, speaker = net.cuda(), cond.cuda(), speaker.cuda()
    draws = [
        generate(net, cond, speaker, 150, name, torch.Generator("cuda").manual_seed(1))
        for name in ("naive", "cuda_graph")
    ]
    assert torch.allclose(*draws, atol=1e-9)


def test_cuda_graph_without_a_gpu_says_what_to_do():
    net, *_ = make(GaussianHead(), SHAPES[0].values[0], {})
    with pytest.raises(ValueError, match="on a GPU, this one is on cpu"):
        generate(net, n_samples=3, backend="cuda_graph")


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_weight_norm_is_folded(backend):
    """A reparametrised weight gives the same samples; the norm is not computed sample by sample."""
    net, _, cond, speaker = make(GaussianHead(), SHAPES[0].values[0], CONDITIONS[1].values[0])
    for layer in net.layers:
        weight_norm(layer.conv)
        layer.conv.parametrizations.weight.original0.data *= 1.5  # the norms g, (2R, 1, 1)
    draws = [
        generate(net, cond, speaker, backend=name, generator=torch.Generator().manual_seed(2))
        for name in ("naive", backend)
    ]
    assert torch.allclose(*draws, atol=1e-10)


def test_weights_that_change_afterwards_do_not_matter():
    """Both caches copy the weights; and each reads fewer bytes than there are, or as many."""
    net, x, *_ = make(GaussianHead(), SHAPES[0].values[0], {}, batch=1)
    compiled, cached = CompiledWaveNet(net, None, None), CachedWaveNet(net, None, None, 1)
    with torch.no_grad():
        want = net(x).numpy()
        for weight in net.parameters():
            weight.zero_()
    assert np.abs(compiled.parameters(x[0, 0].numpy()) - want[0]).max() < 1e-10
    past = shift_right(x)[:, 0].numpy()
    got = np.stack([cached.step(past[:, t]) for t in range(x.shape[-1])], axis=-1)  # (P, B, T)
    assert np.abs(got[:, 0] - want[0]).max() < 1e-10
    last = 8 * 5 * 5  # the last layer's residual part is kept, as zeros, and its bias
    assert compiled.bytes_per_sample < 8 * sum(w.numel() for w in net.parameters()) + last + 100


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


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_long_streams_cross_chunks(backend):
    """More samples than one chunk of projected conditioning, and not a multiple of it."""
    net, x, cond, speaker = make(
        GaussianHead(), SHAPES[4].values[0], CONDITIONS[1].values[0], batch=1, length=601
    )
    got = {"numpy": numpy_parameters, "numba": numba_parameters}[backend](net, x, cond, speaker)
    with torch.no_grad():
        assert np.abs(got - net(x, cond).numpy()).max() < 1e-10


def test_generated_samples_have_the_density_they_were_drawn_from():
    """Standardised by the model's own parameters, generated samples are white and of variance 1."""
    net, *_ = make(GaussianHead(), SHAPES[0].values[0], {}, batch=1)
    x = generate(net, n_samples=4000, backend="numba", generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mean, log_scale = net.head.split(net(x))
    z = ((x - mean) / log_scale.exp()).flatten()
    assert abs(z.mean()) < 0.06 and abs(z.std() - 1) < 0.05
    assert abs((z[1:] * z[:-1]).mean()) < 0.06


def test_dropout_is_off_and_the_mode_is_kept():
    torch.manual_seed(0)
    net = WaveNet(GaussianHead(), residual=4, skip=4, layers=2, cycles=1, dropout=0.5)
    torch.nn.init.normal_(net.output_projection.weight)
    draws = [
        generate(net, n_samples=30, backend=name, generator=torch.Generator().manual_seed(0))
        for name in ("naive", "numpy")
    ]
    assert torch.allclose(*draws, atol=1e-5) and net.training


def test_noise_is_what_sample_by_sample_drawing_uses():
    net, *_ = make(GaussianHead(), SHAPES[0].values[0], {}, dtype=torch.float32)
    noise = draw_noise(net, 2, 5, torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    one_by_one = [torch.randn(2, 1, 1, generator=generator) for _ in range(5)]
    assert torch.equal(noise, torch.cat(one_by_one, dim=-1))


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
    with pytest.raises(ValueError, match="not Laplace: use numpy"):
        generate(net, n_samples=3, backend="numba")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "n_samples"),
        ({"cond": torch.zeros(1, 3, 5), "backend": "fast"}, ", ".join(BACKENDS)),
        ({"cond": torch.zeros(1, 3, 5), "n_samples": 6}, "covers 5"),
        ({"cond": torch.zeros(1, 3, 5), "n_samples": 0}, "at least 1"),
        ({"cond": torch.zeros(1, 4, 5)}, "cond has shape"),
        ({"n_samples": 5}, "cond is missing"),
    ],
)
def test_errors_say_what_to_do(arguments, message):
    net = WaveNet(GaussianHead(), residual=4, skip=4, layers=2, cycles=1, cond_channels=3)
    with pytest.raises(ValueError, match=message):
        generate(net, **arguments)
