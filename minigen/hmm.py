"""Hidden Markov models: a chain of states that nobody sees, and a density for each.

First the recursions, for any emission: `forward`, `backward`, `occupancy` and `viterbi` take the
log-densities of every frame in every state, (N, S), and the chain's log-probabilities. They visit only the
transitions that are possible, so that a left-to-right chain of S states costs O(N S), not O(N S²).
Then `GaussianHMM`: Gaussian or mixture emissions, fitted by Baum–Welch. `align` and its training, which
join many small models into one long chain, are in `minigen.speech.alignment`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from .gaussian import (
    _check_covs,
    _check_kind,
    _check_weights,
    _data,
    _full,
    _kmeans,
    _log,
    _log_normal,
    _never_down,
    _spread,
    _warn,
    _weighted_fit,
)
from .speech.alignment import PhoneModels, align, align_corpus, train_phones

__all__ = [
    "GaussianHMM",
    "PhoneModels",
    "align",
    "align_corpus",
    "backward",
    "forward",
    "left_to_right",
    "occupancy",
    "train_phones",
    "viterbi",
]


# ---------------------------------------------------------------- the recursions


class _Arcs:
    """The possible transitions i -> j, sorted by target: those into j are numbers[j] … numbers[j+1]-1."""

    def __init__(
        self,
        log_emission: ArrayLike,
        log_transition: ArrayLike,
        log_start: ArrayLike,
        log_end: ArrayLike | None,
    ) -> None:
        b, a, start = (
            np.ascontiguousarray(v, dtype=np.float64)
            for v in (log_emission, log_transition, log_start)
        )
        if b.ndim != 2 or 0 in b.shape:
            raise ValueError(
                f"log_emission has shape (N, S), a row for each frame and at least one, not {b.shape}"
            )
        s = b.shape[1]
        end = np.zeros(s) if log_end is None else np.ascontiguousarray(log_end, dtype=np.float64)
        if a.shape != (s, s) or start.shape != (s,) or end.shape != (s,):
            raise ValueError(
                f"{s} states need log_transition ({s}, {s}), log_start ({s},) and log_end ({s},), "
                f"not {a.shape}, {start.shape} and {end.shape}"
            )
        for name, value in (
            ("log_emission", b),
            ("log_transition", a),
            ("log_start", start),
            ("log_end", end),
        ):
            if np.isnan(value).any() or (value == np.inf).any():
                raise ValueError(f"{name} has NaN or +inf entries: logarithms are finite or -inf")
        target, self.source = np.nonzero(a.T > -np.inf)  # sorted by target, then source
        self.numbers = np.searchsorted(target, np.arange(s + 1))
        self.weight = a[self.source, target]  # log a_ij of each arc
        self.target, self.b, self.start, self.end = target, b, start, end

    def forward(self) -> tuple[np.ndarray, float]:
        log_alpha = _forward(self.b, self.start, self.numbers, self.source, self.weight)
        return log_alpha, float(logsumexp(log_alpha[-1] + self.end))

    def backward(self) -> np.ndarray:
        return _backward(self.b, self.end, self.target, self.source, self.weight)


@njit(cache=True)
def _forward(b, start, numbers, source, weight):  # pragma: no cover (compiled)
    n, s = b.shape
    alpha = np.full((n, s), -np.inf)
    alpha[0] = start + b[0]
    for t in range(1, n):
        for j in range(s):
            top = -np.inf  # the largest term is taken out, so that no exp overflows or is lost
            for arc in range(numbers[j], numbers[j + 1]):
                top = max(top, alpha[t - 1, source[arc]] + weight[arc])
            if top == -np.inf:
                continue
            total = 0.0
            for arc in range(numbers[j], numbers[j + 1]):
                total += np.exp(alpha[t - 1, source[arc]] + weight[arc] - top)
            alpha[t, j] = top + np.log(total) + b[t, j]
    return alpha


@njit(cache=True)
def _backward(b, end, target, source, weight):  # pragma: no cover (compiled)
    n, s = b.shape
    beta = np.full((n, s), -np.inf)
    beta[n - 1] = end
    top, total = np.empty(s), np.empty(s)
    for t in range(n - 2, -1, -1):
        top[:], total[:] = -np.inf, 0.0
        for arc in range(len(weight)):
            value = weight[arc] + b[t + 1, target[arc]] + beta[t + 1, target[arc]]
            top[source[arc]] = max(top[source[arc]], value)
        for arc in range(len(weight)):
            if top[source[arc]] > -np.inf:
                value = weight[arc] + b[t + 1, target[arc]] + beta[t + 1, target[arc]]
                total[source[arc]] += np.exp(value - top[source[arc]])
        for i in range(s):
            if top[i] > -np.inf:
                beta[t, i] = top[i] + np.log(total[i])
    return beta


@njit(cache=True)
def _count(b, alpha, beta, log_prob, target, source, weight):  # pragma: no cover (compiled)
    count = np.zeros(len(weight))
    for t in range(1, len(b)):
        for arc in range(len(weight)):
            i, j = source[arc], target[arc]
            value = alpha[t - 1, i] + weight[arc] + b[t, j] + beta[t, j] - log_prob
            if value > -60:  # e^-60 of a transition changes no digit of the count
                count[arc] += np.exp(value)
    return count


@njit(cache=True)
def _viterbi(b, start, end, numbers, source, weight):  # pragma: no cover (compiled)
    n, s = b.shape
    best, following = start + b[0], np.empty(s)
    came_from = np.zeros((n, s), dtype=np.int32)
    for t in range(1, n):
        for j in range(s):
            top = -np.inf
            for arc in range(numbers[j], numbers[j + 1]):
                value = best[source[arc]] + weight[arc]
                if value > top:
                    top = value
                    came_from[t, j] = source[arc]
            following[j] = top + b[t, j]
        best, following = following, best
    best = best + end
    path = np.empty(n, dtype=np.int64)
    path[n - 1] = np.argmax(best)
    for t in range(n - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path, best.max()


def forward(
    log_emission: ArrayLike,
    log_transition: ArrayLike,
    log_start: ArrayLike,
    log_end: ArrayLike | None = None,
) -> tuple[np.ndarray, float]:
    """α_n(j) = p(x_1 … x_n, state n is j), by one sum over the states before, in logarithms.

        α_1(j) = π_j b_j(x_1),   α_n(j) = b_j(x_n) Σ_i α_{n-1}(i) a_ij,   p(x) = Σ_j α_N(j) e_j

    Args:
        log_emission: log b_j(x_n), (N, S). log_transition: log a_ij, row from, column to, (S, S).
        log_start: log π_j, (S,). log_end: log e_j, of ending in j, (S,); all 0 by default.
        Entries may be -inf.

    Returns:
        log α (N, S), and log p(x) in nats, -inf where no path explains the frames.

    References:
        Rabiner, A Tutorial on Hidden Markov Models and Selected Applications in Speech Recognition, 1989.

    >>> _, log_p = forward(np.log([[0.5, 0.1], [0.2, 0.4]]), np.log([[0.9, 0.1], [0.3, 0.7]]),
    ...                    np.log([0.5, 0.5]))
    >>> round(float(np.exp(log_p)), 6)  # ½·0.5·(0.9·0.2 + 0.1·0.4) + ½·0.1·(0.3·0.2 + 0.7·0.4)
    0.072
    """
    return _Arcs(log_emission, log_transition, log_start, log_end).forward()


def backward(
    log_emission: ArrayLike, log_transition: ArrayLike, log_end: ArrayLike | None = None
) -> np.ndarray:
    """β_n(i) = p(x_{n+1} … x_N | state n is i), in logarithms: arguments as in `forward` -> (N, S).

        β_N(i) = e_i,   β_n(i) = Σ_j a_ij b_j(x_{n+1}) β_{n+1}(j)

    At every n, Σ_i α_n(i) β_n(i) = p(x).
    """
    states = np.shape(log_transition)[-1] if np.ndim(log_transition) else 1
    return _Arcs(log_emission, log_transition, np.zeros(states), log_end).backward()


def occupancy(
    log_emission: ArrayLike,
    log_transition: ArrayLike,
    log_start: ArrayLike,
    log_end: ArrayLike | None = None,
) -> tuple[np.ndarray, np.ndarray, float]:
    """What Baum–Welch counts: where the chain was, and how often it went from i to j.

        γ_n(j) = α_n(j) β_n(j) / p(x),   counts_ij = Σ_n α_{n-1}(i) a_ij b_j(x_n) β_n(j) / p(x)

    Arguments as in `forward`. Returns γ (N, S), whose rows sum to 1, counts (S, S), whose sum is N - 1,
    and log p(x).
    """
    arcs = _Arcs(log_emission, log_transition, log_start, log_end)
    alpha, log_prob = arcs.forward()
    _possible(log_prob, arcs.b)
    beta = arcs.backward()
    counts = np.zeros((arcs.b.shape[1],) * 2)
    counts[arcs.source, arcs.target] = _count(
        arcs.b, alpha, beta, log_prob, arcs.target, arcs.source, arcs.weight
    )
    return np.exp(alpha + beta - log_prob), counts, log_prob


def viterbi(
    log_emission: ArrayLike,
    log_transition: ArrayLike,
    log_start: ArrayLike,
    log_end: ArrayLike | None = None,
) -> tuple[np.ndarray, float]:
    """The one most probable path of states: `forward` with the sum replaced by the largest term.

    Arguments as in `forward`. Returns the path, int (N,), and log p(x, path). Raises ValueError where
    no path is possible.

    References: Viterbi, Error Bounds for Convolutional Codes, 1967; Rabiner, 1989.

    >>> log_transition, log_start, log_end = left_to_right(3, stay=0.5)
    >>> frames = np.log([[0.9, 0.1, 0.1], [0.8, 0.3, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9]])
    >>> viterbi(frames, log_transition, log_start, log_end)[0].tolist()
    [0, 0, 1, 2]
    """
    arcs = _Arcs(log_emission, log_transition, log_start, log_end)
    path, log_prob = _viterbi(arcs.b, arcs.start, arcs.end, arcs.numbers, arcs.source, arcs.weight)
    _possible(log_prob, arcs.b)
    return path, float(log_prob)


def _possible(log_prob: float, b: np.ndarray) -> None:
    if log_prob == -np.inf:
        n, s = b.shape
        raise ValueError(
            f"no path through the {s} states explains these {n} frames: either there are fewer frames "
            "than the chain needs from its start to its end, or some frame has density 0 in every "
            "state that can be reached"
        )


def left_to_right(
    n_states: int, stay: ArrayLike = 0.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A chain that starts in its first state, stays or steps to the next, and ends from its last.

    Args:
        n_states: S. stay: probability of staying in a state, one for all or (S,); it stays
            1 / (1 - stay) frames on average.

    Returns:
        log_transition (S, S), log_start (S,), log_end (S,).

    >>> log_transition, log_start, log_end = left_to_right(3, stay=0.75)
    >>> np.exp(log_transition).tolist(), np.exp(log_end).tolist()
    ([[0.75, 0.25, 0.0], [0.0, 0.75, 0.25], [0.0, 0.0, 0.75]], [0.0, 0.0, 0.25])
    """
    if n_states < 1:
        raise ValueError(f"a chain has at least 1 state, not {n_states}")
    stay = np.broadcast_to(np.asarray(stay, dtype=np.float64), (n_states,))
    if not ((stay >= 0) & (stay < 1)).all():
        raise ValueError(f"stay is a probability below 1, not {stay.max()}: the chain must go on")
    transition, end = np.diag(stay), np.zeros(n_states)
    transition[np.arange(n_states - 1), np.arange(1, n_states)] = 1 - stay[:-1]
    end[-1] = 1 - stay[-1]
    return _log(transition), _log(np.eye(n_states)[0]), _log(end)


