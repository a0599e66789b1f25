"""The hidden Markov model against enumeration of every path, hmmlearn, and what Baum-Welch promises."""

import itertools
import warnings

import numpy as np
import pytest
from hmmlearn import hmm as oracle
from scipy.sparse import csc_array
from scipy.special import logsumexp

from minigen import ConvergenceWarning, data
from minigen.audio import mfcc
from minigen.hmm import GaussianHMM, backward, forward, left_to_right, occupancy, viterbi
from minigen.mixture import COVARIANCES, GaussianMixture

kinds = pytest.mark.parametrize("kind", COVARIANCES)


def chain(s: int = 3, seed: int = 0, end: bool = False, zeros: bool = False):
    """Random log-probabilities: transition (S, S), start (S,), end (S,) or None."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.ones(s + end), size=s)
    if zeros:
        rows[0, 1] = rows[2, 0] = 0.0
    start = rng.dirichlet(np.ones(s))
    with np.errstate(divide="ignore"):
        return np.log(rows[:, :s]), np.log(start), np.log(rows[:, s]) if end else None


def emissions(n: int = 5, s: int = 3, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, s)) * 2


def enumerate_paths(b, a, start, end=None):
    """Every path of states with its log p(x, path), by the definition."""
    n, s = b.shape
    paths = np.array(list(itertools.product(range(s), repeat=n)))
    log_p = start[paths[:, 0]] + b[0, paths[:, 0]]
    for t in range(1, n):
        log_p = log_p + a[paths[:, t - 1], paths[:, t]] + b[t, paths[:, t]]
    return paths, log_p if end is None else log_p + end[paths[:, -1]]


cases = pytest.mark.parametrize(
    "options", [{}, {"end": True}, {"zeros": True}, {"end": True, "zeros": True, "seed": 4}]
)


@cases
@pytest.mark.parametrize("n", [1, 2, 6])
def test_the_recursions_equal_enumeration(options, n):
    a, start, end = chain(**options)
    b = emissions(n)
    paths, log_p = enumerate_paths(b, a, start, end)
    total = logsumexp(log_p)
    weight = np.exp(log_p - total)
    gamma, counts, found = occupancy(b, a, start, end)
    want = np.array([[weight[paths[:, t] == j].sum() for j in range(3)] for t in range(n)])
    pairs = np.zeros((3, 3))
    for t in range(1, n):
        np.add.at(pairs, (paths[:, t - 1], paths[:, t]), weight)
    assert np.isclose(found, total, atol=1e-12)
    assert np.allclose(gamma, want, atol=1e-12) and np.allclose(counts, pairs, atol=1e-12)
    path, best = viterbi(b, a, start, end)
    assert np.isclose(best, log_p.max(), atol=1e-12)
    assert np.array_equal(path, paths[np.argmax(log_p)])


@cases
def test_a_sparse_matrix_of_transitions_gives_the_same(options):
    a, start, end = chain(**options)
    b = emissions(20)
    target, source = np.nonzero(a.T > -np.inf)
    into = np.searchsorted(target, np.arange(4))
    sparse = csc_array((a[source, target], source, into), a.shape)  # log 1 = 0 is stored, too
    for function in (forward, occupancy, viterbi):
        for one, other in zip(
            function(b, a, start, end), function(b, sparse, start, end), strict=True
        ):
            assert np.array_equal(one, other.toarray() if hasattr(other, "toarray") else other)
    assert np.array_equal(backward(b, a, end), backward(b, sparse, end))


def test_a_wide_beam_changes_nothing_that_counts():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1)) + np.repeat(np.arange(40), 5)[:, None]
    b, row = -0.5 * (x - np.arange(40)) ** 2, left_to_right(40, stay=0.8)
    gamma, counts, log_p = occupancy(b, *row, beam=50.0)
    exact = occupancy(b, *row)
    assert np.isclose(log_p, exact[2], atol=1e-9) and np.allclose(gamma, exact[0], atol=1e-9)
    assert np.allclose(counts, exact[1], atol=1e-6) and (gamma == 0).mean() > 0.5
    assert np.array_equal(viterbi(b, *row, beam=50.0)[0], viterbi(b, *row)[0])


def test_a_beam_that_loses_every_path_is_dropped():
    """The first state is the best of every frame, but a path must reach the last."""
    b, row = np.zeros((30, 5)), left_to_right(5)
    b[:, 0] = 9.0
    for one, other in zip(occupancy(b, *row, beam=1.0), occupancy(b, *row), strict=True):
        assert np.array_equal(one, other)
    assert viterbi(b, *row, beam=1.0)[1] == viterbi(b, *row)[1]


@cases
def test_alpha_and_beta_meet_at_every_frame(options):
    a, start, end = chain(**options)
    b = emissions(40)
    alpha, total = forward(b, a, start, end)
    beta = backward(b, a, end)
    assert np.allclose(logsumexp(alpha + beta, axis=1), total)


def test_alpha_is_the_joint_of_frames_and_state():
    """And not merely something whose product with beta is right."""
    a, start, _ = chain()
    b = emissions(4)
    alpha, _ = forward(b, a, start)
    for t in range(4):
        paths, log_p = enumerate_paths(b[: t + 1], a, start)
        assert np.allclose(alpha[t], [logsumexp(log_p[paths[:, -1] == j]) for j in range(3)])


def test_thousands_of_frames_do_not_underflow():
    a, start, _ = chain()
    b = emissions(5000) - 50.0  # p(x) is about exp(-250,000)
    gamma, counts, total = occupancy(b, a, start)
    assert np.isfinite(total) and total < -2e5
    assert np.allclose(gamma.sum(axis=1), 1) and np.isclose(counts.sum(), 4999)
    assert np.isclose(total, forward(b + 50.0, a, start)[1] - 250_000)


def test_a_left_to_right_chain_with_hundreds_of_states():
    """A noisy staircase of known borders is found again."""
    rng = np.random.default_rng(0)
    stays = rng.integers(1, 12, size=300)
    truth = np.repeat(np.arange(300), stays)
    x, levels = truth % 7 + 0.1 * rng.normal(size=len(truth)), np.arange(300) % 7
    b = -0.5 * ((x[:, None] - levels) / 0.1) ** 2
    log_transition, log_start, log_end = left_to_right(300, stay=1 - 1 / 6)
    path, log_p = viterbi(b, log_transition, log_start, log_end)
    assert np.array_equal(path, truth)
    gamma, _, total = occupancy(b, log_transition, log_start, log_end)
    assert np.array_equal(gamma.argmax(axis=1), truth) and total >= log_p


def test_left_to_right_lasts_as_long_as_it_says():
    log_transition, log_start, log_end = left_to_right(4, stay=[0.5, 0.8, 0.0, 0.9])
    model = GaussianHMM.from_parameters(
        np.exp(log_start),
        np.exp(log_transition),
        np.arange(4.0)[:, None],
        np.ones(4),
        end=np.exp(log_end),
        covariance="spherical",
    )
    drawn = [model.sample(seed=seed)[1] for seed in range(500)]
    lasted = np.mean([np.bincount(states, minlength=4) for states in drawn], axis=0)
    assert np.allclose(lasted, [2, 5, 1, 10], rtol=0.12)
    for states, seed in zip(drawn, range(20), strict=False):  # the same walk, cut
        assert np.array_equal(model.sample(8, seed)[1], states[:8])
    assert all((np.diff(states) >= 0).all() and states[-1] == 3 for states in drawn)


def test_a_chain_with_an_end_is_a_density_of_sequences_of_every_length():
    """With emissions that are 1, p is the probability of the length, and these sum to one."""
    log_transition, log_start, log_end = left_to_right(3, stay=[0.5, 0.7, 0.2])
    lengths = range(1, 200)
    p = [np.exp(forward(np.zeros((n, 3)), log_transition, log_start, log_end)[1]) for n in lengths]
    assert p[0] == p[1] == 0 and np.isclose(sum(p), 1)
    assert np.isclose(np.dot(lengths, p), 2 + 1 / 0.3 + 1 / 0.8)


# ---------------------------------------------------------------- the model


def model(kind: str = "diag", s: int = 3, d: int = 2, seed: int = 0, **options):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(s, d, d + 2))
    full = a @ a.transpose(0, 2, 1) / d
    covs = {
        "full": full,
        "tied": full[0],
        "diag": np.einsum("sii->si", full),
        "spherical": full[:, 0, 0],
    }[kind]
    return GaussianHMM.from_parameters(
        rng.dirichlet(np.ones(s)),
        rng.dirichlet(np.ones(s), size=s) / 2 + np.eye(s) / 2,
        3 * rng.normal(size=(s, d)),
        covs,
        covariance=kind,
        **options,
    )


def as_hmmlearn(ours: GaussianHMM, **options):
    """The same model there; its priors switched off, so that it maximises the likelihood too."""
    off = {"init_params": "", "implementation": "log", "covars_prior": 0.0, **options}
    theirs = oracle.GaussianHMM(
        len(ours.means), ours.covariance, covars_weight=0.0, min_covar=0, **off
    )
    theirs.means_, theirs.covars_ = ours.means, ours.covs
    theirs.n_features = ours.means.shape[1]
    theirs.startprob_, theirs.transmat_ = ours.start, ours.transition
    return theirs


@kinds
def test_log_prob_posteriors_and_path_equal_hmmlearn(kind):
    ours = model(kind)
    theirs = as_hmmlearn(ours)
    x, _ = ours.sample(200, seed=3)
    assert np.isclose(ours.log_prob(x), theirs.score(x), rtol=1e-10)
    assert np.allclose(ours.posteriors(x), theirs.predict_proba(x), atol=1e-8)
    best, path = theirs.decode(x)
    assert np.array_equal(ours.viterbi(x)[0], path) and np.isclose(ours.viterbi(x)[1], best)


@kinds
def test_a_single_step_equals_hmmlearn(kind):
    """Two sequences, one step from the same start: every parameter is the same."""
    start = model(kind)
    x = [start.sample(80, seed=5)[0] + 0.5, start.sample(50, seed=6)[0]]
    theirs = as_hmmlearn(start, n_iter=1, covars_prior=0.0)
    theirs.fit(np.concatenate(x), [80, 50])
    with pytest.warns(ConvergenceWarning):
        ours = GaussianHMM(3, kind, max_iter=1).fit(x, init_from=start)
    assert np.allclose(ours.start, theirs.startprob_)
    assert np.allclose(ours.transition, theirs.transmat_)
    assert np.allclose(ours.means, theirs.means_)
    want = theirs._covars_[:, 0] if kind == "spherical" else theirs._covars_
    assert np.allclose(ours.covs, want)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_nile_equals_hmmlearn(kind):
    """The river's two levels, before and after 1898."""
    x = data.nile().values[:, None].astype(float)
    shape = {"full": (2, 1, 1), "diag": (2, 1), "spherical": (2,)}[kind]
    start = GaussianHMM.from_parameters(
        [0.5, 0.5],
        [[0.9, 0.1], [0.1, 0.9]],
        [[1100.0], [800.0]],
        np.full(shape, 150.0**2),
        covariance=kind,
    )
    ours = GaussianHMM(2, kind, tol=1e-12).fit([x], init_from=start)
    theirs = as_hmmlearn(start, n_iter=5000, tol=1e-10)
    theirs.fit(x)
    assert abs(ours.log_prob(x) - theirs.score(x)) < 1e-4
    assert np.allclose(ours.means, theirs.means_, rtol=1e-5)
    assert np.allclose(ours.transition, theirs.transmat_, atol=1e-5)
    assert np.array_equal(ours.viterbi(x)[0], theirs.predict(x))
    assert np.flatnonzero(np.diff(ours.viterbi(x)[0])).tolist() == [27]  # 1871 + 27 = 1898
    found = GaussianHMM(2, kind, tol=1e-6).fit(x)  # from k-means++
    assert abs(found.log_prob(x) - ours.log_prob(x)) < 1e-2


