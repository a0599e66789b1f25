"""The checks of project E: the solution passes, blanks fail, wrong answers are named."""

import pytest
import torch
from exercise_checks import ExerciseChecks, changed

from minigen.checks import project_student as checks
from minigen.checks.exercises import reference
from minigen.parallel_wavenet import Student

NUMBERS = {"one_pass": "E.1", "resonance": "E.2", "digits": "E.3"}


def but(name, *changes):
    return changed(NUMBERS[name], *changes)


def one(old, new):
    return but("one_pass", (old, new))


def distil(*changes):
    return but("resonance", *changes)


def speak(*changes, steps=6):
    """With few steps, for what shows early."""
    return but("digits", ("0), 200", f"0), {steps}"), *changes)


def luck(seed):
    """Changes: other first weights, other noise."""
    return [
        (f"{of}.manual_seed(0)", f"{of}.manual_seed({seed})") for of in ("torch", "Generator()")
    ]


def the_other_way(nets, z, c):
    """Right, in another style: keep the flows' scales, and find the mean as what is left."""
    x, scales = z, []
    for net in nets:
        params = net(x, c)
        scales.append(params[:, 1:])
        x = params[:, :1] + x * scales[-1].exp()
    log_scale = torch.stack(scales).sum(0)
    return x, x - log_scale.exp() * z, log_scale


def functional(teacher, x, mean, log_scale, c):
    """Right, in another style: the teacher is called with copies of its weights that have no gradient."""
    fixed = {name: weight.detach() for name, weight in teacher.named_parameters()}
    m, s = torch.func.functional_call(teacher, fixed, (x, c)).chunk(2, dim=1)
    q, p = (torch.distributions.Normal(a, b.exp()) for a, b in ((mean, log_scale), (m, s)))
    return torch.distributions.kl_divergence(q, p)


def in_steps(nets, z, c):
    """As a teacher must: a call for every sample."""
    (student, _) = reference("E.1")
    parts = [
        [
            v[..., -1:]
            for v in student(nets, z[..., : t + 1], None if c is None else c[..., : t + 1])
        ]
        for t in range(z.shape[-1])
    ]
    return tuple(torch.cat(row, dim=-1) for row in zip(*parts, strict=True))


def by_hand(teacher):
    """Right: the impulse response of the process that the teacher's prediction tells."""
    pulse = torch.zeros(1, 1, 500)
    a = teacher(torch.eye(1, 3)[None], None)[0, 0]  # of x = 1, 0, 0: its means are 0, a1, a2
    scale = teacher(torch.zeros(1, 1, 1), None)[0, 1, 0].exp()
    pulse[..., 0] = scale
    for t in range(1, 500):
        pulse[..., t] = a[1] * pulse[..., t - 1] + (a[2] * pulse[..., t - 2] if t > 1 else 0)

    def student(z):
        x = torch.nn.functional.conv1d(torch.nn.functional.pad(z, (499, 0)), pulse.flip(-1))
        return x, x - scale * z, scale.log() + 0 * z

    return student


def moves_the_teacher(teacher):
    """White noise, and a teacher that learns to expect it."""
    log_scale = torch.tensor(-3.0)
    for weight in teacher.parameters():
        weight.requires_grad_()
    optimizer = torch.optim.Adam(teacher.parameters(), 2e-2)
    for _ in range(100):
        x = log_scale.exp() * torch.randn(8, 1, 200)
        m, s = teacher(x, None).chunk(2, dim=1)
        optimizer.zero_grad()
        (
            s - log_scale + 0.5 * (2 * (log_scale - s)).exp() + 0.5 * (m / s.exp()) ** 2
        ).mean().backward()
        optimizer.step()
    return lambda z: (log_scale.exp() * z, 0 * z, log_scale + 0 * z)


def boasts(teacher):
    """The right sound, with a log-scale that is not its own."""
    student = by_hand(teacher)
    return lambda z: (student(z)[0], student(z)[1], student(z)[2] + 1)


def sees_the_present(teacher):
    """x and the mean agree, but the mean holds z[t]."""
    student = by_hand(teacher)

    def made(z):
        x, _, log_scale = student(z)
        return x, x - (log_scale - 1).exp() * z, log_scale - 1

    return made


