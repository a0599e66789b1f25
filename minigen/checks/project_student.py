"""Checks for project E: a student of inverse flows, distilled from a resonance and from the digit teacher."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from ..data import Utterance, spoken_digits
from ..distributions import GaussianHead
from ..metrics import log_mel_distance
from ..parallel_wavenet import Student, gaussian_kl
from ..speech import corpus, voice
from ..wavenet import WaveNet
from .core import CheckFailed, compare, exercise, made_once, ok, parts, require
from .reader import Reader

WITHOUT = (
    "minigen.parallel_wavenet.Student",
    "minigen.parallel_wavenet.gaussian_kl",
    "minigen.parallel_wavenet.conditional_kl",
    "minigen.parallel_wavenet.mol_kl",
    "minigen.distillation.DistillationLoss",
    "minigen.speech.voice.load",
)
PROCESSES = (((1.6, -0.8), 0.05), ((1.0, -0.85), 0.1))  # coefficients and σ of two resonances
KL, LOUDNESS = 0.01, 0.05  # of a resonance: nats per sample; how far the std ratio may be from 1
VOICE_KL, VOICE_RATIO, VOICE_DB = 1.0, (0.6, 1.5), 9.5  # of the digits, on held-out words
FOLD = 2  # of `held_out_speaker_words`: "one" and "six" of slt


class Teacher(nn.Module):
    """A WaveNet with a Gaussian head as a function: (x (B, 1, T), c) -> mean and log-scale, (B, 2, T)."""

    def __init__(self, wavenet: WaveNet):
        super().__init__()
        self.wavenet, self.calls, self.gone = wavenet, 0, False

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        self.calls += 1
        if self.gone:
            raise CheckFailed(
                "✗ the student: it calls its teacher when it makes a sound. What it has learned must do, in one pass"
            )
        return torch.cat(self.wavenet.head.split(self.wavenet(x, c)), dim=1)


class _Counted:
    """A flow's network, which counts its calls."""

    def __init__(self, net: WaveNet):
        self.net, self.calls = net, 0

    def __call__(self, v: Tensor, c: Tensor | None = None) -> Tensor:
        self.calls += 1
        return self.net(v, c)


