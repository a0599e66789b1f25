"""The teacher's objective: its gradient is that of the formula, weights held fixed, the rest of the crop left out."""

import pytest
import torch
from torch import nn

from minigen.conditioning import DIGITS
from minigen.distributions import DiscretizedLogisticMixture, GaussianHead
from minigen.speech.objectives import Likelihood, weighted_mean
from minigen.speech.voice import TeacherVoice
from minigen.wavenet import WaveNet


def make(head, seed=0):
    torch.manual_seed(seed)
    model = TeacherVoice(WaveNet(head, 4, 4, layers=2, cycles=1, cond_channels=8), 4).double()
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.7)
    batch = {
        "audio": 0.2 * torch.randn(3, 1, 160),
        "frames": torch.randn(3, DIGITS.frame_features, 2),
        "phase": torch.randn(3, 6, 160),
    }
    batch = {name: value.double() for name, value in batch.items()}
    return model, batch | {"speaker": torch.tensor([0, 1, 2])}


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "head", [GaussianHead(), DiscretizedLogisticMixture(2)], ids=["normal", "mixture"]
)
def test_gradient_is_that_of_the_formula_with_fixed_weights(head, beta):
    model, batch = make(head)
    loss, metrics = Likelihood(model, beta)(batch)
    got = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    params, known = model(batch), model.wavenet.receptive_field
    nll = -model.wavenet.head.log_density(params, batch["audio"])[:, known:]
    std = model.wavenet.head.moments(params)[1][:, 0, known:].exp().detach()
    weight = std ** (2 * beta)
    want_loss = (weight * nll).sum() / weight.sum()
    want = torch.autograd.grad(want_loss, list(model.parameters()), allow_unused=True)
    assert loss.item() == pytest.approx(want_loss.item(), rel=1e-12)
    for a, b in zip(got, want, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b, rtol=1e-9, atol=1e-12)
    assert metrics["nll"] == pytest.approx(nll.mean().item())
    if beta:  # and it is another one than the plain mean's
        (plain,) = torch.autograd.grad(
            Likelihood(model)(batch)[0], model.wavenet.output_projection.weight
        )
        index = [id(w) for w in model.parameters()].index(
            id(model.wavenet.output_projection.weight)
        )
        assert not torch.allclose(plain, got[index], rtol=0.01)


def test_the_start_of_a_crop_is_context_only():
    model, batch = make(GaussianHead())
    known = model.wavenet.receptive_field
    batch["audio"].requires_grad_()
    loss, _ = Likelihood(model, 0.5)(batch)
    (gradient,) = torch.autograd.grad(loss, batch["audio"])
    assert (gradient[..., known:] != 0).any()
    params = model(batch)
    nll = -model.wavenet.head.log_density(params, batch["audio"])
    assert nll[:, :known].mean().item() != pytest.approx(loss.item())


def test_metrics_are_means_over_what_counts_and_a_network_alone_needs_only_sound():
    model, batch = make(GaussianHead())
    known = model.wavenet.receptive_field
    voiced = torch.arange(160) % 3 == 0  # three pairs of cosine and sine, or silence
    batch["phase"] = voiced * torch.full((3, 6, 160), 0.5**0.5).double()
    nll = -model.wavenet.head.log_density(model(batch), batch["audio"])[:, known:]
    log_std = model.wavenet.head.moments(model(batch))[1][..., known:]
    metrics = Likelihood(model, 0.5)(batch)[1]
    assert metrics["voiced"] == pytest.approx(nll[:, voiced[known:]].mean().item())
    assert metrics["log_scale"] == pytest.approx(log_std.mean().item())
    alone = WaveNet(GaussianHead(), 4, 4, layers=2, cycles=1).double()
    loss, metrics = Likelihood(alone)({"audio": batch["audio"]})
    nll = -alone.head.log_prob(alone(batch["audio"]), batch["audio"])[:, known:].mean().item()
    assert loss.item() == metrics["nll"] == pytest.approx(nll)


def test_weighting_does_not_move_the_optimum():
    """At the true (mean, scale) the expected gradient is zero for every beta."""
    torch.manual_seed(0)
    scale = torch.rand(400_000).double() + 0.1
    x = 0.3 + scale * torch.randn(400_000).double()
    for beta in (0.0, 0.5, 1.0):
        mean = torch.full((), 0.3, dtype=torch.float64, requires_grad=True)
        extra = torch.zeros((), dtype=torch.float64, requires_grad=True)
        log_scale = scale.log() + extra
        nll = 0.5 * ((x - mean) / log_scale.exp()) ** 2 + log_scale
        weighted_mean(nll, log_scale, beta).backward()
        assert abs(mean.grad) < 0.02 and abs(extra.grad) < 0.02


def test_wrong_beta_is_refused():
    with pytest.raises(ValueError, match="beta must be 0 or more, not -1"):
        Likelihood(make(GaussianHead())[0], -1)
