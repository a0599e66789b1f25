"""How conversion is measured: classifiers and counts on cases worked by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conversion_toy import KEPT, LEARN

from minigen import data, vq
from minigen.audio import mel_cepstrum, mfcc
from minigen.speech import conversion
from minigen.speech import conversion_features as features
from minigen.speech import conversion_measures as measures

ROOT = Path(__file__).parents[2]


def test_pairs_are_the_same_word_and_variant():
    made = measures.pairs(KEPT)
    assert len(made) == 60
    assert all(
        p.source.text == p.target.text and p.source.speaker != p.target.speaker for p in made
    )
    assert not {p.target.name for p in made} & {c.name for c in LEARN}
    with pytest.raises(ValueError, match="different speakers"):
        measures.pairs([KEPT[0]])


def test_the_judge_knows_speakers_and_not_levels():
    judge = measures.SpeakerClassifier(LEARN)
    assert judge.accuracy(KEPT) >= 0.95
    assert all(judge(0.5 * clip.audio) == clip.speaker for clip in KEPT[::4])
    x = 10 * LEARN[0].audio  # what is more than 40 dB below the loudest frame does not count
    longer = np.r_[x, np.zeros(2000), 1e-4 * x, np.zeros(2000)]
    assert np.allclose(judge.statistics(longer), judge.statistics(x), atol=0.03)


def test_the_probe_by_hand():
    clip = lambda name, phones: data.Utterance(
        np.zeros(1280, np.float32), 8000, "x", "s", phones=phones, name=name
    )
    learn = [clip("a", [("pau", 0, 0.04), ("s", 0.04, 0.10), ("n", 0.10, 0.16)])]
    kept = [clip("b", [("pau", 0, 0.04), ("s", 0.04, 0.08), ("n", 0.08, 0.16)])]
    codes = {
        "a": torch.tensor([0, 0, 1, 1, 1, 2, 2, 2]),
        "b": torch.tensor([0, 0, 1, 1, 1, 2, 3, 2]),
    }
    got = measures.probe(codes, learn, kept)
    assert got["speaker"] == pytest.approx(7 / 8)  # the unknown code 3 names nobody
    assert got["accuracy"] == pytest.approx(6 / 8)  # one n by code 1, one by the unknown code 3
    assert got["chance"] == pytest.approx(2 / 8)  # s, most frequent in training
    assert got["accuracy without pauses"] == pytest.approx(4 / 6)
    assert got["chance without pauses"] == pytest.approx(2 / 6)
    same = measures.probe({**codes, "b": torch.tensor([0, 0, 1, 1, 2, 2, 2, 2])}, learn, kept)
    p = np.array([2, 2, 4]) / 8
    assert same["mutual information"] == pytest.approx(-(p * np.log2(p)).sum())


def test_codes_that_say_nothing_share_bits_by_luck_and_shuffling_shows_it():
    clips = [
        data.Utterance(
            np.zeros(8000, np.float32),
            8000,
            "x",
            "s",
            phones=[("a", 0, 0.5), ("b", 0.5, 1)],
            name=name,
        )
        for name in "cd"
    ]
    rng = np.random.default_rng(0)
    codes = {clip.name: torch.from_numpy(rng.integers(0, 30, 50)) for clip in clips}
    got = measures.probe(codes, clips[:1], clips[1:])
    assert got["mutual information"] > 0.3  # of the 1 bit that there is
    assert got["labels shuffled"] == pytest.approx(got["mutual information"], abs=0.2)


def test_k_means_codes_are_the_nearest_centres_of_pairs_of_frames():
    rng = np.random.default_rng(0)
    rows = {
        c.name: rng.normal(size=(3, 41)) + 9 * rng.integers(0, 2, (1, 41)).repeat(3, 0)
        for c in LEARN
    }
    for x in rows.values():
        x[:, 1::2] = x[:, :40:2] if x.shape[1] % 2 == 0 else x[:, :-1:2]
    codes = measures.kmeans_codes(rows, LEARN, 2)
    for name, x in list(rows.items())[:5]:
        assert len(codes[name]) == 20
        high = torch.from_numpy(x[0, :40:2] > 4.5)
        assert ((codes[name] == 1) == high).all() or ((codes[name] == 0) == high).all()


def test_moving_the_moments_moves_the_spectrum_to_the_target():
    model, _ = conversion.load()
    judge = measures.SpeakerClassifier(LEARN)
    some = measures.pairs(KEPT)[::12]
    moved = measures.move_moments(model, LEARN[::5], some)
    rows = measures.held_to_targets(moved, some, judge, lambda wave: "seven")
    before = measures.held_to_targets(
        [p.source.audio for p in some], some, judge, lambda wave: "seven"
    )
    assert all(len(wave) == len(pair.source.audio) for wave, pair in zip(moved, some, strict=True))
    assert rows["clips"] == len(some) and rows["mcd dB"] < before["mcd dB"]
    assert rows["target %"] > before["target %"]


def test_moved_spectra_have_the_targets_moments_and_its_pitch(monkeypatch):
    """Over all that a speaker said; and what is moved to the speaker's own is left as it is."""
    model, learn = conversion.load()[0], LEARN[::15]
    own = {who: [c for c in learn if c.speaker == who] for who in ("slt", "rms")}
    spectra = lambda clips: np.concatenate([mel_cepstrum(c.audio, 8000).T for c in clips])
    seen = []
    keep = lambda clip, rows: seen.append((clip.f0, rows)) or np.zeros(1)
    monkeypatch.setattr(measures, "resynthesise", keep)
    for to, clips in own.items():
        seen.clear()
        measures.move_moments(model, learn, [measures.Pair(c, clips[0]) for c in own["slt"]])
        moved, want = np.concatenate([rows for _, rows in seen]), spectra(clips)
        assert np.allclose(moved.mean(0), want.mean(0)) and np.allclose(moved.std(0), want.std(0))
        assert np.allclose(moved, spectra(own["slt"])) == (to == "slt")
        assert np.array_equal(seen[0][0], model.pitched(own["slt"][0].f0, to))