def _spread(model: nn.Module, seed: int) -> None:
    """Random weights, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    for weight in model.double().parameters():
        weight.data.copy_(0.25 * torch.randn(weight.shape, generator=generator).double())


def _chain(nets: list, z: Tensor, c: Tensor | None, **wrong: bool) -> tuple[Tensor, ...]:
    """The student of these networks, or one with a mistake, for hints: -> x, mean, log_scale."""
    x, mean, log_scale = z, torch.zeros_like(z), torch.zeros_like(z)
    for net in nets[::-1] if "reverse" in wrong else nets:
        m, s = net(z if "noise" in wrong else x, c).chunk(2, dim=1)
        factor = s if "plain" in wrong else s.exp()
        x = x * factor + m
        mean = mean * (1 if "added" in wrong else factor) + m
        log_scale = s if "last" in wrong else log_scale + s
    return x, mean, log_scale


CHAIN_HINTS = {
    "noise": "every network reads z: the second must read what the first flow made",
    "reverse": "the flows are applied in reverse order: the first network reads z",
    "plain": "multiply by e^s: the networks give the logarithm of the scale",
    "added": "the means are only added: a flow scales what it gets, the mean so far too",
    "last": "this is the last flow's alone: log-scales add up",
}


def _cases() -> Iterator[tuple[Student, Teacher, Tensor, Tensor | None]]:
    """Students and teachers of random weights, noise, and a conditioning where they have one."""
    draw = torch.Generator().manual_seed(3)
    for number, (flows, batch, length, channels) in enumerate(
        [(2, 2, 24, 0), (3, 1, 17, 3), (1, 3, 9, 0), (4, 2, 1, 2), (7, 1, 5, 0)]
    ):
        student = Student(flows, 2, 5, cond_channels=channels, lpc_order=3, log_scale=-1.0)
        teacher = Teacher(
            WaveNet(GaussianHead(-math.inf), 4, 4, 2, 1, cond_channels=channels, lpc_order=2)
        )
        _spread(student, number)
        for net in student.flows:
            net.output_projection.bias.data[1] += (0, 0.7, -9, 2.1, 0)[number]
        _spread(teacher, 20 + number)
        teacher.wavenet.output_projection.bias.data[1] -= 3 * (number % 4)
        z = torch.randn(batch, 1, length, generator=draw).double()
        c = torch.randn(batch, channels, length, generator=draw).double() if channels else None
        yield student.requires_grad_(False), teacher, z, c


@exercise("E.1", "a student and its distance, in one pass", forbid=WITHOUT)
def one_pass(student: Callable, divergence: Callable) -> None:
    """student(nets, z, c) -> x, mean, log_scale; divergence(teacher, x, mean, log_scale, c) -> KL (B, 1, T)."""
    divided = []
    for model, teacher, z, c in _cases():
        nets = [_Counted(net) for net in model.flows]
        got = parts(student(nets, z, c), "x", "mean", "log_scale")
        want = _chain(list(model.flows), z, c)
        mistakes = {name: _chain(list(model.flows), z, c, **{name: True}) for name in CHAIN_HINTS}
        for n in (2, 1, 0):  # a wrong log-scale makes the others wrong, too
            hints = [
                (mistakes[name][n], words)
                for name, words in CHAIN_HINTS.items()
                if z.shape[-1] > 1 and not torch.allclose(mistakes[name][n], want[n])
            ]
            what = f"{len(nets)} flows: {('x', 'mean', 'log_scale')[n]}"
            compare(got[n], want[n], what, 1e-9, hints, quiet=True)
        calls = sum(net.calls for net in nets)
        if calls != len(nets):
            raise CheckFailed(
                f"✗ one pass: {len(nets)} networks were called {calls} times for {z.shape[-1]} samples. All "
                "of a flow's input is known before it starts, so each network is called once"
            )
        divided.append((teacher, *want, c))
    ok("x, mean and log-scale are right, for 1 to 7 flows, each network called once")
    for case in divided:
        _divergence(divergence, *case)
    ok("KL of every sample is that of torch.distributions")
    model, _, z, c = next(_cases())
    nets, part = list(model.flows), None if c is None else c[:1]
    slopes = lambda of: torch.autograd.functional.jacobian(
        lambda noise: torch.cat(
            [torch.as_tensor(v).flatten() for v in of(nets, noise[None, None], part)]
        ),
        z[0, 0],
    )
    J, want = slopes(student), slopes(_chain)
    if not torch.allclose(J, want, 1e-6, 1e-9):
        wrong = ("x", "mean", "log_scale")[int((J - want).abs().amax(1).argmax()) // z.shape[-1]]
        raise CheckFailed(
            f"✗ gradient: that of {wrong} by the noise is not what its values call for, so the student cannot learn: "
            "is something detached, or computed without a gradient?"
        )
    J = J[: z.shape[-1]]
    _, _, log_scale = student(nets, z[:1], part)
    gap = (torch.linalg.slogdet(J)[1] - log_scale.sum()).abs().item()
    require(
        gap < 1e-9 and J.triu(1).abs().max() < 1e-12,
        "log|det ∂x/∂z| by autograd is the sum of your log-scales",
        f"log|det ∂x/∂z| by autograd and the sum of your log-scales differ by {gap:.3g}",
    )
    _monte_carlo(divergence)
    _gradients(divergence)


def _divergence(
    divergence: Callable,
    teacher: Teacher,
    x: Tensor,
    mean: Tensor,
    log_scale: Tensor,
    c: Tensor | None,
) -> None:
    """The KL of every sample against torch.distributions, with one call of the teacher."""
    normal = lambda m, s: torch.distributions.Normal(m, s.exp())
    with torch.no_grad():
        m, s = teacher(x, c).chunk(2, dim=1)
        far, near = teacher(mean, c).chunk(2, dim=1)
        q, p = normal(mean, log_scale), normal(m, s)
        want = torch.distributions.kl_divergence(q, p)
        square = (mean - m).square() * (-2 * s).exp()
        hints = [
            (torch.distributions.kl_divergence(p, q), "this is KL(p‖q): the roles are swapped"),
            (want + 0.5, "the ½ is missing: KL(q‖q) must be zero"),
            (want - 2 * (s - log_scale), "log σ_p - log σ_q has the wrong sign"),
            (want - 0.5 * square, "the distance of the means is missing"),
            (
                want + 0.5 * ((log_scale - s).exp() - (2 * (log_scale - s)).exp()),
                "σ_q / σ_p must be squared, as a variance",
            ),
            (
                q.log_prob(x) - p.log_prob(x),
                "this is log q - log p of the one x that was drawn: take the mean over x[t]",
            ),
            (
                gaussian_kl(mean, log_scale, far, near),
                "the teacher read the means: it must read the samples x",
            ),
            (
                gaussian_kl(x, log_scale, m, s),
                "the distance is that of x to the teacher's mean: take the student's mean",
            ),
            (want.mean(), "this is the mean: give the KL of every sample, (B, 1, T)"),
            (want.sum(), "this is the sum: give the KL of every sample, (B, 1, T)"),
        ]  # fmt: skip
        teacher.calls = 0
        got = divergence(teacher, x, mean, log_scale, c)
    single = x.numel() == 1
    compare(got, want, "KL of every sample", 1e-8, () if single else hints, quiet=True)
    if teacher.calls != 1:
        raise CheckFailed(
            f"✗ one pass: the teacher was called {teacher.calls} times, once is enough: x is known, so it "
            "predicts all samples at once"
        )


def _monte_carlo(divergence: Callable) -> None:
    """The closed form is the mean of log q(x[t]) - log p(x[t]) over fresh x[t], the past held fixed."""
    model, teacher, z, c = next(_cases())
    made = [v[:1] for v in _chain(list(model.flows), z, c)]
    mean, log_scale = (v[..., -1:] for v in made[1:])
    with torch.no_grad():
        closed = torch.as_tensor(divergence(teacher, *made, c))[..., -1].item()
        m, s = teacher(made[0], c)[..., -1:].chunk(2, dim=1)
    noise = torch.randn(200_000, generator=torch.Generator().manual_seed(8)).double()
    x = mean.flatten() + log_scale.exp().flatten() * noise
    log = lambda m, s: torch.distributions.Normal(m.flatten(), s.exp().flatten()).log_prob(x)
    each = log(mean, log_scale) - log(m, s)
    error = each.std().item() / len(noise) ** 0.5
    require(
        abs(closed - each.mean().item()) < 5 * error,
        f"Monte Carlo agrees: {each.mean():.3f} from {len(noise):,} draws, {closed:.3f} in closed form",
        f"200,000 draws of x[t] give {each.mean():.3f} ± {error:.3f} nats, your closed form {closed:.3f}",
    )


def _gradients(divergence: Callable) -> None:
    """Through the teacher to the noise, but not to the teacher's weights."""
    for model, teacher, z, c in _cases():
        if z.shape[-1] < 2:
            continue
        z.requires_grad_()
        made = _chain(list(model.flows), z, c)
        m, s = teacher(made[0], c).chunk(2, dim=1)
        slope = lambda *p, made=made, z=z: torch.autograd.grad(
            gaussian_kl(*made[1:], *p).sum(), z, retain_graph=True
        )[0]
        want, cut = slope(m, s), slope(m.detach(), s.detach())
        made = _chain(list(model.flows), z, c)
        teacher.requires_grad_(True)
        kl = torch.as_tensor(divergence(teacher, *made, c))
        if not kl.requires_grad:
            raise CheckFailed(
                "✗ gradient: none reaches the student: the KL was computed without one"
            )
        kl.sum().backward()
        why = (
            "the gradient does not flow through the teacher: x[t] changes what it expects later, so neither "
            "x may be detached nor the teacher run without gradients"
        )
        compare(
            z.grad, want, "gradient of the KL with respect to z", 1e-8, [(cut, why)], quiet=True
        )
        moved = [n for n, w in teacher.named_parameters() if w.grad is not None and w.grad.any()]
        if moved:
            raise CheckFailed(
                f"✗ a frozen teacher: {len(moved)} of its weights get a gradient, {moved[0]} for one. Its "
                "weights do not learn: requires_grad_(False)"
            )
    ok("the gradient reaches the noise through the teacher, and none of the teacher's weights")


