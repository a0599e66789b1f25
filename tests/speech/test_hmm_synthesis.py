"""HMM synthesis: the trajectory against algebra, then the whole against an independent recogniser."""

import inspect
import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from minigen import data
from minigen.audio.source_filter import FRAME
from minigen.metrics import DigitRecogniser
from minigen.speech import hmm_synthesis
from minigen.speech.hmm_synthesis import (
    WINDOWS,
    HMMSynthesizer,
    dynamics,
    mlpg,
    trajectory,
    trajectory_log_prob,
    window_matrix,
)

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def voice():
    return HMMSynthesizer.fit(data.spoken_digits())


# ---------------------------------------------------------------- trajectory


def stacked(n):
    return np.concatenate([window_matrix(n, window) for window in WINDOWS])  # (3 n, n)


def random_moments(n, d=2):
    return RNG.normal(size=(n, 3, d)), RNG.uniform(0.2, 3.0, (n, 3, d))


def test_dynamics_of_a_parabola_are_its_slope_and_curvature():
    t = np.arange(10.0)
    out = dynamics((3 * t**2 + t)[:, None])[1:-1, :, 0]  # (8, 3)
    assert np.allclose(out[:, 1], 6 * t[1:-1] + 1) and np.allclose(out[:, 2], 6)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 50])
def test_dynamics_are_the_matrix_times_the_features(n):
    c = RNG.normal(size=(n, 3))
    expected = (stacked(n) @ c).reshape(3, n, 3).transpose(1, 0, 2)
    assert np.allclose(dynamics(c), expected, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 50])
def test_mlpg_equals_the_dense_solution(n):
    mean, variance = random_moments(n)
    w, out = stacked(n), mlpg(mean, variance)
    for d in range(2):
        precision = np.diag(1 / variance[:, :, d].T.ravel())
        right = w.T @ precision @ mean[:, :, d].T.ravel()
        assert np.allclose(out[:, d], np.linalg.solve(w.T @ precision @ w, right), atol=1e-9)


def test_mlpg_without_differences_is_the_means():
    mean, variance = random_moments(20)
    variance[:, 1:] = np.inf
    assert np.allclose(mlpg(mean, variance), mean[:, 0], atol=1e-12)


def test_mlpg_of_the_features_of_a_curve_is_that_curve():
    c = RNG.normal(size=(30, 4))
    assert np.allclose(mlpg(dynamics(c), RNG.uniform(0.1, 2, (30, 3, 4))), c, atol=1e-9)


def test_mlpg_is_the_maximum_of_the_likelihood():
    mean, variance = random_moments(12)
    best = mlpg(mean, variance)
    top = trajectory_log_prob(best, mean, variance)
    for _ in range(50):
        assert trajectory_log_prob(best + RNG.normal(0, 1e-2, best.shape), mean, variance) < top


def test_trajectory_log_prob_is_the_normal_density_of_features_and_differences():
    mean, variance = random_moments(6, 1)
    c = RNG.normal(size=(6, 1))
    density = multivariate_normal(mean[:, :, 0].T.ravel(), np.diag(variance[:, :, 0].T.ravel()))
    assert np.isclose(
        trajectory_log_prob(c, mean, variance), density.logpdf(stacked(6) @ c[:, 0]), atol=1e-9
    )


def test_bad_moments_say_what_is_wrong():
    mean, variance = random_moments(5)
    with pytest.raises(ValueError, match=r"\(N, 3, D\)"):
        mlpg(mean[:, :2], variance[:, :2])
    with pytest.raises(ValueError, match="positive"):
        mlpg(mean, -variance)
    with pytest.raises(ValueError, match="finite"):
        mlpg(mean * np.nan, variance)
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        dynamics(np.zeros(5))
    with pytest.raises(ValueError, match=r"\(0, 3\)"):
        dynamics(np.zeros((0, 3)))


# ---------------------------------------------------------------- states


