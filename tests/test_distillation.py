"""The student's objective: its gradient is the formula's, its parts are what they say, its teacher stays as it is."""

import math
from types import SimpleNamespace

import pytest
import torch
from test_parallel_wavenet import make_student
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from minigen.distillation import DistillationLoss, DivergenceMonitor, _generator
from minigen.distributions import LOGISTIC_STD, DiscretizedLogisticMixture, GaussianHead
from minigen.parallel_wavenet import BASES, Student, conditional_kl
from minigen.wavenet import WaveNet


class Holder(nn.Module):
    """What DistillationLoss calls a model: a student and its conditioning."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def conditioning(self, batch):
        return None


def make_teacher(coefficients=(1.2, -0.5), log_scale=-2.0, k=0) -> WaveNet:
    """An AR(2) process with Gaussian errors, or with those of a mixture of k equal logistics."""
    head = DiscretizedLogisticMixture(k, min_log_scale=-9.0) if k else GaussianHead(-9.0)
    net = WaveNet(head, 4, 4, layers=2, cycles=1, lpc_order=len(coefficients)).double()
    with torch.no_grad():
        net.linear.copy_(torch.tensor(coefficients))
        net.output_projection.bias[max(1, k) : max(2, 2 * k)] = log_scale
    return net


def batch(length=600, size=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(size, 1, length, generator=generator, dtype=torch.float64)
    return {"noise": noise, "audio": 0.1 * noise.roll(1, 0)}


@pytest.mark.parametrize("k, base", [(0, "gaussian"), (0, "logistic"), (2, "logistic")])
def test_gradients_reach_the_student_through_the_frozen_teacher(k, base):
    """The gradient is that of the whole loss, x[t] -> the teacher's later parameters included."""
    student, teacher = make_student(std=0.1, base=base), make_teacher(k=k)
    objective = DistillationLoss(Holder(student), teacher, penalty=0, stft=0, power=0)
    objective(batch())[0].backward()
    assert all(weight.grad is None for weight in teacher.parameters())
    assert all(weight.grad is not None for weight in student.parameters())
    bias, step = student.flows[0].output_projection.bias, 1e-5
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            bias[1] += sign * step
            values.append(objective(batch())[0].item())
            bias[1] -= sign * step
    difference = (values[0] - values[1]) / (2 * step)
    assert abs(bias.grad[1].item() - difference) < 1e-5 * abs(difference)
    noise = student.noise(batch()["noise"])
    x, mean, log_scale = student(noise)  # the planted mistake: x detached
    cut = conditional_kl(mean, log_scale, teacher(x.detach()), teacher.head, base, 64)
    (gradient,) = torch.autograd.grad(cut[..., teacher.receptive_field :].mean(), bias)
    assert abs(gradient[1].item() - difference) > 1e-2 * abs(difference)