@kinds
@pytest.mark.parametrize("topology", ["ergodic", "left-to-right"])
@pytest.mark.parametrize("floor", [1e-6, 0.2])
def test_the_likelihood_never_falls(kind, topology, floor):
    truth = model(kind, seed=2)
    x = [truth.sample(n, seed=n)[0] for n in (60, 37, 45)]
    fitted = GaussianHMM(3, kind, topology, floor=floor, tol=1e-6).fit(x)
    assert fitted.converged and len(fitted.history) > 2
    assert np.diff(fitted.history).min() > -1e-10
    assert np.isclose(fitted.history[-1], fitted.log_prob(x).sum() / 142)
    rows = fitted.transition.sum(axis=1) + (0 if fitted.end is None else fitted.end)
    assert np.allclose(rows, 1) and np.isclose(fitted.start.sum(), 1)
    if topology == "left-to-right":
        assert (np.triu(np.tril(fitted.transition, 1)) == fitted.transition).all()
        assert np.array_equal(fitted.start, [1, 0, 0]) and (fitted.end[:2] == 0).all()


def test_transitions_that_are_impossible_at_the_start_stay_so():
    truth = model(seed=2)
    ring = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5]])
    start = GaussianHMM.from_parameters(
        truth.start, ring, truth.means, truth.covs, covariance="diag"
    )
    fitted = GaussianHMM(3, "diag").fit([truth.sample(200)[0]], init_from=start)
    assert (fitted.transition[ring == 0] == 0).all() and not np.allclose(fitted.transition, ring)


