"""G.722: what cannot be decoded is named."""

from __future__ import annotations

import sys

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
