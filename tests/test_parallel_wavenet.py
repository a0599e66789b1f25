"""The student: an inverse autoregressive flow, composed exactly, and its KL to a teacher."""

import pytest
import torch
from torch import nn

from minigen.distributions import GaussianHead
from minigen.parallel_wavenet import DistillationLoss, Student, gaussian_kl
from minigen.wavenet import WaveNet


def make_student(seed=0, std=0.25, **kwargs) -> Student:
    torch.manual_seed(seed)
    student = Student(flows=3, layers=2, residual=4, **kwargs).double()
    for weight in student.parameters():
        nn.init.normal_(weight, std=std)
    return student


@pytest.mark.parametrize("kernel", [2, 3])
def test_mean_and_scale_do_not_see_the_present(kernel):
    """d mean[t] / d z[t] = d scale[t] / d z[t] = 0, and nothing of the future."""
    student = make_student(kernel=kernel, taps=3)
    z, t = torch.randn(1, 1, 30).double().requires_grad_(), 25
    _, mean, log_scale = student(z)
    for output in (mean, log_scale):
        (gradient,) = torch.autograd.grad(output[0, 0, t], z, retain_graph=True)
        assert (gradient[0, 0, t:] == 0).all()
        assert (gradient[0, 0, :t] != 0).any()


def test_composition_and_jacobian():
    """x = mean + scale·z, dx/dz is triangular, and Σ log_scale is its log-determinant."""
    student = make_student()
    z = torch.randn(1, 1, 12).double()
    x, mean, log_scale = student(z)
    assert torch.allclose(x, mean + log_scale.exp() * z, atol=1e-12)
    jacobian = torch.autograd.functional.jacobian(lambda z: student(z)[0].flatten(), z)[:, 0, 0]
    assert torch.equal(jacobian, jacobian.tril())
    log_det = torch.linalg.slogdet(jacobian)[1]
    assert log_det.abs() > 0.1
    assert torch.allclose(log_det, log_scale.sum(), atol=1e-10)


def test_inverse_and_its_density():
    student = make_student(cond_channels=2, taps=2)
    z, cond = torch.randn(2, 1, 25).double(), torch.randn(2, 2, 25).double()
    with torch.no_grad():
        x, mean, log_scale = student(z, cond)
    back, log_q = student.inverse(x, cond)
    assert torch.allclose(back, z, atol=1e-8)
    want = torch.distributions.Normal(mean, log_scale.exp()).log_prob(x).sum((1, 2))
    assert torch.allclose(log_q, want, atol=1e-8)


def test_flow_that_sees_the_present_is_caught(monkeypatch):
    """DESIGN's first mistake: an "IAF" whose mean and scale at t see z[t]."""
    monkeypatch.setattr("minigen.wavenet.shift_right", lambda x, by=1: x)
    with pytest.raises(AssertionError):
        test_mean_and_scale_do_not_see_the_present(2)
    with pytest.raises(AssertionError):
        test_composition_and_jacobian()


def test_starts_at_the_scale_asked_for():
    _x, mean, log_scale = Student(flows=4, layers=2, residual=4, log_scale=-5.0)(
        torch.randn(1, 1, 50)
    )
    assert torch.allclose(log_scale, torch.tensor(-5.0)) and (mean == 0).all()


def test_gaussian_kl_equals_torch_and_monte_carlo():
    torch.manual_seed(0)
    mq, sq, mp, sp = torch.randn(4, 1000).double()
    q, p = (torch.distributions.Normal(m, s.exp()) for m, s in ((mq, sq), (mp, sp)))
    kl = gaussian_kl(mq, sq, mp, sp)
    assert torch.allclose(kl, torch.distributions.kl_divergence(q, p))
    assert (kl >= 0).all() and torch.allclose(gaussian_kl(mq, sq, mq, sq), torch.zeros(1).double())
    q, p = (torch.distributions.Normal(m[:1], s[:1].exp()) for m, s in ((mq, sq), (mp, sp)))
    x = q.sample((400_000,))
    monte_carlo = q.log_prob(x) - p.log_prob(x)
    assert abs(monte_carlo.mean() - kl[0]) < 5 * monte_carlo.std() / 400_000**0.5


class Holder(nn.Module):
    """What DistillationLoss calls a model: a student and its conditioning."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def conditioning(self, batch):
        return None


def make_teacher(coefficients=(1.2, -0.5), log_scale=-2.0) -> WaveNet:
    net = WaveNet(GaussianHead(-9.0), 4, 4, layers=2, cycles=1, taps=len(coefficients)).double()
    with torch.no_grad():
        net.linear.copy_(torch.tensor(coefficients))
        net.leave.bias[1] = log_scale
    return net


def batch(length=600, size=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(size, 1, length, generator=generator, dtype=torch.float64)
    return {"noise": noise, "audio": 0.1 * noise.roll(1, 0)}


def test_gradients_reach_the_student_through_the_frozen_teacher():
    """The gradient is that of the whole loss, x[t] -> the teacher's later parameters included."""
    student, teacher = make_student(std=0.1), make_teacher()
    objective = DistillationLoss(Holder(student), teacher, penalty=0, stft=0, power=0)
    objective(batch())[0].backward()
    assert all(weight.grad is None for weight in teacher.parameters())
    assert all(weight.grad is not None for weight in student.parameters())
    bias, step = student.flows[0].leave.bias, 1e-5
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            bias[1] += sign * step
            values.append(objective(batch())[0].item())
            bias[1] -= sign * step
    difference = (values[0] - values[1]) / (2 * step)
    assert abs(bias.grad[1].item() - difference) < 1e-5 * abs(difference)
    x, mean, log_scale = student(batch()["noise"])  # the planted mistake: x detached
    cut = gaussian_kl(mean, log_scale, *teacher.head.split(teacher(x.detach())))
    (gradient,) = torch.autograd.grad(cut[..., teacher.receptive_field :].mean(), bias)
    assert abs(gradient[1].item() - difference) > 1e-2 * abs(difference)


def test_a_student_learns_a_linear_teacher():
    """An AR(2) teacher: MA(∞) is within reach of one flow with enough taps; KL falls to near zero."""
    torch.manual_seed(0)
    student = Student(flows=1, layers=2, residual=8, taps=24, log_scale=-2.0).double()
    objective = DistillationLoss(Holder(student), make_teacher(), stft=0, power=0)
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)
    first = None
    for step in range(250):
        loss, watched = objective(batch(300, 8, seed=step))
        first = first or watched["kl"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert first > 0.5 and watched["kl"] < 0.05, (first, watched["kl"])


def test_beta_changes_weights_not_the_watched_kl():
    student, teacher = make_student(), make_teacher()
    watched = [
        DistillationLoss(Holder(student), teacher, beta=beta, stft=0, power=0)(batch())[1]["kl"]
        for beta in (0.0, 0.5)
    ]
    assert watched[0] == watched[1]


def test_needs_a_flow():
    with pytest.raises(ValueError, match="at least one flow"):
        Student(flows=0)
