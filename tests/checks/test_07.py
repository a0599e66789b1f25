"""The checks of chapter 7: solutions pass, blanks fail, typical mistakes are named."""

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from exercise_checks import ExerciseChecks

from minigen.checks import wavenet as checks


def layers_for(
    sees=lambda n, c, k: 1 + c * (k - 1) * (2**n - 1), strict=False, thousand=1000, more=0
):
    """The fewest layers that see far enough, or too far or not far enough."""

    def answer(ms, rate, cycles, kernel):
        wanted = ms * rate / thousand + strict * 1e-9
        return more + next(n for n in range(1, 3000) if sees(n, cycles, kernel) >= wanted)

    return answer


def convolve(h, w, d, right=0.0, late=0, flip=False, cut=False, delay=True, newest=True):
    past = (w.shape[-1] - 1) * d
    w = w.flip(-1) if flip else w
    ahead = int(past * right)
    padded = h if cut else F.pad(h, (past - ahead + late, ahead))
    length = padded.shape[-1] - past
    starts = [k * d if delay else past for k in range(w.shape[-1])]
    z = sum(
        w[..., k] @ padded[..., s : s + length]
        for k, s in enumerate(starts[: None if newest else -1])
    )
    return z[..., : z.shape[-1] - late]


def by_conv1d(h, w, d):
    return F.conv1d(F.pad(h, ((w.shape[-1] - 1) * d, 0)), w, dilation=d)


def edges(low=True, high=True, scale=1.0, log=True):
    def answer(level, mean, log_scale, levels):
        step = 2 / (levels - 1)
        x = level * step - 1
        cdf = lambda v: 1 / (1 + np.exp(-(v - mean) / np.exp(log_scale)))
        upper, lower = cdf(x + scale * step / 2), cdf(x - scale * step / 2)
        upper = np.where((level == levels - 1) & high, 1.0, upper)
        p = upper - np.where((level == 0) & low, 0.0, lower)
        return np.log(p) if log else p

    return answer


def stable_edges(level, mean, log_scale, levels):
    """log σ(a) + log σ(-b) + log(1 - e^(b - a))."""
    width = 2 / (levels - 1) * np.exp(-log_scale)
    b = ((2 * level - 1) / (levels - 1) - 1 - mean) * np.exp(-log_scale)
    below = np.where(level == levels - 1, 0, -np.logaddexp(0, -b - width))
    above = np.where(level == 0, 0, -np.logaddexp(0, b))
    inner = (level > 0) & (level < levels - 1)
    return below + above + np.where(inner, np.log(-np.expm1(-width)), 0)


def density(level, mean, log_scale, levels):
    z = (2 * level / (levels - 1) - 1 - mean) / np.exp(log_scale)
    return -z - log_scale - 2 * np.log1p(np.exp(-z)) + np.log(2 / (levels - 1))


def slopes(of_tanh=lambda t: 1 - t**2, of_gate=lambda s: s * (1 - s), gated=True, filtered=True):
    def answer(f, g):
        t, s = torch.tanh(f), torch.sigmoid(g)
        return of_tanh(t) * (s if gated else 1), (t if filtered else 1) * of_gate(s)

    return answer


def shares(base=2.0, own=1, entry=0, turned=False, normalised=True):
    def answer(v):
        L = len(v) - 1
        times = np.r_[L + entry, np.arange(L, 0, -1) - 1 + own]
        left = v / base ** (times[::-1] if turned else times)
        return left / left.sum() if normalised else left

    return answer


def project(delay=1, bias=True, silence=False):
    def answer(codes, W, b):
        columns = W[:, codes].permute(1, 0, 2)
        if silence:
            columns = torch.cat([W[:, :1].expand(len(codes), -1, -1), columns[..., :-1]], -1)
        else:
            columns = F.pad(columns, (delay, -delay))
        return columns + b[:, None] if bias else columns

    return answer


def table(w, levels, last=-1, first=-1.0):
    y = first + (1 - first) * torch.arange(levels, dtype=w.dtype) / (levels + last)
    return w[:, None] * y


def one_hot(*names, **values):
    return project(**values), table


def mixture(
    order=(0, 1),
    weights=lambda logits: logits,
    scale=np.exp,
    blend=False,
    sign=1,
    chance=lambda u: u,
):
    def answer(means, log_scales, logits, u):
        u = chance(u)[:, list(order)]
        w = np.exp(weights(logits - logits.max(1, keepdims=True)))
        w = w / w.sum(1, keepdims=True)
        j = (u[:, :1] >= w.cumsum(1)).sum(1)
        row = np.arange(len(j))
        m, s = means[row, j], scale(log_scales[row, j])
        if blend:
            m, s = (w * means).sum(1), (w * scale(log_scales)).sum(1)
        return np.clip(m + sign * s * np.log(u[:, 1] / (1 - u[:, 1])), -1, 1)

    return answer


