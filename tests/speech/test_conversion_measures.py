"""How conversion is measured: classifiers and counts on cases worked by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conversion_toy import KEPT, LEARN

from minigen import data, vq
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
    assert got["accuracy"] == pytest.approx(6 / 8)  # one n by code 1, one by the unknown code 3
    assert got["chance"] == pytest.approx(2 / 8)  # s, most frequent in training
    assert got["accuracy without pauses"] == pytest.approx(4 / 6)
    assert got["chance without pauses"] == pytest.approx(2 / 6)
    same = measures.probe({**codes, "b": torch.tensor([0, 0, 1, 1, 2, 2, 2, 2])}, learn, kept)
    p = np.array([2, 2, 4]) / 8
    assert same["mutual information"] == pytest.approx(-(p * np.log2(p)).sum())


def test_the_shipped_codes_know_phones():
    model, card = conversion.load()
    codes = {c.name: model.codes_of(features.extract(c.audio, c.f0)) for c in LEARN + KEPT}
    got = measures.probe(codes, LEARN, KEPT)
    for name, value in got.items():
        assert value == pytest.approx(card["codes against phones"][name], abs=0.01), name
    assert got["accuracy"] > 3 * got["chance"]
    assert vq.usage([codes[c.name] for c in LEARN], 128).used >= 120
