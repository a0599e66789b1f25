"""Checks for the exercises of chapter 3."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp

from ..gaussian import Gaussian
from ..mixture import GaussianMixture
from .core import (
    CheckFailed,
    agree,
    compare,
    exercise,
    finds_bugs,
    predicts,
    require,
    responds,
)


@exercise("3.1", "the logarithm of a sum")
def log_sum_exp(function: Callable) -> None:
    """function(a (N, K)) -> (N,)."""
    a = np.array([[0.3, -1.2, 0.5], [2.0, 2.0, -3.0], [-0.7, 0.1, 0.0], [1.0, -2.0, 0.2]])
    want = logsumexp(a, axis=1)
    answer = function(a)
    if np.ndim(answer) == 0:
        raise CheckFailed("✗ rows: a single number. Sum along each row: axis=1")
    if np.shape(answer) == (3,):
        raise CheckFailed("✗ rows: summed over the columns. There is one sum for each row: axis=1")
    rng = np.random.default_rng(0)
    agree(
        function,
        lambda a: logsumexp(a, axis=1),
        [(a,), *((rng.normal(0, 3, shape),) for shape in ((1, 1), (2, 7), (6, 1), (3, 4)))],
        "ordinary rows",
        1e-10,
        [
            (np.exp(want), "this is the sum; return its logarithm"),
            (a.sum(axis=1), "the logarithm of a sum is not the sum of the logarithms"),
            (a.max(axis=1), "this is only the largest term; add log Σ exp(a - max)"),
            (want - a.max(axis=1), "the largest term was taken out and not put back"),
            (
                a.max(axis=1) + (want - a.max(axis=1)) / np.log(10),
                "a logarithm to base 10: np.log is the natural one",
            ),
            (want - np.log(3), "this is the logarithm of the mean: it must be the sum"),
            (
                np.log2(np.exp2(a).sum(1)),
                "powers of 2 and a logarithm to base 2: those of e are meant",
            ),
        ],
    )
    far = np.array([[-1000.0, -1001.0], [1000.0, 998.0], [-1000.0, 1000.0]])
    got = np.asarray(function(far))
    require(
        np.allclose(got, logsumexp(far, axis=1)),
        "rows near -1000 and 1000 are right",
        f"rows near -1000 and 1000 give {got}: exp(-1000) is 0 and exp(1000) infinite for a "
        "computer, and one largest entry for the whole array does not do: take out that of each row",
    )
    zero = np.array([[-np.inf, 0.5], [-2.0, -np.inf]])
    got = np.asarray(function(zero))
    require(
        np.allclose(got, [0.5, -2.0]),
        "a probability of zero (-inf) is no trouble",
        f"rows with -inf give {got}, not [0.5, -2]: exp(-inf) is 0 and adds nothing",
    )


@exercise("3.2", "the E step for whole recordings")
def responsibilities(function: Callable) -> None:
    """function(log_w (K,), log_n (R, N, K)) -> r (R, K)."""
    log_w = np.log([0.7, 0.2, 0.1])
    log_n = np.random.default_rng(1).normal(-1, 1, (4, 3, 3))
    frames = log_n.sum(axis=1)
    joint = log_w + frames

    def normalised(values: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.exp(values - logsumexp(values, axis=axis, keepdims=True))

    answer = np.asarray(function(log_w, log_n))
    if answer.shape == log_n.shape:
        raise CheckFailed(
            "✗ responsibilities: one for each frame. The speaker of a recording is one and the same for "
            "all its frames: (R, K)"
        )
    rng = np.random.default_rng(0)
    others = [
        (np.log(rng.dirichlet(np.ones(k))), rng.normal(0, 2, (r, n, k)))
        for r, n, k in ((1, 2, 1), (2, 1, 5), (7, 4, 2), (3, 3, 3))
    ]
    agree(
        function,
        lambda w, n: normalised(w + n.sum(axis=1)),
        [(log_w, log_n), *others],
        "responsibilities",
        1e-10,
        [
            (normalised(frames), "the weights are missing: p(x, k) = w_k Π_n N(x_n | µ_k, Σ_k)"),
            (normalised(3 * log_w + frames), "w_k counts once for every frame: the speaker is drawn once for a recording"),
            (normalised(log_w + log_n).mean(1), "an average over the frames, each judged by itself"),
            (normalised(log_w + frames / 3), "averaged over the frames: densities multiply, so sum"),
            (normalised(log_w + logsumexp(log_n, axis=1)), "the frames' densities are added: all frames were seen, so they are multiplied"),
            (normalised(log_w + log_n[:, 0]), "only the first frame is used"),
            (normalised(joint, 0), "normalised over the recordings: for each one they sum to one"),
            (np.log(normalised(joint)), "these are the logarithms; take the exponential"),
            (np.exp(joint), "this is p(x, k): divide by p(x), the sum over k"),
            (normalised(frames * np.exp(log_w)), "w_k multiplies the density, not its logarithm"),
            (np.eye(3)[joint.argmax(axis=1)], "0 or 1: this is k-means, EM keeps the probabilities"),
        ],
        steady=[0],
    )  # fmt: skip
    apart = -900.0 * np.arange(1, 5)[:, None, None]
    got = np.asarray(function(log_w, log_n + apart))
    require(
        np.allclose(got, normalised(joint)),
        "recordings far from every mean are no trouble",
        "for log-densities near -900 and lower they are wrong or NaN: 0 / 0. Subtract log p(x), of each "
        "recording its own, before you take the exponential",
    )
    require(
        np.allclose(np.asarray(function(log_w, log_n + 900.0)), normalised(joint)),
        "nor are very narrow Gaussians",
        "for log-densities near +900 they are wrong or NaN: take the largest term out",
    )


@exercise("3.3", "the M step, one covariance for all")
def m_step(function: Callable) -> None:
    """function(x (N, D), r (N, K)) -> w (K,), means (K, D), one covariance (D, D)."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-2, 1.0, (40, 2)), rng.normal(3, 0.5, (20, 2)) + [0, 2]])
    r = rng.dirichlet([1.0, 2.0, 0.5], size=len(x))
    count = r.sum(axis=0)
    means = r.T @ x / count[:, None]

    def scatter(centre: np.ndarray) -> np.ndarray:
        """Sums of products, one matrix a component, (K, D, D)."""
        off = x[:, None] - centre
        return np.einsum("nk,nki,nkj->kij", r, off, off)

    hard = np.eye(3)[r.argmax(1)]
    around, cov = scatter(means), scatter(means).sum(0) / len(x)
    each = around / count[:, None, None]

    def right(x: np.ndarray, r: np.ndarray) -> tuple:
        n = r.sum(0)
        off = x[:, None] - (r.T @ x / n[:, None])
        return n / len(x), r.T @ x / n[:, None], np.einsum("nk,nki,nkj->ij", r, off, off) / len(x)

    shapes = ((5, 1, 1), (4, 3, 2), (20, 2, 5))
    others = [(rng.normal(5, 2, (n, d)), rng.dirichlet(np.ones(k), n)) for n, d, k in shapes]
    hints = {
        "weights": [
            (count, "these are the counts N_k: divide by N, so that the weights sum to one"),
            (hard.mean(0), "each frame went to its likeliest number only: add up r itself"),
            (np.full(3, 1 / 3), "all alike: the weights are N_k / N"),
        ],
        "means": [
            (r.T @ x / len(x), "divided by N: the frames of number k count N_k"),
            (r.T @ x, "this is the sum: divide by N_k"),
            (np.tile(x.mean(axis=0), (3, 1)), "the mean of all frames: weight them by r"),
            (hard.T @ x / hard.sum(0)[:, None], "each frame went to its likeliest number only: that is k-means, use r as weights"),
        ],
        "the covariance": [
            (
                np.einsum("nk,nki,nkj->ij", r**2, x[:, None] - means, x[:, None] - means) / len(x),
                "weighted by r²: frame n counts r_nk times for component k",
            ),
            (lambda got: got.shape == (3, 2, 2), "there are three, one a component: here all share one, (D, D)"),
            (each.mean(0), "the components' covariances are averaged as if all had as many frames: N_k differ"),
            (each.sum(0), "the components' covariances are added: weight them by N_k / N"),
            (around.sum(0), "this is the sum over all frames: divide by N"),
            (around.sum(0) / (len(x) - 3), "divided by N - K: the maximum divides by N"),
            (scatter(x.mean(axis=0)).sum(0) / len(x), "taken about the mean of all frames, not µ_k"),
            (scatter(means * 0).sum(0) / len(x), "the mean is not subtracted: this is Σ x xᵀ / N"),
            (
                np.einsum("nki,nkj->ij", x[:, None] - means, x[:, None] - means) / len(x),
                "r is not used: frame n counts r_nk times for component k",
            ),
            (cov * np.eye(2), "only the diagonal is kept; this exercise wants the full matrix"),
        ],
    }  # fmt: skip
    agree(function, right, [(x, r), *others], tuple(hints), 1e-9, hints, steady=[1])
    start = GaussianMixture.from_parameters(
        np.ones(2) / 2, [[-1, 0], [1, 0]], 4 * np.eye(2), "tied"
    )
    theta, history = (start.weights, start.means, start.covs), []
    for _ in range(20):
        each = [Gaussian(m, theta[2]).log_prob(x) for m in theta[1]]
        joint = np.log(theta[0]) + np.stack(each, axis=1)
        log_p = logsumexp(joint, axis=1)
        history.append(log_p.mean())
        theta = function(x, np.exp(joint - log_p[:, None]))
    require(
        np.diff(history).min() > -1e-10,
        "twenty rounds never lower the likelihood",
        "the likelihood fell in one of twenty rounds: some estimate is not the maximum",
    )
    library = GaussianMixture(2, "tied", tol=1e-12, max_iter=2000).fit(x, init_from=start)
    require(
        abs(history[-1] - library.history[-1]) < 1e-4,
        "they end where the library ends",
        f"after twenty rounds {history[-1]:.5f} nats a frame, the library has {library.history[-1]:.5f}",
    )


