"""Checks for the exercises of chapter 14."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..parallel_wavenet import Student, gaussian_kl
from ..wavenet import shift_right
from .core import CheckFailed, agree, compare, exercise, parts, require, turned

__all__ = ["compose_flows", "divergence", "inverse_flow", "loudness", "whisper", "windowed_power"]


@exercise("14.1", "the divergence of two Gaussians")
def divergence(kl: Callable) -> None:
    """kl(mean_q, log_scale_q, mean_p, log_scale_p), each (n,) -> (n,) nats."""
    mean_q, log_q = torch.tensor([0.0, 1.0, 0.3, -2.0]), torch.tensor([0.0, 0.0, -1.0, 0.7])
    mean_p, log_p = torch.tensor([0.0, 0.0, 0.1, 1.0]), torch.tensor([0.0, 0.0, -0.6, -0.4])
    arguments = [v.double() for v in (mean_q, log_q, mean_p, log_p)]
    mean_q, log_q, mean_p, log_p = arguments
    want = gaussian_kl(*arguments)
    square = (mean_q - mean_p) ** 2
    plain_ratio = 0.5 * ((log_q - log_p).exp() + square * (-2 * log_p).exp()) - 0.5
    draw = torch.Generator().manual_seed(0)
    others = [tuple(torch.randn(4, n, generator=draw).double()) for n in (1, 3, 20)]
    agree(
        kl,
        gaussian_kl,
        [tuple(arguments), *others, tuple(3 * v for v in others[2])],
        "KL(q‖p)",
        1e-9,
        [
            (gaussian_kl(mean_p, log_p, mean_q, log_q), "this is KL(p‖q): the roles are swapped"),
            (want + 0.5, "the ½ of E[log q] is missing: KL(q‖q) must be zero"),
            (want - 2 * (log_p - log_q), "log σ_p - log σ_q has the wrong sign"),
            (want - (log_p - log_q), "the term log σ_p - log σ_q is missing"),
            (log_p - log_q + plain_ratio, "σ_q / σ_p must be squared, as a variance"),
            (
                log_p - log_q + 0.5 * (2 * (log_q - log_p)).exp() - 0.5,
                "the distance of the means is missing",
            ),
        ],
    )
    same = torch.as_tensor(kl(mean_q, log_q, mean_q, log_q))
    require(same.abs().max() < 1e-12, "KL(q‖q) = 0", f"KL(q‖q) is {same.abs().max():.3g}, not 0")


def _net(past: Tensor) -> tuple[Tensor, Tensor]:
    """A small causal "network": mean and log-scale at t from its input before t, (B, T)."""
    one, two = shift_right(past, 1), shift_right(past, 2)
    return 0.5 * one - 0.3 * torch.tanh(two), 0.2 * torch.tanh(one + two) - 0.1


@exercise("14.2", "noise from a waveform, waveform from noise")
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
    again = torch.as_tensor(again)
    require(
        torch.allclose(again, z, atol=1e-8),
        "z was found from x, one step after the other",
        "z was not found step by step: the call for z_t may use column t of m and s only, and must be the "
        "t-th; other columns were spoilt, and that changed your z",
    )
    for shape in ((1, 1), (2, 5)):
        z = torch.randn(shape, generator=torch.Generator().manual_seed(1)).double()
        m, s = _net(z)
        agree(
            lambda v: parts(sample_and_invert(_net, v), "x", "z"),
            lambda v, m=m, s=s: (v * s.exp() + m, v),
            [(z,)],
            (f"x of shape {shape}", "z again"),
        )


@exercise("14.3", "composing two flows")
def compose_flows(compose: Callable) -> None:
    """compose(m1, s1, m2, s2), each (B, T) -> mean, log_scale with x = z e^log_scale + mean."""
    draw = torch.Generator().manual_seed(1)
    m1, s1, m2, s2 = (0.5 * torch.randn(2, 6, generator=draw).double() for _ in range(4))
    hints = {
        "log_scale": [
            (s1 * s2, "scales multiply, so their logarithms add"),
            (s2, "the first flow's log-scale is lost"),
            ((s1 + s2).exp(), "this is the scale; return its logarithm"),
        ],
        "mean": [
            (m1 + m2, "the second flow scales what it gets, the first mean too"),
            (m1 + m2 * s1.exp(), "the second flow scales the first mean, not the other way round"),
            (m1 * s2 + m2, "multiply by e^s, not by s"),
            (m2, "the first flow's mean is lost"),
        ],
    }
    others = [
        tuple(torch.randn(4, *shape, generator=draw).double()) for shape in ((1, 1), (3, 2), (5, 5))
    ]
    agree(
        turned(compose, "mean", "log_scale"),
        lambda m1, s1, m2, s2: (s1 + s2, m1 * s2.exp() + m2),
        [(m1, s1, m2, s2), *others],
        tuple(hints),
        1e-10,
        hints,
    )


@exercise("14.4", "how loud is the student?")
def loudness(std_ratio: Callable) -> None:
    """std_ratio(generated (T,), recorded (T,)) -> float."""
    draw = torch.Generator().manual_seed(2)
    recorded = 0.2 * torch.randn(4000, generator=draw).double() + 0.05
    generated = 0.1 * torch.randn(4000, generator=draw).double() - 0.02
    want = (generated.std(correction=0) / recorded.std(correction=0)).item()
    rms = (generated.square().mean() / recorded.square().mean()).sqrt().item()
    others = [(0.3 + s * torch.randn(3000, generator=draw).double(), recorded) for s in (0.01, 3.0)]
    agree(
        lambda generated, recorded: float(std_ratio(generated, recorded)),
        lambda generated, recorded: generated.std() / recorded.std(),
        [(generated, recorded), *others, (recorded, recorded[:2000])],
        "std ratio",
        1e-3,
        [
            (want**2, "this is the ratio of powers: take the square root"),
            (1 / want, "turned round: generated over recorded"),
            (20 * math.log10(want), "this is in decibels: return the plain ratio"),
            (rms, "subtract each mean: an offset of the microphone is not heard"),
        ],
    )
    quiet = Student(flows=2, layers=2, residual=2, log_scale=-3.0)
    with torch.no_grad():
        x = quiet(torch.randn(1, 1, 4000, generator=draw))[0][0, 0].double()
    got = float(std_ratio(x, recorded))
    require(
        abs(got - math.exp(-3) / 0.2) < 0.02,
        f"a student at its start, log-scale -3, is found {got:.2f} times as loud",
        f"a student whose std is e⁻³ against a recording's 0.2 is not {got:.2f} times as loud",
    )


@exercise("14.5", "why a student whispers")
def whisper(std_of_best: Callable) -> None:
    """std_of_best(a (K,), sigma) -> the std of the white noise q with the smallest KL(q‖p)."""
    for a, sigma in (([0.9], 1.0), ([1.6, -0.8], 0.05), ([0.5, 0.2, -0.4], 2.0)):
        a = torch.tensor(a).double()
        squares = a.square().sum()
        got = std_of_best(a, sigma)
        step = torch.zeros(4000).double()
        step[0] = sigma
        for t in range(1, 4000):  # the impulse response of the process
            past = step[max(0, t - len(a)) : t].flip(0)
            step[t] = (a[: len(past)] * past).sum()
        compare(
            got,
            sigma / (1 + squares).sqrt(),
            f"std of the student of {a.tolist()}",
            1e-6,
            [
                (sigma**2 / (1 + squares), "this is the variance: take the square root"),
                (sigma, "that is the scale given the past; but the student does not know the past"),
                (step.square().sum().sqrt(), "that is the std of the process, which KL(p‖q) gives"),
                (sigma / (1 + squares), "the variance is divided by 1 + Σ a², the std by its root"),
                (sigma / (1 + a.abs().sum()), "variances add, not standard deviations"),
                (sigma / squares.sqrt(), "x[t] itself is in the error, too: 1 + Σ a²"),
            ],
        )


@exercise("14.6", "an STFT needs a window")
def windowed_power(power: Callable) -> None:
    """power(frames (N, n)) -> |FFT of the windowed frame|² / Σ window², (N, n // 2 + 1)."""
    frames = torch.randn(5, 64, generator=torch.Generator().manual_seed(6)).double()
    window = torch.hann_window(64).double()
    plain = torch.fft.rfft(frames).abs().square()
    heard = torch.fft.rfft(frames * window)
    lopsided = torch.hann_window(64, periodic=False).double()
    draw = torch.Generator().manual_seed(7)
    got = np.asarray(power(frames))
    scale = lopsided.square().sum()
    twin = (torch.fft.rfft(frames * lopsided).abs().square() / scale).numpy()
    periodic = not (
        got.shape == twin.shape and np.allclose(got, twin, 1e-5)
    )  # either window will do

    def right(frames: Tensor) -> Tensor:
        w = torch.hann_window(frames.shape[-1], periodic=periodic).double()
        return torch.fft.rfft(frames * w).abs().square() / w.square().sum()

    shapes = ((1, 16), (3, 130), (7, 9))
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
