"""Small WaveNets with every head, shape and conditioning, away from their start."""

import pytest
import torch

from minigen.distributions import Categorical, DiscretizedLogisticMixture, GaussianHead
from minigen.wavenet import WaveNet

HEADS = [  # with floors that some log-scales lie under
    pytest.param(GaussianHead(min_log_scale=0.02), id="gaussian"),
    pytest.param(DiscretizedLogisticMixture(3, min_log_scale=0.02), id="mixture"),
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


def make(head, shape, condition, batch=2, length=150, dtype=torch.float64, std=0.3, size=(5, 7)):
    torch.manual_seed(0)
    shape = {**shape, "lpc_order": shape["lpc_order"] * (head.means > 0)}
    net = WaveNet(head, *size, **shape, **condition).to(dtype)
    for weight in net.parameters():  # away from the start, where the output ignores the input
        torch.nn.init.normal_(weight, std=std)
    x = torch.rand(batch, 1, length, dtype=dtype) * 1.8 - 0.9
    cond = torch.randn(batch, 3, length, dtype=dtype) if "cond_channels" in condition else None
    speaker = torch.arange(batch) % 2 if "speakers" in condition else None
    return net, x, cond, speaker