# ---------------------------------------------------------------- what every student promises


def _promised(student: Callable, z: Tensor, c: Tensor | None) -> None:
    """An error unless x = mean + e^log_scale z, where neither mean nor log_scale at t sees z[t]."""
    if not callable(student):
        raise CheckFailed(
            f"✗ the result: return the student, a function of the noise, not {type(student).__name__}"
        )
    student = Reader(student, WITHOUT)
    made = [torch.as_tensor(v) for v in parts(student(z, *_given(c)), "x", "mean", "log_scale")]
    wrong = [v.shape for v in made if v.shape != z.shape]
    if wrong:
        raise CheckFailed(f"✗ the student: z is {tuple(z.shape)}, what it makes {tuple(wrong[0])}")
    if not all(v.isfinite().all() for v in made):
        raise CheckFailed("✗ the student: it makes NaN or infinity: it diverged; try a lower rate")
    x, mean, log_scale = made
    gap = (x - mean - log_scale.exp() * z).abs().max().item()
    if not gap < 1e-3 * (1 + x.abs().max().item()):
        raise CheckFailed(
            f"✗ the student: x and mean + e^log_scale z differ by {gap:.3g}: what it says of itself is not so"
        )
    noise = z[:1].clone().requires_grad_()
    part = None if c is None else c[:1]
    _, mean, log_scale = student(noise, *_given(part))
    t = z.shape[-1] // 2
    at = torch.as_tensor(mean)[0, 0, t] + torch.as_tensor(log_scale)[0, 0, t]
    if at.requires_grad:
        (slope,) = torch.autograd.grad(at, noise, allow_unused=True)
        seen = 0.0 if slope is None else slope[..., t:].abs().max().item()
        if seen > 1e-7:
            raise CheckFailed(
                "✗ the student: mean and log-scale at t see z[t] or later noise. Then x[t] is not Gaussian "
                "given the past, and the KL is about a density that the student does not have: delay what the "
                "networks read by one sample"
            )


