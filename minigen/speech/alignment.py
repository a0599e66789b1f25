"""Forced alignment: when was each phone said? A chain of phone models, trained without any times.

Every phone is a hidden Markov model of a few states from left to right. The phones of a transcript,
joined, are one long chain; the posterior of its states, given the recording, says which frames
belong to which phone. Starting from models that are all alike, the EM algorithm finds both.

Everything is in log-space. The chains are long (thousands of states) but from each state only a few
others are reached, so the recursions run over lists of arcs, compiled by numba.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from .. import ConvergenceWarning
from ..audio import resample, speech_features
from ..data import Utterance
from . import pronunciation as pronounce
from .pronunciation import SILENCE

__all__ = [
    "FRAME",
    "Network",
    "PhoneModels",
    "align",
    "align_corpus",
    "boundary_errors",
    "flat_start",
    "network",
    "train_phones",
]

FRAME = 0.005  # seconds from one row of features to the next
BEAM = 500.0  # nats: a state this far behind the best one of its frame is given up
SETTLED = 0.1  # nats a frame: a smaller rise in an iteration of EM counts as converged

Phones = Sequence[str] | Sequence[Sequence[Sequence[str]]]


# ---------------------------------------------------------------- phone models


@dataclass
class PhoneModels:
    """A left-to-right hidden Markov model for each phone, with mixtures of diagonal Gaussians.

        p(x | state) = Σ_m w_m N(x; µ_m, diag σ²_m),   p(stay) = a,   p(leave for the next) = 1 - a

    Args:
        names: P phones. log_weight: log w (P, S, M). mean, variance: (P, S, M, D).
        log_stay: log a (P, S). frame: seconds a row of features.
        history: log-likelihood a frame before each iteration of EM, in nats, filled by `train_phones`.
    """

    names: tuple[str, ...]
    log_weight: np.ndarray = field(repr=False)
    mean: np.ndarray = field(repr=False)
    variance: np.ndarray = field(repr=False)
    log_stay: np.ndarray = field(repr=False)
    frame: float = FRAME
    history: list[float] = field(default_factory=list, repr=False)

    @property
    def n_states(self) -> int:
        return self.mean.shape[1]

    def component_log_prob(self, features: np.ndarray, used: np.ndarray) -> np.ndarray:
        """log w_m N(x; µ_m, σ²_m) of the states `used` (E,), numbered phone · S + state -> (T, E, M)."""
        m, d = self.mean.shape[2:]
        mean = self.mean.reshape(-1, m, d)[used].reshape(-1, d)  # (E M, D)
        precision = 1 / self.variance.reshape(-1, m, d)[used].reshape(-1, d)
        constant = self.log_weight.reshape(-1, m)[used].ravel() - 0.5 * (
            (mean**2 * precision).sum(1) - np.log(precision).sum(1) + d * np.log(2 * np.pi)
        )
        # -½ (x - µ)²/σ², multiplied out, is two matrix products
        out = features @ (mean * precision).T - 0.5 * (features**2) @ precision.T + constant
        return out.reshape(len(features), len(used), m)

    def split(self) -> PhoneModels:
        """Each Gaussian becomes two, at µ ± 0.2 σ, with half of its weight."""
        step = 0.2 * np.sqrt(self.variance)
        return PhoneModels(
            self.names,
            np.concatenate([self.log_weight, self.log_weight], axis=2) - np.log(2),
            np.concatenate([self.mean - step, self.mean + step], axis=2),
            np.concatenate([self.variance, self.variance], axis=2),
            self.log_stay,
            self.frame,
            self.history,
        )


def flat_start(
    features: Sequence[np.ndarray],
    names: Sequence[str],
    n_states: int = 3,
    frame: float = FRAME,
    silence: str = SILENCE,
) -> PhoneModels:
    """Models that know nothing: every state has the mean and variance of all frames.

    Only silence differs, if it is among the names: it gets those of the quietest tenth of the frames,
    by the first coefficient. No time of any phone is used.
    """
    names = tuple(dict.fromkeys(names))
    if not names or n_states < 1:
        raise ValueError("flat_start needs phones, and at least one state for each")
    x = np.concatenate([_checked(f) for f in features])
    mean = np.tile(x.mean(axis=0), (len(names), n_states, 1, 1))
    variance = np.tile(x.var(axis=0), (len(names), n_states, 1, 1))
    if not (variance > 0).all():
        raise ValueError("a column of the features is constant: remove it")
    if silence in names:
        quiet = x[x[:, 0] <= np.quantile(x[:, 0], 0.1)]
        mean[names.index(silence)] = quiet.mean(axis=0)
        # as wide as the others where quiet frames are nearly alike (digital silence)
        variance[names.index(silence)] = np.maximum(quiet.var(axis=0), 0.1 * x.var(axis=0))
    log_stay = np.full((len(names), n_states), np.log(0.8))
    return PhoneModels(names, np.zeros((len(names), n_states, 1)), mean, variance, log_stay, frame)


# ---------------------------------------------------------------- from a transcript to a network


@dataclass(frozen=True)
class Network:
    """The states that a transcript allows, in order, and the arcs between them.

    Args:
        emission: which state of the models each of the S states is, as phone · n_states + state.
        token: which occurrence of a phone it belongs to, counted from 0, (S,). phones: their names.
        first, last: log-probability to start in, and to end after, each state, (S,).
        arcs: arcs[s] … arcs[s + 1] are the arcs that enter s. source, log_p: where each comes from.
    """

    emission: np.ndarray
    token: np.ndarray
    phones: tuple[str, ...]
    first: np.ndarray
    last: np.ndarray
    arcs: np.ndarray
    source: np.ndarray
    log_p: np.ndarray


def network(phones: Phones, models: PhoneModels, silence: str = SILENCE) -> Network:
    """A transcript as a network of states.

    Args:
        phones: either names, ["s", "ih", "k", "s"], said exactly so; or words, each a list of
            pronunciations, [[["s", "ih", "k", "s"]], …]: then any pronunciation may have been said,
            and silence may stand before, between and after the words. Alternatives are equally
            probable.

    Raises:
        ValueError: nothing to align, or a phone without a model.
    """
    phones = list(phones)
    if not phones:
        raise ValueError("there are no phones to align: the transcript is empty")
    if all(isinstance(phone, str) for phone in phones):
        slots = [[[phone]] for phone in phones]
    else:
        slots = [[[], [silence]]]
        for word in phones:
            ways = [] if isinstance(word, str) else [list(way) for way in word]
            if not ways or not all(ways) or any(isinstance(way, str) for way in word):
                raise ValueError(
                    f"{word!r} is not a list of pronunciations: give each word as [[phone, …], …]"
                )
            slots += [ways, [[], [silence]]]
    number = {name: index for index, name in enumerate(models.names)}
    unknown = sorted({p for slot in slots for way in slot for p in way} - number.keys())
    if unknown:
        raise ValueError(
            f"no model for the phones {', '.join(unknown)}: there are models for "
            f"{', '.join(models.names)}"
        )
    log_leave = np.log1p(-np.exp(models.log_stay))
    emission, token, names = [], [], []
    first: list[float] = []
    arcs: list[list[tuple[int, float]]] = []  # arcs[s]: (where from, log-probability)
    open_ends = [(-1, 0.0)]  # states that the next slot may be entered from; -1 is the start
    for slot in slots:
        choice, ends = -np.log(len(slot)), []
        for way in slot:
            entry = [(source, log_p + choice) for source, log_p in open_ends]
            for phone in way:
                index = number[phone]
                for state in range(models.n_states):
                    s = len(emission)
                    emission.append(index * models.n_states + state)
                    token.append(len(names))
                    first.append(logsumexp([p for src, p in entry if src < 0] or [-np.inf]))
                    arcs.append([(s, models.log_stay[index, state])])
                    arcs[-1] += [arc for arc in entry if arc[0] >= 0]
                    entry = [(s, log_leave[index, state])]
                names.append(phone)
            ends += entry
        open_ends = ends
    last = np.full(len(emission), -np.inf)
    for source, log_p in open_ends:
        last[source] = np.logaddexp(last[source], log_p)
    flat = [arc for incoming in arcs for arc in incoming]
    return Network(
        np.array(emission),
        np.array(token),
        tuple(names),
        np.array(first, dtype=float),
        last,
        np.cumsum([0] + [len(incoming) for incoming in arcs]),
        np.array([source for source, _ in flat]),
        np.array([log_p for _, log_p in flat], dtype=float),
    )


# ---------------------------------------------------------------- recursions over arcs


@njit(cache=True, nogil=True)
def _log_add(a: float, b: float) -> float:  # pragma: no cover (compiled)
    if a < b:
        a, b = b, a
    if b == -np.inf or a - b > 40:
        return a
    return a + np.log1p(np.exp(b - a))


@njit(cache=True, nogil=True)
def _forward(log_b, column, first, arcs, source, log_p, beam):  # pragma: no cover (compiled)
    """alpha[t, s] = log_b[t, s] + log Σ_arcs exp(alpha[t-1, source] + log_p) -> (T, S)."""
    frames, states = len(log_b), len(first)
    alpha = np.full((frames, states), -np.inf)
    for s in range(states):
        alpha[0, s] = first[s] + log_b[0, column[s]]
    for t in range(1, frames):
        best = -np.inf
        for s in range(states):
            total = -np.inf
            for arc in range(arcs[s], arcs[s + 1]):
                total = _log_add(total, alpha[t - 1, source[arc]] + log_p[arc])
            if total > -np.inf:
                alpha[t, s] = total + log_b[t, column[s]]
                best = max(best, alpha[t, s])
        for s in range(states):
            if alpha[t, s] < best - beam:
                alpha[t, s] = -np.inf
    return alpha


@njit(cache=True, nogil=True)
def _backward(alpha, log_b, column, last, arcs, source, log_p, log_likelihood):  # pragma: no cover
    """-> posterior of each column of log_b at each frame (T, E), expected self-loops (E,).

    beta[t, s] = log Σ_arcs from s exp(log_p + log_b[t+1, s'] + beta[t+1, s']), kept for one frame.
    """
    frames, states = alpha.shape
    gamma = np.zeros(log_b.shape)
    stays = np.zeros(log_b.shape[1])
    beta = last.copy()
    for t in range(frames - 1, -1, -1):
        for s in range(states):
            if alpha[t, s] > -np.inf:
                gamma[t, column[s]] += np.exp(alpha[t, s] + beta[s] - log_likelihood)
        if t == 0:
            break
        before = np.full(states, -np.inf)
        for s in range(states):
            if alpha[t, s] == -np.inf or beta[s] == -np.inf:
                continue
            here = log_b[t, column[s]] + beta[s]
            for arc in range(arcs[s], arcs[s + 1]):
                i = source[arc]
                if alpha[t - 1, i] == -np.inf:
                    continue
                before[i] = _log_add(before[i], log_p[arc] + here)
                if i == s:
                    stays[column[s]] += np.exp(alpha[t - 1, s] + log_p[arc] + here - log_likelihood)
        beta = before
    return gamma, stays


@njit(cache=True, nogil=True)
def _viterbi(log_b, column, first, last, arcs, source, log_p, beam):  # pragma: no cover (compiled)
    """-> the likeliest path of states (T,), its log-probability."""
    frames, states = len(log_b), len(first)
    came = np.zeros((frames, states), dtype=np.uint16)  # which of the arcs into s
    best = np.empty(states)
    for s in range(states):
        best[s] = first[s] + log_b[0, column[s]]
    for t in range(1, frames):
        new = np.full(states, -np.inf)
        for s in range(states):
            top, which = -np.inf, 0
            for arc in range(arcs[s], arcs[s + 1]):
                value = best[source[arc]] + log_p[arc]
                if value > top:
                    top, which = value, arc - arcs[s]
            if top > -np.inf:
                new[s] = top + log_b[t, column[s]]
                came[t, s] = which
        best = np.where(new < new.max() - beam, -np.inf, new)
    path = np.empty(frames, dtype=np.int64)
    path[-1] = np.argmax(best + last)
    score = best[path[-1]] + last[path[-1]]
    for t in range(frames - 1, 0, -1):
        s = path[t]
        path[t - 1] = source[arcs[s] + came[t, s]]
    return path, score


# ---------------------------------------------------------------- training


@dataclass
class _Statistics:
    """Sums over frames, weighted by the posterior of each state and component."""

    log_likelihood: float
    frames: int
    used: np.ndarray  # states of the models, (E,)
    stays: np.ndarray  # (E,)
    weight: np.ndarray  # (E, M)
    first: np.ndarray  # Σ γ x, (E, M, D)
    second: np.ndarray  # Σ γ x², (E, M, D)


def _expect(features: np.ndarray, phones: Phones, models: PhoneModels) -> _Statistics:
    net = network(phones, models)
    used, column = np.unique(net.emission, return_inverse=True)
    parts = models.component_log_prob(features, used)  # (T, E, M)
    log_b = logsumexp(parts, axis=2) if parts.shape[2] > 1 else parts[:, :, 0]
    graph = (net.arcs, net.source, net.log_p)
    for beam in (BEAM, np.inf):  # the beam may lose every path: then without it
        alpha = _forward(log_b, column, net.first, *graph, beam)
        log_likelihood = logsumexp(alpha[-1] + net.last)
        if np.isfinite(log_likelihood):
            break
    else:
        raise ValueError(_too_short(features, net, models))
    gamma, stays = _backward(alpha, log_b, column, net.last, *graph, log_likelihood)
    share = gamma[:, :, None] * np.exp(parts - log_b[:, :, None])  # (T, E, M)
    flat = share.reshape(len(features), -1)
    shape = (*share.shape[1:], features.shape[1])
    return _Statistics(
        float(log_likelihood),
        len(features),
        used,
        stays,
        share.sum(axis=0),
        (flat.T @ features).reshape(shape),
        (flat.T @ features**2).reshape(shape),
    )


def _too_short(features: np.ndarray, net: Network, models: PhoneModels) -> str:
    return (
        f"{len(features)} frames ({len(features) * models.frame:.2f} s) are too few for this "
        f"transcript of up to {len(net.phones)} phones with {models.n_states} states each: does the "
        "text belong to the recording?"
    )


def _maximise(found: Sequence[_Statistics], models: PhoneModels, floor: np.ndarray) -> PhoneModels:
    p, s, m, d = models.mean.shape
    stays, weight = np.zeros(p * s), np.zeros((p * s, m))
    first, second = np.zeros((2, p * s, m, d))
    for part in found:
        stays[part.used] += part.stays
        weight[part.used] += part.weight
        first[part.used] += part.first
        second[part.used] += part.second
    enough = (weight > 3)[:, :, None]  # else too few frames to say anything new
    safe = np.maximum(weight, 1e-10)[:, :, None]
    mean = np.where(enough, first / safe, models.mean.reshape(-1, m, d))
    variance = np.where(enough, second / safe - mean**2, models.variance.reshape(-1, m, d))
    occupied = weight.sum(axis=1)  # (P S,)
    stay = np.where(
        occupied > 3, stays / np.maximum(occupied, 1e-10), np.exp(models.log_stay.ravel())
    )
    share = np.where(
        occupied[:, None] > 3,
        np.maximum(weight, 1e-5) / np.maximum(weight, 1e-5).sum(axis=1, keepdims=True),
        np.exp(models.log_weight.reshape(-1, m)),
    )
    return PhoneModels(
        models.names,
        np.log(share).reshape(p, s, m),
        mean.reshape(p, s, m, d),
        np.maximum(variance, floor).reshape(p, s, m, d),
        np.log(np.clip(stay, 0.01, 0.999)).reshape(p, s),
        models.frame,
        models.history,
    )


def train_phones(
    features: Sequence[ArrayLike],
    transcripts: Sequence[Phones],
    models: PhoneModels | None = None,
    iterations: int = 12,
    splits: int = 1,
    frame: float = FRAME,
    n_states: int = 3,
    workers: int = 2,
) -> PhoneModels:
    """Train phone models on recordings and transcripts: no time of any phone is known.

    Embedded Baum-Welch: in each iteration, forward and backward over the network of each transcript
    give the posterior γ[t, state, m], and each Gaussian gets the mean and variance of all frames,
    weighted by its γ. The log-likelihood cannot fall, but for floors: variances stay above 1 % of the
    variance of all frames.

    Args:
        features: one (N, D) a recording. transcripts: for each, what `network` takes.
        models: to start from; by default `flat_start`.
        iterations: of EM with one Gaussian a state; two thirds as many again after each of `splits`
            doublings of the number of Gaussians.
        workers: threads.

    Returns:
        models, with `history`, the log-likelihood a frame before each iteration. A ConvergenceWarning
        says when the last iteration but one still raised it by more than 0.1 nats.

    Raises:
        ValueError: recordings and transcripts do not match, or a recording is too short for its own.
    """
    if iterations < 1 or splits < 0 or workers < 1:
        raise ValueError(
            f"need iterations >= 1, splits >= 0 and workers >= 1, not {iterations}, {splits}, {workers}"
        )
    data = [_checked(f) for f in features]
    transcripts = list(transcripts)
    if not data or len(data) != len(transcripts):
        raise ValueError(f"{len(data)} recordings, but {len(transcripts)} transcripts")
    if models is None:
        names = sorted({phone for script in transcripts for phone in _names(script)})
        models = flat_start(data, names, n_states, frame)
    floor = 0.01 * np.concatenate(data).var(axis=0)
    models.history = []
    order = sorted(range(len(data)), key=lambda i: -len(data[i]))  # long ones first: threads even
    with ThreadPoolExecutor(workers) as pool:
        for turn in range(splits + 1):
            if turn:
                models = models.split()
            for _ in range(iterations if turn == 0 else max(1, 2 * iterations // 3)):
                now = models
                work = pool.map(lambda i: _expect(data[i], transcripts[i], now), order)  # noqa: B023
                found = list(work)
                total = sum(part.log_likelihood for part in found)
                models.history.append(total / sum(part.frames for part in found))
                models = _maximise(found, models, floor)
    rise = models.history[-1] - models.history[-2] if iterations > 1 else np.inf
    if rise > SETTLED:
        warnings.warn(
            f"after {iterations} iterations the log-likelihood still rises by {rise:.2g} nats a frame: "
            f"call with more, iterations={2 * iterations} for one",
            ConvergenceWarning,
            stacklevel=2,
        )
    return models


def _names(phones: Phones) -> set[str]:
    """All phones of a transcript; silence, if it is made of words."""
    phones = list(phones)
    if all(isinstance(phone, str) for phone in phones):
        return set(phones)
    return {SILENCE} | {phone for word in phones for way in word for phone in way}


def _checked(features: ArrayLike) -> np.ndarray:
    features = np.asarray(features, dtype=float)
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(f"features have shape (N, D), one row a frame, not {features.shape}")
    if not np.isfinite(features).all():
        raise ValueError("the features have NaN or infinite values")
    return features


# ---------------------------------------------------------------- alignment


def align(
    features: ArrayLike, phones: Phones, models: PhoneModels
) -> list[tuple[str, float, float]]:
    """The likeliest times of the phones of a transcript -> [(phone, start_s, end_s)], without gaps.

    Viterbi's path through the network of `network(phones, models)`. Row n of the features is centred
    on n · frame, so a phone that begins with row n begins at (n - ½) · frame.

    Args:
        features: (N, D), as the models were trained on. phones: names, or words with pronunciations.

    Raises:
        ValueError: a phone without a model, features of another size, or fewer frames than states.
    """
    features = _checked(features)
    if features.shape[1] != models.mean.shape[3]:
        raise ValueError(
            f"the models know features of {models.mean.shape[3]} columns, not {features.shape[1]}"
        )
    net = network(phones, models)
    used, column = np.unique(net.emission, return_inverse=True)
    log_b = logsumexp(models.component_log_prob(features, used), axis=2)
    for beam in (BEAM, np.inf):
        path, score = _viterbi(
            log_b, column, net.first, net.last, net.arcs, net.source, net.log_p, beam
        )
        if np.isfinite(score):
            break
    else:
        raise ValueError(_too_short(features, net, models))
    token = net.token[path]  # (N,)
    starts = np.flatnonzero(np.diff(token, prepend=-1))
    times = np.maximum(0, starts - 0.5) * models.frame
    ends = np.append(times[1:], (len(features) - 1) * models.frame)
    return [
        (net.phones[token[row]], float(start), float(end))
        for row, start, end in zip(starts, times, ends, strict=True)
    ]


def align_corpus(
    clips: Sequence[Utterance],
    transcripts: Sequence[Phones] | None = None,
    iterations: int = 12,
    splits: int = 1,
    workers: int = 2,
) -> tuple[dict[str, list[tuple[str, float, float]]], PhoneModels]:
    """Train on recordings with their texts, then align the same: -> ({name: phones}, models).

    What is subtracted from the features is each speaker's mean, so that voices and microphones
    differ less. No time of any phone is used: `Utterance.phones` is not looked at.

    Args:
        clips: each with its own name. transcripts: what `network` takes; by default
            `pronounce.transcribe` of each text, with silence allowed between words.
        iterations, splits, workers: see `train_phones`.
    """
    clips = list(clips)
    if len({clip.name for clip in clips}) != len(clips) or not clips:
        raise ValueError("align_corpus needs clips, each with a name of its own")
    if transcripts is None:
        transcripts = [pronounce.transcribe(clip.text) for clip in clips]
    with ThreadPoolExecutor(workers) as pool:
        features = list(pool.map(_hear, clips))
        voices = [clip.speaker for clip in clips]
        for speaker in set(voices):
            own = [i for i, voice in enumerate(voices) if voice == speaker]
            mean = np.concatenate([features[i] for i in own]).mean(axis=0)
            for i in own:
                features[i] = features[i] - mean
        models = train_phones(
            features, transcripts, iterations=iterations, splits=splits, workers=workers
        )
        found = list(
            pool.map(lambda i: align(features[i], transcripts[i], models), range(len(clips)))
        )
    times = {}
    for clip, phones in zip(clips, found, strict=True):
        # the last row is centred on the end of the recording or up to a frame after it
        times[clip.name] = [(p, min(a, clip.duration), min(b, clip.duration)) for p, a, b in phones]
    return times, models


def _hear(clip: Utterance) -> np.ndarray:
    whole = abs(clip.rate * FRAME - round(clip.rate * FRAME)) < 1e-6
    x = clip.audio if whole else resample(clip.audio, clip.rate, 16_000)
    return speech_features(x, clip.rate if whole else 16_000)


def boundary_errors(
    found: Sequence[tuple[str, float, float]], known: Sequence[tuple[str, float, float]]
) -> np.ndarray:
    """|found - known| in seconds at each boundary between two phones: of P phones, (P - 1,).

    >>> boundary_errors([("a", 0, 0.5), ("b", 0.5, 1)], [("a", 0, 0.52), ("b", 0.52, 1)]).round(3)
    array([0.02])
    """
    if [name for name, *_ in found] != [name for name, *_ in known]:
        raise ValueError("the two alignments have different phones: nothing to compare")
    return np.abs([a[1] - b[1] for a, b in zip(found[1:], known[1:], strict=True)])
