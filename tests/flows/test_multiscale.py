"""Multi-scale flows: squeezing, normalisation, learning."""

import pytest
import torch
from flow_families import check_normalised, points
from torch import nn

from minigen.flows import ConvCoupling, MultiScale, WaveformFlow, initialise
from minigen.flows.multiscale import squeeze, unsqueeze


@pytest.mark.parametrize(
    "transform",
    [ConvCoupling(2, 1, 6), MultiScale(2, 1, 2, 6)],
    ids=["coupling", "multi-scale"],
)
def test_convolutional_flows_are_normalised(transform):
    generator = torch.Generator().manual_seed(0)
    for weight in transform.double().parameters():
        nn.init.normal_(weight, std=0.4, generator=generator)
    check_normalised(transform)


def test_a_coupling_scales_within_its_bound():
    """The largest log-det is the bound, once for each value that changes."""
    coupling = ConvCoupling(4, 3, 6, bound=0.5)
    coupling.net[-1].bias.data.fill_(1e4)
    log_det = coupling(torch.zeros(2, 12))[1]
    assert torch.allclose(log_det, torch.full((2,), -0.5 * 2 * 3))


def test_squeeze_takes_neighbours_together_and_comes_back():
    wave = torch.arange(16.0).reshape(1, 2, 8)
    assert squeeze(wave)[0, :2, 0].tolist() == [0, 1]
    assert torch.equal(unsqueeze(squeeze(wave)), wave)


def test_it_learns_and_coarse_noise_alone_moves_most_of_a_frame():
    flow = WaveformFlow(32, 3, 1, 8)
    data = 2 + points(64, flow.base.dim, dtype=torch.float32).cumsum(-1)
    initialise(flow, data)
    optimizer = torch.optim.Adam(flow.parameters(), 1e-2)
    curve = []
    for _ in range(30):
        loss = -flow.log_prob(data).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    assert curve[-1] < curve[0] - 1
    z = torch.zeros(2, flow.base.dim)
    z[1, -flow.base.dim // 8 :] = 2.0
    x = flow.transform.inverse(z)[0]
    assert (x[0] != x[1]).float().mean() > 0.5


def test_each_level_begins_with_a_rotation_of_its_own():
    flow = MultiScale(16, levels=3, steps=1, hidden=4)
    starts = [block[0][1](torch.eye(2))[0] for block in flow.blocks]
    assert not torch.equal(starts[0], starts[1]) and not torch.equal(starts[1], starts[2])