def _chain(k: int = 3, n: int = 6, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    log_a = np.log(0.75 * np.roll(np.eye(k), 1, axis=1) + 0.25 * rng.dirichlet(np.ones(k), size=k))
    return rng.normal(size=(n, k)), log_a, np.log(rng.dirichlet(np.full(k, 0.5)))


def _paths(log_b: np.ndarray, log_a: np.ndarray, log_pi: np.ndarray) -> tuple[list, np.ndarray]:
    n, k = log_b.shape
    paths = list(itertools.product(range(k), repeat=n))
    each = [
        log_pi[p[0]]
        + log_b[0, p[0]]
        + sum(log_a[p[t - 1], p[t]] + log_b[t, p[t]] for t in range(1, n))
        for p in paths
    ]
    return paths, np.array(each)


@exercise("3.4", "the forward recursion")
def forward(function: Callable) -> None:
    """function(log_b (N, K), log_a (K, K), log_pi (K,)) -> log p."""
    log_b, log_a, log_pi = _chain()
    right = lambda *chain: _forward(*chain)[1]
    compare(
        function(log_b[:1], log_a, log_pi),
        logsumexp(log_pi + log_b[0]),
        "one frame",
        1e-10,
        [
            (logsumexp(log_b[0]), "the start probabilities π are missing"),
            (logsumexp(log_pi[:, None] + log_a + log_b[0]), "no transition comes before frame 1"),
            (np.exp(logsumexp(log_pi + log_b[0])), "this is p; return its logarithm"),
        ],
        otherwise=responds(function, right, log_b[:1], log_a, log_pi),
    )
    like = np.log(np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]))
    for a, name in ((like, "all paths of a small chain"), (log_a, "a chain with a direction")):
        paths, each = _paths(log_b, a, log_pi)
        inner = np.array([sum(log_b[t, p[t]] for t in range(6)) for p in paths])
        compare(
            function(log_b, a, log_pi),
            logsumexp(each),
            name,
            1e-10,
            [
                (
                    logsumexp(_paths(log_b, a.T, log_pi)[1]),
                    "the transition matrix is read by columns: log_a[i, j] is for i -> j",
                ),
                (each.max(), "only the best path: sum over the states before, not the largest"),
                (logsumexp(inner - 6 * np.log(3)), "the transitions are not used"),
                (
                    logsumexp(
                        each - inner + [sum(log_b[t, p[t]] for t in range(5)) for p in paths]
                    ),
                    "the last frame's density is missing",
                ),
                (
                    logsumexp(each - [log_b[0, p[0]] for p in paths]),
                    "the first frame's density is missing",
                ),
            ],
            otherwise=responds(function, right, log_b, a, log_pi),
        )
    others = [_chain(k, n, seed) for k, n, seed in ((1, 4, 3), (2, 1, 4), (5, 9, 5), (4, 2, 6))]
    agree(function, right, others, "other chains", 1e-9, steady=[1, 2])
    rng = np.random.default_rng(2)
    long = rng.normal(size=(3000, 3)) - 5
    got = function(long, log_a, log_pi)
    _, want = _forward(long, log_a, log_pi)
    require(
        np.isfinite(got) and np.isclose(got, want),
        "3,000 frames do not underflow",
        f"for 3,000 frames you give {float(got):.6g}, not {want:.6g}: α underflows, stay with logarithms",
    )


