"""The figures of the voices of the digits."""

import numpy as np
import pytest

from minigen import metrics
from minigen.speech import corpus, evaluation, synthesis, voice


def test_the_table_of_the_digits(monkeypatch):
    train, kept = corpus.held_out()
    monkeypatch.setattr(corpus, "held_out", lambda: (train[:40], kept[:3]))
    monkeypatch.setattr(synthesis, "samples_per_second", lambda model: 1.0)
    rows = evaluation.digits_table(per_word=1)
    measures = {"warped dB", "MCD dB", "log-mel dB", "STFT"}
    for name in ("teacher", "student"):
        found = evaluation.against_recordings(voice.load(name))
        assert (rows[name]["log-mel dB"], rows[name]["std ratio"]) == pytest.approx(found)
        assert measures < set(rows[name]) and 0 < rows[name]["MCD dB"] < 10
    assert set(rows["student to teacher"]) == measures and rows["student"]["KL nats"] > 0
    said = [evaluation._as_recorded(voice.load(name), kept[:3]) for name in ("student", "teacher")]
    pairs = zip(*said, strict=True)
    apart = [metrics.mel_cepstral_distortion(a, b, 8000) for a, b in pairs]
    assert rows["student to teacher"]["MCD dB"] == pytest.approx(np.mean(apart))
