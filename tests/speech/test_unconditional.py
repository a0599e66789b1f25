"""The networks of chapter 7: what ships is what its card states, and nats are by hand what they are by call."""

import dataclasses
import itertools

import numpy as np
import pytest
import toy
from scipy.signal import lfilter

from minigen import data, weights
from minigen.speech import corpus, unconditional
from minigen.speech.recipe import read_toml


@pytest.mark.parametrize("name", unconditional.HEADS)
def test_a_head_is_what_its_card_states(name):
    net = unconditional.load_head(name)
    row = next(r for r in unconditional.card("heads")["heads"] if r["head"] == name)
    assert sum(weight.numel() for weight in net.parameters()) == row["parameters"]
    clips = unconditional.split()[1][:2]
    total = 0.0
    for clip in clips:
        x = corpus.as_batch(clip, unconditional.DITHER)["audio"]
        total += net.head.log_density(net(x), x).sum().item()
    nats = unconditional.nats(net, clips)
    assert nats == pytest.approx(total / sum(len(clip.audio) for clip in clips), rel=1e-5)
    assert row["start"] < row["held_out"] and abs(nats - row["held_out"]) < 1


def test_what_is_known_of_the_recording_changes_the_nats():
    """With the phase that speaking has, a conditional network knows less of the samples; dither adds noise."""
    step = unconditional.card("checkpoints")["checkpoints"][-1]["step"]
    net, clip = unconditional.load_checkpoint(step), [data.example()]
    usual = unconditional.nats(net, clip)
    assert unconditional.nats(net, clip, follow_audio=False) < usual - 0.05
    assert unconditional.nats(net, clip, dither=0.005) < usual - 0.2


def test_no_word_of_the_held_out_ones_is_in_training():
    train, unheard, known = unconditional.split()
    assert (len(train), len(unheard), len(known)) == (297, 36, 27)
    word = lambda clip: (clip.speaker, clip.text)
    assert {word(clip) for clip in unheard} == set(unconditional.UNHEARD.items())
    assert not {word(clip) for clip in train} & {word(clip) for clip in unheard}
    assert {word(clip) for clip in known} <= {word(clip) for clip in train}
    assert not {clip.name for clip in train} & {clip.name for clip in known}


def test_checkpoints_are_those_of_the_recipe():
    recipe = read_toml(toy.ROOT / "training/wavenet-cpu.toml")
    steps = recipe["conditional"]["checkpoints"]
    rows = unconditional.card("checkpoints")["checkpoints"]
    assert [row["step"] for row in rows] == steps
    clip = [data.example()]
    found = [unconditional.nats(unconditional.load_checkpoint(step), clip) for step in steps]
    assert len(set(found)) == len(steps) and found[-1] == max(found)
    held = weights.load(f"wavenet_step_{steps[0]}")[0]
    assert unconditional.build(recipe).state_dict().keys() == held.keys()
    for call in (lambda: unconditional.load_checkpoint(7), lambda: unconditional.load_head("x")):
        with pytest.raises(ValueError, match="no (checkpoint|head)"):
            call()


def test_a_longer_linear_predictor_is_better_and_costs_what_its_errors_do():
    word = data.example()
    found = [unconditional.ar_nats(order, [word], [word]) for order in (1, 4, 16)]
    assert found == sorted(found)
    x = corpus.as_batch(word, unconditional.DITHER)["audio"][0, 0].double().numpy()
    past = np.r_[0.0, x[:-1]]
    error = x - past * (past @ x) / (past @ past)
    assert found[0] == pytest.approx(-0.5 * np.log(2 * np.pi * np.e * np.mean(error**2)))


def test_a_scale_that_follows_the_errors_is_found():
    """Silence beside a loud stretch: the fixed scale suits neither, the adaptive one both."""
    rng = np.random.default_rng(0)
    word = data.example()
    loud = np.where(np.arange(len(word.audio)) // 500 % 2, 0.1, 0.001)
    noise = lambda: (loud * rng.standard_normal(len(loud))).astype(np.float32)
    make = lambda: dataclasses.replace(word, audio=noise())
    train, test = [make() for _ in range(10)], [make()]
    fixed = unconditional.ar_nats(2, train, test)
    known, (new,) = ([unconditional.dithered(clip) for clip in clips] for clips in (train, test))
    adaptive = unconditional.AdaptiveAR.fit(known, 2).log_density(new).mean()
    scale = np.sqrt(loud**2 + unconditional.DITHER**2)
    best = np.mean(-np.log(scale) - 0.5 * np.log(2 * np.pi * np.e))
    assert fixed + 0.5 < adaptive < best


def test_each_round_of_the_fit_counts():
    """Of none least squares are left; each further round moves the weights of errors with long tails."""
    x = np.random.default_rng(0).standard_t(2, 500)
    found = [unconditional.AdaptiveAR.fit([x], 2, rounds).weights for rounds in (0, 1, 2, 3, 4)]
    assert np.array_equal(found[0], unconditional.least_squares([x], 2))
    assert all(np.abs(a - b).max() > 1e-9 for a, b in itertools.pairwise(found))
    assert np.array_equal(unconditional.AdaptiveAR.fit([x], 2).weights, found[4])  # the default


def test_the_adaptive_predictor_is_fitted_under_its_own_scale():
    """Loud noise beside a quiet resonance: least squares follow the noise, the fit finds the resonance."""
    rng = np.random.default_rng(0)
    u = rng.standard_t(3, 8000) * np.where(np.arange(8000) // 1000 % 2, 0.3, 0.001)
    x = np.zeros(8000)
    for t in range(2, 8000):
        w = (0.0, 0.0) if t // 1000 % 2 else (1.6, -0.9)
        x[t] = w[0] * x[t - 1] + w[1] * x[t - 2] + u[t]
    quiet = [x[n : n + 1000] for n in range(100, 7000, 2000)]
    once, settled = (unconditional.AdaptiveAR.fit([x], 2, rounds) for rounds in (0, 6))
    gain = np.mean([settled.log_density(q).mean() - once.log_density(q).mean() for q in quiet])
    assert gain > 0.1
    past = [x[:t] for t in range(500, 510)]
    ahead = [settled.predict(np.r_[part, 9.0])[0][-1] for part in past]
    assert np.allclose(ahead, settled.predict(x)[0][500:510])  # no sample sees itself


def test_the_density_of_the_adaptive_predictor_integrates_to_one():
    predictor = unconditional.AdaptiveAR(np.array([0.5]), (0.7, 1e-4, 0.7))
    grid = np.sinh(np.linspace(-9, 9, 4001)) * 0.01
    p = np.exp([predictor.log_density(np.array([0.02, v]))[1] for v in grid])
    assert np.trapezoid(p, grid) == pytest.approx(1, abs=1e-4)


def test_a_settled_predictor_stands_where_the_likelihood_is_flat():
    """Of its weights, under its own scales: by the slope of Student's density, not by that of the fit."""
    x = 0.01 * np.random.default_rng(1).standard_t(3, 2000)
    x = lfilter([1.0], [1.0, -1.2, 0.6], x)

    def slope(found):
        past = np.stack([np.r_[np.zeros(k), x[:-k]] for k in (1, 2)], 1)
        e = x - past @ found.weights
        sigma = found.predict(x)[1]
        return np.abs(past.T @ (4 * e / (3 * sigma**2 + e**2))).max()

    once, settled = (unconditional.AdaptiveAR.fit([x], 2, rounds) for rounds in (0, 12))
    assert slope(settled) < 1e-3 * slope(once)