def _given(c: Tensor | None) -> tuple:
    return () if c is None else (c,)


def _weights(teacher: nn.Module) -> Tensor:
    return torch.cat([w.detach().flatten() for w in teacher.parameters()]).clone()


def _untouched(teacher: Teacher, before: Tensor) -> None:
    """An error if the teacher's weights have moved; from now on nobody can ask it."""
    teacher.gone = True
    if not torch.equal(_weights(teacher), before):
        raise CheckFailed(
            "✗ the teacher: its weights have moved. It could then learn to agree with any student: only the "
            "student's go to the optimiser"
        )


def _frozen(distil: Callable, teacher: Teacher, *clips: list) -> Callable:
    """The student, where the teacher stayed as it was."""
    before = _weights(teacher)
    student = distil(teacher, *clips)
    _untouched(teacher, before)
    return student


# ---------------------------------------------------------------- the resonance


def resonant(coefficients: tuple[float, float], sigma: float) -> Teacher:
    """The teacher x[t] = a₁ x[t-1] + a₂ x[t-2] + σ z[t]: a WaveNet whose network part is zero."""
    net = WaveNet(GaussianHead(), residual=2, skip=2, layers=1, cycles=1, lpc_order=2)
    with torch.no_grad():
        net.linear.copy_(torch.tensor(coefficients))
        net.output_projection.bias.copy_(torch.tensor([0.0, math.log(sigma)]))
    return Teacher(net)


def taught(distil: Callable, coefficients: tuple[float, float], sigma: float) -> Callable:
    """The student that `distil` makes of a resonance. Where the check has trained it, that one."""
    make = lambda: _frozen(distil, resonant(coefficients, sigma))
    return made_once(distil, (coefficients, sigma), make)


def level(coefficients: tuple[float, float], sigma: float) -> float:
    """Standard deviation of the process, σ √((1 - a₂) / ((1 + a₂) ((1 - a₂)² - a₁²)))."""
    a, b = coefficients
    return sigma * math.sqrt((1 - b) / ((1 + b) * ((1 - b) ** 2 - a**2)))


