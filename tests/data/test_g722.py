"""G.722: what cannot be decoded is named."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from minigen.data import g722


def test_without_the_decoder_the_fix_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match="pip install av"):
        g722.decode([tmp_path / "a.g722"])


def test_empty_file_is_named(tmp_path):
    pytest.importorskip("av", reason="PyAV is not installed")
    (tmp_path / "a.g722").touch()
    with pytest.raises(ValueError, match="a.g722 is empty or damaged.*remove its folder"):
        g722.decode([tmp_path / "a.g722"])


def test_one_second_is_one_second(tmp_path):
    """64 kbit/s: 8,000 bytes hold 16,000 samples."""
    pytest.importorskip("av", reason="PyAV is not installed")
    (tmp_path / "a").write_bytes(bytes(range(250)) * 32)  # whatever its name
    (wave,) = g722.decode([tmp_path / "a"])
    assert wave.shape == (g722.RATE,) and abs(wave).max() <= 1 and wave.dtype == "float32"


def test_a_tone_that_was_encoded_comes_back(tmp_path):
    """At its own level: half of full scale."""
    av = pytest.importorskip("av", reason="PyAV is not installed")
    tone = 0.5 * np.sin(2 * np.pi * 440 / g722.RATE * np.arange(g722.RATE))
    with av.open(str(tmp_path / "a"), "w", format="g722") as out:
        stream = out.add_stream("g722", rate=g722.RATE)
        stream.layout = "mono"
        x = (32_768 * tone).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(x, format="s16", layout="mono")
        frame.sample_rate = g722.RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    (wave,) = g722.decode([tmp_path / "a"])
    assert wave.std() == pytest.approx(tone.std(), rel=0.01)
    assert np.argmax(np.abs(np.fft.rfft(wave))) == 440
