"""WaveNet: causal by gradient, receptive field exact, upsampling, training to a known floor."""

import numpy as np
import pytest
import torch

from minigen.distributions import Categorical, DiscretizedLogisticMixture, GaussianHead
from minigen.wavenet import Upsample, WaveNet

SHAPES = [
    pytest.param({"layers": 3, "cycles": 2, "kernel": 2}, id="kernel2"),
    pytest.param({"layers": 2, "cycles": 2, "kernel": 3}, id="kernel3"),
    pytest.param(
        {"layers": 3, "cycles": 1, "kernel": 2, "lpc_order": 12}, id="linear-longer-than-net"
    ),
    pytest.param(
        {"layers": 3, "cycles": 1, "kernel": 3, "lpc_order": 4, "input_scale": 5.0},
        id="linear-and-gain",
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
    net = WaveNet(GaussianHead(min_log_scale=-9.0), residual=5, skip=24, **shape, **condition).to(
        dtype
    )
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


def test_log_prob_is_the_chain_rule():
    net, x, *_ = make({"layers": 2, "cycles": 1, "kernel": 2}, {}, length=20)
    by_sample = 0.0
    for t in range(20):
        mean, log_scale = net.head.split(net(x[..., : t + 1])[..., -1:])
        normal = torch.distributions.Normal(mean, log_scale.exp())
        by_sample = by_sample + normal.log_prob(x[..., t : t + 1]).sum((1, 2))
    assert torch.allclose(net.log_prob(x), by_sample)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_pass_is_the_formula(condition):
    """Written out, sample by sample, from the weights: gates, residuals, skips, embedding, prediction."""
    shape = {"layers": 2, "cycles": 2, "kernel": 3, "lpc_order": 2, "input_scale": 3.0}
    net, x, cond, speaker = make(shape, condition, length=30)
    got, w = net(x, cond, speaker), dict(net.named_parameters())
    past = torch.cat([torch.zeros(2, 1, 1).double(), x[..., :-1]], -1)
    h = w["input_projection.weight"] @ (3 * past) + w["input_projection.bias"][:, None]
    if speaker is not None:
        embedded = w["speaker_embedding.weight"][speaker][..., None]
        h, cond = (h + embedded, None) if cond is None else (h, cond + embedded)
    seen = []
    for index, d in enumerate((1, 2, 1, 2)):
        own = {k.split(".", 2)[2]: v for k, v in w.items() if k.startswith(f"layers.{index}.")}
        z = own["conv.bias"][:, None].expand(2, -1, 30).clone()
        for tap in range(3):  # the last is the present
            late = (2 - tap) * d
            z[..., late:] += own["conv.weight"][..., tap] @ h[..., : 30 - late]
        if cond is not None:
            z = z + own["cond.weight"][..., 0] @ cond
        seen.append(torch.tanh(z[:, :5]) / (1 + torch.exp(-z[:, 5:])))
        if index < 3:
            more = own["residual.weight"][..., 0] @ seen[-1] + own["residual.bias"][:, None]
            h = (h + more) / 2**0.5
    out = torch.cat(seen, 1)
    for name in ("skip", "hidden", "output_projection"):
        out = w[f"{name}.weight"][..., 0] @ out + w[f"{name}.bias"][:, None]
        out = out if name == "output_projection" else out.clamp(min=0)
    out[:, 0] += w["linear"][0] * past[:, 0]
    out[:, 0, 1:] += w["linear"][1] * past[:, 0, :-1]
    assert torch.allclose(got, out, atol=1e-10)


def test_init_from_data_is_least_squares():
    """On an AR(2) process the start finds its coefficients, its scale, and hence its entropy."""
    rng = np.random.default_rng(0)
    x, noise = np.zeros(60_000), rng.normal(0, 0.1, 60_000)
    for t in range(2, len(x)):
        x[t] = 1.6 * x[t - 1] - 0.8 * x[t - 2] + noise[t]
    net = WaveNet(GaussianHead(), residual=4, skip=4, layers=2, cycles=1, lpc_order=4).double()
    audio = torch.from_numpy(x)[None, None]
    net.init_from_data(audio)
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
        (lambda net: net(torch.zeros(1, 1, 9).long()), "floats, not torch.int64"),
        (lambda net: net([0.0]), "floats, not .*list"),
        (lambda net: net(torch.zeros(1, 1, 0)), r"not \(1, 1, 0\)"),
        (lambda net: net(torch.zeros(1, 2, 9), torch.zeros(1, 3, 9)), r"not \(1, 2, 9\)"),
        (
            lambda net: WaveNet(GaussianHead(), 4, 4, 2, 1)(*torch.zeros(2, 1, 1, 9)),
            "cond_channels=0, but cond is given",
        ),
        (
            lambda net: WaveNet(GaussianHead(), 4, 4, 2, 1, speakers=2)(torch.zeros(1, 1, 9)),
            "2 speakers, but speaker is missing",
        ),
        (lambda net: WaveNet(GaussianHead(), layers=0), "layers=0"),
        (lambda net: WaveNet(GaussianHead(), speakers=-1), "speakers=-1"),
        (lambda net: Upsample((2, 0)), "at least 1, not"),
        (lambda net: WaveNet(Categorical(16), lpc_order=4), "a mean, and Categorical has none"),
        (lambda net: Upsample(()), "at least 1"),
        (lambda net: Upsample((2,))(torch.zeros(3, 4)), r"\(B, F, N\)"),
        (lambda net: WaveNet(GaussianHead(), kernel=1), "kernel=1 below 2"),
    ],
)
def test_errors_say_what_to_do(call, message):
    net = WaveNet(GaussianHead(), residual=4, skip=4, layers=2, cycles=1, cond_channels=3)
    with pytest.raises((TypeError, ValueError), match=message):
        call(net)


