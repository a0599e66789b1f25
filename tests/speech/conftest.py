"""A recorded corpus for tests, from the digits."""

import dataclasses

import numpy as np
import pytest

from minigen import audio, data
from minigen.speech.corpus import Source


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A corpus in place of allison: digits at 16 kHz with another name, and a table of their phones."""
    words = [clip for clip in data.spoken_digits("rms") if "_p1.0" in clip.name]
    clips = []
    for clip in words:
        x = np.clip(audio.resample(clip.audio, 8000, 16_000), -1, 1).astype(np.float32)
        bare = dataclasses.replace(clip, audio=x, rate=16_000, phones=None, f0=None)
        clips.append(dataclasses.replace(bare, speaker="somebody"))
    data.save_phones(tmp_path / "times.tsv", {clip.name: clip.phones for clip in words})
    monkeypatch.setattr(data, "allison", lambda limit=None: clips[:limit])
    return Source(8000, "allison", phones=str(tmp_path / "times.tsv")), words