def test_the_fit_is_a_stationary_point():
    """No small change of any parameter raises the likelihood to first order."""
    truth = model("diag", seed=2)
    x = [truth.sample(150, seed=n)[0] for n in range(2)]
    fitted = GaussianHMM(3, "diag", tol=1e-13, max_iter=5000).fit(x, init_from=truth)
    best, rng = fitted.log_prob(x).sum(), np.random.default_rng(0)
    for _ in range(10):
        values = []
        bend, shift = rng.normal(size=(2, *fitted.means.shape))
        rows = fitted.transition * rng.normal(size=(3, 3))
        rows -= fitted.transition * rows.sum(axis=1, keepdims=True)  # rows keep their sum
        for e in (1e-4, -1e-4):
            moved = GaussianHMM.from_parameters(
                fitted.start,
                fitted.transition + e * rows,
                fitted.means + e * shift,
                fitted.covs * np.exp(e * bend),
                covariance="diag",
            )
            values.append(moved.log_prob(x).sum())
        assert max(values) < best + 1e-8
        assert abs(values[0] - values[1]) / 2e-4 < 1e-2


def test_recovers_what_it_sampled():
    truth = model("full", seed=7)
    x = [truth.sample(2000, seed=n)[0] for n in range(3)]
    fitted = GaussianHMM(3, "full").fit(x, init_from=truth)
    assert np.allclose(fitted.transition, truth.transition, atol=0.05)
    assert np.allclose(fitted.means, truth.means, atol=0.2)
    held_out = truth.sample(4000, seed=9)[0]
    assert abs(truth.log_prob(held_out) - fitted.log_prob(held_out)) / 4000 < 5e-3


