"""Chapter 3: hidden Markov models: forward, backward and Viterbi for any emission, and `GaussianHMM`.

The recursions are written once, compiled, over the transitions that are possible, so that a
left-to-right chain costs O(N S), not O(N S²). `minigen.speech.alignment` runs them on networks of phones.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csc_array, issparse
from scipy.special import logsumexp

from . import mixture
from .compiled import compiled
from .gaussian import Seed, observations, variances
from .mixture import log, log_normal

Logs = ArrayLike | csc_array  # logarithms of probabilities, -inf allowed; sparse: only transitions


@compiled(nogil=True)
def sum_over_paths(  # pragma: no cover (compiled)
    log_b, start, into, source, weight, beam=np.inf
):
    """log Σ_i α_{n-1}(i) a_ij of frame n and state j, (N, S): α without b_j.

    Arcs into[j] … into[j + 1] - 1 lead into j; source, weight: their i, log a_ij.
    """
    n, s = log_b.shape
    sums = np.full((n, s), -np.inf)
    sums[0] = start
    for t in range(1, n):
        alpha = sums[t - 1] + log_b[t - 1]
        alpha = np.where(alpha < alpha.max() - beam, -np.inf, alpha)
        for j in range(s):
            top = -np.inf  # the largest term is taken out: no exp overflows
            for arc in range(into[j], into[j + 1]):
                top = max(top, alpha[source[arc]] + weight[arc])
            if top > -np.inf:
                total = 0.0
                for arc in range(into[j], into[j + 1]):
                    total += np.exp(alpha[source[arc]] + weight[arc] - top)
                sums[t, j] = top + np.log(total)
    return sums


@compiled(nogil=True)
def count_arcs(alpha, after, into, source, weight):  # pragma: no cover (compiled)
    """How often each arc is expected to be taken, (A,); after: log b + log β - log p, (N, S)."""
    count = np.zeros(len(weight))
    for t in range(1, len(alpha)):
        for j in range(alpha.shape[1]):
            if after[t, j] > -np.inf:
                for arc in range(into[j], into[j + 1]):
                    value = alpha[t - 1, source[arc]] + weight[arc] + after[t, j]
                    if value > -60:  # less than e^-60 of a transition is not counted
                        count[arc] += np.exp(value)
    return count


@compiled(nogil=True)
def best_path(log_b, start, end, into, source, weight, beam):  # pragma: no cover (compiled)
    """The most probable path (N,) and its log-probability."""
    n, s = log_b.shape
    best = np.empty((n, s))  # log p of the best path that is in j at t
    for t in range(n):
        for j in range(s):
            top = start[j] if t == 0 else -np.inf
            if t > 0:
                for arc in range(into[j], into[j + 1]):
                    top = max(top, best[t - 1, source[arc]] + weight[arc])
            best[t, j] = top + log_b[t, j]
        if beam < np.inf:
            best[t] = np.where(best[t] < best[t].max() - beam, -np.inf, best[t])
    last = best[n - 1] + end
    path = np.zeros(n, dtype=np.int64)
    path[n - 1] = np.argmax(last)
    for t in range(n - 1, 0, -1):  # where the best came from is found again, only along the path
        top = -np.inf
        for arc in range(into[path[t]], into[path[t] + 1]):
            value = best[t - 1, source[arc]] + weight[arc]
            if value > top:
                top, path[t - 1] = value, source[arc]
    return path, last.max()


def _checked(log_emission, log_transition, log_start, log_end) -> tuple:
    """The arguments of `forward`: b, start, end and (into, source, weight) of the possible arcs."""
    b = np.ascontiguousarray(log_emission, dtype=np.float64)
    if b.ndim != 2 or 0 in b.shape:
        raise ValueError(f"log_emission has shape (N, S), at least one row, not {b.shape}")
    s = b.shape[1]
    given = (np.zeros(s) if v is None else v for v in (log_start, log_end))
    start, end = (np.ascontiguousarray(v, dtype=np.float64) for v in given)
    a = log_transition if issparse(log_transition) else np.asarray(log_transition, dtype=float)
    if a.shape != (s, s) or start.shape != (s,) or end.shape != (s,):
        raise ValueError(
            f"{s} states need log_transition ({s}, {s}), log_start ({s},) and log_end ({s},), "
            f"not {a.shape}, {start.shape} and {end.shape}"
        )
    if issparse(a):
        into, source, weight = a.indptr.astype(np.int64), a.indices.astype(np.int64), a.data
    else:
        target, source = np.nonzero(~(a.T == -np.inf))
        into, weight = np.searchsorted(target, np.arange(s + 1)), a[source, target]
    values = {"log_emission": b, "log_transition": weight, "log_start": start, "log_end": end}
    for name, value in values.items():
        if not (value < np.inf).all():
            raise ValueError(f"{name} has NaN or +inf entries: logarithms are finite or -inf")
    return b, start, end, (into, source, weight)


def _alpha(b, start, end, arcs, beam) -> tuple[np.ndarray, float]:
    alpha = sum_over_paths(b, start, *arcs, beam) + b
    if beam < np.inf:
        alpha[alpha < alpha.max(axis=1, keepdims=True) - beam] = -np.inf
    return alpha, float(logsumexp(alpha[-1] + end))


def _beta(b, end, arcs) -> np.ndarray:
    """β is a sum over paths, too: of the chain that runs backwards, from its end."""
    into, source, weight = arcs
    back = csc_array((weight, source, into), (len(end), len(end))).T.tocsc()
    arcs = back.indptr.astype(np.int64), back.indices.astype(np.int64), back.data
    return sum_over_paths(b[::-1].copy(), end, *arcs, np.inf)[::-1]


def _first_possible(run, beam, b) -> tuple:
    """What `run(beam)` -> (…, log p) finds; without the beam where that has lost every path."""
    if not beam > 0:
        raise ValueError(f"a beam is a number of nats above 0, not {beam}")
    for width in (beam, np.inf):
        *found, log_prob = run(width)
        if log_prob > -np.inf:
            return *found, float(log_prob)
    raise ValueError(
        f"no path through the {b.shape[1]} states explains these {len(b)} frames: either there are fewer "
        "frames than the chain needs from its start to its end, or some frame has density 0 in every "
        "state that can be reached"
    )


def forward(
    log_emission: Logs, log_transition: Logs, log_start: Logs, log_end: Logs | None = None
) -> tuple[np.ndarray, float]:
    """α_n(j) = p(x_1 … x_n, state n is j), by one sum over the states before, in logarithms.

        α_1(j) = π_j b_j(x_1),   α_n(j) = b_j(x_n) Σ_i α_{n-1}(i) a_ij,   p(x) = Σ_j α_N(j) e_j

    Args:
        log_emission: log b_j(x_n), (N, S). Entries of all arguments may be -inf.
        log_transition: log a_ij, row from, column to, (S, S); or a csc_array of the possible ones.
        log_start: log π_j, (S,). log_end: log e_j, of ending in j, (S,); all 0 by default.

    Returns log α (N, S), and log p(x) in nats, -inf where no path explains the frames.

    References: Rabiner, A Tutorial on Hidden Markov Models and Selected Applications in Speech
    Recognition, 1989.

    >>> _, log_p = forward(np.log([[0.5, 0.1], [0.2, 0.4]]), np.log([[0.9, 0.1], [0.3, 0.7]]),
    ...                    np.log([0.5, 0.5]))
    >>> round(float(np.exp(log_p)), 6)  # ½·0.5·(0.9·0.2 + 0.1·0.4) + ½·0.1·(0.3·0.2 + 0.7·0.4)
    0.072
    """
    return _alpha(*_checked(log_emission, log_transition, log_start, log_end), np.inf)


def backward(log_emission: Logs, log_transition: Logs, log_end: Logs | None = None) -> np.ndarray:
    """β_n(i) = p(x_{n+1} … x_N | state n is i), in logarithms: arguments as in `forward` -> (N, S).

    β_N(i) = e_i,   β_n(i) = Σ_j a_ij b_j(x_{n+1}) β_{n+1}(j),   Σ_i α_n(i) β_n(i) = p(x)
    """
    b, _, end, arcs = _checked(log_emission, log_transition, None, log_end)
    return _beta(b, end, arcs)


def occupancy(
    log_emission: Logs,
    log_transition: Logs,
    log_start: Logs,
    log_end: Logs | None = None,
    beam: float = np.inf,
) -> tuple[np.ndarray, np.ndarray | csc_array, float]:
    """What Baum–Welch counts: where the chain was, and how often it went from i to j.

        γ_n(j) = α_n(j) β_n(j) / p(x),   counts_ij = Σ_n α_{n-1}(i) a_ij b_j(x_n) β_n(j) / p(x)

    Arguments as in `forward`. A state that is `beam` nats behind the best of its frame is given up,
    unless that loses every path. Returns γ (N, S), whose rows sum to 1; counts (S, S), whose sum is
    N - 1, sparse if log_transition is; log p(x). ValueError where no path is possible.
    """
    b, start, end, arcs = _checked(log_emission, log_transition, log_start, log_end)
    alpha, log_prob = _first_possible(lambda width: _alpha(b, start, end, arcs, width), beam, b)
    beta = _beta(np.where(alpha > -np.inf, b, -np.inf), end, arcs)
    taken = count_arcs(alpha, b + beta - log_prob, *arcs)
    counts = csc_array((taken, arcs[1], arcs[0]), (len(end), len(end)))
    sparse = issparse(log_transition)
    return np.exp(alpha + beta - log_prob), counts if sparse else counts.toarray(), log_prob


def viterbi(
    log_emission: Logs,
    log_transition: Logs,
    log_start: Logs,
    log_end: Logs | None = None,
    beam: float = np.inf,
) -> tuple[np.ndarray, float]:
    """The one most probable path of states: `forward` with the sum replaced by the largest term.

    Arguments and errors as in `occupancy`. Returns the path, int (N,), and log p(x, path).

    References: Viterbi, Error Bounds for Convolutional Codes, 1967; Rabiner, 1989.

    >>> frames = np.log([[0.9, 0.1, 0.1], [0.8, 0.3, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9]])
    >>> viterbi(frames, *left_to_right(3, stay=0.5))[0].tolist()
    [0, 0, 1, 2]
    """
    b, start, end, arcs = _checked(log_emission, log_transition, log_start, log_end)
    return _first_possible(lambda width: best_path(b, start, end, *arcs, width), beam, b)


def left_to_right(n_states: int, stay: ArrayLike = 0.5) -> tuple[np.ndarray, ...]:
    """A chain that starts in its first state, stays or steps to the next, and ends from its last.

    `stay` is the probability of staying in a state, one for all or (S,); it lasts 1 / (1 - stay) frames
    on average. Returns log_transition (S, S), log_start (S,), log_end (S,).

    >>> log_transition, log_start, log_end = left_to_right(3, stay=0.75)
    >>> np.exp(log_transition).tolist(), np.exp(log_end).tolist()
    ([[0.75, 0.25, 0.0], [0.0, 0.75, 0.25], [0.0, 0.0, 0.75]], [0.0, 0.0, 0.25])
    """
    if n_states < 1:
        raise ValueError(f"a chain has at least 1 state, not {n_states}")
    stay = np.broadcast_to(np.asarray(stay, dtype=np.float64), (n_states,))
    if not ((stay >= 0) & (stay < 1)).all():
        raise ValueError(f"stay is a probability below 1, not {stay.max()}: the chain must go on")
    transition = np.diag(stay) + np.diag(1 - stay[:-1], 1)
    return log(transition), log(np.eye(n_states)[0]), log(np.eye(n_states)[-1] * (1 - stay))


class GaussianHMM(mixture.EM):
    """A Markov chain of S states, each with a Gaussian.

        p(x_1 … x_N) = Σ over paths s of  π_{s_1} b_{s_1}(x_1) Π_n a_{s_{n-1} s_n} b_{s_n}(x_n)
        b_j(x) = N(x | µ_j, Σ_j)

    A left-to-right chain has a further factor e_{s_N}, the probability of leaving its last state, so that
    it is a density of sequences of every length.

    Args:
        n_states: S. covariance, floor, tol, max_iter, n_init, seed: see `mixture.EM`; an observation
            is a frame.
        topology: "ergodic" (every state after every state) or "left-to-right" (as the function of that
            name; a fit starts from sequences cut in S equal parts).

    After `fit`: start π (S,), transition (S, S), end (S,) or None; means, covs, `converged` and `history`
    as in `GaussianMixture`.

    References: Rabiner, 1989; Bishop, Pattern Recognition and Machine Learning, 2006, section 13.2.

    >>> x = np.repeat([0.0, 5.0, 0.0, 5.0], 25)[:, None] + 0.1 * np.sin(np.arange(100))[:, None]
    >>> model = GaussianHMM(2).fit([x])
    >>> path, _ = model.viterbi(x)
    >>> int(np.sum(path[1:] != path[:-1])), model  # it found the three jumps
    (3, GaussianHMM(n_states=2, covariance='full', topology='ergodic', D=1))
    """

    OPTIONS = ("n_states", "covariance", "topology")
    PARAMETERS = ("start", "transition", "end", "means", "covs")

    def __init__(
        self, n_states: int, covariance: str = "full", topology: str = "ergodic", **options
    ) -> None:
        if topology not in ("ergodic", "left-to-right"):
            raise ValueError(f'topology is "ergodic" or "left-to-right", not {topology!r}')
        super().__init__(n_states, covariance, **options)
        self.n_states, self.topology = n_states, topology

    @classmethod
    def from_parameters(
        cls,
        start: ArrayLike,
        transition: ArrayLike,
        means: ArrayLike,
        covs: ArrayLike,
        end: ArrayLike | None = None,
        covariance: str = "full",
        **options,
    ) -> Self:
        """A model with known parameters, in the shapes that `fit` leaves."""
        topology = "ergodic" if end is None else "left-to-right"
        model = cls(len(means), covariance, topology, **options)
        model.set_components(means, covs)
        s = model.n_states
        leave = np.zeros(s) if end is None else end
        start, transition, leave = (np.array(v, float) for v in (start, transition, leave))
        if (start.shape, transition.shape, leave.shape) != ((s,), (s, s), (s,)):
            raise ValueError(
                f"{s} states need start ({s},), transition ({s}, {s}) and end ({s},), not "
                f"{start.shape}, {transition.shape} and {leave.shape}"
            )
        mixture.check_probabilities(start, "start probabilities")
        mixture.check_probabilities(np.c_[transition, leave], "the rows of transition, with end,")
        model.start, model.transition, model.end = start, transition, None if end is None else leave
        return model

    @property
    def log_transition(self) -> np.ndarray:
        """log a_ij (S, S)."""
        return log(self.transition)

    def _chain(self) -> tuple:
        return self.log_transition, log(self.start), None if self.end is None else log(self.end)

    def log_emission(self, x: ArrayLike) -> np.ndarray:
        """log b_j(x_n): x (N, D) -> (N, S)."""
        self.check_fitted()
        x = observations(x, self.means.shape[1])
        return log_normal(x, self.means, self.covs, self.covariance)

    def log_prob(self, x: ArrayLike | Sequence[ArrayLike]) -> np.ndarray:
        """log p in nats: of one sequence (N, D) -> (), of a list of B of them -> (B,)."""
        if isinstance(x, (list, tuple)) and np.ndim(x[0] if len(x) else 0) == 2:
            return np.array([self.log_prob(sequence) for sequence in x])
        return np.float64(forward(self.log_emission(x), *self._chain())[1])

    def posteriors(self, x: ArrayLike) -> np.ndarray:
        """γ_n(j), the probability of each state at each frame given all frames: (N, D) -> (N, S)."""
        return occupancy(self.log_emission(x), *self._chain())[0]

    def viterbi(self, x: ArrayLike) -> tuple[np.ndarray, float]:
        """The most probable path (N,) and its log p(x, path)."""
        return viterbi(self.log_emission(x), *self._chain())

    def sample(self, n: int | None = None, seed: Seed = 0) -> tuple:
        """Walk the chain and draw a frame at every step -> frames (n, D), states (n,).

        A model that has an end may stop before n frames; with None it goes on to its end.
        """
        self.check_fitted()
        if n is None and self.end is None:
            raise ValueError("this chain has no end: give the number of frames, sample(n)")
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
        return self.draw(np.array(states), rng), np.array(states)

    def fit(
        self, sequences: Sequence[ArrayLike] | ArrayLike, init_from: "GaussianHMM | None" = None
    ) -> Self:
        """Maximum likelihood by Baum–Welch: EM whose hidden variable is the path.

        Args:
            sequences: a list of (N_b, D) arrays; one such array is taken as a list of one.
            init_from: a model whose parameters are the start; transitions that are 0 there stay 0.
        """
        sequences = _sequences(sequences)
        x, lengths = np.concatenate(sequences), np.array([len(q) for q in sequences])
        floor, cuts = self.floor * variances(x), np.cumsum(lengths)[:-1]
        s, in_a_row = self.n_states, self.topology == "left-to-right"
        if in_a_row and lengths.min() < s:
            raise ValueError(
                f"{lengths.min()} frames cannot pass through {s} states in a row: ask for fewer states"
            )

        def initialise(rng: np.random.Generator) -> None:
            if in_a_row:
                labels = np.concatenate([np.arange(n) * s // n for n in lengths])
                possible, first, last = (np.exp(v) > 0 for v in left_to_right(s))
            else:
                labels = mixture.start_labels(x, s, rng)
                possible, first, last = np.ones((s, s)), np.ones(s), np.zeros(s)
            self.transition, self.end = possible, last if in_a_row else None
            gammas = np.split(np.eye(s)[labels], cuts)
            counts = sum(g[:-1].T @ g[1:] for g in gammas)
            m_step(gammas, possible + counts, first, last, None)  # one of each, then what is seen

        def e_step() -> tuple:
            log_b = log_normal(x, self.means, self.covs, self.covariance)  # (N, S)
            found = [occupancy(b, *self._chain()) for b in np.split(log_b, cuts)]
            gammas, counts, log_p = zip(*found, strict=True)
            return sum(log_p) / len(x), gammas, sum(counts), 0, 0, (self.means, self.covs)

        def m_step(gammas: Sequence, counts: np.ndarray, first, last, old: tuple | None) -> None:
            first = first + sum(g[0] for g in gammas)
            last = last + sum(g[-1] for g in gammas)
            self.start = first / first.sum()
            total = counts.sum(axis=1) + (last if in_a_row else 0)
            seen = total > 1e-10  # a state that is never left keeps its row
            total = np.where(seen, total, 1)
            self.transition = np.where(seen[:, None], counts / total[:, None], self.transition)
            self.end = np.where(seen, last / total, self.end) if in_a_row else None
            r = np.concatenate(gammas)
            self.means, self.covs = mixture.weighted_fit(x, r, self.covariance, floor, old)

        self.maximise(x, init_from, initialise, e_step, m_step)
        return self


def _sequences(sequences: Sequence[ArrayLike] | ArrayLike) -> list[np.ndarray]:
    if isinstance(sequences, np.ndarray) and sequences.ndim == 2:
        sequences = [sequences]
    if len(sequences) == 0 or np.ndim(sequences[0]) == 0:
        raise ValueError("sequences are a list of arrays (N, D); of numbers, [x[:, None]]")
    checked = []
    for number, sequence in enumerate(sequences):
        try:
            checked.append(observations(sequence, checked[0].shape[1] if checked else None))
        except ValueError as error:
            raise ValueError(f"sequence {number}: {error}") from None
    return checked