def _forward(log_b: np.ndarray, log_a: np.ndarray, log_pi: np.ndarray) -> tuple[np.ndarray, float]:
    from ..hmm import forward as library  # here, since it takes numba a second to load

    return library(log_b, log_a, log_pi)


@exercise("3.5", "the most probable path")
def best_path(function: Callable) -> None:
    """function(log_b (N, K), log_a (K, K), log_pi (K,)) -> int (N,)."""
    log_b, log_a, log_pi = _chain(seed=18)
    paths, each = _paths(log_b, log_a, log_pi)
    best = np.array(paths[int(each.argmax())])
    weight = np.exp(each - each.max())
    alone = [
        np.argmax([weight[[p[t] == j for p in paths]].sum() for j in range(3)]) for t in range(6)
    ]
    other = np.array(paths[int(_paths(log_b, log_a.T, log_pi)[1].argmax())])
    free = np.array(paths[int(_paths(log_b, log_a, log_pi * 0)[1].argmax())])
    answer = function(log_b, log_a, log_pi)
    if len(answer) == 2:
        raise CheckFailed("✗ the path: return the states alone, nothing beside them")
    if len(answer) == 5:
        raise CheckFailed("✗ the path: one state is missing, N frames have N states")
    compare(
        answer,
        best,
        "the best of all paths",
        1e-12,
        [
            (best[::-1], "the path is in reverse: it is found from its end, turn it round"),
            (log_b.argmax(axis=1), "each frame on its own: the transitions are not used"),
            (np.array(alone), "the likeliest state of each frame (from γ): not the likeliest path"),
            (other, "the transition matrix is read by columns: log_a[i, j] is for i -> j"),
            (free, "the start probabilities π are not used"),
            (
                _greedy(log_b, log_a, log_pi),
                "greedy: the best state at each step, never revised. Walk back from the end",
            ),
        ],
    )
    from ..hmm import left_to_right
    from ..hmm import viterbi as library

    others = [
        _chain(k, n, s) for k, n, s in ((1, 3, 3), (2, 1, 4), (5, 9, 5), (4, 2, 6), (3, 7, 8))
    ]
    others += [
        (5 * b, a, 0.1 * pi) for b, a, pi in (_chain(4, 1, 9), _chain(5, 2, 10), _chain(3, 4, 11))
    ]
    best = lambda *chain: library(*chain)[0]
    agree(function, best, others, "the best paths of other chains", 1e-9, steady=[1, 2])
    log_a, log_pi, _ = left_to_right(4, 0.7)
    log_b = np.random.default_rng(3).normal(size=(12, 4)) + np.repeat(3 * np.eye(4), 3, axis=0)
    got = np.asarray(function(log_b, log_a, log_pi))
    require(
        np.array_equal(got, library(log_b, log_a, log_pi)[0]),
        "transitions that are impossible (-inf) are never taken",
        f"from left to right you go {got.tolist()}",
    )
    log_b, log_a, log_pi = _chain(4, 2000, 5)
    require(
        np.array_equal(function(log_b - 20, log_a, log_pi), library(log_b, log_a, log_pi)[0]),
        "2,000 frames do not underflow",
        "for 2,000 frames the path is wrong: add logarithms, do not multiply probabilities",
    )