def test_samples_follow_the_chain():
    truth = model("spherical", seed=1)
    x, states = truth.sample(20_000)
    moves = np.zeros((3, 3))
    np.add.at(moves, (states[:-1], states[1:]), 1)
    assert np.allclose(moves / moves.sum(axis=1, keepdims=True), truth.transition, atol=0.03)
    for j in range(3):
        assert np.allclose(x[states == j].mean(axis=0), truth.means[j], atol=0.2)
    again, same = truth.sample(20_000, seed=np.random.default_rng(0))
    assert np.array_equal(x, again) and np.array_equal(states, same)


def test_a_chain_that_forgets_is_the_mixture():
    """With the weights in every row; and its fit is the mixture's where there is one state."""
    x = model().sample(300)[0]
    found = GaussianMixture(3).fit(x)
    forgets = GaussianHMM.from_parameters(
        found.weights, np.tile(found.weights, (3, 1)), found.means, found.covs
    )
    assert np.isclose(forgets.log_prob(x), found.log_prob(x).sum())
    assert np.allclose(forgets.posteriors(x), found.posteriors(x))
    one, same = GaussianMixture(1).fit(x), GaussianHMM(1).fit(x)
    assert np.isclose(one.history[-1], same.history[-1]) and np.allclose(one.covs, same.covs)


