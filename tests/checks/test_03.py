"""The checks of chapter 3: solutions pass, blanks fail, typical mistakes are named."""

import numpy as np
from exercise_checks import ExerciseChecks
from scipy.special import logsumexp

from minigen.checks import mixtures as checks


def e_step(log_w, log_n):
    joint = log_w + log_n.sum(axis=1)
    return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))


def m_step(x, r, divide=None, centre=None, weights=lambda count, n: count / n):
    count = r.sum(axis=0)
    means = r.T @ x / count[:, None]
    off = x[:, None] - (means if centre is None else centre(x))
    covs = np.einsum("nk,nki,nkj->kij", r, off, off)
    cov = covs.sum(0) / len(x) if divide is None else divide(covs, count)
    return weights(count, len(x)), means, cov


def forward(log_b, log_a, log_pi, total=logsumexp):
    alpha = log_pi + log_b[0]
    for frame in log_b[1:]:
        alpha = frame + total(alpha + log_a.T, axis=1)
    return total(alpha, axis=0)


def forward_without_logs(log_b, log_a, log_pi):
    alpha = np.exp(log_pi + log_b[0])
    for frame in log_b[1:]:
        alpha = np.exp(frame) * (alpha @ np.exp(log_a))
    return np.log(alpha.sum())


def viterbi(log_b, log_a, log_pi):
    best, came_from = log_pi + log_b[0], []
    for frame in log_b[1:]:
        into = best + log_a.T
        came_from.append(into.argmax(axis=1))
        best = frame + into.max(axis=1)
    path = [int(best.argmax())]
    for choice in reversed(came_from):
        path.append(int(choice[path[-1]]))
    return np.array(path[::-1])


def viterbi_without_logs(log_b, log_a, log_pi):
    best, came_from = np.exp(log_pi + log_b[0]), []
    for frame in log_b[1:]:
        into = best * np.exp(log_a.T)
        came_from.append(into.argmax(axis=1))
        best = np.exp(frame) * into.max(axis=1)
    path = [int(best.argmax())]
    for choice in reversed(came_from):
        path.append(int(choice[path[-1]]))
    return np.array(path[::-1])


def state_by_state(log_b, log_a, log_pi):
    from minigen.hmm import occupancy

    return occupancy(log_b, log_a, log_pi)[0].argmax(axis=1)


def greedy(log_b, log_a, log_pi):
    path = [int(np.argmax(log_pi + log_b[0]))]
    for frame in log_b[1:]:
        path.append(int(np.argmax(log_a[path[-1]] + frame)))
    return np.array(path)


def trajectory(m, v, s, u, half=0.5, weight=lambda variance: 1 / variance):
    n = len(m)
    slope = half * (np.eye(n, k=1) - np.eye(n, k=-1))[1:-1]
    w, precision = np.vstack([np.eye(n), slope]), weight(np.concatenate([v, u]))
    return np.linalg.solve((w.T * precision) @ w, (w.T * precision) @ np.concatenate([m, s]))


def predicted(**change):
    """The right prediction with some answers replaced."""
    return lambda: {"commonest": 1, "longer": 0.349, "humps": 1} | change


def sampler_trial(*parts, n=20_000, gap=0.12, bins=None):
    """The right test, or one that looks at some of its parts only."""

    def is_right(sample, pi, a, means, stds):
        first = np.array([sample(1, seed)[0][0] for seed in range(1000)])
        k, x = sample(n, 0)
        states = range(len(pi))
        z = (x - means[k]) / stds[k]
        follow = [np.bincount(k[1:][k[:-1] == i], minlength=len(pi)) for i in states]
        shares = np.array([row / row.sum() for row in follow])
        wrong = {
            "start": np.bincount(first, minlength=len(pi)) / 1000 - pi,
            "steps": shares - a,
            "turned": shares - a.T,
            "centre": [z[k == j].mean() for j in states],
            "width": [z[k == j].std() - 1 for j in states],
            "all frames": [z.mean(), z.std() - 1],
        }
        parts_ = parts or ("start", "steps", "centre", "width")
        return all(np.abs(wrong[part]).max() < gap for part in parts_)

    return is_right


SOLUTIONS = {
    "log_sum_exp": lambda a: logsumexp(a, axis=1),
    "responsibilities": e_step,
    "m_step": m_step,
    "forward": forward,
    "best_path": viterbi,
    "trajectory": trajectory,
    "stays_and_humps": predicted(),
    "sampler_test": sampler_trial(),
}