# ---------------------------------------------------------------- the model


class GaussianHMM:
    """A Markov chain of S states, each with a Gaussian or a mixture of M of them.

        p(x_1 … x_N) = Σ over paths s of  π_{s_1} b_{s_1}(x_1) Π_n a_{s_{n-1} s_n} b_{s_n}(x_n)
        b_j(x) = Σ_m w_jm N(x | µ_jm, Σ_jm)

    A left-to-right chain has a further factor e_{s_N}, the probability of leaving its last state, so that
    it is a density of sequences of every length.

    Args:
        n_states: S. covariance: "full", "tied", "diag" or "spherical". n_mix: M.
        topology: "ergodic" (every state after every state), "left-to-right" (as the function of that
            name), or a bool array (S, S) of the transitions that are allowed.
        floor, tol, max_iter, n_init, seed: as in `GaussianMixture`; tol in nats a frame. n_init counts only
            where the start is drawn: a left-to-right chain starts from sequences cut in S equal parts.

    After `fit`: start π (S,), transition (S, S), end (S,) or None, weights (S, M), means (S, M, D), covs
    ((S, M, D, D), (D, D) if tied, (S, M, D), (S, M)), `converged`, and `history`, the mean
    log-likelihood of a frame before each step and after the last.

    References: Rabiner, 1989; Bishop, Pattern Recognition and Machine Learning, 2006, section 13.2.

    >>> x = np.repeat([0.0, 5.0, 0.0, 5.0], 25)[:, None] + 0.1 * np.sin(np.arange(100))[:, None]
    >>> model = GaussianHMM(2).fit([x])
    >>> path, _ = model.viterbi(x)
    >>> int(np.sum(path[1:] != path[:-1]))  # it found the three jumps
    3
    """

    start: np.ndarray
    transition: np.ndarray
    end: np.ndarray | None
    weights: np.ndarray
    means: np.ndarray
    covs: np.ndarray

    def __init__(
        self,
        n_states: int,
        covariance: str = "full",
        n_mix: int = 1,
        topology: str | ArrayLike = "ergodic",
        floor: float = 1e-6,
        tol: float = 1e-6,
        max_iter: int = 500,
        n_init: int = 1,
        seed: int | np.random.Generator = 0,
    ) -> None:
        if min(n_states, n_mix, max_iter, n_init) < 1:
            raise ValueError(f"{n_states=}, {n_mix=}, {max_iter=} and {n_init=} are at least 1")
        if not (0 < floor < 1 and tol > 0):
            raise ValueError(
                f"floor lies between 0 and 1 and tol is positive, not {floor=}, {tol=}"
            )
        if not isinstance(topology, str):
            topology = np.asarray(topology)
            if topology.dtype != bool or topology.shape != (n_states, n_states):
                raise ValueError(
                    f"topology is a bool array ({n_states}, {n_states}), not {topology.dtype} "
                    f"{topology.shape}"
                )
            if not topology.any(axis=1).all():
                raise ValueError("topology has a state without a way on: allow it to stay at least")
        elif topology not in ("ergodic", "left-to-right"):
            raise ValueError(
                f'topology is "ergodic", "left-to-right" or a bool array (S, S), not {topology!r}'
            )
        self.n_states, self.n_mix, self.covariance = n_states, n_mix, _check_kind(covariance)
        self.topology, self.floor, self.tol = topology, floor, tol
        self.max_iter, self.n_init, self.seed = max_iter, n_init, seed
        self.history: list[float] = []
        self.converged = False

    @classmethod
    def of(
        cls,
        start: ArrayLike,
        transition: ArrayLike,
        means: ArrayLike,
        covs: ArrayLike,
        weights: ArrayLike | None = None,
        end: ArrayLike | None = None,
        covariance: str = "full",
        **options,
    ) -> GaussianHMM:
        """A model with known parameters, in the shapes listed under `fit`; weights None means M = 1.

        >>> model = GaussianHMM.of([1, 0], [[0.5, 0.5], [0, 1]], [[[0.0]], [[9.0]]], [[1.0], [1.0]],
        ...                        covariance="spherical")
        >>> model.sample(6)[1].tolist()
        [0, 0, 0, 0, 1, 1]
        """
        start, transition, means, covs = (
            np.array(v, dtype=np.float64) for v in (start, transition, means, covs)
        )
        if means.ndim != 3 or 0 in means.shape:
            raise ValueError(f"means have shape (S, M, D), not {means.shape}")
        s, m, d = means.shape
        weights = np.ones((s, 1)) if weights is None else np.array(weights, dtype=np.float64)
        end = None if end is None else np.array(end, dtype=np.float64)
        shapes = start.shape, transition.shape, weights.shape, (s,) if end is None else end.shape
        if shapes != ((s,), (s, s), (s, m), (s,)):
            raise ValueError(
                f"{s} states with {m} Gaussians need start ({s},), transition ({s}, {s}), weights "
                f"({s}, {m}) and end ({s},), not {', '.join(map(str, shapes))}"
            )
        if not np.isfinite(means).all():
            raise ValueError("the means have NaN or infinite values")
        model = cls(s, covariance, m, **options)
        _check_weights(start, "start probabilities")
        _check_weights(weights)
        if end is None:
            _check_weights(transition, "the rows of transition")
        else:
            _check_weights(np.c_[transition, end], "the rows of transition, with end,")
        _check_covs(model._flat(covs), covariance, s * m, d)
        model.start, model.transition, model.end = start, transition, end
        model.weights, model.means, model.covs = weights, means, covs
        return model

    # Emissions are a mixture's K = S M components; the mixture's functions see them in one row.

    def _flat(self, covs: np.ndarray) -> np.ndarray:
        if self.covariance == "tied":
            return covs
        if covs.shape[:2] != (self.n_states, self.n_mix):
            raise ValueError(
                f"covs start with (S, M) = ({self.n_states}, {self.n_mix}), not {covs.shape}"
            )
        return covs.reshape(-1, *covs.shape[2:])

    def _fitted(self) -> None:
        if not hasattr(self, "means"):
            raise ValueError("this model has no parameters yet: call fit(sequences), or use `of`")

    @property
    def _in_a_row(self) -> bool:
        return isinstance(self.topology, str) and self.topology == "left-to-right"

    def _sequence(self, x: ArrayLike) -> np.ndarray:
        self._fitted()
        return _sequences([x], self.means.shape[2])[0]

    @property
    def log_transition(self) -> np.ndarray:
        """log a_ij (S, S)."""
        self._fitted()
        return _log(self.transition)

    @property
    def log_start(self) -> np.ndarray:
        """log π_j (S,)."""
        self._fitted()
        return _log(self.start)

    @property
    def log_end(self) -> np.ndarray:
        """log e_j (S,); zeros where the model has no end of its own."""
        self._fitted()
        return np.zeros(self.n_states) if self.end is None else _log(self.end)

    def _chain(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.log_transition, self.log_start, self.log_end

    def _log_components(self, x: np.ndarray) -> np.ndarray:
        """log w_jm N(x_n | µ_jm, Σ_jm), (N, S, M)."""
        means, covs = self.means.reshape(-1, self.means.shape[2]), self._flat(self.covs)
        log_n = _log_normal(x, means, covs, self.covariance)  # (N, S·M)
        return _log(self.weights) + log_n.reshape(len(x), self.n_states, self.n_mix)

    def log_emission(self, x: ArrayLike) -> np.ndarray:
        """log b_j(x_n): x (N, D) -> (N, S)."""
        return logsumexp(self._log_components(self._sequence(x)), axis=2)

    def log_prob(self, x: ArrayLike | Sequence[ArrayLike]) -> np.ndarray:
        """log p in nats: of one sequence (N, D) -> (), of a list of B of them -> (B,)."""
        self._fitted()
        if isinstance(x, (list, tuple)) and np.ndim(x[0] if len(x) else 0) == 2:
            return np.array([self.log_prob(sequence) for sequence in x])
        return np.float64(forward(self.log_emission(x), *self._chain())[1])

    def posteriors(self, x: ArrayLike) -> np.ndarray:
        """γ_n(j), the probability of each state at each frame given all frames: (N, D) -> (N, S)."""
        return occupancy(self.log_emission(x), *self._chain())[0]

    def viterbi(self, x: ArrayLike) -> tuple[np.ndarray, float]:
        """The most probable path (N,) and its log p(x, path)."""
        return viterbi(self.log_emission(x), *self._chain())

    def sample(
        self, n: int | None = None, seed: int | np.random.Generator = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Walk the chain and draw a frame at every step -> frames (n, D), states (n,).

        Args:
            n: frames. None: until the chain ends, for a model that has an end. A model that has an
                end may stop before n.
        """
        self._fitted()
        if n is None and self.end is None:
            raise ValueError("this chain has no end: say how many frames, sample(n)")
        if n is not None and n < 1:
            raise ValueError(f"n counts frames, at least 1, not {n}")
        rng = np.random.default_rng(seed)
        go = self.transition if self.end is None else np.c_[self.transition, self.end]
        go = np.cumsum(go / go.sum(axis=1, keepdims=True), axis=1)
        go[:, -1] = 1.0
        states = [int(rng.choice(self.n_states, p=self.start / self.start.sum()))]
        while n is None or len(states) < n:
            following = int(np.searchsorted(go[states[-1]], rng.random(), side="right"))
            if following == self.n_states:
                break
            states.append(following)
        states = np.array(states)
        (s, m, d), chosen = self.means.shape, np.zeros(len(states), dtype=int)
        if m > 1:
            steps = np.cumsum(self.weights, axis=1)[states]  # (n, M)
            chosen = np.minimum((rng.random((len(states), 1)) > steps).sum(axis=1), m - 1)
        covs = _full(self._flat(self.covs), self.covariance, s * m, d)
        z = rng.standard_normal((len(states), d))
        which = states * m + chosen
        roots = np.linalg.cholesky(covs)[which]
        return self.means.reshape(-1, d)[which] + np.einsum("nij,nj->ni", roots, z), states

    def fit(
        self, sequences: Sequence[ArrayLike] | ArrayLike, start: GaussianHMM | None = None
    ) -> GaussianHMM:
        """Maximum likelihood by Baum–Welch: EM whose hidden variable is the path.

        Args:
            sequences: a list of (N_b, D) arrays; one such array is taken as a list of one.
            start: a model of the same shape, whose parameters are the start; transitions that are 0
                there stay 0.
        """
        sequences = _sequences(sequences, None if start is None else _dimension(start))
        x = np.concatenate(sequences)
        floor = self.floor * _spread(x)
        if len(x) < self.n_states * self.n_mix:
            raise ValueError(
                f"{len(x)} frames are too few for {self.n_states} states with {self.n_mix} Gaussians: "
                "ask for fewer, or give more data"
            )
        shortest = min(map(len, sequences))
        if self._in_a_row and shortest < self.n_states:
            raise ValueError(
                f"a sequence of {shortest} frames cannot pass through {self.n_states} states in a "
                "row, one frame each at least: ask for fewer states, or leave it out"
            )
        if start is not None:
            same = ("n_states", "n_mix", "covariance")
            if any(getattr(start, name) != getattr(self, name) for name in same):
                raise ValueError(
                    f"start has {start.n_states} states with {start.n_mix} {start.covariance} "
                    f"Gaussians; this fit needs {self.n_states} with {self.n_mix} {self.covariance}"
                )
            for name in ("start", "transition", "end", "weights", "means", "covs"):
                value = getattr(start, name)
                setattr(self, name, None if value is None else np.array(value))
            self._run(sequences, x, floor)
        else:
            rng, best = np.random.default_rng(self.seed), None
            for _ in range(self.n_init):
                self._begin(sequences, x, floor, rng)
                self._run(sequences, x, floor)
                if best is None or self.history[-1] > best["history"][-1]:
                    best = dict(self.__dict__)
            self.__dict__.update(best)
        if not self.converged:
            gain = self.history[-1] - self.history[-2]
            _warn("Baum-Welch", self.max_iter, gain, self.tol, "frame", "states or Gaussians")
        return self

    def _begin(self, sequences: list, x: np.ndarray, floor: np.ndarray, rng) -> None:
        """A start from labels: k-means++ for any chain, S equal parts for left-to-right."""
        s, m = self.n_states, self.n_mix
        if isinstance(self.topology, str):
            allowed = np.ones((s, s), dtype=bool)
        else:
            allowed = self.topology
        first, last = np.ones(s), None
        if self._in_a_row:
            log_transition, log_start, log_end = left_to_right(s)
            allowed, first, last = log_transition > -np.inf, np.exp(log_start), log_end > -np.inf
            labels = np.concatenate([np.arange(len(q)) * s // len(q) for q in sequences])
        else:
            labels = _kmeans(x, s, rng)
        counts, ends, begin = (
            allowed.astype(float),
            np.zeros(s),
            0,
        )  # one of each, then what is seen
        if last is not None:
            ends += last
        for q in sequences:
            path = labels[begin : begin + len(q)]
            np.add.at(counts, (path[:-1], path[1:]), 1)
            if last is not None:
                ends[path[-1]] += 1
            else:
                first[path[0]] += 1
            begin += len(q)
        counts[~allowed] = 0
        self.start = first / first.sum()
        self.transition = counts / (counts.sum(axis=1) + ends)[:, None]
        self.end = None if last is None else ends / (counts.sum(axis=1) + ends)
        r = np.zeros((len(x), s * m))
        for j in range(s):
            inside = np.flatnonzero(labels == j)
            try:
                parts = _kmeans(x[inside], m, rng) if m > 1 else np.zeros(len(inside), dtype=int)
            except ValueError as error:
                raise ValueError(f"state {j} starts with {len(inside)} frames: {error}") from None
            r[inside, j * m + parts] = 1
        self._emissions(x, r, floor, None)

    def _emissions(
        self, x: np.ndarray, r: np.ndarray, floor: np.ndarray, old: tuple | None
    ) -> None:
        s, m, d = self.n_states, self.n_mix, x.shape[1]
        means, covs = _weighted_fit(x, r, self.covariance, floor, old)
        count = r.sum(axis=0).reshape(s, m)
        total = count.sum(axis=1, keepdims=True)
        if old is None:
            self.weights = count / total
        else:  # a state that has lost all its frames stays as it was
            self.weights = np.where(total > 1e-10, count / np.maximum(total, 1e-10), self.weights)
        self.means = means.reshape(s, m, d)
        self.covs = covs if self.covariance == "tied" else covs.reshape(s, m, *covs.shape[1:])

    def _run(self, sequences: list, x: np.ndarray, floor: np.ndarray) -> None:
        self.history, self.converged = [], False
        cuts = np.cumsum([len(q) for q in sequences])[:-1]
        for step in range(self.max_iter + 1):
            parts = self._log_components(x)  # (N, S, M)
            log_b = logsumexp(parts, axis=2)  # (N, S)
            chain = self._chain()
            counted = [occupancy(b, *chain) for b in np.split(log_b, cuts)]  # E step
            self.history.append(sum(log_p for _, _, log_p in counted) / len(x))
            _never_down(self.history)
            if step and self.history[-1] - self.history[-2] < self.tol:
                self.converged = True
                return
            if step == self.max_iter:
                return
            gamma = np.concatenate([g for g, _, _ in counted])  # (N, S)
            self._step_chain([g for g, _, _ in counted], sum(c for _, c, _ in counted))  # M step
            r = gamma[:, :, None] * np.exp(parts - log_b[:, :, None])  # (N, S, M)
            old = self.means.reshape(-1, x.shape[1]), self._flat(self.covs)
            self._emissions(x, r.reshape(len(x), -1), floor, old)

    def _step_chain(self, gammas: list, counts: np.ndarray) -> None:
        """M step for the chain: each probability becomes the expected share of its transitions."""
        self.start = sum(g[0] for g in gammas) / len(gammas)
        self.start /= self.start.sum()
        ends = np.zeros(self.n_states) if self.end is None else sum(g[-1] for g in gammas)
        total = counts.sum(axis=1) + ends
        seen = total > 1e-10  # a state that is never left keeps its row
        self.transition = np.where(
            seen[:, None], counts / np.where(seen, total, 1)[:, None], self.transition
        )
        if self.end is not None:
            self.end = np.where(seen, ends / np.where(seen, total, 1), self.end)


def _dimension(model: GaussianHMM) -> int:
    model._fitted()
    return model.means.shape[2]


def _sequences(sequences: Sequence[ArrayLike] | ArrayLike, dimension: int | None = None) -> list:
    if isinstance(sequences, np.ndarray) and sequences.ndim == 2:
        sequences = [sequences]
    if len(sequences) == 0:
        raise ValueError("there are no sequences: give a list of arrays (N, D)")
    checked = []
    for number, sequence in enumerate(sequences):
        if np.size(sequence) == 0:
            raise ValueError(
                f"sequence {number} is empty, shape {np.shape(sequence)}: leave it out"
            )
        try:
            checked.append(_data(sequence, dimension or (checked[0].shape[1] if checked else None)))
        except ValueError as error:
            raise ValueError(f"sequence {number}: {error}") from None
    return checked
