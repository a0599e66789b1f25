"""Utterance: what it refuses, and that nothing in it can be changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from minigen import data


def utterance(**changes) -> data.Utterance:
    fields = {"audio": np.zeros(8000, np.float32), "rate": 8000, "text": "seven", "speaker": "slt"}
    return data.Utterance(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"audio": [0.0, 1.0]}, TypeError, "NumPy array"),
        ({"audio": np.zeros(8000)}, TypeError, r"float64.*astype\(np.float32\)"),
        ({"audio": np.zeros((2, 8000), np.float32)}, ValueError, "average the channels"),
        ({"audio": np.zeros(0, np.float32)}, ValueError, "T >= 1"),
        ({"audio": np.full(9, np.nan, np.float32)}, ValueError, "NaN"),
        ({"audio": np.full(9, -np.inf, np.float32)}, ValueError, "NaN or infinity"),
        ({"audio": np.full(9, 1.5, np.float32)}, ValueError, "1.5.*32768"),
        ({"rate": 8000.0}, TypeError, "must be an int"),
        ({"rate": True}, TypeError, "must be an int"),
        ({"rate": 0}, ValueError, "positive"),
        ({"text": None}, TypeError, "text is None"),
        ({"phones": [("s", 0.0)]}, TypeError, "phone, start_s, end_s"),
        ({"phones": [(3, 0.0, 0.5)]}, TypeError, "phone, start_s, end_s"),
        ({"phones": [("s", 0.0, 0.5), ("eh", 0.4, 0.6)]}, ValueError, "overlap"),
        ({"phones": [("s", 0.0, 800.0)]}, ValueError, "in seconds"),
        ({"phones": [("s", -0.1, 0.5)]}, ValueError, "from -0.1 to 0.5 s"),
        ({"phones": [("s", 0.0, float("nan"))]}, ValueError, "in order"),
        ({"f0": np.zeros((100, 1))}, TypeError, r"\(N,\)"),
        ({"f0": np.full(100, -1.0)}, ValueError, "use 0 for unvoiced"),
        ({"f0": np.full(100, np.inf)}, ValueError, "use 0 for unvoiced"),
        ({"f0": np.zeros(50)}, ValueError, "about 100"),
    ],
)
def test_utterance_refuses(changes, error, message):
    with pytest.raises(error, match=message):
        utterance(**changes)


def test_nothing_in_it_can_be_changed():
    """Not the fields, not the arrays, not the list of phones; and what it was made of stays the caller's."""
    audio, f0 = np.zeros(8000, np.float32), np.full(100, 120.0)
    phones = [["s", 0.0, 0.4], ["eh", 0.4, 1.0]]
    clip = utterance(audio=audio, phones=phones, f0=f0)
    assert clip.duration == 1.0
    audio[0], f0[0], phones[0][0] = 1, 0, "z"
    assert (clip.audio[0], clip.f0[0], clip.phones) == (0, 120, (("s", 0.0, 0.4), ("eh", 0.4, 1.0)))
    for array in (clip.audio, clip.f0):
        with pytest.raises(ValueError, match="read-only"):
            array *= 2
    with pytest.raises(AttributeError):
        clip.rate = 16000
    assert replace(clip, f0=None).audio is clip.audio  # copied only where somebody could write


def test_full_scale_and_two_frames_of_f0_more_or_less_will_do():
    assert utterance(audio=np.full(8000, -1, np.float32)).audio[0] == -1
    for n, known in ((97, False), (98, True), (102, True), (103, False)):
        if known:
            assert len(utterance(f0=np.zeros(n)).f0) == n
        else:
            with pytest.raises(ValueError, match=f"f0 has {n} values"):
                utterance(f0=np.zeros(n))


@pytest.mark.parametrize("late, known", [(0.04, True), (0.06, False)])
def test_labels_may_end_a_twentieth_of_a_second_late(late, known):
    if known:
        assert utterance(phones=[("s", 0.0, 1 + late)]).phones[0][2] == 1 + late
    else:
        with pytest.raises(ValueError, match="end by 1.000 s"):
            utterance(phones=[("s", 0.0, 1 + late)])