def softmax(v, axis=1):
    return np.exp(v - logsumexp(v, axis=axis, keepdims=True))


def hard(x, r):
    w, _, covs = m_step(x, r)
    return w, np.stack([x[r.argmax(1) == k].mean(0) for k in range(r.shape[1])]), covs


MISTAKES = [
    ("log_sum_exp", lambda a: logsumexp(a), "axis=1"),
    ("log_sum_exp", lambda a: logsumexp(a, axis=0), "over the columns"),
    ("log_sum_exp", lambda a: np.exp(a).sum(axis=1), "return its logarithm"),
    ("log_sum_exp", lambda a: a.sum(axis=1), "not the sum of the logarithms"),
    ("log_sum_exp", lambda a: a.max(axis=1), "only the largest term"),
    ("log_sum_exp", lambda a: logsumexp(a, axis=1) - a.max(axis=1), "not put back"),
    ("log_sum_exp", lambda a: np.log(np.exp(a).mean(axis=1)), "logarithm of the mean"),
    ("log_sum_exp", lambda a: np.log(np.exp(a).sum(axis=1)), "near -1000 and 1000"),
    (
        "log_sum_exp",
        lambda a: a.max() + np.log(np.exp(a - a.max()).sum(axis=1)),
        "one largest entry for the whole array",
    ),
    (
        "log_sum_exp",
        lambda a: a.min(1) + logsumexp(a - a.min(1, keepdims=True), axis=1),
        "rows with -inf",
    ),
    ("responsibilities", lambda w, n: softmax(n.sum(1)), "weights are missing"),
    ("responsibilities", lambda w, n: softmax((w + n).sum(1)), "drawn once for a recording"),
    ("responsibilities", lambda w, n: softmax(w + n, -1), "one for each frame"),
    ("responsibilities", lambda w, n: softmax(w + n, -1).mean(1), "judged by itself"),
    ("responsibilities", lambda w, n: softmax(w + n.mean(1)), "densities multiply"),
    ("responsibilities", lambda w, n: softmax(w + logsumexp(n, 1)), "they are multiplied"),
    ("responsibilities", lambda w, n: softmax(w + n[:, 0]), "only the first frame"),
    ("responsibilities", lambda w, n: softmax(w + n.sum(1), 0), "over the recordings"),
    ("responsibilities", lambda w, n: np.log(e_step(w, n)), "take the exponential"),
    ("responsibilities", lambda w, n: np.exp(w + n.sum(1)), "divide by p"),
    ("responsibilities", lambda w, n: softmax(np.exp(w) * n.sum(1)), "not its logarithm"),
    ("responsibilities", lambda w, n: np.eye(len(w))[(w + n.sum(1)).argmax(1)], "k-means"),
    (
        "responsibilities",
        lambda w, n: np.exp(w + n.sum(1)) / np.exp(w + n.sum(1)).sum(1, keepdims=True),
        "near -900",
    ),
    (
        "responsibilities",
        lambda w, n: softmax(np.minimum(w + n.sum(1), 700)),
        "near .900",
    ),
    ("m_step", lambda x, r: m_step(x, r)[1:], "three things"),
    ("m_step", lambda x, r: m_step(x, r, weights=lambda c, n: c), "counts N_k"),
    ("m_step", lambda x, r: m_step(x, r, weights=lambda c, n: c * 0 + 1 / len(c)), "all alike"),
    ("m_step", lambda x, r: (m_step(x, r)[0], r.T @ x / len(x), 0), "divided by N"),
    ("m_step", lambda x, r: (m_step(x, r)[0], r.T @ x, 0), "divide by N_k"),
    ("m_step", hard, "k-means"),
    ("m_step", lambda x, r: m_step(x, r, lambda s, c: s / c[:, None, None]), "all share one"),
    (
        "m_step",
        lambda x, r: m_step(x, r, lambda s, c: (s / c[:, None, None]).mean(0)),
        "as if all had as many",
    ),
    ("m_step", lambda x, r: m_step(x, r, lambda s, c: (s / c[:, None, None]).sum(0)), "are added"),
    ("m_step", lambda x, r: m_step(x, r, lambda s, c: s.sum(0)), "sum over all frames"),
    ("m_step", lambda x, r: m_step(x, r, lambda s, c: s.sum(0) / (c.sum() - 3)), "N - K"),
    ("m_step", lambda x, r: m_step(x, r, centre=lambda x: x.mean(0)), "mean of all frames"),
    ("m_step", lambda x, r: m_step(x, r, centre=lambda x: 0), "not subtracted"),
    ("m_step", lambda x, r: (*m_step(x, r)[:2], m_step(x, r)[2] * np.eye(2)), "diagonal"),
    ("forward", lambda b, a, pi: forward(b, a, pi * 0), "π are missing"),
    (
        "forward",
        lambda b, a, pi: forward(b, a, pi - logsumexp(a.T, axis=1) * 0, np.max),
        "one frame",
    ),
    ("forward", lambda b, a, pi: np.exp(forward(b, a, pi)), "return its logarithm"),
    ("forward", lambda b, a, pi: forward(b, a.T, pi), "by columns"),
    (
        "forward",
        lambda b, a, pi: (
            forward(b, a, pi)
            if len(b) == 1
            else logsumexp(pi + b[0]) * 0 + logsumexp(b, axis=1).sum() - len(b) * np.log(3)
        ),
        "transitions are not used",
    ),
    (
        "forward",
        lambda b, a, pi: (
            forward(b, a, pi) if len(b) == 1 else forward(np.r_[b[:-1], b[-1:] * 0], a, pi)
        ),
        "last frame",
    ),
    (
        "forward",
        lambda b, a, pi: (
            forward(b, a, pi) if len(b) == 1 else forward(np.r_[b[:1] * 0, b[1:]], a, pi)
        ),
        "first frame",
    ),
    (
        "forward",
        lambda b, a, pi: forward(b, a, pi) if len(b) == 1 else forward(b, a, pi, np.max),
        "only the best path",
    ),
    ("forward", forward_without_logs, "underflows"),
    ("best_path", lambda b, a, pi: viterbi(b, a, pi)[::-1], "in reverse"),
    ("best_path", lambda b, a, pi: b.argmax(axis=1), "on its own"),
    ("best_path", state_by_state, "from γ"),
    ("best_path", lambda b, a, pi: viterbi(b, a.T, pi), "by columns"),
    ("best_path", lambda b, a, pi: viterbi(b, a, pi * 0), "not used"),
    ("best_path", greedy, "greedy"),
    ("best_path", lambda b, a, pi: viterbi(b, a, pi)[1:], "N frames have N states"),
    ("best_path", viterbi_without_logs, "add logarithms"),
    ("trajectory", lambda m, v, s, u: m, "slopes are not used"),
    ("trajectory", lambda m, v, s, u: trajectory(m, v, s, u, half=1.0), "half is missing"),
    ("trajectory", lambda m, v, s, u: trajectory(m, v, s, u, half=-0.5), "wrong sign"),
    (
        "trajectory",
        lambda m, v, s, u: trajectory(m, v, s, u, weight=lambda w: w),
        "it is by 1 / variance",
    ),
    (
        "trajectory",
        lambda m, v, s, u: trajectory(m, v, s, u, weight=lambda w: w * 0 + 1),
        "variances are not used",
    ),
    (
        "trajectory",
        lambda m, v, s, u: trajectory(m, v, s, u, weight=lambda w: w**-0.5),
        "1 / deviation",
    ),
    ("trajectory", lambda m, v, s, u: trajectory(m, v, s * 0, u), "means s"),
    ("stays_and_humps", predicted(commonest=10), "drawn up by a few long stays"),
    ("stays_and_humps", predicted(longer=0.5), "is not its middle"),
    ("stays_and_humps", predicted(longer=0.9**9), "how often must a stay be kept"),
    ("stays_and_humps", predicted(humps=2), "which way do both bend"),
    ("stays_and_humps", predicted(humps="one"), "expected a number"),
    ("sampler_test", lambda *a: True, "read by columns"),
    ("sampler_test", lambda *a: False, "refuses a chain of 2 states"),
    ("sampler_test", sampler_trial("steps", "centre", "width"), "starts in every state"),
    ("sampler_test", sampler_trial("start", "centre", "width"), "read by columns"),
    ("sampler_test", sampler_trial("start", "steps", "width"), "two states are exchanged"),
    ("sampler_test", sampler_trial("start", "steps"), "of the frame before"),
    ("sampler_test", sampler_trial("start", "steps", "centre"), "multiplied by the variance"),
    ("sampler_test", sampler_trial("start", "turned", "centre", "width"), "refuses a chain"),
    ("sampler_test", sampler_trial(n=300, gap=0.02), "refuses a chain"),
]


class TestChapter3(ExerciseChecks):
    chapter = 3
    checks = checks
    solutions = SOLUTIONS
    mistakes = MISTAKES