def test_shares_are_of_the_target_and_of_the_words_in_per_cent():
    """Four recordings of the target itself: no distance; one taken for the target, three for their word."""
    some = [p for p in measures.pairs(KEPT) if p.target.speaker == "rms"][:4]
    takes, reads = (iter(x) for x in (["rms", "slt", "awb", "slt"], [p.source.text for p in some]))
    judge, recognise = (lambda wave: next(takes)), (lambda wave: next(reads).replace("zero", "no"))
    rows = measures.held_to_targets([p.target.audio for p in some], some, judge, recognise)
    zeros = sum(p.source.text == "zero" for p in some)
    want = {"mcd dB": 0, "target %": 25, "recognised %": 25 * (4 - zeros), "clips": 4}
    assert rows == pytest.approx(want, abs=1e-6) and 0 < zeros < 4


def test_the_shipped_codes_know_phones():
    model, card = conversion.load()
    codes = {c.name: model.codes_of(features.extract(c.audio, c.f0)) for c in LEARN + KEPT}
    got = measures.probe(codes, LEARN, KEPT)
    for name, value in got.items():
        assert value == pytest.approx(card["codes against phones"][name], abs=0.01), name
    assert got["accuracy"] > 3 * got["chance"]
    assert vq.usage([codes[c.name] for c in LEARN], 128).used >= 120


def test_pairs_get_their_targets_pitch_and_voice_and_a_clip_of_itself_keeps_its_own(monkeypatch):
    model, seen = conversion.load()[0], []
    f0, low = KEPT[0].f0, lambda f0, who: (who, f0)
    monkeypatch.setattr(model, "pitched", low, raising=False)
    condition = lambda codes, f0, who: seen.append((f0, who)) or torch.zeros(1, 1, 8)
    monkeypatch.setattr(model, "condition", condition, raising=False)
    silence = lambda model, conds, seed: [np.zeros(8)] * len(conds)
    monkeypatch.setattr(measures, "sample_batches", silence)
    other = next(p for p in measures.pairs(KEPT) if p.source is KEPT[0])
    measures.convert_pairs(model, [other, measures.Pair(KEPT[0], KEPT[0])])
    (moved, who), (kept, own) = seen
    assert moved[0] == who == other.target.speaker and own == KEPT[0].speaker
    assert np.array_equal(kept[: len(f0)], f0)


def test_a_clips_statistics_are_means_and_deviations_of_its_frames():
    judge, x = measures.SpeakerClassifier(LEARN[::20]), KEPT[0].audio.astype(float)
    cepstrum = mfcc(x + np.random.default_rng(0).normal(0, 1e-3, len(x)), 8000)
    level = cepstrum[0] * 20 / np.log(10) / np.sqrt(24)
    loud = cepstrum[1:, level > level.max() - 40]
    got = judge.statistics(x)
    assert np.allclose(got[:12], loud.mean(1), rtol=1e-6)
    assert np.allclose(got[12:] ** 2, loud.var(1), rtol=1e-6)