def _greedy(log_b: np.ndarray, log_a: np.ndarray, log_pi: np.ndarray) -> np.ndarray:
    path = [int(np.argmax(log_pi + log_b[0]))]
    for frame in log_b[1:]:
        path.append(int(np.argmax(log_a[path[-1]] + frame)))
    return np.array(path)


@exercise("3.6", "the most likely trajectory")
def trajectory(function: Callable) -> None:
    """function(m (N,), v (N,), s (N - 2,), u (N - 2,)) -> c (N,)."""
    rng = np.random.default_rng(0)
    n = 7
    m, v, s, u = rng.normal(size=n), rng.uniform(0.5, 2, n), rng.normal(size=n - 2), None
    u = rng.uniform(0.1, 1, n - 2)
    slope = (np.eye(n, k=1) - np.eye(n, k=-1))[1:-1]

    def solve(slope: np.ndarray, v: np.ndarray, u: np.ndarray, s: np.ndarray = s) -> np.ndarray:
        w, precision = np.vstack([np.eye(n), slope]), 1 / np.concatenate([v, u])
        return np.linalg.solve((w.T * precision) @ w, (w.T * precision) @ np.concatenate([m, s]))

    def right(m: np.ndarray, v: np.ndarray, s: np.ndarray, u: np.ndarray) -> np.ndarray:
        k = len(m)
        w = np.vstack([np.eye(k), (np.eye(k, k=1) - np.eye(k, k=-1))[1:-1] / 2])
        precision = 1 / np.concatenate([v, u])
        return np.linalg.solve((w.T * precision) @ w, (w.T * precision) @ np.concatenate([m, s]))

    others = [
        (
            rng.normal(0, 9, k),
            rng.uniform(0.1, 9, k),
            rng.normal(size=k - 2),
            rng.uniform(0.1, 2, k - 2),
        )
        for k in (3, 4, 12)
    ]
    agree(
        function,
        right,
        [(m, v, s, u), *others],
        "the trajectory",
        1e-9,
        [
            (m, "these are the means: the slopes are not used"),
            (solve(slope, v, u), "the slope is (c[n+1] - c[n-1]) / 2: the half is missing"),
            (solve(-slope / 2, v, u), "the slope has the wrong sign: later less earlier"),
            (solve(slope / 2, 1 / v, 1 / u), "weighted by the variances: it is by 1 / variance"),
            (solve(slope / 2, v * 0 + 1, u * 0 + 1), "the variances are not used"),
            (solve(slope / 2, v**0.5, u**0.5), "weighted by 1 / deviation: it is 1 / variance"),
            (solve(slope / 2, v, u, s * 0), "the slopes' means s are not used"),
        ],
    )
    loose = np.full(n - 2, 1e12)
    require(
        np.allclose(function(m, v, s, loose), m, atol=1e-6),
        "slopes of no importance leave the means alone",
        "with slopes of variance 10¹² the trajectory must be the means",
    )
    line = np.arange(n) * 0.5
    got = np.asarray(function(line, v, np.full(n - 2, 0.5), u))
    require(
        np.allclose(got, line),
        "a straight line that both agree on is kept",
        f"means on a line with slope 0.5, and slopes of 0.5, must give the line; you give {got.round(3)}",
    )


