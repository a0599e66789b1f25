"""The adversarial loss: whose gradient it is, its values, and that a discriminator learns what is too smooth."""

import pytest
import torch

from minigen.speech.adversarial import Discriminator, adversarial_losses


def rough(seed, n=4):
    return torch.randn(n, 32, 40, generator=torch.Generator().manual_seed(seed))


def smooth(seed):
    """Noise of the same deviation, averaged over bands and frames."""
    x = torch.nn.functional.avg_pool2d(rough(seed)[:, None], 3, 1, 1)[:, 0]
    return x / x.std()


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Discriminator(channels=8)


def test_each_loss_reaches_its_own_side_alone(net):
    x, y = rough(0).requires_grad_(), rough(1)
    predict, own = adversarial_losses(net, x, y)
    predict.backward()
    assert x.grad.abs().max() > 0 and all(w.grad is None for w in net.parameters())
    x.grad = None
    own.backward()
    assert x.grad is None and all(w.grad.abs().max() > 0 for w in net.parameters())


def test_an_answer_rests_on_17_frames_and_61_bands(net):
    x = torch.randn(1, 128, 60, generator=torch.Generator().manual_seed(0)).requires_grad_()
    net(x)[0, 0, 8, 30].backward()
    bands, frames = (x.grad[0].abs().sum(side).nonzero().flatten() for side in (1, 0))
    assert frames.tolist() == list(range(22, 39)) and len(bands) == 61


@pytest.mark.parametrize(("answer", "losses"), [(0.5, (0.25, 0.5)), (1.0, (0, 1)), (0, (1, 1))])
def test_a_discriminator_that_gives_one_answer(net, answer, losses):
    torch.nn.init.zeros_(net.output_projection.parametrizations.weight.original0)  # its length
    torch.nn.init.constant_(net.output_projection.bias, answer)
    assert [v.item() for v in adversarial_losses(net, rough(0), rough(1))] == pytest.approx(losses)


def test_it_learns_what_is_too_smooth_and_its_gradient_points_away(net):
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for step in range(40):
        optimizer.zero_grad()
        adversarial_losses(net, smooth(step), rough(step + 100))[1].backward()
        optimizer.step()
    x = smooth(1000).requires_grad_()
    predict, own = adversarial_losses(net, x, rough(1001))
    assert own < 0.2 and predict > 0.6  # both ½ and ¼ where it cannot tell
    predict.backward()
    nearer = (x - 3 * x.grad / x.grad.norm()).detach()
    assert adversarial_losses(net, nearer, rough(1001))[0] < predict