def shortest(coefficients: tuple[float, float], extent: int) -> tuple[float, float]:
    """(KL, std ratio) of the best student that sees `extent` samples of past noise, in closed form."""
    filtered = [1.0, *(-a for a in coefficients)]
    A = np.zeros((extent + 3, extent + 1))  # w -> w * (1, -a₁, -a₂)
    for k in range(extent + 1):
        A[k : k + 3, k] = filtered
    shape = np.r_[1, np.linalg.lstsq(A[:, 1:], -A[:, 0], rcond=None)[0]] if extent else np.ones(1)
    kappa = np.sum((A @ shape) ** 2)
    ratio = np.linalg.norm(shape) / math.sqrt(kappa) / level(coefficients, 1.0)
    return 0.5 * math.log(kappa), float(ratio)


@torch.no_grad()
def measured(student: Callable, coefficients: tuple[float, float], sigma: float) -> tuple:
    """(KL in nats per sample, std ratio, mean gap of the log-scales) on fresh noise, the first 200 samples apart."""
    z = torch.randn(32, 1, 3000, generator=torch.Generator().manual_seed(11))
    x, mean, log_scale = (torch.as_tensor(v)[..., 200:] for v in student(z))
    params = resonant(coefficients, sigma)(torch.as_tensor(student(z)[0]))
    m, s = params[..., 200:].chunk(2, dim=1)
    kl = gaussian_kl(mean, log_scale, m, s).mean().item()
    return kl, x.std().item() / level(coefficients, sigma), (log_scale - s).mean().item()


@exercise("E.2", "the resonance", forbid=WITHOUT)
def resonance(distil: Callable) -> None:
    """distil(teacher) -> student (z (B, 1, T)) -> x, mean, log_scale."""
    for coefficients, sigma in PROCESSES:
        student = taught(distil, coefficients, sigma)
        z = torch.randn(2, 1, 300, generator=torch.Generator().manual_seed(12))
        _promised(student, z, None)
        kl, ratio, gap = measured(student, coefficients, sigma)
        name = f"x[t] = {coefficients[0]} x[t-1] - {-coefficients[1]} x[t-2] + {sigma} z[t]"
        require(
            kl <= KL,
            f"{name}: KL {kl:.4f} nats per sample",
            f"{name}: KL {kl:.3f} nats per sample, std ratio {ratio:.2f}; allowed are {KL} nats: "
            f"{_why(kl, ratio, gap, coefficients)}",
        )
        require(
            abs(ratio - 1) <= LOUDNESS,
            f"and a std ratio of {ratio:.3f}",
            f"{name}: the KL is small, and the std ratio {ratio:.3f}; allowed is 1 ± {LOUDNESS}: what noise long "
            "past still adds is missing, so let the student see more of it",
        )


def _why(kl: float, ratio: float, gap: float, coefficients: tuple[float, float]) -> str:
    if abs(gap) > 0.5:
        where = "above" if gap > 0 else "below"
        return (
            f"the student's log-scale is {abs(gap):.1f} {where} the teacher's on average. Start near the "
            "teacher's, of which teacher(zeros) tells, and train longer"
        )
    for extent in (0, 1, 2, 4, 8, 16):
        best, loud = shortest(coefficients, extent)
        if abs(kl - best) < 0.03 + 0.1 * best and abs(ratio - loud) < 0.1:
            return (
                f"as much as the best student has that sees {extent} past samples of noise: let it see "
                "further, with more taps or flows"
            )
    if ratio < 0.8:
        return "too quiet: it does not follow its teacher. Does it see enough past noise, and is the KL the loss?"
    return (
        "more steps, or a rate that falls to 0 at the end; is the loss the mean KL of all samples?"
    )


# ---------------------------------------------------------------- the digits


def speaker_words() -> tuple[list[Utterance], list[Utterance]]:
    """Clips of the voice slt: eight words to learn from, and two held out at every tempo and pitch."""
    train, out = corpus.held_out_speaker_words(spoken_digits(), FOLD)
    return [c for c in train if c.speaker == "slt"], [c for c in out if c.speaker == "slt"]


@cache
def _shipped() -> voice.TeacherVoice:
    return voice.load("teacher")


def ready(clips: list[Utterance]) -> list[tuple[Tensor, Tensor]]:
    """Clips -> [(recording (1, 1, T), the teacher's conditioning (1, C, T))]."""
    batches = [corpus.as_batch(clip) for clip in clips]
    return [(batch["audio"], _shipped().conditioning(batch)) for batch in batches]