HEADS = [
    pytest.param(GaussianHead(-9.0), {"lpc_order": 3}, id="gaussian"),
    pytest.param(DiscretizedLogisticMixture(3), {"lpc_order": 3}, id="mixture"),
    pytest.param(Categorical(16), {}, id="mu-law"),
]


@pytest.mark.parametrize("head, more", HEADS)
@pytest.mark.parametrize("kernel", [2, 3])
def test_every_head_is_causal(head, more, kernel):
    """d params[t] / d x[t'] is exactly 0 for t' >= t, and not 0 at both ends of the receptive field."""
    torch.manual_seed(0)
    net = WaveNet(head, residual=5, skip=24, layers=2, cycles=2, kernel=kernel, **more).double()
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    x = (torch.rand(1, 1, 64).double() * 1.8 - 0.9).requires_grad_()
    net(x)[0, :, 50].abs().sum().backward()
    touched = torch.nonzero(x.grad[0, 0]).flatten()
    assert (touched.min().item(), touched.max().item()) == (50 - net.receptive_field, 49)


def test_first_sample_knows_nothing():
    """params[0] is a constant; the receptive field near the start is what there is."""
    net, x, *_ = make(SHAPES[0].values[0], {}, batch=2)
    params = net(x)
    assert torch.equal(params[0, :, 0], params[1, :, 0])
    assert not torch.equal(params[0, :, 1], params[1, :, 1])


@pytest.mark.parametrize("head, more", HEADS[1:])
def test_linear_prediction_moves_the_means_only(head, more):
    net = WaveNet(head, residual=4, skip=4, layers=2, cycles=1, **more)
    x = torch.rand(1, 1, 20) - 0.5
    before = net(x)
    if net.linear is None:
        return
    with torch.no_grad():
        net.linear.copy_(torch.tensor([2.0, 0.0, 0.0]))
    moved = net(x) - before
    assert torch.allclose(moved[0, : head.k, 1:], 2 * x[0, :, :-1].expand(head.k, -1))
    assert (moved[0, head.k :] == 0).all()


def test_network_reads_the_mu_law_scale():
    """What enters the first layer is y, not x."""
    net = WaveNet(Categorical(256), residual=4, skip=4, layers=1, cycles=1)
    seen = []
    net.input_projection.register_forward_hook(
        lambda module, inputs, output: seen.append(inputs[0])
    )
    net(torch.tensor([[[0.01, 0.0]]]))
    y = np.log1p(2.55) / np.log1p(255)
    assert torch.allclose(seen[0][0, :, 0], torch.tensor([0.0, y]).float())


# ---------------------------------------------------------------- upsampling


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("factors", [(5,), (4, 2), (10, 8)])
def test_constant_frames_stay_constant_whatever_is_learned(factors, learned):
    """The checkerboard test: no pattern at the rate of frames, at the ends neither."""
    torch.manual_seed(0)
    up = Upsample(factors, learned).double()
    for weight in up.parameters():
        torch.nn.init.normal_(weight)
    out = up(torch.tensor([0.7, -1.3]).double().view(1, 2, 1).expand(1, 2, 6))
    assert out.shape == (1, 2, 6 * up.hop)
    assert torch.allclose(out, out[..., :1].expand_as(out), atol=1e-9 * out.abs().max().item())


