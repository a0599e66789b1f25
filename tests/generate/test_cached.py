"""Generation: every backend computes what the parallel pass does, and draws the same samples."""

import math
from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest
import torch
from torch.nn.utils.parametrizations import weight_norm
from waves import CONDITIONS, HEADS, SHAPES, TOLERANCES, make

from minigen.distributions import GaussianHead
from minigen.generate import BACKENDS, CachedWaveNet, draw_noise, generate
from minigen.generate.cuda import DeviceWaveNet
from minigen.generate.numba import CompiledWaveNet
from minigen.wavenet import WaveNet, shift_right


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


# Every head with every shape, every pair of a head or a shape and a condition.
CASES = [
    pytest.param(
        *(p.values[0] for p in (head, shape, condition)), id=f"{head.id}-{shape.id}-{condition.id}"
    )
    for h, head in enumerate(HEADS)
    for s, shape in enumerate(SHAPES)
    for condition in [CONDITIONS[(h + s) % 4]]
]


@pytest.mark.parametrize("cached", [numpy_parameters, numba_parameters])
@pytest.mark.parametrize("dtype, tolerance", TOLERANCES)
@pytest.mark.parametrize("head, shape, condition", CASES)
def test_cached_equals_parallel(head, shape, condition, dtype, tolerance, cached):
    net, x, cond, speaker = make(head, shape, condition, dtype=dtype)
    assert x.shape[-1] > 2 * net.receptive_field
    x = 1.3 * x  # beyond ±1, where levels end
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
    return device.wave[1:].T[:, None]


@pytest.mark.parametrize(
    "head, shape, condition, temperature",
    [pytest.param(*c.values, t, id=c.id) for c, t in zip(CASES, cycle([1.0, 0.7, 0.0]))],
)
def test_backends_draw_the_same_samples(head, shape, condition, temperature):
    net, _, cond, speaker = make(head, shape, condition, length=60, std=0.12)
    batch = 1 if cond is None and speaker is None else 2
    draws = {
        name: generate(net, cond, speaker, 50, name, torch.Generator().manual_seed(1), temperature)
        for name in ("naive", "numpy", "numba")
    }
    draws["cuda_graph"] = on_the_device(net, cond, speaker, batch, 50, temperature)
    assert draws["naive"].std() > 0 or temperature == 0
    for name, draw in draws.items():
        assert draw.shape == (batch, 1, 50)
        assert torch.allclose(draw, draws["naive"], atol=1e-10), name


@pytest.mark.parametrize("head", HEADS)
def test_backends_agree_at_the_ends_of_the_noise(head):
    """u of 0 or all but 1: the first level and the last, and no infinite logistic quantile."""
    net, *_ = make(head, SHAPES[0].values[0], {}, batch=1)
    if head.n_params == 9:  # a mixture: scales so small that a far quantile is no end of the levels
        net.head = replace(head, min_log_scale=-9.0)
        net.output_projection.bias.data[3:6] -= 8
    noise = torch.tensor([0.0, 1 - 1e-16, 0.5, 1.0]).double().repeat(2 * 6)
    noise = torch.stack([noise[:40], noise[:40].roll(1)])[None, : 1 + (head.n_params == 9)]
    draws = []
    for name in ("naive", "numpy", "numba"):
        x = torch.zeros(1, 1, 40).double()
        with torch.no_grad():
            BACKENDS[name](net, x, None, None, noise, 1.0)
        draws.append(x)
    assert torch.isfinite(draws[0]).all() and draws[0].std() > 0
    assert torch.allclose(draws[0], draws[1], atol=1e-10) and torch.allclose(
        draws[0], draws[2], atol=1e-10
    )


def test_what_is_not_given_is_drawn_by_numpy_at_the_model_s_own_temperature(monkeypatch):
    net, _, cond, speaker = make(
        GaussianHead(), SHAPES[0].values[0], CONDITIONS[3].values[0], length=9
    )
    given = []
    monkeypatch.setitem(BACKENDS, "numpy", lambda *all_: given.append(all_))
    x = generate(net, cond, speaker)
    generate(net, cond, speaker, 7, generator=torch.Generator().manual_seed(1))
    (model, wave, own_cond, own_speaker, noise, temperature), (_, short, part, _, same, _) = given
    assert model is net and wave is x and x.shape == (2, 1, 9) and temperature == 1.0
    assert torch.equal(own_cond, cond) and own_speaker is speaker and noise.shape == (2, 1, 9)
    assert torch.equal(part, cond[..., :7]) and short.shape == (2, 1, 7)
    assert torch.equal(same, draw_noise(net, 2, 7, torch.Generator().manual_seed(1)))


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


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_long_streams_cross_chunks(backend):
    """More samples than one chunk of projected conditioning, and not a multiple of it."""
    net, x, cond, speaker = make(
        GaussianHead(), SHAPES[4].values[0], CONDITIONS[1].values[0], batch=1, length=601
    )
    got = {"numpy": numpy_parameters, "numba": numba_parameters}[backend](net, x, cond, speaker)
    with torch.no_grad():
        assert np.abs(got - net(x, cond).numpy()).max() < 1e-10


def test_noise_is_what_sample_by_sample_drawing_uses():
    net, *_ = make(GaussianHead(), SHAPES[0].values[0], {}, dtype=torch.float32)
    noise = draw_noise(net, 2, 4100, torch.Generator().manual_seed(3))  # more than one block of it
    generator = torch.Generator().manual_seed(3)
    one_by_one = [torch.randn(2, 1, 1, generator=generator) for _ in range(4100)]
    assert torch.equal(noise, torch.cat(one_by_one, dim=-1))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "n_samples"),
        ({"cond": torch.zeros(1, 3, 5), "backend": "fast"}, ", ".join(BACKENDS)),
        ({"cond": torch.zeros(1, 3, 5), "n_samples": 6}, "covers 5"),
        ({"cond": torch.zeros(1, 3, 5), "n_samples": 0}, "at least 1"),
        ({"cond": torch.zeros(1, 4, 5)}, "cond has shape"),
        ({"n_samples": 5}, "cond is missing"),
    ]
    + [
        ({"n_samples": 3, "temperature": t}, f"0 or more, not {t}")
        for t in (-1, math.nan, math.inf)
    ],
)
def test_errors_say_what_to_do(arguments, message):
    net = WaveNet(GaussianHead(), residual=4, skip=4, layers=2, cycles=1, cond_channels=3)
    with pytest.raises(ValueError, match=message):
        generate(net, **arguments)