def test_several_sequences_are_not_one():
    """Their log-probabilities add, and no transition is counted from one's end to the next's start."""
    truth = model()
    x = [truth.sample(n, seed=n)[0] for n in (5, 9)]
    assert np.allclose(truth.log_prob(x), [truth.log_prob(q) for q in x])
    levels = [np.zeros((20, 1)), np.full((20, 1), 5.0)]
    noisy = [q + 0.1 * np.random.default_rng(0).normal(size=q.shape) for q in levels]
    fitted = GaussianHMM(2, "diag").fit(noisy)
    assert np.allclose(fitted.transition, np.eye(2), atol=1e-6)


def test_of_several_starts_the_best_is_kept():
    x = [model(seed=3).sample(120, seed=n)[0] for n in range(2)]
    rng = np.random.default_rng(0)
    alone = [GaussianHMM(4, "diag", seed=rng).fit(x).history[-1] for _ in range(5)]
    assert GaussianHMM(4, "diag", n_init=5).fit(x).history[-1] == max(alone) > min(alone) + 1e-3


def test_words_recognise_themselves():
    """One left-to-right model a word, trained on one voice at other tempi: it knows the word."""
    words = ("seven", "two", "nine")

    def features(clip):
        return mfcc(clip.audio, clip.rate).T

    models = {
        word: GaussianHMM(5, "diag", topology="left-to-right", floor=1e-2).fit(
            [features(c) for c in data.spoken_digits("slt", word)[:-2]]
        )
        for word in words
    }
    for word in words:
        for clip in data.spoken_digits("slt", word)[-2:]:
            scores = {name: m.log_prob(features(clip)) for name, m in models.items()}
            assert max(scores, key=scores.get) == word


class Transposed(GaussianHMM):
    """The planted mistake: the matrix is read by columns."""

    @property
    def log_transition(self):
        return super().log_transition.T


def test_a_transposed_matrix_lowers_the_likelihood_and_is_refused():
    truth = model(seed=2)
    turn = np.array([[0.1, 0.85, 0.05], [0.05, 0.1, 0.85], [0.85, 0.05, 0.1]])
    truth.transition = turn
    x = [truth.sample(200, seed=n)[0] for n in range(2)]
    wrong = Transposed.from_parameters(
        truth.start, turn, truth.means, truth.covs, covariance="diag"
    )
    with pytest.raises(ArithmeticError, match="lowered the log-likelihood"):
        Transposed(3, "diag").fit(x, init_from=wrong)
    assert GaussianHMM(3, "diag").fit(x, init_from=truth).converged


def test_failure_to_converge_warns_with_what_to_do():
    x = [model().sample(100)[0]]
    with pytest.warns(ConvergenceWarning, match=r"2 steps.*max_iter=4.*fewer Gaussians"):
        fitted = GaussianHMM(3, max_iter=2, tol=1e-12).fit(x)
    assert not fitted.converged and len(fitted.history) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert GaussianHMM(2).fit(x).converged