@exercise("3.7", "predict, then run: stays and humps")
def stays_and_humps(prediction: Callable) -> None:
    """prediction() -> {"commonest": frames, "longer": a share, "humps": how many}."""
    from ..hmm import GaussianHMM

    chain = GaussianHMM.from_parameters(
        [0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], [[0.0], [1.0]], [1.0, 1.0], covariance="spherical"
    )
    states = chain.sample(100_000, seed=1)[1]
    stays = np.diff(np.flatnonzero(np.diff(states)))
    two = GaussianMixture.from_parameters([0.5, 0.5], [[-0.9], [0.9]], [1.0, 1.0], "spherical")
    p = two.log_prob(np.linspace(-4, 4, 801)[:, None])
    predicts(
        prediction,
        {
            "commonest": (
                int(np.bincount(stays).argmax()),
                0.0,
                (
                    "how often is a stay of n frames kept, before it is left? Write down how probable that "
                    "is, for a few n. The average is drawn up by a few long stays"
                ),
            ),
            "longer": (
                float(np.mean(stays > 10)),
                0.07,
                (
                    "how often must a stay be kept, at the least, to be longer than ten frames? And "
                    "the mean of a lopsided distribution is not its middle"
                ),
            ),
            "humps": (
                int(np.sum((p[1:-1] > p[:-2]) & (p[1:-1] > p[2:]))),
                0.0,
                (
                    "a Gaussian bends downwards near its mean and upwards far from it. Where does that change, "
                    "and which way do both bend in the middle?"
                ),
            ),
        },
    )


