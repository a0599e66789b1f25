"""WaveNet and its generation: causal by gradient, receptive field exact, cached equals parallel."""

import numpy as np
import pytest
import torch

from minigen.distributions import GaussianHead
from minigen.generate import CachedWaveNet, generate
from minigen.wavenet import WaveNet, shift_right

SHAPES = [
    pytest.param({"layers": 3, "cycles": 2, "kernel": 2}, id="kernel2"),
    pytest.param({"layers": 2, "cycles": 2, "kernel": 3}, id="kernel3"),
    pytest.param({"layers": 3, "cycles": 1, "kernel": 2, "taps": 12}, id="linear-longer-than-net"),
    pytest.param(
        {"layers": 3, "cycles": 1, "kernel": 3, "taps": 4, "gain": 5.0}, id="linear-and-gain"
    ),
]
CONDITIONS = [
    pytest.param({}, id="alone"),
    pytest.param({"cond_channels": 3}, id="cond"),
    pytest.param({"speakers": 2}, id="speaker"),
    pytest.param({"cond_channels": 3, "speakers": 2}, id="cond-speaker"),
]


def make(shape: dict, condition: dict, batch=2, length=64, dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    net = WaveNet(GaussianHead(floor=-9.0), residual=5, skip=24, **shape, **condition).to(dtype)
    for weight in net.parameters():  # away from the start, where the output ignores the input
        torch.nn.init.normal_(weight, std=0.4)
    x = torch.randn(batch, 1, length, dtype=dtype)
    cond = torch.randn(batch, 3, length, dtype=dtype) if "cond_channels" in condition else None
    speaker = torch.arange(batch) % 2 if "speakers" in condition else None
    return net, x, cond, speaker


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_causal_and_receptive_field_by_gradient(shape, condition):
    net, x, cond, speaker = make(shape, condition, batch=1)
    x.requires_grad_()
    t = 50
    net(x, cond, speaker)[0, :, t].abs().sum().backward()
    touched = torch.nonzero(x.grad[0, 0]).flatten()
    assert touched.max().item() == t - 1  # sees x[t-1], and neither x[t] nor later: exactly zero
    assert touched.min().item() == t - net.receptive_field


def test_causality_test_can_fail(monkeypatch):
    """The planted mistake: no shift, so that params[t] sees x[t]."""
    monkeypatch.setattr("minigen.wavenet.shift_right", lambda x, by=1: x)
    with pytest.raises(AssertionError):
        test_causal_and_receptive_field_by_gradient({"layers": 2, "cycles": 1, "kernel": 2}, {})


def test_conditioning_is_not_late_or_early():
    """params[t] sees cond[t], and no later cond."""
    net, x, cond, _ = make({"layers": 2, "cycles": 1, "kernel": 2}, {"cond_channels": 3}, batch=1)
    cond.requires_grad_()
    net(x, cond)[0, :, 30].sum().backward()
    touched = torch.nonzero(cond.grad[0].abs().sum(0)).flatten()
    assert touched.max().item() == 30


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_cached_equals_parallel(shape, condition, dtype, tolerance):
    net, x, cond, speaker = make(shape, condition, dtype=dtype)
    assert x.shape[-1] > 2 * net.receptive_field
    with torch.no_grad():
        want = net(x, cond, speaker)  # (B, P, T)
    cache = CachedWaveNet(net, cond, speaker, batch=2)
    past = shift_right(x)[:, 0].numpy()
    got = np.stack([cache.step(past[:, t]) for t in range(x.shape[-1])], axis=-1)  # (P, B, T)
    scale = max(1.0, want.abs().max().item())
    assert np.abs(got.transpose(1, 0, 2) - want.numpy()).max() < tolerance * scale


@pytest.mark.parametrize("condition", CONDITIONS)
def test_backends_draw_the_same_samples(condition):
    net, _x, cond, speaker = make({"layers": 2, "cycles": 2, "kernel": 2, "taps": 3}, condition)
    for weight in net.parameters():
        weight.data *= 0.3  # a stable process
    draws = [
        generate(net, cond, speaker, 64, backend, torch.Generator().manual_seed(1))
        for backend in ("naive", "numpy")
    ]
    assert torch.allclose(*draws, atol=1e-10)
    assert draws[0].std() > 0


def test_generated_samples_have_the_density_they_were_drawn_from():
    """Standardised by the model's own parameters, generated samples are white and of variance 1."""
    net, *_ = make({"layers": 2, "cycles": 1, "kernel": 2}, {}, batch=1)
    for weight in net.parameters():
        weight.data *= 0.5
    x = generate(net, n_samples=4000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mean, log_scale = net.head.split(net(x))
    z = ((x - mean) / log_scale.exp()).flatten()
    assert abs(z.mean()) < 0.06 and abs(z.std() - 1) < 0.05
    assert abs((z[1:] * z[:-1]).mean()) < 0.06


def test_log_prob_is_the_chain_rule():
    net, x, *_ = make({"layers": 2, "cycles": 1, "kernel": 2}, {}, length=20)
    by_sample = 0.0
    for t in range(20):
        mean, log_scale = net.head.split(net(x[..., : t + 1])[..., -1:])
        normal = torch.distributions.Normal(mean, log_scale.exp())
        by_sample = by_sample + normal.log_prob(x[..., t : t + 1]).sum((1, 2))
    assert torch.allclose(net.log_prob(x), by_sample)


def test_start_at_is_least_squares():
    """On an AR(2) process the start finds its coefficients, its scale, and hence its entropy."""
    rng = np.random.default_rng(0)
    x, noise = np.zeros(60_000), rng.normal(0, 0.1, 60_000)
    for t in range(2, len(x)):
        x[t] = 1.6 * x[t - 1] - 0.8 * x[t - 2] + noise[t]
    net = WaveNet(GaussianHead(), residual=4, skip=4, layers=2, cycles=1, taps=4).double()
    audio = torch.from_numpy(x)[None, None]
    net.start_at(audio)
    assert torch.allclose(net.linear, torch.tensor([1.6, -0.8, 0, 0]).double(), atol=0.02)
    nll = -net.log_prob(audio).item() / len(x)
    assert abs(nll - 0.5 * np.log(2 * np.pi * np.e * 0.1**2)) < 0.01


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda net: net(torch.zeros(1, 50)), r"\(B, 1, T\), not \(1, 50\)"),
        (lambda net: net(torch.zeros(1, 1, 50)), "cond is missing"),
        (lambda net: net(torch.zeros(1, 1, 50), torch.zeros(1, 3, 49)), "upsample"),
        (
            lambda net: net(torch.zeros(1, 1, 9), torch.zeros(1, 3, 9), torch.zeros(1).long()),
            "speaker is given",
        ),
        (lambda net: generate(net), "n_samples"),
        (lambda net: generate(net, torch.zeros(1, 3, 5), backend="fast"), "naive, numpy"),
        (lambda net: generate(net, torch.zeros(1, 3, 5), n_samples=6), "covers 5"),
        (lambda net: WaveNet(GaussianHead(), kernel=1), "kernel >= 2"),
    ],
)
def test_errors_say_what_to_do(call, message):
    net = WaveNet(GaussianHead(), residual=4, skip=4, layers=2, cycles=1, cond_channels=3)
    with pytest.raises(ValueError, match=message):
        call(net)