X = model().sample(30)[0]
NAN = np.where(X == X[4, 1], np.nan, X)
A, PI, _ = chain()
B = emissions()
IN_A_ROW = left_to_right(3)
READY = model()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: GaussianHMM(0), "k=0.*at least 1"),
        (lambda: GaussianHMM(2, "round"), "not 'round'"),
        (lambda: GaussianHMM(2, topology="ring"), "not 'ring'"),
        (lambda: GaussianHMM(2, floor=2), "floor lies"),
        (lambda: GaussianHMM(2).fit([]), "list of arrays"),
        (lambda: GaussianHMM(2).fit([X, X[:0]]), "sequence 1: .*not .0, 2."),
        (lambda: GaussianHMM(2).fit([X, NAN]), "sequence 1: .*NaN"),
        (lambda: GaussianHMM(2).fit([X, X[:, :1]]), "sequence 1: .*2 dimensions"),
        (lambda: GaussianHMM(2).fit([X[0]]), r"sequence 0: .*\(N, D\).*x\[:, None\]"),
        (lambda: GaussianHMM(2).fit(X[:, 0]), r"arrays \(N, D\).*x\[:, None\]"),
        (lambda: GaussianHMM(2).fit(X[:, 0].tolist()), r"arrays \(N, D\).*x\[:, None\]"),
        (lambda: READY.log_prob(X[:, 0]), r"\(N, D\).*x\[:, None\]"),
        (lambda: GaussianHMM(31).fit([X]), "30 observations are too few for 31"),
        (lambda: GaussianHMM(2).fit([np.c_[X, np.ones(30)]]), "column 2.*constant"),
        (
            lambda: GaussianHMM(9, topology="left-to-right").fit([X, X[:8]]),
            "8 frames cannot pass through 9 states",
        ),
        (lambda: GaussianHMM(4).fit([X], init_from=READY), "GaussianHMM.n_states=3.* another"),
        (lambda: GaussianHMM(2).log_prob(X), "no parameters yet"),
        (lambda: GaussianHMM(2).sample(3), "no parameters yet"),
        (lambda: READY.log_prob(X[:, :1]), "2 dimensions"),
        (lambda: READY.log_prob([]), r"\(N, D\)"),
        (lambda: READY.viterbi(NAN), "NaN"),
        (lambda: READY.sample(), "no end"),
        (lambda: READY.sample(0), "not 0"),
        (lambda: forward(B[:0], A, PI), "at least one"),
        (lambda: forward(B, A[:2], PI), r"log_transition \(3, 3\)"),
        (lambda: forward(np.where(B == B[0, 0], np.nan, B), A, PI), "log_emission has NaN"),
        (lambda: forward(B, A, np.full(3, np.inf)), "log_start has NaN or"),
        (lambda: viterbi(B[:2], *IN_A_ROW), "no path through the 3 states explains these 2"),
        (lambda: occupancy(B[:2], *IN_A_ROW), "no path"),
        (lambda: left_to_right(0), "at least 1"),
        (lambda: left_to_right(3, stay=1.0), "must go on"),
        (lambda: left_to_right(3, stay=-0.1), "stay is a probability"),
        (lambda: viterbi(B, A, PI, beam=0), "a beam is .* above 0, not 0"),
        (lambda: occupancy(B, A, PI, beam=np.nan), "a beam is .* not nan"),
        (lambda: forward(B, A, PI, np.zeros(2)), r"log_end \(3,\), not .* and \(2,\)"),
        (lambda: GaussianHMM(3, "full").fit([X], init_from=READY), "of another size"),
        (lambda: GaussianHMM(3, "diag").fit([X[:, :1]], init_from=READY), "of another size"),
        (lambda: GaussianHMM.from_parameters([1], [[1]], [0.0], [[1.0]]), r"\(K, D\)"),
        (lambda: GaussianHMM.from_parameters([1, 0], [[1.0]], [[0.0]], [[[1.0]]]), r"start \(1,\)"),
        (
            lambda: GaussianHMM.from_parameters([1], [[0.5]], [[0.0]], [[[1.0]]], end=[[0.5]]),
            r"end \(1,\), not .* and \(1, 1\)",
        ),
        (
            lambda: GaussianHMM.from_parameters([1.0], [[0.9]], [[0.0]], [[[1.0]]]),
            "transition.*sum to",
        ),
        (
            lambda: GaussianHMM.from_parameters([0.5], [[1.0]], [[0.0]], [[[1.0]]]),
            "start prob.*sum to",
        ),
        (
            lambda: GaussianHMM.from_parameters([1.0], [[1.0]], [[0.0]], [[[0.0]]]),
            "positive definite",
        ),
        (lambda: GaussianHMM.from_parameters([1.0], [[1.0]], [[0.0]], [1.0]), r"\(1, 1, 1\), not"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_beam_gives_up_what_is_far_behind_the_best_of_its_own_frame():
    """However improbable the frames are together: in none does the one state come near the other."""
    log_b = np.tile([-1000.0, -1020.0], (50, 1))
    half = np.log(np.full((2, 2), 0.5))
    whole, counts, log_p = occupancy(log_b, half, half[0])
    beam, same, again = occupancy(log_b, half, half[0], beam=5.0)
    assert (whole[:, 1] > 0).all() and not beam[:, 1].any()
    assert (
        np.allclose(beam, whole)
        and np.allclose(same, counts, atol=1e-6)
        and abs(log_p - again) < 1e-6
    )


def test_a_narrow_beam_forgets_a_path_that_is_behind_for_now():
    """Two states that never meet: the one is ahead at first, the other in the end."""
    log_b, apart = np.array([[3.0, 0.0], [0.0, 50.0], [0.0, 0.0]]), np.log(np.eye(2) + 1e-300)
    for beam, state, log_p in ((2.0, 0, 3.0), (4.0, 1, 50.0), (np.inf, 1, 50.0)):
        path, found = viterbi(log_b, apart, np.zeros(2), beam=beam)
        assert path.tolist() == [state] * 3 and np.isclose(found, log_p)
        gamma, counts, total = occupancy(log_b, apart, np.zeros(2), beam=beam)
        assert gamma[:, state].min() > 0.99 and counts[state, state] > 1.99
        assert np.isclose(total, log_p)


@pytest.mark.parametrize("topology", ["ergodic", "left-to-right"])
def test_a_fit_starts_from_labels_and_one_of_each_possible_transition(topology):
    """Far clusters, of which k-means is sure; in a row, each sequence is cut in equal parts."""
    rng, level = np.random.default_rng(0), np.array([0.0, 50.0, 9.0])
    states = [np.repeat([0, 1, 2], n) for n in (4, 6)]
    if topology == "ergodic":
        states[1] = states[1][::-1]
    x = [level[s][:, None] + rng.normal(size=(len(s), 1)) for s in states]
    with pytest.warns(ConvergenceWarning):
        fitted = GaussianHMM(3, "diag", topology, tol=1e-12, max_iter=1).fit(x)
    in_a_row = topology == "left-to-right"
    counts = np.triu(np.tril(np.ones((3, 3)), 1)) if in_a_row else np.ones((3, 3))
    start, end = (np.eye(3)[[0, 2]]) if in_a_row else (np.ones(3), np.zeros(3))
    for s in states:
        np.add.at(counts, (s[:-1], s[1:]), 1)
        start, end = start + np.eye(3)[s[0]], end + in_a_row * np.eye(3)[s[-1]]
    rows, joined = counts.sum(axis=1) + end, np.concatenate(x)
    parts = [joined[np.concatenate(states) == j] for j in range(3)]
    want = GaussianHMM.from_parameters(
        start / start.sum(),
        counts / rows[:, None],
        [part.mean(axis=0) for part in parts],
        [part.var(axis=0) for part in parts],
        end=end / rows if in_a_row else None,
        covariance="diag",
    )
    assert np.isclose(fitted.history[0], np.sum(want.log_prob(x)) / 30)


def test_a_state_that_is_never_left_keeps_its_transitions():
    x = np.r_[np.zeros(20), 100.0][:, None] + 0.1 * np.random.default_rng(0).normal(size=(21, 1))
    start = GaussianHMM.from_parameters(
        [0.5, 0.5], [[0.6, 0.4], [0.3, 0.7]], [[0.0], [100.0]], [1.0, 1.0], covariance="spherical"
    )
    fitted = GaussianHMM(2, "spherical").fit(x, init_from=start)
    assert np.allclose(fitted.transition, [[0.95, 0.05], [0.3, 0.7]])


def test_no_transition_is_impossible_because_the_first_labels_lacked_it():
    x = np.repeat([0.0, 2.0], 30)[:, None] + 0.5 * np.random.default_rng(0).normal(size=(60, 1))
    with pytest.warns(ConvergenceWarning):
        fitted = GaussianHMM(2, "diag", max_iter=1).fit(x)
    assert (fitted.transition > 0).all()