def _sampler(K: int, bug: str = "", luck: int = 0) -> tuple:
    """sample(n, seed) -> states (n,), frames (n,), and its pi, a, means, stds; or with a planted bug, in one state if
    it is in one: in which one goes by `luck`."""
    rng = np.random.default_rng(K)
    a = 0.4 * np.eye(K) + 0.4 * np.roll(np.eye(K), 1, axis=1) + 0.2 * rng.dirichlet(np.ones(K), K)
    if K == 4:  # a ring: to stay or to go on
        a = 0.6 * np.eye(4) + 0.4 * np.roll(np.eye(4), 1, axis=1)
    pi = 0.55 * np.eye(K)[K - 1] + 0.3 * np.eye(K)[K // 2] + 0.15 * rng.dirichlet(np.ones(K))
    means, stds = 3.0 * rng.permutation(K), np.linspace(0.3, 2.5, K)
    step = a.T / a.sum(0)[:, None] if bug == "columns" else a
    often = np.linalg.matrix_power(a, 200)[0]  # how often it is in each state
    if bug == "forget":
        step = np.tile(often, (K, 1))
    one, way = (-1 - luck) % K, (-1) ** luck
    if bug == "row":
        step = np.where(np.arange(K)[:, None] == one, np.roll(a, 1, axis=1), a)
    if bug == "swap":  # two of a row, though to stay is as probable as it should be
        to, other = (one + 1) % K, (one + 2) % K
        step = a.copy()
        step[one, [to, other]] = a[one, [other, to]]
    rows = np.cumsum(step, axis=1)[:, :-1].tolist()
    start = np.full(K, 1 / K) if bug == "start" else pi[::-1] if bug == "turned" else pi.copy()
    pair = {"last": [-1, -2], "first": [0, K // 2]}.get(bug, [0])
    start[pair] = start[pair[::-1]]
    start = np.cumsum(start)[:-1].tolist()
    # off in two states, so that over all frames it cancels
    off = 0.6 * min(often[:2]) / often * (np.arange(K) < 2) * (-1) ** np.arange(K)
    here = np.arange(K) == one
    centres = means + stds * {"opposite": off, "centre": 0.4 * way * here}.get(bug, 0)
    widths = stds * {"widths": np.sqrt(1 + off), "width": 1 + 0.4 * way * here}.get(bug, 1)

    def sample(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([K, luck, seed])
        u, z = rng.random(n).tolist(), rng.normal(size=n)
        states = [bisect_right(start, u[0])]
        for value in u[1:]:
            states.append(bisect_right(rows[states[-1]], value))
        k = np.array(states)
        made = np.append(k[:1], k[:-1]) if bug == "late" else k
        shown = np.append(means[[1, 0]], means[2:]) if bug == "exchanged" else centres
        return k, shown[made] + z * (stds[made] ** 2 if bug == "variance" else widths[made])

    return sample, pi, a, means, stds


SAMPLER_BUGS = {
    "columns": "the transition matrix is read by columns: from j to i",
    "forget": "each state is drawn anew, whatever the one before: a mixture, not a chain",
    "start": "it starts in every state equally often, not with the probabilities π",
    "turned": "it starts with the probabilities π in reverse order",
    "last": "it starts in the last state as often as in the one before it, and the other way round",
    "first": "it starts in the first state as often as in one further on, and the other way round",
    "row": "from one state it goes on with the row of the matrix turned by one",
    "late": "each frame is drawn from the state of the frame before",
    "exchanged": "the means of two states are exchanged",
    "variance": "the noise is multiplied by the variance, not by the standard deviation",
    "opposite": "one state's mean is too high, another's too low: over all frames it cancels",
    "widths": "one state is too wide, another too narrow: over all frames it cancels",
    "centre": "in one state alone the mean is off, by 0.4 standard deviations",
    "width": "one state alone is too wide, or too narrow",
    "swap": "from one state alone it goes on to the wrong neighbour, though it stays as often as it should",
}


@exercise("3.8", "the test that finds the planted bug")
def sampler_test(is_right: Callable) -> None:
    """is_right(sample, pi, a, means, stds) -> bool, for sample(n, seed) -> states (n,), frames (n,)."""
    finds_bugs(
        is_right,
        [
            (_sampler(K, luck=luck), f"a chain of {K} states")
            for luck in (0, 1, 2)
            for K in (2, 3, 4, 5)
        ],
        [
            (_sampler(K, bug, luck), words)
            for K, luck in ((3, 0), (3, 1), (3, 2), (5, 3))
            for bug, words in SAMPLER_BUGS.items()
        ],
        "start, steps and frames as pi, a, means and stds say, up to the chance of a draw",
    )
