"""Forced alignment: recursions against enumeration and `hmm`, training against known times."""

import itertools
import re
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from minigen import ConvergenceWarning, data
from minigen.audio import resample, speech_features
from minigen.data import Utterance, load_phones, speech
from minigen.speech import alignment, pronunciation
from minigen.speech.alignment import (
    PhoneModels,
    align,
    align_corpus,
    boundary_errors,
    flat_start,
    network,
    train_phones,
)

NAMES = ("a", "b", "pau")


def random_models(rng, n_states=2, m=2, d=2):
    p = len(NAMES)
    weight = rng.dirichlet(np.ones(m), (p, n_states))
    return PhoneModels(
        NAMES,
        np.log(weight),
        rng.normal(0, 2, (p, n_states, m, d)),
        rng.uniform(0.5, 2, (p, n_states, m, d)),
        np.log(rng.uniform(0.2, 0.8, (p, n_states))),
    )


def state_log_prob(models, x, emission):
    """log p(x | state) for each row, by scipy: (T, S)."""
    s, m = models.n_states, models.mean.shape[2]
    out = np.empty((len(x), len(emission)))
    for column, e in enumerate(emission):
        parts = [
            models.log_weight[e // s, e % s, i]
            + multivariate_normal(
                models.mean[e // s, e % s, i], np.diag(models.variance[e // s, e % s, i])
            ).logpdf(x)
            for i in range(m)
        ]
        out[:, column] = logsumexp(parts, axis=0)
    return out


def dense(net):
    """The transitions as a matrix log p(s -> s'), (S, S)."""
    matrix, found = np.full(net.transition.shape, -np.inf), net.transition.tocoo()
    matrix[found.row, found.col] = found.data
    return matrix


WORDS = [[["a"], ["b", "a"]], [["b"]]]  # two words, the first with two pronunciations


# ---------------------------------------------------------------- features and models


def test_features_are_cepstra_their_slopes_and_their_slopes_slopes():
    x = data.example().audio
    out = speech_features(x, 8000)
    assert out.shape == (1 + -(-len(x) // 40), 39)
    for low in (0, 13):
        c, slope = out[:, low : low + 13], out[:, low + 13 : low + 26]
        for n in (2, 50, 70):
            line = np.polyfit(np.arange(-2, 3), c[n - 2 : n + 3], 1)[0]  # least squares
            assert np.allclose(slope[n], line)
    with pytest.raises(ValueError, match="whole number of samples"):
        speech_features(x, 11_025)


def test_component_log_prob_is_the_normal_density():
    rng = np.random.default_rng(0)
    models, x = random_models(rng), rng.normal(size=(7, 2))
    emission = np.array([0, 3, 5])
    found = logsumexp(models.component_log_prob(x, emission), axis=2)
    assert np.allclose(found, state_log_prob(models, x, emission), atol=1e-10)


def test_a_split_changes_little_and_keeps_the_weights():
    rng = np.random.default_rng(0)
    models, x = random_models(rng), rng.normal(size=(50, 2))
    before, after = (
        logsumexp(m.component_log_prob(x, np.arange(6)), axis=2) for m in (models, models.split())
    )
    assert np.allclose(np.exp(models.split().log_weight).sum(axis=2), 1)
    assert np.abs(before - after).mean() < 0.1 and not np.allclose(before, after)


def test_flat_start_knows_nothing_but_silence():
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(40, 3)) for _ in range(3)]
    models = flat_start(x, ["a", "b", "pau"])
    everything = np.concatenate(x)
    assert np.allclose(models.mean[:2], everything.mean(axis=0))
    assert np.allclose(models.variance[:2], everything.var(axis=0))
    assert (models.mean[2, :, :, 0] < everything.mean(axis=0)[0] - 1).all()


# ---------------------------------------------------------------- network and recursions


def test_network_of_names_is_a_chain():
    models = random_models(np.random.default_rng(0))
    net = network(["a", "b"], models)
    stay = np.exp(models.log_stay[:2]).ravel()
    expected = np.diag(stay) + np.diag(1 - stay[:-1], 1)
    assert np.allclose(np.exp(dense(net)), expected)
    assert np.allclose(np.exp(net.start), [1, 0, 0, 0])
    assert np.allclose(np.exp(net.end), [0, 0, 0, 1 - stay[-1]])


def test_probabilities_out_of_each_state_sum_to_one():
    net = network(WORDS, random_models(np.random.default_rng(0)))
    assert np.isclose(np.exp(net.start).sum(), 1)
    assert np.allclose(np.exp(dense(net)).sum(axis=1) + np.exp(net.end), 1)


def test_network_of_words_allows_the_sentences_it_should():
    """Every path from start to end, as the phones it passes: pronunciations and silences."""
    models = random_models(np.random.default_rng(0), n_states=1)
    net = network(WORDS, models)
    matrix, sentences = dense(net), set()

    def walk(s, said):
        said = [*said, net.phones[net.token[s]]]
        if net.end[s] > -np.inf:
            sentences.add(" ".join(said))
        for after in np.flatnonzero(matrix[s] > -np.inf):
            if after != s:
                walk(after, said)

    for s in np.flatnonzero(net.start > -np.inf):
        walk(s, [])
    assert sentences == {
        " ".join([*first, *way, *middle, "b", *end])
        for first, way, middle, end in itertools.product(
            ([], ["pau"]), (["a"], ["b", "a"]), ([], ["pau"]), ([], ["pau"])
        )
    }


def enumerate_paths(net, log_b):
    matrix = dense(net)
    for path in itertools.product(range(len(net.emission)), repeat=len(log_b)):
        score = net.start[path[0]] + net.end[path[-1]] + log_b[range(len(path)), path].sum()
        score += sum(matrix[i, j] for i, j in itertools.pairwise(path))
        if score > -np.inf:
            yield path, score


@pytest.mark.parametrize("phones", [["a", "b"], [[["a"], ["b"]]]], ids=["names", "words"])
def test_recursions_equal_enumeration(phones):
    rng = np.random.default_rng(1)
    models = random_models(rng, n_states=1 if isinstance(phones[0], list) else 2)
    x, net = rng.normal(size=(6, 2)), network(phones, models)
    log_b = state_log_prob(models, x, net.emission)
    paths, scores = zip(*enumerate_paths(net, log_b), strict=True)
    total = logsumexp(scores)
    log_p, used, stay, weight, first, second = alignment._expect(x, phones, models)
    assert np.isclose(log_p, total, atol=1e-9)

    posterior = np.exp(np.array(scores) - total)
    gamma, stays = np.zeros((6, len(net.emission))), np.zeros(len(net.emission))
    for path, p in zip(paths, posterior, strict=True):
        gamma[range(6), path] += p
        for i, j in itertools.pairwise(path):
            stays[i] += p * (i == j)
    for column, e in enumerate(used):
        same = net.emission == e
        occupied = gamma[:, same].sum(axis=1)
        assert np.isclose(weight[column].sum(), occupied.sum(), atol=1e-9)
        assert np.isclose(stay[column], stays[same].sum(), atol=1e-9)
        assert np.allclose(first[column].sum(axis=0), occupied @ x, atol=1e-9)
        assert np.allclose(second[column].sum(axis=0), occupied @ x**2, atol=1e-9)

    best = paths[int(np.argmax(scores))]
    expected = [net.token[s] for s in best]
    got = align(x, phones, models)
    assert [p for p, *_ in got] == [net.phones[t] for t, _ in itertools.groupby(expected)]
    lengths = [len(list(run)) for _, run in itertools.groupby(expected)]
    starts = np.maximum(0, np.cumsum([0, *lengths[:-1]]) - 0.5) * alignment.FRAME
    assert np.allclose([start for _, start, _ in got], starts)


def test_the_beam_changes_nothing_that_counts(monkeypatch):
    clip = data.example()
    x, phones = speech_features(clip.audio, clip.rate), [p for p, *_ in clip.phones]
    models = train_phones([x], [phones], iterations=3, splits=0)
    beam, times = alignment._expect(x, phones, models), align(x, phones, models)
    monkeypatch.setattr(alignment, "BEAM", np.inf)
    exact = alignment._expect(x, phones, models)
    assert np.isclose(beam[0], exact[0], atol=1e-9)
    assert np.allclose(beam[4], exact[4], atol=1e-6) and align(x, phones, models) == times


# ---------------------------------------------------------------- training


def spoken(rng, names, means, frames):
    """Rows drawn from one Gaussian a phone, and where each phone begins."""
    rows = np.repeat([means[name] for name in names], frames, axis=0)
    return rows + rng.normal(0, 0.3, rows.shape), np.cumsum([0, *frames[:-1]])


def test_likelihood_never_falls_and_known_phones_are_found():
    """Four phones with far means, in sentences of random order, unknown lengths, no times."""
    rng = np.random.default_rng(3)
    means = dict(zip("abcd", 3 * rng.normal(size=(4, 5)), strict=True))
    data_, scripts, starts = [], [], []
    for _ in range(30):
        names = list(rng.permutation(list("abcd")))
        x, begin = spoken(rng, names, means, list(rng.integers(5, 20, 4)))
        data_.append(x), scripts.append(names), starts.append(begin)
    with pytest.warns(ConvergenceWarning, match="iterations=4"):
        train_phones(data_, scripts, iterations=2, splits=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        models = train_phones(data_, scripts, iterations=15, splits=0)
    assert (np.diff(models.history) > -1e-9).all()
    assert models.history[-1] > models.history[0] + 3
    for x, names, begin in zip(data_, scripts, starts, strict=True):
        got = np.array([start for _, start, _ in align(x, names, models)][1:])
        assert np.allclose(got, (begin[1:] - 0.5) * alignment.FRAME)
    for i, name in enumerate(models.names):
        assert np.allclose(models.mean[i].mean(axis=(0, 1)), means[name], atol=0.2)


def test_training_picks_the_pronunciation_and_the_silence_that_were_said():
    rng = np.random.default_rng(4)
    means = dict(zip(("a", "b", "c", "pau"), 3 * rng.normal(size=(4, 5)), strict=True))
    means["pau"][0] = -9.0  # quiet
    word = [[["a", "b"], ["a", "c"]]]
    data_, scripts, said = [], [], []
    for i in range(40):
        names = ["a", "bc"[i % 2]] * 2
        if i % 3:
            names.insert(2, "pau")
        x, _ = spoken(rng, names, means, list(rng.integers(6, 15, len(names))))
        data_.append(x), said.append(names)
        # half of the recordings come with only the true words, so that b and c can be told apart
        scripts.append(word * 2 if i >= 20 else [[[names[0], names[1]]]] * 2)
    models = train_phones(data_, scripts, iterations=15, splits=0)
    right = [
        [p for p, *_ in align(x, word * 2, models)] == names
        for x, names in zip(data_, said, strict=True)
    ]
    assert np.mean(right) > 0.9


def test_alignment_has_no_gaps_and_keeps_the_transcript():
    clip = data.example()
    x, phones = speech_features(clip.audio, clip.rate), [p for p, *_ in clip.phones]
    models = train_phones([x], [phones], iterations=2, splits=1)
    assert models.mean.shape[2] == 2 and len(models.history) == 3
    found = align(x, phones, models)
    assert [p for p, *_ in found] == phones
    assert found[0][1] == 0 and np.isclose(found[-1][2], (len(x) - 1) * alignment.FRAME)
    assert all(a[2] == b[1] for a, b in itertools.pairwise(found))
    assert all(end - start >= 2.5 * alignment.FRAME - 1e-9 for _, start, end in found)  # 3 states


@pytest.fixture(scope="module")
def digits():
    """The corpus aligned from its phones, without its times."""
    clips = data.spoken_digits()
    scripts = [[name for name, _, _ in clip.phones] for clip in clips]
    untimed = [replace(clip, phones=None) for clip in clips]  # the times cannot be used
    return clips, *align_corpus(untimed, scripts, iterations=8, splits=0)


def test_digits_are_aligned_to_twenty_milliseconds(digits):
    clips, times, models = digits
    errors = np.concatenate([boundary_errors(times[c.name], c.phones) for c in clips])
    assert len(errors) == sum(len(c.phones) - 1 for c in clips)
    assert np.median(errors) <= 0.020
    # far better than equal shares of the clip, which need no model
    equal = np.concatenate(
        [
            np.abs(np.arange(1, n) / n * c.duration - [p[1] for p in c.phones[1:]])
            for c in clips
            for n in [len(c.phones)]
        ]
    )
    assert np.median(errors) < 0.6 * np.median(equal)
    assert (np.diff(models.history) > -1e-6).all()


def test_boundary_errors_are_refused_between_different_phones():
    with pytest.raises(ValueError, match="different phones"):
        boundary_errors([("a", 0, 1)], [("b", 0, 1)])


def test_real_prompts_are_aligned():
    """Forty short prompts: what is aligned as silence is quiet, and speech is not."""
    if not speech._ASTERISK_SOUNDS.exists():
        pytest.skip("no real recordings here: asterisk-core-sounds-en is not installed")
    clips = [clip for clip in data.allison(limit=120) if clip.duration < 3][:40]
    times, _ = align_corpus(clips, iterations=5, splits=0)
    quiet, loud = [], []
    for clip in clips:
        phones = times[clip.name]
        spoken_words = [p for p, *_ in phones if p != "pau"]
        ways = pronunciation.transcribe(clip.text)
        assert any(
            [p for way in choice for p in way] == spoken_words
            for choice in itertools.product(*ways)
        )
        replace(clip, phones=phones)  # the times fit into the recording
        for name, start, end in phones:
            part = clip.audio[round(start * clip.rate) : round(end * clip.rate)]
            (quiet if name == "pau" else loud).append(np.mean(part**2) * (end - start))
    length = lambda silent: sum(
        end - start for c in clips for p, start, end in times[c.name] if (p == "pau") == silent
    )
    decibels = 10 * np.log10((sum(loud) / length(False)) / (sum(quiet) / length(True)))
    assert decibels > 15


def test_the_command(tmp_path):
    out = tmp_path / "runs" / "t.tsv"  # the folder is made
    command = [sys.executable, "-m", "minigen.cli", "align", "spoken_digits", "--limit", "24"]
    done = subprocess.run([*command, "--out", out], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"24 clips.*nats\nagainst the known times: median", done.stdout)
    assert len(load_phones(out)) == 24


# ---------------------------------------------------------------- errors


def test_errors_say_what_to_do():
    rng = np.random.default_rng(0)
    models, x = random_models(rng), rng.normal(size=(9, 2))
    for phones, message in (
        ([], "transcript is empty"),
        (["a", "q", "zz"], "no model for the phones q, zz"),
        (["a"] * 5, "9 frames are too few for this transcript.*10 states"),
        ([[["a"]], "b"], "no list of pronunciations"),
        ([[]], "no list of pronunciations"),
        ([[[]]], "no list of pronunciations"),
    ):
        with pytest.raises(ValueError, match=message):
            align(x, phones, models)
    with pytest.raises(ValueError, match="2 dimensions, x has shape"):
        align(np.zeros((9, 3)), ["a"], models)
    with pytest.raises(ValueError, match="NaN"):
        align(x * np.nan, ["a"], models)
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        align(x[0], ["a"], models)
    with pytest.raises(ValueError, match="2 recordings, but 1"):
        train_phones([x, x], [["a"]])
    with pytest.raises(ValueError, match="too few for this transcript"):
        train_phones([x], [["a"] * 5])
    with pytest.raises(ValueError, match="iterations, workers >= 1"):
        train_phones([x], [["a"]], iterations=0)
    with pytest.raises(ValueError, match="constant"):
        train_phones([np.zeros((20, 2))], [["a"]])
    with pytest.raises(ValueError, match="name of its own"):
        align_corpus([data.example()] * 2)


def noisy(name, text, seconds=0.6, seed=0):
    x = 0.1 * np.random.default_rng(seed).normal(size=round(8000 * seconds)).astype(np.float32)
    return Utterance(x, 8000, text, "nobody", name=name)


def test_every_bad_clip_is_named_at_once_and_can_be_skipped():
    good = [noisy(f"good{i}", "one two", seed=i) for i in range(3)]
    bad = [noisy("wordless", ""), noisy("short", "one two three", 0.05), noisy("alien", "\u5b57")]
    clips = [good[0], *bad, *good[1:]]
    with pytest.raises(ValueError) as caught:
        align_corpus(clips, iterations=1, splits=0)
    assert str(caught.value).startswith("3 of 6 clips cannot be aligned: wordless (")
    for part in ("; short (11 frames are too few", "; alien (", "--skip-bad"):
        assert part in str(caught.value)
    with pytest.warns(UserWarning, match=r"3 of 6 clips.*wordless.*short.*alien.*left out"):
        times, _ = align_corpus(clips, iterations=2, splits=0, skip_bad=True)
    assert list(times) == ["good0", "good1", "good2"]
    with pytest.raises(ValueError, match="3 of 3 clips"):
        align_corpus(bad, skip_bad=True)


def test_progress_is_shown_where_it_is_asked_for(capsys):
    clips = [noisy(f"{i}", "one two", seed=i) for i in range(2)]
    for progress in (False, True):
        with pytest.warns(ConvergenceWarning):
            align_corpus(clips, iterations=1, splits=0, progress=progress)
        shown = capsys.readouterr().err
        assert all((f"{step}: 100%" in shown) == progress for step in ("read", "train", "align"))


def test_repr_says_what_it_is():
    models = random_models(np.random.default_rng(0))
    assert repr(models) == "PhoneModels(3 phones, 2 states each, 2 Gaussians a state, D=2)"


def test_each_speakers_features_are_about_the_speakers_own_mean(monkeypatch):
    clips = data.spoken_digits("slt", "two")[:2] + data.spoken_digits("rms", "six")[:2]
    seen = []

    def train(features, *_):
        seen.extend(features)
        raise InterruptedError

    monkeypatch.setattr(alignment, "train_phones", train)
    with pytest.raises(InterruptedError):
        alignment.align_corpus(clips)
    for own in (seen[:2], seen[2:]):
        assert np.abs(np.concatenate(own).mean(0)).max() < 1e-9 and np.abs(own[0]).max() > 1


def test_no_variance_falls_below_a_hundredth_of_that_of_all_frames():
    """Frames of a phone that are all alike would otherwise be infinitely certain."""
    rng = np.random.default_rng(0)
    one = np.repeat([[0.0, 3.0], [1.0, 1.0], [2.0, 5.0]], 12, axis=0)
    data = [one + 1e-6 * rng.normal(size=one.shape) for _ in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = alignment.train_phones(data, [["a", "b", "c"]] * 4, iterations=6, splits=0)
    floor = 0.01 * np.concatenate(data).var(axis=0)
    assert np.allclose(models.variance.min(axis=(0, 1, 2)), floor)


def test_halves_lie_a_fifth_of_a_deviation_either_side():
    models = random_models(np.random.default_rng(0))
    twice = models.split()
    gap = (twice.mean[:, :, 2:] - twice.mean[:, :, :2]) / np.sqrt(models.variance)
    assert np.allclose(gap, 0.4) and np.allclose(np.exp(twice.log_weight).sum(2), 1)
    assert np.allclose(twice.mean[:, :, 2:] + twice.mean[:, :, :2], 2 * models.mean)


@pytest.mark.parametrize("frames, learned", [(3.0, False), (3.1, True)])
def test_a_gaussian_learns_from_more_than_three_frames(frames, learned):
    models = random_models(np.random.default_rng(0), m=1)
    used, x = np.array([1]), np.array([[[9.0, -9.0]]])
    sums = 0.0, used, np.array([1.0]), np.array([[frames]]), frames * x, frames * (x**2 + 0.25)
    after = alignment._maximise([sums], models, np.zeros(2))
    assert np.allclose(after.mean[0, 1, 0], x if learned else models.mean[0, 1, 0])
    same = np.ones((3, 2), bool)
    same[0, 1] = False
    assert np.array_equal(after.mean[same], models.mean[same])


def test_rates_that_frames_do_not_fit_are_resampled_and_a_lexicon_goes_first(monkeypatch):
    clip = replace(data.example(), phones=None, f0=None)
    odd = replace(clip, audio=resample(clip.audio, 8000, 11_025), rate=11_025)
    want = speech_features(resample(odd.audio, 11_025, 16_000), 16_000)
    assert np.array_equal(alignment._extract_features(odd), want)
    assert np.array_equal(alignment._extract_features(clip), speech_features(clip.audio, 8000))
    clips, own = [noisy("x", "one"), noisy("y", "one", seed=1)], {"one": [("b", "b", "b")]}
    with pytest.warns(ConvergenceWarning):
        times, models = align_corpus(clips, iterations=1, splits=0, lexicon=own)
    assert models.names == ("b", "pau")
    for clip in clips:
        phones = times[clip.name]
        assert [p for p, *_ in phones if p != "pau"] == ["b"] * 3 and phones[-1][2] == clip.duration


@pytest.mark.parametrize("stays, share", [(10.0, 0.999), (0.0, 0.01), (6.0, 0.6)])
def test_the_chance_to_stay_is_its_share_of_the_frames_within_limits(stays, share):
    models = random_models(np.random.default_rng(0), m=1)
    x = np.array([[[1.0, 2.0]]])
    sums = -7.0, np.array([2]), np.array([stays]), np.array([[10.0]]), 10 * x, 10 * (x**2 + 0.25)
    after = alignment._maximise([sums], models, np.zeros(2))
    assert np.exp(after.log_stay[1, 0]) == pytest.approx(share) and after.history == [-7.0]
    assert np.allclose(after.variance[1, 0, 0], 0.25)