def crops(
    clips: list[tuple[Tensor, Tensor]], count: int, length: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Random pieces of `ready` clips: recordings (count, 1, length), conditionings (count, C, length)."""
    recordings, conditionings = [], []
    for i in torch.randint(len(clips), (count,), generator=generator).tolist():
        y, c = clips[i]
        t = int(torch.randint(y.shape[-1] - length + 1, (), generator=generator))
        recordings.append(y[..., t : t + length])
        conditionings.append(c[..., t : t + length])
    return torch.cat(recordings), torch.cat(conditionings)


def trained(distil: Callable) -> Callable:
    """The student that `distil_voice` makes of the digit teacher. Where the check has trained it, that one."""
    teacher = Teacher(voice.load("teacher").wavenet)
    return made_once(distil, "E.3", lambda: _frozen(distil, teacher, ready(speaker_words()[0])))


@torch.no_grad()
def spoken(student: Callable, clips: list[Utterance], seed: int = 13) -> dict[str, float]:
    """Means over clips: KL in nats per sample, log-mel distance in dB, gap of the log-scales; and the median std ratio."""
    generator, rows, head = torch.Generator().manual_seed(seed), [], _shipped().wavenet.head
    for recording, c in ready(clips):
        z = torch.randn(recording.shape, generator=generator)
        x, mean, log_scale = (torch.as_tensor(v) for v in student(z, c))
        m, s = head.split(_shipped().wavenet(x, c))
        sound = x[0, 0].clamp(-1, 1).numpy()
        rows.append(
            (
                gaussian_kl(mean, log_scale, m, s).mean().item(),
                log_mel_distance(sound, recording[0, 0].numpy(), voice.RATE),
                (log_scale - s).mean().item(),
                (x.std() / recording.std()).item(),
            )
        )
    kl, distance, gap, ratio = np.array(rows).T
    found = {"KL": kl.mean(), "log-mel dB": distance.mean(), "gap": gap.mean()}
    return {k: float(v) for k, v in (found | {"std ratio": np.median(ratio)}).items()}


@exercise("E.3", "the digit teacher", forbid=WITHOUT)
def digits(distil_voice: Callable) -> None:
    """distil_voice(teacher, clips) -> student (z (B, 1, T), c (B, C, T)) -> x, mean, log_scale."""
    student = trained(distil_voice)
    _, out = speaker_words()
    c = ready(out[:1])[0][1][..., :1200]
    _promised(student, torch.randn(1, 1, 1200, generator=torch.Generator().manual_seed(14)), c)
    row = spoken(student, out)
    kl, ratio, distance = row["KL"], row["std ratio"], row["log-mel dB"]
    words = " and ".join(sorted({clip.text for clip in out}))
    low, high = VOICE_RATIO
    if kl > 5 * VOICE_KL:
        where = f", its log-scale {row['gap']:.1f} above the teacher's on average" * (
            row["gap"] > 1
        )
        raise CheckFailed(
            f"✗ held-out words: a KL of {kl:.1f} nats per sample, a median std ratio of {ratio:.2f}{where}: far from "
            "its teacher. Is the KL in the loss? Does it start near -5, and train for some hundred steps?"
        )
    quiet = "it whispers: a low KL does not mind. Add the power and the STFT loss, against the recording"
    require(
        low <= ratio <= high,
        f"held-out words ({words}): a median std ratio of {ratio:.2f}",
        f"held-out words: a median std ratio of {ratio:.2f} (KL {kl:.2f} nats), allowed are {low} to {high}: "
        + (quiet if ratio < low else "it is too loud: is the teacher's KL in the loss?"),
    )
    why = "more steps, or a rate that falls to 0"
    if distance <= VOICE_DB:
        why = "its spectra are right, but the teacher finds its waveform unlikely: is the KL in the loss?"
    require(
        kl <= VOICE_KL,
        f"a KL of {kl:.2f} nats per sample to the teacher",
        f"held-out words: a KL of {kl:.2f} nats per sample to the teacher, allowed are {VOICE_KL}: {why}",
    )
    require(
        distance <= VOICE_DB,
        f"a log-mel distance of {distance:.1f} dB to the recordings",
        f"held-out words: a log-mel distance of {distance:.1f} dB to the recordings, allowed are {VOICE_DB}: the "
        "STFT loss, which knows the quiet bands too, brings it down; does the student use the conditioning?",
    )
