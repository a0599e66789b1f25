"""Forced alignment: the times of the phones of a transcript, by phone models trained without any times.

Every phone is a hidden Markov model of a few states from left to right. The phones of a transcript,
joined, are one long chain; its most probable path through the recording tells which frames belong to
which phone. From models that are alike but for silence, EM finds both. The recursions are `minigen.hmm`'s.
"""

import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csc_array
from scipy.special import logsumexp
from tqdm import tqdm

from .. import ConvergenceWarning
from ..audio import resample, speech_features
from ..data import Utterance
from ..gaussian import observations
from ..hmm import occupancy, viterbi
from ..mixture import log_normal
from . import pronunciation
from .phones import SILENCE

FRAME = 0.005  # seconds from one row of features to the next
STATES = 3  # of each phone
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
        log_stay: log a (P, S).
        history: log-likelihood per frame before each iteration of EM, in nats, from `train_phones`.
    """

    names: tuple[str, ...]
    log_weight: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    log_stay: np.ndarray
    history: list[float] = field(default_factory=list)

    def __repr__(self) -> str:
        p, s, m, d = self.mean.shape
        return f"PhoneModels({p} phones, {s} states each, {m} Gaussians a state, D={d})"

    @property
    def n_states(self) -> int:
        return self.mean.shape[1]

    def component_log_prob(self, features: np.ndarray, used: np.ndarray) -> np.ndarray:
        """log w_m N(x; µ_m, σ²_m) of the states `used` (E,), numbered phone · S + state -> (T, E, M)."""
        m, d = self.mean.shape[2:]
        both = (v.reshape(-1, m, d)[used] for v in (self.mean, self.variance))
        mean, variance = (v.reshape(-1, d) for v in both)
        out = log_normal(features, mean, variance, "diag").reshape(len(features), len(used), m)
        return out + self.log_weight.reshape(-1, m)[used]

    def split(self) -> Self:
        """Each Gaussian becomes two, at µ ± 0.2 σ, with half of its weight."""
        step = 0.2 * np.sqrt(self.variance)
        return replace(
            self,
            log_weight=np.concatenate([self.log_weight, self.log_weight], axis=2) - np.log(2),
            mean=np.concatenate([self.mean - step, self.mean + step], axis=2),
            variance=np.concatenate([self.variance, self.variance], axis=2),
        )


def flat_start(features: Sequence[np.ndarray], names: Iterable[str]) -> PhoneModels:
    """Models that know nothing: every state has the mean and variance of all frames.

    Only silence differs, if it is among the names: it gets those of the quietest tenth of the frames,
    by the first coefficient. No time of any phone is used.
    """
    names = tuple(dict.fromkeys(names))
    x = np.concatenate(features)
    mean = np.tile(x.mean(axis=0), (len(names), STATES, 1, 1))
    variance = np.tile(x.var(axis=0), (len(names), STATES, 1, 1))
    if not (variance > 0).all():
        raise ValueError("a column of the features is constant: remove it")
    if SILENCE in names:
        quiet = x[x[:, 0] <= np.quantile(x[:, 0], 0.1)]
        mean[names.index(SILENCE)] = quiet.mean(axis=0)
        # as wide as the others where quiet frames are nearly alike (digital silence)
        variance[names.index(SILENCE)] = np.maximum(quiet.var(axis=0), 0.1 * x.var(axis=0))
    log_stay = np.full((len(names), STATES), np.log(0.8))
    return PhoneModels(names, np.zeros((len(names), STATES, 1)), mean, variance, log_stay)


# ---------------------------------------------------------------- from a transcript to a network
@dataclass(frozen=True)
class Network:
    """The states that a transcript allows, in order, as a chain for `hmm.viterbi`.

    Args:
        emission: which state of the models each of the S states is, as phone · n_states + state.
        token: which occurrence of a phone it belongs to, counted from 0, (S,). phones: their names.
        transition: log a_ij of the transitions that are possible, (S, S).
        start, end: log-probability to start in, and to end after, each state, (S,).
    """

    emission: np.ndarray
    token: np.ndarray
    phones: tuple[str, ...]
    transition: csc_array
    start: np.ndarray
    end: np.ndarray


def _slots(phones: Phones) -> list[list[list[str]]]:
    """A transcript as a row of slots, each a list of alternatives, each a list of phones."""
    phones = list(phones)
    if not phones:
        raise ValueError("there are no phones to align: the transcript is empty")
    if all(isinstance(phone, str) for phone in phones):
        return [[[phone]] for phone in phones]
    slots = [[[], [SILENCE]]]
    for word in phones:
        ways = [] if isinstance(word, str) else [list(way) for way in word]
        if not ways or not all(ways) or any(isinstance(way, str) for way in word):
            raise ValueError(f"{word!r} is no list of pronunciations, as [[phone, …], …] is")
        slots += [ways, [[], [SILENCE]]]
    return slots


def network(phones: Phones, models: PhoneModels) -> Network:
    """A transcript as a network of states.

    Args:
        phones: either names, ["s", "ih", "k", "s"], and no others; or words, each a list of pronunciations,
            [[["s", "ih", "k", "s"]], …]: then each may be any of its pronunciations, and silence may stand
            before, between and after the words. Alternatives are equally probable.

    Raises ValueError: nothing to align, or a phone without a model.
    """
    slots = _slots(phones)
    number = {name: index for index, name in enumerate(models.names)}
    unknown = sorted({p for slot in slots for way in slot for p in way} - number.keys())
    if unknown:
        raise ValueError(
            f"no model for the phones {', '.join(unknown)}: there are {', '.join(models.names)}"
        )
    log_leave = np.log1p(-np.exp(models.log_stay))
    emission, token, names, start = [], [], [], []
    into, source, weight = [0], [], []  # the arcs into each state
    open_ends = [(-1, 0.0)]  # states that the next slot may be entered from; -1 is the start
    for slot in slots:
        choice, ends = -np.log(len(slot)), []
        for way in slot:
            entry = [(i, log_p + choice) for i, log_p in open_ends]
            for phone in way:
                index = number[phone]
                for state in range(models.n_states):
                    s = len(emission)
                    emission.append(index * models.n_states + state)
                    token.append(len(names))
                    begins = [p for i, p in entry if i < 0]
                    start.append(np.logaddexp.reduce(begins) if begins else -np.inf)
                    arcs = [(s, models.log_stay[index, state]), *(a for a in entry if a[0] >= 0)]
                    source += [i for i, _ in arcs]
                    weight += [log_p for _, log_p in arcs]
                    into.append(len(source))
                    entry = [(s, log_leave[index, state])]
                names.append(phone)
            ends += entry
        open_ends = ends
    end = np.full(len(emission), -np.inf)
    for s, log_p in open_ends:
        end[s] = np.logaddexp(end[s], log_p)
    transition = csc_array((np.array(weight), source, into), (len(end), len(end)))
    states = np.array(emission), np.array(token), tuple(names)
    return Network(*states, transition, np.array(start, float), end)


# ---------------------------------------------------------------- training
def _check_length(n: int, phones: Phones, n_states: int) -> None:
    least = n_states * sum(min(map(len, slot)) for slot in _slots(phones))
    if n < least:
        raise ValueError(
            f"{n} frames are too few for this transcript of {least} states: is it this recording's?"
        )


def _expect(features: np.ndarray, phones: Phones, models: PhoneModels) -> tuple:
    """The E step of one recording: log p, and the sums over frames, weighted by the posteriors.

    -> log p, states of the models (E,), stays (E,), Σ γ (E, M), Σ γ x (E, M, D), Σ γ x² (E, M, D)
    """
    net = network(phones, models)
    used, column = np.unique(net.emission, return_inverse=True)
    parts = models.component_log_prob(features, used)  # (T, E, M)
    log_b = logsumexp(parts, axis=2) if parts.shape[2] > 1 else parts[:, :, 0]
    gamma, counts, log_p = occupancy(log_b[:, column], net.transition, net.start, net.end, BEAM)
    to_used = csc_array((np.ones(len(column)), column, np.arange(len(column) + 1))).T  # (S, E)
    share = (gamma @ to_used)[:, :, None] * np.exp(parts - log_b[:, :, None])  # (T, E, M)
    flat = share.reshape(len(features), -1)
    shape = (*share.shape[1:], features.shape[1])
    first, second = ((flat.T @ power).reshape(shape) for power in (features, features**2))
    return log_p, used, counts.diagonal() @ to_used, share.sum(axis=0), first, second


def _maximise(found: Iterable[tuple], models: PhoneModels, floor: np.ndarray) -> PhoneModels:
    """The M step: each Gaussian gets the weighted mean and variance of all frames."""
    p, s, m, d = models.mean.shape
    stays, weight = np.zeros(p * s), np.zeros((p * s, m))
    first, second = np.zeros((2, p * s, m, d))
    total = 0.0
    for log_p, used, *sums in found:
        total += log_p
        for all_, part in zip((stays, weight, first, second), sums, strict=True):
            all_[used] += part
    enough = (weight > 3)[:, :, None]  # else too few frames to learn from
    safe = np.maximum(weight, 1e-10)[:, :, None]
    mean = np.where(enough, first / safe, models.mean.reshape(-1, m, d))
    variance = np.where(enough, second / safe - mean**2, models.variance.reshape(-1, m, d))
    occupied = weight.sum(axis=1)  # (P S,)
    stay = np.clip(stays / np.maximum(occupied, 1e-10), 0.01, 0.999)
    log_stay = np.where(occupied > 3, np.log(stay), models.log_stay.ravel())
    share = np.maximum(weight, 1e-5)
    share = np.log(share / share.sum(axis=1, keepdims=True))
    log_weight = np.where(occupied[:, None] > 3, share, models.log_weight.reshape(-1, m))
    return replace(
        models,
        log_weight=log_weight.reshape(p, s, m),
        mean=mean.reshape(p, s, m, d),
        variance=np.maximum(variance, floor).reshape(p, s, m, d),
        log_stay=log_stay.reshape(p, s),
        history=[*models.history, total],
    )


def train_phones(
    features: Sequence[ArrayLike],
    transcripts: Sequence[Phones],
    iterations: int = 12,
    splits: int = 1,
    workers: int = 2,
    progress: bool = False,
) -> PhoneModels:
    """Train phone models on recordings and transcripts: no time of any phone is known.

    Embedded Baum-Welch: in each iteration, forward and backward over the network of each transcript give the
    posterior γ[t, state, m], and each Gaussian gets the mean and variance of all frames, weighted by its γ. The
    log-likelihood cannot fall, but for the beam, the doublings and floors: variances stay above 1 % of that of all frames.

    Args:
        features: one (N, D) a recording. transcripts: for each, what `network` takes.
        iterations: of EM with one Gaussian a state; two thirds as many again after each of `splits`
            doublings of the number of Gaussians.
        workers: threads. progress: show a bar.

    Returns models, with their `history`. A ConvergenceWarning tells when the last iteration but one still
    raised it by more than 0.1 nats.

    Raises ValueError: recordings and transcripts do not match, or a recording is too short for its own.
    """
    if iterations < 1 or splits < 0 or workers < 1:
        raise ValueError(
            f"need iterations, workers >= 1, splits >= 0: {iterations}, {workers}, {splits}"
        )
    data, transcripts = [observations(f) for f in features], list(transcripts)
    if not data or len(data) != len(transcripts):
        raise ValueError(f"{len(data)} recordings, but {len(transcripts)} transcripts")
    for x, script in zip(data, transcripts, strict=True):
        _check_length(len(x), script, STATES)
    names = {p for script in transcripts for slot in _slots(script) for way in slot for p in way}
    models = flat_start(data, sorted(names))
    everything = np.concatenate(data)
    floor = 0.01 * everything.var(axis=0)
    order = sorted(range(len(data)), key=lambda i: -len(data[i]))  # long ones first: threads even
    rounds = [iterations, *[max(1, 2 * iterations // 3)] * splits]
    bar = tqdm(total=sum(rounds) * len(data), desc="train", disable=not progress)
    with ThreadPoolExecutor(workers) as pool, bar:
        for turn, repeats in enumerate(rounds):
            models = models.split() if turn else models
            for _ in range(repeats):
                now = models
                found = []
                for part in pool.map(lambda i: _expect(data[i], transcripts[i], now), order):  # noqa: B023
                    found.append(part)
                    bar.update()
                models = _maximise(found, models, floor)
    models.history = [total / len(everything) for total in models.history]
    rise = models.history[-1] - models.history[-2] if iterations > 1 else np.inf
    if rise > SETTLED:
        warnings.warn(
            f"after {iterations} iterations the log-likelihood still rises by {rise:.2g} nats a frame: "
            f"call with more, iterations={2 * iterations} for one",
            ConvergenceWarning,
            stacklevel=2,
        )
    return models


# ---------------------------------------------------------------- alignment
def align(
    features: ArrayLike, phones: Phones, models: PhoneModels
) -> list[tuple[str, float, float]]:
    """The likeliest times of the phones of a transcript -> [(phone, start_s, end_s)], without gaps.

    Viterbi's path through the network of `network(phones, models)`. Row n of the features is centred
    on n · FRAME, so a phone that begins with row n begins at (n - ½) · FRAME.

    Args: features: (N, D), as the models were trained on. phones: names, or words with pronunciations.

    Raises ValueError: a phone without a model, features of another size, or fewer frames than states.
    """
    features = observations(features, models.mean.shape[3])
    net = network(phones, models)
    _check_length(len(features), phones, models.n_states)
    used, column = np.unique(net.emission, return_inverse=True)
    log_b = logsumexp(models.component_log_prob(features, used), axis=2)
    path, _ = viterbi(log_b[:, column], net.transition, net.start, net.end, BEAM)
    token = net.token[path]  # (N,)
    starts = np.flatnonzero(np.diff(token, prepend=-1))
    times = np.maximum(0, starts - 0.5) * FRAME
    ends = np.append(times[1:], (len(features) - 1) * FRAME)
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
    skip_bad: bool = False,
    progress: bool = False,
    lexicon: pronunciation.Lexicon | None = None,
) -> tuple[dict[str, list[tuple[str, float, float]]], PhoneModels]:
    """Train on recordings with their texts, then align the same: -> ({name: phones}, models).

    What is subtracted from the features is each speaker's mean, so that voices and microphones
    differ less. No time of any phone is used: `Utterance.phones` is not looked at.

    Args:
        clips: each with its own name. transcripts: what `network` takes; by default
            `pronunciation.transcribe` of each text, with silence allowed between words.
        iterations, splits, workers, progress: see `train_phones`.
        skip_bad: leave out, with a warning, clips whose text cannot be read or that are too short for it.
        lexicon: pronunciations that go before the dictionary's.

    Raises ValueError: names every clip that cannot be aligned, unless skip_bad.
    """
    clips = list(clips)
    if len({clip.name for clip in clips}) != len(clips) or not clips:
        raise ValueError("align_corpus needs clips, each with a name of its own")
    scripts = [None] * len(clips) if transcripts is None else list(transcripts)

    def extract(clip: Utterance, script: Phones | None) -> tuple:
        try:
            script = pronunciation.transcribe(clip.text, lexicon) if script is None else script
            x = _extract_features(clip)
            _check_length(len(x), script, STATES)
            return clip, script, x, None
        except ValueError as error:
            return clip, None, None, error

    def with_bar(results: Iterable, title: str) -> Iterable:
        return tqdm(results, total=len(clips), desc=title, disable=not progress)

    with ThreadPoolExecutor(workers) as pool:
        found = list(with_bar(pool.map(extract, clips, scripts), "read"))
        bad = [f"{clip.name} ({error})" for clip, *_, error in found if error]
        if bad:
            message = f"{len(bad)} of {len(clips)} clips cannot be aligned: {'; '.join(bad)}"
            if not skip_bad or len(bad) == len(clips):
                raise ValueError(f"{message}. Mend them, or leave them out (skip_bad, --skip-bad)")
            warnings.warn(f"{message}. They are left out", stacklevel=2)
        good = [row for *row, error in found if not error]
        clips, scripts, features = (list(column) for column in zip(*good, strict=True))
        for speaker in {clip.speaker for clip in clips}:
            own = [i for i, clip in enumerate(clips) if clip.speaker == speaker]
            mean = np.concatenate([features[i] for i in own]).mean(axis=0)
            features = [x - mean if i in own else x for i, x in enumerate(features)]
        models = train_phones(features, scripts, iterations, splits, workers, progress)
        found = with_bar(pool.map(align, features, scripts, [models] * len(clips)), "align")
        times = {}
        for clip, phones in zip(clips, found, strict=True):
            # the last row is centred on the end of the recording or up to a frame after it
            end = clip.duration
            times[clip.name] = [(p, min(a, end), min(b, end)) for p, a, b in phones]
    return times, models


def _extract_features(clip: Utterance) -> np.ndarray:
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
