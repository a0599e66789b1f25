"""The step on a device: recorded on a GPU, as ordinary PyTorch on a CPU."""

import pytest
import torch
from waves import HEADS, SHAPES, make

from minigen.distributions import GaussianHead
from minigen.generate import generate
from minigen.generate.cuda import DeviceWaveNet


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


@torch.no_grad()
def test_rewinding_forgets_the_samples_before():
    net, x, *_ = make(GaussianHead(), SHAPES[0].values[0], {})
    noise = torch.randn(x.shape[0], 1, 20, generator=torch.Generator().manual_seed(0)).to(x)
    device = DeviceWaveNet(net, x[..., :20], None, None, noise, 1.0)
    runs = []
    for _ in range(2):
        for _ in range(20):
            device.step()
        runs.append(device.wave.clone())
        device.rewind()
    assert torch.equal(*runs) and runs[0].std() > 0 and not device.wave.any()
    cool, quiet = (
        DeviceWaveNet(net, x[..., :20], None, None, scale * noise, temperature)
        for scale, temperature in ((1.0, 0.5), (0.5, 1.0))
    )
    for _ in range(20):
        cool.step(), quiet.step()
    assert torch.allclose(cool.wave, quiet.wave) and not torch.allclose(cool.wave, runs[0])
