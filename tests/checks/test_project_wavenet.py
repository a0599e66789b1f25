"""The checks of project B: the solution passes, blanks fail, wrong answers are named."""

import pytest
import torch
from exercise_checks import ExerciseChecks, changed

from minigen.checks import project_wavenet as checks
from minigen.checks.exercises import reference
from minigen.wavenet import WaveNet

NUMBERS = {"same_network": "B.1", "to_the_entropy": "B.2", "cached": "B.3"}


def but(name, old, new):
    return changed(NUMBERS[name], (old, new))


def forward(old, new):
    return but("same_network", old, new)


def train(old, new):
    return but("to_the_entropy", old, new)


def sample(old, new):
    return but("cached", old, new)


def again_and_again(weights, dilations, noise):
    """Without a cache: a whole pass for every sample."""
    (network,) = reference("B.1")
    x = torch.zeros_like(noise)
    for t in range(noise.shape[-1]):
        mean, log_scale = network(weights, x[..., : t + 1], dilations)[..., t].chunk(2, 1)
        x[..., t] = mean + log_scale.exp() * noise[..., t]
    return x


def last_window(weights, dilations, noise):
    """A pass over what the network sees, for every sample: the cost does not grow, but it is high."""
    (network,) = reference("B.1")
    r = 1 + 2 * sum(dilations)  # enough for the zeros before the start to make no difference
    x = torch.zeros_like(noise)
    for t in range(noise.shape[-1]):
        part = x[..., max(0, t - r) : t + 1]
        mean, log_scale = network(weights, part, dilations)[..., -1].chunk(2, 1)
        x[..., t] = mean + log_scale.exp() * noise[..., t]
    return x


def shifted(weights, dilations, noise):
    """Right, in another style: queues, convolution by einsum."""
    w = weights
    queues = [
        [noise.new_zeros(len(noise), w["input_projection.bias"].numel())] * d for d in dilations
    ]
    last, made = noise.new_zeros(len(noise), 1), []
    linear = torch.nn.functional.linear
    for t in range(noise.shape[-1]):
        h, acts = linear(last, w["input_projection.weight"], w["input_projection.bias"]), []
        for n, queue in enumerate(queues):
            both = torch.stack([queue.pop(0), h], -1)
            queue.append(h)
            z = torch.einsum("bck,ock->bo", both, w[f"layers.{n}.conv.weight"])
            f, g = (z + w[f"layers.{n}.conv.bias"]).chunk(2, 1)
            acts.append(f.tanh() * g.sigmoid())
            if n + 1 < len(queues):
                name = f"layers.{n}.residual"
                h = (h + linear(acts[-1], w[f"{name}.weight"][..., 0], w[f"{name}.bias"])) / 2**0.5
        s = torch.cat(acts, 1)
        for name in ("skip", "hidden"):
            s = linear(s, w[f"{name}.weight"][..., 0], w[f"{name}.bias"]).relu()
        p = linear(s, w["output_projection.weight"][..., 0], w["output_projection.bias"])
        last = p[:, :1] + p[:, 1:].exp() * noise[:, :, t]
        made.append(last)
    return torch.stack(made, -1)


ACTIVATION = "torch.tanh(f) * torch.sigmoid(g)"


MISTAKES = [
    ("same_network", forward("F.pad(x, (1, 0))[..., :-1]", "x"), "see x.t. itself"),
    ("same_network", forward("F.pad(x, (1, 0))[..., :-1]", "F.pad(x, (2, 0))[..., :-2]"), "twice"),
    ("same_network", forward(" / math.sqrt(2)", ""), "not divided by √2"),
    ("same_network", forward("(past, 0)", "(0, past)"), "on the right"),
    ("same_network", forward(ACTIVATION, "torch.tanh(g) * torch.sigmoid(f)"), "exchanged"),
    ("same_network", forward("(h + mix", "(0 * h + mix"), "output.*: "),
    ("same_network", forward("F.relu(mix(torch.cat", "(mix(torch.cat"), "first ReLU"),
    ("same_network", forward('F.relu(mix(s, "hidden"))', 'mix(s, "hidden")'), "second ReLU"),
    ("same_network", forward("torch.cat(activations, dim=1)", "sum(activations)"), "RuntimeError"),
    ("same_network", forward("dilation=d", "dilation=1"), "shape|RuntimeError"),
    ("same_network", forward("f, g = mix(h,", "f, g = mix(h.detach(),"), "no gradient reaches"),
    ("to_the_entropy", train("range(250)", "range(0)"), "hardly trained"),
    ("to_the_entropy", train("range(250)", "range(25)"), "more than the entropy"),
    ("to_the_entropy", train("(x - mean)", "(x[..., :-1] - mean[..., 1:])"), "nats|raised"),
    ("to_the_entropy", train(" + log_scale  #", " + 0.5 * log_scale  #"), "claims a scale|errors"),
    ("to_the_entropy", train("rate = 16, 16, len(dilations), 1e-2", "rate = 16, 16, len(dilations), 3.0"), "nats"),
    ("to_the_entropy", train("        optimizer.step()", "        pass"), "hardly trained"),
    ("to_the_entropy", lambda series, dilations: [1], "library's names"),
    ("cached", again_and_again, "computed again"),
    ("cached", last_window, "computed again"),
    ("cached", sample("            cache[n][slot] = h  # input t, over input t - d", "            pass"), "right up to sample"),
    ("cached", sample("t % d\n", "0\n"), "right up to sample"),
    ("cached", sample("log_scale.exp() * ", ""), "wrong"),
    ("cached", sample("noise[:, :, t]", "0 * noise[:, :, t]"), "wrong|means"),
    ("cached", sample('.conv", 0) + mix(h, f"{name}.conv")', '.conv") + mix(h, f"{name}.conv", 0)'), "wrong"),
    ("cached", sample("x[:, :, t - 1]", "x[:, :, t - 2]"), "right up to sample"),
    ("cached", sample(" / math.sqrt(2)", ""), "wrong"),
]  # fmt: skip
SOLUTIONS = {name: reference(number) for name, number in NUMBERS.items()}
# Trained with other luck than the book's answer, which pytest trains where it runs the notebook again.
SOLUTIONS["to_the_entropy"] = train("manual_seed(0)", "manual_seed(1)")


class TestProjectB(ExerciseChecks):
    chapter = "B"
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES


def test_another_style_is_right():
    checks.cached(shifted)


def test_the_training_passes_with_other_luck():
    checks.to_the_entropy(train("manual_seed(0)", "manual_seed(2)"))


def test_the_librarys_own_network_may_not_be_built():
    def build(weights, x, dilations):
        return WaveNet(None)

    with pytest.raises(checks.CheckFailed, match="do without"):
        checks.same_network(build)