def test_viterbi_of_a_phone_equals_enumeration():
    n, states = 8, 3
    x = RNG.normal(size=(n, 3, 2))
    mean, variance = RNG.normal(size=(states, 3, 2)), RNG.uniform(0.5, 2, (states, 3, 2))
    log_p = -0.5 * ((x[:, None] - mean) ** 2 / variance + np.log(variance)).sum(axis=(2, 3))

    def score(ends):
        path = np.repeat(np.arange(states), np.diff([0, *ends]))
        return log_p[np.arange(n), path].sum()

    ways = [(*inner, n) for inner in itertools.combinations(range(1, n), states - 1)]
    found = hmm_synthesis._divide(x, mean, variance)
    assert tuple(found) == max(ways, key=score)


def test_states_are_found_again():
    """Segments drawn from three far states with unequal lengths: means and lengths come back."""
    levels, lengths = np.array([0.0, 5.0, -5.0]), np.array([2, 9, 4])
    segments = []
    for _ in range(20):
        rows = np.repeat(levels, lengths)
        x = rows[:, None, None] + RNG.normal(0, 1.0, (len(rows), 3, 2))
        segments.append((x, np.repeat([0.0, 1.0, 1.0], lengths)))
    unit = hmm_synthesis._fit_unit(segments, 3, passes=5)
    assert np.allclose(unit.frames, lengths) and np.allclose(unit.voicing, [0, 1, 1])
    assert np.allclose(unit.mean, levels[:, None, None], atol=0.6)
    assert np.allclose(unit.variance, 1, rtol=0.6)
    # one frame a state
    alone = hmm_synthesis._fit_unit([(segments[0][0][::4], np.ones(4))], 4, passes=0)
    assert np.allclose(alone.variance, 0.01 * segments[0][0][::4].var(axis=0) + 1e-6)


# ---------------------------------------------------------------- the voice


def test_every_word_by_every_speaker_is_understood(voice):
    """A recogniser that had no part in it; sound is neither silent nor clipped."""
    recogniser = DigitRecogniser(data.spoken_digits())
    right = 0
    for speaker in data.SPEAKERS:
        for word in data.DIGIT_WORDS:
            x = voice.speak(word, speaker)
            assert np.isfinite(x).all() and x.dtype == np.float32
            loudness = np.mean([clip.audio.std() for clip in data.spoken_digits(speaker, word)])
            assert 0.3 < x.std() / loudness < 1.5 and np.abs(x).max() < 1
            right += recogniser(x) == word
    assert right >= 28  # of 30


def test_a_sentence_is_its_words(voice):
    whole = voice.plan("three one four", "rms")
    parts = [voice.plan(word, "rms") for word in ("three", "one", "four")]
    assert len(whole.mean) == sum(len(part.mean) for part in parts)
    assert [p for p, _, _ in whole.phones] == [p for part in parts for p, _, _ in part.phones]
    assert np.isclose(whole.phones[-1][2], len(whole.mean) * FRAME)
    assert np.array_equal(
        voice.speak("three one four", "rms"), voice.speak(["three", "one", "four"], "rms")
    )


def test_pace_and_pitch(voice):
    slow, fast = voice.plan("seven", "slt", pace=0.5), voice.plan("seven", "slt", pace=2)
    assert np.isclose(len(slow.mean) / len(fast.mean), 4, rtol=0.15)
    assert not np.array_equal(voice.speak("seven", pitch=1.2), voice.speak("seven"))
    women, men = (
        trajectory(voice.plan("seven", "slt"))[1],
        trajectory(voice.plan("seven", "rms"))[1],
    )
    assert np.median(women[women > 0]) > 1.3 * np.median(men[men > 0])


def test_durations_are_the_corpus_means(voice):
    for speaker in data.SPEAKERS:
        clips = data.spoken_digits(speaker, "seven")
        expected = np.mean([[end - start for _, start, end in clip.phones] for clip in clips], 0)
        got = [end - start for _, start, end in voice.plan("seven", speaker).phones]
        assert np.abs(np.array(got) - expected).max() < 0.02


