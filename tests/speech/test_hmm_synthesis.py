"""The conventional voice: each part against algebra, then the whole against an independent ear."""

import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import freqz, lfilter
from scipy.stats import multivariate_normal

from minigen import data
from minigen.audio import mel_cepstrum
from minigen.metrics import DigitRecogniser, log_mel_distance, std_ratio
from minigen.speech import hmm_synthesis
from minigen.speech.hmm_synthesis import (
    WINDOWS,
    StatisticalVoice,
    continuous_log_f0,
    dynamics,
    envelope,
    excitation,
    minimum_phase,
    mlpg,
    trajectory,
    trajectory_log_prob,
    vocode,
    window_matrix,
)

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def voice():
    return StatisticalVoice.fit(data.spoken_digits())


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


# ---------------------------------------------------------------- analysis and vocoder


def test_envelope_of_filtered_noise_is_the_filter():
    """A known filter, white noise through it: the envelope has the filter's shape."""
    resonance = np.poly(0.95 * np.exp(2j * np.pi * np.array([700, -700]) / 8000)).real
    x = lfilter([1.0], resonance, RNG.normal(0, 0.01, 80_000))
    log_magnitude = envelope(mel_cepstrum(x, 8000).T, 8000).mean(axis=0)  # (129,)
    _, true = freqz([1.0], resonance, worN=np.arange(129) * 8000 / 256, fs=8000)
    # the mean of log|·| of noise and the window's power make a constant: only the shape counts
    difference = (log_magnitude - np.log(np.abs(true)))[4:-4]
    assert np.std(difference) * (20 / np.log(10)) < 1.5  # dB


def test_minimum_phase_keeps_the_magnitude_and_finds_the_causal_filter():
    decay = 0.9 ** np.arange(512)  # 1 / (1 - 0.9 z⁻¹), minimum phase
    spectrum = np.fft.rfft(decay)
    late = spectrum * np.exp(-2j * np.pi * np.arange(257) * 30 / 512)  # the same, 30 samples late
    found = minimum_phase(np.log(np.abs(late)))
    assert np.allclose(np.abs(found), np.abs(spectrum), rtol=1e-10)
    assert np.allclose(np.fft.irfft(found), decay, atol=1e-9)


def test_excitation_has_power_one_and_the_pitch_asked_for():
    noise, pulses = excitation(np.zeros(401), 8000), excitation(np.full(401, 150.0), 8000)
    assert len(noise) == len(pulses) == 16_000
    assert np.isclose(np.mean(noise**2), 1, atol=0.05)
    assert np.isclose(np.mean(pulses**2), 1, atol=0.05)
    spectrum = np.abs(np.fft.rfft(pulses * np.hanning(16_000)))  # bins of ½ Hz
    assert spectrum[np.arange(300, 7900, 300)].min() > 100 * np.median(spectrum)
    mixed = excitation(np.full(401, 150.0), 8000, buzz=0.5)
    assert np.isclose(np.mean(mixed**2), 1, atol=0.1)


def test_excitation_follows_a_glide():
    """From 100 to 200 Hz in one second: the period of each tenth of a second, by autocorrelation."""
    x = excitation(np.linspace(100, 200, 201), 8000)
    for tenth in range(10):
        part = x[tenth * 800 : (tenth + 1) * 800]
        lags = np.arange(32, 100)
        similar = [part[lag:] @ part[:-lag] / (len(part) - lag) for lag in lags]
        assert np.isclose(8000 / lags[np.argmax(similar)], 105 + 10 * tenth, rtol=0.05)


def test_vocoder_gain_is_linear():
    cepstrum = mel_cepstrum(data.example().audio, 8000).T
    f0 = np.full(len(cepstrum), 120.0)
    louder = cepstrum.copy()
    louder[:, 0] += np.log(2) * np.sqrt(hmm_synthesis.N_MELS)  # log M + log 2 in every band
    loud, soft = vocode(louder, f0, 8000), vocode(cepstrum, f0, 8000)
    voiced = np.abs(soft) > 0.01  # away from the floor of silence
    assert np.allclose(loud[voiced], 2 * soft[voiced], rtol=0.02)


def test_copy_synthesis_is_near_the_recording():
    """Analysis and vocoder alone, no statistics: this is what the source-filter model costs."""
    distances, ratios = [], []
    for clip in data.spoken_digits()[5::24]:
        cepstrum = mel_cepstrum(clip.audio, clip.rate).T
        log_f0, voicing = continuous_log_f0(clip.f0, len(cepstrum))
        x = vocode(cepstrum, np.where(voicing > 0.5, np.exp(log_f0), 0), clip.rate)
        n = min(len(x), len(clip.audio))
        distances.append(log_mel_distance(x[:n], clip.audio[:n], clip.rate))
        ratios.append(std_ratio(x[:n], clip.audio[:n]))
    assert np.mean(distances) < 4 and 0.7 < np.median(ratios) < 1.1


def test_bad_sounds_and_pitches():
    with pytest.raises(ValueError, match="order"):
        mel_cepstrum(np.zeros(800), 8000, order=40)
    with pytest.raises(ValueError, match="8000 or 16000"):
        envelope(np.zeros((3, 25)), 11_025)
    with pytest.raises(ValueError, match="everywhere"):
        continuous_log_f0(np.zeros(10), 20)
    with pytest.raises(ValueError, match="frames of cepstra"):
        vocode(np.zeros((10, 25)), np.zeros(11), 8000)
    with pytest.raises(ValueError, match="0 where unvoiced"):
        excitation(np.array([100.0, -1.0]), 8000)
    with pytest.raises(ValueError, match="share"):
        excitation(np.full(5, 100.0), 8000, buzz=2)


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
    assert np.isclose(whole.phones[-1][2], len(whole.mean) * hmm_synthesis.FRAME)
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


def test_speech_is_reproducible_and_the_seed_counts(voice):
    assert np.array_equal(voice.speak("six", "awb"), voice.speak("six", "awb"))
    assert not np.array_equal(voice.speak("six", "awb"), voice.speak("six", "awb", seed=1))


def test_words_share_states_only_where_the_neighbours_are_the_same(voice):
    """ "seven" alone gives the same states as "seven" among ten words, except in the silences:
    s also begins "six", and n also ends "one" and "nine"."""
    alone = StatisticalVoice.fit(data.spoken_digits("slt", "seven"))
    same = {
        key[1:]
        for key, unit in alone.units.items()
        if np.array_equal(unit.mean, voice.units[key].mean)
    }
    assert {key[1:] for key in alone.units} - same == {("", "pau", "s"), ("n", "pau", "")}


def test_errors_say_what_to_do(voice):
    for bad, message in (
        ({"words": "eleven"}, "never heard 'eleven'"),
        ({"words": ""}, "nothing to say"),
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
            StatisticalVoice.fit(clips)
    with pytest.raises(ValueError, match="fewer frames|n_states"):
        StatisticalVoice.fit([clip], n_states=500)
    one = StatisticalVoice.fit(data.spoken_digits("slt", "one") + data.spoken_digits("rms", "two"))
    with pytest.raises(ValueError, match="no recording of 'two'"):
        one.speak("two", "slt")


def test_torch_is_not_imported():
    code = "import sys, minigen.speech.hmm_synthesis; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
