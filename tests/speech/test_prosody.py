"""Phones, durations, F0 from text: each model alone, against laws, truth and simpler models."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import trapezoid

from minigen import data
from minigen.gaussian import Gaussian
from minigen.speech.corpus import held_out
from minigen.speech.pronunciation import phones as phones_of
from minigen.speech.prosody import (
    BINS,
    BackedOff,
    Contour,
    Prosody,
    contexts,
    frame_contexts,
    times_of,
)
from minigen.speech.voice_file import find
from minigen.timeseries import AR


@pytest.fixture(scope="module")
def clips():
    train, kept = held_out()
    mine = lambda part: [clip for clip in part if clip.speaker == "slt"]
    return mine(train), mine(kept)


@pytest.fixture(scope="module")
def prosody(clips):
    return Prosody.fit(clips[0])


def test_contexts_go_from_specific_to_general():
    phones = ["pau", "p", "r", "eh", "s", "pau", "t", "uw", "pau"]
    described = contexts(phones)
    assert len(described) == len(phones)
    for phone, keys in zip(phones, described, strict=True):
        assert keys[-1] == "" and keys[-2] == phone
        assert all(key.split()[0] == phone for key in keys[:-1])
    assert [keys[3] for keys in described] == [
        "pau start",
        "p first ",
        "r  ",
        "eh  late",
        "s  end",
        "pau inside",
        "t first ",
        "uw  late",
        "pau end",
    ]
    assert described[3][0].startswith("eh r s") and described[3][1].startswith(
        "eh (liquid fricative)"
    )
    with pytest.raises(ValueError, match="no phones"):
        contexts([])


def test_backing_off_is_the_gaussian_of_chapter_2():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, 40)
    keys = [("often x", "often", "")] * 30 + [("seldom y", "seldom", "")] * 10
    model = BackedOff.fit(keys, x, min_count=20)
    assert set(model.gaussians) == {"often x", "often", ""}
    fitted = Gaussian.fit(x[:30, None])
    found = model.find(("often x", "often", ""))
    assert np.allclose(found.mean, fitted.mean) and np.allclose(found.cov, fitted.cov)
    rest = model.find(("seldom y", "seldom", ""))
    assert np.allclose(rest.mean, x.mean()) and np.allclose(rest.cov, x.var())
    assert model.counts[""] == 40
    alike = BackedOff.fit([("a", "")] * 3, [1.0, 1.0, 1.0], min_std=0.2)
    assert np.isclose(alike.scales([("a", "")])[0], 0.2)  # no density becomes infinite
    with pytest.raises(ValueError, match="at least 2"):
        BackedOff.fit([("a", "")], [1.0])


def test_durations_are_positive_and_times_follow_them(prosody):
    phones = phones_of("nine, five two")
    for seed in (None, 0, 1):
        d = prosody.durations.predict(phones, seed)
        assert d.shape == (len(phones),) and (d > 0).all() and d.max() < 1
        times = times_of(phones, d)
        assert [name for name, _, _ in times] == phones and times[0][1] == 0
        assert all(a[2] == b[1] for a, b in pairwise(times))
        assert np.isclose(times[-1][2], d.sum())
    with pytest.raises(ValueError, match="above 0"):
        times_of(["a"], [0.0])


def test_seeds_reproduce_and_what_is_predicted_is_the_mean_of_samples(prosody):
    phones = phones_of("seven")
    predict = prosody.durations.predict
    assert np.array_equal(predict(phones, 5), predict(phones, 5))
    assert not np.array_equal(predict(phones, 5), predict(phones, 6))
    scale = prosody.durations.model.scales(contexts(phones))
    median = predict(phones, 5, temperature=0.0)
    assert np.allclose(median * np.exp(0.5 * scale**2), predict(phones))
    drawn = np.array([predict(phones, seed) for seed in range(600)])
    error = drawn.std(0) / 600**0.5
    assert (np.abs(drawn.mean(0) - predict(phones)) < 4 * error).all()
    assert (np.abs(drawn.mean(0) - median) > 2 * error).mean() > 0.5  # which the median is not
    assert np.allclose(np.log(drawn).std(0), scale, rtol=0.15)


def test_density_of_durations_integrates_to_one(prosody):
    phones = ["pau", "w", "ah", "n", "pau"]
    log_d = np.linspace(-8, 3, 4001)
    densities = []
    for value in np.exp(log_d):
        times = [("pau", 0, 0.1), ("w", 0.1, 0.1 + value)]
        times += [("ah", times[-1][2], times[-1][2] + 0.1)]
        times += [("n", times[-1][2], times[-1][2] + 0.1), ("pau", times[-1][2] + 0.1, 9 + value)]
        assert [name for name, _, _ in times] == phones
        densities.append(np.exp(prosody.durations.log_prob(times)[1]))
    far = np.exp(log_d) > 0.006  # shorter ones count as 5 ms
    area = trapezoid(np.array(densities)[far], log_d[far])
    assert abs(area - 1) < 1e-3


def test_context_explains_durations_that_were_kept_away(clips, prosody):
    """Held out: nats a phone above a Gaussian that knows no context, fitted on the same clips."""
    train, kept = clips
    log_d = lambda part: np.log([end - start for clip in part for _, start, end in clip.phones])
    free = Gaussian.fit(log_d(train)[:, None]).log_prob(log_d(kept)[:, None]).mean()
    known = np.concatenate([prosody.durations.log_prob(clip.phones) for clip in kept]).mean()
    assert known > free + 0.5


def test_frames_are_where_the_labels_say(clips):
    """The middle of frame n is (n + ½) · 10 ms: its phone, its third of it, its place in the phrase."""
    clip = clips[0][5]
    described, kind, place = frame_contexts(clip.phones, len(clip.f0))
    first, until = clip.phones[0][2], clip.phones[-1][1]  # between the two pauses
    for n, keys in enumerate(described):
        centre = (n + 0.5) * 0.01
        name, start, end = next(p for p in clip.phones if centre <= p[2])
        third = min(int(3 * (centre - start) / (end - start)), 2)
        assert keys[-1] == "" and keys[-2] == f"{name} @{third}"
        assert np.isclose(place[n], np.clip((centre - first) / (until - first), 0, 1))
    assert (kind == 0).all()
    many = times_of(["pau", "aa", "pau", "iy", "pau", "uw", "pau"], [0.1] * 7)
    assert frame_contexts(many, 70)[1][[15, 35, 55]].tolist() == [1, 2, 3]


def test_contour_knows_more_than_constants(clips, prosody):
    train, kept = clips
    voiced = np.concatenate([clip.f0 for clip in train])
    speaker, constant = np.log(voiced[voiced > 0]).mean(), (voiced > 0).mean() > 0.5
    right, guess, error, flat = [], [], [], []
    for clip in kept:
        f0 = prosody.contour.predict(clip.phones, n=len(clip.f0))
        truth = clip.f0 > 0
        right.append((f0 > 0) == truth)
        guess.append(truth == constant)
        both = truth & (f0 > 0)
        error.append(np.log(f0[both] / clip.f0[both]))
        flat.append(speaker - np.log(clip.f0[both]))
    right, guess = (np.concatenate(part).mean() for part in (right, guess))
    error, flat = (np.sqrt(np.mean(np.concatenate(part) ** 2)) for part in (error, flat))
    assert right > 0.9 > guess
    assert error < 0.6 * flat


@pytest.mark.parametrize("step", [0.0, 0.2])
def test_contour_recovers_a_known_one(step):
    """Phones with known offsets, a falling line and an AR(2) on top: all three come back."""
    rng = np.random.default_rng(0)
    true, n = AR.from_parameters([1.2, -0.4], sigma=0.01), 120
    offset = {"aa": step / 2, "iy": -step / 2}
    made = []
    for index in range(80):
        phones = [["aa", "iy"][k] for k in rng.integers(0, 2, 12)]
        times = times_of(phones, np.full(12, 0.1))
        steps = np.repeat([offset[name] for name in phones], 10)
        log_f0 = 5 - 0.2 * np.linspace(0, 1, n) + steps + true.simulate(n, index)
        silent = np.zeros(n * 80, np.float32)
        made.append(data.Utterance(silent, 8000, "", "x", times, np.exp(log_f0), str(index)))
    contour = Contour.fit(made)
    assert np.allclose(np.diff(contour.level[0]), -0.2 / 6, atol=0.02)
    middle = {name: contour.offset.find((f"{name} @1", name)).mean[0] for name in offset}
    assert abs(middle["aa"] - middle["iy"] - step) < 0.03
    if step:  # smoothing rounds the steps between phones, which r then has to follow
        assert contour.ar.is_stationary and true.sigma < contour.ar.sigma < 0.03
    else:
        assert contour.ar.sigma == pytest.approx(true.sigma, rel=0.03)
        assert np.allclose(contour.ar.coefficients, true.coefficients, atol=0.05)
    log_f0, voicing = contour.mean(made[0].phones)
    assert (voicing == 1).all() and len(log_f0) == n
    drawn = np.log([contour.predict(made[0].phones, seed) for seed in range(300)])
    spread = np.sqrt(contour.ar.autocovariance(0)[0])
    assert np.allclose(drawn.mean(0), log_f0, atol=4 * spread / 300**0.5)
    assert np.allclose(drawn.std(0).mean(), spread, rtol=0.1)
    assert np.array_equal(contour.predict(made[0].phones, 3), contour.predict(made[0].phones, 3))


def test_every_part_of_a_plan_can_be_the_truth(clips, prosody):
    clip = clips[1][3]
    names = [name for name, _, _ in clip.phones]
    times, f0 = prosody.plan(clip.text)
    assert [name for name, _, _ in times] == names and len(f0) == round(times[-1][2] / 0.01)
    again, _ = prosody.plan(phones=names)
    assert again == times
    true, predicted = prosody.plan(times=clip.phones)
    assert true == list(clip.phones) and len(predicted) == round(true[-1][2] / 0.01)
    a, b = prosody.plan(clip.text, seed=1), prosody.plan(clip.text, seed=1)
    assert a[0] == b[0] and np.array_equal(a[1], b[1])
    assert a[0] != times


def test_pace_and_pitch_of_a_plan(prosody):
    times, f0 = prosody.plan("six nine")
    quick, high = prosody.plan("six nine", pace=2.0, pitch=1.5)
    assert np.isclose(quick[-1][2], times[-1][2] / 2)
    given, f0_given = prosody.plan(times=times, pace=2.0)
    assert np.allclose([row[1:] for row in given], [row[1:] for row in quick])
    assert np.array_equal(f0_given, prosody.plan(phones=[p for p, *_ in times], pace=2.0)[1])
    assert np.isclose(np.median(high[high > 0]) / np.median(f0[f0 > 0]), 1.5, rtol=0.03)


def test_plans_say_what_is_wrong(prosody, clips):
    clip = clips[1][0]
    for arguments, message in (
        ({}, "give one of"),
        ({"text": "one", "phones": ["w"]}, "give one of"),
        ({"text": "one", "pace": 3}, "pace is a factor"),
        ({"text": "one", "pitch": 0.1}, "pitch is a factor"),
        ({"text": "eleven"}, "has no phone 'l'"),
        ({"text": "..."}, "nothing to read"),
    ):
        with pytest.raises(ValueError, match=message):
            prosody.plan(**arguments)
    with pytest.raises(ValueError, match="of one speaker"):
        Prosody.fit(data.spoken_digits()[:3] + data.spoken_digits("rms")[:3])
    with pytest.raises(ValueError, match="only 19 voiced frames: a contour needs at least 20"):
        Contour.fit([dataclasses.replace(clip, f0=np.where(np.arange(len(clip.f0)) < 19, 99.0, 0))])
    for missing in ({"f0": None}, {"phones": None}):
        with pytest.raises(ValueError, match="no phone times or no F0"):
            Contour.fit([dataclasses.replace(clip, **missing)])


def test_saved_prosody_plans_the_same(prosody, tmp_path):
    prosody.save(tmp_path / "p.json")
    loaded = Prosody.load(tmp_path / "p.json")
    for seed in (None, 2):
        (times, f0), (again, hz) = (p.plan("zero three", seed=seed) for p in (prosody, loaded))
        assert [name for name, _, _ in times] == [name for name, _, _ in again]
        assert np.allclose([t[2] for t in times], [t[2] for t in again], rtol=1e-3)
        assert abs(len(f0) - len(hz)) <= 1
        n = min(len(f0), len(hz))
        assert np.isclose(f0[:n], hz[:n], rtol=0.01).mean() > (0.95 if seed else 0.999)
    with pytest.raises(FileNotFoundError, match="no file"):
        Prosody.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{"format": "other"}')
    with pytest.raises(ValueError, match="does not hold fitted prosody"):
        Prosody.load(tmp_path / "bad.json")


def test_shipped_prosody_speaks_any_sentence():
    prosody = find("allison").prosody
    # zh was never said
    times, f0 = prosody.plan("Your measure of joy has been changed, thank you.")
    assert 2 < times[-1][2] < 6 and len(f0) == round(times[-1][2] / 0.01)
    names = [name for name, _, _ in times]
    assert names.count("pau") == 3 and "zh" not in names and "oy" in names
    voiced = f0[f0 > 0]
    assert 0.4 < len(voiced) / len(f0) < 0.9 and 150 < np.median(voiced) < 260
    vowels = [end - start for name, start, end in times if name in ("iy", "aa", "ae", "uw")]
    assert 0.04 < np.median(vowels) < 0.3


def test_where_the_level_and_the_offset_are_constant_the_contour_is_their_sum():
    always = lambda value: BackedOff({"": Gaussian([value], [[1.0]])}, {"": 9})
    contour = Contour(np.full((4, BINS), 5.0), always(0.3), always(0.9))
    log_f0, voicing = contour.mean(times_of(["pau", "aa", "pau"], [0.1, 0.2, 0.1]))
    assert np.allclose(log_f0, 5.3) and np.allclose(voicing, 0.9) and len(log_f0) == 40


def test_a_context_needs_as_many_values_as_asked_for_a_gaussian_of_its_own(clips):
    some = clips[0][:14]
    tables = lambda least: [
        (p := Prosody.fit(some, least)).durations.model,
        p.contour.offset,
        p.contour.voicing,
    ]
    for few, usual, many in zip(tables(2), tables(8), tables(10**6), strict=True):
        assert set(many.gaussians) == {""}
        assert min(usual.counts.values()) >= 8 > min(few.counts.values()) >= 2
    assert np.ptp(Prosody.fit(some, 10**6).contour.level) == 0
