"""The checks of project D: the solution passes, blanks fail, wrong answers are named."""

import math

import pytest
import torch
from exercise_checks import ExerciseChecks, changed
from torch import nn

from minigen import flows, made
from minigen.checks import project_maf_iaf as checks
from minigen.checks.exercises import reference

NUMBERS = {"masked_network": "D.1", "both_ways": "D.2", "learned": "D.3"}
SOLUTIONS = {name: reference(number) for name, number in NUMBERS.items()}
(NETWORK,) = SOLUTIONS["masked_network"]
ONE_PASS, IN_STEPS, LOG_PROB, SAMPLE = SOLUTIONS["both_ways"]


def but(name, *changes):
    return changed(NUMBERS[name], *changes)


def masks(old, new):
    return but("masked_network", (old, new))


def ways(*changes):
    return but("both_ways", *changes)


def trained_once(train):
    """The check trains on the same frames each time."""
    made = []

    def train_once(frames):
        made[:] = made or [train(frames)]
        return made[0]

    return train_once


def train(*changes):
    return but("learned", *changes)


# Trained with other luck than the book's answer, which pytest trains where it runs the notebook again.
TRAIN, *REST = train(("manual_seed(0)", "manual_seed(1)"))
SOLUTIONS["learned"] = trained_once(TRAIN), *REST


def briefly(*changes):
    """With a quarter of the steps, for what shows early."""
    return train(("128, 800, 1e-2", "128, 200, 1e-2"), *changes)


def twice(net, v):
    """Right, but at twice the cost."""
    m, s = net(v)[0], net(v)[1]
    return (v - m) * torch.exp(-s), -s.sum(-1)


def until_it_rests(net, u):
    """Right in the end: all columns again and again, more often than is needed."""
    v = torch.zeros_like(u)
    for _ in range(3 * u.shape[-1]):
        m, s = net(v)
        v = m + s.exp() * u
    return v, net(v)[1].sum(-1)


def density_by_inverting(net, noise, kind):
    """A sample, and then its density from the start."""
    x, _ = SAMPLE(net, noise, kind)
    return x, LOG_PROB(net, x, kind)


def linear(weights, x):
    """No hidden layer is bent."""
    return checks._variant(weights, x, relu=lambda h: h)


def per_column(weights, x):
    """Right, in another style: one column of m and s after the other, by what it may see."""
    D = x.shape[-1]
    m, s = [], []
    for t in range(D):
        h, degrees = torch.cat([x[:, :t], 0 * x[:, t:]], -1), torch.arange(1, D + 1)
        for W, b in weights[:-1]:
            above = torch.div(torch.arange(len(b)) * (D - 1), len(b), rounding_mode="floor") + 1
            mask = torch.where(degrees[None] > above[:, None], 0, 1)
            h, degrees = (h @ (W * mask).T + b).clamp(min=0), above
        W, b = weights[-1]
        h = h * (degrees <= t)
        m.append(h @ W[t] + b[t])
        s.append(h @ W[D + t] + b[D + t])
    return [torch.stack(m, -1), torch.stack(s, -1)]


def all_columns(net, u):
    """Right, in another style: D passes, each of which settles one more column of all."""
    v = torch.zeros_like(u)
    for _ in range(u.shape[-1]):
        m, s = net(v)
        v = m + s.exp() * u
    return v, s.sum(-1)


def two_layers(frames):
    """Right, in another style: modules, two hidden layers, another optimiser's settings."""
    torch.manual_seed(5)  # this function's own affair
    D = frames.shape[-1]
    layers = [nn.Linear(D, 96), nn.Linear(96, 96), nn.Linear(96, 2 * D)]
    nn.init.zeros_(layers[-1].weight)
    pairs = [(layer.weight, layer.bias) for layer in layers]
    optimizer = torch.optim.AdamW([w for pair in pairs for w in pair], 5e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, 900)
    for step in range(900):
        x = frames[(step * 256) % len(frames) :][:256]
        loss = -LOG_PROB(lambda v: NETWORK(pairs, v), x, "maf").mean() / D
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return tuple((w.data, b.data) for w, b in pairs)


