"""Checks for the exercises of chapter 14."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .. import flows
from ..parallel_wavenet import gaussian_kl
from ..wavenet import shift_right
from .core import (
    CheckFailed,
    agree,
    compare,
    exercise,
    finds_bugs,
    parts,
    predicts,
    require,
    turned,
)


def _batch_kl(mean_q: Tensor, v_q: Tensor, mean_p: Tensor, v_p: Tensor, lengths: Tensor) -> Tensor:
    """Mean over all samples that are no padding; v: logarithms of variances."""
    real = torch.arange(mean_q.shape[1]) < lengths[:, None]
    return gaussian_kl(mean_q, v_q / 2, mean_p, v_p / 2)[real].mean()


CLOSED = (
    *(f"minigen.parallel_wavenet.{name}" for name in ("gaussian_kl", "conditional_kl")),
    *(f"torch.distributions.kl.{name}" for name in ("kl_divergence", "_kl_normal_normal")),
)


@exercise("14.1", "the divergence of a batch", forbid=CLOSED)
def divergence(kl: Callable) -> None:
    """kl(mean_q, log_var_q, mean_p, log_var_p, each (B, T), lengths (B,)) -> nats a sample, one number."""
    draw = torch.Generator().manual_seed(0)
    cases = []
    for lengths in ([4, 2], [1], [3, 7, 1], [20] * 5, [6, 9]):
        four = 0.8 * torch.randn(4, len(lengths), max(lengths), generator=draw).double()
        cases.append((*four, torch.tensor(lengths)))
    cases.append((*(25 * v for v in cases[2][:4]), cases[2][4]))
    mean_q, v_q, mean_p, v_p, lengths = cases[0]
    real = torch.arange(4) < lengths[:, None]
    each = gaussian_kl(mean_q, v_q / 2, mean_p, v_p / 2)
    want, gap = each[real].mean(), (v_p - v_q)[real].mean() / 2
    error = ((mean_q - mean_p) ** 2 * torch.exp(-v_p))[real].mean() / 2
    plain = torch.exp((v_q - v_p) / 2)[real].mean() / 2
    squared = torch.exp(v_q - v_p)[real].mean() / 2
    agree(
        kl,
        _batch_kl,
        cases,
        "KL(q‖p)",
        1e-9,
        [
            (
                _batch_kl(mean_p, v_p, mean_q, v_q, lengths),
                "this is KL(p‖q): the roles are swapped",
            ),
            (each.mean(), "the padding counts: only the first `length` samples of a row are sound"),
            (
                (each * real).sum(1).div(lengths).mean(),
                "a mean of the rows' means: a short row's samples then weigh more",
            ),
            ((each * real).sum(), "the sum over samples: their mean is asked for"),
            (
                (each * real).mean(),
                "divided by B · T: divide by the number of samples that are sound",
            ),
            (
                gaussian_kl(mean_q, v_q, mean_p, v_p)[real].mean(),
                "these are logarithms of variances, twice those of the scales",
            ),
            (
                gaussian_kl(mean_q, v_q, mean_p, v_p)[real].mean() - gap,
                "e^(2 v) of a log-variance v: the variance is e^v itself",
            ),
            (want + 0.5, "the ½ of E[log q] is missing: KL(q‖q) must be zero"),
            (want - 2 * gap, "log σ_p - log σ_q has the wrong sign"),
            (want - gap, "the term log σ_p - log σ_q is missing"),
            (want + gap, "half of the difference of the log-variances is that of the log-scales"),
            (want - squared + plain, "σ_q / σ_p must be squared, as a variance"),
            (want - error, "the distance of the means is missing"),
            (
                want - error + ((mean_q - mean_p) ** 2 * torch.exp(-v_q))[real].mean() / 2,
                "the distance of the means is measured in the scales of p, which judges, not of q",
            ),
            (
                each[real.flip(1)].mean(),
                "the last samples of each row are taken: its first `length` are sound",
            ),
        ],
    )
    same = float(kl(mean_q, v_q, mean_q, v_q, lengths))
    require(abs(same) < 1e-12, "KL(q‖q) = 0", f"KL(q‖q) is {same:.3g}, not 0")


def _net(past: Tensor) -> tuple[Tensor, Tensor]:
    """A small causal "network": mean and log-scale at t from its input before t, (B, T)."""
    one, two = shift_right(past, 1), shift_right(past, 2)
    return 0.5 * one - 0.3 * torch.tanh(two), 1.5 * torch.tanh(one + two) + 0.8


@exercise("14.2", "both ways through one flow")
def inverse_flow(sample_and_invert: Callable) -> None:
    """sample_and_invert(net, z (B, T)) -> x (B, T), z again (B, T), found from x alone."""
    z = torch.randn(3, 20, generator=torch.Generator().manual_seed(0)).double()
    mean, log_scale = _net(z)
    x = z * log_scale.exp() + mean
    autoregressive = torch.zeros_like(z)
    for t in range(z.shape[1]):
        m, s = _net(autoregressive)
        autoregressive[:, t] = z[:, t] * s[:, t].exp() + m[:, t]
    calls = []

    def counted(past: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(past)
        return _net(past)

    x_got, z_got = parts(sample_and_invert(counted, z), "x", "z found from x")
    compare(
        x_got,
        x,
        "x from z",
        1e-10,
        [
            (autoregressive, "the network read x: that is the teacher, which has to wait"),
            ((z - mean) * (-log_scale).exp(), "this is the inverse map: x = z e^s + m"),
            (z * log_scale + mean, "multiply by e^s: the network gives the logarithm"),
            (
                z * (-log_scale).exp() + mean,
                "divided by the scale: from noise to sound one multiplies",
            ),
            ((z + mean) * log_scale.exp(), "the mean must not be scaled: x = z e^s + m"),
        ],
    )
    m, s = _net(x)
    compare(
        z_got,
        z,
        "z from x",
        1e-8,
        [
            ((x - m) * (-s).exp(), "the network read x in one pass; it must read z, step by step"),
            (x, "this is x: undo the scale and the mean"),
            (
                lambda got: np.allclose(got[:, 0], (x - mean)[:, 0] * log_scale[:, 0].exp()),
                "multiplied by e^s: x = z e^s + m is undone by a division",
            ),
            (
                lambda got: np.allclose(got[:, 0], x[:, 0] * (-log_scale[:, 0]).exp() - mean[:, 0]),
                "the scale is undone before the mean: what was done last is undone first",
            ),
            (
                lambda got: not got[:, 0].any(),
                "the first column is left at 0: z_1 has no past, but m and s",
            ),
        ],
    )
    steps = z.shape[1]
    if len(calls) < 1 + steps:
        raise CheckFailed(
            f"✗ z found from x alone: the network was called {len(calls)} times, 1 for x and "
            f"{len(calls) - 1} for z. On the way back each of the {steps} z needs those before it, so a "
            "call for each"
        )
    if any(torch.equal(past, z) for past in calls[1:steps]):
        raise CheckFailed("✗ z found from x alone: z was handed to the network again")

    def spoilt(past: Tensor, numbers: tuple[Tensor, Tensor], call: int) -> tuple[Tensor, Tensor]:
        """From the second call on, everything that is not known yet at this step is made noise."""
        later = torch.arange(past.shape[1]) >= call
        return tuple(torch.where(later, v + 7.0, v) for v in numbers) if call else numbers

    made = []

    def sabotaged(past: Tensor) -> tuple[Tensor, Tensor]:
        made.append(past)
        return spoilt(past, _net(past), len(made) - 1)

    _, again = parts(sample_and_invert(sabotaged, z), "x", "z found from x")
    again = torch.as_tensor(again, dtype=z.dtype)
    require(
        torch.allclose(again, z, atol=1e-5),
        "z was found from x, one step after the other",
        "z was not found step by step: the call for z_t may use column t of m and s only, and must be the "
        "t-th; other columns were spoilt, and that changed your z",
    )
    asked = []

    def otherwise(past: Tensor) -> tuple[Tensor, Tensor]:
        # another network from the second call on, the same only where there is no past
        asked.append(past)
        m, s = _net(past)
        return (m, s) if len(asked) == 1 else (m + 0.5 * shift_right(past, 1), s)

    x, found = (
        torch.as_tensor(part, dtype=z.dtype)
        for part in parts(sample_and_invert(otherwise, z), "x", "z found from x")
    )
    m, s = _net(found)
    again = found * s.exp() + m + 0.5 * shift_right(found, 1)
    require(
        torch.allclose(again, x, atol=1e-5),
        "and with what the network said",
        "z was known, not found: with another network on the way back the same x is made of another z",
    )
    for shape in ((1, 1), (2, 5)):
        z = torch.randn(shape, generator=torch.Generator().manual_seed(1)).double()
        m, s = _net(z)
        agree(
            lambda v: parts(sample_and_invert(_net, v), "x", "z"),
            lambda v, m=m, s=s: (v * s.exp() + m, v),
            [(z,)],
            (f"x of shape {shape}", "z again"),
            steady=[0],
        )


@exercise("14.3", "the way back through two flows")
def compose_flows(way_back: Callable) -> None:
    """way_back(m1, s1, m2, s2), each (B, T) -> shift, log_scale with z = x e^log_scale + shift."""
    draw = torch.Generator().manual_seed(1)
    m1, s1, m2, s2 = (0.5 * torch.randn(2, 6, generator=draw).double() for _ in range(4))
    total, mean = s1 + s2, m1 * s2.exp() + m2
    hints = {
        "log_scale": [
            (total, "this is the log-scale of the way there"),
            (-s1 * s2, "scales multiply, so their logarithms add"),
            (-s2, "the first flow's log-scale is lost"),
            (-s1, "the second flow's log-scale is lost"),
            ((-total).exp(), "this is the scale; return its logarithm"),
            (1 / total, "the logarithm of 1 over a scale is minus its logarithm"),
        ],
        "shift": [
            (mean, "this is the mean of the way there"),
            (-mean, "the mean is taken away before the scale is undone, so it is scaled, too"),
            (mean * (-total).exp(), "the sign: the mean is taken away"),
            (
                -m1 * (-s1).exp() - m2 * (-s2).exp(),
                "the second mean goes back through both flows: both scales divide it",
            ),
            (
                -(m1 + m2) * (-total).exp(),
                "on the way there the second flow scales the first mean, too",
            ),
            (-mean * total.exp(), "multiplied by the scale: the way back divides"),
        ],
    }
    others = [
        tuple(5 * torch.randn(4, *shape, generator=draw).double())
        for shape in ((1, 1), (3, 2), (5, 5))
    ]
    agree(
        turned(way_back, "shift", "log_scale"),
        lambda m1, s1, m2, s2: (-s1 - s2, -(m1 * s2.exp() + m2) * (-s1 - s2).exp()),
        [(m1, s1, m2, s2), *others],
        tuple(hints),
        1e-10,
        hints,
    )


def _ratios(generated: Tensor, recorded: Tensor, edges: list, rate: int, at: Callable) -> Tensor:
    """at(|FFT|² of one, of the other) for each band."""
    hz = torch.fft.rfftfreq(len(recorded), 1 / rate)
    power = [torch.fft.rfft(x).abs().square() for x in (generated, recorded)]
    bands = [(hz >= low) & (hz < high) for low, high in itertools.pairwise(edges)]
    return torch.stack([at(*(p[band] for p in power)) for band in bands])


@exercise("14.4", "where is the student too quiet?")
def loudness(std_ratios: Callable) -> None:
    """std_ratios(generated (T,), recorded (T,), edges (K + 1), rate) -> (K,): loudness ratio in each band."""
    draw = torch.Generator().manual_seed(2)
    ratio = lambda g, r: (g.sum() / r.sum()).sqrt()
    right = lambda g, r, edges, rate: _ratios(g, r, edges, rate, ratio)
    cases = []
    for T, edges, rate in (
        (800, [0, 500, 1500, 4000], 8000),
        (1200, [100, 2000], 16_000),
        (501, [0, 300, 1003, 1100, 3000, 3900], 8000),
    ):
        recorded = torch.randn(T, generator=draw).double().cumsum(0) / 10
        noise = torch.randn(T, generator=draw).double()
        cases.append((0.3 * recorded + 0.05 * noise, recorded, edges, rate))
    generated, recorded, edges, rate = cases[0]
    want, whole = right(*cases[0]), (generated.std() / recorded.std()).expand(3)
    tilted = lambda at: _ratios(generated, recorded, edges, rate, at)
    inclusive = [*edges[:1], *(edge + 1 for edge in edges[1:])]
    bands = zip(edges, inclusive[1:], strict=False)
    agree(
        std_ratios,
        right,
        cases,
        "the ratio in each band",
        1e-6,
        [
            (want**2, "this is the ratio of powers: take the square root"),
            (1 / want, "turned round: generated over recorded"),
            (20 * want.log10(), "this is in decibels: return the plain ratio"),
            (whole, "this is the ratio of the whole sounds, in every band"),
            (
                tilted(lambda g, r: g.sqrt().sum() / r.sqrt().sum()),
                "magnitudes are added; it is powers that add up to the power of a band",
            ),
            (
                tilted(lambda g, r: (g / r).mean().sqrt()),
                "a mean of ratios, in which a bin with next to nothing counts most: add powers first",
            ),
            (
                tilted(lambda g, r: (g / r).sqrt().mean()),
                "a mean of ratios, in which a bin with next to nothing counts most: add powers first",
            ),
            (
                torch.cat([right(generated, recorded, list(band), rate) for band in bands]),
                "the upper edge belongs to the next band: from low, below high",
            ),
            (
                torch.cat(
                    [
                        right(generated, recorded, [low + 0.5, high], rate)
                        for low, high in itertools.pairwise(edges)
                    ]
                ),
                "the lower edge belongs to its band: from low, below high",
            ),
            (
                tilted(lambda g, r: (g.max() / r.max()).sqrt()),
                "the largest alone: powers of a band add up",
            ),
            (
                tilted(lambda g, r: (g.median() / r.median()).sqrt()),
                "the medians alone: powers of a band add up",
            ),
        ],
    )
    tone = lambda hz: torch.sin(2 * math.pi * hz / 8000 * torch.arange(800)).double()
    loud, soft = tone(200) + tone(2000), 0.5 * tone(200) + tone(2000)
    got = torch.as_tensor(std_ratios(soft, loud, [0, 1000, 4000], 8000)).flatten().tolist()
    require(
        np.allclose(got, [0.5, 1.0], atol=1e-3),
        "of two tones the lower one is found half as loud, the upper one unchanged",
        f"the lower of two tones was made half as loud, and the bands give {np.round(got, 3).tolist()}",
    )


@exercise("14.5", "why a student whispers")
def whisper(std_of_best: Callable) -> None:
    """std_of_best(a (K,), sigma) -> the std of the white noise q with the smallest KL(q‖p)."""
    for a, sigma in (
        ([0.9], 1.0),
        ([1.6, -0.8], 0.05),
        ([0.5, 0.2, -0.4], 2.0),
        ([0.1, 0.3, 0.1, -0.3, 0.2], 1e-3),
    ):
        words = ", ".join(map(str, a))
        a = torch.tensor(a).double()
        squares = a.square().sum()
        got = std_of_best(a, sigma)
        error = torch.as_tensor(got) * (1 + squares).sqrt()
        step = torch.zeros(4000).double()
        step[0] = sigma
        for t in range(1, 4000):  # the impulse response of the process
            past = step[max(0, t - len(a)) : t].flip(0)
            step[t] = (a[: len(past)] * past).sum()
        compare(
            got,
            sigma / (1 + squares).sqrt(),
            f"std of the student of a = {words}",
            1e-6,
            [
                (sigma**2 / (1 + squares), "this is the variance: take the square root"),
                (sigma, "that is the scale given the past; but the student does not know the past"),
                (step.square().sum().sqrt(), "that is the std of the process, which KL(p‖q) gives"),
                (sigma / (1 + squares), "the variance is divided by 1 + Σ a², the std by its root"),
                (sigma / (1 + a.abs().sum()), "variances add, not standard deviations"),
                (sigma / squares.sqrt(), "x[t] itself is in the error, too: 1 + Σ a²"),
                (sigma / (1 + a.abs().sum()).sqrt(), "variances have squares: Σ a², not Σ |a|"),
                (
                    sigma / (1 + a.sum() ** 2).sqrt(),
                    "the square of the sum: of white samples squares add up",
                ),
                (
                    sigma / (1 + squares + 2 * (a[:-1] * a[1:]).sum()).sqrt(),
                    "white samples are not correlated: no products of two",
                ),
                (sigma / (1 + squares / len(a)).sqrt(), "a mean of squares: it is their sum"),
                (sigma / (1 + a[0] ** 2).sqrt(), "the first coefficient alone: all of them count"),
                (
                    sigma / (1 + (a[:2] ** 2).sum()).sqrt(),
                    "two coefficients alone: all of them count",
                ),
                (0.05 / (1 + squares).sqrt(), "σ is fixed: it is an argument"),
                ((sigma / (1 + squares).sqrt()).log(), "this is the logarithm: return the std"),
            ],
            otherwise=lambda error=error, sigma=sigma: (
                f"on samples of this std the teacher's error x[t] - Σ a x[t-k] is {float(error.mean()):.4g}, and its own {sigma}"
            ),
        )


@exercise("14.6", "an STFT needs a window")
def windowed_power(power: Callable) -> None:
    """power(frames (N, n)) -> |FFT of the windowed frame|² / Σ window², (N, n // 2 + 1)."""
    frames = torch.randn(5, 64, generator=torch.Generator().manual_seed(6)).double()
    window, long = torch.hann_window(64).double(), torch.hann_window(256).double()
    plain = torch.fft.rfft(frames).abs().square()
    heard = torch.fft.rfft(frames * window)
    lopsided = torch.hann_window(64, periodic=False).double()
    draw = torch.Generator().manual_seed(7)
    got = np.asarray(power(frames))
    scale = lopsided.square().sum()
    twin = (torch.fft.rfft(frames * lopsided).abs().square() / scale).numpy()
    # either window will do
    periodic = not (got.shape == twin.shape and np.allclose(got, twin, 1e-5))

    def right(frames: Tensor) -> Tensor:
        w = torch.hann_window(frames.shape[-1], periodic=periodic).double()
        return torch.fft.rfft(frames * w).abs().square() / w.square().sum()

    shapes = ((1, 16), (3, 130), (7, 9), (2, 700))
    agree(
        power,
        right,
        [(frames,), *((torch.randn(s, generator=draw).double(),) for s in shapes)],
        "power",
        1e-5,
        [
            (plain / 64, "no window was applied: the ends of the frame are cut hard"),
            (
                plain / window.square().sum(),
                "no window was applied to the frame, only to the scale",
            ),
            (heard.abs().square() / 64, "divide by Σ window², not by the frame's length"),
            (heard.abs().square(), "divide by Σ window²: power must not depend on the window"),
            (heard.abs() / window.square().sum(), "this is the magnitude: square it"),
            (
                torch.fft.rfft(frames * window.sqrt()).abs().square() / window.square().sum(),
                "the frame is multiplied by the window's root",
            ),
            (
                (torch.fft.rfft(frames * long[:64]).abs().square() / long.square().sum()),
                "a window of 256 for every frame: it must be as long as the frame",
            ),
            (
                torch.fft.rfft(frames * long[:64]).abs().square() / long[:64].square().sum(),
                "the start of a window of 256: it must be as long as the frame",
            ),
        ],
    )
    tone = torch.sin(2 * math.pi * 10.5 / 64 * torch.arange(64).double())[None]
    spectrum = torch.as_tensor(power(tone))[0]
    leak = (spectrum[20:].sum() / spectrum.sum()).item()
    require(
        leak < 1e-4,
        "of a tone between two bins less than 1/10,000 leaks into the upper bands",
        f"of a tone between two bins {leak:.2g} leaks into the upper bands, where it masks the consonants",
    )


def _blind_student() -> float:
    """White noise whose scale alone is learned from an AR(1) process: its std over that of the process."""
    T, a, sigma = 400, 0.9, 0.1
    layer = flows.CausalFilter(T, torch.tensor([a]).double(), math.log(sigma))
    teacher = flows.Flow(flows.StandardNormal(T).double(), layer).requires_grad_(False)
    z = torch.randn(64, T, generator=torch.Generator().manual_seed(0)).double()
    log_scale = torch.tensor(math.log(sigma), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([log_scale], 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        # E log q is -log scale and a constant
        (-log_scale - teacher.log_prob(log_scale.exp() * z).mean() / T).backward()
        optimizer.step()
    return log_scale.exp().item() / (sigma / (1 - a**2) ** 0.5)


@exercise("14.7", "predict, then run: loud and quiet")
def loudness_prediction(prediction: Callable) -> None:
    """prediction() -> {"too loud", "too quiet", "std ratio"}: before the run."""
    zero, three = torch.zeros(()).double(), torch.tensor(-3.0).double()
    predicts(
        prediction,
        {
            "too loud": (
                gaussian_kl(zero, zero, zero, three).item(),
                0.012,
                (
                    "of the three terms one has the ratio of the variances. The log-scales differ by three; by "
                    "what do the logarithms of the variances differ?"
                ),
            ),
            "too quiet": (
                gaussian_kl(zero, three, zero, zero).item(),
                0.03,
                (
                    "the ratio of the variances is nearly nothing now. What is left is the difference of the "
                    "log-scales and the constant"
                ),
            ),
            "std ratio": (
                _blind_student(),
                0.04,
                (
                    "the teacher's error on white samples, x[t] - 0.9 x[t-1], is a sum of two independent "
                    "numbers; the best student makes its std that of the teacher's own error. And how much "
                    "larger than its error is the process itself?"
                ),
            ),
        },
    )


def _divergence(bug: str = "", way: str = "") -> Callable:
    """divergence(z, student, teacher) -> (B,), or with a planted bug."""

    def divergence(z: Tensor, student: Callable, teacher: Callable) -> Tensor:
        x, mean_q, s_q = student(z)
        mean_p, s_p = teacher(x.detach() if bug == "detach" else x)
        if bug == "half":
            s_p = s_p.detach()
        if bug == "expected":
            mean_p = mean_p.detach()
        if bug == "own mean":
            mean_q = mean_q.detach()
        if bug == "own scale":
            s_q = s_q.detach()
        if bug == "floor":
            s_p = s_p.clamp(min=-7)
        if bug == "late":
            mean_p, s_p = mean_p.roll(1, 1), s_p.roll(1, 1)
        if bug == "swap":
            mean_q, s_q, mean_p, s_p = mean_p, s_p, mean_q, s_q
        if way == "torch":
            q, p = (
                torch.distributions.Normal(m, s.exp()) for m, s in ((mean_q, s_q), (mean_p, s_p))
            )
            return torch.distributions.kl_divergence(q, p).sum(1)
        if way == "library":
            return gaussian_kl(mean_q, s_q, mean_p, s_p).sum(1)
        ratio = torch.exp((1 if bug == "ratio" else 2) * (s_q - s_p))
        error = (mean_q - mean_p) ** 2 * torch.exp(-2 * s_p)
        one = 0 if bug == "constant" else 1
        total = (s_p - s_q + 0.5 * (ratio + error - one)).sum(1)
        if bug == "last":
            total = torch.cat([total[:-1], total[-1:] + 1e-3 * total[-1:].detach()])
        return total.mean().expand_as(total) if bug == "batch" else total

    return divergence


BUGS = {
    "detach": "the teacher reads x without its gradient: the values are right, and the student never "
    "learns what its samples make the teacher expect next",
    "half": "the teacher's log-scale sends no gradient, its mean does",
    "expected": "the teacher's mean sends no gradient, its log-scale does",
    "own mean": "the student's mean sends no gradient, its log-scale does",
    "own scale": "the student's log-scale sends no gradient, its mean does",
    "swap": "it is KL(p‖q), from the teacher to the student",
    "ratio": "the ratio of the scales is not squared",
    "floor": "the teacher's log-scale has a floor at -7, so that silence is not matched",
    "late": "each sample is held against what the teacher expected of the one before",
    "constant": "the constant -½ is missing: the gradient is right, the value is not",
    "batch": "each example gets the mean over the batch",
    "last": "the last example's value is a thousandth too large",
}


@exercise("14.8", "the test that finds the bug")
def divergence_test(is_right: Callable) -> None:
    """is_right(divergence, batch, length): divergence(z (batch, length), student, teacher) -> (batch,)."""
    finds_bugs(
        is_right,
        [
            ((_divergence(), 2, 8), "the closed form"),
            ((_divergence(way="library"), 3, 20), "the library's formula"),
            ((_divergence(way="torch"), 2, 5), "torch.distributions"),
            ((_divergence(), 1, 1), "a single sample"),
        ],
        [
            ((_divergence(bug), *size), what)
            for size in ((2, 8), (3, 20))
            for bug, what in BUGS.items()
        ],
        "the sum over time of KL(q_t‖p_t), one for each example, with the gradient that goes through the "
        "teacher as well",
    )