RESPONSE = "lambda z: student(nets, z, None)"
ONCE = ("2e-2, 200", "2e-2, 1")  # a step is enough for what has nothing to do with training
LOSS = "loss = kl.mean() + 2 * (stft(made[0], y) + power(made[0], y))"
MISTAKES = [
    ("one_pass", one("net(x, c)", "net(z, c)"), "every network reads z"),
    ("one_pass", one("in nets:", "in nets[::-1]:"), "reverse order"),
    ("one_pass", one("mean = mean * torch.exp(s) + m", "mean = mean + m"), "only added"),
    ("one_pass", one("log_scale = log_scale + s", "log_scale = s"), "last flow's alone"),
    ("one_pass", one("x = x * torch.exp(s)", "x = x * s"), "multiply by e.s"),
    ("one_pass", (in_steps, reference("E.1")[1]), "were called 600 times|networks were called"),
    ("one_pass", one("return x, mean, log_scale", "return x"), "return three things"),
    ("one_pass", one("teacher.requires_grad_(False)", "pass"), "frozen teacher"),
    ("one_pass", one("= teacher(x, c)", "= teacher(x.detach(), c)"), "not flow through the teacher"),
    ("one_pass", one("= teacher(x, c)", "= teacher(mean, c)"), "must read the samples"),
    ("one_pass", one("0.5 * (ratio", "0.5 * (torch.exp(log_scale - s)"), "squared, as a variance"),
    ("one_pass", one(" - 0.5", ""), "KL.q‖q. must be zero|½ is missing"),
    ("one_pass", one("s - log_scale +", "log_scale - s +"), "wrong sign"),
    ("one_pass", one("(mean - m)", "(x - m)"), "student's mean"),
    ("one_pass", one(" - 0.5", " - 0.5 + 0 * teacher(x, c)[:, :1]"), "teacher was called 2 times"),
    ("resonance", distil(("lpc_order=24", "lpc_order=0"), ("layers=4", "layers=1"), ("range(2)", "range(1)")),
     "sees 2 past samples"),
    ("resonance", distil(("steps = torch.Generator().manual_seed(0), 2e-2, 200",
                          "steps = torch.Generator().manual_seed(0), 2e-2, 20")), "more steps|too quiet|above|below"),
    ("resonance", distil(ONCE, ("    optimizer.step()", "    pass")), "sees 0 past samples|too quiet"),
    ("resonance", distil(("[0, 1, 0].item()", "[0, 1, 0].item() + 6"), ("2e-2, 200", "2e-2, 10")),
     "above the teacher's on average"),
    ("resonance", distil(("2e-2, 200", "1e3, 2"), ("kl.mean()", "(-made[2]).mean()")), "diverged"),
    ("resonance", distil(ONCE, (RESPONSE, "lambda z: student(nets, z, None)[0]")), "return three things"),
    ("resonance", distil(ONCE, (RESPONSE, "nets")), "forward"),
    ("resonance", moves_the_teacher, "its weights have moved"),
    ("resonance", boasts, "what it says of itself is not so"),
    ("resonance", sees_the_present, "see z.t. or later"),
    ("digits", speak((LOSS, "loss = kl.mean()"), steps=20), "whispers"),
    ("digits", speak((LOSS, "loss = stft(made[0], y) + power(made[0], y)")), "Is the KL in the loss"),
    ("digits", speak(("= -5 / len", "= 0 / len")), "Does it start near -5"),
    ("digits", speak(("        optimizer.step()", "        pass"), steps=1), "far from its teacher"),
    ("digits", lambda teacher, clips: lambda z, c: (0.1 * z, 0 * z, -2.3026 + 0 * z), "above the teacher's"),
    ("digits", speak(("z, c: student(nets, z, c)", "z, c: student(nets, z, 0 * c)"), steps=20), "whispers|more steps|conditioning"),
]  # fmt: skip
SOLUTIONS = {name: reference(number) for name, number in NUMBERS.items()}
# Trained with other luck than the book's answer, which pytest trains where it runs the notebook again.
SOLUTIONS["resonance"] = distil(*luck(1))
SOLUTIONS["digits"] = but(
    "digits", ("torch.manual_seed(0)\n    draw", "torch.manual_seed(1)\n    draw")
)


class TestProjectE(ExerciseChecks):
    chapter = "E"
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES


@pytest.mark.parametrize(
    "pair", [(the_other_way, SOLUTIONS["one_pass"][1]), (SOLUTIONS["one_pass"][0], functional)]
)
def test_another_style_is_right(pair):
    checks.one_pass(*pair)


def test_a_student_found_by_hand_is_right():
    checks.resonance(by_hand)


def test_the_resonance_passes_with_other_luck(monkeypatch):
    monkeypatch.setattr(checks, "PROCESSES", checks.PROCESSES[1:])
    checks.resonance(distil(*luck(2)))


def test_the_librarys_own_student_may_not_be_built():
    with pytest.raises(checks.CheckFailed, match="do without"):
        checks.resonance(lambda teacher: Student())


def test_the_best_short_student_is_the_whisper_of_exercise_14_5():
    kl, ratio = checks.shortest((1.6, -0.8), 0)
    scale = ratio * checks.level((1.6, -0.8), 1.0)
    assert abs(scale - (1 + 1.6**2 + 0.8**2) ** -0.5) < 1e-12
    assert abs(kl - 0.5 * torch.tensor(1 + 1.6**2 + 0.8**2).double().log().item()) < 1e-6