def gaussian(frames):
    """The best linear predictor of all that came before, with one scale for each place: no hidden layer learns."""
    D, weights = frames.shape[-1], [(torch.zeros(2, 32), torch.zeros(2))]
    return [*weights, (torch.zeros(2 * D, 2), torch.cat([frames.mean(0), frames.std(0).log()]))]


STEPS = "v[:, t] = m[:, t] + torch.exp(s[:, t]) * u[:, t]"
MISTAKES = [
    ("masked_network", masks("W * (above[:, None] > below)", "W"), "last layer has no mask"),
    ("masked_network", (lambda w, x: checks._variant(w, x, first=lambda a, b: a > -b, last=lambda a, b: a > -b),), "no mask"),
    ("masked_network", masks("above[:, None] > below", "above[:, None] >= below"), "sees x_t itself"),
    ("masked_network", masks("above[:, None] >= below", "above[:, None] > below"), "may see degree d"),
    ("masked_network", (linear,), "ReLU is missing"),
    ("masked_network", masks("torch.arange(len(b)) * (D - 1) // len(b)", "torch.arange(len(b)) % (D - 1)"), "dealt out in turn"),
    ("masked_network", masks(".repeat(2)", ".repeat_interleave(2)"), "all m first"),
    ("masked_network", (lambda w, x: checks._variant(w, x, first=lambda a, b: a <= b, last=lambda a, b: a < b),), "turned round"),
    ("masked_network", (lambda w, x: NETWORK(w, x)[::-1],), "exchanged"),
    ("masked_network", (lambda w, x: torch.stack(NETWORK(w, x), -1),), "return"),
    ("masked_network", masks("W * (above[:, None] >= below)", "(W * (above[:, None] >= below)).detach()"), "no gradient reaches"),
    ("masked_network", masks("        below = above\n", ""), "raised|m:|s:"),
    ("both_ways", ways(("(v - m) * torch.exp(-s), -s", "v * torch.exp(s) + m, -s")), "other direction"),
    ("both_ways", ways(("torch.exp(-s), -s", "torch.exp(s), -s")), "one divides"),
    ("both_ways", ways(("-s.sum(-1)", "s.sum(-1)")), "sign"),
    ("both_ways", ways(("-s.sum(-1)", "-s")), "one for each column"),
    ("both_ways", ways(("-s.sum(-1)", "-s.sum()")), "batch"),
    ("both_ways", ways(("-s.sum(-1)", "-s.mean(-1)")), "averaged"),
    ("both_ways", ways(("m, s = net(v)  # column t", "m, s = net(u)  # column t")), "fed u"),
    ("both_ways", (ONE_PASS, lambda net, u: (net(0 * u)[0] + net(0 * u)[1].exp() * u, net(0 * u)[1].sum(-1)), LOG_PROB, SAMPLE), "from zeros"),
    ("both_ways", ways(("return v, s.sum", "return v, -s.sum")), "sign"),
    ("both_ways", (twice, IN_STEPS, LOG_PROB, SAMPLE), "takes 2 passes"),
    ("both_ways", (ONE_PASS, until_it_rests, LOG_PROB, SAMPLE), "one for each column is enough"),
    ("both_ways", (ONE_PASS, IN_STEPS, LOG_PROB, density_by_inverting), "takes"),
    ("both_ways", ways(('(one_pass if kind == "maf" else in_steps)', '(in_steps if kind == "maf" else one_pass)')), "other reading"),
    ("both_ways", ways(('(in_steps if kind == "maf" else one_pass)', '(one_pass if kind == "maf" else in_steps)')), "other reading"),
    ("both_ways", ways((".sum(-1) + log_det", ".sum(-1)")), "log-determinant is missing"),
    ("both_ways", ways((".sum(-1) + log_det", ".sum(-1) - log_det")), "wrong sign"),
    ("both_ways", ways((" - 0.5 * math.log(2 * math.pi)).sum(-1) + log_det", ").sum(-1) + log_det")), "½ log 2π"),
    ("both_ways", ways((".sum(-1) - log_det", ".sum(-1)")), "density of the noise"),
    ("both_ways", ways((".sum(-1) - log_det", ".sum(-1) + log_det")), "the sign of"),
    ("both_ways", (ONE_PASS, IN_STEPS, lambda n, x, kind: LOG_PROB(n, x, "maf"), SAMPLE), "other reading"),
    ("learned", train(("steps, rate = frames.shape[-1], 128, 800, 1e-2", "steps, rate = frames.shape[-1], 128, 0, 1e-2")), "hardly trained"),
    ("learned", train(("128, 800, 1e-2", "128, 30, 1e-2")), "nats per sample more"),
    ("learned", train(("128, 800, 1e-2", "128, 300, 1e-4")), "nats per sample more"),
    ("learned", train(("128, 800, 1e-2", "2, 800, 1e-2")), "nats per sample more"),
    ("learned", briefly(("        optimizer.step()", "        pass")), "hardly trained"),
    ("learned", briefly(("loss = -log_prob", "loss = log_prob")), "hardly trained|diverged"),
    ("learned", briefly(("W = torch.randn(H, D, generator=generator) * (2 / D) ** 0.5", "W = torch.zeros(H, D)")), "a hidden layer that learns|hardly|more steps"),
    ("learned", briefly(('x, "maf"', '0.5 * x, "maf"')), "scales are wrong|hardly"),
    ("learned", (gaussian, *SOLUTIONS["learned"][1:]), "hardly trained"),
    ("learned", (lambda frames: [1], *SOLUTIONS["learned"][1:]), "list of .W, b."),
    ("learned", (lambda frames: [(torch.zeros(4, 32), torch.zeros(4)), (torch.zeros(32, 4), torch.zeros(32))], *SOLUTIONS["learned"][1:]), "need 64"),
    ("learned", (SOLUTIONS["learned"][0], linear, *SOLUTIONS["learned"][2:]), "your own log p"),
    ("learned", (*SOLUTIONS["learned"][:3], lambda net, z, kind: (z, z.sum(-1))), "not what this noise"),
    ("learned", (*SOLUTIONS["learned"][:3], lambda net, z, kind: SAMPLE(net, 0.3 * z, kind)), "a sample as MAF"),
    ("learned", (*SOLUTIONS["learned"][:3], lambda net, z, kind: SAMPLE(net, z, "maf")), "a sample as IAF"),
]  # fmt: skip


class TestProjectD(ExerciseChecks):
    chapter = "D"
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES


def test_other_styles_are_right():
    checks.masked_network(per_column)
    checks.both_ways(ONE_PASS, all_columns, LOG_PROB, SAMPLE)
    checks.learned(two_layers, *SOLUTIONS["learned"][1:])


@pytest.mark.parametrize("owner, name", [(made, "MaskedMLP"), (flows, "MAF")])
def test_the_librarys_own_layers_may_not_be_built(owner, name):
    def build(weights, x):
        return getattr(owner, name)(3, 2)

    with pytest.raises(checks.CheckFailed, match="do without"):
        checks.masked_network(build)


def test_the_process_is_its_density():
    """Its noise is white and its log-determinant autograd's."""
    z = torch.randn(3, checks.DIM, generator=torch.Generator().manual_seed(0)).double()
    x = checks.process(3, 0, z)
    J = torch.autograd.functional.jacobian(lambda v: checks.process(1, 0, v[None])[0], z[0])
    want = torch.distributions.Normal(0, 1).log_prob(z[0]).sum() - torch.linalg.slogdet(J)[1]
    assert math.isclose(checks.true_log_prob(x)[0], want, rel_tol=1e-6)