def test_without_dynamics_the_trajectory_is_steps_and_with_them_it_is_smooth(voice):
    plan = voice.plan("seven", "slt")
    steps, _ = trajectory(plan, dynamic=False)
    smooth, _ = trajectory(plan)
    assert np.allclose(steps, plan.mean[:, 0, :-1])
    jumps = [np.abs(np.diff(c, axis=0)).max(axis=0) for c in (steps, smooth)]
    assert (jumps[1] < jumps[0]).all()
    first = trajectory_log_prob(mlpg(plan.mean, plan.variance), plan.mean, plan.variance)
    assert first > trajectory_log_prob(plan.mean[:, 0], plan.mean, plan.variance)


def test_averaging_flattens_and_global_variance_undoes_it(voice):
    """What the chapter hears as muffled: the trajectory moves less than the recordings' do."""
    plan = voice.plan("seven", "slt")
    flat, f0 = trajectory(plan)
    full, same = trajectory(plan, global_variance=True)
    assert (flat.var(axis=0) < plan.spread[:-1])[2:].mean() > 0.7
    assert np.allclose(full.var(axis=0), plan.spread[:-1]) and np.array_equal(f0, same)
    assert np.allclose(full.mean(axis=0), flat.mean(axis=0))


def test_speech_repeats_and_every_argument_changes_it(voice):
    changes = {
        "words": "two",
        "speaker": "slt",
        "pace": 1.3,
        "pitch": 1.3,
        "dynamic": False,
        "global_variance": True,
        "buzz": 0.3,
        "seed": 1,
    }
    assert list(changes) == list(inspect.signature(voice.speak).parameters)
    usual = {"words": "six", "speaker": "awb"}
    own = voice.speak(**usual)
    assert np.array_equal(own, voice.speak(**usual))
    for name, value in changes.items():
        other = voice.speak(**usual | {name: value})
        assert other.shape != own.shape or np.abs(other - own).max() > 0.01, name


def test_words_share_states_only_where_the_neighbours_are_the_same(voice):
    """ "seven" alone gives the same states as "seven" among ten words, except in the silences:
    s also begins "six", and n also ends "one" and "nine"."""
    alone = HMMSynthesizer.fit(data.spoken_digits("slt", "seven"))
    same = {
        key[1:]
        for key, unit in alone.units.items()
        if np.array_equal(unit.mean, voice.units[key].mean)
    }
    assert {key[1:] for key in alone.units} - same == {("", "pau", "s"), ("n", "pau", "")}


def test_errors_say_what_to_do(voice):
    for bad, message in (
        ({"words": "eleven"}, "no model of 'eleven'"),
        ({"words": ""}, "no words to synthesize"),
        ({"words": "one", "speaker": "bob"}, "choose one of awb, rms, slt"),
        ({"words": "one", "pace": 10}, "pace"),
        ({"words": "one", "pitch": -1}, "pitch"),
    ):
        with pytest.raises(ValueError, match=message):
            voice.speak(**bad)
    clip = data.example()
    for clips, message in (
        ([], "needs clips"),
        ([replace(clip, phones=None)], "no phone times"),
        ([replace(clip, f0=None)], "no F0"),
        ([clip, replace(clip, rate=16_000, phones=None, f0=None)], "several rates"),
    ):
        with pytest.raises(ValueError, match=message):
            HMMSynthesizer.fit(clips)
    with pytest.raises(ValueError, match="fewer frames|n_states"):
        HMMSynthesizer.fit([clip], n_states=500)
    one = HMMSynthesizer.fit(data.spoken_digits("slt", "one") + data.spoken_digits("rms", "two"))
    with pytest.raises(ValueError, match="no recording of 'two'"):
        one.speak("two", "slt")


@pytest.mark.parametrize("gain, peak", [(0.01, None), (30.0, 0.99)])
def test_only_what_would_clip_is_scaled_down(voice, monkeypatch, gain, peak):
    plain = hmm_synthesis.vocode
    monkeypatch.setattr(hmm_synthesis, "vocode", lambda *given: gain * plain(*given))
    x = voice.speak("seven")
    monkeypatch.undo()
    want = peak or 0.01 * np.abs(plain(*trajectory(voice.plan("seven", "slt")), 8000)).max()
    assert np.abs(x).max() == pytest.approx(want, rel=1e-3)
