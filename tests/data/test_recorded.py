"""The figures about real recorded speech that chapter 1 prints: they are those of the recordings.

The recordings are not in the repository (see conftest.py). Where they are absent, the tests
that need them are skipped and say so.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import measure_recordings
import numpy as np
import pytest
from scipy import signal

from minigen import data, results
from minigen.data import fetch, g722

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
ASTERISK = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
ASTERISK_TEXTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
FESTVOX = Path("/usr/share/festival/voices/russian/msu_ru_nsh_clunits/etc/txt.done.data")


def clip(x: np.ndarray, rate: int = 8000) -> data.Utterance:
    return data.Utterance(x.astype(np.float32), rate, "", "nobody")


def test_a_process_whose_autocorrelation_is_known():
    rng = np.random.default_rng(0)
    clips = []
    for a in (0.5, 0.9):
        x = signal.lfilter([1], [1, -a], rng.normal(size=100_000))
        clips.append(clip(x / np.abs(x).max()))
    found = data.measure_dependence([*clips, clip(np.zeros(900)), clip(np.ones(9) / 2)])
    assert found.clips == 2 and np.isclose(found.seconds, 25)  # silent and short ones are left out
    k = np.arange(6)
    assert np.allclose(found.mean[:6], (0.5**k + 0.9**k) / 2, atol=0.02)
    assert np.allclose([found.low, found.high], [0.52, 0.88], atol=0.02)


def test_lags_are_at_one_rate():
    """A tone of 100 Hz has its period at lag 80 of 8,000 Hz, whatever its own rate is."""
    for rate in (8_000, 16_000, 22_050):
        x = 0.5 * np.sin(2 * np.pi * 100 * np.arange(rate) / rate)
        assert 40 + data.measure_dependence([clip(x, rate)]).mean[40:120].argmax() == 80


def test_nothing_to_measure():
    with pytest.raises(ValueError, match="no clip has 161 samples"):
        data.measure_dependence([clip(np.sin(np.arange(160)))])
    assert data.measure_dependence([clip(np.sin(np.arange(161)))]).clips == 1


def test_what_is_kept_is_possible():
    kept = data.recorded_dependence()
    assert list(kept) == list(measure_recordings.CORPORA)
    for found in kept.values():
        assert found.mean.shape == (161,) and found.mean[0] == 1
        assert (np.abs(found.mean[1:]) < 1).all() and found.low < found.mean[1] < found.high


def test_a_tampered_figure_is_seen():
    kept = data.recorded_dependence()
    assert measure_recordings.differences(kept, kept) == []
    bent = kept["fsdd"].mean.copy()
    bent[7] += 0.001
    for wrong in ({"mean": bent}, {"clips": 2999}, {"low": kept["fsdd"].low + 0.001}):
        tampered = kept | {"fsdd": replace(kept["fsdd"], **wrong)}
        assert measure_recordings.differences(tampered, kept) == ["fsdd"]
    assert measure_recordings.differences({"fsdd": kept["fsdd"]}, kept) == ["allison", "festvox_ru"]


@pytest.mark.parametrize("name", measure_recordings.CORPORA)
def test_kept_figures_are_those_of_the_recordings(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGEN_DATA", str(tmp_path))
    if name == "fsdd":
        if not (SHARED / "fsdd.tar.gz").exists():
            pytest.skip(f"no recordings here: {SHARED / 'fsdd.tar.gz'} is absent")
        fetch.unpack(SHARED / "fsdd.tar.gz", tmp_path)
    elif name == "allison":
        if not (any(ASTERISK.glob("*.g722")) and ASTERISK_TEXTS.exists()):
            pytest.skip("no recordings here: Debian's asterisk-core-sounds-en-g722 is absent")
        try:
            g722.decode([next(ASTERISK.glob("*.g722"))])
        except ImportError:
            pytest.skip("no decoder of G.722 here: PyAV is not installed")
    elif not FESTVOX.exists():
        pytest.skip("no recordings here: Debian's festvox-ru is absent")
    found = {name: data.measure_dependence(measure_recordings.CORPORA[name]())}
    assert measure_recordings.differences({name: data.recorded_dependence()[name]}, found) == []


def test_the_file_is_written_as_it_is_read():
    text = measure_recordings.as_json(data.recorded_dependence())
    assert text == results.path("recorded_dependence").read_text(encoding="utf-8")
