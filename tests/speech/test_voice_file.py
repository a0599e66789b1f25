"""A voice in one file: what is saved speaks as before, and is found by name or file."""

import dataclasses

import numpy as np
import pytest

from minigen import weights
from minigen.speech import synthesis, voice_file
from minigen.speech.reader import Reader


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    path = tmp_path_factory.mktemp("voice") / "mine.safetensors"
    found = voice_file.find("allison")
    reader = Reader({"lee": [("hh", "ax", "l", "ow")]})
    prosody = dataclasses.replace(found.prosody, speaker="me")
    voice_file.save(
        dataclasses.replace(found, name="me", reader=reader, prosody=prosody, licence="mine"), path
    )
    return path


def test_a_saved_voice_speaks_as_it_did(mine):
    whole = synthesis.speak("Lee.", voice=str(mine)).audio
    assert np.allclose(voice_file.find(str(mine)).synthesize("Lee."), whole, atol=1e-5)
    want = synthesis.speak("Hello.", voice="allison", temperature=0.0)
    got = synthesis.speak("Lee.", voice=str(mine), temperature=0.0)
    assert got.rate == want.rate and got.audio.shape == want.audio.shape
    assert np.abs(got.audio - want.audio).max() < 0.05 * np.abs(want.audio).max()
    assert mine.stat().st_size < 5e6


def test_all_of_it_is_in_the_file(mine):
    """Nothing of the shipped voice's pitch or pauses is left where the file has its own."""
    found = voice_file.load(mine)
    assert voice_file.load(mine) is found and found.name == "me" and found.licence == "mine"
    contour = dataclasses.replace(found.prosody.contour, level=found.prosody.contour.level - 0.5)
    low = dataclasses.replace(found, prosody=dataclasses.replace(found.prosody, contour=contour))
    voice_file.save(low, mine.with_name("low.safetensors"))
    planned = lambda name: voice_file.load(mine.with_name(name)).prosody.plan("hello")[1]
    usual, lower = planned("mine.safetensors"), planned("low.safetensors")
    assert np.allclose(lower[usual > 0] / usual[usual > 0], np.exp(-0.5), rtol=1e-3)


def test_every_field_of_a_voice_comes_back(mine):
    found = voice_file.load(mine)
    reader = Reader({"lee": [("a", "b"), ("c",)]}, english=False)
    other = dataclasses.replace(found, name="x", reader=reader, licence="y", made={"minutes": 3})
    voice_file.save(other, mine.with_name("other.safetensors"))
    back = voice_file.load(mine.with_name("other.safetensors"))
    assert voice_file.find("allison").licence == "CC BY-SA 4.0"
    for name in ("name", "reader", "licence", "made", "student_sizes", "rate"):
        assert getattr(back, name) == getattr(other, name), name
    assert back.prosody.to_table() == other.prosody.to_table()
    assert back.acoustic.sizes == other.acoustic.sizes


def test_a_file_of_another_format_is_refused(mine):
    tensors, notes = weights.load(mine)
    for held in ({"format": "minigen voice 2"}, {}, "mine", None):
        weights.save(mine.with_name("next.safetensors"), tensors, notes | {"voice": held})
        with pytest.raises(ValueError, match="next.safetensors holds weights, but no voice"):
            voice_file.load(mine.with_name("next.safetensors"))
    mine.with_name("next.safetensors").unlink()


def test_a_voice_is_found_by_name_or_file(mine, monkeypatch):
    monkeypatch.chdir(mine.parent)
    assert voice_file.find("mine") is voice_file.find("mine.safetensors")
    voice_file.save(
        dataclasses.replace(voice_file.load(mine), reader=Reader({"lee": [("l",)]}, english=False)),
        mine.with_name("one.safetensors"),
    )
    rows = {name: rest for name, *rest in voice_file.known(mine.parent)}
    assert list(rows)[:2] == ["allison", "digits"]
    assert rows["mine"] == ["any English", 8000, mine.stat().st_size / 1e6, "mine"]
    assert rows["digits"][:2] == ["zero to nine, by slt, rms and awb", 8000]
    assert rows["one"][:2] == ["1 words", 8000] and rows["allison"][:2] == rows["mine"][:2]
    assert rows["allison"][2] == pytest.approx(rows["mine"][2], rel=0.2)  # MB
    assert [row[-1] for row in rows.values()][:2] == ["CC BY-SA 4.0", "CC BY 4.0"]
    for wrong, message in (
        ("none", "no voice 'none' speaks"),
        ("", "no voice '' speaks"),
        (str(weights.path("phone_net")), "no voice: `minigen voice new` makes"),
    ):
        with pytest.raises(ValueError, match=message):
            voice_file.find(wrong)


def test_a_speaker_and_another_network_are_refused(mine):
    with pytest.raises(ValueError, match="no speaker 'slt'.*me"):
        synthesis.speak("no", voice=str(mine), speaker="slt")
    with pytest.raises(ValueError, match="holds no waveform model but a student"):
        synthesis.speak("no", voice=str(mine), model=str(weights.path("digits_student")))


def test_the_teacher_of_all_speaks_for_it_too(mine):
    x = synthesis.speak("No.", voice=str(mine), model="teacher", pace=2.0).audio
    assert x.std() > 0.02


def test_how_a_voice_reads_is_known_without_its_networks(mine, monkeypatch):
    usual = voice_file.find("allison").reader, voice_file.load(mine).reader
    for module in (voice_file.acoustic_model, voice_file.waveform_model):
        monkeypatch.setattr(module, "load", None)
        monkeypatch.setattr(module, "build", None)
    monkeypatch.setattr(weights, "load", None)
    assert (voice_file.reader_of("allison"), voice_file.reader_of(str(mine))) == usual
    with pytest.raises(ValueError, match="no voice 'none' speaks"):
        voice_file.reader_of("none")
    with pytest.raises(ValueError, match="no voice: `minigen voice new` makes"):
        voice_file.reader_of(str(weights.path("phone_net")))