@pytest.mark.parametrize("k, base", [(0, "gaussian"), (1, "logistic")])
def test_a_student_learns_a_linear_teacher(k, base):
    """An AR(2) teacher: MA(∞) is within reach of one flow with enough taps; KL falls to near zero."""
    torch.manual_seed(0)
    student = Student(
        flows=1, layers=2, residual=8, lpc_order=24, log_scale=-2.0, base=base
    ).double()
    objective = DistillationLoss(Holder(student), make_teacher(k=k), stft=0, power=0, samples=4)
    optimizer = torch.optim.Adam(student.parameters(), lr=2e-2)
    first = None
    for step in range(100):
        loss, metrics = objective(batch(200, 8, seed=step))
        first = first or metrics["kl"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert first > 0.25 and metrics["kl"] < 0.05, (first, metrics["kl"])


@pytest.mark.parametrize("base", ["gaussian", "logistic"])
@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_gradient_is_that_of_the_formula_with_fixed_weights(beta, base):
    """Σ_t w[t] (KL + λ gap² - γ min(KL', margin)), w = std_p^{2β} over its mean, held fixed; `kl` is the plain one."""
    model, teacher, data = conditioned(base=base)
    teacher.layers[0].cond.weight.data += 1.0  # a teacher whose scale differs from sample to sample
    teacher.output_projection.weight.data.normal_(generator=torch.Generator().manual_seed(0))
    known, weights = teacher.receptive_field, list(model.student.parameters())
    noise = model.student.noise(data["noise"])
    x, mean, log_scale = model.student(noise, data["cond"])
    params = lambda cond: teacher(x, cond)
    kl = lambda cond: conditional_kl(mean, log_scale, params(cond), teacher.head, base)[..., known:]
    right, wrong = kl(data["cond"]), kl(data["cond"][[3, 0, 1, 2]])
    margin = wrong.median().item()  # half of the samples are far enough away
    log_std_p = teacher.head.split(params(data["cond"]))[1][..., known:]
    log_std_q = log_scale[..., known:] + math.log({"gaussian": 1, "logistic": LOGISTIC_STD}[base])
    each = right + 4 * (log_std_q - log_std_p) ** 2 - 0.3 * wrong.clamp(max=margin)
    weight = torch.exp(2 * beta * log_std_p).detach()
    want_loss = (weight * each).sum() / weight.sum()
    contrast = {"contrastive": 0.3, "margin": margin}
    objective = DistillationLoss(model, teacher, beta=beta, stft=0, power=0, **contrast)
    loss, metrics = objective(data)
    got, want = (torch.autograd.grad(value, weights) for value in (loss, want_loss))
    assert loss.item() == pytest.approx(want_loss.item(), rel=1e-9)
    assert all(torch.allclose(a, b, rtol=1e-7, atol=1e-10) for a, b in zip(got, want, strict=True))
    assert metrics["kl"] == pytest.approx(right.mean().item())


def test_the_teacher_stays_in_evaluation_mode():
    """Whoever calls train(): a teacher with dropout is the same at every step, and so is the loss."""
    model, teacher, _ = conditioned()
    teacher.layers[0].add_module("drop", nn.Dropout(0.5))
    objective = DistillationLoss(model, teacher)
    for mode in (True, False, True):
        assert objective.train(mode) is objective
        assert not any(module.training for module in objective.teacher.modules())
        assert objective.model.training == mode


def test_items_and_batches_have_draws_of_their_own():
    """The fresh noise of a mixture's KL follows each item, wherever in a batch it stands."""
    model, teacher, data = conditioned(2)
    objective = DistillationLoss(model, teacher, **OFF | {"kl": 1.0}, samples=1)
    alone = [objective({k: v[i : i + 1] for k, v in data.items()})[1]["kl"] for i in range(4)]
    assert objective(data)[1]["kl"] == pytest.approx(sum(alone) / 4, rel=1e-9)
    assert len(set(alone)) == 4


class NoFloat64(TorchDispatchMode):
    """Refuses what Apple's GPU has not."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for value in out if isinstance(out, tuple | list) else (out,):
            if isinstance(value, torch.Tensor) and value.dtype == torch.float64 and value.ndim:
                raise TypeError(f"{function} makes float64")
        return out


def test_a_step_needs_no_float64():
    model, teacher, data = conditioned()
    model, teacher = model.float(), teacher.float()
    data = {name: value.float() for name, value in data.items()}
    with NoFloat64():
        loss, _ = DistillationLoss(model, teacher, contrastive=0.1)(data)
        loss.backward()


@pytest.mark.parametrize(
    "name", ["penalty", "stft", "power", "mel", "kl", "perceptual", "contrastive"]
)
def test_negative_weights_are_refused(name):
    model, teacher, _ = conditioned()
    with pytest.raises(ValueError, match=f"{name} must be 0 or more, not -1"):
        DistillationLoss(model, teacher, **{name: -1.0})


def test_a_monitor_goes_on_from_its_state():
    whole, first, second = (
        DivergenceMonitor(spike=3),
        DivergenceMonitor(spike=3),
        DivergenceMonitor(spike=3),
    )
    story = [{"kl": 1.0 + 0.1 * (step % 3)} for step in range(60)] + [{"kl": 50.0}] * 3
    causes = [whole.check(step, metrics) for step, metrics in enumerate(story)]
    parts = [first.check(step, metrics) for step, metrics in enumerate(story[:55])]
    second.restore(first.state())
    parts += [second.check(step, metrics) for step, metrics in enumerate(story[55:], 55)]
    assert causes == parts and causes[-1] and not any(causes[:-1])


class Conditioned(Holder):
    """One channel of conditioning: the batch's."""

    def conditioning(self, batch):
        return batch["cond"]


def conditioned(k=0, seed=0, base=None):
    """A student, a teacher whose mean and scale follow the conditioning, and a batch of four."""
    head = DiscretizedLogisticMixture(k, min_log_scale=-9.0) if k else GaussianHead(-9.0)
    torch.manual_seed(seed)
    teacher = WaveNet(head, 4, 4, layers=2, cycles=1, cond_channels=1).double()
    nn.init.normal_(teacher.output_projection.weight, std=0.5)
    base = base or ("logistic" if k else "gaussian")
    student = make_student(cond_channels=1, std=0.1, base=base)
    steps = torch.tensor([0.0, 1.0, 2.0, 3.0]).double().view(4, 1, 1).expand(4, 1, 600)
    return Conditioned(student), teacher, {**batch(), "cond": steps}


OFF = {"kl": 0.0, "penalty": 0.0, "stft": 0.0, "power": 0.0}


@pytest.mark.parametrize("k", [0, 2])
def test_each_part_can_be_switched_off(k):
    """The whole is the sum of its parts, alone; with every weight 0 nothing is left."""
    model, teacher, data = conditioned(k)
    value = lambda **weights: DistillationLoss(model, teacher, **{**OFF, **weights})(data)[0]
    parts = [{"kl": 1.0}, {"penalty": 4.0}, {"stft": 1.0}, {"power": 1.0}]
    parts += [{"mel": 1.0}, {"contrastive": 0.3}]
    alone = [value(**part) for part in parts]
    assert value() == 0 and all(part.abs() > 1e-4 for part in alone)
    for name in ("stft", "power", "mel"):
        loss, metrics = DistillationLoss(model, teacher, **{**OFF, name: 2.0})(data)
        assert loss.item() == pytest.approx(2 * metrics[name])
    whole = {name: weight for part in parts for name, weight in part.items()}
    assert torch.allclose(value(**whole), sum(alone))
    whole |= {"mel": 0.0, "contrastive": 0.0}  # which are the defaults
    assert torch.allclose(DistillationLoss(model, teacher)(data)[0], value(**whole))


@pytest.mark.parametrize("k", [0, 2])
def test_the_same_batch_gives_the_same_loss(k):
    """Fresh samples are a function of the batch: a resumed run repeats them, the next batch has others."""
    model, teacher, data = conditioned(k)
    objective = DistillationLoss(model, teacher)
    assert objective(data) == objective(data)
    other = {**data, "noise": data["noise"].flip(-1)}
    assert objective(other)[0] != objective(data)[0]


@pytest.mark.parametrize("k", [0, 2])
def test_contrast_pushes_the_wrong_conditioning_away_up_to_the_margin(k):
    model, teacher, data = conditioned(k)
    teacher.layers[0].cond.weight.data += 1.0  # a teacher that cares
    part = lambda **more: DistillationLoss(model, teacher, **OFF, contrastive=0.5, **more)(data)
    loss, metrics = part(margin=math.inf)
    assert metrics["wrong_kl"] != metrics["kl"]
    assert loss.item() == pytest.approx(-0.5 * metrics["wrong_kl"])
    capped, _ = part(margin=0.1)
    assert -0.5 * 0.1 <= capped < 0
    # nothing is wrong: KL itself, negative
    same = {
        **data,
        "cond": data["cond"][:1].expand(4, -1, -1),
    }
    loss, metrics = DistillationLoss(model, teacher, **OFF, contrastive=0.5, margin=math.inf)(same)
    assert metrics["wrong_kl"] == pytest.approx(metrics["kl"], abs=0.0 if k == 0 else 0.05)
    alone = {name: value[:1] for name, value in data.items()}
    with pytest.raises(ValueError, match="two items"):
        DistillationLoss(model, teacher, contrastive=0.5)(alone)
    unconditioned = Holder(make_student()), make_teacher()
    with pytest.raises(ValueError, match="needs conditioning"):
        DistillationLoss(*unconditioned, contrastive=0.5)(data)


@pytest.mark.parametrize("k", [0, 1])
def test_metrics_numbers_are_what_they_say(k):
    model, teacher, data = conditioned(k)
    _, metrics = DistillationLoss(model, teacher, kl=0.0, penalty=0.0, stft=0.0)(data)
    assert metrics["kl"] == pytest.approx(metrics["cross_entropy"] - metrics["entropy"])
    assert metrics["gap"] == pytest.approx(metrics["log_std"] - metrics["teacher_log_std"])
    noise = model.student.noise(data["noise"])
    x, mean, log_scale = model.student(noise, data["cond"])
    q = torch.cat([mean, log_scale, torch.zeros_like(mean)][: 3 if k else 2], dim=1)
    head = DiscretizedLogisticMixture(1, min_log_scale=-99.0) if k else GaussianHead(-99.0)
    known = teacher.receptive_field
    log_std = head.moments(q)[1][..., known:].mean()
    assert metrics["log_std"] == pytest.approx(log_std.item())
    own = log_scale[..., known:].mean().item() + BASES[model.student.base].entropy
    assert metrics["entropy"] == pytest.approx(own, rel=1e-9)
    monte_carlo = -(head.smooth_log_density if k else head.log_prob)(q, x)[..., known:].mean()
    assert metrics["entropy"] == pytest.approx(monte_carlo.item(), abs=0.15)
    assert metrics["std_ratio"] == pytest.approx((x.std() / data["audio"].std()).item())
    assert metrics["stft"] > 0 and metrics["at_floor"] == 0
    with torch.no_grad():
        model.student.flows[0].output_projection.bias[1] -= 20
    assert DistillationLoss(model, teacher)(data)[1]["at_floor"] == 1


def test_fresh_draws_are_those_of_the_item_and_of_no_other():
    noise = torch.randn(2, 1, 200, generator=torch.Generator().manual_seed(0))
    seeds = [_generator(item).initial_seed() for item in (*noise, noise[0].clone())]
    assert seeds[0] == seeds[2] != seeds[1]


def test_draws_and_frames_are_as_many_and_as_long_as_asked():
    model, teacher, data = conditioned(2)
    kl = lambda n: DistillationLoss(model, teacher, **OFF | {"kl": 1.0}, samples=n)(data)[1]["kl"]
    assert len({kl(1), kl(8), kl(9)}) == 3
    assert DistillationLoss(model, teacher, **OFF | {"kl": 1.0})(data)[1]["kl"] == kl(8)
    with torch.no_grad():  # a narrow teacher: many nats from any wrong conditioning
        teacher.output_projection.bias[2:4] -= 6
    far = lambda **margin: DistillationLoss(model, teacher, **OFF, contrastive=1.0, **margin)
    assert far()(data)[0] == far(margin=10.0)(data)[0] > far(margin=11.0)(data)[0]
    assert DistillationLoss(model, teacher).min_length == 512  # 64 ms at 8 kHz
    model.spec = SimpleNamespace(rate=16_000)
    assert DistillationLoss(model, teacher).min_length == 1024
    with pytest.raises(ValueError, match="8000 Hz, not at 16000"):
        DistillationLoss(model, teacher, perceptual=1.0)


@pytest.mark.parametrize(
    "story, stops",
    [
        (lambda step: {"kl": 1.0 if step < 30 else 90.0}, 59),  # fifty make a median, ten a run
        (lambda step: {"kl": 0.001 if step < 60 else 9.9}, None),  # below 20 times half a nat
        (lambda step: {"kl": 0.001 if step < 60 else 10.1}, 69),
        # a median of the last 200 steps: what was usual before is forgotten
        (lambda step: {"kl": 1.0 if step < 250 else 15.0 if step < 360 else 100.0}, None),
        (lambda step: {"std_ratio": 0.09}, 2199),
        (lambda step: {"std_ratio": 0.11}, None),
        (lambda step: {"std_ratio": 9.9}, None),
        (lambda step: {"std_ratio": 10.1}, 2199),
        (lambda step: {"std_ratio": 0.01 if step != 2100 else 1.0}, None),  # on end
        (lambda step: {"at_floor": 0.96}, 2199),
        (lambda step: {"at_floor": 0.94}, None),
    ],
)
def test_a_monitor_waits_by_default_as_long_as_it_says(story, stops):
    monitor = DivergenceMonitor()
    assert next((n for n in range(2300) if monitor.check(n, story(n))), None) == stops