def test_a_transposed_convolution_fails_the_checkerboard_test():
    """The test can fail: kernel 5, stride 3 overlaps unevenly."""
    up = torch.nn.ConvTranspose1d(1, 1, 5, stride=3, bias=False).double()
    torch.manual_seed(0)
    torch.nn.init.uniform_(up.weight, 0.1, 1)
    middle = up(torch.ones(1, 1, 10).double())[..., 6:-6]
    assert middle.std() > 0.05 * middle.mean()


@pytest.mark.parametrize("factors", [(5,), (8,), (10, 8)])
def test_upsampling_starts_as_linear_interpolation(factors):
    up = Upsample(factors).double()
    ramp = torch.arange(12).double().view(1, 1, 12)
    out = up(ramp)[0, 0].detach()
    centre = (torch.arange(len(out)) + 0.5) / up.hop - 0.5  # frames: sample t lies in frame t / hop
    inside = (centre > 1) & (centre < 10)
    assert torch.allclose(out[inside], centre[inside].double(), atol=1e-9)
    repeated = Upsample(factors, learned=False)(ramp)[0, 0]
    assert torch.equal(repeated, torch.arange(12).repeat_interleave(up.hop).double())


def test_upsampling_learns():
    up = Upsample((4, 2))
    up(torch.randn(2, 3, 7)).square().sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in up.parameters())


# ---------------------------------------------------------------- starts and a known floor


@pytest.mark.parametrize("head, more", HEADS)
def test_init_from_data_suits_every_head(head, more):
    """On an AR(1) process the start is near its entropy, or where nothing is linear its histogram's."""
    rng = np.random.default_rng(0)
    x, noise = np.zeros(20_000), rng.normal(0, 0.02, 20_000)
    for t in range(1, len(x)):
        x[t] = 0.9 * x[t - 1] + noise[t]
    x = torch.from_numpy(x)[None, None]
    net = WaveNet(head, residual=4, skip=4, layers=2, cycles=1, **more).double()
    net.init_from_data(x)
    nll = -net.head.log_density(net(x), x).mean().item()
    scale = 0.02 if more else x.std().item()
    floor = 0.5 * np.log(2 * np.pi * np.e * scale**2)
    assert floor - 0.02 < nll < floor + 0.25


def test_training_reaches_the_entropy_of_an_ar2_process():
    """From zero, without a linear path: within 0.01 nats a sample of ½ log 2πeσ², on fresh data."""
    generator, sigma = torch.Generator().manual_seed(0), 0.1
    noise = sigma * torch.randn(64, 1700, generator=generator)
    x = torch.zeros(64, 1700)
    for t in range(2, 1700):
        x[:, t] = 1.6 * x[:, t - 1] - 0.8 * x[:, t - 2] + noise[:, t]
    x, fresh = x[:48, None, 200:], x[48:, None, 200:]
    torch.manual_seed(0)
    net = WaveNet(GaussianHead(), residual=16, skip=16, layers=3, cycles=1, input_scale=2.0)
    untrained = net(fresh)
    assert torch.equal(untrained, net.head.initial().view(1, 2, 1).expand_as(untrained))
    steps = 160
    optimizer = torch.optim.Adam(net.parameters(), 2e-2)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        row, first = step * 8 % 48, 250 * (step // 6 % 6)
        part = x[row : row + 8, :, first : first + 250]
        loss = -net.head.log_prob(net(part), part)[:, 8:].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        cosine.step()
    with torch.no_grad():
        nll = -net.head.log_prob(net(fresh), fresh)[:, 8:].mean().item()
    surprise = noise[48:, 208:].square().mean().item() / sigma**2  # of just this noise, about 1
    floor = 0.5 * (np.log(2 * np.pi * sigma**2) + surprise)
    assert -0.001 < nll - floor < 0.01


def test_a_repr_says_what_is_inside():
    net = WaveNet(GaussianHead(-9.0), 8, 16, layers=4, cycles=2, kernel=3, lpc_order=5)
    assert repr(net) == (
        "WaveNet(GaussianHead(min_log_scale=-9.0), residual=8, skip=16, kernel=3, "
        "dilations=1 … 8, cycles=2, lpc_order=5, receptive_field=61)"
    )
    assert "dilations=1 … 1, cycles=3" in repr(WaveNet(Categorical(16), layers=1, cycles=3))