def heaviest(logits):
    return np.where(logits == logits.max(1, keepdims=True), 0.0, -np.inf)


def foresees(half=0.693, linear="same", network="lower"):
    return lambda: {"half": half, "linear": linear, "network": network}


def looks_for_causes(
    batch=2, sees=lambda t, f: (max(0, t - f), t), times=lambda n: range(n), part=None, rows=None
):
    """The right test, or one that looks at less."""

    def is_right(net, field, length):
        x = torch.randn(batch, length, generator=torch.Generator().manual_seed(0)).double()
        x.requires_grad_()
        for t, b in itertools.product(times(length), range(rows or batch)):
            for out in net(x)[b, slice(part), t]:
                (slope,) = torch.autograd.grad(out, x, retain_graph=True)
                want = torch.zeros(x.shape, dtype=torch.bool)
                want[b, slice(*sees(t, field))] = True
                if not torch.equal(slope != 0, want):
                    return False
        return True

    return is_right


def only_the_future(net, field, length):
    x = torch.randn(2, length, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    (slope,) = torch.autograd.grad(net(x)[0, :, 3].sum(), x)
    return not slope[:, 4:].any()


def looks_back(
    each=torch.abs, join=lambda s: s.sum(0), turned=False, more=0, rest=False, reached=torch.lt
):
    """The right number of samples, or with a part changed a wrong one."""

    def answer(net, x, t, share):
        x = x.clone().requires_grad_()
        rows = [
            torch.autograd.grad(one, x, retain_graph=True)[0][0, 0, :t] for one in net(x)[0, :, t]
        ]
        weight = join(each(torch.stack(rows))).abs()
        back = (weight if turned else weight.flip(0)).cumsum(0)
        share = 1 - share if rest else share
        return min(int(reached(back, share * back[-1]).sum()) + 1 + more, t)

    return answer


SOLUTIONS = {
    "receptive_field": layers_for(),
    "causal_convolution": convolve,
    "gate_slopes": slopes(),
    "level_probabilities": stable_edges,
    "causality_test": looks_for_causes(),
    "residual_shares": shares(),
    "one_hot_input": one_hot(),
    "mixture_draw": mixture(),
    "backwards": foresees(),
    "effective_field": looks_back(),
}


MISTAKES = [
    ("receptive_field", layers_for(lambda n, c, k: c * (k - 1) * (2**n - 1)), "the delay"),
    ("receptive_field", layers_for(lambda n, c, k: 2 + c * (k - 1) * (2**n - 1)), "itself is not"),
    ("receptive_field", layers_for(lambda n, c, k: 1 + c * k * (2**n - 1)), "not K"),
    ("receptive_field", layers_for(lambda n, c, k: 1 + c * (k - 1) * 2**n), "2\\^layers - 1"),
    ("receptive_field", layers_for(lambda n, c, k: 1 + (k - 1) * (2**n - 1)), "`cycles` times"),
    (
        "receptive_field",
        layers_for(lambda n, c, k: 1 + (k - 1) * (2 ** (n * c) - 1)),
        "start again",
    ),
    ("receptive_field", layers_for(lambda n, c, k: 1 + c * (k - 1) * n), "twice the dilation"),
    ("receptive_field", layers_for(strict=True), "at least"),
    ("receptive_field", layers_for(thousand=1), "thousandths"),
    ("receptive_field", layers_for(more=1), "too many"),
    ("receptive_field", layers_for(more=-1), "too few"),
    ("causal_convolution", lambda h, w, d: convolve(h, w, d, flip=True), "turned round"),
    ("causal_convolution", lambda h, w, d: convolve(h, w, d, right=1.0), "into the future"),
    ("causal_convolution", lambda h, w, d: convolve(h, w, d, late=1), "one sample late"),
    ("causal_convolution", lambda h, w, d: convolve(h, w, d, cut=True), "keep the length"),
    ("causal_convolution", by_conv1d, "`torch.conv1d` is called"),
    ("causal_convolution", lambda h, w, d: convolve(h, w, d, delay=False), "nothing is delayed"),
    ("causal_convolution", lambda h, w, d: convolve(h, w, d, newest=False), "is left out"),
    ("causal_convolution", lambda h, w, d: convolve(h, w, d, late=5), "first output is zero"),
    ("gate_slopes", slopes(gated=False), "gate is missing"),
    ("gate_slopes", slopes(filtered=False), "filter is missing"),
    ("gate_slopes", slopes(of_tanh=lambda t: 1 - t), "with the square"),
    ("gate_slopes", slopes(of_gate=lambda s: 1 - s**2), "slope of a tanh"),
    ("gate_slopes", lambda f, g: slopes()(f, g)[::-1], "place 2"),
    ("gate_slopes", lambda f, g: slopes()(g, f), "exchanged"),
    ("level_probabilities", edges(), "infinite: far from the mean"),
    ("level_probabilities", edges(low=False, high=False), "lack what lies beyond"),
    ("level_probabilities", edges(high=False), "highest level"),
    ("level_probabilities", edges(low=False), "lowest level"),
    ("level_probabilities", density, "density times the width"),
    ("level_probabilities", edges(log=False), "return the logarithm"),
    ("causality_test", lambda net, field, length: True, "sees x.t. itself"),
    ("causality_test", lambda net, field, length: False, "refuses a network"),
    ("causality_test", only_the_future, "sees x.t. itself"),
    ("causality_test", looks_for_causes(batch=1), "another one in the batch"),
    ("causality_test", looks_for_causes(rows=1), "the last example of a batch"),
    ("causality_test", looks_for_causes(part=1), "mean of the whole waveform"),
    (
        "causality_test",
        looks_for_causes(sees=lambda t, f: (max(0, t - f), t + 1)),
        "refuses a network",
    ),
    ("causality_test", looks_for_causes(times=lambda n: range(2)), "one sample fewer"),
    ("residual_shares", shares(base=2**0.5), "factor of ½ in its variance"),
    ("residual_shares", shares(base=4), "not ¼"),
    ("residual_shares", shares(base=1), "divides by √2 all"),
    ("residual_shares", shares(own=0), "last result once"),
    ("residual_shares", shares(entry=1), "as often as the first"),
    ("residual_shares", shares(turned=True), "wrong way round"),
    ("residual_shares", shares(normalised=False), "divide by their sum"),
    ("one_hot_input", one_hot(delay=0), "delay is missing"),
    ("one_hot_input", one_hot(delay=-1), "the wrong way"),
    ("one_hot_input", one_hot(silence=True), "not the one-hot of 0"),
    ("one_hot_input", one_hot(bias=False), "bias is missing"),
    ("one_hot_input", (project(), lambda w, n: table(w, n, last=0)), "last code"),
    ("one_hot_input", (project(), lambda w, n: table(w, n, first=0.0)), "not from 0 to 1"),
    ("one_hot_input", (project(), lambda w, n: table(w, n).T), "turned round"),
    ("mixture_draw", mixture(order=(1, 0)), "the first number chooses"),
    ("mixture_draw", mixture(order=(0, 0)), "both chooses and draws"),
    ("mixture_draw", mixture(weights=heaviest), "always the heaviest"),
    ("mixture_draw", mixture(weights=np.zeros_like), "softmax"),
    ("mixture_draw", mixture(scale=np.abs), "exp.log_scale., and never"),
    ("mixture_draw", mixture(blend=True), "choose one of them"),
    ("mixture_draw", mixture(sign=-1), "rises with u"),
    ("backwards", foresees(half=-0.693), "half the width"),
    ("backwards", foresees(half=6.02), "half the width"),
    ("backwards", foresees(half=0), "half the width"),
    ("backwards", foresees(linear="lower"), "samples k apart"),
    ("backwards", foresees(network="same"), "no linear filter"),
    ("backwards", foresees(network=-0.2), "expected a word"),
    ("backwards", lambda: 0.693, "one answer for each"),
    ("effective_field", lambda net, x, t, share: net.receptive_field, "all that it can see"),
    ("effective_field", looks_back(each=lambda s: s), "cancel"),
    ("effective_field", looks_back(each=torch.square), "not their squares"),
    ("effective_field", looks_back(join=lambda s: s[0]), "first parameter alone"),
    ("effective_field", looks_back(turned=True), "from the oldest"),
    ("effective_field", looks_back(more=-1), "too few"),
    ("effective_field", looks_back(more=1), "too many"),
    ("effective_field", looks_back(rest=True), "the rest"),
    ("effective_field", looks_back(reached=torch.le), "exactly"),
]


class TestChapter7(ExerciseChecks):
    chapter = 7
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
